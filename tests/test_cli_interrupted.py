"""Signals at random times, full disks, read-only folders: the old OUT or the new one.

HISTEQ_SIGNALS=200 sends each signal 200 times; otherwise a few times, for the sake of time.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from _helpers import faces, own_package
from PIL import Image

from sklearn_histeq._cli import atomic_write, main, signals

N_SIGNALS = int(os.environ.get("HISTEQ_SIGNALS", "3"))
JOBS = {
    "array": ["in.npy", "out.npy"],
    "folder": ["in", "out"],
    "folder in threads": ["in", "out", "--n-jobs", "2"],
    "new folder": ["in", "new"],
    "files": ["in/0.png", "in/1.png", "in/2.png", "several"],
}

# Imports once for all jobs, and forks for each signal, which saves a second each time.
HELPER = """if True:
    import json, os, random, shutil, signal, sys, time
    from pathlib import Path
    import PIL.Image, PIL.PngImagePlugin, tifffile
    from sklearn_histeq._cli import files, main

    number, n_signals, jobs = map(json.loads, sys.argv[1:])

    def state(target):
        if target.is_dir():
            return {path.name: path.read_bytes() for path in sorted(target.iterdir())}
        return target.read_bytes() if target.exists() else None

    def start(argv):
        numbers = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
        signal.pthread_sigmask(signal.SIG_BLOCK, numbers)  # not inside fork
        child = os.fork()
        if child:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)
            return child
        try:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            status = main(["equalize", *argv, "--overwrite"])
        except SystemExit as stop:
            status = stop.code
        except BaseException:  # a signal before main was ready for it
            status = 1
        os._exit(status)

    def restore(target, content):
        if target.is_dir():
            shutil.rmtree(target)
        elif target.exists():
            target.unlink()
        if isinstance(content, dict):
            target.mkdir()
            for name, data in content.items():
                (target / name).write_bytes(data)
        elif content is not None:
            target.write_bytes(content)

    def interrupt(argv):
        target = next(Path(arg) for arg in argv if Path(arg).stem in ("out", "new", "several"))
        old, listed = state(target), sorted(os.listdir())
        began = time.monotonic()
        assert os.waitpid(start(argv), 0)[1] == 0
        seconds = time.monotonic() - began
        new = state(target)
        names = sorted({*listed, target.name})
        assert new != old and sorted(os.listdir()) == names
        for k in range(n_signals):
            restore(target, old)
            child = start(argv)
            time.sleep(random.uniform(0, 1.1 * seconds))
            os.kill(child, number)
            if number != signal.SIGKILL and k % 2:  # another one at once
                os.kill(child, signal.SIGTERM if number != signal.SIGTERM else signal.SIGINT)
            os.waitpid(child, 0)
            found = state(target)
            if number != signal.SIGKILL:
                assert set(os.listdir()) <= set(names), os.listdir()
                assert not target.is_dir() or not [name for name in found if name.startswith(".")]
            for name in os.listdir():
                if name.endswith(".part"):
                    shutil.rmtree(name) if os.path.isdir(name) else os.remove(name)
            if target.suffix:
                assert found in (old, new)
            else:  # each file by itself
                for name, data in (found or {}).items():
                    known = (old or {}).get(name), new.get(name)
                    assert name.endswith(".part") or data in known, name
        restore(target, old)

    for name in ("SIGINT", "SIGTERM", "SIGHUP"):  # whatever the parent has ignored
        signal.signal(getattr(signal, name), signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    random.seed(number)
    for argv in jobs:
        try:
            interrupt(argv)
        except AssertionError as error:
            error.add_note(f"the job was {argv}")
            raise
"""


def png(path, seed, side=200):
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(faces(1, 1, side, seed=seed)[0, 0]).save(path)


def with_usual_signals():
    """In a new process: a test run in the background may have been started with Ctrl-C ignored."""
    for name in LAST_WORDS:
        signal.signal(getattr(signal, name), signal.SIG_DFL)


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("in.npy", faces(60, 1, 200))
    np.save("out.npy", [1])
    for k in range(6):
        png(Path(f"in/{k}.png"), k)
        png(Path(f"out/{k}.png"), 9, side=5)
    for k in range(3):
        png(Path(f"several/{k}.png"), 9, side=5)
    return tmp_path


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this needs fork")
@pytest.mark.parametrize("name", ["SIGKILL", "SIGTERM", "SIGHUP", "SIGINT"])
def test_signals_at_random_times(data, monkeypatch, name):
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")
    told = map(json.dumps, (int(getattr(signal, name)), N_SIGNALS, list(JOBS.values())))
    command = [sys.executable, "-c", HELPER, *told]
    done = subprocess.run(command, capture_output=True, text=True, env=own_package())
    assert (done.returncode, done.stderr[-300:]) == (0, "")


# A process as a user starts it, with a function that is told of each module that is imported.
PROCESS = """if True:
    import os, sys

    class Watch:
        def find_spec(self, name, path=None, target=None):
            {told}

    sys.meta_path.insert(0, Watch())
    from sklearn_histeq._cli import main
    sys.exit(main())
"""
KILLED = """if name == sys.argv[1]:
                sys.argv.pop(1)
                os.kill(os.getpid(), {number})"""
FIRST = "sklearn_histeq._cli.parser"  # of the modules that are imported when signals are handled
LAST_WORDS = {
    "SIGINT": "histeq: interrupted\n",
    "SIGTERM": "histeq: ended by SIGTERM\n",
    "SIGHUP": "histeq: ended by SIGHUP\n",
}


@pytest.mark.skipif(os.name != "posix", reason="this needs signals")
@pytest.mark.parametrize(
    ("name", "module"),
    [
        *product(LAST_WORDS, [FIRST, "sklearn"]),
        *product(["SIGINT"], ["argparse", "numpy", "sklearn.utils"]),
    ],
)
def test_signals_while_modules_are_imported(data, name, module):
    code = PROCESS.format(told=KILLED.format(number=int(getattr(signal, name))))
    command = [sys.executable, "-c", code, module, "equalize", *JOBS["array"], "--overwrite"]
    done = subprocess.run(
        command, capture_output=True, text=True, env=own_package(), preexec_fn=with_usual_signals
    )
    assert (done.returncode, done.stderr) == (128 + getattr(signal, name), LAST_WORDS[name])


@pytest.mark.skipif(os.name != "posix", reason="this needs signals")
@pytest.mark.parametrize("name", LAST_WORDS)
def test_signals_at_random_times_from_the_start(data, name):
    """From the first import to the last instructions of Python: one line, or a finished run."""
    code = PROCESS.format(told=f"name == {FIRST!r} and os.write(1, b'.')")
    command = [sys.executable, "-c", code, "equalize", *JOBS["array"], "--overwrite"]
    old, seconds, rng = Path("out.npy").read_bytes(), 0.0, random.Random(name)
    new, statuses, n_runs = b"", [], max(2, N_SIGNALS)
    for k in range(n_runs):
        Path("out.npy").write_bytes(old)
        with subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=own_package(),
            preexec_fn=with_usual_signals,
        ) as process:
            assert process.stdout.read(1) == "."
            began = time.monotonic()
            if k:  # the first run only shows how long it takes
                time.sleep(rng.uniform(0, 1.1 * seconds))
                process.send_signal(getattr(signal, name))
            _, err = process.communicate()
        seconds = seconds or time.monotonic() - began
        statuses.append(process.returncode)
        said = LAST_WORDS[name] if process.returncode else ""
        assert (process.returncode, err) in ((0, ""), (128 + getattr(signal, name), said))
        found = Path("out.npy").read_bytes()
        new = new or found  # of the first run, which nothing interrupts
        assert found == new or (process.returncode and found == old)
        assert sorted(os.listdir()) == ["in", "in.npy", "out", "out.npy", "several"]
    assert (statuses[0], new != old) == (0, True)
    print(f"{name}: {statuses.count(0)} runs of {n_runs} finished")


TWO_AT_ONCE = """if True:
    import os, signal, sys
    from sklearn_histeq import _cli
    from sklearn_histeq._cli import parser

    def work():
        both = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
        signal.pthread_sigmask(signal.SIG_BLOCK, both)
        for number in both:
            os.kill(os.getpid(), number)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, both)  # all of them arrive here

    class Cleaner:
        def __del__(self):  # Python only reports what is raised here
            work()

    def work_that_catches():
        Cleaner()
        _cli.signals.end_if_received()

    works = {"work": work, "catches": work_that_catches}
    parser.parse = lambda arguments: works[sys.argv[1]]
    sys.exit(_cli.main())
"""


@pytest.mark.skipif(os.name != "posix", reason="this needs signals")
@pytest.mark.parametrize("where", ["work", "catches"])
def test_signals_at_the_same_time_end_in_one_line(where):
    command = [sys.executable, "-c", TWO_AT_ONCE, where]
    done = subprocess.run(
        command, capture_output=True, text=True, env=own_package(), preexec_fn=with_usual_signals
    )
    assert (done.returncode, done.stderr) in {
        (128 + getattr(signal, name), said) for name, said in LAST_WORDS.items()
    }


@pytest.mark.skipif(os.name != "posix", reason="this needs SIGHUP")
def test_ignored_signals_stay_ignored(data):
    """nohup ignores SIGHUP, and a shell Ctrl-C for what runs in the background."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with signals.ending_run():
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 300 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(folder)]
    try:
        if subprocess.run(command, capture_output=True).returncode:
            pytest.skip("this needs permission to mount")
    except OSError:
        pytest.skip("this needs mount")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def contents(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("job", ["array", "folder", "files"])
def test_a_full_disk(data, capsys, small_disk, job):
    (small_disk / "out.npy").write_bytes(Path("out.npy").read_bytes())
    for name in ("out", "several"):
        (small_disk / name).mkdir()
        for path in Path(name).iterdir():
            (small_disk / name / path.name).write_bytes(path.read_bytes())
    (small_disk / "ballast").write_bytes(bytes(200_000))
    before = contents(small_disk)
    assert main(["equalize", "in", "elsewhere", "--quiet"]) == 0
    finished = contents(Path("elsewhere"))
    *sources, target = [arg for arg in JOBS[job] if not arg.startswith("-")]
    assert main(["equalize", *sources, str(small_disk / target), "--overwrite"]) == 1
    err = capsys.readouterr().err
    assert "No space left on device" in err
    assert "Traceback" not in err
    after = contents(small_disk)
    if job == "array":
        assert after == before
    else:  # each by itself: the old file, or the new one
        assert after.keys() == before.keys()
        for name, content in after.items():
            assert content in (before[name], finished.get(Path(name).name)), name


@pytest.mark.parametrize("job", ["array", "folder", "files"])
def test_a_file_that_may_not_grow(data, job):
    """A limit on the size of files fails in the middle of writing, as a full disk does."""
    resource = pytest.importorskip("resource")
    before = contents(data)
    done = subprocess.run(
        [sys.executable, "-m", "sklearn_histeq", "equalize", *JOBS[job], "--overwrite"],
        capture_output=True,
        text=True,
        env=own_package(),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000)),
    )
    assert done.returncode == 1
    assert "File too large" in done.stderr
    assert "Traceback" not in done.stderr
    assert contents(data) == before


@pytest.mark.parametrize("job", ["array", "folder", "files"])
def test_a_read_only_folder(data, capsys, small_disk, job):
    (small_disk / "several").mkdir()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    *sources, target = [arg for arg in JOBS[job] if not arg.startswith("-")]
    assert main(["equalize", *sources, str(small_disk / target)]) == 1
    err = capsys.readouterr().err
    assert "Read-only file system" in err
    assert "Traceback" not in err


@pytest.mark.skipif(os.name != "posix", reason="this needs permissions and links")
class TestReplacing:
    def test_a_private_file_stays_private(self, data):
        Path("out.npy").chmod(0o600)
        Path("out/0.png").chmod(0o600)
        Path("out").chmod(0o700)
        assert main(["equalize", "in.npy", "out.npy", "--overwrite"]) == 0
        assert main(["equalize", "in", "out", "--overwrite", "--quiet"]) == 0
        for name, mode in (("out.npy", 0o600), ("out/0.png", 0o600), ("out", 0o700)):
            assert Path(name).stat().st_mode & 0o777 == mode

    def test_nobody_else_can_read_it_meanwhile(self, data, monkeypatch):
        Path("out.npy").chmod(0o600)
        modes = []
        genuine = atomic_write.check_file_target

        def check(*args):
            modes.extend(part.stat().st_mode & 0o777 for part in Path().glob(".histeq-*.part"))
            genuine(*args)

        monkeypatch.setattr(atomic_write, "check_file_target", check)  # the last before it appears
        assert main(["equalize", "in.npy", "out.npy", "--overwrite"]) == 0
        assert set(modes) == {0o600}

    def test_a_link_goes_on_pointing_to_its_target(self, data):
        Path("real").mkdir()
        for name in ("out.npy", "out"):
            Path(name).rename(f"real/{name}")
            Path(name).symlink_to(f"real/{name}")
        assert main(["equalize", "in.npy", "out.npy", "--overwrite"]) == 0
        assert main(["equalize", "in", "out", "--overwrite", "--quiet"]) == 0
        assert Path("out.npy").is_symlink()
        assert Path("out").is_symlink()
        assert np.load("real/out.npy").shape == (60, 1, 200, 200)
        with Image.open("real/out/0.png") as image:
            assert image.size == (200, 200)

    def test_an_earlier_result_outlives_its_source(self, data, capsys):
        old = Path("out/3.png").read_bytes()
        Path("in/3.png").write_text("damaged meanwhile")
        assert main(["equalize", "in", "out", "--overwrite"]) == 1
        assert Path("out/3.png").read_bytes() == old
        assert len(os.listdir("out")) == 6
        assert "5 written, 1 failed" in capsys.readouterr().err

    def test_a_stale_part_does_no_harm(self, data):
        for ending in ("part", "old"):
            Path(f".out.npy.{os.getpid()}.{ending}").write_text("of a process of the same number")
        assert main(["equalize", "in.npy", "out.npy", "--overwrite"]) == 0

    @pytest.mark.parametrize("n_bytes", [240, 250, 255])
    def test_a_long_name(self, data, n_bytes):
        name = "x" * (n_bytes - 4) + ".npy"
        assert main(["equalize", "in.npy", name]) == 0
        assert name in os.listdir()
