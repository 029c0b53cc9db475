"""Exif metadata: its preview, its orientation, and its way from one format to another.

The bytes are kept in their places, since notes of camera makers contain offsets.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sklearn_histeq._cli.files.tiff_directories import (
    EXIF_IFD,
    GPS_IFD,
    Directory,
    Layout,
    read_layout,
    write_layout,
)

PREFIX = b"Exif\0\0"
ORIENTATION = 274
# description, make, model, resolution, unit, software, date, artist, computer, copyright
_IN_BOTH = (270, 271, 272, ORIENTATION, 282, 283, 296, 305, 306, 315, 316, 33432)


def layout_of(exif: bytes) -> Layout | None:
    """Return the directories of Exif metadata, or None if they are damaged."""
    try:
        return read_layout(exif.removeprefix(PREFIX))
    except (ValueError, KeyError, struct.error):
        return None


def without_preview(exif: bytes) -> bytes:
    """Return the metadata without the preview, which would show the old picture."""
    prefix, data = (
        (PREFIX if exif.startswith(PREFIX) else b""),
        bytearray(exif.removeprefix(PREFIX)),
    )
    layout = layout_of(exif)
    if layout is None or len(layout.directories) < 2:
        return exif
    entries = layout.directories[1].entries
    if 513 in entries and 514 in entries:  # the preview's offset and length
        start, n_bytes = (layout.numbers(entries[tag])[0] for tag in (513, 514))
        data[start : start + n_bytes] = bytes(len(data[start : start + n_bytes]))
    first = layout.directories[0].offset
    n_entries = struct.unpack_from(layout.order + "H", data, first)[0]
    end = first + 2 + 12 * n_entries
    data[end : end + 4] = bytes(4)  # no directory follows
    return prefix + bytes(data)


def orientation_of(exif: bytes | None) -> int:
    """Return how the picture is to be turned: 1 for not at all, to 8."""
    layout = None if exif is None else layout_of(exif)
    if layout is None or not layout.directories:
        return 1
    entry = layout.directories[0].entries.get(ORIENTATION)
    try:
        value = 1 if entry is None else int(layout.numbers(entry)[0])
    except (KeyError, IndexError, struct.error):
        return 1
    return value if 1 <= value <= 8 else 1


def turned(array: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Return the pixels as they are to be seen."""
    if orientation in (5, 6, 7, 8):
        array = np.swapaxes(array, 0, 1)
    flip_rows, flip_columns = orientation in (3, 4, 7, 8), orientation in (2, 3, 6, 7)
    if flip_rows:
        array = array[::-1]
    return array[:, ::-1] if flip_columns else array


def from_tiff(layout: Layout) -> bytes:
    """Return the metadata of a TIFF file's first page for other formats."""
    first = layout.directories[0]
    small = Directory({tag: first.entries[tag] for tag in _IN_BOTH if tag in first.entries})
    small.children = {t: first.children[t] for t in (EXIF_IFD, GPS_IFD) if t in first.children}
    if not small.entries and not small.children:
        return b""
    return PREFIX + write_layout(Layout(layout.order, directories=[small]))
