"""What scope="dataset" learns: the counts of all counted pixels, and transfer functions from them.

By definition the convention is applied to one long plane of all counted pixels of a channel. Counts
add, so that plane is never built. All functions take arrays; `count(function, add)` is the
estimator's sum, by add, of function(planes, mask) over all its planes in the learned dtype.
"""

from functools import partial
from typing import Any, NamedTuple

import numpy as np

from .. import _engine
from .._arithmetic import counting, namespaces, output, transfer
from .._arithmetic.status import BEYOND, EMPTY, FAR, INF, has_any, joined, of_values
from .._arithmetic.transfer import TransferFunction
from .._passes import Passes, Read
from .from_counts import edges_of, of_bins, of_distinct, of_lattice, of_levels, range_of


class Learned(NamedTuple):
    """What `transform` needs of a fit.

    Attributes
    ----------
    dtype_name : str
        The dtype that was learned from; a name, since skops does not trust dtypes.
    state : list
        The counts of each channel.
    transfers : list of `transfer.TransferFunction`
        The transfer function of each channel.
    """

    dtype_name: str
    state: Any = ()
    transfers: Any = ()

    @property
    def dtype(self):
        """The dtype that was learned from."""
        return np.dtype(self.dtype_name)

    @property
    def ranges(self):
        """The least and the largest counted intensity of each channel (c, 2), as doubles."""
        return np.array([range_of(state) for state in self.state], np.float64)


def cast(planes, dtype):
    """Return integer planes in the dtype that was learned from, and their status.

    The status is BEYOND where levels exceed that dtype. Floats stay as they are.
    """
    status, own = np.zeros(planes.shape[:2], np.uint8), namespaces.dtype_of(planes)
    if dtype.kind == "f" or own == dtype:
        return planes, status
    if not np.can_cast(own, dtype):
        low, high = output.smallest_level(dtype), output.largest_level(dtype)
        status[has_any(namespaces.is_outside(planes, low, high))] = BEYOND
    return namespaces.astype(planes, dtype), status


def count_as(dtype, function, planes, mask):
    """Return function(planes, mask) of planes in the dtype that is learned."""
    planes, beyond = cast(planes, dtype)
    result, status = function(planes, mask)
    return result, status | beyond


# Counting ----------------------------------------------------------------------------------------


def count_all(count, dtype):
    """Return the state of each channel: exact levels of integers, a lattice of floats."""
    return count(_count_lattice if dtype.kind == "f" else _count_levels, add_channels)


def _count_levels(planes, mask):
    return _engine.select(planes).equalize.count_levels(planes, mask)


def _count_lattice(planes, mask):
    return _engine.select(planes).equalize.count_lattice(planes, mask)


def _count_bins(edges, planes, mask):
    return _engine.select(planes).equalize.count_bins(planes, mask, edges)


def add_channels(a, b):
    """Add two lists of states, one state per channel."""
    return [counting.add(*pair) for pair in zip(a, b, strict=True)]


def _add_bins(a, b):
    """Add two lists of counts in bins, one array per channel."""
    return [x + y for x, y in zip(a, b, strict=True)]


# From counts to transfer functions ---------------------------------------------------------------


def fit_transfers(count, state, rule, dtype):
    """Return each channel's histogram and transfer function, exactly those of one long plane."""
    if dtype.kind != "f":
        return [of_levels(levels, rule) for levels in state]
    edges = [edges_of(lattice, rule, dtype) for lattice in state]
    counts = count(partial(_count_bins, edges), _add_bins)
    found = [of_bins(c, e, rule) for c, e in zip(counts, edges, strict=True)]
    if None in found:
        exact = count(_count_levels, add_channels)
        found = [
            each or of_distinct(levels, rule) for each, levels in zip(found, exact, strict=True)
        ]
    return found


def read_out(state, rule, dtype):
    """Return each channel's histogram and transfer function: exact for integers, else re-binned."""
    if dtype.kind != "f":
        return [of_levels(levels, rule) for levels in state]
    return [of_lattice(lattice, rule, dtype) for lattice in state]


# The inverse -------------------------------------------------------------------------------------


def inverses(transfers, state):
    """Return the functions to invert: of integers, the values of the counted levels alone."""
    return [
        TransferFunction(levels.levels, transfer.apply(found, levels.levels), True)
        if isinstance(levels, counting.Levels)
        else found
        for found, levels in zip(transfers, state, strict=True)
    ]


# In passes over parts of images -------------------------------------------------------------------


class Ranged(NamedTuple):
    """What is known of whole planes: their status, and the range of all pixels (2, n, c)."""

    status: np.ndarray
    ranges: np.ndarray


def passes(learned, convention, blend):
    """Return the passes that map parts of planes by learned transfer functions.

    The first finds planes that are far from what was learned from, and those without a counted
    pixel.
    """
    read = Read(partial(_read_range, learned), _add_ranges, partial(_find_far, learned), "range")
    return Passes((read,), partial(_write, learned, convention, blend))


def _read_range(learned, _, part):
    """Return the status of a part, its ranges, and how many counted pixels are out of range."""
    planes, beyond = cast(part.planes, learned.dtype)
    counted = np.ones(planes.shape, bool)
    least, largest = -np.inf, np.inf
    if part.mask is not None:
        counted &= part.mask[:, np.newaxis]
    if planes.dtype.kind == "f":
        counted &= ~np.isnan(planes)
    else:
        least, largest = output.smallest_level(planes.dtype), output.largest_level(planes.dtype)
    axes = tuple(range(2, planes.ndim))
    lows = planes.min(axis=axes, where=counted, initial=largest).astype(np.float64)
    highs = planes.max(axis=axes, where=counted, initial=least).astype(np.float64)
    low, high = learned.ranges.T
    n_counted, n_outside = counted.sum(axis=axes), np.zeros(lows.shape, np.int64)
    for i, c in np.argwhere((lows < low) | (highs > high)):
        pixels = planes[i, c][counted[i, c]].astype(np.float64)
        n_outside[i, c] = np.count_nonzero((pixels < low[c]) | (pixels > high[c]))
    status = of_values(planes) | beyond | (EMPTY * (n_counted == 0)).astype(np.uint8)
    of_all = (np.fmin.reduce(part.planes, axis=axes), np.fmax.reduce(part.planes, axis=axes))
    lows, highs = np.stack([lows, of_all[0]]), np.stack([highs, of_all[1]])
    return status, lows, highs, np.stack([n_outside, n_counted])


def _add_ranges(a, b):
    """Return what was read of two parts together."""
    return joined(a[0], b[0]), np.fmin(a[1], b[1]), np.fmax(a[2], b[2]), a[3] + b[3]


def _find_far(learned, _, found):
    """Return the status of planes; FAR as `definition.apply` says."""
    status, lows, highs, (n_outside, n_counted) = found
    low, high = learned.ranges.T
    with np.errstate(over="ignore", invalid="ignore"):
        width = high - low
        is_far = (low - lows[0] > width) | (highs[0] - high > width)
    is_far |= 2 * n_outside >= n_counted
    is_far &= (n_outside > 0) & (width > 0) & (status & INF == 0)
    return Ranged(status | (FAR * is_far).astype(np.uint8), np.stack([lows[1], highs[1]]))


def _write(learned, convention, blend, _, part):
    """Map a part of planes by learned transfer functions; return the planes' status."""
    planes, _ = cast(part.planes, learned.dtype)
    apply = _engine.select(planes).equalize.apply
    status = apply(planes, None, part.out, learned, convention, blend)
    if blend is not None:
        status = status | blend.status(part.planes)
    return status & ~np.uint8(EMPTY | FAR)
