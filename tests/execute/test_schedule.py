"""Calls of a pass, and their operands in memory."""

import pytest

from wse.errors import ConfigError
from wse.execute import schedule as s
from wse.models import graph, load
from wse.models.experts import separated


def made(name, part=slice(None), **changes):
    g = separated(graph(load(name).but(**changes) if changes else load(name)))
    return s.schedule(g.operators[part], {tensor: t.features for tensor, t in g.tensors.items()})


@pytest.mark.parametrize("name", ["nano", "nano-llama", "nano-1", "nano-moe"])
def test_every_value_is_made_before_it_is_read(name):
    there = set()
    for call in made(name).calls:
        missing = [role for role, buffer in call.reads.items() if buffer not in there]
        assert not missing, (call.what, call.operator.name, missing)
        there |= set(call.writes.values())


@pytest.mark.parametrize("name", ["nano", "nano-llama", "nano-moe"])
def test_every_parameter_gets_its_gradient_once(name):
    schedule, g = made(name), separated(graph(load(name)))
    sent = []
    for call in schedule.backward:
        if call.what.startswith("vector.send."):
            sent.append(call.operator.parameters[call.what.split(".")[2]].name)
        elif call.what in ("linear.backward", "linear.backward.add", "embedding.gradient", "positions.gradient"):
            sent += [p.name for o in call.each or (call.operator,) for p in o.parameters.values()]
    assert sorted(sent) == sorted(g.parameters)


def test_gradients_of_a_tensor_that_is_read_twice_are_added():
    schedule = made("nano-1")
    adds = [c for c in schedule.backward if c.what == "residual.forward"]
    assert len(adds) == 2  # one for each residual connection
    assert [c.what for c in schedule.backward if ".attention." in c.operator.name and "linear" in c.what] == [
        "linear.backward",  # o
        "linear.backward",  # v, then k and q into the same
        "linear.backward.add",
        "linear.backward.add",
    ]
    first = next(
        i for i, c in enumerate(schedule.backward) if c.what == "layernorm.backward" and "norm1" in c.operator.name
    )
    total = schedule.backward[first].reads["dy"]
    assert total == schedule.backward[first - 2].writes["dx"]


def test_a_part_of_the_graph_has_ways_in_and_out():
    g = graph(load("nano"))
    part = [o for o in g.operators if o.group == "mlp" and o.layer == 0]
    schedule = s.schedule(part, {name: t.features for name, t in g.tensors.items()})
    assert [b.name for b in schedule.inputs] == ["layers.0.residual1"]
    assert [b.name for b in schedule.outputs] == ["layers.0.residual2"]
    assert len(schedule.gradients_in) == len(schedule.gradients_out) == 1
    there = {*schedule.inputs, *schedule.gradients_in}
    for call in schedule.calls:
        assert there >= set(call.reads.values()), call.what
        there |= set(call.writes.values())
    assert schedule.gradients_out[0] in there


def test_what_no_kernel_executes_is_named():
    with pytest.raises(ConfigError, match=r"is of kind token_types, which no kernel executes; known"):
        made("nano-1", token_types=2)
