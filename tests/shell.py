"""Runs `wse ...` in the process of the test, and Python in another process, with the package under test."""

import os
import subprocess
import sys
from pathlib import Path

from click.testing import CliRunner, Result
from documents import PACKAGES

from wse.cli import main


def sh(*words, **options) -> Result:
    """Runs `wse WORDS`, with separate stdout and stderr.  Exceptions pass through."""
    try:
        runner = CliRunner(mix_stderr=False)  # click 8.1
    except TypeError:
        runner = CliRunner()
    return runner.invoke(main, [str(word) for word in words], catch_exceptions=False, prog_name="wse", **options)


def python(code: str, pipe_to: str = "cat") -> subprocess.CompletedProcess:
    """Runs Python code with its output piped to a shell command; returns the exit status of Python.

    With -P and PYTHONPATH, the process imports the same package as this one, not one of the working directory.
    """
    paths = [str(PACKAGES), str(Path(__file__).parent)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths), "CODE": code, "PYTHON": sys.executable}
    line = f'"$PYTHON" -P -c "$CODE" | {pipe_to}; exit ${{PIPESTATUS[0]}}'
    return subprocess.run(["bash", "-c", line], env=environment, capture_output=True, text=True, check=False)
