"""Draw the picture at the head of the README and of the start page.

    python docs/draw_lights.py [PNG]

A photograph that comes with scikit-image, in four simulated lights, before and after equalization.
"""

import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from PIL import Image
from skimage.color import rgb2gray
from skimage.data import astronaut

from sklearn_histeq import AdaptiveHistogramEqualizer, HistogramEqualizer

PICTURE = Path(__file__).parent / "images" / "lights.png"


def relight(image):
    """Return an image in [0, 1] in four simulated lights, by name."""
    fading = np.linspace(1, 0.25, image.shape[1]) ** 2
    return {
        "dark": 0.35 * image**1.8,
        "pale": 0.55 + 0.45 * image**0.7,
        "light from the left": image * fading,
        "light from the right": image * fading[::-1],
    }


def draw(path):
    """Draw a column per light: before, and after each of two estimators."""
    lights = relight(rgb2gray(astronaut()[:256, 100:356]))
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
        for ax, image in zip(row, images, strict=True):
            ax.imshow(image, cmap="gray", vmin=0, vmax=1)
            ax.set(xticks=[], yticks=[])
            ax.spines[:].set_visible(False)
    figure.savefig(path)
    Image.open(path).convert("L").save(path, optimize=True)  # a third of the bytes


if __name__ == "__main__":
    draw(sys.argv[1] if len(sys.argv) > 1 else PICTURE)
