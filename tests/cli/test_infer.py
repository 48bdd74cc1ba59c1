"""`wse infer`."""

import json

import pytest
from models.public_configs import CONFIGS
from shell import sh

from wse.costs import encoding
from wse.execute import strip_layout
from wse.models import load


def test_infer():
    document = json.loads(sh("infer", "--model", "llama3-8b", "--json").stdout)
    assert document["wafers"] == 1
    assert document["sums"]["f16"]["tokens_per_second"] > document["sums"]["f32"]["tokens_per_second"]
    assert len(document["published"]) == 10
    assert sum(document["sums"]["f16"]["shares"].values()) == pytest.approx(1)
    words = sh("infer", "--model", "llama3-70b", "--prompt", "512").stdout
    assert "4 wafers" in words and "held-out" in words and "prompt of 512" in words


def test_infer_refuses_too_few_wafers():
    result = sh("infer", "--model", "llama3-70b", "--wafers", "1")
    assert result.exit_code == 2 and "needs 4 wafers" in result.stderr


def test_infer_refuses_what_does_not_decode_and_more_context_than_the_model_has(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(CONFIGS["google-t5/t5-small"][1]))
    result = sh("infer", "--model", tmp_path)
    assert result.exit_code == 2 and "predicts no next token" in result.stderr
    result = sh("infer", "--model", "gpt2", "--context", "1025")
    assert result.exit_code == 2 and "at most 1,024 tokens" in result.stderr and "1,025 tokens" in result.stderr
    assert sh("infer", "--model", "gpt2", "--context", "1024").exit_code == 0


def test_infer_predicts_sentences_of_an_encoder():
    """Several sentences, in the steps and the layout of `wse embed`."""
    document = json.loads(sh("infer", "--model", "bert-base", "--lengths", "9,30,9,250,9", "--json").stdout)
    assert document["steps"] == [3, 1, 1] and document["tokens"] == 307
    model = load("bert-base")
    made = strip_layout.layout(model, 250)
    assert document["strip"] == [made.width, made.height]
    cycles = sum(encoding.predict(made, part)[-1] for part in ([9, 30, 9], [250], [9]))
    assert document["cycles"] == pytest.approx(cycles) and document["sentence_cycles"] == pytest.approx(cycles / 5)
    assert document["sentences_per_second"] == pytest.approx(5 * document["clock_hz"] / cycles)
    words = sh("infer", "--model", "bert-base", "--lengths", "9,30,9,250,9").stdout
    assert "5 of together 307 tokens, in 3 steps" in words and "worst error on held-out ones" in words
    assert json.loads(sh("infer", "--model", "bert-base", "--json").stdout)["lengths"] == [512]


@pytest.mark.parametrize(
    "words, error",
    [
        (("bert-base", "--lengths", "9,513"), "context of 1 to 512 tokens, not 513"),
        (("bert-base", "--draft", "gpt2"), "--draft is of a decoder, and bert-base is an encoder"),
        (("bert-base", "--context", "8", "--lengths", "8,9"), "a sentence of 9 tokens is longer than the 8 of"),
        (("llama3-8b", "--lengths", "9"), "--lengths is of an encoder, and llama3-8b is none"),
    ],
)
def test_infer_refuses_options_of_the_other_kind(words, error):
    result = sh("infer", "--model", *words)
    assert result.exit_code == 2 and error in result.stderr


def test_infer_shows_each_kind_of_layer_and_what_it_stores(tmp_path):
    """Gemma 2: every other layer has a window."""
    values = CONFIGS["google/gemma-2-2b"][1]
    (tmp_path / "config.json").write_text(json.dumps(values))
    words = ["infer", "--model", tmp_path, "--context", "8192"]
    document = json.loads(sh(*words, "--json").stdout)
    assert [kind["layers"] for kind in document["sums"]["f16"]["kinds"]] == [13, 13]
    assert document["kv_bytes"] == 2 * 13 * (8192 + 4096) * 2 * 1024
    assert document["weight_bytes"] == 2 * 2_614_341_888
    text = sh(*words).stdout
    assert text.count("scores (13 layers)") == 2 and "what layers store of the context 654 MB" in text


def test_infer_speculates():
    words = ["infer", "--model", "llama3-8b", "--acceptance", "0.5", "--drafted", "3"]
    plain = json.loads(sh("infer", "--model", "llama3-8b", "--json").stdout)
    own, small = (json.loads(sh(*words, *more, "--json").stdout) for more in ((), ("--draft", "llama3-1b")))
    assert plain["sums"]["f16"]["speculative_tokens_per_second"] is None
    assert own["speculation"]["tokens_a_pass"] == 1.875
    fast = own["sums"]["f16"]["speculative_tokens_per_second"]
    assert plain["sums"]["f16"]["tokens_per_second"] < fast
    assert small["sums"]["f16"]["speculative_tokens_per_second"] < fast  # sixteen layers instead of one
    assert "1.88 tokens a pass with 3 drafted by llama3-1b" in sh(*words, "--draft", "llama3-1b").stdout
    refused = sh(*words, "--draft", "gpt2")
    assert refused.exit_code == 2 and "take one of the same vocabulary" in refused.stderr


def test_infer_says_that_positions_are_extended():
    words = sh("infer", "--model", "llama3-405b", "--context", "131072").stdout
    assert "23 wafers" in words and "taken as extended to 131,072" in words
    assert "extended" not in sh("infer", "--model", "llama3-405b", "--context", "8192").stdout


def test_infer_prints_what_published_speeds_imply():
    rows = {(row["model"], row["published"]): row for row in json.loads(sh("infer", "--json").stdout)["published"]}
    plain, fast = rows["llama3-70b", 450], rows["llama3-70b", 2100]
    assert plain["implied_acceptance"] is None and plain["error_pct"]["f32"] < 0 < plain["error_pct"]["f16"]
    assert 0 < fast["implied_acceptance"]["bound"] < fast["implied_acceptance"]["f16"] < 1
    assert fast["implied_acceptance"]["f32"] is None and fast["tokens_a_pass"]["f32"] > 5


def test_infer_predicts_what_generate_executes(tmp_path):
    smollm2 = {
        "model_type": "llama", "num_hidden_layers": 30, "hidden_size": 576, "intermediate_size": 1536,
        "num_attention_heads": 9, "num_key_value_heads": 3, "vocab_size": 49_152, "max_position_embeddings": 8192,
        "rms_norm_eps": 1e-5, "rope_theta": 100_000, "hidden_act": "silu", "tie_word_embeddings": True,
    }  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps(smollm2))
    words = ["infer", "--model", tmp_path, "--context", "76", "--prompt", "37"]
    made = json.loads(sh(*words, "--json").stdout)["generate"]
    assert made["strip"] == [18, 816] and abs(made["token_cycles"] / 445_000 - 1) < 0.05
    assert sum(row["share"] for row in made["phases"]) > 0.999
    assert "18 x 816 PEs, layers of 18 x 24" in sh(*words).stdout
    document = json.loads(sh("infer", "--model", "gpt2", "--json").stdout)
    assert document["generate"]["token_cycles"] > 0 and document["generate"]["held_worst_pct"] < 5
    assert "cannot execute it: " in sh("infer", "--model", "llama3-8b").stdout
