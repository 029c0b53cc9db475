"""The compiled engine's equalization in passes over parts of planes: counts, functions, values.

Counts add up over parts, whatever cuts them. Levels of one or two bytes are looked up in tables,
floats are mapped by straight lines between the points of bins. All other integers, and floats whose
bins have no meaning, are counted by their distinct values.
"""

from functools import partial
from itertools import chain
from operator import add
from typing import Any, NamedTuple

import numpy as np

from .._arithmetic import counting, output, spans, transfer
from .._arithmetic.spans import Span
from .._arithmetic.status import EMPTY, INF, joined
from .._kernels import arrays, shared
from .._kernels.arrays import FLOAT32, FLOAT64, rows
from .._passes import Passes, Read
from . import kernels
from .compiled_learning import count_levels, map_by_transfers
from .conventions import SKIMAGE, EqualizeConvention
from .from_counts import binned, edges_of, of_bins, of_levels


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


def passes_of(plan, ranges, is_masked, out_dtype):
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
    functions : dict of int to `transfer.TransferFunction`
        Those of the planes that kernels are not certain of.
    """

    status: np.ndarray
    lows: np.ndarray
    highs: np.ndarray
    without_bins: np.ndarray
    values: Any = None
    kept: Any = None
    functions: Any = ()


def _find_ranges(plan, _, part):
    """Return the status (n, c), lows and highs (n_planes,) of a part of planes."""
    pixels, counted = _pixels(part, plan)
    status = np.empty(part.planes.shape[:2], np.uint8)
    lows, highs = np.empty((2, len(pixels)))
    shared.find_ranges(pixels, counted, status.reshape(-1), lows, highs)
    return status, lows, highs


def _join_ranges(a, b):
    """Return the statuses, lows and highs of two parts together."""
    return joined(a[0], b[0]), np.minimum(a[1], b[1]), np.maximum(a[2], b[2])


def _find_bins(given, _, ranges):
    """Return what the bins of whole planes span, whose transfer functions are still to be found."""
    status, low, high = ranges
    if given is not None:
        own = np.stack([low, high], axis=1).reshape(*status.shape, 2)
        low, high = np.where(np.isnan(given), own, given).reshape(-1, 2).T.copy()
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
    # pickled formulas are equal, and not the same object
    dtype = FLOAT64 if plan.formula != SKIMAGE.formulas["uniform"] else plan.pixel
    limits = lows.astype(plan.pixel), highs.astype(plan.pixel)
    edges = np.linspace(*limits, plan.n_bins + 1, axis=-1, dtype=plan.pixel)
    values = plan.formula.values(counts, np.diff(edges).astype(FLOAT64), dtype)
    values = np.ascontiguousarray(values, FLOAT64)
    kept = counts if plan.formula.counted_only else None
    return Curves(status, lows, highs, found.without_bins, values, kept)


def _apply_curves(plan, found, part):
    """Map a part of planes by their transfer functions; return the planes' status."""
    written = arrays.writable(part.out, plan.own_dtype)
    status = _map_by_curves(plan, found, _pixels(part, plan)[0], written)
    arrays.write_back(written, part.out, plan.convention.output_max)
    status[found.without_bins & (status & (INF | EMPTY) == 0)] |= arrays.REFER
    return status.reshape(found.status.shape)


def _map_by_curves(plan, found, pixels, written):
    """Map rows of pixels by their transfer functions; return their status, perhaps REFER."""
    status = found.status.reshape(-1).copy()
    kernels.apply_curves(
        pixels,
        status,
        found.lows,
        found.highs,
        found.values,
        found.kept,
        not plan.formula.at_left_edges,
        plan.own_dtype == FLOAT32,
        plan.convention.output_max or 1.0,
        rows(written),
    )
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
    return as_stored(values, out_dtype, plan)


def as_stored(values, out_dtype, plan):
    """Return values of the convention as a kernel writes them."""
    values = values.astype(plan.own_dtype, copy=False)
    if plan.blend is not None:
        values = plan.blend(values)
    return arrays.as_written(values, out_dtype, plan.convention.output_max)


# Floats in a chunk of a dask array: no other engine sees whole planes


def passes_of_floats(plan, rule):
    """Return how floats are equalized in passes, also where kernels are not certain of the bits."""
    limits = spans.limits_of(rule.span, np.empty(0, plan.pixel))
    write = partial(_write_floats, plan)
    if limits is not None:
        find = partial(_find_between, plan, rule, limits)
        return Passes((Read(partial(_count_between, plan, limits), _add_between, find),), write)
    reads = (
        Read(partial(_find_ranges, plan), _join_ranges, partial(_find_bins, None), "range"),
        Read(partial(_count_floats, plan), _add_floats, partial(_find_functions, plan, rule)),
    )
    return Passes(reads, write)


def _count_floats(plan, found, part):
    """Return counts in bins, the status, and the distinct values of planes without such bins."""
    counts, status = _count_bins(plan, found, part)
    refused, of_planes = INF | EMPTY, status.reshape(-1)
    has_none = (of_planes & arrays.REFER > 0) | found.without_bins & (of_planes & refused == 0)
    exact = {p: _levels_of(part, p) for p in np.flatnonzero(has_none).tolist()}
    return counts, status, exact


def _add_floats(a, b):
    """Return the counts of two parts together."""
    exact = a[2] | b[2]
    exact |= {p: counting.add_levels(a[2][p], b[2][p]) for p in a[2].keys() & b[2].keys()}
    return *_add_counts(a[:2], b[:2]), exact


def _count_between(plan, limits, _, part):
    """Return the ranges of a part, and its counts in bins between limits."""
    ranges = _find_ranges(plan, None, part)
    return ranges, _count_floats(plan, _find_bins(limits, None, ranges), part)


def _add_between(a, b):
    """Return the ranges and the counts of two parts together."""
    return _join_ranges(a[0], b[0]), _add_floats(a[1], b[1])


def _find_between(plan, rule, limits, _, found):
    """Return the transfer functions of planes from their counts in bins between limits."""
    ranges, (counts, status, exact) = found
    bins = _find_bins(limits, None, ranges)
    refer = status & arrays.REFER
    return _find_functions(plan, rule, bins, (counts, ranges[0] | refer, exact))


def _find_functions(plan, rule, found, counted):
    """Return the transfer functions of planes; those that kernels refuse one by one."""
    counts, status, exact = counted
    curves = _find_curves(plan, found, (counts, status))
    nothing = np.empty((len(counts), 0), plan.pixel), np.empty((1, len(counts), 0), plan.own_dtype)
    status = _map_by_curves(plan, curves, *nothing)  # asks whether the kernel is certain
    functions = {p: _function_of(levels, rule) for p, levels in exact.items()}
    has_function = status & (INF | EMPTY) == 0
    for p in np.flatnonzero(has_function & (status & arrays.REFER > 0)).tolist():
        if p not in functions:
            limits = curves.lows[p], curves.highs[p]
            edges = transfer.bin_edges(*limits, plan.n_bins, plan.pixel)
            functions[p] = of_bins(counts[p], edges, rule)[1]
    return curves._replace(status=curves.status & ~np.uint8(arrays.REFER), functions=functions)


def _function_of(levels, rule):
    """Return the transfer function of exactly counted floats."""
    return binned(levels, edges_of(levels, rule, levels.levels.dtype), rule)[1]


def _levels_of(part, p):
    """Return the counts of the distinct values of one plane."""
    i, channel = divmod(p, part.planes.shape[1])
    mask = None if part.mask is None else part.mask[i : i + 1]
    return count_levels(part.planes[i : i + 1, channel : channel + 1], mask)[0][0]


def _write_floats(plan, found, part):
    """Map a part of planes by their transfer functions; return the planes' status."""
    _apply_curves(plan, found, part)
    for p, function in found.functions.items():
        i, channel = divmod(p, part.planes.shape[1])
        one = np.s_[i : i + 1, channel : channel + 1]
        rest = [function], plan.own_dtype, plan.convention.output_max
        map_by_transfers(part.planes[one], part.out[one], *rest)
    arrays.fill_unmapped(part.out, found.status)
    return found.status


# Integers by their distinct values


class Functions(NamedTuple):
    """The transfer functions of each channel of each image, None where no pixel counts."""

    of_images: list
    status: np.ndarray


class Stored(NamedTuple):
    """How the values of transfer functions become output.

    Attributes
    ----------
    dtype, own_dtype, out_dtype : dtypes
        Those of the planes, of the values, and of the output.
    output_max : float or None
        What becomes the largest level of an integer output; None: values are not scaled.
    blend : object with a method values(levels, mapped), or None
        How the values of levels of one or two bytes are blended with these levels.
    """

    dtype: np.dtype
    own_dtype: np.dtype
    out_dtype: np.dtype
    output_max: float | None
    blend: Any = None


def passes_by_levels(function_of, stored):
    """Return how integers of any type are mapped in passes, by their levels.

    function_of(levels, channel) returns the transfer function of counted levels.
    """
    find = partial(_find_by_levels, function_of, stored)
    write = partial(_write_by_levels if stored.dtype.itemsize > 2 else _write_by_tables, stored)
    return Passes((Read(count_each, add_each, find),), write)


def count_each(_, part):
    """Return the `counting.Levels` of each channel of each image of a part."""
    masks = [None] * len(part.planes) if part.mask is None else part.mask[:, np.newaxis]
    pairs = zip(part.planes, masks, strict=True)
    return [count_levels(planes[np.newaxis], mask)[0] for planes, mask in pairs]


def add_each(a, b):
    """Return the levels of two parts together."""
    return [list(map(counting.add_levels, *pair)) for pair in zip(a, b, strict=True)]


def empty_of(found):
    """Return the status EMPTY of planes, where their `counting.Levels` have none."""
    return np.array([[EMPTY * (of.counts.size == 0) for of in each] for each in found], np.uint8)


def _find_by_levels(function_of, stored, _, found):
    """Return the transfer functions of planes of integers from their levels, or lookup tables."""
    functions = [
        [function_of(of, c) if of.counts.size else None for c, of in enumerate(each)]
        for each in found
    ]
    status = empty_of(found)
    if stored.dtype.itemsize > 2:
        return Functions(functions, status)
    levels = output.all_levels(stored.dtype)
    levels = levels.view(np.uint8) if levels.dtype == np.bool_ else levels
    pixel = arrays.pixel_dtype(stored.dtype)
    tables = np.zeros((status.size, arrays.N_LEVELS[pixel]), stored.own_dtype)
    for table, function in zip(tables, chain.from_iterable(functions), strict=True):
        if function is not None:
            values = transfer.apply(function, levels).astype(stored.own_dtype)
            values = values if stored.blend is None else stored.blend.values(levels, values)
            table[: levels.size] = values  # bool has two levels
    return Tables(arrays.as_written(tables, stored.out_dtype, stored.output_max), status)


def _write_by_tables(stored, found, part):
    """Map a part of planes by lookup tables; return the planes' status."""
    pixels = rows(arrays.as_pixels(part.planes, arrays.pixel_dtype(stored.dtype)))
    arrays.look_up(pixels, found.values, part.out, stored.output_max)
    return found.status


def _write_by_levels(stored, found, part):
    """Map a part of planes of wide integers; return the planes' status."""
    for i, functions in enumerate(found.of_images):
        if None not in functions:
            one = part.planes[i : i + 1], part.out[i : i + 1]
            map_by_transfers(*one, functions, stored.own_dtype, stored.output_max)
    return found.status


def function_by_levels(rule, levels, _):
    """Return the transfer function that a rule gives to counted levels of one plane."""
    if rule.span.percentages is not None:
        found = spans.limits_of_counts(rule.span, levels.levels, levels.counts)
        low, high = levels.levels[[0, -1]].astype(np.float64) if found is None else found
        rule = rule._replace(span=Span((float(low), float(high))))
    return of_levels(levels, rule)[1]
