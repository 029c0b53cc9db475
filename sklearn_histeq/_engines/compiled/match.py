"""The compiled engine's histogram matching: brings planes to types that the kernels know.

Integers go through a look-up table, floats are sorted. Integers of eight bytes, which doubles may
not hold, and targets whose slopes overflow go to the reference engine, with the same bits.
"""

import numpy as np

from ..._arithmetic import output as _output
from ..._arithmetic.conventions import single_or_double
from .equalize import MOST_PIXELS, N_LEVELS, as_pixels, is_plain, kernel_for, pieces

__all__ = ["match", "quantiles"]


def match(planes, mask, out, targets, map_parts=map):
    """Map each plane to its channel's target distribution; see `reference.match`."""
    pixel = _pixel_dtype(planes.dtype)
    if pixel is None or planes[0, 0].size > MOST_PIXELS:
        return _reference().match(planes, mask, out, targets)
    status = np.empty(planes.shape[:2], np.uint8)
    for part in pieces(planes, not (is_plain(planes, pixel) and _is_written(out))):
        counted = None if mask is None else mask[part]
        _match_piece(planes[part], counted, out[part], status[part], targets, pixel)
    for channel, target in enumerate(targets):
        if not target.is_finite():
            one = np.s_[:, channel : channel + 1]
            status[one] = _reference().match(planes[one], mask, out[one], [target])
    return status


def quantiles(planes, mask, n_quantiles):
    """Return the order statistics of each plane; see `reference.quantiles`."""
    return _reference().quantiles(planes, mask, n_quantiles)


def _reference():
    """Return the reference engine, imported when first needed: scikit-image takes its time."""
    from .. import reference

    return reference


def _pixel_dtype(dtype):
    """Return the type in which the kernels read images of a dtype, or None where they do not."""
    kind, itemsize = dtype.kind, dtype.itemsize
    if kind == "f":
        return np.dtype(np.float64 if itemsize == 8 else np.float32) if itemsize <= 8 else None
    if itemsize > 2:
        return np.dtype(np.float64) if itemsize == 4 else None
    return np.dtype(np.uint8 if itemsize == 1 else np.uint16)


def _is_written(out):
    """Tell whether the kernels write to an output as it is."""
    return out.dtype in N_LEVELS and is_plain(out, out.dtype)


def _match_piece(planes, mask, out, status, targets, pixel):
    """Match some planes, those of the channels whose target has finite slopes."""
    n, c, height, width = planes.shape
    rows = n * c, height * width
    written = out
    if not _is_written(out):
        is_known = out.dtype in N_LEVELS
        own = out.dtype if is_known else single_or_double(planes.dtype)
        written = np.empty(out.shape, own)
    pixels = as_pixels(planes, pixel).reshape(rows)
    if mask is not None:
        mask = np.ascontiguousarray(mask).view(np.uint8).reshape(n, -1)
    run = kernel_for("match", pixel, written.dtype)
    for channel, target in enumerate(targets):
        if target.is_finite():
            curve = target.shares, target.values.astype(np.float64)
            run(pixels, mask, written.reshape(rows), status.reshape(-1), channel, c, *curve)
    if written is not out:
        _output.saturate(written, out)
