"""Cycles of operators from executed kernels, and floor plans made of them."""

import numpy as np
import pytest

from wse.costs import vendor_compiler as compiler
from wse.costs.cycles import ExecutedCosts, busiest, operator_cycles
from wse.execute.streaming import Streaming
from wse.machine.parameters import Machine
from wse.memoryx import MemoryX
from wse.models import graph, load
from wse.models.dropout import Rates, dropped
from wse.models.experts import separated
from wse.plan import floorplan
from wse.train import loop


def test_every_operator_of_every_family_has_a_time():
    for name in ("gpt2", "llama3-8b", "jais-13b", "falcon-40b", "mixtral-8x7b"):
        for operator in graph(load(name).but(layers=1)).operators:
            forward, backward = operator_cycles(operator, 128, 64, 2048, "wse3")
            free = operator.kind in ("embedding", "positions", "rotary")
            assert (forward > 0) != free, operator.name
            assert backward >= 0


def test_a_floor_plan_of_executed_kernels():
    plan = floorplan.plan(graph(load("gpt2")), compiler.GRID, Machine("wse2"), ExecutedCosts("wse2"))
    assert plan.rate == pytest.approx(min(p.rate for p in plan.placed))
    assert 0.2 < plan.rate / compiler.SAMPLES_PER_SECOND < 5


def test_products_cost_what_their_weights_do():
    costs = ExecutedCosts()
    made = {r.name: r for r in floorplan.regions(graph(load("gpt2")), "kernel")}
    up, head = (costs.pe_cycles(made[name], 1024) for name in ("layers.0.mlp.up", "head"))
    assert head / up == pytest.approx(50257 / 3072, rel=0.15)


def test_zero_weights_are_not_multiplied_but_have_gradients():
    (up,) = [o for o in graph(load("gpt3-6_7b").but(layers=1)).operators if o.name.endswith("mlp.up")]
    times = {density: operator_cycles(up, 128, 64, 2048, "wse3", density) for density in (1.0, 0.5, 0.1)}
    forward, backward = ([times[d][i] for d in (1.0, 0.5, 0.1)] for i in (0, 1))
    assert forward[0] > 1.4 * forward[1] > 1.4 * 1.3 * forward[2]
    assert backward[0] > backward[1] > backward[2] > 0.5 * backward[0]


def test_long_sequences_lie_over_rows():
    """From a row with whole sequences to sequences over rows: more work for a token, and no jump to less."""
    (scores,) = [o for o in graph(load("gpt2").but(layers=1)).operators if o.kind == "attention"]
    a_token = [sum(operator_cycles(scores, 12, 64, sequence, "wse3")) / 64 for sequence in (32, 64, 128, 512, 2048)]
    assert a_token == sorted(a_token)
    assert a_token[-1] / a_token[-2] == pytest.approx(4, rel=0.1)


@pytest.mark.parametrize(("tokens", "share", "rows"), ((56, 1 / 16, 1170), (8, 0.25, 100), (300, 0.05, 40)))
def test_the_busiest_row_of_an_expert_is_that_of_random_routing(tokens, share, rows):
    drawn = np.random.default_rng(0).binomial(tokens, share, (2000, rows)).max(axis=1)
    assert busiest(tokens, share, rows) == pytest.approx(drawn.mean(), rel=0.01)
    assert busiest(tokens, share, 1) == pytest.approx(tokens * share)
    assert busiest(tokens, 1.0, rows) == tokens


def test_experts_wait_for_the_busiest_row():
    (layer,) = [o for o in graph(load("mixtral-8x7b").but(layers=1)).operators if o.kind == "experts"]
    even, one, many = (operator_cycles(layer, 128, 64, 2048, "wse3", rows_in_step=rows) for rows in (None, 1, 1000))
    for a, b, c in zip(even, one, many, strict=True):
        assert a < b < c < 8 / 2 * a  # less than if each expert took every token
    (every,) = [o for o in graph(load("mixtral-8x7b").but(layers=1, active_experts=8)).operators if o.kind == "experts"]
    assert operator_cycles(every, 128, 64, 2048, "wse3", rows_in_step=1000) == operator_cycles(
        every, 128, 64, 2048, "wse3"
    )


CAPS = (("attn_logit_softcapping", 2.0), ("final_logit_softcapping", 2.0))


@pytest.mark.parametrize("changes, bound", [({"numerics": CAPS}, 0.05), ({"sinks": True}, 0.1)])
def test_caps_and_sinks_cost_what_executing_them_does(changes, bound):
    model, spans, made = load("nano").but(layers=1), {}, {}
    for has in (False, True):
        made[has] = graph(model.but(**changes) if has else model)
        execution = Streaming(made[has], 2, Machine("wse3"), MemoryX(), dtype="bf16")
        execution.load(loop.initial(made[has], seed=0))
        ids = np.zeros((2, 2, 32), int)
        done = execution.run(*ids, scale=1.0)
        spans[has] = {s.name: s.end - s.begin for s in done.spans if s.track == "compute"}
    region = execution.region
    for kind, phases in (("attention", ("forward", "backward")), ("loss", ("forward",))):
        times = {}
        for has, its in made.items():
            (operator,) = [o for o in its.operators if o.kind == kind]
            times[has] = operator_cycles(operator, region.width, region.tokens, 32, "wse3")
        for i, phase in enumerate(phases):
            (name,) = [name for name in spans[False] if name.startswith(f"{kind}.{phase}")]
            executed = spans[True][name] - spans[False][name]
            assert times[True][i] - times[False][i] == pytest.approx(executed, rel=bound, abs=20), name


@pytest.mark.parametrize("model, batch, grid", [("nano", 2, (4, 2)), ("nano", 4, (4, 2)), ("nano-llama", 2, (4, 2))])
def test_dropout_costs_what_executing_it_does(model, batch, grid):
    plain = graph(load(model).but(layers=1, sequence=16))
    spans = []
    for made in (plain, dropped(plain, Rates(0.1, 0.1, 0.1))):
        execution = Streaming(made, batch, Machine("wse3"), MemoryX(), dtype="bf16", grid=grid)
        execution.load(loop.initial(made, seed=0))
        done = execution.run(*np.zeros((2, batch, 16), int), draw=1)
        spans.append({s.name: s.end - s.begin for s in done.spans if s.track == "compute"})
    names = {o.name: o for o in plain.operators}
    checked = 0
    for o in made.operators:
        if "stream" in o.attributes:
            times = operator_cycles(o, grid[0], execution.tokens, 16, "wse3")
            before = (
                operator_cycles(names[o.name], grid[0], execution.tokens, 16, "wse3") if o.name in names else (0, 0)
            )
            for i, phase in enumerate(("forward", "backward")):
                name = f"{o.kind}.{phase} {o.name}"
                assert times[i] - before[i] == pytest.approx(spans[1][name] - spans[0].get(name, 0), rel=0.05), name
                checked += 1
    assert checked == 2 * 4


CUT = {"expert_bias": True, "numerics": (("norm_topk_prob", True), ("swiglu_limit", 7.0), ("swiglu_alpha", 1.702))}


@pytest.mark.parametrize(
    "batch, grid, more", [(2, (4, 2), {}), (4, (4, 2), {"experts": 6}), (2, (2, 2), {}), (2, (4, 2), CUT)]
)
def test_experts_cost_what_executing_them_does(batch, grid, more):
    made = separated(graph(load("nano-moe").but(layers=1, sequence=16, **more)))
    execution = Streaming(made, batch, Machine("wse3"), MemoryX(), dtype="bf16", grid=grid)
    execution.load(loop.initial(made, seed=0))
    done = execution.run(*np.random.default_rng(0).integers(0, 96, (2, batch, 16)))
    assert done.load.all()  # no expert is left out
    sums = {}
    for s in done.spans:
        if s.track == "compute" and not s.name.startswith("vector.send.load"):  # which waits for MemoryX
            key = s.name.split()[1], s.phase
            sums[key] = sums.get(key, 0) + s.end - s.begin
    for o in made.operators:
        # a routing waits for the row, which the first PE does not see
        bound = {"route": 0.25, "weigh": 0.1, "silu_gate": 0.1}.get(o.kind)
        if bound:
            times = operator_cycles(o, grid[0], execution.tokens, 16, "wse3")
            for time, phase in zip(times, ("forward", "backward"), strict=True):
                assert time == pytest.approx(sums[o.name, phase], rel=bound), (o.name, phase)
    whole = sum(sum(operator_cycles(o, grid[0], execution.tokens, 16, "wse3")) for o in made.operators)
    assert whole == pytest.approx(sum(sums.values()), rel=0.1)
