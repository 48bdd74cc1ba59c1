"""Weight streaming in which activations leave the wafer: losses and gradients against PyTorch, and what it shares.

Covers: wse/execute/head_in_parts.py
"""

import numpy as np
import pytest

pytest.importorskip("torch")

from layer_bounds import pass_against_pytorch, random_tokens, random_weights
from operator_cases import BOTH, DROPOUT, STREAMING, WIDE

from wse import Machine
from wse.errors import ConfigError, MemoryOverflow, ProgramError
from wse.execute.head_in_parts import fitting
from wse.execute.offloading import Kept, Offloading
from wse.execute.streaming import Streaming
from wse.memoryx import MemoryX, Network
from wse.models import Graph, graph, load
from wse.models.dropout import dropped
from wse.models.graph import Operator
from wse.torch.execution import Exchange

NANO = load("nano").but(sequence=8)
# Model, sequences, part of the vocabulary of 96, grid, bound; the storage type and the policy are in the name.
CASES = {
    "f32": (NANO, 2, 96, (4, 2), 1e-5),
    "tied f32": (NANO.but(tied=True), 2, 36, (4, 2), 1e-5),
    "rows f32": (NANO, 1, 40, (4, 2), 1e-5),  # a sequence over two rows of PEs
    "f16 POL0": (NANO, 2, 40, (4, 2), 2e-2),
    "bf16 POL1": (NANO, 2, 40, (4, 2), 3e-2),
    "f16 POL2": (NANO, 2, 40, (4, 2), 3e-2),
    "one column f32": (load("nano-1").but(sequence=8, heads=1, kv_heads=1), 1, 33, (1, 1), 1e-5),
}


def build(model, batch, **options):
    return Offloading(graph(model), batch, Machine("wse3"), MemoryX(), **options)


def check_gradients(execution, batch, bound, scale):
    done, tokens, _ = pass_against_pytorch(execution, batch, bound, scale)
    assert execution.evaluate(*tokens) == done.loss
    return done


@pytest.mark.parametrize("case", CASES)
def test_every_gradient_is_that_of_pytorch(case):
    model, batch, part, grid, bound = CASES[case]
    words = case.split()
    dtype, policy = (words[-1], "POL0") if words[-1] == "f32" else words
    execution = build(model, batch, dtype=dtype, policy=policy, grid=grid, part=part)
    assert len(execution.head.parts) == -(-model.vocab // part)
    check_gradients(execution, batch, bound, 1.0 if dtype == "f32" else 2.0**10)


# Those whose segments differ in shape from those of CASES.
SHAPES = (
    "RMS norm, SwiGLU, rotary positions",
    "rotary positions in a part of the layers",
    "more rows of positions than tokens",
    "ALiBi",
    "cap of scores",
    "sinks",
    "norm after the addition",
    "norm before and after",
    "attention and MLP in parallel, two norms",
    "norm of the embedding",
    "embedding narrower than d_model",
    "head with a bias",
    "norm of each head's queries and keys",
)


@pytest.mark.parametrize("case", SHAPES)
def test_operators_of_public_models(case):
    check_gradients(build((BOTH | STREAMING)[case], 2, dtype="f32", part=52), 2, 1e-5, 1.0)


def test_a_cap_of_logits_is_refused():
    """Each part of the vocabulary would need the cap."""
    with pytest.raises(ConfigError, match="has a cap of logits, which is executed where the PEs hold the logits of"):
        build(BOTH["cap of logits"], 2, dtype="f32", part=52)


@pytest.mark.parametrize("case", list(WIDE)[-1:])
def test_columns_that_share_heads_of_keys_and_values(case):
    model, columns = WIDE[case]
    check_gradients(build(model, 2, dtype="f32", grid=(columns, 2)), 2, 1e-5, 1.0)


def test_layers_have_the_bits_of_the_execution_that_keeps_activations():
    """A layer that is computed a second time, with products that keep two chunks, gives the same bits as one whose
    activations stay on the PEs."""
    model, grid, rng = NANO.but(layers=1), (4, 2), np.random.default_rng(2)
    execution = build(model, 2, dtype="f16", grid=grid)
    weights = random_weights(execution.graph)
    rows, gradient = (rng.standard_normal((16, 32)).astype(np.float32) for _ in range(2))
    segment = execution.segments[1]
    ends = {"widest": 32}
    operators = (
        Operator("in", "input", "", None, (), (segment.takes,), (32, 32), {}, ends),
        *segment.operators,
        Operator("out", "output", "", None, (segment.gives,), (), (32, 32), {}, ends),
    )
    kept = Exchange(Graph(model, operators, execution.graph.tensors), 2, Machine("wse3"), "f16", grid=grid)
    y, _ = kept.forward(rows, weights)
    dx, gradients, _ = kept.backward(gradient)

    execution.load(weights)
    ids, found = random_tokens(model, 2)[0], {}
    note = lambda *_: None  # noqa: E731
    left = execution._segment("forward", segment, {"input.forward": Kept(rows)}, ids, note, {})
    np.testing.assert_array_equal(left["output"].rows, y)
    back = {"input.forward": Kept(rows), "output.gradient": Kept(gradient)}
    left = execution._segment("backward", segment, back, ids, note, found)
    np.testing.assert_array_equal(left["input"].rows, dx)
    assert set(found) == set(gradients)
    for name, g in gradients.items():
        np.testing.assert_array_equal(found[name], g, err_msg=name)


def test_a_deeper_model_has_the_same_program_and_two_passes_the_same_bits():
    one, four = (build(NANO.but(layers=n), 1, grid=(4, 1)) for n in (1, 4))
    assert list(one.tasks) == list(four.tasks)
    codes = [[pe.source.statements for pe in e.program.classes.values()] for e in (one, four)]
    assert [len(code) for code in codes[0]] == [len(code) for code in codes[1]]
    four.load(random_weights(four.graph))
    first, second = (four.run(*random_tokens(four.graph.model, 1), 2.0**10) for _ in range(2))
    assert abs(first.cycles - second.cycles) < 10  # the first vector that goes north finds no outbox chosen
    # Of 10 bounds of segments: each activation and each gradient leaves and comes back, and of all but the last one the
    # activation comes back once more; two elements a wavelet.
    assert first.activations == second.activations == (4 * 10 + 9) * 8 * 32 // 2
    for name, gradient in first.gradients.items():
        np.testing.assert_array_equal(second.gradients[name], gradient)


def test_latency_passes_once_and_with_activations_not_with_every_task():
    """Weights of the next task wait at the edge; an activation goes to MemoryX and back, hidden by what a backward pass
    computes again."""
    model = NANO.but(layers=1)
    cycles, gradients, waits = {}, {}, {}
    for latency in (5, 50):
        for part in (96, 24):
            memory = MemoryX(network=Network(latency_us=latency))
            execution = Offloading(graph(model), 1, Machine("wse3"), memory, "f16", grid=(4, 2), part=part)
            execution.load(random_weights(execution.graph))
            done = execution.run(*random_tokens(model, 1), 2.0**10)
            cycles[latency, part], gradients[latency, part] = done.cycles, done.gradients
            waits[latency, part] = done.waits["forward"]["network"]
            again = execution.run(*random_tokens(model, 1), 2.0**10)
            assert abs(again.cycles - done.cycles) < 10  # each pass begins with nothing on its way
    longer = 45e-6 * execution.clock_hz
    forward = len(execution.segments) - 1 + 1  # activations to the next segments and to the head
    for part in (96, 24):  # of 1 and 4 tasks forward and backward
        more = (cycles[50, part] - cycles[5, part]) / longer
        waited = (waits[50, part] - waits[5, part]) / longer
        assert waited == pytest.approx(1 + 2 * forward, rel=0.1)
        assert 1 + 2 * forward <= more + 0.01 and more <= 1 + 2 * forward + 2 * len(execution.segments)
        for name, g in gradients[5, part].items():
            np.testing.assert_array_equal(gradients[50, part][name], g, err_msg=name)
    assert cycles[50, 24] - cycles[50, 96] == pytest.approx(cycles[5, 24] - cycles[5, 96], abs=longer / 4)


def test_wse2_gives_the_same_gradients():
    """Its sequences over rows, too; there are no cost models of it."""
    runs = []
    for arch in ("wse3", "wse2"):
        execution = Offloading(graph(NANO.but(layers=1)), 1, Machine(arch), MemoryX(), "f16", grid=(4, 2))
        execution.load(random_weights(execution.graph))
        runs.append(execution.run(*random_tokens(NANO, 1), 2.0**10))
        assert execution.has_costs == (arch == "wse3")
    for name, gradient in runs[0].gradients.items():
        np.testing.assert_array_equal(runs[1].gradients[name], gradient)
    for other in (Machine("wse3", overrides={"hop_cycles": 2}), Machine("wse3", "silicon")):
        assert not Offloading(graph(NANO), 1, other, MemoryX(), "f16", grid=(4, 2)).has_costs


def test_spans_name_the_operators_of_each_layer():
    execution = build(NANO, 1, grid=(4, 1))
    execution.load(random_weights(execution.graph))
    spans = execution.run(*random_tokens(NANO, 1)).spans
    computing = [span for span in spans if span.track == "compute"]
    for name in ("layers.0.mlp.down", "layers.1.mlp.down"):
        assert [s.phase for s in computing if s.name == f"linear.forward {name}"] == ["forward"]
        assert [s.phase for s in computing if s.name == f"linear.backward {name}"] == ["backward"]
    assert all(span.begin <= span.end for span in spans)


def test_it_fits_where_keeping_activations_does_not():
    """With 24 tokens a row, layers of d = 32 do not fit into four PEs side by side if their activations are kept."""
    model = load("nano").but(sequence=48, layers=4)
    with pytest.raises(MemoryOverflow):
        Streaming(graph(model), 1, Machine("wse3"), MemoryX(), grid=(4, 2))
    build(model, 1, grid=(4, 2))


def test_what_does_not_fit_is_named():
    with pytest.raises(MemoryOverflow, match=r"tokens a row on 4 columns needs .* Use fewer tokens a row"):
        build(load("nano").but(sequence=128), 2, grid=(4, 1))
    with pytest.raises(
        ProgramError, match=r"4096 tokens a row on 4 columns.* beyond the 32766 that a descriptor holds"
    ):
        build(load("nano").but(sequence=4096), 1, grid=(4, 1))
    with pytest.raises(ConfigError, match="head has 70,000 entries: a label on the PEs has 16 bits"):
        build(NANO.but(vocab=70_000), 2)
    with pytest.raises(ConfigError, match="a loss scale is above 0"):
        build(NANO, 2).run(*random_tokens(NANO, 2), 0.0)
    with pytest.raises(ConfigError, match="task by task"):
        build(NANO, 2).arrivals()


def test_parts_are_as_few_as_fit_and_of_one_size():
    assert fitting(96, 4, lambda n: True) == 96
    assert fitting(96, 4, lambda n: n <= 60) == 48
    assert fitting(97, 4, lambda n: n <= 60) == 52
    with pytest.raises(MemoryOverflow, match="use fewer tokens a row"):
        fitting(96, 4, lambda n: False)


def test_dropout_is_refused():
    model, rates = DROPOUT["dropout"]
    with pytest.raises(ConfigError, match="has dropout, which --offload does not execute"):
        Offloading(dropped(graph(model), rates), 1, Machine("wse3"), MemoryX())
