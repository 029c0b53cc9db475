"""Colour images: one value plane equalized, hue and saturation kept."""

import numpy as np

from ._arithmetic import status as _status
from ._arithmetic import transfer as _transfer


def value(planes):
    """Return the value v = max(R, G, B) of (n, 3 or 4, h, w) images, and their status.

    The value is (n, 1, h, w) in the images' dtype, and NaN where a colour is; the status, of all
    channels together, is (n, 1).
    """
    status = np.bitwise_or.reduce(_status.of_values(planes), axis=1, keepdims=True)
    if planes.dtype.kind in "if":
        status[(planes < 0).any(axis=(1, 2, 3))] |= _status.NEGATIVE
    return planes[:, :3].max(axis=1, keepdims=True), status


def recolor(planes, v, equalized, out, top, store):
    """Write c * v' / v for each colour c into out, v' where v = 0, and alpha brought to [0, top].

    planes and out are (n, 3 or 4, h, w), v and v' = equalized (n, 1, h, w). equalized has the
    convention's own type, and what is written is brought to it before store(values, out, top)
    takes it to out's.
    """
    v = v.astype(np.float64)
    black = v == 0
    with np.errstate(over="ignore", invalid="ignore"):  # of images that the status refuses
        colors = planes[:, :3] * equalized.astype(np.float64) / np.where(black, 1, v)
    colors = np.where(black, equalized, colors)
    store(_to_own(colors, equalized.dtype), out[:, :3], top)
    if planes.shape[1] == 4:
        alpha = planes[:, 3:].astype(np.float64) * top / brightest(planes.dtype)
        store(_to_own(alpha, equalized.dtype), out[:, 3:], top)


def brightest(dtype):
    """Return what full intensity is in images of a dtype: 1 for floats, else the largest level."""
    return 1 if dtype.kind == "f" else _transfer.largest(dtype)


def _to_own(values, own):
    """Bring doubles to a convention's own type, integers by rounding."""
    return (np.rint(values) if own.kind == "u" else values).astype(own)
