"""Checks of the parameters that only LocalHistogramEqualizer has."""

import numpy as np

from .._input.parameters import LARGEST_NUMBER, is_integer, is_real, shape_of
from .._input.problem import Setting, input_error


def check_window(window, n_axes=2):
    """Refuse a window that is neither a share nor an odd number of pixels, nor one per axis."""
    if isinstance(window, (tuple, list, np.ndarray)):
        is_window = shape_of(window) == (n_axes,) and all(_is_extent(of, 1) for of in window)
        is_window = is_window and any(not is_integer(of) or of > 1 for of in window)
    else:
        is_window = _is_extent(window, 3)
    if not is_window:
        axes = "(rows, columns)" if n_axes == 2 else "(depth, rows, columns)"
        raise input_error(
            (Setting("window", window),),
            "a float in (0, 1], the share of the images' shorter side, or an odd integer >= 3 (and "
            f"<= {LARGEST_NUMBER}), the width in pixels; or one for each of {axes}, where a float "
            "is the share of its own axis, and a width of 1 is allowed but not for all",
        )


def _is_extent(extent, least):
    """Return whether a number is a share in (0, 1], or an odd width from some number on."""
    if is_integer(extent):
        return least <= extent <= LARGEST_NUMBER and extent % 2 == 1
    return is_real(extent) and 0 < extent <= 1
