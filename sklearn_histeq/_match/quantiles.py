"""Quantile functions: of a reference, and their mean over many images.

A mean is kept as an exact sum, so that it does not depend on the order and the blocks in which
images come. Doubles are written in digits of DIGIT bits on a fixed lattice, the k-th digit worth
2**(DIGIT * k), and each digit is summed as an integer. So the sum depends on the planes alone. It
has as many digits as the doubles need: one for levels of 16 bits, three or four for floats of one
range, never more than 82.
"""

from functools import reduce
from typing import NamedTuple

import numpy as np

from .._arithmetic import transfer
from .._arithmetic.transfer import TransferFunction

N_QUANTILES = 1024
# np.interp's slopes overflow for values near the largest double, times as many quantiles
SCALE_EXPONENT = -64
# Sums of digits fit 64 bits for 2**37 planes.
DIGIT = 26


class Target(NamedTuple):
    """A quantile function: increasing values at increasing shares of the pixels, in (0, 1].

    `strength` is how far intensities are moved towards these values, in (0, 1].
    """

    shares: np.ndarray
    values: np.ndarray
    strength: float = 1.0

    def is_finite(self):
        """Return whether np.interp's slopes are finite."""
        values = self.values.astype(np.float64)
        return transfer.is_finite(TransferFunction(self.shares, values, False))

    def values_at(self, shares):
        """Return the values at shares, by np.interp."""
        values = self.values.astype(np.float64)
        if self.is_finite():
            return np.interp(shares, self.shares, values)
        small = np.interp(shares, self.shares, np.ldexp(values, SCALE_EXPONENT))
        with np.errstate(over="ignore"):  # rounding may go beyond the largest double
            return np.ldexp(small, -SCALE_EXPONENT).clip(values[0], values[-1])


class Learned(NamedTuple):
    """What `fit` keeps: the dtype of the images by its name, the sums, and the mean quantiles."""

    dtype_name: str  # a name, since skops does not trust dtypes
    sums: "Sums"
    mean: np.ndarray

    @property
    def dtype(self):
        """The dtype that was learned from."""
        return np.dtype(self.dtype_name)


class Sums(NamedTuple):
    """Exact sums of quantiles, and of how many planes they are."""

    digits: np.ndarray  # (n_digits, c, n_quantiles) int64, signed, the lowest first
    first: int  # the lowest digit's place, at most 0
    n_planes: np.ndarray  # (c,)


def target_of_levels(levels, strength):
    """Return the quantile function of exactly counted values."""
    return Target(transfer.cdf(levels.counts), levels.levels, strength)


def targets_of_mean(quantiles, strength):
    """Return the quantile function of each channel's mean quantiles (c, n_quantiles)."""
    shares = (np.arange(quantiles.shape[1]) + 0.5) / quantiles.shape[1]
    return [Target(shares, channel, strength) for channel in quantiles]


def total(quantiles):
    """Return the sums over planes (n, c, n_quantiles), without those that are NaN."""
    is_counted = ~np.isnan(quantiles[:, :, 0])
    rest = np.where(is_counted[:, :, np.newaxis], quantiles, 0)
    place = max(0, int(np.frexp(np.abs(rest).max(initial=0))[1]) // DIGIT)
    found: list[np.ndarray] = []  # the highest first; place 0 always, as where sums meet
    while place >= 0 or rest.any():
        digit = np.trunc(np.ldexp(rest, -DIGIT * place))
        rest -= np.ldexp(digit, DIGIT * place)  # exact: what it takes away are leading bits
        found.append(digit.astype(np.int64).sum(axis=0))
        place -= 1
    return Sums(np.stack(found[::-1]), place + 1, is_counted.sum(axis=0))


def add(a, b):
    """Add two sums, digit by digit."""
    first = min(a.first, b.first)
    last = max(a.first + len(a.digits), b.first + len(b.digits))
    digits = np.zeros((last - first, *a.digits.shape[1:]), np.int64)
    for sums in (a, b):
        digits[sums.first - first :][: len(sums.digits)] += sums.digits
    return Sums(digits, first, a.n_planes + b.n_planes)


def mean(sums):
    """Return the mean quantiles (c, n_quantiles): the exact means, rounded once."""
    # Python's integers are exact, and so is their quotient but for one rounding
    digits = sums.digits[::-1].astype(object)
    whole = reduce(lambda higher, digit: (higher << DIGIT) + digit, digits)
    n_planes = sums.n_planes[:, np.newaxis].astype(object)
    return (whole / (n_planes << -DIGIT * sums.first)).astype(np.float64)
