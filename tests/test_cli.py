"""The command line: its help, its errors in one line, and its exit statuses."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import sklearn_histeq
from sklearn_histeq._cli import demo, main


@pytest.fixture
def ran(monkeypatch):
    """What the demo was asked to do, without doing it."""
    asked = {}
    monkeypatch.setattr(demo, "run", lambda **options: asked.update(options))
    return asked


def fails(capsys, *argv, status=1):
    """Run a command that fails, and return the one line that it says."""
    assert main([*map(str, argv)]) == status
    err = capsys.readouterr().err
    assert "Traceback" not in err
    assert err.startswith("histeq: error: ")
    assert err.count("\n") == 1
    return err.strip()


class TestOptions:
    def test_defaults(self, ran):
        assert main(["demo"]) == 0
        assert ran["data"] is None
        assert str(ran["output"]) == "demo.png"
        assert (ran["repeats"], ran["seed"], ran["n_jobs"]) == (None, 0, None)

    def test_given(self, ran):
        argv = "demo --data d --output o.png --repeats 3 --seed 4 --n-jobs -1"
        assert main(argv.split()) == 0
        assert (str(ran["data"]), str(ran["output"])) == ("d", "o.png")
        assert (ran["repeats"], ran["seed"], ran["n_jobs"]) == (3, 4, -1)

    @pytest.mark.parametrize(
        ("argv", "words"),
        [
            (["nonsense"], "invalid choice: 'nonsense'"),
            (["demo", "--repeats", "0"], "'0', but expected an integer >= 1"),
            (["demo", "--repeats", "two"], "'two', but expected an integer >= 1"),
            (["demo", "--n-jobs", "0"], "'0', but expected an integer other than 0"),
            (["demo", "--n-jobs", "two"], "'two', but expected an integer other than 0"),
            (["demo", "more"], "unrecognized arguments: more (see histeq demo --help)"),
            (["equalize", "a", "b", "--no"], "arguments: --no (see histeq equalize --help)"),
            (["demo", "--seed", "-1"], "'-1', but expected an integer >= 0"),
        ],
    )
    def test_wrong(self, capsys, monkeypatch, argv, words):
        monkeypatch.setattr(sys, "argv", ["histeq"])
        with pytest.raises(SystemExit) as stop:
            main(argv)
        assert stop.value.code == 2
        err = capsys.readouterr().err
        assert words in err
        assert err.startswith("histeq: error: ")
        assert err.count("\n") == 1

    def test_standard_input_is_no_file(self, capsys):
        assert "-: No such file" in fails(capsys, "equalize", "-", "out.png")

    def test_names_do_not_control_the_terminal(self, capsys):
        said = fails(capsys, "equalize", "clear\x1b[2J\nscreen.png", "out.png")
        assert said == "histeq: error: clear?[2J screen.png: No such file or directory"

    def test_version(self, capsys):
        with pytest.raises(SystemExit) as stop:
            main(["--version"])
        assert stop.value.code == 0
        assert capsys.readouterr().out == f"sklearn-histeq {sklearn_histeq.__version__}\n"

    def test_no_arguments_print_the_help(self, capsys):
        printed = []
        for argv in ([], ["--help"]):
            with pytest.raises(SystemExit, match=r"^0$"):
                main(argv)
            printed.append(capsys.readouterr())
        assert printed[0] == printed[1]
        assert "histeq equalize dark.jpg" in printed[0].out

    def test_help_tells_it_all(self, capsys):
        with pytest.raises(SystemExit) as stop:
            main(["demo", "--help"])
        out = capsys.readouterr().out
        assert stop.value.code == 0
        for word in ("--data", "--output", "--repeats", "--seed", "--n-jobs", ".npz", "PGM", "X"):
            assert word in out
        assert "simulated" in out
        assert max(map(len, out.splitlines())) <= 80


class TestErrors:
    def test_missing_path(self, tmp_path, capsys):
        said = fails(capsys, "demo", "--data", tmp_path / "none", "--output", tmp_path / "x.png")
        assert said.endswith("none: no such file or folder")

    def test_npz_without_labels(self, tmp_path, capsys):
        np.savez(tmp_path / "f.npz", X=np.zeros((2, 3, 3)))
        said = fails(capsys, "demo", "--data", tmp_path / "f.npz", "--output", tmp_path / "x.png")
        assert "'y is not a file in the archive'; expected an .npz file" in said

    def test_empty_folder(self, tmp_path, capsys):
        said = fails(capsys, "demo", "--data", tmp_path, "--output", tmp_path / "x.png")
        assert "has no pictures (PGM, PNG or JPEG) in subfolders" in said

    def test_unreadable_picture(self, tmp_path, capsys):
        (tmp_path / "ada").mkdir()
        (tmp_path / "ada" / "broken.png").write_text("no picture")
        said = fails(capsys, "demo", "--data", tmp_path, "--output", tmp_path / "x.png")
        assert "unreadable pictures (1): " in said
        assert "broken.png" in said

    def test_output_that_is_not_the_demos(self, tmp_path, capsys):
        Image.new("L", (2, 2)).save(tmp_path / "x.png")
        assert "did not write it" in fails(capsys, "demo", "--output", tmp_path / "x.png")

    def test_trouble_with_a_file(self, capsys, monkeypatch):
        def run(**options):
            raise PermissionError(13, "Permission denied", "faces.npz")

        monkeypatch.setattr(demo, "run", run)
        assert fails(capsys, "demo") == "histeq: error: faces.npz: Permission denied"

    def test_a_bug_is_not_hidden(self, monkeypatch):
        def run(**options):
            raise ValueError("a bug")

        monkeypatch.setattr(demo, "run", run)
        with pytest.raises(ValueError, match="a bug"):
            main(["demo"])

    def test_ctrl_c(self, capsys, monkeypatch):
        def run(**options):
            raise KeyboardInterrupt

        monkeypatch.setattr(demo, "run", run)
        assert main(["demo"]) == 130
        assert capsys.readouterr().err == "histeq: interrupted\n"


class TestProcess:
    """What only a process of its own can show."""

    def test_as_a_module(self):
        command = [sys.executable, "-m", "sklearn_histeq", "demo", "--data", "no/such/file"]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 1
        assert done.stdout == ""
        assert done.stderr == "histeq: error: no/such/file: no such file or folder\n"

    @pytest.mark.skipif(os.name != "posix", reason="this needs a shell")
    @pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
    def test_streams_that_are_closed(self, tmp_path, closed):
        np.save(tmp_path / "in.npy", np.arange(8).reshape(2, 2, 2))
        command = f"exec '{sys.executable}' -m sklearn_histeq equalize {tmp_path}/in.npy"
        for status in (0, 1) if "2>&-" in closed else (0,):  # then the output is there already
            done = subprocess.run(
                ["sh", "-c", f"{command} {tmp_path}/out.npy {closed}"],
                capture_output=True,
                text=True,
            )
            assert (done.returncode, done.stdout, done.stderr) == (status, "", "")

    def test_a_reader_that_leaves(self):
        code = (
            "import sys; from sklearn_histeq import _cli; from sklearn_histeq._cli import demo;"
            "demo.run = lambda **options: [print('x' * 1000) for _ in range(1000)];"
            "sys.exit(_cli.main(['demo']))"
        )
        process = subprocess.Popen(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert process.stdout is not None
        process.stdout.read(10)
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""
        process.stderr.close()
        assert process.wait() == 141
