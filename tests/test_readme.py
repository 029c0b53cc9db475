"""The README's examples run as they stand, one after the other, on faces like those it names."""

import re
from pathlib import Path

import numpy as np

README = Path(__file__).parents[1] / "README.md"


def test_examples_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    people = np.arange(40) % 4
    rng = np.random.default_rng(0)
    faces = rng.integers(0, 100, (4, 1, 24, 24))[people]
    light = rng.uniform(0.5, 2.5, (40, 1, 1, 1))
    np.save("faces.npy", (faces * light).astype(np.uint8))
    np.save("people.npy", people)

    examples = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert len(examples) == 2
    namespace = {}
    for example in examples:
        exec(example, namespace)

    assert namespace["search"].best_score_ == 1.0  # the light is gone, and people are told apart
    assert str(namespace["search"].best_params_) in capsys.readouterr().out
