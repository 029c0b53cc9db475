"""Counts to CDF to transfer function, one function a convention.

Arrays only: no planes, no estimators. The reference engine and the learned states both come here,
so that a convention is written down once. A transfer function is a `Curve`: its values at some
points, and how it runs between them.
"""

from typing import NamedTuple

import numpy as np

N_LEVELS_8BIT = 256
# Integers beyond are no longer all doubles, and np.interp is arithmetic in double.
LARGEST_EXACT = 2**53


class Curve(NamedTuple):
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


def cdf(counts, dtype=np.float64):
    """Return the CDF of counts, as skimage.exposure.cumulative_distribution computes it."""
    cumulative = counts.cumsum()
    return (cumulative / float(cumulative[-1])).astype(dtype, copy=False)


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
    """Tell whether edges bound bins: no two the same, all of them and the centers finite."""
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


def is_finite(curve):
    """Tell whether a curve's points, values and slopes are finite, so that np.interp works."""
    points, values = curve.points.astype(np.float64), curve.values.astype(np.float64)
    with np.errstate(all="ignore"):
        slopes = np.diff(values) / np.diff(points)
    return all(bool(np.isfinite(array).all()) for array in (points, values, slopes))


def skimage_uniform(histogram, dtype=np.float64):
    """Return the CDF at the bin centers: skimage.exposure.equalize_hist."""
    return Curve(histogram.points, cdf(histogram.counts, dtype), histogram.is_step)


def skimage_normal(histogram):
    """Return the standard normal quantiles of the mid-distribution, at the counted points."""
    from scipy.special import ndtri

    counted = histogram.counts > 0
    counts = histogram.counts[counted]
    middles = (counts.cumsum() - counts + counts / 2) / counts.sum()
    return Curve(histogram.points[counted], ndtri(middles), histogram.is_step)


def numpy_recipe(histogram):
    """Return 255 times the cumulated density at the left edges: the NumPy recipe (Solem 2012)."""
    counts, points, edges, is_step = histogram
    if edges is None:
        return Curve(points, 255 * cdf(counts), is_step)
    with np.errstate(all="ignore"):  # a density may overflow; `is_finite` sees it
        density = counts / np.diff(edges).astype(np.float64) / counts.sum()
        cumulative = density.cumsum()
        return Curve(edges[:-1], 255 * cumulative / cumulative[-1], is_step)


def opencv_table(counts):
    """Return cv2.equalizeHist's lookup table of 256 counts, in its single-precision arithmetic."""
    occupied = np.flatnonzero(counts)
    first, n_pixels = counts[occupied[0]], counts.sum()
    if len(occupied) == 1:
        return np.arange(N_LEVELS_8BIT, dtype=np.uint8)
    scale = np.float32(255) / np.float32(n_pixels - first)
    table = np.rint((counts.cumsum() - first).astype(np.float32) * scale)
    table[: occupied[0]] = 0
    return table.astype(np.uint8)


def pillow_table(counts):
    """Return PIL.ImageOps.equalize's lookup table of 256 counts, in its integer arithmetic."""
    occupied = np.flatnonzero(counts)
    step = int(counts.sum() - counts[occupied[-1]]) // 255
    if len(occupied) == 1 or step == 0:
        return np.arange(N_LEVELS_8BIT, dtype=np.uint8)
    below = counts.cumsum() - counts
    return np.minimum(255, (below + step // 2) // step).astype(np.uint8)


TABLES = {"opencv": opencv_table, "pillow": pillow_table}


def table_curve(convention, levels, counts):
    """Return the curve of a convention that is a lookup table over the 256 levels of uint8."""
    full = np.zeros(N_LEVELS_8BIT, dtype=np.int64)
    full[levels] = counts
    return Curve(np.arange(N_LEVELS_8BIT, dtype=np.uint8), TABLES[convention](full), True)


def curve_of(histogram, convention, output_distribution, dtype=np.float64):
    """Return the transfer function that a convention makes of a histogram.

    dtype is that of scikit-image's CDF: single precision for images in single precision.
    """
    if convention in TABLES:
        return table_curve(convention, histogram.points, histogram.counts)
    if convention == "numpy":
        return numpy_recipe(histogram)
    if output_distribution == "normal":
        return skimage_normal(histogram)
    return skimage_uniform(histogram, dtype)


def apply(curve, plane):
    """Map the intensities of an array by a curve; NaN stays NaN.

    The array has the dtype of the curve's points where these are integers, so that no level is
    rounded. Between points so close that np.interp overflows, the lower one's value is taken.
    """
    if curve.is_step:
        mapped = _at_or_below(curve, plane)
    else:
        mapped = np.interp(plane, curve.points, curve.values)
        lost = ~np.isfinite(mapped) & np.isfinite(plane)
        if lost.any():
            mapped[lost] = _at_or_below(curve, plane[lost])
    if plane.dtype.kind == "f":
        mapped[np.isnan(plane)] = np.nan  # a curve of one point would map it, too
    return mapped


def _at_or_below(curve, values):
    """Return the curve's value at the largest point that is no greater than each value."""
    index = np.searchsorted(curve.points, values, side="right") - 1
    return curve.values[np.maximum(index, 0)]


def invert(curve, values):
    """Map values back to intensities.

    By np.interp over the points where the curve rises, which drops the uncounted bins: between
    these a value would have many intensities.
    """
    rises = np.concatenate([[True], np.diff(curve.values) > 0])
    return np.interp(values, curve.values[rises], curve.points[rises])


def own_dtype(convention, dtype):
    """Return the output type of a convention for input of a dtype."""
    if convention in TABLES:
        return np.dtype(np.uint8)
    is_single = convention != "numpy" and dtype.kind == "f" and dtype.itemsize < 8
    return np.dtype(np.float32 if is_single else np.float64)


def top(convention):
    """Return the value of a convention's brightest output."""
    return 1 if convention == "skimage" else 255


def largest(dtype):
    """Return the largest level of an integer type or bool."""
    return 1 if dtype == np.bool_ else int(np.iinfo(dtype).max)


def smallest(dtype):
    """Return the smallest level of an integer type or bool."""
    return 0 if dtype == np.bool_ else int(np.iinfo(dtype).min)


def store(values, out, top):
    """Write values of a convention, in its own type, into out.

    Floats are cast, integers and bool `rint(double(value) / top * max)`.
    """
    if out.dtype.kind == "f" or values.dtype == out.dtype:
        with np.errstate(over="ignore"):
            out[...] = values
        return
    saturate(values.astype(np.float64) / top * largest(out.dtype), out)


def saturate(values, out):
    """Write values into out without scaling: floats are cast, integers rounded and kept in range.

    64-bit integers saturate at their own maximum, which is no double.
    """
    if out.dtype.kind == "f":
        with np.errstate(over="ignore"):
            out[...] = values
        return
    lowest, highest = smallest(out.dtype), largest(out.dtype)
    rounded = np.rint(values.astype(np.float64, copy=False))
    above = rounded >= float(highest)
    with np.errstate(invalid="ignore"):  # NaN here is reported by the caller, who knows the image
        out[...] = np.where(above, 0, np.maximum(rounded, lowest)).astype(out.dtype)
    out[above] = highest
