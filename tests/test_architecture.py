"""The architecture: which module may import which, and how long a function may be.

The rules are those of docs/architecture.md. Imports are read from the source, at the top of a file
and inside its functions, and relative ones are resolved from the folder of the file.
"""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import sklearn_histeq

PACKAGE = Path(sklearn_histeq.__file__).parent
ROOT = Path(__file__).parents[1]  # with README and docs; the package may be installed elsewhere

ESTIMATORS = {"_histogram_equalizer", "_adaptive_equalizer", "_histogram_matcher",
              "_local_equalizer"}  # fmt: skip
PUBLIC = {"sklearn_histeq"}
MOST_ROOT_FILES, MOST_LINES, MOST_PARAMETERS, MOST_KERNEL_PARAMETERS = 16, 40, 8, 10


def modules():
    """Dotted name within the package, "" for its root -> file."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


def resolve(node, module, path):
    """The absolute name that an import starts from."""
    if not node.level:
        return node.module
    package = ["sklearn_histeq", *filter(None, module.split("."))]
    if path.name != "__init__.py":
        package.pop()
    package = package[: len(package) - node.level + 1]
    return ".".join([*package, node.module] if node.module else package)


def imports_of(module):
    """The absolute names of all modules that a module imports, and of what it imports from them."""
    path, names = MODULES[module], set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            start = resolve(node, module, path)
            names |= {start, *(f"{start}.{name.name}" for name in node.names)}
    return names


def inside(module):
    """The package's own modules that a module imports, without the folders on the way to them."""
    prefix = "sklearn_histeq."
    names = {n.removeprefix(prefix) for n in imports_of(module) if n.startswith(prefix)}
    return {n for n in names if n in MODULES or n.endswith("_kernels")} - {module}


def importers_of(name):
    """The package's modules that import a module of this name, or something from it."""
    return {
        module
        for module in MODULES
        if any(n == name or n.startswith(f"{name}.") for n in imports_of(module))
    }


def is_in(module, folder):
    return module == folder or module.startswith(f"{folder}.")


def in_folder(folder):
    return [module for module in MODULES if is_in(module, folder)]


def run_python(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


# --- the test itself ------------------------------------------------------------------------------


def test_relative_imports_are_resolved_from_their_folder():
    assert "sklearn_histeq._arithmetic.transfer" in imports_of("_arithmetic.counts")
    assert "sklearn_histeq._arithmetic.status" in imports_of("_engines.reference.equalize")
    assert "sklearn_histeq._engines.reference" in imports_of("_engines")
    assert "_arithmetic.transfer" in inside("_engines.reference.equalize")
    assert "_histogram_equalizer" in inside("")


# --- who imports whom -----------------------------------------------------------------------------


@pytest.mark.parametrize("module", in_folder("_arithmetic"))
def test_arithmetic_imports_numpy_scipy_and_itself(module):
    names = imports_of(module)
    if module == "_arithmetic.namespaces":
        names = {name for name in names if "array_api_compat" not in name} - {"sklearn.externals"}
    roots = {name.split(".")[0] for name in names}
    standard = {"collections", "dataclasses", "functools", "typing"}
    assert roots <= {"numpy", "scipy", "sklearn_histeq"} | standard
    assert all(is_in(name, "_arithmetic") for name in inside(module))


@pytest.mark.parametrize("engine", ["_engines.reference", "_engines.array_api"])
def test_the_other_engines_import_arithmetic_and_themselves(engine):
    for module in in_folder(engine):
        for name in inside(module):
            assert is_in(name, "_arithmetic") or is_in(name, engine), name


@pytest.mark.parametrize("module", in_folder("_engines.compiled"))
def test_the_compiled_engine_imports_arithmetic_the_reference_and_itself(module):
    for name in inside(module) - {"_engines"}:
        assert any(is_in(name, f"{f}") for f in ("_arithmetic", "_engines")), name


def test_only_the_reference_engine_imports_skimage_exposure():
    importers = importers_of("skimage.exposure")
    assert importers == {f"_engines.reference.{name}" for name in ("equalize", "adapt", "match")}
    for module in MODULES:
        if module not in importers:
            assert not any(name.endswith(".exposure") for name in imports_of(module)), module


@pytest.mark.parametrize(
    "module",
    ["_validation", "_layout", "_threads", "_base", "_dataset_scope",
     *in_folder("_containers")],
)  # fmt: skip
def test_what_all_estimators_share_knows_no_engine(module):
    assert not any(is_in(name, "_engines") for name in inside(module))


def test_only_estimators_and_show_versions_import_the_engines():
    outside = {m for m in importers_of("sklearn_histeq._engines") if not is_in(m, "_engines")}
    assert outside == ESTIMATORS | {"_show_versions"}


@pytest.mark.parametrize("module", sorted(ESTIMATORS))
def test_estimators_never_import_each_other(module):
    assert not inside(module) & ESTIMATORS
    assert not inside(module) & {
        "_layout",
        "_threads",
        *in_folder("_containers"),
    }  # the base class's business


@pytest.mark.parametrize("module", [*in_folder("_cli"), "__main__"])
def test_the_command_line_imports_public_names_and_itself(module):
    assert all(is_in(name, "_cli") for name in inside(module) - {""}), inside(module)
    public = {f"sklearn_histeq.{name}" for name in [*sklearn_histeq.__all__, "__version__", "_cli"]}
    names = {n for n in imports_of(module) if n.startswith("sklearn_histeq.")}
    assert {n for n in names if not n.startswith("sklearn_histeq._cli")} <= public


def test_one_module_reads_the_environment():
    core = {module for module in MODULES if not is_in(module, "_cli")}
    readers = {m for m in core if re.search(r"environ|getenv", MODULES[m].read_text("utf-8"))}
    assert {m for m in readers if "os.environ" in MODULES[m].read_text("utf-8")} == {"_engines"}


def test_no_import_by_string_in_the_core():
    for module in MODULES:
        if not is_in(module, "_cli"):
            text = MODULES[module].read_text(encoding="utf-8")
            assert "import_module" not in text, module
            assert "__import__" not in text, module


def test_only_one_module_has_threads():
    for name in ("threading", "concurrent", "multiprocessing", "joblib", "sklearn.utils.parallel",
                 "_thread", "asyncio"):  # fmt: skip
        importers = {module for module in importers_of(name) if not is_in(module, "_cli")}
        assert importers <= {"_threads"}, name
    assert "_threads" in importers_of("joblib")  # else this test would look for nothing


def test_only_one_module_knows_dask():
    assert importers_of("dask") == {"_containers.dask"}
    assert importers_of("distributed") == set()
    assert importers_of("sklearn_histeq._containers.dask") == {"_containers"}
    assert importers_of("sklearn_histeq._containers") - {"_containers"} == {"_base"}


def test_only_one_module_knows_namespaces():
    """The functions of other libraries than NumPy come from array_api_compat, in one module."""
    for name in ("array_api_compat", "sklearn.externals"):
        assert importers_of(name) == {"_arithmetic.namespaces"}
    for name in ("torch", "cupy", "array_api_strict", "jax"):
        assert importers_of(name) == set()


def test_nothing_private_of_scikit_learn_is_used():
    for module in MODULES:
        private = [n for n in imports_of(module) if re.search(r"^sklearn\..*\b_(?!_)", n)]
        assert private == [], module


def test_conventions_are_compared_by_their_records():
    """Outside docstrings, no name of a convention stands in the code of the core."""
    names = {"skimage", "numpy", "opencv", "pillow", "histeq"}
    allowed = {"_arithmetic.conventions", "_engines.reference.adapt", "_engines.compiled.adapt"}
    for module in set(MODULES) - allowed:
        if is_in(module, "_cli"):
            continue
        tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
        compared = [
            constant.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Compare)
            for constant in ast.walk(node)
            if isinstance(constant, ast.Constant) and constant.value in names
        ]
        assert compared == [], module


# --- imports are light ----------------------------------------------------------------------------


def test_importing_the_package_imports_nothing_else():
    code = """
import sys, typing
before = set(sys.modules)
import sklearn_histeq, sklearn_histeq._cli
print(*set(sys.modules) - before)
"""
    cli = {"sklearn_histeq._cli", "sklearn_histeq._cli.errors", "sklearn_histeq._cli.signals"}
    assert set(run_python(code).split()) - sys.stdlib_module_names == {"sklearn_histeq"} | cli


def test_importing_an_estimator_is_light():
    code = "import sys; from sklearn_histeq import relight; print(*sys.modules)"
    loaded = run_python(code).split()
    assert "sklearn_histeq._histogram_equalizer" in loaded
    heavy = {"matplotlib", "dask", "skimage", "skimage.exposure", "polars", "cv2", "PIL",
             "torch", "cupy", "array_api_strict"}  # fmt: skip
    assert heavy & set(loaded) == set()


def test_equalizing_needs_no_optional_package():
    code = """
import sys
class NotInstalled:
    def find_spec(self, name, path=None, target=None):
        if name in ("matplotlib", "dask", "pandas", "polars", "cv2"):
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, NotInstalled())
import numpy as np
from sklearn_histeq import HistogramEqualizer
print(HistogramEqualizer().fit_transform(np.arange(4)[None]))
"""
    assert run_python(code).strip() == "[[0.25 0.5  0.75 1.  ]]"


# --- sizes ----------------------------------------------------------------------------------------


def test_the_root_of_the_package_is_small():
    files = [p for p in PACKAGE.iterdir() if p.is_file() and p.suffix not in (".so", ".pyd")]
    assert len(files) <= MOST_ROOT_FILES, sorted(path.name for path in files)


def functions_of(module):
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    return [n for n in ast.walk(tree) if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef))]


def lines_of(function):
    """The number of lines of a function's code, without its docstring."""
    has_docstring = ast.get_docstring(function) is not None
    body = function.body[1:] if has_docstring else function.body
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0


@pytest.mark.parametrize("module", MODULES)
def test_functions_are_short(module):
    long = {f.name: lines_of(f) for f in functions_of(module) if lines_of(f) > MOST_LINES}
    assert long == {}


@pytest.mark.parametrize("module", MODULES)
def test_functions_take_few_parameters(module):
    """But for the constructors of the estimators, whose parameters are the users'."""
    for function in functions_of(module):
        arguments = function.args
        names = [a.arg for a in [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]]
        n_parameters = len([name for name in names if name not in ("self", "cls")])
        is_constructor = module in ESTIMATORS and function.name == "__init__"
        assert is_constructor or n_parameters <= MOST_PARAMETERS, function.name


def test_kernels_take_few_parameters():
    kernels = ROOT / "sklearn_histeq" / "_engines" / "compiled"
    sources = [*kernels.glob("*.pyx"), *kernels.glob("*.pxi")]
    if not sources:
        pytest.skip("the sources of the kernels are not here")
    for path in sources:
        text = re.sub(r"\[[^\]]*\]", "", path.read_text(encoding="utf-8"))
        for name, arguments in re.findall(r"^c?p?def .*?(\w+)\(([^)]*)\)", text, re.MULTILINE):
            n_parameters = len([a for a in arguments.split(",") if a.strip()])
            assert n_parameters <= MOST_KERNEL_PARAMETERS, f"{path.name}: {name}"


def test_every_module_says_what_it_is_for():
    for module, path in MODULES.items():
        assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), module


def test_the_documented_layout_is_this_one():
    """Each module of the root and each folder stands in docs/architecture.md."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    for path in PACKAGE.iterdir():
        if path.suffix == ".py":
            assert path.name in text, path.name
        elif any(path.glob("*.py")):
            assert f"{path.name}/" in text, path.name
    named = set(re.findall(r"^ +(_\w+)\.py\b", text, flags=re.MULTILINE))
    assert named <= {path.stem for path in PACKAGE.rglob("*.py")}
