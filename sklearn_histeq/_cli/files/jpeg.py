"""JPEG: Pillow decodes and encodes the pixels, and every other segment is kept as it was."""

from __future__ import annotations

import io
import re
import struct
from typing import Any

import numpy as np
from PIL import Image, JpegImagePlugin

from sklearn_histeq._cli.errors import PictureError
from sklearn_histeq._cli.files import exif
from sklearn_histeq._cli.files.picture import Page, Picture, Source

QUALITY = 95

_APP0, _APP1, _APP2, _APP14, _COMMENT = 0xE0, 0xE1, 0xE2, 0xEE, 0xFE
_END = 0xD9
_PIXELS_PER_BYTE = 512  # a block of 8 by 8 pixels takes a bit at least


def read(source: Source) -> Picture:
    """Read a JPEG."""
    data = source.whole_by_pillow("JPEG")
    image: Any
    with Image.open(io.BytesIO(data), formats=["JPEG"]) as image:
        if image.width * image.height > len(data) * _PIXELS_PER_BYTE:
            raise PictureError(f"it is damaged: {len(data)} bytes cannot hold its pixels")
        only_previews = _check_single(image)
        if image.mode not in ("L", "RGB"):
            raise PictureError(f"its colors are {image.mode}, but expected gray or RGB")
        colors = np.asarray(image)
        options: dict[str, Any] = {"quality": QUALITY}
        options["progressive"] = bool(image.info.get("progressive"))
        # Pillow writes the three usual samplings; of others no color is lost without sampling
        options["subsampling"] = max(0, JpegImagePlugin.get_sampling(image))
        segments = [(_marker(name), content) for name, content in image.applist]
    _check_end(data, only_previews)

    def with_pages(pages: list[Page]) -> bytes:
        colors = pages[0].colors
        kept = [_kept(marker, content, colors.ndim == 3) for marker, content in segments]
        once = dict.fromkeys(kept)  # a profile that stands twice would seem to be one in two parts
        return _with_segments(_encode_pixels(colors, **options), b"".join(once))

    return Picture("JPEG", data, [Page(colors)], with_pages)


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


def _check_end(data: bytes, only_previews: bool) -> None:
    """Refuse a file that goes on after its picture, with the film of a motion photo for example."""
    place, is_marker = 2, re.compile(rb"\xff[^\x00\x01\xff\xd0-\xd8]")
    while found := is_marker.search(data, place):
        place = found.end()
        if data[place - 1] == _END:
            break
        place += struct.unpack_from(">H", data, place)[0] if place + 2 <= len(data) else 2
    rest = data[place:].strip(b"\0\r\n ")
    if rest and not only_previews:
        raise PictureError(
            f"{len(rest)} bytes of other data follow the picture (such as the film of a motion"
            " photo), which would be lost; save the picture by itself"
        )


def _marker(name: str) -> int:
    """Return the marker of a segment by Pillow's name."""
    return _COMMENT if name == "COM" else _APP0 + int(name.removeprefix("APP"))


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
    elif marker == _APP14 and content.startswith(b"Adobe") and is_color and content[11:12] != b"\1":
        return b""  # says that the colors are coded in another way than they are now
    return struct.pack(">BBH", 0xFF, marker, 2 + len(content)) + content


def _with_segments(data: bytes, segments: bytes) -> bytes:
    """Return a JPEG of Pillow's with other segments than JFIF's, which is its first."""
    end = 4 + struct.unpack_from(">H", data, 4)[0] if data[2:4] == b"\xff\xe0" else 2
    return data[:2] + segments + data[end:]


def _encode_pixels(colors: Any, **options: Any) -> bytes:
    """Return a JPEG of pixels."""
    file = io.BytesIO()
    Image.fromarray(colors).save(file, "JPEG", **options)
    return file.getvalue()
