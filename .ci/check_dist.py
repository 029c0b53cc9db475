"""Check what is in dist/: one source archive with all that it needs to test itself, one wheel.

Another folder may be named: python .ci/check_dist.py FOLDER
"""

import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

# of the repository, not of a release
LEFT_OUT = (".ci/", ".github/", ".gitignore", ".pre-commit-config.yaml")

folder = Path(sys.argv[1] if len(sys.argv) > 1 else "dist")
(archive,) = folder.glob("*.tar.gz")
(wheel,) = folder.glob("*.whl")

with tarfile.open(archive) as tar:
    members = [member for member in tar.getmembers() if member.isfile()]
names = {member.name.split("/", 1)[1] for member in members}
tracked = subprocess.run(["git", "ls-files"], check=True, capture_output=True, text=True).stdout
expected = {name for name in tracked.splitlines() if not name.startswith(LEFT_OUT)}
generated = {name for name in names if "egg-info/" in name} | {"PKG-INFO", "setup.cfg"}
assert names - generated == expected, sorted((names - generated) ^ expected)
assert archive.stat().st_size < 5e6, archive.stat().st_size

with zipfile.ZipFile(wheel) as zipped:
    inside = set(zipped.namelist())
top = {name.split("/")[0] for name in inside}
assert {name for name in top if not name.endswith(".dist-info")} == {"sklearn_histeq"}, top
modules = {name for name in expected if name.startswith("sklearn_histeq/")}
modules = {name for name in modules if name.endswith((".py", ".pyi", "py.typed"))}
assert modules <= inside, modules - inside
others = {name for name in inside - modules if ".dist-info/" not in name}
assert all(name.endswith((".so", ".pyd")) for name in others), others
assert len(others) == 5, f"the kernels were not built: {others}"
if not sysconfig.get_config_var("Py_GIL_DISABLED"):
    assert "-cp311-abi3-" in wheel.name, f"{wheel.name} serves one Python only"
assert any(name.endswith("/LICENSE") for name in inside), "no licence"
print(
    f"{archive.name} has the {len(expected)} files it should have, {wheel.name} its {len(inside)}."
)
