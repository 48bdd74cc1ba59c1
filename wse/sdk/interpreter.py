"""`cs_python FILE ARGUMENTS`: Python, with the names that host programs of the Cerebras SDK import on its path.

Options that begin with two dashes, before FILE, are those of wse.cli.cs_python.

Programs that it starts find `cslc` and `cs_python` as well.  Programs run with the types of NumPy 1, as in the SDK
(wse.sdk.promotion).

The host program runs in this process, unless there are options for the interpreter itself (`cs_python -u run.py`) or
an interactive session is asked for: then the process is replaced by an interpreter with these options.
"""

from __future__ import annotations

import os
import sys
import sysconfig

from . import script
from .script import NAMES

SCRIPT = ["-m", "wse.sdk.script"]
PYTHONS = ("--version", "--check-hash-based-pycs", "--help-env", "--help-xoptions", "--help-all")  # long options


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


def is_measured(words: list[str]) -> bool:
    """Whether the options of `cs_python --help` stand in front: they begin with two dashes, as few of Python's do."""
    return bool(words) and words[0].startswith("--") and words[0].partition("=")[0] not in PYTHONS


def arguments(words: list[str]) -> list[str]:
    """The arguments of the interpreter: a file, -c, -m and the standard input are run by wse.sdk.script.

    An interactive session, and -c or -m without what is to be run, are left to the interpreter.
    """
    at = 0
    while at < len(words) and words[at].startswith("-") and words[at] != "-" and words[at][:2] not in ("-c", "-m"):
        if words[at].lstrip("-")[:1] in ("h", "V", "i") or words[at] in PYTHONS:
            return words
        at += 2 if words[at] in ("-W", "-X") else 1
    left = words[at:]
    if left in (["-c"], ["-m"]) or (left in ([], ["-"]) and sys.stdin is not None and sys.stdin.isatty()):
        return words
    return [*words[:at], *SCRIPT, *left]


def main() -> None:
    """Runs the host program; in a new interpreter if there are options for it."""
    words, made = arguments(sys.argv[1:]), environment()
    if words[:2] == SCRIPT:
        os.environ.update(made)
        script.run(words[2:])
        return
    if sys.stdout is not None:
        sys.stdout.flush()
    os.execve(sys.executable, [sys.executable, *words], made)
