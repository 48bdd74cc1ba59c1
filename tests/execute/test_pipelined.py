"""A transformer as a pipeline of regions: its loss and every gradient against PyTorch, updates in place to the bit.

Covers: wse/execute/handover.py
"""

import numpy as np
import pytest

pytest.importorskip("torch")

from layer_bounds import gradient_errors, random_tokens, random_weights
from operator_cases import BOTH, DROPOUT, REFUSED, STREAMING

from wse import Machine
from wse.errors import ConfigError
from wse.execute.pipelined import Pipelined
from wse.models import graph, load
from wse.models.dropout import dropped
from wse.operators import resident
from wse.train import reference

NANO = load("nano").but(sequence=16)


def build(model, batch, **options):
    return Pipelined(graph(model), batch, Machine("wse3"), **options)


CASES = {
    "bf16": (NANO, 4, 2e-2),
    "f16": (NANO, 4, 2e-2),
    "f32": (NANO, 4, 1e-5),
    "llama f32": (load("nano-llama").but(sequence=16), 2, 1e-5),
}


@pytest.mark.parametrize("case", BOTH)
def test_operators_of_public_models(case):
    check_gradients(BOTH[case], 2, 1e-5, "f32")


def test_dropout_is_refused():
    with pytest.raises(ConfigError, match="has dropout, which --mode pipelined does not execute"):
        model, rates = DROPOUT["dropout"]
        Pipelined(dropped(graph(model), rates), 2, Machine("wse3"))


@pytest.mark.parametrize("case", [*STREAMING, *REFUSED])
def test_what_a_pipeline_refuses(case):
    model, words = REFUSED.get(
        case, (STREAMING.get(case), "norm_q.gain is one gain for all heads, .* use streaming|rotary_k has 1 heads for")
    )
    with pytest.raises(ConfigError, match=words):
        build(model, 2)


@pytest.mark.parametrize("case", CASES)
def test_every_gradient_is_that_of_pytorch(case):
    model, batch, bound = CASES[case]
    check_gradients(model, batch, bound, case.split()[-1])


def check_gradients(model, batch, bound, dtype):
    execution = build(model, batch, dtype=dtype, micro_batches=2)
    ids, labels = random_tokens(model, batch)
    weights = random_weights(execution.graph)
    execution.load(weights)
    scale = 1.0 if dtype == "f32" else 2.0**10
    done = execution.run(ids, labels, scale)
    loss, expected = reference.gradients(execution.graph, weights, ids, labels)
    assert done.loss == pytest.approx(loss, rel=bound)
    assert execution.evaluate(ids, labels) == pytest.approx(done.loss, rel=1e-6)
    # Keys' biases change no score: their gradient is 0 but for rounding.
    exact = {name: g for name, g in expected.items() if not name.endswith("attention.k.bias")}
    found = gradient_errors({name: g / scale for name, g in done.gradients.items()}, exact)
    assert set(done.gradients) == set(expected)
    assert {name: e for name, (e, _) in found.items() if e > bound} == {}
    assert {name: c for name, (_, c) in found.items() if c < 0.9999} == {}


@pytest.mark.parametrize("tied", [False, True])
def test_updates_to_the_bit(tied):
    model = NANO.but(tied=tied)
    execution = build(model, 4, micro_batches=4)
    weights = random_weights(execution.graph)
    velocity = {name: np.zeros(w.shape, np.float32) for name, w in weights.items()}
    execution.load(weights)
    for step in range(3):
        done = execution.run(*random_tokens(model, 4, step))
        factor, rate = 0.5, 0.1 * (step + 1)
        execution.update(rate, 0.9, factor)
        for name, gradient in done.gradients.items():
            weights[name], velocity[name] = resident.updated(weights[name], velocity[name], gradient, 0.9, factor, rate)
        held, moving = execution.read()
        assert {name for name in weights if not np.array_equal(held[name], weights[name])} == set()
        assert {name for name in weights if not np.array_equal(moving[name], velocity[name])} == set()


def test_micro_batches_make_the_same_gradient():
    ids, labels = random_tokens(NANO, 4)
    found = []
    for count in (1, 4):
        execution = build(NANO, 4, dtype="f32", micro_batches=count)
        weights = random_weights(execution.graph)
        execution.load(weights)
        found.append(execution.run(ids, labels).gradients)
    errors = gradient_errors(found[1], found[0])
    assert max(e for name, (e, _) in errors.items() if not name.endswith("k.bias")) < 1e-5


def test_regions_work_at_the_same_time():
    """A region's calls overlap others': the step takes less than all calls one after the other."""
    execution = build(NANO, 4, micro_batches=4)
    execution.load(random_weights(execution.graph))
    done = execution.run(*random_tokens(NANO, 4))
    computing = sum(span.end - span.begin for span in done.spans if span.bound_by == "compute")
    assert {span.track for span in done.spans} == {stage.group.name for stage in execution.stages}
    assert done.cycles < 0.7 * computing


def test_what_is_refused():
    with pytest.raises(ConfigError, match="do not make 3 equal micro-batches"):
        build(NANO, 4, micro_batches=3)
    with pytest.raises(ConfigError, match="rows do not divide"):
        build(NANO, 4, micro_batches=2, grid=(20, 3))
    with pytest.raises(ConfigError, match="side by side need at least"):
        build(NANO, 4, grid=(3, 1))
    execution = build(NANO, 4)
    with pytest.raises(ConfigError, match="load some first"):
        execution.run(*random_tokens(NANO, 4))
    execution.load(random_weights(execution.graph))
    with pytest.raises(ConfigError, match=r"are \[4, 16\]"):
        execution.run(*random_tokens(NANO, 2))
