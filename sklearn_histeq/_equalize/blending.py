"""strength: equalized values blended with the intensities of the image, on the same range."""

from typing import NamedTuple

import numpy as np

from .._arithmetic import namespaces, transfer
from .._arithmetic.status import beyond_unit


class Blend(NamedTuple):
    """How equalized values are blended with the image.

    Attributes
    ----------
    strength : float
        The share of the equalized values.
    limits : tuple of two floats
        The intensities that become 0 and `top`.
    is_given : bool
        Whether the limits are a `value_range`, to which intensities are clipped. Otherwise they are
        the range of the dtype, and floats beyond it are errors.
    top : float
        The largest equalized value.
    own_dtype : dtype
        The convention's own output type for these images.
    """

    strength: float
    limits: tuple[float, float]
    is_given: bool
    top: float
    own_dtype: np.dtype

    @np.errstate(all="ignore")  # of planes that the status refuses
    def values(self, x, equalized):
        """Return (1 - strength) * u + strength * equalized, in the convention's own type.

        u is x brought to the range from 0 to `top`. The arithmetic is in doubles. Whole numbers are
        rounded once, halves to even.
        """
        low, high = self.limits
        u = namespaces.astype(x, np.float64)
        xp = namespaces.namespace(u)
        if self.is_given:
            u = xp.clip(u, low, high)
        u = (u - low) / ((high - low) / self.top)
        found = transfer.blend(u, namespaces.astype(equalized, np.float64), self.strength)
        if self.own_dtype.kind != "f":
            found = xp.round(found)
        return namespaces.astype(found, self.own_dtype)

    def status(self, planes):
        """Return NEGATIVE and ABOVE_ONE of planes where floats beyond the limits are errors."""
        is_checked = namespaces.dtype_of(planes).kind == "f" and not self.is_given
        return beyond_unit(planes, planes.ndim - 2) if is_checked else 0
