"""scope="dataset": one CDF per channel, the convention on one long plane of all counted pixels."""

import pickle
import re
import warnings

import numpy as np
import pytest
from _helpers import (
    CONVENTIONS,
    FLOAT_CONVENTIONS,
    assert_same,
    faces,
    on_all_engines,
    on_the_default_engine,
)
from _internals import needs_kernels, set_work_per_thread
from _oracles import is_missing, learned, plain
from _strategies import ALL, BOOL, INTEGERS, few_examples, images, n_bins
from hypothesis import given
from hypothesis import strategies as st
from skimage.exposure import cumulative_distribution
from sklearn.exceptions import NotFittedError

from sklearn_histeq import HistogramEqualizer

pytestmark = [pytest.mark.usefixtures("engine"), on_all_engines]

EXACT = [BOOL, *INTEGERS]
shares_of_batches = st.floats(0, 1)  # of the images, those in the first of two batches


def dataset(**params):
    return HistogramEqualizer(scope="dataset", **params)


def expected(train, new, mask=None, **kwargs):
    """Channel by channel; a mask becomes missing pixels by taking the counted ones alone."""
    counted = np.ones(train[:, 0].shape, dtype=bool) if mask is None else mask
    channels = [learned(train[:, c][counted], new[:, c], **kwargs) for c in range(train.shape[1])]
    return np.stack(channels, axis=1)


# --- fit ------------------------------------------------------------------------------------------


@given(x=images(), n_bins=n_bins)
@pytest.mark.parametrize("convention", FLOAT_CONVENTIONS)
def test_fit_is_the_convention_on_one_long_plane(convention, x, n_bins):
    params = {"convention": convention, "n_bins": n_bins}
    assert_same(dataset(**params).fit_transform(x), expected(x, x, **params))


@given(x=images([np.dtype("u1")], max_n=5))
@pytest.mark.parametrize("convention", ["opencv", "pillow"])
def test_fit_is_the_convention_on_one_long_8_bit_plane(convention, x):
    assert_same(
        dataset(convention=convention).fit_transform(x), expected(x, x, convention=convention)
    )


@pytest.mark.filterwarnings("ignore:X has values from:UserWarning")
@given(x=images(max_n=6), n_bins=n_bins, share=shares_of_batches)
@pytest.mark.parametrize("convention", FLOAT_CONVENTIONS)
def test_other_images_are_mapped_as_pixels_outside_a_mask(convention, x, n_bins, share):
    train, new = x[: max(1, round(share * len(x)))], x
    params = {"convention": convention, "n_bins": n_bins}
    assert_same(dataset(**params).fit(train).transform(new), expected(train, new, **params))


@pytest.mark.parametrize("convention", ["opencv", "pillow"])
def test_other_8_bit_images_are_mapped_as_pixels_outside_a_mask(convention):
    train = faces(5, 2, side=20)[:, :, :, :] // 2 * 2
    new = np.arange(256, dtype=np.uint8).reshape(1, 1, 16, 16).repeat(2, axis=1)
    out = dataset(convention=convention).fit(train).transform(new)
    assert_same(out, expected(train, new, convention=convention))


@pytest.mark.parametrize("dtype", ["u1", "f4", "f8"])
def test_normal_quantiles_are_learned_too(dtype):
    x = faces(6, 2, dtype=dtype)
    out = dataset(output_distribution="normal").fit_transform(x)
    reference = expected(x, x, normal=True)
    assert out.dtype == reference.dtype
    np.testing.assert_allclose(out, reference, rtol=1e-5 if dtype == "f4" else 1e-9, atol=1e-6)
    assert np.isfinite(out).all()


@pytest.mark.parametrize(
    ("convention", "dtype"),
    [*((convention, "u1") for convention in CONVENTIONS), ("skimage", "f8"), ("numpy", "f8")],
)
def test_masks_choose_what_is_learned(convention, dtype):
    x = faces(6, 2, dtype=dtype)
    mask = np.random.default_rng(0).random((6, 8, 8)) < 0.4
    fitted = dataset(convention=convention).fit(x, mask=mask)
    assert_same(fitted.transform(x), expected(x, x, mask, convention=convention))
    # what is learned does not depend on the mask of what is transformed
    assert_same(fitted.transform(x, mask=~mask), fitted.transform(x))


@on_the_default_engine
def test_fit_transform_is_fit_and_transform_with_the_mask():
    x = faces(6, 2)
    mask = np.random.default_rng(0).random((6, 8, 8)) < 0.4
    assert_same(
        dataset().fit_transform(x, mask=mask), dataset().fit(x, mask=mask).transform(x, mask=mask)
    )


def test_missing_pixels_are_not_learned():
    x = faces(6, 2, dtype="f8")
    x[::2, :, :3] = np.nan
    out = dataset().fit_transform(x)
    assert_same(out, expected(x, x))
    assert_same(np.isnan(out), np.isnan(x))


def test_an_image_of_missing_pixels_counts_nothing():
    x = faces(6, 2, dtype="f8")
    fitted = dataset().fit(x[:5])
    x[5] = np.nan
    assert_same(dataset().fit(x).transform(x[:5]), fitted.transform(x[:5]))


def test_one_image_stays_brighter_than_another():
    x = faces(12, dtype="f8")
    before = x.mean(axis=(1, 2, 3))
    after = dataset().fit_transform(x).mean(axis=(1, 2, 3))
    assert np.corrcoef(before, after)[0, 1] > 0.95


def test_every_channel_has_a_cdf_of_its_own():
    x = faces(6, 3)
    whole = dataset().fit_transform(x)
    for c in range(3):
        assert_same(whole[:, c], dataset().fit_transform(x[:, c]))


@on_the_default_engine
def test_layouts_learn_the_same():
    x = faces(6, 3)
    out = dataset().fit_transform(x)
    last = dataset(channel_axis=-1).fit_transform(np.moveaxis(x, 1, -1))
    assert_same(np.moveaxis(last, -1, 1), out)
    rows = dataset(image_shape=(3, 8, 8)).fit_transform(x.reshape(6, -1))
    assert_same(rows, out.reshape(6, -1))
    assert_same(dataset(flatten=True).fit_transform(x), out.reshape(6, -1))


# --- fitted attributes ----------------------------------------------------------------------------


def check_curves(fitted, n_channels):
    for curves in (fitted.cdf_, fitted.bin_centers_):
        assert isinstance(curves, list)
        assert len(curves) == n_channels
        assert all(curve.ndim == 1 for curve in curves)
    for cdf, centers in zip(fitted.cdf_, fitted.bin_centers_, strict=True):
        assert cdf.shape == centers.shape
        assert (np.diff(cdf) >= 0).all()
        assert (centers[1:] > centers[:-1]).all()
        assert cdf[0] > 0
        assert cdf[-1] == 1


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_integers_hold_their_counted_levels_only(convention):
    x = faces(6, 2)
    fitted = dataset(convention=convention).fit(x)
    check_curves(fitted, 2)
    for c in range(2):
        levels, counts = np.unique(x[:, c], return_counts=True)
        np.testing.assert_array_equal(fitted.bin_centers_[c], levels)
        np.testing.assert_array_equal(fitted.cdf_[c], counts.cumsum() / counts.sum())


@pytest.mark.parametrize("convention", FLOAT_CONVENTIONS)
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
def test_floats_hold_skimages_cdf(dtype, convention):
    x = faces(6, 2, dtype=dtype)
    for number in ("auto", 1, 16):
        fitted = dataset(convention=convention, n_bins=number).fit(x)
        check_curves(fitted, 2)
        for c in range(2):
            known = cumulative_distribution(plain(x[:, c]), 256 if number == "auto" else number)
            np.testing.assert_array_equal(fitted.cdf_[c], known[0])
            np.testing.assert_array_equal(fitted.bin_centers_[c], known[1])


@pytest.mark.parametrize(
    ("dtype", "learned_dtype"), [("f2", "f4"), (">f2", "f4"), (">f8", "f8"), ("b1", "u1")]
)
def test_what_is_learned_has_the_dtype_of_computing(dtype, learned_dtype):
    x = np.full((2, 1, 2, 2), 0.5).astype(dtype)
    assert dataset().fit(x).bin_centers_[0].dtype == np.dtype(learned_dtype)


@pytest.mark.parametrize("zeros", [[0.0, -0.0], [-0.0, 0.0]])
def test_zeros_of_both_signs_are_one_level(zeros):
    tiny = 5e-324  # no bins fit between, so that values are learned as they are
    x = np.array([*zeros, tiny, *zeros]).reshape(1, 1, 1, -1)
    levels = dataset().fit(x).bin_centers_[0]
    assert levels.tolist() == [0, tiny]
    assert not np.signbit(levels).any()


@on_the_default_engine
def test_fit_counts_images():
    x = faces(6, 2)
    assert dataset().fit(x).n_samples_seen_ == 6
    assert dataset().partial_fit(x).partial_fit(x[:2]).n_samples_seen_ == 8
    assert dataset().fit(x).partial_fit(x[:2]).n_samples_seen_ == 8
    assert not hasattr(HistogramEqualizer().fit(x), "n_samples_seen_")
    assert not hasattr(HistogramEqualizer().fit(x), "cdf_")


# --- partial_fit ----------------------------------------------------------------------------------


def in_batches(x, sizes, **params):
    estimator, start = dataset(**params), 0
    for size in sizes:
        estimator.partial_fit(x[start : start + size])
        start += size
    return estimator


@given(x=images(EXACT, max_n=6), n_bins=n_bins, share=shares_of_batches)
@pytest.mark.parametrize("convention", FLOAT_CONVENTIONS)
def test_partial_fit_is_exact_for_integers(convention, x, n_bins, share):
    first = round(share * len(x))
    params = {"convention": convention, "n_bins": n_bins}
    whole = dataset(**params).fit(x)
    parts = in_batches(x, [size for size in (first, len(x) - first) if size], **params)
    assert_same(parts.transform(x), whole.transform(x))
    for attribute in ("cdf_", "bin_centers_"):
        for mine, theirs in zip(getattr(parts, attribute), getattr(whole, attribute), strict=True):
            np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize("convention", ["opencv", "pillow"])
def test_partial_fit_is_exact_in_8_bits(convention):
    x = faces(6, 2)
    whole = dataset(convention=convention).fit(x)
    assert_same(in_batches(x, [1, 2, 3], convention=convention).transform(x), whole.transform(x))


def test_partial_fit_after_fit_continues():
    x = faces(6, 2)
    continued = dataset().fit(x[:4]).partial_fit(x[4:])
    assert_same(continued.transform(x), dataset().fit(x).transform(x))
    x = faces(60, 2, dtype="f8")
    continued = dataset().fit(x[:40]).partial_fit(x[40:])
    assert_close(continued, dataset().fit(x), 2e-3)


@on_the_default_engine
def test_fit_after_partial_fit_starts_anew():
    x = faces(6, 2)
    estimator = dataset().partial_fit(x[:4]).fit(x[4:])
    assert_same(estimator.transform(x), dataset().fit(x[4:]).transform(x))


@pytest.mark.parametrize("dtype", ["u1", "f8"])
def test_partial_fit_takes_masks(dtype):
    x = faces(60, 2, dtype=dtype)
    mask = np.random.default_rng(0).random((60, 8, 8)) < 0.4
    parts = dataset().partial_fit(x[:20], mask=mask[:20]).partial_fit(x[20:], mask=mask[20:])
    assert_close(parts, dataset().fit(x, mask=mask), 0 if dtype == "u1" else 2e-3)


def assert_close(fitted, other, tolerance):
    """The same curves, up to counts that fall into the next bin."""
    for mine, theirs in zip(fitted.bin_centers_, other.bin_centers_, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-3 * np.ptp(theirs))
    for mine, theirs in zip(fitted.cdf_, other.cdf_, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=tolerance)


@pytest.mark.parametrize("n_bins", ["auto", 2, 16, 1000])
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
def test_float_batches_come_to_the_cdf_of_fit(dtype, n_bins):
    x = faces(200, 2, dtype=dtype)
    whole = dataset(n_bins=n_bins).fit(x)
    # float16 has few values, whole heaps of which lie near an edge
    tolerance = 0.02 if dtype == "f2" else 2e-3
    assert_close(in_batches(x, [50, 1, 99, 50], n_bins=n_bins), whole, tolerance)


def shares(fitted, thresholds):
    """The share of pixels below each threshold, as the learned curve tells it."""
    return np.interp(thresholds, fitted.bin_centers_[0], fitted.cdf_[0])


def test_a_wider_batch_loses_no_pixel():
    rng = np.random.default_rng(0)
    narrow = rng.random((10, 1, 20, 20))
    for factor in (3.0, 1000.0, 1e9, -1000.0):
        wide = factor * rng.random((30, 1, 20, 20))
        fitted = dataset().partial_fit(narrow).partial_fit(wide)
        check_curves(fitted, 1)
        assert_close(fitted, dataset().fit(np.concatenate([narrow, wide])), 4e-3)


def test_batches_thirty_orders_of_magnitude_apart_lose_no_pixel():
    fitted = dataset().partial_fit(1e-30 * np.ones((1, 1, 10, 10)))
    fitted.partial_fit(np.linspace(0.5e30, 1e30, 300).reshape(3, 1, 10, 10))
    check_curves(fitted, 1)
    np.testing.assert_allclose(shares(fitted, [1e29, 0.75e30]), [0.25, 0.625], atol=0.01)
    fitted.partial_fit(np.linspace(-1e30, -0.5e30, 400).reshape(4, 1, 10, 10))
    check_curves(fitted, 1)
    np.testing.assert_allclose(shares(fitted, [-0.2e30, 0.2e30]), [0.5, 0.625], atol=0.01)
    assert fitted.n_samples_seen_ == 8
    np.testing.assert_allclose(
        [fitted.bin_centers_[0][0], fitted.bin_centers_[0][-1]], [-1e30, 1e30], rtol=0.02
    )


@pytest.mark.parametrize(
    "scales", [(1e30, 1e-30), (1e-300, 1e300), (-1e-30, 1e-30, 1e30), (1e300, -1e300)]
)
def test_any_order_of_scales_loses_no_pixel(scales):
    """Equal batches at different heights: each step of the CDF is one batch's share."""
    rng = np.random.default_rng(0)
    fitted = dataset()
    for scale in scales:
        fitted.partial_fit(scale * (0.75 + 0.25 * rng.random((2, 1, 30, 30))))
    check_curves(fitted, 1)
    assert all(np.isfinite(curve).all() for curve in (*fitted.cdf_, *fitted.bin_centers_))
    largest = max(scales)
    n_below = sum(scale < largest / 2 for scale in scales)
    assert shares(fitted, [0.5 * largest])[0] == pytest.approx(n_below / len(scales), abs=0.02)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_batches_of_extreme_range_keep_the_curve_finite(dtype):
    largest = np.finfo(dtype).max
    fitted = dataset()
    for value in (0, largest, -largest, np.finfo(dtype).smallest_subnormal):
        fitted.partial_fit(np.full((1, 1, 4, 4), value, dtype=dtype))
    check_curves(fitted, 1)
    out = fitted.transform(np.array([-largest, 0, largest], dtype=dtype).reshape(1, 1, 1, 3))
    assert np.isfinite(out).all()
    assert (np.diff(out.ravel()) >= 0).all()
    assert out.max() == 1


def test_a_batch_of_wider_floats_loses_no_pixel():
    narrow = faces(4, 1, dtype="f4")
    fitted = dataset().partial_fit(narrow).partial_fit(1e300 * faces(4, 1, dtype="f8"))
    check_curves(fitted, 1)
    assert np.isfinite(fitted.bin_centers_[0]).all()
    assert shares(fitted, [1e298])[0] == pytest.approx(0.5, abs=0.02)
    assert fitted.transform(narrow).max() == pytest.approx(0.5, abs=0.02)


def test_constant_batches():
    flat = np.full((2, 1, 5, 5), 0.3)
    fitted = dataset().partial_fit(flat).partial_fit(flat)
    assert_same(fitted.transform(flat), np.ones(flat.shape))
    fitted.partial_fit(np.full((4, 1, 5, 5), 0.7))
    check_curves(fitted, 1)
    np.testing.assert_allclose(fitted.transform(np.full((1, 1, 1, 1), 0.3)), 0.5, atol=0.01)
    np.testing.assert_allclose(fitted.transform(np.full((1, 1, 1, 1), 0.7)), 1, atol=1e-12)


@on_the_default_engine
def test_memory_does_not_grow_with_the_number_of_float_batches():
    rng = np.random.default_rng(0)
    estimator = dataset()
    sizes = []
    for i in range(40):
        estimator.partial_fit((1 + i % 7) * rng.normal(size=(2, 1, 16, 16)))
        sizes.append(len(pickle.dumps(estimator)))
    # the numbers of images and pixels take a byte more now and then
    assert max(sizes) <= sizes[0] + 200


@on_the_default_engine
@needs_kernels  # the definition takes many bytes per pixel
def test_32_bits_do_not_count_all_pixels_of_a_level():
    """2**31 zeros and more, which take no memory, as nobody writes them."""
    x = np.zeros((1, 2**16, 2**15 + 1), np.uint8)
    x[0, 0, 0] = 9
    fitted = dataset().fit(x)
    assert fitted.bin_centers_[0].tolist() == [0, 9]
    assert fitted.cdf_[0].tolist() == [(x.size - 1) / x.size, 1]


@on_the_default_engine
def test_memory_does_not_grow_with_the_number_of_8_bit_batches():
    estimator = dataset()
    sizes = []
    for i in range(40):
        estimator.partial_fit(np.roll(np.arange(256, dtype=np.uint8), i).reshape(1, 1, 16, 16))
        sizes.append(len(pickle.dumps(estimator)))
    assert max(sizes) <= sizes[0] + 200


@pytest.mark.parametrize("dtype", ["u1", "i4"])
def test_the_order_of_integer_batches_does_not_matter(dtype):
    x = faces(6, 2, dtype=dtype)
    assert_same(in_batches(x[::-1], [2, 4]).transform(x), in_batches(x, [3, 3]).transform(x))


def test_the_order_of_float_batches_matters_little():
    x = faces(200, 1, dtype="f8") * np.linspace(1, 20, 200)[:, None, None, None]
    assert_close(in_batches(x[::-1], [100, 100]), in_batches(x, [20, 180]), 4e-3)


@given(x=images([np.dtype("f4"), np.dtype("f8")], max_n=6), share=shares_of_batches)
def test_the_state_of_float_batches_depends_on_their_pixels_alone(x, share):
    """Images of one pixel, in two batches at any place, or in one batch."""
    pixels = x[~np.isnan(x)].reshape(-1, 1, 1, 1)
    at = round(share * len(pixels))
    whole = dataset().partial_fit(pixels)
    parts = in_batches(pixels, [size for size in (at, len(pixels) - at) if size])
    for attribute in ("cdf_", "bin_centers_"):
        assert_same(getattr(parts, attribute)[0], getattr(whole, attribute)[0])


def test_float_batches_follow_the_mask_and_missing_pixels():
    x = faces(60, 1, dtype="f8")
    holed = x.copy()
    holed[:, :, :4] = np.nan
    assert_close(in_batches(holed, [30, 30]), in_batches(x[:, :, 4:], [30, 30]), 1e-12)


def test_float_batches_in_the_numpy_convention():
    x = faces(200, 1, dtype="f8")
    whole = dataset(convention="numpy").fit(x).transform(x)
    parts = in_batches(x, [100, 100], convention="numpy").transform(x)
    np.testing.assert_allclose(parts, whole, atol=255 * 6e-3)


@on_the_default_engine
def test_partial_fit_returns_the_estimator_and_takes_y():
    estimator = dataset()
    assert estimator.partial_fit(faces(), [0] * 6) is estimator


def test_n_jobs_learns_the_same_from_batches(monkeypatch):
    set_work_per_thread(monkeypatch, 1)
    for dtype in ("u1", "f4"):
        x = faces(8, 2, dtype=dtype)
        shared, alone = (in_batches(x, [4, 4], n_jobs=n_jobs) for n_jobs in (2, 1))
        assert_same(shared.transform(x), alone.transform(x))


# --- inverse_transform ----------------------------------------------------------------------------


@given(x=images([np.dtype("u1"), np.dtype("i2"), np.dtype("bool"), np.dtype(">u4")], max_n=4))
@pytest.mark.parametrize("convention", FLOAT_CONVENTIONS)
def test_counted_integer_levels_come_back_exactly(convention, x):
    fitted = dataset(convention=convention).fit(x)
    out = fitted.transform(x)
    # two levels that the 256 bins of the recipe map to one value cannot come back apart
    if all(len(np.unique(out[:, c])) == len(np.unique(x[:, c])) for c in range(x.shape[1])):
        back = fitted.inverse_transform(out)
        assert_same(back, x.astype(np.float64))


@pytest.mark.parametrize("convention", FLOAT_CONVENTIONS)
def test_levels_with_gaps_between_them_come_back_exactly(convention):
    x = np.array([3, 4, 90, 91, 200, 200, 3, 255], dtype=np.uint8).reshape(2, 1, 2, 2)
    fitted = dataset(convention=convention).fit(x)
    assert_same(fitted.inverse_transform(fitted.transform(x)), x.astype(np.float64))


def test_levels_beyond_what_their_type_is_scaled_by_come_back_exactly():
    x = np.random.default_rng(0).integers(-(2**52), 2**52, (4, 1, 9, 9))
    fitted = dataset().fit(x)
    assert_same(fitted.inverse_transform(fitted.transform(x)), x.astype(np.float64))


@pytest.mark.parametrize("convention", FLOAT_CONVENTIONS)
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_floats_come_back_to_their_bin(dtype, convention):
    x = faces(20, 2, dtype=dtype)
    fitted = dataset(convention=convention).fit(x)
    out = fitted.transform(x)
    back = fitted.inverse_transform(out)
    assert back.shape == x.shape
    assert back.dtype == (np.float32 if out.dtype == np.float32 else np.float64)
    np.testing.assert_allclose(back, x, atol=2 / 256)
    # and from there to where they were
    np.testing.assert_allclose(fitted.transform(back.astype(dtype)), out, atol=2e-3 * out.max())


def test_uncounted_bins_are_dropped():
    """Values between two heaps come back between them, not at the end of an empty stretch."""
    x = np.concatenate([np.zeros(50), np.full(50, 100.0)]).reshape(1, 1, 10, 10)
    fitted = dataset().fit(x)
    centers, cdf = fitted.bin_centers_[0], fitted.cdf_[0]
    back = fitted.inverse_transform(np.array([[[[cdf[0], 0.75, 1.0]]]]))
    np.testing.assert_allclose(back.ravel(), [centers[0], centers.mean(), centers[-1]], rtol=1e-9)


@pytest.mark.parametrize("n_bins", [2, 7])
def test_slopes_beyond_the_largest_double_come_back_finite(n_bins):
    """The lower center is taken, as on the way there."""
    largest = np.finfo(np.float64).max
    x = np.array([largest, 0, largest, 0, 0]).reshape(1, 1, 1, -1)
    fitted = dataset(n_bins=n_bins).fit(x)
    back = fitted.inverse_transform(np.linspace(0, 1, 6).reshape(1, 1, 1, -1)).ravel()
    assert_same(back, np.array([0, 0, 0, 0, 0, largest]))


@on_the_default_engine
def test_inverse_follows_the_layouts():
    x = faces(6, 3)
    out = dataset().fit_transform(x)
    for fitted, new in [
        (dataset(channel_axis=-1).fit(np.moveaxis(x, 1, -1)), np.moveaxis(out, 1, -1)),
        (dataset(image_shape=(3, 8, 8)).fit(x.reshape(6, -1)), out.reshape(6, -1)),
        (dataset().fit(x), out),
    ]:
        back = fitted.inverse_transform(new)
        assert back.shape == new.shape
        assert_same(fitted.transform(back.astype(np.uint8)), new)
        assert back.flags.c_contiguous


@on_the_default_engine
def test_flattened_rows_come_back_as_images():
    x = faces(6, 3)
    fitted = dataset(flatten=True).fit(x)
    assert_same(fitted.inverse_transform(fitted.transform(x)), x.astype(np.float64))
    last = np.moveaxis(x, 1, -1)
    fitted = dataset(flatten=True, channel_axis=-1).fit(last)
    assert_same(fitted.inverse_transform(fitted.transform(last)), last.astype(np.float64))


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("convention", FLOAT_CONVENTIONS)
def test_rounded_output_comes_back_nearly(convention, dtype):
    x = faces(6, 1)
    fitted = dataset(convention=convention, dtype=dtype).fit(x)
    back = fitted.inverse_transform(fitted.transform(x))
    assert back.dtype == np.float64
    np.testing.assert_allclose(back, x, atol=8 if dtype == "uint8" else 0.05)


def test_missing_pixels_stay_missing_on_the_way_back():
    x = faces(6, 1, dtype="f8")
    x[2, 0, 1, 1] = np.nan
    fitted = dataset().fit(x)
    assert_same(np.isnan(fitted.inverse_transform(fitted.transform(x))), np.isnan(x))


@pytest.mark.parametrize("dtype", ["u1", "f8"])
def test_the_normal_distribution_comes_back(dtype):
    x = faces(6, 1, dtype=dtype)
    fitted = dataset(output_distribution="normal").fit(x)
    back = fitted.inverse_transform(fitted.transform(x))
    np.testing.assert_allclose(back, x, atol=1e-9 if dtype == "u1" else 2 / 256)


@pytest.mark.parametrize("how", ["fit", "partial_fit"])
def test_values_outside_the_range_are_clamped(how):
    fitted = getattr(dataset(), how)(faces(6, 1, dtype="f8"))
    ends = fitted.inverse_transform(np.array([[[[0.0, 1.0, 7.0]]]])).ravel()
    assert ends[0] == pytest.approx(fitted.bin_centers_[0][0], abs=1e-2)
    assert ends[1] == ends[2]


def test_what_is_learned_in_batches_can_be_inverted():
    x = faces(60, 1, dtype="f8")
    fitted = in_batches(x, [30, 30])
    np.testing.assert_allclose(fitted.inverse_transform(fitted.transform(x)), x, atol=3 / 256)


# --- what exists, and what does not match ---------------------------------------------------------


@on_the_default_engine
def test_image_scope_neither_learns_on_nor_inverts():
    estimator = HistogramEqualizer().fit(faces())
    for method in ("partial_fit", "inverse_transform"):
        assert not hasattr(estimator, method)
        with pytest.raises(AttributeError) as caught:
            getattr(estimator, method)
        assert "scope" in f"{caught.value} {caught.value.__cause__}"


@on_the_default_engine
@pytest.mark.parametrize("convention", CONVENTIONS)
def test_only_conventions_with_a_cdf_invert(convention):
    estimator = dataset(convention=convention).fit(faces())
    assert hasattr(estimator, "partial_fit")
    assert hasattr(estimator, "inverse_transform") == (convention in FLOAT_CONVENTIONS)


@on_the_default_engine
def test_what_is_learned_must_be_learned_first():
    with pytest.raises(NotFittedError):
        dataset().transform(faces())
    with pytest.raises(NotFittedError):
        dataset().inverse_transform(faces(dtype="f8"))


KINDS = [("u1", "f8"), ("bool", "f4"), ("f8", "u1"), ("f4", "bool"), ("i4", "f2")]


@on_the_default_engine
@pytest.mark.parametrize(("learned_dtype", "given_dtype"), KINDS)
def test_another_kind_of_numbers_is_an_error_not_nonsense(learned_dtype, given_dtype):
    fitted = dataset().fit(faces(dtype=learned_dtype))
    for call in (fitted.transform, fitted.partial_fit):
        with pytest.raises(ValueError, match="dtype") as caught:
            call(faces(dtype=given_dtype))
        message = str(caught.value)
        assert np.dtype(learned_dtype).name in message
        assert np.dtype(given_dtype).name in message


@pytest.mark.parametrize("call", ["transform", "partial_fit"])
def test_levels_beyond_the_fitted_type_are_an_error(call):
    fitted = dataset().fit(faces(dtype="u1"))
    for dtype, level in (("u2", 256), ("i2", -1), ("i8", 2**40)):
        x = faces(dtype="u1").astype(dtype)
        getattr(fitted, call)(x)  # the same levels in a wider type are no harm
        x[4, 0, 0, 0] = level
        with pytest.raises(ValueError, match="uint8"):
            getattr(fitted, call)(x)


@on_the_default_engine
def test_levels_of_a_narrower_type_are_welcome():
    x = faces(dtype="u1")
    fitted = dataset().fit(x.astype("u2"))
    assert_same(fitted.transform(x), fitted.transform(x.astype("u2")))


@on_the_default_engine
def test_floats_of_another_width_are_welcome():
    x = faces(dtype="f8")
    out = dataset().fit(x).transform(x.astype("f4"))
    assert out.dtype == np.float32
    np.testing.assert_allclose(out, dataset().fit_transform(x), atol=1e-3)


@on_the_default_engine
@pytest.mark.parametrize("call", ["transform", "partial_fit", "inverse_transform"])
def test_another_number_of_channels_is_an_error(call):
    fitted = dataset().fit(faces(6, 2, dtype="f8"))
    with pytest.raises(ValueError, match="channel"):
        getattr(fitted, call)(faces(6, 3, dtype="f8"))


def test_a_channel_without_a_counted_pixel_is_an_error():
    x = faces(6, 3, dtype="f8")
    x[:, 1] = np.nan
    for call in ("fit", "partial_fit"):
        with pytest.raises(ValueError, match="channel") as caught:
            getattr(dataset(), call)(x)
        assert "1" in str(caught.value)


def test_infinity_is_refused_where_it_would_be_learned():
    x = faces(6, 2, dtype="f8")
    x[3, 1, 0, 0] = np.inf
    for call in ("fit", "partial_fit", "fit_transform"):
        with pytest.raises(ValueError, match="inf") as caught:
            getattr(dataset(), call)(x)
        assert "3" in str(caught.value)


@on_the_default_engine
def test_a_failed_batch_leaves_what_was_learned():
    x = faces(6, 2, dtype="f8")
    fitted = dataset().partial_fit(x)
    before = fitted.transform(x)
    bad = x.copy()
    bad[3, 1, 0, 0] = np.inf
    with pytest.raises(ValueError, match="inf"):
        fitted.partial_fit(bad)
    assert_same(fitted.transform(x), before)
    assert fitted.n_samples_seen_ == 6


@few_examples
@given(x=images(ALL))
def test_transform_of_the_training_images_does_not_depend_on_their_order(x):
    fitted = dataset().fit(x[::-1])
    assert_same(fitted.transform(x), dataset().fit(x).transform(x))


@on_the_default_engine
def test_the_helper_sees_what_is_missing():
    """An oracle that counted nothing would agree with anything."""
    assert is_missing(np.array([1.0, np.nan])).tolist() == [False, True]
    assert learned(np.array([1, 2, 3, 4]), np.array([0, 1, 2, 9])).tolist() == [0.25, 0.25, 0.5, 1]


@pytest.mark.filterwarnings("ignore:X has values from:UserWarning")
@pytest.mark.parametrize("sign", [-1, 1])
def test_pixels_infinitely_far_from_huge_bins_have_the_value_of_the_nearest(sign):
    largest = np.finfo(float).max
    train = sign * -np.linspace(1e307, 4e307, 64).reshape(1, 1, 8, 8)
    new = np.full((1, 1, 8, 8), sign * largest)
    assert_same(dataset(n_bins=4).fit(train).transform(new), expected(train, new, n_bins=4))


# --- another scale than that of fit ---------------------------------------------------------------


def range_warnings(function, *args):
    """The warnings of a call."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        function(*args)
    return [str(warning.message) for warning in caught]


def test_another_scale_is_a_warning_that_names_both_ranges():
    x = faces(6)
    fitted = dataset().fit(x / 255)
    low, high = x[[2, 4]].min(), x[[2, 4]].max()
    mixed = x / 255
    mixed[[2, 4]] *= 255
    words = (
        rf"values from {low} to {high} in image\(s\) 2, 4, .*"
        r"in fit had values from 0\.\d+ to 0\.\d+\. .*fit again"
    )
    for call in (fitted.transform, fitted.set_params(n_jobs=2).transform):
        with pytest.warns(UserWarning, match=words) as caught:
            call(mixed)
        assert len(caught) == 1
        assert caught[0].filename == __file__


@pytest.mark.parametrize("dtype", ["u1", "i2", "u2", "u4", "i8", "f2", "f4", "f8"])
@pytest.mark.parametrize("convention", FLOAT_CONVENTIONS)
@pytest.mark.parametrize("fit", ["fit", "partial_fit"])
def test_a_range_is_left_by_more_than_its_width_or_not(fit, convention, dtype):
    """Learned from 40 to 60: 20 to 80 is still no other scale."""
    x = np.linspace(40, 60, 36).reshape(1, 6, 6).astype(dtype)
    fitted = getattr(dataset(convention=convention), fit)(x)
    for low, high, is_far in ((40, 60, 0), (20, 80, 0), (19, 60, 1), (40, 81, 1), (0, 100, 1)):
        other = x.copy()
        other[0, 0, :2] = low, high
        assert len(range_warnings(fitted.transform, other)) == is_far


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "u4", "i8", "f2", "f4", "f8", ">f4"])
@pytest.mark.parametrize("side", ["below", "above", "both"])
def test_half_of_the_pixels_outside_the_learned_range(side, dtype):
    """Learned from 40 to 60, of 36 pixels: 18 outside are half, 17 are not."""
    fitted = dataset().fit(np.linspace(40, 60, 36).reshape(1, 6, 6).astype(dtype))
    values = {"below": [35], "above": [65], "both": [35, 65]}[side]
    for n_outside, is_far in ((1, 0), (17, 0), (18, 1), (36, 1)):
        x = np.full((2, 1, 6, 6), 40, dtype)
        x[1].reshape(-1)[:n_outside] = np.resize(values, n_outside)
        texts = range_warnings(fitted.transform, x)
        assert len(texts) == is_far
        if is_far:
            low, high = x[1].min(), x[1].max()
            assert f"values from {low:g} to {high:g} in image(s) 1, " in texts[0]
            assert "in fit had values from 40 to 60" in texts[0]


@pytest.mark.parametrize("dtype", ["u1", "u4", "f4"])
def test_the_ranges_of_the_channels_that_leave_them_are_named(dtype):
    """Each channel has its own: 100 to 120 lies within that of the other channel."""
    first, second = np.linspace(40, 60, 36), np.linspace(0, 200, 36)
    fitted = dataset().fit(np.stack([first, second]).reshape(1, 2, 6, 6).astype(dtype))
    x = np.stack([np.linspace(100, 120, 36), second]).reshape(1, 2, 6, 6).astype(dtype)
    (text,) = range_warnings(fitted.transform, x)
    assert "from 100 to 120 in image(s) 0, but the images in fit had values from 40 to 60" in text


@pytest.mark.parametrize("dtype", ["u1", "u4", "f4"])
def test_only_counted_pixels_are_half(dtype):
    fitted = dataset().fit(np.linspace(40, 60, 36).reshape(1, 6, 6).astype(dtype))
    x, mask = np.full((1, 6, 6), 40, dtype), np.ones((1, 6, 6), bool)
    x[0, :2] = 65  # 12 of 36, or of the 24 that the mask counts
    mask[0, 4:] = False
    assert not range_warnings(fitted.transform, x)
    assert len(range_warnings(lambda: fitted.transform(x, mask=mask))) == 1
    mask[0, 1] = False
    assert not range_warnings(lambda: fitted.transform(x, mask=mask))
    if dtype == "f4":
        x[0, 4:] = np.nan
        assert len(range_warnings(fitted.transform, x)) == 1


def test_limits_between_two_numbers_of_single_precision():
    """Of the learned doubles, 0.1 and 0.7, the nearest single ones are larger, and smaller."""
    fitted = dataset().fit(np.linspace(0.1, 0.7, 36).reshape(1, 6, 6))
    inside = np.array([np.float32(0.1), np.nextafter(np.float32(0.7), np.float32(0))])
    outside = np.array([np.nextafter(np.float32(0.1), np.float32(0)), np.float32(0.71)])
    for values, is_far in ((inside, 0), (outside, 1)):
        x = np.resize(values, (1, 6, 6))
        assert ((x.astype(float) < 0.1) | (x.astype(float) > 0.7)).all() == is_far
        assert len(range_warnings(fitted.transform, x)) == is_far


def test_each_channel_has_a_range_of_its_own():
    x = np.stack([faces(4)[:, 0] / 255, faces(4)[:, 0] * 100.0], axis=1)
    fitted = dataset().fit(x)
    assert not range_warnings(fitted.transform, x)
    assert len(range_warnings(fitted.transform, x[:, ::-1])) == 1
    value = dataset(color="value").fit(faces(4, 3))
    assert not range_warnings(value.transform, faces(4, 3, seed=1))
    small = dataset(color="value").fit(faces(4, 3) // 4)
    assert len(range_warnings(small.transform, faces(4, 3))) == 1


def test_missing_pixels_and_constant_images_have_no_scale():
    x = faces(3, dtype="f8")
    fitted = dataset().fit(x)
    holed = x.copy()
    holed[0] = np.nan
    holed[1, 0, :3] = np.nan
    assert not range_warnings(fitted.transform, holed)
    constant = dataset().fit(np.full((2, 3, 3), 7.0))
    assert not range_warnings(constant.transform, x)


def test_pixels_outside_a_mask_have_no_scale():
    """They are mapped, but they may be anything: a border, or a label."""
    x, mask = faces(3, dtype="f8"), np.ones((3, 8, 8), bool)
    mask[:, 0] = False
    fitted = dataset().fit(x, mask=mask)
    bordered = x.copy()
    bordered[:, :, 0] = 1e6
    assert not range_warnings(lambda: fitted.transform(bordered, mask=mask))
    assert len(range_warnings(fitted.transform, bordered)) == 1


@pytest.mark.parametrize("chunks", [1, 2, 6])
def test_another_scale_in_a_dask_array(chunks):
    """The worker warns, with the numbers of the images in the whole array."""
    array = pytest.importorskip("dask.array", reason="the extra dask is not installed")
    x = faces(6, dtype="f8")
    given = x.copy()
    given[[1, 4]] *= 255
    fitted = dataset().fit(x)
    lazy = fitted.transform(array.from_array(given, chunks=(chunks, 1, 8, 8)))
    texts = range_warnings(lambda: lazy.compute(scheduler="synchronous"))
    assert len(texts) == (1 if chunks == 6 else 2)
    named = [re.search(r"image\(s\) ([\d, ]+), but", text)[1] for text in texts]
    assert sorted(", ".join(named).split(", ")) == ["1", "4"]


def test_partial_fit_takes_integers_in_the_range_of_the_first_dtype():
    first = np.arange(16, dtype=np.uint8).reshape(1, 4, 4)
    equalizer = HistogramEqualizer(scope="dataset").partial_fit(first)
    with pytest.raises(ValueError, match="beyond the range of uint8"):
        equalizer.partial_fit(first.astype(np.uint16) + 256)
    assert equalizer.partial_fit(first.astype(np.uint16) + 16).n_samples_seen_ == 2
    assert equalizer.bin_centers_[0].tolist() == list(range(32))
