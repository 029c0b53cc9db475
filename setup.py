"""Build what pyproject.toml has no words for: the kernels, and the README as PyPI needs it."""

import os
import re
import sys
import sysconfig
import tomllib
import warnings
from glob import glob
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).parent
PACKAGE = "sklearn_histeq"

# The folders with kernels, each of which is compiled to one module: the longest to compile first.
MODULES = {
    "_local": "kernels",
    "_clahe": "kernels",
    "_equalize": "kernels",
    "_kernels": "shared",
    "_match": "kernels",
}

# One binary serves CPython 3.11 and all later versions. Free-threaded CPython takes no such binary.
HAS_STABLE_ABI = not sysconfig.get_config_var("Py_GIL_DISABLED")

# pip installs for its own machine, where the package also works without kernels. Whoever builds a
# wheel for others has to ask for one without kernels.
ARE_OPTIONAL = "PIP_BUILD_TRACKER" in os.environ or (
    os.environ.get("SKLEARN_HISTEQ_WITHOUT_KERNELS") == "1"
)

REFUSED = (
    "The kernels could not be compiled; see the compiler's message above. To build a wheel without "
    "them, which works but is slower, set the environment variable "
    "SKLEARN_HISTEQ_WITHOUT_KERNELS=1."
)

# No contraction of multiply-adds: the bits are promised. Without -fno-trapping-math gcc does not
# vectorise loops with comparisons of floats; neither it nor -fno-math-errno changes a bit.
OPTIONS = (
    ["/std:c++17", "/O2", "/fp:precise"]
    if sys.platform == "win32"
    else [
        *("-std=c++17", "-O3", "-g0", "-fno-exceptions", "-fno-rtti", "-fvisibility=hidden"),
        *("-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math"),
    ]
)

# That Python finds the checkout first, when it is started there, is what the README wants.
warnings.filterwarnings("ignore", message="(?s).*Editable installation")


class BuildKernels(build_ext):
    """Compile the modules at the same time; say what to do where that fails and must not."""

    def finalize_options(self):  # noqa: D102
        super().finalize_options()
        self.parallel = self.parallel or os.cpu_count()

    def build_extension(self, ext):  # noqa: D102
        try:
            super().build_extension(ext)
        except Exception:
            if not ext.optional:
                print(REFUSED, file=sys.stderr)
            raise


def with_addresses(text, repository, version):
    """Return Markdown whose relative links and pictures are addresses in a repository's release."""

    def address(link):
        kind = "raw" if link[1].startswith("!") else "blob"
        return f"{link[1]}({repository}/{kind}/v{version}/{link[2]})"

    return re.sub(r"(!?\[[^\]]*\])\((?!\w+:|#)([^)]+)\)", address, text)


def readme():
    """Return README.md, with addresses where pyproject.toml names the repository."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    repository = project.get("urls", {}).get("Repository")
    package = (ROOT / "sklearn_histeq/__init__.py").read_text(encoding="utf-8")
    version = re.search(r'^__version__ = "(.+)"$', package, re.M)[1]
    return with_addresses(text, repository.rstrip("/"), version) if repository else text


def extension(folder, name):
    """Return the extension of a folder: its kernels, and the same once more for AVX2."""
    return Extension(
        f"{PACKAGE}.{folder}.{name}",
        [f"{PACKAGE}/{folder}/kernels.cpp", f"{PACKAGE}/{folder}/avx2.cpp"],
        language="c++",
        depends=sorted(
            path
            for headers in {f"{PACKAGE}/{folder}/*.h", f"{PACKAGE}/_kernels/*.h"}
            for path in glob(headers, root_dir=ROOT)
        ),
        extra_compile_args=OPTIONS,
        define_macros=[("Py_LIMITED_API", "0x030B0000")] if HAS_STABLE_ABI else [],
        py_limited_api=HAS_STABLE_ABI,
        optional=ARE_OPTIONAL,
    )


setup(
    cmdclass={"build_ext": BuildKernels},
    long_description=readme(),
    long_description_content_type="text/markdown",
    ext_modules=[extension(*module) for module in MODULES.items()],
    options={"bdist_wheel": {"py_limited_api": "cp311"}} if HAS_STABLE_ABI else {},
)
