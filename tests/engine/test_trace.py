"""The event trace: complete, in order, and its first part when the buffer is small, whatever the threads.

Covers: csrc/observe/trace.c
"""

import numpy as np
import pytest
from engine.grids import Grid
from harness import ARCHS, EVENT, fabout, mem, run

import wse
from wse import Machine

archs = pytest.mark.parametrize("arch", ARCHS)


@pytest.mark.parametrize("seed", range(4))
def test_a_small_buffer_keeps_the_first_events(seed):
    grid = Grid(3, 6, Machine(ARCHS[seed % 2]), seed)
    fabric, _ = grid.fabric(trace=1_000_000)
    every = fabric.run().events
    assert len(every) > 500
    order = np.lexsort((every["pe"], every["cycle"]))
    assert np.array_equal(order, np.sort(order)), "events are in order of cycle, then PE"
    for capacity in (1, 17, 300, len(every), len(every) + 1):
        for threads in (1, 2, 3, 6):
            fabric, _ = grid.fabric(trace=capacity, threads=threads)
            done = fabric.run()
            assert np.array_equal(done.events, every[:capacity]), (capacity, threads)
            assert done.events_dropped == max(0, len(every) - capacity)


@pytest.mark.parametrize("seed", range(4))
def test_what_starts_ends(seed):
    grid = Grid(3, 4, Machine(ARCHS[seed % 2]), seed)
    fabric, _ = grid.fabric(trace=1_000_000)
    done = fabric.run()
    e = done.events
    for start, end in (("TASK_START", "TASK_END"), ("OP_START", "OP_END")):
        for pe in range(12):
            mine = e[e["pe"] == pe]
            starts, ends = mine[mine["kind"] == EVENT[start]], mine[mine["kind"] == EVENT[end]]
            assert len(starts) == len(ends) > 0
            if start == "TASK_START":  # one after the other
                assert (starts["a"] == ends["a"]).all()
                assert (starts["cycle"] < ends["cycle"]).all() and (ends["cycle"][:-1] < starts["cycle"][1:]).all()
    assert np.count_nonzero(e["kind"] == EVENT["TASK_START"]) == done.total("tasks")
    assert np.count_nonzero(e["kind"] == EVENT["OP_START"]) == done.total("vectors")
    assert np.count_nonzero(e["kind"] == EVENT["LAND"]) == done.links[4].sum()
    assert np.count_nonzero(e["kind"] == EVENT["HOSTSIG"]) == 12


@archs
def test_an_operation_lasts_from_its_dispatch_to_its_last_element(arch):
    m = Machine(arch)
    dsrs = {"d0": mem(0, 16), "a0": mem(64, 16), "d1": fabout(16)}
    for code, slots in (
        ("mov16 d0, a0", 16 // {"wse2": 4, "wse3": 8}[arch]),
        ("mov16 d1, a0", 16),
        ("mov16 d0, a0\nmov16 d0, a0", 16 // {"wse2": 4, "wse3": 8}[arch]),
    ):
        ran = run(f"mark 1\n{code}", arch, memory=bytes(128), dsrs=dsrs, trace=100)
        ((mark, _, _),) = ran.events("MARK")
        starts, ends = ran.events("OP_START"), ran.events("OP_END")
        assert starts[0][0] == mark + 1
        assert ends[0][0] == mark + 1 + m.op_start_cycles + slots - 1
        if len(starts) > 1:  # its first element runs op_restart + 1 after the last of the one before
            assert ends[1][0] == ends[0][0] + m.op_restart_cycles + slots


def test_without_a_trace_there_are_no_events():
    assert run("mark 1").run.events is None
    assert run("mark 1", trace=1).run.events_dropped > 0


def test_marks_and_signals_carry_their_value():
    ran = run("mov r1, 77\nmark r1\nmark -1\nhostsig 5\nhostsig r1", trace=1000)
    assert [value for _, _, value in ran.events("MARK")] == [77, 2**32 - 1]
    assert [value for _, _, value in ran.events("HOSTSIG")] == [5, 77]
    assert ran.fabric.host_signals.tolist() == [[77]]


def test_many_events_of_one_cycle_beyond_the_buffer():
    """All PEs mark in the same cycles; the first of them by number stay, and a full buffer takes no longer for each."""
    p = wse.Program(300, 300)
    pe = p.pe_class("pe")
    pe.code("main: mark 1\nmark 2\ndone")
    pe.local_task("main", 9, active=True)
    p.place(pe)
    for threads in (1, 2):
        run = wse.Fabric(p, trace=100_000, threads=threads).run()
        assert run.events_dropped == 4 * 90_000 - 100_000
        assert run.events["kind"].tolist() == [EVENT["TASK_START"]] * 90_000 + [EVENT["MARK"]] * 10_000
        assert run.events["pe"].tolist() == [*range(90_000), *range(10_000)]
