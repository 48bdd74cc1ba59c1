"""History: moves a fabric to any cycle of its run so far, with stops on the way.

A Timeline with a mark wherever the host has changed the fabric.  When a replay reaches the cycle of a mark, the state
of the mark is restored, so that the writes and launches of the host are repeated without the host.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

from ..errors import ConfigError
from ..fabric.fabric import FOREVER, Fabric
from ..fabric.probe import Probe, Stop, Stops
from ..fabric.timeline import Timeline

_WINDOW = 64  # cycles of the first window of a search backward; each further one is four times as long


class History(Timeline):
    """Moves a fabric to earlier cycles, and forward from there.

    - present: the cycle of the host.  Only `run` goes beyond it.
    - seconds: host time between two snapshots.  most: bytes of all snapshots.
    - passed: called when a replay has restored the state of a mark.
    """

    def __init__(
        self, fabric: Fabric, seconds: float = 0.25, most: int = 2 << 30, passed: Callable[[], Any] = lambda: None
    ):
        super().__init__(fabric, seconds, most)
        self.passed = passed
        self.probe = Probe(fabric)
        self.present = fabric.cycle

    def mark(self) -> None:
        """As Timeline.mark.  Drops the oldest cycles if marks alone take too much memory."""
        while self._snapshots and self._snapshots[-1].cycle >= self.cycle:  # of a future that the host has changed
            self._drop(-1)
        super().mark()
        self.present = self.cycle
        while len(self._snapshots) > 2 and sum(state.nbytes for state in self._snapshots) > self.most:
            self._drop(0)

    def _drop(self, index: int) -> None:
        """Drops a snapshot, which may be that of a mark."""
        state = self._snapshots.pop(index)
        if state in self._marks:
            self._marks.remove(state)
        state.close()

    def keep_present(self) -> None:
        """Marks the present, before the fabric moves to an earlier cycle."""
        if self.cycle >= self.present and self._marks[-1].cycle != self.cycle:
            self.mark()

    def run(
        self, until: int, stops: Stops | None = None, limit: int = FOREVER, progress: Callable[[int], Any] | None = None
    ) -> tuple[str, list[Stop]]:
        """Runs to the first stop, at most to `until`, as Probe.run.  Repeats what the host has done on the way."""
        while True:
            later = next((state for state in self._marks if state.cycle > self.cycle), None)
            end = until if later is None else min(until, later.cycle)
            why, found = self._run(end, stops, limit, progress)
            if later is not None and (self.cycle >= later.cycle or why == "quiet") and later.cycle <= until:
                self.fabric.restore(later)
                if why != "stop":
                    self.passed()
                if why != "stop" and self.cycle < until:
                    continue
                why = "limit" if why == "quiet" else why
            elif later is not None and why == "quiet":
                self.probe.rest(until)
                why = "limit"
            self.present = max(self.present, self.cycle)
            return why, found

    def _run(self, until: int, stops: Stops | None, limit: int, progress: Any) -> tuple[str, list[Stop]]:
        """Probe.run that takes snapshots on the way.

        It goes cycle by cycle for a while, then in leaps at full speed.
        """
        looks = stops is not None and bool(stops.marks or stops.tasks or stops.colors)
        leaps = stops is not None and looks and self.probe.can_watch(stops)
        slow, penalty = (self._step // 8 + 1 if leaps else 0), self._step  # cycles before the first, the next leap
        while True:
            start, started = self.cycle, time.perf_counter()
            if stops is not None and leaps and slow <= 0:
                why, found, wasted = self._leap(min(until, start + self._step), stops, limit, progress)
                slow, penalty = (penalty, 2 * penalty) if wasted else (0, self._step)
            else:
                end = min(until, start + (min(self._step, slow) if leaps else self._step))
                why, found = self.probe.run(end, limit, stops, progress)
                slow -= self.cycle - start
            took = max(time.perf_counter() - started, 1e-6)
            if self.cycle - start >= self._step:
                self._keep()
                self._step = max(1, min(2 * self._step, int(self._step * self.seconds / took) or 1))
            if why != "limit" or self.cycle >= until:
                return why, found

    def _leap(self, end: int, stops: Stops, limit: int, progress: Any) -> tuple[str, list[Stop], bool]:
        """Runs at full speed; if there may be a stop, returns and goes to it.  True: there was none all the same."""
        start = self.cycle
        there = next((state for state in reversed(self._snapshots) if state.cycle == start), None)
        state = self.fabric.snapshot() if there is None else there
        try:
            try:
                why, first = self.probe.watch(end, stops, limit)
            except KeyboardInterrupt:
                self.fabric.restore(state)  # it may be behind a stop
                raise
            if first < 0:
                if progress is not None:
                    progress(self.cycle)
                return why, [], False
            self.fabric.restore(state)
            if first > start:
                self.probe.run(first, limit)
            why, found = self.probe.run(end, limit, stops, progress)
            return why, found, why != "stop"
        finally:
            if there is None:
                state.close()

    def goto(self, cycle: int, progress: Callable[[int], Any] | None = None) -> int:
        """Moves to a cycle up to the present; returns the cycle reached.  ConfigError before the history begins."""
        self.keep_present()
        if cycle < self.first:
            raise ConfigError(f"the history begins at cycle {self.first:,}: it cannot go back to {cycle:,}")
        cycle = min(cycle, self.present)
        self._restore_before(cycle)
        if self.cycle < cycle:
            self.run(cycle, progress=progress)
        return self.cycle

    def windows(self) -> Iterator[tuple[int, int]]:
        """Windows of cycles before this one, latest first: (start, end), of the cycles after start, up to end."""
        end, width = self.cycle - 1, _WINDOW
        while end > self.first:
            start = max(self.first, end - width)
            yield start, end
            end, width = start, 4 * width

    def last_stop(
        self,
        stops: Stops,
        wanted: Callable[[list[Stop]], list[Stop]],
        progress: Callable[[int], Any] | None = None,
    ) -> list[Stop]:
        """Goes back to the latest earlier cycle with stops that `wanted` selects, and returns these.

        Without such a cycle, goes to the first one and returns [].  progress: as in `run`.
        """
        for start, end in self.windows():
            self.goto(start, progress)
            at, last = -1, []
            while self.cycle < end:
                why, found = self.run(end, stops, progress=progress)
                if why != "stop":
                    break
                if self.cycle <= end and (left := wanted(found)):
                    at, last = self.cycle, left
            if last:
                self.goto(at, progress)
                return last
        self.goto(self.first, progress)
        return []
