"""The families of Hugging Face models: counts of public configurations, to the parameter; what each key changes.

Covers: wse/models/builder.py
Covers: wse/models/bodies.py
"""

import pytest

from wse.errors import ConfigError
from wse.models import from_hugging_face, graph
from wse.models.families import FAMILIES
from wse.models.lowering import executable

from .public_configs import CONFIGS


def public(name, **changes):
    return from_hugging_face(CONFIGS[name][1] | changes, name)


def kinds(model, kind, layer=0):
    return [o for o in graph(model).operators if o.kind == kind and o.layer == layer]


@pytest.mark.parametrize("name", CONFIGS)
def test_the_published_count_of_parameters(name):
    count, values = CONFIGS[name]
    assert graph(from_hugging_face(values, name)).weights == count


def test_every_family_has_a_public_configuration():
    found = {values.get("model_type", values.get("_class_name")) for _, values in CONFIGS.values()}
    assert found | {"DiTTransformer2DModel"} == FAMILIES.keys()  # the newer name of Transformer2DModel


@pytest.mark.parametrize("name", CONFIGS)
def test_shapes_fit_and_tensors_are_written_before_they_are_read(name):
    model = from_hugging_face(CONFIGS[name][1], name)
    made = graph(model.but(layers=min(model.layers, model.encoder_layers + 4)))
    known = {"ids", "pixels", "time"}
    for o in made.operators:
        assert known.issuperset(o.inputs) and known.isdisjoint(o.outputs)
        known.update(o.outputs)
        if o.kind == "linear":
            assert o.parameters["weight"].shape == (o.features[1], o.features[0])
        if o.kind == "attention":
            q, k, v = (made.tensors[x].features for x in o.inputs)
            heads, kv, d_head = (o.attributes[key] for key in ("heads", "kv_heads", "d_head"))
            assert (q, k, v) == (heads * d_head, kv * d_head, kv * o.attributes.get("d_value", d_head))


@pytest.mark.parametrize("name", CONFIGS)
def test_a_key_that_is_not_known_is_named(name):
    with pytest.raises(ConfigError, match=r"the key 'attention_twist' is not known for"):
        public(name, attention_twist=2)


@pytest.mark.parametrize(
    "name, key, value",
    [
        ("tiiuae/falcon-7b", "apply_residual_connection_post_layernorm", True),
        ("bigscience/bloom-560m", "apply_residual_connection_post_layernorm", True),
        ("microsoft/phi-2", "qk_layernorm", True),
        ("mosaicml/mpt-7b", "no_bias", False),
        ("mosaicml/mpt-7b", "norm_type", "rmsnorm"),
        ("EleutherAI/gpt-j-6b", "rotary", False),
        ("openai-community/gpt2", "add_cross_attention", True),
        ("google-bert/bert-base-uncased", "is_decoder", True),
        ("google-bert/bert-base-uncased", "position_embedding_type", "relative_key"),
        ("google-bert/bert-base-uncased", "pruned_heads", {"0": [1]}),
        ("bigcode/starcoder2-3b", "norm_type", "rms_norm"),
        ("google/gemma-3-1b-pt", "use_bidirectional_attention", True),
        ("Qwen/Qwen2.5-7B", "use_mrope", True),
        ("google-t5/t5-small", "is_encoder_decoder", False),
        ("google/vit-base-patch16-224-in21k", "pooler_act", "relu"),
        ("google/vit-base-patch16-224-in21k", "pooler_output_size", 5),
        ("facebook/DiT-XL-2-256", "norm_type", "layer_norm"),
        ("facebook/DiT-XL-2-256", "cross_attention_dim", 768),
        ("AntonV/mamba2-130m-hf", "rms_norm", False),
    ],
)
def test_a_variant_that_is_not_known_is_refused(name, key, value):
    with pytest.raises(ConfigError, match=rf"{key} is .*, but must be .*: other models of type \w+ are not supported"):
        public(name, **{key: value})


@pytest.mark.parametrize(
    "name, key, value, words",
    [
        ("openai-community/gpt2", "scale_attn_by_inverse_layer_idx", True, "scale_attn_by_inverse_layer_idx"),
        ("openai-community/gpt2", "scale_attn_weights", False, "scale_attn_weights"),
        ("openai-community/gpt2", "attn_pdrop", 0.3, "attn_pdrop"),
        ("meta-llama/Llama-2-70b-hf", "rope_scaling", {"type": "linear", "factor": 2}, "rope_scaling"),
        ("meta-llama/Llama-2-70b-hf", "rope_parameters", {"rope_type": "yarn", "factor": 2}, "rope_parameters"),
        ("google/gemma-2-2b", "attn_logit_softcapping", 20.0, "attn_logit_softcapping"),
        ("google/gemma-2-2b", "query_pre_attn_scalar", 100, "query_pre_attn_scalar"),
        ("google/gemma-3-1b-pt", "rope_local_base_freq", 20_000.0, "rope_local_base_freq"),
        ("mistralai/Mixtral-8x7B-v0.1", "router_jitter_noise", 0.1, "router_jitter_noise"),
        ("Qwen/Qwen3-30B-A3B", "norm_topk_prob", False, None),
        ("deepseek-ai/DeepSeek-V3", "routed_scaling_factor", 1.5, "routed_scaling_factor"),
        ("deepseek-ai/DeepSeek-V3", "n_group", 4, "n_group"),
        ("openai/gpt-oss-20b", "swiglu_limit", 3.0, "swiglu_limit"),
        ("mosaicml/mpt-7b", "logit_scale", 0.5, "logit_scale"),
        ("core42/jais-13b", "embeddings_scale", 2.0, "embeddings_scale"),
    ],
)
def test_settings_of_values_are_kept(name, key, value, words):
    """They make another model, of the same count."""
    plain, changed = public(name), public(name, **{key: value})
    assert plain != changed
    assert graph(plain).weights == graph(changed).weights
    assert words is None or words in dict(changed.numerics)


@pytest.mark.parametrize(
    "name, key, value, change",
    [
        ("EleutherAI/pythia-70m", "attention_bias", False, -6 * 4 * 512),
        ("tiiuae/falcon-7b", "multi_query", False, 32 * 2 * 70 * 64 * 4544),
        ("tiiuae/falcon-7b", "bias", True, 32 * (71 * 64 + 2 * 64 + 4544 + 5 * 4544)),
        ("tiiuae/falcon-7b", "parallel_attn", False, 32 * 2 * 4544),
        ("tiiuae/falcon-40b", "num_ln_in_parallel_attn", 1, -60 * 2 * 8192),
        ("facebook/opt-125m", "enable_bias", False, -12 * (4 * 768 + 3072 + 768)),
        ("facebook/opt-125m", "_remove_final_layer_norm", True, -2 * 768),
        ("meta-llama/Llama-2-70b-hf", "attention_bias", True, 80 * (2 * 8192 + 2 * 1024)),
        ("meta-llama/Llama-2-70b-hf", "mlp_bias", True, 80 * (8192 + 2 * 28672)),
        ("Qwen/Qwen3-30B-A3B", "mlp_only_layers", [0], 3 * 2048 * (6144 - 128 * 768) - 128 * 2048),
        ("Qwen/Qwen3-30B-A3B", "decoder_sparse_step", 48, 47 * (3 * 2048 * (6144 - 128 * 768) - 128 * 2048)),
        ("deepseek-ai/DeepSeek-V2-Lite", "first_k_dense_replace", 0,
         3 * 2048 * (66 * 1408 - 10944) + 64 * 2048),
        ("deepseek-ai/DeepSeek-V2-Lite", "n_shared_experts", 1, -26 * 3 * 2048 * 1408),
        ("zai-org/GLM-4-9B-0414", "attention_bias", False, -40 * (4096 + 2 * 256)),
        ("google-bert/bert-base-uncased", "type_vocab_size", 5, 3 * 768),
        ("AntonV/mamba2-130m-hf", "use_conv_bias", False, -24 * (1536 + 2 * 128)),
        ("AntonV/mamba2-130m-hf", "use_bias", True, 24 * (2 * 1536 + 2 * 128 + 24 + 768)),
        ("google-t5/t5-small", "num_decoder_layers", 7, 8 * 512 * 512 + 2 * 512 * 2048 + 3 * 512),
        ("google-t5/t5-small", "feed_forward_proj", "gated-gelu", 12 * 512 * 2048),
        ("google-t5/t5-small", "relative_attention_num_buckets", 33, 2 * 8),
        ("google/vit-base-patch16-224", "id2label", {"0": "cat", "1": "dog"}, -998 * 769),
        ("google/vit-base-patch16-224", "qkv_bias", False, -12 * 3 * 768),
        ("google/vit-base-patch16-224", "image_size", 384, (24 * 24 - 14 * 14) * 768),
        ("facebook/DiT-XL-2-256", "num_layers", 29, 18 * 1152 * 1152 + (4 + 5 + 6) * 1152),
        ("facebook/DiT-XL-2-256", "sample_size", 64, 0),
        ("google-bert/bert-base-uncased", "architectures", ["BertModel"], 768 * 768 + 768 - (768 * 768 + 768 + 2 * 768 + 30522)),
        ("google/gemma-2b", "tie_word_embeddings", False, 256000 * 2048),
        ("bigcode/starcoder2-3b", "use_bias", False, -30 * (3072 + 2 * 256 + 3072 + 12288 + 3072)),
    ],
)  # fmt: skip
def test_keys_that_change_the_count(name, key, value, change):
    assert graph(public(name, **{key: value})).weights - graph(public(name)).weights == change


def test_sequential_residuals_of_neox_have_the_same_count():
    values = CONFIGS["EleutherAI/pythia-70m"][1] | {"use_parallel_residual": False}
    model = from_hugging_face(values)
    assert not model.parallel
    assert graph(model).weights == CONFIGS["EleutherAI/pythia-70m"][0]
    names = [o.name for o in graph(model).operators if o.layer == 0]
    assert names.index("layers.0.residual1") < names.index("layers.0.norm2")


def test_windows_by_layer():
    def of(name, **changes):
        model = public(name, **changes)
        return [model.block(layer).window for layer in range(model.layers)]

    assert set(of("mistralai/Mistral-7B-v0.1")) == {4096}
    assert set(of("mistralai/Mistral-7B-v0.1", sliding_window=None)) == {0}
    assert set(of("meta-llama/Llama-2-70b-hf")) == {0}
    assert of("google/gemma-2-2b")[:4] == [4096, 0, 4096, 0]
    assert of("google/gemma-3-1b-pt")[:7] == [512] * 5 + [0, 512]
    assert of("openai/gpt-oss-20b")[:4] == [128, 0, 128, 0]
    assert set(of("Qwen/Qwen2.5-7B")) == {0}
    slides = {"use_sliding_window": True, "sliding_window": 4096, "max_window_layers": 20}
    assert of("Qwen/Qwen2.5-7B", **slides) == [0] * 20 + [4096] * 8
    types = ["full_attention"] * 27 + ["sliding_attention"]
    assert of("Qwen/Qwen2.5-7B", **slides, layer_types=types) == [0] * 27 + [4096]
    absent = {key: v for key, v in CONFIGS["mistralai/Mistral-7B-v0.1"][1].items() if key != "sliding_window"}
    assert from_hugging_face(absent).windows[0] == 4096  # its configuration class's default


@pytest.mark.parametrize(
    "name, changes, words",
    [
        ("openai/gpt-oss-20b", {"layer_types": ["full_attention"] * 3}, "layer_types has 3 entries for 24 layers"),
        ("openai/gpt-oss-20b", {"layer_types": ["chunked_attention"] * 24}, "must be a list of at most .* one of"),
        ("openai/gpt-oss-20b", {"sliding_window": None}, "there is no sliding_window"),
        ("openai/gpt-oss-20b", {"sliding_window": -1}, "sliding_window is -1, but must be an integer"),
        ("HuggingFaceTB/SmolLM3-3B", {"no_rope_layers": [1, 0]}, "no_rope_layers has 2 entries for 36 layers"),
        ("HuggingFaceTB/SmolLM3-3B", {"no_rope_layers": [2] * 36}, "each an integer from 0 to 1"),
        ("meta-llama/Llama-2-70b-hf", {"rope_scaling": "yarn"}, "rope_scaling is 'yarn', but must be a JSON object"),
        ("meta-llama/Llama-2-70b-hf", {"rope_scaling": {"type": "yarn"}}, "rope_scaling of type yarn lacks factor"),
        (
            "meta-llama/Llama-2-70b-hf",
            {"rope_scaling": {"type": "ntk"}},
            r"rope_scaling.type is 'ntk', but must be one",
        ),
        (
            "meta-llama/Llama-2-70b-hf",
            {"rope_scaling": {"fctor": 2}},
            r"rope_scaling.'fctor' is not known: did you mean",
        ),
        (
            "meta-llama/Llama-2-70b-hf",
            {"rope_parameters": {"tall": {}}},
            "rope_parameters has 'tall', which is not a type",
        ),
        ("mosaicml/mpt-7b", {"attn_config": []}, r"attn_config is \[\], but must be a JSON object"),
        ("mosaicml/mpt-7b", {"attn_config": {"alibi": False}}, "attn_config: alibi is false, but must be true"),
        ("mosaicml/mpt-7b", {"attn_config": {"twist": 1}}, "the key 'attn_config.twist' is not known"),
        (
            "google-t5/t5-small",
            {"feed_forward_proj": "gated-relu"},
            "feed_forward_proj is 'gated-relu', but must be one",
        ),
        ("google/vit-base-patch16-224", {"patch_size": 15}, "image_size 224 is no multiple of patch_size 15"),
        ("google/vit-base-patch16-224", {"id2label": ["cat"]}, r"id2label is \['cat'\], but must be an object"),
        ("google/vit-base-patch16-224", {"architectures": ["ViTForMaskedImageModeling"]}, "architectures is 'ViTForM"),
        ("facebook/DiT-XL-2-256", {"sample_size": 33}, "sample_size 33 is no multiple of patch_size 2"),
        ("google-bert/bert-base-uncased", {"architectures": ["BertForTokens"]}, "architectures is 'BertForTokens'"),
        ("deepseek-ai/DeepSeek-V3", {"qk_rope_head_dim": 0}, "qk_rope_head_dim is 0, but must be"),
    ],
)
def test_what_is_wrong_is_said(name, changes, words):
    with pytest.raises(ConfigError, match=words):
        public(name, **changes)


def test_newer_files_nest_the_rotary_settings():
    values = {k: v for k, v in CONFIGS["google/gemma-3-1b-pt"][1].items() if not k.startswith("rope_")}
    nested = values | {
        "rope_parameters": {
            "full_attention": {"rope_type": "default", "rope_theta": 1_000_000.0},
            "sliding_attention": {"rope_type": "default", "rope_theta": 10_000.0},
        }
    }
    assert from_hugging_face(nested, "g").but(name="x") == public("google/gemma-3-1b-pt").but(name="x")
    other = {"sliding_attention": {"rope_theta": 5.0}, "full_attention": {"rope_type": "linear", "factor": 8.0}}
    model = from_hugging_face(values | {"rope_parameters": other})
    assert dict(model.numerics)["rope_local_base_freq"] == 5.0
    assert dict(model.rope_scaling)["factor"] == 8.0
    flat = {"rope_parameters": {"rope_type": "default", "rope_theta": 5.0, "partial_rotary_factor": 0.25}}
    model = public("meta-llama/Llama-2-70b-hf", **flat)
    assert (model.rope_theta, model.rotary) == (5.0, 32)


def test_latent_attention_stores_the_latent():
    model = public("deepseek-ai/DeepSeek-V3")
    assert model.kv_numbers(1000) == 61 * 1000 * (512 + 64)
    (scores,) = kinds(model, "attention")
    assert scores.flops(4096) == 2 * 4096 * 128 * (192 + 128)


def test_a_window_bounds_stored_keys_and_flops():
    model = public("mistralai/Mistral-7B-v0.1")
    assert model.kv_numbers(32_768) == 32 * 4096 * 2 * 1024
    (scores,) = kinds(model, "attention")
    assert scores.flops(32_768) == scores.flops(4096) == 4 * 4096 * 4096
    assert scores.flops(1024) == 4 * 1024 * 4096
    s, w = 32_768, 4096
    seen = sum(min(t + 1, w) for t in range(s)) / s
    assert scores.flops(s, causal_discount=True) == pytest.approx(4 * seen * 4096)
    mixed = public("google/gemma-2-2b")
    assert mixed.kv_numbers(8192) == 13 * (8192 + 4096) * 2 * 1024


def test_layers_without_rotary_positions():
    model = public("HuggingFaceTB/SmolLM3-3B")
    assert [len(kinds(model, "rotary", layer)) for layer in range(5)] == [2, 2, 2, 0, 2]
    assert model.first_like[:6] == (0, 0, 0, 3, 0, 0)


def test_norms_stand_where_the_family_has_them():
    def names(name):
        return [o.name.removeprefix("layers.0.") for o in graph(public(name)).operators if o.layer == 0]

    def order(name, *wanted):
        found = names(name)
        return sorted(wanted, key=found.index) == list(wanted)

    assert order("google/gemma-2-2b", "norm1", "attention.o", "norm1_after", "residual1", "norm2", "mlp.down",
                 "norm2_after", "residual2")  # fmt: skip
    assert order("allenai/OLMo-2-1124-7B", "attention.o", "norm1", "residual1", "mlp.down", "norm2", "residual2")
    assert order("google-bert/bert-base-uncased", "attention.q", "residual1", "norm1", "mlp.up", "residual2", "norm2")
    assert names("tiiuae/falcon-7b").count("norm2") == 0 and "norm2" in names("tiiuae/falcon-40b")


def test_state_space_layers_store_their_state_whatever_the_context():
    model = public("AntonV/mamba2-130m-hf")
    assert model.kv_numbers(1) == model.kv_numbers(10**6) == 24 * (1536 * 128 + (1536 + 2 * 128) * 4)
    (scan,), (conv,) = kinds(model, "scan"), kinds(model, "conv")
    assert scan.flops(2048) == 6 * 1536 * 128
    assert conv.flops(2048) == 2 * (1536 + 2 * 128) * 4
    per_layer = scan.flops(2048) + conv.flops(2048)
    made = graph(model)
    assert made.flops(2048) == 6 * made.matmul_weights + 3 * 24 * per_layer
    with pytest.raises(ConfigError, match="num_heads 24 x head_dim 64 is not expand x hidden_size, 2304"):
        public("AntonV/mamba2-130m-hf", expand=3)


def test_what_no_kernel_executes_is_refused_by_name():
    """Each by the first setting or operator that is not that of GPT-2, Llama and their like."""
    for name, words in {
        "openai-community/gpt2": "has resid_pdrop 0.1, which the fabric does not execute",
        "mistralai/Mistral-7B-v0.1": None,
        "Qwen/Qwen3-8B": None,
        "google/gemma-2-2b": None,
        "AntonV/mamba2-130m-hf": "layers.0.mixer.conv .* is of kind conv, which",
        "mistralai/Mixtral-8x7B-v0.1": None,
        "Qwen/Qwen3-30B-A3B": None,
        "deepseek-ai/DeepSeek-V3": "has routed_scaling_factor 2.5, which",
        "tiiuae/falcon-7b": None,
        "meta-llama/Llama-2-70b-hf": None,
    }.items():
        made = executable(graph(public(name)))
        if words is None:
            made.check_plain("the fabric")
        else:
            with pytest.raises(ConfigError, match=words):
                made.check_plain("the fabric")


def test_an_encoder_decoder_has_layers_of_both():
    model = public("google/flan-t5-small")
    made = graph(model)
    assert (model.layers, model.encoder_layers, model.decodes) == (16, 8, False)
    assert model.first_like == (0,) * 8 + (8,) * 8
    masks = [o.attributes["causal"] for o in made.operators if o.kind == "attention"]
    assert masks == [False] * 8 + [True, False] * 8  # of the decoder: its own tokens, then the encoder's
    cross = next(o for o in made.operators if o.name == "decoder.layers.0.cross.k")
    assert cross.inputs == ("encoder.norm",)
    with pytest.raises(ConfigError, match="of 8 layers, 8 are the encoder's"):
        model.but(layers=8)


def test_images_are_sequences_of_patches():
    model = public("google/vit-base-patch16-224")
    assert (model.sequence, model.vocab, model.decodes) == (197, 1000, False)
    made = graph(model)
    head = next(o for o in made.operators if o.name == "head")
    assert head.flops(197) == 2 * head.weights / 197  # one token of an image, not each
    d, ff = 768, 3072
    each = 16 * 16 * 3 * d + 12 * (4 * d * d + 2 * d * ff)
    assert made.matmul_weights == each
    assert made.flops(197) == pytest.approx(6 * each + 12 * 12 * 197 * d + 6 * head.weights / 197)


def test_a_diffusion_model_is_conditioned_once_an_image():
    model = public("facebook/DiT-XL-2-256")
    assert (model.sequence, model.d_model, model.d_ff) == (256, 1152, 4608)
    conditions = [o for o in graph(model).operators if o.once]
    assert sum(o.weights for o in conditions) > 0.3 * graph(model).weights
    per_token = sum(o.flops(256) for o in conditions)
    assert per_token < 0.01 * graph(model).flops(256) / 3


def test_a_gemma_3_with_an_eye_is_told_of_its_text():
    values = {"model_type": "gemma3", "text_config": CONFIGS["google/gemma-3-1b-pt"][1], "vision_config": {}}
    with pytest.raises(ConfigError, match=r"text_config.*a config.json of its own"):
        from_hugging_face(values)


def test_shares_of_a_head_that_are_turned():
    """By a key, its older name, the nested form, or the default of the configuration class."""
    neox = {key: v for key, v in CONFIGS["EleutherAI/gpt-neox-20b"][1].items() if key != "rotary_pct"}
    assert from_hugging_face(neox).rotary == 24
    assert from_hugging_face(neox | {"rotary_pct": 0.5}).rotary == 48
    assert from_hugging_face(neox | {"partial_rotary_factor": 1.0}).rotary == 96
    nested = {"rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "partial_rotary_factor": 0.75}}
    assert from_hugging_face(neox | nested).rotary == 72
    phi = {key: v for key, v in CONFIGS["microsoft/phi-2"][1].items() if key != "partial_rotary_factor"}
    assert from_hugging_face(phi).rotary == 40
    assert public("microsoft/phi-2").rotary == 32
    assert public("zai-org/GLM-4-9B-0414").rotary == 64


def test_attention_of_mpt_as_the_library_saves_it():
    attention = CONFIGS["mosaicml/mpt-7b"][1]["attn_config"]
    saved = attention | {"return_dict": True, "is_decoder": False, "tie_word_embeddings": True, "model_type": ""}
    assert public("mosaicml/mpt-7b", attn_config=saved) == public("mosaicml/mpt-7b")
