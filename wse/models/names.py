"""Names and layouts of Hugging Face's tensors for the parameters of a graph, by model type.

Most tensors are a parameter of ours under another name.  Some files join parameters (queries, keys and values of GPT-2,
GPT-NeoX and Phi-3), transpose matrices (GPT-2), begin the table of positions with rows of no token (OPT), have features
that RoPE turns in another order (GPT-J, GLM-4), or gains of norms less 1 (Gemma).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import field
from typing import Any

import numpy as np

from ..errors import ConfigError
from ..records import dataclass
from .config import Transformer
from .graph import Graph

Arrays = list[np.ndarray]
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Entry:
    """A tensor of a file.

    name    Hugging Face's
    ours    names of the parameters that it holds
    shape   of the tensor
    split   the tensor -> arrays of `ours`, float32
    join    the inverse
    """

    name: str
    ours: tuple[str, ...]
    shape: Shape
    split: Callable[[np.ndarray], Arrays]
    join: Callable[[Arrays], np.ndarray]


@dataclass(frozen=True)
class Naming:
    """Of a model type.

    operators   name of an operator of ours, with N for the number of the layer -> the prefix of its tensors
    transposed  operators whose weights are [inputs, outputs]
    fused       names of a tensor's prefix -> the operators that it joins, one after the other
    per_head    whether fused queries, keys and values lie beside each other for each key-value head
    shifted     whether rows of the table of positions that no token has come first
    interleaved whether RoPE turns features 2 i and 2 i + 1 of a head; ours turns i and i + half of the turned ones
    less_one    whether gains of norms are stored less 1
    """

    operators: Mapping[str, str]
    transposed: tuple[str, ...] = ()
    fused: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    per_head: bool = False
    shifted: bool = False
    interleaved: bool = False
    less_one: bool = False


def _llama(**changes: str) -> dict[str, str]:
    layer = "model.layers.N."
    plain = {
        "embedding": "model.embed_tokens",
        "norm": "model.norm",
        "head": "lm_head",
        "norm1": f"{layer}input_layernorm",
        "norm2": f"{layer}post_attention_layernorm",
        **{f"attention.{x}": f"{layer}self_attn.{x}_proj" for x in "qkvo"},
        "attention.norm_q": f"{layer}self_attn.q_norm",
        "attention.norm_k": f"{layer}self_attn.k_norm",
        **{f"mlp.{x}": f"{layer}mlp.{x}_proj" for x in ("gate", "up", "down")},
    }
    return plain | {key: value.replace("L.", layer) for key, value in changes.items()}


_QKV = ("attention.q", "attention.k", "attention.v")
_H = "transformer.h.N."
_D = "model.decoder."
_X = "gpt_neox."
_M = "transformer.blocks.N."


def _bert(prefix: str, head: str) -> dict[str, str]:
    layer = f"{prefix}.encoder.layer.N."
    masked = head.startswith("cls.")
    return {
        "embedding": f"{prefix}.embeddings.word_embeddings",
        "positions": f"{prefix}.embeddings.position_embeddings",
        "token_types": f"{prefix}.embeddings.token_type_embeddings",
        "embedding.norm": f"{prefix}.embeddings.LayerNorm",
        **{f"attention.{x}": f"{layer}attention.self.{word}" for x, word in zip("qkv", _WORDS, strict=True)},
        "attention.o": f"{layer}attention.output.dense",
        "norm1": f"{layer}attention.output.LayerNorm",
        "mlp.up": f"{layer}intermediate.dense",
        "mlp.down": f"{layer}output.dense",
        "norm2": f"{layer}output.LayerNorm",
        "pooler": f"{prefix}.pooler.dense",
        "head.dense": f"{head}.dense",
        "head.norm": f"{head}.{'LayerNorm' if masked else 'layer_norm'}",
        "head": "cls.predictions" if masked else "lm_head",
    }


def _gpt2(gate: bool) -> Naming:
    return Naming(
        {
            "embedding": "transformer.wte",
            "positions": "transformer.wpe",
            "norm": "transformer.ln_f",
            "head": "lm_head",
            "norm1": f"{_H}ln_1",
            "norm2": f"{_H}ln_2",
            "attention.o": f"{_H}attn.c_proj",
            "mlp.up": f"{_H}mlp.c_fc",
            "mlp.down": f"{_H}mlp.c_proj",
        }
        | ({"mlp.gate": f"{_H}mlp.c_fc2"} if gate else {}),
        transposed=("attention.o", "mlp.gate", "mlp.up", "mlp.down", *_QKV),
        fused={f"{_H}attn.c_attn": _QKV},
    )


def _falcon(norm1: str, norm2: str) -> Naming:
    return Naming(
        {
            "embedding": "transformer.word_embeddings",
            "norm": "transformer.ln_f",
            "head": "lm_head",
            "norm1": f"{_H}{norm1}",
            "norm2": f"{_H}{norm2}",
            "attention.o": f"{_H}self_attention.dense",
            "mlp.up": f"{_H}mlp.dense_h_to_4h",
            "mlp.down": f"{_H}mlp.dense_4h_to_h",
        },
        fused={f"{_H}self_attention.query_key_value": _QKV},
        per_head=True,
    )


def _experts(block: str, **roles: str) -> dict[str, str]:
    """Tensors of each expert are read as one, its number left out of the name."""
    made = {f"mlp.experts.{ours}": f"L.{block}.experts.{theirs}" for ours, theirs in roles.items()}
    return {"mlp.experts.router": f"L.{block}.gate"} | made


_DEEPSEEK = Naming(
    _llama(
        **_experts("mlp", gate="gate_proj", up="up_proj", down="down_proj"),
        **{f"mlp.shared.{x}": f"L.mlp.shared_experts.{x}_proj" for x in ("gate", "up", "down")},
        **{"attention.q_low": "L.self_attn.q_a_proj", "attention.norm_q": "L.self_attn.q_a_layernorm"},
        **{"attention.norm_kv": "L.self_attn.kv_a_layernorm"},
    )
)
# Norms in front of attention and MLP and behind each.
_BOTH = {
    "norm1_after": "L.post_attention_layernorm",
    "norm2": "L.pre_feedforward_layernorm",
    "norm2_after": "L.post_feedforward_layernorm",
}
_WORDS = ("query", "key", "value")
NAMINGS: dict[str, Naming] = {
    **dict.fromkeys(("llama", "mistral", "qwen2", "qwen3", "smollm3"), Naming(_llama())),
    "olmo2": Naming(_llama(norm1="L.post_attention_layernorm", norm2="L.post_feedforward_layernorm")),
    "starcoder2": Naming(_llama() | {"mlp.up": "model.layers.N.mlp.c_fc", "mlp.down": "model.layers.N.mlp.c_proj"}),
    "phi": Naming(
        _llama()
        | {"norm": "model.final_layernorm", "attention.o": "model.layers.N.self_attn.dense"}
        | {"mlp.up": "model.layers.N.mlp.fc1", "mlp.down": "model.layers.N.mlp.fc2"}
    ),
    "phi3": Naming(
        _llama(),
        fused={
            "model.layers.N.self_attn.qkv_proj": _QKV,
            "model.layers.N.mlp.gate_up_proj": ("mlp.gate", "mlp.up"),
        },
    ),
    "gemma": Naming(_llama(), less_one=True),
    "mixtral": Naming(_llama(**_experts("block_sparse_moe", gate="w1", up="w3", down="w2"))),
    "qwen3_moe": Naming(_llama(**_experts("mlp", gate="gate_proj", up="up_proj", down="down_proj"))),
    **dict.fromkeys(("deepseek_v2", "deepseek_v3", "kimi_k2"), _DEEPSEEK),
    "gpt_oss": Naming(_llama(**{"mlp.experts.router": "L.mlp.router"})),
    **dict.fromkeys(("gemma2", "gemma3_text"), Naming(_llama(**_BOTH), less_one=True)),
    "glm4": Naming(
        _llama(norm1_after="L.post_self_attn_layernorm", norm2_after="L.post_mlp_layernorm"),
        fused={"model.layers.N.mlp.gate_up_proj": ("mlp.gate", "mlp.up")},
        interleaved=True,
    ),
    "gpt2": _gpt2(gate=False),
    **dict.fromkeys(("jais", "btlm"), _gpt2(gate=True)),
    "opt": Naming(
        {
            "embedding": f"{_D}embed_tokens",
            "positions": f"{_D}embed_positions",
            "embedding.projection": f"{_D}project_in",
            "head.projection": f"{_D}project_out",
            "norm": f"{_D}final_layer_norm",
            "head": "lm_head",
            "norm1": f"{_D}layers.N.self_attn_layer_norm",
            "norm2": f"{_D}layers.N.final_layer_norm",
            **{f"attention.{x}": f"{_D}layers.N.self_attn.{x}_proj" for x in "qkv"},
            "attention.o": f"{_D}layers.N.self_attn.out_proj",
            "mlp.up": f"{_D}layers.N.fc1",
            "mlp.down": f"{_D}layers.N.fc2",
        },
        shifted=True,
    ),
    "gpt_neox": Naming(
        {
            "embedding": f"{_X}embed_in",
            "norm": f"{_X}final_layer_norm",
            "head": "embed_out",
            "norm1": f"{_X}layers.N.input_layernorm",
            "norm2": f"{_X}layers.N.post_attention_layernorm",
            "attention.o": f"{_X}layers.N.attention.dense",
            "mlp.up": f"{_X}layers.N.mlp.dense_h_to_4h",
            "mlp.down": f"{_X}layers.N.mlp.dense_4h_to_h",
        },
        fused={f"{_X}layers.N.attention.query_key_value": _QKV},
        per_head=True,
    ),
    "gptj": Naming(
        {
            "embedding": "transformer.wte",
            "norm": "transformer.ln_f",
            "head": "lm_head",
            "norm1": f"{_H}ln_1",
            **{f"attention.{x}": f"{_H}attn.{x}_proj" for x in "qkv"},
            "attention.o": f"{_H}attn.out_proj",
            "mlp.up": f"{_H}mlp.fc_in",
            "mlp.down": f"{_H}mlp.fc_out",
        },
        interleaved=True,
    ),
    "falcon": _falcon(norm1="input_layernorm", norm2="post_attention_layernorm"),
    "bloom": Naming(
        {
            "embedding": "transformer.word_embeddings",
            "embedding.norm": "transformer.word_embeddings_layernorm",
            "norm": "transformer.ln_f",
            "head": "lm_head",
            "norm1": f"{_H}input_layernorm",
            "norm2": f"{_H}post_attention_layernorm",
            "attention.o": f"{_H}self_attention.dense",
            "mlp.up": f"{_H}mlp.dense_h_to_4h",
            "mlp.down": f"{_H}mlp.dense_4h_to_h",
        },
        fused={f"{_H}self_attention.query_key_value": _QKV},
        per_head=True,
    ),
    "mpt": Naming(
        {
            "embedding": "transformer.wte",
            "norm": "transformer.norm_f",
            "head": "lm_head",
            "norm1": f"{_M}norm_1",
            "norm2": f"{_M}norm_2",
            "attention.o": f"{_M}attn.out_proj",
            "mlp.up": f"{_M}ffn.up_proj",
            "mlp.down": f"{_M}ffn.down_proj",
        },
        fused={f"{_M}attn.Wqkv": _QKV},
    ),
    "bert": Naming(_bert("bert", head="cls.predictions.transform")),
    "roberta": Naming(_bert("roberta", head="lm_head"), shifted=True),
}
# Tensors of files that no parameter takes: masks, tables of rotary positions, a head that shares the embedding.
NEUTRAL = re.compile(
    r"(^|\.)(attn\.(bias|masked_bias)|attention\.(bias|masked_bias)|rotary_emb\.inv_freq|embeddings\.position_ids)$"
)
_ROLES = {"weight": "weight", "bias": "bias", "gain": "weight"}


def entries(graph: Graph, kind: str) -> list[Entry]:
    """The tensors of a file that hold all parameters of the graph.  kind: the model_type.

    Raises ConfigError for a type whose names are not known, and for a parameter that has none.
    """
    naming = NAMINGS.get(kind)
    if kind == "falcon" and graph.model.parallel_norms == 2:
        naming = _falcon(norm1="ln_attn", norm2="ln_mlp")
    if naming is None:
        raise ConfigError(f"names of tensors of model type {kind!r} are not known; known are {', '.join(NAMINGS)}")
    left = dict.fromkeys(graph.parameters)
    found = []
    for number in range(graph.model.layers):
        for prefix, parts in naming.fused.items():
            for role in ("weight", "bias"):
                ours = tuple(f"layers.{number}.{part}.{role}" for part in parts)
                if all(name in left for name in ours):
                    found.append(_fused(graph, naming, prefix.replace(".N.", f".{number}.") + f".{role}", ours))
                    for name in ours:
                        left.pop(name)
    more = _gpt_oss if kind == "gpt_oss" else _deepseek if naming is _DEEPSEEK else _none
    for number in range(graph.model.layers):
        for entry in more(graph, number):
            found.append(entry)
            for name in entry.ours:
                left.pop(name, None)
    return found + [_single(graph, naming, kind, name) for name in left]


def _single(graph: Graph, naming: Naming, kind: str, name: str) -> Entry:
    operator, role = name.rsplit(".", 1)
    layer = re.match(r"layers\.(\d+)\.", operator)
    plain = operator[layer.end() :] if layer else operator
    prefix = naming.operators.get(plain)
    if prefix is None or role not in _ROLES:
        raise ConfigError(f"files of model type {kind} have no tensor for the parameter {name}")
    theirs = f"{prefix.replace('.N.', f'.{layer[1]}.') if layer else prefix}.{_ROLES[role]}"
    shape = graph.parameters[name].shape
    if naming.less_one and role == "gain":
        return Entry(theirs, (name,), shape, lambda x: [x + np.float32(1)], lambda xs: xs[0] - np.float32(1))
    order = row_order(graph, kind, plain)
    if order is not None:
        return Entry(theirs, (name,), shape, lambda x: [x[order]], lambda xs: xs[0][np.argsort(order)])
    if plain in naming.transposed and len(shape) == 2:
        return Entry(theirs, (name,), shape[::-1], lambda x: [x.T], lambda xs: xs[0].T)
    if plain == "positions" and naming.shifted:
        extra = graph.model.extra_positions
        # The rows that are cut from a longer table stay at its end.
        first = min(extra, _SHIFT)
        return Entry(theirs, (name,), shape, lambda x: [np.roll(x, -first, 0)], lambda xs: np.roll(xs[0], first, 0))
    return Entry(theirs, (name,), shape, lambda x: [x], lambda xs: xs[0])


_SHIFT = 2  # rows before those of tokens, in OPT


def _none(graph: Graph, number: int) -> Iterator[Entry]:
    return iter(())


def _gpt_oss(graph: Graph, number: int) -> Iterator[Entry]:
    """Sinks, and the experts' tensors: gates and ups alternate; matrices are [experts, inputs, outputs]."""
    ours, theirs = f"layers.{number}", f"model.layers.{number}"

    def shape(name: str) -> Shape:
        return graph.parameters[f"{ours}.{name}"].shape

    e, f, d = shape("mlp.experts.gate.weight")
    yield Entry(
        f"{theirs}.self_attn.sinks", (f"{ours}.attention.sinks",), (graph.model.heads,), lambda x: [x], lambda xs: xs[0]
    )
    for end, whole in (("weight", (e, d, 2 * f)), ("bias", (e, 2 * f))):
        yield Entry(
            f"{theirs}.mlp.experts.gate_up_proj{'_bias' * (end == 'bias')}",
            tuple(f"{ours}.mlp.experts.{role}.{end}" for role in ("gate", "up")),
            whole,
            lambda x: [x[..., i::2].swapaxes(1, -1) for i in (0, 1)],
            lambda xs: np.stack([x.swapaxes(1, -1) for x in xs], axis=-1).reshape(
                *xs[0].swapaxes(1, -1).shape[:-1], -1
            ),
        )
    for end, whole in (("weight", (e, f, d)), ("bias", (e, d))):
        yield Entry(
            f"{theirs}.mlp.experts.down_proj{'_bias' * (end == 'bias')}",
            (f"{ours}.mlp.experts.down.{end}",),
            whole,
            lambda x: [x.swapaxes(1, -1)],
            lambda xs: xs[0].swapaxes(1, -1),
        )


def _deepseek(graph: Graph, number: int) -> Iterator[Entry]:
    """Tensors of latent attention, and the correction of a router's scores, which is no parameter of the graph."""
    m, ours, theirs = graph.model, f"layers.{number}.attention", f"model.layers.{number}.self_attn"
    nope = m.d_head - m.d_rope
    pairs = np.arange(m.d_rope)
    if dict(m.numerics).get("rope_interleave", True):
        pairs = np.concatenate([pairs[::2], pairs[1::2]])
    back = np.argsort(pairs)

    def turned(x: np.ndarray, order: np.ndarray) -> np.ndarray:
        """The last d_rope rows in another order."""
        return np.concatenate([x[: -m.d_rope], x[-m.d_rope :][order]])

    def of_heads(x: np.ndarray, order: np.ndarray) -> np.ndarray:
        heads = x.reshape(m.heads, m.d_head, -1)
        return np.concatenate([heads[:, :nope], heads[:, nope:][:, order]], axis=1).reshape(x.shape)

    q = graph.parameters[f"{ours}.q.weight"].shape
    name = f"{theirs}.{'q_b_proj' if m.q_rank else 'q_proj'}.weight"
    yield Entry(name, (f"{ours}.q.weight",), q, lambda x: [of_heads(x, pairs)], lambda xs: of_heads(xs[0], back))
    for role in ("weight", "bias"):
        low = tuple(f"{ours}.{part}.{role}" for part in ("kv_low", "k_rope"))
        if low[0] in graph.parameters:
            shape = (m.kv_rank + m.d_rope, *graph.parameters[low[0]].shape[1:])
            yield Entry(
                f"{theirs}.kv_a_proj_with_mqa.{role}", low, shape,
                lambda x: np.split(turned(x, pairs), [m.kv_rank]), lambda xs: turned(np.concatenate(xs), back),
            )  # fmt: skip
    whole = (m.heads * (nope + m.d_value), m.kv_rank)
    yield Entry(
        f"{theirs}.kv_b_proj.weight", (f"{ours}.k.weight", f"{ours}.v.weight"), whole,
        lambda x: [part.reshape(-1, m.kv_rank) for part in np.split(x.reshape(m.heads, -1, m.kv_rank), [nope], axis=1)],
        lambda xs: np.concatenate([x.reshape(m.heads, -1, m.kv_rank) for x in xs], axis=1).reshape(whole),
    )  # fmt: skip
    if m.block(number).experts and dict(m.numerics).get("topk_method") == "noaux_tc":
        yield Entry(
            f"model.layers.{number}.mlp.gate.e_score_correction_bias", (f"layers.{number}.mlp.experts.correction",),
            (m.experts,), lambda x: [x], lambda xs: xs[0],
        )  # fmt: skip


def row_order(graph: Graph, kind: str, plain: str) -> np.ndarray | None:
    """The rows of a file's matrix of outputs in our order, int [rows]; None: the same.

    kind: the model_type.  plain: the operator without its layer, such as "attention.q".  Turned features of queries and
    keys alternate in the files of some types.
    """
    m = graph.model
    if not NAMINGS[kind].interleaved or plain not in ("attention.q", "attention.k"):
        return None
    of_head = np.concatenate([np.arange(0, m.rotary, 2), np.arange(1, m.rotary, 2), np.arange(m.rotary, m.d_head)])
    rows = m.d_attention if plain == "attention.q" else m.d_kv
    return (np.arange(0, rows, m.d_head)[:, None] + of_head).ravel()


def _fused(graph: Graph, naming: Naming, theirs: str, ours: tuple[str, ...]) -> Entry:
    shapes = [graph.parameters[name].shape for name in ours]
    rows = np.cumsum([shape[0] for shape in shapes])
    whole = (int(rows[-1]), *shapes[0][1:])
    turn = len(whole) == 2 and ours[0].rsplit(".", 1)[0].split(".", 2)[2] in naming.transposed
    if not naming.per_head:

        def split(x: np.ndarray) -> Arrays:
            return np.split(x.T if turn else x, rows[:-1])

        def join(xs: Arrays) -> np.ndarray:
            made = np.concatenate(xs)
            return made.T if turn else made

        return Entry(theirs, ours, whole[::-1] if turn else whole, split, join)
    groups = graph.model.kv_heads
    parts = np.cumsum([shape[0] // groups for shape in shapes])

    def split_heads(x: np.ndarray) -> Arrays:
        each = np.split(x.reshape(groups, -1, *whole[1:]), parts[:-1], axis=1)
        return [part.reshape(shape) for part, shape in zip(each, shapes, strict=True)]

    def join_heads(xs: Arrays) -> np.ndarray:
        return np.concatenate([x.reshape(groups, -1, *whole[1:]) for x in xs], axis=1).reshape(whole)

    return Entry(theirs, ours, whole, split_heads, join_heads)


def config_of(model: Transformer) -> dict[str, Any]:
    """The config.json of a model that has none: of GPT-2's, Llama's or Mixtral's kind, whichever is nearest."""
    shared = {"vocab_size": model.vocab, "tie_word_embeddings": model.tied}
    gpt2 = {
        "model_type": "gpt2",
        "architectures": ["GPT2LMHeadModel"],
        "n_layer": model.layers,
        "n_embd": model.d_model,
        "n_head": model.heads,
        "n_inner": model.d_ff,
        "n_positions": model.sequence + model.extra_positions,
        "layer_norm_epsilon": model.norm_eps,
        "activation_function": {"relu": "relu", "relu2": "relu2", "silu": "silu"}.get(
            model.activation, "gelu" if model.exact else "gelu_new"
        ),
        **dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), 0.0),
    }
    llama = {
        "model_type": "llama",
        "architectures": ["LlamaForCausalLM"],
        "num_hidden_layers": model.layers,
        "hidden_size": model.d_model,
        "num_attention_heads": model.heads,
        "num_key_value_heads": model.kv_heads,
        "head_dim": model.d_head,
        "intermediate_size": model.d_ff,
        "max_position_embeddings": model.sequence,
        "rms_norm_eps": model.norm_eps,
        "rope_theta": model.rope_theta,
        "hidden_act": model.activation,
        "attention_bias": bool(model.attention_bias),
        "mlp_bias": model.bias,
        "attention_dropout": 0.0,
    }
    if model.experts > 1:
        for key in ("attention_bias", "mlp_bias"):
            del llama[key]
        llama |= {"model_type": "mixtral", "architectures": ["MixtralForCausalLM"]}
        llama |= {"num_local_experts": model.experts, "num_experts_per_tok": model.active_experts}
        llama |= {"intermediate_size": model.d_expert or model.d_ff, "router_jitter_noise": 0.0}
    return (gpt2 if model.positions == "learned" else llama) | shared
