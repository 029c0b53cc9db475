"""The compiled engine's histogram matching, and the quantiles that it learns.

Targets whose slopes overflow go to the reference engine, with the same bits.
"""

import numpy as np

from .._arithmetic import output, transfer
from .._arithmetic.dtypes import single_or_double
from .._arithmetic.status import EMPTY, INF, of_values
from .._kernels import arrays
from .._kernels.arrays import FLOAT64, rows
from .._passes import Whole, cut, in_passes, part_places
from . import definition, kernels
from .compiled_landmarks import landmark_passes, landmarks, percentiles, sum_passes
from .compiled_passes import passes, quantile_passes
from .large import NO_RANGE, places_of_range, ranges_of_values

__all__ = [
    "landmark_passes",
    "landmarks",
    "match",
    "passes",
    "percentiles",
    "quantile_passes",
    "quantiles",
    "sum_passes",
]


def match(planes, mask, out, targets, map_parts=map):
    """Map each plane to its channel's target distribution; see `definition.match`."""
    is_wide = planes.dtype.kind in "iu" and planes.dtype.itemsize == 8
    is_double = planes.dtype.kind in "iu" and planes.dtype.itemsize == 4
    pixel = FLOAT64 if is_double else arrays.pixel_dtype(planes.dtype)
    if (pixel is None and not is_wide) or planes[0, 0].size > arrays.MOST_PIXELS:
        return definition.match(planes, mask, out, targets)
    status = np.zeros(planes.shape[:2], np.uint8)
    if planes[0, 0].size > arrays.N_PART:
        for index, plane in arrays.single_planes(planes, mask, out, np.ones_like(status)):
            target = targets[index[1].start]
            status[index] = _match_large(*plane, target, pixel, map_parts)
        return status
    return _match(planes, mask, out, targets, pixel)


def _match_large(planes, mask, out, target, pixel, map_parts):
    """Match one large plane, in parts where that is possible; return its status."""
    are_levels = pixel is not None and pixel.kind == "u"
    if are_levels and (map_parts is not map or arrays.is_copied(planes, pixel, out)):
        whole = Whole(planes.shape[2:], planes.dtype, out.dtype, mask is not None)
        parts = cut(planes, mask, out, part_places(planes.shape[2:], arrays.N_PART))
        status = in_passes(passes(whole, [target]), parts, map_parts)
        arrays.fill_unmapped(out, status)
        return status
    is_real = pixel is not None and pixel.kind == "f"
    if is_real and mask is None and target.is_finite():
        return _match_reals_in_parts(planes, out, target, map_parts)
    return _match(planes, mask, out, [target], pixel)


def _match(planes, mask, out, targets, pixel):
    """Match planes in turn, by ranks where pixel is None; return their status."""
    is_wide = pixel is None
    status = np.zeros(planes.shape[:2], np.uint8)
    are_copied = is_wide or arrays.is_copied(planes, pixel, out)
    for block in arrays.image_slices(planes, are_copied, arrays.N_RANKED if is_wide else None):
        counted = None if mask is None else mask[block]
        if is_wide:
            status[block] = _match_ranks(planes[block], counted, out[block], targets)
        else:
            status[block] = _match_block(planes[block], counted, out[block], targets, pixel)
    for channel, target in enumerate(targets):
        if not target.is_finite():
            one = np.s_[:, channel : channel + 1]
            status[one] = definition.match(planes[one], mask, out[one], [target])
    arrays.fill_unmapped(out, status)
    return status


def _match_block(planes, mask, out, targets, pixel):
    """Match some planes, those of the channels whose target has finite slopes."""
    written = arrays.writable(out, single_or_double(planes.dtype))
    pixels = rows(arrays.as_pixels(planes, pixel))
    status = np.zeros(planes.shape[:2], np.uint8)
    counted = arrays.mask_rows(mask)
    zero = arrays.sign_bit(planes.dtype) if pixel.kind == "u" else 0
    for channel, target in enumerate(targets):
        if target.is_finite():
            rest = status.reshape(-1), channel, len(targets), _knots(target)
            more = np.array([0, 0, target.strength, zero], np.float64)
            kernels.match(pixels, counted, rows(written), *rest, more)
    arrays.write_back(written, out, None)
    return status


def _match_reals_in_parts(planes, out, target, map_parts):
    """Match one large plane of reals, in ranges of values that threads share; return its status.

    Ranks need the values below: the parts are ranges of values, and not of places. What ranks take
    is then memory for the pixels of one range per thread, and a byte per pixel of the plane.
    """
    pixels, pixel = planes.reshape(-1), arrays.pixel_dtype(planes.dtype) or FLOAT64
    status, ranges, counts = ranges_of_values(pixels, pixel, map_parts)
    if status & (EMPTY | INF):
        arrays.fill_unmapped(out, status)
        return status
    written = out if out.flags.c_contiguous else np.empty(out.shape, out.dtype)
    own_dtype = out.dtype if out.dtype in arrays.N_LEVELS else single_or_double(planes.dtype)
    flat, knots, ends = written.reshape(-1), _knots(target), counts.cumsum()

    def match_range(k):
        places = places_of_range(k, ranges)
        of_range = np.require(pixels[np.newaxis, places], pixel, ["C"])
        values = np.empty((1, 1, 1, places.size), out.dtype)
        more = np.array([ends[k] - places.size, ends[-1], target.strength, 0], np.float64)

        def write(rows_of_values):
            kernels.match(of_range, None, rows_of_values, np.empty(1, np.uint8), 0, 1, knots, more)

        if places.size:
            arrays.write_as_rows(write, values, own_dtype, None)
        flat[places] = values.reshape(-1)

    list(map_parts(match_range, range(counts.size)))
    flat[places_of_range(NO_RANGE, ranges)] = np.nan if flat.dtype.kind == "f" else 0
    arrays.write_back(written, out, None)
    return status


def _knots(target):
    """Return a target's shares, values, and the slopes behind them."""
    values = target.values.astype(np.float64)
    slopes = np.diff(values) / np.diff(target.shares)
    return np.stack([target.shares, values, np.append(slopes, 0)])


def _match_ranks(planes, mask, out, targets):
    """Match some planes of integers that doubles may not hold, by their ranks."""
    ranks, counts = arrays.rank_planes(planes, mask)
    with np.errstate(invalid="ignore"):  # planes without a counted pixel have no shares
        shares = transfer.cdf(counts)
    values = np.zeros(shares.shape)
    for channel, target in enumerate(targets):
        if target.is_finite():
            values[channel :: len(targets)] = target.values_at(shares[channel :: len(targets)])
    strength = targets[0].strength
    if strength < 1:
        mapped = np.empty(planes.shape)
        arrays.look_up(ranks, values, mapped, None)
        output.saturate(transfer.blend(planes.astype(np.float64), mapped, strength), out)
    else:
        arrays.look_up(ranks, arrays.as_written(values, out.dtype, None), out, None)
    return (EMPTY * (counts[:, 0] == 0)).astype(np.uint8).reshape(planes.shape[:2])


# Quantiles ----------------------------------------------------------------------------------------


def quantiles(planes, mask, n_quantiles):
    """Return the order statistics of each plane; see `definition.quantiles`."""
    if planes[0, 0].size > arrays.MOST_PIXELS:
        return definition.quantiles(planes, mask, n_quantiles)
    pixel = arrays.pixel_dtype(planes.dtype)
    found = np.zeros((*planes.shape[:2], n_quantiles))
    status = np.empty(planes.shape[:2], np.uint8)
    by_levels = pixel is not None and pixel.kind == "u"
    ready = by_levels and arrays.is_kernel_ready(planes, pixel)
    for block in arrays.image_slices(planes, not ready):
        counted = None if mask is None else mask[block]
        if by_levels:
            pixels = rows(arrays.as_pixels(planes[block], pixel))
            of_block = found[block].reshape(-1, n_quantiles)
            rest = status[block].reshape(-1), of_block
            kernels.find_level_quantiles(pixels, arrays.mask_rows(counted), *rest)
            found[block] -= arrays.sign_bit(planes.dtype)
        else:
            found[block], status[block] = _sorted_quantiles(planes[block], counted, n_quantiles)
    found[status & (EMPTY | INF) > 0] = np.nan
    return found, status


def _sorted_quantiles(planes, mask, n_quantiles):
    """Return the order statistics of each plane, by sorting it, and the planes' status."""
    n, c = planes.shape[:2]
    pixels = planes.astype(arrays.computing_dtype(planes.dtype)).reshape(n, c, -1)
    counted = np.ones(pixels.shape, bool)
    if mask is not None:
        counted &= mask.reshape(n, 1, -1)
    status = of_values(planes)
    if pixels.dtype.kind == "f":
        counted &= ~np.isnan(pixels)
    # what does not count sorts behind everything else, or not before it
    largest = np.nan if pixels.dtype.kind == "f" else output.largest_level(pixels.dtype)
    pixels[~counted] = largest
    pixels.sort(axis=2)
    n_counted = counted.sum(axis=2, keepdims=True)
    status[n_counted[..., 0] == 0] |= EMPTY
    # numpy.quantile's method "inverted_cdf"
    shares = (np.arange(n_quantiles) + 0.5) / n_quantiles
    places = np.maximum(np.ceil(n_counted * shares - 1), 0).astype(np.intp)
    return np.take_along_axis(pixels, places, axis=2).astype(np.float64), status
