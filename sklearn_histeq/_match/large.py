"""What is found in a large plane, in parts that threads share: counts, ranges of values."""

from typing import Any

import numpy as np

from .._kernels import arrays, shared
from .._kernels.arrays import rows

NO_RANGE = 255  # of pixels that are NaN


def level_pixels(part):
    """Return a part of planes of levels as kernels read it."""
    return rows(arrays.as_pixels(part.planes, arrays.pixel_dtype(part.planes.dtype)))


def count_levels(_, part):
    """Return the counts of the levels of a part."""
    pixels = level_pixels(part)
    counts = np.zeros((1, arrays.N_LEVELS[pixels.dtype]), np.int64)
    counted = None if part.mask is None else arrays.mask_rows(part.mask)
    shared.add_level_counts(pixels, counted, counts)
    return counts[0]


def ranges_of_values(pixels, map_parts):
    """Return the range of values that each pixel is in, and how many pixels the ranges have.

    The ranges are increasing, and have about a million pixels each. NaN is in NO_RANGE.
    """
    sample = pixels[:: pixels.size // 4096 + 1]
    sample = sample[~np.isnan(sample)]
    n_ranges = min(max(8, pixels.size // arrays.N_PART), NO_RANGE)
    shares = np.arange(1, n_ranges) / n_ranges
    bounds = np.quantile(sample, shares, method="lower") if sample.size else sample
    ranges = np.empty(pixels.size, np.uint8)

    def find(start):
        part = slice(start, start + arrays.N_PART)
        found = np.searchsorted(bounds, pixels[part], side="right")
        found[np.isnan(pixels[part])] = NO_RANGE
        ranges[part] = found
        return np.bincount(found, minlength=NO_RANGE + 1)

    counts: Any = sum(map_parts(find, range(0, pixels.size, arrays.N_PART)))
    return ranges, counts[:n_ranges]
