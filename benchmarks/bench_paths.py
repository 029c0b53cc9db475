"""Every path through the compiled engine, in multiples of the plain path.

    python benchmarks/bench_paths.py [--rounds N] [--only TEXT]

The plain path is `HistogramEqualizer().transform(X)` of uint8 images of 96×96 pixels, with float64
output, in one thread. Each other path runs in turn with it, round by round, on as many pixels, and
the median of the ratios of their times per pixel is what counts. The images are smooth patches with
noise; arrays are so large that outputs lie in memory that was just allocated, as in a program that
keeps what it gets.
"""

import argparse
import statistics
import time

import numpy as np

from sklearn_histeq import AdaptiveHistogramEqualizer, HistogramEqualizer, HistogramMatcher

N_PIXELS = 600 * 96 * 96
PLAIN = "plain: uint8"


def images(side, dtype="uint8", n_levels=None, n_channels=1):
    """Return images (n, c, side, side) with a smooth part and noise, over a range of a dtype."""
    rng = np.random.default_rng(0)
    n = max(1, N_PIXELS // (side * side * n_channels))
    patches = rng.normal(0.5, 0.18, (n, n_channels, -(-side // 4), -(-side // 4))).clip(0, 1)
    smooth = patches.repeat(4, axis=2).repeat(4, axis=3)[:, :, :side, :side]
    x = 0.8 * smooth + 0.2 * rng.random(smooth.shape)
    dtype = np.dtype(dtype)
    if dtype.kind == "f":
        return x.astype(dtype)
    return (x * ((n_levels or np.iinfo(dtype).max + 1) - 1)).astype(dtype)


def transform(estimator, x, **options):
    """Return a function that transforms images, and their number of pixels."""
    estimator.fit(x, **options)
    return lambda: estimator.transform(x, **options), x.size


def fit(estimator, x):
    """Return a function that fits an estimator, and the number of pixels."""
    return lambda: estimator.fit(x), x.size


def inverse(x):
    """Return a function that maps a data set's equalized images back."""
    estimator = HistogramEqualizer(scope="dataset").fit(x)
    equalized = estimator.transform(x)
    return lambda: estimator.inverse_transform(equalized), x.size


def one_by_one(x):
    """Return a function that transforms each image in a call of its own."""
    estimator = HistogramEqualizer()
    return lambda: [estimator.transform(image[np.newaxis]) for image in x], x.size


def mask_of(x):
    """Return a mask of a disc, as faces have, for all images."""
    y, z = np.ogrid[: x.shape[2], : x.shape[3]]
    radius = x.shape[2] / 2
    return np.broadcast_to((y - radius) ** 2 + (z - radius) ** 2 < radius**2, x[:, 0].shape)


def channels_last(x):
    """Return images (n, h, w, c)."""
    return np.ascontiguousarray(np.moveaxis(x, 1, -1))


HE, CLAHE = HistogramEqualizer, AdaptiveHistogramEqualizer


def paths():
    """Return a function for each path that prepares it: (function to measure, number of pixels)."""
    found = {
        "float64": lambda: transform(HE(), images(96, "float64")),
        "float32": lambda: transform(HE(), images(96, "float32")),
        "uint16": lambda: transform(HE(), images(96, "uint16")),
        "uint16 of 12 bits": lambda: transform(HE(), images(96, "uint16", 4096)),
        "uint16 28×28": lambda: transform(HE(), images(28, "uint16")),
        "int32 within 1,000 levels": lambda: transform(HE(), images(96, "int32", 1000)),
        "int32 far apart": lambda: transform(HE(), images(96, "int32")),
        "NumPy recipe, uint8": lambda: transform(HE(convention="numpy"), images(96)),
        "uint8 with a mask": lambda: transform(HE(), images(96), mask=mask_of(images(96))),
        "float64 with a mask": lambda: transform(
            HE(), images(96, "float64"), mask=mask_of(images(96))
        ),
        "opencv, uint8 → uint8": lambda: transform(HE(convention="opencv"), images(96)),
        "opencv, (n, 3, h, w)": lambda: transform(
            HE(convention="opencv", channel_axis=1), images(96, n_channels=3)
        ),
        "opencv, (n, h, w, 3)": lambda: transform(
            HE(convention="opencv", channel_axis=-1), channels_last(images(96, n_channels=3))
        ),
        "one image of 96×96 per call": lambda: one_by_one(images(96)),
        "inverse, uint8": lambda: inverse(images(96)),
        "inverse, float64": lambda: inverse(images(96, "float64")),
    }
    for name, side in (("uint8", 96), ("float64", 96), ("uint8", 32)):
        found[f"normal, {name} {side}×{side}"] = lambda name=name, side=side: transform(
            HE(output_distribution="normal"), images(side, name)
        )
    for name in ("uint8", "uint16", "float64", "float32"):
        found[f"scope=dataset, fit {name}"] = lambda name=name: fit(
            HE(scope="dataset"), images(96, name)
        )
        found[f"scope=dataset, transform {name}"] = lambda name=name: transform(
            HE(scope="dataset"), images(96, name)
        )
        found[f"matcher, fit {name}"] = lambda name=name: fit(HistogramMatcher(), images(96, name))
        found[f"matcher, transform {name}"] = lambda name=name: transform(
            HistogramMatcher(), images(96, name)
        )
    for side in (32, 96):
        found[f"CLAHE, uint8 {side}×{side}"] = lambda side=side: transform(CLAHE(), images(side))
    found |= {
        "CLAHE, uint8 96×96 with a mask": lambda: transform(
            CLAHE(), images(96), mask=mask_of(images(96))
        ),
        "CLAHE, float64 96×96": lambda: transform(CLAHE(), images(96, "float64")),
        "CLAHE of OpenCV, uint8": lambda: transform(CLAHE(convention="opencv"), images(96)),
        "CLAHE of scikit-image, uint8": lambda: transform(CLAHE(convention="skimage"), images(96)),
    }
    return found


def time_of(function):
    """Return how long a call takes, in seconds."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def main():
    """Measure all paths and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", default="", help="measure paths whose name contains this")
    options = parser.parse_args()
    plain, n_plain = transform(HE(), images(96))
    plain()
    print("| path | ns per pixel | multiple of the plain path |\n| --- | --- | --- |")
    print(f"| {PLAIN} | {time_of(plain) / n_plain * 1e9:.2f} | 1 |", flush=True)
    for name, prepare in paths().items():
        if options.only not in name:
            continue
        run, n_pixels = prepare()
        run()
        pairs = [(time_of(plain) / n_plain, time_of(run) / n_pixels) for _ in range(options.rounds)]
        multiple = statistics.median(path / base for base, path in pairs)
        ns = statistics.median(path for _, path in pairs) * 1e9
        print(f"| {name} | {ns:.2f} | {multiple:.1f} |", flush=True)


if __name__ == "__main__":
    main()
