"""Operands of a pass in memory: buffers that live at once do not overlap."""

import pytest

from wse.execute import arena as a
from wse.execute.schedule import loops, schedule
from wse.models import graph, load
from wse.models.experts import separated


def made(name, **changes):
    g = separated(graph(load(name).but(**changes) if changes else load(name)))
    return schedule(g.operators, {tensor: t.features for tensor, t in g.tensors.items()})


@pytest.mark.parametrize("name", ["nano", "nano-llama", "nano-moe"])
@pytest.mark.parametrize("itemsize", [2, 4])
def test_buffers_that_live_at_once_do_not_overlap(name, itemsize):
    calls = made(name).calls
    arena = a.allocate(calls, 4, 32, itemsize)
    assert not list(a.collisions(calls, arena, 4, 32, itemsize))
    apart = sum(buffer.bytes(4, 32, itemsize) for buffer in a.lives(calls))
    assert arena.bytes < 0.6 * apart  # memory is used again
    life = a.lives(calls)
    most = max(
        sum(b.bytes(4, 32, itemsize) for b, (begin, end) in life.items() if begin <= at <= end)
        for at in range(len(calls))
    )
    assert arena.bytes < 1.05 * most  # less where results lie on operands


def test_overlap_is_found():
    """What the test above relies on."""
    calls = made("nano-1").calls
    arena = a.allocate(calls, 4, 32, 2)
    wrong = a.Arena(dict.fromkeys(arena.offsets, 0), arena.bytes)
    assert list(a.collisions(calls, wrong, 4, 32, 2))


def test_a_loop_has_the_calls_of_one_turn():
    """Their number and that of the buffers do not depend on the number of turns; what a loop finds lives to its end."""
    few, many = (made("nano-moe", layers=1, experts=experts).calls for experts in (3, 50))
    assert [call.what for call in few] == [call.what for call in many] and len(a.lives(few)) == len(a.lives(many))
    inside = [loop for loop in loops(many) if many[loop.start].each]
    assert [{len(many[number].each) for number in loop} for loop in inside] == [{50}, {50}]
    lives = a.lives(many)
    for loop in inside:
        for number in loop:
            for buffer in many[number].buffers.values():
                begin, end = lives[buffer]
                assert begin >= loop.start or end >= loop.stop - 1, buffer.name
