"""dtype=...: a cast for floats, rint(double(value) / top * max) for integers."""

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
from _oracles import TOP, equalize_planes, own_dtype, quantised
from _strategies import images, n_bins
from hypothesis import given
from hypothesis import strategies as st

from sklearn_histeq import HistogramEqualizer

pytestmark = [pytest.mark.usefixtures("engine"), on_all_engines]

NAMED = [None, "float32", "float64", "uint8", "uint16", "input"]
IN = ["bool", "u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8", ">u2", ">f4"]


def expected_dtype(convention, dtype, input_dtype):
    if dtype is None:
        return own_dtype(convention, input_dtype)
    return np.dtype(input_dtype if dtype == "input" else dtype)


ACCEPTED = [(c, kind) for c in CONVENTIONS for kind in (IN if c in FLOAT_CONVENTIONS else ["u1"])]


@pytest.mark.parametrize(("convention", "input_dtype"), ACCEPTED)
def test_every_combination(convention, input_dtype):
    x = faces(3, 2, dtype=input_dtype)
    values = equalize_planes(x, convention=convention)
    for dtype in NAMED:
        out = HistogramEqualizer(convention=convention, dtype=dtype).fit_transform(x)
        assert out.dtype == expected_dtype(convention, dtype, input_dtype)
        assert_same(out, quantised(values, out.dtype, TOP[convention]))


@given(x=images(max_n=2, max_c=2), dtype=st.sampled_from(["float32", "float64"]), n_bins=n_bins)
def test_float_output_is_a_cast(x, dtype, n_bins):
    values = HistogramEqualizer(n_bins=n_bins).fit_transform(x)
    out = HistogramEqualizer(n_bins=n_bins, dtype=dtype).fit_transform(x)
    assert_same(out, values.astype(dtype))


@given(x=images(max_n=2, max_c=2), dtype=st.sampled_from(["uint8", "uint16"]), n_bins=n_bins)
@pytest.mark.parametrize("convention", ["skimage", "numpy"])
def test_integer_output_is_rounded(convention, x, dtype, n_bins):
    x = np.nan_to_num(x)
    values = equalize_planes(x, convention=convention, n_bins=n_bins)
    estimator = HistogramEqualizer(convention=convention, n_bins=n_bins, dtype=dtype)
    assert_same(estimator.fit_transform(x), quantised(values, dtype, TOP[convention]))


@given(x=images(max_n=2, max_c=2))
def test_the_input_type_comes_back(x):
    x = np.nan_to_num(x)
    out = HistogramEqualizer(dtype="input").fit_transform(x)
    assert out.dtype == x.dtype  # its byte order, too
    assert_same(out, quantised(equalize_planes(x), x.dtype, 1))


@pytest.mark.parametrize("dtype", ["i1", "i2", "i4", "i8", "u8"])
def test_signed_and_wide_types_reach_their_maximum_and_do_not_wrap(dtype):
    info = np.iinfo(dtype)
    x = np.array([[info.min, 0, info.max, info.max]], dtype=dtype)
    out = HistogramEqualizer(dtype="input").fit_transform(x)
    assert out[0, -1] == info.max
    assert (out > 0).all()
    assert (np.diff(out[0].astype(object)) >= 0).all()


def test_halves_go_to_the_even_level():
    x = np.array([[0, 1]], dtype=np.uint8)  # 0.5 and 1.0; 0.5 * 255 = 127.5
    assert_same(
        HistogramEqualizer(dtype="uint8").fit_transform(x), np.array([[128, 255]], np.uint8)
    )


def test_bool_comes_back_as_bool():
    x = np.array([[True, False, False, False], [True, True, True, False]])
    expected = np.array([[True, True, True, True], [True, True, True, False]])
    # CDFs .75 and 1; .25 and 1: what is below one half becomes False
    assert_same(HistogramEqualizer(dtype="input").fit_transform(x), expected)


@on_the_default_engine
def test_opencv_and_pillow_are_cast_to_floats_without_scaling():
    x = faces()
    for convention in ("opencv", "pillow"):
        levels = HistogramEqualizer(convention=convention).fit_transform(x)
        out = HistogramEqualizer(convention=convention, dtype="float64").fit_transform(x)
        assert_same(out, levels.astype(np.float64))
        out = HistogramEqualizer(convention=convention, dtype="uint16").fit_transform(x)
        assert_same(out, levels.astype(np.uint16) * 257)


@on_the_default_engine
@pytest.mark.parametrize("dtype", [np.uint8, np.dtype("uint8"), "uint8", "u1"])
def test_types_may_be_named_as_numpy_does(dtype):
    assert HistogramEqualizer(dtype=dtype).fit_transform(faces()).dtype == np.uint8
    assert HistogramEqualizer(dtype=np.float32).fit_transform(faces()).dtype == np.float32


@pytest.mark.parametrize("scope", ["image", "dataset"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "input"])
def test_learned_output_is_rounded_by_the_same_rule(dtype, scope):
    x = faces(4, dtype="u1")
    values = HistogramEqualizer(scope=scope).fit_transform(x)
    out = HistogramEqualizer(scope=scope, dtype=dtype).fit_transform(x)
    assert_same(out, quantised(values, out.dtype, 1))


# --- what integers cannot hold --------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("scope", ["image", "dataset"])
def test_missing_pixels_have_no_integer(scope, dtype):
    x = faces(5, dtype="f8")
    estimator = HistogramEqualizer(scope=scope, dtype=dtype).fit(x)
    x[3, 0, 2, 2] = np.nan
    with pytest.raises(ValueError, match="NaN") as caught:
        estimator.transform(x)
    assert "3" in str(caught.value)
    assert dtype in str(caught.value)


def test_missing_pixels_have_no_integer_outside_a_mask_either():
    x = faces(5, dtype="f8")
    x[3, 0, 2, 2] = np.nan
    mask = ~np.isnan(x[:, 0])
    with pytest.raises(ValueError, match="NaN"):
        HistogramEqualizer(dtype="uint8").transform(x, mask=mask)


def test_a_missing_colour_or_alpha_has_no_integer():
    for channel in (1, 3):
        x = faces(2, 4, dtype="f8")
        x[1, channel, 0, 0] = np.nan
        with pytest.raises(ValueError, match="NaN"):
            HistogramEqualizer(color="value", dtype="uint8").transform(x)


def test_missing_pixels_stay_in_the_types_input_names():
    x = faces(2, dtype="f2")
    x[1, 0, 2, 2] = np.nan
    out = HistogramEqualizer(dtype="input").fit_transform(x)
    assert out.dtype == np.float16
    assert_same(np.isnan(out), np.isnan(x))


@on_the_default_engine
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_normal_output_has_no_integer(dtype):
    estimator = HistogramEqualizer(output_distribution="normal", dtype=dtype)
    for call in (estimator.fit, estimator.transform, estimator.fit_transform):
        with pytest.raises(ValueError, match=r"normal.*|dtype.*normal") as caught:
            call(faces())
        assert dtype in str(caught.value)


@on_the_default_engine
@pytest.mark.parametrize("dtype", ["bool", "u1", "i8"])
def test_normal_output_has_no_integer_of_the_inputs_type_either(dtype):
    estimator = HistogramEqualizer(output_distribution="normal", dtype="input")
    with pytest.raises(ValueError, match="normal"):
        estimator.transform(faces(dtype=dtype))


@on_the_default_engine
def test_normal_output_keeps_the_type_of_floats():
    for dtype in ("f2", "f4", "f8"):
        estimator = HistogramEqualizer(output_distribution="normal", dtype="input")
        assert estimator.fit_transform(faces(dtype=dtype)).dtype == dtype
