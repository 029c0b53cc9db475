"""
Midway equalization of two pictures
===================================

Two pictures of the same scene from two cameras differ in brightness. Midway equalization gives both
the same histogram, halfway between their own, so that they can be compared. `HistogramMatcher` does
this: with `reference=None` it learns the mean of the pictures' quantile functions.
"""

import matplotlib.pyplot as plt
import numpy as np
from skimage.data import stereo_motorcycle

from sklearn_histeq import EqualizationDisplay, HistogramMatcher

left, right, _ = stereo_motorcycle()  # (500, 741, 3), uint8
right = (255 * (right / 255) ** 2.2).astype(np.uint8)  # a darker camera
X = np.stack([left, right])[:, ::2, ::2]  # (2, 250, 371, 3)

matcher = HistogramMatcher(channel_axis=-1, dtype="input")
X_midway = matcher.fit_transform(X)

figure, axes = plt.subplots(2, 2, figsize=(8, 5.6), layout="constrained")
for row, title, images in zip(
    axes, ["before", "midway"], [X, X_midway], strict=True
):
    for ax, camera, image in zip(row, ["left", "right"], images, strict=True):
        ax.imshow(image)
        ax.set_title(f"{camera} camera, {title}", fontsize=10)
        ax.set_axis_off()

# %%
# After matching, both pictures have the same three histograms, which lie between those before:

EqualizationDisplay.from_images(X, X_midway, channel_axis=-1)

# %%
# An array as the reference gives other pictures the histogram of that one. Nothing is learned then.
# Here the right picture is matched to the left one:

matcher = HistogramMatcher(reference=X[0], channel_axis=-1, dtype="input")
matched = matcher.fit_transform(X[1:])
for name, images in {"before": X[1:], "matched": matched}.items():
    difference = abs(images.mean() - X[0].mean())
    print(f"{name:8} mean gray levels differ by {difference:5.2f}")
