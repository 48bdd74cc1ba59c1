"""How a Hugging Face config.json is read: by the row of its family, every key once, none ignored.

A Family names the keys that are fields of ours, those that change values only, and those that change nothing; its rules
are functions for what a single key does not say.  A key that neither the row nor a rule takes is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from pathlib import Path
from typing import Any

from ..errors import ConfigError, did_you_mean
from ..records import dataclass
from ..schema import Boolean, Integer, Items, Kind, Number, Text, check, shown
from .config import SCHEMA, Transformer
from .rope import TRAINED

# Keys of every family that change neither the model nor its training: names, tokens, generation, outputs, storage.
NEUTRAL = """
    _attn_implementation _attn_implementation_autoset _commit_hash _name_or_path architectures auto_map bad_words_ids
    begin_suppress_tokens bos_token_id cache_implementation chunk_size_feed_forward cls_token_id
    cross_attention_hidden_size decoder_start_token_id diversity_penalty do_sample dtype early_stopping
    encoder_no_repeat_ngram_size eos_token_id exponential_decay_length_penalty finetuning_task forced_bos_token_id
    forced_eos_token_id generation_config gradient_checkpointing id2label init_device init_std initializer_factor
    initializer_range is_llama_config label2id length_penalty mask_token_id max_length min_length model_type
    no_repeat_ngram_size num_beam_groups num_beams num_return_sequences output_attentions output_hidden_states
    output_past output_router_logits output_scores pad_token_id prefix pretraining_tp problem_type quantization_config
    remove_invalid_values repetition_penalty return_dict return_dict_in_generate sep_token_id suppress_tokens
    task_specific_params temperature tf_legacy_loss tokenizer_class tokenizer_name top_k top_p torch_dtype torchscript
    transformers.js_config transformers_version typical_p unk_token_id unsloth_fixed unsloth_version use_bfloat16
    use_cache
"""
# Keys of every family that must have this value: with another one the model is of a kind that is not supported.
ONLY: dict[str, Any] = {
    "add_cross_attention": False,
    "is_decoder": False,
    "is_encoder_decoder": False,
    "pruned_heads": {},
    "tie_encoder_decoder": False,
}
# Settings in `numerics` that have no key of their own, or another in newer files.
LOCAL = "rope_local_base_freq"  # the base of rotary positions of layers with a window, which are not scaled
SCALED_ALIBI = "ALiBi scaled"  # the bias is scaled as scores are

DROPOUT = Number(0, 1)
LONG = Number(0, 1e15, above=True)
MAY_BE_NONE = ("token_types",)
SIZES = ("layers", "d_model", "heads", "vocab")  # that a file must have, unless the row of its family has them
_TANH = {"activation": "gelu", "exact": False}
_SILU = {"activation": "silu"}
ACTIVATIONS: dict[str, dict[str, Any]] = {
    "gelu": {"activation": "gelu", "exact": True},
    "gelu_new": _TANH,
    "gelu_fast": _TANH,
    "gelu_pytorch_tanh": _TANH,
    "silu": _SILU,
    "swish": _SILU,
    "gelu-approximate": _TANH,
    "swiglu": {"activation": "silu", "gated": True},
    "relu": {"activation": "relu"},
    "relu2": {"activation": "relu2"},
}
ROPES = ("default", "linear", "dynamic", "yarn", "llama3", "longrope", "su")
FACTORS = Items(LONG, 100_000)
ROPE: dict[str, Kind] = {
    "rope_type": Text(ROPES),
    "type": Text(ROPES),
    "rope_theta": LONG,
    "partial_rotary_factor": Number(0, 1, above=True),
    "factor": Number(1, 1e6),
    "original_max_position_embeddings": Integer(1, 100_000_000),
    "low_freq_factor": LONG,
    "high_freq_factor": LONG,
    "beta_fast": LONG,
    "beta_slow": LONG,
    "mscale": Number(0, 1e6),
    "mscale_all_dim": Number(0, 1e6),
    "attention_factor": LONG,
    "short_mscale": LONG,
    "long_mscale": LONG,
    "short_factor": FACTORS,
    "long_factor": FACTORS,
    "truncate": Boolean(),
}


@dataclass
class Reading:
    """A configuration while it is read.

    - values: of the file.
    - fields: of the Transformer, so far.
    - numerics: (key, value) pairs that change values only.
    - taken: the keys that were read.
    """

    type: str
    values: Mapping[str, Any]
    where: str
    fields: dict[str, Any]
    numerics: list[tuple[str, Any]] = field(default_factory=list)
    taken: set[str] = field(default_factory=set)

    def take(self, key: str, kind: Kind, default: Any = None) -> Any:
        """The value of a key; the default if it is absent or null."""
        self.taken.add(key)
        value = self.values.get(key)
        return default if value is None else check(kind, value, self.where, key)

    def take_field(self, name: str, *keys: str) -> None:
        """Sets a field from the first of these keys that has a value.  Refuses a size of 0, which means none."""
        kind = SCHEMA[name]
        if isinstance(kind, Integer) and kind.low == 0 and name not in MAY_BE_NONE:
            kind = Integer(1, kind.high)
        for key in reversed(keys):
            value = self.take(key, kind)
            if value is not None:
                self.fields[name] = value

    def note(self, key: str, value: Any, plain: Any) -> None:
        """Records a setting that changes values only, unless it has the plain value."""
        if value is not None and value != plain:
            self.numerics.append((key, tuple(value) if isinstance(value, list) else value))

    def require(self, key: str, *allowed: Any) -> None:
        """ConfigError if the key has a value that is not one of these; null and absence are allowed."""
        self.taken.add(key)
        value = self.values.get(key)
        if value is not None and not any(type(value) is type(a) and value == a for a in allowed):
            words = " or ".join(shown(a) for a in allowed) or "null"
            raise ConfigError(
                f"{self.where}: {key} is {shown(value)}, but must be {words}: other models of type {self.type} "
                "are not supported"
            )


Rule = Callable[[Reading], None]


@dataclass(frozen=True)
class Family:
    """A model_type: its layers, and the meaning of the keys of its config.json.

    keys      field of Transformer -> names of its key
    base      fields that the architecture fixes, and defaults of its configuration class
    values    key -> (allowed values, plain value): changes values only, recorded in `numerics`
    always    settings of the architecture that change values only, recorded in `numerics`
    only      key -> the supported values; another is an error
    dropout   keys of dropout rates.  Absent means 0: executed training has no dropout
    neutral   keys without an effect
    rules     functions for everything else, called in order
    """

    keys: Mapping[str, tuple[str, ...]]
    base: Mapping[str, Any]
    values: Mapping[str, tuple[Kind, Any]] = field(default_factory=dict)
    always: tuple[tuple[str, Any], ...] = ()
    only: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    dropout: tuple[str, ...] = ()
    neutral: str = ""
    rules: tuple[Rule, ...] = ()


def read(values: Any, families: Mapping[str, Family], name: str, where: str) -> Transformer:
    """A Transformer from the contents of a config.json; see load.from_hugging_face."""
    if not isinstance(values, Mapping):
        raise ConfigError(f"{where} is {shown(values)}, but must be a JSON object of keys and values")
    kind = values.get("model_type", values.get("_class_name", ""))  # the latter in files of diffusion models
    text = values.get("text_config")
    if isinstance(kind, str) and kind not in families and isinstance(text, Mapping):
        raise ConfigError(
            f"{where} of type {shown(kind)} describes several models: save its text_config, of type "
            f"{shown(text.get('model_type'))}, as a config.json of its own"
        )
    if not isinstance(kind, str) or kind not in families:
        raise ConfigError(
            f"{where} has model_type {shown(kind)}: {did_you_mean(str(kind), families, most=len(families))}"
        )
    family = families[kind]
    reading = Reading(kind, values, where, dict(family.base))
    label = reading.take("_name_or_path", Text(), "") or name or kind
    for ours, theirs in family.keys.items():
        reading.take_field(ours, *theirs)
    for ours in SIZES:
        if ours not in reading.fields:
            keys = " or ".join(family.keys.get(ours, (ours,)))
            raise ConfigError(f"{where} of type {kind} lacks {keys}")
    reading.fields.setdefault("d_ff", 4 * reading.fields["d_model"])
    reading.fields.setdefault("kv_heads", reading.fields["heads"])
    reading.numerics.extend(family.always)
    for key, (allowed, plain) in family.values.items():
        reading.note(key, reading.take(key, allowed), plain)
    for key in family.dropout:
        reading.note(key, reading.take(key, DROPOUT), 0)
    for rule in family.rules:
        rule(reading)
    for key, only in family.only.items():
        reading.require(key, *only)
    for key, only in ONLY.items():
        if key not in reading.taken:
            reading.require(key, only)
    known = reading.taken | {"_class_name"} | set(NEUTRAL.split()) | set(family.neutral.split())
    for key in values:
        if key not in known:
            raise ConfigError(
                f"{where}: the key {shown(key)} is not known for {kind} and may change the model: "
                f"{did_you_mean(key, known, most=0) or 'remove it if it has no effect'}"
            )
    return Transformer(
        name=Path(str(label)).name or kind,
        source="config.json",
        numerics=tuple(reading.numerics),
        **reading.fields,
    )


# --- rules that several families share ------------------------------------------------------------------------------


def activation(*keys: str, gated: bool = False) -> Rule:
    """The function of the MLP, by the first of these keys that has a value."""

    def rule(reading: Reading) -> None:
        words = [word for key in keys if (word := reading.take(key, Text())) is not None]
        if words:
            if words[0] not in ACTIVATIONS:
                known = ", ".join(ACTIVATIONS)
                raise ConfigError(f"{reading.where} has the activation {shown(words[0])}: supported are {known}")
            reading.fields.update(ACTIVATIONS[words[0]])
        if gated:
            reading.fields["gated"] = True

    return rule


def rope_of(share: float | None = None, older: str = "partial_rotary_factor") -> Rule:
    """The base of rotary positions, the share of a head that is rotated, and the scaling for long sequences.

    rope_parameters, of newer files, has all in one object, or one object per type of layer.  share: the default of the
    share; older: another name of its key.
    """

    def rule(reading: Reading) -> None:
        reading.take_field("rope_theta", "rope_theta", "rotary_emb_base")
        turned = reading.take(older, ROPE["partial_rotary_factor"], share)
        turned = reading.take("partial_rotary_factor", ROPE["partial_rotary_factor"], turned)
        for key in ("rope_scaling", "rope_parameters"):
            table = _rope_table(reading, key)
            nested = {name: value for name, value in table.items() if isinstance(value, Mapping)}
            if nested:
                for name, value in nested.items():
                    if name not in LAYER_TYPES or len(nested) < len(table):
                        raise ConfigError(f"{reading.where}: {key} has {shown(name)}, which is not a type of layer")
                    _rope_scaling(reading, f"{key}.{name}", value)
                table = nested.get("full_attention", {})
                if (local := nested.get("sliding_attention")) is not None:
                    theta = local.get("rope_theta") or reading.take(LOCAL, ROPE["rope_theta"], 10_000.0)
                    reading.note(LOCAL, float(theta), None)
            elif table:
                _rope_scaling(reading, key, table)
            if table.get("rope_theta") is not None:
                reading.fields["rope_theta"] = table["rope_theta"]
            if table.get("partial_rotary_factor") is not None:
                turned = table["partial_rotary_factor"]
        if turned is not None:
            heads = reading.fields.get("d_rope") or reading.fields.get("d_head")
            reading.fields["rotary"] = int(turned * (heads or reading.fields["d_model"] // reading.fields["heads"]))

    return rule


rope = rope_of()


def _rope_table(reading: Reading, key: str) -> Mapping[str, Any]:
    reading.taken.add(key)
    table = reading.values.get(key)
    if table is not None and not isinstance(table, Mapping):
        raise ConfigError(f"{reading.where}: {key} is {shown(table)}, but must be a JSON object")
    return table or {}


def _rope_scaling(reading: Reading, key: str, table: Mapping[str, Any]) -> None:
    for name, value in table.items():
        if name not in ROPE:
            raise ConfigError(
                f"{reading.where}: {key}.{shown(name)} is not known: {did_you_mean(name, ROPE, most=len(ROPE))}"
            )
        if value is not None:
            check(ROPE[name], value, reading.where, f"{key}.{name}")
    kind = table.get("rope_type", table.get("type", "default"))
    if kind in ("linear", "dynamic", "yarn", "llama3") and table.get("factor") is None:
        raise ConfigError(f"{reading.where}: {key} of type {kind} lacks factor")
    if kind not in (None, "default"):
        factor = table.get("factor")
        reading.note(key, kind if factor is None else f"{kind}, factor {factor:g}", None)
        if not key.endswith(".sliding_attention"):  # one scaling for all layers, or for those without a window
            items = {name: tuple(v) if isinstance(v, list) else v for name, v in table.items() if v is not None}
            for name in ("original_max_position_embeddings",):
                if reading.values.get(name) is not None:  # of phi3, beside the table
                    items.setdefault(name, reading.values[name])
            items.setdefault(TRAINED, reading.fields["sequence"])
            reading.fields["rope_scaling"] = tuple(sorted(items.items()))


LAYER_TYPES = ("full_attention", "sliding_attention")


def windows(default: int = 0, slides: Callable[[int, Reading], bool] = lambda layer, reading: True) -> Rule:
    """sliding_window, for the layers that layer_types names, or else those that `slides` selects.

    default: of the configuration class; null means no window.
    """

    def rule(reading: Reading) -> None:
        window = reading.take("sliding_window", Integer(1, 100_000_000), 0)
        if "sliding_window" not in reading.values:
            window = default
        types = reading.take("layer_types", Items(Text(LAYER_TYPES), 2_000))
        layers = reading.fields["layers"]
        if types is not None and len(types) != layers:
            raise ConfigError(f"{reading.where}: layer_types has {len(types)} entries for {layers} layers")
        if not reading.take("use_sliding_window", Boolean(), True):
            if types is not None and "sliding_attention" in types:
                raise ConfigError(f"{reading.where}: layer_types has sliding layers, but use_sliding_window is false")
            return
        chosen = [types[i] == "sliding_attention" if types else slides(i, reading) for i in range(layers)]
        if window and any(chosen):
            reading.fields["windows"] = tuple(window if slide else 0 for slide in chosen)
        elif types is not None and any(chosen):
            raise ConfigError(f"{reading.where}: layer_types has sliding layers, but there is no sliding_window")

    return rule


def every(period: int) -> Callable[[int, Reading], bool]:
    """Every layer but each `period`-th slides."""
    return lambda layer, reading: (layer + 1) % period != 0
