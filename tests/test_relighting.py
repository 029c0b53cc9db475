"""relight and relit_scorer: the formula, every layout, and what a search is validated on."""

import math
import pickle
import tracemalloc

import numpy as np
import pytest
import sklearn
from _helpers import assert_same, faces, to_rows
from _internals import set_block_size
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.metrics import accuracy_score, make_scorer
from sklearn.model_selection import GridSearchCV, cross_val_score, cross_validate
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from sklearn_histeq import HistogramEqualizer, relight, relit_scorer

pytestmark = pytest.mark.usefixtures("engine", "one_thread")

STRENGTHS = ["even", "mild", "harsh"]
DTYPES = ["bool", "u1", "u2", ">u2", "u4", "u8", "f2", "f4", "f8", ">f8"]
by_strength = pytest.mark.parametrize("strength", STRENGTHS)


def lit(f, x, y, strength, draws):
    """One pixel of the documented formula, before noise: plain numbers."""
    angle, gamma = 2 * math.pi * draws[0], math.exp(2 * draws[1] - 1)
    gain = {"even": 0.4 + 0.6 * draws[2], "mild": 0.4 + 0.6 * draws[2],
            "harsh": 0.15 + 0.85 * draws[2]}[strength]  # fmt: skip
    d = x * math.cos(angle) + y * math.sin(angle)
    light = 1
    if strength == "mild":
        low, corner = 0.1 + 0.4 * draws[3], abs(math.cos(angle)) + abs(math.sin(angle))
        light = low + (1 - low) * (d + corner) / (2 * corner)
    if strength == "harsh":
        low, s, t = 0.08 * draws[3], 1 + 5 * draws[4], -0.8 + 1.6 * draws[5]
        light = low + (1 - low) / (1 + math.exp(-2 * s * (d - t)))
    return gain * (f * light) ** gamma


@by_strength
@pytest.mark.parametrize("dtype", ["u1", "u2", "f8"])
def test_the_formula(strength, dtype):
    x = faces(3, 2, 9, dtype)[:, :, :7]
    white = 1 if dtype == "f8" else np.iinfo(dtype).max
    levels = 255 if dtype == "f8" else white
    rng = np.random.RandomState(5)
    draws, noise = rng.uniform(size=(3, 6)), rng.normal(0, 0.7 / 255, x.shape)
    expected = np.empty(x.shape)
    for i, c, row, column in np.ndindex(*x.shape):
        place = 2 * column / 8 - 1, 2 * row / 6 - 1
        share = lit(x[i, c, row, column] / white, *place, strength, draws[i])
        level = round((share + noise[i, c, row, column]) * levels)
        expected[i, c, row, column] = min(max(level, 0), levels) * white / levels
    out = relight(x, strength, random_state=5)
    np.testing.assert_allclose(out, expected, rtol=0, atol=1e-12 if dtype == "f8" else 0)


@by_strength
@pytest.mark.parametrize("dtype", DTYPES)
def test_shape_dtype_and_range_stay(strength, dtype):
    x = faces(4, 3, dtype=dtype)
    before = x.copy()
    x.flags.writeable = False
    out = relight(x, strength, random_state=0)
    assert out.shape == x.shape
    assert out.dtype == x.dtype
    assert out.min() >= 0
    assert dtype[-2] != "f" or out.max() <= 1
    assert_same(x, before)
    assert_same(relight(x, strength, random_state=0), out)
    assert (relight(x, strength, random_state=1) != out).any()


@by_strength
def test_layouts_change_nothing(strength):
    x = faces(4, 3, 9, "u1")
    out = relight(x, strength, random_state=0)
    last = relight(np.moveaxis(x, 1, -1), strength, channel_axis=-1, random_state=0)
    assert_same(np.moveaxis(last, -1, 1), out)
    rows = relight(x.reshape(4, -1), strength, image_shape=(3, 9, 9), random_state=0)
    assert_same(rows, out.reshape(4, -1))
    gray = relight(x[:, :1], strength, random_state=0)
    assert_same(relight(x[:, 0], strength, random_state=0), gray[:, 0])
    for other in (np.asfortranarray(x), x[..., ::-1][..., ::-1], x.tolist()):
        other = np.asarray(other, "u1") if isinstance(other, list) else other
        assert_same(relight(other, strength, random_state=0), out)


@by_strength
def test_block_size_changes_nothing(monkeypatch, strength):
    x = faces(9, 2, 7)
    out = relight(x, strength, random_state=0)
    for n_pixels in (1, 300):
        set_block_size(monkeypatch, n_pixels)
        assert_same(relight(x, strength, random_state=0), out)


def test_more_bits_are_the_same_image():
    x = faces(5, 1, 16)
    narrow, wide = (relight(x.astype(t) * t(s), random_state=0) for t, s in ((np.uint8, 1),
                    (np.uint16, 257)))  # fmt: skip
    assert np.abs(wide / 257 - narrow).max() <= 0.5
    assert_same(np.rint(wide / 257).astype("u1"), narrow)
    floats = relight(x / 255, random_state=0)
    np.testing.assert_allclose(floats * 255, narrow, atol=1e-12)


@pytest.mark.parametrize("bits", [1, 4, 8, 12, 16])
def test_floats_are_rounded_to_levels(bits):
    levels = relight(faces(5, 1, 40, "f8"), bits=bits, random_state=0) * (2**bits - 1)
    np.testing.assert_allclose(levels, np.rint(levels), atol=1e-9)


def test_all_channels_of_an_image_are_in_one_light():
    x = np.full((6, 3, 16, 16), 200, np.uint8)
    out = relight(x, random_state=0).astype(int)
    assert np.abs(out - out[:, :1]).max() <= 8  # noise
    assert np.abs(out[:1] - out[1:]).max() > 20


def test_missing_pixels_stay():
    x = faces(3, 1, dtype="f4")
    x[:, :, 2:4] = np.nan
    assert_same(np.isnan(relight(x, random_state=0)), np.isnan(x))
    assert np.isnan(relight(np.full((1, 2, 2), np.nan))).all()


def test_strengths_are_harder_and_harder():
    x = np.full((300, 16, 16), 255, np.uint8)
    even, mild, harsh = (relight(x, strength, random_state=0) / 255 for strength in STRENGTHS)
    assert even.mean() > mild.mean() > harsh.mean()
    spread = [images.std(axis=(1, 2)).mean() for images in (even, mild, harsh)]
    assert spread[0] < 0.01 < 0.1 < spread[1] < spread[2]
    assert (harsh < 0.02).mean() > 0.1  # black


def test_white_stays_within_the_documented_gain():
    even = relight(np.ones((500, 8, 8)), "even", random_state=0).mean(axis=(1, 2))
    assert 0.39 < even.min() < 0.45
    assert 0.95 < even.max() <= 1


# --- refused --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("x", "params", "words"),
    [
        (faces(), {"strength": "hard"}, "strength='hard', but expected 'even', 'mild' or 'harsh'"),
        (faces(), {"bits": 0}, "bits=0, but expected an integer from 1 to 16"),
        (faces(), {"bits": 17}, "bits=17"),
        (faces(), {"bits": 8.0}, "bits=8.0"),
        (faces(), {"channel_axis": 0}, "channel_axis=0"),
        (faces().reshape(6, -1), {"image_shape": (9, 9)}, "image_shape=.* 81 pixels"),
        (faces(dtype="i8"), {}, "dtype int64, but expected unsigned"),
        (faces(dtype="f8") * 255, {}, r"floats from .* but expected \[0, 1\].*X / 255"),
        (faces(dtype="f8") - 0.5, {}, "floats from -0"),
        (np.full((1, 2, 2), np.inf), {}, "floats from inf"),
        (np.zeros((0, 2, 2)), {}, "0 sample"),
        (np.zeros((1, 2, 2), complex), {}, "omplex"),
    ],
    ids=str,
)
def test_what_is_refused(x, params, words):
    with pytest.raises(ValueError, match=words):
        relight(x, **params)


def test_rows_without_geometry_are_a_warning():
    rows = faces().reshape(6, -1)
    with pytest.warns(UserWarning, match=r"image_shape=None.*rows of 64") as caught:
        relight(rows, random_state=0)
    assert caught[0].filename == __file__
    relight(rows, "even", random_state=0)  # has no direction: silent


# --- the scorer -----------------------------------------------------------------------------------


class Recorder(ClassifierMixin, BaseEstimator):
    """A classifier that keeps what it is given to see."""

    def __init__(self, candidate=0):
        self.candidate = candidate

    def fit(self, X, y):
        self.classes_, self.trained_on_, self.seen_ = np.unique(y), X, []
        return self

    def predict(self, X):
        self.seen_.append(X)
        return np.resize(self.classes_, len(X))


@pytest.fixture
def data():
    return faces(20, 1, 12), np.arange(20) % 2


def test_training_is_on_images_as_they_are_and_validation_on_copies(data):
    x, y = data
    recorder = Recorder().fit(x, y)
    scorer = relit_scorer("accuracy", n_copies=1, random_state=3)
    score = scorer(recorder, x[5:], y[5:])
    assert_same(recorder.trained_on_, x)
    assert len(recorder.seen_) == 1
    assert_same(recorder.seen_[0], relight(x[5:], random_state=scorer.seeds[0]))
    assert score == accuracy_score(y[5:], recorder.predict(x[5:]))


@pytest.mark.parametrize("random_state", [0, None, np.random.RandomState(1)], ids=str)
def test_every_candidate_sees_the_same_copies(data, random_state):
    x, y = data
    seen = []

    def look(estimator, X, y):
        seen.append(X)
        return 0.0

    scorer = relit_scorer(look, n_copies=1, random_state=random_state)
    GridSearchCV(Recorder(), {"candidate": [1, 2, 3]}, scoring=scorer, cv=2, refit=False).fit(x, y)
    assert len(seen) == 6
    first, second = seen[:2]
    for copies, again in zip(seen[::2] + seen[1::2], [first] * 3 + [second] * 3):
        assert_same(copies, again)


def test_share_mixes_in_the_score_on_images_as_they_are(data):
    x, y = data

    def mean(estimator, X, y):
        return float(X.mean())

    estimator, copies = Recorder().fit(x, y), relight(x, "mild", random_state=0)
    score = relit_scorer(mean, "mild", share=0.25, n_copies=1)(estimator, x, y)
    assert score == pytest.approx(0.25 * copies.mean() + 0.75 * x.mean())
    assert relit_scorer(mean, "mild", n_copies=1)(estimator, x, y) == copies.mean()
    several = relit_scorer(mean, "mild", n_copies=4, random_state=7)
    assert several.seeds[0] != 7 + 1  # another seed's copies would be shared
    means = [relight(x, "mild", random_state=seed).mean() for seed in several.seeds]
    assert several(estimator, x, y) == pytest.approx(np.mean(means))


def test_scores_of_every_kind(data):
    x, y = data
    estimator = Recorder().fit(x, y)
    expected = estimator.score(x, y)
    for scoring in (None, "accuracy", make_scorer(accuracy_score)):
        assert relit_scorer(scoring)(estimator, x, y) == expected
    assert relit_scorer("neg_log_loss")(DummyClassifier().fit(x, y), x, y) < 0
    weights = np.arange(20.0)
    weighted = relit_scorer()(estimator, x, y, sample_weight=weights)
    assert weighted == estimator.score(x, y, sample_weight=weights)


def test_layouts_reach_the_copies(data):
    x, y = data
    recorder = Recorder().fit(x, y)
    rows, last = to_rows(x), np.moveaxis(x, 1, -1)
    relit_scorer(image_shape=(12, 12), n_copies=1)(recorder, rows, y)
    relit_scorer(channel_axis=-1, n_copies=1)(recorder, last, y)
    copies = relight(x, random_state=0)
    assert_same(recorder.seen_[0], to_rows(copies))
    assert_same(recorder.seen_[1], np.moveaxis(copies, 1, -1))


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_copies_of_a_data_frame_keep_its_columns(library, data):
    frames = pytest.importorskip(library)
    rows, y = to_rows(data[0]), data[1]
    names = [f"pixel{i}" for i in range(rows.shape[1])]
    frame = frames.DataFrame(dict(zip(names, rows.T, strict=True)))
    recorder = Recorder().fit(frame, y)
    relit_scorer("accuracy", image_shape=(12, 12), n_copies=1)(recorder, frame, y)
    seen = recorder.seen_[0]
    assert type(seen) is type(frame)
    # an old scikit-learn does not see the names in a new polars
    if hasattr(StandardScaler().fit(frame), "feature_names_in_"):
        assert list(seen.columns) == names
    assert_same(seen.to_numpy(), relight(rows, image_shape=(12, 12), random_state=0))
    # a pipeline that has seen names warns, which is an error here, where it gets none
    pipeline = make_pipeline(HistogramEqualizer(image_shape=(12, 12)), KNeighborsClassifier(1))
    relit_scorer(image_shape=(12, 12))(pipeline.fit(frame, y), frame, y)


def test_floats_keep_so_many_bits(data):
    x, y = data
    recorder = Recorder().fit(x, y)
    relit_scorer(bits=2)(recorder, x / 255, y)
    assert set((recorder.seen_[0] * 3).round(9).ravel()) <= {0, 1, 2, 3}


def test_scorers_can_be_pickled_and_printed(data):
    x, y = data
    scorer = relit_scorer("accuracy", random_state=None)
    model = make_pipeline(FunctionTransformer(to_rows), KNeighborsClassifier()).fit(x, y)
    assert pickle.loads(pickle.dumps(scorer))(model, x, y) == scorer(model, x, y)
    assert repr(scorer) == "relit_scorer('accuracy', strength='harsh', share=1.0)"
    scores = cross_val_score(model, x, y, scoring=scorer, cv=2, n_jobs=2)
    assert_same(scores, cross_val_score(model, x, y, scoring=scorer, cv=2))


def test_a_search_withstands_a_light_that_it_has_not_seen():
    """Ten people, all in one light: plain folds see no difference, relit copies do."""
    rng = np.random.default_rng(0)
    people = rng.uniform(0.5, 0.8, (10, 1, 1, 16, 16))
    x = people * rng.uniform(0.9, 1, (10, 8, 1, 1, 1)) + rng.normal(0, 0.01, (10, 8, 1, 16, 16))
    x, y = x.clip(0, 1).reshape(80, 1, 16, 16), np.repeat(np.arange(10), 8)
    steps = [("equalize", None), ("flat", FunctionTransformer(to_rows))]
    pipeline = Pipeline([*steps, ("classify", KNeighborsClassifier(1))])
    grid = {"equalize": ["passthrough", HistogramEqualizer()]}
    plain = GridSearchCV(pipeline, grid, scoring="accuracy", cv=4).fit(x, y)
    relit = GridSearchCV(pipeline, grid, scoring=relit_scorer("accuracy", "even"), cv=4).fit(x, y)
    assert plain.best_params_["equalize"] == "passthrough"  # a tie, and the first wins
    assert isinstance(relit.best_params_["equalize"], HistogramEqualizer)
    dark = relight(x, "even", random_state=9)
    assert relit.best_estimator_.score(dark, y) > plain.best_estimator_.score(dark, y) + 0.3


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"scoring": 3}, "scoring=3"),
        ({"scoring": ["accuracy", "f1"]}, "name of one score"),
        ({"strength": "x"}, "strength='x'"),
        ({"share": 0}, r"share=0, but expected a number in \(0, 1\]"),
        ({"share": 1.5}, "share=1.5"),
        ({"share": True}, "share=True"),
        ({"n_copies": 0}, "n_copies=0"),
        ({"n_copies": 1.0}, "n_copies=1.0"),
        ({"share": "all"}, "share='all'"),
        ({"random_state": "x"}, "seed"),
        ({"random_state": -1}, r"random_state=-1, but expected an integer from 0 to 2\*\*32 - 1"),
        ({"random_state": 2**32}, "random_state=4294967296, but expected"),
        ({"scoring": "acuracy"}, r"scoring='acuracy', but expected .*get_scorer_names\(\)"),
        ({"bits": 99}, "bits=99, but expected an integer from 1 to 16"),
        ({"channel_axis": 5}, r"channel_axis=5, but expected 1 .* or -1"),
        ({"image_shape": "x"}, r"image_shape='x', but expected None, \(height, width\)"),
        ({"image_shape": (8,)}, r"image_shape=\(8,\), but expected"),
    ],
    ids=str,
)
def test_scorers_are_checked_at_once(params, words):
    with pytest.raises(ValueError, match=words):
        relit_scorer(**params)


# --- what the score requests ----------------------------------------------------------------------


@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


@pytest.fixture
def half_right(data):
    """A classifier that is right in each second image, and weights of these images alone."""
    x, y = data
    classifier = DummyClassifier(strategy="constant", constant=0).fit(x, y)
    return classifier.set_fit_request(sample_weight=False), (y == 0).astype(float)


def test_a_weight_that_a_score_requests_reaches_it(routing, data, half_right):
    x, y = data
    classifier, weights = half_right
    weighted = make_scorer(accuracy_score).set_score_request(sample_weight=True)
    plain = make_scorer(accuracy_score).set_score_request(sample_weight=False)
    scoring = {"weighted": relit_scorer(weighted), "plain": relit_scorer(plain)}
    params = {"params": {"sample_weight": weights}, "cv": 2, "error_score": "raise"}
    scores = cross_validate(classifier, x, y, scoring=scoring, **params)
    assert scores["test_weighted"].tolist() == [1, 1]
    assert scores["test_plain"].tolist() == [0.5, 0.5]
    alone = cross_validate(classifier, x, y, scoring=relit_scorer(weighted), **params)
    assert alone["test_score"].tolist() == [1, 1]
    search = GridSearchCV(classifier, {"constant": [0, 1]}, scoring=relit_scorer(weighted), cv=2)
    search.fit(x, y, sample_weight=weights)
    assert search.cv_results_["mean_test_score"].tolist() == [1, 0]
    assert search.score(x, y, sample_weight=weights) == 1


def test_a_weight_that_nobody_requests_is_refused_as_by_scikit_learn(routing, data, half_right):
    x, y = data
    classifier, weights = half_right
    refusals = []
    for scoring in ("accuracy", relit_scorer("accuracy")):
        # scikit-learn 1.6 raises TypeError
        with pytest.raises((UnsetMetadataPassedError, TypeError), match="sample_weight") as refused:
            cross_validate(classifier, x, y, scoring=scoring, params={"sample_weight": weights})
        refusals.append(refused.type)
    assert refusals[0] is refusals[1]


@pytest.mark.parametrize(("is_requested", "expected"), [(True, 1), (False, 0.5)])
def test_the_estimators_own_score_gets_what_the_estimator_requests(
    routing, data, half_right, is_requested, expected
):
    x, y = data
    classifier, weights = half_right
    classifier.set_score_request(sample_weight=is_requested)
    scores = cross_validate(
        classifier, x, y, scoring=relit_scorer(), params={"sample_weight": weights}, cv=2
    )
    assert scores["test_score"].tolist() == [expected] * 2


def test_a_mask_reaches_a_pipelines_own_score_on_copies(routing, data):
    x, y = data
    mask = np.random.default_rng(1).random((20, 12, 12)) < 0.5

    class Masked(Pipeline):
        """Its score says which images it got, and which masks."""

        def score(self, X, y, **params):
            seen.append((X, params["mask"]))
            return 1.0

    steps = [("equalize", HistogramEqualizer(flatten=True)), ("classify", KNeighborsClassifier(1))]
    params = {"cv": 2, "params": {"mask": mask}, "error_score": "raise"}
    scorer, seen = relit_scorer(n_copies=1), []
    result = cross_validate(Masked(steps), x, y, scoring=scorer, return_indices=True, **params)
    for (images, masks), test in zip(seen, result["indices"]["test"], strict=True):
        assert_same(images, relight(x[test], random_state=scorer.seeds[0]))
        assert_same(masks, mask[test])


def test_neighbouring_seeds_share_no_copy():
    seeds = [seed for state in range(50) for seed in relit_scorer(random_state=state).seeds]
    assert len(set(seeds)) == 150
    x = faces(2, side=4)
    copies = [relight(x, random_state=seed).tobytes() for seed in seeds[:12]]
    assert len(set(copies)) == 12


def test_the_largest_seed_is_a_seed(data):
    x, y = data
    scorer = relit_scorer("accuracy", "even", random_state=2**32 - 1, n_copies=2)
    assert all(0 <= seed < 2**32 for seed in scorer.seeds)
    assert 0 <= scorer(Recorder().fit(x, y), x, y) <= 1


@pytest.mark.parametrize("dtype", ["u1", "f4"])
def test_one_large_image_is_relit_in_parts(monkeypatch, dtype):
    """The same light and noise; beyond the copy less memory than the image takes."""
    small = faces(2, 3, 20, dtype)
    expected = relight(small, random_state=0)
    with monkeypatch.context() as patch:
        set_block_size(patch, 60)
        assert_same(relight(small, random_state=0), expected)
    x = faces(1, 3, 1000, dtype)
    tracemalloc.start()
    out = relight(x, random_state=0)
    peak = tracemalloc.get_traced_memory()[1] - out.nbytes
    tracemalloc.stop()
    assert peak < 2**24 + x.nbytes
