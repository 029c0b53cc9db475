"""
Comparing the conventions
=========================

scikit-image, the classic NumPy recipe, OpenCV and Pillow equalize the same 64 dark pixels. The
parameter `convention` chooses between them. Each result is the library's own, bit for bit.
"""

import matplotlib.pyplot as plt
import numpy as np
from skimage.data import lfw_subset

from sklearn_histeq import HistogramEqualizer

image = (lfw_subset()[8, 9:17, 3:11] * 60).astype(np.uint8)  # a cheek, and an eye
X = image[np.newaxis]

figure, (pictures, functions) = plt.subplots(
    2, 4, figsize=(8, 4.6), layout="constrained"
)
for column, convention in enumerate(["skimage", "numpy", "opencv", "pillow"]):
    equalized = HistogramEqualizer(convention=convention).fit_transform(X)[0]
    top = 1 if convention == "skimage" else 255
    pictures[column].imshow(equalized, cmap="gray", vmin=0, vmax=top)
    pictures[column].set_title(convention)
    pictures[column].set_axis_off()
    levels, places = np.unique(image, return_index=True)
    functions[column].plot(
        levels, equalized.ravel()[places] / top, "o", color="#c8501e", markersize=3
    )
    functions[column].set(ylim=(-0.05, 1.05), xlabel="level before")
    functions[column].spines[["top", "right"]].set_visible(False)
functions[0].set_ylabel("after, as a share\nof the brightest")

# %%
# The lower row shows the transfer functions. scikit-image maps the darkest level to its share of the
# pixels, OpenCV maps it to black. This is invisible in a large picture, but visible in a small one.
# Pillow does not change a picture with so few pixels.
#
# The type of the output is the library's, too:

for convention in ["skimage", "numpy", "opencv", "pillow"]:
    equalized = HistogramEqualizer(convention=convention).fit_transform(X)
    print(
        f"{convention:8} {equalized.dtype!s:8} {equalized.min():7.3f} to {equalized.max():7.3f}"
    )
