"""From counts to a CDF to a transfer function: one function per convention.

The definitions and the learned distributions both use these functions, so that the arithmetic
of a convention is written once. A `TransferFunction` is given by its values at some points, and by
how it runs between them.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np

N_LEVELS_8BIT = 256
# Integers beyond are no longer all doubles, and np.interp is arithmetic in double.
LARGEST_EXACT = 2**53


class TransferFunction(NamedTuple):
    """A monotone transfer function, given by its values at increasing points.

    Attributes
    ----------
    points : ndarray of shape (n_points,)
        Levels, bin centers, left edges or distinct values, increasing.
    values : ndarray of shape (n_points,)
        What the points are mapped to.
    is_step : bool
        True: an intensity takes the value of the largest point <= it (below the first point, the
        first's). False: linear between the points and constant beyond them, as np.interp.
    """

    points: np.ndarray
    values: np.ndarray
    is_step: bool


class Histogram(NamedTuple):
    """Counts of intensities, by level (or distinct value) or by bin.

    Attributes
    ----------
    counts : ndarray of shape (n,), int64
        Number of counted pixels.
    points : ndarray of shape (n,)
        Levels, distinct values or bin centers.
    edges : ndarray of shape (n + 1,) or None
        Edges of the bins; None where every level or value has a bin of its own.
    is_step : bool
        Whether an intensity between two points belongs to the lower one (levels of integers).
    """

    counts: np.ndarray
    points: np.ndarray
    edges: np.ndarray | None
    is_step: bool


class Formula(NamedTuple):
    """How a convention turns counts into the values of a transfer function.

    Attributes
    ----------
    values : callable
        `values(counts, widths, dtype)` returns the values at the points of histograms, along the
        last axis of `counts` (..., n): many histograms at once. `widths` are the widths of
        the bins, or None where each level or distinct value has its own. `dtype` is the dtype that
        scikit-image gives the CDF of these images. Levels without a pixel may be among the counts;
        they must not change the values at the others.
    kernel : int or None
        The number of the formula in the kernels; None where no kernel has it.
    at_left_edges : bool
        Whether the values are those at the left edges of bins, not at their centers.
    counted_only : bool
        Whether points without a counted pixel are left out.
    """

    values: Callable
    kernel: int | None = None
    at_left_edges: bool = False
    counted_only: bool = False

    def transfer_function(self, histogram, dtype=np.float64):
        """Return the transfer function of one histogram."""
        counts, points, edges, is_step = histogram
        widths = None if edges is None else np.diff(edges).astype(np.float64)
        if self.at_left_edges and edges is not None:
            points = edges[:-1]
        values = self.values(counts, widths, dtype)
        kept = counts > 0 if self.counted_only else slice(None)
        return TransferFunction(points[kept], values[kept], is_step)


def over_all_levels(histogram):
    """Return a histogram of uint8 over all its 256 levels."""
    counts = np.zeros(N_LEVELS_8BIT, dtype=np.int64)
    counts[histogram.points] = histogram.counts
    return Histogram(counts, np.arange(N_LEVELS_8BIT, dtype=np.uint8), None, True)


def cdf(counts, dtype=np.float64):
    """Return the CDF of counts, as skimage.exposure.cumulative_distribution computes it."""
    cumulative = counts.cumsum(axis=-1)
    return (cumulative / cumulative[..., -1:]).astype(dtype, copy=False)


def bin_edges(low, high, n_bins, dtype):
    """Return np.histogram's edges of n_bins equal bins over [low, high], in the plane's dtype.

    Edges that overflow are not finite.
    """
    dtype = np.dtype(dtype)
    with np.errstate(over="ignore", invalid="ignore"):
        return np.linspace(dtype.type(low), dtype.type(high), n_bins + 1, dtype=dtype)


def bin_centers(edges):
    """Return the middles of the bins, in the edges' dtype; not finite where they overflow."""
    with np.errstate(over="ignore", invalid="ignore"):
        return (edges[:-1] + edges[1:]) / 2.0


def are_bins(edges):
    """Return whether edges bound bins: all differ, and they and the centers are finite."""
    finite = np.isfinite(edges).all() and np.isfinite(bin_centers(edges)).all()
    return bool(finite and (edges[:-1] < edges[1:]).all())


def bin_numbers(values, edges):
    """Return the bin in which np.histogram counts each value within the edges, in the same dtype.

    An estimate that assumes equal bins, moved by one bin where the real edges, which are rounded,
    disagree: for subnormal ranges that is not the bin that holds the value.
    """
    n_bins = len(edges) - 1
    bins = ((values - edges[0]) / (edges[-1] - edges[0]) * n_bins).astype(np.intp)
    bins[bins == n_bins] -= 1  # the last bin holds its right edge too
    bins[values < edges[bins]] -= 1
    bins[(values >= edges[bins + 1]) & (bins != n_bins - 1)] += 1
    return bins


def skimage_uniform(counts, widths, dtype):
    """Return the CDF at the bin centers, as skimage.exposure.equalize_hist uses it."""
    return cdf(counts, dtype)


def skimage_normal(counts, widths, dtype):
    """Return the standard normal quantiles of the mid-distribution (Parzen 2004)."""
    twice = 2 * counts.cumsum(axis=-1) - counts  # of the mid-distribution: whole numbers
    totals = _total(counts)
    n_pixels = int(totals.flat[0])
    # many histograms of as many pixels share their quantiles, of which there are few
    if 2 * n_pixels < 8 * counts.size and (totals == n_pixels).all():
        return _normal_quantiles(n_pixels)[twice]
    return _ndtri(twice / 2 / totals)


@lru_cache(maxsize=4)
def _normal_quantiles(n_pixels):
    """Return the standard normal quantiles of the shares 0, 1/2, 1, ... of so many pixels."""
    return _ndtri(np.arange(2 * n_pixels + 1) / 2 / n_pixels)


def _ndtri(shares):
    """Return scipy's standard normal quantiles; importing scipy.special takes its time."""
    from scipy.special import ndtri

    return ndtri(shares)


def numpy_recipe(counts, widths, dtype):
    """Return 255 times the cumulated density at the left edges: the NumPy recipe (Solem 2012)."""
    if widths is None:
        return 255 * cdf(counts)
    with np.errstate(all="ignore"):  # a density may overflow; `is_finite` sees it
        density = (counts / widths / _total(counts)).cumsum(axis=-1)
        return 255 * density / density[..., -1:]


def opencv_table(counts, widths, dtype):
    """Return cv2.equalizeHist's lookup table of 256 counts, in its single-precision arithmetic."""
    n_pixels, is_occupied = _total(counts), counts > 0
    lowest = is_occupied.argmax(axis=-1)[..., np.newaxis]
    first = np.take_along_axis(counts, lowest, axis=-1)
    is_constant = first == n_pixels
    scale = np.float32(255) / np.where(is_constant, 1, n_pixels - first).astype(np.float32)
    levels = np.arange(N_LEVELS_8BIT)
    table = np.rint((counts.cumsum(axis=-1) - first).astype(np.float32) * scale)
    table = np.where(levels < lowest, 0, table)
    return np.where(is_constant, levels, table).astype(np.uint8)


def pillow_table(counts, widths, dtype):
    """Return PIL.ImageOps.equalize's lookup table of 256 counts, in its integer arithmetic."""
    below = counts.cumsum(axis=-1) - counts
    highest = N_LEVELS_8BIT - 1 - (counts[..., ::-1] > 0).argmax(axis=-1)[..., np.newaxis]
    # of a constant image this is 0, too
    step = np.take_along_axis(below, highest, axis=-1) // 255
    table = np.minimum(255, (below + step // 2) // np.maximum(step, 1))
    return np.where(step == 0, np.arange(N_LEVELS_8BIT), table).astype(np.uint8)


def _total(counts):
    """Return the number of counted pixels, along the last axis."""
    return counts.sum(axis=-1, keepdims=True)


def is_finite(transfer):
    """Return whether points, values and slopes are finite, so that np.interp works."""
    points, values = transfer.points.astype(np.float64), transfer.values.astype(np.float64)
    with np.errstate(all="ignore"):
        slopes = np.diff(values) / np.diff(points)
    return all(bool(np.isfinite(array).all()) for array in (points, values, slopes))


def apply(transfer, plane):
    """Map the intensities of an array by a transfer function; NaN stays NaN.

    The array has the dtype of the points where these are integers, so that no level is
    rounded. Between points so close that np.interp overflows, the lower one's value is taken.
    """
    if transfer.is_step:
        mapped = _at_or_below(transfer, plane)
    else:
        mapped = np.interp(plane, transfer.points, transfer.values)
        lost = ~np.isfinite(mapped) & np.isfinite(plane)
        if lost.any():
            mapped[lost] = _at_or_below(transfer, plane[lost])
    if plane.dtype.kind == "f":
        mapped[np.isnan(plane)] = np.nan  # a single point would map it, too
    return mapped


def blend(x, mapped, strength):
    """Return intensities moved a share of the way to the values that they are mapped to.

    That is the displacement interpolation of optimal transport (McCann 1997), for a monotone map.
    """
    return (1.0 - strength) * x + strength * mapped


def _at_or_below(transfer, values):
    """Return the value at the largest point that is no greater than each intensity."""
    index = np.searchsorted(transfer.points, values, side="right") - 1
    return transfer.values[np.maximum(index, 0)]


def inverse(transfer):
    """Return the transfer function that maps values back to intensities.

    It is linear between the points where the function rises. This drops the bins without a counted
    pixel, where one value belongs to many intensities. Of the bins below all pixels, whose value is
    0, the last one stays.
    """
    rises = np.concatenate([[True], np.diff(transfer.values) > 0])
    if transfer.values[0] == 0:
        last = np.flatnonzero(transfer.values == 0)[-1]
        rises[0], rises[last] = False, True
    return TransferFunction(transfer.values[rises], transfer.points[rises], False)


def invert(transfer, values):
    """Map values, which are floats, back to intensities; NaN stays NaN."""
    return apply(inverse(transfer), values)
