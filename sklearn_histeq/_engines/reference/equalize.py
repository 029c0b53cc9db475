"""The reference engine: the readable definition, with scikit-image and NumPy, plane by plane.

Every CDF here comes from skimage.exposure.cumulative_distribution: of the plane itself, of the bins
that its pixels fall into, or of its ranks. Everything else that equalizes pixels in this package
reproduces these bits.
"""

import numpy as np
from skimage import exposure

from ..._arithmetic import counts as _counts
from ..._arithmetic import status as _status
from ..._arithmetic import transfer as _transfer
from ..._arithmetic.status import EMPTY, INF

# A bin a level is affordable for as many levels as 16-bit images have, or as the plane has pixels.
N_LEVELS_ALWAYS = 2**16


def equalize(planes, mask, out, n_bins, convention, output_distribution, map_parts=map):
    """Equalize each plane by its own CDF into out.

    Parameters
    ----------
    planes : ndarray of shape (n, c, h, w)
        Any real dtype, strides and byte order; not modified.
    mask : ndarray of shape (n, h, w), bool, or None
        Pixels that count; all are mapped.
    out : ndarray of shape (n, c, h, w)
        Written to; its dtype says how values are stored. Owned by the caller.
    n_bins : int or "auto"
    convention : {"skimage", "numpy", "opencv", "pillow"}
    output_distribution : {"uniform", "normal"}
    map_parts : callable
        Like the builtin map, perhaps in threads; of no use here.

    Returns
    -------
    status : ndarray of shape (n, c), uint8
        Bits NAN, INF and EMPTY (no counted pixel) of each plane.
    """

    def curve_of_plane(pixels, channel):
        return transfer_function(pixels, n_bins, convention, output_distribution)

    return _map_by_curves(planes, mask, out, convention, curve_of_plane)


def apply(planes, mask, out, curves, convention):
    """Map each plane by the learned curve of its channel into out; status as of `equalize`."""

    def curve_of_channel(pixels, channel):
        return curves[channel]

    return _map_by_curves(planes, mask, out, convention, curve_of_channel)


def count_levels(planes, mask):
    """Return the `_counts.Levels` of each channel's counted pixels, and the planes' status."""
    return _count(planes, mask, lambda pixels, channel: _counts.count_levels(pixels))


def count_lattice(planes, mask):
    """Return the `_counts.Lattice` of each channel's counted floats, and the planes' status."""
    return _count(planes, mask, lambda pixels, channel: _counts.count_lattice(pixels))


def count_bins(planes, mask, edges):
    """Return each channel's counts over its edges, and the planes' status; 0 without edges."""

    def count(pixels, channel):
        return 0 if edges[channel] is None else bin_counts(pixels, edges[channel])

    return _count(planes, mask, count)


def transfer_function(pixels, n_bins, convention, output_distribution):
    """Return the curve of one plane's counted pixels; ranks take over where bins would fail."""
    if pixels.dtype.kind != "f":
        if n_bins == "auto" and convention != "numpy":
            return _level_curve(pixels, convention, output_distribution)
        if n_bins != "auto" or _magnitude(pixels) <= _transfer.LARGEST_EXACT:
            pixels = pixels.astype(np.float64)
    curve = None
    if pixels.dtype.kind == "f":
        n_bins = 256 if n_bins == "auto" else n_bins
        curve = bin_curve(pixels, n_bins, convention, output_distribution)
    return curve or _rank_curve(pixels, convention, output_distribution)


def _level_curve(pixels, convention, output_distribution):
    """Return the curve of integers with a bin a level."""
    low, high = int(pixels.min()), int(pixels.max())
    if high - min(low, 0) > max(N_LEVELS_ALWAYS, pixels.size):
        return _rank_curve(pixels, convention, output_distribution)
    # cumulative_distribution takes no uint64; levels this close together are all int64
    cdf, levels = exposure.cumulative_distribution(pixels.astype(np.int64))
    levels = levels.astype(pixels.dtype)
    if convention == "skimage" and output_distribution == "uniform":
        return _transfer.Curve(levels, cdf, True)
    histogram = _transfer.Histogram(counts_of(cdf, pixels.size), levels, None, True)
    return _transfer.curve_of(histogram, convention, output_distribution)


def bin_curve(pixels, n_bins, convention, output_distribution):
    """Return the curve of floats in n_bins equal bins, or None where these are not finite."""
    edges = _transfer.bin_edges(pixels.min(), pixels.max(), n_bins, pixels.dtype)
    if not _transfer.are_bins(edges):
        return None
    if convention == "skimage" and output_distribution == "uniform":
        with np.errstate(over="ignore"):
            cdf, centers = exposure.cumulative_distribution(pixels, n_bins)
        curve = _transfer.Curve(centers, cdf, False)
    else:
        counts = bin_counts(pixels, edges)
        histogram = _transfer.Histogram(counts, _transfer.bin_centers(edges), edges, False)
        curve = _transfer.curve_of(histogram, convention, output_distribution)
    return curve if _transfer.is_finite(curve) else None


def _rank_curve(pixels, convention, output_distribution):
    """Return the exact empirical CDF, that of the pixels' ranks, as a curve of distinct values."""
    values, ranks = np.unique(pixels, return_inverse=True)
    cdf, _ = exposure.cumulative_distribution(ranks)
    is_step = pixels.dtype.kind != "f"
    histogram = _transfer.Histogram(counts_of(cdf, pixels.size), values, None, is_step)
    return _transfer.curve_of(histogram, convention, output_distribution)


def bin_counts(pixels, edges):
    """Return np.histogram's counts over edges that bound all pixels, off the CDF of their bins."""
    if pixels.size == 0:
        return np.zeros(len(edges) - 1, np.int64)
    cdf, occupied = exposure.cumulative_distribution(_transfer.bin_numbers(pixels, edges))
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


def map_planes(planes, mask, out, map_plane):
    """Call map_plane on each plane that has finite counted pixels; return the planes' status.

    map_plane(plane, counted, channel, out_plane) writes a native plane's values; what it finds in
    it, if anything, it returns as further bits of the status.
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


def _map_by_curves(planes, mask, out, convention, find_curve):
    """Map each plane by the curve that find_curve gives for its counted pixels and its channel."""
    own, top = _transfer.own_dtype(convention, planes.dtype), _transfer.top(convention)

    def map_plane(plane, counted, channel, out_plane):
        values = _transfer.apply(find_curve(plane[counted], channel), plane)
        _transfer.store(values.astype(own, copy=False), out_plane, top)

    return map_planes(planes, mask, out, map_plane)


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
    return counted, int(_status.of_values(plane)) | EMPTY * (not counted.any())
