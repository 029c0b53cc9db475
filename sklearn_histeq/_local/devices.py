"""Local equalization of blocks of planes, by shifts: one comparison per place in the window."""

from functools import partial
from itertools import product

import numpy as np

from .._arithmetic import namespaces, output
from .._arithmetic.rows import (
    as_rows,
    at_or_below,
    first_at_or_above,
    number_of,
    rows_of,
    sorted_counted,
    write_rows,
)
from . import definition
from .conventions import HISTEQ, SKIMAGE
from .windows import mid_ranks, overlaps


@np.errstate(all="ignore")
def local(planes, mask, out, rule, map_parts=map):
    """Equalize each pixel by the counted pixels of the window around it; see `definition`."""
    convention = rule.convention
    if convention not in _FORMULAS:
        return namespaces.on_cpu(definition.local, planes, mask, out, rule)
    rows = rows_of(planes, mask)
    counts = _window_counts(rows, planes.shape, rule.radii)
    if convention.fills_windows and rows.counted is not None:
        counts = _filled(counts, rows)
    values = _FORMULAS[convention](rows, *counts)
    store = partial(output.store, output_max=convention.top(rows.dtype))
    write_rows(values, rows, convention.default_output_dtype(rows.dtype), out, store)
    return rows.status


def _window_counts(rows, shape, radii):
    """Return how many counted pixels in each window are below its pixel, equal, and in all.

    They are doubles, in rows. Each plane is compared with itself, shifted by each place.
    """
    xp = rows.xp
    planes, counted = (xp.reshape(array, shape) for array in (rows.pixels, rows.is_counted()))
    below, equal, n_counted = (namespaces.zeros(shape, np.int32, planes) for _ in range(3))
    for pairs in product(*map(overlaps, shape[2:], radii)):
        here, there = ((..., *places) for places in zip(*pairs, strict=True))
        of_window, middle, pixel = counted[there], planes[here], planes[there]
        for counts, found in (
            (below, of_window & (pixel < middle)),
            (equal, of_window & (pixel == middle)),
            (n_counted, of_window),
        ):
            counts[here] = counts[here] + namespaces.astype(found, np.int32)
    arrays = (namespaces.astype(counts, np.float64) for counts in (below, equal, n_counted))
    return [as_rows(array) for array in arrays]


def _filled(counts, rows):
    """Return the counts of windows; those of the whole plane where a window has none."""
    xp, is_empty = rows.xp, counts[2] == 0
    if not xp.any(is_empty):
        return counts
    n_all, ordered = number_of(rows.counted), sorted_counted(rows)
    at_most = xp.minimum(at_or_below(ordered, rows.pixels) + 1, n_all)
    n_below = xp.minimum(first_at_or_above(ordered, rows.pixels), n_all)
    of_plane = n_below, at_most - n_below, xp.broadcast_to(n_all, at_most.shape)
    doubles = (namespaces.astype(array, np.float64) for array in of_plane)
    return [xp.where(is_empty, whole, own) for whole, own in zip(doubles, counts, strict=True)]


def _mid_ranks(rows, below, equal, n_counted):
    """Return what `windows.mid_ranks` says."""
    return mid_ranks(below, equal, n_counted)


def _skimage_levels(rows, below, equal, n_counted):
    """Return what `windows.skimage_levels` says."""
    xp, top = rows.xp, 255.0
    if rows.dtype.itemsize > 1:
        top = namespaces.astype(xp.max(rows.pixels, axis=1, keepdims=True), np.float64)
        top = xp.where(top > 3, top, 3.0)
    n_pixels = xp.where(n_counted > 0, n_counted, 1.0)
    return xp.where(n_counted > 0, xp.floor(top * (below + equal) / n_pixels), 0.0)


# The formulas of the records that this engine has code for.
_FORMULAS = {HISTEQ: _mid_ranks, SKIMAGE: _skimage_levels}
