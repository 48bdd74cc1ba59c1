"""The operators of a transformer in the order of its forward pass: shapes, parameters, flops and bytes.

A Graph is straight-line: each Operator reads and writes Tensors by name, every Tensor is written once.  Backward is the
same list from the end: an operator reads the gradients of its outputs, adds to those of its inputs, and makes the
gradients of its parameters.  A Tensor has `features` values per token; how tokens lie anywhere is not known here.

Flops count a multiply-add as two, and only what a matrix product or attention must do; kinds made of elements count
their arithmetic roughly, ELEMENT_FLOPS per feature.  They are per token and per pass.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import field
from functools import cached_property
from typing import Any

from ..errors import ConfigError
from ..records import dataclass
from .config import ACTIVATIONS, Transformer

# kind: reads -> writes; parameters; attributes.  builder.py makes them from a configuration.
KINDS = {
    "embedding": "ids -> x; weight [vocab, d]",
    "positions": "x -> x; weight [sequence, d]: row p is added to token p of each sequence; extra rows beyond it",
    "token_types": "x -> x; weight [types, d]: the row of a token's segment is added",
    "layernorm": "x -> y; gain [d], bias [d] or none; eps",
    "rmsnorm": "x -> y; gain [d]; eps; heads: of each head's features, with one gain for all",
    "input": "-> x, an activation that the host sends; widest: of the features of inputs and outputs",
    "output": "y ->, an activation that the host takes; widest",
    "mean": "x -> y: the mean over the tokens of each sequence, for each of its tokens",
    "linear": "x -> y = x weight^T + bias; weight [outputs, inputs], bias [outputs] or none",
    "experts": "x -> y: the router and every expert's MLP; router [experts, d], weights [experts, ...], biases; active",
    "route": "logits of experts -> the weight of each expert, 0 for those that the token does not choose; experts, "
    "active, of_chosen (weights have the sum 1); balance (the factor of the loss of load balance), counted",
    "weigh": "x, weights of experts -> x times that of one; expert (its number)",
    "zeros": "x -> zeros",
    "times": "x -> factor x",
    "rotary": "q or k -> the same, the first `rotary` features of each head turned, or those from `first` on; theta, "
    "heads; scaling (of rope.py)",
    "attention": "q, k, v -> y; heads, kv_heads, d_head, causal, alibi; scores scaled by d_head^-1/2; if they differ: "
    "window (tokens seen), d_value (features of a head's values), sinks [heads], softcap (scores become softcap "
    "tanh(scores / softcap)), dropout (a rate, with stream)",
    "token": "x -> x with a trained row in front; weight [d]",
    "modulate": "x, c -> x (1 + scale) + shift, or x gate, of features of c",
    "conv": "x -> y = silu of the sums over the last tokens, feature by feature; weight [features, taps], bias",
    "scan": "x (features, inputs and outputs of the state), time steps -> y; rate, skip, step_bias [heads]; heads, "
    "d_head, state, groups",
    "relu": "x -> y",
    "relu_gate": "gate, up -> relu(gate) * up",
    "relu2": "x -> relu(x)^2",
    "relu2_gate": "gate, up -> relu(gate)^2 * up",
    "tanh": "x -> y",
    "gelu": "x -> y; exact (by the error function) or the tanh form",
    "silu": "x -> y",
    "silu_gate": "gate, up -> silu(gate) * up; with alpha and limit: gate sigmoid(alpha gate) (up + 1), of gate cut at "
    "the limit above, and up above and below",
    "gelu_gate": "gate, up -> gelu(gate) * up; exact",
    "residual": "x, y -> x + y",
    "dropout": "x -> x with elements dropped in training; rate, stream (the number of its mask in a pass)",
    "resize": "x -> the same heads with zeros behind their features, or without the last ones; heads",
    "concat": "x, y -> the features of each of `heads` heads of x, and those of y, which all heads share",
    "loss": "logits -> mean cross-entropy over the tokens; its own backward starts the backward pass; softcap",
}

# Rough arithmetic per feature and token, forward; backward counts twice.  For reports: nothing is timed from these.
ELEMENT_FLOPS = {
    "embedding": 0,
    "positions": 1,
    "token_types": 1,
    "layernorm": 8,
    "rmsnorm": 5,
    "rotary": 6,
    "input": 0,
    "output": 0,
    "mean": 1,
    "token": 0,
    "modulate": 3,
    "relu": 1,
    "relu_gate": 2,
    "relu2": 2,
    "relu2_gate": 3,
    "tanh": 8,
    "gelu": 12,
    "silu": 6,
    "silu_gate": 7,
    "gelu_gate": 13,
    "residual": 1,
    "dropout": 1,
    "route": 30,
    "weigh": 1,
    "zeros": 0,
    "times": 1,
    "concat": 0,
    "resize": 0,
    "loss": 6,
}

# Kinds of gated activations, and that of the activation.
GATES = {f"{kind}_gate": kind for kind in ACTIVATIONS}

# Kinds that mix tokens: with the products, what the published conventions of flops count.
MIXING = ("attention", "conv", "scan")

GROUPS = ("embedding", "attention", "mlp", "head")

LOOP = {"loop", "expert", "again"}

# Attributes and parameters of operators as GPT-2, Llama and their like have them: what executes graphs knows these.
PLAIN = {
    "embedding": {"weight"},
    "positions": {"weight", "sequence", "extra"},
    "layernorm": {"gain", "bias", "eps", "heads"},
    "rmsnorm": {"gain", "eps", "heads"},
    "linear": {"weight", "bias"},
    "rotary": {"rotary", "theta", "d_head", "heads", "scaling", "first"},
    "concat": {"heads"},
    "resize": {"heads"},
    "attention": {"heads", "kv_heads", "d_head", "causal", "alibi", "window", "softcap", "sinks", "dropout", "stream"},
    "gelu": {"exact"},
    "silu": set(),
    "relu": set(),
    "relu_gate": set(),
    "relu2": set(),
    "relu2_gate": set(),
    "silu_gate": {"alpha", "limit"},
    "gelu_gate": {"exact"},
    "residual": set(),
    "dropout": {"rate", "stream"},
    "route": {"experts", "active", "of_chosen", "balance", "counted"},
    "weigh": set(),
    "zeros": set(),
    "times": {"factor"},
    "loss": {"softcap"},
}


@dataclass(frozen=True)
class Tensor:
    """Activations: `features` values per token.  name "ids" and "loss" stand for a token's id and its loss."""

    name: str
    features: int


@dataclass(frozen=True)
class Parameter:
    """A trained array.  initial: "normal" with standard deviation `std`, "zeros" or "ones".

    decay: weight decay applies to it (matrices; not gains, biases).  Names are the keys in checkpoints.
    """

    name: str
    shape: tuple[int, ...]
    initial: str = "zeros"
    std: float = 0.0

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def decay(self) -> bool:
        """Whether weight decay applies: to matrices, not to vectors."""
        return len(self.shape) > 1


@dataclass(frozen=True)
class Operator:
    """One step of the forward pass.

    name        "layers.0.attention.q"; unique
    kind        a key of KINDS
    group       "embedding", "attention", "mlp" or "head": what stays together in one region of a pipelined mapping
    layer       number of the layer, or None outside of them
    inputs, outputs   names of tensors
    features    (of the inputs together, of the output), per token
    parameters  role in KINDS ("weight", "bias", "gain", "router", "up" ...) -> Parameter
    attributes  what else KINDS names: eps, heads, kv_heads, d_head, causal, alibi, theta, rotary, sequence, active,
                exact, window, d_value, extra, once, scaling, rate, dropout, stream, experts, of_chosen, and those of
                LOOP: operators of a loop have its name and the number of their turn, the same in each turn but for
                their parameters, and add to one sum; again: they are computed again in the backward pass
    """

    name: str
    kind: str
    group: str
    layer: int | None
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    features: tuple[int, int]
    parameters: dict[str, Parameter] = field(default_factory=dict)
    attributes: dict[str, Any] = field(default_factory=dict)

    @property
    def weights(self) -> int:
        """Numbers in its parameters."""
        return sum(parameter.size for parameter in self.parameters.values())

    @property
    def active_weights(self) -> float:
        """Those that a token meets: of a mixture of experts only the active ones' share."""
        if self.kind != "experts":
            return self.weights
        router = sum(p.size for role, p in self.parameters.items() if role.startswith("router"))
        return router + (self.weights - router) * self.attributes["active"] / self.attributes["experts"]

    @property
    def once(self) -> bool:
        """Whether it works on one token of a sequence, or on what conditions the sequence, and not on each token."""
        return bool(self.attributes.get("once"))

    @property
    def matmul_weights(self) -> float:
        """Of each token: those of the active ones that multiply activations: of products, without their biases."""
        if self.kind not in ("linear", "experts") or self.once:
            return 0
        share = self.attributes["active"] / self.attributes["experts"] if self.kind == "experts" else 1
        biases = {role: p.size for role, p in self.parameters.items() if role.endswith("bias")}
        return self.active_weights - sum(n * (1 if role == "router_bias" else share) for role, n in biases.items())

    def pairs(self, sequence: int, causal_discount: bool = False, window: bool = True) -> float:
        """Of attention: the keys that a query meets, on average over a sequence of that length; without its window."""
        seen = min(int(self.attributes.get("window", 0)) or sequence, sequence) if window else sequence
        if causal_discount and self.attributes["causal"]:
            return seen - seen * (seen - 1) / (2 * sequence)
        return seen

    def flops(self, sequence: int, phase: str = "forward", causal_discount: bool = False) -> float:
        """Per token, in sequences of that length.  phase: "forward", "backward" (both gradients) or "update".

        causal_discount: count only the half of the scores that a causal mask leaves.
        """
        if phase == "update":
            return 0.0
        return self._flops(sequence, phase, causal_discount) / (sequence if self.once else 1)

    def _flops(self, sequence: int, phase: str, causal_discount: bool) -> float:
        times = {"forward": 1, "backward": 2}[phase]
        if self.kind in ("linear", "experts"):
            return times * 2.0 * self.active_weights
        if self.kind == "conv":
            return times * 2.0 * self.parameters["weight"].size
        if self.kind == "scan":  # state = decay x state + input, and its product with the output vector
            return times * 6.0 * self.attributes["heads"] * self.attributes["d_head"] * self.attributes["state"]
        if self.kind == "attention":
            d_head = self.attributes["d_head"]
            both = d_head + self.attributes.get("d_value", d_head)  # features of scores, and of the weighted sum
            return times * 2.0 * self.pairs(sequence, causal_discount) * self.attributes["heads"] * both
        return times * float(ELEMENT_FLOPS[self.kind]) * max(self.features)

    def bytes(self, phase: str = "forward", weight_bytes: float = 2, gradient_bytes: float = 4) -> float:
        """Streamed for its parameters per pass: weights in both passes, gradients out in the backward one."""
        into = self.weights * weight_bytes
        return into if phase == "forward" else into + self.weights * gradient_bytes if phase == "backward" else 0.0


@dataclass(frozen=True)
class Graph:
    """The operators in forward order.  A Parameter that two share (tied head) stands in both."""

    model: Transformer
    operators: tuple[Operator, ...]
    tensors: dict[str, Tensor]

    @cached_property
    def parameters(self) -> dict[str, Parameter]:
        """By name, in the order of first use."""
        return {p.name: p for operator in self.operators for p in operator.parameters.values()}

    @cached_property
    def weights(self) -> int:
        """Numbers in all parameters: N."""
        return sum(parameter.size for parameter in self.parameters.values())

    @cached_property
    def matmul_weights(self) -> float:
        """Those that a token is multiplied by, the head's included once: N_mm of 6 N_mm flops per token."""
        return sum(o.matmul_weights for o in self.operators)

    def check_plain(self, who: str) -> None:
        """ConfigError if the model has what only predictions know.  who: executes it, as in "the fabric"."""
        name = self.model.name
        for key, value in self.model.numerics:
            if key in ("rope_scaling", "rope_parameters") and self.model.rope_scaling:
                continue
            if key in ("attn_logit_softcapping", "final_logit_softcapping"):  # attributes of attention and loss
                continue
            if key in ("norm_topk_prob", "router_aux_loss_coef"):  # an attribute of a route; of a loss that is optional
                continue
            if key in ("swiglu_limit", "swiglu_alpha"):  # attributes of a gated activation
                continue
            if key == "rope_interleave":  # of the order of rows in files (names.py)
                continue
            shown = f"{value:g}" if isinstance(value, float) else str(value).lower()
            raise ConfigError(f"model {name} has {key} {shown}, which {who} does not execute; predictions accept it")
        for o in self.operators:
            plain = PLAIN.get(o.kind)
            if plain is None:
                raise ConfigError(f"{o.name} of {name} is of kind {o.kind}, which {who} does not execute")
            for key in (*o.attributes, *o.parameters):
                if key not in plain | LOOP:
                    raise ConfigError(f"{o.name} of {name}, of kind {o.kind}, has {key}, which {who} does not execute")
        if self.operators[-1].kind != "loss":
            raise ConfigError(f"model {name} ends with {self.operators[-1].name}: without a loss {who} cannot train it")

    def flops(self, sequence: int | None = None, causal_discount: bool = False) -> float:
        """Of matrix products and attention, per token, forward and backward: 6 N_mm + 12 L s d without a discount."""
        s = sequence or self.model.sequence
        total = 6.0 * self.matmul_weights
        for o in self.operators:
            if o.kind in MIXING or (o.once and o.kind == "linear"):
                total += sum(o.flops(s, phase, causal_discount) for phase in ("forward", "backward"))
        return total

    def parts(self) -> dict[str, list[Operator]]:
        """The operators of each layer by "layers.N", and of "embedding" and "head"."""
        found: dict[str, list[Operator]] = {}
        for operator in self.operators:
            name = operator.group if operator.layer is None else f"layers.{operator.layer}"
            found.setdefault(name, []).append(operator)
        return found

    def layers(self) -> Iterator[tuple[str, int | None, tuple[Operator, ...]]]:
        """(group, layer, operators) of consecutive operators of one group and layer, in forward order."""
        run: list[Operator] = []
        for operator in self.operators:
            if run and (operator.group, operator.layer) != (run[0].group, run[0].layer):
                yield run[0].group, run[0].layer, tuple(run)
                run = []
            run.append(operator)
        yield run[0].group, run[0].layer, tuple(run)
