"""The formats of pictures: which exist, which hold what, and how one is converted to another."""

from __future__ import annotations

import struct
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

from sklearn_histeq._cli.errors import PictureError
from sklearn_histeq._cli.files import exif, jpeg, pillow_formats, png, pnm, tiff
from sklearn_histeq._cli.files.picture import Metadata, Page, Picture

FORMATS = {
    ".bmp": "BMP",
    ".jpeg": "JPEG",
    ".jpg": "JPEG",
    ".pgm": "PPM",
    ".png": "PNG",
    ".pnm": "PPM",
    ".ppm": "PPM",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".webp": "WEBP",
}
_STARTS: list[tuple[bytes, Callable[[bytes], Picture]]] = [
    (b"BM", pillow_formats.read_bmp),
    (b"\xff\xd8", jpeg.read),
    (png.SIGNATURE, png.read),
    (b"P", pnm.read),
    (b"RIFF", pillow_formats.read_webp),
    (b"II", tiff.read),
    (b"MM", tiff.read),
]
_ENCODERS: dict[str, Callable[[Page, Metadata], bytes]] = {
    "BMP": pillow_formats.encode_bmp,
    "JPEG": jpeg.encode,
    "PNG": png.encode,
    "PPM": pnm.encode,
    "TIFF": tiff.encode,
    "WEBP": pillow_formats.encode_webp,
}
_WITH_ALPHA = ("PNG", "TIFF", "WEBP")
_WITH_16_BITS = ("PNG", "PPM", "TIFF")
_HELD = {  # of a picture's metadata
    "BMP": {"dpi"},
    "JPEG": {"exif", "icc", "xmp", "dpi"},
    "PNG": {"exif", "icc", "xmp", "dpi"},
    "PPM": set(),
    "TIFF": {"exif", "icc", "xmp", "dpi"},
    "WEBP": {"exif", "icc", "xmp"},
}
_NAMES = {"exif": "Exif", "icc": "the color profile", "xmp": "XMP", "dpi": "the resolution"}


def read_picture(path: Path) -> Picture:
    """Read a picture; whatever goes wrong becomes a PictureError with a short reason."""
    try:
        data = path.read_bytes()
        for start, read in _STARTS:
            if data.startswith(start):
                return read(data)
    except PictureError:
        raise
    except MemoryError as error:
        raise PictureError("it needs more memory than there is") from error
    except OSError as error:
        if error.errno is not None:
            raise PictureError(error.strerror) from error
        raise PictureError("it is damaged, or not a picture") from error
    except Exception as error:  # the readers of damaged files raise what they like
        if type(error).__name__ == "DecompressionBombError":
            raise PictureError("it has more pixels than are read from one picture") from error
        raise PictureError("it is damaged, or not a picture") from error
    known = ", ".join(sorted({*FORMATS.values()}))
    raise PictureError(f"it is damaged, or not a picture in one of the formats {known}")


def encode(picture: Picture, pages: list[Page], format_: str) -> bytes:
    """Return the file of a picture with other pages; refuse what the format cannot hold."""
    for page in pages:
        _check_fits(page, format_)
    if format_ == picture.format:
        return picture.with_pages(pages)
    if len(pages) > 1:
        raise PictureError(f"its {len(pages)} pages do not fit into {format_}; write TIFF")
    return _convert(pages[0], picture.metadata, format_)


def _check_fits(page: Page, format_: str) -> None:
    """Refuse to write what a format cannot hold."""
    colors, alpha = page.colors, page.alpha
    if format_ == "TIFF":
        return
    depths = [np.uint8, np.uint16] if format_ in _WITH_16_BITS else [np.uint8]
    if colors.dtype not in depths:
        raise PictureError(
            f"{colors.dtype} does not fit into {format_}; give --dtype uint8, or write TIFF"
        )
    if colors.ndim == 3 and colors.shape[2] != 3:
        raise PictureError(f"its {colors.shape[2]} channels do not fit into {format_}; write TIFF")
    if alpha is not None and format_ not in _WITH_ALPHA:
        raise PictureError(f"its alpha channel does not fit into {format_}; write PNG")


def _convert(page: Page, metadata: Metadata, format_: str) -> bytes:
    """Return a file in another format, and warn of what that cannot hold."""
    held = _HELD[format_]
    if "exif" not in held:
        turn = exif.orientation_of(metadata.exif)
        alpha = None if page.alpha is None else exif.turned(page.alpha, turn)
        page = Page(np.ascontiguousarray(exif.turned(page.colors, turn)), alpha)
    lost = [name for key, name in _NAMES.items() if getattr(metadata, key) and key not in held]
    lost += dict.fromkeys(metadata.others)
    if lost:
        warnings.warn(f"{format_} does not keep {', '.join(lost)}", UserWarning, stacklevel=2)
    kept = {key: getattr(metadata, key) for key in held}
    try:
        return _ENCODERS[format_](page, Metadata(**kept))
    except (ValueError, OverflowError, struct.error) as error:
        raise PictureError(f"it cannot be written as {format_}: {error}") from error
