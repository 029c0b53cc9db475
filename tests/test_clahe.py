"""AdaptiveHistogramEqualizer: its own definition, and its peers' bits."""

import copy
import pickle
import warnings
from itertools import product

import numpy as np
import pytest
from _helpers import assert_same, faces, on_all_engines, on_the_default_engine, opencv_clahe
from _internals import (
    ENGINE_VARIABLE,
    add_clahe_convention,
    negative_clahe,
    set_parts_of_large_planes,
    set_work_per_thread,
    squared_clahe,
)
from _oracles import remembered
from _oracles_clahe import clahe, n_tiles_of, n_tiles_within, opencv_tile
from _strategies import ALL, FLOATS, INTEGERS, few_examples, holes, images, masked, planes, seeds
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from skimage.exposure import equalize_adapthist

from sklearn_histeq import AdaptiveHistogramEqualizer, HistogramEqualizer

pytestmark = [
    pytest.mark.usefixtures("engine"),
    on_all_engines,
    # what is tested at length below is in the way elsewhere
    pytest.mark.filterwarnings("ignore:.*n_tiles=:UserWarning"),
]

UINT8, UINT16 = np.dtype(np.uint8), np.dtype(np.uint16)
skimages_clahe = remembered(equalize_adapthist)
CONVENTIONS = ["histeq", "skimage", "opencv"]
clip_limits = st.one_of(st.none(), st.sampled_from([1.0, 1.5, 2.0, 4.0, 40.0]), st.floats(1, 30))
n_tiles = st.tuples(st.integers(1, 9), st.integers(1, 9))
small_bins = st.one_of(st.integers(1, 300), st.sampled_from([1, 2, 16, 256, 1000]))


def adapted(plane, mask=None, **params):
    """One plane through the estimator, as a batch of one image."""
    mask = None if mask is None else mask[None]
    return AdaptiveHistogramEqualizer(**params).transform(plane[None], mask=mask)[0]


def as_own(values, dtype):
    """Values in double precision in the type of the output."""
    small = dtype.newbyteorder("=") in (np.float16, np.float32)
    return values.astype(np.float32 if small else np.float64)


# --- the definition -------------------------------------------------------------------------------


@given(
    case=masked(planes(max_side=24).flatmap(holes)),
    tiles=n_tiles,
    clip=clip_limits,
    n_bins=small_bins,
)
def test_the_five_rules(case, tiles, clip, n_bins):
    plane, mask = case
    # outside a mask, one tile has np.interp's steps there where its slopes overflow
    assume(mask is None or plane.dtype.kind != "f" or np.nanmax(np.abs(plane)) > 1e-290)
    out = adapted(plane, mask, n_tiles=tiles, clip_limit=clip, n_bins=n_bins)
    expected = clahe(plane, n_tiles_within(plane.shape, tiles), clip, n_bins, mask)
    expected = as_own(expected, plane.dtype)
    assert out.dtype == expected.dtype
    tolerance = 1e-9 if out.dtype == np.float64 else 1e-6
    np.testing.assert_allclose(out, expected, rtol=0, atol=tolerance)


@given(plane=planes([UINT8, np.dtype("f8")], max_side=14), t=n_tiles)
def test_tile_shape_is_the_nearest_number_of_tiles(plane, t):
    out = adapted(plane, tile_shape=t, clip_limit=3)
    expected = clahe(plane, n_tiles_of(plane.shape, t), 3)
    np.testing.assert_allclose(out, expected, rtol=0, atol=1e-9)


@given(case=masked(planes().flatmap(holes)), n_bins=small_bins)
def test_one_tile_without_a_limit_is_global_equalization(case, n_bins):
    plane, mask = case
    for params in ({"n_tiles": 1}, {"tile_shape": 99}):
        out = adapted(plane, mask, clip_limit=None, n_bins=n_bins, **params)
        where = None if mask is None else mask[None]
        assert_same(out, HistogramEqualizer(n_bins=n_bins).transform(plane[None], mask=where)[0])


@given(case=masked(planes()))
def test_a_limit_that_never_bites_is_no_limit(case):
    plane, mask = case
    for n in (1, 3):
        out = adapted(plane, mask, n_tiles=n, clip_limit=1e6)
        none = adapted(plane, mask, n_tiles=n, clip_limit=None)
        np.testing.assert_allclose(out, none, rtol=0, atol=1e-6 if out.dtype == "f4" else 1e-12)


@pytest.mark.parametrize("dtype", ["u1", "f8"])
def test_a_limit_of_one_leaves_a_straight_line(dtype):
    """All bins are equal then, in every tile that has as many pixels as bins."""
    plane = faces(1, 1, 32, dtype)[0, 0]
    out = adapted(plane, n_tiles=4, clip_limit=1, n_bins=16)
    low, high = float(plane.min()), float(plane.max())
    centers = low + (np.arange(16) + 0.5) / 16 * (high - low)
    line = np.interp(plane, centers, np.arange(1, 17) / 16)
    np.testing.assert_allclose(out, line, rtol=0, atol=1e-12)


def test_a_real_limit_acts_on_tiles_of_eight_pixels():
    """OpenCV's CLAHE gives the same image for every limit below 8 there."""
    plane = faces(1, 1, 64)[0, 0]
    limits = [1, 1.25, 1.5, 2, 2.5, 3, 4, 6]
    assert len({adapted(plane, n_tiles=8, clip_limit=limit).tobytes() for limit in limits}) == 8
    opencv = {adapted(plane, convention="opencv", clip_limit=limit).tobytes() for limit in limits}
    assert len(opencv) == 1


@given(plane=planes([UINT8], max_side=40), tiles=st.integers(1, 8), clip=clip_limits)
def test_eight_bits_and_sixteen_are_the_same_image(plane, tiles, clip):
    assume(clip is not None or min(plane.shape) // 2 >= tiles > 1)
    wide = plane.astype(np.uint16) * 257
    params = {"n_tiles": tiles, "clip_limit": clip}
    assert_same(adapted(plane, **params), adapted(wide, **params))


def test_one_tile_without_a_limit_differs_between_bits_by_a_rounding():
    """There np.interp's own arithmetic is kept, as in HistogramEqualizer."""
    plane = faces(1, 1, 32)[0, 0]
    pair = [adapted(p, n_tiles=1, clip_limit=None) for p in (plane, plane.astype("u2") * 257)]
    np.testing.assert_allclose(*pair, rtol=0, atol=2**-52)


@given(plane=planes([UINT8], max_side=24), clip=clip_limits)
def test_the_range_of_the_intensities_does_not_matter(plane, clip):
    """Up to a level that falls on the edge of a bin."""
    low, high = int(plane.min()), int(plane.max())
    assume(high > low)
    levels = np.arange(low, high + 1) * 1.0
    edges = np.linspace(low, high, 257)
    assume(np.abs(levels[:, None] - edges[None, 1:-1]).min() > 1e-9)
    out = adapted(plane, n_tiles=3, clip_limit=clip)
    again = adapted(plane / 255 * 0.3 - 7, n_tiles=3, clip_limit=clip)
    np.testing.assert_allclose(out, again, rtol=0, atol=1e-9)


@pytest.mark.parametrize("clip", [None, 1, 4])
def test_constant_planes_are_white(clip):
    for dtype, level in product(ALL, (0, 1)):
        plane = np.full((9, 7), level, dtype)
        assert (adapted(plane, n_tiles=3, clip_limit=clip) == 1).all()


@pytest.mark.parametrize("clip", [None, 1, 4])
def test_one_counted_level_is_white_everywhere(clip):
    plane = np.arange(36.0).reshape(6, 6)
    mask = plane == 11
    assert (adapted(plane, mask, clip_limit=clip, n_tiles=2) == 1).all()
    plane[:] = np.nan
    plane[2, 3] = -4
    out = adapted(plane, clip_limit=clip, n_tiles=2)
    assert_same(out, np.where(np.isnan(plane), np.nan, 1.0))


def test_a_plane_of_missing_pixels_stays_missing():
    x = np.full((2, 1, 6, 6), np.nan, "f4")
    x[1] = faces(1, 1, 6, "f4")[0]
    out = AdaptiveHistogramEqualizer(n_tiles=2).transform(x)
    assert np.isnan(out[0]).all()
    assert not np.isnan(out[1]).any()


@pytest.mark.parametrize("clip", [None, 1, 4])
@pytest.mark.parametrize("n_counted", [0, 1])
def test_a_tile_with_hardly_a_counted_pixel(clip, n_counted):
    """None: the whole plane's counts. One: its own, by the same rule."""
    plane = faces(1, 1, 12, "f8")[0, 0]
    mask = np.ones((12, 12), bool)
    mask[:6, 6:] = False
    mask[0, 6 : 6 + n_counted] = True
    out = adapted(plane, mask, n_tiles=2, clip_limit=clip)
    assert np.isfinite(out).all()
    np.testing.assert_allclose(out, clahe(plane, (2, 2), clip, 256, mask), rtol=0, atol=1e-9)
    holed = np.where(mask, plane, np.nan)
    np.testing.assert_array_equal(adapted(holed, n_tiles=2, clip_limit=clip)[mask], out[mask])


@given(case=masked(planes()), tiles=n_tiles, clip=clip_limits, n_bins=small_bins)
def test_the_output_stays_within_zero_and_one(case, tiles, clip, n_bins):
    plane, mask = case
    assume(max(n_tiles_within(plane.shape, tiles)) > 1 or clip is not None)
    out = adapted(plane, mask, n_tiles=tiles, clip_limit=clip, n_bins=n_bins)
    assert (out >= 0).all()
    assert (out <= 1).all()


@given(plane=planes(), clip=clip_limits)
def test_in_one_tile_darker_stays_darker(plane, clip):
    out = adapted(plane, n_tiles=1, clip_limit=clip)
    values = out.ravel()[np.argsort(plane, axis=None, kind="stable")].astype(np.float64)
    assert (np.diff(values) >= -4 * np.finfo(out.dtype).eps).all()


@given(plane=planes(FLOATS, max_side=10), clip=clip_limits)
def test_where_bins_have_no_meaning_ranks_take_over(plane, clip):
    """Each distinct value is a bin then: one step apart, or as far as the type goes."""
    steps = np.argsort(np.argsort(plane, axis=None)).reshape(plane.shape)
    one = np.asarray(1, plane.dtype)
    close = one + (steps * np.spacing(one)).astype(plane.dtype)
    out = adapted(close, n_tiles=2, clip_limit=clip)
    expected = clahe(close, n_tiles_within(plane.shape, (2, 2)), clip)
    np.testing.assert_allclose(out, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("clip", [None, 2.0])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_the_widest_and_the_narrowest_ranges(dtype, clip):
    info = np.finfo(dtype)
    rng = np.random.default_rng(0)
    for values in (
        np.array([-info.max, 0, info.max], dtype),
        np.array([0, info.smallest_subnormal, 3 * info.smallest_subnormal], dtype),
        np.array([1, 1 + info.eps], dtype),
    ):
        plane = rng.choice(values, (8, 8))
        out = adapted(plane, n_tiles=2, clip_limit=clip)
        np.testing.assert_allclose(out, clahe(plane, (2, 2), clip), rtol=0, atol=1e-6)


# --- the peers, bit for bit -----------------------------------------------------------------------


sides = st.tuples(st.integers(1, 70), st.integers(2, 70))
peer_limits = st.one_of(
    st.none(), st.floats(0.01, 50), st.sampled_from([0.5, 1.0, 2.0, 4.0, 40.0, 1000.0])
)


@st.composite
def peer_planes(draw, kinds, min_tile=1):
    """A plane of 1×2 to 70×70 pixels, of any part of its type's range, and a grid."""
    dtype = np.dtype(draw(st.sampled_from(kinds)))
    shape = draw(sides)
    rng = np.random.default_rng(draw(seeds))
    values = rng.random(shape) ** draw(st.sampled_from([0.3, 1, 4])) * draw(st.floats(0, 1))
    if draw(st.booleans()):
        values[rng.random(shape) < 0.5] = draw(st.floats(0, 1))
    if dtype.kind == "b":
        return values > 0.5
    scale = np.iinfo(dtype).max if dtype.kind in "ui" else 1
    return (values * min(scale, 2**50)).astype(dtype)


grids = st.tuples(st.integers(1, 12), st.integers(1, 12))


@given(plane=peer_planes(["u1", "<u2", ">u2"]), grid=grids, clip=peer_limits)
def test_opencvs_bits(plane, grid, clip):
    out = adapted(plane, convention="opencv", n_tiles=grid, clip_limit=clip)
    native = np.ascontiguousarray(plane, plane.dtype.newbyteorder("="))
    assert_same(out, opencv_clahe(native, grid, clip))


@pytest.mark.parametrize("dtype", ["u1", "u2"])
@pytest.mark.parametrize("grid", [1, 8, 20, (3, 70), (80, 2)])
def test_opencvs_bits_where_sides_do_not_divide(dtype, grid):
    """Shapes and clip limits in turn: how an axis is padded does not depend on the limit."""
    shapes = (1, 1), (1, 70), (70, 2), (3, 5), (48, 48), (49, 48), (48, 49)
    n_tiles = (grid, grid) if isinstance(grid, int) else grid
    for shape, clip in zip(shapes, (7.9, None, 40.0, 2.0, 2.0, 40.0, 7.9)):
        plane = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, shape, dtype)
        out = adapted(plane, convention="opencv", n_tiles=grid, clip_limit=clip)
        assert_same(out, opencv_clahe(plane, n_tiles, clip))


@given(
    plane=peer_planes(
        ["b1", "u1", "u2", "i1", "i2", "u4", "i4", "u8", "i8", "f2", "<f4", ">f4", "<f8", ">f8"]
    ),
    tile=st.tuples(st.integers(1, 24), st.integers(1, 24)),
    clip=peer_limits,
    n_bins=st.sampled_from([1, 2, 64, 256, 256, 1000, 20000]),
)
@settings(max_examples=100)
def test_skimages_bits(plane, tile, clip, n_bins):
    # scikit-image loops over tiles in Python: not too many of them
    assume(plane.size <= 400 * tile[0] * tile[1])
    assume(n_bins <= 1000 or plane.size <= 20 * tile[0] * tile[1])
    out = adapted(plane, convention="skimage", tile_shape=tile, clip_limit=clip, n_bins=n_bins)
    native = plane.astype("f4" if plane.dtype == "f2" else plane.dtype.newbyteorder("="))
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", "Downcasting"
        )  # scikit-image's own, which we do not pass on
        expected = skimages_clahe(native, tile, (clip or 0) / n_bins, n_bins)
    assert_same(out, expected)


@pytest.mark.parametrize("n", [1, 3, (2, 5), 8, 50])
def test_skimages_kernel_for_a_number_of_tiles(n):
    plane = faces(1, 1, 30, "f4")[0, 0][:, :21]
    rows, columns = (n, n) if isinstance(n, int) else n
    kernel = (max(30 // rows, 1), max(21 // columns, 1))
    out = adapted(plane, convention="skimage", n_tiles=n, clip_limit=2.56)
    assert_same(out, equalize_adapthist(plane, kernel, 0.01))


def test_skimages_default():
    plane = faces(1, 1, 40, "f8")[0, 0]
    assert_same(
        adapted(plane, convention="skimage", clip_limit=0.01 * 256), equalize_adapthist(plane)
    )


@pytest.mark.parametrize("convention", ["skimage", "opencv"])
@pytest.mark.parametrize("dtype", ["u1", "u2"])
def test_peers_take_constants_as_they_do(convention, dtype):
    for level in (0, 77, np.iinfo(dtype).max):
        plane = np.full((16, 16), level, dtype)
        out = adapted(plane, convention=convention, n_tiles=4, clip_limit=2.0)
        if convention == "opencv":
            assert_same(out, opencv_clahe(plane, (4, 4), 2.0))
        else:
            assert_same(out, equalize_adapthist(plane, 4, 2.0 / 256))


# --- what the peers' conventions refuse -----------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "words"), [(-0.25, "negative"), (1.5, "above 1"), (np.nan, "NaN")], ids=str
)
def test_skimages_convention_refuses_what_its_peer_destroys(value, words):
    x = faces(5, 2, dtype="f8")
    x[3, 1, 2, 2] = value
    with pytest.raises(ValueError, match="histeq") as caught:
        AdaptiveHistogramEqualizer(convention="skimage").fit_transform(x)
    assert words in str(caught.value)
    assert "image(s) 3," in str(caught.value)
    assert "skimage" in str(caught.value)


def test_negative_integers_are_refused_too():
    x = faces(3, dtype="i2")
    x[2, 0, 0, 0] = -1
    with pytest.raises(ValueError, match=r"negative.*image\(s\) 2.*histeq"):
        AdaptiveHistogramEqualizer(convention="skimage").transform(x)


@on_the_default_engine
@pytest.mark.parametrize("convention", ["skimage", "opencv"])
def test_masks_are_refused_by_name(convention):
    x = faces(3)
    estimator = AdaptiveHistogramEqualizer(convention=convention)
    for call in (estimator.fit, estimator.transform, estimator.fit_transform):
        with pytest.raises(ValueError, match=r"mask.*histeq"):
            call(x, mask=np.ones((3, 8, 8), bool))


@on_the_default_engine
@pytest.mark.parametrize("dtype", ["bool", "i1", "i2", "u4", "f4", "f8"])
def test_opencv_takes_bytes_and_words_only(dtype):
    with pytest.raises(ValueError, match=r"uint8 or uint16.*histeq"):
        AdaptiveHistogramEqualizer(convention="opencv").fit(faces(dtype=dtype))


@pytest.mark.parametrize("convention", ["histeq", "skimage"])
def test_infinity_is_refused(convention):
    x = faces(3, dtype="f8")
    x[1, 0, 0, 0] = np.inf
    with pytest.raises(ValueError, match=r"inf.*image\(s\) 1,"):
        AdaptiveHistogramEqualizer(convention=convention).transform(x)


# --- parameters -----------------------------------------------------------------------------------


BAD = [
    ({"n_tiles": 0}, "n_tiles=0"),
    ({"n_tiles": 2.0}, "n_tiles=2.0"),
    ({"n_tiles": True}, "n_tiles=True"),
    ({"n_tiles": (2, 2, 2)}, "n_tiles="),
    ({"n_tiles": (2, 0)}, "n_tiles="),
    ({"n_tiles": None}, "n_tiles=None"),
    ({"n_tiles": "8"}, "n_tiles='8'"),
    ({"tile_shape": 0}, "tile_shape=0"),
    ({"tile_shape": (4,)}, "tile_shape="),
    ({"clip_limit": 0.5}, "clip_limit=0.5"),
    ({"clip_limit": 0, "convention": "opencv"}, "clip_limit=0"),
    ({"clip_limit": -1, "convention": "skimage"}, "clip_limit=-1"),
    ({"clip_limit": np.nan}, "clip_limit=nan"),
    ({"clip_limit": np.inf}, "clip_limit=inf"),
    ({"clip_limit": "2"}, "clip_limit='2'"),
    ({"clip_limit": True}, "clip_limit=True"),
    ({"n_bins": "auto"}, "n_bins='auto'"),
    ({"n_bins": 0}, "n_bins=0"),
    ({"convention": "numpy"}, "convention='numpy'"),
    ({"convention": "opencv", "tile_shape": 4}, "tile_shape=4"),
    ({"convention": "opencv", "n_bins": 64}, "n_bins=64"),
]


@on_the_default_engine
@pytest.mark.parametrize(("params", "words"), BAD, ids=str)
def test_bad_parameters_are_named_with_what_was_expected(params, words):
    for call in ("fit", "transform"):
        with pytest.raises(ValueError, match="expected") as caught:
            getattr(AdaptiveHistogramEqualizer(**params), call)(faces())
        assert words in str(caught.value)


@on_the_default_engine
@pytest.mark.parametrize("n", [np.int64(3), [3, 3], (3, np.uint8(3)), np.array([3, 3])])
def test_numbers_of_tiles_in_every_guise(n):
    x = faces(side=12)
    expected = AdaptiveHistogramEqualizer(n_tiles=3).transform(x)
    assert_same(AdaptiveHistogramEqualizer(n_tiles=n).transform(x), expected)
    assert_same(AdaptiveHistogramEqualizer(tile_shape=4).transform(x), expected)
    assert_same(AdaptiveHistogramEqualizer(tile_shape=[4, 4]).transform(x), expected)


def test_n_tiles_are_rows_and_columns():
    plane = faces(1, 1, 16)[0, 0]
    expected = clahe(plane, (2, 4), 3)
    np.testing.assert_allclose(adapted(plane, n_tiles=(2, 4), clip_limit=3), expected, atol=1e-9)
    turned = adapted(plane.T, n_tiles=(4, 2), clip_limit=3)
    np.testing.assert_allclose(turned.T, expected, atol=1e-9)


# --- warnings -------------------------------------------------------------------------------------


def warned(x, call="transform", **params):
    """The messages of one call."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        getattr(AdaptiveHistogramEqualizer(**params), call)(x)
    assert all(w.category is UserWarning for w in caught)
    return [str(w.message) for w in caught]


@on_the_default_engine
@pytest.mark.parametrize("call", ["transform", "fit_transform"])
def test_fewer_tiles_than_asked_for_are_one_warning_a_call(call):
    messages = warned(faces(300, 2, 8), call)
    assert len(messages) == 1
    assert "n_tiles=8" in messages[0]
    assert "4×4" in messages[0]
    assert warned(faces(), "fit") == []


@on_the_default_engine
def test_as_many_tiles_as_half_the_pixels_are_no_warning():
    assert warned(faces(side=16)) == []
    assert warned(faces(side=8), n_tiles=4) == []
    assert warned(np.zeros((2, 1, 16))) == []  # a side of one pixel cannot be cut
    assert warned(np.zeros((2, 1, 1))) == []
    assert len(warned(np.zeros((2, 1, 15)))) == 1
    assert warned(faces(side=8), tile_shape=2) == []


@on_the_default_engine
def test_warnings_point_at_the_caller():
    with pytest.warns(UserWarning, match="n_tiles") as caught:
        AdaptiveHistogramEqualizer().transform(faces())
    assert caught[0].filename == __file__


@on_the_default_engine
@pytest.mark.parametrize("convention", CONVENTIONS)
def test_rows_without_geometry_are_one_warning_that_names_image_shape(convention):
    rows = faces(side=32).reshape(6, -1)
    messages = warned(rows, convention=convention)
    assert len(messages) == 1
    assert "image_shape" in messages[0]
    assert warned(rows, convention=convention, image_shape=(32, 32)) == []


@on_the_default_engine
def test_short_rows_are_one_warning_too():
    messages = warned(faces(side=3).reshape(6, 9))
    assert len(messages) == 1
    assert "image_shape" in messages[0]
    assert "n_tiles" in messages[0]


@on_the_default_engine
@pytest.mark.parametrize(
    "params",
    [
        {"convention": "skimage"},
        {"convention": "skimage", "tile_shape": 1},
        {"convention": "opencv"},
        {"convention": "histeq", "tile_shape": 1},
    ],
    ids=str,
)
def test_tiles_of_one_pixel_are_a_warning(params):
    messages = warned(faces(side=8), **params)
    assert len(messages) == 1
    assert "one pixel" in messages[0]
    assert warned(faces(side=8), **{**params, "tile_shape": None, "n_tiles": 4}) == []


@on_the_default_engine
@given(side=st.integers(2, 30), n=st.integers(1, 40))
def test_opencvs_tiles_of_one_pixel(side, n):
    messages = warned(np.zeros((1, side, side), np.uint8), convention="opencv", n_tiles=n)
    assert bool(messages) == (opencv_tile((side, side), (n, n)) == 1)


# --- laws -----------------------------------------------------------------------------------------


SETTINGS = [
    {"n_tiles": 2},
    {"n_tiles": (1, 3), "clip_limit": None},
    {"tile_shape": 3, "clip_limit": 1.5, "n_bins": 16},
]
by_settings = pytest.mark.parametrize("params", SETTINGS, ids=str)


@few_examples
@given(x=images())
@by_settings
def test_a_batch_is_the_stack_of_its_planes(params, x):
    out = AdaptiveHistogramEqualizer(**params).fit_transform(x)
    stack = [[adapted(plane, **params) for plane in image] for image in x]
    assert_same(out, np.array(stack))


@few_examples
@given(x=images())
@by_settings
def test_moving_the_channel_axis_commutes(params, x):
    first = AdaptiveHistogramEqualizer(**params).transform(x)
    last = AdaptiveHistogramEqualizer(channel_axis=-1, **params).transform(np.moveaxis(x, 1, -1))
    assert_same(np.moveaxis(last, -1, 1), first)


@on_the_default_engine
@few_examples
@given(x=images())
def test_rows_with_their_geometry_are_images(x):
    expected = AdaptiveHistogramEqualizer(n_tiles=2).transform(x)
    rows = x.reshape(len(x), -1)
    shaped = AdaptiveHistogramEqualizer(n_tiles=2, image_shape=x.shape[1:])
    assert_same(shaped.transform(rows), expected.reshape(rows.shape))


@few_examples
@given(x=images(max_side=12))
def test_memory_layout_and_byte_order_change_nothing(x):
    assert_memory_does_not_matter("histeq", x)


@pytest.mark.parametrize(("convention", "dtype"), [("skimage", "f4"), ("opencv", "u1"),
                                                   ("opencv", "u2")])  # fmt: skip
def test_memory_layout_and_byte_order_change_nothing_in_the_peers_conventions(convention, dtype):
    assert_memory_does_not_matter(convention, faces(2, 2, 9, dtype))


def assert_memory_does_not_matter(convention, x):
    estimator = AdaptiveHistogramEqualizer(convention=convention, n_tiles=3)
    before, expected = x.copy(), estimator.transform(x)
    spread = np.repeat(x, 2, axis=-1)[..., ::2]
    frozen = x.copy()
    frozen.flags.writeable = False
    swapped = x.astype(x.dtype.newbyteorder(">"))
    for other in (np.asfortranarray(x), spread, x[..., ::-1][..., ::-1], frozen, swapped):
        assert_same(estimator.transform(other), expected)
    assert_same(x, before)


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_threads_change_nothing(convention, monkeypatch):
    x = faces(7, 1, 24)
    params = {"convention": convention, "n_tiles": 4}
    one = AdaptiveHistogramEqualizer(**params).transform(x)
    set_work_per_thread(monkeypatch, 1)
    assert_same(AdaptiveHistogramEqualizer(n_jobs=2, **params).transform(x), one)


def test_one_mask_an_image_serves_all_its_channels():
    x, rng = faces(3, 2), np.random.default_rng(0)
    mask = rng.random((3, 8, 8)) < 0.6
    out = AdaptiveHistogramEqualizer(n_tiles=2).transform(x, mask=mask)
    for i, c in np.ndindex(3, 2):
        assert_same(out[i, c], adapted(x[i, c], mask[i], n_tiles=2))
    last = AdaptiveHistogramEqualizer(n_tiles=2, channel_axis=-1)
    assert_same(np.moveaxis(last.transform(np.moveaxis(x, 1, -1), mask=mask), -1, 1), out)


def test_masks_that_count_nothing_name_their_images():
    mask = np.ones((6, 8, 8), bool)
    mask[[1, 4]] = False
    AdaptiveHistogramEqualizer().fit(faces(), mask=mask)  # reads no pixel
    with pytest.raises(ValueError, match=r"mask.*1, 4"):
        AdaptiveHistogramEqualizer().transform(faces(), mask=mask)


@on_the_default_engine
def test_fit_reads_no_pixel():
    x = faces(3, dtype="f8")
    x[:] = np.inf
    fitted = AdaptiveHistogramEqualizer().fit(x)
    assert fitted.n_channels_in_ == 1
    assert fitted.n_features_in_ == 64


@on_the_default_engine
@by_settings
def test_clones_copies_and_pickles_give_the_same(params):
    x = faces()
    estimator = AdaptiveHistogramEqualizer(**params).fit(x)
    expected = estimator.transform(x)
    for other in (copy.deepcopy(estimator), pickle.loads(pickle.dumps(estimator))):
        assert_same(other.transform(x), expected)


# --- output ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["bool", "u1", "i2", ">u4", "f2", "f4", ">f8"])
def test_own_dtype_and_casts(dtype):
    x = faces(dtype=dtype)
    own = AdaptiveHistogramEqualizer().transform(x)
    assert own.dtype == (np.float32 if dtype in ("f2", "f4") else np.float64)
    for name in ("float32", "float64"):
        assert_same(AdaptiveHistogramEqualizer(dtype=name).transform(x), own.astype(name))
    for name in ("uint8", "uint16"):
        scaled = np.rint(own.astype(float) * np.iinfo(name).max).astype(name)
        assert_same(AdaptiveHistogramEqualizer(dtype=name).transform(x), scaled)
    again = AdaptiveHistogramEqualizer(dtype="input").transform(x)
    assert again.dtype == x.dtype


@pytest.mark.parametrize("dtype", ["u1", "u2"])
def test_opencvs_output_is_the_inputs_and_its_top_that_types(dtype):
    x = faces(dtype=dtype, side=16)
    own = AdaptiveHistogramEqualizer(convention="opencv").transform(x)
    assert own.dtype == dtype
    assert_same(AdaptiveHistogramEqualizer(convention="opencv", dtype=dtype).transform(x), own)
    assert_same(AdaptiveHistogramEqualizer(convention="opencv", dtype="input").transform(x), own)
    out = AdaptiveHistogramEqualizer(convention="opencv", dtype="float32").transform(x)
    assert_same(out, own.astype("f4"))
    other = "u2" if dtype == "u1" else "u1"
    scaled = np.rint(own / np.iinfo(dtype).max * np.iinfo(other).max).astype(other)
    assert_same(AdaptiveHistogramEqualizer(convention="opencv", dtype=other).transform(x), scaled)


def test_missing_pixels_have_no_place_in_integers():
    x = faces(4, dtype="f8")
    x[2, 0, 0, 0] = np.nan
    with pytest.raises(ValueError, match=r"NaN in image\(s\) 2"):
        AdaptiveHistogramEqualizer(dtype="uint8").transform(x)


@pytest.mark.parametrize("dtype", ["u1", "u2", "f4"])
@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize("channels", [3, 4])
def test_the_value_of_colours_is_equalized(dtype, convention, channels):
    if convention == "opencv" and dtype == "f4":
        return
    x = faces(3, channels, 16, dtype)
    v = x[:, :3].max(axis=1, keepdims=True)
    params = {"convention": convention, "n_tiles": 4}
    w = AdaptiveHistogramEqualizer(**params).transform(v).astype(float)
    out = AdaptiveHistogramEqualizer(color="value", **params).transform(x)
    expected = np.where(v == 0, w, x[:, :3] * w / np.where(v == 0, 1, v))
    if convention == "opencv":
        expected = np.rint(expected)
    np.testing.assert_allclose(out[:, :3], expected, rtol=1e-6)
    if channels == 4:
        own_top = np.iinfo(dtype).max if convention == "opencv" else 1
        in_max = 1 if dtype == "f4" else np.iinfo(dtype).max
        np.testing.assert_allclose(out[:, 3], x[:, 3] * (own_top / in_max), rtol=1e-6)


@on_the_default_engine
def test_flatten_and_data_frames():
    pytest.importorskip("pandas")
    x = faces()
    expected = AdaptiveHistogramEqualizer().transform(x)
    flat = AdaptiveHistogramEqualizer(flatten=True).set_output(transform="pandas")
    frame = flat.fit_transform(x)
    assert frame.shape == (6, 64)
    assert_same(frame.to_numpy(), expected.reshape(6, -1))


# --- tags -----------------------------------------------------------------------------------------


def tags(**params):
    return AdaptiveHistogramEqualizer(**params).__sklearn_tags__()


@on_the_default_engine
def test_tags_tell_the_truth():
    assert not tags().requires_fit
    assert tags().input_tags.allow_nan
    assert not tags(dtype="uint8").input_tags.allow_nan
    assert not tags(convention="skimage").input_tags.allow_nan
    assert not tags(convention="opencv").input_tags.allow_nan
    assert tags().transformer_tags.preserves_dtype == ["float64", "float32"]
    assert tags(dtype="uint8").transformer_tags.preserves_dtype == ["uint8"]
    assert tags(convention="opencv").transformer_tags.preserves_dtype == ["uint8", "uint16"]
    opencv = tags(convention="opencv", dtype="float32")
    assert opencv.transformer_tags.preserves_dtype == ["float32"]


@pytest.mark.parametrize("dtype", INTEGERS[:4])
def test_integers_of_any_sign_and_order(dtype):
    x = faces(dtype=dtype)
    assert_same(
        AdaptiveHistogramEqualizer().transform(x),
        AdaptiveHistogramEqualizer().transform(x.astype(np.int64)),
    )


# --- a convention with default parameters is its library with default parameters ------------------


@pytest.mark.parametrize("dtype", ["u1", "u2", "f4", "f8"])
@pytest.mark.parametrize("shape", [(64, 64), (61, 83)])
def test_defaults_are_scikit_images_defaults(shape, dtype):
    plane = faces(1, side=max(shape), dtype=dtype)[0, 0, : shape[0], : shape[1]]
    actual = AdaptiveHistogramEqualizer(convention="skimage").transform(plane[None])[0]
    np.testing.assert_array_equal(actual, equalize_adapthist(plane))


@pytest.mark.parametrize("n_bins", [29, 57, 100, 128, 201, 256])
def test_the_default_limit_is_scikit_images_whatever_the_bins(n_bins):
    plane = faces(1, side=80)[0, 0]
    equalizer = AdaptiveHistogramEqualizer(convention="skimage", n_bins=n_bins)
    actual = equalizer.transform(plane[None])[0]
    np.testing.assert_array_equal(actual, equalize_adapthist(plane, nbins=n_bins))


@pytest.mark.parametrize("dtype", ["u1", "u2"])
@pytest.mark.parametrize("shape", [(64, 64), (61, 83), (8, 8)])
def test_defaults_are_opencvs_defaults(shape, dtype):
    plane = np.ascontiguousarray(
        faces(1, side=max(shape), dtype=dtype)[0, 0, : shape[0], : shape[1]]
    )
    actual = AdaptiveHistogramEqualizer(convention="opencv").transform(plane[None])[0]
    np.testing.assert_array_equal(actual, opencv_clahe(plane))


@on_the_default_engine
def test_the_default_limit_of_histeq_is_three():
    x = faces(side=32)
    expected = AdaptiveHistogramEqualizer(clip_limit=3).transform(x)
    assert_same(AdaptiveHistogramEqualizer().transform(x), expected)


# --- a convention of one's own, by the steps of CONTRIBUTING --------------------------------------


TOYS = [
    ("histeq", squared_clahe, np.square, ["bool", "u1", "i2", "u8", "f2", "f4", "f8"]),
    ("opencv", negative_clahe, np.invert, ["u1", "u2"]),
]


@pytest.mark.parametrize(
    ("like", "function", "of_output", "dtype"),
    [(*toy, dtype) for *toy, dtypes in TOYS for dtype in dtypes],
)
def test_a_convention_is_one_record_and_one_function(monkeypatch, like, function, of_output, dtype):
    """However its planes are divided, and though no kernel knows it."""
    da = pytest.importorskip("dask.array")
    add_clahe_convention(monkeypatch, "toy", function, like)
    x, mask = faces(3, 2, 30, dtype)[..., :9], None
    if like == "histeq":  # the other one takes none
        mask = np.random.default_rng(0).random((3, 30, 9)) < 0.1
    settings = {"n_tiles": (5, 3), "clip_limit": 2.0}
    toy = AdaptiveHistogramEqualizer(**settings, convention="toy")
    actual = toy.transform(x, mask=mask)
    as_known = AdaptiveHistogramEqualizer(**settings, convention=like).transform(x, mask=mask)
    np.testing.assert_allclose(actual, of_output(as_known), rtol=2e-7)
    assert actual.dtype == as_known.dtype
    with monkeypatch.context() as patch:
        patch.setenv(ENGINE_VARIABLE, "reference")
        assert_same(toy.transform(x, mask=mask), actual)
    lazy_mask = None if mask is None else da.from_array(mask, chunks=(2, 11, 5))
    with pytest.warns(UserWarning, match="there are no kernels|without compiled kernels"):
        lazy = toy.transform(da.from_array(x, chunks=(2, 2, 11, 5)), mask=lazy_mask)
    assert_same(lazy.compute(), actual)
    set_work_per_thread(monkeypatch, 1)
    set_parts_of_large_planes(monkeypatch, 50)
    toy.set_params(n_jobs=3)
    assert_same(toy.transform(x[:1], mask=None if mask is None else mask[:1]), actual[:1])
