"""The family of errors.  A message says what is wrong, where (PE, color, queue, task, source line), what was expected
and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .fabric.run import Run


class WseError(Exception):
    """Whatever this package raises on purpose."""


class ConfigError(WseError):
    """A machine, an option or a file that cannot be used."""


class ProgramError(WseError):
    """A program that cannot be built."""


class AsmError(ProgramError):
    """Text that is no program; `line` is the line of the text, from 1."""

    def __init__(self, message: str, line: int = 0):
        super().__init__(message)
        self.line = line


class MemoryOverflow(ProgramError):
    """A PE's code and data exceed its memory; the message holds the memory map."""


class RouteError(ProgramError):
    """A route that cannot work; `x`, `y`, `color` say where."""

    def __init__(self, message: str, x: int = -1, y: int = -1, color: int = -1):
        super().__init__(message)
        self.x, self.y, self.color = x, y, color


class RunError(WseError):
    """A run that did not end well; `run` holds what was measured until then."""

    run: Run | None = None


class FabricFault(RunError):
    """A program did what the machine forbids.  `kind` is a row of faults.def; -1 where a field does not apply."""

    def __init__(
        self,
        message: str,
        kind: str,
        x: int,
        y: int,
        cycle: int,
        color: int = -1,
        queue: int = -1,
        task: int = -1,
        port: int = -1,
        pc: int = -1,
        detail: int = 0,
    ):
        super().__init__(message)
        self.kind, self.x, self.y, self.cycle = kind, x, y, cycle
        self.color, self.queue, self.task, self.port, self.pc, self.detail = color, queue, task, port, pc, detail


class DeadlockError(RunError):
    """Nothing can move and work is left.  `cycle` holds the waits of the cycle in order, empty if there is none."""

    def __init__(self, message: str, cycle: list[str] | None = None, waits: int = 0):
        super().__init__(message)
        self.cycle = cycle or []
        self.waits = waits
