"""Integers over their whole range: exact, in memory proportional to the pixels."""

import tracemalloc

import numpy as np
import pytest
from _helpers import assert_same, on_all_engines
from _oracles import by_skimage, step_cdf

from sklearn_histeq import HistogramEqualizer

pytestmark = [pytest.mark.usefixtures("engine"), on_all_engines]

# Doubles, ranks, an order and its inverse, and then some; a bin a level would take 2**64.
BYTES_PER_PIXEL = 200

WIDE = ["i4", "u4", "i8", "u8"]


def whole_range(dtype, shape=(1, 1, 200, 200)):
    info = np.iinfo(dtype)
    x = np.random.default_rng(0).integers(info.min, info.max, shape, dtype=dtype, endpoint=True)
    x[..., 0, :4] = [info.min, info.min + 1, info.max - 1, info.max]
    return x


def peak_bytes(function):
    function()  # imports and caches are not what is measured
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("dtype", WIDE)
def test_the_whole_range_is_exact(dtype):
    x = whole_range(dtype)
    assert_same(HistogramEqualizer().fit_transform(x)[0, 0], step_cdf(x[0, 0], x[0, 0]))


@pytest.mark.parametrize("dtype", WIDE)
def test_the_whole_range_is_exact_where_it_is_learned(dtype):
    x = whole_range(dtype, (2, 1, 60, 60))
    expected = step_cdf(x, x)
    assert_same(HistogramEqualizer(scope="dataset").fit_transform(x), expected)
    parts = HistogramEqualizer(scope="dataset").partial_fit(x[:1]).partial_fit(x[1:])
    assert_same(parts.transform(x), expected)


@pytest.mark.parametrize("dtype", WIDE)
@pytest.mark.parametrize("n_bins", ["auto", 7])
def test_levels_at_an_end_of_the_range_are_learned(dtype, n_bins):
    """Doubles round them, and bins of doubles may end beyond the range."""
    info = np.iinfo(dtype)
    for n_levels in (1, 300, 70_000):
        levels = np.random.default_rng(0).integers(0, n_levels, (2, 1, 30, 30)).astype(dtype)
        for low in (info.min, info.max - n_levels + 1):
            x = levels + np.dtype(dtype).type(low)
            one_plane = HistogramEqualizer(n_bins=n_bins).transform(x.reshape(1, 1, 1, -1))
            out = HistogramEqualizer(n_bins=n_bins, scope="dataset").fit_transform(x)
            assert_same(out, one_plane.reshape(x.shape))


@pytest.mark.parametrize("dtype", WIDE)
def test_unaligned_pixels_are_learned_and_mapped(dtype):
    """The kernels read aligned memory only: on some processors anything else is an error."""
    x = whole_range(dtype, (2, 1, 30, 30))
    shifted = np.frombuffer(b"\0" + x.tobytes(), x.dtype, offset=1).reshape(x.shape)
    assert not shifted.flags.aligned
    fitted = HistogramEqualizer(scope="dataset").fit(shifted)
    assert_same(fitted.transform(shifted), step_cdf(x, x))


@pytest.mark.parametrize("dtype", ["i8", "u8"])
def test_the_whole_range_is_exact_under_a_mask(dtype):
    x = whole_range(dtype, (1, 1, 40, 40))
    mask = np.random.default_rng(1).random((1, 40, 40)) < 0.5
    out = HistogramEqualizer().transform(x, mask=mask)
    assert_same(out[0, 0], by_skimage(x[0, 0], x[0, 0][mask[0]], "auto"))


@pytest.mark.parametrize("dtype", WIDE)
def test_memory_is_proportional_to_the_pixels(dtype):
    for side in (20, 200):
        x = whole_range(dtype, (1, 1, side, side))
        peak = peak_bytes(lambda x=x: HistogramEqualizer().fit_transform(x))
        assert peak < BYTES_PER_PIXEL * x.size + 100_000


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_memory_is_proportional_to_the_pixels_where_they_are_learned(method):
    x = whole_range("i8")
    peak = peak_bytes(lambda: getattr(HistogramEqualizer(scope="dataset"), method)(x))
    assert peak < BYTES_PER_PIXEL * x.size + 100_000


def test_few_levels_far_apart_take_no_memory():
    """scikit-image: 30 GiB, and proportional to the largest level instead of the range."""
    for levels in ([4_000_000_000, 4_000_000_001], [-(2**62), 2**62], [0, 2**40]):
        x = np.array(levels * 50).reshape(1, 1, 10, 10)
        assert peak_bytes(lambda x=x: HistogramEqualizer().fit_transform(x)) < 500_000


@pytest.mark.parametrize("convention", ["skimage", "numpy"])
@pytest.mark.parametrize("dtype", WIDE)
def test_a_number_of_bins_takes_memory_for_no_more_than_them(dtype, convention):
    x = whole_range(dtype)
    estimator = HistogramEqualizer(n_bins=64, convention=convention)
    assert peak_bytes(lambda: estimator.fit_transform(x)) < BYTES_PER_PIXEL * x.size + 100_000


def test_the_input_type_reaches_both_ends():
    x = np.array([[np.iinfo("u8").min, np.iinfo("u8").max]], dtype="u8")
    out = HistogramEqualizer(dtype="input").fit_transform(x)
    assert out.tolist() == [[2**63, 2**64 - 1]]
