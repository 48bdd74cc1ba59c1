"""A text trace in the lines of the vendor's simulator, for viewers of these, such as wse-viz.

    @0 dimX=4, dimY=1
    @120 P1.0: [EX OP] ^ T09 FMACS           the operation that has the slots; SCALAR: a task between operations
    @133 P1.0: [EX OP] IDLE
    @133 P1.0: Pipe: 4, Msg: stall: input    an operation that waits
    @140 P2.0 (hwtile) landing C3 from link W, data=00000007, ctrl=0

Instructions have the vendor's names where one corresponds, in capitals.  PEs are counted from the program's corner.
A PE's state is written when it changes, not in every cycle.  What the simulator says beyond these lines is left out:
operands, addresses of instructions, the identity of a wavelet.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field

from .. import _engine
from ..fabric.run import Run
from ..machine.parameters import Machine
from ..records import dataclass
from . import events

STEPS = ((0, -1), (1, 0), (0, 1), (-1, 0))  # N E S W
OPPOSITE = "SWNE"  # by which link a wavelet comes that left by N, E, S, W
SCALAR = "SCALAR"


@dataclass(eq=False)
class _State:
    """What a PE does: its task, its operations by lane, those of them that wait, and what was written last."""

    task: int = -1
    operations: dict[int, str] = field(default_factory=dict)
    waits: dict[int, str] = field(default_factory=dict)
    written: tuple[str, str] = ("IDLE", "")

    def now(self) -> tuple[str, str]:
        """(operation or IDLE, cause of a wait or "")."""
        working = [name for lane, name in self.operations.items() if lane not in self.waits]
        if working:
            return f"^ T{max(self.task, 0):02d} {working[-1]}", ""
        if self.task >= 0 and not any(lane == events.MAIN for lane in self.waits):
            return f"^ T{self.task:02d} {SCALAR}", ""
        return "IDLE", next(iter(self.waits.values()), "")


def lines(run: Run) -> Iterator[str]:
    """Yield the lines of the file."""
    hop_cycles = Machine(run.machine, run.profile, run.meta.get("overrides")).hop_cycles
    yield f"@0 dimX={run.width}, dimY={run.height}\n"
    if run.events_dropped:
        yield f"# {run.events_dropped} events were left out\n"
    states: dict[int, _State] = {}
    changed: dict[int, None] = {}
    before = 0
    for cycle, pe, kind, a, b in events.rows(events.in_order(run)):
        if cycle != before:
            yield from _written(states, changed, before, run.width)
            before = cycle
        row = events.kind_name(kind)
        if row == "HOP":
            yield from _landing(run, cycle + hop_cycles, pe, a, b)
        elif row in events.SPANS:
            _follow(states.setdefault(pe, _State()), row, a, events.lane_of(kind, b))
            changed[pe] = None
    yield from _written(states, changed, before, run.width)


def _follow(state: _State, row: str, a: int, lane: int) -> None:
    """Applies an event to the state of its PE."""
    match row:
        case "TASK_START":
            state.task = a
        case "TASK_END":
            state.task = -1
        case "OP_START":
            state.operations[lane] = events.instruction(a).upper()
        case "OP_END":
            state.operations.pop(lane, None)
            state.waits.pop(lane, None)
        case "WAIT_START":
            state.waits[lane] = events.wait_name(a).removeprefix("wait: ")
        case "WAIT_END":
            state.waits.pop(lane, None)


def _written(states: dict[int, _State], changed: dict[int, None], cycle: int, width: int) -> Iterator[str]:
    """The states that have changed in a cycle."""
    for pe in changed:
        state = states[pe]
        now = state.now()
        if now == state.written:
            continue
        state.written = now
        place = f"@{cycle} P{pe % width}.{pe // width}:"
        yield f"{place} [EX OP] {now[0]}\n"
        if now[1]:
            yield f"{place} Pipe: 4, Msg: stall: {now[1]}\n"
    changed.clear()


def _landing(run: Run, cycle: int, pe: int, a: int, data: int) -> Iterator[str]:
    """The landing of a wavelet that left a router; none at the edge."""
    port = a >> 6 & 3
    x, y = pe % run.width + STEPS[port][0], pe // run.width + STEPS[port][1]
    if 0 <= x < run.width and 0 <= y < run.height:
        color, control = a & _COLOR, a >> 5 & 1
        link = OPPOSITE[port]
        yield f"@{cycle} P{x}.{y} (hwtile) landing C{color} from link {link}, data={data:08x}, ctrl={control}\n"


_COLOR = events.CONTROL - 1
assert _engine.COLORS <= events.CONTROL
