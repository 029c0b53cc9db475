"""What all formats share: a picture's pixels, what is said of it, and how much of it is read."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sklearn_histeq._cli.errors import PictureError

BLOCK_BYTES = 2**24  # the most that a single block of metadata takes
METADATA_BYTES = 2**26  # the most that everything but the pixels takes
# 8 by 8 pixels take a bit at least in JPEG. Lossless WebP has no such limit for pixels that are
# all alike, but its decoder takes memory for all that a damaged header promises.
_PIXELS_PER_BYTE, _FEW_PIXELS = 512, 2**24
Data = bytes | bytearray  # of a file


class Page(NamedTuple):
    """The pixels of a picture, or of one of several pages."""

    colors: NDArray[Any]  # (h, w) or (h, w, n_channels)
    alpha: NDArray[Any] | None = None  # (h, w)
    nodata: float | None = None  # the value of pixels that are missing
    top: int | None = None  # the value of white, if it is not the largest of the type


@dataclass
class Picture:
    """A picture that was read."""

    format: str
    data: bytes  # of the file
    pages: list[Page]
    # returns the file with other pixels, and everything else as it was
    with_pages: Callable[[list[Page]], Data]

    @property
    def n_bytes(self) -> int:
        """Bytes of its colors."""
        return sum(page.colors.nbytes for page in self.pages)


@dataclass
class Source:
    """An open file, of which a reader takes no more than its pixels need."""

    file: BinaryIO
    head: bytes  # its first bytes
    n_bytes: int
    max_pixels: int

    def check_pixels(self, width: int, height: int, n_channels: int = 1) -> None:
        """Refuse more pixels than are allowed; more than four channels count as more pixels."""
        if width < 1 or height < 1:
            raise PictureError("it has no pixels")
        n_pixels = width * height * max(4, n_channels) // 4
        if n_pixels > self.max_pixels:
            what = f"it has {n_pixels} pixels, but at most {self.max_pixels} are read"
            raise PictureError(f"{what}; give --max-pixels {n_pixels} if you trust its source")

    def whole_by_pillow(self, *formats: str) -> bytes:
        """Return the file of a picture whose size Pillow reads from its start."""
        self.file.seek(0)
        start = io.BytesIO(self.file.read(METADATA_BYTES))
        with Image.open(start, formats=formats) as image:
            self.check_pixels(*image.size)
            n_pixels = image.width * image.height
        if n_pixels > _FEW_PIXELS + _PIXELS_PER_BYTE * self.n_bytes:
            raise PictureError(f"its {self.n_bytes} bytes are too few for {n_pixels} pixels")
        return self.whole(4 * n_pixels)

    def whole(self, n_decoded: int) -> bytes:
        """Return the file, if it is no larger than its decoded pixels and metadata explain."""
        if self.n_bytes > 2 * n_decoded + METADATA_BYTES:
            raise PictureError(f"its {self.n_bytes} bytes are far more than its pixels take")
        self.file.seek(0)
        return self.file.read(self.n_bytes)


def imagecodecs(what: str) -> Any:
    """Return the package that decodes and encodes something, or say how to install it."""
    try:
        import imagecodecs
    except ImportError as e:
        raise PictureError(f'{what} needs imagecodecs: pip install "sklearn-histeq[files]"') from e
    return imagecodecs


def largest(dtype: np.dtype[Any]) -> int:
    """Return the value of white in a type."""
    return int(np.iinfo(dtype).max) if dtype.kind in "iu" else 1


def rescale(values: NDArray[Any], dtype: np.dtype[Any], top: int | None = None) -> NDArray[Any]:
    """Convert values to the range of another type, which is 0 to 1 for floats."""
    if values.dtype == dtype and top is None:
        return values
    scaled = values * (largest(dtype) / (top or largest(values.dtype)))
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
