"""Small things that many tests say."""

import os
import platform
import sys
from pathlib import Path

import numpy as np
import pytest
from _internals import opencv_clahe as clahe_without_fused_arithmetic

from sklearn_histeq import HistogramEqualizer

# What touches pixels runs on all engines, the rest on what a user gets. For a test, or as one of
# the marks of a module; the module uses the fixture `engine`.
on_all_engines = pytest.mark.engines("reference", "auto", "portable")
# What is the work of Python, not of kernels: layouts, blocks, threads, types of the output.
on_both_engines = pytest.mark.engines("reference", "auto")
on_the_default_engine = pytest.mark.engines()

CONVENTIONS = ["skimage", "numpy", "opencv", "pillow"]
FLOAT_CONVENTIONS = ["skimage", "numpy"]


def equalized(plane, mask=None, **params):
    """One plane through the estimator, as a batch of one image."""
    mask = None if mask is None else mask[None]
    estimator = HistogramEqualizer(**params)
    if params.get("scope") == "dataset":
        return estimator.fit_transform(plane[None], mask=mask)[0]
    return estimator.transform(plane[None], mask=mask)[0]


def assert_same(actual, expected):
    """The same bits, shape and dtype; NaN equals NaN and -0.0 equals 0.0."""
    np.testing.assert_array_equal(actual, expected, strict=True)


def to_rows(images):
    """Flattened images, one per row; not a lambda, so that other processes can import it."""
    return images.reshape(len(images), -1)


def faces(n=6, c=1, side=8, dtype=np.uint8, seed=0):
    """Images (n, c, side, side), every plane with a brightness and a range of its own."""
    rng = np.random.default_rng(seed)
    low = rng.uniform(0, 0.4, (n, c, 1, 1))
    span = rng.uniform(0.2, 0.6, (n, c, 1, 1))
    values = low + span * rng.random((n, c, side, side))
    dtype = np.dtype(dtype)
    if dtype.kind == "b":
        return values > 0.5
    scale = np.iinfo(dtype).max if dtype.kind in "ui" else 1
    return (values * min(scale, 2**40)).astype(dtype)


def own_package():
    """The environment of a process that imports the package that is tested."""
    path = os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])
    return os.environ | {"PYTHONPATH": path}


# OpenCV for 64-bit ARM has fused multiply-adds in the positions and in the blend of pixels.
OPENCV_FUSES = platform.machine().lower() in ("aarch64", "arm64")


def opencv_clahe(plane, n_tiles=(8, 8), clip_limit=40.0):
    """The result of cv2.createCLAHE, as on x86-64.

    On ARM up to one pixel in a thousand is a level off that. There it is the reference engine's,
    and cv2's own must be within one level of it.
    """
    import cv2

    found = cv2.createCLAHE(clip_limit or 0.0, tileGridSize=n_tiles[::-1]).apply(plane)
    if not OPENCV_FUSES:
        return found
    wanted = clahe_without_fused_arithmetic(plane, n_tiles, clip_limit)
    np.testing.assert_allclose(found.astype(int), wanted.astype(int), rtol=0, atol=1)
    return wanted
