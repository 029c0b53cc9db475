"""The compiled engine's local equalization: brings planes to types that its kernel knows.

Integers of more than two bytes are read as their ranks, which have the same order.
"""

import math
from functools import reduce
from itertools import pairwise

import numpy as np

from .._arithmetic import output
from .._arithmetic.dtypes import single_or_double
from .._kernels import arrays
from .._kernels.arrays import FLOAT64, rows
from . import definition, kernels
from .conventions import HISTEQ

# A plane is worked on in parts of so many pixels if threads share it, else in larger ones; and in
# at most so many parts, each of which searches the whole plane for missing pixels.
N_PART, N_ALONE, MOST_PARTS = 2**18, 2**22, 16


def local(planes, mask, out, rule, map_parts=map):
    """Equalize each pixel by the window around it into out; see `definition.local`."""
    shape = planes.shape[2:]
    if math.prod(shape) > arrays.MOST_PIXELS:
        return definition.local(planes, mask, out, rule, map_parts)
    rule = rule._replace(radii=tuple(min(radius, max(shape)) for radius in rule.radii))
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
    pixels, counted = rows(_as_ordered(planes, pixel)), arrays.mask_rows(mask)
    shape, radii = _of_volume(planes.shape[2:], 1), _of_volume(rule.radii, 0)
    geometry = np.array([shape, radii], np.int64)

    def write(own_rows):
        status = np.empty(planes.shape[:2], np.uint8)
        arguments = pixels, counted, rows(written), status.reshape(-1), geometry, own_rows
        kernels.local(*arguments, is_peer, own_dtype == np.float32)
        return status

    is_shared = map_parts is not map and planes.shape[0] * planes.shape[1] == 1
    parts = _parts(shape, radii, N_PART if is_shared else N_ALONE)
    status = reduce(np.bitwise_or, map_parts(write, parts))
    arrays.write_back(written, out, output.largest_level(pixel) if is_peer else 1)
    return status


def _of_volume(of_axes, of_plane):
    """Return one number per axis of a volume; a plane is one slice of it."""
    return (*((of_plane,) * (3 - len(of_axes))), *of_axes)


def _parts(shape, radii, n_pixels):
    """Return slices of the rows of all slices of a volume: parts of at least so many pixels.

    Volumes are cut between slices, planes between rows. Each part reads what its windows reach,
    and so parts are not made much shorter than windows.
    """
    depth, height, width = shape
    n_rows, length, radius = (1, height, radii[1]) if depth == 1 else (height, depth, radii[0])
    step = max(n_pixels // (n_rows * width), length // MOST_PARTS, radius, 1)
    n_parts = max(1, length // step)
    bounds = [length * i // n_parts * n_rows for i in range(n_parts + 1)]
    return [slice(*pair) for pair in pairwise(bounds)]


def _as_ordered(planes, pixel):
    """Return planes as the kernel reads them, integers that are no doubles as their ranks."""
    if planes.dtype.kind in "iu" and planes.dtype.itemsize == 8:
        planes = arrays.rank_planes(planes, None)[0].reshape(planes.shape)
    return arrays.as_pixels(planes, pixel)
