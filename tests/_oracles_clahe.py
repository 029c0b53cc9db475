"""The package's own CLAHE, a second time, pixel by pixel, from its five rules alone.

Nothing here comes from the package. What a clipped tile gains is found in exact fractions.
"""

import math
from fractions import Fraction
from itertools import pairwise

import numpy as np
from _oracles import (
    edges_fail,
    fails_within,
    is_missing,
    limits_of,
    plain,
    remembered,
    slopes_fail,
)
from skimage.exposure import cumulative_distribution


@remembered
def clahe(plane, tiles=(8, 8), clip_limit=None, n_bins=256, mask=None, **ranges):
    """The value of each pixel of a plane or volume, in doubles; NaN where the plane has it."""
    dtype, plane = plane.dtype, plain(plane)
    if plane.dtype.kind != "f":
        plane = plane.astype(np.float64)
    missing = is_missing(plane)
    counts_here = ~missing if mask is None else mask & ~missing
    counted = plane[counts_here]
    out = np.full(plane.shape, np.nan)
    span = limits_of(plane, counted, dtype=dtype, **ranges) if counted.size else None
    if span is not None:
        plane, counted = plane.clip(*span), counted.clip(*span)
    elif len(set(counted.tolist())) <= 1:  # rule 1: constant planes are 1 before anything else
        out[~missing] = 1
        return out
    edges, points = bins(counted, n_bins) if span is None else bins_within(counted, span, n_bins)
    limits = [[k * side // n for k in range(n + 1)] for side, n in zip(plane.shape, tiles)]
    cdfs = {}
    for number in np.ndindex(*tiles):
        sides = tuple(slice(e[k], e[k + 1]) for e, k in zip(limits, number))
        tile = plane[sides][counts_here[sides]]
        cdfs[number] = tile_cdf(tile if tile.size else counted, edges, points, clip_limit)
    for index in zip(*np.nonzero(~missing)):
        out[index] = blend(float(plane[index]), index, limits, cdfs, points)
    return out


def bins(counted, n_bins):
    """Rule 1: the edges and centers of HistogramEqualizer(n_bins); no edges where it has ranks."""
    with np.errstate(all="ignore"):
        if not edges_fail(counted, n_bins):
            cdf, centers = cumulative_distribution(counted, n_bins)
            if not slopes_fail(centers, cdf):
                edges = np.linspace(counted.min(), counted.max(), n_bins + 1, dtype=counted.dtype)
                return edges, centers.astype(np.float64)
    return None, np.array(sorted(set(counted.tolist())))


def bins_within(counted, span, n_bins):
    """The same over a range that is not the plane's own."""
    if fails_within(counted, span, n_bins):
        return None, np.array(sorted(set(counted.tolist())))
    edges = np.linspace(*span, n_bins + 1, dtype=counted.dtype)
    return edges, ((edges[:-1] + edges[1:]) / 2).astype(np.float64)


def tile_cdf(tile, edges, points, clip_limit):
    """Rules 3 and 4, in fractions."""
    if edges is None:
        counts = [int((tile == value).sum()) for value in points]
    else:
        counts = np.histogram(tile, edges)[0].tolist()
    m, total, cdf = sum(counts), Fraction(0), []
    for count in clip(counts, clip_limit):
        total += count
        cdf.append(float(total / m))
    return np.array(cdf)


def clip(counts, clip_limit):
    """min(count + d, limit) with the one d >= 0 that keeps the sum."""
    n, m = len(counts), sum(counts)
    if clip_limit is None:
        return counts
    limit = Fraction(float(clip_limit)) * max(Fraction(m, n), 1)
    if limit <= Fraction(m, n):
        return [Fraction(m, n)] * n
    falling = sorted(counts, reverse=True)
    for k in range(n):  # the k largest reach the limit, the others share what these lose
        d = (sum(falling[:k]) - k * limit) / (n - k)
        if falling[k] + d <= limit:
            break
    kept = [min(count + d, limit) for count in counts]
    assert d >= 0
    assert sum(kept) == m
    return kept


def blend(value, index, limits, cdfs, points):
    """Rules 2 and 5; of volumes, the values in the layers in front and behind are blended."""
    if len(index) == 3:
        front, back, fz = place(index[0], limits[0])
        values = [
            blend(value, index[1:], limits[1:], {n[1:]: cdfs[n] for n in cdfs if n[0] == k}, points)
            for k in (front, back)
        ]
        return (1 - fz) * values[0] + fz * values[1]
    i, below, fy = place(index[0], limits[0])
    j, right, fx = place(index[1], limits[1])
    # a tile's slopes may overflow where the plane's do not: not so on a larger scale
    scale = 2.0**900 if np.abs(points).max() < 2.0**-900 else 1.0
    a, b, c, d = (
        np.interp(value * scale, points * scale, cdfs[tile])
        for tile in ((i, j), (i, right), (below, j), (below, right))
    )
    return (1 - fy) * ((1 - fx) * a + fx * b) + fy * ((1 - fx) * c + fx * d)


def place(pixel, limits):
    """The tiles before and after a pixel, and how far it is from the first's center."""
    centers = [(start + stop - 1) / 2 for start, stop in pairwise(limits)]
    before = sum(center <= pixel for center in centers) - 1
    if before < 0:
        return 0, 0, 0.0
    if before == len(centers) - 1:
        return before, before, 0.0
    gap = centers[before + 1] - centers[before]
    return before, before + 1, (pixel - centers[before]) / gap


def n_tiles_within(shape, n_tiles):
    """At most half as many as pixels, at least one."""
    return tuple(min(n, max(side // 2, 1)) for side, n in zip(shape, n_tiles))


def n_tiles_of(shape, tile_shape):
    return tuple(max(1, round(side / t)) for side, t in zip(shape, tile_shape))


def opencv_tile(shape, n_tiles):
    """The pixels of cv2's tiles: it pads both axes where one does not divide."""
    if all(side % n == 0 for side, n in zip(shape, n_tiles)):
        return math.prod(side // n for side, n in zip(shape, n_tiles))
    return math.prod(side // n + 1 for side, n in zip(shape, n_tiles))
