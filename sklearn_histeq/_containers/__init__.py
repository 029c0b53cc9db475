"""Arrays that are not NumPy's, one module per kind: how they come in, and how results go out."""

import numpy as np

from . import array_api, dask


def stand_in(X, mask):
    """Return X, mask and None; for other arrays than NumPy's stand-ins of both, and their source.

    Stand-ins are arrays of NumPy: views of the pixels, or zeros of the same shape and dtype, which
    take no memory. They are checked and laid out like any other array. Then
    `source.images_of(images)` returns the images to work on.
    """
    if type(X) is not np.ndarray:
        for container in (dask, array_api):
            source = container.source_of(X, mask)
            if source is not None:
                return *source.stand_ins(), source
    return X, mask, None
