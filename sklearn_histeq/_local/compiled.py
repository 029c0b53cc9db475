"""The compiled engine's local equalization: brings planes to types that its kernel knows.

Integers of more than two bytes are read as their ranks, which have the same order.
"""

import math
from functools import partial, reduce
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
    dtype = out.dtype if _is_written(out.dtype, pixel, rule) else own_dtype
    shape, radii = _of_volume(planes.shape[2:], 1), _of_volume(rule.radii, 0)
    is_single, status = planes.shape[0] * planes.shape[1] == 1, np.empty(planes.shape[:2], np.uint8)
    n_alone = N_ALONE if arrays.is_kernel_ready(out, dtype) else min(N_ALONE, 2 * arrays.N_PART)
    parts = _parts(shape, radii, N_PART if is_single and map_parts is not map else n_alone)
    if len(parts) > 1 and not is_single:  # parts of several planes are not contiguous
        for index, plane in arrays.single_planes(planes, mask, out, np.ones_like(status)):
            status[index] = _equalize_block(*plane, pixel, rule, map_parts)
        return status
    pixels, counted = rows(_as_ordered(planes, pixel)), arrays.mask_rows(mask)
    geometry = np.array([shape, radii], np.int64)
    output_max = output.largest_level(pixel) if is_peer else 1
    n_rows, axis = (1, planes.ndim - 2) if shape[0] == 1 else (shape[1], 2)

    def write_rows(own_rows, written):
        status = np.empty(planes.shape[:2], np.uint8)
        arguments = pixels, counted, written, status.reshape(-1), geometry, own_rows
        kernels.local(*arguments, is_peer, own_dtype == np.float32)
        return status

    def write(own_rows):
        own = slice(own_rows.start // n_rows, own_rows.stop // n_rows)  # rows, or whole slices
        part, write_own = out[(slice(None),) * axis + (own,)], partial(write_rows, own_rows)
        return arrays.write_part(write_own, part, dtype, output_max)

    return reduce(np.bitwise_or, map_parts(write, parts))


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
