"""The demo: its tables, its figure, and runs from end to end."""

from __future__ import annotations

import builtins
import io
import re
import sys

import numpy as np
import pytest
from _people import some_people
from numpy.testing import assert_array_equal
from PIL import Image
from threadpoolctl import threadpool_limits

from sklearn_histeq import (
    AdaptiveHistogramEqualizer,
    HistogramEqualizer,
    LocalHistogramEqualizer,
)
from sklearn_histeq._cli import atomic_write, demo
from sklearn_histeq._cli.demo import run, search
from sklearn_histeq._cli.demo.figure import draw, draw_before_after
from sklearn_histeq._cli.demo.protocols import (
    BUNDLED,
    PEOPLE,
)
from sklearn_histeq._cli.demo.report import (
    WIDTH,
    Report,
    accuracy_header,
    accuracy_row,
    mean_and_spread,
    search_header,
    search_row,
)
from sklearn_histeq._cli.demo.search import (
    Choice,
)
from sklearn_histeq._cli.errors import FileError, UsageError


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    """Small matrices on busy cores: BLAS threads would only wait for each other."""
    with threadpool_limits(1):
        yield


@pytest.fixture
def no_figure(monkeypatch):
    """Save the time that drawing takes."""
    monkeypatch.setattr(demo, "_draw", lambda *args: None)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def npz(tmp_path):
    """Write an .npz file of these arrays, and return its path."""

    def write(**arrays):
        path = tmp_path / "faces.npz"
        np.savez(path, **arrays)
        return path

    return write


@pytest.fixture
def folder(tmp_path):
    """A folder of two people with three pictures each, in three formats."""
    rng = np.random.default_rng(3)
    for person in ("ada", "bob"):
        (tmp_path / "all" / person).mkdir(parents=True)
        for suffix in ("pgm", "png", "JPG"):
            picture = Image.fromarray(rng.integers(0, 256, (8, 6)).astype(np.uint8))
            picture.save(tmp_path / "all" / person / f"one.{suffix}")
    return tmp_path / "all"


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

    def test_pictures_histograms_and_cdfs(self, rng):
        before = rng.integers(0, 100, (3, 9, 8)).astype(np.uint8)
        after = HistogramEqualizer().fit_transform(before)
        figure = draw_before_after(before, after, ["a", "b", "c"], "heading")
        grid = np.reshape(figure.axes[:12], (4, 3))
        for row, planes, top in ((0, before, 255), (2, after, 1)):
            for column, plane in enumerate(planes):
                image = grid[row, column].images[0]
                assert_array_equal(image.get_array(), plane)
                assert image.get_clim() == (0, top)  # the dark must look dark
                counts, edges, _ = grid[row + 1, column].patches[0].get_data()
                assert_array_equal(counts, np.histogram(plane, edges)[0])
                assert counts.sum() == plane.size
        cdfs = [ax.lines[0].get_xydata() for ax in figure.axes[12:]]
        assert len(cdfs) == 6
        for cdf in cdfs:
            assert (np.diff(cdf, axis=0) >= 0).all()
            assert cdf[-1, 1] == 1
        assert [ax.get_title() for ax in grid[0]] == ["a", "b", "c"]

    def test_the_demos_panels(self, rng):
        pictures = rng.integers(0, 100, (3, 1, 9, 8)).astype(np.uint8)
        side_lit = rng.integers(0, 100, (2, 1, 9, 8)).astype(np.uint8)
        figure = draw(pictures, "under lights", side_lit, n_tiles=2)
        upper, lower = figure.subfigs
        assert len(upper.axes) == 12 + 6
        grid = np.reshape(lower.axes, (4, 2))
        rows = {
            "before": side_lit / 255,
            "whole picture": HistogramEqualizer().fit_transform(side_lit),
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

    def test_side_lit_examples_go_from_left_to_right(self, rng):
        picture = np.full((1, 1, 9, 8), 200, np.uint8)
        examples = demo._side_lit_examples(picture, seed=0)[:, 0].astype(float)
        assert len(examples) == 5
        tilts = examples[..., 4:].mean(axis=(1, 2)) - examples[..., :4].mean(axis=(1, 2))
        assert (np.diff(tilts) > 0).all()
        assert tilts[0] < 0 < tilts[-1]

    def test_no_pyplot(self, monkeypatch):
        # pyplot would choose a backend, and might want a display
        monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
        planes = np.zeros((1, 2, 2))
        assert len(draw_before_after(planes, planes, ["a"], "heading").axes) == 6

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
            ("nowhere/faces.png", r"cannot write to the folder .*nowhere"),
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
def small_grid(monkeypatch):
    """Three settings in the place of fifteen, for the sake of time."""
    grid = [{"equalize__convention": ["skimage", "pillow"]}, {"equalize": ["passthrough"]}]
    for module in (demo, search):
        monkeypatch.setattr(module, "settings", lambda n_tiles: grid)


@pytest.mark.usefixtures("small_grid")
class TestRun:
    def test_bundled(self, tmp_path, capsys):
        pytest.importorskip("matplotlib")
        output = tmp_path / "demo.png"
        run(output=output, repeats=2)
        out, err = capsys.readouterr()
        assert err == ""
        assert max(map(len, out.replace(str(output), "").splitlines())) <= WIDTH
        assert "simulated" in out
        assert "of the random draws (2)" in " ".join(out.split())
        for name in BUNDLED:
            assert out.count(name) == 2  # in either table
        scores = r"( +\d\.\d{3} ±\d\.\d{3}){5}"
        assert len(re.findall(rf"^ (same|other|side|harsh) light{scores}$", out, re.M)) == 12
        assert len(re.findall(r"^ (same|harsh) light( +\d\.\d{3}){3} +\d+  \S", out, re.M)) == 6
        assert out.count("no search") == 15
        assert "What to take from this" in out
        assert "AdaptiveHistogramEqualizer(n_tiles=4)" in out
        assert str(output) in out
        with Image.open(output) as figure:
            figure.load()
            assert figure.width > 800
            assert figure.height > 600
        run(output=output, repeats=1)  # over its own file
        assert capsys.readouterr().out != out

    @pytest.mark.usefixtures("no_figure")
    def test_the_same_seed_gives_the_same_figures(self, tmp_path, capsys, monkeypatch):
        monkeypatch.setattr(demo, "BUNDLED", {"SVC (RBF)": BUNDLED["SVC (RBF)"]})
        printed = []
        for seed in (5, 5, 6):
            run(output=tmp_path / "demo.png", repeats=2, seed=seed)
            printed.append(re.sub(r"\d+ seconds", "", capsys.readouterr().out))
        assert printed[0] == printed[1] != printed[2]

    def test_without_matplotlib(self, tmp_path, capsys, monkeypatch):
        real_import = builtins.__import__

        def no_matplotlib(name, *args, **kwargs):
            if name.partition(".")[0] == "matplotlib":
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)
            return real_import(name, *args, **kwargs)

        monkeypatch.setattr(builtins, "__import__", no_matplotlib)
        monkeypatch.setattr(demo, "BUNDLED", {"SVC (RBF)": BUNDLED["SVC (RBF)"]})
        run(output=tmp_path / "demo.png", repeats=1)
        out = capsys.readouterr().out
        assert 'pip install "sklearn-histeq[plot]"' in out
        assert "The demo took" in out  # it went on
        assert list(tmp_path.iterdir()) == []

    def test_people(self, npz, tmp_path, capsys):
        X, y = some_people(n_each=50)
        path = npz(X=X, y=np.array(["ada", "bob", "eve", "kim"])[y])
        run(data=path, output=tmp_path / "demo.png", repeats=2)
        out = capsys.readouterr().out
        said = " ".join(out.split())
        assert "200 pictures of 4 people, 10x12 pixels" in said
        assert "trained on 10 random pictures of each person" in said
        assert "each person's 20 brightest pictures" in said
        for name in PEOPLE:
            assert out.count(name) == 2
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
            ([4, 4], ["2 random pictures", "GridSearchCV now chooses"]),
            ([9, 5, 2], ["1 to 4 random pictures", "GridSearchCV now chooses"]),
            ([60, 4, 1], ["2 to 10 random pictures", "single picture were left out (1)"]),
        ],
    )
    @pytest.mark.usefixtures("no_figure")
    def test_few_pictures(self, npz, tmp_path, capsys, counts, words):
        X, _ = some_people(n_people=len(counts), n_each=60)
        keep = np.concatenate([60 * i + np.arange(count) for i, count in enumerate(counts)])
        path = npz(X=X[keep], y=np.repeat(np.arange(len(counts)), counts))
        run(data=path, output=tmp_path / "demo.png", repeats=1)
        said = " ".join(capsys.readouterr().out.split())
        for word in words:
            assert word in said

    @pytest.mark.usefixtures("no_figure")
    def test_folder(self, folder, tmp_path, capsys):
        run(data=folder, output=tmp_path / "demo.png", repeats=1)
        assert "6 pictures of 2 people, 6x8 pixels" in " ".join(capsys.readouterr().out.split())
