"""The directories of a TIFF file: their sizes, checked before anything is read, and new tags.

A TIFF file is a chain of image file directories (IFDs). A directory lists tags, may refer to other
directories (SubIFDs, Exif, GPS), and refers to the segments (strips or tiles) of its pixels. Exif
metadata in other formats is a TIFF file without pixels. Its bytes stay in their places, since notes
of camera makers contain offsets; only the preview is overwritten.
"""

from __future__ import annotations

import io
import struct
from typing import Any, BinaryIO, NamedTuple

from tifffile import TIFF, TiffFormat

from sklearn_histeq._cli.errors import PictureError
from sklearn_histeq._cli.files.picture import BLOCK_BYTES, METADATA_BYTES

TEXT, SHORT, LONG, LONG8 = 2, 3, 4, 16
_OFFSETS = {LONG: "I", 13: "I", LONG8: "Q", 18: "Q"}  # the types of offsets
_SUB_IFDS = 330
_POINTERS = (_SUB_IFDS, 34665, 34853, 40965)  # and Exif, GPS, interoperability
_MOST_DIRECTORIES = 2**17
EXIF_PREFIX = b"Exif\0\0"
_PREVIEW = (513, 514)  # its offset and length

Tags = dict[int, tuple[int, Any] | None]  # types and values (bytes or numbers), None to remove
Link = tuple[int, str]  # where a file has an offset, and the type of that


class Entry(NamedTuple):
    """One tag: its TIFF type, the number of values, and where their bytes are."""

    type: int = LONG
    n_values: int = 0
    place: int = 0
    n_bytes: int = 0


class Directory(NamedTuple):
    """One image file directory."""

    layout: TiffFormat  # the sizes of numbers in the file
    link: Link
    start: int  # of the number of its tags
    end: int  # of its tags, where the link to the next directory stands
    entries: dict[int, Entry]  # of a tag that stands twice, the first

    def entry(self, tag: int) -> Entry:
        """Return a tag, which is empty if it is not there."""
        return self.entries.get(tag, Entry())

    def ranges(self) -> list[tuple[int, int]]:
        """Return the parts of a file that the directory and the values of its tags take."""
        values = [(entry.place, entry.place + entry.n_bytes) for entry in self.entries.values()]
        room = self.layout.offsetsize
        return [(0, 2 * room), (self.start, self.end + room), *values]

    def change(self, data: bytearray, tags: Tags) -> None:
        """Write and remove tags; a directory of another size moves to the end of the file.

        Where several directories are changed, the last goes first, since the chain to a directory
        starts in the one before.
        """
        layout, row = self.layout, _row(self.layout)
        start = self.start + layout.tagnosize
        rows = list(row.iter_unpack(data[start : self.end]))
        n_before = len(rows)
        for tag, found in tags.items():
            rows = [one for one in rows if one[0] != tag]
            if found is not None:
                type_, values = found
                n, is_text = len(values), type_ == TEXT
                code = f"{n}s" if is_text else TIFF.DATA_FORMATS[type_] * n
                value = struct.pack(layout.byteorder + code, *([values] if is_text else values))
                if len(value) > layout.tagoffsetthreshold:
                    value = struct.pack(layout.offsetformat, append(data, value))
                rows.append((tag, type_, n, value))
        table = b"".join(row.pack(*one) for one in sorted(rows, key=lambda one: one[0]))
        if len(rows) == n_before:
            data[start : self.end] = table
            return
        table = struct.pack(layout.tagnoformat, len(rows)) + table
        offset = append(data, table + data[self.end : self.end + layout.offsetsize])
        struct.pack_into(layout.byteorder + self.link[1], data, self.link[0], offset)


def read_directories(file: BinaryIO) -> list[Directory]:
    """Return the directories of a file without the values of their tags."""
    head = file.read(4)
    kind, order = "BIG" if b"+" in head else "CLASSIC", "BE" if head[:2] == b"MM" else "LE"
    layout: TiffFormat = getattr(TIFF, f"{kind}_{order}")
    found: list[Directory] = []
    seen, n_bytes = {0}, 0
    links = [(layout.offsetsize, layout.offsetformat[1:], True)]
    for place, code, is_needed in links:
        try:
            offset = read_number(file, place, layout.byteorder + code)
            if offset in seen:  # a circle, or the end of the chain
                continue
            seen.add(offset)
            directory = _read_directory(file, layout, offset, (place, code))
        except PictureError:
            if is_needed:
                raise
            continue  # damaged Exif metadata stay as they are
        for tag in _POINTERS:  # only directories with pixels are needed
            type_, n, place, size = directory.entry(tag)
            places = range(place, place + size, size // n) if n and type_ in _OFFSETS else []
            links += [(one, _OFFSETS[type_], is_needed and tag == _SUB_IFDS) for one in places]
        links.append((directory.end, layout.offsetformat[1:], is_needed))
        n_bytes += sum(entry.n_bytes for entry in directory.entries.values())
        found.append(directory)
        if n_bytes > METADATA_BYTES or len(found) > _MOST_DIRECTORIES:
            raise PictureError(f"its tags promise more than {METADATA_BYTES} bytes")
    return found


def _read_directory(file: BinaryIO, layout: TiffFormat, offset: int, link: Link) -> Directory:
    """Return a directory, if it promises no more than is read."""
    n_entries, row = read_number(file, offset, layout.tagnoformat), _row(layout)
    start, total = offset + layout.tagnosize, 0
    if n_entries > 4096:
        raise PictureError(f"it is damaged: a directory promises {n_entries} tags")
    table = read_number(file, start, f"{n_entries * row.size}s")
    entries: dict[int, Entry] = {}
    for k, (tag, type_, n, value) in enumerate(row.iter_unpack(table), 1):
        n_bytes = struct.calcsize("=" + TIFF.DATA_FORMATS.get(type_, "")) * n
        total += n_bytes
        if n_bytes > (2**14 if tag in _POINTERS else BLOCK_BYTES) or total > METADATA_BYTES:
            raise PictureError(f"its tag {tag} promises {n_bytes} bytes, more than are read")
        place = start + k * row.size - layout.offsetsize
        if n_bytes > layout.tagoffsetthreshold:
            place = struct.unpack(layout.offsetformat, value)[0]
        entries.setdefault(tag, Entry(type_, n, place, n_bytes))
    return Directory(layout, link, offset, start + len(table), entries)


def _row(layout: TiffFormat) -> struct.Struct:
    """Return what a directory has of each tag."""
    return struct.Struct(layout.tagformat1 + layout.tagformat2[1:])


def read_number(file: BinaryIO, place: int, code: str) -> Any:
    """Read a number, or bytes, at a place of a file."""
    file.seek(min(place, 2**40))  # some systems have no places far beyond a file
    data = file.read(struct.calcsize(code))
    if len(data) < struct.calcsize(code):
        raise PictureError("it is damaged: the file is cut short")
    return struct.unpack(code, data)[0]


def append(data: bytearray, more: bytes | memoryview) -> int:
    """Write at an even offset at the end of a file, and return that."""
    data += bytes(len(data) % 2) + more
    return len(data) - len(more)


def without_preview(exif: bytes) -> bytes:
    """Return the metadata without the preview, which would show the old picture."""
    prefix = EXIF_PREFIX if exif.startswith(EXIF_PREFIX) else b""
    data = bytearray(exif.removeprefix(EXIF_PREFIX))
    try:
        first, *others = read_directories(io.BytesIO(data))
        for second in others:
            if second.link[0] == first.end:
                places = [second.entry(tag).place for tag in _PREVIEW]
                code = first.layout.byteorder + "I"
                start, n = (read_number(io.BytesIO(data), one, code) for one in places)
                data[start : start + n] = bytes(len(data[start : start + n]))
                data[first.end : first.end + 4] = bytes(4)  # no directory follows
    except (PictureError, ValueError):  # damaged metadata stay as they are
        return exif
    return prefix + bytes(data)
