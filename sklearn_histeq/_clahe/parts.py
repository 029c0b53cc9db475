"""What the kernels take: tiles and their centers of whole planes and of parts, and the clip limit.

Planes are volumes of one slice here, so that places are three slices.
"""

import math
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from .._arithmetic import output
from .._arithmetic.dtypes import single_or_double
from .._kernels import arrays, shared
from . import tiles
from .conventions import HISTEQ, OPENCV

NO_LIMIT = 2**31 - 1


class Tiles(NamedTuple):
    """The tiles that count pixels of a part.

    Attributes
    ----------
    touched : tuple of ndarrays
        Their numbers along each axis: layers, rows and columns.
    for_kernel : tuple
        Which pixels each counts, as the kernels take it.
    """

    touched: tuple[np.ndarray, ...]
    for_kernel: tuple[Any, ...]

    @property
    def n_rows(self):
        """The number of rows of tiles in all layers."""
        return len(self.touched[0]) * len(self.touched[1])


class Centers(NamedTuple):
    """Between which tiles' centers the pixels of a part lie.

    Attributes
    ----------
    first, last : tuples of ints
        The first and the last tile along each axis.
    columns : slice
        The columns of the tables of all tiles that are needed.
    for_kernel : tuple
        As the kernels take it, by numbers from the first tile and the first column on.
    """

    first: tuple[int, ...]
    last: tuple[int, ...]
    columns: slice
    for_kernel: tuple[Any, ...]


@lru_cache(maxsize=16)
def geometry_of_whole(tiling, shape, n_tiles):
    """Return the arrays of tiles and centers of whole planes of a shape."""
    sides, place = tiling.sides(shape, n_tiles), place_as_volume([slice(0, size) for size in shape])
    return tiles_in(sides, place).for_kernel, centers_in(sides, place).for_kernel


def place_as_volume(place):
    """Return three slices for those of a plane or a volume."""
    return (slice(0, 1),) * (3 - len(place)) + tuple(place)


def lanes_of(n_tiles):
    """Return how many tiles side by side have room in counts: a multiple of TILE_LANES."""
    return -(-n_tiles // shared.TILE_LANES) * shared.TILE_LANES


def tiles_in(sides, place, first=(0, 0, 0), last=(None, None, None)):
    """Return the tiles, perhaps only from a first to a last, that count pixels of a place."""
    touched, found = [], [np.array([p.stop - p.start for p in place], np.int32)]
    for side, own, begin, end in zip(sides, place, first, last, strict=True):
        end = side.n_tiles if end is None else end
        numbers, starts, pixels = _tiles_and_starts(side, own, begin, end)
        touched.append(numbers)
        found += [starts.astype(np.int32), pixels]
    return Tiles(tuple(touched), tuple(found))


def one_tile(shape):
    """Return one tile that holds all pixels of a part of a shape."""
    shape = tiles.as_volume(shape)
    sides = [(np.array([0, size], np.int32), None) for size in shape]
    found = np.array(shape, np.int32), *(each for side in sides for each in side)
    return Tiles((np.zeros(1, int),) * 3, found)


def _tiles_and_starts(side, place, first, last):
    """Return tiles along an axis, and where in their pixels, numbered within a place, each begins.

    Pixels that follow each other need no list: then it is None.
    """
    of_tile = np.repeat(np.arange(side.n_tiles), np.diff(side.starts))
    is_in = (side.pixels >= place.start) & (side.pixels < place.stop)
    is_in &= (of_tile >= first) & (of_tile <= last)
    pixels = (side.pixels[is_in] - place.start).astype(np.int32)
    counts = np.bincount(of_tile[is_in], minlength=side.n_tiles)
    touched = np.flatnonzero(counts)
    starts = np.append(0, counts[touched].cumsum())
    if (np.diff(pixels) == 1).all():
        return touched, starts + pixels[0], None
    return touched, starts, pixels


def centers_in(sides, place):
    """Return between which tiles' centers the pixels of a place lie."""
    first = [int(side.axis.lower[own].min()) for side, own in zip(sides, place, strict=True)]
    last = [int(side.axis.upper[own].max()) for side, own in zip(sides, place, strict=True)]
    found = []
    for side, own, begin in zip(sides[:2], place[:2], first[:2], strict=True):
        between = np.array([side.axis.lower[own], side.axis.upper[own]]) - begin
        found += [between.astype(np.int32), side.axis.fraction[own].astype(np.float64)]
    left, fraction = sides[2].left_tables[place[2]], sides[2].axis.fraction[place[2]]
    # the weight of what lies behind the last of the package's own tiles is 0
    columns = slice(int(left.min()), int(left.max()) + 2 if sides[2].repeats_outer else last[2] + 1)
    # weights of the tiles on both sides, exact as doubles
    shares = np.stack([fraction.dtype.type(1) - fraction, fraction], axis=1).astype(np.float64)
    found += [(left - columns.start).astype(np.int32), shares]
    return Centers(tuple(first), tuple(last), columns, tuple(found))


# The clip limit, and the type of the output -------------------------------------------------------


def kernel_limit(rule, shape, pixel):
    """Return the clip limit as the kernels take it: in pixels, but for "histeq"."""
    if rule.convention is HISTEQ:
        return np.inf if rule.clip_limit is None else float(rule.clip_limit)
    sides = rule.convention.tiling.sides(shape, rule.tiles)
    n_pixels = math.prod(int(side.starts[1]) for side in sides)
    most, per = (NO_LIMIT, arrays.N_LEVELS[pixel]) if rule.convention is OPENCV else (n_pixels, 1)
    if rule.clip_limit is None:
        return most
    return int(min(max(rule.clip_limit * n_pixels / per, 1), most))


def written(out_dtype, dtype, pixel, convention):
    """Return the type that a kernel writes for an output, and the largest value in this type.

    dtype is that of the images, pixel the type in which the kernel reads them.
    """
    if convention is OPENCV:
        return pixel, output.largest_level(pixel)
    return out_dtype if out_dtype in arrays.N_LEVELS else single_or_double(dtype), 1
