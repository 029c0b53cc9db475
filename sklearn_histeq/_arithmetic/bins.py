"""Equal bins of many rows at once: edges, counts and transfer functions."""

from typing import NamedTuple

import numpy as np

from . import namespaces, transfer
from .dtypes import single_or_double
from .rows import Rows, as_doubles, clipped, counts_of, gather, ranges_of


class Found(NamedTuple):
    """Rows that have bins, and their transfer functions.

    Attributes
    ----------
    reals : Rows
        All rows; integers as doubles, and clipped to given ranges.
    rows, others, beyond : ndarray of int
        The numbers of the rows whose bins have a meaning, of the others, and of those whose
        integers are no doubles.
    edges : ndarray of shape (n_index, n_bins + 1)
        In the dtype of the pixels.
    points, values : ndarray of shape (n_index, n_bins), float64
        The transfer functions; behind the points that are kept stand infinite ones with the last
        value.
    """

    reals: Rows
    rows: np.ndarray
    others: np.ndarray
    beyond: np.ndarray
    edges: np.ndarray
    points: np.ndarray
    values: np.ndarray


def find(rows, planes, ranges, n_bins, is_exact, formula):
    """Return the rows that have bins, with their transfer functions by a formula.

    ranges: what bins span where this is not the own range; see `spans.given_ranges`. is_exact: rows
    with integers that are no doubles have no bins.
    """
    reals, n_bins = rows, int(n_bins)  # array_api_strict takes no number of NumPy's
    if rows.dtype.kind != "f":
        reals = rows._replace(pixels=as_doubles(rows, planes))
    low, high = ranges_of(reals)
    if ranges is not None:
        given = ranges.reshape(-1, 2).T.astype(low.dtype)
        low, high = np.where(np.isnan(given), (low, high), given)
        limits = (namespaces.asarray(end[:, np.newaxis], reals.pixels) for end in (low, high))
        reals = reals._replace(pixels=clipped(reals.pixels, *limits))
    edges = _edges(low, high, n_bins)
    is_beyond = _are_beyond_doubles(rows) if is_exact else np.zeros(len(edges), bool)
    index = np.flatnonzero(_are_bins(edges) & ~is_beyond)
    edges, points, values = edges[index], np.zeros((0, 1)), np.zeros((0, 1))
    if index.size:
        some = reals.take(index)
        numbers = bin_numbers(some, edges)
        counts = namespaces.to_numpy(counts_of(numbers, some.counted, n_bins))
        points, values, is_finite = _transfer_functions(counts, edges, formula)
        index, edges = index[is_finite], edges[is_finite]
        points, values = points[is_finite], values[is_finite]
    others = np.setdiff1d(np.flatnonzero(~is_beyond), index)
    return Found(reals, index, others, np.flatnonzero(is_beyond), edges, points, values)


def _edges(low, high, n_bins):
    """Return np.histogram's edges over the ranges of rows, in their dtype; see `transfer`.

    numpy.linspace computes all of its ranges in another way if one has no room for steps.
    """
    edges = np.zeros((len(low), n_bins + 1), low.dtype)
    has_steps = (high - low) / low.dtype.type(n_bins) > 0
    low, high = low[has_steps], high[has_steps]
    edges[has_steps] = np.linspace(low, high, n_bins + 1, dtype=low.dtype, axis=1)
    return edges


def _are_bins(edges):
    """Return which rows of edges can be used as bins; see `transfer.are_bins`."""
    is_finite = np.isfinite(edges).all(axis=1) & np.isfinite(_centers(edges)).all(axis=1)
    return is_finite & (edges[:, :-1] < edges[:, 1:]).all(axis=1)


def _centers(edges):
    return (edges[:, :-1] + edges[:, 1:]) / 2.0


def _are_beyond_doubles(rows):
    """Return which rows have counted integers that a double cannot hold."""
    if rows.dtype.kind == "f" or rows.dtype.itemsize < 8:
        return np.zeros(rows.pixels.shape[0], bool)
    low, high = ranges_of(rows)
    zero = np.int64(0)
    if rows.dtype.kind == "u" and low.dtype == np.int64:
        zero = np.int64(-(2**63))  # as `namespaces.as_signed` moves levels
        return high > zero + transfer.LARGEST_EXACT
    return (high > transfer.LARGEST_EXACT) | (low < -transfer.LARGEST_EXACT)


def bin_numbers(rows, edges):
    """Return the bin in which np.histogram counts each pixel; see `transfer.bin_numbers`.

    Those of pixels that do not count have no meaning.
    """
    xp, pixels, n_bins = rows.xp, rows.pixels, edges.shape[1] - 1
    edges = namespaces.asarray(edges, pixels)
    first, end = edges[:, :1], edges[:, -1:]
    estimate = (pixels - first) / (end - first) * n_bins
    if rows.counted is not None:
        estimate = xp.where(rows.counted, estimate, 0.0)
    numbers = xp.clip(namespaces.astype(estimate, np.int64), 0, n_bins - 1)
    is_below = pixels < gather(edges, numbers)
    numbers = numbers - namespaces.astype(is_below & (numbers > 0), np.int64)
    is_above = (pixels >= gather(edges, numbers + 1)) & (numbers != n_bins - 1)
    return numbers + namespaces.astype(is_above, np.int64)


def _transfer_functions(counts, edges, formula):
    """Return points, values, and which transfer functions are finite, of counts in bins."""
    widths = np.diff(edges, axis=1).astype(np.float64)
    values = formula.values(counts, widths, single_or_double(edges.dtype)).astype(np.float64)
    points = (edges[:, :-1] if formula.at_left_edges else _centers(edges)).astype(np.float64)
    is_kept = counts > 0 if formula.counted_only else np.ones(counts.shape, bool)
    order = np.argsort(~is_kept, axis=1, kind="stable")
    points, values, is_kept = (
        np.take_along_axis(array, order, axis=1) for array in (points, values, is_kept)
    )
    slopes = np.diff(values, axis=1) / np.diff(points, axis=1)
    is_finite = np.isfinite(points) & np.isfinite(values)
    is_finite[:, 1:] &= np.isfinite(slopes)
    is_finite = (is_finite | ~is_kept).all(axis=1)
    last = np.take_along_axis(values, is_kept.sum(axis=1, keepdims=True) - 1, axis=1)
    return np.where(is_kept, points, np.inf), np.where(is_kept, values, last), is_finite
