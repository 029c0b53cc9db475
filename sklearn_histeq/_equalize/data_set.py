"""What scope="dataset" learns: the counts of all counted pixels, and transfer functions from them.

By definition the convention is applied to one long plane of all counted pixels of a channel. Counts
add, so that plane is never built. All functions take arrays; `count(function, add)` is the
estimator's sum, by add, of function(planes, mask) over all its planes in the learned dtype.
"""

from functools import partial
from typing import Any, NamedTuple

import numpy as np

from .. import _engine
from .._arithmetic import counting, namespaces, output, spans, transfer
from .._arithmetic.dtypes import single_or_double
from .._arithmetic.status import BEYOND, has_any
from .._arithmetic.transfer import Histogram, TransferFunction


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


def range_of(state):
    """Return the least and the largest counted intensity of a state."""
    if isinstance(state, counting.Levels):
        return state.levels[0], state.levels[-1]
    return state.low, state.high


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
        return [_of_levels(levels, rule) for levels in state]
    edges = [_edges(lattice, rule, dtype) for lattice in state]
    counts = count(partial(_count_bins, edges), _add_bins)
    found = [_of_bins(c, e, rule) for c, e in zip(counts, edges, strict=True)]
    if None in found:
        exact = count(_count_levels, add_channels)
        found = [
            binned or _of_values(levels, rule) for binned, levels in zip(found, exact, strict=True)
        ]
    return found


def read_out(state, rule, dtype):
    """Return each channel's histogram and transfer function: exact for integers, else re-binned."""
    if dtype.kind != "f":
        return [_of_levels(levels, rule) for levels in state]
    return [_of_lattice(lattice, rule, dtype) for lattice in state]


def _of_levels(levels, rule):
    """Return the histogram and transfer function of exactly counted integers."""
    largest = max(-int(levels.levels[0]), int(levels.levels[-1]))
    has_bins = rule.bins_of(levels.levels.dtype) is not None
    if not has_bins or (rule.has_exact_bins and largest > transfer.LARGEST_EXACT):
        return _of_values(levels, rule)
    values = counting.merge(levels.levels.astype(np.float64), levels.counts)
    histogram, found = _binned(values, _edges(values, rule, values.levels.dtype), rule)
    # the recipe has bins of its own, but the CDF of integers is scikit-image's: one bin per level
    return (_level_histogram(levels) if rule.n_bins == "auto" else histogram), found


def _of_lattice(lattice, rule, dtype):
    """Return the histogram and transfer function of floats counted in a lattice."""
    values = counting.occupied(lattice, dtype)
    return _binned(values, _edges(lattice, rule, dtype), rule)


def _edges(state, rule, dtype):
    """Return the edges of equal bins over the rule's span, or over the range of a state.

    None where the dtype has no room for them.
    """
    low, high = rule.span.limits or range_of(state)
    edges = transfer.bin_edges(low, high, rule.bins_of(np.dtype(np.float64)), dtype)
    return edges if transfer.are_bins(edges) else None


def _binned(values, edges, rule):
    """Return the histogram and transfer function of exactly counted values, binned if possible."""
    counts = None if edges is None else counting.bin_levels(_clipped(values, rule), edges)
    return _of_bins(counts, edges, rule) or _of_values(values, rule)


def _of_bins(counts, edges, rule):
    """Return the histogram and transfer function of counts in bins; None if it is not finite."""
    if edges is None:
        return None
    histogram = Histogram(counts, transfer.bin_centers(edges), edges, False)
    found = rule.transfer_function(histogram, single_or_double(edges.dtype))
    return (histogram, found) if transfer.is_finite(found) else None


def _of_values(levels, rule):
    """Return the histogram and transfer function with one bin per level, or distinct value."""
    histogram = _level_histogram(_clipped(levels, rule))
    return histogram, rule.transfer_function(histogram)


def _clipped(levels, rule):
    """Return exact counts of values, those outside of the rule's span at its ends."""
    limits = spans.limits_of(rule.span, levels.levels)
    if limits is None:
        return levels
    return counting.merge(levels.levels.clip(*limits), levels.counts)


def _level_histogram(levels):
    """Return exact counts as a histogram."""
    is_step = levels.levels.dtype.kind != "f"
    return Histogram(levels.counts, levels.levels, None, is_step)


# The inverse -------------------------------------------------------------------------------------


def inverses(transfers, state):
    """Return the functions to invert: of integers, the values of the counted levels alone."""
    return [
        TransferFunction(levels.levels, transfer.apply(found, levels.levels), True)
        if isinstance(levels, counting.Levels)
        else found
        for found, levels in zip(transfers, state, strict=True)
    ]
