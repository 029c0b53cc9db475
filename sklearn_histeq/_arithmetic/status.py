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
FAR = 64  # far from the range that was learned: a warning
# The landmarks are not two different values: an error. In the kernels this bit is REFER, which
# never leaves an engine.
FLAT = 128


def joined(a, b):
    """Return the status of planes from those of two parts: EMPTY if both are."""
    return ((a | b) & ~np.uint8(EMPTY)) | (a & b & np.uint8(EMPTY))


def of_values(planes, n_axes=2):
    """Return NAN and INF of planes with so many axes, the last ones: uint8, of NumPy."""
    if namespaces.dtype_of(planes).kind != "f":
        return np.zeros(planes.shape[: planes.ndim - n_axes], np.uint8)
    xp = namespaces.namespace(planes)
    is_nan, is_inf = (has_any(is_found(planes), n_axes) for is_found in (xp.isnan, xp.isinf))
    return (NAN * is_nan | INF * is_inf).astype(np.uint8)


def beyond_unit(planes, n_axes=2):
    """Return NEGATIVE and ABOVE_ONE of planes of floats, of so many axes, as an array of NumPy."""
    is_negative, is_above = (has_any(found, n_axes) for found in (planes < 0, planes > 1))
    return (NEGATIVE * is_negative | ABOVE_ONE * is_above).astype(np.uint8)


def has_any(found, n_axes=2):
    """Return whether each plane, of so many axes, has a True value, as an array of NumPy."""
    xp = namespaces.namespace(found)
    return np.asarray(namespaces.to_numpy(xp.any(found, axis=tuple(range(-n_axes, 0)))))
