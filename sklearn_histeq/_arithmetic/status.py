"""The bits of a plane's status: what an engine finds in the pixels while it works.

An engine raises no errors, since it does not know the number of an image. The function
`_validation.check_status` raises them.
"""

import numpy as np

NAN = 1  # a missing pixel
INF = 2  # an infinity
EMPTY = 4  # no counted pixel
NEGATIVE = 8  # below zero where that has no meaning
BEYOND = 16  # a level outside the range of the dtype that was learned from
ABOVE_ONE = 32  # above one where floats end there


def of_values(planes):
    """Return NAN and INF of arrays of shape (..., h, w): uint8 of shape (...)."""
    if planes.dtype.kind != "f":
        return np.zeros(planes.shape[:-2], np.uint8)
    found = NAN * np.isnan(planes).any(axis=(-2, -1)) | INF * np.isinf(planes).any(axis=(-2, -1))
    return found.astype(np.uint8)
