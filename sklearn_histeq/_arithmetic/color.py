"""Colour images: equalize their value, and keep hue and saturation."""

from functools import reduce

import numpy as np

from . import namespaces
from . import status as bits
from .dtypes import full_intensity

# Of one large image, so many pixels are recoloured at a time: that takes several doubles for each.
PIXELS_AT_ONCE = 2**18


def map_value(function, recolor, stored, planes, mask, out, map_parts):
    """Apply function to the value of colours alone; return the status (n, 1).

    function(value, mask, equalized, map_parts) and recolor(planes, value, equalized, out, stored)
    are called; `stored` is the `output.Stored` of equalized values. One large image is recoloured
    in parts, from values that wait in the output's first channel if that has their type.
    """
    v, status = value(planes)
    if planes.shape[0] == 1 and isinstance(out, np.ndarray) and out.dtype == stored.dtype:
        equalized = out[:, :1]
    else:
        equalized = namespaces.empty(v.shape, stored.dtype, v)
    status |= function(v, mask, equalized, map_parts)
    height, width = v.shape[2:]
    step = height if planes.shape[0] > 1 else max(1, PIXELS_AT_ONCE // width)
    for start in range(0, height, step):
        rows = (..., slice(start, start + step), slice(None))
        of_rows = equalized[rows]
        if isinstance(out, np.ndarray) and np.may_share_memory(of_rows, out):
            of_rows = of_rows.copy()
        recolor(planes[rows], v[rows], of_rows, out[rows], stored)
    return status


def count_value(function, planes, mask):
    """Return function(value, mask), a result and the status, of the value of colours."""
    v, status = value(planes)
    result, found = function(v, mask)
    return result, status | found


def value(planes):
    """Return the value v = max(R, G, B) of (n, 3 or 4, h, w) images, and their status.

    The value is (n, 1, h, w) in the images' dtype, and NaN where a colour is; the status, of all
    channels together, is (n, 1).
    """
    xp, dtype = namespaces.namespace(planes), namespaces.dtype_of(planes)
    status = reduce(np.bitwise_or, map(_status, _channels(planes)))
    brightest = reduce(xp.maximum, _channels(namespaces.as_signed(planes))[:3])
    return namespaces.from_signed(brightest, dtype), status


def _status(plane):
    """Return the status (n, 1) of one channel."""
    status = bits.of_values(plane)
    if namespaces.dtype_of(plane).kind in "if":
        status[bits.has_any(plane < 0)] |= bits.NEGATIVE
    return status


def recolor(planes, v, equalized, out, stored):
    """Write c * v' / v for each colour c into out, v' where v = 0, and alpha as [0, top].

    planes and out are (n, 3 or 4, h, w), v and v' = equalized (n, 1, h, w). Values are brought to
    the dtype of equalized before `stored.store` brings them to that of out.
    """
    v, v_out = (namespaces.astype(part, np.float64) for part in (v, equalized))
    xp, black = namespaces.namespace(v), v == 0
    divisor = xp.where(black, 1.0, v)
    channels, channels_out = _channels(planes), _channels(out)
    for colors, colors_out in zip(channels[:3], channels_out[:3], strict=True):
        scaled = _scaled(namespaces.for_doubles(colors), v_out, divisor)
        scaled = xp.where(black, v_out, scaled)
        stored.store(_like(equalized, scaled), colors_out, stored.top)
    for alpha, alpha_out in zip(channels[3:], channels_out[3:], strict=True):
        stored.store(opacity(alpha, equalized, stored.top), alpha_out, stored.top)


def opacity(alpha, equalized, top):
    """Return alpha as values in [0, top], in the dtype of equalized values."""
    full = full_intensity(namespaces.dtype_of(alpha))
    return _like(equalized, namespaces.astype(alpha, np.float64) * top / full)


def _channels(planes):
    """Return the channels one by one; also fast where channels are last in memory."""
    return [planes[:, channel : channel + 1, ...] for channel in range(planes.shape[1])]


def _scaled(colors, v_out, divisor):
    """Return colors * v_out / divisor."""
    xp = namespaces.namespace(colors)
    with np.errstate(over="ignore", invalid="ignore"):  # of images that the status refuses, too
        scaled = colors * v_out / divisor
        is_lost = xp.isinf(scaled)
        if xp.any(is_lost):  # the product is beyond the largest double, the result is not
            scaled = xp.where(is_lost, colors / divisor * v_out, scaled)
    return scaled


def _like(equalized, values):
    """Return doubles in the dtype of equalized values, integers by rounding."""
    dtype = namespaces.dtype_of(equalized)
    if dtype.kind == "u":
        values = namespaces.namespace(values).round(values)
    return namespaces.astype(values, dtype)
