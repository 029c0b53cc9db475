"""Colours that follow one plane of them, by kernels, for the compiled engine of every method."""

import numpy as np

from .._arithmetic import color, lightness
from .._arithmetic.dtypes import full_intensity
from . import arrays, shared
from .arrays import FLOAT64, UINT8, rows


def find_luminance(planes):
    """Return luminance and the status; see `_arithmetic.color.luminance`."""
    pixel = arrays.computing_dtype(planes.dtype)
    if pixel not in arrays.N_LEVELS:
        return color.luminance(planes)
    n, _, *shape = planes.shape
    y = np.empty((n, 1, *shape), pixel)
    shared.find_luminance(rows(arrays.contiguous(planes, pixel)), rows(y))
    return y, color.status_of(planes, is_bounded=True)


def find_opencv_lightness(planes):
    """Return OpenCV's L* and the status; see `_arithmetic.lightness.opencv_lightness`."""
    n, _, *shape = planes.shape
    found = np.empty((n, 1, *shape), np.uint8)
    pixels = rows(arrays.contiguous(planes, UINT8))
    shared.find_lightness(pixels, lightness.opencv_tables(), rows(found))
    return found, color.status_of(planes)


def scale_colors(planes, v, equalized, out, stored):
    """Write c * v' / v for each colour c into out; see `_arithmetic.color.scale_colors`."""
    _recolor(shared.scale_colors, planes, v, equalized, out, stored)


def shift_colors(planes, y, mapped, out, stored):
    """Write Y' + (c - Y) for each colour c into out; see `_arithmetic.color.shift_colors`."""
    scale = float(stored.top), float(full_intensity(planes.dtype))
    _recolor(shared.shift_colors, planes, y, mapped, out, stored, *scale)


def follow_in_ycrcb(planes, y, mapped, out, stored):
    """Write colours by OpenCV's Cr and Cb; see `_arithmetic.color.follow_in_ycrcb`."""
    _recolor(shared.follow_in_ycrcb, planes, y, mapped, out, stored)


def follow_in_opencv_lab(planes, plane, mapped, out, stored):
    """Write colours by OpenCV's a* and b*; see `_arithmetic.lightness.follow_in_opencv_lab`."""
    tables = lightness.opencv_tables()
    _recolor(shared.follow_in_lab, planes, plane, mapped, out, stored, tables)


def _recolor(kernel, planes, plane, mapped, out, stored, *rest):
    """Call kernel(planes, plane, mapped, rest, out), and write alpha."""
    computing = arrays.computing_dtype(planes.dtype)
    pixel = computing if computing in arrays.N_LEVELS else FLOAT64
    colors, plane = (arrays.contiguous(part, pixel) for part in (planes, plane))
    written = writable(out, mapped)
    kernel(rows(colors), rows(plane), rows(mapped), *rest, rows(written))
    finish(planes, mapped, written, out, stored)


def writable(out, mapped):
    """Return out, or else an array of its shape to which kernels write colours as mapped values."""
    is_ready = arrays.is_kernel_ready(out, mapped.dtype)
    return out if is_ready else np.empty(out.shape, mapped.dtype)


def finish(planes, mapped, written, out, stored):
    """Write alpha, and bring what kernels have written into out."""
    written[:, 3:] = color.opacity(planes[:, 3:], mapped, stored.top)
    if written.dtype == out.dtype:
        arrays.write_back(written, out, None)
    else:
        stored.store(written, out, stored.top)
