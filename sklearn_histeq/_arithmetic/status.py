"""The bits of a plane's status: what an engine finds in the pixels while it works.

An engine raises no errors, since it does not know the number of an image. The function
`_input.pixel_errors.check_status` raises them.
"""

import numpy as np

from . import namespaces

NAN = 1  # a missing pixel
INF = 2  # an infinity
EMPTY = 4  # no counted pixel
NEGATIVE = 8  # below zero where that has no meaning
BEYOND = 16  # a level outside the range of the dtype that was learned from
ABOVE_ONE = 32  # above one where floats end there
FAR = 64  # far outside the range that was learned from: a warning; kernels use this bit themselves
FLAT = 128  # no two different landmarks, by mistake; kernels use this bit themselves


def of_values(planes, n_axes=2):
    """Return NAN and INF of planes with so many axes, the last ones: uint8, of NumPy."""
    if namespaces.dtype_of(planes).kind != "f":
        return np.zeros(planes.shape[: planes.ndim - n_axes], np.uint8)
    xp = namespaces.namespace(planes)
    is_nan, is_inf = (has_any(is_found(planes), n_axes) for is_found in (xp.isnan, xp.isinf))
    return (NAN * is_nan | INF * is_inf).astype(np.uint8)


def has_any(found, n_axes=2):
    """Return whether each plane, of so many axes, has a True value, as an array of NumPy."""
    xp = namespaces.namespace(found)
    return np.asarray(namespaces.to_numpy(xp.any(found, axis=tuple(range(-n_axes, 0)))))


def far_from(ranges, lows, highs):
    """Return FAR for planes (n, c) whose range leaves that of their channel by more than its width.

    ranges (c, 2) are what was learned; planes without a counted pixel have low > high.
    """
    low, high = ranges[:, 0], ranges[:, 1]
    with np.errstate(over="ignore", invalid="ignore"):
        width = high - low
        is_far = (low - lows > width) | (highs - high > width)
        is_far &= (lows <= highs) & (width > 0)  # a single level is no scale
    return (FAR * is_far).astype(np.uint8)
