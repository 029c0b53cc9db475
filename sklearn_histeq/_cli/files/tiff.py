"""TIFF, in place: directories stay, and only segments and tags that describe pixels change.

tifffile decodes and encodes the pixels, with imagecodecs if they are compressed, and `directories`
finds and writes tags. Before anything is decoded, every segment must be there.
"""

from __future__ import annotations

import io
import math
import re
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from sklearn_histeq._cli.errors import PictureError
from sklearn_histeq._cli.files import directories as ifd
from sklearn_histeq._cli.files import picture

_WIDTH, _LENGTH, _BITS, _COMPRESSION, _PHOTOMETRIC, _DESCRIPTION = 256, 257, 258, 259, 262, 270
_ROWS, _PREDICTOR, _FORMAT, _PLANES_OF_STK, _GDAL, _NODATA = 278, 317, 339, 33629, 42112, 42113
_STRIPS, _TILES = (273, 279), (324, 325)  # offsets and byte counts
_NEEDED = {*range(256, 260), 262, *_STRIPS, 277, 278, 284, 317, *range(322, 326), 338, _FORMAT}
_OF_PIXELS = {_WIDTH, _LENGTH, _BITS, _ROWS, _PREDICTOR, _FORMAT}
_RANGES = {280, 281, 340, 341}  # the least and the largest sample
_STACK = re.compile(  # by ImageJ and by tifffile
    r'ImageJ=(?s:.*)^images=(?P<n>\d{1,9})\s*$|{[^[]{0,99}"shape": (?P<shape>\[[\d, ]{1,99}\])',
    re.MULTILINE,
)
_STALE = {  # what texts of ImageJ and GDAL say of the range
    _DESCRIPTION: re.compile(rb"(?m)^(?:min|max)=[^\n\0]*\n?"),
    _GDAL: re.compile(rb'\s*<Item name="STATISTICS_[^<]*</Item>'),
}
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _COLOR = 0, 1, 2  # photometric interpretations
_ASSOCIATED, _UNASSOCIATED = 1, 2  # kinds of alpha among the extra samples
_PLAIN, _PACKBITS = 1, 32773
_COMPRESSIONS = {_PLAIN, 5, 8, 32946, _PACKBITS, 34925, 50000}  # LZW, deflate, LZMA, ZSTD
_COLORS, _DEPTHS = (_WHITE_IS_ZERO, _BLACK_IS_ZERO, _COLOR), ("8", "16", "32", "64")
_PREDICTORS = {"u": 2, "i": 2, "f": 3}  # by kind of number
_CONTIGUOUS, _SEPARATE = 1, 2  # planar configurations


class _Plane:
    """The pixels of a directory, as tifffile describes them, and where they are."""

    def __init__(self, page: Any, directory: ifd.Directory) -> None:
        self.page, self.directory = page, directory
        self.shape = (page.imagelength, page.imagewidth, page.samplesperpixel)
        self.dtype = np.dtype(page.dtype)
        self.n_bytes = math.prod(self.shape) * self.dtype.itemsize
        self.codes = _TILES if page.is_tiled else _STRIPS
        found = (np.array(page.tags.valueof(tag) or (), np.int64) for tag in self.codes)
        self.offsets, self.counts = found
        strip = page.rowsperstrip if 0 < page.rowsperstrip < self.shape[0] else self.shape[0]
        tile = page.tilelength, page.tilewidth
        self.segment = tile if page.is_tiled else (strip, self.shape[1])
        # of signed numbers and floats it says nothing about the range
        self.is_inverted = page.photometric == _WHITE_IS_ZERO and self.dtype.kind == "u"
        self.n_colors = 3 if page.photometric == _COLOR else 1  # others may be alpha, or infrared
        kinds = enumerate(page.extrasamples, self.n_colors)
        self.alphas = [k for k, kind in kinds if kind in (_ASSOCIATED, _UNASSOCIATED)]

    def text(self, data: bytes, tag: int) -> bytes:
        """Return the bytes of a tag, if it is there."""
        entry = self.directory.entry(tag)
        return data[entry.place : entry.place + entry.n_bytes]


def read(source: picture.Source) -> picture.Picture:
    """Read a TIFF with all its pages."""
    directories = ifd.read_directories(source.file)
    source.file.seek(0)
    tiff = tifffile.TiffFile(source.file)
    planes: list[_Plane] = []
    n_pixels = n_parts = 0
    for directory in directories:
        if not {_WIDTH, _LENGTH} <= set(directory.entries):
            continue
        tiff.filehandle.seek(directory.start)
        page = tifffile.TiffPage(tiff, index=0)
        _check_kind(page, directory)
        plane = _Plane(page, directory)
        rows, columns, n = plane.shape
        n_pixels += rows * columns * max(4, n) // 4
        n_parts += 1 + plane.offsets.size
        source.check_pixels(min(rows, columns, 1) * n_pixels, 1)
        if n_parts > 2**14 + n_pixels // 256:
            raise PictureError(f"its {n_pixels} pixels are in {n_parts} strips or tiles")
        _check_segments(plane, source.n_bytes)
        planes.append(plane)
    if not planes:
        raise PictureError("it has no pixels")
    data = source.whole(sum(plane.n_bytes for plane in planes))
    if len(directories) == 1:
        _check_single(data, planes[0])
    pages = [_page(data, plane) for plane in planes]
    return picture.Picture(
        "TIFF", data, pages, lambda new: _rewrite(data, directories, planes, new)
    )


def _check_kind(page: Any, directory: ifd.Directory) -> None:
    """Refuse pixels that cannot be written again without a loss."""
    if bad := [t for t in _NEEDED & set(directory.entries) if page.tags.get(t) is None]:
        raise PictureError(f"it is damaged: its tag {bad[0]} cannot be read")
    bits = sorted(set(np.atleast_1d(page.bitspersample).tolist()))
    shown, kind = ", ".join(map(str, bits)), getattr(page.dtype, "kind", "")
    compression = f"its compression ({getattr(page.compression, 'name', page.compression)})"
    colors = getattr(page.photometric, "name", page.photometric)
    is_ragged = page.is_tiled and math.gcd(page.tilelength, page.tilewidth) % 16 > 0
    is_odd = max(page.fillorder, page.imagedepth, directory.entry(_PLANES_OF_STK).n_values) > 1
    for is_wrong, what in (
        (page.compression not in _COMPRESSIONS, f"{compression} cannot be written again"),
        (page.photometric not in _COLORS, f"its colors are {colors}, but expected gray or RGB"),
        (shown not in _DEPTHS, f"it has {shown} bits per sample, but expected 8, 16, 32 or 64"),
        (page.predictor not in (1, _PREDICTORS.get(kind)), "its Predictor is unknown"),
        (kind not in _PREDICTORS, "its SampleFormat is unknown"),
        (page.planarconfig not in (_CONTIGUOUS, _SEPARATE), "its PlanarConfiguration is unknown"),
        (is_ragged, "its tiles have sides that are no multiple of 16"),
        (is_odd, "its FillOrder, ImageDepth or STK planes are not read"),
    ):
        if is_wrong:
            raise PictureError(f"{what}; convert it first")
    if page.compression != _PLAIN:
        picture.imagecodecs(compression)


def _check_segments(plane: _Plane, n_file_bytes: int) -> None:
    """Refuse samples and segments that contradict each other, or the size of the file."""
    page, n, entry = plane.page, plane.shape[2], plane.directory.entry
    is_odd = any(entry(tag).n_values not in (0, 1, n) for tag in (_BITS, _FORMAT))
    if is_odd or n < plane.n_colors + len(page.extrasamples) or len(plane.alphas) > 1:
        raise PictureError(f"it is damaged: it does not have {n} samples, or several alphas")
    n_together = 1 if page.planarconfig == _SEPARATE else n
    size = math.prod(plane.segment) * n_together * plane.dtype.itemsize
    if min(plane.segment) < 1 or size > 2 * plane.n_bytes + picture.METADATA_BYTES:
        raise PictureError("it is damaged: its strips or tiles have an impossible size")
    rows, columns = (-(-a // b) for a, b in zip(plane.shape, plane.segment, strict=False))
    n_parts = rows * columns * (n // n_together)
    rest = n_file_bytes - plane.offsets
    if not plane.counts.size and n_parts == 1:
        # without a count, a segment may go up to the end of the file if it is compressed
        plane.counts = rest if page.compression != _PLAIN else np.minimum(rest, plane.n_bytes)
    if not plane.offsets.size == plane.counts.size == n_parts:
        raise PictureError("it is damaged: it lacks strips or tiles")
    least = size if page.is_tiled and page.compression == _PLAIN else 1
    is_bad = (plane.offsets < 8) | (plane.counts < least) | (plane.counts > rest)
    if is_bad.any():
        k = is_bad.argmax()
        raise PictureError(f"it is damaged: its strip or tile {k} is missing or cut short")
    if plane.counts.sum() > 2 * plane.n_bytes + 2**24:
        raise PictureError("it is damaged: its strips or tiles share their bytes")


def _check_single(data: bytes, plane: _Plane) -> None:
    """Refuse a stack whose planes have one directory, as the description tells if it is true."""
    found = _STACK.match(plane.page.description)
    sides = [int(side) for side in re.findall(r"\d+", found["shape"] or "")] if found else []
    n = math.prod(sides) // math.prod(plane.shape) if sides else int(found["n"]) if found else 1
    if n > 1 and plane.offsets[0] + 2 * plane.n_bytes <= len(data):
        raise PictureError(f"it is a stack of {n} planes in one directory; save them as pages")


def _page(data: bytes, plane: _Plane) -> picture.Page:
    """Return a page with 0 for black, and alpha apart."""
    page = plane.page  # where tifffile leaves out what files lack, or have in another way
    page.dataoffsets, page.databytecounts = plane.offsets.tolist(), plane.counts.tolist()
    page.rowsperstrip = plane.segment[0]
    colors = page.asarray(squeeze=False, maxworkers=1)  # separate samples, depth, ...
    colors = np.moveaxis(colors[:, 0], 0, -1).reshape(plane.shape)
    dtype, alpha, nodata, top = plane.dtype, None, None, picture.largest(plane.dtype)
    if text := plane.text(data, _NODATA).split(b"\0")[0].decode("latin-1").strip():
        nodata = float(text)  # the value of missing pixels, by GDAL
        if dtype.kind == "f" and math.isfinite(nodata):  # as the type has it
            nodata = float(np.clip(nodata, np.finfo(dtype).min, np.finfo(dtype).max).astype(dtype))
    for k in plane.alphas:
        colors, alpha = np.delete(colors, k, axis=-1), colors[..., k]
        if page.extrasamples[k - plane.n_colors] == _ASSOCIATED and not (alpha == top).all():
            raise PictureError("its colors are multiplied by alpha; save it without that")
    if plane.is_inverted:
        colors, nodata = top - colors, None if nodata is None else top - nodata
    return picture.Page(colors[..., 0] if colors.shape[-1] == 1 else colors, alpha, nodata)


# Writing ------------------------------------------------------------------------------------------


def _rewrite(
    data: bytes, directories: list[ifd.Directory], planes: list[_Plane], pages: list[picture.Page]
) -> bytearray:
    """Return a file with other pixels, and tags that fit them."""
    file, room = bytearray(data), directories[0].layout.offsetsize
    arrays = [_all_samples(plane, page) for plane, page in zip(planes, pages, strict=True)]
    encoded = [_encode(plane, array) for plane, array in zip(planes, arrays, strict=True)]
    rest = iter(_put(file, directories, planes, [one for parts, _ in encoded for one in parts]))
    if room == 4 and len(file) >= 2**32:
        raise PictureError("it would have more than 4 GiB, which needs a BigTIFF file")
    starts = [[next(rest) for _ in parts] for parts, _ in encoded]
    every = list(zip(planes, pages, arrays, encoded, starts, strict=True))
    for plane, page, array, (parts, kind), offsets in reversed(every):
        places = offsets, [len(one) for one in parts]
        found = zip(plane.codes, (plane.offsets, plane.counts), places, strict=True)
        type_ = ifd.LONG8 if room == 8 else ifd.LONG
        changed: ifd.Tags = {tag: (type_, new) for tag, old, new in found if old.tolist() != new}
        changed |= _without_ranges(data, plane)
        if (array.shape, array.dtype) != (plane.shape, plane.dtype):
            codes = {*_OF_PIXELS, *([_PHOTOMETRIC] if plane.is_inverted else [])}
            changed |= {tag: kind[tag] for tag in codes & kind.keys()}
            if plane.is_inverted and page.nodata is not None:
                changed[_NODATA] = ifd.TEXT, b"%g\0" % page.nodata
        plane.directory.change(file, changed)
    return file


def _put(
    file: bytearray, directories: list[ifd.Directory], planes: list[_Plane], segments: list[Any]
) -> list[int]:
    """Write segments first where nothing but old ones were, then at the end of the file."""
    is_free, offsets = np.zeros(len(file) + 1, bool), []
    for plane in planes:
        for start, n in zip(plane.offsets.tolist(), plane.counts.tolist(), strict=True):
            is_free[start : start + n + (start + n) % 2] = True  # a byte may be between words
    for directory in directories:
        for start, stop in directory.ranges():
            is_free[start:stop] = False
    np.frombuffer(file, "u1")[is_free[:-1]] = 0
    is_free[-1] = True  # from the end on
    edges = np.flatnonzero(np.diff(is_free, prepend=False, append=False))
    free: list[Any] = edges.reshape(-1, 2).tolist()
    free[-1][1] = math.inf
    for segment in segments:
        while free[0][1] - free[0][0] < len(segment):
            del free[0]
        offsets.append(free[0][0])
        free[0][0] += len(segment)
        file[offsets[-1] : free[0][0]] = segment
    del file[free[-1][0] :]
    return offsets


def _all_samples(plane: _Plane, page: picture.Page) -> NDArray[Any]:
    """Return (rows, columns, samples) as they are in the file."""
    colors = page.colors
    if plane.is_inverted and colors.dtype == plane.dtype:
        colors = picture.largest(colors.dtype) - colors
    samples = np.atleast_3d(colors)
    if page.alpha is not None:
        samples = np.insert(samples, plane.alphas[0], page.alpha, axis=-1)
    return samples


def _encode(plane: _Plane, samples: NDArray[Any]) -> tuple[list[Any], ifd.Tags]:
    """Return strips or tiles of (rows, columns, samples), and the tags that describe them."""
    page, file, n = plane.page, io.BytesIO(), samples.shape[-1]
    pixels = samples[..., 0] if n == 1 else samples
    is_separate = n > 1 and page.planarconfig == _SEPARATE
    has_predictor = page.compression not in (_PLAIN, _PACKBITS) and page.predictor != 1
    rows = plane.segment[0] if samples.shape == plane.shape else len(samples)
    tifffile.imwrite(
        file,
        np.moveaxis(pixels, -1, 0) if is_separate else pixels,
        byteorder=plane.directory.layout.byteorder,
        compression=page.compression,
        metadata=None,
        photometric="minisblack",
        planarconfig=page.planarconfig if n > 1 else None,
        predictor=_PREDICTORS[samples.dtype.kind] if has_predictor else None,
        maxworkers=1,
        rowsperstrip=rows,
        tile=plane.segment if page.is_tiled else None,
    )
    file.seek(0)
    with tifffile.TiffFile(file) as tiff:
        page = tiff.pages.first
        places = zip(page.dataoffsets, page.databytecounts, strict=True)
        segments = [file.getbuffer()[offset : offset + n] for offset, n in places]
        found = [tag for tag in page.tags if tag.code in _NEEDED]
        tags: ifd.Tags = {tag.code: (tag.dtype, np.atleast_1d(tag.value).tolist()) for tag in found}
        return segments, tags | {_FORMAT: (ifd.SHORT, [page.sampleformat] * n)}


def _without_ranges(data: bytes, plane: _Plane) -> ifd.Tags:
    """Return tags without the range of the old pixels, by which viewers would choose white."""
    found: ifd.Tags = dict.fromkeys(_RANGES & plane.directory.entries.keys())
    for tag, stale in _STALE.items():
        text = plane.text(data, tag)
        if stale.search(text) and (tag == _GDAL or text.startswith(b"ImageJ=")):
            found[tag] = ifd.TEXT, stale.sub(b"", text)
    return found
