"""The critical path of a run: the chain of work, wavelets and waits that set its length, from cycle 0 to the last one.

It is followed back from the event that ends the run.  Where a PE works, the path stays; where an operation waited for
a wavelet, it goes on at the PE that sent it; where it waited for space, at the PE that made it; where a task started,
at what made it eligible.  Events do not name the color of an operation.  The landing that ends a wait tells it, and of
the operations that may have sent a wavelet that one is taken which was under way when most wavelets of the route left.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from ..errors import ConfigError
from ..fabric.run import COUNTERS, Run
from ..machine.parameters import Machine
from . import events
from .history import History, Part, history, latest
from .reach import End, Reach

WORDS = {  # by kind, with the name of the task, instruction or color
    "code": "code of {}",  # instructions of a task on the main thread, and what they wait for
    "operation": "operation {}",  # a vector operation, with its start
    "start": "start of {}",  # of a task
    "hops": "hops of {}",  # a wavelet on its way, from its element at the sender to the slot that takes it
    "routers": "{} waits in routers",  # a wavelet that waits in queues and routers on its way, for others or for space
    "space": "space for {}",  # from the slot that takes a wavelet to that of a sender which waited for space
    "slots": "{} waits for a slot",  # an operation whose wavelet is there, while other threads have the slots
    "host": "host: {}",  # until the host starts a task, or sends a wavelet
    "unknown": "unknown: {}",  # the cause is not in the trace
}
CODE, OPERATION, START, HOPS, ROUTERS, SPACE, SLOTS, HOST, UNKNOWN = KINDS = tuple(WORDS)
_OUTPUT = COUNTERS.index("stall_output")
TRIED = 64  # receivers that are asked whether they kept a sender waiting
AFTER, IDLE = "after the last event", "idle"  # names of unknown segments


class Segment(NamedTuple):
    """A part of the path, from cycle `start` to before cycle `end`.

    kind: one of KINDS.  name: the task, instruction or color.  lane: as in wse.trace.events.
    """

    pe: int
    lane: int
    start: int
    end: int
    kind: str
    name: str


class Sum(NamedTuple):
    """The segments of one kind and name: their cycles in all, and their number."""

    kind: str
    name: str
    cycles: int
    segments: int


def path(run: Run) -> list[Segment]:
    """The critical path of a run, in order of cycles: segments without gaps from cycle 0 to run.cycles.

    run: with all events and `detail`.  Raises ConfigError if it has none, or if events were left out.
    """
    how = "record it with --trace FILE.npz, or with Fabric(program, trace=N, detail=True)"
    if run.events is None or run.detail is None:
        what = "events" if run.events is None else "routes"
        raise ConfigError(f"the critical path follows the {what} of a run, and this one has none: {how}")
    if run.events_dropped:
        raise ConfigError(
            f"the critical path needs all events of a run, and {run.events_dropped:,} of this one were left out: {how}"
        )
    return _Walk(run, run.events, run.detail.routes).path()


def words(kind: str, name: str) -> str:
    """What a segment is, for people: `hops of red (color 3)`."""
    return WORDS[kind].format(name)


def sums(segments: Iterable[Segment]) -> list[Sum]:
    """The sums of a path by kind and name, most cycles first."""
    cycles: Counter[tuple[str, str]] = Counter()
    count: Counter[tuple[str, str]] = Counter()
    for segment in segments:
        key = segment.kind, segment.name
        cycles[key] += segment.end - segment.start
        count[key] += 1
    return [Sum(*key, total, count[key]) for key, total in cycles.most_common()]


class _Cursor(NamedTuple):
    """The cycles from `cycle` on are explained: what did this lane do before?"""

    pe: int
    lane: int
    cycle: int


class _Walk:
    """The way back through the events of a run."""

    def __init__(self, run: Run, recorded: np.ndarray, routes: dict[int, np.ndarray]):
        self.cycles = int(run.cycles)
        self.params = Machine(run.machine, run.profile, run.meta.get("overrides")).params
        self.names = events.Names(run)
        self.reach = Reach(routes, run.width, run.height)
        self.tasks = run.counters["tasks"].reshape(-1)
        found = events.in_order(run)
        found = found[(found["pe"] < run.pes) & (found["cycle"] < self.cycles)]  # a damaged file may have others
        self.last = found[found["cycle"] == found["cycle"][-1]] if len(found) else found
        self.events = found[np.argsort(found["pe"], kind="stable")]
        self.pes = np.ascontiguousarray(self.events["pe"])
        self._histories: dict[int, History] = {}
        self._colors: dict[Part, list[int]] = {}
        self._data: dict[tuple[int, int], bool] = {}
        self._scores: dict[tuple[int, int, int, int], Counter[tuple[int, int]]] = {}
        self.segments: list[Segment] = []  # latest first

    def path(self) -> list[Segment]:
        """The segments, in order of cycles."""
        cursor = self._end()
        visited: set[_Cursor] = set()
        for _ in range(16 * (len(self.events) + 16)):  # whatever the events are, the walk ends
            if cursor.cycle <= 0:
                break
            # a cursor that comes back in the same cycle: causes that contradict each other
            step = self._before if cursor in visited else self._step
            visited.add(cursor)
            cursor = step(cursor)
        self._add(cursor, 0, UNKNOWN, IDLE)
        return _merged(reversed(self.segments))

    def _add(self, cursor: _Cursor, start: int, kind: str, name: str) -> _Cursor:
        """Adds the segment from `start` to the cursor; returns the cursor at its start."""
        start = min(max(start, 0), cursor.cycle)
        if start < cursor.cycle:
            self.segments.append(Segment(cursor.pe, cursor.lane, start, cursor.cycle, kind, name))
        return _Cursor(cursor.pe, cursor.lane, start)

    def _history(self, pe: int) -> History:
        if pe not in self._histories:
            low, high = np.searchsorted(self.pes, np.array([pe, pe + 1], np.uint32))
            self._histories[pe] = history(self.events[low:high], self.cycles)
        return self._histories[pe]

    def _end(self) -> _Cursor:
        """The end of the operation or task that was the last to end, or of the wavelet that was the last to land."""
        found: dict[str, tuple[int, int, int, int]] = {}
        for cycle, pe, kind, a, b in events.rows(self.last):
            found.setdefault(events.kind_name(kind), (cycle, pe, events.lane_of(kind, b), a))
        for row in ("OP_END", "TASK_END", "LAND"):
            if row not in found:
                continue
            cycle, pe, lane, a = found[row]
            if row == "LAND":
                return self._wavelet(_Cursor(pe, lane, self.cycles), a % events.CONTROL, cycle)
            return self._add(_Cursor(pe, lane, self.cycles), cycle + 1, *self._leaves(pe))
        cycle, pe, lane, _ = next(iter(found.values()), (-1, 0, events.MAIN, 0))
        return self._add(_Cursor(pe, lane, self.cycles), cycle + 1, UNKNOWN, AFTER)

    def _leaves(self, pe: int) -> tuple[str, str]:
        """(kind, name) of the time after the last event: a wavelet may have left the fabric."""
        for color in self.reach.sends(pe):
            if any(end.pe < 0 for end in self.reach.receivers(pe, color)):
                return HOPS, self.names.color(color)
        return UNKNOWN, AFTER

    def _step(self, cursor: _Cursor) -> _Cursor:
        """Explains what the lane did in the cycle before the cursor's, and those before of the same cause."""
        known = self._history(cursor.pe)
        operation = latest(known.operations.get(cursor.lane, ()), cursor.cycle)
        if operation is not None and operation.end >= cursor.cycle - 1:
            return self._operation(cursor, operation)
        task = latest(known.tasks, cursor.cycle) if cursor.lane == events.MAIN else None
        if task is None or task.end < cursor.cycle - 1:
            return self._before(cursor)
        if operation is not None and operation.start >= task.start:
            return self._add(cursor, operation.end + 1, CODE, self.names.task(task.number))
        return self._task(cursor, task)

    def _before(self, cursor: _Cursor, kind: str = UNKNOWN, name: str = IDLE) -> _Cursor:
        """Goes on in the same PE at the end of what ended last before the cursor.  kind, name: of the time since."""
        known = self._history(cursor.pe)
        ends = [(0, cursor.lane)]
        for lane, parts in (*known.operations.items(), (events.MAIN, known.tasks)):
            at = bisect_left(parts, cursor.cycle, key=lambda part: part.start)
            while at and parts[at - 1].end + 1 >= cursor.cycle:
                at -= 1
            if at:
                ends.append((parts[at - 1].end + 1, lane))
        end, lane = max(ends)
        start = self._add(cursor, end, kind, name)
        return _Cursor(cursor.pe, lane, start.cycle)

    # --- tasks ------------------------------------------------------------------------------------------

    def _task(self, cursor: _Cursor, task: Part) -> _Cursor:
        """A task from its start on, and what made it start."""
        known, at, name = self._history(cursor.pe), task.start, self.names.task(task.number)
        previous = latest(known.tasks, at)
        follows = previous is not None and previous.end >= at - 1
        ended = self._ended(known, at)
        if ended is not None:
            latency = self.params["task_after_op_cycles"]
        else:
            latency = self.params["task_switch_cycles"] - 1 if follows else self.params["task_start_cycles"]
        cursor = self._add(cursor, at + latency, CODE, name)
        cursor = self._add(cursor, at, START, name)
        if ended is not None:
            return cursor._replace(lane=ended)
        ready = at - self.params["ramp_in_cycles"]
        landing = next(known.landings_between(ready, ready), None)
        if landing is not None and (not follows or self._is_data(cursor.pe, task.number)):
            return self._wavelet(cursor, landing[1], landing[0])
        if follows:
            return cursor
        ended = self._ended(known, at - 1)
        if ended is not None:
            return cursor._replace(lane=ended)
        # if all that the PE did is in the trace, nothing in it made the task start
        is_whole = len(known.tasks) == int(self.tasks[cursor.pe])
        return self._before(cursor, *((HOST, name) if is_whole else (UNKNOWN, IDLE)))

    def _ended(self, known: History, cycle: int) -> int | None:
        """The microthread whose operation ended in a cycle."""
        return next((lane for lane in known.operations if lane != events.MAIN and known.ends_at(lane, cycle)), None)

    def _is_data(self, pe: int, number: int) -> bool:
        """Whether the task starts with a wavelet wherever it did not have to wait for another task."""
        if (pe, number) not in self._data:
            known, before, ramp = self._history(pe), -2, self.params["ramp_in_cycles"]
            free = []
            for task in known.tasks:
                if task.number == number and before < task.start - 1:
                    free.append(any(known.landings_between(task.start - ramp, task.start - ramp)))
                before = task.end
            self._data[pe, number] = bool(free) and all(free)
        return self._data[pe, number]

    # --- operations -------------------------------------------------------------------------------------

    def _operation(self, cursor: _Cursor, operation: Part) -> _Cursor:
        """An operation, back to its last wait or its start."""
        name = events.instruction(operation.number)
        wait = latest(operation.waits, cursor.cycle)
        if wait is not None:
            cursor = self._add(cursor, wait.end, OPERATION, name)
            return (self._space if wait.number == _OUTPUT else self._input)(cursor, operation, wait)
        cursor = self._add(cursor, operation.start, OPERATION, name)
        if cursor.lane == events.MAIN or self._history(cursor.pe).ends_at(cursor.lane, cursor.cycle - 1):
            return cursor  # the one before it in a microthread had to end first
        return cursor._replace(lane=events.MAIN)

    def _input(self, cursor: _Cursor, operation: Part, wait: Part) -> _Cursor:
        """What ended a wait for a wavelet, or for an element of a FIFO."""
        colors = self._colors_of(cursor.pe, operation)
        landed = [(cycle, color) for color, cycle in self._landed_in(cursor.pe, wait).items() if color in colors]
        if not landed:
            return self._neighbor(cursor, wait)
        cycle, color = max(landed)
        ready = cycle + self.params["ramp_in_cycles"]
        return self._wavelet(self._add(cursor, ready, SLOTS, events.instruction(operation.number)), color, cycle)

    def _colors_of(self, pe: int, operation: Part) -> list[int]:
        """The colors that an operation waits for: those whose first wavelet within a wait ends it."""
        if operation not in self._colors:
            votes: Counter[int] = Counter()
            for wait in operation.waits:
                if wait.number != _OUTPUT:
                    ready = wait.end - self.params["ramp_in_cycles"]
                    votes.update(color for color, cycle in self._landed_in(pe, wait).items() if cycle == ready)
            least = max(votes.values(), default=0) / 2
            self._colors[operation] = [color for color, count in votes.items() if count >= least]
        return self._colors[operation]

    def _landed_in(self, pe: int, wait: Part) -> dict[int, int]:
        """The cycle of the first landing by color, of the wavelets that could be taken since a wait had begun."""
        ramp = self.params["ramp_in_cycles"]
        return {
            color: cycle for cycle, color in self._history(pe).landings_between(wait.start - ramp + 1, wait.end - ramp)
        }

    def _space(self, cursor: _Cursor, _: Part, wait: Part) -> _Cursor:
        """The receiver that took a wavelet, so that an operation could send another one."""
        found: list[tuple[int, int, End, int]] = []  # cycle of a landing, PE, its end of the route, color at the sender
        for color in self.reach.sends(cursor.pe):
            for end in self.reach.receivers(cursor.pe, color):
                if end.pe < 0 or end.pe == cursor.pe:
                    continue
                landed = self._history(end.pe).landings_of(end.color)
                delay = end.hops + 1  # of a free slot, which a router passes on in a cycle
                place = bisect_right(landed, cursor.cycle - delay)
                if place and landed[place - 1] > wait.start - delay:
                    found.append((landed[place - 1], end.pe, end, color))
        for cycle, pe, end, color in sorted(found, reverse=True)[:TRIED]:
            if (lane := self._taker(end, cursor.pe, cycle)) is not None:
                cursor = self._add(cursor, cycle + 1, SPACE, self.names.color(color))
                return _Cursor(pe, lane, cursor.cycle)
        return self._neighbor(cursor, wait)

    def _taker(self, end: End, sender: int, cycle: int) -> int | None:
        """The lane of a receiver that took a wavelet, so that another one landed in this cycle; None: none was at work.

        A receiver that waits for wavelets does not keep its sender waiting.
        """
        known = self._history(end.pe)
        found = self._worker(end, (sender, end.color), known.landings_of(end.color), 0, cycle)
        if found is not None and found[0] == cycle:
            return found[1]
        task = latest(known.tasks, cycle + 1)
        return events.MAIN if task is not None and task.end >= cycle else None

    def _neighbor(self, cursor: _Cursor, wait: Part) -> _Cursor:
        """The other thread of the PE that works in a FIFO with a waiting one; unknown if not exactly one is at work."""
        known = self._history(cursor.pe)
        others = [
            lane
            for lane in known.operations
            if lane != cursor.lane and known.worked(lane, cursor.cycle - 1)[0] == cursor.cycle - 1
        ]
        if len(others) == 1:
            return cursor._replace(lane=others[0])
        return self._add(cursor, wait.start, UNKNOWN, events.wait_name(wait.number))

    # --- wavelets ---------------------------------------------------------------------------------------

    def _wavelet(self, cursor: _Cursor, color: int, landed: int) -> _Cursor:
        """Goes on at the sender of a wavelet that has landed at the cursor's PE."""
        ends = self.reach.senders(cursor.pe, color)
        landed_at = self._history(cursor.pe).landings_of(color)
        best: tuple[int, int, int, int] | None = None  # cycles that it waited on its way, hops, PE, lane
        for end in ends:
            delay = self._delay(end.hops)
            worker = self._worker(end, (cursor.pe, color), landed_at, delay, landed) if end.pe >= 0 else None
            if worker is not None:
                found = (landed - delay - worker[0], end.hops, end.pe, worker[1])
                best = found if best is None else min(best, found)
        name = self.names.color(color)
        from_host = not ends or any(end.pe < 0 for end in ends)
        if best is None or (from_host and best[0] > 0):
            return self._add(cursor, 0, HOST, name) if from_host else self._before(cursor)
        waited, hops, pe, lane = best
        left = landed - self._delay(hops) + 1
        cursor = self._add(self._add(cursor, left, HOPS, name), left - waited, ROUTERS, name)
        return _Cursor(pe, lane, cursor.cycle)

    def _delay(self, hops: int) -> int:
        """Cycles from an element that sends a wavelet to its landing, if it waits for no other."""
        return self.params["ramp_out_cycles"] + hops * self.params["hop_cycles"]

    def _worker(
        self, end: End, route: tuple[int, int], landings: Sequence[int], delay: int, landed: int
    ) -> tuple[int, int] | None:
        """(last cycle in which it worked, lane) of the operation of a PE that sent or took a wavelet.

        end: the PE at one end of the route.  route: the PE at its other end, and the color there.  landings: cycles in
        which the wavelets of the route landed, `landed` this one.  delay: cycles that they had left the PE before.
        None: no operation began before.
        """
        known = self._history(end.pe)
        key = (end.pe, delay, *route)
        if key not in self._scores:
            self._scores[key] = known.at_work([cycle - delay for cycle in landings])
        found = []
        for lane in known.operations:
            cycle, part = known.worked(lane, landed - delay)
            if part is not None:
                found.append((self._scores[key][lane, part.number], cycle, lane))
        least = max((score for score, _, _ in found), default=0) / 2
        return max(((cycle, lane) for score, cycle, lane in found if score >= least), default=None)


def _merged(segments: Iterable[Segment]) -> list[Segment]:
    """The segments; neighbors of the same lane, kind and name as one."""
    found: list[Segment] = []
    for segment in segments:
        if found and found[-1]._replace(start=0, end=0) == segment._replace(start=0, end=0):
            found[-1] = found[-1]._replace(end=segment.end)
        else:
            found.append(segment)
    return found
