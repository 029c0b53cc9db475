"""Volumes: spatial_dims=3 equalizes and matches each volume as a whole, like one plane."""

import pickle
import re
import tracemalloc

import cv2
import numpy as np
import pytest
from _helpers import assert_same, faces, on_all_engines, to_rows
from _internals import needs_kernels, set_block_size, set_work_per_thread
from _strategies import images
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps
from skimage.exposure import equalize_hist, match_histograms
from sklearn.base import clone
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline

from sklearn_histeq import (
    EqualizationDisplay,
    HistogramEqualizer,
    HistogramMatcher,
    LocalHistogramEqualizer,
    relight,
    relit_scorer,
)

pytestmark = pytest.mark.usefixtures("engine")

ESTIMATORS = [
    HistogramEqualizer(),
    HistogramEqualizer(n_bins=17, dtype="float32"),
    HistogramEqualizer(output_distribution="normal"),
    HistogramEqualizer(convention="numpy"),
    HistogramEqualizer(scope="dataset"),
    HistogramEqualizer(scope="dataset", convention="numpy", n_bins=20),
    HistogramMatcher(),
    HistogramMatcher(dtype="input"),
    HistogramMatcher(strength=0.5),
    HistogramMatcher(landmarks="nyul"),
    HistogramEqualizer(n_bins=40, quantile_range=(1, 99)),
]
# a normal output distribution has no full intensity, at which colours end
OF_COLOURS = [e for e in ESTIMATORS if getattr(e, "output_distribution", "") != "normal"]
OF_COLOURS = [e for e in OF_COLOURS if getattr(e, "landmarks", None) is None]
by_estimator = pytest.mark.parametrize("estimator", ESTIMATORS, ids=str)
# of what does not ask whether the places of voxels matter
by_every_estimator = pytest.mark.parametrize(
    "estimator",
    [
        *ESTIMATORS,
        LocalHistogramEqualizer(window=(5, 1.0, 3)),
    ],
    ids=str,
)


def volumes(n=3, c=2, shape=(4, 6, 5), dtype=np.uint8):
    """Volumes (n, c, d, h, w), every plane with a brightness and a range of its own."""
    x = faces(n, c, max(shape[0] * shape[1], shape[2]), dtype)
    return x[:, :, : shape[0] * shape[1], : shape[2]].reshape(n, c, *shape).copy()


def as_planes(x):
    """The slices of volumes (..., d, h, w) below each other."""
    return x.reshape(*x.shape[:-3], -1, x.shape[-1])


def of_volumes(estimator, **params):
    return clone(estimator).set_params(spatial_dims=3, **params)


def each(function, x):
    """The results of a peer for every volume and channel."""
    return np.array([[function(volume, i) for volume in image] for i, image in enumerate(x)])


# --- the peers' results ---------------------------------------------------------------------------


@on_all_engines
@pytest.mark.parametrize("dtype", ["u1", "u2", "f4", "f8"])
@pytest.mark.parametrize("n_bins", ["auto", 50])
def test_scikit_image_equalizes_a_volume_as_a_whole(dtype, n_bins):
    x = volumes(dtype=dtype)
    mask = np.random.default_rng(0).random((3, 4, 6, 5)) < 0.6
    bins = 256 if n_bins == "auto" else n_bins
    as_binned = x if n_bins == "auto" or x.dtype.kind == "f" else x.astype(float)
    estimator = HistogramEqualizer(n_bins=n_bins, spatial_dims=3)
    assert_same(estimator.fit_transform(x), each(lambda v, _: equalize_hist(v, bins), as_binned))
    expected = each(lambda v, i: equalize_hist(v, bins, mask[i]), as_binned)
    assert_same(estimator.fit_transform(x, mask=mask), expected)


@on_all_engines
@pytest.mark.parametrize("dtype", ["u1", "f8"])
def test_the_recipe_for_numpy(dtype):
    def recipe(volume, _):
        density, edges = np.histogram(volume, 256, density=True)
        cdf = density.cumsum()
        return np.interp(volume, edges[:-1], 255 * cdf / cdf[-1])

    x = volumes(dtype=dtype)
    equalizer = HistogramEqualizer(convention="numpy", spatial_dims=3)
    assert_same(equalizer.fit_transform(x), each(recipe, x))


@on_all_engines
@pytest.mark.parametrize(
    ("convention", "function"),
    [
        ("opencv", cv2.equalizeHist),
        ("pillow", lambda plane: np.asarray(ImageOps.equalize(Image.fromarray(plane)))),
    ],
)
def test_peers_that_take_planes_only(convention, function):
    x = volumes()
    expected = each(lambda v, _: function(as_planes(v)).reshape(v.shape), x)
    assert_same(
        HistogramEqualizer(convention=convention, spatial_dims=3).fit_transform(x), expected
    )


@on_all_engines
@pytest.mark.parametrize("dtype", ["u1", "f8"])
def test_scikit_image_matches_a_volume_as_a_whole(dtype):
    x, references = volumes(dtype=dtype), volumes(1, 2, (3, 7, 8), dtype)[0]
    matcher = HistogramMatcher(reference=references, spatial_dims=3)
    expected = [[match_histograms(*pair) for pair in zip(v, references, strict=True)] for v in x]
    assert_same(matcher.fit_transform(x), np.array(expected))
    last = matcher.set_params(reference=np.moveaxis(references, 0, -1), channel_axis=-1)
    found = last.fit_transform(np.moveaxis(x, 1, -1))
    assert_same(np.moveaxis(found, -1, 1), np.array(expected))
    for reference in (references[0], references[0].ravel(), references[:1]):
        gray = HistogramMatcher(reference=reference, spatial_dims=3).fit_transform(x[:, 0])
        assert_same(gray, np.array(expected)[:, 0])


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_kornia_equalizes_a_volume_as_a_whole():
    torch = pytest.importorskip("torch", reason="kornia needs PyTorch")
    enhance = pytest.importorskip("kornia.enhance", reason="kornia is not installed")
    x = volumes()
    theirs = enhance.equalize3d(torch.from_numpy(x).float() / 255).numpy()
    ours = HistogramEqualizer(convention="pillow", spatial_dims=3).fit_transform(x)
    assert_same(ours, np.rint(theirs * 255).astype(np.uint8))


# --- laws -----------------------------------------------------------------------------------------


def outcome(estimator, x, mask=None):
    """Transformed images, or the message of an error, without their shape."""
    try:
        return estimator.fit_transform(x, mask=mask)
    except ValueError as error:
        return re.sub(r"shape \([\d, ]+\)", "their shape", str(error))


@on_all_engines
@by_estimator
@given(x=images(), seed=st.integers(0, 2**32 - 1), data=st.data())
def test_slices_below_each_other_are_one_plane(estimator, x, seed, data):
    """So volumes of every dtype have the bits of images, which have oracles of their own."""
    n, c, height, width = x.shape
    depth = data.draw(st.sampled_from([d for d in range(1, height + 1) if height % d == 0]))
    shape = depth, height // depth, width
    mask = np.random.default_rng(seed).random((n, height, width)) < 0.7 if seed % 2 else None
    expected = outcome(clone(estimator), x, mask)
    mask = None if mask is None else mask.reshape(n, *shape)
    found = outcome(of_volumes(estimator), x.reshape(n, c, *shape), mask)
    if isinstance(expected, str):
        assert found == expected
    else:
        assert_same(found, expected.reshape(n, c, *shape))


@by_estimator
def test_a_volume_is_not_its_slices(estimator):
    x = volumes(shape=(3, 5, 6)) * np.arange(1, 3, dtype=np.uint8)[:, None, None, None]
    x = x + 40 * np.arange(3, dtype=np.uint8)[:, None, None]
    one_by_one = [clone(estimator).fit_transform(x[:, :, k]) for k in range(3)]
    assert (of_volumes(estimator).fit_transform(x) != np.stack(one_by_one, axis=2)).mean() > 0.5


@on_all_engines
@by_estimator
@pytest.mark.parametrize("dtype", ["?", "u1", "i2", "u4", "i8", "f2", "f4", "f8"])
def test_a_volume_one_slice_deep_is_an_image(estimator, dtype):
    x = volumes(shape=(1, 6, 5), dtype=dtype)
    expected = clone(estimator).fit_transform(x[:, :, 0])
    assert_same(of_volumes(estimator).fit_transform(x), expected[:, :, None])


@on_all_engines
@by_estimator
@pytest.mark.parametrize("axes", [(2, 4, 3), (3, 2, 4), (3, 4, 2), (4, 2, 3), (4, 3, 2)])
def test_moving_the_axes_of_volumes_moves_those_of_the_result(estimator, axes):
    """Of a view, whose voxels stay where they are in memory, too."""
    x, mask = volumes(), np.random.default_rng(0).random((3, 4, 6, 5)) < 0.6
    moved = tuple(axis - 1 for axis in axes)
    expected = of_volumes(estimator).fit_transform(x, mask=mask).transpose(0, 1, *axes)
    x, mask = x.transpose(0, 1, *axes), mask.transpose(0, *moved)
    assert_same(of_volumes(estimator).fit_transform(x, mask=mask), expected)
    x, mask = np.ascontiguousarray(x), np.ascontiguousarray(mask)
    assert_same(of_volumes(estimator).fit_transform(x, mask=mask), expected)


# --- layouts --------------------------------------------------------------------------------------


@by_estimator
def test_every_layout(estimator):
    x, mask = volumes(), np.random.default_rng(0).random((3, 4, 6, 5)) < 0.6
    expected = of_volumes(estimator).fit_transform(x, mask=mask)
    gray = of_volumes(estimator).fit_transform(x[:, :1], mask=mask)[:, 0]
    last, rows = {"channel_axis": -1}, to_rows(mask)
    for X, counted, params, result in [
        (np.moveaxis(x, 1, -1), mask, last, np.moveaxis(expected, 1, -1)),
        (x[:, 0], mask, {}, gray),
        (x[:, 0], mask, last, gray),
        (to_rows(x), rows, {"image_shape": (2, 4, 6, 5)}, to_rows(expected)),
        (to_rows(np.moveaxis(x, 1, -1)), rows, {"image_shape": (4, 6, 5, 2), **last},
         to_rows(np.moveaxis(expected, 1, -1))),
        (to_rows(x[:, 0]), rows, {"image_shape": (4, 6, 5)}, to_rows(gray)),
        (to_rows(x[:, 0]), rows, {}, to_rows(gray)),
        (x, mask, {"flatten": True}, to_rows(expected)),
        (list(x), mask.tolist(), {}, expected),
    ]:  # fmt: skip
        fitted = of_volumes(estimator, **params).fit(X, mask=counted)
        out = fitted.transform(X, mask=counted)
        assert_same(out, result)
        assert out.flags.c_contiguous
        assert fitted.n_channels_in_ == (1 if result.shape[1:] in (gray.shape[1:], (120,)) else 2)
        assert fitted.n_features_in_ == np.prod(np.shape(X)[1:])


def as_channels_last_memory(x):
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1)


def as_crop(x):
    canvas = np.full((*x.shape[:2], *(2 * side for side in x.shape[2:])), 99, x.dtype)
    canvas[:, :, 1::2, ::2, 1::2] = x
    return canvas[:, :, 1::2, ::2, 1::2]


def as_every_other_slice(x):
    return np.repeat(x, 2, axis=2)[:, :, ::2]


def as_negative_strides(x):
    return x[:, :, ::-1, ::-1, ::-1].copy()[:, :, ::-1, ::-1, ::-1]


def as_swapped(x):
    return x.astype(x.dtype.newbyteorder("S"))


MEMORIES = [
    np.asfortranarray, as_channels_last_memory, as_crop, as_every_other_slice, as_negative_strides,
    as_swapped,
]  # fmt: skip


@on_all_engines
@by_every_estimator
@pytest.mark.parametrize("memory", MEMORIES, ids=lambda f: f.__name__)
def test_memory_makes_no_difference(estimator, memory):
    for dtype in ("u1", "f4", "i8"):
        x = volumes(dtype=dtype)
        mask = np.random.default_rng(0).random((3, 4, 6, 5)) < 0.6
        if estimator.dtype == "input" and memory is as_swapped:
            continue  # the output has the byte order of the input
        expected = of_volumes(estimator).fit_transform(x, mask=mask)
        counted = memory(mask[:, None])[:, 0]
        assert_same(of_volumes(estimator).fit_transform(memory(x), mask=counted), expected)


# --- masks, NaN, colours --------------------------------------------------------------------------


@on_all_engines
@by_estimator
def test_missing_voxels(estimator):
    x = volumes(dtype="f8")
    x[1, :, 2:, 1] = np.nan
    expected = clone(estimator).fit_transform(as_planes(x)).reshape(x.shape)
    found = of_volumes(estimator).fit_transform(x)
    assert_same(found, expected)
    assert_same(np.isnan(found), np.isnan(x))


def test_errors_of_voxels_name_the_volumes():
    x = volumes(dtype="f8")
    x[2, 1, 0, 0, 0] = np.inf
    with pytest.raises(ValueError, match=r"infinity.*image\(s\) 2"):
        HistogramEqualizer(spatial_dims=3).fit_transform(x)
    mask = np.ones((3, 4, 6, 5), bool)
    mask[1] = False
    with pytest.raises(ValueError, match=r"no pixel to count in image\(s\) 1"):
        HistogramEqualizer(spatial_dims=3).fit_transform(x[:2], mask=mask[:2])
    x[0, 0, 3, 2, 1] = np.nan
    with pytest.raises(ValueError, match=r"NaN in image\(s\) 0"):
        HistogramEqualizer(spatial_dims=3, dtype="uint8").fit(x[:2])


@on_all_engines
@pytest.mark.parametrize("estimator", OF_COLOURS, ids=str)
@pytest.mark.parametrize("n_channels", [3, 4])
@pytest.mark.parametrize("dtype", ["u1", "f4"])
@pytest.mark.parametrize("color", ["value", "luminance", "lightness"])
def test_colours_as_one_plane(estimator, n_channels, dtype, color):
    x = volumes(c=n_channels, dtype=dtype)
    estimator = clone(estimator).set_params(color=color)
    expected = clone(estimator).fit_transform(as_planes(x)).reshape(x.shape)
    assert_same(of_volumes(estimator).fit_transform(x), expected)
    last = of_volumes(estimator, channel_axis=-1).fit_transform(np.moveaxis(x, 1, -1))
    assert_same(np.moveaxis(last, -1, 1), expected)


def test_volumes_without_channels_have_no_colours():
    with pytest.raises(ValueError, match=r"color='value' with X of shape \(3, 4, 6, 5\)"):
        HistogramEqualizer(color="value", spatial_dims=3).fit(volumes()[:, 0])


# --- what is learned ------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["u1", "f8"])
def test_batches_and_the_way_back(dtype):
    x = volumes(5, dtype=dtype)
    for estimator in (HistogramEqualizer(scope="dataset"), HistogramMatcher()):
        whole, planes = of_volumes(estimator), clone(estimator)
        for part in (slice(0, 2), slice(2, 5)):
            whole.partial_fit(x[part])
            planes.partial_fit(as_planes(x[part]))
        assert whole.n_samples_seen_ == 5
        assert_same(whole.transform(x), planes.transform(as_planes(x)).reshape(x.shape))
    equalizer = HistogramEqualizer(scope="dataset", flatten=True, spatial_dims=3)
    rows = equalizer.fit_transform(x)
    assert rows.shape == (5, 240)
    back = equalizer.inverse_transform(rows)
    assert back.shape == x.shape
    if dtype == "u1":
        assert_same(back, x.astype(float))
    with pytest.raises(ValueError, match=r"spatial_dims=2.*learned with spatial_dims=3.*fit"):
        equalizer.set_params(spatial_dims=2).inverse_transform(rows)


def test_other_volumes_than_those_of_fit():
    x = volumes()
    fitted = HistogramEqualizer(spatial_dims=3).fit(x)
    assert_same(
        fitted.transform(x[:, :, :2]), HistogramEqualizer(spatial_dims=3).transform(x[:, :, :2])
    )
    with pytest.raises(ValueError, match=r"1 channel\(s\).*expecting 2"):
        fitted.transform(x[:, :1])


def test_names_of_the_columns_of_flattened_volumes():
    fitted = HistogramEqualizer(spatial_dims=3, flatten=True).fit(volumes())
    assert fitted.get_feature_names_out().tolist() == [f"x{i}" for i in range(240)]
    with pytest.raises(ValueError, match="flatten=True"):
        HistogramEqualizer(spatial_dims=3).fit(volumes()).get_feature_names_out()


@by_every_estimator
def test_a_fitted_estimator_of_volumes_in_a_pickle(estimator):
    x = volumes()
    fitted = of_volumes(estimator).fit(x)
    assert_same(pickle.loads(pickle.dumps(fitted)).transform(x), fitted.transform(x))


# --- dask, threads, memory ------------------------------------------------------------------------


@by_every_estimator
@pytest.mark.filterwarnings("ignore:.*works on whole images")  # the definition
def test_chunks_of_volumes(estimator):
    array = pytest.importorskip("dask.array", reason="the extra dask is not installed")
    x, mask = volumes(7), np.random.default_rng(0).random((7, 4, 6, 5)) < 0.6
    expected = of_volumes(estimator).fit_transform(x, mask=mask)
    for chunks in ((3, 2, 4, 6, 5), (2, 1, 3, 2, 4)):
        X = array.from_array(x, chunks=chunks)
        counted = array.from_array(mask, chunks=(chunks[0], *chunks[2:]))
        for either in (mask, counted):
            out = of_volumes(estimator).fit(X, mask=either).transform(X, mask=either)
            assert out.shape == x.shape
            assert out.chunks[0] == X.chunks[0]
            assert_same(out.compute(scheduler="synchronous"), expected)
    last = of_volumes(estimator, channel_axis=-1, flatten=True)
    X = array.from_array(np.moveaxis(x, 1, -1), chunks=(3, 4, 6, 5, 2))
    found = last.fit(X, mask=mask).transform(X, mask=mask).compute(scheduler="synchronous")
    assert_same(found, to_rows(np.moveaxis(expected, 1, -1)))


@by_every_estimator
@pytest.mark.parametrize("n", [1, 5])
@pytest.mark.parametrize("memory", [np.ascontiguousarray, np.asfortranarray])
def test_blocks_and_threads_change_nothing(estimator, n, memory, monkeypatch):
    x = volumes(n, dtype="f4")
    expected = of_volumes(estimator).fit_transform(x)
    set_block_size(monkeypatch, 250)
    set_work_per_thread(monkeypatch, 1)
    for n_jobs in (1, 2):
        assert_same(of_volumes(estimator, n_jobs=n_jobs).fit_transform(memory(x)), expected)


def peak_of(estimator, x):
    """The most memory that a call takes, in bytes, the output included."""
    estimator.fit_transform(x)  # imports and caches
    tracemalloc.start()
    try:
        estimator.transform(x)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@needs_kernels
@pytest.mark.parametrize("channel_axis", [1, -1])
def test_volumes_in_c_order_are_not_copied(channel_axis):
    x = np.zeros((4, 1, 100, 100, 100), np.uint8)
    x = x if channel_axis == 1 else np.moveaxis(x, 1, -1)
    equalizer = HistogramEqualizer(spatial_dims=3, dtype="input", channel_axis=channel_axis)
    assert x.size <= peak_of(equalizer, x) < 1.2 * x.size


@needs_kernels
def test_of_other_volumes_one_is_copied_at_a_time():
    x = np.zeros((8, 1, 100, 100, 101), np.uint8)[..., 1:]
    equalizer = HistogramEqualizer(spatial_dims=3, dtype="input")
    assert peak_of(equalizer, x.swapaxes(2, 4)) < (1 + 2 / 8 + 0.1) * x.size


# --- messages -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "params", "words"),
    [
        ((2, 1, 4, 6, 5), {}, r"5 dimensions.*spatial_dims=2 expected rows.*Set spatial_dims=3"),
        ((2, 1, 1, 4, 6, 5), {}, r"6 dimensions.*spatial_dims=2 expected rows.*Reshape"),
        ((4, 6, 5), {"spatial_dims": 3}, r"3 dimensions.*spatial_dims=3 expected.*X\[None\]"),
        ((2, 120), {"spatial_dims": 3, "image_shape": (4, 6)}, r"expected None, \(depth, height"),
        ((2, 120), {"spatial_dims": 3, "image_shape": (4, 6, 6)}, "144 pixels.*120 features"),
        ((2, 4, 6, 5), {"spatial_dims": 4}, r"spatial_dims=4, but expected 2.*3"),
        ((2, 4, 6, 5), {"spatial_dims": "3"}, r"spatial_dims='3', but expected 2.*3"),
        ((2, 4, 6, 5), {"spatial_dims": True}, r"spatial_dims=True, but expected 2.*3"),
    ],
)
@pytest.mark.parametrize("estimator", [HistogramEqualizer(), HistogramMatcher()], ids=str)
def test_what_is_no_volume(estimator, shape, params, words):
    for call in ("fit", "fit_transform"):
        with pytest.raises(ValueError, match=words) as caught:
            getattr(clone(estimator).set_params(**params), call)(np.zeros(shape))
        assert caught.value.problem.text()


@pytest.mark.parametrize("shape", [(3, 6, 5), (3, 4, 6), (4, 6, 5), (3, 2, 4, 6, 5)])
def test_masks_of_another_shape(shape):
    with pytest.raises(ValueError, match=r"expected \(3, 4, 6, 5\): one value"):
        HistogramEqualizer(spatial_dims=3).transform(volumes(), mask=np.ones(shape, bool))


@pytest.mark.parametrize(
    ("reference", "params", "words"),
    [
        (np.zeros((4, 6)), {"spatial_dims": 3}, r"shape \(4, 6\).*\(d, h, w\)"),
        (np.zeros((2, 4, 6, 5)), {}, r"shape \(2, 4, 6, 5\).*Set spatial_dims=3"),
        (np.zeros((3, 4, 6, 5)), {"spatial_dims": 3}, r"3 channel\(s\), but X has 2"),
        (np.zeros(9), {"spatial_dims": 3, "image_shape": (2, 2, 2)}, r"row of 9.*has 8"),
        ([[[1, 2], [3]]], {"spatial_dims": 3}, r"differ in length.*volume"),
    ],
)
def test_what_is_no_reference(reference, params, words):
    x = volumes() if params else volumes()[:, :, 0]
    with pytest.raises(ValueError, match=words):
        HistogramMatcher(reference=reference, **params).fit(x)


@pytest.mark.parametrize(
    ("shape", "channel_axis", "words"),
    [
        ((2, 8, 9, 3), 1, "2 volumes of 8×9×3 voxels.*spatial_dims=2 and channel_axis=-1"),
        ((2, 3, 9, 8), 1, r"2 volumes of 3×9×8 voxels.*spatial_dims=2.*X\[:, None\]"),
        ((2, 3, 9, 8), -1, r"2 volumes of 3×9×8 voxels.*spatial_dims=2.*X\[\.\.\., None\]"),
        ((2, 8, 9, 1), 1, "2 volumes of 8×9×1 voxels.*spatial_dims=2 and channel_axis=-1"),
        ((2, 8, 9, 7, 1), 1, "8 channels of 9×7×1 voxels.*channel_axis=-1"),
        ((2, 8, 9, 7, 3), 1, "8 channels of 9×7×3 voxels.*channel_axis=-1"),
        ((2, 1, 8, 9, 7), -1, "7 channels of 1×8×9 voxels.*channel_axis=1"),
        ((2, 2, 8, 9, 7), -1, "7 channels of 2×8×9 voxels.*channel_axis=1"),
    ],
)
def test_layouts_that_are_probably_not_meant(shape, channel_axis, words):
    equalizer = HistogramEqualizer(spatial_dims=3, channel_axis=channel_axis)
    with pytest.warns(UserWarning, match=words) as caught:
        equalizer.fit_transform(np.zeros(shape))
    assert len(caught) == 1
    assert caught[0].filename == __file__


@pytest.mark.parametrize(
    ("shape", "channel_axis"),
    [
        ((2, 1, 8, 9), 1), ((2, 8, 9, 7), 1), ((2, 5, 9, 8), 1), ((1, 3, 4, 5), 1),
        ((2, 1, 3, 9, 8), 1), ((2, 3, 1, 9, 8), 1), ((2, 1, 9, 8, 3), -1), ((2, 3, 9, 8, 1), -1),
        ((2, 1, 1, 1, 9), 1), ((3, 1), 1), ((2, 1, 1, 1), 1),
    ],
)  # fmt: skip
def test_other_layouts_give_no_warning(shape, channel_axis):
    HistogramEqualizer(spatial_dims=3, channel_axis=channel_axis).fit_transform(np.zeros(shape))


# --- tools for images -----------------------------------------------------------------------------


def test_copies_in_other_lights_are_of_images():
    with pytest.raises(ValueError, match=r"5 dimensions.*2-D images"):
        relight(volumes())
    y = [0, 1, 0]
    pipeline = make_pipeline(
        HistogramEqualizer(spatial_dims=3, flatten=True), KNeighborsClassifier(1)
    ).fit(volumes(), y)
    with pytest.raises(ValueError, match=r"histogramequalizer__spatial_dims=3.*2-D images"):
        relit_scorer("accuracy")(pipeline, volumes()[:, 0], y)


# --- the display ----------------------------------------------------------------------------------


def test_the_display_draws_one_slice_and_the_histogram_of_the_volume():
    plt = pytest.importorskip("matplotlib.pyplot")
    x = volumes(2, 1, (5, 6, 7))
    equalizer = HistogramEqualizer(spatial_dims=3)
    out = equalizer.fit_transform(x)
    for slice_index in (None, 0, 4):
        for display in (
            EqualizationDisplay.from_estimator(equalizer, x, slice_index=slice_index),
            EqualizationDisplay.from_images(x, out).plot(slice_index=slice_index),
            EqualizationDisplay.from_images(
                to_rows(x), to_rows(out), image_shape=(1, 5, 6, 7)
            ).plot(slice_index=slice_index),
        ):
            shown = display.ax_[1, 0].images[0].get_array()[..., 0]
            expected = x[1, 0, 2 if slice_index is None else slice_index] / 255
            np.testing.assert_allclose(shown, expected)
            levels = display.ax_[1, 2].lines[0].get_xdata()
            assert_same(levels[1:-1], np.unique(x[1]).astype(float))
            plt.close(display.figure_)
    colors = EqualizationDisplay.from_estimator(
        HistogramEqualizer(spatial_dims=3, color="luminance", dtype="input"), volumes(2, 3)
    )
    assert len(colors.ax_[0, 2].lines) == 1
    gray = EqualizationDisplay.from_estimator(equalizer, x[:, 0], mask=x[:, 0] > 60)
    assert gray.before.shape == (2, 1, 5, 6, 7)
    assert gray.ax_[0, 2].lines[0].get_xdata()[1] > 60


@pytest.mark.parametrize(
    ("x", "dims", "slice_index", "words"),
    [
        (volumes(c=1), 3, 4, "slice_index=4, but expected None, or an integer from 0 to 3"),
        (volumes(c=1), 3, -1, "slice_index=-1, but expected None"),
        (volumes(c=1), 3, 1.0, "slice_index=1.0, but expected None"),
        (faces(2), 2, 0, "slice_index=0, but expected None: images have no slices"),
    ],
)
def test_slices_that_are_not_there(x, dims, slice_index, words):
    pytest.importorskip("matplotlib")
    with pytest.raises(ValueError, match=words):
        EqualizationDisplay.from_estimator(
            HistogramEqualizer(spatial_dims=dims), x, slice_index=slice_index
        )
