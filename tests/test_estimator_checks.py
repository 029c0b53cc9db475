"""scikit-learn's own checks: all pass, none is expected to fail."""

import os
import re

import pytest
from sklearn.model_selection import ParameterGrid

from sklearn_histeq import (
    AdaptiveHistogramEqualizer,
    HistogramEqualizer,
    HistogramMatcher,
    LocalHistogramEqualizer,
)

# why scikit-learn skips checks of arrays of other libraries
NOT_HERE = r"(cupy|dpnp|torch) is not installed|requires cuda|no XPU device|MPS device"
ARRAY_API = os.environ.get("SCIPY_ARRAY_API") == "1"
WHY = "some checks want SCIPY_ARRAY_API=1 in the environment before SciPy is imported (make test)"

try:
    from sklearn.utils.estimator_checks import check_estimator, parametrize_with_checks
except RuntimeError as error:  # scikit-learn 1.6 beside array-api-compat
    if ARRAY_API:
        raise
    pytest.skip(f"{WHY}: {error}", allow_module_level=True)

pytestmark = pytest.mark.usefixtures("default_engine")

COMMON = {
    "flatten": [False, True],
    "dtype": [None, "input", "float32", "float64", "uint8", "uint16"],
    "n_jobs": [None, 2],
}
GRIDS = {
    HistogramEqualizer: [
        {"convention": ["skimage"], "n_bins": ["auto", 16], "scope": ["image", "dataset"]},
        {"convention": ["numpy"], "n_bins": ["auto", 300], "scope": ["image", "dataset"]},
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
    HistogramMatcher: [{}],
}


def estimators():
    """All combinations of parameters of scikit-learn's rows, in a fixed order."""
    for cls, grids in GRIDS.items():
        for params in ParameterGrid([COMMON | grid for grid in grids]):
            yield cls(**params)


# All of them run with HISTEQ_TEST_ALL=1 (make test-all), which takes minutes; else a sample.
EVERY = 1 if os.environ.get("HISTEQ_TEST_ALL") else 17
ESTIMATORS = [HistogramEqualizer(), HistogramEqualizer(scope="dataset"), HistogramMatcher(),
              LocalHistogramEqualizer()]  # fmt: skip
ESTIMATORS += list(estimators())[::EVERY]


def test_the_grid_is_large():
    assert len(list(estimators())) >= 400


@pytest.mark.filterwarnings("ignore:image_shape=None with rows")
@parametrize_with_checks(ESTIMATORS)
def test_scikit_learns_checks(estimator, check):
    check(estimator)


def test_array_api_checks_run():
    if not ARRAY_API:
        pytest.skip(WHY)
    pytest.importorskip("array_api_compat")
    pytest.importorskip("array_api_strict")


@pytest.mark.skipif(not ARRAY_API, reason=WHY)
@pytest.mark.parametrize("scope", ["image", "dataset"])
def test_no_check_is_left_out(scope):
    """A check that skips itself, for a tag that is wrong, would not be seen otherwise."""
    pytest.importorskip("array_api_strict")
    pytest.importorskip("pandas")
    pytest.importorskip("polars")
    results = check_estimator(HistogramEqualizer(scope=scope), on_skip=None, on_fail=None)
    others = {
        (r["check_name"], str(r["exception"]))
        for r in results
        if r["status"] != "passed" and not re.search(NOT_HERE, str(r["exception"]))
    }
    assert others == set()
    assert len(results) >= 40


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
