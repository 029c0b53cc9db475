"""Compare writers of PNG on scikit-image's pictures: seconds of processor time, and bytes.

The command line writes photographs with imagecodecs, or with Pillow if it is not installed, by a
search for runs only. The script compares both with Pillow's default.

    python benchmarks/bench_pictures.py
"""

from __future__ import annotations

import io
import time
import timeit
from collections.abc import Callable
from functools import partial

import imagecodecs
import numpy as np
from PIL import Image
from skimage import data

from sklearn_histeq import HistogramEqualizer

NAMES = ("astronaut", "camera", "chelsea", "coffee", "coins", "moon", "page", "rocket", "text")


def by_pillow(picture: np.ndarray, **options: int) -> int:
    """Return the bytes that Pillow writes."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG", **options)
    return len(file.getvalue())


WRITERS: dict[str, Callable[[np.ndarray], int]] = {
    "imagecodecs, average filter, runs": lambda picture: len(
        imagecodecs.png_encode(picture, level=6, strategy=3, filter=0x40)
    ),
    "imagecodecs, default": lambda picture: len(imagecodecs.png_encode(picture)),
    "Pillow, runs (compress_type=3)": lambda picture: by_pillow(picture, compress_type=3),
    "Pillow, default": by_pillow,
}


def main() -> None:
    """Print one line for each writer."""
    estimator = HistogramEqualizer(channel_axis=-1, dtype="input")
    pictures = [estimator.transform(getattr(data, name)()[None])[0] for name in NAMES]
    print(f"{len(pictures)} equalized pictures, {sum(p.nbytes for p in pictures)} bytes of pixels")
    for name, write in WRITERS.items():
        seconds, n_bytes = 0.0, 0
        for picture in pictures:
            call = partial(write, picture)
            seconds += min(timeit.repeat(call, timer=time.process_time, number=1))
            n_bytes += call()
        print(f"{name:34s} {seconds:6.3f} s {n_bytes:10d} bytes")


if __name__ == "__main__":
    main()
