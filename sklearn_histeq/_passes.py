"""A large plane in passes over its parts: parts of an array in memory, or chunks of a dask array.

Each pass reads something of every part (a range, counts), which adds up to that of the plane, and
makes of the sum what the next pass needs (bins, tables). The last pass writes each part. A method
gives the functions of one part; who calls them, and in which order, is decided elsewhere.
"""

import math
from collections.abc import Callable
from functools import partial, reduce
from typing import Any, NamedTuple

import numpy as np


class Part(NamedTuple):
    """A part of planes (n, c, *spatial), all of which are cut alike.

    Attributes
    ----------
    planes, mask : ndarrays of shape (n, c, *spatial) and (n, *spatial)
        The part, with the pixels around it that are in reach, cut at the border of the whole
        plane. The mask may be None.
    out : ndarray of shape (n, c, *spatial), or None
        The output for the part alone; None in a pass that reads.
    place : tuple of slices
        Where the part lies in the whole plane, with a start and a stop for each spatial axis.
    outer : tuple of slices
        Where `planes` lies: as `place`, or further out where pixels are in reach.
    """

    planes: Any
    mask: Any
    out: Any
    place: tuple[slice, ...]
    outer: tuple[slice, ...]


class Whole(NamedTuple):
    """What is known of whole planes before a pixel is read.

    Attributes
    ----------
    shape : tuple of ints
        Their spatial shape.
    dtype, out_dtype : dtypes
        Those of the planes that are mapped, and of the arrays that they are mapped into: of colours
        the plane that is reduced from them, and the one by which the colours follow.
    is_masked : bool
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    out_dtype: np.dtype
    is_masked: bool


class Read(NamedTuple):
    """A pass that reads planes.

    All three are functions of modules, perhaps with arguments bound by partial: dask pickles them.

    Attributes
    ----------
    read : callable
        read(found, part) returns something of a part. `found` is what the pass before has found,
        at first None.
    add : callable
        add(a, b) returns that of two parts together: exactly, in any order.
    find : callable
        find(found, total) returns what the next pass needs, from that of all parts. It may have an
        attribute `status`, of shape (n, c): what is known of whole planes.
    name : str
        What progress bars call the pass.
    """

    read: Callable[..., Any]
    add: Callable[..., Any]
    find: Callable[..., Any]
    name: str = "counts"


class Passes(NamedTuple):
    """A large plane, in passes over its parts.

    Attributes
    ----------
    reads : sequence of Read
    write : callable
        write(found, part) writes the part's output, and returns the planes' status (n, c). The
        statuses of all parts are joined by "or".
    reach : tuple of ints
        How far around its own pixels a part has to see, along each spatial axis; (): not at all.
    """

    reads: tuple[Read, ...]
    write: Callable[..., Any]
    reach: tuple[int, ...] = ()


def in_passes(passes, parts, map_parts):
    """Do passes over the parts of planes; return the planes' status."""
    found = None
    for read, add, find, _ in passes.reads:
        found = find(found, reduce(add, map_parts(partial(read, found), parts)))
    return reduce(np.bitwise_or, map_parts(partial(passes.write, found), parts))


# Where parts lie ----------------------------------------------------------------------------------


def part_places(shape, n_pixels=None, by_rows=False):
    """Return places that cut planes of a spatial shape into parts of about so many pixels.

    Planes are cut between rows, or slices; those of one row between columns, unless by_rows is
    True. n_pixels=None: one part.
    """
    axis = 0 if shape[0] > 1 or by_rows else 1
    size, whole = shape[axis], [slice(0, length) for length in shape]
    step = max(1, size if n_pixels is None else n_pixels * size // max(1, math.prod(shape)))
    parts = [slice(start, min(start + step, size)) for start in range(0, size, step)]
    return [(*whole[:axis], part, *whole[axis + 1 :]) for part in parts]


def row_places(planes, n_pixels, map_parts, n_copied=0):
    """Return places of rows for each thread if threads share one plane, else of all rows.

    Those of a single thread are of about n_copied pixels, unless that is 0.
    """
    if map_parts is map or planes.shape[0] * planes.shape[1] > 1:
        n_pixels = max(n_pixels, n_copied) if n_copied else None
    return part_places(planes.shape[2:], n_pixels, by_rows=True)


def around(place, shape, reach):
    """Return a place with what is in reach on every side, cut at the border of the whole plane."""
    if not reach:
        return place
    sides = zip(place, shape, reach, strict=True)
    return tuple(
        slice(max(0, own.start - radius), min(size, own.stop + radius))
        for own, size, radius in sides
    )


def cut(planes, mask, out, places, reach=()):
    """Return the parts of planes at some places, with what is in reach around them."""
    parts = []
    for place in places:
        outer = around(place, planes.shape[2:], reach)
        counted = None if mask is None else mask[:, *outer]
        written = None if out is None else out[:, :, *place]
        parts.append(Part(planes[:, :, *outer], counted, written, place, outer))
    return parts
