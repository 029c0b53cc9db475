"""The examples of the start page and of the installation run as they stand, one after the other.

Examples with a prompt, `>>>`, are doctests: `make doctest`.
"""

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"


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
