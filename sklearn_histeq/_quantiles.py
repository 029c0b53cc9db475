"""Quantile functions: of a reference, and the mean of those of many images.

Arrays only. A mean is kept as an exact-as-can-be sum, in two doubles, so that it does not depend on
the order and the blocks in which images come; its state is of constant size.
"""

from typing import NamedTuple

import numpy as np

from . import _transfer

N_QUANTILES = 1024
# np.interp's slopes overflow for values near the largest double, times as many quantiles
SCALE_EXPONENT = -64


class Target(NamedTuple):
    """A quantile function: increasing values at increasing shares of the pixels, in (0, 1]."""

    shares: np.ndarray
    values: np.ndarray

    def is_finite(self):
        """Tell whether np.interp's slopes are finite."""
        values = self.values.astype(np.float64)
        return _transfer.is_finite(_transfer.Curve(self.shares, values, False))

    def at(self, shares):
        """Return the values at shares, by np.interp."""
        values = self.values.astype(np.float64)
        if self.is_finite():
            return np.interp(shares, self.shares, values)
        small = np.interp(shares, self.shares, np.ldexp(values, SCALE_EXPONENT))
        with np.errstate(over="ignore"):  # rounding may go beyond the largest double
            return np.ldexp(small, -SCALE_EXPONENT).clip(values[0], values[-1])


class Sums(NamedTuple):
    """Sums of quantiles, in two doubles each, and of how many planes they are."""

    high: np.ndarray  # (c, n_quantiles)
    low: np.ndarray  # (c, n_quantiles)
    n_planes: np.ndarray  # (c,)


def target_of_levels(levels):
    """Return the quantile function of exactly counted values."""
    return Target(_transfer.cdf(levels.counts), levels.levels)


def targets_of_mean(quantiles):
    """Return the quantile function of each channel's mean quantiles (c, n_quantiles)."""
    shares = (np.arange(quantiles.shape[1]) + 0.5) / quantiles.shape[1]
    return [Target(shares, channel) for channel in quantiles]


def total(quantiles):
    """Return the sums over planes (n, c, n_quantiles), without those that are NaN."""
    empty = np.zeros(quantiles.shape[1:])
    sums = Sums(empty, empty, np.zeros(len(empty), np.int64))
    for plane in quantiles:
        is_counted = ~np.isnan(plane[:, 0])
        values = np.where(is_counted[:, np.newaxis], plane, 0)
        sums = add(sums, Sums(values, empty, is_counted.astype(np.int64)))
    return sums


def add(a, b):
    """Add two sums, keeping what the double of the sum cannot hold (Knuth's two-sum)."""
    high = a.high + b.high
    of_b = high - a.high
    lost = (a.high - (high - of_b)) + (b.high - of_b)
    low = a.low + b.low + lost
    total = high + low
    return Sums(total, low - (total - high), a.n_planes + b.n_planes)


def mean(sums):
    """Return the mean quantiles (c, n_quantiles)."""
    return sums.high / sums.n_planes[:, np.newaxis]
