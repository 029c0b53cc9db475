"""CLAHE, one transfer function per tile, in three conventions: the definition.

"histeq" is this package's own definition. "skimage" is skimage.exposure.equalize_adapthist itself.
"opencv" is cv2.createCLAHE's arithmetic, written down in NumPy.
"""

import inspect
from functools import reduce
from itertools import pairwise, product

import numpy as np
from skimage import exposure
from skimage.util import img_as_uint

from .._arithmetic import output, spans
from .._arithmetic.dtypes import single_or_double
from .._arithmetic.status import ABOVE_ONE, NAN, NEGATIVE
from .._equalize.conventions import cdf_rule
from .._equalize.definition import counts_of, edges_of, equalize, for_each_plane, of_bins
from . import grays, tiles
from .conventions import HISTEQ, OPENCV, SKIMAGE


def clahe(planes, mask, out, rule, map_parts=map):
    """Equalize each plane by the CDFs of its tiles into out.

    Parameters
    ----------
    planes : ndarray of shape (n, c, h, w) or (n, c, d, h, w)
        Any real dtype that the convention accepts, strides and byte order; not modified.
    mask : ndarray of shape (n, h, w) or (n, d, h, w), bool, or None
        Pixels that count; all are mapped. None where the convention takes no mask.
    out : ndarray of the shape of planes
        Written to; its dtype says how values are stored. Owned by the caller.
    rule : `conventions.ClaheRule`
    map_parts : callable
        Like the builtin map, perhaps in threads; not used here.

    Returns
    -------
    status : ndarray of shape (n, c), uint8
        Bits NAN, INF, EMPTY of each plane; with "skimage" NEGATIVE and ABOVE_ONE too. Where
        "skimage" refuses a plane, out is not written.
    """
    return _CLAHE[rule.convention](planes, mask, out, rule)


# Convention "histeq" -----------------------------------------------------------------------------


def _histeq(planes, mask, out, rule):
    """Write the package's own CLAHE of each plane into out; return their status."""
    if rule.of_whole_planes:
        return equalize(planes, mask, out, rule.of_whole_planes)
    own_dtype = single_or_double(planes.dtype)

    def map_plane(plane, counted, channel, out_plane):
        values = clahe_plane(plane, counted, rule)
        output.store(values.astype(own_dtype, copy=False), out_plane, 1)

    return for_each_plane(planes, mask, out, map_plane)


def clahe_plane(plane, counted, rule):
    """Return a plane's values in [0, 1], blended from the CDFs of the four tiles around each pixel.

    ::

        (1 - fy) * ((1 - fx) * a + fx * b) + fy * ((1 - fx) * c + fx * d)

    in double precision, in this order, without fused multiply-adds: it never exceeds 1. The CDFs of
    a slice of a volume are those of the layers of tiles around it, (1 - fz) * front + fz * back.
    """
    if plane.dtype.kind != "f":
        plane = plane.astype(np.float64)
    bins, points = _bins(plane, counted, rule)
    below, weight = _between_points(plane, points)
    above = np.minimum(below + 1, len(points) - 1)
    shape, n_tiles = tiles.as_volume(plane.shape), tiles.as_volume(rule.tiles)
    below, above, weight = (array.reshape(shape) for array in (below, above, weight))
    z, y, x = (tiles.axis(length, n) for length, n in zip(shape, n_tiles, strict=True))
    blended = np.empty((2, *shape))  # over the upper row of tiles, and over the lower
    parts = bins.reshape(shape), counted.reshape(shape), n_tiles, len(points), rule.clip_limit
    for row, layers in enumerate(_tile_cdfs(*parts)):
        for (k, fz), side in product(enumerate(z.fraction), (0, 1)):
            cdfs = (1 - fz) * layers[z.lower[k]] + fz * layers[z.upper[k]]
            part = k, (y.lower, y.upper)[side] == row  # those with this row of tiles on that side
            i, j, w = below[part], above[part], weight[part]
            left, right = (
                cdfs[columns, i] + w * (cdfs[columns, j] - cdfs[columns, i])
                for columns in (x.lower, x.upper)
            )
            blended[side, *part] = (1 - x.fraction) * left + x.fraction * right
    fy = y.fraction[:, np.newaxis]
    values = ((1 - fy) * blended[0] + fy * blended[1]).reshape(plane.shape)
    values[np.isnan(plane)] = np.nan
    return values


def _bins(plane, counted, rule):
    """Return the bin of each pixel and the points where the CDFs are known.

    These are the bins of HistogramEqualizer with as many bins over the same span: of equal width,
    with their centers, or, where these are not finite in the plane's dtype, the distinct values.
    The bins of pixels that do not count have no meaning.
    """
    pixels, n_bins = plane[counted], rule.n_bins
    limits = spans.limits_of(rule.span, pixels)
    if limits is not None:
        pixels, plane = pixels.clip(*limits), plane.clip(*limits)
    found = of_bins(pixels, limits, n_bins, cdf_rule(n_bins))
    if found is None:
        points = np.unique(pixels)
        return np.searchsorted(points, plane), points
    edges = edges_of(pixels, limits, n_bins)
    # without the outer edges: the last bin holds its right edge too
    return np.searchsorted(edges[1:-1], plane, side="right"), found.points


def _between_points(plane, points):
    """Return the point at or below each pixel, and the pixel's position between it and the next.

    The position is a quotient of differences, where np.interp has a slope: it is the same for all
    tiles, for an image in 8 bits and in 16 (times 257), and lets no value exceed 1. A pixel beyond
    the outer points stays at the outer one.
    """
    points, plane = points.astype(np.float64), plane.astype(np.float64)
    below = np.maximum(np.searchsorted(points, plane, side="right") - 1, 0)
    above = np.minimum(below + 1, len(points) - 1)
    with np.errstate(over="ignore"):  # an infinite gap: the pixel stays at the point below
        gap = np.where(above > below, points[above] - points[below], 1)
        offset = np.maximum(plane - points[below], 0)
    return below, np.where(np.isfinite(gap) & (above > below), offset / gap, 0)


def _tile_cdfs(bins, counted, n_tiles, n_bins, clip_limit):
    """Yield the CDFs of each row of tiles, in all layers: (n_tiles_z, n_tiles_x, n_bins)."""
    layers, rows, columns = (
        [slice(*pair) for pair in pairwise(tiles.edges(side, n))]
        for side, n in zip(bins.shape, n_tiles, strict=True)
    )
    of_plane = _counts(bins[counted], n_bins)
    for row in rows:
        cdfs = np.empty((len(layers), len(columns), n_bins))
        for i, k in np.ndindex(cdfs.shape[:2]):
            tile = layers[i], row, columns[k]
            counts = _counts(bins[tile][counted[tile]], n_bins)
            cdfs[i, k] = clipped_cdf(counts if counts.any() else of_plane, clip_limit)
        yield cdfs


def _counts(bins, n_bins):
    """Return the counts of the numbers of bins, from scikit-image's CDF of these numbers."""
    counts = np.zeros(n_bins, np.int64)
    if bins.size > 0:
        cdf, occupied = exposure.cumulative_distribution(bins)
        counts[occupied] = counts_of(cdf, bins.size)
    return counts


def clipped_cdf(counts, clip_limit):
    """Return the CDF of counts, none of which may exceed `clip_limit` times a uniform one's.

    The limit is `clip_limit * max(m / n_bins, 1)` for m counted pixels. The clipped counts are
    accumulated in double precision from the lowest bin and divided by m; rounding may take no value
    beyond 1, and the last is 1.
    """
    n_pixels = int(counts.sum())
    if clip_limit is not None:
        counts = clip_counts(counts, clip_limit * max(n_pixels / counts.size, 1))
    cdf = np.minimum(counts.cumsum() / n_pixels, 1)
    cdf[-1] = 1
    return cdf


def clip_counts(counts, limit):
    """Return min(count + d, limit), with d >= 0 such that the sum of the counts is unchanged.

    This is where CLAHE's redistribution of what was clipped comes to rest. While k bins are at the
    limit, the others share what was cut off those: d = (sum of these k - k * limit) / (n - k). More
    bins reach the limit through d; a few rounds find them all. Where the limit is below the
    uniform histogram's bin, all reach it, and all bins are equal.
    """
    n_over, d = 0, 0.0
    while n_over < counts.size:
        over = counts + d > limit
        if over.sum() <= n_over:
            return np.minimum(counts + d, limit)
        n_over = int(over.sum())
        if n_over < counts.size:
            d = (int(counts[over].sum()) - n_over * limit) / (counts.size - n_over)
    return np.full(counts.size, counts.sum() / counts.size)


# Convention "skimage" ----------------------------------------------------------------------------


def _skimage(planes, mask, out, rule):
    """Write skimage.exposure.equalize_adapthist of each plane into out; return their status.

    What it computes, for a kernel that is to give the same bits; t is a tile's side and N its
    number of pixels, clip_limit here as scikit-image means it:

    1. skimage.util.img_as_uint: uint8 times 257, floats rint(x * 65535) in their own precision.
       This is stretched in double precision, rint((x - min) / (max - min) * 16383), and cut into
       bins, x // (1 + 16384 // n_bins). A plane of one level is min(x, 16383) instead.
    2. Each axis is padded by reflection without repeating the border (numpy.pad's "reflect"): t //
       2 pixels before and (-length % t) + ceil(t / 2) after. Tiles begin at padded pixel t // 2;
       there are ceil(length / t).
    3. Counts are clipped at int(clip(clip_limit * N, 1, None)), at N without a limit. Of the excess
       e, each bin is offered e // n_bins: those that stay below the limit take it, the others are
       filled up to the limit, and e falls by what was taken. Then, for index = 0, 1, ..., n_bins -
       1 and again until e <= 0 or a whole round changes nothing: u = number of bins below the
       limit, s = max(1, u // e); of the bins index, index + s, index + 2s, ... those that were
       below the limit take 1 each, and e falls by their number, also below 0.
    4. A tile's table is int(min(cum * (16383 / N), 16383)), truncated, in double precision.
    5. Pixel y (padded: y + t // 2 = block * t + i) lies between tiles block - 1, with coefficient 1
       - i / t, and block, with i / t, both kept within the grid. For (up, left), (up, right),
       (down, left), (down, right) in this order, float32(value * (x coefficient * y coefficient)),
       a product of doubles, is added up in float32; the sum is truncated. In volumes these are the
       four in front, then the four behind, and (x * y) * z the product of coefficients.
    6. That is cast to float64 (float32 for images in single precision) and stretched to [0, 1],
       (x - min) / (max - min); a constant is min(x, 1).

    Where `rule.span` gives limits, `_skimage_within` does these steps between them.
    """

    def map_plane(plane, counted, channel, out_plane):
        refused = _refused_by_skimage(plane)
        if refused:
            return refused
        limits = spans.limits_of(rule.span, plane.reshape(-1))
        if planes.dtype == np.bool_:  # not two levels: scikit-image takes True for white
            plane = plane * np.uint8(255)
        if limits is not None:
            values = _skimage_within(plane, limits, planes.dtype, rule)
        else:
            if plane.dtype.kind in "iu" and plane.max() < 2**16 and plane.dtype.itemsize > 2:
                plane = plane.astype(np.uint16)  # as img_as_uint, which warns at every plane
            clip_limit = rule.clip_limit or 0
            # without its wrapper, which takes the last axis of a volume, of 3 or 4, for colours
            adapthist = inspect.unwrap(exposure.equalize_adapthist)
            values = adapthist(plane, rule.tiles, clip_limit, rule.n_bins)
        output.store(values, out_plane, 1)
        return 0

    return for_each_plane(planes, None, out, map_plane)


def _skimage_within(plane, limits, dtype, rule):
    """Return CLAHE as `_skimage` lists its steps, of a plane of a dtype within limits.

    The limits, on the scale of 16 bits, take the place of min and max in step 1, and the plane is
    clipped to them. If the span is the same for all planes, the last step divides by 16383.
    """
    if grays.is_wide(dtype):
        plane = grays.shares_of(plane, limits)
    low, high = grays.in_16_bits(limits, dtype)
    top = grays.N_GRAYS - 1
    gray = exposure.rescale_intensity(img_as_uint(plane), (low, high), (0, top))
    codes = np.rint(gray).astype(np.intp) // (1 + grays.N_GRAYS // rule.n_bins)
    values = _skimage_blend(codes, _skimage_tables(codes, rule), rule.tiles)
    values = values.astype(single_or_double(dtype))
    return exposure.rescale_intensity(values, (0, top) if rule.span.limits else "image")


def _skimage_tables(codes, rule):
    """Return the tables of all tiles, by steps 2 to 4 of `_skimage`: (*n_tiles, n_bins)."""
    sides = [tiles.skimage_pixels(*side) for side in zip(codes.shape, rule.tiles, strict=True)]
    tables = np.empty((*map(len, sides), rule.n_bins))
    for tile in np.ndindex(tables.shape[:-1]):
        pixels = codes[np.ix_(*(side[k] for side, k in zip(sides, tile, strict=True)))]
        counts = np.bincount(pixels.reshape(-1), minlength=rule.n_bins)
        tables[tile] = skimage_table(counts, rule.clip_limit)
    return tables


def skimage_table(counts, clip_limit):
    """Return the table of a tile from its counts, by steps 3 and 4 of `_skimage`."""
    n_pixels, top = int(counts.sum()), grays.N_GRAYS - 1
    limit = n_pixels if clip_limit is None else max(int(clip_limit * n_pixels), 1)
    counts = skimage_clip(counts, limit)
    return np.minimum(counts.cumsum() * (top / n_pixels), top).astype(int)


def skimage_clip(counts, limit):
    """Return counts clipped at a limit, and the excess spread by step 3 of `_skimage`."""
    excess = int(np.maximum(counts - limit, 0).sum())
    share, clipped = excess // counts.size, np.minimum(counts, limit)
    shared = np.where(clipped < limit - share, clipped + share, clipped)
    shared = np.where(shared < limit - share, shared, limit)
    excess -= int((shared - clipped).sum())
    before = 0
    while excess > 0 and excess != before:
        before = excess
        for index in range(counts.size):
            step = max(1, int((shared < limit).sum()) // excess)
            chosen = shared[index::step]
            is_under = chosen < limit
            chosen[is_under] += 1
            excess -= int(is_under.sum())
            if excess <= 0:
                break
    return shared


def _skimage_blend(codes, tables, tile_shape):
    """Return the values of a plane between its tiles, by step 5 of `_skimage`."""
    axes = [tiles.skimage_axis(*side) for side in zip(codes.shape, tile_shape, strict=True)]
    sides = [((a.lower, 1 - a.fraction), (a.upper, a.fraction)) for a in axes]
    blended = np.zeros(codes.shape, np.float32)
    for corner in product(*sides):
        of_tiles, shares = (np.ix_(*parts) for parts in zip(*corner, strict=True))
        share = reduce(np.multiply, reversed(shares))  # the last axis first
        blended += (tables[*of_tiles, codes] * share).astype(np.float32)
    return blended.astype(np.uint16)


def _refused_by_skimage(plane):
    """Return the status of a plane that equalize_adapthist would destroy or reject; 0 if none."""
    if plane.dtype.kind == "u":
        return 0
    status = NEGATIVE * bool((plane < 0).any())
    if plane.dtype.kind == "f":
        status |= ABOVE_ONE * bool((plane > 1).any()) | NAN * bool(np.isnan(plane).any())
    return status


# Convention "opencv" -----------------------------------------------------------------------------


def _opencv(planes, mask, out, rule):
    """Write cv2's CLAHE of each plane into out; return their status."""

    def map_plane(plane, counted, channel, out_plane):
        values = opencv_clahe(plane, rule.tiles, rule.clip_limit)
        output.store(values, out_plane, output.largest_level(plane.dtype))

    return for_each_plane(planes, mask, out, map_plane)


def opencv_clahe(plane, n_tiles, clip_limit):
    """Return cv2.createCLAHE(clip_limit, n_tiles[::-1]).apply(plane), bit for bit.

    A pixel's value is rint(float32), half to even, of

        (a * (1 - fx) + b * fx) * (1 - fy) + (c * (1 - fx) + d * fx) * fy

    in single precision, in this order, without fused multiply-adds, with a, b, c, d the values of
    its level in the tables of the four tiles around it; `tiles.opencv_axis` says which and where.
    """
    y, x = (
        tiles.opencv_axis(side, n, t)
        for side, n, t in zip(
            plane.shape, n_tiles, tiles.opencv_tile_shape(plane.shape, n_tiles), strict=True
        )
    )
    tables = _opencv_tables(plane, n_tiles, clip_limit)
    fy, fx = y.fraction[:, np.newaxis], x.fraction
    upper, lower = (
        tables[rows[:, np.newaxis], x.lower, plane] * (np.float32(1) - fx)
        + tables[rows[:, np.newaxis], x.upper, plane] * fx
        for rows in (y.lower, y.upper)
    )
    values = np.rint(upper * (np.float32(1) - fy) + lower * fy)
    return np.clip(values, 0, output.largest_level(plane.dtype)).astype(plane.dtype)


def _opencv_tables(plane, n_tiles, clip_limit):
    """Return the lookup tables of all tiles, as float32: (n_tiles_y, n_tiles_x, n_levels)."""
    tile_shape = tiles.opencv_tile_shape(plane.shape, n_tiles)
    rows, columns = (
        tiles.opencv_padding(side, n * t)
        for side, n, t in zip(plane.shape, n_tiles, tile_shape, strict=True)
    )
    blocks = plane[rows[:, np.newaxis], columns]
    blocks = blocks.reshape(n_tiles[0], tile_shape[0], n_tiles[1], tile_shape[1]).swapaxes(1, 2)
    tables = np.empty((*n_tiles, output.largest_level(plane.dtype) + 1), np.float32)
    for tile in np.ndindex(*n_tiles):
        counts = np.bincount(blocks[tile].ravel(), minlength=tables.shape[-1])
        tables[tile] = opencv_table(counts, clip_limit)
    return tables


def opencv_table(counts, clip_limit):
    """Return cv2's lookup table of a tile: the cumulated counts times float32(max) / float32(m).

    The product is in single precision, rounded half to even.
    """
    n_pixels, n_levels = int(counts.sum()), counts.size
    if clip_limit is not None:
        limit = min(max(clip_limit * n_pixels / n_levels, 1), n_pixels)  # no count is larger
        counts = opencv_clip(counts, int(limit))
    scale = np.float32(n_levels - 1) / np.float32(n_pixels)
    return np.clip(np.rint(counts.cumsum().astype(np.float32) * scale), 0, n_levels - 1)


def opencv_clip(counts, limit):
    """Return counts clipped at a whole limit, and what was clipped spread as cv2 spreads it.

    Every level gets an equal share, rounded down; of the rest r, levels 0, s, 2s, ... get one more,
    r of them, with s = n_levels // r. (So the limit may be exceeded again.)
    """
    excess = int(np.maximum(counts - limit, 0).sum())
    share, rest = divmod(excess, counts.size)
    counts = np.minimum(counts, limit) + share
    if rest > 0:
        counts[np.arange(rest) * (counts.size // rest)] += 1
    return counts


_CLAHE = {HISTEQ: _histeq, SKIMAGE: _skimage, OPENCV: _opencv}
