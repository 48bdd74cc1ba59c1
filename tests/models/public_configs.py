"""Public configurations, with the counts of parameters that their definitions have.

CONFIGS: repository on huggingface.co -> (parameters, keys of its config.json).  A count has each tensor once: a tied
head counts no second time; buffers (masks, tables of rotary positions) and copies that a file of weights may hold do
not count.

The counts are those of the models that the `transformers` library, 4.57, builds from these keys, without memory for
their weights; of DeepSeek-V3, Kimi K2 and Qwen3-235B, from models of 4 and of 5 layers.  That library does not have
jais and btlm, which are counted by hand from the shapes of their definition, and DiT, whose paper counts 675,129,632
with a table of positions of 256 x 1,152 that is not trained.
"""

LLAMA3_ROPE = {
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
    "rope_type": "llama3",
}
YARN = {"beta_fast": 32, "beta_slow": 1, "factor": 40, "mscale": 1.0, "mscale_all_dim": 1.0,
        "original_max_position_embeddings": 4096, "type": "yarn"}  # fmt: skip


def gpt2(layers, d, heads):
    return {
        "activation_function": "gelu_new", "architectures": ["GPT2LMHeadModel"], "attn_pdrop": 0.1,
        "bos_token_id": 50256, "embd_pdrop": 0.1, "eos_token_id": 50256, "initializer_range": 0.02,
        "layer_norm_epsilon": 1e-05, "model_type": "gpt2", "n_ctx": 1024, "n_embd": d, "n_head": heads,
        "n_layer": layers, "n_positions": 1024, "resid_pdrop": 0.1, "summary_activation": None,
        "summary_first_dropout": 0.1, "summary_proj_to_labels": True, "summary_type": "cls_index",
        "summary_use_proj": True,
        "task_specific_params": {"text-generation": {"do_sample": True, "max_length": 50}}, "vocab_size": 50257,
    }  # fmt: skip


def neox(layers, d, heads, d_ff, vocab, parallel=True):
    return {
        "architectures": ["GPTNeoXForCausalLM"], "bos_token_id": 0, "eos_token_id": 0, "hidden_act": "gelu",
        "hidden_size": d, "initializer_range": 0.02, "intermediate_size": d_ff, "layer_norm_eps": 1e-05,
        "max_position_embeddings": 2048, "model_type": "gpt_neox", "num_attention_heads": heads,
        "num_hidden_layers": layers, "rotary_emb_base": 10000, "rotary_pct": 0.25, "tie_word_embeddings": False,
        "torch_dtype": "float16", "transformers_version": "4.24.0", "use_cache": True,
        "use_parallel_residual": parallel, "vocab_size": vocab,
    }  # fmt: skip


def opt(layers, d, heads, ffn, **more):
    return {
        "_remove_final_layer_norm": False, "activation_dropout": 0.0, "activation_function": "relu",
        "architectures": ["OPTForCausalLM"], "attention_dropout": 0.0, "bos_token_id": 2,
        "do_layer_norm_before": True, "dropout": 0.1, "eos_token_id": 2, "ffn_dim": ffn, "hidden_size": d,
        "init_std": 0.02, "layerdrop": 0.0, "max_position_embeddings": 2048, "model_type": "opt",
        "num_attention_heads": heads, "num_hidden_layers": layers, "pad_token_id": 1, "prefix": "</s>",
        "torch_dtype": "float16", "transformers_version": "4.21.0.dev0", "use_cache": True, "vocab_size": 50272,
        "word_embed_proj_dim": d,
    } | more  # fmt: skip


def llama(layers, d, heads, kv, ff, vocab, sequence, **more):
    return {
        "architectures": ["LlamaForCausalLM"], "attention_bias": False, "attention_dropout": 0.0, "bos_token_id": 1,
        "eos_token_id": 2, "hidden_act": "silu", "hidden_size": d, "initializer_range": 0.02,
        "intermediate_size": ff, "max_position_embeddings": sequence, "mlp_bias": False, "model_type": "llama",
        "num_attention_heads": heads, "num_hidden_layers": layers, "num_key_value_heads": kv, "pretraining_tp": 1,
        "rms_norm_eps": 1e-05, "rope_scaling": None, "rope_theta": 500000.0, "tie_word_embeddings": False,
        "torch_dtype": "bfloat16", "use_cache": True, "vocab_size": vocab,
    } | more  # fmt: skip


def qwen2(layers, d, heads, kv, ff, vocab, tied, **more):
    return {
        "architectures": ["Qwen2ForCausalLM"], "attention_dropout": 0.0, "bos_token_id": 151643,
        "eos_token_id": 151643, "hidden_act": "silu", "hidden_size": d, "initializer_range": 0.02,
        "intermediate_size": ff, "max_position_embeddings": 131072, "max_window_layers": layers,
        "model_type": "qwen2", "num_attention_heads": heads, "num_hidden_layers": layers,
        "num_key_value_heads": kv, "rms_norm_eps": 1e-06, "rope_theta": 1000000.0, "sliding_window": 131072,
        "tie_word_embeddings": tied, "torch_dtype": "bfloat16", "use_cache": True, "use_mrope": False,
        "use_sliding_window": False, "vocab_size": vocab,
    } | more  # fmt: skip


def qwen3(layers, d, heads, kv, ff, tied, **more):
    return {
        "architectures": ["Qwen3ForCausalLM"], "attention_bias": False, "attention_dropout": 0.0,
        "bos_token_id": 151643, "eos_token_id": 151645, "head_dim": 128, "hidden_act": "silu", "hidden_size": d,
        "initializer_range": 0.02, "intermediate_size": ff, "max_position_embeddings": 40960,
        "max_window_layers": layers, "model_type": "qwen3", "num_attention_heads": heads,
        "num_hidden_layers": layers, "num_key_value_heads": kv, "rms_norm_eps": 1e-06, "rope_scaling": None,
        "rope_theta": 1000000, "sliding_window": None, "tie_word_embeddings": tied, "torch_dtype": "bfloat16",
        "use_cache": True, "use_sliding_window": False, "vocab_size": 151936,
    } | more  # fmt: skip


def qwen3_moe(layers, d, heads, kv, ff, expert):
    moe = {
        "architectures": ["Qwen3MoeForCausalLM"], "decoder_sparse_step": 1, "mlp_only_layers": [],
        "model_type": "qwen3_moe", "moe_intermediate_size": expert, "norm_topk_prob": True, "num_experts": 128,
        "num_experts_per_tok": 8, "output_router_logits": False, "router_aux_loss_coef": 0.001,
    }  # fmt: skip
    return qwen3(layers, d, heads, kv, ff, False) | moe


def gemma(layers, d, heads, kv, ff, version, **more):
    return {
        "architectures": [f"{version.capitalize()}ForCausalLM"], "attention_bias": False, "attention_dropout": 0.0,
        "bos_token_id": 2, "eos_token_id": 1, "head_dim": 256, "hidden_act": "gelu_pytorch_tanh",
        "hidden_activation": "gelu_pytorch_tanh", "hidden_size": d, "initializer_range": 0.02,
        "intermediate_size": ff, "max_position_embeddings": 8192, "model_type": version,
        "num_attention_heads": heads, "num_hidden_layers": layers, "num_key_value_heads": kv, "pad_token_id": 0,
        "rms_norm_eps": 1e-06, "rope_theta": 10000.0, "torch_dtype": "bfloat16", "use_cache": True,
        "vocab_size": 256000,
    } | more  # fmt: skip


def gemma2(layers, d, heads, kv, ff, **more):
    soft = {
        "attn_logit_softcapping": 50.0, "cache_implementation": "hybrid", "final_logit_softcapping": 30.0,
        "query_pre_attn_scalar": 256, "sliding_window": 4096,
    }  # fmt: skip
    return gemma(layers, d, heads, kv, ff, "gemma2") | soft | more


def gemma3(layers, d, heads, kv, ff, **more):
    return gemma(layers, d, heads, kv, ff, "gemma3_text") | {
        "attn_logit_softcapping": None, "cache_implementation": "hybrid", "final_logit_softcapping": None,
        "max_position_embeddings": 32768, "query_pre_attn_scalar": 256, "rope_local_base_freq": 10000,
        "rope_scaling": None, "rope_theta": 1000000, "sliding_window": 512, "sliding_window_pattern": 6,
        "vocab_size": 262144,
    } | more  # fmt: skip


def phi(layers, d, heads, ff, **more):
    return {
        "architectures": ["PhiForCausalLM"], "attention_dropout": 0.0, "bos_token_id": None, "embd_pdrop": 0.0,
        "eos_token_id": None, "hidden_act": "gelu_new", "hidden_size": d, "initializer_range": 0.02,
        "intermediate_size": ff, "layer_norm_eps": 1e-05, "max_position_embeddings": 2048, "model_type": "phi",
        "num_attention_heads": heads, "num_hidden_layers": layers, "num_key_value_heads": None,
        "partial_rotary_factor": 0.5, "qk_layernorm": False, "resid_pdrop": 0.0, "rope_scaling": None,
        "rope_theta": 10000.0, "tie_word_embeddings": False, "torch_dtype": "float16", "use_cache": True,
        "vocab_size": 51200,
    } | more  # fmt: skip


def phi3(layers, d, heads, kv, ff, **more):
    return {
        "architectures": ["Phi3ForCausalLM"], "attention_bias": False, "attention_dropout": 0.0, "bos_token_id": 1,
        "embd_pdrop": 0.0, "eos_token_id": 32000, "hidden_act": "silu", "hidden_size": d,
        "initializer_range": 0.02, "intermediate_size": ff, "max_position_embeddings": 4096, "model_type": "phi3",
        "num_attention_heads": heads, "num_hidden_layers": layers, "num_key_value_heads": kv,
        "original_max_position_embeddings": 4096, "pad_token_id": 32000, "resid_pdrop": 0.0, "rms_norm_eps": 1e-05,
        "rope_scaling": None, "rope_theta": 10000.0, "sliding_window": 2047, "tie_word_embeddings": False,
        "torch_dtype": "bfloat16", "use_cache": True, "vocab_size": 32064,
    } | more  # fmt: skip


def deepseek(kind, layers, d, heads, ff, **more):
    return {
        "architectures": ["DeepseekV2ForCausalLM"], "attention_bias": False, "attention_dropout": 0.0,
        "aux_loss_alpha": 0.001, "bos_token_id": 100000, "eos_token_id": 100001, "ep_size": 1,
        "first_k_dense_replace": 1, "hidden_act": "silu", "hidden_size": d, "initializer_range": 0.02,
        "intermediate_size": ff, "kv_lora_rank": 512, "max_position_embeddings": 163840, "model_type": kind,
        "moe_layer_freq": 1, "norm_topk_prob": False, "num_attention_heads": heads, "num_hidden_layers": layers,
        "num_key_value_heads": heads, "pretraining_tp": 1, "q_lora_rank": 1536, "qk_nope_head_dim": 128,
        "qk_rope_head_dim": 64, "rms_norm_eps": 1e-06, "rope_scaling": YARN, "rope_theta": 10000,
        "scoring_func": "softmax", "seq_aux": True, "tie_word_embeddings": False, "torch_dtype": "bfloat16",
        "topk_method": "greedy", "use_cache": True, "v_head_dim": 128, "vocab_size": 102400,
    } | more  # fmt: skip


def gpt_oss(layers, experts):
    return {
        "architectures": ["GptOssForCausalLM"], "attention_bias": True, "attention_dropout": 0.0,
        "eos_token_id": 200002, "experts_per_token": 4, "head_dim": 64, "hidden_act": "silu", "hidden_size": 2880,
        "initial_context_length": 4096, "initializer_range": 0.02, "intermediate_size": 2880,
        "layer_types": ["sliding_attention", "full_attention"] * (layers // 2), "max_position_embeddings": 131072,
        "model_type": "gpt_oss", "num_attention_heads": 64, "num_experts_per_tok": 4, "num_hidden_layers": layers,
        "num_key_value_heads": 8, "num_local_experts": experts, "output_router_logits": False,
        "pad_token_id": 199999, "quantization_config": {"quant_method": "mxfp4"}, "rms_norm_eps": 1e-05,
        "rope_scaling": {"beta_fast": 32.0, "beta_slow": 1.0, "factor": 32.0,
                         "original_max_position_embeddings": 4096, "rope_type": "yarn", "truncate": False},
        "rope_theta": 150000, "router_aux_loss_coef": 0.9, "sliding_window": 128, "swiglu_limit": 7.0,
        "tie_word_embeddings": False, "use_cache": True, "vocab_size": 201088,
    }  # fmt: skip


def olmo2(layers, d, heads, ff, **more):
    return {
        "architectures": ["Olmo2ForCausalLM"], "attention_bias": False, "attention_dropout": 0.0,
        "eos_token_id": 100257, "hidden_act": "silu", "hidden_size": d, "initializer_range": 0.02,
        "intermediate_size": ff, "max_position_embeddings": 4096, "model_type": "olmo2",
        "num_attention_heads": heads, "num_hidden_layers": layers, "num_key_value_heads": heads,
        "pad_token_id": 100277, "rms_norm_eps": 1e-06, "rope_scaling": None, "rope_theta": 500000,
        "tie_word_embeddings": False, "torch_dtype": "float32", "use_cache": False, "vocab_size": 100352,
    } | more  # fmt: skip


def starcoder2(layers, d, heads, kv, ff, **more):
    return {
        "architectures": ["Starcoder2ForCausalLM"], "attention_dropout": 0.1, "bos_token_id": 0,
        "embedding_dropout": 0.1, "eos_token_id": 0, "hidden_act": "gelu_pytorch_tanh", "hidden_size": d,
        "initializer_range": 0.018042, "intermediate_size": ff, "max_position_embeddings": 16384,
        "mlp_type": "default", "model_type": "starcoder2", "norm_epsilon": 1e-05, "norm_type": "layer_norm",
        "num_attention_heads": heads, "num_hidden_layers": layers, "num_key_value_heads": kv,
        "residual_dropout": 0.1, "rope_theta": 999999.4420358813, "sliding_window": 4096, "use_bias": True,
        "use_cache": True, "vocab_size": 49152,
    } | more  # fmt: skip


def falcon(layers, d, heads, vocab, **more):
    return {
        "alibi": False, "apply_residual_connection_post_layernorm": False, "architectures": ["FalconForCausalLM"],
        "attention_dropout": 0.0, "bias": False, "bos_token_id": 11, "eos_token_id": 11, "hidden_dropout": 0.0,
        "hidden_size": d, "initializer_range": 0.02, "layer_norm_epsilon": 1e-05, "model_type": "falcon",
        "multi_query": True, "new_decoder_architecture": False, "num_attention_heads": heads,
        "num_hidden_layers": layers, "parallel_attn": True, "torch_dtype": "bfloat16", "use_cache": True,
        "vocab_size": vocab,
    } | more  # fmt: skip


def bert(layers, d, heads, ff, vocab, architecture, **more):
    return {
        "architectures": [architecture], "attention_probs_dropout_prob": 0.1, "gradient_checkpointing": False,
        "hidden_act": "gelu", "hidden_dropout_prob": 0.1, "hidden_size": d, "initializer_range": 0.02,
        "intermediate_size": ff, "layer_norm_eps": 1e-12, "max_position_embeddings": 512, "model_type": "bert",
        "num_attention_heads": heads, "num_hidden_layers": layers, "pad_token_id": 0,
        "position_embedding_type": "absolute", "transformers_version": "4.6.0.dev0", "type_vocab_size": 2,
        "use_cache": True, "vocab_size": vocab,
    } | more  # fmt: skip


def roberta(layers, d, heads, ff, **more):
    return bert(layers, d, heads, ff, 50265, "RobertaForMaskedLM") | {
        "bos_token_id": 0, "eos_token_id": 2, "layer_norm_eps": 1e-05, "max_position_embeddings": 514,
        "model_type": "roberta", "pad_token_id": 1, "type_vocab_size": 1,
    } | more  # fmt: skip


def mpt(layers, d, heads, sequence, **attention):
    return {
        "architectures": ["MPTForCausalLM"],
        "attn_config": {
            "alibi": True, "alibi_bias_max": 8, "attn_impl": "torch", "attn_pdrop": 0,
            "attn_type": "multihead_attention", "attn_uses_sequence_id": False, "clip_qkv": None,
            "prefix_lm": False, "qk_ln": False, "softmax_scale": None,
        } | attention,
        "d_model": d, "emb_pdrop": 0, "embedding_fraction": 1.0, "expansion_ratio": 4,
        "init_config": {"name": "kaiming_normal_"}, "init_device": "cpu", "learned_pos_emb": True,
        "logit_scale": None, "max_seq_len": sequence, "model_type": "mpt", "n_heads": heads, "n_layers": layers,
        "no_bias": True, "norm_type": "low_precision_layernorm", "resid_pdrop": 0,
        "tokenizer_name": "EleutherAI/gpt-neox-20b", "torch_dtype": "bfloat16", "use_cache": False, "verbose": 0,
        "vocab_size": 50432,
    }  # fmt: skip


def bloom(layers, d, heads):
    return {
        "apply_residual_connection_post_layernorm": False, "architectures": ["BloomForCausalLM"],
        "attention_dropout": 0.0, "attention_softmax_in_fp32": True, "bias_dropout_fusion": True, "bos_token_id": 1,
        "eos_token_id": 2, "hidden_dropout": 0.0, "initializer_range": 0.02, "layer_norm_epsilon": 1e-05,
        "masked_softmax_fusion": True, "model_type": "bloom", "n_embed": d, "n_inner": None, "n_layer": layers,
        "num_attention_heads": heads, "offset_alibi": 100, "pad_token_id": 3, "pretraining_tp": 1,
        "seq_length": 2048, "skip_bias_add": True, "skip_bias_add_qkv": False, "unk_token_id": 0, "use_cache": True,
        "vocab_size": 250880,
    }  # fmt: skip


def jais(layers, d, heads, ff, vocab, kind, **more):
    return {
        "activation_function": "swiglu", "attn_pdrop": 0.0, "embd_pdrop": 0.0, "initializer_range": 0.02,
        "layer_norm_epsilon": 1e-05, "model_type": kind, "n_embd": d, "n_head": heads, "n_inner": ff,
        "n_layer": layers, "position_embedding_type": "alibi", "reorder_and_upcast_attn": False, "resid_pdrop": 0.0,
        "scale_attn_by_inverse_layer_idx": False, "scale_attn_weights": True, "torch_dtype": "bfloat16",
        "use_cache": True, "vocab_size": vocab,
    } | more  # fmt: skip


def mamba2(layers, d, heads, **more):
    return {
        "architectures": ["Mamba2ForCausalLM"], "bos_token_id": 0, "chunk_size": 256, "conv_kernel": 4,
        "eos_token_id": 0, "expand": 2, "head_dim": 64, "hidden_act": "silu", "hidden_size": d,
        "initializer_range": 0.1, "layer_norm_epsilon": 1e-05, "model_type": "mamba2", "n_groups": 1,
        "norm_before_gate": False, "num_heads": heads, "num_hidden_layers": layers, "pad_token_id": 0,
        "rescale_prenorm_residual": False, "residual_in_fp32": True, "rms_norm": True, "state_size": 128,
        "tie_word_embeddings": True, "time_step_floor": 0.0001, "time_step_init_scheme": "random",
        "time_step_limit": [0.0, float("inf")], "time_step_max": 0.1, "time_step_min": 0.001,
        "time_step_rank": d // 16, "time_step_scale": 1.0, "torch_dtype": "float32", "use_bias": False,
        "use_cache": True, "use_conv_bias": True, "vocab_size": 50288,
    } | more  # fmt: skip


def t5(layers, d, heads, ff, **more):
    return {
        "architectures": ["T5ForConditionalGeneration"], "d_ff": ff, "d_kv": 64, "d_model": d,
        "decoder_start_token_id": 0, "dropout_rate": 0.1, "eos_token_id": 1, "initializer_factor": 1.0,
        "is_encoder_decoder": True, "layer_norm_epsilon": 1e-06, "model_type": "t5", "n_positions": 512,
        "num_heads": heads, "num_layers": layers, "output_past": True, "pad_token_id": 0,
        "relative_attention_num_buckets": 32, "vocab_size": 32128,
    } | more  # fmt: skip


def flan(layers, d, heads, ff):
    return t5(layers, d, heads, ff, feed_forward_proj="gated-gelu", num_decoder_layers=layers,
              relative_attention_max_distance=128, tie_word_embeddings=False, use_cache=True)  # fmt: skip


def vit(layers, d, heads, ff, architecture, **more):
    return {
        "architectures": [architecture], "attention_probs_dropout_prob": 0.0, "hidden_act": "gelu",
        "hidden_dropout_prob": 0.0, "hidden_size": d, "image_size": 224, "initializer_range": 0.02,
        "intermediate_size": ff, "layer_norm_eps": 1e-12, "model_type": "vit", "num_attention_heads": heads,
        "num_channels": 3, "num_hidden_layers": layers, "patch_size": 16, "qkv_bias": True,
    } | more  # fmt: skip


THOUSAND = {"id2label": {str(i): f"class {i}" for i in range(1000)}}
V3 = {
    "architectures": ["DeepseekV3ForCausalLM"], "first_k_dense_replace": 3, "moe_intermediate_size": 2048,
    "n_group": 8, "n_routed_experts": 256, "n_shared_experts": 1, "norm_topk_prob": True, "num_experts_per_tok": 8,
    "num_nextn_predict_layers": 1, "quantization_config": {"quant_method": "fp8"}, "routed_scaling_factor": 2.5,
    "scoring_func": "sigmoid", "topk_group": 4, "topk_method": "noaux_tc", "vocab_size": 129280,
}  # fmt: skip

CONFIGS = {
    "openai-community/gpt2": (124_439_808, gpt2(12, 768, 12)),
    "openai-community/gpt2-medium": (354_823_168, gpt2(24, 1024, 16)),
    "openai-community/gpt2-large": (774_030_080, gpt2(36, 1280, 20)),
    "openai-community/gpt2-xl": (1_557_611_200, gpt2(48, 1600, 25)),
    "EleutherAI/gpt-j-6b": (6_050_882_784, {
        "activation_function": "gelu_new", "architectures": ["GPTJForCausalLM"], "attn_pdrop": 0.0,
        "bos_token_id": 50256, "embd_pdrop": 0.0, "eos_token_id": 50256, "gradient_checkpointing": False,
        "initializer_range": 0.02, "layer_norm_epsilon": 1e-05, "model_type": "gptj", "n_embd": 4096, "n_head": 16,
        "n_inner": None, "n_layer": 28, "n_positions": 2048, "resid_pdrop": 0.0, "rotary": True, "rotary_dim": 64,
        "scale_attn_weights": True, "summary_activation": None, "tie_word_embeddings": False, "use_cache": True,
        "vocab_size": 50400}),
    "EleutherAI/gpt-neox-20b": (20_554_567_680, neox(44, 6144, 64, 24576, 50432)),
    "EleutherAI/pythia-70m": (70_426_624, neox(6, 512, 8, 2048, 50304)),
    "EleutherAI/pythia-12b": (11_846_072_320, neox(36, 5120, 40, 20480, 50688)),
    "facebook/opt-125m": (125_239_296, opt(12, 768, 12, 3072)),
    "facebook/opt-350m": (331_196_416, opt(24, 1024, 16, 4096, do_layer_norm_before=False, word_embed_proj_dim=512)),
    "facebook/opt-6.7b": (6_658_473_984, opt(32, 4096, 32, 16384)),
    "facebook/opt-66b": (65_719_701_504, opt(64, 9216, 72, 36864)),
    "bigscience/bloom-560m": (559_214_592, bloom(24, 1024, 16)),
    "bigscience/bloom": (176_247_271_424, bloom(70, 14336, 112)),
    "mosaicml/mpt-7b": (6_649_286_656, mpt(32, 4096, 32, 2048)),
    "mosaicml/mpt-7b-storywriter": (6_649_286_656, mpt(32, 4096, 32, 65536, clip_qkv=6, alibi_bias_max=16)),
    "mosaicml/mpt-30b": (29_957_200_896, mpt(48, 7168, 64, 8192)),
    "tiiuae/falcon-rw-1b": (1_311_625_216, falcon(24, 2048, 32, 50304, alibi=True, bias=True, multi_query=False,
                                                  parallel_attn=False)),
    "tiiuae/falcon-7b": (6_921_720_704, falcon(32, 4544, 71, 65024)),
    "tiiuae/falcon-40b": (41_303_293_952, falcon(60, 8192, 128, 65024, new_decoder_architecture=True,
                                                 num_kv_heads=8)),
    "tiiuae/falcon-180B": (178_557_088_768, falcon(80, 14848, 232, 65024, new_decoder_architecture=True,
                                                   num_kv_heads=8)),
    "tiiuae/falcon-11B": (11_102_822_400, falcon(60, 4096, 32, 65024, new_decoder_architecture=True, num_kv_heads=8,
                                                 num_ln_in_parallel_attn=1, tie_word_embeddings=False,
                                                 max_position_embeddings=8192, rope_theta=500042.0, activation="gelu",
                                                 ff_factor=4, ffn_hidden_size=16384)),
    "huggyllama/llama-7b": (6_738_415_616, {
        "architectures": ["LlamaForCausalLM"], "bos_token_id": 1, "eos_token_id": 2, "hidden_act": "silu",
        "hidden_size": 4096, "initializer_range": 0.02, "intermediate_size": 11008, "max_position_embeddings": 2048,
        "max_sequence_length": 2048, "model_type": "llama", "num_attention_heads": 32, "num_hidden_layers": 32,
        "pad_token_id": 0, "rms_norm_eps": 1e-06, "tie_word_embeddings": False, "use_cache": True,
        "vocab_size": 32000}),
    "meta-llama/Llama-2-13b-hf": (13_015_864_320, llama(40, 5120, 40, 40, 13824, 32000, 4096)),
    "meta-llama/Llama-2-70b-hf": (68_976_648_192, llama(80, 8192, 64, 8, 28672, 32000, 4096)),
    "meta-llama/Llama-3.1-8B": (8_030_261_248, llama(32, 4096, 32, 8, 14336, 128256, 131072, rope_scaling=LLAMA3_ROPE)),
    "meta-llama/Llama-3.1-405B": (405_853_388_800, llama(126, 16384, 128, 8, 53248, 128256, 131072,
                                                         rope_scaling=LLAMA3_ROPE)),
    "meta-llama/Llama-3.2-1B": (1_235_814_400, llama(16, 2048, 32, 8, 8192, 128256, 131072, head_dim=64,
                                                     rope_scaling=LLAMA3_ROPE | {"factor": 32.0},
                                                     tie_word_embeddings=True)),
    "HuggingFaceTB/SmolLM2-135M": (134_515_008, llama(30, 576, 9, 3, 1536, 49152, 8192, tie_word_embeddings=True,
                                                      is_llama_config=True, rope_interleaved=False)),
    "mistralai/Mistral-7B-v0.1": (7_241_732_096, {
        "architectures": ["MistralForCausalLM"], "bos_token_id": 1, "eos_token_id": 2, "hidden_act": "silu",
        "hidden_size": 4096, "initializer_range": 0.02, "intermediate_size": 14336, "max_position_embeddings": 32768,
        "model_type": "mistral", "num_attention_heads": 32, "num_hidden_layers": 32, "num_key_value_heads": 8,
        "rms_norm_eps": 1e-05, "rope_theta": 10000.0, "sliding_window": 4096, "tie_word_embeddings": False,
        "torch_dtype": "bfloat16", "use_cache": True, "vocab_size": 32000}),
    "mistralai/Mistral-Nemo-Base-2407": (12_247_782_400, {
        "architectures": ["MistralForCausalLM"], "attention_dropout": 0.0, "head_dim": 128, "hidden_act": "silu",
        "hidden_size": 5120, "initializer_range": 0.02, "intermediate_size": 14336, "max_position_embeddings": 131072,
        "model_type": "mistral", "num_attention_heads": 32, "num_hidden_layers": 40, "num_key_value_heads": 8,
        "rms_norm_eps": 1e-05, "rope_theta": 1000000.0, "sliding_window": None, "tie_word_embeddings": False,
        "vocab_size": 131072}),
    "mistralai/Mixtral-8x7B-v0.1": (46_702_792_704, {
        "architectures": ["MixtralForCausalLM"], "attention_dropout": 0.0, "hidden_act": "silu", "hidden_size": 4096,
        "initializer_range": 0.02, "intermediate_size": 14336, "max_position_embeddings": 32768,
        "model_type": "mixtral", "num_attention_heads": 32, "num_experts_per_tok": 2, "num_hidden_layers": 32,
        "num_key_value_heads": 8, "num_local_experts": 8, "output_router_logits": False, "rms_norm_eps": 1e-05,
        "rope_theta": 1000000.0, "router_aux_loss_coef": 0.02, "sliding_window": None, "tie_word_embeddings": False,
        "vocab_size": 32000}),
    "Qwen/Qwen2-0.5B": (494_032_768, qwen2(24, 896, 14, 2, 4864, 151936, True)),
    "Qwen/Qwen2.5-7B": (7_615_616_512, qwen2(28, 3584, 28, 4, 18944, 152064, False)),
    "Qwen/Qwen2.5-72B": (72_706_203_648, qwen2(80, 8192, 64, 8, 29568, 152064, False)),
    "Qwen/Qwen3-0.6B": (596_049_920, qwen3(28, 1024, 16, 8, 3072, True)),
    "Qwen/Qwen3-8B": (8_190_735_360, qwen3(36, 4096, 32, 8, 12288, False)),
    "Qwen/Qwen3-30B-A3B": (30_532_122_624, qwen3_moe(48, 2048, 32, 4, 6144, 768)),
    "Qwen/Qwen3-235B-A22B": (235_093_634_560, qwen3_moe(94, 4096, 64, 4, 12288, 1536)),
    "google/gemma-2b": (2_506_172_416, gemma(18, 2048, 8, 1, 16384, "gemma")),
    "google/gemma-7b": (8_537_680_896, gemma(28, 3072, 16, 16, 24576, "gemma")),
    "google/gemma-2-2b": (2_614_341_888, gemma2(26, 2304, 8, 4, 9216)),
    "google/gemma-2-9b": (9_241_705_984, gemma2(42, 3584, 16, 8, 14336, sliding_window_size=4096)),
    "google/gemma-2-27b": (27_227_128_320, gemma2(46, 4608, 32, 16, 36864, head_dim=128, query_pre_attn_scalar=144)),
    "google/gemma-3-270m": (268_098_176, gemma3(18, 640, 4, 1, 2048, _sliding_window_pattern=6,
                                                use_bidirectional_attention=False)),
    "google/gemma-3-1b-pt": (999_885_952, gemma3(26, 1152, 4, 1, 6912)),
    "microsoft/phi-1_5": (1_418_270_720, phi(24, 2048, 32, 8192)),
    "microsoft/phi-2": (2_779_683_840, phi(32, 2560, 32, 10240, partial_rotary_factor=0.4, resid_pdrop=0.1,
                                           num_key_value_heads=32)),
    "microsoft/Phi-3-mini-4k-instruct": (3_821_079_552, phi3(32, 3072, 32, 32, 8192)),
    "microsoft/Phi-3-mini-128k-instruct": (3_821_079_552, phi3(
        32, 3072, 32, 32, 8192, max_position_embeddings=131072, sliding_window=262144,
        rope_scaling={"long_factor": [1.08, 64.3] * 24, "short_factor": [1.0, 2.95] * 24, "type": "longrope"})),
    "microsoft/phi-4": (14_659_507_200, phi3(40, 5120, 40, 10, 17920, max_position_embeddings=16384,
                                             original_max_position_embeddings=16384, rope_theta=250000,
                                             sliding_window=None, vocab_size=100352)),
    "deepseek-ai/DeepSeek-V2-Lite": (15_706_484_224, deepseek(
        "deepseek_v2", 27, 2048, 16, 10944, moe_intermediate_size=1408, n_group=1, n_routed_experts=64,
        n_shared_experts=2, num_experts_per_tok=6, q_lora_rank=None, routed_scaling_factor=1.0, topk_group=1)),
    "deepseek-ai/DeepSeek-V2": (235_741_434_880, deepseek(
        "deepseek_v2", 60, 5120, 128, 12288, moe_intermediate_size=1536, n_group=8, n_routed_experts=160,
        n_shared_experts=2, num_experts_per_tok=6, routed_scaling_factor=16.0, topk_group=3,
        topk_method="group_limited_greedy")),
    "deepseek-ai/DeepSeek-V3": (671_026_404_352, deepseek("deepseek_v3", 61, 7168, 128, 18432, **V3)),
    "moonshotai/Kimi-K2-Instruct": (1_026_408_209_408, deepseek("kimi_k2", 61, 7168, 64, 18432, **V3 | {
        "first_k_dense_replace": 1, "max_position_embeddings": 131072, "n_group": 1, "n_routed_experts": 384,
        "num_nextn_predict_layers": 0, "rope_theta": 50000.0, "routed_scaling_factor": 2.827, "topk_group": 1,
        "vocab_size": 163840})),
    "openai/gpt-oss-20b": (20_914_757_184, gpt_oss(24, 32)),
    "openai/gpt-oss-120b": (116_829_156_672, gpt_oss(36, 128)),
    "allenai/OLMo-2-0425-1B": (1_484_916_736, olmo2(16, 2048, 16, 8192)),
    "allenai/OLMo-2-1124-7B": (7_298_617_344, olmo2(32, 4096, 32, 11008)),
    "bigcode/starcoder2-3b": (3_030_371_328, starcoder2(30, 3072, 24, 2, 12288)),
    "bigcode/starcoder2-7b": (7_173_923_840, starcoder2(32, 4608, 36, 4, 18432)),
    "bigcode/starcoder2-15b": (15_957_889_024, starcoder2(40, 6144, 48, 4, 24576, tie_word_embeddings=False)),
    "HuggingFaceTB/SmolLM3-3B": (3_075_098_624, {
        "architectures": ["SmolLM3ForCausalLM"], "attention_bias": False, "attention_dropout": 0.0,
        "bos_token_id": None, "eos_token_id": 128012, "hidden_act": "silu", "hidden_size": 2048,
        "initializer_range": 0.02, "intermediate_size": 11008, "max_position_embeddings": 65536,
        "max_window_layers": 28, "mlp_bias": False, "model_type": "smollm3", "no_rope_layer_interval": 4,
        "no_rope_layers": [1, 1, 1, 0] * 9, "num_attention_heads": 16, "num_hidden_layers": 36,
        "num_key_value_heads": 4, "pad_token_id": 128004, "pretraining_tp": 2, "rms_norm_eps": 1e-06,
        "rope_scaling": None, "rope_theta": 5000000.0, "sliding_window": None, "use_cache": False,
        "use_sliding_window": False, "vocab_size": 128256}),
    "zai-org/GLM-4-9B-0414": (9_400_279_040, {
        "architectures": ["Glm4ForCausalLM"], "attention_bias": True, "attention_dropout": 0.0,
        "eos_token_id": [151329, 151336, 151338], "head_dim": 128, "hidden_act": "silu", "hidden_size": 4096,
        "initializer_range": 0.02, "intermediate_size": 13696, "max_position_embeddings": 32768,
        "model_type": "glm4", "num_attention_heads": 32, "num_hidden_layers": 40, "num_key_value_heads": 2,
        "pad_token_id": 151329, "partial_rotary_factor": 0.5, "rms_norm_eps": 1e-05, "rope_theta": 10000.0,
        "tie_word_embeddings": False, "use_cache": True, "vocab_size": 151552}),
    "google-bert/bert-base-uncased": (109_514_298, bert(12, 768, 12, 3072, 30522, "BertForMaskedLM")),
    "google-bert/bert-large-uncased": (335_174_458, bert(24, 1024, 16, 4096, 30522, "BertForMaskedLM")),
    "sentence-transformers/all-MiniLM-L6-v2": (22_713_216, bert(6, 384, 12, 1536, 30522, "BertModel")),
    "FacebookAI/roberta-base": (124_697_433, roberta(12, 768, 12, 3072)),
    "FacebookAI/roberta-large": (355_412_057, roberta(24, 1024, 16, 4096)),
    "core42/jais-13b": (13_020_811_920, jais(40, 5120, 40, 13653, 84992, "jais", n_positions=2048,
                                             embeddings_scale=14.6, scale_qk_dot_by_d=True, width_scale=0.111)),
    "cerebras/btlm-3b-8k-base": (2_646_255_744, jais(32, 2560, 32, 6826, 50257, "btlm", n_positions=8192,
                                                     mup_embeddings_scale=14.6, mup_output_alpha=2.22,
                                                     mup_scale_qk_dot_by_d=True, mup_width_scale=0.1)),
    "AntonV/mamba2-130m-hf": (128_989_632, mamba2(24, 768, 24)),
    "AntonV/mamba2-2.7b-hf": (2_702_599_680, mamba2(64, 2560, 80)),
    "mistralai/Mamba-Codestral-7B-v0.1": (7_285_403_648, mamba2(
        64, 4096, 128, n_groups=8, norm_before_gate=True, tie_word_embeddings=False, vocab_size=32768)),
    "google-t5/t5-small": (60_506_624, t5(6, 512, 8, 2048)),
    "google-t5/t5-base": (222_903_552, t5(12, 768, 12, 3072)),
    "google-t5/t5-11b": (11_307_321_344, t5(24, 1024, 128, 65536, d_kv=128)),
    "google/flan-t5-small": (76_961_152, flan(8, 512, 6, 1024)),
    "google/flan-t5-xl": (2_849_757_184, flan(24, 2048, 32, 5120)),
    "google/vit-base-patch16-224": (86_567_656, vit(12, 768, 12, 3072, "ViTForImageClassification", **THOUSAND)),
    "google/vit-large-patch16-224": (304_326_632, vit(24, 1024, 16, 4096, "ViTForImageClassification", **THOUSAND)),
    "google/vit-base-patch16-224-in21k": (86_389_248, vit(12, 768, 12, 3072, "ViTModel")),
    "facebook/DiT-XL-2-256": (674_834_720, {
        "_class_name": "Transformer2DModel", "_diffusers_version": "0.12.0.dev0", "activation_fn": "gelu-approximate",
        "attention_bias": True, "attention_head_dim": 72, "cross_attention_dim": None, "dropout": 0.0,
        "in_channels": 4, "norm_elementwise_affine": False, "norm_num_groups": 32, "norm_type": "ada_norm_zero",
        "num_attention_heads": 16, "num_embeds_ada_norm": 1000, "num_layers": 28, "num_vector_embeds": None,
        "only_cross_attention": False, "out_channels": 8, "patch_size": 2, "sample_size": 32,
        "upcast_attention": False, "use_linear_projection": False}),
}  # fmt: skip
