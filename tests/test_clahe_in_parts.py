"""CLAHE in passes over parts of planes gives the bits of whole planes, whatever cuts the tiles."""

import itertools
import warnings

import numpy as np
import pytest
from _internals import (
    in_parts,
    needs_kernels,
    set_counts_of_tiles,
    set_parts_of_large_planes,
)
from _strategies import BEYOND_SINGLE

from sklearn_histeq import AdaptiveHistogramEqualizer

pytestmark = [
    needs_kernels,
    pytest.mark.engines("auto", "portable"),
    pytest.mark.usefixtures("engine"),
]

DTYPES = {
    "histeq": "uint8 uint16 float32 float64 float16 int16 int8 bool uint32 int64 >u2 >f4",
    "skimage": "uint8 uint16 float32 float64 float16 int16 int8 bool uint32 int64 >u2 >f4",
    "opencv": "uint8 uint16 >u2",
}
OUTPUTS = {
    "histeq": [None, "float32", "uint8", "uint16"],
    "skimage": [None, "float32", "uint8", "uint16"],
    "opencv": [None, "uint8", "uint16"],
}
N_CASES = 8  # per seed


def pixels(rng, dtype, shape, convention):
    """Random planes of a dtype that a convention takes, of wide or narrow ranges."""
    dtype = np.dtype(dtype)
    if dtype.kind == "f":
        scale = 10.0 ** rng.integers(-3, 4) if convention == "histeq" else 1
        x = rng.random(shape) * scale
    else:
        top = 1 if dtype.kind == "b" else min(int(np.iinfo(dtype).max), 10 ** rng.integers(1, 7))
        low = -min(top, 100) if dtype.kind == "i" and convention == "histeq" else 0
        x = rng.integers(low, top, shape, endpoint=True)
    if rng.random() < 0.1:
        x[0, 0] = x.flat[0]  # of one level
    return x.astype(dtype)


def missing_pixels(rng, x):
    """A mask, or None, that leaves whole tiles without a pixel; NaN in floats."""
    if x.dtype.kind == "f" and rng.random() < 0.4:
        x[rng.random(x.shape) < rng.choice([0.02, 0.5])] = np.nan
        x[:, :, 0] = 0.5  # no plane of NaN alone
    if rng.random() < 0.6:
        return None
    mask = rng.random((len(x), *x.shape[2:])) < rng.choice([0.1, 0.5, 0.95])
    mask[..., : x.shape[-1] // 2] &= rng.random() < 0.5
    mask[:, 0] = True
    return mask


def parameters(rng, convention, shape, dtype):
    """Random parameters of the estimator for planes of a shape."""
    n_tiles = tuple(int(rng.integers(1, max(2, min(10, side // 2)))) for side in shape)
    params = {"convention": convention, "n_tiles": n_tiles, "spatial_dims": len(shape)}
    params["dtype"] = rng.choice(OUTPUTS[convention])
    params["clip_limit"] = rng.choice(["auto", None, 2.5, 40.0])
    if params["clip_limit"] not in ("auto", None):
        params["clip_limit"] = float(params["clip_limit"])
    if convention == "opencv":
        return params
    if convention == "skimage":
        params["clip_limit"] = [None, 0.01, 0.2][rng.integers(3)]
    params["n_bins"] = int(rng.choice([2, 7, 64, 256]))
    kind = rng.random()
    if kind < 0.3:
        params["value_range"] = ["dtype", (0.0, 0.5), (10.0, 300.0)][rng.integers(3)]
    elif kind < 0.5 and np.dtype(dtype).kind != "f" and np.dtype(dtype).itemsize <= 2:
        params["quantile_range"] = (
            float(rng.choice([0, 2, 25])),
            float(rng.choice([60, 98, 99.5])),
        )
    return params


def places_of(rng, shape):
    """Random places that cut planes of a shape along every axis, in a random order."""
    sides = []
    for side in shape:
        cuts = rng.integers(0, side + 1, rng.integers(0, 5))
        edges = np.unique([0, *cuts, side]).tolist()
        sides.append([slice(*pair) for pair in itertools.pairwise(edges)])
    places = list(itertools.product(*sides))
    rng.shuffle(order := np.arange(len(places)))
    return [places[i] for i in order]


def case(rng, convention):
    """An estimator, planes, a mask or None, and places."""
    is_volume = convention == "histeq" and rng.random() < 0.3
    shape = tuple(rng.integers(2, 20, 3).tolist() if is_volume else rng.integers(2, 60, 2).tolist())
    dtype = rng.choice(DTYPES[convention].split())
    x = pixels(rng, dtype, (*rng.integers(1, 4, 2).tolist(), *shape), convention)
    mask = missing_pixels(rng, x) if convention == "histeq" else None
    estimator = AdaptiveHistogramEqualizer(**parameters(rng, convention, shape, x.dtype))
    if x.dtype.kind == "f" and np.isnan(x).any():
        estimator.set_params(dtype=None)  # integers have no NaN
    return estimator, x, mask, places_of(rng, shape)


def assert_same_in_parts(estimator, x, mask, places):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "n_tiles")
        expected = estimator.fit_transform(x, mask=mask)
    found = in_parts(estimator, x, mask, places, expected.dtype)
    assert not isinstance(found, str), found
    np.testing.assert_array_equal(found, expected, err_msg=repr((estimator, x.dtype, places)))


@pytest.mark.parametrize("convention", DTYPES)
@pytest.mark.parametrize("seed", range(6))
def test_random_parts_give_the_bits_of_the_whole(convention, seed):
    rng = np.random.default_rng(seed)
    for _ in range(N_CASES):
        assert_same_in_parts(*case(rng, convention))


@pytest.mark.parametrize("convention", DTYPES)
@pytest.mark.parametrize("seed", range(3))
def test_parts_that_count_the_tiles_around_them(convention, seed, monkeypatch):
    """As where a plane has so many tiles that the counts of all would take much memory."""
    set_counts_of_tiles(monkeypatch, n_counts=0)
    rng = np.random.default_rng(100 + seed)
    for _ in range(N_CASES):
        assert_same_in_parts(*case(rng, convention))


@pytest.mark.parametrize("convention", DTYPES)
def test_tiles_of_more_pixels_than_kernels_count(convention, monkeypatch):
    set_counts_of_tiles(monkeypatch, n_pixels=3)
    rng = np.random.default_rng(5)
    for _ in range(N_CASES):
        assert_same_in_parts(*case(rng, convention))


@pytest.mark.parametrize("n_tiles", [1, 3, 8, 40])
@pytest.mark.parametrize("shape", [(41, 9), (40, 40), (3, 77), (7, 8)])
def test_opencv_counts_pixels_near_the_far_edges_once_more(shape, n_tiles):
    """Its padding, by reflection, may be wider than a tile, and its tiles may lie beyond."""
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (1, 1, *shape)).astype(np.uint8)
    estimator = AdaptiveHistogramEqualizer(convention="opencv", n_tiles=n_tiles)
    for _ in range(5):
        assert_same_in_parts(estimator, x, None, places_of(rng, shape))


@pytest.mark.parametrize("convention", DTYPES)
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("n_channels", [1, 3])
def test_threads_share_a_large_plane_in_parts(convention, dtype, n_channels, monkeypatch):
    if convention == "opencv" and dtype == "float32":
        dtype = ">u2"
    rng = np.random.default_rng(0)
    x = pixels(rng, dtype, (1, n_channels, 90, 70), "opencv")
    estimator = AdaptiveHistogramEqualizer(convention=convention, n_tiles=(5, 4))
    expected = estimator.fit_transform(x)
    set_parts_of_large_planes(monkeypatch, 1000)
    monkeypatch.setattr("sklearn_histeq._blocks.NS_PER_THREAD", 1)
    np.testing.assert_array_equal(estimator.set_params(n_jobs=3).fit_transform(x), expected)


def test_planes_whose_bins_are_not_certain_are_put_together():
    rng = np.random.default_rng(0)
    x = (1 + rng.random((2, 2, 30, 40)) * 1e-5).astype(np.float32)  # some 80 distinct values
    x[0, 1] = rng.random((30, 40))
    mask = rng.random((2, 30, 40)) < 0.9
    for estimator in (
        AdaptiveHistogramEqualizer(),
        AdaptiveHistogramEqualizer(value_range=(1, 1 + 1e-6)),
    ):
        expected = estimator.fit_transform(x, mask=mask)
        with pytest.warns(UserWarning, match="put together in one piece of 0.0 MiB"):
            found = in_parts(estimator, x, mask, places_of(rng, (30, 40)), expected.dtype)
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("limits", BEYOND_SINGLE)
def test_parts_over_ranges_that_single_precision_does_not_have(limits):
    rng = np.random.default_rng(0)
    x = rng.random((1, 2, 30, 40)).astype(np.float32)
    estimator = AdaptiveHistogramEqualizer(convention="skimage", value_range=limits)
    expected = estimator.fit_transform(x)
    found = in_parts(estimator, x, None, places_of(rng, (30, 40)), expected.dtype)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("dtype", "params", "reason"),
    [
        ("float32", {"quantile_range": (1, 99)}, "quantile_range needs all float32 pixels"),
        ("uint32", {"quantile_range": (1, 99)}, "quantile_range needs all uint32 pixels"),
        ("uint8", {"n_bins": 2**20}, "n_bins=1048576 is too many"),
        ("longdouble", {}, "the kernels do not read"),
    ],
)
def test_why_planes_must_be_whole(dtype, params, reason):
    x = np.zeros((1, 1, 40, 40), dtype)
    whole = [(slice(0, 40), slice(0, 40))]
    assert reason in in_parts(AdaptiveHistogramEqualizer(**params), x, None, whole, np.dtype(float))
