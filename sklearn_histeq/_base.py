"""What scikit-learn asks of an estimator: fit, transform, tags, output container, state.

    X -> _input.read -> Images -> _blocks.map_planes -> output

The base class knows no pixels. It declares no parameter, and reads the seven that all estimators
have (color, channel_axis, image_shape, spatial_dims, flatten, dtype and n_jobs) and the record of
the convention.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from functools import partial
from types import MethodType
from typing import Any, Literal, Self

import numpy as np
import sklearn
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted, validate_data

from . import __version__, _engine
from ._arithmetic import color_modes, output
from ._arithmetic.conventions import Convention
from ._arithmetic.status import of_values
from ._blocks import Output, Work, map_planes, on_volumes, sum_planes
from ._input import Layout, Limits, input_error, parameters, read, warn_the_caller
from ._input.images import check_color_mode, check_convention
from ._input.masks import warn_of_mask
from ._input.problem import X as _X
from ._passes import Whole, keeping, of_colors, summing

Color = Literal["channels", "value", "luminance", "lightness"]
ChannelAxis = Literal[1, -1]
SpatialDims = Literal[2, 3]

WITHOUT_KERNELS = "the engine without compiled kernels works on whole images"

# The address of the published documentation; None while it is not published.
SITE: str | None = None


class only_if:
    """A decorator of methods that exist only with some parameters.

    check(estimator) raises an AttributeError that says why. scikit-learn's `available_if` shows
    users another error, without the reason.
    """

    def __init__(self, check):
        self._check = check

    def __call__(self, method):
        self._method = method
        return self

    def __get__(self, estimator, owner=None):
        if estimator is None:
            return self._method
        try:
            self._check(estimator)
        except AttributeError as reason:
            raise AttributeError(f"{type(estimator).__name__}: {reason}") from reason
        return MethodType(self._method, estimator)


class VersionedEstimator(BaseEstimator):
    """An estimator whose stored state names the version of this package; another version warns.

    scikit-learn stores its own version, and only for its own estimators.
    """

    if SITE:  # the HTML repr links a class to its page
        _doc_link_module = "sklearn_histeq"
        _doc_link_template = f"{SITE}/api/sklearn_histeq.{{estimator_name}}.html"

    def __getstate__(self):
        return {**super().__getstate__(), "_sklearn_histeq_version": __version__}

    def __setstate__(self, state):
        state = dict(state)
        version = state.pop("_sklearn_histeq_version", None)
        if version != __version__:
            of = f"sklearn-histeq {version}" if version else "an unknown version of sklearn-histeq"
            or_install = f", or install sklearn-histeq=={version}" if version else ""
            warn_the_caller(
                (f"The stored {type(self).__name__} is from {of}",),
                f"{__version__}, the version that loads it",
                f"It may fail, or give other results: fit it again and store it{or_install}.",
            )
        super().__setstate__(state)


class ImageTransformer(OneToOneFeatureMixin, TransformerMixin, VersionedEstimator):
    """Base of the estimators: input, output, state and tags.

    A subclass gives the hooks `_conventions`, `_check_params` and `_function`. Where it learns from
    pixels, it also gives `_is_stateful`, `_fit_state`, `_update_state`, `_fitted_attribute` and
    `_state_params`. The other hooks have defaults.
    """

    n_features_in_: int
    n_channels_in_: int
    feature_names_in_: NDArray[np.object_]

    # mask is routed as metadata without a request by the user
    __metadata_request__fit = {"mask": True}
    __metadata_request__partial_fit = {"mask": True}
    __metadata_request__transform = {"mask": True}

    def fit(self, X: ArrayLike, y: Any = None, *, mask: ArrayLike | None = None) -> Self:
        """Check the parameters, store the shape of the images, and learn from them where needed.

        Where each plane is equalized by itself there is nothing to learn, and no pixel is read. The
        one exception is floats with an integer `dtype`, which are searched for NaN.

        Parameters
        ----------
        X : array-like of shape (n, c, h, w), (n, h, w, c), (n, h, w) or (n, n_pixels)
            Images of any real dtype; NaN marks missing pixels. With `spatial_dims=3` they are
            volumes: (n, c, d, h, w), (n, d, h, w, c), (n, d, h, w) or (n, n_voxels).
        y : None
            Ignored; present for scikit-learn's conventions.
        mask : array-like of bool, shape (n, h, w), (n, d, h, w) or one row per image, default=None
            True where a pixel counts. None: all pixels count.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter, the images or the mask are not as documented.
        TypeError
            If X is a numpy.ma.MaskedArray (use `mask`) or sparse.
        """
        self._fit(X, y, mask, "fit")
        return self

    def fit_transform(
        self, X: ArrayLike, y: Any = None, *, mask: ArrayLike | None = None
    ) -> NDArray[Any]:
        """Fit to X, then transform X.

        Parameters
        ----------
        X : array-like of shape (n, c, h, w), (n, h, w, c), (n, h, w) or (n, n_pixels)
            Images, as for `fit`.
        y : None
            Ignored; present for scikit-learn's conventions.
        mask : array-like of bool, shape (n, h, w), (n, d, h, w) or one row per image, default=None
            True where a pixel counts. None: all pixels count.

        Returns
        -------
        X_out : ndarray
            The transformed images, as from `transform`.
        """
        return self._transform(self._fit(X, y, mask, "fit_transform"))

    def transform(self, X: ArrayLike, *, mask: ArrayLike | None = None) -> NDArray[Any]:
        """Transform images.

        For a single image, call `transform(image[None])`: an array of shape (96, 96)
        is read as 96 flattened images.

        Parameters
        ----------
        X : array-like of shape (n, c, h, w), (n, h, w, c), (n, h, w) or (n, n_pixels)
            Images or volumes, as for `fit`. Not modified.
        mask : array-like of bool, shape (n, h, w), (n, d, h, w) or one row per image, default=None
            True where a pixel counts. All pixels are mapped. None: all pixels count.

        Returns
        -------
        X_out : ndarray of X's shape, or (n, -1) with flatten=True
            The transformed images; a data frame of rows where `set_output` asks for one. A lazy
            dask array where X is one, with its chunks, which may be parts of images. An array of
            the library and on the device of X where scikit-learn dispatches arrays
            (`array_api_dispatch`).

        Raises
        ------
        ValueError
            If a parameter, the images or the mask are not as documented; errors name the images.
        TypeError
            If X is a numpy.ma.MaskedArray (use `mask`) or sparse.
        """
        if self._is_stateful and not hasattr(self, self._fitted_attribute):
            check_is_fitted(self, self._fitted_attribute)  # its message; it asks for all tags first
        images = self._read(X, mask)
        self._check_as_fitted(X, images)
        self._check_library(images, "transform")
        return self._transform(images)

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> NDArray[np.object_]:
        """Return the names of the output's columns, where the output has columns.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Names of the input's columns; None takes those seen in `fit`, or x0, x1, ...

        Returns
        -------
        names : ndarray of str
            One name per pixel and channel.

        Raises
        ------
        ValueError
            If the output is not two-dimensional.
        """
        if not hasattr(self, "n_features_in_"):
            # A transform that needs no fit has names for a data frame only after fit; with this
            # wording set_output numbers the columns instead.
            raise NotFittedError(
                f"This {type(self).__name__} instance is not fitted yet, so it does not provide "
                "get_feature_names_out: call fit first."
            )
        self._check_two_dimensional(self._shape_in)
        return super().get_feature_names_out(input_features)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.requires_fit = self._is_stateful
        tags.array_api_support = True
        tags.transformer_tags.preserves_dtype = self._preserved_dtypes()
        # integers have no NaN
        has_nan = any("float" in name for name in tags.transformer_tags.preserves_dtype)
        takes_nan = self._convention is None or self._convention.takes_nan
        tags.input_tags.allow_nan = has_nan and takes_nan
        takes_negative = self._convention is None or self._convention.takes_negative
        tags.input_tags.positive_only = not takes_negative or self.color != "channels"
        return tags

    # Hooks -------------------------------------------------------------------------------------

    # estimated ns per pixel, for integers of 1 and of 2 bytes and for the rest; for threads
    _ns_per_pixel: tuple[float, float, float] = 1, 2, 2
    _ns_per_counted_pixel: tuple[float, float, float] = 0.3, 0.5, 3
    _conventions: Mapping[str, Convention] = {}  # the records to choose from
    _fitted_attribute: str = "n_features_in_"  # which only a fit that learns sets
    _state_params: tuple[str, ...] = ()  # the parameters on which what is learned depends
    _learned: Any = None  # what transform needs of it: a named tuple with a `dtype`
    _sees_places: bool = False  # whether a pixel's value depends on where the pixel is

    @property
    def _convention(self):
        """The record of the convention; None if no convention has that name."""
        name = self.convention
        return self._conventions.get(name) if isinstance(name, str) else None

    @property
    def _color_mode(self):
        """The record of the mode of colours; None if each channel is equalized by itself."""
        return None if self.color == "channels" else self._convention.colors[self.color]

    def _plane_dtype(self, dtype):
        """Return the dtype of the planes that are equalized of images of a dtype."""
        return dtype if self.color == "channels" else self._color_mode.plane_dtype(dtype)

    @property
    def _is_stateful(self):
        """True if fit learns from pixels."""
        return False

    def _check_params(self):
        """Check the subclass's own parameters."""
        raise NotImplementedError

    def _check_images(self, images):
        """Check what only the subclass requires of images."""

    def _function(self, images, learned):
        """Return a function(planes, mask, out, map_parts) that maps planes into out.

        It returns the planes' status (n, c), as `_blocks.Work` says. `learned` is what fit has
        learned, or None. Called once per transform.
        """
        raise NotImplementedError

    def _passes(self, engine, whole, learned):
        """Return the `Passes` that do the same in parts of planes, or why these must be whole.

        They are those of an engine; `whole` is the `_passes.Whole` of the planes. The reason is a
        sentence without its period.
        """
        return "this estimator needs whole images"

    def _fit_state(self, images):
        """Return the attributes that are learned from the counted pixels of images, as a dict."""
        return {}

    def _update_state(self, images):
        """Return the attributes that are learned from these images and all those before."""
        raise NotImplementedError

    def _stored(self, dtype, learned):
        """Return how values become output for images of a dtype, before `dtype` says otherwise."""
        convention = self._convention
        own, top = convention.default_output_dtype(dtype), convention.top(dtype)
        return output.Stored(own, top, output.store, plane_top=top)

    # Input -------------------------------------------------------------------------------------

    def _read(self, X, mask):
        """Return checked images; reads no pixel."""
        self._check_all_params()
        images = read(X, mask, self._layout(), type(self).__name__)
        check_convention(images, self._convention, next(iter(self._conventions)))
        if self.color != "channels":
            check_color_mode(images, self._color_mode, self._convention)
        self._check_images(images)
        return images

    def _check_all_params(self):
        """Check the seven parameters that all estimators have, and the subclass's own."""
        parameters.check_choice("color", self.color, parameters.COLORS)
        parameters.check_channel_axis(self.channel_axis)
        parameters.check_image_shape(self.image_shape, self.spatial_dims)
        parameters.check_flag("flatten", self.flatten)
        parameters.check_dtype(self.dtype)
        parameters.check_n_jobs(self.n_jobs)
        self._check_params()

    def _layout(self):
        """Return how images are laid out."""
        return Layout(self.color, self.channel_axis, self.image_shape, self.spatial_dims)

    def _check_as_fitted(self, X, images):
        """Check images against those of fit, if any, and parameters against what was learned."""
        if self._is_stateful:
            self._check_state_params()
            self._check_scale(images.X.dtype)
        if hasattr(self, "n_features_in_"):
            if images.X.ndim == 2 or self.flatten:
                self._check_n_features(X, images.X, reset=False)
            self._check_n_channels(images)
        if getattr(self, "_shape_in", None) != images.X.shape[1:]:  # else fit has warned
            images.layout.warn_of_likely_mistakes(images.X.shape, *images.planes.shape[1:])

    def _check_state_params(self):
        """Refuse parameters other than those with which a distribution was learned."""
        current = {name: getattr(self, name) for name in self._state_params}
        parameters.check_state_params(current, getattr(self, "_params_of_state", {}))

    def _check_scale(self, dtype):
        """Refuse colours on another scale than those learned from, if their shift depends on it."""
        mode, learned = self._color_mode, self._learned
        if mode is not None and learned is not None and mode.is_absolute:
            of_learned = f"{learned.dtype}, which the distribution was learned from"
            parameters.check_same_scale(self.color, (_X, dtype), (of_learned, learned.dtype))

    def _check_n_channels(self, images):
        """Refuse a number of channels other than that of fit."""
        n_channels = images.planes.shape[1]
        if n_channels != self.n_channels_in_:
            raise input_error(
                (
                    _X,
                    f" has {n_channels} channel(s), but {type(self).__name__} is expecting "
                    f"{self.n_channels_in_}, as in fit",
                ),
                remedy="Check channel_axis (and image_shape for rows), or fit again.",
            )

    def _check_library(self, images, method):
        """Refuse images of another library or device than those of fit, as scikit-learn does."""
        if hasattr(self, "_fitted_like"):
            images.library.check_same(self._fitted_like, type(self).__name__, method)

    def _check_n_features(self, X, checked, reset):
        """Set, or compare, the number and names of features."""
        n_features = math.prod(checked.shape[1:])
        if checked.ndim > 2 and reset:  # what validate_data sets, in a tenth of its time
            self.__dict__.pop("feature_names_in_", None)
            self.n_features_in_ = n_features
            return
        if checked.ndim > 2:
            # only the shape matters: a reshape would copy images that are not contiguous
            X = np.broadcast_to(np.uint8(0), (len(checked), n_features))
        elif not hasattr(X, "columns"):
            X = checked
            self._check_rows(checked.shape, n_features, reset)
        validate_data(self, X, skip_check_array=True, reset=reset)

    def _check_rows(self, shape, n_features, reset):
        """Refuse rows that are no images like those of fit: perhaps one image was meant."""
        of_fit = getattr(self, "_shape_in", ())
        if not reset and len(of_fit) > 1 and n_features != self.n_features_in_:
            raise input_error(
                (_X, f" of shape {shape} is read as {shape[0]} flattened images of {n_features} "
                 "pixels"),
                f"images of shape {of_fit}, as in fit, or rows of {self.n_features_in_} values",
                "Pass X[None], if X is one image." if self.spatial_dims == 2 else "",
            )  # fmt: skip

    # State ---------------------------------------------------------------------------------------

    def _fit(self, X, y, mask, method):
        """Learn from images, where there is something to learn; keep their shape; return them."""
        images = self._read(X, mask)
        warn_of_mask(y, images, method)
        self._check_values(images)
        self._set_state(self._fit_state(images))
        self._set_input_attributes(X, images)
        return images

    def _partial_fit(self, X, y, mask):
        """Learn from one more batch of images, and return self: a subclass's partial_fit."""
        images = self._read(X, mask)
        warn_of_mask(y, images, "partial_fit")
        is_first = not hasattr(self, self._fitted_attribute)
        if not is_first:
            self._check_as_fitted(X, images)
        self._set_state(self._update_state(images))
        if is_first:
            self._set_input_attributes(X, images)
        return self

    def _check_values(self, images):
        """Refuse floats in fit that the integer output of transform would refuse.

        NaN in a dask array is found in `transform`: to search it here would read all chunks.
        """
        if images.X.dtype.kind != "f" or images.chunks is not None:
            return
        dtype = self._output_dtype(images.X.dtype)
        if dtype.kind != "f":
            limits = Limits(self._convention, dtype)
            work = Work(lambda planes, _: (None, of_values(planes)), limits, 1, self.n_jobs, True)
            sum_planes(work, images._replace(mask=None), lambda *_: None)

    def _set_state(self, learned):
        """Replace all that was learned before, so that other threads see either the old or the new.

        What a transform needs is one attribute, `_learned`, which it reads once.
        """
        before = set(getattr(self, "_state_names", ()))
        if learned:
            params = {name: copy.deepcopy(getattr(self, name)) for name in self._state_params}
            learned = {**learned, "_params_of_state": params}
            learned["_state_names"] = [*learned, "_state_names"]
        self.__dict__.update(learned)
        for name in before - learned.keys():
            self.__dict__.pop(name, None)

    def _set_input_attributes(self, X, images):
        """Set the attributes that describe the images passed to fit."""
        images.layout.warn_of_likely_mistakes(images.X.shape, *images.planes.shape[1:])
        self._check_n_features(X, images.X, reset=True)
        self.n_channels_in_ = images.planes.shape[1]
        self._shape_in = images.X.shape[1:]
        self._layout_in = {"channel_axis": self.channel_axis, "spatial_dims": self.spatial_dims}
        self._fitted_like = images.library.empty()

    def _sum(self, function, images, add, learned=None, passes=None):
        """Return the sum, by add, of function(planes, mask) over all counted planes.

        Counted are the channels, or one plane of colours. `learned` has the dtype to learn in.
        passes(engine, whole), if given, returns those that find the same in parts of planes; None:
        the function adds up over parts, too.
        """
        mode, summed, engine = self._color_mode, function, _engine.select(images.planes)
        if mode is not None:
            summed = partial(color_modes.count_plane, function, _engine.color_mode, mode)
        copies_pixels = mode is not None or engine.copies_counted
        ns = _of_dtype(self._ns_per_counted_pixel, images.X.dtype)
        limits = Limits(self._convention, None, learned)
        work = Work(summed, limits, ns, self.n_jobs, copies_pixels)
        if images.chunks is not None and images.chunks.are_parts:
            if passes is None:
                in_parts = summing(function, add)
            elif engine is _engine.DEFINITION:
                in_parts = WITHOUT_KERNELS
            else:
                in_parts = passes(engine, self._whole(images))
            work = work._replace(passes=self._of_colors(in_parts))
        return sum_planes(work, images, add)

    def _of_colors(self, passes, stored=None):
        """Return passes over one plane of colours, if that is what is equalized."""
        mode = self._color_mode
        if mode is None or isinstance(passes, str):
            return passes
        return of_colors(passes, _engine.color_mode, mode, stored)

    # Output ------------------------------------------------------------------------------------

    def _transform(self, images):
        """Return transformed images."""
        self._check_container(images)
        dtype, mode, stored = images.X.dtype, self._color_mode, None
        learned = self._learned if self._is_stateful else None
        function, ns = self._function(images, learned), _of_dtype(self._ns_per_pixel, dtype)
        if function is output.keep:  # colours, too, stay as they are
            mode = None
        if mode is not None:
            stored = self._stored(dtype, learned)
            if self._sees_places and images.planes.ndim > 4:
                function = partial(on_volumes, function, images.planes.shape[2:])
            function = partial(color_modes.map_plane, function, _engine.color_mode, mode, stored)
            ns += mode.ns_per_pixel
        out = Output(self._output_dtype(dtype), self.flatten)
        limits = Limits(self._convention, out.dtype, learned)
        sees_places = self._sees_places and mode is None
        work = Work(function, limits, ns, self.n_jobs, mode is not None, sees_places)
        if images.chunks is not None and images.chunks.are_parts and not self.flatten:
            work = work._replace(passes=self._passes_of(images, learned, function, stored))
            if not isinstance(work.passes, str):
                work = work._replace(sees_places=self._sees_places)
        return map_planes(work, images, out)

    def _passes_of(self, images, learned, function, stored):
        """Return the passes that transform parts of images, or why these must be whole."""
        engine, whole = _engine.select(images.planes), self._whole(images)
        if engine is _engine.DEFINITION:
            return WITHOUT_KERNELS
        if function is output.keep:
            return keeping(whole.is_masked)
        if stored is not None:
            whole = whole._replace(out_dtype=stored.dtype)
        return self._of_colors(self._passes(engine, whole, learned), stored)

    def _whole(self, images):
        """Return what is known of the planes of images before a pixel is read."""
        dtype, shape = images.X.dtype, images.planes.shape[2:]
        of_planes = self._plane_dtype(dtype), self._output_dtype(dtype)
        return Whole(shape, *of_planes, images.mask is not None, dtype)

    def _check_container(self, images):
        """Refuse images where set_output asks for a data frame, with a clear message.

        scikit-learn keeps the choice of set_output under a private name. Should that change, the
        data frame still refuses.
        """
        config = getattr(self, "_sklearn_output_config", {})
        container = config.get("transform") or sklearn.get_config()["transform_output"]
        if container == "default":
            return
        self._check_two_dimensional(images.X.shape[1:])
        came = f"set_output(transform={container!r}) with "
        if images.chunks is not None:
            raise input_error(
                (f"{came}a dask array would compute all of it, into one data frame",),
                remedy='Call set_output(transform="default") to get a dask array, or compute X '
                "first.",
            )
        if images.library.like is not None:
            raise input_error(
                (f"{came}an array that is not NumPy's",),
                '"default": the output is an array of the library of X',
                'Call set_output(transform="default"), or convert X to NumPy.',
            )

    def _check_two_dimensional(self, shape):
        """Refuse images that are not flattened where a data frame or its columns are requested."""
        if len(shape) > 1 and not self.flatten:
            raise input_error(
                (
                    f"The output of {type(self).__name__} for images of shape {shape} is not "
                    "two-dimensional: it has no feature names and fits no data frame",
                ),
                remedy="Set flatten=True to get one row per image, or call set_output(transform="
                '"default") to get the images as an array.',
            )

    def _output_dtype(self, dtype):
        """Return the dtype of the output for images of a dtype."""
        if self.dtype is None:
            return self._convention.default_output_dtype(dtype)
        is_input = isinstance(self.dtype, str) and self.dtype == "input"
        return dtype if is_input else np.dtype(self.dtype)

    def _preserved_dtypes(self):
        """Return the names of the dtypes for which the output dtype equals the input dtype."""
        accepts = getattr(self._convention, "accepts", None)
        is_kept = self.dtype is None or (isinstance(self.dtype, str) and self.dtype == "input")
        if is_kept and accepts is not None:
            return [dtype.name for dtype in accepts]
        try:
            out = [self._output_dtype(np.dtype(name)).name for name in ("float64", "float32")]
        except (TypeError, AttributeError):  # no such dtype or convention: fit will say so
            return []
        return sorted(set(out), reverse=True)


def _of_dtype(times, dtype):
    """Return the one of three times that is for images of a dtype."""
    return times[2 if dtype.kind == "f" else min(dtype.itemsize, 3) - 1]
