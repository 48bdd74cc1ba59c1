"""wse.fabric: load, host copies, streams, launch, run; messages of faults and deadlocks.

Covers: wse/fabric/copies.py, wse/fabric/stream.py, wse/fabric/diagnosis.py, wse/fabric/errors.py
"""

import signal
import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from says import says
from words import PROGRAM

import wse
from wse import ConfigError, DeadlockError, Fabric, FabricFault, Program, ProgramError, RouteError, _engine

RECEIVE = "main:\n dsr d0, y\n dsr a0, input\n {op} d0, a0\n done\n"
SEND = "main:\n dsr d0, output\n dsr a0, x\n {op} d0, a0\n done\n"


def arrays(width=3, height=2, **options):
    p = Program(width, height, **options)
    pe = p.pe_class("worker")
    pe.array("f", (2, 2), "f32")
    pe.array("h", 3, "f16")
    pe.array("i", 3, "i16", init=[1, -2, 3])
    pe.array("b", 5, "u8", align=1)
    pe.array("s", (), "f32", init=2.5)
    pe.array("none", 0, "f32")
    p.place(pe)
    return p


def through(machine="wse3", n=8, dtype="f32", width=1):
    """A row of one-PE relays: what comes in from the west goes to memory and, doubled by no one, out to the east."""
    p = Program(width, 1, machine)
    red = p.color("red", 3)
    pe = p.pe_class("relay")
    pe.array("x", n, dtype)
    pe.dsd("y", wse.mem1d(pe.symbols["x"]))
    pe.dsd("input", wse.fabin(2, color=red))
    pe.queue_in(2, red)
    pe.code(RECEIVE.format(op="fmovs"))
    pe.local_task("main", 9)
    p.place(pe)
    p.route(red, "W", "ER")
    return p


# --- host copies ------------------------------------------------------------------------------------------------------


def test_write_and_read():
    fab = Fabric(arrays())
    values = np.arange(2 * 3 * 4, dtype=np.float32).reshape(2, 3, 2, 2)
    fab.write("f", values)
    assert np.array_equal(fab.read("f"), values) and fab.read("f").dtype == np.float32
    assert np.array_equal(fab.read("f", 1, 1, 2, 1), values[1:, 1:])
    fab.write("f", -values[:1, :2], x=1, y=1)
    values[1:, 1:] = -values[:1, :2]
    assert np.array_equal(fab.read("f"), values)


def test_initial_values():
    fab = Fabric(arrays())
    assert (fab.read("i") == [1, -2, 3]).all() and fab.read("i").shape == (2, 3, 3) and fab.read("i").dtype == np.int16
    assert (fab.read("s") == 2.5).all() and fab.read("s").shape == (2, 3)
    assert (fab.read("h") == 0).all()
    assert fab.read("none").shape == (2, 3, 0)


@pytest.mark.parametrize("fp16", ["f16", "bf16", "cb16"])
def test_16_bit_floats(fp16):
    fab = Fabric(arrays(fp16=fp16))
    values = np.array([1.5, -(2.0**-7), 1e30], np.float32)
    fab.fill("h", values)
    bits = fab.read("h", 0, 0, 1, 1, raw=True)
    ones = {"f16": [0x3E00, 0xA000, 0x7C00], "bf16": [0x3FC0, 0xBC00, 0x714A], "cb16": [0x5500, 0xC600, 0x7E00]}
    assert bits.dtype == np.uint16 and bits[0, 0].tolist() == ones[fp16]
    back = fab.read("h", 2, 1)[0, 0]
    assert back.dtype == np.float32 and back[0] == 1.5 and back[1] == -(2.0**-7)
    assert np.isinf(back[2]) == (fp16 != "bf16")
    fab.write("h", np.full((1, 1, 3), 0x1234, np.uint16))
    assert (fab.read("h", 0, 0, 1, 1, raw=True) == 0x1234).all()


@pytest.mark.parametrize("order", ["row", "column"])
@pytest.mark.parametrize(("symbol", "bits"), [("f", 32), ("h", 16), ("i", 16)])
def test_flat_copies(order, symbol, bits):
    fab = Fabric(arrays())
    n = {"f": 4, "h": 3, "i": 3}[symbol]
    cube = np.arange(1, 2 * 2 * n + 1).reshape(2, 2, n)  # [h, w, element]
    flat = np.ravel(cube, order="C" if order == "row" else "F").astype(np.uint32)
    fab.copy_to(symbol, flat, 1, 0, 2, 2, order=order, bits=bits)
    raw = fab.read(symbol, 1, 0, raw=True).reshape(2, 2, n)
    assert np.array_equal(raw.view(np.uint32 if bits == 32 else np.uint16), cube)
    back = fab.copy_from(symbol, 1, 0, 2, 2, order=order, bits=bits)
    assert back.dtype == (np.uint32 if bits == 32 else np.uint16) and np.array_equal(back, flat)
    narrow = (flat + 7).astype(np.uint16 if bits == 16 else np.uint32)
    fab.copy_to(symbol, narrow, 1, 0, 2, 2, order=order, bits=bits)
    assert np.array_equal(fab.copy_from(symbol, 1, 0, 2, 2, order=order, bits=bits), narrow)
    if symbol == "f":
        fab.copy_to("f", np.ones(16, np.float32), 1, 0, 2, 2)
        assert (fab.read("f", 1, 0) == 1).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda f: f.write("f", np.zeros((2, 3))), "values for f have shape (2, 3); expected [h, w, 2, 2]"),
        (lambda f: f.write("g", np.zeros((2, 3))), "class worker has no array 'g': it has f, h, i, b, s, none"),
        (lambda f: f.read("g"), "class worker has no array 'g': it has f, h, i, b, s, none"),
        (lambda f: f.read("f", 3), "the rectangle of 0 x 2 PEs at (3, 0) is not in 0:3 x 0:2"),
        (lambda f: f.write("f", np.zeros((2, 3, 2, 2)), x=1), "the rectangle of 3 x 2 PEs at (1, 0) is not in 0:3 x 0:2"),
        (lambda f: f.read("f", -1, 0, 1, 1), "the rectangle of 1 x 1 PEs at (-1, 0) is not in 0:3 x 0:2"),
        (lambda f: f.write("i", np.full((1, 1, 3), 1 << 15)), "values for i do not fit its type i16: int64 from 32768 to 32768"),
        (lambda f: f.fill("f", np.zeros(3)), "array f has shape (2, 2), but its initial values have (3,)"),
        (lambda f: f.copy_to("f", np.zeros(3, "f4"), 0, 0, 1, 1), "f of 1 x 1 PEs has 4 elements, but 3 are given"),
        (lambda f: f.copy_to("f", np.zeros(4), 0, 0, 1, 1), "a copy of 32-bit elements takes an array of them or of 32-bit words, not of float64"),
        (lambda f: f.copy_to("f", np.zeros(4, "f4"), 0, 0, 1, 1, bits=16), "array f has elements of 32 bits; bits is 16"),
        (lambda f: f.copy_from("f", 0, 0, 1, 1, order="rows"), 'order is "row" or "column", not \'rows\''),
        (lambda f: f.set_register(32, 0), "a register is 0 to 31, not 32"),
        (lambda f: f.launch("main"), "class worker has no task 'main'; its tasks are none"),
        (lambda f: f.stream_out(0, 0, "E", 3), "there is no color 3 in the program: 0 names are known"),
    ],
)  # fmt: skip
def test_copies_refused(call, message):
    with says(ProgramError, message):
        call(Fabric(arrays()))


def test_options_refused():
    with says(ConfigError, "threads is an integer of at least 1, not 0"):
        Fabric(arrays(), threads=0)
    with says(ConfigError, "bins is an integer of at least 0, not 1.5"):
        Fabric(arrays(), bins=1.5)
    with says(ConfigError, "max_cycles is 0 or more, not -1"):
        Fabric(arrays()).run(max_cycles=-1)
    with says(ConfigError, 'on_deadlock is "raise" or "return", not \'ignore\''):
        Fabric(arrays()).run(on_deadlock="ignore")


def test_classes_must_agree_about_an_array():
    p = Program(3, 1)
    one, two = p.pe_class("one"), p.pe_class("two")
    one.array("A", 4, "f32")
    two.array("B", 4, "f32")
    two.array("A", 4, "f32")
    p.shared_array("S", 2, "f32")
    p.place(one, 0)
    p.place(two, 1)
    fab = Fabric(p)
    with says(
        ProgramError,
        "array A is f32 [4] at 16 in class one and f32 [4] at 32 in class two: "
        "declare it with Program.shared_array, or copy class by class",
    ):
        fab.read("A", 0, 0, 2, 1)
    assert fab.read("A", 1, 0, 1, 1).shape == (1, 1, 4)
    fab.fill("S", 3.0, 0, 0, 2, 1)
    assert (fab.read("S", 0, 0, 2, 1) == 3).all()
    with says(ProgramError, "PE (2, 0) has no class, and so no array A: place one there"):
        fab.read("A", 1, 0)


def test_registers():
    p = Program(2, 2)
    pe = p.pe_class("k")
    pe.array("out", 1, "u32")
    pe.code("main: st32 r5, [out]\n done")
    pe.local_task("main", 9)
    p.place(pe)
    fab = Fabric(p)
    fab.set_register(5, [[1, 2], [3, 4]])
    fab.launch("main")
    assert fab.run().ended == "done"
    assert fab.read("out")[:, :, 0].tolist() == [[1, 2], [3, 4]]


# --- launch -----------------------------------------------------------------------------------------------------------


def counting(width=3, height=2):
    p = Program(width, height)
    pe = p.pe_class("worker")
    pe.array("n", 1, "u32")
    pe.code("main: ld32 r1, [n]\n iadd32 r1, r1, 1\n st32 r1, [n]\n hostsig r1\n done")
    pe.local_task("main", 9)
    p.place(pe)
    return p


def test_launch_on_a_rectangle_and_again():
    fab = Fabric(counting())
    fab.launch("main", 1, 0, 2, 1)
    first = fab.run()
    fab.launch("main", 2, 0)
    second = fab.run()
    assert fab.read("n")[:, :, 0].tolist() == [[0, 1, 2], [0, 0, 1]]
    assert fab.host_signals.tolist() == [[0, 1, 2], [0, 0, 1]]
    assert (first.ended, second.ended) == ("done", "done") and second.cycles > first.cycles
    assert first.total("tasks") == 2 and second.total("tasks") == 4


def test_launch_needs_one_id():
    p = counting(2, 1)
    other = p.pe_class("other")
    other.code("main: done")
    other.local_task("main", 10)
    p.place(other, 1)
    fab = Fabric(p)
    with says(
        ProgramError,
        "task main has id 9 in class worker and 10 in class other: give it one id, or launch it class by class",
    ):
        fab.launch("main")
    fab.launch("main", 1, 0)
    assert fab.run().counters["tasks"].tolist() == [[0, 1]]


def test_a_limit_and_going_on():
    p = Program(1, 1)
    pe = p.pe_class("k")
    pe.code("main: jmp main")
    pe.local_task("main", 9, active=True)
    p.place(pe)
    fab = Fabric(p)
    run = fab.run(max_cycles=1000)
    assert run.ended == "limit" and 990 <= run.cycles <= 1000 and fab.cycle == 1000
    seen = []
    run = fab.run(max_cycles=500, progress=seen.append)
    assert run.ended == "limit" and fab.cycle == 1500 and seen[-1] == 1500


# --- streams ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("machine", ["wse2", "wse3"])
def test_streams_pass_through(machine):
    fab = Fabric(through(machine, width=3))
    data = np.arange(8, dtype=np.float32) + 0.5
    source = fab.stream_in(0, 0, "W", "red", data)
    drain = fab.stream_out(2, 0, "E", "red")
    fab.launch("main")
    run = fab.run()
    assert run.ended == "done" and source.sent == len(drain) == 8
    assert (fab.read("x") == data).all()
    assert np.array_equal(drain.data.view(np.float32), data) and not drain.control.any()
    assert (np.diff(drain.cycles.astype(int)) >= 1).all()
    assert run.wavelet_hops == 3 * 8 and int(run.colors[3, _engine.E, 0]) == 3 * 8


def test_rates():
    for rate in (0.25, 1 / 3):
        fab = Fabric(through(width=2))
        fab.stream_in(0, 0, "W", "red", np.zeros(8, np.float32), rate=rate)
        drain = fab.stream_out(1, 0, "E", "red")
        fab.launch("main")
        fab.run()
        assert (np.diff(drain.cycles.astype(int)) == round(1 / rate)).all()
    fab = Fabric(through(width=2, n=64))
    fab.stream_in(0, 0, "W", "red", np.zeros(64, np.float32))
    drain = fab.stream_out(1, 0, "E", "red", rate=0.5)
    fab.launch("main")
    fab.run()
    assert len(drain) == 64 and (np.diff(drain.cycles.astype(int))[32:] == 2).all()


def test_control_wavelets_in_a_stream():
    fab = Fabric(through())
    source = fab.stream_in(0, 0, "W", "red", np.arange(8), control=np.arange(8) == 7)
    drain = fab.stream_out(0, 0, "E", "red")
    fab.launch("main")
    fab.run(on_deadlock="return")
    assert source.sent == 8 and drain.control.tolist() == [False] * 7 + [True]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda f: f.stream_in(0, 0, "E", "red", [1]), ProgramError, "port E of PE (0, 0) leads to PE (1, 0): streams attach to the edge"),
        (lambda f: f.stream_in(0, 0, "R", "red", [1]), ProgramError, "a stream is attached to port N, E, S or W, not 'R'"),
        (lambda f: f.stream_in(0, 0, "N", "red", [1]), RouteError, "color red (3) goes nowhere: it enters PE (0, 0) by N, from where its router does not take it in any position; add 'N' to rx there"),
        (lambda f: f.stream_in(0, 0, "W", "red", [-1]), ProgramError, "wavelets are 32-bit words, not int64"),
        (lambda f: f.stream_in(0, 0, "W", "red", [1.5]), ProgramError, "wavelets are 32-bit words, not float64"),
        (lambda f: f.stream_in(0, 0, "W", "red", [1], control=[True, False]), ProgramError, "a stream of 1 wavelets has 2 control bits"),
        (lambda f: f.stream_in(0, 0, "W", "red", [1], rate=0), ProgramError, "the rate of a stream is above 0 and at most 1 wavelet a cycle, not 0"),
        (lambda f: f.stream_out(1, 0, "E", "red", rate=1.5), ProgramError, "the rate of a stream is above 0 and at most 1 wavelet a cycle, not 1.5"),
        (lambda f: f.stream_out(1, 0, "E", "red", capacity=0), ProgramError, "a stream holds at least one wavelet, not 0"),
        (lambda f: f.stream_out(2, 0, "E", "red"), ProgramError, "the rectangle of 1 x 1 PEs at (2, 0) is not in 0:2 x 0:1"),
    ],
)  # fmt: skip
def test_streams_refused(call, error, message):
    with says(error, message):
        call(Fabric(through(width=2)))


def test_the_edge_is_checked_when_it_runs():
    fab = Fabric(through(width=2))
    with pytest.raises(RouteError, match=r"leaves the rectangle by E at PE \(1, 0\)"):
        fab.run()
    fab.stream_out(1, 0, "E", "red")
    assert fab.run().ended == "done"


# --- running ----------------------------------------------------------------------------------------------------------


def test_threads_do_not_matter():
    runs = []
    for threads in (1, 2, 3):
        fab = Fabric(through(width=5), threads=threads, trace=1000, activity=True)
        fab.stream_in(0, 0, "W", "red", np.arange(8), rate=0.5)
        fab.stream_out(4, 0, "E", "red")
        fab.launch("main")
        runs.append(fab.run())
    assert runs[0].diff(runs[1]) == [] and runs[0].diff(runs[2]) == []
    assert runs[0].events is not None and len(runs[0].events)


def forever():
    p = Program(8, 8)
    pe = p.pe_class("k")
    pe.code("main: jmp main")
    pe.local_task("main", 9, active=True)
    p.place(pe)
    return Fabric(p)


@pytest.fixture
def ctrl_c():
    """SIGINT as a shell's foreground job has it: one in the background ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_raises_with_the_partial_run(ctrl_c):
    fab = forever()
    timer = threading.Timer(0.3, signal.raise_signal, [signal.SIGINT])
    timer.start()
    with pytest.raises(KeyboardInterrupt) as interrupt:
        fab.run(max_cycles=10**12)
    timer.join()
    run = interrupt.value.run
    assert run.ended == "interrupted" and run.cycles > 0 and run.total("scalars") > 0
    assert fab.run(max_cycles=10).ended == "limit"


def test_other_threads_run_meanwhile_but_not_the_fabric():
    fab = forever()
    results = []
    worker = threading.Thread(target=lambda: results.append(fab._engine.run(2**62)))
    worker.start()
    time.sleep(0.05)
    with pytest.raises(RuntimeError, match=r"^the fabric is running in another thread$"):
        fab.run(max_cycles=1)
    with pytest.raises(RuntimeError, match=r"^the fabric is running in another thread$"):
        fab._engine.pending()
    fab._engine.ask_stop()
    worker.join()
    assert results == [_engine.LIMIT]


def test_planes_outlive_their_fabric():
    fab = Fabric(counting())
    fab.launch("main")
    fab.run()
    plane = np.asarray(fab._engine.plane(_engine.PLANE_HOSTSIG))
    del fab
    assert plane.tolist() == [[1, 1, 1], [1, 1, 1]]
    with pytest.raises(ValueError, match="read-only"):
        plane[0, 0] = 1


# --- what goes wrong --------------------------------------------------------------------------------------------------


def one_pe(code):
    p = Program(1, 1)
    pe = p.pe_class("k")
    pe.code(code)
    pe.local_task("main", 9, active=True)
    p.place(pe)
    return Fabric(p)


def test_a_trap_is_a_fault():
    with pytest.raises(FabricFault) as caught:
        one_pe("main:\n nop\n trap 77\n done").run()
    fault = caught.value
    assert str(fault) == (
        f"the program stopped itself (PE (0, 0), cycle {fault.cycle}, trap at k:3, main+1, task main, value 77); "
        "the code decides what the value means"
    )
    assert (fault.kind, fault.x, fault.y, fault.task, fault.pc, fault.detail) == ("TRAP", 0, 0, 9, 1, 77)
    assert fault.run is not None and fault.run.ended == "fault" and fault.run.total("systems") >= 1


@pytest.mark.parametrize(
    ("code", "kind", "place"),
    [
        ("main: nop", "BAD_PC", "instruction 1"),
        ("main: .word 0x7fff", "BAD_OPCODE", ".word at k:1, main"),
        ("main: fmovs d0, a0\n done", "BAD_DSR", "fmovs at k:1, main"),
        ("main: activate 12\n done", "BAD_TASK", "activate at k:1, main"),
        ("main: iqbind 2, 5\n done", "BAD_COLOR", "iqbind at k:1, main"),
        ("main: iqbind 8, 5\n done", "BAD_QUEUE", "iqbind at k:1, main"),
    ],
)
def test_faults_name_the_place(code, kind, place):
    with pytest.raises(FabricFault) as caught:
        one_pe(code).run()
    assert caught.value.kind == kind
    assert f" at {place}" in str(caught.value) or f" {place}" in str(caught.value)
    assert str(caught.value).startswith({name: sentence for name, sentence, _ in _engine.faults()}[kind])


def test_every_fault_has_advice():
    from wse.fabric.diagnosis import ADVICE

    assert set(ADVICE) == {name for name, _, _ in _engine.faults()} - {"NONE"}


def waiting(width, height, *routes, roles):
    """Classes by name: (code, input color, output color); routes: (color, rx, tx, x, y)."""
    p = Program(width, height)
    for name in ("east", "west"):
        p.color(name)
    for role, (code, source, target, places) in roles.items():
        pe = p.pe_class(role)
        x = pe.array("x", 32, "f32")
        pe.dsd("x_all", wse.mem1d(x))
        if source:
            pe.dsd("input", wse.fabin(2, color=p.colors[source]))
            pe.queue_in(2, source)
        if target:
            pe.dsd("output", wse.fabout(2, p.colors[target]))
            pe.queue_out(2, target)
        pe.code(code)
        pe.local_task("main", 9, active=True)
        for place in places:
            p.place(pe, *place)
    for color, rx, tx, x, y in routes:
        p.route(color, rx, tx, x, y)
    return p


RECV = " dsr d0, x_all\n dsr a0, input\n fmovs d0, a0\n"
SND = " dsr d0, output\n dsr a0, x_all\n fmovs d0, a0\n"


def two_that_wait():
    code = "main:\n" + RECV + SND + " done\n"
    return waiting(
        *(3, 1),
        *(("east", "R", "E", 0, 0), ("east", "W", "E", 1, 0), ("east", "W", "R", 2, 0)),
        *(("west", "R", "W", 2, 0), ("west", "E", "W", 1, 0), ("west", "E", "R", 0, 0)),
        roles={"left": (code, "west", "east", [(0, 0)]), "right": (code, "east", "west", [(2, 0)])},
    )


def test_a_cycle_of_waits():
    fab = Fabric(two_that_wait())
    with pytest.raises(DeadlockError) as caught:
        fab.run()
    assert str(caught.value) == (
        f"deadlock: nothing has moved since cycle {caught.value.run.cycles}, and 2 main threads on 2 PEs wait\n"
        "a cycle of 2 waits:\n"
        "  PE (0, 0) main thread (fmovs, left:4, main+10) waits for a wavelet in input queue 2 (color west), "
        "which PE (2, 0) would send\n"
        "  PE (2, 0) main thread (fmovs, right:4, main+10) waits for a wavelet in input queue 2 (color east), "
        "which PE (0, 0) would send"
    )
    assert len(caught.value.cycle) == 2 and caught.value.run.ended == "deadlock"
    assert fab.run(on_deadlock="return").ended == "deadlock"
    assert str(fab.deadlock()) == str(caught.value)


def test_two_that_fill_each_other():
    code = "main:\n" + SND + RECV + " done\n"
    p = waiting(
        *(2, 1),
        *(("east", "R", "E", 0, 0), ("east", "W", "R", 1, 0)),
        *(("west", "R", "W", 1, 0), ("west", "E", "R", 0, 0)),
        roles={"left": (code, "west", "east", [(0, 0)]), "right": (code, "east", "west", [(1, 0)])},
    )
    with pytest.raises(DeadlockError) as caught:
        Fabric(p).run()
    cycle = caught.value.cycle
    assert cycle[0] == ("PE (0, 0) main thread (fmovs, left:4, main+10) waits for room in output queue 2 (color east)")
    assert "PE (1, 0) main thread (fmovs, right:4, main+10) waits for room in output queue 2 (color west)" in cycle
    assert any("router" in step for step in cycle) and any("input queue" in step for step in cycle)


def test_nobody_sends():
    p = waiting(
        *(8, 4),
        *(("east", "R", "E", 0, slice(None)), ("east", "W", "RE", slice(1, 7), slice(None))),
        ("east", "W", "R", 7, slice(None)),
        roles={
            "reader": ("main:\n" + RECV + " done\n", "east", None, [(slice(1, 8), None)]),
            "mute": ("main: done\n", None, "east", [(0, None)]),
        },
    )
    with pytest.raises(DeadlockError) as caught:
        Fabric(p).run()
    report = str(caught.value).splitlines()
    assert report[1:] == [
        "no cycle: nothing in the fabric can end these waits:",
        "  PE (1, 0) main thread (fmovs, reader:4, main+10) waits for a wavelet in input queue 2 (color east), "
        "which only PE (0, 0) could send, and no task there is left to (and 27 more PEs alike)",
    ]
    assert caught.value.cycle == [] and caught.value.waits == 28


def test_nobody_reads():
    p = waiting(
        *(2, 1),
        *(("east", "R", "E", 0, 0), ("east", "W", "R", 1, 0)),
        roles={
            "sender": ("main:\n" + SND + " done\n", None, "east", [(0, 0)]),
            "deaf": ("main: done\n", "east", None, [(1, 0)]),
        },
    )
    with pytest.raises(DeadlockError) as caught:
        Fabric(p).run()
    assert str(caught.value).splitlines()[-1] == (
        "  PE (1, 0) input queue 2 (color east) waits for an operation that reads color east, and the PE runs none"
    )


def waits_for(receiver="main: done\n", sender="main:\n" + SND + " done\n", tail=None, bound=True, more=None):
    """The report of a sender and a receiver, the latter with this code and route."""
    p = waiting(2, 1, roles={"tx": (sender, None, "east", [(0, 0)]), "rx": (receiver, None, None, [(1, 0)])})
    rx = p.classes["rx"]
    if bound:
        rx.dsd("input", wse.fabin(2))
        rx.queue_in(2, "east")
    if more:
        more(rx)
    p.route("east", "R", "E", 0)
    p.route("east", x=1, **{"rx": "W", "tx": "R"} | (tail or {}))
    with pytest.raises(DeadlockError) as caught:
        Fabric(p).run()
    return str(caught.value)


def test_nobody_takes_it_from_the_router():
    assert waits_for(bound=False).splitlines()[-1] == (
        "  PE (1, 0) router, color east from west, waits for an input queue: none of PE (1, 0) is bound to color east"
    )


def test_a_switch_that_never_moves():
    report = waits_for(tail={"rx": "R", "switch": [("W", "R")]})
    assert report.splitlines()[-1] == (
        "  PE (1, 0) router, color east from west, waits for a switch: "
        "the router's position does not take color east from there"
    )


def test_a_torn_down_color():
    assert waits_for(tail={"teardown": True}).splitlines()[-1] == (
        "  PE (1, 0) router, color east from west, waits for the end of the teardown of color east"
    )


def test_a_blocked_task():
    def block(rx):
        rx.data_task("recv", 2, entry="main", blocked=True)

    assert waits_for(more=block).splitlines()[-1] == "  PE (1, 0) input queue 2 (color east) waits for an unblock"


def test_a_busy_microthread():
    operation = " fmovs d0, a0 {async, ut=1}\n"
    code = "main:\n dsr d0, x_all\n dsr a0, input\n" + operation * 2 + " done\n"
    report = waits_for(code, sender="main: done\n")
    assert (
        "  PE (1, 0) microthread 1 (fmovs, rx:4, main+10) waits for a wavelet in input queue 2 (color east)" in report
    )
    assert "1 main thread, 1 microthread on 1 PE wait" in report


def test_an_empty_fifo():
    def buffer(rx):
        rx.dsd("buffer", wse.fifo(rx.array("room", 8, "f32")), xdsr=0)

    code = "main:\n xdsr x0, buffer.x\n dsr d0, x_all\n dsr a0, buffer\n fmovs d0, a0 {async, ut=3}\n done\n"
    assert waits_for(code, sender="main: done\n", more=buffer).splitlines()[-1] == (
        "  PE (1, 0) microthread 3 (fmovs, rx:5, main+15) waits for a FIFO that no operation fills or empties"
    )


def test_a_long_report_is_cut():
    p = Program(30, 1)
    red = p.color("red")
    for x in range(30):
        pe = p.pe_class(f"k{x}")
        y = pe.array("y", 4, "f32")
        pe.dsd("y_all", wse.mem1d(y))
        pe.dsd("input", wse.fabin(2, color=red))
        pe.queue_in(2, red)
        pe.code("main:\n dsr d0, y_all\n dsr a0, input\n fmovs d0, a0\n done\n")
        pe.local_task("main", 9, active=True)
        p.place(pe, x)
    p.route(red, "W", "RE")
    p.route(red, "W", "R", 29)
    with pytest.raises(DeadlockError) as caught:
        Fabric(p).run()
    lines = str(caught.value).splitlines()
    assert len(lines) == 22 and lines[-1] == "  ... and 11 more"
    assert "which no PE's route can bring" in lines[2]


# --- anything ---------------------------------------------------------------------------------------------------------


@settings(max_examples=300)
@given(words=PROGRAM, memory=st.binary(min_size=256, max_size=256), machine=st.sampled_from(["wse2", "wse3"]))
def test_random_programs_end_in_a_run_or_an_error(words, memory, machine):
    """Whatever the words and the memory are, the process lives and the end is one of those that are documented."""
    p = Program(2, 2, machine)
    colors = [p.color(f"c{i}", i) for i in range(4)]
    pe = p.pe_class("k")
    pe.array("A", 256, "u8", init=np.frombuffer(memory, np.uint8))
    for queue, color in enumerate(colors):
        pe.queue_in(queue, color)
        pe.queue_out(queue, color)
    load = "".join(f" dsr {file}{i}, A+{16 * i}\n xdsr x{i}, A+{16 * i + 128}\n" for file in "dab" for i in range(4))
    pe.code("main:\n" + load + wse.disassemble(words).replace("L", "T"))
    pe.local_task("main", 9, active=True)
    p.place(pe)
    for color in colors[:2]:
        p.route(color, "R", "E", 0)
        p.route(color, "W", "R", 1)
    for color in colors[2:]:
        p.route(color, "R", "R")
    fab = Fabric(p, trace=64)
    try:
        run = fab.run(max_cycles=3000)
    except (FabricFault, DeadlockError) as error:
        assert str(error) and error.run is not None
        run = error.run
    assert run.ended in ("done", "limit", "fault", "deadlock")
    assert run.cycles <= 3000 + 100_000  # an operation in memory may be under way when the limit comes


def test_an_array_has_the_shape_of_its_own_class():
    program = wse.Program(2, 1)
    for x, size in enumerate((3, 5)):
        pe = program.pe_class(f"c{x}")
        pe.array("a", size, "i16")
        program.place(pe, x=x)
    fabric = wse.Fabric(program)
    fabric.write("a", np.arange(5).reshape(1, 1, 5), x=1)
    assert fabric.read("a", x=1)[0, 0].tolist() == [0, 1, 2, 3, 4]
    with pytest.raises(wse.ProgramError, match=r"expected \[h, w, 3\]"):
        fabric.write("a", np.arange(5).reshape(1, 1, 5))
