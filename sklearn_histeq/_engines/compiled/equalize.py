"""The compiled engine's equalization: fused kernels, or counts, formula and values in turn.

The formulas of the usual conventions have a kernel that does all of a plane at once. For any other,
kernels count a block of planes, NumPy turns all counts into transfer functions at once, and kernels
apply these. Threads share a large plane in the same steps. Planes whose bins have no meaning go to
the reference engine. The bits are the same on every way.
"""

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from ..._arithmetic import transfer
from ..._arithmetic.conventions import SKIMAGE, EqualizeConvention
from ..._arithmetic.status import EMPTY, INF
from . import planes as _planes
from ._kernels import REFER
from .planes import (
    FLOAT32,
    FLOAT64,
    N_COPIED,
    N_LEVELS,
    N_PART,
    N_RANKED,
    UINT16,
    kernel_for,
    rows,
)

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
    """

    pixel: np.dtype
    n_bins: int
    formula: transfer.Formula
    convention: EqualizeConvention
    own_dtype: np.dtype
    is_wide: bool

    def as_reals(self):
        """Return the plan to count integers in bins, as doubles, where no fused kernel does."""
        return self._replace(pixel=FLOAT64) if self.n_bins and N_LEVELS[self.pixel] else self


def equalize(planes, mask, out, rule, map_parts=map):
    """Equalize each plane by its own CDF into out; see `reference.equalize`.

    map_parts(function, parts), like the builtin map but perhaps in threads, shares the work on a
    plane of many pixels.
    """
    plan = _plan(planes.dtype, rule)
    if plan is None or planes.shape[2] * planes.shape[3] > _planes.MOST_PIXELS:
        return _planes.reference().equalize(planes, mask, out, rule)
    if planes.strides[2] < planes.strides[3]:
        # column by column in memory: no histogram minds
        planes, out = planes.swapaxes(2, 3), out.swapaxes(2, 3)
        mask = None if mask is None else mask.swapaxes(1, 2)
    if rule.n_bins == "auto" and plan.n_bins and planes.dtype.kind in "iu":
        status = _equalize_exact(planes, mask, out, plan, map_parts)
    else:
        status = _equalize(planes, mask, out, plan, map_parts)
    if status.any():
        for index, plane in _planes.single_planes(planes, mask, out, status & REFER):
            status[index] = _planes.reference().equalize(*plane, rule)
        _planes.fill_unmapped(out, status)
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
        pixel = UINT16 if is_wide else _planes.pixel_dtype(dtype)
    return Plan(pixel, n_bins, rule.formula, rule.convention, own_dtype, is_wide)


# Which way planes go ------------------------------------------------------------------------------


def _equalize_exact(planes, mask, out, plan, map_parts):
    """Equalize integers in bins; those that doubles do not hold take their ranks."""
    if planes.dtype.itemsize < 8:
        return _equalize(planes, mask, out, plan, map_parts)
    beyond = planes > transfer.LARGEST_EXACT
    if planes.dtype.kind == "i":
        beyond |= planes < -transfer.LARGEST_EXACT
    if mask is not None:
        beyond &= mask[:, np.newaxis]
    has_ranks = beyond.any(axis=(2, 3))
    if not has_ranks.any():
        return _equalize(planes, mask, out, plan, map_parts)
    status = np.empty(planes.shape[:2], np.uint8)
    for index, plane in _planes.single_planes(planes, mask, out, np.ones_like(has_ranks)):
        if has_ranks[index].all():
            status[index] = _equalize_ranks(*plane, plan)
        else:
            status[index] = _equalize(*plane, plan, map_parts)
    return status


def _equalize(planes, mask, out, plan, map_parts):
    """Equalize planes into out by blocks of images, or each plane by parts; return their status."""
    if plan.is_wide:
        return _equalize_wide(planes, mask, out, plan, map_parts)
    n_pixels = planes.shape[2] * planes.shape[3]
    are_copied = _planes.is_copied(planes, plan.pixel, out)
    status = np.empty(planes.shape[:2], np.uint8)
    if n_pixels > (N_COPIED if are_copied else N_PART) and (are_copied or map_parts is not map):
        # all channels at once, since pixels may be interleaved in memory
        n_part = (N_COPIED if are_copied else N_PART) * 4 // max(4, planes.shape[1])
        parts = _planes.plane_slices(planes.shape, n_part)
        for i in range(len(planes)):
            one = slice(i, i + 1)
            counted = None if mask is None else mask[one]
            steps = Steps(planes[one], counted, out[one], plan, map_parts, parts)
            status[one] = steps.equalize()
        return status
    equalize_block = _fused if plan.formula.kernel is not None else _by_formula
    has_memory_per_pixel = are_copied or equalize_block is _by_formula
    for block in _planes.image_slices(planes, has_memory_per_pixel):
        counted = None if mask is None else mask[block]
        status[block] = equalize_block(planes[block], counted, out[block], plan)
    return status


def _equalize_wide(planes, mask, out, plan, map_parts):
    """Equalize integers of four or eight bytes by their levels; return their status."""
    status = np.empty(planes.shape[:2], np.uint8)
    narrow = plan._replace(is_wide=False)
    native = planes.dtype.newbyteorder("=")
    for block in _planes.image_slices(planes, True, N_RANKED):
        counted = None if mask is None else mask[block]
        pixels = _planes.native(planes[block])
        levels = np.zeros(pixels.shape, np.uint16)
        found = np.empty(status[block].size, np.uint8)
        kernel_for("narrow_planes", native)(
            rows(pixels), _planes.mask_rows(counted), found, rows(levels)
        )
        found = found.reshape(status[block].shape)
        status[block] = found | _equalize(levels, counted, out[block], narrow, map_parts)
        chosen = np.nonzero(found & REFER)
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


def _fused(planes, mask, out, plan):
    """Equalize planes by the kernel of their formula; return their status."""
    pixels, written = _planes.as_pixels(planes, plan.pixel), _planes.writable(out, plan.own_dtype)
    status = np.empty(planes.shape[:2], np.uint8)
    kernel_for("equalize", plan.pixel, written.dtype)(
        rows(pixels),
        _planes.mask_rows(mask),
        rows(written),
        status.reshape(-1),
        plan.n_bins,
        plan.formula.kernel,
    )
    _planes.write_back(written, out, plan.convention.output_max)
    return status


def _by_formula(planes, mask, out, plan):
    """Equalize planes step by step; return their status."""
    if plan.n_bins == 0 and plan.pixel == UINT16:
        return _equalize_ranks(planes, mask, out, plan)
    return Steps(planes, mask, out, plan).equalize()


# Step by step -------------------------------------------------------------------------------------


class Steps:
    """Planes whose counts, transfer functions and values are found one after the other.

    Parameters
    ----------
    planes, mask, out
        As for `equalize`.
    plan : Plan
    map_parts : callable
        Like the builtin map.
    parts : list of indices
        Parts of the planes, of all alike.
    """

    def __init__(self, planes, mask, out, plan, map_parts=map, parts=(np.s_[:, :],)):
        self.planes, self.mask, self.out = planes, mask, out
        self.plan = plan.as_reals()
        self.map_parts, self.parts = map_parts, parts
        self.n_planes = planes.shape[0] * planes.shape[1]
        self.status = np.zeros(self.n_planes, np.uint8)

    def equalize(self):
        """Equalize the planes; return their status."""
        with np.errstate(all="ignore"):  # planes without a transfer function give no sense
            if self.plan.n_bins:
                self._equalize_bins()
            else:
                self._equalize_levels()
        return self.status.reshape(self.planes.shape[:2])

    def _each(self, function):
        """Return the results of a function of each part."""
        return list(self.map_parts(function, self.parts))

    def _pixels(self, part):
        """Return a part of the planes as kernels read it."""
        return rows(_planes.as_pixels(self.planes[part], self.plan.pixel))

    def _counted(self, part):
        """Return a part of the mask as kernels read it."""
        return None if self.mask is None else _planes.mask_rows(self.mask[part[:1] + part[2:]])

    # Levels: a lookup table per plane

    def _equalize_levels(self):
        counts: Any = sum(self._each(self._count_levels))
        tables = _tables(counts, self.mask is not None, self.out.dtype, self.plan)
        output_max = self.plan.convention.output_max

        def map_part(part):
            _planes.look_up(self._pixels(part), tables, self.out[part], output_max)

        self._each(map_part)
        self.status[counts.sum(axis=1) == 0] = EMPTY

    def _count_levels(self, part):
        """Return the counts of the levels of a part."""
        counts = np.zeros((self.n_planes, N_LEVELS[self.plan.pixel]), np.int64)
        kernel = kernel_for("add_level_counts", self.plan.pixel)
        kernel(self._pixels(part), self._counted(part), counts)
        return counts

    # Reals: straight lines between the bins' points

    def _equalize_bins(self):
        plan = self.plan
        ranges = self._each(self._find_ranges)
        statuses, lows, highs = (np.array(each) for each in zip(*ranges, strict=True))
        self.status = np.bitwise_or.reduce(statuses & ~np.uint8(EMPTY))
        self.status |= np.bitwise_and.reduce(statuses) & EMPTY
        self.lows, self.highs = lows.min(axis=0), highs.max(axis=0)
        without_bins = (self.status & (INF | EMPTY) > 0) | (self.lows == self.highs)
        self.lows[without_bins], self.highs[without_bins] = 0, 1
        counts: Any = sum(self._each(self._count_bins))
        self.lows[self.status & REFER > 0], self.highs[self.status & REFER > 0] = 0, 1
        dtype = FLOAT64 if plan.formula is not SKIMAGE.formulas["uniform"] else plan.pixel
        limits = self.lows.astype(plan.pixel), self.highs.astype(plan.pixel)
        edges = np.linspace(*limits, plan.n_bins + 1, axis=-1, dtype=plan.pixel)
        values = plan.formula.values(counts, np.diff(edges).astype(FLOAT64), dtype)
        kept = counts if plan.formula.counted_only else None
        self.curves = self.lows, self.highs, np.ascontiguousarray(values, FLOAT64), kept
        self._each(self._apply_curves)
        self.status[without_bins & (self.status & (INF | EMPTY) == 0)] |= REFER

    def _find_ranges(self, part):
        """Return (status, lows, highs) of a part of the planes."""
        status = np.empty(self.n_planes, np.uint8)
        lows, highs = np.empty((2, self.n_planes))
        kernel = kernel_for("find_ranges", self.plan.pixel)
        kernel(self._pixels(part), self._counted(part), status, lows, highs)
        return status, lows, highs

    def _count_bins(self, part):
        """Return the counts of a part in the bins of its planes."""
        counts = np.zeros((self.n_planes, self.plan.n_bins), np.int64)
        kernel = kernel_for("add_bin_counts", self.plan.pixel)
        kernel(self._pixels(part), self._counted(part), self.status, self.lows, self.highs, counts)
        return counts

    def _apply_curves(self, part):
        """Map a part of the planes by their transfer functions."""
        plan, out = self.plan, self.out[part]
        output_max = plan.convention.output_max
        written = _planes.writable(out, plan.own_dtype)
        kernel_for("apply_curves", plan.pixel, written.dtype)(
            self._pixels(part),
            self.status,
            self.curves,
            not plan.formula.at_left_edges,
            plan.own_dtype == FLOAT32,
            output_max or 1.0,
            rows(written),
        )
        _planes.write_back(written, out, output_max)


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
    return _planes.as_written(values, out_dtype, plan.convention.output_max)


def _equalize_ranks(planes, mask, out, plan):
    """Equalize integers by the ranks of their distinct values; return their status."""
    status = np.empty(planes.shape[:2], np.uint8)
    for block in _planes.image_slices(planes, True, N_RANKED):
        counted = None if mask is None else mask[block]
        ranks, counts = _planes.ranks(planes[block], counted)
        with np.errstate(all="ignore"):  # planes without a counted pixel give no sense
            values = plan.formula.values(counts.astype(np.int64), None, FLOAT64)
            tables = _stored(values, out.dtype, plan)
        _planes.look_up(ranks, tables, out[block], plan.convention.output_max)
        status[block] = EMPTY * (counts[:, 0] == 0).reshape(status[block].shape)
    return status
