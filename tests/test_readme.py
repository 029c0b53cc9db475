"""The README is short, its example prints what it says, and its figures are those of the docs."""

import csv
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def page(name):
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def row(text, *starts):
    """The cells of the only line of a table that starts with these cells."""
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.split("\n")]
    (found,) = [cells for cells in rows if cells[: len(starts)] == list(starts)]
    return found


def test_the_readme_is_short():
    assert len(README.splitlines()) <= 90


def test_the_example_prints_what_the_readme_says(capsys):
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    (printed,) = re.findall(r"```text\n(.*?)```", README, re.DOTALL)
    exec(example, {})
    assert capsys.readouterr().out == printed


def test_the_accuracies_are_those_of_the_measurements():
    """benchmarks/measure_faces.py measures them."""
    text = page("measurements.md")
    text = text[text.index("## Many lights") : text.index("## Even light")]
    accuracies = [
        float(row(text, name)[2].split(" / ")[-1])  # of LDA, 20 brightest → 20 darkest
        for name in ("window 1/8, then normal", "raw", "`HistogramEqualizer()`")
    ]
    best, raw, plain = (f"{100 * accuracy:.1f} %" for accuracy in accuracies)
    pattern = (
        r"harsh light: (.*?) instead of (.*?)\.\*\*.*?"
        r" recognised (.*?) of .*?, (.*?) after .*? (\S* %) after"
    )
    (found,) = re.findall(pattern, README, re.DOTALL)
    assert found == (best, raw, raw, plain, best)


def test_the_planes_are_those_of_migration():
    """benchmarks/compare_libraries.py counts them."""
    (found,) = re.findall(r"([\d,]+) random planes", README)
    assert found == row(page("migration.md"), "all")[2]


def test_the_speeds_are_those_measured():
    """`make bench` measures them."""
    text = page("measurements/speed_1000x96x96.csv")
    measured = {tuple(row[:2]): float(row[2]) for row in [*csv.reader(text.splitlines())][1:]}
    skimage, opencv = measured["uint8 → float64", "skimage"], measured["uint8 → uint8", "cv2"]
    pattern = r"([\d.]+) times as fast as a loop over (scikit-image|OpenCV)"
    found = {library: figure for figure, library in re.findall(pattern, README)}
    assert found == {"scikit-image": f"{skimage:.0f}", "OpenCV": f"{opencv:.1f}"}


def test_the_time_to_install_is_that_of_install():
    """`make test-readme` measures it."""
    pattern = r"(\d+ s of processor time)"
    assert re.findall(pattern, README) == re.findall(pattern, page("install.md"))
