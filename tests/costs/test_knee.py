"""The knee: passes executed with ever more memory, against the law."""

from functools import partial

import numpy as np
import pytest

import wse
from wse.costs import knee
from wse.execute.execution import Pass, Span
from wse.execute.streaming import Streaming
from wse.memoryx import Ddr5, MemoryX
from wse.models import graph, load
from wse.train.loop import initial

MODEL = load("nano-1").but(sequence=8)
CHANNELS = (1, 2, 4, 8, 24, 96)


def execution(model, batch, memory, **options):
    return Streaming(graph(model), batch, wse.WSE3, memory, **options)


@pytest.fixture(scope="module")
def swept():
    made = graph(MODEL)
    tokens = np.random.default_rng(0).integers(0, MODEL.vocab, (2, 9)).astype(np.uint16)
    memories = [MemoryX(channels=channels, nodes=1) for channels in CHANNELS]
    seen = []
    make = partial(execution, MODEL, 2, grid=(4, 2))
    found = knee.sweep(make, memories, initial(made, 0), tokens[:, :-1], tokens[:, 1:], lambda *now: seen.append(now))
    assert seen == [(i, 7) for i in range(1, 8)]
    return found


def test_the_law_gives_what_is_executed(swept):
    for point in swept.points:
        assert point.law == pytest.approx(point.cycles, rel=0.15), point.memory.channels


def test_little_memory_bounds_a_pass_and_much_does_not(swept):
    cycles = {point.memory.channels: point.cycles for point in swept.points}
    assert sorted(cycles.values(), reverse=True) == list(cycles.values())
    assert cycles[1] > 1.8 * cycles[2]
    assert cycles[24] == pytest.approx(cycles[96], rel=0.01)
    assert swept.points[0].bound == "dram" and swept.points[-1].bound != "dram"


def test_the_knee_lies_where_streaming_takes_as_long_as_computing(swept):
    """Below half of the bandwidth at which both take the same the pass is longer by what the streams take more; above
    twice as much it is no longer than with plenty."""
    last = swept.points[-1]
    for point in swept.points:
        above = point.bandwidth / swept.knees["backward"]
        if above < 0.5:
            assert point.cycles > 1.3 * last.cycles
            assert point.cycles > 0.85 * point.streaming["backward"]
        if above > 2:
            assert point.cycles < 1.1 * last.cycles
    assert swept.points[0].bandwidth < swept.knees["backward"] < last.bandwidth / 2
    assert swept.knees["forward"] < swept.knees["backward"]  # backward gradients leave, and are twice as long


def test_tokens_to_hide_a_stream(swept):
    """eta P / B: at the crossover they are those of the pass; half the bandwidth needs twice as many."""
    assert swept.tokens == 16
    first, second = swept.points[:2]
    for phase in knee.PHASES:
        assert swept.tokens_to_hide(first, phase) == pytest.approx(2 * swept.tokens_to_hide(second, phase), rel=0.02)
        at_knee = swept.tokens_to_hide(first, phase) * first.bandwidth / swept.knees[phase]
        assert at_knee == pytest.approx(swept.tokens)


def test_computing_is_the_same_whatever_the_memory(swept):
    for point in swept.points:
        assert point.waits["compute"] == pytest.approx(sum(swept.computing.values()), rel=0.12)


def test_parts_of_calls():
    spans = [
        Span("compute", "linear.forward a", "forward", 100, 200),
        Span("weights in", "a", "forward", 90, 180),
        Span("compute", "gelu b", "forward", 200, 250),
        Span("compute", "linear.backward a", "backward", 250, 400),
        Span("weights in", "a", "backward", 190, 240),
    ]
    assert knee.parts(Pass(0.0, {}, 400, spans=spans)) == [
        knee.Part("a", "forward", 80, 20),
        knee.Part("b", "forward", 0, 50),
        knee.Part("a", "backward", 0, 150),
    ]


def test_slower_memory_is_like_fewer_channels():
    made = graph(MODEL)
    tokens = np.random.default_rng(0).integers(0, MODEL.vocab, (2, 9)).astype(np.uint16)
    cycles = []
    for memory in (MemoryX(part=Ddr5(6400), channels=1, nodes=1), MemoryX(part=Ddr5(3200), channels=2, nodes=1)):
        it = execution(MODEL, 2, memory, grid=(4, 2))
        it.load(initial(made, 0))
        cycles.append(it.run(tokens[:, :-1], tokens[:, 1:]).cycles)
    assert cycles[0] == pytest.approx(cycles[1], rel=0.05)
