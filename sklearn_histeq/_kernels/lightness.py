"""CIELAB's lightness for the compiled engine: kernels, and NumPy's powers between them.

The definition is `_arithmetic.lightness`. Pixels are worked on in pieces that stay in the cache,
numbered through all images.
"""

import numpy as np

from .._arithmetic import color, lightness
from .._arithmetic.dtypes import single_or_double
from . import arrays, shared
from .arrays import FLOAT64, rows
from .color import finish, writable

WEIGHTS_OF_Y = lightness.XYZ_OF_RGB[1:2]
WEIGHTS_OF_XZ = np.stack([lightness.XYZ_OF_RGB[axis] / lightness.WHITE[axis] for axis in (0, 2)])


def find_lightness(planes):
    """Return L* / 100 and the status; see `_arithmetic.lightness.lightness`."""
    images = _readable(planes)
    if images is None:
        return lightness.lightness(planes)
    n, _, *shape = planes.shape
    found = np.empty((n, 1, *shape), single_or_double(planes.dtype))
    flat = found.reshape(-1)
    with np.errstate(all="ignore"):  # of images that the status refuses
        for first, n_pixels in _pieces(flat.size):
            y = np.empty((1, n_pixels))
            shared.weigh_colors(_linear(images, first, n_pixels), WEIGHTS_OF_Y, y)
            roots = np.cbrt(y)
            shared.find_lightness_of_roots(y, roots)
            flat[first : first + n_pixels] = roots[0]
    return found, color.status_of(planes, is_bounded=True)


def follow_in_lab(planes, plane, mapped, out, stored):
    """Write colours by CIELAB; see `_arithmetic.lightness.follow_in_lab`."""
    images = _readable(planes)
    if images is None:
        lightness.follow_in_lab(planes, plane, mapped, out, stored)
        return
    written = writable(out, mapped)
    before, after = plane.reshape(-1), mapped.reshape(-1)
    with np.errstate(all="ignore"):
        for first, n_pixels in _pieces(before.size):
            piece = slice(first, first + n_pixels)
            linear, shares = _linear(images, first, n_pixels), np.empty((2, n_pixels))
            shared.weigh_colors(linear, WEIGHTS_OF_XZ, shares)
            shared.find_linear_colors(
                shares,
                np.cbrt(shares),
                before[piece].astype(np.float64),
                after[piece].astype(np.float64) / stored.plane_top,
                lightness.RGB_OF_XYZ,
                linear,
            )
            powers = lightness.gamma_powers(linear)
            shared.encode_colors(
                linear, powers, float(stored.top), first, *images.shape[1:], rows(written)
            )
    finish(planes, mapped, written, out, stored)


def _readable(planes):
    """Return images (n, c, n_pixels) as kernels read them, or None."""
    pixel = arrays.computing_dtype(planes.dtype)
    if pixel not in arrays.N_LEVELS:
        return None
    n, c, height, width = planes.shape
    return arrays.contiguous(planes, pixel).reshape(n, c, height * width)


def _pieces(n_pixels):
    """Yield the first pixel of each piece, and how many it has."""
    for first in range(0, n_pixels, lightness.N_PIECE):
        yield first, min(lightness.N_PIECE, n_pixels - first)


def _linear(images, first, n_pixels):
    """Return red, green and blue without gamma of the pixels from the first on: (3, n_pixels)."""
    linear = np.empty((3, n_pixels), FLOAT64)
    if images.dtype.kind == "u":
        shared.look_up_colors(images, lightness.linear_levels(images.dtype), first, linear)
        return linear
    shared.find_gamma_bases(images, first, linear)
    powers = np.power(linear, 2.4)
    shared.decode_colors(images, first, powers)
    return powers
