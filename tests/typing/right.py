"""Every documented parameter and method, as a user's script has them: type checkers accept it."""

import numpy as np
from numpy.typing import NDArray

from sklearn_histeq import (
    AdaptiveHistogramEqualizer,
    AugmentedEstimator,
    EqualizationDisplay,
    HistogramEqualizer,
    HistogramMatcher,
    LocalHistogramEqualizer,
    relight,
    relit_scorer,
    show_versions,
)

X: NDArray[np.uint8] = np.zeros((4, 3, 16, 16), np.uint8)
mask: NDArray[np.bool_] = np.ones((4, 16, 16), bool)

equalizer = HistogramEqualizer(
    n_bins=64,
    convention="numpy",
    scope="dataset",
    output_distribution="uniform",
    color="channels",
    channel_axis=-1,
    image_shape=(16, 16, 3),
    flatten=True,
    dtype="uint8",
    n_jobs=2,
)
HistogramEqualizer(n_bins="auto", convention="opencv", output_distribution="normal", dtype=None)
HistogramEqualizer(convention="pillow", color="value", dtype=np.float32, n_jobs=None)
HistogramEqualizer(convention="skimage", scope="image", dtype="input", channel_axis=1)
HistogramEqualizer(n_bins=64, value_range="dtype", quantile_range=(0, 100))
HistogramEqualizer(n_bins=64, value_range=(-1000, 400.5), quantile_range=[0, 100])

learned = HistogramEqualizer(scope="dataset").fit(X, mask=mask)
n, c, h, w = learned.transform(X).shape
learned.fit_transform(X, None, mask=mask)
learned.partial_fit(X).inverse_transform(learned.transform(X))
first_cdf: NDArray[np.float64] = learned.cdf_[0]
first_centers = learned.bin_centers_[0].astype(np.float64)
n_seen: int = learned.n_samples_seen_ + learned.n_features_in_ + learned.n_channels_in_
names = HistogramEqualizer(flatten=True).fit(X).get_feature_names_out()
names_of = HistogramEqualizer(flatten=True).fit(X).get_feature_names_out(["a", "b"])

AdaptiveHistogramEqualizer(
    n_tiles=(4, 4),
    tile_shape=None,
    clip_limit=None,
    n_bins=128,
    convention="histeq",
    color="luminance",
    channel_axis=1,
    image_shape=[16, 16],
    flatten=False,
    dtype="float32",
    n_jobs=-1,
).fit_transform(X.tolist())
AdaptiveHistogramEqualizer(n_tiles=8, tile_shape=(4, 4), clip_limit="auto", convention="skimage")
AdaptiveHistogramEqualizer(value_range=None, quantile_range=(0.1, 99.9))
AdaptiveHistogramEqualizer(tile_shape=8, clip_limit=2.5, convention="opencv").fit(X).transform(X)

LocalHistogramEqualizer(
    window=5,
    convention="skimage",
    color="luminance",
    channel_axis=-1,
    image_shape=None,
    flatten=True,
    dtype="input",
    n_jobs=None,
).fit(X, mask=mask).transform(X, mask=mask)
LocalHistogramEqualizer(window=0.5, convention="histeq", dtype=np.float32).fit_transform(X)

matcher = HistogramMatcher(
    reference=X[0],
    color="channels",
    channel_axis=1,
    image_shape=None,
    spatial_dims=2,
    flatten=True,
    dtype=np.uint16,
    n_jobs=1,
).fit(X)
quantiles: NDArray[np.float64] = HistogramMatcher().partial_fit(X, mask=mask).quantiles_
HistogramMatcher(landmarks=(5, 50.5, 95), standard_range=[0, 1]).fit(X)
HistogramMatcher(landmarks=np.linspace(0, 100, 5), standard_range=(-1.0, 1)).fit(X)
landmarks: NDArray[np.float64] = HistogramMatcher(landmarks="nyul").fit(X).landmarks_
HistogramMatcher(strength=0.5).fit_transform(X)
HistogramEqualizer(strength=0.5).fit_transform(X)

HistogramMatcher(reference=X, spatial_dims=3).fit(X)
HistogramEqualizer(image_shape=(1, 16, 16), spatial_dims=3).fit_transform(X)
EqualizationDisplay.from_estimator(equalizer, X, n_images=2, mask=None, tile_grid=False, ax=None)
EqualizationDisplay.from_estimator(equalizer, X, slice_index=3).plot(slice_index=None)
EqualizationDisplay.from_images(X, X, n_images=2, channel_axis=1, color="value").plot()
copies = relight(X, "mild", channel_axis=1, image_shape=None, bits=8, random_state=0).astype(
    np.uint8
)
relit_scorer(
    "accuracy",
    "even",
    0.5,
    n_copies=2,
    channel_axis=-1,
    image_shape=(16, 16),
    bits=12,
    random_state=1,
)
augmented = AugmentedEstimator(
    equalizer,
    "mild",
    2,
    channel_axis=-1,
    image_shape=(16, 16),
    bits=12,
    random_state=1,
).fit(X, y=None, mask=mask)
AugmentedEstimator(equalizer, copies=lambda X, random_state: X).fit_transform(X)
show_versions()
