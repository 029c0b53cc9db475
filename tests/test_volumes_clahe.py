"""AdaptiveHistogramEqualizer on volumes: tiles of slices, rows and columns."""

import inspect
import pickle
import tracemalloc
from itertools import permutations

import numpy as np
import pytest
from _helpers import assert_same, faces, on_all_engines, on_the_default_engine, to_rows
from _internals import needs_kernels, set_parts_of_large_planes, set_work_per_thread
from _oracles_clahe import clahe, n_tiles_of, n_tiles_within
from _strategies import few_examples, holes, masked, planes, seeds
from hypothesis import assume, given
from hypothesis import strategies as st
from skimage.exposure import equalize_adapthist, equalize_hist

from sklearn_histeq import AdaptiveHistogramEqualizer, EqualizationDisplay

pytestmark = [
    pytest.mark.usefixtures("engine"),
    on_all_engines,
    pytest.mark.filterwarnings("ignore:.*n_tiles=:UserWarning"),
]

# without its wrapper, which takes a last axis of 3 or 4 for colours
adapthist = inspect.unwrap(equalize_adapthist)
n_tiles = st.tuples(st.integers(1, 4), st.integers(1, 5), st.integers(1, 9))
clip_limits = st.sampled_from([None, 1.0, 1.5, 4.0])
DTYPES = ["?", "u1", "i2", "u4", "f2", "f4", "f8"]


def adapted(volume, mask=None, **params):
    """One volume through the estimator."""
    mask = None if mask is None else mask[None]
    estimator = AdaptiveHistogramEqualizer(spatial_dims=3, **params)
    return estimator.transform(volume[None, None], mask=mask)[0, 0]


def volume(shape=(6, 8, 10), dtype="u1", seed=0):
    """A volume of a smooth part and noise."""
    rng = np.random.default_rng(seed)
    values = (rng.random(shape) + np.linspace(0, 2, shape[2])) / 3
    dtype = np.dtype(dtype)
    if dtype.kind == "b":
        return values > 0.5
    scale = np.iinfo(dtype).max if dtype.kind in "ui" else 1
    return (values * min(scale, 2**30)).astype(dtype)


# --- the definition -------------------------------------------------------------------------------


@few_examples
@given(
    case=masked(planes(max_side=12).flatmap(holes)),
    tiles=n_tiles,
    clip=clip_limits,
    n_bins=st.sampled_from([1, 16, 256, 300]),
    data=st.data(),
)
def test_the_rules(case, tiles, clip, n_bins, data):
    plane, mask = case
    assume(mask is None or plane.dtype.kind != "f" or np.nanmax(np.abs(plane)) > 1e-290)
    depth = data.draw(st.sampled_from([n for n in range(1, 7) if plane.shape[0] % n == 0]))
    shape = depth, plane.shape[0] // depth, plane.shape[1]
    mask = None if mask is None else mask.reshape(shape)
    out = adapted(plane.reshape(shape), mask, n_tiles=tiles, clip_limit=clip, n_bins=n_bins)
    expected = clahe(plane.reshape(shape), n_tiles_within(shape, tiles), clip, n_bins, mask)
    tolerance = 1e-9 if out.dtype == np.float64 else 1e-6
    np.testing.assert_allclose(out, expected, rtol=0, atol=tolerance)


@few_examples
@given(
    case=masked(planes(max_side=12).flatmap(holes)),
    span=st.sampled_from(
        [{"value_range": value} for value in ("dtype", (0, 1), (10, 200), (-5, 9.5))]
        + [{"quantile_range": value} for value in [(1, 99), (25, 75), (0, 50)]]
    ),
    clip=clip_limits,
)
def test_bins_over_a_range(case, span, clip):
    plane, mask = case
    assume(mask is None or plane.dtype.kind != "f" or np.nanmax(np.abs(plane)) > 1e-290)
    shape = 2 if plane.shape[0] % 2 == 0 else 1, -1, plane.shape[1]
    volume, mask = plane.reshape(shape), None if mask is None else mask.reshape(shape)
    out = adapted(volume, mask, n_tiles=(2, 2, 3), clip_limit=clip, **span)
    tiles = n_tiles_within(volume.shape, (2, 2, 3))
    expected = clahe(volume, tiles, clip, 256, mask, **span)
    tolerance = 1e-9 if out.dtype == np.float64 else 1e-6
    np.testing.assert_allclose(out, expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("dtype", ["u1", "u2", "f4", "f8"])
@pytest.mark.parametrize("convention", ["histeq", "skimage"])
def test_a_range_is_that_of_the_whole_volume(dtype, convention):
    x = volume(dtype=dtype)
    low, high = np.quantile(x, (0.2, 0.8), method="nearest")
    params = {"n_tiles": (2, 2, 3), "convention": convention, "value_range": (low, high)}
    found = adapted(x, **params)
    assert_same(found, adapted(x.clip(low, high), **params))
    assert (found != adapted(x, **params | {"value_range": None})).mean() > 0.5
    if convention == "histeq":
        of_quantiles = {"quantile_range": (20, 80), "value_range": None}
        spans = np.percentile(x.astype(float), (20, 80)).astype(
            x.dtype if x.dtype.kind == "f" else float
        )
        within = adapted(x, **params | {"value_range": tuple(spans.tolist())})
        assert_same(adapted(x, **params | of_quantiles), within)


@pytest.mark.parametrize("t", [3, (2, 4, 5), (6, 2, 10)])
def test_tile_shape_is_the_nearest_number_of_tiles(t):
    x = volume()
    tiles = n_tiles_of(x.shape, (t,) * 3 if isinstance(t, int) else t)
    assert_same(adapted(x, tile_shape=t), adapted(x, n_tiles=tiles))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("clip", [None, 2.0])
def test_a_volume_one_slice_deep_is_an_image(dtype, clip):
    x = np.stack([volume((1, 9, 11), dtype, seed) for seed in range(3)])[:, None]
    for convention in ("histeq", "skimage"):
        image = AdaptiveHistogramEqualizer(n_tiles=3, clip_limit=clip, convention=convention)
        expected = image.fit_transform(x[:, :, 0])[:, :, None]
        assert_same(image.set_params(spatial_dims=3).fit_transform(x), expected)


@pytest.mark.parametrize("dtype", ["u1", "u2", "f4", "f8"])
@pytest.mark.parametrize("name", ["n_tiles", "tile_shape"])
def test_moving_the_axes_moves_the_result(dtype, name):
    x, extents = volume(dtype=dtype), (2, 3, 4)
    mask = volume(seed=1) > 60
    expected = adapted(x, mask, **{name: extents}, clip_limit=2)
    tolerance = 1e-14 if expected.dtype == np.float64 else 1e-7
    for axes in permutations(range(3)):
        moved = tuple(extents[axis] for axis in axes)
        found = adapted(x.transpose(axes), mask.transpose(axes), **{name: moved}, clip_limit=2)
        np.testing.assert_allclose(found, expected.transpose(axes), rtol=0, atol=tolerance)


@on_the_default_engine
@pytest.mark.parametrize("dtype", ["u1", "u2", "f8"])
def test_moving_the_axes_moves_scikit_images_result(dtype):
    """Up to one gray level of 16,383 before the last stretch: its sums are in single precision."""
    x, tile_shape = volume(dtype=dtype), (2, 3, 4)
    params = {"convention": "skimage"}
    expected = adapted(x, tile_shape=tile_shape, **params)
    for axes in permutations(range(3)):
        moved = tuple(tile_shape[axis] for axis in axes)
        found = adapted(x.transpose(axes), tile_shape=moved, **params)
        np.testing.assert_allclose(found, expected.transpose(axes), rtol=0, atol=3 / 16383)


def test_one_tile_without_a_limit_is_global():
    x = volume()
    mask = x > 60
    found = adapted(x, mask, n_tiles=1, clip_limit=None)
    assert_same(found, equalize_hist(x.astype(float), mask=mask))


def test_tiles_without_a_counted_voxel_take_the_counts_of_the_volume():
    x = volume((4, 6, 6))
    mask = np.zeros(x.shape, bool)
    mask[:2] = True  # of two layers of tiles, only the first is counted
    found = adapted(x, mask, n_tiles=(2, 1, 1), clip_limit=None)
    whole = adapted(x, mask, n_tiles=1, clip_limit=None)
    np.testing.assert_allclose(found, whole, rtol=0, atol=1e-15)


# --- scikit-image ---------------------------------------------------------------------------------


@on_the_default_engine
@few_examples
@given(
    seed=seeds,
    dtype=st.sampled_from(["u1", "u2", "f4", "f8"]),
    shape=st.tuples(*[st.integers(1, 9)] * 3),
    tile=st.tuples(*[st.integers(1, 6)] * 3),
    clip=st.sampled_from([None, 0.5, 2.56, 40.0]),
)
def test_scikit_images_own_result(seed, dtype, shape, tile, clip):
    x = volume(shape, dtype, seed)
    if shape[2] == 1 < shape[1]:
        return  # refused
    found = adapted(x, tile_shape=tile, clip_limit=clip, convention="skimage")
    assert_same(found, adapthist(x, tile, 0 if clip is None else clip / 256))


@pytest.mark.parametrize("width", [3, 4])
def test_a_last_axis_of_three_or_four_is_no_colour(width):
    x = volume((9, 8, width))
    with pytest.warns(UserWarning, match="colour"):
        found = AdaptiveHistogramEqualizer(convention="skimage", spatial_dims=3).fit_transform(
            x[None]
        )
    assert_same(found[0], adapthist(x, (1, 1, 1)))
    assert found.shape[-1] == width


def test_opencv_has_no_volumes():
    with pytest.raises(ValueError, match=r"spatial_dims=3 with convention='opencv'.*no volumes"):
        adapted(volume(), convention="opencv")


# --- layouts, colours, chunks, threads ------------------------------------------------------------


def test_layouts():
    x = np.stack([[volume(seed=seed + c) for c in range(3)] for seed in (0, 5)])
    params = {"n_tiles": (2, 3, 2), "spatial_dims": 3}
    expected = AdaptiveHistogramEqualizer(**params).fit_transform(x)
    for i, c in np.ndindex(2, 3):
        assert_same(expected[i, c], adapted(x[i, c], n_tiles=(2, 3, 2)))
    last = AdaptiveHistogramEqualizer(channel_axis=-1, **params)
    found = last.fit_transform(np.moveaxis(x, 1, -1))
    assert_same(np.moveaxis(found, -1, 1), expected)
    rows = AdaptiveHistogramEqualizer(image_shape=(3, 6, 8, 10), **params)
    assert_same(rows.fit_transform(to_rows(x)), to_rows(expected))
    fortran = AdaptiveHistogramEqualizer(**params).fit_transform(np.asfortranarray(x))
    assert_same(fortran, expected)
    fitted = pickle.loads(pickle.dumps(rows.fit(to_rows(x))))
    assert_same(fitted.transform(to_rows(x)), to_rows(expected))


@pytest.mark.parametrize("dtype", ["u1", "f4"])
@pytest.mark.parametrize("channels", [3, 4])
def test_colours_by_value(dtype, channels):
    x = np.stack([[volume(dtype=dtype, seed=seed) for seed in range(channels)]])
    clahe_of_value = AdaptiveHistogramEqualizer(n_tiles=2, color="value", spatial_dims=3)
    v = x[:, :3].max(axis=1)
    v_out = AdaptiveHistogramEqualizer(n_tiles=2, spatial_dims=3).fit_transform(v)
    expected = np.where(v[:, None] > 0, x[:, :3] * v_out[:, None] / np.maximum(v[:, None], 1e-9), 0)
    found = clahe_of_value.fit_transform(x)[:, :3]
    where = np.broadcast_to(v[:, None] > 0, found.shape)
    np.testing.assert_allclose(found[where], expected[where], rtol=1e-5)


@needs_kernels
@pytest.mark.parametrize("memory", [np.ascontiguousarray, np.asfortranarray])
@pytest.mark.parametrize("depth", [1, 6])
def test_threads_change_nothing(memory, depth, monkeypatch):
    for dtype in ("u1", "f4", "i4"):
        x = volume((depth, 40, 30), dtype)
        mask = volume((depth, 40, 30), seed=1) > 80
        params = {"n_tiles": (3, 4, 4), "spatial_dims": 3}
        expected = AdaptiveHistogramEqualizer(**params).fit_transform(x[None], mask=mask[None])
        with monkeypatch.context() as patch:
            set_parts_of_large_planes(patch, 1300)
            set_work_per_thread(patch, 1)
            threads = AdaptiveHistogramEqualizer(n_jobs=2, **params)
            assert_same(threads.fit_transform(memory(x)[None], mask=mask[None]), expected)


@pytest.mark.filterwarnings("ignore:.*works on whole images")  # the definition
def test_chunks():
    array = pytest.importorskip("dask.array", reason="the extra dask is not installed")
    x = np.stack([volume(seed=seed) for seed in range(5)])
    estimator = AdaptiveHistogramEqualizer(n_tiles=(2, 3, 2), spatial_dims=3)
    found = estimator.fit_transform(array.from_array(x, chunks=(2, 3, 4, 10)))
    assert_same(found.compute(scheduler="synchronous"), estimator.fit_transform(x))


@on_the_default_engine
@needs_kernels
@pytest.mark.parametrize("dtype", ["u1", "u2", "f4"])
def test_no_memory_per_voxel(dtype):
    x = volume((16, 128, 128), dtype)[None]
    estimator = AdaptiveHistogramEqualizer(n_tiles=4, spatial_dims=3, dtype="float32")
    estimator.fit_transform(x)
    tracemalloc.start()
    try:
        out = estimator.transform(x)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1.1 * out.nbytes


# --- parameters and messages ----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["n_tiles", "tile_shape"])
@pytest.mark.parametrize("value", [(2, 3), (2, 3, 4, 5), (2, 0, 2), 0, 2.5])
def test_tiles_need_a_number_per_axis(name, value):
    with pytest.raises(ValueError, match=rf"{name}=.*three of them, \(depth, rows, columns\)"):
        adapted(volume(), **{name: value})


def test_three_numbers_are_for_volumes():
    with pytest.raises(ValueError, match=r"n_tiles=\(2, 3, 4\).*two of them"):
        AdaptiveHistogramEqualizer(n_tiles=(2, 3, 4)).fit(faces(2))


def test_fewer_tiles_than_asked_for_are_a_warning():
    words = r"n_tiles=8 on volumes of 6×8×10 voxels: using 3×4×5 tiles"
    with pytest.warns(UserWarning, match=words) as caught:
        AdaptiveHistogramEqualizer(spatial_dims=3).fit_transform(volume()[None])
    assert len(caught) == 1
    with pytest.warns(UserWarning, match=r"rows of 480 pixels.*Set image_shape=\(d, h, w\)"):
        AdaptiveHistogramEqualizer(spatial_dims=3).fit_transform(volume().reshape(1, -1))


def test_the_display_draws_the_tiles_of_a_slice():
    pytest.importorskip("matplotlib")
    estimator = AdaptiveHistogramEqualizer(n_tiles=(2, 4, 5), spatial_dims=3)
    display = EqualizationDisplay.from_estimator(estimator, volume()[None], tile_grid=True)
    rows, columns = display.ax_[0, 1].collections
    assert len(rows.get_segments()) == 3
    assert len(columns.get_segments()) == 4
