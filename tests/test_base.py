"""What all estimators share: what a fit leaves, and when a state no longer fits."""

import numpy as np
import pytest
from _helpers import assert_same, faces

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
    learned = {"cdf_", "bin_centers_", "n_samples_seen_", "quantiles_"}
    estimator.fit(x)
    assert learned & set(vars(estimator))
    before = estimator.get_params()
    estimator.set_params(**change).fit(x)
    assert not learned & set(vars(estimator))
    assert not [n for n in vars(estimator) if n in ("_state", "_sums", "_transfers")]
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


def test_huge_colours_stay_finite():
    rng = np.random.default_rng(0)
    x = rng.uniform(1e306, 8e307, (2, 3, 8, 8))
    out = HistogramEqualizer(color="value", convention="numpy").transform(x)
    small = HistogramEqualizer(color="value", convention="numpy").transform(np.ldexp(x, -600))
    assert np.isfinite(out).all()
    np.testing.assert_allclose(out, small, rtol=1e-12)


@pytest.mark.parametrize("is_learned", [True, False])
def test_a_reference_beyond_the_output_dtype_is_refused(is_learned):
    x, huge = faces(2, dtype="f4"), faces(2, dtype="f8") * 1e300
    matcher = HistogramMatcher(reference=None if is_learned else huge[0])
    matcher.fit(huge if is_learned else x)
    with pytest.raises(ValueError, match=r"reference has values .*float32.*Convert X to float64"):
        matcher.transform(x)
    with pytest.raises(ValueError, match="reference has values"):
        matcher.set_params(dtype="float64").transform(x)
    assert np.isfinite(matcher.transform(x.astype(np.float64))).all()
    assert (matcher.set_params(dtype="uint8").transform(x) > 0).any()
