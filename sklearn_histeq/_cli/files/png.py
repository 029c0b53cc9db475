"""PNG: every chunk is kept as it was, except those that hold the pixels.

Pillow reads and writes the pixels, and imagecodecs those of 16 bits in several channels, of which
Pillow keeps 8. The libraries see none of the other chunks, so that none of them can stop a picture.
After the PNG specification (third edition, W3C 2025).
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
    BLOCK_BYTES,
    METADATA_BYTES,
    Page,
    Picture,
    Source,
    imagecodecs,
    join_alpha,
    split_alpha,
)

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GRAY, _RGB, _PALETTE, _GRAY_ALPHA, _RGB_ALPHA = 0, 2, 3, 4, 6  # PNG's color types
_N_CHANNELS = {_GRAY: 1, _RGB: 3, _PALETTE: 1, _GRAY_ALPHA: 2, _RGB_ALPHA: 4}
# first row and column of the passes of an interlaced picture, and their distances
_PASSES = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2)]
_PASSES += [(1, 0, 2, 1)]

# By the specification a program copies unknown chunks only if their last letter is small. These
# others stay right when the pixels are equalized (the suggested palette is only a suggestion).
_KEPT = {b"cHRM", b"gAMA", b"iCCP", b"sRGB", b"cICP", b"mDCV", b"cLLI", b"sPLT", b"tIME", b"sTER"}
_KEPT |= {b"caBX"}  # signed credentials: that they do not fit any more is their purpose
_CHANGED = {b"sBIT", b"bKGD", b"PLTE", b"tRNS", b"hIST", b"iDOT"}
_SAMPLE_ROWS = 64
_NONE, _AVERAGE = 0x08, 0x40  # libpng's numbers of filters

Chunks = list[tuple[bytes, bytes]]


class Header(NamedTuple):
    """The contents of IHDR."""

    width: int
    height: int
    depth: int
    color_type: int
    compression: int = 0
    filter: int = 0
    interlace: int = 0

    def passes(self) -> Iterator[tuple[int, int, int, int, Header, int]]:
        """Yield where the pixels of each pass are, its own header, and the bytes of its rows."""
        for y, x, dy, dx in _PASSES if self.interlace else [(0, 0, 1, 1)]:
            columns, rows = -((x - self.width) // dx), -((y - self.height) // dy)
            n_bytes = (columns * self.depth * _N_CHANNELS[self.color_type] + 7) // 8
            if columns > 0 and rows > 0:
                own = self._replace(width=columns, height=rows, interlace=0)
                yield y, x, dy, dx, own, rows * (1 + n_bytes)


def read(source: Source) -> Picture:
    """Read a PNG."""
    header = Header(*struct.unpack_from(">IIBBBBB", source.head, 16))
    if header.color_type not in _N_CHANNELS or header[4:6] != (0, 0) or header.interlace > 1:
        raise PictureError("it is damaged: its header has unknown numbers")
    source.check_pixels(header.width, header.height)
    data = source.whole(sum(n_bytes for *_, n_bytes in header.passes()))
    chunks = list(_read_chunks(data))
    names = {name for name, _ in chunks}
    if b"acTL" in names:
        raise PictureError("it is an animation, but expected a single picture")
    for name in names - _KEPT - _CHANGED - {b"IHDR", b"IDAT", b"IEND"}:
        if not name[0] & 32 or not name[3] & 32:
            kind = name.decode("latin-1")
            raise PictureError(f"its chunk {kind} cannot be kept with other pixels; remove it")
    page = _decode(header, chunks)
    rest = data[len(SIGNATURE) + sum(12 + len(content) for _, content in chunks) :]

    def with_pages(pages: list[Page]) -> bytes:
        (changed,) = pages
        return _encode(changed, header, chunks) + rest

    return Picture("PNG", data, [page], with_pages)


def _read_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the names and contents of a file's chunks; raise PictureError if one is damaged."""
    place, name, n_chunks, n_others = len(SIGNATURE), b"", 0, 0
    while name != b"IEND":
        length, name = struct.unpack_from(">I4s", data.ljust(place + 8, b"\0"), place)
        end = place + 8 + length
        if len(data) < end + 4:
            raise PictureError("it is damaged: the file is cut short")
        content = data[place + 8 : end]
        if data[end : end + 4] != struct.pack(">I", zlib.crc32(name + content)):
            raise PictureError("it is damaged: a checksum is wrong")
        n_chunks += 1
        n_others += 0 if name == b"IDAT" else length
        if n_others > METADATA_BYTES or (name != b"IDAT" and length > BLOCK_BYTES):
            raise PictureError(f"its chunk {name.decode('latin-1')} is too large")
        if n_chunks > 4096 + len(data) // 256:
            raise PictureError("it consists of too many chunks")
        yield name, content
        place = end + 4


def _make_chunk(name: bytes, content: bytes) -> bytes:
    """Return one chunk."""
    check = zlib.crc32(name + content)
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", check)


# Pixels -------------------------------------------------------------------------------------------


def _decode(header: Header, chunks: Chunks) -> Page:
    """Return the pixels; palettes and fewer bits become 8 bits, a transparent color alpha."""
    raw = _inflated(header, [content for name, content in chunks if name == b"IDAT"])
    n, codec = _N_CHANNELS[header.color_type], _codec(header.depth == 16 and header.color_type > 0)
    array: NDArray[Any]
    if codec is not None and header.depth >= 8 and header.color_type != _PALETTE:
        place, array = 0, np.zeros((header.height, header.width, n), f"u{header.depth // 8}")
        for y, x, dy, dx, own, n_bytes in header.passes():
            rows = zlib.compress(raw[place : place + n_bytes], 0)
            part = codec.png_decode(_file(own, [(b"IDAT", rows)]))
            array[y::dy, x::dx] = part.reshape(own.height, own.width, n)
            place += n_bytes
        array = array[..., 0] if n == 1 else array
    else:
        needed = (b"PLTE", b"tRNS", b"IDAT") if header.color_type == _PALETTE else (b"IDAT",)
        data = _file(header, [chunk for chunk in chunks if chunk[0] in needed])
        with Image.open(io.BytesIO(data)) as image:
            if header.color_type == _PALETTE:
                array = np.asarray(image.convert("RGBA" if "transparency" in image.info else "RGB"))
            elif header.depth == 16:
                array = np.asarray(image).astype(np.uint16)
            else:
                array = np.asarray(image.convert("L") if header.color_type == _GRAY else image)
    key = dict(chunks).get(b"tRNS", b"")
    if key and header.color_type in (_GRAY, _RGB):
        top = np.iinfo(array.dtype).max
        largest = 2**header.depth - 1  # of other bits in the key readers take no notice
        levels = (np.array(struct.unpack(f">{n}H", key)) & largest) * top // largest
        is_key = (array.reshape(*array.shape[:2], n) == levels).all(axis=-1)
        return Page(array, np.where(is_key, 0, top).astype(array.dtype))
    return split_alpha(array, array.ndim == 3 and array.shape[-1] in (2, 4))


def _codec(is_needed: bool) -> Any:
    """Return imagecodecs, or None if it is missing and Pillow will do."""
    try:
        return imagecodecs("a PNG with 16 bits in several channels")
    except PictureError:
        if is_needed:
            raise
    return None


def _file(header: Header, chunks: Chunks) -> bytes:
    """Return a PNG of some chunks, without those that libraries read but pixels do not need."""
    first = (b"IHDR", struct.pack(">IIBBBBB", *header))
    return SIGNATURE + b"".join(_make_chunk(*chunk) for chunk in [first, *chunks, (b"IEND", b"")])


def _inflated(header: Header, parts: list[bytes]) -> bytes:
    """Return the filtered rows; refuse data that end early, which Pillow fills up with black."""
    expected = sum(n_bytes for *_, n_bytes in header.passes())
    inflate, raw = zlib.decompressobj(), bytearray()
    for part in parts:
        for start in range(0, len(part), 2**16):
            rest = part[start : start + 2**16]
            while rest and len(raw) < expected:
                raw += inflate.decompress(rest, 2**22)
                rest = inflate.unconsumed_tail
    if len(raw) < expected:
        raise PictureError(
            f"it is damaged: its data end early, after {len(raw)} of {expected} bytes"
        )
    return bytes(raw)


def _encode(page: Page, old: Header, chunks: Chunks) -> bytes:
    """Return the file of a page, with the chunks of the file that it was read from."""
    pixels = join_alpha(page)
    start = max(0, len(pixels) // 2 - _SAMPLE_ROWS // 2)
    sample = pixels[start : start + _SAMPLE_ROWS]
    as_photograph, as_drawing = (len(_save(sample, how)) for how in (True, False))
    saved = _save(pixels, as_photograph <= 1.1 * as_drawing)
    coded = list(_read_chunks(saved))
    new = Header(*struct.unpack(">IIBBBBB", coded[0][1]))
    contents, parts, is_written = dict(chunks), [SIGNATURE], False
    for name, content in chunks:
        if name == b"IHDR":
            parts.append(_make_chunk(*coded[0]))
        elif name == b"IDAT":
            if not is_written:
                parts += [_make_chunk(*chunk) for chunk in coded if chunk[0] == b"IDAT"]
            is_written = True
        elif name == b"eXIf":
            parts.append(_make_chunk(name, exif.without_preview(content)))
        elif name not in _CHANGED:
            parts.append(_make_chunk(name, content))
        else:
            adapted = _adapted(name, content, old, new, contents.get(b"PLTE", b""))
            parts += [] if adapted is None else [_make_chunk(name, adapted)]
    return b"".join(parts)


def _save(pixels: NDArray[Any], as_photograph: bool) -> bytes:
    """Return a PNG of pixels.

    Filtered photographs hardly repeat, so that only runs are searched; a drawing is full of
    repetitions. imagecodecs writes the same in less time (benchmarks/bench_pictures.py).
    """
    strategy = zlib.Z_RLE if as_photograph else zlib.Z_DEFAULT_STRATEGY
    codec = _codec(pixels.ndim == 3 and pixels.itemsize == 2)
    if codec is not None:
        kind = _AVERAGE if as_photograph else _NONE
        return bytes(codec.png_encode(pixels, level=6, strategy=strategy, filter=kind))
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", compress_type=strategy)
    return file.getvalue()


def _adapted(name: bytes, content: bytes, old: Header, new: Header, palette: bytes) -> bytes | None:
    """Return the content of a chunk for another depth and color type, or None to drop it."""
    is_palette = old.color_type == _PALETTE
    is_same = (old.depth, old.color_type) == (new.depth, new.color_type)
    if name in (b"PLTE", b"hIST"):  # beside colors without a palette they are suggestions
        return None if is_palette else content
    if name in (b"tRNS", b"iDOT"):  # has become alpha; told where the old pixels are
        return None
    if is_same:
        return content
    if name == b"sBIT":
        bits = [min(bit, new.depth) for bit in content]
        return bytes(bits + [new.depth] * (_N_CHANNELS[new.color_type] - len(bits)))
    if is_palette:
        levels, top = [*palette[3 * content[0] : 3 * content[0] + 3]] if content else [], 255
    else:
        top = 2**old.depth - 1
        levels = [*struct.unpack(f">{len(content) // 2}H", content[: len(content) // 2 * 2])]
    n_levels = 1 if new.color_type in (_GRAY, _GRAY_ALPHA) else 3
    if len(levels) != n_levels or max(levels) > top:
        return None  # names no color, so that readers ignore it
    return struct.pack(f">{n_levels}H", *(round(v * (2**new.depth - 1) / top) for v in levels))
