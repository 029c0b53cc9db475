"""CLAHE of blocks of planes: counts of all tiles at once, and tables blended on the device.

The counts of a block are bounded. They are clipped by NumPy, all tiles at once. scikit-image's way
to clip takes one pixel after the other, and is not here. Conventions that are not in `_CLAHE` go to
the definition.
"""

import math
from functools import partial

import numpy as np

from .._arithmetic import bins, namespaces, output, spans
from .._arithmetic.dtypes import single_or_double
from .._arithmetic.rows import (
    at_or_below,
    chosen_of,
    counts_of,
    gather,
    number_of,
    put_together,
    rows_of,
    sorted_counted,
    take_rows,
    write_rows,
)
from .._equalize.conventions import cdf_rule
from .._equalize.devices import equalize
from . import definition, tiles
from .conventions import HISTEQ, OPENCV

MOST_COUNTS = 2**24  # at a time


@np.errstate(all="ignore")
def clahe(planes, mask, out, rule, map_parts=map):
    """Equalize each plane by the CDFs of its tiles into out; see `definition`."""
    if rule.of_whole_planes:
        return equalize(planes, mask, out, rule.of_whole_planes)
    if rule.convention not in _CLAHE:
        return namespaces.on_cpu(definition.clahe, planes, mask, out, rule)
    n_bins = rule.n_bins
    if rule.convention is OPENCV:
        n_bins = output.largest_level(namespaces.dtype_of(planes)) + 1
    n_planes = max(1, MOST_COUNTS // (n_bins * math.prod(rule.tiles)))
    step = max(1, n_planes // planes.shape[1])
    status = []
    for start in range(0, planes.shape[0], step):
        part = slice(start, min(start + step, planes.shape[0]))
        counted = None if mask is None else mask[part, ...]
        block = planes[part, ...], counted, out[part, ...]
        status.append(_CLAHE[rule.convention](*block, rule))
    return np.concatenate(status)


def _sides(shape, n_tiles):
    """Return pairs of a length of a plane and its number of tiles."""
    return list(zip(shape[2:], n_tiles, strict=True))


# Convention "histeq" ------------------------------------------------------------------------------


def _histeq(planes, mask, out, rule):
    """Write the package's own CLAHE of each plane into out; return their status."""
    rows = rows_of(planes, mask)
    ranges = spans.given_ranges(rule.span, planes, mask)
    formula = cdf_rule(rule.n_bins).formula
    found = bins.find(rows, planes, ranges, rule.n_bins, False, formula)
    rows = found.reals
    indices, parts = [], []
    if found.rows.size:
        some = rows.take(found.rows)
        left_edges = found.edges[:, :-1].copy()
        left_edges[:, 0] = -np.inf  # outer pixels, which do not count, need a number, too
        numbers = at_or_below(namespaces.asarray(left_edges, some.pixels), some.pixels)
        points = namespaces.asarray(found.points, some.pixels)
        parts.append(_blend(some, numbers, points, planes.shape, rule))
        indices.append(found.rows)
    for index, some, points in _distinct(rows.take(found.others), found.others):
        numbers = rows.xp.clip(at_or_below(points, some.pixels), 0, points.shape[1] - 1)
        points = namespaces.astype(points, np.float64)
        parts.append(_blend(some, numbers, points, planes.shape, rule))
        indices.append(index)
    values = put_together(parts, indices)
    store = partial(output.store, output_max=1)
    write_rows(values, rows, single_or_double(rows.dtype), out, store)
    return rows.status


def _distinct(rows, numbers):
    """Yield groups of rows with as many distinct counted pixels: numbers, rows and these pixels."""
    if not numbers.size:
        return
    xp, ordered = rows.xp, sorted_counted(rows)
    is_first = xp.concat(
        [ordered[:, :1] == ordered[:, :1], ordered[:, 1:] != ordered[:, :-1]], axis=1
    )
    n_counted = number_of(rows.is_counted())
    places = namespaces.asarray(np.arange(ordered.shape[1])[np.newaxis], ordered)
    is_first = is_first & (places < xp.clip(n_counted, 1, ordered.shape[1]))
    n_distinct = namespaces.to_numpy(number_of(is_first))[:, 0]
    for n in np.unique(n_distinct):
        group = np.flatnonzero(n_distinct == n)
        points = chosen_of(take_rows(ordered, group), take_rows(is_first, group))
        yield numbers[group], rows.take(group), xp.reshape(points, (len(group), int(n)))


def _blend(rows, numbers, points, shape, rule):
    """Return values in [0, 1], blended from the CDFs of the tiles around each pixel.

    See `definition.clahe_plane`. points are doubles, numbers the bins of the pixels.
    """
    xp, n_points = rows.xp, points.shape[1]
    cdfs = namespaces.asarray(_tile_cdfs(rows, numbers, n_points, shape, rule), points)
    n_tiles = tiles.as_volume(rule.tiles)
    z, y, x = (tiles.axis(*side) for side in zip(tiles.as_volume(shape[2:]), n_tiles, strict=True))
    below, weight = _between_points(rows, points)
    above = xp.clip(below + 1, 0, n_points - 1)
    fz, fy, fx = (namespaces.asarray(part, points) for part in _fractions(z, y, x))
    blended = []
    for tile_rows in (y.lower, y.upper):
        sides = []
        for columns in (x.lower, x.upper):
            of_layers = [
                namespaces.asarray(_number(n_tiles, layer, tile_rows, columns) * n_points, points)
                for layer in (z.lower, z.upper)[: n_tiles[0]]
            ]
            low, high = (_between_layers(cdfs, of_layers, at, fz) for at in (below, above))
            sides.append(low + weight * (high - low))
        blended.append((1 - fx) * sides[0] + fx * sides[1])
    return (1 - fy) * blended[0] + fy * blended[1]


def _number(n_tiles, *of_axes):
    """Return the number of the tile of each pixel, from those along each axis: a row."""
    return np.ravel_multi_index(np.ix_(*of_axes), n_tiles).reshape(1, -1)


def _between_layers(cdfs, firsts, places, fz):
    """Return the CDFs at places, blended between the layers of tiles around each slice."""
    front, *back = (gather(cdfs, first + places) for first in firsts)
    return (1 - fz) * front + fz * back[0] if back else front


def _fractions(*axes):
    """Return the fractions of all axes for each pixel of a plane, as rows."""
    fractions = np.meshgrid(*(axis.fraction for axis in axes), indexing="ij")
    return [fraction.reshape(1, -1) for fraction in fractions]


def _between_points(rows, points):
    """Return the point at or below each pixel, and its position; see the definition."""
    xp, pixels = rows.xp, namespaces.astype(rows.pixels, np.float64)
    last = points.shape[1] - 1
    below = xp.clip(at_or_below(points, pixels), 0, last)
    above = xp.clip(below + 1, 0, last)
    start = gather(points, below)
    gap, offset = gather(points, above) - start, pixels - start
    is_between = xp.isfinite(gap) & (above > below)
    offset = xp.where(offset > 0, offset, 0.0)
    return below, xp.where(is_between, offset / xp.where(is_between, gap, 1.0), 0.0)


def _tile_cdfs(rows, numbers, n_points, shape, rule):
    """Return the CDFs of the tiles of each row of pixels, as a row of NumPy."""
    of_axes = (
        np.repeat(np.arange(n), np.diff(tiles.edges(length, n)))
        for length, n in _sides(shape, rule.tiles)
    )
    tile, n_tiles = _number(rule.tiles, *of_axes), math.prod(rule.tiles)
    index = numbers + namespaces.asarray(tile * n_points, numbers)
    counts = namespaces.to_numpy(counts_of(index, rows.counted, n_tiles * n_points))
    counts = counts.reshape(len(counts), n_tiles, n_points)
    is_empty = counts.sum(axis=2, keepdims=True) == 0
    counts = np.where(is_empty, counts.sum(axis=1, keepdims=True), counts)
    cdfs = _clipped_cdfs(counts.reshape(-1, n_points), rule.clip_limit)
    return cdfs.reshape(len(counts), n_tiles * n_points)


def _clipped_cdfs(counts, clip_limit):
    """Return what `definition.clipped_cdf` says of many histograms."""
    n_pixels = counts.sum(axis=1, keepdims=True)
    if clip_limit is not None:
        counts = _clipped(counts, clip_limit * np.maximum(n_pixels / counts.shape[1], 1))
    cdfs = np.minimum(counts.cumsum(axis=1) / n_pixels, 1)
    cdfs[:, -1] = 1
    return cdfs


def _clipped(counts, limits):
    """Return what `definition.clip_counts` says of many histograms and their limits."""
    n_bins = counts.shape[1]
    raised = np.zeros(limits.shape)
    n_over = np.zeros(limits.shape, np.int64)
    while True:
        over = counts + raised > limits
        found = np.maximum(over.sum(axis=1, keepdims=True), n_over)
        is_new = (found > n_over) & (n_over < n_bins)
        if not is_new.any():
            break
        n_over = np.where(is_new, found, n_over)
        excess = (counts * over).sum(axis=1, keepdims=True) - n_over * limits
        raised = np.where(is_new & (n_over < n_bins), excess / (n_bins - n_over), raised)
    mean = counts.sum(axis=1, keepdims=True) / n_bins
    return np.where(n_over < n_bins, np.minimum(counts + raised, limits), mean)


# Convention "opencv" ------------------------------------------------------------------------------


def _opencv(planes, mask, out, rule):
    """Write cv2's CLAHE of each plane into out; return their status."""
    rows = rows_of(planes, mask)
    xp, shape = rows.xp, planes.shape
    numbers, levels = _numbered(rows)
    largest = output.largest_level(rows.dtype)
    tables = _opencv_tables(numbers, levels, largest + 1, shape, rule)
    tables = namespaces.asarray(tables, numbers)
    sides = zip(shape[2:], rule.tiles, _opencv_tile_shape(shape, rule), strict=True)
    y, x = (tiles.opencv_axis(length, n, t) for length, n, t in sides)
    fy, fx = (namespaces.asarray(part, numbers) for part in _fractions(y, x))
    blended = []
    for tile_rows in (y.lower, y.upper):
        columns = (tile_rows[:, np.newaxis] * rule.tiles[1] + side for side in (x.lower, x.upper))
        firsts = (tile.reshape(1, -1) * len(levels) for tile in columns)
        left, right = (gather(tables, namespaces.asarray(n, numbers) + numbers) for n in firsts)
        blended.append(left * (1 - fx) + right * fx)
    values = xp.clip(xp.round(blended[0] * (1 - fy) + blended[1] * fy), 0.0, float(largest))
    store = partial(output.store, output_max=largest)
    write_rows(values, rows, rows.dtype.newbyteorder("="), out, store)
    return rows.status


def _numbered(rows):
    """Return the numbers of pixels among some levels, and these levels, an array of NumPy."""
    numbers = namespaces.astype(rows.pixels, np.int64)
    if rows.dtype.itemsize == 1:
        return numbers, np.arange(256)
    levels = rows.xp.sort(rows.xp.unique_values(numbers))
    numbers = rows.xp.reshape(numbers, (1, -1))
    numbers = at_or_below(rows.xp.expand_dims(levels, axis=0), numbers)
    return rows.xp.reshape(numbers, rows.pixels.shape), namespaces.to_numpy(levels)


def _opencv_tile_shape(shape, rule):
    return tiles.opencv_tile_shape(shape[2:], rule.tiles)


def _opencv_tables(numbers, levels, n_levels, shape, rule):
    """Return the tables of the tiles of each row of numbered levels, as a row of NumPy."""
    sides = list(zip(_sides(shape, rule.tiles), _opencv_tile_shape(shape, rule), strict=True))
    y, x = (tiles.opencv_padding(length, n * t) for (length, n), t in sides)
    in_y, in_x = (np.arange(n * t) // t for (_, n), t in sides)
    pixel = (y[:, np.newaxis] * shape[3] + x).reshape(-1)
    tile = (in_y[:, np.newaxis] * rule.tiles[1] + in_x).reshape(1, -1)
    padded = namespaces.namespace(numbers).take(numbers, namespaces.asarray(pixel, numbers), axis=1)
    n_tiles, first = rule.tiles[0] * rule.tiles[1], namespaces.asarray(tile * len(levels), numbers)
    counts = counts_of(padded + first, None, n_tiles * len(levels))
    counts = namespaces.to_numpy(counts).reshape(-1, len(levels))
    tables = _tables_of_counts(counts, levels, n_levels, rule.clip_limit)
    return tables.reshape(-1, n_tiles * len(levels))


def _tables_of_counts(counts, levels, n_levels, clip_limit):
    """Return what `definition.opencv_table` says at some levels, of many histograms.

    All have as many pixels, and none at other levels. What was clipped is spread over all levels:
    up to a level lie as many shares, and every step-th level has one pixel more.
    """
    n_pixels = int(counts[0].sum())
    below = counts.cumsum(axis=1)
    if clip_limit is not None:
        limit = int(min(max(clip_limit * n_pixels / n_levels, 1), n_pixels))
        excess = np.maximum(counts - limit, 0).sum(axis=1, keepdims=True)
        share, rest = np.divmod(excess, n_levels)
        extra = np.minimum(rest, levels // (n_levels // np.maximum(rest, 1)) + 1)
        below = np.minimum(counts, limit).cumsum(axis=1) + share * (levels + 1) + extra
    scale = np.float32(n_levels - 1) / np.float32(n_pixels)
    return np.clip(np.rint(below.astype(np.float32) * scale), 0, n_levels - 1)


_CLAHE = {HISTEQ: _histeq, OPENCV: _opencv}
