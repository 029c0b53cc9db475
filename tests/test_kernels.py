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
from sklearn_histeq._arithmetic import status  # noqa: E402
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
    """The names of the kernels that the headers list."""
    text = "".join(path.read_text(encoding="utf-8") for path in PACKAGE.rglob("kernels.h"))
    return re.findall(r"\bHISTEQ_KERNEL\((\w+), ", text)


# --- sources --------------------------------------------------------------------------------------


@needs_sources
@pytest.mark.skipif(COMPILER is None, reason="there is no g++")
@pytest.mark.parametrize("path", HEADERS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_each_header_can_be_read_alone(path):
    python = f"-I{sysconfig.get_path('include')}"
    command = [COMPILER, "-std=c++17", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", python]
    if path.name != "processor.h":  # the compiler's own header of instructions takes half the time
        command.append("-DHISTEQ_PORTABLE")
    command += ["-x", "c++", "-include", path, "-"]
    done = subprocess.run(command, input="", capture_output=True, text=True, check=False)
    if "Python.h: No such file" in done.stderr:
        pytest.skip("the headers of Python are not here")
    assert done.returncode == 0, done.stderr


@needs_sources
def test_the_bits_of_a_status_are_those_of_python():
    text = (PACKAGE / "_kernels/types.h").read_text(encoding="utf-8")
    for name in ("NAN", "INF", "EMPTY", "FAR"):
        (bit,) = re.findall(rf"\b(?:HAS|IS)_{name} = (\d+)", text)
        assert int(bit) == getattr(status, name)


@needs_sources
def test_kernels_take_few_parameters():
    text = "".join(path.read_text(encoding="utf-8") for path in HEADERS)
    for kernel in listed():
        (parameters,) = re.findall(rf"\bint {kernel}\(([^)]*)\) {{", text)
        n_parameters = parameters.count(",") + 1
        assert n_parameters <= MOST_PARAMETERS, kernel


@needs_sources
def test_every_kernel_is_called_from_python_and_every_called_one_exists():
    text = "".join(path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py"))
    called = set(re.findall(r"\b(?:kernels|shared)\.(\w+)[(,]", text))
    called -= {"use_simd", "instruction_set"}
    assert called == set(listed())
    assert all(any(hasattr(module, name) for module in MODULES) for name in called)


@needs_sources
@pytest.mark.skipif(COMPILER is None, reason="there is no g++")
def test_windows_of_more_than_a_billion_pixels(tmp_path):
    """By itself, since such a plane takes gigabytes: twice a rank needs all 32 bits."""
    program = r"""
    #include "_local/local.h"
    #include <cstdio>
    #include <initializer_list>
    using namespace histeq::HISTEQ_TARGET;
    int main() {
        const int32_t n = 2147483647;
        for (int32_t below : {0, 1073741823, 1073741824, 2147483640})
            std::printf("%.17g\n", mid_rank(twice_rank({below, 7}), n));
    }
    """
    (tmp_path / "ranks.cpp").write_text(program)
    command = [COMPILER, "-std=c++17", f"-I{PACKAGE}", "-o", tmp_path / "ranks"]
    subprocess.run([*command, tmp_path / "ranks.cpp"], check=True)
    done = subprocess.run([tmp_path / "ranks"], capture_output=True, text=True, check=True)
    wanted = [(below + 3.5) / (2**31 - 1) for below in (0, 2**30 - 1, 2**30, 2**31 - 8)]
    assert [float(line) for line in done.stdout.split()] == wanted


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


def test_a_byte_order_that_is_the_processors_own_may_be_named():
    """NumPy names it where the order was changed twice."""
    named = np.ones((1, 2)).byteswap().view(np.dtype(float).newbyteorder()).byteswap()
    named = named.view(named.dtype.newbyteorder())
    assert memoryview(named).format == f"{'<' if sys.byteorder == 'little' else '>'}d"
    lows, highs = np.zeros((2, 1))
    shared.find_ranges(named, None, np.zeros(1, np.uint8), lows, highs)
    assert (lows[0], highs[0]) == (1, 1)


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
    pixels, status, geometry = row("uint8"), np.zeros(1, "uint8"), np.ones((2, 3), np.int64)
    with pytest.raises(TypeError):
        equalize.equalize(pixels, None, row(float), status, "many", 0, None)
    with pytest.raises(TypeError, match="a slice"):
        local.local(pixels, None, row(float), status, geometry, (0, 2), None, False, False)
    with pytest.raises(TypeError, match="a tuple of tiles"):
        clahe.count_codes(pixels, row("int32"), [])
    with pytest.raises(TypeError, match="a tuple of centers"):
        clahe.blend_tiles(pixels, row(float), status, [], row(float), row(float), 4, False)
    with pytest.raises(TypeError, match="real number"):
        match.map_by_lines(pixels, row(float), row(float, 3, 2), np.ones(1), None)


# --- slices of rows -------------------------------------------------------------------------------

N_ROWS = 24
SLICES = [slice(None), slice(3, None), slice(None, 5), slice(-5, -2), slice(4, 1000), slice(-99, 2)]
NO_ROWS = [slice(5, 5), slice(9, 3), slice(N_ROWS, None), slice(100, 200), slice(-3, -9)]


def write_local(x, out, rows, geometry=((1, N_ROWS, N_ROWS), (0, 2, 2))):
    status, geometry = np.empty(len(x), np.uint8), np.array(geometry, np.int64)
    local.local(x, None, out, status, geometry, rows, None, False, False)


def write_volume(x, out, rows):
    write_local(x, out, rows, ((4, N_ROWS // 4, N_ROWS), (1, 2, 2)))


WRITERS = [
    (write_local, "uint8", "float64"),
    (write_volume, "uint8", "float64"),
]


@pytest.mark.parametrize("rows", [*SLICES, *NO_ROWS], ids=str)
@pytest.mark.parametrize(("write", "pixel", "output"), WRITERS)
def test_rows_are_written_as_python_slices_them(write, pixel, output, rows):
    x = np.random.default_rng(0).integers(0, 255, (1, N_ROWS**2)).astype(pixel)
    whole, guarded = np.full((1, N_ROWS**2), 7, output), np.full((3, N_ROWS**2), 7, output)
    write(x, whole, slice(0, N_ROWS))
    expected, found = np.full_like(guarded, 7), whole.reshape(N_ROWS, N_ROWS)[rows].reshape(-1)
    expected[1, : found.size] = found
    written = guarded[1:2, : found.size]
    write(x, written, rows)
    assert (np.diff(whole[0].astype(float)) != 0).any()
    np.testing.assert_array_equal(guarded, expected)


@pytest.mark.parametrize(("write", "pixel", "output"), WRITERS)
def test_the_rows_of_several_planes_follow_each_other(write, pixel, output):
    x = np.random.default_rng(0).integers(0, 255, (2, N_ROWS**2)).astype(pixel)
    whole, part = np.empty((2, N_ROWS**2), output), np.empty((2, 5 * N_ROWS), output)
    write(x, whole, slice(0, N_ROWS))
    write(x, part, slice(3, 8))
    np.testing.assert_array_equal(part, whole[:, 3 * N_ROWS : 8 * N_ROWS])


def test_a_step_in_a_slice_of_rows_is_refused():
    with pytest.raises(TypeError, match="a slice without a step"):
        write_local(row("uint8", 1, N_ROWS**2), row(float, 1, N_ROWS**2), slice(0, 8, 2))


def test_too_little_memory_is_an_error():
    pixels, status = row("uint8"), np.zeros(1, "uint8")
    with pytest.raises(MemoryError, match="too little memory"):
        equalize.equalize(pixels, None, row(float), status, 2**58, 0, None)


def test_all_modules_follow_one_choice_of_the_instruction_set():
    try:
        shared.use_simd(False)
        assert shared.instruction_set() == "portable"
        shared.use_simd(True, 1)
        assert shared.instruction_set() in ("portable", "AVX2")
    finally:
        shared.use_simd(True)


WITHOUT = """
import sys, warnings
warnings.simplefilter("ignore")
for missing in sys.argv[1:]:
    for name in [name for name in sys.modules if name.startswith("sklearn_histeq")]:
        del sys.modules[name]
    if missing != "none":
        sys.modules[missing] = None
    from sklearn_histeq import _engine
    print(_engine.describe())
"""


def test_without_one_of_the_modules_none_is_used():
    command = [sys.executable, "-c", WITHOUT, *(module.__name__ for module in MODULES), "none"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    *found, whole = done.stdout.splitlines()
    assert found == ["reference"] * len(MODULES)
    assert whole.startswith("compiled")
