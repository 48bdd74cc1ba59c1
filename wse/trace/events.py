"""Events of a Run in readable form: names, properly nested spans, and one line of text per event.

A trace can be incomplete, because its buffer was full or the file is damaged.  `actions` yields properly nested spans
for any sequence of events.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from .. import _engine
from ..fabric.run import COUNTERS, Run
from ..machine import isa

BEGIN, END, INSTANT = "begin", "end", "instant"
TASK, OPERATION, WAIT = "task", "operation", "wait"
SPANS = {"TASK_START": TASK, "TASK_END": TASK, "OP_START": OPERATION, "OP_END": OPERATION} | {
    "WAIT_START": WAIT,
    "WAIT_END": WAIT,
}
# Lanes of a PE: the main thread, and wavelets that land.  The lane of a microthread is its number.
MAIN, WAVELETS = -1, 1 << 32
_MAIN_THREAD = 255  # events.def: the thread of an operation on the main thread
CONTROL = 32  # events.def: bit of a landed color


class Action(NamedTuple):
    """A begin, an end or an instant on a lane of a PE.  Begins and ends nest; an end has the name of its begin."""

    what: str  # BEGIN, END or INSTANT
    cycle: int
    pe: int
    lane: int
    name: str
    kind: str = ""  # of a begin or end: TASK, OPERATION, or WAIT, which lies within an operation
    value: int | None = None  # data of a wavelet, value of a mark


class Names:
    """Names of the tasks and colors of a run: those of the program if the run recorded them, else numbers."""

    def __init__(self, run: Run):
        self._tasks = _by_number(run.meta.get("tasks"))
        self._colors = _by_number(run.meta.get("colors"))
        self._known: dict[int, str] = {}

    def task(self, number: int) -> str:
        """The name of a task."""
        return self._tasks.get(number) or f"task {number}"

    def color(self, number: int) -> str:
        """The name of a color; bit CONTROL marks a control wavelet."""
        found = self._known.get(number)
        if found is None:
            found = self._known[number] = self._color(number)
        return found

    def _color(self, number: int) -> str:
        control = number >= CONTROL
        number -= CONTROL if control else 0
        name = self._colors.get(number)
        name = f"{name} (color {number})" if name else f"color {number}"
        return f"{name}, control" if control else name


def _by_number(names: Any) -> dict[int, str]:
    """{3: "red"} from {"3": "red"} or {"red": 3}; other entries are ignored."""
    found: dict[int, str] = {}
    for key, value in names.items() if isinstance(names, Mapping) else ():
        number, name = (value, key) if isinstance(value, int) else (key, value)
        if isinstance(name, str) and str(number).isdecimal():
            found[int(number)] = name
    return found


@cache
def kinds() -> tuple[tuple[str, str, str], ...]:
    """The rows of events.def: name, meaning of `a`, meaning of `b`."""
    return tuple(_engine.events())


def kind_name(kind: int) -> str:
    """The name of a kind of events."""
    return kinds()[kind][0] if kind < len(kinds()) else f"EVENT_{kind}"


def instruction(opcode: int) -> str:
    """The name of the instruction with this opcode, or the number if there is none."""
    return isa.INSTRUCTIONS[opcode].name if opcode < len(isa.INSTRUCTIONS) else f"opcode {opcode}"


def hop_name(names: Names, a: int) -> str:
    """The name of a hop: `red (color 3) to E`."""
    return f"{names.color(a & (2 * CONTROL - 1))} to {'NESW'[a >> 6 & 3]}"


def wait_name(counter: int) -> str:
    """The name of a wait by the counter of its cause: `wait: input`."""
    return f"wait: {COUNTERS[counter].removeprefix('stall_') if counter < len(COUNTERS) else counter}"


def lane_name(lane: int) -> str:
    """The name of a lane."""
    return "main" if lane == MAIN else "wavelets" if lane == WAVELETS else f"microthread {lane}"


def in_order(run: Run) -> np.ndarray:
    """The events by cycle; events of one cycle keep their order."""
    events = run.events
    assert events is not None
    cycles = events["cycle"]
    return events if np.all(cycles[1:] >= cycles[:-1]) else events[np.argsort(cycles, kind="stable")]


def actions(run: Run) -> Iterator[Action]:
    """Yield begins, ends and instants in order of cycle.

    An end without a begin is dropped; a begin without an end ends with the run.  A lane has one task, one operation and
    one wait at a time, so an end event needs no name: it ends the innermost span of its kind.
    """
    return map(Action._make, steps(run))


def steps(run: Run) -> Iterator[tuple[str, int, int, int, str, str, int | None]]:
    """Yield the fields of `actions` as plain tuples, which is faster."""
    names = Names(run)
    events = in_order(run)
    open_spans: dict[tuple[int, int], list[tuple[str, str]]] = {}
    spans_of = [(SPANS.get(row, ""), row.endswith("START")) for row, _, _ in kinds()]
    known: dict[tuple[str, int], str] = {}  # names of spans
    for cycle, pe, number, a, b in rows(events):
        kind, begins = spans_of[number] if number < len(spans_of) else ("", False)
        if not kind:
            yield _instant(names, kind_name(number), cycle, pe, a, b)
            continue
        lane = MAIN if kind == TASK or b == _MAIN_THREAD else b
        stack = open_spans.get((pe, lane))
        if stack is None:
            stack = open_spans[pe, lane] = []
        if begins:
            name = known.get((kind, a))
            if name is None:
                name = names.task(a) if kind == TASK else instruction(a) if kind == OPERATION else wait_name(a)
                known[kind, a] = name
            stack.append((kind, name))
            yield BEGIN, cycle, pe, lane, name, kind, None
        elif any(open_kind == kind for open_kind, _ in stack):
            ended = ""
            while ended != kind:
                ended, name = stack.pop()
                yield END, cycle, pe, lane, name, ended, None
    last = max(int(run.cycles), int(events["cycle"][-1]) if len(events) else 0)
    for (pe, lane), stack in open_spans.items():
        for kind, name in reversed(stack):
            yield END, last, pe, lane, name, kind, None


def rows(events: np.ndarray) -> Iterator[tuple[int, int, int, int, int]]:
    """(cycle, pe, kind, a, b) of each event."""
    for block in blocks(events):
        columns = [block[field].tolist() for field in ("cycle", "pe", "kind", "a", "b")]
        yield from zip(*columns, strict=True)


BLOCK = 1 << 16  # events


def blocks(events: np.ndarray) -> Iterator[np.ndarray]:
    """The events in parts that fit into memory: the array may lie on the disk."""
    for at in range(0, len(events), BLOCK):
        yield events[at : at + BLOCK]


def _instant(
    names: Names, row: str, cycle: int, pe: int, a: int, b: int
) -> tuple[str, int, int, int, str, str, int | None]:
    if row == "LAND":
        return INSTANT, cycle, pe, WAVELETS, names.color(a), "", b
    if row == "HOP":
        return INSTANT, cycle, pe, WAVELETS, hop_name(names, a), "", b
    return INSTANT, cycle, pe, MAIN, row.lower(), "", b


def lane_of(kind: int, b: int) -> int:
    """The lane of an event with this kind and second argument."""
    row = kind_name(kind)
    if row in ("LAND", "HOP"):
        return WAVELETS
    return MAIN if SPANS.get(row, TASK) == TASK or b == _MAIN_THREAD else b


def plain_name(names: Names, kind: int, a: int) -> str:
    """The name of an event's task, instruction, color or cause; "" if it has none."""
    row = kind_name(kind)
    if row in ("LAND", "HOP"):
        return names.color(a % CONTROL)
    match SPANS.get(row):
        case "task":
            return names.task(a)
        case "operation":
            return instruction(a)
        case "wait":
            return wait_name(a).removeprefix("wait: ")
    return ""


def lanes(run: Run) -> list[tuple[int, int]]:
    """All (pe, lane) with events, in order of PE; the lanes of a PE are main thread, microthreads, wavelets."""
    events = in_order(run)
    if not len(events):
        return []
    found: set[tuple[int, int]] = set()
    in_thread, land = (np.zeros(1 << 16, bool) for _ in range(2))  # by kind
    for number, (row, _, _) in enumerate(kinds()):
        in_thread[number], land[number] = SPANS.get(row, TASK) != TASK, row in ("LAND", "HOP")
    for block in blocks(events):
        kinds_of, threads = block["kind"], block["b"].astype(np.int64)
        lane = np.full(len(block), MAIN, dtype=np.int64)
        operation = in_thread[kinds_of]
        lane[operation] = np.where(threads == _MAIN_THREAD, MAIN, threads)[operation]
        lane[land[kinds_of]] = WAVELETS
        numbers, place = np.unique(lane, return_inverse=True)
        pairs = np.unique(block["pe"].astype(np.int64) * len(numbers) + place)
        found |= {(pair // len(numbers), int(numbers[pair % len(numbers)])) for pair in pairs.tolist()}
    return sorted(found)


def lines(run: Run) -> Iterator[str]:
    """Yield one line of text per event, with cycle, PE, kind and arguments, after a line with their number."""
    names = Names(run)
    events = in_order(run)
    digits = len(str(int(events["cycle"][-1]))) if len(events) else 1
    yield f"# {len(events)} events, {run.events_dropped} dropped: cycle, PE (x, y), what\n"
    for cycle, pe, kind, a, b in rows(events):
        yield f"{cycle:>{digits}}  ({pe % run.width}, {pe // run.width})  {words(names, kind, a, b)}\n"


def words(names: Names, kind: int, a: int, b: int) -> str:
    """An event as text."""
    row = kind_name(kind)
    what = row.lower().replace("_", " ")
    if row == "TASK_START":
        return f"{what}  {names.task(a)}  at instruction {b}"
    if row == "TASK_END":
        return f"{what}  {names.task(a)}"
    if row in SPANS:
        name = instruction(a) if SPANS[row] == OPERATION else wait_name(a).removeprefix("wait: ")
        return f"{what}  {name}  {'main' if b == _MAIN_THREAD else f'microthread {b}'}"
    if row in ("LAND", "HOP"):
        return f"{what}  {names.color(a) if row == 'LAND' else hop_name(names, a)}  0x{b:08x}"
    if row in ("MARK", "HOSTSIG"):
        return f"{what}  {b}"
    return f"{what}  {a}  {b}"
