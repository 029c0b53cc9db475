"""The compiled engine's local equalization: brings planes to types that its kernel knows.

Integers of more than two bytes are read as their ranks, which have the same order.
"""

import numpy as np

from .._arithmetic import output
from .._arithmetic.dtypes import single_or_double
from .._blocks import Passes, cut, in_passes, row_indices
from .._kernels import arrays
from .._kernels.arrays import FLOAT64, rows
from . import definition, kernels
from .conventions import HISTEQ

# Threads that share a plane take parts of so many pixels.
N_PART = 2**18
TALLEST = 2**16 - 1  # the kernel counts the pixels of a column of a window in 16 bits


def local(planes, mask, out, rule, map_parts=map):
    """Equalize each pixel by the window around it into out; see `definition.local`."""
    height, width = planes.shape[2:]
    rule = rule._replace(radius=min(rule.radius, max(height, width)))
    is_tall = min(2 * rule.radius + 1, height) > TALLEST
    if is_tall or height * width > arrays.MOST_PIXELS:
        return definition.local(planes, mask, out, rule, map_parts)
    pixel = arrays.pixel_dtype(planes.dtype) or FLOAT64
    status = np.empty(planes.shape[:2], np.uint8)
    are_copied = arrays.is_copied(planes, pixel, out) or not _is_written(out.dtype, pixel, rule)
    for block in arrays.image_slices(planes, are_copied):
        counted = None if mask is None else mask[block]
        status[block] = _equalize_block(planes[block], counted, out[block], pixel, rule, map_parts)
    arrays.fill_unmapped(out, status)
    return status


def _is_written(dtype, pixel, rule):
    """Return whether the kernel writes an output type itself."""
    return dtype in arrays.N_LEVELS if rule.convention is HISTEQ else dtype == pixel


def _equalize_block(planes, mask, out, pixel, rule, map_parts):
    """Equalize some planes; return their status."""
    is_peer = rule.convention is not HISTEQ
    own_dtype = pixel if is_peer else single_or_double(planes.dtype)
    if _is_written(out.dtype, pixel, rule):
        written = arrays.writable(out, own_dtype)
    else:
        written = np.empty(out.shape, own_dtype)
    pixels = rows(_as_ordered(planes, pixel))
    (height, width), is_single = planes.shape[2:], own_dtype == np.float32
    counted = arrays.mask_rows(mask)

    def write(_, part):
        status = np.empty(planes.shape[:2], np.uint8)
        where = height, width, rule.radius, part.index[2]
        how = is_peer, is_single
        kernels.local(pixels, counted, rows(written), status.reshape(-1), *where, *how)
        return status

    # every part reads the rows that its windows reach, so parts are taller than the windows
    n_pixels = max(N_PART, (2 * rule.radius + 1) * width)
    parts = cut(planes, None, planes, row_indices(planes, n_pixels, map_parts))
    status = in_passes(Passes((), write), parts, map_parts)
    arrays.write_back(written, out, output.largest_level(pixel) if is_peer else 1)
    return status


def _as_ordered(planes, pixel):
    """Return planes as the kernel reads them, integers that are no doubles as their ranks."""
    if planes.dtype.kind in "iu" and planes.dtype.itemsize == 8:
        planes = arrays.rank_planes(planes, None)[0].reshape(planes.shape)
    return arrays.as_pixels(planes, pixel)
