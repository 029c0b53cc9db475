"""Equalization of blocks of planes: counts of levels, bins or ranks, and what they map pixels to.

Bytes are looked up in tables of 256 values. Floats, and integers in bins, are interpolated between
bins. Other integers, and planes whose bins have no meaning, are sorted: the place of a pixel among
the sorted ones is its cumulated count.
"""

from functools import partial

import numpy as np

from .._arithmetic import bins, counting, namespaces, output, spans, transfer
from .._arithmetic.rows import (
    as_doubles,
    as_rows,
    at_or_below,
    between,
    chosen_of,
    clipped,
    counts_of,
    cumulated,
    gather,
    interpolate,
    number_of,
    or_lower,
    put_together,
    ranges_of,
    rows_of,
    sorted_counted,
    take_rows,
    write_rows,
)
from .._arithmetic.status import FAR, INF


@np.errstate(all="ignore")
def equalize(planes, mask, out, rule, map_parts=map):
    """Equalize each plane by its own CDF into out; see `definition.equalize`."""
    rows = rows_of(planes, mask)
    n_bins = rule.bins_of(rows.dtype)
    if n_bins is not None:
        ranges = spans.given_ranges(rule.span, planes, mask)
        values = _by_bins(rows, planes, ranges, rule, n_bins)
    elif rows.dtype.itemsize == 1:
        values = _by_levels(rows, rule)
    else:
        values = _by_ranks(rows, rule)
    _write(values, rows, planes, out, rule.convention, rule.blend)
    return rows.status


def _write(values, rows, planes, out, convention, blend):
    """Write the values of rows into out, blended with those of the planes."""
    own_dtype = convention.default_output_dtype(rows.dtype)
    if blend is not None:
        values = blend.values(as_rows(planes), namespaces.astype(values, own_dtype))
    store = partial(output.store, output_max=convention.output_max)
    write_rows(values, rows, own_dtype, out, store)


# One bin per level of a byte ----------------------------------------------------------------------


def _by_levels(rows, rule):
    """Return the values of bytes by lookup tables."""
    levels = byte_levels(rows)
    counts = counts_of(levels, rows.counted, transfer.N_LEVELS_8BIT)
    if rule.formula.values is transfer.skimage_uniform:
        table = cdf_of_levels(counts)
    else:
        counts = np.array(namespaces.to_numpy(counts))  # which may be a view not to be written to
        counts[counts.sum(axis=1) == 0, 0] = 1  # no counted pixel: the values are not used
        table = namespaces.asarray(_table(counts, rule), levels)
    return gather(table, levels)


def byte_levels(rows):
    """Return bytes as levels from 0 to 255."""
    levels = namespaces.astype(rows.pixels, np.int64)
    return levels + 128 if rows.dtype.kind == "i" else levels


def cdf_of_levels(counts):
    """Return the CDF of each level; below the least level that of the least."""
    xp = namespaces.namespace(counts)
    cumulative = namespaces.astype(cumulated(counts), np.float64)
    cdf = cumulative / cumulative[:, -1:]
    least = xp.min(xp.where(counts > 0, cdf, 1.0), axis=1, keepdims=True)
    return xp.maximum(cdf, least)


def _table(counts, rule):
    """Return the values of all levels by counts of NumPy; levels not counted take a neighbour's."""
    values = rule.formula.values(counts, None, np.float64)
    if rule.convention.has_all_levels:
        return values
    is_counted, levels = counts > 0, np.arange(counts.shape[1])
    lowest = is_counted.argmax(axis=1, keepdims=True)
    highest = levels[-1] - is_counted[:, ::-1].argmax(axis=1, keepdims=True)
    source = levels.clip(lowest, highest)
    if rule.formula.counted_only:
        source = np.maximum(np.maximum.accumulate(levels * is_counted, axis=1), lowest)
    return np.take_along_axis(values, source, axis=1)


# Ranks --------------------------------------------------------------------------------------------


def ranks_of(rows):
    """Return the counted pixels of each row in order, and the place of each pixel among them.

    That is the last place of a pixel at or below it; where there is none, of the least pixel.
    """
    xp, ordered = rows.xp, sorted_counted(rows)
    if rows.counted is None:
        return ordered, at_or_below(ordered, rows.pixels)
    last = _last_place(rows)
    places = xp.minimum(at_or_below(ordered, rows.pixels), last)
    of_least = xp.minimum(at_or_below(ordered, ordered[:, :1]), last)
    return ordered, xp.where(places < 0, of_least, places)


def _last_place(rows):
    """Return the last place of a counted pixel in each row, as a column; 0 without one."""
    last = number_of(rows.counted) - 1
    return rows.xp.clip(last, 0, rows.pixels.shape[1])


def _by_ranks(rows, rule):
    """Return the values of pixels by the counts of distinct ones."""
    ordered, places = ranks_of(rows)
    if rule.formula.values is transfer.skimage_uniform:
        values_at = partial(shares_at, rows)
    else:
        values_at = partial(gather, _values_of_runs(ordered, rows, rule))
    values = values_at(places)
    if rows.counted is None or namespaces.dtype_of(rows.pixels).kind != "f":
        return values
    return _between_runs(rows, ordered, places, values_at)


def shares_at(rows, places):
    """Return the share of the counted pixels up to a place."""
    n_counted = namespaces.astype(number_of(rows.is_counted()), np.float64)
    return namespaces.astype(places + 1, np.float64) / n_counted


def _values_of_runs(ordered, rows, rule):
    """Return the values of sorted pixels, by a formula: right where a run of equal ones ends."""
    n_rows, n_pixels = ordered.shape
    differs = np.ones((n_rows, n_pixels), bool)
    differs[:, :-1] = namespaces.to_numpy(ordered[:, 1:] != ordered[:, :-1])
    n_counted = namespaces.to_numpy(number_of(rows.is_counted()))
    places = np.arange(n_pixels)
    is_end = (differs & (places < n_counted - 1)) | (places == np.maximum(n_counted - 1, 0))
    ends = np.flatnonzero(is_end)
    starts = np.maximum(ends // n_pixels * n_pixels, np.append(-1, ends[:-1]) + 1)
    counts = np.zeros(is_end.shape, np.int64)
    counts.flat[ends] = ends - starts + 1
    return namespaces.asarray(rule.formula.values(counts, None, np.float64), ordered)


def _between_runs(rows, ordered, places, values_at):
    """Return values of floats that need not be counted: linear between the distinct counted."""
    xp, x = rows.xp, namespaces.astype(rows.pixels, np.float64)
    last = _last_place(rows)
    above = gather(ordered, xp.minimum(places + 1, last))
    end = xp.minimum(at_or_below(ordered, above), last)
    start, stop = (
        namespaces.astype(pixels, np.float64) for pixels in (gather(ordered, places), above)
    )
    values = values_at(places), values_at(end)
    found = or_lower(between(x, (start, stop), values), values[0], x)
    return xp.where((x < start) | (places >= last), values[0], found)


# Bins ---------------------------------------------------------------------------------------------


def _by_bins(rows, planes, ranges, rule, n_bins):
    """Return the values of pixels by equal bins; of rows whose bins have no meaning, by ranks."""
    found = bins.find(rows, planes, ranges, n_bins, rule.has_exact_bins, rule.formula)
    indices, parts = [], []
    if found.rows.size:
        points, values = (
            namespaces.asarray(array, rows.pixels) for array in (found.points, found.values)
        )
        pixels = take_rows(found.reals.pixels, found.rows)
        parts.append(interpolate(points, values, namespaces.astype(pixels, np.float64)))
        indices.append(found.rows)
    for index, pixels in (found.others, found.reals), (found.beyond, rows):
        if index.size:
            parts.append(_by_ranks(pixels.take(index), rule))
            indices.append(index)
    return put_together(parts, indices)


# What is learned ----------------------------------------------------------------------------------


@np.errstate(all="ignore")
def count_levels(planes, mask):
    """Return the `counting.Levels` of each channel's counted pixels, and the planes' status."""
    return _count(planes, mask, lambda row, channel: _levels_of(row))


@np.errstate(all="ignore")
def count_lattice(planes, mask):
    """Return the `counting.Lattice` of each channel's counted floats, and the planes' status."""
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
        limits = (namespaces.asarray(of_channel[[[end]]], row.pixels) for end in (0, -1))
        row = row._replace(pixels=clipped(row.pixels, *limits))
        numbers = bins.bin_numbers(row, of_channel[np.newaxis])
        return namespaces.to_numpy(counts_of(numbers, None, len(of_channel) - 1))[0]

    return _count(planes, mask, count)


def _count(planes, mask, count):
    """Return count(row, channel) of each channel's finite counted pixels, and the status."""
    rows = rows_of(planes, mask)
    xp, n_channels = rows.xp, planes.shape[1]
    counted = rows.is_counted()
    if rows.dtype.kind == "f":
        counted = counted & ~xp.isinf(rows.pixels)
    is_all = not rows.status.any() and rows.counted is None
    found = []
    for channel in range(n_channels):
        pixels = rows.pixels[channel::n_channels, :]
        pixels = (
            xp.reshape(pixels, (-1,))
            if is_all
            else chosen_of(pixels, counted[channel::n_channels, :])
        )
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
    low, high = (float(limit[0]) for limit in ranges_of(row))
    start, exponent = counting.fit_lattice(low, high)
    values = namespaces.astype(row.pixels, np.float64)
    # in two steps, neither of which overflows; what the first rounds is nearer to 0 than to a bin
    half = -exponent // 2
    index = row.xp.floor(values * 2.0**half * 2.0 ** (-exponent - half))
    index = row.xp.where(values < 0, row.xp.where(index < -1, index, -1.0), index)
    numbers = namespaces.astype(index, np.int64) - start
    counts = counts_of(numbers, None, counting.N_FINE)
    return counting.Lattice(namespaces.to_numpy(counts)[0], start, exponent, low, high)


@np.errstate(all="ignore")
def apply(planes, mask, out, learned, convention, blend=None):
    """Map each plane by the learned transfer function of its channel; see `definition.apply`."""
    rows = rows_of(planes, mask)
    values = _by_channel(rows, planes, [partial(_map, found) for found in learned.transfers])
    _write(values, rows, planes, out, convention, blend)
    is_far = _are_far(as_doubles(rows, planes), rows.is_counted(), learned.ranges)
    is_far = is_far.reshape(rows.status.shape) & (rows.status & INF == 0)
    return rows.status | (FAR * is_far).astype(np.uint8)


def _are_far(pixels, counted, ranges):
    """Return which rows of doubles leave the range of their channel; see `definition.apply`."""
    n_images = pixels.shape[0] // len(ranges)
    limits = np.tile(ranges, (n_images, 1)).T[:, :, np.newaxis]
    low, high = (namespaces.asarray(limit, pixels) for limit in limits)
    outside = counted & ((pixels < low) | (pixels > high))
    beyond = counted & ((low - pixels > high - low) | (pixels - high > high - low))
    n_outside = number_of(outside)
    is_far = (number_of(beyond) > 0) | (2 * n_outside >= number_of(counted))
    return namespaces.to_numpy(is_far & (n_outside > 0) & (high > low))


@np.errstate(all="ignore")
def invert(planes, out, transfers, output_max):
    """Map equalized planes back by each channel's transfer function; see `definition.invert`."""
    rows = rows_of(planes, None)
    scale = None if rows.dtype.kind == "f" else (output.largest_level(rows.dtype), output_max)
    values = _by_channel(rows, planes, [partial(_map_back, found, scale) for found in transfers])
    write_rows(values, rows, namespaces.dtype_of(out), out, output.saturate)
    return rows.status


def _by_channel(rows, planes, functions):
    """Return function(row, doubles) of each channel, put together as rows of planes."""
    xp, n_channels = rows.xp, len(functions)
    doubles, shape = as_doubles(rows, planes), rows.pixels.shape
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
