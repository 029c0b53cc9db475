"""Bins over a given range, or between quantiles: value_range and quantile_range, brute force."""

import pickle
import warnings

import numpy as np
import pytest
from _helpers import assert_same, equalized, faces, on_all_engines, on_the_default_engine
from _internals import set_parts_of_large_planes, set_work_per_thread
from _oracles import equalize_colour, equalize_within, fails_within, plain, remembered
from _oracles_clahe import clahe, n_tiles_within
from _strategies import (
    BEYOND_SINGLE,
    FLOATS,
    PLAIN,
    bin_numbers,
    few_examples,
    holes,
    masked,
    planes,
    regular_planes,
    seeds,
)
from hypothesis import assume, given
from hypothesis import strategies as st
from skimage.exposure import rescale_intensity
from skimage.exposure._adapthist import _clahe as scikit_images_clahe
from skimage.util import img_as_uint
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline

from sklearn_histeq import AdaptiveHistogramEqualizer, HistogramEqualizer

pytestmark = [
    pytest.mark.usefixtures("engine"),
    on_all_engines,
    pytest.mark.filterwarnings("ignore:.*n_tiles=:UserWarning"),
]

SIZES = [(0, 1), (0.2, 0.7), (-5, 9.5), (10, 200), (0, 4095), (-1e9, 1e9), (3, 3.0000001)]
value_ranges = st.sampled_from([{"value_range": value} for value in ("dtype", *SIZES)])
quantile_ranges = st.sampled_from(
    [{"quantile_range": q} for q in [(1, 99), (0, 50), (25, 75), (90, 100), (0.1, 99.9), (50, 51)]]
)
ranges = st.one_of(value_ranges, quantile_ranges)
CONVENTIONS = ["skimage", "numpy", "normal"]
tiles = st.tuples(st.integers(1, 5), st.integers(1, 5))
clip_limits = st.sampled_from([None, 1.0, 2.0, 3.5])


def params_of(convention):
    """The parameters of HistogramEqualizer for an oracle's name."""
    if convention == "normal":
        return {"output_distribution": "normal"}
    return {"convention": convention}


def assert_is(out, convention, plane, n_bins, mask=None, **ranges):
    """The output is that of the brute force."""
    is_normal = convention == "normal"
    name = "skimage" if is_normal else convention
    expected = equalize_within(plane, name, n_bins, mask, is_normal, **ranges)
    if not is_normal:
        return assert_same(out, expected)
    assert out.dtype == expected.dtype
    tolerance = 1e-9 if out.dtype == np.float64 else 1e-5
    np.testing.assert_allclose(out, expected, rtol=tolerance, atol=tolerance)


def adapted(plane, mask=None, **params):
    """One plane through CLAHE, as a batch of one image."""
    mask = None if mask is None else mask[None]
    return AdaptiveHistogramEqualizer(**params).transform(plane[None], mask=mask)[0]


# --- HistogramEqualizer ---------------------------------------------------------------------------


@given(case=masked(planes().flatmap(holes)), n_bins=bin_numbers, ranges=ranges)
@pytest.mark.parametrize("convention", CONVENTIONS)
def test_any_plane(convention, case, n_bins, ranges):
    plane, mask = case
    out = equalized(plane, mask, n_bins=n_bins, **params_of(convention), **ranges)
    assert_is(out, convention, plane, n_bins, mask, **ranges)


@given(case=masked(regular_planes()), n_bins=st.integers(1, 300), ranges=ranges)
@pytest.mark.parametrize("convention", CONVENTIONS)
def test_ordinary_planes(convention, case, n_bins, ranges):
    plane, mask = case
    if plane.dtype.kind == "f":
        plane = plane * plane.dtype.type(1.5) - plane.dtype.type(0.2)
    out = equalized(plane, mask, n_bins=n_bins, **params_of(convention), **ranges)
    assert_is(out, convention, plane, n_bins, mask, **ranges)


@given(case=masked(planes(FLOATS).flatmap(holes)), ranges=ranges)
def test_floats_with_the_usual_bins(case, ranges):
    plane, mask = case
    assert_is(equalized(plane, mask, **ranges), "skimage", plane, "auto", mask, **ranges)


@given(case=masked(planes()), ranges=ranges)
def test_the_256_bins_of_the_numpy_recipe(case, ranges):
    plane, mask = case
    out = equalized(plane, mask, convention="numpy", **ranges)
    assert_is(out, "numpy", plane, "auto", mask, **ranges)


@pytest.mark.parametrize("dtype", ["u1", "u2", "i2", "i4", "f4", "f8"])
@pytest.mark.parametrize("convention", CONVENTIONS)
def test_every_size_and_many_threads(monkeypatch, dtype, convention):
    """Also large planes, which are done in passes over their parts."""
    set_work_per_thread(monkeypatch, 1)
    set_parts_of_large_planes(monkeypatch, 300)
    for side in (2, 16, 70):
        plane = faces(1, 1, side, dtype)[0, 0]
        low, high = float(plane.min()), float(plane.max())
        middle = low + 0.3 * (high - low), low + 0.6 * (high - low)
        for ranges in ({"value_range": middle}, {"quantile_range": (2, 98)}):
            for n_jobs in (1, 3):
                params = params_of(convention) | {"n_bins": 100, "n_jobs": n_jobs} | ranges
                assert_is(equalized(plane, **params), convention, plane, 100, **ranges)


@given(plane=planes([np.dtype("u1"), np.dtype("u2")]))
@pytest.mark.parametrize("convention", ["skimage", "opencv", "pillow"])
def test_the_range_of_the_dtype_changes_nothing_where_there_is_one_bin_per_level(convention, plane):
    plane = plane if convention == "skimage" else plane.astype("u1")
    out = equalized(plane, convention=convention, value_range="dtype")
    assert_same(out, equalized(plane, convention=convention))


@given(case=masked(planes().flatmap(holes)), n_bins=bin_numbers)
def test_all_quantiles_are_the_own_range(case, n_bins):
    plane, mask = case
    out = equalized(plane, mask, n_bins=n_bins, quantile_range=[0.0, 100.0])
    assert_same(out, equalized(plane, mask, n_bins=n_bins))


@given(plane=planes(PLAIN), n_bins=st.integers(2, 300))
def test_the_own_range_given_is_the_own_range(plane, n_bins):
    as_float = plane.astype(plane.dtype if plane.dtype.kind == "f" else np.float64)
    ends = as_float.min(), as_float.max()
    assume(ends[0] < ends[1] and not fails_within(as_float.ravel(), ends, n_bins))
    out = equalized(plane, n_bins=n_bins, value_range=ends)
    assert_same(out, equalized(plane, n_bins=n_bins))


def test_constants_lie_in_the_bins_of_a_given_range():
    plane = np.full((4, 4), 0.5)
    out = equalized(plane, value_range=(0, 1), n_bins=2)
    assert (out == 0.5).all()  # on the edge of a bin, half way between two centers
    assert (equalized(plane, quantile_range=(1, 99)) == 1).all()  # its own range is a point


def test_integers_beyond_doubles_are_binned_as_the_nearest_ones():
    plane = np.array([[2**62, 2**62 + 1], [2**63 - 1, 0]], dtype=np.int64)
    out = equalized(plane, convention="numpy", value_range="dtype")
    assert_is(out, "numpy", plane, "auto", value_range="dtype")
    assert out[0, 0] == out[0, 1]


@pytest.mark.parametrize("given_range", [[0, 1], np.array([0.0, 1.0]), (np.float32(0), True + 0)])
def test_a_range_may_be_a_list_or_an_array(given_range):
    plane = faces(1, 1, 12, "f4")[0, 0]
    assert_same(equalized(plane, value_range=given_range), equalized(plane, value_range=(0, 1)))
    quantiles = np.array(given_range) * 90 + 5
    assert_same(
        equalized(plane, quantile_range=quantiles), equalized(plane, quantile_range=(5, 95))
    )


# --- laws -----------------------------------------------------------------------------------------

EQUALIZERS = [
    HistogramEqualizer(n_bins=64, value_range=(0, 100)),
    HistogramEqualizer(n_bins=64, value_range=(0, 100), convention="numpy"),
    AdaptiveHistogramEqualizer(n_tiles=2, value_range=(0, 100)),
    AdaptiveHistogramEqualizer(n_tiles=2, value_range=(0, 100), convention="skimage"),
]


@pytest.mark.parametrize("dtype", ["u1", "u2", "i4"])
@pytest.mark.parametrize("estimator", EQUALIZERS, ids=str)
def test_pixels_outside_are_as_those_at_the_ends(estimator, dtype):
    x = (faces(2, 1, 20, "f8") * 200).astype(dtype)
    assert_same(estimator.fit_transform(x), estimator.fit_transform(x.clip(0, 100)))


def without_a_limit(**params):
    return AdaptiveHistogramEqualizer(clip_limit=None, **params)


@pytest.mark.parametrize("convention", ["histeq", "skimage"])
def test_a_hot_pixel_reaches_no_further_than_the_tiles_around_it(convention):
    x = faces(1, 1, 64, "f8") * 0.5
    hot = x.copy()
    hot[0, 0, 5, 5] = 1
    for ranges, is_local in (({}, False), ({"value_range": "dtype"}, True)):
        estimator = without_a_limit(convention=convention, tile_shape=16, **ranges)
        differs = estimator.fit_transform(x) != estimator.fit_transform(hot)
        assert (not differs[..., 32:, 32:].any()) == is_local


@given(seed=seeds)
@pytest.mark.parametrize("dtype", ["u1", "u2", "f4", "f8"])
def test_a_block_alone_and_within_an_image_are_equal(dtype, seed):
    """Inside of the four outer tiles' centers, beyond which an image's border counts."""
    rng = np.random.default_rng(seed)
    scale = 200 if dtype[0] == "u" else 1
    image = (rng.random((64, 64)) * scale).astype(dtype)
    image[:32] //= image.dtype.type(3)
    estimator = without_a_limit(tile_shape=8, value_range=(0, scale))
    alone, within = estimator.fit_transform(np.array([image[16:48, 16:48]])), None
    within = estimator.fit_transform(image[None])[:, 16:48, 16:48]
    assert_same(alone[:, 4:-4, 4:-4], within[:, 4:-4, 4:-4])


@given(plane=planes(FLOATS), seed=seeds)
def test_a_hot_pixel_moves_no_bin_between_quantiles(plane, seed):
    """One pixel of many, beyond the quantiles, may be as bright as it likes."""
    plane = plain(plane)
    x = np.random.default_rng(seed).random((20, 20)).astype(plane.dtype)
    hot = x.copy()
    x[3, 4], hot[3, 4] = 2, 1e6 if plane.dtype == np.float32 else 1e100
    for estimator in (HistogramEqualizer, AdaptiveHistogramEqualizer):
        fixed = estimator(quantile_range=(1, 99))
        assert_same(fixed.fit_transform(hot[None]), fixed.fit_transform(x[None]))


def test_twelve_bits_fill_few_bins_of_sixteen():
    plane = np.arange(4096, dtype=np.uint16).reshape(64, 64)
    for value, n_bins in ("dtype", 16), ((0, 4095), 256):
        learned = HistogramEqualizer(scope="dataset", n_bins=256, value_range=value).fit(
            plane[None]
        )
        assert np.count_nonzero(np.diff(learned.cdf_[0], prepend=0)) == n_bins


# --- CLAHE ----------------------------------------------------------------------------------------


@few_examples
@given(
    case=masked(planes(max_side=16).flatmap(holes)),
    n=tiles,
    clip=clip_limits,
    n_bins=st.sampled_from([1, 2, 17, 256]),
    ranges=ranges,
)
def test_clahe_of_any_plane(case, n, clip, n_bins, ranges):
    plane, mask = case
    # outside a mask, one tile has np.interp's steps there where its slopes overflow
    assume(mask is None or plane.dtype.kind != "f" or np.nanmax(np.abs(plane)) > 1e-290)
    params = {"n_tiles": n, "clip_limit": clip, "n_bins": n_bins} | ranges
    out = adapted(plane, mask, **params)
    expected = clahe(plane, n_tiles_within(plane.shape, n), clip, n_bins, mask, **ranges)
    tolerance = 1e-9 if out.dtype == np.float64 else 1e-6
    np.testing.assert_allclose(out, expected, rtol=0, atol=tolerance)


@given(case=masked(planes().flatmap(holes)), n_bins=bin_numbers, ranges=ranges)
def test_one_tile_without_a_limit_is_global_equalization(case, n_bins, ranges):
    plane, mask = case
    out = adapted(plane, mask, n_tiles=1, clip_limit=None, n_bins=n_bins, **ranges)
    assert_same(out, equalized(plane, mask, n_bins=n_bins, **ranges))


@pytest.mark.parametrize("convention", ["histeq", "skimage"])
@pytest.mark.parametrize("dtype", ["u1", "u2", "u4", "f4", "f8", "bool"])
def test_clahe_in_threads(monkeypatch, dtype, convention):
    set_work_per_thread(monkeypatch, 1)
    set_parts_of_large_planes(monkeypatch, 300)
    plane = faces(1, 1, 60, dtype)[0, 0]
    high = plane.astype("f8").max()
    for ranges in ({"value_range": (0.2 * high, 0.7 * high)}, {"quantile_range": (3, 90)}):
        one = adapted(plane, convention=convention, n_jobs=1, **ranges)
        assert_same(adapted(plane, convention=convention, n_jobs=4, **ranges), one)


# --- CLAHE of scikit-image ------------------------------------------------------------------------


@remembered
def skimage_within(plane, tile, clip_limit, n_bins, limits):
    """The body of equalize_adapthist with an in_range, and a division as its last step."""
    small = plane.dtype in (np.float16, np.float32)
    image = img_as_uint(plane.astype(np.float32) if plane.dtype == np.float16 else plane)
    gray = np.round(rescale_intensity(image, limits, (0, 16383))).astype(np.uint16)
    values = scikit_images_clahe(gray, tile, clip_limit, n_bins)
    return rescale_intensity(values.astype(np.float32 if small else np.float64), (0, 16383))


def peers(plane):
    """A plane that scikit-image's CLAHE takes."""
    plane = plane.astype(plane.dtype.newbyteorder("="))
    return np.where(plane < 0, ~plane, plane) if plane.dtype.kind == "i" else plane


clahe_params = {
    "tile": st.tuples(st.integers(1, 12), st.integers(1, 12)),
    "clip": st.sampled_from([None, 0.5, 2.56, 20.0]),
    "n_bins": st.sampled_from([1, 2, 64, 256, 1000]),
}
narrow = regular_planes([np.dtype(d) for d in ("b1", "u1", "u2", "i1", "i2", "f2", "f4", "f8")], 20)


@given(plane=narrow, **clahe_params)
def test_skimages_arithmetic_over_the_range_of_the_dtype(plane, tile, clip, n_bins):
    assume(plane.size <= 400 * tile[0] * tile[1])
    plane = peers(plane)
    params = {"convention": "skimage", "tile_shape": tile, "clip_limit": clip, "n_bins": n_bins}
    out = adapted(plane, value_range="dtype", **params)
    assert_same(out, skimage_within(plane, tile, (clip or 0) / n_bins, n_bins, "dtype"))


@given(plane=narrow, shares=st.sampled_from([(0, 0.5), (0.25, 0.75), (-1, 0.1), (0.9, 3)]),
       **clahe_params)  # fmt: skip
def test_skimages_arithmetic_over_a_given_range(plane, shares, tile, clip, n_bins):
    assume(plane.size <= 400 * tile[0] * tile[1])
    plane = peers(plane)
    full = np.iinfo(plane.dtype).max if plane.dtype.kind in "ui" else 1
    limits = tuple(share * full for share in shares)
    params = {"convention": "skimage", "tile_shape": tile, "clip_limit": clip, "n_bins": n_bins}
    out = adapted(plane, value_range=limits, **params)
    scaled = tuple(limit * (65535 / full) for limit in limits)
    assert_same(out, skimage_within(plane, tile, (clip or 0) / n_bins, n_bins, scaled))


@pytest.mark.parametrize("limits", BEYOND_SINGLE)
def test_skimages_arithmetic_over_ranges_that_single_precision_does_not_have(limits):
    plane = faces(1, 1, 24, "f4")[0, 0]
    out = adapted(plane, value_range=limits, convention="skimage", tile_shape=7)
    with np.errstate(over="ignore"):
        scaled = (np.float32(limits).astype(np.float64) * 65535).clip(-1e307, 1e307)
    assert_same(out, skimage_within(plane, (7, 7), 0.01, 256, tuple(scaled)))


@pytest.mark.parametrize("dtype", ["u4", "i4", "u8", "i8"])
def test_skimages_arithmetic_of_wide_integers(dtype):
    """They become their share of the range; scikit-image would take their upper bits."""
    plane = (faces(1, 1, 24, "f8")[0, 0] * 5000).astype(dtype)
    params = {"convention": "skimage", "tile_shape": 7}
    out = adapted(plane, value_range=(500, 4095), **params)
    shares = (plane.astype(np.float64).clip(500, 4095) - 500) / (4095 - 500)
    assert_same(out, adapted(shares, value_range=(0, 1), **params))
    as_dtype = adapted(plane, value_range="dtype", **params)
    full = float(np.iinfo(dtype).max)
    assert_same(as_dtype, adapted(plane, value_range=(0, full), **params))


@given(plane=narrow, quantiles=st.sampled_from([(1, 99), (25, 75), (0, 10)]))
def test_skimages_last_stretch_stays_between_quantiles(plane, quantiles):
    assume(plane.size > 4)
    plane = peers(plane)
    params = {"convention": "skimage", "tile_shape": 6}
    out = adapted(plane, quantile_range=quantiles, **params)
    limits = np.percentile(plane.astype(np.float64), quantiles)
    limits = limits.astype(np.float32 if out.dtype == np.float32 else np.float64).astype(np.float64)
    if limits[0] == limits[1]:
        return assert_same(out, adapted(plane, **params))
    within = adapted(plane, value_range=limits, **params)
    low, high = within.min(), within.max()
    expected = (within - low) / (high - low) if low < high else within
    np.testing.assert_allclose(out, expected, atol=1e-6 if out.dtype == np.float32 else 1e-12)


# --- colours, output types, layouts ---------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["u1", "u2", "f4", "f8"])
def test_the_range_is_that_of_the_value_of_colours(dtype):
    image = faces(1, 4, 12, dtype)[0]
    high = float(image[:3].max(axis=0).max()) / 2
    for ranges in ({"value_range": (0, high)}, {"quantile_range": (10, 80)}):
        estimator = HistogramEqualizer(color="value", n_bins=50, **ranges)
        value = equalize_within(image[:3].max(axis=0), "skimage", 50, **ranges)
        expected = equalize_colour(image, new=value)
        assert_same(estimator.fit_transform(image[None])[0], expected)


@pytest.mark.parametrize("estimator", [HistogramEqualizer(n_bins=40), AdaptiveHistogramEqualizer()])
@pytest.mark.parametrize("ranges", [{"value_range": "dtype"}, {"quantile_range": (5, 95)}], ids=str)
def test_layouts_change_nothing(estimator, ranges):
    x = faces(3, 2, 16, "u2")
    mask = np.random.default_rng(0).random((3, 16, 16)) < 0.7
    estimator = clone(estimator).set_params(**ranges)
    expected = estimator.fit_transform(x, mask=mask)
    for same in (np.asfortranarray(x), x.astype(">u2"), x.repeat(2, axis=3)[..., ::2]):
        assert_same(estimator.fit_transform(same, mask=mask), expected)
    assert_same(pickle.loads(pickle.dumps(estimator)).transform(x, mask=mask), expected)


def test_the_output_dtype_is_as_ever():
    x = faces(2, 1, 12, "f4")
    out = HistogramEqualizer(value_range=(0, 1), dtype="uint8").fit_transform(x)
    values = HistogramEqualizer(value_range=(0, 1)).fit_transform(x)
    assert_same(out, np.rint(values.astype(np.float64) * 255).astype(np.uint8))


# --- one distribution for all images --------------------------------------------------------------


@few_examples
@given(case=masked(planes()), n_bins=bin_numbers, ranges=value_ranges)
@pytest.mark.parametrize("convention", ["skimage", "numpy"])
def test_a_data_set_of_one_image_is_the_image(convention, case, n_bins, ranges):
    plane, mask = case
    params = {"convention": convention, "n_bins": n_bins} | ranges
    out = equalized(plane, mask, scope="dataset", **params)
    assert_same(out, equalized(plane, mask, **params))


@pytest.mark.parametrize("dtype", ["u1", "i2", "u4", "i8", "f4", "f8"])
@pytest.mark.parametrize("value_range", ["dtype", (-1000, 60), (30, 90.5)])
def test_batches_learn_what_all_images_do(dtype, value_range):
    x = (faces(6, 2, 10, "f8") * (100 if dtype != "i8" else 120)).astype(dtype)
    params = {"scope": "dataset", "n_bins": 25, "value_range": value_range}
    at_once = HistogramEqualizer(**params).fit(x)
    batches = HistogramEqualizer(**params)
    for start in (0, 2, 4):
        batches.partial_fit(x[start : start + 2])
    for one, other in zip(at_once.bin_centers_, batches.bin_centers_):
        assert_same(one, other)
    if np.dtype(dtype).kind != "f":  # floats are counted in a lattice by then
        assert_same(batches.transform(x), at_once.transform(x))
    else:
        np.testing.assert_allclose(batches.transform(x), at_once.transform(x), atol=0.01)


def test_bins_below_all_pixels_do_not_disturb_the_inverse():
    x = np.random.default_rng(0).uniform(50, 60, (4, 1, 16, 16))
    learned = HistogramEqualizer(scope="dataset", value_range=(0, 100), n_bins=1000).fit(x)
    # one bin is 0.1 wide; in the outer ones half of it may be lost
    np.testing.assert_allclose(learned.inverse_transform(learned.transform(x)), x, atol=0.06)


@pytest.mark.parametrize("dtype", ["u1", "u2", "i4", "i8"])
def test_counted_levels_come_back(dtype):
    x = faces(3, 1, 12, "u1").astype(dtype)
    learned = HistogramEqualizer(scope="dataset", value_range=(0, 255), n_bins=256).fit(x)
    assert_same(learned.inverse_transform(learned.transform(x)), x.astype(np.float64))


@on_the_default_engine
def test_what_was_learned_knows_its_range():
    x = faces(3, 1, 12, "f8")
    learned = HistogramEqualizer(scope="dataset", value_range=[0, 1]).fit(x)
    for equal in ((0, 1), np.array([0.0, 1.0])):
        learned.set_params(value_range=equal).transform(x)
    for other in ((0, 2), None, "dtype", np.array([0.1, 1])):
        with pytest.raises(
            ValueError, match=r"value_range=.*was learned with value_range=\[0, 1\]"
        ):
            learned.set_params(value_range=other).transform(x)


@on_the_default_engine
def test_a_range_that_was_changed_in_place_is_noticed():
    x = faces(3, 1, 12, "f8")
    given_range = [0, 1]
    learned = HistogramEqualizer(scope="dataset", value_range=given_range).fit(x)
    given_range[1] = 2
    with pytest.raises(ValueError, match="was learned with"):
        learned.transform(x)


# --- errors ---------------------------------------------------------------------------------------

BOTH = [HistogramEqualizer, AdaptiveHistogramEqualizer]
BAD_RANGES = [
    (1, 0), (1, 1), (0, np.nan), (0, np.inf), (-np.inf, 0), (0, 1, 2), (0,), 5, "image", "0,1",
    (0, "1"), (False, True), (0, 10**400), (2**60, 2**60 + 1), {0, 1}, [[0, 1]], (0, 1j), (None, 1),
]  # fmt: skip
BAD_QUANTILES = [(99, 1), (5, 5), (-1, 99), (1, 101), (0, np.nan), None, "dtype", 5, (1, 2, 3)]


@on_the_default_engine
@pytest.mark.parametrize("estimator", BOTH)
@pytest.mark.parametrize("value", BAD_RANGES, ids=str)
def test_wrong_ranges(estimator, value):
    with pytest.raises(ValueError, match=r"value_range=.*, but expected None, 'dtype', or two fin"):
        estimator(value_range=value).fit(faces(dtype="f8"))


@on_the_default_engine
@pytest.mark.parametrize("estimator", BOTH)
@pytest.mark.parametrize("value", BAD_QUANTILES, ids=str)
def test_wrong_quantiles(estimator, value):
    with pytest.raises(ValueError, match=r"quantile_range=.*, but expected two percentages"):
        estimator(quantile_range=value).fit(faces(dtype="f8"))


NOTHING = "there is one bin per level, and so there is nothing to span"
TOGETHER = [
    (HistogramEqualizer, {"value_range": (0, 9), "quantile_range": (1, 99)}, "one of the two"),
    (HistogramEqualizer, {"value_range": "dtype", "quantile_range": (1, 99)}, "one of the two"),
    (HistogramEqualizer, {"value_range": (0, 9)}, NOTHING),
    (HistogramEqualizer, {"quantile_range": (1, 99)}, NOTHING),
    (HistogramEqualizer, {"value_range": (0, 9), "convention": "opencv"}, NOTHING),
    (HistogramEqualizer, {"quantile_range": (1, 99), "convention": "pillow"}, NOTHING),
    (HistogramEqualizer, {"value_range": (0, 9), "scope": "dataset"}, NOTHING),
    (HistogramEqualizer, {"quantile_range": (1, 99), "scope": "dataset", "n_bins": 9}, "scope="),
    (AdaptiveHistogramEqualizer, {"value_range": (0, 9), "quantile_range": (1, 99)}, "one of"),
    (AdaptiveHistogramEqualizer, {"value_range": (0, 9), "convention": "opencv"}, NOTHING),
    (AdaptiveHistogramEqualizer, {"quantile_range": (1, 9), "convention": "opencv"}, NOTHING),
]


@on_the_default_engine
@pytest.mark.parametrize(("estimator", "params", "words"), TOGETHER, ids=str)
def test_what_does_not_go_together(estimator, params, words):
    for call in ("fit", "fit_transform"):
        with pytest.raises(ValueError, match=words) as caught:
            getattr(estimator(**params), call)(faces())
    assert "quantile_range" in str(caught.value) or "value_range" in str(caught.value)


@on_the_default_engine
def test_a_search_says_which_combination_is_wrong():
    x, y = faces(12, side=8), [0, 1] * 6
    model = make_pipeline(HistogramEqualizer(flatten=True, n_bins=64), KNeighborsClassifier(1))
    grid = {
        "histogramequalizer__value_range": [None, (0, 255)],
        "histogramequalizer__quantile_range": [(0, 100), (1, 99)],
    }
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        search = GridSearchCV(model, grid, cv=2).fit(x, y)
    assert np.isnan(search.cv_results_["mean_test_score"]).sum() == 1
    assert "value_range=(0, 255) with quantile_range=(1, 99)" in str(caught[0].message)


def test_a_mask_that_counts_nothing_is_still_an_error():
    x, mask = faces(dtype="f4"), np.ones((6, 8, 8), bool)
    mask[4] = False
    for ranges in ({"value_range": (0, 1)}, {"quantile_range": (1, 99)}):
        for estimator in BOTH:
            with pytest.raises(ValueError, match=r"mask.*image\(s\) 4"):
                estimator(**ranges).fit(x).transform(x, mask=mask)


def test_infinities_and_planes_of_nan_are_as_ever():
    x = faces(dtype="f4")
    x[2] = np.nan
    for ranges in ({"value_range": (0, 1)}, {"quantile_range": (1, 99)}):
        for estimator in BOTH:
            out = estimator(**ranges).fit_transform(x)
            assert np.isnan(out[2]).all()
            assert not np.isnan(out[[0, 1, 3]]).any()
            bad = x.copy()
            bad[1, 0, 2, 2] = np.inf
            with pytest.raises(ValueError, match=r"infinity.*image\(s\) 1"):
                estimator(**ranges).transform(bad)
