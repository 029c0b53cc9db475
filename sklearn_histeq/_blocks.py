"""Process planes: in blocks over threads, in chunks of dask.

This is the only module with threads. The same work serves images in memory, on other devices and
in dask arrays; it is a function of planes, masks and output, which knows nothing of blocks.
"""

import math
import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor, wait
from functools import lru_cache, partial, reduce
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from joblib import effective_n_jobs

from ._arithmetic import namespaces
from ._input.images import Images, declared, read_chunk
from ._input.pixel_errors import Limits, check_status
from ._passes import Part, Read, Summed, below_each_other, divided, slices_of_part

# Half a millisecond of work; for less a thread costs more than it saves.
NS_PER_THREAD = 2**19
# The largest block whose work needs memory for each pixel: what it needs stays in the cache.
PIXELS_PER_BLOCK = 2**18
# Parts of images in a chunk of a dask array, whose work needs no memory for each pixel.
PIXELS_PER_PART = 2**20
# Pixels on another device are worked on so many at a time; each takes a hundred bytes meanwhile.
PIXELS_PER_REMOTE_BLOCK = 2**22


class Work(NamedTuple):
    """What to do with planes (n, c, *spatial).

    Attributes
    ----------
    function : callable
        Of `map_planes`: function(planes, mask, out, map_parts) writes to out and returns the
        planes' status (n, c). `map_parts` is like the builtin map, in threads where one plane may
        use several. Of `sum_planes`: function(planes, mask) returns a result and the status. It is
        called from several threads at once, and is pickled where dask sends it to other processes.
    limits : `_input.Limits`
        What a status means.
    ns_per_pixel : float
        How long the work on one pixel takes, roughly: it decides how many threads are worthwhile.
    n_jobs : int or None
        Threads, as joblib counts them.
    copies_pixels : bool
        Whether the function needs memory for each pixel, of which small blocks need little.
    sees_places : bool
        Whether the function reads where a pixel is. If not, it gets volumes as planes.
    passes : `_passes.Passes`, str or None
        How the same is done in parts of planes, for a dask array whose images are in several
        chunks, or why that needs whole planes. None where there is no such array.
    """

    function: Any
    limits: Limits
    ns_per_pixel: float
    n_jobs: int | None
    copies_pixels: bool = False
    sees_places: bool = False
    passes: Any = None


class Output(NamedTuple):
    """What kind of array `map_planes` returns: its dtype, and whether each image is one row."""

    dtype: np.dtype
    flatten: bool = False


def map_planes(work, images, output):
    """Return a new array laid out as the images, or as rows, written by the work on their planes.

    What the status of planes says is raised after all blocks, so that an error names the same
    images whatever the blocks. The array of a dask array is lazy.
    """
    if images.chunks is not None:
        return _map_chunks(work, images, output)
    if images.planes.ndim > 4 and not work.sees_places:
        work = _work_on_slices(work, images)
    result, planes_out = images.empty(output.dtype)
    function, planes, mask = work.function, images.planes, images.mask
    blocks, map_blocks, map_parts = _divide(images, work, blocks_per_thread=2)

    def write(block):
        counted = None if mask is None else mask[block, ...]
        return function(planes[block, ...], counted, planes_out[block, ...], map_parts)

    status = list(map_blocks(write, blocks))
    check_status(np.concatenate(status), images, work.limits)
    if output.flatten:
        result = namespaces.namespace(result).reshape(result, (len(images.X), -1))
    return images.library.deliver(result)


def sum_planes(work, images, add):
    """Return the sum by add of the results of the work on planes; a dask array is computed."""
    if images.chunks is not None:
        return _sum_chunks(work, images, add)
    if images.planes.ndim > 4 and not work.sees_places:
        work = _work_on_slices(work, images)
    pixels_per_image = images.X[0].size

    def count(block):
        total, status = None, []
        planes = images.planes[block, ...]
        pieces = [slice(None)]
        if work.copies_pixels:
            pieces = slices(planes.shape[0], pixels_per_image)
        for piece in pieces:
            counted = None if images.mask is None else images.mask[block, ...][piece, ...]
            result, of_piece = work.function(planes[piece, ...], counted)
            status.append(of_piece)
            # added at once: a state of floats is larger than the pixels it counts
            total = result if total is None else add(total, result)
        return total, np.concatenate(status)

    # one block per thread: to add two states takes long compared with counting few pixels
    blocks, map_blocks, _ = _divide(images, work._replace(copies_pixels=False), blocks_per_thread=1)
    totals, status = zip(*map_blocks(count, blocks), strict=True)
    check_status(np.concatenate(status), images, work.limits)
    return reduce(add, totals)


# Blocks of images ---------------------------------------------------------------------------------


def _divide(images, work, blocks_per_thread):
    """Return slices of images, and two functions like the builtin map.

    The first maps over these blocks, the second within a block, for planes that threads share.
    `blocks_per_thread` is the least number for each thread; with two, a slow one delays less.
    """
    n_images, pixels_per_image = len(images.X), images.X[0].size
    if images.library.is_remote:  # all processors of the device share each block
        return slices(n_images, pixels_per_image, PIXELS_PER_REMOTE_BLOCK), map, map
    n_threads, ns = 1, n_images * pixels_per_image * work.ns_per_pixel
    if ns >= 2 * NS_PER_THREAD:  # joblib takes 5 us to answer
        n_threads = min(effective_n_jobs(work.n_jobs), int(ns // NS_PER_THREAD))
    if n_threads == 1 and not work.copies_pixels:
        return [slice(0, n_images)], map, map
    n_blocks = min(n_images, blocks_per_thread * n_threads)
    if work.copies_pixels:
        n_blocks = max(n_blocks, len(slices(n_images, pixels_per_image)))
    blocks = _n_slices(n_images, n_blocks)
    if n_threads == 1:
        return blocks, map, map
    in_threads = partial(_map_in_threads, n_threads)
    return (blocks, map, in_threads) if n_images < n_threads else (blocks, in_threads, map)


def slices(n_images, pixels_per_image, pixels_per_block=None):
    """Return slices that cover range(n_images), of so many pixels, or of one image."""
    images_per_block = max(1, (pixels_per_block or PIXELS_PER_BLOCK) // pixels_per_image)
    return _n_slices(n_images, -(-n_images // images_per_block))


def _n_slices(n, n_slices):
    """Return n_slices slices of nearly equal length that cover range(n)."""
    bounds = [n * i // n_slices for i in range(n_slices + 1)]
    return [slice(*pair) for pair in pairwise(bounds)]


# Chunks of a dask array ---------------------------------------------------------------------------


class OnParts(NamedTuple):
    """What the work on parts of images needs, beside the pixels and the functions."""

    work: Work
    declared: Any
    is_masked: bool

    @classmethod
    def of(cls, work, images):
        """Return what parts of the images of a dask array need."""
        settled = _settled(work)._replace(function=None)
        return cls(settled, declared(images), images.mask is not None)

    def parts(self, block, planes_out=None, reach=()):
        """Return a block of pixels as parts that fit the cache, or as one that sees around it."""
        expected = self.declared._replace(shape=block.outer_shape, image_shape=block.outer_shape)
        images = read_chunk(expected, block.X, block.mask, block.numbering)
        part = Part(images.planes, images.mask, planes_out, block.place, block.outer)
        if any(reach):
            return [part]
        n_pixels = PIXELS_PER_BLOCK if self.work.copies_pixels else PIXELS_PER_PART
        parts = divided(part, max(1, n_pixels // math.prod(images.planes.shape[:2])))
        if part.planes.ndim > 4 and not self.work.sees_places:
            return [slices_of_part(part) for part in parts]
        return parts

    def map(self, function, parts):
        """Return function(part) of each part, in threads if there are several jobs."""
        n_threads = min(effective_n_jobs(self.work.n_jobs), len(parts))
        return (
            map(function, parts) if n_threads == 1 else _map_in_threads(n_threads, function, parts)
        )

    def check(self, status, numbering, ranges=None):
        """Raise, or warn of, what was found in planes."""
        mask = self.is_masked or None
        nothing = np.empty(0)
        images = Images(nothing, nothing, mask, self.declared.layout, numbering=numbering)
        check_status(status, images, self.work.limits, ranges)


def _map_chunks(work, images, output):
    """Return the lazy array of `map_planes` for a dask array."""
    shape, passes = images.X.shape[1:], None if output.flatten else _passes_of(work, images)
    if passes is None:
        on_chunk = partial(_map_chunk, _settled(work), output, declared(images))
        return images.chunks.map(
            on_chunk, (math.prod(shape),) if output.flatten else shape, output.dtype
        )
    on_parts = OnParts.of(work, images)
    write = partial(_write_block, on_parts, passes.write, passes.reach, output.dtype)
    return images.chunks.map_parts(_reads(on_parts, passes), write, passes.reach, output.dtype)


def _sum_chunks(work, images, add):
    """Return the sum of `sum_planes` for a dask array, computed."""
    passes = _passes_of(work, images)
    if passes is None:
        on_chunk = partial(_sum_chunk, _settled(work), add, declared(images))
        return images.chunks.sum(on_chunk, add)
    on_parts = OnParts.of(work, images)
    return images.chunks.sum_parts(_reads(on_parts, passes), partial(_add_summed, add)).total


def _add_summed(add, a, b):
    """Return the sum over the images of both."""
    return Summed(add(a.total, b.total))


def _passes_of(work, images):
    """Return the passes over parts of the images of a dask array; None where they stay whole."""
    if not images.chunks.are_parts:
        return None
    if isinstance(work.passes, str):
        images.chunks.warn_of_gathering(work.passes)
        return None
    return work.passes


def _settled(work):
    """Return work for other threads, without this one's joblib.parallel_config, and its passes."""
    n_jobs = effective_n_jobs(None) if work.n_jobs is None else work.n_jobs
    return work._replace(n_jobs=n_jobs, passes=None)


def _map_chunk(work, output, expected, block, mask, numbering):
    """Do the work of `map_planes` for one chunk of a dask array."""
    return map_planes(work, read_chunk(expected, block, mask, numbering), output)


def _sum_chunk(work, add, expected, block, mask, numbering):
    """Do the work of `sum_planes` for one chunk of a dask array."""
    return sum_planes(work, read_chunk(expected, block, mask, numbering), add)


def _reads(on_parts, passes):
    """Return the passes that read parts as those that read blocks of pixels."""
    return [
        Read(
            partial(_read_block, on_parts, each),
            each.add,
            partial(_find_in_images, on_parts, each.find),
            each.name,
        )
        for each in passes.reads
    ]


def _read_block(on_parts, each, found, block):
    """Return what a pass reads of a block of pixels."""
    return reduce(each.add, on_parts.map(partial(each.read, found), on_parts.parts(block)))


def _find_in_images(on_parts, find, found, total, numbering):
    """Return what a pass finds in some images, and raise what their status says."""
    result = find(found, total)
    status = getattr(result, "status", None)
    if status is not None:
        on_parts.check(status, numbering, getattr(result, "ranges", None))
    return result


def _write_block(on_parts, write, reach, dtype, found, block):
    """Return the output for a block of pixels, which comes with the pixels in reach around it."""
    out = np.empty((len(block.X), *block.shape), dtype)
    parts = on_parts.parts(block, on_parts.declared.layout.planes_of(out), reach)
    status = reduce(np.bitwise_or, on_parts.map(partial(write, found), parts))
    on_parts.check(status, block.numbering)
    return out


# Volumes ------------------------------------------------------------------------------------------


def _work_on_slices(work, images):
    """Return work on volumes as the work on planes that it is where places do not matter."""
    volumes = images.planes
    depth, height = volumes.shape[2:4]
    is_view = depth == 1 or height == 1 or images.library.is_remote
    is_view = is_view or volumes.strides[2] == height * volumes.strides[3]
    copies = work.copies_pixels or not is_view
    return work._replace(function=partial(on_slices, work.function), copies_pixels=copies)


def on_slices(function, volumes, mask, out=None, *rest):
    """Return function(planes, mask) or function(planes, mask, out, map_parts) of volumes."""
    mask = None if mask is None else below_each_other(mask)
    # the output is in C order, so that its planes are a view
    written = () if out is None else (below_each_other(out), *rest)
    return function(below_each_other(volumes), mask, *written)


def on_volumes(function, spatial, planes, mask, out, map_parts):
    """Return function(volumes, mask, out, map_parts) of planes of all slices below each other."""
    xp = namespaces.namespace(planes)

    def cut(array):
        return xp.reshape(array, (*array.shape[:-2], *spatial))

    mask = None if mask is None else cut(mask)
    return function(cut(planes), mask, cut(out), map_parts)


# Threads ------------------------------------------------------------------------------------------


def _map_in_threads(n_threads, function, parts):
    """Return list(map(function, parts)), done by this thread and n_threads - 1 others.

    This one begins at once, while the others wake up. Each takes the next part when it is free.
    """
    todo = deque(enumerate(parts))  # two threads never get the same part, with or without a GIL
    results = [None] * len(todo)

    def work():
        while todo:
            try:
                i, part = todo.popleft()
            except IndexError:  # another thread took the last one
                return
            results[i] = function(part)

    pool = _pool(n_threads - 1)
    helpers = [pool.submit(work) for _ in range(n_threads - 1)]
    try:
        work()
    finally:
        todo.clear()  # after an error the other threads take no more parts
        begun = [helper for helper in helpers if not helper.cancel()]
        wait(begun)
    for helper in begun:
        helper.result()  # raises what went wrong there
    return results


@lru_cache(maxsize=8)
def _pool(n_threads):
    """Return a pool of threads, kept because starting threads costs as much as a small batch."""
    return ThreadPoolExecutor(n_threads, thread_name_prefix="sklearn-histeq")


# a forked process has none of its parent's threads
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)
