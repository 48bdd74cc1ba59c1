"""What a user is told, and asked to send, when wse itself fails."""

from __future__ import annotations

import hashlib
import os
import platform
import shlex
import sys
import tempfile
import traceback
from pathlib import Path

from .._version import __version__

STATUS = 70  # EX_SOFTWARE of BSD's sysexits.h


def message(error: BaseException) -> str:
    """The lines to print: that it is a bug of wse, and which file to send; the file is written."""
    kind, words = type(error).__name__, " ".join(str(error).split())
    head = f"internal error in wse {__version__}: {kind}: {words}".removesuffix(": ")
    report = _report(error)
    try:
        path = _write(report)
    except OSError:
        return f"{head}\nThis is a bug in wse, not in your input.  Please report it with this text:\n{report}"
    return f"{head}\nThis is a bug in wse, not in your input.  Please report it and attach {path}"


def _report(error: BaseException) -> str:
    """Versions, the command line and the traceback."""
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
    digest = hashlib.sha256(report.encode(errors="replace")).hexdigest()[:12]
    path = Path(tempfile.gettempdir()) / f"wse-bug-{digest}.txt"
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path
    with open(descriptor, "w", errors="replace") as file:
        file.write(report)
    return path
