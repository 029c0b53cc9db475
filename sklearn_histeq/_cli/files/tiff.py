"""TIFF: every tag of every page is kept as it was, except those that describe the pixels.

tifffile reads the pixels; they are written with the same strips or tiles, compression and byte
order into a copy of the directories. Whatever could only be written with a loss is refused.
"""

from __future__ import annotations

import io
import math
import struct
import zlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from sklearn_histeq._cli.errors import PictureError
from sklearn_histeq._cli.files import exif
from sklearn_histeq._cli.files.picture import Metadata, Page, Picture, join_alpha
from sklearn_histeq._cli.files.tiff_directories import (
    LONG,
    RATIONAL,
    SHORT,
    UNDEFINED,
    Directory,
    Entry,
    Layout,
    read_layout,
    write_layout,
)
from sklearn_histeq._cli.files.tiff_segments import (
    BY_PILLOW,
    COMPRESSIONS,
    DEFLATE,
    HORIZONTAL,
    NONE,
    Arrangement,
    decompress_by_pillow,
    encode_segments,
)

_WIDTH, _LENGTH, _BITS, _COMPRESSION, _PHOTOMETRIC, _FILL_ORDER = 256, 257, 258, 259, 262, 266
_SAMPLES, _ROWS_PER_STRIP, _MIN_SAMPLE, _MAX_SAMPLE, _PLANAR = 277, 278, 280, 281, 284
_X_RESOLUTION, _Y_RESOLUTION, _RESOLUTION_UNIT, _PREDICTOR, _EXTRA = 282, 283, 296, 317, 338
_FORMAT, _XMP, _ICC, _NODATA = 339, 700, 34675, 42113
_LIMITS = (340, 341)  # SMinSampleValue and SMaxSampleValue, which have the type of the pixels
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _COLOR = 0, 1, 2  # photometric interpretations
_ASSOCIATED, _UNASSOCIATED = 1, 2  # kinds of alpha among the extra samples
_STRIP_BYTES = 2**16
# Tags that other formats do not need to keep: they describe the pixels, or are kept in other ways.
_STRUCTURE = {*range(254, 260), 262, 266, 273, 274, 277, 278, 279, 282, 283, 284, 296, 317}
_STRUCTURE |= {322, 323, 324, 325, 338, 339, _XMP, _ICC, 34665, 34853, 270, 271, 272, 305, 306, 315}
_STRUCTURE |= {316, 33432, 280, 281, 297, *_LIMITS}


def read(data: bytes) -> Picture:
    """Read a TIFF with all its pages."""
    layout = read_layout(data)
    directories = [d for d in layout.walk() if d.segments is not None]
    arrays = _read_arrays(data, layout, directories)
    decoded = [_page(d, layout, a) for d, a in zip(directories, arrays, strict=True)]
    n_planes = [len(pages) for pages in decoded]
    if not all(n_planes) or not n_planes:
        raise PictureError("it has no pixels")

    def with_pages(pages: list[Page]) -> bytes:
        changed, rest = {}, iter(pages)
        for directory, n in zip(directories, n_planes, strict=True):
            changed[id(directory)] = _with_pixels(layout, directory, [next(rest) for _ in range(n)])
        return write_layout(
            replace(layout, directories=[_copy(d, changed) for d in layout.directories])
        )

    pages = [page for group in decoded for page in group]
    return Picture("TIFF", pages, _metadata(layout), with_pages)


def encode(page: Page, metadata: Metadata) -> bytes:
    """Return a new TIFF, with the Exif metadata of another format."""
    layout = (metadata.exif and exif.layout_of(metadata.exif)) or Layout()
    first = layout.directories[0] if layout.directories else Directory()
    pixels = np.atleast_3d(join_alpha(page))
    height, width, n = pixels.shape
    bits = layout.entry(SHORT, *[8 * pixels.itemsize] * n)
    rows = max(1, _STRIP_BYTES // (width * n * pixels.itemsize))
    entries = {_WIDTH: layout.entry(LONG, width), _LENGTH: layout.entry(LONG, height)}
    entries |= {_BITS: bits, _COMPRESSION: layout.entry(SHORT, DEFLATE[0])}
    color = _COLOR if page.colors.ndim == 3 else _BLACK_IS_ZERO
    entries |= {_PHOTOMETRIC: layout.entry(SHORT, color), _SAMPLES: layout.entry(SHORT, n)}
    entries |= {
        _ROWS_PER_STRIP: layout.entry(LONG, rows),
        _FORMAT: _format(layout, pixels.dtype, n),
    }
    if page.alpha is not None:
        entries[_EXTRA] = layout.entry(SHORT, _UNASSOCIATED)
    if metadata.icc is not None:
        entries[_ICC] = Entry(UNDEFINED, len(metadata.icc), metadata.icc)
    if metadata.xmp is not None:
        entries[_XMP] = Entry(1, len(metadata.xmp), metadata.xmp)
    if metadata.dpi is not None:
        across, down = (layout.entry(RATIONAL, round(100 * dpi), 100) for dpi in metadata.dpi)
        entries |= {_X_RESOLUTION: across, _Y_RESOLUTION: down}
        entries[_RESOLUTION_UNIT] = layout.entry(SHORT, 2)
    directory = Directory(first.entries | entries, children=first.children, segments=[])
    changed = _with_pixels(layout, directory, [page])
    return write_layout(Layout(layout.order, directories=[changed]))


# Reading ------------------------------------------------------------------------------------------


def _read_arrays(data: bytes, layout: Layout, directories: list[Directory]) -> list[NDArray[Any]]:
    """Return the samples of each directory, (n_planes, rows, columns, samples)."""
    for directory in directories:
        _check_readable(layout, directory)
    offsets = [directory.offset for directory in directories]
    if any(_first(layout, d, _COMPRESSION, NONE) in BY_PILLOW for d in directories):
        data, offsets = _decompressed(layout)
    with tifffile.TiffFile(io.BytesIO(data)) as tiff:
        pages = {page.offset: page for page in _all_pages(tiff)}
        if set(offsets) - set(pages):
            raise PictureError("it has pixels in directories of an unknown kind")
        if len(tiff.pages) == 1 and len(directories) == 1:
            series, first = tiff.series[0], tiff.pages.first
            if series.size > first.size:  # further planes follow the only directory's pixels
                return [_samples_last(first, series.asarray())]
        return [_samples_last(pages[offset], pages[offset].asarray()) for offset in offsets]


def _all_pages(tiff: Any) -> Iterator[Any]:
    """Yield the pages of a file, and those in subdirectories."""
    for page in tiff.pages:
        yield page
        if page.subifds:
            yield from page.pages


def _samples_last(page: Any, array: NDArray[Any]) -> NDArray[Any]:
    """Return the samples of a page as (n_planes, rows, columns, samples)."""
    rows, columns, samples = page.imagelength, page.imagewidth, page.samplesperpixel
    if page.planarconfig == 2 and samples > 1:
        return np.moveaxis(array.reshape(-1, samples, rows, columns), 1, -1)
    return array.reshape(-1, rows, columns, samples)


def _check_readable(layout: Layout, directory: Directory) -> None:
    """Refuse pixels that cannot be written again without a loss."""
    compression = _first(layout, directory, _COMPRESSION, NONE)
    if compression not in COMPRESSIONS:
        raise PictureError(
            f"its compression ({_name('COMPRESSION', compression)}) cannot be written again; save"
            " it with deflate, LZW or no compression"
        )
    kind = _first(layout, directory, _PHOTOMETRIC, _BLACK_IS_ZERO)
    if kind not in (_WHITE_IS_ZERO, _BLACK_IS_ZERO, _COLOR):
        name = _name("PHOTOMETRIC", kind)
        raise PictureError(f"its colors are {name}, but expected gray or RGB; convert it first")
    bits = set(layout.numbers(directory.entries[_BITS])) if _BITS in directory.entries else {1}
    if len(bits) > 1 or bits & {1, 2, 4} or max(bits) % 8 or max(bits) == 24:
        raise PictureError(
            f"it has {', '.join(map(str, sorted(bits)))} bits per sample, but expected 8, 16, 32 or"
            " 64; convert it first"
        )
    if _first(layout, directory, _FILL_ORDER, 1) != 1:
        raise PictureError("its bits are in reverse order (FillOrder); save it again without that")
    if _first(layout, directory, _PREDICTOR, 1) > HORIZONTAL:
        raise PictureError(
            "it has a predictor for floats, which cannot be written; save it without"
        )


def _name(registry: str, value: int) -> str:
    """Return the name of a value of a tag."""
    try:
        return str(getattr(tifffile, registry)(value).name)
    except ValueError:
        return str(value)


def _first(layout: Layout, directory: Directory, tag: int, default: int) -> int:
    """Return the first value of a tag."""
    entry = directory.entries.get(tag)
    return default if entry is None else int(layout.numbers(entry)[0])


def _page(directory: Directory, layout: Layout, array: NDArray[Any]) -> list[Page]:
    """Return the pages of a directory, nearly always one, with 0 for black and alpha apart."""
    alpha = _alpha_index(layout, directory, array.shape[-1])
    nodata = _nodata(directory)
    array = array.astype(array.dtype.newbyteorder("="))
    is_inverted = _is_inverted(layout, directory)
    if is_inverted and nodata is not None:
        nodata = np.iinfo(array.dtype).max - nodata
    pages = []
    for plane in array:
        colors = plane if alpha is None else np.delete(plane, alpha, axis=-1)
        if is_inverted:
            colors = np.iinfo(colors.dtype).max - colors
        colors = colors[..., 0] if colors.shape[-1] == 1 else colors
        pages.append(Page(colors, None if alpha is None else plane[..., alpha], nodata))
        if alpha is not None:
            kinds = _extra_samples(layout, directory, plane.shape[-1])
            _check_alpha(plane[..., alpha], _ASSOCIATED in kinds)
    return pages


def _is_inverted(layout: Layout, directory: Directory) -> bool:
    """Tell whether 0 is white."""
    kind = _first(layout, directory, _PHOTOMETRIC, _BLACK_IS_ZERO)
    return kind == _WHITE_IS_ZERO and _dtype(layout, directory).kind == "u"


def _extra_samples(layout: Layout, directory: Directory, n_samples: int) -> list[int]:
    """Return the kinds of the samples beyond gray or RGB."""
    n_colors = 3 if _first(layout, directory, _PHOTOMETRIC, _BLACK_IS_ZERO) == _COLOR else 1
    entry = directory.entries.get(_EXTRA)
    kinds = [] if entry is None else [int(kind) for kind in layout.numbers(entry)]
    n_extra = max(0, n_samples - n_colors)
    return (kinds + [0] * n_extra)[:n_extra]


def _alpha_index(layout: Layout, directory: Directory, n_samples: int) -> int | None:
    """Return which sample is alpha; the others, near infrared for example, are equalized."""
    kinds = _extra_samples(layout, directory, n_samples)
    found = [k for k, kind in enumerate(kinds) if kind in (_ASSOCIATED, _UNASSOCIATED)]
    if len(found) > 1:
        raise PictureError(f"it has {len(found)} alpha channels, but expected one at most")
    return n_samples - len(kinds) + found[0] if found else None


def _check_alpha(alpha: NDArray[Any], is_associated: bool) -> None:
    """Refuse colors that were multiplied by alpha."""
    top = np.iinfo(alpha.dtype).max if alpha.dtype.kind in "iu" else 1
    if is_associated and not (alpha == top).all():
        raise PictureError(
            "its colors are multiplied by alpha (associated alpha); save it with unassociated alpha"
        )


def _nodata(directory: Directory) -> float | None:
    """Return the value of missing pixels that GDAL writes."""
    entry = directory.entries.get(_NODATA)
    if entry is None:
        return None
    text = entry.data.split(b"\0")[0].decode("latin-1").strip()
    try:
        return float(text)
    except ValueError:
        raise PictureError(f"its GDAL_NODATA is {text!r}, but expected a number") from None


def _metadata(layout: Layout) -> Metadata:
    """Return what other formats may keep."""
    entries = layout.directories[0].entries
    found = Metadata(exif.from_tiff(layout) or None)
    found.icc = entries[_ICC].data if _ICC in entries else None
    found.xmp = entries[_XMP].data if _XMP in entries else None
    unit = _first(layout, layout.directories[0], _RESOLUTION_UNIT, 2)
    if _X_RESOLUTION in entries and _Y_RESOLUTION in entries and unit in (2, 3):
        ratios = [struct.unpack(layout.order + "II", entries[tag].data) for tag in (282, 283)]
        factor = 1.0 if unit == 2 else 2.54
        found.dpi = tuple(a / max(b, 1) * factor for a, b in ratios)
    others = sorted(set(entries) - _STRUCTURE)
    if others:
        found.others.append("the TIFF tags " + ", ".join(map(str, others)))
    return found


# Writing ------------------------------------------------------------------------------------------


def _copy(directory: Directory, changed: dict[int, Directory]) -> Directory:
    """Return a directory and those below it, with the changed ones in their places."""
    children = {tag: [_copy(c, changed) for c in kids] for tag, kids in directory.children.items()}
    return replace(changed.get(id(directory), directory), children=children)


def _with_pixels(layout: Layout, directory: Directory, pages: list[Page]) -> Directory:
    """Return a directory with the pixels of its pages, and tags that fit them."""
    planes = [_all_samples(layout, directory, page) for page in pages]
    height, width, n = planes[0].shape
    dtype = planes[0].dtype
    entries = dict(directory.entries)
    entries[_BITS] = layout.entry(SHORT, *[8 * dtype.itemsize] * n)
    old_dtype = _dtype(layout, directory)
    if dtype != old_dtype:
        entries[_FORMAT] = _format(layout, dtype, n)
        if set(_LIMITS) & set(entries):
            raise PictureError("its tag SMaxSampleValue does not fit another --dtype; remove it")
    for tag, function in ((_MIN_SAMPLE, np.min), (_MAX_SAMPLE, np.max)):
        if tag in entries and dtype.kind == "u" and dtype.itemsize <= 2:
            values = [int(function([plane[..., k] for plane in planes])) for k in range(n)]
            entries[tag] = layout.entry(SHORT, *values)
    samples = _arrangement(layout, directory, (height, width, n), dtype)
    if len(planes) > 1:  # further planes follow the only directory's pixels
        data = b"".join(plane.astype(samples.dtype).tobytes() for plane in planes)
        entries[_ROWS_PER_STRIP] = layout.entry(LONG, height)
        return replace(
            directory, entries=entries, segments=[data], first_bytes=len(data) // len(planes)
        )
    return replace(directory, entries=entries, segments=list(encode_segments(samples, planes[0])))


def _all_samples(layout: Layout, directory: Directory, page: Page) -> NDArray[Any]:
    """Return (rows, columns, samples) as they are in the file."""
    colors = page.colors
    if _is_inverted(layout, directory):
        colors = (np.iinfo(colors.dtype).max if colors.dtype.kind == "u" else 1) - colors
    samples = np.atleast_3d(colors)
    if page.alpha is None:
        return samples
    alpha = _alpha_index(layout, directory, samples.shape[-1] + 1)
    return np.insert(samples, samples.shape[-1] if alpha is None else alpha, page.alpha, axis=-1)


def _dtype(layout: Layout, directory: Directory) -> np.dtype[Any]:
    """Return the type of a directory's samples."""
    bits = _first(layout, directory, _BITS, 8)
    kind = {1: "u", 2: "i", 3: "f"}.get(_first(layout, directory, _FORMAT, 1), "u")
    return np.dtype(f"{kind}{bits // 8}")


def _format(layout: Layout, dtype: np.dtype[Any], n_samples: int) -> Entry:
    """Return the tag SampleFormat."""
    return layout.entry(SHORT, *[{"u": 1, "i": 2, "f": 3}[dtype.kind]] * n_samples)


def _arrangement(
    layout: Layout, directory: Directory, shape: tuple[int, int, int], dtype: np.dtype[Any]
) -> Arrangement:
    """Return how samples are arranged in a directory's segments."""
    is_tiled = 322 in directory.entries
    if is_tiled:
        segment = _first(layout, directory, 323, 0), _first(layout, directory, 322, 0)
    else:
        segment = min(shape[0], _first(layout, directory, _ROWS_PER_STRIP, shape[0])), shape[1]
    return Arrangement(
        dtype.newbyteorder(layout.order),
        shape,
        segment,
        is_tiled,
        _first(layout, directory, _PLANAR, 1) == 2 and shape[2] > 1,
        _first(layout, directory, _COMPRESSION, NONE),
        _first(layout, directory, _PREDICTOR, 1),
    )


def _decompressed(layout: Layout) -> tuple[bytes, list[int]]:
    """Return a file without LZW and PackBits, and the offsets of its directories with pixels."""
    changed = {}
    for directory in layout.walk():
        compression = _first(layout, directory, _COMPRESSION, NONE)
        if directory.segments is not None and compression in BY_PILLOW:
            # tifffile undoes a predictor only where there is a compression
            entries = directory.entries | {_COMPRESSION: layout.entry(SHORT, DEFLATE[0])}
            how = _how_read(layout, directory)
            segments = []
            for (row, _, samples), data in zip(how.parts(), directory.segments, strict=True):
                rows = how.segment[0] if how.is_tiled else min(how.segment[0], how.shape[0] - row)
                sizes = (rows, how.segment[1], samples.stop - samples.start, how.dtype.itemsize)
                raw = decompress_by_pillow(data, compression, math.prod(sizes))
                segments.append(zlib.compress(raw, 0))
            changed[id(directory)] = replace(directory, entries=entries, segments=segments)
    copy = replace(layout, directories=[_copy(d, changed) for d in layout.directories])
    data = write_layout(copy)
    return data, [d.offset for d in read_layout(data).walk() if d.segments is not None]


def _how_read(layout: Layout, directory: Directory) -> Arrangement:
    """Return how samples are arranged in the segments that were read."""
    sizes = (_first(layout, directory, tag, 1) for tag in (_LENGTH, _WIDTH, _SAMPLES))
    height, width, n = sizes
    return _arrangement(layout, directory, (height, width, n), _dtype(layout, directory))
