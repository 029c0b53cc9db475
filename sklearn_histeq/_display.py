"""Arrays to figures: pictures before and after, with their histograms and CDFs.

matplotlib is an optional extra, so it is imported when something is drawn and not before. The
figures are made without pyplot: no window, no state, no display needed.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_N_BARS = 32
_BAR, _LINE, _TEXT, _FRAME = "#9db4c8", "#c8501e", "#333333", "#bbbbbb"


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
        Where to draw; a figure of its own if None.

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
    """Draw a plane on a fixed gray scale: dark pictures must look dark."""
    ax.imshow(plane, cmap="gray", vmin=0, vmax=top)
    ax.set_title(title, fontsize=9, color=_TEXT)
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)


def _draw_histogram(ax: Axes, plane: NDArray[Any], top: float, last: bool) -> None:
    """Draw a plane's counts as bars and its CDF, 0 to 1, as a line over them."""
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


def save_png(figure: Figure, path: Path, software: str) -> None:
    """Write a figure whole or not at all, and its maker's name into the file.

    A file half written, by Ctrl-C or on a full disk, never takes the place of a good one.
    """
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        figure.savefig(unfinished, format="png", metadata={"Software": software})
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
