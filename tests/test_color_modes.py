"""color="luminance" and color="lightness": one plane is equalised, and the colours are moved."""

import platform

import cv2
import numpy as np
import pytest
from _helpers import (
    CONVENTIONS,
    FLOAT_CONVENTIONS,
    assert_same,
    faces,
    on_all_engines,
    on_the_default_engine,
    opencv_clahe,
)
from _oracles import TOP, equalize, equalize_luminance, luminance, own_dtype, quantised
from hypothesis import given
from hypothesis import strategies as st
from skimage import color as skimage_color
from skimage import data, exposure
from sklearn.base import clone

from sklearn_histeq import (
    AdaptiveHistogramEqualizer,
    HistogramEqualizer,
    HistogramMatcher,
    LocalHistogramEqualizer,
)

pytestmark = [pytest.mark.usefixtures("engine"), on_all_engines]

IN = ["bool", "u1", "u2", "u4", "u8", "i1", "i2", "i8", "f2", "f4", "f8", ">u2", ">u8", ">f4"]
MODES = ["luminance", "lightness"]
# OpenCV for x86-64; its loops for other processors may round a level otherwise
IS_X86 = platform.machine().lower() in ("x86_64", "amd64")


def equalizer(color, **params):
    return HistogramEqualizer(color=color, **params)


def by_luminance(**params):
    return equalizer("luminance", **params)


def expected(x, mask=None, **kwargs):
    masks = [None] * len(x) if mask is None else mask
    return np.array([equalize_luminance(i, mask=m, **kwargs) for i, m in zip(x, masks)])


def colours_of(dtype, n=3, n_channels=3, side=16, seed=0):
    """Saturated colours over the whole range of a type, black and white among them."""
    values = np.random.default_rng(seed).random((n, n_channels, side, side))
    values[:, :, 0, :4] = [0, 0, 1, 1]
    dtype = np.dtype(dtype)
    full = int(np.iinfo(dtype).max) if dtype.kind in "ui" else 1
    if dtype.kind == "b":
        return values > 0.5
    if dtype.itemsize < 8 or dtype.kind == "f":
        return (values * full).astype(dtype)
    levels = [int(v * 2**53) * full // 2**53 for v in values.ravel().tolist()]
    return np.array(levels, dtype).reshape(values.shape)


def like_opencv(image, there, back, operation):
    """(c, h, w): the first channel of another space, by OpenCV's conversions."""
    converted = cv2.cvtColor(np.ascontiguousarray(np.moveaxis(image[:3], 0, -1)), there)
    converted[..., 0] = operation(np.ascontiguousarray(converted[..., 0]))
    return np.moveaxis(cv2.cvtColor(converted, back), -1, 0)


# --- luminance ------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", IN)
@pytest.mark.parametrize("convention", FLOAT_CONVENTIONS)
@pytest.mark.parametrize("n_channels", [3, 4])
def test_colours_move_with_their_luminance(convention, dtype, n_channels):
    for x in (faces(4, n_channels, dtype=dtype), colours_of(dtype, n_channels=n_channels)):
        out = by_luminance(convention=convention).fit_transform(x)
        assert_same(out, expected(x, convention=convention))


def test_colours_move_with_their_luminance_in_8_bits():
    for x in (faces(4, 4, side=20), colours_of("u1", n_channels=4)):
        out = by_luminance(convention="pillow").fit_transform(x)
        assert_same(out, expected(x, convention="pillow"))


@pytest.mark.parametrize("convention", [*FLOAT_CONVENTIONS, "pillow"])
def test_luminance_in_the_output_types(convention):
    x = colours_of("u1", n_channels=4)
    values = expected(x, convention=convention)
    for dtype in ("uint8", "uint16", "float32", "input"):
        out = by_luminance(convention=convention, dtype=dtype).fit_transform(x)
        assert_same(out, quantised(values, "u1" if dtype == "input" else dtype, TOP[convention]))


@pytest.mark.parametrize("dtype", IN)
def test_gray_gives_the_result_of_its_plane(dtype):
    gray = colours_of(dtype, n_channels=1)
    colours = np.repeat(gray, 3, axis=1)
    estimators = [
        HistogramEqualizer(),
        HistogramEqualizer(scope="dataset"),
        HistogramEqualizer(convention="numpy", dtype="input"),
        AdaptiveHistogramEqualizer(n_tiles=2),
        LocalHistogramEqualizer(window=5),
        HistogramMatcher(),
    ]
    if gray.dtype == np.uint8:
        estimators += [
            HistogramEqualizer(convention="opencv"),
            HistogramEqualizer(convention="pillow"),
        ]
    for estimator in estimators:
        plane = estimator.fit_transform(gray)
        out = estimator.set_params(color="luminance").fit_transform(colours)
        assert_same(out, np.repeat(plane, 3, axis=1))


@given(
    x=st.sampled_from(["u1", "u2", "i4", "u8", "f4", "f8"]).flatmap(
        lambda dtype: st.integers(0, 2**32 - 1).map(
            lambda seed: colours_of(dtype, 2, 3, 1 + seed % 7 + 4, seed)
        )
    )
)
def test_luminance_lies_between_the_colours(x):
    """By the CDF that is learned: its points are the levels of luminance."""
    fitted = by_luminance(scope="dataset", n_bins="auto").fit(x)
    y = np.array([luminance(image) for image in x])
    plane = HistogramEqualizer(scope="dataset").fit(y[:, np.newaxis])
    assert_same(fitted.bin_centers_[0], plane.bin_centers_[0])
    assert_same(fitted.cdf_[0], plane.cdf_[0])
    assert (y >= x.min(axis=1)).all()
    assert (y <= x.max(axis=1)).all()


@pytest.mark.parametrize("dtype", ["u1", "u2"])
def test_luminance_of_integers_is_opencvs(dtype):
    x = np.random.default_rng(0).integers(0, np.iinfo(dtype).max + 1, (1, 3, 300, 300), dtype)
    found = np.array([luminance(image) for image in x])
    converted = cv2.cvtColor(np.moveaxis(x[0], 0, -1), cv2.COLOR_RGB2YCrCb)
    assert_same(found[0], converted[..., 0])


@pytest.mark.parametrize("dtype", ["u1", "f4", "f8"])
def test_luminance_of_counted_pixels(dtype):
    x = colours_of(dtype)
    mask = np.random.default_rng(0).random((3, 16, 16)) < 0.5
    assert_same(by_luminance().transform(x, mask=mask), expected(x, mask))


# --- OpenCV's conversions -------------------------------------------------------------------------

SPACES = {
    "luminance": (cv2.COLOR_RGB2YCrCb, cv2.COLOR_YCrCb2RGB),
    "lightness": (cv2.COLOR_RGB2LAB, cv2.COLOR_LAB2RGB),
}


def assert_opencvs(out, wanted, color):
    """The same bits; of CIELAB on other processors than x86-64 within one level."""
    if color == "luminance" or IS_X86:
        assert_same(out, wanted)
    assert np.abs(out.astype(int) - wanted).max() <= 1


def scenes(dtype="u1"):
    """Two colour images, channels first."""
    images = np.stack([data.astronaut()[:256, :256], data.coffee()[:256, :256]])
    return np.moveaxis(images, -1, 1).astype(dtype) * (257 if dtype == "u2" else 1)


@pytest.mark.parametrize("color", MODES)
def test_equalization_between_opencvs_conversions(color):
    for x in (scenes(), colours_of("u1", side=60), colours_of("u1", n_channels=4)):
        out = equalizer(color, convention="opencv").fit_transform(x)
        wanted = np.array([like_opencv(image, *SPACES[color], cv2.equalizeHist) for image in x])
        assert_opencvs(out[:, :3], wanted, color)
        assert_same(out[:, 3:], x[:, 3:])


@pytest.mark.parametrize(
    ("color", "dtype"), [("luminance", "u1"), ("luminance", "u2"), ("lightness", "u1")]
)
def test_clahe_between_opencvs_conversions(color, dtype):
    def operation(plane):
        return opencv_clahe(plane, (4, 4), 2.0)

    clahe = AdaptiveHistogramEqualizer(convention="opencv", clip_limit=2.0, n_tiles=4, color=color)
    for x in (scenes(dtype)[:, :, :100, :100], colours_of(dtype, side=40)):
        wanted = np.array([like_opencv(image, *SPACES[color], operation) for image in x])
        assert_opencvs(clahe.fit_transform(x), wanted, color)


@on_the_default_engine
def test_opencvs_colours_in_other_types():
    x = colours_of("u1", n_channels=4)
    for color in MODES:
        levels = equalizer(color, convention="opencv").fit_transform(x)
        for dtype in ("uint16", "float32"):
            out = equalizer(color, convention="opencv", dtype=dtype).fit_transform(x)
            assert_same(out, quantised(levels, dtype, 255))


# --- lightness ------------------------------------------------------------------------------------


def equalize_lightness(image, function, top=1.0):
    """(3, h, w): function(L* / 100) between scikit-image's conversions, in doubles."""
    full = np.iinfo(image.dtype).max if image.dtype.kind in "ui" else 1
    lab = skimage_color.rgb2lab(image.astype(np.float64) / full, channel_axis=0)
    plane = (lab[0] / 100).clip(0, 1).astype(own_dtype("skimage", image.dtype))
    lab[0] = function(plane).astype(np.float64) / top * 100
    return skimage_color.lab2rgb(lab, channel_axis=0) * top


@pytest.mark.parametrize(
    "dtype", ["bool", "u1", "u2", "u4", "i1", "i2", "f2", "f4", "f8", ">u2", ">f4"]
)
@pytest.mark.parametrize("convention", FLOAT_CONVENTIONS)
def test_lightness_between_scikit_images_conversions(convention, dtype):
    for x in (faces(3, 3, dtype=dtype), colours_of(dtype)):
        out = equalizer("lightness", convention=convention).fit_transform(x)
        top = TOP[convention]
        wanted = [
            equalize_lightness(image, lambda plane: equalize(plane, convention), top) for image in x
        ]
        assert out.dtype == own_dtype(convention, x.dtype)
        is_single = own_dtype("skimage", x.dtype) == np.float32
        np.testing.assert_allclose(out, wanted, rtol=0, atol=top * (2e-6 if is_single else 1e-9))


def test_lightness_of_the_other_methods():
    x = scenes()[:, :, :64, :64]
    clahe = AdaptiveHistogramEqualizer(convention="skimage", tile_shape=8, color="lightness")
    wanted = [
        equalize_lightness(i, lambda plane: exposure.equalize_adapthist(plane, kernel_size=8))
        for i in x
    ]
    np.testing.assert_allclose(clahe.fit_transform(x), wanted, rtol=0, atol=1e-9)
    for estimator in (
        AdaptiveHistogramEqualizer(n_tiles=4),
        AdaptiveHistogramEqualizer(n_tiles=4, value_range="dtype"),
        HistogramEqualizer(value_range=(0.25, 0.75)),
        HistogramEqualizer(quantile_range=(5, 95)),
        LocalHistogramEqualizer(window=9),
    ):
        of_plane = clone(estimator)
        wanted = [
            equalize_lightness(i, lambda plane, e=of_plane: e.transform(plane[None])[0]) for i in x
        ]
        found = estimator.set_params(color="lightness").transform(x)
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-9)


@pytest.mark.parametrize("dtype", ["u1", "f4"])
def test_a_lightness_that_stays_leaves_the_colours(dtype):
    """The own image as the reference: nothing but rounding changes."""
    x = colours_of(dtype, 1, 4)
    matcher = HistogramMatcher(reference=x[0], color="lightness")
    full = 255 if dtype == "u1" else 1
    np.testing.assert_allclose(matcher.fit_transform(x), x, rtol=0, atol=2e-6 * full)


# --- matching -------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["u1", "u2", "f4", "f8"])
@pytest.mark.parametrize("is_learned", [False, True])
def test_luminance_is_matched(dtype, is_learned):
    x, reference = colours_of(dtype, n_channels=4), faces(1, 4, 9, dtype, seed=4)[0]
    y = np.array([luminance(image) for image in x])[:, np.newaxis]
    plane = HistogramMatcher(reference=None if is_learned else luminance(reference)).fit(y)
    matcher = HistogramMatcher(reference=None if is_learned else reference, color="luminance")
    out, new = matcher.fit(x).transform(x), plane.transform(y)
    top = np.iinfo(dtype).max if x.dtype.kind == "u" else 1
    shifted = (new.astype("f8") + (x[:, :3].astype("f8") - y.astype("f8"))).clip(0, top)
    np.testing.assert_allclose(out[:, :3], shifted, rtol=1e-6)
    assert_same(out[:, 3], x[:, 3].astype(out.dtype))
    if is_learned:
        assert_same(matcher.quantiles_, plane.quantiles_)


@pytest.mark.parametrize("of_reference", ["u1", "f8"])
def test_lightness_is_matched_on_the_scale_of_the_reference(of_reference):
    x, reference = colours_of("u2"), faces(1, 3, 9, of_reference, seed=4)[0]
    full = 255 if of_reference == "u1" else 1
    out = HistogramMatcher(reference=reference, color="lightness").fit_transform(x)
    target = skimage_color.rgb2lab(reference / full, channel_axis=0)[0] / 100
    matcher = HistogramMatcher(reference=target)
    wanted = [equalize_lightness(i, lambda plane: matcher.fit_transform(plane[None])[0]) for i in x]
    np.testing.assert_allclose(out, np.array(wanted) * full, rtol=0, atol=1e-9 * full)


def test_learned_lightness_is_on_the_scale_of_the_images():
    x = colours_of("u1")
    matcher = HistogramMatcher(color="lightness", dtype="input").fit(x)
    assert matcher.quantiles_.shape == (1, 1024)
    assert 0 <= matcher.quantiles_.min() < 0.1
    assert 0.9 < matcher.quantiles_.max() <= 1
    assert matcher.transform(x).mean() == pytest.approx(x.mean(), rel=0.05)


# --- laws of both ---------------------------------------------------------------------------------


@pytest.mark.parametrize("color", MODES)
@pytest.mark.parametrize("dtype", ["u1", "f4", "f8"])
def test_every_layout_gives_the_same(color, dtype):
    x = colours_of(dtype, 5, 4)
    out = equalizer(color).fit_transform(x)
    last = np.ascontiguousarray(np.moveaxis(x, 1, -1))
    by_last = equalizer(color, channel_axis=-1).fit_transform(last)
    assert_same(np.moveaxis(by_last, -1, 1), out)
    rows = equalizer(color, image_shape=x.shape[1:]).fit_transform(x.reshape(5, -1))
    assert_same(rows, out.reshape(5, -1))
    assert_same(equalizer(color, flatten=True).fit_transform(np.asfortranarray(x)), rows)
    singles = [equalizer(color).fit_transform(image[None]) for image in x]
    assert_same(equalizer(color, n_jobs=2).fit_transform(x), np.concatenate(singles))


@pytest.mark.parametrize("color", MODES)
@pytest.mark.parametrize("convention", CONVENTIONS[:3])
def test_large_images_are_recoloured_in_parts(color, convention, monkeypatch):
    x = colours_of("u1", 1, 4, side=40)
    whole = equalizer(color, convention=convention).fit_transform(x)
    monkeypatch.setattr("sklearn_histeq._arithmetic.color_modes.PIXELS_AT_ONCE", 90)
    monkeypatch.setattr("sklearn_histeq._arithmetic.lightness.N_PIECE", 130)
    assert_same(equalizer(color, convention=convention).fit_transform(x), whole)


@pytest.mark.parametrize("color", MODES)
def test_a_pixel_with_nan_in_a_colour_is_missing(color):
    x = colours_of("f8", 2, 4)
    x[0, 1, 2, 3] = np.nan
    out = equalizer(color).fit_transform(x)
    assert np.isnan(out[0, :3, 2, 3]).all()
    assert out[0, 3, 2, 3] == x[0, 3, 2, 3]
    assert np.isnan(out).sum() == 3
    mask = np.ones((2, 16, 16), bool)
    mask[0, 2, 3] = False
    filled = np.nan_to_num(x)
    masked = equalizer(color).fit_transform(filled, mask=mask)
    assert_same(np.where(np.isnan(out), 0, out), np.where(np.isnan(out), 0, masked))


@pytest.mark.parametrize("color", MODES)
@pytest.mark.parametrize("convention", CONVENTIONS[:3])
def test_one_transfer_function_for_the_data_set(color, convention):
    x = colours_of("u1", 4)
    fitted = equalizer(color, scope="dataset", convention=convention).fit(x)
    assert len(fitted.cdf_) == 1
    parts = equalizer(color, scope="dataset", convention=convention)
    parts.partial_fit(x[:1]).partial_fit(x[1:])
    assert parts.n_samples_seen_ == 4
    if color == "luminance" or convention == "opencv":  # else floats, which are binned again
        assert_same(parts.transform(x), fitted.transform(x))
    # all images side by side are one image with that transfer function
    wide = np.concatenate(list(x), axis=2)[None]
    out = equalizer(color, convention=convention).fit_transform(wide)
    assert_same(np.concatenate(list(fitted.transform(x)), axis=2)[None], out)


@on_the_default_engine
def test_lightness_learned_from_bytes_serves_floats():
    """Lightness is a share of full intensity, whatever the type."""
    x = colours_of("u1", 4)
    fitted = equalizer("lightness", scope="dataset").fit(x)
    np.testing.assert_allclose(fitted.transform(x / 255), fitted.transform(x), atol=1e-12)


@on_the_default_engine
@pytest.mark.parametrize("color", MODES)
def test_a_warning_of_another_scale_names_the_range_of_the_plane(color):
    x = colours_of("u1", 4)
    fitted = equalizer(color, scope="dataset").fit(x // 8)
    with pytest.warns(UserWarning, match=f"X has {color} from 0 to (1|255) in image"):
        fitted.transform(x)


@on_the_default_engine
@pytest.mark.parametrize("color", MODES)
def test_the_order_of_colours_matters(color):
    rgb = colours_of("u1")
    turned = equalizer(color).fit_transform(rgb[:, ::-1])[:, ::-1]
    assert np.abs(turned - equalizer(color).fit_transform(rgb)).max() > 0.05


# --- what has no meaning --------------------------------------------------------------------------


@pytest.mark.parametrize("color", MODES)
@pytest.mark.parametrize(
    ("level", "words"), [(1.5, "floats above 1"), (-0.5, "negative"), (np.inf, "inf")]
)
@pytest.mark.parametrize("channel", [0, 3])
def test_floats_lie_between_0_and_1(color, level, words, channel):
    x = colours_of("f4", 4, 4)
    x[2, channel, 1, 1] = level
    for estimator in (equalizer(color), AdaptiveHistogramEqualizer(n_tiles=2, color=color)):
        with pytest.raises(ValueError, match=rf"{words}.*image\(s\) 2"):
            estimator.fit_transform(x)
    with pytest.raises(ValueError, match=words):
        equalizer(color, scope="dataset").fit(x)
    with pytest.raises(ValueError, match=f"reference contains .*{words}"):
        HistogramMatcher(reference=x[2], color=color).fit(x[:2])


@on_the_default_engine
@pytest.mark.parametrize("color", MODES)
def test_a_normal_output_has_no_range(color):
    with pytest.raises(
        ValueError, match=f"output_distribution='normal' with color='{color}', but exp"
    ):
        equalizer(color, output_distribution="normal").fit(colours_of("u1"))


@on_the_default_engine
def test_a_reference_on_another_scale_is_refused():
    x, reference = colours_of("u1"), colours_of("f8")[0]
    words = r"reference has dtype float64, in which full intensity is 1, but color='luminance' exp"
    with pytest.raises(ValueError, match=words):
        HistogramMatcher(reference=reference, color="luminance").fit(x)
    HistogramMatcher(reference=reference, color="value").fit(x)


@on_the_default_engine
@pytest.mark.parametrize(
    "estimator", [HistogramEqualizer(scope="dataset"), HistogramMatcher()], ids=repr
)
@pytest.mark.parametrize("method", ["transform", "partial_fit"])
def test_images_on_another_scale_than_learned_are_refused(estimator, method):
    fitted = estimator.set_params(color="luminance").fit(colours_of("u1"))
    words = "X has dtype uint16, in which full intensity is 65535.*learned from"
    with pytest.raises(ValueError, match=words):
        getattr(fitted, method)(colours_of("u2"))


@on_the_default_engine
@pytest.mark.parametrize(
    ("estimator", "dtype"),
    [
        (HistogramEqualizer(convention="pillow"), "u1"),
        (LocalHistogramEqualizer(convention="skimage"), "u1"),
        (LocalHistogramEqualizer(convention="skimage"), "u2"),
        (AdaptiveHistogramEqualizer(convention="opencv"), "u2"),
    ],
    ids=repr,
)
def test_conventions_of_integers_have_no_lightness(estimator, dtype):
    words = "color='lightness' with convention='.*', but expected|and X of dtype uint16, but exp"
    with pytest.raises(ValueError, match=words):
        estimator.set_params(color="lightness").fit(colours_of(dtype))
    estimator.set_params(color="luminance").fit_transform(colours_of(dtype))
