"""Histogram matching of blocks of planes, and the quantiles that it learns."""

import numpy as np

from ..._arithmetic import namespaces, output, transfer
from ..._arithmetic import quantiles as _quantiles
from ..._arithmetic.conventions import single_or_double
from ..._arithmetic.status import EMPTY, INF
from . import rows as _rows
from .equalize import byte_levels, cdf_of_levels, ranks_of, shares_at
from .interpolation import interpolate
from .rows import gather


@np.errstate(all="ignore")
def match(planes, mask, out, targets, map_parts=map):
    """Map each plane to its channel's target distribution; see `reference.match`."""
    rows = _rows.read(planes, mask)
    if rows.dtype.itemsize == 1:
        levels = byte_levels(rows)
        shares = cdf_of_levels(_rows.counts_of(levels, rows.counted, transfer.N_LEVELS_8BIT))
        values = gather(_values_at(shares, targets), levels)
    else:
        values = _values_at(shares_at(rows, ranks_of(rows)[1]), targets)
    _rows.write(values, rows, single_or_double(rows.dtype), out, output.saturate)
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
        scaled = np.ldexp(values, _quantiles.SCALE_EXPONENT)
    points = namespaces.asarray(target.shares[np.newaxis], shares)
    scaled = namespaces.asarray(scaled[np.newaxis], shares)
    found = interpolate(points, scaled, xp.reshape(shares, (1, -1)))
    if not target.is_finite():
        found = xp.clip(
            found * 2.0**-_quantiles.SCALE_EXPONENT, values[0].item(), values[-1].item()
        )
    return xp.reshape(found, shares.shape)


@np.errstate(all="ignore")
def quantiles(planes, mask, n_quantiles):
    """Return the order statistics of each plane; see `reference.quantiles`."""
    rows = _rows.read(planes, mask)
    ordered = _rows.sorted_counted(rows)
    n_counted = namespaces.to_numpy(_rows.number_of(rows.is_counted()))
    # numpy.quantile's method "inverted_cdf"
    shares = (np.arange(n_quantiles) + 0.5) / n_quantiles
    places = np.maximum(np.ceil(n_counted * shares - 1), 0).astype(np.int64)
    found = gather(ordered, namespaces.asarray(places, ordered))
    if rows.dtype.kind == "u":
        found = namespaces.from_signed(found, rows.dtype)
    found = namespaces.to_numpy(namespaces.astype(found, np.float64))
    found = found.reshape(*rows.status.shape, n_quantiles)
    return np.where((rows.status & (EMPTY | INF) > 0)[..., np.newaxis], np.nan, found), rows.status
