"""The chunks of a dask array as images in memory: the only module that knows dask.

A dask array is checked by means of a stand-in: zeros of its shape and dtype, which take no memory.
The work on the images is then done chunk by chunk, where and when dask computes them. dask is
imported only after a dask array has come in.
"""

from dataclasses import dataclass
from functools import partial, reduce
from itertools import count
from typing import Any, NamedTuple

import numpy as np

from .pixel_errors import Numbering
from .problem import MASK, Argument, X, input_error, input_type_error

# How many sums of chunks are added in one task, at each level of the tree.
SPLIT_EVERY = 16


def source_of(array, mask):
    """Return the `Chunks` of a dask array, or None for anything else."""
    return Chunks(_whole_images(X, array), mask) if is_dask(array) else None


class Counted(NamedTuple):
    """A sum over images, and their number."""

    n_images: int
    total: Any  # None where there is no image


@dataclass
class ChunkTask:
    """The work on each chunk; one object for all chunks, sent to a worker once."""

    function: Any  # function(block, mask, numbering)
    of_no_image: Any  # the result for an empty chunk
    starts: Any = None  # ndarray, the number of the first image of each chunk; None if unknown

    def numbering(self, chunk):
        """Return how errors number the images of a chunk."""
        if self.starts is None:
            return Numbering(0, f" of chunk {chunk}")
        return Numbering(int(self.starts[chunk]), "")


class Chunks:
    """A dask array in which each image is whole within its chunk, and perhaps its mask.

    Attributes
    ----------
    X : dask.array.Array
    n_images : int or None
        None: unknown, until a sum has counted them.
    """

    def __init__(self, array, mask):
        self.X = array
        self._mask = mask
        self.n_images = array.shape[0] if array.ndim and not np.isnan(array.shape[0]) else None

    def stand_ins(self):
        """Return arrays to be checked instead of X and the mask."""
        zeros = _zeros_like(self.X)
        return zeros, self._stand_in_of_mask(zeros.shape[:1])

    def images_of(self, images):
        """Return checked stand-ins with the chunks that they stand for."""
        return images._replace(chunks=self)

    def map(self, function, shape, dtype):
        """Return the lazy array (n, *shape) of function(block, mask, numbering) of each chunk."""
        return self._blockwise(ChunkTask(function, np.empty((0, *shape), dtype)), shape)

    def sum(self, function, add):
        """Return the sum by add of function(block, mask, numbering); computed, as a tree."""
        import dask

        task = ChunkTask(partial(_with_number, function), Counted(0, None))
        parts = self._blockwise(task, ()).to_delayed().tolist()
        add_some = dask.delayed(partial(_add_counted, add), pure=False)
        while len(parts) > 1:
            groups = range(0, len(parts), SPLIT_EVERY)
            parts = [add_some(parts[start : start + SPLIT_EVERY]) for start in groups]
        counted = parts[0].compute()
        if counted.n_images == 0:
            raise input_error((X, " has 0 images: all its chunks are empty"), "at least 1")
        self.n_images = counted.n_images
        return counted.total

    def _stand_in_of_mask(self, n_images):
        """Return a mask to be checked together with the stand-in of X, of so many images."""
        if self._mask is None:
            return None
        if not is_dask(self._mask):
            if self.n_images is None:
                raise input_error(
                    (
                        MASK,
                        " is an array in memory, but X is a dask array with chunks of unknown "
                        "sizes: expected a dask array of the same blocks, which belongs to the "
                        "same images",
                    ),
                    remedy="Call X.compute_chunk_sizes() first, or make the mask as X is made.",
                )
            return self._mask
        self._mask = _whole_images(MASK, self._mask)
        if self._is_aligned_by_blocks():
            self._check_same_blocks()
            return np.broadcast_to(
                np.zeros((), self._mask.dtype), (*n_images, *self._mask.shape[1:])
            )
        return _zeros_like(self._mask)

    def _is_aligned_by_blocks(self):
        """Return whether sizes are unknown, so that the blocks of X and mask must correspond."""
        return self.n_images is None or np.isnan(self._mask.shape[0])

    def _check_same_blocks(self):
        """Refuse a mask of other blocks than X, where chunks of unknown sizes leave no choice."""
        found, expected = self._mask.numblocks[0], self.X.numblocks[0]
        if found != expected:
            raise input_error(
                (
                    MASK,
                    f" has {found} block(s) of images, but X has {expected}: expected a dask array "
                    "of the same blocks, since chunks of unknown sizes cannot be cut anew",
                ),
                remedy="Call compute_chunk_sizes() of X and of mask first.",
            )

    def _blockwise(self, task, shape):
        """Return the dask array whose chunks are a task's results, of shape (n, *shape)."""
        import dask
        import dask.array as da

        sizes = self.X.chunks[0]
        task.starts = None if np.isnan(sizes).any() else np.cumsum([0, *sizes[:-1]])
        numbers = da.from_array(np.arange(self.X.numblocks[0]), chunks=1)  # one per chunk
        axes = count(1)  # axis 0 is that of the images; all others have one chunk
        arrays = [dask.delayed(task, pure=True, traverse=False), None]
        for array in (self.X, numbers, self._mask_of_blocks()):
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

    def _mask_of_blocks(self):
        """Return the checked mask as a dask array with the chunks of X, or None."""
        import dask.array as da

        if self._mask is None:
            return None
        if not is_dask(self._mask):
            mask = np.asarray(self._mask)
            return da.from_array(mask, chunks=(self.X.chunks[0], *mask.shape[1:]))
        if self._is_aligned_by_blocks():
            return self._mask
        return self._mask.rechunk({0: self.X.chunks[0]})


def is_dask(array):
    """Return whether an array is a dask collection, without importing dask."""
    # an xarray.DataArray in memory has no graph, but could have one
    return hasattr(array, "__dask_graph__") and array.__dask_graph__() is not None


def _whole_images(argument: Argument, array):
    """Return a dask array in which no image is split between chunks."""
    import dask.array as da

    name = argument.name
    if not isinstance(array, da.Array):
        raise input_type_error(
            (argument, f" is a {type(array).__module__}.{type(array).__name__}"),
            "a dask array or an array in memory",
            f"Use {name}.to_dask_array() of a data frame, or {name}.data of an xarray.DataArray.",
        )
    if array.dtype == object:
        raise input_error(
            (argument, " is a dask array of objects"),
            "bool, integers or real floats",
            f"Convert it: {name}.astype(float), or an integer type.",
        )
    if np.isnan(array.shape[1:]).any():
        raise input_error(
            (argument, f" has shape {array.shape}"),
            "images of known size: only the number of images may be unknown",
            f"Call {name}.compute_chunk_sizes() first.",
        )
    return array.rechunk({axis: -1 for axis in range(1, array.ndim) if array.numblocks[axis] > 1})


def _zeros_like(array):
    """Return zeros of a dask array's shape and dtype, which take no memory.

    An unknown number of images becomes one. dtypes that the checks would convert are converted.
    """
    if isinstance(array._meta, np.ma.MaskedArray) or array.ndim == 0:
        return array._meta  # to be refused
    is_converted = array.dtype.kind == "f" and array.dtype.itemsize > 8
    dtype = np.float64 if is_converted else array.dtype
    n, *shape = array.shape
    return np.broadcast_to(np.zeros((), dtype), (1 if np.isnan(n) else n, *shape))


def _on_chunk(task, block, number, mask=None):
    """Do a task on one chunk."""
    block, number, mask = _unpacked(block), int(_unpacked(number)[0]), _unpacked(mask)
    if len(block) == 0:
        return task.of_no_image
    return task.function(block, mask, task.numbering(number))


def _unpacked(block):
    """Return a block without the lists, one per axis, in which dask wraps it."""
    while isinstance(block, list):
        (block,) = block
    return block


def _with_number(function, block, mask, numbering):
    """Return function(block, mask, numbering), with the number of its images."""
    return Counted(len(block), function(block, mask, numbering))


def _add_counted(add, parts):
    """Add sums over images; None is the sum of no image."""
    totals = [part.total for part in parts if part.total is not None]
    total = reduce(add, totals) if totals else None
    return Counted(sum(part.n_images for part in parts), total)
