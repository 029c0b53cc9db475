"""
Faces under one light
=====================

The same face under three lights becomes the same picture three times: equalization takes away
whatever monotone change of brightness the light has made.
"""

import numpy as np
from skimage.data import lfw_subset

from sklearn_histeq import EqualizationDisplay, HistogramEqualizer

face = lfw_subset()[8]  # 25×25 pixels, in [0, 1]
X = np.stack([face, 0.5 * face**1.5, 0.4 + 0.6 * face**0.5])  # (3, 25, 25)

EqualizationDisplay.from_estimator(HistogramEqualizer(), X)

# %%
# Each row is a picture: before, after, and the histogram (bars) with the CDF (line) of both. The
# pictures before share one scale of gray. Equalized, the bars are level and the CDF is straight.
#
# What is left of the differences comes from the 256 bins into which each picture's own range is
# cut; more bins leave less.

for n_bins in [64, 256, 65536]:
    equalized = HistogramEqualizer(n_bins=n_bins).fit_transform(X)
    print(
        f"{n_bins:5} bins: the pictures differ by at most {np.ptp(equalized, axis=0).max():.3f}"
    )
