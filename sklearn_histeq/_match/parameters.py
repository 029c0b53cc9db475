"""Checks of the parameters that only HistogramMatcher has."""

import math

import numpy as np

from .._input.parameters import is_real, shape_of
from .._input.problem import REFERENCE, Setting, Value, X, input_error
from .landmarks import NYUL

STANDARD_RANGE = (0, 100)
IN_A_GRID = "In a grid search, give landmarks a grid of their own (a list of grids)."


def check_landmarks(landmarks):
    """Return the percentages of landmarks as an array; None where there are none."""
    if landmarks is None:
        return None
    if isinstance(landmarks, str) and landmarks == "nyul":
        return np.array(NYUL, np.float64)
    if not _are_reals(landmarks):
        raise input_error(
            (Setting("landmarks", landmarks),),
            (Value(None), ", ", Value("nyul"), " or a sequence of percentages"),
        )
    percentages = np.array(landmarks, np.float64) + 0.0
    for is_wrong, expected in (
        (percentages.size < 2, "two percentages or more"),
        (not (np.diff(percentages) > 0).all(), "increasing percentages"),
        (not ((percentages >= 0) & (percentages <= 100)).all(), "percentages from 0 to 100"),
    ):
        if is_wrong:
            raise input_error((Setting("landmarks", landmarks),), expected)
    return percentages


def check_standard_range(standard_range):
    """Return a range as two floats, the lower one first."""
    is_range = _are_reals(standard_range) and len(standard_range) == 2
    low, high = map(float, standard_range) if is_range else (0.0, 0.0)
    if not (is_range and low < high and np.isfinite([low, high, high - low]).all()):
        raise input_error(
            (Setting("standard_range", standard_range),),
            "(low, high), two finite numbers, low < high",
        )
    return low + 0.0, high + 0.0


def check_combination(matcher):
    """Refuse parameters that landmarks exclude, or that have a meaning for landmarks alone."""
    landmarks = Setting("landmarks", matcher.landmarks)
    if matcher.landmarks is None:
        if tuple(matcher.standard_range) != STANDARD_RANGE:
            raise input_error(
                (Setting("standard_range", matcher.standard_range), " with ", landmarks),
                ("the default, ", Setting("standard_range", STANDARD_RANGE), ": there is no scale"),
            )
        return
    if matcher.reference is not None:
        raise input_error(
            (landmarks, " and ", REFERENCE, " are both given"),
            "one of them: landmarks are learned from the training images",
            IN_A_GRID,
        )
    for name, expected in (("color", "channels"), ("strength", 1)):
        value = getattr(matcher, name)
        if value != expected:
            came = landmarks, " with ", Setting(name, value)
            raise input_error(came, (Setting(name, expected),), IN_A_GRID)


def check_pixels(images):
    """Refuse to learn landmarks from images of one pixel."""
    if math.prod(images.planes.shape[2:]) == 1:
        raise input_error(
            (X, f" has shape {images.X.shape}: one pixel per plane, 1 feature(s)"),
            "more pixels, which have landmarks",
        )


def _are_reals(values):
    """Return whether values are a sequence or an array of real numbers, in one dimension."""
    shape = shape_of(values)
    is_row = not isinstance(values, (str, bytes, dict, set)) and shape is not None
    return is_row and len(shape) == 1 and all(is_real(value) for value in values)
