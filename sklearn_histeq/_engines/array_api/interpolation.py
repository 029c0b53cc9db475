"""Linear interpolation of many rows at once, in the arithmetic of numpy.interp."""

from ..._arithmetic import namespaces
from .rows import at_or_below, gather


def interpolate(points, values, x):
    """Return numpy.interp(x, points, values), row by row, in double precision.

    Parameters
    ----------
    points, values : arrays of shape (n_rows, n_points), float64
        Points increase. Behind them they may be infinite, with the last value.
    x : array of shape (n_rows, n_pixels), float64
    """
    xp, last = namespaces.namespace(points), points.shape[1] - 1
    index = at_or_below(points, x)
    below = xp.clip(index, 0, last)
    if last == 0:
        return gather(values, below)
    above = xp.clip(below + 1, 0, last)
    places = gather(points, below), gather(points, above)
    values = gather(values, below), gather(values, above)
    is_outside = (index < 0) | (index >= last)
    return xp.where(is_outside, values[0], between(x, places, values))


def between(x, points, values):
    """Return the values at x, between pairs of points and their values, as numpy.interp."""
    xp = namespaces.namespace(x)
    slope = (values[1] - values[0]) / (points[1] - points[0])
    found = slope * (x - points[0]) + values[0]
    # where differences overflow, numpy.interp starts from the other point
    from_above = slope * (x - points[1]) + values[1]
    from_above = xp.where(xp.isnan(from_above) & (values[0] == values[1]), values[0], from_above)
    found = xp.where(xp.isnan(found), from_above, found)
    return xp.where(x == points[0], values[0], found)


def or_lower(found, lower, x):
    """Return what was found, or the lower point's value where slopes overflow; see `transfer`."""
    xp = namespaces.namespace(found)
    return xp.where(~xp.isfinite(found) & xp.isfinite(x), lower, found)
