"""
Comparing the conventions
=========================

scikit-image, the classic NumPy recipe, OpenCV and Pillow equalize the same 64 dark pixels. The
parameter `convention` chooses between them. Each result is equal to that of the library, bit for bit.
"""

import matplotlib.pyplot as plt
import numpy as np
from skimage.data import lfw_subset

from sklearn_histeq import HistogramEqualizer

image = (lfw_subset()[8, 9:17, 3:11] * 60).astype(np.uint8)  # a cheek, and an eye
X = image[np.newaxis]

# Figure: The 64 pixels after equalization by the four conventions, and below the
# transfer functions. "skimage" and "numpy" lift the darkest level, "opencv" maps it
# to black, "pillow" changes nothing.
figure, (images, functions) = plt.subplots(
    2, 4, figsize=(8, 4.6), layout="constrained"
)
for column, convention in enumerate(["skimage", "numpy", "opencv", "pillow"]):
    equalized = HistogramEqualizer(convention=convention).fit_transform(X)[0]
    top = 1 if convention == "skimage" else 255
    images[column].imshow(equalized, cmap="gray", vmin=0, vmax=top)
    images[column].set_title(convention)
    images[column].set_axis_off()
    levels, places = np.unique(image, return_index=True)
    functions[column].plot(
        levels, equalized.ravel()[places] / top, "o", color="#c8501e", markersize=3
    )
    functions[column].set(ylim=(-0.05, 1.05), xlabel="level before")
    functions[column].spines[["top", "right"]].set_visible(False)
functions[0].set_ylabel("after, as a share\nof the brightest")

# %%
# The lower row shows the transfer functions. scikit-image maps the darkest level to its share of the
# pixels, and OpenCV maps it to black. In a large image nobody sees the difference, but in a small one it is
# visible. Pillow does not change an image with so few pixels.
#
# The dtype of the output is that of the library, too:

for convention in ["skimage", "numpy", "opencv", "pillow"]:
    equalized = HistogramEqualizer(convention=convention).fit_transform(X)
    print(
        f"{convention:8} {equalized.dtype!s:8} {equalized.min():7.3f} to {equalized.max():7.3f}"
    )
