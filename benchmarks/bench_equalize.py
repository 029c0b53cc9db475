"""Compare the speed of the estimators with that of the libraries whose results they give.

    python benchmarks/bench_equalize.py [--tables TEXT] [--only TEXT] [--rounds N] [--write]

Every comparison first checks that both give the same result. Then both run in turn in one process,
round by round, on the same arrays. The result is the median over the rounds of the ratio of their
times: other work on the machine disturbs a ratio within a round less than it disturbs two times.
For a library, the time of `[peer(plane) for plane in X]` in one thread is measured, as users would
write it (if this takes seconds, on a tenth of the images, times ten). For the package, the time of
`HistogramEqualizer(...).fit(X).transform(X)` is measured. It is the median of five calls per round,
because single short calls are easily disturbed, for example by the memory that the thousands of
small results of the other library leave in pieces. --write writes the measurements to
docs/measurements. The script docs/draw_speed.py makes the table and the figure of
docs/performance.md from them.
"""

import argparse
import math
import os
import re
import statistics
import subprocess
import sys
import time
from functools import partial
from itertools import chain
from typing import NamedTuple

import _report
import cv2
import numpy as np
from _machine import two_threads
from _peers import numpy_recipe, pillow, rank_equalize
from skimage.exposure import equalize_adapthist, equalize_hist, match_histograms

from sklearn_histeq import (
    AdaptiveHistogramEqualizer,
    HistogramEqualizer,
    HistogramMatcher,
    LocalHistogramEqualizer,
)

try:
    import torch
    from kornia.enhance import equalize as kornia_equalize
except ImportError:
    kornia_equalize = None

PLANES = {
    "1000x96x96": (1000, 1, 96, 96),
    "20000x28x28": (20000, 1, 28, 28),
    "100x512x512": (100, 1, 512, 512),
    "1x4096x4096": (1, 1, 4096, 4096),
    "1800x96x96": (1800, 1, 96, 96),
}
VOLUMES = {"4x64x128x128": (4, 1, 64, 128, 128)}
BATCHES = PLANES | VOLUMES
THREADS = (1, 2)
N_CALLS = 5  # of ours, for one loop over a peer


CLIP_LIMIT = 4.0


class Comparison(NamedTuple):
    """A way through the package, and the peer that gives the same result."""

    peer: str
    dtype: str
    params: dict
    engine: str = "auto"
    estimator: type = HistogramEqualizer
    images: str = "smooth"
    batches: tuple = tuple(PLANES)

    @property
    def name(self):
        """What a row of the table is called."""
        if self.images != "smooth":
            return f"{self.dtype}, {self.images}"
        convention = self.params.get("convention")
        inputs = {"opencv": self.dtype, "pillow": self.dtype}.get(convention, "float64")
        if self.estimator is LocalHistogramEqualizer and convention == "skimage":
            inputs = self.dtype
        if self.dtype == "float32" and convention != "numpy":
            inputs = "float32"
        out = self.params.get("dtype") or inputs
        return f"{self.dtype} → {out}" + (", SIMD off" if self.engine == "portable" else "")

    def make(self, X, n_jobs=None):
        """Return the estimator; a matcher takes the distribution of one of the images."""
        given = {"reference": X[-1, 0]} if self.estimator is HistogramMatcher else {}
        return self.estimator(n_jobs=n_jobs, **given, **self.params)

    def make_peer(self, X):
        """Return what the peer does with a plane."""
        if self.estimator is HistogramMatcher:
            return partial(match_histograms, reference=X[-1, 0])
        return PEERS[self.peer]


def kornia(plane):
    """kornia.enhance.equalize, from an array to an array; it takes floats in [0, 1]."""
    image = torch.from_numpy(plane)[None, None].float() / 255
    return kornia_equalize(image)[0, 0].numpy()


PEERS = {
    "cv2": cv2.equalizeHist,
    "skimage": equalize_hist,
    "NumPy": numpy_recipe,
    "Pillow": pillow,
    "kornia": kornia,
    "cv2 CLAHE": cv2.createCLAHE(CLIP_LIMIT, (8, 8)).apply,
    "skimage CLAHE": partial(equalize_adapthist, clip_limit=CLIP_LIMIT / 256),
    "skimage rank 5×5": partial(rank_equalize, window=5),
    "skimage rank 25×25": partial(rank_equalize, window=25),
    "skimage rank 5×5×5": partial(rank_equalize, window=5),
    "skimage rank 11×11×11": partial(rank_equalize, window=11),
}
SLOW = 1e-7  # s per pixel: a peer is timed on a tenth of the images

PATHS = [
    Comparison("cv2", "uint8", {"convention": "opencv"}),
    Comparison("cv2", "uint8", {"convention": "opencv"}, "portable"),
    Comparison("Pillow", "uint8", {"convention": "pillow"}),
    Comparison("skimage", "uint8", {}),
    Comparison("skimage", "uint8", {"dtype": "float32"}),
    Comparison("skimage", "uint16", {}),
    Comparison("skimage", "float32", {}),
    Comparison("skimage", "float64", {}),
    Comparison("NumPy", "uint8", {"convention": "numpy"}),
    Comparison("NumPy", "float64", {"convention": "numpy"}),
]
CLAHE = {"estimator": AdaptiveHistogramEqualizer, "batches": ("1000x96x96", "100x512x512")}
OPENCV = {"convention": "opencv", "clip_limit": CLIP_LIMIT}
OWN = {"clip_limit": CLIP_LIMIT, "dtype": "float32"}
LOCAL = {"estimator": LocalHistogramEqualizer, "batches": ("1000x96x96", "100x512x512")}
MATCH = {"estimator": HistogramMatcher, "batches": ("1000x96x96",)}
FAMILY = [
    Comparison("cv2 CLAHE", "uint8", OPENCV, **CLAHE),
    Comparison("cv2 CLAHE", "uint16", OPENCV, **CLAHE),
    Comparison(
        "skimage CLAHE", "uint8", {"convention": "skimage", "clip_limit": CLIP_LIMIT}, **CLAHE
    ),
    Comparison("cv2 CLAHE", "uint8", OWN, **CLAHE),  # not the same result: the package's own
    *(
        Comparison(f"skimage rank {n}×{n}", dtype, {"window": n} | params, **LOCAL)
        for n in (5, 25)
        for dtype, params in (
            ("uint8", {"convention": "skimage"}),
            ("uint8", {}),  # not the same result, as in the next: the package's own
            ("float32", {}),
        )
    ),
    Comparison("skimage match", "uint8", {}, **MATCH),
    Comparison("skimage match", "uint16", {}, **MATCH),
    Comparison("skimage match", "float32", {}, **MATCH),
    Comparison("skimage match", "float64", {}, **MATCH),
    Comparison("skimage match", "float64", {}, images="heavy tails", **MATCH),
    Comparison("skimage match", "float64", {}, images="one outlier", **MATCH),
]
# The package's own CLAHE and windows give another result than the peer.
OF_VOLUMES = [
    Comparison(
        peer, dtype, params | {"spatial_dims": 3}, estimator=estimator, batches=tuple(VOLUMES)
    )
    for peer, estimator, params in (
        ("skimage", HistogramEqualizer, {}),
        ("skimage match", HistogramMatcher, {}),
        ("skimage CLAHE", AdaptiveHistogramEqualizer, {"clip_limit": CLIP_LIMIT}),
        ("skimage rank 5×5×5", LocalHistogramEqualizer, {"window": 5}),
        ("skimage rank 11×11×11", LocalHistogramEqualizer, {"window": 11}),
    )
    for dtype in ("uint8", "uint16", "float32")
    if dtype != "uint16" or "rank" not in peer  # takes minutes
]
if kornia_equalize:
    PATHS.insert(3, Comparison("kornia", "uint8", {"convention": "pillow"}))


def make_images(shape, dtype, seed=0):
    """Return smooth pictures in different light, with some noise: intensities as of photographs."""
    rng = np.random.default_rng(seed)
    n, c, *sides, width = shape
    height = math.prod(sides)  # the slices of a volume lie below each other
    rows, columns = np.linspace(0, 3, height)[:, None], np.linspace(0, 3, width)
    phase = rng.uniform(0, 6, (n, c, 1, 1))
    X = np.sin(rows + phase) * np.cos(columns - phase) + rng.normal(0, 0.1, (1, c, height, width))
    X = (X - X.min()) / np.ptp(X) * rng.uniform(0.4, 1, (n, c, 1, 1))
    top = {"uint8": 255, "uint16": 65535}.get(dtype)
    X = X.reshape(shape)
    return np.rint(X * top).astype(dtype) if top else X.astype(dtype)


def make_batch(path, batch):
    """Return the images of a comparison."""
    X = make_images(BATCHES[batch], path.dtype)
    if path.images == "heavy tails":
        return np.random.default_rng(0).standard_cauchy(X.shape)
    if path.images == "one outlier":
        X[:, :, 0, 0] = 1e30
    return X


def agree(path, X):
    """Raise unless both give the same on some images; the package's own CLAHE has no peer."""
    has_own = path.estimator in (AdaptiveHistogramEqualizer, LocalHistogramEqualizer)
    if has_own and "convention" not in path.params:
        return
    few = X[-3:]
    ours = path.make(X).fit(few).transform(few)
    peer = path.make_peer(X)
    theirs = np.array([peer(plane) for plane in few.reshape(-1, *few.shape[2:])])
    theirs = theirs.reshape(ours.shape)
    if path.peer == "kornia":
        theirs = np.rint(theirs * 255)  # back to the levels that it was given as fractions
        assert np.abs(ours - theirs).max() <= 1, path
        return
    np.testing.assert_array_equal(ours, theirs.astype(ours.dtype), str(path))


def timed(function):
    """Return the seconds that a call takes; its result is freed outside the time."""
    start = time.perf_counter()
    result = function()
    seconds = time.perf_counter() - start
    del result
    return seconds


def fit_then_transform(equalizer, X):
    """What is measured, as a user writes it."""
    return equalizer.fit(X).transform(X)


def time_peer(peer, planes):
    """Return the seconds of a loop over the peer; of a slow one, in proportion to a few planes."""
    few = planes[: max(1, len(planes) // 10)]
    seconds = timed(lambda: [peer(plane) for plane in few]) / len(few) * len(planes)
    if seconds > SLOW * planes.size:
        return seconds
    return timed(lambda: [peer(plane) for plane in planes])


RESULTS = (
    "path | beside | times faster, 1 thread | quartiles | times faster, 2 threads | quartiles | "
    "ns per pixel, 1 thread | 2 threads | the other library, ns per pixel"
)


def compare(path, batch, rounds):
    """Return the medians of one path on one batch: a row for the table."""
    X = make_batch(path, batch)
    os.environ["SKLEARN_HISTEQ_ENGINE"] = path.engine
    agree(path, X)
    planes, peer = X.reshape(-1, *X.shape[2:]), path.make_peer(X)
    ours = [path.make(X, n) for n in THREADS]
    times = []
    for _ in range(rounds + 1):
        times.append([time_peer(peer, planes)])
        for equalizer in ours:
            call = partial(fit_then_transform, equalizer, X)
            times[-1].append(statistics.median(timed(call) for _ in range(N_CALLS)))
    os.environ.pop("SKLEARN_HISTEQ_ENGINE")
    times = np.array(times[1:]) / X.size * 1e9  # the first round warms up
    faster = [told(times[:, 0] / column) for column in times[:, 1:].T]
    peer_ns, *ns = (float(t) for t in np.median(times, axis=0))
    return path.name, path.peer, *faster[0], *faster[1], *ns, peer_ns


def told(ratios):
    """Return the median of ratios, and their quartiles as text."""
    low, median, high = (float(q) for q in np.quantile(ratios, (0.25, 0.5, 0.75)))
    return median, f"{_report.text(low)}–{_report.text(high)}"


def limits(rounds):
    """Yield what none can beat here: a byte copied, to memory that is new or not, a counted pixel.

    Also the gain of two threads that need neither memory nor Python's lock.
    """
    source = np.random.default_rng(0).integers(0, 256, 2**26, dtype=np.uint8)
    target = np.empty_like(source)
    np.copyto(target, source)

    def best(function):
        return min(timed(function) for _ in range(max(3, rounds))) / source.size * 1e9

    yield "copy a byte", best(lambda: np.copyto(target, source)), "ns"
    yield "copy a byte to new memory", best(source.copy), "ns"
    count = partial(cv2.calcHist, [source[: 2**22]], [0], None, [256], [0, 256])
    yield "count one pixel, cv2.calcHist", best(count) * 16, "ns"
    yield "compute square roots in the cache: 2 threads beside 1", two_threads(70), "times faster"


COLD = {
    "ours": (
        "from sklearn_histeq import HistogramEqualizer;HistogramEqualizer().fit(X).transform(X)"
    ),
    "peer": (
        "import sklearn.base; from skimage.exposure import equalize_hist;"
        "[equalize_hist(plane) for plane in X]"
    ),
}
ADDED = """import sklearn.base, time; start = time.perf_counter()
from sklearn_histeq import HistogramEqualizer
print(time.perf_counter() - start)"""
IMAGES = "import numpy as np; X = np.arange(100 * 96 * 96, dtype=np.uint8).reshape(100, 96, 96);"


def cold_starts(rounds):
    """Yield the median seconds of new processes that do the things of COLD, in turn.

    Also the ratio of the two, and the time that the package adds to scikit-learn's import.
    """
    env = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    run = partial(subprocess.run, check=True, env=env, stdout=subprocess.PIPE)
    times = []
    for _ in range(rounds + 1):
        ours, peer = (
            timed(partial(run, [sys.executable, "-c", IMAGES + code])) for code in COLD.values()
        )
        added = float(run([sys.executable, "-c", ADDED]).stdout)
        times.append((ours, peer, ours / peer, 1000 * added))
    ours, peer, ratio, added = (float(t) for t in np.median(times[1:], axis=0))
    yield "new process: import sklearn_histeq, equalize 100 images of 96×96", ours, "s"
    yield "new process: import sklearn.base, loop over scikit-image", peer, "s"
    yield "the first of these two beside the second, in pairs", ratio, "times as long"
    yield "import HistogramEqualizer after sklearn.base", added, "ms"


MEMORY = """import sys, numpy as np, sklearn_histeq
from pathlib import Path
*shape, spatial_dims, name = sys.argv[1:]
X = np.random.default_rng(0).integers(-1000, 3000, [*map(int, shape)], dtype=np.int16)
equalizer = getattr(sklearn_histeq, name)(spatial_dims=int(spatial_dims), dtype="float32")
def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
equalizer.fit_transform(X[..., :32, :32])
Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
before = peak()
out = equalizer.fit_transform(X)
print((peak() - before - out.nbytes) / X.size)"""
ESTIMATORS = (
    "HistogramEqualizer HistogramMatcher AdaptiveHistogramEqualizer LocalHistogramEqualizer"
)


def memory():
    """Yield the bytes per pixel that a call takes at its peak, beyond int16 images and results.

    A new process takes them, on Linux, of 16 images of 512×512 pixels and of one volume as large.
    """
    for name in ESTIMATORS.split():
        found = []
        for arguments in ("16 1 512 512 2", "1 1 64 256 256 3"):
            command = [sys.executable, "-c", MEMORY, *arguments.split(), name]
            found.append(float(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout))
        yield f"`{name}()`", *(f"{bytes_per_pixel:.1f}" for bytes_per_pixel in found)


EQUALIZE, WINDOWS = HistogramEqualizer, LocalHistogramEqualizer
# What grows: its values, the estimator and the shape of the images for each.
GROWTH = {
    "number of images of 96×96": [
        (n, EQUALIZE(), (n, 1, 96, 96)) for n in (1, 10, 100, 1000, 4000)
    ],
    "side of an image": [
        (side, EQUALIZE(), (max(1, 2**22 // side**2), 1, side, side))
        for side in (8, 16, 32, 64, 256, 2048)
    ],
    "n_bins, images of 96×96": [
        (n, EQUALIZE(n_bins=n), (400, 1, 96, 96)) for n in (2, 16, 256, 4096, 65536)
    ],
    "window, images of 512×512": [
        (window, WINDOWS(window=window), (8, 1, 512, 512)) for window in (3, 5, 9, 17, 33, 65, 129)
    ],
    "side of an image, windows of 1/8": [
        (side, WINDOWS(), (max(1, 2**21 // side**2), 1, side, side))
        for side in (32, 64, 128, 256, 512, 1024, 2048)
    ],
    "window, volumes of 64×128×128": [
        (window, WINDOWS(window=window, spatial_dims=3), (1, 1, 64, 128, 128))
        for window in (3, 5, 9, 17, 1 / 8)
    ],
}


def growth(rounds):
    """Yield what grows, its value, and ns per pixel for images of three dtypes, in one thread."""
    for name, steps in GROWTH.items():
        for value, estimator, shape in steps:
            ns = []
            for dtype in ("uint8", "uint16", "float64"):
                X = make_images(shape, dtype)
                call = partial(estimator.fit_transform, X)
                ns.append(statistics.median(timed(call) for _ in range(rounds + 1)) / X.size * 1e9)
            yield name, str(value), *ns


def single_calls():
    """Yield a side and, for one uint8 image per call, µs of ours and OpenCV's, and their ratio."""
    equalizer = HistogramEqualizer(convention="opencv")
    for side in (32, 96, 256, 512, 1024, 2048):
        image = make_images((1, 1, side, side), "uint8")[0, 0]
        calls = partial(equalizer.transform, image[None]), partial(cv2.equalizeHist, image)
        times = [[timed(call) for call in calls] for _ in range(max(30, 2**22 // image.size))]
        ours, peer = (float(t) * 1e6 for t in np.median(times, axis=0))
        yield f"{side}×{side}", ours, peer, peer / ours


def comparisons(batch, options):
    """Yield the rows of one batch."""
    for path in PATHS + FAMILY + OF_VOLUMES:
        if batch in path.batches and re.search(options.only, f"{path.peer} {path.name}"):
            yield compare(path, batch, options.rounds)


def main():
    """Measure, print as it goes, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--tables", default="", help="tables that match, as 1000x96x96 or growth")
    parser.add_argument("--only", default="", help="comparisons that match, as 'CLAHE uint8'")
    parser.add_argument("--rounds", type=int, default=7, help="rounds of each comparison")
    parser.add_argument("--write", action="store_true", help="write docs/measurements/speed_*.csv")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    rounds = options.rounds
    tables = {"machine": _report.machine(rounds)}
    tables |= {batch: (RESULTS, comparisons(batch, options)) for batch in BATCHES}
    tables |= {
        "limits": ("what | value | unit", chain(limits(rounds), cold_starts(rounds))),
        "memory": ("estimator | images, bytes per pixel | volume, bytes per voxel", memory()),
        "growth": (
            "what grows | value | ns per pixel, uint8 | uint16 | float64",
            growth(rounds),
        ),
        "single": (
            "uint8 image | µs per call | cv2.equalizeHist, µs | times faster",
            single_calls(),
        ),
    }
    chosen = {name: _report.table(*tables[name]) for name in tables if options.tables in name}
    if options.write:
        _report.write(chosen)


if __name__ == "__main__":
    main()
