"""Pictures of all kinds: everything but the equalized pixels stays, or the picture is refused.

What was kept is read back by Pillow, tifffile, OpenCV and by hand, never by the package.
"""

from __future__ import annotations

import importlib.util
import io
import re
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from _picture_files import all_files, color, gray
from PIL import Image, JpegImagePlugin

from sklearn_histeq import (
    AdaptiveHistogramEqualizer,
    HistogramEqualizer,
    HistogramMatcher,
    LocalHistogramEqualizer,
)
from sklearn_histeq._cli import main

FILES = dict(all_files())
PAGE = Path(__file__).parents[1] / "docs" / "command_line.md"
COMMANDS = ("equalize", "clahe", "local", "match")
LOSSY = 8  # mean difference of levels after JPEG or lossy WebP

REFUSED = {  # and nothing else is
    "png-unsafe-chunk.png": "its chunk prVT",
    "png-animation.png": "an animation",
    "jpg-trailing.jpg": "other data follow the picture",
    "jpg-cmyk.jpg": "its colors are CMYK",
    "jpg-mpo.jpg": "it holds 2 pictures",
    "jpg-cut.jpg": "damaged",
    "webp-animation.webp": "an animation",
    "bmp-rgba.bmp": "32 bits per pixel",
    "bmp-profile.bmp": "a color profile",
    "bmp-run-lengths.bmp": "coded as runs",
    "pnm-p4.pnm": "PGM or PPM",
    "pnm-two.pgm": "more than one picture",
    "pnm-short.pgm": "cut short",
    "tif-imagej-truncated.tif": "a stack of 4 planes in one directory",
    "tif-truncated.tif": "a stack of 4 planes in one directory",
    "tif-associated.tif": "multiplied by alpha",
    "tif-pillow-jpeg.tif": "its compression (JPEG)",
    "tif-pillow-1.tif": "1 bits per sample",
    "tif-pillow-fax.tif": "its compression (CCITT",
    "tif-pillow-p.tif": "its colors are PALETTE",
    "tif-pillow-cmyk.tif": "its colors are SEPARATED",
    "tif-pillow-lab.tif": "its colors are CIELAB",
}


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def reference(n_channels, dtype="u1"):
    scale = np.iinfo(dtype).max / 255 if np.dtype(dtype).kind in "iu" else 1 / 255
    picture = gray(seed=9) if n_channels == 1 else color(n=3, seed=9)
    scaled = picture * scale
    return (np.rint(scaled) if np.dtype(dtype).kind in "iu" else scaled).astype(dtype)


def expected(command, colors, counted=None, dtype="input"):
    """The colors after a command, by the estimator itself."""
    params = {"channel_axis": -1, "dtype": dtype}
    n_channels = 1 if colors.ndim == 2 else colors.shape[-1]
    estimator = {
        "equalize": lambda: HistogramEqualizer(**params),
        "clahe": lambda: AdaptiveHistogramEqualizer(n_tiles=2, **params),
        "local": lambda: LocalHistogramEqualizer(**params),
        "match": lambda: HistogramMatcher(reference=reference(n_channels, colors.dtype), **params),
    }[command]()
    mask = None if counted is None else counted[None]
    return estimator.transform(colors[None], mask=mask)[0]


def expected_under(command, colors, alpha):
    """The colors after a command; pixels that cannot be seen do not count, and stay."""
    if alpha is None or alpha.all():
        return expected(command, colors)
    seen = alpha != 0
    changed = expected(command, colors, seen)
    return np.where(seen if colors.ndim == 2 else seen[..., None], changed, colors)


def run(capsys, command, name, n_channels=1):
    """Run a command on one file; return whether it was done, and what was said."""
    Image.fromarray(reference(n_channels)).save("reference.png")
    options = {"clahe": ["--n-tiles", "2"], "match": ["--reference", "reference.png"]}
    Path("in").mkdir(exist_ok=True)
    Path("out").mkdir(exist_ok=True)
    Path("in", name).write_bytes(FILES[name])
    capsys.readouterr()
    status = main([command, f"in/{name}", f"out/{name}", *options.get(command, [])])
    said = capsys.readouterr().err
    assert status in (0, 1), said
    if "needs imagecodecs" in said and not importlib.util.find_spec("imagecodecs"):
        pytest.skip("this needs imagecodecs")
    if status == 1:
        assert said.startswith(f"histeq: error: in/{name}: ")
        assert said.count("\n") == 1
        assert not Path("out", name).exists()
        return None, said
    assert said == ""
    return Path("out", name).read_bytes(), said


# Every file is equalized, and goes through one of the other commands, which read and write alike.
RUNS = [
    (command, name)
    for i, name in enumerate(sorted(FILES))
    for command in ("equalize", COMMANDS[1 + i % (len(COMMANDS) - 1)])
]


@pytest.mark.parametrize(("command", "name"), RUNS)
def test_everything_else_is_kept_or_the_picture_is_refused(capsys, command, name):
    suffix = name.split("-")[0]
    before = FILES[name]
    n_channels = None if name in REFUSED else CHANNELS[suffix](before)
    if command == "match" and n_channels not in (1, 3, None):
        pytest.skip("a reference has as many channels")
    after, said = run(capsys, command, name, n_channels or 1)
    assert (after is None) == (name in REFUSED), said
    if after is None:
        assert REFUSED[name] in said
    else:
        COMPARE[suffix](command, before, after)


def test_there_are_many_kinds():
    assert len(FILES) >= 100
    assert len(FILES) - len(REFUSED) >= 100


def opened(data):
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


# PNG ----------------------------------------------------------------------------------------------


def png_chunks(data):
    place, found = 8, []
    while place < len(data) and (not found or found[-1][0] != b"IEND"):
        length, name = struct.unpack_from(">I4s", data, place)
        found.append((name, data[place + 8 : place + 8 + length]))
        place += 12 + length
    return found, data[place:]


def png_pixels(data):
    """Colors and alpha, by OpenCV, or by hand where that does not know transparent colors."""
    chunks, _ = png_chunks(data)
    depth, kind = dict(chunks)[b"IHDR"][8:10]
    key = dict(chunks).get(b"tRNS")
    array = cv2.imdecode(np.frombuffer(data, "u1"), cv2.IMREAD_UNCHANGED)
    if kind == 3:
        array = np.asarray(opened(data).convert("RGBA" if key else "RGB"))
    elif kind == 4 or (kind == 0 and array.ndim == 3):  # OpenCV makes it BGRA
        array = array[..., [0, 3]] if kind == 4 else array[..., 0]
    elif array.ndim == 3:
        array = array[..., [2, 1, 0, 3][: array.shape[-1]]]
    n = {0: 1, 2: 3, 3: 3, 4: 1, 6: 3}[kind]
    colors = array if array.ndim == 2 else array[..., :n]
    colors = colors[..., 0] if colors.ndim == 3 and n == 1 else colors
    alpha = array[..., n] if array.ndim == 3 and array.shape[-1] > n else None
    if key and kind in (0, 2):
        top = 2**depth - 1
        levels = np.array(struct.unpack(f">{n}H", key)) * (np.iinfo(array.dtype).max // top)
        is_key = np.all(np.atleast_3d(colors) == levels, axis=-1)
        alpha = np.where(is_key, 0, np.iinfo(array.dtype).max)
    return colors, alpha


def compare_png(command, before, after):
    colors, alpha = png_pixels(before)
    found, found_alpha = png_pixels(after)
    np.testing.assert_array_equal(found, expected_under(command, colors, alpha), strict=True)
    assert (alpha is None) == (found_alpha is None)
    if alpha is not None:
        np.testing.assert_array_equal(found_alpha, alpha)
    coded = {b"IHDR", b"IDAT", b"tRNS", b"sBIT", b"bKGD", b"iDOT"}
    (chunks, rest), (kept, kept_rest) = png_chunks(before), png_chunks(after)
    header, new_header = dict(chunks)[b"IHDR"], dict(kept)[b"IHDR"]
    if header[9] == 3:
        coded.add(b"PLTE")
    assert rest == kept_rest
    assert header[:8] == new_header[:8]
    assert new_header[8] == max(header[8], 8)
    others, kept_others = ([c for c in cs if c[0] not in coded] for cs in (chunks, kept))
    assert len(others) == len(kept_others)
    for one, other in zip(others, kept_others):
        if b"old picture" in one[1]:
            assert b"old picture" not in other[1]
            assert len(one[1]) == len(other[1])
        else:
            assert one == other
    check_background(dict(chunks), dict(kept))


def check_background(chunks, kept):
    """The background and the significant bits stay, but not for another depth or color type."""
    is_same = chunks[b"IHDR"][8:10] == kept[b"IHDR"][8:10]
    for name in (b"bKGD", b"sBIT"):
        assert kept.get(name) == (chunks.get(name) if is_same else None)


# JPEG ---------------------------------------------------------------------------------------------


def jpeg_segments(data):
    place, found = 2, []
    while data[place + 1] != 0xDA:
        marker, n = struct.unpack_from(">xBH", data, place)
        if marker >= 0xE0:
            found.append((marker, data[place + 4 : place + 2 + n]))
        place += 2 + n
    return found


def compare_jpeg(command, before, after):
    old, new = opened(before), opened(after)
    assert (old.size, old.mode) == (new.size, new.mode)
    sampling = JpegImagePlugin.get_sampling(new)
    if old.mode == "RGB":  # of unusual sampling nothing is lost without sampling
        assert sampling == max(0, JpegImagePlugin.get_sampling(old))
    assert old.info.get("progressive") == new.info.get("progressive")
    segments, kept = jpeg_segments(before), jpeg_segments(after)
    assert [marker for marker, _ in segments] == [marker for marker, _ in kept]
    for (_, one), (_, other) in zip(segments, kept):
        if b"old picture" in one:
            assert b"old picture" not in other
            old_exif, new_exif = (opened(data).getexif() for data in (before, after))
            assert dict(old_exif) == dict(new_exif)
            assert old_exif.get_ifd(34665) == new_exif.get_ifd(34665)
            assert old_exif.get_ifd(34853) == new_exif.get_ifd(34853)
        else:
            assert one == other
    difference = np.asarray(new) - expected(command, np.asarray(old)).astype(float)
    assert np.abs(difference[..., :2]).mean() < 2 * LOSSY


# WebP and BMP -------------------------------------------------------------------------------------


def compare_webp(command, before, after):
    old, new = opened(before), opened(after)
    assert (old.size, old.mode) == (new.size, new.mode)
    assert (b"VP8L" in before) == (b"VP8L" in after)
    for key in ("icc_profile", "xmp"):
        assert old.info.get(key) == new.info.get(key)
    assert dict(old.getexif()) == dict(new.getexif())
    assert old.getexif().get_ifd(34853) == new.getexif().get_ifd(34853)
    assert b"old picture" not in after
    pixels, found = np.asarray(old), np.asarray(new)
    difference = found[..., :3] - expected(command, pixels[..., :3]).astype(float)
    assert np.abs(difference).mean() <= (0 if b"VP8L" in before else 3 * LOSSY)
    np.testing.assert_array_equal(found[..., 3:], pixels[..., 3:])


def compare_bmp(command, before, after):
    old, new = opened(before), opened(after)
    mode = "L" if old.mode in ("1", "L") else "RGB"
    assert (old.size, mode) == (new.size, new.mode)
    assert before[38:46] == after[38:46]  # the resolution
    found = expected(command, np.asarray(old.convert(mode)))
    np.testing.assert_array_equal(np.asarray(new), found)


# PGM and PPM --------------------------------------------------------------------------------------


def pnm_parts(data):
    fields = re.match(rb"(P\d)((?:\s+|#.*\n)+)(\d+) (\d+)\s(\d+)\s", data)
    top = int(fields[5])
    dtype = "u1" if top < 256 else ">u2"
    body = data[fields.end() :]
    values = (
        np.array(body.split(), int) if fields[1] in (b"P2", b"P3") else np.frombuffer(body, dtype)
    )
    n = 3 if fields[1] in (b"P3", b"P6") else 1
    shape = (int(fields[4]), int(fields[3]), *([3] if n == 3 else []))
    return fields[1], re.findall(rb"#.*", fields[2]), top, values.astype(int).reshape(shape)


def compare_pnm(command, before, after):
    magic, comments, top, values = pnm_parts(before)
    found_magic, found_comments, found_top, found = pnm_parts(after)
    assert (magic, comments, top) == (found_magic, found_comments, found_top)
    dtype = np.dtype("u1" if top < 256 else "u2")
    values = values.astype(dtype)
    if command == "match":  # the reference on the scale of the file
        scaled = reference(1 if values.ndim == 2 else 3) / 255 * top
        matcher = HistogramMatcher(
            channel_axis=-1, dtype="input", reference=np.rint(scaled).astype(dtype)
        )
        wanted = matcher.transform(values[None])[0]
    else:  # the estimator on the file's own numbers, and the result on its own scale
        wanted = np.rint(expected(command, values, dtype="float64") * top)
    np.testing.assert_array_equal(found, wanted)


# TIFF ---------------------------------------------------------------------------------------------

CODED = {273, 279, 324, 325}  # where the pixels are
RANGES = {280, 281, 340, 341}  # the least and the largest sample


def tiff_pages(tiff):
    for page in tiff.pages:
        yield page
        if page.subifds:
            yield from page.pages


def tiff_pixels(page, data):
    """(rows, columns, samples); Pillow and OpenCV decompress what tifffile does not."""
    try:
        array = page.asarray()
    except ValueError:  # without imagecodecs
        if page.bitspersample == 8:
            with Image.open(io.BytesIO(data)) as image:
                image.tag_v2[274] = 1  # or Pillow turns the pixels
                array = np.asarray(image)
        else:
            array = cv2.imdecode(np.frombuffer(data, "u1"), cv2.IMREAD_UNCHANGED)
            array = array if array.ndim == 2 else array[..., ::-1]
    if page.planarconfig == 2 and page.samplesperpixel > 1:
        array = np.moveaxis(array, 0, -1)
    array = array.astype(array.dtype.newbyteorder("="))
    return array.reshape(page.imagelength, page.imagewidth, -1)


def tiff_arrays(tiff, data):
    pages = list(tiff_pages(tiff))
    if len(pages) == 1 and tiff.series[0].size > pages[0].size:
        return [plane[..., None] for plane in tiff.series[0].asarray()]
    return [tiff_pixels(page, data) for page in pages]


def compare_tiff(command, before, after):
    with tifffile.TiffFile(io.BytesIO(before)) as old, tifffile.TiffFile(io.BytesIO(after)) as new:
        assert (old.byteorder, old.is_bigtiff) == (new.byteorder, new.is_bigtiff)
        pages, kept = list(tiff_pages(old)), list(tiff_pages(new))
        assert len(pages) == len(kept)
        for page, other in zip(pages, kept):
            tags, other_tags = (
                [tag_of(tag) for tag in p.tags if tag.code not in RANGES] for p in (page, other)
            )
            assert not RANGES & {tag.code for tag in other.tags}  # viewers choose white by them
            assert not re.search("^(min|max)=", other.description, re.M)
            assert tags == other_tags
        arrays, found = tiff_arrays(old, before), tiff_arrays(new, after)
        assert len(arrays) == len(found)
        for array, other in zip(arrays, found):
            compare_samples(command, pages[0], array, other)


def tag_of(tag):
    if tag.code == 270 and tag.value.startswith("ImageJ="):
        return tag.code, re.sub(r"(?m)^(min|max)=.*\n?", "", tag.value).strip()
    if tag.code in CODED or tag.name in ("SubIFDs", "ExifTag", "GPSTag"):
        is_metadata = tag.name in ("ExifTag", "GPSTag") and isinstance(tag.value, dict)
        return tag.code, tag.value if is_metadata else None
    return tag.code, tag.dtype, tag.count, tag.value


def compare_samples(command, page, array, found):
    extras = [int(kind) for kind in page.extrasamples]
    n = array.shape[-1]
    alphas = [n - len(extras) + k for k, kind in enumerate(extras) if kind in (1, 2)]
    bands = [k for k in range(n) if k not in alphas]
    np.testing.assert_array_equal(found[..., alphas], array[..., alphas])
    colors = array[..., bands]
    colors = colors[..., 0] if len(bands) == 1 else colors
    if page.photometric == 0:
        assert colors.dtype == np.uint8
        missing = colors == (7 if "GDAL_NODATA" in page.tags else -1)
        wanted = 255 - expected(command, 255 - colors, ~missing if missing.any() else None)
        wanted = np.where(missing, colors, np.where((wanted == 7) & missing.any(), 6, wanted))
    elif "GDAL_NODATA" in page.tags:
        wanted = with_nodata(command, colors, float(page.tags["GDAL_NODATA"].value))
    else:
        wanted = expected(command, colors)
    np.testing.assert_array_equal(
        found[..., bands], wanted.reshape(found[..., bands].shape), strict=True
    )


def with_nodata(command, colors, nodata):
    missing = colors == nodata
    counted = ~missing if missing.ndim == 2 else ~missing.any(-1)
    if not counted.any():
        return colors
    wanted = expected(command, colors, counted if missing.any() else None)
    if wanted.dtype.kind == "u":
        wanted[wanted == nodata] = nodata + 1
    wanted[missing] = nodata
    return wanted


COMPARE = {
    "png": compare_png,
    "jpg": compare_jpeg,
    "webp": compare_webp,
    "bmp": compare_bmp,
    "pnm": compare_pnm,
    "tif": compare_tiff,
}


def tiff_channels(data):
    with tifffile.TiffFile(io.BytesIO(data)) as tiff:
        page = tiff.pages.first
        return page.samplesperpixel - sum(int(kind) in (1, 2) for kind in page.extrasamples)


CHANNELS = {
    "png": lambda data: 1 if png_pixels(data)[0].ndim == 2 else 3,
    "jpg": lambda data: len(opened(data).getbands()),
    "webp": lambda data: 3,
    "bmp": lambda data: 1 if opened(data).mode in ("1", "L") else 3,
    "pnm": lambda data: 3 if data[:2] in (b"P3", b"P6") else 1,
    "tif": tiff_channels,
}


# The table in the documentation -------------------------------------------------------------------

EXAMPLES = {  # of what a cell says: files with this outcome
    ("depth", "PNG"): {"kept": ["rgb-16", "pillow-i16"], "becomes": ["gray-2-bits", "pillow-1"]},
    ("depth", "JPEG"): {"kept": ["gray"]},
    ("depth", "TIFF"): {"kept": ["gray-u2", "rgb-f4", "gray-i4"], "refused": ["pillow-1"]},
    ("depth", "WebP"): {"kept": ["lossless"]},
    ("depth", "BMP"): {"kept": ["l", "rgb"], "becomes": ["1"]},
    ("depth", "PGM, PPM"): {"kept": ["p5-15.pgm", "p6-1023.ppm"]},
    ("palette", "PNG"): {"becomes": ["pillow-p", "palette-4-bits"]},
    ("palette", "TIFF"): {"refused": ["pillow-p"]},
    ("palette", "BMP"): {"becomes": ["p"]},
    ("alpha", "PNG"): {
        "kept": ["rgba-16", "pillow-la"],
        "becomes": ["gray-16-key", "pillow-l-key"],
    },
    ("alpha", "TIFF"): {"kept": ["alpha-u2", "gray-alpha"], "refused": ["associated"]},
    ("alpha", "WebP"): {"kept": ["lossless-alpha", "lossy-alpha"]},
    ("alpha", "BMP"): {"refused": ["rgba"]},
    ("other channels", "JPEG"): {"refused": ["cmyk"]},
    ("other channels", "TIFF"): {
        "kept": ["seven-bands", "infrared-u1"],
        "refused": ["pillow-cmyk"],
    },
    ("pages", "PNG"): {"refused": ["animation"]},
    ("pages", "JPEG"): {"refused": ["mpo"]},
    ("pages", "TIFF"): {
        "kept": ["pages", "imagej", "pyramid"],
        "refused": ["truncated", "imagej-truncated"],
    },
    ("pages", "WebP"): {"refused": ["animation"]},
    ("pages", "PGM, PPM"): {"refused": ["two.pgm"]},
    ("Exif", "PNG"): {"kept": ["exif", "exif-preview"]},
    ("Exif", "JPEG"): {"kept": ["orientation-6", "preview"]},
    ("Exif", "TIFF"): {"kept": ["pillow-exif"]},
    ("Exif", "WebP"): {"kept": ["metadata", "preview"]},
    ("color profile", "PNG"): {"kept": ["icc"]},
    ("color profile", "JPEG"): {"kept": ["icc"]},
    ("color profile", "TIFF"): {"kept": ["xmp-icc"]},
    ("color profile", "WebP"): {"kept": ["metadata"]},
    ("color profile", "BMP"): {"refused": ["profile"]},
    ("resolution", "PNG"): {"kept": ["dpi"]},
    ("resolution", "JPEG"): {"kept": ["dpi"]},
    ("resolution", "TIFF"): {"kept": ["no-unit", "centimeter", "pages-resolution"]},
    ("resolution", "BMP"): {"kept": ["dpi", "no-resolution"]},
    ("text", "PNG"): {"kept": ["text", "xmp"]},
    ("text", "JPEG"): {"kept": ["comment", "xmp", "iptc"]},
    ("text", "TIFF"): {"kept": ["description", "twice-described", "xmp-icc"]},
    ("text", "WebP"): {"kept": ["metadata"]},
    ("text", "PGM, PPM"): {"kept": ["p5-255.pgm", "p2.pgm"]},
    ("other tags", "PNG"): {"kept": ["chunks", "color-space"], "refused": ["unsafe-chunk"]},
    ("other tags", "JPEG"): {"kept": ["private"], "refused": ["trailing"]},
    ("other tags", "TIFF"): {
        "kept": ["geo", "private-tags", "sample-range", "imagej"],
    },
    ("compression", "PNG"): {"becomes": ["interlaced", "interlaced-rgb-16"]},
    ("compression", "JPEG"): {
        "kept": ["sampling-0", "progressive"],
        "becomes": ["sampling-440", "sampling-411"],
    },
    ("compression", "TIFF"): {
        "kept": [
            "zlib",
            "lzma",
            "pillow-tiff_lzw",
            "pillow-packbits",
            "opencv-lzw",
            "tiled-deflate",
        ],
        "refused": ["pillow-jpeg", "pillow-fax"],
    },
    ("compression", "WebP"): {"kept": ["lossless", "lossy"]},
    ("compression", "BMP"): {"kept": ["rgb"], "refused": ["run-lengths"]},
    ("compression", "PGM, PPM"): {"kept": ["p2.pgm", "p6-255.ppm"]},
}
SUFFIXES = {"PNG": "png", "JPEG": "jpg", "TIFF": "tif", "WebP": "webp", "BMP": "bmp"}


def test_the_table_in_the_documentation_says_what_happens():
    """What is done with each example is compared above; here, that the table says the same."""
    page = PAGE.read_text(encoding="utf-8").split("## What each format keeps")[1]
    lines = page.split("\n## ")[0].splitlines()
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in lines if line[:1] == "|"
    ]
    formats = rows[0][1:]
    found = {(row[0], name): cell for row in rows[2:] for name, cell in zip(formats, row[1:])}
    outcomes = {
        key: set(re.findall(r"kept|becomes|refused", cell))
        for key, cell in found.items()
        if cell != "–"
    }
    assert outcomes == {key: set(examples) for key, examples in EXAMPLES.items()}
    for (_, name), examples in EXAMPLES.items():
        for outcome, names in examples.items():
            for example in names:
                suffix = SUFFIXES.get(name)
                file = f"{suffix}-{example}.{suffix}" if suffix else f"pnm-{example}"
                assert file in FILES
                assert (file in REFUSED) == (outcome == "refused"), file
