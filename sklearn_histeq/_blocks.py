"""Blocks of images over threads: the only place with threads."""

from joblib import effective_n_jobs
from sklearn.utils.parallel import Parallel, delayed

# Small enough that a block's double-precision scratch stays in the cache, large enough that a
# call's overhead does not count.
PIXELS_PER_BLOCK = 2**18


def map_blocks(function, n_images, pixels_per_image, n_jobs):
    """Call function on slices that cover range(n_images), and return its results in order.

    Parameters
    ----------
    function : callable
        Takes a slice; called from several threads at once.
    n_images, pixels_per_image : int
    n_jobs : int or None
        Threads, as joblib counts them.
    """
    slices = _slices(n_images, max(1, PIXELS_PER_BLOCK // pixels_per_image))
    if len(slices) == 1 or effective_n_jobs(n_jobs) == 1:
        return [function(part) for part in slices]
    parallel = Parallel(n_jobs=n_jobs, prefer="threads", require="sharedmem")
    return parallel(delayed(function)(part) for part in slices)


def _slices(n, size):
    """Return the slices of at most size that cover range(n)."""
    return [slice(start, min(start + size, n)) for start in range(0, n, size)]
