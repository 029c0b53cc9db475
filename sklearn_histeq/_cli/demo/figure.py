"""The demo's figure: faces in other lights and their histograms, and faces lit from a side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sklearn_histeq import AdaptiveHistogramEqualizer, HistogramEqualizer
from sklearn_histeq._display import draw_before_after

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_TEXT = "#333333"


def draw(
    pictures: NDArray[np.uint8], lights: str, side_lit: NDArray[np.uint8], n_tiles: int
) -> Figure:
    """Draw both panels, one below the other.

    Parameters
    ----------
    pictures : ndarray of shape (n, 1, height, width)
        A face in other lights.
    lights : str
        Which lights, for the heading.
    side_lit : ndarray of shape (m, 1, height, width)
        A face under light from a side.
    n_tiles : int
        For AdaptiveHistogramEqualizer.

    Returns
    -------
    matplotlib.figure.Figure
    """
    from matplotlib.figure import Figure

    width = 2.1 * max(len(pictures), len(side_lit)) + 0.9
    figure = Figure(figsize=(width, 15), dpi=110, layout="constrained")
    panels: Any = figure.subfigures(2, 1, height_ratios=[8.6, 6.4])
    after = HistogramEqualizer().fit_transform(pictures)
    titles = [f"mean {picture.mean():.0f} of 255" for picture in pictures]
    heading = f"One face {lights}, before and after HistogramEqualizer"
    draw_before_after(pictures[:, 0], after[:, 0], titles, heading, panels[0])
    _draw_side_lit(panels[1], side_lit, n_tiles)
    return figure


def _draw_side_lit(figure: Any, pictures: NDArray[np.uint8], n_tiles: int) -> None:
    """Draw pictures, and below what one curve makes of them, and what tiles do."""
    steps = [HistogramEqualizer(), AdaptiveHistogramEqualizer(n_tiles=n_tiles)]
    rows = {
        "before": pictures / 255,
        "one curve": steps[0].fit_transform(pictures),
        f"{n_tiles} × {n_tiles} tiles": steps[1].fit_transform(pictures),
    }
    axes = figure.subplots(len(rows), len(pictures), squeeze=False)
    for row, (label, planes) in zip(axes, rows.items(), strict=True):
        for ax, plane in zip(row, planes[:, 0], strict=True):
            ax.imshow(plane, cmap="gray", vmin=0, vmax=1)
            ax.set(xticks=[], yticks=[])
            ax.spines[:].set_visible(False)
        row[0].set_ylabel(label, color=_TEXT, fontsize=13)
    for ax, picture in zip(axes[0], pictures[:, 0], strict=True):
        ax.set_title(_from_where(picture), fontsize=9, color=_TEXT)
    figure.suptitle(
        "Under simulated light from a side: one curve for the whole picture (HistogramEqualizer)"
        " against tiles (AdaptiveHistogramEqualizer)",
        color=_TEXT,
    )


def _from_where(picture: NDArray[np.uint8]) -> str:
    """Say how bright the halves of a picture are."""
    left, right = np.array_split(picture, 2, axis=1)
    return f"mean left {left.mean():.0f}, right {right.mean():.0f}"
