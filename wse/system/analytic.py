"""The analytic model of a step: the limit of perfect overlap, which the event-driven model must approach.

    T      = share of the busiest wafer x sequence / passes   tokens of a pass on it, on average
    C      = compute of a pass, forward and backward           (calibrate.py)
    t_fwd  = max(C/3, weights in / link, stash / link)
    t_bwd  = max(2C/3, (weights in + stash) / link, gradients out / link)
    fill   = one layer's weights in and gradients out, and the tree's hops both ways
    cross  = the part of the update that nothing hides
    jitter = sigma x slowest(systems) x (t_fwd + t_bwd)        stragglers: below sqrt(2 ln systems), which it tends to
    step   = passes x (t_fwd + t_bwd) + fill + cross + jitter

Every input may be an array: intervals come from evaluating it for many draws at once.
"""

from __future__ import annotations

from dataclasses import fields
from statistics import NormalDist
from typing import Any

import numpy as np

from ..machine.parameters import Machine
from ..plan import microbatch
from ..plan.microbatch import MicroBatch
from ..plan.workload import Workload
from ..records import dataclass
from .parts import OPTIMIZER, System

Number = Any  # float or an array of draws


@dataclass(frozen=True)
class Inputs:
    """What a step depends on, as numbers or arrays; see `inputs`."""

    parameters: Number  # trained numbers
    streamed: Number  # weights of a pass
    layers: int  # of the stream
    tokens: Number  # per pass and wafer
    passes: Number
    systems: int
    compute: Number  # seconds of a pass, forward and backward
    stash: Number  # bytes that leave and come back per pass
    link: Number
    weight_bytes: Number
    gradient_bytes: Number
    dram: Number  # bytes per second during an update
    exposed: Number  # share of the update that nothing hides: 0 to 1
    depth: int
    hop: Number
    jitter: Number


@dataclass(frozen=True)
class Step:
    """Seconds of a step by part; numbers, or arrays of one value per draw."""

    forward: Number
    backward: Number
    fill: Number
    cross: Number
    jitter: Number

    @property
    def seconds(self) -> Number:
        """Seconds of the whole step."""
        return sum(getattr(self, field.name) for field in fields(self))


def step(i: Inputs) -> Step:
    """Evaluate the model."""
    incoming = i.weight_bytes * i.streamed / i.link
    outgoing = i.gradient_bytes * i.streamed / i.link
    stash = i.stash / i.link
    forward = np.maximum(np.maximum(i.compute / 3, incoming), stash)
    backward = np.maximum(np.maximum(2 * i.compute / 3, incoming + stash), outgoing)
    fill = (incoming + outgoing) / i.layers + 2 * i.depth * i.hop
    cross = i.exposed * sum(OPTIMIZER.traffic) * i.parameters / i.dram
    stragglers = i.jitter * slowest(i.systems) * (forward + backward)
    return Step(i.passes * forward, i.passes * backward, fill, cross, stragglers)


def order_statistics(count: int) -> list[float]:
    """Expected values of so many standard normal numbers in ascending order, by Blom's approximation."""
    return [NormalDist().inv_cdf((i - 0.375) / (count + 0.25)) for i in range(1, count + 1)]


def slowest(systems: int) -> float:
    """Expected maximum of so many standard normal numbers: 1.77 for 16."""
    return 0.0 if systems == 1 else order_statistics(systems)[-1]


def inputs(
    work: Workload,
    system: System,
    systems: int,
    compute: Any,
    micro_batch: int | MicroBatch | None = None,
    exposed: float | None = None,
) -> Inputs:
    """The inputs for a workload on a cluster.

    compute: a workload.Compute.  exposed: share of the update that nothing hides; None: 1 for serial updates, else 0.
    """
    chosen = work.passes(systems, system.machine, micro_batch)
    tokens = chosen.mean * work.sequence
    seconds = sum(
        share
        * sum(n * sum(compute.layer(work, layer, size * work.sequence, system.machine)) for layer, n in work.kinds())
        for size, share in chosen.mix()
        if size
    )
    if exposed is None:
        exposed = 1.0 if system.update == "serial" else 0.0
    return Inputs(
        parameters=work.parameters,
        streamed=work.streamed,
        layers=len(work.layers),
        tokens=tokens,
        passes=chosen.passes,
        systems=systems,
        compute=seconds,
        stash=stash_bytes(work, tokens, system.machine) * work.depth,
        link=system.network.bandwidth,
        weight_bytes=work.stream_bytes(system.weight_bytes),
        gradient_bytes=system.gradient_bytes,
        dram=system.update_bandwidth,
        exposed=exposed,
        depth=system.network.depth(systems),
        hop=system.network.hop,
        jitter=system.jitter,
    )


def stash_bytes(work: Workload, tokens: float, machine: Machine) -> float:
    """Bytes per layer that leave the wafer in the forward pass and come back in the backward pass: the layer's input,
    and what memory does not hold of the layer's own activations.

    The input is none of it if the inputs of all layers fit in a tenth of the wafer's memory.
    """
    size = tokens * work.model.d_model * 2
    kept = 0.0 if size * work.depth <= 0.1 * machine.wafer_memory else size
    own = tokens * microbatch.token_bytes(work.model)
    return kept + max(0.0, own - microbatch.FREE * machine.wafer_memory)


def threshold(compute: Any, work: Workload, system: System) -> float:
    """Number of tokens of a pass above which the forward pass hides the stream of weights."""
    few, many = (
        sum(compute.layer(work, layer, tokens, system.machine)[0] for layer in work.layers) for tokens in (0.0, 1e6)
    )
    stream = work.stream_bytes(system.weight_bytes) * work.streamed / system.network.bandwidth
    return max(0.0, (stream - few) / ((many - few) / 1e6))
