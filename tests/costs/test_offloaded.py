"""The cost models of a step whose activations leave the wafer, against executed steps."""

import numpy as np
import pytest

from wse import Machine
from wse.costs.offloaded import passes, predict, step
from wse.execute.offloading import Offloading
from wse.memoryx import MemoryX, Network
from wse.models import graph, load
from wse.models.lowering import executable
from wse.train import loop


def executed(model, batch, grid, memory, part=None, policy="POL0"):
    made = Offloading(
        executable(graph(model)), batch, Machine("wse3"), memory, dtype="f16", grid=grid, part=part, policy=policy
    )
    made.load(loop.initial(made.graph, 0))
    ids, labels = np.random.default_rng(0).integers(0, model.vocab, (2, batch, model.sequence))
    return made, made.run(ids, labels, 2.0**10)


WIDE = load("nano").but(layers=1, d_model=96, d_ff=192, sequence=16, vocab=192)
MEMORIES = {
    # Bound by the network, as GPT-2 small on 12 columns; and by the PEs.
    "slow": MemoryX(network=Network(gbps=80, latency_us=1)),
    "fast": MemoryX(nodes=512, network=Network(gbps=1e5, latency_us=1)),
}


@pytest.mark.parametrize(("memory", "policy"), (("slow", "POL0"), ("fast", "POL0"), ("fast", "POL1"), ("fast", "POL2")))
def test_a_step(memory, policy):
    made, done = executed(WIDE, 2, (4, 4), MEMORIES[memory], 96, policy)
    assert made.has_costs
    modelled = step(made)
    assert modelled["all"] == pytest.approx(done.cycles, rel=0.08)
    by_name = {}
    for span in done.spans:
        if span.track == "compute":
            name = f"{span.phase} {span.name.split()[0]}"
            by_name[name] = by_name.get(name, 0) + span.end - span.begin
    for name in ("forward linear.forward", "backward linear.backward", "backward linear.backward.add"):
        assert modelled[name] == pytest.approx(by_name[name], rel=0.12 if policy == "POL2" else 0.1), name
    assert set(modelled) - {"all"} == set(by_name)


@pytest.mark.parametrize("memory", MEMORIES)
def test_experts_are_counted_once_for_each(memory):
    """A loop's calls are those of one turn; its operators are computed again by calls of their own."""
    model = load("nano-moe").but(layers=1, experts=5, sequence=16)
    made, done = executed(model, 4, (4, 4), MEMORIES[memory])
    modelled, by_name = step(made), {}
    for span in done.spans:
        if span.track == "compute":
            name = f"{span.phase} {span.name.split()[0]}"
            by_name[name] = by_name.get(name, 0) + span.end - span.begin
    assert modelled["all"] == pytest.approx(done.cycles, rel=0.12)
    names = ["forward linear.forward", "backward linear.forward", "backward linear.backward.add"]
    for name in (*names, "forward silu_gate.forward", "backward silu_gate.forward"):
        assert modelled[name] == pytest.approx(by_name[name], rel=0.12), name


def test_tasks_of_equal_layers_are_counted():
    made = Offloading(
        graph(load("nano").but(sequence=8, layers=3)), 1, Machine("wse3"), MemoryX(), grid=(4, 1), part=48
    )
    times = {task.name: n for task, n in passes(made)}
    assert times == {
        **{f"{phase}{kind}": n for phase in ("forward", "backward") for kind, n in enumerate((1, 3, 3, 1))},
        **{f"head_{name}": n for name, n in (("begin", 1), ("take", 2), ("finish", 1), ("gradient", 2), ("end", 1))},
    }


def test_gradients_that_leave_slowly_bound_a_product_backward():
    tasks = {}
    for name, memory in MEMORIES.items():
        made = Offloading(graph(WIDE), 1, Machine("wse3"), memory, dtype="f16", grid=(4, 2), part=96)
        waits, calls = predict(made, made.tasks["head_gradient"])
        (tasks[name],) = [call for call in calls if call.call.what == "linear.backward.add"]
        assert waits == 0  # its weights are at the edge
        first, second = (predict(made, made.tasks[f"forward{n}"])[0] for n in (0, 1))
        assert second > 1.9 * first > 0  # of the activation: to MemoryX and back
    assert tasks["slow"].leaving > tasks["slow"].computing[1] and tasks["fast"].leaving < tasks["fast"].computing[1]
    assert tasks["slow"].cycles > tasks["fast"].cycles == pytest.approx(sum(tasks["fast"].computing))
