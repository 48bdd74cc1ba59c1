"""Parameters of which the fabric takes several copies: gains of one head, and keys and values of grouped queries.

A column has whole heads of queries with their keys and values.  Where heads of queries share a head of keys and values
and lie in different columns, each of these columns computes the keys and values itself: the weights of k and v are
streamed to each, and MemoryX adds up the gradients of the copies.  In the same way a norm of each head has one gain for
all heads, which each head takes.

`replicated` makes the graph of what is executed: operators with the sizes that the fabric computes.  A copy is
described by the index of each of its elements in the model's parameter, so that packing a stream repeats weights and
unpacking gradients adds them up.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..errors import ConfigError
from ..models import Graph
from ..models.graph import Operator, Parameter


class _Replicas:
    """Operators by name while they are changed, and the indices of the parameters that are copied."""

    def __init__(self, graph: Graph):
        self.graph = graph
        self.operators = {o.name: o for o in graph.operators}
        self.maker = {name: o.name for o in graph.operators for name in o.outputs}
        self.tensors = dict(graph.tensors)
        self.indices: dict[str, np.ndarray] = {}

    def copy_heads(self, tensor: str, heads: int, d_head: int, copies: int) -> None:
        """Each head of a tensor so many times, side by side, back to the linear layer that makes it."""
        self.tensors[tensor] = replace(self.tensors[tensor], features=heads * copies * d_head)
        operator = self.operators[self.maker[tensor]]
        if operator.kind not in ("linear", "rotary", "layernorm", "rmsnorm"):
            raise ConfigError(
                f"{operator.name}, of kind {operator.kind}, makes keys or values that several columns share: use at "
                f"most {heads} columns"
            )
        wide = heads * copies * d_head
        attributes = dict(operator.attributes)
        if "heads" in attributes:
            attributes["heads"] = heads * copies
        features = operator.features[0] if operator.kind == "linear" else wide, wide
        parameters = {}
        for role, p in operator.parameters.items():
            if "heads" in operator.attributes and p.size == d_head:
                parameters[role] = p  # of one head; copied for each head below
                continue
            rows = np.arange(heads * d_head).reshape(heads, 1, d_head).repeat(copies, 1).ravel()
            parameters[role] = self.copy(p, rows)
        self.operators[operator.name] = replace(
            operator, parameters=parameters, attributes=attributes, features=features
        )
        if operator.kind != "linear":
            self.copy_heads(operator.inputs[0], heads, d_head, copies)

    def copy_gains(self, operator: Operator) -> None:
        """The gain (and bias) of one head, for each head."""
        heads = int(operator.attributes["heads"])
        parameters = {role: self.copy(p, np.tile(np.arange(p.size), heads)) for role, p in operator.parameters.items()}
        self.operators[operator.name] = replace(operator, parameters=parameters)

    def copy(self, parameter: Parameter, rows: np.ndarray) -> Parameter:
        """The parameter with these rows of its own."""
        self.indices[parameter.name] = np.arange(parameter.size).reshape(parameter.shape)[rows].ravel()
        return replace(parameter, shape=(len(rows), *parameter.shape[1:]))


def replicated(graph: Graph, columns: int) -> tuple[Graph, dict[str, np.ndarray]]:
    """The graph that `columns` columns execute, and the copied parameters: int64 [elements of the copies] by name, the
    index of each in the model's parameter, flat.

    Raises ConfigError if whole heads of queries with their keys and values cannot lie in each column.
    """
    made = _Replicas(graph)
    for o in graph.operators:
        if o.kind != "attention":
            continue
        heads, kv, d_head = (int(o.attributes[key]) for key in ("heads", "kv_heads", "d_head"))
        if heads % columns or (kv % columns and columns % kv):
            grouped = "" if heads == kv else f" and {kv} heads of keys and values (or be divided by these)"
            raise ConfigError(
                f"{columns} columns do not divide {heads} heads{grouped}: executed attention has whole heads in a "
                "column"
            )
        if kv % columns:
            for tensor in o.inputs[1:]:
                made.copy_heads(tensor, kv, d_head, columns // kv)
            changed = made.operators[o.name]
            features = sum(made.tensors[x].features for x in o.inputs), o.features[1]
            attributes = o.attributes | {"kv_heads": columns}
            made.operators[o.name] = replace(changed, attributes=attributes, features=features)
    for o in graph.operators:
        if o.kind == "concat" and columns > 1:  # features that all heads share, in each column
            made.copy_heads(o.inputs[1], 1, graph.tensors[o.inputs[1]].features, columns)
            changed = made.operators[o.name]
            features = sum(made.tensors[x].features for x in o.inputs), o.features[1]
            made.operators[o.name] = replace(changed, features=features)
        if o.kind in ("layernorm", "rmsnorm") and "heads" in o.attributes:
            made.copy_gains(made.operators[o.name])
    return Graph(graph.model, tuple(made.operators.values()), made.tensors), made.indices
