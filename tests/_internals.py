"""What the tests use of the package's inside, in one place: all else in the tests is public.

A test reaches inside for one of five reasons: to make blocks small or threads worthwhile, so that
few pixels go the way of many; to add a convention by the steps of CONTRIBUTING; to bring arrays of
other libraries back to NumPy; to store estimators as another version does; and to know whether the
kernels were built.
"""

import math
import pickle
import warnings
from dataclasses import replace
from functools import cache, reduce

import numpy as np
import pytest

from sklearn_histeq import _blocks, _engine
from sklearn_histeq._arithmetic import namespaces, transfer
from sklearn_histeq._base import VersionedEstimator
from sklearn_histeq._clahe import definition as clahe_definition
from sklearn_histeq._clahe import devices as clahe_devices
from sklearn_histeq._clahe.conventions import CONVENTIONS as CLAHE_CONVENTIONS
from sklearn_histeq._equalize import definition as equalize_definition
from sklearn_histeq._equalize.conventions import CONVENTIONS, EqualizeConvention
from sklearn_histeq._local.conventions import CONVENTIONS as LOCAL_CONVENTIONS
from sklearn_histeq._passes import Whole, cut, own_pixels

ENGINE_VARIABLE = "SKLEARN_HISTEQ_ENGINE"

# The beginning of what the package says, once, where it was installed without kernels.
SLOW = "sklearn-histeq was installed without its compiled kernels"


@cache
def kernels_are_built():
    """Whether the compiled engine can be imported; asking it says that it is slow without them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        is_built = _engine.compiled() is not None
    _engine.compiled.cache_clear()
    return is_built


NOT_BUILT = "the kernels are not built here"
needs_kernels = pytest.mark.skipif(not kernels_are_built(), reason=NOT_BUILT)


# --- few pixels go the way of many ----------------------------------------------------------------


def set_block_size(patch, n_pixels):
    """Let blocks of images have at most so many pixels, or one image."""
    patch.setattr("sklearn_histeq._blocks.PIXELS_PER_BLOCK", n_pixels)


def set_work_per_thread(patch, nanoseconds):
    """Let one more thread be worthwhile from so much work on."""
    patch.setattr("sklearn_histeq._blocks.NS_PER_THREAD", nanoseconds)


def set_parts_of_local(patch, n_pixels):
    """Let local equalization cut planes and volumes into parts of so many pixels."""
    if kernels_are_built():
        patch.setattr("sklearn_histeq._local.compiled.N_PART", n_pixels)
        patch.setattr("sklearn_histeq._local.compiled.N_ALONE", n_pixels)


def set_parts_of_matching(patch, n_pixels):
    """Let planes of more than so many pixels be matched in parts."""
    if kernels_are_built():
        patch.setattr("sklearn_histeq._kernels.arrays.N_PART", n_pixels)


def set_parts_of_large_planes(patch, n_pixels):
    """Take planes of more pixels for large, and parts of them of so many pixels."""
    patch.setattr("sklearn_histeq._arithmetic.color_modes.PIXELS_AT_ONCE", n_pixels)
    if kernels_are_built():
        for name in ("N_PART", "N_COPIED"):
            patch.setattr(f"sklearn_histeq._kernels.arrays.{name}", n_pixels)
        set_parts_of_local(patch, n_pixels)


def set_counts_of_tiles(patch, n_counts=None, n_pixels=None):
    """Let parts count the tiles around them for more counts; let kernels count so many pixels."""
    if n_counts is not None:
        patch.setattr("sklearn_histeq._clahe.passes.FEW_COUNTS", n_counts)
    if n_pixels is not None:
        patch.setattr("sklearn_histeq._clahe.counts.LARGEST_INT32", n_pixels)


def set_parts_of_blending(patch, n_pixels):
    """Blend so many pixels at a time."""
    if kernels_are_built():
        patch.setattr("sklearn_histeq._equalize.compiled_learning.N_BLENDED", n_pixels)


def set_remote_block_size(patch, n_pixels):
    """Let blocks on another device have so many pixels, and CLAHE there count tile by tile."""
    patch.setattr(_blocks, "PIXELS_PER_REMOTE_BLOCK", n_pixels)
    patch.setattr(clahe_devices, "MOST_COUNTS", 1)


def watch_equalize(patch, watch):
    """Call watch() in the thread that equalizes a block, before it does."""
    engine = _engine.select(np.empty(0)).equalize
    genuine = engine.equalize

    def equalize(*args, **options):
        watch()
        return genuine(*args, **options)

    patch.setattr(engine, "equalize", equalize)


def watch_n_jobs(patch):
    """Return a list that collects the n_jobs with which blocks are shared."""
    seen, genuine = [], _blocks._divide

    def divide(images, work, blocks_per_thread):
        seen.append(work.n_jobs)
        return genuine(images, work, blocks_per_thread)

    patch.setattr(_blocks, "_divide", divide)
    return seen


# --- a convention of one's own --------------------------------------------------------------------


def add_convention(patch, name, function, output_max):
    """Add a convention by the steps of CONTRIBUTING: one function and one record."""
    formulas = {"uniform": transfer.Formula(function)}
    record = EqualizeConvention(name, output_max=output_max, formulas=formulas)
    patch.setitem(CONVENTIONS, name, record)


def add_local_convention(patch, name, formula, like):
    """Add a convention of windows likewise, which is like another one but for its formula."""
    record = replace(LOCAL_CONVENTIONS[like], name=name, formula=formula)
    patch.setitem(LOCAL_CONVENTIONS, name, record)


def add_clahe_convention(patch, name, function, like):
    """Add a convention of CLAHE likewise, which is like another one but for its function."""
    record = replace(CLAHE_CONVENTIONS[like], name=name)
    patch.setitem(CLAHE_CONVENTIONS, name, record)
    patch.setitem(clahe_definition._CLAHE, record, function)


def squared_clahe(planes, mask, out, rule):
    """The function of a toy convention: squares of the values of "histeq"."""

    def map_plane(plane, counted, channel, out_plane):
        out_plane[...] = clahe_definition.clahe_plane(plane, counted, rule) ** 2

    return equalize_definition.for_each_plane(planes, mask, out, map_plane)


def negative_clahe(planes, mask, out, rule):
    """The function of another one: the negative of OpenCV's levels."""
    status = clahe_definition._opencv(planes, mask, out, rule)
    np.invert(out, out=out)
    return status


# --- arrays of other libraries --------------------------------------------------------------------


def to_numpy(array):
    """An array of any library, from any device."""
    return namespaces.to_numpy(array)


def astype(array, dtype):
    """An array of any library in a dtype of NumPy, as the package casts it."""
    return namespaces.astype(array, dtype)


def move_away_from_the_cpu(patch):
    """Tell the package that tensors are on another device."""
    patch.setattr(namespaces, "is_on_cpu", lambda array: False)


def take_doubles_away(patch, array):
    """Let the library of an array refuse float64, as PyTorch does on some devices."""
    library = namespaces.namespace(array)
    empty = library.empty

    def single_only(*shape, dtype=None, **kwargs):
        if "float64" in str(dtype):
            raise TypeError("Cannot convert a MPS Tensor to float64 dtype")
        return empty(*shape, dtype=dtype, **kwargs)

    patch.setattr(library, "empty", single_only)


def watch_transfers(patch):
    """Return a list that collects how many elements go from a device to NumPy, at each transfer."""
    moved, genuine = [], namespaces.to_numpy

    def watched(array):
        is_there = isinstance(array, namespaces.NUMPYS)
        moved.append(0 if is_there else math.prod(array.shape))
        return genuine(array)

    patch.setattr(namespaces, "to_numpy", watched)
    return moved


# --- passes over parts ----------------------------------------------------------------------------


def in_parts(estimator, planes, mask, places, dtype):
    """Planes (n, c, *spatial) by an estimator's passes over parts at places; or why they are whole.

    All is pickled on its way, as dask does, and results of parts are added in the order of places.
    """
    whole = Whole(planes.shape[2:], planes.dtype, dtype, mask is not None, planes.dtype)
    passes = _sent(estimator._passes(_engine.select(planes), whole, None))
    if isinstance(passes, str):
        return passes
    out, found = np.zeros(planes.shape, dtype), None
    parts = cut(planes, mask, out, places, passes.reach)
    for read, add, find, _ in passes.reads:
        results = [_sent(read(found, own_pixels(part)._replace(out=None))) for part in parts]
        while len(results) > 1:
            results = [reduce(add, results[i : i + 3]) for i in range(0, len(results), 3)]
        found = _sent(find(found, results[0]))
    for part in parts:
        passes.write(found, part)
    return out


def _sent(thing):
    """What arrives elsewhere."""
    return pickle.loads(pickle.dumps(thing))


# --- an oracle ------------------------------------------------------------------------------------


def opencv_clahe(plane, n_tiles, clip_limit):
    """OpenCV's CLAHE without fused multiply-adds: the readable definition."""
    return clahe_definition.opencv_clahe(plane, n_tiles, clip_limit)


# --- other versions of the package ----------------------------------------------------------------


def store_as(patch, version):
    """Let estimators be stored as by another version; None: as by one that stored no version."""
    if version is None:
        patch.delattr(VersionedEstimator, "__getstate__")
    else:
        patch.setattr("sklearn_histeq._base.__version__", version)
