"""`wse infer` and `wse costs`."""

import json

from shell import sh

from wse.costs import recorded


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


def test_costs():
    result = sh("costs", "--runs")
    assert result.exit_code == 0
    for name in recorded.models():
        assert name in result.stdout
    document = json.loads(sh("costs", "--json").stdout)
    assert {k["kernel"] for k in document["kernels"]} == set(recorded.models())
    assert all(k["held_worst_pct"] <= document["bar_pct"] for k in document["kernels"])
    assert sh("costs", "--only", "gemv, f16").exit_code == 2
    assert "no cost model 'x'" in sh("costs", "--measure", "--only", "x").stderr
