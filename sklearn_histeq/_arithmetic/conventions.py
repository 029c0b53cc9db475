"""The fields that the conventions of all methods have.

A convention is a record. It says what the convention accepts and what it returns. Outside the
engines, the package asks the record and does not compare names. Each method has its own records.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from . import color_modes
from .dtypes import single_or_double
from .output import largest_level


@dataclass(frozen=True, eq=False)
class Convention:
    """The fields that all conventions have.

    Attributes
    ----------
    name : str
        The value of the parameter `convention`.
    default_output_dtype : callable
        Maps the dtype of the images to the dtype of the output with `dtype=None`.
    output_max : float or None
        The largest output value of that dtype; None: the largest level of the dtype.
    accepts : tuple of dtypes, or None
        The dtypes that images may have; None: every real dtype.
    takes_nan, takes_mask, takes_negative : bool
        Whether NaN marks missing pixels, whether a mask may say which pixels count, and whether
        intensities may be negative.
    takes_n_bins : bool
        Whether the number of bins can be chosen.
    runs_on_devices : bool
        Whether the engine for arrays on other devices than the CPU supports it.
    colors : mapping of str to `color_modes.ColorMode`
        What the parameter `color` means.
    """

    records: ClassVar[Mapping[str, "Convention"]]  # of a method, by their names

    name: str
    default_output_dtype: Callable[[np.dtype], np.dtype] = single_or_double
    output_max: float | None = 1.0
    accepts: tuple[np.dtype, ...] | None = None
    takes_nan: bool = True
    takes_mask: bool = True
    takes_negative: bool = True
    takes_n_bins: bool = True
    runs_on_devices: bool = True
    colors: Mapping[str, color_modes.ColorMode] = field(default_factory=lambda: color_modes.OWN)

    def top(self, dtype):
        """Return the largest value of the default output dtype, for images of a dtype."""
        return largest_level(dtype) if self.output_max is None else self.output_max

    def __reduce__(self):
        """Pickle the name alone, so that a record is the same object after unpickling."""
        return _record, (type(self), self.name)


def _record(kind, name):
    """Return the convention of a kind and a name."""
    return kind.records[name]
