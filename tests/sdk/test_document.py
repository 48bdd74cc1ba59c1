"""docs/csl.md: its program compiles and runs as it stands there, with the commands that stand there."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from documents import ROOT

from wse.cli.cs_python import environment
from wse.csl.codegen.link import link
from wse.csl.compile import compile_program
from wse.csl.syntax.errors import CslError

TEXT = (ROOT / "docs/csl.md").read_text()


def test_the_program_runs(tmp_path):
    for name, text in re.findall(r"(?ms)^```(?:csl|py) (\S+)\n(.*?)^```$", TEXT):
        Path(name).write_text(text)
    commands = re.findall(r"(?m)^    ((?:cslc|cs_python) .*)$", TEXT)
    assert [command.split()[0] for command in commands] == ["cslc", "cs_python"]
    for command in commands:
        done = subprocess.run(["sh", "-c", command], env=environment(), capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "SUCCESS!\n"


def test_its_profile(tmp_path):
    for name, text in re.findall(r"(?ms)^```(?:csl|py) (\S+)\n(.*?)^```$", TEXT):
        Path(name).write_text(text)
    compile_it = re.search(r"(?m)^    (cslc .*)$", TEXT)[1]

    def sh(command: str) -> str:
        done = subprocess.run(["sh", "-c", command], env=environment(), capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout

    sh(compile_it)
    shown = sh(f"{sys.executable} -P -m wse.cli profile out run.py --name out")
    parts = re.findall(r"(?ms)^```profile\n(.*?)^```$", TEXT)
    assert len(parts) == 2
    for part in parts:
        assert part in shown
    sh(compile_it.replace("n:8", "n:64").replace("-o out", "-o after"))
    shown = sh(f"{sys.executable} -P -m wse.cli compare out after run.py --name {{}}")
    assert re.search(r"(?m)^ +8\.0 +64\.0 +\+56\.0 +\+700\.0%  elements ", shown)
    assert re.search(r"(?m)^ +23\.0 +79\.0 +\+56\.0 +\+243\.5%  pe\.csl:11  @fmuls", shown)


MISTAKES = re.findall(
    r"(?ms)^([A-Z][^\n]*):\n\n```text\n(.*?)\n\n(pe\.csl:.*?)\n```$", TEXT.split("## Typical mistakes")[1]
)
EXPORTED = "\ncomptime { @export_symbol(main); }\n"


@pytest.mark.parametrize("title, code, message", MISTAKES, ids=[title for title, *_ in MISTAKES])
def test_mistakes_are_told_as_it_stands_there(title, code, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("layout.csl").write_text('layout { @set_rectangle(1, 1); @set_tile_code(0, 0, "pe.csl"); }\n')
    Path("pe.csl").write_text(code + EXPORTED)
    with pytest.raises(CslError) as caught:
        link(compile_program("layout.csl", "wse3"))
    assert str(caught.value).split("\nlayout.csl")[0] == message


def test_there_are_twenty_mistakes():
    assert len(MISTAKES) == 20


def test_every_name_can_be_imported(tmp_path):
    rows = re.findall(r"(?m)^\| `(cerebras[\w.]*)` \| (.*) \|$", TEXT)
    assert len(rows) == 6
    lines = []
    for module, names in rows:
        before = names.split(":")[0]  # what follows a colon are methods
        lines += [f"from {module} import {name}" for name in re.findall(r"`(\w+)`", before)]
    Path("names.py").write_text("\n".join(lines))
    done = subprocess.run(["cs_python", "names.py"], env=environment(), capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_outside_of_cs_python_there_is_no_such_package():
    import importlib.util

    assert importlib.util.find_spec("cerebras") is None
