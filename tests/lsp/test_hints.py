"""Inlay hints: values of params, cycles of the last profile.

Covers: wse/lsp/hints.py
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from documents import PACKAGES
from editing import HELPER, LAYOUT, PE, Program

from wse.csl import profile
from wse.lsp.hints import hints

RUN = """\
import argparse
import numpy as np
from cerebras.sdk.runtime.sdkruntimepybind import SdkRuntime
parser = argparse.ArgumentParser()
parser.add_argument("--name")
runner = SdkRuntime(parser.parse_args().name)
runner.load()
runner.run()
runner.launch("main", nonblock=False)
runner.stop()
"""


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """The folder of a program with a profile of a run."""
    folder = tmp_path_factory.mktemp("hints")
    Program(folder)
    (folder / "run.py").write_text(RUN)
    environment = os.environ | {"PYTHONPATH": str(PACKAGES), profile.VARIABLE: "1"}
    words = (folder / "commands.sh").read_text().split()[1:]
    python = [sys.executable, "-P", "-m"]
    for line in (["wse.cli.cslc", *words], ["wse.cli.cs_python", "run.py", "--name", "out"]):
        subprocess.run([*python, *line], cwd=folder, env=environment, check=True, capture_output=True, timeout=120)
    return folder


@pytest.fixture
def program(measured):
    """The program as it was compiled; files keep their times."""
    times = {path: path.stat().st_mtime_ns for path in measured.glob("*.csl")}
    made = Program(measured)
    for path, time in times.items():
        os.utime(path, ns=(time, time))
    return made


def labels(program, name="pe"):
    """The hints of a file by line, from 1."""
    view = program.view(name)
    found = hints(view, program.session.profiles, 0, len(view.parsed.text))
    return {view.parsed.source.place(one.offset)[0]: one.label for one in found}


def test_params_have_their_values(tmp_path):
    program = Program(tmp_path)
    assert labels(program) == {2: " = 8"}
    program.open("layout", LAYOUT)
    assert labels(program, "layout") == {1: " = 8"}
    program.open("helper")
    assert labels(program, "helper") == {1: " = 3"}
    program.open("helper", HELPER.replace("param scale: u16;", "param scale: u16 = 1;"))
    assert labels(program, "helper") == {}


def test_lines_have_the_cycles_of_the_profile(program, measured):
    (one, *more) = profile.load(measured / "out")
    assert not more and one.pes == 2
    expected: dict[int, float] = {}
    for line in one.lines:
        if Path(line.file).name == "pe.csl":
            expected[line.line] = expected.get(line.line, 0) + line.cycles
    found = {line: label for line, label in labels(program).items() if "cycle" in label}
    assert set(found) == {line for line, cycles in expected.items() if cycles}
    for line, label in found.items():
        shown = re.fullmatch(r"  ([\d,]+) cycles, (\d+)%", label)
        assert (shown is None and expected[line] < 0.5) or abs(int(shown[1].replace(",", "")) - expected[line]) <= 0.5
    loop = PE[: PE.index("data[index] = ")].count("\n") + 1
    assert max(expected, key=expected.get) == loop and loop in found


def test_hints_say_causes_and_classes(program):
    view = program.view()
    found = [one for one in hints(view, program.session.profiles, 0, len(view.parsed.text)) if one.is_cycles]
    assert all(re.match(r"pe\.0, 2 PEs: [\d.,]+ cycles, [\d.,]+ times: \w+", one.words) for one in found)


def test_hints_move_with_their_lines(program):
    before = {line: label for line, label in labels(program).items() if "cycle" in label}
    program.open("pe", "// new\n" + PE.replace("  pair.low += n;\n", "  pair.low += n + 1;\n"))
    changed = PE[: PE.index("  pair.low += n;")].count("\n") + 1
    after = {line: label for line, label in labels(program).items() if "cycle" in label}
    assert changed in before
    assert after == {line + 1: label for line, label in before.items() if line != changed}
    program.open("pe", PE)


def test_only_the_part_that_is_asked_for(program):
    view = program.view()
    start = view.parsed.source.starts[21]
    found = hints(view, program.session.profiles, start, start + 200)
    assert found and all(start <= one.offset <= start + 200 for one in found)


def test_a_file_that_changed_after_it_was_compiled_has_no_cycles(measured, program):
    path = measured / "pe.csl"
    before = path.stat()
    try:
        os.utime(path)
        (measured / "out" / profile.FILE).touch()
        assert not any("cycle" in label for label in labels(program).values())
    finally:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        (measured / "out" / profile.FILE).touch()


def test_the_settings_name_the_profile(program):
    program.session.project.settings = {"profile": "elsewhere"}
    assert not any("cycle" in label for label in labels(program).values())
    program.session.project.settings = {"profile": "out"}
    assert any("cycle" in label for label in labels(program).values())
