"""Event-driven simulation of a step: MemoryX, the SwarmX tree, links and wafers, with prefetch and back-pressure.

A layer's weights are transferred in a few chunks.  Each chunk is read from DRAM, passes through the tree (a node
forwards it at line rate when all its children have a free buffer), waits in the wafer's buffer, and is consumed while
the wafer computes that part of the layer.  The backward pass runs in reverse order.  Each chunk produces a chunk of
gradients, which the tree adds up (a node waits for all its children) and MemoryX accumulates.  In the last pass of a
step the complete gradients are applied, at a time that the system's `update` determines.  The first layer's weights of
the next step wait for their update.

The simulation does not use the analytic model (analytic.py), which is the limit of perfect overlap; tests compare both.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field

import numpy as np

from ..plan.microbatch import MicroBatch
from ..plan.workload import Compute, Workload
from ..records import dataclass
from . import analytic, stations
from .analytic import stash_bytes
from .parts import ACCUMULATE_BYTES, System

CHUNKS = 4  # of a layer
BUFFER = 8  # chunks that wait at each station: a layer is read ahead while another is used


@dataclass
class Timeline:
    """Record of a simulation, in seconds from its start.

    spans       (station, phase, layer, from, to); stations "wafer 0", "memoryx", "reduce"
    starts      when wafer 0 began each step's first compute
    """

    spans: list[tuple[str, str, int, float, float]] = field(default_factory=list)
    starts: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Outcome:
    """Seconds of a step in the steady state, by part, for the mean wafer.

    forward, backward   computing
    starved_forward, starved_backward   waiting for weights within a pass
    blocked             waiting for a free buffer for gradients
    cross               from the last gradient to the first compute of the next step; its parts in order:
    drain               until the slowest wafer's gradients are reduced and in MemoryX (those of the first layer, if
                        they are applied as they arrive)
    updating            until the first layer's weights may be sent again
    fill                until they have arrived
    update              the optimiser without any overlap
    tokens, chunks      of a pass of the busiest wafer, on average; chunks that all wafers computed in the simulation
    """

    seconds: float
    forward: float
    backward: float
    starved_forward: float
    starved_backward: float
    blocked: float
    cross: float
    drain: float
    updating: float
    fill: float
    update: float
    passes: int
    tokens: float
    chunks: int
    timeline: Timeline

    @property
    def bound(self) -> str:
        """The part that takes most time besides computing, or "compute" if that is nine tenths of the step."""
        if self.forward + self.backward >= 0.9 * self.seconds:
            return "compute"
        parts = {
            "weight stream": self.starved_forward + self.starved_backward,
            "gradient stream": self.blocked,
            "optimiser": self.updating,
            "fill and drain": self.drain + self.fill,
        }
        return max(parts, key=lambda name: parts[name])


def simulate(
    work: Workload,
    system: System,
    systems: int,
    compute: Compute,
    micro_batch: int | MicroBatch | None = None,
    steps: int = 2,
    seed: int = 0,
    spans: bool = False,
    chunks: int = CHUNKS,
    buffer: int = BUFFER,
    prefix: int | None = None,
) -> Outcome:
    """Simulate `steps` steps and measure the last complete one; the first has no predecessor to overlap with.

    chunks: of a layer.  buffer: chunks that wait at each station.  prefix: simulate only so many passes of a step and
    count the middle one several times, because middle passes are alike.  spans: record a timeline.
    """
    chosen = work.passes(systems, system.machine, micro_batch)
    tokens = chosen.mean * work.sequence
    passes = chosen.passes if prefix is None else min(chosen.passes, prefix)
    layers, network, memory = work.layers, system.network, system.memoryx
    weights = np.array([layer.weights for layer in layers], float) / chunks
    streamed = weights * work.stream_bytes(system.weight_bytes)  # bytes of a chunk
    scale = work.parameters / max(1, sum(layer.weights for layer in layers))  # what is streamed twice is updated once
    times = np.array([compute.layer(work, layer, tokens, system.machine) for layer in layers])
    stash = stash_bytes(work, tokens, system.machine) / network.bandwidth * np.array([layer.depth for layer in layers])
    entering = np.where(stash, stash + streamed * chunks / network.bandwidth, 0.0)  # both by the same link
    factor = 1 + system.jitter * spread(np.random.default_rng(seed), (steps, passes, systems))
    factor = factor * relative(chosen, passes, float(times.sum()), lambda n: compute_seconds(work, system, compute, n))
    first, count = stations.tree(systems, network.fan_out, network.depth(systems))
    parts, marks, starts, end, read_ends, updates, computing = stations.simulate(
        first,
        count,
        factor,
        np.maximum(times[:, 0], stash) / chunks,
        np.maximum(times[:, 1], entering) / chunks,
        streamed / memory.bandwidth(reads=1),
        streamed / network.bandwidth,
        weights * system.gradient_bytes / network.bandwidth,
        weights * ACCUMULATE_BYTES / memory.bandwidth(reads=1, writes=1),
        np.array([system.update_seconds(layer.weights * scale) for layer in layers]),
        chunks,
        buffer,
        network.latency,
        network.hop,
        system.update == "arriving",
        system.update == "serial",
    )
    timeline = Timeline(starts=starts.tolist())
    if spans:
        timeline.spans = _spans(read_ends - streamed * chunks / network.bandwidth, read_ends, updates, computing)
    update = system.update_seconds(work.parameters)
    computed = steps * passes * 2 * len(layers) * chunks * systems
    return outcome(parts, marks, timeline, end, chosen.passes, passes, update, tokens, computed)


def compute_seconds(work: Workload, system: System, compute: Compute, sequences: float) -> float:
    """Seconds of computing a pass of so many sequences, forward and backward, weights never missing."""
    tokens = sequences * work.sequence
    return sum(sum(compute.layer(work, layer, tokens, system.machine)) for layer in work.layers if tokens)


def spread(random: np.random.Generator, shape: tuple[int, int, int]) -> np.ndarray:
    """float64 [steps, passes, systems]: in each pass the expected order statistics of normal numbers, shuffled.

    So the slowest wafer of each pass is as slow as it is on average, and the mean over wafers is 0.
    """
    scores = np.array(analytic.order_statistics(shape[-1]))
    return random.permuted(np.broadcast_to(scores, shape), axis=-1)


def relative(chosen: MicroBatch, passes: int, mean: float, seconds: Callable[[float], float]) -> np.ndarray:
    """float64 [passes, systems]: seconds of each pass relative to a pass of mean size.

    passes: as many as are simulated; if they are fewer than all, each stands for the mean of all.
    """
    sizes = chosen.sizes()
    at = {int(size): seconds(float(size)) / mean if mean else 1.0 for size in np.unique(sizes)}
    each = np.vectorize(at.__getitem__, otypes=[float])(sizes)
    return each if passes == chosen.passes else np.broadcast_to(each.mean(axis=0), (passes, chosen.systems))


def _spans(
    read_begins: np.ndarray, read_ends: np.ndarray, updates: np.ndarray, computing: np.ndarray
) -> list[tuple[str, str, int, float, float]]:
    """The spans of a timeline, by the time at which they end."""
    found = []
    for step, turn, back, layer in np.ndindex(*read_ends.shape):
        at = step, turn, back, layer
        found.append(("memoryx", "weights", layer, float(read_begins[at]), float(read_ends[at])))
        found.append(("wafer 0", "backward" if back else "forward", layer, *map(float, computing[at])))
    for step, layer in np.ndindex(*updates.shape[:2]):
        found.append(("memoryx", "update", layer, *map(float, updates[step, layer])))
    return sorted(found, key=lambda span: span[4])


def outcome(
    parts: np.ndarray,
    marks: np.ndarray,
    timeline: Timeline,
    end: float,
    passes: int,
    simulated: int,
    update: float,
    tokens: float,
    chunks: int,
) -> Outcome:
    """Evaluates the last complete step, from its start to that of the next.

    parts: seconds [systems, steps, stations.PARTS]; marks: seconds [steps, 2], when gradients were complete and when
    the first layer was updated; end: when all had ended; passes: of a step, of which `simulated` were simulated;
    update: seconds of the optimiser without overlap.
    """
    starts, steps = timeline.starts, len(marks)
    at = max(0, steps - 2)
    whole = starts[at + 1] - starts[at] if steps > 1 else end - starts[0]
    mean = parts[:, at].mean(axis=0)
    forward, backward, hungry_f, hungry_b, blocked, cross, middle = (float(v) for v in mean)
    if passes > simulated:  # the middle pass again
        more = passes - simulated
        share = more / simulated
        whole += more * middle
        forward, backward = forward * (1 + share), backward * (1 + share)
        hungry_f, hungry_b, blocked = hungry_f * (1 + share), hungry_b * (1 + share), blocked * (1 + share)
    complete, updated = marks[at]
    filling = starts[at + 1] - updated if steps > 1 else 0.0
    updating = updated - complete
    return Outcome(
        whole,
        forward,
        backward,
        hungry_f,
        hungry_b,
        blocked,
        cross,
        float(cross - updating - filling),
        float(updating),
        float(filling),
        update,
        passes,
        tokens,
        chunks,
        timeline,
    )
