"""A picture: from a file to arrays and back, with its depth, its alpha and what is said of it.

TIFF goes through tifffile and nearly all else through Pillow, both of which come with scikit-image.
Nothing is read with fewer bits than the file has.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sklearn_histeq._cli.errors import PictureError
from sklearn_histeq._cli.files import deep_png

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
JPEG_QUALITY = 95

_WITH_ALPHA = ("PNG", "TIFF", "WEBP")
_DEEP_GRAY = ("PNG", "PPM")  # which have 16 bits in gray; PNG has them in colour, too
_PLAIN = ("L", "LA", "RGB", "RGBA", "I", "I;16", "I;16B", "I;16L", "I;16N", "F")
_MINISWHITE, _MINISBLACK, _RGB = 0, 1, 2  # TIFF's photometric interpretations
_TIFF_DTYPES = ("uint8", "uint16", "int16", "uint32", "int32", "float32", "float64")


class Page(NamedTuple):
    """The pixels of a picture, or of one of several in a TIFF."""

    colours: NDArray[Any]  # (h, w) or (h, w, 3)
    alpha: NDArray[Any] | None  # (h, w)


@dataclass
class Picture:
    """A picture and what is written with it."""

    pages: list[Page]
    format: str
    extras: dict[str, Any] = field(default_factory=dict)  # what Pillow saves beside the pixels
    is_compressed: bool = False  # of TIFF
    description: str | None = None


def read_picture(path: Path) -> Picture:
    """Read a picture; each format's reader has its own ways to fail, which become one."""
    try:
        with path.open("rb") as file:
            start = file.read(32)
        if start[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
            return _read_tiff(path)
        picture = _read_pillow(path, only_extras=deep_png.is_deep(start))
        if not picture.pages:
            pixels = deep_png.decode(path.read_bytes())
            picture.pages.append(_split(pixels, pixels.shape[-1] != 3))
        return picture
    except (PictureError, MemoryError):
        raise
    except OSError as error:
        if error.errno is not None:
            raise PictureError(error.strerror) from error
        raise PictureError(_why(error)) from error
    except Exception as error:
        raise PictureError(_why(error)) from error


def map_colours(picture: Picture, function: Callable[[NDArray[Any]], NDArray[Any]]) -> Picture:
    """Return a picture with the colours of every page mapped, and alpha in their new type."""
    pages = []
    for page in picture.pages:
        colours = function(page.colours)
        alpha = None if page.alpha is None else _rescale(page.alpha, colours.dtype)
        pages.append(Page(colours, alpha))
    return replace(picture, pages=pages)


def rescale(colours: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Bring unsigned integers to another such type: white stays white."""
    is_needed = colours.dtype != dtype and colours.dtype.kind == dtype.kind == "u"
    return _rescale(colours, dtype) if is_needed else colours


def encode(picture: Picture, format_: str) -> bytes:
    """Return the bytes of a picture's file; refuse what a format cannot hold."""
    file = io.BytesIO()
    if format_ == "TIFF":
        _write_tiff(picture, file)
    else:
        _check_fits(picture, format_)
        _write_pillow(picture, file, format_)
    return file.getvalue()


def _why(error: Exception) -> str:
    """Say in a few words why a picture cannot be read."""
    from PIL import UnidentifiedImageError

    if isinstance(error, UnidentifiedImageError):
        return "not a picture, or damaged"
    return f"cannot be read: {error}"


def _rescale(values: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Bring values to another type's range, which is 0 to 1 for floats."""
    if values.dtype == dtype:
        return values
    top_in, top_out = (np.iinfo(d).max if d.kind in "iu" else 1 for d in (values.dtype, dtype))
    scaled = values * (top_out / top_in)
    return np.rint(scaled).astype(dtype) if dtype.kind in "iu" else scaled.astype(dtype)


def _split(array: NDArray[Any], has_alpha: bool) -> Page:
    """Take alpha, the last channel, off."""
    if not has_alpha:
        return Page(array, None)
    colours = array[..., :-1]
    return Page(colours[..., 0] if colours.shape[-1] == 1 else colours, array[..., -1])


def _join(page: Page) -> NDArray[Any]:
    """Put alpha back on."""
    if page.alpha is None:
        return np.ascontiguousarray(page.colours)
    return np.dstack([page.colours, page.alpha])


# Pillow -------------------------------------------------------------------------------------------


def _read_pillow(path: Path, only_extras: bool) -> Picture:
    """Read all but TIFF, or only what is said of a picture, without pages."""
    from PIL import Image

    with Image.open(path) as image:
        # phones add a preview to a JPEG, which is then called MPO
        format_ = "JPEG" if image.format == "MPO" else str(image.format)
        if format_ not in FORMATS.values():
            raise PictureError(f"its format is {format_}, but expected {_known()}")
        n_frames = getattr(image, "n_frames", 1)
        if image.format != "MPO" and n_frames > 1:
            raise PictureError(f"an animation of {n_frames} pictures, but expected one")
        pages = [] if only_extras else [_page_of(image)]
        return Picture(pages, format_, _extras(image))


def _known() -> str:
    """Name the formats."""
    return ", ".join(sorted({*FORMATS.values()}))


def _extras(image: Any) -> dict[str, Any]:
    """Return what is said of a picture, by the names under which Pillow saves it."""
    from PIL import JpegImagePlugin

    extras = {name: image.info[name] for name in ("icc_profile", "dpi") if image.info.get(name)}
    exif = image.getexif()
    if len(exif):
        extras["exif"] = exif.tobytes()  # a preview is not among it, which would show what was
    if image.format in ("JPEG", "MPO"):
        sampling = JpegImagePlugin.get_sampling(image)
        if sampling >= 0:
            extras["subsampling"] = sampling
    return extras


def _page_of(image: Any) -> Page:
    """Return the pixels of an open picture, palettes and single bits as 8 bits a colour."""
    mode = image.mode
    has_palette = mode in ("P", "PA")
    has_key = "transparency" in image.info and mode in ("1", "L", "RGB", "P")
    if has_palette or mode in ("RGBX", "RGBa", "La"):
        image = image.convert("RGBA" if has_key or mode in ("PA", "RGBa", "La") else "RGB")
    elif has_key:
        image = image.convert("RGBA" if mode == "RGB" else "LA")
    elif mode == "1":
        image = image.convert("L")
    elif mode not in _PLAIN:
        raise PictureError(f"its colours are {mode}, but expected gray or RGB; convert it first")
    array = np.asarray(image)
    if image.mode.startswith("I"):  # 16 bits, which Pillow sometimes reads as 32
        if image.mode == "I" and (array.min() < 0 or array.max() > 65535):
            raise PictureError("its gray has 32 bits, but expected 8 or 16; convert it first")
        array = array.astype(np.uint16)
    return _split(array, image.mode in ("LA", "RGBA"))


def _check_fits(picture: Picture, format_: str) -> None:
    """Refuse to write what a format other than TIFF cannot hold."""
    if len(picture.pages) > 1:
        raise PictureError(f"{len(picture.pages)} pages do not fit into {format_}; write TIFF")
    colours, alpha = picture.pages[0]
    is_plain = colours.ndim == 2 and alpha is None
    fits = colours.dtype == np.uint8 or (
        colours.dtype == np.uint16 and (format_ == "PNG" or (is_plain and format_ in _DEEP_GRAY))
    )
    if not fits:
        n_channels = (1 if colours.ndim == 2 else 3) + (alpha is not None)
        raise PictureError(
            f"{colours.dtype} in {n_channels} channel(s) does not fit into {format_}; give"
            " --dtype uint8, or write TIFF"
        )
    if alpha is not None and format_ not in _WITH_ALPHA:
        raise PictureError(f"alpha does not fit into {format_}; write PNG")


def _write_pillow(picture: Picture, file: io.BytesIO, format_: str) -> None:
    """Write all but TIFF."""
    from PIL import Image

    options = dict(picture.extras)
    if format_ != "JPEG":
        options.pop("subsampling", None)
    if format_ in ("JPEG", "WEBP"):
        options["quality"] = JPEG_QUALITY
    pixels = _join(picture.pages[0])
    if format_ == "PNG" and pixels.dtype == np.uint16 and pixels.ndim == 3:
        file.write(deep_png.encode(pixels, options))
    else:
        Image.fromarray(pixels).save(file, format_, **options)


# TIFF ---------------------------------------------------------------------------------------------


def _read_tiff(path: Path) -> Picture:
    """Read a TIFF, all its pages."""
    import tifffile

    with tifffile.TiffFile(path) as tiff:
        pages: list[Any] = list(tiff.pages)
        first = pages[0]
        try:
            read = [_page_of_tiff(page) for page in pages]
        except _NotDecodedError as error:
            read = _decode_by_pillow(path, first, str(error))
        extras = {}
        if first.iccprofile:
            extras["icc_profile"] = first.iccprofile
        if "XResolution" in first.tags:
            extras["dpi"] = _dpi(first)
        words = first.description
        if words.startswith('{"shape"'):  # tifffile's own, of how the pages lay in memory
            words = ""
        return Picture(read, "TIFF", extras, first.compression != 1, words or None)


class _NotDecodedError(Exception):
    """A TIFF that tifffile cannot decode by itself."""


def _page_of_tiff(page: Any) -> Page:
    """Return the pixels of a page, with 0 for black."""
    kinds = (_MINISWHITE, _MINISBLACK, _RGB)
    if page.photometric not in kinds or str(page.dtype) not in _TIFF_DTYPES:
        raise _NotDecodedError(f"its colours are {getattr(page.photometric, 'name', '?')}")
    if page.bitspersample % 8:
        raise _NotDecodedError(f"it has {page.bitspersample} bits a sample")
    try:
        array = page.asarray()
    except ValueError as error:  # most compressions need a package of their own
        raise _NotDecodedError(str(error)) from error
    if page.axes == "SYX":
        array = np.moveaxis(array, 0, -1)
    elif page.axes not in ("YX", "YXS"):
        raise PictureError(f"its axes are {page.axes}, but expected rows, columns and colours")
    if page.photometric == _MINISWHITE and array.dtype.kind == "u":
        array = np.iinfo(array.dtype).max - array
    n_colours = 3 if page.photometric == _RGB else 1
    n_channels = 1 if array.ndim == 2 else array.shape[-1]
    if n_channels - n_colours not in (0, 1):
        raise PictureError(f"it has {n_channels} samples a pixel, but expected gray or RGB(A)")
    return _split(array, n_channels > n_colours)


def _decode_by_pillow(path: Path, first: Any, why: str) -> list[Page]:
    """Let Pillow's libtiff decode what it knows without a loss of bits."""
    from PIL import Image, ImageSequence

    if first.bitspersample > 8 and first.samplesperpixel > 1:
        raise PictureError(f"{why}; pip install imagecodecs, or convert it")
    with Image.open(path) as image:
        return [_page_of(page) for page in ImageSequence.Iterator(image)]


def _dpi(page: Any) -> tuple[float, float]:
    """Return the resolution in dots an inch."""
    unit = 2.54 if page.tags.valueof("ResolutionUnit", default=2) == 3 else 1.0
    across, down = (page.tags.valueof(f"{axis}Resolution", default=(72, 1)) for axis in "XY")
    return across[0] / max(across[1], 1) * unit, down[0] / max(down[1], 1) * unit


def _write_tiff(picture: Picture, file: io.BytesIO) -> None:
    """Write a TIFF, all its pages."""
    import tifffile

    options: dict[str, Any] = {"metadata": None, "contiguous": False}
    if picture.is_compressed:
        options["compression"] = "zlib"
    if "icc_profile" in picture.extras:
        options["iccprofile"] = picture.extras["icc_profile"]
    if "dpi" in picture.extras:
        options["resolution"], options["resolutionunit"] = picture.extras["dpi"], "INCH"
    with tifffile.TiffWriter(file) as tiff:
        for page in picture.pages:
            colours = "rgb" if page.colours.ndim == 3 else "minisblack"
            alpha = None if page.alpha is None else ["unassalpha"]
            words = picture.description if page is picture.pages[0] else None
            tiff.write(
                _join(page), photometric=colours, extrasamples=alpha, description=words, **options
            )
