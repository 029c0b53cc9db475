"""Ranges of values of a large plane of floats, which threads share."""

import numpy as np

from .._arithmetic.status import EMPTY
from .._kernels import arrays, shared

NO_RANGE = 255  # of pixels that are NaN


def ranges_of_values(pixels, pixel, map_parts):
    """Return the plane's status, the range of each of its pixels, and how many each range has.

    The ranges are increasing, and have half a million pixels or a million each. NaN is in NO_RANGE.
    Pixels are brought to the type in which kernels read them, in parts.
    """
    sample = pixels[:: pixels.size // 4096 + 1].astype(pixel)
    sample = sample[np.isfinite(sample)]
    # ranks take about 48 bytes for each pixel of a range: much beside the 2 of half precision
    n_in_range = arrays.N_PART // (2 if pixels.itemsize == 2 else 1)
    n_ranges = min(max(8, pixels.size // n_in_range), NO_RANGE)
    shares = np.arange(1, n_ranges) / n_ranges
    bounds = np.quantile(sample, shares, method="lower") if sample.size else sample
    ranges = np.empty(pixels.size, np.uint8)

    def find(start):
        part = slice(start, start + arrays.N_PART)
        of_part, status = np.require(pixels[part], pixel, ["C", "A"]), np.empty(1, np.uint8)
        shared.find_ranges(of_part[np.newaxis], None, status, *np.empty((2, 1)))
        found = np.searchsorted(bounds, of_part, side="right")
        found[np.isnan(of_part)] = NO_RANGE
        ranges[part] = found
        return status[0], np.bincount(found, minlength=NO_RANGE + 1)

    found = list(map_parts(find, range(0, pixels.size, arrays.N_PART)))
    statuses, counts = (np.array(of_parts) for of_parts in zip(*found, strict=True))
    status = np.bitwise_or.reduce(statuses & ~np.uint8(EMPTY))
    status |= np.bitwise_and.reduce(statuses) & np.uint8(EMPTY)
    return status.reshape(1, 1), ranges, counts.sum(axis=0)[:n_ranges]


def places_of_range(k, ranges):
    """Return where the pixels of a range are, found in parts: comparing takes memory, too."""
    starts = range(0, ranges.size, arrays.N_PART)
    found = [np.flatnonzero(ranges[i : i + arrays.N_PART] == k) + i for i in starts]
    return np.concatenate(found)
