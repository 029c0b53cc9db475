"""Counts that can be added: those of many images, in any order and in any blocks.

Integers are counted exactly, with one count per distinct level. Floats are counted in a lattice of
bins [k 2^e, (k+1) 2^e), at most N_FINE of them. Where a wider range needs more, e grows and bins
merge in pairs, so that no count is lost and the state keeps its size. The state depends on the
pixels alone: e is the least that fits them.
"""

from typing import NamedTuple

import numpy as np

from . import output, transfer

N_FINE = 65_536
# Lattice indices stay below 2**53, so that a double holds them; doubles end at 2**-1074.
PRECISION, LEAST_EXPONENT = 53, -1074


class Levels(NamedTuple):
    """Exact counts of the distinct levels, increasing."""

    levels: np.ndarray  # (n_levels,)
    counts: np.ndarray  # (n_levels,) int64


class Lattice(NamedTuple):
    """Counts of floats in the bins (start + i) * 2**exponent, i < N_FINE, and their exact range."""

    counts: np.ndarray  # (N_FINE,) int64
    start: int
    exponent: int
    low: float
    high: float


def count_levels(pixels):
    """Count the distinct values of an array; zeros of both signs are the level 0."""
    levels, counts = np.unique(pixels, return_counts=True)
    return Levels(_unsigned_zero(levels), counts.astype(np.int64))


def n_counted(state):
    """Return the number of pixels in a state."""
    return 0 if state is None else int(state.counts.sum())


def add(a, b):
    """Add two states of the same kind; None is the empty lattice."""
    return add_levels(a, b) if isinstance(a, Levels) else add_lattices(a, b)


def add_levels(a, b):
    """Add two exact counts."""
    if np.array_equal(a.levels, b.levels):
        return Levels(a.levels, a.counts + b.counts)
    if a.levels.dtype.itemsize <= 2:
        return _add_narrow(a, b)
    return merge(np.concatenate([a.levels, b.levels]), np.concatenate([a.counts, b.counts]))


def _add_narrow(a, b):
    """Add two exact counts of at most 16 bits: in an array of all levels, not by sorting."""
    levels = output.all_levels(a.levels.dtype)
    counts = np.zeros(levels.size, np.int64)
    for state in (a, b):  # add.at takes half of the time of +=, which first gathers the counts
        np.add.at(counts, state.levels.astype(np.intp) - int(levels[0]), state.counts)
    return present_levels(levels, counts)


def present_levels(levels, counts):
    """Return the exact counts of those levels that have any."""
    found = where_counted(counts)
    return Levels(levels[found], counts[found])


def where_counted(counts):
    """Return the indices of counts that are not 0; flatnonzero is several times faster on bool."""
    return np.flatnonzero(counts != 0)


def merge(values, counts):
    """Return the exact counts of values that stand for counts pixels each, and may recur."""
    order = values.argsort(kind="stable")  # linear where sorted values are put together
    values = values[order]
    is_first = np.concatenate([np.ones(min(values.size, 1), bool), values[1:] != values[:-1]])
    first = np.flatnonzero(is_first)
    counts = np.add.reduceat(counts[order], first, dtype=np.int64)
    return Levels(_unsigned_zero(values[first]), counts)


def _unsigned_zero(values):
    """Return values with -0.0 as 0.0, since it depends on the order which one is kept."""
    return values + 0 if values.dtype.kind == "f" else values


def count_lattice(pixels):
    """Count finite floats in the finest lattice that holds them; None if there are none."""
    if pixels.size == 0:
        return None
    low, high = float(pixels.min()), float(pixels.max())
    start, exponent = fit_lattice(low, high)
    bins = _lattice_index(pixels, exponent) - start
    return Lattice(np.bincount(bins, minlength=N_FINE), start, exponent, low, high)


def add_lattices(a, b):
    """Add two lattices over the union of their ranges; None is the empty one."""
    if a is None or b is None:
        return b if a is None else a
    low, high = min(a.low, b.low), max(a.high, b.high)
    start, exponent = fit_lattice(low, high)
    if (start, exponent) == (a.start, a.exponent) == (b.start, b.exponent):
        return Lattice(a.counts + b.counts, start, exponent, low, high)
    counts = np.zeros(N_FINE, np.int64)
    for lattice in (a, b):
        found = where_counted(lattice.counts)
        # beyond 63 a shift is undefined; by then every index is 0 or -1
        bins = (lattice.start + found) >> min(exponent - lattice.exponent, 63)
        np.add.at(counts, bins - start, lattice.counts[found])
    return Lattice(counts, start, exponent, low, high)


def occupied(lattice, dtype):
    """Return the occupied bins as exact counts of their middles, kept within the range seen."""
    bins = where_counted(lattice.counts)
    middles = np.ldexp((lattice.start + bins).astype(np.float64) + 0.5, lattice.exponent)
    return merge(middles.clip(lattice.low, lattice.high).astype(dtype), lattice.counts[bins])


def bin_levels(state, edges):
    """Return the counts between edges of exactly counted values, all of which lie within."""
    binned = np.zeros(len(edges) - 1, np.int64)
    np.add.at(binned, transfer.bin_numbers(state.levels, edges), state.counts)
    return binned


def fit_lattice(low, high):
    """Return start and exponent of the finest lattice whose N_FINE bins hold [low, high]."""
    largest = max(abs(low), abs(high))
    exponent = LEAST_EXPONENT
    if largest > 0:
        # frexp: x < 2**e; half the range cannot overflow
        n_halved = (high / 2 - low / 2) / (N_FINE + 1)
        least = [np.frexp(largest)[1] - PRECISION, np.frexp(n_halved)[1] if n_halved else exponent]
        exponent = max(exponent, *map(int, least))
    while True:
        start, last = (int(_lattice_index(np.float64(x), exponent)) for x in (low, high))
        if last - start < N_FINE:
            return start, exponent
        exponent += 1


def _lattice_index(values, exponent):
    """Return floor(values / 2**exponent), as integers."""
    values = np.asarray(values, dtype=np.float64)
    index = np.floor(np.ldexp(values, -exponent)).astype(np.int64)
    # a negative value so small that the quotient underflows to -0.0 belongs below zero, too
    return np.where(values < 0, np.minimum(index, -1), index)
