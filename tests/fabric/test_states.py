"""wse/fabric/states.py: the recorded states are those of a fabric that is run to their cycles, and change nothing."""

import copy

import numpy as np
import pytest
from engine.generated import Plan
from explored import product

from wse import _engine
from wse.errors import ConfigError
from wse.fabric.probe import STATES, Probe
from wse.fabric.states import MOST, Recorder, States
from wse.fabric.watch import Watch


def recorded(seed, cycles, **options):
    """A fabric of a random program and what was recorded of its first PEs."""
    plan = Plan.of_seed(seed)
    program = plan.program()
    fabric, _ = plan.fabric(program, bins=16, **options)
    fabric.advance(cycles)
    return plan, fabric


@pytest.mark.parametrize("seed", range(73_000, 73_006))
def test_states_are_those_at_their_cycles(seed):
    pes = ((0, 0, 2, 1),)
    plan, fabric = recorded(seed, 700, trace=100_000, detail=True, watch=Watch(pes=pes))
    states = fabric.measure("limit").detail.states
    if states is None:
        pytest.skip("no program at these PEs")
    _, plain = recorded(seed, 700)
    assert plain.cycle == fabric.cycle and plain.measure("limit").counters.keys()
    other, _ = plan.fabric(plan.program(), bins=16)
    probe = Probe(other)
    chosen = sorted({0, 1, len(states.cycles) // 2, len(states.cycles) - 1} & set(range(len(states.cycles))))
    for at in chosen:
        if states.cycles[at] > other.cycle and probe.run(states.cycles[at])[0] == "fault":
            break
        memory = states.memory_at(at)
        for i, pe in enumerate(states.pes):
            x, y = pe % other.width, pe // other.width
            there = other.read_bytes(0, _engine.SRAM, x, y, 1, 1).reshape(-1).view(np.uint16)
            assert np.array_equal(memory[i], there)
            assert states.registers[at, i].tolist() == probe.registers(x, y)
            thread = probe.thread(x, y)
            state, task, pc = states.main[at, i].tolist()
            assert (STATES[state], task, pc) == (thread.state, thread.task, thread.pc)
            for number in (0, 17, 40):
                dsr = probe.dsr(x, y, number)
                assert states.dsrs[at, i, number].tolist() == [
                    dsr[name] for name in ("kind", "flags", "queue", "color", "base", "length", "stride")
                ]
            queues = [*probe.input_queues(x, y), *probe.output_queues(x, y)]
            rows = [[q.number, -1 if q.color is None else q.color, q.capacity] for q in queues]
            assert [row[1:4] for row in states.queues[at][i]] == rows
            words = [[w.data + (w.control << 32) for w in q.wavelets] for q in queues]
            assert [row[4] for row in states.queues[at][i]] == words


def test_a_long_run_has_fewer_states_and_the_same_end():
    run = product()
    states = run.detail.states
    assert MOST <= len(states.cycles) < 2 * MOST and states.cycles[0] == 0 and states.cycles[-1] == run.cycles
    steps = set(np.diff(states.cycles[:-1]).tolist())
    assert len(steps) == 1 and states.pes == list(range(16))
    assert np.array_equal(states.memory_at(0), states.memory) and states.changes["value"].any()


def test_a_restored_fabric_forgets_what_came_after():
    plan = Plan.of_seed(73_000)
    options = {"trace": 100_000, "detail": True, "watch": Watch(pes=((0, 0, 2, 1),))}
    fabric, _ = plan.fabric(plan.program(), bins=16, **options)
    fabric.advance(100)
    state = fabric.snapshot()
    fabric.advance(200)
    expected = fabric.measure("limit").detail.states
    fabric.restore(state)
    fabric.advance(200)
    again = fabric.measure("limit").detail.states
    assert again.cycles[-1] == expected.cycles[-1] and sorted(set(again.cycles)) == again.cycles
    assert np.array_equal(again.memory_at(len(again.cycles) - 1), expected.memory_at(len(expected.cycles) - 1))
    both = sorted(set(again.cycles) & set(expected.cycles))
    for cycle in both[:: max(1, len(both) // 20)]:
        mine, theirs = again.cycles.index(cycle), expected.cycles.index(cycle)
        assert np.array_equal(again.memory_at(mine), expected.memory_at(theirs))
        assert np.array_equal(again.registers[mine], expected.registers[theirs])


def test_the_window_of_the_trace_is_that_of_the_states():
    plan = Plan.of_seed(73_000)
    watch = Watch(20, 60, ((0, 0, 2, 1),))
    fabric, _ = plan.fabric(plan.program(), bins=16, trace=100_000, detail=True, watch=watch)
    fabric.advance(200)
    states = fabric.measure("limit").detail.states
    assert states.cycles[0] == 20 and states.cycles[-1] < 60


def changed():
    yield lambda plain, arrays: plain.pop("pes")
    yield lambda plain, arrays: plain.update(cycles=[-1] * len(plain["cycles"]))
    yield lambda plain, arrays: plain["pes"].__setitem__(0, 16)
    yield lambda plain, arrays: plain["queues"].pop()
    yield lambda plain, arrays: plain["queues"][0].pop()
    yield lambda plain, arrays: arrays.pop("states_main")
    yield lambda plain, arrays: arrays.update(states_more=np.zeros(3))
    yield lambda plain, arrays: arrays.update(states_memory=arrays["states_memory"][:, :10])
    yield lambda plain, arrays: arrays.update(states_dsrs=arrays["states_dsrs"].astype(np.int32))
    yield lambda plain, arrays: arrays.update(states_changes=arrays["states_changes"] + np.uint32(1 << 20))


@pytest.mark.parametrize("change", list(changed()))
def test_damaged_ones_are_refused(change):
    states = product().detail.states
    plain, arrays = copy.deepcopy(states.plain()), states.arrays()
    assert States.of(plain, arrays, 16).plain() == plain
    change(plain, arrays)
    with pytest.raises(ValueError, match=r"its states|of its states"):
        States.of(plain, arrays, 16)


def test_many_pes_are_refused():
    with pytest.raises(ConfigError, match="1 to 16 PEs, not 17"):
        Recorder(None, 17, [(x, 0) for x in range(17)])
