"""
A Pipeline with missing pixels
==============================

Some images are cut off at the edge of the frame, so that a part of their pixels is missing. NaN marks
these pixels. The equalizer does not count them, and leaves them NaN. A classifier refuses NaN, so an
imputer comes between the two.
"""

import matplotlib.pyplot as plt
import numpy as np
from skimage.data import lfw_subset
from sklearn.impute import SimpleImputer
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC

from sklearn_histeq import HistogramEqualizer

X, y = lfw_subset(), np.repeat(["face", "other"], 100)  # (200, 25, 25)
X_train, X_test, y_train, y_test = train_test_split(
    X, y, test_size=0.5, random_state=0, stratify=y
)
rng = np.random.default_rng(0)
X_cut = X_test.copy()
for image, (n_rows, n_columns) in zip(
    X_cut, rng.integers(0, 7, (100, 2)), strict=True
):
    image[:n_rows] = np.nan
    image[:, 25 - n_columns :] = np.nan

# Figure: Eight images whose upper and right edges are missing, drawn in blue,
# before and after equalization.
figure, axes = plt.subplots(2, 8, figsize=(8, 2.3), layout="constrained")
for row, images in zip(
    axes, [X_cut, HistogramEqualizer().fit_transform(X_cut)], strict=True
):
    for ax, image in zip(row, images, strict=False):
        ax.imshow(image, cmap="gray", vmin=0, vmax=1)
        ax.set(xticks=[], yticks=[], facecolor="#b7d6f2")
axes[0, 0].set_ylabel("before")
axes[1, 0].set_ylabel("equalized")

# %%
# The missing pixels are drawn in blue. The imputer replaces each by the mean of the training images at
# its place. For comparison, the second Pipeline gets black pixels instead of NaN, and counts them.

with_nan = make_pipeline(HistogramEqualizer(flatten=True), SimpleImputer(), SVC())
with_black = make_pipeline(HistogramEqualizer(flatten=True), SVC())
for name, pipeline, images in [
    ("missing pixels NaN", with_nan, X_cut),
    ("missing pixels black", with_black, np.nan_to_num(X_cut)),
]:
    pipeline.fit(X_train, y_train)
    print(
        f"{name:20} complete images: {pipeline.score(X_test, y_test):.2f}"
        f"   cut images: {pipeline.score(images, y_test):.2f}"
    )
