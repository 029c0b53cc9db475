"""HistogramEqualizer: one transfer function per plane, or one per channel for a whole data set."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray
from sklearn.utils.validation import check_is_fitted

from .. import _engine
from .._arithmetic import counting, dtypes, transfer
from .._arithmetic.spans import span_of
from .._base import ChannelAxis, Color, ImageTransformer, SpatialDims, only_if
from .._blocks import Output, Work, map_planes
from .._input import Limits, parameters, read
from .._input.parameters import ALL_QUANTILES
from .._input.pixel_errors import check_channels_counted
from .._input.problem import Setting
from .._passes import Passes, write_part
from . import data_set
from .blending import Blend
from .conventions import CONVENTIONS, EqualizeRule
from .parameters import (
    SCOPES,
    check_normal_color,
    check_normal_dtype,
    check_output_distribution,
    check_partial_strength,
    check_quantiles_of_scope,
)


def _check_has_partial_fit(self):
    """Raise an AttributeError that says why partial_fit is not available."""
    if self.scope != "dataset":
        raise AttributeError(
            f"partial_fit needs scope='dataset': with scope={self.scope!r} each plane is equalized "
            "by its own CDF, and nothing is learned."
        )


def _check_has_inverse(self):
    """Raise an AttributeError that says why inverse_transform is not available."""
    if self.scope != "dataset":
        raise AttributeError(
            f"inverse_transform needs scope='dataset'. With scope={self.scope!r} each image is "
            "equalized by itself, and nothing is kept to undo it. Use "
            "HistogramEqualizer(scope='dataset'): fit and transform the original images, then "
            "inverse_transform the result."
        )
    is_invertible = getattr(self._convention, "is_invertible", False)
    if not is_invertible or self.color != "channels":
        raise AttributeError(
            "inverse_transform needs convention='skimage' or 'numpy' and color='channels', not "
            f"convention={self.convention!r} and color={self.color!r}."
        )
    if self.strength != 1:
        raise AttributeError(
            f"inverse_transform needs strength=1: with strength={self.strength!r} equalized values "
            "are blended with the image."
        )


class HistogramEqualizer(ImageTransformer):
    """Equalize the histogram of every image, or of a whole data set.

    Each plane (one channel of one image) is mapped by a monotone transfer function: the cumulative
    distribution function (CDF) of its own intensities. The intensities then spread evenly over the
    output range [1]_. Every CDF equals that of :func:`skimage.exposure.cumulative_distribution`,
    bit for bit. The result for one image never depends on the other images, unless
    `scope="dataset"` is set.

    For a single image, call `transform(image[None])`: an array of shape (96, 96) is read as
    96 flattened images.

    Parameters
    ----------
    n_bins : int or "auto", default="auto"
        Number of histogram bins. "auto": one bin per level for integers (256 bins with the
        convention "numpy") and 256 bins for floats, as in scikit-image. If you pass a number,
        integer images are binned as well: the result is that of `plane.astype(float64)` with this
        number of bins. The conventions "opencv" and "pillow" always have one bin per level, so that
        a number is an error.
    value_range : "dtype", tuple of two floats or None, default=None
        The range of intensities that the bins cover. None: from the smallest to the largest counted
        pixel of each plane. (low, high): the same range for all planes, so that a hot pixel, or
        anything else that an image shows, does not move the bins. The edges are
        `numpy.linspace(low, high, n_bins + 1)`. Pixels outside of the range are clipped to it
        first. "dtype": the full range of integers, [0, 1] for floats. 12-bit images in uint16 would
        then fill only 16 of 256 bins, so give (0, 4095) for them. Where there is one bin per level,
        "dtype" changes nothing, and two numbers are an error. With a `color` other than "channels",
        this is the range of the plane that is equalized: with `color="lightness"`, [0, 1] is black
        to white.
    quantile_range : tuple of two floats, default=(0, 100)
        The bins of each plane cover the range between two quantiles of its counted pixels, given in
        percent, as in :class:`sklearn.preprocessing.RobustScaler`. The quantiles are
        `numpy.percentile(plane[counted].astype(float64), quantile_range)`. Pixels outside of this
        range are clipped to it first. If both quantiles are equal in the precision of the plane,
        the bins cover the plane's own range. It cannot be combined with `value_range` or
        `scope="dataset"`, nor used where there is one bin per level.
    convention : {"skimage", "numpy", "opencv", "pillow"}, default="skimage"
        The function whose result is computed, bit for bit:

        - "skimage": `skimage.exposure.equalize_hist`; floats in (0, 1].
        - "numpy": the NumPy recipe [2]_ with 256 bins, or `n_bins`; float64 from 0 to 255.
        - "opencv": `cv2.equalizeHist`; input and output are uint8.
        - "pillow": `PIL.ImageOps.equalize`; input and output are uint8.
    scope : {"image", "dataset"}, default="image"
        "image": each plane is mapped by its own CDF, and nothing is learned. "dataset": one CDF per
        channel is learned from all training images, so that bright images stay brighter than dark
        ones. `partial_fit` and `inverse_transform` are then available.
    output_distribution : {"uniform", "normal"}, default="uniform"
        "uniform": the transfer function is the CDF. "normal" (only with the convention "skimage"):
        it is the standard normal quantile of the mid-distribution [3]_,
        `(cum_before + count / 2) / n_pixels`, at the centers of the bins that contain a pixel. No
        pixel becomes infinite.
    strength : float, default=1.0
        How far images are equalized, from 0 (not at all) to 1 (completely). The result is
        `(1 - strength) * u + strength * t`, computed in double precision before `dtype` is applied.
        Here t is the equalized image. u is the image itself, linearly mapped to the range of the
        convention ([0, 1] or [0, 255]): from `value_range`, to which it is clipped, or otherwise
        from the full range of its dtype. So floats outside of [0, 1] need a `value_range`. For this
        purpose, integers may have one even with one bin per level. With "opencv" and "pillow" the
        sum is rounded to uint8, halves to even. With a `color` other than "channels", only the
        plane that it names is blended, and the colours follow it. Below 1, the output must be
        uniform, and there is no `inverse_transform`.
    color : {"channels", "value", "luminance", "lightness"}, default="channels"
        What is equalized in colour images. All values but the first need RGB or RGBA images, with
        the channels in this order. Alpha is not equalized, only brought to the range of the output.

        - "channels": each channel by itself.
        - "value": v = max(R, G, B) becomes v', and each colour c becomes c * v' / v, so that hue
          and saturation stay unchanged [4]_.
        - "luminance": Y = .299 R + .587 G + .114 B [5]_ becomes Y', and each colour c becomes
          c + (Y' - Y), on the scale of the output, and clipped to its range. Y of integers is
          rounded to their type. With the convention "opencv", images are converted to YCrCb and
          back as by `cv2.cvtColor`, bit for bit.
        - "lightness": L* / 100 of CIELAB [6]_ is equalized as floats in [0, 1], and a* and b* stay
          unchanged. The formulas are those of `skimage.color`, or with the convention "opencv"
          those of `cv2.cvtColor` to Lab and back. It works neither with "pillow" nor on other
          devices than the CPU.

        For the last two, floats must lie in [0, 1], and the output must be uniform.
    channel_axis : {1, -1}, default=1
        Position of the channels in 4-D images: 1 for (n, c, h, w), -1 for (n, h, w, c).
    image_shape : tuple of ints or None, default=None
        Shape of the images in 2-D input, where each row is a flattened image: (h, w), or (c, h, w),
        or (h, w, c) with `channel_axis=-1`. None: a row is one plane. Ignored for input of more
        dimensions.
    spatial_dims : {2, 3}, default=2
        Number of axes of a plane. 2: images. 3: volumes, each of which is equalized as a whole:
        (n, c, d, h, w), or (n, d, h, w, c) with `channel_axis=-1`, or (n, d, h, w). Masks are then
        (n, d, h, w), and `image_shape` is (d, h, w) or has four numbers.
    flatten : bool, default=False
        Return one row per image, `output.reshape(n, -1)`, as PCA, SVC and others expect it.
    dtype : None, "input", "float32", "float64", "uint8" or "uint16", default=None
        Type of the output. None: the type that the convention gives. To floats, values are cast
        without scaling. To integers, they become `rint(double(value) / top * max)`, where top is
        the largest value of the convention (1 or 255) and max is the largest level of the type.
        "input": the type of X, by the same rules.
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
    cdf_ : list of ndarray
        The CDF of each channel at its `bin_centers_` (a single one unless `color="channels"`). Only
        with `scope="dataset"`.
    bin_centers_ : list of ndarray
        Bin centers of each channel; the counted levels for integers with one bin per level. Only
        with `scope="dataset"`.
    n_samples_seen_ : int
        Number of images learned from. Only with `scope="dataset"`.

    See Also
    --------
    skimage.exposure.equalize_hist : One image at a time.
    sklearn.preprocessing.QuantileTransformer : Maps features, not images, to a distribution.

    Notes
    -----
    NaN is a missing pixel: it is not counted, and it stays NaN in the output. The argument `mask`
    of `fit`, `transform` and the others says which pixels count; all pixels are mapped. An infinity
    is an error.

    The results differ from those of scikit-image and NumPy only in these cases:

    - A plane with one counted level becomes 1.0 (255 with "numpy", 0.0 with
      `output_distribution="normal"`). "opencv" and "pillow" leave it as it is, as their libraries
      do. With a `value_range`, the level is mapped like any other.
    - Where bins cannot be computed, the pixels are replaced by their ranks, which gives the exact
      empirical CDF. This happens when two neighbouring edges coincide in the dtype of the plane,
      when an edge, a center or a slope is not finite, and, with `n_bins="auto"`, for integers that
      are beyond 2**53 or spread too widely for one bin per level. With a number for `n_bins`, or a
      given range, integers beyond 2**53 are rounded to the nearest double.
    - float16 is computed in float32, bool has two levels, and NaN is missing.

    `fit` reads pixels only with `scope="dataset"`, and where floats become integers (`dtype`),
    which it searches for NaN. A plane of more than 2**31 - 1 pixels in a NumPy array is computed by
    slower code, which needs 8 more bytes of memory per pixel; dask arrays need no more.

    References
    ----------
    .. [1] R. C. Gonzalez and R. E. Woods, "Digital Image Processing", 4th ed., Pearson, 2018,
       section 3.3.
    .. [2] J. E. Solem, "Programming Computer Vision with Python", O'Reilly, 2012, section 1.3.
    .. [3] E. Parzen, "Quantile Probability and Statistical Data Modeling", Statistical Science
       19(4), 2004.
    .. [4] A. R. Smith, "Color Gamut Transform Pairs", SIGGRAPH 1978 (the hexcone model, whose value
       is max(R, G, B)).
    .. [5] ITU-R, Recommendation BT.601-7, "Studio encoding parameters of digital television", 2011.
    .. [6] CIE 015:2018, "Colorimetry", 4th ed., section 8.2.1; IEC 61966-2-1:1999 (sRGB).

    Examples
    --------
    Two images of the same scene in different light become equal here, because one increasing
    function maps the intensities of the first image to those of the second:

    >>> import numpy as np
    >>> from sklearn_histeq import HistogramEqualizer
    >>> rng = np.random.default_rng(0)
    >>> scene = rng.integers(0, 100, size=(1, 96, 96), dtype=np.uint8)
    >>> X = np.stack([scene, 2 * scene + 50])
    >>> X.shape
    (2, 1, 96, 96)
    >>> X_equalized = HistogramEqualizer().fit_transform(X)
    >>> X_equalized.dtype, bool((X_equalized[0] == X_equalized[1]).all())
    (dtype('float64'), True)

    As the first step of a pipeline, which then recognises scenes in another light:

    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> from sklearn.pipeline import make_pipeline
    >>> scenes = rng.integers(0, 100, size=(5, 1, 96, 96), dtype=np.uint8)
    >>> recogniser = make_pipeline(HistogramEqualizer(flatten=True), KNeighborsClassifier(1))
    >>> recogniser.fit(scenes, list("abcde")).predict(2 * scenes + 50)
    array(['a', 'b', 'c', 'd', 'e'], dtype='<U1')

    One hot pixel widens the bins of floats, so that nearly all other pixels fall into one bin. Bins
    over a given range do not change:

    >>> X = rng.random((1, 1, 96, 96))
    >>> X_hot = X.copy()
    >>> X_hot[0, 0, 0, 0] = 1000
    >>> def largest_shift(equalizer):
    ...     shift = equalizer.fit_transform(X_hot) - equalizer.fit_transform(X)
    ...     return round(float(abs(shift).ravel()[1:].max()), 2)
    >>> largest_shift(HistogramEqualizer())
    1.0
    >>> largest_shift(HistogramEqualizer(value_range=(0, 1)))
    0.0
    >>> largest_shift(HistogramEqualizer(quantile_range=(1, 99)))
    0.0
    """

    cdf_: list[NDArray[Any]]
    bin_centers_: list[NDArray[Any]]
    n_samples_seen_: int

    _conventions = CONVENTIONS
    _fitted_attribute = "cdf_"
    _state_params = ("n_bins", "value_range", "convention", "output_distribution", "color")

    def __init__(
        self,
        *,
        n_bins: int | Literal["auto"] = "auto",
        value_range: Literal["dtype"] | Sequence[float] | None = None,
        quantile_range: Sequence[float] = ALL_QUANTILES,
        convention: Literal["skimage", "numpy", "opencv", "pillow"] = "skimage",
        scope: Literal["image", "dataset"] = "image",
        output_distribution: Literal["uniform", "normal"] = "uniform",
        strength: float = 1.0,
        color: Color = "channels",
        channel_axis: ChannelAxis = 1,
        image_shape: Sequence[int] | None = None,
        spatial_dims: SpatialDims = 2,
        flatten: bool = False,
        dtype: DTypeLike | Literal["input"] | None = None,
        n_jobs: int | None = None,
    ) -> None:
        self.n_bins = n_bins
        self.value_range = value_range
        self.quantile_range = quantile_range
        self.convention = convention
        self.scope = scope
        self.output_distribution = output_distribution
        self.strength = strength
        self.color = color
        self.channel_axis = channel_axis
        self.image_shape = image_shape
        self.spatial_dims = spatial_dims
        self.flatten = flatten
        self.dtype = dtype
        self.n_jobs = n_jobs

    # Public methods beyond the common ones -------------------------------------------------------

    @only_if(_check_has_partial_fit)
    def partial_fit(self, X: ArrayLike, y: Any = None, *, mask: ArrayLike | None = None) -> Self:
        """Learn from one more batch of images (scope="dataset" only).

        Do not call it in several threads at once, because each call continues from what earlier
        calls have learned. Other threads may call `transform` at the same time.

        Integers are counted exactly, so that the result is that of `fit` on all images together.
        Floats are counted in a fine histogram of constant size, whose range grows with the batches
        without losing a count; `cdf_` is computed from it in `n_bins` equal bins over the range
        seen so far, or over `value_range`.

        Parameters
        ----------
        X : array-like of shape (n, c, h, w), (n, h, w, c), (n, h, w) or (n, n_pixels)
            Images of the same kind (integers or floats) and number of channels as in earlier
            batches. Integers must lie in the range of the dtype of the first batch.
        y : None
            Ignored; present for scikit-learn's conventions.
        mask : array-like of bool, shape (n, h, w), (n, d, h, w) or one row per image, default=None
            True where a pixel counts. None: all pixels count.

        Returns
        -------
        self : object
            The estimator, fitted to all batches so far.

        Raises
        ------
        ValueError
            If a parameter, the images or the mask are not as documented, or the images are of
            another kind than in earlier batches.
        """
        return self._partial_fit(X, y, mask)

    @only_if(_check_has_inverse)
    def inverse_transform(self, X: ArrayLike) -> NDArray[Any]:
        """Map equalized values back to intensities (scope="dataset" only).

        Each channel's transfer function is inverted by np.interp, without the bins that contain no
        counted pixel. Every counted level of integers is recovered exactly from float64 output,
        unless several counted levels have the same output value. Then the lowest of them is
        returned. Levels can have the same value where bins are wider than a level.

        Parameters
        ----------
        X : array-like in the layout of the output
            Equalized images. Integers are first brought to the range of the convention, from which
            `dtype` has scaled them. With flatten=True, the rows get the shape of the images in
            `fit` again.

        Returns
        -------
        X_original : ndarray
            Images in the original intensities: float64, or float32 where X is float32 or float16.
            A lazy dask array where X is one.

        Raises
        ------
        ValueError
            If X is not laid out as the output.
        """
        check_is_fitted(self, self._fitted_attribute)
        self._check_all_params()
        images = read(X, None, self._layout(), type(self).__name__, self._shape_in)
        if np.ndim(X) == 2:
            self._check_n_features(X, images.X, reset=False)
            # rows do not say themselves where their channels are
            current = {name: getattr(self, name) for name in self._layout_in}
            parameters.check_state_params(current, self._layout_in)
        self._check_library(images, "inverse_transform")
        self._check_state_params()
        self._check_n_channels(images)
        convention, dtype, learned = self._convention, images.X.dtype, self._learned
        transfers = data_set.inverses(learned.transfers, learned.state)
        function = partial(_invert, transfers, convention.top(dtype))
        out = Output(dtypes.single_or_double(dtype))
        limits = Limits(convention, out.dtype)
        work = Work(function, limits, self._ns_per_pixel[2], self.n_jobs)
        inverse = Passes((), partial(write_part, function))
        return map_planes(work._replace(passes=inverse), images, out)

    # Hooks ---------------------------------------------------------------------------------------

    @property
    def _is_stateful(self):
        return self.scope == "dataset"

    def _check_params(self):
        parameters.check_choice("convention", self.convention, CONVENTIONS)
        parameters.check_choice("scope", self.scope, SCOPES)
        convention = self._convention
        check_output_distribution(self.output_distribution, convention)
        parameters.check_n_bins(self.n_bins)
        parameters.check_bins_of_convention(self.n_bins, "auto", convention)
        if self.value_range is not None or self.quantile_range is not ALL_QUANTILES:
            parameters.check_ranges(self.value_range, self.quantile_range, convention)
            check_quantiles_of_scope(self.quantile_range, self.scope)
        if self.strength != 1:
            parameters.check_strength(self.strength)
            check_partial_strength(self.output_distribution, self.value_range)

    def _check_images(self, images):
        if self.output_distribution == "normal":
            check_normal_color(self.color, self._color_mode)
            check_normal_dtype(self._output_dtype(images.X.dtype))
        if self.value_range is None and self.quantile_range is ALL_QUANTILES:
            return
        if self.strength != 1 and self.value_range is not None:
            return  # the range of the image that is blended, also where there are no bins
        dtype = self._plane_dtype(images.X.dtype)
        if self._rule(dtype).bins_of(dtype) is None:
            where = Setting("n_bins", "auto"), f" and images of dtype {dtype}"
            remedy = "Set n_bins to a number, for example 256."
            parameters.check_nothing_to_span(self.value_range, self.quantile_range, where, remedy)

    def _function(self, images, learned):
        blend = None if self.strength == 1 else self._blend(images.X.dtype, learned)
        if learned is not None:
            return partial(_apply, learned, self._convention, blend)
        rule = self._rule(images.X.dtype)
        return partial(_equalize, rule if blend is None else rule._replace(blend=blend))

    def _passes(self, engine, whole, learned):
        blend = None if self.strength == 1 else self._blend(whole.dtype, learned)
        if learned is not None:
            return data_set.passes(learned, self._convention, blend)
        rule = self._rule(whole.dtype)._replace(blend=blend)
        return engine.equalize.passes(whole, rule)

    def _blend(self, dtype, learned):
        """Return how equalized values of images of a dtype are blended with the images."""
        dtype = self._plane_dtype(dtype)
        if learned is not None and dtype.kind != "f":
            dtype = learned.dtype  # whose levels those of the images are
        given = "dtype" if self.value_range is None else self.value_range
        return Blend(
            float(self.strength),
            span_of(given, ALL_QUANTILES, dtype, self.color == "channels").limits,
            self.value_range is not None,
            self._convention.output_max,
            self._convention.default_output_dtype(dtype),
        )

    def _rule(self, dtype):
        """Return how counts of images of a dtype become a transfer function."""
        rule = EqualizeRule(self.n_bins, self._convention, self.output_distribution)
        if self.value_range is None and self.quantile_range is ALL_QUANTILES:
            return rule
        dtype = self._plane_dtype(dtype)
        if rule.bins_of(dtype) is None:  # where "dtype" changes nothing
            return rule
        return rule._replace(span=span_of(self.value_range, self.quantile_range, dtype))

    # Learning ------------------------------------------------------------------------------------

    def _check_as_fitted(self, X, images):
        super()._check_as_fitted(X, images)
        if self._is_stateful and self._learned is not None:
            dtype = self._plane_dtype(images.X.dtype)
            parameters.check_same_kind(dtype, self._learned.dtype)

    def _fit_state(self, images):
        if not self._is_stateful:
            return {}
        dtype = dtypes.learned(self._plane_dtype(images.X.dtype))
        count = self._counter(images, dtype)
        state = data_set.count_all(count, dtype)
        check_channels_counted(map(counting.n_counted, state))
        found = data_set.fit_transfers(count, state, self._rule(dtype), dtype)
        return self._as_attributes(state, found, dtype, images.n_images, images.library)

    def _update_state(self, images):
        dtype, n_seen = dtypes.learned(self._plane_dtype(images.X.dtype)), 0
        before = self._learned
        if before is not None:
            dtype = dtypes.joint(dtype, before.dtype)
            n_seen = self.n_samples_seen_
        state = data_set.count_all(self._counter(images, dtype), dtype)
        if before is not None:
            state = data_set.add_channels(before.state, state)
        check_channels_counted(map(counting.n_counted, state))
        found = data_set.read_out(state, self._rule(dtype), dtype)
        n_seen += images.n_images
        return self._as_attributes(state, found, dtype, n_seen, images.library)

    def _counter(self, images, dtype):
        """Return the `count` of `data_set` for images learned from in a dtype."""

        def count(function, add):
            count_as = partial(data_set.count_as, dtype, function)
            return self._sum(count_as, images, add, data_set.Learned(dtype.name))

        return count

    def _as_attributes(self, state, found, dtype, n_samples_seen, library):
        """Return the attributes that are learned; the public ones live where the images do."""
        cdf_dtype = dtypes.single_or_double(dtype)
        cdfs = [transfer.cdf(histogram.counts, cdf_dtype) for histogram, _ in found]
        return {
            "cdf_": [library.deliver(cdf) for cdf in cdfs],
            "bin_centers_": [library.deliver(histogram.points) for histogram, _ in found],
            "n_samples_seen_": n_samples_seen,
            "_learned": data_set.Learned(dtype.name, state, [function for _, function in found]),
        }


def _equalize(rule, planes, mask, out, map_parts):
    """Equalize each plane by its own CDF; return the planes' status."""
    status = _engine.select(planes).equalize.equalize(planes, mask, out, rule, map_parts)
    return status if rule.blend is None else status | rule.blend.status(planes)


def _apply(learned, convention, blend, planes, mask, out, map_parts):
    """Map planes by learned transfer functions; return their status."""
    apply = _engine.select(planes).equalize.apply
    planes, beyond = data_set.cast(planes, learned.dtype)
    status = beyond | apply(planes, mask, out, learned, convention, blend)
    return status if blend is None else status | blend.status(planes)


def _invert(transfers, top, planes, mask, out, map_parts):
    """Map equalized planes back to intensities; return their status."""
    return _engine.select(planes).equalize.invert(planes, out, transfers, top)
