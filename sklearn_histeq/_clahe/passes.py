"""CLAHE in passes over parts of planes: counts of tiles add up, whatever cuts a tile.

The parts of a plane count the tiles that they touch. The sums of these counts become the tables of
all tiles, and each part is blended by those around it. Where a plane has so many tiles that all
tables would take much memory, a part counts the tiles around it by itself: it sees that far. Planes
that are not large, in memory, take none of this: see compiled.py.
"""

import math
from functools import partial

import numpy as np

from .._arithmetic import output, spans
from .._arithmetic.dtypes import single_or_double
from .._arithmetic.status import EMPTY, INF
from .._input.problem import X, warn_the_caller
from .._kernels import arrays, shared
from .._kernels.arrays import UINT8, UINT16, rows
from .._passes import Passes, Read, own_pixels
from . import definition, grays, kernels, levels, parts, tiles
from .conventions import HISTEQ, OPENCV, SKIMAGE
from .counts import (
    TileCounts,
    add_counts,
    add_ranges,
    bins_of,
    count_tiles,
    in_columns,
    tables_of,
)
from .plans import Found, Plan

# All tiles may have FEW_COUNTS counts, or a fourth as many as the plane has pixels, but not more
# than MOST_COUNTS. Above that, each part counts the tiles around it.
FEW_COUNTS, MOST_COUNTS = 2**20, 2**23


def passes(whole, rule, given=None, joins_uncertain=True):
    """Return the passes that equalize planes by their tiles, or why planes must be whole (str).

    given (n, c, 2) are what the bins of each plane span, where whole planes were seen before.

    "histeq" reads the ranges of planes, unless these are given, and the counts of tiles. "opencv"
    reads the counts. "skimage" reads the ranges, the counts and the ranges of the blended grays;
    with `value_range` only the counts. For `quantile_range`, levels are counted to find the ranges.
    If parts count the tiles around them, no pass counts, with two exceptions: "histeq" needs the
    counts of whole planes where tiles may be empty or bins uncertain, and "skimage" reads the range
    of types that may hold pixels which it refuses.
    """
    if rule.convention not in _BLENDS:
        return f"there are no kernels for convention={rule.convention.name!r}"
    plan = Plan(rule, whole, given, joins_uncertain=joins_uncertain)
    if plan.pixel is None:
        return f"the kernels do not read {whole.dtype}"
    plan = plan._replace(counts_around=_is_local(plan))
    reason = _why_whole(plan)
    if reason:
        return reason
    reads = []
    if _wants_range(plan):
        of_levels = _count_levels, np.add, _find_bins_of_levels
        of_ranges = _read_range, add_ranges, _find_bins_of_ranges
        by_counts = rule.span.percentages is not None and given is None
        read, add, find = of_levels if by_counts else of_ranges
        reads.append(Read(partial(read, plan), add, partial(find, plan), "range"))
    if not plan.counts_around or (rule.convention is HISTEQ and _may_need_whole(plan)):
        find = partial(_find_tables, plan)
        reads.append(Read(partial(_count, plan), add_counts, find, "counts"))
    if _is_stretched(plan):
        read, find = partial(_read_grays, plan), partial(_find_values, plan)
        reads.append(Read(read, _add_grays, find, "grays"))
    sides = plan.sides[-len(whole.shape) :] if plan.counts_around else ()
    return Passes(tuple(reads), partial(_write, plan), tuple(map(tiles.reach, sides)))


def _is_local(plan):
    """Return whether the tables of all tiles would take much memory."""
    n_counts = math.prod(side.n_tiles for side in plan.sides) * plan.n_codes
    n_most = min(MOST_COUNTS, math.prod(plan.whole.shape) // 4)
    return n_counts > (MOST_COUNTS if _is_stretched(plan) else max(FEW_COUNTS, n_most))


def _is_stretched(plan):
    """Return whether values are stretched to [0, 1] at last, as "skimage" does."""
    return plan.rule.convention is SKIMAGE and plan.rule.span.limits is None


def _why_whole(plan):
    """Return why planes must be whole, or an empty string."""
    rule, whole = plan.rule, plan.whole
    if rule.convention is SKIMAGE and len(whole.shape) > 2:
        return "there are no kernels for volumes with convention='skimage'"
    is_ranked = whole.dtype.kind == "f" or whole.dtype.itemsize > 2
    if rule.span.percentages is not None and plan.given is None and is_ranked:
        return f"quantile_range needs all {whole.dtype} pixels of an image at once"
    if plan.counts_around and _is_stretched(plan):
        return "convention='skimage' keeps the tables of all tiles, which are too many"
    if math.prod(min(4, side.n_tiles) for side in plan.sides) * plan.n_codes > MOST_COUNTS:
        return f"n_bins={plan.n_codes} is too many to count parts of it"
    return ""


def _wants_range(plan):
    """Return whether the range of planes has to be read before tiles are counted."""
    convention = plan.rule.convention
    if convention is OPENCV:
        return False
    if plan.rule.span.limits is None and (plan.given is None or np.isnan(plan.given).any()):
        return True
    return convention is SKIMAGE and plan.counts_around and _is_checked(plan)


def _may_need_whole(plan):
    """Return whether tiles of "histeq" may be empty, or bins not certain."""
    dtype = plan.whole.dtype
    are_certain = dtype.kind != "f" and dtype.itemsize <= 2 and plan.rule.span.limits is None
    return plan.whole.is_masked or not are_certain


def _is_checked(plan):
    """Return whether there are pixels that a plane must not have."""
    kind = plan.whole.dtype.kind
    return kind == "f" or (kind == "i" and plan.rule.convention is SKIMAGE)


# The first pass: what bins span -------------------------------------------------------------------


def _read_range(plan, _, part):
    """Return the status, the lows and the highs (n, c) of a part."""
    return _range_of(plan, part.planes, part.mask)


def _range_of(plan, planes, mask):
    shape = planes.shape[:2]
    if plan.pixel == UINT16 and (planes.dtype.kind == "i" or grays.is_wide(planes.dtype)):
        axes = tuple(range(2, planes.ndim))
        return np.zeros(shape, np.uint8), planes.min(axis=axes), planes.max(axis=axes)
    status, (lows, highs) = np.empty(shape, np.uint8), np.empty((2, *shape))
    pixels = rows(arrays.as_pixels(planes, plan.pixel))
    found = (each.reshape(-1) for each in (status, lows, highs))
    shared.find_ranges(pixels, arrays.mask_rows(mask), *found)
    return status, lows, highs


def _count_levels(plan, _, part):
    """Return the counts (n, c, n_levels) of the levels of a part."""
    planes, mask = part.planes, part.mask
    pixel = UINT8 if planes.dtype.itemsize == 1 else UINT16
    counts = np.zeros((*planes.shape[:2], arrays.N_LEVELS[pixel]), np.int64)
    pixels = rows(arrays.as_pixels(planes, pixel))
    shared.add_level_counts(pixels, arrays.mask_rows(mask), counts.reshape(len(pixels), -1))
    return counts


def _find_bins_of_ranges(plan, _, own_ranges):
    """Return what the bins of planes span, from their status, lows and highs."""
    return _prepared(plan, own_ranges, plan.given_of(own_ranges[0].shape))


def _find_bins_of_levels(plan, _, total):
    """Return what the bins of planes span, from the counts of their levels."""
    dtype, present = plan.whole.dtype, total > 0
    of_all = np.arange(total.shape[2]) + output.smallest_level(dtype)
    given = np.full((*total.shape[:2], 2), np.nan)
    for index in np.argwhere(present.any(axis=2)):
        limits = spans.limits_of_counts(plan.rule.span, of_all, total[*index])
        given[*index] = np.nan if limits is None else limits
    lows = of_all[present.argmax(axis=2)]
    highs = of_all[-1 - present[..., ::-1].argmax(axis=2)]
    status = (EMPTY * ~present.any(axis=2)).astype(np.uint8)
    return _prepared(plan, (status, lows, highs), given)


def _without_range(plan, shape):
    """Return what is known of planes (n, c) of which no range was read."""
    status, zeros = np.zeros(shape, np.uint8), np.zeros(shape, plan.whole.dtype)
    return _prepared(plan, (status, zeros, zeros), plan.given_of(shape))


def _prepared(plan, own_ranges, given):
    """Return what is found once the status, lows and highs of planes are known.

    Given ranges (n, c, 2), where they are not NaN, replace those.
    """
    status, lows, highs = own_ranges
    if plan.rule.convention is OPENCV:
        return Found(status)
    own = np.stack([lows, highs], axis=-1)
    if plan.rule.convention is SKIMAGE:
        return _prepared_skimage(plan, status, own, given)
    limits = own.astype(np.float64)
    is_own = np.ones(status.shape, bool) if given is None else np.isnan(given[..., 0])
    if given is not None:
        limits = np.where(is_own[..., np.newaxis], limits, given)
    limits[(status & (INF | EMPTY) > 0) | (is_own & (lows == highs))] = np.nan
    limits, refer = limits.reshape(-1, 2), np.zeros_like(status)
    # without a pixel to count, the kernel says whether bins are certain
    none = np.zeros((status.size, 1), plan.pixel)
    counts = np.empty((1, status.size, parts.lanes_of(1) * plan.n_codes), np.int32)
    tile = parts.one_tile((1, 1)).for_kernel
    kernels.count_tiles(none, None, refer.reshape(-1), tile, limits, counts, plan.n_codes)
    return Found(status, limits, refer)


def _prepared_skimage(plan, status, own, given):
    """Return the bins of all levels of 16 bits, unless scikit-image refuses a plane."""
    dtype = plan.whole.dtype
    is_beyond = own[..., 1] >= grays.N_LEVELS if grays.is_wide(dtype) else None
    status = levels.refused(dtype, status, own[..., 0], own[..., 1])
    if status.any():
        return Found(status)
    of_own = levels.levels_of(own.astype(dtype), is_beyond=is_beyond)
    ranges = of_own * (65535.0 / (arrays.N_LEVELS[of_own.dtype] - 1))
    if given is not None:
        ranges = np.where(np.isnan(given), ranges, grays.in_16_bits(given, dtype))
    bins = levels.tables_of_bins(of_own.dtype, ranges.reshape(-1, 2), plan.rule.n_bins)
    return Found(status, bins=bins, is_beyond=is_beyond)


# The second pass: counts of tiles become tables ---------------------------------------------------


def _count(plan, found, part):
    """Return the `TileCounts` of the tiles that a part touches.

    If parts count the tiles around them, these are the counts of all of it as one tile.
    """
    planes, mask, own_range = part.planes, part.mask, None
    if found is None:  # no pass has read the range
        found = _without_range(plan, planes.shape[:2])
        if _is_checked(plan):
            own_range = _range_of(plan, planes, mask)
            found = _prepared(plan, own_range, plan.given_of(planes.shape[:2]))
    if plan.rule.convention is SKIMAGE and found.status.any():
        return TileCounts(planes.shape[:2], own_range, {}, {})
    if plan.counts_around:
        tiles_of = parts.one_tile(planes.shape[2:])
    else:
        tiles_of = parts.tiles_in(plan.sides, parts.place_as_volume(part.place))
    counts = count_tiles(plan, found, planes, mask, tiles_of)
    layers, rows_of, columns = tiles_of.touched
    numbers = [(int(layer), int(row)) for layer in layers for row in rows_of]
    of_rows = {number: (columns, of_row) for number, of_row in zip(numbers, counts, strict=True)}
    pixels = {}
    if plan.joins_uncertain and found.refer is not None:
        for i, channel in np.argwhere(found.refer):
            counted = None if mask is None else mask[i]
            piece = part.place, planes[i, channel].copy(), counted
            pixels[int(i * planes.shape[1] + channel)] = [piece]
    return TileCounts(planes.shape[:2], own_range, of_rows, pixels)


def _find_tables(plan, found, total):
    """Return what is found with the tables of all tiles, or with the counts of whole planes."""
    if total.range is not None:
        found = _prepared(plan, total.range, plan.given_of(total.shape))
    if found is None:
        found = _without_range(plan, total.shape)
    if plan.rule.convention is SKIMAGE and found.status.any():
        return found
    if plan.rule.convention is HISTEQ:
        found = _with_whole_planes(plan, found, total)
    if plan.counts_around:
        return found
    columns, tables = np.arange(plan.sides[2].n_tiles), []
    for number in sorted(total.rows):
        counts = in_columns(total.rows[number], columns)
        tables.append(tables_of(plan, found, counts[np.newaxis], len(columns)))
    return found._replace(tables=np.concatenate(tables))


def _with_whole_planes(plan, found, total):
    """Return what is found with what whole planes are needed for.

    That are their counts, EMPTY of those without a counted pixel, and the planes that were put
    together because bins are not certain.
    """
    plane_counts = sum(counts.sum(axis=2, dtype=np.int64) for _, counts in total.rows.values())
    status = found.status.copy()
    is_counted = ~np.isnan(found.limits[:, 0]).reshape(status.shape) & (found.refer == 0)
    status[is_counted & (plane_counts.sum(axis=1) == 0).reshape(status.shape)] |= EMPTY
    mapped = []
    for p, pieces in total.pixels.items():
        out, status.reshape(-1)[p] = _map_whole(plan, pieces)
        mapped.append((p, out))
    return found._replace(status=status, plane_counts=plane_counts, mapped=tuple(mapped))


def _map_whole(plan, pieces):
    """Return a plane by the definition, put together from its parts, and its status."""
    shape, dtype = plan.whole.shape, pieces[0][1].dtype
    plane, mask, out = np.empty(shape, dtype), None, np.empty((1, 1, *shape), plan.whole.out_dtype)
    if plan.whole.is_masked:
        mask = np.empty((1, *shape), bool)
    for place, pixels, counted in pieces:
        plane[place] = pixels
        if mask is not None:
            mask[0][place] = counted
    size = f"{plane.nbytes / 2**20:.1f} MiB"
    warn_the_caller(
        (X, f" has a plane whose bins are too narrow for {dtype}, so that it is put together in "
         f"one piece of {size}"),
        remedy="Give the range, value_range=(low, high), to do so without this warning.",
    )  # fmt: skip
    status = definition.clahe(plane[np.newaxis, np.newaxis], mask, out, plan.rule)
    return out[0, 0], status[0, 0]


# The last passes: the blend -----------------------------------------------------------------------


def _tables_around(plan, found, part, centers):
    """Return the tables of the tiles around a part as the kernels take them."""
    (*first, first_column), (*last, last_column) = centers.first, centers.last
    tables, columns = found.tables, centers.columns
    if plan.counts_around:
        outer, n_tiles = parts.place_as_volume(part.outer), last_column - first_column + 1
        tiles_of = parts.tiles_in(plan.sides, outer, centers.first, centers.last)
        counts = count_tiles(plan, found, part.planes, part.mask, tiles_of)
        tables = tables_of(plan, found, counts, n_tiles)
        columns = slice(columns.start - first_column, columns.stop - first_column)
    else:
        n_layers, n_rows, _ = (side.n_tiles for side in plan.sides)
        of_layers = tables.reshape(n_layers, n_rows, *tables.shape[1:])
        chosen = of_layers[first[0] : last[0] + 1, first[1] : last[1] + 1]
        tables = chosen.reshape(-1, *tables.shape[1:])
    n_columns = columns.stop - columns.start
    if plan.rule.convention is HISTEQ:
        n_columns = parts.lanes_of(n_columns)
    if columns.start > 0 or n_columns < tables.shape[3]:
        chosen = tables[..., columns.start : columns.start + n_columns]
        tables = np.zeros((*tables.shape[:3], n_columns), tables.dtype)  # beyond the last: zeros
        tables[..., : chosen.shape[3]] = chosen
    return np.ascontiguousarray(tables).reshape(*tables.shape[:2], -1)


def _write(plan, found, part):
    """Write a part of planes, blended by the tiles around it; return the planes' status."""
    found = _without_range(plan, part.planes.shape[:2]) if found is None else found
    convention, status = plan.rule.convention, found.status
    if convention is SKIMAGE and status.any():
        return status
    planes = own_pixels(part).planes
    centers = parts.centers_in(plan.sides, parts.place_as_volume(part.place))
    tables = _tables_around(plan, found, part, centers)
    dtype, output_max = parts.written(part.out.dtype, planes.dtype, plan.pixel, convention)
    write = partial(_BLENDS[convention], plan, found, planes, tables, centers.for_kernel)
    arrays.write_as_rows(write, part.out, dtype, output_max)
    for p, mapped in found.mapped:
        part.out[divmod(p, status.shape[1])] = mapped[part.place]
    if convention is HISTEQ:
        arrays.fill_unmapped(part.out, status)
    return status if plan.joins_uncertain or found.refer is None else status | found.refer


def _blend(plan, found, planes, tables, centers, out_rows):
    """Write the blend of "histeq"."""
    kernels.blend_tiles(
        rows(arrays.as_pixels(planes, plan.pixel)),
        out_rows,
        (found.status | found.refer).reshape(-1),
        centers,
        found.limits,
        tables,
        plan.n_codes,
        single_or_double(plan.whole.dtype) == np.float32,
    )


def _blend_opencv(plan, found, planes, tables, centers, out_rows):
    """Write the blend of "opencv"."""
    pixels = arrays.as_pixels(planes, plan.pixel)
    kernels.blend_tiles_opencv(rows(pixels), out_rows, centers, tables)


def _blend_skimage(plan, found, planes, tables, centers, out_rows):
    """Write the blend of "skimage"."""
    values = found.values
    if values is None:  # the span is the same for all planes
        values = _values(plan, out_rows.dtype, np.array([[0, grays.N_GRAYS - 1]]))
    shared.look_up(_blended(plan, found, planes, tables, centers), values, out_rows)


_BLENDS = {HISTEQ: _blend, OPENCV: _blend_opencv, SKIMAGE: _blend_skimage}


def _values(plan, out_dtype, ranges):
    return levels.tables_of_values(ranges, single_or_double(plan.whole.dtype), out_dtype)


def _blended(plan, found, planes, tables, centers):
    """Return the grays (n_planes, n_pixels) of "skimage" between tiles."""
    codes = rows(bins_of(plan, found, planes))
    blended = np.empty_like(codes)
    kernels.blend_tiles_skimage(codes, blended, centers, tables, plan.n_codes)
    return blended


def _read_grays(plan, found, part):
    """Return the ranges (n, c, 2) of the grays that are blended in a part."""
    planes = part.planes
    if found.status.any():
        return np.zeros((*planes.shape[:2], 2), np.int64)
    centers = parts.centers_in(plan.sides, parts.place_as_volume(part.place))
    tables = _tables_around(plan, found, part, centers)
    blended = _blended(plan, found, planes, tables, centers.for_kernel)
    ranges = np.stack([blended.min(axis=1), blended.max(axis=1)], axis=1).astype(np.int64)
    return ranges.reshape(*planes.shape[:2], 2)


def _add_grays(a, b):
    """Return the ranges of grays of two parts together."""
    lows, highs = np.minimum(a[..., 0], b[..., 0]), np.maximum(a[..., 1], b[..., 1])
    return np.stack([lows, highs], axis=-1)


def _find_values(plan, found, ranges):
    """Return what is found with the values of grays, stretched over the ranges of planes."""
    if found.status.any():
        return found
    whole = plan.whole
    dtype, _ = parts.written(whole.out_dtype, whole.dtype, plan.pixel, plan.rule.convention)
    return found._replace(values=_values(plan, dtype, ranges.reshape(-1, 2)))
