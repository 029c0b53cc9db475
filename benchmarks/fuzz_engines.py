"""Compare the compiled engine with the reference and the peers, bit for bit, on awkward planes.

    python benchmarks/fuzz_engines.py --cases 1000 --seed 0
    python benchmarks/fuzz_engines.py --cases 1000 --images 40 --library torch

The second line compares the engine for arrays of the array API, on arrays of a library (numpy,
array_api_strict or torch), with the compiled engine; it has up to 40 images in one case, not 3.

This runs so many cases for each path and dtype, with each instruction set in turn. Each case runs
once more in another process, which gets it by a pickle. The path "estimators" calls estimators,
from four threads at once, too; the other paths call the functions of planes below them, whose
arguments dask sends to its workers. The paths "chunks" compare dask arrays, which are cut at random
along every axis, with arrays in memory. Sizes, distributions,
n_bins, masks, NaN, output types and memory layouts are drawn at random. Outputs are filled with
rubbish first, so that what an engine does not write is seen. It stops at the first case whose bits
differ.
"""

import argparse
import importlib
import math
import multiprocessing
import os
import pickle
import re
import time
import types
import warnings
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from threading import Barrier

import numpy as np
from sklearn.base import clone

from sklearn_histeq import (
    AdaptiveHistogramEqualizer,
    HistogramEqualizer,
    HistogramMatcher,
    LocalHistogramEqualizer,
    _blocks,
    _engine,
)
from sklearn_histeq._arithmetic import dtypes, namespaces, output, spans, transfer
from sklearn_histeq._arithmetic.color_modes import MODES
from sklearn_histeq._arithmetic.status import EMPTY, INF
from sklearn_histeq._clahe.conventions import CONVENTIONS as CLAHE
from sklearn_histeq._clahe.conventions import ClaheRule
from sklearn_histeq._equalize import compiled_learning
from sklearn_histeq._equalize.blending import Blend
from sklearn_histeq._equalize.conventions import CONVENTIONS as EQUALIZE
from sklearn_histeq._equalize.conventions import EqualizeConvention, EqualizeRule
from sklearn_histeq._kernels import arrays
from sklearn_histeq._local import compiled as compiled_local
from sklearn_histeq._local.conventions import CONVENTIONS as LOCAL
from sklearn_histeq._local.conventions import LocalRule
from sklearn_histeq._match import landmarks, quantiles

COMPILED = _engine.compiled()


def functions_of(engine):
    """Return all functions of planes of an engine, by their names."""
    learning = ("invert", "count_levels", "count_lattice", "count_bins")
    return types.SimpleNamespace(
        equalize=engine.equalize.equalize,
        clahe=engine.clahe.clahe,
        local=engine.local.local,
        match=engine.match.match,
        quantiles=engine.match.quantiles,
        plane_of=lambda name, planes: engine.color_modes[name].plane_of(planes),
        recolor=lambda name, *arguments: engine.color_modes[name].recolor(*arguments),
        landmarks=engine.match.landmarks,
        percentiles=lambda planes, mask, scale, **options: engine.match.percentiles(
            planes, mask, scale.percentages, **options
        ),
        apply=engine.equalize.apply,
        **{name: getattr(engine.equalize, name) for name in learning},
    )


COLORS = ("value", "luminance", "lightness")
REALS = ("float32", "float64", "float16")
INTEGERS = ("uint8", "uint16", "bool", "int8", "int16", "int32", "uint32", "int64", "uint64")
DTYPES = INTEGERS + REALS
OUTPUTS = ("float32", "float64", "uint8", "uint16", "int16", "float16")
SIZES = ((1, 1), (1, 2), (2, 3), (5, 7), (8, 8), (1, 129), (17, 31), (28, 28), (96, 96), (3, 1000))
LARGE = ((256, 300), (1, 70_001), (512, 512))


class _engines:
    """Which engine is tried, which one says what is right, and how much is compared."""

    tried = functions_of(COMPILED.engine)
    wanted = functions_of(_engine.DEFINITION)
    outputs = OUTPUTS
    n_images = 3  # at most, of small planes
    n_planes = 0  # compared so far
    number = 0  # of the case


class Elsewhere:
    """The engine for arrays of the array API, on copies of NumPy's arrays in a library."""

    def __init__(self, library):
        self._xp = importlib.import_module(library)
        self._functions = functions_of(_engine.DEVICES)

    def __getattr__(self, name):
        def run(*arguments, **options):
            out = arguments[PLACE_OF_OUT[name]] if name in PLACE_OF_OUT else None
            copies = [self._copy(argument) for argument in arguments]
            result = getattr(self._functions, name)(*copies, **options)
            if out is not None:
                position = next(i for i, argument in enumerate(arguments) if argument is out)
                out[...] = namespaces.to_numpy(copies[position])
            return result

        return run

    def _copy(self, argument):
        """Return an array of pixels in the library; anything else as it is."""
        if not isinstance(argument, np.ndarray):
            return argument
        native = np.ascontiguousarray(argument, argument.dtype.newbyteorder("="))
        return self._xp.asarray(native.copy())


class AlsoInAnotherProcess:
    """Functions of planes that are called here, and once more in another process by pickles."""

    BATCH_BYTES = 2**20

    def __init__(self, functions, process):
        self._functions, self._process = functions, process
        self._calls, self._n_bytes, self._sent = [], 0, []

    def __getattr__(self, name):
        def run(*arguments, **options):
            result = getattr(self._functions, name)(*arguments, **options)
            self._calls.append(pickle.dumps((_engines.number, name, arguments, options, result)))
            self._n_bytes += len(self._calls[-1])
            if self._n_bytes > self.BATCH_BYTES:
                self._send()
            return result

        return run

    def _send(self):
        self._sent.append(self._process.submit(repeat_calls, self._calls))
        self._calls, self._n_bytes = [], 0

    def finish(self):
        """Raise an error if the other process has found other results."""
        self._send()
        while self._sent:
            self._sent.pop(0).result()


def repeat_calls(calls):
    """Call functions of planes as another process has called them; compare what they return."""
    for call in calls:
        number, name, arguments, options, result = pickle.loads(call)
        where = f"case {number}, {name}: another process differs"
        out = arguments[PLACE_OF_OUT[name]].copy() if name in PLACE_OF_OUT else None
        if out is not None:
            arguments[PLACE_OF_OUT[name]][...] = 77
        assert equal(getattr(_engines.tried, name)(*arguments, **options), result), where
        assert out is None or same(arguments[PLACE_OF_OUT[name]], out), where


def equal(a, b):
    """Tell whether what two calls return is equal, array by array."""
    if type(a) is not type(b):
        return False
    if isinstance(a, np.ndarray):
        return same(a, b)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(equal, a, b))
    return a == b


# The place of the output among the arguments of the functions that map planes.
PLACE_OF_OUT = dict.fromkeys(("equalize", "clahe", "local", "match", "landmarks", "apply"), 2)
PLACE_OF_OUT |= {"invert": 1, "recolor": 4}


def random_reals(rng, n, dtype):
    """Return n finite floats of one of many awkward distributions."""
    kind = rng.integers(15)
    eps, tiny, huge = np.finfo(dtype).eps, np.finfo(dtype).tiny, np.finfo(dtype).max
    x = rng.random(n)
    if kind == 0:
        x = rng.normal(size=n)
    elif kind == 1:  # a byte image as floats
        x = rng.integers(0, 256, n) / 255
    elif kind == 2:  # multiples of a power of two: pixels on edges and centers
        x = rng.integers(-3, 2 ** rng.integers(1, 12), n) / 2.0 ** rng.integers(0, 12)
    elif kind == 3:  # an offset, so that few bits are left
        x = x + 2.0 ** rng.integers(0, 30)
    elif kind == 4:  # a few ulps apart
        x = 1 + eps * rng.integers(0, rng.integers(1, 600), n)
    elif kind == 5:  # subnormal
        x = tiny * eps * rng.integers(0, 2 ** rng.integers(1, 20), n)
    elif kind == 6:  # huge
        x = (2 * x - 1) * huge * rng.choice([1.0, 0.49, 0.25, 1e-3])
    elif kind == 7:  # constant, or two levels
        x = rng.choice(rng.normal(size=2), n)
    elif kind == 8:
        x = np.full(n, rng.normal())
    elif kind == 9:  # signed zeros and a little else
        x = rng.choice([0.0, -0.0, 1e-3, -1e-3], n)
    elif kind == 10:  # edges and centers of the bins of [0, 1], and their neighbours
        x = np.append(rng.integers(0, 513, n - 1), 512) / 512 if n > 1 else x
        x = np.nextafter(x.astype(dtype), rng.choice([-1.0, 1, 3], n).astype(dtype))
    elif kind == 11:  # long tails
        x = np.exp(rng.normal(size=n) * rng.integers(1, 30))
    elif kind == 12:  # any exponent
        x = np.ldexp(x, int(rng.integers(-140 if dtype == np.float32 else -1060, 100)))
    elif kind == 13:  # twelve bits
        x = rng.integers(0, 4096, n) * rng.choice([1.0, 1 / 4095, 0.1])
    with np.errstate(all="ignore"):
        x = np.asarray(x).astype(dtype)
    return np.where(np.isfinite(x), x, dtype.type(0))


def random_levels(rng, n, dtype):
    """Return n integers of one of many awkward distributions."""
    low, high = (
        (0, 1) if dtype == np.bool_ else (int(np.iinfo(dtype).min), int(np.iinfo(dtype).max))
    )
    kind = rng.integers(8)
    if kind == 0:
        return rng.integers(
            low, high, n, dtype=np.int64 if high < 2**63 else np.uint64, endpoint=True
        ).astype(dtype)
    width = min(high - low, 2 ** int(rng.integers(0, 18)))
    start = low + int(rng.random() * (high - low - width))
    if kind == 1:
        offsets = rng.choice([0, width], n)
    elif kind == 2:
        offsets = np.full(n, width)
    elif kind == 3:
        offsets = np.minimum(rng.exponential(width / 8 + 1, n), width).astype(np.int64)
    elif kind == 4:  # a step in the CDF
        offsets = np.where(
            rng.random(n) < 0.99, width // 2, rng.integers(0, width, n, endpoint=True)
        )
    else:
        offsets = rng.integers(0, width, n, endpoint=True)
    return (start + offsets.astype(object)).astype(dtype)


def random_planes(rng, dtype, shape):
    """Return planes (n, c, h, w), each of its own distribution; floats may have NaN or inf."""
    planes = np.empty(shape, dtype)
    draw = random_reals if dtype.kind == "f" else random_levels
    n_pixels = shape[2] * shape[3]
    for i, channel in np.ndindex(*shape[:2]):
        planes[i, channel] = draw(rng, n_pixels, dtype).reshape(shape[2:])
    if dtype.kind == "f" and rng.random() < 0.25:
        planes[rng.random(shape) < rng.choice([0.01, 0.3, 1])] = np.nan
    if dtype.kind == "f" and rng.random() < 0.02:
        planes.ravel()[rng.integers(planes.size)] = rng.choice([-np.inf, np.inf])
    return planes


def random_layout(rng, array):
    """Return an array with equal elements that lies differently in memory."""
    kind = rng.integers(8)
    if kind == 0:
        return np.moveaxis(np.ascontiguousarray(np.moveaxis(array, 1, -1)), -1, 1)
    if kind == 1:
        return np.asfortranarray(array)
    if kind == 2:
        return np.repeat(array, 2, axis=-1)[..., ::2]
    if kind == 3:
        return array.astype(array.dtype.newbyteorder(">"))
    if kind == 4:
        array = array.copy()
        array.flags.writeable = False
    return array


def random_n_bins(rng, convention):
    """Return a number of bins, or "auto"."""
    if convention in ("opencv", "pillow") or rng.random() < 0.4:
        return "auto"
    choice = rng.random()
    if choice < 0.4:
        return int(rng.integers(1, 300))
    return (
        int(2 ** rng.uniform(0, 16)) if choice < 0.8 else int(rng.choice([1, 2, 255, 256, 65536]))
    )


def random_span(rng, planes, takes_negative=True):
    """Return what bins span: mostly the own range, else a given one, or that of quantiles."""
    kind, dtype = rng.integers(7), planes.dtype
    if kind == 3:
        return spans.span_of("dtype", (0, 100), dtype, takes_negative)
    if kind == 4:  # values that occur, or others
        some = np.nan_to_num(rng.choice(planes.ravel(), 2).astype(np.float64))
        low, high = sorted((some + rng.choice([0, 0.5, -3])).tolist())
        return spans.Span((low, high)) if low < high else spans.OWN
    if kind == 6:  # far away, or of one number in single precision
        scale = float(pick(rng, 1e-310, 1e-40, 1.0, 1e30, 1e300, 1e308))
        low = scale * float(pick(rng, -1.0, 0.0, 0.5, 1.0))
        return spans.Span((low, pick(rng, scale * 1.5, np.nextafter(low, np.inf).item())))
    if kind == 5:
        low, high = sorted(rng.choice([0, 0.5, 1, 25, 50, 50.5, 99, 100], 2, replace=False))
        return spans.span_of(None, (low, high), dtype)
    return spans.OWN


def random_blend(rng, planes, convention, distribution):
    """Return how equalized values are blended with planes: mostly not at all."""
    dtype = planes.dtype
    if distribution == "normal" or rng.random() < 0.7:
        return None
    span = random_span(rng, planes)
    is_given = span.limits is not None and 1e-300 <= np.subtract(*span.limits[::-1]) < np.inf
    if not is_given:
        span = spans.span_of("dtype", (0, 100), dtype)
    top, own_dtype = convention.output_max, convention.default_output_dtype(dtype)
    strength = float(pick(rng, 0, 0.5, rng.random()))
    return Blend(strength, span.limits, is_given or dtype.kind == "f", top, own_dtype)


def random_planes_and_mask(rng, dtype):
    """Return planes of one of many sizes and layouts, and a mask or None."""
    size = LARGE[rng.integers(3)] if rng.random() < 0.01 else SIZES[rng.integers(len(SIZES))]
    n_images = _engines.n_images if size[0] * size[1] < 1000 else 3
    shape = (int(rng.integers(1, n_images + 1)), int(rng.integers(1, 3)), *size)
    _engines.n_planes += shape[0] * shape[1]
    planes = random_layout(rng, random_planes(rng, dtype, shape))
    mask = None
    if rng.random() < 0.3:
        mask = rng.random((shape[0], *size)) < rng.choice([0.02, 0.5, 0.98])
    return planes, mask


def same(a, b):
    """Tell whether two arrays hold the same bits, any NaN being like any other."""
    if a.dtype.kind == "f":
        a, b = np.where(np.isnan(a), a.dtype.type(7), a), np.where(np.isnan(b), b.dtype.type(7), b)
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def peer(plane, mask, n_bins, convention):
    """Return the peer's own result for a plane, or None where it has none."""
    if convention == "opencv":
        import cv2

        return None if mask is not None else cv2.equalizeHist(np.ascontiguousarray(plane))
    if convention == "pillow":
        from PIL import Image, ImageOps

        counted = None if mask is None else Image.fromarray(mask)
        return np.asarray(ImageOps.equalize(Image.fromarray(np.ascontiguousarray(plane)), counted))
    if plane.dtype.kind == "u" and plane.dtype.itemsize > 2:
        return None  # its memory follows the largest integer
    if plane.dtype.kind not in "uf" or np.isnan(plane.astype(np.float64)).any():
        return None
    if n_bins != "auto" and plane.dtype.kind == "u":
        plane = plane.astype(np.float64)
    n_bins = 256 if n_bins == "auto" else n_bins
    counted = plane if mask is None else plane[mask]
    try:
        if convention == "skimage":
            from skimage.exposure import equalize_hist

            return equalize_hist(plane, n_bins, mask)
        density, edges = np.histogram(counted, n_bins, density=True)
        cdf = density.cumsum()
        return np.interp(plane, edges[:-1], 255 * cdf / cdf[-1])
    except ValueError:
        return None


def deviates(plane, counted, n_bins, convention):
    """Tell whether a plane is one for which the package differs from its peer on purpose."""
    if counted.size == 0 or counted.min() == counted.max():
        return convention in ("skimage", "numpy") or counted.size == 0
    if convention not in ("skimage", "numpy") or (
        plane.dtype.itemsize < 2 and plane.dtype.kind in "ub"
    ):
        return plane.dtype == np.bool_
    if plane.dtype in (np.float16, np.uint64):
        return True
    n_bins = 256 if n_bins == "auto" else n_bins
    dtype = plane.dtype if plane.dtype.kind == "f" else np.float64
    low, high = counted.min().astype(dtype), counted.max().astype(dtype)
    edges = np.linspace(low, high, n_bins + 1, dtype=dtype)
    centers = ((edges[:-1] + edges[1:]) / 2).astype(np.float64)
    smallest = np.diff(centers).min(initial=1) if np.isfinite(centers).all() else 0
    return not (np.diff(edges) > 0).all() or smallest < 1e-300


def random_out(rng, shape, dtype, has_nan):
    """Return rubbish to write into, of dtype or any other, at times not contiguous."""
    if rng.random() < 0.5:
        dtype = np.dtype(rng.choice(_engines.outputs))
    if has_nan and dtype.kind != "f":  # the estimators refuse this
        dtype = np.dtype(np.float64)
    if rng.random() < 0.3:
        shape = (*shape[:1], *shape[2:], shape[1])
        return np.moveaxis(np.full(shape, 77, dtype), -1, 1)
    return np.full(shape, 77, dtype)


def compare_planes(rng, name, planes, mask, own_dtype, *rest, **options):
    """Run a function of both engines that maps planes; return its output and status."""
    has_nan = planes.dtype.kind == "f" and np.isnan(planes).any()
    out = random_out(rng, planes.shape, own_dtype, has_nan)
    expected = np.full(planes.shape, 77, out.dtype)
    before = planes.copy()
    status = getattr(_engines.tried, name)(planes, mask, out, *rest, **options)
    wanted = getattr(_engines.wanted, name)(planes, mask, expected, *rest)
    assert same(before, planes), "the input was modified"
    assert (status == wanted).all(), f"status {status} != {wanted}"
    for i, channel in np.argwhere((status & (INF | EMPTY)) == 0):
        assert same(out[i, channel], expected[i, channel]), "the reference differs"
    unmapped = out[status & (INF | EMPTY) > 0]
    is_filled = np.isnan(unmapped) if out.dtype.kind == "f" else unmapped == 0
    assert name == "invert" or is_filled.all(), "planes without a result are not filled"
    return out, status


def found_by_both(name, *arguments, **options):
    """Return what each engine finds in planes, and the status, in which they must agree."""
    found, status = getattr(_engines.tried, name)(*arguments, **options)
    wanted, expected = getattr(_engines.wanted, name)(*arguments)
    assert (status == expected).all(), f"status {status} != {expected}"
    return found, wanted, status


def each(function, parts):
    """Do what map does, as threads would: it is not the builtin map."""
    return [function(part) for part in parts]


# Paths: each draws a case of a dtype and compares it ----------------------------------------------


def _half(counts, widths, dtype):
    """A formula of no library, of levels and bins."""
    return transfer.cdf(counts) / 2


def _dense(counts, widths, dtype):
    """A formula that needs the widths of bins, where there are any."""
    density = counts if widths is None else counts / widths
    total = density.cumsum(axis=-1)
    return 0.75 * (total / total[..., -1:])


TOYS = EqualizeConvention(
    "toys",
    formulas={
        "half": transfer.Formula(_half),
        "dense": transfer.Formula(_dense, at_left_edges=True),
        "counted": transfer.Formula(_dense, at_left_edges=True, counted_only=True),
    },
)


def equalize_path(convention, distribution, in_parts=False):
    """Return the path of a convention's formula."""

    def run(rng, dtype):
        planes, mask = random_planes_and_mask(rng, dtype)
        n_bins = random_n_bins(rng, convention.name)
        rule = EqualizeRule(n_bins, convention, distribution)
        if rule.bins_of(dtype) is not None:
            rule = rule._replace(span=random_span(rng, planes))
        rule = rule._replace(blend=random_blend(rng, planes, convention, distribution))
        own_dtype = convention.default_output_dtype(dtype)
        map_parts = each if in_parts else map
        out, status = compare_planes(
            rng, "equalize", planes, mask, own_dtype, rule, map_parts=map_parts
        )
        has_peer = distribution == "uniform" and convention is not TOYS
        is_peers = rule.span == spans.OWN and rule.blend is None
        if out.dtype == own_dtype and has_peer and is_peers:
            return sum(
                compare_with_peer(planes[at], None if mask is None else mask[at[0]], rule, out[at])
                for at in map(tuple, np.argwhere((status & (INF | EMPTY)) == 0))
            )

    return run


def compare_with_peer(plane, mask, rule, out):
    """Compare a plane's result with the peer's; return whether there is one."""
    plane = plane.astype(plane.dtype.newbyteorder("="))
    counted = plane if mask is None else plane[mask]
    if deviates(plane, counted, rule.n_bins, rule.convention.name):
        return 0
    theirs = peer(plane, mask, rule.n_bins, rule.convention.name)
    if theirs is None or not np.isfinite(theirs).all():
        return 0
    assert same(np.ascontiguousarray(out), theirs.astype(out.dtype)), "the peer differs"
    return 1


def cut_into_slices(rng, planes, mask):
    """Return planes as volumes, whose slices lay below each other, and their mask."""
    n, c, height, width = planes.shape
    depth = pick(rng, *(depth for depth in range(1, height + 1) if height % depth == 0))
    shape = depth, height // depth, width
    return planes.reshape(n, c, *shape), None if mask is None else mask.reshape(n, *shape)


def clahe_path(convention, of_volumes=False):
    """Return the path of a convention of CLAHE."""

    def run(rng, dtype):
        planes, mask = random_planes_and_mask(rng, dtype)
        if of_volumes:
            planes, mask = cut_into_slices(rng, planes, mask)
            planes = random_layout(rng, planes)
        if not convention.takes_nan and dtype.kind == "f":
            mask, planes = None, np.clip(np.nan_to_num(planes), 0, 1)
        if not convention.takes_negative and dtype.kind == "i":
            planes = np.where(planes < 0, ~planes, planes)
        mask = mask if convention.takes_mask else None
        shape = planes.shape[2:]
        n_tiles = tuple(int(n) for n in rng.choice([1, 2, 3, 8, 9], len(shape)))
        tiles = convention.tiling.tiles(shape, n_tiles, None)
        clip_limit = rng.choice([None, 1.0, 1.5, 3.0, 40.0])
        n_bins = int(rng.choice([256, 2, 17, 300])) if convention.takes_n_bins else 256
        span = spans.OWN
        if convention.takes_n_bins:
            span = random_span(rng, planes, convention.takes_negative)
        rule = ClaheRule(tiles, clip_limit, n_bins, convention, span)
        own_dtype = convention.default_output_dtype(dtype)
        map_parts = map if rng.random() < 0.5 else each
        compare_planes(rng, "clahe", planes, mask, own_dtype, rule, map_parts=map_parts)

    return run


def local_path(convention, draw=random_planes_and_mask):
    """Return the path of a convention of local equalization; small planes, large windows too."""

    def run(rng, dtype):
        planes, mask = draw(rng, dtype)
        n_columns = 2000 // math.prod(planes.shape[2:-1]) + 1
        planes = planes[..., :n_columns]
        mask = None if mask is None else mask[..., :n_columns]
        n_axes = planes.ndim - 2
        radii = rng.choice([1, 2, 3, 6, 12, 30, 50], n_axes)
        if rng.random() < 0.5:
            radii[:] = radii[0]
        elif rng.random() < 0.5:
            radii[rng.integers(n_axes)] = 0
        rule = LocalRule(tuple(map(int, radii)), convention)
        own_dtype = convention.default_output_dtype(dtype)
        map_parts = map if rng.random() < 0.5 else each
        compare_planes(rng, "local", planes, mask, own_dtype, rule, map_parts=map_parts)

    return run


def random_volumes_and_mask(rng, dtype):
    """Return volumes (n, c, d, h, w) of one of many sizes and layouts, and a mask or None."""
    depth, height, width = (int(size) for size in rng.choice([1, 2, 3, 5, 9], 3))
    n_images, n_channels = (int(n) for n in rng.integers(1, (_engines.n_images + 1, 3)))
    _engines.n_planes += n_images * n_channels
    planes = random_planes(rng, dtype, (n_images, n_channels, depth * height, width))
    volumes = random_layout(rng, planes.reshape(n_images, n_channels, depth, height, width))
    mask = None
    if rng.random() < 0.4:
        mask = rng.random((n_images, depth, height, width)) < rng.choice([0.02, 0.5, 0.98])
    return volumes, mask


def match_path(rng, dtype, map_parts=map):
    """Compare matching to targets of any number of points."""
    planes, mask = random_planes_and_mask(rng, dtype)
    targets, strength = [], float(pick(rng, 1, 1, 0.5, rng.random()))
    for _ in range(planes.shape[1]):
        n = int(rng.choice([1, 2, 30, 1024]))
        shares = (np.arange(n) + 0.5) / n if rng.random() < 0.5 else np.sort(rng.random(n))
        values = np.sort(rng.normal(100, 80, n) * rng.choice([1, 1e-3, 1e30]))
        shares = np.unique(shares)
        targets.append(quantiles.Target(shares, values[: len(shares)], strength))
    own_dtype = dtypes.single_or_double(dtype)
    compare_planes(rng, "match", planes, mask, own_dtype, targets, map_parts=map_parts)


def landmarks_path(rng, dtype, map_parts=map):
    """Compare the landmarks of planes, and planes mapped by them."""
    planes, mask = random_planes_and_mask(rng, dtype)
    k = int(rng.choice([2, 3, 11, 50]))
    percentages = pick(rng, np.linspace(0, 100, k), np.sort(rng.random(k)) * 100)
    values = np.sort(rng.random((planes.shape[1], k)) * rng.choice([1, 100, 1e30]))
    scale = landmarks.Scale(percentages, values)
    found, wanted, _ = found_by_both("percentiles", planes, mask, scale, map_parts=map_parts)
    assert same(found.values, wanted.values), "the reference differs"
    own_dtype = dtypes.single_or_double(dtype)
    compare_planes(rng, "landmarks", planes, mask, own_dtype, scale, map_parts=map_parts)


def quantiles_path(rng, dtype):
    """Compare order statistics; zeros of both signs are one value."""
    planes, mask = random_planes_and_mask(rng, dtype)
    n_quantiles = int(rng.choice([1, 7, 256, 1024]))
    found, wanted, _ = found_by_both("quantiles", planes, mask, n_quantiles)
    assert same(found + 0.0, wanted + 0.0), "the reference differs"


def same_states(found, wanted):
    """Tell whether two lists of what was counted are equal."""
    for a, b in zip(found, wanted, strict=True):
        if (a is None) != (b is None):
            return False
        pairs = zip(a, b, strict=True) if isinstance(a, tuple) else [(a, b)]
        if a is not None and not all(np.array_equal(x, y) for x, y in pairs):
            return False
    return True


def learn_path(convention, distribution):
    """Return the path of scope="dataset": counts, transfer functions, apply and invert."""

    def run(rng, dtype):
        planes, mask = random_planes_and_mask(rng, dtype)
        if dtype == np.float16:
            planes = planes.astype(np.float32)
        states, status = counts_of("count_levels", planes, mask)
        if dtype.kind == "f":
            counts_of("count_lattice", planes, mask)
        if (status & (INF | EMPTY)).any() or any(not state.counts.sum() for state in states):
            return
        rule = EqualizeRule(random_n_bins(rng, "any"), convention, distribution)
        span = random_span(rng, planes)
        if span.limits and dtype.kind == "f":
            rule = rule._replace(span=span)
        transfers = learned(planes, mask, states, rule)
        own_dtype = convention.default_output_dtype(planes.dtype)
        blend = random_blend(rng, planes, convention, distribution)
        ranges = random_planes(rng, planes.dtype, (1, 1, planes.shape[1], 2))[0, 0]
        ranges = np.sort(np.nan_to_num(ranges.astype(np.float64)), axis=1)
        known = types.SimpleNamespace(transfers=transfers, ranges=ranges)
        compare_planes(rng, "apply", planes, mask, own_dtype, known, convention, blend)

    return run


def counts_of(name, *arguments):
    """Compare what both engines count for scope="dataset"; return it, and the status."""
    found, wanted, status = found_by_both(name, *arguments)
    assert same_states(found, wanted), f"{name} differs"
    return found, status


def learned(planes, mask, states, rule):
    """Return each channel's transfer function: of bins where there are any, else of levels."""
    n_bins = rule.bins_of(planes.dtype)
    histograms = [
        transfer.Histogram(state.counts, state.levels, None, planes.dtype.kind != "f")
        for state in states
    ]
    if planes.dtype.kind == "f":
        dtype = planes.dtype.newbyteorder("=")
        limits = [(state.levels[0], state.levels[-1]) for state in states]
        if rule.span.limits:
            limits = [rule.span.limits] * len(states)
        edges = [transfer.bin_edges(*limit, n_bins, dtype) for limit in limits]
        edges = [of if transfer.are_bins(of) else None for of in edges]
        counts, _ = counts_of("count_bins", planes, mask, edges)
        for channel, of in enumerate(edges):
            if of is not None:
                centers = transfer.bin_centers(of)
                histograms[channel] = transfer.Histogram(counts[channel], centers, of, False)
    return [rule.transfer_function(histogram) for histogram in histograms]


def invert_path(rng, dtype):
    """Compare the inverse of learned transfer functions with `transfer.invert`."""
    planes, _ = random_planes_and_mask(rng, dtype)
    transfers = []
    for _ in range(planes.shape[1]):
        n = int(rng.choice([2, 30, 256]))
        points = np.sort(rng.normal(100, 80, n))
        values = np.sort(rng.integers(0, 4 * n, n)) / (4 * n)
        transfers.append(transfer.TransferFunction(points, values, bool(rng.random() < 0.2)))
    out = np.full(planes.shape, 77, rng.choice(["float32", "float64"]))
    expected = out.copy()
    status = _engines.tried.invert(planes, out, transfers, 1.0)
    values = planes
    if dtype.kind != "f":
        largest = 1 if dtype == np.bool_ else np.iinfo(dtype).max
        values = planes / largest * 1.0
    with np.errstate(all="ignore"):
        for channel, found in enumerate(transfers):
            expected[:, channel] = transfer.invert(found, values[:, channel])
    expected[np.isnan(values)] = np.nan  # numpy.interp maps it, too, by a single point
    expected[np.isinf(values).any(axis=(2, 3))] = np.nan
    assert same(out, expected), "transfer.invert differs"
    assert (status & INF > 0).tolist() == np.isinf(values).any(axis=(2, 3)).tolist()


def color_path(rng, dtype):
    """Compare the plane of colours, and the colours for a plane that was mapped to anything."""
    gray, _ = random_planes_and_mask(rng, dtype)
    n_channels = int(rng.choice([3, 4]))
    planes = np.repeat(gray[:, :1], n_channels, axis=1)
    for channel in range(n_channels):  # a tint
        divisor = rng.choice([1, 2, 7])
        planes[:, channel] = planes[:, channel] / divisor if dtype != np.bool_ else gray[:, 0]
    planes = random_layout(rng, planes)
    names = [*COLORS]
    names += ["luminance of opencv"] * (dtype.name in ("uint8", "uint16"))
    names += ["lightness of opencv"] * (dtype.name == "uint8")
    if isinstance(_engines.tried, Elsewhere):
        names = [name for name in names if MODES[name].runs_on_devices]
    name = pick(rng, *names)
    with np.errstate(all="ignore"):  # beyond full intensity lightness has no meaning
        plane, status = _engines.wanted.plane_of(name, planes)
        found, found_status = _engines.tried.plane_of(name, planes)
    assert same(namespaces.to_numpy(found), plane), f"the {name} differs"
    assert (status == found_status).all(), f"the status of the {name} differs"
    own_dtypes = [np.float32, np.float64]
    if MODES[name].plane_dtype(dtype) == dtype and dtype.name in ("uint8", "uint16"):
        own_dtypes = [dtype] if "opencv" in name else [*own_dtypes, dtype, dtype]
    own_dtype = np.dtype(own_dtypes[rng.integers(len(own_dtypes))])
    largest = rng.choice([1.0, 255.0, 1e30, 1e300] if own_dtype.kind == "f" else [255.0])
    with np.errstate(over="ignore"):
        mapped = (rng.random(plane.shape) * largest).astype(own_dtype)
    out = random_out(rng, planes.shape, own_dtype, dtype.kind == "f")
    expected = np.full(out.shape, 77, out.dtype)
    stored = output.Stored(own_dtype, float(largest), output.store, float(largest))
    with np.errstate(all="ignore"):
        _engines.tried.recolor(name, planes, plane, mapped, out, stored)
        _engines.wanted.recolor(name, planes, plane, mapped, expected, stored)
    assert same(out, expected), f"colours by {name} differ"


# Estimators, in other threads and in another process ----------------------------------------------


def pick(rng, *options):
    """Return one of the options, as it is."""
    return options[rng.integers(len(options))]


RANGES = [{}, {}, {"value_range": "dtype"}, {"value_range": (0.2, 90)}, {"quantile_range": (5, 95)}]


def random_estimator(rng, planes):
    """Return an estimator with parameters that mostly suit the planes."""
    common = {
        "color": pick(rng, *COLORS) if planes.shape[1] == 3 else "channels",
        "dtype": pick(rng, None, None, "input", "float32", "uint8", "uint16"),
        "flatten": pick(rng, False, True),
        "n_jobs": pick(rng, None, 2),
    }
    kind = rng.integers(4)
    if kind == 0:
        convention = pick(rng, "skimage", "numpy", "opencv", "pillow")
        is_normal = convention == "skimage" and rng.random() < 0.2
        return HistogramEqualizer(
            n_bins=random_n_bins(rng, convention),
            convention=convention if planes.dtype == np.uint8 else "skimage",
            scope=pick(rng, "image", "dataset"),
            output_distribution="normal" if is_normal else "uniform",
            strength=1 if is_normal else pick(rng, 1, 1, 0, 0.5, 0.3),
            **pick(rng, *RANGES),
            **common,
        )
    if kind == 1:
        return AdaptiveHistogramEqualizer(
            n_tiles=pick(rng, 1, 2, (3, 8)),
            clip_limit=pick(rng, "auto", None, 2.0),
            convention=pick(rng, "histeq", "histeq", "opencv", "skimage"),
            **pick(rng, *RANGES),
            **common,
        )
    if kind == 2:
        convention = pick(rng, "histeq", "skimage")
        return LocalHistogramEqualizer(
            window=pick(rng, 3, 0.25, (1, 9), (0.5, 3)), convention=convention, **common
        )
    if common["color"] == "channels" and rng.random() < 0.3:
        return HistogramMatcher(landmarks=pick(rng, "nyul", (0, 100), (5, 50, 95)), **common)
    reference = None if rng.random() < 0.5 else np.array(planes[0])
    strength = pick(rng, 1, 1, 0, 0.5, 0.3)
    return HistogramMatcher(reference=reference, strength=strength, **common)


def outcome(estimator, X, mask):
    """Return transformed images, or the message of an error."""
    try:
        out = estimator.transform(X, mask=mask)
        out = out if isinstance(out, np.ndarray) else out.compute()
    except ValueError as error:
        return str(error)
    return out.astype(out.dtype.newbyteorder("="), copy=False)  # pickles change the byte order


def outcome_of_pickle(pickled, engine):
    """Return the outcome in this process, by an engine."""
    os.environ["SKLEARN_HISTEQ_ENGINE"] = engine
    return outcome(*pickle.loads(pickled))


def estimators_path(rng, dtype):
    """Compare an estimator with itself in four threads, and in another process by a pickle."""
    planes, mask = random_planes_and_mask(rng, dtype)
    planes = planes[..., : 2000 // planes.shape[2] + 1]
    mask = None if mask is None else mask[..., : planes.shape[3]]
    if rng.random() < 0.2:  # a color
        planes = np.concatenate([planes[:, :1], planes[:, -1:], planes[:, :1]], axis=1)
    estimator = random_estimator(rng, planes)
    try:
        estimator.fit(planes, mask=mask)
    except ValueError:
        estimator = HistogramEqualizer()
    pickled = pickle.dumps((estimator, planes, mask))
    process = _others.process.submit(outcome_of_pickle, pickled, pick(rng, "reference", "auto"))
    expected = outcome(estimator, planes, mask)
    at_once = Barrier(N_THREADS)

    def in_thread(_):
        at_once.wait()
        return outcome(estimator, planes, mask)

    results = [*_others.threads.map(in_thread, range(N_THREADS)), process.result()]
    for found, where in zip(results, ["a thread"] * N_THREADS + ["another process"], strict=True):
        assert equal(expected, found), f"{where} differs: {estimator}"


def volumes_path(rng, dtype):
    """Compare volumes with planes of their slices below each other, wherever their voxels lie."""
    planes, mask = random_planes_and_mask(rng, dtype)
    volumes, of_volumes_mask = cut_into_slices(rng, planes, mask)
    (n, c, *shape), estimator = volumes.shape, random_estimator(rng, planes)
    while isinstance(estimator, (AdaptiveHistogramEqualizer, LocalHistogramEqualizer)):
        estimator = random_estimator(rng, planes)
    of_volumes = clone(estimator).set_params(spatial_dims=3)
    if getattr(estimator, "reference", None) is not None:
        of_volumes.reference = estimator.reference.reshape(c, *shape)
    axes = rng.permutation(3)  # the order of the axes in memory, but for random_layout
    volumes = volumes.transpose(0, 1, *(2 + axes)).copy()
    volumes = random_layout(rng, volumes).transpose(0, 1, *(2 + axes.argsort()))
    expected = outcome_of_fit(estimator, planes.astype(volumes.dtype), mask)
    if not isinstance(expected, str):
        expected = expected.reshape(n, *(expected.shape[1:] if estimator.flatten else (c, *shape)))
    found = outcome_of_fit(of_volumes, volumes, of_volumes_mask)
    assert type(expected) is type(found), f"an error on one side only: {expected} {found}"
    assert equal(expected, found), f"volumes differ: {of_volumes}"


def chunks_path(kind):
    """Return a path that compares chunks of dask arrays, cut along all axes, with arrays in memory.

    kind: the class of the estimators.
    """
    import dask

    def compare(rng, dtype):
        planes, mask = random_planes_and_mask(rng, dtype)
        if rng.random() < 0.2:  # a color
            planes = np.concatenate([planes[:, :1], planes[:, -1:], planes[:, :1]], axis=1)
        X, estimator = planes, random_estimator(rng, planes)
        while not isinstance(estimator, kind):
            estimator = random_estimator(rng, planes)
        if rng.random() < 0.3:
            X, mask = cut_into_slices(rng, planes, mask)
            estimator.set_params(spatial_dims=3, **as_of_volumes(estimator, X))
        elif rng.random() < 0.3:
            X = np.moveaxis(planes, 1, -1)
            estimator.set_params(channel_axis=-1)
        expected = outcome_of_fit(clone(estimator), X, mask)
        chunks = in_chunks(rng, X), None if mask is None else in_chunks(rng, mask)
        with dask.config.set(scheduler="synchronous"):
            found = outcome_of_fit(estimator, *chunks)
        are_errors = isinstance(expected, str) and isinstance(found, str)
        where = [x is not None and x.chunks for x in chunks]
        assert are_errors or equal(expected, found), f"chunks {where} differ: {estimator}"

    return compare


def as_of_volumes(estimator, volumes):
    """Return those parameters that images and volumes do not share, as they are for volumes."""
    params = estimator.get_params()
    changed = {"reference": params["reference"]} if "reference" in params else {}
    if changed.get("reference") is not None:
        changed["reference"] = changed["reference"].reshape(volumes.shape[1:])
    for name in {"n_tiles", "window"} & params.keys():
        value = params[name]
        changed[name] = (3, *value) if isinstance(value, tuple) else value
    return changed


def in_chunks(rng, array):
    """Return a dask array of few or many chunks along every axis, of which some may be empty."""
    import dask.array as da

    chunks = []
    for size in array.shape:
        cuts = rng.integers(0, size, rng.integers(0, 4), endpoint=True)
        chunks.append(tuple(np.diff([0, *np.sort(cuts), size]).tolist()))
    return da.from_array(array, chunks=tuple(chunks))


def outcome_of_fit(estimator, X, mask):
    """Return images transformed by an estimator that is fitted to them, or the error's message.

    The message is without the shape of the images.
    """
    try:
        estimator.fit(X, mask=mask)
    except ValueError as error:
        return re.sub(r"shape \([\d, ]+\)", "their shape", str(error))
    return outcome(estimator, X, mask)


N_THREADS = 4


class _others:
    """The threads and the process, which last for all cases."""

    threads: ThreadPoolExecutor
    process: ProcessPoolExecutor


KINDS = {
    "equalize": HistogramEqualizer,
    "clahe": AdaptiveHistogramEqualizer,
    "local": LocalHistogramEqualizer,
    "match": HistogramMatcher,
}
BYTES = ("uint8",)
PATHS = {
    "equalize skimage": (equalize_path(EQUALIZE["skimage"], "uniform"), DTYPES),
    "equalize numpy": (equalize_path(EQUALIZE["numpy"], "uniform"), DTYPES),
    "equalize opencv": (equalize_path(EQUALIZE["opencv"], "uniform"), BYTES),
    "equalize pillow": (equalize_path(EQUALIZE["pillow"], "uniform"), BYTES),
    "equalize normal": (equalize_path(EQUALIZE["skimage"], "normal"), DTYPES),
    "equalize half": (equalize_path(TOYS, "half"), DTYPES),
    "equalize dense": (equalize_path(TOYS, "dense"), DTYPES),
    "equalize counted": (equalize_path(TOYS, "counted"), DTYPES),
    "parts skimage": (equalize_path(EQUALIZE["skimage"], "uniform", True), DTYPES),
    "parts numpy": (equalize_path(EQUALIZE["numpy"], "uniform", True), DTYPES),
    "parts opencv": (equalize_path(EQUALIZE["opencv"], "uniform", True), BYTES),
    "parts pillow": (equalize_path(EQUALIZE["pillow"], "uniform", True), BYTES),
    "parts normal": (equalize_path(EQUALIZE["skimage"], "normal", True), DTYPES),
    "learn skimage": (learn_path(EQUALIZE["skimage"], "uniform"), DTYPES),
    "learn normal": (learn_path(EQUALIZE["skimage"], "normal"), DTYPES),
    "learn numpy": (learn_path(EQUALIZE["numpy"], "uniform"), DTYPES),
    "invert": (invert_path, DTYPES),
    "clahe histeq": (clahe_path(CLAHE["histeq"]), DTYPES),
    "clahe volumes": (clahe_path(CLAHE["histeq"], of_volumes=True), DTYPES),
    "clahe opencv": (clahe_path(CLAHE["opencv"]), ("uint8", "uint16")),
    "clahe skimage": (clahe_path(CLAHE["skimage"]), DTYPES),
    "local histeq": (local_path(LOCAL["histeq"]), DTYPES),
    "local skimage": (local_path(LOCAL["skimage"]), ("uint8", "uint16")),
    "volumes local": (local_path(LOCAL["histeq"], random_volumes_and_mask), DTYPES),
    "volumes skimage": (
        local_path(LOCAL["skimage"], random_volumes_and_mask),
        ("uint8", "uint16"),
    ),
    "match": (match_path, DTYPES),
    "match in parts": (partial(match_path, map_parts=each), DTYPES),
    "landmarks": (landmarks_path, DTYPES),
    "landmarks in parts": (partial(landmarks_path, map_parts=each), DTYPES),
    "quantiles": (quantiles_path, DTYPES),
    "color": (color_path, DTYPES),
}


def set_part_sizes(n_part, n_copied):
    """Set how many pixels the compiled engine takes for a part of a plane."""
    arrays.N_PART, arrays.N_COPIED = n_part, n_copied


def run_path(name, dtype, n_cases, seed):
    """Run the cases of one path and dtype; return how many planes equal the peer's, too."""
    run, _ = PATHS[name]
    limits = arrays.N_PART, arrays.N_COPIED
    if "parts" in name or "clahe" in name or "chunks" in name:  # so that planes have parts
        set_part_sizes(200, 100)
    rng = np.random.default_rng([seed, *name.encode(), *dtype.encode()])
    n_like_peer = 0
    try:
        for number in range(n_cases):
            COMPILED.use_simd(True, number % 3)
            _engines.number, state = number, rng.bit_generator.state
            n_like_peer += run(rng, np.dtype(dtype)) or 0
        if isinstance(_engines.tried, AlsoInAnotherProcess):
            _engines.tried.finish()
    except Exception:
        print(f"case {number} of {name} {dtype}, {COMPILED.instruction_set()}, {state}")
        raise
    finally:
        set_part_sizes(*limits)
        COMPILED.use_simd(True)
    return n_like_peer


def watch_definition():
    """Return a list that grows with each call of a definition by the compiled engine."""
    left = []
    engine = _engine.DEFINITION
    for module, name in (
        *((engine.equalize, name) for name in ("equalize", "count_lattice", "count_bins")),
        (engine.clahe, "clahe"),
        (engine.local, "local"),
        (engine.match, "match"),
        (engine.match, "landmarks"),
    ):
        function = getattr(module, name)

        def watched(*arguments, function=function, **options):
            left.append(1)
            return function(*arguments, **options)

        setattr(module, name, watched)
    return left


def prepare_process():
    """Ignore warnings, and let pickles find the toys."""
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    EQUALIZE[TOYS.name] = TOYS


def main():
    """Run all paths and dtypes."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cases", type=int, default=300, help="for each path and dtype")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--library", help="compare the engine of the array API on its arrays")
    parser.add_argument("--images", type=int, default=3, help="at most, of small planes")
    parser.add_argument("--only", default="", help="run paths that contain this: 'adapt opencv u'")
    options = parser.parse_args()
    prepare_process()
    if options.library:
        _engines.tried, _engines.wanted = Elsewhere(options.library), _engines.tried
        for name in [name for name in PATHS if "parts" in name or name == "clahe skimage"]:
            del PATHS[name]
    else:  # they need the threads and the process below
        PATHS["estimators"] = estimators_path, DTYPES
        PATHS["volumes"] = volumes_path, DTYPES
        for name, kind in KINDS.items():
            PATHS[f"chunks {name}"] = chunks_path(kind), ("uint8", "uint16", "float32")
    if options.library == "array_api_strict":  # the standard has no float16
        _engines.outputs = [name for name in OUTPUTS if name != "float16"]
    _engines.n_images = options.images
    # so that there are several blocks
    compiled_local.N_PART = compiled_local.N_ALONE = 200
    arrays.N_COPIED = arrays.N_RANKED = 1000
    compiled_learning.N_BLENDED = 500
    _blocks.NS_PER_THREAD = 1  # so that a small batch is shared
    spawned = multiprocessing.get_context("spawn")
    with (
        ThreadPoolExecutor(N_THREADS) as _others.threads,
        ProcessPoolExecutor(1, spawned, initializer=prepare_process) as _others.process,
    ):
        if not options.library:
            _engines.tried = AlsoInAnotherProcess(_engines.tried, _others.process)
        run_paths(options)


def run_paths(options):
    """Run the paths and dtypes that the options name."""
    left = watch_definition()
    for name, (_, of_path) in PATHS.items():
        for dtype in of_path:
            has_dtype = options.library != "array_api_strict" or dtype != "float16"
            if options.only not in f"{name} {dtype}" or not has_dtype:
                continue
            left.clear()
            _engines.n_planes = 0
            start = time.perf_counter()
            n_like_peer = run_path(name, dtype, options.cases, options.seed)
            print(
                f"{name:17} {dtype:8} {options.cases:7} cases, {_engines.n_planes:7} planes, "
                f"{n_like_peer:7} also equal to the peer's, {len(left):6} left to the definition, "
                f"{time.perf_counter() - start:6.1f} s",
                flush=True,
            )


if __name__ == "__main__":
    main()
