"""Write the tables and the figure of the page on performance.

    python docs/draw_speed.py [FOLDER]

One table and the figure have eight comparisons that benchmarks/bench_equalize.py has measured and
written to docs/measurements. The other table has the estimators with their default parameters, most
of which benchmarks/bench_paths.py has measured. Nothing is measured here.
"""

import csv
import sys
from pathlib import Path

DOCS = Path(__file__).parent
# What replaces which function, and the row of speed_1000x96x96.csv: a path and the library.
SHOWN = [
    ("HistogramEqualizer()", "equalize_hist", "uint8 → float64", "skimage"),
    ('HistogramEqualizer(dtype="float32")', "equalize_hist", "uint8 → float32", "skimage"),
    ("HistogramEqualizer()", "equalize_hist", "float64 → float64", "skimage"),
    ('HistogramEqualizer(convention="opencv")', "cv2.equalizeHist", "uint8 → uint8", "cv2"),
    (
        *('AdaptiveHistogramEqualizer(convention="skimage")', "equalize_adapthist"),
        *("uint8 → float64", "skimage CLAHE"),
    ),
    (
        *('AdaptiveHistogramEqualizer(convention="opencv")', "cv2.createCLAHE"),
        *("uint8 → uint8", "cv2 CLAHE"),
    ),
    (
        *('LocalHistogramEqualizer(window=25, convention="skimage")', "rank.equalize"),
        *("uint8 → uint8", "skimage rank 25×25"),
    ),
    ("HistogramMatcher(reference=image)", "match_histograms", "uint8 → float64", "skimage match"),
]
HEAD = ["instead of a loop over", "images → result", "times faster", "ms per megapixel", "take"]


# The row of speed_dtypes.csv, and what it measures.
DEFAULTS = {
    "HistogramEqualizer": "`HistogramEqualizer()`",
    "the same, normal": '`HistogramEqualizer(output_distribution="normal")`',
    "HistogramMatcher": "`HistogramMatcher()`",
    "CLAHE histeq": "`AdaptiveHistogramEqualizer()`",
}
WINDOWS = ["side of an image, windows of 1/8", "128"]  # the row of speed_growth.csv
WINDOWS_SHOWN = "`LocalHistogramEqualizer()`, images of 128×128"
HEAD_DEFAULTS = ["estimator", "uint8", "uint16", "float64"]


def read(name):
    """Return the rows of a table of measurements, without its head."""
    with open(DOCS / "measurements" / f"speed_{name}.csv", newline="", encoding="utf-8") as file:
        return list(csv.reader(file))[1:]


def shown():
    """Return the rows of the table: function, path, times faster, ms per megapixel and code."""
    measured = {
        (path, peer): [*map(float, cells[0:5:4])] for path, peer, *cells in read("1000x96x96")
    }
    found = []
    for code, function, path, peer in SHOWN:
        ratio, ns = measured[path, peer]
        found.append((function, path, f"{ratio:.{0 if ratio >= 10 else 1}f}", f"{ns:.2f}", code))
    return found


def defaults():
    """Return the rows of the table of defaults: an estimator, and ms per megapixel per dtype.

    Images of each dtype are measured as multiples of the plain path.
    """
    plain = next(float(ns) for path, ns, *_ in read("paths") if path.startswith("plain"))
    with open(DOCS / "measurements" / "speed_dtypes.csv", newline="", encoding="utf-8") as file:
        multiples = {row["`transform`"]: row for row in csv.DictReader(file)}
    found = [
        (code, *(plain * float(multiples[name][dtype]) for dtype in HEAD_DEFAULTS[1:]))
        for name, code in DEFAULTS.items()
    ]
    (windows,) = (row[2:] for row in read("growth") if row[:2] == WINDOWS)
    found.append((WINDOWS_SHOWN, *map(float, windows)))
    return [(code, *(f"{ns:.{0 if ns >= 10 else 1}f}" for ns in cells)) for code, *cells in found]


def draw(rows, path):
    """Draw how many times faster as bars, narrow enough to be read on a phone."""
    import matplotlib
    from matplotlib.figure import Figure

    # Text stays text, and equal data gives equal bytes.
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "speed", "font.size": 10}):
        figure = Figure(figsize=(4.4, 4.4), layout="constrained")
        ax = figure.subplots()
        bars = ax.barh(range(len(rows)), [float(row[2]) for row in rows], 0.62, color="#2f5d8a")
        ax.bar_label(bars, [f"{row[2]}×" for row in rows], padding=3)
        ax.set_yticks(range(len(rows)), [f"{row[0]}\n{row[1]}" for row in rows])
        ax.invert_yaxis()
        ax.axvline(1, color="#c8501e", linewidth=1)
        ax.margins(x=0.14)
        ax.set_xlabel("times faster (line: as fast), 1 thread")
        ax.spines[["top", "right"]].set_visible(False)
        figure.savefig(path, metadata={"Date": None})


def main(folder=DOCS):
    """Write the tables and the figure below a folder."""
    rows, folder = shown(), Path(folder)
    lines = [(f"`{function}`", *rest, f"`{code}`") for function, *rest, code in rows]
    for name, table in {"": [HEAD, *lines], "_defaults": [HEAD_DEFAULTS, *defaults()]}.items():
        path = folder / "measurements" / f"speed{name}.csv"
        with open(path, "w", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows(table)
    draw(rows, folder / "images" / "performance.svg")


if __name__ == "__main__":
    main(*sys.argv[1:])
