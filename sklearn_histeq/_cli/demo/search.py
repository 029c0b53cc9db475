"""The demo's tuning: GridSearchCV chooses the first step, in two kinds of cross-validation.

Inner cross-validation cannot see a change of light that is missing from its data. Therefore the
same search runs twice: it validates under the same light, as is usual, and under another light, on
relit copies or on darker images. Both choices are reported unchanged, with their scores on the test
parts.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain, count
from typing import Any, NamedTuple

import numpy as np
from joblib import parallel_config
from sklearn.metrics import check_scoring
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklearn_histeq import AdaptiveHistogramEqualizer, HistogramEqualizer, HistogramMatcher
from sklearn_histeq._cli.demo import protocols
from sklearn_histeq._cli.demo.protocols import Maker, Part, Split, Trial


def candidates(n_tiles: int) -> list[list[Any]]:
    """Return the steps to choose from, kind by kind; the default comes first, so it wins a tie."""
    equalizers = [
        HistogramEqualizer(n_bins=n_bins, output_distribution=distribution)
        for n_bins in ("auto", 64, 16)
        for distribution in ("uniform", "normal")
    ]
    # apart, because "opencv" and "pillow" do not let one choose the bins
    conventions = [HistogramEqualizer(convention=c) for c in ("numpy", "opencv", "pillow")]
    tiles = [
        AdaptiveHistogramEqualizer(n_tiles=n, clip_limit=clip_limit)
        for clip_limit in (AdaptiveHistogramEqualizer().clip_limit, None)
        for n in (n_tiles, max(n_tiles // 2, 1))
    ]
    ranks = [protocols.windows(window) for window in (protocols.WINDOW, 1 / 8, 1 / 2)]
    return [[*equalizers, *conventions], tiles, ranks, [HistogramMatcher()], ["passthrough"]]


class Problem(NamedTuple):
    """Images to tune on, with the folds of a cross-validation, and how these are scored."""

    part: Part
    folds: list[Split]
    scoring: Any = "accuracy"


class Choice(NamedTuple):
    """The step that a search chose, its scores, and the number of others that tie with it."""

    validated: float | None  # like n_ties, None without a search
    tested: tuple[float, ...]  # one per test part
    n_ties: int | None
    setting: str


def random_folds(part: Part, n_folds: int, seed: int, scoring: Any = "accuracy") -> Problem:
    """Validate on random folds of the images."""
    cv = StratifiedKFold(n_folds, shuffle=True, random_state=seed)
    return Problem(part, list(cv.split(part.labels, part.labels)), scoring)


def grid_search(
    problem: Problem,
    maker: Maker,
    trial: Trial,
    n_jobs: int | None = None,
    show: Callable[[int], None] = lambda n_done: None,
) -> Choice:
    """Let GridSearchCV choose the first step, and test its choice.

    Parameters
    ----------
    problem : Problem
        The data and folds of the search.
    maker : callable
        Makes the classifier.
    trial : Trial
        Data on which the chosen step is trained and tested afterwards.
    n_jobs : int, default=None
        Number of threads for GridSearchCV.
    show : callable, default=does nothing
        Called with the number of scores after each one.

    Returns
    -------
    Choice
    """
    numbers, n_fit = count(1), min(len(fit) for fit, _ in problem.folds)
    flatten = FunctionTransformer(protocols.to_rows)  # apart, for "passthrough"
    classify = maker(n_fit, problem.part.images[0].size)
    steps = [("equalize", "passthrough"), ("flatten", flatten), ("classify", classify)]
    pipeline = Pipeline(steps)
    scorer = check_scoring(pipeline, scoring=problem.scoring)

    def score(estimator: Any, X: Any, y: Any) -> float:
        value: float = scorer(estimator, X, y)
        show(next(numbers))
        return value

    firsts = list(chain(*candidates(protocols.tiles_for(problem.part.images))))
    grid = {"equalize": firsts}
    search = GridSearchCV(
        pipeline, grid, scoring=score, cv=problem.folds, n_jobs=n_jobs, refit=False
    )
    with parallel_config(backend="threading"):  # processes are slow to start and to interrupt
        search.fit(*problem.part)
    scores = search.cv_results_["mean_test_score"]
    n_ties = int(np.isclose(scores, search.best_score_).sum()) - 1  # up to rounding
    choice = untuned(firsts[search.best_index_], maker, trial)
    return choice._replace(validated=search.best_score_, n_ties=n_ties)


def untuned(step: Any, maker: Maker, trial: Trial) -> Choice:
    """Train and test a given step without a search; it may be "passthrough"."""
    rows = make_pipeline(step, FunctionTransformer(protocols.to_rows))
    found = protocols.accuracies(rows, [maker], trial)
    return Choice(None, tuple(score for (score,) in found.values()), None, describe(step))


def describe(step: Any) -> str:
    """Return the name of a first step and the parameters that differ from the defaults."""
    if step == "passthrough":
        return "passthrough"
    if isinstance(step, Pipeline):
        return f"windows, {step[0].window}"
    names = {  # as in the table of accuracies
        HistogramEqualizer: "equalized",
        AdaptiveHistogramEqualizer: "tiles",
        HistogramMatcher: "matched",
    }
    defaults = type(step)().get_params()
    changed = {k: v for k, v in step.get_params().items() if v != defaults[k]}
    # text alone shows which parameter it belongs to
    words = [v if isinstance(v, str) else f"{k}={v}" for k, v in changed.items()]
    return ", ".join([names[type(step)], *words])
