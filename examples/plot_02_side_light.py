"""
Light from one side
===================

A single transfer function for a whole picture cannot brighten one half and darken the other.
`AdaptiveHistogramEqualizer` can: it has one transfer function per tile.
"""

import matplotlib.pyplot as plt
import numpy as np
from skimage.data import lfw_subset
from skimage.transform import resize

from sklearn_histeq import (
    AdaptiveHistogramEqualizer,
    EqualizationDisplay,
    HistogramEqualizer,
)

faces = np.stack([resize(face, (96, 96)) for face in lfw_subset()[[8, 20]]])
X = faces * np.linspace(1, 0.08, 96)  # the light falls from the left
adaptive = AdaptiveHistogramEqualizer(n_tiles=4)

figure, axes = plt.subplots(2, 4, figsize=(8, 4.2), layout="constrained")
columns = {
    "evenly lit": faces,
    "from the left": X,
    "HistogramEqualizer": HistogramEqualizer().fit_transform(X),
    "AdaptiveHistogramEqualizer": adaptive.fit_transform(X),
}
for column, (title, images) in enumerate(columns.items()):
    axes[0, column].set_title(title, fontsize=9)
    for ax, image in zip(axes[:, column], images, strict=True):
        ax.imshow(image, cmap="gray", vmin=0, vmax=1)
        ax.set_axis_off()

# %%
# The next figure shows the 4×4 tiles. The bars of the histogram after equalization do not have equal
# heights, because each tile is equalized by itself and its contrast is limited.

EqualizationDisplay.from_estimator(adaptive, X, tile_grid=True)

# %%
# More tiles follow the light more closely. But they also remove more of the differences that are not
# due to light: those between hair, skin and background. `clip_limit` limits the contrast in a tile;
# `clip_limit=None` sets no limit.

figure, axes = plt.subplots(2, 4, figsize=(8, 4.4), layout="constrained")
for row, clip_limit in enumerate([2, None]):
    for ax, n_tiles in zip(axes[row], [1, 2, 4, 8], strict=True):
        equalizer = AdaptiveHistogramEqualizer(
            n_tiles=n_tiles, clip_limit=clip_limit
        )
        ax.imshow(equalizer.fit_transform(X)[0], cmap="gray", vmin=0, vmax=1)
        ax.set_title(f"n_tiles={n_tiles}, clip_limit={clip_limit}", fontsize=8)
        ax.set_axis_off()
