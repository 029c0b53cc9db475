"""Tiles and their centers as the kernels take them: of whole planes, and of parts of them.

Planes are volumes of one slice here, so that places are three slices.
"""

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from .._kernels import shared
from . import tiles


class Tiles(NamedTuple):
    """The tiles that count pixels of a part.

    Attributes
    ----------
    touched : tuple of ndarrays
        Their numbers along each axis: layers, rows and columns.
    arrays : tuple
        Which pixels each counts, as the kernels take it.
    """

    touched: tuple[np.ndarray, ...]
    arrays: tuple[Any, ...]

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
    arrays : tuple
        As the kernels take it, by numbers from the first tile and the first column on.
    """

    first: tuple[int, ...]
    last: tuple[int, ...]
    columns: slice
    arrays: tuple[Any, ...]


@lru_cache(maxsize=16)
def of_whole(tiling, shape, n_tiles):
    """Return the arrays of tiles and centers of whole planes of a shape."""
    sides, place = tiling.sides(shape, n_tiles), as_volume([slice(0, size) for size in shape])
    return tiles_in(sides, place).arrays, centers_in(sides, place).arrays


def as_volume(place):
    """Return three slices for those of a plane or a volume."""
    return (slice(0, 1),) * (3 - len(place)) + tuple(place)


def lanes_of(n_tiles):
    """Return how many tiles side by side have room in counts: a multiple of TILE_LANES."""
    return -(-n_tiles // shared.TILE_LANES) * shared.TILE_LANES


def tiles_in(sides, place, first=(0, 0, 0), last=(None, None, None)):
    """Return the tiles, perhaps only from a first to a last, that count pixels of a place."""
    touched, arrays = [], [np.array([p.stop - p.start for p in place], np.int32)]
    for side, own, begin, end in zip(sides, place, first, last, strict=True):
        numbers, starts, pixels = _counted(side, own, begin, side.n_tiles if end is None else end)
        touched.append(numbers)
        arrays += [starts.astype(np.int32), pixels]
    return Tiles(tuple(touched), tuple(arrays))


def one_tile(shape):
    """Return one tile that holds all pixels of a part of a shape."""
    shape = tiles.as_volume(shape)
    sides = [(np.array([0, size], np.int32), None) for size in shape]
    arrays = np.array(shape, np.int32), *(each for side in sides for each in side)
    return Tiles((np.zeros(1, int),) * 3, arrays)


def _counted(side, place, first, last):
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
    arrays = []
    for side, own, begin in zip(sides[:2], place[:2], first[:2], strict=True):
        between = np.array([side.axis.lower[own], side.axis.upper[own]]) - begin
        arrays += [between.astype(np.int32), side.axis.fraction[own].astype(np.float64)]
    places, fraction = sides[2].places[place[2]], sides[2].axis.fraction[place[2]]
    # the weight of what lies behind the last of the package's own tiles is 0
    columns = slice(
        int(places.min()), int(places.max()) + 2 if sides[2].repeats_outer else last[2] + 1
    )
    # weights of the tiles on both sides, exact as doubles
    shares = np.stack([fraction.dtype.type(1) - fraction, fraction], axis=1).astype(np.float64)
    arrays += [(places - columns.start).astype(np.int32), shares]
    return Centers(tuple(first), tuple(last), columns, tuple(arrays))
