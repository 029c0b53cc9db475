"""The corridor that all estimators share: check, planes, blocks, restore.

    X -> _validation -> _layout -> _blocks( engine ) -> _layout -> output

It declares no parameter of its own and reads only the six that all estimators have: color,
channel_axis, image_shape, flatten, dtype and n_jobs. A dask array goes the same way: it is checked
by a stand-in, and its chunks go through where dask computes them.
"""

import copy
from functools import partial, reduce
from typing import NamedTuple

import numpy as np
import sklearn
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted, validate_data

from . import _color, _dask, _layout, _threads, _validation
from ._arithmetic import status as _status
from ._arithmetic import transfer as _transfer

TWO_WAYS_OUT = (
    'Set flatten=True to get one row an image, or call set_output(transform="default") to get the '
    "images as an array."
)


class Images(NamedTuple):
    """Checked input: an array of images, its planes and its mask, all views.

    Of a dask array these are stand-ins: zeros of its shape, or of one image of it, without memory.
    """

    X: np.ndarray  # as the user laid it out
    planes: np.ndarray  # (n, c, h, w)
    mask: np.ndarray | None  # (n, h, w)
    numbering: _validation.Numbering = _validation.Numbering()
    chunks: _dask.Chunks | None = None  # of a dask array

    @property
    def n_images(self):
        """The number of images; that of a dask array may be known only after counting."""
        return len(self.X) if self.chunks is None else self.chunks.n_images


class ImageTransformer(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Base of the estimators: layouts, masks, colour, blocks, output and tags.

    A subclass gives the hooks `_check_params`, `_own_dtype`, `_top` and `_mapping`, and, where it
    learns, `_learns`, `_learn` and `_learn_more`; it sees planes alone.
    """

    # The HTML repr links a class to its page, as the pages of the documentation lie to each other.
    _doc_link_module = "sklearn_histeq"
    _doc_link_template = "../api/sklearn_histeq.{estimator_name}.html"

    # mask travels by metadata routing without the user's asking for it
    __metadata_request__fit = {"mask": True}
    __metadata_request__partial_fit = {"mask": True}
    __metadata_request__transform = {"mask": True}

    def fit(self, X, y=None, mask=None):
        """Check the parameters, remember the images' shape, and learn what is to be learned.

        Where each plane is equalized by itself there is nothing to learn, and no pixel is read, but
        for the one thing that an integer `dtype` cannot hold: NaN in floats.

        Parameters
        ----------
        X : array-like of shape (n, c, h, w), (n, h, w, c), (n, h, w) or (n, n_pixels)
            Images: any real dtype; NaN marks missing pixels.
        y : None
            Ignored; here for scikit-learn's conventions.
        mask : array-like of bool, shape (n, h, w), or (n, h*w) beside rows, default=None
            True where a pixel counts. None: all do.

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
        self._learn(images)
        self._remember(X, images)
        return self

    def fit_transform(self, X, y=None, mask=None):
        """Fit to X, then transform X.

        Parameters
        ----------
        X : array-like of shape (n, c, h, w), (n, h, w, c), (n, h, w) or (n, n_pixels)
            Images, as for `fit`.
        y : None
            Ignored; here for scikit-learn's conventions.
        mask : array-like of bool, shape (n, h, w), or (n, h*w) beside rows, default=None
            True where a pixel counts. None: all do.

        Returns
        -------
        X_out : ndarray
            The transformed images, as from `transform`.
        """
        return self.fit(X, y, mask=mask).transform(X, mask=mask)

    def transform(self, X, mask=None):
        """Transform images.

        One image alone is `transform(image[None])`: a bare array of shape (96, 96) is 96 rows.

        Parameters
        ----------
        X : array-like of shape (n, c, h, w), (n, h, w, c), (n, h, w) or (n, n_pixels)
            Images: any real dtype; NaN marks missing pixels. Not modified.
        mask : array-like of bool, shape (n, h, w), or (n, h*w) beside rows, default=None
            True where a pixel counts; all pixels are mapped. None: all count.

        Returns
        -------
        X_out : ndarray of X's shape, or (n, -1) with flatten=True
            The transformed images; a data frame of rows where `set_output` asks for one. A lazy
            dask array where X is one.

        Raises
        ------
        ValueError
            If a parameter, the images or the mask are not as documented; errors name the images.
        TypeError
            If X is a numpy.ma.MaskedArray (use `mask`) or sparse.
        """
        if self._learns:
            check_is_fitted(self, self._learned_attribute)
        images = self._check_input(X, mask)
        self._check_as_fitted(X, images)
        self._check_container(images)
        worker = self._worker(images)
        transform_block = partial(worker._transform_block, worker._mapping(images))
        dtype = self._dtype_out(images.X.dtype)
        return worker._write_blocks(transform_block, images, dtype, self.flatten)

    def get_feature_names_out(self, input_features=None):
        """Return the names of the output's columns, where the output has columns.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Names of the input's columns; None takes those seen in `fit`, or x0, x1, ...

        Returns
        -------
        names : ndarray of str
            One name a pixel and channel.

        Raises
        ------
        ValueError
            If the output is not two-dimensional.
        """
        if not hasattr(self, "n_features_in_"):
            # a transform that needs no fit has names for a data frame only after it; these words
            # let set_output number the columns instead
            raise NotFittedError(
                f"This {type(self).__name__} instance is not fitted yet, so it does not provide "
                "get_feature_names_out: call fit first."
            )
        self._check_two_dimensional(self._shape_in)
        return super().get_feature_names_out(input_features)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.requires_fit = self._learns
        tags.transformer_tags.preserves_dtype = self._preserved_dtypes()
        # integers have no NaN
        has_nan = any("float" in name for name in tags.transformer_tags.preserves_dtype)
        tags.input_tags.allow_nan = has_nan and not self._refuses_nan
        return tags

    # Hooks -------------------------------------------------------------------------------------

    _learned_attribute: str | None = None  # what a fit that learns leaves
    _dtype_name_in: str | None = None  # a name, since skops does not trust dtypes

    @property
    def _dtype_in(self):
        """The dtype that was learned from, or None."""
        return None if self._dtype_name_in is None else np.dtype(self._dtype_name_in)

    @property
    def _learns(self):
        """Whether fit learns from pixels."""
        return False

    @property
    def _refuses_nan(self):
        """Whether the convention takes no NaN."""
        return False

    def _learn(self, images):
        """Learn from the counted pixels of checked images, whatever was learned before."""

    def _learn_more(self, images, first):
        """Learn from one more batch of checked images; first: whatever was learned before."""

    def _check_params(self):
        """Check the subclass's own parameters."""
        raise NotImplementedError

    def _check_dtype_in(self, dtype):
        """Check that the images' dtype is one that the convention takes."""

    def _mapping(self, images):
        """Return a function(planes, mask, out, map_parts) that maps planes (n, c, h, w) into out.

        It returns their status (n, c); map_parts is like the builtin map, in threads where one
        plane may use several. Asked for once a transform, before the first block.
        """
        raise NotImplementedError

    def _own_dtype(self, dtype):
        """Return the output type of dtype=None for images of a dtype."""
        raise NotImplementedError

    def _top(self, dtype):
        """Return the value of the brightest output of dtype=None for images of a dtype."""
        raise NotImplementedError

    def _store(self, values, out, top):
        """Write values of the output type of dtype=None into out."""
        _transfer.store(values, out, top)

    def _check_status(self, status, **words):
        """Raise what the engines found in the planes of images."""
        _validation.check_status(status, **words)

    # The way in --------------------------------------------------------------------------------

    def _check_input(self, X, mask):
        """Return checked images; reads no pixel."""
        self._check_common_params()
        self._check_params()
        X, mask, chunks = _dask.stand_in(X, mask)
        X = _validation.check_images(X, self)
        self._check_dtype_in(X.dtype)
        images = self._lay_out(X, mask)
        return images if chunks is None else images._replace(chunks=chunks)

    def _lay_out(self, X, mask):
        """Return the planes of a checked array, and its mask."""
        _validation.check_geometry(X, self.image_shape, self.channel_axis)
        planes = _layout.to_planes(X, self.channel_axis, self.image_shape)
        _validation.check_color(self.color, X, planes)
        mask = _validation.check_mask(mask, _layout.mask_shape(X, planes))
        if mask is not None:
            mask = mask.reshape(len(planes), *planes.shape[2:])
        return Images(X, planes, mask)

    def _check_values(self, images):
        """Refuse floats in fit that the integer output of transform would refuse.

        Those of a dask array are left to transform: to look for them is a pass over all of it.
        """
        dtype = self._dtype_out(images.X.dtype)
        if dtype.kind != "f" and images.X.dtype.kind == "f" and images.chunks is None:

            def find(part, planes, mask, map_parts):
                return None, _status.of_values(planes)

            self._map_blocks(find, images._replace(mask=None), dtype=dtype)

    def _lay_out_one(self, image):
        """Return the planes (1, c, h, w) of one image that is laid out as those of X."""
        return _layout.to_planes(image[np.newaxis], self.channel_axis, self.image_shape)

    def _check_common_params(self):
        """Check the six parameters that all estimators have."""
        _validation.check_choice("color", self.color, _validation.COLORS)
        _validation.check_channel_axis(self.channel_axis)
        _validation.check_image_shape(self.image_shape)
        _validation.check_flag("flatten", self.flatten)
        _validation.check_dtype(self.dtype)
        _validation.check_n_jobs(self.n_jobs)

    def _fit_more(self, X, mask):
        """Learn from one more batch of images, and return self: a subclass's partial_fit."""
        images = self._check_input(X, mask)
        first = self._learned_attribute not in vars(self)
        if not first:
            self._check_as_fitted(X, images)
        self._learn_more(images, first)
        if first:
            self._remember(X, images)
        return self

    def _remember(self, X, images):
        """Set the attributes that say what fit has seen."""
        self._check_n_features(X, images.X, reset=True)
        self.n_channels_in_ = images.planes.shape[1]
        self._shape_in = images.X.shape[1:]

    def _check_as_fitted(self, X, images):
        """Check images against those of fit, if any: rows by features, images by channels."""
        if not hasattr(self, "n_features_in_"):
            return
        if images.X.ndim == 2 or self.flatten:
            self._check_n_features(X, images.X, reset=False)
        _validation.check_n_channels(images.planes.shape[1], self.n_channels_in_, self)

    def _check_container(self, images):
        """Refuse to put images into a data frame, with better words than the data frame has.

        scikit-learn keeps the choice of set_output under a private name; where that changes, the
        data frame still refuses.
        """
        config = getattr(self, "_sklearn_output_config", {})
        container = config.get("transform") or sklearn.get_config()["transform_output"]
        if container != "default":
            self._check_two_dimensional(images.X.shape[1:])
            if images.chunks is not None:
                _validation.refuse_container_of_dask(container)

    def _check_two_dimensional(self, shape):
        """Refuse images of a shape where only rows have columns."""
        if len(shape) > 1 and not self.flatten:
            raise ValueError(
                f"The output of {type(self).__name__} for images of shape {shape} is not "
                f"two-dimensional: it has no feature names and fits no data frame. {TWO_WAYS_OUT}"
            )

    def _check_n_features(self, X, checked, reset):
        """Set, or compare, the number and names of features."""
        if checked.ndim > 2:
            # only the shape matters: a reshape would copy images that are not contiguous
            X = np.broadcast_to(np.uint8(0), (len(checked), int(np.prod(checked.shape[1:]))))
        elif not hasattr(X, "columns"):
            X = checked
        validate_data(self, X, skip_check_array=True, reset=reset)

    # The way through ---------------------------------------------------------------------------

    def _map_blocks(self, function, images, needs_memory=True, **words):
        """Call function(part, planes, mask, map_parts) on blocks of images; return its results.

        function returns a result and the status of the block's planes. What the status says is
        raised once all blocks are through, so that an error names the same images whatever the
        blocks.
        """

        def run(part, map_parts):
            mask = None if images.mask is None else images.mask[part]
            return function(part, images.planes[part], mask, map_parts)

        size = len(images.planes), images.X[0].size
        pairs = _threads.map_blocks(run, *size, self.n_jobs, needs_memory)
        results, status = zip(*pairs, strict=True)
        words = {
            "dtype": None,
            "mask": images.mask is not None,
            "numbering": images.numbering,
        } | words
        self._check_status(np.concatenate(status), **words)
        return results

    def _counted_planes(self, planes):
        """Return what counts, each channel or colours' value alone, and its status."""
        if self.color == "channels":
            return planes, np.zeros(planes.shape[:2], np.uint8)
        return _color.value(planes)

    def _count_blocks(self, function, images, add, **words):
        """Return the sum, by add, of function(planes, mask) of what counts in blocks of images.

        That is each channel, or colours' value alone.
        """
        if images.chunks is not None:
            count_chunk = partial(self._worker(images)._count_blocks, function, add=add, **words)
            return images.chunks.sum(self._reader(images), count_chunk, add)

        def count_piece(planes, mask):
            counted, status = self._counted_planes(planes)
            result, found = function(counted, mask)
            return result, status | found

        def count(part, planes, mask, map_parts):
            total, status = None, []
            for piece in _threads.pieces(len(planes), planes[0].size):
                masked = None if mask is None else mask[piece]
                result, found = count_piece(planes[piece], masked)
                # added at once: a state of floats is larger than the pixels it counts
                total = result if total is None else add(total, result)
                status.append(found)
            return total, np.concatenate(status)

        return reduce(add, self._map_blocks(count, images, needs_memory=False, **words))

    def _write_blocks(self, function, images, dtype, flatten=False):
        """Return a new array laid out as the images, or as rows, written by function.

        It is called on blocks, as function(planes, mask, out, map_parts).
        """
        if images.chunks is not None:
            shape = images.X.shape[1:]
            write_chunk = partial(self._write_blocks, function, dtype=dtype, flatten=flatten)
            shape_out = (int(np.prod(shape)),) if flatten else shape
            return images.chunks.map(self._reader(images), write_chunk, shape_out, dtype)
        result = np.empty(images.X.shape, dtype)  # C order by shape, whatever the order of X
        out = _layout.to_planes(result, self.channel_axis, self.image_shape)

        def write(part, planes, mask, map_parts):
            return None, function(planes, mask, out[part], map_parts)

        # the engines need no memory but a plane's; colours are computed as doubles
        words = {"dtype": result.dtype, "fitted": self._dtype_in}
        self._map_blocks(write, images, needs_memory=self.color == "value", **words)
        return result.reshape(len(result), -1) if flatten else result

    def _transform_block(self, mapping, planes, mask, out, map_parts):
        """Transform a block of planes into out: each channel, or the value of colours alone."""
        if self.color == "channels":
            return mapping(planes, mask, out, map_parts)
        value, status = self._counted_planes(planes)
        equalized = np.empty(value.shape, self._own_dtype(planes.dtype))
        status |= mapping(value, mask, equalized, map_parts)
        _color.recolor(planes, value, equalized, out, self._top(planes.dtype), self._store)
        return status

    # Chunks of a dask array ----------------------------------------------------------------------

    def _worker(self, images):
        """Return what works on images: self, or a copy for the chunks of a dask array.

        They are worked on later and elsewhere: what becomes of self meanwhile does not change the
        result, and what is set for this thread holds there, too.
        """
        if images.chunks is None:
            return self
        worker = copy.copy(self)
        worker.n_jobs = _threads.settled_n_jobs(self.n_jobs)
        return worker

    def _reader(self, images):
        """Return read(block, mask, numbering), which checks and lays out one chunk of images."""
        declared = images.X.dtype, images.chunks.X.shape[1:]
        return partial(self._worker(images)._read_chunk, declared, images.X.shape[1:])

    def _read_chunk(self, declared, shape, block, mask, numbering):
        """Return a chunk's images, laid out in a shape, if they are of the declared kind."""
        X = _validation.check_chunk(_validation.check_images(block, self), *declared)
        return self._lay_out(X.reshape(len(X), *shape), mask)._replace(numbering=numbering)

    # The way out -------------------------------------------------------------------------------

    def _dtype_out(self, dtype_in):
        """Return the dtype of the output for images of dtype_in."""
        if self.dtype is None:
            return self._own_dtype(dtype_in)
        is_input = isinstance(self.dtype, str) and self.dtype == "input"
        return dtype_in if is_input else np.dtype(self.dtype)

    def _preserved_dtypes(self):
        """Return the dtypes that floats come out as: their own, or the one that all become."""
        try:
            out = [self._dtype_out(np.dtype(name)).name for name in ("float64", "float32")]
        except TypeError:  # not a dtype: fit will say so
            return []
        return sorted(set(out), reverse=True)
