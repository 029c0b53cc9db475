"""The compiled engine's matching of integers in passes over parts of planes, by their levels.

The counts of levels add up over parts. Floats are not done so: ranks need all pixels of a plane.
"""

from functools import partial
from typing import NamedTuple

import numpy as np

from .._arithmetic import output, transfer
from .._arithmetic.dtypes import single_or_double
from .._equalize.compiled import Stored, add_each, count_each, empty_of, passes_by_levels
from .._passes import Passes, Read, Summed
from .landmarks import flat, own_of, places_of, shares_with_ends

NEEDS_ORDER = "matching floats needs all pixels of an image in order"


# Matching -----------------------------------------------------------------------------------------


class Moved(NamedTuple):
    """Values between levels and what they are mapped to: a `strength` below 1."""

    strength: float

    def values(self, levels, mapped):
        """Return levels, moved towards what they are mapped to."""
        return transfer.blend(levels.astype(np.float64), mapped, self.strength)


def passes(whole, targets):
    """Return the `Passes` that match parts of planes, or why these must be whole."""
    if whole.dtype.kind == "f":
        return NEEDS_ORDER
    moved = Moved(targets[0].strength) if targets[0].strength < 1 else None
    own = single_or_double(whole.dtype), whole.out_dtype
    found = passes_by_levels(partial(_function_of, targets), Stored(whole.dtype, *own, None, moved))
    if moved is None or whole.dtype.itemsize <= 2:
        return found
    return found._replace(write=partial(_write_moved, moved, found.write))


def _function_of(targets, levels, channel):
    """Return the transfer function that matches counted levels to the target of a channel."""
    values = targets[channel].values_at(transfer.cdf(levels.counts))
    return transfer.TransferFunction(levels.levels, values, True)


def _write_moved(moved, write, found, part):
    """Write planes of wide integers, moved towards what they are mapped to; return the status."""
    mapped = np.empty(part.planes.shape)
    status = write(found, part._replace(out=mapped))
    output.saturate(moved.values(part.planes, mapped), part.out)
    return status


# What is learned ----------------------------------------------------------------------------------


def quantile_passes(whole, n_quantiles, summed):
    """Return the passes that find summed(quantiles) of planes, or why there are none."""
    if whole.dtype.kind == "f":
        return NEEDS_ORDER
    return Passes(
        (Read(count_each, add_each, partial(_find_quantiles, n_quantiles, summed)),), None
    )


def _find_quantiles(n_quantiles, summed, _, found):
    """Return the sums of the quantiles of planes, from their levels."""
    shares = (np.arange(n_quantiles) + 0.5) / n_quantiles

    def of_plane(of):
        # numpy.quantile's method "inverted_cdf"
        return in_order(of, np.maximum(np.ceil(of.counts.sum() * shares - 1), 0))

    values = np.array([[of_plane(of) for of in each] for each in found])
    return Summed(summed(values), empty_of(found))


def in_order(of, places):
    """Return the counted pixels at places in their order, as doubles; NaN where no pixel counts."""
    if not of.counts.size:
        return np.full(places.shape, np.nan)
    found = np.searchsorted(of.counts.cumsum(), places.astype(np.int64), side="right")
    return of.levels[found].astype(np.float64)


def percentiles_of(found, percentages, is_masked):
    """Return the landmarks of planes, and their status, from the levels of each."""
    shares = shares_with_ends(percentages)
    n_counted = np.array([[of.counts.sum() for of in each] for each in found], np.float64)
    places = places_of(shares, n_counted)
    below, above = (
        np.array([
            [in_order(of, round_off(at)) for of, at in zip(each, of_image, strict=True)]
            for each, of_image in zip(found, places, strict=True)
        ])
        for round_off in (np.floor, np.ceil)
    )  # fmt: skip
    own = own_of(below, above, places)
    status = empty_of(found)
    return own, status | flat(own.values, below[..., 0], above[..., -1], is_masked)
