"""Blocks of images over threads: the only module with threads."""

import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor, wait
from functools import lru_cache, partial
from itertools import pairwise

from joblib import effective_n_jobs

# Half a millisecond of work; for less a thread costs more than it saves.
NS_PER_THREAD = 2**19
# The largest block whose work needs memory for each pixel: what it needs stays in the cache.
PIXELS_PER_BLOCK = 2**18


def map_blocks(
    function,
    n_images,
    pixels_per_image,
    ns_per_pixel,
    n_jobs,
    has_temporaries=True,
    blocks_per_thread=2,
):
    """Call function(part, map_parts) on slices that cover range(n_images); return its results.

    Parameters
    ----------
    function : callable
        Called from several threads at once. `part` is a slice of images; `map_parts` is like the
        builtin map, in threads where these are left over: fewer images than threads.
    n_images, pixels_per_image : int
    ns_per_pixel : float
        How long the work on one pixel takes, roughly: it decides how many threads are worthwhile.
    n_jobs : int or None
        Threads, as joblib counts them.
    has_temporaries : bool
        Whether the function needs memory for each pixel, of which small blocks need little.
    blocks_per_thread : int
        At least so many for each thread; with two, one slow block does not delay all.
    """
    n_threads = _n_threads(n_jobs, n_images * pixels_per_image * ns_per_pixel)
    if n_threads == 1 and not has_temporaries:
        return [function(slice(0, n_images), map)]
    n_blocks = min(n_images, blocks_per_thread * n_threads)
    if has_temporaries:
        n_blocks = max(n_blocks, _n_slices(n_images, pixels_per_image))
    parts = _slices(n_images, n_blocks)
    if n_threads == 1 or n_images < n_threads:
        map_parts = map if n_threads == 1 else partial(_map_in_threads, n_threads)
        return [function(part, map_parts) for part in parts]
    return _map_in_threads(n_threads, lambda part: function(part, map), parts)


def settled_n_jobs(n_jobs):
    """Return n_jobs for another thread, which does not have this one's joblib.parallel_config."""
    return effective_n_jobs(None) if n_jobs is None else n_jobs


def slices(n_images, pixels_per_image, pixels_per_block=PIXELS_PER_BLOCK):
    """Return slices that cover range(n_images), of so many pixels, or of one image."""
    return _slices(n_images, _n_slices(n_images, pixels_per_image, pixels_per_block))


def _n_slices(n_images, pixels_per_image, pixels_per_block=PIXELS_PER_BLOCK):
    """Return the number of blocks of at most so many pixels, or of one image."""
    return -(-n_images // max(1, pixels_per_block // pixels_per_image))


def _n_threads(n_jobs, ns):
    """Return the number of threads that are worthwhile for so many nanoseconds of work."""
    most = int(ns // NS_PER_THREAD)
    return 1 if most < 2 else min(effective_n_jobs(n_jobs), most)  # joblib takes 5 us to answer


def _slices(n, n_slices):
    """Return n_slices slices of nearly equal length that cover range(n)."""
    bounds = [n * i // n_slices for i in range(n_slices + 1)]
    return [slice(*pair) for pair in pairwise(bounds)]


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
    """Return threads that wait for work: to start them anew costs as much as a small batch."""
    return ThreadPoolExecutor(n_threads, thread_name_prefix="sklearn-histeq")


# a forked process has none of its parent's threads
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)
