"""Planes as rows of pixels, and operations that the array API lacks, for `devices`.

A row is a plane, or all planes of a channel. `index` arrays are int64 and shaped like the pixels.
"""

from typing import Any, NamedTuple

import numpy as np

from . import namespaces, output
from .status import EMPTY, INF, has_any, of_values


class Rows(NamedTuple):
    """Planes (n, c, *spatial) as rows of pixels, (n * c, n_pixels).

    Attributes
    ----------
    pixels : array
        Integers in the order of their intensities: int64 for unsigned ones, of which uint64 are
        moved; bool as uint8; floats in single or double precision.
    counted : array of bool, or None
        Which pixels count; None: all.
    dtype : dtype of NumPy
        That of the planes.
    status : ndarray of shape (n, c), uint8
        Bits NAN, INF and EMPTY of each plane.
    """

    pixels: Any
    counted: Any
    dtype: np.dtype
    status: np.ndarray

    @property
    def xp(self):
        """The functions of the array API for these rows."""
        return namespaces.namespace(self.pixels)

    def is_counted(self):
        """Return which pixels count, as an array in any case."""
        if self.counted is None:
            return self.pixels == self.pixels
        return self.counted

    def take(self, index):
        """Return some of the rows, by an array of NumPy; the status stays that of all."""
        counted = None if self.counted is None else take_rows(self.counted, index)
        return self._replace(pixels=take_rows(self.pixels, index), counted=counted)


def rows_of(planes, mask):
    """Return planes (n, c, *spatial) as rows, and which pixels count by a mask (n, *spatial)."""
    xp, dtype = namespaces.namespace(planes), namespaces.dtype_of(planes)
    pixels = namespaces.astype(planes, np.float32) if dtype == np.float16 else planes
    pixels = namespaces.astype(pixels, np.uint8) if dtype == np.bool_ else pixels
    if dtype.byteorder == ">":
        pixels = namespaces.astype(pixels, pixels.dtype.newbyteorder("="))
    counted = None
    if mask is not None:
        counted = xp.broadcast_to(xp.expand_dims(mask, axis=1), planes.shape)
    if dtype.kind == "f":
        present = ~xp.isnan(planes)
        counted = present if counted is None else counted & present
    n_axes = planes.ndim - 2
    status = of_values(planes, n_axes)
    if counted is not None:
        status |= np.uint8(EMPTY) * ~has_any(counted, n_axes)
        counted = as_rows(counted)
    return Rows(as_rows(namespaces.as_signed(pixels)), counted, dtype, status)


def as_rows(planes):
    """Return planes (n, c, *spatial) as rows (n * c, n_pixels)."""
    n, c, *spatial = planes.shape
    return namespaces.namespace(planes).reshape(planes, (n * c, int(np.prod(spatial))))


def write_rows(values, rows, own_dtype, out, store):
    """Write the values of rows into out by store(values, out), first brought to the own dtype.

    Missing pixels become NaN, and so do planes with an infinity or without a counted pixel.
    """
    xp = rows.xp
    if namespaces.dtype_of(values).kind == "f" and rows.dtype.kind == "f":
        values = xp.where(xp.isnan(rows.pixels), xp.nan, values)
    store(xp.reshape(namespaces.astype(values, own_dtype), out.shape), out)
    is_lost = (rows.status & (EMPTY | INF) > 0).reshape(*out.shape[:2], *(1,) * (out.ndim - 2))
    if is_lost.any():
        dtype = namespaces.dtype_of(out)
        filler = np.array(np.nan if dtype.kind == "f" else 0, dtype)
        is_lost, filler = (namespaces.asarray(array, out) for array in (is_lost, filler))
        out[...] = xp.where(is_lost, filler, out)


def as_doubles(rows, planes):
    """Return the pixels of rows as doubles, integers as the doubles that are nearest to them."""
    if rows.dtype.kind == "f":
        return namespaces.astype(rows.pixels, np.float64)
    return namespaces.astype(as_rows(planes), np.float64)


def number_of(counted):
    """Return how many pixels count in each row, as a column (n_rows, 1) of int64."""
    xp = namespaces.namespace(counted)
    return xp.sum(namespaces.astype(counted, np.int64), axis=1, keepdims=True)


def take_rows(array, index):
    """Return some rows, by an array of NumPy."""
    xp = namespaces.namespace(array)
    return xp.take(array, namespaces.asarray(index.astype(np.int64), array), axis=0)


def chosen_of(pixels, chosen):
    """Return the chosen pixels, one after the other; some libraries have no boolean index."""
    try:
        return pixels[chosen]
    except RuntimeError:
        xp, places = namespaces.namespace(pixels), np.flatnonzero(namespaces.to_numpy(chosen))
        return xp.take(xp.reshape(pixels, (-1,)), namespaces.asarray(places, pixels))


def put_together(parts, indices):
    """Return rows in their order from parts that hold the rows of each of some indices."""
    if len(parts) == 1:
        return parts[0]
    joined = namespaces.namespace(parts[0]).concat(parts, axis=0)
    return take_rows(joined, np.concatenate(indices).argsort())


def gather(table, index):
    """Return the entries of each row of a table at the places of an index."""
    return namespaces.namespace(table).take_along_axis(table, index, axis=1)


def counts_of(index, counted, n_bins):
    """Return how often each of n_bins numbers stands in each row, where it is counted."""
    xp, n_rows = namespaces.namespace(index), index.shape[0]
    first = namespaces.asarray(np.arange(n_rows, dtype=np.int64)[:, np.newaxis] * n_bins, index)
    index, n_all = index + first, n_rows * n_bins
    if counted is not None:
        index = xp.where(counted, index, n_all)
    index = xp.reshape(index, (-1,))
    if hasattr(xp, "bincount"):
        counts = xp.bincount(index, minlength=n_all + 1)
    else:
        places = namespaces.asarray(np.arange(n_all + 2), index)
        counts = xp.diff(xp.searchsorted(xp.sort(index), places))
    return xp.reshape(counts[:n_all], (n_rows, n_bins))


def cumulated(counts):
    """Return the cumulated counts of each row."""
    xp = namespaces.namespace(counts)
    # NumPy has it under this name since 2.1
    return xp.cumulative_sum(counts, axis=1) if hasattr(xp, "cumulative_sum") else counts.cumsum(1)


def at_or_below(points, values):
    """Return the index of the last point <= each value, row by row; -1 if there is none.

    Points increase, or stay, along each row. Of NaN the place has no meaning, but is one.
    """
    return _search(points, values, "right") - 1


def first_at_or_above(points, values):
    """Return the index of the first point >= each value, row by row."""
    return _search(points, values, "left")


def _search(points, values, side):
    """Return numpy.searchsorted of each row."""
    xp, n_points = namespaces.namespace(points), points.shape[1]
    if xp.__name__.endswith(".torch"):  # whose searchsorted takes many rows
        return xp.searchsorted(points.contiguous(), values.contiguous(), side=side)
    found = namespaces.zeros(values.shape, np.int64, values)
    step = 1 << n_points.bit_length()
    while step := step >> 1:
        trial = found + step  # whether so many points lie before the value
        point = gather(points, xp.clip(trial - 1, 0, n_points - 1))
        is_before = point <= values if side == "right" else point < values
        found = xp.where((trial <= n_points) & is_before, trial, found)
    return found


def sorted_counted(rows):
    """Return the counted pixels of each row in order, with the largest value behind them."""
    if rows.counted is None:
        return rows.xp.sort(rows.pixels, axis=1)
    dtype = namespaces.dtype_of(rows.pixels)
    largest = np.inf if dtype.kind == "f" else output.largest_level(dtype)
    return rows.xp.sort(rows.xp.where(rows.counted, rows.pixels, largest), axis=1)


def ranges_of(rows):
    """Return the least and the largest counted pixel of each row, as arrays of NumPy (n_rows,).

    Of rows without a counted pixel both are 0.
    """
    xp, pixels = rows.xp, rows.pixels
    if rows.counted is None:
        found = xp.min(pixels, axis=1), xp.max(pixels, axis=1)
    else:
        dtype = namespaces.dtype_of(pixels)
        least, largest = -np.inf, np.inf
        if dtype.kind != "f":
            least, largest = output.smallest_level(dtype), output.largest_level(dtype)
        found = (
            xp.min(xp.where(rows.counted, pixels, largest), axis=1),
            xp.max(xp.where(rows.counted, pixels, least), axis=1),
        )
    low, high = (np.array(namespaces.to_numpy(limit)) for limit in found)
    is_empty = low > high
    low[is_empty], high[is_empty] = 0, 0
    return low, high


def clipped(pixels, low, high):
    """Return pixels brought into [low, high], which are arrays; NaN stays."""
    xp = namespaces.namespace(pixels)
    pixels = xp.where(pixels < low, low, pixels)
    return xp.where(pixels > high, high, pixels)


# Interpolation ------------------------------------------------------------------------------------


def interpolate(points, values, x):
    """Return numpy.interp(x, points, values), row by row, in double precision.

    Parameters
    ----------
    points, values : arrays of shape (n_rows, n_points), float64
        Points increase. Behind them they may be infinite, with the last value.
    x : array of shape (n_rows, n_pixels), float64
    """
    xp, last = namespaces.namespace(points), points.shape[1] - 1
    index = at_or_below(points, x)
    below = xp.clip(index, 0, last)
    if last == 0:
        return gather(values, below)
    above = xp.clip(below + 1, 0, last)
    places = gather(points, below), gather(points, above)
    values = gather(values, below), gather(values, above)
    is_outside = (index < 0) | (index >= last)
    return xp.where(is_outside, values[0], between(x, places, values))


def between(x, points, values):
    """Return the values at x, between pairs of points and their values, as numpy.interp."""
    xp = namespaces.namespace(x)
    slope = (values[1] - values[0]) / (points[1] - points[0])
    found = slope * (x - points[0]) + values[0]
    # where differences overflow, numpy.interp starts from the other point
    from_above = slope * (x - points[1]) + values[1]
    from_above = xp.where(xp.isnan(from_above) & (values[0] == values[1]), values[0], from_above)
    found = xp.where(xp.isnan(found), from_above, found)
    return xp.where(x == points[0], values[0], found)


def or_lower(found, lower, x):
    """Return what was found, or the lower point's value where slopes overflow; see `transfer`."""
    xp = namespaces.namespace(found)
    return xp.where(~xp.isfinite(found) & xp.isfinite(x), lower, found)
