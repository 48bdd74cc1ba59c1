"""Families of Hugging Face models: one row for each model_type, with its layers and the meaning of its keys.

The source of each row is the model's published configuration and definition.  To add a family, add its row to FAMILIES.
Fields of Transformer describe its layers; `Family` in reading.py describes its keys.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ..errors import ConfigError
from ..schema import Boolean, Integer, Items, Kind, Number, Text, shown
from .reading import (
    DROPOUT,
    LOCAL,
    NEUTRAL,
    ONLY,
    ROPE,
    SCALED_ALIBI,
    Family,
    Reading,
    activation,
    every,
    rope,
    rope_of,
    windows,
)

# --- keys -------------------------------------------------------------------------------------------------------------

USUAL: dict[str, tuple[str, ...]] = {
    "layers": ("num_hidden_layers",),
    "d_model": ("hidden_size",),
    "heads": ("num_attention_heads",),
    "d_ff": ("intermediate_size",),
    "vocab": ("vocab_size",),
    "sequence": ("max_position_embeddings",),
    "tied": ("tie_word_embeddings",),
}
GROUPED = USUAL | {"kv_heads": ("num_key_value_heads",), "d_head": ("head_dim",), "norm_eps": ("rms_norm_eps",)}
OF_GPT2: dict[str, tuple[str, ...]] = {
    "layers": ("n_layer", "num_hidden_layers"),
    "d_model": ("n_embd", "hidden_size"),
    "heads": ("n_head", "num_attention_heads"),
    "d_ff": ("n_inner",),
    "vocab": ("vocab_size",),
    "sequence": ("n_positions", "max_position_embeddings"),
    "norm_eps": ("layer_norm_epsilon",),
    "tied": ("tie_word_embeddings",),
}
EXPERTS = {"experts": ("num_local_experts", "num_experts"), "active_experts": ("num_experts_per_tok",)}

# --- bases ------------------------------------------------------------------------------------------------------------

LLAMA: dict[str, Any] = {
    "norm": "rms",
    "activation": "silu",
    "gated": True,
    "positions": "rotary",
    "bias": False,
    "tied": False,
    "norm_eps": 1e-6,
    "sequence": 2048,
}
OF_GEMMA: dict[str, Any] = LLAMA | {"activation": "gelu", "exact": False, "tied": True, "d_head": 256, "sequence": 8192}
PARALLEL: dict[str, Any] = {"positions": "rotary", "tied": False, "parallel": True, "sequence": 2048}
OF_BERT: dict[str, Any] = {
    "body": "encoder",
    "causal": False,
    "exact": True,
    "norm_at": "after",
    "norm_eps": 1e-12,
    "embedding_norm": True,
    "final_norm": False,
    "token_types": 2,
    "sequence": 512,
}
OF_JAIS: dict[str, Any] = {"activation": "silu", "gated": True, "positions": "alibi", "sequence": 1024}
LATENT: dict[str, Any] = LLAMA | {"d_value": 128, "d_rope": 64, "kv_rank": 512, "q_rank": 1536, "kv_heads": 1}

DROPOUTS_OF_GPT2 = ("resid_pdrop", "embd_pdrop", "attn_pdrop")
GPT2_VALUES: dict[str, tuple[Kind, Any]] = {
    "scale_attn_weights": (Boolean(), True),
    "scale_attn_by_inverse_layer_idx": (Boolean(), False),
}
GPT2_NEUTRAL = """
    n_ctx reorder_and_upcast_attn summary_activation summary_first_dropout summary_proj_to_labels summary_type
    summary_use_proj"""
ROUTER: dict[str, tuple[Kind, Any]] = {
    "router_aux_loss_coef": (Number(0, 1e6), None),
    "router_jitter_noise": (Number(0, 1), 0),
}

# --- rules of one family ----------------------------------------------------------------------------------------------


def alibi_or_learned(reading: Reading) -> None:
    """Models as GPT-2 with a key for the kind of positions."""
    allowed = Text(("learned", "alibi"))
    reading.fields["positions"] = reading.take("position_embedding_type", allowed, reading.fields["positions"])


def neox(reading: Reading) -> None:
    """Attention and MLP in parallel or not; two norms in both cases."""
    reading.fields["parallel"] = reading.take("use_parallel_residual", Boolean(), True)


def opt(reading: Reading) -> None:
    """Norms before or after; a narrower embedding table; biases of all linear layers, or none."""
    if not reading.take("do_layer_norm_before", Boolean(), True):
        reading.fields |= {"norm_at": "after", "final_norm": False}
    if reading.take("_remove_final_layer_norm", Boolean(), False):
        reading.fields["final_norm"] = False
    width = reading.take("word_embed_proj_dim", Integer(1, 10_000_000), reading.fields["d_model"])
    if width != reading.fields["d_model"]:
        reading.fields["d_embedding"] = width
    reading.fields["bias"] = reading.take("enable_bias", Boolean(), True)
    reading.fields["norm_bias"] = True


def mpt(reading: Reading) -> None:
    """attn_config, the width of the MLP as a multiple, and a scale of the logits, which may be given by its name."""
    ratio = reading.take("expansion_ratio", Integer(1, 1_000), 4)
    reading.fields["d_ff"] = ratio * reading.fields["d_model"]
    if reading.values.get("logit_scale") == "inv_sqrt_d_model":
        reading.taken.add("logit_scale")
        reading.note("logit_scale", reading.fields["d_model"] ** -0.5, None)
    else:
        reading.note("logit_scale", reading.take("logit_scale", Number(0, 1e6)), None)
    reading.taken.add("attn_config")
    table = reading.values.get("attn_config")
    if table is None:
        table = {}
    if not isinstance(table, Mapping):
        raise ConfigError(f"{reading.where}: attn_config is {shown(table)}, but must be a JSON object")
    inner = Reading(reading.type, table, f"{reading.where}: attn_config", reading.fields, reading.numerics)
    inner.require("attn_type", "multihead_attention")
    inner.require("alibi", True)
    inner.require("prefix_lm", False)
    inner.require("attn_uses_sequence_id", False)
    inner.require("qk_ln", False)
    inner.note("attn_config.clip_qkv", inner.take("clip_qkv", Number(0, 1e6)), None)
    inner.note("attn_config.softmax_scale", inner.take("softmax_scale", Number(0, 1e6)), None)
    inner.note("attn_config.alibi_bias_max", inner.take("alibi_bias_max", Number(0, 1e6)), 8)
    inner.note("attn_config.attn_pdrop", inner.take("attn_pdrop", DROPOUT), 0)
    for key in table:
        if key not in {*inner.taken, *NEUTRAL.split(), *ONLY, "attn_impl", "tie_word_embeddings"}:
            raise ConfigError(f"{reading.where}: the key {shown(f'attn_config.{key}')} is not known for mpt")


def falcon(reading: Reading) -> None:
    """Three generations: RW (sequential, alibi), 7B (one norm, one head of keys), 40B (two norms, groups of heads)."""
    new = reading.take("new_decoder_architecture", Boolean(), False)
    single = reading.take("multi_query", Boolean(), True)
    groups = reading.take("num_kv_heads", Integer(1, 100_000), reading.fields["heads"])
    reading.fields["kv_heads"] = groups if new else 1 if single else reading.fields["heads"]
    reading.fields["parallel"] = new or reading.take("parallel_attn", Boolean(), True)
    reading.taken.add("parallel_attn")
    norms = reading.take("num_ln_in_parallel_attn", Integer(1, 2), 2 if new else 1)
    reading.fields["parallel_norms"] = norms if new else 1
    biased = reading.take("bias", Boolean(), False)
    reading.fields |= {"bias": biased, "attention_bias": biased, "norm_bias": True}
    if reading.take("alibi", Boolean(), False):
        reading.fields["positions"] = "alibi"
        reading.fields.pop("rotary", None)
        reading.note(SCALED_ALIBI, True, None)
    factor = reading.take("ff_factor", Integer(1, 1_000), 4)
    reading.fields["d_ff"] = reading.take("ffn_hidden_size", Integer(1, 10_000_000), factor * reading.fields["d_model"])


def biases_of_llama(reading: Reading) -> None:
    """attention_bias and mlp_bias; norms have none."""
    reading.fields["bias"] = reading.take("mlp_bias", Boolean(), False)
    reading.fields["attention_bias"] = reading.take("attention_bias", Boolean(), False)


def slides_from(layer: int, reading: Reading) -> bool:
    """Qwen: layers from max_window_layers on slide."""
    return bool(layer >= reading.take("max_window_layers", Integer(0, 2_000), 28))


def qwen(reading: Reading) -> None:
    """use_sliding_window is off unless it is set."""
    if reading.values.get("use_sliding_window") is None:
        reading.taken |= {"use_sliding_window", "sliding_window", "layer_types"}
    else:
        windows(4096, slides_from)(reading)
    reading.taken.add("max_window_layers")


def qwen_experts(reading: Reading) -> None:
    """Experts in each decoder_sparse_step-th layer, but not in those of mlp_only_layers."""
    layers = reading.fields["layers"]
    step = reading.take("decoder_sparse_step", Integer(1, 2_000), 1)
    dense = reading.take("mlp_only_layers", Items(Integer(0, 2_000), 2_000), ())
    reading.fields["expert_layers"] = tuple(i not in dense and (i + 1) % step == 0 for i in range(layers))
    reading.taken |= {"max_window_layers"}


def gemma3(reading: Reading) -> None:
    """The period of full layers, and the base of rotary positions of those that slide."""
    period = reading.take("sliding_window_pattern", Integer(1, 2_000), 6)
    period = reading.take("_sliding_window_pattern", Integer(1, 2_000), period)
    windows(4096, every(period))(reading)
    if reading.fields.get("windows"):
        local = reading.take(LOCAL, ROPE["rope_theta"])
        if LOCAL not in dict(reading.numerics):
            reading.note(LOCAL, local or 10_000.0, None)
    reading.taken.add(LOCAL)


def scores(reading: Reading) -> None:
    """query_pre_attn_scalar: scores are divided by its square root."""
    reading.note("query_pre_attn_scalar", reading.take("query_pre_attn_scalar", Number(0, 1e6, above=True), 256),
                 reading.fields["d_head"])  # fmt: skip


def mixtral(reading: Reading) -> None:
    """The weights of the chosen experts have the sum 1."""
    reading.note("norm_topk_prob", True, None)


def gpt_oss(reading: Reading) -> None:
    """As mixtral; constants of the MLP."""
    mixtral(reading)
    reading.note("swiglu_limit", reading.take("swiglu_limit", Number(0, 1e6, above=True), 7.0), None)
    reading.note("swiglu_alpha", reading.take("swiglu_alpha", Number(0, 1e6, above=True), 1.702), None)


def deepseek(reading: Reading) -> None:
    """Latent attention; experts behind the first dense layers, beside a shared MLP."""
    f = reading.fields
    nope = reading.take("qk_nope_head_dim", Integer(1, 1_000_000), 128)
    f["d_rope"] = reading.take("qk_rope_head_dim", Integer(1, 1_000_000), 64)
    f["d_head"] = nope + f["d_rope"]
    f["kv_heads"] = f["heads"]
    if "q_lora_rank" in reading.values and reading.values["q_lora_rank"] is None:
        f["q_rank"] = 0
    first = reading.take("first_k_dense_replace", Integer(0, 2_000), f["layers"] if f["experts"] == 1 else 0)
    step = reading.take("moe_layer_freq", Integer(1, 2_000), 1)
    f["expert_layers"] = tuple(i >= first and i % step == 0 for i in range(f["layers"]))
    shared = reading.take("n_shared_experts", Integer(0, 1_000), 0)
    f["d_shared"] = shared * f.get("d_expert", f["d_ff"])
    biased = reading.take("attention_bias", Boolean(), False)
    f |= {"attention_bias": biased, "output_bias": biased}
    if reading.type != "deepseek_v2":  # defaults of their configuration class; the first two are no keys of it
        given = {key for key, _ in reading.numerics}
        for key, value in (("scoring_func", "sigmoid"), ("topk_method", "noaux_tc"), ("norm_topk_prob", True)):
            if reading.values.get(key) is None and key not in given:
                reading.note(key, value, None)
    reading.note("rope_interleave", reading.take("rope_interleave", Boolean(), True), True)
    reading.taken |= {"qk_head_dim", "head_dim", "num_key_value_heads"}  # follow from the others


def smollm3(reading: Reading) -> None:
    """no_rope_layers: 1 for rotary positions, 0 for none; else every no_rope_layer_interval-th has none."""
    layers = reading.fields["layers"]
    period = reading.take("no_rope_layer_interval", Integer(1, 2_000), 4)
    turned = reading.take("no_rope_layers", Items(Integer(0, 1), 2_000))
    if turned is not None and len(turned) != layers:
        raise ConfigError(f"{reading.where}: no_rope_layers has {len(turned)} entries for {layers} layers")
    chosen = [bool(t) for t in turned] if turned else [(i + 1) % period != 0 for i in range(layers)]
    if not all(chosen):
        reading.fields["rotary_layers"] = tuple(chosen)
    qwen(reading)


def starcoder2(reading: Reading) -> None:
    """use_bias: biases of all linear layers.  Norms have one in any case."""
    biased = reading.take("use_bias", Boolean(), True)
    reading.fields |= {"bias": biased, "attention_bias": biased, "norm_bias": True}


def embedding_scale(reading: Reading) -> None:
    """Gemma multiplies the embedding by the square root of its width."""
    reading.note("embedding times", math.sqrt(reading.fields["d_model"]), None)


def mamba2(reading: Reading) -> None:
    """expand, which must agree with num_heads and head_dim; limits of the time steps."""
    f = reading.fields
    inner = reading.take("expand", Number(0, 1_000, above=True), 2) * f["d_model"]
    if inner != f["heads"] * f["d_head"]:
        raise ConfigError(
            f"{reading.where}: num_heads {f['heads']} x head_dim {f['d_head']} is not expand x hidden_size, {inner:g}"
        )
    f["attention_bias"] = f["bias"]
    f["d_ff"] = int(inner)
    reading.taken.add("time_step_limit")
    limit = reading.values.get("time_step_limit")
    if limit is not None and not (
        isinstance(limit, list)
        and len(limit) == 2
        and all(isinstance(n, int | float) and not isinstance(n, bool) for n in limit)
        and limit[0] <= limit[1]
    ):
        raise ConfigError(f"{reading.where}: time_step_limit is {shown(limit)}, but must be two numbers, low and high")
    reading.note("time_step_limit", None if limit is None else tuple(limit), (0.0, math.inf))


def t5(reading: Reading) -> None:
    """Layers of encoder and decoder; the function of the MLP, with the prefix "gated-" if it is gated."""
    f = reading.fields
    f["encoder_layers"] = f["layers"]
    f["layers"] += reading.take("num_decoder_layers", Integer(1, 1_000), f["layers"])
    word = reading.take("feed_forward_proj", Text(("relu", "gelu", "silu", "gated-gelu", "gated-silu")), "relu")
    f["gated"] = word.startswith("gated-")
    f["activation"] = word.removeprefix("gated-")
    f["exact"] = word == "gelu"  # the gated one is the tanh form
    if f["tied"]:
        reading.note("logits times", f["d_model"] ** -0.5, None)


def vit(reading: Reading) -> None:
    """Patches as tokens; the head by `architectures`: classes, or the pooler."""
    f = reading.fields
    size = reading.take("image_size", Integer(1, 1_000_000), 224)
    if size % f["patch"]:
        raise ConfigError(f"{reading.where}: image_size {size} is no multiple of patch_size {f['patch']}")
    f["sequence"] = (size // f["patch"]) ** 2 + 1
    named = reading.take("architectures", Items(Text(), 16), [])
    last = named[0] if named else "ViTModel"
    if last == "ViTModel":
        f |= {"head": "none", "pooler": True}
        reading.require("pooler_output_size", f["d_model"])
    elif last == "ViTForImageClassification":
        labels = reading.values.get("id2label")
        if labels is not None and not (isinstance(labels, Mapping) and labels):
            raise ConfigError(f"{reading.where}: id2label is {shown(labels)}, but must be an object of classes")
        f |= {"vocab": len(labels) if labels else 2, "tied": False}
        reading.taken.add("pooler_output_size")
    else:
        raise ConfigError(
            f"{reading.where}: architectures is {shown(last)}: ViTForImageClassification and ViTModel are known"
        )


def dit(reading: Reading) -> None:
    """Width as heads times head width; patches as tokens; one label more than there are classes, for none."""
    f = reading.fields
    f["d_model"] = f["heads"] * f["d_head"]
    f["d_ff"] = 4 * f["d_model"]
    size = reading.take("sample_size", Integer(1, 1_000_000), 32)
    if size % f["patch"]:
        raise ConfigError(f"{reading.where}: sample_size {size} is no multiple of patch_size {f['patch']}")
    f["sequence"] = (size // f["patch"]) ** 2
    f["vocab"] = reading.take("num_embeds_ada_norm", Integer(1, 10_000_000), 1000) + 1
    f.setdefault("out_channels", f["channels"])


def encoder_head(reading: Reading) -> None:
    """What follows the layers, by the class of the model: its `architectures`."""
    named = reading.take("architectures", Items(Text(), 16), [])
    last = named[0] if named else "Model"
    for ending, fields in {
        "ForMaskedLM": {"head": "masked", "head_bias": True},
        "ForPreTraining": {"head": "masked", "head_bias": True, "pooler": True},
        "Model": {"head": "none", "pooler": True},
    }.items():
        if last.endswith(ending):
            reading.fields |= fields
            return
    raise ConfigError(
        f"{reading.where}: architectures is {shown(last)}: of {reading.type}, "
        "ForMaskedLM, ForPreTraining and Model are known"
    )


def roberta(reading: Reading) -> None:
    """Two rows of the table of positions are not used by tokens."""
    reading.fields["extra_positions"] = 2
    reading.fields["sequence"] -= 2


# --- the families -----------------------------------------------------------------------------------------------------

FAMILIES: dict[str, Family] = {
    "gpt2": Family(
        OF_GPT2, {"sequence": 1024}, GPT2_VALUES, dropout=DROPOUTS_OF_GPT2, neutral=GPT2_NEUTRAL,
        rules=(activation("activation_function"),),
    ),
    "gptj": Family(
        OF_GPT2 | {"rotary": ("rotary_dim",)}, PARALLEL | {"attention_bias": False, "head_bias": True, "rotary": 64},
        {"scale_attn_weights": (Boolean(), True)}, dropout=DROPOUTS_OF_GPT2, only={"rotary": (True,)},
        neutral=GPT2_NEUTRAL, rules=(activation("activation_function"),),
    ),
    "gpt_neox": Family(
        USUAL | {"norm_eps": ("layer_norm_eps",), "attention_bias": ("attention_bias",)},
        PARALLEL | {"exact": True, "parallel_norms": 2, "attention_bias": True},
        dropout=("attention_dropout", "hidden_dropout", "attention_probs_dropout_prob", "hidden_dropout_prob"),
        neutral="classifier_dropout", rules=(activation("hidden_act"), rope_of(0.25, "rotary_pct"), neox),
    ),
    "opt": Family(
        USUAL | {"d_ff": ("ffn_dim",)}, {"activation": "relu", "extra_positions": 2, "sequence": 2048},
        dropout=("dropout", "attention_dropout", "activation_dropout", "layerdrop"),
        only={"layer_norm_elementwise_affine": (True,)}, rules=(activation("activation_function"), opt),
    ),
    "bloom": Family(
        OF_GPT2 | {"d_model": ("hidden_size", "n_embed"), "sequence": ("seq_length",)},
        {"positions": "alibi", "embedding_norm": True, "sequence": 2048},
        dropout=("hidden_dropout", "attention_dropout", "embed_dropout"),
        only={
            "apply_residual_connection_post_layernorm": (False,),
            "skip_bias_add": (True,), "skip_bias_add_qkv": (False,),
        },
        neutral="""attention_softmax_in_fp32 bias_dropout_fusion masked_softmax_fusion offset_alibi slow_but_exact""",
    ),
    "mpt": Family(
        {
            "layers": ("n_layers",), "d_model": ("d_model",), "heads": ("n_heads",), "vocab": ("vocab_size",),
            "sequence": ("max_seq_len",), "norm_eps": ("layer_norm_epsilon",), "tied": ("tie_word_embeddings",),
        },
        {"exact": True, "positions": "alibi", "bias": False, "sequence": 2048},
        dropout=("resid_pdrop", "emb_pdrop"),
        only={
            "no_bias": (True,), "norm_type": ("low_precision_layernorm", "layernorm"), "embedding_fraction": (1.0, 1),
            "use_pad_tok_in_ffn": (True,),
        },
        neutral="init_config learned_pos_emb verbose", rules=(mpt,),
    ),
    "falcon": Family(
        USUAL | {"layers": ("num_hidden_layers", "n_layer"), "heads": ("num_attention_heads", "n_head"),
                 "norm_eps": ("layer_norm_epsilon",), "d_ff": ()},
        {"exact": True, "positions": "rotary", "sequence": 2048},
        dropout=("hidden_dropout", "attention_dropout"), only={"apply_residual_connection_post_layernorm": (False,)},
        rules=(activation("activation"), rope, falcon),
    ),
    "llama": Family(
        GROUPED, LLAMA, dropout=("attention_dropout",), neutral="max_sequence_length rope_interleaved",
        rules=(activation("hidden_act"), biases_of_llama, rope),
    ),
    "mistral": Family(
        GROUPED, LLAMA | {"kv_heads": 8, "sequence": 131_072}, dropout=("attention_dropout",),
        rules=(activation("hidden_act"), rope, windows(4096)),
    ),
    "mixtral": Family(
        GROUPED | EXPERTS, LLAMA | {"kv_heads": 8, "sequence": 131_072, "experts": 8, "active_experts": 2,
                                    "norm_eps": 1e-5, "rope_theta": 1e6},
        ROUTER, dropout=("attention_dropout",), rules=(activation("hidden_act"), rope, windows(0), mixtral),
    ),
    "qwen2": Family(
        GROUPED, LLAMA | {"attention_bias": True, "output_bias": False, "sequence": 32_768},
        dropout=("attention_dropout",), only={"use_mrope": (False,)}, rules=(activation("hidden_act"), rope, qwen),
    ),
    "qwen3": Family(
        GROUPED | {"attention_bias": ("attention_bias",)},
        LLAMA | {"qk_norm": "head", "d_head": 128, "sequence": 32_768}, dropout=("attention_dropout",),
        rules=(activation("hidden_act"), rope, qwen),
    ),
    "qwen3_moe": Family(
        GROUPED | EXPERTS | {"attention_bias": ("attention_bias",), "d_expert": ("moe_intermediate_size",)},
        LLAMA | {"qk_norm": "head", "kv_heads": 4, "experts": 128, "active_experts": 8, "d_expert": 768,
                 "sequence": 32_768},
        ROUTER | {"norm_topk_prob": (Boolean(), False)}, dropout=("attention_dropout",),
        rules=(activation("hidden_act"), rope, qwen, qwen_experts),
    ),
    "gemma": Family(
        GROUPED | {"attention_bias": ("attention_bias",)}, OF_GEMMA, dropout=("attention_dropout",),
        neutral="hidden_act", only={"use_bidirectional_attention": (False,)},
        rules=(activation("hidden_activation"), rope, embedding_scale),
    ),
    "gemma2": Family(
        GROUPED | {"attention_bias": ("attention_bias",)}, OF_GEMMA | {"norm_at": "both", "kv_heads": 4},
        {"final_logit_softcapping": (Number(0, 1e6), None), "attn_logit_softcapping": (Number(0, 1e6), None)},
        dropout=("attention_dropout",), neutral="hidden_act sliding_window_size",
        only={"use_bidirectional_attention": (False,)},
        rules=(activation("hidden_activation"), rope, windows(4096, every(2)), scores, embedding_scale),
    ),
    "gemma3_text": Family(
        GROUPED | {"attention_bias": ("attention_bias",)},
        OF_GEMMA | {"norm_at": "both", "qk_norm": "head", "heads": 8, "kv_heads": 4, "vocab": 262_208,
                    "sequence": 131_072, "rope_theta": 1e6},
        {"final_logit_softcapping": (Number(0, 1e6), None), "attn_logit_softcapping": (Number(0, 1e6), None)},
        dropout=("attention_dropout",), only={"use_bidirectional_attention": (False,)}, neutral="hidden_act",
        rules=(activation("hidden_activation"), rope, gemma3, scores, embedding_scale),
    ),
    "phi": Family(
        GROUPED | {"norm_eps": ("layer_norm_eps",)}, PARALLEL | {"head_bias": True},
        dropout=("resid_pdrop", "embd_pdrop", "attention_dropout"), only={"qk_layernorm": (False,)},
        rules=(activation("hidden_act"), rope_of(0.5)),
    ),
    "phi3": Family(
        GROUPED, LLAMA | {"sequence": 4096, "norm_eps": 1e-5},
        dropout=("resid_pdrop", "embd_pdrop", "attention_dropout"),
        only={"attention_bias": (False,), "mlp_bias": (False,)}, neutral="original_max_position_embeddings",
        rules=(activation("hidden_act"), rope, windows(0)),
    ),
    "gpt_oss": Family(
        GROUPED | EXPERTS | {"attention_bias": ("attention_bias",)},
        LLAMA | {"attention_bias": True, "sinks": True, "kv_heads": 8, "d_head": 64, "experts": 128,
                 "active_experts": 4, "router_bias": True, "expert_bias": True, "sequence": 131_072,
                 "norm_eps": 1e-5, "rope_theta": 150_000.0},
        ROUTER, dropout=("attention_dropout",), neutral="experts_per_token initial_context_length",
        rules=(activation("hidden_act"), rope, windows(128, every(2)), gpt_oss),
    ),
    "olmo2": Family(
        GROUPED | {"attention_bias": ("attention_bias",)},
        LLAMA | {"norm_at": "output", "qk_norm": "all", "norm_eps": 1e-5},
        dropout=("attention_dropout",), rules=(activation("hidden_act"), rope),
    ),
    "starcoder2": Family(
        GROUPED | {"norm_eps": ("norm_epsilon",)}, {"positions": "rotary", "kv_heads": 2, "sequence": 4096},
        dropout=("attention_dropout", "residual_dropout", "embedding_dropout", *DROPOUTS_OF_GPT2),
        only={"mlp_type": ("default",), "norm_type": ("layer_norm",), "scale_attn_weights": (True,)},
        neutral="activation_function attention_softmax_in_fp32 layer_norm_epsilon scale_attention_softmax_in_fp32",
        rules=(activation("hidden_act"), rope, windows(0), starcoder2),
    ),
    "smollm3": Family(
        GROUPED, LLAMA | {"kv_heads": 4, "tied": True, "sequence": 32_768, "rope_theta": 2e6},
        dropout=("attention_dropout",), rules=(activation("hidden_act"), biases_of_llama, rope, smollm3),
    ),
    "glm4": Family(
        GROUPED | {"attention_bias": ("attention_bias",)},
        LLAMA | {"norm_at": "both", "attention_bias": True, "output_bias": False, "kv_heads": 2, "d_head": 128,
                 "rotary": 64, "sequence": 131_072, "norm_eps": 1.5625e-7},
        dropout=("attention_dropout",), rules=(activation("hidden_act"), rope),
    ),
    "bert": Family(
        USUAL | {"norm_eps": ("layer_norm_eps",), "token_types": ("type_vocab_size",)}, OF_BERT,
        dropout=("hidden_dropout_prob", "attention_probs_dropout_prob"),
        only={"position_embedding_type": ("absolute",)},
        neutral="classifier_dropout directionality pooler_fc_size pooler_num_attention_heads pooler_num_fc_layers "
        "pooler_size_per_head pooler_type", rules=(activation("hidden_act"), encoder_head),
    ),
    "roberta": Family(
        USUAL | {"norm_eps": ("layer_norm_eps",), "token_types": ("type_vocab_size",)}, OF_BERT,
        dropout=("hidden_dropout_prob", "attention_probs_dropout_prob"),
        only={"position_embedding_type": ("absolute",)}, neutral="classifier_dropout",
        rules=(activation("hidden_act"), encoder_head, roberta),
    ),
}  # fmt: skip

FAMILIES["mamba2"] = Family(
    {
        "layers": ("num_hidden_layers",), "d_model": ("hidden_size",), "heads": ("num_heads",), "d_head": ("head_dim",),
        "vocab": ("vocab_size",), "state": ("state_size",), "conv": ("conv_kernel",), "groups": ("n_groups",),
        "norm_eps": ("layer_norm_epsilon",), "tied": ("tie_word_embeddings",), "bias": ("use_bias",),
        "conv_bias": ("use_conv_bias",),
    },
    {
        "body": "state-space", "norm": "rms", "activation": "silu", "positions": "none", "bias": False, "tied": False,
        "d_head": 64, "state": 128, "conv": 4, "groups": 8, "sequence": 2048,
    },
    {"norm_before_gate": (Boolean(), False)}, only={"rms_norm": (True,), "hidden_act": ("silu",)},
    neutral="""chunk_size rescale_prenorm_residual residual_in_fp32 time_step_floor time_step_init_scheme time_step_max
    time_step_min time_step_rank time_step_scale d_conv""",
    rules=(mamba2,),
)  # fmt: skip

FAMILIES["t5"] = Family(
    {
        "layers": ("num_layers",), "d_model": ("d_model",), "heads": ("num_heads",), "d_head": ("d_kv",),
        "d_ff": ("d_ff",), "vocab": ("vocab_size",), "sequence": ("n_positions",), "tied": ("tie_word_embeddings",),
        "norm_eps": ("layer_norm_epsilon",), "relative_buckets": ("relative_attention_num_buckets",),
    },
    {
        "body": "encoder-decoder", "norm": "rms", "positions": "none", "bias": False, "tied": True, "d_head": 64,
        "relative_buckets": 32, "sequence": 512, "norm_eps": 1e-6,
    },
    {"relative_attention_max_distance": (Integer(1, 100_000_000), 128)}, always=(("scores scaled", False),),
    only={"is_encoder_decoder": (True,)}, dropout=("dropout_rate",),
    neutral="classifier_dropout dense_act_fn is_gated_act", rules=(t5,),
)  # fmt: skip
FAMILIES["vit"] = Family(
    USUAL | {"norm_eps": ("layer_norm_eps",), "attention_bias": ("qkv_bias",), "patch": ("patch_size",),
             "channels": ("num_channels",)},
    {"body": "vision", "causal": False, "exact": True, "patch": 16, "channels": 3, "norm_eps": 1e-12, "vocab": 1,
     "output_bias": True},
    dropout=("hidden_dropout_prob", "attention_probs_dropout_prob"), only={"pooler_act": ("tanh",)},
    neutral="encoder_stride num_labels", rules=(activation("hidden_act"), vit),
)  # fmt: skip
FAMILIES["DiTTransformer2DModel"] = FAMILIES["Transformer2DModel"] = Family(
    {
        "layers": ("num_layers",), "heads": ("num_attention_heads",), "d_head": ("attention_head_dim",),
        "attention_bias": ("attention_bias",), "patch": ("patch_size",), "channels": ("in_channels",),
        "out_channels": ("out_channels",), "norm_eps": ("norm_eps",),
    },
    {"body": "diffusion", "causal": False, "positions": "none", "d_model": 1, "vocab": 1, "layers": 28, "heads": 16,
     "d_head": 72, "patch": 2, "channels": 4, "norm_eps": 1e-5, "output_bias": True},
    dropout=("dropout",), rules=(activation("activation_fn"), dit),
    only={
        "norm_type": ("ada_norm_zero",), "norm_elementwise_affine": (False,), "attention_type": ("default",),
        "double_self_attention": (False,), "only_cross_attention": (False,), "use_linear_projection": (False,),
        "num_vector_embeds": (), "cross_attention_dim": (), "caption_channels": (),
    },
    neutral="_diffusers_version norm_num_groups upcast_attention use_additional_conditions",
)  # fmt: skip

OF_DEEPSEEK = USUAL | {
    "norm_eps": ("rms_norm_eps",),
    "kv_rank": ("kv_lora_rank",),
    "q_rank": ("q_lora_rank",),
    "d_value": ("v_head_dim",),
    "experts": ("n_routed_experts",),
    "active_experts": ("num_experts_per_tok",),
    "d_expert": ("moe_intermediate_size",),
}
DEEPSEEK_VALUES: dict[str, tuple[Kind, Any]] = {
    "routed_scaling_factor": (Number(0, 1e6), 1.0),
    "norm_topk_prob": (Boolean(), False),
    "scoring_func": (Text(("softmax", "sigmoid")), "softmax"),
    "topk_method": (Text(("greedy", "group_limited_greedy", "noaux_tc")), "greedy"),
    "n_group": (Integer(0, 4_096), 1),
    "topk_group": (Integer(0, 4_096), 1),
    "aux_loss_alpha": (Number(0, 1e6), None),
    "seq_aux": (Boolean(), None),
}
# num_nextn_predict_layers: layers for multi-token prediction, which published counts of the model leave out.
for _type in ("deepseek_v2", "deepseek_v3", "kimi_k2"):
    FAMILIES[_type] = Family(
        OF_DEEPSEEK, LATENT | {"experts": 64 if _type == "deepseek_v2" else 256, "active_experts": 8},
        DEEPSEEK_VALUES, dropout=("attention_dropout",), only={"mlp_bias": (False,)},
        neutral="ep_size num_nextn_predict_layers", rules=(activation("hidden_act"), deepseek, rope),
    )  # fmt: skip
# Scales of maximal update parametrization, under two names each.
JAIS_VALUES: dict[str, tuple[Kind, Any]] = dict(GPT2_VALUES)
for _prefix in ("", "mup_"):
    for _scale in ("embeddings_scale", "width_scale", "output_alpha"):
        JAIS_VALUES[_prefix + _scale] = (Number(0, 1e6), 1.0)
    JAIS_VALUES[f"{_prefix}scale_qk_dot_by_d"] = (Boolean(), False)
for _type in ("jais", "btlm"):
    FAMILIES[_type] = Family(
        OF_GPT2, OF_JAIS, JAIS_VALUES, dropout=DROPOUTS_OF_GPT2, neutral=GPT2_NEUTRAL,
        rules=(activation("activation_function"), alibi_or_learned),
    )  # fmt: skip
