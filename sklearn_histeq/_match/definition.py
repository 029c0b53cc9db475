"""Histogram matching, plane by plane: each plane gets the distribution of a target."""

import numpy as np
from skimage import exposure

from .._arithmetic import output, transfer
from .._arithmetic.dtypes import single_or_double
from .._arithmetic.status import INF
from .._equalize.definition import map_planes


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
        own_dtype = single_or_double(plane.dtype)
        with np.errstate(over="ignore"):  # a target beyond single precision becomes infinite
            values = values.astype(own_dtype, copy=False)
        output.saturate(values, out_plane)

    return map_planes(planes, mask, out, map_plane)


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

    status = map_planes(planes, mask, result, read)
    result[status & INF > 0] = np.nan
    return result, status
