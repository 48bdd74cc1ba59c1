"""Queues between a compute element and its router: depths, backpressure, order, binding.

Covers: csrc/pe/ramp.c
"""

import numpy as np
import pytest
from harness import ARCHS, events

import wse

archs = pytest.mark.parametrize("arch", ARCHS)
INPUT = {"wse2": [6, 6, 4, 4, 2, 2, 2, 2], "wse3": [8, 8, 4, 4, 4, 4, 4, 4]}
OUTPUT = {"wse2": [2, 2, 6, 6, 2, 2], "wse3": [8] * 8}
RAMP_IN = {"wse2": 2, "wse3": 3}
ROUTER = {"wse2": 2, "wse3": 4}


def pe_of(arch, code: str, colors: dict[str, tuple[str, str]], **overrides):
    """A program of one PE: colors by name with their rx and tx."""
    p = wse.Program(1, 1, wse.Machine(arch, overrides=overrides))
    pe = p.pe_class("pe")
    for name, (rx, tx) in colors.items():
        p.route(p.color(name), rx, tx)
    pe.code(code)
    p.place(pe)
    return p, pe


@archs
@pytest.mark.parametrize("queue", range(8))
def test_an_input_queue_holds_what_it_is_deep(arch, queue):
    p, pe = pe_of(arch, "main: done", {"in": ("W", "R")})
    pe.queue_in(queue, "in")
    f = wse.Fabric(p, trace=100)
    s = f.stream_in(0, 0, "W", "in", np.arange(100, dtype=np.uint32))
    run = f.run(on_deadlock="return")
    # the ramp holds those that are on their way
    held = INPUT[arch][queue] + RAMP_IN[arch] - 1
    assert len(events(run, "LAND")) == held
    assert s.sent == held + ROUTER[arch]


@archs
@pytest.mark.parametrize("queue", range(8))
def test_an_output_queue_holds_what_it_is_deep(arch, queue):
    if queue >= len(OUTPUT[arch]):
        p, pe = pe_of(arch, "main: done", {"out": ("R", "E")})
        with pytest.raises(wse.ProgramError, match=f"output queue {queue} of class pe does not exist: wse2 has 0 to 5"):
            pe.queue_out(queue, "out")
        return
    p, pe = pe_of(arch, "main: dsr d0, out\nmov32 d0, r1\ndone", {"out": ("R", "E")})
    pe.queue_out(queue, "out")
    pe.dsd("out", wse.fabout(queue, "out", 100))
    pe.local_task("main", 9, active=True)
    f = wse.Fabric(p)
    s = f.stream_out(0, 0, "E", "out", capacity=1)
    run = f.run(on_deadlock="return")
    assert len(s) == 1 and run.ended == "deadlock"
    assert run.total("wavelets_out") == 1 + ROUTER[arch] + OUTPUT[arch][queue]
    assert run.total("busy_vector") == run.total("wavelets_out")


@archs
def test_backpressure_reaches_the_operation_and_leaves_it_again(arch):
    p, pe = pe_of(arch, "main: dsr d0, out\nmov32 d0, r1\nmark 1\ndone", {"out": ("R", "E")})
    pe.queue_out(2, "out")
    pe.dsd("out", wse.fabout(2, "out", 40))
    pe.local_task("main", 9, active=True)
    f = wse.Fabric(p, trace=1000)
    s = f.stream_out(0, 0, "E", "out", rate=1 / 4)
    run = f.run()
    steps = np.diff(s.cycles.astype(int))
    assert (steps == 4).all() and len(s) == 40
    # the last element runs when a wavelet that leaves has made room all the way back: router, ramp, queue
    held = ROUTER[arch] + OUTPUT[arch][2]
    (mark, _, _) = events(run, "MARK")[0]
    last = mark - 1 - wse.Machine(arch).op_drain_cycles
    # a pop is seen by the ramp in the next cycle, and the queue's pop by the operation in the same one
    assert last == s.cycles[40 - 1 - held] + 1
    assert run.total("busy_vector") == 40
    first = events(run, "OP_START")[0][0] + 4
    assert run.total("stall_output") + run.total("busy_vector") == last - first + 1


@archs
def test_one_wavelet_a_cycle_goes_up_the_ramp_queues_in_turn(arch):
    # two operations fill their queues while the colors are blocked; then the ramp takes from both in turn
    colors = {"a": ("R", "E"), "b": ("R", "S")}
    code = "main: dsr d0, a\ndsr d1, b\nmov32 d0, r1 {async}\nmov32 d1, r1 {async}\ndone"
    p, pe = pe_of(arch, code, colors)
    for queue, name in enumerate(colors):
        pe.queue_out(queue, name)
        pe.dsd(name, wse.fabout(queue, name, 12))
    pe.local_task("main", 9, active=True)
    f = wse.Fabric(p)
    out = [f.stream_out(0, 0, port, name) for port, name in (("E", "a"), ("S", "b"))]
    f.run()
    together = sorted([(int(c), i) for i in range(2) for c in out[i].cycles])
    assert [i for _, i in together] == [0, 1] * 12
    assert np.diff([c for c, _ in together]).tolist() == [1] * 23


@archs
def test_queues_keep_the_order(arch):
    code = (
        "main: dsr d0, loop\ndsr a0, words\ndsr d1, got\ndsr a1, in\nmov32 d0, a0 {async}\nmov32 d1, a1 {async}\ndone"
    )
    p, pe = pe_of(arch, code, {"c": ("R", "R")})
    pe.queue_out(2, "c")
    pe.queue_in(3, "c")
    pe.dsd("loop", wse.fabout(2, "c", 500))
    pe.dsd("in", wse.fabin(3, 500))
    pe.dsd("words", wse.mem1d(pe.array("w", 500, "u32", init=np.arange(500) * 7)))
    pe.dsd("got", wse.mem1d(pe.array("g", 500, "u32")))
    pe.local_task("main", 9, active=True)
    f = wse.Fabric(p)
    f.run()
    assert f.read("g")[0, 0].tolist() == [7 * i for i in range(500)]


# --- binding at run time ---------------------------------------------------------------------------------------------------


@archs
def test_an_input_queue_may_be_bound_to_another_color(arch):
    code = """
    main: dsr d0, got
    dsr a0, in
    mov32 d0, a0
    iqbind 2, b
    mov32 d0, a0
    done"""
    p, pe = pe_of(arch, code, {"a": ("W", "R"), "b": ("N", "R")})
    pe.queue_in(2, "a")
    pe.dsd("in", wse.fabin(2, 3))
    pe.dsd("got", wse.mem1d(pe.array("g", 6, "u32"), length=3, save_address=True))
    pe.local_task("main", 9, active=True)
    f = wse.Fabric(p)
    f.stream_in(0, 0, "W", "a", np.array([1, 2, 3], np.uint32))
    f.stream_in(0, 0, "N", "b", np.array([4, 5, 6], np.uint32))
    f.run()
    assert f.read("g")[0, 0].tolist() == [1, 2, 3, 4, 5, 6]


@archs
def test_an_output_queue_may_be_bound_to_another_color(arch):
    code = """
    main: dsr d0, out
    mov32 d0, r1
    oqbind 2, b
    mov r1, 7
    ld8 r2, [out]
    mov r3, 1
    st8 r3, [out+3]   // the descriptor's color
    dsr d0, out
    mov32 d0, r1
    done"""
    p, pe = pe_of(arch, code, {"a": ("R", "E"), "b": ("R", "S")})
    pe.queue_out(2, "a")
    pe.dsd("out", wse.fabout(2, "a", 2))
    pe.local_task("main", 9, active=True)
    f = wse.Fabric(p)
    out = [f.stream_out(0, 0, port, name) for port, name in (("E", "a"), ("S", "b"))]
    f.run()
    assert [s.data.tolist() for s in out] == [[0, 0], [7, 7]]


@archs
@pytest.mark.parametrize(
    ("code", "kind", "detail"),
    [
        ("iqbind 8, a", "BAD_QUEUE", 8),
        ("oqbind 8, a", "BAD_QUEUE", 8),
        ("iqbind 2, 24", "BAD_COLOR", 24),
        ("iqbind 2, 7", "BAD_COLOR", 7),  # no color of the program
        ("oqbind 2, -1", "BAD_COLOR", 2**32 - 1),
    ],
)
def test_bindings_that_cannot_be(arch, code, kind, detail):
    p, pe = pe_of(arch, f"main: {code}\ndone", {"a": ("W", "R")})
    pe.local_task("main", 9, active=True)
    with pytest.raises(wse.FabricFault) as caught:
        wse.Fabric(p).run()
    assert (caught.value.kind, caught.value.detail) == (kind, detail)


def test_the_last_output_queues_are_of_wse3():
    p, pe = pe_of("wse2", "main: oqbind 6, a\ndone", {"a": ("W", "R")})
    pe.local_task("main", 9, active=True)
    with pytest.raises(wse.FabricFault) as caught:
        wse.Fabric(p).run()
    assert caught.value.kind == "BAD_QUEUE"


@archs
def test_asking_whether_queues_are_empty(arch):
    code = """
    main: iqempty r1, 2
    oqempty r2, 3
    dsr d0, out
    mov32 d0, r1      // all that the ramp, the router and the queue hold: there is no reader
    iqempty r3, 2
    oqempty r4, 3
    mov r6, 3
    oqempty r5, r6
    st16 r1, [found]
    st16 r2, [found+2]
    st16 r3, [found+4]
    st16 r4, [found+6]
    st16 r5, [found+8]
    done"""
    p, pe = pe_of(arch, code, {"a": ("R", "R")})
    pe.queue_in(2, "a")
    pe.queue_out(3, "a")
    pe.dsd("out", wse.fabout(3, "a", INPUT[arch][2] + RAMP_IN[arch] - 1 + ROUTER[arch] + OUTPUT[arch][3]))
    pe.array("found", 5, "u16")
    pe.local_task("main", 9, active=True)
    f = wse.Fabric(p)
    f.run(on_deadlock="return")
    assert f.read("found")[0, 0].tolist() == [1, 1, 0, 0, 0]
