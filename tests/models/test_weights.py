"""Weights from GGUF and safetensors: the same model from each; what is not such a model is refused by name.

Covers: wse/models/tensor_files.py
"""

import json

import numpy as np
import pytest
from execute.decoder_reference import small

from wse.errors import ConfigError
from wse.models.config import published
from wse.models.weights import check_supported, differences, encoder_differences, read_gguf_config, read_weights

from .model_files import MATRICES, VOCAB, config_of, named, write_folder, write_gguf


def model(**more):
    return small(**({"vocab": VOCAB} | more))


def same(a, b):
    assert {k: v for k, v in vars(a.config).items() if k not in ("name", "source", "norm_eps")} == {
        k: v for k, v in vars(b.config).items() if k not in ("name", "source", "norm_eps")
    }
    assert a.config.norm_eps == pytest.approx(b.config.norm_eps)
    assert np.array_equal(a.embedding, b.embedding) and np.array_equal(a.gains, b.gains)
    assert (a.head is None) == (b.head is None) and (a.head is None or np.array_equal(a.head, b.head))
    for one, other in zip(a.layers, b.layers, strict=True):
        assert all(np.array_equal(one[name], other[name]) for name in MATRICES)


@pytest.mark.parametrize("tied", [True, False])
def test_one_model_from_each_kind_of_file(tmp_path, tied):
    wanted = model(tied=tied)
    folder = write_folder(tmp_path / "hf", wanted)
    same(read_weights(folder), wanted)
    same(read_weights(folder / "model.safetensors"), wanted)
    found = read_weights(write_gguf(tmp_path / "file.gguf", wanted))
    same(found, wanted)
    assert found.config.name == "small"  # of the file's metadata
    assert read_weights(tmp_path).count == wanted.count


def test_bf16_tensors(tmp_path):
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file

    wanted = model()
    folder = write_folder(tmp_path / "hf", wanted)
    tensors = {name: torch.from_numpy(a).to(torch.bfloat16) for name, a in named(wanted, 1).items()}
    save_file(tensors, folder / "model.safetensors")
    got = read_weights(folder).layers[1]["down"]
    assert np.array_equal(got, tensors["model.layers.1.mlp.down_proj.weight"].float().numpy())


@pytest.mark.parametrize("kind, error", [("Q8_0", 0.01), ("MXFP4", 0.2)])
def test_quantised_blocks(tmp_path, kind, error):
    import gguf

    wanted = model(d=32, f=64)
    blocks = gguf.quants.quantize(wanted.layers[0]["up"], gguf.GGMLQuantizationType[kind])

    def change(writer):
        for tensors in writer.tensors:
            del tensors["blk.0.ffn_up.weight"]
        writer.add_tensor("blk.0.ffn_up.weight", blocks, raw_dtype=gguf.GGMLQuantizationType[kind])

    got = read_weights(write_gguf(tmp_path / "small.gguf", wanted, change)).layers[0]["up"]
    assert 0 < np.abs(got - wanted.layers[0]["up"]).max() < error


@pytest.mark.parametrize(
    "changes, error",
    [
        ({"attention_bias": True}, r"has no tensor model.layers.0.self_attn.q_proj.bias \(8 of"),
        ({"hidden_act": "relu"}, "the MLP is gated by relu"),
        ({"num_hidden_layers": 3}, r"has no tensor model.layers.2.input_layernorm.weight \(9 of 29"),
        ({"num_hidden_layers": 1}, "has a tensor model.layers.1.*, which a llama of its config.json does not"),
        ({"intermediate_size": 44}, r"mlp.up_proj.weight is \[40, 24\], but by config.json must be \[44, 24\]"),
        ({"vocab_size": 7}, r"embed_tokens.weight is .*, but by config.json must be \[7, 24\]"),
    ],
)
def test_configurations_that_do_not_fit(tmp_path, changes, error):
    wanted = model()
    folder = write_folder(tmp_path / "hf", wanted)
    (folder / "config.json").write_text(json.dumps(config_of(wanted) | changes))
    with pytest.raises(ConfigError, match=error):
        read_weights(folder)


@pytest.mark.parametrize(
    "name, why",
    [
        ("bert-base", "body is encoder"),
        ("dit-xl", "body is diffusion; attention is not causal"),
    ],
)
def test_other_families_are_refused(name, why):
    with pytest.raises(ConfigError, match="is not of the kind that is generated with: ") as error:
        check_supported(published()[name])
    assert all(part in str(error.value) for part in why.split("; "))


BIASED = {"topk_method": "noaux_tc", "scoring_func": "sigmoid"}


@pytest.mark.parametrize(
    "settings, why",
    [
        ({"topk_method": "noaux_tc"}, "topk_method noaux_tc with scoring_func softmax"),
        ({"scoring_func": "sigmoid"}, "topk_method greedy with scoring_func sigmoid"),
        ({"topk_method": "group_limited_greedy", "n_group": 3, "topk_group": 2}, "8 experts in 3 groups"),
        ({"topk_method": "group_limited_greedy", "n_group": 4, "topk_group": 5}, "5 of 4 groups"),
        ({"topk_method": "group_limited_greedy", "n_group": 4}, "3 experts of a token out of 1 groups of 2"),
        (BIASED | {"n_group": 8, "topk_group": 4}, "groups of one expert"),
        (BIASED | {"first_k": 3}, "settings first_k"),
    ],
)
def test_routers_that_are_refused(settings, why):
    config = model().config.but(experts=8, active_experts=3, numerics=tuple(settings.items()))
    assert why in differences(config)


def test_an_encoder_with_what_decoders_alone_have():
    odd = published()["bert-base"].but(experts=4, sinks=True)
    assert encoder_differences(odd)[-2:] == ["4 experts", "attention has sinks"]


def test_llama_is_supported():
    check_supported(published()["llama3-8b"])


def test_a_setting_that_is_not_executed_is_named():
    odd = published()["llama3-8b"].but(numerics=(("logits_taken_twice", 8.0), ("embedding times", 2.0)))
    with pytest.raises(ConfigError, match=r"generated with: settings logits_taken_twice$"):
        check_supported(odd)


def test_values_that_are_no_numbers(tmp_path):
    wanted = model()
    wanted.layers[0]["o"][3, 3] = np.nan
    with pytest.raises(ConfigError, match=r"self_attn.o_proj.weight has values that are not finite"):
        read_weights(write_folder(tmp_path / "hf", wanted))


def test_files_that_are_none(tmp_path):
    for name, content, error in (
        ("a.gguf", b"nothing", "is no readable GGUF file"),
        ("a.safetensors", b"nothing", "config.json"),
        ("a.bin", b"", "is no model: give a folder of one"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ConfigError, match=error):
            read_weights(tmp_path / name)
    with pytest.raises(ConfigError, match="there is no file"):
        read_weights(tmp_path / "none.gguf")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match=r"holds no \*.safetensors: give a model's folder, or a .gguf file"):
        read_weights(tmp_path / "empty")
    folder = write_folder(tmp_path / "hf", model())
    (folder / "model.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0nothing!")
    with pytest.raises(ConfigError, match="safetensors"):
        read_weights(folder)


def test_another_architecture(tmp_path):
    import gguf

    writer = gguf.GGUFWriter(tmp_path / "a.gguf", "gemma")
    writer.add_tensor("token_embd.weight", np.zeros((4, 4), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(ConfigError, match="architecture 'gemma'; llama, qwen2, qwen3 are supported"):
        read_weights(tmp_path / "a.gguf")


def test_the_shape_of_a_gguf_file_alone(tmp_path):
    wanted = model(tied=False)
    got = read_gguf_config(write_gguf(tmp_path / "small.gguf", wanted))
    assert got.but(name="small", norm_eps=1e-5, source="") == wanted.config.but(name="small", norm_eps=1e-5, source="")
