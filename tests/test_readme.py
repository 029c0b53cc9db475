"""The README's example runs as it stands, and prints what the README says."""

import re
from pathlib import Path

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def test_the_example_prints_what_the_readme_says(capsys):
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    (printed,) = re.findall(r"```text\n(.*?)```", README, re.DOTALL)
    exec(example, {})
    assert capsys.readouterr().out == printed


def test_the_table_of_results_stands_in_the_docs():
    """Its figures are measured by benchmarks/measure_faces.py, which writes those of the docs."""
    choosing = (Path(__file__).parents[1] / "docs" / "choosing.md").read_text(encoding="utf-8")
    names = {
        "raw pictures": "raw",
        "standardised pictures": "standardised",
        "`AdaptiveHistogramEqualizer()`": "`AdaptiveHistogramEqualizer()`: 8 tiles, clip limit 3",
        "`AdaptiveHistogramEqualizer(clip_limit=None)`": "8 tiles, unclipped",
        "`LocalHistogramEqualizer(window=1/4)`, then normal": "window 1/4, then normal",
        "`LocalHistogramEqualizer()`, then normal": "window 1/8, then normal",
    }
    table = README[README.index("## How much it helps") :].split("\n\n")[2]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.split("\n")[2:]]
    assert len(rows) == 8
    for name, *figures in rows:
        many, even = (
            [cell.split(" / ")[-1].strip() for cell in line.split("|")[2:-1]]
            for line in choosing.split("\n")
            if line.startswith(f"| {names.get(name, name)} |") and " / " in line
        )
        assert figures == [many[1], many[2], even[0]], name
