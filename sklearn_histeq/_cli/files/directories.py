"""The directories of a TIFF file: their sizes, checked before anything is read, and new tags.

A TIFF file is a chain of image file directories (IFDs). A directory lists tags, may refer to other
directories (SubIFDs, Exif, GPS), and refers to the segments (strips or tiles) of its pixels. Exif
metadata in other formats is a TIFF file without pixels.
"""

from __future__ import annotations

import struct
from typing import Any, BinaryIO, Literal, NamedTuple

from sklearn_histeq._cli.errors import PictureError
from sklearn_histeq._cli.files.picture import BLOCK_BYTES, METADATA_BYTES

SHORT, LONG, LONG8 = 3, 4, 16
_SUB_IFDS = 330
_POINTERS = (_SUB_IFDS, 34665, 34853, 40965)  # and Exif, GPS, interoperability
_TYPE_BYTES = dict(enumerate((1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4), 1)) | {16: 8, 17: 8, 18: 8}
_OFFSET_TYPES = (LONG, 13, LONG8, 18)
_CODES = {SHORT: "H", LONG: "I", LONG8: "Q"}  # of numbers that are written
_WIDTHS = {4: "I", 8: "Q"}
_MOST_DIRECTORIES = 2**17

Tags = dict[int, tuple[int, Any]]  # types and values


class Entry(NamedTuple):
    """One tag: its TIFF type, the number of values, and where their bytes are."""

    type: int
    n_values: int
    place: int
    n_bytes: int


class Directory(NamedTuple):
    """One image file directory."""

    offset: int
    link: tuple[int, int]  # where the file has this offset, and in how many bytes
    next_link: tuple[int, int]
    entries: dict[int, Entry]  # of a tag that stands twice, the first

    def ranges(self) -> list[tuple[int, int]]:
        """Return the parts of the file that the directory and the values of its tags take."""
        values = [(entry.place, entry.place + entry.n_bytes) for entry in self.entries.values()]
        return [(self.offset, sum(self.next_link)), *values]


class Layout(NamedTuple):
    """How a file has its numbers."""

    order: Literal["<", ">"]
    room: int  # how many bytes an offset has, and how many of a value stand in the directory itself

    @property
    def offset(self) -> str:
        """The type of an offset."""
        return _WIDTHS[self.room]

    @property
    def head(self) -> str:
        """The type of the number of tags, which a directory starts with."""
        return self.order + ("Q" if self.room == 8 else "H")

    @property
    def row(self) -> str:
        """What a directory has of each tag, but for its value."""
        return f"{self.order}HH{self.offset}"


def read_directories(file: BinaryIO) -> tuple[Layout, list[Directory]]:
    """Return the layout of a file, and its directories without the values of their tags."""
    head = file.read(8).ljust(8)
    order: Literal["<", ">"] = ">" if head[:2] == b"MM" else "<"
    version = struct.unpack_from(order + "H", head, 2)[0]
    if version not in (42, 43):
        raise PictureError("it is damaged: its first bytes are no TIFF's")
    layout = Layout(order, 8 if version == 43 else 4)
    found: list[Directory] = []
    seen, n_bytes = {0}, 0
    links = [((layout.room, layout.room), True)]
    for link, is_needed in links:
        try:
            offset = _number(file, order + _WIDTHS[link[1]], link[0])
            if offset in seen:  # a circle, or the end of the chain
                continue
            seen.add(offset)
            directory, pointers = _read_directory(file, layout, offset, link)
        except PictureError:
            if is_needed:
                raise
            continue  # damaged Exif metadata stay as they are
        n_bytes += sum(entry.n_bytes for entry in directory.entries.values())
        found.append(directory)
        links += [*pointers, (directory.next_link, is_needed)]
        if n_bytes > METADATA_BYTES or len(found) > _MOST_DIRECTORIES:
            raise PictureError(f"its tags promise more than {METADATA_BYTES} bytes")
    return layout, found


def _read_directory(
    file: BinaryIO, layout: Layout, offset: int, link: tuple[int, int]
) -> tuple[Directory, list[tuple[tuple[int, int], bool]]]:
    """Return a directory, and the links to those below it; only those with pixels are needed."""
    n_entries = _number(file, layout.head, offset)
    if n_entries > 4096:
        raise PictureError(f"it is damaged: a directory promises {n_entries} tags")
    start, size = offset + struct.calcsize(layout.head), struct.calcsize(layout.row) + layout.room
    table = file.read(n_entries * size)
    if len(table) < n_entries * size:
        raise PictureError("it is damaged: the file is cut short")
    entries: dict[int, Entry] = {}
    pointers, total = [], 0
    for k in range(0, len(table), size):
        tag, type_, count = struct.unpack_from(layout.row, table, k)
        n_bytes, inside = _TYPE_BYTES.get(type_, 0) * count, k + size - layout.room
        place = start + inside
        if n_bytes > layout.room:
            place = struct.unpack_from(layout.order + layout.offset, table, inside)[0]
        total += n_bytes
        most = 2**14 if tag in _POINTERS else BLOCK_BYTES
        if n_bytes > most or total > METADATA_BYTES:
            raise PictureError(f"its tag {tag} promises {n_bytes} bytes, more than are read")
        entries.setdefault(tag, Entry(type_, count, place, n_bytes))
        if tag in _POINTERS and type_ in _OFFSET_TYPES:
            width = _TYPE_BYTES[type_]
            places = range(place, place + n_bytes, width)
            pointers += [((one, width), tag == _SUB_IFDS) for one in places]
    return Directory(offset, link, (start + len(table), layout.room), entries), pointers


def _number(file: BinaryIO, code: str, place: int) -> int:
    """Read a number at a place of a file."""
    size = struct.calcsize(code)
    file.seek(min(place, 2**40))  # some systems have no places far beyond a file
    data = file.read(size)
    if len(data) < size:
        raise PictureError("it is damaged: the file is cut short")
    return int(struct.unpack(code, data)[0])


def add_tags(file: BinaryIO, layout: Layout, directory: Directory, tags: Tags) -> None:
    """Write a directory anew at the end of the file, with more tags of integers.

    Where several directories get new tags, the last goes first, since the chain to a directory
    starts in the one before.
    """
    place, size = directory.next_link[0], struct.calcsize(layout.row) + layout.room
    file.seek(directory.offset + struct.calcsize(layout.head))
    table, following = file.read(place - file.tell()), file.read(layout.room)
    rows = [table[k : k + size] for k in range(0, len(table), size)]
    for tag, (type_, values) in tags.items():
        data = struct.pack(f"{layout.order}{len(values)}{_CODES[type_]}", *values)
        if len(data) > layout.room:
            data = struct.pack(layout.order + layout.offset, append(file, data))
        row = struct.pack(layout.row, tag, type_, len(values)) + data.ljust(layout.room, b"\0")
        rows = [*(one for one in rows if one[:2] != row[:2]), row]
    rows.sort(key=lambda row: struct.unpack_from(layout.order + "H", row))
    offset = append(file, struct.pack(layout.head, len(rows)) + b"".join(rows) + following)
    link, width = directory.link
    file.seek(link)
    file.write(struct.pack(layout.order + _WIDTHS[width], offset))


def append(file: BinaryIO, data: bytes) -> int:
    """Write at an even offset at the end of the file, and return that."""
    offset = file.seek(0, 2)
    offset += file.write(bytes(offset % 2))
    file.write(data)
    return offset
