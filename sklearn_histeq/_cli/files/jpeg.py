"""JPEG: Pillow decodes and encodes the pixels, and every other segment is kept as it was."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image, JpegImagePlugin

from sklearn_histeq._cli.errors import PictureError
from sklearn_histeq._cli.files import exif
from sklearn_histeq._cli.files.picture import Metadata, Page, Picture

QUALITY = 95

_APP0, _APP1, _APP2, _APP14, _APP15, _COMMENT = 0xE0, 0xE1, 0xE2, 0xEE, 0xEF, 0xFE
_SCAN, _END = 0xDA, 0xD9
_ALONE = {0x01, *range(0xD0, 0xD9)}  # markers without contents
_XMP = b"http://ns.adobe.com/xap/1.0/\0"
_YCC = 1  # the color transform that Adobe's segment names for what is written here


def read(data: bytes) -> Picture:
    """Read a JPEG."""
    with Image.open(io.BytesIO(data)) as image:
        only_previews = _check_single(image)
        if image.mode not in ("L", "RGB"):
            raise PictureError(f"its colors are {image.mode}, but expected gray or RGB")
        colors = np.asarray(image)
        options: dict[str, Any] = {"quality": QUALITY}
        options["progressive"] = bool(image.info.get("progressive"))
        sampling = JpegImagePlugin.get_sampling(image)
        if sampling >= 0:
            options["subsampling"] = sampling
        metadata = Metadata(image.info.get("exif"), image.info.get("icc_profile"))
        metadata.dpi = image.info.get("dpi")
    segments = list(_segments(data))
    _check_end(data, only_previews)
    _describe(metadata, segments)

    def with_pages(pages: list[Page]) -> bytes:
        ((colors, _, _),) = pages
        kept = [_kept(marker, content, colors.ndim == 3) for marker, content in segments]
        return _with_segments(_encode_pixels(colors, **options), b"".join(kept))

    return Picture("JPEG", [Page(colors)], metadata, with_pages)


def encode(page: Page, metadata: Metadata) -> bytes:
    """Return a new JPEG."""
    options: dict[str, Any] = {"quality": QUALITY}
    if metadata.exif is not None:
        options["exif"] = exif.PREFIX + metadata.exif.removeprefix(exif.PREFIX)
    if metadata.icc is not None:
        options["icc_profile"] = metadata.icc
    if metadata.dpi is not None:
        options["dpi"] = metadata.dpi
    data = _encode_pixels(page.colors, **options)
    if metadata.xmp is None:
        return data
    segments = [_segment(marker, content) for marker, content in _segments(data)]
    return _with_segments(data, b"".join([*segments, _segment(_APP1, _XMP + metadata.xmp)]))


def _check_single(image: Any) -> bool:
    """Refuse a file of several pictures; tell whether it has smaller previews of its picture."""
    if getattr(image, "n_frames", 1) == 1:
        return False
    kinds = [entry["Attribute"]["MPType"] for entry in image.mpinfo[0xB002]]
    if any(not kind.startswith("Large Thumbnail") for kind in kinds[1:]):
        raise PictureError(
            f"it holds {len(kinds)} pictures (MPO), but expected one; save the first by itself"
        )
    return True


def _describe(metadata: Metadata, segments: list[tuple[int, bytes]]) -> None:
    """Add what other formats may keep, or would lose."""
    if metadata.exif is not None:
        metadata.exif = exif.without_preview(metadata.exif)
    for marker, content in segments:
        if marker == _APP1 and content.startswith(_XMP):
            metadata.xmp = content[len(_XMP) :]
        elif marker == _COMMENT:
            metadata.others.append("a comment")
        elif marker == 0xED:
            metadata.others.append("IPTC or Photoshop data")


# Segments -----------------------------------------------------------------------------------------


def _segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the markers and contents of application data and comments before the pixels."""
    place = 2
    while data[place + 1] != _SCAN:
        marker, n_bytes = struct.unpack_from(">xBH", data, place)
        if marker == 0xFF or marker in _ALONE:  # padding, or a marker without contents
            place += 1 if marker == 0xFF else 2
            continue
        if _APP0 <= marker <= _APP15 or marker == _COMMENT:
            yield marker, data[place + 4 : place + 2 + n_bytes]
        place += 2 + n_bytes


def _segment(marker: int, content: bytes) -> bytes:
    """Return one segment."""
    return struct.pack(">BBH", 0xFF, marker, 2 + len(content)) + content


def _kept(marker: int, content: bytes, is_color: bool) -> bytes:
    """Return a segment for other pixels: without previews, and without coding of the old pixels."""
    if marker == _APP0 and content.startswith(b"JFIF\0"):
        content = content[:12] + b"\0\0"  # without its preview
    elif marker == _APP0 and content.startswith(b"JFXX\0"):  # a preview
        return b""
    elif marker == _APP1 and content.startswith(exif.PREFIX):
        content = exif.without_preview(content)
    elif marker == _APP2 and content.startswith(b"MPF\0"):  # lists previews at the end of the file
        return b""
    elif marker == _APP14 and content.startswith(b"Adobe") and is_color and content[11] != _YCC:
        return b""  # says that the colors are coded in another way than they are now
    return _segment(marker, content)


def _with_segments(data: bytes, segments: bytes) -> bytes:
    """Return a JPEG with other application data and comments."""
    parts, place = [data[:2], segments], 2
    while data[place + 1] != _SCAN:
        marker, n_bytes = struct.unpack_from(">xBH", data, place)
        if not _APP0 <= marker <= _APP15 and marker != _COMMENT:
            parts.append(data[place : place + 2 + n_bytes])
        place += 2 + n_bytes
    return b"".join([*parts, data[place:]])


def _check_end(data: bytes, only_previews: bool) -> None:
    """Refuse a file that goes on after its picture, with the film of a motion photo for example."""
    place = 2
    while place + 4 <= len(data):
        marker = data[place + 1]
        if data[place] != 0xFF or marker in (0x00, 0xFF, *_ALONE):
            place = data.find(b"\xff", place + 1)  # inside the pixels
            if place < 0:
                return
            continue
        if marker == _END:
            break
        place += 2 + struct.unpack_from(">H", data, place + 2)[0]
    rest = data[place + 2 :].strip(b"\0\r\n ")
    if rest and not only_previews:
        raise PictureError(
            f"{len(rest)} bytes of other data follow the picture (such as the film of a motion"
            " photo), which would be lost; save the picture by itself"
        )


def _encode_pixels(colors: Any, **options: Any) -> bytes:
    """Return a JPEG of pixels."""
    file = io.BytesIO()
    Image.fromarray(colors).save(file, "JPEG", **options)
    return file.getvalue()
