"""Equalization, plane by plane, with scikit-image and NumPy: the definition.

Every CDF here comes from skimage.exposure.cumulative_distribution: of the plane itself, of the
numbers of the bins that its pixels fall into, or of its ranks. Everything else that equalizes
pixels in this package reproduces these bits.
"""

import numpy as np
from skimage import exposure

from .._arithmetic import counting, output, spans, transfer
from .._arithmetic.dtypes import single_or_double
from .._arithmetic.status import EMPTY, FAR, INF, of_values
from .._arithmetic.transfer import Histogram, TransferFunction
from .conventions import SKIMAGE

# One bin per level is affordable for the levels of 16-bit images, or for as many as pixels.
N_LEVELS_ALWAYS = 2**16


def equalize(planes, mask, out, rule, map_parts=map):
    """Equalize each plane by its own CDF into out.

    Parameters
    ----------
    planes : ndarray of shape (n, c, h, w)
        Any real dtype, strides and byte order; not modified.
    mask : ndarray of shape (n, h, w), bool, or None
        Pixels that count; all are mapped.
    out : ndarray of shape (n, c, h, w)
        Written to; its dtype says how values are stored. Owned by the caller.
    rule : `conventions.EqualizeRule`
    map_parts : callable
        Like the builtin map, perhaps in threads; not used here.

    Returns
    -------
    status : ndarray of shape (n, c), uint8
        Bits NAN, INF and EMPTY (no counted pixel) of each plane.
    """

    def map_plane(plane, counted, channel, out_plane):
        found = transfer_function(plane[counted], rule)
        _write(found, plane, out_plane, rule.convention, rule.blend)

    return for_each_plane(planes, mask, out, map_plane)


def apply(planes, mask, out, learned, convention, blend=None):
    """Map each plane by the learned transfer function of its channel, of `data_set.Learned`.

    Return the status as of `equalize`, with FAR where a plane leaves the learned range of its
    channel by more than its width, or with at least half of its counted pixels.
    """
    ranges = learned.ranges.tolist()

    def map_plane(plane, counted, channel, out_plane):
        _write(learned.transfers[channel], plane, out_plane, convention, blend)
        return FAR * _is_far(plane[counted].astype(np.float64), *ranges[channel])

    return for_each_plane(planes, mask, out, map_plane)


def _is_far(pixels, low, high):
    """Return whether doubles leave a range by more than its width, or half of them lie outside."""
    width, n_outside = high - low, np.count_nonzero((pixels < low) | (pixels > high))
    if width == 0 or n_outside == 0:  # a single level is no scale
        return False
    beyond = max(low - float(pixels.min()), float(pixels.max()) - high)
    return beyond > width or 2 * n_outside >= pixels.size


def invert(planes, out, transfers, output_max):
    """Map equalized planes (n, c, h, w) back by each channel's transfer function.

    Floats are values of the convention, integers their share of output_max. `out` is of floats.
    Return the planes' status, NAN and INF.
    """
    status = of_values(planes)
    if planes.dtype.kind != "f":
        planes = planes / output.largest_level(planes.dtype) * output_max
    for channel, found in enumerate(transfers):
        out[:, channel] = transfer.invert(found, planes[:, channel])
    return status


def count_levels(planes, mask):
    """Return the `counting.Levels` of each channel's counted pixels, and the planes' status."""
    return _count(planes, mask, lambda pixels, channel: counting.count_levels(pixels))


def count_lattice(planes, mask):
    """Return the `counting.Lattice` of each channel's counted floats, and the planes' status."""
    return _count(planes, mask, lambda pixels, channel: counting.count_lattice(pixels))


def count_bins(planes, mask, edges):
    """Return each channel's counts over its edges, and the planes' status; 0 without edges."""

    def count(pixels, channel):
        of_channel = edges[channel]
        if of_channel is None:
            return 0
        return bin_counts(pixels.clip(of_channel[0], of_channel[-1]), of_channel)

    return _count(planes, mask, count)


def transfer_function(pixels, rule):
    """Return the transfer function of counted pixels; ranks take over where bins would fail."""
    n_bins = rule.bins_of(pixels.dtype)
    if n_bins is None:
        return _of_levels(pixels, rule)
    if pixels.dtype.kind != "f":
        if rule.has_exact_bins and _magnitude(pixels) > transfer.LARGEST_EXACT:
            return _of_ranks(pixels, rule)
        pixels = pixels.astype(np.float64)
    limits = spans.limits_of(rule.span, pixels)
    if limits is not None:
        pixels = pixels.clip(*limits)
    return of_bins(pixels, limits, n_bins, rule) or _of_ranks(pixels, rule)


def _of_levels(pixels, rule):
    """Return the transfer function of integers with one bin per level."""
    low, high = int(pixels.min()), int(pixels.max())
    if high - min(low, 0) > max(N_LEVELS_ALWAYS, pixels.size):
        return _of_ranks(pixels, rule)
    # cumulative_distribution takes no uint64; levels this close together are all int64
    cdf, levels = exposure.cumulative_distribution(pixels.astype(np.int64))
    levels = levels.astype(pixels.dtype)
    if _is_the_cdf(rule):
        return TransferFunction(levels, cdf, True)
    return rule.transfer_function(Histogram(counts_of(cdf, pixels.size), levels, None, True))


def of_bins(pixels, limits, n_bins, rule):
    """Return the transfer function of floats in equal bins, or None where it is not finite.

    The bins span the limits, which hold all pixels; None: the range of the pixels.
    """
    edges = edges_of(pixels, limits, n_bins)
    if not transfer.are_bins(edges):
        return None
    if _is_the_cdf(rule) and limits is None:
        with np.errstate(over="ignore"):
            cdf, centers = exposure.cumulative_distribution(pixels, n_bins)
        found = TransferFunction(centers, cdf, False)
    else:
        counts = bin_counts(pixels, edges)
        histogram = Histogram(counts, transfer.bin_centers(edges), edges, False)
        dtype = single_or_double(pixels.dtype) if _is_the_cdf(rule) else np.float64
        found = rule.transfer_function(histogram, dtype)
    return found if transfer.is_finite(found) else None


def edges_of(pixels, limits, n_bins):
    """Return the edges of equal bins over the limits, or over the range of the pixels."""
    low, high = (pixels.min(), pixels.max()) if limits is None else limits
    return transfer.bin_edges(low, high, n_bins, pixels.dtype)


def _of_ranks(pixels, rule):
    """Return the transfer function of the ranks of pixels: one bin per distinct value."""
    values, ranks = np.unique(pixels, return_inverse=True)
    cdf, _ = exposure.cumulative_distribution(ranks)
    is_step = pixels.dtype.kind != "f"
    return rule.transfer_function(Histogram(counts_of(cdf, pixels.size), values, None, is_step))


def _is_the_cdf(rule):
    """Return whether scikit-image's CDF is the transfer function itself."""
    return rule.formula is SKIMAGE.formulas["uniform"]


def bin_counts(pixels, edges):
    """Return np.histogram's counts over edges that bound all pixels, from the CDF of their bins."""
    if pixels.size == 0:
        return np.zeros(len(edges) - 1, np.int64)
    cdf, occupied = exposure.cumulative_distribution(transfer.bin_numbers(pixels, edges))
    counts = np.zeros(len(edges) - 1, np.int64)
    counts[occupied] = counts_of(cdf, pixels.size)
    return counts


def counts_of(cdf, n_pixels):
    """Return the counts behind a CDF in double precision; exact for fewer than 2**52 pixels."""
    return np.diff(np.rint(cdf * n_pixels).astype(np.int64), prepend=0)


def _magnitude(pixels):
    """Return the largest absolute value of integers, as a Python integer, which cannot overflow."""
    return max(-int(pixels.min()), int(pixels.max()))


def _count(planes, mask, count):
    """Call count(pixels, channel) on each channel's counted pixels, as one long plane.

    Infinities, which the status tells, are left out.
    """
    status = np.zeros(planes.shape[:2], np.uint8)
    pixels: list[list[np.ndarray]] = [[] for _ in range(planes.shape[1])]
    for i, channel in np.ndindex(status.shape):
        plane = _native(planes[i, channel])
        counted, status[i, channel] = _counted(plane, None if mask is None else mask[i])
        pixels[channel].append(plane[counted & np.isfinite(plane)])
    return [count(np.concatenate(parts), channel) for channel, parts in enumerate(pixels)], status


def for_each_plane(planes, mask, out, map_plane):
    """Call map_plane on each plane that has finite counted pixels; return the planes' status.

    map_plane(plane, counted, channel, out_plane) writes the values of a native plane, and returns
    further bits of its status, or None.
    """
    status = np.zeros(planes.shape[:2], np.uint8)
    for i, channel in np.ndindex(status.shape):
        plane = _native(planes[i, channel])
        counted, status[i, channel] = _counted(plane, None if mask is None else mask[i])
        if status[i, channel] & INF:
            continue
        if status[i, channel] & EMPTY:
            if out.dtype.kind == "f":
                out[i, channel] = np.nan
            continue
        status[i, channel] |= map_plane(plane, counted, channel, out[i, channel]) or 0
    return status


def _write(found, plane, out, convention, blend):
    """Write the values of a transfer function at the pixels of a plane, blended with these."""
    values = transfer.apply(found, plane)
    values = values.astype(convention.default_output_dtype(plane.dtype), copy=False)
    if blend is not None:
        values = blend.values(plane, values)
    output.store(values, out, convention.output_max)


def _native(plane):
    """Return a plane in a native dtype for computing: bool as two levels, float16 as float32."""
    if plane.dtype == np.bool_:
        return plane.view(np.uint8)
    native = plane.dtype.newbyteorder("=")
    return plane.astype(np.float32 if native == np.float16 else native, copy=False)


def _counted(plane, mask):
    """Return which pixels of a plane count, as a boolean array, and the plane's status."""
    counted = np.ones(plane.shape, bool) if mask is None else mask
    if plane.dtype.kind == "f":
        counted = counted & ~np.isnan(plane)
    return counted, int(of_values(plane, plane.ndim)) | EMPTY * (not counted.any())
