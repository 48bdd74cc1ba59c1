"""Names of Hugging Face's tensors: every parameter of ours in one tensor, split and joined without loss.

tests/models/test_pretrained.py compares with transformers.
"""

import numpy as np
import pytest

from wse.errors import ConfigError
from wse.models import graph, load
from wse.models.load import from_hugging_face
from wse.models.names import NAMINGS, config_of, entries

GPT2 = {"model_type": "gpt2", "n_layer": 2, "n_embd": 8, "n_head": 2, "vocab_size": 11, "n_positions": 6}
PLAIN = {
    "num_hidden_layers": 2,
    "hidden_size": 8,
    "num_attention_heads": 4,
    "intermediate_size": 12,
    "vocab_size": 11,
    "max_position_embeddings": 16,
}
LATENT = {
    "q_lora_rank": 6, "kv_lora_rank": 5, "qk_nope_head_dim": 3, "qk_rope_head_dim": 4, "v_head_dim": 2,
    "n_routed_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 5, "n_shared_experts": 1,
    "first_k_dense_replace": 1, "attention_bias": True,
}  # fmt: skip
MORE = {
    "opt": {"ffn_dim": 12, "hidden_size": 8, "word_embed_proj_dim": 4},
    "gpt_neox": {},
    "phi": {},
    "bloom": {},
    "mixtral": {"num_local_experts": 3, "num_key_value_heads": 2},
    "qwen3_moe": {"num_key_value_heads": 2, "num_experts": 3, "num_experts_per_tok": 2, "moe_intermediate_size": 5},
    "gpt_oss": {"num_local_experts": 3, "num_experts_per_tok": 2, "num_key_value_heads": 2, "head_dim": 2},
    "falcon": {"multi_query": False, "new_decoder_architecture": True, "num_kv_heads": 2},
    "glm4": {"num_key_value_heads": 2, "head_dim": 4, "partial_rotary_factor": 0.5},
    **dict.fromkeys(("deepseek_v2", "deepseek_v3", "kimi_k2"), LATENT),
    "mpt": {},
    "bert": {},
    "roberta": {},
}


def tiny(kind):
    if kind == "gpt2":
        return graph(from_hugging_face(GPT2))
    values = PLAIN | MORE.get(kind, {"num_key_value_heads": 2}) | {"model_type": kind}
    if kind == "mpt":
        values = {"model_type": kind, "n_layers": 2, "d_model": 8, "n_heads": 4, "vocab_size": 11, "max_seq_len": 16}
    if kind in ("jais", "btlm"):
        values = GPT2 | {"model_type": kind, "activation_function": "swiglu", "position_embedding_type": "alibi"}
    if kind == "gptj":
        values = GPT2 | {"model_type": kind, "n_head": 1, "rotary_dim": 4}
    if kind in ("opt", "bloom", "falcon"):
        values.pop("intermediate_size")
    if kind == "bloom":
        values["seq_length"] = values.pop("max_position_embeddings")
    return graph(from_hugging_face(values))


@pytest.mark.parametrize("kind", NAMINGS)
def test_all_parameters_are_in_one_tensor_each(kind):
    made = tiny(kind)
    found = entries(made, kind)
    assert len({entry.name for entry in found}) == len(found)
    # The correction of a router's scores is no parameter: no gradient changes it, and published counts leave it out.
    found = [entry for entry in found if not entry.name.endswith("e_score_correction_bias")]
    assert sorted(name for entry in found for name in entry.ours) == sorted(made.parameters)
    assert sum(int(np.prod(entry.shape)) for entry in found) == made.weights


@pytest.mark.parametrize("kind", NAMINGS)
def test_split_and_join_are_inverse(kind):
    made, rng = tiny(kind), np.random.default_rng(0)
    for entry in entries(made, kind):
        value = rng.integers(-99, 99, size=entry.shape)  # exact with 1 added
        parts = entry.split(value)
        if entry.ours[0] in made.parameters:
            assert [part.shape for part in parts] == [made.parameters[name].shape for name in entry.ours]
        assert np.array_equal(entry.join(parts), value)


def test_layouts_of_joined_tensors():
    """GPT-2's matrices are transposed; GPT-NeoX's queries, keys and values lie together head by head."""
    by_name = {entry.name: entry for entry in entries(tiny("gpt2"), "gpt2")}
    value = np.arange(8 * 24).reshape(8, 24)
    q, k, v = by_name["transformer.h.1.attn.c_attn.weight"].split(value)
    assert np.array_equal(k, value[:, 8:16].T) and q[0, 1] == 24 and v[7, 7] == 8 * 24 - 1
    by_name = {entry.name: entry for entry in entries(tiny("gpt_neox"), "gpt_neox")}
    value = np.arange(24)
    q, k, v = by_name["gpt_neox.layers.0.attention.query_key_value.bias"].split(value)
    assert q.tolist() == [0, 1, 6, 7, 12, 13, 18, 19]  # four heads of two
    assert k.tolist() == [2, 3, 8, 9, 14, 15, 20, 21] and v[0] == 4


def test_layouts_of_groups_and_pairs():
    """Falcon's queries lie beside the key and the value that they share; GPT-J turns neighbouring features."""
    by_name = {entry.name: entry for entry in entries(tiny("falcon"), "falcon")}
    value = np.arange(16)[:, None] * np.ones(8)  # two groups of two queries, a key, a value of two features
    q, k, v = by_name["transformer.h.0.self_attention.query_key_value.weight"].split(value)
    assert q[:, 0].tolist() == [0, 1, 2, 3, 8, 9, 10, 11]
    assert k[:, 0].tolist() == [4, 5, 12, 13] and v[:, 0].tolist() == [6, 7, 14, 15]
    by_name = {entry.name: entry for entry in entries(tiny("gptj"), "gptj")}
    value = np.arange(8)[:, None] * np.ones(8)
    (q,) = by_name["transformer.h.0.attn.q_proj.weight"].split(value)
    assert q[:, 0].tolist() == [0, 2, 1, 3, 4, 5, 6, 7]  # four of eight features are turned


def test_layouts_of_latent_attention():
    """Heads with keys and values side by side; neighbouring features are turned, the last ones of a query."""
    by_name = {entry.name: entry for entry in entries(tiny("deepseek_v3"), "deepseek_v3")}
    attention = "model.layers.1.self_attn"
    k, v = by_name[f"{attention}.kv_b_proj.weight"].split(np.arange(20)[:, None] * np.ones(5))
    assert k[:6, 0].tolist() == [0, 1, 2, 5, 6, 7] and v[:4, 0].tolist() == [3, 4, 8, 9]
    low, shared = by_name[f"{attention}.kv_a_proj_with_mqa.bias"].split(np.arange(9))
    assert low.tolist() == [0, 1, 2, 3, 4] and shared.tolist() == [5, 7, 6, 8]
    (q,) = by_name[f"{attention}.q_b_proj.weight"].split(np.arange(28)[:, None] * np.ones(6))
    assert q[7:14, 0].tolist() == [7, 8, 9, 10, 12, 11, 13]
    assert by_name["model.layers.1.mlp.gate.e_score_correction_bias"].shape == (4,)
    assert not any(".layers.0.mlp.gate.e_" in name for name in by_name)


def test_gains_of_gemma_are_stored_less_1():
    (entry,) = [e for e in entries(tiny("gemma"), "gemma") if e.name == "model.norm.weight"]
    assert entry.split(np.array([0.0, -1.0]))[0].tolist() == [1.0, 0.0]


def test_positions_of_opt_begin_with_two_rows_of_no_token():
    (entry,) = [e for e in entries(tiny("opt"), "opt") if e.ours == ("positions.weight",)]
    value = np.arange(entry.shape[0])[:, None] * np.ones(entry.shape[1])
    assert entry.split(value)[0][:, 0].tolist() == [*range(2, entry.shape[0]), 0, 1]


def test_what_is_not_known():
    with pytest.raises(ConfigError, match=r"names of tensors of model type 't5' are not known; known are llama"):
        entries(tiny("gpt2"), "t5")
    with pytest.raises(
        ConfigError, match=r"files of model type llama have no tensor for the parameter positions.weight"
    ):
        entries(tiny("gpt2"), "llama")


@pytest.mark.parametrize("name", ["nano", "nano-llama"])
def test_models_of_this_package_have_a_configuration(name):
    model = load(name)
    again = from_hugging_face(config_of(model), name)
    assert again.but(source=model.source) == model
