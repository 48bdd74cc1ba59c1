"""Models by name and by file: Hugging Face files, hostile files, sentences about what is wrong."""

import json

import pytest

from wse.errors import ConfigError
from wse.models import from_hugging_face, load

from .public_configs import CONFIGS

LLAMA = {
    "model_type": "llama",
    "hidden_size": 4096,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "intermediate_size": 14336,
    "vocab_size": 128256,
    "max_position_embeddings": 8192,
    "rope_theta": 500000.0,
    "rms_norm_eps": 1e-5,
    "hidden_act": "silu",
    "tie_word_embeddings": False,
}
GPT2 = {
    "model_type": "gpt2",
    "n_embd": 768,
    "n_layer": 12,
    "n_head": 12,
    "n_positions": 1024,
    "vocab_size": 50257,
    "activation_function": "gelu_new",
    "n_inner": None,
}


@pytest.mark.parametrize("values, name", [(LLAMA, "llama3-8b"), (GPT2, "gpt2")])
def test_a_config_json_is_the_model_of_the_table(values, name, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(values))
    read = load(tmp_path)
    known = load(name)
    assert read.but(name=known.name, source=known.source) == known
    assert load(tmp_path / "config.json") == read


def test_partial_rotary_and_multi_query():
    neox = {"model_type": "gpt_neox", "hidden_size": 6144, "num_hidden_layers": 2, "num_attention_heads": 64}
    assert from_hugging_face(neox | {"vocab_size": 9, "rotary_pct": 0.25}).rotary == 24
    falcon = {"model_type": "falcon", "hidden_size": 71 * 64, "num_hidden_layers": 2, "num_attention_heads": 71}
    assert from_hugging_face(falcon | {"vocab_size": 9, "multi_query": True}).kv_heads == 1


@pytest.mark.parametrize(
    "word, exact", [("gelu", True), ("gelu_new", False), ("gelu_pytorch_tanh", False), (None, False)]
)
def test_which_gelu(word, exact):
    """As the names stand in Hugging Face: "gelu" is the one by the error function; GPT-2's own is the tanh form."""
    values = {key: value for key, value in GPT2.items() if key != "activation_function"}
    read = from_hugging_face(values | ({"activation_function": word} if word else {}))
    assert (read.activation, read.exact) == ("gelu", exact)
    falcon = {"model_type": "falcon", "hidden_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2}
    assert from_hugging_face(falcon | {"vocab_size": 9}).exact  # its configuration's default


@pytest.mark.parametrize(
    "values, words",
    [
        ({"model_type": "t6"}, "model_type 't6'"),
        ({}, "model_type ''"),
        ({"model_type": "llama", "hidden_size": 8}, "lacks num_hidden_layers"),
        (LLAMA | {"hidden_act": "mish"}, "activation 'mish'"),
        (LLAMA | {"num_key_value_heads": 5}, "kv_heads 5 must divide heads 32"),
        (GPT2 | {"n_head": 7}, "7 heads do not divide d_model 768"),
        (GPT2 | {"n_layer": 0}, "n_layer is 0, but must be an integer from 1 to 2,000"),
        (GPT2 | {"n_layer": 10**9}, "n_layer is 1000000000, but must be"),
        (GPT2 | {"n_layer": 10**5000}, "n_layer is an integer of more than 60 digits, but must be"),
        (GPT2 | {"n_layer": True}, "n_layer is true, but must be"),
        (GPT2 | {"n_layer": 12.0}, "n_layer is 12.0, but must be"),
        (GPT2 | {"n_embd": -768}, "n_embd is -768, but must be"),
        (GPT2 | {"n_embd": [768]}, r"n_embd is \[768\], but must be"),
        (LLAMA | {"head_dim": "64"}, "head_dim is '64', but must be an integer"),
        (LLAMA | {"hidden_act": ["silu"]}, r"hidden_act is \['silu'\], but must be a text"),
        (LLAMA | {"model_type": ["llama"]}, r"model_type \['llama'\]: did you mean llama"),
        (LLAMA | {"rms_norm_eps": float("nan")}, "rms_norm_eps is nan, but must be a finite number above 0"),
        (LLAMA | {"rope_theta": float("inf")}, "rope_theta is inf, but must be"),
        (LLAMA | {"rope_theta": 10**400}, "rope_theta is an integer of more than 60 digits, but must be"),
        (LLAMA | {"tie_word_embeddings": "no"}, "tie_word_embeddings is 'no', but must be true or false"),
        (LLAMA | {"_name_or_path": {"a": 1}}, "_name_or_path is {'a': 1}, but must be a text"),
        (LLAMA | {"_name_or_path": "\x1b[2J"}, "_name_or_path is .*, but must be a text of printable"),
        (
            LLAMA | {"partial_rotary_factor": 2},
            "partial_rotary_factor is 2, but must be a finite number above 0 and at most 1",
        ),
        ([LLAMA], "config.json is .*, but must be a JSON object"),
        ("x", "config.json is 'x', but must be a JSON object"),
        (None, "config.json is null, but must be a JSON object"),
    ],
)
def test_what_is_wrong_is_said(values, words):
    with pytest.raises(ConfigError, match=words):
        from_hugging_face(values, "x")


@pytest.mark.parametrize(
    "content, words",
    [
        (b'{"n_layer": 1, "n_layer": 2}', "the key 'n_layer' stands twice in an object"),
        (b'{"n_layer": NaN}', "NaN is no JSON number"),
        (b'{"model_type": "gpt2", "n_layer": -Infinity}', "n_layer is -inf, but must be an integer"),
        (b'{"n_layer": 1e400}', "'1e400' is larger than any number of 64 bits"),
        (b'{"n_layer": ' + b"9" * 5000 + b"}", "a number of 5,000 digits is too long"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a":' * 100_000, "nested too deeply"),
        (b"\xff\xfe{}", "is no UTF-8 text: byte 0 is 0xff"),
        (b"", "is not JSON"),
        (b"[]", r"is \[\], but must be a JSON object"),
        (b" " * (17 << 20), "is larger than 16,777,216 bytes"),
    ],
)
def test_hostile_json(content, words, tmp_path):
    path = tmp_path / "config.json"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=words) as caught:
        load(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_a_byte_order_mark_is_no_error(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(GPT2), encoding="utf-8-sig")
    assert load(tmp_path).layers == 12


def test_files_that_are_none(tmp_path):
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ConfigError, match="is not JSON"):
        load(tmp_path)
    with pytest.raises(ConfigError, match="No such file"):
        load(tmp_path / "other.json")
    with pytest.raises(ConfigError, match=r"no model 'gpt5': did you mean gpt"):
        load("gpt5")


ANYTHING = (0, -1, True, 10**400, 1.5, float("nan"), "x", [1], [[None]], {"a": 1}, {"factor": []}, "\x1b[2J")


@pytest.mark.parametrize(
    "name",
    {values.get("model_type", values.get("_class_name")): name for name, (_, values) in CONFIGS.items()}.values(),
)
def test_any_value_of_any_key_is_a_model_or_one_line(name):
    values = CONFIGS[name][1]
    for key in (*values, "rope_scaling", "rope_parameters", "sliding_window", "layer_types", "use_sliding_window"):
        for value in ANYTHING:
            try:
                from_hugging_face(values | {key: value})
            except ConfigError as error:
                assert str(error).isprintable() and len(str(error)) < 1500


def test_sizes_that_are_0():
    for name, key in (
        ("google/vit-base-patch16-224", "patch_size"),
        ("deepseek-ai/DeepSeek-V3", "kv_lora_rank"),
        ("AntonV/mamba2-130m-hf", "state_size"),
        ("EleutherAI/gpt-j-6b", "rotary_dim"),
    ):
        with pytest.raises(ConfigError, match=f"{key} is 0, but must be an integer from 1 to"):
            from_hugging_face(CONFIGS[name][1] | {key: 0})
    assert from_hugging_face(CONFIGS["google-bert/bert-base-uncased"][1] | {"type_vocab_size": 0}).token_types == 0


def test_infinity_as_python_writes_it_is_read_where_it_may_stand(tmp_path):
    """In files of Mamba 2: no upper limit of the time steps."""
    values = CONFIGS["AntonV/mamba2-130m-hf"][1]
    (tmp_path / "config.json").write_text(json.dumps(values))
    assert "Infinity" in (tmp_path / "config.json").read_text()
    assert load(tmp_path).numerics == ()
    (tmp_path / "config.json").write_text(json.dumps(values | {"time_step_limit": [0.5, 0.1]}))
    with pytest.raises(ConfigError, match=r"time_step_limit is \[0.5, 0.1\], but must be two numbers, low and high"):
        load(tmp_path)
