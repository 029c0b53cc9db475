"""One image in several chunks of a dask array: lazily, and with the bits of the image in memory."""

import re
import subprocess
import sys
import threading
import weakref
from pathlib import Path

import numpy as np
import pytest
import sklearn
from _helpers import assert_same
from _internals import needs_kernels, set_parts_of_local

from sklearn_histeq import (
    AdaptiveHistogramEqualizer,
    HistogramEqualizer,
    HistogramMatcher,
    LocalHistogramEqualizer,
)

dask = pytest.importorskip("dask", reason="the extra dask is not installed")
da = pytest.importorskip("dask.array", reason="the extra dask is not installed")

pytestmark = needs_kernels
ROOT = Path(__file__).parents[1]
BENCHMARKS = ROOT / "benchmarks"


@pytest.fixture(autouse=True)
def one_thread():
    """Tests choose schedulers themselves."""
    with dask.config.set(scheduler="synchronous"):
        yield


def scene(shape, dtype="u1", seed=0):
    """Images under a light that changes from place to place, with noise."""
    rng = np.random.default_rng(seed)
    light = np.ones(shape)
    for axis, size in enumerate(shape[-2:], len(shape) - 2):
        ramp = np.linspace(0.2, 1, size)
        light *= ramp.reshape(-1, *(1,) * (len(shape) - axis - 1))
    values = light * rng.uniform(0.3, 1, shape)
    dtype = np.dtype(dtype)
    return (values * (1 if dtype.kind == "f" else np.iinfo(dtype).max)).astype(dtype)


def split(x, *chunks):
    """A dask array whose last axes have chunks of these sizes, the others one per image."""
    n_others = x.ndim - len(chunks)
    return da.from_array(x, chunks=(1,) * n_others + chunks)


def assert_same_in_chunks(estimator, x, *chunks, mask=None, of_mask=None):
    """An image in chunks becomes what it becomes in memory; returns the lazy array."""
    expected = sklearn.clone(estimator).fit(x, mask=mask).transform(x, mask=mask)
    lazy_mask = None if mask is None else split(mask, *(of_mask or chunks))
    X = split(x, *chunks)
    out = estimator.fit(X, mask=lazy_mask).transform(X, mask=lazy_mask)
    assert out.dtype == expected.dtype
    assert out.shape == expected.shape
    assert_same(out.compute(), expected)
    return out


# --- the same bits --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["equalize", "clahe", "local", "match"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.filterwarnings("ignore")
def test_any_chunks_give_the_bits_of_the_image_in_memory(monkeypatch, kind, dtype):
    """The cases of benchmarks/fuzz_engines.py: layouts, colours, masks, volumes, empty chunks."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    import fuzz_engines

    compare = fuzz_engines.chunks_path(fuzz_engines.KINDS[kind])
    for seed in range(24):
        compare(np.random.default_rng(seed), np.dtype(dtype))


ESTIMATORS = {
    "levels": (HistogramEqualizer(), "u1"),
    "bins": (HistogramEqualizer(n_bins=50), "f4"),
    "strength": (HistogramEqualizer(strength=0.5), "u2"),
    "numpy": (HistogramEqualizer(convention="numpy", n_bins=50), "f4"),
    "data set": (HistogramEqualizer(scope="dataset"), "u2"),
    "clahe": (AdaptiveHistogramEqualizer(n_tiles=3), "u1"),
    "clahe of floats": (AdaptiveHistogramEqualizer(n_tiles=3), "f4"),
    "opencv": (AdaptiveHistogramEqualizer(n_tiles=3, convention="opencv"), "u1"),
    "skimage": (AdaptiveHistogramEqualizer(n_tiles=3, convention="skimage"), "u2"),
    "local": (LocalHistogramEqualizer(window=9), "u1"),
    "local of floats": (LocalHistogramEqualizer(window=9), "f4"),
    "rank filter": (LocalHistogramEqualizer(window=9, convention="skimage"), "u2"),
    "match": (HistogramMatcher(), "u1"),
    "landmarks": (HistogramMatcher(landmarks="nyul"), "u2"),
}


@pytest.mark.parametrize("name", ESTIMATORS)
def test_there_are_no_seams(name):
    """The difference along the borders of chunks is 0, and not where chunks are equalized alone."""
    estimator, dtype = ESTIMATORS[name]
    x = scene((1, 90, 80), dtype)
    expected = estimator.fit(x).transform(x).astype("f8")
    X = split(x, 21, 32)

    def along_borders(out):
        differences = np.abs(out.compute().astype("f8") - expected)
        rows, columns = (np.cumsum(sizes)[:-1] for sizes in X.chunks[1:])
        return max(differences[:, [*rows, *rows - 1]].max(),
                   differences[..., [*columns, *columns - 1]].max())  # fmt: skip

    assert along_borders(sklearn.clone(estimator).fit(X).transform(X)) == 0
    by_chunks = sklearn.clone(estimator).fit_transform
    alone = X.map_blocks(by_chunks, dtype=X.dtype, meta=x[:0])
    assert along_borders(alone) > 0


@pytest.mark.parametrize("is_masked", [False, True])
@pytest.mark.parametrize("window", [21, (3, 201)])
@pytest.mark.parametrize("dtype", ["u1", "i2", "i8", "f4"])
def test_windows_are_larger_than_chunks(dtype, window, is_masked):
    x = scene((1, 40, 50), dtype)
    mask = np.random.default_rng(1).random(x.shape) < 0.02 if is_masked else None
    if is_masked:
        mask[:, :25, :30] = False  # some chunks, and windows, without a counted pixel
    estimator = LocalHistogramEqualizer(window=window)
    if is_masked and dtype in ("i8", "f4"):
        with pytest.warns(UserWarning, match=r"ranks.*MiB"):
            assert_same_in_chunks(estimator, x, 7, 13, mask=mask, of_mask=(11, 11))
    else:
        assert_same_in_chunks(estimator, x, 7, 13, mask=mask, of_mask=(11, 11))


@pytest.mark.parametrize("is_masked", [False, True])
@pytest.mark.parametrize("dtype", ["u1", "u2"])
def test_rank_filters_know_the_highest_level_of_the_plane(dtype, is_masked):
    x = scene((2, 40, 50), dtype) >> 2
    x[:, 3, 4] = 250
    mask = np.random.default_rng(1).random(x.shape) < 0.02 if is_masked else None
    estimator = LocalHistogramEqualizer(window=7, convention="skimage")
    assert_same_in_chunks(estimator, x, 7, 13, mask=mask)
    if is_masked:
        mask[1] = False
        lazy = estimator.transform(split(x, 7, 13), mask=split(mask, 7, 13))
        with pytest.raises(ValueError, match=r"mask leaves no pixel.*image\(s\) 1"):
            lazy.compute()


def test_a_chunk_is_worked_on_in_pieces(monkeypatch):
    """Which see what lies beyond them, as chunks do."""
    x, volumes = scene((2, 40, 50), "u2"), scene((2, 6, 20, 30), "f4")
    mask = np.random.default_rng(1).random(x.shape) < 0.1
    for estimator, X, of_X in (
        (LocalHistogramEqualizer(window=9), x, mask),
        (LocalHistogramEqualizer(window=9, convention="skimage"), x, None),
        (LocalHistogramEqualizer(window=(3, 5, 7), spatial_dims=3), volumes, None),
    ):
        expected = estimator.transform(X, mask=of_X)
        chunks = (*X.shape[1:-1], 19)
        with monkeypatch.context() as patch:
            set_parts_of_local(patch, 300)
            lazy = estimator.transform(split(X, *chunks), mask=of_X)
            assert_same(lazy.compute(), expected)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_chunks_may_be_empty_and_images_unknown_in_number(name):
    estimator, dtype = ESTIMATORS[name]
    x = scene((5, 30, 20), dtype)
    keep = np.array([True, False, False, True, True])
    expected = sklearn.clone(estimator).fit(x[keep]).transform(x[keep])
    chunks = ((1, 2, 0, 2), (7, 0, 23), (0, 12, 8))
    X = da.from_array(x, chunks=chunks)[da.from_array(keep, chunks=(chunks[0],))]
    out = estimator.fit(X).transform(X)
    assert np.isnan(out.shape[0])
    assert_same(out.compute(), expected)


def test_floats_that_have_no_room_for_bins():
    x = 1 + scene((2, 40, 50), "f4") * np.finfo("f4").eps
    assert_same_in_chunks(HistogramEqualizer(), x, 7, 13)


def test_unknown_sizes_of_rows_are_refused():
    x = scene((2, 30, 20))
    X = split(x, 10, 10)[:, da.from_array(np.arange(30) % 2 > 0, chunks=10)]
    for estimator in (HistogramEqualizer(), LocalHistogramEqualizer(window=3)):
        with pytest.raises(ValueError, match=r"X\.compute_chunk_sizes\(\)"):
            estimator.transform(X)


# --- images that are put together -----------------------------------------------------------------


@pytest.mark.parametrize("name", ["match", "windows"])
def test_a_warning_names_why_an_image_is_put_together_and_its_size(name):
    x, mask = scene((2, 512, 256), "f4"), None
    if name == "match":
        estimator = HistogramMatcher(reference=x[0, :5, :5])
    else:
        estimator, mask = LocalHistogramEqualizer(window=3), np.ones(x.shape, bool)
    expected = estimator.fit(x).transform(x, mask=mask)
    with pytest.warns(UserWarning, match=r"0\.5 MiB") as caught:
        out = estimator.transform(split(x, 300, 100), mask=mask)
    assert len(caught) == 1
    assert_same(out.compute(), expected)


def test_the_definition_takes_whole_images(monkeypatch):
    monkeypatch.setenv("SKLEARN_HISTEQ_ENGINE", "reference")
    x = scene((2, 64, 32))
    for name in ("levels", "clahe", "local", "match"):
        estimator = sklearn.clone(ESTIMATORS[name][0]).fit(x)
        expected = estimator.transform(x)
        with pytest.warns(UserWarning, match=r"kernels.*0.00195 MiB"):
            out = estimator.transform(split(x, 30, 20))
        assert_same(out.compute(), expected)


# --- how often pixels are read, and what stays in memory ------------------------------------------


class Source:
    """Makes chunks of an image, and counts how often, and how many are in memory."""

    def __init__(self):
        self.n_made, self.n_alive, self.most, self._lock = 0, 0, 0, threading.Lock()

    def __call__(self, block):
        made = block.copy()
        weakref.finalize(made, self.forget)
        with self._lock:
            self.n_made += 1
            self.n_alive += 1
            self.most = max(self.most, self.n_alive)
        return made

    def forget(self):
        with self._lock:
            self.n_alive -= 1


class Nowhere:
    """What a result can be stored in without memory."""

    def __setitem__(self, index, block):
        pass


def watched(x, *chunks):
    source = Source()
    meta = np.empty((0,) * x.ndim, x.dtype)
    return split(x, *chunks).map_blocks(source, dtype=x.dtype, meta=meta), source


# the table in docs/scaling.md
N_READS = {
    "levels": 2,
    "bins": 3,
    "strength": 2,
    "numpy": 3,
    "data set": 2,
    "clahe": 3,
    "clahe of floats": 3,
    "opencv": 2,
    "skimage": 4,
    "local": 1,
    "local of floats": 1,
    "rank filter": 2,
    "match": 2,
    "landmarks": 2,
}


@pytest.mark.parametrize("name", ESTIMATORS)
def test_each_pass_reads_each_chunk_once(name):
    estimator, dtype = ESTIMATORS[name]
    x = scene((1, 60, 60), dtype)
    estimator.fit(x)
    X, source = watched(x, 20, 20)
    out = estimator.transform(X)
    assert source.n_made == 0
    out.compute()
    assert source.n_made == N_READS[name] * 9


@pytest.mark.parametrize("name", ESTIMATORS)
def test_no_pass_keeps_the_chunks_of_the_pass_before(name):
    """48 chunks; windows need a row of them and its neighbours."""
    estimator, dtype = ESTIMATORS[name]
    x = scene((1, 96, 36), dtype)
    estimator.fit(x)
    X, source = watched(x, 6, 12)
    da.store(estimator.transform(X), Nowhere(), lock=False)
    assert source.n_made == N_READS[name] * 48
    assert source.most <= (24 if isinstance(estimator, LocalHistogramEqualizer) else 10)


def test_the_layers_of_the_graph_tell_the_passes():
    X = split(scene((1, 40, 40)), 20, 20)
    layers = {name.rpartition("-")[0] for name in HistogramEqualizer().transform(X).dask.layers}
    assert {"histeq-counts", "histeq-map"} <= layers


# --- errors ---------------------------------------------------------------------------------------


def test_errors_name_the_images():
    x = scene((3, 40, 40), "f4")
    x[1, 35, 35] = np.inf
    for name in ("bins", "clahe of floats", "local of floats"):
        estimator = ESTIMATORS[name][0]
        with pytest.raises(ValueError, match=r"infinity.*image\(s\) 1"):
            estimator.transform(split(x, 20, 20)).compute()
    x[1, 35, 35] = np.nan
    for name in ("bins", "clahe of floats", "local of floats"):
        estimator = sklearn.clone(ESTIMATORS[name][0]).set_params(dtype="uint8")
        with pytest.raises(ValueError, match=r"NaN.*image\(s\) 1"):
            estimator.transform(split(x, 20, 20)).compute()


@pytest.mark.parametrize("name", ["levels", "bins", "clahe", "match", "local"])
def test_only_images_without_any_counted_pixel_are_an_error(name):
    estimator, dtype = ESTIMATORS[name]
    x, mask = scene((3, 40, 40), dtype), np.zeros((3, 40, 40), bool)
    mask[:, :9, :9] = True
    assert_same_in_chunks(estimator, x, 20, 20, mask=mask)
    mask[2] = False
    lazy = estimator.transform(split(x, 20, 20), mask=split(mask, 20, 20))
    with pytest.raises(ValueError, match=r"mask leaves no pixel.*image\(s\) 2"):
        lazy.compute()


# --- docs/scaling.md ------------------------------------------------------------------------------


def run_script_with(word, folder):
    """The script of the page that has a word runs as it stands."""
    page = (ROOT / "docs" / "scaling.md").read_text(encoding="utf-8")
    scripts = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    (script,) = [each for each in scripts if word in each]
    (folder / "script.py").write_text(script, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_script_for_one_zarr_runs(tmp_path):
    zarr = pytest.importorskip("zarr", reason="zarr is not installed")
    x = scene((90, 80))
    zarr.create_array(tmp_path / "slide.zarr", data=x, chunks=(32, 32))
    run_script_with("slide.zarr", tmp_path)
    expected = AdaptiveHistogramEqualizer(dtype="input").fit_transform(x[None])[0]
    assert_same(zarr.open_array(tmp_path / "equalized.zarr", mode="r")[:], expected)


@pytest.mark.parametrize("version", [2, 3])
def test_the_script_for_ome_zarr_runs(tmp_path, version):
    zarr = pytest.importorskip("zarr", reason="zarr is not installed")
    x = scene((2, 3, 4, 40, 50), "u2")
    group = zarr.open_group(tmp_path / "embryo.ome.zarr", mode="w", zarr_format=version)
    axes = [{"name": name} for name in "tczyx"]
    of_ome = {"multiscales": [{"axes": axes, "datasets": [{"path": "0"}, {"path": "1"}]}]}
    of_ome["omero"] = {"channels": [{"window": {"start": 0, "end": 4095}}] * 3}
    group.attrs.update(of_ome if version == 2 else {"ome": of_ome})
    names = None if version == 2 else list("tczyx")
    group.create_array("0", data=x, chunks=(1, 1, 2, 16, 16), dimension_names=names)
    run_script_with("embryo.ome.zarr", tmp_path)
    clahe = AdaptiveHistogramEqualizer(n_tiles=(2, 8, 8), spatial_dims=3, dtype="input")
    target = zarr.open_group(tmp_path / "equalized.ome.zarr", mode="r")
    assert_same(target["0"][:], clahe.fit_transform(x))
    assert target["0"].chunks == (1, 1, 2, 16, 16)
    attributes = target.attrs.asdict()
    attributes = attributes if version == 2 else attributes["ome"]
    assert attributes["multiscales"][0]["datasets"] == [{"path": "0"}]
    assert "omero" not in attributes
    key = "0/1/2/1/2/2" if version == 2 else "0/c/1/2/1/2/2"
    assert (tmp_path / "equalized.ome.zarr" / key).exists()
    if version == 3:
        assert list(target["0"].metadata.dimension_names) == names
