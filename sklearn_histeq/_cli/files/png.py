"""PNG: every chunk is kept as it was, except those that hold the pixels.

Pillow reads and writes the pixels, and imagecodecs those of 16 bits in several channels, of which
Pillow keeps 8. The libraries see none of the other chunks, so that none of them can stop a picture.
After the PNG specification (third edition, W3C 2025).
"""

from __future__ import annotations

import importlib.util
import io
import struct
import zlib
from collections import namedtuple
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sklearn_histeq._cli.errors import PictureError
from sklearn_histeq._cli.files import picture
from sklearn_histeq._cli.files.directories import without_preview

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
_CODING = {b"IHDR", b"IDAT", b"IEND", b"iDOT", b"tRNS"}  # of old pixels; a key becomes alpha
_OF_DEPTH = {b"sBIT", b"bKGD"}  # have no meaning for another depth or color type
_OF_PALETTE = {b"PLTE", b"hIST"}  # only suggestions beside colors without a palette
_SAMPLE_ROWS = 64
_NONE, _AVERAGE = 0x08, 0x40  # libpng's numbers of filters

Chunks = list[tuple[bytes, bytes]]


Header = namedtuple("Header", "width height depth color_type compression filter interlace")


def _n_raw(header: Header) -> int:
    """Return how many bytes the filtered rows take, in all passes if it is interlaced."""
    bits, total = header.depth * _N_CHANNELS[header.color_type], 0
    for y, x, dy, dx in _PASSES if header.interlace else [(0, 0, 1, 1)]:
        columns, rows = -((x - header.width) // dx), -((y - header.height) // dy)
        total += rows * (1 + (columns * bits + 7) // 8) if columns else 0
    return total


def read(source: picture.Source) -> picture.Picture:
    """Read a PNG."""
    header = Header(*struct.unpack_from(">IIBBBBB", source.head, 16))
    if header.color_type not in _N_CHANNELS or header[4:6] != (0, 0) or header.interlace > 1:
        raise PictureError("it is damaged: its header has unknown numbers")
    source.check_pixels(header.width, header.height)
    data = source.whole(_n_raw(header))
    chunks = list(_read_chunks(data))
    names = {name for name, _ in chunks}
    if b"acTL" in names:
        raise PictureError("it is an animation, but expected a single picture")
    for name in names - _KEPT - _CODING - _OF_DEPTH - _OF_PALETTE:
        if not name[0] & 32 or not name[3] & 32:
            raise PictureError(f"its chunk {name.decode('latin-1')} cannot be kept; remove it")
    page = _decode(header, chunks)
    rest = data[len(SIGNATURE) + sum(12 + len(content) for _, content in chunks) :]

    def with_pages(pages: list[picture.Page]) -> bytes:
        return _encode(pages[0], header, chunks) + rest

    return picture.Picture("PNG", data, [page], with_pages)


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
        if n_others > picture.METADATA_BYTES or (name != b"IDAT" and length > picture.BLOCK_BYTES):
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


def _decode(header: Header, chunks: Chunks) -> picture.Page:
    """Return the pixels; palettes and fewer bits become 8 bits, a transparent color alpha."""
    n, key = _N_CHANNELS[header.color_type], dict(chunks).get(b"tRNS", b"")
    coded = b"".join(content for name, content in chunks if name == b"IDAT")
    raw = zlib.decompressobj().decompress(coded, _n_raw(header))
    if len(raw) < _n_raw(header):  # which Pillow fills up with black
        what = "it is damaged: its data end early"
        raise PictureError(f"{what}, after {len(raw)} of {_n_raw(header)} bytes")
    needed = {b"IDAT", *((b"PLTE", b"tRNS") if header.color_type == _PALETTE else ())}
    data = _file(header, [chunk for chunk in chunks if chunk[0] in needed])
    array: NDArray[Any]
    if header.depth == 16 and n > 1:
        decode = picture.imagecodecs("a PNG with 16 bits in several channels").png_decode
        array = _decode_passes(header, raw, decode) if header.interlace else decode(data)
    else:
        with Image.open(io.BytesIO(data)) as image:
            plain = {"P": "RGBA" if "transparency" in image.info else "RGB", "1": "L"}
            array = np.asarray(image.convert(plain.get(image.mode, image.mode)))
            array = array.astype(np.uint16) if header.depth == 16 else array
    if key and header.color_type in (_GRAY, _RGB):
        top, largest = np.iinfo(array.dtype).max, 2**header.depth - 1
        # of other bits in the key readers take no notice
        levels = (np.array(struct.unpack(f">{n}H", key)) & largest) * (top // largest)
        is_key = (array.reshape(*array.shape[:2], n) == levels).all(axis=-1)
        return picture.Page(array, np.where(is_key, 0, top).astype(array.dtype))
    return picture.split_alpha(array, array.ndim == 3 and array.shape[-1] in (2, 4))


def _decode_passes(header: Header, raw: bytes, decode: Any) -> NDArray[np.uint16]:
    """Return interlaced pixels, each pass as a picture of its own: libpng warns of interlacing."""
    array = np.empty((header.height, header.width, _N_CHANNELS[header.color_type]), np.uint16)
    for y, x, dy, dx in _PASSES:
        pixels = array[y::dy, x::dx]
        if pixels.size:
            height, width = pixels.shape[:2]
            one = header._replace(width=width, height=height, interlace=0)
            rows, raw = raw[: _n_raw(one)], raw[_n_raw(one) :]
            pixels[...] = decode(_file(one, [(b"IDAT", zlib.compress(rows, 0))]))
    return array


def _file(header: Header, chunks: Chunks) -> bytes:
    """Return a PNG of some chunks, without those that libraries read but pixels do not need."""
    first = (b"IHDR", struct.pack(">IIBBBBB", *header))
    return SIGNATURE + b"".join(_make_chunk(*chunk) for chunk in [first, *chunks, (b"IEND", b"")])


def _encode(page: picture.Page, old: Header, chunks: Chunks) -> bytes:
    """Return the file of a page, with the chunks of the file that it was read from."""
    pixels = picture.join_alpha(page)
    start = max(0, len(pixels) // 2 - _SAMPLE_ROWS // 2)
    sample = pixels[start : start + _SAMPLE_ROWS]
    as_photograph, as_drawing = (len(_save(sample, how)) for how in (True, False))
    (_, content), *coded = _read_chunks(_save(pixels, as_photograph <= 1.1 * as_drawing))
    new = Header(*struct.unpack(">IIBBBBB", content))
    dropped = _CODING | (_OF_PALETTE if old.color_type == _PALETTE else set())
    if (old.depth, old.color_type) != (new.depth, new.color_type):
        dropped |= _OF_DEPTH
    coded = [chunk for chunk in coded if chunk[0] == b"IDAT"]
    found: Chunks = []
    for name, content in chunks:
        if name == b"IDAT" and coded:  # the new ones where the first stood
            found, coded = found + coded, []
        elif name not in dropped:
            found.append((name, without_preview(content) if name == b"eXIf" else content))
    return _file(new, found)


def _save(pixels: NDArray[Any], as_photograph: bool) -> bytes:
    """Return a PNG of pixels.

    Filtered photographs hardly repeat, so that only runs are searched; a drawing is full of
    repetitions. imagecodecs writes the same in less time (benchmarks/bench_pictures.py).
    """
    strategy = zlib.Z_RLE if as_photograph else zlib.Z_DEFAULT_STRATEGY
    is_deep = pixels.ndim == 3 and pixels.itemsize == 2
    if is_deep or importlib.util.find_spec("imagecodecs"):
        codec = picture.imagecodecs("a PNG with 16 bits in several channels")
        kind = _AVERAGE if as_photograph else _NONE
        return bytes(codec.png_encode(pixels, level=6, strategy=strategy, filter=kind))
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", compress_type=strategy)
    return file.getvalue()
