"""AugmentedEstimator: what the inner estimator is trained on, and what it is still asked."""

import pickle
import warnings

import numpy as np
import pytest
import sklearn
from _helpers import assert_same, faces, to_rows
from scipy.sparse import csr_array
from sklearn.base import BaseEstimator, ClassifierMixin, clone, is_classifier, is_regressor
from sklearn.calibration import CalibratedClassifierCV
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    StackingClassifier,
)
from sklearn.exceptions import NotFittedError, UnsetMetadataPassedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Ridge, RidgeCV, SGDClassifier
from sklearn.metrics import accuracy_score, make_scorer
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_validate
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted

from sklearn_histeq import AugmentedEstimator, HistogramEqualizer, relight, relit_scorer

pytestmark = pytest.mark.usefixtures("one_thread")


class Recorder(ClassifierMixin, BaseEstimator):
    """A classifier that keeps what it is trained on."""

    def fit(self, X, y=None, sample_weight=None, mask=None, groups=None, other=None):
        self.X_, self.y_ = X, y
        self.params_ = {"sample_weight": sample_weight, "mask": mask, "groups": groups}
        self.other_ = other
        return self

    def predict(self, X):
        return np.zeros(len(X), int)


def added(X, random_state):
    """Copies that say which seed they were made with; not a lambda, so that it can be pickled."""
    return X + X.dtype.type(random_state % 7)


def trained(X, y=None, **params):
    """The recorder that was trained on X and copies."""
    return AugmentedEstimator(Recorder(), random_state=0, **params).fit(X, y).estimator_


def recogniser(**params):
    """A classifier of images, and its training on copies."""
    pipeline = make_pipeline(HistogramEqualizer(flatten=True), LogisticRegression())
    return AugmentedEstimator(pipeline, random_state=0, **params)


@pytest.fixture
def data():
    return faces(20, 1, 12), np.arange(20) % 2


# --- what the estimator is trained on -------------------------------------------------------------


@pytest.mark.parametrize("strength", ["even", "mild", "harsh"])
@pytest.mark.parametrize("dtype", ["u1", "u2", "f4", "f8", "bool", ">f8"])
def test_images_come_first_and_then_copy_after_copy(strength, dtype):
    x, seeds = faces(5, 2, 9, dtype), []
    trained(x, copies=lambda X, seed: seeds.append(seed) or X, n_copies=3)
    assert len(set(seeds)) == 3
    copies = [relight(x, strength, random_state=seed) for seed in seeds]
    assert_same(
        trained(x, copies=strength, n_copies=3).X_, np.concatenate([x, *copies]).astype(x.dtype)
    )


def test_layouts_and_bits_reach_the_copies():
    x = faces(4, 3, 9, "f8")
    first = trained(x, n_copies=2).X_
    last = trained(np.moveaxis(x, 1, -1), n_copies=2, channel_axis=-1).X_
    assert_same(np.moveaxis(last, -1, 1), first)
    rows = trained(to_rows(x), n_copies=2, image_shape=(3, 9, 9)).X_
    assert_same(rows, to_rows(first))
    few = trained(x, n_copies=2, bits=2).X_[4:] * 3
    np.testing.assert_allclose(few, np.rint(few), atol=1e-9)


def test_no_copies_is_the_estimator_alone():
    """X and y come as they are, also where they could not be relit."""
    x, y = object(), object()
    recorder = trained(x, y, n_copies=0)
    assert recorder.X_ is x
    assert recorder.y_ is y


def test_a_function_makes_copies():
    x = faces(5, 2, 9)
    out = trained(x, copies=added, n_copies=3).X_
    assert_same(out[:5], x)
    shifts = [int((block - x).max()) for block in np.split(out, 4)]
    for block, shift in zip(np.split(out, 4), shifts, strict=True):
        assert_same(block, x + np.uint8(shift))
    assert len(set(shifts)) > 2


def test_a_function_may_write_into_what_it_gets():
    x = faces(5, 1, 9)
    before = x.copy()

    def darken(X, random_state):
        X //= 2
        return X

    out = trained(x, copies=darken, n_copies=2).X_
    assert_same(x, before)
    assert_same(out, np.concatenate([before, before // 2, before // 2]))


def test_the_seed_decides():
    x = faces(5, 1, 9)
    two, three = (AugmentedEstimator(Recorder(), n_copies=k, random_state=4) for k in (2, 3))
    assert_same(two.fit(x).estimator_.X_, two.fit(x).estimator_.X_)
    assert_same(three.fit(x).estimator_.X_[:15], two.estimator_.X_)
    other = clone(two).set_params(random_state=5).fit(x).estimator_.X_
    assert (other != two.estimator_.X_).any()
    unseeded = AugmentedEstimator(Recorder(), n_copies=2)
    assert (unseeded.fit(x).estimator_.X_ != clone(unseeded).fit(x).estimator_.X_).any()


def test_the_estimator_itself_stays_as_it_is(data):
    model = recogniser(n_copies=1)
    model.fit(*data)
    assert not hasattr(model.estimator[-1], "coef_")
    assert hasattr(model.estimator_[-1], "coef_")


def test_training_on_copies_withstands_their_light():
    """Two things that differ in their left half alone, where harsh light may leave nothing."""
    rng = np.random.default_rng(0)
    y = np.arange(120) % 2
    x = 0.7 + 0.05 * rng.normal(size=(120, 16, 16))
    x[:, 4:8, 2:6] -= 0.2 * y[:, None, None]
    x[:, 4:8, 10:14] -= 0.2 * y[:, None, None]
    dark = relight(x.clip(0, 1), random_state=9)
    scores = [recogniser(n_copies=k).fit(x.clip(0, 1), y).score(dark, y) for k in (0, 10)]
    assert scores[1] > scores[0] + 0.05


# --- y and metadata -------------------------------------------------------------------------------


def of_pandas(values):
    return pytest.importorskip("pandas").Series(values, index=np.arange(len(values))[::-1])


def of_polars(values):
    return pytest.importorskip("polars").Series(values)


@pytest.mark.parametrize("make", [np.asarray, list, tuple, of_pandas, of_polars])
def test_targets_are_repeated(make):
    y = make(["a", "b", "c", "a", "b"])
    found = trained(faces(5), y, n_copies=2).y_
    assert list(found) == list(y) * 3
    assert type(found) is (np.ndarray if make in (list, tuple) else type(y))


def test_targets_of_other_kinds_are_repeated():
    y = np.arange(10).reshape(5, 2)
    assert_same(trained(faces(5), y, n_copies=2).y_, np.tile(y, (3, 1)))
    assert_same(trained(faces(5), range(5), n_copies=2).y_, np.tile(np.arange(5), 3))
    sparse = trained(faces(5), csr_array(y), n_copies=2).y_
    assert_same(sparse.toarray(), np.tile(y, (3, 1)))
    assert trained(faces(5), None, n_copies=2).y_ is None


def metadata(n):
    rng = np.random.default_rng(1)
    return {
        "sample_weight": rng.random(n),
        "mask": rng.random((n, 8, 8)) < 0.5,
        "groups": list(range(n)),
    }


def test_without_routing_what_has_one_entry_per_image_is_repeated():
    params = metadata(5)
    model = AugmentedEstimator(Recorder(), "even", n_copies=2).fit(faces(5), **params, other="a")
    found = model.estimator_
    for name, value in params.items():
        assert_same(found.params_[name], np.concatenate([value] * 3))
    assert found.other_ == "a"


def test_a_weight_of_a_step_is_repeated(data):
    x, y = data
    weights = np.random.default_rng(0).random(20)
    model = recogniser(copies=added, n_copies=2)
    model.fit(x, y, logisticregression__sample_weight=weights)
    pipeline = clone(model.estimator)
    images = trained(x, copies=added, n_copies=2).X_
    pipeline.fit(images, np.tile(y, 3), logisticregression__sample_weight=np.tile(weights, 3))
    assert_same(model.predict_proba(x), pipeline.predict_proba(x))


@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


def test_metadata_are_routed_as_the_estimator_requests(routing):
    params = metadata(5)
    recorder = Recorder().set_fit_request(
        sample_weight="weights", mask=True, groups=True, other=False
    )
    model = AugmentedEstimator(recorder, "even", n_copies=2)
    given = {"weights": params["sample_weight"], "mask": params["mask"], "groups": [*range(5)]}
    found = model.fit(faces(5), **given).estimator_.params_
    for name, value in params.items():
        assert_same(found[name], np.concatenate([value] * 3))
    with pytest.raises((UnsetMetadataPassedError, TypeError), match="sample_weight"):
        AugmentedEstimator(Recorder()).fit(faces(5), sample_weight=np.ones(5))


def test_a_mask_and_weights_travel_through_a_search(routing, data):
    """The mask goes to the equalizer in fit and predict, the weights to the classifier."""
    x, y = data
    mask = np.random.default_rng(0).random((20, 12, 12)) < 0.5
    classifier = LogisticRegression().set_fit_request(sample_weight=True)
    pipeline = make_pipeline(HistogramEqualizer(flatten=True), classifier)
    model = AugmentedEstimator(pipeline, added, n_copies=2, random_state=0)
    params = {"mask": mask, "sample_weight": np.random.default_rng(1).random(20)}
    scoring = make_scorer(accuracy_score).set_score_request(sample_weight=False)
    search = GridSearchCV(model, {"n_copies": [2]}, cv=2, scoring=scoring)
    model = search.fit(x, y, **params).best_estimator_
    images = trained(x, copies=added, n_copies=2).X_
    repeated = {name: np.concatenate([value] * 3) for name, value in params.items()}
    direct = clone(pipeline).fit(images, np.tile(y, 3), **repeated)
    found, expected = (m.predict_proba(x[::-1], mask=mask[::-1]) for m in (model, direct))
    assert_same(found, expected)


@pytest.mark.parametrize("is_routed", [False, True])
def test_fit_transform_gives_a_mask_to_both(is_routed, data):
    x, mask = data[0], np.random.default_rng(0).random((20, 12, 12)) < 0.5
    equalizer = HistogramEqualizer(scope="dataset")
    images = trained(x, copies=added, n_copies=2).X_
    expected = clone(equalizer).fit(images, mask=np.tile(mask, (3, 1, 1))).transform(x, mask=mask)
    with sklearn.config_context(enable_metadata_routing=is_routed):
        model = AugmentedEstimator(equalizer, added, n_copies=2, random_state=0)
        assert_same(model.fit_transform(x, mask=mask), expected)
        assert_same(model.transform(x, mask=mask), expected)
        assert (model.transform(x, mask=mask) != model.fit_transform(x)).any()


# --- containers -----------------------------------------------------------------------------------


@pytest.mark.parametrize("library", ["pandas", "polars"])
@pytest.mark.parametrize("n_copies", [0, 2])
@pytest.mark.parametrize("n_images", [20, 144])  # as many as pixels, too
def test_data_frames_keep_their_columns(library, n_copies, n_images):
    frames = pytest.importorskip(library)
    rows = to_rows(faces(n_images, 1, 12))
    names = [f"pixel{i}" for i in range(rows.shape[1])]
    frame = frames.DataFrame(dict(zip(names, rows.T, strict=True)))
    y = np.arange(n_images) % 2
    params = {"n_copies": n_copies, "image_shape": (12, 12), "random_state": 0}
    seen = AugmentedEstimator(Recorder(), **params).fit(frame, y).estimator_.X_
    assert type(seen) is type(frame)
    assert list(seen.columns) == names
    assert_same(seen.to_numpy(), AugmentedEstimator(Recorder(), **params).fit(rows).estimator_.X_)
    pipeline = make_pipeline(HistogramEqualizer(image_shape=(12, 12)), LogisticRegression())
    model = AugmentedEstimator(pipeline, **params).fit(frame, y)
    model.predict(frame)  # would warn, which is an error here, of names that fit has not seen
    # an old scikit-learn does not see the names in a new polars
    if hasattr(StandardScaler().fit(frame), "feature_names_in_"):
        assert list(model.feature_names_in_) == names
    assert relit_scorer("accuracy", image_shape=(12, 12))(model, frame, y) <= 1


def test_lists_and_dask_arrays_become_arrays():
    x = faces(5, 1, 9)
    expected = trained(x, n_copies=2).X_
    assert_same(trained([image.astype(np.uint8) for image in x], n_copies=2).X_, expected)
    da = pytest.importorskip("dask.array", reason="the extra dask is not installed")
    assert_same(trained(da.from_array(x, chunks=(2, 1, 9, 9)), n_copies=2).X_, expected)


# --- what the estimator is asked ------------------------------------------------------------------


def test_answers_are_those_of_the_trained_estimator(data):
    x, y = data
    model = recogniser(n_copies=2).fit(x, y)
    check_is_fitted(model)
    for name in ("predict", "predict_proba", "predict_log_proba", "decision_function"):
        assert_same(getattr(model, name)(x), getattr(model.estimator_, name)(x))
    assert model.score(x, y) == model.estimator_.score(x, y)
    assert_same(model.classes_, np.array([0, 1]))
    assert not hasattr(model, "transform")
    with pytest.raises(AttributeError, match=r"AugmentedEstimator: .*no attribute 'transform'"):
        model.transform(x)


def test_a_transformer_transforms(data):
    rows = to_rows(data[0]) / 255
    model = AugmentedEstimator(PCA(3), image_shape=(12, 12), n_copies=2, random_state=0)
    out = model.fit_transform(rows)
    assert out.shape == (20, 3)
    assert_same(model.transform(rows), out)
    assert_same(model.inverse_transform(out), model.estimator_.inverse_transform(out))
    assert list(model.get_feature_names_out()) == ["pca0", "pca1", "pca2"]
    assert model.n_features_in_ == 144
    assert not hasattr(model, "predict")


@pytest.mark.parametrize("is_fitted", [False, True])
def test_a_container_is_set(is_fitted, data):
    pytest.importorskip("pandas")
    rows = to_rows(data[0]) / 255
    model = AugmentedEstimator(PCA(3), "even", n_copies=1, random_state=0)
    if is_fitted:
        model.fit(rows)
    assert model.set_output(transform="pandas") is model
    if not is_fitted:
        model = clone(model).fit(rows)
    assert list(model.transform(rows).columns) == ["pca0", "pca1", "pca2"]


def test_before_fit(data):
    model = recogniser()
    with pytest.raises(NotFittedError, match="AugmentedEstimator"):
        model.predict(data[0])
    for name in ("classes_", "n_features_in_", "feature_names_in_"):
        assert not hasattr(model, name)


def test_tags_are_those_of_the_estimator():
    assert is_classifier(AugmentedEstimator(KNeighborsClassifier()))
    assert is_regressor(AugmentedEstimator(Ridge()))
    for estimator in (PCA(), HistogramEqualizer(), recogniser().estimator, Ridge()):
        found, inner = get_tags(AugmentedEstimator(estimator)), get_tags(estimator)
        assert found.requires_fit
        assert not found.input_tags.sparse  # there are no sparse images
        assert get_tags(AugmentedEstimator(estimator, n_copies=0)).input_tags == inner.input_tags
        found.requires_fit, found.input_tags.sparse = inner.requires_fit, inner.input_tags.sparse
        assert found == inner


def test_copies_of_sparse_rows_are_refused():
    rows, y = csr_array(to_rows(faces(6))), np.arange(6) % 2
    AugmentedEstimator(LogisticRegression(), n_copies=0).fit(rows, y)
    with pytest.raises(TypeError, match=r"[Ss]parse"):
        AugmentedEstimator(LogisticRegression()).fit(rows, y)


def test_it_is_shown_and_pickled(data):
    model = recogniser(copies=added, n_copies=2).fit(*data)
    html = model._repr_html_()
    for name in ("AugmentedEstimator", "HistogramEqualizer", "LogisticRegression"):
        assert name in html
    assert repr(AugmentedEstimator(Ridge(), n_copies=3)) == (
        "AugmentedEstimator(estimator=Ridge(), n_copies=3)"
    )
    assert_same(pickle.loads(pickle.dumps(model)).predict(data[0]), model.predict(data[0]))


# --- searches -------------------------------------------------------------------------------------


def test_a_search_chooses_copies_and_parameters_of_the_estimator(data):
    x, y = data
    steps = [("equalize", HistogramEqualizer(flatten=True)), ("classify", KNeighborsClassifier(1))]
    grid = {
        "copies": ["even", "harsh", added],
        "n_copies": [0, 2],
        "estimator__equalize__n_bins": ["auto", 16],
    }
    model = AugmentedEstimator(Pipeline(steps), random_state=0)
    found = [
        GridSearchCV(model, grid, scoring=relit_scorer(scoring, n_copies=1), cv=2).fit(x, y)
        for scoring in ("accuracy", None)
    ]
    scores = [search.cv_results_["mean_test_score"] for search in found]
    assert np.isfinite(scores[0]).all()
    assert len(scores[0]) == 12
    assert_same(*scores)
    assert found[0].predict(x).shape == (20,)


def test_a_search_sees_no_copy_in_validation(data):
    seen = []

    class Watching(Recorder):
        def predict(self, X):
            seen.append(X)
            return super().predict(X)

    x, y = data
    model = AugmentedEstimator(Watching(), n_copies=2, random_state=0)
    folds = cross_validate(model, x, y, cv=2, return_estimator=True, return_indices=True)
    for images, fitted, train, test in zip(
        seen, folds["estimator"], folds["indices"]["train"], folds["indices"]["test"], strict=True
    ):
        assert_same(images, x[test])
        assert_same(fitted.estimator_.X_, trained(x[train], n_copies=2).X_)


KNN = KNeighborsClassifier(1)
SPLITTING = [
    GridSearchCV(KNN, {"n_neighbors": [1]}, cv=2),
    RidgeCV(cv=2),
    CalibratedClassifierCV(GaussianNB(), cv=2),
    StackingClassifier([("knn", KNN)], cv=2),
    make_pipeline(StandardScaler(), CalibratedClassifierCV(GaussianNB(), cv=2)),
    SGDClassifier(early_stopping=True),
    HistGradientBoostingClassifier(early_stopping=True, max_iter=1),
    GradientBoostingClassifier(n_estimators=2, n_iter_no_change=1),
    RandomForestClassifier(40, oob_score=True),
]  # fmt: skip
NOT_SPLITTING = [
    KNN,
    SGDClassifier(),
    HistGradientBoostingClassifier(max_iter=1),  # stops early with 10,000 samples and more
    HistGradientBoostingClassifier(early_stopping=True, validation_fraction=None, max_iter=1),
    GradientBoostingClassifier(n_estimators=2),
    RandomForestClassifier(2),
    StackingClassifier([("knn", FrozenEstimator(KNN.fit([[0], [1]], [0, 1])))], cv="prefit"),
]


@pytest.mark.parametrize("estimator", SPLITTING, ids=lambda e: type(e).__name__)
def test_an_estimator_that_splits_by_itself_is_a_warning(estimator, data):
    rows, y = to_rows(data[0]) / 255, data[1]
    name = type(estimator[-1] if isinstance(estimator, Pipeline) else estimator).__name__
    with pytest.warns(UserWarning, match=f"AugmentedEstimator is around {name}") as caught:
        AugmentedEstimator(estimator, "even", n_copies=1).fit(rows, y)
    assert caught[0].filename == __file__
    AugmentedEstimator(estimator, "even", n_copies=0).fit(rows, y)  # silent


@pytest.mark.parametrize("estimator", NOT_SPLITTING, ids=lambda e: type(e).__name__)
def test_other_estimators_are_no_warning(estimator, data):
    rows = data[0].reshape(20, -1) / 255
    if isinstance(estimator, StackingClassifier):
        rows = rows[:, :1]
    AugmentedEstimator(estimator, "even", n_copies=1).fit(rows, data[1])


def test_many_copies_let_boosting_stop_early():
    rows, y = to_rows(faces(400, 1, 2)) / 255, np.arange(400) % 2
    boosting = HistGradientBoostingClassifier(max_iter=1)
    with pytest.warns(UserWarning, match="is around HistGradientBoostingClassifier"):
        AugmentedEstimator(boosting, "even", n_copies=25).fit(rows, y)


def test_groups_keep_copies_together(data):
    x, y = data
    rows, groups = to_rows(x), np.arange(20) // 4
    search = GridSearchCV(KNN, {"n_neighbors": [1]}, cv=GroupKFold(5))
    splits = []

    class Splitter(GroupKFold):
        def split(self, X, y=None, groups=None):
            for train, test in super().split(X, y, groups):
                splits.append(set(groups[train]) & set(groups[test]))
                yield train, test

    search.set_params(cv=Splitter(5))
    AugmentedEstimator(search, "even", n_copies=2).fit(rows, y, groups=groups)  # silent
    assert splits == [set()] * 5


# --- refused --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"copies": "hard"}, "copies='hard', but expected 'even', 'mild', 'harsh' or a function"),
        ({"copies": 3}, "copies=3, but expected"),
        ({"copies": None}, "copies=None, but expected"),
        ({"n_copies": -1}, "n_copies=-1, but expected an integer >= 0"),
        ({"n_copies": 2.0}, "n_copies=2.0"),
        ({"n_copies": True}, "n_copies=True"),
        ({"channel_axis": 0}, "channel_axis=0"),
        ({"image_shape": (8,)}, "image_shape="),
        ({"bits": 17}, "bits=17"),
        ({"random_state": "x"}, "cannot be used to seed"),
        ({"copies": lambda X, seed: X[1:]}, r"returned images of shape \(5, 1, 8, 8\) and dtype "
         r"uint8, but expected those of X, \(6, 1, 8, 8\) and uint8\.$"),
        ({"copies": lambda X, seed: X / 2}, r"dtype float64, but .*end with: return copies.astype"),
        ({"copies": lambda X, seed: None}, r"shape \(\) and dtype NoneType"),
    ],
    ids=lambda value: value if isinstance(value, str) else "".join(value),
)  # fmt: skip
def test_what_is_refused(params, words):
    with pytest.raises(ValueError, match=words):
        AugmentedEstimator(Recorder(), **params).fit(faces())
    if not callable(params.get("copies")) and "random_state" not in params:
        with pytest.raises(ValueError, match=words):  # also where it is not used
            AugmentedEstimator(Recorder(), **{"n_copies": 0} | params).fit(faces())


def test_images_that_cannot_be_relit_are_refused_as_by_relight():
    with pytest.raises(ValueError, match=r"floats from .* but expected \[0, 1\]"):
        trained(faces(dtype="f8") * 255)
    with pytest.warns(UserWarning, match="image_shape=None") as caught:
        AugmentedEstimator(Recorder(), n_copies=1).fit(to_rows(faces()))
    assert caught[0].filename == __file__


def test_several_targets_of_another_length_are_left_to_the_estimator(data):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(ValueError, match="inconsistent numbers of samples"):
            recogniser(n_copies=1).fit(data[0], data[1][:-1])


def test_functions_in_place_of_lights_take_any_numbers(data):
    """Images need not be in [0, 1] there."""
    step = FunctionTransformer(to_rows)
    model = AugmentedEstimator(make_pipeline(step, KNN), lambda X, seed: X + 1, n_copies=1)
    assert model.fit(data[0] * 1e6, data[1]).score(data[0] * 1e6, data[1]) == 1
