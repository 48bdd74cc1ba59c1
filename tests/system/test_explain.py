"""Where numbers come from: trees that add up, and end in sources."""

import pytest

from wse.costs import calibrate
from wse.models import load
from wse.plan.workload import workload
from wse.system import explain, predict
from wse.system.parts import System

WORK = workload(load("gpt3-13b"), 640)
DRAWS = predict.draw(count=50)


def tree(key, family="peak", **more):
    constants = calibrate.calibrated(family)
    system = System(**({"jitter": 0.01} | more))
    one, row = predict.predict(WORK, system, (1, 16), constants, draws=DRAWS)
    return explain.explain(key, WORK, system, row, one, constants), row, constants, system


def nodes(node):
    yield node
    for inner in node.inputs:
        yield from nodes(inner)


def find(node, name):
    return next(inner for inner in nodes(node) if inner.name == name)


@pytest.mark.parametrize("key", explain.KEYS)
@pytest.mark.parametrize("family", calibrate.FAMILIES)
def test_every_leaf_has_a_source_and_every_other_a_rule(key, family):
    made, *_ = tree(key, family)
    for node in nodes(made):
        assert node.name and (node.how or node.source), node
        assert node.how or not node.inputs, node
    lines = list(made.lines())
    assert len(lines) == len(list(nodes(made)))
    assert made.document()["value"] == made.value


def test_the_parts_of_a_step_add_up():
    made, row, *_ = tree("step_seconds")
    assert made.value == row.outcome.seconds
    assert sum(node.value for node in made.inputs) == pytest.approx(made.value, rel=2e-3)


@pytest.mark.parametrize("family", calibrate.FAMILIES)
def test_computing_is_the_sum_of_its_terms(family):
    made, row, constants, system = tree("step_seconds", family)
    computing = find(made, "computing of a pass")
    assert sum(node.value for node in computing.inputs) == pytest.approx(computing.value)
    tokens = row.division.mean * WORK.sequence
    whole = sum(sum(constants.layer(WORK, layer, tokens, system.machine)) for layer in WORK.layers)
    assert computing.value == pytest.approx(whole, rel=1e-9)
    passes = find(made, "passes").value
    assert passes * computing.value == pytest.approx(row.outcome.forward + row.outcome.backward, rel=1e-6)


def test_an_update_is_bytes_over_bandwidth():
    made, *_ = tree("step_seconds")
    parts = [find(made, name).value for name in ("parameters", "bytes of a parameter", "bandwidth")]
    assert find(made, "update").value == pytest.approx(parts[0] * parts[1] / parts[2])
    bandwidth = find(made, "bandwidth")
    channels, peak, share = (find(bandwidth, name).value for name in ("channels", "peak of a channel", "share"))
    assert parts[2] == pytest.approx(channels * peak * share)


def test_a_speed_up_and_a_rate_lead_to_steps():
    speedup, row, *_ = tree("speedup")
    assert speedup.value == row.speedup == pytest.approx(speedup.inputs[0].value / speedup.inputs[1].value)
    rate, *_ = tree("tokens_per_second")
    assert rate.value == pytest.approx(rate.inputs[0].value / rate.inputs[1].value)
