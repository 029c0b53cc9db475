"""Planes as the kernels take them, and what the kernels wrote brought back: for all of this engine.

Most kernels read contiguous rows of uint8, uint16, float32 or float64, and write rows of these
types. Wider integers are read by the kernels that find their levels, ranks or steps.
"""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from .._arithmetic import output
from .._arithmetic.status import EMPTY, INF
from . import shared

UINT8, UINT16 = np.dtype(np.uint8), np.dtype(np.uint16)
FLOAT32, FLOAT64 = np.dtype(np.float32), np.dtype(np.float64)
# The types that kernels read and write, with the number of levels of the integers.
N_LEVELS = {UINT8: 256, UINT16: 65536, FLOAT32: 0, FLOAT64: 0}
# So many pixels are copied, or counted through NumPy, at a time. With smaller blocks there are more
# calls of NumPy, at each of which one thread may have to wait for another.
N_COPIED = 2**19
# The same where ranks are found: that takes eight arrays of this size, which should fit the cache.
N_RANKED = 2**17
# A plane that threads may share is divided into parts of so many pixels; one whose output is copied
# into twice as many, where each part repeats some of the work.
N_PART = 2**20
# Kernels number pixels in 32 bits.
MOST_PIXELS = 2**31 - 1
REFER = shared.REFER
_ITEMS = {np.dtype(name).itemsize: name for name in ("uint8", "uint16", "uint32", "uint64")}


def pixel_dtype(dtype):
    """Return the type in which kernels read pixels of a dtype as they are ordered, or None.

    None are integers of four and eight bytes, and floats beyond double precision.
    """
    kind, itemsize = dtype.kind, dtype.itemsize
    if kind == "f":
        return {2: FLOAT32, 4: FLOAT32, 8: FLOAT64}.get(itemsize)
    return {1: UINT8, 2: UINT16}.get(itemsize)


def computing_dtype(dtype):
    """Return the native dtype in which images are computed: float16 as float32, as everywhere."""
    native = dtype.newbyteorder("=")
    return FLOAT32 if native == np.float16 else native


def is_kernel_ready(array, dtype):
    """Return whether a kernel takes an array as it is, where it takes the dtype."""
    flags = array.flags
    return array.dtype == dtype and flags.c_contiguous and flags.aligned


def as_pixels(planes, pixel):
    """Return planes as the kernels read them: contiguous, native, ordered as their intensities."""
    flags, dtype = planes.flags, planes.dtype
    if dtype == pixel and flags.c_contiguous and flags.aligned:
        return planes
    if dtype == np.bool_:
        planes = planes.view(np.uint8)
    if planes.dtype.kind == "i" and pixel.kind == "u":
        # two's complement with the sign bit flipped is in order
        return as_native(planes).view(pixel) ^ pixel.type(sign_bit(planes.dtype))
    return contiguous(planes, pixel)


def as_native(planes):
    """Return planes of any type, contiguous and in native byte order."""
    return contiguous(planes, planes.dtype.newbyteorder("="))


def contiguous(planes, dtype):
    """Return planes as a contiguous array of a type."""
    return np.require(_split(planes), dtype, ["C", "A"])


def _interleaved(planes):
    """Return planes as integers (n, n_pixels, c) where they lie so in memory, or None."""
    n, c, *spatial = planes.shape
    n_pixels = math.prod(spatial)
    pixels = planes.transpose(0, *range(2, planes.ndim), 1)
    item = _ITEMS.get(planes.dtype.itemsize)
    if not (2 <= c <= 4 < n_pixels and item and is_kernel_ready(pixels, planes.dtype)):
        return None
    return pixels.view(item).reshape(n, n_pixels, c)


def _split(planes):
    """Return planes, those of interleaved pixels by a kernel as a contiguous array."""
    pixels = _interleaved(planes)
    if pixels is None:
        return planes
    split = np.empty(planes.shape, planes.dtype)
    as_items = split.view(pixels.dtype).reshape(len(planes), planes.shape[1], -1)
    shared.transpose_pixels(pixels, as_items)
    return split


def rank_planes(planes, mask):
    """Return the ranks of pixels among the distinct values of their plane, and the counts of these.

    For integers of 2, 4 or 8 bytes. Both are int32, of (n_planes, n_pixels) and (n_planes,
    n_distinct); the counts of planes with fewer distinct values end with zeros.
    """
    pixels = as_pixels(planes, UINT16) if planes.dtype.itemsize == 2 else as_native(planes)
    found, counts = np.empty((2, *rows(pixels).shape), np.int32)
    n_distinct = shared.rank_planes(rows(pixels), mask_rows(mask), found, counts)
    return found, counts[:, : max(n_distinct, 1)]


def as_written(values, dtype, output_max):
    """Return values as a kernel writes them: in the dtype of the output where kernels have it."""
    if dtype not in N_LEVELS or dtype == values.dtype:
        return np.ascontiguousarray(values)
    found = np.empty(values.shape, dtype)
    write_back(values, found, output_max)
    return found


def look_up(indices, tables, out, output_max):
    """Write tables[p % n_tables, index] of the rows of indices p into out, in the type of out."""
    written = writable(out, tables.dtype)
    shared.look_up(indices, tables, rows(written))
    write_back(written, out, output_max)


def sign_bit(dtype):
    """Return the level as which kernels read an integer type's zero."""
    return 1 << 8 * dtype.itemsize - 1 if dtype.kind == "i" else 0


def rows(planes):
    """Return planes (n, c, *spatial) as the rows of pixels that kernels take."""
    n, c, *spatial = planes.shape
    return planes.reshape(n * c, math.prod(spatial))


def mask_rows(mask):
    """Return a mask (n, *spatial), or None, as kernels take it."""
    return (
        None if mask is None else np.ascontiguousarray(mask).view(np.uint8).reshape(len(mask), -1)
    )


def writable(out, own_dtype):
    """Return out, or else an array that a kernel can write, of out's or the convention's type."""
    is_known = out.dtype in N_LEVELS
    if is_known and out.flags.c_contiguous and out.flags.aligned:
        return out
    return np.empty(out.shape, out.dtype if is_known else own_dtype)


def write_back(written, out, output_max):
    """Bring what a kernel has written into out; output_max=None: integers are not scaled."""
    if written is out:
        return
    with np.errstate(all="ignore"):  # planes without a result hold anything
        if written.dtype == out.dtype:
            _copy(written, out)
        elif output_max is None:
            output.saturate(written, out)
        else:
            output.store(written, out, output_max)


def _copy(written, out):
    """Copy contiguous planes, to interleaved pixels by a kernel."""
    pixels = _interleaved(out) if out.ndim > 3 else None
    if pixels is None:
        out[...] = written
    else:
        as_items = written.view(pixels.dtype).reshape(len(out), out.shape[1], -1)
        shared.transpose_pixels(as_items, pixels)


def write_as_rows(write, out, dtype, output_max):
    """Call write(rows), which writes rows of pixels of a dtype, and return its result.

    The rows are those of out. Where a kernel cannot write to out, they are those of a new array,
    which is then copied or scaled into out.
    """
    written = out if is_kernel_ready(out, dtype) else np.empty(out.shape, dtype)
    result = write(rows(written))
    write_back(written, out, output_max)
    return result


def fill_unmapped(out, status):
    """Write NaN, or 0, to the planes that have no transfer function, which kernels leave out."""
    if (status & (EMPTY | INF)).any():
        out[status & (EMPTY | INF) > 0] = np.nan if out.dtype.kind == "f" else 0


def is_copied(planes, pixel, out):
    """Return whether planes or output are copied before the kernels take them."""
    # written out: every call of transform asks this
    read, written = planes.flags, out.flags
    are_ready = read.c_contiguous and read.aligned and written.c_contiguous and written.aligned
    return not are_ready or planes.dtype != pixel or out.dtype not in N_LEVELS


def image_slices(planes, are_copied, n_copied=None):
    """Return slices of images: all where none is copied, else so many pixels at a time."""
    n, *shape = planes.shape
    if not are_copied:
        return [slice(0, n)]
    n_images = max(1, (n_copied or N_COPIED) // max(1, math.prod(shape)))
    return [slice(start, start + n_images) for start in range(0, n, n_images)]


def single_planes(planes, mask, out, chosen) -> Iterator[tuple[Any, tuple[Any, Any, Any]]]:
    """Yield (index, (planes, mask, out)) of one plane each, of those that are chosen."""
    for i, channel in np.argwhere(chosen):
        index = slice(i, i + 1), slice(channel, channel + 1)
        counted = None if mask is None else mask[index[0]]
        yield index, (planes[index], counted, out[index])
