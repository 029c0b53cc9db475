"""Every convention gives its peer's own bits, and the deviations are those of the contract."""

import warnings
from itertools import product

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
from _internals import add_convention
from _oracles import equalize, equalize_planes, needs_ranks, plain, step_cdf
from _strategies import (
    ALL,
    BOOL,
    FLOATS,
    INTEGERS,
    bin_numbers,
    holes,
    images,
    masked,
    n_bins,
    next_to_thresholds,
    planes,
    regular_planes,
    seeds,
)
from hypothesis import assume, given
from hypothesis import strategies as st
from skimage.exposure import equalize_hist

from sklearn_histeq import HistogramEqualizer

pytestmark = [pytest.mark.usefixtures("engine"), on_all_engines]

UINT8 = [np.dtype(np.uint8)]


def is_constant(plane):
    return plane.min() == plane.max()


# --- the peers, face to face ----------------------------------------------------------------------


@given(plane=regular_planes(), n_bins=st.integers(1, 300))
def test_is_equalize_hist(plane, n_bins):
    # nbins does nothing to integers there: a bin a level, "auto" here
    is_float = plane.dtype.kind == "f"
    assume(not is_float or not (is_constant(plane) or needs_ranks(plane, n_bins)))
    assert_same(
        equalized(plane, n_bins=n_bins if is_float else "auto"),
        equalize_hist(plane, n_bins),
    )


@given(plane=regular_planes())
def test_is_equalize_hist_by_default(plane):
    assume(plane.dtype.kind != "f" or not is_constant(plane))
    assert_same(equalized(plane), equalize_hist(plane))


@given(case=masked(regular_planes()))
def test_is_equalize_hist_under_a_mask(case):
    plane, mask = case
    assume(mask is not None and not is_constant(plane[mask]))
    assert_same(equalized(plane, mask), equalize_hist(plane, mask=mask))


@given(plane=regular_planes(), n_bins=bin_numbers)
def test_a_number_bins_integers_as_equalize_hist_bins_floats(plane, n_bins):
    as_float = plane.astype(np.float64)
    assume(not (is_constant(plane) or needs_ranks(as_float, n_bins)))
    if plane.dtype.kind != "f":
        assert_same(equalized(plane, n_bins=n_bins), equalize_hist(as_float, n_bins))


def numpy_recipe(plane, n_bins):
    density, edges = np.histogram(plane, n_bins, density=True)
    cdf = density.cumsum()
    return np.interp(plane, edges[:-1], 255 * cdf / cdf[-1])


@given(plane=regular_planes(), n_bins=st.integers(1, 300))
def test_is_the_numpy_recipe(plane, n_bins):
    as_float = plane.astype(plane.dtype if plane.dtype.kind == "f" else np.float64)
    assume(not (is_constant(plane) or needs_ranks(as_float, n_bins, "numpy")))
    assert_same(equalized(plane, convention="numpy", n_bins=n_bins), numpy_recipe(plane, n_bins))


@given(plane=regular_planes())
def test_is_the_numpy_recipe_with_256_bins_by_default(plane):
    assume(not is_constant(plane))
    assert_same(equalized(plane, convention="numpy"), numpy_recipe(plane, 256))


@given(plane=regular_planes(UINT8, max_side=40))
def test_is_equalizehist_of_opencv(plane):
    cv2 = pytest.importorskip("cv2")
    assert_same(equalized(plane, convention="opencv"), cv2.equalizeHist(plane))


@given(case=masked(regular_planes(UINT8, max_side=40)))
def test_is_imageops_equalize_of_pillow(case):
    pytest.importorskip("PIL")
    from PIL import Image, ImageOps

    plane, mask = case
    theirs = ImageOps.equalize(
        Image.fromarray(plane), mask=None if mask is None else Image.fromarray(mask)
    )
    assert_same(equalized(plane, mask, convention="pillow"), np.array(theirs))


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_peers_at_every_size(convention):
    """Sizes about those where Pillow's step turns 0 and a float32 no longer counts exactly."""
    for side in (1, 2, 15, 16, 17, 97, 300):
        rng = np.random.default_rng(side)
        plane = (rng.beta(2, 5, (side, side + 1)) * 200 + 20).astype(np.uint8)
        assert_same(equalized(plane, convention=convention), equalize(plane, convention))


def test_opencvs_counts_beyond_what_float32_holds():
    cv2 = pytest.importorskip("cv2")
    plane = np.random.default_rng(0).integers(3, 250, (4200, 4200), dtype=np.uint8)
    plane[:, ::3] = 40
    assert_same(equalized(plane, convention="opencv"), cv2.equalizeHist(plane))


# --- everything, against the oracles --------------------------------------------------------------


@given(plane=planes().flatmap(holes), n_bins=n_bins)
@pytest.mark.parametrize("convention", FLOAT_CONVENTIONS)
def test_any_plane(convention, plane, n_bins):
    assert_same(
        equalized(plane, convention=convention, n_bins=n_bins),
        equalize(plane, convention, n_bins),
    )


@given(case=masked(planes().flatmap(holes)), n_bins=n_bins)
@pytest.mark.parametrize("convention", FLOAT_CONVENTIONS)
def test_any_plane_under_a_mask(convention, case, n_bins):
    plane, mask = case
    assert_same(
        equalized(plane, mask, convention=convention, n_bins=n_bins),
        equalize(plane, convention, n_bins, mask),
    )


@given(case=masked(planes(UINT8, max_side=30)))
@pytest.mark.parametrize("convention", ["opencv", "pillow"])
def test_any_8_bit_plane(convention, case):
    plane, mask = case
    assert_same(
        equalized(plane, mask, convention=convention), equalize(plane, convention, mask=mask)
    )


@given(case=masked(planes().flatmap(holes)), n_bins=n_bins)
def test_any_plane_to_the_normal_distribution(case, n_bins):
    plane, mask = case
    out = equalized(plane, mask, output_distribution="normal", n_bins=n_bins)
    expected = equalize(plane, "skimage", n_bins, mask, normal=True)
    assert out.dtype == expected.dtype
    # two routes to the quantile, and straight lines between them: not the same last bit
    tolerance = 1e-9 if out.dtype == np.float64 else 1e-5
    np.testing.assert_allclose(out, expected, rtol=tolerance, atol=tolerance)


@given(x=images(), n_bins=n_bins)
@pytest.mark.parametrize("convention", FLOAT_CONVENTIONS)
def test_every_plane_of_a_batch_has_its_own_transfer_function(convention, x, n_bins):
    estimator = HistogramEqualizer(convention=convention, n_bins=n_bins)
    assert_same(
        estimator.fit_transform(x), equalize_planes(x, convention=convention, n_bins=n_bins)
    )


@pytest.mark.parametrize("convention", FLOAT_CONVENTIONS)
@pytest.mark.parametrize("dtype", ["f4", "f8", "u1", "u2", "i4"])
def test_extreme_numbers_of_bins_on_a_larger_plane(dtype, convention):
    values = np.random.default_rng(7).gamma(2, 20, (64, 64)) + 1
    plane = values.astype(dtype)
    for number in (1, 2, 3, 256, 65535, 65536):
        out = equalized(plane, convention=convention, n_bins=number)
        assert_same(out, equalize(plane, convention, number))


@pytest.mark.parametrize("scope", ["image", "dataset"])
@pytest.mark.parametrize("convention", FLOAT_CONVENTIONS)
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_values_on_and_next_to_the_edges_of_bins(dtype, convention, scope):
    """Decimal ranges have rounded edges: an estimate of the bin is off by one now and then."""
    ranges = (0, 1), (0.1, 0.7), (-3.3, 9.1), (0, 255), (1e-5, 1e9)
    for number, (low, high) in product((2, 3, 10, 49, 100, 256, 1000), ranges):
        rng = np.random.default_rng(number)
        plane = next_to_thresholds(rng, np.dtype(dtype), (40, 50), number, low, high)
        out = equalized(plane, convention=convention, n_bins=number, scope=scope)
        assert_same(out, equalize(plane, convention, number))


# --- deviation: one counted level -----------------------------------------------------------------

FLAT = {"skimage": 1, "numpy": 255}


@pytest.mark.parametrize("dtype", ALL, ids=str)
def test_constant_planes_are_white(dtype):
    for convention, value in product(FLOAT_CONVENTIONS, (0, 1, 77)):
        plane = np.full((3, 4), value, dtype=dtype)
        for number in ("auto", 1, 2, 255, 256):
            out = equalized(plane, convention=convention, n_bins=number)
            np.testing.assert_array_equal(out, FLAT[convention])


@pytest.mark.parametrize("convention", FLOAT_CONVENTIONS)
def test_constant_floats_of_any_size_are_white(convention):
    for value in (1e20, -1e300, 5e-324, np.finfo(float).max, 0.1):
        out = equalized(np.full((2, 2), value), convention=convention)
        np.testing.assert_array_equal(out, FLAT[convention])


@pytest.mark.parametrize("convention", ["opencv", "pillow"])
def test_constant_planes_are_unchanged_where_the_peer_leaves_them(convention):
    plane = np.full((30, 30), 77, dtype=np.uint8)
    assert_same(equalized(plane, convention=convention), plane)


def test_constant_planes_are_zero_under_a_normal_distribution():
    for dtype in ALL:
        out = equalized(np.ones((3, 4), dtype=dtype), output_distribution="normal")
        np.testing.assert_array_equal(out, 0)


@pytest.mark.parametrize("convention", FLOAT_CONVENTIONS)
def test_one_counted_level_under_a_mask_makes_the_whole_plane_white(convention):
    for dtype in ("u1", "i8", "f2", "f4", "f8", "bool"):
        plane = np.array([[0, 1], [1, 0]], dtype=dtype)
        out = equalized(plane, plane == 1, convention=convention)
        np.testing.assert_array_equal(out, FLAT[convention])


def test_one_counted_level_under_a_mask_leaves_opencv_and_pillow_unchanged():
    plane = np.arange(256, dtype=np.uint8).reshape(16, 16)
    for convention in ("opencv", "pillow"):
        assert_same(equalized(plane, plane == 9, convention=convention), plane)


def test_one_level_beside_missing_pixels_is_white_and_they_stay_missing():
    plane = np.array([[7.5, np.nan], [np.nan, 7.5]])
    assert_same(equalized(plane), np.array([[1.0, np.nan], [np.nan, 1.0]]))


def test_a_constant_plane_does_not_fail_its_batch():
    x = np.random.default_rng(0).random((3, 1, 5, 5))
    x[1] = 1e20  # skimage: "Too many bins"
    assert_same(HistogramEqualizer().fit_transform(x), equalize_planes(x))


# --- deviation: ranks -----------------------------------------------------------------------------


def empirical(plane):
    """The share of pixels that are no larger; np.interp is not involved."""
    return np.vectorize(lambda v: np.mean(plane <= v))(plane)


RANKED = {
    "one ulp apart": np.array([1.0, np.nextafter(1, 2), 1.0, 1.0]),
    "a few float32 steps": (np.float32(1) + np.arange(5, dtype=np.float32) * 2**-23),
    "subnormal": np.array([0.0, 5e-324, 1e-323, 1e-323]),
    "subnormal float32": np.array([0, 1e-45, 3e-45], dtype=np.float32),
    "the range overflows": np.array([-1.7e308, 1.7e308, 0.0, 3.0]),
    "the range overflows in float32": np.array([-3.4e38, 3.4e38, 0], dtype=np.float32),
    "the slopes overflow": np.array([0.0, 1e-307, 2e-307, 3e-307]),
}


@pytest.mark.parametrize("plane", RANKED.values(), ids=RANKED.keys())
def test_ranks_take_the_place_of_bins_that_cannot_be(plane):
    plane = plane[None]
    expected = empirical(plane)
    out = equalized(plane)
    assert_same(out, expected.astype(plane.dtype))
    np.testing.assert_array_equal(equalized(plane, convention="numpy"), 255 * expected)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_ranks_where_the_bin_centers_overflow(dtype):
    plane = np.array([[0.6, 0.7, 0.9, 0.9]], dtype=dtype) * np.finfo(dtype).max
    assert_same(equalized(plane), empirical(plane).astype(dtype))


def test_the_plane_is_ranked_or_binned_by_its_counted_pixels():
    plane = np.array([[1.0, np.nextafter(1, 2), 3.0, 0.5]])
    mask = np.array([[True, True, False, False]])
    assert_same(equalized(plane, mask), np.array([[0.5, 1.0, 1.0, 0.5]]))


@given(plane=planes([dtype for dtype in INTEGERS if dtype.itemsize >= 4], max_side=20))
def test_integers_of_any_spread_take_their_exact_cdf(plane):
    native = plain(plane)
    assert_same(equalized(plane), step_cdf(native, native))


@pytest.mark.parametrize("convention", FLOAT_CONVENTIONS)
def test_neighbouring_integers_beyond_doubles_are_told_apart(convention):
    plane = np.array([[2**62, 2**62 + 1], [2**62 + 2, 2**62 + 2]], dtype=np.int64)
    expected = np.array([[0.25, 0.5], [1.0, 1.0]]) * FLAT[convention]
    assert_same(equalized(plane, convention=convention), expected)


def test_both_ends_of_int64_and_uint64():
    for dtype in (np.int64, np.uint64):
        info = np.iinfo(dtype)
        plane = np.array([[info.min, info.min + 1], [info.max - 1, info.max]], dtype=dtype)
        assert_same(equalized(plane), np.array([[0.25, 0.5], [0.75, 1.0]]))


def test_integers_far_apart_and_few():
    plane = np.array([[4_000_000_000, 4_000_000_001]])
    assert_same(equalized(plane), np.array([[0.5, 1.0]]))  # skimage asks for 30 GiB
    assert_same(equalized(plane - 8_000_000_000), np.array([[0.5, 1.0]]))


# --- deviation: float16, bool, NaN ----------------------------------------------------------------


@given(plane=planes([np.dtype("<f2"), np.dtype(">f2")]), n_bins=n_bins)
@pytest.mark.parametrize("convention", FLOAT_CONVENTIONS)
def test_float16_is_computed_in_float32(convention, plane, n_bins):
    params = {"convention": convention, "n_bins": n_bins}
    assert_same(equalized(plane, **params), equalized(plane.astype(np.float32), **params))


def test_float16_up_to_its_end_does_not_overflow():
    plane = np.linspace(-60000, 60000, 64).astype(np.float16).reshape(8, 8)
    out = equalized(plane)
    assert out.dtype == np.float32
    assert np.isfinite(out).all()
    assert (np.diff(out.ravel()) > 0).all()


@given(plane=planes([BOOL]), n_bins=n_bins)
@pytest.mark.parametrize("convention", FLOAT_CONVENTIONS)
def test_bool_is_two_levels(convention, plane, n_bins):
    params = {"convention": convention, "n_bins": n_bins}
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # skimage and np.histogram warn of bool
        out = equalized(plane, **params)
    assert_same(out, equalized(plane.astype(np.uint8), **params))


@given(plane=planes(FLOATS), seed=seeds, n_bins=n_bins)
@pytest.mark.parametrize("convention", FLOAT_CONVENTIONS)
def test_missing_pixels_are_as_if_they_were_not_there(convention, plane, seed, n_bins):
    """A row with holes gives what the row without them gives."""
    row = plane.reshape(1, -1)
    present = np.random.default_rng(seed).random(row.shape) < 0.6
    assume(present.any())
    holed = np.where(present, row, np.array(np.nan, dtype=row.dtype))
    params = {"convention": convention, "n_bins": n_bins}
    out = equalized(holed.astype(row.dtype), **params)
    assert_same(np.isnan(out), ~present)
    assert_same(out[present][None], equalized(row[present][None], **params))


@pytest.mark.parametrize("distribution", ["uniform", "normal"])
@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_a_plane_of_nan_stays_nan_and_its_neighbours_do_not_mind(dtype, distribution):
    x = np.random.default_rng(0).random((3, 2, 4, 4)).astype(dtype)
    x[1, 0] = np.nan
    estimator = HistogramEqualizer(output_distribution=distribution)
    out = estimator.fit_transform(x)
    assert np.isnan(out[1, 0]).all()
    others = np.delete(x.reshape(6, 1, 4, 4), 2, axis=0)
    assert_same(np.delete(out.reshape(6, 1, 4, 4), 2, axis=0), estimator.fit_transform(others))


# --- pixels outside a mask ------------------------------------------------------------------------


def test_integers_outside_a_mask_take_the_step_cdf_of_the_counted_pixels():
    plane = np.array([[10, 20, 30, 40], [0, 15, 35, 255]], dtype=np.uint8)
    mask = np.array([[True] * 4, [False] * 4])
    # below the counted minimum: its own value; between two levels: the lower one's
    expected = np.array([[0.25, 0.5, 0.75, 1.0], [0.25, 0.25, 0.75, 1.0]])
    assert_same(equalized(plane, mask), expected)


def test_opencv_under_a_mask_maps_what_lies_below_to_zero():
    plane = np.array([[10, 20, 30, 40], [0, 15, 35, 255]], dtype=np.uint8)
    mask = np.array([[True] * 4, [False] * 4])
    expected = np.array([[0, 85, 170, 255], [0, 0, 170, 255]], dtype=np.uint8)
    assert_same(equalized(plane, mask, convention="opencv"), expected)


def test_floats_outside_a_mask_are_interpolated_and_clamped():
    plane = np.array([[0.0, 1.0, 2.0, 3.0], [-9.0, 1.5, 2.5, 9.0]])
    mask = np.array([[True] * 4, [False] * 4])
    out = equalized(plane, mask, n_bins=4)
    np.testing.assert_array_equal(out[1, [0, 3]], out[0, [0, 3]])
    assert out[0, 1] < out[1, 1] < out[0, 2]


# --- the normal distribution ----------------------------------------------------------------------


@given(plane=planes(), n_bins=n_bins)
def test_normal_output_is_finite(plane, n_bins):
    assert np.isfinite(equalized(plane, output_distribution="normal", n_bins=n_bins)).all()


def test_normal_output_of_even_ranks_has_the_moments_of_the_normal_distribution():
    plane = np.random.default_rng(0).permutation(10_000).reshape(100, 100)
    out = equalized(plane, output_distribution="normal")
    assert abs(out.mean()) < 1e-10
    assert abs(out.std() - 1) < 1e-3
    # symmetric: the mid-distribution treats both ends alike
    in_order = np.sort(out.ravel())
    np.testing.assert_allclose(in_order, -in_order[::-1], atol=1e-9)


def test_normal_output_of_one_bin_is_zero():
    out = equalized(np.arange(6.0)[None], output_distribution="normal", n_bins=1)
    np.testing.assert_array_equal(out, 0)


# --- a convention of one's own, by the steps of CONTRIBUTING --------------------------------------


def half_of_cdf(counts, widths, dtype):
    """The formula of the toy convention: half of the CDF."""
    return counts.cumsum(axis=-1) / (2 * counts.sum(axis=-1, keepdims=True))


@pytest.fixture
def toy(monkeypatch):
    add_convention(monkeypatch, "toy", half_of_cdf, output_max=0.5)


@pytest.mark.parametrize("scope", ["image", "dataset"])
@pytest.mark.parametrize("dtype", ["bool", "u1", "i2", "u4", "f4", "f8"])
def test_a_convention_is_one_record_and_one_function(toy, dtype, scope):
    x = faces(3, 2, dtype=dtype)[:1, :1]
    expected = equalized(x[0], scope=scope).astype(np.float64) / 2
    actual = equalized(x[0], convention="toy", scope=scope)
    np.testing.assert_allclose(actual, expected, rtol=1e-6)
    assert actual.dtype == equalized(x[0]).dtype
    as_bytes = equalized(x[0], convention="toy", scope=scope, dtype="uint8")
    assert as_bytes.max() == 255


@on_the_default_engine
def test_a_convention_of_ones_own_is_named_in_errors(toy):
    with pytest.raises(ValueError, match="'pillow' or 'toy'"):
        HistogramEqualizer(convention="matlab").fit(faces())
    with pytest.raises(ValueError, match="output_distribution='normal' with convention='toy'"):
        HistogramEqualizer(convention="toy", output_distribution="normal").fit(faces())
