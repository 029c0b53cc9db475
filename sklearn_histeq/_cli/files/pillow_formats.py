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
    Metadata,
    Page,
    Picture,
    join_alpha,
    split_alpha,
)

WEBP_QUALITY = 95
_WEBP_CHUNKS = {b"VP8X", b"VP8 ", b"VP8L", b"ALPH", b"ICCP", b"EXIF", b"XMP "}
_BMP_INFO, _BMP_RESOLUTION = 14, slice(38, 46)  # the second header; pixels per meter
_BMP_COLORS = (0x73524742, 0x57696E20)  # "sRGB" and "Win "


def read_bmp(data: bytes) -> Picture:
    """Read a BMP."""
    info_bytes = struct.unpack_from("<I", data, _BMP_INFO)[0]
    if info_bytes >= 108 and not _has_plain_colors(data):
        raise PictureError("it has a color profile, which cannot be kept in BMP; save it as PNG")
    if info_bytes >= 40 and struct.unpack_from("<H", data, _BMP_INFO + 14)[0] == 32:
        raise PictureError("it has 32 bits per pixel, which may include alpha; save it as PNG")
    with Image.open(io.BytesIO(data)) as image:
        gray = image.mode in ("1", "L")
        mode = "L" if gray else image.mode if image.mode in ("RGB", "RGBA") else "RGB"
        page = split_alpha(np.asarray(image.convert(mode)), mode == "RGBA")
        metadata = Metadata(dpi=image.info.get("dpi"))
    resolution = data[_BMP_RESOLUTION] if info_bytes >= 40 else bytes(8)

    def with_pages(pages: list[Page]) -> bytes:
        changed = bytearray(_save(pages[0], "BMP"))
        changed[_BMP_RESOLUTION] = resolution  # to the last digit, and none if there was none
        return bytes(changed)

    return Picture("BMP", [page], metadata, with_pages)


def encode_bmp(page: Page, metadata: Metadata) -> bytes:
    """Return a new BMP."""
    return _save(page, "BMP", dpi=metadata.dpi or (0, 0))


def read_webp(data: bytes) -> Picture:
    """Read a WebP, which is lossless or not."""
    names = _riff_names(data)
    if b"ANIM" in names:
        raise PictureError("it is an animation, but expected a single picture")
    for name in names - _WEBP_CHUNKS:
        kind = name.decode("latin-1")
        raise PictureError(f"its chunk {kind} cannot be kept; remove it")
    with Image.open(io.BytesIO(data)) as image:
        mode = "RGBA" if image.mode == "RGBA" else "RGB"
        page = split_alpha(np.asarray(image.convert(mode)), mode == "RGBA")
        info = image.info
        metadata = Metadata(info.get("exif"), info.get("icc_profile"), info.get("xmp"))
    if metadata.exif is not None:
        metadata.exif = exif.without_preview(metadata.exif)

    def with_pages(pages: list[Page]) -> bytes:
        return encode_webp(pages[0], metadata, lossless=b"VP8L" in names)

    return Picture("WEBP", [page], metadata, with_pages)


def encode_webp(page: Page, metadata: Metadata, lossless: bool = False) -> bytes:
    """Return a new WebP."""
    how = {"lossless": True, "exact": True} if lossless else {"quality": WEBP_QUALITY}
    kept = {"exif": metadata.exif, "icc_profile": metadata.icc, "xmp": metadata.xmp}
    return _save(page, "WEBP", **how, **{name: value or b"" for name, value in kept.items()})


def _save(page: Page, format_: str, **options: Any) -> bytes:
    """Return a file of Pillow's."""
    file = io.BytesIO()
    Image.fromarray(join_alpha(page)).save(file, format_, **options)
    return file.getvalue()


def _has_plain_colors(data: bytes) -> bool:
    """Tell whether a BMP of version 4 or 5 has no color space of its own."""
    color_space = struct.unpack_from("<I", data, _BMP_INFO + 56)[0]
    endpoints = data[_BMP_INFO + 60 : _BMP_INFO + 108]
    return color_space in _BMP_COLORS or (color_space == 0 and not any(endpoints))


def _riff_names(data: bytes) -> set[bytes]:
    """Return the names of the chunks of a WebP."""
    names, place, end = set(), 12, 8 + struct.unpack_from("<I", data, 4)[0]
    while place + 8 <= min(end, len(data)):
        name, n_bytes = struct.unpack_from("<4sI", data, place)
        names.add(name)
        place += 8 + n_bytes + n_bytes % 2
    return names
