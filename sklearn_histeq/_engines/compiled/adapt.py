"""The compiled engine's CLAHE: says where tiles lie, and brings planes to types that kernels know.

What the kernels do not cover goes to the reference engine, with the same bits: planes whose bins
have no meaning, very many bins.
"""

from functools import lru_cache, partial
from itertools import pairwise

import numpy as np

from ..._arithmetic import output, tiles
from ..._arithmetic.conventions import HISTEQ_TILES, OPENCV_TILES, SKIMAGE_TILES, single_or_double
from ..._arithmetic.status import ABOVE_ONE, EMPTY, INF, NAN, NEGATIVE
from . import _kernels
from . import planes as _planes
from .equalize import equalize
from .planes import FLOAT64, N_LEVELS, N_PART, UINT16, kernel_for, rows

NO_LIMIT = 2**31 - 1
N_GRAYS = 16384  # NR_OF_GRAY of skimage.exposure.equalize_adapthist
MOST_COUNTS = 2**23  # of the bins of a row of tiles: for more the scratch would be large


def adapt(planes, mask, out, rule, map_parts=map):
    """Equalize each plane by the CDFs of its tiles into out; see `reference.adapt`."""
    if rule.of_whole_planes:
        return equalize(planes, mask, out, rule.of_whole_planes, map_parts)
    pixel = _pixel_dtype(planes.dtype, rule.convention)
    if (
        pixel is None
        or planes[0, 0].size > _planes.MOST_PIXELS
        or _n_counts(planes, rule) > MOST_COUNTS
    ):
        return _planes.reference().adapt(planes, mask, out, rule)
    status = np.empty(planes.shape[:2], np.uint8)
    are_copied = _planes.is_copied(planes, pixel, out) or not _is_written(out.dtype, pixel, rule)
    are_copied |= rule.convention is SKIMAGE_TILES and pixel.kind == "f"
    for block in _planes.image_slices(planes, are_copied):
        counted = None if mask is None else mask[block]
        status[block] = _adapt_block(planes[block], counted, out[block], pixel, rule, map_parts)
    for index, plane in _planes.single_planes(planes, mask, out, status & _kernels.REFER):
        status[index] = _planes.reference().adapt(*plane, rule)
    if rule.convention is HISTEQ_TILES:
        _planes.fill_unmapped(out, status)
    return status


def _pixel_dtype(dtype, convention):
    """Return the type in which the kernels read images of a dtype, or None where they do not."""
    if dtype.kind in "bf" or (dtype.kind == "u" and dtype.itemsize <= 2):
        return _planes.pixel_dtype(dtype)
    return {HISTEQ_TILES: FLOAT64, SKIMAGE_TILES: UINT16}.get(convention)


def _n_counts(planes, rule):
    """Return how many counts the tiles of one row have, which are filled up to TILE_LANES."""
    n_tiles = rule.tiles[1]
    if rule.convention is SKIMAGE_TILES:
        n_tiles = tiles.n_skimage_tiles(planes.shape[3], rule.tiles[1])
    return -(-n_tiles // _kernels.TILE_LANES) * _kernels.TILE_LANES * rule.n_bins


def _is_written(dtype, pixel, rule):
    """Return whether the kernels write an output type themselves."""
    return dtype == pixel if rule.convention is OPENCV_TILES else dtype in N_LEVELS


def _adapt_block(planes, mask, out, pixel, rule, map_parts):
    """Equalize some planes; return their status."""
    is_opencv = rule.convention is OPENCV_TILES
    own_dtype = pixel if is_opencv else single_or_double(planes.dtype)
    if _is_written(out.dtype, pixel, rule):
        written = _planes.writable(out, own_dtype)
    else:
        written = np.empty(out.shape, own_dtype)
    status = _ADAPT[rule.convention](planes, mask, written, pixel, rule, map_parts)
    _planes.write_back(written, out, output.largest_level(pixel) if is_opencv else 1)
    return status


def _row_slices(planes, map_parts):
    """Return slices of the rows of a plane that threads may share; all rows where there are none.

    Every part builds the tables of the tiles around its rows, so parts are large.
    """
    n, c, height, width = planes.shape
    n_parts = 1 if map_parts is map or n * c > 1 else min(height, height * width // N_PART)
    bounds = np.linspace(0, height, max(1, n_parts) + 1).astype(int).tolist()
    return [slice(*pair) for pair in pairwise(bounds)]


# Convention "histeq" ------------------------------------------------------------------------------


def _histeq(planes, mask, out, pixel, rule, map_parts):
    """Call the kernel of the package's own CLAHE."""
    pixels = _planes.as_pixels(planes, pixel)
    limit = np.inf if rule.clip_limit is None else float(rule.clip_limit)
    is_float32 = single_or_double(planes.dtype) == np.float32
    of_tiles = _own_tiles(pixels.shape[2:], rule.tiles)
    counted, kernel = _planes.mask_rows(mask), kernel_for("adapt", pixel, out.dtype)

    def adapt_rows(part):
        status = np.empty(planes.shape[:2], np.uint8)
        limits = limit, rule.n_bins, is_float32
        kernel(rows(pixels), counted, rows(out), status.reshape(-1), of_tiles, part, limits)
        return status

    return np.bitwise_or.reduce(list(map_parts(adapt_rows, _row_slices(planes, map_parts))))


@lru_cache(maxsize=16)
def _own_tiles(shape, n_tiles):
    """Return the edges of tiles, and where pixels lie between their centers."""
    y, x = (tiles.axis(side, n) for side, n in zip(shape, n_tiles, strict=True))
    edges = [tiles.edges(side, n).astype(np.int32) for side, n in zip(shape, n_tiles, strict=True)]
    pairs = (np.stack([side[:-1], side[1:]], axis=1) for side in edges)
    places = x.lower.astype(np.int32)
    return _kernels.Tiles(*pairs, _between(y), places, y.fraction, _shares(x.fraction))


def _between(axis):
    """Return the rows of tiles above and below each row of pixels (2, height)."""
    return np.array([axis.lower, axis.upper], np.int32)


def _shares(fraction):
    """Return the shares of the tiles on both sides (length, 2), exact as doubles."""
    shares = np.stack([fraction.dtype.type(1) - fraction, fraction], axis=1)
    return shares.astype(np.float64)


# Convention "opencv" ------------------------------------------------------------------------------


def _opencv(planes, mask, out, pixel, rule, map_parts):
    """Call the kernel of OpenCV's CLAHE."""
    pixels, shape = _planes.as_pixels(planes, pixel), planes.shape[2:]
    limit = NO_LIMIT
    if rule.clip_limit is not None:
        n_pixels = int(np.prod(tiles.opencv_tile_shape(shape, rule.tiles)))
        limit = int(min(max(rule.clip_limit * n_pixels / N_LEVELS[pixel], 1), NO_LIMIT))
    of_tiles = _opencv_tiles(shape, rule.tiles)

    def adapt_rows(part):
        limits = limit, N_LEVELS[pixel], False
        kernel_for("adapt_opencv", pixel)(rows(pixels), rows(out), of_tiles, part, limits)

    list(map_parts(adapt_rows, _row_slices(planes, map_parts)))
    return np.zeros(planes.shape[:2], np.uint8)


@lru_cache(maxsize=16)
def _opencv_tiles(shape, n_tiles):
    """Return the pixels of cv2's tiles, and where pixels lie between their centers."""
    sides = list(zip(shape, n_tiles, tiles.opencv_tile_shape(shape, n_tiles), strict=True))
    pixels = (
        tiles.opencv_padding(side, n * t).reshape(n, t).astype(np.int32) for side, n, t in sides
    )
    y, x = (tiles.opencv_axis(*side) for side in sides)
    return _peers_tiles(pixels, y, x, n_tiles[1])


def _peers_tiles(pixels, y, x, n_tiles):
    """Return tiles of equal size, whose tables have a row of entries before the first tile.

    The outer tiles have themselves as neighbours, one place further out.
    """
    beyond = np.where(x.lower == 0, 0, n_tiles)
    places = np.where(x.upper > x.lower, x.upper, beyond).astype(np.int32)
    fy = y.fraction.astype(np.float64)
    return _kernels.Tiles(*pixels, _between(y), places, fy, _shares(x.fraction))


# Convention "skimage" -----------------------------------------------------------------------------


def _skimage(planes, mask, out, pixel, rule, map_parts):
    """Call the kernel of scikit-image's CLAHE, unless it refuses a plane."""
    is_float, tile_shape = pixel.kind == "f", rule.tiles
    pixels = _planes.as_pixels(planes, pixel) if is_float else _planes.native(planes)
    status = _refused(pixels)
    if status.any():
        return status
    pixels = _quantized(pixels, map_parts) if is_float else _unsigned(pixels)
    n_pixels = tile_shape[0] * tile_shape[1]
    limit = n_pixels
    if rule.clip_limit is not None:
        limit = int(min(max(rule.clip_limit * n_pixels, 1), n_pixels))
    limits = limit, rule.n_bins, single_or_double(planes.dtype) == np.float32
    of_tiles = _skimage_tiles(pixels.shape[2:], tile_shape)
    parts = _row_slices(pixels, map_parts)
    if len(parts) > 1:
        _skimage_in_parts(pixels, out, of_tiles, limits, partial(_each, map_parts, parts))
    else:
        kernel = kernel_for("adapt_skimage", pixels.dtype, out.dtype)
        kernel(rows(pixels), rows(out), of_tiles, limits)
    return status


def _each(map_parts, parts, function):
    """Return the results of function(indices) of each slice of the rows of planes."""
    return list(map_parts(function, [np.s_[:, :, part] for part in parts]))


def _quantized(pixels, map_parts):
    """Return floats in [0, 1] as levels of 16 bits."""
    levels = np.empty(pixels.shape, UINT16)

    def quantize(part):
        levels[part] = np.rint(pixels[part] * pixels.dtype.type(65535))

    _each(map_parts, _row_slices(pixels, map_parts), quantize)
    return levels


def _unsigned(pixels):
    """Return integers >= 0 as uint8 or uint16, as skimage.util.img_as_uint does where it must.

    That divides by a power of two where a plane of wide integers does not fit into two bytes.
    """
    kind, itemsize = pixels.dtype.kind, pixels.dtype.itemsize
    if kind == "b":
        return pixels.view(np.uint8) * np.uint8(255)
    if kind == "u" and itemsize <= 2:
        return pixels
    n_bits = 8 * itemsize - (kind == "i")
    if itemsize > 2:
        is_shifted = pixels.max(axis=(2, 3), keepdims=True) >= N_LEVELS[UINT16]
        return (pixels >> (is_shifted * (n_bits - 16)).astype(pixels.dtype)).astype(UINT16)
    # repeat the bits until there are at least 16, then keep the upper 16
    n_repeated = n_bits * (16 // n_bits + 1)
    factor = (2**n_repeated - 1) // (2**n_bits - 1)
    return (pixels.astype(np.uint32) * np.uint32(factor) >> (n_repeated - 16)).astype(UINT16)


def _skimage_in_parts(pixels, out, of_tiles, limits, each):
    """Equalize one large plane of levels; `each` shares the work on its rows."""
    _, n_bins, is_float32 = limits
    codes, blended = np.empty((2, *pixels.shape), UINT16)

    def range_of(plane):
        lows, highs = zip(*each(lambda part: (plane[part].min(), plane[part].max())), strict=True)
        return int(min(lows)), int(max(highs))

    def look_up(plane, table, written):
        kernel = kernel_for("look_up", plane.dtype, table.dtype)
        each(lambda part: kernel(rows(plane[part]), table[np.newaxis], rows(written[part])))

    bin_size = 1 + N_GRAYS // n_bins
    grays = _grays(N_LEVELS[pixels.dtype], *range_of(pixels))
    look_up(pixels, (grays // bin_size).astype(UINT16), codes)
    each(
        lambda part: _kernels.blend_skimage_rows(
            rows(codes), rows(blended), of_tiles, part[2], limits
        )
    )
    low, high = range_of(blended)
    dtype = np.dtype(np.float32 if is_float32 else np.float64)
    values = np.arange(-low, N_GRAYS - low).astype(dtype) / dtype.type(max(high - low, 1))
    if low == high:
        values = (np.arange(N_GRAYS) > 0).astype(dtype)
    table = np.empty(N_GRAYS, out.dtype)
    output.store(values, table, 1)
    look_up(blended, table, out)


def _grays(n_levels, low, high):
    """Return equalize_adapthist's grays of all levels of images in the range [low, high]."""
    scale = 65535.0 / (n_levels - 1)
    if low == high:
        return np.full(n_levels, min(low * scale, N_GRAYS - 1))
    shares = (np.arange(n_levels) * scale - low * scale) / (high * scale - low * scale)
    return np.rint(shares * (N_GRAYS - 1)).clip(0, N_GRAYS - 1)


def _refused(pixels):
    """Return the status of planes that equalize_adapthist would destroy or reject."""
    if pixels.dtype.kind != "f":
        status = np.zeros(pixels.shape[:2], np.uint8)
        if pixels.dtype.kind == "i":
            status[pixels.min(axis=(2, 3)) < 0] = NEGATIVE
        return status
    status = np.empty(pixels.shape[0] * pixels.shape[1], np.uint8)
    lows, highs = np.empty((2, status.size))
    kernel_for("find_ranges", pixels.dtype)(rows(pixels), None, status, lows, highs)
    is_number = status & (INF | EMPTY) == 0
    status &= NAN | INF | EMPTY
    status[is_number & (lows < 0)] |= NEGATIVE
    status[is_number & (highs > 1)] |= ABOVE_ONE
    return status.reshape(pixels.shape[:2])


@lru_cache(maxsize=16)
def _skimage_tiles(shape, tile_shape):
    """Return the pixels of scikit-image's tiles, and where pixels lie between their centers."""
    sides = list(zip(shape, tile_shape, strict=True))
    pixels = (tiles.skimage_pixels(*side).astype(np.int32) for side in sides)
    y, x = (tiles.skimage_axis(*side) for side in sides)
    return _peers_tiles(pixels, y, x, tiles.n_skimage_tiles(*sides[1]))


_ADAPT = {HISTEQ_TILES: _histeq, OPENCV_TILES: _opencv, SKIMAGE_TILES: _skimage}
