"""Draw the figures of the user guide.

    python docs/draw_guide.py [FIGURE ...]

The images come with scikit-image, or are simulated.
"""

import sys
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from PIL import Image
from skimage.color import rgb2gray
from skimage.data import astronaut, binary_blobs, coffee, lfw_subset, retina, stereo_motorcycle
from skimage.filters import gaussian
from sklearn.model_selection import cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklearn_histeq import (
    AdaptiveHistogramEqualizer,
    EqualizationDisplay,
    HistogramEqualizer,
    HistogramMatcher,
    LocalHistogramEqualizer,
    relight,
    relit_scorer,
)

FOLDER = Path(__file__).parent / "images"
BLUE, ORANGE, PALE = "#2f5d8a", "#c8501e", "#9db4c8"  # of the site and of the display
SIZES = {"font.size": 13, "axes.titlesize": 13, "axes.labelsize": 13}


def portrait():
    """A portrait in even light, (256, 256), in [0, 1]."""
    return rgb2gray(astronaut()[:256, 100:356])


def grid(n_rows, n_columns, height):
    """A figure as wide as the text of a page, and its Axes."""
    figure = Figure(figsize=(6.4, height), dpi=125, layout="constrained")
    return figure, figure.subplots(n_rows, n_columns, squeeze=False)


def show(ax, image, title=""):
    """Draw an image, gray in [0, 1] or in colour."""
    ax.imshow(image, cmap="gray", vmin=0, vmax=1)
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    ax.set_title(title)


def show_rows(height, columns, labels=("", "")):
    """Draw images in columns with titles, and in rows with labels."""
    figure, axes = grid(len(next(iter(columns.values()))), len(columns), height)
    for column, (title, images) in zip(axes.T, columns.items(), strict=True):
        for ax, image in zip(column, images, strict=True):
            show(ax, image, title if ax is column[0] else "")
    for ax, label in zip(axes[:, 0], labels, strict=False):
        ax.set_ylabel(label)
    return figure


def single():
    """One image, and what happens if it is read as rows."""
    image = 0.6 * portrait() ** 1.5
    equalizer = HistogramEqualizer()
    columns = {
        "image": image,
        "transform(image[None])": equalizer.transform(image[None])[0],
        "transform(image)": equalizer.transform(image),
    }
    return show_rows(2.45, {title: [shown] for title, shown in columns.items()})


def mask():
    """A border that counts, and one that does not."""
    image = 0.6 * rgb2gray(retina()[::4, ::4])
    counted = image > 0.02
    equalizer = HistogramEqualizer()
    columns = {
        "before": image,
        "all pixels count": equalizer.transform(image[None])[0],
        "mask=mask": equalizer.transform(image[None], mask=counted[None])[0],
    }
    return show_rows(2.45, {title: [shown] for title, shown in columns.items()})


def color():
    """A dark image in colour, and four modes."""
    X = coffee()[None, ::2, 100:500:2] // 2
    figure, axes = grid(2, 3, 4.6)
    show(axes[0, 0], X[0], "before")
    for ax, mode in zip(
        axes.flat[1:], ("channels", "value", "luminance", "lightness"), strict=False
    ):
        equalizer = HistogramEqualizer(color=mode, channel_axis=-1)
        show(ax, equalizer.fit_transform(X)[0], f'"{mode}"')
    axes[1, 2].set_axis_off()
    return figure


def volume():
    """Two slices of a volume, equalized by slices and as a whole."""
    cells = 0.2 + 0.8 * gaussian(binary_blobs(64, n_dim=3, volume_fraction=0.3, rng=0), 1.5)
    cells[:8] = cells[56:] = 0
    counts = np.random.default_rng(0).poisson(100 + 900 * cells).astype(np.uint16)  # photons
    stacks = {
        "before": counts / counts.max(),
        "slice by slice": HistogramEqualizer().fit_transform(counts),
        "spatial_dims=3": HistogramEqualizer(spatial_dims=3).fit_transform(counts[None])[0],
    }
    columns = {title: [stack[32], stack[6]] for title, stack in stacks.items()}
    return show_rows(4.4, columns, ["a slice", "an empty slice"])


def equalize():
    """Two images, their transfer functions, and the result."""
    face = portrait()
    X = np.stack([0.4 * face**1.5, 0.5 + 0.5 * face**0.7])
    figure, axes = grid(2, 3, 4.4)
    for row, before, after in zip(axes, X, HistogramEqualizer().fit_transform(X), strict=True):
        show(row[0], before)
        show(row[2], after)
        weights = np.full(before.size, 8 / before.size)
        row[1].hist(before.ravel(), 64, range=(0, 1), weights=weights, color=PALE)
        row[1].plot(np.sort(before.ravel()), np.sort(after.ravel()), color=ORANGE, lw=2.5)
        row[1].set(xlim=(0, 1), ylim=(0, 1), xticks=[0, 1], yticks=[0, 1], box_aspect=1)
    for ax, title in zip(axes[0], ("before", "transfer function", "after"), strict=True):
        ax.set_title(title)
    axes[1, 1].set_xlabel("intensity", labelpad=-12)
    return figure


def clahe():
    """Light from the left, with one transfer function, and with tiles and three limits."""
    X = (portrait() * np.linspace(1, 0.12, 256))[None]
    steps = {
        "before": FunctionTransformer(),
        "one function": HistogramEqualizer(),
        "tiles": AdaptiveHistogramEqualizer(),
    }
    for limit in (1.5, 6, None):
        steps[f"clip_limit={limit}"] = AdaptiveHistogramEqualizer(clip_limit=limit)
    figure, axes = grid(2, 3, 4.7)
    for ax, (title, step) in zip(axes.flat, steps.items(), strict=True):
        show(ax, step.fit_transform(X)[0], title)
    return figure


def local():
    """Harsh light from two sides, with tiles and with windows."""
    shade = 0.03 + 0.97 / (1 + np.exp(np.linspace(-6, 9, 256)))
    X = np.stack([portrait() * shade, portrait() * shade[::-1]])
    columns = {
        "before": X,
        "tiles": AdaptiveHistogramEqualizer().fit_transform(X),
        "windows": LocalHistogramEqualizer().fit_transform(X),
    }
    return show_rows(4.5, columns)


def match():
    """An image of a dark camera, matched to that of another one, with histograms."""
    left, right = (rgb2gray(image[::2, ::2]) for image in stereo_motorcycle()[:2])
    images = {"image": right**2.2, "reference": left}
    matcher = HistogramMatcher(reference=left)
    images["matched"] = matcher.fit_transform(images["image"][None])[0]
    figure, axes = grid(2, 3, 3.6)
    for (above, below), (title, image) in zip(axes.T, images.items(), strict=True):
        show(above, image, title)
        below.hist(image.ravel(), 64, range=(0, 1), color=PALE)
        below.set(xlim=(0, 1), xticks=[0, 1], yticks=[])
    figure.align_titles()
    return figure


def display():
    """What EqualizationDisplay draws."""
    X = np.stack([0.4 * portrait() ** 1.5, 0.5 + 0.5 * portrait() ** 0.7])
    figure = Figure(figsize=(5.8, 3.1), dpi=800 / 5.8, layout="constrained")
    EqualizationDisplay.from_estimator(HistogramEqualizer(), X, ax=figure.subplots(2, 4))
    return figure


def accuracies():
    """Accuracies on images as they are, and on copies in another light."""
    X, y = lfw_subset(), np.repeat([1, 0], 100)
    steps = {
        "none": FunctionTransformer(),
        "HistogramEqualizer": HistogramEqualizer(),
        "AdaptiveHistogramEqualizer": AdaptiveHistogramEqualizer(n_tiles=4),
    }
    rows = FunctionTransformer(lambda images: images.reshape(len(images), -1))
    scorings = {"as they are": "accuracy", "in another light": relit_scorer("accuracy", "mild")}
    figure, ((ax,),) = grid(1, 1, 3)
    for shift, color, (name, scoring) in zip(
        (0.2, -0.2), (BLUE, ORANGE), scorings.items(), strict=True
    ):
        means = [
            cross_val_score(
                make_pipeline(step, rows, KNeighborsClassifier(1)), X, y, scoring=scoring
            ).mean()
            for step in steps.values()
        ]
        bars = ax.barh(np.arange(3)[::-1] + shift, means, 0.38, color=color, label=name)
        ax.bar_label(bars, fmt=" {:.2f}")
    ax.set_yticks(np.arange(3)[::-1], [*steps])
    ax.set(xlim=(0, 1.12), xlabel="accuracy", xticks=[0, 0.5, 1])
    ax.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside upper center", ncols=2, title="validated on images", frameon=False)
    return figure


def lights():
    """Images in three strengths of simulated light."""
    X = np.stack([portrait()[::2, ::2]] * 3)
    columns = {s: relight(X, s, random_state=4) for s in ("even", "mild", "harsh")}
    return show_rows(6.6, columns)


def definitions():
    """Four conventions for one plane, and three clip limits for one tile."""
    counts = np.array([1, 2, 3, 8, 12, 9, 4, 1])
    levels = 32 * np.arange(8, dtype=np.uint8) + 16
    X = np.repeat(levels, 100 * counts).reshape(1, 40, 100)
    figure, axes = grid(1, 2, 3.9)
    left, right = axes[0]
    styles = {"skimage": "o-", "numpy": "s--", "opencv": "^-", "pillow": "v:"}
    for convention, style in styles.items():
        out = HistogramEqualizer(convention=convention).fit_transform(X).ravel()
        top = 1 if convention == "skimage" else 255
        left.plot(X.ravel(), out / top, style, label=convention)
    left.set(title="convention", xlabel="level", xticks=[0, 128, 255], yticks=[0, 1])
    left.legend(loc="upper left", handlelength=1.4)
    tile = np.clip(np.random.default_rng(0).normal(0.5, 0.07, (1, 96, 96)), 0, 1)
    for limit, style in {None: ":", 3: "-", 1.5: "--"}.items():
        clahe = AdaptiveHistogramEqualizer(n_tiles=1, clip_limit=limit, value_range=(0, 1))
        right.plot(np.sort(tile.ravel()), np.sort(clahe.fit_transform(tile).ravel()), style, lw=2.5,
                   label=str(limit))  # fmt: skip
    right.set(title="clip_limit", xlabel="intensity", xticks=[0, 1], xlim=(0, 1), yticks=[0, 1])
    right.legend(loc="upper left")
    return figure


DRAWN = single, mask, color, volume, equalize, clahe, local, match, display, accuracies, lights
FIGURES = {draw.__name__: draw for draw in (*DRAWN, definitions)}


def save(name, folder=FOLDER):
    """Draw a figure into a folder; return its path."""
    path = Path(folder) / f"guide_{name}.png"
    with matplotlib.rc_context(SIZES):
        FIGURES[name]().savefig(path)
    image = Image.open(path).convert("RGB")
    n_colors = 256 if name == "color" else 64
    image.quantize(n_colors, dither=Image.Dither.NONE).save(path, optimize=True)  # fewer bytes
    return path


if __name__ == "__main__":
    for name in sys.argv[1:] or FIGURES:
        print(save(name))
