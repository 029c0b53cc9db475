"""LocalHistogramEqualizer: its own definition, and its peer's bits."""

import copy
import pickle
from itertools import product

import numpy as np
import pytest
from _helpers import assert_same, faces, on_all_engines, on_the_default_engine
from _internals import (
    ENGINE_VARIABLE,
    add_local_convention,
    set_parts_of_local,
    set_work_per_thread,
)
from _oracles import mid_ranks, mid_ranks_of_levels, rank_equalize
from _strategies import ALL, FLOATS, INTEGERS, few_examples, holes, images, masked, planes, seeds
from hypothesis import given
from hypothesis import strategies as st

from sklearn_histeq import HistogramEqualizer, LocalHistogramEqualizer

pytestmark = [pytest.mark.usefixtures("engine"), on_all_engines]

CONVENTIONS = ["histeq", "skimage"]
widths = st.sampled_from([3, 5, 7, 9, 13, 21, 41])
shares = st.floats(0, 1, exclude_min=True)
extents = st.one_of(st.sampled_from([1, 3, 5, 13]), shares)
pairs = st.tuples(extents, extents).filter(lambda pair: pair != (1, 1))
# Larger than the windows at which a kernel may change its way, of up to 57 pixels. Windows are cut
# to twice the longer side of an image: it has 30 pixels where windows are to be large.
LARGE = [25, 61, 99, 151]


def local(plane, mask=None, **params):
    """One plane through the estimator, as a batch of one image."""
    mask = None if mask is None else mask[None]
    return LocalHistogramEqualizer(**params).transform(plane[None], mask=mask)[0]


def own_dtype(dtype):
    return np.float32 if dtype.newbyteorder("=") in (np.float16, np.float32) else np.float64


# --- the definition -------------------------------------------------------------------------------


@given(case=masked(planes(max_side=16).flatmap(holes)), window=st.one_of(widths, shares, pairs))
def test_the_definition(case, window):
    plane, mask = case
    out = local(plane, mask, window=window)
    expected = mid_ranks(plane, window, mask)
    assert out.dtype == own_dtype(plane.dtype)
    tolerance = 1e-12 if out.dtype == np.float64 else 1e-7
    np.testing.assert_allclose(out, expected, rtol=0, atol=tolerance)


@st.composite
def wide_planes(draw, dtypes):
    """A plane with room for large windows, of many levels or of few, some of them frequent."""
    dtype, rng = np.dtype(draw(st.sampled_from(dtypes))), np.random.default_rng(draw(seeds))
    shape = draw(st.tuples(st.integers(1, 80), st.integers(2, 150)))
    values = rng.random(shape) ** draw(st.sampled_from([0.3, 1, 4]))
    if draw(st.booleans()):
        values += np.linspace(0, 2, shape[1])  # neighbours resemble each other
    if draw(st.booleans()):
        values = np.round(values, draw(st.sampled_from([1, 2, 3])))
    if draw(st.booleans()):
        values[rng.random(shape) < draw(st.sampled_from([0.2, 0.9]))] = values.flat[0]
    scale = 1 if dtype.kind == "f" else np.iinfo(dtype).max / 3.01
    return (values * scale).astype(dtype)


def smaller(plane):
    """A part of a plane that has more levels than bytes have: the definition looks at each."""
    return plane if plane.dtype == np.uint8 else plane[:20, :40]


@given(
    case=masked(wide_planes(["u1", "u2", "f4", "f8"]).map(smaller).flatmap(holes)),
    window=st.sampled_from([*LARGE, (1, 151), (99, 25), (0.9, 61)]),
)
@few_examples
def test_large_windows(case, window):
    plane, mask = case
    expected = mid_ranks_of_levels(plane, window, mask).astype(own_dtype(plane.dtype))
    assert_same(local(plane, mask, window=window), expected)


@pytest.mark.parametrize("shape", [(1, 300), (300, 2), (2, 2), (1, 1), (130, 3)])
@pytest.mark.parametrize("dtype", ["u1", "u2", "f4", "f8"])
def test_windows_beyond_the_image(shape, dtype):
    plane = (np.random.default_rng(0).random(shape) * 100).astype(dtype)
    for window in (3, 301, 2**31 - 1, 1.0, (1, 2**31 - 1), (301, 1), (1.0, 3)):
        expected = mid_ranks_of_levels(plane, window, None).astype(own_dtype(plane.dtype))
        assert_same(local(plane, window=window), expected)


@pytest.mark.parametrize("window", [3, 99])
def test_constant_planes_are_a_half(window):
    for dtype, level in product(ALL, (0, 1)):
        assert (local(np.full((9, 30), level, dtype), window=window) == 0.5).all()


@on_the_default_engine
def test_the_default_window_is_an_eighth():
    plane = faces(1, 1, 40, "f8")[0, 0]
    assert_same(local(plane), local(plane, window=5))
    assert_same(local(plane[:32]), local(plane[:32], window=1 / 8))
    assert_same(local(plane[:7]), local(plane[:7], window=3))


@pytest.mark.parametrize("window", [1.0, np.float32(0.3), 3, np.uint8(7), 2**31 - 1, 0.9999])
def test_windows_in_every_guise(window):
    plane = faces(1, 1, 12, "f8")[0, 0]
    given_window = int(window) if isinstance(window, np.integer) else window
    np.testing.assert_allclose(local(plane, window=window), mid_ranks(plane, given_window), 1e-12)


@given(plane=planes([np.dtype("u1"), np.dtype("u2")], max_side=20), window=widths, seed=seeds)
def test_every_increasing_tone_curve_leaves_the_bits(plane, window, seed):
    levels, codes = np.unique(plane, return_inverse=True)
    steps = np.random.default_rng(seed).uniform(0.01, 1, len(levels))
    toned = np.cumsum(steps)[codes.reshape(plane.shape)] - 3
    assert_same(local(toned, window=window), local(plane, window=window))


@given(plane=planes([np.dtype("u1"), np.dtype("f8")], max_side=20), window=widths)
def test_negatives_are_mirrored(plane, window):
    out = local(plane, window=window)
    negative = plane.max() - plane if plane.dtype.kind == "u" else -plane
    np.testing.assert_allclose(local(negative, window=window), 1 - out, rtol=0, atol=1e-12)


def test_a_window_of_rows_and_columns():
    plane = faces(1, 1, 24, "f8")[0, 0][:9]
    for window in ([5, 5], np.array([5, 5]), (5, 5)):
        assert_same(local(plane, window=window), local(plane, window=5))
    rows = [local(row[None], window=(1, 7))[0] for row in plane]
    assert_same(local(plane, window=(1, 7)), np.array(rows))
    assert_same(local(plane, window=(7, 1)), local(plane.T, window=(1, 7)).T)
    # a share in a pair is that of its own axis
    assert_same(local(plane, window=(1 / 3, 1 / 3)), local(plane, window=(3, 9)))
    assert_same(local(plane, window=1 / 3), local(plane, window=3))


@given(plane=planes(max_side=16), window=widths)
def test_turning_commutes(plane, window):
    assert_same(local(plane.T, window=window), local(plane, window=window).T)
    assert_same(local(plane[::-1], window=window), local(plane, window=window)[::-1])


@given(plane=planes(max_side=16), window=widths)
def test_counted_pixels_are_within_zero_and_one(plane, window):
    out = local(plane, window=window)
    assert (out > 0).all()
    assert (out < 1).all()


def test_one_window_for_all_is_the_mid_rank_of_the_image():
    plane = faces(1, 1, 9, "f8")[0, 0]
    ranks = np.argsort(np.argsort(plane, axis=None)).reshape(9, 9)
    assert_same(local(plane, window=17), (ranks + 0.5) / 81)
    np.testing.assert_allclose(HistogramEqualizer().transform(ranks[None])[0], (ranks + 1) / 81)


# --- missing pixels and masks ---------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["u1", "u2", "i8", "f4", "f8"])
@pytest.mark.parametrize("window", [3, 61])
def test_windows_without_a_counted_pixel_take_the_whole_plane(dtype, window):
    plane = faces(1, 1, 48, dtype)[0, 0][:30]
    mask = np.zeros((30, 48), bool)
    mask[:2, :3] = True
    out = local(plane, mask, window=window)
    expected = mid_ranks_of_levels(plane, window, mask).astype(own_dtype(plane.dtype))
    assert_same(out, expected)
    assert {0.0, 1.0} & set(out.ravel().tolist())  # of pixels that do not count themselves


def test_a_plane_of_missing_pixels_stays_missing():
    x = np.full((2, 1, 6, 6), np.nan, "f4")
    x[1] = faces(1, 1, 6, "f4")[0]
    out = LocalHistogramEqualizer().transform(x)
    assert np.isnan(out[0]).all()
    assert not np.isnan(out[1]).any()


@pytest.mark.parametrize("window", [3, 33, 99])
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
def test_missing_pixels_and_masked_ones_count_alike(dtype, window):
    x, mask = faces(2, 2, 30, dtype)[..., :9], np.random.default_rng(0).random((2, 30, 9)) < 0.7
    inside = np.broadcast_to(mask[:, None], x.shape)
    estimator = LocalHistogramEqualizer(window=window)
    holed = estimator.transform(np.where(inside, x, np.array(np.nan, x.dtype)))
    assert_same(holed[inside], estimator.transform(x, mask=mask)[inside])
    assert np.isnan(holed[~inside]).all()


@pytest.mark.parametrize("dtype", ["u1", "u2", "f4"])
def test_a_mask_of_true_is_no_mask(dtype):
    x, mask = faces(2, 2, 30, dtype)[..., :9], np.ones((2, 30, 9), bool)
    for window in (3, 61):
        estimator = LocalHistogramEqualizer(window=window)
        assert_same(estimator.transform(x, mask=mask), estimator.transform(x))


def test_one_mask_an_image_serves_all_its_channels():
    x, mask = faces(3, 2), np.random.default_rng(0).random((3, 8, 8)) < 0.6
    out = LocalHistogramEqualizer(window=3).transform(x, mask=mask)
    for i, c in np.ndindex(3, 2):
        assert_same(out[i, c], local(x[i, c], mask[i], window=3))
    last = LocalHistogramEqualizer(window=3, channel_axis=-1)
    assert_same(np.moveaxis(last.transform(np.moveaxis(x, 1, -1), mask=mask), -1, 1), out)


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_masks_that_count_nothing_name_their_images(convention):
    mask = np.ones((6, 8, 8), bool)
    mask[[1, 4]] = False
    estimator = LocalHistogramEqualizer(convention=convention)
    estimator.fit(faces(), mask=mask)  # reads no pixel
    with pytest.raises(ValueError, match=r"mask.*1, 4"):
        estimator.transform(faces(), mask=mask)


def test_infinity_is_refused():
    x = faces(3, dtype="f8")
    x[1, 0, 0, 0] = np.inf
    LocalHistogramEqualizer().fit(x)  # reads no pixel
    with pytest.raises(ValueError, match=r"inf.*image\(s\) 1,"):
        LocalHistogramEqualizer().transform(x)


# --- the peer, bit for bit ------------------------------------------------------------------------


@given(
    case=masked(wide_planes(["u1", "u2"])),
    window=st.one_of(widths, st.sampled_from(LARGE)),
    top=st.sampled_from([1, 3, 200, 255, 1000, 4000]),
)
def test_skimages_bits(case, window, top):
    plane, mask = case
    # scikit-image's time grows with the highest level
    plane = (plane.astype(int) % (top + 1)).astype(plane.dtype)
    out = local(plane, mask, window=window, convention="skimage")
    assert_same(out, rank_equalize(plane, (window, window), mask))


def test_skimages_bits_of_sixteen():
    plane = faces(1, 1, 24, "u2")[0, 0]
    plane[3, 4] = 65535
    for window in (3, 25):
        out = local(plane, window=window, convention="skimage")
        assert_same(out, rank_equalize(plane, (window, window)))


def test_skimage_gives_black_where_it_counts_nothing():
    plane, mask = faces(1, 1, 30)[0, 0] + np.uint8(1), np.zeros((30, 30), bool)
    mask[0, 0] = True
    out = local(plane, mask, window=5, convention="skimage")
    assert (out[3:] == 0).all()
    assert_same(out, rank_equalize(plane, (5, 5), mask))


@on_the_default_engine
@pytest.mark.parametrize("dtype", ["bool", "i1", "i2", "u4", "f4", "f8"])
def test_skimage_takes_bytes_and_words_only(dtype):
    with pytest.raises(ValueError, match=r"uint8 or uint16.*histeq"):
        LocalHistogramEqualizer(convention="skimage").fit(faces(dtype=dtype))


# --- parameters and warnings ----------------------------------------------------------------------


BAD = [0, 1, 2, 4, -3, 2**31 + 1, 0.0, -0.1, 1.5, 5.0, np.nan, np.inf, True, None, "auto"]
BAD += [(3,), (3, 3, 3), (3, 4), (0, 3), (1.5, 3), (1, 1), (True, 3), ((3, 3), 3), (3, "auto"), ()]


@on_the_default_engine
@pytest.mark.parametrize("window", BAD, ids=str)
def test_bad_windows_are_named_with_what_was_expected(window):
    for call in ("fit", "transform"):
        with pytest.raises(ValueError, match="expected a float in") as caught:
            getattr(LocalHistogramEqualizer(window=window), call)(faces())
        assert f"window={window!r}" in str(caught.value)


@on_the_default_engine
def test_bad_conventions_are_named():
    with pytest.raises(
        ValueError, match=r"convention='opencv', but expected 'histeq' or 'skimage'"
    ):
        LocalHistogramEqualizer(convention="opencv").fit(faces())


@on_the_default_engine
@pytest.mark.parametrize("convention", CONVENTIONS)
def test_rows_without_geometry_are_one_warning_at_the_caller(convention):
    rows = faces(side=32).reshape(6, -1)
    estimator = LocalHistogramEqualizer(convention=convention)
    with pytest.warns(UserWarning, match="image_shape") as caught:
        out = estimator.fit_transform(rows)
    assert [w.filename for w in caught] == [__file__]
    assert_same(out[2], local(rows[2][None], window=3, convention=convention)[0])
    estimator.set_params(image_shape=(32, 32)).fit_transform(rows)  # silent


# --- laws -----------------------------------------------------------------------------------------


SETTINGS = [{"window": 3}, {"window": 0.5}, {"window": 51}]
by_settings = pytest.mark.parametrize("params", SETTINGS, ids=str)


@few_examples
@given(x=images())
@by_settings
def test_a_batch_is_the_stack_of_its_planes(params, x):
    out = LocalHistogramEqualizer(**params).fit_transform(x)
    assert_same(out, np.array([[local(plane, **params) for plane in image] for image in x]))


@few_examples
@given(x=images())
@by_settings
def test_moving_the_channel_axis_commutes(params, x):
    first = LocalHistogramEqualizer(**params).transform(x)
    last = LocalHistogramEqualizer(channel_axis=-1, **params).transform(np.moveaxis(x, 1, -1))
    assert_same(np.moveaxis(last, -1, 1), first)


@on_the_default_engine
@few_examples
@given(x=images())
def test_rows_with_their_geometry_are_images(x):
    rows = x.reshape(len(x), -1)
    shaped = LocalHistogramEqualizer(window=3, image_shape=x.shape[1:])
    expected = LocalHistogramEqualizer(window=3).transform(x)
    assert_same(shaped.transform(rows), expected.reshape(rows.shape))
    flat = LocalHistogramEqualizer(window=3, flatten=True).transform(x)
    assert_same(flat, expected.reshape(rows.shape))


@few_examples
@given(x=images(max_side=12))
def test_memory_layout_and_byte_order_change_nothing(x):
    assert_memory_does_not_matter("histeq", x)


@pytest.mark.parametrize("dtype", ["u1", "u2"])
def test_memory_layout_and_byte_order_change_nothing_in_skimages_convention(dtype):
    assert_memory_does_not_matter("skimage", faces(2, 2, 9, dtype) >> 6)


def assert_memory_does_not_matter(convention, x):
    estimator = LocalHistogramEqualizer(convention=convention, window=5)
    before, expected = x.copy(), estimator.transform(x)
    spread = np.repeat(x, 2, axis=-1)[..., ::2]
    frozen = x.copy()
    frozen.flags.writeable = False
    swapped = x.astype(x.dtype.newbyteorder(">"))
    for other in (np.asfortranarray(x), spread, x[..., ::-1][..., ::-1], frozen, swapped):
        assert_same(estimator.transform(other), expected)
    assert_same(x, before)


@pytest.mark.parametrize("dtype", ["u1", "u2", "f4"])
@pytest.mark.parametrize("window", [5, 61])
def test_threads_and_blocks_change_nothing(monkeypatch, dtype, window):
    x = faces(3, 2, 30, dtype)[..., :6]
    mask = np.random.default_rng(0).random((3, 30, 6)) < 0.7
    estimator = LocalHistogramEqualizer(window=window)
    expected = estimator.transform(x, mask=mask)
    for nanoseconds in (1, 10_000, 10**9):
        set_work_per_thread(monkeypatch, nanoseconds)
        estimator.set_params(n_jobs=3)
        assert_same(estimator.transform(x, mask=mask), expected)
        assert_same(estimator.transform(x[:1], mask=mask[:1]), expected[:1])


@pytest.mark.parametrize("dtype", ["u1", "u2", "f4", "f8"])
@pytest.mark.parametrize("window", [5, 61])
def test_a_large_plane_in_parts(monkeypatch, dtype, window):
    """One image alone, whose rows threads share."""
    x = faces(1, 1, 130, dtype)[..., :20]
    x[0, 0, 100:] = x[0, 0, 0, 0]
    mask = np.random.default_rng(0).random((1, 130, 20)) < 0.3
    mask[0, :62] = False  # the upper part has windows without a counted pixel
    one = LocalHistogramEqualizer(window=window).transform(x, mask=mask)
    set_work_per_thread(monkeypatch, 100)
    set_parts_of_local(monkeypatch, 130)
    two = LocalHistogramEqualizer(window=window, n_jobs=2)
    assert_same(two.transform(x, mask=mask), one)
    plain_one = LocalHistogramEqualizer(window=window, n_jobs=1).transform(x)
    assert_same(two.transform(x), plain_one)


@on_the_default_engine
def test_fit_reads_no_pixel_and_transform_needs_no_fit():
    x = faces(3, dtype="f8")
    fitted = LocalHistogramEqualizer().fit(np.full_like(x, np.inf))
    assert fitted.n_channels_in_ == 1
    assert fitted.n_features_in_ == 64
    assert_same(LocalHistogramEqualizer().transform(x), fitted.transform(x))


@on_the_default_engine
@by_settings
def test_clones_copies_and_pickles_give_the_same(params):
    x = faces()
    estimator = LocalHistogramEqualizer(**params).fit(x)
    expected = estimator.transform(x)
    for other in (copy.deepcopy(estimator), pickle.loads(pickle.dumps(estimator))):
        assert_same(other.transform(x), expected)


# --- output ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["bool", "u1", "i2", ">u4", "i8", "f2", "f4", ">f8"])
@pytest.mark.parametrize("window", [5, 61])
def test_own_dtype_and_casts(dtype, window):
    x = faces(2, side=30, dtype=dtype)[..., :6]
    own = LocalHistogramEqualizer(window=window).transform(x)
    assert own.dtype == (np.float32 if dtype in ("f2", "f4") else np.float64)
    for name in ("float32", "float64"):
        out = LocalHistogramEqualizer(window=window, dtype=name).transform(x)
        assert_same(out, own.astype(name))
    for name in ("uint8", "uint16"):
        scaled = np.rint(own.astype(float) * np.iinfo(name).max).astype(name)
        assert_same(LocalHistogramEqualizer(window=window, dtype=name).transform(x), scaled)
    assert LocalHistogramEqualizer(dtype="input").transform(x).dtype == x.dtype


@pytest.mark.parametrize("dtype", ["u1", "u2"])
def test_skimages_output_is_the_inputs_and_its_top_that_types(dtype):
    x = faces(dtype=dtype, side=16)
    own = LocalHistogramEqualizer(convention="skimage").transform(x)
    assert own.dtype == dtype
    for same in (dtype, "input"):
        out = LocalHistogramEqualizer(
            convention="skimage", dtype=same if same == "input" else np.dtype(same).name
        ).transform(x)
        assert_same(out, own)
    out = LocalHistogramEqualizer(convention="skimage", dtype="float32").transform(x)
    assert_same(out, own.astype("f4"))
    other = "uint16" if dtype == "u1" else "uint8"
    scaled = np.rint(own / np.iinfo(dtype).max * np.iinfo(other).max).astype(other)
    out = LocalHistogramEqualizer(convention="skimage", dtype=other).transform(x)
    assert_same(out, scaled)


def test_missing_pixels_have_no_place_in_integers():
    x = faces(4, dtype="f8")
    x[2, 0, 0, 0] = np.nan
    with pytest.raises(ValueError, match=r"NaN in image\(s\) 2"):
        LocalHistogramEqualizer(dtype="uint8").transform(x)


@pytest.mark.parametrize("dtype", ["u1", "u2", "f4"])
@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize("channels", [3, 4])
def test_the_value_of_colours_is_equalized(dtype, convention, channels):
    if convention == "skimage" and dtype == "f4":
        return
    x = faces(3, channels, 16, dtype)
    v = x[:, :3].max(axis=1, keepdims=True)
    w = LocalHistogramEqualizer(convention=convention).transform(v).astype(float)
    out = LocalHistogramEqualizer(color="value", convention=convention).transform(x)
    expected = np.where(v == 0, w, x[:, :3] * w / np.where(v == 0, 1, v))
    if convention == "skimage":
        expected = np.rint(expected)
    np.testing.assert_allclose(out[:, :3], expected, rtol=1e-6)


# --- a convention of one's own, by the steps of CONTRIBUTING --------------------------------------


def squared_ranks(below, equal, n_counted, plane):
    """The formula of a toy convention: squared mid-ranks."""
    return ((below + equal / 2) / n_counted) ** 2


def negative_levels(below, equal, n_counted, plane):
    """The formula of another one: 255 minus scikit-image's levels of bytes."""
    level = 255 * (below + equal) // np.maximum(n_counted, 1)
    return (plane.dtype.type(255) - level).astype(plane.dtype)


TOYS = [
    ("histeq", squared_ranks, np.square, ["bool", "u1", "i2", "u8", "f2", "f4", "f8"]),
    ("skimage", negative_levels, lambda levels: 255 - levels, ["u1"]),
]


@pytest.mark.parametrize("is_masked", [False, True])
@pytest.mark.parametrize(
    ("like", "formula", "of_output", "dtype"),
    [(*toy, dtype) for *toy, dtypes in TOYS for dtype in dtypes],
)
def test_a_convention_is_one_record_and_one_function(
    monkeypatch, like, formula, of_output, dtype, is_masked
):
    """However its planes are divided, and though no kernel knows its formula."""
    da = pytest.importorskip("dask.array")
    add_local_convention(monkeypatch, "toy", formula, like)
    x = faces(3, 2, 30, dtype)[..., :9]
    mask = np.random.default_rng(0).random((3, 30, 9)) < 0.2 if is_masked else None
    settings = {"window": (5, 3), "convention": "toy"}
    toy = LocalHistogramEqualizer(**settings)
    actual = toy.transform(x, mask=mask)
    as_known = LocalHistogramEqualizer(**settings | {"convention": like}).transform(x, mask=mask)
    np.testing.assert_allclose(actual, of_output(as_known), rtol=2e-7)
    assert actual.dtype == as_known.dtype
    with monkeypatch.context() as patch:
        patch.setenv(ENGINE_VARIABLE, "reference")
        assert_same(toy.transform(x, mask=mask), actual)
    if mask is not None:
        mask = da.from_array(mask, chunks=(2, 11, 5))
    with pytest.warns(UserWarning, match="no kernel|without compiled kernels"):
        lazy = toy.transform(da.from_array(x, chunks=(2, 2, 11, 5)), mask=mask)
    assert_same(lazy.compute(), actual)
    mask = None if mask is None else mask[:1].compute()
    set_work_per_thread(monkeypatch, 1)
    set_parts_of_local(monkeypatch, 50)
    assert_same(toy.set_params(n_jobs=3).transform(x[:1], mask=mask), actual[:1])


@on_the_default_engine
def test_all_dtypes_are_tried():
    assert len(ALL) == 1 + len(INTEGERS) + len(FLOATS)
