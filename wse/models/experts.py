"""Experts in training: a graph in which each expert is a MLP of its own, and what the files of a model call them.

A mixture of experts becomes a router (a linear layer), the choice of experts from its logits ("route"), and for each
expert a MLP whose hidden activations are multiplied by the token's weight of the expert ("weigh"), which is 0 for
tokens that did not choose it.  If outputs have biases, they are what is multiplied.  So every expert computes all
tokens.  Experts are a loop (attributes `loop`, a name, and
`expert`, a number): all have the same operators, and add to one sum.  Nothing of an expert's MLP is kept for the
backward pass, which computes it again (the attribute `again`).

A parameter of all experts, such as "layers.0.mlp.experts.up.weight" [experts, outputs, inputs], becomes one for each,
"layers.0.mlp.experts.3.up.weight" [outputs, inputs].
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import lru_cache, partial

import numpy as np

from ..errors import ConfigError
from ..tensors import Tensors
from .config import Transformer
from .graph import Graph, Operator, Parameter, Tensor

_OF_EXPERT = re.compile(r"(.+\.experts)\.(\d+)(\..+)")


def separated(graph: Graph) -> Graph:
    """The graph with each expert by itself; the same graph if it has none."""
    if not any(o.kind == "experts" for o in graph.operators):
        return graph
    model, made = graph.model, _Made(dict(graph.tensors))
    of_chosen = bool(dict(model.numerics).get("norm_topk_prob", False))
    for o in graph.operators:
        if o.kind == "experts":
            made.experts(o, model, of_chosen)
        else:
            made.operators.append(o)
    return Graph(model, tuple(made.operators), made.tensors)


def routes(graph: Graph) -> list[Operator]:
    """The operators of a separated graph that choose experts."""
    return [o for o in graph.operators if o.kind == "route"]


def loop_of(route: Operator) -> str:
    """The name of the loop over the experts that a route chooses."""
    return route.name.removesuffix(".route")


def balanced(graph: Graph, factor: float) -> Graph:
    """A separated graph whose training adds a loss of load balance: factor x experts x the sum over the experts of the
    part of the tokens that choose the expert, times the mean share of the expert in the softmax of the router's logits.

    Both are means over the tokens of a pass and over all layers with experts, as in `transformers`.  Only the shares
    have a gradient.  Raises ConfigError for a model without experts, or with layers of different numbers of them.
    """
    found = routes(graph)
    if not found:
        raise ConfigError(f"model {graph.model.name} has no experts whose load could be balanced")
    if len({o.features[1] for o in found}) > 1:
        raise ConfigError(f"model {graph.model.name} has layers of different numbers of experts: leave out --balance")
    return _with(graph, balance=factor)


def counted(graph: Graph) -> Graph:
    """A graph whose routes also give the load of each expert."""
    return _with(graph, counted=True) if routes(graph) else graph


def _with(graph: Graph, **attributes: object) -> Graph:
    """The graph with more attributes of its routes."""
    made = [replace(o, attributes=o.attributes | attributes) if o.kind == "route" else o for o in graph.operators]
    return Graph(graph.model, tuple(made), graph.tensors)


def factor(graph: Graph) -> float:
    """Of the loss of load balance; 0 for none."""
    return max((float(o.attributes.get("balance", 0)) for o in routes(graph)), default=0.0)


def refuse(graph: Graph, who: str) -> None:
    """ConfigError if a graph has a loss of load balance.  who: does not execute it, as in "--mode pipelined"."""
    if factor(graph):
        raise ConfigError(f"{who} does not execute the loss of load balance: leave out --balance")


class _Made:
    """The operators and tensors of a separated graph."""

    def __init__(self, tensors: dict[str, Tensor]):
        self.operators: list[Operator] = []
        self.tensors = tensors

    def experts(self, o: Operator, model: Transformer, of_chosen: bool) -> None:
        """The operators in place of a mixture of experts."""
        (x,), (y,), count, d = o.inputs, o.outputs, int(o.attributes["experts"]), o.features[1]
        wide = o.parameters["down"].shape[2]
        router = {role: o.parameters[f"router{end}"] for role, end in (("weight", ""), ("bias", "_bias"))
                  if f"router{end}" in o.parameters}  # fmt: skip
        logits = self.add(o, "router", "linear", [x], count, router)
        chosen = {"experts": count, "active": o.attributes["active"], "of_chosen": of_chosen}
        gates = self.add(o, "route", "route", [logits], count, {}, chosen)
        total = self.add(o, "none", "zeros", [x], d, {})
        for e in range(count):
            turn: dict[str, object] = {"loop": o.name, "expert": e}
            again = turn | {"again": True}
            ups = {role: self.add(o, f"{e}.{role}", "linear", [x], wide, _expert(o, role, e), again)
                   for role in ("gate", "up") if role in o.parameters}  # fmt: skip
            kind = f"{model.activation}_gate" if "gate" in ups else model.activation
            hidden = self.add(o, f"{e}.{model.activation}", kind, list(ups.values()), wide, {}, _form(model) | again)
            down = _expert(o, "down", e)
            if "bias" in down:
                whole = self.add(o, f"{e}.down", "linear", [hidden], d, down, again)
                part = self.add(o, f"{e}.weigh", "weigh", [whole, gates], d, {}, turn)
            else:
                weighed = self.add(o, f"{e}.weigh", "weigh", [hidden, gates], wide, {}, again)
                part = self.add(o, f"{e}.down", "linear", [weighed], d, down, turn)
            out = y if e == count - 1 else ""
            total = self.add(o, f"{e}.sum", "residual", [total, part], d, {}, turn, out)

    def add(
        self,
        of: Operator,
        name: str,
        kind: str,
        inputs: list[str],
        features: int,
        parameters: dict[str, Parameter],
        attributes: Mapping[str, object] | None = None,
        output: str = "",
    ) -> str:
        """Appends an operator and returns the name of its output."""
        full = f"{of.name}.{name}"
        output = output or full
        self.tensors[output] = Tensor(output, features)
        both = sum(self.tensors[x].features for x in inputs), features
        self.operators.append(
            Operator(full, kind, of.group, of.layer, tuple(inputs), (output,), both, parameters, dict(attributes or {}))
        )
        return output


def _form(model: Transformer) -> dict[str, object]:
    """Attributes of the experts' activation."""
    settings = dict(model.numerics)
    if "swiglu_limit" in settings:
        return {"alpha": settings["swiglu_alpha"], "limit": settings["swiglu_limit"]}
    return {"exact": model.exact} if model.activation == "gelu" else {}


def _expert(o: Operator, role: str, number: int) -> dict[str, Parameter]:
    """The weight and the bias of an expert's linear layer, from those of all."""
    made = {}
    for own, ours in (("weight", role), ("bias", f"{role}_bias")):
        if p := o.parameters.get(ours):
            before, _, after = p.name.partition(".experts.")
            made[own] = Parameter(f"{before}.experts.{number}.{after}", p.shape[1:], p.initial, p.std)
    return made


def of_all(name: str) -> tuple[str, int | None]:
    """(name of the parameter of all experts, number of the expert); (name, None) for another parameter."""
    found = _OF_EXPERT.fullmatch(name)
    return (found[1] + found[3], int(found[2])) if found else (name, None)


def cut(names: Iterable[str], read: Callable[[str], np.ndarray]) -> Tensors:
    """The parameters of a separated graph.  read: of those of all experts; the last few are kept."""
    kept = lru_cache(3)(read)

    def expert(name: str, number: int) -> np.ndarray:
        return kept(name)[number]

    found = {name: of_all(name) for name in names}
    return Tensors(
        {
            name: partial(read, name) if number is None else partial(expert, base, number)
            for name, (base, number) in found.items()
        }
    )


def stacked(graph: Graph, read: Callable[[str], np.ndarray]) -> Callable[[str], np.ndarray]:
    """A function that reads the parameters of all experts.  graph: separated.  read: of its parameters."""
    parts: dict[str, dict[int, str]] = {}
    for name in graph.parameters:
        base, number = of_all(name)
        if number is not None:
            parts.setdefault(base, {})[number] = name

    def whole(name: str) -> np.ndarray:
        if name not in parts:
            return read(name)
        return np.stack([read(parts[name][number]) for number in range(len(parts[name]))])

    return whole
