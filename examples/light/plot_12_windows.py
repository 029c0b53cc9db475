"""
Harsh light
===========

`LocalHistogramEqualizer` replaces each pixel by its rank among its neighbours. The result hardly depends
on the light, even where most of an image lies in shadow.
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
lit = relight([face] * 4, random_state=13)
X = np.concatenate([[face], lit])  # even light, then four harsh lights

steps = {
    "HistogramEqualizer": HistogramEqualizer(),
    "AdaptiveHistogramEqualizer": AdaptiveHistogramEqualizer(),
    "LocalHistogramEqualizer": LocalHistogramEqualizer(),
}
rows = {"before": X} | {name: step.fit_transform(X) for name, step in steps.items()}
# Figure: One face in even light and in four harsh lights, before and after three
# estimators. Only after LocalHistogramEqualizer do the five images look alike.
figure, axes = plt.subplots(4, 5, figsize=(8, 6.6), layout="constrained")
for row, (name, images) in zip(axes, rows.items(), strict=True):
    row[0].set_ylabel(name.replace("Histogram", "\nHistogram"), fontsize=8)
    for ax, image in zip(row, images, strict=True):
        ax.imshow(image, cmap="gray", vmin=0, vmax=1)
        ax.set(xticks=[], yticks=[])

# %%
# The mean correlation of the four images with the one in even light says how well the light was
# removed. A second step with a normal output distribution does not change the correlation much, but
# classifiers that compare distances do better with it.

normal = HistogramEqualizer(output_distribution="normal")
steps["windows, then normal"] = make_pipeline(LocalHistogramEqualizer(), normal)


def similarity(images):
    """Return the mean correlation of the first image with the others."""
    return np.corrcoef(images.reshape(len(images), -1))[0, 1:].mean()


print(f"{'before':27} {similarity(X):.2f}")
for name, step in steps.items():
    print(f"{name:27} {similarity(step.fit_transform(X)):.2f}")

# %%
# You choose the size of the window. A small window removes more of the light. But it also removes more of
# the coarse shading by which faces in even light are recognised. For small windows the images must be
# aligned.

# Figure: One face in harsh light with windows of 3 pixels, 1/8, 1/4, 2/3 and all of
# the side. Small windows show only edges; with large ones the coarse shading of the
# face comes back.
figure, axes = plt.subplots(1, 5, figsize=(8, 1.9), layout="constrained")
for ax, window in zip(axes, [3, 1 / 8, 1 / 4, 2 / 3, 1.0], strict=True):
    local = LocalHistogramEqualizer(window=window).fit_transform(X[2:3])[0]
    ax.imshow(local, cmap="gray", vmin=0, vmax=1)
    ax.set_title(f"window={window:.3g}", fontsize=8)
    ax.set_axis_off()

# %%
# The display shows histograms and CDFs. The histograms after equalization are not exactly level, because
# every pixel has its own transfer function.

# Figure: The face in even light and in one harsh light, before and after
# LocalHistogramEqualizer, with histograms and CDFs.
EqualizationDisplay.from_estimator(LocalHistogramEqualizer(), X, n_images=2)
