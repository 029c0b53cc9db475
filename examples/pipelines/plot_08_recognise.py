"""
Tuning a Pipeline
=================

A classifier is trained on images in one light and tested on images in another light. The images are raw,
standardised, or equalized. A grid search chooses the parameters of the equalizer.
"""

import matplotlib.pyplot as plt
import numpy as np
from skimage.data import lfw_subset
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.svm import SVC

from sklearn_histeq import HistogramEqualizer


def relight(images, rng):
    """Give each image its own random light: a gamma, a gain and a bias that clips nothing."""
    gamma = np.exp(rng.uniform(-1, 1, (len(images), 1, 1)))
    gain = rng.uniform(0.4, 1, (len(images), 1, 1))
    return gain * images**gamma + rng.uniform(0, 1, gain.shape) * (1 - gain)


X, y = lfw_subset(), np.repeat(["face", "other"], 100)  # (200, 25, 25)
X_train, X_test, y_train, y_test = train_test_split(
    X, y, test_size=0.5, random_state=0, stratify=y
)
X_other_light = relight(X_test, np.random.default_rng(0))

# Figure: Eight test images in the light of the training images, and below the same
# images in random other lights: darker, paler or with less contrast.
figure, axes = plt.subplots(2, 8, figsize=(8, 2.2), layout="constrained")
for row, images in zip(axes, [X_test, X_other_light], strict=True):
    for ax, image in zip(row, images, strict=False):
        ax.imshow(image, cmap="gray", vmin=0, vmax=1)
        ax.set(xticks=[], yticks=[])
axes[0, 0].set_ylabel("same light")
axes[1, 0].set_ylabel("another light")

# %%
# The grid search tunes the equalizer and the classifier together.

pipeline = make_pipeline(HistogramEqualizer(flatten=True), SVC())
grid = {
    "histogramequalizer__n_bins": ["auto", 16, 64],
    "histogramequalizer__output_distribution": ["uniform", "normal"],
    "svc__C": [1, 10],
}
search = GridSearchCV(pipeline, grid, cv=5).fit(X_train, y_train)
for name, value in search.best_params_.items():
    print(f"{name} = {value!r}")

# %%
# To see what equalization is worth, compare with two more classifiers: one of raw images, and one of
# standardised images. Standardising is the simplest remedy for a change of light.


def standardise(images):
    """Subtract the mean of each image, and divide by its standard deviation."""
    rows = flatten(images)
    rows = rows - rows.mean(axis=1, keepdims=True)
    return rows / rows.std(axis=1, keepdims=True)


def flatten(images):
    """Return one row per image."""
    return images.reshape(len(images), -1)


steps = {"raw": flatten, "standardised": standardise}
models = {
    name: make_pipeline(FunctionTransformer(step), SVC()).fit(X_train, y_train)
    for name, step in steps.items()
}
models["equalized"] = search

# Figure: Bars of the accuracies of the three classifiers, in the same light and in
# another light. Only the accuracy of raw images falls far in another light.
figure, ax = plt.subplots(figsize=(7, 2.6), layout="constrained")
places = np.arange(3)
for shift, label, images, color in [
    (-0.2, "same light", X_test, "#9db4c8"),
    (0.2, "another light", X_other_light, "#c8501e"),
]:
    scores = [model.score(images, y_test) for model in models.values()]
    bars = ax.barh(places + shift, scores, 0.38, color=color, label=label)
    ax.bar_label(bars, fmt="{:.2f}", padding=4)
ax.set(yticks=places, yticklabels=models, xlim=(0.5, 1), xlabel="accuracy")
ax.invert_yaxis()
ax.spines[["top", "right"]].set_visible(False)
ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False)

# %%
# Only equalized images are classified as well in another light as in the same light. The search
# did not see the other light, because all its folds have the same light. This is the Pipeline:

pipeline
