"""The compiled engine's colours, scaled by a kernel."""

import numpy as np

from ..._arithmetic import color
from . import planes as _planes
from .planes import FLOAT64, N_LEVELS, kernel_for, rows


def recolor(planes, v, equalized, out, output_max, store):
    """Write c * v' / v for each colour c into out; see `_arithmetic.color.recolor`."""
    computing = _planes.computing_dtype(planes.dtype)
    pixel = computing if computing in N_LEVELS else FLOAT64
    is_written = _planes.is_kernel_ready(out, equalized.dtype)
    written = out if is_written else np.empty(out.shape, equalized.dtype)
    colors, value = (_planes.contiguous(part, pixel) for part in (planes, v))
    kernel = kernel_for("scale_colors", pixel, equalized.dtype)
    kernel(rows(colors), rows(value), rows(equalized), rows(written))
    written[:, 3:] = color.opacity(planes[:, 3:], equalized, output_max)
    if written.dtype == out.dtype:
        _planes.write_back(written, out, None)
    else:
        store(written, out, output_max)
