"""
Midway equalization of two images
=================================

Two images of one scene, from two cameras, differ in brightness. Midway equalization gives both the same
histogram, halfway between their own, so that they can be compared. `HistogramMatcher` does this: with
`reference=None` it learns the mean of the quantile functions of the images.
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

# Figure: A motorcycle, seen by a left and a darker right camera. After midway
# equalization both images are equally bright.
figure, axes = plt.subplots(2, 2, figsize=(8, 5.6), layout="constrained")
for row, title, images in zip(
    axes, ["before", "midway"], [X, X_midway], strict=True
):
    for ax, camera, image in zip(row, ["left", "right"], images, strict=True):
        ax.imshow(image)
        ax.set_title(f"{camera} camera, {title}", fontsize=10)
        ax.set_axis_off()

# %%
# After matching, both images have the same three histograms, which lie between those before:

# Figure: Both images before and after, with the histograms of red, green and blue,
# which differ before and are equal after.
EqualizationDisplay.from_images(X, X_midway, channel_axis=-1)

# %%
# If you pass an image as the reference, other images get its histogram, and nothing is learned. Here
# the right image is matched to the left one:

matcher = HistogramMatcher(reference=X[0], channel_axis=-1, dtype="input")
matched = matcher.fit_transform(X[1:])
for name, images in {"before": X[1:], "matched": matched}.items():
    difference = abs(images.mean() - X[0].mean())
    print(f"{name:8} the mean intensities differ by {difference:5.2f}")
