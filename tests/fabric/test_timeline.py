"""Timeline: the state at a cycle is the same, whichever way the fabric came to it."""

from random import Random

import numpy as np
import pytest
from engine import differential
from engine.generated import Plan
from replaying import counter, state
from says import says

import wse
from wse.bench.programs import Tasks
from wse.errors import ConfigError
from wse.fabric.timeline import Timeline
from wse.machine import WSE3


@pytest.mark.parametrize("most", [1, 1 << 30])
@pytest.mark.parametrize("seed", range(6))
def test_every_way_to_a_cycle_is_the_same(seed, most):
    plan, random = Plan.of_seed(52_000 + seed), Random(seed)
    cycles = sorted(random.sample(range(300), 12))
    expected = {}
    fabric, _ = plan.fabric(plan.program(), bins=16)
    try:
        for cycle in cycles:
            fabric.run(max_cycles=cycle - fabric.cycle, on_deadlock="return")
            expected[cycle] = (fabric.cycle, *state(fabric))
    except wse.FabricFault:
        pass
    reached = list(expected)
    fabric, _ = plan.fabric(plan.program(), bins=16)
    timeline = Timeline(fabric, seconds=0.001, most=most)
    for cycle in [*reached, *random.choices(reached, k=20)]:
        at, memory, run = expected[cycle]
        assert timeline.goto(cycle) == at
        got_memory, got_run = state(fabric)
        assert got_memory == memory and run.diff(got_run) == []


def test_back_and_forward():
    tasks = Tasks.load(Tasks.program(12, 5, WSE3), 60)
    timeline = Timeline(tasks.fabric, seconds=0.001)
    end = timeline.goto(10**6)
    tasks.check(tasks.fabric.measure("done"))
    assert timeline.back(50) == end - 50
    assert timeline.back() == end - 51
    assert timeline.forward(10) == end - 41
    assert timeline.forward(10**6) == end
    tasks.check(tasks.fabric.measure("done"))
    assert timeline.back(10**6) == timeline.first == 0
    with says(ConfigError, "the timeline begins at cycle 0: it cannot go back to -1"):
        timeline.goto(-1)


def test_what_the_host_did_is_there_after_a_mark():
    fabric = counter()
    timeline = Timeline(fabric)
    fabric.launch("step")
    timeline.mark()
    first = timeline.goto(1000)
    assert fabric.read("n").item() == 1
    fabric.write("n", np.full((1, 1, 1), 40, np.uint32))
    fabric.launch("step")
    timeline.mark()
    assert timeline.goto(10**6) > first and fabric.read("n").item() == 41
    timeline.goto(first - 1)
    assert fabric.read("n").item() <= 1
    timeline.goto(first)
    assert fabric.read("n").item() == 40
    timeline.goto(10**6)
    assert fabric.read("n").item() == 41


def test_another_future_replaces_the_one_before():
    fabric = counter()
    fabric.launch("step")
    timeline = Timeline(fabric)
    end = timeline.goto(1000)
    timeline.goto(end - 1)
    fabric.write("n", np.full((1, 1, 1), 7, np.uint32))
    timeline.mark()
    timeline.goto(1000)
    timeline.goto(end - 1)
    assert fabric.read("n").item() == 7


@pytest.mark.parametrize(
    ("options", "message"),
    [({"seconds": 0}, "seconds is above 0, not 0"), ({"most": 0}, "most is at least 1 byte, not 0")],
)
def test_options(options, message):
    with says(ConfigError, message):
        Timeline(counter(), **options)


def test_a_run_that_was_looked_at_is_the_same():
    plan = Plan.of_seed(52_100)
    expected = differential.observe(*plan.fabric(plan.program(), bins=16, activity=True), plan.max_cycles)
    fabric, streams = plan.fabric(plan.program(), bins=16, activity=True)
    timeline = Timeline(fabric, seconds=0.001)
    for cycle in (100, 40, 180, 3):
        timeline.goto(cycle)
    got = differential.observe(fabric, streams, plan.max_cycles)
    assert differential.differences(expected, got, False, False) == []
