"""Arrays of the array API: the bits, errors and attributes of NumPy's, in the library of X.

"on the CPU" they are views for the usual engine. array_api_strict emulates other devices, and so do
tensors here of which the package is told that they are not on the CPU: the engine `array_api` does
the work.
"""

import os
import pickle
import re
import subprocess
import sys
import tracemalloc
from itertools import product
from pathlib import Path

import _strategies
import numpy as np
import pytest
import sklearn
from _helpers import assert_same, faces
from _internals import (
    add_clahe_convention,
    add_local_convention,
    astype,
    move_away_from_the_cpu,
    needs_kernels,
    set_remote_block_size,
    squared_clahe,
    take_doubles_away,
    to_numpy,
    watch_transfers,
)
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone

from sklearn_histeq import (
    AdaptiveHistogramEqualizer,
    AugmentedEstimator,
    HistogramEqualizer,
    HistogramMatcher,
    LocalHistogramEqualizer,
    relight,
    relit_scorer,
)

pytestmark = pytest.mark.usefixtures("engine")

if os.environ.get("SCIPY_ARRAY_API") != "1":
    pytest.skip("scikit-learn dispatches with SCIPY_ARRAY_API=1 only", allow_module_level=True)

ESTIMATORS = [
    HistogramEqualizer(),
    HistogramEqualizer(n_bins=17),
    HistogramEqualizer(output_distribution="normal"),
    HistogramEqualizer(convention="numpy"),
    HistogramEqualizer(convention="opencv"),
    HistogramEqualizer(convention="pillow"),
    HistogramEqualizer(scope="dataset"),
    HistogramEqualizer(scope="dataset", convention="numpy", n_bins=20),
    HistogramEqualizer(scope="dataset", output_distribution="normal"),
    HistogramEqualizer(n_bins=17, value_range="dtype"),
    HistogramEqualizer(n_bins=17, quantile_range=(5, 90)),
    HistogramEqualizer(convention="numpy", value_range=(-1, 0.6)),
    HistogramEqualizer(scope="dataset", n_bins=9, value_range=(0.2, 90)),
    AdaptiveHistogramEqualizer(n_tiles=2, value_range="dtype"),
    AdaptiveHistogramEqualizer(n_tiles=2, quantile_range=(20, 80)),
    AdaptiveHistogramEqualizer(n_tiles=2),
    AdaptiveHistogramEqualizer(n_tiles=(1, 3), clip_limit=None, n_bins=11),
    AdaptiveHistogramEqualizer(n_tiles=2, convention="opencv"),
    HistogramMatcher(),
    HistogramMatcher(reference=[[0, 1, 4, 9], [16, 25, 36, 49], [64, 81, 100, 121]]),
    HistogramMatcher(landmarks=(0, 30, 50, 100)),
    HistogramMatcher(strength=0.3),
    HistogramMatcher(strength=0),
    HistogramEqualizer(strength=0.3, value_range=(0.1, 200)),
    HistogramEqualizer(strength=0.3, scope="dataset", n_bins=9, value_range=(0.1, 200)),
    LocalHistogramEqualizer(window=3),
    LocalHistogramEqualizer(window=5, convention="skimage"),
    AdaptiveHistogramEqualizer(n_tiles=2, clip_limit=1.5, n_bins=3),  # limits beyond one pixel
]
PLACES = ["torch", "torch elsewhere", "torch cuda", "cupy", "strict", "strict device1"]
LIBRARIES = {"torch": "torch", "cupy": "cupy", "strict": "array_api_strict"}


class Place:
    """A library and a device: brings arrays of NumPy there and back."""

    def __init__(self, name, xp, device=None):
        self.name, self.xp, self.device = name, xp, device
        self.is_remote = name.endswith(("elsewhere", "cuda", "cupy", "device1"))

    def take(self, array):
        if array is None:
            return None
        native = np.array(array, array.dtype.newbyteorder("="), order="C")
        return self.xp.asarray(native, device=self.device)

    def back(self, array):
        assert type(array) is type(self.take(np.zeros(1)))
        assert self.device is None or array.device == self.device
        return to_numpy(array)


@pytest.fixture(scope="module", params=PLACES)
def place(request):
    library, _, where = request.param.partition(" ")
    xp = pytest.importorskip(LIBRARIES[library])
    device = None
    if where == "cuda":
        if not xp.cuda.is_available():
            pytest.skip("PyTorch finds no GPU")
        device = xp.device("cuda", 0)
    elif where == "device1":
        device = xp.Device("device1")
    with pytest.MonkeyPatch.context() as patch, sklearn.config_context(array_api_dispatch=True):
        if where == "elsewhere":
            move_away_from_the_cpu(patch)
        yield Place(request.param, xp, device)


def results(estimator, X, mask=None):
    """What the estimator makes of images, or the message of its error."""
    try:
        output = clone(estimator).fit(X, mask=mask).transform(X, mask=mask)
    except ValueError as error:
        return str(error)
    return output


# --- the same bits --------------------------------------------------------------------------------


UINT8, UINT16 = np.dtype("u1"), np.dtype("u2")
DTYPES_OF = {
    "HistogramEqualizer opencv": [UINT8],
    "HistogramEqualizer pillow": [UINT8],
    "AdaptiveHistogramEqualizer opencv": [UINT8, UINT16],
    "LocalHistogramEqualizer skimage": [UINT8, UINT16],
}


def name_of(estimator):
    return f"{type(estimator).__name__} {getattr(estimator, 'convention', '')}"


@st.composite
def cases(draw, estimator):
    """Images that an estimator takes, bytes among them often, and perhaps a mask."""
    every = DTYPES_OF.get(name_of(estimator), _strategies.ALL)
    X = draw(_strategies.images(draw(st.sampled_from([every, [UINT8]]))))
    mask = None
    if draw(st.booleans()):
        mask = np.random.default_rng(draw(_strategies.seeds)).random((len(X), *X.shape[2:])) < 0.7
    if isinstance(estimator, HistogramMatcher) and estimator.reference is not None:
        X = X[:, :1]
    return X, mask


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=str)
@pytest.mark.filterwarnings("ignore:n_tiles=", "ignore:X of shape")
@_strategies.few_examples
@given(data=st.data())
def test_the_bits_are_those_of_numpy(place, estimator, data):
    X, mask = data.draw(cases(estimator))
    if place.xp.__name__ == "array_api_strict" and X.dtype.newbyteorder("=") == np.float16:
        X = X.astype(np.float32)
    X = X.astype(X.dtype.newbyteorder("="))
    with np.errstate(all="ignore"):
        expected = results(estimator, X, mask)
        found = results(estimator, place.take(X), place.take(mask))
    if isinstance(expected, str):
        assert found == expected
    else:
        assert_same(place.back(found), expected)


def test_extreme_ranges_have_the_bins_of_numpy(place):
    rng = np.random.default_rng(0)
    for dtype in (np.float32, np.float64):
        low = (rng.normal(size=50) * 10.0 ** rng.integers(-30, 30, 50)).astype(dtype)
        high = low + np.abs(rng.normal(size=50) * 10.0 ** rng.integers(-30, 30, 50)).astype(dtype)
        high[:3], low[3], high[4] = low[:3], 0, 5e-324
        shares = rng.random((50, 1, 4, 4)).astype(dtype)
        X = (low + shares.T * (high - low)).T.astype(dtype)
        X[:, 0, 0, 0], X[:, 0, 0, 1] = low, high
        for n_bins in (1, 7, 256):
            equalizer = HistogramEqualizer(n_bins=n_bins)
            found = place.back(equalizer.fit_transform(place.take(X)))
            assert_same(found, clone(equalizer).fit_transform(X))


@pytest.mark.parametrize("estimator", [*ESTIMATORS[:4], HistogramMatcher()], ids=str)
def test_planes_without_room_for_bins_take_ranks(place, estimator):
    """With one missing pixel, with many, which sort behind all others, and with a mask."""
    X = 1 + faces(3, 2).astype(np.float64) * np.finfo(float).eps
    X[0, 0, 3, 3] = X[1, :, 2:4] = np.nan
    mask = np.random.default_rng(0).random((3, 8, 8)) < 0.7
    for counted in (None, mask):
        expected = results(estimator, X, counted)
        assert_same(place.back(results(estimator, place.take(X), place.take(counted))), expected)


def shares_below(below, equal, n_counted, plane):
    """The formula of a toy convention: how many counted pixels of the window are darker."""
    return below / n_counted


@pytest.mark.parametrize("dtype", ["bool", "uint8", "uint64", "int16", "float32", "float64"])
@pytest.mark.parametrize("color", ["channels", "value"])
def test_windows_of_a_convention_of_ones_own(place, monkeypatch, dtype, color):
    add_local_convention(monkeypatch, "toy", shares_below, like="histeq")
    X = faces(3, 3, dtype=dtype)
    mask = np.random.default_rng(0).random((3, 8, 8)) < 0.3 if color == "channels" else None
    toy = LocalHistogramEqualizer(window=3, convention="toy", color=color)
    expected = toy.transform(X, mask=mask)
    assert (expected != clone(toy).set_params(convention="histeq").transform(X, mask=mask)).any()
    found = toy.transform(place.take(X), mask=place.take(mask))
    assert_same(place.back(found), expected)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int16", "float32", "float64"])
@pytest.mark.parametrize("color", ["channels", "value"])
def test_tiles_of_a_convention_of_ones_own(place, monkeypatch, dtype, color):
    add_clahe_convention(monkeypatch, "toy", squared_clahe, like="histeq")
    X = faces(3, 3, dtype=dtype)
    mask = np.random.default_rng(0).random((3, 8, 8)) < 0.3 if color == "channels" else None
    toy = AdaptiveHistogramEqualizer(n_tiles=2, convention="toy", color=color)
    expected = toy.transform(X, mask=mask)
    assert (expected != clone(toy).set_params(convention="histeq").transform(X, mask=mask)).any()
    found = toy.transform(place.take(X), mask=place.take(mask))
    assert_same(place.back(found), expected)


@pytest.mark.parametrize("estimator", ESTIMATORS[:6], ids=str)
def test_levels_that_no_counted_pixel_has(place, estimator):
    """Below those that are counted, between them and above."""
    X = np.arange(256, dtype=np.uint8).reshape(1, 1, 16, 16)
    mask = (X[:, 0] > 50) & (X[:, 0] < 200) & (X[:, 0] % 3 > 0)
    expected = results(estimator, X, mask)
    assert_same(place.back(results(estimator, place.take(X), place.take(mask))), expected)


LAYOUTS = {
    "rows": ((6, 64), {}),
    "rows of images": ((6, 64), {"image_shape": (8, 8)}),
    "rows of colours": ((6, 192), {"image_shape": (8, 8, 3), "channel_axis": -1}),
    "grey": ((6, 8, 8), {}),
    "channels first": ((6, 3, 8, 8), {}),
    "channels last": ((6, 8, 8, 3), {"channel_axis": -1}),
    "flat": ((6, 8, 8, 3), {"channel_axis": -1, "flatten": True}),
    "value": ((6, 3, 8, 8), {"color": "value"}),
    "value and alpha": ((6, 8, 8, 4), {"color": "value", "channel_axis": -1}),
}
DTYPES = ["uint8", "uint16", "uint32", "uint64", "int16", "int64", "bool", "float32", "float64"]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.filterwarnings("ignore:n_tiles=", "ignore:image_shape=None")
def test_layouts_and_colours(place, layout):
    shape, params = LAYOUTS[layout]
    values = np.random.default_rng(0).random(shape)
    # an axis moves in the same way for all dtypes
    for dtype, estimator in product(
        DTYPES if layout == "channels first" else ["uint8", "int64", "float32"],
        (
            HistogramEqualizer(),
            HistogramEqualizer(scope="dataset"),
            AdaptiveHistogramEqualizer(n_tiles=2),
            HistogramMatcher(),
            LocalHistogramEqualizer(window=3),
        ),
    ):
        X = (values * (1 if dtype == "bool" else 100)).round().astype(dtype)
        estimator.set_params(**params)
        expected = clone(estimator).fit_transform(X)
        assert_same(place.back(estimator.fit_transform(place.take(X))), expected)


@pytest.mark.parametrize("dtype", DTYPES)
def test_luminance(place, dtype):
    X = np.random.default_rng(0).random((4, 4, 8, 8))
    X[:, :, 0, :2] = [0, 1]
    full = int(np.iinfo(dtype).max) if "int" in dtype else 1
    if "64" in dtype and full > 1:  # which doubles do not hold
        levels = [int(x * 2**53) * full // 2**53 for x in X.ravel().tolist()]
        X = np.array(levels, dtype).reshape(X.shape)
    else:
        X = (X * full).round(9 if full == 1 and dtype != "bool" else 0).astype(dtype)
    estimators = [
        HistogramEqualizer(),
        HistogramEqualizer(scope="dataset"),
        HistogramEqualizer(convention="numpy", dtype="uint8"),
        HistogramMatcher(),
    ]
    if dtype in ("uint8", "uint16"):
        estimators.append(AdaptiveHistogramEqualizer(n_tiles=2, convention="opencv"))
    if dtype == "uint8":
        estimators.append(HistogramEqualizer(convention="opencv"))
    for estimator in estimators:
        estimator.set_params(color="luminance")
        expected = clone(estimator).fit_transform(X)
        assert_same(place.back(estimator.fit_transform(place.take(X))), expected)


@pytest.mark.parametrize("dtype", ["uint8", "int64", "float32"])
def test_volumes(place, dtype):
    """Also in memory that no view makes planes of."""
    values = np.random.default_rng(0).random((4, 3, 5, 6, 4))
    mask = values[:, 0] < 0.7
    estimators = [HistogramEqualizer(), HistogramEqualizer(scope="dataset"), HistogramMatcher()]
    estimators += [LocalHistogramEqualizer(window=3), AdaptiveHistogramEqualizer(n_tiles=2)]
    params = {"spatial_dims": 3}, {"spatial_dims": 3, "color": "value", "flatten": True}
    for estimator, common in product(estimators, params):
        X = (values * 100).round().astype(dtype)
        ours, theirs = clone(estimator).set_params(**common), clone(estimator).set_params(**common)
        expected = theirs.fit_transform(X, mask=mask)
        assert_same(place.back(ours.fit_transform(place.take(X), mask=place.take(mask))), expected)
        last, order = place.take(np.moveaxis(X, 1, -1)), (0, 1, 3, 2, 4)
        found = ours.set_params(channel_axis=-1, flatten=False).fit(last).transform(last)
        expected = theirs.set_params(flatten=False).fit_transform(X)
        assert_same(np.moveaxis(place.back(found), -1, 1), expected)
        turned = place.xp.permute_dims(last, order) if hasattr(place.xp, "permute_dims") else None
        turned = last.permute(order) if turned is None else turned
        theirs.set_params(channel_axis=-1).fit(np.moveaxis(X, 1, -1))
        expected = theirs.transform(np.moveaxis(X, 1, -1).transpose(order))
        assert_same(place.back(ours.transform(turned)), expected)


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8", "uint16", "input"])
def test_output_types(place, dtype):
    estimators = HistogramEqualizer(dtype=dtype), HistogramMatcher(dtype=dtype)
    for kind, estimator in product(["uint8", "uint64", "int64", "float64"], estimators):
        X = faces(4, 3, dtype=kind)
        expected = clone(estimator).fit_transform(X)
        assert_same(place.back(estimator.fit_transform(place.take(X))), expected)


def test_float16_of_doubles_is_rounded_once():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    halves = rng.integers(0, 31744, 100_000).astype(np.uint16).view(np.float16).astype(float)
    ties = halves * (1 + 2.0**-11) * (1 + rng.integers(-1, 2, 100_000) * 2.0**-50)
    special = [65520, np.nextafter(65520, 0), 1e308, -1e308, np.inf, np.nan, -0.0, 5e-324, 3e-8]
    X = np.concatenate([ties, -ties, special])
    with np.errstate(over="ignore"):
        expected = X.astype(np.float16)
    assert_same(astype(torch.from_numpy(X), np.float16).numpy(), expected)


# --- memory ---------------------------------------------------------------------------------------


@needs_kernels
@pytest.mark.parametrize("library", ["torch", "array_api_strict"])
def test_the_cpu_shares_its_memory(library):
    """NumPy allocates the output, which the result shares, and copies neither images nor mask."""
    xp = pytest.importorskip(library)
    X, mask = xp.asarray(faces(4, side=1000)), xp.asarray(np.ones((4, 1000, 1000), bool))
    equalizer, size = HistogramEqualizer(dtype="input"), 4_000_000
    with sklearn.config_context(array_api_dispatch=True):
        equalizer.fit_transform(X[:1, ...], mask=mask[:1, ...])  # imports and caches
        tracemalloc.start()
        try:
            out = equalizer.fit_transform(X, mask=mask)
            kept, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert tuple(out.shape) == (4, 1, 1000, 1000)
    assert size <= kept <= peak < 1.5 * size


@pytest.mark.parametrize(
    ("estimator", "dtype"),
    [
        (HistogramEqualizer(), "uint8"),
        (HistogramEqualizer(convention="opencv"), "uint8"),
        (HistogramEqualizer(), "float32"),
        (HistogramEqualizer(), "uint16"),
        (HistogramMatcher(), "uint8"),
        (LocalHistogramEqualizer(window=3), "float64"),
        (AdaptiveHistogramEqualizer(n_tiles=1), "float32"),
    ],
    ids=str,
)
def test_pixels_never_leave_the_device(place, estimator, dtype, monkeypatch):
    if not place.is_remote:
        pytest.skip("this place is on the CPU")
    X = place.take(faces(2, side=64, dtype=dtype))
    moved = watch_transfers(monkeypatch)
    estimator.fit(X)
    moved.clear()
    estimator.transform(X)
    assert max(moved, default=0) <= 1024  # of the 8192 pixels: counts, edges, a target


def test_memory_is_bounded_by_blocks(place, monkeypatch):
    X = faces(7, 3)
    expected = [clone(e).fit_transform(X) for e in ESTIMATORS[:1] + ESTIMATORS[9:13]]
    set_remote_block_size(monkeypatch, 2 * 3 * 64)
    for estimator, output in zip(ESTIMATORS[:1] + ESTIMATORS[9:13], expected):
        found = clone(estimator).fit_transform(place.take(X))
        assert_same(place.back(found), output)


# --- what is learned ------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["uint8", "int64", "float32", "float64"])
def test_batches(place, dtype):
    X = faces(6, 2, dtype=dtype)
    for estimator in (HistogramEqualizer(scope="dataset"), HistogramMatcher()):
        ours, theirs = clone(estimator), clone(estimator)
        for part in (slice(0, 2), slice(2, 6)):
            ours.partial_fit(place.take(X[part]))
            theirs.partial_fit(X[part])
        assert ours.n_samples_seen_ == 6
        assert_same(place.back(ours.transform(place.take(X))), theirs.transform(X))


def test_learned_attributes_live_where_the_images_do(place):
    X = faces(4, 3)
    equalizer, matcher = HistogramEqualizer(scope="dataset"), HistogramMatcher()
    found = equalizer.fit(place.take(X)), matcher.fit(place.take(X))
    ours = [*found[0].cdf_, *found[0].bin_centers_, found[1].quantiles_]
    equalizer, matcher = clone(equalizer).fit(X), clone(matcher).fit(X)
    theirs = [*equalizer.cdf_, *equalizer.bin_centers_, matcher.quantiles_]
    for a, b in zip(ours, theirs, strict=True):
        assert_same(place.back(a), b)


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_inverse(place, dtype):
    X = faces(4, 3, dtype=dtype)
    for params in ({}, {"dtype": "uint16"}, {"flatten": True}):
        equalizer = HistogramEqualizer(scope="dataset", **params)
        expected = equalizer.inverse_transform(equalizer.fit_transform(X))
        output = equalizer.fit_transform(place.take(X))
        assert_same(place.back(equalizer.inverse_transform(output)), expected)


@pytest.mark.filterwarnings("ignore:X has values from:UserWarning")
def test_levels_beyond_what_was_learned(place):
    equalizer = HistogramEqualizer(scope="dataset").fit(place.take(faces(2, dtype="uint8")))
    for X in (faces(2, dtype="uint16"), faces(2, dtype="uint64"), -faces(2, dtype="int8")):
        with pytest.raises(ValueError, match="beyond the range of uint8"):
            equalizer.transform(place.take(X))
    small = faces(2, dtype="uint8")
    small[0, 0, 0, :2] = 0, 255
    expected = equalizer.transform(place.take(small))
    for dtype in ("uint64", "int16", "uint32"):
        found = equalizer.transform(place.take(small.astype(dtype)))
        assert_same(place.back(found), place.back(expected))


def test_fitted_estimators_are_stored(place):
    if place.name.startswith("strict"):
        pytest.skip("array_api_strict's devices are not equal after pickling")
    X = place.take(faces(3))
    for estimator in (HistogramEqualizer(scope="dataset"), HistogramMatcher()):
        stored = pickle.loads(pickle.dumps(estimator.fit(X)))
        assert_same(place.back(stored.transform(X)), place.back(estimator.transform(X)))


# --- errors ---------------------------------------------------------------------------------------


def test_another_library_than_that_of_fit(place):
    X = faces(3)
    for estimator in (HistogramEqualizer(), HistogramEqualizer(scope="dataset")):
        estimator.fit(place.take(X))
        with pytest.raises(ValueError, match="must use the same namespace and the same device"):
            estimator.transform(X)
        estimator.fit(X)
        with pytest.raises(
            ValueError, match=r"HistogramEqualizer\.transform\(\).*seen one of numpy"
        ):
            estimator.transform(place.take(X))


def test_a_mask_of_another_library(place):
    mask = np.ones((3, 8, 8), bool)
    for wrong in (mask, mask.tolist()):
        with pytest.raises(ValueError, match=r"mask is an array of .* expected the same library"):
            HistogramEqualizer().fit(place.take(faces(3)), mask=wrong)


def test_checks_are_those_of_numpy(place):
    X = place.take(faces(3))
    with pytest.raises(ValueError, match=r"mask has shape \(3, 8\), but expected \(3, 8, 8\)"):
        HistogramEqualizer().fit(X, mask=place.take(np.ones((3, 8), bool)))
    with pytest.raises(ValueError, match="mask has dtype uint8, but expected bool"):
        HistogramEqualizer().fit(X, mask=place.take(np.ones((3, 8, 8), np.uint8)))
    with pytest.raises(ValueError, match="X has 1 dimension"):
        HistogramEqualizer().fit(place.take(np.ones(3)))
    with pytest.raises(ValueError, match="Complex data not supported"):
        HistogramEqualizer().fit(place.take(np.ones((3, 3), complex)))
    with pytest.raises(ValueError, match=r"Found array with 0 sample|X has shape"):
        HistogramEqualizer().fit(place.take(np.ones((0, 3))))


def test_errors_name_images(place, monkeypatch):
    set_remote_block_size(monkeypatch, 64)
    X = faces(5, dtype="float32")
    X[3, 0, 1, 1] = np.inf
    with pytest.raises(ValueError, match=r"infinity \(inf\) in image\(s\) 3,"):
        HistogramEqualizer().fit_transform(place.take(X))
    X[3, 0, 1, 1] = np.nan
    with pytest.raises(ValueError, match=r"NaN in image\(s\) 3, but the output has dtype uint8"):
        HistogramEqualizer(dtype="uint8").fit(place.take(X))
    mask = np.ones((5, 8, 8), bool)
    mask[2] = False
    with pytest.raises(ValueError, match=r"no pixel to count in image\(s\) 2:"):
        HistogramEqualizer().fit_transform(place.take(X), mask=place.take(mask))


def test_data_frames_are_for_numpy(place):
    pytest.importorskip("pandas")
    equalizer = HistogramEqualizer().set_output(transform="pandas")
    with pytest.raises(ValueError, match="array that is not NumPy's"):
        equalizer.fit_transform(place.take(faces(3).reshape(3, -1)))


def test_what_no_device_has_is_refused():
    xp = pytest.importorskip("array_api_strict")
    clahe = AdaptiveHistogramEqualizer(convention="skimage", n_tiles=2)
    by_lightness = HistogramEqualizer(color="lightness")
    with sklearn.config_context(array_api_dispatch=True):
        colors = xp.asarray(faces(3, 3), device=xp.Device("device1"))
        with pytest.raises(ValueError, match="color='lightness' with X on another device"):
            by_lightness.fit(colors)
        assert clahe.fit_transform(xp.asarray(faces(3))).shape == (3, 1, 8, 8)
        with pytest.raises(ValueError, match=r"no exact arithmetic there.*convention='histeq'"):
            clahe.fit(xp.asarray(faces(3), device=xp.Device("device1")))


def test_a_device_without_doubles_is_refused(monkeypatch):
    torch = pytest.importorskip("torch")
    move_away_from_the_cpu(monkeypatch)
    X = torch.asarray(faces(3))
    with sklearn.config_context(array_api_dispatch=True):
        take_doubles_away(monkeypatch, X)
        with pytest.raises(ValueError, match=r"no float64.*Move the images to the CPU"):
            HistogramEqualizer().fit(X)


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        (lambda X: X.requires_grad_(), TypeError, r"pass X\.detach\(\)"),
        (lambda X: X.to_sparse(), TypeError, r"X\.to_dense\(\)"),
        (lambda X: X.to("meta"), TypeError, "dense array with memory"),
        (lambda X: X.bfloat16(), ValueError, "X has dtype bfloat16.*float32"),
    ],
)
def test_tensors_that_are_refused(change, error, match):
    torch = pytest.importorskip("torch")
    with sklearn.config_context(array_api_dispatch=True), pytest.raises(error, match=match):
        HistogramEqualizer().fit(change(torch.rand(3, 8, 8)))


def test_unusual_tensors():
    torch = pytest.importorskip("torch")
    X = torch.view_as_complex(torch.rand(3, 8, 8, 2))
    with sklearn.config_context(array_api_dispatch=True):
        for odd in (X.conj().imag, X.real[:, ::2].permute(2, 0, 1), X.real[:1].expand(4, 8, 8)):
            expected = HistogramEqualizer().fit_transform(
                np.array(odd.resolve_neg().tolist(), "f4")
            )
            assert_same(HistogramEqualizer().fit_transform(odd).numpy(), expected)


# --- scikit-learn ---------------------------------------------------------------------------------


def test_without_dispatch_the_output_is_numpys():
    torch = pytest.importorskip("torch")
    X = faces(3)
    found = HistogramEqualizer().fit_transform(torch.asarray(X))
    assert_same(found, HistogramEqualizer().fit_transform(X))


def test_numpy_needs_no_library_with_dispatch():
    code = """
import sys
import numpy as np, sklearn
from sklearn_histeq import HistogramEqualizer
sklearn.set_config(array_api_dispatch=True)
X = np.arange(8.0).reshape(2, 4)
assert type(HistogramEqualizer().fit_transform(X)) is np.ndarray
assert type(HistogramEqualizer().fit_transform(X.tolist())) is np.ndarray
print(*({"torch", "cupy", "array_api_strict"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_a_pipeline_searches_on_tensors():
    torch = pytest.importorskip("torch")
    from sklearn.decomposition import PCA
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import make_pipeline

    rng = np.random.default_rng(0)
    scenes, y = rng.integers(0, 100, (4, 16, 16)), np.repeat(np.arange(4), 9)
    X = scenes[y] * rng.uniform(0.5, 2, (36, 1, 1)) + rng.normal(20, 5, (36, 16, 16))
    X = torch.asarray(X.clip(0, 255).astype(np.uint8))
    pipeline = make_pipeline(
        HistogramEqualizer(flatten=True), PCA(svd_solver="full"), LinearDiscriminantAnalysis()
    )
    grid = {
        "histogramequalizer": [
            HistogramEqualizer(flatten=True),
            AdaptiveHistogramEqualizer(flatten=True, n_tiles=2),
            LocalHistogramEqualizer(flatten=True),
        ],
        "pca__n_components": [4, 8],
    }
    with sklearn.config_context(array_api_dispatch=True):
        search = GridSearchCV(pipeline, grid, cv=3).fit(X, torch.asarray(y))
        predicted = search.predict(X)
    assert isinstance(predicted, torch.Tensor)
    assert search.best_score_ > 0.9
    assert (predicted.numpy() == y).mean() > 0.9


def test_the_example_of_the_page():
    torch = pytest.importorskip("torch")
    page = Path(__file__).parents[1] / "docs" / "array_api.md"
    (example,) = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    found = {}
    with sklearn.config_context():
        exec(example, found)
    assert isinstance(found["predicted"], torch.Tensor)
    assert found["search"].best_score_ > 0.9


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "float64", "bool"])
def test_copies_in_other_lights(place, dtype):
    x = faces(4, 3, dtype=dtype)
    expected = relight(x, "mild", random_state=0)
    assert_same(place.back(relight(place.take(x), "mild", random_state=0)), expected)


def test_scores_on_copies_in_other_lights(place):
    """The estimator gets copies of the library and on the device of the images."""
    x, seen = faces(4, 1, dtype="float32"), []

    def score(estimator, X, y):
        seen.append(place.back(X))
        return 0.25

    scorer = relit_scorer(score, "mild", share=0.5, n_copies=2)
    assert scorer(None, place.take(x), None) == 0.25
    copies = [relight(x, "mild", random_state=seed) for seed in scorer.seeds]
    assert_same(np.stack(sorted(seen, key=bytes)), np.stack(sorted([*copies, x], key=bytes)))


@pytest.mark.parametrize("copies", ["mild", None])
def test_training_on_copies(place, copies):
    """The estimator gets one array of the library and on the device of the images."""
    x, y, n = faces(4, 3, dtype="float32"), np.arange(4), 2
    copies = copies or (lambda X, random_state: X / 2)
    model = AugmentedEstimator(HistogramEqualizer(scope="dataset"), copies, n, random_state=0)
    expected = model.fit(x, y).transform(x)
    model.fit(place.take(x), place.take(y))
    assert_same(place.back(model.transform(place.take(x))), expected)
    with pytest.raises(ValueError, match=r"AugmentedEstimator\.transform\(\) must use the same"):
        model.transform(x)


@pytest.mark.parametrize("device", ["CPU_DEVICE", "device1"])
@pytest.mark.parametrize("dtype", ["uint8", "int64", "float32"])
def test_a_library_without_boolean_indexing(device, dtype):
    """It is optional in the standard, since its shapes depend on data."""
    strict = pytest.importorskip("array_api_strict")
    x, mask = faces(4, 3, dtype=dtype), np.random.default_rng(0).random((4, 8, 8)) < 0.7
    if dtype == "float32":
        x[0, 0, 0, 0] = np.nan
    place = Place("strict device1", strict, strict.Device(device))
    with sklearn.config_context(array_api_dispatch=True):
        for estimator in (
            HistogramEqualizer(),
            HistogramEqualizer(scope="dataset"),
            HistogramEqualizer(scope="dataset", n_bins=16),
            AdaptiveHistogramEqualizer(n_tiles=2),
            HistogramMatcher(),
            LocalHistogramEqualizer(window=3),
        ):
            for counted in (None, mask):
                expected = clone(estimator).fit_transform(x, mask=counted)
                with strict.ArrayAPIStrictFlags(boolean_indexing=False):
                    taken = place.take(x), place.take(counted)
                    found = clone(estimator).fit_transform(taken[0], mask=taken[1])
                assert_same(place.back(found), expected)
