"""Latent attention as operators that kernels execute.

Rotary positions turn the last features of a head of queries.  Values with fewer features than queries and keys are
padded with zeros in front of attention, and its output is cut behind it.
"""

from __future__ import annotations

from dataclasses import replace

from .graph import Graph, Operator, Tensor


def unfolded(graph: Graph) -> Graph:
    """The graph with padded values; the same graph if its model has no latent attention, or is unfolded."""
    if not any(o.kind == "attention" and "d_value" in o.attributes for o in graph.operators):
        return graph
    operators: list[Operator] = []
    tensors = dict(graph.tensors)
    for o in graph.operators:
        if o.kind == "rotary" and int(o.attributes["d_head"]) > int(o.attributes["rotary"]):
            first = int(o.attributes["d_head"]) - int(o.attributes["rotary"])
            o = replace(o, attributes=o.attributes | {"first": first})
        if o.kind != "attention" or "d_value" not in o.attributes:
            operators.append(o)
            continue
        heads, d_head, d_value = (int(o.attributes[key]) for key in ("heads", "d_head", "d_value"))
        (q, k, v), (y,) = o.inputs, o.outputs
        wide, padded, whole = heads * d_head, f"{o.name}.values", f"{y}.whole"
        tensors |= {name: Tensor(name, wide) for name in (padded, whole)}
        plain = {key: value for key, value in o.attributes.items() if key != "d_value"}
        operators += [
            _resized(o, padded, v, padded, heads * d_value, wide, heads),
            replace(o, inputs=(q, k, padded), outputs=(whole,), features=(3 * wide, wide), attributes=plain),
            _resized(o, f"{o.name}.cut", whole, y, wide, heads * d_value, heads),
        ]
    return Graph(graph.model, tuple(operators), tensors)


def _resized(of: Operator, name: str, x: str, y: str, before: int, after: int, heads: int) -> Operator:
    """Heads of another size: with zeros behind their features, or without the last ones."""
    return Operator(name, "resize", of.group, of.layer, (x,), (y,), (before, after), {}, {"heads": heads})
