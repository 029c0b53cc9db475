"""Checks of the parameters that several estimators have, one function per rule."""

import numbers

import numpy as np

from .._arithmetic.dtypes import full_intensity
from .problem import Argument, Setting, Value, X, input_error

COLORS = ("channels", "value", "luminance", "lightness")
DTYPES = tuple(map(np.dtype, ("float32", "float64", "uint8", "uint16")))
# what image_shape may be, by the number of spatial axes
IMAGE_SHAPES = {
    2: "(height, width), or three numbers",
    3: "(depth, height, width), or four numbers",
}
# more bins or tiles than this would not fit in memory
LARGEST_NUMBER = 2**31 - 1
LARGEST_FLOAT = float(np.finfo(float).max)
ALL_QUANTILES: tuple[float, float] = (0, 100)
IN_A_GRID = "In a grid search, give each convention a grid of its own (a list of grids)."


def check_choice(name, value, choices):
    """Refuse a value that is none of the choices."""
    if not (isinstance(value, str) and value in choices):
        *others, last = map(Value, choices)
        expected = [piece for other in others for piece in (other, ", ")]
        raise input_error((Setting(name, value),), (*expected[:-1], " or ", last))


def check_flag(name, value):
    """Refuse everything except True and False."""
    if not isinstance(value, (bool, np.bool_)):
        raise input_error((Setting(name, value),), "True or False")


def check_count(name, value):
    """Refuse everything except an integer >= 1."""
    if not is_integer(value) or value < 1:
        raise input_error((Setting(name, value),), "an integer >= 1")


def check_strength(strength):
    """Refuse everything except a real number from 0 to 1."""
    if not is_real(strength) or not 0 <= strength <= 1:
        raise input_error(
            (Setting("strength", strength),),
            "a number from 0 (the image as it is) to 1 (the whole change)",
        )


def check_n_bins(n_bins, *, auto=True):
    """Refuse a number of bins that is no integer >= 1, or "auto" where that has a meaning."""
    if auto and isinstance(n_bins, str) and n_bins == "auto":
        return
    if not is_integer(n_bins) or not 1 <= n_bins <= LARGEST_NUMBER:
        expected = ("an integer >= 1", " or ", Value("auto")) if auto else "an integer >= 1"
        if is_integer(n_bins) and n_bins > LARGEST_NUMBER:
            expected = f"an integer <= {LARGEST_NUMBER}"
        raise input_error((Setting("n_bins", n_bins),), expected)


def check_ranges(value_range, quantile_range, convention):
    """Refuse what bins cannot span: wrong values, both at once, or where there are no bins."""
    is_named = value_range is None or (isinstance(value_range, str) and value_range == "dtype")
    if not is_named and not _are_increasing(value_range, -LARGEST_FLOAT, LARGEST_FLOAT):
        raise input_error(
            (Setting("value_range", value_range),),
            (Value(None), ", ", Value("dtype"), ", or two finite numbers (low, high), low < high"),
        )
    if not _are_increasing(quantile_range, 0, 100):
        raise input_error(
            (Setting("quantile_range", quantile_range),),
            "two percentages (low, high), 0 <= low < high <= 100",
        )
    if value_range is not None and tuple(quantile_range) != ALL_QUANTILES:
        raise input_error(
            (Setting("value_range", value_range), " with ",
             Setting("quantile_range", quantile_range)),
            ("one of the two: ", Setting("value_range", None), " or ",
             Setting("quantile_range", ALL_QUANTILES)),
            "In a grid search, give each of them a grid of its own (a list of grids).",
        )  # fmt: skip
    if not convention.takes_n_bins:
        where = (Setting("convention", convention.name),)
        check_nothing_to_span(value_range, quantile_range, where, IN_A_GRID)


def check_nothing_to_span(value_range, quantile_range, where, remedy):
    """Refuse a range, or quantiles, for bins where there is one bin per level."""
    name, value = "quantile_range", quantile_range
    if tuple(quantile_range) == ALL_QUANTILES:
        if value_range is None or isinstance(value_range, str):
            return
        name, value = "value_range", value_range
    default = None if name == "value_range" else ALL_QUANTILES
    raise input_error(
        (Setting(name, value), " with ", *where),
        ("the default, ", Setting(name, default),
         ": there is one bin per level, and so there is nothing to span"),
        remedy,
    )  # fmt: skip


def _are_increasing(values, low, high):
    """Return whether a value is two numbers within [low, high] that increase as floats."""
    if shape_of(values) != (2,) or not all(map(is_real, values)):
        return False
    try:
        first, second = map(float, values)
    except OverflowError:
        return False
    return low <= first < second <= high


def check_n_jobs(n_jobs):
    """Refuse a number of jobs that joblib would not take."""
    if n_jobs is not None and (not is_integer(n_jobs) or n_jobs == 0):
        raise input_error(
            (Setting("n_jobs", n_jobs),),
            (Value(None), ", an integer >= 1, or a negative integer (-1 for all processors)"),
        )


def check_channel_axis(channel_axis):
    """Refuse an axis that is neither channels first nor channels last."""
    if not is_integer(channel_axis) or channel_axis not in (1, -1):
        raise input_error(
            (Setting("channel_axis", channel_axis),),
            "1 (channels first, (n, c, h, w)) or -1 (channels last, (n, h, w, c))",
        )


def check_image_shape(image_shape, spatial_dims=2):
    """Refuse a number of spatial axes other than 2 and 3, and a shape that is not of so many.

    The shape is None, or has a positive integer per axis, and perhaps one for the channels.
    """
    if not is_integer(spatial_dims) or spatial_dims not in IMAGE_SHAPES:
        raise input_error((Setting("spatial_dims", spatial_dims),), "2 (images) or 3 (volumes)")
    if image_shape is None:
        return
    lengths = (spatial_dims,), (spatial_dims + 1,)
    is_shape = shape_of(image_shape) in lengths and not isinstance(image_shape, dict)
    if not is_shape or not all(is_integer(size) and size >= 1 for size in image_shape):
        raise input_error(
            (Setting("image_shape", image_shape),),
            (
                Value(None),
                f", {IMAGE_SHAPES[spatial_dims]} laid out as ",
                Argument("channel_axis"),
                " says, all integers >= 1",
            ),
        )


def check_dtype(dtype):
    """Refuse an output type that is neither None, "input", nor one of DTYPES."""
    if dtype is None or (isinstance(dtype, str) and dtype == "input"):
        return
    try:
        known = np.dtype(dtype) in DTYPES
    except TypeError:
        known = False
    if not known:
        raise input_error(
            (Setting("dtype", dtype),),
            (Value(None), ", ", Value("input"), ", float32, float64, uint8 or uint16"),
        )


def check_bins_of_convention(n_bins, default, convention):
    """Refuse n_bins if the number of bins is fixed by the convention."""
    if not convention.takes_n_bins and n_bins != default:
        raise input_error(
            (Setting("n_bins", n_bins), " with ", Setting("convention", convention.name)),
            ("the default, ", Setting("n_bins", default), ": the convention has one bin per level"),
            IN_A_GRID,
        )


def check_state_params(current, learned):
    """Refuse parameters other than those with which a distribution was learned, by their names."""
    for name, value in current.items():
        known = learned.get(name, value)
        if known is not value and not np.array_equal(known, value):
            raise input_error(
                (
                    Setting(name, value),
                    ", but the distribution was learned with ",
                    Setting(name, known),
                    " in fit, and holds for that value only",
                ),
                remedy=f"Call fit again with the new value, or set {name} back.",
            )


def check_same_kind(dtype, fitted):
    """Refuse floats where integers (or bool) were learned, and the reverse."""
    if (dtype.kind == "f") != (fitted.kind == "f"):
        raise input_error(
            (
                X,
                f" has dtype {dtype}, but the distribution was learned from {fitted}: intensities "
                "of another kind have no meaning in it",
            ),
            remedy=f"Convert X to {fitted}, on the same scale, or fit again.",
        )


def check_same_scale(color, came, expected):
    """Refuse images of another full intensity, where colours are shifted by an intensity.

    came and expected are pairs of a piece of a message and a dtype.
    """
    full, other = full_intensity(came[1]), full_intensity(expected[1])
    if full != other:
        raise input_error(
            (came[0], f" has dtype {came[1]}, in which full intensity is {full}"),
            f"{other}, as in {expected[0]}",
            "Convert one of them, for example by skimage.util.img_as_float; or use color='value'.",
            (Setting("color", color), " "),
        )


def shape_of(value):
    """Return the shape of an array-like, or None for a list whose rows differ in length."""
    try:
        return np.shape(value)
    except ValueError:
        return None


def is_integer(value):
    """Return whether a value is an integer, of Python or NumPy, and no bool."""
    return isinstance(value, numbers.Integral) and not isinstance(value, (bool, np.bool_))


def is_real(value):
    """Return whether a value is a real number, of Python or NumPy, and no bool."""
    return isinstance(value, numbers.Real) and not isinstance(value, (bool, np.bool_))
