"""Odd input: each message names what came, what was expected and what to do."""

from functools import partial

import numpy as np
import pytest
from _helpers import assert_same, faces
from PIL import Image

from sklearn_histeq import (
    AdaptiveHistogramEqualizer,
    HistogramEqualizer,
    HistogramMatcher,
    relight,
)

pytestmark = pytest.mark.usefixtures("engine")

RAGGED = [[1], [2, 3]]
RECORDS = np.zeros((2, 2), dtype=[("a", int)])


def an_open_archive(folder):
    np.savez(folder / "a.npz", faces=np.zeros((2, 4, 4)))
    return np.load(folder / "a.npz")


ODD = {
    "one dimension": (np.arange(5.0), r"1 dimension.*Expected 2D array.*X\.reshape"),
    "a number": (5.0, r"0 dimension.*Expected 2D array"),
    "a name": ("faces.npy", r"'faces.npy', but expected an array.*numpy\.load"),
    "one PIL image": (Image.new("L", (4, 5)), r"one PIL image.*numpy\.asarray\(X\)\[None\]"),
    "records": (RECORDS, r"dtype \[\('a'.*expected bool, integers or real floats"),
    "ragged rows": ([[[1, 2], [3]], [[1, 2], [3, 4]]], "rows differ in length, but expected one"),
    "shapes": ([np.zeros((3, 3)), np.zeros((3, 4))], r"\(3, 3\) in image 0, \(3, 4\)"),
    "PIL images": (
        [Image.new("L", (4, 5)), Image.new("L", (5, 5))],
        r"\(5, 5\) in image 1",
    ),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_images_are_named(name):
    X, message = ODD[name]
    with pytest.raises(ValueError, match=message):
        HistogramEqualizer().transform(X)


def test_an_open_archive_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"open \.npz file.*faces.*X\['faces'\]"):
        HistogramEqualizer().transform(an_open_archive(tmp_path))


def test_an_object_array_of_unequal_images_is_named():
    X = np.empty(2, object)
    X[0], X[1] = np.zeros((3, 3)), np.zeros((3, 4))
    with pytest.raises(ValueError, match=r"different shapes: \(3, 3\) in image 0"):
        HistogramEqualizer().transform(X)


def test_lists_of_images_are_arrays():
    x = faces(3)[:, 0]
    expected = HistogramEqualizer().transform(x)
    of_objects = np.empty(3, object)
    of_objects[:] = list(x)
    for X in ([Image.fromarray(image) for image in x], list(x), of_objects, x.tolist()):
        actual = HistogramEqualizer(n_bins="auto").transform(X)
        np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize("dtype", ["u2", "f2", "f4", "f8"])
def test_lists_of_arrays_keep_their_dtype(dtype):
    x = faces(3, dtype=dtype)[:, 0]
    equalizer = HistogramEqualizer(dtype="input")
    assert_same(equalizer.transform(list(x)), equalizer.transform(x))


@pytest.mark.parametrize(
    ("estimator", "name"),
    [
        (HistogramEqualizer(image_shape=RAGGED), "image_shape"),
        (AdaptiveHistogramEqualizer(n_tiles=RAGGED), "n_tiles"),
        (AdaptiveHistogramEqualizer(tile_shape=RAGGED), "tile_shape"),
        (HistogramMatcher(reference=RAGGED), "reference"),
        (HistogramMatcher(reference=RECORDS), "reference"),
        (HistogramMatcher(reference="face.png"), "reference"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_ragged_parameters_are_named(estimator, name):
    with pytest.raises(ValueError, match=rf"{name}.*expected"):
        estimator.fit(np.zeros((2, 4)))


def test_a_ragged_mask_is_named():
    with pytest.raises(ValueError, match=r"mask.*differ in length.*expected shape \(6, 8, 8\)"):
        HistogramEqualizer().fit(faces(), mask=RAGGED)


@pytest.mark.parametrize("limit", [np.float32(2), np.float16(2), np.int8(2), 2])
def test_numbers_of_any_type_are_limits(limit):
    x = faces(side=16)
    expected = AdaptiveHistogramEqualizer(clip_limit=2.0).transform(x)
    assert_same(AdaptiveHistogramEqualizer(clip_limit=limit).transform(x), expected)


def test_a_limit_beyond_floats_is_refused():
    with pytest.raises(ValueError, match="expected 'auto', a finite number"):
        AdaptiveHistogramEqualizer(clip_limit=10**400).fit(faces())


# --- bool whose bytes are not 0 and 1 -------------------------------------------------------------


def odd_bools(shape, seed=0):
    """True where a byte is not zero, but mostly not one either."""
    rng = np.random.default_rng(seed)
    return rng.choice(np.array([0, 255, 2, 1], np.uint8), shape, p=[0.3, 0.4, 0.2, 0.1]).view(bool)


@pytest.mark.parametrize(
    "estimator",
    [
        HistogramEqualizer(),
        HistogramEqualizer(n_bins=8),
        HistogramEqualizer(scope="dataset"),
        AdaptiveHistogramEqualizer(n_tiles=2),
        AdaptiveHistogramEqualizer(n_tiles=2, convention="skimage"),
        HistogramMatcher(),
        HistogramMatcher(reference=faces()[0]),
    ],
    ids=repr,
)
def test_true_is_one_level_whatever_its_byte(estimator):
    x = odd_bools((3, 1, 8, 8))
    assert_same(estimator.fit_transform(x), estimator.fit_transform(x.astype(np.uint8) != 0))


@pytest.mark.parametrize("dtype", ["u1", "u2", "f4"])
def test_a_mask_counts_true_whatever_its_byte(dtype):
    x, mask = faces(3, dtype=dtype), odd_bools((3, 8, 8))
    expected = HistogramEqualizer().transform(x, mask=mask.view(np.uint8) != 0)
    assert_same(HistogramEqualizer().transform(x, mask=mask), expected)


def test_a_reference_of_bools_has_two_levels():
    reference = odd_bools((8, 8))
    expected = HistogramMatcher(reference=reference.view(np.uint8) != 0).fit_transform(faces())
    assert_same(HistogramMatcher(reference=reference).fit_transform(faces()), expected)


# --- layouts that are probably not meant ----------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "channel_axis", "remedy"),
    [
        ((512, 512, 3), 1, r"512 images of 512×3 pixels.*X\[None\].*set channel_axis=-1"),
        ((40, 30, 4), 1, r"40 images of 30×4 pixels.*X\[None\]"),
        ((1, 64, 48, 3), 1, r"64 channels of 48×3 pixels.*channel_axis=-1"),
        ((2, 64, 48, 4), 1, r"64 channels of 48×4 pixels.*channel_axis=-1"),
        ((2, 3, 64, 64), -1, r"64 channels of 3×64 pixels.*channel_axis=1"),
    ],
)
def test_unusual_layouts_warn_once_per_call(shape, channel_axis, remedy):
    X = np.zeros(shape, np.uint8)
    estimator = HistogramEqualizer(channel_axis=channel_axis)
    for call in (estimator.transform, estimator.fit, estimator.fit_transform):
        with pytest.warns(UserWarning, match=remedy) as caught:
            call(X)
        assert len(caught) == 1
        assert caught[0].filename == __file__


@pytest.mark.parametrize(
    ("shape", "channel_axis"),
    [
        ((20, 25, 25), 1),
        ((20, 4, 4), 1),
        ((20, 3, 3), 1),
        ((5, 1, 4, 4), 1),
        ((5, 3, 32, 4), 1),
        ((5, 8, 4, 4), 1),
        ((5, 64, 3, 3), 1),
        ((5, 32, 32, 3), -1),
        ((5, 4, 4, 16), -1),
        ((5, 3), 1),
    ],
)
def test_plausible_layouts_do_not_warn(shape, channel_axis):
    HistogramEqualizer(channel_axis=channel_axis).fit_transform(np.zeros(shape, np.uint8))


# --- pictures whose numbers are no intensities ----------------------------------------------------

GRAY = np.random.default_rng(0).integers(0, 256, (6, 8), np.uint8)
NO_INTENSITIES = ["P", "PA", "CMYK", "LA", "La", "RGBa", "RGBX", "HSV", "YCbCr", "LAB"]


def picture(mode):
    """A picture of gray pixels in a mode, where Pillow converts to it."""
    gray = Image.fromarray(GRAY)
    try:
        return gray.convert(mode)
    except ValueError:
        return Image.new(mode, gray.size)


def uses_of_pictures(image):
    """Everything that takes pictures, with lists and references of all kinds."""
    array = np.asarray(Image.fromarray(GRAY))
    of_objects = np.empty(2, object)
    of_objects[:] = [image, image]
    for X in ([image, image], (image,), [array, image], [Image.fromarray(GRAY), image], of_objects):
        for estimator in (HistogramEqualizer(), AdaptiveHistogramEqualizer(n_tiles=2)):
            yield "X", partial(estimator.transform, X)
        yield "X", partial(relight, X)
    for reference in (image, [image, image]):
        yield "reference", partial(HistogramMatcher(reference=reference).fit, GRAY[None])


@pytest.mark.parametrize("mode", NO_INTENSITIES)
def test_pictures_without_intensities_are_refused_with_the_conversion(mode):
    """An index of a palette, ink or hue is no intensity; CMYK has as many channels as RGBA."""
    image = picture(mode)
    assert image.mode == mode
    to = "RGBA" if mode in ("PA", "LA", "La", "RGBa") else "RGB"
    why = "positions in a palette" if mode in ("P", "PA") else "not those of gray or RGB"
    words = (
        rf"PIL image of mode {mode}: .*{why}.*, but expected .*L, .*convert\('{to}'\) for colour"
    )
    for name, use in uses_of_pictures(image):
        with pytest.raises(ValueError, match=words) as caught:
            use()
        assert str(caught.value).startswith(name)


def test_a_palette_is_equalized_by_its_colours_once_converted():
    palette = picture("P")
    palette.putpalette(np.repeat(np.arange(255, -1, -1, np.uint8), 3).tobytes())  # as a negative
    levels = np.asarray(palette.convert("L"))
    assert (levels != np.asarray(palette)).any()
    found = HistogramEqualizer().transform([palette.convert("L")])
    assert_same(found, HistogramEqualizer().transform(levels[None]))


@pytest.mark.parametrize("mode", ["L", "I;16", "I;16B", "I", "F", "1", "RGB", "RGBA"])
def test_pictures_with_intensities_are_their_arrays(mode):
    image = Image.fromarray(GRAY.astype(">u2")) if mode == "I;16B" else picture(mode)
    assert image.mode == mode
    X = np.asarray(image)[None]
    estimator = HistogramEqualizer(channel_axis=-1)
    expected = estimator.transform(X)
    assert_same(estimator.transform([image]), expected)
    matcher = HistogramMatcher(reference=X[0], channel_axis=-1)
    expected = matcher.fit_transform(X)
    assert_same(matcher.set_params(reference=image).fit_transform(X), expected)


# --- numbers in containers of objects -------------------------------------------------------------


def containers_of_integers():
    """Integers from 0 to 999, in all that holds them as objects: each with its plain array."""
    x = np.random.default_rng(0).integers(0, 1000, (4, 1, 30))
    yield "array of images", x.astype(object), x
    yield "array of rows", x[:, 0].astype(object), x[:, 0]
    yield "list of arrays", list(x.astype(object)), x
    of_arrays = np.empty(4, object)
    of_arrays[:] = list(x)
    yield "array of arrays", of_arrays, x
    yield "large integers", (x + 2**60).astype(object), x + 2**60
    yield "bool", (x > 500).astype(object), x > 500
    pandas = pytest.importorskip("pandas")
    yield "column of arrays", pandas.Series(list(x)), x
    rows = x[:, 0]
    frame = pandas.DataFrame(rows).add_prefix("p")
    yield "frame of objects", frame.astype(object), rows
    yield "frame of objects and integers", frame.astype({"p0": object}), rows
    yield "frame of nullable integers", frame.astype("Int64"), rows
    yield "frame of small nullable integers", (frame // 4).astype("UInt8"), (rows // 4).astype("u1")


CONTAINERS = ["array of images", "array of rows", "list of arrays", "array of arrays",
              "large integers", "bool", "column of arrays", "frame of objects",
              "frame of objects and integers", "frame of nullable integers",
              "frame of small nullable integers"]  # fmt: skip


@pytest.mark.parametrize("name", CONTAINERS)
def test_integers_kept_as_objects_have_levels(name):
    """One bin per level, and not the 256 bins of floats."""
    X, x = {name: (X, x) for name, X, x in containers_of_integers()}[name]
    expected = HistogramEqualizer().transform(x)
    assert_same(HistogramEqualizer().transform(X), expected)
    if name == "array of images":  # what the other result would be
        assert (HistogramEqualizer().transform(x.astype(float)) != expected).any()


def test_all_containers_of_integers_are_tried():
    pytest.importorskip("pandas")
    assert [name for name, *_ in containers_of_integers()] == CONTAINERS


def test_floats_kept_as_objects_are_floats():
    x = faces(3, dtype="f8")
    x[0, 0, 0, 0] = np.nan
    assert_same(HistogramEqualizer().transform(x.astype(object)), HistogramEqualizer().transform(x))


def test_a_reference_of_objects_is_refused():
    with pytest.raises(ValueError, match=r"reference has dtype object.*expected None or one image"):
        HistogramMatcher(reference=GRAY.astype(object)).fit(GRAY[None])
