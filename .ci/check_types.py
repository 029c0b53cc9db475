"""Check scripts as users write them with mypy --strict and pyright: all wrong calls are found."""

import json
import subprocess
import sys
from pathlib import Path

SCRIPTS = Path("tests/typing")


def mypy(script):
    """Return the lines that mypy rejects in a script, not in what it imports."""
    command = [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", "-O", "json"]
    done = subprocess.run([*command, script], capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return {row["line"] for row in found if row["severity"] == "error"}


def pyright(script):
    """Return the lines that pyright rejects in a script."""
    command = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "--outputjson"]
    done = subprocess.run([*command, script], capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr
    found = json.loads(done.stdout)["generalDiagnostics"]
    return {row["range"]["start"]["line"] + 1 for row in found if row["severity"] == "error"}


for name in ("right.py", "wrong.py"):
    path = SCRIPTS / name
    lines = path.read_text(encoding="utf-8").splitlines()
    wrong = {number for number, line in enumerate(lines, 1) if line.endswith("  # wrong")}
    assert len(wrong) == (11 if name == "wrong.py" else 0), wrong
    for checker in (mypy, pyright):
        found = checker(path)
        assert found == wrong, f"{checker.__name__}, {path}: lines {sorted(found ^ wrong)}"
        print(f"{checker.__name__} rejects {len(found)} lines of {path}, as it should.")
