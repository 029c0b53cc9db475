"""Landmarks of histograms: percentiles, their place on the standard scale, and lines between them.

Engines find percentiles and map pixels. What lies between is done here, for the few landmarks of
many planes at once: arrays have the landmarks along their last axis.
"""

from typing import NamedTuple

import numpy as np

from .._arithmetic.status import FLAT

NYUL = (1, 10, 20, 30, 40, 50, 60, 70, 80, 90, 99)
# Differences of larger values may overflow: planes that have them are computed in a smaller unit.
LARGEST, SMALL_UNIT = 2.0**960, 2.0**-64


class Scale(NamedTuple):
    """The standard scale: increasing percentages, and for each channel their values (c, k)."""

    percentages: np.ndarray
    values: np.ndarray


class Own(NamedTuple):
    """The landmarks of planes: values (..., k) times the unit of each plane, units (...)."""

    values: np.ndarray
    units: np.ndarray


def units_of(low, high):
    """Return what planes are multiplied with, by the range of their counted pixels."""
    return np.where(np.maximum(-low, high) > LARGEST, SMALL_UNIT, 1.0)


def shares_with_ends(percentages):
    """Return the shares of percentages, between those of the least and the largest pixel."""
    return np.concatenate([[0.0], percentages / 100, [1.0]])


def places_of(shares, n_counted):
    """Return the places of shares among n_counted (...) pixels in order, as numpy.percentile."""
    return np.maximum(n_counted[..., np.newaxis] - 1.0, 0) * shares


def own_of(below, above, places):
    """Return the landmarks of planes by the counted pixels below and above their places.

    All are (..., k + 2), for the shares with ends. The arithmetic is that of numpy.percentile.
    """
    units = units_of(below[..., 0], above[..., -1])
    below, above = (side[..., 1:-1] * units[..., np.newaxis] for side in (below, above))
    t, step = places[..., 1:-1] % 1.0, above - below
    return Own(in_order(np.where(t < 0.5, below + step * t, above - step * (1 - t))), units)


def in_order(landmarks):
    """Return landmarks that do not decrease by a rounding error, without negative zeros."""
    return np.maximum.accumulate(landmarks, axis=-1) + 0.0


def flat(landmarks, low, high, is_masked):
    """Return FLAT for planes of a range whose first and last landmark are equal, uint8.

    Not for a plane of one intensity without a mask, which is constant, and not mistaken.
    """
    is_flat = (landmarks[..., 0] == landmarks[..., -1]) & (is_masked | (low < high))
    return (FLAT * is_flat).astype(np.uint8)


def standard_of(landmarks, standard_range):
    """Return landmarks on the standard scale: the first and the last go to the ends of its range.

    Those of planes without two different landmarks are NaN.
    """
    low, high = standard_range
    first, last = landmarks[..., :1], landmarks[..., -1:]
    with np.errstate(invalid="ignore"):
        found = np.minimum((landmarks - first) / (last - first) * (high - low) + low, high)
    return np.where((landmarks == last) & (first < last), high, found)


def segments_of(landmarks, values):
    """Return the function that maps landmarks (n, k) to values (n, k): lines (n, 3, k).

    They are points, slopes and values: an intensity x from a point on (below the first: from the
    first on) becomes slope * (x - point) + value. Equal landmarks are one knot with the mean of
    their values, the outermost with the value at the end, and a plane of one intensity with that at
    the upper end. Between points so close that the slope overflows, the lower one's value is taken.
    """
    is_new = np.diff(landmarks, axis=1, prepend=np.nan) != 0
    knots = np.cumsum(is_new) - 1  # the number of each landmark's knot, in all planes
    means = np.bincount(knots, values.ravel()) / np.bincount(knots)
    first, last = landmarks[:, :1], landmarks[:, -1:]
    means = np.where(landmarks == first, values[:, :1], means[knots].reshape(values.shape))
    means = np.where(landmarks == last, values[:, -1:], means)
    steps = np.diff(landmarks, axis=1)
    with np.errstate(all="ignore"):
        slopes = np.diff(means, axis=1) / steps
    slopes = np.where(np.isfinite(slopes), slopes, 0)
    ends = (steps > 0).argmax(axis=1), -1 - (steps[:, ::-1] > 0).argmax(axis=1)
    below, above = (slopes[np.arange(len(slopes)), end] for end in ends)
    slopes = np.column_stack([below, slopes[:, 1:], above])
    return np.stack([landmarks, slopes, means], axis=1)
