"""color="value": brightness is equalised, hue and saturation stay."""

import colorsys

import numpy as np
import pytest
from _helpers import (
    CONVENTIONS,
    FLOAT_CONVENTIONS,
    assert_same,
    faces,
    on_all_engines,
    on_both_engines,
    on_the_default_engine,
)
from _internals import set_parts_of_large_planes, set_work_per_thread
from _oracles import TOP, equalize, equalize_colour, quantised
from _strategies import PLAIN, images, masks
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone

from sklearn_histeq import (
    AdaptiveHistogramEqualizer,
    HistogramEqualizer,
    HistogramMatcher,
    LocalHistogramEqualizer,
)

pytestmark = [pytest.mark.usefixtures("engine"), on_all_engines]

IN = ["bool", "u1", "u2", "i2", "i8", "f2", "f4", "f8", ">u2", ">f4"]


def by_value(**params):
    return HistogramEqualizer(color="value", **params)


def expected(x, mask=None, **kwargs):
    masks = [None] * len(x) if mask is None else mask
    return np.array([equalize_colour(i, mask=m, **kwargs) for i, m in zip(x, masks, strict=True)])


@pytest.mark.parametrize("dtype", IN)
@pytest.mark.parametrize("convention", FLOAT_CONVENTIONS)
def test_colours_scale_with_their_value(convention, dtype):
    for n_channels in (3, 4):
        x = faces(4, n_channels, dtype=dtype)
        out = by_value(convention=convention).fit_transform(x)
        assert_same(out, expected(x, convention=convention))


@pytest.mark.parametrize("convention", ["opencv", "pillow"])
def test_colours_scale_with_their_value_in_8_bits(convention):
    for n_channels in (3, 4):
        x = faces(4, n_channels, side=20)
        out = by_value(convention=convention).fit_transform(x)
        assert_same(out, expected(x, convention=convention))


def tinted(x):
    """Images of ordinary numbers: gray, tinted by three factors."""
    tints = np.array([1, 0.5, 0.25])[:, None, None]
    return (np.abs(np.nan_to_num(x.astype(np.float64))).clip(0, 1e30) % 200 * tints).astype(x.dtype)


@st.composite
def colours(draw):
    """Such images, and perhaps a mask."""
    x = tinted(draw(images(PLAIN, max_c=1, max_side=6)))
    mask = draw(masks(x[0, 0]))
    return x, None if mask is None else np.array([mask] * len(x))


@given(case=colours(), n_bins=st.sampled_from(["auto", 5]))
def test_any_colours(case, n_bins):
    x, mask = case
    assert_same(by_value(n_bins=n_bins).transform(x, mask=mask), expected(x, mask, n_bins=n_bins))


def test_hue_and_saturation_stay():
    x = faces(2, 3, dtype="f8")
    out = by_value().fit_transform(x)
    for before, after in zip(
        np.moveaxis(x, 1, -1).reshape(-1, 3), np.moveaxis(out, 1, -1).reshape(-1, 3), strict=True
    ):
        hue, saturation, _ = colorsys.rgb_to_hsv(*before)
        new_hue, new_saturation, _ = colorsys.rgb_to_hsv(*after)
        assert new_hue == pytest.approx(hue, abs=1e-12)
        assert new_saturation == pytest.approx(saturation, abs=1e-12)


def test_the_value_is_equalised():
    x = faces(3, 3)
    out = by_value().fit_transform(x)
    for image, colours in zip(x, out, strict=True):
        np.testing.assert_allclose(colours.max(axis=0), equalize(image.max(axis=0)), rtol=1e-15)


def test_gray_stays_gray_and_is_the_equalised_plane():
    gray = faces(3, 1)
    out = by_value().fit_transform(np.repeat(gray, 3, axis=1))
    np.testing.assert_allclose(out, np.repeat(HistogramEqualizer().transform(gray), 3, axis=1))


@pytest.mark.parametrize("dtype", ["u1", "f4", "f8"])
def test_black_takes_the_new_value_in_all_three(dtype):
    x = faces(1, 3, dtype=dtype)
    x[0, :, 0, :4] = 0
    out = by_value().fit_transform(x)
    black = equalize(x[0].max(axis=0))[0, 0]
    np.testing.assert_array_equal(out[0, :, 0, :4], black)


@pytest.mark.parametrize("convention", FLOAT_CONVENTIONS)
def test_alpha_is_only_brought_to_the_outputs_range(convention):
    for dtype in IN:
        x = faces(2, 4, dtype=dtype)
        out = by_value(convention=convention).fit_transform(x)
        largest = np.iinfo(x.dtype).max if x.dtype.kind in "ui" else 1
        alpha = x[:, 3].astype(np.float64) * TOP[convention] / largest
        assert_same(out[:, 3], alpha.astype(out.dtype))
        # and the colours do not see it
        assert_same(out[:, :3], by_value(convention=convention).fit_transform(x[:, :3]))


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_colours_and_alpha_in_the_output_types(convention):
    x = faces(3, 4)
    values = expected(x, convention=convention)
    for dtype in ("uint8", "uint16", "float32", "input"):
        out = by_value(convention=convention, dtype=dtype).fit_transform(x)
        assert_same(out, quantised(values, "u1" if dtype == "input" else dtype, TOP[convention]))


def test_opaque_stays_opaque():
    x = faces(3, 4)
    x[:, 3] = 255
    assert (by_value(dtype="input").fit_transform(x)[:, 3] == 255).all()
    assert (by_value(dtype="uint16").fit_transform(x)[:, 3] == 65535).all()
    assert (by_value(convention="opencv").fit_transform(x)[:, 3] == 255).all()


def test_a_pixel_with_nan_in_a_colour_is_missing():
    x = faces(2, 4, dtype="f8")
    x[0, 1, 2, 3] = np.nan
    out = by_value().fit_transform(x)
    assert np.isnan(out[0, :3, 2, 3]).all()
    assert out[0, 3, 2, 3] == x[0, 3, 2, 3]
    assert np.isnan(out).sum() == 3
    assert_same(out, expected(x))


def test_alpha_may_be_missing_by_itself():
    x = faces(2, 4, dtype="f8")
    x[0, 3, 2, 3] = np.nan
    out = by_value().fit_transform(x)
    assert np.isnan(out).sum() == 1
    assert np.isnan(out[0, 3, 2, 3])
    assert_same(out[:, :3], by_value().fit_transform(x[:, :3]))


def test_an_image_of_missing_colours_stays_missing():
    x = faces(2, 3, dtype="f4")
    x[1, 2] = np.nan
    out = by_value().fit_transform(x)
    assert np.isnan(out[1]).all()
    assert np.isfinite(out[0]).all()


def test_infinity_is_refused_in_every_channel():
    for channel in range(4):
        x = faces(3, 4, dtype="f8")
        x[2, channel, 0, 0] = np.inf
        with pytest.raises(ValueError, match="inf") as caught:
            by_value().transform(x)
        assert "2" in str(caught.value)


@on_the_default_engine
def test_channels_last_and_rows():
    x = faces(3, 3)
    out = by_value().fit_transform(x)
    last = np.moveaxis(x, 1, -1)
    assert_same(np.moveaxis(by_value(channel_axis=-1).fit_transform(last), -1, 1), out)
    rows = by_value(image_shape=(3, 8, 8)).fit_transform(x.reshape(3, -1))
    assert_same(rows, out.reshape(3, -1))
    rows = by_value(image_shape=(8, 8, 3), channel_axis=-1).fit_transform(last.reshape(3, -1))
    assert_same(rows, np.moveaxis(out, 1, -1).reshape(3, -1))
    assert_same(by_value(flatten=True).fit_transform(x), out.reshape(3, -1))


@pytest.mark.parametrize("dtype", ["u1", "f4"])
def test_masks_count_the_value(dtype):
    x = faces(3, 3, dtype=dtype)
    mask = np.random.default_rng(0).random((3, 8, 8)) < 0.5
    assert_same(by_value().transform(x, mask=mask), expected(x, mask))


LARGE = [
    HistogramEqualizer(),
    HistogramEqualizer(n_bins=7),
    HistogramEqualizer(convention="opencv"),
    HistogramEqualizer(output_distribution="normal"),
    HistogramEqualizer(scope="dataset"),
    HistogramEqualizer(scope="dataset", n_bins=9),
    HistogramMatcher(),
    AdaptiveHistogramEqualizer(n_tiles=3),
    AdaptiveHistogramEqualizer(convention="opencv"),
    AdaptiveHistogramEqualizer(convention="skimage"),
    LocalHistogramEqualizer(window=5),
    LocalHistogramEqualizer(window=5, convention="skimage"),
]


@on_both_engines
@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("out", [None, "input", "float32"])
@pytest.mark.parametrize("color", ["value", "luminance"])
@pytest.mark.parametrize("estimator", LARGE, ids=repr)
def test_one_large_image_is_recoloured_in_parts(estimator, color, out, n_jobs, monkeypatch):
    """As engines write its plane, part by part: the same colours as of one of several images.

    The layouts in memory come in turn, but for bytes.
    """
    chosen, usual = (e.get_params().get("convention") for e in (estimator, type(estimator)()))
    dtypes = ["u1"] if chosen != usual else ["u1", "u2", "i1", ">u2", "bool", "f2", "i4"]
    if "normal" in repr(estimator) and (out == "input" or color != "value"):
        pytest.skip("a normal output needs floats, and has no range")
    estimator = clone(estimator).set_params(color=color, dtype=out)
    x = np.random.default_rng(0).integers(0, 100, (2, 4, 40, 23))
    layouts = np.ascontiguousarray, np.asfortranarray, channels_inside
    for i, dtype in enumerate(dtypes):
        given = (x / 100 if dtype == "f2" else x).astype(dtype)
        expected = estimator.set_params(n_jobs=None).fit(given).transform(given)
        with monkeypatch.context() as patch:
            set_parts_of_large_planes(patch, 100)
            set_work_per_thread(patch, 1)
            estimator.set_params(n_jobs=n_jobs)
            for lay_out in [layouts[(i + n_jobs) % 3]] if i else layouts:
                assert_same(estimator.transform(lay_out(given[:1])), expected[:1])


OF_VOLUMES = [
    HistogramEqualizer(),
    AdaptiveHistogramEqualizer(n_tiles=2),
    LocalHistogramEqualizer(window=3),
]


@pytest.mark.parametrize("estimator", OF_VOLUMES, ids=repr)
def test_one_large_volume_is_recoloured_in_parts(estimator, monkeypatch):
    estimator = clone(estimator).set_params(color="value", dtype="float32", spatial_dims=3)
    for shape in (2, 3, 7, 12, 11), (2, 3, 1, 40, 11):
        x = np.random.default_rng(0).integers(0, 100, shape, np.uint8)
        expected = estimator.set_params(n_jobs=None).fit(x).transform(x)
        with monkeypatch.context() as patch:
            set_parts_of_large_planes(patch, 50)
            set_work_per_thread(patch, 1)
            for n_jobs in 1, 2:
                assert_same(estimator.set_params(n_jobs=n_jobs).transform(x[:1]), expected[:1])


def channels_inside(x):
    """Equal images whose channels are last in memory."""
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1)


@pytest.mark.parametrize("estimator", [HistogramEqualizer(), LocalHistogramEqualizer(window=5)])
def test_a_mask_of_one_large_image(estimator, monkeypatch):
    x, mask = faces(2, 3, side=30), np.random.default_rng(0).random((2, 30, 30)) < 0.5
    estimator.set_params(color="value", dtype="uint8")
    expected = estimator.fit(x).transform(x, mask=mask)
    set_parts_of_large_planes(monkeypatch, 100)
    assert_same(estimator.transform(x[:1], mask=mask[:1]), expected[:1])
    with pytest.raises(ValueError, match=r"mask leaves no pixel to count in image\(s\) 0"):
        estimator.transform(x[:1], mask=np.zeros_like(mask[:1]))


def test_every_image_by_itself():
    x = faces(4, 3, dtype="f4")
    singles = [by_value().fit_transform(image[None]) for image in x]
    assert_same(by_value(n_jobs=2).fit_transform(x), np.concatenate(singles))


# --- a dataset of colours -------------------------------------------------------------------------


def test_dataset_scope_learns_one_cdf_of_the_value():
    x = faces(4, 3)
    fitted = by_value(scope="dataset").fit(x)
    assert len(fitted.cdf_) == len(fitted.bin_centers_) == 1
    v = x.max(axis=1)
    new = HistogramEqualizer(scope="dataset").fit_transform(v)[:, None]
    np.testing.assert_allclose(
        fitted.transform(x), np.where(v[:, None] == 0, new, x * new / np.maximum(v, 1)[:, None])
    )
    assert fitted.n_channels_in_ == 3


@on_the_default_engine
def test_partial_fit_of_colours_goes_on():
    x = faces(6, 3)
    whole = by_value(scope="dataset").fit(x)
    parts = by_value(scope="dataset").partial_fit(x[:2]).partial_fit(x[2:])
    assert_same(parts.transform(x), whole.transform(x))


@on_the_default_engine
def test_colours_have_no_inverse():
    fitted = by_value(scope="dataset").fit(faces(4, 3))
    assert not hasattr(fitted, "inverse_transform")


# --- what is no colour ----------------------------------------------------------------------------


@on_the_default_engine
@pytest.mark.parametrize("call", ["fit", "transform", "fit_transform"])
@pytest.mark.parametrize(
    "shape", [(4, 8, 8), (4, 1, 8, 8), (4, 2, 8, 8), (4, 5, 8, 8), (4, 8, 8, 3), (4, 64)]
)
def test_colours_are_three_or_four(shape, call):
    with pytest.raises(ValueError, match="color") as caught:
        getattr(by_value(), call)(np.zeros(shape, dtype=np.uint8))
    assert "value" in str(caught.value)


@on_the_default_engine
@pytest.mark.parametrize("image_shape", [None, (8, 8), (2, 4, 8)])
def test_rows_of_colours_need_their_geometry(image_shape):
    with pytest.raises(ValueError, match="color"):
        by_value(image_shape=image_shape).transform(np.zeros((4, 64), dtype=np.uint8))


@pytest.mark.parametrize("dtype", ["i2", "f4"])
@pytest.mark.parametrize("channel", [0, 2, 3])
def test_negative_values_have_no_hue(channel, dtype):
    x = (faces(3, 4, dtype="f8") * 100).astype(dtype)
    x[2, channel, 1, 1] = -1
    with pytest.raises(ValueError, match="negative") as caught:
        by_value().transform(x)
    assert "2" in str(caught.value)
    HistogramEqualizer().transform(x)  # channels by themselves do not mind
