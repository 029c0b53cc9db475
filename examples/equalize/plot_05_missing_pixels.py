"""
Leaving out pixels
==================

The black border around a face takes a large share of the gray levels. With a mask, only the pixels of
the face are counted, and the face gets all gray levels.
"""

import matplotlib.pyplot as plt
import numpy as np
from skimage.data import lfw_subset

from sklearn_histeq import EqualizationDisplay, HistogramEqualizer

rows, columns = np.mgrid[-1:1:25j, -1:1:25j]
is_face = (columns / 0.75) ** 2 + rows**2 < 1  # an ellipse, (25, 25)
X = np.where(is_face, lfw_subset()[[8, 20, 30]] * 0.5, 0)
mask = np.broadcast_to(is_face, X.shape)  # (3, 25, 25): one mask per image

equalizer = HistogramEqualizer()
# Figure: Three faces with a black border. If all pixels count, the faces become
# pale; with the mask they have full contrast.
figure, axes = plt.subplots(3, 3, figsize=(6, 6.2), layout="constrained")
batches = [X, equalizer.fit_transform(X), equalizer.fit_transform(X, mask=mask)]
for column, (title, images) in enumerate(
    zip(["before", "all pixels count", "mask=mask"], batches, strict=True)
):
    axes[0, column].set_title(title)
    for ax, image in zip(axes[:, column], images, strict=True):
        ax.imshow(image, cmap="gray", vmin=0, vmax=1)
        ax.set_axis_off()

# %%
# NaN marks missing pixels without a second array, and works with every tool of scikit-learn. Missing
# pixels are not counted, and stay NaN. This figure draws them in blue.

# Figure: Two faces with the missing pixels around them in blue, before and after
# equalization, with histograms and CDFs of the other pixels.
EqualizationDisplay.from_estimator(
    equalizer, np.where(is_face, X, np.nan), n_images=2
)
