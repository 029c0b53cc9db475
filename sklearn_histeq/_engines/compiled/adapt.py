"""The compiled engine's CLAHE: says where tiles lie, and brings planes to types that kernels know.

What the kernels do not cover goes to the reference engine, with the same bits: planes whose bins
have no meaning, signed and wide integers with "skimage", very many bins.
"""

from functools import lru_cache

import numpy as np

from ..._arithmetic import output as _output
from ..._arithmetic import tiles as _tiles
from ..._arithmetic.conventions import HISTEQ_TILES, OPENCV_TILES, SKIMAGE_TILES, single_or_double
from ..._arithmetic.status import ABOVE_ONE, EMPTY, INF, NAN, NEGATIVE
from . import _kernels
from .equalize import (
    MOST_PIXELS,
    N_LEVELS,
    REFER,
    as_pixels,
    equalize,
    is_plain,
    kernel_for,
    pieces,
)

NO_LIMIT = 2**31 - 1
MOST_COUNTS = 2**23  # of the bins of a row of tiles: for more the scratch would be large


def adapt(planes, mask, out, rule, map_parts=map):
    """Equalize each plane by the CDFs of its tiles into out; see `reference.adapt`."""
    if rule.of_whole_planes:
        return equalize(planes, mask, out, rule.of_whole_planes, map_parts)
    tiles, _, n_bins, convention = rule
    pixel = _pixel_dtype(planes.dtype, convention)
    n_counts = n_bins * _kernels.tile_lanes(_n_tiles_of_row(planes.shape[3], tiles, convention))
    if pixel is None or planes[0, 0].size > MOST_PIXELS or n_counts > MOST_COUNTS:
        return _reference().adapt(planes, mask, out, rule)
    status = np.empty(planes.shape[:2], np.uint8)
    is_read = is_plain(planes, pixel) and not (convention is SKIMAGE_TILES and pixel.kind == "f")
    is_written = is_plain(out, out.dtype) and _is_written(out.dtype, pixel, convention)
    for part in pieces(planes, not (is_read and is_written)):
        counted = None if mask is None else mask[part]
        status[part] = _adapt_piece(planes[part], counted, out[part], pixel, rule)
    for i, channel in np.argwhere(status & REFER):
        one = slice(i, i + 1), slice(channel, channel + 1)
        counted = None if mask is None else mask[one[0]]
        status[one] = _reference().adapt(planes[one], counted, out[one], rule)
    return status


def _reference():
    """Return the reference engine, imported when first needed: scikit-image takes its time."""
    from .. import reference

    return reference


def _pixel_dtype(dtype, convention):
    """Return the type in which the kernels read images of a dtype, or None where they do not."""
    kind, itemsize = dtype.kind, dtype.itemsize
    if kind == "f":
        return np.dtype(np.float64 if itemsize == 8 else np.float32) if itemsize <= 8 else None
    if kind == "b" or (kind == "u" and itemsize <= 2):
        return np.dtype(np.uint8 if itemsize == 1 else np.uint16)
    return np.dtype(np.float64) if convention is HISTEQ_TILES else None


def _n_tiles_of_row(width, tiles, convention):
    """Return the number of tiles along the rows of a plane."""
    return _tiles.n_skimage_tiles(width, tiles[1]) if convention is SKIMAGE_TILES else tiles[1]


def _is_written(dtype, pixel, convention):
    """Tell whether the kernels write an output type themselves."""
    return dtype == pixel if convention is OPENCV_TILES else dtype in N_LEVELS


def _adapt_piece(planes, mask, out, pixel, rule):
    """Equalize some planes; return their status."""
    tiles, clip_limit, n_bins, convention = rule
    own = pixel if convention is OPENCV_TILES else single_or_double(planes.dtype)
    written = out
    if not _is_written(out.dtype, pixel, convention):
        written = np.empty(out.shape, own)
    elif not is_plain(out, out.dtype):
        written = np.empty(out.shape, out.dtype)
    pixels = as_pixels(planes, pixel)
    if convention is HISTEQ_TILES:
        status = _histeq(pixels, mask, written, tiles, clip_limit, n_bins)
    elif convention is OPENCV_TILES:
        status = _opencv(pixels, written, tiles, clip_limit)
    else:
        status = _skimage(pixels, written, tiles, clip_limit, n_bins, planes.dtype)
    if written is not out:
        _write(written, out, _output.largest_level(pixel) if convention is OPENCV_TILES else 1)
    return status


def _write(written, out, top):
    """Bring what a kernel has written elsewhere into out."""
    if written.dtype == out.dtype:
        out[...] = written
    else:
        _output.store(written, out, top)


def _rows(planes):
    """Return planes (n, c, h, w) as rows of pixels."""
    n, c, height, width = planes.shape
    return planes.reshape(n * c, height * width)


# Convention "histeq" ------------------------------------------------------------------------------


def _histeq(pixels, mask, out, tiles, clip_limit, n_bins):
    """Call the kernel of the package's own CLAHE."""
    n, c, *shape = pixels.shape
    if mask is not None:
        mask = np.ascontiguousarray(mask).view(np.uint8).reshape(n, -1)
    status = np.empty(n * c, np.uint8)
    scratch = np.empty(_kernels.scratch_size(n_bins, 256 * (pixels.dtype == np.uint8)), np.uint8)
    limit = np.inf if clip_limit is None else float(clip_limit)
    run = kernel_for("adapt", pixels.dtype, out.dtype)
    geometry = _own_geometry(tuple(shape), tiles)
    run(_rows(pixels), mask, _rows(out), status, *geometry, limit, n_bins, scratch)
    return status.reshape(n, c)


@lru_cache(maxsize=16)
def _own_geometry(shape, tiles):
    """Return the edges of tiles, and where pixels lie between their centers."""
    y, x = (_tiles.axis(side, n) for side, n in zip(shape, tiles, strict=True))
    edges = (_tiles.edges(side, n).astype(np.int32) for side, n in zip(shape, tiles, strict=True))
    return *edges, _between(y), x.lower.astype(np.int32), y.fraction, _shares(x.fraction)


def _between(axis):
    """Return the rows of tiles above and below each row of pixels (2, height)."""
    return np.array([axis.lower, axis.upper], np.int32)


def _shares(fraction):
    """Return the shares of the tiles on both sides (length, 2)."""
    return np.stack([fraction.dtype.type(1) - fraction, fraction], axis=1)


# Convention "opencv" ------------------------------------------------------------------------------


def _opencv(pixels, out, tiles, clip_limit):
    """Call the kernel of OpenCV's CLAHE."""
    n, c, height, width = pixels.shape
    n_levels = N_LEVELS[pixels.dtype]
    limit = NO_LIMIT
    if clip_limit is not None:
        n_pixels = int(np.prod(_tiles.opencv_tile_shape((height, width), tiles)))
        limit = int(min(max(clip_limit * n_pixels / n_levels, 1), NO_LIMIT))
    n_codes = 256 if n_levels == 256 else min(n_levels, height * width)
    geometry = _opencv_geometry((height, width), tiles)
    kernel_for("adapt_opencv", pixels.dtype)(_rows(pixels), _rows(out), *geometry, limit, n_codes)
    return np.zeros((n, c), np.uint8)


@lru_cache(maxsize=16)
def _opencv_geometry(shape, tiles):
    """Return the pixels of cv2's tiles, and where pixels lie between their centers."""
    tile_shape = _tiles.opencv_tile_shape(shape, tiles)
    sides = list(zip(shape, tiles, tile_shape, strict=True))
    pixels = (
        _tiles.opencv_padding(side, n * t).reshape(n, t).astype(np.int32) for side, n, t in sides
    )
    y, x = (_tiles.opencv_axis(*side) for side in sides)
    shares = np.ascontiguousarray(_shares(x.fraction).T)
    return *pixels, _between(y), _places(x, tiles[1]), y.fraction, shares


def _places(axis, n_tiles):
    """Return where the pairs of tiles begin in a row of tables, one of which comes before them.

    The outer tiles have themselves as neighbours, one place further out.
    """
    beyond = np.where(axis.lower == 0, 0, n_tiles)
    return np.where(axis.upper > axis.lower, axis.upper, beyond).astype(np.int32)


# Convention "skimage" -----------------------------------------------------------------------------


def _skimage(pixels, out, tile_shape, clip_limit, n_bins, dtype):
    """Call the kernel of scikit-image's CLAHE, unless it refuses a plane."""
    status = np.zeros(pixels.shape[:2], np.uint8)
    if dtype == np.bool_:
        pixels = pixels * np.uint8(255)
    elif dtype.kind == "f":
        status = _refused(pixels)
        if status.any():
            return status
        pixels = np.rint(pixels * pixels.dtype.type(65535)).astype(np.uint16)
    n_pixels = tile_shape[0] * tile_shape[1]
    limit = n_pixels
    if clip_limit is not None:
        limit = int(min(max(clip_limit * n_pixels, 1), n_pixels))
    run = kernel_for("adapt_skimage", pixels.dtype, out.dtype)
    is_single = dtype.kind == "f" and dtype.itemsize <= 4
    geometry = _skimage_geometry(pixels.shape[2:], tile_shape)
    run(_rows(pixels), _rows(out), *geometry, limit, n_bins, is_single)
    return status


def _refused(pixels):
    """Return the status of planes of floats that equalize_adapthist would destroy or reject."""
    status = np.zeros(pixels.shape[:2], np.uint8)
    find_range = kernel_for("plane_range", pixels.dtype)
    for place in np.ndindex(status.shape):
        found, low, high = find_range(pixels[place].ravel(), None)
        status[place] = found & (NAN | INF | EMPTY)
        if not found & (INF | EMPTY):
            status[place] |= NEGATIVE * (low < 0) | ABOVE_ONE * (high > 1)
    return status


@lru_cache(maxsize=16)
def _skimage_geometry(shape, tile_shape):
    """Return the pixels of scikit-image's tiles, and where pixels lie between their centers."""
    sides = list(zip(shape, tile_shape, strict=True))
    pixels = (_tiles.skimage_pixels(*side).astype(np.int32) for side in sides)
    y, x = (_tiles.skimage_axis(*side) for side in sides)
    places = _places(x, _tiles.n_skimage_tiles(*sides[1]))
    return *pixels, _between(y), places, y.fraction, _shares(x.fraction)
