"""`cs_python FILE ARGUMENTS`: Python, with the names that host programs of the Cerebras SDK import on its path.

Programs that it starts find `cslc` and `cs_python` as well.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from pathlib import Path
from typing import NoReturn

import wse.sdk

NAMES = Path(wse.sdk.__file__).parent / "names"


def environment() -> dict[str, str]:
    """The environment of the interpreter."""
    made = dict(os.environ)
    made["PYTHONPATH"] = _prepended(str(NAMES), made.get("PYTHONPATH", ""))
    for scripts in (sysconfig.get_path("scripts"), os.path.dirname(os.path.abspath(sys.argv[0]))):
        made["PATH"] = _prepended(scripts, made.get("PATH", ""))
    return made


def _prepended(first: str, rest: str) -> str:
    parts = [part for part in rest.split(os.pathsep) if part and part != first]
    return os.pathsep.join([first, *parts])


def main() -> NoReturn:
    """Replaces this process by the interpreter."""
    if sys.stdout is not None:
        sys.stdout.flush()
    os.execve(sys.executable, [sys.executable, *sys.argv[1:]], environment())
