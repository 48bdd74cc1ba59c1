"""Reports of internal errors of wse."""

from __future__ import annotations

import os
import shlex
import sys
import sysconfig
import traceback
from pathlib import Path
from types import TracebackType

from ._version import __version__
from .errors import WseError

STATUS = 70  # EX_SOFTWARE of BSD's sysexits.h


def message(error: BaseException) -> str:
    """The message for an internal error, which names a file to attach.  Writes this file."""
    kind, words = type(error).__name__, " ".join(str(error).split())
    head = f"internal error in wse {__version__}: {kind}: {words}".removesuffix(": ")
    report = _report(error)
    try:
        path = _write(report)
    except OSError:
        return f"{head}\nThis is a bug in wse, not in your input.  Please report it with this text:\n{report}"
    return f"{head}\nThis is a bug in wse, not in your input.  Please report it and attach {path}"


def watch() -> None:
    """Install an exception hook in a user's program.

    An uncaught internal error of wse is reported after its traceback, and the program exits with status 70.  Other
    exceptions are handled as before.
    """
    before = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, where: TracebackType | None) -> None:
        before(kind, error, where)
        if not is_ours(error):
            return None
        print(f"error: {message(error)}", file=sys.stderr, flush=True)
        raise SystemExit(STATUS)

    sys.excepthook = hook


def is_ours(error: BaseException) -> bool:
    """Whether an exception is an internal error of wse.

    It is, if it was raised in code of wse or of a library that wse called, but not by a `raise` statement of wse: these
    refuse invalid input.
    """
    if not isinstance(error, Exception) or isinstance(error, WseError | OSError | MemoryError):
        return False
    package = str(Path(__file__).parent) + os.sep
    libraries = tuple(sysconfig.get_path(name) + os.sep for name in ("stdlib", "purelib", "platlib"))
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if frame.filename.startswith(package):
            return isinstance(error, AssertionError) or not (frame.line or "").startswith("raise ")
        if not frame.filename.startswith(libraries):
            return False
    return False


def _report(error: BaseException) -> str:
    """Versions, the command line and the traceback."""
    import platform  # what only a report needs is not imported by every command
    from importlib import metadata

    versions = []
    for name in ("numpy", "numba", "matplotlib", "click", "distributed"):
        try:
            versions.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            versions.append(f"{name} not installed")
    return "\n".join(
        [
            f"wse {__version__}, Python {platform.python_version()}, {platform.platform()}",
            ", ".join(versions),
            f"command: {shlex.join(sys.argv)}",
            "".join(traceback.format_exception(error)),
        ]
    )


def _write(report: str) -> Path:
    """Writes the report to the temporary folder.  The same failure has the same name, and is written once."""
    import hashlib
    import tempfile

    digest = hashlib.sha256(report.encode(errors="replace")).hexdigest()[:12]
    path = Path(tempfile.gettempdir()) / f"wse-bug-{digest}.txt"
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path
    with open(descriptor, "w", errors="replace") as file:
        file.write(report)
    return path
