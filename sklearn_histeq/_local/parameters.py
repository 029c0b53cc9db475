"""Checks of the parameters that only LocalHistogramEqualizer has."""

from .._input.parameters import LARGEST_NUMBER, is_integer, is_real
from .._input.problem import Setting, input_error


def check_window(window):
    """Refuse a window that is neither a share of the shorter side nor an odd number of pixels."""
    if is_integer(window):
        is_window = 3 <= window <= LARGEST_NUMBER and window % 2 == 1
    else:
        is_window = is_real(window) and 0 < window <= 1
    if not is_window:
        raise input_error(
            (Setting("window", window),),
            "a float in (0, 1], the share of the images' shorter side, or an odd integer >= 3 (and "
            f"<= {LARGEST_NUMBER}), the width in pixels",
        )
