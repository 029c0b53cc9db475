"""The contract, a second time, by other means: the peers themselves, else naive definitions.

Nothing here comes from the package. Where scikit-image, NumPy, OpenCV or Pillow take a plane, their
own function is the answer; the rest is written down slowly, in plain Python where that is readable.
"""

import functools
import pickle
import warnings
from bisect import bisect_left, bisect_right
from statistics import NormalDist

import numpy as np
from skimage.exposure import cumulative_distribution
from skimage.filters import rank

TOP = {"skimage": 1, "numpy": 255, "opencv": 255, "pillow": 255, "normal": 1}
EXACT_DOUBLE = 2**53


def remembered(oracle):
    """An oracle that is asked once, where an example is tried on one engine after the other."""

    @functools.lru_cache(maxsize=1000)  # as many as a module asks of each engine
    def answer(question):
        args, kwargs = pickle.loads(question)
        return oracle(*args, **kwargs)

    @functools.wraps(oracle)
    def ask(*args, **kwargs):
        return answer(pickle.dumps((args, kwargs)))

    return ask


# --- what a plane is before any arithmetic --------------------------------------------------------


def plain(plane):
    """Native byte order; float16 in float32; bool as two levels."""
    kinds = {np.dtype(bool): np.uint8, np.dtype(np.float16): np.float32}
    native = plane.dtype.newbyteorder("=")
    return plane.astype(kinds.get(native, native))


def own_dtype(convention, dtype):
    """The convention's own output type."""
    if convention in ("opencv", "pillow"):
        return np.dtype(np.uint8)
    small = np.dtype(dtype).newbyteorder("=") in (np.dtype(np.float16), np.dtype(np.float32))
    return np.dtype(np.float32 if convention == "skimage" and small else np.float64)


def is_missing(plane):
    return np.isnan(plane) if plane.dtype.kind == "f" else np.zeros(plane.shape, dtype=bool)


# --- integers, a bin a level ----------------------------------------------------------------------


@remembered
def step_cdf(plane, counted):
    """Share of the counted pixels <= each pixel, clamped at their minimum; exact for any int."""
    levels = sorted(counted.ravel().tolist())
    share = [bisect_right(levels, max(v, levels[0])) / len(levels) for v in plane.ravel().tolist()]
    return np.array(share).reshape(plane.shape)


# --- floats, bins of equal width ------------------------------------------------------------------


def edges_fail(counted, n_bins):
    """Whether two edges coincide in the plane's dtype, or an edge or center is not finite.

    Among subnormals the last edge, which is the maximum itself, may even fall behind another.
    """
    dtype = counted.dtype if counted.dtype.kind == "f" else np.float64
    edges = np.linspace(counted.min(), counted.max(), n_bins + 1, dtype=dtype)
    centers = (edges[:-1] + edges[1:]) / 2
    coincide = (edges[:-1] >= edges[1:]).any()
    return coincide or not np.isfinite(edges).all() or not np.isfinite(centers).all()


def slopes_fail(points, values):
    if not np.isfinite(values).all():
        return True
    slopes = np.diff(values.astype(np.float64)) / np.diff(points.astype(np.float64))
    return not np.isfinite(slopes).all()


def curve_skimage(counted, n_bins):
    cdf, centers = cumulative_distribution(counted, n_bins)
    return centers, cdf


def curve_numpy(counted, n_bins):
    """The recipe of Solem's "Programming Computer Vision with Python"."""
    density, edges = np.histogram(counted, n_bins, density=True)
    cdf = density.cumsum()
    return edges[:-1], 255 * cdf / cdf[-1]


def curve_normal(counted, n_bins):
    """Counted bin centers and the standard normal quantiles of their mid-distribution."""
    counts, edges = np.histogram(counted, n_bins)
    centers = (edges[:-1] + edges[1:]) / 2
    return centers[counts > 0], normal_quantiles(counts[counts > 0])


def normal_quantiles(counts):
    middles = (counts.cumsum() - counts / 2) / counts.sum()
    return np.array([NormalDist().inv_cdf(p) for p in middles])


CURVES = {"skimage": curve_skimage, "numpy": curve_numpy, "normal": curve_normal}


def needs_ranks(counted, n_bins, curve="skimage"):
    """Whether the ranks take the bins' place, by the contract's list of reasons."""
    with np.errstate(all="ignore"):
        return bool(edges_fail(counted, n_bins) or slopes_fail(*CURVES[curve](counted, n_bins)))


def by_ranks(plane, counted, curve):
    """The exact empirical distribution of the counted values; np.interp between them."""
    levels, counts = np.unique(counted, return_counts=True)
    cdf = counts.cumsum() / counts.sum()
    values = normal_quantiles(counts) if curve == "normal" else TOP[curve] * cdf
    out = np.interp(plane, levels, values)
    # between values so close that even this slope overflows, the lower one's
    is_lost = np.isinf(out)
    out[is_lost] = values[np.searchsorted(levels, plane[is_lost]) - 1]
    return out


def binned(plane, counted, n_bins, curve):
    n_bins = 256 if n_bins == "auto" else n_bins
    if needs_ranks(counted, n_bins, curve):
        return by_ranks(plane, counted, curve)
    with np.errstate(all="ignore"):
        return np.interp(plane, *CURVES[curve](counted, n_bins))


# --- the conventions ------------------------------------------------------------------------------


def by_skimage(plane, counted, n_bins):
    if counted.min() == counted.max():
        return np.ones(plane.shape)
    if plane.dtype.kind in "ui":
        return step_cdf(plane, counted)
    return binned(plane, counted, n_bins, "skimage")


def by_numpy(plane, counted, n_bins):
    if counted.min() == counted.max():
        return np.full(plane.shape, 255.0)
    if plane.dtype.kind in "ui" and max(abs(v) for v in counted.tolist()) > EXACT_DOUBLE:
        return 255 * step_cdf(plane, counted)
    return binned(plane, counted, n_bins, "numpy")


def by_opencv(plane, counted, n_bins="auto"):
    """cv2.equalizeHist, pixel by pixel in single precision."""
    levels = sorted(counted.tolist())
    if levels[0] == levels[-1]:
        return plane
    c0 = bisect_right(levels, levels[0])
    scale = np.float32(255) / np.float32(len(levels) - c0)
    ranks = [max(bisect_right(levels, v) - c0, 0) for v in plane.ravel().tolist()]
    return np.array([np.rint(np.float32(rank) * scale) for rank in ranks]).reshape(plane.shape)


def by_pillow(plane, counted, n_bins="auto"):
    """PIL.ImageOps.equalize, pixel by pixel in whole numbers."""
    levels = sorted(counted.tolist())
    step = bisect_left(levels, levels[-1]) // 255
    if levels[0] == levels[-1] or step == 0:
        return plane
    ranks = [bisect_left(levels, v) for v in plane.ravel().tolist()]
    return np.array([min(255, (r + step // 2) // step) for r in ranks]).reshape(plane.shape)


BY_CONVENTION = {
    "skimage": by_skimage, "numpy": by_numpy, "opencv": by_opencv, "pillow": by_pillow,
}  # fmt: skip


def by_normal(plane, counted, n_bins):
    if counted.min() == counted.max():
        return np.zeros(plane.shape)
    if plane.dtype.kind == "f":
        return binned(plane, counted, n_bins, "normal")
    levels, counts = np.unique(counted, return_counts=True)
    quantiles = normal_quantiles(counts)
    found = [bisect_right(levels.tolist(), v) - 1 for v in plane.ravel().tolist()]
    return quantiles[np.maximum(found, 0)].reshape(plane.shape)


@remembered
def equalize(plane, convention="skimage", n_bins="auto", mask=None, normal=False):
    """One plane by the contract, in the convention's own type."""
    out = own_dtype(convention, plane.dtype)
    plane = plain(plane)
    if n_bins != "auto" and plane.dtype.kind in "ui":  # a number bins integers too, as floats
        plane = plane.astype(np.float64)
    missing = is_missing(plane)
    counted = plane[~missing if mask is None else mask & ~missing]
    if counted.size == 0:
        return np.full(plane.shape, np.nan, dtype=out)
    values = (by_normal if normal else BY_CONVENTION[convention])(plane, counted, n_bins)
    return np.where(missing, np.nan, values).astype(out)


def equalize_planes(images, mask=None, **kwargs):
    """Every plane of (n, c, h, w) by itself, one after the other."""
    masks = [None] * len(images) if mask is None else mask
    return np.array(
        [[equalize(p, mask=m, **kwargs) for p in image] for image, m in zip(images, masks)]
    )  # fmt: skip


@remembered
def learned(train, new, **kwargs):
    """Dataset scope: the convention on one long plane of all counted training pixels.

    The new pixels ride along outside the plane's mask: mapped, not counted.
    """
    counted = train[~is_missing(train)]
    plane = np.concatenate([counted, new.ravel()])[None]  # (1, n_counted + n_new)
    mask = (np.arange(plane.size) < counted.size)[None]
    return equalize(plane, mask=mask, **kwargs)[0, counted.size :].reshape(new.shape)


# --- bins over other ranges -----------------------------------------------------------------------


def limits_of(plane, counted, value_range=None, quantile_range=(0, 100), dtype=None):
    """What the bins span, in the precision of the plane; None: its own range."""
    precision = plane.dtype if plane.dtype.kind == "f" else np.dtype(np.float64)
    if isinstance(value_range, str):
        dtype = np.dtype(dtype)
        is_integer = dtype.kind in "ui"
        value_range = (np.iinfo(dtype).min, np.iinfo(dtype).max) if is_integer else (0, 1)
    if value_range is not None:
        with np.errstate(over="ignore"):
            return np.array([float(limit) for limit in value_range]).astype(precision)
    with np.errstate(all="ignore"):
        limits = np.percentile(counted.astype(np.float64), quantile_range).astype(precision)
    return limits if tuple(quantile_range) != (0, 100) and limits[0] < limits[1] else None


def curve_within(counted, limits, n_bins, curve):
    """Points and values of the transfer function of clipped pixels, in bins over the limits."""
    counts, edges = np.histogram(counted, n_bins, tuple(limits))
    centers = (edges[:-1] + edges[1:]) / 2
    if curve == "skimage":
        return centers, (counts.cumsum() / counts.sum()).astype(counted.dtype)
    if curve == "normal":
        return centers[counts > 0], normal_quantiles(counts[counts > 0])
    cdf = (counts / np.diff(edges).astype(np.float64) / counts.sum()).cumsum()
    return edges[:-1], 255 * cdf / cdf[-1]


def fails_within(counted, limits, n_bins, curve="skimage"):
    """Whether the ranks of clipped pixels take the place of bins over the limits."""
    with np.errstate(all="ignore"):
        fails = edges_fail(np.asarray(limits), n_bins)
        return bool(fails or slopes_fail(*curve_within(counted, limits, n_bins, curve)))


@remembered
def equalize_within(plane, convention="skimage", n_bins="auto", mask=None, normal=False, **ranges):
    """One plane by the contract, in bins over what value_range or quantile_range say."""
    out, dtype = own_dtype(convention, plane.dtype), plane.dtype
    original, plane, curve = plane, plain(plane), "normal" if normal else convention
    if plane.dtype.kind in "ui":
        plane = plane.astype(np.float64)
    missing = is_missing(plane)
    counted = plane[~missing if mask is None else mask & ~missing]
    limits = limits_of(plane, counted, dtype=dtype, **ranges)
    n_bins = 256 if n_bins == "auto" else n_bins
    if limits is None:
        return equalize(original, convention, n_bins, mask, normal)
    counted = counted.clip(*limits)
    if fails_within(counted, limits, n_bins, curve):
        values = by_ranks(plane, counted, curve)
    else:
        values = np.interp(plane, *curve_within(counted, limits, n_bins, curve))
    return np.where(missing, np.nan, values).astype(out)


# --- windows --------------------------------------------------------------------------------------


def window_radii(window, shape):
    """How far a window reaches along each axis of a plane or volume."""
    if isinstance(window, tuple):
        pairs = zip(window, shape)
    else:
        side = min(shape[-2:])
        pairs = [(window, length) for length in (*shape[:-2], side, side)]
    return [w // 2 if isinstance(w, int) else max(1, int(w * length / 2)) for w, length in pairs]


@remembered
def mid_ranks(plane, window, mask=None):
    """The mid-rank of each pixel in its window, pixel by pixel, in Python's own numbers."""
    missing = is_missing(plain(plane))
    counted = ~missing if mask is None else mask & ~missing
    values, radii = plain(plane).astype(object), window_radii(window, plane.shape)
    out = np.full(plane.shape, np.nan)
    for place in zip(*np.nonzero(~missing)):
        window_at = tuple(slice(max(0, i - r), i + r + 1) for i, r in zip(place, radii))
        near = list(values[window_at][counted[window_at]]) or list(values[counted])
        here = values[place]
        out[place] = (sum(v < here for v in near) + sum(v == here for v in near) / 2) / len(near)
    return out


@remembered
def mid_ranks_of_levels(plane, window, mask=None):
    """The same once more, by counts of each level in boxes: fast for large windows."""
    counted = ~is_missing(plane) if mask is None else mask & ~is_missing(plane)
    radii = window_radii(window, plane.shape)

    def in_windows(wanted):
        for axis, (length, radius) in enumerate(zip(plane.shape, radii)):
            before = np.insert(wanted.cumsum(axis), 0, 0, axis)
            middles = np.arange(length)
            behind = before.take((middles + radius + 1).clip(max=length), axis)
            wanted = behind - before.take((middles - radius).clip(min=0), axis)
        return wanted

    n_counted, twice = in_windows(counted), np.full(plane.shape, np.nan)
    for level in np.unique(plane[~is_missing(plane)]):
        doubled = 2 * (counted & (plane < level)) + (counted & (plane == level))
        in_window = np.where(n_counted > 0, in_windows(doubled), doubled.sum())
        twice[plane == level] = in_window[plane == level]
    return twice / (2 * np.where(n_counted > 0, n_counted, counted.sum()))


@remembered
def rank_equalize(plane, window, mask=None):
    """skimage.filters.rank.equalize with a footprint of ones of so many pixels along each axis."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Bad rank filter performance")
        return rank.equalize(plane, np.ones(window, np.uint8), mask=mask)


# --- output types and colour ----------------------------------------------------------------------


def quantised(values, dtype, top):
    """rint(double(value) / top * max), saturating at the largest level; dtype as numpy's."""
    dtype = np.dtype(dtype)
    if dtype.kind == "f":
        return values.astype(dtype)
    largest = 1 if dtype.kind == "b" else int(np.iinfo(dtype).max)
    levels = [int(np.rint(float(v) / top * largest)) for v in values.ravel().tolist()]
    return np.array([min(v, largest) for v in levels], dtype=dtype).reshape(values.shape)


def equalize_colour(image, convention="skimage", mask=None, new=None, **kwargs):
    """(3 or 4, h, w): max(R, G, B) equalised, colours scaled along, alpha only rescaled.

    `new` is the equalised value, where it is known.
    """
    colours, out = image[:3], own_dtype(convention, image.dtype)
    v = colours.max(axis=0)  # NaN where any colour is NaN
    new = equalize(v, convention, mask=mask, **kwargs) if new is None else new
    new = new.astype(np.float64)
    with np.errstate(all="ignore"):
        scaled = np.where(v == 0, new, colours.astype(np.float64) * new / v.astype(np.float64))
    if image.shape[0] == 4:
        largest = np.iinfo(image.dtype).max if image.dtype.kind in "ui" else 1
        alpha = image[3:].astype(np.float64) * TOP[convention] / largest
        scaled = np.concatenate([scaled, alpha])
    return (np.rint(scaled) if out.kind == "u" else scaled).astype(out)


def luminance(image):
    """(3 or 4, h, w): .299 R + .587 G + .114 B; integers in OpenCV's fixed point, by Python."""
    red, green, blue = image[:3]
    if image.dtype.kind == "f":
        red, green, blue = (c.astype(np.float64) for c in (red, green, blue))
        y = green + 0.299 * (red - green) + 0.114 * (blue - green)
        return y.astype(own_dtype("skimage", image.dtype))
    rounded = [
        (4899 * r + 9617 * g + 1868 * b + 2**13) // 2**14
        for r, g, b in zip(red.ravel().tolist(), green.ravel().tolist(), blue.ravel().tolist())
    ]
    return np.array(rounded, image.dtype.newbyteorder("=")).reshape(red.shape)


def equalize_luminance(image, convention="skimage", mask=None, **kwargs):
    """(3 or 4, h, w): luminance equalised, colours shifted as it was, alpha only rescaled."""
    out, y, top = own_dtype(convention, image.dtype), luminance(image), float(TOP[convention])
    new = equalize(y, convention, mask=mask, **kwargs).astype(np.float64)
    full = float(np.iinfo(image.dtype).max if image.dtype.kind in "ui" else 1)
    doubles = image.astype(np.float64)
    shifted = [(new + (c - y.astype(np.float64)) * top / full).clip(0, top) for c in doubles[:3]]
    found = np.array([*shifted, *(doubles[3:] * top / full)])
    return (np.rint(found) if out.kind == "u" else found).astype(out)
