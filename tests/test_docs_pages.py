"""The examples of the start page and of the installation run as they stand, one after the other.

Examples with a prompt, `>>>`, are doctests: `make doctest`. The page on the demo
shows what the demo prints.
"""

import csv
import re
import runpy
from pathlib import Path

import numpy as np
import pytest
from _internals import needs_kernels
from PIL import Image

from sklearn_histeq._cli import demo

DOCS = Path(__file__).parents[1] / "docs"

pytestmark = pytest.mark.usefixtures("one_thread")


def read(page):
    return (DOCS / page).read_text(encoding="utf-8")


def run_examples(page):
    examples = re.findall(r"```python\n(.*?)```", read(page), re.DOTALL)
    assert examples, f"{page} has no example"
    namespace = {}
    for example in examples:
        exec(example, namespace)
    return namespace


def test_the_start_page_leads_to_a_tuned_pipeline(tmp_path, monkeypatch, capsys):
    plt = pytest.importorskip("matplotlib.pyplot")
    plt.switch_backend("Agg")
    monkeypatch.chdir(tmp_path)
    found = run_examples("index.md")
    assert found["X_equalized"].shape == found["X"].shape
    assert (tmp_path / "before_after.png").stat().st_size > 10_000
    assert found["display"].ax_.shape == (4, 4)
    search = found["search"]
    assert len(search.predict(found["X"][:3])) == 3
    printed = re.search(r"```text\n(.*?)```", read("index.md"), re.DOTALL)[1]
    assert capsys.readouterr().out == printed
    plt.close("all")


def test_the_installation_names_what_runs(capsys):
    run_examples("install.md")
    assert re.search(r"engine: \w+", capsys.readouterr().out)


def section(text, heading):
    """The text of a page from a heading to the next one."""
    return text.split(f"\n## {heading}\n")[1].split("\n## ")[0]


def table(text):
    """The cells of the rows of the first table, by the first cell; bold ones like others."""
    lines = re.search(r"^\|.*(?:\n\|.*)+", text, re.MULTILINE)[0].replace("**", "").split("\n")
    rows = [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in lines[2:]]
    return {name: cells for name, *cells in rows}


def test_the_decision_table_is_the_same_on_three_pages():
    texts = [
        section(read("choosing.md"), "Which estimator to take"),
        section(read("index.md"), "Choosing an estimator"),
        section(read("../README.md"), "Which estimator to take").replace("](docs/", "]("),
    ]
    rows, *others = map(table, texts)
    assert len(rows) == 9
    assert others == [rows, rows]
    assert all("No medical or microscopy images were measured." in text for text in texts)


def n_numbers(text):
    return len(re.findall(r"\d+(?:\.\d+)?|\.\d+", text))


def test_the_page_on_choosing_is_short():
    text = read("choosing.md")
    assert len(text.split()) <= 1500
    assert n_numbers(text) <= 150


def test_the_page_on_performance_is_short():
    assert n_numbers(read("performance.md")) <= 150


def test_the_accuracies_for_choosing_are_those_of_the_measurements():
    """Without those of SVC; the settings have the same names on both pages."""
    text = read("measurements.md")
    even, many, displaced = (
        table(section(text, name)) for name in ("Even light", "Many lights", "Displaced images")
    )
    found = table(section(read("choosing.md"), "What the estimators are worth on faces"))
    assert len(found) == 7
    for name, cells in found.items():
        others, noisy, _, best = even[name]
        lights, dark, _ = many[name]
        three = [cell.split(" / ") for cell in (others, best, noisy, lights, dark)]
        expected = [f"{nearest} / {lda}" for nearest, _, lda in three]
        assert cells == [*expected, displaced[name][2]], name


@needs_kernels
def test_the_recipes_of_the_measurements_run():
    """On noisy images of two people."""
    found = run_examples("measurements.md")
    x, y = noisy_people()
    for name in ("model", "moving"):
        model = found[name].fit(x[:30], y[:30])
        assert model.score(x[30:], y[30:]) == 1
    copies = found["moved_copies"](x, 0)
    assert copies.shape == x.shape
    assert copies.dtype == x.dtype
    assert (copies != x).any(axis=(1, 2)).all()
    assert found["search"].fit(x, y).best_score_ > 0.5


def noisy_people():
    rng, y = np.random.default_rng(0), np.arange(40) % 2
    x = rng.integers(0, 200, (2, 32, 32), dtype=np.uint8)[y]
    x += rng.integers(0, 56, x.shape, dtype=np.uint8)
    return x, y


@needs_kernels
def test_the_recipes_for_choosing_run():
    found = run_examples("choosing.md")
    x, y = noisy_people()
    for name in ("recipe", "sharp"):
        assert found[name].fit_transform(x).shape == (40, 1024)
    assert len(found["search"].fit(x, y).cv_results_["params"]) == 5
    assert found["search"].best_score_ > 0.5


@needs_kernels  # minutes on the slow engine
def test_the_page_on_the_demo_shows_what_the_demo_prints(tmp_path, capsys, monkeypatch):
    """The text, and the accuracies to .03: another scikit-learn may classify an image otherwise.

    It may also choose otherwise in the search, whose table is not compared. So the search has one
    candidate here, and nothing is drawn, which halves the time.
    """
    monkeypatch.setattr(demo.search, "candidates", lambda n_tiles: [["passthrough"]])
    monkeypatch.setattr(demo, "_draw", lambda *args: None)
    demo.run(output=tmp_path / "demo.png")
    shown = re.search(r"```text\n(.*?)```", read("demo.md"), re.DOTALL)[1].strip().split("\n\n")
    printed = capsys.readouterr().out.strip().split("\n\n")[:-1]  # the last names the file
    assert len(shown) == len(printed)
    for ours, theirs in zip(shown, printed):
        if " settings " not in theirs:
            number = r"\d*\.\d+"
            assert re.split(number, ours) == re.split(number, theirs)
            a, b = (list(map(float, re.findall(number, text))) for text in (ours, theirs))
            assert a == pytest.approx(b, abs=0.03)


def difference(*paths):
    """The mean difference of two picture files; another matplotlib may set the text otherwise."""
    ours, theirs = (np.asarray(Image.open(path).convert("RGB"), float) for path in paths)
    return np.abs(ours - theirs).mean()


@pytest.mark.parametrize("name", ["lights.png", "estimators.png"])
def test_the_pictures_of_the_pages_are_drawn_by_their_script(name, tmp_path):
    pytest.importorskip("matplotlib")
    script = runpy.run_path(str(DOCS / "draw_lights.py"))
    script["PICTURES"][name](tmp_path / name)
    assert difference(tmp_path / name, script["IMAGES"] / name) < 1


@pytest.fixture(scope="module")
def guide():
    """The script that draws the figures of the guide."""
    pytest.importorskip("matplotlib")
    return runpy.run_path(str(DOCS / "draw_guide.py"))


def test_the_guide_shows_each_picture_of_its_script(guide):
    text = "".join(path.read_text(encoding="utf-8") for path in DOCS.glob("guide/*.md"))
    shown = re.findall(r"images/guide_(\w+)\.png", text)
    assert sorted(shown) == sorted(guide["FIGURES"])
    assert all((DOCS / "images" / f"guide_{name}.png").is_file() for name in shown)


@needs_kernels
@pytest.mark.parametrize(
    "path", sorted(DOCS.glob("images/guide_*.png")), ids=lambda path: path.stem
)
def test_the_pictures_of_the_guide_are_drawn_by_their_script(guide, tmp_path, path):
    drawn = guide["save"](path.stem.removeprefix("guide_"), tmp_path)
    assert difference(drawn, path) < 3


def measured(name):
    """The rows of a table of speeds, without its head; `make bench` measures them."""
    return list(csv.reader(read(f"measurements/speed_{name}.csv").splitlines()))[1:]


def test_the_table_and_the_figure_of_speeds_are_made_by_their_script(tmp_path):
    pytest.importorskip("matplotlib")
    for folder in ("measurements", "images"):
        (tmp_path / folder).mkdir()
    runpy.run_path(str(DOCS / "draw_speed.py"))["main"](tmp_path)
    for name in ("speed_defaults", "speed"):
        made = (tmp_path / "measurements" / f"{name}.csv").read_text(encoding="utf-8")
        assert made == read(f"measurements/{name}.csv")
    drawn = (tmp_path / "images" / "performance.svg").read_text(encoding="utf-8")
    labels = re.findall(r">([\d.]+×)<", read("images/performance.svg"))
    assert labels == [f"{row[2]}×" for row in csv.reader(made.splitlines()[1:])]
    assert labels == re.findall(r">([\d.]+×)<", drawn)


def test_the_page_on_performance_says_what_was_measured():
    """About, as the page says: a new measurement differs a little."""
    assert run_examples("performance.md")["X_equalized"].dtype == np.float32
    page = " ".join(read("performance.md").split())
    ((processor, *_, date, _),) = measured("machine")
    assert f"{processor.replace(' (', ' processor (')} on {date}" in page
    ns = {tuple(row[:2]): float(row[6]) for row in measured("1000x96x96")}
    milliseconds = {row[0]: [float(cell) / 1000 for cell in row[1:3]] for row in measured("single")}
    windows = {
        (what.split(", ")[1], value): [*map(float, cells)]
        for what, value, *cells in measured("growth")
        if "window" in what
    }
    large = windows["windows of 1/8", "2048"]
    memory = [float(row[2]) for row in measured("memory")]
    volumes = {}
    for _, peer, *cells in measured("4x64x128x128"):
        volumes.setdefault(peer.removeprefix("skimage").strip(), []).append(float(cells[4]))
    volumes = {peer: [min(times), max(times)] for peer, times in volumes.items()}
    plain, normal, _, tiles, local = (list(map(float, row[1:])) for row in measured("defaults"))
    faces = 1e4 * 112**2 / 1e9  # gigapixels, so seconds for each ns per pixel
    total = 2e6 * 96**2 / 1e9
    for pattern, values in {
        "# instead of # ms": [ns["uint8 → float32", "skimage"], ns["uint8 → float64", "skimage"]],
        "fixed cost of about # ms": milliseconds["32×32"][:1],
        "OpenCV, which takes # ms": milliseconds["96×96"][1:],
        "`HistogramEqualizer`: # to #": volumes[""],
        "`HistogramMatcher`: # for uint8, # for float32": volumes["match"],
        "`AdaptiveHistogramEqualizer`: # to #": volumes["CLAHE"],
        "# for uint8 to # for float32 in windows of 5×5×5 voxels": volumes["rank 5×5×5"],
        "# to # in windows of 11×11×11": volumes["rank 11×11×11"],
        "take about # for uint8 and # for float64": windows["volumes of 64×128×128", "0.125"][::2],
        "`HistogramEqualizer()` takes about # s for them, `AdaptiveHistogramEqualizer()` # s, and "
        "windows, then normal, # s": [
            faces * cost for cost in (plain[0], tiles[0], local[0] + normal[2])
        ],
        "have # gigapixels, which are # GB": [total, 2 * total],
        "`HistogramEqualizer()` takes about # s, `AdaptiveHistogramEqualizer()` about # s, and "
        "windows about # s": [total * cost for cost in (plain[1], tiles[1], local[1])],
        "result has # GB as float32": [4 * total],
        "up to # bytes per pixel in addition": [max(float(row[1]) for row in measured("memory"))],
        "takes # bytes per voxel (0.2 GB": memory[2:3],
        "`LocalHistogramEqualizer` about # (0.6 GB)": memory[3:],
        "other estimators at most #.": [max(memory[:2])],
        "takes about # ms per megapixel, uint16 about #, float64 about #": windows[
            "images of 512×512", "65"
        ],
        "takes about # ms per megapixel, and float64 about #, which is # s": [
            *large[::2],
            large[2] * 2048**2 / 1e9,
        ],
        "uint8 and uint16 take about # ms per megapixel, and float64 about #": windows[
            "images of 512×512", "5"
        ][1:],
    }.items():
        found = re.search(re.escape(pattern).replace(r"\#", r"(\d[\d.,]*\d|\d)"), page)
        assert found, pattern
        numbers = [float(number.replace(",", "")) for number in found.groups()]
        assert numbers == pytest.approx(values, rel=0.3), pattern
