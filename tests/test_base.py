"""What all estimators share: what a fit leaves, and when a state no longer fits."""

import numpy as np
import pytest
from _helpers import assert_same, faces, on_all_engines, on_both_engines

from sklearn_histeq import AdaptiveHistogramEqualizer, HistogramEqualizer, HistogramMatcher

pytestmark = pytest.mark.usefixtures("engine")

CHANGES = {
    "n_bins": 8,
    "convention": "numpy",
    "output_distribution": "normal",
    "color": "channels",
}


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("method", ["transform", "partial_fit", "inverse_transform"])
def test_a_state_of_other_parameters_is_refused(name, method):
    x = faces(6, 3)
    start = {"color": "value"} if name == "color" else {}
    estimator = HistogramEqualizer(scope="dataset", **start).fit(x)
    estimator.set_params(**{name: CHANGES[name]})
    with pytest.raises(ValueError, match=rf"{name}=.*was learned with {name}=.*Call fit again"):
        getattr(estimator, method)(x.astype(np.float64) / 255)
    fresh = HistogramEqualizer(scope="dataset", **(start | {name: CHANGES[name]})).fit(x)
    assert_same(estimator.fit(x).transform(x), fresh.transform(x))


def test_a_matcher_of_another_colour_is_refused():
    x = faces(6, 3)
    matcher = HistogramMatcher(color="value").fit(x).set_params(color="channels")
    with pytest.raises(ValueError, match=r"color='channels'.*learned with color='value'"):
        matcher.transform(x)


def test_parameters_that_do_not_touch_the_state_may_change():
    x = faces(6, 2)
    fitted = HistogramEqualizer(scope="dataset").fit(x)
    expected = fitted.transform(x)
    fitted.set_params(flatten=True, dtype="float32", n_jobs=2)
    np.testing.assert_allclose(fitted.transform(x).reshape(x.shape), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("estimator", "change"),
    [
        (HistogramEqualizer(scope="dataset"), {"scope": "image"}),
        (HistogramMatcher(), {"reference": faces(1)[0]}),
    ],
    ids=["equalizer", "matcher"],
)
def test_fit_clears_what_an_earlier_fit_has_learned(estimator, change):
    """And partial_fit then starts anew."""
    x, others = faces(6), faces(6, seed=1)
    estimator.fit(x)
    assert {"cdf_", "quantiles_"} & set(vars(estimator))
    before = estimator.get_params()
    estimator.set_params(**change).fit(x)
    assert set(vars(estimator)) == set(vars(type(estimator)(**before | change).fit(x)))
    estimator.set_params(**before).partial_fit(others)
    assert estimator.n_samples_seen_ == 6
    fresh = type(estimator)(**before).partial_fit(others)
    assert_same(estimator.transform(x), fresh.transform(x))


def test_a_failed_fit_leaves_what_was_learned():
    x = faces(6)
    fitted = HistogramEqualizer(scope="dataset").fit(x)
    expected = fitted.transform(x)
    with pytest.raises(ValueError, match="infinity"):
        fitted.fit(np.full((2, 1, 8, 8), np.inf))
    assert_same(fitted.transform(x), expected)


@pytest.mark.parametrize(
    ("estimator", "is_positive"),
    [
        (AdaptiveHistogramEqualizer(n_tiles=2, convention="skimage"), True),
        (AdaptiveHistogramEqualizer(n_tiles=2), False),
        (HistogramEqualizer(), False),
        (HistogramEqualizer(color="value"), True),
        (HistogramMatcher(color="value"), True),
        (HistogramEqualizer(color="lightness"), True),
    ],
    ids=repr,
)
def test_the_tag_says_whether_negatives_are_refused(estimator, is_positive):
    assert estimator.__sklearn_tags__().input_tags.positive_only is is_positive
    x = faces(2, 3, dtype="f8") - 0.5
    if is_positive:
        with pytest.raises(ValueError, match="negative"):
            estimator.fit(x).transform(x)
    else:
        estimator.fit(x).transform(x)


def test_no_dead_link_in_the_diagram():
    assert "sk-estimator-doc-link" in HistogramEqualizer()._repr_html_()
    assert 'href="' not in HistogramEqualizer()._repr_html_().split("</style>")[-1]


# --- finite input gives finite output -------------------------------------------------------------


@on_all_engines
def test_huge_colours_stay_finite():
    rng = np.random.default_rng(0)
    x = rng.uniform(1e306, 8e307, (2, 3, 8, 8))
    out = HistogramEqualizer(color="value", convention="numpy").transform(x)
    small = HistogramEqualizer(color="value", convention="numpy").transform(np.ldexp(x, -600))
    assert np.isfinite(out).all()
    np.testing.assert_allclose(out, small, rtol=1e-12)


@on_all_engines
@pytest.mark.parametrize("is_learned", [True, False])
@pytest.mark.parametrize("dtype", [None, "float32", "float64", "uint8"])
def test_a_reference_beyond_the_output_dtype_stays_finite(is_learned, dtype):
    x, huge = faces(2, dtype="f4"), faces(2, dtype="f8") * 1e300
    matcher = HistogramMatcher(reference=None if is_learned else huge[0], dtype=dtype)
    matcher.fit(huge if is_learned else x)
    out = matcher.transform(x)
    assert np.isfinite(out).all()
    assert out.max() == (255 if dtype == "uint8" else np.finfo(np.float32).max)
    if dtype is None:
        assert matcher.transform(x.astype(np.float64)).max() > 1e299


# --- no memory is returned that was not written ---------------------------------------------------


def estimator_grid(outputs):
    """Estimators whose parameters lead through all paths of the engines."""
    for params in outputs:
        for scope in ("image", "dataset"):
            yield HistogramEqualizer(scope=scope, **params)
            yield HistogramEqualizer(scope=scope, n_bins=16, **params)
            yield HistogramEqualizer(scope=scope, convention="numpy", **params)
            yield HistogramEqualizer(scope=scope, convention="opencv", **params)
            yield HistogramEqualizer(scope=scope, convention="pillow", **params)
            for color in ("value", "luminance", "lightness"):
                yield HistogramEqualizer(scope=scope, color=color, **params)
                yield HistogramEqualizer(scope=scope, color=color, convention="opencv", **params)
        yield AdaptiveHistogramEqualizer(n_tiles=(3, 2), **params)
        yield AdaptiveHistogramEqualizer(n_tiles=(3, 2), clip_limit=None, color="value", **params)
        yield AdaptiveHistogramEqualizer(n_tiles=2, convention="skimage", **params)
        yield AdaptiveHistogramEqualizer(n_tiles=2, convention="opencv", **params)
        yield HistogramMatcher(**params)
        yield HistogramMatcher(reference=faces(1, 3)[0], **params)
        yield HistogramMatcher(color="value", **params)
        yield HistogramMatcher(color="luminance", **params)
    yield HistogramEqualizer(output_distribution="normal")
    yield HistogramEqualizer(output_distribution="normal", scope="dataset")


def images_to_fill(dtype):
    """Images with a constant plane, and a mask that leaves one pixel of one image."""
    x = faces(4, 3, dtype=dtype)
    x[1] = x[1, 0, 0, 0]
    if x.dtype.kind == "f":
        x[2, :, 1, 1] = np.nan
    mask = np.ones((4, 8, 8), bool)
    mask[3], mask[3, 2, 2] = False, True
    return x, mask


def filling(original, byte):
    """numpy.empty, but every byte is set."""

    def empty(*args, **kwargs):
        array = original(*args, **kwargs)
        if array.dtype != object:
            array.reshape(-1).view(np.uint8).fill(byte)
        return array

    return empty


OUTPUTS = [{}, {"dtype": "uint8"}, {"dtype": "float32", "flatten": True}, {"dtype": "uint16"}]


@on_both_engines  # kernels of all loops write alike
@pytest.mark.parametrize("dtype", ["bool", "u1", "i2", "u2", "i8", "f2", "f4", "f8", ">f4"])
@pytest.mark.parametrize("has_mask", [False, True])
def test_all_memory_of_the_output_is_written(monkeypatch, engine, dtype, has_mask):
    x, mask = images_to_fill(dtype)
    outputs = OUTPUTS if engine == "auto" else OUTPUTS[:1]
    original, n_compared = np.empty, 0
    for estimator in estimator_grid(outputs):
        outs = []
        for byte in (0x5A, 0xC3):
            monkeypatch.setattr(np, "empty", filling(original, byte))
            try:
                out = estimator.fit_transform(x, mask=mask if has_mask else None)
            except ValueError:  # a dtype, NaN or a mask that the convention refuses
                out = None
            monkeypatch.setattr(np, "empty", original)
            outs.append(out)
        if outs[0] is not None:
            assert_same(*outs)
            n_compared += 1
    assert n_compared > 5 * len(outputs)
