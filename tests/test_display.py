"""EqualizationDisplay: what is drawn, where, and that it is drawn the same again.

Most tests read the artists. The images compared pixel by pixel are drawn to Axes of fixed places
and without text, which alone changes with matplotlib's releases.
"""

import builtins
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from _helpers import faces
from skimage.color import rgb2lab
from sklearn.exceptions import NotFittedError
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklearn_histeq import (
    AdaptiveHistogramEqualizer,
    EqualizationDisplay,
    HistogramEqualizer,
    HistogramMatcher,
)

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402
from matplotlib.testing.compare import compare_images  # noqa: E402

BASELINES = Path(__file__).parent / "baseline"
TOLERANCE = 4  # of 255, root mean square; 31 bars for 32 give more than 6, no line more than 9


@pytest.fixture(autouse=True)
def _figures_closed():
    yield
    plt.close("all")


def draw(estimator=None, x=None, **words):
    x = faces(6, side=16) if x is None else x
    return EqualizationDisplay.from_estimator(estimator or HistogramEqualizer(), x, **words)


def pixels_of(figure):
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba()).copy()


def bars_of(ax):
    return ax.patches[0].get_data()


def image_of(ax):
    return ax.images[0].get_array()


# --- what is drawn --------------------------------------------------------------------------------


def test_a_row_an_image():
    display = draw(n_images=3)
    assert display.ax_.shape == (3, 4)
    assert display.figure_ is display.ax_[0, 0].figure
    assert draw(n_images=100).ax_.shape == (6, 4)
    titles = [ax.get_title() for ax in display.ax_[0]]
    assert titles == ["before", "after", "histogram before", "histogram after"]


def test_images_are_drawn_before_and_after():
    x = faces(3, side=16)
    display = draw(x=x)
    for row, (before, after) in enumerate(zip(x, HistogramEqualizer().transform(x), strict=True)):
        np.testing.assert_allclose(image_of(display.ax_[row, 0])[..., 0], before[0] / 255)
        np.testing.assert_allclose(image_of(display.ax_[row, 1])[..., 0], after[0])


def test_histogram_and_cdf_are_the_images():
    x = faces(1, side=16)
    ax = draw(x=x).ax_[0, 2]
    counts, edges = np.histogram(x, 32, range=(0, 255))
    np.testing.assert_allclose(bars_of(ax).values, counts / counts.max())
    np.testing.assert_allclose(bars_of(ax).edges, edges)
    levels, cdf = ax.lines[0].get_data()
    for level, share in zip(levels, cdf, strict=True):
        assert share == np.mean(x <= level)


def test_the_cdf_after_is_a_straight_line():
    levels, cdf = draw(x=faces(1, side=32)).ax_[0, 3].lines[0].get_data()
    np.testing.assert_allclose(levels, cdf)


def test_dark_images_look_dark():
    dark = faces(1, side=8) // 8
    display = draw(x=np.concatenate([dark, faces(1, side=8)]))
    assert image_of(display.ax_[0, 0]).max() < 0.15
    assert image_of(display.ax_[0, 1]).max() == 1


@pytest.mark.parametrize(
    ("x", "scale"),
    [
        (np.full((1, 4, 4), 3, np.uint8), (0, 255)),
        (np.full((1, 4, 4), 3, np.int64), (0, 255)),
        (np.full((1, 4, 4), 3000, np.uint16), (0, 4095)),
        (np.full((1, 4, 4), -5, np.int16), (-5, 255)),
        (np.full((1, 4, 4), True), (0, 1)),
        (np.full((1, 4, 4), 0.25), (0, 1)),
        (np.full((1, 4, 4), 1.0), (0, 1)),
        (np.full((1, 4, 4), 7.5), (0, 255)),
        (np.full((1, 4, 4), 255.0), (0, 255)),
        (np.full((1, 4, 4), -7.5), (-7.5, -6.5)),
        (np.full((1, 4, 4), np.nan), (0, 1)),
    ],
)
def test_the_scale_of_gray(x, scale):
    assert EqualizationDisplay.from_images(x, x).ax_[0, 2].get_xlim() == scale


def test_colour_images_are_drawn_in_colour():
    x = faces(2, 3, side=16)
    display = draw(x=x)
    np.testing.assert_allclose(image_of(display.ax_[0, 0]), np.moveaxis(x[0], 0, -1) / 255)
    assert len(display.ax_[0, 2].lines) == len(display.ax_[0, 3].patches) == 3
    by_value = draw(HistogramEqualizer(color="value"), x).ax_[0, 2]
    assert len(by_value.lines) == 1
    expected = np.histogram(x[0].max(axis=0), 32, range=(0, 255))[0]
    np.testing.assert_allclose(bars_of(by_value).values, expected / expected.max())


@pytest.mark.parametrize("color", ["luminance", "lightness"])
def test_colours_may_be_drawn_by_one_plane(color):
    x = faces(2, 3, side=16)
    drawn = draw(HistogramEqualizer(color=color), x).ax_[0, 2]
    last = np.moveaxis(x[0], 0, -1)
    plane = cv2.cvtColor(last, cv2.COLOR_RGB2YCrCb)[..., 0]
    if color == "lightness":
        plane = rgb2lab(last)[..., 0] * 2.55
    expected = np.histogram(plane, 32, range=(0, 255))[0]
    np.testing.assert_allclose(bars_of(drawn).values, expected / expected.max())
    assert len(drawn.lines) == 1


def test_alpha_is_drawn_but_not_counted():
    display = draw(x=faces(1, 4, side=8))
    assert image_of(display.ax_[0, 0]).shape == (8, 8, 4)
    assert len(display.ax_[0, 2].lines) == 3


def test_missing_pixels_are_blue_and_not_counted():
    x = faces(1, side=8, dtype="f8")
    x[..., :2, :] = np.nan
    display = draw(x=x)
    red, _, blue = image_of(display.ax_[0, 0])[0, 0]
    assert blue > red
    gray = image_of(display.ax_[0, 0])[4, 0]
    assert gray[0] == gray[1] == gray[2]
    expected = np.histogram(x[..., 2:, :], 32, range=(0, 1))[0]
    np.testing.assert_allclose(bars_of(display.ax_[0, 2]).values, expected / expected.max())


def test_a_mask_goes_to_transform_and_to_the_histograms():
    x, mask = faces(6, side=8), np.ones((6, 8, 8), dtype=bool)
    mask[:, :4] = False
    display = draw(x=x, mask=mask, n_images=2)
    expected = HistogramEqualizer().transform(x, mask=mask)
    np.testing.assert_allclose(image_of(display.ax_[1, 1])[..., 0], expected[1, 0])
    counts = np.histogram(x[0, 0, 4:], 32, range=(0, 255))[0]
    np.testing.assert_allclose(bars_of(display.ax_[0, 2]).values, counts / counts.max())


@pytest.mark.parametrize(
    ("words", "rows", "columns"),
    [
        ({"n_tiles": (2, 3)}, [8], [4, 9]),
        ({"tile_shape": 5}, [5, 10], [4, 9]),
        ({"n_tiles": 3, "convention": "skimage"}, [5, 10, 15], [4, 8, 12]),
        ({"n_tiles": 3, "convention": "opencv"}, [6, 12], [5, 10]),
        ({"n_tiles": (4, 2), "convention": "opencv"}, [4, 8, 12], [7]),
    ],
)
def test_the_tile_grid(words, rows, columns):
    x = faces(1, side=16)[..., :14]
    display = draw(AdaptiveHistogramEqualizer(**words), x, tile_grid=True)
    horizontal, vertical = display.ax_[0, 1].collections
    assert [line[0, 1] + 0.5 for line in horizontal.get_segments()] == rows
    assert [line[0, 0] + 0.5 for line in vertical.get_segments()] == columns
    assert not display.plot().ax_[0, 1].collections


# --- layouts and estimators -----------------------------------------------------------------------


def test_layouts_make_the_same_image():
    x = faces(2, 3, side=8)
    last = np.moveaxis(x, 1, -1)
    expected = pixels_of(draw(x=x).figure_)
    for words, images in [
        ({"channel_axis": -1}, last),
        ({"image_shape": (3, 8, 8)}, x.reshape(2, -1)),
        ({"image_shape": (8, 8, 3), "channel_axis": -1}, last.reshape(2, -1)),
        ({"flatten": True}, x),
        ({"flatten": True, "channel_axis": -1}, last),
    ]:
        drawn = pixels_of(draw(HistogramEqualizer(**words), images).figure_)
        np.testing.assert_array_equal(drawn, expected)


def test_lists_and_data_frames():
    pandas = pytest.importorskip("pandas")
    x = faces(2, side=8)
    expected = pixels_of(draw(x=x).figure_)
    np.testing.assert_array_equal(pixels_of(draw(x=x.tolist()).figure_), expected)
    rows = HistogramEqualizer(image_shape=(8, 8)).set_output(transform="pandas")
    drawn = draw(rows.fit(frame := pandas.DataFrame(x.reshape(2, -1)).rename(columns=str)), frame)
    np.testing.assert_array_equal(pixels_of(drawn.figure_), expected)


def test_a_pipeline_of_images_is_drawn():
    x = faces(2, side=8)
    halved = FunctionTransformer(np.negative)
    pipeline = make_pipeline(HistogramEqualizer(flatten=True), halved)
    np.testing.assert_allclose(
        draw(pipeline, x).after[:, 0], -HistogramEqualizer().transform(x)[:, 0]
    )


def test_the_steps_before_a_classifier_are_drawn():
    x = faces(2, side=8)
    pipeline = make_pipeline(HistogramEqualizer(flatten=True), KNeighborsClassifier(1))
    with pytest.raises(ValueError, match=r"Pass the steps before it: pipeline\[:-1\]"):
        draw(pipeline, x)
    expected = HistogramEqualizer().transform(x)
    for each in pipeline, pipeline.fit(x, [0, 1]):
        np.testing.assert_array_equal(draw(each[:-1], x).after[:, 0], expected[:, 0])


def test_gray_of_colour():
    x = faces(2, 3, side=8)
    gray = FunctionTransformer(np.mean, kw_args={"axis": 1})
    display = draw(make_pipeline(gray, HistogramEqualizer(flatten=True)), x)
    assert display.before.shape == (2, 3, 8, 8)
    assert display.after.shape == (2, 1, 8, 8)


def test_only_the_first_images_are_transformed():
    seen = []
    transformer = FunctionTransformer(lambda x: seen.append(len(x)) or x)
    draw(transformer, faces(6), n_images=2)
    assert seen == [2]


def test_what_learns_must_be_fitted():
    with pytest.raises(NotFittedError):
        draw(HistogramMatcher())
    x = faces(3)
    draw(HistogramMatcher().fit(x), x)


def test_from_images_draws_what_from_estimator_draws():
    x = faces(6, side=8)
    expected = pixels_of(draw(x=x).figure_)
    y = HistogramEqualizer().transform(x)
    drawn = EqualizationDisplay.from_images(x, y)
    np.testing.assert_array_equal(pixels_of(drawn.figure_), expected)
    rows = EqualizationDisplay.from_images(x, y.reshape(6, -1))
    np.testing.assert_array_equal(pixels_of(rows.figure_), expected)


# --- where it is drawn, and drawn again -----------------------------------------------------------


def test_drawing_twice_gives_the_same():
    display = draw()
    first, figure = pixels_of(display.figure_), display.figure_
    assert display.plot() is display
    assert display.figure_ is not figure
    np.testing.assert_array_equal(pixels_of(display.figure_), first)


@pytest.mark.parametrize("as_list", [False, True])
def test_an_array_of_axes_is_used_and_used_again(as_list):
    display = draw(n_images=2)
    figure, axes = plt.subplots(2, 4)
    first = pixels_of(display.plot(list(axes.flat) if as_list else axes).figure_)
    assert display.figure_ is figure
    assert display.ax_[1, 3] is axes[1, 3]
    n_axes = len(figure.axes)
    np.testing.assert_array_equal(pixels_of(display.plot(axes).figure_), first)
    assert len(figure.axes) == n_axes


def test_one_axes_is_divided_and_divided_again():
    display = draw(n_images=2)
    figure, (left, right) = plt.subplots(1, 2)
    right.plot([1, 2])
    first = pixels_of(display.plot(left).figure_)
    assert display.ax_.shape == (2, 4)
    assert display.figure_ is figure
    np.testing.assert_array_equal(pixels_of(display.plot(left).figure_), first)
    assert len(left.child_axes) == 8
    assert len(right.lines) == 1


@pytest.mark.parametrize("kind", ["gray", "colour", "tiles"])
def test_pictures_compared(kind, tmp_path):
    rng = np.random.default_rng(5)
    light = np.linspace(0.9, 0.2, 48) * np.array([[[[1.0]]], [[[0.5]]]])
    scene = 0.5 + 0.5 * np.sin(np.arange(48) / 5)[:, None] * np.cos(np.arange(48) / 7)
    x = np.rint(255 * light * scene + rng.uniform(0, 2, (2, 1, 48, 48))).astype(np.uint8)
    estimator = HistogramEqualizer()
    if kind == "colour":
        x = np.concatenate([x, x // 2, x[..., ::-1]], axis=1)
    if kind == "tiles":
        estimator = AdaptiveHistogramEqualizer(n_tiles=4, clip_limit=4)
    figure, axes = plt.subplots(2, 4, figsize=(6, 3), dpi=80)
    draw(estimator, x, ax=axes, tile_grid=kind == "tiles")
    for ax in axes.flat:
        ax.set(title="", xlabel="", ylabel="")
        ax.tick_params(labelbottom=False, labelright=False, labelleft=False)
    drawn = tmp_path / f"display_{kind}.png"
    figure.savefig(drawn)
    assert compare_images(str(BASELINES / drawn.name), str(drawn), TOLERANCE) is None


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: draw(x=x, n_images=0), r"n_images=0, but expected an integer >= 1"),
        (lambda x: draw(x=x, tile_grid=True), r"tile_grid=True, but expected False: .*Adaptive"),
        (lambda x: draw(x=x).plot(plt.subplots(2, 3)[1]), r"ax has shape \(2, 3\), .*\(4, 4\)"),
        (
            lambda x: draw(x=x.reshape(6, -1)),
            r"6 flattened images, but expected images, or image_shape=\(height, width\)",
        ),
        (lambda x: draw(x=np.repeat(x, 2, axis=1)), r"X has 2 channels, but expected 1 \(gray\)"),
        (
            lambda x: EqualizationDisplay.from_images(x, x[:, :, :4]),
            r"after has shape \(4, 1, 4, 8\), but expected .* 8×8 pixels",
        ),
        (
            lambda x: draw(FunctionTransformer(lambda x: x.reshape(len(x), -1)[:, :5]), x),
            r"after has shape \(4, 5\), .*pipeline\[:1\]",
        ),
        (
            lambda x: EqualizationDisplay.from_images(x, x * np.inf),
            r"after has infinite pixels",
        ),
        (
            lambda x: EqualizationDisplay.from_images(x, x, color="gray"),
            r"color='gray', but expected 'channels', 'value', 'luminance' or 'lightness'",
        ),
        (lambda x: draw(x=x, mask=np.ones((6, 8, 7), bool)), r"mask has shape \(4, 8, 7\)"),
    ],
)
def test_errors_say_what_was_expected(call, message):
    with pytest.raises(ValueError, match=message):
        call(faces(6, side=8) + np.uint8(1))


# --- matplotlib when drawing, and not before ------------------------------------------------------


def test_matplotlib_is_imported_when_something_is_drawn():
    code = """
import sys
from sklearn_histeq import EqualizationDisplay, HistogramEqualizer
assert "matplotlib" not in sys.modules
import numpy as np
display = EqualizationDisplay(np.zeros((1, 1, 4, 4)), np.ones((1, 1, 4, 4)))
assert "matplotlib" not in sys.modules
import matplotlib; matplotlib.use("Agg")
display.plot()
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_without_matplotlib_the_error_says_what_to_install(monkeypatch):
    genuine = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return genuine(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match="pip install matplotlib"):
        draw()


# --- the HTML repr --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "cls",
    [HistogramEqualizer, AdaptiveHistogramEqualizer, HistogramMatcher],
    ids=lambda c: c.__name__,
)
def test_the_html_repr_links_to_the_documentation_only_where_it_is_published(cls, monkeypatch):
    assert f"sklearn_histeq.{cls.__name__}.html" not in make_pipeline(cls())._repr_html_()
    monkeypatch.setattr(cls, "_doc_link_module", "sklearn_histeq")
    template = "https://example.org/api/sklearn_histeq.{estimator_name}.html"
    monkeypatch.setattr(cls, "_doc_link_template", template, raising=False)
    page = f"https://example.org/api/sklearn_histeq.{cls.__name__}.html"
    assert f'href="{page}"' in make_pipeline(cls())._repr_html_()
