"""The estimators side by side: pipelines, the choice among them, what all have in common."""

import numpy as np
import pytest
from _helpers import assert_same, faces, to_rows
from sklearn import config_context
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer

import sklearn_histeq
from sklearn_histeq import (
    AdaptiveHistogramEqualizer,
    HistogramEqualizer,
    HistogramMatcher,
    LocalHistogramEqualizer,
)

pytestmark = pytest.mark.usefixtures("engine", "one_thread")

FAMILY = [
    HistogramEqualizer(),
    AdaptiveHistogramEqualizer(),
    HistogramMatcher(),
    LocalHistogramEqualizer(),
]
by_estimator = pytest.mark.parametrize("estimator", FAMILY, ids=str)


@pytest.fixture(scope="module")
def lit():
    """Faces of five persons under eight lights each, and who they are."""
    rng = np.random.default_rng(0)
    persons = rng.random((5, 1, 16, 16)) * 100
    gains = rng.uniform(0.5, 2, (5, 8, 1, 1))
    x = persons * gains + rng.uniform(0, 50, (5, 8, 1, 1)) + rng.normal(0, 3, (5, 8, 16, 16))
    return x.clip(0, 255).astype(np.uint8).reshape(40, 1, 16, 16), np.repeat(np.arange(5), 8)


def test_all_estimators_are_tried():
    public = (getattr(sklearn_histeq, name) for name in sklearn_histeq.__all__)
    transformers = {thing for thing in public if hasattr(thing, "transform")}
    assert {type(e) for e in FAMILY} == transformers - {sklearn_histeq.AugmentedEstimator}


@by_estimator
def test_in_a_pipeline(estimator, lit):
    x, y = lit
    steps = clone(estimator).set_params(flatten=True), PCA(8), KNeighborsClassifier(1)
    assert cross_val_score(make_pipeline(*steps), x, y, cv=4).mean() > 0.9


def test_a_search_over_the_choice_itself(lit):
    x, y = lit
    pipeline = Pipeline(
        [
            ("equalize", None),
            ("flat", FunctionTransformer(to_rows)),
            ("classify", KNeighborsClassifier(1)),
        ]
    )
    grid = [
        {"equalize": [*FAMILY, "passthrough"]},
        {"equalize": [AdaptiveHistogramEqualizer()], "equalize__n_tiles": [2, 4]},
        {"equalize": [AdaptiveHistogramEqualizer()], "equalize__clip_limit": [2.0, None]},
        {"equalize": [HistogramMatcher()], "equalize__dtype": [None, "uint8"]},
        {"equalize": [LocalHistogramEqualizer()], "equalize__window": [3, 0.5]},
    ]
    search = GridSearchCV(pipeline, grid, cv=4).fit(x, y)
    scores = search.cv_results_["mean_test_score"]
    assert len(scores) == 13
    assert np.isfinite(scores).all()
    assert search.best_score_ > 0.9
    assert search.predict(x).shape == (40,)


@pytest.mark.parametrize("estimator", FAMILY[1:], ids=str)
def test_masks_travel_by_metadata_routing(estimator, lit):
    x, y = lit
    mask = np.random.default_rng(1).random((40, 16, 16)) < 0.7
    expected = to_rows(clone(estimator).fit_transform(x, mask=mask))
    with config_context(enable_metadata_routing=True):
        pipeline = make_pipeline(clone(estimator).set_params(flatten=True), PCA(3))
        rows = pipeline.fit(x, y, mask=mask)[0].transform(x, mask=mask)
    assert_same(rows, expected)


@by_estimator
@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_data_frames_where_the_output_is_two_dimensional(estimator, library):
    pytest.importorskip(library)
    x = faces(side=16)
    rows = clone(estimator).set_params(flatten=True).fit(x).transform(x)
    frames = clone(estimator).set_params(flatten=True).set_output(transform=library)
    frame = frames.fit_transform(x)
    assert_same(frame.to_numpy(), rows)
    assert list(frame.columns) == list(frames.get_feature_names_out())


@by_estimator
def test_one_image_alone_and_the_bare_one(estimator):
    x = faces(side=16)
    fitted = clone(estimator).fit(x)
    assert_same(fitted.transform(x[2][None]), fitted.transform(x)[2][None])


@by_estimator
def test_the_common_parameters_are_last_and_keyword_only(estimator):
    names = list(estimator.get_params())
    assert {"color", "channel_axis", "image_shape", "spatial_dims"} <= set(names)
    assert {"flatten", "dtype", "n_jobs"} <= set(names)
    with pytest.raises(TypeError):
        type(estimator)(None)


@by_estimator
def test_the_first_pitfall_is_in_the_docstring(estimator):
    assert "transform(image[None])" in type(estimator).__doc__


@by_estimator
@pytest.mark.parametrize(
    "bad", [{"color": "gray"}, {"channel_axis": 0}, {"spatial_dims": 1}, {"flatten": 1}], ids=str
)
def test_common_parameters_are_checked(estimator, bad):
    with pytest.raises(ValueError, match="expected"):
        clone(estimator).set_params(**bad).fit(faces())
