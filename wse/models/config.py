"""Configurations of transformers: a table of published ones, and any Hugging Face config.json."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import fields, replace
from functools import cache
from pathlib import Path
from typing import Any

from ..errors import ConfigError, did_you_mean
from ..records import dataclass
from ..schema import Boolean, Integer, Kind, Number, Text, check, read_json, shown

TABLE = Path(__file__).with_name("families.toml")

NORMS = ("layer", "rms")
ACTIVATIONS = ("gelu", "silu")
POSITIONS = ("learned", "rotary", "alibi", "none")

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
    "name": Text(),
    "source": Text(),
}


@dataclass(frozen=True, kw_only=True)
class Transformer:
    """A transformer's shape.  Sizes are counts of features, heads, tokens.

    norm        "layer" (gain and bias, mean taken away) or "rms" (gain)
    activation  "gelu" or "silu"; gated: times a second projection (SwiGLU); exact: GELU by the error function, as its
                paper has it, and not by tanh, as GPT-2 has it
    positions   "learned" (a table added to the embedding), "rotary" (the first `rotary` features of a head turned),
                "alibi" or "none"
    bias        linear layers and layer norms have one; attention_bias: those of attention, if different
    tied        the head multiplies by the embedding's table
    parallel    attention and MLP read the same normalised input and are added together (GPT-J, Falcon)
    experts     MLPs per layer, of which a token visits active_experts
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
    source: str = ""

    def __post_init__(self) -> None:
        for name, kind in SCHEMA.items():
            value = getattr(self, name)
            derived = (name == "d_head" and value == 0) or (name == "attention_bias" and value is None)
            if not derived:
                check(kind, value, f"model {self.name}" if isinstance(self.name, str) else "model", name)
        if not self.d_head:
            if self.d_model % self.heads:
                raise ConfigError(
                    f"model {self.name}: {self.heads} heads do not divide d_model {self.d_model}; give d_head"
                )
            object.__setattr__(self, "d_head", self.d_model // self.heads)
        if self.positions == "rotary" and not self.rotary:
            object.__setattr__(self, "rotary", self.d_head)
        if self.attention_bias is None:
            object.__setattr__(self, "attention_bias", self.bias)
        if self.heads % self.kv_heads:
            raise ConfigError(f"model {self.name}: kv_heads {self.kv_heads} must divide heads {self.heads}")
        if not 1 <= self.active_experts <= self.experts:
            raise ConfigError(f"model {self.name}: active_experts {self.active_experts} of {self.experts} experts")
        if self.rotary > self.d_head:
            raise ConfigError(f"model {self.name}: rotary {self.rotary} is above the {self.d_head} features of a head")

    @property
    def d_attention(self) -> int:
        """Features of the queries: heads times d_head."""
        return self.heads * self.d_head

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
        found[name] = Transformer(name=name, **shape, **(shared | (more[0] if more else {})))
    return found


def __getattr__(name: str) -> Any:
    if name == "NAMES":  # read when asked for
        return tuple(published())
    raise AttributeError(name)


def load(name: str | Path) -> Transformer:
    """The configuration of that name (1.3b and 1_3b are the same), of a config.json, or of a folder that holds one.

    ConfigError for a name that is not known, or a file that describes no transformer this package knows.
    """
    path = Path(name)
    if path.suffix == ".json" or ("\0" not in str(name) and str(name) and path.is_dir()):
        path = path if path.suffix == ".json" else path / "config.json"
        return from_hugging_face(read_json(path, "model"), path.parent.name or path.stem, str(path))
    known = published()
    plain = str(name).lower().replace(".", "_")
    if plain not in known:
        raise ConfigError(
            f"there is no model {shown(str(name))}: {did_you_mean(plain, known, most=40)}  "
            f"`wse models` lists them; a Hugging Face config.json is given by its path."
        )
    return known[plain]


# --- Hugging Face ------------------------------------------------------------------------------------------------

# Our name: the names that configurations use for it.
KEYS = {
    "layers": ("num_hidden_layers", "n_layer", "num_layers", "n_layers"),
    "d_model": ("hidden_size", "n_embd", "d_model"),
    "heads": ("num_attention_heads", "n_head", "n_heads"),
    "kv_heads": ("num_key_value_heads", "num_kv_heads", "n_head_kv"),
    "d_ff": ("intermediate_size", "n_inner", "ffn_dim", "ffn_hidden_size"),
    "vocab": ("vocab_size",),
    "sequence": ("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len"),
    "d_head": ("head_dim",),
    "norm_eps": ("rms_norm_eps", "layer_norm_epsilon", "layer_norm_eps"),
    "rope_theta": ("rope_theta", "rotary_emb_base"),
    "rotary": ("rotary_dim",),
    "tied": ("tie_word_embeddings",),
    "bias": ("mlp_bias", "bias"),
    "attention_bias": ("attention_bias",),
    "experts": ("num_local_experts",),
    "active_experts": ("num_experts_per_tok",),
}

LLAMA = {"norm": "rms", "activation": "silu", "gated": True, "positions": "rotary", "bias": False, "tied": False}
# What a model_type means beyond its numbers: the architecture in its code, and defaults of its configuration class.
TYPES: dict[str, dict[str, Any]] = {
    "gpt2": {},
    "gptj": {"positions": "rotary", "attention_bias": False, "tied": False, "parallel": True},
    "gpt_neox": {"exact": True, "positions": "rotary", "tied": False, "parallel": True},
    "falcon": {"exact": True, "positions": "rotary", "bias": False, "parallel": True},
    "bert": {"exact": True, "causal": False, "norm_eps": 1e-12},
    "llama": LLAMA,
    "mistral": LLAMA,
    "mixtral": LLAMA,
    "qwen2": LLAMA | {"attention_bias": True},
    "jais": {"activation": "silu", "gated": True, "positions": "alibi"},
    "btlm": {"activation": "silu", "gated": True, "positions": "alibi"},
}
# Their name: ours, and whether it is the exact one.
HF_ACTIVATIONS = {"gelu": ("gelu", True)} | dict.fromkeys(
    ("gelu_new", "gelu_fast", "gelu_pytorch_tanh"), ("gelu", False)
)
HF_ACTIVATIONS |= dict.fromkeys(("silu", "swish", "swiglu"), ("silu", False))


# Their keys that say more than one value of ours.
MORE: dict[str, Kind] = {
    "rotary_pct": Number(0, 1),
    "partial_rotary_factor": Number(0, 1),
    "hidden_act": Text(),
    "activation_function": Text(),
    "position_embedding_type": Text(),
    "alibi": Boolean(),
    "multi_query": Boolean(),
    "new_decoder_architecture": Boolean(),
    "_name_or_path": Text(),
}


def from_hugging_face(values: Mapping[str, Any], name: str = "", where: str = "config.json") -> Transformer:
    """A Transformer from the contents of a config.json.  name: if the file names none; where: what errors call it.

    A key that is null counts as absent; keys that say nothing about the shape are ignored.  ConfigError names the key,
    its value and what is allowed, the key that is missing, or the model_type that is not known.
    """
    if not isinstance(values, Mapping):
        raise ConfigError(f"{where} is {shown(values)}, but must be a JSON object of keys and values")
    kind = values.get("model_type", "")
    if not isinstance(kind, str) or kind not in TYPES:
        raise ConfigError(f"{where} has model_type {shown(kind)}: {did_you_mean(str(kind), TYPES, most=len(TYPES))}")
    for key, rule in MORE.items():
        if values.get(key) is not None:
            check(rule, values[key], where, key)
    found: dict[str, Any] = dict(TYPES[kind])
    for ours, theirs in KEYS.items():
        for key in theirs:
            if values.get(key) is not None:
                found[ours] = check(SCHEMA[ours], values[key], where, key)
                break
    for ours in ("layers", "d_model", "heads", "vocab"):
        if ours not in found:
            raise ConfigError(f"{where} of type {kind} lacks {' or '.join(KEYS[ours])}")
    found.setdefault("d_ff", 4 * found["d_model"])
    found.setdefault("kv_heads", found["heads"])
    if kind == "falcon" and values.get("multi_query") and not values.get("new_decoder_architecture"):
        found["kv_heads"] = 1
    found.setdefault("sequence", 2048)
    if found.get("positions") == "rotary" and (share := values.get("rotary_pct", values.get("partial_rotary_factor"))):
        found["rotary"] = int(share * found["d_model"] // found["heads"])
    elif found.get("positions") != "rotary":
        found.pop("rotary", None)
    words = values.get("hidden_act") or values.get("activation_function")
    if words is not None:
        if words not in HF_ACTIVATIONS:
            raise ConfigError(f"{where} has the activation {shown(words)}: known are {', '.join(HF_ACTIVATIONS)}")
        found["activation"], found["exact"] = HF_ACTIVATIONS[words]
    if values.get("position_embedding_type") == "alibi" or values.get("alibi"):
        found["positions"] = "alibi"
        found.pop("rotary", None)
    label = values.get("_name_or_path") or name or kind
    return Transformer(name=Path(str(label)).name or kind, source="config.json", **found)
