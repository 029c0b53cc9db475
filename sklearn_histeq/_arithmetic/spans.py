"""What the bins of a plane span: its own range, a given one, or that between two of its quantiles.

Pixels outside of the span are clipped to it before anything else: they count in the outer bins.
"""

from typing import NamedTuple

import numpy as np

from . import namespaces
from .dtypes import full_intensity, single_or_double
from .output import smallest_level


class Span(NamedTuple):
    """What bins span; by default the own range of each plane's counted pixels.

    Attributes
    ----------
    limits : tuple of two floats, or None
        The least and the largest intensity, the same for all planes.
    percentages : tuple of two floats, or None
        The span of a plane lies between these quantiles of its counted pixels, in percent.
    """

    limits: tuple[float, float] | None = None
    percentages: tuple[float, float] | None = None


OWN = Span()


def span_of(value_range, quantile_range, dtype, takes_negative=True):
    """Return what the bins of images of a dtype span, by the parameters of these names."""
    if value_range is None:
        low, high = map(float, quantile_range)
        return OWN if (low, high) == (0, 100) else Span(percentages=(low, high))
    if isinstance(value_range, str):
        low = smallest_level(dtype) if takes_negative and dtype.kind != "f" else 0
        return Span((float(low), float(full_intensity(dtype))))
    low, high = value_range
    return Span((float(low), float(high)))


@np.errstate(all="ignore")  # of a range that overflows, and of infinities, which are refused
def limits_of(span, pixels):
    """Return what the bins of counted pixels span, in the precision in which they are binned.

    None: their own range, also where both quantiles are equal.
    """
    dtype = single_or_double(pixels.dtype)
    if span.percentages is None:
        return None if span.limits is None else np.array(span.limits).astype(dtype)
    doubles = pixels.astype(np.float64)
    low, high = np.percentile(doubles, span.percentages, overwrite_input=True).astype(dtype)
    return (low, high) if low < high else None


@np.errstate(all="ignore")
def limits_of_counts(span, levels, counts):
    """Return `limits_of` for the quantiles of counted levels, which are increasing integers."""
    places = (counts.sum() - 1) * (np.array(span.percentages) / 100)
    ends = counts.cumsum()
    sides = (np.floor(places), np.ceil(places))
    below, above = (
        levels[np.searchsorted(ends, side.astype(np.int64), side="right")].astype(np.float64)
        for side in sides
    )
    t, step = places % 1.0, above - below
    low, high = np.where(t < 0.5, below + step * t, above - step * (1 - t))  # as numpy.percentile
    return (low, high) if low < high else None


def given_ranges(span, planes, mask):
    """Return `limits_of` planes (n, c, h, w): doubles (n, c, 2), NaN for the own range of a plane.

    None where all planes have their own. Quantiles are NumPy's, of planes of any library.
    """
    if span == OWN:
        return None
    found = np.full((*planes.shape[:2], 2), np.nan)
    if span.percentages is None:
        found[...] = limits_of(span, np.empty(0, namespaces.dtype_of(planes)))
        return found
    planes = namespaces.to_numpy(planes)
    mask = None if mask is None else namespaces.to_numpy(mask)
    for i, channel in np.ndindex(found.shape[:2]):
        plane = planes[i, channel]
        pixels = plane.reshape(-1) if mask is None else plane[mask[i]]
        if plane.dtype.kind == "f" and np.isnan(pixels).any():
            pixels = pixels[~np.isnan(pixels)]
        limits = limits_of(span, pixels) if pixels.size else None
        if limits is not None:
            found[i, channel] = limits
    return found
