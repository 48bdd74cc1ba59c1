"""Entry points of the commands `wse`, `cslc`, `cs_python`, `csdb` and `sdk_debug_shell`.

Signal handlers are installed before anything large is imported, and stay to the last moment: the process ends by
os._exit, because the interpreter's own shutdown would drop the handlers first.
"""

from __future__ import annotations

import os
import sys
import time
from importlib import import_module
from typing import Any, NoReturn

from . import signals

BLAS_THREADS = "OPENBLAS_NUM_THREADS"  # environment: threads of the library of NumPy's wheels, from its import on


def wse() -> NoReturn:
    """The command `wse`."""
    _start("wse.cli")


def cslc() -> NoReturn:
    """The command `cslc`.  It multiplies no matrices: NumPy's library for that starts no threads, which would take a
    fifth of the time of a short compilation on two processors, and more on many."""
    os.environ.setdefault(BLAS_THREADS, "1")
    _start("wse.cli.cslc")


def csdb() -> NoReturn:
    """The command `csdb`."""
    _start("wse.cli.csdb")


def sdk_debug_shell() -> NoReturn:
    """The command `sdk_debug_shell`."""
    _start("wse.cli.sdk_debug_shell")


def cs_python() -> None:
    """The command `cs_python`.  The process is the host program's: signals do what they do in Python, unless options
    in front of it ask for files that hold what was measured until then."""
    interpreter = import_module("wse.sdk.interpreter")
    if interpreter.is_measured(sys.argv[1:]):
        _start("wse.cli.cs_python")
    if sys.stderr is not None and sys.stderr.isatty():
        vars(import_module("wse.sdk"))["PROGRESS"] = _LateProgress()
    interpreter.main()


class _LateProgress:
    """A line of progress that loads the command line's only when a run takes longer than two seconds."""

    AFTER = 2.0

    def __init__(self) -> None:
        self.line: Any = None
        self.started = time.monotonic()

    def __call__(self, cycle: int) -> None:
        if self.line is None and time.monotonic() - self.started > self.AFTER:
            self.line = import_module("wse.cli.common").ProgressLine()
            self.line.started = self.started
        if self.line is not None:
            self.line(cycle)

    def clear(self) -> None:
        if self.line is not None:
            self.line.clear()


def _start(module: str) -> NoReturn:
    signals.install()
    _open_standard_streams()
    status: object = 0
    try:
        import_module(module).main()
    except SystemExit as end:
        status = end.code
    signals.finish()
    _leave(status if isinstance(status, int) else 0 if status is None else 1)


def _open_standard_streams() -> None:
    """Opens /dev/null for standard streams that the process was started without (`>&-`).

    Otherwise the next file that is opened would get their descriptor, and output would be written into it.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest descriptor that is free: this one
    for descriptor, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(descriptor, "w" if descriptor else "r"))


def _leave(status: int) -> NoReturn:
    """Ends the process with what the interpreter would do at its end, except that handlers of signals stay."""
    import atexit

    try:
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        status = status or 1  # the reader has gone
    finally:
        os._exit(status)
