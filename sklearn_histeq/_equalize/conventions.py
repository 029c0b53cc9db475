"""Conventions of HistogramEqualizer, one record for each.

To add a convention, add its record to `CONVENTIONS`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from .._arithmetic import color_modes, transfer
from .._arithmetic.conventions import Convention
from .._arithmetic.dtypes import UINT8, double, uint8
from .._arithmetic.spans import OWN, Span
from .._arithmetic.transfer import Formula
from .blending import Blend


@dataclass(frozen=True, eq=False)
class EqualizeConvention(Convention):
    """A convention of HistogramEqualizer.

    Attributes
    ----------
    formulas : mapping of str to Formula
        The formula for each `output_distribution` that the convention has.
    n_integer_bins : int or None
        How many bins integers are counted in with `n_bins="auto"`; None: one per level.
    has_all_levels : bool
        Whether counts are those of all 256 levels of uint8, and not of the levels present.
    is_invertible : bool
        Whether `inverse_transform` can undo it.
    """

    formulas: Mapping[str, Formula] = field(default_factory=dict)
    n_integer_bins: int | None = None
    has_all_levels: bool = False
    is_invertible: bool = True


SKIMAGE = EqualizeConvention(
    "skimage",
    formulas={
        "uniform": Formula(transfer.skimage_uniform, kernel=0),
        "normal": Formula(transfer.skimage_normal, counted_only=True),
    },
)
NUMPY = EqualizeConvention(
    "numpy",
    default_output_dtype=double,
    output_max=255.0,
    formulas={"uniform": Formula(transfer.numpy_recipe, kernel=1, at_left_edges=True)},
    n_integer_bins=256,
)
OPENCV = EqualizeConvention(
    "opencv",
    default_output_dtype=uint8,
    output_max=255.0,
    accepts=(UINT8,),
    takes_nan=False,
    takes_n_bins=False,
    colors=color_modes.OF_OPENCV,
    formulas={"uniform": Formula(transfer.opencv_table, kernel=2)},
    has_all_levels=True,
    is_invertible=False,
)
PILLOW = replace(
    OPENCV,
    name="pillow",
    colors=color_modes.OWN,
    formulas={"uniform": Formula(transfer.pillow_table, kernel=3)},
)

CONVENTIONS = {record.name: record for record in (SKIMAGE, NUMPY, OPENCV, PILLOW)}
EqualizeConvention.records = CONVENTIONS


class EqualizeRule(NamedTuple):
    """How counts become a transfer function: parameters of HistogramEqualizer.

    Attributes
    ----------
    n_bins : int or "auto"
    convention : EqualizeConvention
    output_distribution : str
        One that the convention has a formula for.
    span : `spans.Span`
        What bins span.
    blend : `blending.Blend` or None
        How equalized values are blended with the image; None: not at all.
    """

    n_bins: int | str
    convention: EqualizeConvention
    output_distribution: str
    span: Span = OWN
    blend: Blend | None = None

    @property
    def formula(self):
        """The formula that turns counts into values."""
        return self.convention.formulas[self.output_distribution]

    def bins_of(self, dtype):
        """Return the number of bins for pixels of a dtype, or None for one bin per level."""
        if self.n_bins != "auto":
            return self.n_bins
        return 256 if dtype.kind == "f" else self.convention.n_integer_bins

    @property
    def has_exact_bins(self):
        """Whether ranks, not bins, distinguish integers that are equal as doubles."""
        return self.n_bins == "auto" and self.span == OWN

    def transfer_function(self, histogram, dtype=np.float64):
        """Return the transfer function of one histogram; see `Formula`."""
        if self.convention.has_all_levels:
            histogram = transfer.over_all_levels(histogram)
        return self.formula.transfer_function(histogram, dtype)


def cdf_rule(n_bins, span=OWN):
    """Return the rule by which the CDF of so many bins is the transfer function."""
    return EqualizeRule(n_bins, SKIMAGE, "uniform", span)
