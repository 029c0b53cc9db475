"""JPEG, BMP and WebP, which Pillow reads and writes; what it would lose is refused.

Of a JPEG, every segment but those of the pixels is kept as it was.
"""

from __future__ import annotations

import io
import re
import struct
from typing import Any

import numpy as np
from PIL import Image, JpegImagePlugin

from sklearn_histeq._cli.errors import PictureError
from sklearn_histeq._cli.files.directories import EXIF_PREFIX, without_preview
from sklearn_histeq._cli.files.picture import Page, Picture, Source, join_alpha, split_alpha

_QUALITY = 95
_APP0, _COMMENT, _END = 0xE0, 0xFE, 0xD9  # markers of JPEG
_LARGE = 2**25
_WEBP_CHUNKS = {b"VP8X", b"VP8 ", b"VP8L", b"ALPH", b"ICCP", b"EXIF", b"XMP "}
_BMP_COLORS, _BMP_CALIBRATION = slice(70, 74), slice(70, 122)
_BMP_PLAIN_COLORS = (b"BGRs", b" niW")  # sRGB, and the usual ones of Windows


def read_jpeg(source: Source) -> Picture:
    """Read a JPEG."""
    data = source.whole_by_pillow("JPEG")
    image: Any
    with Image.open(io.BytesIO(data), formats=["JPEG"]) as image:
        only_previews = _check_single(image)
        if image.mode not in ("L", "RGB"):
            raise PictureError(f"its colors are {image.mode}, but expected gray or RGB")
        colors = np.asarray(image)
        options: dict[str, Any] = {"quality": _QUALITY}
        options["progressive"] = bool(image.info.get("progressive"))
        # Pillow writes the three usual samplings; of others no color is lost without sampling
        options["subsampling"] = max(0, JpegImagePlugin.get_sampling(image))
        segments = list(image.applist)
    _check_end(data, only_previews)

    def with_pages(pages: list[Page]) -> bytes:
        colors, file = pages[0].colors, io.BytesIO()
        kept = [_kept(name, content, colors.ndim == 3) for name, content in segments]
        once = dict.fromkeys(kept)  # a profile that stands twice would seem to be one in two parts
        Image.fromarray(colors).save(file, "JPEG", **options)
        new = file.getvalue()  # with a segment of JFIF, which is replaced as well
        end = 4 + struct.unpack_from(">H", new, 4)[0]
        return new[:2] + b"".join(once) + new[end:]

    return Picture("JPEG", data, [Page(colors)], with_pages)


def _check_single(image: Any) -> bool:
    """Refuse a file of several pictures; tell whether it has smaller previews of its picture."""
    if getattr(image, "n_frames", 1) == 1:
        return False
    kinds = [entry["Attribute"]["MPType"] for entry in image.mpinfo[0xB002]]
    if any(not kind.startswith("Large Thumbnail") for kind in kinds[1:]):
        raise PictureError(f"it holds {len(kinds)} pictures (MPO); save the first by itself")
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
        what = f"{len(rest)} bytes of other data follow the picture, as in a motion photo"
        raise PictureError(f"{what}; save the picture by itself")


def _kept(name: str, content: bytes, is_color: bool) -> bytes:
    """Return a segment for other pixels: without previews, and without coding of the old pixels."""
    if name == "APP0" and content.startswith(b"JFIF\0"):
        content = content[:12] + b"\0\0"  # without its preview
    elif name == "APP1" and content.startswith(EXIF_PREFIX):
        content = without_preview(content)
    elif (name, content[:5]) == ("APP0", b"JFXX\0") or (name, content[:4]) == ("APP2", b"MPF\0"):
        return b""  # a preview, or the list of those at the end of the file
    elif (name, content[:5]) == ("APP14", b"Adobe") and is_color and content[11:12] != b"\1":
        return b""  # says that the colors are coded in another way than they are now
    marker = _COMMENT if name == "COM" else _APP0 + int(name.removeprefix("APP"))
    return struct.pack(">BBH", 0xFF, marker, 2 + len(content)) + content


def read_bmp(source: Source) -> Picture:
    """Read a BMP."""
    data = source.whole_by_pillow("BMP")
    info_bytes = struct.unpack_from("<I", data, 14)[0]
    is_new = info_bytes >= 40
    width, height, _, bits = struct.unpack_from("<iiHH" if is_new else "<HHHH", data, 18)
    if is_new and struct.unpack_from("<I", data, 30)[0] in (1, 2):
        raise PictureError("its pixels are coded as runs, which may leave some out; save it as PNG")
    if len(data) < (abs(width) * bits + 31) // 32 * 4 * abs(height):
        raise PictureError("it is damaged: the file is cut short")
    is_plain = data[_BMP_COLORS] in _BMP_PLAIN_COLORS or not any(data[_BMP_CALIBRATION])
    if info_bytes >= 108 and not is_plain:
        raise PictureError("it has a color profile, which cannot be kept in BMP; save it as PNG")
    if bits == 32:
        raise PictureError("it has 32 bits per pixel, which may include alpha; save it as PNG")
    with Image.open(io.BytesIO(data)) as image:
        page = Page(np.asarray(image.convert("L" if image.mode in ("1", "L") else "RGB")))
        dpi = image.info.get("dpi", (0, 0))  # Pillow would write 96 for none
    return Picture("BMP", data, [page], lambda pages: _save(pages[0], "BMP", dpi=dpi))


def read_webp(source: Source) -> Picture:
    """Read a WebP, which is lossless or not."""
    data = source.whole_by_pillow("WEBP")
    names = _riff_names(data)
    if b"ANIM" in names:
        raise PictureError("it is an animation, but expected a single picture")
    for name in names - _WEBP_CHUNKS:
        raise PictureError(f"its chunk {name.decode('latin-1')} cannot be kept; remove it")
    with Image.open(io.BytesIO(data)) as image:
        page = split_alpha(np.asarray(image), image.mode == "RGBA")
        kept = {name: image.info.get(name) or b"" for name in ("exif", "icc_profile", "xmp")}
    kept["exif"] = without_preview(kept["exif"])
    how: dict[str, Any] = {"quality": _QUALITY}
    if b"VP8L" in names:
        how = {"lossless": True, "exact": True}
    if page.colors.nbytes > _LARGE and b"VP8L" in names:
        how["method"] = 0  # the others take eleven times the bytes of the pixels

    return Picture("WEBP", data, [page], lambda pages: _save(pages[0], "WEBP", **how, **kept))


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
