"""What is recorded of the runs of a host program, for the options in front of it: `cs_python --json run.py`.

One Recorder serves all runs of a process.  SdkRuntime asks it how to run, tells it which functions it launches, and
when a run ends.  Runs that the host program leaves without stop() end with `finish`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field, replace
from pathlib import Path
from typing import Any, Protocol

from ..check import Checker, Finding, Suppressions
from ..fabric.fabric import Fabric
from ..fabric.run import Run
from ..fabric.totals import Totals
from ..fabric.watch import Watch
from ..records import dataclass
from . import PROGRESS
from .device import Device


class Progress(Protocol):
    """Shows how far a run is: called with its cycle while it runs, cleared when the host goes on."""

    def __call__(self, cycle: int) -> None: ...
    def clear(self) -> None: ...


@dataclass(eq=False)
class Launched:
    """A function that the host has launched.

    pes: that run it.  cycle: in which it started.  totals: from there to the last activity when the host saw its end,
    or the run ended.  ended: whether each of the PEs had called unblock_cmd_stream() then.
    """

    function: str
    pes: int
    cycle: int
    before: Totals
    totals: Totals | None = None
    ended: bool = False


@dataclass(eq=False)
class Recorded:
    """A run of the host program.  number: from 1.  run: its measurements, when it has ended; stopped: by stop().

    findings: of a checked run, else None."""

    number: int
    directory: Path
    device: Device
    launches: list[Launched] = field(default_factory=list)
    run: Run | None = None
    stopped: bool = False
    findings: list[Finding] | None = None

    def launched(self, function: str, pes: int) -> None:
        """The host has started a function."""
        cycle = self.device.cycle
        self.launches.append(Launched(function, pes, cycle, replace(self.device.fabric.totals(), cycles=cycle)))

    def launch_ended(self, ended: bool = True) -> None:
        """The last function has ended, or (ended=False) the run has."""
        if self.launches and self.launches[-1].totals is None:
            last, now = self.launches[-1], self.device.fabric.totals()
            last.totals, last.ended = replace(now, cycles=max(now.cycles, last.cycle)).since(last.before), ended


class Recorder:
    """How the runs of this process are run, and what becomes of their measurements.

    - threads: of the host; None: what the host program asks for.  max_cycles: of each run.
    - events: capacity of the trace; watch: which events; activity: whether activity over time is kept.
      detail: whether Run.detail is.
    - check: runs are checked, without these known findings; None: they are not checked.
    - progress: shows how far a run is.
    - ended: called with each run when it has ended; None: launches are not recorded, and nothing is measured.

    fabric: the constructor of fabrics.
    """

    fabric: Callable[..., Fabric] = Fabric

    def __init__(
        self,
        threads: int | None = None,
        max_cycles: int | None = None,
        events: int = 0,
        activity: bool = False,
        progress: Progress | None = None,
        ended: Callable[[Recorded], Any] | None = None,
        watch: Watch | None = None,
        check: Suppressions | None = None,
        detail: bool = False,
    ):
        self.threads, self.max_cycles = threads, max_cycles
        self.events, self.activity = events, activity
        self.progress, self.ended, self.watch = progress, ended, watch
        self.check, self.detail = check, detail
        self._checkers: list[Checker] = []
        self.count = 0
        self._open: list[Recorded] = []

    def checker(self) -> Checker | None:
        """The collector of findings for the program that is loaded next; None if runs are not checked."""
        if self.check is None:
            return None
        self._checkers.append(Checker(self.check))
        return self._checkers[-1]

    def begin(self, directory: Path, device: Device) -> Recorded | None:
        """A program has been loaded; None if nothing is recorded of it."""
        if self.ended is None:
            return None
        self.count += 1
        recorded = Recorded(self.count, directory, device)
        self._open.append(recorded)
        return recorded

    def end(self, recorded: Recorded | None, stopped: bool = True) -> None:
        """A run has ended."""
        if recorded is None or recorded not in self._open or self.ended is None:
            return
        self._open.remove(recorded)
        recorded.launch_ended(ended=False)
        device = recorded.device
        recorded.stopped = stopped
        recorded.run = device.measure(device.failed or ("done" if stopped else "interrupted"))
        for checker in self._checkers:
            if device.fabric in checker.fabrics:
                recorded.findings = checker.findings(ended=recorded.run.ended == "done")
        self.ended(recorded)

    def finish(self) -> None:
        """The host program has ended: so have the runs that it did not stop."""
        for recorded in list(self._open):
            self.end(recorded, stopped=False)


current = Recorder(progress=PROGRESS)
