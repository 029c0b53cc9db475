"""The demo's figure: a face under several lights with its histograms, and a face lit from a side.

It is drawn without pyplot, so it needs no window, no backend and no display.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sklearn_histeq import (
    AdaptiveHistogramEqualizer,
    HistogramEqualizer,
    LocalHistogramEqualizer,
)
from sklearn_histeq._cli.demo.protocols import WINDOW

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_N_BARS = 32
_BAR, _LINE, _TEXT, _FRAME = "#9db4c8", "#c8501e", "#333333", "#bbbbbb"


def draw(
    pictures: NDArray[np.uint8], lights: str, side_lit: NDArray[np.uint8], n_tiles: int
) -> Figure:
    """Draw both panels, one below the other.

    Parameters
    ----------
    pictures : ndarray of shape (n, 1, height, width)
        A face under several lights.
    lights : str
        Description of the lights, for the heading.
    side_lit : ndarray of shape (m, 1, height, width)
        A face lit from a side.
    n_tiles : int
        For AdaptiveHistogramEqualizer.

    Returns
    -------
    matplotlib.figure.Figure
    """
    from matplotlib.figure import Figure

    width = 2.1 * max(len(pictures), len(side_lit)) + 0.9
    figure = Figure(figsize=(width, 17), dpi=110, layout="constrained")
    panels: Any = figure.subfigures(2, 1, height_ratios=[8.6, 8.2])
    after = HistogramEqualizer().fit_transform(pictures)
    titles = [f"mean {picture.mean():.0f} of 255" for picture in pictures]
    heading = f"One face {lights}, before and after HistogramEqualizer"
    draw_before_after(pictures[:, 0], after[:, 0], titles, heading, panels[0])
    _draw_side_lit(panels[1], side_lit, n_tiles)
    return figure


def _draw_side_lit(figure: Any, pictures: NDArray[np.uint8], n_tiles: int) -> None:
    """Draw pictures, and below them the results of one transfer function, tiles and windows."""
    steps = {
        "whole picture": HistogramEqualizer(),
        f"{n_tiles} × {n_tiles} tiles": AdaptiveHistogramEqualizer(n_tiles=n_tiles),
        "windows": LocalHistogramEqualizer(window=WINDOW),
    }
    rows = {"before": pictures / 255}
    rows |= {label: step.fit_transform(pictures) for label, step in steps.items()}
    axes = figure.subplots(len(rows), len(pictures), squeeze=False)
    for row, (label, planes) in zip(axes, rows.items(), strict=True):
        for ax, plane in zip(row, planes[:, 0], strict=True):
            ax.imshow(plane, cmap="gray", vmin=0, vmax=1)
            ax.set(xticks=[], yticks=[])
            ax.spines[:].set_visible(False)
        row[0].set_ylabel(label, color=_TEXT, fontsize=13)
    for ax, picture in zip(axes[0], pictures[:, 0], strict=True):
        ax.set_title(_brightness_of_halves(picture), fontsize=9, color=_TEXT)
    figure.suptitle(
        "Simulated light from a side, and one transfer function for the whole picture, for each"
        " tile, or for each window",
        color=_TEXT,
    )


def _brightness_of_halves(picture: NDArray[np.uint8]) -> str:
    """Return the mean brightness of both halves of a picture, as text."""
    left, right = np.array_split(picture, 2, axis=1)
    return f"mean left {left.mean():.0f}, right {right.mean():.0f}"


def draw_before_after(
    before: NDArray[Any],
    after: NDArray[Any],
    titles: Sequence[str],
    heading: str,
    figure: Any = None,
) -> Any:
    """Draw pictures before and after equalization, each above its histogram and CDF.

    Parameters
    ----------
    before : ndarray of shape (n, height, width), dtype uint8
    after : ndarray of shape (n, height, width)
        The same pictures in [0, 1].
    titles : sequence of n str
    heading : str
    figure : Figure or SubFigure, default=None
        Where to draw; a new figure if None.

    Returns
    -------
    matplotlib Figure or SubFigure
    """
    from matplotlib.figure import Figure

    n = len(before)
    if figure is None:
        figure = Figure(figsize=(2.1 * n + 0.9, 8.6), dpi=110, layout="constrained")
    axes = figure.subplots(4, n, squeeze=False, height_ratios=[1.5, 1, 1.5, 1])
    for column in range(n):
        _draw_picture(axes[0, column], before[column], 255, titles[column])
        _draw_picture(axes[2, column], after[column], 1, "")
        for row, plane, top in ((1, before[column], 255), (3, after[column], 1)):
            _draw_histogram(axes[row, column], plane, top, last=column == n - 1)
    for row, label in enumerate(("before", "histogram", "after", "histogram")):
        axes[row, 0].set_ylabel(label, color=_TEXT, fontsize=13 if row % 2 == 0 else 9)
    figure.suptitle(heading, color=_TEXT)
    return figure


def _draw_picture(ax: Axes, plane: NDArray[Any], top: float, title: str) -> None:
    """Draw a plane on a fixed gray scale, so that dark pictures look dark."""
    ax.imshow(plane, cmap="gray", vmin=0, vmax=top)
    ax.set_title(title, fontsize=9, color=_TEXT)
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)


def _draw_histogram(ax: Axes, plane: NDArray[Any], top: float, last: bool) -> None:
    """Draw the counts of a plane as bars, and its CDF from 0 to 1 as a line."""
    counts, edges = np.histogram(plane, _N_BARS, range=(0, top))
    ax.stairs(counts, edges, fill=True, color=_BAR)
    ax.set(xlim=(0, top), xticks=[0, top], yticks=[])
    ax.tick_params(colors=_TEXT, labelsize=7)
    levels = np.sort(plane, axis=None)
    cdf = np.arange(1, levels.size + 1) / levels.size
    right = ax.twinx()
    right.step([0, *levels, top], [0, *cdf, 1], where="post", color=_LINE, linewidth=1.3)
    right.set(ylim=(0, 1.03), yticks=[0, 1] if last else [])
    right.tick_params(colors=_LINE, labelsize=7)
    for side in (ax, right):
        side.spines[:].set_color(_FRAME)
    if last:
        right.set_ylabel("CDF", color=_LINE, fontsize=9)
