"""The compiled engine's local equalization: brings planes to types that its kernel knows.

Integers of more than two bytes are read as their ranks, which have the same order.
"""

from itertools import pairwise

import numpy as np

from ..._arithmetic import output
from ..._arithmetic.conventions import HISTEQ_WINDOWS, single_or_double
from . import planes as _planes
from .planes import FLOAT64, N_LEVELS, kernel_for, rows

# Threads that share a plane take parts of so many pixels.
N_PART = 2**18
TALLEST = 2**16 - 1  # the kernel counts the pixels of a column of a window in 16 bits


def equalize_locally(planes, mask, out, rule, map_parts=map):
    """Equalize each pixel by the window around it into out; see `reference.equalize_locally`."""
    height, width = planes.shape[2:]
    rule = rule._replace(radius=min(rule.radius, max(height, width)))
    is_tall = min(2 * rule.radius + 1, height) > TALLEST
    if is_tall or height * width > _planes.MOST_PIXELS:
        return _planes.reference().equalize_locally(planes, mask, out, rule, map_parts)
    pixel = _planes.pixel_dtype(planes.dtype) or FLOAT64
    status = np.empty(planes.shape[:2], np.uint8)
    are_copied = _planes.is_copied(planes, pixel, out) or not _is_written(out.dtype, pixel, rule)
    for block in _planes.image_slices(planes, are_copied):
        counted = None if mask is None else mask[block]
        status[block] = _equalize_block(planes[block], counted, out[block], pixel, rule, map_parts)
    _planes.fill_unmapped(out, status)
    return status


def _is_written(dtype, pixel, rule):
    """Return whether the kernel writes an output type itself."""
    return dtype in N_LEVELS if rule.convention is HISTEQ_WINDOWS else dtype == pixel


def _equalize_block(planes, mask, out, pixel, rule, map_parts):
    """Equalize some planes; return their status."""
    is_peer = rule.convention is not HISTEQ_WINDOWS
    own_dtype = pixel if is_peer else single_or_double(planes.dtype)
    if _is_written(out.dtype, pixel, rule):
        written = _planes.writable(out, own_dtype)
    else:
        written = np.empty(out.shape, own_dtype)
    pixels = rows(_as_ordered(planes, pixel))
    shape, how = planes.shape[2:], (is_peer, own_dtype == np.float32)
    kernel, counted = kernel_for("equalize_locally", pixel, written.dtype), _planes.mask_rows(mask)

    def equalize_rows(part):
        status = np.empty(planes.shape[:2], np.uint8)
        kernel(pixels, counted, rows(written), status.reshape(-1), shape, rule.radius, part, how)
        return status

    status = np.bitwise_or.reduce(
        list(map_parts(equalize_rows, _row_slices(planes, rule.radius, map_parts)))
    )
    _planes.write_back(written, out, output.largest_level(pixel) if is_peer else 1)
    return status


def _as_ordered(planes, pixel):
    """Return planes as the kernel reads them, integers that are no doubles as their ranks."""
    if planes.dtype.kind in "iu" and planes.dtype.itemsize == 8:
        planes = _planes.ranks(planes, None)[0].reshape(planes.shape)
    return _planes.as_pixels(planes, pixel)


def _row_slices(planes, radius, map_parts):
    """Return slices of the rows of a plane that threads may share; all rows without threads.

    Every part reads the rows that its windows reach, so parts are taller than the windows.
    """
    n, c, height, width = planes.shape
    n_parts = min(height * width // N_PART, height // (2 * radius + 1))
    if map_parts is map or n * c > 1:
        n_parts = 1
    bounds = np.linspace(0, height, max(1, n_parts) + 1).astype(int).tolist()
    return [slice(*pair) for pair in pairwise(bounds)]
