"""The compiled engine's landmarks: percentiles of planes, and planes mapped by straight lines."""

from functools import partial, reduce
from typing import NamedTuple

import numpy as np

from .._arithmetic.dtypes import single_or_double
from .._arithmetic.status import EMPTY, INF
from .._equalize.compiled import add_each, count_each
from .._kernels import arrays, shared
from .._kernels.arrays import FLOAT64, rows
from .._passes import Passes, Read, Summed, cut, part_places
from . import definition, kernels
from .compiled_passes import NEEDS_ORDER, percentiles_of
from .landmarks import flat, own_of, places_of, segments_of, shares_with_ends
from .large import ranges_of_values


def _pixel_dtype(dtype):
    """Return the type in which kernels read pixels, integers of more than two bytes as doubles."""
    return arrays.pixel_dtype(dtype) or FLOAT64


# Mapping ------------------------------------------------------------------------------------------


def landmarks(planes, mask, out, scale, map_parts=map):
    """Map each plane by its landmarks; see `definition.landmarks`."""
    if planes[0, 0].size > arrays.MOST_PIXELS:
        return definition.landmarks(planes, mask, out, scale)
    own, status = percentiles(planes, mask, scale.percentages, map_parts)
    lines = _lines_of(own, scale)
    if planes[0, 0].size <= arrays.N_PART:
        _map_by_lines(planes, out, lines, own.units)
    else:
        for index, (plane, _, written) in arrays.single_planes(planes, None, out, status + 1):
            map_part = partial(_map_part, plane, written, lines[index], own.units[index])
            list(map_parts(map_part, part_places(plane.shape[2:], arrays.N_PART)))
    arrays.fill_unmapped(out, status)
    return status


def _lines_of(own, scale):
    """Return the lines (n, c, 3, n_points) that map the landmarks of planes to the scale."""
    n, n_channels, n_points = own.values.shape
    values = np.tile(scale.values, (n, 1))
    lines = _padded(segments_of(own.values.reshape(-1, n_points), values))
    return lines.reshape(n, n_channels, 3, -1)


def _padded(lines):
    """Return lines (n, 3, k) with infinite points behind them, up to a power of two."""
    n, _, n_points = lines.shape
    padded = np.zeros((n, 3, 1 << (n_points - 1).bit_length()))
    padded[:, 0] = np.inf
    padded[:, :, :n_points] = lines
    return padded


def _map_part(plane, out, lines, units, place):
    """Map a part of one plane."""
    _map_by_lines(plane[..., *place], out[..., *place], lines, units)


def _map_by_lines(planes, out, lines, units):
    """Map planes by the lines (n, c, 3, n_points) of each."""
    pixel = _pixel_dtype(planes.dtype)
    zero = arrays.sign_bit(planes.dtype) if pixel.kind == "u" else 0
    for block in arrays.image_slices(planes, arrays.is_copied(planes, pixel, out)):
        pixels = rows(arrays.as_pixels(planes[block], pixel))
        written = arrays.writable(out[block], single_or_double(planes.dtype))
        of_block = lines[block].reshape(-1, lines.shape[-1])
        kernels.map_by_lines(pixels, rows(written), of_block, units[block].reshape(-1), zero)
        arrays.write_back(written, out[block], None)


# In passes over parts, by the counts of levels ----------------------------------------------------


class Lines(NamedTuple):
    """The lines of planes (n, c, 3, n_points), the units of their pixels, and their status."""

    lines: np.ndarray
    units: np.ndarray
    status: np.ndarray


def landmark_passes(whole, scale):
    """Return the `Passes` that map parts of planes by landmarks, or why these must be whole."""
    if whole.dtype.kind == "f":
        return NEEDS_ORDER
    find = partial(_find_lines, scale, whole.is_masked)
    return Passes((Read(count_each, add_each, find),), _write_by_lines)


def sum_passes(whole, percentages, summed):
    """Return the passes that find summed(landmarks) of planes, or why there are none."""
    if whole.dtype.kind == "f":
        return NEEDS_ORDER
    find = partial(_find_landmarks, percentages, whole.is_masked, summed)
    return Passes((Read(count_each, add_each, find),), None)


def _find_lines(scale, is_masked, _, found):
    """Return the lines by which planes are mapped, from their levels."""
    own, status = percentiles_of(found, scale.percentages, is_masked)
    return Lines(_lines_of(own, scale), own.units, status)


def _write_by_lines(found, part):
    """Map a part of planes; return the planes' status."""
    _map_by_lines(part.planes, part.out, found.lines, found.units)
    return found.status


def _find_landmarks(percentages, is_masked, summed, _, found):
    """Return the sums of the landmarks of planes, from their levels."""
    own, status = percentiles_of(found, percentages, is_masked)
    return Summed(summed(own.values), status)


# Percentiles --------------------------------------------------------------------------------------


def percentiles(planes, mask, percentages, map_parts=map):
    """Return the landmarks of planes, and their status; see `definition.percentiles`."""
    n_pixels = planes[0, 0].size
    if n_pixels > arrays.MOST_PIXELS:
        return definition.percentiles(planes, mask, percentages)
    shares, shape = shares_with_ends(percentages), planes.shape[:2]
    status, n_counted = np.zeros(shape, np.uint8), np.zeros(shape)
    found = np.zeros((*shape, 2, shares.size))
    if n_pixels > arrays.N_PART:
        for index, (plane, counted, _) in arrays.single_planes(planes, mask, planes, status + 1):
            state = status[index], n_counted[index], found[index]
            _find_in_large(plane, counted, shares, state, map_parts)
    else:
        _find(planes, mask, shares, (status, n_counted, found))
    if _pixel_dtype(planes.dtype).kind == "u":
        found -= arrays.sign_bit(planes.dtype)
    found[status & (EMPTY | INF) > 0] = np.nan
    below, above = found[:, :, 0], found[:, :, 1]
    own = own_of(below, above, places_of(shares, n_counted))
    return own, status | flat(own.values, below[..., 0], above[..., -1], mask is not None)


def _find(planes, mask, shares, state):
    """Set the status of planes, how many pixels count, and the neighbours of shares."""
    pixel = _pixel_dtype(planes.dtype)
    is_copied = not arrays.is_kernel_ready(planes, pixel)
    for block in arrays.image_slices(planes, is_copied):
        counted = None if mask is None else mask[block]
        status, n_counted, found = (array[block] for array in state)
        kernels.find_neighbours_of_shares(
            rows(arrays.as_pixels(planes[block], pixel)),
            arrays.mask_rows(counted),
            status.reshape(-1),
            shares,
            n_counted.reshape(-1),
            found.reshape(-1, 2 * shares.size),
        )


def _find_in_large(plane, mask, shares, state, map_parts):
    """Do what `_find` does for one large plane, in parts that threads may share."""
    status, n_counted, found = state
    pixel = _pixel_dtype(plane.dtype)
    if pixel.kind == "u":
        parts = cut(plane, mask, plane, part_places(plane.shape[2:], arrays.N_PART))
        ((levels,),) = reduce(add_each, map_parts(partial(count_each, None), parts))
        ends = levels.counts.cumsum()
        status[...] = EMPTY * (ends.size == 0)
        if status:
            return
        levels = levels.levels.astype(np.float64) + arrays.sign_bit(plane.dtype)

        def at(places):
            return levels[np.searchsorted(ends, places, side="right")]

    else:
        pixels, counted = arrays.as_pixels(plane, pixel).reshape(1, -1), arrays.mask_rows(mask)
        shared.find_ranges(pixels, counted, status[0], *np.empty((2, 1)))
        if status & (EMPTY | INF):
            return
        pixels = pixels[0] if mask is None else pixels[counted > 0]
        _, ranges, counts = ranges_of_values(pixels, pixel, map_parts)
        ends = counts.cumsum()
        at = partial(_pixels_at, pixels, ranges, ends, map_parts)
    n_counted[...] = ends[-1]
    places = places_of(shares, n_counted[0, 0])
    places = np.concatenate([np.floor(places), np.ceil(places)])
    found[0, 0] = at(places.astype(np.intp)).reshape(2, -1)


def _pixels_at(pixels, ranges, ends, map_parts, places):
    """Return the pixels at places in their order, of which each range of values ends at one."""
    found, range_of = np.empty(places.size), np.searchsorted(ends, places, side="right")

    def find(k):
        own = places[range_of == k] - (ends[k - 1] if k else 0)
        found[range_of == k] = np.partition(pixels[ranges == k], own)[own]

    list(map_parts(find, np.unique(range_of)))
    return found
