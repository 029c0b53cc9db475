"""What the compiled engine learns from planes, and how learned transfer functions are applied."""

import math
from collections import deque
from functools import partial

import numpy as np

from .._arithmetic import counting, output, transfer
from .._arithmetic.status import EMPTY, INF
from .._kernels import arrays, shared
from .._kernels.arrays import FLOAT32, FLOAT64, UINT8, UINT16, rows
from .._passes import cut, part_places
from . import definition, kernels

LARGEST_POINT = 2.0**960  # less than the rounding of the largest double
N_BLENDED = 2**18  # so many pixels are blended at a time: a few doubles of each stay in the cache


# Counts -------------------------------------------------------------------------------------------


def count_levels(planes, mask):
    """Return the `counting.Levels` of each channel's counted pixels, and the planes' status."""
    pixel = arrays.pixel_dtype(planes.dtype)
    if pixel is None or pixel.kind == "f":
        return _count_distinct(planes, mask)
    # bool has two of the levels of uint8
    levels = output.all_levels(UINT8 if planes.dtype == np.bool_ else planes.dtype)
    counts = np.zeros((planes.shape[1], arrays.N_LEVELS[pixel]), np.int64)
    for block in _image_blocks(planes, pixel):
        pixels = rows(arrays.as_pixels(planes[block], pixel))
        shared.add_level_counts(pixels, _mask_rows(mask, block), counts)
    states = [counting.present_levels(levels, of_channel) for of_channel in counts]
    return states, _mask_status(planes, mask)


def count_lattice(planes, mask):
    """Return the `counting.Lattice` of each channel's counted floats, and the planes' status."""
    pixel = arrays.pixel_dtype(planes.dtype)
    if pixel is None:
        return definition.count_lattice(planes, mask)
    status, lows, highs = _find_ranges(planes, mask, pixel)
    if (status & INF).any():
        return definition.count_lattice(planes, mask)
    pairs = zip(lows.min(axis=0), highs.max(axis=0), strict=True)
    frames = [
        counting.count_lattice(np.array(pair)) if pair[0] <= pair[1] else None for pair in pairs
    ]
    starts = np.array([frame.start if frame else 0 for frame in frames], np.int64)
    exponents = np.array([frame.exponent if frame else 0 for frame in frames], np.int32)
    counts = np.zeros((planes.shape[1], counting.N_FINE), np.int64)
    for block in _image_blocks(planes, pixel):
        pixels = rows(arrays.as_pixels(planes[block], pixel))
        counted = _mask_rows(mask, block)
        kernels.add_lattice_counts(pixels, counted, starts, exponents, counts)
    lattices = [
        frame and frame._replace(counts=of_channel)
        for frame, of_channel in zip(frames, counts, strict=True)
    ]
    return lattices, status


def count_bins(planes, mask, edges):
    """Return each channel's counts over its edges, and the planes' status; 0 without edges."""
    pixel = arrays.pixel_dtype(planes.dtype)
    known = [channel for channel in edges if channel is not None]
    if pixel is None or any(channel.dtype != pixel for channel in known):
        return definition.count_bins(planes, mask, edges)
    status, _, _ = _find_ranges(planes, mask, pixel)
    n_bins = len(known[0]) - 1 if known else 1
    limits = [(0.0, 1.0) if channel is None else (channel[0], channel[-1]) for channel in edges]
    lows, highs = np.array(limits, np.float64).T.copy()
    counts = np.zeros((planes.shape[1], n_bins), np.int64)
    found = status.copy()
    for block in _image_blocks(planes, pixel):
        pixels = rows(arrays.as_pixels(planes[block], pixel))
        rest = found[block].reshape(-1), lows, highs, counts
        kernels.add_bin_counts(pixels, _mask_rows(mask, block), *rest)
    if (found & (INF | arrays.REFER)).any():
        return definition.count_bins(planes, mask, edges)
    return [0 if e is None else of for e, of in zip(edges, counts, strict=True)], status


def _count_distinct(planes, mask):
    """Return the counts of distinct values of any type, by sorting, and the planes' status."""
    status = _mask_status(planes, mask)
    if planes.dtype.kind == "f":
        status, _, _ = _find_ranges(planes, mask, arrays.pixel_dtype(planes.dtype))
    dtype = arrays.computing_dtype(planes.dtype)
    blocks = []
    for block in arrays.image_slices(planes, True):
        pixels = planes[block].astype(dtype, copy=False)
        counted = np.isfinite(pixels)
        if mask is not None:
            counted &= mask[block][:, np.newaxis]
        channels = zip(pixels.swapaxes(0, 1), counted.swapaxes(0, 1), strict=True)
        blocks.append([counting.count_levels(x[counts]) for x, counts in channels])
    return [
        counting.merge(*(np.concatenate(arrays) for arrays in zip(*states, strict=True)))
        for states in zip(*blocks, strict=True)
    ], status


# Learned transfer functions -----------------------------------------------------------------------


def apply(planes, mask, out, learned, convention, blend=None):
    """Map each plane by the learned transfer function of its channel; see `definition.apply`."""
    if blend is not None and (planes.dtype.kind == "f" or planes.dtype.itemsize > 2):
        function = partial(apply, learned=learned, convention=convention)
        return blended(function, planes, mask, out, blend)
    status = _compare_ranges(planes, mask, learned.ranges)
    own_dtype = convention.default_output_dtype(planes.dtype)
    map_by_transfers(planes, out, learned.transfers, own_dtype, convention.output_max, blend)
    arrays.fill_unmapped(out, status)
    return status


def _compare_ranges(planes, mask, ranges):
    """Return the status of planes, with FAR where they leave the range of their channel."""
    pixel = arrays.pixel_dtype(planes.dtype) or planes.dtype.newbyteorder("=")
    if pixel.kind == "u":
        ranges = ranges + arrays.sign_bit(planes.dtype)
    status = np.empty(planes.shape[:2], np.uint8)
    for block in _image_blocks(planes, pixel):
        pixels = rows(arrays.as_pixels(planes[block], pixel))
        kernels.compare_ranges(pixels, _mask_rows(mask, block), ranges, status[block].reshape(-1))
    return status


def map_by_transfers(planes, out, transfers, own_dtype, output_max, blend=None):
    """Map each channel by its transfer function, and blend integers of one or two bytes.

    Values are cast to own_dtype, of which output_max becomes the largest level of an integer
    output; None: values are not scaled.
    """
    if planes.dtype.kind == "f":
        _interpolate(planes, out, transfers, own_dtype, output_max)
        return
    levels = _levels(planes.dtype, transfers)
    if levels is not None:
        values = [transfer.apply(found, levels).astype(own_dtype) for found in transfers]
        if blend is not None:
            values = [blend.values(levels, of_channel) for of_channel in values]
        _look_up(planes, out, values, output_max, levels)
        return
    for channel, found in enumerate(transfers):
        one = planes[:, channel : channel + 1], out[:, channel : channel + 1]
        if found.is_step:
            _look_up_steps(*one, found, own_dtype, output_max)
        else:
            _interpolate(*one, [found], own_dtype, output_max)


def invert(planes, out, transfers, output_max):
    """Map equalized planes (n, c, h, w) back by each channel's `transfer.invert`.

    Floats are values of the convention, integers their share of output_max. `out` is of floats.
    Return the planes' status, NAN and INF.
    """
    pixel = arrays.pixel_dtype(planes.dtype)
    inverses = [transfer.inverse(found) for found in transfers]
    if pixel is None:
        scaled = planes / output.largest_level(planes.dtype) * output_max
        _interpolate(scaled, out, inverses, FLOAT64, None)
        return _mask_status(planes, None)
    if pixel.kind == "u":
        levels = output.all_levels(planes.dtype)
        shares = levels / output.largest_level(planes.dtype) * output_max
        values = [transfer.apply(inverse, shares) for inverse in inverses]
        _look_up(planes, out, values, None, levels)
        return _mask_status(planes, None)
    _interpolate(planes, out, inverses, FLOAT64, None)
    status = _find_ranges(planes, None, pixel)[0] & ~np.uint8(EMPTY)
    arrays.fill_unmapped(out, status)
    return status


def _levels(dtype, transfers):
    """Return the levels that a lookup table needs, in order; None: more than 65,536.

    Of one or two bytes all levels; else those from the first point to the last, since levels beyond
    have the value of the first or last.
    """
    if dtype.itemsize <= 2:
        levels = output.all_levels(dtype)
        return levels.view(np.uint8) if levels.dtype == np.bool_ else levels
    # as Python's numbers, of which integers are exact; bins of doubles may end beyond the dtype
    least, largest = output.smallest_level(dtype), output.largest_level(dtype)
    low = min(math.floor(found.points[0].item()) for found in transfers)
    high = max(math.ceil(found.points[-1].item()) for found in transfers)
    low, high = (min(max(least, level), largest) for level in (low, high))
    if high - low >= arrays.N_LEVELS[UINT16]:
        return None
    native = dtype.newbyteorder("=")
    return np.arange(high - low + 1).astype(native) + native.type(low)


def _look_up(planes, out, values, output_max, levels):
    """Map integers by each channel's values of levels; those beyond have that of an outer one."""
    pixel = arrays.pixel_dtype(planes.dtype) or UINT16
    tables = np.zeros((len(values), arrays.N_LEVELS[pixel]), values[0].dtype)  # bool has two levels
    tables[:, : len(values[0])] = values
    tables = arrays.as_written(tables, out.dtype, output_max)
    are_copied = arrays.is_copied(planes, pixel, out)
    places = part_places(planes.shape[2:], arrays.N_COPIED if are_copied else None)
    for block in arrays.image_slices(planes, are_copied):
        for part in cut(planes[block], None, out[block], places):
            if planes.dtype.itemsize <= 2:
                pixels = arrays.as_pixels(part.planes, pixel)
            else:
                pixels = arrays.as_native(part.planes).clip(levels[0], levels[-1])
                pixels = (pixels - levels[0]).astype(UINT16)
            arrays.look_up(rows(pixels), tables, part.out, output_max)


def _interpolate(planes, out, transfers, own_dtype, output_max):
    """Map floats by each channel's transfer function, in doubles, and then in own_dtype."""
    knots = [_knots(found) for found in transfers]
    is_float32 = all(found.points.dtype == FLOAT32 for found in transfers)
    pixel = arrays.pixel_dtype(planes.dtype) if is_float32 else FLOAT64
    for block in arrays.image_slices(planes, True):
        for channel, found in enumerate(transfers):
            part = out[block, channel]
            written = arrays.writable(part, own_dtype)
            pixels = np.require(planes[block, channel], pixel, ["C", "A"])
            status = knots[channel] is None or kernels.interpolate_at(
                pixels.reshape(-1),
                knots[channel],
                own_dtype == FLOAT32,
                output_max or 1.0,
                written.reshape(-1),
            )
            if status:
                written = transfer.apply(found, pixels).astype(own_dtype, copy=False)
            arrays.write_back(written, part, output_max)


def _knots(found):
    """Return the points, values and slopes of a transfer function; None where it is no line.

    None, too, where a point is so large that the distance of a pixel from it may be infinite.
    """
    points, values = (array.astype(np.float64) for array in found[:2])
    with np.errstate(all="ignore"):
        slopes = np.diff(values) / np.diff(points)
    knots = np.stack([points, values, np.append(slopes, 0)])
    is_line = np.isfinite(knots).all() and np.abs(points).max() < LARGEST_POINT
    return knots if is_line and not found.is_step else None


def _look_up_steps(planes, out, found, own_dtype, output_max):
    """Map the integers of one channel, of four or eight bytes, by the steps of its function."""
    native = planes.dtype.newbyteorder("=")
    points = np.require(found.points, native, ["C", "A"])
    values = arrays.as_written(found.values.astype(own_dtype), out.dtype, output_max)
    for block in arrays.image_slices(planes, True):
        written = arrays.writable(out[block], own_dtype)
        pixels = arrays.as_native(planes[block])
        kernels.look_up_steps(pixels.reshape(-1), points, values, written.reshape(-1))
        arrays.write_back(written, out[block], output_max)


# Blended with the image ---------------------------------------------------------------------------


def blended(function, planes, mask, out, blend, map_parts=map):
    """Write the values of function(planes, mask, mapped), blended with the planes, into out.

    The convention's own type is one of floats. Return the planes' status, as the function does.
    """
    status = np.empty(planes.shape[:2], np.uint8)
    for block in arrays.image_slices(planes, True, N_BLENDED):
        x, written = planes[block], out[block]
        is_own = isinstance(written, np.ndarray) and written.dtype == blend.own_dtype
        mapped = written if is_own else np.empty(x.shape, blend.own_dtype)
        status[block] = function(x, None if mask is None else mask[block], mapped)
        parts = ((..., *place) for place in part_places(x.shape[2:], N_BLENDED, by_rows=True))
        pixels = ((x[part], mapped[part], written[part]) for part in parts)
        deque(map_parts(partial(_blend, blend), pixels), maxlen=0)
    return status


def write_blended(blend, write, found, part):
    """Write the values of write(found, part), blended with the planes; return the status."""
    is_own = part.out.dtype == blend.own_dtype
    mapped = part.out if is_own else np.empty(part.out.shape, blend.own_dtype)
    status = write(found, part._replace(out=mapped))
    _blend(blend, (part.planes, mapped, part.out))
    return status | blend.status(part.planes)


def _blend(blend, pixels):
    """Blend planes with their mapped values, and write them; pixels are these three arrays."""
    planes, mapped, out = pixels
    own_dtype, (low, high) = blend.own_dtype, blend.limits
    written = arrays.writable(out, own_dtype)
    kernels.blend(
        *(rows(arrays.contiguous(array, own_dtype)) for array in (planes, mapped)),
        *(blend.strength, low, high, blend.is_given, blend.top),
        rows(written),
    )
    arrays.write_back(written, out, blend.top)


# What the functions above share -------------------------------------------------------------------


def _image_blocks(planes, pixel):
    """Return slices of images: all where none is copied."""
    return arrays.image_slices(planes, not arrays.is_kernel_ready(planes, pixel))


def _mask_rows(mask, block):
    """Return the mask of a block of images as kernels take it."""
    return None if mask is None else arrays.mask_rows(mask[block])


def _mask_status(planes, mask):
    """Return the status of planes without NaN and infinities."""
    status = np.zeros(planes.shape[:2], np.uint8)
    if mask is not None:
        status[~mask.any(axis=(1, 2))] = EMPTY
    return status


def _find_ranges(planes, mask, pixel):
    """Return the status and the counted range of planes of floats: three arrays (n, c)."""
    status = np.empty(planes.shape[:2], np.uint8)
    lows, highs = np.empty((2, *status.shape))
    for block in _image_blocks(planes, pixel):
        pixels = rows(arrays.as_pixels(planes[block], pixel))
        found = (array[block].reshape(-1) for array in (status, lows, highs))
        shared.find_ranges(pixels, _mask_rows(mask, block), *found)
    return status, lows, highs
