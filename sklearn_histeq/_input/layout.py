"""Views of images as planes.

Whatever layout an array of images has, its planes are a view of shape (n, n_channels, height,
width). Those of volumes are (n, n_channels, depth, height, width).
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
    spatial_dims: int = 2

    def planes_of(self, X):
        """Return a (n, c, *spatial) view of images.

        Rows become images of `image_shape`, or, where that is None, planes of one row each.
        """
        xp = namespaces.namespace(X)
        if X.ndim == 2:
            # splitting one axis never copies, whatever its stride
            row = (*(1,) * (self.spatial_dims - 1), X.shape[1])
            shape = row if self.image_shape is None else tuple(self.image_shape)
            X = xp.reshape(X, (X.shape[0], *shape))
        if X.ndim == self.spatial_dims + 1:
            return xp.expand_dims(X, axis=1)
        last = X.ndim - 1
        return X if self.channel_axis == 1 else xp.permute_dims(X, (0, last, *range(1, last)))

    def check_geometry(self, images):
        """Refuse rows that image_shape does not lay out."""
        if images.ndim == 2 and self.image_shape is not None:
            n_pixels = math.prod(self.image_shape)
            if n_pixels != images.shape[1]:
                axes = ["depth", "height", "width"][-self.spatial_dims :]
                gray = ", ".join(axes)
                axes.insert(0 if self.channel_axis == 1 else len(axes), "channels")
                raise input_error(
                    (
                        Setting("image_shape", tuple(self.image_shape)),
                        f" has {n_pixels} pixels, but ",
                        X,
                        f" has {images.shape[1]} features",
                    ),
                    remedy=f"Give ({gray}), or with channel_axis={self.channel_axis} "
                    f"({', '.join(axes)}).",
                )

    def check_color(self, images, planes):
        """Refuse images that are not RGB or RGBA where one plane of colours is asked for."""
        if self.color != "channels" and (
            planes.shape[1] not in (3, 4) or images.ndim == self.spatial_dims + 1
        ):
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

    def check_width(self, shape, n_channels, *spatial):
        """Refuse images whose planes are one pixel wide: windows and tiles in them say nothing."""
        remedy = self._remedy_of_width(shape, *spatial)
        if remedy is not None:
            axes = "both axes" if self.spatial_dims == 2 else "their last axes"
            raise input_error(
                (X, f" of shape {shape} {self._read_as(shape, n_channels, *spatial)}"),
                f"planes of more than one pixel along {axes}",
                f"{remedy[0].upper()}{remedy[1:]}.",
            )

    def warn_of_likely_mistakes(self, shape, n_channels, *spatial):
        """Warn where channels are probably read as rows or columns, or the reverse."""
        (first, second), (rows, columns) = spatial[:2], spatial[-2:]
        remedy, of_colors = self._remedy_of_width(shape, *spatial), None
        if remedy is None and len(shape) == self.spatial_dims + 1:
            remedy = of_colors = self._remedy_of_colors(shape, spatial)
        elif remedy is None and n_channels > 4:
            if self.channel_axis == 1 and columns <= 4 and rows > columns:
                remedy = "set channel_axis=-1, if the last axis is that of the channels"
            elif self.channel_axis == -1 and first <= 4 and second >= 4 * first:
                remedy = "set channel_axis=1, if the second axis is that of the channels"
        if remedy is not None:
            read_as = self._read_as(shape, n_channels, *spatial)
            if of_colors and self.spatial_dims == 2:
                also = ", also with channel_axis=-1" if self.channel_axis == -1 else ""
                read_as = f"has 3 axes, so it is read as gray images{also}: {shape[0]} "
                read_as += images_of(*spatial)
            warn_the_caller(
                (X, f" of shape {shape} {read_as}"),
                remedy=f"That is probably not meant. {remedy[0].upper()}{remedy[1:]}.",
            )

    def _read_as(self, shape, n_channels, *spatial):
        """Return in words how images are read: the meaning of the axes, and the numbers."""
        images, _, size = images_of(*spatial).partition(" of ")
        has_channels = n_channels > 1 or len(shape) == self.spatial_dims + 2
        axes = [images, *("depth", "height", "width")[-len(spatial) :]]
        if has_channels:
            axes.insert(len(axes) if self.channel_axis == -1 else 1, "channels")
        of_axes = "" if len(shape) == 2 else f"({', '.join(axes)}): "  # rows have image_shape
        of_channels = f"{n_channels} channels of " if has_channels else ""
        return f"is read as {of_axes}{shape[0]} {images} of {of_channels}{size}"

    def _remedy_of_colors(self, shape, spatial):
        """Return what to do about images without channels of which an axis looks like colours."""
        *others, last = spatial
        if self.spatial_dims == 2:
            is_color = last in (3, 4) and min(shape[:2]) >= 2 * last
            and_set = "" if self.channel_axis == -1 else ", and set channel_axis=-1"
            remedy = "if X is one colour image, add an axis for the images: X[None], of shape "
            return f"{remedy}{(1, *shape)}{and_set}" if is_color else None
        if last in (3, 4) and min(others) >= 2 * last:
            return (
                "set spatial_dims=2 and channel_axis=-1, if these are colour images; pass X[None] "
                "with channel_axis=-1, if it is one volume in colour"
            )
        if spatial[0] in (3, 4) and min(spatial[1:]) >= 2 * spatial[0]:
            other = "X[:, None]" if self.channel_axis == 1 else "X[..., None]"
            return f"set spatial_dims=2, if these are colour images; pass {other}, if not"
        return None

    def _remedy_of_width(self, shape, *spatial):
        """Return what to do about images whose planes are lines of pixels; None for others."""
        *_, rows, columns = spatial
        has_channels = len(shape) == self.spatial_dims + 2
        if has_channels and self.channel_axis == 1 and columns == 1 < rows:
            return "set channel_axis=-1, if the last axis is the channel"
        if len(shape) == 4 and self.spatial_dims == 3 and columns == 1 < rows:
            return "set spatial_dims=2 and channel_axis=-1, if these are images of one channel"
        # a volume may be one slice deep
        if has_channels and len(spatial) == 2 and self.channel_axis == -1 and rows == 1 < columns:
            return "set channel_axis=1, if the second axis is the channel"
        if len(shape) > 2 and columns == 1 < rows:
            return "pass rows, X.reshape(len(X), -1), if each image is a row of pixels"
        return None

    def problem_of_rows(self, n_pixels, what):
        """Return what to warn of, and the remedy, where rows are cut into tiles or windows."""
        came = (
            Setting("image_shape", None),
            f" with rows of {n_pixels} pixels: each row is read as an image of 1×{n_pixels} "
            f"pixels, whose {what} are pieces of the row",
        )
        return came, self.remedy_of_rows()

    def remedy_of_rows(self):
        """Return what to do about rows that are read as images of one row of pixels."""
        if self.spatial_dims == 3:
            return "Set image_shape=(d, h, w)."
        return "Pass X[None], if X is one image; set image_shape=(h, w), if each row is one."


def images_of(*spatial):
    """Return in words of what size images are."""
    images, elements = ("images", "pixels") if len(spatial) == 2 else ("volumes", "voxels")
    return f"{images} of {'×'.join(map(str, spatial))} {elements}"
