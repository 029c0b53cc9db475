"""What equalization does for face recognition: three protocols, three classifiers.

    python benchmarks/measure_faces.py --data PATH

PATH is an .npz file that holds X (n, h, w), pictures of faces under many lights, and y (n,), whose
they are; at least 40 pictures a person. Without --data only the evenly lit pictures that
scikit-image and scikit-learn bring along are measured, where equalization has nothing to win and
may do harm.

Images are transformed once a variant and used in all protocols: each is equalized by itself, so
that no test picture is learned from. HistogramMatcher, which learns, is fitted to the training
part of each split. The last tables say what a default is chosen by, and what GridSearchCV, which
sees the training part alone, would choose.
"""

import argparse
import warnings

import numpy as np
from skimage.data import lfw_subset
from skimage.transform import resize
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.model_selection import GridSearchCV, RepeatedStratifiedKFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.svm import SVC
from threadpoolctl import threadpool_limits

from sklearn_histeq import AdaptiveHistogramEqualizer, HistogramEqualizer, HistogramMatcher

N_SEEDS = 5
N_A_PERSON = 10  # training pictures of the random protocol
N_EXTREME = 20  # brightest, and darkest, pictures a person
N_FEW = 5  # training pictures among the N_EXTREME best lit of a person
CLIP_LIMITS = {  # by n_tiles
    8: (1.0, 2.0, 2.5, 3.0, 3.5, 4.0, 6.0, 8.0, None),
    4: (4.0, None),
    10: (4.0, None),
}
SPLITTERS = {
    f"{N_A_PERSON} random a person -> rest": lambda X, y: [
        random_split(np.arange(len(y)), y, seed) for seed in range(N_SEEDS)
    ],
    f"{N_EXTREME} brightest -> {N_EXTREME} darkest": lambda X, y: [bright_to_dark(X, y)],
    "better lit half -> rest": lambda X, y: [better_half(X, y)],
}


# Protocols ---------------------------------------------------------------------------------------


def random_split(pictures, y, seed, n=N_A_PERSON):
    """Return training and test pictures: n at random of each person, and the rest."""
    rng = np.random.default_rng(seed)
    parts = [rng.permutation(pictures[y[pictures] == person]) for person in np.unique(y)]
    return (
        np.concatenate([part[:n] for part in parts]),
        np.concatenate([part[n:] for part in parts]),
    )


def by_person(score, y):
    """Return the pictures of each person, in falling order of a score."""
    order = np.argsort(-score, kind="stable")
    return [order[y[order] == person] for person in np.unique(y)]


def bright_to_dark(X, y):
    """Return each person's brightest pictures for training, the darkest for the test."""
    parts = by_person(X.mean(axis=(1, 2)), y)
    return (
        np.concatenate([part[:N_EXTREME] for part in parts]),
        np.concatenate([part[-N_EXTREME:] for part in parts]),
    )


def evenness(X):
    """Return how well pictures are lit: mean minus |left half - right half|."""
    middle = X.shape[2] // 2
    left, right = X[..., :middle].mean(axis=(1, 2)), X[..., middle:].mean(axis=(1, 2))
    return X.mean(axis=(1, 2)) - np.abs(left - right)


def better_half(X, y):
    """Return the better lit half of each person's pictures for training, the rest for the test."""
    parts = by_person(evenness(X), y)
    return (
        np.concatenate([part[: len(part) // 2] for part in parts]),
        np.concatenate([part[len(part) // 2 :] for part in parts]),
    )


# Variants and classifiers ------------------------------------------------------------------------


def standardise(X):
    """Return pictures of mean 0 and standard deviation 1, each by itself: the honest baseline."""
    X = X.reshape(len(X), -1).astype(np.float64)
    spread = X.std(axis=1, keepdims=True)
    return (X - X.mean(axis=1, keepdims=True)) / np.where(spread > 0, spread, 1)


def make_variants():
    """Return the transformers to compare, by name."""
    variants = {
        "raw": FunctionTransformer(lambda X: X.reshape(len(X), -1).astype(np.float64)),
        "standardised": FunctionTransformer(standardise),
        "HistogramEqualizer": HistogramEqualizer(flatten=True),
        "HistogramEqualizer, normal": HistogramEqualizer(
            output_distribution="normal", flatten=True
        ),
        "HistogramMatcher": HistogramMatcher(flatten=True),
    }
    for n_tiles, limits in CLIP_LIMITS.items():
        for limit in limits:
            variants[f"{n_tiles} tiles, clip_limit={limit}"] = AdaptiveHistogramEqualizer(
                n_tiles=n_tiles, clip_limit=limit, flatten=True
            )
    return variants


def by_number(variant, X):
    """Return a transformer from the numbers of pictures in X to the variant's rows of them."""
    if isinstance(variant, HistogramMatcher):  # learns from the training part alone
        return make_pipeline(FunctionTransformer(lambda numbers: X[numbers]), variant)
    rows = variant.fit_transform(X)
    return FunctionTransformer(lambda numbers: rows[numbers])


def make_classifiers(n_train):
    """Return 1-NN, PCA + SVC and LDA: PCA with as many components as pictures would be chance."""
    half = n_train // 2
    return {
        "1-NN": KNeighborsClassifier(1),
        "SVC": make_pipeline(PCA(min(100, half), whiten=True, random_state=0), SVC(C=10)),
        "LDA": make_pipeline(
            PCA(min(150, half), random_state=0),
            LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto"),
        ),
    }


# Evenly lit pictures -----------------------------------------------------------------------------


def enlarge(X, times):
    """Return pictures so many times larger, linearly: eight tiles want some pixels each."""
    return resize(X, (len(X), times * X.shape[1], times * X.shape[2]), order=1, anti_aliasing=False)


def faces_and_others():
    """Return scikit-image's faces and other pictures, to be told from each other: 50×50."""
    X = lfw_subset()
    is_face = np.arange(len(X)) < len(X) // 2
    folds = RepeatedStratifiedKFold(n_splits=5, n_repeats=4, random_state=0)
    return enlarge(X, 2), is_face, list(folds.split(X, is_face))


def shifted_faces():
    """Return 100 faces to be told apart, a little out of place and noisy in the test: 46×46."""
    faces, rng = lfw_subset()[:100], np.random.default_rng(0)
    known, others = [(0, 0), (2, 2)], [(0, 2), (1, 1), (2, 0)]
    crops = [faces[:, y : y + 23, x : x + 23] for y, x in known + others]
    X, n = np.concatenate(crops), len(faces) * len(known)
    X[n:] += rng.normal(0, 0.05, X[n:].shape)
    who = np.tile(np.arange(len(faces)), len(crops))
    return enlarge(X.clip(0, 1), 2), who, [(np.arange(n), np.arange(n, len(X)))]


def digits():
    """Return scikit-learn's digits, 24×24."""
    data = load_digits()
    folds = RepeatedStratifiedKFold(n_splits=5, n_repeats=1, random_state=0)
    return enlarge(data.images, 3), data.target, list(folds.split(data.images, data.target))


def best_lit(X, y):
    """Return splits of each person's best lit pictures: N_FEW for training, the rest to test."""
    best = np.concatenate([part[:N_EXTREME] for part in by_person(evenness(X), y)])
    return [random_split(best, y, seed, N_FEW) for seed in range(N_SEEDS)]


# Measuring ---------------------------------------------------------------------------------------


def score(step, y, splits):
    """Return the mean test accuracy of each classifier over splits."""
    rows = []
    for train, test in splits:
        fitted = clone(step).fit(train)
        x_train, x_test = fitted.transform(train), fitted.transform(test)
        classifiers = make_classifiers(min(x_train.shape)).values()
        rows.append([c.fit(x_train, y[train]).score(x_test, y[test]) for c in classifiers])
    return np.mean(rows, axis=0)


def measure(title, X, y, protocols):
    """Print the accuracy of each variant in each protocol; return them, and the variants' steps."""
    print(f"\n## {title}\n\n1-NN / SVC / LDA\n")
    print("| | " + " | ".join(protocols) + " |")
    print("|---" * (len(protocols) + 1) + "|", flush=True)
    found, steps = {}, {}
    for name, variant in make_variants().items():
        steps[name] = by_number(variant, X)
        found[name] = [score(steps[name], y, splits) for splits in protocols.values()]
        cells = (" / ".join(f"{value:.3f}" for value in scores) for scores in found[name])
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)
    return found, steps


def measure_bundled():
    """Measure evenly lit pictures that need no network; return the accuracies, a list of tables."""
    sets = {
        "Faces and others": faces_and_others(),
        "Faces told apart, out of place and noisy": shifted_faces(),
        "Digits": digits(),
    }
    return [
        measure(title, X, y, {"evenly lit": splits})[0] for title, (X, y, splits) in sets.items()
    ]


def measure_lights(X, y):
    """Measure faces under many lights, and what GridSearchCV chooses.

    Return the accuracies, under many lights and within the best lit.
    """
    protocols = {name: split(X, y) for name, split in SPLITTERS.items()}
    best = {f"{N_FEW} of the {N_EXTREME} best lit a person -> rest": best_lit(X, y)}
    found, steps = measure(f"{len(X)} faces under many lights", X, y, protocols | best)
    print_choice(X, y, protocols, steps)
    n_lights = len(SPLITTERS)
    return (
        {name: scores[:n_lights] for name, scores in found.items()},
        {name: scores[n_lights:] for name, scores in found.items()},
    )


def brighter_to_darker(X, y):
    """Return one fold: each person's brighter half for training, the rest for the test."""
    parts = by_person(X.mean(axis=(1, 2)), y)
    return [
        (
            np.concatenate([part[: len(part) // 2] for part in parts]),
            np.concatenate([part[len(part) // 2 :] for part in parts]),
        )
    ]


def print_choice(X, y, protocols, steps):
    """Print which variant GridSearchCV chooses on each training part, and how it does in the test.

    Inner cross-validation cannot see a change of light that it was not given: so there are two of
    them, five folds as they come, and one from the brighter half of the training part to the rest.
    """
    print("\n## What GridSearchCV chooses in the (first) training part; ties: as good in there\n")
    print("| protocol | classifier | folds | choice | inner score | ties | test score |")
    print("|---" * 7 + "|", flush=True)
    for protocol, splits in protocols.items():
        train, test = splits[0]
        inner = {"five": 5, "bright to dark": brighter_to_darker(X[train], y[train])}
        for classifier, model in make_classifiers(len(train) // 2).items():
            pipeline = Pipeline([("equalize", None), ("classify", model)])
            for folds, cv in inner.items():
                search = GridSearchCV(pipeline, {"equalize": list(steps.values())}, cv=cv)
                search.fit(train, y[train])
                best, tested = search.best_score_, search.score(test, y[test])
                ties = np.isclose(search.cv_results_["mean_test_score"], best).sum() - 1
                cells = protocol, classifier, folds, list(steps)[search.best_index_]
                print(f"| {' | '.join(cells)} | {best:.3f} | {ties} | {tested:.3f} |", flush=True)


def print_default(lights, even):
    """Print what a default is chosen by: differences to HistogramEqualizer.

    The worst one under many lights, and the mean one on evenly lit pictures.
    """
    print("\n## Accuracy above or below HistogramEqualizer's\n")
    print("| | worst under many lights | mean on evenly lit pictures | of which 1-NN |")
    print("|---|---|---|---|")
    for name, scores in lights.items():
        worst = np.min(np.subtract(scores, lights["HistogramEqualizer"]))
        differences = np.concatenate([np.subtract(t[name], t["HistogramEqualizer"]) for t in even])
        one_nn = differences[:, 0].mean()
        print(f"| {name} | {worst:+.3f} | {differences.mean():+.3f} | {one_nn:+.3f} |")


def main():
    """Read the option and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", help=".npz file with X (n, h, w) and y (n,)")
    options = parser.parse_args()
    warnings.filterwarnings("ignore", "n_tiles")  # small pictures have room for fewer tiles
    with threadpool_limits(1):  # matrices this small gain nothing from more
        even = measure_bundled()
        if options.data is None:
            print("\nFaces under many lights are skipped: no --data.")
            return
        with np.load(options.data) as data:
            X, y = data["X"], data["y"]
        lights, best = measure_lights(X, y)
    print_default(lights, [*even, best])


if __name__ == "__main__":
    main()
