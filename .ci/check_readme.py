"""Do what the README says, letter by letter, in a fresh clone: the result is the compiled engine.

    python .ci/check_readme.py CLONE

CLONE is a clone of the repository with an environment in CLONE/.venv. Python is started in it.
"""

import os
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path

clone = Path(sys.argv[1]).resolve()
readme = (clone / "README.md").read_text(encoding="utf-8")
path = f"{clone / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}"
env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
env |= {"PATH": path, "VIRTUAL_ENV": str(clone / ".venv")}


def run(command, **options):
    """Run a command in the clone, as a user does, and return what it prints."""
    options |= {"cwd": clone, "env": env, "text": True, "check": True, "stdout": subprocess.PIPE}
    return subprocess.run(command, **options).stdout


line = re.search(r"^ +(pip install .*?)  +#", readme, re.M)[1]
start = time.monotonic()
run([*shlex.split(line), "--quiet"])
seconds, times = time.monotonic() - start, os.times()
busy = times.children_user + times.children_system
print(f"Installing took {seconds:.0f} s, {busy:.0f} s of processor time, {os.cpu_count()} cores.")
(example,) = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
(printed,) = re.findall(r"```text\n(.*?)```", readme, re.DOTALL)
found = run(["python", "-W", "error::UserWarning"], input=example)
assert found == printed, f"the example prints {found!r}, but the README says {printed!r}"
versions = run(["python", "-c", "import sklearn_histeq; sklearn_histeq.show_versions()"])
print(versions)
assert re.search(r"^ *engine: compiled", versions, re.M), "the kernels are not used"
