"""`wse infer`."""

import json

from models.public_configs import CONFIGS
from shell import sh


def test_infer():
    document = json.loads(sh("infer", "--model", "llama3-8b", "--json").stdout)
    assert document["wafers"] == 1
    assert document["sums"]["f16"]["tokens_per_second"] > document["sums"]["f32"]["tokens_per_second"]
    assert len(document["published"]) == 4
    words = sh("infer", "--model", "llama3-70b", "--prompt", "512").stdout
    assert "4 wafers" in words and "held-out" in words and "prompt of 512" in words


def test_infer_refuses_too_few_wafers():
    result = sh("infer", "--model", "llama3-70b", "--wafers", "1")
    assert result.exit_code == 2 and "needs 4 wafers" in result.stderr


def test_infer_refuses_what_does_not_decode_and_more_context_than_the_model_has():
    result = sh("infer", "--model", "bert-base")
    assert result.exit_code == 2 and "bert-base predicts no next token" in result.stderr
    result = sh("infer", "--model", "gpt2", "--context", "1025")
    assert result.exit_code == 2 and "at most 1,024 tokens" in result.stderr and "1,025 tokens" in result.stderr
    assert sh("infer", "--model", "gpt2", "--context", "1024").exit_code == 0


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
