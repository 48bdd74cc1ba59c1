"""A fabric in its past: states are those of a run without a look back, and what the host did is there again."""

from random import Random

import pytest
from engine.generated import Plan
from replaying import counter, state

from wse.debug.history import History
from wse.errors import ConfigError
from wse.fabric.probe import Stops


@pytest.mark.parametrize("seed", range(6))
def test_the_end_of_a_run_with_looks_is_that_of_one_without(seed):
    """The same cycle, memories and measurements, wherever the run was stopped and looked at."""
    plan, random = Plan.of_seed(71_000 + seed), Random(seed)
    fabric, _ = plan.fabric(plan.program(), bins=16)
    expected = (fabric.advance(400), fabric.cycle, *state(fabric))
    fabric, _ = plan.fabric(plan.program(), bins=16)
    history = History(fabric, seconds=0.001)
    stops = Stops(pes=[(0, 0)], step=(0, 0)) if fabric.image.class_of_pe[0, 0] != 0xFFFF else None
    why = "stop"
    while why == "stop":
        why, _ = history.run(400, stops, 400)
        if random.random() < 0.3 and why == "stop":
            at = fabric.cycle
            history.goto(random.randrange(at + 1))
            history.goto(at)
    assert (why, fabric.cycle) == expected[:2]
    if why == "fault":
        return  # how far other PEs went is not determined
    memory, run = state(fabric)
    assert memory == expected[2] and run.diff(expected[3]) == []


@pytest.mark.parametrize("seed", range(6))
def test_stops_are_those_of_a_run_cycle_by_cycle(seed):
    """Tasks and wavelets, with leaps from the first cycle on; a history that is not asked to leap steps each cycle."""
    plan = Plan.of_seed(72_000 + seed)
    everything = [Stops(tasks=dict.fromkeys(range(8), (1 << 64) - 1), pes=[(0, 0)])]
    seen = []
    for leaps in (False, True):
        fabric, _ = plan.fabric(plan.program(), bins=16)
        history = History(fabric)
        colors = frozenset(int(color) for color in fabric.image.colors.values())
        leapt = []
        if leaps:
            history._step = 64  # 9 cycles one by one, then a leap
            history._leap = lambda *given, leap=history._leap, to=leapt: to.append(given) or leap(*given)
        else:
            history.probe.can_watch = lambda stops: False
        stops = [*everything, Stops(colors=colors, wavelet_pes=[(0, 0)])]
        found = []
        for index in range(600):
            why, which = history.run(600, stops[index % 2])
            found.append((why, fabric.cycle, which))
            if why != "stop":
                break
        seen.append((found, state(fabric) if why != "fault" else None, bool(leapt)))
    (slow, slow_state, _), (fast, fast_state, leapt) = seen
    assert slow == fast and leapt
    if slow_state is not None:
        assert slow_state[0] == fast_state[0] and slow_state[1].diff(fast_state[1]) == []


def test_what_the_host_did_is_there_again():
    fabric = counter()
    history = History(fabric)
    seen = []
    for _ in range(5):
        fabric.launch("step")
        history.mark()
        assert history.run(10**6)[0] == "quiet"
        fabric.rest(100)
        fabric.write("n", fabric.read("n") * 10)
        history.mark()
        seen.append((fabric.cycle, fabric.read("n").item()))
    assert [n for _, n in seen] == [10, 110, 1110, 11110, 111110]
    for cycle, n in [seen[1], seen[3], seen[0], seen[4]]:
        assert history.goto(cycle) == cycle and fabric.read("n").item() == n
    assert history.goto(seen[2][0] - 40) == seen[2][0] - 40 and fabric.read("n").item() == 111  # the host rests
    history.goto(0)
    places = Stops(places=[(0, 0, fabric.image.classes[0].symbols["n"].address, 4)])
    values = []
    while (found := history.run(history.present, places))[0] == "stop":
        values.append(fabric.read("n").item())
    assert values == [1, 11, 111, 1111, 11111] and history.cycle == history.present
    assert fabric.read("n").item() == 111110
    found = history.last_stop(places, list)
    assert found and fabric.read("n").item() == 11111
    found = history.last_stop(places, list)
    assert found and fabric.read("n").item() == 1111


def test_the_first_cycle_is_the_end_of_a_search():
    fabric = counter()
    history = History(fabric)
    fabric.launch("step")
    history.mark()
    history.run(1000)
    assert history.last_stop(Stops(places=[(0, 0, 40_000, 4)]), list) == [] and history.cycle == history.first == 0
    with pytest.raises(ConfigError, match="begins at cycle 0"):
        history.goto(-1)


def test_old_marks_are_given_up_before_memory_is():
    fabric = counter(40)
    history = History(fabric, most=1)
    for _ in range(6):
        fabric.launch("step")
        history.mark()
        history.run(10**6)
    history.keep_present()
    assert history.first > 0 and history.goto(history.first) == history.first
    with pytest.raises(ConfigError, match="cannot go back"):
        history.goto(0)
