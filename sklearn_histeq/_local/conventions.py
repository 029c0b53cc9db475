"""Conventions of LocalHistogramEqualizer, one record for each.

To add a convention, add its record to `CONVENTIONS`. The definition computes it. The compiled
engine and the engine for devices have code of their own for the records below, and pass all others
to the definition.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from .._arithmetic.conventions import Convention
from .._arithmetic.dtypes import UINT8, UINT16, same
from . import windows


@dataclass(frozen=True, eq=False)
class LocalConvention(Convention):
    """A convention of LocalHistogramEqualizer.

    Attributes
    ----------
    formula : callable
        formula(below, equal, n_counted, plane) returns the values for counts in windows; see
        `windows`.
    fills_windows : bool
        Whether a window without a counted pixel takes the counts of the whole plane.
    """

    formula: Callable[..., np.ndarray] = windows.mid_ranks
    fills_windows: bool = True


HISTEQ = LocalConvention("histeq")
SKIMAGE = LocalConvention(
    "skimage",
    default_output_dtype=same,
    output_max=None,
    accepts=(UINT8, UINT16),
    formula=windows.skimage_levels,
    fills_windows=False,
)

CONVENTIONS = {record.name: record for record in (HISTEQ, SKIMAGE)}
LocalConvention.records = CONVENTIONS


class LocalRule(NamedTuple):
    """How windows become values: parameters of LocalHistogramEqualizer.

    Attributes
    ----------
    radii : tuple of ints
        How many pixels a window reaches to each side of its middle, along each spatial axis.
    convention : LocalConvention
    """

    radii: tuple[int, ...]
    convention: LocalConvention
