"""The workload of a training step: layers with their weights and operations, tokens, passes."""

from __future__ import annotations

from typing import Protocol

from ..errors import ConfigError
from ..machine.parameters import Machine
from ..models import Transformer, graph
from ..models.graph import MIXING
from ..records import dataclass
from . import microbatch

PHASES = ("forward", "backward")

INDEX_BYTES = 2
# The share of positions that the head of a masked model predicts: 20 of 128, as the Model Zoo's BERT gathers them.
PREDICTED = 20 / 128


@dataclass(frozen=True)
class Layer:
    """A part of the weight stream.

    weights: numbers that are streamed.  matmul: those that multiply a token's activations; of the head of a masked
    model the share PREDICTED.  mixing: flops per token of products of activations (attention, scans), forward and
    backward, without a discount for masks.  depth: 1 for a layer of the model, 0 for embedding and head.  like: the
    name of the first layer that is made like it.
    """

    name: str
    weights: int
    matmul: float
    mixing: float
    depth: int
    like: str


@dataclass(frozen=True)
class Workload:
    """A model with a batch.

    batch: sequences per step on all systems.  density: share of nonzero weights; zero weights are neither sent nor
    multiplied, and below 1 each weight that is sent carries a 16-bit index.  Gradients are dense.  Raises ConfigError
    for a density that is not above 0 and at most 1.
    """

    model: Transformer
    sequence: int
    batch: int
    layers: tuple[Layer, ...]
    parameters: int
    attention: float  # flops per token of scores and weighted sums, forward and backward
    density: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.density <= 1:
            raise ConfigError(f"density is {self.density!r}, but must be above 0 and at most 1")

    def stream_bytes(self, weight_bytes: float) -> float:
        """Per weight of the model, on the wire in."""
        return weight_bytes if self.density == 1 else self.density * (weight_bytes + INDEX_BYTES)

    @property
    def tokens(self) -> float:
        """Of a step."""
        return float(self.batch * self.sequence)

    @property
    def streamed(self) -> int:
        """Weights that a pass streams in one direction."""
        return sum(layer.weights for layer in self.layers)

    @property
    def matmul(self) -> float:
        """Weights that a token is multiplied by, in all layers."""
        return sum(layer.matmul for layer in self.layers)

    def kinds(self) -> list[tuple[Layer, int]]:
        """The first layer of each kind, and the number of layers that are like it in all."""
        found: dict[tuple, list] = {}
        for layer in self.layers:
            key = layer.like, layer.weights, layer.matmul, layer.mixing, layer.depth
            found.setdefault(key, [layer, 0])[1] += 1
        return [(layer, count) for layer, count in found.values()]

    @property
    def depth(self) -> int:
        """Number of layers with attention."""
        return sum(layer.depth for layer in self.layers)

    def flops_per_token(self) -> float:
        """6 N_mm + 12 L s d: the published convention, no causal discount; a window takes the place of s."""
        return 6 * self.matmul + self.attention

    def passes(
        self, systems: int, machine: Machine, micro_batch: int | microbatch.MicroBatch | None = None
    ) -> microbatch.MicroBatch:
        """The division of the batch on so many systems; micro_batch: the sequences of a pass, or the division
        itself."""
        if isinstance(micro_batch, microbatch.MicroBatch):
            return micro_batch
        return microbatch.choose(self.model, self.batch, systems, self.sequence, machine, micro_batch)


def workload(model: Transformer, batch: int, sequence: int | None = None, density: float = 1.0) -> Workload:
    """The step of a model.  A table that embedding and head share is streamed for each of them."""
    made = graph(model)
    sequence = sequence or model.sequence
    layers = []
    for name, own in made.parts().items():
        number = own[0].layer
        layers.append(
            Layer(
                name,
                sum(o.weights for o in own),
                sum(o.matmul_weights for o in own) * predicted(model, name),
                sum(o.flops(sequence, phase) for o in own if o.kind in MIXING for phase in PHASES),
                0 if number is None else 1,
                name if number is None else f"layers.{model.first_like[number]}",
            )
        )
    attention = made.flops(sequence) - 6.0 * made.matmul_weights
    return Workload(model, sequence, batch, tuple(layers), made.weights, attention, density)


def predicted(model: Transformer, part: str) -> float:
    """The share of positions that a part of the model works on: PREDICTED for the head of a masked model, else 1."""
    return PREDICTED if part == "head" and model.head == "masked" else 1.0


class Compute(Protocol):
    """A model of the computing time of a wafer."""

    def layer(self, work: Workload, layer: Layer, tokens: float, machine: Machine) -> tuple[float, float]:
        """(forward, backward) of a layer for so many tokens, weights never missing."""
