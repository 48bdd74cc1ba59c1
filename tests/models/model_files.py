"""Small models with weights and tokenizers as files: a Hugging Face folder, and GGUF."""

import json

import gguf
import numpy as np
from safetensors.numpy import save_file
from tokenizers import pre_tokenizers

TEMPLATE = "{% for m in messages %}<|im_start|>{{ m['role'] }}: {{ m['content'] }}<|im_end|>{% endfor %}<|im_start|>"
CONTROL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
# Arrays of a layer, and of the whole model: our name, GGUF's, Hugging Face's.
MATRICES = {
    "q": ("attn_q", "self_attn.q_proj"),
    "k": ("attn_k", "self_attn.k_proj"),
    "v": ("attn_v", "self_attn.v_proj"),
    "o": ("attn_output", "self_attn.o_proj"),
    "gate": ("ffn_gate", "mlp.gate_proj"),
    "up": ("ffn_up", "mlp.up_proj"),
    "down": ("ffn_down", "mlp.down_proj"),
    "gains1": ("attn_norm", "input_layernorm"),
    "gains2": ("ffn_norm", "post_attention_layernorm"),
}
WHOLE = {
    "embedding": ("token_embd", "model.embed_tokens"),
    "gains": ("output_norm", "model.norm"),
    "head": ("output", "lm_head"),
}
MERGES = [("h", "e"), ("Ġ", "t"), ("Ġt", "he")]


def tokens():
    """The tokens: control tokens, all bytes, the results of the merges."""
    return [*CONTROL, *sorted(pre_tokenizers.ByteLevel.alphabet()), *("".join(pair) for pair in MERGES)]


VOCAB = len(tokens())


def config_of(weights):
    c = weights.config
    return {
        "model_type": "llama", "num_hidden_layers": c.layers, "hidden_size": c.d_model, "intermediate_size": c.d_ff,
        "num_attention_heads": c.heads, "num_key_value_heads": c.kv_heads, "head_dim": c.d_head, "vocab_size": c.vocab,
        "max_position_embeddings": c.sequence, "rms_norm_eps": c.norm_eps, "rope_theta": c.rope_theta,
        "hidden_act": "silu", "tie_word_embeddings": c.tied,
    }  # fmt: skip


def named(weights, side):
    """Arrays by the names of a GGUF file (side 0) or of Hugging Face (1)."""
    prefix = ("blk", "model.layers")[side]
    whole = {name: getattr(weights, name) for name in WHOLE}
    made = {f"{found[side]}.weight": whole[ours] for ours, found in WHOLE.items() if whole[ours] is not None}
    for i, layer in enumerate(weights.layers):
        made |= {f"{prefix}.{i}.{found[side]}.weight": layer[ours] for ours, found in MATRICES.items()}
    return made


def write_folder(path, weights, kind=np.float32):
    """config.json, model.safetensors, tokenizer.json and tokenizer_config.json."""
    path.mkdir(exist_ok=True)
    (path / "config.json").write_text(json.dumps(config_of(weights)))
    save_file(
        {name: np.ascontiguousarray(a.astype(kind)) for name, a in named(weights, 1).items()},
        path / "model.safetensors",
    )
    words = {
        "version": "1.0", "truncation": None, "padding": None, "normalizer": None, "post_processor": None,
        "added_tokens": [
            {"id": i, "content": t, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
            for i, t in enumerate(CONTROL)
        ],
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {
            "type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
            "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False,
            "vocab": {t: i for i, t in enumerate(tokens())}, "merges": [list(pair) for pair in MERGES],
        },
    }  # fmt: skip
    (path / "tokenizer.json").write_text(json.dumps(words))
    (path / "tokenizer_config.json").write_text(
        json.dumps({"eos_token": "<|im_end|>", "bos_token": {"content": "<|im_start|>"}, "chat_template": TEMPLATE})
    )
    return path


def write_gguf(path, weights, change=None):
    """A GGUF file with a tokenizer.  change: of the writer, before it writes."""
    c, writer = weights.config, gguf.GGUFWriter(path, "llama")
    writer.add_name("small")
    for add, value in (
        (writer.add_block_count, c.layers),
        (writer.add_context_length, c.sequence),
        (writer.add_embedding_length, c.d_model),
        (writer.add_feed_forward_length, c.d_ff),
        (writer.add_head_count, c.heads),
        (writer.add_head_count_kv, c.kv_heads),
        (writer.add_layer_norm_rms_eps, c.norm_eps),
        (writer.add_rope_freq_base, c.rope_theta),
        (writer.add_rope_dimension_count, c.d_head),
        (writer.add_tokenizer_model, "gpt2"),
        (writer.add_tokenizer_pre, "smollm"),
        (writer.add_token_list, tokens()),
        (writer.add_token_types, [3] * len(CONTROL) + [1] * (VOCAB - len(CONTROL))),
        (writer.add_token_merges, [" ".join(pair) for pair in MERGES]),
        (writer.add_eos_token_id, 2),
        (writer.add_bos_token_id, 1),
        (writer.add_chat_template, TEMPLATE),
    ):
        add(value)
    for name, values in named(weights, 0).items():
        if name.endswith(("attn_q.weight", "attn_k.weight")):  # pairs that RoPE turns side by side
            heads = c.heads if "attn_q" in name else c.kv_heads
            values = values.reshape(heads, 2, -1, c.d_model).swapaxes(1, 2).reshape(values.shape)
        writer.add_tensor(name, np.ascontiguousarray(values))
    if change is not None:
        change(writer)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
