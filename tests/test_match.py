"""HistogramMatcher: scikit-image's bits for a given reference, and what is learned without one."""

import copy
import pickle
from fractions import Fraction

import numpy as np
import pytest
from _helpers import assert_same, faces, on_all_engines, on_the_default_engine
from _internals import set_work_per_thread
from _oracles import remembered
from _strategies import (
    ALL,
    FLOATS,
    INTEGERS,
    PLAIN,
    few_examples,
    holes,
    images,
    masked,
    planes,
    seeds,
)
from hypothesis import assume, given
from hypothesis import strategies as st
from skimage.exposure import match_histograms
from sklearn.exceptions import NotFittedError

from sklearn_histeq import HistogramMatcher

pytestmark = [pytest.mark.usefixtures("engine"), on_all_engines]

#: What scikit-image takes on both sides without a deviation.
SMALL = [np.dtype(kind) for kind in ("u1", "i1", "u2", "i2", "<f4", "<f8")]


def matched(plane, reference, mask=None, **params):
    """One plane through the estimator, as a batch of one image."""
    mask = None if mask is None else mask[None]
    return HistogramMatcher(reference=reference, **params).transform(plane[None], mask=mask)[0]


@remembered
def by_definition(plane, reference, mask=None):
    """Share by share, in plain Python: what scikit-image computes, for every dtype and mask."""
    missing = np.isnan(plane) if plane.dtype.kind == "f" else np.zeros(plane.shape, bool)
    counted = sorted(plane[~missing if mask is None else mask & ~missing].tolist())
    known = reference[~np.isnan(reference)] if reference.dtype.kind == "f" else reference.ravel()
    values = sorted(set(known.tolist()))
    shares = np.cumsum([int((known == value).sum()) for value in values]) / known.size
    own = np.float32 if plane.dtype.newbyteorder("=") in ("f2", "f4") else np.float64
    out = np.full(plane.shape, np.nan)
    for place, z in np.ndenumerate(plane):
        if not missing[place]:
            at_most = sum(value <= max(z.item(), counted[0]) for value in counted)
            out[place] = np.interp(at_most / len(counted), shares, np.array(values, float))
    with np.errstate(over="ignore"):
        return out.astype(own)


def is_modest(reference):
    """Beyond, np.interp's slopes overflow, or single precision does; below, it loses digits."""
    return all(x == 0 or 1e-35 < abs(x) < 1e35 for x in reference.ravel().tolist())


@remembered
def quantiles_by_definition(pixels):
    """The order statistics, by integers."""
    falling = sorted(pixels.ravel().tolist())
    return [float(falling[-(-len(falling) * (2 * k + 1) // 2048) - 1]) for k in range(1024)]


# --- a given reference ----------------------------------------------------------------------------


@given(plane=planes(SMALL, max_side=20), reference=planes(SMALL, max_side=20))
def test_scikit_images_bits(plane, reference):
    assume(is_modest(reference))
    if plane.dtype.kind == "u":  # it counts from 0, on both sides
        expected = match_histograms(plane.astype(np.float64), reference)
        if reference.dtype.kind == "u":
            assert_same(expected, match_histograms(plane, reference))
    else:
        expected = match_histograms(plane, reference)
    assert_same(matched(plane, reference), expected)


@given(x=images(PLAIN, max_c=3), seed=seeds)
def test_plane_by_plane_of_channels(x, seed):
    """Not truncated, as scikit-image does with a channel_axis."""
    x = np.nan_to_num(x)
    reference = faces(1, x.shape[1], 9, "u1", seed)[0]
    out = HistogramMatcher(reference=reference).transform(x)
    for i, c in np.ndindex(x.shape[:2]):
        plane = x[i, c].astype("f8") if x.dtype.kind == "u" else x[i, c]
        assert_same(out[i, c], match_histograms(plane, reference[c]))
    last = HistogramMatcher(reference=np.moveaxis(reference, 0, -1), channel_axis=-1)
    assert_same(np.moveaxis(last.transform(np.moveaxis(x, 1, -1)), -1, 1), out)


@given(
    case=masked(planes().flatmap(holes)),
    reference=planes(max_side=6).filter(is_modest).flatmap(holes),
)
def test_every_dtype_missing_pixels_and_masks(case, reference):
    plane, mask = case
    assert_same(matched(plane, reference, mask), by_definition(plane, reference, mask))


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "i2", "i8", "bool"])
def test_bytes_take_any_reference(dtype):
    """scikit-image raises at a reference that is no unsigned integer."""
    x, reference = faces(), faces(1, 1, 20, dtype, seed=1)[0, 0]
    out = HistogramMatcher(reference=reference).transform(x)
    assert out.dtype == np.float64
    wide = reference.astype("f8")
    for image, result in zip(x, out):
        assert_same(result[0], match_histograms(image[0].astype("f8"), wide))


@pytest.mark.parametrize("values", [[4_000_000_000, 4_000_000_001], [0, 2**40], [-(2**62), 2**62]])
def test_integers_spread_widely(values):
    x = np.random.default_rng(0).choice(np.array(values), (2, 1, 5, 5))
    reference = np.arange(10, dtype=np.uint8)
    ranks = np.searchsorted(np.unique(x), x).astype(np.uint8)
    expected = HistogramMatcher(reference=reference[None]).transform(ranks)
    assert_same(HistogramMatcher(reference=reference[None]).transform(x), expected)


def test_integers_beyond_the_doubles_stay_apart():
    x = 2**60 + np.arange(6, dtype=np.int64).reshape(1, 2, 3)
    out = HistogramMatcher(reference=np.arange(6.0)[None]).transform(x)
    assert_same(out, np.arange(6.0).reshape(1, 2, 3))


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_the_widest_reference(dtype):
    """Slopes that overflow are computed on a smaller scale."""
    largest = float(np.finfo(dtype).max)
    reference = np.array([[-largest, 0, largest]], dtype)
    x = np.arange(12, dtype=dtype).reshape(1, 3, 4)
    out = HistogramMatcher(reference=reference).transform(x)
    assert np.isfinite(out).all()
    assert (np.diff(out.ravel()) >= 0).all()
    assert out.min() == -largest
    assert out.max() == largest


@given(plane=planes())
def test_an_image_matched_to_itself_stays(plane):
    assume(is_modest(plane))
    out = matched(plane, plane)
    assert_same(out, plane.astype(out.dtype))


@given(case=masked(planes()), reference=planes(PLAIN).filter(is_modest))
def test_darker_stays_darker_within_the_references_range(case, reference):
    plane, mask = case
    out = matched(plane, reference, mask)
    values = out.ravel()[np.argsort(plane, axis=None, kind="stable")].astype(np.float64)
    span = float(reference.max()) - float(reference.min())
    assert (np.diff(values) >= -1e-12 * span).all()
    tolerance = 1e-6 * max(abs(float(reference.max())), abs(float(reference.min())))
    assert values.min() >= float(reference.min()) - tolerance
    assert values.max() <= float(reference.max()) + tolerance


@few_examples
@given(x=images(), reference=planes(PLAIN))
def test_a_batch_is_the_stack_of_its_planes(x, reference):
    channels = np.stack([reference] * x.shape[1])
    out = HistogramMatcher(reference=channels).transform(x)
    assert_same(out, np.array([[matched(plane, reference) for plane in image] for image in x]))


@few_examples
@given(x=images())
def test_memory_layout_and_byte_order_change_nothing(x):
    estimator = HistogramMatcher(reference=faces(1, x.shape[1], 9, "f8")[0])
    before, expected = x.copy(), estimator.transform(x)
    spread = np.repeat(x, 2, axis=-1)[..., ::2]
    swapped = x.astype(x.dtype.newbyteorder(">"))
    for other in (np.asfortranarray(x), spread, x[..., ::-1][..., ::-1], swapped):
        assert_same(estimator.transform(other), expected)
    assert_same(x, before)


def test_pixels_outside_a_mask_take_the_counted_level_below():
    plane = np.array([[1.0, 2.0, 3.0, 0.0, 2.5, 9.0]])
    mask = np.array([[True, True, True, False, False, False]])
    out = matched(plane, np.array([[10.0, 20.0, 30.0]]), mask)
    assert_same(out, np.array([[10.0, 20.0, 30.0, 10.0, 20.0, 30.0]]))


@on_the_default_engine
def test_the_reference_may_be_laid_out_in_many_ways():
    x, plane = faces(5, 1, 6), faces(1, 1, 9, "f4")[0, 0]
    expected = HistogramMatcher(reference=plane).transform(x)
    for reference in (plane[None], plane.tolist(), plane.astype(">f4"), np.asfortranarray(plane)):
        out = HistogramMatcher(reference=reference).transform(x)
        np.testing.assert_allclose(out, expected, rtol=1e-6)
    assert_same(HistogramMatcher(reference=plane).transform(x[:, 0]), expected[:, 0])
    rows, flat = x.reshape(5, 36), expected.reshape(5, 36)
    assert_same(HistogramMatcher(reference=plane).transform(rows), flat)
    assert_same(HistogramMatcher(reference=plane.ravel()).transform(rows), flat)
    shaped = HistogramMatcher(reference=plane[:6, :6].ravel(), image_shape=(6, 6))
    square = HistogramMatcher(reference=plane[:6, :6])
    assert_same(shaped.transform(rows), square.transform(rows))


@on_the_default_engine
def test_a_row_of_reference_pixels_has_the_images_channels():
    x, reference = faces(4, 3, 6), faces(1, 3, 6, "u1", seed=5)[0]
    expected = HistogramMatcher(reference=reference).transform(x)
    rows = HistogramMatcher(reference=reference.ravel(), image_shape=(3, 6, 6))
    assert_same(rows.transform(x.reshape(4, -1)), expected.reshape(4, -1))
    with pytest.raises(ValueError, match=r"reference.*image_shape"):
        HistogramMatcher(reference=reference.ravel()[:-1], image_shape=(3, 6, 6)).fit(
            x.reshape(4, -1)
        )


BAD = [
    (np.zeros((2, 4, 4)), "channel"),
    (np.zeros((4, 4)), "channel"),
    (np.full((3, 4, 4), np.inf), "inf"),
    (np.full((3, 4, 4), np.nan), "NaN"),
    (np.zeros((3, 0, 4)), "shape"),
    (np.zeros((1, 3, 4, 4)), "shape (1, 3, 4, 4), but expected None or one image"),
    (np.float64(3), "shape"),
    (np.zeros((3, 4, 4), complex), "complex"),
    ("mean", "reference"),
]


@on_the_default_engine
@pytest.mark.parametrize(("reference", "words"), BAD, ids=lambda value: str(np.shape(value)))
def test_bad_references(reference, words):
    for call in ("fit", "transform"):
        with pytest.raises(ValueError, match=r"reference.*expected") as caught:
            getattr(HistogramMatcher(reference=reference), call)(faces(2, 3))
        assert words in str(caught.value)


@on_the_default_engine
def test_a_masked_array_is_no_reference():
    with pytest.raises(TypeError, match="MaskedArray"):
        HistogramMatcher(reference=np.ma.zeros((4, 4))).fit(faces())


@on_the_default_engine
def test_nothing_is_learned_from_images_then():
    x = faces(3, dtype="f8")
    x[:] = np.inf
    matcher = HistogramMatcher(reference=faces(1, 1)[0, 0]).fit(x)
    assert not hasattr(matcher, "quantiles_")
    assert not hasattr(matcher, "partial_fit")
    with pytest.raises(AttributeError) as caught:
        matcher.partial_fit(x)
    assert "reference=None" in str(caught.value.__cause__)


# --- integers out ---------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_integers_are_rounded_and_kept_in_range_not_scaled(dtype):
    reference = np.array([[-20.0, 0.5, 1.5, 200.4, 200.6, 70000.0]])
    x = np.arange(6.0).reshape(1, 2, 3)
    out = HistogramMatcher(reference=reference, dtype=dtype).transform(x)
    top = np.iinfo(dtype).max
    assert_same(out.ravel(), np.array([0, 0, 2, 200, 201, min(70000, top)], dtype))


def test_the_inputs_own_dtype():
    x = faces(dtype="i2")
    reference = np.linspace(-40000, 40000, 100)[None]
    own = HistogramMatcher(reference=reference).transform(x)
    out = HistogramMatcher(reference=reference, dtype="input").transform(x)
    assert_same(out, np.rint(own).clip(-(2**15), 2**15 - 1).astype("i2"))
    bytes_out = HistogramMatcher(reference=faces(1, 1)[0, 0], dtype="input").transform(faces())
    assert bytes_out.dtype == np.uint8


def test_single_precision_images_stay_so():
    out = HistogramMatcher().fit_transform(faces(dtype="f4"))
    assert out.dtype == np.float32
    assert HistogramMatcher().fit_transform(faces(dtype="f2")).dtype == np.float32
    assert HistogramMatcher().fit_transform(faces(dtype="u1")).dtype == np.float64


def test_missing_pixels_have_no_place_in_integers():
    x = faces(4, dtype="f8")
    x[2, 0, 0, 0] = np.nan
    with pytest.raises(ValueError, match=r"NaN in image\(s\) 2"):
        HistogramMatcher(dtype="uint8").fit(x).transform(x)


# --- colour ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("learned", [False, True])
def test_the_value_of_colours_is_matched(channels, learned):
    x = faces(3, channels, 12, "u1")
    reference = None if learned else faces(1, channels, 9, "f8", seed=4)[0]
    v = x[:, :3].max(axis=1, keepdims=True)
    gray = None if learned else reference[:3].max(axis=0)
    w = HistogramMatcher(reference=gray).fit(v).transform(v)
    matcher = HistogramMatcher(reference=reference, color="value").fit(x)
    out = matcher.transform(x)
    np.testing.assert_allclose(out[:, :3], x[:, :3] * w / v, rtol=1e-12)
    if channels == 4:  # alpha goes to the range of the reference's type
        np.testing.assert_allclose(out[:, 3], x[:, 3] / (1 if learned else 255), rtol=1e-12)
    if learned:
        assert matcher.quantiles_.shape == (1, 1024)


def test_colours_of_bytes_are_rounded_and_kept_in_range():
    x = faces(3, 3, 12, "u1")
    own = HistogramMatcher(color="value").fit_transform(x)
    out = HistogramMatcher(color="value", dtype="uint8").fit_transform(x)
    assert_same(out, np.rint(own).clip(0, 255).astype("u1"))


@on_the_default_engine
def test_negative_reference_colours_are_refused():
    with pytest.raises(ValueError, match=r"reference.*negative"):
        HistogramMatcher(reference=-np.ones((3, 4, 4)), color="value").fit(faces(2, 3))


# --- learned --------------------------------------------------------------------------------------


@given(x=images([np.dtype("u1"), np.dtype("i2"), np.dtype("f4"), np.dtype("f8")]))
def test_quantiles_are_the_mean_of_order_statistics(x):
    assume(x.dtype.kind != "f" or float(np.nanmax(np.abs(x.astype("f8")))) < 1e300)
    matcher = HistogramMatcher().fit(x)
    for c, found in enumerate(matcher.quantiles_):
        pixels = [image[c][~np.isnan(image[c])] for image in x.astype("f8")]
        expected = np.mean([quantiles_by_definition(p) for p in pixels if p.size], axis=0)
        scale = np.abs(expected).max()
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12 * scale)
    assert matcher.quantiles_.shape == (x.shape[1], 1024)
    assert matcher.quantiles_.dtype == np.float64
    assert matcher.n_samples_seen_ == len(x)


@given(plane=planes(PLAIN))
def test_what_is_learned_is_interpolated_between_the_shares(plane):
    x = faces(5, dtype="f8")
    matcher = HistogramMatcher().fit(x)
    out = matcher.transform(plane[None])[0]
    pixels = np.sort(plane, axis=None)
    shares = np.searchsorted(pixels, plane, side="right") / plane.size
    expected = np.interp(shares, (np.arange(1024) + 0.5) / 1024, matcher.quantiles_[0])
    assert_same(out, expected.astype(out.dtype))


def test_one_training_image_is_nearly_a_given_reference():
    x = faces(8, side=64, dtype="f8")
    learned = HistogramMatcher().fit(x[:1]).transform(x)
    given_one = HistogramMatcher(reference=x[0, 0]).transform(x)
    np.testing.assert_allclose(learned, given_one, atol=2e-3)


def test_masks_count_in_fit_too():
    x = faces(5, 2, dtype="f8")
    mask = np.random.default_rng(0).random((5, 8, 8)) < 0.5
    holed = np.where(mask[:, None], x, np.nan)
    fitted = HistogramMatcher().fit(x, mask=mask)
    assert_same(fitted.quantiles_, HistogramMatcher().fit(holed).quantiles_)
    mask[[1, 3]] = False
    for call in ("fit", "partial_fit"):
        with pytest.raises(ValueError, match=r"mask.*1, 3"):
            getattr(HistogramMatcher(), call)(x, mask=mask)


def test_a_plane_of_missing_pixels_counts_for_nothing():
    x = faces(4, 2, dtype="f8")
    holed = x.copy()
    holed[1, 0] = np.nan
    fitted = HistogramMatcher().fit(holed)
    assert_same(fitted.quantiles_[0], HistogramMatcher().fit(x[[0, 2, 3]]).quantiles_[0])
    assert_same(fitted.quantiles_[1], HistogramMatcher().fit(x).quantiles_[1])
    holed[:, 1] = np.nan
    with pytest.raises(ValueError, match=r"channel\(s\) 1"):
        HistogramMatcher().fit(holed)


@few_examples
@given(seed=seeds, n_batches=st.integers(1, 6))
@pytest.mark.parametrize("dtype", ["u1", "f4", "f8"])
def test_batches_in_any_order_give_what_fit_gives(dtype, seed, n_batches):
    rng = np.random.default_rng(seed)
    x = faces(17, 2, 6, dtype, seed % 1000)
    if dtype == "f8":
        x *= 10.0 ** rng.integers(-20, 20, (17, 1, 1, 1))
    expected = HistogramMatcher().fit(x)
    matcher = HistogramMatcher()
    for part in np.array_split(rng.permutation(17), n_batches):
        assert matcher.partial_fit(x[part]) is matcher
    assert_same(matcher.quantiles_, expected.quantiles_)
    assert matcher.n_samples_seen_ == 17
    assert_same(matcher.transform(x), expected.transform(x))


def test_threads_and_blocks_change_nothing(monkeypatch):
    x = faces(11, 1, 20, "f8")
    one = HistogramMatcher().fit(x)
    expected = one.transform(x)
    set_work_per_thread(monkeypatch, 1)
    two = HistogramMatcher(n_jobs=2).fit(x)
    assert_same(two.quantiles_, one.quantiles_)
    assert_same(two.transform(x), expected)


@on_the_default_engine
def test_fit_forgets_and_partial_fit_goes_on():
    x = faces(6)
    matcher = HistogramMatcher().fit(x[:4]).partial_fit(x[4:])
    assert_same(matcher.quantiles_, HistogramMatcher().fit(x).quantiles_)
    assert_same(matcher.fit(x[:2]).quantiles_, HistogramMatcher().fit(x[:2]).quantiles_)
    assert matcher.n_samples_seen_ == 2


@on_the_default_engine
def test_a_failed_batch_changes_nothing():
    x = faces(6, dtype="f8")
    matcher = HistogramMatcher().fit(x)
    before = matcher.quantiles_.copy()
    bad = x.copy()
    bad[3, 0, 0, 0] = np.inf
    for other in (bad, faces(2), faces(2, 3, dtype="f8")):
        with pytest.raises(ValueError, match="X "):
            matcher.partial_fit(other)
    assert_same(matcher.quantiles_, before)
    assert matcher.n_samples_seen_ == 6


@on_the_default_engine
def test_the_state_does_not_grow_and_pickles_small():
    sizes = []
    matcher = HistogramMatcher()
    for seed in range(8):
        matcher.partial_fit(faces(50, 3, 24, "f8", seed))
        sizes.append(len(pickle.dumps(matcher)))
    assert max(sizes) - min(sizes) < 100  # a counter may take another byte
    assert max(sizes) < 6 * 3 * 1024 * 8  # the quantiles, and four digits of their sums


SPREADS = {"one range": (0, 1), "wide": (-60, 60), "all": (-1060, 1000)}


@few_examples
@given(seed=seeds, parts=st.lists(st.integers(0, 12), max_size=2))
@pytest.mark.parametrize("spread", SPREADS)
def test_the_mean_is_exact_in_any_grouping(spread, seed, parts):
    """Images of one pixel, whose quantiles are this pixel: their exact mean, rounded once."""
    rng = np.random.default_rng(seed)
    x = np.ldexp(rng.standard_normal((12, 2, 1, 1)), rng.integers(*SPREADS[spread], (12, 2, 1, 1)))
    x[rng.random((12, 2)) < 0.2] = np.nan
    batches = [np.append(np.zeros((1, 2, 1, 1)), part, axis=0)  # no channel is without a pixel
               for part in np.split(rng.permutation(x), sorted(parts))]  # fmt: skip
    matcher = HistogramMatcher()
    for batch in batches:
        matcher.partial_fit(batch)
    for learned, channel in zip(matcher.quantiles_, np.concatenate(batches)[:, :, 0, 0].T):
        values = [Fraction(value) for value in channel.tolist() if value == value]
        assert (learned == float(sum(values) / len(values))).all()


def test_sums_of_the_largest_doubles_do_not_overflow():
    x = np.full((3, 4, 4), np.finfo(float).max)
    x[:, 0] /= 2
    quantiles = HistogramMatcher().fit(x).quantiles_
    assert_same(quantiles, HistogramMatcher().fit(x[:1]).quantiles_)


@on_the_default_engine
def test_other_sizes_are_served_other_channels_are_not():
    matcher = HistogramMatcher().fit(faces(4, 1, 8))
    assert matcher.transform(faces(3, 1, 12)).shape == (3, 1, 12, 12)
    matcher.partial_fit(faces(3, 1, 12))
    with pytest.raises(ValueError, match="channel"):
        matcher.transform(faces(3, 2, 8))
    with pytest.raises(ValueError, match=r"expected images of shape .* or rows of 64 values"):
        matcher.transform(faces(3, 1, 12).reshape(3, -1))


@on_the_default_engine
def test_other_dtypes_are_served():
    """Only the order of an image's own intensities matters."""
    matcher = HistogramMatcher().fit(faces(4))
    x = faces(3)
    assert_same(matcher.transform(x.astype(float) / 255), matcher.transform(x))


@on_the_default_engine
def test_clones_copies_and_pickles_give_the_same():
    x = faces(5, 2)
    for matcher in (HistogramMatcher(), HistogramMatcher(reference=x[0])):
        expected = matcher.fit(x).transform(x)
        for other in (copy.deepcopy(matcher), pickle.loads(pickle.dumps(matcher))):
            assert_same(other.transform(x), expected)


@on_the_default_engine
def test_it_must_be_fitted_where_it_learns():
    with pytest.raises(NotFittedError):
        HistogramMatcher().transform(faces())
    HistogramMatcher(reference=faces(1, 1)[0]).transform(faces())


def test_constant_planes_take_the_references_brightest():
    for dtype in ALL:
        assert (matched(np.ones((3, 4), dtype), np.array([[1.0, 5.0]])) == 5).all()
    reference = np.full((2, 2), 7)
    assert (matched(faces(1, 1, 8)[0, 0], reference) == 7).all()


@given(plane=planes(FLOATS))
def test_a_heavy_tail_is_no_matter(plane):
    """Only ranks count: any increasing curve before it changes nothing."""
    ranks = np.unique(plane, return_inverse=True)[1].reshape(plane.shape)
    reference = faces(1, 1, 9, "f8")[0, 0]
    np.testing.assert_allclose(matched(plane, reference), matched(ranks, reference), rtol=1e-6)


# --- tags -----------------------------------------------------------------------------------------


def tags(**params):
    return HistogramMatcher(**params).__sklearn_tags__()


@on_the_default_engine
def test_tags_tell_the_truth():
    assert tags().requires_fit
    assert not tags(reference=np.zeros((2, 2))).requires_fit
    assert tags().input_tags.allow_nan
    assert tags().transformer_tags.preserves_dtype == ["float64", "float32"]
    assert tags(dtype="uint8").transformer_tags.preserves_dtype == ["uint8"]
    assert not tags(dtype="uint8").input_tags.allow_nan
    assert hasattr(HistogramMatcher(), "partial_fit")


@pytest.mark.parametrize("dtype", INTEGERS[:4])
def test_integers_of_any_sign_and_order(dtype):
    x = faces(dtype=dtype)
    matcher = HistogramMatcher().fit(x)
    assert_same(matcher.transform(x), HistogramMatcher().fit(x).transform(x.astype("i8")))


# --- the result is kept in range, not the reference -----------------------------------------------


@pytest.mark.parametrize("learned", [False, True])
@pytest.mark.parametrize(
    ("dtype", "reference"),
    [
        ("f2", [0, 10**6]),  # integers, that the middle of the output is 500,000
        ("f2", [0.0, 1e6]),
        ("f2", [-(10**6), 10**6]),
        ("f4", [0.0, 1e39]),
        ("f4", [-1e300, 1e300]),
        ("f8", [0, 2**63 - 1]),
    ],
)
def test_the_result_is_kept_in_range_and_not_the_reference(dtype, reference, learned):
    """np.interp of the whole reference, and then the largest value of the type."""
    reference, x = np.array([reference]), np.array([[[1, 2, 3, 4]]], dtype)
    matcher = HistogramMatcher(reference=None if learned else reference, dtype="input")
    out = matcher.fit(reference[None] if learned else x).transform(x)[0, 0]
    shares = (np.arange(1024) + 0.5) / 1024 if learned else [0.5, 1]
    values = np.repeat(reference[0], 512) if learned else reference[0]
    wanted = np.interp([0.25, 0.5, 0.75, 1], shares, values.astype(float))
    largest = np.finfo(dtype).max
    assert_same(out, np.clip(wanted, -float(largest), float(largest)).astype(dtype))
    assert np.isfinite(out).all()


@pytest.mark.parametrize("seed", range(5))
def test_a_reference_just_beyond_half_precision_is_not_rounded_itself(seed):
    """65535 is no float16; what is interpolated from it is rounded, and not it."""
    rng = np.random.default_rng(seed)
    reference = rng.integers(0, 2**16, (6, 5), np.uint16)
    reference[0, 0] = 2**16 - 1
    x = rng.random((1, 12, 12)).astype(np.float16)
    out = HistogramMatcher(reference=reference, dtype="input").fit_transform(x)
    wanted = by_definition(x[0], reference).clip(max=65504)
    assert_same(out[0], wanted.astype(np.float16))


@pytest.mark.parametrize("color", ["channels", "value"])
@pytest.mark.parametrize(
    "kinds", [("u1", "u2"), ("u1", "u2", "u4"), ("u2", "i4"), ("f2", "f4", "f8")]
)
def test_the_order_of_batches_of_several_types_does_not_matter(kinds, color):
    rng = np.random.default_rng(0)
    batches = [(rng.random((2, 4, 5, 5)) * 200).astype(kind) for kind in kinds]
    x = (rng.random((2, 4, 5, 5)) * 200).astype("u1")
    found = []
    for order in (batches, batches[::-1]):
        matcher = HistogramMatcher(color=color)
        for batch in order:
            matcher.partial_fit(batch)
        found.append(matcher.transform(x))
    assert_same(found[0], found[1])
    if color == "value" and kinds[0][0] != "f":  # alpha in the range of the widest type
        largest = max(np.iinfo(kind).max for kind in kinds)
        np.testing.assert_allclose(found[0][:, 3], x[:, 3] / 255 * largest, rtol=1e-14)
