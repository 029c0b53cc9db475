"""The size of windows, and the value of a pixel by the counts in its window.

A formula is a function of three arrays of counts (how many counted pixels of the window are below
the pixel in the middle, how many are equal to it, and how many there are) and of the plane.
"""

import numpy as np


def radii(window, shape):
    """Return how many pixels a window reaches to each side of its middle, along each axis.

    window is a width in pixels, or a share of the length of the axis; for rows and columns of the
    shorter of both. A sequence has one per axis, each a share of its own axis.
    """
    if isinstance(window, (tuple, list, np.ndarray)):
        return tuple(map(_radius, window, shape))
    side = min(shape[-2:])
    return tuple(_radius(window, length) for length in (*shape[:-2], side, side))


def _radius(window, length):
    """Return how many pixels a window reaches along an axis; a share at least 1."""
    if isinstance(window, (int, np.integer)):
        return int(window) // 2
    return max(1, int(float(window) * length / 2))


def overlaps(length, radius):
    """Yield the pixels of an axis that have a neighbour, and these neighbours, for each shift.

    Shifts are up to a radius to each side; pixels and neighbours are slices.
    """
    radius = min(radius, length - 1)
    for shift in range(-radius, radius + 1):
        start, stop = max(0, -shift), min(length, length - shift)
        yield slice(start, stop), slice(start + shift, stop + shift)


def mid_ranks(below, equal, n_counted, plane=None):
    """Return (below + equal / 2) / n_counted, in double precision."""
    return (below + equal / 2) / n_counted


def skimage_levels(below, equal, n_counted, plane):
    """Return top * CDF, truncated, as scikit-image's rank filter; 0 where nothing is counted."""
    top = 255 if plane.dtype.itemsize == 1 else max(3, int(plane.max()))
    cumulated = top * (below + equal).astype(np.int64)
    return np.where(n_counted > 0, cumulated / np.maximum(n_counted, 1), 0).astype(np.uint16)
