"""Views of images as planes.

Whatever layout an array of images has, its planes are a view of shape (n, n_channels, height,
width).
"""

import math
from typing import Any, NamedTuple

from .._arithmetic import namespaces
from .problem import Setting, X, input_error, warn_the_caller


class Layout(NamedTuple):
    """How images are laid out, and what is equalized of colours: parameters of the estimators."""

    color: str = "channels"
    channel_axis: int = 1
    image_shape: Any = None

    def planes_of(self, X):
        """Return a (n, c, h, w) view of images.

        Rows become images of `image_shape`, or, where that is None, planes of one row each.
        """
        xp = namespaces.namespace(X)
        if X.ndim == 2:
            # splitting one axis never copies, whatever its stride
            shape = (1, X.shape[1]) if self.image_shape is None else tuple(self.image_shape)
            X = xp.reshape(X, (X.shape[0], *shape))
        if X.ndim == 3:
            return xp.expand_dims(X, axis=1)
        return X if self.channel_axis == 1 else xp.permute_dims(X, (0, 3, 1, 2))

    def check_geometry(self, images):
        """Refuse rows that image_shape does not lay out."""
        if images.ndim == 2 and self.image_shape is not None:
            n_pixels = math.prod(self.image_shape)
            if n_pixels != images.shape[1]:
                raise input_error(
                    (
                        Setting("image_shape", tuple(self.image_shape)),
                        f" has {n_pixels} pixels, but ",
                        X,
                        f" has {images.shape[1]} features",
                    ),
                    remedy="Give (height, width), or three numbers laid out as channel_axis="
                    f"{self.channel_axis} says.",
                )

    def check_color(self, images, planes):
        """Refuse images that are not RGB or RGBA where one plane of colours is asked for."""
        if self.color != "channels" and (planes.shape[1] not in (3, 4) or images.ndim == 3):
            raise input_error(
                (
                    Setting("color", self.color),
                    " with ",
                    X,
                    f" of shape {images.shape}: {planes.shape[1]} channel(s)",
                ),
                "3 (RGB) or 4 (RGBA)",
                "Check channel_axis (and image_shape for rows), or use color='channels'.",
            )

    def check_width(self, shape, n_channels, height, width):
        """Refuse images whose planes are one pixel wide: windows and tiles in them say nothing."""
        remedy = self._remedy_of_width(shape, height, width)
        if remedy is not None:
            read_as = _read_as(n_channels, height, width)
            raise input_error(
                (X, f" of shape {shape} is read as {read_as}"),
                "planes of more than one pixel along both axes",
                f"{remedy[0].upper()}{remedy[1:]}.",
            )

    def warn_of_likely_mistakes(self, shape, n_channels, height, width):
        """Warn where channels are probably read as rows or columns, or the reverse."""
        read_as = _read_as(n_channels, height, width)
        remedy = self._remedy_of_width(shape, height, width)
        if remedy is None and len(shape) == 3 and width in (3, 4) and min(shape[:2]) >= 2 * width:
            read_as = f"{shape[0]} images of {height}×{width} pixels"
            remedy = "pass X[None] with channel_axis=-1, if it is one colour image"
        elif remedy is None and n_channels > 4:
            if self.channel_axis == 1 and width <= 4 and height > width:
                remedy = "set channel_axis=-1, if the channels come last, or move them: "
                remedy += "numpy.moveaxis(X, -1, 1)"
            elif self.channel_axis == -1 and height <= 4 and width >= 4 * height:
                remedy = "set channel_axis=1, if the channels come first, or move them: "
                remedy += "numpy.moveaxis(X, 1, -1)"
        if remedy is not None:
            warn_the_caller(
                (X, f" of shape {shape} is read as {read_as}"),
                remedy=f"That is unusual. {remedy[0].upper()}{remedy[1:]}.",
            )

    def _remedy_of_width(self, shape, height, width):
        """Return what to do about images whose planes are lines of pixels; None for others."""
        if len(shape) == 4 and self.channel_axis == 1 and width == 1 < height:
            return "set channel_axis=-1, if the single channel comes last"
        if len(shape) == 4 and self.channel_axis == -1 and height == 1 < width:
            return "set channel_axis=1, if the single channel comes first"
        if len(shape) > 2 and width == 1 < height:
            return "pass rows, X.reshape(len(X), -1), if each image is a row of pixels"
        return None

    def problem_of_rows(self, n_pixels, what):
        """Return what to warn of, and the remedy, where rows are cut into tiles or windows."""
        came = (
            Setting("image_shape", None),
            f" with rows of {n_pixels} pixels: each row is read as an image of 1×{n_pixels} "
            f"pixels, whose {what} are pieces of the row",
        )
        return came, "Set image_shape=(h, w)."


def _read_as(n_channels, height, width):
    """Return in words how images are read."""
    channels = "1 channel" if n_channels == 1 else f"{n_channels} channels"
    return f"images of {channels} of {height}×{width} pixels"
