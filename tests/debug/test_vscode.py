"""`wse debug --dap` with the client of VS Code's own tests of debug adapters (@vscode/debugadapter-testsupport).

Covers: wse/debug/protocol.py
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from documents import PACKAGES

HERE = Path(__file__).parent / "vscode"
ADAPTER = """import sys
from wse.start import wse
sys.argv = ["wse", "debug", "--dap"]
wse()
"""


@pytest.mark.skipif(
    shutil.which("node") is None or not (HERE / "node_modules").is_dir(),
    reason="needs Node.js, and: cd tests/debug/vscode && npm ci",
)
def test_a_session(heat, tmp_path):
    adapter = tmp_path / "adapter.py"
    adapter.write_text(ADAPTER)
    done = subprocess.run(
        ["node", HERE / "session.cjs", sys.executable, adapter, heat.resolve()],
        env=os.environ | {"PYTHONPATH": str(PACKAGES), "NODE_PATH": str(HERE / "node_modules")},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    seen = json.loads(done.stdout)
    assert seen.pop("frame").startswith("relax, task ") and "nothing" in seen.pop("error")
    assert seen.pop("thread").startswith("PE (")
    assert seen == {
        "steps": "6",
        "next": ["step", 76],
        "back": ["step", 75],
        "value": "12",
        "verified": [True, False],
        "condition": ["breakpoint", "4"],
        "reverse": "step",  # the first cycle of the history: `steps` was larger before
        "exit": 0,
    }
