"""LocalHistogramEqualizer on volumes: windows of slices, rows and columns."""

from itertools import permutations

import numpy as np
import pytest
from _helpers import (
    assert_same,
    faces,
    on_all_engines,
    on_both_engines,
    on_the_default_engine,
    to_rows,
)
from _internals import needs_kernels, set_parts_of_local, set_work_per_thread
from _oracles import mid_ranks, mid_ranks_of_levels, rank_equalize
from _strategies import few_examples, holes, masked, planes, seeds
from hypothesis import given
from hypothesis import strategies as st

from sklearn_histeq import LocalHistogramEqualizer

pytestmark = [pytest.mark.usefixtures("engine"), on_all_engines]

extents = st.one_of(st.sampled_from([1, 3, 5, 9]), st.floats(0, 1, exclude_min=True))
triples = st.tuples(extents, extents, extents).filter(lambda window: window != (1, 1, 1))
windows = st.one_of(st.sampled_from([3, 5, 0.5]), triples)


def local(volume, mask=None, **params):
    """One volume through the estimator."""
    mask = None if mask is None else mask[None]
    estimator = LocalHistogramEqualizer(spatial_dims=3, **params)
    return estimator.transform(volume[None, None], mask=mask)[0, 0]


def own_dtype(dtype):
    return np.float32 if dtype.newbyteorder("=") in (np.float16, np.float32) else np.float64


@st.composite
def volumes(draw, planes):
    """A plane, cut into slices."""
    plane = draw(planes)
    depth = draw(st.sampled_from([n for n in range(1, 6) if plane.shape[0] % n == 0]))
    return plane.reshape(depth, -1, plane.shape[1])


def smooth_volume(shape, dtype, seed=0):
    """A volume of many levels whose neighbours resemble each other, and some that are equal."""
    rng = np.random.default_rng(seed)
    values = rng.random(shape) + np.linspace(0, 2, shape[2])
    values[rng.random(shape) < 0.2] = 1.0
    dtype = np.dtype(dtype)
    return (values * (1 if dtype.kind == "f" else np.iinfo(dtype).max / 3.01)).astype(dtype)


# --- the definition -------------------------------------------------------------------------------


@given(case=masked(volumes(planes(max_side=12).flatmap(holes))), window=windows)
def test_the_definition(case, window):
    volume, mask = case
    out = local(volume, mask, window=window)
    expected = mid_ranks(volume, window, mask)
    assert out.dtype == own_dtype(volume.dtype)
    tolerance = 1e-12 if out.dtype == np.float64 else 1e-7
    np.testing.assert_allclose(out, expected, rtol=0, atol=tolerance)


LARGE = [(3, 61, 61), (9, 31, 31), 35, (1, 61, 61), (9, 1, 501), (11, 501, 1), 1.0]


@pytest.mark.parametrize("dtype", ["u1", "u2", "f4", "f8"])
@given(seed=seeds, window=st.sampled_from(LARGE), share=st.sampled_from([None, 0.03, 0.6]))
@few_examples
def test_large_windows(dtype, seed, window, share):
    """Those that are counted by histograms."""
    volume = smooth_volume((6, 10, 32), dtype, seed)[:, :, :30]
    volume = volume if dtype == "u1" else volume.round(2) if volume.dtype.kind == "f" else volume
    mask = None if share is None else np.random.default_rng(seed).random(volume.shape) < share
    if mask is not None:
        mask[0, 0, 0] = True
    expected = mid_ranks_of_levels(volume, window, mask).astype(own_dtype(volume.dtype))
    assert_same(local(volume, mask, window=window), expected)


@on_the_default_engine
@needs_kernels
@pytest.mark.parametrize("shape", [(260, 258, 2), (1, 66_000, 2)])
def test_columns_of_more_than_65535_voxels(shape):
    for dtype in ("u1", "f4"):
        assert (local(np.ones(shape, dtype), window=2**31 - 1) == 0.5).all()


@pytest.mark.parametrize("dtype", ["u1", "u2", "i8", "f4", "f8"])
@pytest.mark.parametrize("window", [3, (9, 61, 61)])
def test_windows_without_a_counted_voxel_take_the_whole_volume(dtype, window):
    volume = smooth_volume((8, 7, 36), dtype)
    mask = np.zeros(volume.shape, bool)
    mask[:2, :3, :4] = True
    expected = mid_ranks_of_levels(volume, window, mask).astype(own_dtype(volume.dtype))
    assert_same(local(volume, mask, window=window), expected)


# --- laws -----------------------------------------------------------------------------------------


@given(case=masked(planes(max_side=16).flatmap(holes)), extent=extents, depth=extents)
def test_a_volume_of_one_slice_is_the_image(case, extent, depth):
    plane, mask = case
    if extent == 1:
        extent = 3
    pair = (extent, extent)
    image = LocalHistogramEqualizer(window=pair).transform(
        plane[None], mask=None if mask is None else mask[None]
    )
    slices = None if mask is None else mask[None]
    assert_same(local(plane[None], slices, window=(depth, *pair)), image)


@pytest.mark.parametrize("dtype", ["u1", "u2"])
@pytest.mark.parametrize("window", [5, 61])
def test_a_volume_of_one_slice_is_the_image_in_skimages_convention(dtype, window):
    plane = faces(1, 1, 32, dtype)[0]
    image = LocalHistogramEqualizer(window=window, convention="skimage").transform(plane)
    assert_same(local(plane, window=window, convention="skimage"), image)


@given(case=masked(volumes(planes(max_side=12).flatmap(holes))), window=triples)
def test_permuting_axes_permutes_the_result(case, window):
    volume, mask = case
    out = local(volume, mask, window=window)
    for axes in permutations(range(3)):
        turned = volume.transpose(axes)
        if 1 in turned.shape[1:]:
            continue  # is refused, unless it is one voxel
        of_turned = None if mask is None else mask.transpose(axes)
        extents = tuple(window[axis] for axis in axes)
        assert_same(local(turned, of_turned, window=extents), out.transpose(axes))


@pytest.mark.parametrize("dtype", ["u1", "u2", "f4"])
@pytest.mark.parametrize("window", [3, (9, 61, 61)])
def test_slices_of_a_flat_window_are_images(dtype, window):
    volume = smooth_volume((4, 9, 31), dtype)
    side = 3 if window == 3 else 61
    images = LocalHistogramEqualizer(window=side).transform(volume)
    assert_same(local(volume, window=(1, side, side)), images)


def test_a_number_is_the_width_along_all_axes_and_a_share_that_of_the_depth_too():
    volume = smooth_volume((20, 8, 12), "f4")
    assert_same(local(volume, window=5), local(volume, window=(5, 5, 5)))
    assert_same(local(volume, window=0.5), local(volume, window=(11, 5, 5)))
    assert_same(local(volume, window=(0.5, 0.5, 0.5)), local(volume, window=(11, 5, 7)))
    assert_same(local(volume), local(volume, window=3))


@on_both_engines
@pytest.mark.parametrize("dtype", ["u1", ">u2", "i4", "f4", "f8"])
@pytest.mark.parametrize("window", [3, (9, 61, 61)])
def test_memory_layout_and_channels_change_nothing(dtype, window):
    x = np.stack([smooth_volume((4, 5, 31), dtype, seed) for seed in range(4)]).reshape(
        2, 2, 4, 5, 31
    )
    mask = np.random.default_rng(0).random((2, 4, 5, 31)) < 0.7
    estimator = LocalHistogramEqualizer(window=window, spatial_dims=3)
    expected = estimator.transform(x, mask=mask)
    for i, c in np.ndindex(2, 2):
        assert_same(expected[i, c], local(x[i, c], mask[i], window=window))
    assert_same(estimator.transform(np.asfortranarray(x), mask=mask), expected)
    last = LocalHistogramEqualizer(window=window, spatial_dims=3, channel_axis=-1)
    for interleaved in (np.moveaxis(x, 1, -1), np.moveaxis(x, 1, -1).copy()):
        assert_same(np.moveaxis(last.transform(interleaved, mask=mask), -1, 1), expected)


@on_both_engines
@pytest.mark.parametrize("dtype", ["u1", "u2", "f4", "f8"])
@pytest.mark.parametrize("window", [3, (3, 61, 61), (25, 31, 31)])
def test_a_large_volume_in_parts(monkeypatch, dtype, window):
    """One volume alone, whose slices threads share."""
    volume = smooth_volume((24, 5, 31), dtype)
    volume[18:] = volume[0, 0, 0]
    mask = np.random.default_rng(0).random(volume.shape) < 0.3
    mask[:15] = False  # the first parts have windows without a counted voxel
    one, all_counted = local(volume, mask, window=window), local(volume, window=window)
    set_work_per_thread(monkeypatch, 100)
    set_parts_of_local(monkeypatch, 300)
    for n_jobs in (1, 2):
        assert_same(local(volume, mask, window=window, n_jobs=n_jobs), one)
        assert_same(local(volume, window=window, n_jobs=n_jobs), all_counted)


# --- the peer, bit for bit ------------------------------------------------------------------------


@given(
    case=masked(volumes(planes([np.dtype("u1"), np.dtype("u2")], max_side=20))),
    window=st.tuples(*[st.sampled_from([1, 3, 5, 13])] * 3).filter(lambda of: of != (1, 1, 1)),
    top=st.sampled_from([1, 3, 255, 1000, 4000]),
)
def test_skimages_bits(case, window, top):
    volume, mask = case
    volume = (volume.astype(int) % (top + 1)).astype(volume.dtype)
    out = local(volume, mask, window=window, convention="skimage")
    assert_same(out, rank_equalize(volume, window, mask))


@pytest.mark.parametrize("dtype", ["u1", "u2"])
def test_skimages_bits_in_large_windows(dtype):
    volume = smooth_volume((6, 12, 40), dtype) >> (0 if dtype == "u1" else 5)
    for window in ((5, 23, 35), (11, 61, 61)):
        out = local(volume, window=window, convention="skimage")
        assert_same(out, rank_equalize(volume, window))


# --- parameters -----------------------------------------------------------------------------------


@on_the_default_engine
@pytest.mark.parametrize("window", [(3, 3), (3, 3, 3, 3), (1, 1, 1), (3, 3, 4), 1, (0.0, 3, 3)])
def test_bad_windows_are_named_with_what_was_expected(window):
    with pytest.raises(ValueError, match=r"\(depth, rows, columns\)") as caught:
        local(np.zeros((4, 5, 6)), window=window)
    assert f"window={window!r}" in str(caught.value)


# --- as for images --------------------------------------------------------------------------------


def stack(n=3, c=2, dtype="u1"):
    """Volumes (n, c, 4, 6, 5)."""
    return np.array(
        [[smooth_volume((4, 6, 5), dtype, 7 * i + j) for j in range(c)] for i in range(n)]
    )


def test_every_layout():
    x, mask = stack(), np.random.default_rng(0).random((3, 4, 6, 5)) < 0.6

    def transformed(X, counted, **params):
        estimator = LocalHistogramEqualizer(window=(3, 5, 3), spatial_dims=3, **params)
        return estimator.fit_transform(X, mask=counted)

    expected = transformed(x, mask)
    for i, c in np.ndindex(3, 2):
        assert_same(expected[i, c], local(x[i, c], mask[i], window=(3, 5, 3)))
    last = np.moveaxis(x, 1, -1)
    assert_same(transformed(last, mask, channel_axis=-1), np.moveaxis(expected, 1, -1))
    assert_same(transformed(x[:, 0], mask), expected[:, 0])
    rows, of_rows = to_rows(x), to_rows(expected)
    assert_same(transformed(rows, to_rows(mask), image_shape=(2, 4, 6, 5)), of_rows)
    gray = transformed(to_rows(x[:, 0]), to_rows(mask), image_shape=(4, 6, 5))
    assert_same(gray, to_rows(expected[:, 0]))
    assert_same(transformed(x, mask, flatten=True), of_rows)


@pytest.mark.parametrize("dtype", ["u1", "f4"])
@pytest.mark.parametrize("convention", ["histeq", "skimage"])
def test_the_value_of_colours_is_equalized(convention, dtype):
    if convention == "skimage" and dtype == "f4":
        return
    x = stack(2, 4, dtype)
    mask = np.random.default_rng(0).random((2, 4, 6, 5)) < 0.8
    params = {"window": (3, 3, 5), "convention": convention, "spatial_dims": 3}
    v = x[:, :3].max(axis=1, keepdims=True)
    w = LocalHistogramEqualizer(**params).transform(v, mask=mask).astype(float)
    estimator = LocalHistogramEqualizer(color="value", **params)
    out = estimator.transform(x, mask=mask)
    expected = np.where(v == 0, w, x[:, :3] * w / np.where(v == 0, 1, v))
    if convention == "skimage":
        expected = np.rint(expected)
    np.testing.assert_allclose(out[:, :3], expected, rtol=1e-6)
    last = estimator.set_params(channel_axis=-1).transform(np.moveaxis(x, 1, -1), mask=mask)
    assert_same(np.moveaxis(last, -1, 1), out)


@pytest.mark.parametrize("color", ["value", "luminance", "lightness"])
def test_colours_of_a_volume_of_one_slice_are_those_of_the_image(color):
    x = np.random.default_rng(0).random((2, 3, 6, 7)).astype("f4")
    mask = x[:, 0] < 0.8
    expected = LocalHistogramEqualizer(window=(3, 5), color=color).transform(x, mask=mask)
    estimator = LocalHistogramEqualizer(window=(3, 3, 5), color=color, spatial_dims=3)
    assert_same(estimator.transform(x[:, :, None], mask=mask[:, None])[:, :, 0], expected)


def test_errors_name_the_volumes():
    x, mask = stack(dtype="f8"), np.ones((3, 4, 6, 5), bool)
    estimator = LocalHistogramEqualizer(spatial_dims=3)
    mask[1] = False
    with pytest.raises(ValueError, match=r"no pixel to count in image\(s\) 1"):
        estimator.transform(x, mask=mask)
    x[2, 1, 3, 2, 1] = np.inf
    with pytest.raises(ValueError, match=r"infinity.*image\(s\) 2"):
        estimator.transform(x)
    x[2], x[0, 0, 3, 2, 1] = 0, np.nan
    assert np.isnan(estimator.transform(x)).sum() == 1
    with pytest.raises(ValueError, match=r"NaN in image\(s\) 0"):
        estimator.set_params(dtype="uint8").transform(x)


@on_the_default_engine
def test_rows_without_geometry_give_a_warning():
    with pytest.warns(UserWarning, match=r"windows are pieces of the row.*image_shape=\(d, h, w\)"):
        LocalHistogramEqualizer(window=(1, 1, 3), spatial_dims=3).transform(to_rows(stack()))
