"""Masks as a user gives them, checked: which pixels count."""

import math

import numpy as np

from .parameters import shape_of
from .problem import MASK, Argument, input_error, warn_the_caller


def mask_shape(X, planes):
    """Return the shape of a mask beside images X and their planes.

    (n, *spatial), or (n, n_pixels) beside rows.
    """
    n, _, *spatial = planes.shape
    return (n, math.prod(spatial)) if X.ndim == 2 else (n, *spatial)


def check_mask(mask, shape, of_images=()):
    """Return a mask as a boolean array of the expected shape, beside images of a shape."""
    if shape_of(mask) is None:
        raise input_error((MASK, " is a list whose rows differ in length"), f"shape {shape}")
    mask = np.asarray(mask)
    if mask.dtype != np.bool_:
        raise input_error(
            (MASK, f" has dtype {mask.dtype}"),
            "bool, True where a pixel counts",
            "Use mask.astype(bool).",
        )
    if mask.shape != shape:
        raise input_error(
            (MASK, f" has shape {mask.shape}"),
            f"{shape}: one value for each pixel of each image, the same for all channels",
            _remedy_of_shape(mask.shape, shape, of_images),
        )
    return as_true_bool(mask)


def _remedy_of_shape(came, expected, of_images):
    """Return what to do about a mask of another shape, where that is known."""
    if came == of_images[:-1]:
        return "Set channel_axis=-1, if the last axis of X is that of the channels."
    if came == expected[1:]:
        return f"If it holds for all images, pass numpy.broadcast_to(mask, {expected})."
    return ""


def warn_of_mask(y, images, method):
    """Warn of a mask that was passed to a method as y, which is ignored."""
    is_nested = isinstance(y, list) and y and isinstance(y[0], (list, np.ndarray))
    if is_nested and shape_of(y) is not None:
        y = np.asarray(y)
    dtype, shape = str(getattr(y, "dtype", "")), getattr(y, "shape", ())
    if dtype.endswith("bool") and tuple(shape) == mask_shape(images.X, images.planes):
        warn_the_caller(
            (Argument("y"), f" is a boolean array of shape {tuple(shape)}, the shape of a mask, "
             "and is ignored"),
            remedy=f"If it says which pixels count, pass it by its name: {method}(X, mask=...).",
        )  # fmt: skip


def as_true_bool(X):
    """Return bool images whose bytes are 0 and 1, as the engines read them as levels.

    A view of other bytes as bool, as mask.view(bool), may hold others.
    """
    if X.dtype == np.bool_ and X.size and X.view(np.uint8).max() > 1:
        return X.view(np.uint8) != 0
    return X
