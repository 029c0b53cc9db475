"""Histogram matching of blocks of planes, and the quantiles that it learns."""

import numpy as np

from .._arithmetic import namespaces, output, transfer
from .._arithmetic.dtypes import single_or_double
from .._arithmetic.rows import (
    as_doubles,
    at_or_below,
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
from .landmarks import Own, flat, own_of, places_of, segments_of, shares_with_ends
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
    if targets[0].strength < 1:
        values = transfer.blend(as_doubles(rows, planes), values, targets[0].strength)
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


@np.errstate(all="ignore")
def landmarks(planes, mask, out, scale, map_parts=map):
    """Map each plane by its landmarks; see `definition.landmarks`."""
    own, status = percentiles(planes, mask, scale.percentages)
    rows, n_points = rows_of(planes, mask), scale.percentages.size
    values = np.tile(scale.values, (len(status), 1))
    lines = segments_of(own.values.reshape(-1, n_points), values)
    points, slopes, values = (namespaces.asarray(lines[:, i], out) for i in range(3))
    units = namespaces.asarray(own.units.reshape(-1, 1), out)
    xp, x = rows.xp, as_doubles(rows, planes) * units
    place = xp.clip(at_or_below(points, x), 0, n_points - 1)
    mapped = gather(slopes, place) * (x - gather(points, place)) + gather(values, place)
    own_dtype = single_or_double(rows.dtype)
    largest = float(np.finfo(own_dtype).max)
    write_rows(xp.clip(mapped, -largest, largest), rows, own_dtype, out, output.saturate)
    return status


@np.errstate(all="ignore")
def percentiles(planes, mask, percentages, map_parts=map):
    """Return the landmarks of planes, and their status; see `definition.percentiles`."""
    rows = rows_of(planes, mask)
    ordered = sorted_counted(rows._replace(pixels=as_doubles(rows, planes)))
    n_counted = namespaces.to_numpy(number_of(rows.is_counted()))[:, 0]
    places = places_of(shares_with_ends(percentages), n_counted)
    below, above = (
        namespaces.to_numpy(gather(ordered, namespaces.asarray(side.astype(np.int64), ordered)))
        for side in (np.floor(places), np.ceil(places))
    )
    own, shape = own_of(below, above, places), rows.status.shape
    is_lost = (rows.status & (EMPTY | INF) > 0).reshape(-1, 1)
    found = np.where(is_lost, np.nan, own.values)
    is_flat = flat(found, below[:, 0], above[:, -1], mask is not None).reshape(shape)
    return Own(found.reshape(*shape, -1), own.units.reshape(shape)), rows.status | is_flat
