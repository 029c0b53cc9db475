"""TIFF, in place: directories stay, and only segments and tags that describe pixels change.

tifffile reads directories and overwrites tags, and imagecodecs decompresses and compresses. What
libraries call damaged and fill up is refused: every segment must be there, with all its bytes.
"""

from __future__ import annotations

import io
import itertools
import json
import math
import re
from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import tifffile
from numpy.typing import NDArray

from sklearn_histeq._cli.errors import PictureError
from sklearn_histeq._cli.files import directories as ifd
from sklearn_histeq._cli.files.picture import (
    METADATA_BYTES,
    Page,
    Picture,
    Source,
    imagecodecs,
    join_alpha,
)

_WIDTH, _LENGTH, _BITS, _COMPRESSION, _PHOTOMETRIC, _DESCRIPTION = 256, 257, 258, 259, 262, 270
_SAMPLES, _ROWS_PER_STRIP, _EXTRA, _FORMAT = 277, 278, 338, 339
_GDAL, _NODATA, _PLANES_OF_STK = 42112, 42113, 33629
_STRIPS, _TILES = (273, 279), (324, 325)  # offsets and byte counts
_NEEDED = {*range(256, 260), 262, *_STRIPS, 277, 278, 284, 317, *range(322, 326), _EXTRA, _FORMAT}
_LIMITS = {280: np.min, 281: np.max, 340: np.min, 341: np.max}  # tags with the range of samples
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _COLOR = 0, 1, 2  # photometric interpretations
_ASSOCIATED, _UNASSOCIATED = 1, 2  # kinds of alpha among the extra samples
_PLAIN, _PACKBITS = 1, 32773
_COMPRESSIONS = {_PLAIN, 5, 8, 32946, _PACKBITS, 34925, 50000}  # LZW, deflate, LZMA, ZSTD
_KINDS = {"u": 1, "i": 2, "f": 3}  # SampleFormat
_PIXEL_TYPES = {"u1": 1, "u2": 3, "u4": 4, "i1": 6, "i2": 8, "i4": 9, "f4": 11, "f8": 12}
_STATISTICS = re.compile(rb'\s*<Item name="STATISTICS_[^<]*</Item>')

_Shape = tuple[int, int, int]


class _Plane:
    """The pixels of a directory, of which ImageJ and tifffile have several one after the other."""

    def __init__(self, page: Any, directory: ifd.Directory, order: Literal["<", ">"]) -> None:
        self.page, self.directory, self.n_planes = page, directory, 1
        self.native = np.dtype(page.dtype)
        self.dtype = self.native.newbyteorder(order)
        self.shape: _Shape = (page.imagelength, page.imagewidth, page.samplesperpixel)
        self.n_bytes = math.prod(self.shape) * self.dtype.itemsize
        self.is_tiled = _TILES[0] in directory.entries
        self.codes = _TILES if self.is_tiled else _STRIPS
        # tifffile's own attribute leaves some out
        self.offsets: tuple[int, ...] = page.tags.valueof(self.codes[0]) or ()
        strip = page.rowsperstrip if 0 < page.rowsperstrip < self.shape[0] else self.shape[0]
        tile = (page.tilelength, page.tilewidth)
        self.segment = tile if self.is_tiled else (strip, self.shape[1])
        # of signed numbers and floats it says nothing about the range
        self.is_inverted = page.photometric == _WHITE_IS_ZERO and self.dtype.kind == "u"
        self.n_colors = 3 if page.photometric == _COLOR else 1  # others may be alpha, or infrared
        self.step = 1 if page.planarconfig == 2 else self.shape[2]
        kinds = enumerate(page.extrasamples, self.n_colors)
        self.alphas = [k for k, kind in kinds if kind in (_ASSOCIATED, _UNASSOCIATED)]

    def parts(self) -> Iterator[tuple[int, int, slice, _Shape]]:
        """Yield the first row and column, the samples and the shape of each segment."""
        (rows, columns, n), (height, width) = self.shape, self.segment
        places = (range(0, n, self.step), range(0, rows, height), range(0, columns, width))
        for sample, row, column in itertools.product(*places):
            h = height if self.is_tiled else min(height, rows - row)
            yield row, column, slice(sample, sample + self.step), (h, width, self.step)

    def places(self, n_file_bytes: int) -> Iterator[tuple[int, int]]:
        """Yield the offset and the number of bytes of each segment."""
        counts = self.page.tags.valueof(self.codes[1]) or [None] * len(self.offsets)
        for offset, count, (*_, shape) in zip(self.offsets, counts, self.parts(), strict=True):
            # without a count, a compressed segment may go up to the end of the file
            is_plain = self.page.compression == _PLAIN
            rest = math.prod(shape) * self.dtype.itemsize if is_plain else n_file_bytes - offset
            yield offset, rest if count is None else count

    def text(self, data: bytes, tag: int) -> bytes:
        """Return the bytes of a tag, if it is there."""
        entry = self.directory.entries.get(tag, ifd.Entry(0, 0, 0, 0))
        return data[entry.place : entry.place + entry.n_bytes]


def read(source: Source) -> Picture:
    """Read a TIFF with all its pages."""
    layout, directories = ifd.read_directories(source.file)
    planes = _planes(source, layout, directories)
    data = source.whole(sum(plane.n_bytes * plane.n_planes for plane in planes))
    pages = [_page(data, plane, array) for plane in planes for array in _samples(data, plane)]

    def with_pages(pages: list[Page]) -> bytes:
        file = io.BytesIO(data)
        _rewrite(file, layout, _Room(file, directories, planes), planes, pages)
        return file.getvalue()

    return Picture("TIFF", data, pages, with_pages)


def _planes(source: Source, layout: ifd.Layout, directories: list[ifd.Directory]) -> list[_Plane]:
    """Return what tifffile says of the directories with pixels, checked."""
    source.file.seek(0)
    tiff = tifffile.TiffFile(source.file)
    planes: list[_Plane] = []
    n_pixels = n_parts = 0
    for directory in directories:
        if not {_WIDTH, _LENGTH} <= set(directory.entries):
            continue
        tiff.filehandle.seek(directory.offset)
        page = tifffile.TiffPage(tiff, index=0)
        if bad := [t for t in _NEEDED & set(directory.entries) if page.tags.get(t) is None]:
            raise PictureError(f"it is damaged: its tag {bad[0]} cannot be read")
        _check_kind(page)
        plane = _Plane(page, directory, layout.order)
        rows, columns, n = plane.shape
        n_pixels += rows * columns * max(4, n) // 4
        n_parts += 1 + len(plane.offsets)
        source.check_pixels(min(rows, columns, 1) * n_pixels, 1)
        if n_parts > 2**14 + n_pixels // 256:
            raise PictureError(f"its {n_pixels} pixels are in more than {n_parts} strips or tiles")
        _check_arrangement(plane, source.n_bytes)
        plane.n_planes = _n_planes(source.n_bytes, plane, len(directories))
        source.check_pixels(n_pixels * plane.n_planes, 1)
        planes.append(plane)
    if not planes:
        raise PictureError("it has no pixels")
    return planes


def _check_kind(page: Any) -> None:
    """Refuse pixels that cannot be written again without a loss."""
    bits = sorted(set(np.atleast_1d(page.bitspersample).tolist()))
    shown, kind = ", ".join(map(str, bits)), getattr(page.dtype, "kind", "")
    compression = getattr(page.compression, "name", page.compression)
    colors = getattr(page.photometric, "name", page.photometric)
    is_stk = _PLANES_OF_STK in page.tags and page.tags[_PLANES_OF_STK].count > 1
    if page.compression not in _COMPRESSIONS:
        what = f"its compression ({compression}) cannot be written again"
        raise PictureError(f"{what}; save it with deflate, LZW or no compression")
    if page.photometric not in (_WHITE_IS_ZERO, _BLACK_IS_ZERO, _COLOR):
        raise PictureError(f"its colors are {colors}, but expected gray or RGB; convert it first")
    if len(bits) > 1 or bits[0] not in (8, 16, 32, 64):
        what = f"it has {shown} bits per sample, but expected 8, 16, 32 or 64"
        raise PictureError(f"{what}; convert it first")
    if kind not in ("u", "i", "f") or page.predictor not in ((1, 2, 3) if kind == "f" else (1, 2)):
        raise PictureError("it is damaged, or its SampleFormat or Predictor is unknown")
    if page.fillorder != 1 or page.imagedepth != 1 or is_stk:
        raise PictureError("its FillOrder, ImageDepth or STK planes are not read; convert it first")
    if page.compression != _PLAIN:
        imagecodecs(f"its compression ({compression})")


def _n_planes(n_file_bytes: int, plane: _Plane, n_directories: int) -> int:
    """Return how many planes follow each other at the only directory's place.

    ImageJ and tifffile write stacks like this, and say so in the description, which is stale if
    another program has changed the picture.
    """
    page, text = plane.page, plane.page.description
    found = re.match(r"ImageJ=(?s:.*)^images=(\d{1,9})\s*$", text, re.MULTILINE)
    promised = int(found[1]) if found else 1
    if text.startswith('{"shape":'):
        try:
            promised = math.prod(map(int, json.loads(text)["shape"])) // math.prod(plane.shape)
        except (ValueError, TypeError, KeyError, OverflowError):
            return 1
    if promised < 2:
        return 1
    sizes = [math.prod(shape) * plane.dtype.itemsize for *_, shape in plane.parts()]
    offsets = itertools.accumulate(sizes[:-1], initial=plane.offsets[0])
    is_single = n_directories == 1 and page.compression == _PLAIN and not plane.is_tiled
    n_found = (n_file_bytes - plane.offsets[0]) // plane.n_bytes
    if n_found < 2 or not is_single or [*offsets] != [*plane.offsets]:
        return 1
    if n_found < promised:
        raise PictureError(f"it is damaged: it has {n_found} of {promised} planes")
    return promised


def _check_arrangement(plane: _Plane, n_file_bytes: int) -> None:
    """Refuse samples and segments that contradict each other, or the size of the file."""
    page, n = plane.page, plane.shape[2]
    counts = {tag: entry.n_values for tag, entry in plane.directory.entries.items()}
    is_odd = any(counts.get(tag, 1) not in (1, n) for tag in (_BITS, _FORMAT))
    if is_odd or n < plane.n_colors + len(page.extrasamples):
        raise PictureError(f"it is damaged: it has not {n} samples per pixel")
    if len(plane.alphas) > 1:
        raise PictureError(f"it has {len(plane.alphas)} alpha channels, but expected one at most")
    size = math.prod(plane.segment) * plane.step * plane.dtype.itemsize
    if min(plane.segment) < 1 or size > 2 * plane.n_bytes + METADATA_BYTES:
        raise PictureError("it is damaged: its strips or tiles have an impossible size")
    rows, columns = (-(-a // b) for a, b in zip(plane.shape, plane.segment, strict=False))
    if len(plane.offsets) != rows * columns * (n // plane.step):
        raise PictureError("it is damaged: it lacks strips or tiles")
    total = 0
    for k, (offset, count) in enumerate(plane.places(n_file_bytes)):
        total += count
        if offset < 8 or count < 1 or offset + count > n_file_bytes:
            raise PictureError(f"it is damaged: its strip or tile {k} is missing or cut short")
    if total > 2 * plane.n_bytes + 2**24:
        raise PictureError("it is damaged: its strips or tiles share their bytes")


# Reading ------------------------------------------------------------------------------------------


def _samples(data: bytes, plane: _Plane) -> Iterator[NDArray[Any]]:
    """Yield the samples (rows, columns, samples) of each plane of a directory."""
    rows, columns, _ = plane.shape
    if plane.n_planes > 1:
        start, stack = plane.offsets[0], (plane.n_planes, *plane.shape)
        planes = np.frombuffer(data, plane.dtype, math.prod(stack), start).reshape(stack)
        yield from planes.astype(plane.native)
        return
    array = np.zeros(plane.shape, plane.native)  # takes memory as it is filled
    places = plane.places(len(data))
    for (row, column, samples, shape), place in zip(plane.parts(), places, strict=True):
        values = _decoded(data, plane, place, shape)[: rows - row, : columns - column]
        array[row : row + shape[0], column : column + shape[1], samples] = values
    yield array


def _decoded(data: bytes, plane: _Plane, place: tuple[int, int], shape: _Shape) -> NDArray[Any]:
    """Return the samples of a segment."""
    page, size = plane.page, math.prod(shape) * plane.dtype.itemsize
    raw: Any = data[place[0] : sum(place)]
    if page.compression != _PLAIN:
        most = size // shape[0] * plane.segment[0]  # the last strip may go on below the picture
        try:
            raw = tifffile.TIFF.DECOMPRESSORS[page.compression](raw, out=most)
        except RuntimeError as error:
            raise PictureError("it is damaged: a strip or tile cannot be decompressed") from error
    if len(raw) < size:
        raise PictureError("it is damaged: a strip or tile ends early")
    values = np.frombuffer(raw, plane.dtype, math.prod(shape)).reshape(shape)
    if page.predictor == 1 or page.compression in (_PLAIN, _PACKBITS):
        return values
    if page.predictor == 3:
        return imagecodecs("its predictor").floatpred_decode(values, axis=-2)
    bits = values.astype(plane.native).view(f"u{values.itemsize}")
    return np.cumsum(bits, axis=1, dtype=bits.dtype).view(plane.native)


def _page(data: bytes, plane: _Plane, colors: NDArray[Any]) -> Page:
    """Return a page with 0 for black, and alpha apart."""
    dtype, alpha, nodata = colors.dtype, None, None
    top = np.iinfo(dtype).max if dtype.kind in "iu" else 1
    if text := plane.text(data, _NODATA).split(b"\0")[0].decode("latin-1").strip():
        try:
            nodata = float(text)  # the value of missing pixels, by GDAL
        except ValueError:
            raise PictureError(f"its GDAL_NODATA is {text!r}, but expected a number") from None
        if dtype.kind == "f" and math.isfinite(nodata):  # as the type has it
            most = float(np.finfo(dtype).max)
            nodata = float(dtype.type(min(max(nodata, -most), most)))
    for k in plane.alphas:
        colors, alpha = np.delete(colors, k, axis=-1), colors[..., k]
        is_associated = plane.page.extrasamples[k - plane.n_colors] == _ASSOCIATED
        if is_associated and not (alpha == top).all():
            what = "its colors are multiplied by alpha (associated alpha)"
            raise PictureError(f"{what}; save it with unassociated alpha")
    if plane.is_inverted:
        colors, nodata = top - colors, None if nodata is None else top - nodata
    return Page(colors[..., 0] if colors.shape[-1] == 1 else colors, alpha, nodata)


# Writing ------------------------------------------------------------------------------------------


class _Room:
    """Room for segments: first where nothing but old ones were, then at the end of the file."""

    def __init__(
        self, file: io.BytesIO, directories: list[ifd.Directory], planes: list[_Plane]
    ) -> None:
        self._file, self._size = file, file.getbuffer().nbytes
        self._free: list[list[int]] = [[0, 0]]
        ranges = [(*one, False) for directory in directories for one in directory.ranges()]
        for plane in planes:
            for offset, count in plane.places(self._size):
                size = count if plane.n_planes == 1 else plane.n_bytes * plane.n_planes
                ranges.append((offset, offset + size, True))
        end = 0
        ranges = [*sorted(ranges), (self._size, self._size, False)]
        for (start, stop, is_segment), (following, *_) in itertools.pairwise(ranges):
            if is_segment and end <= start and stop <= following:
                if start <= self._free[-1][1] + 1:  # a byte may be between words
                    start = self._free.pop()[0]
                self._free.append([start, stop])
            end = max(end, stop)

    def put(self, segment: bytes) -> int:
        """Write a segment, and return its offset."""
        while self._free and self._free[0][1] - self._free[0][0] < len(segment):
            self.clear(self._free.pop(0))
        if not self._free:
            return ifd.append(self._file, segment)
        offset = self._file.seek(self._free[0][0])
        self._free[0][0] += self._file.write(segment)
        return offset

    def clear(self, *extents: list[int]) -> None:
        """Overwrite old segments with zeros, or cut them off at the end of the file."""
        for start, stop in extents or self._free:
            self._file.seek(start)
            if stop == self._file.getbuffer().nbytes:
                self._file.truncate()
            else:
                self._file.write(bytes(stop - start))


def _rewrite(
    file: io.BytesIO, layout: ifd.Layout, room: _Room, planes: list[_Plane], pages: list[Page]
) -> None:
    """Write other pixels, and tags that fit them."""
    data, rest, added = file.getvalue(), iter(pages), []
    tiff = tifffile.TiffFile(file, mode="r+")
    groups = [[next(rest) for _ in range(plane.n_planes)] for plane in planes]
    stacks = [
        [_all_samples(plane, page) for page in group]
        for plane, group in zip(planes, groups, strict=True)
    ]
    limits = [f([f(_finite(a)) for stack in stacks for a in stack]) for f in (np.min, np.max)]
    for plane, group, arrays in zip(planes, groups, stacks, strict=True):
        tags = _put(room, layout, plane, arrays, group) | _ranges(data, plane, arrays, limits)
        for code in tags.keys() & plane.directory.entries.keys():
            tag, (type_, values) = plane.page.tags.get(code), tags[code]
            if tag is not None:
                tag = tifffile.TiffTag.fromfile(tiff, offset=tag.offset)
                if list(np.atleast_1d(tag.value)) != values:
                    tag.overwrite(values, dtype=type_)
        added.append({c: one for c, one in tags.items() if c not in plane.directory.entries})
    room.clear()
    for plane, tags in zip(reversed(planes), reversed(added), strict=True):
        if tags:
            ifd.add_tags(file, layout, plane.directory, tags)
    if layout.room == 4 and file.getbuffer().nbytes >= 2**32:
        raise PictureError("it would have more than 4 GiB, which needs a BigTIFF file")


def _put(
    room: _Room,
    layout: ifd.Layout,
    plane: _Plane,
    arrays: list[NDArray[Any]],
    pages: list[Page],
) -> ifd.Tags:
    """Write segments, and return the tags that say where they are and what they hold."""
    dtype, n = arrays[0].dtype, plane.shape[2]
    if plane.n_planes > 1:
        in_file = dtype.newbyteorder(layout.order)
        offset = room.put(b"".join(array.astype(in_file).tobytes() for array in arrays))
        counts = [math.prod(shape) * dtype.itemsize for *_, shape in plane.parts()]
        offsets = [*itertools.accumulate(counts[:-1], initial=offset)]
    else:
        segments = ((room.put(one), len(one)) for one in _encoded(layout, plane, arrays[0]))
        offsets, counts = map(list, zip(*segments, strict=True))
    type_ = ifd.LONG8 if layout.room == 8 else ifd.LONG
    tags: ifd.Tags = {plane.codes[0]: (type_, offsets), plane.codes[1]: (type_, counts)}
    if dtype != plane.native:
        tags[_BITS] = ifd.SHORT, [8 * dtype.itemsize] * n
        tags[_FORMAT] = ifd.SHORT, [_KINDS[dtype.kind]] * n
        if plane.is_inverted:
            tags[_PHOTOMETRIC] = ifd.SHORT, [_BLACK_IS_ZERO]
            if _NODATA in plane.directory.entries and pages[0].nodata is not None:
                tags[_NODATA] = 2, b"%g" % pages[0].nodata
    return tags


def _encoded(layout: ifd.Layout, plane: _Plane, array: NDArray[Any]) -> Iterator[bytes]:
    """Yield the strips or tiles of a page; tiles at the edges are filled up."""
    compression = plane.page.compression
    predictor = 1 if compression in (_PLAIN, _PACKBITS) else plane.page.predictor
    in_file = array.dtype.newbyteorder(layout.order)
    for row, column, samples, (height, width, _) in plane.parts():
        part = array[row : row + height, column : column + width, samples]
        missing = [(0, height - part.shape[0]), (0, width - part.shape[1]), (0, 0)]
        part = np.pad(part, missing, mode="edge")
        if predictor == 2:
            bits = part.view(f"u{part.itemsize}")
            part = np.diff(bits, axis=1, prepend=bits.dtype.type(0)).view(part.dtype)
        part = part.astype(in_file, copy=False)
        if predictor == 3:
            part = imagecodecs("its predictor").floatpred_encode(part, axis=-2)
        if compression == _PLAIN:
            yield part.tobytes()
            continue
        # PackBits goes row by row: libtiff reads runs across rows wrongly
        pieces = part if compression == _PACKBITS else [part]
        compress = tifffile.TIFF.COMPRESSORS[compression]
        yield b"".join(bytes(compress(piece.tobytes())) for piece in pieces)


def _all_samples(plane: _Plane, page: Page) -> NDArray[Any]:
    """Return (rows, columns, samples) as they are in the file."""
    colors = page.colors
    if plane.page.predictor == 3 and colors.dtype.kind != "f":
        raise PictureError(f"its predictor is for floats, but not for --dtype {colors.dtype}")
    if plane.is_inverted and colors.dtype == plane.native:
        colors = np.iinfo(colors.dtype).max - colors
    samples = np.atleast_3d(colors)
    if page.alpha is not None:
        samples = np.insert(samples, plane.alphas[0], page.alpha, axis=-1)
    return samples


def _ranges(
    data: bytes, plane: _Plane, arrays: list[NDArray[Any]], of_file: list[float]
) -> ifd.Tags:
    """Return what tags say of the range of the pixels, by which viewers choose white."""
    found: ifd.Tags = {}
    for tag, function in _LIMITS.items():
        entry = plane.directory.entries.get(tag)
        if entry is not None:
            samples = np.moveaxis(np.stack(arrays), -1, 0)
            limits = [function(_finite(one)) for one in samples]
            limits = limits if entry.n_values == len(limits) else [function(limits)]
            type_ = _PIXEL_TYPES.get(arrays[0].dtype.str[1:], 12)
            found[tag] = type_, [limit.item() for limit in limits]
            if tag in (280, 281):
                found[tag] = ifd.SHORT, [int(np.clip(limit, 0, 65535)) for limit in limits]
    text = plane.text(data, _DESCRIPTION)
    if text.startswith(b"ImageJ="):
        for name, limit in zip((b"min", b"max"), of_file, strict=True):
            text = re.sub(rb"(?m)^%s=.*$" % name, b"%s=%r" % (name, float(limit)), text)
        found[_DESCRIPTION] = 2, text
    if _STATISTICS.search(plane.text(data, _GDAL)):
        found[_GDAL] = 2, _STATISTICS.sub(b"", plane.text(data, _GDAL))
    return found


def _finite(values: NDArray[Any]) -> NDArray[Any]:
    """Return the finite values, or a zero if there are none."""
    found = values[np.isfinite(values)]
    return found if found.size else np.zeros(1, values.dtype)


def with_new_size(data: bytes, page: Page) -> bytes:
    """Return a TIFF of the only page of another, with pixels of another size and kind."""
    file = io.BytesIO(data)
    layout, (directory, *_) = ifd.read_directories(file)
    pixels = np.atleast_3d(join_alpha(page))
    height, width, n = pixels.shape
    strip = pixels.astype(pixels.dtype.newbyteorder(layout.order)).tobytes()
    kind = _COLOR if page.colors.ndim == 3 else _BLACK_IS_ZERO
    longs = {_WIDTH: [width], _LENGTH: [height], _ROWS_PER_STRIP: [height]}
    longs |= {_STRIPS[0]: [ifd.append(file, strip)], _STRIPS[1]: [len(strip)]}
    shorts = {_SAMPLES: [n], _COMPRESSION: [_PLAIN], _PHOTOMETRIC: [kind]}
    shorts |= {_BITS: [8 * pixels.itemsize] * n, _FORMAT: [_KINDS[pixels.dtype.kind]] * n}
    shorts |= {} if page.alpha is None else {_EXTRA: [_UNASSOCIATED]}
    tags = {tag: (ifd.LONG, values) for tag, values in longs.items()}
    ifd.add_tags(file, layout, directory, tags | {k: (ifd.SHORT, v) for k, v in shorts.items()})
    return file.getvalue()
