"""Configurations of transformers: their fields with what each may be, and the table of published ones.

families.py has the rules for Hugging Face configurations; load.py takes a name of either kind.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import fields, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from ..errors import ConfigError, did_you_mean
from ..records import dataclass
from ..schema import Boolean, Integer, Items, Kind, Number, Text, check

TABLE = Path(__file__).with_name("families.toml")

BODIES = ("decoder", "encoder", "encoder-decoder", "state-space", "vision", "diffusion")
NORMS = ("layer", "rms")
NORMS_AT = ("before", "after", "both", "output")
QK_NORMS = ("none", "head", "all")
ACTIVATIONS = ("gelu", "silu", "relu", "relu2")
POSITIONS = ("learned", "rotary", "alibi", "none")
HEADS = ("logits", "masked", "none")

# What each value may be.  The upper ends are far above every published model: beyond them a configuration is a mistake.
FEATURES = Integer(1, 10_000_000)
SCHEMA: dict[str, Kind] = {
    "layers": Integer(1, 2_000),
    "d_model": FEATURES,
    "heads": Integer(1, 100_000),
    "kv_heads": Integer(1, 100_000),
    "d_ff": FEATURES,
    "vocab": FEATURES,
    "sequence": Integer(1, 100_000_000),
    "d_head": Integer(1, 1_000_000),
    "norm": Text(NORMS),
    "activation": Text(ACTIVATIONS),
    "gated": Boolean(),
    "exact": Boolean(),
    "positions": Text(POSITIONS),
    "rotary": Integer(0, 1_000_000),
    "rope_theta": Number(0, 1e15, above=True),
    "norm_eps": Number(0, 1, above=True),
    "bias": Boolean(),
    "attention_bias": Boolean(),
    "tied": Boolean(),
    "causal": Boolean(),
    "parallel": Boolean(),
    "experts": Integer(1, 4_096),
    "active_experts": Integer(1, 4_096),
    "body": Text(BODIES),
    "output_bias": Boolean(),
    "qk_norm": Text(QK_NORMS),
    "windows": Items(Integer(0, 100_000_000), 2_000),
    "rotary_layers": Items(Boolean(), 2_000),
    "q_rank": Integer(0, 10_000_000),
    "kv_rank": Integer(0, 10_000_000),
    "d_rope": Integer(0, 1_000_000),
    "d_value": Integer(0, 1_000_000),
    "sinks": Boolean(),
    "norm_at": Text(NORMS_AT),
    "norm_bias": Boolean(),
    "parallel_norms": Integer(1, 2),
    "embedding_norm": Boolean(),
    "final_norm": Boolean(),
    "d_expert": Integer(0, 10_000_000),
    "d_shared": Integer(0, 100_000_000),
    "expert_layers": Items(Boolean(), 2_000),
    "router_bias": Boolean(),
    "expert_bias": Boolean(),
    "extra_positions": Integer(0, 100_000_000),
    "token_types": Integer(0, 10_000),
    "d_embedding": Integer(0, 10_000_000),
    "head": Text(HEADS),
    "head_bias": Boolean(),
    "pooler": Boolean(),
    "state": Integer(0, 1_000_000),
    "conv": Integer(0, 1_000),
    "groups": Integer(0, 100_000),
    "conv_bias": Boolean(),
    "encoder_layers": Integer(0, 2_000),
    "relative_buckets": Integer(0, 1_000_000),
    "patch": Integer(0, 10_000),
    "channels": Integer(0, 10_000),
    "out_channels": Integer(0, 10_000),
    "name": Text(),
    "source": Text(),
}
# Fields that are derived from others if they have these values.
DERIVED = {"d_head": 0, "attention_bias": None, "output_bias": None, "norm_bias": None}


@dataclass(frozen=True)
class Block:
    """The properties in which layers of a model can differ.

    - window: tokens that attention sees; 0 means all.
    - rotary: queries and keys are rotated.
    - experts: the MLP has experts.
    - encodes: the layer is part of the encoder of an encoder-decoder.
    """

    window: int
    rotary: bool
    experts: bool
    encodes: bool


def _of_layer(values: Sequence[Any], layer: int, otherwise: Any) -> Any:
    return values[layer % len(values)] if values else otherwise


@dataclass(frozen=True, kw_only=True)
class Transformer:
    """A transformer's shape.  Sizes are counts of features, heads, tokens.

    norm        "layer" (mean subtracted; gain and bias) or "rms" (gain)
    activation  "gelu" or "silu"; gated: times a second projection (SwiGLU); exact: GELU by the error function, as in
                its paper, and not by tanh, as in GPT-2
    positions   "learned" (a table added to the embedding), "rotary" (the first `rotary` features of a head rotated),
                "alibi" or "none"
    bias        of linear layers and layer norms; attention_bias: of those of attention, if different
    tied        the head uses the embedding's table
    parallel    attention and MLP read the same normalised input and are added together (GPT-J, Falcon)
    experts     MLPs per layer, of which a token visits active_experts

    Fields that few models use:

    body        "decoder", "encoder" (BERT), "encoder-decoder" (T5), "vision" (ViT), "diffusion" (DiT) or
                "state-space" (Mamba 2)
    output_bias, norm_bias    of attention's output projection, of layer norms; None: as attention_bias, as bias
    qk_norm     norm of queries and keys: of each "head", or of "all" heads together
    windows     tokens that attention of a layer sees, by layer; 0: all.  A shorter list is repeated; () is all
    rotary_layers    whether a layer's queries and keys are rotated, by layer; repeated as windows
    kv_rank     latent attention (MLA): features of the stored latent; q_rank: of the latent of queries, or 0; d_rope:
                rotated features of a head, stored once for all heads; d_value: features of a head's values.
                d_head is that of queries and keys, with d_rope
    sinks       a trained score per head that takes part in the softmax
    norm_at     "before" attention and MLP; "after" the addition (BERT); "both" before and after each, before the
                addition; "output": of each, before the addition
    parallel_norms    norms of a parallel layer: 1, shared by attention and MLP, or 2
    embedding_norm, final_norm    a norm after the embedding, and before the head
    d_expert    features of an expert, if not d_ff; d_shared: of the MLP that all tokens visit beside the experts
    expert_layers    whether a layer has experts, by layer; repeated as windows.  Other layers have an MLP of d_ff
    router_bias, expert_bias    the router, and the experts, have biases
    extra_positions  rows of the table of positions beyond `sequence`
    token_types  rows of a table of segments, added to the embedding
    d_embedding  features of the embedding's table, if not d_model: projections lead to d_model and back
    head        "logits"; "masked": a dense layer, activation and norm before them (BERT); "none": no head
    head_bias   of the logits; pooler: a dense layer over the first token
    state       of a state-space model: numbers of state per feature; conv: tokens of the convolution before it, with
                conv_bias; groups: of heads that share the inputs and outputs of the state
    encoder_layers      of an encoder-decoder: the number of first ones of `layers`; relative_buckets: rows of
                the table of biases by distance
    patch       of a vision or diffusion model: pixels on a side of a patch, of so many channels; out_channels:
                predicted.  `vocab` is the number of classes, and of rows of a diffusion model's table of labels
    rope_scaling    (key, value) pairs of the scaling of rotary positions, as rope.py takes them; () is none
    numerics    (key, value) of settings that change values, but no shape, count or time.  Predictions ignore them;
                what executes a model refuses a model that has any
    """

    name: str
    layers: int
    d_model: int
    heads: int
    kv_heads: int
    d_ff: int
    vocab: int
    sequence: int
    d_head: int = 0  # 0: d_model / heads
    norm: str = "layer"
    activation: str = "gelu"
    gated: bool = False
    exact: bool = False
    positions: str = "learned"
    rotary: int = 0  # 0: the whole head
    rope_theta: float = 10_000.0
    norm_eps: float = 1e-5
    bias: bool = True
    attention_bias: bool | None = None  # None: as bias
    tied: bool = True
    causal: bool = True
    parallel: bool = False
    experts: int = 1
    active_experts: int = 1
    body: str = "decoder"
    output_bias: bool | None = None
    qk_norm: str = "none"
    windows: tuple[int, ...] = ()
    rotary_layers: tuple[bool, ...] = ()
    q_rank: int = 0
    kv_rank: int = 0
    d_rope: int = 0
    d_value: int = 0
    sinks: bool = False
    norm_at: str = "before"
    norm_bias: bool | None = None
    parallel_norms: int = 1
    embedding_norm: bool = False
    final_norm: bool = True
    d_expert: int = 0
    d_shared: int = 0
    expert_layers: tuple[bool, ...] = ()
    router_bias: bool = False
    expert_bias: bool = False
    extra_positions: int = 0
    token_types: int = 0
    d_embedding: int = 0
    head: str = "logits"
    head_bias: bool = False
    pooler: bool = False
    state: int = 0
    conv: int = 0
    groups: int = 0
    conv_bias: bool = True
    encoder_layers: int = 0
    relative_buckets: int = 0
    patch: int = 0
    channels: int = 0
    out_channels: int = 0
    rope_scaling: tuple[tuple[str, Any], ...] = ()
    numerics: tuple[tuple[str, Any], ...] = ()
    source: str = ""

    def __post_init__(self) -> None:
        for name, kind in SCHEMA.items():
            value = getattr(self, name)
            if name not in DERIVED or value != DERIVED[name] or value is False:
                check(kind, value, f"model {self.name}" if isinstance(self.name, str) else "model", name)
        if not self.d_head:
            if self.d_model % self.heads:
                raise ConfigError(
                    f"model {self.name}: {self.heads} heads do not divide d_model {self.d_model}; give d_head"
                )
            object.__setattr__(self, "d_head", self.d_model // self.heads)
        if self.positions == "rotary" and not self.rotary:
            object.__setattr__(self, "rotary", self.d_rope or self.d_head)
        if self.attention_bias is None:
            object.__setattr__(self, "attention_bias", self.bias)
        if self.output_bias is None:
            object.__setattr__(self, "output_bias", self.attention_bias)
        if self.norm_bias is None:
            object.__setattr__(self, "norm_bias", self.bias)
        if self.heads % self.kv_heads:
            raise ConfigError(f"model {self.name}: kv_heads {self.kv_heads} must divide heads {self.heads}")
        if not 1 <= self.active_experts <= self.experts:
            raise ConfigError(f"model {self.name}: active_experts {self.active_experts} of {self.experts} experts")
        if self.rotary > self.d_head:
            raise ConfigError(f"model {self.name}: rotary {self.rotary} is above the {self.d_head} features of a head")
        if self.encoder_layers and self.encoder_layers >= self.layers:
            raise ConfigError(
                f"model {self.name}: of {self.layers} layers, {self.encoder_layers} are the encoder's: none is left"
            )
        if self.kv_rank and not 0 < self.d_rope < self.d_head:
            raise ConfigError(f"model {self.name}: d_rope {self.d_rope} must be above 0 and below d_head {self.d_head}")
        if self.kv_rank and not self.d_value:
            raise ConfigError(f"model {self.name}: latent attention (kv_rank {self.kv_rank}) lacks d_value")

    def block(self, layer: int) -> Block:
        """The properties of a layer."""
        return Block(
            window=_of_layer(self.windows, layer, 0),
            rotary=self.positions == "rotary" and _of_layer(self.rotary_layers, layer, True),
            experts=self.experts > 1 and _of_layer(self.expert_layers, layer, True),
            encodes=layer < self.encoder_layers,
        )

    @cached_property
    def first_like(self) -> tuple[int, ...]:
        """For each layer, the first layer with the same properties."""
        first: dict[Block, int] = {}
        return tuple(first.setdefault(self.block(layer), layer) for layer in range(self.layers))

    @property
    def decodes(self) -> bool:
        """Whether the model predicts the next token from those before."""
        return self.body in ("decoder", "state-space") and self.causal

    @property
    def kv_features(self) -> int:
        """Numbers that a layer stores of each token for those that follow: keys and values, or the latent."""
        return self.kv_rank + self.d_rope if self.kv_rank else 2 * self.d_kv

    def kv_numbers(self, context: int) -> int:
        """Numbers that all layers store of a sequence of so many tokens; a window bounds what its layer stores.

        A state-space layer stores its state and the last tokens of its convolution, whatever the context.
        """
        if self.body == "state-space":
            return self.layers * (self.d_attention * self.state + self.d_conv * self.conv)
        windows = (self.block(layer).window or context for layer in range(self.layers))
        return self.kv_features * sum(min(context, window) for window in windows)

    @property
    def d_attention(self) -> int:
        """Features of the queries: heads times d_head."""
        return self.heads * self.d_head

    @property
    def d_conv(self) -> int:
        """Features of the convolution of a state-space layer: its own, and inputs and outputs of the state."""
        return self.d_attention + 2 * self.groups * self.state

    @property
    def d_kv(self) -> int:
        """Features of the keys, and of the values."""
        return self.kv_heads * self.d_head

    def but(self, **changes: Any) -> Transformer:
        """This configuration with some values changed, such as but(sequence=4096); unknown names are an error."""
        known = {field.name for field in fields(self)}
        if unknown := [name for name in changes if name not in known]:
            raise ConfigError(
                f"a model has no {', '.join(unknown)}: {did_you_mean(unknown[0], known, most=len(known))}"
            )
        if ("d_model" in changes or "heads" in changes) and "d_head" not in changes:
            changes["d_head"] = 0  # what followed from these is worked out again
        if "d_head" in changes and "rotary" not in changes and self.rotary == self.d_head:
            changes["rotary"] = 0
        for name, of in (("norm_bias", "bias"), ("output_bias", "attention_bias")):
            if of in changes and name not in changes and getattr(self, name) == getattr(self, of):
                changes[name] = None
        return replace(self, **changes)


@cache
def published() -> dict[str, Transformer]:
    """All configurations of families.toml by name."""
    table = tomllib.loads(TABLE.read_text(encoding="utf-8"))
    return {name: model for family in table.values() for name, model in _family(family).items()}


def _family(family: dict[str, Any]) -> dict[str, Transformer]:
    shared = {key: value for key, value in family.items() if key != "models"}
    found = {}
    for name, (layers, d_model, heads, kv_heads, d_ff, *more) in family["models"].items():
        shape = {"layers": layers, "d_model": d_model, "heads": heads, "kv_heads": kv_heads, "d_ff": d_ff}
        values: dict[str, Any] = shape | shared | (more[0] if more else {})
        values = {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
        values["numerics"] = tuple(sorted(values.get("numerics", {}).items()))
        found[name] = Transformer(name=name, **values)
    return found


def __getattr__(name: str) -> Any:
    if name == "NAMES":  # read when asked for
        return tuple(published())
    raise AttributeError(name)
