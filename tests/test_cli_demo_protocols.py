"""The demo's protocols: who is trained on what, in which steps, and how they are tuned."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from _people import as_faces, people_part, some_people
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.model_selection import ParameterGrid, cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from threadpoolctl import threadpool_limits

from sklearn_histeq import (
    AdaptiveHistogramEqualizer,
    HistogramEqualizer,
    HistogramMatcher,
    relight,
)
from sklearn_histeq._cli.demo import search
from sklearn_histeq._cli.demo.data import bundled_faces
from sklearn_histeq._cli.demo.protocols import (
    BUNDLED,
    LIGHTS,
    PEOPLE,
    Part,
    Trial,
    accuracies,
    brightness_split,
    brightness_trial,
    bundled_trials,
    feasible,
    make_classifier,
    random_split,
    random_trials,
    standardise_rows,
    steps,
    tiles_for,
    to_rows,
    windows,
)
from sklearn_histeq._cli.demo.search import (
    Choice,
    darker,
    describe,
    grid_search,
    relit,
    same_light,
    settings,
    several_each,
    untuned,
)


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    """Small matrices on busy cores: BLAS threads would only wait for each other."""
    with threadpool_limits(1):
        yield


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def chosen(setting):
    """Return the step of a setting, with its parameters."""
    own = {k.removeprefix("equalize__"): v for k, v in setting.items() if "__" in k}
    return clone(setting["equalize"]).set_params(**own)


class TestSplits:
    def test_random(self, rng):
        labels = np.repeat([0, 1, 2], [30, 5, 2])
        train, test = random_split(labels, 10, rng)
        assert_array_equal(np.sort(np.concatenate([train, test])), np.arange(37))
        assert_array_equal(np.bincount(labels[train]), [10, 2, 1])
        assert set(train) != set(random_split(labels, 10, rng)[0])

    @pytest.mark.parametrize(("n", "n_own"), [(4, [4, 2, 1]), (None, [15, 2, 1])])
    def test_brightness(self, rng, n, n_own):
        labels = rng.permutation(np.repeat([0, 1, 2], [30, 5, 2]))
        pictures = rng.integers(0, 256, (37, 1, 3, 3)).astype(np.uint8)
        train, test = brightness_split(pictures, labels, n)
        assert not set(train) & set(test)
        means = pictures.mean(axis=(1, 2, 3))
        for label, k in enumerate(n_own):
            own = np.sort(means[labels == label])
            assert_array_equal(np.sort(means[train][labels[train] == label]), own[len(own) - k :])
            assert_array_equal(np.sort(means[test][labels[test] == label]), own[:k])

    def test_bundled_trials(self):
        faces = bundled_faces()
        first, second = bundled_trials(faces, 2, seed=0)
        assert list(first.tests) == ["same light", *LIGHTS]
        same, other, side, harsh = first.tests.values()
        assert_array_equal(np.bincount(first.train.labels), [50, 50])
        assert_array_equal(same.labels, other.labels)
        assert_array_equal(same.labels, side.labels)
        means = [part.pictures.mean() for part in (same, other, side, harsh)]
        assert means == sorted(means, reverse=True)  # each light takes more away
        together = np.concatenate([first.train.pictures, same.pictures])
        assert_array_equal(np.unique(together, axis=0), np.unique(faces.pictures, axis=0))
        # a constant black picture may come out as it was
        assert (same.pictures != other.pictures).any(axis=(1, 2, 3)).mean() > 0.95
        assert (first.train.pictures != second.train.pictures).any()
        again = bundled_trials(faces, 1, seed=0)[0]
        assert_array_equal(other.pictures, again.tests["other light"].pictures)
        elsewhere = bundled_trials(faces, 1, seed=1)[0]
        assert (elsewhere.train.pictures != first.train.pictures).any()

    def test_people_trials(self):
        faces = as_faces(*some_people(n_people=3, n_each=50))
        (draw,) = random_trials(faces, 1, seed=0)
        assert_array_equal(np.bincount(draw.train.labels), [10] * 3)
        assert_array_equal(np.bincount(draw.tests["random part"].labels), [40] * 3)
        harder = brightness_trial(faces)
        assert_array_equal(np.bincount(harder.train.labels), [20] * 3)
        dark = harder.tests["bright to dark"]
        assert_array_equal(np.bincount(dark.labels), [20] * 3)
        for label in range(3):
            bright = harder.train.pictures[harder.train.labels == label].mean(axis=(1, 2, 3))
            assert bright.min() >= dark.pictures[dark.labels == label].mean(axis=(1, 2, 3)).max()


def test_trials_do_not_share_pictures_between_training_and_test():
    faces = as_faces(*some_people())
    for trial in [*random_trials(faces, 3, seed=0), brightness_trial(faces)]:
        train = {picture.tobytes() for picture in trial.train.pictures}
        for part in trial.tests.values():
            assert not train & {picture.tobytes() for picture in part.pictures}
        assert isinstance(trial, Trial)


class TestSteps:
    def test_rows(self, rng):
        pictures = rng.integers(0, 256, (3, 1, 4, 5)).astype(np.uint8)
        rows = to_rows(pictures)
        assert rows.dtype == np.float64
        assert_array_equal(rows, pictures.reshape(3, 20))
        assert_array_equal(to_rows(rows), rows)

    def test_standardised(self, rng):
        pictures = rng.integers(0, 256, (3, 1, 4, 5)).astype(np.uint8)
        pictures[1] = 9
        rows = standardise_rows(pictures)
        assert_allclose(rows.mean(axis=1), 0, atol=1e-12)
        assert_allclose(rows.std(axis=1), [1, 0, 1])

    def test_each_column_pickles_and_gives_rows(self, rng):
        pictures = rng.integers(0, 256, (3, 1, 4, 5)).astype(np.uint8)
        columns, found = steps(n_tiles=2), {}
        assert list(columns) == ["raw", "standardised", "equalized", "tiles", "windows"]
        for name, step in columns.items():
            rows = found[name] = pickle.loads(pickle.dumps(step)).fit_transform(pictures)
            assert rows.shape == (3, 20)
            assert_array_equal(rows, clone(step).fit_transform(pictures))
        for name, estimator in {
            "equalized": HistogramEqualizer(),
            "tiles": AdaptiveHistogramEqualizer(n_tiles=2),
            "windows": windows(1 / 4),
        }.items():
            assert_array_equal(found[name], estimator.fit_transform(pictures).reshape(3, 20))

    @pytest.mark.parametrize(
        ("height", "width", "n_tiles"),
        [(25, 25, 4), (32, 32, 8), (31, 48, 4), (48, 9, 2), (1, 9, 1)],
    )
    def test_tiles_keep_some_pixels(self, height, width, n_tiles):
        assert tiles_for(np.zeros((1, 1, height, width), np.uint8)) == n_tiles

    @pytest.mark.parametrize("name", ["bundled", "people"])
    def test_classifiers_do_not_care_for_the_scale(self, name):
        X, y = some_people(n_each=20)
        rows, makers = to_rows(X), BUNDLED if name == "bundled" else PEOPLE
        for maker in makers.values():
            one, other = (
                make_classifier(maker, 40, 120).fit(k * rows[::2], y[::2]) for k in (1, 255)
            )
            rule = "decision_function" if hasattr(one, "decision_function") else "predict"
            found, expected = getattr(other, rule)(255 * rows), getattr(one, rule)(rows)
            assert_allclose(found, expected, rtol=1e-4, atol=1e-4)

    def test_components_are_capped_at_half_of_the_pictures(self):
        for name, most in (("PCA + SVC (RBF)", 100), ("PCA + LDA (linear)", 150)):
            for n_train, n_pixels, expected in ((60, 999, 30), (999, 999, most), (999, 20, 20)):
                classifier = make_classifier(PEOPLE[name], n_train, n_pixels)
                assert classifier.named_steps["pca"].n_components == expected

    def test_lda_is_left_out_where_it_cannot_be_trained(self):
        assert list(feasible(PEOPLE, 2)) == list(PEOPLE)
        assert list(feasible(PEOPLE, 1)) == ["nearest neighbour", "PCA + SVC (RBF)"]

    def test_accuracies(self):
        trial = bundled_trials(bundled_faces(), 1, seed=0)[0]
        found = accuracies(steps(4)["raw"], BUNDLED["nearest neighbour"], trial)
        knn = KNeighborsClassifier(1).fit(to_rows(trial.train.pictures), trial.train.labels)
        for name, (pictures, labels) in trial.tests.items():
            assert found[name] == knn.score(to_rows(pictures), labels)

    def test_equalization_helps_under_other_light(self):
        # the demo's message: far above raw pictures where the light has changed
        trial = bundled_trials(bundled_faces(), 1, seed=0)[0]
        nearest = BUNDLED["nearest neighbour"]
        columns = steps(4)
        raw, equalized = (accuracies(columns[c], nearest, trial) for c in ("raw", "equalized"))
        assert equalized["other light"] > raw["other light"] + 0.15

    @pytest.mark.parametrize("name", BUNDLED)
    def test_windows_help_under_light_from_a_side(self, name):
        trials, columns = bundled_trials(bundled_faces(), 4, seed=0), steps(4)
        for light in ("side light", "harsh light"):
            equalized, local = (
                np.mean([accuracies(columns[c], BUNDLED[name], t)[light] for t in trials])
                for c in ("equalized", "windows")
            )
            assert local > equalized

    @pytest.mark.parametrize("name", BUNDLED)
    def test_tiles_help_under_light_from_a_side(self, name):
        # the demo's other message: tiles stay nearly as good, one transfer function does not
        trials, columns = bundled_trials(bundled_faces(), 4, seed=0), steps(4)
        equalized, tiles = (
            [accuracies(columns[column], BUNDLED[name], trial) for trial in trials]
            for column in ("equalized", "tiles")
        )

        def mean(found, light):
            return np.mean([scores[light] for scores in found])

        assert mean(tiles, "side light") > mean(equalized, "side light") + 0.01
        lost = {
            name: mean(found, "same light") - mean(found, "side light")
            for name, found in (("equalized", equalized), ("tiles", tiles))
        }
        assert lost["tiles"] < lost["equalized"] - 0.01


class TestSearch:
    def test_the_grid_names_every_choice(self):
        grid = list(ParameterGrid(settings(4)))
        described = {
            describe(chosen(s) if hasattr(s["equalize"], "get_params") else s["equalize"])
            for s in grid
        }
        assert len(described) == len(grid) == 18
        assert {"equalized", "tiles, n_tiles=4", "matched", "passthrough"} <= described
        assert {"windows, 0.25", "windows, 0.125", "windows, 0.5"} <= described
        assert {"equalized, n_bins=16, normal", "equalized, opencv"} <= described
        assert "tiles, clip_limit=None, n_tiles=2" in described
        assert describe(chosen(grid[0])) == "equalized"
        assert max(map(len, described)) <= 36  # it fits into the table

    def test_folds_in_the_same_light(self):
        part = people_part()
        problem = same_light(part, 3, seed=0)
        assert problem.part is part
        assert len(problem.folds) == 3
        for train, valid in problem.folds:
            assert_array_equal(np.sort(np.concatenate([train, valid])), np.arange(48))

    def test_relit_folds_are_those_in_the_same_light_scored_on_copies(self):
        part = people_part()
        problem, plain = relit(part, 3, seed=0), same_light(part, 3, seed=0)
        assert problem.part is part
        for fold, expected in zip(problem.folds, plain.folds, strict=True):
            for indices, same in zip(fold, expected, strict=True):
                assert_array_equal(indices, same)
        assert plain.scoring == "accuracy"
        model = make_pipeline(steps(4)["raw"], KNeighborsClassifier(1)).fit(*part)
        score = problem.scoring(model, *part)
        copies = [relight(part.pictures, random_state=seed) for seed in range(3)]
        scores = [model.score(pictures, part.labels) for pictures in copies]
        assert_allclose(score, np.mean(scores))
        assert score < 1  # it would be 1 on the pictures as they are

    def test_folds_validated_in_the_dark(self):
        part = people_part()
        ((train, valid),) = darker(part).folds
        assert_array_equal(np.bincount(part.labels[train]), [6] * 4)
        assert part.pictures[train].mean() > part.pictures[valid].mean()
        assert not set(train) & set(valid)

    def test_who_is_alone_is_left_out(self):
        part = several_each(Part(np.zeros((4, 1, 2, 2), np.uint8), np.array([0, 2, 2, 3])))
        assert_array_equal(part.labels, [2, 2])
        assert len(part.pictures) == 2

    def test_search_reports_its_own_choice(self, monkeypatch):
        # One setting destroys the pictures: the search must see that, and say what it chose.
        grid = [{"equalize__n_bins": [1]}, {"equalize__convention": ["opencv"]}]
        monkeypatch.setattr(search, "settings", lambda n_tiles: grid)
        trial = bundled_trials(bundled_faces(), 1, seed=0)[0]
        nearest, test = BUNDLED["nearest neighbour"], trial.tests["other light"]
        choice = grid_search(same_light(trial.train, 3, 0), nearest, trial.train, [test], None)
        assert choice.setting == "equalized, opencv"
        assert choice.n_ties == 0
        direct = HistogramEqualizer(convention="opencv", flatten=True)
        folds = same_light(trial.train, 3, 0).folds
        pipeline = make_pipeline(direct, KNeighborsClassifier(1))
        assert_allclose(choice.validated, cross_val_score(pipeline, *trial.train, cv=folds).mean())
        expected = accuracies(direct, nearest, trial)["other light"]
        assert choice.tested == (expected,)

    @pytest.mark.parametrize("n_jobs", [None, 2])
    def test_a_watched_search_tells_each_score_and_chooses_the_same(self, monkeypatch, n_jobs):
        monkeypatch.setattr(search, "settings", lambda n_tiles: [{"equalize__n_bins": [1, 64]}])
        train, tests = bundled_trials(bundled_faces(), 1, seed=0)[0]
        problem, seen = same_light(train, 3, 0), []
        rest = BUNDLED["nearest neighbour"], train, [tests["same light"]], n_jobs
        assert grid_search(problem.watched(seen.append), *rest) == grid_search(problem, *rest)
        assert sorted(seen) == [1, 2, 3, 4, 5, 6]  # two settings in three folds

    def test_each_test_part_is_scored(self):
        train, tests = bundled_trials(bundled_faces(), 1, seed=0)[0]
        nearest = BUNDLED["nearest neighbour"]
        choice = untuned(HistogramMatcher(), nearest, train, list(tests.values()))
        matched = HistogramMatcher(flatten=True)
        expected = accuracies(matched, nearest, Trial(train, tests))
        assert choice.tested == tuple(expected.values())

    def test_ties_are_counted_and_the_first_wins(self, monkeypatch):
        grid = [{"equalize__n_jobs": [None, 1]}, {"equalize": ["passthrough"]}]
        monkeypatch.setattr(search, "settings", lambda n_tiles: grid)
        part = people_part()
        same = Part(np.repeat(part.pictures[::12], 6, axis=0), np.repeat(np.arange(4), 6))
        choice = grid_search(
            same_light(same, 2, 0), PEOPLE["nearest neighbour"], same, [same], None
        )
        assert choice == Choice(1.0, (1.0,), 2, "equalized")

    def test_passthrough_is_the_raw_column(self):
        trial = bundled_trials(bundled_faces(), 1, seed=0)[0]
        for name, maker in BUNDLED.items():
            choice = untuned("passthrough", maker, trial.train, [trial.tests["other light"]])
            expected = accuracies(steps(4)["raw"], maker, trial)["other light"]
            assert choice == Choice(None, (expected,), None, "passthrough"), name
