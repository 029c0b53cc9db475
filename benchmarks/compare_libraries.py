"""Compare the estimators with the libraries whose results they give, bit for bit, on random planes.

    python benchmarks/compare_libraries.py --planes 1000 --seed 0

This draws 1,000 random planes for each function of a library and for each dtype, and prints the
table of docs/migration.md. It stops at the first plane with a bit that differs. Sizes, ranges and
distributions of the planes are drawn at random. Each estimator also gets the planes in another
process, to which it is sent as a pickle, and in four threads at once.
"""

import argparse
import multiprocessing
import warnings
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

import cv2
import numpy as np
from _peers import numpy_recipe, pillow
from skimage import exposure
from skimage.filters import rank
from sklearn.base import BaseEstimator

from sklearn_histeq import (
    AdaptiveHistogramEqualizer,
    HistogramEqualizer,
    HistogramMatcher,
    LocalHistogramEqualizer,
)

REFERENCE = np.random.default_rng(1).integers(20, 200, (40, 50), dtype=np.uint8)
REFERENCE_VOLUME = REFERENCE.reshape(8, 10, 25)
SIDES = (16, 17, 25, 31, 64, 96)
DEPTHS = (1, 2, 5, 8)
LEVELS = (2, 10, 100, 256)
REALS = ("float32", "float64")


def first_channel(there, back, operation, image):
    """Return an RGB image (h, w, 3) whose first channel in another space went through operation."""
    converted = cv2.cvtColor(image, there)
    converted[..., 0] = operation(np.ascontiguousarray(converted[..., 0]))
    return cv2.cvtColor(converted, back)


YCRCB = cv2.COLOR_RGB2YCrCb, cv2.COLOR_YCrCb2RGB
LAB = cv2.COLOR_RGB2LAB, cv2.COLOR_LAB2RGB


class Peer(NamedTuple):
    """A function of a library, the estimator with its results, and the dtypes that both take."""

    name: str
    function: object
    estimator: BaseEstimator
    dtypes: tuple
    tolerance: float = 0.0


PEERS = [
    Peer(
        "skimage.exposure.equalize_hist",
        exposure.equalize_hist,
        HistogramEqualizer(),
        ("uint8", "uint16", *REALS),
    ),
    Peer("cv2.equalizeHist", cv2.equalizeHist, HistogramEqualizer(convention="opencv"), ("uint8",)),
    Peer("PIL.ImageOps.equalize", pillow, HistogramEqualizer(convention="pillow"), ("uint8",)),
    Peer(
        "NumPy: the classic recipe",
        numpy_recipe,
        HistogramEqualizer(convention="numpy"),
        ("uint8", "uint16", *REALS),
    ),
    Peer(
        "skimage.exposure.equalize_adapthist",
        exposure.equalize_adapthist,
        AdaptiveHistogramEqualizer(convention="skimage"),
        ("uint8", "uint16", *REALS),
    ),
    Peer(
        "cv2.createCLAHE",
        cv2.createCLAHE().apply,
        AdaptiveHistogramEqualizer(convention="opencv"),
        ("uint8", "uint16"),
    ),
    Peer(
        "skimage.filters.rank.equalize",
        partial(rank.equalize, footprint=np.ones((5, 5), np.uint8)),
        LocalHistogramEqualizer(convention="skimage", window=5),
        ("uint8",),
    ),
    Peer(
        "skimage.filters.rank.equalize of volumes",
        partial(rank.equalize, footprint=np.ones((3, 5, 7), np.uint8)),
        LocalHistogramEqualizer(convention="skimage", window=(3, 5, 7), spatial_dims=3),
        ("uint8",),
    ),
    Peer(
        "skimage.exposure.match_histograms",
        partial(exposure.match_histograms, reference=REFERENCE),
        HistogramMatcher(reference=REFERENCE),
        ("uint8", "uint16", *REALS),
    ),
    Peer(
        "cv2.equalizeHist of Y in YCrCb",
        partial(first_channel, *YCRCB, cv2.equalizeHist),
        HistogramEqualizer(convention="opencv", color="luminance", channel_axis=-1),
        ("uint8",),
    ),
    Peer(
        "cv2.createCLAHE of Y in YCrCb",
        partial(first_channel, *YCRCB, cv2.createCLAHE().apply),
        AdaptiveHistogramEqualizer(convention="opencv", color="luminance", channel_axis=-1),
        ("uint8", "uint16"),
    ),
    Peer(
        "cv2.createCLAHE of L in Lab",
        partial(first_channel, *LAB, cv2.createCLAHE().apply),
        AdaptiveHistogramEqualizer(convention="opencv", color="lightness", channel_axis=-1),
        ("uint8",),
    ),
    Peer(
        "skimage.exposure.equalize_hist of volumes",
        exposure.equalize_hist,
        HistogramEqualizer(spatial_dims=3),
        ("uint8", "uint16", *REALS),
    ),
    Peer(
        "skimage.exposure.equalize_adapthist of volumes",
        exposure.equalize_adapthist,
        AdaptiveHistogramEqualizer(convention="skimage", spatial_dims=3),
        ("uint8", "uint16", *REALS),
    ),
    Peer(
        "skimage.exposure.match_histograms of volumes",
        partial(exposure.match_histograms, reference=REFERENCE_VOLUME),
        HistogramMatcher(reference=REFERENCE_VOLUME, spatial_dims=3),
        ("uint8", "uint16", *REALS),
    ),
]


def peers_of_albumentations():
    """Return the transforms of albumentations that have an estimator with their results.

    None where it is not installed: it is no dependency of the tests, because it brings many others.
    """
    try:
        import albumentations
    except ImportError:
        print("albumentations is not installed: its transforms are left out")
        return []

    def apply(transform, image):
        return transform(image=image)["image"]

    equalize = albumentations.Equalize(mode="cv", by_channels=False, p=1)
    clahe = albumentations.CLAHE(clip_limit=(4, 4), tile_grid_size=(8, 8), p=1)
    return [
        Peer(
            "albumentations.Equalize(by_channels=False)",
            partial(apply, equalize),
            HistogramEqualizer(convention="opencv", color="luminance", channel_axis=-1),
            ("uint8",),
        ),
        Peer(
            "albumentations.CLAHE",
            partial(apply, clahe),
            AdaptiveHistogramEqualizer(
                convention="opencv", clip_limit=4, color="lightness", channel_axis=-1
            ),
            ("uint8",),
        ),
    ]


def peers_of_itk():
    """Return ITK's filter on planes and volumes; none where SimpleITK is not installed.

    ITK computes in single precision, and is compared within a millionth. Floats that are nearly
    equal are equal in ITK, so that levels are compared.
    """
    try:
        import SimpleITK
    except ImportError:
        print("SimpleITK is not installed: its filter is left out")
        return []

    def mid_ranks(radius, plane):
        image = SimpleITK.GetImageFromArray(plane.astype(np.float32))
        # SimpleITK counts axes from the last one
        found = SimpleITK.AdaptiveHistogramEqualization(image, radius[::-1], alpha=0.0, beta=0.0)
        low, high = float(plane.min()), float(plane.max())
        return (SimpleITK.GetArrayFromImage(found) - low) / (high - low)

    return [
        Peer(
            "SimpleITK.AdaptiveHistogramEqualization",
            partial(mid_ranks, (3, 2)),
            LocalHistogramEqualizer(window=(7, 5)),
            ("uint8", "uint16"),
            tolerance=1e-6,
        ),
        Peer(
            "SimpleITK.AdaptiveHistogramEqualization of volumes",
            partial(mid_ranks, (1, 3, 2)),
            LocalHistogramEqualizer(window=(3, 7, 5), spatial_dims=3),
            ("uint8", "uint16"),
            tolerance=1e-6,
        ),
    ]


def peers_of_kornia():
    """Return kornia's function of volumes; none where it is not installed: it brings PyTorch.

    It takes floats in [0, 1], of which it makes levels and back.
    """
    try:
        import torch
        from kornia.enhance import equalize3d
    except ImportError:
        print("kornia is not installed: its function is left out")
        return []

    def equalized(volume):
        image = torch.from_numpy(volume)[None, None].float() / 255
        return np.rint(equalize3d(image)[0, 0].numpy() * 255).astype(np.uint8)

    return [
        Peer(
            "kornia.enhance.equalize3d",
            equalized,
            HistogramEqualizer(convention="pillow", spatial_dims=3),
            ("uint8",),
        )
    ]


def draw(rng, dtype):
    """Return a random plane with at least two levels."""
    shape = rng.choice(SIDES, 2)
    values = rng.random(shape) ** rng.uniform(0.3, 3)
    if rng.random() < 0.5:  # the rest are noise, in which no pixel is like its neighbours
        values = (values + np.linspace(0, 3, shape[1])) / 4
    if np.dtype(dtype).kind == "f":
        return values.astype(dtype)
    top = 2 ** rng.integers(9, 17) if dtype == "uint16" else rng.choice(LEVELS)
    plane = (values * top).astype(dtype)
    plane[0, :2] = 0, top - 1
    return plane


class Others(NamedTuple):
    """Where else estimators are called."""

    threads: Executor
    process: Executor


N_THREADS = 4


def transform_each(estimator, planes):
    """Return each plane as an estimator transforms it."""
    return [estimator.transform(plane[None])[0] for plane in planes]


def compare(peer, dtype, n_planes, seed, others):
    """Stop if the estimator and its peer differ in a bit of a plane, here or elsewhere."""
    rng, planes, results = np.random.default_rng(seed), [], []
    for number in range(n_planes):
        plane = draw(rng, dtype)
        if peer.estimator.color != "channels":  # images (h, w, 3) instead of planes
            plane = np.stack([plane, plane[::-1], plane[:, ::-1]], axis=-1)
        if peer.estimator.spatial_dims == 3:  # the plane is cut into slices
            depth = rng.choice(DEPTHS)
            plane = plane[: len(plane) // depth * depth].reshape(depth, -1, plane.shape[1])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = peer.function(plane)
        found = peer.estimator.fit_transform(plane[None])[0]
        message = f"{peer.name}, {dtype}, plane {number}, seed {seed}"
        if peer.tolerance:
            np.testing.assert_allclose(found, expected, 0, peer.tolerance, err_msg=message)
        else:
            np.testing.assert_array_equal(found, expected, err_msg=message, strict=True)
        planes.append(plane)
        results.append(found)
    places = [others.process] + [others.threads] * N_THREADS
    calls = [place.submit(transform_each, peer.estimator, planes) for place in places]
    for call in calls:
        for here, elsewhere in zip(results, call.result(), strict=True):
            np.testing.assert_array_equal(elsewhere, here, err_msg=peer.name, strict=True)


def main():
    """Compare, and print the table: a row is printed when no bit of its planes has differed."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--planes", type=int, default=1000, help="for each function and dtype")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print("| function | dtypes | planes compared |\n|---|---|---|")
    total, spawned = 0, multiprocessing.get_context("spawn")
    with ThreadPoolExecutor(N_THREADS) as threads, ProcessPoolExecutor(1, spawned) as process:
        for peer in [*PEERS, *peers_of_itk(), *peers_of_kornia(), *peers_of_albumentations()]:
            for dtype in peer.dtypes:
                compare(peer, dtype, options.planes, options.seed, Others(threads, process))
            count = options.planes * len(peer.dtypes)
            print(f"| `{peer.name}` | {', '.join(peer.dtypes)} | {count:,} |", flush=True)
            total += count
    print(f"| all | | {total:,} |")


if __name__ == "__main__":
    main()
