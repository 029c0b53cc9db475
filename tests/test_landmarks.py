"""HistogramMatcher(landmarks=...): percentiles, their mean, and straight lines between them."""

import math
import pickle
from fractions import Fraction

import numpy as np
import pytest
from _helpers import assert_same, faces, on_all_engines, on_the_default_engine
from _internals import set_parts_of_matching, set_work_per_thread
from _strategies import PLAIN, few_examples, holes, images, masked, planes, seeds
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline

from sklearn_histeq import HistogramMatcher

pytestmark = [pytest.mark.usefixtures("engine"), on_all_engines]

NYUL = (1, 10, 20, 30, 40, 50, 60, 70, 80, 90, 99)
PERCENTAGES = [NYUL, (0, 100), (0, 50, 100), (2.5, 33.3, 98), (0, *range(1, 100, 3), 100)]


# --- the definition, in plain Python --------------------------------------------------------------


def counted_pixels(plane, mask=None):
    """The counted pixels in order, and the unit in which the plane is computed."""
    counted = np.ones(plane.shape, bool) if mask is None else mask
    pixels = sorted(x for x in plane[counted].astype("f8").tolist() if x == x)
    unit = 2.0**-64 if pixels and max(-pixels[0], pixels[-1]) > 2.0**960 else 1.0
    return [x * unit for x in pixels], unit


def percentile(pixels, percentage):
    """numpy.percentile, in its arithmetic."""
    place = (len(pixels) - 1) * (percentage / 100)
    low, high = pixels[math.floor(place)], pixels[math.ceil(place)]
    t = place - math.floor(place)
    return low + (high - low) * t if t < 0.5 else high - (high - low) * (1 - t)


def own_landmarks(pixels, percentages):
    found = [percentile(pixels, p) for p in percentages]
    return [max(found[: k + 1]) for k in range(len(found))]


def on_the_standard_scale(own, low, high):
    share = [(q - own[0]) / (own[-1] - own[0]) for q in own]
    return [high if s == 1 else min(s * (high - low) + low, high) for s in share]


def knots_of(own, standard):
    """Distinct landmarks with their values."""
    knots = {}
    for q, value in zip(own, standard):
        knots.setdefault(q, []).append(value)
    means = [float(np.cumsum(values)[-1] / len(values)) for values in knots.values()]
    return list(knots), [standard[0], *means[1:-1], standard[-1]]


def slope_between(points, values, k):
    with np.errstate(all="ignore"):
        slope = np.float64(values[k + 1] - values[k]) / np.float64(points[k + 1] - points[k])
    return slope if np.isfinite(slope) else 0.0


def by_definition(plane, percentages, standard, mask=None):
    """Pixel by pixel: the line of the knot at or below, and the end segments extended."""
    pixels, unit = counted_pixels(plane, mask)
    points, values = knots_of(own_landmarks(pixels, percentages), standard)
    own = np.dtype("f4" if plane.dtype.newbyteorder("=") in ("f2", "f4") else "f8")
    out = np.empty(plane.shape)
    with np.errstate(all="ignore"):
        for place, pixel in np.ndenumerate(plane.astype("f8")):
            x = pixel * unit
            k = max(sum(point <= x for point in points) - 1, 0)
            slope = slope_between(points, values, min(k, len(points) - 2))
            out[place] = slope * (x - points[k]) + values[k]
    largest = float(np.finfo(own).max)
    return out.clip(-largest, largest).astype(own)


def has_landmarks(plane, percentages, mask=None):
    pixels, _ = counted_pixels(plane, mask)
    own = own_landmarks(pixels, percentages) if pixels else [0, 0]
    return own[0] < own[-1]


# --- bits -----------------------------------------------------------------------------------------


@given(case=masked(planes().flatmap(holes)), percentages=st.sampled_from(PERCENTAGES))
def test_every_dtype_missing_pixels_and_masks(case, percentages):
    plane, mask = case
    assume(has_landmarks(plane, percentages, mask))
    matcher = HistogramMatcher(landmarks=percentages).fit(faces(4, dtype="f8"))
    out = matcher.transform(plane[None], mask=None if mask is None else mask[None])[0]
    standard = matcher.landmarks_[0].tolist()
    assert_same(out, by_definition(plane, percentages, standard, mask))


@given(case=masked(planes().flatmap(holes)), percentages=st.sampled_from(PERCENTAGES))
def test_what_is_learned_from_one_plane(case, percentages):
    plane, mask = case
    assume(plane.size > 1 and has_landmarks(plane, percentages, mask))
    matcher = HistogramMatcher(landmarks=percentages, standard_range=(-2, 3))
    matcher.fit(plane[None], mask=None if mask is None else mask[None])
    own = own_landmarks(counted_pixels(plane, mask)[0], percentages)
    assert_same(matcher.landmarks_[0], np.array(on_the_standard_scale(own, -2, 3)))


@given(plane=planes(PLAIN, max_side=20))
def test_percentiles_are_numpys(plane):
    assume(plane.size > 1 and has_landmarks(plane, NYUL))
    assume(float(np.abs(plane.astype("f8")).max()) < 2.0**960)
    own = np.percentile(plane.astype("f8"), NYUL)
    learned = HistogramMatcher(landmarks="nyul").fit(plane[None]).landmarks_[0]
    expected = (own - own[0]) / (own[-1] - own[0]) * 100
    np.testing.assert_allclose(learned, expected, rtol=1e-12, atol=1e-12)


@few_examples
@given(x=images(PLAIN, max_c=3), seed=seeds)
def test_a_batch_is_the_stack_of_its_planes(x, seed):
    assume(x.shape[2] > 1 and all(has_landmarks(p, (0, 50, 100)) for i in x for p in i))
    matcher = HistogramMatcher(landmarks=(0, 50, 100)).fit(faces(3, x.shape[1], 9, "f4", seed))
    one = HistogramMatcher(landmarks=(0, 50, 100))
    for i, c in np.ndindex(x.shape[:2]):
        one.fit(faces(3, x.shape[1], 9, "f4", seed)[:, [c]])
        assert_same(one.transform(x[i : i + 1, c])[0], matcher.transform(x)[i, c])
    last = HistogramMatcher(landmarks=(0, 50, 100), channel_axis=-1)
    last.fit(np.moveaxis(faces(3, x.shape[1], 9, "f4", seed), 1, -1))
    assert_same(np.moveaxis(last.transform(np.moveaxis(x, 1, -1)), -1, 1), matcher.transform(x))


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "i4", "u8", "f2", "f4", "f8", "bool"])
@pytest.mark.parametrize("is_masked", [False, True])
def test_large_planes_in_parts_and_threads(monkeypatch, dtype, is_masked):
    x = faces(2, 1, 40, "f8") > 0.4 if dtype == "bool" else faces(2, 1, 40, dtype)
    x = np.where(np.random.default_rng(0).random(x.shape) < 0.2, x[:1], x)
    if x.dtype.kind == "f":
        x[:, :, ::7] = np.nan
    mask = np.random.default_rng(1).random((2, 40, 40)) < 0.6 if is_masked else None
    matcher = HistogramMatcher(landmarks=(0, 30, 100)).fit(faces(3, 1, 9, "f8"))
    matchers = [matcher, HistogramMatcher(landmarks=(0, 30, 100), n_jobs=3)]
    expected = matcher.transform(x, mask=mask)
    learned = HistogramMatcher(landmarks=(0, 30, 100)).fit(x, mask=mask).landmarks_
    set_parts_of_matching(monkeypatch, 100)
    set_work_per_thread(monkeypatch, 1)
    for one in matchers:
        assert_same(one.fit(x, mask=mask).landmarks_, learned)
        one.fit(faces(3, 1, 9, "f8"))
        assert_same(one.transform(x, mask=mask), expected)
        assert_same(one.transform(x[:1], mask=None if mask is None else mask[:1]), expected[:1])


# --- the standard scale ---------------------------------------------------------------------------


def test_landmarks_go_to_their_mean():
    x = faces(5, 2, 30, "f8")
    matcher = HistogramMatcher(landmarks="nyul", standard_range=(-1, 1)).fit(x)
    out = matcher.transform(x)
    for c in range(2):
        found = np.percentile(out[:, c].reshape(5, -1), NYUL, axis=1).T
        np.testing.assert_allclose(found, [matcher.landmarks_[c]] * 5, atol=0.01)
    assert matcher.landmarks_.shape == (2, 11)
    assert matcher.landmarks_.dtype == np.float64
    assert (matcher.landmarks_[:, [0, -1]] == [-1, 1]).all()
    assert not hasattr(matcher, "quantiles_")
    assert matcher.n_samples_seen_ == 5


def test_another_gain_and_offset_change_nothing():
    """Powers of two, of which no bit is lost."""
    x = faces(5, 1, 20, "u1").astype("f8")
    matcher = HistogramMatcher(landmarks=(0, 25, 50, 100)).fit(x)
    other = HistogramMatcher(landmarks=(0, 25, 50, 100)).fit(8 * x + 64)
    assert_same(matcher.landmarks_, other.landmarks_)
    assert_same(matcher.transform(x), other.transform(8 * x + 64))


def test_nothing_is_clipped():
    x = np.arange(201.0).reshape(1, 3, 67)
    matcher = HistogramMatcher(landmarks=(10, 90), standard_range=(0, 80)).fit(x)
    assert_same(matcher.transform(x), (x - 20) / 2)
    far = np.append(x, [[[1e6], [-1e6], [0]]], axis=2)
    mask = np.ones(far.shape, bool)
    mask[..., -1] = False
    assert_same(matcher.transform(far, mask=mask)[0, :, -1], np.array([499990.0, -500010, -10]))


def test_equal_landmarks_are_one_knot_with_the_mean_of_their_values():
    training = np.arange(11.0).reshape(1, 1, 11)
    matcher = HistogramMatcher(landmarks=(0, 20, 40, 60, 80, 100), standard_range=(0, 10))
    matcher.fit(training)
    inner = np.array([[[0.0, 4, 4, 4, 4, 4, 4, 4, 4, 4, 8]]])
    assert_same(matcher.transform(inner)[0, 0, [0, 1, -1]], np.array([0.0, 5, 10]))
    first = np.array([[[0.0, 0, 0, 0, 0, 5, 6, 7, 8, 9, 10]]])
    assert matcher.transform(first)[0, 0, 0] == 0  # not the mean of 0, 2 and 4
    last = np.array([[[0.0, 1, 2, 3, 4, 5, 9, 9, 9, 9, 9]]])
    assert matcher.transform(last)[0, 0, -1] == 10


def test_no_two_landmarks_are_an_error_that_names_the_images():
    x = faces(5, 2, 10, "u1")
    x[3, 0, :9] = x[1, 1, 1:] = 0  # the darkest nine tenths
    matcher = HistogramMatcher(landmarks=(1, 50, 80))
    for call in (matcher.fit, matcher.partial_fit):
        with pytest.raises(ValueError, match=r"X has equal intensities.*in image\(s\) 1, 3, but"):
            call(x)
    matcher.fit(faces(3, 2, 10))
    with pytest.raises(ValueError, match=r"first and at the last percentage in image\(s\) 1, 3, b"):
        matcher.transform(x)
    mask = np.ones((5, 10, 10), bool)
    mask[2, 1:] = mask[2, 0, 1:] = False  # one pixel
    for call in (matcher.fit, matcher.transform):
        with pytest.raises(ValueError, match=r"image\(s\) 1, 2, 3, but"):
            call(x, mask=mask)


def test_a_constant_plane_is_not_learned_from_and_becomes_the_upper_end():
    x = faces(4, 2, 10, "f8")
    x[1, 0] = 0.3
    x[2, 1], x[2, 1, 3, 3] = np.nan, 8
    matcher = HistogramMatcher(landmarks="nyul", standard_range=(1, 9)).fit(x)
    for channel, others in enumerate(([0, 2, 3], [0, 1, 3])):
        alone = HistogramMatcher(landmarks="nyul", standard_range=(1, 9)).fit(x[others])
        assert_same(matcher.landmarks_[channel], alone.landmarks_[channel])
    out = matcher.transform(x)
    assert (out[1, 0] == 9).all()
    assert out[2, 1, 3, 3] == 9
    assert np.isnan(out).sum() == 99
    mask = np.ones((4, 10, 10), bool)
    with pytest.raises(ValueError, match=r"image\(s\) 1, 2, but"):
        matcher.transform(x, mask=mask)
    with pytest.raises(ValueError, match=r"channel\(s\) 0, 1: all are NaN, or of one intensity"):
        matcher.fit(np.ones((3, 2, 5, 5)))


def test_an_image_of_one_pixel_is_an_error_that_scikit_learn_knows():
    for shape in ((5, 1), (5, 1, 1), (5, 3, 1, 1)):
        with pytest.raises(ValueError, match=r"1 feature\(s\)"):
            HistogramMatcher(landmarks="nyul").fit(np.zeros(shape))


def test_planes_of_missing_pixels_count_for_nothing_and_stay():
    x = faces(4, 2, 10, "f8")
    holed = x.copy()
    holed[1, 0] = np.nan
    matcher = HistogramMatcher(landmarks="nyul").fit(holed)
    alone = HistogramMatcher(landmarks="nyul").fit(x[[0, 2, 3]])
    assert_same(matcher.landmarks_[0], alone.landmarks_[0])
    out = matcher.transform(holed)
    assert np.isnan(out[1, 0]).all()
    assert np.isnan(out).sum() == 100
    with pytest.raises(ValueError, match=r"mask leaves no pixel to count in image\(s\) 2"):
        matcher.transform(x, mask=np.arange(4)[:, None, None] != np.full((10, 10), 2))
    x[3, 1, 2, 2] = np.inf
    for call in (matcher.fit, matcher.transform):
        with pytest.raises(ValueError, match=r"infinity.*image\(s\) 3"):
            call(x)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "input", "float32"])
def test_output_dtypes(dtype):
    x = faces(4, 1, 12, "i2")
    matcher = HistogramMatcher(landmarks=(10, 50, 90), standard_range=(-10, 300)).fit(x)
    own = matcher.transform(x)
    assert own.dtype == np.float64
    out = matcher.set_params(dtype=dtype).transform(x)
    if dtype == "float32":
        assert_same(out, own.astype("f4"))
    else:
        expected = np.rint(own).clip(np.iinfo(out.dtype).min, np.iinfo(out.dtype).max)
        assert_same(out, expected.astype("i2" if dtype == "input" else dtype))


def test_values_beyond_single_precision_become_its_largest():
    x = np.array([[[0, 1, 2, 3, 4, -3e38, 3e38]]], "f4")
    mask = np.array([[[True] * 5 + [False] * 2]])
    matcher = HistogramMatcher(landmarks=(0, 100)).fit(x, mask=mask)
    largest = np.finfo("f4").max
    assert_same(matcher.transform(x, mask=mask)[0, 0, 5:], np.array([-largest, largest]))


# --- learning -------------------------------------------------------------------------------------


@few_examples
@given(seed=seeds, n_batches=st.integers(1, 6))
@pytest.mark.parametrize("dtype", ["u1", "f4", "f8"])
def test_the_mean_is_exact_in_any_order_of_batches(dtype, seed, n_batches):
    x = faces(13, 2, 6, dtype, seed % 1000)
    if dtype == "f8":
        x *= 10.0 ** np.random.default_rng(seed).integers(-20, 20, (13, 1, 1, 1))
    expected = HistogramMatcher(landmarks="nyul").fit(x)
    matcher = HistogramMatcher(landmarks="nyul")
    for part in np.array_split(np.random.default_rng(seed).permutation(13), n_batches):
        matcher.partial_fit(x[part])
    assert_same(matcher.landmarks_, expected.landmarks_)
    for c in range(2):
        own = [own_landmarks(counted_pixels(image[c])[0], NYUL) for image in x]
        of_images = np.array([on_the_standard_scale(one, 0, 100) for one in own])
        exact = [float(sum(map(Fraction, of_one.tolist())) / 13) for of_one in of_images.T]
        assert_same(matcher.landmarks_[c], np.array(exact))


@on_the_default_engine
def test_dask():
    da = pytest.importorskip("dask.array", reason="the extra dask is not installed")
    x = faces(17, 3, 12, "f4")
    matcher = HistogramMatcher(landmarks="nyul", dtype="uint8").fit(x)
    chunks = da.from_array(x, chunks=(4, 1, 12, 12))
    lazy = HistogramMatcher(landmarks="nyul", dtype="uint8").fit(chunks)
    assert_same(lazy.landmarks_, matcher.landmarks_)
    with pytest.warns(UserWarning, match="put together in one chunk"):
        out = lazy.transform(da.from_array(x, chunks=(3, 3, 6, 6)))
    assert_same(out.compute(), matcher.transform(x))


@on_the_default_engine
def test_fit_forgets_what_another_kind_of_fit_has_learned():
    x = faces(6)
    matcher = HistogramMatcher(landmarks="nyul").fit(x).set_params(landmarks=None).fit(x)
    assert not hasattr(matcher, "landmarks_")
    matcher.set_params(landmarks=[0, 100]).fit(x)
    assert not hasattr(matcher, "quantiles_")
    assert matcher.landmarks_.tolist() == [[0, 100]]


@on_the_default_engine
@pytest.mark.parametrize("kind", [list, tuple, np.array])
def test_what_is_learned_knows_its_landmarks(kind):
    x = faces(6)
    percentages = kind([5, 50, 95])
    matcher = HistogramMatcher(landmarks=percentages, standard_range=kind([0, 1])).fit(x)
    expected = matcher.transform(x)
    for same in (5, 50, 95), [5.0, 50, 95], np.array([5, 50, 95]):
        assert_same(matcher.set_params(landmarks=same).transform(x), expected)
        matcher = pickle.loads(pickle.dumps(matcher))
    for other in ({"landmarks": (5, 50, 96)}, {"landmarks": "nyul"}, {"landmarks": (5, 95)},
                  {"standard_range": (0, 2)}):  # fmt: skip
        with pytest.raises(ValueError, match=r"but the distribution was learned with (land|stan)"):
            HistogramMatcher.set_params(pickle.loads(pickle.dumps(matcher)), **other).transform(x)


@on_the_default_engine
def test_a_list_that_is_changed_later_is_noticed():
    percentages, x = [5, 50, 95], faces(6)
    matcher = HistogramMatcher(landmarks=percentages).fit(x)
    percentages[1] = 60
    with pytest.raises(ValueError, match="learned with landmarks=\\[5, 50, 95\\]"):
        matcher.transform(x)


# --- parameters -----------------------------------------------------------------------------------

WRONG = [
    ({"landmarks": "median"}, "landmarks='median', but expected None, 'nyul' or a sequence"),
    ({"landmarks": 50}, "landmarks=50, but expected None, 'nyul' or a sequence"),
    ({"landmarks": [[0, 100]]}, "or a sequence of percentages"),
    ({"landmarks": [0, [1, 2]]}, "or a sequence of percentages"),
    ({"landmarks": [True, 100]}, "or a sequence of percentages"),
    ({"landmarks": ["0", "100"]}, "or a sequence of percentages"),
    ({"landmarks": [50]}, "landmarks=[50], but expected two percentages or more"),
    ({"landmarks": []}, "two percentages or more"),
    ({"landmarks": [0, 50, 50, 100]}, "increasing percentages"),
    ({"landmarks": [90, 10]}, "increasing percentages"),
    ({"landmarks": [0, float("nan"), 100]}, "increasing percentages"),
    ({"landmarks": [-1, 100]}, "percentages from 0 to 100"),
    ({"landmarks": [0, 100.5]}, "percentages from 0 to 100"),
    ({"landmarks": "nyul", "standard_range": (1, 1)}, "(low, high), two finite numbers"),
    ({"landmarks": "nyul", "standard_range": (2, 1)}, "standard_range=(2, 1)"),
    ({"landmarks": "nyul", "standard_range": (0, float("inf"))}, "two finite numbers"),
    ({"landmarks": "nyul", "standard_range": (-1.7e308, 1.7e308)}, "two finite numbers"),
    ({"landmarks": "nyul", "standard_range": (0, 1, 2)}, "two finite numbers"),
    ({"landmarks": "nyul", "standard_range": None}, "two finite numbers"),
    ({"standard_range": (0, 1)}, "standard_range=(0, 1) with landmarks=None, but expected"),
    (
        {"landmarks": "nyul", "reference": np.eye(3)},
        "landmarks='nyul' and reference are both given, but expected one of them",
    ),
    (
        {"landmarks": "nyul", "color": "value"},
        "landmarks='nyul' with color='value', but expected color='channels'",
    ),
    (
        {"landmarks": "nyul", "strength": 0.5},
        "landmarks='nyul' with strength=0.5, but expected strength=1",
    ),
]


@on_the_default_engine
@pytest.mark.parametrize(("params", "words"), WRONG, ids=str)
def test_wrong_parameters(params, words):
    x = faces(3, 3 if "color" in params else 1)
    for call in ("fit", "fit_transform"):
        with pytest.raises(ValueError, match="expected") as caught:
            getattr(HistogramMatcher(**params), call)(x)
        assert words in str(caught.value)


@on_the_default_engine
def test_a_grid_of_landmarks():
    x, y = faces(12, 1, 12), np.arange(12) % 2
    pipeline = make_pipeline(HistogramMatcher(flatten=True), KNeighborsClassifier(1))
    grid = {"histogrammatcher__landmarks": [None, "nyul", (0, 50, 100)]}
    search = GridSearchCV(pipeline, grid, cv=2, error_score="raise").fit(x, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


# --- peers, in single precision -------------------------------------------------------------------


def scans(n=5):
    """Images (n, 24, 30) in single precision as of scanners with gains of their own, and masks."""
    rng = np.random.default_rng(0)
    x = rng.gamma(2, 30, (n, 24, 30)) * rng.uniform(0.5, 3, (n, 1, 1)) + 5
    return x.astype(np.float32), rng.random(x.shape) < 0.7


@on_the_default_engine
def test_intensity_normalization():
    peer = pytest.importorskip("intensity_normalization", reason="is not installed")
    x, mask = scans()
    volumes, masks = ([peer.create_image(image) for image in of] for of in (x, mask))
    nyul = peer.NyulNormalizer(output_min_value=0.0, output_max_value=100.0)
    nyul.fit_population(volumes, masks)
    matcher = HistogramMatcher(landmarks="nyul").fit(x, mask=mask)
    np.testing.assert_allclose(matcher.landmarks_[0], nyul.standard_scale, rtol=1e-5, atol=1e-5)
    for image, one, counted in zip(matcher.transform(x, mask=mask), volumes, masks):
        expected = nyul.transform(one, counted).get_data()
        np.testing.assert_allclose(image, expected, rtol=2e-5, atol=2e-5)


@on_the_default_engine
def test_torchio(tmp_path):
    tio = pytest.importorskip("torchio", reason="torchio, which needs PyTorch, is not installed")
    x, mask = scans()
    volumes, masks = ([tio.ScalarImage(tensor=i[None, ..., None]) for i in of.astype("f4")]
                      for of in (x, mask))  # fmt: skip
    for number, (volume, counted) in enumerate(zip(volumes, masks)):
        volume.save(tmp_path / f"x{number}.nii")
        counted.save(tmp_path / f"mask{number}.nii")
    paths = [[tmp_path / f"{name}{number}.nii" for number in range(5)] for name in ("x", "mask")]
    learned = tio.HistogramStandardization.train(paths[0], mask_path=paths[1], progress=False)
    matcher = HistogramMatcher(landmarks="nyul").fit(x, mask=mask)
    ours = [0, 1, 2, 4, 5, 6, 7, 8, 10, 11, 12]  # it learns the quartiles, too
    np.testing.assert_allclose(matcher.landmarks_[0], learned[ours], rtol=1e-5, atol=1e-5)
    transform = tio.HistogramStandardization({"mr": learned}, masking_method="mask")
    for image, one, counted in zip(matcher.transform(x, mask=mask), volumes, masks):
        label = tio.LabelMap(tensor=counted.data)
        expected = transform(tio.Subject(mr=one, mask=label)).mr.numpy()[0, ..., 0]
        np.testing.assert_allclose(image, expected, rtol=2e-5, atol=2e-5)
