"""Colour images: one value plane equalized, hue and saturation kept."""

import numpy as np

from ._arithmetic import namespaces, output
from ._arithmetic import status as finding


def value(planes):
    """Return the value v = max(R, G, B) of (n, 3 or 4, h, w) images, and their status.

    The value is (n, 1, h, w) in the images' dtype, and NaN where a colour is; the status, of all
    channels together, is (n, 1).
    """
    xp, dtype = namespaces.namespace(planes), namespaces.dtype_of(planes)
    status = np.bitwise_or.reduce(finding.of_values(planes), axis=1, keepdims=True)
    if dtype.kind in "if":
        status[finding.has_any(planes < 0).any(axis=1)] |= finding.NEGATIVE
    colors = namespaces.as_signed(planes)[:, :3, ...]
    return namespaces.from_signed(xp.max(colors, axis=1, keepdims=True), dtype), status


def recolor(planes, v, equalized, out, output_max, store):
    """Write c * v' / v for each colour c into out, v' where v = 0, and alpha as [0, output_max].

    planes and out are (n, 3 or 4, h, w), v and v' = equalized (n, 1, h, w). Values are brought to
    the dtype of equalized before store(values, out, output_max) brings them to that of out.
    """
    xp, dtype = namespaces.namespace(planes), namespaces.dtype_of(planes)
    v, v_out = (namespaces.astype(part, np.float64) for part in (v, equalized))
    colors, black = namespaces.for_doubles(planes[:, :3, ...]), v == 0
    divisor = xp.where(black, 1.0, v)
    with np.errstate(over="ignore", invalid="ignore"):  # of images that the status refuses, too
        scaled = colors * v_out / divisor
        is_lost = xp.isinf(scaled)
        if xp.any(is_lost):  # the product is beyond the largest double, the result is not
            scaled = xp.where(is_lost, colors / divisor * v_out, scaled)
    scaled = xp.where(black, v_out, scaled)
    store(_like(equalized, scaled), out[:, :3, ...], output_max)
    if planes.shape[1] == 4:
        alpha = namespaces.astype(planes[:, 3:, ...], np.float64)
        alpha = alpha * output_max / full_intensity(dtype)
        store(_like(equalized, alpha), out[:, 3:, ...], output_max)


def full_intensity(dtype):
    """Return full intensity in images of a dtype: 1 for floats, else the largest level."""
    return 1 if dtype.kind == "f" else output.largest_level(dtype)


def _like(equalized, values):
    """Return doubles in the dtype of equalized values, integers by rounding."""
    dtype = namespaces.dtype_of(equalized)
    if dtype.kind == "u":
        values = namespaces.namespace(values).round(values)
    return namespaces.astype(values, dtype)
