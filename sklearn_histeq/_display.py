"""Figures of images before and after equalization, with their histograms and CDFs.

matplotlib is an optional extra, so it is imported when something is drawn and not before.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn import config_context

from ._arithmetic.color_modes import MODES
from ._input import Layout, input_error, parameters, read_in_memory
from ._input.masks import check_mask
from ._input.problem import Argument, Setting, Value

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_N_BARS = 32
_BAR, _LINE, _TEXT, _FRAME = "#9db4c8", "#c8501e", "#333333", "#bbbbbb"
_TILES, _MISSING = "#ff9d3b", np.array([0.72, 0.84, 0.95, 1])
# bars and lines of red, green and blue
_RGB = [("#e05a4e", "#b3261a"), ("#58b368", "#1f7a33"), ("#5b8ee6", "#1f4fae")]


class EqualizationDisplay:
    """Images before and after equalization, with their histograms and CDFs.

    Make one with :meth:`from_estimator` or :meth:`from_images`, which also draw it. Each row shows
    one image before and after, and its histogram (bars) and CDF (line) before and after. After
    global equalization, the bars are nearly equally high and the line is nearly straight.

    All images before have one gray scale, and all images after have one, so that dark images look
    dark. The scale is 0 to 1 for floats in that range, and 0 to 255 for other values in that range.
    Otherwise it ends at a power of two minus 1 for integers, and is the range of the images for
    floats.

    Parameters
    ----------
    before : ndarray of shape (n, n_channels, height, width)
        Images before, with 1 (gray), 3 (RGB) or 4 (RGBA) channels; or volumes of shape (n,
        n_channels, depth, height, width). Of a volume, one slice is drawn, and the histogram of all
        voxels.
    after : ndarray
        The same images after. Their number of channels may differ.
    color : {"channels", "value", "luminance", "lightness"}, default="channels"
        What the histograms of colour images show: red, green and blue, v = max(R, G, B), luminance,
        or lightness.
    mask : ndarray of bool, shape (n, height, width) or (n, depth, height, width), default=None
        The pixels that the histograms count. None: all but NaN.
    tile_edges : tuple of ndarrays, or None, default=None
        Positions where tiles begin along the rows and the columns (for volumes, also along the
        slices before them). The last position is where the last tile ends.

    Attributes
    ----------
    ax_ : ndarray of shape (n, 4), of matplotlib Axes
        The Axes, one row per image.
    figure_ : matplotlib Figure
        The figure drawn to.

    See Also
    --------
    HistogramEqualizer : One transfer function per image.
    AdaptiveHistogramEqualizer : One transfer function per tile.
    HistogramMatcher : The histogram of a reference for every image.

    Notes
    -----
    matplotlib is imported when something is drawn, and not before.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_histeq import EqualizationDisplay, HistogramEqualizer
    >>> X = np.random.default_rng(0).integers(0, 100, size=(8, 1, 96, 96), dtype=np.uint8)
    >>> display = EqualizationDisplay.from_estimator(HistogramEqualizer(), X, n_images=2)
    >>> display.ax_.shape
    (2, 4)
    """

    ax_: NDArray[Any]
    figure_: Any

    def __init__(
        self,
        before: NDArray[Any],
        after: NDArray[Any],
        *,
        color: str = "channels",
        mask: NDArray[np.bool_] | None = None,
        tile_edges: Sequence[NDArray[Any]] | None = None,
    ) -> None:
        self.before = before
        self.after = after
        self.color = color
        self.mask = mask
        self.tile_edges = tile_edges

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        n_images: int = 4,
        mask: Any = None,
        tile_grid: bool = False,
        slice_index: int | None = None,
        ax: Any = None,
    ) -> EqualizationDisplay:
        """Transform the first images of X and draw them before and after.

        Parameters
        ----------
        estimator : transformer
            One of this package's estimators, fitted if it learns, or a Pipeline that turns images
            into images (or rows) of the same size.
        X : array-like of shape (n, c, h, w), (n, h, w, c), (n, h, w) or (n, n_pixels)
            Images, or volumes, in the layout that `channel_axis`, `image_shape` and `spatial_dims`
            of the estimator say. For a Pipeline, its first step says so.
        n_images : int, default=4
            Largest number of images to draw.
        mask : array-like of bool, shape (n, h, w), (n, d, h, w) or one row per image, default=None
            True where a pixel counts. None: all pixels count.
        tile_grid : bool, default=False
            Draw the tiles of an AdaptiveHistogramEqualizer over its images.
        slice_index : int or None, default=None
            Index of the slice of volumes that is drawn. None: the middle slice.
        ax : matplotlib Axes, or array of shape (n, 4) of them, default=None
            Where to draw, as for :meth:`plot`.

        Returns
        -------
        display : EqualizationDisplay
            The display, drawn.
        """
        parameters.check_count("n_images", n_images)
        layout = _layout_of(estimator)
        _check_is_batch(Argument("X"), X, layout)
        _check_gives_images(estimator)
        X, mask = X[:n_images], None if mask is None else mask[:n_images]
        before = _planes("X", X, layout)
        with config_context(enable_metadata_routing=True):  # through a Pipeline, too
            out = estimator.transform(X) if mask is None else estimator.transform(X, mask=mask)
        after = _planes_after(before, X, out, layout)
        edges = getattr(estimator, "_tile_edges", None)
        display = cls(
            before,
            after,
            color=layout.color,
            mask=_mask_of(before, mask),
            tile_edges=None if edges is None else edges(before.shape[2:]),
        )
        return display.plot(ax, tile_grid=tile_grid, slice_index=slice_index)

    @classmethod
    def from_images(
        cls,
        before: Any,
        after: Any,
        *,
        n_images: int = 4,
        channel_axis: int = 1,
        image_shape: Sequence[int] | None = None,
        color: str = "channels",
        mask: Any = None,
        ax: Any = None,
    ) -> EqualizationDisplay:
        """Draw the first images of two arrays, before and after, made by any library.

        Parameters
        ----------
        before : array-like of shape (n, c, h, w), (n, h, w, c), (n, h, w) or (n, n_pixels)
            Images before; arrays of five dimensions are volumes with channels, (n, c, d, h, w) or
            (n, d, h, w, c).
        after : array-like
            The same images after, in the same layout, or one flattened image per row.
        n_images : int, default=4
            Largest number of images to draw.
        channel_axis : {1, -1}, default=1
            Position of the channels in 4-D images.
        image_shape : tuple of ints or None, default=None
            Shape of the images in 2-D input; for volumes, four numbers.
        color : {"channels", "value", "luminance", "lightness"}, default="channels"
            What the histograms of colour images show: red, green and blue, v = max(R, G, B),
            luminance, or lightness.
        mask : array-like of bool, shape (n, h, w), (n, d, h, w) or one row per image, default=None
            The pixels that the histograms count. None: all but NaN.
        ax : matplotlib Axes, or array of shape (n, 4) of them, default=None
            Where to draw, as for :meth:`plot`.

        Returns
        -------
        display : EqualizationDisplay
            The display, drawn.
        """
        parameters.check_count("n_images", n_images)
        parameters.check_choice("color", color, parameters.COLORS)
        is_volume = np.ndim(before) == 5 or parameters.shape_of(image_shape) == (4,)
        layout = Layout(color, channel_axis, image_shape, 3 if is_volume else 2)
        _check_is_batch(Argument("before"), before, layout)
        X = before[:n_images]
        planes = _planes("before", X, layout)
        planes_after = _planes_after(planes, X, after[:n_images], layout)
        counted = _mask_of(planes, None if mask is None else mask[:n_images])
        return cls(planes, planes_after, color=color, mask=counted).plot(ax)

    def plot(
        self, ax: Any = None, *, tile_grid: bool = False, slice_index: int | None = None
    ) -> EqualizationDisplay:
        """Draw the display. You can call it several times.

        Parameters
        ----------
        ax : matplotlib Axes, or array of shape (n, 4) of them, default=None
            Where to draw. One Axes is divided into (n, 4). What was drawn there before is removed.
            None: a new figure.
        tile_grid : bool, default=False
            Draw the tiles of an AdaptiveHistogramEqualizer over its images.
        slice_index : int or None, default=None
            Index of the slice of volumes that is drawn. None: the middle slice.

        Returns
        -------
        display : EqualizationDisplay
            The display itself.
        """
        if tile_grid and self.tile_edges is None:
            raise ValueError(
                "tile_grid=True, but expected False: there are no tiles to draw. Only "
                "from_estimator with an AdaptiveHistogramEqualizer knows them."
            )
        shown = _shown(self.before.shape[2:], slice_index)
        self.ax_ = self._axes(ax)
        self.figure_ = self.ax_[0, 0].get_figure()
        edges = self.tile_edges if tile_grid else None
        for column, images in enumerate((self.before, self.after)):
            scale = _gray_scale(images)
            for row, image in enumerate(images):
                _draw_image(self.ax_[row, column], image[shown], scale, edges)
                mask = None if self.mask is None else self.mask[row].reshape(-1, image.shape[-1])
                pixels = image.reshape(len(image), -1, image.shape[-1])  # of all slices
                _draw_curves(self.ax_[row, column + 2], pixels, scale, mask, self.color)
        _label(self.ax_)
        return self

    def _axes(self, ax: Any) -> NDArray[Any]:
        """Return the (n, 4) empty Axes to draw to."""
        n, *_, height, width = self.before.shape
        aspect = min(max(width / height, 0.6), 1.8)
        ratios = [aspect, aspect, 1.4, 1.4]
        if ax is None:
            size = (1.9 * sum(ratios) + 0.5, 1.9 * n + 0.4)
            figure = _pyplot().figure(figsize=size, layout="constrained")
            return figure.subplots(n, 4, squeeze=False, width_ratios=ratios)
        if np.ndim(ax) == 0:
            return _divide(ax, n, np.array(ratios) / sum(ratios))
        if np.shape(ax) not in ((n, 4), (4 * n,)):
            raise ValueError(
                f"ax has shape {np.shape(ax)}, but expected one Axes or ({n}, 4): one row per "
                "image, with the image and its histogram, before and after."
            )
        axes = np.asarray(ax).reshape(n, 4)
        for one in axes.flat:
            one.clear()
        return axes


def _shown(shape: tuple[int, ...], slice_index: int | None) -> Any:
    """Return the index of what is drawn of planes (c, *shape): all of an image, or one slice."""
    if len(shape) == 2 and slice_index is None:
        return ...
    depth = shape[0] if len(shape) == 3 else 0
    if slice_index is None:
        return np.s_[:, depth // 2]
    if not parameters.is_integer(slice_index) or not 0 <= slice_index < depth:
        others = f", or an integer from 0 to {depth - 1}" if depth else ": images have no slices"
        raise input_error((Setting("slice_index", slice_index),), (Value(None), others))
    return np.s_[:, slice_index]


def _check_is_batch(name: Argument, X: Any, layout: Layout) -> None:
    """Refuse a single image: its first rows would be read as the first images."""
    shape = np.shape(X)
    if len(shape) == 2 and layout.image_shape is None:
        image_shape = parameters.IMAGE_SHAPES[layout.spatial_dims].partition("), or")[0]
        raise input_error(
            (name, f" of shape {shape} is read as {shape[0]} flattened images"),
            f"images, or image_shape={image_shape}) of the flattened ones",
            f"Pass {name.name}[None], if it is one gray image.",
        )
    is_image = len(shape) == 3 and layout.spatial_dims == 2
    if is_image and shape[-1] in (3, 4) and min(shape[:2]) >= 2 * shape[-1]:
        and_set = "" if layout.channel_axis == -1 else ", and set channel_axis=-1"
        raise input_error(
            (name, f" has shape {shape}, as one colour image has"),
            "an array of images",
            f"Pass {name.name}[None]{and_set}.",
        )


def _check_gives_images(estimator: Any) -> None:
    """Refuse a Pipeline that ends with a classifier."""
    if hasattr(estimator, "steps") and not hasattr(estimator, "transform"):
        last = type(estimator.steps[-1][1]).__name__
        raise input_error(
            (f"the Pipeline ends with {last}, which has no transform",),
            "steps that turn images into images",
            "Pass the steps before it: pipeline[:-1].",
        )


def _layout_of(estimator: Any) -> Layout:
    """Return the layout of images that an estimator, or a Pipeline's first step, expects."""
    steps = getattr(estimator, "steps", None)
    first = steps[0][1] if steps else estimator
    params = {name: getattr(first, name) for name in Layout._fields if hasattr(first, name)}
    return Layout(**params)


def _read(name: str, X: Any, layout: Layout) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return images as a checked array of NumPy, and their planes (n, c, *spatial)."""
    parameters.check_channel_axis(layout.channel_axis)
    parameters.check_image_shape(layout.image_shape, layout.spatial_dims)
    X = X if isinstance(X, (list, tuple, np.ndarray)) else np.asarray(X)
    images = read_in_memory(X, None, layout._replace(color="channels"))
    if images.planes.dtype.kind == "f" and np.isinf(images.planes).any():
        raise input_error((Argument(name), " has infinite pixels"), "finite ones, or NaN")
    return images.X, images.planes


def _planes(name: str, X: Any, layout: Layout) -> NDArray[Any]:
    """Return images as planes (n, c, *spatial) that can be drawn."""
    _, planes = _read(name, X, layout)
    if planes.shape[1] not in (1, 3, 4):
        raise input_error(
            (Argument(name), f" has {planes.shape[1]} channels"),
            "1 (gray), 3 (RGB) or 4 (RGBA): check channel_axis, or draw one channel, X[:, [0]]",
        )
    return planes


def _planes_after(before: NDArray[Any], X: Any, after: Any, layout: Layout) -> NDArray[Any]:
    """Return the images after as planes; flattened images get the shape of those before."""
    n, _, *spatial = before.shape
    of_rows, layout = layout.image_shape, layout._replace(image_shape=None)
    after, _ = _read("after", after, layout)
    if after.ndim == 2 and after.shape == (n, math.prod(spatial)):
        after = after.reshape(n, *spatial)
    elif after.ndim == 2:
        shape = np.shape(X) if np.ndim(X) > 2 else (n, *(of_rows or ()))
        after = after.reshape(shape) if after.size == np.prod(shape) else after
    if after.ndim > 2:
        planes = _planes("after", after, layout)
        if (n, *spatial) == (len(planes), *planes.shape[2:]):
            return planes
    raise input_error(
        (Argument("after"), f" has shape {after.shape}"),
        f"that of the {n} image(s) before, of {'×'.join(map(str, spatial))} pixels",
        "Of a Pipeline, draw the steps that give images: pipeline[:1].",
    )


def _mask_of(before: NDArray[Any], mask: Any) -> NDArray[np.bool_] | None:
    """Return a mask, (n, *spatial), of the shape of the planes before."""
    if mask is None:
        return None
    n, _, *spatial = before.shape
    if np.ndim(mask) == 2:
        mask = np.reshape(mask, (-1, *spatial))
    checked: NDArray[np.bool_] = check_mask(mask, (n, *spatial))
    return checked


def _gray_scale(images: NDArray[Any]) -> tuple[float, float]:
    """Return the intensities that are black and white."""
    if images.dtype == np.bool_ or np.isnan(images).all():
        return 0, 1
    low, high = float(np.nanmin(images)), float(np.nanmax(images))
    if images.dtype.kind == "f" and low >= 0 and high <= 255:
        return 0, 1 if high <= 1 else 255
    if images.dtype.kind == "f":
        # where all are equal, a step that a double of this size can make
        return low, high if high / 2 > low / 2 else low + max(1, abs(low) * 2.0**-40)
    return min(low, 0), max(2.0 ** np.ceil(np.log2(max(high, 0) + 1)) - 1, 255)


def _shares(pixels: NDArray[Any], scale: tuple[float, float]) -> NDArray[np.float64]:
    """Return how far pixels are from black to white; halves, since a range may overflow."""
    low, high = scale[0] / 2, scale[1] / 2
    shares: NDArray[np.float64] = (pixels.astype(np.float64) / 2 - low) / (high - low)
    return shares


def _is_drawable(scale: tuple[float, float]) -> bool:
    """Return whether a scale has room for the bars, and an Axes for the scale."""
    with np.errstate(over="ignore"):
        width = np.subtract(*scale[::-1], dtype=np.float64)
    return bool(np.isfinite(width) and (np.diff(np.linspace(*scale, _N_BARS + 1)) > 0).all())


def _draw_image(
    ax: Axes, image: NDArray[Any], scale: tuple[float, float], edges: Sequence[Any] | None
) -> None:
    """Draw an image (c, h, w), gray or in colour, missing pixels in blue, and its tiles."""
    pixels = np.moveaxis(np.clip(_shares(image, scale), 0, 1), 0, -1)
    missing = np.isnan(pixels).any(axis=-1, keepdims=True)
    rgb = np.broadcast_to(pixels, (*pixels.shape[:2], 3)) if len(image) == 1 else pixels
    rgb = np.where(missing, _MISSING[: rgb.shape[-1]], rgb)
    ax.imshow(rgb, interpolation="nearest")
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_color(_FRAME)
    if edges is not None:
        rows, columns = (axis[1:-1] - 0.5 for axis in edges[-2:])
        ax.hlines(rows, -0.5, image.shape[2] - 0.5, color=_TILES, linewidth=0.7, alpha=0.8)
        ax.vlines(columns, -0.5, image.shape[1] - 0.5, color=_TILES, linewidth=0.7, alpha=0.8)


def _draw_curves(
    ax: Axes,
    image: NDArray[Any],
    scale: tuple[float, float],
    mask: NDArray[np.bool_] | None,
    color: str,
) -> None:
    """Draw the histogram of an image's counted pixels as bars, and the CDF over it as a line.

    The bars are scaled to the tallest, so that one axis, 0 to 1, serves both, and the Axes need no
    twin that would be there twice when it is drawn again.
    """
    channels, colors = _curves_of(image, color, scale)
    pixels = [_counted(channel, mask) for channel in channels]
    units = scale
    if not _is_drawable(scale):
        units, pixels = (0, 1), [_shares(p, scale) for p in pixels]
    bars = [np.histogram(p, _N_BARS, range=units) for p in pixels]
    tallest = max(1, *(counts.max() for counts, _ in bars))
    for p, (counts, edges), (bar, line) in zip(pixels, bars, colors, strict=True):
        alpha = 1 if len(pixels) == 1 else 0.35
        ax.stairs(counts / tallest, edges, fill=True, color=bar, alpha=alpha)
        if p.size:
            levels, steps = np.unique(p, return_counts=True)
            cdf = np.cumsum(steps) / p.size
            points = [units[0], *levels, units[1]]
            ax.step(points, [0, *cdf, 1], where="post", color=line, linewidth=1.3)
    ax.set(xlim=units, ylim=(0, 1.04), xticks=units, yticks=[])
    first, last = ax.set_xticklabels([_short(value) for value in scale])
    first.set_horizontalalignment("left")
    last.set_horizontalalignment("right")
    ax.spines[:].set_color(_FRAME)


def _curves_of(
    image: NDArray[Any], color: str, scale: tuple[float, float]
) -> tuple[NDArray[Any], Sequence[tuple[str, str]]]:
    """Return the planes whose histograms are drawn, and the colours of their bars and lines."""
    if len(image) > 1 and color == "channels":
        return image[:3], _RGB
    if len(image) > 1:
        mode, (low, high), images = MODES[color], scale, image[np.newaxis]
        (image,), _ = mode.plane_of(_shares(images, scale) if mode.is_relative else images)
        image = low + image * (high - low) if mode.is_relative else image
    return image, [(_BAR, _LINE)]


def _counted(plane: NDArray[Any], mask: NDArray[np.bool_] | None) -> NDArray[Any]:
    """Return the pixels that a histogram counts, as doubles."""
    pixels = (plane if mask is None else plane[mask]).astype(np.float64).ravel()
    return pixels[~np.isnan(pixels)]


def _short(value: float) -> str:
    """Return a number as text: whole numbers as they are, others with three digits."""
    return f"{value:.0f}" if value == round(value) and abs(value) < 1e6 else f"{value:.3g}"


def _label(axes: NDArray[Any]) -> None:
    """Write what the columns are above the first row, and the scale below the last."""
    titles = ("before", "after", "histogram before", "histogram after")
    for ax, title in zip(axes[0], titles, strict=True):
        ax.set_title(title, fontsize=11, color=_TEXT)
    for ax in axes[:-1, 2:].flat:
        ax.set_xticklabels([])
    for ax in axes[:, 2:].flat:
        ax.tick_params(colors=_TEXT, labelsize=8)
    for ax in axes[:, 3]:
        ax.yaxis.tick_right()
        ax.yaxis.set_label_position("right")
        ax.set_yticks([0, 1])
        ax.tick_params(axis="y", colors=_LINE)
        ax.set_ylabel("CDF", color=_LINE, fontsize=9, labelpad=-4)


def _divide(ax: Axes, n: int, shares: NDArray[Any]) -> NDArray[Any]:
    """Return (n, 4) Axes inside one, which is emptied first."""
    ax.clear()  # with the Axes inside it, from an earlier time
    ax.set_axis_off()
    left = np.cumsum(shares) - shares
    axes = np.empty((n, 4), dtype=object)
    for row, column in np.ndindex(n, 4):
        height = 0.94 / n - 0.02
        box = (float(left[column]), 1 - (row + 1) / n, float(shares[column]) - 0.02, height)
        axes[row, column] = ax.inset_axes(box)
    return axes


def _pyplot() -> Any:
    """Return matplotlib.pyplot, or say what is missing."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            "EqualizationDisplay draws with matplotlib, which is not installed: "
            "pip install matplotlib."
        ) from error
    return plt
