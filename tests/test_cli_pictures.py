"""Pictures from the command line: inputs, folders, conversions, references, and what is said."""

from __future__ import annotations

import os
import re
import struct
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import tifffile
from _helpers import assert_same, own_package
from _picture_files import GEO, ICC, XMP, color, exif, gray
from _picture_files import tiff as make_tiff
from PIL import Image, ImageOps

from sklearn_histeq import (
    AdaptiveHistogramEqualizer,
    HistogramEqualizer,
    HistogramMatcher,
    LocalHistogramEqualizer,
)
from sklearn_histeq._cli import main
from sklearn_histeq._cli.files import map_bounded

ESTIMATORS = {
    "equalize": HistogramEqualizer,
    "clahe": AdaptiveHistogramEqualizer,
    "local": LocalHistogramEqualizer,
    "match": HistogramMatcher,
}

posix = pytest.mark.skipif(os.name != "posix", reason="this needs pipes, links or signals")


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def run(capsys):
    """Run a command; return its exit status and the lines that it says."""

    def call(*argv):
        capsys.readouterr()
        try:
            status = main([*map(str, argv)])
        except SystemExit as stop:
            status = stop.code
        said = capsys.readouterr().err
        assert "Traceback" not in said
        return status, said.splitlines()

    return call


def save(name, array, **options):
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, **options)
    return path


def pixels(name):
    with Image.open(name) as image:
        return np.asarray(image)


class TestNames:
    @pytest.mark.parametrize("out", ["folder", "folder/", "./folder"])
    def test_out_may_be_a_folder(self, run, out):
        save("a.png", gray())
        np.save("b.npy", gray()[None])
        Path("folder").mkdir()
        assert run("equalize", "a.png", out) == (0, [])
        assert run("equalize", "b.npy", out) == (0, [])
        assert sorted(os.listdir("folder")) == ["a.png", "b.npy"]

    @pytest.mark.parametrize("out", [".", "./", "/", ""])
    @pytest.mark.parametrize("source", ["a.png", "in", "b.npy"])
    def test_odd_names_are_reported_in_one_line(self, run, source, out, monkeypatch):
        """What is in the way stays: the picture itself, the current folder, the root."""
        save("a.png", gray())
        save("in/a.png", gray())
        np.save("b.npy", gray()[None])
        if out == "/":  # where root could write
            monkeypatch.setattr(
                "sklearn_histeq._cli.atomic_write.check_file_target", no_permission, raising=True
            )
            monkeypatch.setattr(
                "sklearn_histeq._cli.atomic_write.check_parent", no_permission, raising=True
            )
        status, said = run("equalize", source, out)
        assert status in (1, 2)
        assert len(said) == 1
        assert said[0].startswith("histeq: error: ")
        assert sorted(os.listdir()) == ["a.png", "b.npy", "in"]

    def test_several_pictures_go_into_a_folder(self, run):
        for k in range(3):
            save(f"{k}.png", gray(seed=k))
        status, said = run("equalize", "0.png", "1.png", "2.png", "out/")
        assert (status, said) == (0, ["histeq: 3 written, 0 failed"])
        for k in range(3):
            expected = HistogramEqualizer(dtype="input").transform(gray(seed=k)[None])[0]
            np.testing.assert_array_equal(pixels(f"out/{k}.png"), expected)
        save("out/mine.png", gray())
        kept = Path("out/mine.png").read_bytes()
        status, said = run("equalize", "0.png", "1.png", "out")
        assert status == 1
        assert said == ["histeq: error: out/0.png exists; name another file, or give --overwrite"]
        assert run("equalize", "0.png", "--overwrite", "1.png", "--n-bins", "9", "out")[0] == 0
        assert Path("out/mine.png").read_bytes() == kept
        assert sorted(os.listdir("out")) == ["0.png", "1.png", "2.png", "mine.png"]

    def test_several_arrays_go_into_a_folder(self, run):
        for k in range(2):
            np.save(f"{k}.npy", gray(seed=k)[None])
        assert run("equalize", "0.npy", "1.npy", "out") == (0, ["histeq: 2 written, 0 failed"])
        assert sorted(os.listdir("out")) == ["0.npy", "1.npy"]
        Path("1.npy").write_text("damaged")
        status, said = run("equalize", "0.npy", "1.npy", "other")
        assert status == 1
        assert said[1] == "histeq: 1 written, 1 failed"
        assert os.listdir("other") == ["0.npy"]

    @posix
    @pytest.mark.parametrize(
        ("argv", "words"),
        [
            (["a.png", "other/a.png", "out"], "several inputs have the name a.png"),
            (["a.png", "in", "out"], "in is a folder, but expected several files"),
            (["a.png", "b.npy", "out"], "the inputs are .npy files and pictures"),
            (["a.png", "other/b.png", "a.png"], "OUT is a.png, which is a file, but"),
            (["b.npy", "c.npy", "a.png"], "OUT is a.png, which is a file, but"),
            (["d.npz", "out.npy"], "d.npz is an archive of .npy files; unzip it, and give one"),
            (["fifo.png", "out.png"], "fifo.png is not a regular file"),
        ],
    )
    def test_inputs_that_do_not_fit(self, run, argv, words):
        for name in ("a.png", "other/a.png", "other/b.png", "in/a.png"):
            save(name, gray())
        np.save("b.npy", gray()[None])
        np.save("c.npy", gray()[None])
        np.savez("d.npz", X=gray()[None])
        os.mkfifo("fifo.png")
        status, said = run("equalize", *argv)
        assert status in (1, 2)
        assert len(said) == 1
        assert words in said[0]
        assert not Path("out").exists()

    def test_underscores_stay_in_names_after_two_hyphens(self, run):
        save("--a_b.png", gray())
        assert run("equalize", "--n_bins=8", "--", "--a_b.png", "--c_d.png") == (0, [])
        assert sorted(os.listdir()) == ["--a_b.png", "--c_d.png"]


def no_permission(*_, **__):
    raise PermissionError(13, "Permission denied", "/")


class TestFolders:
    @posix
    def test_hidden_files_links_and_devices(self, run):
        """Hidden ones are left out, links to files are followed, and links to folders are not."""
        for name in ("in/a.png", "in/.b.png", "in/.c/d.png", "elsewhere/e.png", "f.png"):
            save(name, gray())
        Path("in/link.png").symlink_to(Path("f.png").resolve())
        Path("in/folder").symlink_to(Path("elsewhere").resolve())
        Path("in/notes.txt").write_text("no picture")
        os.mkfifo("in/fifo.png")
        status, said = run("equalize", "in", "out")
        assert (status, said) == (0, ["histeq: 2 written, 0 failed, 2 skipped (no pictures)"])
        assert sorted(os.listdir("out")) == ["a.png", "link.png"]
        assert not Path("out/link.png").is_symlink()

    @posix
    def test_a_link_that_leads_nowhere_is_reported(self, run):
        save("in/a.png", gray())
        Path("in/b.png").symlink_to("nowhere.png")
        status, said = run("equalize", "in", "out")
        assert status == 1
        assert said[0] == "histeq: error: in/b.png: No such file or directory"

    def test_the_end_tells_what_was_done(self, run):
        for k in range(4):
            save(f"in/{k}.png", gray(seed=k))
        Path("in/1.png").write_text("damaged")
        Path("in/notes.txt").write_text("no picture")
        status, said = run("equalize", "in", "out")
        assert status == 1
        assert said[0].startswith("histeq: error: in/1.png: ")
        assert said[1] == "histeq: 3 written, 1 failed, 1 skipped (no pictures)"
        assert said[2] == said[0].replace("error:", "failed:")
        assert run("equalize", "in", "out", "--overwrite", "--quiet") == (1, said[:1])

    @pytest.mark.parametrize(
        "options", [[], ["--scope", "dataset"], ["--color", "value"], ["--color", "lightness"]]
    )
    def test_threads_give_the_same_bytes(self, run, options):
        for k in range(9):
            save(f"in/{k}.png", gray(seed=k) if k % 2 else color(seed=k))
        options = options if options != ["--scope", "dataset"] else [*options, "--fit", "train"]
        save("train/a.png", gray())
        run("equalize", "in", "one", *options)
        run("equalize", "in", "three", "--n-jobs", 3, *options)
        names = sorted(os.listdir("one"))
        assert names == sorted(os.listdir("three"))
        assert names
        for name in names:
            assert Path("one", name).read_bytes() == Path("three", name).read_bytes()

    def test_few_results_wait_at_a_time(self):
        """However slowly they are used, which bounds the memory of a run."""
        begun = []
        results = map_bounded(lambda k: begun.append(k) or k, range(1000), 2)
        for k, result in zip(range(10), results):
            assert result == k
            assert len(begun) <= k + 5
        results.close()
        assert len(begun) < 30

    def test_two_pictures_are_read_at_the_same_time(self, monkeypatch, run):
        both = threading.Barrier(2, timeout=60)
        for k in range(2):
            save(f"in/{k}.png", gray(seed=k))
        genuine = Image.open

        def read(*args):
            both.wait()
            return genuine(*args)

        monkeypatch.setattr(Image, "open", read)
        assert run("equalize", "in", "out", "--n-jobs", 2)[0] == 0


class TestPlot:
    @pytest.mark.parametrize(
        "argv",
        [
            ["in/a.png", "out.png", "--plot", "out.png"],
            ["in/a.png", "out.png", "--plot", "in/a.png"],
            ["in/a.png", "out.png", "--plot", "in/../out.png"],
            ["in", "out", "--plot", "out/a.png"],
            ["in", "out", "--plot", "out/figure.png"],
            ["in", "out", "--plot", "in/a.png"],
            ["in/a.png", "in/b.png", "out", "--plot", "out/b.png"],
        ],
    )
    def test_it_never_replaces_a_picture(self, run, argv):
        for name in ("in/a.png", "in/b.png", "out/a.png"):
            save(name, gray())
        before = Path("in/a.png").read_bytes()
        status, said = run("equalize", *argv, "--overwrite")
        assert status == 2
        assert "--plot " in said[0]
        assert Path("in/a.png").read_bytes() == before
        assert not Path("out.png").exists()


class TestConversions:
    """A single picture whose OUT ends in another format."""

    @pytest.mark.parametrize("orientation", range(1, 9))
    @pytest.mark.parametrize("out", ["out.bmp", "out.ppm", "out.tif", "out.png", "out.webp"])
    def test_the_orientation_is_kept_or_the_pixels_are_turned(self, run, orientation, out):
        picture = np.asarray(Image.fromarray(color()).resize((64, 40)))
        save("in.jpg", picture, quality=100, subsampling=0, exif=exif(orientation=orientation))
        assert run("equalize", "in.jpg", out)[0] == 0
        with Image.open("in.jpg") as image, Image.open(out) as found:
            assert found.getexif().get(274, 1) == (
                orientation if out not in ("out.bmp", "out.ppm") else 1
            )
            wanted = np.asarray(ImageOps.exif_transpose(image))
            seen = np.asarray(ImageOps.exif_transpose(found).convert("RGB"))
        wanted = HistogramEqualizer(channel_axis=-1, dtype="input").transform(wanted[None])[0]
        assert np.abs(seen - wanted.astype(float)).mean() < (40 if out == "out.webp" else 1e-9)

    @pytest.mark.parametrize("out", ["out.tif", "out.png", "out.jpg", "out.webp"])
    @pytest.mark.parametrize("source", ["in.tif", "in.png", "in.jpg", "in.webp"])
    def test_what_both_formats_hold_is_kept(self, run, source, out):
        options = {"exif": exif(orientation=6), "icc_profile": ICC, "dpi": (300, 300)}
        if source == "in.webp":
            options["xmp"] = XMP
        save(source, color(), **options)
        status, said = run("equalize", source, out)
        assert status == 0
        with Image.open(out) as image:
            assert image.info["icc_profile"] == ICC
            tags = image.getexif()
            assert (tags[271], tags[274]) == ("maker", 6)
            with Image.open(source) as original:  # Pillow 11.0 writes neither into the test's file
                for directory, tag in ((34853, 1), (34665, 37500)):  # GPS, the maker's note
                    there = original.getexif().get_ifd(directory).get(tag)
                    assert tags.get_ifd(directory).get(tag) == there
            if "webp" not in source + out:
                assert [round(float(dpi)) for dpi in image.info["dpi"]] == [300, 300]
        if source == "in.webp" and out != source:
            assert XMP in Path(out).read_bytes()
        lost = "webp" in out and "webp" not in source
        assert [line for line in said if "dpi" in line or "resolution" in line] == (
            ["histeq: warning: WEBP does not keep the resolution"] if lost else []
        )

    def test_what_is_lost_is_named(self, run):
        Path("in.tif").write_bytes(make_tiff(color(), photometric="rgb", extratags=GEO))
        status, said = run("equalize", "in.tif", "out.png")
        assert status == 0
        assert len(said) == 1
        assert said[0].startswith("histeq: warning: PNG does not keep the TIFF tags 33550, 33922,")

    def test_16_bits_in_color(self, run):
        pytest.importorskip("imagecodecs")
        Path("in.tif").write_bytes(make_tiff(color("u2"), photometric="rgb"))
        assert run("equalize", "in.tif", "out.png")[0] == 0
        assert run("equalize", "out.png", "again.tif")[0] == 0
        estimator = HistogramEqualizer(channel_axis=-1, dtype="input")
        once = estimator.transform(color("u2")[None])
        np.testing.assert_array_equal(tifffile.imread("again.tif"), estimator.transform(once)[0])


class TestDepth:
    @pytest.mark.parametrize("reference", ["u1", "u2", "f4"])
    @pytest.mark.parametrize("source", ["u1", "u2", "f4"])
    @pytest.mark.parametrize("dtype", [None, "uint8", "uint16", "float32"])
    def test_a_reference_in_any_depth(self, run, source, reference, dtype):
        """The result spans the same share of its type as the reference does."""
        for name, kind, seed in (("in.tif", source, 0), ("ref.tif", reference, 1)):
            Path(name).write_bytes(make_tiff(gray(kind, seed)))
        options = [] if dtype is None else ["--dtype", dtype]
        assert run("match", "in.tif", "out.tif", "--reference", "ref.tif", *options) == (0, [])
        found, wanted = tifffile.imread("out.tif"), gray("f8", 1)
        assert found.dtype == np.dtype(dtype or source)
        top = np.iinfo(found.dtype).max if found.dtype.kind == "u" else 1
        for share in (0, 0.25, 0.5, 0.75, 1):
            assert abs(np.quantile(found / top, share) - np.quantile(wanted, share)) < 0.03

    def test_a_reference_without_a_depth_is_refused(self, run):
        save("in.png", gray())
        Path("ref.tif").write_bytes(make_tiff(gray("f4") * 1000))
        status, said = run("match", "in.png", "out.png", "--reference", "ref.tif")
        assert status == 1
        assert "a reference with values outside 0 to 1 cannot be uint8" in said[0]

    @pytest.mark.parametrize("command", ["equalize", "match"])
    def test_what_is_learned_comes_out_in_another_depth(self, run, command):
        for k in range(3):
            save(f"in/{k}.png", gray(seed=k))
        options = ["--scope", "dataset"] if command == "equalize" else []
        run(command, "in", "eight", *options)
        run(command, "in", "sixteen", "--dtype", "uint16", *options)
        for k in range(3):
            eight, sixteen = pixels(f"eight/{k}.png"), pixels(f"sixteen/{k}.png")
            np.testing.assert_allclose(sixteen / 257, eight, atol=0.51)

    @pytest.mark.parametrize("dtype", ["input", "float32", "uint16"])
    def test_landmarks_go_to_the_standard_range_in_every_type(self, run, dtype):
        for k in range(3):
            save(f"in/{k}.png", color(seed=k))
        options = ["--landmarks", "nyul", "--standard-range", "20,200", "--dtype", dtype]
        assert run("match", "in/0.png", "out.tif", *options, "--fit", "in") == (0, [])
        images = np.stack([color(seed=k) for k in range(3)])
        matcher = HistogramMatcher(
            landmarks="nyul", standard_range=(20, 200), channel_axis=-1, dtype=dtype
        ).fit(images)
        assert_same(tifffile.imread("out.tif"), matcher.transform(images[:1])[0])

    def test_matching_a_picture_to_itself_is_reported(self, run):
        save("a.png", gray())
        save("in/a.png", gray())
        np.save("a.npy", gray()[None])
        for source, out in (("a.png", "b.png"), ("in", "out"), ("a.npy", "b.npy")):
            status, said = run("match", source, out)
            assert status == 0
            assert said[0].startswith("histeq: warning: match without --reference or --fit learns")

    def test_bands_have_no_value(self, run):
        bands = make_tiff(color(n=4), photometric="rgb", extrasamples="unspecified")
        Path("in.tif").write_bytes(bands)
        status, said = run("equalize", "in.tif", "out.tif", "--color", "value")
        assert status == 1
        assert said == ["histeq: error: in.tif: it has 4 channels, but --color value expected RGB"]

    @pytest.mark.parametrize("name", ["luminance", "lightness"])
    def test_levels_that_end_early_have_no_luminance(self, run, name):
        Path("in.ppm").write_bytes(b"P6 2 1 100\n" + bytes([1, 2, 3, 100, 50, 0]))
        status, said = run("equalize", "in.ppm", "out.ppm", "--color", name)
        assert status == 1
        expected = f"its levels end at 100, but --color {name} expected all"
        assert said == [f"histeq: error: in.ppm: {expected}"]

    def test_nodata_that_does_not_fit(self, run):
        holes = gray("f4")
        holes[:5] = -9999
        Path("in.tif").write_bytes(make_tiff(holes, extratags=[(42113, 2, 0, "-9999", True)]))
        status, said = run("equalize", "in.tif", "out.tif", "--dtype", "uint8")
        assert status == 1
        assert said == ["histeq: error: in.tif: its nodata value -9999 does not fit into uint8"]


class TestMessages:
    @pytest.mark.parametrize(
        "header",
        [
            b"{'descr': '<u1', 'fortran_order': False, 'shape': (-2, 3, 3), }",
            b"{'descr': '<u1', 'fortran_order': False, 'shape': (2, -3, -3), }",
            b"{'descr': '<u1', 'fortran_order': False, 'shape': (2, 3, 3",
            b"{'descr': '<u1', 'fortran_order': 7, 'shape': 'x', }",
            b"{'descr': 'nonsense', 'fortran_order': False, 'shape': (2, 3, 3), }",
            b"{'descr': '<u1', 'shape': (2, 3, 3), }",
            b"\xff\xfe\0\0",
            b"__import__('os').abort()",
            b"{'descr': '<u1', 'fortran_order': False, 'shape': (10**99, 3, 3), }",
        ],
    )
    @pytest.mark.parametrize("version", [1, 2, 3, 9])
    def test_a_damaged_npy(self, run, header, version):
        size = struct.pack("<H" if version == 1 else "<I", len(header) + 1)
        start = b"\x93NUMPY" + bytes([version, 0]) + size
        Path("in.npy").write_bytes(start + header + b"\n" + bytes(18))
        status, said = run("equalize", "in.npy", "out.npy")
        assert status == 1
        assert len(said) == 1
        assert os.listdir() == ["in.npy"]

    PYTHON = re.compile(
        r"channel_axis|grid search|pip install imagecodecs|DOS|index out|\bNone\b|\bX\b|astype"
        r"|np\.|numpy|[a-z]=|Errno|Error\b|dtype="
    )

    @pytest.mark.parametrize(
        "argv",
        [
            ["equalize", "rgb.png", "--n-bins", "9", "--convention", "opencv"],
            ["equalize", "deep.png", "--convention", "opencv"],
            ["equalize", "rgb.png", "--n-bins", "0"],
            ["equalize", "rgb.png", "--output-distribution", "normal"],
            ["equalize", "rgb.png", "--dtype", "int8"],
            ["equalize", "rgb.png", "--n-jobs", "0"],
            ["equalize", "rows.npy", "--image-shape", "5,5"],
            ["equalize", "rows.npy", "--image-shape", "x"],
            ["equalize", "four.npy", "--color", "value"],
            ["equalize", "four.npy", "--channel-axis", "3"],
            ["equalize", "infinite.npy"],
            ["equalize", "nan.tif", "--dtype", "uint8"],
            ["clahe", "rgb.png", "--clip-limit", "-1"],
            ["clahe", "rgb.png", "--convention", "opencv", "--tile-shape", "5"],
            ["clahe", "rgb.png", "--convention", "opencv", "--n-bins", "9"],
            ["clahe", "nan.tif", "--convention", "opencv"],
            ["clahe", "rgb.png", "--n-tiles", "0"],
            ["match", "rgb.png", "--reference", "deep.png"],
            ["match", "four.npy", "--reference", "deep.png"],
            ["equalize", "cut.png"],
            ["equalize", "cut.tif"],
            ["equalize", "text.png"],
        ],
    )
    def test_they_speak_of_files_and_options(self, run, argv):
        save("rgb.png", color())
        save("deep.png", gray("u2"))
        Path("cut.png").write_bytes(Path("rgb.png").read_bytes()[:-99])
        whole = make_tiff(color("u2"), photometric="rgb")
        Path("nan.tif").write_bytes(make_tiff(gray("f4") * np.nan))
        Path("cut.tif").write_bytes(whole[: len(whole) // 2])
        Path("text.png").write_text("text")
        np.save("rows.npy", np.zeros((3, 24), "u1"))
        np.save("four.npy", np.zeros((3, 2, 24, 24), "u1"))
        np.save("infinite.npy", np.full((2, 3, 3), np.inf))
        status, said = run(*argv[:2], "out" + Path(argv[1]).suffix, *argv[2:])
        assert status in (1, 2)
        assert len(said) == 1
        assert not self.PYTHON.search(said[0]), said[0]


@pytest.mark.parametrize("command", ESTIMATORS)
def test_the_defaults_in_help_are_the_estimators(capsys, monkeypatch, command):
    """The page has them from the help; another test compares them."""
    monkeypatch.setenv("COLUMNS", "1000")
    with pytest.raises(SystemExit):
        main([command, "--help"])
    text = re.sub(r"\s+", " ", capsys.readouterr().out)
    parameters = ESTIMATORS[command]().get_params().items()
    spelled = {k: re.sub(r"[() ]", "", str(v)) for k, v in parameters}  # pairs as low,high
    wanted = {k: "none" if v == "None" else v for k, v in spelled.items()}
    for name in ("flatten", "reference"):  # has no option, is a file
        wanted.pop(name, None)
    blocks = re.split(r"\s--(?=[a-z-]+ [A-Z])", text)
    found = {b.split()[0].replace("-", "_"): re.findall(r"\(default: ([^)]+)\)", b) for b in blocks}
    assert found.pop("max_pixels") == ["178956970"]
    assert {name: values for name, values in found.items() if values} == {
        name: [value] for name, value in wanted.items()
    }


def test_no_default_is_written_by_hand():
    """Another default of an estimator shows in help, though nobody edits the command line."""
    code = """if True:
        import sys
        from sklearn_histeq import AdaptiveHistogramEqualizer
        from sklearn_histeq._cli import main
        genuine = AdaptiveHistogramEqualizer.get_params
        values = lambda self, deep=True: {k: f"value-of-{k}" for k in genuine(self)}
        AdaptiveHistogramEqualizer.get_params = values
        main(["clahe", "--help"])
    """
    environment = own_package() | {"COLUMNS": "1000"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    names = set(AdaptiveHistogramEqualizer().get_params()) - {"flatten"}
    assert set(re.findall(r"\(default: value-of-(\w+)\)", done.stdout)) == names
    assert done.stdout.count("default: ") == len(names) + 1  # and --max-pixels
