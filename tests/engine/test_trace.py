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


def waits(events) -> list[tuple[int, int, int, int]]:
    """(PE, thread, first cycle, cycle after the last) of each wait; they begin and end in turn."""
    found, open_at = [], {}
    for cycle, pe, kind, _, thread in events[["cycle", "pe", "kind", "a", "b"]].tolist():
        if kind == EVENT["WAIT_START"]:
            assert (pe, thread) not in open_at
            open_at[pe, thread] = cycle
        elif kind == EVENT["WAIT_END"]:
            found.append((pe, thread, open_at.pop((pe, thread)), cycle))
    assert not open_at
    return found


@archs
@pytest.mark.parametrize("thread", [255, 2])
def test_an_operation_that_waits_for_a_wavelet_says_so(arch, thread):
    """A stream brings 4 wavelets, and 4 more 100 cycles later: no slot lies within a wait, and the waits explain it."""
    p = wse.Program(1, 1, machine=arch)
    red = p.color("red", 0)
    pe = p.pe_class("pe")
    pe.dsd("memory", wse.mem1d(pe.array("a", 8, "u32")))
    pe.dsd("in", wse.fabin(2, color=red))
    pe.queue_in(2, red)
    pe.code(f"main: dsr d0, memory\n dsr a0, in\n mov32 d0, a0 {'{async}' if thread == 2 else ''}\n done")
    pe.local_task("main", 9, active=True)
    p.place(pe)
    p.route(red, "W", "R", 0)
    fabric = wse.Fabric(p, trace=1000)
    segments = [wse.Segment(4, cycle=0), wse.Segment(4, cycle=200)]
    fabric.stream_in(0, 0, "W", red, np.arange(8, dtype=np.uint32), segments=segments)
    done = fabric.run()
    lands = done.events["cycle"][done.events["kind"] == EVENT["LAND"]].astype(int)
    (start,) = done.events["cycle"][done.events["kind"] == EVENT["OP_START"]].astype(int)
    (end,) = done.events["cycle"][done.events["kind"] == EVENT["OP_END"]].astype(int)
    found = waits(done.events)
    assert {(pe, by) for pe, by, *_ in found} == {(0, thread)}
    long = [(since, until) for _, _, since, until in found if until - since > 50]
    assert len(long) == 1 and lands[3] < long[0][0] < lands[4] < long[0][1] <= lands[4] + 8
    inside = sum(until - since for *_, since, until in found)
    assert start < found[0][2] and found[-1][3] <= end and end - start - inside <= 8 + 10
    assert done.total("stall_input") >= inside - 2 or thread == 2


@pytest.mark.parametrize("seed", range(4))
def test_waits_lie_within_operations_and_are_told_of_all_threads(seed):
    grid = Grid(3, 4, Machine(ARCHS[seed % 2]), seed)
    fabric, _ = grid.fabric(trace=1_000_000)
    done = fabric.run()
    plain, _ = grid.fabric()
    same = plain.run()
    assert (same.cycles, same.stalls) == (done.cycles, done.stalls)  # a trace changes nothing
    open_ops: set = set()
    for pe, kind, thread in done.events[["pe", "kind", "b"]].tolist():
        if kind == EVENT["OP_START"]:
            open_ops.add((pe, thread))
        elif kind == EVENT["OP_END"]:
            open_ops.discard((pe, thread))
        elif kind in (EVENT["WAIT_START"], EVENT["WAIT_END"]):
            assert (pe, thread) in open_ops
    assert waits(done.events)


def taken(fabric, step: int) -> np.ndarray:
    """All events of a run, taken after every `step` cycles."""
    parts = []
    while True:
        status = fabric._engine.run(fabric.cycle + step)
        parts.append(fabric._as_events(fabric._engine.trace_take()))
        assert fabric._engine.trace_dropped() == 0
        if status != wse._engine.LIMIT:
            return np.concatenate(parts)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("step", [1, 13, 100])
def test_events_that_are_taken_while_it_runs_are_all_of_them(seed, step):
    grid = Grid(3, 6, Machine(ARCHS[seed % 2]), seed)
    every = grid.fabric(trace=1_000_000)[0].run().events
    for threads in (1, 3):
        fabric, _ = grid.fabric(trace=1_000_000, threads=threads)
        assert np.array_equal(taken(fabric, step), every)


@pytest.mark.parametrize("seed", range(4))
def test_hops_are_recorded_if_they_are_asked_for(seed):
    grid = Grid(3, 6, Machine(ARCHS[seed % 2]), seed)
    every = grid.fabric(trace=1_000_000)[0].run().events
    assert EVENT["HOP"] not in every["kind"]
    for threads in (1, 3):
        fabric, _ = grid.fabric(trace=1_000_000, threads=threads)
        fabric._engine.trace_only(0, 2**63, None, True)
        done = fabric.run()
        hops = done.events[done.events["kind"] == EVENT["HOP"]]
        assert np.array_equal(done.events[done.events["kind"] != EVENT["HOP"]], every)
        for port in range(4):
            counts = np.bincount(hops["pe"][hops["a"] >> 6 == port], minlength=18).reshape(done.height, done.width)
            assert np.array_equal(counts, done.links[port])


def test_events_of_some_pes_and_cycles():
    grid = Grid(3, 6, Machine("wse3"), 5)
    every = grid.fabric(trace=1_000_000)[0].run().events
    chosen = np.zeros(18, np.uint8)
    chosen[[1, 7, 17]] = 1
    for since, until, pes in ((0, 2**63, chosen), (50, 120, None), (50, 120, chosen), (60, 60, None)):
        fabric, _ = grid.fabric(trace=1_000_000)
        fabric._engine.trace_only(since, until, pes)
        done = fabric.run()
        wanted = (every["cycle"] >= since) & (every["cycle"] < until)
        if pes is not None:
            wanted &= pes[every["pe"]] > 0
        assert np.array_equal(done.events, every[wanted]) and done.events_dropped == 0
    with pytest.raises(ValueError):
        fabric._engine.trace_only(0, 5)  # it has run
    with pytest.raises(ValueError):
        grid.fabric(trace=10)[0]._engine.trace_only(7, 5)
