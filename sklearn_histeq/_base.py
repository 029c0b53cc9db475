"""What all estimators share: check the input, cut it into planes, run an engine, shape the output.

    X -> _validation -> _layout -> blocks of planes, in threads or dask's chunks -> output

The base class declares no parameter. It reads the six that all estimators have (color,
channel_axis, image_shape, flatten, dtype and n_jobs) and the record of the convention, if any.
"""

import copy
import math
from collections.abc import Mapping
from functools import partial, reduce
from typing import Any, Literal, NamedTuple, Self

import numpy as np
import sklearn
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted, validate_data

from . import _containers, _layout, _threads, _validation
from ._arithmetic import color, namespaces, output
from ._arithmetic import status as finding
from ._containers.array_api import Library
from ._validation import Numbering, StatusContext

Color = Literal["channels", "value"]
ChannelAxis = Literal[1, -1]

# Pixels on another device are worked on so many at a time; each takes a hundred bytes meanwhile.
PIXELS_PER_REMOTE_BLOCK = 2**22

# The address of the published documentation; None while it is not published.
SITE: str | None = None


class Images(NamedTuple):
    """Checked images in memory: an array, its planes and its mask, all views of the user's arrays.

    `_containers.dask.LazyImages` has the same attributes and methods.
    """

    X: np.ndarray  # as the user laid it out; zeros of its shape where it lies on another device
    planes: Any  # (n, c, h, w), of NumPy or of the library where the pixels lie
    mask: Any  # (n, h, w) likewise, or None
    estimator: Any  # which works on them
    library: Library = Library()  # where results go
    numbering: Numbering = _validation.ALL_IMAGES

    @property
    def is_lazy(self):
        """Whether the pixels are still to be computed."""
        return False

    @property
    def n_images(self):
        """The number of images."""
        return len(self.X)

    def map(self, function, shape, dtype):
        """Return function(images), an array (n, *shape)."""
        return function(self)

    def sum(self, function, add):
        """Return function(images), a sum; `add` adds two of them, where there are several."""
        return function(self)


class ImageTransformer(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Base of the estimators: layouts, masks, colour, blocks, output and tags.

    A subclass gives the hooks `_select_engine`, `_check_params` and `_make_transform`. It also
    gives either `_convention`, or both `_default_output_dtype` and `_output_max`. Where it learns
    from pixels, it also gives `_is_stateful`, `_fit_state`, `_update_state`, `_fitted_attribute`
    and `_state_params`. The other hooks have defaults. A subclass sees planes only.
    """

    n_features_in_: int
    n_channels_in_: int
    feature_names_in_: NDArray[np.object_]

    if SITE:  # the HTML repr links a class to its page
        _doc_link_module = "sklearn_histeq"
        _doc_link_template = f"{SITE}/api/sklearn_histeq.{{estimator_name}}.html"

    # mask is routed as metadata without a request by the user
    __metadata_request__fit = {"mask": True}
    __metadata_request__partial_fit = {"mask": True}
    __metadata_request__transform = {"mask": True}

    def fit(self, X: ArrayLike, y: Any = None, mask: ArrayLike | None = None) -> Self:
        """Check the parameters, store the shape of the images, and learn from them where needed.

        Where each plane is equalized by itself there is nothing to learn, and no pixel is read. The
        one exception is floats with an integer `dtype`, which are searched for NaN.

        Parameters
        ----------
        X : array-like of shape (n, c, h, w), (n, h, w, c), (n, h, w) or (n, n_pixels)
            Images: any real dtype; NaN marks missing pixels.
        y : None
            Ignored; present for scikit-learn's conventions.
        mask : array-like of bool, shape (n, h, w), or (n, h*w) for rows, default=None
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
        images = self._check_input(X, mask)
        self._check_values(images)
        self._set_state(self._fit_state(images))
        self._set_input_attributes(X, images)
        return self

    def fit_transform(
        self, X: ArrayLike, y: Any = None, mask: ArrayLike | None = None
    ) -> NDArray[Any]:
        """Fit to X, then transform X.

        Parameters
        ----------
        X : array-like of shape (n, c, h, w), (n, h, w, c), (n, h, w) or (n, n_pixels)
            Images, as for `fit`.
        y : None
            Ignored; present for scikit-learn's conventions.
        mask : array-like of bool, shape (n, h, w), or (n, h*w) for rows, default=None
            True where a pixel counts. None: all pixels count.

        Returns
        -------
        X_out : ndarray
            The transformed images, as from `transform`.
        """
        return self.fit(X, y, mask=mask).transform(X, mask=mask)

    def transform(self, X: ArrayLike, mask: ArrayLike | None = None) -> NDArray[Any]:
        """Transform images.

        For a single image, call `transform(image[None])`: a bare array of shape (96, 96) is 96
        rows.

        Parameters
        ----------
        X : array-like of shape (n, c, h, w), (n, h, w, c), (n, h, w) or (n, n_pixels)
            Images: any real dtype; NaN marks missing pixels. Not modified.
        mask : array-like of bool, shape (n, h, w), or (n, h*w) for rows, default=None
            True where a pixel counts; all pixels are mapped. None: all pixels count.

        Returns
        -------
        X_out : ndarray of X's shape, or (n, -1) with flatten=True
            The transformed images; a data frame of rows where `set_output` asks for one. A lazy
            dask array where X is one. An array of the library and on the device of X where
            scikit-learn dispatches arrays (`array_api_dispatch`).

        Raises
        ------
        ValueError
            If a parameter, the images or the mask are not as documented; errors name the images.
        TypeError
            If X is a numpy.ma.MaskedArray (use `mask`) or sparse.
        """
        if self._is_stateful:
            check_is_fitted(self, self._fitted_attribute)
        images = self._check_input(X, mask)
        self._check_as_fitted(X, images)
        self._check_library(images, "transform")
        self._check_container(images)
        worker = images.estimator
        transform_block = partial(worker._transform_block, worker._make_transform(images))
        dtype = self._output_dtype(images.X.dtype)
        return self._write(transform_block, images, dtype, self.flatten)

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
        _validation.check_two_dimensional(self._shape_in, self)
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
        tags.input_tags.positive_only = not takes_negative or self.color == "value"
        return tags

    # Hooks -------------------------------------------------------------------------------------

    # estimated ns per pixel, for integers of 1 and of 2 bytes and for the rest; for threads
    _ns_per_pixel: tuple[float, float, float] = 1, 2, 2
    _ns_per_counted_pixel: tuple[float, float, float] = 0.3, 0.5, 3
    _conventions: Mapping[str, Any] = {}  # the records to choose from
    _fitted_attribute: str = "n_features_in_"  # which only a fit that learns sets
    _state_params: tuple[str, ...] = ()  # the parameters on which what is learned depends
    _learned_dtype_name: str | None = None  # a name, since skops does not trust dtypes

    @property
    def _convention(self):
        """The record of the convention; None where there is none of that name."""
        name = getattr(self, "convention", None)
        return self._conventions.get(name) if isinstance(name, str) else None

    @property
    def _is_stateful(self):
        """Whether fit learns from pixels."""
        return False

    def _select_engine(self, is_remote=False):
        """Return the engine that loops over the pixels, which may lie on another device."""
        raise NotImplementedError

    def _check_params(self):
        """Check the subclass's own parameters."""
        raise NotImplementedError

    def _check_images(self, images):
        """Check what the subclass demands of images."""

    def _make_transform(self, images):
        """Return a function(engine, planes, mask, out, map_parts) that maps planes into out.

        It returns the planes' status (n, c). `map_parts` is like the builtin map, in threads where
        one plane may use several. Called once per transform, before the first block.
        """
        raise NotImplementedError

    def _fit_state(self, images):
        """Return the attributes that are learned from the counted pixels of images, as a dict."""
        return {}

    def _update_state(self, images):
        """Return the attributes that are learned from these images and all those before."""
        raise NotImplementedError

    def _default_output_dtype(self, dtype):
        """Return the output dtype of dtype=None for images of a dtype."""
        return self._convention.default_output_dtype(dtype)

    def _output_max(self, dtype):
        """Return the largest value of the default output dtype for images of a dtype."""
        output_max = self._convention.output_max
        return output.largest_level(dtype) if output_max is None else output_max

    def _store(self, values, out, output_max):
        """Write values of the default output dtype into out."""
        output.store(values, out, output_max)

    # Input -------------------------------------------------------------------------------------

    def _check_input(self, X, mask):
        """Return checked images; reads no pixel."""
        self._check_all_params()
        images = self._lay_out(X, mask)
        _validation.check_images_of_convention(images, self._convention, self._conventions)
        self._check_images(images)
        return images

    def _check_all_params(self):
        """Check the six parameters that all estimators have, and the subclass's own."""
        _validation.check_choice("color", self.color, _validation.COLORS)
        _validation.check_channel_axis(self.channel_axis)
        _validation.check_image_shape(self.image_shape)
        _validation.check_flag("flatten", self.flatten)
        _validation.check_dtype(self.dtype)
        _validation.check_n_jobs(self.n_jobs)
        self._check_params()

    def _lay_out(self, X, mask, row_shape=None):
        """Return images with their planes; row_shape: the shape of the images that rows are."""
        X, mask, source = _containers.stand_in(X, mask)
        X = _validation.check_images(X, self)
        if row_shape is not None and X.ndim == 2:
            self._check_n_features(X, X, reset=False)
            X = X.reshape(len(X), *row_shape)
        images = self._as_images(X, mask)
        return images if source is None else source.images_of(images)

    def _as_images(self, X, mask, numbering=_validation.ALL_IMAGES):
        """Return a checked array with its planes and its mask."""
        _validation.check_geometry(X, self.image_shape, self.channel_axis)
        planes = self._as_planes(X)
        _validation.check_color(self.color, X, planes)
        mask = _validation.check_mask(mask, _layout.mask_shape(X, planes))
        if mask is not None:
            mask = mask.reshape(len(planes), *planes.shape[2:])
        return Images(X, planes, mask, self, numbering=numbering)

    def _as_planes(self, X):
        """Return a view of images as planes (n, c, h, w)."""
        return _layout.to_planes(X, self.channel_axis, self.image_shape)

    def _read_chunk(self, declared, block, mask, numbering):
        """Return the images of one chunk of a dask array that has declared what they are."""
        X = _validation.check_images(block, self)
        X = _validation.check_chunk(X, declared.dtype, declared.shape)
        X = X.reshape(len(X), *declared.image_shape)
        return self._as_images(X, mask, numbering)

    def _frozen_copy(self):
        """Return a copy for work that is done later and elsewhere, on the chunks of a dask array.

        Later changes of the estimator do not affect the copy. It keeps this thread's `n_jobs`.
        """
        frozen = copy.copy(self)
        frozen.n_jobs = _threads.settled_n_jobs(self.n_jobs)
        return frozen

    def _check_values(self, images):
        """Refuse floats in fit that the integer output of transform would refuse.

        NaN in a dask array is found in `transform`: to search it here would read all chunks.
        """
        dtype = self._output_dtype(images.X.dtype)
        if dtype.kind != "f" and images.X.dtype.kind == "f" and not images.is_lazy:

            def find(engine, part, planes, mask, map_parts):
                return None, finding.of_values(planes)

            unmasked = images._replace(mask=None)
            self._map_blocks(find, unmasked, self._status_context(unmasked, dtype), 1)

    def _check_as_fitted(self, X, images):
        """Check images against those of fit, if any, and parameters against what was learned."""
        if self._is_stateful:
            _validation.check_state_params(self, self._state_params)
        if hasattr(self, "n_features_in_"):
            if images.X.ndim == 2 or self.flatten:
                self._check_n_features(X, images.X, reset=False)
            _validation.check_n_channels(images.planes.shape[1], self.n_channels_in_, self)
        if getattr(self, "_shape_in", None) != images.X.shape[1:]:  # else fit has warned
            _validation.warn_of_layout(images, self.channel_axis)

    def _check_library(self, images, method):
        """Refuse images of another library or device than those of fit, as scikit-learn does."""
        if hasattr(self, "_fitted_like"):
            images.library.check_same(self._fitted_like, self, method)

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
        validate_data(self, X, skip_check_array=True, reset=reset)

    def _check_container(self, images):
        """Refuse to put images into a data frame, with a clearer message than the data frame's.

        scikit-learn keeps the choice of set_output under a private name. Should that change, the
        data frame still refuses.
        """
        config = getattr(self, "_sklearn_output_config", {})
        container = config.get("transform") or sklearn.get_config()["transform_output"]
        if container != "default":
            _validation.check_two_dimensional(images.X.shape[1:], self)
            _validation.check_container(container, images.is_lazy, images.library.like is None)

    # State ---------------------------------------------------------------------------------------

    @property
    def _learned_dtype(self):
        """The dtype that was learned from, or None."""
        return None if self._learned_dtype_name is None else np.dtype(self._learned_dtype_name)

    def _set_state(self, learned):
        """Replace all that was learned before, at once."""
        for name in getattr(self, "_state_names", ()):
            self.__dict__.pop(name, None)
        if learned:
            params = {name: getattr(self, name) for name in self._state_params}
            learned = {**learned, "_params_of_state": params}
            learned["_state_names"] = [*learned, "_state_names"]
        self.__dict__.update(learned)

    def _partial_fit(self, X, mask):
        """Learn from one more batch of images, and return self: a subclass's partial_fit."""
        images = self._check_input(X, mask)
        is_first = not hasattr(self, self._fitted_attribute)
        if not is_first:
            self._check_as_fitted(X, images)
        self._set_state(self._update_state(images))
        if is_first:
            self._set_input_attributes(X, images)
        return self

    def _set_input_attributes(self, X, images):
        """Set the attributes that describe the images passed to fit."""
        _validation.warn_of_layout(images, self.channel_axis)
        self._check_n_features(X, images.X, reset=True)
        self.n_channels_in_ = images.planes.shape[1]
        self._shape_in = images.X.shape[1:]
        self._fitted_like = images.library.empty()

    # Blocks --------------------------------------------------------------------------------------

    def _status_context(self, images, dtype=None, learned_dtype=None):
        """Return what error messages about the status of images need to know."""
        has_mask = images.mask is not None
        return StatusContext(images.numbering, has_mask, dtype, learned_dtype, self._convention)

    def _map_blocks(self, function, images, context, ns_per_pixel, **division):
        """Call function(engine, part, planes, mask, map_parts) on blocks; return its results.

        function returns a result and the status of the block's planes. What the status says is
        raised after all blocks, so that an error names the same images whatever the blocks.
        """
        is_remote = images.library.is_remote
        engine = self._select_engine(is_remote)

        def run(part, map_parts):
            mask = None if images.mask is None else images.mask[part, ...]
            return function(engine, part, images.planes[part, ...], mask, map_parts)

        size = len(images.X), images.X[0].size
        if is_remote:  # all processors of the device share each block
            pairs = [run(part, map) for part in _threads.slices(*size, PIXELS_PER_REMOTE_BLOCK)]
        else:
            pairs = _threads.map_blocks(run, *size, ns_per_pixel, self.n_jobs, **division)
        results, status = zip(*pairs, strict=True)
        _validation.check_status(np.concatenate(status), context)
        return results

    def _counted_planes(self, planes):
        """Return the planes that count, each channel or the value of colours, and their status."""
        if self.color == "channels":
            return planes, np.zeros(planes.shape[:2], np.uint8)
        return color.value(planes)

    def _count(self, function, images, add, learned_dtype=None):
        """Return the sum, by add, of function(engine, planes, mask) over all counted planes."""
        count = partial(images.estimator._count_images, function, add, learned_dtype)
        return images.sum(count, add)

    def _count_images(self, function, add, learned_dtype, images):
        """Return the sum, by add, of function(engine, planes, mask) over images in memory."""

        def count(engine, part, planes, mask, map_parts):
            total, status = None, []
            pieces = _threads.slices(planes.shape[0], images.X[0].size)
            is_small = images.library.is_remote or self.color == "channels"
            if is_small and getattr(engine, "COUNTS_IN_BLOCKS", False):
                pieces = [slice(None)]
            for piece in pieces:
                counted, found = self._counted_planes(planes[piece, ...])
                masked = None if mask is None else mask[piece, ...]
                result, found_too = function(engine, counted, masked)
                status.append(found | found_too)
                # added at once: a state of floats is larger than the pixels it counts
                total = result if total is None else add(total, result)
            return total, np.concatenate(status)

        context = self._status_context(images, learned_dtype=learned_dtype)
        ns = _of_dtype(self._ns_per_counted_pixel, images.X.dtype)
        # one block per thread: to add two states takes long compared with counting few pixels
        division = {"has_temporaries": False, "blocks_per_thread": 1}
        return reduce(add, self._map_blocks(count, images, context, ns, **division))

    def _write(self, function, images, dtype, flatten=False):
        """Return a new array laid out as the images, or as rows, written by function.

        function(engine, planes, mask, out, map_parts) is called on blocks.
        """
        shape = images.X.shape[1:]
        write = partial(images.estimator._write_images, function, dtype, flatten)
        return images.map(write, (int(np.prod(shape)),) if flatten else shape, dtype)

    def _write_images(self, function, dtype, flatten, images):
        """Do what `_write` says for images in memory."""
        # C order by shape, whatever the order of X
        result = namespaces.empty(images.X.shape, dtype, images.planes)
        out = self._as_planes(result)

        def write(engine, part, planes, mask, map_parts):
            return None, function(engine, planes, mask, out[part, ...], map_parts)

        context = self._status_context(images, dtype, self._learned_dtype)
        # the engines need no memory but that of one plane; colours are computed as doubles
        is_value = self.color == "value"
        ns = _of_dtype(self._ns_per_pixel, images.X.dtype) + 2 * is_value
        self._map_blocks(write, images, context, ns, has_temporaries=is_value)
        if flatten:
            result = namespaces.namespace(result).reshape(result, (len(images.X), -1))
        return images.library.deliver(result)

    def _transform_block(self, transform, engine, planes, mask, out, map_parts):
        """Transform a block of planes into out: each channel, or the value of colours alone."""
        if self.color == "channels":
            return transform(engine, planes, mask, out, map_parts)
        value, status = self._counted_planes(planes)
        dtype = namespaces.dtype_of(planes)
        equalized = namespaces.empty(value.shape, self._default_output_dtype(dtype), value)
        status |= transform(engine, value, mask, equalized, map_parts)
        engine.recolor(planes, value, equalized, out, self._output_max(dtype), self._store)
        return status

    # Output ------------------------------------------------------------------------------------

    def _output_dtype(self, dtype):
        """Return the dtype of the output for images of a dtype."""
        if self.dtype is None:
            return self._default_output_dtype(dtype)
        is_input = isinstance(self.dtype, str) and self.dtype == "input"
        return dtype if is_input else np.dtype(self.dtype)

    def _preserved_dtypes(self):
        """Return the dtypes for which the output dtype equals the input dtype."""
        try:
            out = [self._output_dtype(np.dtype(name)).name for name in ("float64", "float32")]
        except (TypeError, AttributeError):  # no such dtype or convention: fit will say so
            return []
        return sorted(set(out), reverse=True)


def _of_dtype(times, dtype):
    """Return the one of three times that is for images of a dtype."""
    return times[2 if dtype.kind == "f" else min(dtype.itemsize, 3) - 1]
