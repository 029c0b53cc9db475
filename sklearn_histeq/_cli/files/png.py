"""PNG: every chunk is kept as it was, except those that hold the pixels.

Pillow reads the pixels, but for 16 bits in several channels, of which it keeps 8. They are written
here: Pillow takes ten times as long for files of the same size. After the PNG specification (third
edition, W3C 2025).
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sklearn_histeq._cli.errors import PictureError
from sklearn_histeq._cli.files import exif
from sklearn_histeq._cli.files.picture import (
    Metadata,
    Page,
    Picture,
    join_alpha,
    split_alpha,
)

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GRAY, _RGB, _PALETTE, _GRAY_ALPHA, _RGB_ALPHA = 0, 2, 3, 4, 6  # PNG's color types
_N_CHANNELS = {_GRAY: 1, _RGB: 3, _PALETTE: 1, _GRAY_ALPHA: 2, _RGB_ALPHA: 4}
_AVERAGE = 3  # the filter that is written for photographs
_XMP = b"XML:com.adobe.xmp\0"

# By the specification a program copies unknown chunks only if their last letter is small. These
# others stay right when the pixels are equalized (the suggested palette is only a suggestion).
_KEPT = {b"cHRM", b"gAMA", b"iCCP", b"sRGB", b"cICP", b"mDCV", b"cLLI", b"sPLT", b"tIME", b"sTER"}
_KEPT |= {b"caBX"}  # signed credentials: that they do not fit any more is their purpose
_CHANGED = {b"sBIT", b"bKGD", b"PLTE", b"tRNS", b"hIST", b"iDOT"}
_SAMPLE_ROWS = 64


class Header(NamedTuple):
    """The contents of IHDR."""

    width: int
    height: int
    depth: int
    color_type: int
    compression: int = 0
    filter: int = 0
    interlace: int = 0

    def chunk(self) -> bytes:
        """Return the chunk."""
        return make_chunk(b"IHDR", struct.pack(">IIBBBBB", *self))


def read(data: bytes) -> Picture:
    """Read a PNG."""
    chunks = list(read_chunks(data))
    names = {name for name, _ in chunks}
    if b"acTL" in names:
        raise PictureError("it is an animation, but expected a single picture")
    for name in names - _KEPT - _CHANGED - {b"IHDR", b"IDAT", b"IEND"}:
        if not name[0] & 32 or not name[3] & 32:
            kind = name.decode("latin-1")
            raise PictureError(f"its chunk {kind} cannot be kept with other pixels; remove it")
    header = Header(*struct.unpack(">IIBBBBB", chunks[0][1]))
    contents = dict(chunks)
    page = _decode(data, header, chunks, contents.get(b"tRNS"))
    rest = data[len(SIGNATURE) + sum(12 + len(content) for _, content in chunks) :]

    def with_pages(pages: list[Page]) -> bytes:
        (changed,) = pages
        return _encode(changed, header, chunks) + rest

    return Picture("PNG", [page], _metadata(chunks), with_pages)


def encode(page: Page, metadata: Metadata) -> bytes:
    """Return a new PNG."""
    chunks = [(b"IHDR", b"")]
    if metadata.icc is not None:
        chunks.append((b"iCCP", b"ICC profile\0\0" + zlib.compress(metadata.icc)))
    if metadata.dpi is not None:
        across, down = (round(dpi / 0.0254) for dpi in metadata.dpi)
        chunks.append((b"pHYs", struct.pack(">IIB", across, down, 1)))
    if metadata.exif is not None:
        chunks.append((b"eXIf", metadata.exif.removeprefix(exif.PREFIX)))
    if metadata.xmp is not None:
        chunks.append((b"iTXt", _XMP + bytes(4) + metadata.xmp))
    return _encode(page, None, [*chunks, (b"IDAT", b""), (b"IEND", b"")])


def read_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the names and contents of a file's chunks; raise PictureError if one is damaged."""
    place, name = len(SIGNATURE), b""
    while name != b"IEND":
        if len(data) < place + 12:
            raise PictureError("it is damaged: the file is cut short")
        length, name = struct.unpack_from(">I4s", data, place)
        end = place + 8 + length
        content = data[place + 8 : end]
        if len(data) < end + 4:
            raise PictureError("it is damaged: the file is cut short")
        if data[end : end + 4] != struct.pack(">I", zlib.crc32(name + content)):
            raise PictureError("it is damaged: a checksum is wrong")
        yield name, content
        place = end + 4


def make_chunk(name: bytes, content: bytes) -> bytes:
    """Return one chunk."""
    check = zlib.crc32(name + content)
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", check)


def _metadata(chunks: list[tuple[bytes, bytes]]) -> Metadata:
    """Return what other formats may keep."""
    found = Metadata()
    for name, content in chunks:
        if name == b"iCCP":
            found.icc = zlib.decompress(content[content.index(b"\0") + 2 :])
        elif name == b"eXIf":
            found.exif = exif.PREFIX + exif.without_preview(content)
        elif name == b"pHYs" and content[8] == 1:
            across, down = struct.unpack(">II", content[:8])
            found.dpi = across * 0.0254, down * 0.0254
        elif name == b"iTXt" and content.startswith(_XMP) and not content[len(_XMP)]:
            found.xmp = content[len(_XMP) + 2 :].split(b"\0", 2)[2]
        elif name in (b"tEXt", b"zTXt", b"iTXt"):
            found.others.append("text")
    return found


# Pixels -------------------------------------------------------------------------------------------


def _decode(
    data: bytes, header: Header, chunks: list[tuple[bytes, bytes]], key: bytes | None
) -> Page:
    """Return the pixels; palettes and fewer bits become 8 bits, a transparent color alpha."""
    if header.depth == 16 and header.color_type != _GRAY:
        array: NDArray[Any] = _decode_deep(header, chunks)
    else:
        array = _decode_by_pillow(data, header)
    if key is not None and header.color_type in (_GRAY, _RGB):
        top = np.iinfo(array.dtype).max
        levels = np.array(struct.unpack(f">{len(key) // 2}H", key)) * top // (2**header.depth - 1)
        is_key = (array.reshape(*array.shape[:2], -1) == levels).all(axis=-1)
        return Page(array, np.where(is_key, 0, top).astype(array.dtype))
    n_channels = 1 if array.ndim == 2 else array.shape[-1]
    return split_alpha(array, n_channels in (2, 4))


def _decode_by_pillow(data: bytes, header: Header) -> NDArray[Any]:
    """Return the pixels of what Pillow reads without losing bits."""
    with Image.open(io.BytesIO(data)) as image:
        if header.color_type == _PALETTE:
            return np.asarray(image.convert("RGBA" if "transparency" in image.info else "RGB"))
        if header.depth == 16:
            return np.asarray(image).astype(np.uint16)
        return np.asarray(image.convert("L") if header.color_type == _GRAY else image)


def _encode(page: Page, old: Header | None, chunks: list[tuple[bytes, bytes]]) -> bytes:
    """Return the file of a page, with the chunks of the file that it was read from."""
    pixels = join_alpha(page)
    n_channels = 1 if pixels.ndim == 2 else pixels.shape[-1]
    color_type = {1: _GRAY, 2: _GRAY_ALPHA, 3: _RGB, 4: _RGB_ALPHA}[n_channels]
    height, width = pixels.shape[:2]
    new = Header(width, height, 8 * pixels.itemsize, color_type)
    contents, parts, is_written = dict(chunks), [SIGNATURE], False
    for name, content in chunks:
        if name == b"IHDR":
            parts.append(new.chunk())
        elif name == b"IDAT":
            if not is_written:
                parts.append(make_chunk(b"IDAT", _compress(pixels)))
            is_written = True
        elif name == b"eXIf":
            parts.append(make_chunk(name, exif.without_preview(content)))
        elif name not in _CHANGED or old is None:
            parts.append(make_chunk(name, content))
        else:
            parts += _adapt(name, content, old, new, contents.get(b"PLTE", b""))
    return b"".join(parts)


def _adapt(name: bytes, content: bytes, old: Header, new: Header, palette: bytes) -> list[bytes]:
    """Return a chunk that depends on depth and color type, as it is for the new ones."""
    is_palette = old.color_type == _PALETTE
    if name in (b"PLTE", b"hIST"):  # beside colors without a palette they are suggestions
        return [] if is_palette else [make_chunk(name, content)]
    if name == b"sBIT":
        bits = [min(bit, new.depth) for bit in content]
        bits += [new.depth] * (_N_CHANNELS[new.color_type] - len(bits))
        return [make_chunk(name, bytes(bits))]
    if name == b"bKGD":
        if is_palette:
            levels, top = list(palette[3 * content[0] : 3 * content[0] + 3]), 255
        else:
            levels = list(struct.unpack(f">{len(content) // 2}H", content))
            top = 2**old.depth - 1
        scaled = [round(level * (2**new.depth - 1) / top) for level in levels]
        return [make_chunk(name, struct.pack(f">{len(scaled)}H", *scaled))]
    return []  # tRNS has become alpha, iDOT told where the old pixels are


def _compress(pixels: NDArray[Any]) -> bytes:
    """Filter and compress rows, as photographs or as drawings, whichever suits some of them.

    In a photograph differences from the average of neighbors hardly ever repeat, and searching for
    repetitions takes ten times as long for files of the same size. A drawing is full of them.
    """
    start = max(0, len(pixels) // 2 - _SAMPLE_ROWS // 2)
    sample = pixels[start : start + _SAMPLE_ROWS]
    as_photograph = len(_deflate(_filtered(sample, True), zlib.Z_RLE))
    as_drawing = len(_deflate(_filtered(sample, False), zlib.Z_DEFAULT_STRATEGY))
    if as_photograph <= 1.1 * as_drawing:
        return _deflate(_filtered(pixels, True), zlib.Z_RLE)
    return _deflate(_filtered(pixels, False), zlib.Z_DEFAULT_STRATEGY)


def _deflate(rows: NDArray[np.uint8], strategy: int) -> bytes:
    """Compress; other threads run meanwhile."""
    compressor = zlib.compressobj(6, zlib.DEFLATED, 15, 9, strategy)
    return compressor.compress(rows.data) + compressor.flush()


def _filtered(pixels: NDArray[Any], by_average: bool) -> NDArray[np.uint8]:
    """Return the rows of a file, each after the number of its filter."""
    if pixels.itemsize == 2:
        pixels = pixels.astype(">u2")
    height = len(pixels)
    raw = np.ascontiguousarray(pixels).view(np.uint8).reshape(height, -1)
    rows = np.zeros((height, 1 + raw.shape[1]), np.uint8)
    if not by_average:
        rows[:, 1:] = raw
        return rows
    n_bytes = raw.shape[1] // pixels.shape[1]  # per pixel
    rows[:, 0] = _AVERAGE
    rows[0, 1:] = raw[0]
    rows[0, 1 + n_bytes :] -= raw[0, :-n_bytes] >> 1
    above = raw[:-1]
    rows[1:, 1 : 1 + n_bytes] = raw[1:, :n_bytes] - (above[:, :n_bytes] >> 1)
    left, up = raw[1:, :-n_bytes], above[:, n_bytes:]
    average = (left >> 1) + (up >> 1) + (left & up & 1)  # without overflow
    np.subtract(raw[1:, n_bytes:], average, out=rows[1:, 1 + n_bytes :])
    return rows


# 16 bits in several channels ----------------------------------------------------------------------


def _decode_deep(header: Header, chunks: list[tuple[bytes, bytes]]) -> NDArray[np.uint16]:
    """Return the pixels (h, w, n_channels) of a PNG with 16 bits in several channels."""
    if header.interlace:
        raise PictureError("it is interlaced with 16 bits; save it without interlacing")
    height, width, n_bytes = header.height, header.width, 2 * _N_CHANNELS[header.color_type]
    packed = b"".join(content for name, content in chunks if name == b"IDAT")
    raw = zlib.decompressobj().decompress(packed, height * (1 + width * n_bytes))
    rows = np.frombuffer(raw, np.uint8).reshape(height, 1 + width * n_bytes)
    pixels = rows[:, 1:].reshape(height, width, n_bytes).copy()
    unfilter(rows[:, 0], pixels)
    return pixels.view(">u2").astype(np.uint16)


def unfilter(filters: NDArray[np.uint8], pixels: NDArray[np.uint8]) -> None:
    """Undo the filter of each row, in place.

    A pixel is predicted from its left, upper and upper left neighbors, so the pixels of a diagonal
    from the lower left to the upper right do not depend on each other. They are computed at once.
    """
    height, width, n_bytes = pixels.shape
    # the last two diagonals, with row y at y + 1, and 0 outside the picture
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
    """Return the neighbor nearest to left + up - corner."""
    to_left, to_up = np.abs(up - corner), np.abs(left - corner)
    to_corner = np.abs(left + up - 2 * corner)
    others = np.where(to_up <= to_corner, up, corner)
    return np.where((to_left <= to_up) & (to_left <= to_corner), left, others)
