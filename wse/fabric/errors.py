"""Errors of a run.  Each has what was measured until then as `run`."""

from __future__ import annotations

from ..errors import WseError
from .run import Run


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
