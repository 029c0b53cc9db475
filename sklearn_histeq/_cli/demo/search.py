"""The demo's tuning: GridSearchCV chooses the first step, in two kinds of cross-validation.

Inner cross-validation cannot see a change of light that is missing from its data. Therefore the
same search runs twice: it validates under the same light, as is usual, and under another light, on
relit copies or on darker pictures. Both choices are reported unchanged, with their scores on the
test part.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any, NamedTuple

import numpy as np
from joblib import parallel_config
from numpy.typing import NDArray
from sklearn.metrics import check_scoring
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

from sklearn_histeq import (
    AdaptiveHistogramEqualizer,
    HistogramEqualizer,
    HistogramMatcher,
    relit_scorer,
)
from sklearn_histeq._cli.demo.protocols import (
    WINDOW,
    Maker,
    Part,
    brightness_split,
    make_classifier,
    tiles_for,
    to_rows,
    windows,
)

Folds = list[tuple[NDArray[np.intp], NDArray[np.intp]]]


def settings(n_tiles: int) -> list[dict[str, list[Any]]]:
    """Return the steps to choose from, with their parameters.

    The result is a list of grids, because each step has other parameters, and "opencv" and "pillow"
    do not let one choose the bins. In each grid the defaults come first, so that they win a tie.
    """
    return [
        {
            "equalize": [HistogramEqualizer()],
            "equalize__output_distribution": ["uniform", "normal"],
            "equalize__n_bins": ["auto", 64, 16],
        },
        {
            "equalize": [HistogramEqualizer()],
            "equalize__convention": ["numpy", "opencv", "pillow"],
        },
        {
            "equalize": [AdaptiveHistogramEqualizer(n_tiles=n_tiles)],
            "equalize__n_tiles": [n_tiles, max(n_tiles // 2, 1)],
            "equalize__clip_limit": [AdaptiveHistogramEqualizer().clip_limit, None],
        },
        {"equalize": [windows(window) for window in (WINDOW, 1 / 8, 1 / 2)]},
        {"equalize": [HistogramMatcher()]},
        {"equalize": ["passthrough"]},
    ]


# The names of these steps in the table of accuracies.
NAMES: dict[type, str] = {
    HistogramEqualizer: "equalized",
    AdaptiveHistogramEqualizer: "tiles",
    HistogramMatcher: "matched",
}


class Choice(NamedTuple):
    """The setting that a search chose, its scores, and the number of others that tie with it."""

    validated: float | None  # like n_ties, None without a search
    tested: tuple[float, ...]  # one per test part
    n_ties: int | None
    setting: str


class Problem(NamedTuple):
    """Pictures to tune on, with the folds of a cross-validation, and how these are scored."""

    part: Part
    folds: Folds
    scoring: Any = "accuracy"

    def n_fewest(self) -> int:
        """Return the smallest number of training pictures of a class in any fold."""
        return min(
            np.unique(self.part.labels[fit], return_counts=True)[1].min() for fit, _ in self.folds
        )

    def watched(self, show: Callable[[int], None]) -> Problem:
        """Return the same problem, which calls `show` with the number of scores after each one."""
        numbers = count(1)

        def score(estimator: Any, X: Any, y: Any) -> float:
            value: float = check_scoring(estimator, scoring=self.scoring)(estimator, X, y)
            show(next(numbers))
            return value

        return self._replace(scoring=score)


def same_light(part: Part, n_folds: int, seed: int) -> Problem:
    """Validate on a fold of the pictures, unchanged."""
    cv = StratifiedKFold(n_folds, shuffle=True, random_state=seed)
    return Problem(part, list(cv.split(part.labels, part.labels)))


def relit(part: Part, n_folds: int, seed: int) -> Problem:
    """Train on the pictures, unchanged, and validate on relit copies of a fold."""
    scoring = relit_scorer("accuracy", "harsh", random_state=seed)
    return same_light(part, n_folds, seed)._replace(scoring=scoring)


def darker(part: Part) -> Problem:
    """Train on each class's brighter half, and validate on its darker half."""
    return Problem(part, [brightness_split(*part)])


def several_each(part: Part) -> Part:
    """Return the pictures of people who have two or more: a single one cannot be split."""
    keep = np.bincount(part.labels)[part.labels] > 1
    return Part(part.pictures[keep], part.labels[keep])


def grid_search(
    problem: Problem, maker: Maker, train: Part, tests: list[Part], n_jobs: int | None
) -> Choice:
    """Let GridSearchCV choose the equalizing step, and test its choice.

    Parameters
    ----------
    problem : Problem
        The data and folds of the search.
    maker : callable
        Makes the classifier.
    train : Part
        Data on which the chosen setting is trained afterwards.
    tests : list of Part
        Data on which it is then tested.
    n_jobs : int or None
        Number of threads for GridSearchCV.

    Returns
    -------
    Choice
    """
    n_fit = min(len(fit) for fit, _ in problem.folds)
    pipeline = _pipeline(maker, n_fit, train)
    choices = settings(tiles_for(train.pictures))
    how = {"scoring": problem.scoring, "cv": problem.folds, "n_jobs": n_jobs}
    grid = GridSearchCV(pipeline, choices, refit=False, **how)
    with parallel_config(backend="threading"):  # processes are slow to start and to interrupt
        grid.fit(*problem.part)
    scores = grid.cv_results_["mean_test_score"]
    step = pipeline.set_params(**grid.best_params_).named_steps["equalize"]
    choice = untuned(step, maker, train, tests)
    n_ties = int(np.isclose(scores, grid.best_score_).sum()) - 1  # up to rounding
    return choice._replace(validated=grid.best_score_, n_ties=n_ties)


def untuned(step: Any, maker: Maker, train: Part, tests: list[Part]) -> Choice:
    """Train and test a given step without a search; it may be "passthrough"."""
    pipeline = _pipeline(maker, len(train.labels), train).set_params(equalize=step).fit(*train)
    return Choice(None, tuple(pipeline.score(*test) for test in tests), None, describe(step))


def _pipeline(maker: Maker, n_train: int, train: Part) -> Pipeline:
    """Return a pipeline in which "passthrough" can replace the first step: flattening is apart."""
    return Pipeline(
        [
            ("equalize", HistogramEqualizer()),
            ("flatten", FunctionTransformer(to_rows)),
            ("classify", make_classifier(maker, n_train, train.pictures[0].size)),
        ]
    )


def describe(step: Any) -> str:
    """Return the name of a first step and the parameters that differ from the defaults."""
    if step == "passthrough":
        return "passthrough"
    if isinstance(step, Pipeline):
        return f"windows, {step[0].window}"
    defaults = type(step)().get_params()
    changed = {k: v for k, v in step.get_params().items() if v != defaults[k]}
    # text alone shows which parameter it belongs to
    words = [v if isinstance(v, str) else f"{k}={v}" for k, v in changed.items()]
    return ", ".join([NAMES[type(step)], *words])
