"""Weights of decoders and encoders of text, from GGUF and safetensors files, as float32 under one set of names.

pretrained.py reads the files; names.py knows the tensors of each family.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ConfigError
from ..records import dataclass
from .bodies import graph
from .config import Transformer
from .pretrained import Pretrained, open_pretrained
from .reading import LOCAL, SCALED_ALIBI

# Arrays of a layer by the names of the graph's parameters.
LAYER = {
    **{f"attention.{x}.weight": x for x in "qkvo"},
    **{f"attention.{x}.bias": f"{x}_bias" for x in "qkvo"},
    **{f"mlp.{x}.weight": x for x in ("gate", "up", "down")},
    **{f"mlp.{x}.bias": f"{x}_bias" for x in ("gate", "up", "down")},
    **{f"norm{i}.gain": f"gains{i}" for i in (1, 2)},
    **{f"norm{i}.bias": f"shift{i}" for i in (1, 2)},
    **{f"norm{i}_after.gain": f"gains{i + 2}" for i in (1, 2)},
    **{f"norm{i}_after.bias": f"shift{i + 2}" for i in (1, 2)},
    **{f"mlp.experts.{x}.weight": x for x in ("router", "gate", "up", "down")},
    **{f"mlp.experts.{x}.bias": f"{x}_bias" for x in ("router", "gate", "up", "down")},
    **{f"mlp.shared.{x}.weight": f"shared_{x}" for x in ("gate", "up", "down")},
    "mlp.experts.correction": "correction",
    "attention.sinks": "sinks",
    **{f"attention.norm_{x}.gain": f"norm_{x}" for x in ("q", "k", "kv")},
    **{f"attention.{x}.weight": x for x in ("q_low", "kv_low", "k_rope")},
    **{f"attention.{x}.bias": f"{x}_bias" for x in ("q_low", "kv_low", "k_rope")},
}
WHOLE = {
    "embedding.weight": "embedding",
    "head.weight": "head",
    "head.bias": "head_bias",
    "norm.gain": "gains",
    "norm.bias": "shift",
    "positions.weight": "positions",
    "token_types.weight": "token_types",
    "embedding.norm.gain": "embedding_gains",
    "embedding.norm.bias": "embedding_shift",
}


@dataclass(frozen=True, eq=False)
class Weights:
    """A model with its weights.

    config      its shape
    embedding   float32 [vocab, d_model]
    head        float32 [vocab, d_model], None if it is the embedding
    gains       float32 [d_model], of the last norm; empty if there is none
    layers      for each layer float32 arrays: q [heads d_head, d_model], k, v [kv_heads d_head, d_model],
                o [d_model, heads d_head], gate, up [d_ff, d_model], down [d_model, d_ff], gains1, gains2 [d_model];
                if the model has them, biases q_bias, ..., shifts of LayerNorms shift1, ..., gains3, gains4 of norms
                behind attention and MLP, gains norm_q, norm_k, sinks [heads].  RoPE turns the two halves of the rotated
                features.  With experts, gate, up, down and their biases have a first axis of them, and there are
                router [experts, d_model] and router_bias; correction [experts] of its choice; shared_gate, shared_up,
                shared_down of the MLP beside the experts.  Of latent attention, q is [heads d_head, q_rank or d_model],
                k [heads (d_head - d_rope), kv_rank], v [heads d_value, kv_rank]; there are q_low [q_rank, d_model],
                kv_low [kv_rank, d_model], k_rope [d_rope, d_model], their biases, gains norm_q, norm_kv
    metadata    of a GGUF file, by key, its vocabulary included; empty for others
    more        arrays that some models have: shift of the last norm; positions [sequence and more, d_model], of tokens
                first, with the row of the first segment of an encoder in them; embedding_gains, embedding_shift;
                head_bias [vocab]
    """

    config: Transformer
    embedding: np.ndarray
    head: np.ndarray | None
    gains: np.ndarray
    layers: tuple[Mapping[str, np.ndarray], ...]
    metadata: Mapping[str, Any]
    more: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """Number of weights."""
        arrays = [self.embedding, self.gains, *(a for layer in self.layers for a in layer.values())]
        return sum(a.size for a in (*arrays, *self.more.values())) + (0 if self.head is None else self.head.size)


def read_weights(path: Path) -> Weights:
    """The weights of a decoder from a GGUF file, a safetensors file beside its config.json, or a folder with both.

    ConfigError for another kind of file, a missing package, a missing or superfluous tensor, a wrong shape, and a model
    whose layers are not supported.
    """
    files = open_pretrained(path)
    config = _config(files)
    check_supported(config)
    return _collected(files, config)


def read_encoder(path: Path) -> Weights:
    """The weights of an encoder of text, without pooler and head.  Errors as `read_weights`."""
    files = open_pretrained(path)
    config = files.model()
    _refuse(config, encoder_differences(config), "of the kind that sentences are encoded with")
    return _collected(files, config.but(head="none", pooler=False))


def read_gguf_config(path: Path) -> Transformer:
    """The shape of a GGUF file's model.  ConfigError as `read_weights`."""
    return _config(open_pretrained(path))


def _config(files: Pretrained) -> Transformer:
    """The configuration, under the name that a GGUF file gives its model."""
    config = files.model()
    return config.but(name=str(files.metadata.get("general.name", config.name)))


def _collected(files: Pretrained, config: Transformer) -> Weights:
    whole: dict[str, np.ndarray] = {}
    layers: list[dict[str, np.ndarray]] = [{} for _ in range(config.layers)]
    for name, values in files.weights(graph(config), graph(files.model())).items():
        if name.startswith("layers."):
            _, number, plain = name.split(".", 2)
            layers[int(number)][LAYER[plain]] = values
        else:
            whole[WHOLE[name]] = values
    for layer in layers:
        if config.parallel and config.parallel_norms == 1:  # one norm for both
            layer |= {f"{name}2": layer[f"{name}1"] for name in ("gains", "shift") if f"{name}1" in layer}
    embedding, head = whole.pop("embedding"), whole.pop("head", None)
    gains = whole.pop("gains", np.zeros(0, np.float32))
    types = whole.pop("token_types", None)
    if types is not None:  # of a sentence alone, all tokens are of the first segment
        whole["positions"] = whole["positions"] + types[0]
    return Weights(config, embedding, head, gains, tuple(layers), files.metadata, whole)


# --- what is supported ------------------------------------------------------------------------------------------------


SCALES = ("embeddings_scale", "width_scale", "output_alpha", "scale_qk_dot_by_d")  # of Jais and BTLM
# Settings of decoders that are executed: numbers of `strip_layout.setting`.
SETTINGS = (
    *("embedding times", "query_pre_attn_scalar", "attn_logit_softcapping", "final_logit_softcapping"),
    *(LOCAL, SCALED_ALIBI, "norm_topk_prob", "swiglu_limit", "swiglu_alpha"),
    *("scale_attn_weights", "scale_attn_by_inverse_layer_idx"),
    *("attn_config.clip_qkv", "attn_config.softmax_scale", "attn_config.alibi_bias_max", "logit_scale"),
    *(f"{prefix}{name}" for prefix in ("", "mup_") for name in SCALES),
    *("rope_interleave", "topk_method", "scoring_func", "n_group", "topk_group", "routed_scaling_factor"),
    *("router_aux_loss_coef", "router_jitter_noise", "aux_loss_alpha", "seq_aux"),  # of training
)


def _shared_differences(config: Transformer, executed: tuple[str, ...] = ()) -> Iterator[tuple[str, bool]]:
    """What neither is supported of decoders nor of encoders.  executed: settings that are."""
    scaled = ("rope_scaling", "rope_parameters", "rope_parameters.full_attention") if config.rope_scaling else ()
    settings = [key for key, _ in config.numerics if "drop" not in key and key not in (*scaled, *executed)]
    yield f"RoPE turns {config.rotary} features", config.positions == "rotary" and config.rotary % 2 == 1
    yield f"heads have {config.d_head} features, an odd number", config.d_head % 2 == 1 and not config.kv_rank
    yield f"norms of queries and keys are {config.norm}", config.qk_norm != "none" and config.norm != "rms"
    yield f"the MLP is gated by {config.activation}", config.gated and config.activation in ("relu", "relu2")
    yield "the embedding has other features", config.d_embedding not in (0, config.d_model)
    yield f"settings {', '.join(settings)}", bool(settings)
    yield "attention and MLP are parallel with such norms", config.parallel and config.norm_at != "before"


def differences(config: Transformer) -> list[str]:
    """In what the model differs from the decoders that `wse generate` executes; empty if it is one."""
    own = [
        (f"body is {config.body}", config.body != "decoder"),
        ("attention is not causal", not config.causal),
        ("there is no head", config.head != "logits"),
        ("there is no norm before the head", not config.final_norm),
        ("it has segments", config.token_types > 0),
        *_routing_differences(config),
        (
            "a scaled sum of embedding and trained positions",
            config.positions == "learned" and any("embeddings_scale" in key for key, _ in config.numerics),
        ),
        (
            f"latent attention of {config.kv_rank} and {config.d_rope} features",
            config.kv_rank > 0 and (config.kv_rank + config.d_rope) % 2 == 1,
        ),
    ]
    return [what for what, wrong in (*own, *_shared_differences(config, SETTINGS)) if wrong]


def _routing_differences(config: Transformer) -> Iterator[tuple[str, bool]]:
    """What is not supported of experts."""
    values = dict(config.numerics)
    method, groups = str(values.get("topk_method", "greedy")), int(values.get("n_group", 1) or 1)
    chosen, scoring = int(values.get("topk_group", 1) or 1), "sigmoid" if method == "noaux_tc" else "softmax"
    several, grouped = config.experts > 1, method != "greedy" and groups > 1
    size = config.experts // groups
    given = values.get("scoring_func", "softmax")
    yield f"topk_method {method} with scoring_func {given}", given != scoring
    yield (
        "norm_topk_prob with topk_method greedy or group_limited_greedy",
        config.kv_rank > 0 and method != "noaux_tc" and bool(values.get("norm_topk_prob")),
    )
    yield f"{config.experts} experts in {groups} groups", several and grouped and config.experts % groups > 0
    yield "groups of one expert", several and grouped and method == "noaux_tc" and size < 2
    yield (
        f"{config.active_experts} experts of a token out of {chosen} groups of {size}",
        several and grouped and not config.active_experts <= min(chosen, groups) * size,
    )
    yield f"{chosen} of {groups} groups", several and grouped and not 1 <= chosen <= groups
    yield "a MLP beside experts with biases", several and config.d_shared > 0 and config.expert_bias


def encoder_differences(config: Transformer) -> list[str]:
    """In what the model differs from the encoders that `wse embed` executes; empty if it is one."""
    own = [
        (f"body is {config.body}", config.body != "encoder"),
        ("attention is causal", config.causal),
        (f"positions are {config.positions}", config.positions not in ("learned", "rotary")),
        ("segments without trained positions", config.token_types > 0 and config.positions != "learned"),
        ("attention has a window", any(0 < window < config.sequence for window in config.windows)),
        ("a norm follows the last layer", config.final_norm),
        (f"{config.experts} experts", config.experts > 1),
        ("attention has sinks", config.sinks),
        ("latent attention", config.kv_rank > 0),
    ]
    return [what for what, wrong in (*own, *_shared_differences(config)) if wrong]


def check_supported(config: Transformer) -> None:
    """ConfigError unless the model is a decoder that `wse generate` executes, naming what differs."""
    _refuse(config, differences(config), "of the kind that is generated with")


def _refuse(config: Transformer, differs: list[str], kind: str) -> None:
    if differs:
        raise ConfigError(f"{config.name or 'the model'} is not {kind}: " + "; ".join(differs))
