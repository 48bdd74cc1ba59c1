"""Regions: the partition of a transformer for pipelined mode, with the work and the memory of each part.

A region is a rectangle of PEs that executes a few operators for all tokens, forward and backward, with resident
weights.  `by="kernel"` makes one region per kernel, as the vendor's compiler did; `by="half"` makes one per half of a
layer, as the executed pipelines of this package do.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..errors import ConfigError
from ..models import Graph, Operator
from ..models.config import ACTIVATIONS
from ..models.graph import GATES, MIXING
from ..records import dataclass

# The kernel of each kind of operator.  That of a linear layer depends on its group (kernel_of).
KERNELS = {
    "positions": "positions",
    "embedding": "embedding",
    "token_types": "positions",
    "token": "positions",
    "modulate": "add",
    "layernorm": "norm",
    "rmsnorm": "norm",
    "rotary": "attention",
    "attention": "attention",
    "concat": "attention",
    "conv": "attention",
    "scan": "attention",
    "experts": "fc",
    "tanh": "gelu",
    **dict.fromkeys((*ACTIVATIONS, *GATES), "gelu"),
    "residual": "add",
    "loss": "loss",
}

# Bytes per parameter: f32 master weight, two moments and gradient, and a 16-bit copy.
STATE_BYTES = 4 + 4 + 4 + 4 + 2
ACTIVATION_BYTES = 2


@dataclass(frozen=True)
class Region:
    """Operators that share a rectangle.  kernel: its class in reports.  Flops are per token, forward plus backward."""

    name: str
    kernel: str
    operators: tuple[Operator, ...]

    @property
    def weights(self) -> int:
        """Number of weights of all operators."""
        return sum(operator.weights for operator in self.operators)

    def matmul_flops(self) -> float:
        """Flops of products with weights: 6 per weight and token."""
        kinds = ("linear", "experts")
        return sum(6.0 * o.active_weights for o in self.operators if o.kind in kinds and not o.once)

    def score_flops(self, sequence: int) -> float:
        """Flops of attention scores and of the weighted sums of values, counting all pairs of tokens; of scans."""
        found = 0.0
        for operator in self.operators:
            if operator.kind in MIXING:
                found += operator.flops(sequence, "forward") + operator.flops(sequence, "backward")
        return found

    def elements(self) -> float:
        """Elements per token of elementwise operators: for each, the larger of its input and output features."""
        kinds = ("linear", "experts", "rotary", *MIXING)
        return float(sum(max(o.features) for o in self.operators if o.kind not in kinds and not o.once))

    def stash(self, sequence: int) -> int:
        """Bytes of the activations of one sequence that the backward pass needs."""
        kept = {x for o in self.operators if o.kind not in ("residual", "positions", "embedding") for x in o.inputs}
        made = {x: 0 if o.once else o.features[1] for o in self.operators for x in o.outputs}
        total = 0
        for operator in self.operators:
            share = operator.features[0] // len(operator.inputs)
            for x in operator.inputs:
                if x in kept:
                    total += made.get(x, share)
                    kept.discard(x)
        return total * sequence * ACTIVATION_BYTES

    def bytes(self, sequence: int, in_flight: int = 1, state_bytes: int = STATE_BYTES) -> int:
        """Bytes of memory: weights with optimizer state, and the stash of `in_flight` sequences."""
        return self.weights * state_bytes + self.stash(sequence) * in_flight


def kernel_of(operator: Operator) -> str:
    """The kernel of an operator."""
    if operator.kind == "linear":
        return {"attention": "attention", "mlp": "fc", "head": "head", "embedding": "fc"}[operator.group]
    return KERNELS[operator.kind]


def regions(graph: Graph, by: str = "kernel", host: Iterable[str] = ("embedding",)) -> list[Region]:
    """The regions of a graph in forward order.

    by      "kernel": one region per kernel; consecutive attention operators form one.  "half": the embedding, halves of
            layers, and the head with the loss.
    host    kinds of operators that the host executes ("kernel" only)

    Raises ConfigError for any other `by`.
    """
    if by not in ("kernel", "half"):
        raise ConfigError(f"regions are made by kernel or by half of a layer, not by {by!r}")
    if by == "half":
        return [
            Region(group if layer is None else f"layers.{layer}.{group}", group, operators)
            for group, layer, operators in graph.layers()
        ]
    found: list[Region] = []
    for operator in graph.operators:
        if operator.kind in host:
            continue
        kernel = kernel_of(operator)
        last = found[-1] if found else None
        if kernel == "attention" and last is not None and last.kernel == "attention":
            found[-1] = Region(last.name, kernel, (*last.operators, operator))
        else:
            name = operator.name.rpartition(".")[0] if kernel == "attention" else operator.name
            found.append(Region(name, kernel, (operator,)))
    return found
