"""From a PyTorch module to the operators of the fabric: torch.export, then node by node (walk.py)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch.fx import Node

from ..errors import ConfigError
from ..models.graph import Graph, Parameter
from ..records import dataclass
from . import arithmetic, attention, layouts, norms, products, tokens  # noqa: F401  register what they map
from .axes import Axes
from .values import Expression, Value
from .walk import Walk


@dataclass(frozen=True)
class Plain:
    """What an executed graph must know of its model."""

    name: str
    sequence: int
    numerics: tuple[tuple[str, Any], ...] = ()


@dataclass
class Captured:
    """A module as operators.

    graph       begins with `input` and ends with `output`
    program     the exported graph, for the host's nodes
    entry       the input, of the tokens' dimensions and the features, as the host prepares it
    parameters  by name of the graph's parameters
    sequence    the roots of tokens that are the tokens of a sequence, in order; the others count sequences
    tokens      sizes of the roots of tokens
    result      axes of the output
    """

    graph: Graph
    program: Any
    entry: Expression
    parameters: dict[str, Expression]
    sequence: tuple[str, ...]
    tokens: dict[str, int]
    result: Axes
    features: tuple[int, int]

    @property
    def order(self) -> list[int]:
        """How the entry's dimensions are permuted for the fabric: sequences, their tokens, features."""
        names = list(self.tokens)
        return sorted(range(len(names)), key=lambda i: (names[i] in self.sequence, i))

    @property
    def inputs(self) -> list[Node]:
        """The nodes of the module's inputs."""
        users = self.program.graph_signature.user_inputs
        return [node for node in self.program.graph.nodes if node.op == "placeholder" and node.name in users]

    @property
    def batch(self) -> int:
        """Sequences of a pass."""
        return math.prod(n for root, n in self.tokens.items() if root not in self.sequence)


def capture(module: torch.nn.Module, examples: Sequence[torch.Tensor]) -> Captured:
    """Exports a module and maps it.  Raises ConfigError, with the place, for what the fabric does not execute."""
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        exported = torch.export.export(module, tuple(examples))
    except Exception as error:  # torch's own classes of errors differ by release
        raise ConfigError(f"torch.export cannot export {type(module).__name__}: {error}") from error
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
    walk = Walk(exported, type(module).__name__)
    for node in exported.graph.nodes:
        walk.visit(node)
    return finished(walk)


def finished(walk: Walk) -> Captured:
    """What the walk has found, with the output."""
    results: Any = walk.node.args[0]
    if len(results) != 1 or results[0] not in walk.values or not isinstance(walk.values[results[0]], Value):
        raise ConfigError(f"{walk.name} must return one tensor that the fabric computes")
    last = walk.tensor(walk.values[results[0]])
    assert walk.entry is not None
    sequence = walk.sequence or ()
    widest = max(walk.tensors[walk.operators[0].outputs[0]].features, last.features)
    walk.emit("output", (str(last.tensor),), last.features, widest=widest)
    first = walk.operators[0]
    walk.operators[0] = replace(first, attributes={"widest": widest})
    length = math.prod(walk.tokens[root] for root in sequence)
    for i, o in enumerate(walk.operators):
        if o.kind == "positions":
            rows, n = walk.tables[o.outputs[0]]
            weight = Parameter(f"{o.name}.weight", (length, o.features[1]))
            walk.parameters[weight.name] = rows if n == length else broadcast(rows, length)
            walk.operators[i] = replace(o, parameters={"weight": weight}, attributes={"sequence": length})
    model: Any = Plain(walk.name, length)
    graph = Graph(model, tuple(walk.operators), walk.tensors)
    features = (walk.tensors[walk.operators[0].outputs[0]].features, last.features)
    return Captured(graph, walk.exported, walk.entry, walk.parameters, sequence, walk.tokens, last.axes, features)


def broadcast(rows: Expression, n: int) -> Expression:
    """One row for each of n tokens."""
    return lambda env: rows(env).expand(n, -1)
