"""
Equalizing colour images
========================

If red, green and blue are equalized one by one, the hues change. `color="value"` equalizes the
largest of the three and scales all three by the same factor, so that hue and saturation do not change.
"""

import matplotlib.pyplot as plt
import numpy as np
from skimage.data import coffee

from sklearn_histeq import EqualizationDisplay, HistogramEqualizer

X = coffee()[np.newaxis, ::2, 100:500:2] // 2  # (1, 200, 200, 3): a dark image

by_channels = HistogramEqualizer(color="channels", channel_axis=-1)
by_value = HistogramEqualizer(color="value", channel_axis=-1)

# Figure: A cup of coffee, dark before; with color="channels" bright and bluish,
# with color="value" bright in its own colours.
figure, axes = plt.subplots(1, 3, figsize=(8, 3), layout="constrained")
columns = {
    "before": X[0],
    'color="channels"': by_channels.fit_transform(X)[0],
    'color="value"': by_value.fit_transform(X)[0],
}
for ax, (title, image) in zip(axes, columns.items(), strict=True):
    ax.imshow(image)
    ax.set_title(title)
    ax.set_axis_off()

# %%
# With "channels" the histograms of red, green and blue are equalized:

# Figure: The cup before and after color="channels", with the histograms of red,
# green and blue, which are level after equalization.
EqualizationDisplay.from_estimator(by_channels, X)

# %%
# With "value" the histogram of max(R, G, B) is equalized:

# Figure: The cup before and after color="value", with the histogram of the largest
# of red, green and blue, which is level after equalization.
EqualizationDisplay.from_estimator(by_value, X)
