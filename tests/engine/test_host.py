"""Host colors: every router's side leads to the host; and what PEs say to it.

Covers: csrc/fabric/host.c
"""

import numpy as np
import pytest

import wse
from wse.program import dsd

W, H, N = 5, 3, 7
archs = pytest.mark.parametrize("arch", wse.machine.parameters.MACHINES)


def doubling(arch: str, w: int = W, h: int = H, n: int = N, **options) -> wse.Fabric:
    """Every PE adds what comes from the host to itself, n times, and sends it back."""
    p = wse.Program(w, h, arch)
    down, up = p.color("down", 0), p.color("up", 1)
    pe = p.pe_class("pe")
    pe.queue_in(2, down)
    pe.queue_out(2, up)
    pe.dsd("from", dsd.fabin(2, n))
    pe.dsd("to", dsd.fabout(2, up, n))
    pe.local_task("main", 9, active=True)
    pe.code("main: dsr a0, from\n dsr d0, to\n iadd32 r1, r1, 1\n add16 d0, a0, r1 {async, ut=2}\n hostsig r1\n done")
    p.place(pe)
    p.route("down", rx="W", tx="R")
    p.route("up", rx="R", tx="W")
    p.host_color("down")
    p.host_color("up")
    return wse.Fabric(p, **options)


@archs
@pytest.mark.parametrize("threads", [1, 2])
def test_every_pe_has_its_own_streams(arch, threads):
    fabric = doubling(arch, threads=threads)
    data = np.arange(W * H * N, dtype=np.uint32).reshape(H, W, N)
    fabric.host_put("down", "W", data)
    fabric.host_ask("up", "W", N, 0, 0, W, H)
    run = fabric.run()
    assert run.ended == "done"
    assert np.array_equal(fabric.host_take("up", "W", N, 0, 0, W, H), data + 1)
    assert not fabric.host_waiting("down", "W", out=False) and not fabric.host_waiting("up", "W", out=True)


@archs
def test_what_nobody_asked_for_waits_in_the_router(arch):
    fabric = doubling(arch, 1, 1)
    fabric.host_put("down", "W", np.arange(N, dtype=np.uint32).reshape(1, 1, N))
    run = fabric.run(on_deadlock="return")
    assert run.ended == "deadlock"
    assert "the host to ask for color up" in str(fabric.deadlock())
    fabric.host_ask("up", "W", 2, 0, 0, 1, 1)
    assert fabric.run(on_deadlock="return").ended == "deadlock"
    assert fabric.host_take("up", "W", 2, 0, 0, 1, 1).tolist() == [[[1, 2]]]
    assert fabric.host_waiting("up", "W", out=True) == 0
    fabric.host_ask("up", "W", N - 2, 0, 0, 1, 1)
    assert fabric.run().ended == "done"
    assert fabric.host_take("up", "W", N - 2, 0, 0, 1, 1).ravel().tolist() == list(range(3, N + 1))


@archs
def test_streams_of_a_place_follow_each_other(arch):
    fabric = doubling(arch)
    data = np.arange(W * H * N, dtype=np.uint32).reshape(H, W, N)
    fabric.host_ask("up", "W", N, 0, 0, W, H)
    fabric.host_put("down", "W", data[:, :, :3])
    assert fabric.run(on_deadlock="return").ended == "deadlock"  # it waits for more
    fabric.host_put("down", "W", data[:, :, 3:4])
    fabric.host_put("down", "W", data[:, :, 4:])
    assert fabric.run().ended == "done"
    for k in range(N):
        assert np.array_equal(fabric.host_take("up", "W", 1, 0, 0, W, H)[:, :, 0], data[:, :, k] + 1)


@archs
def test_more_than_the_queues_hold_waits_at_the_host(arch):
    fabric = doubling(arch, 2, 1)
    more = N + 40
    fabric.host_put("down", "W", np.zeros((1, 2, more), np.uint32))
    fabric.host_ask("up", "W", N, 0, 0, 2, 1)
    fabric.run(on_deadlock="return")
    left = fabric.host_waiting("down", "W", out=False)
    assert 0 < left < 80
    assert left % 2 == 0
    assert fabric.host_waiting("down", "W", False, 0, 0, 1, 1) == left // 2


@archs
def test_at_the_edge_any_color_will_do(arch):
    p = wse.Program(3, 2, arch)
    p.color("through", 3)
    p.route("through", rx="W", tx="E")
    pe = p.pe_class("idle")
    pe.code("main: done")
    pe.local_task("main", 9)
    p.place(pe)
    fabric = wse.Fabric(p)
    fabric.host_put("through", "W", np.arange(8, dtype=np.uint32).reshape(2, 1, 4))
    fabric.host_ask("through", "E", 4, 2, 0, 1, 2)
    assert fabric._engine.run(200) == wse._engine.QUIET
    assert fabric.host_take("through", "E", 4, 2, 0, 1, 2).ravel().tolist() == list(range(8))
    with pytest.raises(wse.ProgramError, match="does not lead off the edge"):
        fabric.host_ask("through", "E", 4, 1, 0, 2, 2)
    with pytest.raises(ValueError, match="refuses"):
        fabric._engine.host_ask(3, 1, 1, 0, 2, 2, 4)


def test_what_is_refused():
    fabric = doubling("wse3", 2, 2)
    fabric.program.color("other")
    with pytest.raises(wse.ProgramError, match=r"is no host color, and port W of the 1 x 1 PEs at \(1, 0\)"):
        fabric.host_ask("other", "W", 1, 1, 0, 1, 1)
    with pytest.raises(wse.ProgramError, match="port N, E, S or W"):
        fabric.host_ask("up", "R", 1, 0, 0, 1, 1)
    with pytest.raises(wse.ProgramError, match="rectangle of 3 x 1"):
        fabric.host_ask("up", "W", 1, 0, 0, 3, 1)
    with pytest.raises(ValueError, match="refuses"):
        fabric.host_take("up", "W", 1, 0, 0, 1, 1)


@archs
@pytest.mark.parametrize("threads", [1, 3])
def test_what_pes_say(arch, threads):
    p = wse.Program(3, 4, arch)
    pe = p.pe_class("pe")
    pe.local_task("main", 9, active=True)
    pe.code(
        """
        main: coord r1, 0
              coord r2, 1
              say 3, 7
        wait: bz r1, told
              isub32 r1, r1, 1
              jmp wait
        told: say r2, r1
              done
        """
    )
    p.place(pe)
    fabric = wse.Fabric(p, threads=threads)
    fabric.run()
    said = fabric.said()
    assert len(said) == 24
    assert np.all(np.diff(said["cycle"].astype(np.int64)) >= 0)
    for pe_index in range(12):
        mine = said[said["pe"] == pe_index]
        assert mine["kind"].tolist() == [3, pe_index // 3]
        assert mine["b"].tolist() == [7, 0]
    late = [int(said["cycle"][said["pe"] == x][1]) for x in range(3)]
    assert late == sorted(late) and len(set(late)) == 3
    assert len(fabric.said()) == 0
