"""Values written as an output dtype: scaled, cast, or rounded and kept in range."""

import numpy as np


def largest_level(dtype):
    """Return the largest level of an integer type or bool."""
    return 1 if dtype == np.bool_ else int(np.iinfo(dtype).max)


def smallest_level(dtype):
    """Return the smallest level of an integer type or bool."""
    return 0 if dtype == np.bool_ else int(np.iinfo(dtype).min)


def store(values, out, output_max):
    """Write values of a convention, in its own type, into out.

    Floats are cast, integers and bool `rint(double(value) / output_max * max)`.
    """
    if out.dtype.kind == "f" or values.dtype == out.dtype:
        with np.errstate(over="ignore"):
            out[...] = values
        return
    saturate(values.astype(np.float64) / output_max * largest_level(out.dtype), out)


def saturate(values, out):
    """Write values into out without scaling: floats are cast, integers rounded and kept in range.

    64-bit integers saturate at their own maximum, which is no double.
    """
    if out.dtype.kind == "f":
        with np.errstate(over="ignore"):
            out[...] = values
        return
    lowest, highest = smallest_level(out.dtype), largest_level(out.dtype)
    rounded = np.rint(values.astype(np.float64, copy=False))
    above = rounded >= float(highest)
    with np.errstate(invalid="ignore"):  # NaN here is reported by the caller, who knows the image
        out[...] = np.where(above, 0, np.maximum(rounded, lowest)).astype(out.dtype)
    out[above] = highest
