"""docs/csl.md: its program compiles and runs as it stands there, with the commands that stand there."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from documents import PACKAGES, ROOT

from wse.cli.cs_python import environment
from wse.csl.codegen.link import link
from wse.csl.compile import compile_program
from wse.csl.syntax.errors import CslError

TEXT = (ROOT / "docs/csl.md").read_text()


def test_the_program_runs(tmp_path):
    for name, text in re.findall(r"(?ms)^```(?:csl|py) (\S+)\n(.*?)^```$", TEXT):
        Path(name).write_text(text)
    commands = re.findall(r"(?m)^    ((?:cslc|cs_python) .*)$", TEXT.split("## Measuring a program")[0])
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


MEASURING = TEXT.split("## Measuring a program")[1].split("\n## ")[0]


def blocks(kind: str) -> list[str]:
    return re.findall(rf"(?ms)^```{kind}\n(.*?)^```$", MEASURING)


@pytest.fixture
def heat(tmp_path, monkeypatch) -> Path:
    """A copy of the example, the current directory."""
    folder = shutil.copytree(ROOT / "docs/examples/heat", tmp_path / "heat")
    monkeypatch.chdir(folder)
    return folder


def ran(command: str, status: int = 0) -> subprocess.CompletedProcess:
    line = re.sub(r"^wse ", f"{sys.executable} -P -m wse.cli ", command)
    done = subprocess.run(["sh", "-c", line], env=environment(), capture_output=True, text=True, timeout=120)
    assert done.returncode == status, done.stderr
    return done


def test_the_measurements_and_files_of_the_example(heat):
    compile_it, measure, as_json = re.findall(r"(?m)^    (\S.*)$", MEASURING)
    ran(compile_it)
    shown = ran(measure).stdout
    assert [re.sub(r"(?m)^emulated in .*\n", "", shown)] == blocks("measured")
    assert 'id="explorer"' in Path("heat.html").read_text() and Path("heat.pftrace").stat().st_size > 10_000
    document = json.loads(ran(as_json).stdout)
    (run,) = document["runs"]
    assert (run["profile"], document["status"]) == ("silicon", 0)
    described = (ROOT / "docs/files.md").read_text().split("### wse csl run")[1].split("\n### ")[0]
    assert {*document, *run, *run["launches"][0]} - FIGURES <= set(re.findall(r"`(\w+)`", described))
    assert re.search(r"(?m)^cycles +([\d,]+)$", shown)[1].replace(",", "") != str(run["cycles"])
    rows = re.findall(r"(?m)^\| ((?:`--[^`]*` ?)+) \|", MEASURING)
    options = {word.split()[0].strip("`") for row in rows for word in re.findall(r"`--[^`]*`", row)}
    known = {name for param in host_options() for name in param.opts}
    assert options == known


# of `wse run`, described there
FIGURES = {"device_seconds", "clock_hz", "wall_seconds", "pe_cycles_per_second", "report", "trace"}


def host_options() -> list:
    from wse.cli.cs_python import command

    return [param for param in command.params if param.opts[0].startswith("--") and not param.hidden]


def test_the_deadlock_of_the_example(heat):
    text = Path("pe.csl").read_text()
    sends = "@fmovs(out(to_west, west_out), point(1), .{ .async = true });"
    assert text.count(sends) == 1
    Path("pe.csl").write_text(text.replace(sends, ""))
    ran(re.search(r"(?m)^    (cslc .*)$", MEASURING)[1])
    assert [ran("cs_python run.py --name out", status=1).stderr.partition("wse.fabric.errors.")[2]] == blocks(
        "deadlock"
    )


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
    code = "import importlib.util; from wse.sdk import conform, script; import wse.cli.cs_python, wse.cli.csl_run\n"
    done = subprocess.run(
        [sys.executable, "-P", "-c", f"{code}print(importlib.util.find_spec('cerebras'))"],
        env=os.environ | {"PYTHONPATH": str(PACKAGES)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout == "None\n", done.stderr
