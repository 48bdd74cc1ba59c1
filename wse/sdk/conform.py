"""Runs the examples of a checkout, each by its own scripts, and tells which of them passed.

An example is a directory with `commands_wse2.sh` or `commands_wse3.sh`.  A script runs in a copy of its directory,
beside links to what else the checkout has, with `cslc` and `cs_python` of this package.  What it asserts itself
decides; besides, it must not print FAIL, and must print PASS or SUCCESS if its host program has such a word to print.
Some published scripts hold a macro of the vendor's own test system that was not expanded, `%python_sdk_paint`; it
stands for the run of the host program, and the outcome's note says that it was replaced.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from fnmatch import fnmatch
from pathlib import Path
from threading import Lock
from typing import Any

from ..errors import ConfigError
from ..records import dataclass
from ..start import BLAS_THREADS
from .runtime import RUN_LOG

ARCHS = ("wse2", "wse3")
MACRO, EXPANSION = "%python_sdk_paint", "cs_python run.py"
_GOOD, _BAD = re.compile(r"\b(PASS(ED)?|SUCCESS)\b"), re.compile(r"\bFAIL(ED|URE)?\b")
_TO_PRINT = re.compile(r"""["'][^"'\n]*\b(PASS(ED)?|SUCCESS)\b""")
_DIAGNOSTIC = re.compile(r"(^|: )error: ")
_EXCEPTION = re.compile(r"[A-Za-z_][\w.]*(Error|Exception|Fault|Interrupt|Exit|Unsupported|Overflow)(:|$)")


@dataclass
class Outcome:
    """What became of one script.  status: pass, fail (its own check), error (it did not get there), skip."""

    name: str
    arch: str
    status: str
    reason: str
    cycles: int | None
    wall_seconds: float
    note: str = ""  # what was done to the script


@dataclass(frozen=True)
class Example:
    """A directory with scripts."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.name

    def script(self, arch: str) -> Path:
        return self.path / f"commands_{arch}.sh"


def find(directory: str | Path, only: str | None = None) -> list[Example]:
    """The examples below a directory (or it itself), by path; only: those whose name matches the pattern."""
    root = Path(directory)
    if not root.is_dir():
        raise ConfigError(f"{directory} is no directory: give a checkout of examples")
    found = {script.parent.resolve() for arch in ARCHS for script in root.rglob(f"commands_{arch}.sh")}
    if not found:
        raise ConfigError(f"there is no commands_wse2.sh or commands_wse3.sh below {directory}")
    examples = [Example(path) for path in sorted(found) if only is None or fnmatch(path.name, only)]
    if not examples:
        raise ConfigError(f"no example below {directory} is called {only!r}")
    return examples


def run(
    examples: list[Example], archs: tuple[str, ...] = ARCHS, timeout: float = 60, jobs: int = 1
) -> Iterator[Outcome]:
    """Runs each script, `jobs` of them at a time; the outcomes in order, each as soon as it is there."""
    scripts = [(example, arch) for example in examples for arch in archs if example.script(arch).exists()]
    processes = Processes(jobs)
    with ThreadPoolExecutor(jobs) as pool:
        waiting = [pool.submit(run_one, example, arch, timeout, processes) for example, arch in scripts]
        try:
            for outcome in waiting:
                yield outcome.result()
        finally:  # early, if it was interrupted
            pool.shutdown(wait=False, cancel_futures=True)
            processes.stop()


class Processes:
    """The processes of the scripts that run, each the leader of a group."""

    def __init__(self, jobs: int) -> None:
        self.share = max(1, (os.cpu_count() or 1) // jobs)  # processors for each script
        self._lock = Lock()
        self._running: set[subprocess.Popen] = set()
        self._stopped = False

    def start(self, *words: Any, **options: Any) -> subprocess.Popen:
        """subprocess.Popen in a group of its own."""
        with self._lock:
            if self._stopped:
                raise CancelledError
            process = subprocess.Popen(*words, start_new_session=True, **options)
            self._running.add(process)
            return process

    def ended(self, process: subprocess.Popen) -> None:
        """Forgets a process whose status is known: its number may be given to another."""
        with self._lock:
            self._running.discard(process)

    def kill(self, process: subprocess.Popen) -> None:
        """Kills a process and those that it started."""
        with self._lock:
            self._kill(process)

    def stop(self) -> None:
        """Kills those that run; no other starts."""
        with self._lock:
            self._stopped = True
            for process in self._running:
                self._kill(process)

    @staticmethod
    def _kill(process: subprocess.Popen) -> None:
        if process.returncode is None:  # else its number may be that of another group
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def run_one(example: Example, arch: str, timeout: float, processes: Processes) -> Outcome:
    """Runs one script in a copy."""
    with tempfile.TemporaryDirectory(prefix="wse-conform-") as temporary:
        place = _copy(example.path, Path(temporary))
        note = _expand(place / example.script(arch).name)
        log = Path(temporary) / "runs.json"
        started = time.monotonic()
        status, output = _execute(
            ["bash", example.script(arch).name], place, _environment(log, processes.share), timeout, processes
        )
        seconds = time.monotonic() - started
        cycles = _cycles(log)
    verdict, reason = judge(example, status, output, timeout)
    return Outcome(example.name, arch, verdict, reason, cycles, seconds, note)


def _expand(script: Path) -> str:
    """Replaces the vendor's macro in the copy of a script; returns the note that says so."""
    text = script.read_bytes()
    if MACRO.encode() not in text:
        return ""
    script.unlink()  # the original, if the copy is a link to it, stays as it is
    script.write_bytes(text.replace(MACRO.encode(), EXPANSION.encode()))
    return f"{MACRO} run as {EXPANSION}"


def _copy(source: Path, temporary: Path) -> Path:
    """A copy two levels down, with links to its neighbors on both levels, so that relative paths lead somewhere."""
    parent = temporary / source.parent.parent.name / source.parent.name
    parent.mkdir(parents=True)
    place = parent / source.name
    shutil.copytree(source, place, symlinks=True)
    for here, there in ((parent, source.parent), (parent.parent, source.parent.parent)):
        if there == there.parent:
            continue
        for entry in there.iterdir():
            if entry.name.startswith(".") or (here / entry.name).exists():
                continue
            (here / entry.name).symlink_to(entry)
    return place


def _environment(log: Path, threads: int) -> dict[str, str]:
    """Environment of a script: only what belongs to this package on Python's path.  threads: of NumPy's products."""
    scripts = sysconfig.get_path("scripts")
    made = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
    home = str(Path(__file__).resolve().parents[2])
    if home not in (sysconfig.get_path("purelib"), sysconfig.get_path("platlib")):
        made["PYTHONPATH"] = home  # a checkout: the commands must not import another copy that is installed
    made["PATH"] = os.pathsep.join([scripts, made.get("PATH", os.defpath)])
    made.setdefault(BLAS_THREADS, str(threads))
    return made | {RUN_LOG: str(log), "MPLBACKEND": "Agg"}


def _execute(
    command: list[str], place: Path, environment: dict[str, str], timeout: float, processes: Processes
) -> tuple[int | None, str]:
    """(exit status, what was printed); None when the time was over."""
    pipes: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    process = processes.start(command, cwd=place, env=environment, **pipes)
    try:
        output, _ = process.communicate(timeout=timeout)
        return process.returncode, output.decode(errors="replace")
    except subprocess.TimeoutExpired:
        processes.kill(process)
        output, _ = process.communicate()
        return None, output.decode(errors="replace")
    finally:
        processes.ended(process)


def _cycles(log: Path) -> int | None:
    """Cycles of all runs of the script."""
    if not log.exists():
        return None
    return sum(json.loads(line)["cycles"] for line in log.read_text().splitlines())


def judge(example: Example, status: int | None, output: str, timeout: float) -> tuple[str, str]:
    """(status, reason) of what a script did."""
    if status is None:
        return "error", f"took more than {timeout:g} s"
    if status:
        asserted = "AssertionError" in output
        return ("fail" if asserted else "error"), first_diagnostic(output) or f"exit status {status}"
    if bad := next((line for line in output.splitlines() if _BAD.search(line)), None):
        return "fail", bad.strip()
    host = "\n".join(path.read_text(errors="replace") for path in sorted(example.path.glob("*.py")))
    if _TO_PRINT.search(host) and not _GOOD.search(output):
        return "fail", "it ended, but did not print PASS or SUCCESS"
    return "pass", ""


def first_diagnostic(output: str) -> str:
    """The line that says best what went wrong: the compiler's first, else the exception."""
    lines = [line.strip() for line in output.splitlines()]
    for line in lines:
        if _DIAGNOSTIC.search(line):
            return line
    exceptions = [i for i, line in enumerate(lines) if _EXCEPTION.match(line)]
    if exceptions:
        at = exceptions[0]
        if not lines[at].startswith("AssertionError"):
            return lines[at]
        return " ".join(line for line in lines[at : at + 3] if line)  # NumPy's says what in the lines below
    return next((line for line in reversed(lines) if line), "")
