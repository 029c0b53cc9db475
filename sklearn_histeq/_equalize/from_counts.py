"""Transfer functions from counts: exactly those of the plane whose pixels were counted.

Counts are those of distinct values, of bins, or of a lattice, and come from anywhere: a data set,
or the parts of one plane.
"""

import numpy as np

from .._arithmetic import counting, spans, transfer
from .._arithmetic.dtypes import single_or_double
from .._arithmetic.transfer import Histogram


def range_of(state):
    """Return the least and the largest counted intensity of a state."""
    if isinstance(state, counting.Levels):
        return state.levels[0], state.levels[-1]
    return state.low, state.high


def of_levels(levels, rule):
    """Return the histogram and transfer function of exactly counted integers."""
    largest = max(-int(levels.levels[0]), int(levels.levels[-1]))
    has_bins = rule.bins_of(levels.levels.dtype) is not None
    if not has_bins or (rule.has_exact_bins and largest > transfer.LARGEST_EXACT):
        return of_distinct(levels, rule)
    values = counting.merge(levels.levels.astype(np.float64), levels.counts)
    histogram, found = binned(values, edges_of(values, rule, values.levels.dtype), rule)
    # the recipe has bins of its own, but the CDF of integers is scikit-image's: one bin per level
    return (_level_histogram(levels) if rule.n_bins == "auto" else histogram), found


def of_lattice(lattice, rule, dtype):
    """Return the histogram and transfer function of floats counted in a lattice."""
    values = counting.occupied(lattice, dtype)
    return binned(values, edges_of(lattice, rule, dtype), rule)


def edges_of(state, rule, dtype):
    """Return the edges of equal bins over the rule's span, or over the range of a state.

    None where the dtype has no room for them.
    """
    low, high = rule.span.limits or range_of(state)
    edges = transfer.bin_edges(low, high, rule.bins_of(np.dtype(np.float64)), dtype)
    return edges if transfer.are_bins(edges) else None


def binned(values, edges, rule):
    """Return the histogram and transfer function of exactly counted values, binned if possible."""
    counts = None if edges is None else counting.bin_levels(_clipped(values, rule), edges)
    return of_bins(counts, edges, rule) or of_distinct(values, rule)


def of_bins(counts, edges, rule):
    """Return the histogram and transfer function of counts in bins; None if it is not finite."""
    if edges is None:
        return None
    histogram = Histogram(counts, transfer.bin_centers(edges), edges, False)
    found = rule.transfer_function(histogram, single_or_double(edges.dtype))
    return (histogram, found) if transfer.is_finite(found) else None


def of_distinct(levels, rule):
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
