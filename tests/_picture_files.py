"""Picture files of all kinds, made by Pillow, tifffile, OpenCV and by hand."""

from __future__ import annotations

import io
import struct
import zlib

import cv2
import numpy as np
import tifffile
from _helpers import faces
from PIL import Image

SIDE = 24
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/">kept</x:xmpmeta>'
ICC = b"\0" * 36 + b"acsp" + b"\0" * 88
GEO = [  # pixel scale, tie points, keys of the coordinate system, its words, GDAL's metadata
    (33550, 12, 3, (10.0, 10.0, 0.0), True),
    (33922, 12, 6, (0.0, 0.0, 0.0, 5e5, 6e6, 0.0), True),
    (34735, 3, 8, (1, 1, 0, 1, 1024, 0, 1, 1), True),
    (34736, 12, 1, (6378137.0,), True),
    (34737, 2, 0, "WGS 84|", True),
    (42112, 2, 0, "<GDALMetadata><Item>kept</Item></GDALMetadata>", True),
]


def gray(dtype="u1", seed=0):
    return faces(1, 1, SIDE, dtype, seed)[0, 0]


def color(dtype="u1", n=3, seed=0):
    return np.moveaxis(faces(1, n, SIDE, dtype, seed)[0], 0, -1).copy()


def exif(preview=False, **tags):
    """Exif metadata with camera, date, position and a maker's note, as bytes."""
    data = Image.Exif()
    data[271], data[272], data[306] = "maker", "model", "2026:01:02 03:04:05"
    data[274] = tags.get("orientation", 1)
    data.get_ifd(34665)[36867] = "2026:01:02 03:04:05"
    data.get_ifd(34665)[37500] = b"note of the maker"
    data.get_ifd(34853)[1] = "N"
    blob = data.tobytes()
    if not preview:
        return blob
    start = 6 + struct.unpack_from("<I", blob, 10)[0] if blob[6:8] == b"II" else None
    order = "<" if start is not None else ">"
    start = 6 + struct.unpack_from(order + "I", blob, 10)[0]
    n = struct.unpack_from(order + "H", blob, start)[0]
    link, place = start + 2 + 12 * n, len(blob) - 6
    thumbnail = b"\xff\xd8the old picture\xff\xd9"
    entries = [(513, 4, 1, place + 2 + 24 + 4), (514, 4, 1, len(thumbnail))]
    second = struct.pack(order + "H", 2)
    second += b"".join(struct.pack(order + "HHII", *entry) for entry in entries) + bytes(4)
    return blob[:link] + struct.pack(order + "I", place) + blob[link + 4 :] + second + thumbnail


def pillow(array, format_, mode=None, **options):
    file = io.BytesIO()
    image = array if isinstance(array, Image.Image) else Image.fromarray(array)
    (image.convert(mode) if mode else image).save(file, format_, **options)
    return file.getvalue()


def tiff(*arrays, **options):
    file = io.BytesIO()
    keep = {
        name: options.pop(name) for name in ("byteorder", "bigtiff", "imagej") if name in options
    }
    with tifffile.TiffWriter(file, **keep) as writer:
        for k, array in enumerate(arrays):
            own = {
                key: v[k] if isinstance(v, list) and key != "extratags" else v
                for key, v in options.items()
            }
            own.setdefault("photometric", "minisblack")
            if not keep.get("imagej"):
                own.setdefault("metadata", None)
                own.setdefault("contiguous", False)
            writer.write(array, **own)
    return file.getvalue()


# PNG ----------------------------------------------------------------------------------------------


def chunk(name, content):
    return (
        struct.pack(">I", len(content))
        + name
        + content
        + struct.pack(">I", zlib.crc32(name + content))
    )


def packed(array, depth):
    """Rows of samples in bytes, each after the filter 0."""
    if depth == 16:
        rows = array.astype(">u2").reshape(len(array), -1).view("u1")
    elif depth == 8:
        rows = array.reshape(len(array), -1)
    else:
        bits = (array[..., None] >> np.arange(depth)[::-1]) & 1
        rows = np.packbits(bits.reshape(len(array), -1).astype("u1"), axis=1)
    return b"".join(b"\0" + row.tobytes() for row in rows)


def png(array, depth, color_type, *chunks, interlaced=False, after=()):
    """A PNG by hand: array holds samples below 2**depth."""
    parts = [array]
    if interlaced:
        steps = [
            (0, 0, 8, 8),
            (0, 4, 8, 8),
            (4, 0, 8, 4),
            (0, 2, 4, 4),
            (2, 0, 4, 2),
            (0, 1, 2, 2),
            (1, 0, 2, 1),
        ]
        parts = [array[y::dy, x::dx] for y, x, dy, dx in steps]
    data = zlib.compress(b"".join(packed(part, depth) for part in parts))
    header = struct.pack(">IIBBBBB", *array.shape[1::-1], depth, color_type, 0, 0, interlaced)
    half = len(data) // 2
    all_chunks = [
        (b"IHDR", header),
        *chunks,
        (b"IDAT", data[:half]),
        (b"IDAT", data[half:]),
        *after,
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*one) for one in [*all_chunks, (b"IEND", b"")])


def pngs():
    from PIL.PngImagePlugin import PngInfo

    text = PngInfo()
    text.add_text("Title", "a title")
    text.add_text("Comment", "packed " * 30, zip=True)
    text.add_itxt("Author", "Zoë", lang="de")
    palette = Image.fromarray(color()).quantize(16)
    low = {depth: gray() >> (8 - depth) for depth in (1, 2, 4)}
    profile = (b"iCCP", b"name\0\0" + zlib.compress(ICC))
    plain = [
        (b"gAMA", struct.pack(">I", 45455)),
        (b"cHRM", bytes(range(32))),
        (b"pHYs", struct.pack(">IIB", 3000, 4000, 0)),
        (b"tIME", struct.pack(">HBBBBB", 2026, 1, 2, 3, 4, 5)),
        (b"tEXt", b"Title\0x"),
        (b"eXIf", exif()[6:]),
        (b"prVt", b"safe"),
    ]
    yield "pillow-1", pillow(gray() > 90, "PNG")
    yield "pillow-l", pillow(gray(), "PNG")
    yield "pillow-la", pillow(np.dstack([gray(), gray(seed=1)]), "PNG")
    yield "pillow-rgb", pillow(color(), "PNG")
    yield "pillow-rgba", pillow(color(n=4), "PNG")
    yield "pillow-i16", pillow(gray("u2"), "PNG")
    yield "pillow-p", pillow(palette, "PNG")
    yield "pillow-p-transparent", pillow(palette, "PNG", transparency=3)
    yield "pillow-p-alphas", pillow(palette, "PNG", transparency=bytes(range(0, 160, 10)))
    yield "pillow-l-key", pillow(gray(), "PNG", transparency=int(gray()[3, 3]))
    yield "pillow-rgb-key", pillow(color(), "PNG", transparency=tuple(map(int, color()[3, 3])))
    yield "text", pillow(color(), "PNG", pnginfo=text)
    yield "dpi", pillow(color(), "PNG", dpi=(300, 200))
    yield "icc", pillow(color(), "PNG", icc_profile=ICC)
    yield "exif", pillow(color(), "PNG", exif=exif(orientation=6))
    yield "exif-preview", png(gray(), 8, 0, (b"eXIf", exif(preview=True)[6:]))
    yield "xmp", png(gray(), 8, 0, (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP))
    yield "chunks", png(color(), 8, 2, *plain)
    yield "chunks-after", png(color(), 8, 2, after=plain[3:])
    yield "color-space", png(color(), 8, 2, (b"sRGB", b"\0"), (b"cICP", b"\1\2\0\1"), profile)
    yield (
        "background-sbit",
        png(color(), 8, 2, (b"sBIT", b"\5\6\5"), (b"bKGD", struct.pack(">HHH", 1, 2, 3))),
    )
    yield "background-gray4", png(low[4], 4, 0, (b"sBIT", b"\3"), (b"bKGD", struct.pack(">H", 5)))
    yield "suggested-palette", png(color(), 8, 2, (b"PLTE", bytes(range(12))))
    yield (
        "palette-background",
        png(
            low[2],
            2,
            3,
            (b"sBIT", b"\5\6\5"),
            (b"PLTE", bytes(range(0, 240, 20))),
            (b"bKGD", b"\2"),
        ),
    )
    for depth in (1, 2, 4):
        yield f"gray-{depth}-bits", png(low[depth], depth, 0)
        yield f"gray-{depth}-bits-key", png(low[depth], depth, 0, (b"tRNS", struct.pack(">H", 1)))
        yield (
            f"palette-{depth}-bits",
            png(low[depth], depth, 3, (b"PLTE", bytes(range(0, 3 * 2**depth)))),
        )
    yield "gray-16-key", png(gray("u2"), 16, 0, (b"tRNS", struct.pack(">H", gray("u2")[3, 3])))
    deep = color("u2")
    yield "rgb-16", png(deep, 16, 2)
    yield "rgb-16-key", png(deep, 16, 2, (b"tRNS", struct.pack(">HHH", *deep[3, 3])))
    yield "rgb-16-chunks", png(deep, 16, 2, *plain, (b"sBIT", b"\x0c\x0c\x0c"))
    yield "rgba-16", png(color("u2", 4), 16, 6)
    yield "la-16", png(color("u2", 2), 16, 4)
    yield "interlaced", png(gray(), 8, 0, interlaced=True)
    yield "interlaced-rgb-16", png(deep, 16, 2, interlaced=True)
    yield "trailing", png(gray(), 8, 0) + b"more data"
    yield "apple", png(gray(), 8, 0, (b"iDOT", bytes(28)))
    yield "unsafe-chunk", png(gray(), 8, 0, (b"prVT", b"unsafe"))
    frames = [Image.fromarray(gray(seed=k)) for k in range(2)]
    yield "animation", pillow(frames[0], "PNG", save_all=True, append_images=frames[1:])


# JPEG ---------------------------------------------------------------------------------------------


def segment(marker, content):
    return struct.pack(">BBH", 0xFF, marker, 2 + len(content)) + content


def jpegs():
    smooth = np.asarray(Image.fromarray(color()).resize((64, 48)))
    base = pillow(smooth, "JPEG", quality=90)
    xmp = segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + XMP)
    iptc = segment(0xED, b"Photoshop 3.0\x008BIM\x04\x04\0\0\0\0\0\x05hello\0")
    for k in range(3):
        yield f"sampling-{k}", pillow(smooth, "JPEG", subsampling=k)
    for name in ("440", "411"):
        factor = getattr(cv2, f"IMWRITE_JPEG_SAMPLING_FACTOR_{name}")
        options = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, factor]
        yield f"sampling-{name}", cv2.imencode(".jpg", smooth, options)[1].tobytes()
    yield "gray", pillow(smooth[..., 0], "JPEG")
    yield "progressive", pillow(smooth, "JPEG", progressive=True)
    yield "comment", pillow(smooth, "JPEG", comment=b"a comment")
    yield "icc", pillow(smooth, "JPEG", icc_profile=ICC * 600)  # in two segments
    yield "dpi", pillow(smooth, "JPEG", dpi=(300, 200))
    yield "preview", pillow(smooth, "JPEG", exif=exif(preview=True))
    for k in range(1, 9):
        yield f"orientation-{k}", pillow(smooth, "JPEG", exif=exif(orientation=k))
    yield "xmp", base[:2] + xmp + base[2:]
    yield "iptc", base[:2] + iptc + base[2:]
    yield "private", base[:2] + segment(0xEB, b"JP something") + base[2:]
    yield "no-jfif", base[:2] + base[20:]
    yield "trailing", base + b"a film" * 9
    yield "cmyk", pillow(Image.fromarray(smooth).convert("CMYK"), "JPEG")
    others = [Image.fromarray(smooth), Image.fromarray(smooth[::-1].copy())]
    yield "mpo", pillow(others[0], "MPO", save_all=True, append_images=others[1:])
    yield "cut", base[: len(base) // 2]


# The other formats --------------------------------------------------------------------------------


def webps():
    yield "lossy", pillow(color(), "WEBP")
    yield "lossless", pillow(color(), "WEBP", lossless=True)
    yield "lossless-alpha", pillow(color(n=4), "WEBP", lossless=True, exact=True)
    yield "lossy-alpha", pillow(color(n=4), "WEBP")
    yield "metadata", pillow(color(), "WEBP", lossless=True, icc_profile=ICC, exif=exif(), xmp=XMP)
    yield "preview", pillow(color(), "WEBP", lossless=True, exif=exif(preview=True))
    frames = [Image.fromarray(color(seed=k)) for k in range(2)]
    yield "animation", pillow(frames[0], "WEBP", save_all=True, append_images=frames[1:])


def bmps():
    palette = Image.fromarray(color()).quantize(16)
    yield "1", pillow(gray() > 90, "BMP")
    yield "l", pillow(gray(), "BMP")
    yield "p", pillow(palette, "BMP")
    yield "rgb", pillow(color(), "BMP")
    yield "rgba", pillow(color(n=4), "BMP")
    yield "dpi", pillow(color(), "BMP", dpi=(300, 200))
    table = pillow(gray(), "BMP")[: 54 + 1024]  # headers and palette
    runs = b"".join(b"".join(bytes([1, v]) for v in row) + b"\0\0" for row in gray()[::-1])
    yield "run-lengths", table[:30] + b"\1\0\0\0" + table[34:] + runs + b"\0\1"
    plain = bytearray(pillow(color(), "BMP"))
    plain[38:46] = bytes(8)
    yield "no-resolution", bytes(plain)
    header = bytearray(124)
    header[:40] = plain[14:54]
    header[0], header[56:60] = 124, b"DEBM"  # an embedded profile
    start = struct.pack("<I", 14 + 124)
    yield "profile", bytes(plain[:10]) + start + bytes(header) + bytes(plain[54:])
    header[56:60] = b"BGRs"
    yield "version-5", bytes(plain[:10]) + start + bytes(header) + bytes(plain[54:])


def pnms():
    for top in (1, 15, 100, 255, 256, 1023, 4095, 65535):
        dtype = "u1" if top < 256 else ">u2"
        values = np.rint(gray("f8") * top)
        body = values.astype(dtype).tobytes()
        yield f"p5-{top}.pgm", b"P5\n# by hand\n%d %d\n%d\n" % (SIDE, SIDE, top) + body
        body = np.rint(color("f8") * top).astype(dtype).tobytes()
        yield f"p6-{top}.ppm", b"P6 %d %d %d\n" % (SIDE, SIDE, top) + body
    words = b" ".join(b"%d" % value for value in gray().ravel())
    yield "p2.pgm", b"P2 # one\n# two\n%d %d 255\n" % (SIDE, SIDE) + words
    words = b" ".join(b"%d" % value for value in color("u2").ravel())
    yield "p3.ppm", b"P3\n%d %d\n65535\n" % (SIDE, SIDE) + words
    yield "p4.pnm", pillow(gray() > 90, "PPM")
    yield "two.pgm", 2 * pillow(gray(), "PPM")
    yield "short.pgm", pillow(gray(), "PPM")[:-1]


def tiffs():
    for dtype in ("u1", "u2", "u4", "i1", "i2", "i4", "f2", "f4", "f8"):
        yield f"gray-{dtype}", tiff(gray(dtype))
    for dtype in ("u1", "u2", "f4"):
        yield f"rgb-{dtype}", tiff(color(dtype), photometric="rgb")
        rgba = color(dtype, 4)
        yield f"alpha-{dtype}", tiff(rgba, photometric="rgb", extrasamples="unassalpha")
        yield f"infrared-{dtype}", tiff(rgba, photometric="rgb", extrasamples="unspecified")
    rgba = color(n=4)
    yield "associated", tiff(rgba, photometric="rgb", extrasamples="assocalpha")
    rgba[..., 3] = 255
    yield "associated-opaque", tiff(rgba, photometric="rgb", extrasamples="assocalpha")
    yield "two-bands", tiff(color(n=2), extrasamples="unspecified", planarconfig="contig")
    yield "gray-alpha", tiff(color("u2", 2), extrasamples="unassalpha", planarconfig="contig")
    many = ("unspecified",) * 6
    yield "seven-bands", tiff(color("u2", 7), extrasamples=many, planarconfig="contig")
    yield (
        "planar",
        tiff(np.moveaxis(color("u2"), -1, 0), photometric="rgb", planarconfig="separate"),
    )
    separate = np.moveaxis(color("u1", 5), -1, 0)
    yield "planar-bands", tiff(separate, extrasamples=many[:4], planarconfig="separate")
    yield "tiled", tiff(color("u2"), photometric="rgb", tile=(16, 16))
    yield "tiled-deflate", tiff(gray("f4"), tile=(16, 16), compression="zlib")
    yield "strips", tiff(color(), photometric="rgb", rowsperstrip=5)
    for name in ("zlib", "lzma"):
        yield f"{name}", tiff(color("u2"), photometric="rgb", compression=name, rowsperstrip=7)
    yield "predictor", tiff(color("u2"), photometric="rgb", compression="zlib", predictor=2)
    yield "old-deflate", tiff(gray(), compression=32946)
    yield "white-is-zero", tiff(gray(), photometric="miniswhite")
    holes = gray()
    holes[:9, :9] = 7
    nodata = [(42113, 2, 0, "7", True)]
    yield "white-is-zero-nodata", tiff(holes, photometric="miniswhite", extratags=nodata)
    for order in "<>":
        yield (
            f"big-{ord(order)}",
            tiff(color("u2"), photometric="rgb", byteorder=order, bigtiff=True),
        )
    yield "motorola", tiff(gray("f4"), gray("u2"), byteorder=">")
    yield "pages", tiff(gray(), gray("u2"), gray("f4"))
    yield (
        "pages-resolution",
        tiff(gray(), gray(), resolution=[(300, 300), (72.5, 10)], resolutionunit=[2, 3]),
    )
    yield "no-unit", tiff(gray(), resolution=(3, 4), resolutionunit="none")
    yield "centimeter", tiff(gray(), resolution=(118.11, 118.11), resolutionunit="centimeter")
    yield "reduced", tiff(gray(), gray()[::2, ::2].copy(), subfiletype=[0, 1])
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        writer.write(gray("u2"), subifds=1, metadata=None)
        writer.write(gray("u2")[::2, ::2].copy(), subfiletype=1, metadata=None)
    yield "pyramid", file.getvalue()
    yield "description", tiff(gray(), description="first", software="by hand")
    yield "twice-described", tiff(gray(), description="first", metadata={"axes": "YX"})
    stack = np.stack([gray("u2", seed) for seed in range(4)])
    yield "imagej", tiff(stack, imagej=True, metadata={"axes": "ZYX", "min": 0.0, "max": 9.0})
    yield "imagej-truncated", tiff(stack, imagej=True, metadata={"axes": "ZYX"}, truncate=True)
    file = io.BytesIO()
    tifffile.imwrite(file, stack, truncate=True, photometric="minisblack")
    yield "truncated", file.getvalue()
    yield "geo", tiff(color("u2"), photometric="rgb", extratags=GEO)
    holes = gray()
    holes[:9, :9] = 0
    yield "nodata-u1", tiff(holes, extratags=[*GEO, (42113, 2, 0, "0", True)])
    holes = color("f4", 4)
    holes[:9, :9] = -9999
    yield (
        "nodata-f4",
        tiff(
            holes,
            extrasamples=many[:3],
            planarconfig="contig",
            extratags=[*GEO, (42113, 2, 0, "-9999", True)],
        ),
    )
    holes = gray("f4")
    holes[:9] = np.nan
    yield "nodata-nan", tiff(holes, extratags=[(42113, 2, 0, "nan", True)])
    yield "nodata-all", tiff(gray() * 0, extratags=[(42113, 2, 0, "0", True)])
    yield "xmp-icc", tiff(gray(), iccprofile=ICC, extratags=[(700, 1, len(XMP), XMP, True)])
    yield (
        "private-tags",
        tiff(gray(), extratags=[(65000, 5, 1, (1, 3), True), (65001, 7, 3, b"abc", True)]),
    )
    for k in range(1, 9):
        yield f"orientation-{k}", tiff(color(), photometric="rgb", extratags=[(274, 3, 1, k, True)])
    yield "sample-range", tiff(gray(), extratags=[(340, 1, 1, 0, True), (341, 1, 1, 255, True)])
    for name in ("tiff_lzw", "packbits", "tiff_adobe_deflate", "jpeg", "raw"):
        yield f"pillow-{name}", pillow(color(), "TIFF", compression=name)
    yield "pillow-exif", pillow(color(), "TIFF", exif=exif(orientation=3), icc_profile=ICC)
    for k in (3, 6):
        turned = {"compression": "tiff_lzw", "tiffinfo": {274: k}}
        yield f"pillow-lzw-turned-{k}", pillow(color(), "TIFF", **turned)
    yield "pillow-1", pillow(gray() > 90, "TIFF")
    yield "pillow-fax", pillow(gray() > 90, "TIFF", compression="group4")
    yield "pillow-p", pillow(Image.fromarray(color()).quantize(16), "TIFF")
    yield "pillow-cmyk", pillow(color(), "TIFF", mode="CMYK")
    yield "pillow-lab", pillow(color(), "TIFF", mode="LAB")
    yield "pillow-la", pillow(color(n=2), "TIFF")
    yield "pillow-rgba-lzw", pillow(color(n=4), "TIFF", compression="tiff_lzw")
    for name, code in (("lzw", 5), ("none", 1), ("deflate", 32946)):
        options = [cv2.IMWRITE_TIFF_COMPRESSION, code]
        yield f"opencv-{name}", cv2.imencode(".tif", color("u2"), options)[1].tobytes()
    yield "opencv-lzw-gray", cv2.imencode(".tif", gray("u2"), options)[1].tobytes()


def all_files():
    """Yield the names and contents of all files."""
    for makers, suffix in (
        (pngs, ".png"),
        (jpegs, ".jpg"),
        (webps, ".webp"),
        (bmps, ".bmp"),
        (tiffs, ".tif"),
        (pnms, ""),
    ):
        for name, data in makers():
            yield f"{suffix[1:] or 'pnm'}-{name}{suffix}", data
