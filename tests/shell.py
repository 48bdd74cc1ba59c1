"""`wse ...` inside the test's process, and Python in another one, with the wse that is being tested."""

import os
import subprocess
import sys
from pathlib import Path

from click.testing import CliRunner, Result

import wse
from wse.cli import main


def sh(*words, **options) -> Result:
    """Runs `wse WORDS`; stdout and stderr apart, whatever escapes is the test's failure."""
    try:
        runner = CliRunner(mix_stderr=False)  # click 8.1
    except TypeError:
        runner = CliRunner()
    return runner.invoke(main, [str(word) for word in words], catch_exceptions=False, prog_name="wse", **options)


def python(code: str, pipe_to: str = "cat") -> subprocess.CompletedProcess:
    """Runs Python code, and a shell command behind it; the status is Python's.

    -P and PYTHONPATH: not the checkout's wse because it is in the working directory, but the one that was imported here.
    """
    paths = [str(Path(wse.__file__).parent.parent), str(Path(__file__).parent)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths), "CODE": code, "PYTHON": sys.executable}
    line = f'"$PYTHON" -P -c "$CODE" | {pipe_to}; exit ${{PIPESTATUS[0]}}'
    return subprocess.run(["bash", "-c", line], env=environment, capture_output=True, text=True, check=False)
