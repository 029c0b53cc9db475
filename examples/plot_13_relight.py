"""
Choosing for a light that the pictures do not have
==================================================

Ordinary cross-validation sees only the light that the pictures have. `relit_scorer` lets a search
validate on relit copies of the validation pictures, while it trains on the pictures as they are.
"""

import matplotlib.pyplot as plt
import numpy as np
from skimage.data import lfw_subset
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

from sklearn_histeq import (
    AdaptiveHistogramEqualizer,
    HistogramEqualizer,
    LocalHistogramEqualizer,
    relight,
    relit_scorer,
)

X, y = (
    lfw_subset(),
    np.repeat(["face", "other"], 100),
)  # (200, 25, 25), all in even light
X_train, X_test, y_train, y_test = train_test_split(
    X, y, test_size=0.5, random_state=0, stratify=y
)

# %%
# `relight` makes copies of three strengths. In "even" light exposure and tone curve change, "mild" light
# also falls from a side, and in "harsh" light most of a picture may lie in shadow.

figure, axes = plt.subplots(4, 8, figsize=(8, 4.4), layout="constrained")
rows = {"as they are": X_test}
rows |= {s: relight(X_test, s, random_state=0) for s in ("even", "mild", "harsh")}
for row, (name, images) in zip(axes, rows.items(), strict=True):
    row[0].set_ylabel(name)
    for ax, image in zip(row, images, strict=False):
        ax.imshow(image, cmap="gray", vmin=0, vmax=1)
        ax.set(xticks=[], yticks=[])

# %%
# The same search, validated on pictures as they are and on harsh copies. Every candidate is validated
# on the same copies.


def flatten(images):
    """Return one row per image."""
    return images.reshape(len(images), -1)


pipeline = Pipeline(
    [
        ("equalize", None),
        ("flatten", FunctionTransformer(flatten)),
        ("classify", LogisticRegression(max_iter=2000)),
    ]
)
candidates = {
    "window 1/8": LocalHistogramEqualizer(),
    "window 1/4": LocalHistogramEqualizer(window=1 / 4),
    "4 tiles": AdaptiveHistogramEqualizer(n_tiles=4),
    "one function": HistogramEqualizer(),
    "passthrough": "passthrough",
}
grid = {"equalize": list(candidates.values())}
searches = {}
for name, scoring in {
    "as they are": "accuracy",
    "harsh copies": relit_scorer("accuracy"),
}.items():
    searches[name] = GridSearchCV(pipeline, grid, scoring=scoring).fit(
        X_train, y_train
    )
    print(f"validated on {name}: {list(candidates)[searches[name].best_index_]}")

figure, ax = plt.subplots(figsize=(7, 3), layout="constrained")
places = np.arange(len(candidates))
for shift, (name, search), color in zip(
    [-0.2, 0.2], searches.items(), ["#9db4c8", "#c8501e"], strict=True
):
    scores = search.cv_results_["mean_test_score"]
    bars = ax.barh(
        places + shift, scores, 0.38, color=color, label=f"validated on {name}"
    )
    ax.bar_label(bars, fmt="{:.2f}", padding=4)
ax.set(
    yticks=places,
    yticklabels=candidates,
    xlim=(0.4, 1.08),
    xlabel="accuracy in validation",
)
ax.invert_yaxis()
ax.spines[["top", "right"]].set_visible(False)
ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False)

# %%
# Validated on pictures as they are, the candidates differ little, and tiles are chosen by one picture
# of a hundred. On harsh copies the candidates differ by a quarter of all pictures, and windows of 1/4
# are chosen. In a test on other copies in harsh light, windows of 1/4 are the best and raw pictures
# the worst. Note that `search.score` would relight the test pictures, too: it uses the scorer of the
# search.

X_harsh = relight(X_test, random_state=99)
for name, step in candidates.items():
    model = pipeline.set_params(equalize=step).fit(X_train, y_train)
    same, harsh = model.score(X_test, y_test), model.score(X_harsh, y_test)
    print(f"{name:13} same light {same:.2f}, harsh light {harsh:.2f}")
