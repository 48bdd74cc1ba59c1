"""From stream-bound to compute-bound: one pass over a sweep of MemoryX's memory, executed, and where a law puts it.

Computing hides the streaming of weights if it takes longer: T >= eta P / B, for T tokens, eta P flop/s that the wafer
reaches, B bytes/s.  What the wafer computes while no weights pass by, such as attention, hides only what can wait at
the edge, for weights are not kept.  So the law goes operator by operator.  An operator's call ends its first part when
it has computed what that takes, and when its last weight is there; a second part, in which the gradients of weights
leave, takes as long as computing them or sending them, whichever is longer.  Computing times are executed once, with
memory and network that never make the wafer wait; streaming times are those of the DDR5 and network model alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import nan

import numpy as np

from ..execute.execution import Pass
from ..execute.schedule import BACKWARD, FORWARD
from ..execute.streaming import Streaming
from ..memoryx import Ddr5, MemoryX, Network

PHASES = (FORWARD, BACKWARD)
# Nothing is waited for: a weight a cycle and column and more.
PLENTY = MemoryX(part=Ddr5(8800), channels=24, nodes=400, network=Network(links=1200, latency_us=0.1))


@dataclass(frozen=True)
class Part:
    """A call without waiting, in cycles: until its last weight entered, and from then on."""

    operator: str
    phase: str
    taking: int
    rest: int


@dataclass(frozen=True)
class Point:
    """A pass with one MemoryX; cycles.  bandwidth: of its memory, read in order, bytes a second.  cycles: executed;
    law: predicted; streaming: of each phase, weights in and gradients out, by themselves; waits: executed, by cause."""

    memory: MemoryX
    bandwidth: float
    cycles: int
    law: float
    streaming: dict[str, float]
    waits: dict[str, int]

    @property
    def error(self) -> float:
        return self.law / self.cycles - 1

    @property
    def bound(self) -> str:
        """By what the pass is longer than its computing, if by a tenth or more."""
        waited = {cause: cycles for cause, cycles in self.waits.items() if cause != "compute"}
        return max(waited, key=waited.__getitem__) if sum(waited.values()) > 0.1 * self.cycles else "compute"


@dataclass(frozen=True)
class Knee:
    """A sweep.  computing: cycles of each phase without waiting, executed; tokens: of a pass.  knees: of each phase,
    the bytes a second at which streaming alone takes as long as computing alone."""

    points: list[Point]
    computing: dict[str, int]
    knees: dict[str, float]
    tokens: int

    def tokens_to_hide(self, point: Point, phase: str) -> float:
        """Tokens of a pass from which on computing is longer than the streams of this memory: eta P / B."""
        return self.tokens * point.streaming[phase] / self.computing[phase]


def sweep(
    make: Callable[[MemoryX], Streaming],
    memories: Sequence[MemoryX],
    weights: Mapping[str, np.ndarray],
    ids: np.ndarray,
    labels: np.ndarray,
    progress: Callable[[int, int], object] = lambda done, total: None,
) -> Knee:
    """Executes a pass with each memory, and one with more than enough.  make: the execution for a MemoryX."""

    def executed(memory: MemoryX) -> tuple[Streaming, Pass]:
        execution = make(memory)
        execution.load(weights)
        done = execution.run(ids, labels)
        return execution, done

    total = len(memories) + 1
    _, free = executed(PLENTY)
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
        into, out = transfer_cycles(execution)
        streaming = {phase: sum(c for s in (into, out) for (_, p), c in s.items() if p == phase) for phase in PHASES}
        points.append(Point(memory, memory.bandwidth(), done.cycles, law(computing, execution), streaming, waits))
    by_phase = {phase: sum(c.taking + c.rest for c in computing if c.phase == phase) for phase in PHASES}
    knees = dict.fromkeys(PHASES, nan)
    if points:  # the smallest memory bounds its streams itself, and is not bound by the network
        least = min(points, key=lambda point: point.bandwidth)
        knees = {phase: least.bandwidth * least.streaming[phase] / by_phase[phase] for phase in PHASES}
    return Knee(points, by_phase, knees, ids.size)


def parts(done: Pass) -> list[Part]:
    """The calls of a pass, in order."""
    entered = {(s.name, s.phase): s.end for s in done.spans if s.track == "weights in"}
    made = []
    for span in done.spans:
        if span.track == "compute":
            operator = span.name.split(" ", 1)[1]
            last = entered.get((operator, span.phase), span.begin)
            taking = min(max(last - span.begin, 0), span.end - span.begin)
            made.append(Part(operator, span.phase, taking, span.end - span.begin - taking))
    return made


def transfer_cycles(execution: Streaming) -> tuple[dict[tuple[str, str], float], dict[tuple[str, str], float]]:
    """Cycles by (operator, phase) that the weights' way in takes by itself, and the gradients' way out."""
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
    """Cycles of a pass, see the head of this module.  link: when MemoryX has sent all that went before; it is ahead of
    the wafer by at most the window."""
    arrivals = execution.arrivals()
    _, out = transfer_cycles(execution)
    window = execution.into["weights"][0].window
    streams = {(feed.call.operator.name, feed.call.phase): (arrival, size) for feed, arrival, size in arrivals}
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
