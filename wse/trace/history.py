"""What one PE did in a traced run: its tasks, operations with their waits, and landings, to look up by cycle."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import field

import numpy as np

from ..records import dataclass
from . import events, intervals

MOST = 1000  # cycles of a sample


@dataclass(eq=False)
class Part:
    """A task, an operation, or a wait of an operation.

    number: of the task, the instruction, or the counter of the cause.  start, end: first and last cycle; the end of a
    wait is the cycle in which the operation goes on.
    """

    number: int
    start: int
    end: int
    waits: list[Part] = field(default_factory=list)


@dataclass(eq=False)
class History:
    """The tasks and landings (cycle, color) of a PE, and its operations by lane, each in order of cycles."""

    operations: dict[int, list[Part]] = field(default_factory=dict)
    tasks: list[Part] = field(default_factory=list)
    landings: list[tuple[int, int]] = field(default_factory=list)
    _landed: dict[int, list[int]] = field(default_factory=dict)

    def landings_of(self, color: int) -> list[int]:
        """The cycles in which wavelets of a color landed."""
        if color not in self._landed:
            self._landed[color] = [cycle for cycle, other in self.landings if other == color]
        return self._landed[color]

    def landings_between(self, first: int, last: int) -> Iterator[tuple[int, int]]:
        """The landings of the cycles first to last, the last one first."""
        at = bisect_right(self.landings, last, key=lambda landing: landing[0])
        while at and self.landings[at - 1][0] >= first:
            at -= 1
            yield self.landings[at]

    def ends_at(self, lane: int, cycle: int) -> bool:
        """Whether an operation of the lane ends in this cycle."""
        part = latest(self.operations.get(lane, ()), cycle + 1)
        return part is not None and part.end == cycle

    def worked(self, lane: int, cycle: int) -> tuple[int, Part | None]:
        """(last cycle up to `cycle` in which an operation of the lane worked, the operation); (-1, None): none did."""
        part = latest(self.operations.get(lane, ()), cycle + 1)
        if part is None or part.end < cycle:
            return (-1, None) if part is None else (part.end, part)
        wait = latest(part.waits, cycle + 1)
        return (cycle if wait is None or wait.end <= cycle else max(wait.start - 1, part.start)), part

    def at_work(self, cycles: Sequence[int]) -> Counter[tuple[int, int]]:
        """How well the operations of (lane, instruction) fit to wavelets that were sent or taken in these cycles.

        It is the number of the cycles in which they worked, squared, over all cycles in which they did: largest for
        those that worked in each of the cycles and in no other.  Many cycles are sampled.
        """
        sample = cycles[:: len(cycles) // MOST + 1]
        found: Counter[tuple[int, int]] = Counter()
        for lane, parts in self.operations.items():
            hits = Counter(part.number for c in sample if (at := self.worked(lane, c))[0] == c and (part := at[1]))
            total: Counter[int] = Counter()
            for part in parts:
                waited = sum(wait.end - wait.start for wait in part.waits)
                total[part.number] += max(1, part.end + 1 - part.start - waited)
            for number, count in hits.items():
                found[lane, number] = count * count // max(1, total[number] // (len(cycles) // MOST + 1))
        return found


def latest(parts: Sequence[Part], cycle: int) -> Part | None:
    """The last one that began before a cycle."""
    at = bisect_left(parts, cycle, key=lambda part: part.start)
    return parts[at - 1] if at else None


def history(recorded: np.ndarray, last: int) -> History:
    """The History of the events of one PE, in order of cycles.  What did not end ends in the cycle `last`."""
    known = History()
    table = intervals.numbered(recorded, last)
    columns = [table[name].tolist() for name in ("lane", "kind", "name", "start", "end")]
    for lane, kind, number, start, end in zip(*columns, strict=True):
        lane = events.MAIN if lane == intervals.MAIN else lane
        match intervals.KINDS[kind]:
            case "landing":
                known.landings.append((start, number % events.CONTROL))
            case "task":
                _add(known.tasks, Part(number, start, end))
            case "operation":
                _add(known.operations.setdefault(lane, []), Part(number, start, end))
            case "wait":
                operation = latest(known.operations.get(lane, ()), start + 1)
                if operation is not None and start <= operation.end:
                    _add(operation.waits, Part(number, start, min(end, operation.end)))
    for parts in known.operations.values():
        for part in parts:
            for wait in part.waits:
                wait.end = min(wait.end, part.end)
    return known


def _add(parts: list[Part], part: Part) -> None:
    """Adds a part; the one before it, of the same lane, has ended by then."""
    if parts:
        parts[-1].end = min(parts[-1].end, max(part.start - 1, parts[-1].start))
    parts.append(part)
