"""`wse models`: every model with its size; a part of a name; a file."""

import json

from shell import sh

from wse.models import graph, load, published


def listed(*words):
    return {row["name"]: row for row in json.loads(sh("models", *words, "--json").stdout)["models"]}


def test_all_models_with_their_sizes():
    rows = listed()
    assert rows.keys() == published().keys()
    for name in ("nano", "gpt2-xl", "mixtral-8x7b"):
        assert rows[name]["parameters"] == graph(load(name)).weights
        assert rows[name]["layers"] == load(name).layers
    text = sh("models").stdout
    assert all(name in text for name in published())
    assert "1.56 G" in next(line for line in text.splitlines() if line.startswith("gpt2-xl "))


def test_a_part_of_a_name():
    assert listed("mixtral").keys() == {"mixtral-8x7b", "mixtral-8x22b"}
    assert listed("GPT3-1.3B", "nano-llama").keys() == {"gpt3-1_3b", "nano-llama"}
    assert "2 of 8" in sh("models", "mixtral-8x7b").stdout


def test_a_configuration_file(tmp_path):
    config = {"model_type": "gpt2", "n_layer": 2, "n_embd": 64, "n_head": 4, "vocab_size": 100, "n_positions": 32}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (row,) = listed(tmp_path / "config.json").values()
    assert (row["layers"], row["d_model"], row["vocab"]) == (2, 64, 100)


def test_unknown_names():
    done = sh("models", "gtp2")
    assert done.exit_code == 2
    assert done.stderr == "error: no name of a model contains 'gtp2': did you mean gpt2?\n"
    assert "`wse models` lists all" in sh("models", "zzzz").stderr
    assert sh("models", "none.json").exit_code == 2


def test_a_file_that_is_refused_is_one_line(tmp_path):
    file = tmp_path / "config.json"
    file.write_text(json.dumps({"model_type": "llama", "hidden_size": 64, "window": 4}))
    done = sh("models", file)
    assert done.exit_code == 2 and done.stderr == f"error: {file} of type llama lacks num_hidden_layers\n"
    whole = {"num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 99}
    file.write_text(json.dumps({"model_type": "llama", "hidden_size": 64, "sliding_windows": 4} | whole))
    done = sh("models", file)
    assert done.exit_code == 2 and done.stderr.count("\n") == 1
    assert "the key 'sliding_windows' is not known for llama and may change the model" in done.stderr
