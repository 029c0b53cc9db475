"""Colours reduced to their value or luminance, and colours that follow this plane when it changes.

Each pair of functions belongs to a record in `color_modes`. The first takes planes (n, 3 or 4, h,
w) and returns one plane (n, 1, h, w) and the status (n, 1) of all channels together. The second,
f(planes, plane, mapped, out, stored), writes the colours for the plane that was mapped, and alpha;
it brings them to the dtype of the mapped plane before `stored.store` brings them to that of out.
"""

from functools import reduce

import numpy as np

from . import namespaces
from . import status as bits
from .dtypes import full_intensity, single_or_double
from .output import largest_level

# Luminance of R'G'B' by ITU-R BT.601, and the same in 2**-14, as OpenCV has it.
RED, GREEN, BLUE = 0.299, 0.587, 0.114
WEIGHTS, SHIFT = (4899, 9617, 1868), 14
# OpenCV's chroma: red and blue less Y, and how much of them the colours have; in 2**-14.
TO_CR, TO_CB = 11682, 9241
CR_TO_RED, CR_TO_GREEN, CB_TO_GREEN, CB_TO_BLUE = 22987, -11698, -5636, 29049


def value(planes):
    """Return the value v = max(R, G, B) in the images' dtype, NaN where a colour is; the status."""
    xp, dtype = namespaces.namespace(planes), namespaces.dtype_of(planes)
    brightest = reduce(xp.maximum, channels(namespaces.as_signed(planes))[:3])
    return namespaces.from_signed(brightest, dtype), status_of(planes)


def scale_colors(planes, v, equalized, out, stored):
    """Write c * v' / v for each colour c into out, v' where v = 0, and alpha as [0, top]."""
    v, v_out = (namespaces.astype(part, np.float64) for part in (v, equalized))
    xp, black = namespaces.namespace(v), v == 0
    divisor = xp.where(black, 1.0, v)
    for colors, colors_out in zip(channels(planes)[:3], channels(out)[:3], strict=True):
        scaled = _scaled(namespaces.for_doubles(colors), v_out, divisor)
        scaled = xp.where(black, v_out, scaled)
        stored.store(like(equalized, scaled), colors_out, stored.top)
    write_alpha(planes, equalized, out, stored)


def _scaled(colors, v_out, divisor):
    """Return colors * v_out / divisor."""
    xp = namespaces.namespace(colors)
    with np.errstate(over="ignore", invalid="ignore"):  # of images that the status refuses, too
        scaled = colors * v_out / divisor
        is_lost = xp.isinf(scaled)
        if xp.any(is_lost):  # the product is beyond the largest double, the result is not
            scaled = xp.where(is_lost, colors / divisor * v_out, scaled)
    return scaled


# Luminance ----------------------------------------------------------------------------------------


def luminance(planes):
    """Return Y = .299 R + .587 G + .114 B, integers rounded to the images' dtype; the status.

    Floats are summed as G + .299 (R - G) + .114 (B - G), so that Y of gray is exactly the gray.
    """
    dtype = namespaces.dtype_of(planes)
    if dtype.kind == "f":
        red, green, blue = (namespaces.astype(c, np.float64) for c in channels(planes)[:3])
        with np.errstate(invalid="ignore"):  # infinities, which the status refuses
            y = green + RED * (red - green) + BLUE * (blue - green)
        y = namespaces.astype(y, single_or_double(dtype))
    else:
        y = _rounded_luminance(planes, dtype.newbyteorder("="))
    return y, status_of(planes, is_bounded=True)


def _rounded_luminance(planes, dtype):
    """Return (4899 R + 9617 G + 1868 B + 2**13) >> 14 of integers, in parts that do not overflow.

    The weights sum to 2**14, so that levels of uint64 may be moved by 2**63, as other libraries
    need it.
    """
    is_largest = isinstance(planes, np.ndarray) and dtype == np.uint64
    wide = np.uint64 if is_largest else np.int64
    found = [namespaces.astype(c, wide) for c in channels(namespaces.as_signed(planes))[:3]]
    high = sum(weight * (c >> SHIFT) for weight, c in zip(WEIGHTS, found, strict=True))
    low = sum(weight * (c & 2**SHIFT - 1) for weight, c in zip(WEIGHTS, found, strict=True))
    y = high + (low + 2 ** (SHIFT - 1) >> SHIFT)
    return namespaces.astype(namespaces.from_signed(y, dtype), dtype)


def shift_colors(planes, y, mapped, out, stored):
    """Write Y' + (c - Y) for each colour c, on the scale of the output and kept in [0, top]."""
    top, full = stored.top, full_intensity(namespaces.dtype_of(planes))
    y, y_out = (namespaces.astype(part, np.float64) for part in (y, mapped))
    xp = namespaces.namespace(y)
    for colors, colors_out in zip(channels(planes)[:3], channels(out)[:3], strict=True):
        with np.errstate(invalid="ignore"):
            shifted = y_out + (namespaces.for_doubles(colors) - y) * float(top) / float(full)
        shifted = xp.clip(shifted, 0.0, float(top))
        stored.store(like(mapped, shifted), colors_out, top)
    write_alpha(planes, mapped, out, stored)


def follow_in_ycrcb(planes, y, mapped, out, stored):
    """Write what cv2.cvtColor(..., COLOR_YCrCb2RGB) gives for Y', and Cr and Cb of the colours.

    Cr and Cb are rounded and kept in the range of uint8 or uint16, as COLOR_RGB2YCrCb gives them.
    """
    largest = largest_level(namespaces.dtype_of(planes))
    y, y_out, red, _, blue = (
        namespaces.astype(c, np.int64) for c in (y, mapped, *channels(planes)[:3])
    )
    xp, half = namespaces.namespace(y), (largest + 1) // 2
    cr, cb = (
        xp.clip(_descaled(difference * weight) + half, 0, largest) - half
        for difference, weight in ((red - y, TO_CR), (blue - y, TO_CB))
    )
    shifts = cr * CR_TO_RED, cr * CR_TO_GREEN + cb * CB_TO_GREEN, cb * CB_TO_BLUE
    for shift, colors_out in zip(shifts, channels(out)[:3], strict=True):
        colors = xp.clip(y_out + _descaled(shift), 0, largest)
        stored.store(namespaces.astype(colors, namespaces.dtype_of(mapped)), colors_out, stored.top)
    write_alpha(planes, mapped, out, stored)


def _descaled(values):
    """Return integers in 2**-14 rounded to whole ones, halves up."""
    return values + 2 ** (SHIFT - 1) >> SHIFT


# What all modes have ------------------------------------------------------------------------------


def channels(planes):
    """Return the channels one by one; also fast where channels are last in memory."""
    return [planes[:, channel : channel + 1, ...] for channel in range(planes.shape[1])]


def status_of(planes, is_bounded=False):
    """Return the status (n, 1) of all channels together; is_bounded: floats end at 1."""
    return reduce(np.bitwise_or, (_status(plane, is_bounded) for plane in channels(planes)))


def _status(plane, is_bounded):
    """Return the status (n, 1) of one channel."""
    status, kind = bits.of_values(plane), namespaces.dtype_of(plane).kind
    if kind == "f" and is_bounded:
        status |= bits.beyond_unit(plane)
    elif kind in "if":
        status[bits.has_any(plane < 0)] |= bits.NEGATIVE
    return status


def write_alpha(planes, mapped, out, stored):
    """Write alpha, where there is one, as [0, top]."""
    for alpha, alpha_out in zip(channels(planes)[3:], channels(out)[3:], strict=True):
        stored.store(opacity(alpha, mapped, stored.top), alpha_out, stored.top)


def opacity(alpha, mapped, top):
    """Return alpha as values in [0, top], in the dtype of mapped values."""
    full = full_intensity(namespaces.dtype_of(alpha))
    return like(mapped, namespaces.astype(alpha, np.float64) * top / full)


def like(mapped, values):
    """Return doubles in the dtype of mapped values, integers by rounding."""
    dtype = namespaces.dtype_of(mapped)
    if dtype.kind == "u":
        values = namespaces.namespace(values).round(values)
    return namespaces.astype(values, dtype)
