"""Builds the operators of a configuration: the parts of models, and decoders and encoders made of them.

bodies.py has the other bodies, and `graph`.
"""

from __future__ import annotations

import math
from typing import Any

from .config import Transformer
from .graph import Graph, Operator, Parameter, Tensor

STD = 0.02  # as GPT-2; divided by sqrt(2 layers) for projections that add to the residual stream


class Builder:
    """Appends operators.  Methods take the names of the tensors that they read, and return the name of the output."""

    def __init__(self, model: Transformer):
        self.model = model
        self.operators: list[Operator] = []
        self.tensors = {"ids": Tensor("ids", 1)}
        self.group, self.layer = "embedding", None  # type: str, int | None

    def build(self) -> Graph:
        m = self.model
        table = Parameter("embedding.weight", (m.vocab, m.d_embedding or m.d_model), "normal", STD)
        x = self.blocks(self.embed(table), range(m.layers))
        self.group, self.layer = "head", None
        if m.final_norm:
            x = self.norm("norm", x)
        if m.pooler:
            pooled = self.linear("pooler", x, m.d_model, True, once=True)
            self.add("pooler.tanh", "tanh", [pooled], m.d_model, None, once=True)
        if m.head == "masked":
            x = self.linear("head.dense", x, m.d_model, True)
            form = {"exact": m.exact} if m.activation == "gelu" else {}
            x = self.norm("head.norm", self.add(f"head.{m.activation}", m.activation, [x], m.d_model, None, **form))
        if m.d_embedding:
            x = self.linear("head.projection", x, m.d_embedding, False)
        if m.head != "none":
            self.logits(x, table)
        return Graph(m, tuple(self.operators), self.tensors)

    def blocks(self, x: str, layers: range, prefix: str = "layers", first: int = 0) -> str:
        """Layers.  Their names count from layer `first`."""
        for layer in layers:
            self.layer = layer
            x = self.block(x, f"{prefix}.{layer - first}")
        return x

    def embed(self, table: Parameter) -> str:
        m = self.model
        x = self.add("embedding", "embedding", ["ids"], table.shape[1], {"weight": table})
        if m.d_embedding:
            x = self.linear("embedding.projection", x, m.d_model, False)
        if m.positions == "learned":
            weight = Parameter("positions.weight", (m.sequence + m.extra_positions, m.d_model), "normal", STD)
            extra = {"extra": m.extra_positions} if m.extra_positions else {}
            x = self.add("positions", "positions", [x], m.d_model, {"weight": weight}, sequence=m.sequence, **extra)
        if m.token_types:
            weight = Parameter("token_types.weight", (m.token_types, m.d_model), "normal", STD)
            x = self.add("token_types", "token_types", [x], m.d_model, {"weight": weight})
        return self.norm("embedding.norm", x) if m.embedding_norm else x

    def logits(self, x: str, table: Parameter) -> None:
        m = self.model
        weight = table if m.tied else Parameter("head.weight", table.shape, "normal", STD)
        parameters = {"weight": weight} | ({"bias": Parameter("head.bias", (m.vocab,))} if m.head_bias else {})
        capped = {"softcap": cap} if (cap := dict(m.numerics).get("final_logit_softcapping")) else {}
        self.add("loss", "loss", [self.add("head", "linear", [x], m.vocab, parameters)], 1, None, **capped)

    def block(self, x: str, name: str) -> str:
        m = self.model
        self.group = "attention"
        first = m.norm_at in ("before", "both")
        normed = self.norm(f"{name}.norm1", x) if first else x
        attended = self.attention(f"{name}.attention", normed)
        if m.parallel:
            self.group = "mlp"
            other = self.norm(f"{name}.norm2", x) if m.parallel_norms == 2 else normed
            mixed = self.mlp(f"{name}.mlp", other)
            both = self.add(f"{name}.residual1", "residual", [attended, mixed], m.d_model)
            return self.add(f"{name}.residual2", "residual", [x, both], m.d_model)
        x = self.join(f"{name}.residual1", f"{name}.norm1", x, attended)
        self.group = "mlp"
        mixed = self.mlp(f"{name}.mlp", self.norm(f"{name}.norm2", x) if first else x)
        return self.join(f"{name}.residual2", f"{name}.norm2", x, mixed)

    def join(self, name: str, norm: str, x: str, y: str) -> str:
        """x + y, with the norms behind y and behind the sum."""
        at = self.model.norm_at
        if at in ("both", "output"):
            y = self.norm(f"{norm}_after" if at == "both" else norm, y)
        z = self.add(name, "residual", [x, y], self.model.d_model)
        return self.norm(norm, z) if at == "after" else z

    def attention(self, name: str, x: str) -> str:
        m = self.model
        assert self.layer is not None
        block = m.block(self.layer)
        bias = bool(m.attention_bias)
        if m.kv_rank:
            q, k, v = self.latent(name, x)
        else:
            q = self.linear(f"{name}.q", x, m.d_attention, bias)
            k = self.linear(f"{name}.k", x, m.d_kv, bias)
            v = self.linear(f"{name}.v", x, m.d_kv, bias)
            if m.qk_norm != "none":
                q = self.head_norm(f"{name}.norm_q", q, m.heads)
                k = self.head_norm(f"{name}.norm_k", k, m.kv_heads)
            if block.rotary:
                q = self.turn(f"{name}.rotary_q", q, m.heads, m.d_head)
                k = self.turn(f"{name}.rotary_k", k, m.kv_heads, m.d_head)
        shape = {"heads": m.heads, "kv_heads": m.kv_heads, "d_head": m.d_head}
        shape |= {"causal": m.causal, "alibi": m.positions == "alibi"}
        if block.window:
            shape["window"] = block.window
        if cap := dict(m.numerics).get("attn_logit_softcapping"):
            shape["softcap"] = cap
        if m.d_value:
            shape["d_value"] = m.d_value
        sinks = {"sinks": Parameter(f"{name}.sinks", (m.heads,))} if m.sinks else None
        width = m.heads * (m.d_value or m.d_head)
        y = self.add(f"{name}.scores", "attention", [q, k, v], width, sinks, **shape)
        return self.linear(f"{name}.o", y, m.d_model, bool(m.output_bias), STD / math.sqrt(2 * m.layers))

    def latent(self, name: str, x: str) -> tuple[str, str, str]:
        """Queries, keys and values of latent attention.  Keys are (features from the latent, d_rope shared ones)."""
        m = self.model
        bias = bool(m.attention_bias)
        if m.q_rank:
            low = self.norm(f"{name}.norm_q", self.linear(f"{name}.q_low", x, m.q_rank, bias))
            q = self.linear(f"{name}.q", low, m.d_attention, False)
        else:
            q = self.linear(f"{name}.q", x, m.d_attention, False)
        latent = self.norm(f"{name}.norm_kv", self.linear(f"{name}.kv_low", x, m.kv_rank, bias))
        shared = self.linear(f"{name}.k_rope", x, m.d_rope, bias)
        k = self.linear(f"{name}.k", latent, m.heads * (m.d_head - m.d_rope), False)
        v = self.linear(f"{name}.v", latent, m.heads * m.d_value, False)
        q = self.turn(f"{name}.rotary_q", q, m.heads, m.d_head)
        shared = self.turn(f"{name}.rotary_k", shared, 1, m.d_rope)
        k = self.add(f"{name}.keys", "concat", [k, shared], m.d_attention, None, heads=m.heads)
        return q, k, v

    def turn(self, name: str, x: str, heads: int, d_head: int) -> str:
        m = self.model
        turned = {"rotary": m.rotary, "theta": m.rope_theta, "d_head": d_head}
        scaled = {"scaling": m.rope_scaling} if m.rope_scaling else {}
        return self.add(name, "rotary", [x], self.tensors[x].features, None, **turned, heads=heads, **scaled)

    def head_norm(self, name: str, x: str, heads: int) -> str:
        """The norm of queries or keys."""
        return self.norm(name, x) if self.model.qk_norm == "all" else self.norm(name, x, heads)

    def mlp(self, name: str, x: str) -> str:
        m = self.model
        assert self.layer is not None
        if not m.block(self.layer).experts:
            return self.dense(name, x, m.d_ff)
        y = self.experts(f"{name}.experts", x)
        if m.d_shared:
            shared = self.dense(f"{name}.shared", x, m.d_shared)
            y = self.add(f"{name}.sum", "residual", [y, shared], m.d_model)
        return y

    def dense(self, name: str, x: str, d_ff: int) -> str:
        m = self.model
        up = self.linear(f"{name}.up", x, d_ff, m.bias)
        form = {"exact": m.exact} if m.activation == "gelu" else {}
        if m.gated:
            gate = self.linear(f"{name}.gate", x, d_ff, m.bias)
            y = self.add(f"{name}.{m.activation}", f"{m.activation}_gate", [gate, up], d_ff, None, **form)
        else:
            y = self.add(f"{name}.{m.activation}", m.activation, [up], d_ff, None, **form)
        return self.linear(f"{name}.down", y, m.d_model, m.bias, STD / math.sqrt(2 * m.layers))

    def experts(self, name: str, x: str) -> str:
        m = self.model
        roles = ("up", "gate", "down") if m.gated else ("up", "down")
        wide = m.d_expert or m.d_ff
        outputs = {role: m.d_model if role == "down" else wide for role in roles}
        inputs = {role: wide if role == "down" else m.d_model for role in roles}
        parameters = {"router": Parameter(f"{name}.router.weight", (m.experts, m.d_model), "normal", STD)}
        for role in roles:
            shape = (m.experts, outputs[role], inputs[role])
            parameters[role] = Parameter(f"{name}.{role}.weight", shape, "normal", STD)
        biased = (("router", m.router_bias), *((role, m.expert_bias) for role in roles))
        for role, has in biased:
            if has:
                shape_ = (m.experts,) if role == "router" else (m.experts, outputs[role])
                parameters[f"{role}_bias"] = Parameter(f"{name}.{role}.bias", shape_)
        return self.add(name, "experts", [x], m.d_model, parameters, experts=m.experts, active=m.active_experts)

    def linear(self, name: str, x: str, outputs: int, bias: bool, std: float = STD, once: bool = False) -> str:
        weight = Parameter(f"{name}.weight", (outputs, self.tensors[x].features), "normal", std)
        parameters = {"weight": weight}
        if bias:
            parameters["bias"] = Parameter(f"{name}.bias", (outputs,))
        return self.add(name, "linear", [x], outputs, parameters, **({"once": True} if once else {}))

    def norm(self, name: str, x: str, heads: int = 0) -> str:
        """A norm of all features, or of those of each of so many heads."""
        m = self.model
        features = self.tensors[x].features
        size = features // heads if heads else features
        parameters = {"gain": Parameter(f"{name}.gain", (size,), "ones")}
        if m.norm == "layer" and m.norm_bias:
            parameters["bias"] = Parameter(f"{name}.bias", (size,))
        each = {"heads": heads} if heads else {}
        return self.add(name, f"{m.norm}norm", [x], features, parameters, eps=m.norm_eps, **each)

    def add(
        self,
        name: str,
        kind: str,
        inputs: list[str],
        features: int,
        parameters: dict[str, Parameter] | None = None,
        /,
        **attributes: Any,
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
