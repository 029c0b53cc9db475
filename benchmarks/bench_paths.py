"""Measure every path through the compiled engine, in multiples of the plain path.

    python benchmarks/bench_paths.py [--rounds N] [--images N] [--only TEXT] [--write]

The plain path is `HistogramEqualizer().transform(X)` of uint8 images of 96×96 pixels, with float64
output, in one thread. Each other path runs in turn with it, round by round, on the same number of
pixels. The result is the median of the ratios of their times per pixel. The images are smooth
patches with noise. The arrays are so large that outputs lie in memory that was just allocated, as
in a program that keeps its results. Two threads are measured at times when pure computing is faster
with two threads, and once more in memory that the process keeps. Some paths are compared with a
loop over scikit-image in the same way. --write writes the tables to docs/measurements.
"""

import argparse
import statistics
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import _machine
import _report
import numpy as np
from _machine import time_of
from _peers import rank_equalize
from skimage.exposure import equalize_hist, match_histograms
from sklearn.base import clone

from sklearn_histeq import (
    AdaptiveHistogramEqualizer,
    HistogramEqualizer,
    HistogramMatcher,
    LocalHistogramEqualizer,
)

N_IMAGES = 1000
PLAIN = "plain: uint8"
N_PEER = 2**18  # pixels; scikit-image takes long
THREADS = ThreadPoolExecutor(2)


def images(side=96, dtype="uint8", n_levels=None, n_channels=1):
    """Return images (n, c, side, side) with a smooth part and noise, over a range of a dtype."""
    rng = np.random.default_rng(0)
    n = max(1, N_IMAGES * 96 * 96 // (side * side * n_channels))
    patches = rng.normal(0.5, 0.18, (n, n_channels, -(-side // 4), -(-side // 4))).clip(0, 1)
    smooth = patches.repeat(4, axis=2).repeat(4, axis=3)[:, :, :side, :side]
    x = 0.8 * smooth + 0.2 * rng.random(smooth.shape)
    dtype = np.dtype(dtype)
    if dtype.kind == "f":
        return x.astype(dtype)
    return (x * ((n_levels or np.iinfo(dtype).max + 1) - 1)).astype(dtype)


def transform(estimator, x, **options):
    """Return a function of n_jobs that transforms images, and their number of pixels."""
    estimator.fit(x, **options)
    return lambda n_jobs: estimator.set_params(n_jobs=n_jobs).transform(x, **options), x.size


def fit(estimator, x):
    """Return a function of n_jobs that fits an estimator, and the number of pixels."""
    return lambda n_jobs: estimator.set_params(n_jobs=n_jobs).fit(x), x.size


def inverse(x):
    """Return a function of n_jobs that maps a data set's equalized images back."""
    estimator = HistogramEqualizer(scope="dataset").fit(x)
    equalized = estimator.transform(x)
    return lambda n_jobs: estimator.set_params(n_jobs=n_jobs).inverse_transform(equalized), x.size


def one_by_one(method, x, n_kept=None):
    """Return a function of n_jobs that passes each image in a call of its own.

    So many of the last results are kept; None: all. A stream drops one before the next.
    """
    estimator = HistogramEqualizer()

    def run(n_jobs):
        call = getattr(estimator.set_params(n_jobs=n_jobs), method)
        return deque((call(image[np.newaxis]) for image in x), maxlen=n_kept)

    return run, x.size


def fill(x):
    """Return a function of n_jobs that only writes a new float64 array: the least of any path."""

    def run(n_jobs):
        out = np.empty(x.shape)
        deque(THREADS.map(lambda part: part.fill(1), np.array_split(out, n_jobs)), maxlen=0)
        return out

    return run, x.size


def stacked(x):
    """Return images (n, c, h, w) as 50 slices of a volume each, (n, c, d, h, w)."""
    depth = min(50, len(x))
    x = x[: len(x) // depth * depth].reshape(-1, depth, *x.shape[1:])
    return np.ascontiguousarray(x.swapaxes(1, 2))


def mask_of(x):
    """Return a mask of a disc, as faces have, for all images."""
    y, z = np.ogrid[: x.shape[2], : x.shape[3]]
    radius = x.shape[2] / 2
    return np.broadcast_to((y - radius) ** 2 + (z - radius) ** 2 < radius**2, x[:, 0].shape)


def channels_last(x):
    """Return images (n, h, w, c)."""
    return np.ascontiguousarray(np.moveaxis(x, 1, -1))


HE, CLAHE = HistogramEqualizer, AdaptiveHistogramEqualizer
LOCAL, LANDMARKS = LocalHistogramEqualizer, partial(HistogramMatcher, landmarks="nyul")


def path(estimator, *of_images, do=transform, has_mask=False, n_channels=1):
    """Return a function that prepares a path: (function to measure, number of pixels).

    The images, of which `of_images` says the side, the dtype and the levels, lie as the estimator
    expects them; as many of them as volumes have slices make a volume.
    """

    def prepare():
        x = images(*of_images, n_channels=n_channels)
        options = {"mask": mask_of(x)} if has_mask else {}
        x = stacked(x) if estimator.spatial_dims == 3 else x
        x = channels_last(x) if estimator.channel_axis == -1 else x
        return do(clone(estimator), x, **options)

    return prepare


def paths():
    """Return a function for each path that prepares it: (function to measure, number of pixels)."""
    opencv, value = {"convention": "opencv"}, {"color": "value"}
    found = {
        "a new float64 array, filled": lambda: fill(images()),
        "float64": path(HE(), 96, "float64"),
        "float32": path(HE(), 96, "float32"),
        "uint16": path(HE(), 96, "uint16"),
        "uint16 of 12 bits": path(HE(), 96, "uint16", 4096),
        "uint16 28×28": path(HE(), 28, "uint16"),
        "int32 within 1,000 levels": path(HE(), 96, "int32", 1000),
        "int32 far apart": path(HE(), 96, "int32"),
        "NumPy recipe, uint8": path(HE(convention="numpy")),
        "uint8 with a mask": path(HE(), has_mask=True),
        "float64 with a mask": path(HE(), 96, "float64", has_mask=True),
        "opencv, uint8 → uint8": path(HE(**opencv)),
        "opencv, (n, 3, h, w)": path(HE(**opencv), n_channels=3),
        "opencv, (n, h, w, 3)": path(HE(**opencv, channel_axis=-1), n_channels=3),
        "one image of 96×96 per call": lambda: one_by_one("transform", images(), 1),
        "the same, all results kept": lambda: one_by_one("transform", images()),
        "the same, fit_transform": lambda: one_by_one("fit_transform", images(), 1),
        "color=value, (n, 3, h, w)": path(HE(**value), n_channels=3),
        "color=luminance, (n, 3, h, w)": path(HE(color="luminance"), n_channels=3),
        "color=lightness, (n, 3, h, w)": path(HE(color="lightness"), n_channels=3),
        "color=value, (n, h, w, 3)": path(HE(**value, channel_axis=-1), n_channels=3),
        "inverse, uint8": lambda: inverse(images()),
        "inverse, float64": lambda: inverse(images(96, "float64")),
    }
    for name in ("uint16", "float32", "float64"):
        found[f"{name}, (n, 3, h, w)"] = path(HE(), 96, name, n_channels=3)
        found[f"{name}, (n, h, w, 3)"] = path(HE(channel_axis=-1), 96, name, n_channels=3)
    for name, side in (("uint8", 96), ("float64", 96), ("uint8", 32)):
        normal = HE(output_distribution="normal")
        found[f"normal, {name} {side}×{side}"] = path(normal, side, name)
    learning = {
        "scope=dataset": HE(scope="dataset"),
        "matcher": HistogramMatcher(),
        "landmarks": LANDMARKS(),
    }
    for name in ("uint8", "uint16", "float64", "float32"):
        for what, estimator in learning.items():
            found[f"{what}, fit {name}"] = path(estimator, 96, name, do=fit)
            found[f"{what}, transform {name}"] = path(estimator, 96, name)
        half = HistogramMatcher(strength=0.5)
        found[f"matcher, strength=0.5, {name}"] = path(half, 96, name)
    found |= {
        "CLAHE, uint8 32×32": path(CLAHE(), 32),
        "CLAHE, uint8 96×96": path(CLAHE()),
        "CLAHE, uint8 96×96 with a mask": path(CLAHE(), has_mask=True),
        "CLAHE, float64 96×96": path(CLAHE(), 96, "float64"),
        "CLAHE of OpenCV, uint8": path(CLAHE(**opencv)),
        "CLAHE of scikit-image, uint8": path(CLAHE(convention="skimage")),
    }
    for name in ("float64", "float32"):
        found[f"value_range, {name}"] = path(HE(value_range=(0, 1)), 96, name)
        found[f"quantile_range, {name}"] = path(HE(quantile_range=(1, 99)), 96, name)
    found["CLAHE, value_range, uint8"] = path(CLAHE(value_range=(0, 255)))
    found["CLAHE, quantile_range, uint8"] = path(CLAHE(quantile_range=(1, 99)))
    of_local = {
        name: path(estimator, 96, dtype) for name, (estimator, dtype) in LOCAL_PATHS.items()
    }
    return found | volume_paths() | of_local


def volume_paths():
    """Return the paths of volumes, (n, 1, 50, 96, 96) if not named."""
    estimators = {
        "": HE(spatial_dims=3),
        "matcher, transform ": HistogramMatcher(spatial_dims=3),
        "CLAHE, ": CLAHE(spatial_dims=3),
        "local 5×5×5, ": LOCAL(window=5, spatial_dims=3),
        "local 11×11×11, ": LOCAL(window=11, spatial_dims=3),
    }
    found = {
        f"volumes, {what}{dtype}": path(estimator, 96, dtype)
        for what, estimator in estimators.items()
        for dtype in ("uint8", "uint16", "float32", "float64")
    }
    last = HE(spatial_dims=3, channel_axis=-1)
    return found | {
        "volumes, uint8, (n, d, h, w, 3)": path(last, n_channels=3),
        "volumes, uint8, in Fortran order": lambda: transform(
            HE(spatial_dims=3), np.asfortranarray(stacked(images()))
        ),
    }


# Estimators with the dtype of their images.
LOCAL_PATHS = {
    f"local {n}×{n}, {name}": (LOCAL(window=n, **params), dtype)
    for n in (5, 25)
    for name, (dtype, params) in {
        "uint8 → uint8": ("uint8", {"convention": "skimage"}),
        "uint8 → float64": ("uint8", {}),
        "float32": ("float32", {}),
    }.items()
}


def compared():
    """Return what is compared with scikit-image: the estimator, its images, the peer."""
    target = images()[0, 0]
    found = {
        "float64 512×512": (HE(), 512, "float64", equalize_hist),
        "matcher, uint8 96×96": (
            HistogramMatcher(reference=target),
            96,
            "uint8",
            partial(match_histograms, reference=target),
        ),
    }
    for name, (estimator, dtype) in LOCAL_PATHS.items():
        found[name] = estimator, 96, dtype, partial(rank_equalize, window=estimator.window)
    return found


def measure(rounds, run, n_pixels, other, n_other):
    """Return medians: ns per pixel, multiple of another function, gain of a second thread."""
    run(2), run(1)  # the first call starts threads
    ns, multiples = [], []
    for _ in range(rounds):
        base, one = time_of(other) / n_other, time_of(run, 1)
        ns.append(one / n_pixels * 1e9)
        multiples.append(one / n_pixels / base)
    return *map(statistics.median, (ns, multiples)), _machine.gain_of_two(rounds, run)


DTYPES = "bool uint8 int8 uint16 int16 >u2 uint32 int32 uint64 int64 float16 float32 float64"
# Of each estimator with each convention, and what else decides which way pixels of a dtype go.
EVERY_DTYPE = {
    "HistogramEqualizer": HE(),
    "the same, normal": HE(output_distribution="normal"),
    "the same, 64 bins": HE(n_bins=64),
    "the same, uint8 output": HE(dtype="uint8"),
    'the same, dtype="input"': HE(dtype="input"),
    "the same, scope=dataset": HE(scope="dataset"),
    "convention numpy": HE(convention="numpy"),
    "convention opencv": HE(convention="opencv"),
    "HistogramMatcher": HistogramMatcher(),
    "the same, landmarks": LANDMARKS(),
    "CLAHE histeq": CLAHE(),
    "CLAHE opencv": CLAHE(convention="opencv"),
    "CLAHE skimage": CLAHE(convention="skimage"),
    "local histeq, 5×5": LOCAL(window=5),
    "local skimage, 5×5": LOCAL(window=5, convention="skimage"),
    "volumes, HistogramEqualizer": HE(spatial_dims=3),
    "volumes, HistogramMatcher": HistogramMatcher(spatial_dims=3),
    "volumes, CLAHE histeq": CLAHE(spatial_dims=3),
    "volumes, CLAHE skimage": CLAHE(spatial_dims=3, convention="skimage"),
    "volumes, local 5×5×5": LOCAL(window=5, spatial_dims=3),
    "volumes, local 11×11×11": LOCAL(window=11, spatial_dims=3),
}


def whole_range(dtype, spatial_dims=2):
    """Return images (n, 1, 96, 96) of random pixels over the range of a dtype that is >= 0.

    Of volumes they are the slices.
    """
    dtype, n = np.dtype(dtype), max(1, N_IMAGES // 5)
    x = np.random.default_rng(0).random((n, 1, 96, 96))
    largest = {"b": 1, "f": 1}.get(dtype.kind) or int(np.iinfo(dtype).max)
    x = stacked(x) if spatial_dims == 3 else x
    return np.rint(x * largest * 0.999).astype(dtype) if dtype.kind != "f" else x.astype(dtype)


def dtype_rows(options):
    """Yield a row per estimator: its name, and multiples of the plain path, or NaN, per dtype."""
    run_plain, n_plain = transform(HE(), whole_range("uint8"))
    for name, estimator in EVERY_DTYPE.items():
        multiples = []
        for dtype in DTYPES.split():
            try:
                run, n = transform(clone(estimator), whole_range(dtype, estimator.spatial_dims))
            except ValueError as error:
                if "convention=" not in str(error):  # the convention does not take it
                    raise
                multiples.append(float("nan"))
                continue
            run(1)
            rounds = range(options.rounds)
            ratios = [time_of(run, 1) / n * n_plain / time_of(run_plain, 1) for _ in rounds]
            multiples.append(statistics.median(ratios))
        yield name, *multiples


def chosen_paths(options):
    """Return the paths to measure, the plain one first."""
    all_paths = {PLAIN: path(HE())} | paths()
    return {name: prepare for name, prepare in all_paths.items() if options.only in name}


def path_rows(options):
    """Yield a row for each path: name, ns per pixel, multiple, gain of two threads."""
    run_plain, n_plain = transform(HE(), images())
    for name, prepare in chosen_paths(options).items():
        yield name, *measure(options.rounds, *prepare(), partial(run_plain, 1), n_plain)


def rows_with_kept_memory(options, rows):
    """Yield the rows with one more gain of two threads, where the process keeps its memory."""
    is_kept = _machine.keep_memory()
    for row, prepare in zip(rows, chosen_paths(options).values(), strict=True):
        run, _ = prepare()
        run(2), run(1)
        yield *row, _machine.gain_of_two(options.rounds, run) if is_kept else float("nan")


def peer_rows(options):
    """Yield a row for each peer: name, its ns per pixel, times faster with one thread and two."""
    for name, (estimator, side, dtype, peer) in compared().items():
        if options.only in name:
            x = images(side, dtype)
            run, n_pixels = transform(estimator, x)
            few = x[: max(1, N_PEER // side**2), 0]
            loop = lambda few=few, peer=peer: [peer(plane) for plane in few]  # noqa: E731
            ns, multiple, gain = measure(options.rounds, run, n_pixels, loop, few.size)
            yield name, ns / multiple, 1 / multiple, gain / multiple


def main():
    """Measure all paths, print tables and write them."""
    global N_IMAGES
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--images", type=int, default=N_IMAGES, help="of 96×96 pixels")
    parser.add_argument("--only", default="", help="measure paths whose name contains this")
    parser.add_argument("--write", action="store_true", help="write docs/measurements/speed_*.csv")
    options = parser.parse_args()
    N_IMAGES = options.images
    tables = {"paths_machine": _report.table(*_report.machine(options.rounds))}
    head = "path | ns per pixel | multiple of the plain path | two threads: times faster"
    _, *rows = _report.table(head, path_rows(options))
    head_peers = "path | scikit-image, ns per pixel | times faster, 1 thread | 2 threads"
    tables["paths_peers"] = _report.table(head_peers, peer_rows(options))
    if not options.only:
        head_dtypes = f"`transform` | {DTYPES.replace(' ', ' | ').replace('>u2', '`>u2`')}"
        tables["dtypes"] = _report.table(head_dtypes, dtype_rows(options))
    rows = rows_with_kept_memory(options, rows)
    tables["paths"] = _report.table(f"{head} | memory kept", rows)
    if options.write:
        _report.write(tables)


if __name__ == "__main__":
    main()
