"""docs/csl.md: its program compiles and runs as it stands there, with the commands that stand there."""

import re
import subprocess
from pathlib import Path

from documents import ROOT

from wse.cli.cs_python import environment

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
