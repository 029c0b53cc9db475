"""The chunks of a dask array as blocks of images: the only module that knows dask.

A dask array is checked by means of a stand-in: zeros of its shape and dtype, which take no memory.
The work on the images is then done chunk by chunk, where and when dask computes them. dask is
imported only after a dask array has come in.
"""

from dataclasses import dataclass
from functools import partial, reduce
from itertools import count
from typing import Any, NamedTuple

import numpy as np

from .. import _validation

# How many sums of chunks are added in one task, at each level of the tree.
SPLIT_EVERY = 16


def source_of(X, mask):
    """Return the `Chunks` of a dask array, or None for anything else."""
    return Chunks(_whole_images("X", X), mask) if _is_dask(X) else None


class LazyImages:
    """The images of a dask array, with the attributes and methods of `_base.Images`.

    Attributes
    ----------
    X, planes, mask : ndarray
        Stand-ins: zeros of the same shape, or of the shape of one image.
    library : `array_api.Library`
        NumPy, whose arrays the chunks are.
    estimator : ImageTransformer
        A frozen copy, which works on the chunks.
    n_images : int or None
        None: unknown, until a sum has counted them.
    """

    is_lazy = True

    def __init__(self, images, chunks):
        self.X, self.planes, self.mask = images.X, images.planes, images.mask
        self.library = images.library
        self.estimator = estimator = images.estimator._frozen_copy()
        self.n_images = chunks.n_images
        self._chunks = chunks
        declared = Declared(images.X.dtype, chunks.X.shape[1:], images.X.shape[1:])
        self._read = partial(estimator._read_chunk, declared)

    def map(self, function, shape, dtype):
        """Return the lazy array (n, *shape) of function(images of a chunk)."""
        task = ChunkTask(self._read, function, np.empty((0, *shape), dtype))
        return self._chunks.blockwise(task, shape)

    def sum(self, function, add):
        """Return the sum by add of function(images of a chunk); computed, as a tree."""
        import dask

        task = ChunkTask(self._read, partial(_with_number, function), Counted(0, None))
        parts = self._chunks.blockwise(task, ()).to_delayed().tolist()
        add_some = dask.delayed(partial(_add_counted, add), pure=False)
        while len(parts) > 1:
            groups = range(0, len(parts), SPLIT_EVERY)
            parts = [add_some(parts[start : start + SPLIT_EVERY]) for start in groups]
        counted = parts[0].compute()
        _validation.check_any_image(counted.n_images)
        self.n_images = counted.n_images
        return counted.total


class Declared(NamedTuple):
    """What a dask array says of its images, and the shape in which they are laid out."""

    dtype: np.dtype
    shape: tuple[int, ...]
    image_shape: tuple[int, ...]


class Counted(NamedTuple):
    """A sum over images, and their number."""

    n_images: int
    total: Any  # None where there is no image


@dataclass
class ChunkTask:
    """The work on each chunk; one object for all chunks, sent to a worker once."""

    read: Any  # read(block, mask, numbering) returns checked images
    function: Any  # function(images)
    of_no_image: Any  # the result for an empty chunk
    starts: Any = None  # ndarray, the number of the first image of each chunk; None if unknown

    def numbering(self, chunk):
        """Return how errors number the images of a chunk."""
        if self.starts is None:
            return _validation.Numbering(0, f" of chunk {chunk}")
        return _validation.Numbering(int(self.starts[chunk]), "")


class Chunks:
    """A dask array in which each image is whole within its chunk, and perhaps its mask.

    Attributes
    ----------
    X : dask.array.Array
    n_images : int or None
        None: unknown.
    """

    def __init__(self, X, mask):
        self.X = X
        self._mask = mask
        self.n_images = X.shape[0] if X.ndim and not np.isnan(X.shape[0]) else None

    def stand_ins(self):
        """Return arrays to be checked instead of X and the mask."""
        X = _zeros_like(self.X)
        return X, self._stand_in_of_mask(X.shape[:1])

    def images_of(self, images):
        """Return checked stand-ins with the pixels of the dask array."""
        return LazyImages(images, self)

    def _stand_in_of_mask(self, n_images):
        """Return a mask to be checked together with the stand-in of X, of so many images."""
        if self._mask is None:
            return None
        if not _is_dask(self._mask):
            _validation.check_known_images(self.n_images)
            return self._mask
        self._mask = _whole_images("mask", self._mask)
        if self.n_images is None or np.isnan(self._mask.shape[0]):
            _validation.check_same_blocks(self._mask.numblocks[0], self.X.numblocks[0])
            return np.broadcast_to(
                np.zeros((), self._mask.dtype), (*n_images, *self._mask.shape[1:])
            )
        return _zeros_like(self._mask)

    def blockwise(self, task, shape):
        """Return the dask array whose chunks are a task's results, of shape (n, *shape)."""
        import dask
        import dask.array as da

        task.starts = self._starts()
        axes = count(1)  # axis 0 is that of the images; all others have one chunk
        arrays = [dask.delayed(task, pure=True, traverse=False), None]
        for array in (self.X, self._chunk_numbers(), self._mask_of_blocks()):
            if array is not None:
                arrays += [array, (0, *(next(axes) for _ in array.shape[1:]))]
        new_axes = {next(axes): size for size in shape}
        meta = np.empty((0,) * (1 + len(shape)), getattr(task.of_no_image, "dtype", object))
        return da.blockwise(
            _on_chunk,
            (0, *new_axes),
            *arrays,
            new_axes=new_axes,
            align_arrays=False,  # they are aligned; unknown sizes cannot be compared
            meta=meta,
            token="histeq",
        )

    def _starts(self):
        """Return the number of each chunk's first image, or None where sizes are unknown."""
        sizes = self.X.chunks[0]
        return None if np.isnan(sizes).any() else np.cumsum([0, *sizes[:-1]])

    def _chunk_numbers(self):
        """Return the dask array of the numbers of the chunks, one number per chunk."""
        import dask.array as da

        return da.from_array(np.arange(self.X.numblocks[0]), chunks=1)

    def _mask_of_blocks(self):
        """Return the checked mask as a dask array with the chunks of X, or None."""
        import dask.array as da

        if self._mask is None:
            return None
        if not _is_dask(self._mask):
            mask = np.asarray(self._mask)
            return da.from_array(mask, chunks=(self.X.chunks[0], *mask.shape[1:]))
        if self.n_images is None or np.isnan(self._mask.shape[0]):
            return self._mask
        return self._mask.rechunk({0: self.X.chunks[0]})


def _is_dask(X):
    """Return whether X is a dask collection, without importing dask."""
    # an xarray.DataArray in memory has no graph, but could have one
    return hasattr(X, "__dask_graph__") and X.__dask_graph__() is not None


def _whole_images(name, X):
    """Return a dask array in which no image is split between chunks."""
    import dask.array as da

    if not isinstance(X, da.Array):
        _validation.refuse_collection(name, X)
    _validation.check_known_sizes(name, X.shape)
    return X.rechunk({axis: -1 for axis in range(1, X.ndim) if X.numblocks[axis] > 1})


def _zeros_like(array):
    """Return zeros of a dask array's shape and dtype, which take no memory.

    An unknown number of images becomes one. dtypes that the checks would convert are converted.
    """
    if isinstance(array._meta, np.ma.MaskedArray) or array.ndim == 0:
        return array._meta  # to be refused
    is_converted = array.dtype.kind == "O" or (array.dtype.kind == "f" and array.dtype.itemsize > 8)
    dtype = np.float64 if is_converted else array.dtype
    n, *shape = array.shape
    return np.broadcast_to(np.zeros((), dtype), (1 if np.isnan(n) else n, *shape))


def _on_chunk(task, block, number, mask=None):
    """Do a task on one chunk."""
    block, number, mask = _unpacked(block), int(_unpacked(number)[0]), _unpacked(mask)
    if len(block) == 0:
        return task.of_no_image
    return task.function(task.read(block, mask, task.numbering(number)))


def _unpacked(block):
    """Return a block without the lists, one per axis, in which dask wraps it."""
    while isinstance(block, list):
        (block,) = block
    return block


def _with_number(function, images):
    """Return function(images), with their number."""
    return Counted(len(images.X), function(images))


def _add_counted(add, parts):
    """Add sums over images; None is the sum of no image."""
    totals = [part.total for part in parts if part.total is not None]
    total = reduce(add, totals) if totals else None
    return Counted(sum(part.n_images for part in parts), total)
