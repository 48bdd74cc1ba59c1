"""`wse system`, `wse validate --system`: tables, JSON, pictures, bad input.

Covers: wse/cli/validate_system.py
"""

import json

import pytest
from shell import sh


def test_the_1t_table():
    result = sh("system", "--model", "1t", "--systems", "1,2,16", "--memoryx", "55TB", "--no-mechanisms", "--json")
    assert result.exit_code == 0
    document = json.loads(result.stdout)
    assert document["fits"] is True
    assert [row["n"] for row in document["systems"]] == [1, 2, 16]
    for row in document["systems"]:
        assert row["interval"][0] < row["step_seconds"] < row["interval"][1]
        assert {"forward", "backward", "cross_iteration", "fill", "starved_forward"} <= set(row["breakdown"])
    assert document["published"]["in_interval"] is True
    assert document["modelled"] is True


def test_words_and_picture(tmp_path):
    path = tmp_path / "system.svg"
    result = sh("system", "--model", "llama3-8b", "--systems", "1,4", "--plot", path)
    assert result.exit_code == 0 and path.stat().st_size > 10_000
    assert "A100" in result.stdout and "nothing executed" in result.stdout
    assert "Published" not in result.stdout


def test_mechanisms_of_another_model():
    result = sh("system", "--model", "gpt3-13b", "--systems", "1,4", "--mechanisms")
    for words in ("exposed optimiser alone", "small batch alone", "stragglers alone"):
        assert words in result.stdout


def test_a_number_is_explained_down_to_its_sources():
    words = ("system", "--model", "gpt3-13b", "--systems", "1,4", "--explain", "step_seconds")
    made = json.loads(sh(*words, "--json").stdout)
    assert made["explained"]["value"] == made["systems"][-1]["step_seconds"] == made["seconds"]
    said = sh(*words).stdout
    assert "step_seconds of 4 systems" in said and "source: product pages" in said and "cs3_pairs.csv" in said
    assert json.loads(sh(*words[:5], "--json").stdout)["explained"] is None


def test_what_an_option_gives_is_known():
    words = ("system", "--model", "gpt3-13b", "--systems", "1,4", "--json")
    free = json.loads(sh(*words).stdout)["inputs_alone"]
    given = json.loads(
        sh(*words, "--jitter", "0", "--link", "1200", "--update", "serial", "--gradient-bytes", "4").stdout
    )
    assert set(free) - set(given["inputs_alone"]) == {"jitter", "link", "exposed", "gradient_bytes"}


def test_the_whole_job():
    words = ("system", "--model", "llama2-7b", "--systems", "1,4", "--tokens", "1e12")
    job = json.loads(sh(*words, "--json").stdout)["job"]
    assert job["tokens"] == 1e12 and [row["n"] for row in job["systems"]] == [1, 4]
    assert job["systems"][0]["checkpoint_seconds"] == pytest.approx(464, rel=0.01)
    assert all(figure["source"] for figure in job["figures"].values())
    assert "A job of 1e+12 tokens" in sh(*words).stdout


def test_a_config_json(tmp_path):
    (tmp_path / "config.json").write_text(
        json.dumps({"model_type": "gpt2", "n_embd": 768, "n_layer": 12, "n_head": 12, "vocab_size": 50257})
    )
    document = json.loads(sh("system", "--model", tmp_path / "config.json", "--systems", "2", "--json").stdout)
    assert document["parameters"] == pytest.approx(124e6, rel=0.02)


@pytest.mark.parametrize(
    "words, said",
    [
        (["--systems", "0"], "no list of numbers of systems"),
        (["--memoryx", "much"], "is no size"),
        (["--batch", "8", "--micro-batch", "9"], "it is 1 to"),
        (["--sequence", "100000000"], "not one sequence"),
        (["--systems", "1", "--mechanisms"], "compares one system with several"),
        (["--plot", "x.txt"], "cannot tell the picture's format"),
    ],
)
def test_bad_input(words, said):
    result = sh("system", "--model", "1t", *words)
    assert result.exit_code == 2
    assert said in result.stderr


def test_memory_that_does_not_hold_the_model():
    words = ("system", "--memoryx", "12TB", "--systems", "1", "--no-mechanisms")
    result = sh(*words, "--json")
    assert json.loads(result.stdout)["fits"] is False
    assert result.exit_code == 1
    assert "DOES NOT FIT" in sh(*words).stdout


def test_validate_system():
    result = sh("validate", "--system", "--json")
    assert result.exit_code == 0
    document = json.loads(result.stdout)
    assert document["summary"]["ok"] and document["summary"]["calibrating"] <= 10
    assert len(document["micro_batches"]) == 10
    words = sh("validate", "--system").stdout
    assert "gpt-j-r1.8" in words and "of all" in words
    assert sh("validate", "--system", "--models").exit_code == 2


def test_a_policy_changes_the_step_and_is_explained():
    words = ("system", "--model", "gpt3-13b", "--systems", "1", "--json", "--explain", "step_seconds")
    found = {policy: json.loads(sh(*words, "--policy", policy).stdout) for policy in ("POL0", "POL1", "POL2")}
    assert json.loads(sh(*words).stdout)["policy"] == "POL1"
    assert found["POL0"]["seconds"] > 1.2 * found["POL1"]["seconds"] > 1.2 * 1.1 * found["POL2"]["seconds"]
    texts = {policy: json.dumps(document["explained"]) for policy, document in found.items()}
    assert "ratio of kernels" in texts["POL0"] and "ratio of kernels" not in texts["POL1"]
    experts = sh("system", "--model", "gpt-oss-20b", "--sequence", "8192", *words[3:])
    assert "ratio of kernels" in experts.stdout
    assert all("bound of products" in text for text in texts.values())
