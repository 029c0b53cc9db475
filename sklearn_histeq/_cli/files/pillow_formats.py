"""BMP and WebP, which Pillow reads and writes; what it would lose is refused."""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
from PIL import Image

from sklearn_histeq._cli.errors import PictureError
from sklearn_histeq._cli.files import exif
from sklearn_histeq._cli.files.picture import (
    BLOCK_BYTES,
    Page,
    Picture,
    Source,
    join_alpha,
    split_alpha,
)

WEBP_QUALITY = 95
_LARGE = 2**25
_WEBP_CHUNKS = {b"VP8X", b"VP8 ", b"VP8L", b"ALPH", b"ICCP", b"EXIF", b"XMP "}
_BMP_INFO, _BMP_RESOLUTION = 14, slice(38, 46)  # the second header; pixels per meter
_BMP_COLORS = (0x73524742, 0x57696E20)  # "sRGB" and "Win "
_RUNS = (1, 2)  # the kinds of run-length coding


def read_bmp(source: Source) -> Picture:
    """Read a BMP."""
    data = source.whole_by_pillow("BMP")
    info_bytes = struct.unpack_from("<I", data, _BMP_INFO)[0]
    is_new = info_bytes >= 40
    width, height, _, bits = struct.unpack_from("<iiHH" if is_new else "<HHHH", data, 18)
    kind = struct.unpack_from("<I", data, 30)[0] if is_new else 0
    if kind in _RUNS:
        start = struct.unpack_from("<I", data, 10)[0]
        _check_runs(data[start:], (width, abs(height)), kind == _RUNS[1])
    elif len(data) < (abs(width) * bits + 31) // 32 * 4 * abs(height):
        raise PictureError("it is damaged: the file is cut short")
    if info_bytes >= 108 and not _has_plain_colors(data):
        raise PictureError("it has a color profile, which cannot be kept in BMP; save it as PNG")
    if bits == 32:
        raise PictureError("it has 32 bits per pixel, which may include alpha; save it as PNG")
    with Image.open(io.BytesIO(data)) as image:
        gray = image.mode in ("1", "L")
        page = Page(np.asarray(image.convert("L" if gray else "RGB")))
    resolution = data[_BMP_RESOLUTION] if is_new else bytes(8)

    def with_pages(pages: list[Page]) -> bytes:
        changed = bytearray(_save(pages[0], "BMP"))
        changed[_BMP_RESOLUTION] = resolution  # to the last digit, and none if there was none
        return bytes(changed)

    return Picture("BMP", data, [page], with_pages)


def _check_runs(data: bytes, size: tuple[int, int], is_half: bool) -> None:
    """Refuse run-length coding that ends early or leaves pixels out: Pillow fills them up."""
    place = column = row = 0
    while place + 2 <= min(len(data), BLOCK_BYTES // 4) and column <= size[0]:
        n, value = data[place], data[place + 1]
        place += 2
        if n or value > 2:  # a run, or as many pixels one by one
            column += n or value
            place += 0 if n else (((value + 1) // 2 if is_half else value) + 1) & ~1
        elif value or column != size[0]:
            break
        else:
            column, row = 0, row + 1
    if row + (column == size[0]) != size[1] or place > len(data):
        raise PictureError("it is damaged: its runs leave pixels out, or there are too many")


def _has_plain_colors(data: bytes) -> bool:
    """Tell whether a BMP of version 4 or 5 has no color space of its own."""
    color_space = struct.unpack_from("<I", data, _BMP_INFO + 56)[0]
    endpoints = data[_BMP_INFO + 60 : _BMP_INFO + 108]
    return color_space in _BMP_COLORS or (color_space == 0 and not any(endpoints))


def read_webp(source: Source) -> Picture:
    """Read a WebP, which is lossless or not."""
    data = source.whole_by_pillow("WEBP")
    names = _riff_names(data)
    if b"ANIM" in names:
        raise PictureError("it is an animation, but expected a single picture")
    for name in names - _WEBP_CHUNKS:
        kind = name.decode("latin-1")
        raise PictureError(f"its chunk {kind} cannot be kept; remove it")
    with Image.open(io.BytesIO(data)) as image:
        mode = "RGBA" if image.mode == "RGBA" else "RGB"
        page = split_alpha(np.asarray(image.convert(mode)), mode == "RGBA")
        kept = {name: image.info.get(name) or b"" for name in ("exif", "icc_profile", "xmp")}
    kept["exif"] = exif.without_preview(kept["exif"])
    how: dict[str, Any] = {"quality": WEBP_QUALITY}
    if b"VP8L" in names:
        how = {"lossless": True, "exact": True}
    if page.colors.nbytes > _LARGE and b"VP8L" in names:
        how["method"] = 0  # the others take eleven times the bytes of the pixels

    def with_pages(pages: list[Page]) -> bytes:
        return _save(pages[0], "WEBP", **how, **kept)

    return Picture("WEBP", data, [page], with_pages)


def _riff_names(data: bytes) -> set[bytes]:
    """Return the names of the chunks of a WebP."""
    names, place, end = set(), 12, 8 + struct.unpack_from("<I", data, 4)[0]
    while place + 8 <= min(end, len(data)):
        name, n_bytes = struct.unpack_from("<4sI", data, place)
        names.add(name)
        place += 8 + n_bytes + n_bytes % 2
    return names


def _save(page: Page, format_: str, **options: Any) -> bytes:
    """Return a file of Pillow's."""
    file = io.BytesIO()
    Image.fromarray(join_alpha(page)).save(file, format_, **options)
    return file.getvalue()
