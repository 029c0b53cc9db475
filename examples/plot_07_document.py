"""
CLAHE for documents and microscope pictures
===========================================

CLAHE makes detail visible where the light is uneven: here the text of a page with a shadow, and a cell
under a microscope.
"""

import matplotlib.pyplot as plt
from skimage.data import cell, page

from sklearn_histeq import AdaptiveHistogramEqualizer, HistogramEqualizer

estimators = [HistogramEqualizer(), AdaptiveHistogramEqualizer(clip_limit=2)]


def compare(image):
    """Draw an image before and after each estimator."""
    pictures = [image, *(e.fit_transform(image[None])[0] for e in estimators)]
    titles = ["before", "HistogramEqualizer", "AdaptiveHistogramEqualizer"]
    _, axes = plt.subplots(1, 3, figsize=(8, 2.9), layout="constrained")
    for ax, title, picture in zip(axes, titles, pictures, strict=True):
        ax.imshow(picture, cmap="gray")
        ax.set_title(title, fontsize=10)
        ax.set_axis_off()


# %%
# The shadow covers the left part of the page. `HistogramEqualizer` makes the shadow darker, because
# it spreads the intensities of the whole page over all gray levels. With tiles the shadow becomes
# weaker, and all text is easy to read.

compare(page()[:, :240])

# %%
# Most pixels of the next picture are background, which has little contrast. `HistogramEqualizer` gives
# most gray levels to the background, and amplifies its noise. The clip limit prevents this, and the
# structure inside the cell becomes visible.

compare(cell()[150:450, 250:550])
