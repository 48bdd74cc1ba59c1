"""`cs_python FILE ARGUMENTS`: Python, with the names that host programs of the Cerebras SDK import on its path.

Programs that it starts find `cslc` and `cs_python` as well.  A FILE runs with NumPy 1's promotion of scalars, as in the
SDK (wse.sdk.promotion).
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


def arguments(words: list[str]) -> list[str]:
    """The arguments of the interpreter: a file is run by wse.sdk.script; -c, -m and - are left as they are."""
    at = 0
    while at < len(words) and words[at].startswith("-") and words[at] not in ("-", "-c", "-m"):
        at += 2 if words[at] in ("-W", "-X") else 1
    if at >= len(words) or words[at].startswith("-"):
        return words
    return [*words[:at], "-m", "wse.sdk.script", *words[at:]]


def main() -> NoReturn:
    """Replaces this process by the interpreter."""
    if sys.stdout is not None:
        sys.stdout.flush()
    os.execve(sys.executable, [sys.executable, *arguments(sys.argv[1:])], environment())


if __name__ == "__main__":
    main()
