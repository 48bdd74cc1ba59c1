"""Dropout in training: which rates a model's files name, and the operators that drop.

A graph with dropout is made for training only; what a model computes otherwise has none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from ..errors import ConfigError
from ..records import dataclass
from .families import FAMILIES
from .graph import Graph, Operator, Tensor


@dataclass(frozen=True)
class Rates:
    """Rates of dropout, from 0 to below 1.  ConfigError for others.

    embedding: of what enters the first layer.  residual: of what attention and MLP add to the residual stream.
    attention: of the weights of attention, what its softmax gives.
    """

    embedding: float = 0.0
    residual: float = 0.0
    attention: float = 0.0

    def __post_init__(self) -> None:
        for name, rate in vars(self).items():
            if not 0 <= rate < 1:
                raise ConfigError(f"the rate of dropout {name} is from 0 to below 1, not {rate:g}")

    def __bool__(self) -> bool:
        return any(vars(self).values())


_GPT = {"embd_pdrop": "embedding", "resid_pdrop": "residual", "attn_pdrop": "attention"}
_ATTENTION = {"attention_dropout": "attention"}
_BOTH = "embedding residual"
_BERT = {"hidden_dropout_prob": _BOTH, "attention_probs_dropout_prob": "attention"}
# model_type -> key of its config.json -> what it is the rate of, in the published definition of the model.
PLACES: Mapping[str, Mapping[str, str]] = {
    **dict.fromkeys(("gpt2", "gptj", "jais", "btlm"), _GPT),
    "gpt_neox": {"hidden_dropout": _BOTH} | _ATTENTION,
    "opt": {"dropout": "residual"} | _ATTENTION,
    "bloom": {"hidden_dropout": "residual"} | _ATTENTION,
    "falcon": {},  # it drops the sum of attention and MLP once, or attention with the rate of its weights
    "phi": {"embd_pdrop": "embedding", "resid_pdrop": "residual"} | _ATTENTION,
    "phi3": {"resid_pdrop": "residual"} | _ATTENTION,
    "starcoder2": {"embedding_dropout": "embedding", "residual_dropout": "residual"} | _ATTENTION,
    **dict.fromkeys(("bert", "roberta"), _BERT),
}


def of_file(type: str, numerics: Iterable[tuple[str, Any]]) -> Rates:
    """The rates that a model's file names.  type: its model_type.  numerics: of the Transformer.

    Raises ConfigError for a key above 0 that no kernel executes.
    """
    places = PLACES.get(type, _ATTENTION)
    known = FAMILIES[type].dropout
    found: dict[str, float] = {}
    for key, value in numerics:
        if key in known and key not in places:
            raise ConfigError(
                f"a model of type {type} has {key} {value:g}, which is not executed: --dropout gives other rates, "
                "--no-dropout none"
            )
        found |= {name: float(value) for name in places[key].split()} if key in known else {}
    return Rates(**found)


def without(type: str | None, numerics: Iterable[tuple[str, Any]]) -> tuple[tuple[str, Any], ...]:
    """Numerics without rates of dropout.  type: the model_type, None if it is not known."""
    families = FAMILIES.values() if type is None else [FAMILIES[type]]
    keys = {key for family in families for key in family.dropout}
    return tuple((key, value) for key, value in numerics if key not in keys)


def dropped(graph: Graph, rates: Rates) -> Graph:
    """A graph that drops at these rates.

    Each operator that drops has a number of its own, `stream`, from which, with the draw of a pass, its mask follows.
    """
    if not rates:
        return graph
    last = [o.name for o in graph.operators if o.group == "embedding"][-1]
    adds = _added(graph)
    operators: list[Operator] = []
    tensors = dict(graph.tensors)
    streams = 0
    for o in graph.operators:
        if o.kind == "attention" and rates.attention:
            o = replace(o, attributes=o.attributes | {"dropout": rates.attention, "stream": streams})
            streams += 1
        rate = rates.embedding if o.name == last else rates.residual if o.outputs[0] in adds else 0.0
        if not rate:
            operators.append(o)
            continue
        (output,) = o.outputs
        plain, features = f"{output}.plain", o.features[1]
        tensors[plain] = Tensor(plain, features)
        shape, attributes = (features, features), {"rate": rate, "stream": streams}
        operators += [
            replace(o, outputs=(plain,)),
            Operator(f"{o.name}.dropout", "dropout", o.group, o.layer, (plain,), (output,), shape, {}, attributes),
        ]
        streams += 1
    return Graph(graph.model, tuple(operators), tensors)


def _added(graph: Graph) -> set[str]:
    """The tensors that attention and MLP add to the residual stream: of experts, their sum with the shared MLP."""
    ends = (".attention.o", ".mlp.down", ".mlp.experts", ".mlp.sum")
    found = {name for o in graph.operators for name in o.outputs if name.endswith(ends)}
    return {
        name for name in found if not (name.endswith(".experts") and f"{name.removesuffix('.experts')}.sum" in found)
    }


def drops(graph: Graph) -> bool:
    """Whether a graph has dropout."""
    return any("stream" in o.attributes for o in graph.operators)


def refuse(graph: Graph, who: str) -> None:
    """ConfigError if a graph has dropout.  who: does not execute it, as in "--mode pipelined"."""
    if drops(graph):
        raise ConfigError(
            f"model {graph.model.name} has dropout, which {who} does not execute: train it with rates of 0"
        )
