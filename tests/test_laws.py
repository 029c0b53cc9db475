"""Laws that hold for every image, whatever the convention: no oracle needed."""

import copy
import pickle

import joblib
import numpy as np
import pytest
from _helpers import (
    CONVENTIONS,
    FLOAT_CONVENTIONS,
    assert_same,
    equalized,
    faces,
    on_all_engines,
    on_the_default_engine,
)
from _internals import set_block_size, set_work_per_thread
from _strategies import ALL, FLOATS, INTEGERS, few_examples, images, masked, n_bins, planes, seeds
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.base import clone

from sklearn_histeq import HistogramEqualizer

pytestmark = [pytest.mark.usefixtures("engine"), on_all_engines]

UINT8 = [np.dtype(np.uint8)]

#: Settings that take any dtype, every parameter in one of them.
SETTINGS = [
    {},
    {"n_bins": 7, "dtype": "float32"},
    {"convention": "numpy", "n_jobs": 2},
    {"output_distribution": "normal", "flatten": True},
]
SCOPES = [{"scope": "image"}, {"scope": "dataset"}]
by_settings = pytest.mark.parametrize("params", SETTINGS, ids=str)


# --- monotone -------------------------------------------------------------------------------------


def assert_monotone(plane, out):
    order = np.argsort(plane, axis=None, kind="stable")
    values = out.ravel()[order].astype(np.float64)
    # Straight lines end within a rounding error of the next point, above it too.
    slack = 4 * np.finfo(out.dtype).eps * np.abs(values).max() if out.dtype.kind == "f" else 0
    assert (np.diff(values) >= -slack).all()


@given(case=masked(planes()), n_bins=n_bins)
@pytest.mark.parametrize("distribution", ["uniform", "normal"])
def test_darker_stays_darker(distribution, case, n_bins):
    plane, mask = case
    out = equalized(plane, mask, n_bins=n_bins, output_distribution=distribution)
    assert_monotone(plane, out)


@given(case=masked(planes(UINT8)))
@pytest.mark.parametrize("convention", CONVENTIONS)
def test_darker_stays_darker_in_every_convention(convention, case):
    plane, mask = case
    assert_monotone(plane, equalized(plane, mask, convention=convention))


@given(plane=planes(), n_bins=n_bins)
@pytest.mark.parametrize("convention", FLOAT_CONVENTIONS)
def test_equal_pixels_stay_equal_and_values_stay_in_range(convention, plane, n_bins):
    out = equalized(plane, convention=convention, n_bins=n_bins)
    top = 1 if convention == "skimage" else 255
    assert (out > 0).all()
    # 255 * cdf / cdf[-1] may round up to the next double, in the recipe itself
    assert (out <= np.nextafter(out.dtype.type(top), 256)).all() if top == 255 else out.max() <= 1
    for level in np.unique(plane)[:20]:
        assert len(np.unique(out[plane == level])) == 1


# --- images do not know of each other -------------------------------------------------------------


@few_examples
@given(x=images())
@by_settings
def test_a_batch_is_the_stack_of_its_images(params, x):
    estimator = HistogramEqualizer(**params)
    singles = [estimator.fit_transform(image[None]) for image in x]
    assert_same(estimator.fit_transform(x), np.concatenate(singles))


@few_examples
@given(x=images(), seed=seeds)
@by_settings
def test_order_and_neighbours_do_not_matter(params, x, seed):
    estimator = HistogramEqualizer(**params)
    order = np.random.default_rng(seed).integers(0, len(x), 5)  # with repetitions
    assert_same(estimator.fit_transform(x[order]), estimator.fit_transform(x)[order])


@given(x=images())
def test_channels_are_equalised_apart(x):
    out = HistogramEqualizer().fit_transform(x)
    for c in range(x.shape[1]):
        assert_same(out[:, c], HistogramEqualizer().fit_transform(x[:, c]))


@given(plane=planes(), seed=seeds, n_bins=n_bins)
def test_pixels_may_change_places(plane, seed, n_bins):
    order = np.random.default_rng(seed).permutation(plane.size)
    row = plane.reshape(1, -1)
    assert_same(equalized(row[:, order], n_bins=n_bins), equalized(row, n_bins=n_bins)[:, order])


def test_a_mask_belongs_to_its_own_image():
    x = faces(4, 2)
    mask = np.random.default_rng(1).random((4, 8, 8)) < 0.5
    out = HistogramEqualizer().transform(x, mask=mask)
    for i in range(4):
        assert_same(
            out[i : i + 1], HistogramEqualizer().transform(x[i : i + 1], mask=mask[i : i + 1])
        )


# --- threads and blocks ---------------------------------------------------------------------------


@few_examples
@given(x=images(max_n=7))
@pytest.mark.parametrize("scope", SCOPES, ids=str)
def test_n_jobs_changes_nothing(scope, x):
    one = HistogramEqualizer(n_jobs=1, **scope).fit_transform(x)
    for n_jobs in (2, 3, -1, None):
        assert_same(HistogramEqualizer(n_jobs=n_jobs, **scope).fit_transform(x), one)


@pytest.fixture
def many_threads(monkeypatch):
    """Even a small batch is shared by n_jobs threads."""
    set_work_per_thread(monkeypatch, 1)


@pytest.mark.parametrize("scope", SCOPES, ids=str)
@pytest.mark.parametrize("dtype", ["u1", "u2", "f4", "f8"])
def test_n_jobs_changes_nothing_where_images_are_shared(many_threads, dtype, scope):
    x = faces(11, 2, side=20, dtype=dtype)
    one = HistogramEqualizer(n_jobs=1, **scope).fit_transform(x)
    for n_jobs in (2, 5):
        assert_same(HistogramEqualizer(n_jobs=n_jobs, **scope).fit_transform(x), one)


def test_n_jobs_changes_nothing_under_masks_and_with_missing_pixels(many_threads):
    x = faces(11, 2, side=20, dtype="f4")
    x[::3, :, 10:14] = np.nan
    mask = np.random.default_rng(0).random((11, 20, 20)) < 0.7
    one = HistogramEqualizer(n_jobs=1).transform(x, mask=mask)
    assert_same(HistogramEqualizer(n_jobs=4).transform(x, mask=mask), one)


@on_the_default_engine
def test_a_joblib_context_changes_nothing():
    x = faces(24, 2, side=150)  # enough pixels for threads
    expected = HistogramEqualizer().fit_transform(x)
    for backend in ("threading", "loky"):
        with joblib.parallel_config(backend=backend, n_jobs=2):
            assert_same(HistogramEqualizer().fit_transform(x), expected)


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("dtype", ["u1", "f4"])
@pytest.mark.parametrize("scope", SCOPES, ids=str)
def test_block_size_changes_nothing(monkeypatch, scope, dtype, n_jobs):
    x = faces(9, 2, dtype=dtype)
    mask = np.random.default_rng(0).random((9, 8, 8)) < 0.7
    estimator = HistogramEqualizer(n_jobs=n_jobs, **scope)
    expected = estimator.fit_transform(x, mask=mask)
    for n_pixels in (1, 300, 10**9):  # an image a block, a few, all
        set_block_size(monkeypatch, n_pixels)
        assert_same(estimator.fit_transform(x, mask=mask), expected)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_errors_name_the_same_images_whatever_the_blocks(monkeypatch, n_jobs):
    x = faces(9, 2, dtype="f4")
    x[[2, 7], 1, 0, 0] = np.inf
    for n_pixels in (1, 300, 10**9):
        set_block_size(monkeypatch, n_pixels)
        with pytest.raises(ValueError, match=r"inf.* 2, 7"):
            HistogramEqualizer(n_jobs=n_jobs).transform(x)


# --- input ----------------------------------------------------------------------------------------


@few_examples
@given(x=images())
@by_settings
def test_the_input_is_untouched(params, x):
    before = x.copy()
    x.flags.writeable = False  # a write would raise
    HistogramEqualizer(**params).fit_transform(x)
    assert_same(x, before)


@pytest.mark.parametrize("dtype", ["u1", "f8"])
def test_input_and_mask_are_untouched_by_everything(dtype):
    x, mask = faces(4, 3, dtype=dtype), np.ones((4, 8, 8), dtype=bool)
    mask[:, 0] = False
    x.flags.writeable = mask.flags.writeable = False
    for color in ("channels", "value", "luminance", "lightness"):
        HistogramEqualizer(color=color).fit_transform(x, mask=mask)
        HistogramEqualizer(color=color, scope="dataset").fit(x, mask=mask).transform(x, mask=mask)
        HistogramEqualizer(color=color, scope="dataset").partial_fit(x, mask=mask)
    learned = HistogramEqualizer(scope="dataset").fit(x)
    out = learned.transform(x)
    out.flags.writeable = False
    learned.inverse_transform(out)


# --- estimators come and go -----------------------------------------------------------------------

DUPLICATES = {
    "pickle": lambda e: pickle.loads(pickle.dumps(e)),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
}


@on_the_default_engine
@pytest.mark.parametrize("duplicate", DUPLICATES.values(), ids=DUPLICATES.keys())
@pytest.mark.parametrize("scope", SCOPES, ids=str)
@by_settings
def test_duplicates_do_the_same(params, scope, duplicate):
    x = faces(dtype="f4" if "n_bins" in params else "u1")
    fitted = HistogramEqualizer(**params, **scope).fit(x)
    other = duplicate(fitted)
    assert other.get_params() == fitted.get_params()
    assert_same(other.transform(x), fitted.transform(x))
    assert vars(other).keys() == vars(fitted).keys()


@on_the_default_engine
def test_a_pickled_estimator_goes_on_learning():
    x = faces(dtype="f8")
    straight = HistogramEqualizer(scope="dataset").partial_fit(x[:3])
    resumed = pickle.loads(pickle.dumps(straight)).partial_fit(x[3:])
    straight.partial_fit(x[3:])
    assert_same(resumed.transform(x), straight.transform(x))


@on_the_default_engine
def test_learning_on_does_not_reach_a_copy():
    x = faces(dtype="u1")
    estimator = HistogramEqualizer(scope="dataset").partial_fit(x[:3])
    before = copy.deepcopy(estimator)
    expected = before.transform(x)
    estimator.partial_fit(x[3:])
    assert_same(before.transform(x), expected)


@on_the_default_engine
@by_settings
def test_clones_are_unfitted_and_do_the_same(params):
    x = faces()
    fitted = HistogramEqualizer(scope="dataset", **params).fit(x)
    other = clone(fitted)
    assert [name for name in vars(other) if name.endswith("_") and name[0] != "_"] == []
    assert_same(other.fit(x).transform(x), fitted.transform(x))


@on_the_default_engine
def test_set_params_is_heard():
    x = faces()
    estimator = HistogramEqualizer().fit(x)
    estimator.set_params(convention="opencv")
    assert_same(estimator.transform(x), HistogramEqualizer(convention="opencv").fit_transform(x))


@on_the_default_engine
def test_fit_changes_no_parameter():
    params = {"image_shape": [8, 8], "dtype": "uint8", "n_bins": np.int64(7), "flatten": True}
    estimator = HistogramEqualizer(**params)
    estimator.fit_transform(faces().reshape(6, -1))
    for name, value in params.items():
        assert getattr(estimator, name) is value


# --- with nothing to learn ------------------------------------------------------------------------


@on_the_default_engine
@few_examples
@given(x=images())
@by_settings
def test_transform_needs_no_fit(params, x):
    assert_same(
        HistogramEqualizer(**params).transform(x), HistogramEqualizer(**params).fit_transform(x)
    )


@on_the_default_engine
def test_fit_of_image_scope_reads_no_pixel():
    """Infinity is an error where it is seen: fit, with nothing to learn, does not look."""
    x = faces(dtype="f8")
    x[2, 0, 3, 3] = np.inf
    HistogramEqualizer().fit(x)


@on_the_default_engine
def test_fit_of_one_batch_leaves_nothing_for_the_next():
    x, other = faces(dtype="f4"), faces(9, dtype="f4", seed=5)
    estimator = HistogramEqualizer(scope="dataset")
    estimator.fit(other)
    assert_same(
        estimator.fit(x).transform(x), HistogramEqualizer(scope="dataset").fit(x).transform(x)
    )
    assert estimator.n_samples_seen_ == 6


# --- of what remains the same ---------------------------------------------------------------------


@given(plane=planes([np.dtype("u1"), np.dtype("i2"), np.dtype("i8")], max_side=16))
def test_levels_may_be_renamed_in_order(plane):
    """Only the order of integer levels counts."""
    _, ranks = np.unique(plane, return_inverse=True)
    renamed = (3 * ranks.reshape(plane.shape) ** 2).astype(np.uint32)
    assert_same(equalized(renamed), equalized(plane))


@given(plane=planes([np.dtype("u1"), np.dtype("u2")], max_side=20))
def test_what_is_equalised_stays_so(plane):
    """Where no two levels round to one, the second equalization finds nothing to do."""
    once = equalized(plane, dtype="uint16")
    assert_same(equalized(once, dtype="uint16"), once)
    assert_same(equalized(once), equalized(plane))


@given(plane=planes([np.dtype("f4"), np.dtype("f8")], fills=None), power=st.integers(-3, 3))
@pytest.mark.parametrize("convention", FLOAT_CONVENTIONS)
def test_gain_by_a_power_of_two_changes_no_bit(convention, plane, power):
    info = np.finfo(plane.dtype)
    # away from where numbers lose bits or overflow
    nonzero = np.abs(plane[plane != 0])
    assume(nonzero.size == 0 or (nonzero.min() > info.smallest_normal * 2**30))
    assume(nonzero.size == 0 or nonzero.max() < info.max / 2**30)
    scaled = plane * plane.dtype.type(2.0**power)
    assert_same(equalized(scaled, convention=convention), equalized(plane, convention=convention))


@given(x=images())
def test_byte_order_changes_nothing(x):
    swapped = x.astype(x.dtype.newbyteorder("S"))
    assert_same(HistogramEqualizer().fit_transform(swapped), HistogramEqualizer().fit_transform(x))


@on_the_default_engine
def test_all_dtypes_are_tried():
    assert len(ALL) == 1 + len(INTEGERS) + len(FLOATS)
