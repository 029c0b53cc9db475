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

from ._arithmetic import namespaces, output
from ._arithmetic.color_modes import follow
from ._arithmetic.status import EMPTY, has_any, joined


class Part(NamedTuple):
    """A part of planes (n, c, *spatial), all of which are cut alike.

    Attributes
    ----------
    planes, mask : ndarrays of shape (n, c, *spatial) and (n, *spatial)
        The part. To be written, it comes with the pixels around it that are in reach, cut at the
        border of the whole plane. The mask may be None.
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
    image_dtype : dtype
        That of the images, from whose colours the planes may be reduced.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    out_dtype: np.dtype
    is_masked: bool
    image_dtype: Any = None


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
    write : callable, or None where nothing is written
        write(found, part) writes the part's output, and returns the planes' status (n, c). The
        statuses of all parts are joined by "or".
    reach : tuple of ints
        How far around its own pixels `write` has to see, along each spatial axis; (): not at all.
        What is read of a part is that of its own pixels.
    """

    reads: tuple[Read, ...]
    write: Callable[..., Any] | None
    reach: tuple[int, ...] = ()


class Summed(NamedTuple):
    """What a pass finds whose results are sums over pixels: total, and the planes' status."""

    total: Any
    status: Any = None


def summing(function, add):
    """Return the passes that add function(planes, mask), a result and the status, over parts."""
    read = Read(partial(_count, function), partial(_add_counted, add), _summed)
    return Passes((read,), None)


def keeping(is_masked):
    """Return the passes that write parts as they are; the one that reads is for a mask."""
    reads = (Read(_status_of, joined, Summed, "mask"),) if is_masked else ()
    return Passes(reads, partial(write_part, output.keep))


def _status_of(_, part):
    """Return the status of a part of planes: EMPTY where no pixel counts."""
    counted = np.broadcast_to(part.mask[:, np.newaxis], part.planes.shape)
    if part.planes.dtype.kind == "f":
        counted = counted & ~np.isnan(part.planes)
    return (EMPTY * ~has_any(counted)).astype(np.uint8)


def write_part(function, _, part):
    """Write a part by function(planes, mask, out, map_parts), which asks for nothing but pixels."""
    return function(part.planes, None, part.out, map)


def _count(function, _, part):
    """Return a result and the status of a part."""
    return function(part.planes, part.mask)


def _add_counted(add, a, b):
    """Return the results and statuses of two parts together."""
    return add(a[0], b[0]), joined(a[1], b[1])


def _summed(_, counted):
    """Return the result and the status of all parts."""
    return Summed(*counted)


def in_passes(passes, parts, map_parts):
    """Do passes over the parts of planes; return the planes' status."""
    found, own = None, [own_pixels(part) for part in parts] if passes.reach else parts
    for read, add, find, _ in passes.reads:
        found = find(found, reduce(add, map_parts(partial(read, found), own)))
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


def around(place, shape, reach):
    """Return a place with what is in reach on every side, cut at the border of the whole plane."""
    if not reach:
        return place
    sides = zip(place, shape, reach, strict=True)
    return tuple(
        [slice(max(0, own.start - far), min(size, own.stop + far)) for own, size, far in sides]
    )


def relative_to(outer, place):
    """Return a place as slices of what lies at an outer place."""
    pairs = zip(outer, place, strict=True)
    return tuple([slice(own.start - o.start, own.stop - o.start) for o, own in pairs])


def own_pixels(part):
    """Return a part without the pixels around it."""
    return divided(part, None)[0]


def divided(part, n_pixels):
    """Return a part in smaller ones of about so many pixels, without the pixels around it."""
    planes, mask, out, place, outer = part
    parts = []
    for inner in part_places([own.stop - own.start for own in place], n_pixels):
        pairs = list(zip(inner, place, strict=True))
        at = tuple(slice(own.start + i.start, own.start + i.stop) for i, own in pairs)
        seen = relative_to(outer, at)
        counted = None if mask is None else mask[:, *seen]
        written = None if out is None else out[:, :, *inner]
        parts.append(Part(planes[:, :, *seen], counted, written, at, at))
    return parts


def cut(planes, mask, out, places, reach=()):
    """Return the parts of planes at some places, with what is in reach around them."""
    parts = []
    for place in places:
        outer = around(place, planes.shape[2:], reach)
        counted = None if mask is None else mask[:, *outer]
        written = None if out is None else out[:, :, *place]
        parts.append(Part(planes[:, :, *outer], counted, written, place, outer))
    return parts


def below_each_other(volumes):
    """Return volumes (..., d, h, w), or their masks, as planes (..., d * h, w) of all slices.

    This is a view where a slice begins as many bytes behind the last one as it has rows, as in
    every C-ordered array, with its channels first or last. Other volumes are copied.
    """
    *outer, depth, height, width = volumes.shape
    return namespaces.namespace(volumes).reshape(volumes, (*outer, depth * height, width))


def slices_of_part(part):
    """Return a part of volumes as one of planes of all slices below each other."""
    mask, out = (None if each is None else below_each_other(each) for each in part[1:3])
    return part._replace(planes=below_each_other(part.planes), mask=mask, out=out)


# Colours ------------------------------------------------------------------------------------------


def of_colors(passes, of_engine, mode, stored):
    """Return passes over one plane of colours, which the colours follow.

    of_engine(mode, planes) returns the mode of an engine; `stored` is the `output.Stored` of mapped
    planes.
    """
    reduced = partial(_reduced, of_engine, mode)
    reads = tuple(
        each._replace(
            read=partial(_read_colors, reduced, each.read),
            add=partial(_add_counted, each.add),
            find=partial(_find_of_colors, each.find),
        )
        for each in passes.reads
    )
    write = partial(_write_colors, reduced, passes.write, partial(of_engine, mode), stored)
    return passes._replace(reads=reads, write=write)


def _reduced(of_engine, mode, planes):
    """Return one plane of colours (n, 1, *spatial), and the planes' status."""
    n, _, *spatial = planes.shape
    planes = below_each_other(planes) if len(spatial) > 2 else planes
    plane, status = of_engine(mode, planes).plane_of(planes)
    return plane.reshape(n, 1, *spatial), status


def _read_colors(reduced, read, found, part):
    """Return what is read of one plane of colours, and its status."""
    plane, status = reduced(part.planes)
    return read(found, part._replace(planes=plane)), status


def _find_of_colors(find, found, total):
    """Return what is found; its status says also what was found in colours."""
    result, status = find(found, total[0]), total[1]
    has_status = getattr(result, "status", None) is not None
    return result._replace(status=result.status | status) if has_status else result


def _write_colors(reduced, write, of_engine, stored, found, part):
    """Write the colours for a part of a plane; return the planes' status."""
    plane, status = reduced(part.planes)
    out = part.out
    mapped = np.empty((len(out), 1, *out.shape[2:]), stored.dtype)
    status = status | write(found, part._replace(planes=plane, out=mapped))
    arrays = [part.planes, plane]
    if part.place != part.outer:
        arrays = [own_pixels(part._replace(planes=each, mask=None)).planes for each in arrays]
    planes, plane, mapped, out = (
        below_each_other(each) if each.ndim > 4 else each for each in (*arrays, mapped, out)
    )
    follow(of_engine(planes), planes, plane, mapped, out, stored)
    return status
