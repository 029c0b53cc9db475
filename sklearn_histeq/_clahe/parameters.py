"""Checks of the parameters that only AdaptiveHistogramEqualizer has."""

import numpy as np

from .._input.parameters import LARGEST_NUMBER, is_integer, is_real, shape_of
from .._input.problem import Setting, Value, input_error

N_BINS = 256


AXES = {2: "two of them, (rows, columns)", 3: "three of them, (depth, rows, columns)"}


def check_tiles(name, value, spatial_dims):
    """Refuse tiles that are neither one integer >= 1 nor one per axis."""
    is_sequence = isinstance(value, (tuple, list, np.ndarray))
    numbers = value if is_sequence and shape_of(value) == (spatial_dims,) else [value]
    if not all(is_integer(n) and 1 <= n <= LARGEST_NUMBER for n in numbers):
        raise input_error(
            (Setting(name, value),),
            f"an integer >= 1 (and <= {LARGEST_NUMBER}), or {AXES[spatial_dims]}",
        )


def check_volumes_of_convention(spatial_dims, convention):
    """Refuse volumes if the convention's library has none."""
    if spatial_dims != 2 and not convention.takes_volumes:
        raise input_error(
            (
                Setting("spatial_dims", spatial_dims),
                " with ",
                Setting("convention", convention.name),
            ),
            "2: OpenCV's CLAHE takes no volumes",
            "Use convention='histeq' or 'skimage'.",
        )


def check_clip_limit(clip_limit, convention):
    """Refuse a clip limit that is neither None, "auto", nor a number in the valid range."""
    if clip_limit is None or (isinstance(clip_limit, str) and clip_limit == "auto"):
        return
    limit = _as_float(clip_limit) if is_real(clip_limit) else np.nan
    least = convention.least_clip_limit
    if not ((limit >= least if least else limit > 0) and limit < np.inf):
        expected = f">= {least:g} (1 is the uniform histogram)" if least else "> 0"
        raise input_error(
            (Setting("clip_limit", clip_limit), " with ", Setting("convention", convention.name)),
            (
                Value("auto"),
                f", a finite number {expected}, or ",
                Value(None),
                ", which clips nothing (0 in the other libraries)",
            ),
        )


def _as_float(number):
    """Return a real number as a float; infinity if it is too large for one."""
    try:
        return float(number)
    except OverflowError:
        return np.inf


def check_tile_shape_of_convention(tile_shape, convention):
    """Refuse tile_shape if the convention divides images by the number of tiles."""
    if tile_shape is not None and not convention.takes_tile_shape:
        raise input_error(
            (Setting("tile_shape", tile_shape), " with ", Setting("convention", convention.name)),
            (Value(None), ": this convention divides images by n_tiles"),
            "Set n_tiles, or use convention='histeq' or 'skimage'.",
        )
