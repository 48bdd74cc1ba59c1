"""Experts in training: operators and parameters of a separated graph, and tensors cut and stacked again."""

import numpy as np
import pytest

from wse.errors import ConfigError
from wse.models import graph, load
from wse.models.experts import cut, of_all, separated, stacked

MOE = load("nano-moe").but(layers=1)
MIXED = MOE.but(layers=2, expert_layers=(False, True), d_shared=16)


@pytest.mark.parametrize("model", [MOE, MIXED, MOE.but(gated=False, activation="gelu"), MOE.but(router_bias=True)])
def test_the_same_parameters_in_other_tensors(model):
    whole = graph(model)
    made = separated(whole)
    assert made.weights == whole.weights and made.model == model
    assert {of_all(name)[0] for name in made.parameters} == set(whole.parameters)
    written = {"ids"}
    for o in made.operators:  # each tensor is written once, before it is read
        assert set(o.inputs) <= written and not set(o.outputs) & written
        assert o.features == (sum(made.tensors[x].features for x in o.inputs), made.tensors[o.outputs[0]].features)
        written |= set(o.outputs)
    made.check_plain("the fabric")
    assert separated(made) is made
    with pytest.raises(ConfigError, match="is of kind experts, which it does not execute"):
        whole.check_plain("it")


def test_tensors_are_cut_and_stacked():
    whole = graph(MIXED)
    rng = np.random.default_rng(0)
    values = {name: rng.normal(size=p.shape).astype(np.float32) for name, p in whole.parameters.items()}
    made = separated(whole)
    reads = []
    parts = cut(made.parameters, lambda name: reads.append(name) or values[name])
    assert set(parts) == set(made.parameters)
    for name, p in made.parameters.items():
        assert parts[name].shape == p.shape
    assert np.array_equal(parts["layers.1.mlp.experts.3.up.weight"], values["layers.1.mlp.experts.up.weight"][3])
    assert reads.count("layers.1.mlp.experts.up.weight") < MIXED.experts  # not once for each expert
    read = stacked(made, parts.__getitem__)
    for name, value in values.items():
        assert np.array_equal(read(name), value)


def test_what_is_computed_again():
    """All of an expert but its last product."""
    made = separated(graph(MOE))
    again = [o.name.removeprefix("layers.0.mlp.experts.") for o in made.operators if "again" in o.attributes]
    assert again == [f"{e}.{part}" for e in range(4) for part in ("gate", "up", "silu", "weigh")]


def test_a_model_without_experts_stays_as_it_is():
    made = graph(load("nano"))
    assert separated(made) is made


def test_outputs_with_biases_are_weighed_with_them():
    made = separated(graph(MOE.but(expert_bias=True)))
    first = [o for o in made.operators if o.attributes.get("expert") == 0]
    assert [o.name.rsplit(".", 1)[1] for o in first] == ["gate", "up", "silu", "down", "weigh", "sum"]
    assert ["again" in o.attributes for o in first] == [True] * 4 + [False] * 2
    assert first[3].parameters["bias"].shape == (MOE.d_model,)
    made.check_plain("the fabric")


def test_limits_of_values_are_attributes_of_the_activation():
    settings = (("swiglu_limit", 7.0), ("swiglu_alpha", 1.702))
    made = separated(graph(MOE.but(numerics=settings)))
    found = [o.attributes for o in made.operators if o.kind == "silu_gate"]
    assert len(found) == 4 and all((a["alpha"], a["limit"]) == (1.702, 7.0) for a in found)
