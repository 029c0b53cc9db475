"""From axes to planes, as views.

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
        """Refuse images that are not RGB or RGBA where color="value" asks for them."""
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

    def warn_of_likely_mistakes(self, shape, n_channels, height, width):
        """Warn where colour channels are probably read as columns, or columns as channels."""
        read_as = f"images of {n_channels} channels of {height}×{width} pixels"
        if len(shape) == 3 and width in (3, 4) and min(shape[:2]) >= 2 * width:
            read_as = f"{shape[0]} images of {height}×{width} pixels"
            remedy = "pass image[None] with channel_axis=-1, if it is one colour image"
        elif self.channel_axis == 1 and width in (3, 4) and height > width and n_channels > 4:
            remedy = "set channel_axis=-1, if the channels come last"
        elif (
            self.channel_axis == -1 and height in (3, 4) and width >= 4 * height and n_channels > 4
        ):
            remedy = "set channel_axis=1, if the channels come first"
        else:
            return
        warn_the_caller(
            (X, f" of shape {shape} is read as {read_as}"),
            remedy=f"That is unusual: {remedy}, or move the axis (numpy.moveaxis) to say what the "
            "array holds.",
        )

    def warn_of_rows(self, n_pixels, what):
        """Warn that rows without image_shape are images of one row, cut into tiles or windows."""
        warn_the_caller(
            (
                Setting("image_shape", None),
                f" with rows of {n_pixels} pixels: each row is read as an image of 1×{n_pixels} "
                f"pixels, whose {what} are pieces of the row",
            ),
            remedy="Set image_shape=(h, w).",
        )


def mask_shape(X, planes):
    """Return the shape of a mask beside images X and their planes.

    (n, h, w), or (n, h*w) beside rows.
    """
    n, _, height, width = planes.shape
    return (n, height * width) if X.ndim == 2 else (n, height, width)
