"""wse/fabric/totals.py: sums over the PEs, of a whole run and of parts of it; taking them changes nothing."""

import pytest

import wse
from wse import Fabric
from wse.fabric.run import BUSY, STALLS


def fabric(**options) -> Fabric:
    """Four PEs in a row: the first sends 64 floats, the others add them twice over, the last after a long loop."""
    p = wse.Program(4, 1)
    red = p.color("red", 0)
    y = p.shared_array("y", 64, "f32")
    sender, receiver = p.pe_class("sender"), p.pe_class("receiver")
    for pe in (sender, receiver):
        pe.dsd("mem", wse.mem1d(y, length=64))
    sender.queue_out(2, red)
    sender.dsd("out", wse.fabout(queue=2, color=red, length=64))
    sender.code("main:\n dsr d0, out\n dsr a0, mem\n fmovs d0, a0\n done")
    receiver.queue_in(2, red)
    receiver.dsd("in", wse.fabin(queue=2, color=red, length=64))
    receiver.code("main:\n dsr d0, mem\n dsr a0, mem\n dsr b0, in\n fadds d0, a0, b0\n fadds d0, a0, d0\n done")
    for pe in (sender, receiver):
        pe.local_task("main", 9, entry="main", active=True)
    p.place(sender, x=0)
    p.place(receiver, x=slice(1, 4))
    p.route(red, rx="R", tx="E", x=0, y=0)
    p.route(red, rx="W", tx="ER", x=slice(1, 3), y=0)
    p.route(red, rx="W", tx="R", x=3, y=0)
    return Fabric(p, **options)


def test_the_totals_of_a_run_are_its_sums():
    made = fabric()
    run = made.run()
    totals = made.totals()
    assert (totals.cycles, totals.pes) == (run.cycles, 4)
    assert all(totals.counters[name] == run.total(name) for name in run.counters if name != "idle")
    assert totals.wavelet_hops == run.wavelet_hops == 3 * 64 and totals.flops == run.flops > 0
    assert totals.utilization == pytest.approx(run.utilization) and totals.stalls == pytest.approx(run.stalls)


@pytest.mark.parametrize("step", [1, 7, 50])
def test_parts_add_up_and_change_nothing(step):
    whole, made = fabric().run(), fabric()
    before, parts = made.totals(), []
    while made.advance(step) == "limit":
        parts.append(made.totals().since(before))
        before = made.totals()
    parts.append(made.totals().since(before))
    assert made.measure() == whole
    assert sum(part.cycles for part in parts) == whole.cycles
    for name in (*BUSY, *STALLS, "flops", "wavelets_in"):
        assert sum(part.counters[name] for part in parts) == whole.total(name), name
    assert sum(part.wavelet_hops for part in parts) == whole.wavelet_hops
    for part in parts:
        assert part.cycles == 0 or sum(part.stalls.values()) + part.utilization == pytest.approx(1)


def test_nothing_in_no_cycles():
    totals = fabric().totals()
    assert (totals.cycles, totals.utilization, totals.wavelet_hops, totals.flops) == (0, 0, 0, 0)
    assert set(totals.stalls.values()) == {0}
    assert totals.since(totals) == totals


def test_a_host_that_advances_sees_progress_and_measures_its_time():
    made, seen = fabric(), []
    assert made.advance(10**6, seen.append) == "quiet"
    assert seen and seen[-1] == made.cycle and made.measure().wall_seconds > 0
