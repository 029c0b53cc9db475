"""Values written as an output dtype: scaled, cast, or rounded and kept in range."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from . import namespaces
from .dtypes import single_or_double
from .status import EMPTY, has_any, of_values


class Stored(NamedTuple):
    """How values become output.

    Attributes
    ----------
    dtype : dtype
        The dtype of the values, which is the default output dtype.
    top : float
        The largest value of that dtype.
    store : callable
        store(values, out, top) writes values into out, in the dtype of out.
    plane_top : float
        Full intensity in the plane of colours that is mapped; otherwise equal to top.
    """

    dtype: np.dtype
    top: float
    store: Callable[..., None]
    plane_top: float


def largest_level(dtype):
    """Return the largest level of an integer type or bool."""
    return 1 if dtype == np.bool_ else int(np.iinfo(dtype).max)


def smallest_level(dtype):
    """Return the smallest level of an integer type or bool."""
    return 0 if dtype == np.bool_ else int(np.iinfo(dtype).min)


def all_levels(dtype):
    """Return all levels of an integer type of one or two bytes, or of bool, in order."""
    if dtype == np.bool_:
        return np.array([False, True])
    levels = np.arange(smallest_level(dtype), largest_level(dtype) + 1)
    return levels.astype(dtype.newbyteorder("="))


def store(values, out, output_max):
    """Write values of a convention, in its own type, into out.

    Floats are cast, integers and bool `rint(double(value) / output_max * max)`.
    """
    dtype = namespaces.dtype_of(out)
    if dtype.kind == "f" or values.dtype == out.dtype:
        saturate(values, out)
    else:
        values = namespaces.astype(values, np.float64)
        saturate(values / output_max * largest_level(dtype), out)


def saturate(values, out, top=None):
    """Write values into out without scaling, kept in range: floats cast, integers rounded.

    64-bit integers saturate at their own maximum, which is no double. The argument `top` is there
    as in `store`, and is not used.
    """
    dtype = namespaces.dtype_of(out)
    if dtype.kind == "f" or values.dtype == out.dtype:
        if dtype.itemsize < namespaces.dtype_of(values).itemsize and dtype.kind == "f":
            largest = float(np.finfo(dtype).max)
            values = namespaces.namespace(values).clip(values, -largest, largest)
        out[...] = namespaces.astype(values, dtype)
        return
    xp, highest = namespaces.namespace(values), largest_level(dtype)
    rounded = xp.round(namespaces.astype(values, np.float64))
    rounded = xp.clip(rounded, float(smallest_level(dtype)), float(highest))
    with np.errstate(invalid="ignore"):  # NaN here is reported by the caller, who knows the image
        if dtype.itemsize < 8:
            out[...] = namespaces.astype(rounded, dtype)
            return
        is_full = rounded >= float(highest)
        levels = namespaces.astype(xp.where(is_full, 0.0, rounded), dtype)
    full = namespaces.asarray(np.array(highest, dtype.newbyteorder("=")), values)
    out[...] = xp.where(is_full, full, levels)


def keep(planes, mask, out, map_parts):
    """Write planes as they are into out, in its dtype; return their status."""
    dtype = namespaces.dtype_of(planes)
    if dtype != namespaces.dtype_of(out):
        saturate(namespaces.astype(planes, single_or_double(dtype)), out)
    else:
        out[...] = planes
    status = of_values(planes)
    if mask is not None:
        counted = namespaces.namespace(planes).expand_dims(mask, axis=1)
        if dtype.kind == "f":
            counted = counted & (planes == planes)
        status |= np.uint8(EMPTY) * ~has_any(counted)
    return status
