"""
Choosing an estimator by grid search
====================================

GridSearchCV can choose the equalizing step itself: one of three estimators, or "passthrough".
Here the training images have four kinds of light. Each fold of the search has one of them, so that
every candidate is validated in a light that is missing from its training.
"""

import matplotlib.pyplot as plt
import numpy as np
from skimage.data import lfw_subset
from sklearn.model_selection import GridSearchCV, GroupKFold, train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.svm import SVC

from sklearn_histeq import (
    AdaptiveHistogramEqualizer,
    HistogramEqualizer,
    HistogramMatcher,
)


def flatten(images):
    """Return one row per image."""
    return images.reshape(len(images), -1)


side = np.linspace(1, 0.15, 25)
lights = {
    "even": lambda images: images,
    "dark": lambda images: 0.4 * images**2,
    "from the left": lambda images: images * side,
    "from the right": lambda images: images * side[::-1],
}
X, y = lfw_subset(), np.repeat(["face", "other"], 100)  # (200, 25, 25)
X_train, X_test, y_train, y_test = train_test_split(
    X, y, test_size=0.5, random_state=0, stratify=y
)
# each training image in one of the lights
light = np.random.default_rng(0).permutation(np.repeat(list(lights), 25))
X_train = np.stack(
    [lights[name](image) for name, image in zip(light, X_train, strict=True)]
)

# %%
# The grid lists the candidates for the first step.

pipeline = Pipeline(
    [
        ("equalize", "passthrough"),
        ("flatten", FunctionTransformer(flatten)),
        ("classify", SVC()),
    ]
)
grid = [
    {"equalize": ["passthrough", HistogramEqualizer(), HistogramMatcher()]},
    {
        "equalize": [AdaptiveHistogramEqualizer()],
        "equalize__n_tiles": [2, 4, 8],
        "equalize__clip_limit": [3, None],
    },
]
search = GridSearchCV(pipeline, grid, cv=GroupKFold(len(lights)))
search.fit(X_train, y_train, groups=light)

# %%
# The bars show the validation scores of all candidates. The best one is red.

results = search.cv_results_
names = [
    ", ".join(
        [str(params["equalize"]).split("(")[0]]
        + [f"{k[10:]}={v}" for k, v in params.items() if "__" in k]
    )
    for params in results["params"]
]
# Figure: Bars of the accuracy in validation of nine candidates: no equalization,
# HistogramEqualizer, HistogramMatcher, and six settings of
# AdaptiveHistogramEqualizer.
figure, ax = plt.subplots(figsize=(8, 3.2), layout="constrained")
bars = ax.barh(names, results["mean_test_score"], color="#9db4c8")
bars[search.best_index_].set_color("#c8501e")
ax.bar_label(bars, fmt="{:.3f}", padding=4)
ax.set(xlim=(0.5, 1.05), xlabel="accuracy in validation")
ax.invert_yaxis()
ax.spines[["top", "right"]].set_visible(False)

# %%
# The accuracy of the chosen candidate on the test images, in each of the lights:

print(search.best_params_)
for name, relight in lights.items():
    print(f"{name:14} {search.score(relight(X_test), y_test):.2f}")
