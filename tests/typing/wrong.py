"""Eleven wrong calls, one per line marked as such: type checkers reject each of them."""

import numpy as np

from sklearn_histeq import (
    AdaptiveHistogramEqualizer,
    EqualizationDisplay,
    HistogramEqualizer,
    HistogramMatcher,
)

X = np.zeros((4, 3, 16, 16), np.uint8)

HistogramEqualizer(n_bins="many")  # wrong
HistogramEqualizer(convention="matlab")  # wrong
HistogramEqualizer(scope="batch")  # wrong
HistogramEqualizer(channel_axis=0)  # wrong
HistogramEqualizer(strength="half")  # wrong
HistogramEqualizer(64)  # wrong
AdaptiveHistogramEqualizer(clip_limit="high")  # wrong
AdaptiveHistogramEqualizer(n_tiles=2.5)  # wrong
HistogramMatcher(color="gray")  # wrong
HistogramMatcher().fit()  # wrong
EqualizationDisplay.from_images(X)  # wrong
