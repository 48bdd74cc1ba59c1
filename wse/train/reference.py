"""The PyTorch reference: trains the same graph with the same weights and batches, for comparison with the fabric.

It shares no arithmetic with the emulator or MemoryX: gradients, optimizers and clipping are PyTorch's.  Only the masks
of dropout are the fabric's (operators/dropout_masks.py).  PyTorch is imported at first use; the extra `test` has its
CPU build.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import field
from functools import partial
from typing import Any

import numpy as np

from ..errors import ConfigError
from ..models import Graph, experts
from ..models.graph import GATES, Operator
from ..models.rope import frequencies
from ..operators import dropout_masks
from ..operators.attention_shape import AttentionShape
from ..records import dataclass

Kind = Callable[[Operator, list, Mapping[str, Any]], Any]  # of an operator, its inputs, all parameters by name


def torch() -> Any:
    """The torch module.  Raises ConfigError if PyTorch is not installed."""
    try:
        import torch
    except ImportError:
        raise ConfigError("the reference needs PyTorch: pip install torch") from None
    return torch


def loss(graph: Graph, weights: Mapping[str, Any], ids: Any, labels: Any, draws: Sequence[int] = ()) -> Any:
    """Mean cross-entropy over the tokens, a scalar tensor.  ids, labels: integer tensors [batch, sequence].  draws: as
    of `logits`."""
    made = logits(graph, weights, ids, draws)
    return _cross_entropy(made, labels)


def _cross_entropy(made: Any, labels: Any) -> Any:
    return torch().nn.functional.cross_entropy(made.flatten(0, 1), labels.flatten().long())


def _losses(
    graph: Graph, weights: Mapping[str, Any], ids: Any, labels: Any, draws: Sequence[int], passes: int
) -> tuple[Any, Any]:
    """(mean cross-entropy, the same with the loss of load balance over the tokens of each of so many equal passes)."""
    tensors: dict[str, Any] = {}
    value = _cross_entropy(logits(graph, weights, ids, draws, tensors), labels)
    by = experts.factor(graph)
    if not by:
        return value, value
    found = experts.routes(graph)

    def mean(of: Callable[[Operator], Any]) -> Any:
        """[passes, experts], over the tokens of a pass and all layers."""
        return torch().cat([of(o).unflatten(0, (passes, -1)).flatten(1, -2) for o in found], 1).mean(1)

    shares = mean(lambda o: tensors[o.inputs[0]].softmax(-1))
    chosen = mean(lambda o: (tensors[o.outputs[0]] > 0).to(value.dtype))
    return value, value + by * found[0].features[1] * (chosen * shares).sum(-1).mean()


def logits(
    graph: Graph,
    weights: Mapping[str, Any],
    ids: Any,
    draws: Sequence[int] = (),
    tensors: dict[str, Any] | None = None,
) -> Any:
    """The logits, a tensor [batch, sequence, vocab].  ids: an integer tensor [batch, sequence].  draws: see
    Execution.run, one for each of so many equal parts of the batch; none: nothing is dropped.  tensors: receives the
    activations by name."""
    graph.check_plain("the PyTorch reference")
    tensors = {} if tensors is None else tensors
    tensors["ids"] = ids
    for operator in graph.operators:
        inputs = [tensors[name] for name in operator.inputs]
        parameters = {role: weights[p.name] for role, p in operator.parameters.items()}
        if draws and "stream" in operator.attributes:
            parameters["mask"] = _mask(operator, ids.shape[0], ids.shape[1], draws).to(inputs[0].dtype)
        if operator.kind == "loss":
            return _capped(inputs[0], operator)
        if operator.kind not in _KINDS:
            raise ConfigError(f"the PyTorch reference does not support {operator.name}, of kind {operator.kind}")
        tensors[operator.outputs[0]] = _KINDS[operator.kind](operator, inputs, parameters)
    raise ConfigError("the graph has no loss")


def gradients(
    graph: Graph,
    weights: Mapping[str, np.ndarray],
    ids: np.ndarray,
    labels: np.ndarray,
    dtype: str = "float32",
    draws: Sequence[int] = (),
) -> tuple[float, dict[str, np.ndarray]]:
    """Computes (cross-entropy, gradient by parameter name) in "float32" or "float64".  draws: as of `logits`."""
    t = torch()
    leaves = {name: _leaf(weight, getattr(t, dtype)) for name, weight in weights.items()}
    value, whole = _losses(graph, leaves, _ids(ids), _ids(labels), draws, 1)
    whole.backward()
    return value.item(), {name: leaf.grad.numpy() for name, leaf in leaves.items()}


@dataclass
class ReferenceRun:
    """The results of a reference run: losses of the steps, norms of the gradients before clipping, final weights."""

    losses: list[float] = field(default_factory=list)
    norms: list[float] = field(default_factory=list)
    weights: dict[str, np.ndarray] = field(default_factory=dict)
    held_out: float = math.nan


def train(
    graph: Graph,
    weights: Mapping[str, np.ndarray],
    batches: Iterable[tuple[np.ndarray, np.ndarray]],
    optimizer: Callable[[list[dict[str, Any]]], Any],
    rates: Callable[[int], float],
    clip: float = 0.0,
    held_out: Iterable[tuple[np.ndarray, np.ndarray]] = (),
    masks: Mapping[str, np.ndarray] | None = None,
    trained: Iterable[str] | None = None,
    skipped: Collection[int] = (),
    draws: Callable[[int], Sequence[int]] = lambda step: (),
    passes: int = 1,
) -> ReferenceRun:
    """Trains in float32.

    batches: (ids, labels) of each step.  optimizer: makes a torch optimizer from parameter groups, the first with
    weight decay.  rates: the learning rate of each step.  clip: largest norm of the gradient, 0 for no clipping.
    held_out: batches for a final loss.  trained: names of parameters that are updated; None: all.  masks: by parameter
    name, 0 for weights that are zero and stay zero.  skipped: numbers of steps without an update.
    draws: of the passes of each step, as of `logits`.  passes: of a step; over the tokens of each the load of experts
    is balanced.
    """
    t = torch()
    leaves = {name: _leaf(weight, t.float32) for name, weight in weights.items()}
    updated = [leaves[name] for name in (leaves if trained is None else trained)]
    decayed = [leaf for leaf in updated if leaf.dim() > 1]
    plain = [leaf for leaf in updated if leaf.dim() <= 1]
    groups: list[dict[str, Any]] = [{"params": decayed}] if decayed else []
    groups += [{"params": plain, "weight_decay": 0.0}] if plain else []
    update = optimizer(groups)
    done = ReferenceRun()
    for step, (ids, labels) in enumerate(batches):
        for leaf in leaves.values():
            leaf.grad = None
        value, whole = _losses(graph, leaves, _ids(ids), _ids(labels), draws(step), passes)
        whole.backward()
        for name, mask in (masks or {}).items():
            leaves[name].grad *= t.from_numpy(np.asarray(mask, np.float32))
        norm = t.nn.utils.clip_grad_norm_(updated, clip or math.inf)
        for group in update.param_groups:
            group["lr"] = rates(step)
        if step not in skipped:
            update.step()
        done.losses.append(value.item())
        done.norms.append(norm.item())
    with t.no_grad():
        last = [loss(graph, leaves, _ids(ids), _ids(labels)).item() for ids, labels in held_out]
    done.held_out = sum(last) / len(last) if last else math.nan
    done.weights = {name: leaf.detach().numpy() for name, leaf in leaves.items()}
    return done


def _leaf(weight: np.ndarray, dtype: Any) -> Any:
    return torch().tensor(np.array(weight), dtype=dtype, requires_grad=True)


def _ids(ids: np.ndarray) -> Any:
    return torch().from_numpy(np.ascontiguousarray(ids, np.int64))


def _mask(o: Operator, batch: int, sequence: int, draws: Sequence[int]) -> Any:
    """[batch, sequence, features], of attention [batch, heads, queries, keys]."""
    a, each = o.attributes, batch // len(draws)
    if o.kind == "attention":
        shape = AttentionShape(1, 1, 1, sequence, sequence, 4, causal=bool(a["causal"]))
        heads = int(a["heads"])
        parts = [dropout_masks.of_attention(a["dropout"], a["stream"], draw, each, heads, shape) for draw in draws]
    else:
        features = o.features[1]
        parts = [
            dropout_masks.of_activation(a["rate"], a["stream"], draw, each * sequence, features).reshape(
                each, sequence, features
            )
            for draw in draws
        ]
    return torch().from_numpy(np.concatenate(parts))


# --- operators --------------------------------------------------------------------------------------------------------


def _embedding(o: Operator, x: list, p: Mapping[str, Any]) -> Any:
    return p["weight"][x[0]]


def _positions(o: Operator, x: list, p: Mapping[str, Any]) -> Any:
    return x[0] + p["weight"][: x[0].shape[1]]  # further rows are of no token


def _layernorm(o: Operator, x: list, p: Mapping[str, Any]) -> Any:
    gain = p["gain"]
    each = x[0].unflatten(-1, (-1, len(gain)))  # heads, where a norm is of each head's features
    made = torch().nn.functional.layer_norm(each, gain.shape, gain, p.get("bias"), o.attributes["eps"])
    return made.flatten(-2)


def _rmsnorm(o: Operator, x: list, p: Mapping[str, Any]) -> Any:
    each = x[0].unflatten(-1, (-1, len(p["gain"])))
    square = each.pow(2).mean(-1, keepdim=True)
    return (each * torch().rsqrt(square + o.attributes["eps"]) * p["gain"]).flatten(-2)


def _linear(o: Operator, x: list, p: Mapping[str, Any]) -> Any:
    return torch().nn.functional.linear(x[0], p["weight"], p.get("bias"))


def _rotary(o: Operator, x: list, p: Mapping[str, Any]) -> Any:
    """Rotates the pairs (i, i + rotary / 2) of a head's first `rotary` features by position x theta^(-2 i / rotary)."""
    t, a = torch(), o.attributes
    heads = x[0].unflatten(-1, (int(a["heads"]), int(a["d_head"])))
    first = int(a.get("first", 0))
    before, turned, rest = heads.tensor_split((first, first + int(a["rotary"])), -1)
    half = int(a["rotary"]) // 2
    sequence = x[0].shape[1]
    frequency = float(a["theta"]) ** (-t.arange(half, dtype=t.float64) / half)
    factor = 1.0
    if a.get("scaling"):
        scaled, factor = frequencies(int(a["rotary"]), float(a["theta"]), a["scaling"], sequence)
        frequency = t.from_numpy(scaled)
    angle = t.arange(sequence, dtype=t.float64)[:, None] * frequency
    cos, sin = (factor * f(angle)[:, None, :].to(x[0].dtype) for f in (t.cos, t.sin))
    low, high = turned[..., :half], turned[..., half:]
    both = t.cat([before, low * cos - high * sin, high * cos + low * sin, rest], -1)
    return both.flatten(-2)


def _slopes(heads: int) -> list[float]:
    """Of alibi, as published: a geometric series from 2^(-8 / n) for n heads, a power of two; between powers, more
    heads from the series of 2 n."""
    n = 2 ** int(math.log2(heads))
    series = [2 ** (-8 * i / n) for i in range(1, n + 1)]
    return series + [2 ** (-8 * i / (2 * n)) for i in range(1, 2 * n + 1, 2)][: heads - n]


def _capped(x: Any, o: Operator) -> Any:
    cap = o.attributes.get("softcap")
    return cap * torch().tanh(x / cap) if cap else x


def _attention(o: Operator, x: list, p: Mapping[str, Any]) -> Any:
    t, a = torch(), o.attributes
    heads, kv, d = int(a["heads"]), int(a["kv_heads"]), int(a["d_head"])
    q = x[0].unflatten(-1, (heads, d)).transpose(1, 2)
    k, v = (y.unflatten(-1, (kv, d)).transpose(1, 2).repeat_interleave(heads // kv, 1) for y in x[1:])
    scores = q @ k.transpose(-1, -2) / math.sqrt(d)
    scores = _capped(scores, o)
    s = scores.shape[-1]
    if a["alibi"]:
        distance = t.arange(s) - t.arange(s)[:, None]
        scores = scores + t.tensor(_slopes(heads), dtype=scores.dtype)[:, None, None] * distance
    if a["causal"]:
        scores = scores.masked_fill(t.ones(s, s, dtype=t.bool).triu(1), -math.inf)
    if window := a.get("window"):
        scores = scores.masked_fill(t.ones(s, s, dtype=t.bool).tril(-int(window)), -math.inf)
    if "sinks" in p:  # a further key, whose value is 0
        scores = t.cat([scores, p["sinks"][:, None, None].expand(*scores.shape[:-1], 1)], -1)
    return (scores.softmax(-1)[..., :s] * p.get("mask", 1) @ v).transpose(1, 2).flatten(-2)


def _concat(o: Operator, x: list, p: Mapping[str, Any]) -> Any:
    own = x[0].unflatten(-1, (int(o.attributes["heads"]), -1))
    return torch().cat([own, x[1][..., None, :].expand(*own.shape[:-1], -1)], -1).flatten(-2)


def _resize(o: Operator, x: list, p: Mapping[str, Any]) -> Any:
    heads = int(o.attributes["heads"])
    before, after = (n // heads for n in o.features)
    made = x[0].unflatten(-1, (heads, before))[..., :after]
    return torch().nn.functional.pad(made, (0, after - made.shape[-1])).flatten(-2)


def _route(o: Operator, x: list, p: Mapping[str, Any]) -> Any:
    t = torch()
    shares = x[0].softmax(-1)
    best, places = shares.topk(int(o.attributes["active"]), -1)
    if o.attributes["of_chosen"]:
        best = best / best.sum(-1, keepdim=True)
    return t.zeros_like(shares).scatter(-1, places, best)


def _gelu(o: Operator, x: list, p: Mapping[str, Any]) -> Any:
    return torch().nn.functional.gelu(x[0], approximate="none" if o.attributes["exact"] else "tanh")


def _gate(function: Kind, o: Operator, x: list, p: Mapping[str, Any]) -> Any:
    if "limit" not in o.attributes:
        return function(o, x, p) * x[1]
    alpha, limit = o.attributes["alpha"], o.attributes["limit"]
    gate, up = x[0].clamp(max=limit), x[1].clamp(-limit, limit)
    return gate * (alpha * gate).sigmoid() * (up + 1)


_ACTIVATIONS: dict[str, Kind] = {
    "gelu": _gelu,
    "silu": lambda o, x, p: torch().nn.functional.silu(x[0]),
    "relu": lambda o, x, p: torch().nn.functional.relu(x[0]),
    "relu2": lambda o, x, p: torch().nn.functional.relu(x[0]) ** 2,
}
_KINDS: dict[str, Kind] = {
    "embedding": _embedding,
    "positions": _positions,
    "layernorm": _layernorm,
    "rmsnorm": _rmsnorm,
    "linear": _linear,
    "rotary": _rotary,
    "attention": _attention,
    **_ACTIVATIONS,
    **{gate: partial(_gate, _ACTIVATIONS[kind]) for gate, kind in GATES.items()},
    "residual": lambda o, x, p: x[0] + x[1],
    "route": _route,
    "weigh": lambda o, x, p: x[0] * x[1][..., int(o.attributes["expert"]), None],
    "concat": _concat,
    "resize": _resize,
    "times": lambda o, x, p: o.attributes["factor"] * x[0],
    "zeros": lambda o, x, p: torch().zeros_like(x[0][..., :1]).expand(*x[0].shape[:-1], o.features[1]),
    "dropout": lambda o, x, p: x[0] * p.get("mask", 1),
}
