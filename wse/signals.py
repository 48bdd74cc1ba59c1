"""SIGINT (Ctrl-C), SIGTERM and SIGHUP in the commands: each ends a command with status 128 + its number.

A command passes three phases.  While it starts and after it has finished, a signal ends the process at once: nothing is
half done.  In between it raises Interrupted in the main thread, so that context managers clean up.  A library that
swallows the exception (in a __del__ method, or with a bare `except`) delays the signal, but does not lose it: `check`,
which runs before a command shows its figures, raises it again.

An import is not cut off, because libraries do not survive a second import after a half first one: a signal that arrives
in an import is raised when the import ends, or after IMPORT_SECONDS.

Used as a library, wse installs no handlers.  This module imports nothing large: it is loaded first.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
IMPORT_SECONDS = 5.0  # how long an import delays a signal at most
RETRY_SECONDS = 0.01  # between two looks at whether the import has ended

_raises = False  # whether a signal raises Interrupted; else it ends the process
_finished = False  # whether the command has reported how it ended
_held = 0  # depth of `held` blocks
_waiting = 0  # a signal that arrived in a `held` block and is still to be raised; 0: none
_importing_since = 0.0  # time at which a signal that waits for the end of an import arrived; 0: none
_arrived = 0  # the last signal that arrived while a command ran; 0: none


class Interrupted(KeyboardInterrupt):
    """A signal arrived while a command ran.  signum: which one."""

    def __init__(self, signum: int = signal.SIGINT):
        super().__init__(signal.Signals(signum).name)
        self.signum = signum


def install() -> None:
    """Installs the handlers of this process.  A signal that the process was started to ignore (by `nohup`, or as a
    background job of a script) stays ignored."""
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _handle)


@contextmanager
def raising() -> Iterator[None]:
    """The phase in which a signal raises Interrupted; at its end at the latest, if a library swallowed the exception.

    Without effect where `install` was not called.
    """
    global _raises
    _raises = True
    try:
        yield
        check()
    except Exception:
        check()  # a library may have made another exception of it
        raise
    finally:
        _raises = False


def check() -> None:
    """Raises Interrupted if a signal arrived while the command ran, whoever swallowed or delayed it."""
    if _raises and _arrived:
        raise Interrupted(_arrived)


def answered(interrupt: KeyboardInterrupt) -> bool:
    """Whether an interrupt is Ctrl-C.  If so, it is taken as handled: a command with a prompt goes on."""
    global _arrived
    if getattr(interrupt, "signum", signal.SIGINT) != signal.SIGINT:
        return False
    _arrived = 0
    return True


@contextmanager
def held() -> Iterator[None]:
    """Signals that arrive in the block are raised at its end: for clean-up that must not be cut off."""
    global _held, _waiting
    _held += 1
    try:
        yield
    finally:
        _held -= 1
    if _waiting and not _held:
        number, _waiting = _waiting, 0
        raise Interrupted(number)


def finish() -> None:
    """From now on a signal ends the process silently: the command has reported how it ended."""
    global _finished
    _finished = True


def _handle(number: int, frame: FrameType | None) -> None:
    global _arrived, _importing_since, _waiting
    if not _raises:
        if not _finished:
            os.write(2, b"error: interrupted\n")
        os._exit(128 + number)
    _arrived = number
    if _held:
        _waiting = number
    elif _in_import(frame) and time.monotonic() - (_importing_since or time.monotonic()) < IMPORT_SECONDS:
        _importing_since = _importing_since or time.monotonic()
        signal.signal(signal.SIGALRM, lambda _, frame: _handle(number, frame))
        signal.setitimer(signal.ITIMER_REAL, RETRY_SECONDS)
    else:
        _importing_since = 0.0
        raise Interrupted(number)


def _in_import(frame: FrameType | None) -> bool:
    """Whether a frame, or a caller of it, belongs to an import."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False
