"""The demo: its tables, its figure, and runs from end to end."""

from __future__ import annotations

import builtins
import io
import re
import sys

import numpy as np
import pytest
from _people import some_people
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklearn_histeq import (
    AdaptiveHistogramEqualizer,
    HistogramEqualizer,
    LocalHistogramEqualizer,
    relight,
)
from sklearn_histeq._cli import atomic_write, demo
from sklearn_histeq._cli.demo import run, search
from sklearn_histeq._cli.demo.figure import draw, lit_from_a_side
from sklearn_histeq._cli.demo.protocols import BUNDLED, PEOPLE, Trial, to_rows
from sklearn_histeq._cli.demo.report import (
    WIDTH,
    Report,
    accuracy_header,
    accuracy_row,
    mean_and_spread,
    search_header,
    search_row,
)
from sklearn_histeq._cli.demo.search import Choice
from sklearn_histeq._cli.errors import FileError, UsageError

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def no_figure(monkeypatch):
    """Save the time that drawing takes."""
    monkeypatch.setattr(demo, "_draw", lambda *args: None)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


class TestReport:
    def test_the_table_of_accuracies(self):
        columns = ["raw", "standardised", "equalized", "tiles", "windows"]
        header = accuracy_header(columns)
        rows = [
            accuracy_row("random part", [[0.5, 0.7], [1, 1], [0.25, 0.25], [0.5, 0.7], [1, 1]]),
            accuracy_row("bright to dark", [[0.5], [1], [0.25], [0.5], [1]]),
        ]
        assert header.split() == ["accuracy", *columns]
        assert re.split(r"(?<=\d) (?!±)|  +", rows[0].strip()) == [
            "random part",
            "0.600 ±0.100",
            "1.000 ±0.000",
            "0.250 ±0.000",
            "0.600 ±0.100",
            "1.000 ±0.000",
        ]
        scores = ["0.500", "1.000", "0.250", "0.500", "1.000"]
        assert rows[1].split() == ["bright", "to", "dark", *scores]
        assert max(map(len, [header, *rows])) <= WIDTH
        points = [
            [m.start() for m in re.finditer(r"\d\.\d", re.sub("±.{5}", " " * 6, row))]
            for row in rows
        ]
        assert points[0] == points[1]

    def test_spread_is_the_standard_deviation(self):
        assert mean_and_spread([0.9, 0.8, 1.0]) == f"0.900 ±{np.std([0.9, 0.8, 1.0]):.3f}"
        assert mean_and_spread([0.9]).strip() == "0.900"

    def test_the_table_of_searches(self):
        setting = "tiles, clip_limit=None, n_tiles=4"
        rows = [
            search_header(15, ["other", "side"]),
            search_row("bright to dark", Choice(0.95, (0.7, 0.6), 11, setting)),
            search_row("no search", Choice(None, (0.7, 0.6), None, "equalized")),
        ]
        assert rows[0].split()[2:6] == ["valid.", "other", "side", "ties"]
        scores = ["0.950", "0.700", "0.600", "11"]
        assert rows[1].split() == ["bright", "to", "dark", *scores, *setting.split()]
        assert rows[2].split() == ["no", "search", "0.700", "0.600", "equalized"]
        assert len({row.index(word) for row, word in zip(rows, ("Grid", "tiles", "equal"))}) == 1
        assert rows[1].index("0.700") == rows[2].index("0.700")
        ends = {rows[0].index("side") + 4, rows[1].index("0.600") + 5}
        assert len(ends) == 1
        assert max(map(len, rows)) <= WIDTH

    def test_no_progress_in_a_pipe(self, capsys):
        report = Report()
        report.status("working")
        report.line("a result")
        assert capsys.readouterr() == ("a result\n", "")

    def test_progress_on_a_terminal_makes_room_for_results(self, capsys, monkeypatch):
        terminal = io.StringIO()
        terminal.isatty = lambda: True
        monkeypatch.setattr("sys.stderr", terminal)
        report = Report()
        report.status("working hard")
        assert terminal.getvalue() == "\r\033[K  0 s  working hard"
        report.status("done")
        shown = terminal.getvalue()
        assert shown.endswith("\r\033[K  0 s  done")
        report.line("a result")
        assert terminal.getvalue()[len(shown) :] == "\r\033[K"
        report.line("another")  # there is nothing to remove
        assert terminal.getvalue()[len(shown) :] == "\r\033[K"
        assert capsys.readouterr().out == "a result\nanother\n"

    def test_progress_keeps_to_one_line(self, monkeypatch):
        terminal = io.StringIO()
        terminal.isatty = lambda: True
        monkeypatch.setattr("sys.stderr", terminal)
        monkeypatch.setenv("COLUMNS", "30")
        Report().status("x" * 100)
        assert len(terminal.getvalue().removeprefix("\r\033[K")) < 30

    def test_long_steps_have_a_bar(self, monkeypatch):
        terminal = io.StringIO()
        terminal.isatty = lambda: True
        monkeypatch.setattr("sys.stderr", terminal)
        Report().progress("working", total=4, done=1)
        assert terminal.getvalue() == "\r\033[K  0 s  [####............]  25%  working"

    def test_plus_minus_in_ascii(self, monkeypatch):
        raw = io.BytesIO()
        monkeypatch.setattr("sys.stdout", io.TextIOWrapper(raw, encoding="ascii"))
        Report().line(mean_and_spread([0.9, 0.9]))
        assert raw.getvalue().decode().strip() == "0.900+-0.000"

    def test_paragraphs_fit(self, capsys):
        Report().paragraph("word " * 60)
        assert max(map(len, capsys.readouterr().out.splitlines())) <= WIDTH


class TestFigure:
    @pytest.fixture(autouse=True)
    def _matplotlib(self):
        pytest.importorskip("matplotlib")

    def test_the_demos_panels(self, rng, monkeypatch):
        # pyplot would choose a backend, and might want a display
        monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
        images = rng.integers(0, 100, (3, 1, 9, 8)).astype(np.uint8)
        side_lit = rng.integers(0, 100, (2, 1, 9, 8)).astype(np.uint8)
        upper, lower = draw(images, "under lights", side_lit).subfigs
        self.check_before_after(upper.axes, images[:, 0])
        grid = np.reshape(lower.axes, (4, 2))
        rows = {
            "before": side_lit / 255,
            "whole image": HistogramEqualizer().fit_transform(side_lit),
            "2 × 2 tiles": AdaptiveHistogramEqualizer(n_tiles=2).fit_transform(side_lit),
            "windows": LocalHistogramEqualizer(window=1 / 4).fit_transform(side_lit),
        }
        for axes, (label, planes) in zip(grid, rows.items(), strict=True):
            assert axes[0].get_ylabel() == label
            for ax, plane in zip(axes, planes[:, 0], strict=True):
                assert_array_equal(ax.images[0].get_array(), plane)
                assert ax.images[0].get_clim() == (0, 1)
        means = [round(half.mean()) for half in np.split(side_lit[0, 0], 2, axis=1)]
        assert grid[0, 0].get_title() == f"mean left {means[0]}, right {means[1]}"

    def check_before_after(self, axes, before):
        after = HistogramEqualizer().fit_transform(before)
        grid = np.reshape(axes[:12], (4, 3))
        for row, planes, top in ((0, before, 255), (2, after, 1)):
            for column, plane in enumerate(planes):
                image = grid[row, column].images[0]
                assert_array_equal(image.get_array(), plane)
                assert image.get_clim() == (0, top)  # the dark must look dark
                counts, edges, _ = grid[row + 1, column].patches[0].get_data()
                assert_array_equal(counts, np.histogram(plane, edges)[0])
                assert counts.sum() == plane.size
        cdfs = [ax.lines[0].get_xydata() for ax in axes[12:]]
        assert len(cdfs) == 6
        for cdf in cdfs:
            assert (np.diff(cdf, axis=0) >= 0).all()
            assert cdf[-1, 1] == 1
        assert [ax.get_title() for ax in grid[0]] == [f"mean {p.mean():.0f} of 255" for p in before]

    def test_side_lit_examples_go_from_left_to_right(self):
        image = np.full((1, 1, 9, 8), 200, np.uint8)
        examples = lit_from_a_side(image, seed=0)[:, 0].astype(float)
        assert len(examples) == 5
        tilts = examples[..., 4:].mean(axis=(1, 2)) - examples[..., :4].mean(axis=(1, 2))
        assert (np.diff(tilts) > 0).all()
        assert tilts[0] < 0 < tilts[-1]

    def test_written_whole_or_not_at_all(self, tmp_path):
        from matplotlib.figure import Figure

        class Breaks(Figure):
            def savefig(self, file, **options):
                file.write(b"half a")
                raise OSError("the disk is full")

        path = tmp_path / "x.png"
        atomic_write.save_figure(Figure(), path, True, "somebody")
        with Image.open(path) as picture:
            assert picture.info["Software"] == "somebody"
        good = path.read_bytes()
        with pytest.raises(OSError, match="full"):
            atomic_write.save_figure(Breaks(), path, True, "somebody")
        assert path.read_bytes() == good
        assert list(tmp_path.iterdir()) == [path]


class TestOutput:
    """Only the demo's own file is ever overwritten, and that is known before all work."""

    @pytest.mark.parametrize(
        ("name", "words"),
        [
            ("faces.jpg", r"faces\.jpg, but expected a name that ends in \.png"),
            ("nowhere/faces.png", r"the folder .*nowhere does not exist"),
            ("folder.png", r"folder\.png is a folder"),
            ("mine.png", r"mine\.png exists, and the demo did not write it; name another"),
        ],
    )
    def test_refused(self, tmp_path, capsys, name, words):
        (tmp_path / "folder.png").mkdir()
        Image.new("L", (3, 3)).save(tmp_path / "mine.png")
        kept = (tmp_path / "mine.png").read_bytes()
        with pytest.raises((FileError, UsageError), match=words):
            run(output=tmp_path / name)
        assert (tmp_path / "mine.png").read_bytes() == kept
        assert capsys.readouterr().out == ""


@pytest.fixture
def few_candidates(monkeypatch):
    """Two candidates in the place of eighteen, for the sake of time."""
    kinds = [HistogramEqualizer()], ["passthrough"]
    monkeypatch.setattr(search, "candidates", lambda n_tiles: kinds)


@pytest.mark.usefixtures("few_candidates")
class TestRun:
    def test_bundled(self, tmp_path, capsys):
        pytest.importorskip("matplotlib")
        output = tmp_path / "demo.png"
        about = PngInfo()
        about.add_text("Software", "sklearn-histeq demo")
        Image.new("L", (1, 1)).save(output, pnginfo=about)  # its own file, which it may overwrite
        run(output=output, repeats=2)
        out, err = capsys.readouterr()
        assert err == ""
        assert max(map(len, out.replace(str(output), "").splitlines())) <= WIDTH
        assert "simulated" in out
        assert "over the random draws (2)" in " ".join(out.split())
        for name in BUNDLED:
            assert out.count(name) == 3  # in each table
        scores = r"( +\d\.\d{3} ±\d\.\d{3}){5}"
        assert len(re.findall(rf"^ (same|other|side|harsh) light{scores}$", out, re.M)) == 12
        assert len(re.findall(rf"^ harsh, copies{scores}$", out, re.M)) == 3
        assert len(re.findall(r"^ (same|harsh) light( +\d\.\d{3}){3} +\d+  \S", out, re.M)) == 6
        assert out.count("\n no search") == 6
        assert "What this shows" in out
        assert "AdaptiveHistogramEqualizer(n_tiles=4)" in out
        assert str(output) in out
        with Image.open(output) as figure:
            figure.load()
            assert figure.width > 800
            assert figure.height > 600
            assert figure.info["Software"] == "sklearn-histeq demo"

    @pytest.mark.usefixtures("no_figure")
    def test_the_same_seed_gives_the_same_figures(self, tmp_path, capsys, monkeypatch):
        monkeypatch.setattr(demo, "BUNDLED", {"SVC (RBF)": BUNDLED["SVC (RBF)"]})
        monkeypatch.setattr(search, "candidates", lambda n_tiles: [[HistogramEqualizer()]])
        printed = []
        for seed in (5, 5, 6):
            run(output=tmp_path / "demo.png", repeats=2, seed=seed)
            printed.append(re.sub(r"\d+ seconds", "", capsys.readouterr().out))
        assert printed[0] == printed[1] != printed[2]

    def test_without_matplotlib(self, npz, tmp_path, capsys, monkeypatch):
        real_import = builtins.__import__

        def no_matplotlib(name, *args, **kwargs):
            if name.partition(".")[0] == "matplotlib":
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)
            return real_import(name, *args, **kwargs)

        monkeypatch.setattr(builtins, "__import__", no_matplotlib)
        X, y = some_people(n_each=2)
        path = npz(X=X, y=y)
        run(data=path, output=tmp_path / "demo.png", repeats=1)
        out = capsys.readouterr().out
        assert 'pip install "sklearn-histeq[plot]"' in out
        assert "The demo took" in out  # it went on
        assert list(tmp_path.iterdir()) == [path]

    @pytest.mark.usefixtures("no_figure")
    def test_people(self, npz, tmp_path, capsys):
        X, y = some_people(n_each=50)
        path = npz(X=X, y=np.array(["ada", "bob", "eve", "kim"])[y])
        run(data=path, output=tmp_path / "demo.png", repeats=2)
        out = capsys.readouterr().out
        said = " ".join(out.split())
        assert "200 images of 4 people, 10x12 pixels" in said
        assert "trained on 10 random images of each person" in said
        assert "the 20 brightest images of each person" in said
        for name in PEOPLE:
            assert out.count(name) == 3
        assert len(re.findall(r"^ dark, copies( +\d\.\d{3}){5}$", out, re.M)) == 3
        assert len(re.findall(r"random part( +\d\.\d{3} ±\d\.\d{3}){5}$", out, re.M)) == 3
        assert len(re.findall(r"bright to dark( +\d\.\d{3}){5}$", out, re.M)) == 3
        assert (
            len(re.findall(r"^ (random folds|bright to dark)( +\d\.\d{3}){2} +\d+  \S", out, re.M))
            == 6
        )

    @pytest.mark.parametrize(
        ("counts", "words"),
        [
            ([2, 2, 2], ["PCA + LDA (linear) is left out", "There is no tuning"]),
            ([3, 2], ["PCA + LDA (linear) is left out", "There is no tuning"]),
            ([4, 4], ["2 random images", "GridSearchCV now chooses"]),
            ([9, 5, 2], ["1 to 4 random images", "GridSearchCV now chooses"]),
            ([60, 4, 1], ["2 to 10 random images", "single image were left out (1)"]),
        ],
    )
    @pytest.mark.usefixtures("no_figure")
    def test_few_images(self, npz, tmp_path, capsys, counts, words):
        X, _ = some_people(n_people=len(counts), n_each=60)
        keep = np.concatenate([60 * i + np.arange(count) for i, count in enumerate(counts)])
        path = npz(X=X[keep], y=np.repeat(np.arange(len(counts)), counts))
        run(data=path, output=tmp_path / "demo.png", repeats=1)
        out = capsys.readouterr().out
        said = " ".join(out.split())
        for word in words:
            assert word in said
        assert ("PCA + LDA (linear) is left out" in said) != ("\nPCA + LDA (linear)\n" in out)

    @pytest.mark.usefixtures("no_figure")
    def test_folder(self, folder, tmp_path, capsys):
        run(data=folder, output=tmp_path / "demo.png", repeats=1)
        assert "6 images of 2 people, 6x8 pixels" in " ".join(capsys.readouterr().out.split())


class TestProtocols:
    """Who is trained and tested on what; the training itself is left out."""

    @pytest.fixture
    def seen(self, monkeypatch):
        seen = {}
        monkeypatch.setattr(demo, "_compare", lambda *args: seen.update(trials=args[-1]))
        monkeypatch.setattr(
            demo, "_tune", lambda *args: seen.update(problems=args[2], trial=args[3])
        )
        monkeypatch.setattr(demo, "_augment", lambda *args: seen.update(augmented=args[2]))
        return seen

    def test_bundled(self, tmp_path, seen, monkeypatch):
        monkeypatch.setattr(demo, "_draw", lambda *args: None)
        run(output=tmp_path / "demo.png", repeats=3)
        assert len(seen["trials"]) == 3
        for trial, augmented in zip(seen["trials"], seen["augmented"], strict=True):
            assert augmented.train is trial.train
            assert augmented.tests == {"harsh, copies": trial.tests["harsh light"]}
        part, problems = seen["trials"][0].train, seen["problems"]
        assert list(problems) == ["same light", "harsh light"]
        assert all(problem.part is part for problem in problems.values())
        for fold, expected in zip(*(problem.folds for problem in problems.values()), strict=True):
            for indices, same in zip(fold, expected, strict=True):
                assert_array_equal(indices, same)
        assert problems["same light"].scoring == "accuracy"
        model = make_pipeline(FunctionTransformer(to_rows), KNeighborsClassifier(1)).fit(*part)
        copies = [relight(part.images, random_state=seed) for seed in range(3)]
        scores = [model.score(images, part.labels) for images in copies]
        assert_allclose(problems["harsh light"].scoring(model, *part), np.mean(scores))
        assert np.mean(scores) < 1  # it would be 1 on the images as they are

    def test_people(self, npz, tmp_path, seen, monkeypatch):
        matplotlib = pytest.importorskip("matplotlib.figure")
        drawn = []

        def draw(images, lights, side_lit):
            drawn.append(images)
            assert lights == "under different lights"
            assert len(side_lit) == 5
            return matplotlib.Figure()

        monkeypatch.setattr(demo.figure, "draw", draw)
        X, y = some_people(n_each=[60, 60, 60, 2])
        run(data=npz(X=X, y=y), output=tmp_path / "demo.png", repeats=2)
        *draws, harder = seen["trials"]
        for trial in draws:
            assert_array_equal(np.bincount(trial.train.labels), [10, 10, 10, 1])
            assert_array_equal(np.bincount(trial.tests["random part"].labels), [50, 50, 50, 1])
        train, dark = harder.train, harder.tests["bright to dark"]
        assert_array_equal(np.bincount(train.labels), [20, 20, 20, 1])
        assert seen["trial"].tests["dark"] is dark
        assert seen["augmented"] == [Trial(train, {"dark, copies": dark})]
        self.check_brightness(train, dark)
        for problem in seen["problems"].values():
            assert_array_equal(np.bincount(problem.part.labels), [20] * 3)  # one cannot be split
        ((fit, valid),) = seen["problems"]["bright to dark"].folds
        part = seen["problems"]["bright to dark"].part
        assert_array_equal(np.bincount(part.labels[fit]), [10] * 3)
        self.check_brightness(part.take(fit), part.take(valid))
        (images,) = drawn
        assert {image.tobytes() for image in images} <= {x.tobytes() for x in X[y == 0]}
        means = images.mean(axis=(1, 2, 3))
        assert (np.diff(means) < 0).all()
        assert means[0] == X[y == 0].mean(axis=(1, 2)).max()

    def check_brightness(self, bright, dark):
        assert_array_equal(np.bincount(bright.labels), np.bincount(dark.labels))
        assert not {i.tobytes() for i in bright.images} & {i.tobytes() for i in dark.images}
        for label in np.unique(dark.labels):
            means = bright.images[bright.labels == label].mean(axis=(1, 2, 3))
            assert means.min() >= dark.images[dark.labels == label].mean(axis=(1, 2, 3)).max()
