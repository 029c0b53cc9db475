"""Checks of the parameters that only HistogramEqualizer has, and of what it has learned from."""

from .._input.parameters import ALL_QUANTILES, IN_A_GRID, LARGEST_FLOAT, check_choice
from .._input.problem import Setting, input_error

SCOPES = ("image", "dataset")
OUTPUT_DISTRIBUTIONS = ("uniform", "normal")
LEAST_WIDTH = 1e-300  # of a range that divides


def check_output_distribution(output_distribution, convention):
    """Refuse a distribution that the convention has no formula for."""
    check_choice("output_distribution", output_distribution, OUTPUT_DISTRIBUTIONS)
    if output_distribution not in convention.formulas:
        raise input_error(
            (
                Setting("output_distribution", output_distribution),
                " with ",
                Setting("convention", convention.name),
            ),
            (Setting("convention", "skimage"),),
            IN_A_GRID,
        )


def check_normal_color(color, mode):
    """Refuse normal quantiles where colours are kept in a range, which these do not have."""
    if mode is not None and mode.is_bounded:
        raise input_error(
            (Setting("output_distribution", "normal"), " with ", Setting("color", color)),
            (Setting("color", "channels"), " or ", Setting("color", "value"), ": colours are kept "
             "in the range of the output, and normal quantiles have none"),
            IN_A_GRID.replace("convention", "output distribution"),
        )  # fmt: skip


def check_partial_strength(output_distribution, value_range):
    """Refuse to blend an image with normal quantiles, or over a range whose width is no double."""
    if output_distribution == "normal":
        raise input_error(
            ("strength < 1 with ", Setting("output_distribution", output_distribution)),
            (Setting("strength", 1), ": normal quantiles have no range to bring the image to"),
            IN_A_GRID.replace("convention", "output distribution"),
        )
    if value_range is not None and not isinstance(value_range, str):
        low, high = map(float, value_range)
        if not LEAST_WIDTH <= high - low <= LARGEST_FLOAT:
            raise input_error(
                ("strength < 1 with ", Setting("value_range", value_range)),
                f"a range that is from {LEAST_WIDTH:g} to {LARGEST_FLOAT:g} wide",
            )


def check_quantiles_of_scope(quantile_range, scope):
    """Refuse quantiles of each plane where planes share their bins."""
    if scope == "dataset" and tuple(quantile_range) != ALL_QUANTILES:
        raise input_error(
            (Setting("quantile_range", quantile_range), " with ", Setting("scope", scope)),
            ("the default, ", Setting("quantile_range", ALL_QUANTILES),
             ": one distribution has the same bins for all images"),
            "Set value_range to give all images the same bins.",
        )  # fmt: skip


def check_normal_dtype(dtype):
    """Refuse an integer dtype for normal quantiles, which have no largest value."""
    if dtype.kind != "f":
        raise input_error(
            (
                Setting("output_distribution", "normal"),
                f" with an output of dtype {dtype}",
            ),
            "a float: normal quantiles are negative and have no largest value",
            "Use dtype=None, 'float32' or 'float64'.",
        )
