"""`wse costs`: tables, the document in JSON, and runs on a changed machine.

Covers: wse/cli/costs.py
"""

import json

import pytest
from shell import sh

from wse.costs import recorded


def test_every_model_is_printed_with_its_held_out_runs():
    result = sh("costs", "--runs")
    assert result.exit_code == 0
    for name in recorded.models():
        assert name in result.stdout
    document = json.loads(sh("costs", "--json").stdout)
    assert {k["kernel"] for k in document["kernels"]} == set(recorded.models())
    assert all(k["held_worst_pct"] <= document["bar_pct"] for k in document["kernels"])
    for kernel in document["kernels"]:
        errors = [abs(run["error_pct"]) for run in kernel["held_runs"]]
        assert kernel["held_worst_pct"] == max(errors) and kernel["held_mean_pct"] <= max(errors)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--only", "gemv, f16"), "--only goes with --measure"),
        (("--measure", "--only", "x"), "there is no cost model 'x'"),
        (("--set", "hop_cycles=1"), "--set goes with --measure"),
        (("--measure", "--set", "hop_cycles=1", "--step", "nano"), "--set goes with --measure and without --step"),
        (("--measure", "--set", "hops=1"), "wse3 has no parameter 'hops'"),
        (("--measure", "--set", "clock_hz=1GHz"), "clock_hz has no effect on cycles"),
    ],
)
def test_wrong_options(words, message):
    result = sh("costs", *words)
    assert result.exit_code == 2 and message in result.stderr


def test_a_changed_machine_has_other_constants_and_is_not_recorded():
    table = recorded.TABLE.read_bytes()
    result = sh("costs", "--measure", "--only", "residual", "--set", "op_start_cycles=20", "--json")
    document = json.loads(result.stdout)
    assert [kernel["kernel"] for kernel in document["kernels"]] == ["residual"]
    assert document["overrides"] == {"op_start_cycles": 20}
    before, after = recorded.fitted("residual"), document["kernels"][0]
    sizes = {tuple(run["shape"].values()): run["cycles"] for run in after["held_runs"]}
    for run in recorded.executed():
        if run.kernel == "residual" and run.held:
            assert sizes[tuple(run.shape.values())] > run.cycles
    assert after["constants"] != dict(zip(before.model.terms, before.constants, strict=True))
    assert recorded.TABLE.read_bytes() == table
