"""Histogram matching, plane by plane: each plane gets the distribution of a target."""

import numpy as np
from skimage import exposure

from .._arithmetic import output, transfer
from .._arithmetic.dtypes import single_or_double
from .._arithmetic.status import INF
from .._equalize.definition import for_each_plane
from .landmarks import Own, flat, in_order, segments_of, units_of


def match(planes, mask, out, targets, map_parts=map):
    """Map each plane so that its counted pixels get the distribution of its channel's target.

    Parameters
    ----------
    planes : ndarray of shape (n, c, h, w)
        Any real dtype, strides and byte order; not modified.
    mask : ndarray of shape (n, h, w), bool, or None
        Pixels that count; all are mapped.
    out : ndarray of shape (n, c, h, w)
        Written to: floats are cast, integers rounded and kept in range. Owned by the caller.
    targets : list of `quantiles.Target`
        The quantile function to give to each channel.
    map_parts : callable
        Like the builtin map, perhaps in threads; not used here.

    Returns
    -------
    status : ndarray of shape (n, c), uint8
        Bits NAN, INF and EMPTY (no counted pixel) of each plane.
    """

    def map_plane(plane, counted, channel, out_plane):
        found = transfer_function(plane[counted], targets[channel])
        values = transfer.apply(found, plane)
        if targets[channel].strength < 1:
            values = transfer.blend(plane.astype(np.float64), values, targets[channel].strength)
        own_dtype = single_or_double(plane.dtype)
        with np.errstate(over="ignore"):  # a target beyond single precision becomes infinite
            values = values.astype(own_dtype, copy=False)
        output.saturate(values, out_plane)

    return for_each_plane(planes, mask, out, map_plane)


def transfer_function(pixels, target):
    """Return the transfer function that matches counted pixels to a target.

    That is skimage.exposure.match_histograms of one plane: the exact empirical CDF of the distinct
    values, q = cum / m in double precision, taken through the target's quantile function by
    np.interp. An intensity between two values takes the lower one's.
    """
    values, ranks = np.unique(pixels, return_inverse=True)
    cdf, _ = exposure.cumulative_distribution(ranks)
    return transfer.TransferFunction(values, target.values_at(cdf), True)


def quantiles(planes, mask, n_quantiles):
    """Return the order statistics of each plane's counted pixels, and the planes' status.

    Parameters
    ----------
    planes, mask
        As for `match`.
    n_quantiles : int
        The k-th of n is the smallest value with at least a share of (k + 1/2) / n at or below it.

    Returns
    -------
    quantiles : ndarray of shape (n, c, n_quantiles), float64
        NaN for a plane without a counted pixel, or with an infinity.
    status : ndarray of shape (n, c), uint8
    """
    result = np.empty((*planes.shape[:2], n_quantiles))
    shares = (np.arange(n_quantiles) + 0.5) / n_quantiles

    def read(plane, counted, channel, out_quantiles):
        out_quantiles[...] = np.quantile(plane[counted], shares, method="inverted_cdf")

    status = for_each_plane(planes, mask, result, read)
    result[status & INF > 0] = np.nan
    return result, status


# Landmarks ----------------------------------------------------------------------------------------


def landmarks(planes, mask, out, scale, map_parts=map):
    """Map each plane so that its landmarks get their values on the standard scale.

    Parameters
    ----------
    planes, mask, out, map_parts
        As for `match`.
    scale : `landmarks.Scale`

    Returns
    -------
    status : ndarray of shape (n, c), uint8
        Bits NAN, INF, EMPTY and FLAT (see `landmarks.flat`) of each plane.
    """

    def map_plane(plane, counted, channel, out_plane):
        own, is_flat = own_landmarks(plane[counted], scale.percentages, mask is not None)
        values = scale.values[channel]
        points, slopes, values = segments_of(own.values[np.newaxis], values[np.newaxis])[0]
        x = plane.astype(np.float64) * own.units
        place = np.maximum(np.searchsorted(points, x, side="right") - 1, 0)
        own_dtype = single_or_double(plane.dtype)
        largest = float(np.finfo(own_dtype).max)
        with np.errstate(over="ignore"):
            mapped = slopes[place] * (x - points[place]) + values[place]
        mapped = mapped.clip(-largest, largest).astype(own_dtype, copy=False)
        output.saturate(mapped, out_plane)
        return is_flat

    return for_each_plane(planes, mask, out, map_plane)


def percentiles(planes, mask, percentages, map_parts=map):
    """Return the landmarks of planes, `landmarks.Own` (n, c, k), and the planes' status.

    Landmarks of a plane without a counted pixel, or with an infinity, are NaN.
    """
    result = np.empty((*planes.shape[:2], percentages.size + 1))

    def read(plane, counted, channel, found):
        own, is_flat = own_landmarks(plane[counted], percentages, mask is not None)
        found[:-1], found[-1] = own
        return is_flat

    status = for_each_plane(planes, mask, result, read)
    result[status & INF > 0] = np.nan
    return Own(result[..., :-1], result[..., -1]), status


def own_landmarks(pixels, percentages, is_masked):
    """Return the landmarks of counted pixels, in the unit in which they are computed, and FLAT."""
    pixels = pixels.astype(np.float64)
    low, high = pixels.min(), pixels.max()
    units = units_of(low, high)
    values = in_order(np.percentile(pixels * units, percentages))
    return Own(values, units), flat(values, low, high, is_masked)
