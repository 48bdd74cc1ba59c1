"""The crossover from stream-bound to compute-bound: one pass executed with a sweep of MemoryX's memory, and modelled.

Computing hides the streaming of weights if it takes longer: T >= eta P / B, for T tokens, eta P flop/s that the wafer
reaches, and B bytes/s.  Weights are not kept, so computing that uses no weights, such as attention, hides only what can
wait at the edge.  `law` therefore models each operator separately.  The first part of an operator's call ends when its
computation is done and its last weight has arrived.  The second part, in which gradients of weights leave, takes the
longer of computing and sending them.  Computing times are executed once, with memory and network that never make the
wafer wait; streaming times are those of the DDR5 and network model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import nan

import numpy as np

from ..execute.execution import Pass
from ..execute.schedule import BACKWARD, FORWARD
from ..execute.streaming import Streaming
from ..memoryx import Ddr5, MemoryX, Network
from ..records import dataclass

PHASES = (FORWARD, BACKWARD)
# A MemoryX that never makes the wafer wait: it delivers more than one weight per cycle and column.
_PLENTY = MemoryX(part=Ddr5(8800), channels=24, nodes=400, network=Network(links=1200, latency_us=0.1))


@dataclass(frozen=True)
class Part:
    """An operator's call without waiting.  taking: cycles until its last weight arrived; rest: cycles after that."""

    operator: str
    phase: str
    taking: int
    rest: int


@dataclass(frozen=True)
class Point:
    """A pass with one MemoryX.

    bandwidth: of its memory for sequential reads, bytes per second.  cycles, law: of the pass, executed and modelled.
    streaming: cycles by phase of all transfers alone, weights in and gradients out.  waits: executed cycles of waiting
    by cause.
    """

    memory: MemoryX
    bandwidth: float
    cycles: int
    law: float
    streaming: dict[str, float]
    waits: dict[str, int]

    @property
    def error(self) -> float:
        """Relative error of the model."""
        return self.law / self.cycles - 1

    @property
    def bound(self) -> str:
        """The cause of the most waiting, or "compute" if waiting is at most a tenth of the pass."""
        waited = {cause: cycles for cause, cycles in self.waits.items() if cause != "compute"}
        return max(waited, key=waited.__getitem__) if sum(waited.values()) > 0.1 * self.cycles else "compute"


@dataclass(frozen=True)
class Knee:
    """Result of a sweep.

    computing: cycles of each phase without waiting, executed.  tokens: of a pass.  knees: the crossover of each phase,
    in bytes per second: streaming by itself takes as long as computing by itself.
    """

    points: list[Point]
    computing: dict[str, int]
    knees: dict[str, float]
    tokens: int

    def tokens_to_hide(self, point: Point, phase: str) -> float:
        """Tokens of a pass above which computing takes longer than the streams of this memory: eta P / B."""
        return self.tokens * point.streaming[phase] / self.computing[phase]


def sweep(
    make: Callable[[MemoryX], Streaming],
    memories: Sequence[MemoryX],
    weights: Mapping[str, np.ndarray],
    ids: np.ndarray,
    labels: np.ndarray,
    progress: Callable[[int, int], object] = lambda done, total: None,
) -> Knee:
    """Execute a pass with each memory, and one with a memory that never makes the wafer wait.

    make: returns the execution for a MemoryX.
    """

    def executed(memory: MemoryX) -> tuple[Streaming, Pass]:
        execution = make(memory)
        execution.load(weights)
        done = execution.run(ids, labels)
        return execution, done

    total = len(memories) + 1
    _, free = executed(_PLENTY)
    progress(1, total)
    computing = parts(free)
    points = []
    for number, memory in enumerate(memories, 2):
        execution, done = executed(memory)
        progress(number, total)
        waits: dict[str, int] = {}
        for causes in done.waits.values():
            for cause, cycles in causes.items():
                waits[cause] = waits.get(cause, 0) + cycles
        into, out = _transfer_cycles(execution)
        streaming = {phase: sum(c for s in (into, out) for (_, p), c in s.items() if p == phase) for phase in PHASES}
        points.append(Point(memory, memory.bandwidth(), done.cycles, law(computing, execution), streaming, waits))
    by_phase = {phase: sum(c.taking + c.rest for c in computing if c.phase == phase) for phase in PHASES}
    knees = dict.fromkeys(PHASES, nan)
    if points:  # the smallest memory bounds its streams itself, and is not bound by the network
        least = min(points, key=lambda point: point.bandwidth)
        knees = {phase: least.bandwidth * least.streaming[phase] / by_phase[phase] for phase in PHASES}
    return Knee(points, by_phase, knees, ids.size)


def parts(done: Pass) -> list[Part]:
    """The calls of operators in a pass, in order of execution."""
    entered = {(s.name, s.phase): s.end for s in done.spans if s.track == "weights in"}
    made = []
    for span in done.spans:
        if span.track == "compute":
            operator = span.name.split(" ", 1)[1]
            last = entered.get((operator, span.phase), span.begin)
            taking = min(max(last - span.begin, 0), span.end - span.begin)
            made.append(Part(operator, span.phase, taking, span.end - span.begin - taking))
    return made


def _transfer_cycles(execution: Streaming) -> tuple[dict[tuple[str, str], float], dict[tuple[str, str], float]]:
    """(weights in, gradients out): cycles of the transfers alone, by (operator, phase)."""
    into: dict[tuple[str, str], float] = {}
    out: dict[tuple[str, str], float] = {}
    for feed, arrival, _ in execution.arrivals():
        key = feed.call.operator.name, feed.call.phase
        into[key] = into.get(key, 0.0) + arrival.end - arrival.begin
    rate = execution.feeder.drain().rate
    for sent in execution.emitter.drains:
        key = sent.call.operator.name, BACKWARD
        out[key] = out.get(key, 0.0) + sent.transfer.wavelets / rate
    return into, out


def law(computing: Sequence[Part], execution: Streaming) -> float:
    """Cycles of a pass by the model in the docstring of this module."""
    arrivals = execution.arrivals()
    _, out = _transfer_cycles(execution)
    window = execution.into["weights"][0].window
    streams = {(feed.call.operator.name, feed.call.phase): (arrival, size) for feed, arrival, size in arrivals}
    # link: the cycle in which MemoryX has sent everything so far; it is ahead of the wafer by at most the window.
    now, link = 0.0, arrivals[0][1].begin if arrivals else 0.0
    for call in computing:
        key = call.operator, call.phase
        end = now + call.taking
        if key in streams:
            arrival, size = streams.pop(key)
            took = arrival.end - arrival.begin
            link = max(link + took, now + took * max(0.0, 1 - window / max(size, 1)))
            end = max(end, link)
        now = end + max(call.rest, out.pop(key, 0.0))
    return now
