"""
CLAHE for documents and microscope images
=========================================

CLAHE makes details visible where the light is uneven or the contrast is low: here the text of a page with
a shadow, and a cell under a microscope.
"""

import matplotlib.pyplot as plt
from skimage.data import cell, page

from sklearn_histeq import AdaptiveHistogramEqualizer, HistogramEqualizer

estimators = [HistogramEqualizer(), AdaptiveHistogramEqualizer(clip_limit=2)]


def compare(image):
    """Draw an image before and after each estimator."""
    images = [image, *(e.fit_transform(image[None])[0] for e in estimators)]
    titles = ["before", "HistogramEqualizer", "AdaptiveHistogramEqualizer"]
    _, axes = plt.subplots(1, 3, figsize=(8, 2.9), layout="constrained")
    for ax, title, shown in zip(axes, titles, images, strict=True):
        ax.imshow(shown, cmap="gray")
        ax.set_title(title, fontsize=10)
        ax.set_axis_off()


# %%
# The shadow covers the left part of the page. `HistogramEqualizer` makes the shadow darker, because
# it spreads the intensities of the whole page over all gray levels. With tiles the shadow becomes
# weaker, and all text is easy to read.

# Figure: A page of text with a shadow at the left. HistogramEqualizer makes the
# shadow darker; AdaptiveHistogramEqualizer removes most of it.
compare(page()[:, :240])

# %%
# Most pixels of the next image are background, which has little contrast. `HistogramEqualizer` gives
# most gray levels to the background, and amplifies its noise. The clip limit prevents this, and the
# structure inside the cell becomes visible.

# Figure: A cell under a microscope. HistogramEqualizer fills the background with
# noise and stripes; AdaptiveHistogramEqualizer shows the structure of the cell.
compare(cell()[150:450, 250:550])
