"""
One face in three lights
========================

Equalization removes every change of brightness that keeps the order of the gray levels. So three images of
one face in three lights become nearly equal.
"""

import numpy as np
from skimage.data import lfw_subset

from sklearn_histeq import EqualizationDisplay, HistogramEqualizer

face = lfw_subset()[8]  # 25×25 pixels, in [0, 1]
X = np.stack([face, 0.5 * face**1.5, 0.4 + 0.6 * face**0.5])  # (3, 25, 25)

# Figure: One face, as it is, darker and paler. The three images after equalization
# look the same, with level histograms and straight CDFs.
EqualizationDisplay.from_estimator(HistogramEqualizer(), X)

# %%
# Each row shows one image: before, after, and the histogram (bars) with the CDF (line) of both.
# All images before equalization share one gray scale. After equalization the bars have equal heights, and
# the CDF is a straight line.
#
# The images still differ a little, because the range of each image is divided into 256 bins.
# With more bins the differences are smaller:

for n_bins in [64, 256, 65536]:
    equalized = HistogramEqualizer(n_bins=n_bins).fit_transform(X)
    print(
        f"{n_bins:5} bins: the images differ by at most {np.ptp(equalized, axis=0).max():.3f}"
    )
