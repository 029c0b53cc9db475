"""
Light from one side
===================

A single transfer function cannot brighten the dark half of an image and leave the bright half as it is.
`AdaptiveHistogramEqualizer` can, because it has one transfer function per tile.
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

# Figure: Two faces, evenly lit and with light from the left. After
# HistogramEqualizer the right half is darker than the left; after
# AdaptiveHistogramEqualizer both halves are about equally bright.
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

# Figure: The two faces before, with a grid of 4×4 tiles, and after, each with its
# histogram and CDF.
EqualizationDisplay.from_estimator(adaptive, X, tile_grid=True)

# %%
# More tiles follow the light more closely. But they also remove more of the differences that do not come
# from the light, such as the difference between hair and skin. `clip_limit` limits the contrast in a
# tile. With `clip_limit=None` there is no limit.

# Figure: The first face with 1, 2, 4 and 8 tiles per side, with a clip limit of 2
# and without one. More tiles and no limit give more contrast in small regions.
figure, axes = plt.subplots(2, 4, figsize=(8, 4.4), layout="constrained")
for row, clip_limit in enumerate([2, None]):
    for ax, n_tiles in zip(axes[row], [1, 2, 4, 8], strict=True):
        equalizer = AdaptiveHistogramEqualizer(
            n_tiles=n_tiles, clip_limit=clip_limit
        )
        ax.imshow(equalizer.fit_transform(X)[0], cmap="gray", vmin=0, vmax=1)
        ax.set_title(f"n_tiles={n_tiles}, clip_limit={clip_limit}", fontsize=8)
        ax.set_axis_off()
