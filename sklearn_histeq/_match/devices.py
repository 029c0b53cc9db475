"""Histogram matching of blocks of planes, and the quantiles that it learns."""

import numpy as np

from .._arithmetic import namespaces, output, transfer
from .._arithmetic.dtypes import single_or_double
from .._arithmetic.rows import (
    counts_of,
    gather,
    interpolate,
    number_of,
    rows_of,
    sorted_counted,
    write_rows,
)
from .._arithmetic.status import EMPTY, INF
from .._equalize.devices import byte_levels, cdf_of_levels, ranks_of, shares_at
from .quantiles import SCALE_EXPONENT


@np.errstate(all="ignore")
def match(planes, mask, out, targets, map_parts=map):
    """Map each plane to its channel's target distribution; see `definition.match`."""
    rows = rows_of(planes, mask)
    if rows.dtype.itemsize == 1:
        levels = byte_levels(rows)
        shares = cdf_of_levels(counts_of(levels, rows.counted, transfer.N_LEVELS_8BIT))
        values = gather(_values_at(shares, targets), levels)
    else:
        values = _values_at(shares_at(rows, ranks_of(rows)[1]), targets)
    write_rows(values, rows, single_or_double(rows.dtype), out, output.saturate)
    return rows.status


def _values_at(shares, targets):
    """Return the values of each row's target at its shares; see `quantiles.Target.values_at`."""
    xp, n_channels = namespaces.namespace(shares), len(targets)
    by_channel = xp.reshape(shares, (-1, n_channels, shares.shape[1]))
    found = [_at(target, by_channel[:, i, :]) for i, target in enumerate(targets)]
    return xp.reshape(xp.stack(found, axis=1), shares.shape)


def _at(target, shares):
    """Return the values of one target at shares of any shape."""
    xp, values = namespaces.namespace(shares), target.values.astype(np.float64)
    scaled = values
    if not target.is_finite():
        scaled = np.ldexp(values, SCALE_EXPONENT)
    points = namespaces.asarray(target.shares[np.newaxis], shares)
    scaled = namespaces.asarray(scaled[np.newaxis], shares)
    found = interpolate(points, scaled, xp.reshape(shares, (1, -1)))
    if not target.is_finite():
        found = xp.clip(found * 2.0**-SCALE_EXPONENT, values[0].item(), values[-1].item())
    return xp.reshape(found, shares.shape)


@np.errstate(all="ignore")
def quantiles(planes, mask, n_quantiles):
    """Return the order statistics of each plane; see `definition.quantiles`."""
    rows = rows_of(planes, mask)
    ordered = sorted_counted(rows)
    n_counted = namespaces.to_numpy(number_of(rows.is_counted()))
    # numpy.quantile's method "inverted_cdf"
    shares = (np.arange(n_quantiles) + 0.5) / n_quantiles
    places = np.maximum(np.ceil(n_counted * shares - 1), 0).astype(np.int64)
    found = gather(ordered, namespaces.asarray(places, ordered))
    if rows.dtype.kind == "u":
        found = namespaces.from_signed(found, rows.dtype)
    found = namespaces.to_numpy(namespaces.astype(found, np.float64))
    found = found.reshape(*rows.status.shape, n_quantiles)
    return np.where((rows.status & (EMPTY | INF) > 0)[..., np.newaxis], np.nan, found), rows.status
