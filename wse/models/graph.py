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

from ..records import dataclass
from .config import Transformer

# kind: reads -> writes; parameters; attributes
KINDS = {
    "embedding": "ids -> x; weight [vocab, d]",
    "positions": "x -> x; weight [sequence, d]: row p is added to token p of each sequence",
    "layernorm": "x -> y; gain [d], bias [d] or none; eps",
    "rmsnorm": "x -> y; gain [d]; eps",
    "linear": "x -> y = x weight^T + bias; weight [outputs, inputs], bias [outputs] or none",
    "experts": "x -> y: the router and every expert's MLP; router [experts, d], weights [experts, ...]; active",
    "rotary": "q or k -> the same, the first `rotary` features of each head turned; theta, heads",
    "attention": "q, k, v -> y; heads, kv_heads, d_head, causal, alibi; scores scaled by d_head^-1/2",
    "gelu": "x -> y; exact (by the error function) or the tanh form",
    "silu": "x -> y",
    "silu_gate": "gate, up -> silu(gate) * up",
    "gelu_gate": "gate, up -> gelu(gate) * up; exact",
    "residual": "x, y -> x + y",
    "loss": "logits -> mean cross-entropy over the tokens; its own backward starts the backward pass",
}

# Rough arithmetic per feature and token, forward; backward counts twice.  For reports: nothing is timed from these.
ELEMENT_FLOPS = {
    "embedding": 0,
    "positions": 1,
    "layernorm": 8,
    "rmsnorm": 5,
    "rotary": 6,
    "gelu": 12,
    "silu": 6,
    "silu_gate": 7,
    "gelu_gate": 13,
    "residual": 1,
    "loss": 6,
}

GROUPS = ("embedding", "attention", "mlp", "head")


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
                exact
    """

    name: str
    kind: str
    group: str
    layer: int | None
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    features: tuple[int, int]
    parameters: dict[str, Parameter] = field(default_factory=dict)
    attributes: dict[str, float | int | bool] = field(default_factory=dict)

    @property
    def weights(self) -> int:
        """Numbers in its parameters."""
        return sum(parameter.size for parameter in self.parameters.values())

    @property
    def active_weights(self) -> float:
        """Those that a token meets: of a mixture of experts only the active ones' share."""
        if self.kind != "experts":
            return self.weights
        router = self.parameters["router"].size
        return router + (self.weights - router) * self.attributes["active"] / self.attributes["experts"]

    def flops(self, sequence: int, phase: str = "forward", causal_discount: bool = False) -> float:
        """Per token, in sequences of that length.  phase: "forward", "backward" (both gradients) or "update".

        causal_discount: count only the half of the scores that a causal mask leaves.
        """
        if phase == "update":
            return 0.0
        times = {"forward": 1, "backward": 2}[phase]
        if self.kind in ("linear", "experts"):
            return times * 2.0 * self.active_weights
        if self.kind == "attention":
            pairs = (sequence + 1) / 2 if causal_discount and self.attributes["causal"] else sequence
            return times * 4.0 * pairs * self.attributes["heads"] * self.attributes["d_head"]
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
        kinds = ("linear", "experts")
        return sum(o.active_weights - _biases(o) for o in self.operators if o.kind in kinds)

    def flops(self, sequence: int | None = None, causal_discount: bool = False) -> float:
        """Of matrix products and attention, per token, forward and backward: 6 N_mm + 12 L s d without a discount."""
        s = sequence or self.model.sequence
        total = 6.0 * self.matmul_weights
        for o in self.operators:
            if o.kind == "attention":
                total += sum(o.flops(s, phase, causal_discount) for phase in ("forward", "backward"))
        return total

    def layers(self) -> Iterator[tuple[str, int | None, tuple[Operator, ...]]]:
        """(group, layer, operators) of consecutive operators of one group and layer, in forward order."""
        run: list[Operator] = []
        for operator in self.operators:
            if run and (operator.group, operator.layer) != (run[0].group, run[0].layer):
                yield run[0].group, run[0].layer, tuple(run)
                run = []
            run.append(operator)
        yield run[0].group, run[0].layer, tuple(run)


def _biases(operator: Operator) -> int:
    return sum(p.size for role, p in operator.parameters.items() if role == "bias")


def graph(model: Transformer) -> Graph:
    """The operator graph of a configuration; the input is "ids", the last output "loss"."""
    return _Builder(model).build()


class _Builder:
    """Appends operators; `at` is the tensor where the residual stream stands."""

    STD = 0.02  # as GPT-2; projections that add to the residual stream have it divided by sqrt(2 layers)

    def __init__(self, model: Transformer):
        self.model = model
        self.operators: list[Operator] = []
        self.tensors = {"ids": Tensor("ids", 1)}
        self.group, self.layer = "embedding", None  # type: str, int | None

    def build(self) -> Graph:
        m = self.model
        table = Parameter("embedding.weight", (m.vocab, m.d_model), "normal", self.STD)
        x = self.add("embedding", "embedding", ["ids"], m.d_model, {"weight": table})
        if m.positions == "learned":
            weight = Parameter("positions.weight", (m.sequence, m.d_model), "normal", self.STD)
            x = self.add("positions", "positions", [x], m.d_model, {"weight": weight}, sequence=m.sequence)
        for layer in range(m.layers):
            self.layer = layer
            x = self.block(x, f"layers.{layer}")
        self.group, self.layer = "head", None
        x = self.norm("norm", x)
        head = table if m.tied else Parameter("head.weight", (m.vocab, m.d_model), "normal", self.STD)
        logits = self.add("head", "linear", [x], m.vocab, {"weight": head})
        self.add("loss", "loss", [logits], 1)
        return Graph(m, tuple(self.operators), self.tensors)

    def block(self, x: str, name: str) -> str:
        self.group = "attention"
        normed = self.norm(f"{name}.norm1", x)
        attended = self.attention(f"{name}.attention", normed)
        if self.model.parallel:
            self.group = "mlp"
            mixed = self.mlp(f"{name}.mlp", normed)
            both = self.add(f"{name}.residual1", "residual", [attended, mixed], self.model.d_model)
            return self.add(f"{name}.residual2", "residual", [x, both], self.model.d_model)
        x = self.add(f"{name}.residual1", "residual", [x, attended], self.model.d_model)
        self.group = "mlp"
        mixed = self.mlp(f"{name}.mlp", self.norm(f"{name}.norm2", x))
        return self.add(f"{name}.residual2", "residual", [x, mixed], self.model.d_model)

    def attention(self, name: str, x: str) -> str:
        m = self.model
        bias = bool(m.attention_bias)
        q = self.linear(f"{name}.q", x, m.d_attention, bias)
        k = self.linear(f"{name}.k", x, m.d_kv, bias)
        v = self.linear(f"{name}.v", x, m.d_kv, bias)
        if m.positions == "rotary":
            turn = {"rotary": m.rotary, "theta": m.rope_theta, "d_head": m.d_head}
            q = self.add(f"{name}.rotary_q", "rotary", [q], m.d_attention, None, **turn, heads=m.heads)
            k = self.add(f"{name}.rotary_k", "rotary", [k], m.d_kv, None, **turn, heads=m.kv_heads)
        shape = {"heads": m.heads, "kv_heads": m.kv_heads, "d_head": m.d_head}
        alibi = m.positions == "alibi"
        y = self.add(
            f"{name}.scores", "attention", [q, k, v], m.d_attention, None, **shape, causal=m.causal, alibi=alibi
        )
        return self.linear(f"{name}.o", y, m.d_model, bias, self.STD / math.sqrt(2 * m.layers))

    def mlp(self, name: str, x: str) -> str:
        m = self.model
        if m.experts > 1:
            return self.experts(f"{name}.experts", x)
        up = self.linear(f"{name}.up", x, m.d_ff, m.bias)
        form = {"exact": m.exact} if m.activation == "gelu" else {}
        if m.gated:
            gate = self.linear(f"{name}.gate", x, m.d_ff, m.bias)
            y = self.add(f"{name}.{m.activation}", f"{m.activation}_gate", [gate, up], m.d_ff, None, **form)
        else:
            y = self.add(f"{name}.{m.activation}", m.activation, [up], m.d_ff, None, **form)
        return self.linear(f"{name}.down", y, m.d_model, m.bias, self.STD / math.sqrt(2 * m.layers))

    def experts(self, name: str, x: str) -> str:
        m = self.model
        roles = ("up", "gate", "down") if m.gated else ("up", "down")
        shapes = {
            role: (m.experts, m.d_model, m.d_ff) if role == "down" else (m.experts, m.d_ff, m.d_model) for role in roles
        }
        parameters = {"router": Parameter(f"{name}.router.weight", (m.experts, m.d_model), "normal", self.STD)}
        parameters |= {role: Parameter(f"{name}.{role}.weight", shapes[role], "normal", self.STD) for role in roles}
        return self.add(name, "experts", [x], m.d_model, parameters, experts=m.experts, active=m.active_experts)

    def linear(self, name: str, x: str, outputs: int, bias: bool, std: float = STD) -> str:
        weight = Parameter(f"{name}.weight", (outputs, self.tensors[x].features), "normal", std)
        parameters = {"weight": weight}
        if bias:
            parameters["bias"] = Parameter(f"{name}.bias", (outputs,))
        return self.add(name, "linear", [x], outputs, parameters)

    def norm(self, name: str, x: str) -> str:
        m = self.model
        parameters = {"gain": Parameter(f"{name}.gain", (m.d_model,), "ones")}
        if m.norm == "layer" and m.bias:
            parameters["bias"] = Parameter(f"{name}.bias", (m.d_model,))
        return self.add(name, f"{m.norm}norm", [x], m.d_model, parameters, eps=m.norm_eps)

    def add(
        self,
        name: str,
        kind: str,
        inputs: list[str],
        features: int,
        parameters: dict[str, Parameter] | None = None,
        /,
        **attributes: float | int | bool,
    ) -> str:
        """Appends an operator; its output has its name.  Returns the output's name."""
        into = sum(self.tensors[x].features for x in inputs)
        self.operators.append(
            Operator(
                name,
                kind,
                self.group,
                self.layer,
                tuple(inputs),
                (name,),
                (into, features),
                parameters or {},
                attributes,
            )
        )
        self.tensors[name] = Tensor(name, features)
        return name
