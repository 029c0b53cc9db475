"""Only True pixels are counted and all are mapped; NaN is missing, and infinity refused."""

import numpy as np
import pytest
from _helpers import CONVENTIONS, assert_same, faces, on_all_engines, on_the_default_engine
from _oracles import equalize_planes
from _strategies import FLOATS, images, seeds
from hypothesis import given
from sklearn.base import clone

from sklearn_histeq import (
    AdaptiveHistogramEqualizer,
    HistogramEqualizer,
    HistogramMatcher,
    LocalHistogramEqualizer,
)

pytestmark = [pytest.mark.usefixtures("engine"), on_all_engines]


@pytest.fixture
def x():
    return faces(5, 2)


@pytest.fixture
def mask():
    return np.random.default_rng(3).random((5, 8, 8)) < 0.6


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_one_mask_an_image_serves_all_its_channels(convention, x, mask):
    out = HistogramEqualizer(convention=convention).transform(x, mask=mask)
    assert_same(out, equalize_planes(x, mask, convention=convention))


@on_the_default_engine
def test_masks_follow_every_layout(x, mask):
    expected = HistogramEqualizer().transform(x, mask=mask)
    last = HistogramEqualizer(channel_axis=-1).transform(np.moveaxis(x, 1, -1), mask=mask)
    assert_same(np.moveaxis(last, -1, 1), expected)
    gray = HistogramEqualizer().transform(x[:, 0], mask=mask)
    assert_same(gray, expected[:, 0])


@on_the_default_engine
def test_beside_rows_a_mask_is_rows(x, mask):
    expected = HistogramEqualizer().transform(x, mask=mask)
    rows = HistogramEqualizer().transform(x[:, 0].reshape(5, 64), mask=mask.reshape(5, 64))
    assert_same(rows, expected[:, 0].reshape(5, 64))
    shaped = HistogramEqualizer(image_shape=(2, 8, 8))
    assert_same(
        shaped.transform(x.reshape(5, 128), mask=mask.reshape(5, 64)), expected.reshape(5, 128)
    )
    last = HistogramEqualizer(image_shape=(8, 8, 2), channel_axis=-1)
    rows = np.moveaxis(x, 1, -1).reshape(5, 128)
    assert_same(
        last.transform(rows, mask=mask.reshape(5, 64)),
        np.moveaxis(expected, 1, -1).reshape(5, 128),
    )


def test_a_mask_may_be_a_list_or_lie_anyhow_in_memory(x, mask):
    expected = HistogramEqualizer().transform(x, mask=mask)
    assert_same(HistogramEqualizer().transform(x, mask=mask.tolist()), expected)
    assert_same(HistogramEqualizer().transform(x, mask=np.asfortranarray(mask)), expected)
    wide = np.repeat(mask, 2, axis=2)[:, :, ::2]
    assert_same(HistogramEqualizer().transform(x, mask=wide), expected)


@pytest.mark.parametrize("dtype", ["u1", "f4"])
def test_a_mask_of_true_is_no_mask(dtype):
    x = faces(dtype=dtype)
    mask = np.ones((6, 8, 8), dtype=bool)
    assert_same(HistogramEqualizer().transform(x, mask=mask), HistogramEqualizer().transform(x))


@on_the_default_engine
def test_fit_transform_takes_a_mask(x, mask):
    expected = HistogramEqualizer().transform(x, mask=mask)
    assert_same(HistogramEqualizer().fit_transform(x, mask=mask), expected)
    assert_same(HistogramEqualizer().fit(x, mask=mask).transform(x, mask=mask), expected)
    assert_same(HistogramEqualizer().fit_transform(x, None, mask=mask), expected)


@on_the_default_engine
def test_image_scope_fit_only_looks_at_the_shape_of_a_mask(x):
    HistogramEqualizer().fit(x, mask=np.zeros((5, 8, 8), dtype=bool))
    with pytest.raises(ValueError, match="mask"):
        HistogramEqualizer().fit(x, mask=np.zeros((5, 8, 9), dtype=bool))


@given(x=images(), seed=seeds)
def test_pixels_outside_a_mask_do_not_count(x, seed):
    """Whatever they are: integers and floats inside come out the same."""
    x = np.nan_to_num(x)
    rng = np.random.default_rng(seed)
    n, _, h, w = x.shape
    mask = rng.random((n, h, w)) < 0.6
    mask[:, 0, 0] = True
    other = np.where(mask[:, None], x, x[:, :, :1, :1])
    inside = np.broadcast_to(mask[:, None], x.shape)
    out, again = (HistogramEqualizer().transform(images, mask=mask) for images in (x, other))
    assert_same(out[inside], again[inside])


@given(x=images(FLOATS), seed=seeds)
def test_missing_pixels_and_masked_ones_count_alike(x, seed):
    x = np.nan_to_num(x)
    rng = np.random.default_rng(seed)
    n, _, h, w = x.shape
    mask = rng.random((n, h, w)) < 0.6
    mask[:, 0, 0] = True
    holed = np.where(mask[:, None], x, np.array(np.nan, dtype=x.dtype))
    inside = np.broadcast_to(mask[:, None], x.shape)
    by_nan = HistogramEqualizer().transform(holed.astype(x.dtype))
    assert_same(by_nan[inside], HistogramEqualizer().transform(x, mask=mask)[inside])
    assert np.isnan(by_nan[~inside]).all()


def test_missing_pixels_inside_a_mask_are_not_counted():
    plane = np.array([[[1.0, 2.0, np.nan, 4.0]]])
    mask = np.array([[[True, True, True, False]]])
    out = HistogramEqualizer().transform(plane, mask=mask)
    assert_same(out[0, 0], np.array([0.5, 1.0, np.nan, 1.0]))


@pytest.mark.parametrize("call", ["transform", "fit_transform"])
@pytest.mark.parametrize("scope", ["image", "dataset"])
def test_masks_that_count_nothing_name_their_images(scope, call, x):
    mask = np.ones((5, 8, 8), dtype=bool)
    mask[[1, 4]] = False
    estimator = HistogramEqualizer(scope=scope).fit(x)
    with pytest.raises(ValueError, match=r"mask.*1, 4"):
        getattr(estimator, call)(x, mask=mask)


@pytest.mark.parametrize("call", ["fit", "partial_fit"])
def test_masks_that_count_nothing_name_their_images_where_fit_counts(call, x):
    mask = np.ones((5, 8, 8), dtype=bool)
    mask[[1, 4]] = False
    with pytest.raises(ValueError, match=r"mask.*1, 4"):
        getattr(HistogramEqualizer(scope="dataset"), call)(x, mask=mask)


def test_masks_that_count_only_missing_pixels_name_their_images():
    x = faces(5, dtype="f4")
    x[3, :, 2:4, 2:4] = np.nan
    mask = np.ones((5, 8, 8), dtype=bool)
    mask[3] = np.isnan(x[3, 0])
    with pytest.raises(ValueError, match="mask") as caught:
        HistogramEqualizer().transform(x, mask=mask)
    assert "3" in str(caught.value)


SHAPES = [(8, 8), (1, 8, 8), (5, 2, 8, 8), (5, 1, 8, 8), (5, 8, 8, 1), (5, 64), (4, 8, 8), (5,), ()]


@on_the_default_engine
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_mask_of_another_shape_is_refused_even_where_it_would_broadcast(shape, x):
    for call in ("fit", "transform", "fit_transform", "partial_fit"):
        estimator = HistogramEqualizer(scope="dataset" if call == "partial_fit" else "image")
        with pytest.raises(ValueError, match="mask") as caught:
            getattr(estimator, call)(x, mask=np.ones(shape, dtype=bool))
        assert "(5, 8, 8)" in str(caught.value)  # what was expected
        assert str(shape) in str(caught.value)  # what came


@on_the_default_engine
def test_one_mask_for_all_is_refused_where_its_height_is_the_number_of_images():
    x = faces(8, 1)
    with pytest.raises(ValueError, match="mask"):
        HistogramEqualizer().transform(x, mask=np.ones((8, 8), dtype=bool))


@on_the_default_engine
def test_beside_rows_a_mask_of_images_is_refused(x):
    with pytest.raises(ValueError, match=r"\(5, 64\)"):
        HistogramEqualizer().transform(x[:, 0].reshape(5, 64), mask=np.ones((5, 8, 8), dtype=bool))


@on_the_default_engine
@pytest.mark.parametrize("dtype", ["u1", "i8", "f8", "O", "U1"])
def test_a_mask_is_bool(dtype, x):
    with pytest.raises(ValueError, match="mask") as caught:
        HistogramEqualizer().transform(x, mask=np.ones((5, 8, 8)).astype(dtype))
    assert "bool" in str(caught.value)


# --- infinity -------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [np.inf, -np.inf])
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
def test_infinity_names_its_images(dtype, value):
    x = faces(8, 2, dtype=dtype)
    x[3, 1, 0, 0] = x[7, 0, 2, 2] = value
    for n_jobs in (1, 2):
        with pytest.raises(ValueError, match=r"inf.*image\(s\) 3, 7"):
            HistogramEqualizer(n_jobs=n_jobs).transform(x)
    with pytest.raises(ValueError, match=r"inf.*image\(s\) 3, 7"):
        HistogramEqualizer().fit_transform(x)


def test_infinity_beside_missing_pixels_is_seen():
    x = faces(3, dtype="f8")
    x[1] = np.nan
    x[1, 0, 4, 4] = np.inf
    with pytest.raises(ValueError, match=r"inf.*image\(s\) 1"):
        HistogramEqualizer().transform(x)


def test_infinity_in_a_later_block_names_the_image_by_its_place_in_the_batch():
    x = np.random.default_rng(0).random((40, 1, 150, 150))
    x[37, 0, 3, 3] = np.inf
    for n_jobs in (1, 2):
        with pytest.raises(ValueError, match=r"inf.*image\(s\) 37"):
            HistogramEqualizer(n_jobs=n_jobs).transform(x)


def test_very_many_bad_images_do_not_make_a_very_long_message():
    x = np.full((1000, 1, 2, 2), np.inf)
    with pytest.raises(ValueError, match="0, 1, 2") as caught:
        HistogramEqualizer().transform(x)
    assert len(str(caught.value)) < 500


def test_infinity_is_refused_outside_a_mask_too():
    x = faces(5, dtype="f8")
    x[2, 0, 1, 1] = -np.inf
    mask = np.isfinite(x[:, 0])
    with pytest.raises(ValueError, match="inf") as caught:
        HistogramEqualizer().transform(x, mask=mask)
    assert "2" in str(caught.value)


# --- a mask is passed by its name -----------------------------------------------------------------

BY_NAME = [
    HistogramEqualizer(),
    HistogramEqualizer(scope="dataset"),
    AdaptiveHistogramEqualizer(n_tiles=2),
    LocalHistogramEqualizer(window=3),
    HistogramMatcher(),
    HistogramMatcher(reference=faces(1, 2, seed=9)[0]),
]
by_estimator = pytest.mark.parametrize("estimator", BY_NAME, ids=repr)


@on_the_default_engine
@by_estimator
def test_a_mask_is_never_taken_by_its_place(estimator, x, mask):
    with pytest.raises(TypeError, match="positional argument"):
        clone(estimator).fit(x).transform(x, mask)
    for call in ("fit", "fit_transform", "partial_fit"):
        if hasattr(estimator, call):
            with pytest.raises(TypeError, match="positional argument"):
                getattr(clone(estimator), call)(x, None, mask)


@on_the_default_engine
@by_estimator
@pytest.mark.parametrize("as_rows", [False, True])
def test_a_mask_in_the_place_of_y_is_a_warning(estimator, as_rows, x, mask):
    """It is ignored: it may be a target of segmentation."""
    images, y = (x[:, 0].reshape(5, 64), mask.reshape(5, 64)) if as_rows else (x, mask)
    estimator = HistogramEqualizer(scope="dataset") if as_rows else estimator
    expected = clone(estimator).fit_transform(images)
    for call in ("fit", "fit_transform", "partial_fit"):
        if hasattr(estimator, call):
            with pytest.warns(UserWarning, match=r"y is a boolean array.*mask=") as caught:
                found = getattr(clone(estimator), call)(images, y)
            assert len(caught) == 1
            assert caught[0].filename == __file__
            found = found if call == "fit_transform" else found.transform(images)
            assert_same(found, expected)


@on_the_default_engine
@by_estimator
def test_other_targets_are_no_masks(estimator, x, mask):
    for y in (None, mask[:, 0, 0], mask[:4], mask[:, None], mask.astype(int), list("abcde")):
        clone(estimator).fit(x, y).transform(x)
        clone(estimator).fit_transform(x, y)
