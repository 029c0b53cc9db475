"""The compiled engine's CLAHE: says where tiles lie, and brings planes to types that kernels know.

What the kernels do not cover goes to the definition, with the same bits: planes whose bins
have no meaning, very many bins.
"""

import math
from functools import lru_cache, partial

import numpy as np

from .._arithmetic import output, spans
from .._arithmetic.dtypes import single_or_double
from .._arithmetic.status import ABOVE_ONE, EMPTY, INF, NAN, NEGATIVE
from .._equalize.compiled import equalize
from .._kernels import arrays, shared
from .._kernels.arrays import FLOAT64, UINT16, rows
from .._passes import Passes, Read, cut, in_passes, row_places
from . import definition, grays, kernels, tiles
from .conventions import HISTEQ, OPENCV, SKIMAGE

NO_LIMIT = 2**31 - 1
MOST_COUNTS = 2**23  # of the bins of a row of tiles: for more the scratch would be large


def clahe(planes, mask, out, rule, map_parts=map):
    """Equalize each plane by the CDFs of its tiles into out; see `definition.clahe`."""
    if rule.of_whole_planes:
        return equalize(planes, mask, out, rule.of_whole_planes, map_parts)
    if planes.ndim > 4 and planes.shape[2] == 1 and rule.convention is HISTEQ:
        # volumes of one slice are planes, of which threads share the rows
        planes, out, rule = planes[:, :, 0], out[:, :, 0], rule._replace(tiles=rule.tiles[1:])
        mask = None if mask is None else mask[:, 0]
    pixel = _pixel_dtype(planes.dtype, rule.convention)
    if (
        pixel is None
        or (planes.ndim > 4 and rule.convention is SKIMAGE)
        or planes[0, 0].size > arrays.MOST_PIXELS
        or _n_counts(planes, rule) > MOST_COUNTS
    ):
        return definition.clahe(planes, mask, out, rule)
    status = np.empty(planes.shape[:2], np.uint8)
    are_copied = arrays.is_copied(planes, pixel, out) or not _is_written(out.dtype, pixel, rule)
    are_copied |= rule.convention is SKIMAGE and pixel.kind == "f"
    for block in arrays.image_slices(planes, are_copied):
        counted = None if mask is None else mask[block]
        status[block] = _clahe_block(planes[block], counted, out[block], pixel, rule, map_parts)
    for index, plane in arrays.single_planes(planes, mask, out, status & arrays.REFER):
        status[index] = definition.clahe(*plane, rule)
    if rule.convention is HISTEQ:
        arrays.fill_unmapped(out, status)
    return status


def _pixel_dtype(dtype, convention):
    """Return the type in which the kernels read images of a dtype, or None where they do not."""
    if dtype.kind in "bf" or (dtype.kind == "u" and dtype.itemsize <= 2):
        return arrays.pixel_dtype(dtype)
    return {HISTEQ: FLOAT64, SKIMAGE: UINT16}.get(convention)


def _n_counts(planes, rule):
    """Return how many counts are kept: of the tiles of one row, filled up to TILE_LANES.

    Of volumes these are those of one layer.
    """
    n_tiles, n_rows = rule.tiles[-1], math.prod(rule.tiles[1:-1])
    if rule.convention is SKIMAGE:
        n_tiles, n_rows = tiles.n_skimage_tiles(planes.shape[3], rule.tiles[1]), 1
    return -(-n_tiles // shared.TILE_LANES) * shared.TILE_LANES * rule.n_bins * n_rows


def _is_written(dtype, pixel, rule):
    """Return whether the kernels write an output type themselves."""
    return dtype == pixel if rule.convention is OPENCV else dtype in arrays.N_LEVELS


def _clahe_block(planes, mask, out, pixel, rule, map_parts):
    """Equalize some planes; return their status."""
    is_opencv = rule.convention is OPENCV
    dtype, output_max = out.dtype, output.largest_level(pixel) if is_opencv else 1
    if not _is_written(dtype, pixel, rule):
        dtype = pixel if is_opencv else single_or_double(planes.dtype)
    if rule.convention is SKIMAGE:
        write_all = partial(_skimage, planes, dtype, pixel, rule, map_parts)
        return arrays.write_part(write_all, out, dtype, output_max)
    write_rows = (_opencv if is_opencv else _histeq)(planes, mask, pixel, rule)

    def write(_, part):
        return arrays.write_part(partial(write_rows, part.place[0]), part.out, dtype, output_max)

    # every part builds the tables of the tiles around its rows, so parts are large
    n_copied = 0 if arrays.is_kernel_ready(out, dtype) else 2 * arrays.N_PART
    parts = cut(planes, None, out, row_places(planes, arrays.N_PART, map_parts, n_copied))
    return in_passes(Passes((), write), parts, map_parts)


# Convention "histeq" ------------------------------------------------------------------------------


def _histeq(planes, mask, pixel, rule):
    """Return write(slice, out), which calls the kernel of the package's own CLAHE."""
    pixels = arrays.as_pixels(planes, pixel)
    limit = np.inf if rule.clip_limit is None else float(rule.clip_limit)
    is_float32 = single_or_double(planes.dtype) == np.float32
    limits = limit, rule.n_bins, is_float32, spans.given_ranges(rule.span, planes, mask)
    of_tiles = _own_tiles(pixels.shape[2:], rule.tiles)
    counted = arrays.mask_rows(mask)

    def write(part, out):
        status = np.empty(planes.shape[:2], np.uint8)
        kernels.clahe(rows(pixels), counted, out, status.reshape(-1), of_tiles, part, *limits)
        return status

    return write


@lru_cache(maxsize=16)
def _own_tiles(shape, n_tiles):
    """Return the edges of tiles, and where pixels lie between their centers."""
    sides = list(zip(tiles.as_volume(shape), tiles.as_volume(n_tiles), strict=True))
    z, y, x = (tiles.axis(*side) for side in sides)
    edges = [tiles.edges(*side).astype(np.int32) for side in sides]
    layers, *pairs = (np.stack([side[:-1], side[1:]], axis=1) for side in edges)
    places = x.lower.astype(np.int32)
    of_layers = layers, _between(z), z.fraction
    return *pairs, _between(y), places, y.fraction, _shares(x.fraction), *of_layers


def _between(axis):
    """Return the rows of tiles above and below each row of pixels (2, height), or the layers."""
    return np.array([axis.lower, axis.upper], np.int32)


def _shares(fraction):
    """Return the weights of the tiles on both sides (length, 2), exact as doubles."""
    shares = np.stack([fraction.dtype.type(1) - fraction, fraction], axis=1)
    return shares.astype(np.float64)


# Convention "opencv" ------------------------------------------------------------------------------


def _opencv(planes, mask, pixel, rule):
    """Return write(slice, out), which calls the kernel of OpenCV's CLAHE."""
    pixels, shape = arrays.as_pixels(planes, pixel), planes.shape[2:]
    limit = NO_LIMIT
    if rule.clip_limit is not None:
        n_pixels = int(np.prod(tiles.opencv_tile_shape(shape, rule.tiles)))
        limit = int(min(max(rule.clip_limit * n_pixels / arrays.N_LEVELS[pixel], 1), NO_LIMIT))
    of_tiles = _opencv_tiles(shape, rule.tiles)

    def write(part, out):
        kernels.clahe_opencv(rows(pixels), out, of_tiles, part, limit)
        return np.zeros(planes.shape[:2], np.uint8)

    return write


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
    one_layer = np.array([[0, 1]], np.int32), np.zeros((2, 1), np.int32), np.zeros(1)
    return *pixels, _between(y), places, fy, _shares(x.fraction), *one_layer


# Convention "skimage" -----------------------------------------------------------------------------


def _skimage(planes, dtype, pixel, rule, map_parts, out):
    """Call the kernel of scikit-image's CLAHE, except for planes that scikit-image refuses."""
    is_float, tile_shape = pixel.kind == "f", rule.tiles
    pixels = arrays.as_pixels(planes, pixel) if is_float else arrays.as_native(planes)
    status = _refused(pixels)
    if status.any():
        return status
    places = row_places(planes, arrays.N_PART, map_parts)
    if is_float:
        levels = np.empty(pixels.shape, UINT16)
        in_passes(Passes((), _quantize), cut(pixels, None, levels, places), map_parts)
    else:
        levels = _unsigned(pixels)
    ranges = spans.given_ranges(rule.span, planes, None)
    if ranges is not None:
        levels, ranges = _within(levels, pixels, ranges, planes.dtype)
    n_pixels = tile_shape[0] * tile_shape[1]
    limit = n_pixels
    if rule.clip_limit is not None:
        limit = int(min(max(rule.clip_limit * n_pixels, 1), n_pixels))
    limits = limit, rule.n_bins, single_or_double(planes.dtype) == np.float32
    of_tiles = _skimage_tiles(levels.shape[2:], tile_shape)
    is_stretched = rule.span.limits is None
    if len(places) > 1:
        known = None if ranges is None or np.isnan(ranges[0, 0, 0]) else ranges[0, 0]
        passes = _skimage_passes(levels, dtype, of_tiles, limits, known, is_stretched)
        parts = cut(levels, None, out.reshape(levels.shape), places)
        return in_passes(passes, parts, map_parts)
    kernels.clahe_skimage(rows(levels), out, of_tiles, *limits, ranges, is_stretched)
    return status


def _within(levels, pixels, ranges, dtype):
    """Return the levels of planes, and given ranges of images of a dtype, on their scale.

    Integers of more than two bytes become their share of the range.
    """
    if grays.is_wide(dtype):
        for index in np.ndindex(levels.shape[:2]):
            if not np.isnan(ranges[index][0]):
                shares = grays.shares_of(pixels[index], ranges[index])
                levels[index] = np.rint(shares * (grays.N_LEVELS - 1))
    return levels, grays.in_16_bits(ranges, dtype)


def _quantize(_, part):
    """Write floats in [0, 1] as levels of 16 bits; return an empty status."""
    part.out[...] = np.rint(part.planes * part.planes.dtype.type(65535))
    return np.zeros(part.planes.shape[:2], np.uint8)


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
        is_shifted = pixels.max(axis=(2, 3), keepdims=True) >= arrays.N_LEVELS[UINT16]
        return (pixels >> (is_shifted * (n_bits - 16)).astype(pixels.dtype)).astype(UINT16)
    # repeat the bits until there are at least 16, then keep the upper 16
    n_repeated = n_bits * (16 // n_bits + 1)
    factor = (2**n_repeated - 1) // (2**n_bits - 1)
    return (pixels.astype(np.uint32) * np.uint32(factor) >> (n_repeated - 16)).astype(UINT16)


def _skimage_passes(levels, out_dtype, of_tiles, limits, known, is_stretched):
    """Return the passes over one large plane of levels: range, bins, blend between tiles, values.

    The blend needs the bins of all of the plane, and the values the range of all that was blended.
    A range that is known (on the scale of 16 bits) takes the place of the plane's own.
    """
    limit, n_bins, is_float32 = limits
    bins, blended = np.empty((2, *levels.shape), UINT16)
    dtype = np.dtype(np.float32 if is_float32 else np.float64)

    def find_range(_, part):
        return int(part.planes.min()), int(part.planes.max())

    def bins_of_levels(_, ranges):
        scale = 65535.0 / (arrays.N_LEVELS[levels.dtype] - 1)
        low, high = known if known is not None else np.array(ranges) * scale
        of_levels = np.arange(arrays.N_LEVELS[levels.dtype]) * scale
        return (_grays(of_levels, low, high) // (1 + grays.N_GRAYS // n_bins)).astype(UINT16)

    def set_bins(table, part):
        _look_up(part.planes, table, bins[..., *part.place])

    def blend(_, part):
        rows_of_part = part.place[0]
        kernels.blend_skimage_rows(rows(bins), rows(blended), of_tiles, rows_of_part, limit, n_bins)
        of_part = blended[..., *part.place]
        return int(of_part.min()), int(of_part.max())

    def values_of_blended(_, ranges):
        low, high = ranges if is_stretched else (0, grays.N_GRAYS - 1)
        return _stretched(low, high, dtype, out_dtype)

    def write(table, part):
        _look_up(blended[..., *part.place], table, part.out)
        return np.zeros((1, 1), np.uint8)

    reads = (
        Read(find_range, _joined, bins_of_levels),
        Read(set_bins, lambda *_: None, lambda *_: None),
        Read(blend, _joined, values_of_blended),
    )
    return Passes(reads, write)


def _joined(a, b):
    """Return the range of two parts together."""
    return min(a[0], b[0]), max(a[1], b[1])


def _look_up(plane, table, out):
    """Write table[x] of each level x of a plane."""
    shared.look_up(rows(plane), table[np.newaxis], rows(out))


def _stretched(low, high, dtype, out_dtype):
    """Return the values of all grays where those from low to high are stretched to [0, 1]."""
    n_grays = grays.N_GRAYS
    values = np.arange(-low, n_grays - low).astype(dtype) / dtype.type(max(high - low, 1))
    if low == high:
        values = (np.arange(n_grays) > 0).astype(dtype)
    table = np.empty(n_grays, out_dtype)
    output.store(values, table, 1)
    return table


def _grays(levels, low, high):
    """Return equalize_adapthist's grays of levels of 16 bits in images of the range [low, high]."""
    if low == high:
        return np.full(len(levels), np.rint(min(low, grays.N_GRAYS - 1)))
    return np.rint((levels.clip(low, high) - low) / (high - low) * (grays.N_GRAYS - 1))


def _refused(pixels):
    """Return the status of planes that equalize_adapthist would destroy or reject."""
    if pixels.dtype.kind != "f":
        status = np.zeros(pixels.shape[:2], np.uint8)
        if pixels.dtype.kind == "i":
            status[pixels.min(axis=(2, 3)) < 0] = NEGATIVE
        return status
    status = np.empty(pixels.shape[0] * pixels.shape[1], np.uint8)
    lows, highs = np.empty((2, status.size))
    shared.find_ranges(rows(pixels), None, status, lows, highs)
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
