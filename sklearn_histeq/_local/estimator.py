"""LocalHistogramEqualizer: one transfer function per pixel, of the window around it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Literal

from numpy.typing import DTypeLike

from .. import _engine
from .._base import ChannelAxis, Color, ImageTransformer, SpatialDims
from .._input import parameters, warn_the_caller
from . import windows
from .conventions import CONVENTIONS, LocalRule
from .parameters import check_window


class LocalHistogramEqualizer(ImageTransformer):
    """Equalize every pixel by the histogram of the window around it.

    A pixel becomes its rank among its neighbours: the share of pixels in the window that are
    darker, where equally bright pixels count half. Light that changes slowly from place to place
    hardly changes the result, and an increasing tone curve (another gamma, gain or exposure) does
    not change it at all. There are no bins and no clip limit.

    This also removes shading that is larger than a window. Under even light, such shading helps to
    distinguish faces, so its loss costs accuracy. For recognition, images must be aligned with each
    other to the pixel. The page "Choosing an estimator" has measurements.

    For a single image, call `transform(image[None])`: an array of shape (96, 96) is read as
    96 flattened images.

    Parameters
    ----------
    window : float, int, or tuple of these, default=0.125
        The side of the square window. A float in (0, 1] is a share of the shorter side of the
        images: the window reaches `r = max(1, floor(window * side / 2))` pixels to each side of its
        middle, and is 2 * r + 1 pixels wide. An odd integer >= 3 is the width in pixels. In
        volumes, an integer is the width along all three axes, and a float is also the share of the
        depth. A tuple has one number per axis, (rows, columns) or (depth, rows, columns): a float
        is the share of its own axis, and an odd integer >= 1 the width along it. At the border of
        the image the window is cut off.
    convention : {"histeq", "skimage"}, default="histeq"
        Which definition is used:

        - "histeq": the definition of this package, given below. Images have any dtype and range,
          and the output is floats in [0, 1].
        - "skimage": `skimage.filters.rank.equalize` with a footprint of ones, bit for bit. Input
          and output are uint8 or uint16.
    color : {"channels", "value", "luminance", "lightness"}, default="channels"
        What is equalized in colour images. All values but the first need RGB or RGBA images, with
        the channels in this order. Alpha is not equalized, only brought to the range of the output.

        - "channels": each channel by itself.
        - "value": v = max(R, G, B) becomes v', and each colour c becomes c * v' / v, so that hue
          and saturation stay unchanged.
        - "luminance": Y = .299 R + .587 G + .114 B becomes Y', and each colour c becomes
          c + (Y' - Y), on the scale of the output, and clipped to its range. Y of integers is
          rounded to their type.
        - "lightness": L* / 100 of CIELAB is equalized as floats in [0, 1], and a* and b* stay
          unchanged. The formulas are those of `skimage.color`. It works neither with the convention
          "skimage", which takes only integers, nor on other devices than the CPU.

        For the last two, floats must lie in [0, 1]. References are given in
        :class:`HistogramEqualizer`.
    channel_axis : {1, -1}, default=1
        Position of the channels in 4-D images: 1 for (n, c, h, w), -1 for (n, h, w, c).
    image_shape : tuple of ints or None, default=None
        Shape of the images in 2-D input, where each row is a flattened image: (h, w), or (c, h, w),
        or (h, w, c) with `channel_axis=-1`. None: a row is one plane of 1×n_pixels, with a warning,
        since this is rarely intended. Ignored for input of more dimensions.
    spatial_dims : {2, 3}, default=2
        Number of axes of a plane. 2: images. 3: volumes, each of which is equalized as a whole:
        (n, c, d, h, w), or (n, d, h, w, c) with `channel_axis=-1`, or (n, d, h, w). Masks are then
        (n, d, h, w), and `image_shape` is (d, h, w) or has four numbers.
    flatten : bool, default=False
        Return one row per image, `output.reshape(n, -1)`, as PCA, SVC and others expect it.
    dtype : None, "input", "float32", "float64", "uint8" or "uint16", default=None
        Type of the output. None: with "skimage", the type of the images; otherwise float32 for
        images in float32 and float16, and float64 for all others. To floats, values are cast
        without scaling. To integers, they become `rint(double(value) / top * max)`. Here top is 1,
        or with "skimage" the largest level of the type of the images, and max is the largest level
        of the type of the output. "input": the type of X, by the same rules.
    n_jobs : int or None, default=None
        Number of threads that share the images, as in scikit-learn: None means 1 unless in a
        :obj:`joblib.parallel_config` context, -1 means all processors. It does not change the
        result.

    Attributes
    ----------
    n_features_in_ : int
        Number of values per image: the product of X.shape[1:].
    n_channels_in_ : int
        Number of channels.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns. Only if X is 2-D and all its column names are strings.

    See Also
    --------
    AdaptiveHistogramEqualizer : One transfer function per tile, with limited contrast (CLAHE).
    HistogramEqualizer : One transfer function per image.
    relit_scorer : Validate on relit copies of the images, to choose between these by a search.
    skimage.filters.rank.equalize : Convention "skimage", one image or volume at a time.

    Notes
    -----
    With the convention "histeq", let I(p) be the intensity of a pixel p, and its window W(p) the
    counted pixels of the square or box around it. The pixel becomes the mid-rank ::

        (#{q in W(p): I(q) < I(p)} + #{q in W(p): I(q) = I(p)} / 2) / #W(p)

    So a window of one level gives 1/2, and no value of a counted pixel is exactly 0 or 1. Only the
    order of intensities matters: a strictly increasing function of the intensities changes no bit
    of the result.

    The values of a window are spread evenly over (0, 1). Classifiers that compare distances do
    better with normal quantiles, to which :class:`HistogramEqualizer` maps the whole image: ::

        make_pipeline(
            LocalHistogramEqualizer(),
            HistogramEqualizer(output_distribution="normal", flatten=True),
        )

    NaN is a missing pixel: it is not counted, and it stays NaN in the output. The argument `mask`
    of `transform` and `fit_transform` says which pixels count. All pixels are mapped, by the
    counted pixels of their windows. If a window has no counted pixel, "histeq" uses the counted
    pixels of the whole image, and "skimage" gives 0, as scikit-image does. An infinity is an error.
    `fit` reads no pixel.

    Examples
    --------
    One scene under light from the left, and under light from the right. A single transfer function
    cannot correct such light, but windows can: the results are nearly equal.

    >>> import numpy as np
    >>> from sklearn_histeq import HistogramEqualizer, LocalHistogramEqualizer
    >>> scene = np.random.default_rng(0).uniform(0.2, 1, size=(64, 64))
    >>> light = np.linspace(1, 0.1, 64)
    >>> X = np.stack([scene * light, scene * light[::-1]])
    >>> def similarity(X):
    ...     return round(float(np.corrcoef(X.reshape(2, -1))[0, 1]), 2)
    >>> similarity(X), similarity(HistogramEqualizer().fit_transform(X))
    (-0.28, -0.25)
    >>> similarity(LocalHistogramEqualizer().fit_transform(X))
    0.98

    The window of the middle pixel has nine pixels, and the window of a corner pixel has four:

    >>> X = [[[1, 2, 3], [4, 5, 6], [7, 8, 9]]]
    >>> LocalHistogramEqualizer(window=3).transform(X).round(3)
    array([[[0.125, 0.25 , 0.375],
            [0.417, 0.5  , 0.583],
            [0.625, 0.75 , 0.875]]])
    """

    def __init__(
        self,
        *,
        window: float | Sequence[float] = 0.125,
        convention: Literal["histeq", "skimage"] = "histeq",
        color: Color = "channels",
        channel_axis: ChannelAxis = 1,
        image_shape: Sequence[int] | None = None,
        spatial_dims: SpatialDims = 2,
        flatten: bool = False,
        dtype: DTypeLike | Literal["input"] | None = None,
        n_jobs: int | None = None,
    ) -> None:
        self.window = window
        self.convention = convention
        self.color = color
        self.channel_axis = channel_axis
        self.image_shape = image_shape
        self.spatial_dims = spatial_dims
        self.flatten = flatten
        self.dtype = dtype
        self.n_jobs = n_jobs

    # Hooks ---------------------------------------------------------------------------------------

    _conventions = CONVENTIONS
    _ns_per_pixel = 3, 4, 4  # of small windows
    _sees_places = True

    def _check_params(self):
        parameters.check_choice("convention", self.convention, CONVENTIONS)
        check_window(self.window, self.spatial_dims)

    def _check_images(self, images):
        images.layout.check_width(images.X.shape, *images.planes.shape[1:])

    def _function(self, images, learned):
        if images.X.ndim == 2 and self.image_shape is None:
            came, remedy = images.layout.problem_of_rows(images.planes.shape[-1], "windows")
            warn_the_caller(came, remedy=remedy)
        return partial(_local, self._rule(images.planes.shape[2:]))

    def _passes(self, engine, whole, learned):
        return engine.local.passes(whole, self._rule(whole.shape))

    def _rule(self, shape):
        """Return how windows of planes of a spatial shape become values."""
        return LocalRule(windows.radii(self.window, shape), self._convention)


def _local(rule, planes, mask, out, map_parts):
    """Equalize planes by their windows; return their status."""
    return _engine.select(planes).local.local(planes, mask, out, rule, map_parts)
