"""Print how many lines of the kernels ran, by what gcov says of a build with --coverage.

    python .ci/kernel_coverage.py FOLDER

FOLDER is a copy of the checkout in which the kernels were built and tests have run. A line of a
template counts once, whatever the types are that it was compiled for, and in the portable build and
the one for AVX2.
"""

import gzip
import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

# The least share of lines, in percent. With less, a kernel or one of its branches lacks a test.
ENOUGH = 98


def lines_that_ran(notes):
    """Yield (source, line, whether it ran) for the object file to which gcov's notes belong."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["gcov", "--json-format", notes.resolve()]
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        for path in Path(folder).glob("*.gcov.json.gz"):
            for source in json.loads(gzip.decompress(path.read_bytes()))["files"]:
                name = os.path.normpath(source["file"])
                for line in source["lines"]:
                    yield name, line["line_number"], line["count"] > 0


def main(folder):
    """Print a table of the kernels' sources, and exit with 1 where too few lines ran."""
    ran = defaultdict(dict)
    for notes in sorted(folder.rglob("*.gcno")):
        for source, line, has_run in lines_that_ran(notes):
            if source.startswith("sklearn_histeq/"):
                ran[source][line] = ran[source].get(line, False) or has_run
    for source, lines in sorted(ran.items()):
        missed = ", ".join(str(line) for line in sorted(lines) if not lines[line])
        print(f"{100 * sum(lines.values()) / len(lines):5.1f} %  {source}  {missed}")
    total = sum(map(len, ran.values()))
    percent = 100 * sum(sum(lines.values()) for lines in ran.values()) / total
    print(f"Kernels: {percent:.1f} % of {total} lines ran.")
    return percent < ENOUGH


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
