"""The segments of a TIFF page, its strips or tiles: how samples are arranged and compressed."""

from __future__ import annotations

import io
import lzma
import zlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sklearn_histeq._cli.files.tiff_directories import (
    LONG,
    Directory,
    Layout,
    read_layout,
    write_layout,
)

NONE, LZW, PACKBITS, LZMA = 1, 5, 32773, 34925
DEFLATE = (8, 32946)
COMPRESSIONS = (NONE, LZW, PACKBITS, LZMA, *DEFLATE)
BY_PILLOW = {LZW: "tiff_lzw", PACKBITS: "packbits"}  # neither tifffile nor Python writes these
HORIZONTAL = 2  # the predictor


class Arrangement(NamedTuple):
    """How the samples of a page are arranged in its segments."""

    dtype: np.dtype[Any]  # in the byte order of the file
    shape: tuple[int, int, int]  # rows, columns, samples
    segment: tuple[int, int]  # rows and columns of a strip or tile
    is_tiled: bool
    is_planar: bool
    compression: int
    predictor: int

    def parts(self) -> Iterator[tuple[int, int, slice]]:
        """Yield the first row, the first column and the samples of each segment."""
        n = self.shape[2]
        for samples in [slice(k, k + 1) for k in range(n)] if self.is_planar else [slice(0, n)]:
            for row in range(0, self.shape[0], self.segment[0]):
                for column in range(0, self.shape[1], self.segment[1]):
                    yield row, column, samples


def encode_segments(how: Arrangement, pixels: NDArray[Any]) -> Iterator[bytes]:
    """Yield the strips or tiles of a page; tiles at the edges are filled up."""
    rows, columns = how.segment
    for row, column, samples in how.parts():
        part = pixels[row : row + rows, column : column + columns, samples]
        if how.is_tiled:
            missing = [(0, rows - part.shape[0]), (0, columns - part.shape[1]), (0, 0)]
            part = np.pad(part, missing, mode="edge")
        if how.predictor == HORIZONTAL and how.compression not in (NONE, PACKBITS):
            bits = part.view(f"u{part.itemsize}")
            part = np.concatenate([bits[:, :1], np.diff(bits, axis=1)], axis=1).view(part.dtype)
        yield _compress(part.astype(how.dtype).tobytes(), how.compression)


def _compress(data: bytes, compression: int) -> bytes:
    """Compress a segment."""
    if compression in DEFLATE:
        return zlib.compress(data)
    if compression == LZMA:
        return lzma.compress(data)
    if compression in BY_PILLOW:
        return _compress_by_pillow(data, compression)
    return data


# LZW and PackBits by Pillow -----------------------------------------------------------------------
#
# Both compress bytes, whatever these are, so that any segment can pass for a gray picture of 8 bits
# in one row.


def _compress_by_pillow(data: bytes, compression: int) -> bytes:
    """Compress bytes as LZW or PackBits."""
    file = io.BytesIO()
    image = Image.frombytes("L", (len(data), 1), data)
    image.save(file, "TIFF", compression=BY_PILLOW[compression])
    segments = read_layout(file.getvalue()).directories[0].segments
    assert segments is not None
    return b"".join(segments)


def decompress_by_pillow(data: bytes, compression: int, n_bytes: int) -> bytes:
    """Undo LZW or PackBits."""
    layout = Layout()
    # width, rows, bits, compression, black is zero, samples, rows per strip
    numbers = {256: n_bytes, 257: 1, 258: 8, 259: compression}
    numbers |= {262: 1, 277: 1, 278: 1}
    entries = {tag: layout.entry(LONG, value) for tag, value in numbers.items()}
    layout.directories.append(Directory(entries, segments=[data]))
    with Image.open(io.BytesIO(write_layout(layout))) as image:
        return image.tobytes()
