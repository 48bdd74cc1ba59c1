"""wse/cli/view.py: the page of a saved run, or of two."""

from pathlib import Path

import pytest
from shell import sh
from synthetic import make_run

from wse.cli import view

HELP = " (see: wse view --help)"


@pytest.fixture(autouse=True)
def runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_run().save("a.npz")
    make_run(5, 4).save("b.npz")


def test_a_run():
    done = sh("view", "a.npz")
    assert (done.exit_code, done.stdout) == (0, "a.html\n") and "gemm on wse3" in Path("a.html").read_text()


def test_two_runs():
    assert sh("view", "a.npz", "b.npz").stdout == "a-b.html\n"
    assert Path("a-b.html").stat().st_size > Path("a.npz").stat().st_size


def test_another_name():
    assert sh("view", "a.npz", "-o", "c.html").stdout == "c.html\n" and Path("c.html").exists()


def test_it_can_be_opened(monkeypatch):
    opened = []
    monkeypatch.setattr(view.webbrowser, "open", lambda where: opened.append(where) or len(opened) == 1)
    assert sh("view", "a.npz", "--open").stderr == ""
    assert opened == [Path("a.html").absolute().as_uri()]
    assert sh("view", "a.npz", "--open").stderr == "note: no browser was found: open the page yourself\n"


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["none.npz"], "error: there is no file 'none.npz'"),
        (["a.npz", "none.npz"], "error: there is no file 'none.npz'"),
        (["a.npz", "-o", "a.png"], "error: the explorer is a page, and 'a.png' does not end in .html"),
        (
            ["a.npz", "-o", "none/a.html"],
            f"error: Invalid value for '-o' / '--out': 'none/a.html' cannot be written: there is no folder 'none'{HELP}",
        ),
        ([__file__], f"error: {__file__!r} is not a saved run: `wse run ... --save FILE.npz` makes one"),
        ([], f"error: Missing argument 'RUN'.{HELP}"),
    ],
)
def test_bad_input(words, line):
    done = sh("view", *words)
    assert (done.exit_code, done.stderr) == (2, f"{line}\n") and done.stdout == ""
