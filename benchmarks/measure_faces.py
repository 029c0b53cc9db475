"""What equalization does for face recognition: three protocols, three classifiers.

    python benchmarks/measure_faces.py --data PATH [--figure PNG]

PATH is an .npz file that holds X (n, h, w), pictures of faces under many lights, and y (n,), the
person in each picture, with at least 40 pictures per person. Without --data only the evenly lit
pictures that scikit-image and scikit-learn bring along are measured, where equalization has nothing
to gain and may do harm.

Images are transformed once per variant and used in all protocols: each is equalized by itself, so
that no test picture is learned from. HistogramMatcher, which learns, is fitted to the training
part of each split. The last tables say what a default is chosen by, what GridSearchCV, which sees
the training part alone, would choose when it validates on pictures as they are or on relit copies,
and what displacement costs. --figure draws the last two things that a person has to weigh: accuracy
in harsh and in even light, and accuracy of displaced pictures.
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
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.svm import SVC
from threadpoolctl import threadpool_limits

from sklearn_histeq import (
    AdaptiveHistogramEqualizer,
    HistogramEqualizer,
    HistogramMatcher,
    LocalHistogramEqualizer,
    relit_scorer,
)

N_SEEDS = 5
N_A_PERSON = 10  # training pictures of the random protocol
N_EXTREME = 20  # brightest, and darkest, pictures per person
N_FEW = 5  # training pictures among the N_EXTREME best lit of a person
CLIP_LIMITS = {  # by n_tiles
    8: (1.0, 2.0, 2.5, 3.0, 3.5, 4.0, 6.0, 8.0, None),
    4: (4.0, None),
    10: (4.0, None),
}
WINDOWS = {"1/8": 1 / 8, "1/4": 1 / 4, "2/3": 2 / 3}
STRENGTHS = ("even", "mild", "harsh")
SHIFTS = range(5)  # pixels
SHOWN = {  # in the figure, and where the labels are
    "raw": (6, -3),
    "standardised": (6, -3),
    "HistogramEqualizer": (6, -12),
    "HistogramEqualizer, normal": (-6, 4),
    "4 tiles, clip_limit=None": (6, 4),
    "8 tiles, clip_limit=3.0": (-6, -3),
    "8 tiles, clip_limit=None": (-6, -12),
    "12 tiles, clip_limit=3.0, normal": (-6, 6),
    "window 1/8": (6, -10),
    "window 1/8, normal": (6, 4),
    "window 1/4, normal": (-6, -3),
    "window 2/3, normal": (6, -3),
    "window 1/8, normal, beside 2 × normal": (-6, -3),
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


def to_rows(X):
    """Return pictures as rows of floats."""
    return X.reshape(len(X), -1).astype(np.float64)


def make_variants():
    """Return the transformers to compare, by name."""
    variants = {
        "raw": FunctionTransformer(to_rows),
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
    for name, window in WINDOWS.items():
        variants[f"window {name}"] = LocalHistogramEqualizer(window=window, flatten=True)
        variants[f"window {name}, normal"] = recipe(LocalHistogramEqualizer(window=window))
    variants["12 tiles, clip_limit=3.0, normal"] = recipe(AdaptiveHistogramEqualizer(n_tiles=12))
    variants["window 1/8, normal, beside 2 × normal"] = both_branches(1 / 8, 2)
    return variants


def normal():
    """Return equalization to normal quantiles, one transfer function per picture."""
    return HistogramEqualizer(output_distribution="normal", flatten=True)


def recipe(local):
    """Return local equalization, brought to normal quantiles afterwards."""
    return make_pipeline(local, normal())


def both_branches(window, weight):
    """Return the recipe and a plain normal branch side by side."""
    branches = [("local", recipe(LocalHistogramEqualizer(window=window))), ("plain", normal())]
    return FeatureUnion(branches, transformer_weights={"plain": weight})


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
    print_choice(X, y, protocols | best, steps)
    print_search_of_branches(X, y, protocols | best)
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

    It validates in five ways on three folds: on pictures as they are, on relit copies of three
    strengths, and, on one fold, from the brighter half of the training part to the rest. Ties are
    won by the first: the variants are listed from raw pictures to windows.
    """
    print("\n## What GridSearchCV chooses in the (first) training part; ties: as good in there\n")
    print("| protocol | classifier | validated on | choice | inner score | ties | test | best |")
    print("|---" * 8 + "|", flush=True)
    variants, missed = make_variants(), {}
    for protocol, splits in protocols.items():
        train, test = splits[0]
        for classifier, model in make_classifiers(len(train) * 2 // 3).items():
            if classifier == "SVC":  # takes long
                continue
            tested = [test_score(step, model, y, train, test) for step in steps.values()]
            for validation, scores in inner_scores(variants, steps, model, X, y, train).items():
                chosen = int(np.argmax(scores))
                ties = np.isclose(scores, scores[chosen]).sum() - 1
                cells = protocol, classifier, validation, list(variants)[chosen]
                numbers = (
                    f"{scores[chosen]:.3f} | {ties} | {tested[chosen]:.3f} | {max(tested):.3f}"
                )
                print(f"| {' | '.join(cells)} | {numbers} |", flush=True)
                missed.setdefault(validation, []).append(max(tested) - tested[chosen])
    print_missed(missed, len(SPLITTERS))


def print_missed(missed, n_lights):
    """Print how far the choices are from the best variant, under many lights and within the best.

    missed: {validation: differences of all protocols and two classifiers}
    """
    print("\n## Best variant minus choice, mean / largest, 1-NN and LDA\n")
    print("| validated on | under many lights | within the best lit |")
    print("|---|---|---|")
    for validation, differences in missed.items():
        parts = differences[: 2 * n_lights], differences[2 * n_lights :]
        cells = (f"{np.mean(part):.3f} / {np.max(part):.3f}" for part in parts if part)
        print(f"| {validation} | {' | '.join(cells)} |")


def test_score(step, model, y, train, test):
    """Return the accuracy in the test of a variant, given by the numbers of pictures."""
    pipeline = make_pipeline(clone(step), clone(model)).fit(train, y[train])
    return pipeline.score(test, y[test])


def inner_scores(variants, steps, model, X, y, train):
    """Return the mean inner score of each variant, for each way to validate."""
    scorers = {"as they are": "accuracy"}
    scorers |= {f"relit, {s}": relit_scorer("accuracy", s) for s in STRENGTHS}
    pipeline = Pipeline([("equalize", None), ("classify", model)])
    grid = {"equalize": list(variants.values())}
    search = GridSearchCV(pipeline, grid, scoring=scorers, cv=3, refit=False)
    search.fit(X[train], y[train])
    found = {name: search.cv_results_[f"mean_test_{name}"] for name in scorers}
    grid, folds = {"equalize": list(steps.values())}, brighter_to_darker(X[train], y[train])
    darker = GridSearchCV(pipeline, grid, cv=folds, refit=False).fit(train, y[train])
    return found | {"bright to dark": darker.cv_results_["mean_test_score"]}


def print_search_of_branches(X, y, protocols):
    """Print what the search over both branches chooses, with "passthrough" beside them."""
    print("\n## The search over the window and the weight of a plain branch\n")
    print("| protocol | classifier | validated on | choice | inner score | test |")
    print("|---" * 6 + "|", flush=True)
    candidates = {"passthrough": FunctionTransformer(to_rows)}
    for name, window in WINDOWS.items():
        for weight in (0, 1, 2):
            candidates[f"window {name}, weight {weight}"] = both_branches(window, weight)
    candidates["passthrough"] = candidates.pop("passthrough")  # the strongest are first
    for protocol, splits in protocols.items():
        train, test = splits[0]
        for classifier, model in make_classifiers(len(train) * 2 // 3).items():
            if classifier == "SVC":
                continue
            for validation in ("accuracy", relit_scorer("accuracy")):
                pipeline = Pipeline([("equalize", None), ("classify", model)])
                grid = {"equalize": list(candidates.values())}
                search = GridSearchCV(pipeline, grid, scoring=validation, cv=3)
                search.fit(X[train], y[train])
                tested = search.best_estimator_.score(X[test], y[test])
                way = "as they are" if validation == "accuracy" else "relit, harsh"
                cells = protocol, classifier, way, list(candidates)[search.best_index_]
                print(
                    f"| {' | '.join(cells)} | {search.best_score_:.3f} | {tested:.3f} |", flush=True
                )


def measure_displacement(X, y):
    """Print the accuracy of LDA on test pictures that are displaced; return it, by variant."""
    steps = {
        "HistogramEqualizer": HistogramEqualizer(flatten=True),
        "4 tiles": AdaptiveHistogramEqualizer(n_tiles=4, flatten=True),
        "8 tiles": AdaptiveHistogramEqualizer(n_tiles=8, flatten=True),
        "12 tiles": AdaptiveHistogramEqualizer(n_tiles=12, flatten=True),
        "window 1/4, normal": recipe(LocalHistogramEqualizer(window=1 / 4)),
        "window 1/8, normal": recipe(LocalHistogramEqualizer()),
    }
    train, test = random_split(np.arange(len(y)), y, 0)
    print("\n## Accuracy of 1-NN / LDA on pictures displaced by so many pixels\n")
    print("| | " + " | ".join(map(str, SHIFTS)) + " |")
    print("|---" * (len(SHIFTS) + 1) + "|", flush=True)
    found = {}
    for name, step in steps.items():
        classifiers = make_classifiers(len(train))
        models = [
            make_pipeline(step, classifiers[c]).fit(X[train], y[train]) for c in ("1-NN", "LDA")
        ]
        found[name] = [[m.score(displaced(X[test], n), y[test]) for m in models] for n in SHIFTS]
        cells = (" / ".join(f"{value:.3f}" for value in pair) for pair in found[name])
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)
    return found


def displaced(X, n_pixels):
    """Return pictures moved to the right; the left column is repeated."""
    moved = np.pad(X, ((0, 0), (0, 0), (n_pixels, 0)), mode="edge")
    return moved[:, :, : X.shape[2]]


def draw(path, lights, even, displacement):
    """Draw accuracy in harsh light over that in even light, and over displacement."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.6), dpi=110, layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[1.2, 1])
    for name, offset in SHOWN.items():
        x, y = even[name][0][0], lights[name][1][0]
        color = "#c8501e" if "window" in name else "#3b6ea5" if "tiles" in name else "#555555"
        left.plot(x, y, "o", color=color)
        text = {"textcoords": "offset points", "fontsize": 7, "color": color}
        left.annotate(name, (x, y), offset, ha="left" if offset[0] > 0 else "right", **text)
    left.set(xlabel="faces and other things, even light", ylabel="20 brightest → 20 darkest")
    left.set_title("1-NN: few settings are good in harsh light and in even light", fontsize=9)
    for name, scores in displacement.items():
        right.plot(SHIFTS, np.array(scores)[:, 1], "o-", label=name)
    right.set(xlabel="displacement of the test pictures, pixels of 32", ylabel="10 random → rest")
    right.set(xticks=SHIFTS, ylim=(0, 1.02))
    right.set_title("LDA: displacement harms all of them", fontsize=9)
    right.legend(fontsize=7)
    for ax in (left, right):
        ax.spines[["top", "right"]].set_visible(False)
    figure.savefig(path)


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
    parser.add_argument("--figure", help=".png file to draw to")
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
        displacement = measure_displacement(X, y)
    print_default(lights, [*even, best])
    if options.figure:
        draw(options.figure, lights, even[0], displacement)


if __name__ == "__main__":
    main()
