"""The compiled engine's CLAHE: brings planes to types that kernels know, and calls these.

A kernel does whole planes at once, from the counts of their tiles to the blend: `kernels.clahe` is
`clahe` in histeq.h. Threads share a large plane in passes over its parts. Only these passes need
passes.py, plans.py and counts.py. What the kernels do not cover goes to the definition, with the
same bits: conventions that are not in `_CLAHE`, planes for which bins cannot be computed, and very
many bins.
"""

import math
from functools import partial

import numpy as np

from .._arithmetic import spans
from .._arithmetic.dtypes import single_or_double
from .._equalize.compiled import equalize
from .._kernels import arrays, shared
from .._kernels.arrays import UINT16, rows
from .._passes import Whole, cut, in_passes, part_places
from . import definition, grays, kernels, levels, parts
from .conventions import HISTEQ, OPENCV, SKIMAGE
from .passes import passes

MOST_ROW_COUNTS = 2**23  # counts of one row of tiles: for more the scratch would be large


def clahe(planes, mask, out, rule, map_parts=map):
    """Equalize each plane by the CDFs of its tiles into out; see `definition.clahe`."""
    if rule.of_whole_planes:
        return equalize(planes, mask, out, rule.of_whole_planes, map_parts)
    pixel = levels.pixel_dtype(planes.dtype, rule.convention)
    if (
        rule.convention not in _CLAHE
        or pixel is None
        or (planes.ndim > 4 and rule.convention is SKIMAGE)
        or planes[0, 0].size > arrays.MOST_PIXELS
        or _n_counts(planes, rule) > MOST_ROW_COUNTS
    ):
        return definition.clahe(planes, mask, out, rule)
    status = np.empty(planes.shape[:2], np.uint8)
    written, _ = parts.written(out.dtype, planes.dtype, pixel, rule.convention)
    are_copied = arrays.is_copied(planes, pixel, out) or out.dtype != written
    are_copied |= rule.convention is SKIMAGE and pixel.kind == "f"
    for block in arrays.image_slices(planes, are_copied):
        counted = None if mask is None else mask[block]
        status[block] = _clahe_block(planes[block], counted, out[block], pixel, rule, map_parts)
    for index, plane in arrays.single_planes(planes, mask, out, status & arrays.REFER):
        status[index] = definition.clahe(*plane, rule)
    if rule.convention is HISTEQ:
        arrays.fill_unmapped(out, status)
    return status


def _n_counts(planes, rule):
    """Return how many counts are kept: of the tiles of one row; of volumes of one layer."""
    sides = rule.convention.tiling.sides(planes.shape[2:], rule.tiles)
    n_rows = sides[1].n_tiles if planes.ndim > 4 else 1
    return parts.lanes_of(sides[2].n_tiles) * rule.n_bins * n_rows


def _clahe_block(planes, mask, out, pixel, rule, map_parts):
    """Equalize some planes; return their status."""
    ranges = spans.given_ranges(rule.span, planes, mask)
    dtype, output_max = parts.written(out.dtype, planes.dtype, pixel, rule.convention)
    # one image in parts, by threads, or so that little of its output is copied
    n_part = arrays.N_PART if map_parts is not map else 2 * arrays.N_PART
    in_parts = map_parts is not map or not arrays.is_kernel_ready(out, dtype)
    if len(planes) == 1 and in_parts and planes[0].size > n_part:
        parts_of = _parts(planes, mask, out, rule, ranges, n_part)
        if parts_of is not None:
            return in_passes(parts_of[0], parts_of[1], map_parts)
    write = partial(_CLAHE[rule.convention], planes, mask, pixel, rule, ranges)
    return arrays.write_as_rows(write, out, dtype, output_max)


def _parts(planes, mask, out, rule, ranges, n_part):
    """Return the passes for an image, and its parts; None where parts would count very much."""
    shape, n_pixels = planes.shape[2:], n_part // planes.shape[1]
    whole = Whole(shape, planes.dtype, out.dtype, mask is not None, planes.dtype)
    found = passes(whole, rule, ranges, joins_uncertain=False)
    if isinstance(found, str):
        return None
    if found.reach:  # each part counts the tiles around it
        n_tiles = [side.n_tiles for side in rule.convention.tiling.sides(shape, rule.tiles)]
        share = n_pixels / math.prod(shape) + 3 / n_tiles[0 if len(shape) > 2 else 1]
        pixel = levels.pixel_dtype(planes.dtype, rule.convention)
        n_codes = arrays.N_LEVELS[pixel] if rule.convention is OPENCV else rule.n_bins
        if math.prod(n_tiles) * share * n_codes > 4 * arrays.N_PART:
            return None
    places = part_places(shape, n_pixels, by_rows=True)
    return found, cut(planes, mask, out, places, found.reach)


def _geometry(planes, pixel, rule):
    """Return the tiles, the centers and the clip limit of planes as the kernels take them."""
    shape = planes.shape[2:]
    geometry = parts.geometry_of_whole(rule.convention.tiling, shape, rule.tiles)
    return *geometry, parts.kernel_limit(rule, shape, pixel)


def _histeq(planes, mask, pixel, rule, ranges, out_rows):
    """Call the kernel of the package's own CLAHE."""
    status = np.empty(planes.shape[:2], np.uint8)
    tiles, centers, clip_limit = _geometry(planes, pixel, rule)
    kernels.clahe(
        rows(arrays.as_pixels(planes, pixel)),
        arrays.mask_rows(mask),
        out_rows,
        status.reshape(-1),
        tiles,
        centers,
        clip_limit,
        rule.n_bins,
        single_or_double(planes.dtype) == np.float32,
        ranges,
    )
    return status


def _opencv(planes, mask, pixel, rule, ranges, out_rows):
    """Call the kernel of OpenCV's CLAHE."""
    pixels = arrays.as_pixels(planes, pixel)
    kernels.clahe_opencv(rows(pixels), out_rows, *_geometry(planes, pixel, rule))
    return np.zeros(planes.shape[:2], np.uint8)


def _skimage(planes, mask, pixel, rule, ranges, out_rows):
    """Call the kernel of scikit-image's CLAHE, except for planes that scikit-image refuses."""
    status = _refused(planes, pixel)
    if status.any():
        return status
    is_beyond = None
    if grays.is_wide(planes.dtype):
        is_beyond = planes.max(axis=(2, 3)) >= grays.N_LEVELS
    pixels = levels.levels_of(planes, ranges, is_beyond)
    if ranges is not None:
        ranges = grays.in_16_bits(ranges, planes.dtype)
    tiles, centers, clip_limit = _geometry(planes, UINT16, rule)
    kernels.clahe_skimage(
        rows(pixels),
        out_rows,
        tiles,
        centers,
        clip_limit,
        rule.n_bins,
        single_or_double(planes.dtype) == np.float32,
        ranges,
        rule.span.limits is None,
    )
    return status


def _refused(planes, pixel):
    """Return the status of planes that equalize_adapthist would destroy or reject."""
    status = np.zeros(planes.shape[:2], np.uint8)
    if planes.dtype.kind == "f":
        lows, highs = np.empty((2, *status.shape))
        found = (each.reshape(-1) for each in (status, lows, highs))
        shared.find_ranges(rows(arrays.as_pixels(planes, pixel)), None, *found)
        return levels.refused(planes.dtype, status, lows, highs)
    if planes.dtype.kind == "i":
        lows = planes.min(axis=(2, 3))
        return levels.refused(planes.dtype, status, lows, lows)
    return status


_CLAHE = {HISTEQ: _histeq, OPENCV: _opencv, SKIMAGE: _skimage}
