"""The demo: what histogram equalization does for face recognition, and what it does not do.

It uses the package through its public names and describes everything that it does to the pictures.
Standardised pictures, the honest baseline, are always shown beside the equalized ones. `data` reads
and relights pictures, `protocols` splits them and trains, `search` tunes, `report` prints, and
`figure` draws.
"""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import ParameterGrid
from threadpoolctl import threadpool_limits

from sklearn_histeq import AdaptiveHistogramEqualizer, HistogramEqualizer, HistogramMatcher, relight
from sklearn_histeq._cli.atomic_write import save_figure
from sklearn_histeq._cli.demo.data import (
    Faces,
    bundled_faces,
    read_faces,
)
from sklearn_histeq._cli.demo.figure import draw
from sklearn_histeq._cli.demo.protocols import (
    BUNDLED,
    PEOPLE,
    WINDOW,
    Maker,
    Part,
    Trial,
    accuracies,
    brightness_trial,
    bundled_trials,
    feasible,
    random_trials,
    steps,
    tiles_for,
    windows,
)
from sklearn_histeq._cli.demo.report import (
    Report,
    accuracy_header,
    accuracy_row,
    search_header,
    search_row,
)
from sklearn_histeq._cli.demo.search import (
    Problem,
    darker,
    grid_search,
    relit,
    same_light,
    settings,
    several_each,
    untuned,
)
from sklearn_histeq._cli.errors import FileError, UsageError

_SIGNATURE = "sklearn-histeq demo"  # stored in the figure's file, to recognise it later
_CONCLUSION = (
    "What to take from this: where only brightness and contrast change, one transfer function per"
    " picture is enough. Where light falls from a side, tiles or windows are better, and the harder"
    " the light, the smaller they should be. In the same light there is little to gain, and small"
    " windows lose. A search chooses for the light that it is validated in. Where future pictures"
    " may have harsh light, validate on relit copies, GridSearchCV(...,"
    ' scoring=relit_scorer("accuracy")), with "passthrough" among the candidates.'
)
_EXAMPLE = 15  # a bundled face that is easy to see at 25x25


def run(
    data: Path | None = None,
    output: Path = Path("demo.png"),
    repeats: int | None = None,
    seed: int = 0,
    n_jobs: int | None = None,
) -> None:
    """Compare, tune and draw.

    Parameters
    ----------
    data : Path, default=None
        An .npz file or a folder of your own faces; the bundled pictures if None.
    output : Path, default="demo.png"
        File for the figure. A file that the demo did not write is never overwritten.
    repeats : int, default=None
        Number of random draws. None means 20 for the bundled pictures and 5 for your own.
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
    if data is None:
        even, lights = faces.pictures[_EXAMPLE : _EXAMPLE + 1], "under simulated lights"
        pictures = _relit_examples(even, seed)
    else:
        pictures, lights = _darker_examples(faces), "under different lights"
        even = pictures[:1]
    _draw(report, pictures, lights, _side_lit_examples(even, seed), output)
    report.line(f"The demo took {report.seconds():.0f} seconds.")


def _faces_against_others(report: Report, repeats: int, seed: int, n_jobs: int | None) -> Faces:
    """Distinguish the bundled faces from other things under other lighting."""
    faces = bundled_faces()
    report.paragraph(
        "Faces or other things: skimage.data.lfw_subset has 100 pictures of faces and 100 of other"
        " things, 25x25 pixels each. The classifiers are trained on half of the pictures as they"
        ' are. They are tested on the other half as it is ("same light") and on copies under three'
        ' kinds of simulated light, made by relight(). "Other light" gives each copy a random gamma'
        ' (1/e to e) and gain (.4 to 1). "Side light" also falls from a random direction and fades'
        ' to a random share (.1 to .5). In "harsh light" most of a picture may lie in shadow. The'
        f" table shows mean ± standard deviation of the random draws ({repeats})."
    )
    trials = bundled_trials(faces, repeats, seed)
    _compare(report, BUNDLED, [trials], tiles_for(faces.pictures))
    train, tests = trials[0]
    problems = {"same light": same_light(train, 5, seed), "harsh light": relit(train, 5, seed)}
    trial = Trial(train, {"side": tests["side light"], "harsh": tests["harsh light"]})
    _tune(report, BUNDLED, problems, trial, n_jobs)
    return faces


def _people(report: Report, data: Path, repeats: int, seed: int, n_jobs: int | None) -> Faces:
    """Recognise people in the user's own pictures."""
    faces = read_faces(data, report.status)
    n, _, height, width = faces.pictures.shape
    about = (
        f"The data are {n} pictures of {len(faces.names)} people, {width}x{height} pixels each,"
        f" from {data}."
    )
    report.paragraph(" ".join([about, *faces.remarks]))
    report.line()
    draws, harder = random_trials(faces, repeats, seed), brightness_trial(faces)
    report.paragraph(
        f'"Random part": the classifiers are trained on {_per_person(draws[0].train)} random'
        " pictures of each person and tested on the others; the table shows mean ± standard"
        f' deviation of the random draws ({repeats}). "Bright to dark", the harder case: they are'
        f" trained on each person's {_per_person(harder.train)} brightest pictures and tested on"
        " the same number of the darkest."
    )
    n_fewest = min(np.bincount(trial.train.labels).min() for trial in (draws[0], harder))
    makers = feasible(PEOPLE, n_fewest)
    for name in PEOPLE.keys() - makers.keys():
        report.paragraph(f"{name} is left out: it needs two training pictures of each person.")
    _compare(report, makers, [draws, [harder]], tiles_for(faces.pictures))
    _tune_people(report, harder, seed, n_jobs)
    return faces


def _per_person(part: Part) -> str:
    """Say how many pictures each person has in a part."""
    counts = np.bincount(part.labels)
    low, high = counts.min(), counts.max()
    return str(low) if low == high else f"{low} to {high}"


def _compare(
    report: Report, makers: dict[str, Maker], groups: list[list[Trial]], n_tiles: int
) -> None:
    """Print the table of accuracies, each line as soon as it is known."""
    columns = steps(n_tiles)
    report.line()
    report.paragraph(
        "The columns: raw has the pictures as they are. Standardised has each picture minus its"
        " mean, divided by its standard deviation. Equalized uses HistogramEqualizer(), tiles uses"
        f" AdaptiveHistogramEqualizer(n_tiles={n_tiles}), and windows uses"
        f" LocalHistogramEqualizer(window={WINDOW}), followed by"
        ' HistogramEqualizer(output_distribution="normal").'
    )
    report.line()
    report.line(accuracy_header(list(columns)))
    for name, maker in makers.items():
        report.line(name)
        for trials in groups:
            for part, scores in _accuracies(report, name, maker, trials, columns).items():
                report.line(accuracy_row(part, scores))


def _accuracies(
    report: Report, name: str, maker: Maker, trials: list[Trial], columns: dict[str, Any]
) -> dict[str, list[list[float]]]:
    """Return the scores of each test part: for each column, those of all draws."""
    found: dict[str, list[list[float]]] = {part: [] for part in trials[0].tests}
    for i, (column, step) in enumerate(columns.items()):
        for scores in found.values():
            scores.append([])
        for j, trial in enumerate(trials):
            text = f"{name}, {column}, draw {j + 1} of {len(trials)}"
            report.progress(text, len(columns) * len(trials), i * len(trials) + j)
            for part, score in accuracies(step, maker, trial).items():
                found[part][-1].append(score)
    return found


def _tune_people(report: Report, harder: Trial, seed: int, n_jobs: int | None) -> None:
    """Tune on the brightest pictures of the people who have several of them."""
    part = several_each(harder.train)
    counts = np.bincount(part.labels)
    counts = counts[counts > 0]
    if len(counts) < 2:
        report.paragraph("There is no tuning: it needs two people with four pictures each.")
        return
    problems = {
        "random folds": same_light(part, min(3, counts.min()), seed),
        "bright to dark": darker(part),
    }
    n_fewest = min(problem.n_fewest() for problem in problems.values())
    trial = Trial(harder.train, {"dark": harder.tests["bright to dark"]})
    _tune(report, feasible(PEOPLE, n_fewest), problems, trial, n_jobs)


def _tune(
    report: Report,
    makers: dict[str, Maker],
    problems: dict[str, Problem],
    trial: Trial,
    n_jobs: int | None,
) -> None:
    """Print what GridSearchCV chooses for each classifier, and the accuracy of that choice."""
    tests, n_tiles = list(trial.tests.values()), tiles_for(trial.train.pictures)
    _explain_tuning(report, trial)
    untuned_steps = [
        HistogramEqualizer(),
        AdaptiveHistogramEqualizer(n_tiles=n_tiles),
        windows(WINDOW),
        HistogramMatcher(),
        "passthrough",
    ]
    n_settings = len(ParameterGrid(settings(n_tiles)))
    report.line()
    report.line(search_header(n_settings, list(trial.tests)))
    for name, maker in makers.items():
        report.line(name)
        for folds, problem in problems.items():
            n_fits = n_settings * len(problem.folds)
            text = f"{name}, {folds}: {n_settings} settings x {len(problem.folds)} folds"
            watched = problem.watched(partial(report.progress, text, n_fits))
            report.line(search_row(folds, grid_search(watched, maker, trial.train, tests, n_jobs)))
        for step in untuned_steps:
            report.line(search_row("no search", untuned(step, maker, trial.train, tests)))


def _explain_tuning(report: Report, trial: Trial) -> None:
    """Print how the first step is tuned, and what the columns of the table are."""
    report.line()
    report.paragraph(
        "GridSearchCV now chooses the first step: one of the four estimators with its parameters,"
        ' or "passthrough", which does not equalize. Inner cross-validation cannot see a change of'
        " light that is missing from its data, so the search runs twice: it is validated on"
        " pictures of the training part as they are, and on pictures in another light. Both"
        ' choices are shown unchanged. The column "valid." has the accuracy in that validation, and'
        f" {_listed(trial.tests)} the accuracy of the choice in the test above (first draw)."
        ' "Ties" counts the other settings that validated equally well; the first of them is'
        " chosen, and the defaults come first."
    )


def _listed(tests: dict[str, Part]) -> str:
    """Name the columns of test parts."""
    return " and ".join(f'"{name}"' for name in tests)


def _relit_examples(picture: NDArray[np.uint8], seed: int) -> NDArray[np.uint8]:
    """Choose relit copies of one picture, from the brightest to the darkest."""
    copies = np.repeat(picture, 50, axis=0)
    return _from_bright_to_dark(relight(copies, "even", random_state=seed))


def _side_lit_examples(picture: NDArray[np.uint8], seed: int) -> NDArray[np.uint8]:
    """Choose copies of one picture under simulated light from a side, from left to right."""
    copies = relight(np.repeat(picture, 50, axis=0), "harsh", random_state=seed)
    across = np.linspace(-1, 1, copies.shape[-1])
    return _five_of(copies, (copies * across).mean(axis=(1, 2, 3)))


def _darker_examples(faces: Faces) -> NDArray[np.uint8]:
    """Choose pictures of the first person, from the brightest to the darkest."""
    return _from_bright_to_dark(faces.pictures[faces.labels == faces.labels[0]])


def _from_bright_to_dark(pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Choose five pictures, evenly by rank of brightness."""
    return _five_of(pictures, -pictures.mean(axis=(1, 2, 3)))


def _five_of(pictures: NDArray[np.uint8], key: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Choose five pictures, evenly by rank of a key."""
    ranked = pictures[np.argsort(key, kind="stable")]
    return ranked[np.linspace(0, len(ranked) - 1, min(5, len(ranked))).round().astype(int)]


def _draw(
    report: Report,
    pictures: NDArray[np.uint8],
    lights: str,
    side_lit: NDArray[np.uint8],
    output: Path,
) -> None:
    """Draw pictures before and after, or say what is missing for that."""
    try:
        figure = draw(pictures, lights, side_lit, tiles_for(side_lit))
    except ImportError:
        report.line('There is no figure without matplotlib: pip install "sklearn-histeq[plot]"')
        return
    save_figure(figure, output, overwrite=True, software=_SIGNATURE)
    report.line(f"{output} shows faces before and after, with their histograms and CDFs.")


def _check_output(output: Path) -> None:
    """Check before all work that the figure can be written, over nothing but the demo's own."""
    if output.suffix.lower() != ".png":
        raise UsageError(f"--output {output}, but expected a name that ends in .png")
    if not output.parent.is_dir() or not os.access(output.parent, os.W_OK):
        raise FileError(f"--output {output}: cannot write to the folder {output.parent}")
    if output.is_dir():
        raise FileError(f"--output {output} is a folder, but expected the name of a file")
    if output.exists() and _SIGNATURE.encode() not in output.read_bytes()[:4096]:
        raise FileError(
            f"--output {output} exists, and the demo did not write it; name another file"
        )
