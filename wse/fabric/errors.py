"""Errors of a run: a fault of the program, a deadlock.  Each holds what was measured until then as `run`."""

from __future__ import annotations

from ..errors import WseError
from .run import Run


class RunError(WseError):
    """A run that failed.  run: what was measured until then, or None if nothing was."""

    run: Run | None = None


class FabricFault(RunError):
    """The program did what the machine forbids.

    kind: name of a row of faults.def.  x, y, cycle: where and when.  color, queue, task, port, pc: -1 where the fault
    has none.  detail: a further value, whose meaning depends on the kind.
    """

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
    """Nothing can move and work is left.

    cycle: the circular wait, one sentence for each participant in order; empty if no circular wait was found.
    waits: number of participants that wait.
    """

    def __init__(self, message: str, cycle: list[str] | None = None, waits: int = 0):
        super().__init__(message)
        self.cycle = cycle or []
        self.waits = waits
