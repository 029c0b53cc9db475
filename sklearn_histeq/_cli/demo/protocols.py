"""The demo's experiments: splits into training and test parts, lights, steps and classifiers.

A trial is one training part with its test parts; every step and every classifier of the demo runs
on the same trials. No classifier depends on the scale of its input (distances are only compared;
the others use ``gamma="scale"``, StandardScaler or whitening), so that intensities in 0 to 255, in
0 to 1 and standardised ones are compared fairly.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC

from sklearn_histeq import (
    AdaptiveHistogramEqualizer,
    HistogramEqualizer,
    LocalHistogramEqualizer,
    relight,
)
from sklearn_histeq._cli.demo.data import Faces

N_PER_CLASS = 50  # bundled pictures of a class for training; the other 50 are for testing
N_RANDOM = 10  # pictures per person for training; the others are for testing
N_BRIGHTEST = 20  # pictures per person for training; as many of the darkest are for testing
Strength = Literal["even", "mild", "harsh"]
# The simulated lights, by the names of their rows: strengths of relight.
LIGHTS: dict[str, Strength] = {
    "other light": "even",
    "side light": "mild",
    "harsh light": "harsh",
}
WINDOW = 1 / 4  # of the side of a picture
MIN_TILE = 4  # pixels that a tile should have along each axis


class Part(NamedTuple):
    """Some pictures, (n, 1, height, width), and their labels, (n,)."""

    pictures: NDArray[np.uint8]
    labels: NDArray[np.intp]


class Trial(NamedTuple):
    """One training part, and the parts to test on, by the names of their rows in the table."""

    train: Part
    tests: dict[str, Part]


def to_rows(pictures: ArrayLike) -> NDArray[np.float64]:
    """Return each picture as one row of floats; rows stay unchanged."""
    pictures = np.asarray(pictures, dtype=np.float64)
    return pictures.reshape(len(pictures), -1)


def standardise_rows(pictures: ArrayLike) -> NDArray[np.float64]:
    """Subtract each picture's mean and divide by its standard deviation (by 1 if that is 0)."""
    rows = to_rows(pictures)
    rows = rows - rows.mean(axis=1, keepdims=True)
    spread = rows.std(axis=1, keepdims=True)
    return rows / np.where(spread == 0, 1, spread)


def steps(n_tiles: int) -> dict[str, Any]:
    """Return the first steps to compare, by the names of their columns."""
    return {
        "raw": FunctionTransformer(to_rows),
        "standardised": FunctionTransformer(standardise_rows),
        "equalized": HistogramEqualizer(flatten=True),
        "tiles": AdaptiveHistogramEqualizer(n_tiles=n_tiles, flatten=True),
        "windows": windows(WINDOW),
    }


def windows(window: float) -> Any:
    """Return local equalization, followed by normal quantiles of the whole picture."""
    normal = HistogramEqualizer(output_distribution="normal", flatten=True)
    return make_pipeline(LocalHistogramEqualizer(window=window), normal)


def tiles_for(pictures: NDArray[np.uint8]) -> int:
    """Return the default number of tiles, halved until no tile is too small."""
    n_tiles: int = AdaptiveHistogramEqualizer().get_params()["n_tiles"]
    while n_tiles > 1 and min(pictures.shape[2:]) < MIN_TILE * n_tiles:
        n_tiles //= 2
    return n_tiles


# Makes a classifier, given the largest number of components that its PCA may have: with as many as
# there are training pictures, whitening would amplify noise until nothing else is left.
Maker = Callable[[int], Any]


def _nearest(limit: int) -> Any:
    return KNeighborsClassifier(n_neighbors=1)


def _svc(limit: int) -> Any:
    return SVC(C=10)


def _logistic(limit: int) -> Any:
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))


def _pca_svc(limit: int) -> Any:
    return make_pipeline(PCA(min(100, limit), whiten=True, random_state=0), SVC(C=10))


def _pca_lda(limit: int) -> Any:
    lda = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
    return make_pipeline(PCA(min(150, limit), random_state=0), lda)


BUNDLED: dict[str, Maker] = {
    "nearest neighbour": _nearest,
    "SVC (RBF)": _svc,
    "logistic (linear)": _logistic,
}
PEOPLE: dict[str, Maker] = {
    "nearest neighbour": _nearest,
    "PCA + SVC (RBF)": _pca_svc,
    "PCA + LDA (linear)": _pca_lda,
}


def make_classifier(maker: Maker, n_train: int, n_pixels: int) -> Any:
    """Make a classifier for that many training pictures."""
    return maker(min(n_train // 2, n_pixels))


def feasible(makers: dict[str, Maker], n_fewest: int) -> dict[str, Maker]:
    """Return the classifiers that can be trained on so few pictures of a class: LDA needs two."""
    return {k: maker for k, maker in makers.items() if maker is not _pca_lda or n_fewest > 1}


def accuracies(step: Any, maker: Maker, trial: Trial) -> dict[str, float]:
    """Train a pipeline on a trial's training part, and score it on each of its test parts."""
    pictures, labels = trial.train
    classifier = make_classifier(maker, len(pictures), pictures[0].size)
    pipeline = make_pipeline(step, classifier).fit(pictures, labels)
    return {name: pipeline.score(*test) for name, test in trial.tests.items()}


def random_split(
    labels: NDArray[np.intp], n: int, rng: np.random.Generator
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Draw n pictures of each class for training, at most half of them; test on the others."""
    train, test = [], []
    for label in np.unique(labels):
        own = rng.permutation(np.flatnonzero(labels == label))
        n_own = min(n, len(own) // 2)
        train.append(own[:n_own])
        test.append(own[n_own:])
    return np.concatenate(train), np.concatenate(test)


def brightness_split(
    pictures: NDArray[np.uint8], labels: NDArray[np.intp], n: int | None = None
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Take the n brightest pictures of each class for training, and the n darkest for testing.

    If n is None or larger than that, half of the pictures of a class are taken for each.
    """
    brightness = pictures.mean(axis=(1, 2, 3))
    train, test = [], []
    for label in np.unique(labels):
        own = np.flatnonzero(labels == label)
        own = own[np.argsort(-brightness[own], kind="stable")]
        n_own = len(own) // 2 if n is None else min(n, len(own) // 2)
        train.append(own[:n_own])
        test.append(own[len(own) - n_own :])
    return np.concatenate(train), np.concatenate(test)


def bundled_trials(faces: Faces, repeats: int, seed: int) -> list[Trial]:
    """Draw half of the pictures for training; test on the others, unchanged and in other lights."""
    trials = []
    for draw in range(repeats):
        rng = np.random.default_rng([seed, draw])
        train, test = (_part(faces, i) for i in random_split(faces.labels, N_PER_CLASS, rng))
        tests = {"same light": test}
        for name, strength in LIGHTS.items():
            copies = relight(test.pictures, strength, random_state=int(rng.integers(2**31)))
            tests[name] = Part(copies, test.labels)
        trials.append(Trial(train, tests))
    return trials


def random_trials(faces: Faces, repeats: int, seed: int) -> list[Trial]:
    """Draw a few pictures of each person for training; test on the others."""
    trials = []
    for draw in range(repeats):
        rng = np.random.default_rng([seed, draw])
        train, test = random_split(faces.labels, N_RANDOM, rng)
        trials.append(Trial(_part(faces, train), {"random part": _part(faces, test)}))
    return trials


def brightness_trial(faces: Faces) -> Trial:
    """Train on the brightest pictures of each person; test on the darkest."""
    train, test = brightness_split(faces.pictures, faces.labels, N_BRIGHTEST)
    return Trial(_part(faces, train), {"bright to dark": _part(faces, test)})


def _part(faces: Faces, indices: NDArray[np.intp]) -> Part:
    return Part(faces.pictures[indices], faces.labels[indices])
