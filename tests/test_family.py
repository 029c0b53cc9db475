"""The estimators side by side: scikit-learn's checks, pipelines, the choice among them."""

import os
import re

import numpy as np
import pytest
from _helpers import assert_same, faces
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

ARRAY_API = os.environ.get("SCIPY_ARRAY_API") == "1"
WHY = "some checks want SCIPY_ARRAY_API=1 in the environment before SciPy is imported (make test)"

try:
    from sklearn.utils.estimator_checks import check_estimator, parametrize_with_checks
except RuntimeError as error:  # scikit-learn 1.6 beside array-api-compat
    if ARRAY_API:
        raise
    pytest.skip(f"{WHY}: {error}", allow_module_level=True)

pytestmark = [
    pytest.mark.usefixtures("engine"),
    # scikit-learn's checks give rows without geometry, and small images have room for few tiles
    pytest.mark.filterwarnings("ignore:.*(image_shape=None|n_tiles=):UserWarning"),
]

ESTIMATORS = [
    AdaptiveHistogramEqualizer(),
    AdaptiveHistogramEqualizer(clip_limit=None, n_tiles=(1, 2)),
    AdaptiveHistogramEqualizer(tile_shape=2, n_bins=16, flatten=True),
    AdaptiveHistogramEqualizer(dtype="float32"),
    AdaptiveHistogramEqualizer(dtype="uint8"),
    AdaptiveHistogramEqualizer(dtype="input", n_jobs=2),
    HistogramMatcher(),
    HistogramMatcher(flatten=True),
    HistogramMatcher(dtype="float64"),
    HistogramMatcher(dtype="uint16", n_jobs=2),
    HistogramMatcher(dtype="input"),
    # a list: the check of the array API wants arrays of NumPy nowhere in the estimator
    HistogramMatcher(reference=np.linspace(0, 1, 12).tolist()),
    HistogramMatcher(reference=[[0, 1], [2, 3]], dtype="float32"),
    LocalHistogramEqualizer(),
    LocalHistogramEqualizer(window=3, flatten=True),
    LocalHistogramEqualizer(window=0.5, dtype="float32"),
    LocalHistogramEqualizer(dtype="uint8"),
    LocalHistogramEqualizer(dtype="input", n_jobs=2),
]
FAMILY = [
    HistogramEqualizer(),
    AdaptiveHistogramEqualizer(),
    HistogramMatcher(),
    LocalHistogramEqualizer(),
]


@parametrize_with_checks(ESTIMATORS)
def test_scikit_learns_checks(estimator, check):
    check(estimator)


@pytest.mark.skipif(not ARRAY_API, reason=WHY)
@pytest.mark.parametrize("estimator", [*FAMILY, HistogramMatcher(reference=[[0.0, 1.0]])], ids=str)
def test_no_check_is_left_out(estimator):
    """A check that skips itself, for a tag that is wrong, would not be seen otherwise."""
    pytest.importorskip("array_api_strict")
    pytest.importorskip("pandas")
    pytest.importorskip("polars")
    results = check_estimator(estimator, on_skip=None, on_fail=None)
    others = {r["check_name"]: str(r["exception"]) for r in results if r["status"] != "passed"}
    missing = re.compile(r"(torch|cupy|dpnp) is not installed: not checking array_api input")
    assert not {name: why for name, why in others.items() if not missing.fullmatch(why)}
    assert len(results) >= 40


by_estimator = pytest.mark.parametrize("estimator", FAMILY, ids=str)


@pytest.fixture
def lit():
    """Faces of five persons under eight lights each, and who they are."""
    rng = np.random.default_rng(0)
    persons = rng.random((5, 1, 16, 16)) * 100
    gains = rng.uniform(0.5, 2, (5, 8, 1, 1))
    x = persons * gains + rng.uniform(0, 50, (5, 8, 1, 1)) + rng.normal(0, 3, (5, 8, 16, 16))
    return x.clip(0, 255).astype(np.uint8).reshape(40, 1, 16, 16), np.repeat(np.arange(5), 8)


@by_estimator
def test_in_a_pipeline(estimator, lit):
    x, y = lit
    steps = clone(estimator).set_params(flatten=True), PCA(8), KNeighborsClassifier(1)
    assert cross_val_score(make_pipeline(*steps), x, y, cv=4).mean() > 0.9


def to_rows(x):
    return x.reshape(len(x), -1)


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
    expected = clone(estimator).fit_transform(x, mask=mask).reshape(40, -1)
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
    assert {"color", "channel_axis", "image_shape", "flatten", "dtype", "n_jobs"} <= set(names)
    with pytest.raises(TypeError):
        type(estimator)(None)


@by_estimator
def test_the_first_pitfall_is_in_the_docstring(estimator):
    assert "transform(image[None])" in type(estimator).__doc__
    assert type(estimator).__name__ in sklearn_histeq.__all__


@by_estimator
@pytest.mark.parametrize("bad", [{"color": "gray"}, {"channel_axis": 0}, {"flatten": 1}], ids=str)
def test_common_parameters_are_checked(estimator, bad):
    with pytest.raises(ValueError, match="expected"):
        clone(estimator).set_params(**bad).fit(faces())
