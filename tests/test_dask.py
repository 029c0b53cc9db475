"""dask arrays in and out: lazily, and with the bits of the same images in memory."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager

import joblib
import numpy as np
import pytest
import sklearn
from _helpers import assert_same, faces
from _internals import needs_kernels, watch_n_jobs
from sklearn.decomposition import IncrementalPCA
from sklearn.pipeline import make_pipeline

from sklearn_histeq import (
    AdaptiveHistogramEqualizer,
    HistogramEqualizer,
    HistogramMatcher,
    LocalHistogramEqualizer,
)

dask = pytest.importorskip("dask", reason="the extra dask is not installed")
da = pytest.importorskip("dask.array", reason="the extra dask is not installed")

# of images that are gathered; one test is about it
pytestmark = pytest.mark.filterwarnings("ignore:.*put together in one chunk")

REFERENCE = faces(1, 3, 10, seed=9)[0]
ESTIMATORS = {
    "image": HistogramEqualizer(),
    "rows": HistogramEqualizer(flatten=True, dtype="float32"),
    "value": HistogramEqualizer(color="value", dtype="input"),
    "luminance": HistogramEqualizer(color="luminance"),
    "lightness": AdaptiveHistogramEqualizer(n_tiles=2, color="lightness", dtype="input"),
    "dataset lightness": HistogramEqualizer(scope="dataset", color="lightness"),
    "matched luminance": HistogramMatcher(color="luminance"),
    "opencv": HistogramEqualizer(convention="opencv"),
    "dataset": HistogramEqualizer(scope="dataset"),
    "dataset bins": HistogramEqualizer(scope="dataset", n_bins=20, convention="numpy"),
    "dataset value": HistogramEqualizer(scope="dataset", color="value", flatten=True),
    "range": HistogramEqualizer(n_bins=40, value_range="dtype"),
    "quantiles": HistogramEqualizer(n_bins=40, quantile_range=(5, 90)),
    "dataset range": HistogramEqualizer(scope="dataset", n_bins=20, value_range=(0, 0.7)),
    "adaptive": AdaptiveHistogramEqualizer(n_tiles=2),
    "adaptive range": AdaptiveHistogramEqualizer(n_tiles=2, value_range="dtype"),
    "local": LocalHistogramEqualizer(window=3, dtype="float32"),
    "matcher": HistogramMatcher(),
    "reference": HistogramMatcher(reference=REFERENCE, dtype="uint8"),
    "landmarks": HistogramMatcher(landmarks="nyul"),
    "strength": HistogramMatcher(strength=0.4),
    "strength of equalization": HistogramEqualizer(strength=0.4),
}
LEARNED = [
    "dataset",
    "dataset bins",
    "dataset range",
    "dataset value",
    "dataset lightness",
    "matched luminance",
    "matcher",
    "landmarks",
]
DTYPES = ["u1", "f8"]


@pytest.fixture(autouse=True)
def one_thread():
    """Tests choose schedulers themselves."""
    with dask.config.set(scheduler="synchronous"):
        yield


def new(name):
    return sklearn.clone(ESTIMATORS[name])


def random_chunks(rng, shape):
    """Chunks of random sizes along every axis."""
    cuts = [np.sort(rng.choice(size + 1, min(3, size))) for size in shape]
    ends = [[0, *c, size] for c, size in zip(cuts, shape)]
    return tuple(tuple(int(n) for n in np.diff(e) if n) for e in ends)


def split(x, seed=0):
    return da.from_array(x, chunks=random_chunks(np.random.default_rng(seed), x.shape))


def by_images(x, n=5):
    return da.from_array(x, chunks=(n, *x.shape[1:]))


def unknown(x, keep=None, n=5):
    """A dask array with chunks of unknown sizes, of the images to keep."""
    keep = np.ones(len(x), bool) if keep is None else keep
    return by_images(x, n)[da.from_array(keep, chunks=n)]


def pictures(dtype="u1", n=23, c=3):
    x = faces(n, c, 12, dtype)[..., :10].copy()
    if x.dtype.kind == "f":
        x[3, :, 2:5] = np.nan
    return x


def assert_lazy_same(out, expected):
    """A dask array that is declared as what it computes."""
    assert isinstance(out, da.Array)
    assert type(out._meta) is np.ndarray
    assert out.dtype == out._meta.dtype == expected.dtype
    assert out._meta.ndim == out.ndim == expected.ndim
    assert out.shape[1:] == expected.shape[1:]
    assert_same(out.compute(), expected)


def flat(state):
    """The arrays and numbers of a learned state, in one list."""
    if isinstance(state, (list, tuple)):
        return [leaf for part in state for leaf in flat(part)]
    return [state]


def assert_same_state(a, b):
    assert vars(a).keys() == vars(b).keys()
    for name in vars(a).keys() - a.get_params().keys():
        leaves = flat(getattr(a, name)), flat(getattr(b, name))
        assert len(leaves[0]) == len(leaves[1])
        for x, y in zip(*leaves):
            np.testing.assert_array_equal(x, y, strict=True, err_msg=name)


# --- the same bits --------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ESTIMATORS)
def test_any_chunks_give_the_bits_of_one_array(name, dtype):
    if name == "opencv" and dtype != "u1":
        dtype = "u1"
    if dtype == "f8" and ESTIMATORS[name].dtype == "uint8":
        x = np.nan_to_num(pictures(dtype))  # integers have no NaN
    else:
        x = pictures(dtype)
    in_memory = new(name).fit(x)
    expected = in_memory.transform(x)
    for seed in range(3):
        X = split(x, seed)
        lazy = new(name).fit(X)
        assert_same_state(lazy, in_memory)
        out = lazy.transform(X)
        assert out.chunks[0] == X.chunks[0]
        assert_lazy_same(out, expected)


@pytest.mark.parametrize("name", ["image", "dataset", "adaptive", "matcher"])
@pytest.mark.parametrize("layout", ["last", "gray", "rows", "colour rows"])
def test_every_layout(layout, name):
    x = pictures(c=1)[:, 0] if layout in ("gray", "rows") else pictures()
    params = {}
    if layout in ("last", "colour rows"):
        x, params["channel_axis"] = np.moveaxis(x, 1, -1).copy(), -1
    if "rows" in layout:
        params["image_shape"] = x.shape[1:]
        x = x.reshape(len(x), -1)
    mask = np.random.default_rng(0).random((23, 12, 10)) < 0.5
    mask = mask.reshape(23, -1) if "rows" in layout else mask
    estimator, expected = new(name).set_params(**params), new(name).set_params(**params)
    expected.fit(x, mask=mask)
    for given in (mask, split(mask, 3)):
        out = estimator.fit(split(x), mask=given).transform(split(x), mask=given)
        assert_same_state(estimator, expected)
        assert_lazy_same(out, expected.transform(x, mask=mask))
        assert_lazy_same(estimator.fit_transform(split(x), mask=given), out.compute())


@pytest.mark.parametrize("dtype", ["bool", "i2", ">u2", "f2", ">f4", "g", "i8"])
@pytest.mark.parametrize("name", ["image", "dataset", "matcher"])
def test_every_dtype(name, dtype):
    x = pictures("f8" if dtype == "g" else np.dtype(dtype).newbyteorder("="), n=7).astype(dtype)
    for out_dtype in (None, "input") if dtype in (">u2", "i2") else (None,):
        estimator = new(name).set_params(dtype=out_dtype)
        expected = estimator.fit(x).transform(x)
        assert_lazy_same(estimator.fit(split(x)).transform(split(x)), expected)


@pytest.mark.parametrize("n_bins", ["auto", 7])
def test_floats_without_room_for_bins_are_learned_exactly(n_bins):
    x = 1 + pictures(n=9).astype("f8") * np.finfo(float).eps
    expected = HistogramEqualizer(scope="dataset", n_bins=n_bins).fit(x)
    assert_same_state(HistogramEqualizer(scope="dataset", n_bins=n_bins).fit(split(x)), expected)


@pytest.mark.parametrize("value_range", [None, (0, 1)])
def test_images_without_a_number_stay_nan_in_parts(value_range):
    x = pictures("f8", n=5)
    x[2, 1], x[4, 0, :9] = np.nan, np.nan
    equalizer = HistogramEqualizer(value_range=value_range)
    assert_lazy_same(equalizer.transform(split(x)), equalizer.fit_transform(x))


@needs_kernels  # the definition warns that it puts images together
@pytest.mark.parametrize("name", ["image", "range", "dataset"])
def test_what_is_far_from_the_images_in_fit_is_told_once_of_parts(name):
    x = pictures("u1", n=4)
    equalizer = new(name).fit(x // 50)
    X = da.from_array(x, chunks=(4, 3, 5, 4))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        expected = equalizer.transform(x)
        of_memory = [str(w.message) for w in caught]
        assert_same(equalizer.transform(X).compute(), expected)
    assert [str(w.message) for w in caught[len(of_memory) :]] == of_memory
    assert len(of_memory) == (name == "dataset")


@pytest.fixture(scope="module")
def processes():
    """Two processes that import the package only once."""
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        yield pool


def compare_all(x, names):
    """Fit and transform chunks, with whatever scheduler is set."""
    lazy = {name: new(name).fit(by_images(x)) for name in names}
    results = dask.compute(*(each.transform(by_images(x)) for each in lazy.values()))
    for name, result in zip(names, results):
        expected = new(name).fit(x)
        assert_same_state(lazy[name], expected)
        assert_same(result, expected.transform(x))


def test_threads_change_nothing():
    with dask.config.set(scheduler="threads", num_workers=2):
        compare_all(pictures("f8", n=40), ["image", "adaptive", *LEARNED])


def test_processes_change_nothing(processes):
    with dask.config.set(scheduler="processes", pool=processes):
        compare_all(pictures("f8", n=20), ["image", "adaptive", "dataset", "matcher"])
        for name, dtype in [("image", "f4"), ("image", "u2"), ("value", "f4"), ("matcher", "u1")]:
            x = np.nan_to_num(pictures(dtype))
            X = da.from_array(x, chunks=(12, 3, 7, 10))
            assert_same(new(name).fit(X).transform(X).compute(), new(name).fit_transform(x))


PARTS = [
    HistogramEqualizer(),
    AdaptiveHistogramEqualizer(n_tiles=3),
    LocalHistogramEqualizer(window=9, convention="skimage"),
    HistogramMatcher(landmarks="nyul"),
]


def compare_parts(slowly=lambda X: X):
    """One image in 30 chunks, with whatever scheduler is set."""
    x = faces(1, 1, 60, "u2")[:, 0]
    X = slowly(da.from_array(x, chunks=(1, 12, 10)))
    results = dask.compute(*(sklearn.clone(each).fit(X).transform(X) for each in PARTS))
    for estimator, result in zip(PARTS, results):
        assert_same(result, sklearn.clone(estimator).fit(x).transform(x))


def test_threads_and_processes_do_not_change_one_image_in_many_chunks(processes):
    with dask.config.set(scheduler="threads", num_workers=2):
        compare_parts()
    with dask.config.set(scheduler="processes", pool=processes):
        compare_parts()


def test_many_chunks_are_added_as_a_tree():
    x = pictures(n=300, c=1)
    for name in ("dataset", "matcher"):
        assert_same_state(new(name).fit(by_images(x, 1)), new(name).fit(x))


@pytest.mark.parametrize("name", ["dataset", "matcher"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_partial_fit_goes_on_where_memory_ends(name, dtype):
    x = pictures(dtype)
    one, other = new(name), new(name)
    for part in (slice(0, 9), slice(9, 23)):
        one.partial_fit(by_images(x[part]))
        other.partial_fit(x[part])
    assert_same_state(one, other)
    assert_same_state(new(name).fit(by_images(x[:9])).partial_fit(x[9:]),
                      new(name).fit(x[:9]).partial_fit(x[9:]))  # fmt: skip


@pytest.mark.parametrize("flatten", [False, True])
def test_the_way_back_is_lazy_too(flatten):
    x = pictures()
    estimator = HistogramEqualizer(scope="dataset", flatten=flatten).fit(x)
    out = estimator.transform(split(x))
    assert_lazy_same(estimator.inverse_transform(out), x.astype("f8"))
    rows = estimator.transform(unknown(x))
    assert_lazy_same(estimator.inverse_transform(rows), x.astype("f8"))


# --- laziness -------------------------------------------------------------------------------------


class Counter:
    """Hands blocks on, and counts them."""

    def __init__(self):
        self.n, self._lock = 0, threading.Lock()

    def __call__(self, block):
        with self._lock:
            self.n += 1
        return block


def watched(x, n=4):
    """A dask array of six chunks, and the count of those computed."""
    counter = Counter()
    X = by_images(x, n).map_blocks(counter, dtype=x.dtype, meta=np.empty((0,) * x.ndim, x.dtype))
    return X, counter


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["image", "rows", "adaptive", "dataset", "matcher", "reference"])
def test_nothing_is_computed_early_and_nothing_twice(name, dtype):
    x = np.nan_to_num(pictures(dtype))
    X, counter = watched(x)
    n_chunks = X.numblocks[0]
    estimator = new(name).fit(X)
    passes = {"dataset": 2 if dtype == "f8" else 1, "matcher": 1}.get(name, 0)
    assert counter.n == passes * n_chunks
    counter.n = 0
    out = estimator.transform(X)
    assert counter.n == 0
    out[:4].compute()
    assert counter.n == 1
    out.compute()
    assert counter.n == 1 + n_chunks


def test_unknown_sizes_are_counted_in_the_same_pass():
    x = pictures()
    X, counter = watched(x)
    n_chunks = X.numblocks[0]
    X = X[da.from_array(np.arange(23) % 3 > 0, chunks=4)]
    for name in ("dataset", "matcher"):
        counter.n = 0
        assert new(name).fit(X).n_samples_seen_ == 15
        assert counter.n == n_chunks


def test_the_same_work_has_the_same_name():
    x = pictures()
    for name in ESTIMATORS:
        estimator = new(name).fit(x)
        names = [estimator.transform(split(x)).name for _ in range(2)]
        assert names[0] == names[1]
        if name in LEARNED:
            estimator.fit(x[:9])
        elif name == "image":
            estimator.set_params(n_bins=9)
        else:
            continue
        assert estimator.transform(split(x)).name != names[0]


def test_what_becomes_of_the_estimator_does_not_change_the_result():
    x = pictures()
    for name in ("image", "dataset", "matcher", "adaptive"):
        estimator = new(name).fit(x)
        expected, out = estimator.transform(x), estimator.transform(by_images(x))
        estimator.set_params(dtype="float32").fit(x[:1])
        assert_same(out.compute(), expected)


def test_settings_of_this_thread_hold_in_the_chunks(monkeypatch):
    seen = watch_n_jobs(monkeypatch)
    X = by_images(pictures(), 12)
    with joblib.parallel_config("threading", n_jobs=2):
        out = HistogramEqualizer().transform(X)
        HistogramEqualizer(scope="dataset").fit(X)
    out.compute()
    assert seen == [2, 2, 2, 2]


def test_data_frames_are_refused():
    X = by_images(pictures())
    estimator = HistogramEqualizer(flatten=True).set_output(transform="pandas")
    with pytest.raises(ValueError, match=r"set_output.*dask array"):
        estimator.fit_transform(X)
    with (
        sklearn.config_context(transform_output="pandas"),
        pytest.raises(ValueError, match=r"'pandas'.*dask array"),
    ):
        HistogramEqualizer(flatten=True).transform(X)


def test_warnings_come_once_and_at_once():
    X = by_images(pictures())
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        out = AdaptiveHistogramEqualizer(n_tiles=50).transform(X)
        assert [w.category for w in caught] == [UserWarning]
        assert caught[0].filename == __file__
        out.compute()
    assert len(caught) == 1


def test_a_chunk_after_the_other_feeds_an_incremental_estimator():
    x = pictures(n=60)
    rows = HistogramEqualizer(flatten=True).transform(by_images(x, 20))
    pca, expected = IncrementalPCA(5), IncrementalPCA(5)
    for k in range(3):
        pca.partial_fit(rows.blocks[k].compute())
        expected.partial_fit(HistogramEqualizer(flatten=True).transform(x[20 * k : 20 * k + 20]))
    assert_same(pca.components_, expected.components_)


def test_steps_of_a_pipeline_hand_dask_arrays_on():
    x = pictures()
    steps = make_pipeline(HistogramMatcher(dtype="uint8"), HistogramEqualizer(flatten=True))
    assert_lazy_same(steps.fit_transform(split(x)), steps.fit_transform(x))


# --- unknown sizes, masks -------------------------------------------------------------------------


@pytest.mark.parametrize("name", ESTIMATORS)
def test_chunks_of_unknown_sizes_and_empty_ones(name):
    x, keep = pictures(), np.arange(23) % 3 > 0
    keep[5:10] = False  # a chunk without images
    lazy, expected = new(name).fit(unknown(x, keep)), new(name).fit(x[keep])
    assert_same_state(lazy, expected)
    out = lazy.transform(unknown(x, keep))
    assert np.isnan(out.shape[0])
    assert_lazy_same(out, expected.transform(x[keep]))
    # images split between chunks are put together all the same
    halves = unknown(x, keep).rechunk({2: 5, 1: 2})
    assert_lazy_same(lazy.transform(halves), expected.transform(x[keep]))


def test_a_dask_mask_goes_with_chunks_of_unknown_sizes():
    x, keep = pictures(), np.arange(23) % 3 > 0
    mask = np.random.default_rng(0).random((23, 12, 10)) < 0.5
    for name in ("image", "dataset", "matcher"):
        expected = new(name).fit(x[keep], mask=mask[keep])
        lazy = new(name).fit(unknown(x, keep), mask=unknown(mask, keep))
        assert_same_state(lazy, expected)
        out = lazy.transform(unknown(x, keep), mask=unknown(mask, keep))
        assert_lazy_same(out, expected.transform(x[keep], mask=mask[keep]))
        # known sizes beside unknown ones, of the same blocks
        out = lazy.transform(unknown(x), mask=by_images(mask))
        assert_lazy_same(out, expected.transform(x, mask=mask))
        out = lazy.transform(by_images(x), mask=unknown(mask))
        assert_lazy_same(out, expected.transform(x, mask=mask))


def test_masks_that_cannot_be_matched_are_refused():
    x = pictures()
    mask = np.ones((23, 12, 10), bool)
    estimator = HistogramEqualizer()
    for call in (estimator.fit, estimator.transform, estimator.fit_transform):
        with pytest.raises(ValueError, match=r"array in memory.*compute_chunk_sizes"):
            call(unknown(x), mask=mask)
        with pytest.raises(ValueError, match=r"6 block.* X has 5.*compute_chunk_sizes"):
            call(unknown(x), mask=by_images(mask, 4))
        with pytest.raises(ValueError, match=r"shape \(22, 12, 10\).*\(23, 12, 10\)"):
            call(by_images(x), mask=by_images(mask[:22]))
        with pytest.raises(ValueError, match="mask has dtype uint8"):
            call(by_images(x), mask=by_images(mask.astype("u1")))
    lazy = estimator.transform(unknown(x), mask=unknown(mask, np.arange(23) > 0))
    with pytest.raises(ValueError, match=r"mask has shape \(4, 12, 10\).*\(5, 12, 10\)"):
        lazy.compute()
    with pytest.raises(ValueError, match="takes no mask"):
        AdaptiveHistogramEqualizer(convention="opencv").transform(
            by_images(x), mask=by_images(mask)
        )


# --- errors ---------------------------------------------------------------------------------------


def test_errors_of_a_chunk_name_the_images():
    x = pictures("f8")
    x[17, 1, 0, 0] = np.inf
    for name in ("image", "adaptive", "dataset", "matcher"):
        with pytest.raises(ValueError, match=r"inf.*image\(s\) 17,"):
            new(name).fit_transform(by_images(x)).compute()
        with pytest.raises(ValueError, match=r"inf.*image\(s\) 2 of chunk 3,"):
            new(name).fit_transform(unknown(x)).compute()
    mask = np.ones((23, 12, 10), bool)
    mask[[3, 4, 11]] = False
    with pytest.raises(ValueError, match=r"mask.*image\(s\) (3, 4|11):"):
        HistogramEqualizer().transform(by_images(pictures()), mask=mask).compute()
    with pytest.raises(ValueError, match=r"NaN.*image\(s\) 3,"):
        HistogramEqualizer(dtype="uint8").transform(by_images(pictures("f8"), 2)).compute()
    bad = pictures("i2")
    bad[12, 0, 0, 0] = -1
    peer = AdaptiveHistogramEqualizer(n_tiles=2, convention="skimage")
    with pytest.raises(ValueError, match=r"negative.*image\(s\) 12,"):
        peer.transform(by_images(bad)).compute()


def test_what_is_wrong_at_once_is_said_at_once():
    X, counter = watched(pictures())
    fitted = new("dataset").fit(pictures())
    for call, match in [
        (lambda: HistogramEqualizer(n_bins=0).fit(X), "n_bins=0"),
        (lambda: HistogramEqualizer(convention="opencv").transform(X.astype("f4")), "float32"),
        (lambda: HistogramEqualizer().fit(X[None]), "5 dimensions"),
        (lambda: HistogramEqualizer().fit(X[:, 0, 0, 0]), "2D array"),
        (lambda: HistogramEqualizer().fit(X[0, 0, 0, 0]), "2D array"),
        (lambda: HistogramEqualizer().fit(X[:0]), "0 sample"),
        (lambda: HistogramEqualizer().fit(X[:, :, :0]), "0 pixels"),
        (lambda: HistogramEqualizer().fit(X.astype("c16")), "[Cc]omplex"),
        (lambda: HistogramEqualizer(color="value").fit(X[:, :2]), "2 channel"),
        (lambda: fitted.transform(X[:, :2]), "2 channel"),
        (lambda: fitted.transform(X.astype("f4")), "float32.*uint8"),
        (lambda: HistogramEqualizer().fit(X[:, :, X[0, 0, :, 0] > 0]), "unknown"),
    ]:
        with pytest.raises(ValueError, match=match):
            call()
    assert counter.n == 0


def test_what_is_no_dask_array_is_refused():
    with pytest.raises(TypeError, match=r"X is a dask\..*Delayed.*expected a dask array"):
        HistogramEqualizer().fit(dask.delayed(pictures()))
    with pytest.raises(TypeError, match="mask is a"):
        HistogramEqualizer().fit(by_images(pictures()), mask=dask.delayed(np.ones(3, bool)))
    masked = da.ma.masked_equal(by_images(pictures()), 0)
    with pytest.raises(TypeError, match="MaskedArray"):
        HistogramEqualizer().fit(masked)


def test_what_only_could_be_dask_is_an_array():
    """As an xarray.DataArray in memory, which has no graph."""

    class Wrapper:
        def __array__(self, dtype=None, copy=None):
            return pictures()

        def __dask_graph__(self):
            return None

    assert_same(HistogramEqualizer().transform(Wrapper()), new("image").transform(pictures()))


def test_chunks_must_be_what_their_array_declares():
    x = pictures()
    for X in (
        by_images(x).map_blocks(lambda block: block / 2, dtype="u1", meta=np.empty((0,) * 4, "u1")),
        by_images(x).map_blocks(lambda block: block[:, :2], dtype="u1", meta=x[:0]),
    ):
        with pytest.raises(ValueError, match="declares uint8"):
            HistogramEqualizer().transform(X).compute()


def test_a_data_set_of_empty_chunks_teaches_nothing():
    X = unknown(pictures(), np.zeros(23, bool))
    assert HistogramEqualizer().transform(X).compute().shape == (0, 3, 12, 10)
    for name in ("dataset", "matcher"):
        with pytest.raises(ValueError, match="0 images"):
            new(name).fit(X)


# --- a cluster ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def client():
    distributed = pytest.importorskip("distributed", reason="the extra dask is not installed")
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=":0"
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def test_a_cluster_changes_nothing(client):
    x = pictures("f8", n=40)
    with dask.config.set(scheduler="distributed"):
        compare_all(x, ["image", "adaptive", *LEARNED])
        x[17, 1, 0, 0] = np.inf
        with pytest.raises(ValueError, match=r"inf.*image\(s\) 17,"):
            new("image").transform(by_images(x)).compute()


def test_a_task_is_sent_once_not_with_every_chunk():
    """The graph does not grow by the estimator's state with every chunk."""
    import cloudpickle

    x = faces(60, 1, 64, "u2")
    fitted = HistogramEqualizer(scope="dataset").fit(x)
    state = len(cloudpickle.dumps(fitted))
    X = da.zeros((6000, 1, 64, 64), dtype="u2", chunks=(60, 1, 64, 64))
    assert len(cloudpickle.dumps(fitted.transform(X).__dask_graph__())) < 3 * state
    (optimized,) = dask.optimize(fitted.transform(X))
    assert len(cloudpickle.dumps(dict(optimized.dask))) < 3 * state


def slow(block):
    time.sleep(0.05)
    return block


# Workers get this process' dask.config, so that a client in it would keep them from being started.


@contextmanager
def killed_soon(client):
    """A worker is killed while the block runs."""
    workers = client.run(os.getpid)
    assert len(workers) >= 2
    address, pid = min(workers.items())
    killer = threading.Timer(0.8, os.kill, (pid, signal.SIGKILL))
    killer.start()
    yield
    assert killer.finished.is_set()  # else it was killed when all was done
    assert address not in client.scheduler_info()["workers"]


def test_a_killed_worker_changes_nothing(client):
    """While chunks are counted; those that are mapped are tasks of the same kind."""
    x = pictures(n=60, c=1)
    X = by_images(x, 1).map_blocks(slow, dtype=x.dtype, meta=x[:0])
    expected = new("dataset").fit(x)
    with dask.config.set(scheduler="distributed"):
        with killed_soon(client):
            assert_same_state(new("dataset").fit(X), expected)
        assert_same(expected.transform(X).compute(), expected.transform(x))


def test_a_killed_worker_changes_nothing_in_one_image_of_many_chunks(client):
    def slowly(X):
        return X.map_blocks(slow, dtype=X.dtype, meta=np.empty((0, 0, 0), X.dtype))

    with dask.config.set(scheduler="distributed"), killed_soon(client):
        compare_parts(slowly)


# --- dask is not needed ---------------------------------------------------------------------------


def test_dask_is_not_imported_by_itself():
    code = """
import sys
import numpy as np
from sklearn_histeq import AdaptiveHistogramEqualizer, HistogramEqualizer, HistogramMatcher
from sklearn_histeq import LocalHistogramEqualizer
X = np.arange(256, dtype=np.uint8).reshape(4, 8, 8)
for estimator in (AdaptiveHistogramEqualizer(n_tiles=2), HistogramEqualizer(scope="dataset"),
                  HistogramMatcher(), LocalHistogramEqualizer(window=3)):
    estimator.fit_transform(X, mask=np.ones((4, 8, 8), bool))
print([name for name in ("dask", "distributed") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"
