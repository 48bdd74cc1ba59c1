"""Events of a Run in readable form: names, properly nested spans, and one line of text per event.

A trace can be incomplete: its buffer was full, or the file is damaged.  `actions` yields properly nested spans for any
sequence of events.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from .. import _engine
from ..fabric.run import Run
from ..machine import isa

BEGIN, END, INSTANT = "begin", "end", "instant"
MAIN, WAVELETS = -1, 1 << 32  # lanes; a microthread's lane is its number
MAIN_THREAD = 255  # events.def: the thread of an operation on the main thread
CONTROL = 32  # events.def: bit of a landed color


class Action(NamedTuple):
    """One thing to draw.  Begins and ends of a lane nest; an end's name is that of its begin."""

    what: str
    cycle: int
    pe: int
    lane: int
    name: str
    is_task: bool = False
    value: int | None = None  # data of a wavelet, value of a mark


class Names:
    """Names of the tasks and colors of a run: the program's names if the run recorded them, else numbers."""

    def __init__(self, run: Run):
        self._tasks = _by_number(run.meta.get("tasks"))
        self._colors = _by_number(run.meta.get("colors"))

    def task(self, number: int) -> str:
        return self._tasks.get(number) or f"task {number}"

    def color(self, number: int) -> str:
        control = number >= CONTROL
        number -= CONTROL if control else 0
        name = self._colors.get(number)
        name = f"{name} (color {number})" if name else f"color {number}"
        return f"{name}, control" if control else name


def _by_number(names: Any) -> dict[int, str]:
    """{"3": "red"} or {"red": 3} as {3: "red"}; anything else as nothing."""
    found: dict[int, str] = {}
    for key, value in names.items() if isinstance(names, Mapping) else ():
        number, name = (value, key) if isinstance(value, int) else (key, value)
        if isinstance(name, str) and str(number).isdecimal():
            found[int(number)] = name
    return found


@cache
def kinds() -> tuple[tuple[str, str, str], ...]:
    """Rows of events.def: name, what `a` is, what `b` is."""
    return tuple(_engine.events())


def kind_name(kind: int) -> str:
    return kinds()[kind][0] if kind < len(kinds()) else f"EVENT_{kind}"


def instruction(opcode: int) -> str:
    """The name of an opcode, or its number where there is none."""
    return isa.INSTRUCTIONS[opcode].name if opcode < len(isa.INSTRUCTIONS) else f"opcode {opcode}"


def lane_name(lane: int) -> str:
    return "main" if lane == MAIN else "wavelets" if lane == WAVELETS else f"microthread {lane}"


def in_order(run: Run) -> np.ndarray:
    """The events by cycle; events of one cycle keep their order."""
    events = run.events
    assert events is not None
    cycles = events["cycle"]
    return events if np.all(cycles[1:] >= cycles[:-1]) else events[np.argsort(cycles, kind="stable")]


def actions(run: Run) -> Iterator[Action]:
    """Begins, ends and instants in order of cycle.

    An end without its begin is dropped; what never ends, ends with the run.  A lane has one task and one operation at a
    time, so that an end needs no name: it ends the innermost of its kind.
    """
    names = Names(run)
    events = in_order(run)
    open_spans: dict[tuple[int, int], list[tuple[bool, str]]] = {}
    for cycle, pe, kind, a, b in zip(*_columns(events), strict=True):
        row = kind_name(kind)
        if row not in ("TASK_START", "TASK_END", "OP_START", "OP_END"):
            yield _instant(names, row, cycle, pe, a, b)
            continue
        is_task = row.startswith("TASK")
        lane = MAIN if is_task or b == MAIN_THREAD else b
        stack = open_spans.setdefault((pe, lane), [])
        if row.endswith("START"):
            name = names.task(a) if is_task else instruction(a)
            stack.append((is_task, name))
            yield Action(BEGIN, cycle, pe, lane, name, is_task)
        elif any(known == is_task for known, _ in stack):
            ended = None
            while ended != is_task:
                ended, name = stack.pop()
                yield Action(END, cycle, pe, lane, name, ended)
    last = max(int(run.cycles), int(events["cycle"][-1]) if len(events) else 0)
    for (pe, lane), stack in open_spans.items():
        for is_task, name in reversed(stack):
            yield Action(END, last, pe, lane, name, is_task)


def _columns(events: np.ndarray) -> list[list[int]]:
    return [events[field].tolist() for field in ("cycle", "pe", "kind", "a", "b")]


def _instant(names: Names, row: str, cycle: int, pe: int, a: int, b: int) -> Action:
    if row == "LAND":
        return Action(INSTANT, cycle, pe, WAVELETS, names.color(a), value=b)
    return Action(INSTANT, cycle, pe, MAIN, row.lower(), value=b)


class Span(NamedTuple):
    """A task or an operation, from its first cycle to the one after its last."""

    pe: int
    lane: int
    start: int
    end: int
    name: str
    is_task: bool


def spans(run: Run) -> Iterator[Span]:
    """The begins and ends of `actions` joined, in order of their ends."""
    open_spans: dict[tuple[int, int], list[int]] = {}
    for what, cycle, pe, lane, name, is_task, _ in actions(run):
        if what == BEGIN:
            open_spans.setdefault((pe, lane), []).append(cycle)
        elif what == END:
            yield Span(pe, lane, open_spans[pe, lane].pop(), cycle, name, is_task)


def lanes(run: Run) -> list[tuple[int, int]]:
    """(pe, lane) of everything that `actions` may name, in order of PE, then main, microthreads, wavelets."""
    events = in_order(run)
    if not len(events):
        return []
    names = np.array([kind_name(kind) for kind in range(int(events["kind"].max()) + 1)])[events["kind"]]
    lane = np.full(len(events), MAIN, dtype=np.int64)
    operation = (names == "OP_START") | (names == "OP_END")
    threads = events["b"][operation].astype(np.int64)
    lane[operation] = np.where(threads == MAIN_THREAD, MAIN, threads)
    lane[names == "LAND"] = WAVELETS
    numbers, place = np.unique(lane, return_inverse=True)
    pairs = np.unique(events["pe"].astype(np.int64) * len(numbers) + place)
    return [(pair // len(numbers), int(numbers[pair % len(numbers)])) for pair in pairs.tolist()]


def lines(run: Run) -> Iterator[str]:
    """One line of text per event: cycle, PE, kind, what its arguments mean."""
    names = Names(run)
    events = in_order(run)
    digits = len(str(int(events["cycle"][-1]))) if len(events) else 1
    yield f"# {len(events)} events, {run.events_dropped} dropped: cycle, PE (x, y), what\n"
    for cycle, pe, kind, a, b in zip(*_columns(events), strict=True):
        yield f"{cycle:>{digits}}  ({pe % run.width}, {pe // run.width})  {_words(names, kind, a, b)}\n"


def _words(names: Names, kind: int, a: int, b: int) -> str:
    row = kind_name(kind)
    words = row.lower().replace("_", " ")
    if row == "TASK_START":
        return f"{words}  {names.task(a)}  at instruction {b}"
    if row == "TASK_END":
        return f"{words}  {names.task(a)}"
    if row in ("OP_START", "OP_END"):
        return f"{words}  {instruction(a)}  {'main' if b == MAIN_THREAD else f'microthread {b}'}"
    if row == "LAND":
        return f"{words}  {names.color(a)}  0x{b:08x}"
    if row in ("MARK", "HOSTSIG"):
        return f"{words}  {b}"
    return f"{words}  {a}  {b}"
