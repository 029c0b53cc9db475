"""Each bad input gets its error: what came, what was expected, what to do."""

import re
from pathlib import Path

import numpy as np
import pytest
from _helpers import faces
from scipy import sparse
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline

from sklearn_histeq import (
    AdaptiveHistogramEqualizer,
    EqualizationDisplay,
    HistogramEqualizer,
    HistogramMatcher,
    relight,
    relit_scorer,
)

pytestmark = pytest.mark.usefixtures("engine")

CALLS = ["fit", "transform", "fit_transform"]
by_call = pytest.mark.parametrize("call", CALLS)


def message_of(call, x, error=ValueError, mask=None, **params):
    """The message of the error that a call raises, on one line."""
    method = getattr(HistogramEqualizer(**params), call)
    with pytest.raises(error) as caught:
        method(x, mask=mask) if mask is not None else method(x)
    return re.sub(r"\s+", " ", str(caught.value))


def assert_words(message, *words):
    for word in words:
        assert word in message, f"{word!r} is not in {message!r}"


# --- parameters, one at a time --------------------------------------------------------------------

BAD_PARAMETERS = [
    ("n_bins", 0, "an integer >= 1 or 'auto'"),
    ("n_bins", -3, "an integer >= 1 or 'auto'"),
    ("n_bins", 2.5, "an integer >= 1 or 'auto'"),
    ("n_bins", "many", "an integer >= 1 or 'auto'"),
    ("n_bins", None, "an integer >= 1 or 'auto'"),
    ("n_bins", [256], "an integer >= 1 or 'auto'"),
    ("convention", "matlab", "'skimage'"),
    ("convention", None, "'pillow'"),
    ("scope", "images", "'dataset'"),
    ("scope", 1, "'image'"),
    ("output_distribution", "gaussian", "'normal'"),
    ("color", "hsv", "'value', 'luminance' or 'lightness'"),
    ("color", True, "'channels'"),
    ("channel_axis", 0, "-1"),
    ("channel_axis", 3, "-1"),
    ("channel_axis", None, "-1"),
    ("channel_axis", "last", "-1"),
    ("image_shape", 64, "width"),
    ("image_shape", (64,), "width"),
    ("image_shape", (1, 1, 8, 8), "width"),
    ("image_shape", (0, 64), "width"),
    ("image_shape", (-8, -8), "width"),
    ("image_shape", (8.0, 8.0), "width"),
    ("image_shape", "8x8", "width"),
    ("flatten", "yes", "True"),
    ("dtype", "int32", "uint16"),
    ("dtype", "float16", "float32"),
    ("dtype", "complex64", "float32"),
    ("dtype", "banana", "uint16"),
    ("dtype", 8, "'input'"),
    ("n_jobs", 0, "-1"),
    ("n_jobs", 1.5, "-1"),
    ("n_jobs", "all", "-1"),
]


@pytest.mark.parametrize(("name", "value", "expected"), BAD_PARAMETERS, ids=str)
def test_bad_parameters(name, value, expected):
    for call in CALLS:
        message = message_of(call, faces().reshape(6, -1), **{name: value})
        assert_words(message, f"{name}={value!r}", "expected", expected)


@pytest.mark.parametrize(
    ("name", "value", "expected"), [bad for bad in BAD_PARAMETERS if bad[0] != "scope"], ids=str
)
def test_bad_parameters_where_batches_are_learned(name, value, expected):
    params = {"scope": "dataset", name: value}
    message = message_of("partial_fit", faces().reshape(6, -1), **params)
    assert_words(message, f"{name}={value!r}", "expected", expected)


def test_the_wording_that_was_promised():
    message = message_of("fit", faces(), n_bins=0)
    assert message.startswith("n_bins=0, but expected an integer >= 1 or 'auto'")


def test_the_constructor_checks_nothing():
    """As everywhere in scikit-learn: set_params may put it right."""
    estimator = HistogramEqualizer(n_bins=0, convention="matlab")
    estimator.set_params(n_bins=5, convention="numpy").fit_transform(faces())


@pytest.mark.parametrize("n_bins", [np.int64(5), np.uint8(5)])
def test_numpys_integers_are_integers(n_bins):
    expected = HistogramEqualizer(n_bins=5).fit_transform(faces())
    np.testing.assert_array_equal(
        HistogramEqualizer(n_bins=n_bins).fit_transform(faces()), expected
    )


# --- parameters that do not go together -----------------------------------------------------------


@by_call
@pytest.mark.parametrize("convention", ["opencv", "pillow"])
def test_conventions_without_bins_take_no_number(convention, call):
    message = message_of(call, faces(), convention=convention, n_bins=256)
    assert_words(message, "n_bins=256", convention, "'auto'")


@by_call
@pytest.mark.parametrize("convention", ["numpy", "opencv", "pillow"])
def test_only_skimage_goes_with_the_normal_distribution(convention, call):
    message = message_of(call, faces(), convention=convention, output_distribution="normal")
    assert_words(message, "normal", convention, "skimage")


@pytest.mark.parametrize("dtype", ["bool", "u2", "i8", "f2", "f4", "f8"])
@pytest.mark.parametrize("convention", ["opencv", "pillow"])
def test_8_bit_conventions_take_nothing_else(convention, dtype):
    for call in CALLS:
        message = message_of(call, faces(dtype=dtype), convention=convention)
        assert_words(message, convention, "uint8", np.dtype(dtype).name)


# --- X --------------------------------------------------------------------------------------------

BAD_IMAGES = {
    "one dimension": (np.arange(9.0), ["1"]),
    "no dimension": (np.float64(3), []),
    "five dimensions": (np.ones((2, 1, 1, 3, 3)), ["5"]),
    "no images": (np.ones((0, 1, 3, 3)), ["0"]),
    "no rows": (np.ones((0, 9)), ["0"]),
    "no columns": (np.ones((2, 1, 3, 0)), ["0"]),
    "no lines": (np.ones((2, 0, 3)), ["0"]),
    "no channels": (np.ones((2, 0, 3, 3)), ["0"]),
    "no features": (np.ones((2, 0)), ["0"]),
    "complex": (np.ones((2, 3, 3), dtype=complex), ["omplex"]),
    "strings": (np.full((2, 3, 3), "gray"), []),
    "dates": (np.zeros((2, 3, 3), dtype="M8[s]"), []),
    "durations": (np.zeros((2, 3, 3), dtype="m8[s]"), []),
    "records": (np.zeros((2, 3, 3), dtype=[("r", "u1"), ("g", "u1")]), []),
    "None among numbers": (np.array([[1, "a"], [None, 2]], dtype=object), []),
}


@by_call
@pytest.mark.parametrize(("x", "words"), BAD_IMAGES.values(), ids=BAD_IMAGES.keys())
def test_bad_images(x, words, call):
    # arrays of things that are no numbers are refused by NumPy or scikit-learn, in their words
    error = (ValueError, TypeError) if x.dtype.kind in "UMmVO" else ValueError
    assert_words(message_of(call, x, error), *words)


@by_call
def test_sparse_matrices_are_refused(call):
    message_of(call, sparse.csr_matrix(np.eye(4)), TypeError)
    message_of(call, sparse.csr_array(np.eye(4)), TypeError)


@by_call
def test_masked_arrays_are_refused_with_the_way_out(call):
    x = np.ma.masked_less(faces(), 40)
    assert_words(message_of(call, x, TypeError), "MaskedArray", "mask=")
    assert_words(message_of(call, list(x), TypeError), "MaskedArray", "mask=")


@by_call
def test_unequal_shapes_are_named(call):
    x = [np.ones((1, 8, 8)), np.ones((1, 8, 8)), np.ones((1, 9, 8))]
    assert_words(message_of(call, x), "(1, 8, 8)", "(1, 9, 8)", "shape")


@by_call
def test_image_shape_must_fit_the_rows(call):
    message = message_of(call, faces().reshape(6, 64), image_shape=(8, 9))
    assert_words(message, "image_shape=(8, 9)", "64", "72")


def test_longdouble_beyond_doubles_is_infinite():
    if np.finfo(np.longdouble).max == np.finfo(float).max:
        pytest.skip("long double is double here")
    x = np.full((1, 1, 2, 2), np.finfo(np.longdouble).max)
    x[..., 0] = 0
    assert_words(message_of("transform", x), "inf")


def test_longdouble_is_computed_in_double():
    x = faces(dtype="f8")
    expected = HistogramEqualizer().fit_transform(x)
    out = HistogramEqualizer().fit_transform(x.astype(np.longdouble))
    np.testing.assert_array_equal(out, expected, strict=True)


# --- after fit ------------------------------------------------------------------------------------


def test_another_number_of_features_is_refused_for_rows():
    fitted = HistogramEqualizer().fit(faces().reshape(6, 64))
    with pytest.raises(ValueError, match=r"63.*64|64.*63"):
        fitted.transform(np.ones((6, 63)))


def test_another_size_is_refused_where_the_output_is_rows():
    fitted = HistogramEqualizer(flatten=True).fit(faces(side=8))
    with pytest.raises(ValueError, match=r"81.*64|64.*81"):
        fitted.transform(faces(side=9))


def test_another_number_of_channels_is_refused():
    fitted = HistogramEqualizer().fit(faces(6, 3))
    with pytest.raises(ValueError, match="channel") as caught:
        fitted.transform(faces(6, 4))
    assert_words(str(caught.value), "3", "4")


def test_channels_last_given_for_channels_first_is_seen():
    fitted = HistogramEqualizer(channel_axis=-1).fit(np.moveaxis(faces(6, 3), 1, -1))
    with pytest.raises(ValueError, match="channel"):
        fitted.transform(faces(6, 3))  # 8 channels of 3×8 pixels


def test_nothing_is_checked_before_fit():
    estimator = HistogramEqualizer()
    for x in (faces(2, 3), faces(3, 1, side=4), faces(2).reshape(2, -1)):
        estimator.transform(x)


def test_a_failed_fit_does_not_count_as_one():
    estimator = HistogramEqualizer(n_bins=0)
    with pytest.raises(ValueError, match="n_bins"):
        estimator.fit(faces())
    assert not hasattr(estimator, "n_features_in_")


# --- where a word is a promise of its own ---------------------------------------------------------


def test_an_unknown_engine_is_named(monkeypatch):
    monkeypatch.setenv("SKLEARN_HISTEQ_ENGINE", "steam")
    message = message_of("transform", faces())
    assert_words(message, "SKLEARN_HISTEQ_ENGINE", "steam", "reference")


# --- typical mistakes -----------------------------------------------------------------------------

GRAY = faces(6, side=24)[:, 0]  # (n, h, w)
KERAS = GRAY[..., np.newaxis]  # (n, h, w, 1)
SCENES = np.moveaxis(faces(3, 3, 40), 1, -1)  # (n, h, w, 3)
MASK = GRAY > 100


def a_palette():
    from PIL import Image

    return Image.fromarray(GRAY[0]).convert("P")


def learned(params, x):
    """What scope="dataset" gives for images, having learned from images in [0, 1]."""
    return HistogramEqualizer(scope="dataset", **params).fit(GRAY / 255).transform(x)


def in_a_data_frame():
    pandas = pytest.importorskip("pandas")
    return HistogramEqualizer().transform(pandas.DataFrame({"image": list(GRAY)}))


def of_rows(out):
    """With another channel_axis than in fit."""
    estimator = HistogramEqualizer(scope="dataset", flatten=True).fit(faces(4, 3))
    return estimator.set_params(channel_axis=-1).inverse_transform(out)


# What a user does; whether it is an error or a warning; and its parts: what came, what was expected
# (in an error) and what to do.
MISTAKES = {
    "channel last, windows": (
        lambda: AdaptiveHistogramEqualizer().fit_transform(KERAS),
        ValueError,
        ["(6, 24, 24, 1) is read as (images, channels, height, width): 6 images of 24 channels"],
        ["expected planes of more than one pixel", "channel_axis=-1"],
    ),
    "channel last": (
        lambda: HistogramEqualizer().fit_transform(KERAS),
        UserWarning,
        ["(6, 24, 24, 1) is read as (images, channels, height, width): 6 images of 24 channels"],
        ["channel_axis=-1"],
    ),
    "colours last": (
        lambda: HistogramMatcher().fit(SCENES),
        UserWarning,
        ["(3, 40, 40, 3) is read as (images, channels, height, width)", "of 40×3 pixels"],
        ["channel_axis=-1"],
    ),
    "one colour image": (
        lambda: HistogramEqualizer(channel_axis=-1).transform(SCENES[0]),
        UserWarning,
        ["(40, 40, 3) has 3 axes", "as gray images, also with channel_axis=-1: 40 images of 40×3"],
        ["X[None], of shape (1, 40, 40, 3)."],
    ),
    "one colour image, channels first": (
        lambda: HistogramEqualizer().transform(SCENES[0]),
        UserWarning,
        ["(40, 40, 3) has 3 axes", "as gray images: 40 images of 40×3 pixels"],
        ["X[None], of shape (1, 40, 40, 3), and set channel_axis=-1."],
    ),
    "one line of pixels": (
        lambda: HistogramEqualizer().transform(GRAY[0, 0]),
        ValueError,
        ["1 dimension(s) (shape (24,))"],
        ["Expected 2D array", "X.reshape(1, h, w)"],
    ),
    "a mask in the place of y": (
        lambda: HistogramEqualizer().fit_transform(GRAY, MASK),
        UserWarning,
        ["y is a boolean array of shape (6, 24, 24)", "is ignored"],
        ["by its name: fit_transform(X, mask=...)"],
    ),
    "a list of masks in the place of y": (
        lambda: HistogramEqualizer().fit(GRAY, list(MASK)),
        UserWarning,
        ["y is a boolean array of shape (6, 24, 24)", "is ignored"],
        ["by its name: fit(X, mask=...)"],
    ),
    "one image after many": (
        lambda: HistogramEqualizer().fit(GRAY).transform(GRAY[0]),
        ValueError,
        ["X of shape (24, 24) is read as 24 flattened images of 24 pixels"],
        ["expected images of shape (24, 24), as in fit, or rows of 576 values", "Pass X[None]"],
    ),
    "one image in tiles": (
        lambda: AdaptiveHistogramEqualizer(n_tiles=2).transform(GRAY[0]),
        UserWarning,
        ["image_shape=None with rows of 24 pixels: each row is read as an image of 1×24 pixels"],
        ["Pass X[None], if X is one image; set image_shape=(h, w), if each row is one."],
    ),
    "one image in another light": (
        lambda: relight(GRAY[0]),
        UserWarning,
        ["image_shape=None with rows of 24 pixels: the light falls along each row"],
        ["Pass X[None], if X is one image", "Or use strength='even'."],
    ),
    "colours of another layout in rows": (
        lambda: HistogramEqualizer(image_shape=(40, 40)).fit(SCENES.reshape(3, -1)),
        ValueError,
        ["image_shape=(40, 40) has 1600 pixels, but X has 4800 features"],
        ["Give (height, width), or with channel_axis=1 (channels, height, width)."],
    ),
    "one mask for all images": (
        lambda: HistogramEqualizer().fit(GRAY, mask=MASK[0]),
        ValueError,
        ["mask has shape (24, 24)"],
        ["expected (6, 24, 24)", "pass numpy.broadcast_to(mask, (6, 24, 24))"],
    ),
    "a mask of colour images": (
        lambda: HistogramEqualizer().fit(SCENES, mask=SCENES[..., 0] > 9),
        ValueError,
        ["mask has shape (3, 40, 40)"],
        ["expected (3, 40, 3)", "Set channel_axis=-1, if the last axis of X is"],
    ),
    "a palette": (
        lambda: HistogramEqualizer().transform([a_palette()]),
        ValueError,
        ["contains a PIL image of mode P: its numbers are positions in a palette"],
        ["expected", "L, I;16", "[image.convert('L') for image in X]", "convert('RGB') for colour"],
    ),
    "gray and opacity": (
        lambda: HistogramEqualizer().transform([a_palette().convert("LA")]),
        ValueError,
        ["mode LA: its channels are not those of gray or RGB images"],
        ["expected", "convert('RGBA') for colour, which needs channel_axis=-1"],
    ),
    "a palette as the reference": (
        lambda: HistogramMatcher(reference=a_palette()).fit(GRAY),
        ValueError,
        ["reference is a PIL image of mode P: its numbers are positions in a palette"],
        ["Convert it first: image.convert('L') for gray, or convert('RGB')"],
    ),
    "names of files": (
        lambda: HistogramEqualizer().fit(["a.png", "b.png"]),
        ValueError,
        ["a list of file names, of which the first is 'a.png'"],
        ["expected an array of images", "skimage.io.imread"],
    ),
    "paths of files": (
        lambda: relight([Path("a.png")]),
        ValueError,
        ["a list of file names, of which the first is 'a.png'"],
        ["expected an array of images", "skimage.io.imread"],
    ),
    "the name of the reference": (
        lambda: HistogramMatcher(reference="a.png").fit(GRAY),
        ValueError,
        ["reference is 'a.png'"],
        ["expected None or one image", "skimage.io.imread"],
    ),
    "a column of images": (
        in_a_data_frame,
        ValueError,
        ["(6, 1) contains arrays, not numbers"],
        ["expected one array", "numpy.stack(df['image'])"],
    ),
    "an iterator": (
        lambda: HistogramEqualizer().fit(iter(GRAY)),
        TypeError,
        ["iterator"],
        ["expected an array of images", "numpy.stack"],
    ),
    "twelve bits for OpenCV": (
        lambda: HistogramEqualizer(convention="opencv").fit(GRAY.astype(np.uint16) * 16),
        ValueError,
        ["X has dtype uint16", "convention='opencv'"],
        ["expected uint8", "4095 for 12 bits", "Or use convention='skimage'", "dtype='uint16'"],
    ),
    "floats for OpenCV": (
        lambda: AdaptiveHistogramEqualizer(convention="opencv").fit(GRAY / 255),
        ValueError,
        ["X has dtype float64", "convention='opencv'"],
        ["expected uint8 or uint16", "1 for floats in [0, 1]", "'histeq', which takes any dtype."],
    ),
    "another scale than in fit": (
        lambda: learned({}, GRAY.astype(float)),
        UserWarning,
        [f"values from {GRAY.min()} to {GRAY.max()} in image(s) 0, 1", "in fit had values from 0."],
        ["scale", "fit again"],
    ),
    "another layout than in fit": (
        lambda: of_rows(np.zeros((4, 192))),
        ValueError,
        ["channel_axis=-1", "channel_axis=1"],
        ["that value only", "Call fit again with the new value, or set channel_axis back"],
    ),
    "a misspelled score": (
        lambda: relit_scorer("acuracy"),
        ValueError,
        ["scoring='acuracy'"],
        ["expected the name of a score", "sklearn.metrics.get_scorer_names()", "mean 'accuracy'?"],
    ),
    "the way back from images by themselves": (
        lambda: HistogramEqualizer().inverse_transform(GRAY),
        AttributeError,
        ["HistogramEqualizer: inverse_transform", "scope='image'"],
        ["needs scope='dataset'", "then inverse_transform the result"],
    ),
    "one image for the display": (
        lambda: EqualizationDisplay.from_estimator(HistogramEqualizer(), GRAY[0]),
        ValueError,
        ["X of shape (24, 24) is read as 24 flattened images"],
        ["expected images", "X[None]"],
    ),
    "one colour image for the display": (
        lambda: EqualizationDisplay.from_estimator(HistogramEqualizer(channel_axis=-1), SCENES[0]),
        ValueError,
        ["X has shape (40, 40, 3)"],
        ["expected an array of images", "Pass X[None]."],
    ),
    "one colour image for the display, channels first": (
        lambda: EqualizationDisplay.from_estimator(HistogramEqualizer(), SCENES[0]),
        ValueError,
        ["X has shape (40, 40, 3)"],
        ["expected an array of images", "Pass X[None], and set channel_axis=-1."],
    ),
    "a recogniser for the display": (
        lambda: EqualizationDisplay.from_estimator(
            make_pipeline(HistogramEqualizer(flatten=True), KNeighborsClassifier()), GRAY
        ),
        ValueError,
        ["the Pipeline ends with KNeighborsClassifier, which has no transform"],
        ["pipeline[:-1]"],
    ),
}


def what_a_user_sees(mistake, kind):
    """The one error or warning of a mistake."""
    if issubclass(kind, Warning):
        with pytest.warns(kind) as caught:
            mistake()
        assert len(caught) == 1
        assert caught[0].filename == __file__
        return str(caught[0].message)
    with pytest.raises(kind) as caught:
        mistake()
    return str(caught.value)


@pytest.mark.parametrize("name", MISTAKES)
def test_typical_mistakes_say_what_came_what_was_expected_and_what_to_do(name):
    mistake, kind, came, to_do = MISTAKES[name]
    message = what_a_user_sees(mistake, kind)
    print(f"{name}\n    {kind.__name__}: {message}")  # pytest -rP shows them all
    assert_words(message, *came, *to_do)
    assert len(message) < 500
    assert message.endswith((".", "?"))
    assert "  " not in message


# --- what programs read --------------------------------------------------------------------------


def test_an_error_knows_its_parameter_and_its_images():
    x = faces(3, 1, 8, "f8")
    x[1, 0, 2, 2] = np.inf
    with pytest.raises(ValueError, match="inf") as caught:
        HistogramEqualizer().fit_transform(x)
    assert caught.value.problem.images == (1,)
    with pytest.raises(ValueError, match="n_bins=0") as caught:
        HistogramEqualizer(n_bins=0).fit_transform(x)
    assert caught.value.problem.parameter == "n_bins"
    assert caught.value.problem.images == ()
