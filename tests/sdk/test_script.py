"""Host programs run by `cs_python`: NumPy 1's promotion in them and in the modules beside them, in no others."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import wse
from wse.cli.cs_python import arguments

HELPER = "import numpy as np\ndef cycles(w):\n    return w[0] + (w[1] << 16)\n"
OTHER = "import numpy as np\ndef kind():\n    return (np.uint16(1) + 70).dtype\n"
HOST = """import sys
import numpy as np
import helper, other
print(helper.cycles(np.array([5, 2], np.uint16)), other.kind(), __name__, sys.argv[1:])
"""


def cs_python(*words: str, path: Path | None = None) -> subprocess.CompletedProcess:
    folders = [str(Path(wse.__file__).parent.parent), *([str(path)] if path else [])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(folders)}
    run = [sys.executable, "-P", "-c", "from wse.cli.cs_python import main; main()", *words]
    return subprocess.run(run, capture_output=True, text=True, env=environment, timeout=60)


def test_a_program_and_its_modules(tmp_path):
    elsewhere, here = tmp_path / "elsewhere", tmp_path / "here"
    elsewhere.mkdir()
    here.mkdir()
    (elsewhere / "other.py").write_text(OTHER)
    (here / "helper.py").write_text(HELPER)
    (here / "run.py").write_text(HOST)
    done = cs_python(str(here / "run.py"), "--name", "out", path=elsewhere)
    assert done.stdout == "131077 uint16 __main__ ['--name', 'out']\n", done.stderr
    assert not (here / "__pycache__").exists()


def test_errors_and_exits(tmp_path):
    (tmp_path / "run.py").write_text("import sys\na = 0\nif len(sys.argv) > 1:\n    sys.exit(3)\nprint(1 / a)\n")
    failed = cs_python(str(tmp_path / "run.py"))
    assert failed.returncode == 1 and 'run.py", line 5' in failed.stderr and "ZeroDivisionError" in failed.stderr
    assert "runpy" not in failed.stderr and "script.py" not in failed.stderr
    assert cs_python(str(tmp_path / "run.py"), "x").returncode == 3
    missing = cs_python(str(tmp_path / "nothing.py"))
    assert missing.returncode != 0 and "can't open file" in missing.stderr


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["run.py", "-c"], ["-m", "wse.sdk.script", "run.py", "-c"]),
        (["-u", "-W", "error", "run.py"], ["-u", "-W", "error", "-m", "wse.sdk.script", "run.py"]),
        (["-c", "print(1)"], ["-c", "print(1)"]),
        (["-m", "pdb", "run.py"], ["-m", "pdb", "run.py"]),
        ([], []),
        (["-"], ["-"]),
    ],
)
def test_arguments_of_the_interpreter(words, expected):
    assert arguments(words) == expected
