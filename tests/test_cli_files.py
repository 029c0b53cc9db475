"""The commands for files: what they write, what they keep, and what they leave untouched."""

from __future__ import annotations

import errno
import io
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from _helpers import faces
from PIL import Image

import sklearn_histeq
from sklearn_histeq import (
    AdaptiveHistogramEqualizer,
    HistogramEqualizer,
    HistogramMatcher,
    LocalHistogramEqualizer,
)
from sklearn_histeq._cli import atomic_write, files, main
from sklearn_histeq._cli import parser as cli_parser
from sklearn_histeq._cli.files import formats, npy
from sklearn_histeq._cli.files.job import ESTIMATORS
from sklearn_histeq._cli.progress import ProgressBar

PAGE = Path(__file__).parents[1] / "docs" / "command_line.md"
COMMANDS = ("equalize", "clahe", "local", "match")


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def ok(*argv):
    assert main([*map(str, argv)]) == 0


def fails(capsys, *argv, status=1):
    """Run a command that fails, and return what it says, without the prefix, line by line."""
    capsys.readouterr()
    try:
        found = main([*map(str, argv)])
    except SystemExit as stop:
        found = stop.code
    said = capsys.readouterr().err.splitlines()
    assert found == status, said
    assert all(line.startswith("histeq: ") for line in said)
    return [line.removeprefix("histeq: error: ") for line in said if "histeq: error: " in line]


def nothing_unfinished(folder="."):
    return [name for name in os.listdir(folder) if name.startswith(".")] == []


def saved(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def put(name, array, **options):
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, **options)
    return path


def pixels(path):
    if str(path).endswith(".tif"):
        return tifffile.imread(path)
    with Image.open(path) as image:
        return np.asarray(image)


def gray(seed=0, dtype=np.uint8, side=12):
    return faces(1, 1, side, dtype, seed)[0, 0]


def rgb(seed=0, dtype=np.uint8, side=12):
    return np.moveaxis(faces(1, 3, side, dtype, seed)[0], 0, -1)


def equalized(picture, **params):
    """A picture through the estimator, in its own type."""
    estimator = HistogramEqualizer(channel_axis=-1, dtype="input", **params)
    return estimator.transform(picture[None])[0]


class TestArrays:
    @pytest.mark.parametrize("dtype", ["u1", ">u2", "i4", "f4", "f8", "f2", "bool"])
    @pytest.mark.parametrize("order", ["C", "F"])
    def test_the_bytes_are_those_of_saving_by_hand(self, monkeypatch, dtype, order):
        X = faces(11, 2, dtype=np.dtype(dtype).newbyteorder("=")).astype(dtype)
        np.save("in.npy", np.asarray(X, order=order))
        monkeypatch.setattr(npy, "BLOCK_BYTES", 3 * X[0].size * 8)  # several blocks
        ok("equalize", "in.npy", "out.npy")
        assert Path("out.npy").read_bytes() == saved(HistogramEqualizer().transform(X))
        assert nothing_unfinished()

    @pytest.mark.parametrize("shape", [(6, 64), (6, 8, 8), (6, 3, 8, 8), (6, 8, 8, 3)])
    def test_every_layout(self, shape):
        X = np.random.default_rng(0).integers(0, 99, shape).astype("u1")
        np.save("in.npy", X)
        axis = -1 if shape[-1] == 3 else 1
        options = ["--image-shape", "8,8"] if len(shape) == 2 else []
        ok("equalize", "in.npy", "out.npy", "--channel-axis", axis, *options)
        expected = HistogramEqualizer(channel_axis=axis).transform(X)
        assert Path("out.npy").read_bytes() == saved(expected)

    @pytest.mark.parametrize(
        ("shape", "options"),
        [
            ((3, 4, 6, 5), []),
            ((3, 1, 4, 6, 5), []),
            ((3, 4, 6, 5, 2), ["--channel-axis", -1]),
            ((3, 120), ["--image-shape", "4,6,5"]),
        ],
    )
    def test_volumes(self, shape, options):
        X = faces(3, 2, 16).reshape(3, -1)[:, : np.prod(shape[1:])].reshape(shape)
        np.save("in.npy", X)
        ok("equalize", "in.npy", "out.npy", "--spatial-dims", 3, *options)
        params = {"channel_axis": -1 if -1 in options else 1, "spatial_dims": 3}
        params["image_shape"] = (4, 6, 5) if len(shape) == 2 else None
        assert Path("out.npy").read_bytes() == saved(HistogramEqualizer(**params).transform(X))
        ok("local", "in.npy", "local.npy", "--spatial-dims", 3, "--window", "3,0.5,5", *options)
        local = LocalHistogramEqualizer(window=(3, 0.5, 5), **params).transform(X)
        assert Path("local.npy").read_bytes() == saved(local)
        np.save("reference.npy", X[1])
        ok("match", "in.npy", "matched.npy", "--spatial-dims", 3, *options,
           "--reference", "reference.npy")  # fmt: skip
        expected = HistogramMatcher(reference=X[1], **params).transform(X)
        assert Path("matched.npy").read_bytes() == saved(expected)

    @pytest.mark.parametrize("shape", [(2, 4, 6, 5), (2, 4, 6, 5, 1), (2, 120)])
    def test_a_figure_of_volumes(self, shape):
        pytest.importorskip("matplotlib")
        np.save("in.npy", faces(2, 2, 16).reshape(2, -1)[:, :120].reshape(shape))
        axis = -1 if len(shape) == 5 else 1
        options = ["--image-shape", "4,6,5"] if len(shape) == 2 else []
        ok("equalize", "in.npy", "out.npy", "--spatial-dims", 3, "--channel-axis", axis, *options,
           "--plot", "figure.png")  # fmt: skip
        assert pixels("figure.png").size

    def test_the_options_are_the_parameters(self):
        X = faces(4, 3, 16)
        np.save("in.npy", X)
        ok("clahe", "in.npy", "out.npy", "--n-tiles", "2,4", "--clip-limit", "none",
           "--n-bins", 32, "--color", "value", "--dtype", "uint16", "--n-jobs", 2)  # fmt: skip
        clahe = AdaptiveHistogramEqualizer(
            n_tiles=(2, 4), clip_limit=None, n_bins=32, color="value", dtype="uint16"
        )
        assert Path("out.npy").read_bytes() == saved(clahe.transform(X))

    @pytest.mark.parametrize(
        ("options", "params"),
        [
            ("--value-range -1000,400", {"value_range": (-1000, 400)}),
            ("--value_range -.5,4e2", {"value_range": (-0.5, 400)}),
            ("--value-range=-1000,400", {"value_range": (-1000, 400)}),
            ("--value-range dtype", {"value_range": "dtype"}),
            ("--quantile-range 1,99.5", {"quantile_range": (1, 99.5)}),
        ],
    )
    def test_ranges_may_be_negative(self, options, params):
        X = faces(4, 1, 16, "i2") - np.int16(9000)
        np.save("in.npy", X)
        ok("equalize", "in.npy", *options.split(), "out.npy", "--n-bins", 64)
        equalizer = HistogramEqualizer(n_bins=64, **params)
        assert Path("out.npy").read_bytes() == saved(equalizer.transform(X))

    @pytest.mark.parametrize("window", [5, 0.5])
    def test_windows_are_pixels_or_shares(self, window):
        X = faces(4, 1, 16)
        np.save("in.npy", X)
        ok("local", "in.npy", "out.npy", "--window", window, "--convention", "skimage")
        local = LocalHistogramEqualizer(window=window, convention="skimage")
        assert Path("out.npy").read_bytes() == saved(local.transform(X))

    @pytest.mark.parametrize("dtype", ["u1", "f4"])
    @pytest.mark.parametrize(
        ("command", "estimator"),
        [
            (["equalize", "--scope", "dataset"], HistogramEqualizer(scope="dataset")),
            (["match"], HistogramMatcher()),
            (["match", "--landmarks", "nyul"], HistogramMatcher(landmarks="nyul")),
            (
                ["match", "--landmarks", "5,50,95", "--standard-range", "-1,1.5"],
                HistogramMatcher(landmarks=(5, 50, 95), standard_range=(-1, 1.5)),
            ),
            (["match", "--strength", ".25"], HistogramMatcher(strength=0.25)),
            (
                ["equalize", "--scope", "dataset", "--strength", ".25"],
                HistogramEqualizer(scope="dataset", strength=0.25),
            ),
        ],
    )
    def test_learning_in_blocks_is_learning_from_all(self, monkeypatch, command, estimator, dtype):
        X, train = faces(9, dtype=dtype), faces(13, dtype=dtype, seed=1)
        np.save("in.npy", X)
        np.save("train.npy", train)
        monkeypatch.setattr(npy, "BLOCK_BYTES", 2 * X[0].size * 8)
        name, *options = command
        ok(name, "in.npy", "own.npy", *options)
        ok(name, "in.npy", "out.npy", *options, "--fit", "train.npy")
        assert Path("own.npy").read_bytes() == saved(estimator.fit_transform(X))
        assert Path("out.npy").read_bytes() == saved(estimator.fit(train).transform(X))

    def test_a_reference_is_an_array_or_a_picture(self):
        X, reference = faces(4, 3), rgb(5)
        np.save("in.npy", X)
        np.save("reference.npy", np.moveaxis(reference, -1, 0))
        put("reference.png", reference)
        ok("match", "in.npy", "a.npy", "--reference", "reference.npy")
        ok("match", "in.npy", "b.npy", "--reference", "reference.png")
        expected = HistogramMatcher(reference=np.moveaxis(reference, -1, 0)).transform(X)
        assert Path("a.npy").read_bytes() == Path("b.npy").read_bytes() == saved(expected)

    def test_in_may_be_out(self):
        X = faces(4)
        np.save("in.npy", X)
        ok("equalize", "in.npy", "in.npy", "--overwrite")
        assert Path("in.npy").read_bytes() == saved(HistogramEqualizer().transform(X))

    def test_errors_name_images_by_their_number_in_the_file(self, monkeypatch, capsys):
        X = faces(9, dtype="f4")
        X[[5, 6], 0, 0, 0] = np.inf  # in two blocks, of which the second is not reached
        np.save("in.npy", X)
        monkeypatch.setattr(npy, "BLOCK_BYTES", 2 * X[0].size * 8)
        (said,) = fails(capsys, "equalize", "in.npy", "out.npy")
        assert "in.npy: the input contains infinity (inf) in image(s) 5, but" in said
        assert os.listdir() == ["in.npy"]

    @pytest.mark.parametrize(
        ("array", "words"),
        [
            (np.array([{}, 1], dtype=object), "contains Python objects"),
            (np.zeros((2, 3, 3), complex), "dtype complex128, but expected real numbers"),
            (np.array([["a", "b"]]), "dtype <U1, but expected real numbers"),
            (np.zeros(5), "has shape (5,), but expected images"),
            (np.zeros((0, 3, 3)), "has shape (0, 3, 3), but expected images"),
        ],
    )
    def test_what_holds_no_images(self, capsys, array, words):
        np.save("in.npy", array)
        (said,) = fails(capsys, "equalize", "in.npy", "out.npy")
        assert words in said
        assert os.listdir() == ["in.npy"]

    def test_a_file_cut_short(self, capsys):
        whole = saved(faces(4))
        Path("in.npy").write_bytes(whole[:-1])
        (said,) = fails(capsys, "equalize", "in.npy", "out.npy")
        assert f"has {len(whole) - 1} bytes, but its header promises {len(whole)}" in said
        Path("in.npy").write_bytes(b"hello")
        (said,) = fails(capsys, "equalize", "in.npy", "out.npy")
        assert "is damaged, or not an .npy file" in said

    @pytest.mark.parametrize("version", [(4, 0), (9, 9), (0, 0)])
    def test_versions_that_numpy_does_not_know(self, capsys, version):
        data = bytearray(saved(faces(4)))
        data[6:8] = bytes(version)
        Path("in.npy").write_bytes(data)
        with pytest.raises(ValueError, match="version"):
            np.load("in.npy")
        assert fails(capsys, "equalize", "in.npy", "out.npy") == [
            "in.npy is damaged, or not an .npy file"
        ]

    @pytest.mark.skipif(sys.platform != "linux", reason="elsewhere address space has no limit")
    def test_memory_does_not_grow_with_the_images(self):
        """384 MiB in and out, in an address space that is too small for either."""
        import resource

        n, limit = 384 * 2**20 // 512**2, 650 * 2**20
        header = saved(np.zeros((1, 512, 512), "u1"))[:128]
        with open("in.npy", "wb") as file:
            file.write(header.replace(b"(1, 512, 512), }   ", b"(%d, 512, 512), }" % n))
            file.truncate(128 + n * 512**2)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("OPENBLAS_NUM_THREADS", "1")  # each reserves address space
            done = subprocess.run(
                [sys.executable, "-m", "sklearn_histeq", "equalize", "in.npy", "out.npy",
                 "--dtype", "uint8"],
                capture_output=True, text=True,
                preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
            )  # fmt: skip
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        assert os.path.getsize("out.npy") == 128 + n * 512**2


class TestPictures:
    @pytest.mark.parametrize(
        ("name", "picture"),
        [
            ("a.png", gray()),
            ("a.png", gray(dtype=np.uint16)),
            ("a.png", rgb()),
            ("a.bmp", gray()),
            ("a.bmp", rgb()),
            ("a.pgm", gray()),
            ("a.pgm", gray(dtype=np.uint16)),
            ("a.ppm", rgb()),
            ("a.tif", gray()),
        ],
    )
    def test_depth_and_format_stay(self, name, picture):
        with Image.open(put("in/" + name, picture)) as image:
            before = image.mode, image.format
        ok("equalize", "in", "out")
        with Image.open("out/" + name) as image:
            assert (image.mode, image.format) == before
        np.testing.assert_array_equal(pixels("out/" + name), equalized(picture))

    @pytest.mark.parametrize("alpha", [False, True])
    @pytest.mark.parametrize("compression", [None, "zlib"])
    @pytest.mark.parametrize("dtype", ["u1", "u2", "f4"])
    def test_deep_tiff(self, dtype, compression, alpha):
        if compression:
            pytest.importorskip("imagecodecs")
        picture = rgb(dtype=dtype)
        full = np.dstack([picture, gray(3, dtype)]) if alpha else picture
        options = {"compression": compression, "description": "seen"}
        if alpha:
            options["extrasamples"] = ["unassalpha"]
        os.mkdir("in")
        tifffile.imwrite("in/a.tif", full, photometric="rgb", **options)
        ok("equalize", "in", "out")
        written = tifffile.imread("out/a.tif")
        assert written.dtype == dtype
        np.testing.assert_array_equal(written[..., :3], equalized(picture))
        np.testing.assert_array_equal(written[..., 3:], full[..., 3:])
        with tifffile.TiffFile("out/a.tif") as tiff:
            page = tiff.pages[0]
            assert (page.compression == 1) == (compression is None)
            assert page.description == "seen"

    def test_all_pages_of_a_tiff(self):
        os.mkdir("in")
        pages = [gray(seed, np.uint16, side) for seed, side in enumerate((8, 8, 12))]
        with tifffile.TiffWriter("in/a.tif") as tiff:
            for page in pages:
                tiff.write(page, contiguous=False, metadata=None)
        ok("equalize", "in", "out")
        with tifffile.TiffFile("out/a.tif") as tiff:
            written = [page.asarray() for page in tiff.pages]
        for actual, page in zip(written, pages, strict=True):
            np.testing.assert_array_equal(actual, equalized(page))

    def test_white_is_zero(self):
        os.mkdir("in")
        tifffile.imwrite("in/a.tif", 255 - gray(), photometric="miniswhite")
        ok("equalize", "in", "out")
        np.testing.assert_array_equal(255 - tifffile.imread("out/a.tif"), equalized(gray()))

    def test_a_compression_that_pillow_decodes(self):
        pytest.importorskip("imagecodecs")
        put("in/a.tif", rgb(), compression="tiff_lzw")
        ok("equalize", "in", "out")
        with Image.open("out/a.tif") as image:
            assert image.info["compression"] == "tiff_lzw"
            np.testing.assert_array_equal(np.asarray(image), equalized(rgb()))

    @pytest.mark.parametrize("color", ["channels", "value"])
    def test_alpha_stays(self, color):
        put("in/a.png", np.dstack([rgb(), gray(2)]))
        put("in/b.png", np.dstack([gray(), gray(2)]))
        ok("equalize", "in", "out", "--color", color)
        a, b = pixels("out/a.png"), pixels("out/b.png")
        np.testing.assert_array_equal(a[..., :3], equalized(rgb(), color=color))
        np.testing.assert_array_equal(b[..., 0], equalized(gray()))
        np.testing.assert_array_equal(a[..., 3], gray(2))
        np.testing.assert_array_equal(b[..., 1], gray(2))

    def test_palettes_and_bits_become_plain(self):
        os.mkdir("in")
        Image.fromarray(rgb()).quantize(8).save("in/palette.png")
        Image.fromarray(gray() > 90).save("in/bit.png")
        ok("equalize", "in", "out")
        with Image.open("in/palette.png") as image:
            colours = np.asarray(image.convert("RGB"))
        np.testing.assert_array_equal(pixels("out/palette.png"), equalized(colours))
        bits = (gray() > 90).astype("u1") * np.uint8(255)
        np.testing.assert_array_equal(pixels("out/bit.png"), equalized(bits))

    def test_jpeg(self):
        """Near the exact result, and with what was said of it."""
        exif = Image.Exif()
        exif[274] = 6  # orientation
        put("in/a.jpg", rgb(side=64), quality=90, subsampling=1, exif=exif, dpi=(300, 300),
            icc_profile=b"profile")  # fmt: skip
        ok("equalize", "in", "out")
        expected = equalized(pixels("in/a.jpg")).astype(int)
        with Image.open("out/a.jpg") as image:
            assert image.format == "JPEG"
            assert image.getexif()[274] == 6
            assert image.info["icc_profile"] == b"profile"
            assert image.info["dpi"] == (300, 300)
            from PIL import JpegImagePlugin

            assert JpegImagePlugin.get_sampling(image) == 1
            difference = np.asarray(image)[..., 1] - expected[..., 1]
        assert np.abs(difference).mean() < 8

    def test_names_and_subfolders(self):
        for name in ("a.png", "b/c.PNG", "b/d/e.bmp", ".hidden/f.png", "b/.g.png", "notes.txt"):
            path = Path("in", name)
            if path.suffix == ".txt":
                path.write_text("no picture")
            else:
                put(path, gray())
        ok("equalize", "in", "out")
        written = {str(p.relative_to("out")) for p in Path("out").rglob("*") if p.is_file()}
        assert written == {"a.png", "b/c.PNG", "b/d/e.bmp"}

    @pytest.mark.parametrize("n_jobs", [1, 2])
    def test_one_that_cannot_be_read_is_named_and_the_others_done(self, capsys, n_jobs):
        for i in range(6):
            put(f"in/{i}.png", gray(i))
        Path("in/3.png").write_text("no picture")
        Path("in/4.png").write_bytes(Path("in/4.png").read_bytes()[:60])
        said = fails(capsys, "equalize", "in", "out", "--n-jobs", n_jobs)
        assert said[0].startswith("in/3.png: it is damaged, or not a picture in one of the formats")
        assert said[1] == "in/4.png: it is damaged: the file is cut short"
        assert len(said) == 2
        assert sorted(os.listdir("out")) == ["0.png", "1.png", "2.png", "5.png"]
        assert nothing_unfinished()

    def test_none_that_can_be_read(self, capsys):
        os.mkdir("in")
        Path("in/a.png").write_text("no picture")
        (said,) = fails(capsys, "equalize", "in", "out")
        assert said.startswith("in/a.png: it is damaged, or not a picture")
        assert os.listdir() == ["in"]

    @pytest.mark.parametrize("row_filter", ["NONE", "SUB", "UP", "AVG", "PAETH"])
    @pytest.mark.parametrize("n_channels", [3, 4])
    def test_deep_png(self, n_channels, row_filter):
        """Pillow has 8 bits only; OpenCV writes what is read, and reads what is written."""
        pytest.importorskip("imagecodecs")
        os.mkdir("in")
        picture = np.random.default_rng(0).integers(0, 65536, (9, 14, n_channels)).astype("u2")
        picture[:5] = np.sort(picture[:5], axis=1)
        how = getattr(cv2, f"IMWRITE_PNG_FILTER_{row_filter}", None)
        if how is None:
            how = getattr(cv2, f"IMWRITE_PNG_{row_filter}_FILTER", 0)
        cv2.imwrite("in/a.png", picture, [cv2.IMWRITE_PNG_FILTER, how] if how else [])
        ok("equalize", "in", "out")
        written = cv2.imread("out/a.png", cv2.IMREAD_UNCHANGED)
        assert written.dtype == np.uint16
        np.testing.assert_array_equal(written[..., :3], equalized(picture[..., :3]))
        np.testing.assert_array_equal(written[..., 3:], picture[..., 3:])

    def test_deep_png_that_is_damaged(self, capsys):
        pytest.importorskip("imagecodecs")
        whole = cv2.imencode(".png", rgb(dtype="u2"))[1].tobytes()
        for end, bit in ((-20, 0), (len(whole), 1)):
            data = bytearray(whole[:end])
            data[-20] ^= bit
            Path("a.png").write_bytes(data)
            (said,) = fails(capsys, "equalize", "a.png", "b.png")
            assert said.startswith("a.png: it is damaged: ")

    def test_one_picture_and_another_format(self, capsys):
        put("a.png", gray())
        ok("equalize", "a.png", "b.tif")
        np.testing.assert_array_equal(tifffile.imread("b.tif"), equalized(gray()))
        put("c.png", np.dstack([rgb(), gray()]))
        assert (
            "its alpha channel does not fit into JPEG"
            in fails(capsys, "equalize", "c.png", "c.jpg")[0]
        )
        put("d.png", gray(dtype=np.uint16))
        assert "does not fit into JPEG" in fails(capsys, "equalize", "d.png", "d.jpg")[0]
        ok("equalize", "d.png", "d.jpg", "--dtype", "uint8")
        assert nothing_unfinished()

    def test_a_reference_in_the_depth_of_the_picture(self):
        put("in/8.png", gray(0))
        put("in/16.png", gray(0).astype("u2") * np.uint16(257))
        put("reference.png", gray(1))
        ok("match", "in", "out", "--reference", "reference.png")
        shallow, deep = pixels("out/8.png"), pixels("out/16.png")
        expected = HistogramMatcher(reference=gray(1), dtype="input").transform(gray(0)[None])[0]
        np.testing.assert_array_equal(shallow, expected)
        np.testing.assert_allclose(deep / 257, shallow, atol=0.51)

    def test_learning_from_a_folder(self, capsys):
        """Pictures of different sizes; one of another depth has no meaning in what is learned."""
        train = [gray(i, side=8 + i) for i in range(4)]
        for i, picture in enumerate(train):
            put(f"train/{i}.png", picture)
        put("in/a.png", gray(9))
        ok("match", "in", "out", "--fit", "train")
        matcher = HistogramMatcher(dtype="input")
        for picture in train:
            matcher.partial_fit(picture[None])
        np.testing.assert_array_equal(pixels("out/a.png"), matcher.transform(gray(9)[None])[0])
        put("in/b.png", gray(dtype=np.uint16))
        (said,) = fails(capsys, "match", "in", "out", "--fit", "train", "--overwrite")
        assert said == "in/b.png: its type is uint16, but uint8 was learned from"
        assert os.listdir("out") == ["a.png"]

    def test_what_is_unreadable_is_named_once_when_learning_too(self, capsys):
        put("in/a.png", gray())
        Path("in/b.png").write_text("no picture")
        assert len(fails(capsys, "equalize", "in", "out", "--scope", "dataset")) == 1
        assert os.listdir("out") == ["a.png"]


class TestWholeOrNotAtAll:
    def test_nothing_is_overwritten_unasked(self, capsys):
        np.save("in.npy", faces(4))
        put("in/a.png", gray())
        for kind in (".npy", ""):
            ok("equalize", "in" + kind, "out" + kind)
            (said,) = fails(capsys, "equalize", "in" + kind, "out" + kind, "--n-bins", 4)
            assert said.endswith("or give --overwrite")
            ok("equalize", "in" + kind, "out" + kind, "--n-bins", 4, "--overwrite")
        expected = HistogramEqualizer(n_bins=4).transform(faces(4))
        assert np.load("out.npy").tobytes() == expected.tobytes()
        np.testing.assert_array_equal(pixels("out/a.png"), equalized(gray(), n_bins=4))
        assert nothing_unfinished()

    def test_other_things_in_a_folder_stay(self):
        put("in/a.png", gray())
        put("out/a.png", gray(1))
        Path("out/thesis.txt").write_text("years of work")
        ok("equalize", "in", "out", "--overwrite")
        np.testing.assert_array_equal(pixels("out/a.png"), equalized(gray()))
        assert Path("out/thesis.txt").read_text() == "years of work"

    @pytest.mark.parametrize("kind", ["folder", "files", "arrays", "one"])
    def test_skipping_what_exists_goes_on(self, capsys, kind):
        for i in range(3):
            put(f"in/{i}.png", gray(i))
            np.save(f"{i}.npy", gray(i)[None])
        sources = {"folder": ["in"], "one": ["in/1.png"]}.get(kind)
        ending = ".npy" if kind == "arrays" else ".png"
        folder = "" if kind == "arrays" else "in/"
        sources = sources or [f"{folder}{i}{ending}" for i in range(3)]
        Path("out").mkdir()
        Path(f"out/1{ending}").write_bytes(b"done before")
        ok("equalize", *sources, "out", "--skip-existing")
        assert Path(f"out/1{ending}").read_bytes() == b"done before"
        said = capsys.readouterr().err
        assert said == ("" if kind == "one" else "histeq: 2 written, 0 failed, 1 skipped (exist)\n")
        assert len(os.listdir("out")) == (1 if kind == "one" else 3)
        ok("equalize", *sources, "out", "--skip-existing", "--quiet")

    def test_skipping_learns_from_all_the_same(self):
        for i in range(3):
            put(f"in/{i}.png", gray(i))
        ok("equalize", "in", "all", "--scope", "dataset")
        ok("equalize", "in", "out", "--scope", "dataset")
        os.remove("out/1.png")
        ok("equalize", "in", "out", "--scope", "dataset", "--skip-existing")
        assert Path("out/1.png").read_bytes() == Path("all/1.png").read_bytes()

    @pytest.mark.parametrize("out", ["in", "in/out", "."])
    def test_folders_are_apart(self, capsys, out):
        put("in/a.png", gray())
        fails(capsys, "equalize", "in", out, "--overwrite", status=2)
        assert os.listdir("in") == ["a.png"]

    def test_an_empty_folder_is_no_output(self):
        put("in/a.png", gray())
        os.mkdir("out")
        ok("equalize", "in", "out")
        assert os.listdir("out") == ["a.png"]

    @pytest.mark.skipif(sys.platform != "linux", reason="there is no /dev/full")
    @pytest.mark.parametrize("source", ["in.npy", "in"])
    def test_a_full_disk(self, capsys, monkeypatch, source):
        """On /dev/full every write finds the disk full."""
        np.save("in.npy", faces(4))
        put("in/a.png", gray())
        np.save("out.npy", [1])

        device = Path("/dev/full")
        monkeypatch.setattr(atomic_write, "open", lambda *_, **__: device.open("wb"), raising=False)
        out = {"in": "out", "in.npy": "out.npy"}[source]
        (said,) = fails(capsys, "equalize", source, out, "--overwrite")
        assert said in ("out.npy: No space left on device", "out/a.png: No space left on device")
        assert not Path("out/a.png").exists()
        assert np.load("out.npy").tolist() == [1]

    @pytest.mark.parametrize("source", ["in.npy", "in"])
    def test_ctrl_c(self, capsys, monkeypatch, source):
        np.save("in.npy", faces(9))
        for i in range(9):
            put(f"in/{i}.png", gray())
        monkeypatch.setattr(npy, "BLOCK_BYTES", 2 * 64 * 8)
        calls = []

        def interrupted(self, X):
            calls.append(X)
            if len(calls) == 3:
                raise KeyboardInterrupt
            return X

        monkeypatch.setattr(HistogramEqualizer, "transform", interrupted)
        assert main(["equalize", source, "out.npy" if source == "in.npy" else "out"]) == 130
        assert capsys.readouterr().err == "histeq: interrupted\n"
        assert sorted(os.listdir()) == ["in", "in.npy", *["out"] * (source == "in")]
        if source == "in":  # what is finished stays
            assert sorted(os.listdir("out")) == ["0.png", "1.png"]

    @pytest.mark.parametrize(
        ("how", "status"),
        [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGTERM, 143), (signal.SIGINT, 130)],
    )
    def test_a_kill_leaves_what_was_there(self, how, status):
        np.save("in.npy", faces(9))
        np.save("out.npy", [1])
        code = """if True:
            import signal, sys, time
            from sklearn_histeq import HistogramEqualizer
            from sklearn_histeq._cli import main
            # what runs in the background of a script inherits that Ctrl-C is ignored
            signal.signal(signal.SIGINT, signal.default_int_handler)
            def transform(self, X):
                print(flush=True)
                time.sleep(60)
            HistogramEqualizer.transform = transform
            sys.exit(main(["equalize", "in.npy", "out.npy", "--overwrite"]))
        """
        run = subprocess.Popen(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        with run:
            run.stdout.readline()
            run.send_signal(how)
            assert run.wait() == status
        assert np.load("out.npy").tolist() == [1]
        if how != signal.SIGKILL:
            assert nothing_unfinished()


class TestErrors:
    @pytest.mark.parametrize(
        ("argv", "status", "words"),
        [
            ("equalize none.npy out.npy", 1, "none.npy: No such file or directory"),
            (
                "equalize in.npy no/out.npy",
                1,
                "the folder no does not exist; create it first",
            ),
            ("equalize in.npy out", 2, "IN is an .npy file, but OUT is out"),
            ("equalize a.png out.npy", 2, "or a name that ends in one of .bmp"),
            ("equalize folder out", 1, "folder: no pictures in this folder"),
            ("equalize in.npy out.npy --n-bins 0", 2, "--n-bins 0, but expected an integer >= 1"),
            ("equalize in.npy out.npy --n-bins x", 2, "--n-bins x, but expected"),
            ("equalize in.npy out.npy --value-range -1,-9", 2, "--value-range -1,-9, but expected"),
            ("equalize in.npy out.npy --value-range 0,9", 2, "there is nothing to span"),
            ("clahe in.npy out.npy --quantile-range 9", 2, "--quantile-range 9, but expected two"),
            ("equalize in.npy out.npy --quiet -1,9", 2, "ignored explicit argument"),
            ("equalize a.png b.png --convention x", 2, "--convention x, but expected skimage"),
            ("clahe a.png b.png --clip-limit .5", 2, "--clip-limit 0.5 with --convention histeq"),
            ("clahe a.png b.png --n-jobs 0", 2, "--n-jobs 0, but expected"),
            ("clahe a.png b.png --image-shape 2,2", 2, "--image-shape applies to .npy files only"),
            ("equalize a.png b.png --spatial-dims 3", 2, "--spatial-dims applies to .npy files"),
            (
                "equalize v.npy out.npy",
                2,
                "the input has 5 dimensions (shape (1, 1, 2, 3, 4))",
            ),
            ("equalize v.npy out.npy", 2, "--spatial-dims 2 expected rows (n, n_pixels)"),
            ("equalize in.npy out.npy --spatial-dims 4", 2, "--spatial-dims 4, but expected 2"),
            ("equalize in.npy out.npy --fit in.npy", 2, "--fit in.npy needs --scope dataset"),
            ("match in.npy out.npy --fit folder", 2, "but expected one kind"),
            ("match in.npy out.npy --fit a --reference b", 2, "not allowed with argument"),
            ("match in.npy out.npy --reference in.npy", 2, "reference has"),
            ("match in.npy out.npy --reference no.png", 1, "no.png: No such file"),
            ("equalize in.npy out.npy --plot a.jpg", 2, "expected a name that ends in .png"),
            ("equalize in.npy out.npy --plot a.png", 1, "a.png exists"),
            ("equalize in.npy", 2, "the following arguments are required: OUT"),
            ("equalize in.npy out.npy --n-bin 3", 2, "unrecognized arguments: --n-bin 3"),
        ],
    )
    def test_one_clear_line(self, capsys, argv, status, words):
        np.save("in.npy", faces(4))
        np.save("v.npy", np.zeros((1, 1, 2, 3, 4)))
        put("a.png", gray())
        os.mkdir("folder")
        (said,) = fails(capsys, *argv.split(), status=status)
        assert words in said
        assert sorted(os.listdir()) == ["a.png", "folder", "in.npy", "v.npy"]

    def test_memory_that_does_not_suffice(self, capsys, monkeypatch):
        np.save("in.npy", faces(4))

        def transform(self, X):
            raise MemoryError

        monkeypatch.setattr(HistogramEqualizer, "transform", transform)
        (said,) = fails(capsys, "equalize", "in.npy", "out.npy")
        assert said == "in.npy: it needs more memory than there is"

    @pytest.mark.parametrize("n_jobs", [1, 2])
    @pytest.mark.parametrize(
        ("error", "words"),
        [
            (MemoryError(), "it needs more memory than there is"),
            (TypeError("a bug"), "it cannot be processed (TypeError: a bug)"),
            (RecursionError("deep"), "it cannot be processed (RecursionError: deep)"),
        ],
    )
    def test_no_picture_ends_a_run(self, capsys, monkeypatch, error, words, n_jobs):
        for i in range(4):
            put(f"in/{i}.png", gray(i))
        genuine, bad = HistogramEqualizer.transform, gray(2)

        def transform(self, X):
            if np.array_equal(X[0], bad):
                raise error
            return genuine(self, X)

        monkeypatch.setattr(HistogramEqualizer, "transform", transform)
        (said,) = fails(capsys, "equalize", "in", "out", "--n-jobs", n_jobs)
        assert said == f"in/2.png: {words}"
        assert sorted(os.listdir("out")) == ["0.png", "1.png", "3.png"]

    def test_a_target_that_cannot_be_written_ends_no_run(self, capsys, monkeypatch):
        for i in range(3):
            put(f"in/{i}.png", gray(i))
        genuine = os.replace

        def replace(part, target):
            if target.name == "1.png":
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            genuine(part, target)

        monkeypatch.setattr(atomic_write.os, "replace", replace)
        assert fails(capsys, "equalize", "in", "out") == ["out/1.png: Permission denied"]
        assert sorted(os.listdir("out")) == ["0.png", "2.png"]

    def test_a_warning_is_told_once_and_in_a_line(self, capsys):
        for i in range(3):
            put(f"in/{i}.png", gray())
        ok("clahe", "in", "out", "--n-tiles", 99)
        said = capsys.readouterr().err
        assert "histeq: warning: " in said
        assert said.count("12×12 pixels") == 1
        assert said.endswith("histeq: 3 written, 0 failed\n")
        ok("clahe", "in", "out2", "--n-tiles", 99, "--quiet")
        assert capsys.readouterr().err == ""


class TestProgress:
    def test_silence_in_a_pipe(self, capsys):
        np.save("in.npy", faces(4))
        ok("equalize", "in.npy", "out.npy")
        assert capsys.readouterr() == ("", "")

    @pytest.mark.parametrize("quiet", [False, True])
    def test_a_bar_on_a_terminal(self, monkeypatch, quiet):
        class Terminal(io.StringIO):
            def isatty(self):
                return True

        terminal = Terminal()
        monkeypatch.setattr(sys, "stderr", terminal)
        put("in/a.png", gray())
        ok("equalize", "in", "out", *["--quiet"] * quiet)
        assert ("1/1 pictures" in terminal.getvalue()) != quiet
        assert ("MB/s" in terminal.getvalue()) != quiet
        # nothing stays of the bar
        assert quiet or terminal.getvalue().endswith("\r\033[Khisteq: 1 written, 0 failed\n")

    def test_the_line(self):
        progress = ProgressBar("equalize", 200, "images", quiet=True)
        progress.add(50, 30_000_000)
        assert progress.text(2.0) == (
            "equalize [####............]  25%  50/200 images  15 MB/s  6 s left"
        )


HAS_DISPLAY = hasattr(sklearn_histeq, "EqualizationDisplay")


@pytest.mark.skipif(not HAS_DISPLAY, reason="EqualizationDisplay is not in the package yet")
@pytest.mark.parametrize("source", ["in.npy", "in", "in/0.png"])
def test_plot(source):
    np.save("in.npy", faces(6))
    for i in range(6):
        put(f"in/{i}.png", rgb(i, side=12 + i // 5))
    out = {"in.npy": "out.npy", "in": "out", "in/0.png": "out.png"}[source]
    ok("equalize", source, out, "--plot", "figure.png")
    with Image.open("figure.png") as figure:
        assert figure.format == "PNG"
    assert nothing_unfinished()


# --- help and its page ----------------------------------------------------------------------------


def help_of(capsys, monkeypatch, *command):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    monkeypatch.setattr(sys, "argv", ["histeq"])
    with pytest.raises(SystemExit) as stop:
        main([*command, "--help"])
    assert stop.value.code == 0
    return capsys.readouterr().out


def options_of(parser):
    """Yield the name, the default and the meaning of each option, as help says it."""
    for action in parser._actions:
        if action.option_strings and action.dest != "help":
            name = " ".join(filter(None, [action.option_strings[-1], action.metavar]))
            text = action.help.replace("%(default)s", str(action.default))
            meaning, _, default = text.partition(" (default: ")
            yield name, default.removesuffix(")") or "–", meaning


def table_of_options():
    """One row for each option, with the commands that have it."""
    subparsers = cli_parser._parser()._subparsers._group_actions[0].choices
    rows = {}
    for command in COMMANDS:
        for option in options_of(subparsers[command]):
            rows.setdefault(option, []).append(command)
    for (name, default, meaning), commands in rows.items():
        those = "all" if commands == [*COMMANDS] else ", ".join(commands)
        yield f"| `{name}` | {those} | {default} | {meaning} |\n"


def test_the_page_shows_help_and_options(capsys, monkeypatch):
    """REWRITE_HELP=1 writes what --help says into the page."""
    text = help_of(capsys, monkeypatch).rstrip().replace("\n", "\n    ").replace("    \n", "\n")
    shown = f"    $ histeq --help\n    {text}\n"
    head = "| option | commands | default | meaning |\n|---|---|---|---|\n"
    options = head + "".join(table_of_options())
    page = PAGE.read_text(encoding="utf-8")
    if os.environ.get("REWRITE_HELP"):
        old = re.compile(r"    \$ histeq --help\n(?:(?:    .*)?\n)*?(?=\n*\S|\Z)")
        page = old.sub(lambda _: shown, page)
        page = page[: page.index(head)] + options
        PAGE.write_text(page, encoding="utf-8")
    assert shown in page
    assert page.endswith(options)


@pytest.mark.parametrize("command", [(), *((name,) for name in COMMANDS)])
def test_help_fits_the_terminal(capsys, monkeypatch, command):
    assert max(map(len, help_of(capsys, monkeypatch, *command).splitlines())) <= 80


@pytest.mark.parametrize(
    ("command", "estimator"),
    list(ESTIMATORS.items()),
)
def test_the_options_bear_the_parameters_names(capsys, monkeypatch, command, estimator):
    options = set(re.findall(r"^  --([a-z-]+)", help_of(capsys, monkeypatch, command), re.M))
    parameters = {name.replace("_", "-") for name in estimator().get_params()} - {"flatten"}
    own = {"overwrite", "skip-existing", "quiet", "plot", "max-pixels"} | (
        {"fit"} if command in ("equalize", "match") else set()
    )
    assert options == parameters | own


def test_every_format_is_one_of_pillows():
    Image.init()
    assert set(formats.FORMATS.values()) <= set(Image.SAVE)
    assert files.FORMATS is formats.FORMATS
