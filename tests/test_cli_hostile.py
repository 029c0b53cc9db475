"""Odd, damaged and hostile picture files: the right pixels, or one line, within memory and time."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from _helpers import own_package
from _picture_files import all_files, chunk, color, gray, jpegs, packed, pillow, png, segment, tiff
from PIL import Image

from sklearn_histeq import AdaptiveHistogramEqualizer, HistogramEqualizer
from sklearn_histeq._cli import main

MIB = 2**20


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def run(capfd):
    """Run a command on the bytes of a file; return the status, what was said, and the output."""

    def call(name, data, *options, command="equalize"):
        Path(name).write_bytes(data)
        capfd.readouterr()
        out = Path("out" + Path(name).suffix)
        out.unlink(missing_ok=True)
        status = main([command, name, str(out), *map(str, options)])
        said = capfd.readouterr().err
        assert said.count("\n") == (status == 1), said
        return status, said, out.read_bytes() if out.exists() else b""

    return call


def refused(run, name, data, words):
    status, said, _ = run(name, data)
    assert status == 1
    assert said.startswith(f"histeq: error: {name}: ")
    assert words in said


def equalized(array, mask=None, **params):
    estimator = HistogramEqualizer(channel_axis=-1, **({"dtype": "input"} | params))
    return estimator.transform(array[None], mask=None if mask is None else mask[None])[0]


def with_tags(data, **tags):
    """A TIFF of tifffile's with the numbers of some tags changed: t277=..., or None to drop it."""
    file = io.BytesIO(data)
    with tifffile.TiffFile(file, mode="r+") as opened:
        page = opened.pages[0]
        for name, value in tags.items():
            tag = page.tags[int(name[1:])]
            if value is None:  # an unknown tag with the same place
                file.seek(tag.offset)
                file.write(struct.pack("<H", 65100))
            else:
                kind, number = value if isinstance(value, tuple) else (tag.dtype, value)
                tag.overwrite(number, dtype=kind)
    return file.getvalue()


class TestMissingPixels:
    """A picture that ends early, or lacks strips, tiles or planes, is never filled up."""

    @pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
    @pytest.mark.parametrize("kind", [0, 2, 3, 4, 6])
    @pytest.mark.parametrize("interlaced", [False, True])
    def test_png_whose_data_end_early(self, run, depth, kind, interlaced):
        n = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[kind]
        if (kind in (2, 4, 6) and depth < 8) or (kind == 3 and depth == 16):
            pytest.skip("there is no such PNG")
        array = color("u2", n)[..., 0] if n == 1 else color("u2", n)
        array = (array >> (16 - depth)).astype("u1" if depth < 16 else "u2")
        rest = [(b"PLTE", bytes(range(240)) * 3 + bytes(48))] if kind == 3 else []
        whole = png(array, depth, kind, *rest, interlaced=interlaced)
        assert run("a.png", whole)[0] == (1 if depth == 16 and n > 1 and no_codecs() else 0)
        parts = png(array[:16], depth, kind, *rest, interlaced=interlaced)
        start = parts.index(b"IHDR") + 4
        header = bytearray(parts[start : start + 13])
        header[4:8] = struct.pack(">I", 24)  # 24 rows promised, 16 there
        short = parts[: start - 4] + chunk(b"IHDR", bytes(header))[4:] + parts[start + 17 :]
        refused(run, "a.png", short, "its data end early")

    @pytest.mark.parametrize("options", [{"rowsperstrip": 5}, {"tile": (16, 16)}])
    @pytest.mark.parametrize("compression", [None, "zlib"])
    def test_tiff_without_some_strips_or_tiles(self, run, options, compression):
        needs_codecs(compression)
        whole = tiff(gray("u2"), compression=compression, **options)
        codes = (324, 325) if "tile" in options else (273, 279)
        with tifffile.TiffFile(io.BytesIO(whole)) as file:
            offsets, counts = (file.pages[0].tags[code].value for code in codes)
        names = [f"t{code}" for code in codes]
        for k in range(len(offsets)):
            zeros = [[0 if i == k else v for i, v in enumerate(vs)] for vs in (offsets, counts)]
            missing = with_tags(whole, **dict(zip(names, zeros)))
            refused(run, "a.tif", missing, f"strip or tile {k} is missing")
        fewer = with_tags(whole, **{names[0]: [*offsets[:-1]], names[1]: [*counts[:-1]]})
        refused(run, "a.tif", fewer, "lacks strips or tiles")
        far = with_tags(whole, **{names[0]: [*offsets[:-1], len(whole) - 3]})
        refused(run, "a.tif", far, "is missing or cut short")
        less = with_tags(whole, **{names[1]: [*counts[:-1], counts[-1] // 2]})
        refused(run, "a.tif", less, "damaged")

    @pytest.mark.parametrize(
        "tags",
        [
            {"t277": 1}, {"t277": 2}, {"t277": 4}, {"t277": 65535}, {"t277": (2, b"3")},
            {"t339": 0}, {"t339": 7}, {"t339": (2, b"one")}, {"t339": [2, 2, 1]}, {"t339": [2, 2]},
            {"t258": [16, 16]}, {"t258": 12}, {"t258": 0}, {"t257": 25}, {"t256": 48}, {"t257": 0},
        ],
    )  # fmt: skip
    def test_damaged_tags(self, run, tags):
        whole = tiff(color("i2"), photometric="rgb", rowsperstrip=5)
        ((name, value),) = tags.items()
        refused(run, "a.tif", with_tags(whole, **{name: value}), "")

    @pytest.mark.parametrize("sides", [(24, 16), (16, 8)])
    def test_tiles_of_odd_sizes(self, run, sides):
        more = zip((322, 323, 324, 325), (*sides, 1000, 24 * 24))
        whole = small_tiff(16, 8, *((tag, entry(tag, 4, 1, value)) for tag, value in more))
        refused(run, "a.tif", whole.ljust(2000), "its tiles have sides that are no multiple of 16")

    def test_predictors_of_other_numbers(self, run):
        """libtiff knows the predictor 2 of floats, but tifffile and imagecodecs do not write it."""
        floats = small_tiff(24, 24, (317, entry(317, 3, 1, 2)), (339, entry(339, 3, 1, 3)), bits=32)
        refused(run, "a.tif", floats.ljust(4000), "its Predictor is unknown")
        integers = small_tiff(24, 24, (317, entry(317, 3, 1, 3)), bits=16)
        refused(run, "a.tif", integers.ljust(4000), "its Predictor is unknown")

    @pytest.mark.parametrize(
        "text", ["ImageJ=1.11a\nimages=%d\nmin=0.0\n", '{"shape": [%d, 24, 24]}']
    )
    @pytest.mark.parametrize("n", [2, 4, 9])
    def test_stacks_in_one_directory(self, run, text, n):
        """No plane is left out, or as it was."""
        stack = np.stack([gray("u2", seed) for seed in range(4)])
        whole = tiff(stack.reshape(-1, 24), description=text % n)
        whole = with_tags(whole, t257=24, t278=24, t279=stack[0].nbytes)
        refused(run, "a.tif", whole, f"it is a stack of {n} planes in one directory")

    @pytest.mark.parametrize("kind", ["jpg", "webp", "bmp", "ppm"])
    def test_files_cut_short(self, run, kind):
        format_ = {"jpg": "JPEG", "ppm": "PPM"}.get(kind, kind.upper())
        whole = pillow(np.asarray(Image.fromarray(color()).resize((96, 96))), format_)
        for n in (1, 20, len(whole) // 2):
            if kind == "jpg" and n == 1:
                continue  # half of the end marker
            refused(run, f"a.{kind}", whole[:-n], "")

    @pytest.mark.parametrize("kind", [1, 2])
    def test_pixels_coded_as_runs(self, run, kind):
        """Runs may leave pixels out, which Pillow fills up."""
        table = pillow(gray(), "BMP")[: 54 + 1024]
        row = b"".join(bytes([1, v]) for v in gray()[0])
        for n_rows in (24, 23):
            runs = table[:30] + struct.pack("<I", kind) + table[34:] + (row + b"\0\0") * n_rows
            refused(run, "a.bmp", runs + b"\0\1", "its pixels are coded as runs")


class TestRightValues:
    def test_ome_tiff_that_names_other_planes(self, run):
        """The planes that the file has, whatever its description says of other files."""
        head = '<?xml version="1.0" encoding="UTF-8"?><OME xmlns="http://www.openmicroscopy.org/'
        head += 'Schemas/OME/2016-06"><Image ID="Image:0"><Pixels ID="Pixels:0" Type="uint8"'
        head += ' DimensionOrder="XYZCT" SizeX="24" SizeY="24" SizeZ="4" SizeC="1" SizeT="1">'
        other = (
            '<UUID FileName="other.ome.tif">urn:uuid:00000000-0000-0000-0000-000000000001</UUID>'
        )
        for plane in (
            '<TiffData IFD="0" FirstZ="0" PlaneCount="1"/>',
            f'<TiffData IFD="0" FirstZ="0" PlaneCount="1">{other}</TiffData>',
            '<TiffData IFD="3" FirstZ="0" PlaneCount="1"/>',
        ):
            text = f"{head}{plane}</Pixels></Image></OME>"
            data = tiff(gray(), description=text)
            Path("a.ome.tif").write_bytes(data)
            assert main(["equalize", "a.ome.tif", "out.ome.tif", "--overwrite"]) == 0
            with tifffile.TiffFile("out.ome.tif") as file:
                assert len(file.pages) == 1
                np.testing.assert_array_equal(file.pages[0].asarray(), equalized(gray()))
                assert file.pages[0].description == text
            assert os.path.getsize("out.ome.tif") == len(data)

    @pytest.mark.parametrize("name", ["tif-opencv-none", "tif-strips", "tif-tiled", "tif-big-60"])
    def test_strips_of_the_same_size_stay_in_their_places(self, run, name):
        """Also from the eighth byte on, where libtiff begins; every other byte stays."""
        data = dict(all_files())[f"{name}.tif"]
        _, _, out = run("a.tif", data)
        with tifffile.TiffFile(io.BytesIO(data)) as file:
            page = file.pages[0]
            places = [*zip(page.dataoffsets, page.databytecounts)]
        others = np.ones(len(data), bool)
        for offset, n in places:
            others[offset : offset + n] = False
        assert name != "tif-opencv-none" or places[0][0] == 8
        np.testing.assert_array_equal(
            np.frombuffer(out, "u1")[others], np.frombuffer(data, "u1")[others]
        )
        assert len(out) == len(data)

    def test_packbits_is_coded_row_by_row(self, run):
        """So that libtiff's reader of single rows finds them."""
        pytest.importorskip("imagecodecs")
        picture = np.repeat(np.arange(40, dtype="u1")[:, None] // 3 * 5, 33, axis=1)
        _, _, out = run("a.tif", pillow(picture, "TIFF", compression="packbits"))
        with tifffile.TiffFile(io.BytesIO(out)) as file:
            page = file.pages[0]
            for offset, count in zip(page.dataoffsets, page.databytecounts):
                place, end = offset, offset + count
                while place < end:  # each row by itself
                    n = 0
                    while n < 33:
                        code = struct.unpack_from("b", out, place)[0]
                        n += 1 + abs(code)
                        place += 2 if code < 0 else 2 + code
                    assert n == 33
            np.testing.assert_array_equal(page.asarray(), equalized(picture))

    @pytest.mark.parametrize("top", [1023, 4095, 16383, 100, 12])
    @pytest.mark.parametrize("command", ["equalize", "clahe"])
    def test_pgm_on_its_own_numbers(self, run, top, command):
        values = np.rint(gray("f8") * top).astype("u1" if top < 256 else "u2")
        data = b"P5 24 24 %d\n" % top + values.astype("u1" if top < 256 else ">u2").tobytes()
        options = ["--n-tiles", 2] if command == "clahe" else []
        _, _, out = run("a.pgm", data, *options, command=command)
        kinds = {"equalize": HistogramEqualizer(), "clahe": AdaptiveHistogramEqualizer(n_tiles=2)}
        wanted = np.rint(kinds[command].transform(values[None])[0] * top)
        found = np.frombuffer(out, "u1" if top < 256 else ">u2", 576, len(out) - values.nbytes)
        np.testing.assert_array_equal(found.reshape(24, 24), wanted)

    @pytest.mark.parametrize(
        ("command", "convention"),
        [
            ("equalize", "numpy"), ("equalize", "opencv"), ("equalize", "pillow"),
            ("clahe", "opencv"), ("local", "skimage"),
        ],
    )  # fmt: skip
    def test_conventions_of_whole_bytes_have_no_other_scale(self, run, command, convention):
        values = np.rint(gray("f8") * 100).astype("u1")
        Path("a.pgm").write_bytes(b"P5 24 24 100\n" + values.tobytes())
        assert main([command, "a.pgm", "b.pgm", "--convention", convention]) == 1
        assert not Path("b.pgm").exists()
        words = "this --convention does not reach its largest value 100"
        Path("c.pgm").write_bytes(b"P5 24 24 255\n" + values.tobytes())
        assert main([command, "c.pgm", "d.pgm", "--convention", convention]) == 0
        status, said, _ = run(
            "a.pgm", Path("a.pgm").read_bytes(), "--convention", convention, command=command
        )
        assert (status, words in said) == (1, True)

    def test_pgms_of_different_largest_values_are_not_learned_together(self, run):
        Path("in").mkdir()
        for name, top in (("a", 1023), ("b", 4095)):
            values = np.rint(gray("f8") * top).astype(">u2").tobytes()
            Path(f"in/{name}.pgm").write_bytes(b"P5 24 24 %d\n" % top + values)
        assert main(["equalize", "in", "out", "--scope", "dataset", "--quiet"]) == 1
        assert os.listdir("out") == ["a.pgm"]

    @pytest.mark.parametrize(
        "text", ["inf", "-inf", "0.5", "0.1", "-3.4028234663852886e+38", "nan"]
    )
    def test_nodata_in_floats(self, run, text):
        holes = gray("f4")
        holes[:9, :9] = np.float32(text)
        assert (holes[10:] != np.float32(text)).all()
        status, _, out = run("a.tif", tiff(holes, extratags=[(42113, 2, 0, text, True)]))
        assert status == 0
        found = tifffile.imread(io.BytesIO(out))
        missing = np.isnan(holes) if text == "nan" else holes == np.float32(text)
        wanted = equalized(np.where(missing, np.float32(0), holes), ~missing)
        np.testing.assert_array_equal(found[missing], holes[missing])
        np.testing.assert_allclose(found[~missing], wanted[~missing], atol=1e-7)
        assert (found[~missing] != np.float32(text)).all()

    def test_no_value_becomes_missing(self, run):
        """The middle of two levels is 0.5, which is nodata here."""
        levels = np.repeat(np.float32([[1], [2]]), 8, axis=1)
        assert 0.5 in equalized(levels)
        _, _, out = run("a.tif", tiff(levels, extratags=[(42113, 2, 0, "0.5", True)]))
        found = tifffile.imread(io.BytesIO(out))
        assert (found != 0.5).all()
        np.testing.assert_allclose(found, equalized(levels), atol=1e-7)

    @pytest.mark.parametrize("kind", ["png", "png16", "webp", "tif"])
    def test_pixels_under_alpha_0_do_not_count(self, run, kind):
        """A cut-out keeps all of its levels, and what is hidden stays."""
        dtype = "u2" if kind in ("png16", "tif") else "u1"
        picture = color(dtype)
        if kind == "png16":
            pytest.importorskip("imagecodecs")
        alpha = np.full((24, 24), np.iinfo(dtype).max, dtype)
        alpha[:, :12] = 0
        picture[:, :12] = 0
        full = np.dstack([picture, alpha])
        data = {
            "png": lambda: pillow(full, "PNG"),
            "png16": lambda: png(full, 16, 6),
            "webp": lambda: pillow(full, "WEBP", lossless=True, exact=True),
            "tif": lambda: tiff(full, photometric="rgb", extrasamples="unassalpha"),
        }[kind]()
        _, _, out = run(f"a.{kind.removesuffix('16')}", data)
        if kind == "png16":
            import imagecodecs

            found = imagecodecs.png_decode(out)
        else:
            reader = tifffile.imread if kind == "tif" else lambda file: np.asarray(Image.open(file))
            found = reader(io.BytesIO(out))
        wanted = np.where(alpha[..., None] > 0, equalized(picture, alpha > 0), picture)
        np.testing.assert_array_equal(found, np.dstack([wanted, alpha]))
        assert len(np.unique(found[:, 12:, 0])) == len(np.unique(picture[:, 12:, 0]))

    @pytest.mark.parametrize("dtype", ["i2", "f4"])
    def test_white_is_zero_of_signed_numbers_and_floats(self, run, dtype):
        """They are equalized as they are."""
        _, _, out = run("a.tif", tiff(gray(dtype), photometric="miniswhite"))
        np.testing.assert_array_equal(tifffile.imread(io.BytesIO(out)), equalized(gray(dtype)))

    def test_white_is_zero_in_another_type(self, run):
        """Black is zero then, and the value of missing pixels follows."""
        holes = gray()
        holes[:9, :9] = 7
        data = tiff(holes, photometric="miniswhite", extratags=[(42113, 2, 0, "7", True)])
        _, _, out = run("a.tif", data, "--dtype", "float32")
        with tifffile.TiffFile(io.BytesIO(out)) as file:
            page = file.pages[0]
            assert (page.photometric, page.tags[42113].value) == (1, "248")
            wanted = equalized(255 - holes, holes != 7, dtype="float32")
            np.testing.assert_array_equal(page.asarray(), np.where(holes == 7, 248, wanted))

    def test_ranges_of_gdal_are_removed(self, run):
        text = '<GDALMetadata>\n  <Item name="STATISTICS_MAXIMUM" sample="0">9</Item>\n'
        text += '  <Item name="STATISTICS_MEAN" sample="0">4</Item>\n  <Item>kept</Item>\n'
        text += "</GDALMetadata>"
        status, said, out = run("a.tif", tiff(gray(), extratags=[(42112, 2, 0, text, True)]))
        assert (status, said) == (0, "")
        with tifffile.TiffFile(io.BytesIO(out)) as file:
            said = file.pages[0].tags[42112].value
        assert said == "<GDALMetadata>\n  <Item>kept</Item>\n</GDALMetadata>"

    def test_another_type_where_no_tag_has_it(self, run):
        """Pillow writes no SampleFormat for 8 bits; floats need one."""
        _, _, out = run("a.tif", pillow(gray(), "TIFF"), "--dtype", "float32")
        wanted = equalized(gray(), dtype="float32")
        np.testing.assert_array_equal(tifffile.imread(io.BytesIO(out)), wanted)

    @pytest.mark.parametrize("predictor", [1, 2, 3])
    @pytest.mark.parametrize("compression", ["zlib", "lzw", "zstd", "lzma"])
    @pytest.mark.parametrize("order", "<>")
    def test_compressions_and_predictors(self, run, compression, predictor, order):
        pytest.importorskip("imagecodecs")
        picture = color("f4" if predictor == 3 else "u2")
        options = {"compression": compression, "predictor": predictor, "byteorder": order}
        for tiles in ({"rowsperstrip": 7}, {"tile": (16, 16)}):
            data = tiff(picture, photometric="rgb", **options, **tiles)
            _, _, out = run("a.tif", data)
            with tifffile.TiffFile(io.BytesIO(out)) as file:
                page = file.pages[0]
                np.testing.assert_array_equal(page.asarray(), equalized(picture))
                assert page.compression.name.lower() in (compression, "adobe_deflate")
                assert page.predictor == predictor


class TestValidFiles:
    """Files that are unusual, but valid."""

    def test_big_metadata(self, run):
        text = zlib.compress(bytes(range(256)) * 2**13)  # 2 MiB
        profile = (b"iCCP", b"name\0\0" + text)
        data = png(gray(), 8, 0, profile, (b"zTXt", b"Comment\0\0" + text))
        _, _, out = run("a.png", data)
        assert chunk(*profile) in out
        assert text in out

    def test_a_profile_that_cannot_be_decoded(self, run, capfd):
        profile = (b"iCCP", b"name\0\0" + b"no zlib")
        status, _, out = run("a.png", png(gray(), 8, 0, profile))
        assert status == 0
        assert chunk(*profile) in out
        assert main(["equalize", "a.png", "b.jpg"]) == 0  # without it
        assert np.asarray(Image.open("b.jpg")).shape == (24, 24)

    @pytest.mark.parametrize("end", [b"\n", b"\r\n\n", b" \n"])
    def test_pgm_with_more_white_space(self, run, end):
        _, _, out = run("a.pgm", pillow(gray(), "PPM") + end)
        found = np.asarray(Image.open(io.BytesIO(out)))
        np.testing.assert_array_equal(found, equalized(gray()))

    def test_pgm_with_a_comment_among_its_numbers(self, run):
        lines = [b" ".join(b"%d" % v for v in row) for row in gray()]
        lines[3:3] = [b"# a comment with 12 34 numbers"]
        _, _, out = run("a.pgm", b"P2\n24 24\n255\n" + b"\n".join(lines) + b"  # the end")
        assert b"# a comment with 12 34 numbers\n" in out
        assert b"# the end\n" in out
        values = b"".join(line for line in out.splitlines(True) if line[:1] != b"#").split()[4:]
        np.testing.assert_array_equal(np.array(values, int).reshape(24, 24), equalized(gray()))

    @pytest.mark.parametrize("compression", [None, "zlib"])
    def test_tiff_without_byte_counts(self, run, compression):
        needs_codecs(compression)
        whole = tiff(gray("u2"), compression=compression)
        _, _, out = run("a.tif", with_tags(whole, t279=None))
        found = tifffile.imread(io.BytesIO(out))
        np.testing.assert_array_equal(found, equalized(gray("u2")))

    @pytest.mark.parametrize(
        "text", ['{"shape": [4, 24, 24]}', '{"shape": [9, 9]}', '{"shape": 3}']
    )
    def test_tiff_with_a_stale_description(self, run, text):
        _, _, out = run("a.tif", tiff(gray(), description=text))
        with tifffile.TiffFile(io.BytesIO(out)) as file:
            np.testing.assert_array_equal(file.pages[0].asarray(), equalized(gray()))

    @pytest.mark.parametrize("value", [0, (9, -1), (4, 2**32 - 1), (9, 24), 24])
    def test_rows_per_strip(self, run, value):
        _, _, out = run("a.tif", with_tags(tiff(gray()), t278=value))
        with tifffile.TiffFile(io.BytesIO(out)) as file:
            page = file.pages[0]
            found = np.frombuffer(out, "u1", 576, page.tags[273].value[0]).reshape(24, 24)
        np.testing.assert_array_equal(found, equalized(gray()))

    @pytest.mark.parametrize("n", range(5, 13))
    def test_short_segments_of_adobe(self, run, n):
        base = pillow(color(), "JPEG")
        data = base[:2] + segment(0xEE, (b"Adobe" + bytes(9))[:n]) + base[2:]
        status, _, out = run("a.jpg", data)
        assert status == (1 if n in (5, 6) else 0)  # which Pillow does not read
        assert bool(out) == (status == 0)

    def test_two_exif_segments(self, run):
        second = b"Exif\0\0II*\0\x08\0\0\0\1\0" + struct.pack("<HHII", 513, 4, 1, 2**31) + bytes(4)
        base = pillow(color(), "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0" + bytes(6))
        _, _, out = run("a.jpg", base[:2] + segment(0xE1, second) * 2 + base[2:])
        assert segment(0xE1, second) in out

    @pytest.mark.parametrize("content", [b"", b"\0", b"\0\1\2", b"\xff\xff", b"\0\xff", bytes(9)])
    @pytest.mark.parametrize("kind", [0, 2, 3])
    @pytest.mark.parametrize("depth", [4, 8])
    def test_odd_backgrounds(self, run, content, kind, depth):
        if kind == 2 and depth < 8:
            pytest.skip("there is no such PNG")
        rest = [(b"PLTE", bytes(range(48)))] if kind == 3 else []
        array = gray() >> 4 if kind != 2 else color()
        status, _, out = run("a.png", png(array, depth, kind, *rest, (b"bKGD", content)))
        assert status == 0
        Image.open(io.BytesIO(out)).load()

    @pytest.mark.parametrize("name", ["a.jfif", "a.jpe", "a.JPG", "photo"])
    def test_odd_endings(self, run, name):
        data = pillow(color(), "JPEG")
        Path("in").mkdir()
        Path("in", name).write_bytes(data)
        Path("in/notes").write_text("no picture")
        assert main(["equalize", "in", "out"]) == 0
        assert os.listdir("out") == [name]
        Path("into").mkdir()
        assert main(["equalize", f"in/{name}", "into"]) == 0
        assert Path("into", name).read_bytes() == Path("out", name).read_bytes()

    def test_a_wrong_name_keeps_the_format(self, run):
        Path("a.jpg").write_bytes(pillow(gray(), "PNG"))
        Path("into").mkdir()
        assert main(["equalize", "a.jpg", "into"]) == 0
        with Image.open("into/a.jpg") as image:
            assert image.format == "PNG"
        assert main(["equalize", "a.jpg", "b.jpg"]) == 0  # the name of a file says what it will be
        with Image.open("b.jpg") as image:
            assert image.format == "JPEG"

    def test_100000_names(self, run, monkeypatch):
        """Compared in a second, and not each with each."""
        from sklearn_histeq._cli import files
        from sklearn_histeq._cli.files.job import FileJob

        paths = tuple(Path(f"{k}.png") for k in range(100_000))
        job = FileJob("equalize", paths, Path("out"))
        assert len(files.find_targets(job, paths)) == 100_000


def no_codecs():
    try:
        import imagecodecs  # noqa: F401
    except ImportError:
        return True
    return False


def needs_codecs(compression):
    if compression:
        pytest.importorskip("imagecodecs")


class TestWithoutImagecodecs:
    @pytest.fixture(autouse=True)
    def without(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "imagecodecs", None)

    @pytest.mark.parametrize("kind", ["lzw", "deep"])
    def test_what_needs_it_says_how_to_install_it(self, run, kind):
        files = {
            "lzw": ("a.tif", pillow(color(), "TIFF", compression="tiff_lzw")),
            "deep": ("a.png", png(color("u2"), 16, 2)),
        }
        refused(run, *files[kind], 'needs imagecodecs: pip install "sklearn-histeq[files]"')

    def test_what_works_without(self, run):
        np.save("a.npy", gray()[None])
        assert main(["equalize", "a.npy", "b.npy"]) == 0
        for name, data in (
            ("a.png", pillow(color(), "PNG")),
            ("a.jpg", pillow(color(), "JPEG")),
            ("a.tif", tiff(gray("f4"))),
        ):
            assert run(name, data)[0] == 0


# Memory and time ----------------------------------------------------------------------------------


def entries(*tags, following=0):
    """A directory of a TIFF."""
    return struct.pack("<H", len(tags)) + b"".join(tags) + struct.pack("<I", following)


def entry(code, type_, count, value):
    return struct.pack("<HHII", code, type_, count, value)


def small_tiff(width, height, *more, bits=8, samples=1):
    tags = {256: width, 257: height, 258: bits, 259: 1, 262: 1, 273: 8, 277: samples, 279: 100}
    tags |= {tag: None for tag, _ in more}
    listed = [entry(code, 4, 1, value) for code, value in tags.items() if value is not None]
    listed += [raw for _, raw in more]
    listed.sort(key=lambda raw: struct.unpack("<H", raw[:2]))
    return b"II*\0\x08\0\0\0" + entries(*listed)


def hostile_files():
    """Small files that promise much."""
    yield "60000.tif", small_tiff(60000, 60000)
    yield "samples.tif", small_tiff(13000, 13000, samples=65535)
    yield "tile.tif", small_tiff(10, 10, (322, entry(322, 4, 1, 2**31 - 16)),
                                 (323, entry(323, 4, 1, 2**31 - 16)), (324, entry(324, 4, 1, 8)),
                                 (325, entry(325, 4, 1, 4)))  # fmt: skip
    block = b"x" * 2**20
    tags = [entry(k, 2, 2**20, 2**16) for k in [270] * 4 + list(range(40000, 44000))]
    yield "tags.tif", b"II*\0\x08\0\0\0" + entries(*tags).ljust(2**16 - 8) + block
    chain = b"".join(
        entries(*[entry(270, 2, 2**20, 2**22)] * 1, following=8 + 18 * (k + 1))
        for k in range(20000)
    )
    yield "chain.tif", b"II*\0\x08\0\0\0" + chain.ljust(2**22 - 8) + block
    strip = zlib.compress(bytes(2000))
    n = 20000
    places = struct.pack(f"<{n}I", *[1000] * n) + struct.pack(f"<{n}I", *[len(strip)] * n)
    more = {259: (1, 8), 278: (1, 1), 273: (n, 2000), 279: (n, 2000 + 4 * n)}
    rest = [(code, entry(code, 4, *value)) for code, value in more.items()]
    shared = small_tiff(2000, n, *rest)
    yield "shared.tif", (shared.ljust(1000) + strip).ljust(2000) + places
    bomb = zlib.compress(bytes(2**28), 9)
    yield "deflated.tif", small_tiff(10, 10, (259, entry(259, 4, 1, 8)),
                                     (279, entry(279, 4, 1, len(bomb))),
                                     (273, entry(273, 4, 1, 1000))).ljust(1000) + bomb  # fmt: skip
    pointers = b"MM\0*\0\0\0\x08\0\1" + struct.pack(">HHII", 34665, 4, 2**22, 8) + bytes(4)
    yield "pointers.png", png(gray(), 8, 0, (b"eXIf", pointers))
    text = "ImageJ=1.11a\nimages=999999999\n"
    yield "planes.tif", tiff(gray(), description=text)
    yield "bomb.png", png(gray(), 8, 0, (b"iCCP", b"name\0\0" + bomb), (b"zTXt", b"x\0\0" + bomb))
    header = struct.pack(">IIBBBBB", 17, 16_000_000, 8, 6, 0, 0, 0)
    rows = chunk(b"IDAT", zlib.compress(bytes(100)))
    yield "tall.png", b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + rows + chunk(b"IEND", b"")
    header = struct.pack(">IIBBBBB", 13000, 13000, 8, 6, 0, 0, 0)
    yield "square.png", b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + rows + chunk(b"IEND", b"")
    header = struct.pack(">IIBBBBB", 24, 24, 8, 0, 0, 0, 0)
    many = chunk(b"IDAT", b"") * 1_000_000
    yield "chunks.png", b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + many + chunk(b"IEND", b"")
    yield "digits.pgm", b"P2 1 1 255 " + b"1" * 100_001
    yield "digits-of-width.pgm", b"P5 " + b"1" * 100_001 + b" 1 255 "
    yield "numbers.pgm", b"P2 13000 13000 255 " + b"1 " * 1000
    for side in (16383, 10640, 6000):  # 268, 113 and 36 million pixels
        bits = struct.pack("<I", (side - 1) | (side - 1) << 14)
        vp8l = b"VP8L" + struct.pack("<I", 10) + b"\x2f" + bits + bytes(5)
        yield f"{side}.webp", b"RIFF" + struct.pack("<I", 4 + len(vp8l)) + b"WEBP" + vp8l
    many = [entry(k, 7, 2**22, 2**16) for k in range(40000, 43000)]  # 12 GiB
    exif = b"II*\0\x08\0\0\0" + entries(*many)
    yield "exif.png", png(gray(), 8, 0, (b"eXIf", exif.ljust(2**16) + bytes(2**22)))
    canvas = b"VP8X" + struct.pack("<I", 10) + bytes(4) + (2**24 - 1).to_bytes(3, "little") * 2
    yield "canvas.webp", b"RIFF" + struct.pack("<I", 4 + len(canvas)) + b"WEBP" + canvas
    base = pillow(gray(), "JPEG")
    at = base.index(b"\xff\xc0") + 5
    for side in (30000, 13000):
        yield f"{side}.jpg", base[:at] + struct.pack(">HH", side, side) + base[at + 4 :]
    table = pillow(gray(), "BMP")[: 54 + 1024]
    for side, runs in ((30000, b""), (13000, b"\xff\0" * 1000), (3000, b"\1\0" * 4_000_000)):
        size = struct.pack("<ii", side, side)
        yield f"runs-{side}.bmp", table[:18] + size + table[26:30] + b"\1\0\0\0" + table[34:] + runs
    yield "square.bmp", table[:18] + struct.pack("<ii", 13000, 13000) + table[26:]


MEASURED = """if True:
    import os, resource, sys, time
    from sklearn_histeq._cli import main

    def peak():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

    main(["equalize", "warm.png", "warm.jpg", "--overwrite"])
    at = sys.argv.index("--")
    for name in sys.argv[1:at]:
        before, began = peak(), time.process_time()
        out = os.path.splitext(name)[1] == ".png" and "out.jpg" or "out-" + name
        status = main(["equalize", name, out, "--overwrite", *sys.argv[at + 1 :]])
        print(name, status, peak() - before, time.process_time() - began, flush=True)
"""


def measure(names, *options):
    """Run each file in one process; return status, growth of memory in bytes and seconds."""
    Path("warm.png").write_bytes(pillow(color(), "PNG"))
    command = [sys.executable, "-c", MEASURED, *names, "--", *options]
    done = subprocess.run(command, capture_output=True, text=True, env=own_package())
    assert done.returncode == 0, done.stderr[-2000:]
    assert "Traceback" not in done.stderr
    assert all(line.startswith("histeq: ") for line in done.stderr.splitlines())
    rows = [line.split() for line in done.stdout.splitlines()]
    return {name: (int(s), int(b), float(t)) for name, s, b, t in rows}


@pytest.mark.skipif(sys.platform != "linux", reason="memory is measured as on Linux")
class TestMemoryAndTime:
    READ = ("shared.tif", "bomb.png", "exif.png", "planes.tif", "pointers.png")
    DECODED = {"shared.tif": 2000 * 20000}  # all others are refused, or small

    def test_no_small_file_takes_much(self):
        files = dict(hostile_files())
        for name, data in files.items():
            Path(name).write_bytes(data)
        found = measure(files)
        assert found.keys() == files.keys()
        for name, (status, n_bytes, seconds) in found.items():
            expected = 0 if name in self.READ else 1
            if no_codecs() and name == "shared.tif":
                expected = 1
            assert status == expected, name
            assert n_bytes < 256 * MIB + 8 * self.DECODED.get(name, 0), (name, n_bytes / MIB)
            assert seconds < 5 + self.DECODED.get(name, 0) / 2e7, (name, seconds)

    @pytest.mark.parametrize("kind", ["gray", "alpha", "inverted", "missing", "deflated"])
    def test_wide_outputs(self, kind):
        """An output may have eight times the bytes of the pixels that were read."""
        pixels = np.tile(gray(), (125, 160))  # 11.5 million
        how = {
            "gray": {},
            "alpha": {"extrasamples": ["unassalpha"]},
            "inverted": {"photometric": "miniswhite"},
            "missing": {"extratags": [(42113, 2, 0, "17", True)]},
            "deflated": {"compression": "zlib", "predictor": True},
        }[kind]
        needs_codecs(how.get("compression"))
        if kind == "alpha":
            pixels = np.dstack([pixels, pixels // 200 * 255])
        tifffile.imwrite("a.tif", pixels, metadata=None, rowsperstrip=50, **how)
        ((status, n_bytes, _),) = measure(["a.tif"], "--dtype", "float64").values()
        assert status == 0
        written = tifffile.imread("out-a.tif")
        assert written.dtype == np.float64
        assert n_bytes < 256 * MIB + 8 * written.nbytes, n_bytes / written.nbytes
        # which is far below, so that a copy too many shows before it is too much
        assert n_bytes < 96 * MIB + 5 * written.nbytes, n_bytes / written.nbytes

    def test_sparse_files_are_not_read(self):
        """Eight gigabytes of nothing after the start of each format."""
        starts = {
            "a.png": pillow(gray(), "PNG"),
            "a.jpg": pillow(gray(), "JPEG"),
            "a.bmp": pillow(gray(), "BMP"),
            "a.webp": pillow(gray(), "WEBP"),
            "a.pgm": pillow(gray(), "PPM"),
            "a.tif": tiff(gray()),
            "a.npy": b"",
            "zeros.png": b"",
        }
        for name, data in starts.items():
            with open(name, "wb") as file:
                file.write(data)
                file.truncate(2**33)
        del starts["a.npy"]
        for name, (status, n_bytes, seconds) in measure(starts).items():
            assert status == 1, name
            assert n_bytes < 256 * MIB, (name, n_bytes / MIB)
            assert seconds < 5, name

    def test_simple_pictures_are_read(self, run):
        """A lossless WebP of a single color takes few bytes for millions of pixels."""
        simple = pillow(np.full((3000, 4000, 3), 7, "u1"), "WEBP", lossless=True)
        assert len(simple) < 1000
        _, _, out = run("a.webp", simple)
        assert Image.open(io.BytesIO(out)).size == (4000, 3000)

    def test_the_limit_of_pixels(self, run):
        for name, data in (
            ("a.png", pillow(gray(), "PNG")),
            ("a.jpg", pillow(gray(), "JPEG")),
            ("a.bmp", pillow(gray(), "BMP")),
            ("a.webp", pillow(gray(), "WEBP")),
            ("a.pgm", pillow(gray(), "PPM")),
            ("a.tif", tiff(gray())),
        ):
            status, said, _ = run(name, data, "--max-pixels", 575)
            assert status == 1
            assert "it has 576 pixels, but at most 575 are read; give --max-pixels 576" in said
            assert run(name, data, "--max-pixels", 576)[0] == 0
        status, said, _ = run("a.tif", tiff(gray(), gray()), "--max-pixels", 1000)
        assert "it has 1152 pixels" in said  # in all pages


def test_unusual_samplings_of_jpeg_lose_no_color(run):
    """Chroma of 4:4:0 and 4:1:1 is written as it is decoded."""
    files = dict(jpegs())
    for name in ("sampling-440", "sampling-411"):
        before = np.asarray(Image.open(io.BytesIO(files[name])))
        _, _, out = run("a.jpg", files[name])
        found = np.asarray(Image.open(io.BytesIO(out)))
        difference = np.abs(found.astype(float) - equalized(before))
        assert difference.mean() < 4


def test_rows_of_any_filter(run):
    """Pillow and imagecodecs undo what is filtered here by hand."""
    raw = packed(gray(), 8)
    rows = [bytearray(raw[k : k + 25]) for k in range(0, len(raw), 25)]
    for k in range(1, 24):  # the difference from the row above
        rows[k][0] = 2
        above = gray()[k - 1].tolist()
        rows[k][1:] = bytes((v - a) % 256 for v, a in zip(gray()[k].tolist(), above))
    header = struct.pack(">IIBBBBB", 24, 24, 8, 0, 0, 0, 0)
    body = chunk(b"IDAT", zlib.compress(b"".join(map(bytes, rows))))
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + body + chunk(b"IEND", b"")
    _, _, out = run("a.png", data)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(out))), equalized(gray()))
