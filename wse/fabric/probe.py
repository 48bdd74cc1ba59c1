"""Probe: runs a fabric to a stop and reads the state of its PEs; for debuggers.

The engine looks for stops between cycles (csrc/fabric/debug.c).  A run without a probe is not slower, and a probe does
not change cycles or results.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import field
from typing import Literal, NamedTuple

import numpy as np

from .. import _engine
from ..errors import ConfigError
from ..machine import isa
from ..program import route
from ..records import dataclass
from .fabric import FOREVER, Fabric

SECONDS = 0.05  # of a run between two tests for Ctrl-C
MOST = 4096  # stops of one cycle that are returned
KINDS = {
    _engine.STOP_STEP: "step",
    _engine.STOP_TASK: "task",
    _engine.STOP_MARK: "mark",
    _engine.STOP_WAVELET: "wavelet",
    _engine.STOP_MEMORY: "memory",
}
STATES = ("idle", "runs", "operation", "operation")  # of a main thread: MAIN_ of csrc/state/state.h
MAIN = 8  # the number of the main thread, after those of the microthreads


class Stop(NamedTuple):
    """A stop.

    - kind: of KINDS.  id: the task, the number of the mark, the color, or the index of the place.
    - pc: the next instruction of the main thread, for step, task and mark.
    - data, control: of the wavelet.
    """

    kind: str
    x: int
    y: int
    id: int
    pc: int = -1
    data: int = 0
    control: bool = False


@dataclass
class Stops:
    """Where a run stops.

    - pes: PEs (x, y) whose main threads can stop; None means all.
    - step: a PE (x, y) of `pes`: stops before each instruction of its main thread.
    - tasks: by class, a mask of tasks: stops when one of them starts.
    - marks: by class, uint16 for each instruction: 0, or a number from 1 to 0x7fff.  Stops when a main thread reaches
      an instruction with another number than the one before, and at each instruction with _engine.MARK_FIRST added.
    - colors: stops when a wavelet of these colors goes down the ramp of a PE (x, y) of wavelet_pes; None means any PE.
    - places: (x, y, byte address, bytes): stops when this memory changes.
    """

    pes: Sequence[tuple[int, int]] | None = None
    step: tuple[int, int] | None = None
    tasks: dict[int, int] = field(default_factory=dict)
    marks: dict[int, np.ndarray] = field(default_factory=dict)
    colors: frozenset[int] = frozenset()
    wavelet_pes: Sequence[tuple[int, int]] | None = None
    places: Sequence[tuple[int, int, int, int]] = ()


class Thread(NamedTuple):
    """The state of a PE's main thread.

    - state: "idle"; "runs": instruction `pc` is next; "operation": a vector operation is in progress, and `pc` is the
      instruction after it.
    - task: the task that runs, or ran last.  active, blocked: masks of tasks.
    - microthreads, suspended: masks of microthreads.
    - ready: the first cycle in which it can continue.
    - priority: 0 medium-low to 3 high.
    """

    state: str
    task: int
    pc: int
    active: int
    blocked: int
    microthreads: int
    suspended: int
    ready: int
    priority: int


class Operation(NamedTuple):
    """A vector operation in progress.  thread: microthread, or MAIN.  left: elements; None means no end."""

    thread: int
    name: str
    pc: int
    done: int
    left: int | None
    waits: str


class Wavelet(NamedTuple):
    """A wavelet.  control: it is a control wavelet.  advances: it advances the switches on its way."""

    data: int
    control: bool
    advances: bool


class Queue(NamedTuple):
    """A queue of the ramp.  color: the color that it is bound to, or None."""

    number: int
    color: int | None
    capacity: int
    wavelets: list[Wavelet]


class Probe:
    """Runs one fabric to stops, and reads its state."""

    def __init__(self, fabric: Fabric):
        self.fabric = fabric
        self._engine = fabric._engine
        self._chunk = 64

    # Running.

    def run(
        self,
        until: int,
        limit: int = FOREVER,
        stops: Stops | None = None,
        progress: Callable[[int], object] | None = None,
    ) -> tuple[Literal["stop", "limit", "quiet", "fault"], list[Stop]]:
        """Runs to the end of the first cycle with a stop, at most to cycle `until`: (why it ended, the stops).

        limit: the cycle to which the host wants to run, which sets the cycle in which a quiet run ends.  progress:
        called with the cycle about twenty times a second.  A KeyboardInterrupt leaves the fabric between two cycles.
        """
        given = self._given(stops or Stops())
        while True:
            began, start = time.perf_counter(), self.fabric.cycle
            end = min(until, start + self._chunk)
            status, count, found = self._engine.run_to_stop(end, limit, MOST, **given)
            took = max(time.perf_counter() - began, 1e-6)
            if self.fabric.cycle - start >= self._chunk:
                self._chunk = int(min(max(1, self._chunk * min(4.0, SECONDS / took)), 1 << 40))
            if progress is not None:
                progress(self.fabric.cycle)
            if count:
                return "stop", [self._stop(*stop) for stop in found]
            if status == _engine.FAULTED:
                return "fault", []
            if status == _engine.QUIET:
                return "quiet", []
            if self.fabric.cycle >= until:
                return "limit", []

    def watch(
        self, until: int, stops: Stops, limit: int = FOREVER
    ) -> tuple[Literal["stop", "limit", "quiet", "fault"], int]:
        """Runs to cycle `until` at full speed: (why it ended, the cycle before which there is no stop).

        That cycle is -1 if there is no stop at all.  Otherwise the fabric is somewhere behind it: restore an earlier
        snapshot, and use `run`.  ConfigError: stops by step or places, or a checked run.
        """
        if not self.can_watch(stops):
            raise ConfigError("a run at full speed cannot look for each step, for changes of memory, or be checked")
        status, seen, first = self._engine.run_to_stop(until, limit, 1, **self._given(stops), watching=True)
        cycle = first if seen else -1
        if status == _engine.FAULTED:
            return "fault", cycle
        return ("quiet" if status == _engine.QUIET else "limit"), cycle

    def can_watch(self, stops: Stops) -> bool:
        """Whether `watch` can look for these stops."""
        return stops.step is None and not stops.places and not self.fabric.check

    def rest(self, until: int) -> None:
        """Advances to cycle `until` after `run` has returned "quiet"; nothing moves on the way."""
        self._engine.rest(until)

    def _given(self, stops: Stops) -> dict:
        width, classes = self.fabric.width, self.fabric.image.classes
        given: dict = {} if stops.step is None else {"step_pe": 1 + stops.step[1] * width + stops.step[0]}
        if stops.pes is not None:
            given["pes"] = np.array([y * width + x for x, y in stops.pes], np.uint32)
        if stops.tasks:
            given["tasks"] = np.array([stops.tasks.get(i, 0) for i in range(len(classes))], np.uint64)
        if stops.marks:
            none = {i: np.zeros(len(pe.words), np.uint16) for i, pe in enumerate(classes)}
            marks = none | stops.marks
            given["marks"] = np.concatenate([marks[i] for i in range(len(classes))]).astype(np.uint16)
        if stops.colors:
            given["colors"] = sum(1 << color for color in stops.colors)
            if stops.wavelet_pes is not None:
                where = np.zeros((self.fabric.height, width), np.uint8)
                for x, y in stops.wavelet_pes:
                    where[y, x] = 1
                given["wavelet_pes"] = where.reshape(-1)
        if stops.places:
            places = [(y * width + x, address, size) for x, y, address, size in stops.places]
            given["places"] = np.array(places, np.uint32).reshape(-1)
        return given

    def _stop(self, pe: int, why: int, number: int, data: int) -> Stop:
        y, x = divmod(pe, self.fabric.width)
        kind = KINDS[why]
        if kind == "wavelet":
            return Stop(kind, x, y, number & 31, data=data, control=bool(number & 32))
        return Stop(kind, x, y, number) if kind == "memory" else Stop(kind, x, y, number, pc=data)

    # State.

    def thread(self, x: int, y: int) -> Thread:
        """The main thread of a PE."""
        state, *others = self._engine.look(x, y, _engine.LOOK_THREAD)
        return Thread(STATES[state], *others)

    def registers(self, x: int, y: int) -> list[int]:
        """The 32 registers, 32 bits each."""
        return self._engine.look(x, y, _engine.LOOK_REGISTERS)

    def dsr(self, x: int, y: int, number: int) -> dict[str, int]:
        """A DSR by its fields; number: 0 to 47, the destination's file first."""
        names = (
            "kind",
            "flags",
            "queue",
            "color",
            "base",
            "length",
            "stride",
            "options",
            "xdsr",
            "on_control",
            "index",
        )
        values = dict(zip(names, self._engine.look(x, y, _engine.LOOK_DSR, number), strict=True))
        values["stride"] -= (values["stride"] >> 63) << 64
        return values

    def operations(self, x: int, y: int) -> list[Operation]:
        """Vector operations with a fabric or FIFO operand that are under way."""
        found = []
        for thread in range(MAIN + 1):
            values = self._engine.look(x, y, _engine.LOOK_OPERATION, thread)
            if values:
                op, pc, done, left, wait, _ = values
                name = isa.INSTRUCTIONS[op].name
                left_ = None if left == 0xFFFFFFFF else left
                found.append(Operation(thread, name, pc, done, left_, _engine.counters()[wait][0].lower()))
        return found

    def input_queues(self, x: int, y: int) -> list[Queue]:
        """Input queues of a PE that are bound to a color, or not empty."""
        return self._queues(x, y, _engine.LOOK_INPUT, _engine.INPUTS)

    def output_queues(self, x: int, y: int) -> list[Queue]:
        """Output queues of a PE that are bound to a color, or not empty."""
        return self._queues(x, y, _engine.LOOK_OUTPUT, _engine.QUEUES)

    def _queues(self, x: int, y: int, what: int, count: int) -> list[Queue]:
        found = []
        for number in range(count):
            values = self._engine.look(x, y, what, number)
            if not values:
                continue
            color, capacity, *words = values
            bound = None if color >> 63 else color
            if bound is not None or words:
                found.append(Queue(number, bound, capacity, [_wavelet(word) for word in words]))
        return found

    def buffers(self, x: int, y: int, color: int) -> dict[str, list[Wavelet]]:
        """Wavelets of a color that wait in the router, by the port by which they came in, "N" to "R"."""
        found = {}
        for port in range(_engine.PORTS):
            words = self._engine.look(x, y, _engine.LOOK_BUFFER, color * _engine.PORTS + port)
            if words:
                found[route.PORTS[port]] = [_wavelet(word) for word in words]
        return found

    def route(self, x: int, y: int, color: int) -> int | None:
        """The configuration word of a router for a color, as it stands now; None if the color is not in use."""
        values = self._engine.look(x, y, _engine.LOOK_ROUTE, color)
        return values[0] if values else None


def _wavelet(word: int) -> Wavelet:
    return Wavelet(word & 0xFFFFFFFF, bool(word >> 32 & 1), bool(word >> 33 & 1))
