"""Errors of a run: faults and deadlocks.  The attribute `run` holds the measurements up to the error."""

from __future__ import annotations

from ..errors import WseError
from .run import Run


class RunError(WseError):
    """Base class of errors of a run.  run: the measurements up to the error, or None."""

    run: Run | None = None


class FabricFault(RunError):
    """The program violated a rule of the machine.

    - kind: name of a row of csrc/tables/faults.def, such as "BAD_PC".
    - x, y, cycle: the PE, and the cycle of the fault.
    - color, queue, task, port, pc (index of the instruction): -1 where they do not apply.
    - detail: a further value whose meaning depends on the kind, such as the value of a TRAP.
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


class LimitReached(RunError):
    """The run has reached the cycle beyond which it must not go, and the host still waits for it."""


class DeadlockError(RunError):
    """Nothing can move, and work is left.

    - cycle: the circular wait, one sentence per participant, each waiting for the next; empty if none was found.
    - waits: number of participants (threads, router buffers, queues, tasks) that wait.
    """

    def __init__(self, message: str, cycle: list[str] | None = None, waits: int = 0):
        super().__init__(message)
        self.cycle = cycle or []
        self.waits = waits
