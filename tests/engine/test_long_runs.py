"""Runs of thousands of millions of cycles: what waits that long has still arrived, and no count wraps."""

import numpy as np
import pytest

import wse

ARRIVES = 100  # the first wavelet is there long before
CLOCK_BITS = 30  # of the arrival cycle that once were kept beside a wavelet


def late_reader(arrives: int, **options) -> wse.Fabric:
    """A wavelet of `early` waits in its input queue, unread, until one of `late` comes in cycle `arrives`."""
    p = wse.Program(1, 1)
    early, late = p.color("early"), p.color("late")
    p.route(early, "W", "R")
    p.route(late, "N", "R")
    pe = p.pe_class("pe")
    pe.queue_in(2, early)
    pe.queue_in(3, late)
    pe.array("got", 2, "u32")
    pe.dsd("all", wse.mem1d(pe.symbols["got"], 1))
    pe.dsd("in", wse.fabin(2, 1))
    pe.data_task("read", 3)
    pe.code("read: dsr d0, all\ndsr a0, in\nmov32 d0, a0\ndone")
    p.place(pe)
    fabric = wse.Fabric(p, **options)
    fabric.stream_in(0, 0, "W", early, [77])
    fabric.stream_in(0, 0, "N", late, [1], segments=[wse.Segment(1, arrives)])
    return fabric


@pytest.mark.parametrize("waits", [2**CLOCK_BITS, 2 * 2**CLOCK_BITS, 5 * 2**CLOCK_BITS])
@pytest.mark.parametrize("more", [-1024, -1000, -200, 0, 500, 1023])
def test_a_wavelet_that_waits_has_arrived(waits, more):
    fabric = late_reader(waits + more)
    run = fabric.run()
    assert run.ended == "done" and fabric.read("got")[0, 0, 0] == 77
    assert waits + more < run.cycles < waits + more + 60


def test_it_has_arrived_in_a_run_of_pieces_too():
    fabric = late_reader(2**CLOCK_BITS + 100)
    for piece in (5, 2**CLOCK_BITS - 900, 400, 400):
        assert fabric.run(max_cycles=piece).ended == "limit"
    assert fabric.run().ended == "done" and fabric.read("got")[0, 0, 0] == 77


def test_an_output_queue_that_waits():
    """A wavelet waits in the output queue until the router takes it: the switch must advance first."""
    p = wse.Program(1, 1)
    red = p.color("red")
    p.route(red, "W", "E", switch=[("R", "E")])
    pe = p.pe_class("pe")
    pe.queue_out(2, red)
    pe.dsd("out", wse.fabout(2, red, 1))
    pe.code("main: mov r1, 5\ndsr d0, out\nmov32 d0, r1\ndone")
    pe.local_task("main", 9, active=True)
    p.place(pe)
    fabric = wse.Fabric(p)
    advance = 31 << 16 | 1 << 22
    fabric.stream_in(0, 0, "W", red, [advance], control=[True], segments=[wse.Segment(1, 2**CLOCK_BITS + 3)])
    out = fabric.stream_out(0, 0, "E", red)
    assert fabric.run().ended == "done"
    assert out.data.tolist() == [advance, 5]


def slow_reader(arrivals: list[int]) -> tuple[wse.Run, list[int]]:
    """Wavelets wait in the router for a reader that takes one in each of these cycles: its queue holds one."""
    n = len(arrivals)
    p = wse.Program(1, 1, wse.Machine("wse3", "simulator", {"iq2_depth": 1, "ramp_in_cycles": 1}))
    early, late = p.color("early"), p.color("late")
    p.route(early, "W", "R")
    p.route(late, "N", "R")
    pe = p.pe_class("pe")
    pe.queue_in(2, early)
    pe.queue_in(3, late)
    pe.dsd("next", wse.mem1d(pe.array("got", n, "u32"), 1, save_address=True))
    pe.dsd("in", wse.fabin(2, 1))
    pe.local_task("main", 9, active=True)
    pe.data_task("read", 3)
    pe.code("main: dsr d0, next\ndsr a0, in\ndone\nread: mov32 d0, a0\ndone")
    p.place(pe)
    fabric = wse.Fabric(p)
    fabric.stream_in(0, 0, "W", early, range(n + 1))
    segments = [wse.Segment(1, cycle) for cycle in arrivals]
    fabric.stream_in(0, 0, "N", late, [0] * n, segments=segments)
    run = fabric.run(on_deadlock="return")
    assert run.colors[int(early), wse._engine.RAMP, 1] + run.colors[int(late), wse._engine.RAMP, 1] == run.blocked.sum()
    return run, fabric.read("got")[0, 0].tolist()


@pytest.mark.parametrize("waits", [2**31 + 5, 2**32 - 1, 2**32 + 12345, 3 * 2**32 + 7])
def test_waiting_cycles_of_a_link_do_not_wrap(waits):
    run, got = slow_reader([waits])
    assert got == [0]
    assert waits < run.blocked[wse._engine.RAMP, 0, 0] < waits + 40


def test_counts_of_a_link_add_up_beyond_32_bits():
    """No wait is as long as 2^32 cycles, but all together are."""
    arrivals = [1_500_000_000 * i for i in range(1, 8)]
    run, got = slow_reader(arrivals)
    assert got == list(range(7))
    assert arrivals[-1] <= run.blocked[wse._engine.RAMP, 0, 0] < arrivals[-1] + 40
    assert run.blocked.dtype == run.links.dtype == np.uint64


def test_the_input_that_waits_longest_goes_first_however_long():
    """Two inputs of one color of WSE-2, the second a little later; both wait for a reader for more than 2^31 cycles."""
    for first, second in ("WN", "NW"):
        p = wse.Program(1, 1, wse.Machine("wse2", "simulator", {"iq2_depth": 1, "ramp_in_cycles": 1}))
        both, late = p.color("both"), p.color("late")
        p.route(both, "WN", "R")
        p.route(late, "E", "R")
        pe = p.pe_class("pe")
        pe.queue_in(2, both)
        pe.queue_in(3, late)
        pe.dsd("all", wse.mem1d(pe.array("got", 3, "u32")))
        pe.dsd("in", wse.fabin(2, 3))
        pe.data_task("read", late)
        pe.code("read: dsr d0, all\ndsr a0, in\nmov32 d0, a0\ndone")
        p.place(pe)
        fabric = wse.Fabric(p)
        fabric.stream_in(0, 0, first, both, [0, 1])
        fabric.stream_in(0, 0, second, both, [2], segments=[wse.Segment(1, 7)])
        fabric.stream_in(0, 0, "E", late, [0], segments=[wse.Segment(1, 2**31 + 3)])
        fabric.run()
        assert fabric.read("got")[0, 0].tolist() == [0, 1, 2]


def test_activity_of_long_bins():
    """A loop that is busy one cycle in six, for so long that a bin has more busy cycles than 16 bits count."""
    p = wse.Program(1, 1)
    pe = p.pe_class("pe")
    pe.code("main: jmp main")
    pe.local_task("main", 9, active=True)
    p.place(pe)
    run = wse.Fabric(p, bins=2, activity=True).run(max_cycles=3_000_000)
    assert run.busy.sum() == (3_000_000 - 2 + 5) // 6
    assert run.activity.sum() == run.busy.sum() and run.activity.max() > 65535
    assert np.array_equal(run.activity.sum(axis=(1, 2)), run.series[:, 0])
