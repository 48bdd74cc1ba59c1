"""`wse map`: tables, JSON, pictures, sentences about what does not fit."""

import json

import pytest
from shell import sh


def test_the_published_table_is_beside_the_computed_one():
    result = sh("map", "gpt2", "--mode", "pipelined", "--json")
    assert result.exit_code == 0
    document = json.loads(result.stdout)
    assert document["grid"] == [592, 520] and document["arch"] == "wse2"
    assert {row["kernel"] for row in document["published"]} >= {"attention", "fc", "head", "positions"}
    assert max(abs(row["error_pct"]) for row in document["published"]) <= 15
    words = sh("map", "gpt2").stdout
    assert "106,966" in words and "not executed" in words


def test_another_grid_has_no_published_table():
    assert json.loads(sh("map", "gpt2", "--grid", "757x996", "--json").stdout)["published"] is None


def test_a_floor_plan_is_drawn(tmp_path):
    path = tmp_path / "plan.png"
    result = sh("map", "nano", "--by", "half", "--grid", "48x12", "--plot", path)
    assert result.exit_code == 0 and path.stat().st_size > 5000
    assert str(path) in result.stdout


def test_streaming_prints_tiles():
    document = json.loads(sh("map", "1t", "--mode", "streaming", "--json").stdout)
    assert document["micro_batch"] >= 20
    assert {o["name"]: o["tile"][0] for o in document["operators"]}["layers.0.mlp.up"] == -(-102400 // 762)


@pytest.mark.parametrize(
    "words, said",
    [
        (["1t"], "error: 1t does not fit"),
        (["gpt2", "--grid", "100000x100000"], "error: a grid of wse3 is at most 762x1172 PEs, not 100000x100000"),
        (["gpt5"], "error: there is no model 'gpt5'"),
        (["gpt2", "--mode", "streaming", "--plot", "x.png"], "error: --plot draws floor plans"),
        (["gpt2", "--mode", "streaming", "--rate", "3"], "error: --rate is of --mode pipelined"),
        (["gpt2", "--batch", "3"], "error: --batch is of --mode streaming"),
    ],
)
def test_bad_input_is_one_sentence(words, said):
    result = sh("map", *words)
    assert result.exit_code == 2
    assert result.stderr.startswith(said)
