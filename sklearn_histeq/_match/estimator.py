"""HistogramMatcher: every image gets the histogram of a reference, or its landmarks."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from .. import _engine
from .._arithmetic import dtypes, namespaces, output
from .._base import ChannelAxis, Color, ImageTransformer, SpatialDims, only_if
from .._blocks import below_each_other
from .._input import parameters
from .._input.pixel_errors import check_channels_counted
from . import quantiles
from .conventions import CONVENTIONS, REFERENCE
from .landmarks import Scale, standard_of
from .parameters import check_combination, check_landmarks, check_pixels, check_standard_range
from .reference import check_channels, check_geometry, check_reference, check_scale, check_status


def _check_has_partial_fit(self):
    """Raise an AttributeError that says why partial_fit is not available."""
    if self.reference is not None:
        raise AttributeError(
            "partial_fit needs reference=None: with a given reference nothing is learned."
        )


class HistogramMatcher(ImageTransformer):
    """Give every image the histogram of a reference.

    Every plane is mapped by its own exact CDF, followed by the quantile function of the reference.
    Its intensities are then distributed like those of the reference [1]_. The reference is an image
    that you pass in, or the average of the training images.

    For a single image, call `transform(image[None])`: an array of shape (96, 96) is read as
    96 flattened images.

    Parameters
    ----------
    reference : array-like or None, default=None
        None: `fit` learns the mean quantiles of the training images. An array: one image in the
        layout of X, which is (h, w), (c, h, w), (h, w, c) or a row; with `spatial_dims=3` one
        volume, which is (d, h, w), (c, d, h, w), (d, h, w, c) or a row. Then nothing is learned,
        and the result for each plane is that of `skimage.exposure.match_histograms`, bit for bit.
        The size and the dtype of the reference may differ from those of the images, but not the
        number of channels. NaN is a missing pixel.
    landmarks : None, "nyul" or array-like of percentages, default=None
        None: whole histograms are matched. Two or more increasing percentages, 0 to 100: only these
        percentiles of every plane are mapped to their mean values in the training images, and
        intensities between them are interpolated linearly [2]_ [3]_. "nyul": 1, 10, 20, 30, 40, 50,
        60, 70, 80, 90 and 99. Landmarks need `reference=None`, `color="channels"` and `strength=1`.
    standard_range : tuple of two numbers, default=(0, 100)
        The values of the first and the last landmark on the common scale. The output is not limited
        to this range. Only used with `landmarks`.
    strength : float, default=1.0
        How far images are matched, from 0 (not at all) to 1 (completely). An intensity x that is
        matched to m becomes `(1 - strength) * x + strength * m` [4]_, computed in double precision
        before the conversion to the type of the output. With a `color` other than "channels", only
        v, Y or L* is moved, and the colours follow it. With 0, images are only converted to the
        type of the output.
    color : {"channels", "value", "luminance", "lightness"}, default="channels"
        What is matched in colour images. All values but the first need RGB or RGBA images, with the
        channels in this order. Alpha is not matched, only brought to the range of the reference's
        type.

        - "channels": each channel by itself.
        - "value": v = max(R, G, B) becomes v', and each colour c becomes c * v' / v, so that hue
          and saturation stay unchanged.
        - "luminance": Y = .299 R + .587 G + .114 B becomes Y', and each colour c becomes
          c + (Y' - Y), clipped to the range from 0 to full intensity. Images and reference must
          have the same full intensity. Y of integers is rounded to their type.
        - "lightness": L* / 100 of CIELAB is matched, and a* and b* stay unchanged. The formulas are
          those of `skimage.color`. It does not work on other devices than the CPU.

        For the last two, floats must lie in [0, 1]. References are given in
        :class:`HistogramEqualizer`.
    channel_axis : {1, -1}, default=1
        Position of the channels in 4-D images: 1 for (n, c, h, w), -1 for (n, h, w, c).
    image_shape : tuple of ints or None, default=None
        Shape of the images in 2-D input, where each row is a flattened image: (h, w), or (c, h, w),
        or (h, w, c) with `channel_axis=-1`. None: a row is one plane. Ignored for input of more
        dimensions.
    spatial_dims : {2, 3}, default=2
        Number of axes of a plane. 2: images. 3: volumes, each of which is matched as a whole:
        (n, c, d, h, w), or (n, d, h, w, c) with `channel_axis=-1`, or (n, d, h, w). Masks are then
        (n, d, h, w), and `image_shape` is (d, h, w) or has four numbers.
    flatten : bool, default=False
        Return one row per image, `output.reshape(n, -1)`, as PCA, SVC and others expect it.
    dtype : None, "input", "float32", "float64", "uint8" or "uint16", default=None
        Type of the output. Intensities are on the scale of the reference in every type. None:
        float32 for images in float32 and float16, and float64 for all others. To floats, values are
        cast; values beyond the range of the type become its largest value. To integers, values are
        rounded and clipped to the range of the type, not scaled. "input": the type of X, by the
        same rules.
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
    quantiles_ : ndarray of shape (n_channels, 1024)
        The mean quantiles of the training planes. The k-th quantile of a plane is its smallest
        intensity x for which at least a share (k + 1/2) / 1024 of the counted pixels is at most x.
        There is a single row unless `color="channels"`. With `color="lightness"` the values are
        L* / 100. Only with `reference=None` and `landmarks=None`.
    landmarks_ : ndarray of shape (n_channels, n_landmarks)
        The mean landmarks of the training planes, on the standard scale. Only with `landmarks`.
    n_samples_seen_ : int
        Number of images learned from. Only with `reference=None`.

    See Also
    --------
    HistogramEqualizer : Matches images to a uniform distribution.
    skimage.exposure.match_histograms : One image at a time.

    Notes
    -----
    For an intensity z of a plane with m counted pixels, cum(z) of which are at most z, the result
    is ::

        np.interp(cum(z) / m, shares, values)

    where `values` are the distinct intensities of the given reference and `shares` its CDF, or
    `quantiles_` and (k + 1/2) / 1024 for a learned one. An intensity that is not counted (outside a
    `mask`) takes the value of the largest counted one below it.

    The results differ from those of `match_histograms` with a `channel_axis` in these points:
    values are not truncated to the integer type of the images; images of unsigned integers accept a
    reference of any dtype; integers may be spread over a wide range. NaN is a missing pixel: it is
    not counted, and it stays NaN in the output. An infinity is an error.

    With `landmarks`, a plane's own landmarks q are `numpy.percentile` of its counted pixels, in
    double precision. On the standard scale they are ::

        low + (high - low) * (q - q[0]) / (q[-1] - q[0])

    and `landmarks_` is the exact mean of these over the training planes, rounded once. `transform`
    maps q to `landmarks_`, and is linear in between. The first and the last line continue beyond
    the outer landmarks, and nothing is clipped. Equal landmarks of a plane are mapped to the mean
    of their values, or to the value of the first or the last landmark if they equal it. A plane
    whose first and last landmark are equal is an error, with one exception: without a mask, a plane
    of a single intensity is not learned from, and `transform` maps it to the last of `landmarks_`.

    Take two images of equal size, each without equal pixels. If each is matched to the other with
    `strength=0.5`, both get the same histogram, halfway between their own. This is midway
    equalization [5]_.

    A mean of quantiles keeps the shape that the histograms of the images have in common. The
    histogram of the pixels of all images would be wider, since images differ in brightness.

    References
    ----------
    .. [1] R. C. Gonzalez and R. E. Woods, "Digital Image Processing", 4th ed., Pearson, 2018,
       section 3.3.
    .. [2] L. G. Nyul and J. K. Udupa, "On standardizing the MR image intensity scale", Magnetic
       Resonance in Medicine 42(6), 1072-1081, 1999.
    .. [3] L. G. Nyul, J. K. Udupa and X. Zhang, "New variants of a method of MRI scale
       standardization", IEEE Transactions on Medical Imaging 19(2), 143-150, 2000.
    .. [4] R. J. McCann, "A convexity principle for interacting gases", Advances in Mathematics
       128(1), 153-179, 1997: displacement interpolation.
    .. [5] J. Delon, "Midway image equalization", Journal of Mathematical Imaging and Vision 21(2),
       119-134, 2004.

    Examples
    --------
    Two images of one scene in different light become equal here. They get the mean quantiles of
    both images:

    >>> import numpy as np
    >>> from sklearn_histeq import HistogramMatcher
    >>> rng = np.random.default_rng(0)
    >>> scene = rng.integers(0, 100, size=(1, 96, 96), dtype=np.uint8)
    >>> X = np.stack([scene, 2 * scene + 50])
    >>> matcher = HistogramMatcher().fit(X)
    >>> matcher.quantiles_.shape
    (1, 1024)
    >>> X_matched = matcher.transform(X)
    >>> bool((X_matched[0] == X_matched[1]).all())
    True
    >>> round(float(X.mean())), round(float(X_matched.mean()))
    (100, 100)

    If you pass a reference image, the output has the intensities of that image:

    >>> X_matched = HistogramMatcher(reference=scene, dtype="uint8").fit_transform(X)
    >>> bool((X_matched == scene).all())
    True

    Landmarks bring images to one scale, and keep the shapes of their histograms:

    >>> matcher = HistogramMatcher(landmarks=(0, 50, 100)).fit(X)
    >>> matcher.landmarks_.round(2)
    array([[  0.  ,  50.51, 100.  ]])
    >>> X_scaled = matcher.transform(X)
    >>> float(X_scaled.min()), float(X_scaled.max())
    (0.0, 100.0)
    """

    quantiles_: NDArray[np.float64]
    landmarks_: NDArray[np.float64]
    n_samples_seen_: int

    _ns_per_pixel = 1, 8, 8
    _ns_per_counted_pixel = 1.5, 5, 7
    _fitted_attribute = "n_samples_seen_"
    _state_params = ("color", "landmarks", "standard_range")

    def __init__(
        self,
        *,
        reference: ArrayLike | None = None,
        landmarks: ArrayLike | Literal["nyul"] | None = None,
        standard_range: ArrayLike = (0, 100),
        strength: float = 1.0,
        color: Color = "channels",
        channel_axis: ChannelAxis = 1,
        image_shape: Sequence[int] | None = None,
        spatial_dims: SpatialDims = 2,
        flatten: bool = False,
        dtype: DTypeLike | Literal["input"] | None = None,
        n_jobs: int | None = None,
    ) -> None:
        self.reference = reference
        self.landmarks = landmarks
        self.standard_range = standard_range
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
        """Learn from one more batch of images (reference=None only).

        Do not call it in several threads at once, because each call continues from what earlier
        calls have learned. Other threads may call `transform` at the same time.

        The state is of constant size, and batches give what `fit` gives on all images.

        Parameters
        ----------
        X : array-like of shape (n, c, h, w), (n, h, w, c), (n, h, w) or (n, n_pixels)
            Images of the same kind (integers or floats) and number of channels as in earlier
            batches.
        y : None
            Ignored; present for scikit-learn's conventions.
        mask : array-like of bool, shape (n, h, w), or (n, h*w) for rows, default=None
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

    # Hooks ---------------------------------------------------------------------------------------

    _conventions = CONVENTIONS

    @property
    def _convention(self):
        return REFERENCE

    @property
    def _is_stateful(self):
        return self.reference is None

    def _check_params(self):
        parameters.check_strength(self.strength)
        check_landmarks(self.landmarks)
        check_standard_range(self.standard_range)
        check_combination(self)
        if self.reference is not None:
            reference = check_reference(self.reference, self.spatial_dims)
            check_geometry(reference, self.image_shape)

    def _stored(self, dtype, learned):
        of_reference = np.asarray(self.reference).dtype if learned is None else learned.dtype
        top = dtypes.full_intensity(of_reference)
        plane_top = 1 if self._color_mode.is_relative else top
        return output.Stored(dtypes.single_or_double(dtype), top, output.saturate, plane_top)

    def _function(self, images, learned):
        if self.landmarks is not None:
            return partial(_map_landmarks, self._scale(learned))
        targets = self._targets(images, learned)
        if self.strength == 0:
            return output.keep
        if self._are_beyond(targets, images.X.dtype):
            return partial(_match_in_range, targets)
        return partial(_match, targets)

    def _passes(self, engine, whole, learned):
        if self.landmarks is not None:
            return engine.match.landmark_passes(whole, self._scale(learned))
        targets = self._targets(None, learned)
        if not self._are_beyond(targets, whole.image_dtype):
            return engine.match.passes(whole, targets)
        passes = engine.match.passes(whole._replace(out_dtype=np.dtype(np.float64)), targets)
        if isinstance(passes, str):
            return passes
        return passes._replace(write=partial(_write_in_range, passes.write))

    def _scale(self, learned):
        """Return the landmarks, and the values that they get."""
        return Scale(check_landmarks(self.landmarks), namespaces.to_numpy(learned.mean))

    def _are_beyond(self, targets, dtype):
        """Return whether targets leave the range of floats for images of a dtype, or of outputs."""
        types = dtypes.single_or_double(dtype), self._output_dtype(dtype)
        largest = min(float(np.finfo(of).max) for of in types if of.kind == "f")
        return any(np.abs(target.values.astype(np.float64)).max() > largest for target in targets)

    # Learning ------------------------------------------------------------------------------------

    def _fit_state(self, images):
        if not self._is_stateful:
            self._targets(images, None)  # so that fit refuses a reference that does not fit
            return {}
        sums, dtype = self._sums_of(images), dtypes.learned(images.X.dtype)
        return self._as_attributes(sums, dtype, images.n_images, images.library)

    def _update_state(self, images):
        before = self._learned
        if before is None:
            return self._fit_state(images)
        parameters.check_same_kind(images.X.dtype, before.dtype)
        digits, first, n_planes = before.sums  # scikit-learn may have moved them to a device
        sums = quantiles.Sums(namespaces.to_numpy(digits), first, namespaces.to_numpy(n_planes))
        sums = quantiles.add(sums, self._sums_of(images))
        n_seen = self.n_samples_seen_ + images.n_images
        dtype = dtypes.brightest(dtypes.learned(images.X.dtype), before.dtype)
        return self._as_attributes(sums, dtype, n_seen, images.library)

    def _sums_of(self, images):
        """Return the sums of the quantiles, or the landmarks, of all counted planes."""
        function, passes = _sum_quantiles, _quantile_passes
        if self.landmarks is not None:
            check_pixels(images)
            scale = check_landmarks(self.landmarks), check_standard_range(self.standard_range)
            function, passes = partial(_sum_landmarks, *scale), partial(_landmark_passes, *scale)
        return self._sum(function, images, quantiles.add, passes=passes)

    def _as_attributes(self, sums, dtype, n_samples_seen, library):
        """Return the attributes that are learned; the public ones live where the images do."""
        why = "NaN or masked" if self.landmarks is None else "NaN, or of one intensity"
        check_channels_counted(sums.n_planes, why)
        mean = quantiles.mean(sums)
        return {
            "quantiles_" if self.landmarks is None else "landmarks_": library.deliver(mean),
            "n_samples_seen_": n_samples_seen,
            "_learned": quantiles.Learned(dtype.name, sums, mean),
        }

    def _targets(self, images, learned):
        """Return the quantile function that each channel is to get; images are checked, if any."""
        if learned is not None:
            mean = namespaces.to_numpy(learned.mean)
            return quantiles.targets_of_mean(mean, float(self.strength))
        reference = check_reference(self.reference, self.spatial_dims)
        planes = self._layout().planes_of(reference[np.newaxis])
        if images is not None:
            check_channels(planes.shape[1], images.planes.shape[1])
        planes = below_each_other(planes) if planes.ndim > 4 else planes
        counted, status = planes, 0
        mode = self._color_mode
        if mode is not None:
            if mode.is_absolute and images is not None:
                check_scale(planes.dtype, images.X.dtype, self.color)
            counted, status = _engine.color_mode(mode, planes).plane_of(planes)
        levels, found = _engine.select(planes).equalize.count_levels(counted, None)
        check_status(status | found, self.color)
        return [quantiles.target_of_levels(channel, float(self.strength)) for channel in levels]


def _match(targets, planes, mask, out, map_parts):
    """Match planes to the targets of their channels; return their status."""
    return _engine.select(planes).match.match(planes, mask, out, targets, map_parts)


def _match_in_range(targets, planes, mask, out, map_parts):
    """Match planes to targets beyond the range of their own type, or of the output's.

    Values beyond become the largest of the type: the result is brought into range, not the target.
    """
    own = dtypes.single_or_double(namespaces.dtype_of(planes))
    values = namespaces.empty(planes.shape, own, planes)
    with np.errstate(over="ignore"):  # becomes infinite, and then the largest value
        status = _match(targets, planes, mask, values, map_parts)
    largest = float(np.finfo(own).max)
    output.saturate(namespaces.namespace(values).clip(values, -largest, largest), out)
    return status


def _write_in_range(write, found, part):
    """Write what `_match_in_range` does of a part of planes of integers; return their status."""
    values = np.empty(part.planes.shape)
    with np.errstate(over="ignore"):
        status = write(found, part._replace(out=values))
    output.saturate(values, part.out)
    return status


def _sum_quantiles(planes, mask):
    """Return the sums of the quantiles of planes, and their status."""
    engine = _engine.select(planes).match
    found, status = engine.quantiles(planes, mask, quantiles.N_QUANTILES)
    return quantiles.total(found), status


def _quantile_passes(engine, whole):
    """Return the passes that sum the quantiles of planes."""
    return engine.match.quantile_passes(whole, quantiles.N_QUANTILES, quantiles.total)


def _map_landmarks(scale, planes, mask, out, map_parts):
    """Map planes to the standard scale by their landmarks; return their status."""
    return _engine.select(planes).match.landmarks(planes, mask, out, scale, map_parts)


def _sum_landmarks(percentages, standard_range, planes, mask):
    """Return the sums of the landmarks of planes on the standard scale, and their status."""
    engine = _engine.select(planes).match
    own, status = engine.percentiles(planes, mask, percentages)
    return quantiles.total(standard_of(own.values, standard_range)), status


def _landmark_passes(percentages, standard_range, engine, whole):
    """Return the passes that sum the landmarks of planes on the standard scale."""
    return engine.match.sum_passes(whole, percentages, partial(_on_scale, standard_range))


def _on_scale(standard_range, landmarks):
    """Return the sums of landmarks on the standard scale."""
    return quantiles.total(standard_of(landmarks, standard_range))
