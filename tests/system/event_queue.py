"""The step as processes of an event queue, in SimPy: the reference of wse/system/stations.py."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import numpy as np
import simpy

from wse.system.analytic import stash_bytes
from wse.system.events import Outcome, Timeline, compute_seconds, outcome, relative, spread
from wse.system.parts import ACCUMULATE_BYTES

Process = Generator[Any, Any, None]


def simulate(
    work, system, systems, compute, micro_batch=None, steps=2, seed=0, spans=False, chunks=4, buffer=8, prefix=None
):
    """As wse.system.events.simulate."""
    chosen = work.passes(systems, system.machine, micro_batch)
    passes = chosen.passes if prefix is None else min(chosen.passes, prefix)
    cluster = Cluster(work, system, systems, compute, chosen, passes, steps, seed, spans, chunks, buffer)
    cluster.run()
    return cluster.outcome(chosen.passes)


class Cluster:
    """The processes of one simulation.  Chunk n of a pass belongs to layer n // chunks in its direction's order."""

    def __init__(self, work, system, systems, compute, chosen, passes, steps, seed, spans, chunks, buffer):
        self.work, self.system, self.systems = work, system, systems
        tokens = chosen.mean * work.sequence
        self.tokens, self.passes, self.steps, self.spans, self.chunks = tokens, passes, steps, spans, chunks
        self.env = env = simpy.Environment()
        self.timeline = Timeline()
        layers = work.layers
        self.weights = [layer.weights for layer in layers]
        times = [compute.layer(work, layer, tokens, system.machine) for layer in layers]
        stash = stash_bytes(work, tokens, system.machine) / system.network.bandwidth
        self.forward = [max(f, stash * layer.depth) / chunks for (f, _), layer in zip(times, layers, strict=True)]
        sent = work.stream_bytes(system.weight_bytes) / system.network.bandwidth
        entering = [stash * layer.depth + layer.weights * sent if stash * layer.depth else 0.0 for layer in layers]
        self.backward = [max(b, e) / chunks for (_, b), e in zip(times, entering, strict=True)]
        random = np.random.default_rng(seed)
        self.jitter = 1 + system.jitter * spread(random, (steps, passes, systems))
        self.jitter = self.jitter * relative(
            chosen, passes, sum(f + b for f, b in times), lambda n: compute_seconds(work, system, compute, n)
        )
        self.requests: list = []
        self.asked = env.event()
        env.process(self._memory())
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

    def _serve(self, priority: int, seconds: float) -> simpy.Event:
        """Asks the memory for so many seconds; the event comes at their end, its value is their begin."""
        done = self.env.event()
        self.requests.append((priority, len(self.requests), seconds, done))
        if not self.asked.triggered:
            self.asked.succeed()
        return done

    def _memory(self) -> Process:
        """Serves one request after the other: of those that have arrived, all of this instant included, the first by
        priority.  A priority has one request at a time."""
        env = self.env
        while True:
            if not self.requests:
                self.asked = env.event()
                yield self.asked
            while env.peek() <= env.now:  # until nothing else happens at this time
                yield env.timeout(0)
            request = min(self.requests)
            self.requests.remove(request)
            begun = env.now
            yield env.timeout(request[2])
            request[3].succeed(begun)

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
                        yield self._serve(0, chunk / rate)
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
            yield self._serve(1, size / rate)
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
            begun = yield self._serve(2, self.system.update_seconds(self.weights[layer] * scale))
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
        end = getattr(self, "end", 0.0)
        update = self.system.update_seconds(self.work.parameters)
        computed = self.steps * self.passes * 2 * len(self.weights) * self.chunks * self.systems
        return outcome(self.parts, self.marks, self.timeline, end, passes, self.passes, update, self.tokens, computed)
