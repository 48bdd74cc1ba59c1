"""Regions: what of a transformer stays together on the wafer, and the work and memory that it brings with it.

A region is a rectangle of PEs that executes a few operators for all tokens that pass, forward and backward, with its
weights resident (pipelined mode).  `by="kernel"` makes a region of each kernel, as the vendor's compiler did;
`by="half"` one of each half of a layer, as the executed pipelines of this package do.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..errors import ConfigError
from ..models import Graph, Operator

# Which kernel an operator belongs to, by kind; linear layers by their place.
KERNELS = {
    "positions": "positions",
    "embedding": "embedding",
    "layernorm": "norm",
    "rmsnorm": "norm",
    "rotary": "attention",
    "attention": "attention",
    "experts": "fc",
    "gelu": "gelu",
    "silu": "gelu",
    "silu_gate": "gelu",
    "gelu_gate": "gelu",
    "residual": "add",
    "loss": "loss",
}

# Per trained number, bytes that a region keeps: master weight, two moments and gradient in f32, a 16-bit copy.
STATE_BYTES = 4 + 4 + 4 + 4 + 2
ACTIVATION_BYTES = 2


@dataclass(frozen=True)
class Region:
    """Operators that share a rectangle.  kernel: its class in tables; flops are per token, both passes together."""

    name: str
    kernel: str
    operators: tuple[Operator, ...]

    @property
    def weights(self) -> int:
        return sum(operator.weights for operator in self.operators)

    def matmul_flops(self) -> float:
        """Of products with weights: 6 per weight and token."""
        kinds = ("linear", "experts")
        return sum(6.0 * operator.active_weights for operator in self.operators if operator.kind in kinds)

    def score_flops(self, sequence: int) -> float:
        """Of attention's scores and of the sums weighted by them, all pairs of tokens counted."""
        found = 0.0
        for operator in self.operators:
            if operator.kind == "attention":
                found += operator.flops(sequence, "forward") + operator.flops(sequence, "backward")
        return found

    def elements(self) -> float:
        """Features per token of operators that work element by element, the widest of their sides."""
        kinds = ("linear", "experts", "attention", "rotary")
        return float(sum(max(operator.features) for operator in self.operators if operator.kind not in kinds))

    def stash(self, sequence: int) -> int:
        """Bytes of one sequence's inputs that backward needs again; sums need none."""
        kept = {x for o in self.operators if o.kind not in ("residual", "positions", "embedding") for x in o.inputs}
        made = {x: o.features[1] for o in self.operators for x in o.outputs}
        total = 0
        for operator in self.operators:
            share = operator.features[0] // len(operator.inputs)
            for x in operator.inputs:
                if x in kept:
                    total += made.get(x, share)
                    kept.discard(x)
        return total * sequence * ACTIVATION_BYTES

    def bytes(self, sequence: int, in_flight: int = 1, state_bytes: int = STATE_BYTES) -> int:
        """It must hold: its weights with the optimiser's state, and the stash of `in_flight` sequences."""
        return self.weights * state_bytes + self.stash(sequence) * in_flight


def kernel_of(operator: Operator) -> str:
    """The class of an operator's kernel."""
    if operator.kind == "linear":
        return {"attention": "attention", "mlp": "fc", "head": "head"}[operator.group]
    return KERNELS[operator.kind]


def regions(graph: Graph, by: str = "kernel", host: Iterable[str] = ("embedding",)) -> list[Region]:
    """The regions of a graph in forward order.

    by      "kernel": operators that follow each other in one kernel (all of attention's are one);
            "half": the embedding, halves of layers, the head with the loss.
    host    kinds of operators that are not on the wafer: a table's rows are looked up on the host in kernel mode
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
