"""The demo's protocols: who is trained on what, in which steps, and how they are tuned."""

from __future__ import annotations

import pickle
import runpy
from pathlib import Path

import numpy as np
import pytest
from _people import people_part, some_people
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.model_selection import cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklearn_histeq import (
    AdaptiveHistogramEqualizer,
    HistogramEqualizer,
    HistogramMatcher,
    relit_scorer,
)
from sklearn_histeq._cli.demo import search
from sklearn_histeq._cli.demo.data import bundled_faces
from sklearn_histeq._cli.demo.protocols import (
    BUNDLED,
    LIGHTS,
    N_COPIES,
    PEOPLE,
    Part,
    Trial,
    accuracies,
    accuracies_with_copies,
    from_bright_to_dark,
    random_trials,
    shuffled,
    split,
    standardise_rows,
    steps,
    tiles_for,
    to_rows,
    windows,
)
from sklearn_histeq._cli.demo.search import (
    Choice,
    candidates,
    describe,
    grid_search,
    random_folds,
    untuned,
)

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture(scope="module")
def trials():
    """Four draws of the bundled images, in all lights."""
    return random_trials(bundled_faces(), None, LIGHTS, 4, seed=0)


@pytest.fixture(scope="module")
def found(trials):
    """The accuracies of all bundled classifiers, by column, one dictionary per trial."""
    columns = steps(4)
    return {
        column: [accuracies(columns[column], BUNDLED.values(), trial) for trial in trials]
        for column in ("raw", "equalized", "tiles", "windows")
    }


NEAREST = BUNDLED["nearest neighbour"]


class TestSplits:
    def test_random(self, rng):
        labels = np.repeat([0, 1, 2], [30, 5, 2])
        train, test = split(shuffled(labels, rng), labels, 10)
        assert_array_equal(np.sort(np.concatenate([train, test])), np.arange(37))
        assert_array_equal(np.bincount(labels[train]), [10, 2, 1])
        assert set(train) != set(split(shuffled(labels, rng), labels, 10)[0])

    @pytest.mark.parametrize(("n", "n_own"), [(4, [4, 2, 1]), (None, [15, 2, 1])])
    @pytest.mark.parametrize("extremes", [False, True])
    def test_brightness(self, rng, n, n_own, extremes):
        labels = rng.permutation(np.repeat([0, 1, 2], [30, 5, 2]))
        images = rng.integers(0, 256, (37, 1, 3, 3)).astype(np.uint8)
        train, test = split(from_bright_to_dark(images), labels, n, extremes)
        means = images.mean(axis=(1, 2, 3))
        for label, k in enumerate(n_own):
            own = np.sort(means[labels == label])
            n_test = k if extremes else len(own) - k
            assert_array_equal(np.sort(means[train][labels[train] == label]), own[len(own) - k :])
            assert_array_equal(np.sort(means[test][labels[test] == label]), own[:n_test])

    def test_some_of_the_images(self):
        labels = np.array([5, 7, 5, 7, 9, 5])
        train, test = split(np.array([5, 3, 0, 1]), labels, 1)
        assert_array_equal(train, [5, 3])
        assert_array_equal(test, [0, 1])

    def test_lights(self, trials):
        faces = bundled_faces()
        first, second, *_ = trials
        assert list(first.tests) == ["same light", "other light", "side light", "harsh light"]
        same, other, side, harsh = first.tests.values()
        assert_array_equal(np.bincount(first.train.labels), [50, 50])
        assert_array_equal(same.labels, other.labels)
        assert_array_equal(same.labels, side.labels)
        means = [part.images.mean() for part in (same, other, side, harsh)]
        assert means == sorted(means, reverse=True)  # each light takes more away
        together = np.concatenate([first.train.images, same.images])
        assert_array_equal(np.unique(together, axis=0), np.unique(faces.images, axis=0))
        # a constant black image may come out as it was
        assert (same.images != other.images).any(axis=(1, 2, 3)).mean() > 0.95
        assert (first.train.images != second.train.images).any()
        again = random_trials(faces, None, LIGHTS, 1, seed=0)[0]
        assert_array_equal(other.images, again.tests["other light"].images)
        elsewhere = random_trials(faces, None, LIGHTS, 1, seed=1)[0]
        assert (elsewhere.train.images != first.train.images).any()

    def test_people(self):
        faces = people_part(n_people=3, n_each=50)
        for trial in random_trials(faces, 10, {"part": None}, 3, seed=0):
            assert_array_equal(np.bincount(trial.train.labels), [10] * 3)
            assert_array_equal(np.bincount(trial.tests["part"].labels), [40] * 3)
            train = {image.tobytes() for image in trial.train.images}
            assert not train & {image.tobytes() for image in trial.tests["part"].images}


class TestSteps:
    def test_rows(self, rng):
        images = rng.integers(0, 256, (3, 1, 4, 5)).astype(np.uint8)
        rows = to_rows(images)
        assert rows.dtype == np.float64
        assert_array_equal(rows, images.reshape(3, 20))
        assert_array_equal(to_rows(rows), rows)

    def test_standardised(self, rng):
        images = rng.integers(0, 256, (3, 1, 4, 5)).astype(np.uint8)
        images[1] = 9
        rows = standardise_rows(images)
        assert_allclose(rows.mean(axis=1), 0, atol=1e-12)
        assert_allclose(rows.std(axis=1), [1, 0, 1])

    def test_each_column_pickles_and_gives_rows(self, rng):
        images = rng.integers(0, 256, (3, 1, 4, 5)).astype(np.uint8)
        columns, found = steps(n_tiles=2), {}
        assert list(columns) == ["raw", "standardised", "equalized", "tiles", "windows"]
        for name, step in columns.items():
            rows = found[name] = pickle.loads(pickle.dumps(step)).fit_transform(images)
            assert rows.shape == (3, 20)
            assert_array_equal(rows, clone(step).fit_transform(images))
        for name, estimator in {
            "equalized": HistogramEqualizer(),
            "tiles": AdaptiveHistogramEqualizer(n_tiles=2),
            "windows": windows(1 / 4),
        }.items():
            assert_array_equal(found[name], estimator.fit_transform(images).reshape(3, 20))

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
            one, other = (maker(40, 120).fit(k * rows[::2], y[::2]) for k in (1, 255))
            rule = "decision_function" if hasattr(one, "decision_function") else "predict"
            found, expected = getattr(other, rule)(255 * rows), getattr(one, rule)(rows)
            assert_allclose(found, expected, rtol=1e-4, atol=1e-4)

    def test_components_are_capped_at_half_of_the_images(self):
        for name, most in (("PCA + SVC (RBF)", 100), ("PCA + LDA (linear)", 150)):
            for n_train, n_pixels, expected in ((60, 999, 30), (999, 999, most), (999, 20, 20)):
                classifier = PEOPLE[name](n_train, n_pixels)
                assert classifier.named_steps["pca"].n_components == expected

    def test_accuracies_with_copies(self, trials, found):
        """Each pipeline is trained on the images and N_COPIES harsh copies of each."""
        train, seen = trials[0].train, []

        class Watching(KNeighborsClassifier):
            def fit(self, X, y):
                seen.append((X, y))
                return super().fit(X, y)

        makers = [lambda n, p: seen.append((n, p)) or Watching(1)]
        result = accuracies_with_copies(FunctionTransformer(to_rows), makers, trials[0])
        n = len(train.labels) * (1 + N_COPIES)
        (asked, (rows, labels)) = seen
        assert asked == (n, train.images[0].size)
        assert_array_equal(labels, np.tile(train.labels, 1 + N_COPIES))
        assert_array_equal(rows[: len(train.labels)], to_rows(train.images))
        assert rows[len(train.labels) :].mean() < 0.7 * rows[: len(train.labels)].mean()  # harsh
        assert result.keys() == trials[0].tests.keys()
        for name, test in trials[0].tests.items():
            nearest = KNeighborsClassifier(1).fit(rows, labels)
            assert result[name] == [nearest.score(to_rows(test.images), test.labels)]

    def test_accuracies(self, trials, found):
        trial = trials[0]
        for i, maker in enumerate(BUNDLED.values()):
            model = maker(100, 625).fit(to_rows(trial.train.images), trial.train.labels)
            for name, (images, labels) in trial.tests.items():
                assert found["raw"][0][name][i] == model.score(to_rows(images), labels)

    def test_equalization_helps_under_other_light(self, found):
        # the demo's message: far above raw images where the light has changed
        raw, equalized = (found[column][0]["other light"][0] for column in ("raw", "equalized"))
        assert equalized > raw + 0.15

    @pytest.mark.parametrize("light", ["side light", "harsh light"])
    def test_windows_help_under_light_from_a_side(self, found, light):
        equalized, local = (
            np.mean([scores[light] for scores in found[column]], axis=0)
            for column in ("equalized", "windows")
        )
        assert (local > equalized).all()  # with each classifier

    def test_tiles_help_under_light_from_a_side(self, found):
        # the demo's other message: tiles stay nearly as good, one transfer function does not
        (same, side), (tiles_same, tiles_side) = (
            [
                np.mean([scores[light] for scores in found[column]], axis=0)
                for light in ("same light", "side light")
            ]
            for column in ("equalized", "tiles")
        )
        assert (tiles_side > side + 0.01).all()  # with each classifier
        assert (tiles_same - tiles_side < same - side - 0.01).all()


class TestSearch:
    def test_each_candidate_has_its_name_and_the_defaults_come_first(self):
        kinds = candidates(4)
        described = [[describe(step) for step in kind] for kind in kinds]
        assert [names[0] for names in described] == [
            "equalized",
            "tiles, n_tiles=4",
            "windows, 0.25",
            "matched",
            "passthrough",
        ]
        names = set().union(*described)
        assert len(names) == sum(map(len, kinds)) == 18
        assert {"windows, 0.125", "windows, 0.5", "tiles, clip_limit=None, n_tiles=2"} <= names
        assert {"equalized, n_bins=16, normal", "equalized, opencv"} <= names
        assert max(map(len, names)) <= 36  # it fits into the table

    def test_random_folds(self):
        part = people_part()
        problem = random_folds(part, 3, seed=0)
        assert problem.part is part
        assert len(problem.folds) == 3
        for train, valid in problem.folds:
            assert_array_equal(np.sort(np.concatenate([train, valid])), np.arange(48))

    def test_search_reports_its_own_choice(self, monkeypatch, trials):
        # One candidate destroys the images: the search must see that, and say what it chose.
        steps = [HistogramEqualizer(n_bins=1)], [HistogramEqualizer(convention="opencv")]
        monkeypatch.setattr(search, "candidates", lambda n_tiles: steps)
        trial = trials[0]
        for scoring in ("accuracy", relit_scorer("accuracy", "harsh", random_state=0)):
            problem = random_folds(trial.train, 3, 0, scoring)
            choice = grid_search(problem, NEAREST, trial)
            assert choice.setting == "equalized, opencv"
            assert choice.n_ties == 0
            direct = HistogramEqualizer(convention="opencv", flatten=True)
            pipeline = make_pipeline(direct, KNeighborsClassifier(1))
            scores = cross_val_score(pipeline, *trial.train, cv=problem.folds, scoring=scoring)
            assert_allclose(choice.validated, scores.mean())
            expected = accuracies(direct, [NEAREST], trial)
            assert choice.tested == tuple(score for (score,) in expected.values())

    @pytest.mark.parametrize("n_jobs", [None, 2])
    def test_a_search_tells_each_score(self, monkeypatch, n_jobs, trials):
        steps = [HistogramEqualizer(n_bins=n_bins) for n_bins in (1, 64)]
        monkeypatch.setattr(search, "candidates", lambda n_tiles: [steps])
        problem, seen = random_folds(trials[0].train, 3, 0), []
        choice = grid_search(problem, NEAREST, trials[0], n_jobs, seen.append)
        assert choice == grid_search(problem, NEAREST, trials[0])
        assert sorted(seen) == [1, 2, 3, 4, 5, 6]  # two candidates in three folds

    def test_each_test_part_is_scored(self, trials):
        choice = untuned(HistogramMatcher(), NEAREST, trials[0])
        expected = accuracies(HistogramMatcher(flatten=True), [NEAREST], trials[0])
        assert choice.tested == tuple(score for (score,) in expected.values())
        assert len(choice.tested) == 4

    def test_ties_are_counted_and_the_first_wins(self, monkeypatch):
        steps = [HistogramEqualizer(), HistogramEqualizer(n_jobs=1)], ["passthrough"]
        monkeypatch.setattr(search, "candidates", lambda n_tiles: steps)
        part = people_part()
        same = Part(np.repeat(part.images[::12], 6, axis=0), np.repeat(np.arange(4), 6))
        choice = grid_search(random_folds(same, 2, 0), NEAREST, Trial(same, {"same": same}))
        assert choice == Choice(1.0, (1.0,), 2, "equalized")

    def test_passthrough_is_the_raw_column(self, trials, found):
        for i, maker in enumerate(BUNDLED.values()):
            choice = untuned("passthrough", maker, trials[0])
            expected = tuple(scores[i] for scores in found["raw"][0].values())
            assert choice == Choice(None, expected, None, "passthrough")


class TestMeasuringScript:
    """The script that measures the tables of the docs, on made-up people."""

    @pytest.fixture
    def script(self):
        return runpy.run_path(str(Path(__file__).parents[1] / "benchmarks" / "measure_faces.py"))

    def test_protocols(self, script):
        X, y = some_people(n_people=3, n_each=45)
        random, bright, better, best = script["protocols_of"](X, y).values()
        for splits, n_train, n_test in (random, 10, 35), (bright, 20, 20), (better, 22, 23):
            for train, test in splits:
                assert_array_equal(np.bincount(y[train]), [n_train] * 3)
                assert_array_equal(np.bincount(y[test]), [n_test] * 3)
                assert not set(train) & set(test)
        evenness = script["evenness"](X)
        ranked = [np.sort(evenness[y == person])[::-1] for person in range(3)]
        for train, test in best:
            assert_array_equal(np.bincount(y[train]), [5] * 3)
            both = np.concatenate([train, test])
            for person in range(3):
                own = np.sort(evenness[both[y[both] == person]])[::-1]
                assert_array_equal(own, ranked[person][:20])
        ((train, test),) = better
        for person in range(3):
            lit, unlit = (evenness[part][y[part] == person] for part in (train, test))
            assert lit.min() >= unlit.max()

    def test_a_table(self, script, capsys, monkeypatch):
        X, y = some_people(n_people=3, n_each=20, shape=(16, 16))
        steps = {"raw": FunctionTransformer(to_rows), "matched": HistogramMatcher(flatten=True)}
        monkeypatch.setitem(script["measure"].__globals__, "make_variants", lambda: steps)
        monkeypatch.setitem(script["measure"].__globals__, "more_variants", dict)
        train, test = split(np.arange(60), y, 5)
        found, _ = script["measure"]("people", X, y, {"first five": [(train, test)]})
        lines = capsys.readouterr().out.splitlines()
        assert lines[-4:-2] == ["| | first five |", "|---|---|"]
        for (name, step), line in zip(steps.items(), lines[-2:], strict=True):
            trial = Trial(Part(X[train], y[train]), {"test": Part(X[test], y[test])})
            expected = accuracies(step, PEOPLE.values(), trial)["test"]
            assert_array_equal(found[name], [expected])
            assert line == f"| {name} | {' / '.join(f'{score:.3f}' for score in expected)} |"
