"""AdaptiveHistogramEqualizer: one transfer function per tile (CLAHE)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import DTypeLike

from .. import _engine
from .._arithmetic.spans import OWN, span_of
from .._base import ChannelAxis, Color, ImageTransformer, SpatialDims
from .._blocks import on_slices
from .._input import parameters, warn_the_caller
from .._input.layout import images_of
from .._input.parameters import ALL_QUANTILES
from .._input.problem import Setting
from .._passes import Part, below_each_other
from . import tiles
from .conventions import CONVENTIONS, ClaheRule
from .parameters import (
    N_BINS,
    check_clip_limit,
    check_tile_shape_of_convention,
    check_tiles,
    check_volumes_of_convention,
)


class AdaptiveHistogramEqualizer(ImageTransformer):
    """Equalize every image tile by tile, with limited contrast (CLAHE).

    Contrast limited adaptive histogram equalization [1]_ divides every image into tiles. Each tile
    has its own transfer function, the CDF of its intensities. The value of a pixel is interpolated
    between the transfer functions of the four tiles around it. This corrects light that falls from
    one side, which no single transfer function can do. A limit on the slope of the transfer
    functions keeps the noise in flat tiles low.

    For a single image, call `transform(image[None])`: an array of shape (96, 96) is read as
    96 flattened images.

    Parameters
    ----------
    n_tiles : int or tuple of ints, default=8
        Number of tiles along each axis, or (rows, columns), or (depth, rows, columns) for volumes.
        The convention "histeq" uses at most half as many tiles as there are pixels along an axis,
        and warns if this is less than `n_tiles`.
    tile_shape : int, tuple of ints or None, default=None
        Number of pixels per tile along each axis, or (rows, columns), or (depth, rows, columns) for
        volumes. It replaces `n_tiles`. Not available with the convention "opencv".
    clip_limit : "auto", float or None, default="auto"
        The largest slope of a transfer function, as a multiple of the bin height of a uniform
        histogram. OpenCV has the same definition; the clip limit of scikit-image is this number
        divided by `n_bins`. It must be at least 1 with "histeq", and above 0 with the other
        conventions. None: no limit. "auto": 3 with "histeq" (the page "Measurements of accuracy"
        says why), and the default of the library with the other conventions, which is
        `0.01 * n_bins` (2.56) for "skimage" and 40 for "opencv". The user guide says how to convert
        MATLAB's values.
    n_bins : int, default=256
        Number of histogram bins. The convention "opencv" has one bin per level and accepts only the
        default.
    value_range : "dtype", tuple of two floats or None, default=None
        The range of intensities that the bins cover. None: from the smallest to the largest counted
        pixel of each plane. (low, high): the same range for all planes, so that a hot pixel, or
        anything else that an image shows, does not move the bins. The edges are
        `numpy.linspace(low, high, n_bins + 1)`. Pixels outside of the range are clipped to it
        first. "dtype": the full range of integers, [0, 1] for floats. 12-bit images in uint16 would
        then fill only 16 of 256 bins, so give (0, 4095) for them. With the convention "skimage",
        the range of signed integers begins at 0, and the last step becomes a division by 16383
        instead of stretching the values of each plane to [0, 1]. The convention "opencv" has one
        bin per level: "dtype" changes nothing, and two numbers are an error. With a `color` other
        than "channels", this is the range of the plane that is equalized: with `color="lightness"`,
        [0, 1] is black to white.
    quantile_range : tuple of two floats, default=(0, 100)
        The bins of each plane cover the range between two quantiles of its counted pixels, given in
        percent, as in :class:`sklearn.preprocessing.RobustScaler`. The quantiles are
        `numpy.percentile(plane[counted].astype(float64), quantile_range)`. Pixels outside of this
        range are clipped to it first. If both quantiles are equal in the precision of the plane,
        the bins cover the plane's own range. It cannot be combined with `value_range` or the
        convention "opencv".
    convention : {"histeq", "skimage", "opencv"}, default="histeq"
        Which definition of CLAHE is used:

        - "histeq": the definition of this package, given below. Images have any dtype and range,
          and the output is floats in [0, 1].
        - "skimage": `skimage.exposure.equalize_adapthist`, bit for bit. Its `kernel_size` is
          `tile_shape` or else `max(side // n_tiles, 1)`. The output is floats in [0, 1].
        - "opencv": `cv2.createCLAHE(clip_limit, tileGridSize=n_tiles[::-1])`, bit for bit as on
          x86-64. On ARM, OpenCV's own result differs by one level in up to one of a thousand
          pixels. Input and output are uint8 or uint16.

        The last two refuse negative values, floats above 1, NaN and masks.
    color : {"channels", "value", "luminance", "lightness"}, default="channels"
        What is equalized in colour images. All values but the first need RGB or RGBA images, with
        the channels in this order. Alpha is not equalized, only brought to the range of the output.

        - "channels": each channel by itself.
        - "value": v = max(R, G, B) becomes v', and each colour c becomes c * v' / v, so that hue
          and saturation stay unchanged.
        - "luminance": Y = .299 R + .587 G + .114 B becomes Y', and each colour c becomes
          c + (Y' - Y), on the scale of the output, and clipped to its range. With the convention
          "opencv", images are converted to YCrCb and back as by `cv2.cvtColor`, bit for bit.
        - "lightness": L* / 100 of CIELAB is equalized as floats in [0, 1], and a* and b* stay
          unchanged. The formulas are those of `skimage.color`, or with the convention "opencv",
          which takes only uint8 here, those of `cv2.cvtColor` to Lab and back. It does not work on
          other devices than the CPU.

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
        (n, d, h, w), and `image_shape` is (d, h, w) or has four numbers. Not available with the
        convention "opencv".
    flatten : bool, default=False
        Return one row per image, `output.reshape(n, -1)`, as PCA, SVC and others expect it.
    dtype : None, "input", "float32", "float64", "uint8" or "uint16", default=None
        Type of the output. None: with "opencv", the type of the images; otherwise float32 for
        images in float32 and float16, and float64 for all others. To floats, values are cast
        without scaling. To integers, they become `rint(double(value) / top * max)`. Here top is 1,
        or with "opencv" the largest level of the type of the images, and max is the largest level
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
    HistogramEqualizer : One transfer function per image.
    skimage.exposure.equalize_adapthist : Convention "skimage", one image at a time.

    Notes
    -----
    The convention "histeq" is defined as follows, for a plane with T tiles along an axis of L
    pixels:

    1. The bins are those of `HistogramEqualizer(n_bins=n_bins)`. They have equal width over the
       plane's own range, or over the range that `value_range` or `quantile_range` gives. A constant
       plane becomes 1.0, unless `value_range` is given.
    2. Tile k holds the pixels from floor(k * L / T) to floor((k + 1) * L / T) - 1; there is no
       padding. Its center is the mean of its first and last pixel. `tile_shape` t means T = max(1,
       round(L / t)).
    3. The counts of a tile of m counted pixels are clipped at
       `limit = clip_limit * max(m / n_bins, 1)`, and what is cut off is distributed over the bins:
       a count becomes `min(count + d, limit)`, where d >= 0 is the number for which the new counts
       still sum to m. A tile without a counted pixel has the counts of the whole plane.
    4. The cumulated counts, divided by m, are the tile's CDF at the bin centers, linear between
       them and constant beyond.
    5. A pixel at the distances fx and fy (as shares of the distance between two centers) from the
       center of the tile to its upper left has the value ::

           (1 - fy) * ((1 - fx) * a + fx * b) + fy * ((1 - fx) * c + fx * d)

       where a, b, c and d are its values by the CDFs of the tiles to the upper left, upper right,
       lower left and lower right. Beyond the outer centers, only the outer tiles are used.
    6. Volumes also have layers of tiles, by rule 2. The CDFs of a slice at the share fz of the
       distance between the centers of two layers are `(1 - fz) * front + fz * back`, tile by tile
       and bin by bin. Rule 5 then gives the values of its pixels.

    So `n_tiles=1, clip_limit=None` equals `HistogramEqualizer(n_bins=256)`. An image in 8 bits and
    the same image in 16 bits (times 257) give equal results up to rounding. They are equal bit for
    bit with 256 bins, if there is a limit or more than one tile. The limit need not be a whole
    number of pixels, while OpenCV rounds it down: on tiles of 8×8 pixels its result is the same for
    all clip limits below 8.

    Without a limit, the noise in a flat tile is stretched over the whole range. One very bright
    pixel in an image of 12 bits wastes most bins: mask it, or use `value_range=(0, 4095)`. With a
    `value_range`, equal tiles have equal transfer functions in all images. Under even light, small
    tiles cost accuracy: see the page "Choosing an estimator".

    NaN is a missing pixel: it is not counted, and it stays NaN in the output. The argument `mask`
    of `transform` and `fit_transform` says which pixels count; all pixels are mapped. An infinity
    is an error. `fit` reads no pixel.

    References
    ----------
    .. [1] K. Zuiderveld, "Contrast Limited Adaptive Histogram Equalization", in Graphics Gems IV,
       Academic Press, 1994, pp. 474-485.

    Examples
    --------
    In this scene the light falls from the left. A single transfer function cannot correct such
    light, but tiles can: both halves become nearly equally bright. A higher limit makes them more
    equal.

    >>> import numpy as np
    >>> from sklearn_histeq import AdaptiveHistogramEqualizer, HistogramEqualizer
    >>> rng = np.random.default_rng(0)
    >>> light = np.linspace(200, 20, 96)
    >>> X = rng.uniform(0, light, size=(1, 1, 96, 96)).astype(np.uint8)
    >>> def left_and_right(X):
    ...     return [round(float(half.mean()), 2) for half in np.split(X, 2, axis=-1)]
    >>> left_and_right(X), left_and_right(HistogramEqualizer().fit_transform(X))
    ([76.86, 31.99], [0.65, 0.36])
    >>> left_and_right(AdaptiveHistogramEqualizer().fit_transform(X))
    [0.5, 0.42]
    >>> left_and_right(AdaptiveHistogramEqualizer(clip_limit=8).fit_transform(X))
    [0.51, 0.5]

    OpenCV's result for all images in one call:

    >>> clahe = AdaptiveHistogramEqualizer(convention="opencv", clip_limit=2.0, n_tiles=(4, 6))
    >>> clahe.fit_transform(X).dtype
    dtype('uint8')
    """

    def __init__(
        self,
        *,
        n_tiles: int | Sequence[int] = 8,
        tile_shape: int | Sequence[int] | None = None,
        clip_limit: float | Literal["auto"] | None = "auto",
        n_bins: int = N_BINS,
        value_range: Literal["dtype"] | Sequence[float] | None = None,
        quantile_range: Sequence[float] = ALL_QUANTILES,
        convention: Literal["histeq", "skimage", "opencv"] = "histeq",
        color: Color = "channels",
        channel_axis: ChannelAxis = 1,
        image_shape: Sequence[int] | None = None,
        spatial_dims: SpatialDims = 2,
        flatten: bool = False,
        dtype: DTypeLike | Literal["input"] | None = None,
        n_jobs: int | None = None,
    ) -> None:
        self.n_tiles = n_tiles
        self.tile_shape = tile_shape
        self.clip_limit = clip_limit
        self.n_bins = n_bins
        self.value_range = value_range
        self.quantile_range = quantile_range
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
    _ns_per_pixel = 3, 5, 5
    _sees_places = True

    def _check_params(self):
        parameters.check_choice("convention", self.convention, CONVENTIONS)
        check_tiles("n_tiles", self.n_tiles, self.spatial_dims)
        if self.tile_shape is not None:
            check_tiles("tile_shape", self.tile_shape, self.spatial_dims)
        convention = self._convention
        check_volumes_of_convention(self.spatial_dims, convention)
        check_tile_shape_of_convention(self.tile_shape, convention)
        check_clip_limit(self.clip_limit, convention)
        parameters.check_n_bins(self.n_bins, auto=False)
        parameters.check_bins_of_convention(self.n_bins, N_BINS, convention)
        parameters.check_ranges(self.value_range, self.quantile_range, convention)

    def _check_images(self, images):
        images.layout.check_width(images.X.shape, *images.planes.shape[1:])

    def _function(self, images, learned):
        rule = self._rule(images.planes.shape[2:], self._plane_dtype(images.X.dtype))
        self._warn(images, rule.tiles)
        function = partial(_clahe, rule)
        is_global = images.planes.ndim > 4 and rule.of_whole_planes is not None
        return partial(on_slices, function) if is_global else function

    def _passes(self, engine, whole, learned):
        rule = self._rule(whole.shape, whole.dtype)
        if not rule.of_whole_planes:
            return engine.clahe.passes(whole, rule)
        found = engine.equalize.passes(whole, rule.of_whole_planes)
        if isinstance(found, str) or len(whole.shape) == 2:
            return found
        reads = (each._replace(read=partial(_on_slices, each.read)) for each in found.reads)
        return found._replace(reads=tuple(reads), write=partial(_on_slices, found.write))

    def _rule(self, shape, dtype):
        """Return how planes of a shape and a dtype are equalized."""
        convention, span = self._convention, OWN
        if convention.takes_n_bins:  # else "dtype" changes nothing
            ranges = self.value_range, self.quantile_range
            span = span_of(*ranges, dtype, convention.takes_negative)
        limit = convention.engine_clip_limit(self.clip_limit, self.n_bins)
        return ClaheRule(self._tiles(shape), limit, self.n_bins, convention, span)

    # Tiles ---------------------------------------------------------------------------------------

    def _tiles(self, shape):
        """Return the tiles of planes of a shape: how many, or of what shape with "skimage"."""
        n_tiles, tile_shape = tiles.per_axis(self.n_tiles, len(shape)), None
        if self.tile_shape is not None:
            tile_shape = tiles.per_axis(self.tile_shape, len(shape))
        return self._convention.tiling.tiles(shape, n_tiles, tile_shape)

    def _tile_edges(self, shape):
        """Return where tiles begin along the axes of planes of a shape; last, their end."""
        return self._convention.tiling.edges(shape, self._tiles(shape))

    def _warn(self, images, used):
        """Warn, at most once, if the tiles differ from what the parameters ask for."""
        shape, n_tiles = images.planes.shape[2:], Setting("n_tiles", self.n_tiles)
        on_images = f" on {images_of(*shape)}: "
        found = []
        if images.X.ndim == 2 and self.image_shape is None:
            found.append(images.layout.problem_of_rows(shape[-1], "tiles"))
        if self._uses_fewer(shape, used):
            n_used = f"using {'×'.join(map(str, used))} tiles, of at least two pixels along an axis"
            remedy = "Set n_tiles to no more than half the pixels."
            found.append(((n_tiles, f"{on_images}{n_used}"), remedy))
        elif np.prod(self._convention.tiling.tile_shape(shape, used)) == 1 < np.prod(shape):
            both = n_tiles, ", ", Setting("tile_shape", self.tile_shape)
            says_nothing = f"{on_images}a tile is one pixel, whose CDF says nothing"
            found.append(((*both, says_nothing), "Set fewer tiles, or larger ones."))
        if found:
            came, remedy = found[-1]
            for pieces, advice in found[:-1]:
                came = (*pieces, f". {advice} ", *came)
            warn_the_caller(came, remedy=remedy)

    def _uses_fewer(self, shape, used):
        """Return whether fewer tiles are used than asked for, on a side longer than one pixel."""
        if self._convention.tiling is not tiles.EVEN or self.tile_shape is not None:
            return False
        asked = tiles.per_axis(self.n_tiles, len(shape))
        return any(
            n < wanted and side > 1 for side, n, wanted in zip(shape, used, asked, strict=True)
        )


def _clahe(rule, planes, mask, out, map_parts):
    """Equalize planes by the CDFs of their tiles; return their status."""
    return _engine.select(planes).clahe.clahe(planes, mask, out, rule, map_parts)


def _on_slices(function, found, part):
    """Return function(found, part) of the slices of volumes below each other."""
    planes, mask, out = (None if each is None else below_each_other(each) for each in part[:3])
    found = function(found, Part(planes, mask, out, part.place, part.outer))
    if out is not None and not np.may_share_memory(out, part.out):
        part.out[...] = out.reshape(part.out.shape)
    return found
