"""
More images than fit in memory
==============================

The estimators take dask arrays. The result is computed only when you ask for it, chunk by chunk, so that
only a few chunks are in memory at a time.
"""

import dask.array as da
import numpy as np
from skimage.data import lfw_subset
from sklearn.decomposition import IncrementalPCA

from sklearn_histeq import EqualizationDisplay, HistogramEqualizer

# %%
# In practice, the images come from `da.from_zarr` or a similar function. Here ten chunks are made from 200
# images of scikit-image, each chunk with another brightness.

images = da.from_array(255 * lfw_subset(), chunks=-1)  # (200, 25, 25)
X = da.concatenate([gain * images for gain in np.linspace(0.2, 1, 10)])
X = X.astype(np.uint8)
print(X)

# %%
# `transform` returns at once, with another dask array. No pixel has been read yet.

equalized = HistogramEqualizer(dtype="input").fit(X).transform(X)
print(equalized)

# %%
# The next figure shows one image of the first, the middle and the last chunk. Only these chunks are
# computed.

# Figure: Three images of increasing brightness before, and with full contrast after
# equalization, with histograms and CDFs.
shown = [0, 1000, 1800]
EqualizationDisplay.from_images(X[shown].compute(), equalized[shown].compute())

# %%
# With `flatten=True` the output has one row per image. Estimators with `partial_fit` learn from the rows
# chunk by chunk:

rows = HistogramEqualizer(flatten=True, dtype="float32").fit(X).transform(X)
pca = IncrementalPCA(n_components=10)
for chunk in rows.blocks:
    pca.partial_fit(chunk.compute())
share = pca.explained_variance_ratio_.sum()
print(f"{len(rows)} images; 10 components have {share:.0%} of the variance")
