"""The scripts of the benchmarks find what they import from the package."""

import runpy
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"


@pytest.mark.parametrize("name", sorted(path.name for path in FOLDER.glob("*.py")))
def test_a_script_can_be_imported(name, monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    try:
        assert runpy.run_path(str(FOLDER / name))["__doc__"]
    except ModuleNotFoundError as error:
        if error.name.partition(".")[0] in ("sklearn_histeq", "_machine", "_report"):
            raise
        pytest.skip(f"{error.name} is not installed")
