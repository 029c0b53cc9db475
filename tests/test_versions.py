"""Stored estimators say which version of the package has stored them, and another version warns."""

import copy
import io
import pickle
import re
import warnings

import joblib
import numpy as np
import pytest
from _helpers import assert_same, faces
from _internals import store_as
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline

import sklearn_histeq
from sklearn_histeq import (
    AdaptiveHistogramEqualizer,
    AugmentedEstimator,
    HistogramEqualizer,
    HistogramMatcher,
    LocalHistogramEqualizer,
)


def through_pickle(estimator):
    stored = pickle.dumps(estimator)
    return lambda: pickle.loads(stored)


def through_joblib(estimator):
    file = io.BytesIO()
    joblib.dump(estimator, file)
    return lambda: joblib.load(file)


def through_skops(estimator):
    skops_io = pytest.importorskip("skops.io", reason="skops is not installed")
    stored = skops_io.dumps(estimator)
    trusted = skops_io.get_untrusted_types(data=stored)
    assert all(name.startswith("sklearn_histeq.") for name in trusted)
    return lambda: skops_io.loads(stored, trusted)


# estimator -> a function that loads what was stored of it
STORES = {
    "pickle": through_pickle,
    "joblib": through_joblib,
    "skops": through_skops,
}
STORED = [
    HistogramEqualizer(),
    HistogramEqualizer(scope="dataset"),
    AdaptiveHistogramEqualizer(n_tiles=2),
    LocalHistogramEqualizer(window=5),
    HistogramMatcher(),
    HistogramMatcher(landmarks="nyul"),
    AugmentedEstimator(KNeighborsClassifier(1), n_copies=1, random_state=0),
]
ROWS, Y = faces(6, 1, 12, seed=4).reshape(6, -1), np.arange(6) % 2


def results(estimator):
    return getattr(estimator, "transform", getattr(estimator, "predict", None))(ROWS)


@pytest.fixture(params=STORED, ids=repr)
def fitted(request):
    shape = {"image_shape": (12, 12)} if "image_shape" in request.param.get_params() else {}
    return request.param.set_params(**shape).fit(ROWS, Y)


def warnings_of(load):
    """What load() returns, and the texts of its warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        loaded = load()
    assert all(warning.category is UserWarning for warning in caught)
    return loaded, [str(warning.message) for warning in caught]


@pytest.mark.parametrize("store", STORES.values(), ids=STORES)
def test_the_same_version_loads_without_a_warning(fitted, store):
    loaded = store(fitted)()  # a warning would be an error
    assert_same(results(loaded), results(fitted))
    assert vars(loaded).keys() == vars(fitted).keys()
    for copied in (copy.copy(fitted), copy.deepcopy(fitted)):
        assert vars(copied).keys() == vars(fitted).keys()


@pytest.mark.parametrize("store", STORES.values(), ids=STORES)
def test_another_version_warns(fitted, store, monkeypatch):
    with monkeypatch.context() as other:
        store_as(other, "0.0.7")
        load = store(fitted)
    loaded, (text,) = warnings_of(load)
    assert text == (
        f"The stored {type(fitted).__name__} is from sklearn-histeq 0.0.7, but expected "
        f"{sklearn_histeq.__version__}, the version that loads it. It may fail, or give other "
        "results: fit it again and store it, or install sklearn-histeq==0.0.7."
    )
    assert_same(results(loaded), results(fitted))
    again, texts = warnings_of(store(loaded))
    assert not texts  # it is stored by this version now
    assert vars(again).keys() == vars(fitted).keys()


@pytest.mark.parametrize("store", STORES.values(), ids=STORES)
def test_a_state_without_a_version_warns(fitted, store, monkeypatch):
    with monkeypatch.context() as older:
        store_as(older, None)
        load = store(fitted)
    loaded, (text,) = warnings_of(load)
    assert re.search(r"is from an unknown version of sklearn-histeq, but .* and store it\.$", text)
    assert_same(results(loaded), results(fitted))


def test_each_step_of_a_stored_pipeline_warns(monkeypatch):
    """The warning points to the line that loads the pickle."""
    pipeline = make_pipeline(HistogramEqualizer(), HistogramMatcher()).fit(ROWS)
    with monkeypatch.context() as other:
        store_as(other, "0.0.7")
        stored = pickle.dumps(pipeline)
    with pytest.warns(UserWarning, match="sklearn-histeq 0.0.7") as caught:
        pickle.loads(stored)
    found = [str(warning.message).split()[2] for warning in caught]
    assert found == ["HistogramEqualizer", "HistogramMatcher"]
    assert {warning.filename for warning in caught} == {__file__}
