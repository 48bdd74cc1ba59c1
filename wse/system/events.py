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

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..errors import ConfigError

try:
    import simpy
except ImportError:
    raise ConfigError(
        "simulating systems needs SimPy, which is not installed: run pip install 'wse[cluster]'"
    ) from None

from ..plan.workload import Compute, Workload
from .analytic import stash_bytes
from .parts import ACCUMULATE_BYTES, System

CHUNKS = 4  # of a layer
BUFFER = 8  # chunks that wait at each station: a layer is read ahead while another is used

Process = Generator[Any, Any, None]


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
    tokens, chunks      of a pass on a wafer; chunks that all wafers computed in the simulation
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
    micro_batch: int | None = None,
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
    tokens = chosen.sequences * work.sequence
    passes = chosen.passes if prefix is None else min(chosen.passes, prefix)
    cluster = _Cluster(work, system, systems, compute, tokens, passes, steps, seed, spans, chunks, buffer)
    cluster.run()
    return cluster.outcome(chosen.passes)


class _Cluster:
    """The processes of one simulation.  Chunk n of a pass belongs to layer n // chunks in its direction's order."""

    def __init__(self, work, system, systems, compute, tokens, passes, steps, seed, spans, chunks, buffer):
        self.work, self.system, self.systems = work, system, systems
        self.tokens, self.passes, self.steps, self.spans, self.chunks = tokens, passes, steps, spans, chunks
        self.env = env = simpy.Environment()
        self.timeline = Timeline()
        layers = work.layers
        self.weights = [layer.weights for layer in layers]
        times = [compute.layer(work, layer, tokens, system.machine) for layer in layers]
        stash = stash_bytes(work, tokens, system.machine) / system.network.bandwidth
        self.forward = [max(f, stash * layer.depth) / chunks for (f, _), layer in zip(times, layers, strict=True)]
        self.backward = [max(b, stash * layer.depth) / chunks for (_, b), layer in zip(times, layers, strict=True)]
        self.jitter = 1 + system.jitter * np.random.default_rng(seed).standard_normal((steps, passes, systems))
        self.dram = simpy.PriorityResource(env)
        self.updated = [[env.event() for _ in layers] for _ in range(steps + 1)]
        for event in self.updated[0]:
            event.succeed()
        self.arrived = [[0] * len(layers) for _ in range(steps)]
        self.complete = [[env.event() for _ in layers] for _ in range(steps)]
        self.down, self.up = self._tree(buffer)
        # Of each wafer and step: forward, backward, starved in each, blocked, cross, seconds of a middle pass.
        self.parts = np.zeros((systems, steps, 7))
        # Of each step: when gradients were complete, when the first layer was updated.
        self.marks = np.zeros((steps, 2))

    def _tree(self, buffer: int) -> tuple[list[simpy.Store], list[simpy.Store]]:
        """Broadcast and reduction processes; returns each wafer's store of weights and of gradients.

        A tier of nodes above the wafers for each power of the fan-out; the root is MemoryX's own link.
        """
        env, fan = self.env, self.system.network.fan_out
        below = [simpy.Store(env, buffer) for _ in range(self.systems)]
        above = [simpy.Store(env, buffer) for _ in range(self.systems)]
        down, up = below, above
        for _ in range(self.system.network.depth(self.systems)):
            groups = [(below[i : i + fan], above[i : i + fan]) for i in range(0, len(below), fan)]
            below, above = [], []
            for children, sources in groups:
                into, out = simpy.Store(env, buffer), simpy.Store(env, buffer)
                env.process(self._broadcast(into, children))
                env.process(self._reduce(sources, out))
                below.append(into)
                above.append(out)
        (self.root_down,), (self.root_up,) = below, above
        return down, up

    def run(self) -> None:
        env = self.env
        env.process(self._read())
        env.process(self._accumulate())
        for step in range(self.steps):
            env.process(self._update(step))
        done = [env.process(self._wafer(number)) for number in range(self.systems)]
        env.run(env.all_of(done) & env.all_of(self.updated[-1]))

    def _order(self) -> list[tuple[bool, int]]:
        """(backward?, layer) of a pass in the order of the stream."""
        layers = range(len(self.weights))
        return [(False, n) for n in layers] + [(True, n) for n in reversed(layers)]

    def _read(self) -> Process:
        """MemoryX reads and sends, as far ahead as the buffers of the tree allow."""
        env, rate = self.env, self.system.memoryx.bandwidth(reads=1)
        size, network = self.work.stream_bytes(self.system.weight_bytes), self.system.network
        link = network.bandwidth
        for step in range(self.steps):
            for number in range(self.passes):
                for backward, layer in self._order():
                    if number == 0 and not backward:
                        yield self.updated[step][layer]
                    chunk = self.weights[layer] * size / self.chunks
                    for _ in range(self.chunks):
                        start = env.now
                        with self.dram.request(priority=0) as turn:
                            yield turn
                            yield env.timeout(chunk / rate)
                        # Reading runs ahead of sending within the buffers: what DRAM took is part of the link's time.
                        yield env.timeout(max(0.0, chunk / link - (env.now - start)))
                        yield self.root_down.put((layer, env.now + network.latency))
                    self._span("memoryx", "weights", layer, env.now - self.chunks * chunk / link)

    def _broadcast(self, source: simpy.Store, children: list[simpy.Store]) -> Process:
        """A SwarmX node, downwards: cut-through, so a tier costs its latency; every child must have a free buffer."""
        env, hop = self.env, self.system.network.hop
        while True:
            layer, ready = yield source.get()
            if ready > env.now:
                yield env.timeout(ready - env.now)
            for child in children:
                yield child.put((layer, env.now + hop))

    def _reduce(self, sources: list[simpy.Store], out: simpy.Store) -> Process:
        """A SwarmX node, upwards: adds its children's chunks at line rate, and forwards a chunk when all sent it."""
        env, hop = self.env, self.system.network.hop
        while True:
            ready = 0.0
            for source in sources:
                chunk = yield source.get()
                ready = max(ready, chunk[2])
            if ready > env.now:
                yield env.timeout(ready - env.now)
            yield out.put((chunk[0], chunk[1], env.now + hop))

    def _wafer(self, number: int) -> Process:
        """A wafer: takes weights when it needs them, computes, and passes gradients to its link."""
        env, parts = self.env, self.parts[number]
        gate = simpy.Store(env, self.chunks * 2)
        env.process(self._send(gate, self.up[number]))
        ended = None
        for step in range(self.steps):
            for turn in range(self.passes):
                factor = max(0.0, self.jitter[step, turn, number])
                began = env.now
                for backward, layer in self._order():
                    start = env.now
                    seconds = (self.backward if backward else self.forward)[layer] * factor
                    for number_of_chunk in range(self.chunks):
                        asked = env.now
                        chunk = yield self.down[number].get()
                        if chunk[1] > env.now:
                            yield env.timeout(chunk[1] - env.now)
                        if turn == 0 and not backward and layer == 0 and number_of_chunk == 0:
                            if number == 0:
                                self.timeline.starts.append(env.now)
                            if ended is not None:
                                parts[step - 1, 5] += env.now - asked
                            began = start = env.now
                        else:
                            parts[step, 3 if backward else 2] += env.now - asked
                        yield env.timeout(seconds)
                        parts[step, 1 if backward else 0] += seconds
                        if backward:
                            asked = env.now
                            yield gate.put((step, layer))
                            parts[step, 4] += env.now - asked
                    if number == 0:
                        self._span("wafer 0", "backward" if backward else "forward", layer, start)
                if turn == self.passes // 2:
                    parts[step, 6] = env.now - began
            ended = env.now
        last = self.steps - 1
        yield env.all_of(self.updated[self.steps])
        parts[last, 5] = parts[max(0, last - 1), 5]
        self.end = env.now

    def _send(self, gate: simpy.Store, up: simpy.Store) -> Process:
        """The wafer's outgoing link, at line rate."""
        env, network = self.env, self.system.network
        while True:
            step, layer = yield gate.get()
            yield env.timeout(self.weights[layer] * self.system.gradient_bytes / self.chunks / network.bandwidth)
            yield up.put((step, layer, env.now + network.latency))

    def _accumulate(self) -> Process:
        """MemoryX receives gradients and adds them to those of earlier passes."""
        env, rate = self.env, self.system.memoryx.bandwidth(reads=1, writes=1)
        while True:
            step, layer, ready = yield self.root_up.get()
            if ready > env.now:
                yield env.timeout(ready - env.now)
            size = self.weights[layer] / self.chunks * ACCUMULATE_BYTES
            with self.dram.request(priority=1) as turn:
                yield turn
                yield env.timeout(size / rate)
            self.arrived[step][layer] += 1
            if self.arrived[step][layer] == self.passes * self.chunks:
                self.complete[step][layer].succeed()

    def _update(self, step: int) -> Process:
        """The optimiser of a step, at the time that the system's `update` determines."""
        env, complete, updated = self.env, self.complete[step], self.updated[step + 1]
        layers = range(len(self.weights))
        arriving = self.system.update == "arriving"
        if not arriving:
            yield env.all_of(complete)
            self.marks[step, 0] = env.now
        scale = self.work.parameters / max(1, sum(self.weights))  # what is streamed twice is updated once
        for layer in reversed(layers) if arriving else layers:
            yield complete[layer]
            with self.dram.request(priority=2) as turn:
                yield turn
                begun = env.now
                yield env.timeout(self.system.update_seconds(self.weights[layer] * scale))
            self._span("memoryx", "update", layer, begun)
            if layer == 0:
                self.marks[step] = begun if arriving else self.marks[step, 0], env.now
            if self.system.update != "serial":
                updated[layer].succeed()
        if self.system.update == "serial":
            self.marks[step, 1] = env.now
            for event in updated:
                event.succeed()

    def _span(self, station: str, phase: str, layer: int, start: float) -> None:
        if self.spans:
            self.timeline.spans.append((station, phase, layer, start, self.env.now))

    def outcome(self, passes: int) -> Outcome:
        """Evaluate the last complete step, from its start to that of the next."""
        starts = self.timeline.starts
        at = max(0, self.steps - 2)
        whole = starts[at + 1] - starts[at] if self.steps > 1 else self.end - starts[0]
        mean = self.parts[:, at].mean(axis=0)
        forward, backward, hungry_f, hungry_b, blocked, cross, middle = (float(v) for v in mean)
        if passes > self.passes:  # the middle pass again
            more = passes - self.passes
            share = more / self.passes
            whole += more * middle
            forward, backward = forward * (1 + share), backward * (1 + share)
            hungry_f, hungry_b, blocked = hungry_f * (1 + share), hungry_b * (1 + share), blocked * (1 + share)
        complete, updated = self.marks[at]
        filling = starts[at + 1] - updated if self.steps > 1 else 0.0
        updating = updated - complete
        update = self.system.update_seconds(self.work.parameters)
        computed = self.steps * self.passes * 2 * len(self.weights) * self.chunks * self.systems
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
            self.tokens,
            computed,
            self.timeline,
        )
