"""What scope="dataset" learns: counts of all counted pixels, and the curve made of them.

By definition the convention is applied to one long plane of all counted pixels of a channel. Counts
add, so that plane is never built. Functions of arrays: the estimator hands over a `count`, which
maps an engine's counting over its blocks of planes, and adds up what they give.
"""

from functools import partial
from typing import NamedTuple

import numpy as np

from . import _engines
from ._arithmetic import counts as _counts
from ._arithmetic import status as _status
from ._arithmetic import transfer as _transfer


class Rule(NamedTuple):
    """How counts become a transfer function: the parameters of the equalizer that say so."""

    n_bins: int | str
    convention: str
    output_distribution: str


def dtype_of(dtype):
    """Return the dtype in which images are learned from: native, float16 as float32."""
    native = dtype.newbyteorder("=")
    return np.dtype(np.float32) if native == np.float16 else native


def joint_dtype(dtype, fitted):
    """Return the dtype of what is learned when a batch joins: the wider float, the same integer."""
    return np.promote_types(dtype_of(dtype), fitted) if fitted.kind == "f" else fitted


def cast(planes, fitted):
    """Return integer planes in the dtype that was learned from, and their status.

    The status is BEYOND where levels exceed that dtype. Floats stay as they are.
    """
    beyond = np.zeros(planes.shape[:2], np.uint8)
    if fitted.kind == "f" or planes.dtype == fitted:
        return planes, beyond
    if not np.can_cast(planes.dtype, fitted):
        low = 0 if fitted == np.bool_ else int(np.iinfo(fitted).min)
        outside = (planes < low) | (planes > _transfer.largest(fitted))
        beyond[outside.any(axis=(2, 3))] = _status.BEYOND
    return planes.astype(fitted), beyond


def count_as(fitted, function, planes, mask):
    """Return function(planes, mask) of planes in the dtype that is learned, and their status."""
    planes, beyond = cast(planes, fitted)
    result, status = function(planes, mask)
    return result, status | beyond


def invert(planes, out, curves, top):
    """Map equalized planes (n, c, h, w) back by each channel's curve; return their status."""
    status = _status.of_values(planes)
    if planes.dtype.kind != "f":
        planes = planes / _transfer.largest(planes.dtype) * top
    for channel, curve in enumerate(curves):
        out[:, channel] = _transfer.invert(curve, planes[:, channel])
    return status


def inverses(curves, state):
    """Return the curves to invert: of integers, the values of the counted levels alone."""
    return [
        _transfer.Curve(levels.levels, _transfer.apply(curve, levels.levels), True)
        if isinstance(levels, _counts.Levels)
        else curve
        for curve, levels in zip(curves, state, strict=True)
    ]


def count_all(count, dtype):
    """Return the state of each channel: exact levels of integers, a lattice of floats."""
    engine_count = _engines.count_lattice if dtype.kind == "f" else _engines.count_levels
    return count(engine_count, add_channels)


def add_channels(a, b):
    """Add two lists of one state a channel."""
    return [_counts.add(*pair) for pair in zip(a, b, strict=True)]


def add_bins(a, b):
    """Add two lists of one channel's counts in bins each."""
    return [x + y for x, y in zip(a, b, strict=True)]


def fit_curves(count, state, rule, dtype):
    """Return each channel's histogram and curve, exactly those of one long plane."""
    if dtype.kind != "f":
        return [_level_curve(levels, rule) for levels in state]
    edges = [_edges(lattice.low, lattice.high, rule, dtype) for lattice in state]
    counts = count(partial(_engines.count_bins, edges=edges), add_bins)
    curves = [_bin_curve(c, e, rule) for c, e in zip(counts, edges, strict=True)]
    if None in curves:
        exact = count(_engines.count_levels, add_channels)
        curves = [
            curve or _exact_curve(levels, rule) for curve, levels in zip(curves, exact, strict=True)
        ]
    return curves


def read_out(state, rule, dtype):
    """Return each channel's histogram and curve: exact for integers, re-binned for floats."""
    if dtype.kind != "f":
        return [_level_curve(levels, rule) for levels in state]
    return [_lattice_curve(lattice, rule, dtype) for lattice in state]


def _level_curve(levels, rule):
    """Return the histogram and curve of exactly counted integers."""
    largest = max(-int(levels.levels[0]), int(levels.levels[-1]))
    has_bins = rule.n_bins != "auto" or rule.convention == "numpy"
    if not has_bins or (rule.n_bins == "auto" and largest > _transfer.LARGEST_EXACT):
        return _exact_curve(levels, rule)
    values = _counts.merge(levels.levels.astype(np.float64), levels.counts)
    edges = _edges(values.levels[0], values.levels[-1], rule, values.levels.dtype)
    histogram, curve = _binned(values, edges, rule)
    # the recipe has bins of its own, but the CDF of integers is scikit-image's, a bin a level
    return (_level_histogram(levels) if rule.n_bins == "auto" else histogram), curve


def _lattice_curve(lattice, rule, dtype):
    """Return the histogram and curve of floats counted in a lattice."""
    values = _counts.occupied(lattice, dtype)
    return _binned(values, _edges(lattice.low, lattice.high, rule, dtype), rule)


def _edges(low, high, rule, dtype):
    """Return the edges of equal bins, or None where the dtype has no room for them."""
    n_bins = 256 if rule.n_bins == "auto" else rule.n_bins
    edges = _transfer.bin_edges(low, high, n_bins, dtype)
    return edges if _transfer.are_bins(edges) else None


def _binned(values, edges, rule):
    """Return the histogram and curve of exactly counted values in bins, where there are bins."""
    counts = None if edges is None else _counts.bin_levels(values, edges)
    return _bin_curve(counts, edges, rule) or _exact_curve(values, rule)


def _bin_curve(counts, edges, rule):
    """Return the histogram and curve of counts in bins; None without bins or finite slopes."""
    if edges is None:
        return None
    histogram = _transfer.Histogram(counts, _transfer.bin_centers(edges), edges, False)
    dtype = _transfer.own_dtype("skimage", edges.dtype)
    curve = _transfer.curve_of(histogram, rule.convention, rule.output_distribution, dtype)
    return (histogram, curve) if _transfer.is_finite(curve) else None


def _exact_curve(levels, rule):
    """Return the histogram and curve with a bin a level, or a distinct value."""
    histogram = _level_histogram(levels)
    curve = _transfer.curve_of(histogram, rule.convention, rule.output_distribution)
    return histogram, curve


def _level_histogram(levels):
    """Return exact counts as a histogram."""
    is_step = levels.levels.dtype.kind != "f"
    return _transfer.Histogram(levels.counts, levels.levels, None, is_step)
