"""Draw the pictures of the start page and of the page on choosing an estimator.

    python docs/draw_lights.py

A photograph that comes with scikit-image, in simulated lights, before and after equalization.
"""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from PIL import Image
from skimage.color import rgb2gray
from skimage.data import astronaut

from sklearn_histeq import (
    AdaptiveHistogramEqualizer,
    HistogramEqualizer,
    HistogramMatcher,
    LocalHistogramEqualizer,
)

IMAGES = Path(__file__).parent / "images"


def portrait():
    """Return a photograph in [0, 1], 256×256."""
    return rgb2gray(astronaut()[:256, 100:356])


def relight(image):
    """Return an image in [0, 1] in four simulated lights, by name."""
    fading = np.linspace(1, 0.25, image.shape[1]) ** 2
    return {
        "dark": 0.35 * image**1.8,
        "pale": 0.55 + 0.45 * image**0.7,
        "light from the left": image * fading,
        "light from the right": image * fading[::-1],
    }


def draw_lights(path):
    """Draw a column per light: before, and after each of two estimators."""
    lights = relight(portrait())
    X = np.stack([*lights.values()])  # (4, 256, 256)
    rows = {
        "before": X,
        "HistogramEqualizer": HistogramEqualizer().fit_transform(X),
        "AdaptiveHistogramEqualizer": AdaptiveHistogramEqualizer().fit_transform(X),
    }
    figure = Figure(figsize=(9, 6.9), dpi=100, layout="constrained")
    axes = figure.subplots(len(rows), len(lights))
    for ax, light in zip(axes[0], lights, strict=True):
        ax.set_title(light, fontsize=12)
    for row, (name, images) in zip(axes, rows.items(), strict=True):
        row[0].set_ylabel(name, fontsize=10.5)
        show(row, images)
    save(figure, path)


def draw_estimators(path):
    """Draw a column per estimator: images in two lights, and their difference."""
    image = portrait()
    lights = relight(image)
    names = "dark", "light from the left"
    X = np.stack([lights[name] for name in names])
    columns = {
        "before": X,
        "HistogramEqualizer": HistogramEqualizer().fit_transform(X),
        "HistogramMatcher": HistogramMatcher().fit(image[None]).transform(X),
        "AdaptiveHistogramEqualizer": AdaptiveHistogramEqualizer().fit_transform(X),
        "LocalHistogramEqualizer": LocalHistogramEqualizer().fit_transform(X),
    }
    figure = Figure(figsize=(11, 7.1), dpi=100, layout="constrained")
    axes = figure.subplots(len(X) + 1, len(columns))
    for ax, name in zip(axes[:, 0], (*names, "difference"), strict=True):
        ax.set_ylabel(name, fontsize=12)
    for column, (name, pair) in zip(axes.T, columns.items(), strict=True):
        column[0].set_title(name, fontsize=9.5)
        show(column, [*pair, np.abs(pair[0] - pair[1])])
        correlation = np.corrcoef(pair.reshape(2, -1))[0, 1]
        column[-1].set_xlabel(f"correlation {correlation:.2f}", fontsize=12)
    save(figure, path)


def show(axes, images):
    """Show gray images in [0, 1], without ticks and frames."""
    for ax, image in zip(axes, images, strict=True):
        ax.imshow(image, cmap="gray", vmin=0, vmax=1)
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set_visible(False)


def save(figure, path):
    """Save a figure in gray, which takes a third of the bytes."""
    figure.savefig(path)
    Image.open(path).convert("L").save(path, optimize=True)


PICTURES = {"lights.png": draw_lights, "estimators.png": draw_estimators}


if __name__ == "__main__":
    for name, draw in PICTURES.items():
        draw(IMAGES / name)
