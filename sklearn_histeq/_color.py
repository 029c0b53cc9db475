"""Colour images: one value plane equalized, hue and saturation kept."""

import numpy as np

from ._arithmetic import output
from ._arithmetic import status as finding


def value(planes):
    """Return the value v = max(R, G, B) of (n, 3 or 4, h, w) images, and their status.

    The value is (n, 1, h, w) in the images' dtype, and NaN where a colour is; the status, of all
    channels together, is (n, 1).
    """
    status = np.bitwise_or.reduce(finding.of_values(planes), axis=1, keepdims=True)
    if planes.dtype.kind in "if":
        status[(planes < 0).any(axis=(1, 2, 3))] |= finding.NEGATIVE
    return planes[:, :3].max(axis=1, keepdims=True), status


def recolor(planes, v, equalized, out, output_max, store):
    """Write c * v' / v for each colour c into out, v' where v = 0, and alpha as [0, output_max].

    planes and out are (n, 3 or 4, h, w), v and v' = equalized (n, 1, h, w). Values are brought to
    the dtype of equalized before store(values, out, output_max) brings them to that of out.
    """
    v = v.astype(np.float64)
    black = v == 0
    divisor = np.where(black, 1, v)
    with np.errstate(over="ignore", invalid="ignore"):  # of images that the status refuses, too
        colors = planes[:, :3] * equalized.astype(np.float64) / divisor
        is_lost = np.isinf(colors)
        if is_lost.any():  # the product is beyond the largest double, the result is not
            colors = np.where(is_lost, planes[:, :3] / divisor * equalized, colors)
    colors = np.where(black, equalized, colors)
    store(_as_dtype(colors, equalized.dtype), out[:, :3], output_max)
    if planes.shape[1] == 4:
        alpha = planes[:, 3:].astype(np.float64) * output_max / full_intensity(planes.dtype)
        store(_as_dtype(alpha, equalized.dtype), out[:, 3:], output_max)


def full_intensity(dtype):
    """Return full intensity in images of a dtype: 1 for floats, else the largest level."""
    return 1 if dtype.kind == "f" else output.largest_level(dtype)


def _as_dtype(values, dtype):
    """Return doubles in a dtype, integers by rounding."""
    return (np.rint(values) if dtype.kind == "u" else values).astype(dtype)
