"""The compiled engine's equalization: fused kernels, or counts, formula and values in turn.

The formulas of the usual conventions have a kernel that does all of a plane at once. For any other,
kernels count a block of planes, NumPy turns all counts into transfer functions at once, and kernels
apply these. Threads share a large plane in the same steps. Planes whose bins have no meaning go to
the definition. The bits are the same on every way.
"""

from functools import lru_cache, partial

import numpy as np

from .._arithmetic import output, spans, transfer
from .._arithmetic.status import EMPTY
from .._kernels import arrays
from .._kernels.arrays import FLOAT32, FLOAT64, UINT8, UINT16, rows
from .._passes import cut, in_passes, part_places
from . import definition, kernels
from .compiled_learning import (
    apply,
    blended,
    count_bins,
    count_lattice,
    count_levels,
    invert,
    write_blended,
)
from .compiled_passes import (
    Plan,
    Stored,
    add_each,
    as_stored,
    count_each,
    empty_of,
    function_by_levels,
    passes_by_levels,
    passes_of,
    passes_of_floats,
)

__all__ = [
    "Stored",
    "add_each",
    "apply",
    "count_bins",
    "count_each",
    "count_lattice",
    "count_levels",
    "empty_of",
    "equalize",
    "invert",
    "passes",
    "passes_by_levels",
]

# The scratch for more bins would be large.
MOST_BINS = 2**18


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
    given = None if rule.span == spans.OWN else spans.given_ranges(rule.span, planes, mask)
    if plan.n_bins and planes.dtype.kind in "iu" and rule.has_exact_bins:
        status = _equalize_exact(planes, mask, out, plan, map_parts)
    else:
        status = _equalize(planes, mask, out, plan, given, map_parts)
    if status.any():
        for index, plane in arrays.single_planes(planes, mask, out, status & arrays.REFER):
            status[index] = definition.equalize(*plane, rule)
        arrays.fill_unmapped(out, status)
    return status


def passes(whole, rule):
    """Return the `Passes` that equalize parts of planes, or why these must be whole."""
    plan, blend = _plan(whole.dtype, rule), rule.blend
    if plan is None:
        return "so many bins are counted in whole images only"
    is_narrow = whole.dtype.kind != "f" and whole.dtype.itemsize <= 2
    if whole.dtype.kind == "f":
        if rule.span.percentages is not None:
            return "quantiles of floats need all pixels in order"
        found = passes_of_floats(plan, rule)
    elif plan.n_bins or plan.is_wide:
        own = rule.convention.default_output_dtype(whole.dtype), whole.out_dtype
        stored = Stored(whole.dtype, *own, rule.convention.output_max, blend)
        found = passes_by_levels(partial(function_by_levels, rule), stored)
    else:
        if blend is not None:
            plan = plan._replace(blend=partial(blend.values, _levels(whole.dtype)))
        found = passes_of(plan, None, whole.is_masked, whole.out_dtype)
    if blend is None or is_narrow:
        return found
    return found._replace(write=partial(write_blended, blend, found.write))


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
        blend = partial(rule.blend.values, _levels(dtype))
    return Plan(pixel, n_bins, rule.formula, rule.convention, own_dtype, is_wide, blend)


def _levels(dtype):
    """Return all levels of a type of one or two bytes."""
    return output.all_levels(UINT8 if dtype == np.bool_ else dtype)


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
            passes = passes_of(plan, given, mask is not None, out.dtype)
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
    return in_passes(passes_of(plan, ranges, mask is not None, out.dtype), parts, map)


def _equalize_ranks(planes, mask, out, plan):
    """Equalize integers by the ranks of their distinct values; return their status."""
    status = np.empty(planes.shape[:2], np.uint8)
    for block in arrays.image_slices(planes, True, arrays.N_RANKED):
        counted = None if mask is None else mask[block]
        ranks, counts = arrays.rank_planes(planes[block], counted)
        with np.errstate(all="ignore"):  # planes without a counted pixel give no sense
            values = plan.formula.values(counts.astype(np.int64), None, FLOAT64)
            tables = as_stored(values, out.dtype, plan)
        arrays.look_up(ranks, tables, out[block], plan.convention.output_max)
        status[block] = EMPTY * (counts[:, 0] == 0).reshape(status[block].shape)
    return status
