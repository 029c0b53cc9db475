"""The tables in docs/combinations, which the guide shows: each cell is a test.

A row and a column say what is set, as a user writes it, or what the images are. A cell says what
becomes of both: "yes" (it works, and the column changes the result), "no effect" (it works, and
changes nothing), "error" (fit says so, by name), or "–" (both set the same parameter). Volumes have
no result without spatial_dims that could change.
"""

import csv
import os
import re
from pathlib import Path
from typing import Any, NamedTuple, get_args, get_type_hints

import numpy as np
import pytest
import sklearn
from _helpers import assert_same
from _internals import to_numpy
from sklearn.base import clone

from sklearn_histeq import (
    AdaptiveHistogramEqualizer,
    HistogramEqualizer,
    HistogramMatcher,
    LocalHistogramEqualizer,
)

pytestmark = pytest.mark.usefixtures("engine")

TABLES = Path(__file__).parents[1] / "docs" / "combinations"
ESTIMATORS = {
    "equalize": HistogramEqualizer(),
    "clahe": AdaptiveHistogramEqualizer(n_tiles=2),
    "local": LocalHistogramEqualizer(window=5),
    "match": HistogramMatcher(),
}
# parameters that need no table: layouts, threads, tiles, windows, and bins of CLAHE
OLDER = {"channel_axis", "image_shape", "flatten", "n_jobs"}
OLDER |= {"n_tiles", "tile_shape", "clip_limit", "window", "n_bins"}
OF_BYTES = {("equalize", "opencv"), ("equalize", "pillow"), ("clahe", "opencv")}
OF_BYTES.add(("local", "skimage"))


class Given(NamedTuple):
    """What fit and transform are given, and how their output becomes NumPy's."""

    X: Any
    mask: Any = None
    back: Any = np.asarray


def with_mask(X):
    return Given(X, np.random.default_rng(1).random((len(X), *X.shape[2:])) < 0.7)


def with_nan(X):
    X = X.copy()
    X[:, :, 2, :5] = np.nan

    def back(out):
        assert np.isnan(out[:, :, 2, :5]).all()
        return np.delete(out, 2, axis=2)

    return Given(X, back=back)


def lazy(X):
    array = pytest.importorskip("dask.array")
    return Given(array.from_array(X, chunks=(3, *X.shape[1:])), back=lambda out: out.compute())


def elsewhere(X):
    if os.environ.get("SCIPY_ARRAY_API") != "1":
        pytest.skip("scikit-learn dispatches with SCIPY_ARRAY_API=1 only")
    xp = pytest.importorskip("array_api_strict")
    return Given(xp.asarray(X, device=xp.Device("device1")), back=to_numpy)


# What a row says besides parameters: how images are given, and their dtypes.
INTEGERS, FLOATS = ("uint8", "uint16", "int32"), ("float32", "float64")
IMAGES = {
    "": (Given, None),
    "integers": (Given, INTEGERS),
    "floats": (Given, FLOATS),
    "`mask`": (with_mask, FLOATS),
    "NaN": (with_nan, FLOATS),
    "dask array": (lazy, FLOATS),
    "array on another device": (elsewhere, FLOATS),
}


def table(method):
    """The rows of a table, as texts; the first is the head."""
    with (TABLES / f"{method}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def cells():
    """Every cell, with its method, its row and its column."""
    for method in ESTIMATORS:
        (_, *columns), *rows = table(method)
        for row, *found in rows:
            for column, cell in zip(columns, found, strict=True):
                yield pytest.param(method, row, column, cell, id=f"{method}, {row}, {column}")


def settings_of(text, **names):
    """The parameters that a text sets, and the words in it that set none."""
    code = ", ".join(re.findall("`([^`]*=[^`]*)`", text))
    words = re.sub(",? ?`[^`]*=[^`]*`", "", text)
    return eval(f"dict({code})", names), words


def images_of(method, settings, dtype):
    """Colours over the whole range of a dtype; volumes where spatial_dims says so."""
    if dtype is None:
        is_of_bytes = (method, settings.get("convention")) in OF_BYTES
        dtype = "uint8" if is_of_bytes else "float64"
    shape = (4, 3, 6, 12, 12) if settings.get("spatial_dims") == 3 else (4, 3, 20, 20)
    full = np.iinfo(dtype).max if "int" in dtype else 1
    return (np.random.default_rng(0).random(shape) ** 2 * full).astype(dtype)


def cases(method, row, column):
    """Give, for each dtype of a row, the row's estimator, the column's parameters, and images."""
    names = {"low": 0.2, "high": 0.7, "image": None}
    settings, words = settings_of(row, **names)
    settings |= settings_of(column, **names)[0]
    give, dtypes = IMAGES[words]
    for dtype in dtypes or [None]:
        X = images_of(method, settings, dtype)
        full = np.iinfo(X.dtype).max if X.dtype.kind in "iu" else 1
        names = {"low": 0.2 * full, "high": 0.7 * full, "image": X[0][::-1] / 2}
        estimator = clone(ESTIMATORS[method]).set_params(**settings_of(row, **names)[0])
        yield estimator, settings_of(column, **names)[0], give(X), X


def result(estimator, given):
    """What an estimator makes of images, as NumPy's array."""
    fitted = clone(estimator).fit(given.X, mask=given.mask)
    return given.back(fitted.transform(given.X, mask=given.mask))


@pytest.fixture(autouse=True)
def _dispatch():
    is_on = os.environ.get("SCIPY_ARRAY_API") == "1"
    with sklearn.config_context(array_api_dispatch=is_on):
        yield


@pytest.mark.parametrize(("method", "row", "column", "cell"), [*cells()])
def test_cell(method, row, column, cell):
    for estimator, params, given, X in cases(method, row, column):
        if cell == "–":
            assert params.keys() & settings_of(row, low=0, high=1, image=X)[0].keys()
            continue
        both = clone(estimator).set_params(**params)
        without = None if "spatial_dims" in params else result(estimator, given)
        if cell == "error":
            with pytest.raises(ValueError, match="expected") as error:
                both.fit(given.X, mask=given.mask)
            assert any(name in str(error.value).partition("expected")[0] for name in params)
            continue
        found = result(both, given)
        assert np.isfinite(found).all()
        assert (cell == "no effect") == np.array_equal(found, without)
        if row in ("dask array", "array on another device"):
            assert_same(found, result(both, Given(X)))


@pytest.mark.parametrize("method", ESTIMATORS)
def test_tables_are_whole(method):
    """Every parameter is in its table or older, and every choice has a row."""
    (_, *columns), *rows = table(method)
    names = [row for row, *_ in rows]
    assert len(names) == len(set(names))
    assert {cell for _, *found in rows for cell in found} <= {"yes", "no effect", "error", "–"}
    shown = set().union(*(settings_of(t, low=0, high=1, image=0)[0] for t in names + columns))
    estimator = ESTIMATORS[method]
    assert estimator.get_params().keys() - OLDER <= shown
    hints = get_type_hints(type(estimator).__init__)
    for name in {"convention", "scope", "output_distribution", "color"} & hints.keys():
        values = set(get_args(hints[name])) - {"channels", "image", "uniform"}
        assert {f'`{name}="{value}"`' for value in values} <= set(names)
