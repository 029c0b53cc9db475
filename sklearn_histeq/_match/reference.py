"""Checks of a reference image that is given to HistogramMatcher."""

import math
import os

import numpy as np

from .._arithmetic import status as bits
from .._input.images import array_of_pillow, as_real
from .._input.masks import as_true_bool
from .._input.parameters import check_same_scale, shape_of
from .._input.problem import REFERENCE, Setting, X, input_error, input_type_error

LAYOUTS = {
    2: "one image of real numbers, laid out as one of X: (h, w), (c, h, w) or (h, w, c)",
    3: "one volume of real numbers, laid out as one of X: (d, h, w), (c, d, h, w) or (d, h, w, c)",
}


def check_reference(reference, spatial_dims):
    """Return a reference, an image or a row, as an array of a type that engines take.

    Its pixels are looked at later.
    """
    if isinstance(reference, np.ma.MaskedArray):
        raise input_type_error(
            (REFERENCE, " is a numpy.ma.MaskedArray"),
            "a plain array: its mask would be ignored",
            "Set the masked pixels to NaN: reference.astype(float).filled(np.nan).",
        )
    if shape_of(reference) is None:
        raise input_error(
            (REFERENCE, " is a list whose rows differ in length"),
            f"{LAYOUTS[spatial_dims]}, or a row of pixels",
        )
    if isinstance(reference, (str, bytes, os.PathLike)):
        raise input_error(
            (REFERENCE, f" is {str(reference)!r}"),
            "None or one image",
            "Read the file first: numpy.load for .npy, skimage.io.imread for a picture file.",
        )
    if hasattr(reference, "getbands"):
        reference = array_of_pillow(reference, REFERENCE)
    if isinstance(reference, (list, tuple)):  # perhaps of planes
        reference = [
            array_of_pillow(part, REFERENCE) if hasattr(part, "getbands") else part
            for part in reference
        ]
    image = np.asarray(reference)
    is_known = image.dtype.kind in "biuf" and image.ndim in (1, spatial_dims, spatial_dims + 1)
    if not is_known or image.size == 0:
        is_volume = image.ndim == 4 and spatial_dims == 2
        raise input_error(
            (REFERENCE, f" has dtype {image.dtype} and shape {image.shape}"),
            f"None or {LAYOUTS[spatial_dims]} as channel_axis says, or a row of pixels",
            "Set spatial_dims=3, if it is a volume." if is_volume else "",
        )
    return as_true_bool(as_real(image))


def check_geometry(reference, image_shape):
    """Refuse a row of reference pixels that image_shape does not lay out."""
    if reference.ndim == 1 and image_shape is not None:
        n_pixels = math.prod(image_shape)
        if n_pixels != reference.size:
            raise input_error(
                (
                    REFERENCE,
                    f" is a row of {reference.size} pixels, but image_shape="
                    f"{tuple(image_shape)!r} has {n_pixels}",
                ),
                remedy="Give the reference as an image.",
            )


def check_channels(n_channels, expected):
    """Refuse a reference whose number of channels differs from that of the images."""
    if n_channels != expected:
        raise input_error(
            (
                REFERENCE,
                f" has {n_channels} channel(s), but ",
                X,
                f" has {expected}: expected the same number",
            ),
            remedy="Give one image laid out as one of X; check channel_axis (and image_shape for "
            "rows).",
        )


def check_scale(dtype, of_images, color):
    """Refuse a reference of another full intensity than the images, whose colours are shifted."""
    check_same_scale(color, (REFERENCE, dtype), (f"images of {of_images}", of_images))


def check_status(status, color):
    """Raise what was found in the planes of the reference: status of shape (1, c)."""
    for bit, came, expected, by in (
        (bits.INF, "contains infinity (inf)", "finite values, or NaN for missing", ()),
        (bits.NEGATIVE, "contains negative values", "colours >= 0", (Setting("color", color), " ")),
        (
            bits.ABOVE_ONE,
            "contains floats above 1",
            "floats in [0, 1]",
            (Setting("color", color), " "),
        ),
        (bits.EMPTY, "has a channel without a pixel that is not NaN", "at least one", ()),
    ):
        if (status & bit).any():
            remedy = "Choose another image, or correct this one."
            raise input_error((REFERENCE, f" {came}"), expected, remedy, by)
