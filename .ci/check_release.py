"""Check all files of a release in dist/ before they are published; name its tag, as v1.2.3."""

import re
import sys
import zipfile
from email.parser import HeaderParser
from pathlib import Path

DIST = Path("dist")
version = sys.argv[1].removeprefix("v")
(archive,) = DIST.glob("*.tar.gz")
wheels = sorted(DIST.glob("*.whl"))

assert archive.name == f"sklearn_histeq-{version}.tar.gz", archive.name
tags = [wheel.name.removesuffix(".whl").split("-")[1:] for wheel in wheels]
assert {tag[0] for tag in tags} == {version}, tags
# one wheel for all Pythons, one for the free-threaded one
for python in ("cp311-abi3", "cp314-cp314t"):
    platforms = " ".join(tag[3] for tag in tags if "-".join(tag[1:3]) == python)
    for platform in (
        *("manylinux_.*x86_64", "manylinux_.*aarch64", "musllinux_.*x86_64", "musllinux_.*aarch64"),
        *("macosx_.*x86_64", "macosx_.*arm64", "win_amd64"),
    ):
        assert re.search(platform, platforms), f"{python}: no wheel for {platform}"

for wheel in wheels:
    with zipfile.ZipFile(wheel) as zipped:
        names = zipped.namelist()
        (metadata,) = (name for name in names if name.endswith(".dist-info/METADATA"))
        readme = HeaderParser().parsestr(zipped.read(metadata).decode()).get_payload()
    modules = [name for name in names if name.endswith((".so", ".pyd"))]
    assert len(modules) == 5, f"{wheel.name}: the kernels were not built"
    relative = re.findall(r"\]\((?!\w+:|#)[^)]+\)", readme)
    assert not relative, (
        f"{wheel.name}: the README links to nowhere on PyPI: {relative}. Set the address of the "
        "repository in pyproject.toml, [project.urls]."
    )
print(f"{archive.name} and {len(wheels)} wheels are ready to be published.")
