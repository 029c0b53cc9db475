"""In scikit-learn's company: Pipeline, searches, caches, routed masks."""

from typing import ClassVar

import numpy as np
import pytest
import sklearn
from _helpers import assert_same, faces, to_rows
from skimage.color import rgb2gray
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.ensemble import BaggingClassifier
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV, cross_validate
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import Binarizer, FunctionTransformer, StandardScaler
from sklearn.svm import SVC
from sklearn.utils.fixes import parse_version

from sklearn_histeq import (
    AdaptiveHistogramEqualizer,
    HistogramEqualizer,
    HistogramMatcher,
    LocalHistogramEqualizer,
)

pytestmark = pytest.mark.usefixtures("engine", "one_thread")

N, SIDE, PEOPLE = 48, 10, 4


@pytest.fixture(scope="module")
def people():
    """Four "people", each lit differently in every image: (n, 1, h, w) uint8 and y."""
    rng = np.random.default_rng(0)
    y = np.arange(N) % PEOPLE
    patterns = rng.random((PEOPLE, 1, SIDE, SIDE))
    gain, bias = rng.uniform((10, 0), (40, 200), (N, 2)).T[..., None, None, None]
    x = gain * (patterns[y] + 0.05 * rng.random((N, 1, SIDE, SIDE))) + bias
    return x.astype(np.uint8), y


@pytest.fixture
def pipe():
    return make_pipeline(
        HistogramEqualizer(flatten=True), PCA(8, random_state=0), KNeighborsClassifier(1)
    )


def test_one_step_ahead_of_a_classifier(pipe, people):
    x, y = people
    dark, bright = x.mean(axis=(1, 2, 3)).argsort().reshape(2, -1)
    assert pipe.fit(x[bright], y[bright]).score(x[dark], y[dark]) > 0.9
    raw = make_pipeline(FunctionTransformer(to_rows), *pipe[1:])
    assert raw.fit(x[bright], y[bright]).score(x[dark], y[dark]) < 0.9


# dark images among bright ones are outside of what was learned, by half of their pixels
FAR = "ignore:X has values from:UserWarning"


@pytest.mark.filterwarnings(FAR)
def test_grid_search_in_two_processes(pipe, people):
    x, y = people
    grid = [
        {"histogramequalizer__n_bins": ["auto", 4, 64], "histogramequalizer__scope": ["image"]},
        {"histogramequalizer__convention": ["numpy", "opencv", "pillow"]},
        {"histogramequalizer__output_distribution": ["normal"]},
        {"histogramequalizer__scope": ["dataset"]},
        {"histogramequalizer": [FunctionTransformer(to_rows)]},
    ]
    search = GridSearchCV(pipe, grid, cv=2, n_jobs=2, error_score="raise").fit(x, y)
    assert len(search.cv_results_["params"]) == 3 + 3 + 1 + 1 + 1
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    # bins do something to integers: the scores are those of single runs
    alone = GridSearchCV(pipe, {"histogramequalizer__n_bins": [4]}, cv=2, error_score="raise").fit(
        x, y
    )
    expected = search.cv_results_["mean_test_score"][1]
    assert alone.cv_results_["mean_test_score"][0] == expected


def test_passthrough_is_a_choice_for_rows(people):
    x, y = people
    rows = x.reshape(N, -1)
    pipe = Pipeline([("equalize", HistogramEqualizer()), ("classify", KNeighborsClassifier(1))])
    search = GridSearchCV(pipe, {"equalize": [HistogramEqualizer(), "passthrough"]}, cv=2)
    scores = search.fit(rows, y).cv_results_["mean_test_score"]
    assert scores[0] > scores[1]


def test_n_bins_changes_the_result_for_integers(people):
    x, _ = people
    four = HistogramEqualizer(n_bins=4).fit_transform(x)
    assert not np.array_equal(four, HistogramEqualizer().fit_transform(x))


def test_a_bad_parameter_in_a_grid_is_reported(pipe, people):
    x, y = people
    search = GridSearchCV(pipe, {"histogramequalizer__n_bins": [0]}, cv=2, error_score="raise")
    with pytest.raises(ValueError, match="n_bins=0"):
        search.fit(x, y)


def test_halving_search(pipe, people):
    x, y = people
    search = HalvingGridSearchCV(
        pipe,
        {"histogramequalizer__n_bins": ["auto", 4, 64]},
        cv=2,
        random_state=0,
        min_resources=16,
    )
    assert search.fit(x, y).best_score_ > 0.5


def test_a_cached_step_gives_the_same(pipe, people, tmp_path):
    x, y = people
    expected = pipe.fit(x, y).predict(x)
    cached = clone(pipe).set_params(memory=str(tmp_path))
    for _ in range(2):  # written, then read
        assert_same(cached.fit(x, y).predict(x), expected)
    assert any(tmp_path.rglob("*.pkl"))


def test_a_pipeline_speaks_pandas(people):
    pandas = pytest.importorskip("pandas")
    x, y = people
    pipe = make_pipeline(HistogramEqualizer(flatten=True), StandardScaler())
    out = pipe.set_output(transform="pandas").fit_transform(x, y)
    assert isinstance(out, pandas.DataFrame)
    assert list(out.columns) == pipe.get_feature_names_out().tolist()
    plain = make_pipeline(HistogramEqualizer(flatten=True), StandardScaler()).fit_transform(x)
    np.testing.assert_array_equal(out.to_numpy(), plain)


@pytest.mark.filterwarnings(FAR)
def test_nothing_leaks_from_one_fold_to_the_other(people):
    """A dataset CDF is learned on the training folds alone."""
    x, y = people
    pipe = make_pipeline(HistogramEqualizer(scope="dataset", flatten=True), KNeighborsClassifier(1))
    fitted = cross_validate(pipe, x, y, cv=3, return_estimator=True, return_indices=True)
    for estimator, train in zip(fitted["estimator"], fitted["indices"]["train"], strict=True):
        learned = HistogramEqualizer(scope="dataset").fit(x[train])
        np.testing.assert_array_equal(estimator[0].cdf_[0], learned.cdf_[0])


def test_gray_and_black_and_white_are_steps():
    rgb = faces(3, 3)
    gray = FunctionTransformer(rgb2gray, kw_args={"channel_axis": 1})
    out = make_pipeline(gray, HistogramEqualizer()).fit_transform(rgb)
    assert_same(out, HistogramEqualizer().fit_transform(rgb2gray(rgb, channel_axis=1)))
    binary = make_pipeline(gray, HistogramEqualizer(flatten=True), Binarizer(threshold=0.5))
    assert set(np.unique(binary.fit_transform(rgb))) == {0.0, 1.0}


def test_rows_serve_what_refuses_images(people):
    x, y = people
    rows = x.reshape(N, -1)
    equalizer = HistogramEqualizer(image_shape=(SIDE, SIDE))
    expected = equalizer.fit_transform(rows)
    union = FeatureUnion([("equalized", equalizer)])
    assert_same(union.fit_transform(rows), expected)
    columns = ColumnTransformer([("equalized", equalizer, slice(0, SIDE**2))])
    assert_same(columns.fit_transform(rows), expected)
    bagging = BaggingClassifier(make_pipeline(equalizer, SVC()), n_estimators=2, random_state=0)
    assert bagging.fit(rows, y).score(rows, y) > 0.5


def test_a_repr_tells_what_was_changed():
    estimator = HistogramEqualizer(n_bins=64)
    assert repr(estimator) == "HistogramEqualizer(n_bins=64)"
    assert "HistogramEqualizer" in estimator._repr_html_()


# --- masks travel ---------------------------------------------------------------------------------


@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


@pytest.fixture
def mask():
    return np.random.default_rng(5).random((N, SIDE, SIDE)) < 0.8


class MaskWatcher(TransformerMixin, BaseEstimator):
    """Passes images on and checks that what came is what the mask makes of them."""

    def __init__(self, expected=None):
        self.expected = expected

    def fit(self, X, y=None):
        assert any(np.array_equal(X, images) for images in self.expected)
        return self

    def transform(self, X):
        assert any(np.array_equal(X, images) for images in self.expected)
        return X.reshape(len(X), -1)


def test_a_mask_reaches_fit_and_transform_without_further_ado(routing, people, mask):
    x, y = people
    expected = HistogramEqualizer().transform(x, mask=mask)
    pipe = make_pipeline(HistogramEqualizer(), MaskWatcher([expected]), KNeighborsClassifier(1))
    pipe.fit(x, y, mask=mask)
    pipe.predict(x, mask=mask)
    pipe.score(x, y, mask=mask)
    with pytest.raises(AssertionError):
        pipe.predict(x)  # the watcher does look


def test_cross_validate_routes_a_mask(routing, people, mask):
    x, y = people
    expected = HistogramEqualizer().transform(x, mask=mask)
    pipe = make_pipeline(HistogramEqualizer(flatten=True), KNeighborsClassifier(1))
    result = cross_validate(
        pipe, x, y, params={"mask": mask}, cv=3, return_indices=True, error_score="raise"
    )
    for score, train, test in zip(
        result["test_score"], result["indices"]["train"], result["indices"]["test"], strict=True
    ):
        rows = expected.reshape(N, -1)
        alone = KNeighborsClassifier(1).fit(rows[train], y[train])
        assert score == alone.score(rows[test], y[test])


def test_grid_search_routes_a_mask(routing, people, mask):
    x, y = people
    pipe = make_pipeline(HistogramEqualizer(flatten=True), KNeighborsClassifier(1))
    search = GridSearchCV(
        pipe, {"histogramequalizer__n_bins": ["auto", 16]}, cv=2, error_score="raise"
    )
    search.fit(x, y, mask=mask)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    bad = np.zeros_like(mask)
    with pytest.raises(ValueError, match="mask"):
        search.fit(x, y, mask=bad)


class SeesMask(HistogramEqualizer):
    """Notes of each transform whether a mask came."""

    came: ClassVar[list[bool]] = []

    def transform(self, X, *, mask=None):
        self.came.append(mask is not None)
        return super().transform(X, mask=mask)


@pytest.mark.parametrize(
    ("scoring", "since"),
    [
        (None, "1.8"),  # before, the own score of a Pipeline asks for no mask
        ("accuracy", None),
    ],
)
def test_which_scores_of_a_search_see_the_mask(routing, people, mask, monkeypatch, scoring, since):
    x, y = people
    pipe = make_pipeline(SeesMask(flatten=True), KNeighborsClassifier(1))
    monkeypatch.setattr(SeesMask, "came", [])
    grid = {"kneighborsclassifier__n_neighbors": [1]}
    search = GridSearchCV(pipe, grid, cv=2, scoring=scoring, refit=False, error_score="raise")
    search.fit(x, y, mask=mask)
    version = parse_version(sklearn.__version__)
    assert SeesMask.came == [since is not None and version >= parse_version(since)] * 2


def test_after_a_search_the_best_estimator_takes_the_mask(routing, people, mask):
    x, y = people
    pipe = make_pipeline(HistogramEqualizer(flatten=True), KNeighborsClassifier(1))
    search = GridSearchCV(pipe, {"kneighborsclassifier__n_neighbors": [1]}, cv=2)
    search.fit(x, y, mask=mask)
    with pytest.raises(TypeError, match="mask"):
        search.predict(x, mask=mask)
    expected = pipe.fit(x, y, mask=mask).predict(x, mask=mask)
    assert_same(search.best_estimator_.predict(x, mask=mask), expected)


def test_missing_pixels_always_work(people, mask):
    x, y = people
    holed = np.where(mask[:, None], x, np.nan)
    pipe = make_pipeline(
        HistogramEqualizer(flatten=True),
        FunctionTransformer(np.nan_to_num),
        KNeighborsClassifier(1),
    )
    scores = cross_validate(pipe, holed, y, cv=2, scoring="accuracy", error_score="raise")
    assert np.isfinite(scores["test_score"]).all()


def test_without_routing_a_mask_reaches_fit_by_the_steps_name(people, mask):
    x, y = people
    pipe = make_pipeline(HistogramEqualizer(scope="dataset", flatten=True), KNeighborsClassifier(1))
    pipe.fit(x, y, histogramequalizer__mask=mask)
    learned = HistogramEqualizer(scope="dataset").fit(x, mask=mask)
    np.testing.assert_array_equal(pipe[0].cdf_[0], learned.cdf_[0])


def test_without_routing_a_pipeline_refuses_a_mask(people, mask):
    """Its message proposes sample_weight; docs/pitfalls.md says what to do."""
    x, y = people
    pipe = make_pipeline(HistogramEqualizer(flatten=True), KNeighborsClassifier(1))
    with pytest.raises((TypeError, ValueError), match="mask"):
        pipe.fit(x, y, mask=mask)


def test_a_mask_is_routed_to_every_estimator(routing, people, mask):
    x, y = people
    for estimator in (
        HistogramEqualizer(scope="dataset"),
        AdaptiveHistogramEqualizer(n_tiles=2),
        LocalHistogramEqualizer(window=3),
        HistogramMatcher(),
    ):
        expected = clone(estimator).fit_transform(x, mask=mask)
        assert not np.array_equal(expected, clone(estimator).fit_transform(x))
        assert_same(make_pipeline(estimator).fit_transform(x, y, mask=mask), expected)
        pipe = make_pipeline(estimator, MaskWatcher([expected]), KNeighborsClassifier(1))
        pipe.fit(x, y, mask=mask).predict(x, mask=mask)


@pytest.mark.parametrize("method", ["fit", "partial_fit", "transform"])
def test_every_method_requests_the_mask(routing, method):
    request = HistogramEqualizer(scope="dataset").get_metadata_routing()
    assert getattr(request, method).requests == {"mask": True}


def test_a_request_can_be_withdrawn(routing, people, mask):
    x, y = people
    equalizer = HistogramEqualizer(flatten=True)
    equalizer.set_fit_request(mask=False).set_transform_request(mask=False)
    pipe = make_pipeline(equalizer, KNeighborsClassifier(1))
    with pytest.raises(TypeError, match="mask"):
        pipe.fit(x, y, mask=mask)


def test_clones_keep_their_requests(routing):
    estimator = HistogramEqualizer().set_transform_request(mask=False)
    assert clone(estimator).get_metadata_routing().transform.requests == {"mask": False}
