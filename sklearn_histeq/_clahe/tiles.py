"""Where tiles lie along an axis, and between which two tile centers a pixel lies.

Rows and columns are treated alike, one axis at a time.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np


class Axis(NamedTuple):
    """The two tiles around each pixel along an axis, and its distance from the first.

    Attributes
    ----------
    lower, upper : ndarray of shape (length,), intp
        The tiles whose centers surround the pixel; the outermost one beyond its center.
    fraction : ndarray of shape (length,)
        The pixel's distance to the lower center, as a share of the distance between the two.
    """

    lower: np.ndarray
    upper: np.ndarray
    fraction: np.ndarray


class Side(NamedTuple):
    """An axis that is cut into tiles.

    Attributes
    ----------
    pixels : ndarray of ints
        The pixels that tiles count, one tile after the other. OpenCV and scikit-image count
        some twice.
    starts : ndarray of shape (n_tiles + 1,), int
        Where in `pixels` tiles begin, and where the last ends.
    axis : Axis
        Between which tiles pixels lie.
    repeats_outer : bool
        How tables of tiles lie side by side. True: the tables of the outer tiles are repeated
        beyond them, as OpenCV and scikit-image do, where pixels there lie between the two.
    """

    pixels: np.ndarray
    starts: np.ndarray
    axis: Axis
    repeats_outer: bool = False

    @property
    def n_tiles(self):
        """The number of tiles."""
        return len(self.starts) - 1

    @property
    def left_tables(self):
        """The left one of the two tables of each pixel, in a row of tables side by side."""
        lower, upper = self.axis.lower, self.axis.upper
        if not self.repeats_outer:
            return lower
        return np.where(upper > lower, upper, np.where(lower == 0, 0, self.n_tiles))


def per_axis(value, n_axes):
    """Return a number per axis: of one number for all, or of as many as there are axes."""
    return (int(value),) * n_axes if np.ndim(value) == 0 else tuple(map(int, value))


def as_volume(sizes):
    """Return sizes along the axes of a plane with those along the third: a volume of one slice."""
    return (1,) * (3 - len(sizes)) + tuple(sizes)


# The package's own tiles -------------------------------------------------------------------------


def n_tiles_within(shape, n_tiles):
    """Return n_tiles per axis, at most as many as leave two pixels per tile."""
    return tuple(min(n, max(1, side // 2)) for side, n in zip(shape, n_tiles, strict=True))


def n_tiles_of_shape(shape, tile_shape):
    """Return the numbers of tiles per axis that come closest to a shape of tiles."""
    return tuple(max(1, round(side / t)) for side, t in zip(shape, tile_shape, strict=True))


def edges(length, n_tiles):
    """Return where tiles begin along an axis, and where the last ends: floor(k * length / n)."""
    return np.arange(n_tiles + 1) * length // n_tiles


def axis(length, n_tiles):
    """Return which tiles surround each pixel: distances to centers, (first + last pixel) / 2."""
    starts = edges(length, n_tiles)
    centers = (starts[:-1] + starts[1:] - 1) / 2
    pixels = np.arange(length)
    lower = np.maximum(np.searchsorted(centers, pixels, side="right") - 1, 0)
    upper = np.minimum(lower + 1, n_tiles - 1)
    gap = np.where(upper > lower, centers[upper] - centers[lower], 1)
    inside = (pixels >= centers[0]) & (upper > lower)
    return Axis(lower, upper, np.where(inside, (pixels - centers[lower]) / gap, 0))


def side(length, n_tiles):
    """Return an axis with the package's own tiles."""
    return Side(np.arange(length), edges(length, n_tiles), axis(length, n_tiles))


def reach(side):
    """Return how far the pixels of the two tiles around a pixel lie from it, at most."""
    lowest, highest = (f.reduceat(side.pixels, side.starts[:-1]) for f in (np.minimum, np.maximum))
    lower, upper, _ = side.axis
    here = np.arange(len(lower))
    before = here - np.minimum(lowest[lower], lowest[upper])
    behind = np.maximum(highest[lower], highest[upper]) - here
    return int(max(before.max(), behind.max()))


# Tiles of OpenCV and scikit-image ----------------------------------------------------------------


def skimage_tile_shape(shape, n_tiles):
    """Return the kernel_size of skimage.exposure.equalize_adapthist for a number of tiles."""
    return tuple(max(side // n, 1) for side, n in zip(shape, n_tiles, strict=True))


def n_skimage_tiles(length, t):
    """Return how many tiles of length t scikit-image cuts an axis into."""
    return -(-length // t)


def skimage_pixels(length, t):
    """Return the pixels of each of scikit-image's tiles (n, t), of an axis padded by reflection."""
    n = n_skimage_tiles(length, t)
    before, behind = t // 2, n * t - length + (t + 1) // 2
    padded = np.pad(np.arange(length), (before, behind), mode="reflect")
    return padded[before : before + n * t].reshape(n, t)


def skimage_axis(length, t):
    """Return which of scikit-image's tiles surround each pixel.

    Padded pixel y + t // 2 = block * t + i lies between tiles block - 1, with the share 1 - i / t,
    and block, both kept within the grid.
    """
    block, i = np.divmod(np.arange(length) + t // 2, t)
    last = n_skimage_tiles(length, t) - 1
    return Axis(np.maximum(block - 1, 0), np.minimum(block, last), i / t)


def opencv_tile_shape(shape, n_tiles):
    """Return the shape of cv2's tiles.

    Where one axis does not divide by the grid, both are padded, by a whole grid where it does.
    """
    if all(side % n == 0 for side, n in zip(shape, n_tiles, strict=True)):
        return tuple(side // n for side, n in zip(shape, n_tiles, strict=True))
    return tuple(side // n + 1 for side, n in zip(shape, n_tiles, strict=True))


def opencv_padding(length, padded):
    """Return the pixels of an axis padded at its end by reflection (cv2.BORDER_REFLECT_101)."""
    period = max(2 * (length - 1), 1)
    pixels = np.arange(padded) % period
    return np.minimum(pixels, period - pixels) if length > 1 else np.zeros(padded, np.intp)


def opencv_axis(length, n_tiles, tile_length):
    """Return which tiles surround each pixel, in cv2's single-precision arithmetic.

    The tile's length becomes a float32 reciprocal; the position of a pixel, in tiles from the first
    center, is float32(float32(x * reciprocal) - 0.5), whose floor and rest are used.
    """
    reciprocal = np.float32(1) / np.float32(tile_length)
    position = np.arange(length).astype(np.float32) * reciprocal - np.float32(0.5)
    below = np.floor(position)
    lower = below.astype(np.intp)
    return Axis(np.maximum(lower, 0), np.minimum(lower + 1, n_tiles - 1), position - below)


def skimage_side(length, t):
    """Return an axis with scikit-image's tiles of length t."""
    return _equal_side(skimage_pixels(length, t), skimage_axis(length, t))


def opencv_side(length, n_tiles, t):
    """Return an axis with cv2's tiles of length t."""
    pixels = opencv_padding(length, n_tiles * t).reshape(n_tiles, t)
    return _equal_side(pixels, opencv_axis(length, n_tiles, t))


def _equal_side(pixels, axis):
    starts = np.arange(len(pixels) + 1) * pixels.shape[1]
    return Side(pixels.reshape(-1), starts, axis, repeats_outer=True)


# One record per way to cut an image into tiles ---------------------------------------------------


class Tiling(NamedTuple):
    """How a convention cuts images into tiles.

    Attributes
    ----------
    tiles : callable
        `tiles(shape, n_tiles, tile_shape)` returns what the engines call the tiles of images of a
        shape: their numbers (rows, columns), or scikit-image's shape of a tile. `tile_shape` is
        None where n_tiles counts.
    tile_shape : callable
        `tile_shape(shape, tiles)` returns the shape of the smallest tile.
    edges : callable
        `edges(shape, tiles)` returns where tiles begin along both axes and where the last ends.
    sides : callable
        `sides(shape, tiles)` returns the `Side` of each axis; of planes, too, three of them.
    """

    tiles: Callable
    tile_shape: Callable
    edges: Callable
    sides: Callable


def _even_tiles(shape, n_tiles, tile_shape):
    if tile_shape is not None:
        return n_tiles_of_shape(shape, tile_shape)
    return n_tiles_within(shape, n_tiles)


def _even_tile_shape(shape, n_tiles):
    return tuple(side // n for side, n in zip(shape, n_tiles, strict=True))


def _even_edges(shape, n_tiles):
    return tuple(map(edges, shape, n_tiles))


def _equal_edges(shape, tile_shape):
    """Return the edges of tiles of one shape; the last tiles may end beyond the image."""
    sides = zip(shape, tile_shape, strict=True)
    return tuple(np.append(np.arange(0, side, t), side) for side, t in sides)


def _skimage_tiles(shape, n_tiles, tile_shape):
    return tile_shape or skimage_tile_shape(shape, n_tiles)


def _skimage_tile_shape(shape, tile_shape):
    return tile_shape


def _opencv_tiles(shape, n_tiles, tile_shape):
    return n_tiles


def _opencv_edges(shape, n_tiles):
    return _equal_edges(shape, opencv_tile_shape(shape, n_tiles))


@lru_cache(maxsize=16)
def _even_sides(shape, n_tiles):
    return tuple(map(side, as_volume(shape), as_volume(n_tiles)))


@lru_cache(maxsize=16)
def _skimage_sides(shape, tile_shape):
    return side(1, 1), *map(skimage_side, shape, tile_shape)


@lru_cache(maxsize=16)
def _opencv_sides(shape, n_tiles):
    return side(1, 1), *map(opencv_side, shape, n_tiles, opencv_tile_shape(shape, n_tiles))


EVEN = Tiling(_even_tiles, _even_tile_shape, _even_edges, _even_sides)
SKIMAGE = Tiling(_skimage_tiles, _skimage_tile_shape, _equal_edges, _skimage_sides)
OPENCV = Tiling(_opencv_tiles, opencv_tile_shape, _opencv_edges, _opencv_sides)
