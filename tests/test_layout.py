"""Every shape, memory layout and container of images comes to the same planes and back."""

import re

import numpy as np
import pytest
import sklearn
from _helpers import assert_same, faces, on_all_engines
from _oracles import equalize_planes
from _strategies import images
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.preprocessing import StandardScaler

from sklearn_histeq import (
    AdaptiveHistogramEqualizer,
    HistogramEqualizer,
    HistogramMatcher,
    LocalHistogramEqualizer,
    relight,
)

pytestmark = pytest.mark.usefixtures("engine")

OLD_WRAPPING = tuple(map(int, sklearn.__version__.split(".")[:2])) < (1, 9)
DEFAULT_OUTPUT = r"set_output\(transform=[\"']default[\"']\)"
DTYPES = ["bool", "u1", "i2", "u4", "i8", "f2", "f4", "f8"]


@pytest.fixture
def x():
    return faces(5, 3, side=6)


@pytest.fixture
def expected(x):
    return equalize_planes(x)


# --- shapes ---------------------------------------------------------------------------------------


@on_all_engines
def test_channels_first(x, expected):
    assert_same(HistogramEqualizer().fit_transform(x), expected)


@on_all_engines
def test_channels_last(x, expected):
    out = HistogramEqualizer(channel_axis=-1).fit_transform(np.moveaxis(x, 1, -1))
    assert_same(out, np.moveaxis(expected, 1, -1))


@given(x=images(), flatten=st.booleans())
def test_moving_the_channel_axis_commutes(x, flatten):
    first = HistogramEqualizer(flatten=flatten).fit_transform(x)
    last = HistogramEqualizer(channel_axis=-1, flatten=flatten).fit_transform(np.moveaxis(x, 1, -1))
    n, c, h, w = x.shape
    assert_same(np.moveaxis(last.reshape(n, h, w, c), -1, 1), first.reshape(x.shape))


@pytest.mark.parametrize("channel_axis", [1, -1])
def test_images_without_channels(x, expected, channel_axis):
    out = HistogramEqualizer(channel_axis=channel_axis).fit_transform(x[:, 0])
    assert_same(out, expected[:, 0])


@pytest.mark.parametrize("image_shape", [None, (6, 6), (4, 9), [6, 6], np.array([6, 6])])
def test_a_row_is_one_plane(x, expected, image_shape):
    rows = x[:, 0].reshape(5, 36)
    out = HistogramEqualizer(image_shape=image_shape).fit_transform(rows)
    assert_same(out, expected[:, 0].reshape(5, 36))


def test_rows_with_channels_first(x, expected):
    out = HistogramEqualizer(image_shape=(3, 6, 6)).fit_transform(x.reshape(5, -1))
    assert_same(out, expected.reshape(5, -1))


def test_rows_with_channels_last(x, expected):
    rows = np.moveaxis(x, 1, -1).reshape(5, -1)
    out = HistogramEqualizer(image_shape=(6, 6, 3), channel_axis=-1).fit_transform(rows)
    assert_same(out, np.moveaxis(expected, 1, -1).reshape(5, -1))


def test_rows_without_geometry_are_one_plane_however_many_channels_they_held(x):
    rows = x.reshape(5, -1)
    assert_same(
        HistogramEqualizer().fit_transform(rows), equalize_planes(rows[:, None, None])[:, 0, 0]
    )


def test_image_shape_is_for_rows_and_ignored_elsewhere(x, expected):
    assert_same(HistogramEqualizer(image_shape=(2, 2)).fit_transform(x), expected)


def test_one_image_alone(x, expected):
    assert_same(HistogramEqualizer().transform(x[2][None]), expected[2][None])


def test_a_bare_image_is_rows(x):
    """The first pitfall of the guide: (96, 96) is 96 rows, each equalised by itself."""
    bare = x[0, 0]
    assert_same(HistogramEqualizer().transform(bare), equalize_planes(bare[:, None, None])[:, 0, 0])


@on_all_engines
@pytest.mark.parametrize("shape", [(1, 1), (1, 1, 1), (1, 1, 1, 1), (3, 1), (1, 5, 1, 1)])
def test_the_smallest_images(shape):
    assert_same(HistogramEqualizer().fit_transform(np.zeros(shape)), np.ones(shape))


# --- output ---------------------------------------------------------------------------------------


@on_all_engines
@pytest.mark.parametrize("flatten", [False, True])
@pytest.mark.parametrize("channel_axis", [1, -1])
@pytest.mark.parametrize("dtype", ["u1", "f4"])
def test_output_is_fresh_c_ordered_and_of_the_shape_that_came(dtype, channel_axis, flatten):
    given = np.asfortranarray(np.moveaxis(faces(4, 3, 5, dtype), 1, channel_axis))
    x = given
    out = HistogramEqualizer(channel_axis=channel_axis, flatten=flatten).fit_transform(x)
    assert type(out) is np.ndarray
    assert out.shape == ((4, 75) if flatten else x.shape)
    assert out.dtype == (np.float32 if dtype in ("f2", "f4") else np.float64)
    assert out.flags.c_contiguous
    assert out.flags.writeable
    assert not np.shares_memory(out, x)


@given(x=images(), channel_axis=st.sampled_from([1, -1]))
def test_flatten_is_a_reshape_of_the_output(x, channel_axis):
    x = np.moveaxis(x, 1, channel_axis)
    plain = HistogramEqualizer(channel_axis=channel_axis).fit_transform(x)
    flat = HistogramEqualizer(channel_axis=channel_axis, flatten=True).fit_transform(x)
    assert_same(flat, plain.reshape(len(x), -1))


def test_flatten_of_rows_and_of_images_without_channels(x, expected):
    estimator = HistogramEqualizer(flatten=True)
    assert_same(estimator.fit_transform(x[:, 0]), expected[:, 0].reshape(5, -1))
    assert_same(estimator.fit_transform(x[:, 0].reshape(5, -1)), expected[:, 0].reshape(5, -1))


def test_what_fit_remembers(x):
    for array, n_channels in [(x, 3), (x[:, 0], 1), (x.reshape(5, -1), 1)]:
        fitted = HistogramEqualizer().fit(array)
        assert fitted.n_features_in_ == np.prod(array.shape[1:])
        assert fitted.n_channels_in_ == n_channels
        assert not hasattr(fitted, "feature_names_in_")
    fitted = HistogramEqualizer(channel_axis=-1).fit(np.moveaxis(x, 1, -1))
    assert (fitted.n_features_in_, fitted.n_channels_in_) == (108, 3)
    fitted = HistogramEqualizer(image_shape=(3, 6, 6)).fit(x.reshape(5, -1))
    assert (fitted.n_features_in_, fitted.n_channels_in_) == (108, 3)


def test_fitted_on_one_size_it_serves_another(x):
    fitted = HistogramEqualizer().fit(x)
    larger = faces(2, 3, side=9)
    assert_same(fitted.transform(larger), equalize_planes(larger))


# --- memory ---------------------------------------------------------------------------------------


def as_fortran(x):
    return np.asfortranarray(x)


def as_channels_last_memory(x):
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1)


def as_strided_window(x):
    n, c, h, w = x.shape
    canvas = np.full((n, c, 2 * h, 3 * w), 99, dtype=x.dtype)
    canvas[:, :, 1::2, 2::3] = x
    return canvas[:, :, 1::2, 2::3]


def as_negative_strides(x):
    return x[::-1, ::-1, ::-1, ::-1].copy()[::-1, ::-1, ::-1, ::-1]


def as_read_only(x):
    x = x.copy()
    x.flags.writeable = False
    return x


def as_unaligned(x):
    raw = np.zeros(x.nbytes + 1, dtype=np.uint8)
    view = raw[1:].view(x.dtype).reshape(x.shape)
    view[...] = x
    return view


def as_swapped(x):
    return x.astype(x.dtype.newbyteorder("S"))


def as_broadcast(x):
    return np.broadcast_to(x[:1], x.shape)


MEMORIES = [
    as_fortran, as_channels_last_memory, as_strided_window, as_negative_strides,
    as_read_only, as_unaligned, as_swapped, as_broadcast,
]  # fmt: skip


@on_all_engines
@pytest.mark.parametrize("memory", MEMORIES, ids=lambda f: f.__name__)
def test_memory_makes_no_difference(memory):
    for dtype in DTYPES:
        x = memory(faces(4, 2, 7, dtype))
        before = x.copy()
        # the pixels alone, in plain memory and byte order
        plain = np.ascontiguousarray(x).astype(x.dtype.newbyteorder("="))
        expected = HistogramEqualizer().fit_transform(plain)
        assert_same(HistogramEqualizer().fit_transform(x), expected)
        assert_same(x, before)


@on_all_engines
@pytest.mark.parametrize("memory", MEMORIES, ids=lambda f: f.__name__)
def test_memory_makes_no_difference_to_what_is_learned(memory):
    x = memory(faces(4, 2, 7, np.uint16))
    plain = np.ascontiguousarray(x).astype(np.uint16)
    for n_bins in ("auto", 16):
        estimator = HistogramEqualizer(scope="dataset", n_bins=n_bins)
        assert_same(estimator.fit(x).transform(x), estimator.fit(plain).transform(plain))


def test_memory_mapped_files(x, expected, tmp_path):
    np.save(tmp_path / "faces.npy", x)
    mapped = np.load(tmp_path / "faces.npy", mmap_mode="r")
    out = HistogramEqualizer().fit_transform(mapped)
    assert_same(out, expected)
    assert type(out) is np.ndarray


# --- containers -----------------------------------------------------------------------------------


@pytest.mark.parametrize("n_dim", [2, 3, 4])
def test_lists_of_images(x, expected, n_dim):
    given, result = {
        4: (list(x), expected),
        3: (list(x[:, 0]), expected[:, 0]),
        2: (list(x[:, 0].reshape(5, -1)), expected[:, 0].reshape(5, -1)),
    }[n_dim]
    assert_same(HistogramEqualizer().fit_transform(given), result)
    assert_same(HistogramEqualizer().fit_transform(tuple(given)), result)


def test_nested_lists_of_numbers():
    rows = [[1, 2, 3, 4], [4, 4, 2, 2]]
    assert_same(
        HistogramEqualizer().fit_transform(rows), np.array([[0.25, 0.5, 0.75, 1], [1, 1, 0.5, 0.5]])
    )


def test_things_that_become_arrays(x, expected):
    class Holder:
        def __array__(self, dtype=None, copy=None):
            return x

    assert_same(HistogramEqualizer().fit_transform(Holder()), expected)


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_data_frames_in(library, x):
    frames = pytest.importorskip(library)
    rows = x[:, 0].reshape(5, -1)
    names = [f"pixel{i}" for i in range(36)]
    frame = frames.DataFrame(dict(zip(names, rows.T, strict=True)))
    estimator = HistogramEqualizer().fit(frame)
    # an old scikit-learn does not see the names in a new polars
    if hasattr(StandardScaler().fit(frame), "feature_names_in_"):
        assert estimator.feature_names_in_.tolist() == names
        assert estimator.get_feature_names_out().tolist() == names
    assert_same(estimator.transform(frame), HistogramEqualizer().fit_transform(rows))


def test_a_frame_of_other_columns_is_refused(x):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(x[:, 0].reshape(5, -1)).add_prefix("pixel")
    estimator = HistogramEqualizer().fit(frame)
    with pytest.raises(ValueError, match="feature names"):
        estimator.transform(frame.add_prefix("another"))


def test_a_frame_keeps_its_type(x):
    """uint8 columns are uint8 images: a bin a level, and OpenCV takes them."""
    pandas = pytest.importorskip("pandas")
    rows = x[:, 0].reshape(5, -1)
    frame = pandas.DataFrame(rows).add_prefix("p")
    for pixels, equalizer in (
        (frame, HistogramEqualizer(convention="opencv")),
        (frame.astype("float32"), HistogramEqualizer()),
        (list(rows.astype("float32")), HistogramEqualizer()),
    ):
        out = equalizer.fit_transform(pixels)
        assert_same(out, equalizer.fit_transform(np.asarray(pixels)))


def test_nullable_columns_hold_missing_pixels():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"a": [1, None], "b": [2, 5], "c": [2, 7]}, dtype="Int64")
    out = HistogramEqualizer().fit_transform(frame)
    np.testing.assert_array_equal(np.isnan(out), [[False] * 3, [True, False, False]])
    assert (out[:, 1:] > 0).all()


# --- set_output -----------------------------------------------------------------------------------


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_set_output_for_rows(library, x):
    frames = pytest.importorskip(library)
    rows = x[:, 0].reshape(5, -1)
    out = HistogramEqualizer().set_output(transform=library).fit_transform(rows)
    assert isinstance(out, frames.DataFrame)
    assert list(out.columns) == [f"x{i}" for i in range(36)]
    assert_same(np.asarray(out), HistogramEqualizer().fit_transform(rows))


@pytest.mark.parametrize("library", ["pandas", "polars"])
@pytest.mark.parametrize("channel_axis", [1, -1])
def test_set_output_for_flattened_images(library, channel_axis, x):
    frames = pytest.importorskip(library)
    given = np.moveaxis(x, 1, channel_axis)
    estimator = HistogramEqualizer(channel_axis=channel_axis, flatten=True)
    expected = estimator.fit_transform(given)
    out = estimator.set_output(transform=library).fit_transform(given)
    assert isinstance(out, frames.DataFrame)
    assert len(set(out.columns)) == out.shape[1] == 108
    assert list(out.columns) == estimator.get_feature_names_out().tolist()
    assert_same(np.asarray(out), expected)


def test_set_output_keeps_the_index_and_names_of_a_frame(x):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(x[:, 0].reshape(5, -1), index=list("abcde")).add_prefix("p")
    out = HistogramEqualizer().set_output(transform="pandas").fit_transform(frame)
    assert list(out.index) == list("abcde")
    assert list(out.columns) == list(frame.columns)


@pytest.mark.parametrize("library", ["pandas", "polars"])
@pytest.mark.parametrize("n_dim", [3, 4])
def test_set_output_of_images_names_both_ways_out(library, n_dim, x):
    pytest.importorskip(library)
    given = x if n_dim == 4 else x[:, 0]
    estimator = HistogramEqualizer().set_output(transform=library)
    with pytest.raises(ValueError, match=r"\w") as caught:
        estimator.fit_transform(given)
    if not OLD_WRAPPING:  # before 1.9, scikit-learn raises an error of its own first
        assert "flatten=True" in str(caught.value)
        assert re.search(DEFAULT_OUTPUT, str(caught.value))


@pytest.mark.parametrize("n_dim", [3, 4])
def test_set_output_of_images_is_never_silent_before_fit_either(n_dim, x):
    pytest.importorskip("pandas")
    estimator = HistogramEqualizer().set_output(transform="pandas")
    with pytest.raises(ValueError, match=r"\w") as caught:
        estimator.transform(x if n_dim == 4 else x[:, 0])
    if not OLD_WRAPPING:
        assert "flatten=True" in str(caught.value)
        assert re.search(DEFAULT_OUTPUT, str(caught.value))


def test_set_output_before_fit():
    pandas = pytest.importorskip("pandas")
    estimator = HistogramEqualizer().set_output(transform="pandas")
    out = estimator.transform(np.array([[1, 2, 3, 4]]))
    assert isinstance(out, pandas.DataFrame)
    assert out.to_numpy().tolist() == [[0.25, 0.5, 0.75, 1]]


def test_set_output_default_is_a_way_out(x, expected):
    pytest.importorskip("pandas")
    estimator = HistogramEqualizer().set_output(transform="pandas").set_output(transform="default")
    assert_same(estimator.fit_transform(x), expected)


# --- feature names --------------------------------------------------------------------------------


@pytest.mark.parametrize("n_dim", [3, 4])
def test_images_have_no_feature_names_and_the_error_names_both_ways_out(n_dim, x):
    fitted = HistogramEqualizer().fit(x if n_dim == 4 else x[:, 0])
    with pytest.raises(ValueError, match=r"flatten=True") as caught:
        fitted.get_feature_names_out()
    assert re.search(DEFAULT_OUTPUT, str(caught.value))


def test_feature_names_of_rows_and_of_flattened_images(x):
    rows = HistogramEqualizer().fit(x.reshape(5, -1))
    assert rows.get_feature_names_out().tolist() == [f"x{i}" for i in range(108)]
    flat = HistogramEqualizer(flatten=True).fit(x)
    names = flat.get_feature_names_out()
    assert len(set(names)) == len(names) == flat.transform(x).shape[1]


def test_feature_names_of_channels_last_rows(x):
    rows = np.moveaxis(x, 1, -1).reshape(5, -1)
    fitted = HistogramEqualizer(image_shape=(6, 6, 3), channel_axis=-1).fit(rows)
    assert fitted.get_feature_names_out().tolist() == [f"x{i}" for i in range(108)]


# --- planes one pixel wide ------------------------------------------------------------------------

KERAS = faces(5, 1, side=6).reshape(5, 6, 6, 1)  # (n, h, w, 1)


def by_windows():
    return [AdaptiveHistogramEqualizer(n_tiles=2), LocalHistogramEqualizer(window=3)]


def by_histograms():
    return [HistogramEqualizer(), HistogramEqualizer(scope="dataset"), HistogramMatcher()]


@pytest.mark.parametrize("estimator", by_windows(), ids=repr)
@pytest.mark.parametrize("call", ["fit", "transform", "fit_transform"])
@pytest.mark.parametrize(
    ("shape", "channel_axis", "words"),
    [
        ((5, 6, 7, 1), 1, r"\(5, 6, 7, 1\).*6 channels of 7×1 pixels.*Set channel_axis=-1"),
        ((5, 1, 6, 7), -1, r"\(5, 1, 6, 7\).*7 channels of 1×6 pixels.*Set channel_axis=1"),
        ((5, 7, 1), 1, r"\(5, 7, 1\).*5 images of 7×1 pixels.*X\.reshape\(len\(X\), -1\)"),
    ],
)
def test_lines_of_pixels_have_no_windows(estimator, call, shape, channel_axis, words):
    X = np.full(shape, np.inf)  # which is an error, too, once a pixel is read
    with pytest.raises(ValueError, match=words):
        getattr(clone(estimator).set_params(channel_axis=channel_axis), call)(X)


@pytest.mark.parametrize("estimator", by_histograms(), ids=repr)
@pytest.mark.parametrize(
    ("X", "channel_axis", "words"),
    [
        (KERAS, 1, "6 channels of 6×1 pixels.*channel_axis=-1"),
        (KERAS.reshape(5, 1, 6, 6), -1, "6 channels of 1×6 pixels.*channel_axis=1"),
        (KERAS.reshape(5, 36, 1), 1, "images of 36×1 pixels.*Pass rows"),
        (KERAS.reshape(5, 2, 18, 1), 1, "2 channels of 18×1 pixels.*channel_axis=-1"),
    ],
)
def test_lines_of_pixels_are_a_warning(estimator, X, channel_axis, words):
    estimator = clone(estimator).set_params(channel_axis=channel_axis)
    with pytest.warns(UserWarning, match=words) as caught:
        estimator.fit_transform(X)
    assert len(caught) == 1
    assert caught[0].filename == __file__


@pytest.mark.parametrize(
    ("shape", "channel_axis", "words"),
    [
        ((5, 6, 7, 1), 1, "6 channels of 7×1 pixels.*channel_axis=-1"),
        ((5, 16, 17, 2), 1, "16 channels of 17×2 pixels.*channel_axis=-1"),
        ((5, 16, 17, 3), 1, "16 channels of 17×3 pixels.*channel_axis=-1"),
        ((5, 16, 17, 4), 1, "16 channels of 17×4 pixels.*channel_axis=-1"),
        ((16, 17, 3), 1, r"16 images of 17×3 pixels.*X\[None\]"),
    ],
)
def test_copies_in_other_lights_warn_of_the_same_layouts(shape, channel_axis, words):
    with pytest.warns(UserWarning, match=words) as caught:
        relight(np.zeros(shape), "even", channel_axis=channel_axis, random_state=0)
    assert caught[0].filename == __file__


@pytest.mark.parametrize("estimator", by_windows() + by_histograms(), ids=repr)
def test_one_channel_last_is_gray(estimator):
    """With the remedy of the message: the result of images without channels."""
    expected = clone(estimator).fit_transform(KERAS[..., 0])
    found = clone(estimator).set_params(channel_axis=-1).fit_transform(KERAS)
    assert_same(found, expected[..., None])


@pytest.mark.parametrize("estimator", by_windows() + by_histograms(), ids=repr)
@pytest.mark.parametrize("shape", [(5, 3, 1, 1), (5, 1, 1), (5, 1, 9), (5, 3, 1, 9)])
def test_rows_of_pixels_and_single_pixels_stay(estimator, shape):
    clone(estimator).set_params(dtype="float64").fit(np.zeros(shape))


def test_rows_of_one_pixel_stay_as_they_are():
    assert_same(HistogramEqualizer().fit_transform([[3], [5]]), np.ones((2, 1)))


@pytest.mark.parametrize("chunks", [2, 5])
def test_lines_of_pixels_in_a_dask_array(chunks):
    array = pytest.importorskip("dask.array", reason="the extra dask is not installed")
    X = array.from_array(KERAS, chunks=(chunks, 6, 6, 1))
    with pytest.raises(ValueError, match="channel_axis=-1"):
        AdaptiveHistogramEqualizer().transform(X)  # at once, and not where it is computed
    with pytest.warns(UserWarning, match="channel_axis=-1") as caught:
        HistogramEqualizer().transform(X).compute(scheduler="synchronous")
    assert len(caught) == 1


def test_the_channel_axis_may_not_change_before_rows_go_back():
    x = faces(4, 3, 6)
    for params, new in (
        ({"flatten": True}, {"channel_axis": -1}),
        ({"image_shape": (3, 6, 6)}, {"channel_axis": -1, "image_shape": (6, 6, 3)}),
    ):
        estimator = HistogramEqualizer(scope="dataset", **params)
        given = x if "flatten" in params else x.reshape(4, -1)
        rows = estimator.fit_transform(given).reshape(4, -1)
        expected = estimator.inverse_transform(rows)
        assert_same(expected.reshape(x.shape), x.astype(float))
        with pytest.raises(ValueError, match=r"channel_axis=-1.*learned with channel_axis=1.*fit"):
            estimator.set_params(**new).inverse_transform(rows)


def test_images_say_themselves_where_their_channels_are():
    """So they may come back in another layout than that of fit."""
    x = faces(4, 3, 6)
    estimator = HistogramEqualizer(scope="dataset")
    out = estimator.fit_transform(x)
    back = estimator.set_params(channel_axis=-1).inverse_transform(np.moveaxis(out, 1, -1))
    assert_same(np.moveaxis(back, -1, 1), x.astype(float))
