"""Colours scaled by a kernel, for the compiled engine of every method."""

import numpy as np

from .._arithmetic.color import opacity
from . import arrays, shared
from .arrays import FLOAT64, rows


def recolor(planes, v, equalized, out, stored):
    """Write c * v' / v for each colour c into out; see `_arithmetic.color.recolor`."""
    computing = arrays.computing_dtype(planes.dtype)
    pixel = computing if computing in arrays.N_LEVELS else FLOAT64
    is_written = arrays.is_kernel_ready(out, equalized.dtype)
    written = out if is_written else np.empty(out.shape, equalized.dtype)
    colors, value = (arrays.contiguous(part, pixel) for part in (planes, v))
    shared.scale_colors(rows(colors), rows(value), rows(equalized), rows(written))
    written[:, 3:] = opacity(planes[:, 3:], equalized, stored.top)
    if written.dtype == out.dtype:
        arrays.write_back(written, out, None)
    else:
        stored.store(written, out, stored.top)
