"""Dtypes of results, and dtypes in which images are learned from."""

import numpy as np

UINT8, UINT16 = np.dtype(np.uint8), np.dtype(np.uint16)


def single_or_double(dtype):
    """Return float32 for floats of at most 32 bits, else float64."""
    is_single = dtype.kind == "f" and dtype.itemsize < 8
    return np.dtype(np.float32 if is_single else np.float64)


def double(dtype):
    """Return float64."""
    return np.dtype(np.float64)


def uint8(dtype):
    """Return uint8."""
    return UINT8


def same(dtype):
    """Return the dtype itself, in native byte order."""
    return dtype.newbyteorder("=")


def learned(dtype):
    """Return the dtype in which images are learned from: native, float16 as float32."""
    native = dtype.newbyteorder("=")
    return np.dtype(np.float32) if native == np.float16 else native


def brightest(*candidates):
    """Return the dtype with the largest level."""
    return max(candidates, key=lambda dtype: (full_intensity(dtype), dtype.name))


def full_intensity(dtype):
    """Return full intensity in images of a dtype: 1 for floats and bool, else the largest level."""
    return int(np.iinfo(dtype).max) if dtype.kind in "iu" else 1


def joint(dtype, before):
    """Return the dtype for learning from one more batch: the wider float, or the same integer."""
    return np.promote_types(learned(dtype), before) if before.kind == "f" else before
