"""Measure what equalization changes in face recognition: three protocols, three classifiers.

    python benchmarks/measure_faces.py --data PATH [--lights PATH] [--figure PNG]

PATH is an .npz file with X (n, h, w), images of faces under many lights, and y (n,), the person in
each image, with at least 40 images per person. Without --data, only the evenly lit images of
scikit-image and scikit-learn are measured, on which equalization has nothing to correct and may
cost accuracy. --lights is an .npz file with the azimuth and the elevation of each image's light, in
degrees from the axis of the camera. With it, the script also trains on frontal light alone and
tests on the harshest.

Each variant transforms all images once, and all protocols use the result: each image is equalized
by itself, so nothing is learned from the test part. HistogramMatcher, which learns, is fitted to
the training part of each split. The last tables show how a default was chosen, what displacement
costs, what copies in training gain, and what GridSearchCV would choose. The search sees only the
training part, and validates on unchanged images or on relit copies. --figure draws two comparisons:
accuracy in harsh light and in even light, and accuracy on displaced images.
"""

import argparse
import warnings
from itertools import product

import numpy as np
from scipy.ndimage import gaussian_filter, shift
from skimage.data import lfw_subset
from skimage.transform import resize
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.model_selection import GridSearchCV, RepeatedStratifiedKFold
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer
from threadpoolctl import threadpool_limits

from sklearn_histeq import (
    AdaptiveHistogramEqualizer,
    AugmentedEstimator,
    HistogramEqualizer,
    HistogramMatcher,
    LocalHistogramEqualizer,
    relit_scorer,
)
from sklearn_histeq._cli.demo.protocols import (
    PEOPLE,
    Part,
    Trial,
    accuracies,
    from_bright_to_dark,
    normal,
    shuffled,
    split,
    standardise_rows,
    then_normal,
    to_rows,
    windows,
)

N_SEEDS = 5
N_RANDOM = 10  # training images of the random protocol
N_EXTREME = 20  # brightest, and darkest, images per person
N_FEW = 5  # training images among the N_EXTREME best lit images of a person
CLASSIFIERS = dict(zip(("1-NN", "SVC", "LDA"), PEOPLE.values(), strict=True))
CLIP_LIMITS = {  # by n_tiles
    8: (1.0, 2.0, 2.5, 3.0, 3.5, 4.0, 6.0, 8.0, None),
    4: (4.0, None),
    10: (4.0, None),
}
WINDOWS = {"1/8": 1 / 8, "1/4": 1 / 4, "2/3": 2 / 3}
STRENGTHS = ("even", "mild", "harsh")
SHIFTS = range(5)  # pixels
N_COPIES = 10  # harsh copies of each training image
N_MOVED = 16  # displaced copies
FRONTAL = 12.5  # degrees between the light and the axis of the camera, for training
HARSHEST = {"subset 4": (52, 77.5), "subset 5": (77.5, 180)}  # for the test
N_COMPONENTS = 300  # at most, for LDA on copies: more images bear more components
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
    "window 1/8, normal, plus 2 × plain": (-6, -3),
}
DISPLACED = (
    "HistogramEqualizer",
    "4 tiles",
    "8 tiles",
    "12 tiles",
    "window 1/4, normal",
    "window 1/8, normal",
)  # in the figure


# Protocols and variants --------------------------------------------------------------------------


def protocols_of(X, y):
    """Return the splits of each protocol, by its name: three under many lights, then the best."""
    lit = np.argsort(-evenness(X), kind="stable")
    best, _ = split(lit, y, N_EXTREME)
    return {
        f"{N_RANDOM} random per person -> rest": draws(np.arange(len(y)), y, N_RANDOM),
        f"{N_EXTREME} brightest -> {N_EXTREME} darkest": [
            split(from_bright_to_dark(X), y, N_EXTREME, extremes=True)
        ],
        "better lit half -> rest": [split(lit, y)],
        f"{N_FEW} of the {N_EXTREME} best lit per person -> rest": draws(best, y, N_FEW),
    }


def draws(images, y, n):
    """Return random splits of some images, given by their numbers: n of each person, the rest."""
    orders = (shuffled(y[images], np.random.default_rng(seed)) for seed in range(N_SEEDS))
    return [split(images[order], y, n) for order in orders]


def evenness(X):
    """Return how well images are lit: mean minus |left half - right half|."""
    middle = X.shape[2] // 2
    left, right = X[..., :middle].mean(axis=(1, 2)), X[..., middle:].mean(axis=(1, 2))
    return X.mean(axis=(1, 2)) - np.abs(left - right)


def make_variants():
    """Return the transformers to compare, by name."""
    variants = {
        "raw": FunctionTransformer(to_rows),
        "standardised": FunctionTransformer(standardise_rows),
        "HistogramEqualizer": HistogramEqualizer(flatten=True),
        "HistogramEqualizer, normal": normal(),
        "HistogramMatcher": HistogramMatcher(flatten=True),
    }
    for n_tiles, limits in CLIP_LIMITS.items():
        for limit in limits:
            variants[f"{n_tiles} tiles, clip_limit={limit}"] = AdaptiveHistogramEqualizer(
                n_tiles=n_tiles, clip_limit=limit, flatten=True
            )
    for name, window in WINDOWS.items():
        variants[f"window {name}"] = LocalHistogramEqualizer(window=window, flatten=True)
        variants[f"window {name}, normal"] = windows(window)
    tiles = AdaptiveHistogramEqualizer(n_tiles=12)
    variants["12 tiles, clip_limit=3.0, normal"] = then_normal(tiles)
    variants["window 1/8, normal, plus 2 × plain"] = both_branches(1 / 8, 2)
    return variants


def more_variants():
    """Return transformers of the tables of accuracies that are no candidates of searches."""
    percentiles = {"quantile_range": (1, 99), "flatten": True}
    return {
        "HistogramEqualizer, strength=0.5": HistogramEqualizer(strength=0.5, flatten=True),
        "HistogramEqualizer, 256 bins, quantile_range=(1, 99)": HistogramEqualizer(
            n_bins=256, **percentiles
        ),
        "8 tiles, clip_limit=3.0, quantile_range=(1, 99)": AdaptiveHistogramEqualizer(
            **percentiles
        ),
        "HistogramMatcher, strength=0.5": HistogramMatcher(strength=0.5, flatten=True),
        "HistogramMatcher, landmarks": HistogramMatcher(landmarks="nyul", flatten=True),
        "high pass, normal": then_normal(FunctionTransformer(high_pass)),
    }


def both_branches(window, weight):
    """Return windows, then normal quantiles, concatenated with plain normal rows of a weight."""
    branches = [("local", windows(window)), ("plain", normal())]
    return FeatureUnion(branches, transformer_weights={"plain": weight})


def by_number(variant, X):
    """Return a transformer from the numbers of images in X to the variant's rows of them."""
    if isinstance(variant, HistogramMatcher):  # learns from the training part alone
        return make_pipeline(FunctionTransformer(lambda numbers: X[numbers]), variant)
    rows = variant.fit_transform(X)
    return FunctionTransformer(lambda numbers: rows[numbers])


# Evenly lit images -------------------------------------------------------------------------------


def enlarge(X, times):
    """Return images enlarged linearly, because each of eight tiles needs some pixels."""
    return resize(X, (len(X), times * X.shape[1], times * X.shape[2]), order=1, anti_aliasing=False)


def faces_and_others():
    """Return 100 faces and 100 other images of scikit-image, 50×50, and splits for a test."""
    X = lfw_subset()
    is_face = np.arange(len(X)) < len(X) // 2
    folds = RepeatedStratifiedKFold(n_splits=5, n_repeats=4, random_state=0)
    return enlarge(X, 2), is_face, list(folds.split(X, is_face))


def shifted_faces():
    """Return images of 100 people, 46×46; the test images are displaced and noisy."""
    faces, rng = lfw_subset()[:100], np.random.default_rng(0)
    known, others = [(0, 0), (2, 2)], [(0, 2), (1, 1), (2, 0)]
    crops = [faces[:, y : y + 23, x : x + 23] for y, x in known + others]
    X, n = np.concatenate(crops), len(faces) * len(known)
    X[n:] += rng.normal(0, 0.05, X[n:].shape)
    who = np.tile(np.arange(len(faces)), len(crops))
    return enlarge(X.clip(0, 1), 2), who, [(np.arange(n), np.arange(n, len(X)))]


def digits():
    """Return scikit-learn's digits, 24×24 in [0, 1], and splits for a test."""
    data = load_digits()
    folds = RepeatedStratifiedKFold(n_splits=5, n_repeats=1, random_state=0)
    return enlarge(data.images / 16, 3), data.target, list(folds.split(data.images, data.target))


# Measuring ---------------------------------------------------------------------------------------


def print_row(*cells):
    """Print a row of a table."""
    print("".join(f"| {cell}".rstrip() + " " for cell in cells) + "|", flush=True)


def print_header(title, *columns):
    """Print the heading of a table and the names of its columns."""
    print(f"\n## {title}\n")
    print_row(*columns)
    print("|---" * len(columns) + "|")


def joined(scores):
    """Return scores with three digits in one cell."""
    return " / ".join(f"{score:.3f}" for score in scores)


def score(step, y, splits):
    """Return the mean test accuracy of each classifier over splits of numbers of images."""
    trials = [Trial(Part(a, y[a]), {"test": Part(b, y[b])}) for a, b in splits]
    return np.mean([accuracies(step, CLASSIFIERS.values(), t)["test"] for t in trials], axis=0)


def measure(title, X, y, protocols):
    """Print the accuracy of each variant in each protocol; return them, and the variants' steps."""
    print_header(f"{title}\n\n1-NN / SVC / LDA", "", *protocols)
    found, steps = {}, {}
    for name, variant in (make_variants() | more_variants()).items():
        steps[name] = by_number(variant, X)
        found[name] = [score(steps[name], y, splits) for splits in protocols.values()]
        print_row(name, *map(joined, found[name]))
    return found, steps


def measure_bundled():
    """Measure evenly lit images that need no network; return the accuracies, a list of tables."""
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
    protocols = protocols_of(X, y)
    found, steps = measure(f"{len(X)} faces under many lights", X, y, protocols)
    print_choice(X, y, protocols, {name: steps[name] for name in make_variants()})
    print_searches(X, y, protocols)
    return (
        {name: scores[:-1] for name, scores in found.items()},
        {name: scores[-1:] for name, scores in found.items()},
    )


def searches(X, protocols):
    """Give what a search needs: protocol, classifier's name, pipeline, training and test numbers.

    It sees the first training part alone, in three folds, of which two are for training. The SVC
    is left out, because it takes long.
    """
    for protocol, splits in protocols.items():
        train, test = splits[0]
        for name in ("1-NN", "LDA"):
            classifier = CLASSIFIERS[name](len(train) * 2 // 3, X[0].size)
            pipeline = Pipeline([("equalize", None), ("classify", classifier)])
            yield protocol, name, pipeline, train, test


def print_choice(X, y, protocols, steps):
    """Print which variant GridSearchCV chooses on each training part, and how it does in the test.

    It validates in five ways on three folds: on images as they are, on relit copies of three
    strengths, and, on one fold, from the brighter half of the training part to the rest. Ties are
    won by the first: the variants are listed from raw images to windows.
    """
    columns = "protocol", "classifier", "validated on", "choice", "inner score", "ties", "test"
    title = "What GridSearchCV chooses in the (first) training part; ties: as good in there"
    print_header(title, *columns, "best")
    missed = {}
    for protocol, classifier, pipeline, train, test in searches(X, protocols):
        tested = [
            pipeline.set_params(equalize=step).fit(train, y[train]).score(test, y[test])
            for step in steps.values()
        ]
        for validation, scores in inner_scores(pipeline, steps, X, y, train).items():
            chosen = int(np.argmax(scores))
            ties = np.isclose(scores, scores[chosen]).sum() - 1
            choice, score, result = list(steps)[chosen], scores[chosen], tested[chosen]
            cells = protocol, classifier, validation, choice, f"{score:.3f}", ties
            print_row(*cells, f"{result:.3f}", f"{max(tested):.3f}")
            missed.setdefault(validation, []).append(max(tested) - result)
    print_missed(missed)


def print_missed(missed):
    """Print how far the choices are from the best variant, under many lights and within the best.

    missed: {validation: differences of all protocols, the best lit last, and two classifiers}
    """
    title = "Best variant minus choice, mean / largest, 1-NN and LDA"
    print_header(title, "validated on", "under many lights", "within the best lit")
    for validation, differences in missed.items():
        parts = differences[:-2], differences[-2:]
        print_row(validation, *(joined([np.mean(part), np.max(part)]) for part in parts))


def inner_scores(pipeline, steps, X, y, train):
    """Return the mean inner score of each variant, for each way to validate."""
    scorers = {"as they are": "accuracy"}
    scorers |= {f"relit, {s}": relit_scorer("accuracy", s) for s in STRENGTHS}
    grid = {"equalize": list(make_variants().values())}
    search = GridSearchCV(pipeline, grid, scoring=scorers, cv=3, refit=False)
    search.fit(X[train], y[train])
    found = {name: search.cv_results_[f"mean_test_{name}"] for name in scorers}
    halves = split(from_bright_to_dark(X[train]), y[train])
    grid = {"equalize": list(steps.values())}
    darker = GridSearchCV(pipeline, grid, cv=[halves], refit=False).fit(train, y[train])
    return found | {"bright to dark": darker.cv_results_["mean_test_score"]}


def print_search(title, candidates, X, y, protocols):
    """Print what a search chooses among some first steps, of which the strongest are first."""
    columns = "protocol", "classifier", "validated on", "choice", "inner score", "test"
    print_header(title, *columns)
    grid = {"equalize": list(candidates.values())}
    scorers = {
        "as they are": "accuracy",
        "relit, harsh": relit_scorer("accuracy"),
        "half of each": relit_scorer("accuracy", share=0.5),
    }
    for protocol, classifier, pipeline, train, test in searches(X, protocols):
        for validation, scoring in scorers.items():
            search = GridSearchCV(pipeline, grid, scoring=scoring, cv=3).fit(X[train], y[train])
            tested = search.best_estimator_.score(X[test], y[test])
            choice = list(candidates)[search.best_index_]
            scores = f"{search.best_score_:.3f}", f"{tested:.3f}"
            print_row(protocol, classifier, validation, choice, *scores)


def print_searches(X, y, protocols):
    """Print what two short searches choose: over windows and plain steps, and over branches."""
    plain = {name: make_variants()[name] for name in ("HistogramEqualizer, normal", "raw")}
    candidates = {f"window {name}, normal": windows(side) for name, side in WINDOWS.items()} | plain
    print_search("The search over first steps", candidates, X, y, protocols)
    others, kinds, splits = faces_and_others()
    print_search("The same, of faces and others", candidates, others, kinds, {"": splits[:1]})
    candidates = {
        f"window {name}, weight {weight}": both_branches(window, weight)
        for name, window in WINDOWS.items()
        for weight in (0, 1, 2)
    }
    candidates["raw"] = plain["raw"]
    title = "The search over the window and the weight of a plain branch"
    print_search(title, candidates, X, y, protocols)


def measure_displacement(X, y):
    """Print the accuracy of 1-NN and LDA on displaced test images; return it, by variant."""
    variants = make_variants() | more_variants()
    names = "raw", "standardised", "HistogramEqualizer", "HistogramEqualizer, normal"
    names += "HistogramMatcher", "window 1/4, normal", "window 1/8, normal", "high pass, normal"
    steps = {name: variants[name] for name in names}
    for n_tiles in (4, 8, 12):
        steps[f"{n_tiles} tiles"] = AdaptiveHistogramEqualizer(n_tiles=n_tiles, flatten=True)
    train, test = draws(np.arange(len(y)), y, N_RANDOM)[0]
    tests = {n: Part(displaced(X[test], n), y[test]) for n in SHIFTS}
    trial = Trial(Part(X[train], y[train]), tests)
    print_header("Accuracy of 1-NN / LDA on images displaced by so many pixels", "", *SHIFTS)
    found, makers = {}, [CLASSIFIERS["1-NN"], CLASSIFIERS["LDA"]]
    for name, step in steps.items():
        found[name] = list(accuracies(step, makers, trial).values())
        print_row(name, *map(joined, found[name]))
    for name in ("HistogramEqualizer", "window 1/8, normal"):
        scores = [score_with_copies(steps[name], m, [trial], N_MOVED, moved_copies) for m in makers]
        print_row(f"{name}, {N_MOVED} moved copies", *map(joined, zip(*scores, strict=True)))
    return found


def displaced(X, n_pixels):
    """Return images moved to the right; the left column is repeated."""
    moved = np.pad(X, ((0, 0), (0, 0), (n_pixels, 0)), mode="edge")
    return moved[:, :, : X.shape[2]]


# Copies in training ------------------------------------------------------------------------------


def high_pass(images):
    """Return a gamma of .2 of 8-bit images, less its Gaussian blur."""
    sigma = 0.7 / 32 * images.shape[-1]
    gamma = (images / 255) ** 0.2
    return gamma - gaussian_filter(gamma, (0, sigma, sigma))


def tan_triggs(images):
    """Return rows of images, normalised by Tan and Triggs' chain (IEEE TIP 19, 2010).

    Gamma .2, alpha .1 and tau 10 are the authors'. The sigmas are half of theirs, of 1 and 2
    pixels, since images of 32 pixels are smaller.
    """
    gamma = (images / 255) ** 0.2
    rows = gaussian_filter(gamma, (0, 0.5, 0.5)) - gaussian_filter(gamma, (0, 1, 1))
    rows = rows.reshape(len(images), -1)
    for most in (np.inf, 10):
        contrast = np.minimum(np.abs(rows), most) ** 0.1
        rows = rows / contrast.mean(axis=1, keepdims=True) ** 10
    return 10 * np.tanh(rows / 10)


def steps_before_copies():
    """Return the first steps to train on copies, by name."""
    return {
        "HistogramEqualizer, normal": normal(),
        "window 1/8, normal": windows(1 / 8),
        "high pass, normal": then_normal(FunctionTransformer(high_pass)),
        "Tan-Triggs": FunctionTransformer(tan_triggs),
    }


def lda_of_copies(shrinkage):
    """Return a maker of LDA after PCA."""
    return lambda n, p: make_pipeline(
        PCA(min(N_COMPONENTS, n // 2, p), random_state=0),
        LinearDiscriminantAnalysis(solver="lsqr", shrinkage=shrinkage),
    )


CLASSIFIERS_OF_COPIES = {
    "1-NN": CLASSIFIERS["1-NN"],
    'LDA, "auto"': lda_of_copies("auto"),
    "LDA, .9": lda_of_copies(0.9),
}


def score_with_copies(step, maker, trials, n_copies, copies="harsh"):
    """Return the mean accuracy on each test part, over draws of the training part or the copies."""
    found = []
    for seed in range(N_SEEDS if n_copies else len(trials)):
        train, tests = trials[seed % len(trials)]
        classifier = maker(len(train.images) * (1 + n_copies), train.images[0].size)
        pipeline = make_pipeline(step, classifier)
        model = AugmentedEstimator(pipeline, copies, n_copies, random_state=seed).fit(*train)
        found.append([model.score(*test) for test in tests.values()])
    return np.mean(found, axis=0)


def measure_copies(X, y, protocols):
    """Print the accuracy of 1-NN and LDA with harsh copies in training and without."""
    title = f"{N_COPIES} harsh copies in training, or none (means of {N_SEEDS} draws)\n\n"
    title += '1-NN / LDA, "auto"'
    print_header(title, "", "copies", *protocols)
    steps = list(steps_before_copies().items())[:2]  # the others take many minutes
    for (name, step), n_copies in product(steps, (0, N_COPIES)):
        cells = []
        for splits in protocols.values():
            trials = [Trial(Part(X[a], y[a]), {"test": Part(X[b], y[b])}) for a, b in splits]
            makers = list(CLASSIFIERS_OF_COPIES.values())[:2]
            scores = [score_with_copies(step, maker, trials, n_copies)[0] for maker in makers]
            cells.append(joined(scores))
        print_row(name, n_copies, *cells)


def measure_frontal(X, y, azimuth, elevation):
    """Print the accuracy of classifiers that are trained on frontal light alone."""
    cosine = np.cos(np.radians(azimuth)) * np.cos(np.radians(elevation))
    angles = np.degrees(np.arccos(cosine)).round(3)
    train = Part(X, y).take(angles <= FRONTAL)
    tests = {
        name: Part(X, y).take((low < angles) & (angles <= high))
        for name, (low, high) in HARSHEST.items()
    }
    title = f"Trained on light within {FRONTAL} degrees of the camera's axis\n\n"
    numbers = " / ".join(f"{name} ({len(part.labels)} images)" for name, part in tests.items())
    title += f"Tested on {numbers}; means of {N_SEEDS} draws of the copies"
    cases = product(CLASSIFIERS_OF_COPIES, (0, N_COPIES))
    columns = [f"{name}, {n_copies} copies" for name, n_copies in cases]
    print_header(title, "", *columns)
    for name, step in steps_before_copies().items():
        makers = product(CLASSIFIERS_OF_COPIES.values(), (0, N_COPIES))
        scores = [score_with_copies(step, maker, [Trial(train, tests)], n) for maker, n in makers]
        print_row(name, *map(joined, scores))


def moved_copies(images, random_state):
    """Return images moved by up to 3 whole pixels of 32: a function for `copies`."""
    rng, reach = np.random.default_rng(random_state), images.shape[-1] * 3 // 32
    shifts = rng.integers(-reach, reach + 1, (len(images), 2))
    pairs = zip(images, shifts, strict=True)
    return np.stack([shift(image, by, order=0, mode="nearest") for image, by in pairs])


# The figure and the default ----------------------------------------------------------------------


def draw(path, lights, even, displacement):
    """Draw the accuracy in harsh light over that in even light, and accuracy over displacement."""
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
    for name in DISPLACED:
        right.plot(SHIFTS, np.array(displacement[name])[:, 1], "o-", label=name)
    right.set(xlabel="displacement of the test images, pixels of 32", ylabel="10 random → rest")
    right.set(xticks=SHIFTS, ylim=(0, 1.02))
    right.set_title("LDA: displacement harms all of them", fontsize=9)
    right.legend(fontsize=7)
    for ax in (left, right):
        ax.spines[["top", "right"]].set_visible(False)
    figure.savefig(path)


def print_default(lights, even):
    """Print what a default is chosen by: differences to HistogramEqualizer.

    The worst one under many lights, and the mean one on evenly lit images.
    """
    columns = "", "worst under many lights", "mean on evenly lit images", "of which 1-NN"
    print_header("Accuracy above or below HistogramEqualizer's", *columns)
    for name, scores in lights.items():
        worst = np.min(np.subtract(scores, lights["HistogramEqualizer"]))
        differences = np.concatenate([np.subtract(t[name], t["HistogramEqualizer"]) for t in even])
        numbers = worst, differences.mean(), differences[:, 0].mean()
        print_row(name, *(f"{number:+.3f}" for number in numbers))


def main():
    """Read the option and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", help=".npz file with X (n, h, w) and y (n,)")
    parser.add_argument("--lights", help=".npz file with azimuth and elevation (n,), in degrees")
    parser.add_argument("--figure", help=".png file to draw to")
    options = parser.parse_args()
    warnings.filterwarnings("ignore", "n_tiles")  # small images have room for fewer tiles
    with threadpool_limits(1):  # matrices this small gain nothing from more
        even = measure_bundled()
        if options.data is None:
            print("\nFaces under many lights are skipped: no --data.")
            return
        with np.load(options.data) as data:
            X, y = data["X"], data["y"]
        lights, best = measure_lights(X, y)
        displacement = measure_displacement(X, y)
        measure_copies(X, y, protocols_of(X, y))
        if options.lights is None:
            print("\nTraining on frontal light is skipped: no --lights.")
        else:
            with np.load(options.lights) as data:
                measure_frontal(X, y, data["azimuth"], data["elevation"])
    print_default(lights, [*even, best])
    if options.figure:
        draw(options.figure, lights, even[0], displacement)


if __name__ == "__main__":
    main()
