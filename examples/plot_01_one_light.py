"""
Faces under one light
=====================

The same face in three lights becomes nearly the same picture three times: equalization removes every
monotone change of brightness.
"""

import numpy as np
from skimage.data import lfw_subset

from sklearn_histeq import EqualizationDisplay, HistogramEqualizer

face = lfw_subset()[8]  # 25×25 pixels, in [0, 1]
X = np.stack([face, 0.5 * face**1.5, 0.4 + 0.6 * face**0.5])  # (3, 25, 25)

EqualizationDisplay.from_estimator(HistogramEqualizer(), X)

# %%
# Each row shows one picture: before, after, and the histogram (bars) with the CDF (line) of both.
# All pictures before share one gray scale. After equalization the bars have equal heights and the
# CDF is a straight line.
#
# The pictures still differ a little, because the range of each picture is divided into 256 bins.
# More bins leave smaller differences:

for n_bins in [64, 256, 65536]:
    equalized = HistogramEqualizer(n_bins=n_bins).fit_transform(X)
    print(
        f"{n_bins:5} bins: the pictures differ by at most {np.ptp(equalized, axis=0).max():.3f}"
    )
