"""scikit-learn's own checks: all pass, none is expected to fail."""

import os
import re
from importlib.util import find_spec

import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import ParameterGrid
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_histeq import (
    AdaptiveHistogramEqualizer,
    AugmentedEstimator,
    HistogramEqualizer,
    HistogramMatcher,
    LocalHistogramEqualizer,
)

# why scikit-learn skips checks of arrays of other libraries
NOT_HERE = r"(cupy|dpnp|torch) is not installed|requires cuda|no XPU device|MPS device"
MISSING = [name for name in ("array_api_strict", "pandas", "polars") if find_spec(name) is None]
ARRAY_API = os.environ.get("SCIPY_ARRAY_API") == "1"
WHY = "some checks want SCIPY_ARRAY_API=1 in the environment before SciPy is imported (make test)"

try:
    from sklearn.utils.estimator_checks import check_estimator
except RuntimeError as error:  # scikit-learn 1.6 beside array-api-compat
    if ARRAY_API:
        raise
    pytest.skip(f"{WHY}: {error}", allow_module_level=True)

pytestmark = pytest.mark.usefixtures("engine", "one_thread")


def written(estimator):
    """An estimator as one line, without addresses, which differ between processes."""
    return " ".join(str(estimator).split()).replace(str(unchanged), "unchanged")


def unchanged(X, random_state):
    """Copies for scikit-learn's data, which are not images in [0, 1]; pickled by the checks."""
    return X


CLASSIFIER = make_pipeline(StandardScaler(), LogisticRegression())

# Each estimator as it comes, and what changes the tags that the checks ask for: one that must be
# fitted and learns from batches, one that need not be; output dtypes, of which one takes no NaN;
# rows out; threads. scikit-learn's images are rows of floats beyond 1: colours and the conventions
# of OpenCV and scikit-image's CLAHE refuse them, so the test files of these look at their tags.
ESTIMATORS = [
    HistogramEqualizer(),
    HistogramEqualizer(scope="dataset"),
    HistogramEqualizer(output_distribution="normal", n_bins=16, dtype="float32"),
    HistogramEqualizer(convention="numpy", dtype="uint8", flatten=True, n_jobs=2),
    AdaptiveHistogramEqualizer(),
    HistogramMatcher(),
    # a list: the check of the array API wants arrays of NumPy nowhere in the estimator
    HistogramMatcher(reference=[[0, 1], [2, 3]]),
    HistogramMatcher(landmarks="nyul"),
    HistogramMatcher(strength=0.5),
    HistogramEqualizer(strength=0.5, value_range=(-9, 99), dtype="float64"),
    LocalHistogramEqualizer(),
    AugmentedEstimator(HistogramEqualizer(), n_copies=0),
    AugmentedEstimator(HistogramEqualizer(scope="dataset"), unchanged, n_copies=2),
    AugmentedEstimator(CLASSIFIER, n_copies=0),
    AugmentedEstimator(CLASSIFIER, unchanged, n_copies=2),
    HistogramEqualizer(spatial_dims=3),
    HistogramEqualizer(scope="dataset", spatial_dims=3, image_shape=None),
    HistogramMatcher(spatial_dims=3),
    AdaptiveHistogramEqualizer(n_tiles=(1, 1, 2), spatial_dims=3),
    LocalHistogramEqualizer(spatial_dims=3),
]

COMMON = {
    "flatten": [False, True],
    "dtype": [None, "input", "float32", "float64", "uint8", "uint16"],
    "n_jobs": [None, 2],
}
GRIDS = {
    HistogramEqualizer: [
        {"convention": ["skimage"], "n_bins": ["auto", 16], "scope": ["image", "dataset"]},
        {"convention": ["numpy"], "n_bins": ["auto", 300], "scope": ["image", "dataset"]},
        {"strength": [0, 0.5], "value_range": [(0, 255)], "scope": ["image", "dataset"]},
        {
            "output_distribution": ["normal"],
            "n_bins": ["auto", 16],
            "scope": ["image", "dataset"],
            "dtype": [None, "float32", "float64"],
        },
    ],
    AdaptiveHistogramEqualizer: [
        {"n_tiles": [1, (1, 2)], "clip_limit": ["auto", None], "n_bins": [256, 16]},
        {"tile_shape": [(1, 2)], "clip_limit": [2], "n_bins": [16]},
    ],
    HistogramMatcher: [
        {"strength": [0, 0.5, 1]},
        {"reference": [[[0, 1], [2, 3]]]},
        {"landmarks": ["nyul", (0, 100)], "standard_range": [(0, 100), (0, 1)]},
    ],
    LocalHistogramEqualizer: [{"window": [3, 0.5]}],
}


def all_combinations():
    """All combinations of parameters that take scikit-learn's rows, in a fixed order."""
    for cls, grids in GRIDS.items():
        for params in ParameterGrid([COMMON | grid for grid in grids]):
            yield cls(**params)


# With HISTEQ_TEST_ALL=1 (make test-all), which takes many minutes.
if os.environ.get("HISTEQ_TEST_ALL"):
    ESTIMATORS += all_combinations()


@pytest.mark.filterwarnings("ignore:.*(image_shape=None|n_tiles=):UserWarning")
@pytest.mark.parametrize("estimator", ESTIMATORS, ids=written)
def test_scikit_learns_checks(estimator):
    """All pass; and none skips itself, as it would for a tag that is wrong."""
    results = check_estimator(estimator, on_skip=None)  # what fails is raised
    others = {r["check_name"]: str(r["exception"]) for r in results if r["status"] != "passed"}
    if ARRAY_API and not MISSING:
        assert not {name: why for name, why in others.items() if not re.search(NOT_HERE, why)}
    assert len(results) - len(others) >= 40


# --- tags tell the truth --------------------------------------------------------------------------


def tags(**params):
    return HistogramEqualizer(**params).__sklearn_tags__()


def test_only_what_learns_must_be_fitted():
    assert not tags().requires_fit
    assert tags(scope="dataset").requires_fit


@pytest.mark.parametrize(
    ("params", "preserved"),
    [
        ({}, ["float64", "float32"]),
        ({"output_distribution": "normal"}, ["float64", "float32"]),
        ({"dtype": "float32"}, ["float32"]),
        ({"dtype": "float64"}, ["float64"]),
        ({"dtype": "uint8"}, ["uint8"]),
        ({"dtype": "uint16"}, ["uint16"]),
        ({"convention": "numpy"}, ["float64"]),
        ({"convention": "opencv"}, ["uint8"]),
        ({"convention": "pillow"}, ["uint8"]),
    ],
    ids=str,
)
def test_preserved_dtypes(params, preserved):
    assert tags(**params).transformer_tags.preserves_dtype == preserved


def test_missing_pixels_are_taken_where_the_convention_has_floats():
    for convention in ("skimage", "numpy"):
        assert tags(convention=convention).input_tags.allow_nan
    for convention in ("opencv", "pillow"):
        assert not tags(convention=convention).input_tags.allow_nan


def test_images_are_of_two_to_four_dimensions():
    given = tags().input_tags
    assert given.two_d_array
    assert given.three_d_array
    assert not given.sparse
    assert not tags().target_tags.required
