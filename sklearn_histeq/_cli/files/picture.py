"""What all formats share: a picture's pixels, and what is said of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class Page(NamedTuple):
    """The pixels of a picture, or of one of several pages."""

    colors: NDArray[Any]  # (h, w) or (h, w, n_channels)
    alpha: NDArray[Any] | None = None  # (h, w)
    nodata: float | None = None  # the value of pixels that are missing


@dataclass
class Metadata:
    """What is said of a picture, in terms that several formats have; the rest is named."""

    exif: bytes | None = None
    icc: bytes | None = None
    xmp: bytes | None = None
    dpi: tuple[float, float] | None = None
    others: list[str] = field(default_factory=list)


@dataclass
class Picture:
    """A picture that was read."""

    format: str
    pages: list[Page]
    metadata: Metadata
    # returns the file with other pixels, and everything else as it was
    with_pages: Callable[[list[Page]], bytes]


def rescale(values: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Convert values to the range of another type, which is 0 to 1 for floats."""
    if values.dtype == dtype:
        return values
    top_in, top_out = (np.iinfo(d).max if d.kind in "iu" else 1 for d in (values.dtype, dtype))
    scaled = values * (top_out / top_in)
    return np.rint(scaled).astype(dtype) if dtype.kind in "iu" else scaled.astype(dtype)


def split_alpha(array: NDArray[Any], has_alpha: bool) -> Page:
    """Return a page from channels of which the last may be alpha."""
    if not has_alpha:
        return Page(array)
    colors = array[..., :-1]
    return Page(colors[..., 0] if colors.shape[-1] == 1 else colors, array[..., -1])


def join_alpha(page: Page) -> NDArray[Any]:
    """Return all channels of a page, alpha last."""
    if page.alpha is None:
        return np.ascontiguousarray(page.colors)
    return np.dstack([page.colors, page.alpha])
