"""The directories of a TIFF file, read and written with every tag as it was.

A TIFF file is a chain of image file directories (IFDs). A directory lists tags, may refer to other
directories (SubIFDs, Exif, GPS), and refers to the segments (strips or tiles) of its pixels. The
libraries drop tags that they do not know, so the directories are copied here, byte for byte. Exif
metadata in other formats is a TIFF file without pixels.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from sklearn_histeq._cli.errors import PictureError

SUB_IFDS, EXIF_IFD, GPS_IFD, INTEROPERABILITY_IFD = 330, 34665, 34853, 40965
_POINTERS = (SUB_IFDS, EXIF_IFD, GPS_IFD, INTEROPERABILITY_IFD)
_SEGMENTS = ((273, 279), (324, 325))  # offsets and byte counts of strips and of tiles
_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_TYPE_BYTES |= {16: 8, 17: 8, 18: 8}
_NUMBERS = {1: "B", 3: "H", 4: "I", 11: "f", 12: "d", 13: "I", 16: "Q", 18: "Q"}
SHORT, LONG, RATIONAL, UNDEFINED, LONG8 = 3, 4, 5, 7, 16


class Entry(NamedTuple):
    """One tag: its TIFF type, the number of values, and their bytes."""

    type: int
    n_values: int
    data: bytes


@dataclass
class Directory:
    """One image file directory, without the offsets that depend on the place in the file."""

    entries: dict[int, Entry] = field(default_factory=dict)
    repeated: list[tuple[int, Entry]] = field(default_factory=list)  # tags that stand twice
    children: dict[int, list[Directory]] = field(default_factory=dict)
    segments: list[bytes] | None = None
    first_bytes: int | None = None  # what the tags mention of a single segment with further planes
    offset: int = 0  # in the file that it was read from

    def walk(self) -> Iterator[Directory]:
        """Yield the directory and all below it."""
        yield self
        for children in self.children.values():
            for child in children:
                yield from child.walk()


@dataclass
class Layout:
    """Byte order ("<" or ">") and offset size of a file, and its chain of directories."""

    order: Literal["<", ">"] = "<"
    is_big: bool = False
    directories: list[Directory] = field(default_factory=list)

    def numbers(self, entry: Entry) -> tuple[int, ...]:
        """Return the values of a tag of unsigned integers or floats."""
        return struct.unpack(f"{self.order}{entry.n_values}{_NUMBERS[entry.type]}", entry.data)

    def entry(self, type_: int, *values: float) -> Entry:
        """Return a tag with such values; two integers make a RATIONAL."""
        code, n = ("I", len(values) // 2) if type_ == RATIONAL else (_NUMBERS[type_], len(values))
        return Entry(type_, n, struct.pack(f"{self.order}{len(values)}{code}", *values))

    def walk(self) -> Iterator[Directory]:
        """Yield all directories."""
        for directory in self.directories:
            yield from directory.walk()


def read_layout(data: bytes) -> Layout:
    """Read the directories of a file; raise ValueError or struct.error if it is damaged."""
    orders: dict[bytes, Literal["<", ">"]] = {b"II": "<", b"MM": ">"}
    if data[:2] not in orders:
        raise ValueError("no TIFF")
    order = orders[data[:2]]
    version = struct.unpack_from(order + "H", data, 2)[0]
    if version not in (42, 43):
        raise ValueError("no TIFF")
    layout = Layout(order, version == 43)
    start = struct.unpack_from(
        order + ("Q" if layout.is_big else "I"), data, 8 if layout.is_big else 4
    )
    _Reader(data, layout).read_chain(start[0], layout.directories)
    return layout


class _Reader:
    """Reads the directories of one file."""

    def __init__(self, data: bytes, layout: Layout) -> None:
        self._data, self._layout = data, layout
        self._seen: set[int] = set()
        self._offset_code = "Q" if layout.is_big else "I"
        self._counts = ("Q", 8, 20) if layout.is_big else ("H", 2, 12)

    def read_chain(self, offset: int, directories: list[Directory]) -> None:
        """Read a directory and those that follow it."""
        while offset:
            if offset in self._seen:
                raise ValueError("its directories form a circle")
            self._seen.add(offset)
            directory = Directory(offset=offset)
            offset = self._read(directory)
            directories.append(directory)

    def _unpack(self, code: str, offset: int) -> tuple[int, ...]:
        """Read numbers at an offset."""
        return struct.unpack_from(self._layout.order + code, self._data, offset)

    def _read(self, directory: Directory) -> int:
        """Read one directory, and return the offset of the next."""
        code, start, size = self._counts
        n_entries = self._unpack(code, directory.offset)[0]
        place = directory.offset + start
        for k in range(n_entries):
            tag, entry = self._read_entry(place + k * size)
            if tag in directory.entries:
                directory.repeated.append((tag, entry))
            else:
                directory.entries[tag] = entry
        for tag in [tag for tag in _POINTERS if tag in directory.entries]:
            children: list[Directory] = []
            for offset in self._layout.numbers(directory.entries[tag]):
                self.read_chain(offset, children)
            directory.children[tag] = children
        for codes in _SEGMENTS:
            if codes[0] in directory.entries and codes[1] in directory.entries:
                pairs = zip(
                    *(self._layout.numbers(directory.entries[c]) for c in codes), strict=True
                )
                directory.segments = [self._data[start : start + n] for start, n in pairs]
        return self._unpack(self._offset_code, place + n_entries * size)[0]

    def _read_entry(self, place: int) -> tuple[int, Entry]:
        """Read one tag."""
        tag, type_, count = self._unpack("HH" + self._offset_code, place)
        n_bytes = _TYPE_BYTES[type_] * count
        room = 8 if self._layout.is_big else 4
        start = place + 4 + room
        if n_bytes > room:
            start = self._unpack(self._offset_code, start)[0]
        data = self._data[start : start + n_bytes]
        if len(data) < n_bytes:
            raise ValueError("it is cut short")
        return tag, Entry(type_, count, data)


def write_layout(layout: Layout) -> bytes:
    """Return the file of some directories."""
    return _Writer(layout).write()


class _Writer:
    """Writes directories, each after what it refers to."""

    def __init__(self, layout: Layout) -> None:
        self._layout, self._out = layout, bytearray()
        self._code, self._room = ("Q", 8) if layout.is_big else ("I", 4)

    def write(self) -> bytes:
        """Return the whole file."""
        mark = b"II" if self._layout.order == "<" else b"MM"
        version = "HHH" if self._layout.is_big else "H"
        values = (43, 8, 0) if self._layout.is_big else (42,)
        self._out += mark + struct.pack(self._layout.order + version, *values)
        self._write_chain(self._layout.directories, len(self._out))
        if not self._layout.is_big and len(self._out) >= 2**32:
            raise PictureError("it would have more than 4 GiB, which needs a BigTIFF file")
        return bytes(self._out)

    def _write_chain(self, directories: list[Directory], link: int) -> None:
        """Write directories; each offset goes to `link`, the place after the directory before."""
        self._out[link : link + self._room] = bytes(self._room)
        for directory in directories:
            offset, next_link = self._write_directory(directory)
            self._out[link : link + self._room] = self._pack(offset)
            link = next_link

    def _pack(self, *offsets: int) -> bytes:
        """Return offsets or sizes as bytes."""
        return struct.pack(
            f"{self._layout.order}{len(offsets)}{self._code}",
            *(n % 2 ** (8 * self._room) for n in offsets),
        )

    def _put(self, data: bytes) -> int:
        """Append data at an even offset, and return that."""
        self._out += bytes(len(self._out) % 2)
        offset = len(self._out)
        self._out += data
        return offset

    def _write_directory(self, directory: Directory) -> tuple[int, int]:
        """Write one directory; return its offset and the place for the offset of the next."""
        entries = dict(directory.entries)
        for tag, children in directory.children.items():
            offsets = [self._write_child(child) for child in children]
            entries[tag] = self._offsets(offsets, like=entries.get(tag))
        if directory.segments is not None:
            codes = _SEGMENTS[1] if _SEGMENTS[1][0] in entries else _SEGMENTS[0]
            entries[codes[0]] = self._offsets(
                [self._put(segment) for segment in directory.segments]
            )
            n_bytes = [directory.first_bytes or len(segment) for segment in directory.segments]
            entries[codes[1]] = self._offsets(n_bytes)
        listed = sorted([*entries.items(), *directory.repeated], key=lambda item: item[0])
        body = b"".join(self._entry(tag, entry) for tag, entry in listed)
        count = struct.pack(self._layout.order + ("Q" if self._layout.is_big else "H"), len(listed))
        offset = self._put(count + body + bytes(self._room))
        return offset, len(self._out) - self._room

    def _write_child(self, child: Directory) -> int:
        """Write a directory that is not part of a chain."""
        return self._write_directory(child)[0]

    def _offsets(self, values: list[int], like: Entry | None = None) -> Entry:
        """Return a tag of offsets or byte counts."""
        type_ = LONG8 if self._layout.is_big else LONG
        if like is not None and like.type in (13, 18):
            type_ = 18 if self._layout.is_big else 13
        return Entry(type_, len(values), self._pack(*values))

    def _entry(self, tag: int, entry: Entry) -> bytes:
        """Return a tag as it stands in a directory; long values go elsewhere."""
        value = entry.data
        if len(value) > self._room:
            value = self._pack(self._put(value))
        head = struct.pack(self._layout.order + "HH", tag, entry.type) + self._pack(entry.n_values)
        return head + value.ljust(self._room, b"\0")
