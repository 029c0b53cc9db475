"""The scripts of the benchmarks find what they import from the package."""

import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from _internals import needs_kernels

FOLDER = Path(__file__).parents[1] / "benchmarks"


@needs_kernels
@pytest.mark.parametrize("name", sorted(path.name for path in FOLDER.glob("*.py")))
def test_a_script_can_be_imported(name, monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    try:
        assert runpy.run_path(str(FOLDER / name))["__doc__"]
    except ModuleNotFoundError as error:
        if error.name.partition(".")[0] in ("sklearn_histeq", "_machine", "_peers", "_report"):
            raise
        pytest.skip(f"{error.name} is not installed")


@pytest.mark.parametrize("has_lights", [False, True])
def test_embeddings_are_compared_with_the_gallery(monkeypatch, tmp_path, capsys, has_lights):
    """Four people whose probes are darker, before a network that gives the pixels themselves."""
    pytest.importorskip("cv2", reason="OpenCV is not installed")
    monkeypatch.syspath_prepend(FOLDER)
    import measure_embeddings

    faces = np.random.default_rng(0).integers(100, 256, (4, 1, 16, 16)).astype("u1")
    X = np.concatenate([faces, faces // 2, faces // 40], axis=1).reshape(12, 16, 16)
    np.savez(tmp_path / "data.npz", X=X, y=np.repeat(list("abcd"), 3))
    np.savez(tmp_path / "lights.npz", azimuth=[0, 60, -90] * 4, elevation=[0] * 12)
    options = ["--data", str(tmp_path / "data.npz"), "--side", "16", "--threshold", "1"]
    options += ["--lights", str(tmp_path / "lights.npz")] if has_lights else []
    monkeypatch.setattr(sys, "argv", ["measure_embeddings.py", *options])
    monkeypatch.setattr(
        measure_embeddings,
        "dlib_network",
        lambda options: lambda faces: faces[..., 0].reshape(len(faces), -1) / 255,
    )
    if has_lights:  # no probe is in subset 3
        monkeypatch.setattr(measure_embeddings, "SUBSETS", {"subset 4": 77.5, "subset 5": 180})
    measure_embeddings.main()
    head, _, _, *rows = capsys.readouterr().out.splitlines()
    probes = "4 (subset 4), 4 (subset 5)" if has_lights else "8 (all)"
    assert head == f"4 people; probes: {probes}"
    cells = {name: rest for name, *rest in (row.strip("| ").split(" | ") for row in rows)}
    assert len(cells) == 13
    assert cells["HistogramEqualizer"][:-2] == (["1.000"] * 2 if has_lights else ["1.000"])
    assert cells["raw"][-2:] == ["+0.00 [+0.00, +0.00]", "0.000"]
    gain = float(cells["HistogramEqualizer"][-2].split()[0])
    assert gain == pytest.approx(1 - np.mean([float(cell) for cell in cells["raw"][:-2]]), abs=0.01)
