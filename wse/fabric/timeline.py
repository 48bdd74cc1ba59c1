"""Timeline: a fabric at any cycle of its run, earlier ones too.

The engine is deterministic, so that the state at a cycle is that of the last snapshot before it, run on from there.
"""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Callable
from typing import Any

from ..errors import ConfigError
from .fabric import Fabric
from .snapshot import Snapshot


class Timeline:
    """Moves a fabric to earlier and later cycles of its run.

    - fabric: is moved; the timeline begins at its cycle.
    - seconds: of running between snapshots; going back takes about as long, and the time to restore one.
    - most: bytes of snapshots.  When they take more, every second one is dropped, those of marks excepted.

    What the host does to the fabric (writes, launches, streams) is not repeated when cycles are run again: call `mark`
    after it.  A cycle is reached by running to it, which stops no operation: the run is the same as without stops.

    >>> timeline = Timeline(fabric)
    >>> timeline.goto(20_000)
    20000
    >>> timeline.goto(12_345)
    12345
    """

    def __init__(self, fabric: Fabric, seconds: float = 0.25, most: int = 2 << 30):
        if not seconds > 0:
            raise ConfigError(f"seconds is above 0, not {seconds}")
        if most < 1:
            raise ConfigError(f"most is at least 1 byte, not {most}")
        self.fabric, self.seconds, self.most = fabric, seconds, most
        self._step = 256  # cycles between snapshots, as their time is known so far
        self._snapshots: list[Snapshot] = []  # in order of cycles
        self._marks: list[Snapshot] = []
        self.mark()

    @property
    def cycle(self) -> int:
        """The cycle at which the fabric is."""
        return self.fabric.cycle

    @property
    def first(self) -> int:
        """The earliest cycle that can be reached."""
        return self._snapshots[0].cycle

    def mark(self) -> None:
        """Notes that the host has changed the fabric: what comes after this cycle depends on it.

        Snapshots of later cycles, which this fabric will not reach now, are dropped.
        """
        for snapshots in (self._snapshots, self._marks):
            while snapshots and snapshots[-1].cycle > self.cycle:
                snapshots.pop().close()
        state = self.fabric.snapshot()
        self._snapshots.append(state)
        self._marks.append(state)

    def goto(self, cycle: int, progress: Callable[[int], Any] | None = None) -> int:
        """Moves the fabric to a cycle; returns the one reached, which is earlier if the run ends before.

        progress: as in Fabric.run.  Raises ConfigError for a cycle before the first one, and FabricFault if the program
        violates a rule on the way; the fabric is then at the fault.
        """
        if cycle < self.first:
            raise ConfigError(f"the timeline begins at cycle {self.first:,}: it cannot go back to {cycle:,}")
        self._restore_before(cycle)
        while self.cycle < cycle:
            started, start = time.perf_counter(), self.cycle
            step = min(self._step, cycle - start)
            run = self.fabric.run(max_cycles=step, progress=progress, on_deadlock="return")
            if run.ended != "limit":
                return self.goto(run.cycles) if run.cycles < self.cycle else self.cycle  # it ended within the step
            took = time.perf_counter() - started
            if step == self._step:
                self._keep()
            if took > 0:
                self._step = max(1, min(2 * step, int(step * self.seconds / took) or 1))
        return self.cycle

    def back(self, cycles: int = 1) -> int:
        """Goes back by cycles, at most to the first one; returns the cycle reached."""
        return self.goto(max(self.first, self.cycle - cycles))

    def forward(self, cycles: int = 1) -> int:
        """Goes forward by cycles; returns the cycle reached."""
        return self.goto(self.cycle + cycles)

    def _restore_before(self, cycle: int) -> None:
        """Restores the last snapshot up to a cycle, if the fabric is behind the cycle or before that snapshot."""
        before = self._snapshots[bisect_right(self._snapshots, cycle, key=lambda state: state.cycle) - 1]
        if cycle < self.cycle or before.cycle > self.cycle:
            self.fabric.restore(before)

    def _keep(self) -> None:
        """Takes a snapshot, if there is none of this cycle or a later one."""
        if self.cycle > self._snapshots[-1].cycle:
            self._snapshots.append(self.fabric.snapshot())
            self._thin()

    def _thin(self) -> None:
        """Drops every second snapshot, the last one and marks excepted, if they take too much memory."""
        if sum(state.nbytes for state in self._snapshots) <= self.most:
            return
        kept = []
        for index, state in enumerate(self._snapshots):
            if index % 2 == 0 or state is self._snapshots[-1] or state in self._marks:
                kept.append(state)
            else:
                state.close()
        self._snapshots = kept
