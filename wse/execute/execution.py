"""What the two modes have in common for a training loop: weights in, a pass of tokens, loss and gradients out.

Everything numeric is executed by PEs of the emulated fabric; the host's part in a step is named in `Execution.updates`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from ..models import Graph

CAUSES = ("dram", "network", "edge", "fabric", "compute")  # what a phase can be bound by


@dataclass(frozen=True)
class Span:
    """Something that took time on the fabric.

    track: where it is drawn, such as "compute" or "weights"; name: of the operator or tensor; phase: "forward",
    "backward" or "update"; begin, end: cycles of the fabric; bound_by: one of CAUSES, or "" where it is not known.
    """

    track: str
    name: str
    phase: str
    begin: int
    end: int
    bound_by: str = ""


@dataclass
class Pass:
    """One micro-batch forward and backward.

    loss        mean cross-entropy over the tokens in nats, without loss scale
    gradients   float32 by parameter, of the mean loss times the loss scale
    cycles      of the fabric, from the first wavelet in to the last gradient out
    sent        weight wavelets that entered, by parameter; dense: how many there would have been without zeros
    drained     gradient wavelets that left
    spans       in the order of their begins
    waits       cycles by phase and cause (CAUSES), of the slowest column
    """

    loss: float
    gradients: dict[str, np.ndarray]
    cycles: int
    sent: int = 0
    dense: int = 0
    drained: int = 0
    spans: list[Span] = field(default_factory=list)
    waits: dict[str, dict[str, int]] = field(default_factory=dict)


class Execution(Protocol):
    """A model on a fabric, in one of the modes.

    graph: what is executed; batch, sequence: tokens of a pass; updates: "memoryx" where the host's optimiser updates
    the weights and they are streamed anew, "fabric" where weight PEs do.
    """

    graph: Graph
    batch: int
    sequence: int
    updates: str
    clock_hz: int
    grid: tuple[int, int]

    def load(self, weights: Mapping[str, np.ndarray], momentum: Mapping[str, np.ndarray] | None = None) -> None:
        """Float32 master weights to compute with from now on; momentum: of updates on the fabric."""

    def run(self, ids: np.ndarray, labels: np.ndarray, scale: float = 1.0) -> Pass:
        """Forward and backward of integers [batch, sequence], the loss multiplied by scale."""

    def evaluate(self, ids: np.ndarray, labels: np.ndarray) -> float:
        """The mean loss in nats; weights and gradients stay as they are."""

    def update(self, rate: float, momentum: float, factor: float) -> int:
        """v = momentum v + factor g, w = w - rate v on the fabric; returns cycles.  Only where updates is "fabric"."""

    def read(self) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """(weights, momentum) as the fabric holds them.  Only where updates is "fabric"."""
