"""Factors that a configuration has and the operators of its graph do not: of the embedding, of scores, of logits.

`scaled` makes operators of them, for training; generation has them in its weights and tables (execute/strip_layout.py).
"""

from __future__ import annotations

from dataclasses import replace

from .config import Transformer
from .graph import Graph, Operator, Tensor
from .reading import LOCAL
from .rope import score_factor

# Settings that `scaled` makes operators or attributes of; maximal update parametrization has two names for its own.
_MUP = ("embeddings_scale", "width_scale", "output_alpha", "scale_qk_dot_by_d")
SETTINGS = {
    *("embedding times", "logit_scale", LOCAL),
    *("query_pre_attn_scalar", "attn_config.softmax_scale", "scale_attn_weights", "scale_attn_by_inverse_layer_idx"),
    *_MUP,
    *(f"mup_{name}" for name in _MUP),
}


def setting(config: Transformer, name: str, plain: float) -> float:
    """A setting of the model that changes values only; `plain` if it has none."""
    return float(dict(config.numerics).get(name, plain))


def maximal_update(config: Transformer, name: str) -> float:
    """A scale of maximal update parametrization, which has two names; 1 if the model has none."""
    return setting(config, name, 1) * setting(config, f"mup_{name}", 1)


def scale_of_embedding(config: Transformer) -> float:
    """The factor of rows of the token table."""
    return setting(config, "embedding times", 1) * maximal_update(config, "embeddings_scale")


def scale_of_logits(config: Transformer) -> float:
    """The factor of the logits."""
    scales = maximal_update(config, "width_scale") * maximal_update(config, "output_alpha")
    return scales * setting(config, "logit_scale", 1)


def scale_of_scores(config: Transformer) -> float:
    """The factor of products of queries and keys."""
    values = dict(config.numerics)
    if values.get("attn_config.softmax_scale"):
        return float(values["attn_config.softmax_scale"])
    if not values.get("scale_attn_weights", True):
        return 1.0
    if values.get("scale_qk_dot_by_d") or values.get("mup_scale_qk_dot_by_d"):
        return 1 / config.d_head
    factor = score_factor(config.rope_scaling) if config.kv_rank else 1.0
    return factor * setting(config, "query_pre_attn_scalar", config.d_head) ** -0.5


def scaled(graph: Graph) -> Graph:
    """The graph with an operator "times" for each factor that is not 1, and rotary positions with the base of their
    layer; its model has no longer the settings that say so.  The same graph if the model has none.

    Factors of a model with a table of positions, whose sum with the embedding they multiply, stay settings.
    """
    model = graph.model
    keys = {key for key, _ in model.numerics} & SETTINGS
    if keys and model.positions == "learned":
        keys -= {"embedding times", "embeddings_scale", "mup_embeddings_scale"}
    folded = any("d_value" in o.attributes for o in graph.operators)
    if not keys and not (folded and score_factor(model.rope_scaling) != 1):
        return graph
    made = _Made(graph)
    for o in graph.operators:
        if o.kind == "rotary" and o.layer is not None and LOCAL in keys and model.block(o.layer).window:
            plain = {key: value for key, value in o.attributes.items() if key != "scaling"}
            o = replace(o, attributes=plain | {"theta": setting(model, LOCAL, 0)})
        if o.kind == "attention":
            by = scale_of_scores(model) * model.d_head**0.5
            if setting(model, "scale_attn_by_inverse_layer_idx", 0):
                by /= (o.layer or 0) + 1
            o = made.before(o, by)
        elif o.kind == "loss":
            o = made.before(o, scale_of_logits(model))
        made.operators.append(o)
        if o.kind == "embedding" and model.positions != "learned":
            made.behind(scale_of_embedding(model))
    rest = tuple((key, value) for key, value in model.numerics if key not in keys)
    return Graph(model.but(numerics=rest), tuple(made.operators), made.tensors)


class _Made:
    """The operators and tensors of a scaled graph."""

    def __init__(self, graph: Graph):
        self.operators: list[Operator] = []
        self.tensors = dict(graph.tensors)

    def before(self, o: Operator, by: float) -> Operator:
        """The operator with its first input times a factor."""
        if abs(by - 1) < 1e-12:
            return o
        (x, *others) = o.inputs
        y = f"{o.name}.times"
        self._times(o, y, x, y, by)
        return replace(o, inputs=(y, *others))

    def behind(self, by: float) -> None:
        """The output of the last operator times a factor, under its name."""
        o = self.operators[-1]
        if abs(by - 1) < 1e-12:
            return
        (y,) = o.outputs
        self.operators[-1] = replace(o, outputs=(f"{y}.plain",))
        self.tensors[f"{y}.plain"] = Tensor(f"{y}.plain", self.tensors[y].features)
        self._times(o, f"{o.name}.times", f"{y}.plain", y, by)

    def _times(self, of: Operator, name: str, x: str, y: str, by: float) -> None:
        features = self.tensors[x].features
        self.tensors[y] = Tensor(y, features)
        shape, factor = (features, features), {"factor": by}
        self.operators.append(Operator(name, "times", of.group, of.layer, (x,), (y,), shape, {}, factor))
