"""Peers of the package that need a few lines around a library's function."""

import numpy as np
from PIL import Image, ImageOps
from skimage.filters import rank


def numpy_recipe(plane):
    """The recipe of Solem's "Programming Computer Vision with Python"."""
    density, edges = np.histogram(plane, 256, density=True)
    cdf = density.cumsum()
    return np.interp(plane, edges[:-1], 255 * cdf / cdf[-1])


def pillow(plane):
    """PIL.ImageOps.equalize, from an array to an array."""
    return np.asarray(ImageOps.equalize(Image.fromarray(plane)))


def rank_equalize(plane, window):
    """skimage.filters.rank.equalize with a square or a cube as footprint; it takes integers."""
    if plane.dtype.kind == "f":
        plane = (plane * 255).astype(np.uint8)
    return rank.equalize(plane, np.ones((window,) * plane.ndim, np.uint8))
