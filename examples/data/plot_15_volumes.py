"""
Volumes: by slices, or as a whole
=================================

A stack of slices from a microscope, a CT or an MR scanner is one volume. If its slices are equalized one
by one, each slice gets its own transfer function. Then the same tissue has another gray level in each
slice, and the noise of an empty slice looks like tissue. With `spatial_dims=3` the volume gets one
transfer function, so that equal voxels stay equal.
"""

import matplotlib.pyplot as plt
import numpy as np
from skimage.data import binary_blobs
from skimage.filters import gaussian

from sklearn_histeq import (
    AdaptiveHistogramEqualizer,
    EqualizationDisplay,
    HistogramEqualizer,
    LocalHistogramEqualizer,
)

# cells in a layer between two empty layers; the camera counts some hundred photons per voxel
cells = gaussian(binary_blobs(64, n_dim=3, volume_fraction=0.3, rng=0), 1.5)
is_layer = np.zeros((64, 64, 64), bool)  # (d, h, w)
is_layer[16:50] = True
rng = np.random.default_rng(0)
volume = rng.poisson(100 + 900 * cells * is_layer).astype(np.uint16)
X = volume[None]  # (1, 64, 64, 64): one volume

by_slice = HistogramEqualizer().fit_transform(volume)  # read as 64 images
equalizer = HistogramEqualizer(spatial_dims=3)
by_volume = equalizer.fit_transform(X)[0]
of_layer = equalizer.fit_transform(X, mask=is_layer[None])[0]

# Figure: A slice, an empty slice and a section from the side: before, equalized
# slice by slice, as a whole, and with a mask. Slice by slice, the noise of the
# empty slice is as bright as cells; with the mask it stays black.
figure, axes = plt.subplots(3, 4, figsize=(9, 7), layout="constrained")
titles = ["before", "slice by slice", "as a whole", "as a whole, mask="]
stacks = [volume / volume.max(), by_slice, by_volume, of_layer]
for column, (title, stack) in enumerate(zip(titles, stacks, strict=True)):
    axes[0, column].set_title(title)
    sections = stack[32], stack[6], stack[:, 32]
    for ax, section in zip(axes[:, column], sections, strict=True):
        ax.imshow(section, cmap="gray", vmin=0, vmax=1)
        ax.set(xticks=[], yticks=[])
names = ["a slice", "an empty slice", "all slices, from the side"]
for ax, name in zip(axes[:, 0], names, strict=True):
    ax.set_ylabel(name)

# %%
# The empty slice shows the difference best: equalized by itself, its noise takes all gray levels. The mask
# in the last column leaves out the empty layers, which otherwise take half of the gray levels of the
# volume.
#
# Voxels that had the same intensity, 300, get values in these ranges:

same = volume == 300
for title, stack in zip(titles[1:], stacks[1:], strict=True):
    print(f"{title:18} {stack[same].min():.2f} to {stack[same].max():.2f}")

# %%
# :class:`~sklearn_histeq.EqualizationDisplay` draws the middle slice, or another one, beside the
# histogram of all voxels.

# Figure: Slice 20 of the volume before and after equalization, with the histogram
# and CDF of all voxels in the mask.
EqualizationDisplay.from_estimator(
    equalizer, X, mask=is_layer[None], slice_index=20
)

# %%
# Tiles and windows of volumes
# ----------------------------
#
# Light-sheet and confocal images fade with the depth. One transfer function cannot correct this, but
# tiles and windows can. With `spatial_dims=3` they extend over several slices. The bins of the tiles then
# span the range of the whole volume. A deep slice has only a small part of this range, so tiles need a
# higher `clip_limit` than in slices.

fading = np.exp(-np.arange(64) / 40)[:, None, None]
deep = rng.poisson((60 + 500 * cells) * fading).astype(np.uint16)

tiles = AdaptiveHistogramEqualizer(n_tiles=4, clip_limit=8)
windows = LocalHistogramEqualizer(window=25)
stacks = {
    "before": deep / deep.max(),
    "tiles, slice by slice": tiles.fit_transform(deep),
    "tiles of the volume": tiles.set_params(spatial_dims=3).fit_transform(
        deep[None]
    )[0],
    "windows, slice by slice": windows.fit_transform(deep),
    "windows of the volume": windows.set_params(spatial_dims=3).fit_transform(
        deep[None]
    )[0],
}

# Figure: A deep slice and a section from the side of a fading volume: before, and
# after tiles and windows, slice by slice and of the volume.
figure, axes = plt.subplots(2, 5, figsize=(11, 4.8), layout="constrained")
for column, (title, stack) in enumerate(stacks.items()):
    axes[0, column].set_title(title, fontsize=10)
    for ax, section in zip(axes[:, column], [stack[40], stack[:, 32]], strict=True):
        ax.imshow(section, cmap="gray", vmin=0, vmax=1)
        ax.set(xticks=[], yticks=[])
axes[0, 0].set_ylabel("a deep slice")
axes[1, 0].set_ylabel("all slices, from the side")

# %%
# In the sections from the side, the deep slices are at the bottom. Slice by slice, every slice gets the same
# contrast, even if it has few cells, and each histogram has fewer voxels.
#
# Now take as many of the brightest voxels as there are voxels of cells. This share of the voxels of
# cells is among them:

is_cell = cells > 0.5
for title, stack in stacks.items():
    is_bright = stack > np.quantile(stack, 1 - is_cell.mean())
    print(f"{title:24} {is_bright[is_cell].mean():.0%}")
