"""Pickles: estimators and the work on chunks of dask arrays give the same bits in other processes.

Records such as conventions are compared by identity. A copy of a record would count as another
convention, in silence.
"""

import multiprocessing
import pickle
from concurrent.futures import ProcessPoolExecutor
from itertools import product

import numpy as np
import pytest
from _helpers import assert_same, faces

from sklearn_histeq import (
    AdaptiveHistogramEqualizer,
    HistogramEqualizer,
    HistogramMatcher,
    LocalHistogramEqualizer,
)
from sklearn_histeq._arithmetic.color_modes import MODES as COLORS
from sklearn_histeq._clahe.conventions import CONVENTIONS as CLAHE
from sklearn_histeq._equalize.conventions import CONVENTIONS as EQUALIZE
from sklearn_histeq._local.conventions import CONVENTIONS as LOCAL
from sklearn_histeq._match.conventions import CONVENTIONS as MATCH

REFERENCE = faces(1, 3, 10, seed=9)[0]
ESTIMATORS = {
    **{name: HistogramEqualizer(convention=name) for name in ("skimage", "numpy")},
    **{name: HistogramEqualizer(convention=name) for name in ("opencv", "pillow")},
    "normal": HistogramEqualizer(output_distribution="normal"),
    "dataset": HistogramEqualizer(scope="dataset"),
    "dataset numpy": HistogramEqualizer(scope="dataset", convention="numpy"),
    "dataset opencv": HistogramEqualizer(scope="dataset", convention="opencv"),
    **{
        f"clahe {name}": AdaptiveHistogramEqualizer(n_tiles=3, convention=name)
        for name in ("histeq", "skimage", "opencv")
    },
    "one tile": AdaptiveHistogramEqualizer(n_tiles=1, clip_limit=None),
    "range": HistogramEqualizer(n_bins=40, value_range="dtype"),
    "quantiles": HistogramEqualizer(convention="numpy", quantile_range=(5, 90)),
    "dataset range": HistogramEqualizer(scope="dataset", n_bins=40, value_range=[0, 9]),
    "clahe range": AdaptiveHistogramEqualizer(n_tiles=3, value_range=np.array([0, 9.5])),
    "clahe skimage quantiles": AdaptiveHistogramEqualizer(
        n_tiles=3, convention="skimage", quantile_range=(5, 90)
    ),
    **{
        f"local {name}": LocalHistogramEqualizer(window=5, convention=name)
        for name in ("histeq", "skimage")
    },
    "matcher": HistogramMatcher(),
    "reference": HistogramMatcher(reference=REFERENCE),
    "landmarks": HistogramMatcher(landmarks=(0, 50, 100)),
    "strength": HistogramMatcher(strength=0.3),
    "strength of equalization": HistogramEqualizer(strength=0.3, value_range="dtype", n_bins=9),
}
ONLY = {
    "opencv": ["u1"],
    "pillow": ["u1"],
    "dataset opencv": ["u1"],
    "clahe opencv": ["u1", "u2"],
    "local skimage": ["u1", "u2"],
    # bool may have one level, in which no two landmarks differ
    "landmarks": ["u1", "u2", "i2", "i4", "u8", "f2", "f4", "f8", ">f4"],
}
# a dtype of each class that is computed differently
DTYPES = ["?", "u1", "u2", "i2", "i4", "u8", "f2", "f4", "f8", ">f4"]
MODES = ["luminance", "lightness"]


def has_mode(name, dtype, color):
    """Whether an estimator takes images of a dtype in a mode of colours."""
    if name == "landmarks":
        return color == "channels"
    if color == "lightness":
        lacking = [("clahe opencv", "u2")]
        return name not in ("normal", "pillow", "local skimage") and (name, dtype) not in lacking
    # the reference is one of bytes
    return color != "luminance" or (name != "normal" and (name != "reference" or dtype == "u1"))


CASES = [
    (name, dtype, color)
    for name, dtype, color in product(ESTIMATORS, DTYPES, ["channels", "value", *MODES])
    if dtype in ONLY.get(name, DTYPES) and has_mode(name, dtype, color)
]


def case(name, dtype, color):
    """A fitted estimator and its images."""
    x = faces(5, 3, 12, dtype, seed=4)
    return pickle.loads(pickle.dumps(ESTIMATORS[name])).set_params(color=color).fit(x), x


@pytest.mark.parametrize(
    "record",
    [*EQUALIZE.values(), *CLAHE.values(), *LOCAL.values(), *MATCH.values(), *COLORS.values()],
    ids=lambda record: f"{type(record).__name__}-{record.name}",
)
def test_a_record_is_the_same_after_a_pickle(record):
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        assert pickle.loads(pickle.dumps(record, protocol)) is record


def transform(pickled):
    """The results of pickled pairs of an estimator and images."""
    return [estimator.transform(x) for estimator, x in pickle.loads(pickled)]


@pytest.fixture(scope="module")
def pool():
    """Other processes, which know nothing of this one."""
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as found:
        yield found


@pytest.fixture(scope="module")
def cases():
    return [case(*of_case) for of_case in CASES]


@pytest.fixture(scope="module")
def expected(cases):
    return [estimator.transform(x) for estimator, x in cases]


def test_estimators_in_another_process(pool, cases, expected):
    found = pool.submit(transform, pickle.dumps(cases)).result()
    for of_case, one, wanted in zip(CASES, found, expected):
        np.testing.assert_array_equal(one, wanted, str(of_case), strict=True)


def test_chunks_of_dask_in_other_processes(pool, cases, expected):
    dask = pytest.importorskip("dask", reason="the extra dask is not installed")
    da = pytest.importorskip("dask.array", reason="the extra dask is not installed")
    lazy = [e.transform(da.from_array(x, chunks=(2, *x.shape[1:]))) for e, x in cases]
    found = dask.compute(*lazy, scheduler="processes", pool=pool)
    for of_case, one, wanted in zip(CASES, found, expected):
        np.testing.assert_array_equal(one, wanted, str(of_case), strict=True)


@pytest.mark.parametrize("dtype", DTYPES)
def test_learning_from_chunks_in_other_processes(pool, dtype):
    dask = pytest.importorskip("dask", reason="the extra dask is not installed")
    da = pytest.importorskip("dask.array", reason="the extra dask is not installed")
    x = faces(5, 3, 12, dtype, seed=4)
    for name in ("dataset", "matcher"):
        with dask.config.set(scheduler="processes", pool=pool):
            learned = ESTIMATORS[name].fit(da.from_array(x, chunks=(2, *x.shape[1:])))
        assert_same(learned.transform(x), ESTIMATORS[name].fit(x).transform(x))
