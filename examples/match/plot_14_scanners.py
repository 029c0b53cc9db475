"""
Two scanners without a common scale
===================================

Scanners for magnetic resonance have no common scale of intensities: each scan has its own scale. Here,
scans of heads are simulated for two scanners. Some heads have a small bright lesion, which a
classifier should find. `HistogramMatcher(landmarks=...)` brings all scans to one scale by a few
percentiles of the head. This is the method of Nyúl and Udupa (1999).
"""

import matplotlib.pyplot as plt
import numpy as np
import sklearn
from skimage.filters import gaussian
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from sklearn_histeq import HistogramMatcher

SIDE = 48
rng = np.random.default_rng(0)


def simulate(n, gain, offset):
    """Return scans (n, SIDE, SIDE), masks of the heads, and which heads have a lesion."""
    rows, columns = np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j]
    scans, masks, is_sick = np.zeros((n, SIDE, SIDE)), [], np.arange(n) % 2 == 1
    for scan, sick in zip(scans, is_sick, strict=True):
        height, width, inner, ventricle = rng.uniform(
            [0.75, 0.75, 0.5, 0.1], [0.95, 0.95, 0.85, 0.3]
        )
        radius = np.hypot(rows / height, columns / width)
        tissue = np.where(radius < inner, 0.7, 0.45)  # in shares that differ
        tissue[radius < ventricle] = 0.15
        angle, size = rng.uniform([0, 0.1], [2 * np.pi, 0.16])
        lesion = rows - 0.45 * np.sin(angle), columns - 0.45 * np.cos(angle)
        if sick:
            tissue[np.hypot(*lesion) < size] = 0.95
        tissue += 0.2 * gaussian(rng.normal(size=tissue.shape), 1.5)
        scan[...] = rng.uniform(0.8, 1.2) * gain * tissue + offset
        masks.append(radius < 1)
    masks = np.array(masks)
    return np.where(masks, scans, 20 * rng.random(scans.shape)), masks, is_sick


one_scanner, other_scanner = (400, 40), (1100, 200)
X_train, mask_train, y_train = simulate(100, *one_scanner)
tests = {"same scanner": one_scanner, "another scanner": other_scanner}
tests = {name: simulate(200, *scanner) for name, scanner in tests.items()}

# %%
# The masks leave out the background, which would take most percentiles. The landmarks are the
# percentiles 10, 20, ..., 90. Between two landmarks the transfer function is a straight line, and above
# the last landmark it goes on with the same slope. So the brightest tenth of a head, where a lesion would
# be, is not matched itself. Matching whole histograms is different: it gives every head the same bright
# pixels, whether the head has a lesion or not.

steps = {
    "raw": FunctionTransformer(),
    "matched": HistogramMatcher(),
    "landmarks": HistogramMatcher(landmarks=range(10, 91, 10)),
}


def brightest(scans):
    """Return the mean of the brightest twenty pixels of each scan, as a column."""
    rows = scans.reshape(len(scans), -1)
    return np.sort(rows, axis=1)[:, -20:].mean(axis=1, keepdims=True)


scores, models = {}, {}
with sklearn.config_context(enable_metadata_routing=True):  # masks go through
    for name, step in steps.items():
        models[name] = make_pipeline(
            step,
            FunctionTransformer(brightest),
            StandardScaler(),
            LogisticRegression(),
        )
        masks = {} if name == "raw" else {"mask": mask_train}
        models[name].fit(X_train, y_train, **masks)
        for test, (X, mask, y) in tests.items():
            masks = {} if name == "raw" else {"mask": mask}
            predicted = models[name].predict(X, **masks)
            scores[name, test] = np.mean(predicted == y)
            print(f"{name:9}  {test:15}  accuracy {scores[name, test]:.2f}")

# %%
# The figure shows one scan with a lesion for each scanner, with one gray scale per column, and the
# accuracies. With raw intensities the classifier makes errors even on the scanner of the training, whose
# gain differs from scan to scan, and it only guesses on the other scanner. With landmarks it is good on both.

# Figure: One scan with a lesion from each of two scanners, raw, matched and with
# landmarks, and bars of the accuracies. Landmarks have the highest accuracy for
# both scanners.
figure, axes = plt.subplots(2, 4, figsize=(8.5, 3.8), layout="constrained")
figure.suptitle(
    "A scan with a lesion from two scanners, and the share of scans classified correctly"
)
for row, (test, (X, mask, _)) in zip(axes, tests.items(), strict=True):
    for ax, (name, step) in zip(row, steps.items(), strict=False):
        outputs = [
            images if name == "raw" else step.transform(images, mask=counted)
            for images, counted in [(X_train, mask_train), (X[1:2], mask[1:2])]
        ]
        top = np.percentile(outputs[0][mask_train], 99.5)
        image = np.where(mask[1], outputs[1][0], 0)
        ax.imshow(image, cmap="gray", vmin=0, vmax=top)
        ax.set(xticks=[], yticks=[])
    row[0].set_ylabel(test)
    bars = row[3].barh(
        list(steps), [scores[name, test] for name in steps], color="#9db4c8"
    )
    row[3].bar_label(bars, fmt="{:.2f}", padding=3)
    row[3].set(xlim=(0, 1.25), xticks=[], xlabel="accuracy")
    row[3].invert_yaxis()
    row[3].spines[["top", "right", "bottom"]].set_visible(False)
for ax, name in zip(axes[0], steps, strict=False):
    ax.set_title(name)
