"""The kernels by themselves: what their functions refuse, and how their sources are written."""

import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import numpy as np
import pytest

shared = pytest.importorskip(
    "sklearn_histeq._kernels.shared", reason="the kernels are not built here"
)
from sklearn_histeq._clahe import kernels as clahe  # noqa: E402
from sklearn_histeq._equalize import kernels as equalize  # noqa: E402
from sklearn_histeq._local import kernels as local  # noqa: E402
from sklearn_histeq._match import kernels as match  # noqa: E402

MODULES = (shared, equalize, clahe, local, match)
MOST_PARAMETERS = 10
PACKAGE = Path(__file__).parents[1] / "sklearn_histeq"  # with the sources, where they are here
HEADERS = sorted(PACKAGE.rglob("*.h"))
COMPILER = shutil.which("g++")

needs_sources = pytest.mark.skipif(not HEADERS, reason="the sources of the kernels are not here")


def listed():
    """The names and types of the kernels that the headers list."""
    text = "".join(path.read_text(encoding="utf-8") for path in PACKAGE.rglob("kernels.h"))
    return re.findall(r'list\.add\("(\w+)", (\w+)<(\w+)>\);', text)


# --- sources --------------------------------------------------------------------------------------


@needs_sources
@pytest.mark.skipif(COMPILER is None, reason="there is no g++")
@pytest.mark.parametrize("path", HEADERS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_each_header_can_be_read_alone(path):
    python = f"-I{sysconfig.get_path('include')}"
    options = ["-std=c++17", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-x", "c++", python]
    done = subprocess.run([COMPILER, *options, path], capture_output=True, text=True, check=False)
    if "Python.h: No such file" in done.stderr:
        pytest.skip("the headers of Python are not here")
    assert done.returncode == 0, done.stderr


@needs_sources
def test_kernels_take_few_parameters():
    text = "".join(path.read_text(encoding="utf-8") for path in HEADERS)
    for name, kernel, _ in listed():
        assert name == kernel
        (parameters,) = re.findall(rf"\bint {kernel}\(([^)]*)\) {{", text)
        n_parameters = parameters.count(",") + 1
        assert n_parameters <= MOST_PARAMETERS, kernel


@needs_sources
def test_every_kernel_is_called_from_python_and_every_called_one_exists():
    text = "".join(path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py"))
    called = set(re.findall(r"\b(?:kernels|shared)\.(\w+)\(", text))
    called -= {"use_simd", "instruction_set"}
    assert called == {name for name, _, _ in listed()}
    assert all(any(hasattr(module, name) for module in MODULES) for name in called)


# --- what functions refuse ------------------------------------------------------------------------


def row(dtype, *shape):
    return np.zeros(shape or (1, 4), dtype)


@pytest.mark.parametrize("dtype", ["int8", "int16", "int64", "float16", ">u2", "bool", "complex64"])
def test_a_type_of_pixels_without_a_kernel_is_refused(dtype):
    with pytest.raises(TypeError, match=r"look_up\(\) has no kernel for an array of 2 axes"):
        shared.look_up(row(dtype), row(float), row(float))


@pytest.mark.parametrize("dtype", ["int32", "float16", ">f8"])
def test_a_type_of_output_without_a_kernel_is_refused(dtype):
    with pytest.raises(TypeError, match=r"look_up\(\) has no kernel for an array"):
        shared.look_up(row("uint8"), row(dtype), row(dtype))


def test_tables_of_another_type_than_the_output_are_refused():
    with pytest.raises(TypeError, match="writes no output of this type"):
        shared.look_up(row("uint8"), row("float32"), row("float64"))


def test_arrays_that_kernels_cannot_take_are_refused():
    pixels, tables = row("uint8"), row(float, 1, 256)
    with pytest.raises((ValueError, BufferError), match="contiguous"):
        shared.look_up(pixels, tables, np.zeros((1, 8))[:, ::2])
    frozen = row(float)
    frozen.flags.writeable = False
    with pytest.raises((ValueError, BufferError), match=r"read-only|writable|writeable"):
        shared.look_up(pixels, tables, frozen)
    with pytest.raises(TypeError, match=r"buffer|bytes-like"):
        shared.look_up(pixels, tables, [0.0])
    with pytest.raises(TypeError, match="takes 3 arguments, but got 2"):
        shared.look_up(pixels, tables)
    with pytest.raises(TypeError, match="4 axes"):
        shared.look_up(row("uint8", 1, 1, 1, 4), tables, row(float))


def test_arguments_that_are_no_numbers_are_refused():
    pixels, status = row("uint8"), np.zeros(1, "uint8")
    with pytest.raises(TypeError):
        equalize.equalize(pixels, None, row(float), status, "many", 0)
    with pytest.raises(TypeError, match="a slice"):
        local.local(pixels, None, row(float), status, 2, 2, 1, (0, 2), False, False)
    with pytest.raises(TypeError, match="a tuple of tiles"):
        clahe.clahe(pixels, None, row(float), status, [], slice(0, 1), 1.0, 4, False)
    with pytest.raises(TypeError, match="real number"):
        match.match(pixels, None, row(float), status, 0, 1, row(float, 3, 2), None, 0)


def test_too_little_memory_is_an_error():
    pixels, status = row("uint8"), np.zeros(1, "uint8")
    with pytest.raises(MemoryError, match="too little memory"):
        equalize.equalize(pixels, None, row(float), status, 2**58, 0)


def test_all_modules_follow_one_choice_of_the_instruction_set():
    try:
        shared.use_simd(False)
        assert shared.instruction_set() == "portable"
        shared.use_simd(True, 1)
        assert shared.instruction_set() in ("portable", "AVX2")
    finally:
        shared.use_simd(True)


@pytest.mark.parametrize("missing", [module.__name__ for module in MODULES])
def test_without_one_of_the_modules_none_is_used(missing):
    code = (
        f"import sys, warnings; sys.modules[{missing!r}] = None; warnings.simplefilter('ignore');"
        "from sklearn_histeq import _engine; print(_engine.describe())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "reference"
