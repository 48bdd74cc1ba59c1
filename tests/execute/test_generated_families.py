"""Decoders of all supported families, small and with random weights: logits beside transformers'.

Covers: wse/operators/latent_attention.py
"""

import dataclasses
import json

import numpy as np
import pytest
from models.public_configs import CONFIGS

from wse.errors import ConfigError
from wse.execute.generation import Decoder
from wse.execute.strip_layout import layout, program
from wse.machine.parameters import Machine
from wse.models.bodies import graph
from wse.models.load import from_hugging_face
from wse.models.names import entries
from wse.models.weights import read_weights

transformers = pytest.importorskip("transformers")
torch = pytest.importorskip("torch")

COMMON = dict(
    vocab_size=61, hidden_size=24, num_hidden_layers=2, num_attention_heads=4, intermediate_size=40,
    max_position_embeddings=64, initializer_range=0.2, pad_token_id=0, bos_token_id=1, eos_token_id=2,
)  # fmt: skip
GROUPED = COMMON | {"num_key_value_heads": 2}
GPT2 = dict(
    vocab_size=61, n_embd=24, n_layer=2, n_head=4, n_positions=64, initializer_range=0.2, bos_token_id=1, eos_token_id=2
)
FALCON = {k: v for k, v in COMMON.items() if k not in ("intermediate_size", "pad_token_id")}
GEMMA = GROUPED | {"head_dim": 8, "query_pre_attn_scalar": 12, "sliding_window": 4}
EXPERTS = GROUPED | {"head_dim": 8, "num_experts": 6, "num_experts_per_tok": 3, "moe_intermediate_size": 20}
LATENT = COMMON | {
    "num_hidden_layers": 3, "q_lora_rank": 14, "kv_lora_rank": 12, "qk_nope_head_dim": 6, "qk_rope_head_dim": 4,
    "v_head_dim": 5, "n_routed_experts": 6, "num_experts_per_tok": 3, "moe_intermediate_size": 20,
    "n_shared_experts": 2, "first_k_dense_replace": 1, "routed_scaling_factor": 1.6,
}  # fmt: skip
LLAMA3 = {"rope_type": "llama3", "factor": 4.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 16, "rope_theta": 100.0}  # fmt: skip
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16, "rope_theta": 100.0}
MORE = {
    "llama": ("Llama", GROUPED | {"attention_bias": True, "mlp_bias": True}),
    "llama, scaled RoPE": ("Llama", GROUPED | {"rope_parameters": LLAMA3}),
    "llama, yarn": ("Llama", GROUPED | {"rope_parameters": YARN}),
    "mistral": ("Mistral", GROUPED | {"sliding_window": 4, "head_dim": 8}),
    "qwen2": ("Qwen2", GROUPED),
    "qwen2, windows": ("Qwen2", GROUPED | {"use_sliding_window": True, "sliding_window": 3, "max_window_layers": 1}),
    "qwen3": ("Qwen3", GROUPED | {"head_dim": 8}),
    "smollm3": ("SmolLM3", GROUPED | {"no_rope_layers": [1, 0]}),
    "olmo2": ("Olmo2", GROUPED),
    "starcoder2": ("Starcoder2", GROUPED | {"sliding_window": 5}),
    "phi3": ("Phi3", GROUPED),
    "gpt2": ("GPT2", GPT2),
    "opt": ("OPT", {k: v for k, v in COMMON.items() if k != "intermediate_size"} | {"ffn_dim": 40, "word_embed_proj_dim": 24, "init_std": 0.2}),
    "gpt_neox": ("GPTNeoX", COMMON | {"rotary_pct": 0.5, "num_attention_heads": 3}),
    "gpt_neox, sequential": ("GPTNeoX", COMMON | {"use_parallel_residual": False, "num_attention_heads": 3}),
    "gptj": ("GPTJ", GPT2 | {"rotary_dim": 4, "tie_word_embeddings": False}),
    "phi": ("Phi", GROUPED | {"head_dim": 8, "partial_rotary_factor": 0.5}),
    "glm4": ("Glm4", GROUPED | {"head_dim": 8, "partial_rotary_factor": 0.5, "attention_bias": True}),
    "falcon": ("Falcon", FALCON | {"multi_query": True, "parallel_attn": True, "bias": False}),
    "falcon, two norms": ("Falcon", FALCON | {"new_decoder_architecture": True, "num_kv_heads": 2}),
    "falcon, sequential": (
        "Falcon", FALCON | {"multi_query": False, "parallel_attn": False, "alibi": True, "bias": True},
    ),
    "gemma": ("Gemma", GROUPED | {"head_dim": 8}),
    "gemma2": ("Gemma2", GEMMA | {"attn_logit_softcapping": 3.0, "final_logit_softcapping": 4.0}),
    "gemma2, several parts of the head": (
        "Gemma2", GEMMA | {"attn_logit_softcapping": 3.0, "final_logit_softcapping": 4.0, "vocab_size": 800},
    ),
    "gemma3_text": (
        "Gemma3", GEMMA | {"layer_types": ["sliding_attention", "full_attention"], "rope_parameters": {
            "sliding_attention": {"rope_type": "default", "rope_theta": 50.0},
            "full_attention": {"rope_type": "linear", "factor": 4.0, "rope_theta": 1000.0}}},
    ),
    "mixtral": ("Mixtral", GROUPED | {"num_local_experts": 5, "num_experts_per_tok": 2}),
    "qwen3_moe": ("Qwen3Moe", EXPERTS | {"norm_topk_prob": True}),
    "qwen3_moe, shares of all": ("Qwen3Moe", EXPERTS),
    "qwen3_moe, MLPs in some layers": (
        "Qwen3Moe", EXPERTS | {"num_hidden_layers": 4, "mlp_only_layers": [1], "decoder_sparse_step": 2}),
    "deepseek_v2": ("DeepseekV2", LATENT | {"q_lora_rank": None}),
    "deepseek_v2, groups": ("DeepseekV2", LATENT | {
        "topk_method": "group_limited_greedy", "n_group": 3, "topk_group": 2, "attention_bias": True,
        "rope_parameters": YARN | {"mscale": 0.7, "mscale_all_dim": 0.5}}),
    "deepseek_v3": ("DeepseekV3", LATENT | {
        "n_group": 3, "topk_group": 2, "norm_topk_prob": True,
        "rope_parameters": YARN | {"mscale": 1.0, "mscale_all_dim": 1.0}}),
    "deepseek_v3, heads of 7 and 9": ("DeepseekV3", LATENT | {
        "n_group": 1, "topk_group": 1, "v_head_dim": 9, "qk_nope_head_dim": 3, "tie_word_embeddings": True}),
    "deepseek_v2, biases of keys": ("DeepseekV2", LATENT | {
        "q_lora_rank": None, "attention_bias": True, "first_k_dense_replace": 3}),
    "deepseek_v3, halves": ("DeepseekV3", LATENT | {
        "n_group": 1, "topk_group": 1, "norm_topk_prob": False, "rope_interleave": False, "attention_bias": True}),
    "gpt_oss": ("GptOss", GROUPED | {
        "head_dim": 8, "num_local_experts": 4, "num_experts_per_tok": 2, "sliding_window": 4, "swiglu_limit": 0.5}),
    "bloom": ("Bloom", dict(vocab_size=61, hidden_size=24, n_layer=2, n_head=6, initializer_range=0.2)),
    "falcon, many heads": ("Falcon", FALCON | {
        "multi_query": True, "parallel_attn": True, "bias": False, "alibi": True, "num_attention_heads": 20,
        "hidden_size": 80}),
    "gemma2, many heads": ("Gemma2", GEMMA | {
        "attn_logit_softcapping": 3.0, "num_attention_heads": 18, "num_key_value_heads": 1,
        "hidden_size": 36}),
    "gpt_oss, many heads": ("GptOss", GROUPED | {
        "head_dim": 8, "num_local_experts": 4, "num_experts_per_tok": 2, "sliding_window": 4,
        "num_attention_heads": 17, "num_key_value_heads": 1}),
    "deepseek_v2, many heads": ("DeepseekV2", LATENT | {
        "num_attention_heads": 18, "num_key_value_heads": 18, "hidden_size": 36, "num_hidden_layers": 2}),
    "gpt2, scores": ("GPT2", GPT2 | {"scale_attn_weights": False, "scale_attn_by_inverse_layer_idx": True}),
    "mpt, clipped": ("Mpt", dict(
        vocab_size=61, d_model=24, n_layers=2, n_heads=6, max_seq_len=64, initializer_range=0.2,
        attn_config={"clip_qkv": 0.7, "softmax_scale": 0.3})),
    "mpt": ("Mpt", dict(vocab_size=61, d_model=24, n_layers=2, n_heads=4, max_seq_len=64, initializer_range=0.2)),
}  # fmt: skip
IDS = [5, 60, 3, 3, 17, 50, 2, 34, 0, 8, 9, 21, 44]


def saved(folder, name):
    """A model with random weights, biases and gains in a folder, and as PyTorch computes it."""
    torch.manual_seed(3)
    family, settings = MORE[name]
    config = getattr(transformers, f"{family}{'Text' * (family == 'Gemma3')}Config")(**settings)
    model = "GPT2LMHeadModel" if family == "GPT2" else f"{family}ForCausalLM"
    made = getattr(transformers, model)(config).eval()
    with torch.no_grad():
        for values in made.parameters():
            if values.dim() == 1:
                values.add_(0.2 * torch.randn_like(values))
        for buffer, values in made.named_buffers():
            if buffer.endswith("e_score_correction_bias"):
                values.add_(0.3 * torch.randn_like(values))
    made.save_pretrained(folder)
    return made


@pytest.mark.parametrize("name", MORE)
def test_logits(tmp_path, name):
    reference = saved(tmp_path, name)
    weights = read_weights(tmp_path)
    group = 4 if weights.config.kv_rank else 1 if weights.config.kv_heads > 1 else 2 if "many" in name else 3
    made = Decoder(weights, layout(weights.config, 14, 3, group))
    with torch.no_grad():
        wanted = reference(torch.tensor([IDS])).logits[0].numpy()
    made.step(IDS[:9])
    got = [made.logits()]
    for token in IDS[9:]:
        made.step([token])
        got.append(made.logits())
    for i, logits in enumerate(got):
        expected = wanted[8 + i]
        assert np.abs(logits - expected).max() < 1e-2 * np.abs(expected).max(), i
        assert expected.max() - expected[made.greatest if i == len(got) - 1 else logits.argmax()] < 1e-2


@pytest.mark.parametrize(
    "name",
    [
        "google/gemma-2-2b",
        "openai/gpt-oss-20b",
        "Qwen/Qwen3-30B-A3B",
        "microsoft/phi-2",
        "deepseek-ai/DeepSeek-V2-Lite",
    ],
)
def test_published_models_fit_into_their_pes(name):
    """A layer of each kind and the whole vocabulary: few features a column leave room for many entries' logits."""
    config = from_hugging_face(CONFIGS[name][1]).but(layers=2 if "DeepSeek" in name else 1)
    made = layout(config, 128)
    assert program(made, "bf16", Machine("wse3")).image() is not None


@pytest.mark.parametrize("name, rows", [("facebook/opt-6.7b", 32), ("tiiuae/falcon-7b", 32)])
def test_layers_that_fill_the_memory_of_their_pes(name, rows):
    """No region of the usual size is found, and columns need not divide the features."""
    config = from_hugging_face(CONFIGS[name][1])
    made = layout(config, 128)
    assert made.height <= 1172 and made.layer.height == rows and made.layer.weights > 8192
    one = layout(config.but(layers=1), 128, made.width, made.layer.group)
    assert program(one, "bf16", Machine("wse3")).image() is not None


@pytest.mark.parametrize(
    "name, why",
    [
        ("tiiuae/falcon-180B", "takes 20 wafers: its 80 layers take 495 x 256 PEs each"),
        ("Qwen/Qwen3-235B-A22B", "takes 24 wafers: its 94 layers take 683 x 256 PEs each"),
        ("openai/gpt-oss-120b", r"762 x 256 PEs, a PE needs \d+ bytes of the 49152 .* fill 8 wafers"),
        ("meta-llama/Llama-3.1-405B", "takes 32 wafers: its 126 layers take 365 x 512 PEs each"),
        ("meta-llama/Llama-3.1-8B", "takes one wafer, but in several strips beside each other"),
    ],
)
def test_models_that_exceed_a_wafer(name, why):
    with pytest.raises(ConfigError, match=why):
        layout(from_hugging_face(CONFIGS[name][1]), 128)


def test_several_rows_a_head(tmp_path):
    """Norms of a head, RoPE of a part of it and windows, with a head's features over rows and features to spare."""
    latent = (("deepseek_v2", 2, 8), ("deepseek_v3", 7, 2))
    for name, width, group in (("qwen3", 5, 4), ("gpt_neox", 5, 2), ("olmo2", 4, 3), *latent):
        reference = saved(tmp_path / name, name)
        weights = read_weights(tmp_path / name)
        made = Decoder(weights, layout(weights.config, 14, width, group))
        made.step(IDS[:6])
        with torch.no_grad():
            wanted = reference(torch.tensor([IDS[:6]])).logits[0, -1].numpy()
        assert np.abs(made.logits() - wanted).max() < 1e-2 * np.abs(wanted).max(), name


def test_experts_of_equal_logits(tmp_path):
    """All experts, and of equal logits the first ones; the tensors of an expert may lie in any order in the files."""
    saved(tmp_path, "mixtral")
    weights = read_weights(tmp_path)
    for layer in weights.layers:
        layer["router"][:] = 0
    first = Decoder(weights, layout(weights.config, 14, 3, 1))
    first.step(IDS[:3])
    top = first.layout.top(0)
    assert first.fabric.read("chosen", 0, top, 3, 2).tolist() == [[[0, 1]] * 3] * 2
    assert first.fabric.read("gates", 0, top, 3, 2).tolist() == [[[0.5, 0.5]] * 3] * 2
    every = Decoder(dataclasses.replace(weights, config=weights.config.but(active_experts=5)), layout(
        weights.config.but(active_experts=5), 14, 3, 1))  # fmt: skip
    every.step(IDS[:3])
    assert every.fabric.read("chosen", 0, top, 1, 1).ravel().tolist() == [0, 1, 2, 3, 4]


def jais(tensors, config, ids):
    """Logits of Jais and BTLM by their definition, float64 [tokens, vocab]."""
    n, heads, d = len(ids), config["n_head"], config["n_embd"]

    def of(name):
        return tensors[f"transformer.{name}"].astype(float)

    def norm(x, name):
        centred = x - x.mean(-1, keepdims=True)
        return centred / np.sqrt(centred.var(-1, keepdims=True) + 1e-5) * of(f"{name}.weight") + of(f"{name}.bias")

    def linear(x, name):
        return x @ of(f"{name}.weight") + of(f"{name}.bias")

    x = of("wte.weight")[ids] * config.get("embeddings_scale", config.get("mup_embeddings_scale"))
    slopes = 2.0 ** (-8 / heads * np.arange(1, heads + 1))
    distance = np.arange(n)[:, None] - np.arange(n)
    for i in range(config["n_layer"]):
        q, k, v = (
            part.reshape(n, heads, -1) for part in np.split(linear(norm(x, f"h.{i}.ln_1"), f"h.{i}.attn.c_attn"), 3, -1)
        )
        scores = np.einsum("ihd,jhd->hij", q, k) / (d // heads) - slopes[:, None, None] * distance
        p = np.exp(np.where(distance < 0, -np.inf, scores))
        mixed = np.einsum("hij,jhd->ihd", p / p.sum(-1, keepdims=True), v).reshape(n, d)
        x = x + linear(mixed, f"h.{i}.attn.c_proj")
        y = norm(x, f"h.{i}.ln_2")
        gate = linear(y, f"h.{i}.mlp.c_fc2")
        x = x + linear(linear(y, f"h.{i}.mlp.c_fc") * gate / (1 + np.exp(-gate)), f"h.{i}.mlp.c_proj")
    scale = config.get("width_scale", config.get("mup_width_scale")) * config.get("mup_output_alpha", 1)
    return norm(x, "ln_f") @ of("wte.weight").T * scale


@pytest.mark.parametrize("kind", ["jais", "btlm"])
def test_jais_and_btlm(tmp_path, kind):
    """transformers has neither."""
    from safetensors.numpy import save_file

    prefix = "mup_" * (kind == "btlm")
    config = {"model_type": kind, "activation_function": "swiglu", "position_embedding_type": "alibi", "n_inner": 40}
    config |= {k: v for k, v in GPT2.items() if not k.startswith("init")}
    config |= {f"{prefix}embeddings_scale": 1.7, f"{prefix}width_scale": 0.4, f"{prefix}scale_qk_dot_by_d": True}
    config |= {"mup_output_alpha": 1.6} if prefix else {}
    made, rng = graph(from_hugging_face(config)), np.random.default_rng(6)
    tensors = {e.name: (0.3 * rng.standard_normal(e.shape)).astype(np.float32) for e in entries(made, kind)}
    save_file(tensors, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(config))
    weights, wanted = read_weights(tmp_path), jais(tensors, config, IDS)
    decoder = Decoder(weights, layout(weights.config, 14, 3, 1))
    for i in range(len(IDS)):
        decoder.step(IDS[i : i + 1])
        assert np.abs(decoder.logits() - wanted[i]).max() < 1e-2 * np.abs(wanted[i]).max(), i
    assert wanted[-1].max() - wanted[-1][decoder.greatest] < 1e-2


def test_slopes_of_mpt(tmp_path, monkeypatch):
    """transformers leaves out alibi_bias_max, which the model's own definition takes."""
    name = "mpt, clipped"
    monkeypatch.setitem(MORE[name][1], "attn_config", {"alibi_bias_max": 5})
    reference = saved(tmp_path, name).transformer
    plain = reference.build_mpt_alibi_tensor
    monkeypatch.setattr(
        reference, "build_mpt_alibi_tensor", lambda heads, n, device: plain(heads, n, alibi_bias_max=5, device=device)
    )
    weights = read_weights(tmp_path)
    made = Decoder(weights, layout(weights.config, 14, 3, 1))
    made.step(IDS)
    with torch.no_grad():
        wanted = reference(torch.tensor([IDS])).last_hidden_state[0, -1].numpy() @ weights.embedding.T
    assert np.abs(made.logits() - wanted).max() < 1e-2 * np.abs(wanted).max()


@pytest.mark.parametrize("scale, times", [(3.0, 3.0), ("inv_sqrt_d_model", 24**-0.5), (None, 1.0)])
def test_scale_of_logits_of_mpt(tmp_path, scale, times):
    """transformers leaves out logit_scale as well."""
    reference = saved(tmp_path, "mpt")
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"logit_scale": scale}))
    weights = read_weights(tmp_path)
    made = Decoder(weights, layout(weights.config, 14, 3, 1))
    made.step(IDS)
    with torch.no_grad():
        wanted = times * reference(torch.tensor([IDS])).logits[0, -1].numpy()
    assert np.abs(made.logits() - wanted).max() < 1e-2 * np.abs(wanted).max()


def test_kimi_k2(tmp_path):
    """Its files are those of deepseek_v3; layers for the prediction of several tokens are left out."""
    from safetensors.torch import load_file, save_file

    saved(tmp_path, "deepseek_v3")
    wanted = read_weights(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"model_type": "kimi_k2", "num_nextn_predict_layers": 1}))
    tensors = load_file(tmp_path / "model.safetensors")
    more = {name: t.clone() for name, t in tensors.items() if name.startswith("model.layers.2.")}
    more = {name.replace(".2.", ".3.", 1): t for name, t in more.items()}
    save_file(tensors | more, tmp_path / "model.safetensors")
    weights = read_weights(tmp_path)
    assert weights.config.numerics == wanted.config.numerics
    for layer, other in zip(weights.layers, wanted.layers, strict=True):
        assert layer.keys() == other.keys()
        assert all(np.array_equal(layer[name], other[name]) for name in layer)
    (tmp_path / "config.json").write_text(json.dumps(config | {"model_type": "kimi_k2", "num_nextn_predict_layers": 0}))
    with pytest.raises(ConfigError, match=r"has a tensor model.layers.3\."):
        read_weights(tmp_path)


def test_sequences_of_latent_attention(tmp_path):
    """Two sequences cache their latents apart."""
    reference = saved(tmp_path, "deepseek_v2")
    weights = read_weights(tmp_path)
    made = Decoder(weights, layout(weights.config, 12, 5, 4, sequences=2), "bf16")
    made.step({0: IDS[:4], 1: IDS[4:7]})
    made.step({1: IDS[7:8]})
    with torch.no_grad():
        wanted = reference(torch.tensor([IDS[4:8]])).logits[0, -1].numpy()
    assert np.abs(made.logits(1) - wanted).max() < 4e-2 * np.abs(wanted).max()
    assert made.best(1) == wanted.argmax()
    assert made.layout.cache_bytes == 3 * (12 + 4) * 2


@pytest.mark.parametrize("name", ["mixtral", "gpt_oss", "deepseek_v3"])
def test_an_overflow_in_front_of_experts_is_noticed(tmp_path, name):
    """A router's maximum, an exponential and a limit of the MLP would hide a value that is no number."""
    saved(tmp_path, name)
    weights = read_weights(tmp_path)
    weights.layers[1]["gains2"][3] = 1e6
    made = Decoder(weights, layout(weights.config, 14, 3, 4 if weights.config.kv_rank else 1))
    made.step(IDS[:1])
    with pytest.raises(ConfigError, match="exceeded the range of f16"):
        made.best(0)


@pytest.mark.parametrize("kind", ["dynamic", "longrope"])
def test_rope_that_changes_with_the_sequence(tmp_path, kind):
    """Beyond the length of training, such models turn cached keys again."""
    weights = read_weights(write(tmp_path, kind))
    layout(weights.config, 16, 3, 1)
    with pytest.raises(ConfigError, match=f"RoPE scaled by {kind}, .* up to 16 tokens, not 17"):
        layout(weights.config, 17, 3, 1)


def write(folder, kind):
    scaling = {"rope_type": kind, "factor": 4.0, "original_max_position_embeddings": 16, "rope_theta": 100.0}
    if kind == "longrope":
        scaling |= {"short_factor": [1.0] * 3, "long_factor": [2.0] * 3}
    MORE[kind] = ("Llama", GROUPED | {"rope_parameters": scaling})
    try:
        saved(folder, kind)
    finally:
        del MORE[kind]
    return folder
