"""The interface of the two execution modes to a training loop: weights and tokens in, loss and gradients out.

The PEs of the emulated fabric execute all arithmetic of a pass.  `Execution.updates` says where the optimizer runs.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from dataclasses import field
from typing import Protocol

import numpy as np

from ..models import Graph
from ..records import dataclass

CAUSES = ("dram", "network", "edge", "fabric", "compute")  # possible bottlenecks of a phase


@dataclass(frozen=True)
class Span:
    """An interval of activity on the fabric, for timelines.

    track: the line of the timeline, such as "compute" or "weights".  name: of the operator or tensor.  phase:
    "forward", "backward" or "update".  begin, end: fabric cycles.  bound_by: one of CAUSES, or "" if unknown.
    """

    track: str
    name: str
    phase: str
    begin: int
    end: int
    bound_by: str = ""


@dataclass
class Pass:
    """The result of one micro-batch, forward and backward.

    loss        mean cross-entropy over the tokens, in nats, without the loss scale
    gradients   float32 arrays by parameter name, of the mean loss times the loss scale; those that `run` was given
    cycles      fabric cycles from the first wavelet in to the last gradient out
    sent        weight wavelets that entered the fabric
    dense       weight wavelets that would have entered if zeros were sent, too
    drained     gradient wavelets that left the fabric
    activations wavelets of activations, and of their gradients, that left the wafer and came back
    spans       intervals of activity, ordered by begin
    waits       cycles by phase and cause (CAUSES), of the slowest column
    load        tokens that choose each expert of each layer: int64 [layers, experts], 0 where the router gave no
                numbers; None without experts, or where it is not counted
    """

    loss: float
    gradients: MutableMapping[str, np.ndarray]
    cycles: int
    sent: int = 0
    dense: int = 0
    drained: int = 0
    activations: int = 0
    spans: list[Span] = field(default_factory=list)
    waits: dict[str, dict[str, int]] = field(default_factory=dict)
    load: np.ndarray | None = None

    @property
    def busiest(self) -> float:
        """The tokens of the expert with most, of any layer, by the mean over the layer's experts; 0 without loads."""
        if self.load is None:
            return 0.0
        return float((self.load / np.maximum(self.load.mean(axis=1, keepdims=True), 1e-9)).max())


class Execution(Protocol):
    """A model on a fabric, in one of the execution modes.

    graph: the operators.  batch, sequence: sequences per pass and tokens per sequence.  updates: "memoryx" if the
    host's optimizer updates the weights, which are streamed in each pass; "fabric" if weight PEs update them.
    clock_hz: fabric clock.  grid: width and height in PEs.
    """

    graph: Graph
    batch: int
    sequence: int
    updates: str
    clock_hz: int
    grid: tuple[int, int]

    def load(self, weights: Mapping[str, np.ndarray], momentum: Mapping[str, np.ndarray] | None = None) -> None:
        """Sets the float32 master weights by parameter name; momentum: initial velocity, for updates on the fabric.
        Streamed weights are read, and rounded, in each pass, so that a mapping may read them from a file."""

    def run(
        self,
        ids: np.ndarray,
        labels: np.ndarray,
        scale: float = 1.0,
        gradients: MutableMapping[str, np.ndarray] | None = None,
        draw: int | None = None,
    ) -> Pass:
        """Runs a forward and a backward pass.  ids, labels: int [batch, sequence].  scale: loss scale.  gradients: an
        empty mapping that receives each gradient as soon as it is there; None: a dict.  draw: below 2^48, which masks a
        graph with dropout has, of the first pass; each further pass that an execution makes of a step has the next.
        None: nothing is dropped."""

    def evaluate(self, ids: np.ndarray, labels: np.ndarray) -> float:
        """The mean loss in nats, by a forward pass.  Weights and gradients do not change."""

    def update(self, rate: float, momentum: float, factor: float) -> int:
        """v = momentum v + factor g, w = w - rate v, on the fabric.  Returns cycles.  Only if updates is "fabric"."""

    def read(self) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Reads (weights, momentum) from the fabric: float32 by parameter name.  Only if updates is "fabric"."""


def handed(
    found: dict[str, np.ndarray], gradients: MutableMapping[str, np.ndarray] | None
) -> MutableMapping[str, np.ndarray]:
    """The gradients of a pass, in the mapping that `run` was given, if any."""
    if gradients is None:
        return found
    gradients.update(found)
    return gradients
