"""The compiled engine's equalization: fused kernels, or counts, formula and values in turn.

The formulas of the usual conventions have a kernel that does all of a plane at once. For any other,
kernels count a block of planes, NumPy turns all counts into transfer functions at once, and kernels
apply these. Threads share a large plane in the same steps. Planes whose bins have no meaning go to
the definition. The bits are the same on every way.
"""

from functools import lru_cache, partial
from operator import add
from typing import Any, NamedTuple

import numpy as np

from .._arithmetic import output, spans, transfer
from .._arithmetic.status import EMPTY, INF
from .._kernels import arrays, shared
from .._kernels.arrays import FLOAT32, FLOAT64, UINT8, UINT16, rows
from .._passes import Passes, Read, cut, in_passes, part_places
from . import definition, kernels
from .compiled_learning import apply, blended, count_bins, count_lattice, count_levels, invert
from .conventions import SKIMAGE, EqualizeConvention

__all__ = ["apply", "count_bins", "count_lattice", "count_levels", "equalize", "invert"]

# The scratch for more bins would be large.
MOST_BINS = 2**18


class Plan(NamedTuple):
    """What is the same for every plane of a call.

    Attributes
    ----------
    pixel : dtype
        The type that kernels read.
    n_bins : int
        0: one bin per level.
    formula : `transfer.Formula`
    convention : `conventions.EqualizeConvention`
    own_dtype : dtype
        The convention's own output type for these images.
    is_wide : bool
        Levels of four or eight bytes, which are read less the least of their plane, or as ranks.
    blend : callable or None
        blend(values) returns the values of all levels of bytes, blended with these levels.
    """

    pixel: np.dtype
    n_bins: int
    formula: transfer.Formula
    convention: EqualizeConvention
    own_dtype: np.dtype
    is_wide: bool
    blend: Any = None

    def as_reals(self):
        """Return the plan to count integers in bins, as doubles, where no fused kernel does."""
        return self._replace(pixel=FLOAT64) if self.n_bins and arrays.N_LEVELS[self.pixel] else self


def equalize(planes, mask, out, rule, map_parts=map):
    """Equalize each plane by its own CDF into out; see `definition.equalize`.

    map_parts(function, parts), like the builtin map but perhaps in threads, shares the work on a
    plane of many pixels.
    """
    plan = _plan(planes.dtype, rule)
    if plan is None or planes.shape[2] * planes.shape[3] > arrays.MOST_PIXELS:
        return definition.equalize(planes, mask, out, rule)
    if rule.blend is not None and plan.blend is None:
        function = partial(equalize, rule=rule._replace(blend=None), map_parts=map_parts)
        return blended(function, planes, mask, out, rule.blend, map_parts)
    if planes.strides[2] < planes.strides[3]:
        # column by column in memory: no histogram minds
        planes, out = planes.swapaxes(2, 3), out.swapaxes(2, 3)
        mask = None if mask is None else mask.swapaxes(1, 2)
    ranges = None if rule.span == spans.OWN else spans.given_ranges(rule.span, planes, mask)
    if plan.n_bins and planes.dtype.kind in "iu" and rule.has_exact_bins:
        status = _equalize_exact(planes, mask, out, plan, map_parts)
    else:
        status = _equalize(planes, mask, out, plan, ranges, map_parts)
    if status.any():
        for index, plane in arrays.single_planes(planes, mask, out, status & arrays.REFER):
            status[index] = definition.equalize(*plane, rule)
        arrays.fill_unmapped(out, status)
    return status


@lru_cache(maxsize=128)
def _plan(dtype, rule):
    """Return how the kernels take planes of a dtype, or None where they do not."""
    kind, itemsize = dtype.kind, dtype.itemsize
    n_bins = rule.bins_of(dtype) or 0
    own_dtype = rule.convention.default_output_dtype(dtype)
    if kind not in "biuf" or itemsize > 8 or n_bins > MOST_BINS:
        return None
    if n_bins and own_dtype not in (FLOAT32, FLOAT64):
        return None
    is_wide = n_bins == 0 and itemsize > 2
    if n_bins and (kind == "i" or (kind == "u" and itemsize > 2)):
        pixel: np.dtype = FLOAT64
    else:
        pixel = UINT16 if is_wide else arrays.pixel_dtype(dtype)
    blend = None
    if rule.blend is not None and pixel == UINT8 and not n_bins:
        levels = output.all_levels(UINT8 if dtype == np.bool_ else dtype)
        blend = partial(rule.blend.values, levels)
    return Plan(pixel, n_bins, rule.formula, rule.convention, own_dtype, is_wide, blend)


# Which way planes go ------------------------------------------------------------------------------


def _equalize_exact(planes, mask, out, plan, map_parts):
    """Equalize integers in bins; those that doubles do not hold take their ranks."""
    if planes.dtype.itemsize < 8:
        return _equalize(planes, mask, out, plan, None, map_parts)
    beyond = planes > transfer.LARGEST_EXACT
    if planes.dtype.kind == "i":
        beyond |= planes < -transfer.LARGEST_EXACT
    if mask is not None:
        beyond &= mask[:, np.newaxis]
    has_ranks = beyond.any(axis=(2, 3))
    if not has_ranks.any():
        return _equalize(planes, mask, out, plan, None, map_parts)
    status = np.empty(planes.shape[:2], np.uint8)
    for index, plane in arrays.single_planes(planes, mask, out, np.ones_like(has_ranks)):
        if has_ranks[index].all():
            status[index] = _equalize_ranks(*plane, plan)
        else:
            status[index] = _equalize(*plane, plan, None, map_parts)
    return status


def _equalize(planes, mask, out, plan, ranges, map_parts):
    """Equalize planes by blocks of images, or each plane in passes; return their status.

    ranges (n, c, 2) are what bins span where this is not the own range; see `spans`.
    """
    if plan.is_wide:
        return _equalize_wide(planes, mask, out, plan, map_parts)
    n_pixels = planes.shape[2] * planes.shape[3]
    are_copied = arrays.is_copied(planes, plan.pixel, out)
    status = np.empty(planes.shape[:2], np.uint8)
    n_part = arrays.N_COPIED if are_copied else arrays.N_PART
    if n_pixels > n_part and (are_copied or map_parts is not map):
        # all channels at once, since pixels may be interleaved in memory
        places = part_places(planes.shape[2:], n_part * 4 // max(4, planes.shape[1]))
        for i in range(len(planes)):
            one = slice(i, i + 1)
            counted = None if mask is None else mask[one]
            parts = cut(planes[one], counted, out[one], places)
            given = None if ranges is None else ranges[one]
            passes = _passes(plan, given, mask is not None, out.dtype)
            status[one] = in_passes(passes, parts, map_parts)
        return status
    is_fused = plan.formula.kernel is not None and plan.blend is None
    equalize_block = _fused if is_fused else _by_formula
    has_memory_per_pixel = are_copied or equalize_block is _by_formula
    for block in arrays.image_slices(planes, has_memory_per_pixel):
        counted = None if mask is None else mask[block]
        given = None if ranges is None else ranges[block]
        status[block] = equalize_block(planes[block], counted, out[block], plan, given)
    return status


def _equalize_wide(planes, mask, out, plan, map_parts):
    """Equalize integers of four or eight bytes by their levels; return their status."""
    status = np.empty(planes.shape[:2], np.uint8)
    narrow = plan._replace(is_wide=False)
    for block in arrays.image_slices(planes, True, arrays.N_RANKED):
        counted = None if mask is None else mask[block]
        pixels = arrays.as_native(planes[block])
        levels = np.zeros(pixels.shape, np.uint16)
        found = np.empty(status[block].size, np.uint8)
        kernels.narrow_planes(rows(pixels), arrays.mask_rows(counted), found, rows(levels))
        found = found.reshape(status[block].shape)
        status[block] = found | _equalize(levels, counted, out[block], narrow, None, map_parts)
        chosen = np.nonzero(found & arrays.REFER)
        if len(chosen[0]):
            status[block][chosen] = _equalize_chosen(pixels, counted, out[block], plan, chosen)
    return status


def _equalize_chosen(planes, mask, out, plan, chosen):
    """Equalize the planes of some (images, channels) by ranks, all at once; return their status."""
    counted = None if mask is None else mask[chosen[0]]
    one_channel = planes[chosen][:, np.newaxis]
    written = np.empty(one_channel.shape, out.dtype)
    status = _equalize_ranks(one_channel, counted, written, plan)
    out[chosen] = written[:, 0]
    return status[:, 0]


def _fused(planes, mask, out, plan, ranges):
    """Equalize planes by the kernel of their formula; return their status."""
    pixels, written = arrays.as_pixels(planes, plan.pixel), arrays.writable(out, plan.own_dtype)
    status = np.empty(planes.shape[:2], np.uint8)
    kernels.equalize(
        rows(pixels),
        arrays.mask_rows(mask),
        rows(written),
        status.reshape(-1),
        plan.n_bins,
        plan.formula.kernel,
        ranges,
    )
    arrays.write_back(written, out, plan.convention.output_max)
    return status


def _by_formula(planes, mask, out, plan, ranges):
    """Equalize planes step by step; return their status."""
    if plan.n_bins == 0 and plan.pixel == UINT16:
        return _equalize_ranks(planes, mask, out, plan)
    parts = cut(planes, mask, out, part_places(planes.shape[2:]))
    return in_passes(_passes(plan, ranges, mask is not None, out.dtype), parts, map)


# In passes over parts -----------------------------------------------------------------------------


def _passes(plan, ranges, is_masked, out_dtype):
    """Return how planes are equalized in passes: their counts, transfer functions, values."""
    plan = plan.as_reals()
    if not plan.n_bins:
        find = partial(_find_tables, plan, is_masked, out_dtype)
        return Passes((Read(partial(_count_levels, plan), add, find),), partial(_look_up, plan))
    reads = (
        Read(partial(_find_ranges, plan), _join_ranges, partial(_find_bins, ranges), "range"),
        Read(partial(_count_bins, plan), _add_counts, partial(_find_curves, plan)),
    )
    return Passes(reads, partial(_apply_curves, plan))


def _pixels(part, plan):
    """Return a part of planes, and of their mask, as kernels read them."""
    counted = None if part.mask is None else arrays.mask_rows(part.mask)
    return rows(arrays.as_pixels(part.planes, plan.pixel)), counted


# Levels: a lookup table per plane


class Tables(NamedTuple):
    """The lookup tables of planes (n_planes, n_levels), and their status (n, c)."""

    values: np.ndarray
    status: np.ndarray


def _count_levels(plan, _, part):
    """Return the counts of the levels of a part (n, c, n_levels)."""
    pixels, counted = _pixels(part, plan)
    counts = np.zeros((*part.planes.shape[:2], arrays.N_LEVELS[plan.pixel]), np.int64)
    shared.add_level_counts(pixels, counted, counts.reshape(len(pixels), -1))
    return counts


@np.errstate(all="ignore")  # planes without a counted pixel give no sense
def _find_tables(plan, is_masked, out_dtype, _, counts):
    """Return the lookup tables of planes from the counts of their levels."""
    values = _tables(counts.reshape(-1, counts.shape[2]), is_masked, out_dtype, plan)
    return Tables(values, (EMPTY * (counts.sum(axis=2) == 0)).astype(np.uint8))


def _look_up(plan, found, part):
    """Write the values of a part from the lookup tables of its planes."""
    arrays.look_up(_pixels(part, plan)[0], found.values, part.out, plan.convention.output_max)
    return found.status


# Reals: straight lines between the bins' points


class Curves(NamedTuple):
    """The transfer functions of planes, in equal bins over a range of each.

    Attributes
    ----------
    status : ndarray of shape (n, c)
    lows, highs : ndarrays of shape (n_planes,)
        0 and 1 where there are no bins.
    without_bins : ndarray of bool, shape (n_planes,)
    values : ndarray of shape (n_planes, n_bins), or None while it is not known
    kept : ndarray of shape (n_planes, n_bins), or None
        Counts, where bins without a count are left out.
    """

    status: np.ndarray
    lows: np.ndarray
    highs: np.ndarray
    without_bins: np.ndarray
    values: Any = None
    kept: Any = None


def _find_ranges(plan, _, part):
    """Return the status (n, c), lows and highs (n_planes,) of a part of planes."""
    pixels, counted = _pixels(part, plan)
    status = np.empty(part.planes.shape[:2], np.uint8)
    lows, highs = np.empty((2, len(pixels)))
    shared.find_ranges(pixels, counted, status.reshape(-1), lows, highs)
    return status, lows, highs


def _join_ranges(a, b):
    """Return the statuses, lows and highs of two parts together."""
    status = ((a[0] | b[0]) & ~np.uint8(EMPTY)) | (a[0] & b[0] & EMPTY)
    return status, np.minimum(a[1], b[1]), np.maximum(a[2], b[2])


def _find_bins(given, _, ranges):
    """Return what the bins of whole planes span, whose transfer functions are still to be found."""
    status, low, high = ranges
    if given is not None:
        own = np.stack([low, high], axis=1)
        low, high = np.where(np.isnan(given), own.reshape(given.shape), given).reshape(-1, 2).T
        low, high = low.copy(), high.copy()
    without_bins = (status.reshape(-1) & (INF | EMPTY) > 0) | (low == high)
    low[without_bins], high[without_bins] = 0, 1
    return Curves(status, low, high, without_bins)


def _count_bins(plan, found, part):
    """Return the counts of a part in the bins of its planes, and the planes' status."""
    pixels, counted = _pixels(part, plan)
    counts, status = np.zeros((len(pixels), plan.n_bins), np.int64), found.status.copy()
    kernels.add_bin_counts(pixels, counted, status.reshape(-1), found.lows, found.highs, counts)
    return counts, status


def _add_counts(a, b):
    """Return the counts and statuses of two parts together."""
    return a[0] + b[0], a[1] | b[1]


@np.errstate(all="ignore")  # planes without a transfer function give no sense
def _find_curves(plan, found, counted):
    """Return the transfer functions of planes from their counts."""
    counts, status = counted
    lows, highs, refer = found.lows.copy(), found.highs.copy(), status.reshape(-1) & arrays.REFER
    lows[refer > 0], highs[refer > 0] = 0, 1
    dtype = FLOAT64 if plan.formula is not SKIMAGE.formulas["uniform"] else plan.pixel
    limits = lows.astype(plan.pixel), highs.astype(plan.pixel)
    edges = np.linspace(*limits, plan.n_bins + 1, axis=-1, dtype=plan.pixel)
    values = plan.formula.values(counts, np.diff(edges).astype(FLOAT64), dtype)
    values = np.ascontiguousarray(values, FLOAT64)
    kept = counts if plan.formula.counted_only else None
    return Curves(status, lows, highs, found.without_bins, values, kept)


def _apply_curves(plan, found, part):
    """Map a part of planes by their transfer functions; return the planes' status."""
    output_max, status = plan.convention.output_max, found.status.copy()
    written, of_planes = arrays.writable(part.out, plan.own_dtype), status.reshape(-1)
    kernels.apply_curves(
        _pixels(part, plan)[0],
        of_planes,
        found.lows,
        found.highs,
        found.values,
        found.kept,
        not plan.formula.at_left_edges,
        plan.own_dtype == FLOAT32,
        output_max or 1.0,
        rows(written),
    )
    arrays.write_back(written, part.out, output_max)
    of_planes[found.without_bins & (of_planes & (INF | EMPTY) == 0)] |= arrays.REFER
    return status


def _tables(counts, is_masked, out_dtype, plan):
    """Return the lookup tables of planes (n, n_levels) from the counts of their levels.

    The formula sees levels without a pixel, too. With a mask such levels may occur; they take the
    value of the counted level below, unless the convention's tables are of all levels.
    """
    values = plan.formula.values(counts, None, FLOAT64)
    if is_masked and not plan.convention.has_all_levels:
        is_counted = counts > 0
        below = np.where(is_counted, np.arange(counts.shape[1]), 0)
        first = is_counted.argmax(axis=1)[:, np.newaxis]
        below = np.maximum(np.maximum.accumulate(below, axis=1), first)
        values = np.take_along_axis(values, below, axis=1)
    return _stored(values, out_dtype, plan)


def _stored(values, out_dtype, plan):
    """Return values of the convention as a kernel writes them."""
    values = values.astype(plan.own_dtype, copy=False)
    if plan.blend is not None:
        values = plan.blend(values)
    return arrays.as_written(values, out_dtype, plan.convention.output_max)


def _equalize_ranks(planes, mask, out, plan):
    """Equalize integers by the ranks of their distinct values; return their status."""
    status = np.empty(planes.shape[:2], np.uint8)
    for block in arrays.image_slices(planes, True, arrays.N_RANKED):
        counted = None if mask is None else mask[block]
        ranks, counts = arrays.rank_planes(planes[block], counted)
        with np.errstate(all="ignore"):  # planes without a counted pixel give no sense
            values = plan.formula.values(counts.astype(np.int64), None, FLOAT64)
            tables = _stored(values, out.dtype, plan)
        arrays.look_up(ranks, tables, out[block], plan.convention.output_max)
        status[block] = EMPTY * (counts[:, 0] == 0).reshape(status[block].shape)
    return status
