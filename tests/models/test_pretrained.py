"""Models in files: read, cut, exported and read again; damaged and foreign files; the logits of transformers."""

import json

import numpy as np
import pytest

from wse.errors import ConfigError
from wse.models import experts, graph, load, tensor_files
from wse.models.load import from_hugging_face
from wse.models.lowering import executable
from wse.models.names import config_of, entries
from wse.models.pretrained import Pretrained, export, open_pretrained

numpy_files = pytest.importorskip("safetensors.numpy")
LLAMA = load("nano-llama").but(kv_heads=2)


def values(made, seed=0):
    rng = np.random.default_rng(seed)
    return {name: rng.normal(size=p.shape).astype(np.float32) for name, p in made.parameters.items()}


@pytest.fixture
def folder(tmp_path):
    """A Llama of two layers as Hugging Face has it."""
    made = graph(LLAMA)
    export(tmp_path / "llama", made, values(made).__getitem__)
    return tmp_path / "llama"


def read(path, layers=None):
    files = open_pretrained(path)
    whole = graph(files.model())
    made = whole if layers is None else graph(files.model().but(layers=layers))
    return files, dict(files.weights(made, whole)), made


def rewrite(folder, change):
    tensors = numpy_files.load_file(folder / "model.safetensors")
    numpy_files.save_file(change(tensors) or tensors, folder / "model.safetensors")


@pytest.mark.parametrize("name", ["nano", "nano-llama"])
def test_what_is_exported_is_read_again(tmp_path, name):
    made = graph(load(name))
    wanted = values(made)
    export(tmp_path / "out", made, wanted.__getitem__)
    _, found, again = read(tmp_path / "out")
    assert again.model.but(name=name, source=made.model.source) == made.model
    assert found.keys() == wanted.keys()
    for key, value in wanted.items():
        assert np.array_equal(found[key], value), key


def test_tensors_of_experts(tmp_path):
    """Files have a tensor for each expert; an expert too many or too few, or of another shape, is named."""
    config = {
        "model_type": "mixtral", "num_hidden_layers": 1, "hidden_size": 8, "num_attention_heads": 2, "vocab_size": 11,
        "num_key_value_heads": 2, "intermediate_size": 12, "num_local_experts": 3,
    }  # fmt: skip
    made = graph(from_hugging_face(config))
    wanted, tensors = values(made), {}
    for entry in entries(made, "mixtral"):
        (value,) = [wanted[name] for name in entry.ours]
        if ".experts." in entry.name:
            start, end = entry.name.split(".experts.")
            tensors |= {f"{start}.experts.{i}.{end}": np.ascontiguousarray(of) for i, of in enumerate(value)}
        else:
            tensors[entry.name] = value
    (tmp_path / "config.json").write_text(json.dumps(config))

    def found(**changes):
        numpy_files.save_file({**tensors, **changes}, tmp_path / "model.safetensors")
        return read(tmp_path)[1]

    assert all(np.array_equal(found()[name], value) for name, value in wanted.items())
    name = "model.layers.0.block_sparse_moe.experts.{}.w1.weight"
    one = tensors[name.format(0)]
    with pytest.raises(
        ConfigError, match=r"experts.w1.weight is \[4, 12, 8\], but by config.json must be \[3, 12, 8\]"
    ):
        found(**{name.format(3): one})
    with pytest.raises(ConfigError, match=r"has no tensor model.layers.0.block_sparse_moe.experts.w1.weight"):
        found(**{name.format(1): one.T.copy()})
    del tensors[name.format(0)]
    with pytest.raises(ConfigError, match=r"has no tensor model.layers.0.block_sparse_moe.experts.w1.weight"):
        found()


SCALES = [0, 1, 60, 120, 126, 127, 128, 133, 200, 252]  # powers of two, plus 127


def in_blocks(tmp_path, change=None):
    """A gpt_oss with random blocks of 4 bits, as its published files have: its graph, and the tensors of the file."""
    config = {
        "model_type": "gpt_oss", "num_hidden_layers": 1, "hidden_size": 32, "num_attention_heads": 2, "vocab_size": 11,
        "intermediate_size": 64, "num_local_experts": 3, "num_experts_per_tok": 1, "num_key_value_heads": 2,
        "head_dim": 4, "quantization_config": {"quant_method": "mxfp4"},
    }  # fmt: skip
    made, rng = graph(from_hugging_face(config)), np.random.default_rng(4)
    whole = {e.name: rng.standard_normal(e.shape).astype(np.float32) for e in entries(made, "gpt_oss")}
    for role, outputs, inputs in (("gate_up", 128, 32), ("down", 32, 64)):
        name = f"model.layers.0.mlp.experts.{role}_proj"
        del whole[name]
        whole[f"{name}_blocks"] = rng.integers(0, 256, (3, outputs, inputs // 32, 16)).astype(np.uint8)
        whole[f"{name}_scales"] = rng.choice(SCALES, (3, outputs, inputs // 32)).astype(np.uint8)
    if change is not None:
        change(whole)
    (tmp_path / "config.json").write_text(json.dumps(config))
    numpy_files.save_file(whole, tmp_path / "model.safetensors")
    return whole


def test_blocks_of_4_bits(tmp_path):
    """To the bit what the definition of OCP says, one value after the other."""
    whole = in_blocks(tmp_path)
    found = read(tmp_path)[1]
    blocks, scales = (whole[f"model.layers.0.mlp.experts.gate_up_proj_{part}"] for part in ("blocks", "scales"))
    for expert, output, i in np.ndindex(3, 128, 32):
        code = int(blocks[expert, output, 0, i // 2]) >> 4 * (i % 2) & 15
        sign, exponent, mantissa = code >> 3, code >> 1 & 3, code & 1
        size = (1 + mantissa / 2) * 2.0 ** (exponent - 1) if exponent else mantissa / 2
        wanted = (-1) ** sign * size * 2.0 ** (int(scales[expert, output, 0]) - 127)
        role = ("gate", "up")[output % 2]
        assert found[f"layers.0.mlp.experts.{role}.weight"][expert, output // 2, i] == np.float32(wanted)


def test_blocks_of_4_bits_as_transformers_has_them(tmp_path):
    torch = pytest.importorskip("torch")
    mxfp4 = pytest.importorskip("transformers.integrations.mxfp4")
    whole = in_blocks(tmp_path)
    files = open_pretrained(tmp_path)
    for role in ("gate_up", "down"):
        name = f"model.layers.0.mlp.experts.{role}_proj"
        parts = [torch.from_numpy(whole[f"{name}_{part}"]) for part in ("blocks", "scales")]
        wanted = mxfp4.convert_moe_packed_tensors(*parts, dtype=torch.float32).numpy()
        assert files.read(name).tobytes() == np.ascontiguousarray(wanted).tobytes()


def test_blocks_of_4_bits_that_are_wrong(tmp_path):
    name = "model.layers.0.mlp.experts.down_proj"

    def scales(value):
        return lambda whole: whole.update({f"{name}_scales": np.full((3, 32, 2), value, np.uint8)})

    for value in (254, 255):  # beyond float32; no number
        in_blocks(tmp_path, scales(value))
        with pytest.raises(ConfigError, match="down_proj has values that are not finite"):
            read(tmp_path)
    in_blocks(tmp_path, lambda whole: whole.update({f"{name}_scales": np.zeros((3, 32, 1), np.uint8)}))
    with pytest.raises(
        ConfigError, match=r"blocks is U8 \[3, 32, 2, 16\] and .*_scales is U8 \[3, 32, 1\], but blocks"
    ):
        read(tmp_path)
    in_blocks(tmp_path, lambda whole: whole.pop(f"{name}_scales"))
    with pytest.raises(ConfigError, match=r"has no tensor model.layers.0.mlp.experts.down_proj"):
        read(tmp_path)


def test_first_layers_of_a_folder(folder):
    files, found, made = read(folder, layers=1)
    assert found.keys() == made.parameters.keys() and not any(name.startswith("layers.1.") for name in found)
    export(folder.parent / "cut", made, found.__getitem__, files)
    _, again, _ = read(folder.parent / "cut")
    assert all(np.array_equal(again[name], value) for name, value in found.items())
    assert json.loads((folder.parent / "cut/config.json").read_text())["num_hidden_layers"] == 1


def test_sixteen_bits_and_several_files(folder):
    tensors = numpy_files.load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = sorted(tensors)
    parts = {"a.safetensors": names[::2], "b.safetensors": names[1::2]}
    for file, own in parts.items():
        numpy_files.save_file({name: tensors[name].astype(np.float16) for name in own}, folder / file)
    index = {"weight_map": {name: file for file, own in parts.items() for name in own}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    _, found, made = read(folder)
    for name, value in values(made).items():
        np.testing.assert_array_equal(found[name], value.astype(np.float16).astype(np.float32))


def test_bf16(folder):
    ml_dtypes = pytest.importorskip("ml_dtypes")
    rewrite(folder, lambda tensors: {name: value.astype(ml_dtypes.bfloat16) for name, value in tensors.items()})
    _, found, made = read(folder)
    for name, value in values(made).items():
        np.testing.assert_array_equal(found[name], value.astype(ml_dtypes.bfloat16).astype(np.float32))


def test_a_reduced_vocabulary_leaves_other_rows_as_they_were(folder):
    files, found, made = read(folder)
    rows = np.array([3, 5, 90])
    small = graph(made.model.but(vocab=3))
    trained = {n: found[n][rows] + 1 if n in ("embedding.weight", "head.weight") else found[n] for n in found}
    export(folder.parent / "out", small, trained.__getitem__, files, rows)
    _, again, _ = read(folder.parent / "out")
    for name in ("embedding.weight", "head.weight"):
        wanted = found[name].copy()
        wanted[rows] += 1
        assert np.array_equal(again[name], wanted)


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda t: t.pop("model.norm.weight") is None, r"has no tensor model.norm.weight \(1 of 21 are missing\)"),
        (lambda t: t.update({"model.extra": np.zeros(2, np.float32)}), "has a tensor model.extra, which a llama"),
        (
            lambda t: t.update({"model.norm.weight": np.zeros(31, np.float32)}),
            r"model.norm.weight is \[31\], but by config.json must be \[32\]",
        ),
        (
            lambda t: t.update({"model.norm.weight": np.full(32, np.nan, np.float32)}),
            "model.norm.weight has values that are not finite",
        ),
        (
            lambda t: t.update({"model.norm.weight": np.zeros(32, np.int32)}),
            "model.norm.weight is of type I32; read are F32, F16",
        ),
    ],
    ids=["missing", "unknown", "shape", "nan", "type"],
)
def test_errors_name_the_tensor(folder, change, words):
    rewrite(folder, change)
    with pytest.raises(ConfigError, match=words):
        read(folder)


@pytest.mark.parametrize("data", [b"", b"\xff" * 8, b"\x08\0\0\0\0\0\0\0[1, 2]  ", b"\x02\0\0\0\0\0\0\0{}"[:9]])
def test_damaged_files(folder, data):
    (folder / "model.safetensors").write_bytes(data)
    with pytest.raises(ConfigError, match="is no readable safetensors file"):
        read(folder)


def test_what_is_no_model(tmp_path):
    for path, words in (
        (tmp_path, "holds no .*safetensors: give"),
        (tmp_path / "x.txt", "is no model: give a folder"),
        (tmp_path / "x.safetensors", "config.json"),
    ):
        with pytest.raises(ConfigError, match=words):
            open_pretrained(path)
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(ConfigError, match="files of pickled tensors are not read"):
        open_pretrained(tmp_path)
    (tmp_path / "x.gguf").write_bytes(b"GGUF")
    pytest.importorskip("gguf")
    with pytest.raises(ConfigError, match="is no readable GGUF file"):
        open_pretrained(tmp_path / "x.gguf")


def test_an_export_needs_an_empty_folder_and_a_type(tmp_path):
    made = graph(LLAMA)
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="is not an empty folder"):
        export(tmp_path, made, values(made).__getitem__)
    odd = graph(load("nano").but(norm="rms"))
    with pytest.raises(ConfigError, match="no Hugging Face model type that is exported describes nano"):
        export(tmp_path / "new", odd, values(odd).__getitem__)


def gguf_file(path, made, wanted):
    """A GGUF file in float32, with queries and keys in the order of GGUF's Llama."""
    gguf = pytest.importorskip("gguf")
    m = made.model
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(m.layers)
    writer.add_embedding_length(m.d_model)
    writer.add_feed_forward_length(m.d_ff)
    writer.add_head_count(m.heads)
    writer.add_head_count_kv(m.kv_heads)
    writer.add_context_length(m.sequence)
    writer.add_layer_norm_rms_eps(m.norm_eps)
    names = {"embedding.weight": "token_embd.weight", "norm.gain": "output_norm.weight", "head.weight": "output.weight"}
    parts = {"norm1.gain": "attn_norm", "norm2.gain": "ffn_norm", "attention.o.weight": "attn_output"}
    parts |= {f"attention.{x}.weight": f"attn_{x}" for x in "qkv"}
    parts |= {f"mlp.{x}.weight": f"ffn_{x}" for x in ("gate", "up", "down")}
    for name, value in wanted.items():
        if name.startswith("layers."):
            _, number, part = name.split(".", 2)
            theirs = f"blk.{number}.{parts[part]}.weight"
            if part[:11] in ("attention.q", "attention.k"):
                heads = m.heads if part[10] == "q" else m.kv_heads
                value = value.reshape(heads, 2, -1, m.d_model).swapaxes(1, 2).reshape(value.shape)
        else:
            theirs = names[name]
        writer.add_tensor(theirs, np.ascontiguousarray(value))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def test_gguf(tmp_path):
    made = graph(LLAMA)
    wanted = values(made)
    gguf_file(tmp_path / "tiny.gguf", made, wanted)
    files, found, again = read(tmp_path / "tiny.gguf")
    assert files.folder is None and again.model.kv_heads == 2
    for name, value in wanted.items():
        assert np.array_equal(found[name], value), name


CASES = {
    "gpt2": ("GPT2", {"n_inner": 24}),
    "opt": ("OPT", {"ffn_dim": 24, "word_embed_proj_dim": 16}),
    "gpt_neox": ("GPTNeoX", {}),
    "gptj": ("GPTJ", {"rotary_dim": 4, "tie_word_embeddings": False}),
    "falcon": ("Falcon", {"new_decoder_architecture": True, "num_kv_heads": 2}),
    "glm4": ("Glm4", {"num_key_value_heads": 2, "head_dim": 12, "attention_bias": True, "pad_token_id": 0}),
    "phi": ("Phi", {"partial_rotary_factor": 0.5}),
    "llama": ("Llama", {"num_key_value_heads": 2, "tie_word_embeddings": True}),
    "mistral": ("Mistral", {"num_key_value_heads": 2, "sliding_window": 5}),
    "qwen2": ("Qwen2", {"num_key_value_heads": 2}),
    "qwen3": ("Qwen3", {"num_key_value_heads": 2, "head_dim": 12}),
    "olmo2": ("Olmo2", {"num_key_value_heads": 2}),
    "phi3": ("Phi3", {"num_key_value_heads": 2, "pad_token_id": 0}),
    "starcoder2": ("Starcoder2", {"num_key_value_heads": 2}),
    "smollm3": ("SmolLM3", {"num_key_value_heads": 2, "pad_token_id": 0}),
    "gemma": ("Gemma", {"num_key_value_heads": 2, "head_dim": 12}),
    "gemma2": (
        "Gemma2",
        {"num_key_value_heads": 2, "head_dim": 12, "query_pre_attn_scalar": 9, "sliding_window": 5}
        | {"attn_logit_softcapping": 2.0, "final_logit_softcapping": 3.0},
    ),
    "gemma3_text": (
        "Gemma3",
        {"num_key_value_heads": 2, "head_dim": 12, "query_pre_attn_scalar": 10, "sliding_window": 5, "pad_token_id": 0},
    ),
    "gpt2, scores by layer": ("GPT2", {"n_inner": 24, "scale_attn_by_inverse_layer_idx": True}),
    "gpt2, scores without a scale": ("GPT2", {"n_inner": 24, "scale_attn_weights": False}),
    "deepseek_v2": (
        "DeepseekV2",
        {"qk_nope_head_dim": 8, "qk_rope_head_dim": 4, "v_head_dim": 6, "kv_lora_rank": 12, "q_lora_rank": None}
        | {"n_routed_experts": 4, "num_experts_per_tok": 2, "n_shared_experts": 1, "moe_intermediate_size": 20}
        | {"first_k_dense_replace": 1, "topk_method": "greedy", "num_key_value_heads": 4, "head_dim": 4},
    ),
    "deepseek_v2, queries from a latent": (
        "DeepseekV2",
        {"qk_nope_head_dim": 8, "qk_rope_head_dim": 4, "v_head_dim": 12, "kv_lora_rank": 12, "q_lora_rank": 10}
        | {"first_k_dense_replace": 2, "n_routed_experts": 4, "num_experts_per_tok": 2, "num_key_value_heads": 4}
        | {"head_dim": 4}
        | {
            "rope_scaling": {
                "rope_type": "yarn",
                "factor": 4.0,
                "mscale": 0.7,
                "mscale_all_dim": 0.7,
                "original_max_position_embeddings": 8,
                "beta_fast": 32,
                "beta_slow": 1,
            }
        },
    ),
    "mixtral": ("Mixtral", {"num_key_value_heads": 2, "num_local_experts": 3}),
    "gpt_oss": (
        "GptOss",
        {"num_key_value_heads": 2, "head_dim": 8, "num_local_experts": 4, "num_experts_per_tok": 2}
        | {"sliding_window": 4, "swiglu_limit": 0.5},
    ),
    "qwen3_moe": (
        "Qwen3Moe",
        {
            "num_key_value_heads": 2,
            "head_dim": 12,
            "num_experts": 5,
            "moe_intermediate_size": 20,
            "num_experts_per_tok": 3,
        }
        | {"norm_topk_prob": False, "mlp_only_layers": [0]},
    ),
}


DROPOUTS = (
    *("attention_dropout", "hidden_dropout", "resid_pdrop", "embd_pdrop", "attn_pdrop", "dropout"),
    *("residual_dropout", "embedding_dropout", "activation_dropout"),
)


@pytest.mark.parametrize("kind", CASES)
def test_logits_are_those_of_transformers(tmp_path, kind):
    """A random model that transformers saved; the same after a round trip through our export."""
    transformers, torch = pytest.importorskip("transformers"), pytest.importorskip("torch")
    from wse.train import reference

    torch.manual_seed(1)
    name, more = CASES[kind]
    sizes = {"vocab_size": 40, "hidden_size": 32, "intermediate_size": 24, "num_hidden_layers": 2}
    sizes |= {"num_attention_heads": 4, "max_position_embeddings": 16, "bos_token_id": 0, "eos_token_id": 0}
    kind_of_config = getattr(transformers, f"{name}{'Text' * (name == 'Gemma3')}Config")
    plain = kind_of_config().to_dict()
    if "intermediate_size" not in plain:
        del sizes["intermediate_size"]
    config = kind_of_config(**sizes | {key: 0.0 for key in DROPOUTS if key in plain} | more)
    model = getattr(transformers, "GPT2LMHeadModel" if name == "GPT2" else f"{name}ForCausalLM")(config).eval()
    for parameter in model.parameters():  # also gains and biases
        parameter.data += 0.1 * torch.randn_like(parameter)
    model.save_pretrained(tmp_path / "theirs")
    ids = torch.randint(0, 40, (2, 12))
    with torch.no_grad():
        wanted = model(ids).logits
        files, found, made = read(tmp_path / "theirs")
        separated = executable(made)
        own = experts.cut(separated.parameters, found.__getitem__)
        ours = reference.logits(separated, {n: torch.from_numpy(np.array(v)) for n, v in own.items()}, ids)
        np.testing.assert_allclose(ours, wanted, atol=2e-5 * float(wanted.abs().max()))
        export(tmp_path / "ours", made, experts.stacked(separated, own.__getitem__), files)
        again = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "ours").eval()
        assert torch.equal(again(ids).logits, wanted)


def test_a_configuration_that_has_none_is_checked():
    """config_of describes GPT-2 and Llama only; what it does not say would be lost."""
    odd = load("nano").but(qk_norm="all")
    assert from_hugging_face(config_of(odd), "nano").qk_norm != odd.qk_norm
    assert isinstance(Pretrained({}, "x", None, {}, np.zeros, {}).type, str)


# --- 8-bit floats ---------------------------------------------------------------------------------------------------------

Q = "model.layers.0.self_attn.q_proj.weight"
BLOCK = (12, 5)  # divides neither 32 rows nor 32 columns


def in_8_bits(folder, kind, scales):
    """A model whose first query matrix is in 8 bits: (that matrix in float32 by PyTorch, what is read)."""
    torch = pytest.importorskip("torch")
    torch_files = pytest.importorskip("safetensors.torch")
    codes = torch.from_numpy(np.random.default_rng(5).integers(0, 256, (32, 32), np.uint8))
    values = codes.view(getattr(torch, kind))
    values = torch.where(torch.isfinite(values.float()), values.float(), 0.0).to(values.dtype)
    tensors = torch_files.load_file(folder / "model.safetensors")
    assert tensors[Q].shape == (32, 32)
    torch_files.save_file({**tensors, Q: values, **scales}, folder / "model.safetensors")
    config = json.loads((folder / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "fp8", "weight_block_size": list(BLOCK)}
    (folder / "config.json").write_text(json.dumps(config))
    return values.float().numpy(), open_pretrained(folder).read(Q)


@pytest.mark.parametrize("kind", ["float8_e4m3fn", "float8_e5m2"])
@pytest.mark.parametrize("of", ["nothing", "all", "one", "rows", "columns of rows", "blocks"])
def test_weights_of_8_bits(folder, kind, of):
    torch = pytest.importorskip("torch")
    shapes = {"all": (), "one": (1,), "rows": (32,), "columns of rows": (32, 1), "blocks": (3, 7)}
    made = np.random.default_rng(6).uniform(0.001, 3, shapes.get(of, ())).astype(np.float32)
    name = f"{Q}_scale_inv" if of == "blocks" else f"{Q}_scale"
    values, found = in_8_bits(folder, kind, {} if of == "nothing" else {name: torch.from_numpy(np.array(made))})
    wide = np.ones((32, 32), np.float32)
    if of == "blocks":
        for row, column in np.ndindex(32, 32):
            wide[row, column] = made[row // BLOCK[0], column // BLOCK[1]]
    elif of != "nothing":
        wide = np.broadcast_to(made.reshape(-1, 1), (32, 32))
    assert found.dtype == np.float32 and np.array_equal(found, values * wide)
    assert read(folder)[1]["layers.0.attention.q.weight"].any()


def test_all_values_of_8_bits():
    torch = pytest.importorskip("torch")
    for name, kind in (("F8_E4M3", "float8_e4m3fn"), ("F8_E5M2", "float8_e5m2"), ("F8_E8M0", "float8_e8m0fnu")):
        if not hasattr(torch, kind):
            continue
        wanted = torch.arange(256).to(torch.uint8).view(getattr(torch, kind)).float().numpy()
        np.testing.assert_array_equal(tensor_files._BYTES[name], wanted, err_msg=name)
        assert np.array_equal(np.signbit(tensor_files._BYTES[name][128]), np.signbit(wanted[128]))


def test_scales_of_8_bits_that_are_wrong(folder):
    torch = pytest.importorskip("torch")
    with pytest.raises(
        ConfigError, match=r"q_proj.weight is F8_E4M3 \[32, 32\] .*_scale is \[2, 7\]; .* 12 x 5 .*\[32, 1\], \[3, 7\]"
    ):
        in_8_bits(folder, "float8_e4m3fn", {f"{Q}_scale": torch.ones(2, 7)})
    config = json.loads((folder / "config.json").read_text())
    config["quantization_config"]["weight_block_size"] = [128, -1]
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ConfigError, match=r"weight_block_size .* two positive integers, not \[128, -1\]"):
        open_pretrained(folder)
