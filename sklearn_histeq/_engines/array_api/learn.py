"""What scope="dataset" counts in blocks of planes, and how learned transfer functions are applied.

Here a row holds all planes of a channel.
"""

from functools import partial

import numpy as np

from ..._arithmetic import counts as counting
from ..._arithmetic import namespaces, output, transfer
from . import rows as _rows
from .bins import bin_numbers
from .interpolation import interpolate, or_lower
from .rows import at_or_below, gather


@np.errstate(all="ignore")
def count_levels(planes, mask):
    """Return the `counts.Levels` of each channel's counted pixels, and the planes' status."""
    return _count(planes, mask, lambda row, channel: _levels_of(row))


@np.errstate(all="ignore")
def count_lattice(planes, mask):
    """Return the `counts.Lattice` of each channel's counted floats, and the planes' status."""
    return _count(planes, mask, lambda row, channel: _lattice_of(row))


@np.errstate(all="ignore")
def count_bins(planes, mask, edges):
    """Return each channel's counts over its edges, and the planes' status; 0 without edges."""

    def count(row, channel):
        of_channel = edges[channel]
        if of_channel is None:
            return 0
        if not row.pixels.shape[1]:
            return np.zeros(len(of_channel) - 1, np.int64)
        numbers = bin_numbers(row, of_channel[np.newaxis])
        return namespaces.to_numpy(_rows.counts_of(numbers, None, len(of_channel) - 1))[0]

    return _count(planes, mask, count)


def _count(planes, mask, count):
    """Return count(row, channel) of each channel's finite counted pixels, and the status."""
    rows = _rows.read(planes, mask)
    xp, n_channels = rows.xp, planes.shape[1]
    counted = rows.is_counted()
    if rows.dtype.kind == "f":
        counted = counted & ~xp.isinf(rows.pixels)
    is_all = not rows.status.any() and rows.counted is None
    found = []
    for channel in range(n_channels):
        pixels = rows.pixels[channel::n_channels, :]
        pixels = xp.reshape(pixels, (-1,)) if is_all else pixels[counted[channel::n_channels, :]]
        row = rows._replace(pixels=xp.expand_dims(pixels, axis=0), counted=None)
        found.append(count(row, channel))
    return found, rows.status


def _levels_of(row):
    """Return the exact counts of a row's distinct values."""
    levels, counts = row.xp.unique_counts(row.pixels[0, :])
    if row.dtype.kind == "u":
        levels = namespaces.from_signed(levels, row.dtype)
    levels, counts = namespaces.to_numpy(levels), namespaces.to_numpy(counts)
    return counting.merge(levels, counts)


def _lattice_of(row):
    """Return the counts of a row's floats in the finest lattice that holds them, or None."""
    if not row.pixels.shape[1]:
        return None
    low, high = (float(limit[0]) for limit in _rows.ranges_of(row))
    start, exponent = counting.fit_lattice(low, high)
    values = namespaces.astype(row.pixels, np.float64)
    # in two steps, neither of which overflows; what the first rounds is nearer to 0 than to a bin
    half = -exponent // 2
    index = row.xp.floor(values * 2.0**half * 2.0 ** (-exponent - half))
    index = row.xp.where(values < 0, row.xp.where(index < -1, index, -1.0), index)
    numbers = namespaces.astype(index, np.int64) - start
    counts = _rows.counts_of(numbers, None, counting.N_FINE)
    return counting.Lattice(namespaces.to_numpy(counts)[0], start, exponent, low, high)


@np.errstate(all="ignore")
def apply(planes, mask, out, transfers, convention):
    """Map each plane by the learned transfer function of its channel; see `reference.apply`."""
    rows = _rows.read(planes, mask)
    values = _by_channel(rows, planes, [partial(_map, found) for found in transfers])
    store = partial(output.store, output_max=convention.output_max)
    _rows.write(values, rows, convention.default_output_dtype(rows.dtype), out, store)
    return rows.status


@np.errstate(all="ignore")
def invert(planes, out, transfers, output_max):
    """Map equalized planes back by each channel's transfer function; see `reference.invert`."""
    rows = _rows.read(planes, None)
    scale = None if rows.dtype.kind == "f" else (output.largest_level(rows.dtype), output_max)
    values = _by_channel(rows, planes, [partial(_map_back, found, scale) for found in transfers])
    _rows.write(values, rows, namespaces.dtype_of(out), out, output.saturate)
    return rows.status


def _by_channel(rows, planes, functions):
    """Return function(row, doubles) of each channel, put together as rows of planes."""
    xp, n_channels = rows.xp, len(functions)
    doubles, shape = _rows.as_doubles(rows, planes), rows.pixels.shape
    found = []
    for channel, function in enumerate(functions):
        row, of_row = (
            xp.reshape(pixels[channel::n_channels, :], (1, -1)) for pixels in (rows.pixels, doubles)
        )
        found.append(xp.reshape(function(row, of_row), (-1, shape[1])))
    return xp.reshape(xp.stack(found, axis=1), shape)


def _map(found, row, doubles):
    """Return the values of one transfer function at a row of pixels; see `transfer.apply`."""
    points, values = (namespaces.asarray(array[np.newaxis], row) for array in found[:2])
    if found.is_step:
        return _at_or_below(namespaces.as_signed(points), values, row)
    points, values = (namespaces.astype(array, np.float64) for array in (points, values))
    mapped = interpolate(points, values, doubles)
    if transfer.is_finite(found):
        return mapped
    return or_lower(mapped, _at_or_below(points, values, doubles), doubles)


def _at_or_below(points, values, row):
    """Return the values at the largest points that are no greater than the pixels of a row."""
    index = at_or_below(namespaces.astype(points, namespaces.dtype_of(row)), row)
    return gather(values, namespaces.namespace(row).clip(index, 0, points.shape[1] - 1))


def _map_back(found, scale, row, doubles):
    """Return the intensities behind a row of values; see `transfer.invert`."""
    if scale is not None:
        doubles = doubles / scale[0] * scale[1]
    return _map(transfer.inverse(found), doubles, doubles)
