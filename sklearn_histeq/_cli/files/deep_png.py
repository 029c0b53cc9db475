"""PNG with 16 bits in more than one channel, which Pillow can only read and write with 8.

Written from the PNG specification (third edition, W3C 2025): chunks, deflate, and the five filters.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sklearn_histeq._cli.errors import PictureError

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHANNELS = {2: 3, 4: 2, 6: 4}  # by PNG's colour type: RGB, gray with alpha, RGBA
_UP = 2  # the filter that is written


def is_deep(start: bytes) -> bool:
    """Tell by a file's first 26 bytes whether it is such a PNG."""
    return start[:8] == _SIGNATURE and start[24] == 16 and start[25] in _CHANNELS


def decode(data: bytes) -> NDArray[np.uint16]:
    """Return the pixels (h, w, n_channels) of such a PNG."""
    chunks = list(_chunks(data))
    width, height, _, kind, _, _, interlace = struct.unpack(">IIBBBBB", chunks[0][1])
    if interlace:
        raise PictureError("an interlaced PNG of 16 bits in colour; save it without interlacing")
    n_bytes = 2 * _CHANNELS[kind]
    packed = b"".join(content for name, content in chunks if name == b"IDAT")
    rows = np.frombuffer(zlib.decompress(packed), np.uint8).reshape(height, 1 + width * n_bytes)
    pixels = rows[:, 1:].reshape(height, width, n_bytes).copy()
    _unfilter(rows[:, 0], pixels)
    return pixels.view(">u2").astype(np.uint16)


def encode(pixels: NDArray[np.uint16], extras: dict[str, Any]) -> bytes:
    """Return the file of pixels (h, w, n_channels), with what Pillow would save beside them."""
    height, width, n_channels = pixels.shape
    kind = next(kind for kind, n in _CHANNELS.items() if n == n_channels)
    raw = pixels.astype(">u2", order="C").view(np.uint8).reshape(height, -1)
    rows = np.full((height, 1 + raw.shape[1]), _UP, np.uint8)
    rows[:, 1:] = np.diff(raw, axis=0, prepend=np.uint8(0))  # modulo 256
    header = struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0)
    packed = zlib.compress(rows.tobytes())
    chunks = [(b"IHDR", header), *_ancillary(extras), (b"IDAT", packed), (b"IEND", b"")]
    return _SIGNATURE + b"".join(_chunk(name, content) for name, content in chunks)


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Return the names and contents of a file's chunks, which must be whole."""
    place, name = len(_SIGNATURE), b""
    while name != b"IEND":
        if len(data) < place + 12:
            raise PictureError("damaged: the file is cut short")
        length, name = struct.unpack_from(">I4s", data, place)
        end = place + 8 + length
        content = data[place + 8 : end]
        if data[end : end + 4] != struct.pack(">I", zlib.crc32(name + content)):
            raise PictureError("damaged: a checksum is wrong")
        yield name, content
        place = end + 4


def _chunk(name: bytes, content: bytes) -> bytes:
    """Return one chunk."""
    check = zlib.crc32(name + content)
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", check)


def _ancillary(extras: dict[str, Any]) -> Iterator[tuple[bytes, bytes]]:
    """Return the chunks of colour profile, resolution and EXIF."""
    if "icc_profile" in extras:
        yield b"iCCP", b"ICC Profile\0\0" + zlib.compress(extras["icc_profile"])
    if "dpi" in extras:
        across, down = (round(float(dpi) / 0.0254) for dpi in extras["dpi"])
        yield b"pHYs", struct.pack(">IIB", across, down, 1)
    if "exif" in extras:
        yield b"eXIf", extras["exif"].removeprefix(b"Exif\0\0")


def _unfilter(filters: NDArray[np.uint8], pixels: NDArray[np.uint8]) -> None:
    """Undo the filter of each row, in place.

    A pixel is predicted from its left, upper and upper left neighbours, so that those of one
    diagonal, from the lower left to the upper right, do not depend on each other: they are done at
    once.
    """
    height, width, n_bytes = pixels.shape
    # the last two diagonals, row y at y + 1; 0 outside the picture
    last, before = np.zeros((2, height + 1, n_bytes), np.int16)
    for k in range(height + width - 1):
        low, high = max(0, k - width + 1), min(height, k + 1)
        rows = np.arange(low, high)
        left, up, corner = last[low + 1 : high + 1], last[low:high], before[low:high]
        choices = [np.int16(0), left, up, (left + up) >> 1, _paeth(left, up, corner)]
        predicted = np.choose(filters[low:high, np.newaxis], choices)
        values = (pixels[rows, k - rows] + predicted) & 255
        pixels[rows, k - rows] = values
        last, before = before, last
        last[:] = 0
        last[low + 1 : high + 1] = values


def _paeth(
    left: NDArray[np.int16], up: NDArray[np.int16], corner: NDArray[np.int16]
) -> NDArray[np.int16]:
    """Return the neighbour nearest to left + up - corner."""
    to_left, to_up = np.abs(up - corner), np.abs(left - corner)
    to_corner = np.abs(left + up - 2 * corner)
    others = np.where(to_up <= to_corner, up, corner)
    return np.where((to_left <= to_up) & (to_left <= to_corner), left, others)
