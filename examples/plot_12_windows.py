"""
Harsh light
===========

`LocalHistogramEqualizer` gives every pixel its rank among its neighbours. What is left of a picture
hardly depends on the light, even where most of the picture lies in shadow.
"""

import matplotlib.pyplot as plt
import numpy as np
from skimage.data import lfw_subset
from skimage.transform import resize
from sklearn.pipeline import make_pipeline

from sklearn_histeq import (
    AdaptiveHistogramEqualizer,
    EqualizationDisplay,
    HistogramEqualizer,
    LocalHistogramEqualizer,
    relight,
)

face = resize(lfw_subset()[15], (96, 96))
X = np.concatenate(
    [[face], relight([face] * 4, random_state=13)]
)  # even light, then four others

steps = {
    "HistogramEqualizer": HistogramEqualizer(),
    "AdaptiveHistogramEqualizer": AdaptiveHistogramEqualizer(),
    "LocalHistogramEqualizer": LocalHistogramEqualizer(),
}
rows = {"before": X} | {name: step.fit_transform(X) for name, step in steps.items()}
figure, axes = plt.subplots(4, 5, figsize=(8, 6.6), layout="constrained")
for row, (name, images) in zip(axes, rows.items(), strict=True):
    row[0].set_ylabel(name.replace("Histogram", "\nHistogram"), fontsize=8)
    for ax, image in zip(row, images, strict=True):
        ax.imshow(image, cmap="gray", vmin=0, vmax=1)
        ax.set(xticks=[], yticks=[])

# %%
# The mean correlation of the four pictures with the one in even light says how much of the light is
# left. If normal quantiles follow, the correlation stays, but
# classifiers that compare distances do better.

normal = HistogramEqualizer(output_distribution="normal")
steps["windows, then normal"] = make_pipeline(LocalHistogramEqualizer(), normal)


def similarity(images):
    """Return the mean correlation of the first image with the others."""
    return np.corrcoef(images.reshape(len(images), -1))[0, 1:].mean()


print(f"{'before':27} {similarity(X):.2f}")
for name, step in steps.items():
    print(f"{name:27} {similarity(step.fit_transform(X)):.2f}")

# %%
# The size of the window is the one thing to choose. A small window removes more of the light, and more
# of the coarse shading that tells evenly lit faces apart. The pictures must be aligned.

figure, axes = plt.subplots(1, 5, figsize=(8, 1.9), layout="constrained")
for ax, window in zip(axes, [3, 1 / 8, 1 / 4, 2 / 3, 1.0], strict=True):
    local = LocalHistogramEqualizer(window=window).fit_transform(X[2:3])[0]
    ax.imshow(local, cmap="gray", vmin=0, vmax=1)
    ax.set_title(f"window={window:.3g}", fontsize=8)
    ax.set_axis_off()

# %%
# The display shows histograms and CDFs. They are not exactly level, since every pixel has a transfer
# function of its own.

EqualizationDisplay.from_estimator(LocalHistogramEqualizer(), X, n_images=2)
