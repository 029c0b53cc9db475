"""Images as the kernels of CLAHE read them; of scikit-image's convention the levels of 16 bits.

That convention brings all images to 16 bits, stretches these over 16384 grays, and cuts the grays
into bins. Its last step stretches what is blended to [0, 1].
"""

import numpy as np

from .._arithmetic import output
from .._arithmetic.status import ABOVE_ONE, EMPTY, INF, NAN, NEGATIVE
from .._kernels import arrays
from .._kernels.arrays import FLOAT64, UINT16
from . import grays
from .conventions import HISTEQ, SKIMAGE


def pixel_dtype(dtype, convention):
    """Return the type in which the kernels read images of a dtype, or None where they do not."""
    if dtype.kind in "bf" or (dtype.kind == "u" and dtype.itemsize <= 2):
        return arrays.pixel_dtype(dtype)
    return {HISTEQ: FLOAT64, SKIMAGE: UINT16}.get(convention)


# Levels of scikit-image ---------------------------------------------------------------------------


def levels_of(planes, given=None, is_beyond=None):
    """Return planes as levels of 8 or 16 bits, as skimage.util.img_as_uint makes them.

    It divides a plane of integers of more than two bytes by a power of two where these do not fit
    into two bytes, as is_beyond (n, c) says. Where ranges are given (n, c, 2), not NaN, such levels
    are their shares of the range.
    """
    kind, itemsize = planes.dtype.kind, planes.dtype.itemsize
    if kind == "f":
        pixels = arrays.as_pixels(planes, arrays.pixel_dtype(planes.dtype))
        scaled = pixels * pixels.dtype.type(65535)
        return np.rint(scaled, out=scaled).astype(UINT16)
    pixels = arrays.as_native(planes)
    if kind == "b":
        return pixels.view(np.uint8) * np.uint8(255)
    if kind == "u" and itemsize <= 2:
        return pixels
    n_bits = 8 * itemsize - (kind == "i")
    if itemsize <= 2:  # repeat the bits until there are at least 16, then keep the upper 16
        n_repeated = n_bits * (16 // n_bits + 1)
        factor = (2**n_repeated - 1) // (2**n_bits - 1)
        return (pixels.astype(np.uint32) * np.uint32(factor) >> (n_repeated - 16)).astype(UINT16)
    shifts = (is_beyond * (n_bits - 16)).astype(pixels.dtype)
    found = (pixels >> shifts.reshape(*shifts.shape, *[1] * (planes.ndim - 2))).astype(UINT16)
    for index in np.argwhere(~np.isnan(given[..., 0])) if given is not None else ():
        shares = grays.shares_of(pixels[*index], given[*index])
        found[*index] = np.rint(shares * (grays.N_LEVELS - 1))
    return found


def refused(dtype, status, lows, highs):
    """Return the status of planes of such ranges that equalize_adapthist would destroy or reject.

    status (n, c) is that of `find_ranges`; integers have no upper bound.
    """
    is_number = status & (INF | EMPTY) == 0
    status = status & (NAN | INF | EMPTY)
    status[is_number & (lows < 0)] |= NEGATIVE
    if dtype.kind == "f":
        status[is_number & (highs > 1)] |= ABOVE_ONE
    return status


def tables_of_bins(dtype, ranges, n_bins):
    """Return the bins (n_planes, n_levels) of all levels of a dtype of levels.

    ranges (n_planes, 2) are what the bins of each plane span, on the scale of 16 bits.
    """
    n_levels = arrays.N_LEVELS[dtype]
    levels = np.arange(n_levels) * (65535.0 / (n_levels - 1))
    found = np.empty((len(ranges), n_levels), UINT16)
    for bins, (low, high) in zip(found, ranges, strict=True):
        bins[:] = _grays(levels, low, high) // (1 + grays.N_GRAYS // n_bins)
    return found


def _grays(levels, low, high):
    """Return equalize_adapthist's grays of levels of 16 bits in images of the range [low, high]."""
    if low == high:
        return np.full(len(levels), np.rint(np.clip(low, 0, grays.N_GRAYS - 1)))
    return np.rint((levels.clip(low, high) - low) / (high - low) * (grays.N_GRAYS - 1))


def tables_of_values(ranges, dtype, out_dtype):
    """Return the values of all grays where those of each plane's range are stretched to [0, 1].

    They are computed in a dtype, and stored as another: (n_planes, N_GRAYS).
    """
    tables = np.empty((len(ranges), grays.N_GRAYS), out_dtype)
    for table, (low, high) in zip(tables, ranges, strict=True):
        values = np.arange(-low, grays.N_GRAYS - low).astype(dtype)
        values /= dtype.type(max(high - low, 1))
        if low == high:
            values = (np.arange(grays.N_GRAYS) > 0).astype(dtype)
        output.store(values, table, 1)
    return tables
