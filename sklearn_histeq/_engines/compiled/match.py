"""The compiled engine's histogram matching, and the quantiles that it learns.

Targets whose slopes overflow go to the reference engine, with the same bits.
"""

from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from ..._arithmetic import output, transfer
from ..._arithmetic import status as finding
from ..._arithmetic.conventions import single_or_double
from ..._arithmetic.status import EMPTY, INF
from . import planes as _planes
from .planes import FLOAT64, N_LEVELS, N_PART, N_RANKED, kernel_for, rows

__all__ = ["match", "quantiles"]


def match(planes, mask, out, targets, map_parts=map):
    """Map each plane to its channel's target distribution; see `reference.match`."""
    is_wide = planes.dtype.kind in "iu" and planes.dtype.itemsize == 8
    is_double = planes.dtype.kind in "iu" and planes.dtype.itemsize == 4
    pixel = FLOAT64 if is_double else _planes.pixel_dtype(planes.dtype)
    if (pixel is None and not is_wide) or planes[0, 0].size > _planes.MOST_PIXELS:
        return _planes.reference().match(planes, mask, out, targets)
    status = np.zeros(planes.shape[:2], np.uint8)
    if map_parts is not map and planes[0, 0].size > N_PART:
        for index, plane in _planes.single_planes(planes, mask, out, np.ones_like(status)):
            target = targets[index[1].start]
            status[index] = _match_large(*plane, target, pixel, map_parts)
        return status
    return _match(planes, mask, out, targets, pixel)


def _match_large(planes, mask, out, target, pixel, map_parts):
    """Match one large plane, in parts that threads share where they can; return its status."""
    if pixel is not None and pixel.kind == "u":
        return _match_levels_in_parts(planes, mask, out, target, map_parts)
    if pixel is not None and mask is None and target.is_finite():
        return _match_reals_in_parts(planes, out, target, map_parts)
    return _match(planes, mask, out, [target], pixel)


def _match(planes, mask, out, targets, pixel):
    """Match planes in turn, by ranks where pixel is None; return their status."""
    is_wide = pixel is None
    status = np.zeros(planes.shape[:2], np.uint8)
    are_copied = is_wide or _planes.is_copied(planes, pixel, out)
    for block in _planes.image_slices(planes, are_copied, N_RANKED if is_wide else None):
        counted = None if mask is None else mask[block]
        if is_wide:
            status[block] = _match_ranks(planes[block], counted, out[block], targets)
        else:
            status[block] = _match_block(planes[block], counted, out[block], targets, pixel)
    for channel, target in enumerate(targets):
        if not target.is_finite():
            one = np.s_[:, channel : channel + 1]
            status[one] = _planes.reference().match(planes[one], mask, out[one], [target])
    _planes.fill_unmapped(out, status)
    return status


def _match_block(planes, mask, out, targets, pixel):
    """Match some planes, those of the channels whose target has finite slopes."""
    written = _planes.writable(out, single_or_double(planes.dtype))
    pixels = rows(_planes.as_pixels(planes, pixel))
    status = np.zeros(planes.shape[:2], np.uint8)
    kernel, counted = kernel_for("match", pixel, written.dtype), _planes.mask_rows(mask)
    for channel, target in enumerate(targets):
        if target.is_finite():
            rest = status.reshape(-1), channel, len(targets), _knots(target)
            kernel(pixels, counted, rows(written), *rest)
    _planes.write_back(written, out, None)
    return status


def _match_levels_in_parts(planes, mask, out, target, map_parts):
    """Match one large plane of levels, in parts that threads share; return its status."""
    pixel = _planes.pixel_dtype(planes.dtype)
    parts = _planes.plane_slices(planes.shape, N_PART)

    def count(part):
        counts = np.zeros((1, N_LEVELS[pixel]), np.int64)
        counted = None if mask is None else _planes.mask_rows(mask[part[:1] + part[2:]])
        pixels = rows(_planes.as_pixels(planes[part], pixel))
        kernel_for("add_level_counts", pixel)(pixels, counted, counts)
        return counts[0]

    counts: Any = sum(map_parts(count, parts))
    levels = np.flatnonzero(counts)
    if not levels.size:
        _planes.fill_unmapped(out, np.full((1, 1), EMPTY, np.uint8))
        return EMPTY
    below = np.searchsorted(levels, np.arange(counts.size), side="right") - 1
    values = target.values_at(transfer.cdf(counts[levels]))[np.maximum(below, 0)]
    table = _planes.as_written(values[np.newaxis], out.dtype, None)

    def look_up(part):
        pixels = _planes.as_pixels(planes[part], pixel)
        _planes.look_up(rows(pixels), table, out[part], None)

    list(map_parts(look_up, parts))
    return 0


def _match_reals_in_parts(planes, out, target, map_parts):
    """Match one large plane of reals, in ranges of values that threads share; return its status."""
    own_dtype = single_or_double(planes.dtype)
    pixels = _planes.as_pixels(planes, _planes.pixel_dtype(planes.dtype) or FLOAT64).reshape(-1)
    status, knots = np.zeros((1, 1), np.uint8), _knots(target)
    kernel_for("find_ranges", pixels.dtype)(pixels[np.newaxis], None, status[0], *np.empty((2, 1)))
    if status & (EMPTY | INF):
        _planes.fill_unmapped(out, status)
        return status
    ranges = list(map_parts(partial(_places_between, pixels), pairwise(_bounds(pixels))))
    ends = np.cumsum([places.size for places in ranges]).tolist()
    written = np.empty(pixels.shape, out.dtype if out.dtype in N_LEVELS else own_dtype)
    written[np.isnan(pixels)] = np.nan if written.dtype.kind == "f" else 0
    kernel = kernel_for("match", pixels.dtype, written.dtype)

    def match_range(pair):
        places, end = pair
        values = np.empty((1, places.size), written.dtype)
        below = end - places.size, ends[-1]
        if places.size:
            kernel(pixels[np.newaxis, places], None, values, np.empty(1, "u1"), 0, 1, knots, *below)
        written[places] = values[0]

    list(map_parts(match_range, zip(ranges, ends, strict=True)))
    _planes.write_back(written.reshape(out.shape), out, None)
    return status


def _bounds(pixels):
    """Return increasing numbers between which pixels lie in ranges of about equal size."""
    sample = pixels[:: pixels.size // 4096 + 1]
    sample = sample[~np.isnan(sample)]
    shares = np.arange(1, 8) / 8
    inner = np.quantile(sample, shares, method="lower").tolist() if sample.size else []
    return [-np.inf, *inner, np.inf]


def _places_between(pixels, bounds):
    """Return where low <= pixel < high."""
    return np.flatnonzero((pixels >= bounds[0]) & (pixels < bounds[1]))


def _knots(target):
    """Return a target's shares, values, and the slopes behind them."""
    values = target.values.astype(np.float64)
    slopes = np.diff(values) / np.diff(target.shares)
    return np.stack([target.shares, values, np.append(slopes, 0)])


def _match_ranks(planes, mask, out, targets):
    """Match some planes of integers that doubles may not hold, by their ranks."""
    ranks, counts = _planes.ranks(planes, mask)
    with np.errstate(invalid="ignore"):  # planes without a counted pixel have no shares
        shares = transfer.cdf(counts)
    values = np.zeros(shares.shape)
    for channel, target in enumerate(targets):
        if target.is_finite():
            values[channel :: len(targets)] = target.values_at(shares[channel :: len(targets)])
    _planes.look_up(ranks, _planes.as_written(values, out.dtype, None), out, None)
    return (EMPTY * (counts[:, 0] == 0)).astype(np.uint8).reshape(planes.shape[:2])


# Quantiles ----------------------------------------------------------------------------------------


def quantiles(planes, mask, n_quantiles):
    """Return the order statistics of each plane; see `reference.quantiles`."""
    pixel = _planes.pixel_dtype(planes.dtype)
    found = np.zeros((*planes.shape[:2], n_quantiles))
    status = np.empty(planes.shape[:2], np.uint8)
    by_levels = pixel is not None and pixel.kind == "u"
    ready = by_levels and _planes.is_kernel_ready(planes, pixel)
    for block in _planes.image_slices(planes, not ready):
        counted = None if mask is None else mask[block]
        if by_levels:
            pixels = rows(_planes.as_pixels(planes[block], pixel))
            kernel = kernel_for("find_level_quantiles", pixel)
            of_block = found[block].reshape(-1, n_quantiles)
            kernel(pixels, _planes.mask_rows(counted), status[block].reshape(-1), of_block)
            found[block] -= _planes.sign_bit(planes.dtype)
        else:
            found[block], status[block] = _sorted_quantiles(planes[block], counted, n_quantiles)
    found[status & (EMPTY | INF) > 0] = np.nan
    return found, status


def _sorted_quantiles(planes, mask, n_quantiles):
    """Return the order statistics of each plane, by sorting it, and the planes' status."""
    n, c = planes.shape[:2]
    pixels = planes.astype(_planes.computing_dtype(planes.dtype)).reshape(n, c, -1)
    counted = np.ones(pixels.shape, bool)
    if mask is not None:
        counted &= mask.reshape(n, 1, -1)
    status = finding.of_values(planes)
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
