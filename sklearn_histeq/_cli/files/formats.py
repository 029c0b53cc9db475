"""The formats of pictures: which exist, which hold what, and how one is converted to another."""

from __future__ import annotations

import io
import os
import re
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from sklearn_histeq._cli.errors import PictureError
from sklearn_histeq._cli.files import png, pnm, tiff
from sklearn_histeq._cli.files.directories import EXIF_PREFIX, read_directories
from sklearn_histeq._cli.files.picture import Data, Page, Picture, Source, rescale
from sklearn_histeq._cli.files.pillow_formats import read_bmp, read_jpeg, read_webp

_BMP = rb"BM.{12}[\x0c\x10\x28\x34\x38\x40\x6c\x7c]\0\0\0"
_EXIF = "exif icc_profile xmp "


class _Format(NamedTuple):
    """How a format is recognised and read, and what it holds."""

    endings: str
    start: bytes
    read: Callable[[Source], Picture]
    held: str  # of a picture's metadata, as Pillow names it, alpha, and 16 bits


_KINDS = {
    "BMP": _Format(".bmp", _BMP, read_bmp, "dpi"),
    "JPEG": _Format(".jfif .jpe .jpeg .jpg", rb"\xff\xd8\xff", read_jpeg, _EXIF + "dpi"),
    "PNG": _Format(".png", rb"\x89PNG\r\n\x1a\n....IHDR", png.read, _EXIF + "dpi alpha 16"),
    "PPM": _Format(".pgm .pnm .ppm", rb"P\d\s", pnm.read, "16"),
    "TIFF": _Format(".tif .tiff", rb"II[*+]\0|MM\0[*+]", tiff.read, _EXIF + "dpi alpha 16"),
    "WEBP": _Format(".webp", rb"RIFF....WEBP", read_webp, _EXIF + "alpha"),
}
FORMATS = {ending: name for name, kind in _KINDS.items() for ending in kind.endings.split()}
_HEAD_BYTES = 64
_NAMES = {"exif": "Exif", "icc_profile": "the color profile", "xmp": "XMP"}
_NAMES |= {"dpi": "the resolution", "comment": "a comment", "photoshop": "IPTC or Photoshop data"}
_ORIENTATION, _EXIF_IFD, _GPS_IFD = 274, 34665, 34853
# description, make, model, resolution, unit, software, date, artist, computer, copyright
_IN_BOTH = (270, 271, 272, _ORIENTATION, 282, 283, 296, 305, 306, 315, 316, 33432)
_XMP_TAG, _XMP_TEXT = 700, "XML:com.adobe.xmp"
# Tags of TIFF that describe the pixels, or are kept in other ways
_STRUCTURE = {*range(254, 260), 262, 266, *range(270, 275), *range(277, 285), 296, 297, 305, 306}
_STRUCTURE |= {315, 316, 317, *range(322, 326), *range(338, 342), 700, 33432, 34665, 34675, 34853}


def read_picture(path: Path, max_pixels: int) -> Picture:
    """Read a picture; whatever goes wrong becomes a PictureError with a short reason."""
    try:
        with path.open("rb") as file:
            n_bytes = os.fstat(file.fileno()).st_size
            source = Source(file, file.read(_HEAD_BYTES), n_bytes, max_pixels)
            kind = _kind_of(source.head)
            if kind is None:
                known = ", ".join(sorted(_KINDS))
                raise PictureError(f"it is damaged, or not a picture in one of the formats {known}")
            file.seek(0)
            return kind.read(source)
    except (PictureError, MemoryError):
        raise
    except Exception as error:  # the readers of damaged files raise what they like
        reason = getattr(error, "strerror", None)
        raise PictureError(reason or "it is damaged, or not a picture") from error


def is_picture(path: Path) -> bool:
    """Tell whether a file is read as a picture: by its ending, or if it has none by its start."""
    if not path.suffix and path.is_file():
        with suppress(OSError), path.open("rb") as file:
            return _kind_of(file.read(_HEAD_BYTES)) is not None
    return path.suffix.lower() in FORMATS and (path.is_file() or not path.exists())


def _kind_of(head: bytes) -> _Format | None:
    """Return the format of a file that begins like this."""
    kinds = (kind for kind in _KINDS.values() if re.match(kind.start, head, re.DOTALL))
    return next(kinds, None)


def encode(picture: Picture, pages: list[Page], format_: str) -> Data:
    """Return the file of a picture with other pages; refuse what the format cannot hold."""
    if format_ != "TIFF":
        for page in pages:
            _check_fits(page, format_)
    if format_ == picture.format:
        return picture.with_pages(pages)
    if len(pages) > 1:
        raise PictureError(f"its {len(pages)} pages do not fit into {format_}; write TIFF")
    return _convert(picture, pages[0], format_)


def _check_fits(page: Page, format_: str) -> None:
    """Refuse to write what a format cannot hold."""
    colors, held = page.colors, _KINDS[format_].held.split()
    if colors.dtype not in ([np.uint8, np.uint16] if "16" in held else [np.uint8]):
        what = f"{colors.dtype} does not fit into {format_}"
        raise PictureError(f"{what}; use --dtype uint8, or TIFF")
    if colors.ndim == 3 and colors.shape[2] != 3:
        raise PictureError(f"its {colors.shape[2]} channels do not fit into {format_}; write TIFF")
    if page.alpha is not None and "alpha" not in held:
        raise PictureError(f"its alpha channel does not fit into {format_}; write PNG")


def _convert(picture: Picture, page: Page, format_: str) -> Data:
    """Return a file in another format, and warn of what that cannot hold.

    Pillow writes what is said of the picture into a file of one pixel, whose pixels are changed.
    """
    try:
        about, lost = _about(picture)
    except Exception:  # what Pillow raises for damaged metadata, and for odd kinds of TIFF
        about, lost = {}, ["its metadata, which cannot be read"]
    page = page._replace(colors=rescale(page.colors, page.colors.dtype, page.top), top=None)
    held, is_color = _KINDS[format_].held.split(), page.colors.ndim == 3
    if "exif" not in held and "exif" in about:  # such formats have no alpha either
        turned = _turned(page.colors, about["exif"].get(_ORIENTATION))
        page = page._replace(colors=np.ascontiguousarray(turned))
    lost = [name for key, name in _NAMES.items() if key in about and key not in held] + lost
    if lost:
        warnings.warn(f"{format_} does not keep {', '.join(lost)}", UserWarning, stacklevel=2)
    kept = {key: about[key] for key in held if key in about}
    if "xmp" in kept and format_ == "PNG":
        kept["pnginfo"] = PngInfo()
        kept["pnginfo"].add_itxt(_XMP_TEXT, kept.pop("xmp").decode("utf-8", "replace"))
    elif "xmp" in kept and format_ == "TIFF":
        kept.setdefault("exif", Image.Exif())[_XMP_TAG] = kept.pop("xmp")
    file = io.BytesIO()
    mode = ("RGB" if is_color else "L") + ("" if page.alpha is None else "A")
    Image.new(mode, (1, 1)).save(file, format_, **kept)
    data = file.getvalue()
    return _KINDS[format_].read(Source(file, data, len(data), 1)).with_pages([page])


def _about(picture: Picture) -> tuple[dict[str, Any], list[str]]:
    """Return what is said of a picture, as Pillow names it, and what no other format can keep."""
    if picture.format == "PPM":
        return {"comment": True} if b"#" in picture.data[:1024] else {}, []
    image: Any
    with Image.open(io.BytesIO(picture.data)) as image:
        about = {key: value for key, value in image.info.items() if key in _NAMES and value}
        lost = ["text"] if {*getattr(image, "text", ())} - {_XMP_TEXT} else []
        if picture.format == "TIFF":
            others = sorted({*image.tag_v2} - _STRUCTURE)
            lost = ["the TIFF tags " + ", ".join(map(str, others))] if others else []
        if picture.format == "TIFF" or "exif" in about:
            about["exif"] = _exif_for_others(image)
            about["exif"].tobytes()  # raises where Pillow cannot write it
    return {key: value for key, value in about.items() if value}, lost


def _exif_for_others(image: Any) -> Image.Exif:
    """Return the metadata of a picture that Pillow has opened, but for what is TIFF's own."""
    if image.format != "TIFF":
        # raises where it promises too much
        read_directories(io.BytesIO(image.info["exif"].removeprefix(EXIF_PREFIX)))
        return image.getexif()
    found, kept = image.getexif(), Image.Exif()
    kept.update({tag: found[tag] for tag in _IN_BOTH if tag in found})
    for tag in (_EXIF_IFD, _GPS_IFD):
        if tag in found:
            kept.get_ifd(tag).update(found.get_ifd(tag))
    return kept


def _turned(array: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Return the pixels as they are to be seen."""
    array = np.swapaxes(array, 0, 1) if orientation in (5, 6, 7, 8) else array
    rows, columns = (-1 if orientation in which else 1 for which in ((3, 4, 7, 8), (2, 3, 6, 7)))
    return array[::rows, ::columns]
