"""The engines beside each other: the same bits in threads and processes; memory; imports."""

import concurrent.futures
import importlib.util
import multiprocessing
import os
import re
import shutil
import subprocess
import sys
import threading
import tracemalloc
import warnings
from pathlib import Path

import joblib
import numpy as np
import pytest
from _helpers import assert_same, faces, own_package
from _internals import NOT_BUILT, kernels_are_built, watch_equalize
from sklearn.base import clone

import sklearn_histeq
from sklearn_histeq import (
    AdaptiveHistogramEqualizer,
    HistogramEqualizer,
    HistogramMatcher,
    LocalHistogramEqualizer,
)

if not kernels_are_built():
    pytest.skip(NOT_BUILT, allow_module_level=True)

FUZZER = Path(__file__).parents[1] / "benchmarks" / "fuzz_engines.py"

MIB = 2**20
BIG = {
    "uint8": (300, 1, 200, 200),
    "uint16": (200, 1, 200, 200),
    "float32": (150, 1, 200, 200),
    "float64": (150, 1, 200, 200),
}


def images(shape, dtype, seed=0):
    x = np.random.default_rng(seed).random(shape)
    return (x * 200).astype(dtype) if np.dtype(dtype).kind == "u" else x.astype(dtype)


def by(engine, monkeypatch, x, **params):
    monkeypatch.setenv("SKLEARN_HISTEQ_ENGINE", engine)
    return HistogramEqualizer(**params).fit(x).transform(x)


# --- the same bits --------------------------------------------------------------------------------


def fuzzer():
    spec = importlib.util.spec_from_file_location("fuzz_engines", FUZZER)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("path", list(fuzzer().PATHS))
def test_both_engines_and_all_instruction_sets_give_the_same_bits(path):
    """Some cases of each path of the fuzzer, which fills outputs with rubbish first."""
    fuzz = fuzzer()
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for dtype in fuzz.PATHS[path][1]:
            fuzz.run_path(path, dtype, 6, seed=7)


@pytest.mark.parametrize("estimator", [
    HistogramEqualizer(n_bins=7, dtype="input"),
    AdaptiveHistogramEqualizer(n_tiles=2, dtype="input"),
])  # fmt: skip
def test_memory_that_kernels_left_unwritten_warns_of_nothing(estimator, monkeypatch):
    """Planes left to the reference are brought into the output's type first, whatever they hold."""
    genuine = np.empty

    def empty(shape, dtype=float, **options):
        array = genuine(shape, dtype, **options)
        if array.dtype.kind == "f":
            array.fill(np.finfo(array.dtype).max)
        return array

    x = np.full((1, 1, 4, 4), 2**62)
    x[0, 0, 0, 0] += 2048
    expected = estimator.fit_transform(x)
    monkeypatch.setattr(np, "empty", empty)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert_same(estimator.transform(x), expected)


@pytest.mark.parametrize(
    ("dtype", "params"),
    [
        *((dtype, {}) for dtype in BIG),
        ("uint16", {"convention": "numpy"}),
        ("float32", {"convention": "numpy"}),
        ("uint8", {"dtype": "float32"}),
        ("float64", {"dtype": "float32"}),
    ],
    ids=str,
)
def test_one_large_plane_is_the_same_in_parts(dtype, params, monkeypatch):
    x = images((1, 1, 1100, 1200), dtype)
    x[0, 0, 500:, 3] = x.max()  # parts of different ranges
    alone = by("auto", monkeypatch, x, **params)
    assert_same(by("auto", monkeypatch, x, n_jobs=2, **params), alone)
    assert_same(by("portable", monkeypatch, x, n_jobs=3, **params), alone)
    assert_same(by("reference", monkeypatch, x, **params), alone)


def test_one_large_plane_with_a_mask_and_nan_is_the_same_in_parts(monkeypatch):
    x = images((1, 1, 1100, 1200), "float32")
    x[0, 0, ::7, ::5] = np.nan
    mask = np.zeros((1, 1100, 1200), bool)
    mask[0, 200:300] = True
    monkeypatch.setenv("SKLEARN_HISTEQ_ENGINE", "auto")
    alone, shared = (HistogramEqualizer(n_jobs=n).fit_transform(x, mask=mask) for n in (1, 4))
    assert_same(shared, alone)


@pytest.mark.parametrize(
    ("convention", "dtype"),
    [("histeq", "uint8"), ("opencv", "uint8")]
    + [("skimage", name) for name in ("uint8", "uint16", "float32")],
)
def test_one_large_plane_has_the_same_tiles_in_parts(convention, dtype):
    x = images((1, 1, 2300, 1200), dtype)
    if dtype == "float32":
        x = (x - x.min()) / np.ptp(x)
    alone, shared = (
        AdaptiveHistogramEqualizer(convention=convention, n_jobs=n).transform(x) for n in (1, 3)
    )
    assert_same(shared, alone)


def test_one_large_plane_is_normal_in_parts(monkeypatch):
    x = images((1, 1, 1100, 1200), "float32")
    alone = by("auto", monkeypatch, x, output_distribution="normal")
    shared = by("auto", monkeypatch, x, output_distribution="normal", n_jobs=3)
    assert_same(shared, alone)


@pytest.mark.parametrize("dtype", ["uint16", "float32", "float64", "int32"])
def test_one_large_plane_is_matched_the_same_in_parts(dtype):
    x = (images((1, 1, 1100, 1200), "float64") * 60000).astype(dtype)
    if x.dtype.kind == "f":
        x[0, 0, ::7, ::5] = np.nan
        x[0, 0, 1::7, 2::5] = -0.0
    alone, shared = (
        HistogramMatcher(n_jobs=n, reference=x[0, 0, :40, :50]).fit_transform(x) for n in (1, 3)
    )
    assert_same(shared, alone)


@pytest.mark.parametrize("dtype", ["uint8", "int16", ">u2", "float32", "float64", "int64"])
@pytest.mark.parametrize("n_channels", [2, 3, 4, 5])
def test_interleaved_channels_equal_planes(dtype, n_channels):
    x = images((3, n_channels, 20, 30), "float64")
    x = (x * 100).astype(dtype)
    last = np.ascontiguousarray(np.moveaxis(x, 1, -1))
    for out_dtype in (None, "float32", "uint8"):
        found = HistogramEqualizer(channel_axis=-1, dtype=out_dtype).fit_transform(last)
        expected = HistogramEqualizer(dtype=out_dtype).fit_transform(x)
        assert_same(np.ascontiguousarray(np.moveaxis(found, -1, 1)), expected)


def test_threads_may_share_an_estimator():
    batches = [images((40, 1, 64, 64), "uint8", seed) for seed in range(8)]
    equalizer = HistogramEqualizer(n_jobs=2)
    expected = [equalizer.transform(x) for x in batches]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for _ in range(3):
            for out, wanted in zip(pool.map(equalizer.transform, batches), expected, strict=True):
                assert_same(out, wanted)


def test_loky_workers_give_the_same():
    x = images((40, 1, 32, 32), "float32")
    equalizer = HistogramEqualizer(n_jobs=2)
    parts = np.array_split(x, 4)
    results = joblib.Parallel(n_jobs=2)(joblib.delayed(equalizer.transform)(p) for p in parts)
    assert_same(np.concatenate(results), equalizer.transform(x))


def _transform_in_child(queue, equalizer, x):
    queue.put(equalizer.transform(x))


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_forked_and_spawned_workers_give_the_same(method):
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"no {method} on this platform")
    x = images((300, 1, 64, 64), "uint8")  # enough for threads, of which a fork has none
    equalizer = HistogramEqualizer(n_jobs=2)
    expected = equalizer.transform(x)
    context = multiprocessing.get_context(method)
    queue = context.Queue()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # fork beside threads: that is the test
        child = context.Process(target=_transform_in_child, args=(queue, equalizer, x))
        child.start()
    assert_same(queue.get(timeout=100), expected)
    child.join()


# --- threads --------------------------------------------------------------------------------------


def started_threads(x, n_expected=1, **params):
    """The threads that have worked, by their names; a block waits for as many as are expected."""
    seen, barrier = set(), threading.Barrier(n_expected, timeout=60)

    def watch():
        barrier.wait()  # or one thread might be through with all blocks before another starts
        seen.add(threading.current_thread().name)

    with pytest.MonkeyPatch.context() as patch:
        watch_equalize(patch, watch)
        HistogramEqualizer(**params).transform(x)
    return seen


def test_a_small_batch_starts_no_thread():
    main = {threading.current_thread().name}
    assert started_threads(faces(20, 1, side=28), n_jobs=4) == main
    assert started_threads(images((600, 1, 64, 64), "uint8"), n_jobs=1) == main


def test_a_large_batch_is_shared():
    names = started_threads(images((600, 1, 64, 64), "uint8"), 2, n_jobs=2)
    other = names - {threading.current_thread().name}  # the caller does its share
    assert len(names) == 2
    assert len(other) == 1
    assert other.pop().startswith("sklearn-histeq")


def test_joblibs_context_sets_the_number_of_threads():
    x = images((600, 1, 64, 64), "uint8")
    with joblib.parallel_config(backend="threading", n_jobs=2):
        assert len(started_threads(x, 2)) == 2
    assert len(started_threads(x)) == 1


# --- memory ---------------------------------------------------------------------------------------


def peak_beyond_output(x, **params):
    return peak_of_transform(HistogramEqualizer(**params).fit(x[:1]), x)


def peak_of_transform(fitted, x):
    fitted.transform(x[:1, :200])
    tracemalloc.start()
    try:
        out = fitted.transform(x)
        return tracemalloc.get_traced_memory()[1] - out.nbytes
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("dtype", [*BIG, "int32", "float16", "bool", ">f4"])
def test_memory_beyond_the_output_is_bounded(dtype, monkeypatch):
    """What images take in double precision: 64 MiB; blocks of them take less."""
    monkeypatch.setenv("SKLEARN_HISTEQ_ENGINE", "auto")
    x = images((200, 1, 200, 200), "uint8").astype(dtype)
    channels_last = images((66, 200, 200, 3), "uint8").astype(dtype)
    for n_jobs in (1, 2):
        assert peak_beyond_output(x, n_jobs=n_jobs) < 32 * MIB
        assert peak_beyond_output(channels_last, n_jobs=n_jobs, channel_axis=-1) < 32 * MIB


def test_memory_for_one_large_plane_is_bounded(monkeypatch):
    monkeypatch.setenv("SKLEARN_HISTEQ_ENGINE", "auto")
    for dtype in BIG:
        assert peak_beyond_output(images((1, 1, 3000, 3000), dtype), n_jobs=2) < 64 * MIB


def test_memory_for_colours_is_bounded(monkeypatch):
    monkeypatch.setenv("SKLEARN_HISTEQ_ENGINE", "auto")
    x = images((150, 3, 200, 200), "uint8")
    for color in ("value", "luminance", "lightness"):
        assert peak_beyond_output(x, color=color, dtype="uint8") < 64 * MIB


OF_COLOURS = [
    HistogramEqualizer(),
    HistogramEqualizer(scope="dataset"),
    HistogramMatcher(),
    AdaptiveHistogramEqualizer(),
    AdaptiveHistogramEqualizer(convention="opencv"),
    LocalHistogramEqualizer(window=3),
]


@pytest.mark.parametrize(("color", "dtype"), [("value", "input"), ("luminance", "float32")])
@pytest.mark.parametrize("estimator", OF_COLOURS, ids=repr)
def test_memory_for_one_large_colour_image_is_at_most_its_size(
    estimator, color, dtype, monkeypatch
):
    monkeypatch.setenv("SKLEARN_HISTEQ_ENGINE", "auto")
    x = np.random.default_rng(0).integers(0, 200, (1, 4000, 4000, 3), np.uint8)
    estimator = clone(estimator).set_params(color=color, channel_axis=-1, dtype=dtype)
    fitted = estimator.fit(x[:, :100])
    assert peak_of_transform(fitted, x) <= x.nbytes


@pytest.mark.parametrize("dtype", ["float16", "float32", "int32", ">f4"])
def test_memory_for_one_large_plane_that_is_matched_is_at_most_its_size(dtype, monkeypatch):
    monkeypatch.setenv("SKLEARN_HISTEQ_ENGINE", "auto")
    x = images((1, 4000, 4000), "uint8").astype(dtype)
    matcher = HistogramMatcher(reference=x[0, :100, :100])
    assert peak_of_transform(matcher.fit(x[:, :100]), x) <= x.nbytes


def test_fit_reads_no_pixel_and_copies_nothing():
    x = images((400, 1, 200, 200), "float64")
    x[3] = np.inf  # which transform would find
    tracemalloc.start()
    HistogramEqualizer().fit(x)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < MIB


# --- which engine ---------------------------------------------------------------------------------


def run_python(code, **env):
    command = [sys.executable, "-W", "ignore", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=env or None)
    return done.stdout.strip()


def test_equalizing_loads_no_function_of_scikit_image():
    code = (
        "import sys, numpy as np; from sklearn_histeq import HistogramEqualizer;"
        "HistogramEqualizer().fit_transform(np.arange(8., dtype='f4').reshape(1, 1, 2, 4));"
        # skimage.exposure itself is a stub, which loads its functions when they are called
        "heavy = ('skimage.exposure.', 'matplotlib', 'dask');"
        "print([m for m in sys.modules if m.startswith(heavy)])"
    )
    assert run_python(code) == "[]"


def engine_of(text):
    return re.search(r"^ *engine: (.+)$", text, re.MULTILINE)[1]


def test_the_environment_chooses_the_engine(monkeypatch, capsys):
    descriptions = {}
    for engine in ("auto", "portable", "reference"):
        monkeypatch.setenv("SKLEARN_HISTEQ_ENGINE", engine)
        sklearn_histeq.show_versions()
        printed = capsys.readouterr().out
        assert f"numpy: {np.__version__}" in printed
        descriptions[engine] = engine_of(printed)
    assert descriptions["reference"] == "reference"
    assert descriptions["portable"] == "compiled (portable)"
    assert descriptions["auto"].startswith("compiled (")
    monkeypatch.setenv("SKLEARN_HISTEQ_ENGINE", "gpu")
    with pytest.raises(ValueError, match="'gpu', but expected one of auto, portable, reference"):
        HistogramEqualizer().fit_transform(faces())


WITHOUT_KERNELS = """
import importlib.machinery, sys, warnings
class NotBuilt:
    def find_spec(self, name, path=None, target=None):
        found = importlib.machinery.PathFinder.find_spec(name, path)
        is_extension = isinstance(getattr(found, "loader", None),
                                  importlib.machinery.ExtensionFileLoader)
        if name.startswith("sklearn_histeq.") and is_extension:
            raise ImportError(name)
sys.meta_path.insert(0, NotBuilt())
from sklearn_histeq import HistogramEqualizer, show_versions
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    for _ in range(3):
        assert HistogramEqualizer().fit_transform([[3, 9]]).tolist() == [[0.5, 1.0]]
print(*(warning.message for warning in caught), sep="\\n")
show_versions()
"""


def test_without_kernels_it_works_and_warns_once():
    printed = run_python(WITHOUT_KERNELS, **own_package() | {"SKLEARN_HISTEQ_ENGINE": "auto"})
    assert printed.count("without its compiled kernels") == 1
    assert "pip install" in printed
    assert engine_of(printed) == "reference"


def test_a_source_folder_that_hides_the_installed_package_is_named(tmp_path):
    """Another compiler would not help: Python imports what lies in the current folder."""
    package = Path(sklearn_histeq.__file__).parent
    ignored = shutil.ignore_patterns("*.so", "*.pyd", "__pycache__")
    shutil.copytree(package, tmp_path / "sklearn_histeq", ignore=ignored)
    use = "from sklearn_histeq import HistogramEqualizer; HistogramEqualizer().transform([[3, 9]])"
    command = [sys.executable, "-c", use]
    env = {**os.environ, "SKLEARN_HISTEQ_ENGINE": "auto"}
    env.pop("PYTHONPATH", None)
    env.pop("PYTHONSAFEPATH", None)
    printed = {}
    for is_source in (False, True):
        if is_source:
            (tmp_path / "pyproject.toml").touch()
        done = subprocess.run(
            command, cwd=tmp_path, env=env, capture_output=True, text=True, check=True
        )
        printed[is_source] = done.stderr
    assert "C++ compiler" in printed[False]
    assert "C++ compiler" not in printed[True]
    assert f"Python imports the source folder {tmp_path}, which has no kernels" in printed[True]
    assert "Start Python in another folder" in printed[True]
    assert f"pip install --editable {tmp_path}" in printed[True]
