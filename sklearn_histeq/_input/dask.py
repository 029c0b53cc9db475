"""The chunks of a dask array as images in memory: the only module that knows dask.

A dask array is checked by means of a stand-in: zeros of its shape and dtype, which take no memory.
The work on the images is then done chunk by chunk, where and when dask computes them: whole images,
or parts of them in passes. dask is imported only after a dask array has come in.
"""

from dataclasses import dataclass
from functools import partial, reduce
from itertools import count
from typing import Any, NamedTuple

import numpy as np

from .pixel_errors import Numbering
from .problem import MASK, Argument, X, input_error, input_type_error, warn_the_caller

# How many sums of chunks are added in one task, at each level of the tree.
SPLIT_EVERY = 16


def source_of(array, mask):
    """Return the `Chunks` of a dask array, or None for anything else."""
    return Chunks(_checked(X, array), mask) if is_dask(array) else None


class Counted(NamedTuple):
    """What was found in some images, such as a sum, and the number of images."""

    n_images: int
    total: Any  # None where there is no image, or no pixel


class Block(NamedTuple):
    """A part of some images, as dask computes it.

    Attributes
    ----------
    X, mask : ndarrays
        The pixels, laid out as X, and which of them count, or None. They lie at `outer`.
    shape, outer_shape : tuples of ints
        The shape of an image of the part alone, and of one in `X`.
    place, outer : tuples of slices
        As in `_passes.Part`.
    numbering : Numbering
    """

    X: Any
    mask: Any
    shape: tuple[int, ...]
    outer_shape: tuple[int, ...]
    place: tuple[slice, ...]
    outer: tuple[slice, ...]
    numbering: Numbering


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


@dataclass
class PartTask(ChunkTask):
    """The work on each chunk where chunks are parts of images: function(found, block)."""

    axes: tuple[int, ...] = ()  # the spatial axes of X
    bounds: tuple[Any, ...] = ()  # where the chunks begin and end along each of them
    reach: tuple[int, ...] = ()
    dtype: Any = None  # of what is written; None for a pass that reads

    def block(self, X, mask, number):
        """Return the block of pixels that have a number among all."""
        numblocks = [len(bounds) - 1 for bounds in self.bounds]
        chunk, *index = np.unravel_index(number, (number // np.prod(numblocks) + 1, *numblocks))
        place, outer, sizes, outer_sizes = [], [], list(X.shape[1:]), list(X.shape[1:])
        reach = self.reach or (0,) * len(numblocks)
        for axis, bounds, i, radius in zip(self.axes, self.bounds, index, reach, strict=True):
            start, stop = int(bounds[i]), int(bounds[i + 1])
            place.append(slice(start, stop))
            outer.append(slice(max(0, start - radius), min(int(bounds[-1]), stop + radius)))
            sizes[axis - 1], outer_sizes[axis - 1] = stop - start, outer[-1].stop - outer[-1].start
        shapes = tuple(sizes), tuple(outer_sizes)
        return Block(X, mask, *shapes, tuple(place), tuple(outer), self.numbering(int(chunk)))


class Chunks:
    """A dask array, and perhaps its mask.

    Attributes
    ----------
    X : dask.array.Array
    n_images : int or None
        None: unknown, until a sum has counted them.
    """

    def __init__(self, array, mask):
        self.X = array
        self._mask = mask
        self._axes: tuple[int, ...] = ()  # the spatial ones
        self.n_images = array.shape[0] if array.ndim and not np.isnan(array.shape[0]) else None

    def stand_ins(self):
        """Return arrays to be checked instead of X and the mask."""
        zeros = _zeros_like(self.X)
        return zeros, self._stand_in_of_mask(zeros.shape[:1])

    def images_of(self, images):
        """Return checked stand-ins with the chunks that they stand for."""
        layout, n_axes = images.layout, self.X.ndim
        if n_axes > 2:
            first = 1 + (n_axes > layout.spatial_dims + 1 and layout.channel_axis == 1)
            self._axes = tuple(range(first, first + layout.spatial_dims))
        # the channels of a pixel are together
        self.X = _joined(self.X, set(range(1, n_axes)) - set(self._axes))
        return images._replace(chunks=self)

    @property
    def are_parts(self):
        """Whether chunks are parts of images."""
        return max((self.X.numblocks[axis] for axis in self._axes), default=1) > 1

    def warn_of_gathering(self, why):
        """Warn that images are put together from their chunks."""
        shape = self.X.shape[1:]
        n_bytes = float(np.prod(shape, dtype=float) * self.X.dtype.itemsize)
        size = f"{n_bytes / 2**20:.3g} MiB" if n_bytes < 2**30 else f"{n_bytes / 2**30:.3g} GiB"
        came = f" has images of shape {shape} in several chunks, but {why}, so that each image is "
        warn_the_caller(
            (X, f"{came}put together in one chunk of {size}"),
            remedy="Make chunks of whole images, X.rechunk(...), to do so without this warning.",
        )

    def map(self, function, shape, dtype):
        """Return the lazy array (n, *shape) of function(block, mask, numbering) of whole images."""
        return self._blockwise(ChunkTask(function, np.empty((0, *shape), dtype)), shape)

    def sum(self, function, add):
        """Return the sum by add of function(block, mask, numbering); computed, as a tree."""
        task = ChunkTask(partial(_with_number, function), Counted(0, None))
        return self._sum_of(self._blockwise(task, ()), add)

    def map_parts(self, reads, write, reach, dtype):
        """Return the lazy array of write(found, block), of a dtype, after the passes that read."""
        found, X, mask = self._found(reads), self.X, self._mask_of_blocks()
        depth = dict(zip(self._axes, reach or (0,) * len(self._axes), strict=True))
        depth = {axis: min(radius, X.shape[axis]) for axis, radius in depth.items()}
        if any(depth.values()):  # chunks smaller than what is in reach are joined
            X = _at_least(X, depth)
            mask = None if mask is None else _at_least(mask, dict(enumerate(depth.values(), 1)))
        task = PartTask(write, None, reach=tuple(depth.values()), dtype=dtype)
        return self._on_parts(task, "map", found, X, mask).rechunk(self.X.chunks)

    def sum_parts(self, reads, add):
        """Return the sum by add of what reads find in images; computed."""
        return self._sum_of(self._found(reads), add)

    def _found(self, reads):
        """Return the array of what is found in each block of images, in passes; None for no pass.

        Each pass reads through its own clone of the graph. Otherwise dask would keep all chunks
        from the first pass to the last.
        """
        found, mask = None, self._mask_of_blocks()
        for k, read in enumerate(reads):
            X = _cloned(self.X, f"histeq-{k}")
            of_mask = None if mask is None else _cloned(mask, f"histeq-{k}")
            task = PartTask(read.read, None)
            each = self._on_parts(task, read.name, found, X, of_mask)
            found = _found_in(each, task, found, read)
        return found

    def _on_parts(self, task, name, found, X, mask):
        """Return the array of a task on all blocks of X: what is read, or the pixels written."""
        import dask.array as da
        from dask.array.overlap import overlap_internal

        task.axes = self._axes
        task.bounds = [np.cumsum([0, *X.chunks[axis]]) for axis in self._axes]
        self._number(task)
        axes, places = tuple(range(X.ndim)), (0, *self._axes)
        shape = [X.numblocks[axis] for axis in places]
        numbers = da.from_array(np.arange(np.prod(shape)).reshape(shape), chunks=1)
        out_axes, chunks = axes, X.chunks
        if task.dtype is None:  # one result per block
            out_axes, chunks = places, tuple((1,) * n_blocks for n_blocks in shape)
        if any(task.reach):
            depth = dict(zip(self._axes, task.reach, strict=True))
            X = overlap_internal(X, dict.fromkeys(axes, 0) | depth)
            depth = dict(enumerate((0, *task.reach)))
            mask = None if mask is None else overlap_internal(mask, depth)
        meta = np.empty((0,) * len(out_axes), task.dtype or object)
        out = da.blockwise(
            _on_part,
            out_axes,
            *(_held(task, name), None, X, axes, numbers, places),
            *(mask, None if mask is None else places),
            *(found, None if found is None else (0,)),
            align_arrays=False,  # they are aligned; unknown sizes cannot be compared
            meta=meta,
            token=f"histeq-{name}",
        )
        return da.Array(out.dask, out.name, chunks, meta=meta)

    def _number(self, task):
        """Set the numbers of the first images of chunks, where they are known."""
        sizes = self.X.chunks[0]
        task.starts = None if np.isnan(sizes).any() else np.cumsum([0, *sizes[:-1]])

    def _sum_of(self, counted, add):
        """Return the sum by add of an array of `Counted`; computed, as a tree."""
        import dask

        parts = counted.to_delayed().tolist()
        add_some = dask.delayed(partial(_add_counted, add), pure=False)
        while len(parts) > 1:
            groups = range(0, len(parts), SPLIT_EVERY)
            parts = [add_some(parts[start : start + SPLIT_EVERY]) for start in groups]
        total = parts[0].compute()
        if total.n_images == 0:
            raise input_error((X, " has 0 images: all its chunks are empty"), "at least 1")
        self.n_images = total.n_images
        return total.total

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
        self._mask = _checked(MASK, self._mask)
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
        """Return the array of a task's results on whole images, of shape (n, *shape)."""
        import dask
        import dask.array as da

        self._number(task)
        X, mask = _joined(self.X), self._mask_of_blocks()
        numbers = da.from_array(np.arange(X.numblocks[0]), chunks=1)  # one per chunk
        axes = count(1)  # axis 0 is that of the images; all others have one chunk
        arrays = [dask.delayed(task, pure=True, traverse=False), None]
        for array in (X, numbers, None if mask is None else _joined(mask)):
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
        chunks = [self.X.chunks[axis] for axis in (0, *self._axes)]
        if not is_dask(self._mask):
            mask = np.asarray(self._mask)
            return da.from_array(mask, chunks=(*chunks, *mask.shape[len(chunks) :]))
        if self._is_aligned_by_blocks():
            return self._mask.rechunk(dict(enumerate(chunks[1:], 1)))
        return self._mask.rechunk(dict(enumerate(chunks)))


def is_dask(array):
    """Return whether an array is a dask collection, without importing dask."""
    # an xarray.DataArray in memory has no graph, but could have one
    return hasattr(array, "__dask_graph__") and array.__dask_graph__() is not None


def _checked(argument: Argument, array):
    """Return a dask array of numbers whose images are of known size; refuse all others."""
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
    return array


def _joined(array, axes=None):
    """Return a dask array that is not cut along some axes, by default all but the first."""
    axes = range(1, array.ndim) if axes is None else axes
    return array.rechunk({axis: -1 for axis in axes if array.numblocks[axis] > 1})


def _at_least(array, sizes):
    """Return a dask array whose chunks are at least of some sizes along axes."""
    from dask.array.overlap import ensure_minimum_chunksize

    return array.rechunk({
        axis: ensure_minimum_chunksize(size, array.chunks[axis])
        for axis, size in sizes.items() if size
    })  # fmt: skip


def _cloned(array, seed):
    """Return a dask array of the same pixels whose graph has other names for all tasks."""
    from dask.base import clone_key
    from dask.graph_manipulation import clone
    from dask.highlevelgraph import HighLevelGraph, MaterializedLayer

    copy = clone(array, seed=seed)
    names, layers = {key: clone_key(key, seed) for key in array.dask}, dict(copy.dask.layers)
    for name, layer in layers.items():
        if isinstance(layer, MaterializedLayer):  # its tasks still name those that were cloned
            renamed = {key: _renamed(task, key, names) for key, task in layer.items()}
            layers[name] = MaterializedLayer(renamed)
    graph = HighLevelGraph(layers, copy.dask.dependencies)
    return type(array)(graph, copy.name, array.chunks, meta=array._meta)


def _renamed(task, key, names):
    """Return a task of a graph under another key, with other names for the tasks that it needs."""
    if not hasattr(task, "dependencies"):  # no task of a graph, but a result
        return task
    return task.substitute({name: names[name] for name in task.dependencies if name in names}, key)


def _held(task, name):
    """Return a task of a pass as a key of the graph, so that it is sent to a worker once."""
    import dask
    from dask.base import tokenize

    return dask.delayed(task, name=f"histeq-{name}-of-{tokenize(task)}", traverse=False)


def _found_in(each, task, found, read):
    """Return the array of what is found in each block of images, from what was read of its parts.

    What was read is added as a tree. `found` is the array of the pass before, or None.
    """
    import dask.array as da
    from dask.base import tokenize
    from dask.highlevelgraph import HighLevelGraph

    add = _held(partial(_add_parts, read.add), read.name)
    find = _held(ChunkTask(read.find, None, task.starts), read.name)
    needed = [each, add, find] if found is None else [each, add, find, found]
    token = tokenize(each.name, add.key, find.key)
    name, added = f"histeq-{read.name}-found-{token}", f"histeq-{read.name}-sum-{token}"
    graph: dict[Any, Any] = {}
    for chunk in range(each.numblocks[0]):
        keys: list[Any] = [(each.name, chunk, *i) for i in np.ndindex(*each.numblocks[1:])]
        while len(keys) > 1:
            groups = [keys[i : i + SPLIT_EVERY] for i in range(0, len(keys), SPLIT_EVERY)]
            keys = [(added, chunk, len(keys), i) for i in range(len(groups))]
            graph |= {key: (_call, add.key, of) for key, of in zip(keys, groups, strict=True)}
        known = None if found is None else (found.name, chunk)
        graph[name, chunk] = (_find, find.key, keys[0], known, chunk)
    layers = HighLevelGraph.from_collections(name, graph, dependencies=needed)
    return da.Array(layers, name, ((1,) * each.numblocks[0],), meta=np.empty(0, object))


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


def _on_part(task, X, number, mask, found):
    """Do a task on one part of images; those of a pass that reads come with their number."""
    X, mask, number = _unpacked(X), _unpacked(mask), int(_unpacked(number).flat[0])
    block = task.block(X, mask, number)
    if task.dtype is not None:
        if X.size == 0:
            return np.empty((len(X), *block.shape), task.dtype)
        return task.function(found and found.total, block)
    return Counted(len(X), None if X.size == 0 else task.function(found and found.total, block))


def _add_parts(add, parts):
    """Add what was read of parts of the same images; None is that of no pixel."""
    totals = [part.total for part in parts if part.total is not None]
    return Counted(parts[0].n_images, reduce(add, totals) if totals else None)


def _find(task, counted, found, chunk):
    """Return what is found in a block of images, from what was read of all its parts."""
    if counted.total is None:
        return counted
    of_images = task.function(found and found.total, counted.total, task.numbering(chunk))
    return Counted(counted.n_images, of_images)


def _call(function, *arguments):
    """Return function(*arguments): dask tells a function that is a key from one to be called."""
    return function(*arguments)


def _with_number(function, block, mask, numbering):
    """Return function(block, mask, numbering), with the number of its images."""
    return Counted(len(block), function(block, mask, numbering))


def _add_counted(add, parts):
    """Add sums over images; None is the sum of no image."""
    totals = [part.total for part in parts if part.total is not None]
    total = reduce(add, totals) if totals else None
    return Counted(sum(part.n_images for part in parts), total)
