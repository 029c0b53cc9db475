"""What the demo and benchmarks/measure_faces.py share: splits, lights, first steps, classifiers.

A trial is one training part with its test parts; every first step and every classifier runs on the
same trials. No classifier depends on the scale of its input (distances are only compared; the
others use ``gamma="scale"``, StandardScaler or whitening), so that intensities in 0 to 255, in 0 to
1 and standardised ones are compared fairly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
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
    AugmentedEstimator,
    HistogramEqualizer,
    LocalHistogramEqualizer,
    relight,
)

WINDOW = 1 / 4  # of the side of an image
N_COPIES = 5  # harsh copies of each training image
MIN_TILE = 4  # pixels that a tile should have along each axis

Strength = Literal["even", "mild", "harsh"]
# The lights to test in, by the names of their rows: strengths of relight, or None for none.
LIGHTS: dict[str, Strength | None] = {
    "same light": None,
    "other light": "even",
    "side light": "mild",
    "harsh light": "harsh",
}

Split = tuple[NDArray[np.intp], NDArray[np.intp]]  # numbers of images for training, for testing


class Part(NamedTuple):
    """Images with their labels, which say who or what they show.

    The demo's images are 8-bit gray images of one size, (n, 1, height, width).
    """

    images: NDArray[Any]
    labels: NDArray[np.intp]

    def take(self, which: NDArray[Any]) -> Part:
        """Return some of the images, by their numbers or by a mask."""
        return Part(self.images[which], self.labels[which])


class Trial(NamedTuple):
    """One training part, and the parts to test on, by the names of their rows in the table."""

    train: Part
    tests: dict[str, Part]


# Splits ------------------------------------------------------------------------------------------


def shuffled(labels: NDArray[Any], rng: np.random.Generator) -> NDArray[np.intp]:
    """Return the numbers of all images, class by class, those of each class in random order."""
    return np.concatenate([rng.permutation(np.flatnonzero(labels == k)) for k in np.unique(labels)])


def from_bright_to_dark(images: NDArray[Any]) -> NDArray[np.intp]:
    """Return the numbers of all images, from the brightest to the darkest."""
    return np.argsort(-to_rows(images).mean(axis=1), kind="stable")


def split(
    order: NDArray[np.intp], labels: NDArray[Any], n: int | None = None, extremes: bool = False
) -> Split:
    """Split images, given in some order, into a training part and a test part.

    Parameters
    ----------
    order : ndarray of int
        Numbers of images.
    labels : ndarray of shape (n_images,)
        The classes of all images.
    n : int, default=None
        How many of each class are for training: the first ones, and at most half of them. None:
        half of them.
    extremes : bool, default=False
        Test on as many of the last ones, instead of on all others.

    Returns
    -------
    train, test : ndarrays of int
    """
    train, test = [], []
    for label in np.unique(labels[order]):
        own = order[labels[order] == label]
        n_own = min(len(own) if n is None else n, len(own) // 2)
        train.append(own[:n_own])
        test.append(own[len(own) - n_own if extremes else n_own :])
    return np.concatenate(train), np.concatenate(test)


def random_trials(
    faces: Part, n: int | None, lights: dict[str, Strength | None], repeats: int, seed: int
) -> list[Trial]:
    """Draw n images of each class for training, and test on the others in each of the lights."""
    trials = []
    for draw in range(repeats):
        rng = np.random.default_rng([seed, draw])
        train, test = map(faces.take, split(shuffled(faces.labels, rng), faces.labels, n))
        tests = {}
        for name, strength in lights.items():
            images = test.images
            if strength is not None:
                images = relight(images, strength, random_state=int(rng.integers(2**31)))
            tests[name] = Part(images, test.labels)
        trials.append(Trial(train, tests))
    return trials


# First steps -------------------------------------------------------------------------------------


def to_rows(images: ArrayLike) -> NDArray[np.float64]:
    """Return each image as one row of floats; rows stay unchanged."""
    images = np.asarray(images, dtype=np.float64)
    return images.reshape(len(images), -1)


def standardise_rows(images: ArrayLike) -> NDArray[np.float64]:
    """Subtract each image's mean and divide by its standard deviation (by 1 if that is 0)."""
    rows = to_rows(images)
    spread = rows.std(axis=1, keepdims=True)
    return (rows - rows.mean(axis=1, keepdims=True)) / np.where(spread == 0, 1, spread)


def normal() -> HistogramEqualizer:
    """Return a step to normal quantiles of the whole image, as rows."""
    return HistogramEqualizer(output_distribution="normal", flatten=True)


def then_normal(step: Any) -> Any:
    """Return a step, followed by normal quantiles of the whole image."""
    return make_pipeline(step, normal())


def windows(window: float) -> Any:
    """Return local equalization, followed by normal quantiles of the whole image."""
    return then_normal(LocalHistogramEqualizer(window=window))


def steps(n_tiles: int) -> dict[str, Any]:
    """Return the first steps to compare, by the names of their columns."""
    return {
        "raw": FunctionTransformer(to_rows),
        "standardised": FunctionTransformer(standardise_rows),
        "equalized": HistogramEqualizer(flatten=True),
        "tiles": AdaptiveHistogramEqualizer(n_tiles=n_tiles, flatten=True),
        "windows": windows(WINDOW),
    }


def tiles_for(images: NDArray[Any]) -> int:
    """Return the default number of tiles, halved until no tile is too small."""
    n_tiles: int = AdaptiveHistogramEqualizer().get_params()["n_tiles"]
    while n_tiles > 1 and min(images.shape[2:]) < MIN_TILE * n_tiles:
        n_tiles //= 2
    return n_tiles


# Classifiers -------------------------------------------------------------------------------------

# Makes a classifier, given the numbers of training images and of pixels. A PCA has at most half as
# many components as there are training images: with as many as images, whitening would amplify
# noise until nothing else is left.
Maker = Callable[[int, int], Any]

BUNDLED: dict[str, Maker] = {
    "nearest neighbour": lambda n, p: KNeighborsClassifier(n_neighbors=1),
    "SVC (RBF)": lambda n, p: SVC(C=10),
    "logistic (linear)": lambda n, p: make_pipeline(
        StandardScaler(), LogisticRegression(max_iter=1000)
    ),
}
PEOPLE: dict[str, Maker] = {
    "nearest neighbour": BUNDLED["nearest neighbour"],
    "PCA + SVC (RBF)": lambda n, p: make_pipeline(
        PCA(min(100, n // 2, p), whiten=True, random_state=0), SVC(C=10)
    ),
    "PCA + LDA (linear)": lambda n, p: make_pipeline(
        PCA(min(150, n // 2, p), random_state=0),
        LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto"),
    ),
}


# Scores of all classifiers behind a first step, by the names of the test parts.
Scores = Callable[[Any, Iterable[Maker], Trial], dict[str, list[float]]]


def accuracies(step: Any, makers: Iterable[Maker], trial: Trial) -> dict[str, list[float]]:
    """Train each classifier behind a first step, and score all of them on each test part."""
    rows = step.fit_transform(trial.train.images)
    classifiers = [maker(*rows.shape).fit(rows, trial.train.labels) for maker in makers]
    found = {}
    for name, test in trial.tests.items():
        rows = step.transform(test.images)
        found[name] = [classifier.score(rows, test.labels) for classifier in classifiers]
    return found


def accuracies_with_copies(
    step: Any, makers: Iterable[Maker], trial: Trial
) -> dict[str, list[float]]:
    """Train each pipeline on harsh copies, too, and score all of them on each test part."""
    images = trial.train.images
    found: dict[str, list[float]] = {name: [] for name in trial.tests}
    for maker in makers:
        pipeline = make_pipeline(step, maker(len(images) * (1 + N_COPIES), images[0].size))
        model = AugmentedEstimator(pipeline, n_copies=N_COPIES, random_state=0).fit(*trial.train)
        for name, test in trial.tests.items():
            found[name].append(model.score(*test))
    return found
