"""The demo: what histogram equalization does for face recognition, and what it does not do.

It uses the package through its public names and describes everything that it does to the images.
Standardised images, the honest baseline, are always shown beside the equalized ones. `data` reads
images, `protocols` splits and relights them and trains, `search` tunes, `report` prints, and
`figure` draws.
"""

from __future__ import annotations

import os
from collections import defaultdict
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from sklearn_histeq import relit_scorer
from sklearn_histeq._cli.atomic_write import check_figure_target, save_figure
from sklearn_histeq._cli.demo import figure, protocols, search
from sklearn_histeq._cli.demo import report as tables
from sklearn_histeq._cli.demo.data import bundled_faces, read_faces
from sklearn_histeq._cli.demo.protocols import BUNDLED, PEOPLE, Maker, Part, Scores, Trial
from sklearn_histeq._cli.demo.report import Report
from sklearn_histeq._cli.errors import FileError

N_RANDOM = 10  # images per person for training; the others are for testing
N_AUGMENTED = 5  # draws that are trained on copies, too, which takes long
N_BRIGHTEST = 20  # images per person for training; as many of the darkest are for testing
_SIGNATURE = "sklearn-histeq demo"  # stored in the figure's file, to recognise it later
_CONCLUSION = (
    "What this shows: where only brightness and contrast change, one transfer function per image is"
    " enough. Where light falls from a side, tiles or windows are better, and the harsher the"
    " light, the smaller they should be. In the same light there is little to gain, and small"
    " windows lose. A search chooses for the light that it is validated in. If future images may"
    " have harsh light, validate on relit copies, GridSearchCV(...,"
    ' scoring=relit_scorer("accuracy")), with "passthrough" among the candidates, and train on'
    " copies, too."
)
_EXAMPLE = 15  # a bundled face that is easy to see at 25x25


def run(
    data: Path | None = None,
    output: Path = Path("demo.png"),
    repeats: int | None = None,
    seed: int = 0,
    n_jobs: int | None = None,
) -> None:
    """Print the tables of the demo, and draw its figure.

    Parameters
    ----------
    data : Path, default=None
        An .npz file or a folder of your own faces; the bundled images if None.
    output : Path, default="demo.png"
        File for the figure. A file that the demo did not write is never overwritten.
    repeats : int, default=None
        Number of random draws. None means 20 for the bundled images and 5 for your own.
    seed : int, default=0
        Seed of the draws and of the simulated lights.
    n_jobs : int, default=None
        Number of threads for GridSearchCV.

    Raises
    ------
    FileError
        If the data cannot be used, or the figure cannot be written.
    """
    _check_output(output)
    report = Report()
    # Matrices this small gain nothing from BLAS threads, and lose minutes where cores are busy.
    with threadpool_limits(1):
        if data is None:
            faces = _faces_against_others(report, repeats or 20, seed, n_jobs)
        else:
            faces = _people(report, data, repeats or 5, seed, n_jobs)
    report.line()
    report.paragraph(_CONCLUSION)
    report.line()
    _draw(report, faces, data is None, seed, output)
    report.line(f"The demo took {report.seconds():.0f} seconds.")


def _faces_against_others(report: Report, repeats: int, seed: int, n_jobs: int | None) -> Part:
    """Distinguish the bundled faces from other things under other lighting."""
    faces = bundled_faces()
    report.paragraph(
        "Faces or other things: skimage.data.lfw_subset has 100 images of faces and 100 of other"
        " things, 25x25 pixels each. The classifiers are trained on half of the images. They are"
        ' tested on the other half as it is ("same light") and on copies of it in three kinds of'
        ' simulated light, which relight() makes. "Other light" gives each copy a random gamma (1/e'
        ' to e) and a random gain (.4 to 1). In "side light", light also falls from a random'
        ' direction and fades to a random share (.1 to .5). In "harsh light", most of an image may'
        " lie in shadow. The table shows the mean ± standard deviation over the random draws"
        f" ({repeats})."
    )
    trials = protocols.random_trials(faces, None, protocols.LIGHTS, repeats, seed)
    _compare(report, BUNDLED, trials)
    train, tests = trials[0]
    harsh = relit_scorer("accuracy", "harsh", random_state=seed)
    problems = {
        "same light": search.random_folds(train, 5, seed),
        "harsh light": search.random_folds(train, 5, seed, harsh),
    }
    trial = Trial(train, {"side": tests["side light"], "harsh": tests["harsh light"]})
    _tune(report, BUNDLED, problems, trial, n_jobs)
    harsh_trials = [
        Trial(train, {"harsh, copies": tests["harsh light"]}) for train, tests in trials
    ]
    _augment(report, BUNDLED, harsh_trials[:N_AUGMENTED], '"harsh light"')
    return faces


def _people(report: Report, data: Path, repeats: int, seed: int, n_jobs: int | None) -> Part:
    """Recognise people in the user's own images."""
    faces, remarks = read_faces(data, report.status)
    n, _, height, width = faces.images.shape
    about = (
        f"The data are {n} images of {faces.labels.max() + 1} people, {width}x{height} pixels"
        f" each, from {data}."
    )
    report.paragraph(" ".join([about, *remarks]))
    report.line()
    draws = protocols.random_trials(faces, N_RANDOM, {"random part": None}, repeats, seed)
    order = protocols.from_bright_to_dark(faces.images)
    bright, dark = map(faces.take, protocols.split(order, faces.labels, N_BRIGHTEST, extremes=True))
    report.paragraph(
        f'"Random part": the classifiers are trained on {_per_person(draws[0].train)} random images'
        " of each person and tested on the others. The table shows the mean ± standard deviation"
        f' over the random draws ({repeats}). "Bright to dark" is harder: the classifiers are'
        f" trained on the {_per_person(bright)} brightest images of each person and tested on as"
        " many of the darkest."
    )
    makers = _feasible(min(np.bincount(part.labels).min() for part in (draws[0].train, bright)))
    for name in PEOPLE.keys() - makers.keys():
        report.paragraph(f"{name} is left out: it needs two training images of each person.")
    _compare(report, makers, [*draws, Trial(bright, {"bright to dark": dark})])
    _tune_people(report, Trial(bright, {"dark": dark}), seed, n_jobs)
    _augment(report, makers, [Trial(bright, {"dark, copies": dark})], '"bright to dark"')
    return faces


def _per_person(part: Part) -> str:
    """Say how many images each person has in a part."""
    counts = np.bincount(part.labels)
    low, high = counts.min(), counts.max()
    return str(low) if low == high else f"{low} to {high}"


def _feasible(n_fewest: int) -> dict[str, Maker]:
    """Return the classifiers of people that can be trained on so few images: LDA needs two."""
    return {name: maker for name, maker in PEOPLE.items() if n_fewest > 1 or "LDA" not in name}


def _compare(report: Report, makers: dict[str, Maker], trials: list[Trial]) -> None:
    """Print the table of accuracies: one row for each classifier and test part."""
    n_tiles = protocols.tiles_for(trials[0].train.images)
    report.line()
    report.paragraph(
        'Each column has another first step. "Raw" leaves the images as they are. "Standardised"'
        " subtracts the mean of each image and divides by its standard deviation. "
        f'"Equalized" is HistogramEqualizer(), "tiles" is AdaptiveHistogramEqualizer('
        f'n_tiles={n_tiles}), and "windows" is LocalHistogramEqualizer(window={protocols.WINDOW}),'
        ' followed by HistogramEqualizer(output_distribution="normal").'
    )
    _print_accuracies(report, makers, trials, protocols.accuracies)


def _augment(report: Report, makers: dict[str, Maker], trials: list[Trial], above: str) -> None:
    """Print the accuracies where the classifiers are trained on relit copies, too."""
    draws = f" (first {len(trials)} draws)" if len(trials) > 1 else ""
    report.line()
    report.paragraph(
        "Copies in another light can serve training, too. AugmentedEstimator(...,"
        f" n_copies={protocols.N_COPIES}) trains each pipeline on the images and on harsh copies of"
        f" them, which relight() makes. The test is that of the rows {above} in the first"
        f" table{draws}."
    )
    _print_accuracies(report, makers, trials, protocols.accuracies_with_copies)


def _print_accuracies(
    report: Report, makers: dict[str, Maker], trials: list[Trial], measure: Scores
) -> None:
    """Print a table of accuracies: a column for each first step, a row for each test part."""
    columns = protocols.steps(protocols.tiles_for(trials[0].train.images))
    report.line()
    report.line(tables.accuracy_header(list(columns)))
    scores = defaultdict(list)  # those of all draws, by classifier, test part and column
    for i, (column, trial) in enumerate(product(columns, trials)):
        text = f"{column}, trial {i % len(trials) + 1} of {len(trials)}"
        report.progress(text, len(columns) * len(trials), i)
        for part, found in measure(columns[column], makers.values(), trial).items():
            for name, score in zip(makers, found, strict=True):
                scores[name, part, column].append(score)
    parts = dict.fromkeys(part for trial in trials for part in trial.tests)
    for name in makers:
        report.line(name)
        for part in parts:
            row = [scores[name, part, column] for column in columns]
            report.line(tables.accuracy_row(part, row))


def _tune_people(report: Report, trial: Trial, seed: int, n_jobs: int | None) -> None:
    """Tune on the brightest images of the people who have several of them."""
    counts = np.bincount(trial.train.labels)
    part = trial.train.take(counts[trial.train.labels] > 1)  # a single image cannot be split
    counts = counts[counts > 1]
    if len(counts) < 2:
        report.paragraph("There is no tuning: it needs two people with four images each.")
        return
    halves = protocols.split(protocols.from_bright_to_dark(part.images), part.labels, extremes=True)
    problems = {
        "random folds": search.random_folds(part, min(3, counts.min()), seed),
        "bright to dark": search.Problem(part, [halves]),
    }
    folds = [fit for problem in problems.values() for fit, _ in problem.folds]
    n_fewest = min(np.unique(part.labels[fit], return_counts=True)[1].min() for fit in folds)
    _tune(report, _feasible(n_fewest), problems, trial, n_jobs)


def _tune(
    report: Report,
    makers: dict[str, Maker],
    problems: dict[str, search.Problem],
    trial: Trial,
    n_jobs: int | None,
) -> None:
    """Print what GridSearchCV chooses for each classifier, and the accuracy of that choice."""
    tested = " and ".join(f'"{name}"' for name in trial.tests)
    report.line()
    report.paragraph(
        "GridSearchCV now chooses the first step: one of the four estimators with its parameters,"
        ' or "passthrough", which does not equalize. A search cannot see a change of light that is'
        " missing from its data. Therefore the search runs twice: once it is validated on images of"
        " the training part as they are, and once on images in another light. The table shows both"
        ' choices unchanged. The column "valid." shows the accuracy in this validation, and'
        f' {tested} the accuracy of the choice in the test above (first draw). "Ties" counts the'
        " other settings that validated equally well. The first of them is chosen, and the defaults"
        ' come first. The rows "no search" show the first setting of each kind.'
    )
    kinds = search.candidates(protocols.tiles_for(trial.train.images))
    n_settings = sum(map(len, kinds))
    report.line()
    report.line(tables.search_header(n_settings, list(trial.tests)))
    for name, maker in makers.items():
        report.line(name)
        for folds, problem in problems.items():
            text = f"{name}, {folds}: {n_settings} settings x {len(problem.folds)} folds"
            show = partial(report.progress, text, n_settings * len(problem.folds))
            choice = search.grid_search(problem, maker, trial, n_jobs, show)
            report.line(tables.search_row(folds, choice))
        for default, *_ in kinds:
            report.line(tables.search_row("no search", search.untuned(default, maker, trial)))


def _draw(report: Report, faces: Part, is_bundled: bool, seed: int, output: Path) -> None:
    """Draw one face before and after, or say what is missing for that."""
    if is_bundled:
        face, lights = faces.images[[_EXAMPLE]], "under simulated lights"
        images = figure.lit_evenly(face, seed)
    else:
        images, lights = faces.images[faces.labels == faces.labels[0]], "under different lights"
        images = figure.five_of(images, protocols.from_bright_to_dark(images))
        face = images[:1]
    try:
        drawn = figure.draw(images, lights, figure.lit_from_a_side(face, seed))
    except ImportError:
        report.line('The figure needs matplotlib: pip install "sklearn-histeq[plot]"')
        return
    save_figure(drawn, output, overwrite=True, software=_SIGNATURE)
    report.line(f"{output} shows a face before and after, with histograms and CDFs.")


def _check_output(output: Path) -> None:
    """Check before all work that the figure can be written, over nothing but the demo's own."""
    check_figure_target("--output", output, overwrite=True)
    if not os.access(output.parent, os.W_OK):
        raise FileError(f"--output {output}: cannot write to the folder {output.parent}")
    if output.exists() and _SIGNATURE.encode() not in output.read_bytes()[:4096]:
        raise FileError(
            f"--output {output} exists, and the demo did not write it; name another file"
        )
