"""Given ranges on the scale of 16 bits, to which scikit-image's CLAHE brings all images first."""

import numpy as np

from .._arithmetic.dtypes import full_intensity

N_GRAYS = 16384  # NR_OF_GRAY of skimage.exposure.equalize_adapthist
N_LEVELS = 65536
LARGEST = 1e307  # beyond, the widths of ranges are no finite numbers


def in_16_bits(ranges, dtype):
    """Return ranges (..., 2) of images of a dtype, as skimage.util.img_as_uint scales these.

    Of integers of more than two bytes it has no one scale: `shares_of` are in their place, in the
    range [0, 1].
    """
    ranges = np.asarray(ranges, np.float64)
    if is_wide(dtype):
        return np.where(np.isnan(ranges), np.nan, [0.0, N_LEVELS - 1.0])
    with np.errstate(over="ignore"):
        scaled = ranges * ((N_LEVELS - 1) / full_intensity(dtype))
    return scaled.clip(-LARGEST, LARGEST)


def is_wide(dtype):
    """Return whether a dtype is one of integers of more than two bytes."""
    return dtype.kind in "iu" and dtype.itemsize > 2


def shares_of(plane, limits):
    """Return where the integers of a plane lie between limits: doubles in [0, 1]."""
    low, high = map(float, limits)
    return (plane.astype(np.float64).clip(low, high) - low) / (high - low)
