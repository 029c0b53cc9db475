"""Counts of the tiles that parts of planes touch, how they add up, and the tables they become."""

from typing import Any, NamedTuple

import numpy as np

from .._arithmetic.status import joined
from .._kernels import arrays, shared
from .._kernels.arrays import UINT16, rows
from . import definition, kernels, levels, parts
from .conventions import HISTEQ, OPENCV, SKIMAGE

LARGEST_INT32 = 2**31 - 1  # the most pixels that kernels count


class TileCounts(NamedTuple):
    """The counts of the tiles that parts touch.

    Attributes
    ----------
    shape : tuple of two ints
        The numbers of images and channels.
    range : tuple or None
        The status, lows and highs (n, c) of planes, if no pass has read these.
    rows : dict
        Of each row of tiles (layer, row): the numbers of its columns, and their counts (n_planes,
        n_codes, n_lanes).
    pixels : dict of int to list
        Of planes whose bins are not certain, all parts: the place, the pixels, the mask.
    """

    shape: tuple[int, int]
    range: Any
    rows: dict[tuple[int, int], tuple[Any, Any]]
    pixels: dict[int, list[Any]]


def add_ranges(a, b):
    """Return the status and the range of two parts together."""
    return joined(a[0], b[0]), np.minimum(a[1], b[1]), np.maximum(a[2], b[2])


def count_tiles(plan, found, planes, mask, tiles_of):
    """Return the counts (n_rows, n_planes, n_codes, n_lanes) of tiles.

    n_lanes is the number of tiles of a row, rounded up to a multiple of TILE_LANES.
    """
    n_lanes = parts.lanes_of(len(tiles_of.touched[2]))
    shape = tiles_of.n_rows, found.status.size, plan.n_codes, n_lanes
    counts = np.empty((*shape[:2], shape[2] * shape[3]), np.int32)
    if plan.rule.convention is HISTEQ:
        pixels, counted = rows(arrays.as_pixels(planes, plan.pixel)), arrays.mask_rows(mask)
        kernels.count_tiles(
            pixels,
            counted,
            (found.status | found.refer).reshape(-1),
            tiles_of.for_kernel,
            found.limits,
            counts,
            plan.n_codes,
        )
    else:
        is_opencv = plan.rule.convention is OPENCV
        codes = arrays.as_pixels(planes, plan.pixel) if is_opencv else bins_of(plan, found, planes)
        kernels.count_codes(rows(codes), counts, tiles_of.for_kernel)
    if plan.tile_pixels > LARGEST_INT32:
        counts = counts.astype(np.int64)
    return counts.reshape(shape)


def bins_of(plan, found, planes):
    """Return the bins of planes in the convention "skimage"."""
    of_pixels = levels.levels_of(planes, plan.given_of(planes.shape[:2]), found.is_beyond)
    bins = np.empty(planes.shape, UINT16)
    shared.look_up(rows(of_pixels), found.bins, rows(bins))
    return bins


def add_counts(a, b):
    """Return the `TileCounts` of two parts together."""
    both, own_range = a.rows | b.rows, a.range
    for number in a.rows.keys() & b.rows.keys():
        both[number] = _add_rows(a.rows[number], b.rows[number])
    if own_range is not None:
        own_range = add_ranges(own_range, b.range)
    pixels = {p: a.pixels.get(p, []) + b.pixels.get(p, []) for p in a.pixels | b.pixels}
    return TileCounts(a.shape, own_range, both, pixels)


def _add_rows(a, b):
    """Return the columns and the counts of one row of tiles in two parts together."""
    if np.array_equal(a[0], b[0]):
        return a[0], a[1] + b[1]
    columns = np.union1d(a[0], b[0])
    return columns, in_columns(a, columns) + in_columns(b, columns)


def in_columns(row, columns):
    """Return the counts of a row of tiles among more columns, with room for all lanes."""
    own, counts = row
    if np.array_equal(own, columns):
        return counts
    placed = np.zeros((*counts.shape[:2], parts.lanes_of(len(columns))), counts.dtype)
    placed[..., np.searchsorted(columns, own)] = counts[..., : len(own)]
    return placed


# Tables -----------------------------------------------------------------------------------------


def tables_of(plan, found, counts, n_tiles):
    """Return the tables (n_rows, n_planes, n_codes, n_columns) of rows of n_tiles tiles.

    They are the CDFs of "histeq", and else lookup tables, with those of the outer tiles repeated.
    """
    convention = plan.rule.convention
    if convention is HISTEQ and found.plane_counts is not None:
        counts = _filled(counts, found.plane_counts, n_tiles)
    n_columns = counts.shape[3] if convention is HISTEQ else counts.shape[3] + 2
    dtype = {HISTEQ: np.float64, OPENCV: np.uint16, SKIMAGE: np.float32}[convention]
    tables = np.empty((*counts.shape[:3], n_columns), dtype)
    if counts.dtype != np.int32:
        _set_large_tables(plan, counts, n_tiles, tables)
        return tables
    n_planes = counts.shape[0] * counts.shape[1]
    both = np.ascontiguousarray(counts).reshape(n_planes, -1), tables.reshape(n_planes, -1)
    limit = parts.kernel_limit(plan.rule, plan.whole.shape, plan.pixel)
    if convention is HISTEQ:
        kernels.find_cdfs(*both, limit, plan.n_codes)
    elif convention is OPENCV:
        kernels.find_tables_opencv(*both, n_tiles, plan.tile_pixels, limit)
    else:
        kernels.find_tables_skimage(*both, n_tiles, plan.tile_pixels, limit)
    return tables


def _filled(counts, plane_counts, n_tiles):
    """Return the counts of tiles, those of the whole plane where none of a tile's pixels counts."""
    is_empty = counts.sum(axis=2) == 0
    is_empty[..., n_tiles:] = False
    if not is_empty.any():
        return counts
    dtype = np.int64 if plane_counts.sum(axis=1).max() > LARGEST_INT32 else counts.dtype
    of_all = plane_counts.astype(dtype)[np.newaxis, ..., np.newaxis]
    return np.where(is_empty[:, :, np.newaxis], of_all, counts)


def _set_large_tables(plan, counts, n_tiles, tables):
    """Set the tables of tiles that may have more pixels than kernels count."""
    rule = plan.rule
    first = 0 if rule.convention is HISTEQ else 1
    tables[...] = 0
    for *row, t in np.ndindex(*counts.shape[:2], n_tiles):
        of_tile, table = counts[*row, :, t], tables[*row, :, first + t]
        if rule.convention is HISTEQ:
            table[:] = definition.clipped_cdf(of_tile, rule.clip_limit) if of_tile.any() else 0
        elif rule.convention is OPENCV:
            table[:] = definition.opencv_table(of_tile, rule.clip_limit)
        else:
            table[:] = definition.skimage_table(of_tile, rule.clip_limit)
    if first:
        tables[..., 0], tables[..., n_tiles + 1] = tables[..., 1], tables[..., n_tiles]
