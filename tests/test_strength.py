"""strength: how far images are changed, from not at all to completely."""

import numpy as np
import pytest
from _helpers import assert_same, faces, on_all_engines, on_the_default_engine
from _internals import set_parts_of_blending, set_parts_of_matching, set_work_per_thread
from _strategies import ALL, PLAIN, few_examples, holes, masked, planes
from hypothesis import given
from hypothesis import strategies as st
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline

from sklearn_histeq import HistogramEqualizer, HistogramMatcher

pytestmark = [pytest.mark.usefixtures("engine"), on_all_engines]

DTYPES = [dtype.str for dtype in ALL if dtype.byteorder != ">"]
strengths = st.floats(0, 1, exclude_min=True, exclude_max=True)


def moved(x, strength, mask=None, **params):
    return HistogramMatcher(strength=strength, **params).fit(x, mask=mask).transform(x, mask=mask)


# --- the ends -------------------------------------------------------------------------------------


@given(case=masked(planes().flatmap(holes)))
@pytest.mark.parametrize("dtype", [None, "input"])
@pytest.mark.parametrize("reference", [None, [[3.5, 7, 20]]])
def test_zero_leaves_the_image_as_it_is(case, dtype, reference):
    plane, mask = case
    mask = None if mask is None else mask[None]
    out = moved(plane[None], 0, mask, dtype=dtype, reference=reference)[0]
    single = plane.dtype.kind == "f" and plane.dtype.itemsize < 8
    expected = plane if dtype == "input" else plane.astype("f4" if single else "f8")
    assert out.dtype == expected.dtype
    assert out.tobytes() == expected.tobytes()  # the sign of zeros, too


def test_zero_leaves_colours_and_alpha_as_they_are():
    x = faces(3, 4, 10, "u1")
    assert_same(moved(x, 0, color="value", dtype="input"), x)
    assert_same(moved(x, 0.0, color="value"), x.astype("f8"))


def test_zero_rounds_and_keeps_in_range_what_the_output_cannot_hold():
    x = np.array([[[-3.0, 0.5, 1.5, 300, 2e9]]])
    assert_same(moved(x, 0, dtype="uint8"), np.array([[[0, 0, 2, 255, 255]]], "u1"))
    x = np.array([[[-1, 1000, 2**62]]])
    assert_same(moved(x, 0, dtype="uint16"), np.array([[[0, 1000, 65535]]], "u2"))


def test_zero_makes_the_same_errors():
    x = faces(3, dtype="f8")
    mask = np.ones((3, 8, 8), bool)
    mask[1] = False
    matcher = HistogramMatcher(strength=0).fit(x)
    with pytest.raises(ValueError, match=r"mask leaves no pixel.*image\(s\) 1"):
        matcher.transform(x, mask=mask)
    x[2, 0, 0, 0] = np.inf
    with pytest.raises(ValueError, match=r"infinity.*image\(s\) 2"):
        matcher.transform(x)
    x[2, 0, 0, 0] = np.nan
    with pytest.raises(ValueError, match=r"NaN.*image\(s\) 2"):
        matcher.set_params(dtype="uint8").transform(x)
    with pytest.raises(NotFittedError):
        HistogramMatcher(strength=0).transform(x)
    with pytest.raises(ValueError, match="channel"):
        HistogramMatcher(strength=0, reference=faces(1, 3)[0]).transform(x)


@pytest.mark.parametrize("dtype", DTYPES)
def test_one_is_the_match(dtype):
    x = faces(3, 1, 10, dtype)
    assert_same(moved(x, 1), HistogramMatcher().fit_transform(x))


# --- between --------------------------------------------------------------------------------------


@given(case=masked(planes().flatmap(holes)), strength=strengths)
def test_between_intensities_move_a_share_of_the_way(case, strength):
    """(1 - s) x + s m in double precision, where m has not been rounded to the output's type."""
    (plane, mask), reference = case, [[-3.0, 0.1, 7, 20, 21.25]]
    mask = None if mask is None else mask[None]
    is_single = plane.dtype.kind == "f" and plane.dtype.itemsize < 8
    doubles = plane.astype("f8") if is_single else plane  # of the same ranks
    m = HistogramMatcher(reference=reference).transform(doubles[None], mask=mask)[0]
    out = moved(plane[None], strength, mask, reference=reference)[0]
    expected = (1.0 - strength) * plane.astype("f8") + strength * m
    assert_same(out, expected.astype("f4" if is_single else "f8"))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("is_masked", [False, True])
def test_large_planes_in_parts_and_threads(monkeypatch, dtype, is_masked):
    x = faces(2, 1, 40, dtype)
    if x.dtype.kind == "f":
        x[:, :, ::7] = np.nan
    mask = np.random.default_rng(1).random((2, 40, 40)) < 0.6 if is_masked else None
    matcher = HistogramMatcher(strength=0.3).fit(faces(3))
    expected = matcher.transform(x, mask=mask)
    set_parts_of_matching(monkeypatch, 100)
    set_work_per_thread(monkeypatch, 1)
    for n_jobs in (None, 3):
        matcher.set_params(n_jobs=n_jobs)
        assert_same(matcher.transform(x, mask=mask), expected)
        assert_same(matcher.transform(x[:1], mask=None if mask is None else mask[:1]), expected[:1])


@pytest.mark.parametrize("dtype", ["uint8", "input"])
def test_integers_are_rounded_once(dtype):
    x = faces(4, 1, 12)
    matched = HistogramMatcher().fit_transform(x)
    out = moved(x, 0.25, dtype=dtype)
    assert_same(out, np.rint(0.75 * x + 0.25 * matched).astype("u1"))


def test_a_reference_beyond_single_precision():
    x = np.array([[[1, 2, 3, 4]]], "f4")
    out = moved(x, 0.5, reference=[[0, 1, 1e38, 1e39]])
    assert_same(out[0, 0], np.array([0.5, 1.5, 0.5e38, np.finfo("f4").max], "f4"))


def test_the_value_of_colours_is_moved():
    x, reference = faces(3, 3, 12, "u1"), faces(1, 3, 9, "u1", seed=4)[0]
    v = x.max(axis=1, keepdims=True)
    gray = HistogramMatcher(strength=0.3, reference=reference.max(axis=0)).transform(v)
    out = HistogramMatcher(strength=0.3, reference=reference, color="value").transform(x)
    np.testing.assert_allclose(out, x * gray / v, rtol=1e-12)


@pytest.mark.parametrize("dtype", ["u2", "f4", "f8"])
def test_two_images_half_way_to_each_other_are_equalized_midway(dtype):
    """Delon (2004): both get the same histogram, between those of both."""
    rng = np.random.default_rng(0)
    a, b = (rng.permutation(5000)[:900].reshape(30, 30).astype(dtype) for _ in range(2))
    b = (b.astype("f8") ** 1.3).astype(dtype)
    assert len(np.unique(a)) == len(np.unique(b)) == 900
    a_out, b_out = (
        HistogramMatcher(reference=other, strength=0.5).transform(one[None])[0]
        for one, other in ((a, b), (b, a))
    )
    assert_same(np.sort(a_out, axis=None), np.sort(b_out, axis=None))
    midway = (np.sort(a, axis=None).astype("f8") + np.sort(b, axis=None)) / 2
    assert_same(np.sort(a_out, axis=None), midway.astype(a_out.dtype))


@on_the_default_engine
def test_dask():
    da = pytest.importorskip("dask.array", reason="the extra dask is not installed")
    x = faces(17, 3, 12, "f4")
    lazy = da.from_array(x, chunks=(4, 1, 12, 12))
    for strength in (0, 0.4):
        out = HistogramMatcher(strength=strength, color="value").fit(lazy).transform(lazy)
        assert_same(out.compute(), moved(x, strength, color="value"))


# --- the parameter --------------------------------------------------------------------------------


@on_the_default_engine
@pytest.mark.parametrize("strength", [-0.1, 1.1, float("nan"), None, "half", True, [0.5]])
def test_wrong_strengths(strength):
    with pytest.raises(ValueError, match=r"strength=.*, but expected a number from 0 .* to 1"):
        HistogramMatcher(strength=strength).fit(faces())


@on_the_default_engine
@pytest.mark.parametrize("strength", [0, 1, 0.5, np.float32(0.5), np.int64(1)])
def test_numbers_of_every_kind(strength):
    assert_same(moved(faces(), strength), moved(faces(), float(strength)))


@on_the_default_engine
def test_what_is_learned_serves_every_strength():
    x = faces()
    matcher = HistogramMatcher().fit(x)
    for strength in (0, 0.2, 1):
        assert_same(matcher.set_params(strength=strength).transform(x), moved(x, strength))


@on_the_default_engine
def test_a_grid_of_strengths():
    x, y = faces(12, 1, 12), np.arange(12) % 2
    pipeline = make_pipeline(HistogramMatcher(flatten=True), KNeighborsClassifier(1))
    grid = {"histogrammatcher__strength": [0, 0.5, 1]}
    search = GridSearchCV(pipeline, grid, cv=2, error_score="raise").fit(x, y)
    assert len(search.cv_results_["mean_test_score"]) == 3


# --- HistogramEqualizer ---------------------------------------------------------------------------

CONVENTIONS = {"skimage": 1, "numpy": 255, "opencv": 255, "pillow": 255}  # with their largest value


def full_range(dtype):
    if dtype.kind in "iu":
        return np.iinfo(dtype).min, np.iinfo(dtype).max
    return 0, 1


def blended(x, equalized, strength, limits, top=1):
    """(1 - s) u + s t in double precision, in the type of t."""
    low, high = limits
    u = (x.astype("f8").clip(low, high) - low) / ((high - low) / top)
    values = (1.0 - strength) * u + strength * equalized.astype("f8")
    return (np.rint(values) if equalized.dtype == np.uint8 else values).astype(equalized.dtype)


@given(case=masked(planes().flatmap(holes)), strength=st.floats(0, 1, exclude_max=True))
@pytest.mark.parametrize("scope", ["image", "dataset"])
@pytest.mark.parametrize("convention", ["skimage", "numpy"])
@pytest.mark.parametrize("n_bins", ["auto", 40])
def test_equalized_values_are_blended_with_the_image(case, strength, scope, convention, n_bins):
    plane, mask = case
    x, mask = plane[None], None if mask is None else mask[None]
    params = {"n_bins": n_bins, "convention": convention, "scope": scope}
    limits = -3, 20.5
    has_bins = n_bins != "auto" or convention == "numpy" or plane.dtype.kind == "f"
    range_of_bins = limits if has_bins else None
    alone = HistogramEqualizer(**params, value_range=range_of_bins).fit_transform(x, mask=mask)
    out = HistogramEqualizer(**params, value_range=limits, strength=strength).fit_transform(
        x, mask=mask
    )
    assert_same(out, blended(x, alone, strength, limits, CONVENTIONS[convention]))


@given(case=masked(planes(dtypes=[d for d in ALL if d.kind in "biu"])), strength=strengths)
@few_examples
def test_integers_are_read_by_the_full_range_of_their_type(case, strength):
    plane, mask = case
    x, mask = plane[None], None if mask is None else mask[None]
    alone = HistogramEqualizer().fit_transform(x, mask=mask)
    out = HistogramEqualizer(strength=strength).fit_transform(x, mask=mask)
    assert_same(out, blended(x, alone, strength, full_range(x.dtype)))


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize("scope", ["image", "dataset"])
@pytest.mark.parametrize("dtype", ["input", "uint16", "float32"])
def test_bytes_with_every_convention(convention, scope, dtype):
    x, top = faces(5, 3, 12), CONVENTIONS[convention]
    mask = np.random.default_rng(1).random((5, 12, 12)) < 0.6
    params = {"convention": convention, "scope": scope}
    alone = HistogramEqualizer(**params).fit_transform(x, mask=mask)
    expected = blended(x, alone, 0.3, (0, 255), top)
    out = HistogramEqualizer(**params, strength=0.3, dtype=dtype).fit_transform(x, mask=mask)
    if dtype == "float32":
        assert_same(out, expected.astype("f4"))
    else:
        largest = np.iinfo(out.dtype).max
        scaled = expected if expected.dtype == out.dtype else expected / top * largest
        assert_same(out, np.rint(scaled).astype(out.dtype))
    zero = HistogramEqualizer(**params, strength=0, dtype="input").fit_transform(x, mask=mask)
    assert_same(zero, x)


@pytest.mark.parametrize("scope", ["image", "dataset"])
@pytest.mark.parametrize("dtype", [dtype.str for dtype in PLAIN])
def test_large_planes_are_blended_in_parts_and_threads(monkeypatch, scope, dtype):
    x = faces(3, 2, 40, dtype)
    if x.dtype.kind == "f":
        x[:, :, ::7] = np.nan
    alone = HistogramEqualizer(scope=scope).fit(x)
    halves = HistogramEqualizer(scope=scope, strength=0.5).fit(x)
    expected = blended(x, alone.transform(x), 0.5, full_range(x.dtype))
    set_parts_of_blending(monkeypatch, 100)
    set_work_per_thread(monkeypatch, 1)
    for n_jobs in (None, 3):
        halves.set_params(n_jobs=n_jobs)
        assert_same(halves.transform(x), expected)
        assert_same(halves.transform(x[:1]), expected[:1])
        last = np.moveaxis(x, 1, -1)
        out = HistogramEqualizer(**halves.get_params()).set_params(channel_axis=-1)
        assert_same(out.fit(last).transform(last), np.moveaxis(expected, 1, -1))


@pytest.mark.parametrize("color", ["value", "luminance", "lightness"])
@pytest.mark.parametrize("dtype", ["u1", "f8"])
def test_the_plane_of_colours_is_blended_and_the_colours_follow(color, dtype):
    x = faces(3, 4, 12, dtype)
    for strength in (0, 0.3):
        out = HistogramEqualizer(color=color, strength=strength).fit_transform(x)
        alone = HistogramEqualizer(color=color).fit_transform(x)
        u = x / full_range(x.dtype)[1]
        if color == "value":
            v, t = (of.max(axis=1, keepdims=True) for of in (u[:, :3], alone[:, :3]))
            np.testing.assert_allclose(
                out[:, :3], u[:, :3] * ((1 - strength) + strength * t / v), rtol=1e-12
            )
        elif strength == 0:  # but for Y and L*, which are rounded
            np.testing.assert_allclose(out, u, atol=1e-6 if color == "lightness" else 1e-12)
        assert_same(out[:, 3], alone[:, 3])


@pytest.mark.parametrize("bad", [-0.01, 1.01])
@pytest.mark.parametrize("color", ["channels", "value"])
@pytest.mark.parametrize("scope", ["image", "dataset"])
def test_floats_outside_need_a_range(bad, color, scope):
    x = faces(4, 3, dtype="f4")
    x[2, 0, 0, 0] = bad
    halves = HistogramEqualizer(strength=0.5, color=color, scope=scope)
    if color == "value" and bad < 0:
        with pytest.raises(ValueError, match=r"negative values.*image\(s\) 2"):
            halves.fit_transform(x)
        return
    with pytest.raises(ValueError, match=r"outside of \[0, 1\].*image\(s\) 2.*value_range="):
        halves.fit_transform(x)
    assert halves.set_params(value_range=(-1, 2)).fit_transform(x).shape == x.shape
    infinite = np.where(x == bad, np.inf, x)
    with pytest.raises(ValueError, match=r"infinity.*image\(s\) 2"):
        halves.fit_transform(infinite)


@on_the_default_engine
def test_what_a_partial_strength_excludes():
    x = faces()
    with pytest.raises(ValueError, match=r"output_distribution='normal'.*expected strength=1"):
        HistogramEqualizer(strength=0.5, output_distribution="normal").fit(x)
    for value_range in ((-1.7e308, 1.7e308), (0, 1e-310)):
        with pytest.raises(ValueError, match=r"value_range=.*from 1e-300 to 1.79769e\+308 wide"):
            HistogramEqualizer(strength=0.5, n_bins=9, value_range=value_range).fit(x)
    with pytest.raises(ValueError, match=r"strength='half'.*expected a number from 0"):
        HistogramEqualizer(strength="half").fit(x)
    halves = HistogramEqualizer(strength=0.5, scope="dataset").fit(x)
    with pytest.raises(AttributeError, match=r"needs strength=1: with strength=0.5"):
        _ = halves.inverse_transform
    whole = halves.set_params(strength=1)  # nothing that is learned depends on it
    assert_same(whole.transform(x), HistogramEqualizer(scope="dataset").fit_transform(x))
    assert whole.inverse_transform(whole.transform(x)).shape == x.shape
