"""Colours reduced to their lightness L*, and colours of another lightness and the same a* and b*.

The functions come in the pairs that `color` describes. The powers are NumPy's in every engine:
those of other libraries differ in the last bits.
"""

from functools import lru_cache

import numpy as np

from .color import channels, like, status_of, write_alpha
from .dtypes import full_intensity, single_or_double
from .output import largest_level

# sRGB to XYZ with the white of D65 (2 degrees), as in skimage.color.
WHITE = 0.95047, 1.0, 1.08883
XYZ_OF_RGB = np.array(
    [
        [0.412453, 0.357580, 0.180423],
        [0.212671, 0.715160, 0.072169],
        [0.019334, 0.119193, 0.950227],
    ]
)
RGB_OF_XYZ = np.linalg.inv(XYZ_OF_RGB)
# Colours without gamma above which sRGB's gamma is a power.
LEAST_POWER = 0.0031308
# Pixels that are worked on at a time, so that a dozen doubles of each stay in the cache.
N_PIECE = 2**14


def lightness(planes):
    """Return L* / 100, in [0, 1] and in double precision (float32 for floats of 32 bits); status.

    The formulas are those of skimage.color.rgb2lab. NaN where a colour is.
    """
    n, _, height, width = planes.shape
    found = np.empty((n, 1, height, width), single_or_double(planes.dtype))
    with np.errstate(invalid="ignore"):  # of images that the status refuses
        for piece in _pieces(n, height, width):
            y = _row(XYZ_OF_RGB[1], _linear(planes[piece]))
            found[piece] = np.clip(1.16 * _root(y) - 0.16, 0.0, 1.0)
    return found, status_of(planes, is_bounded=True)


def follow_in_lab(planes, plane, mapped, out, stored):
    """Write the colours with the mapped lightness and their own a* and b*, by lab2rgb's formulas.

    They are clipped to [0, 1], and scaled to [0, top].
    """
    n, _, height, width = planes.shape
    with np.errstate(invalid="ignore"):
        for piece in _pieces(n, height, width):
            before, after = plane[piece].astype(np.float64), mapped[piece].astype(np.float64)
            fy, fy_out = (
                value / 1.16 + 0.16 / 1.16 for value in (before, after / stored.plane_top)
            )
            colors = _linear(planes[piece])
            # a* = 500 (fx - fy) and b* = 200 (fy - fz) stay where fx, fy and fz change alike
            fx, fz = (
                _root(_row(XYZ_OF_RGB[axis] / WHITE[axis], colors)) + (fy_out - fy)
                for axis in (0, 2)
            )
            found = _power(fx) * WHITE[0], _power(fy_out), _power(np.maximum(fz, 0.0)) * WHITE[2]
            for row, colors_out in zip(RGB_OF_XYZ, channels(out[piece])[:3], strict=True):
                values = np.clip(_encoded(_row(row, found)), 0.0, 1.0) * stored.top
                stored.store(like(mapped, values), colors_out, stored.top)
    write_alpha(planes, mapped, out, stored)


def _pieces(n, height, width):
    """Yield indices of planes (n, c, height, width) that cut them into pieces."""
    n_images, n_rows = max(1, N_PIECE // (height * width)), max(1, N_PIECE // width)
    for start in range(0, n, n_images):
        for row in range(0, height, n_rows):
            yield np.s_[start : start + n_images, :, row : row + n_rows]


def _row(weights, parts):
    """Return the weighted sum of three arrays, in this order."""
    return weights[0] * parts[0] + weights[1] * parts[1] + weights[2] * parts[2]


def _linear(planes):
    """Return red, green and blue without sRGB's gamma, as doubles in [0, 1]."""
    if planes.dtype.kind in "iu" and planes.dtype.itemsize <= 2:
        table = linear_levels(planes.dtype.newbyteorder("="))
        return [table[color] for color in channels(planes)[:3]]
    full = float(full_intensity(planes.dtype))
    return [_decoded(np.divide(color, full, dtype=np.float64)) for color in channels(planes)[:3]]


@lru_cache(maxsize=8)
def linear_levels(dtype):
    """Return what all levels >= 0 of an integer type are without sRGB's gamma."""
    largest = largest_level(dtype)
    return _decoded(np.arange(largest + 1) / largest)


def _decoded(colors):
    """Return colours without sRGB's gamma."""
    return np.where(colors > 0.04045, np.power((colors + 0.055) / 1.055, 2.4), colors / 12.92)


def _encoded(colors):
    """Return colours with sRGB's gamma."""
    powers = 1.055 * gamma_powers(colors) - 0.055
    return np.where(colors > LEAST_POWER, powers, colors * 12.92)


def gamma_powers(colors):
    """Return the powers that sRGB's gamma takes; those of 0 would be slow."""
    return np.power(np.maximum(colors, LEAST_POWER), 1 / 2.4)


def _root(shares):
    """Return the function f of CIELAB: a cube root, linear near black."""
    return np.where(shares > 0.008856, np.cbrt(shares), 7.787 * shares + 16 / 116)


def _power(roots):
    """Return the inverse of f."""
    return np.where(roots > 0.2068966, roots * roots * roots, (roots - 16 / 116) / 7.787)


# OpenCV's CIELAB of 8 bits ------------------------------------------------------------------------

# Coefficients of X, Y and Z as shares of the white, and of red, green and blue; in 2**-12.
OPENCV_WHITE = 0.950456, 1.0, 1.088754
TO_XYZ = np.rint(XYZ_OF_RGB / np.array([OPENCV_WHITE]).T * 2**12).astype(np.int32)
OF_XYZ = np.array([[3.240479, -1.53715, -0.498535], [-0.969256, 1.875991, 0.041556],
                   [0.055648, -0.204043, 1.057311]])  # fmt: skip
TO_RGB = np.rint(OF_XYZ * OPENCV_WHITE * 2**12).astype(np.int32)
N_ROOTS, N_ENCODED = 3072, 4096


@lru_cache(maxsize=1)
def opencv_tables():
    """Return OpenCV's tables as uint16, one after the other.

    256 levels without gamma, in units of 1/2040; 3072 values of f, in 2**-15; for 256 levels of L*
    the share Y and f(Y), both in 2**-14; 4096 shares of a colour as levels with gamma.
    """
    linear = 2040 * _decoded(np.arange(256) / 255)
    shares = np.arange(N_ROOTS) / 2040
    roots = np.where(shares >= 216 / 24389, np.cbrt(shares), shares * 841 / 108 + 16 / 116)
    roots = 2**15 * roots.astype(np.float32)  # in single precision two of them are halves
    lightness = np.arange(256) / 2.55
    fy = (lightness + 16) / 116
    y = np.where(np.arange(256) <= 20, lightness * 27 / 24389, fy * fy * fy)
    encoded = 255 * _encoded(np.arange(N_ENCODED) / N_ENCODED)
    tables = linear, roots, y * 2**14, fy * 2**14, encoded
    return np.rint(np.concatenate(tables)).astype(np.uint16)


def _tables():
    """Return the five tables as integers that do not overflow."""
    ends = np.cumsum([256, N_ROOTS, 256, 256])
    return np.split(opencv_tables().astype(np.int32), ends)


def opencv_lightness(planes):
    """Return L* of uint8 as cv2.cvtColor(..., COLOR_RGB2LAB) gives it; the status."""
    linear, roots, *_ = _tables()
    fy = roots[_rounded(_row(TO_XYZ[1], [linear[c] for c in channels(planes)[:3]]), 12)]
    return _lightness_of(fy), status_of(planes)


def _lightness_of(fy):
    """Return L* as levels of uint8 from f(Y)."""
    level = _rounded(fy * 296 - (16 * 255 * 2**15 + 50) // 100, 15)
    return np.clip(level, 0, 255).astype(np.uint8)


def follow_in_opencv_lab(planes, plane, mapped, out, stored):
    """Write what cv2.cvtColor(..., COLOR_LAB2RGB) gives for a new L* and the old a* and b*."""
    linear, roots, y_of, fy_of, encoded = _tables()
    colors = [linear[c] for c in channels(planes)[:3]]
    fx, fy, fz = (roots[_rounded(_row(row, colors), 12)] for row in TO_XYZ)
    a, b = (
        np.clip(_rounded(weight * difference, 15) + 128, 0, 255)
        for weight, difference in ((500, fx - fy), (200, fy - fz))
    )
    y, fy = y_of[mapped], fy_of[mapped]
    # nearly a * 2**14 / 500 and b * 2**14 / 200, less those of 128
    x = _opencv_power(fy + (5 * a * 53687 + 2**7 >> 13) - 4194)
    z = _opencv_power(fy - (b * 41943 + 2**4 >> 9) + 10484)
    for row, colors_out in zip(TO_RGB, channels(out)[:3], strict=True):
        share = np.clip(_rounded(_row(row, [x, y, z]), 14), 0, N_ENCODED - 1)
        stored.store(encoded[share].astype(mapped.dtype), colors_out, stored.top)
    write_alpha(planes, mapped, out, stored)


def _opencv_power(roots):
    """Return the inverse of f of integers in 2**-14, as OpenCV's divisions round it."""
    cubes = (roots * roots >> 14) * roots >> 14
    slopes = roots * 108
    linear = np.sign(slopes) * (np.abs(slopes) // 841) - 290
    return np.where(roots > 3390, cubes, linear)


def _rounded(values, shift):
    """Return integers in 2**-shift rounded to whole ones, halves up."""
    return values + 2 ** (shift - 1) >> shift
