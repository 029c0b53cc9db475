"""The architecture: which module may import which, and how long a function may be.

The rules are those of docs/architecture.md. Imports are read from the source, at the top of a file
and inside its functions, and relative ones are resolved from the folder of the file.
"""

import ast
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from _internals import kernels_are_built

import sklearn_histeq

PACKAGE = Path(sklearn_histeq.__file__).parent
ROOT = Path(__file__).parents[1]  # with README and docs; the package may be installed elsewhere

METHODS = ("_equalize", "_clahe", "_local", "_match")
# The base of the other methods: one tile is the whole plane.
OF_THE_BASE = ("conventions", "definition", "compiled", "devices")
SHARED = ("_arithmetic", "_kernels", "_input", "_passes", "_blocks", "_engine", "_base")
ESTIMATORS = {f"{method}.estimator" for method in METHODS}
MOST_ROOT_FILES, MOST_LINES, MOST_PARAMETERS = 16, 60, 8
# Of the package's own functions, from fit_transform to a kernel: frames, and calls in all.
MOST_FRAMES_AND_CALLS = {
    sklearn_histeq.HistogramEqualizer: (9, 76),
    sklearn_histeq.AdaptiveHistogramEqualizer: (11, 127),
    sklearn_histeq.LocalHistogramEqualizer: (10, 120),
    sklearn_histeq.HistogramMatcher: (11, 139),
}


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
    return {n for n in names if n in MODULES or n.endswith(("kernels", "shared"))} - {module}


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
    assert "sklearn_histeq._arithmetic.transfer" in imports_of("_arithmetic.counting")
    assert "sklearn_histeq._arithmetic.status" in imports_of("_equalize.definition")
    assert "_equalize.definition" in inside("_engine")
    assert "_arithmetic.transfer" in inside("_equalize.definition")
    assert "_equalize.estimator" in inside("")


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


@pytest.mark.parametrize("method", METHODS)
def test_a_method_imports_what_is_shared_itself_and_the_base_of_methods(method):
    of_the_base = {f"_equalize.{name}" for name in OF_THE_BASE}
    for module in in_folder(method):
        for name in inside(module):
            is_shared = any(is_in(name, folder) for folder in (*SHARED, method))
            assert is_shared or name in of_the_base, f"{module} imports {name}"


@pytest.mark.parametrize("name", ["conventions", "definition", "compiled", "devices"])
def test_every_method_has_the_same_modules(name):
    for method in METHODS:
        assert f"{method}.{name}" in MODULES


@pytest.mark.parametrize("method", METHODS)
def test_engines_know_no_estimator_and_select_no_engine(method):
    for name in OF_THE_BASE:
        names = inside(f"{method}.{name}")
        assert not names & ({"_base", "_engine"} | ESTIMATORS), name


def test_only_definitions_import_skimage_exposure():
    importers = importers_of("skimage.exposure")
    assert importers == {f"{method}.definition" for method in ("_equalize", "_clahe", "_match")}
    for module in MODULES:
        if module not in importers:
            assert not any(name.endswith(".exposure") for name in imports_of(module)), module


def test_compiled_calls_the_definition_of_its_own_method():
    for method in METHODS:
        definitions = {n for n in inside(f"{method}.compiled") if n.endswith(".definition")}
        assert definitions == {f"{method}.definition"}


@pytest.mark.parametrize("module", [*in_folder("_input"), "_passes", "_blocks"])
def test_input_and_blocks_know_no_estimator_and_no_engine(module):
    for name in inside(module):
        shared = ("_input", "_arithmetic", "_passes", "_blocks")
        assert any(is_in(name, folder) for folder in shared), name
    text = MODULES[module].read_text(encoding="utf-8")
    assert not re.search(r"\bself\.(transform|fit|get_params)\b", text)


def test_data_objects_hold_no_estimator():
    """No circle from images to the estimator that works on them."""
    for module in (*in_folder("_input"), "_passes", "_blocks", *in_folder("_arithmetic")):
        for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
            named = getattr(node, "attr", None) or getattr(node, "id", None)
            assert named != "estimator", module


def test_only_estimators_the_base_and_show_versions_select_an_engine():
    users = importers_of("sklearn_histeq._engine")
    assert users == ESTIMATORS | {"_equalize.data_set", "_base", "_show_versions"}


@pytest.mark.parametrize("module", sorted(ESTIMATORS))
def test_estimators_never_import_each_other(module):
    assert not inside(module) & ESTIMATORS


@pytest.mark.parametrize("module", [*in_folder("_cli"), "__main__"])
def test_the_command_line_imports_public_names_and_itself(module):
    assert all(is_in(name, "_cli") for name in inside(module) - {""}), inside(module)
    public = {f"sklearn_histeq.{name}" for name in [*sklearn_histeq.__all__, "__version__", "_cli"]}
    names = {n for n in imports_of(module) if n.startswith("sklearn_histeq.")}
    assert {n for n in names if not n.startswith("sklearn_histeq._cli")} <= public


def test_one_module_reads_the_environment():
    core = {module for module in MODULES if not is_in(module, "_cli")}
    readers = {m for m in core if re.search(r"environ|getenv", MODULES[m].read_text("utf-8"))}
    assert {m for m in readers if "os.environ" in MODULES[m].read_text("utf-8")} == {"_engine"}


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
        assert importers <= {"_blocks"}, name
    assert "_blocks" in importers_of("joblib")  # else this test would look for nothing


def test_only_one_module_knows_dask():
    assert importers_of("dask") == {"_input.dask"}
    assert importers_of("distributed") == set()
    assert importers_of("sklearn_histeq._input.dask") == {"_input.images"}


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
    for module in MODULES:
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
    assert "sklearn_histeq._equalize.estimator" in loaded
    # the definitions import skimage.exposure, which loads its functions when they are called
    heavy = {"matplotlib", "dask", "skimage.exposure.exposure", "polars", "cv2", "PIL", "torch",
             "cupy", "array_api_strict"}  # fmt: skip
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


@pytest.mark.parametrize("kind", MOST_FRAMES_AND_CALLS)
def test_from_transform_to_a_kernel_are_few_frames_and_calls(kind):
    """For a plain fit_transform of 50 images."""
    if not kernels_are_built():
        pytest.skip("the kernels are not built here")
    x = np.random.default_rng(0).integers(0, 256, (50, 1, 96, 96), dtype=np.uint8)
    estimator = kind()
    estimator.fit_transform(x)
    n_calls, depth, deepest = 0, 0, 0

    def watch(frame, event, _):
        nonlocal n_calls, depth, deepest
        if frame.f_code.co_filename.startswith(str(PACKAGE)) and event in ("call", "return"):
            n_calls += event == "call"
            depth += 1 if event == "call" else -1
            deepest = max(deepest, depth)

    sys.setprofile(watch)
    try:
        estimator.fit_transform(x)
    finally:
        sys.setprofile(None)
    most_frames, most_calls = MOST_FRAMES_AND_CALLS[kind]
    assert 1 < deepest <= most_frames
    assert 1 < n_calls <= most_calls


def test_every_module_says_what_it_is_for():
    for module, path in MODULES.items():
        assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), module


def test_the_documented_layout_is_this_one():
    """Each module of the root and each folder stands in docs/architecture.md."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    for path in PACKAGE.iterdir():
        if path.name == "__pycache__":
            continue
        if path.suffix == ".py":
            assert path.name in text, path.name
        elif any(path.glob("*.py")):
            assert f"{path.name}/" in text, path.name
    named = set(re.findall(r"^ +(_\w+)\.py\b", text, flags=re.MULTILINE))
    assert named <= {path.stem for path in PACKAGE.rglob("*.py")}
