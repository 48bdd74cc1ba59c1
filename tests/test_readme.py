"""README.md: its commands run, its program prints what it should, its tables are current."""

import builtins
import contextlib
import io
import re
import shutil
from pathlib import Path

import pytest
from documents import ROOT, commands, snippets
from shell import python, sh

from wse.cli import COMMANDS
from wse.sdk import compile
from wse.validation import document
from wse.validation.blocks import Blocks

TEXT = (ROOT / "README.md").read_text()
# A command with these words runs with these after its own: the last ones win.
SMALLER = {
    "gemm": ["-M", "16", "-K", "16", "-N", "16", "--grid", "2x2"],
    "allreduce": ["--grid", "16x1"],
    "sgd": ["--help"],
    "bench": ["--help"],
    "train": ["--help"],
    "generate": ["--help"],
    "embed": ["--help"],
    "sweep": ["--help"],
}


@pytest.mark.parametrize("words", commands(TEXT), ids=" ".join)
def test_commands_run(words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "traces").symlink_to(ROOT / "traces")
    for name, smaller in SMALLER.items():
        words = [*words, *smaller] if name in words else words
    if words[1] == "debug" or words[1:3] == ["csl", "run"]:  # a host program changes its process
        prepare_host_program(tmp_path)
        setup = f"import io, sys, wse.cli; sys.argv = {words!r}; sys.stdin = io.StringIO('run\\n')"
        done = python(f"{setup}; wse.cli.main()")
        assert (done.returncode, done.stderr) == (0, "")
    else:
        done = sh(*words[1:])
        assert (done.exit_code, done.stderr) == (0, "")
    for name in re.findall(r"--(?:trace|plot|save|report) (\S+)", " ".join(words)):
        assert (tmp_path / name).stat().st_size > 0


def prepare_host_program(folder: Path) -> None:
    """The example heat, compiled as `out`, and its host program."""
    compile.run(compile.Request(ROOT / "docs/examples/heat/layout.csl", {"P": 6, "N": 10}, output=folder / "out"))
    shutil.copy(ROOT / "docs/examples/heat/run.py", folder)


def test_every_command_is_shown_or_described_elsewhere():
    shown = {words[1] for words in commands(TEXT)}
    assert set(COMMANDS) - shown == {
        "asm",
        "disasm",
        "profile",
        "compare",
        "lsp",
    }  # docs: programs.md, csl.md, editor.md


def test_the_first_command_is_the_one_that_ci_runs():
    for line in re.findall(r"(?m)^    (python3 -m venv .*|.venv/bin/pip .*)$", TEXT)[:2]:
        parts = [part.replace("pip install", "pip install --quiet") for part in line.split(" && ")]
        assert " && ".join(parts) in (ROOT / ".ci/run").read_text()


def test_the_program():
    (snippet,) = snippets(TEXT)
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(builtins.compile(snippet.code, "README.md", "exec"), {})
    assert re.fullmatch(r"\d+ 0\.\d+ \[2\. 2\. 2\. 2\.\]\n", printed.getvalue())


def test_the_table_of_errors_is_current():
    assert document.block(TEXT, "accuracy") == Blocks().accuracy(), "wse validate --write-docs README.md"
