"""
Four libraries, four curves
===========================

What scikit-image, NumPy's classic recipe, OpenCV and Pillow make of the same 64 dark pixels. The
parameter `convention` chooses, and each is that library's own result, bit for bit.
"""

import matplotlib.pyplot as plt
import numpy as np
from skimage.data import lfw_subset

from sklearn_histeq import HistogramEqualizer

image = (lfw_subset()[8, 9:17, 3:11] * 60).astype(np.uint8)  # a cheek, and an eye
X = image[np.newaxis]

figure, (pictures, curves) = plt.subplots(
    2, 4, figsize=(8, 4.6), layout="constrained"
)
for column, convention in enumerate(["skimage", "numpy", "opencv", "pillow"]):
    equalized = HistogramEqualizer(convention=convention).fit_transform(X)[0]
    top = 1 if convention == "skimage" else 255
    pictures[column].imshow(equalized, cmap="gray", vmin=0, vmax=top)
    pictures[column].set_title(convention)
    pictures[column].set_axis_off()
    levels, places = np.unique(image, return_index=True)
    curves[column].plot(
        levels, equalized.ravel()[places] / top, "o", color="#c8501e", markersize=3
    )
    curves[column].set(ylim=(-0.05, 1.05), xlabel="level before")
    curves[column].spines[["top", "right"]].set_visible(False)
curves[0].set_ylabel("after, as a share\nof the brightest")

# %%
# scikit-image gives the darkest level its share of the pixels, OpenCV gives it black. On a large
# picture this makes no difference to the eye; on a small one, and to tests that compare with an
# older program, it does. Pillow leaves a picture of so few pixels as it is.
#
# The type of the output is the library's, too:

for convention in ["skimage", "numpy", "opencv", "pillow"]:
    equalized = HistogramEqualizer(convention=convention).fit_transform(X)
    print(
        f"{convention:8} {equalized.dtype!s:8} {equalized.min():7.3f} to {equalized.max():7.3f}"
    )
