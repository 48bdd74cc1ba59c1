"""wse/bug.py: in a user's program, errors of wse are distinguished from those of the program.

Covers: wse/sdk/names/cerebras/__init__.py
"""

import subprocess
import sys

import pytest

from wse import bug
from wse.cli.cs_python import environment


def run(code, tmp_path):
    made = environment() | {"TMPDIR": str(tmp_path)}
    import wse

    made["PYTHONPATH"] = f"{made['PYTHONPATH']}:{wse.__path__[0]}/.."
    return subprocess.run(
        [sys.executable, "-P", "-c", f"import cerebras; {code}"], env=made, capture_output=True, text=True
    )


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("1 / 0", 1),
        ("raise SystemExit(3)", 3),
        ("import wse; wse.Machine('wse9')", 1),
        ("import wse; wse.Program(2, 1, bogus=1)", 1),
        ("import wse; wse.Machine().bogus", 1),
        ("import json; json.loads('{')", 1),
        ("from wse import npz; list(map(lambda x: 1 / x, [0]))", 1),
        ("import wse; wse.Run.pes.fget(None)", 70),
    ],
)
def test_whose_error_it_is(code, status, tmp_path):
    done = run(code, tmp_path)
    assert done.returncode == status, done.stderr
    assert ("This is a bug in wse" in done.stderr) == (status == bug.STATUS)
    assert (len(list(tmp_path.iterdir())) == 1) == (status == bug.STATUS)
    assert "Traceback" in done.stderr or "SystemExit" in code
