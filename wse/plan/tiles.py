"""Plans of weight streaming on a grid of any size: tiles, memory and streams of each operator of a layer.

The layout is that of the executed kernels (wse.operators): features along x, tokens along y.  Nothing is run here.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ..machine.parameters import Machine
from ..memoryx import Network
from ..models import Operator, Transformer, graph
from ..records import dataclass
from . import microbatch


@dataclass(frozen=True)
class Tile:
    """An operator on the grid: its output's tile per PE (features, tokens), and what streams in and out per pass."""

    name: str
    kind: str
    features: tuple[int, int]
    tile: tuple[int, int]
    weights: int
    stream_bytes: float
    cycles: tuple[float, ...]  # forward, backward: of the cost model of executed kernels; 0 where there is none
    streaming: tuple[float, float]  # forward, backward: until its weights are in, and backward its gradients out

    @property
    def bound(self) -> str:
        """What takes longer in the two passes together."""
        return "compute" if sum(self.cycles) >= sum(self.streaming) else "stream"


@dataclass(frozen=True)
class Streaming:
    """Operators of each kind of layer, the embedding and the head, in forward order; memory in bytes per PE."""

    model: str
    arch: str
    grid: tuple[int, int]
    sequence: int
    micro_batch: float
    layers: tuple[Tile, ...]
    memory_per_pe: float
    sram_bytes: int
    pass_bytes: float

    @property
    def tokens(self) -> float:
        """Of a pass."""
        return self.micro_batch * self.sequence

    def document(self) -> dict[str, Any]:
        """What --json prints; keys are stable."""
        return {
            "model": self.model,
            "mode": "streaming",
            "arch": self.arch,
            "grid": list(self.grid),
            "sequence": self.sequence,
            "micro_batch": self.micro_batch,
            "tokens_per_pass": self.tokens,
            "activation_bytes_per_pe": self.memory_per_pe,
            "streamed_bytes_per_pass": self.pass_bytes,
            "operators": [
                {
                    "name": t.name,
                    "kind": t.kind,
                    "features": list(t.features),
                    "tile": list(t.tile),
                    "weights": t.weights,
                    "cycles": list(t.cycles),
                    "stream_cycles": list(t.streaming),
                    "bound_by": t.bound,
                }
                for t in self.layers
            ],
        }


# (operator, width, tokens of a PE's tile, tokens of a sequence, arch) -> cycles of (forward, backward).
OperatorCycles = Callable[[Operator, int, int, int, str], tuple[float, ...]]


def streaming(
    model: Transformer,
    grid: tuple[int, int],
    cycles: OperatorCycles,
    machine: str | Machine = "wse3",
    sequence: int | None = None,
    batch: int | None = None,
) -> Streaming:
    """Plan the tiles of a model on a grid.

    grid: (width, height) in PEs.  cycles: the cost model of operators, such as costs.cycles.operator_cycles.
    machine: its clock, width and memory are used.  sequence: tokens; None: the model's.  batch: sequences of a pass;
    None: as many as memory holds.  Raises ConfigError if not one sequence fits.
    """
    machine = Machine.of(machine)
    sequence = sequence or model.sequence
    whole = grid[0] * grid[1]
    most = microbatch.room(model, sequence, machine, whole)
    if batch is None:
        batch = int(most)
        fits_one = microbatch.choose(model, 1, 1, sequence, machine, pes=whole)  # ConfigError if none fits
        batch = max(batch, fits_one.passes)
    else:
        batch = int(microbatch.choose(model, batch, 1, sequence, machine, pes=whole).sequences)
    made = graph(model)
    rows = math.ceil(batch * sequence / grid[1])
    # A rectangle has its columns' share of the wafer's link.
    per_cycle = Network().bandwidth / machine.clock_hz * grid[0] / machine.fabric_width
    tiles = tuple(
        Tile(
            o.name,
            o.kind,
            o.features,
            (math.ceil(o.features[1] / grid[0]), rows),
            o.weights,
            o.bytes("forward") + o.bytes("backward"),
            cycles(o, grid[0], rows, sequence, machine.name),
            (o.bytes("forward") / per_cycle, max(o.bytes("forward"), 4.0 * o.weights) / per_cycle),
        )
        for o in made.operators
        if o.layer is None or model.first_like[o.layer] == o.layer
    )
    total = sum(o.bytes("forward") + o.bytes("backward") for o in made.operators)
    memory = microbatch.token_bytes(model) * batch * sequence / whole
    return Streaming(model.name, machine.name, grid, sequence, batch, tiles, memory, machine.sram_bytes, total)
