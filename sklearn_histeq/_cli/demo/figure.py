"""The demo's figure: a face under several lights with its histograms, and a face lit from a side.

It is drawn without pyplot, so it needs no window, no backend and no display.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sklearn_histeq import (
    AdaptiveHistogramEqualizer,
    HistogramEqualizer,
    LocalHistogramEqualizer,
    relight,
)
from sklearn_histeq._cli.demo.data import evenly
from sklearn_histeq._cli.demo.protocols import WINDOW, from_bright_to_dark, tiles_for

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_N_BARS = 32
_BAR, _LINE, _TEXT, _FRAME = "#9db4c8", "#c8501e", "#333333", "#bbbbbb"


def lit_evenly(image: NDArray[np.uint8], seed: int) -> NDArray[np.uint8]:
    """Return five copies of one image, (1, 1, h, w), in other lights, from bright to dark."""
    copies = relight(np.repeat(image, 50, axis=0), "even", random_state=seed)
    return five_of(copies, from_bright_to_dark(copies))


def lit_from_a_side(image: NDArray[np.uint8], seed: int) -> NDArray[np.uint8]:
    """Return five copies of one image, (1, 1, h, w), lit from a side, from left to right."""
    copies = relight(np.repeat(image, 50, axis=0), "harsh", random_state=seed)
    tilts = (copies * np.linspace(-1, 1, copies.shape[-1])).mean(axis=(1, 2, 3))
    return five_of(copies, np.argsort(tilts, kind="stable"))


def five_of(images: NDArray[np.uint8], order: NDArray[np.intp]) -> NDArray[np.uint8]:
    """Return five images, evenly chosen from an order, or fewer where there are fewer."""
    return images[order[evenly(len(images), 5)]]


def draw(images: NDArray[np.uint8], lights: str, side_lit: NDArray[np.uint8]) -> Figure:
    """Draw both panels, one below the other.

    Parameters
    ----------
    images : ndarray of shape (n, 1, height, width)
        A face under several lights.
    lights : str
        Description of the lights, for the heading.
    side_lit : ndarray of shape (m, 1, height, width)
        A face lit from a side.

    Returns
    -------
    matplotlib.figure.Figure
    """
    from matplotlib.figure import Figure

    width = 2.1 * max(len(images), len(side_lit)) + 0.9
    figure = Figure(figsize=(width, 17), dpi=110, layout="constrained")
    panels: Any = figure.subfigures(2, 1, height_ratios=[8.6, 8.2])
    upper, lower = panels
    heading = f"One face {lights}, before and after HistogramEqualizer"
    upper.suptitle(heading, color=_TEXT)
    _draw_before_after(upper, images)
    lower.suptitle(
        "Simulated light from a side, and one transfer function for the whole image, for each"
        " tile, or for each window",
        color=_TEXT,
    )
    _draw_side_lit(lower, side_lit)
    return figure


def _draw_before_after(figure: Any, images: NDArray[np.uint8]) -> None:
    """Draw images before and after equalization, each above its histogram and CDF."""
    after = HistogramEqualizer().fit_transform(images)
    axes = figure.subplots(4, len(images), squeeze=False, height_ratios=[1.5, 1, 1.5, 1])
    for pair, label, planes, top in (
        (axes[:2], "before", images, 255),
        (axes[2:], "after", after, 1),
    ):
        _draw_images(pair[0], planes[:, 0], label, top)
        for ax, plane in zip(pair[1], planes[:, 0], strict=True):
            _draw_histogram(ax, plane, top, is_last=ax is pair[1, -1])
        pair[1, 0].set_ylabel("histogram", color=_TEXT, fontsize=9)
    for ax, image in zip(axes[0], images, strict=True):
        ax.set_title(f"mean {image.mean():.0f} of 255", fontsize=9, color=_TEXT)


def _draw_side_lit(figure: Any, images: NDArray[np.uint8]) -> None:
    """Draw images, and below them the results of one transfer function, tiles and windows."""
    n_tiles = tiles_for(images)
    steps = {
        "whole image": HistogramEqualizer(),
        f"{n_tiles} × {n_tiles} tiles": AdaptiveHistogramEqualizer(n_tiles=n_tiles),
        "windows": LocalHistogramEqualizer(window=WINDOW),
    }
    rows = {"before": images / 255}
    rows |= {label: step.fit_transform(images) for label, step in steps.items()}
    axes = figure.subplots(len(rows), len(images), squeeze=False)
    for row, (label, planes) in zip(axes, rows.items(), strict=True):
        _draw_images(row, planes[:, 0], label, 1)
    for ax, image in zip(axes[0], images[:, 0], strict=True):
        left, right = (half.mean() for half in np.array_split(image, 2, axis=1))
        ax.set_title(f"mean left {left:.0f}, right {right:.0f}", fontsize=9, color=_TEXT)


def _draw_images(axes: Any, planes: NDArray[Any], label: str, top: float) -> None:
    """Draw a row of planes on a fixed gray scale, so that dark images look dark."""
    for ax, plane in zip(axes, planes, strict=True):
        ax.imshow(plane, cmap="gray", vmin=0, vmax=top)
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set_visible(False)
    axes[0].set_ylabel(label, color=_TEXT, fontsize=13)


def _draw_histogram(ax: Axes, plane: NDArray[Any], top: float, is_last: bool) -> None:
    """Draw the counts of a plane as bars, and its CDF from 0 to 1 as a line."""
    counts, edges = np.histogram(plane, _N_BARS, range=(0, top))
    ax.stairs(counts, edges, fill=True, color=_BAR)
    ax.set(xlim=(0, top), xticks=[0, top], yticks=[])
    ax.tick_params(colors=_TEXT, labelsize=7)
    levels = np.sort(plane, axis=None)
    cdf = np.arange(1, levels.size + 1) / levels.size
    right = ax.twinx()
    right.step([0, *levels, top], [0, *cdf, 1], where="post", color=_LINE, linewidth=1.3)
    right.set(ylim=(0, 1.03), yticks=[0, 1] if is_last else [])
    right.tick_params(colors=_LINE, labelsize=7)
    for side in (ax, right):
        side.spines[:].set_color(_FRAME)
    if is_last:
        right.set_ylabel("CDF", color=_LINE, fontsize=9)
