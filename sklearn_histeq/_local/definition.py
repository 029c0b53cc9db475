"""Local equalization, one window per pixel, in two conventions: the definition.

"histeq" is this package's own definition. "skimage" is the arithmetic of
skimage.filters.rank.equalize with a footprint of ones, written down in NumPy: the filter itself
warns of planes with many levels, which cannot be silenced in threads.
"""

from itertools import product

import numpy as np

from .._arithmetic import output
from .._equalize.definition import for_each_plane
from .windows import overlaps


def local(planes, mask, out, rule, map_parts=map):
    """Equalize each pixel by the counted pixels of the window around it into out.

    The window of a pixel has the pixels that are at most `rule.radii` places away along each axis,
    as far as the plane reaches. Planes may be volumes, (n, c, d, h, w).

    Parameters
    ----------
    planes : ndarray of shape (n, c, h, w)
        Any real dtype that the convention accepts, strides and byte order; not modified.
    mask : ndarray of shape (n, h, w), bool, or None
        Pixels that count; all are mapped.
    out : ndarray of shape (n, c, h, w)
        Written to; its dtype says how values are stored. Owned by the caller.
    rule : `conventions.LocalRule`
    map_parts : callable
        Like the builtin map, perhaps in threads; not used here.

    Returns
    -------
    status : ndarray of shape (n, c), uint8
        Bits NAN, INF and EMPTY (no counted pixel) of each plane.
    """
    convention = rule.convention
    own_dtype = convention.default_output_dtype(planes.dtype)
    top = convention.top(planes.dtype)

    def map_plane(plane, counted, channel, out_plane):
        below, equal, n_counted = window_counts(plane, counted, rule.radii)
        if convention.fills_windows:
            is_empty = n_counted == 0
            below[is_empty], equal[is_empty] = counts_in(plane[counted], plane[is_empty])
            n_counted[is_empty] = counted.sum()
        values = convention.formula(below, equal, n_counted, plane)
        if plane.dtype.kind == "f":
            values[np.isnan(plane)] = np.nan
        output.store(values.astype(own_dtype, copy=False), out_plane, top)

    return for_each_plane(planes, mask, out, map_plane)


def window_counts(plane, counted, radii):
    """Return how many counted pixels in the window of each pixel are below it, equal, and in all.

    The plane is compared with itself, shifted by each place in the window.
    """
    below, equal, n_counted = np.zeros((3, *plane.shape), np.int64)
    for pairs in product(*map(overlaps, plane.shape, radii)):
        here, there = zip(*pairs, strict=True)
        below[here] += counted[there] & (plane[there] < plane[here])
        equal[here] += counted[there] & (plane[there] == plane[here])
        n_counted[here] += counted[there]
    return below, equal, n_counted


def counts_in(pixels, levels):
    """Return how many pixels are below each of some levels, and how many are equal."""
    pixels = np.sort(pixels)
    below = np.searchsorted(pixels, levels, side="left")
    return below, np.searchsorted(pixels, levels, side="right") - below
