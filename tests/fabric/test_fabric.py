"""wse/fabric/fabric.py: load, streams, launch, run.

Covers: wse/fabric/stream.py, wse/fabric/host_colors.py, wse/fabric/profiles.py
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


def through(machine="wse3", n=8, dtype="f32", width=1):
    """A row of relays: a stream from the west is stored in each PE, and leaves to the east."""
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


def test_options_refused():
    with says(ConfigError, "portable is False, True or 'avx2', not 'sse'"):
        Fabric(counting(), portable="sse")
    with says(ConfigError, "team is 'fastest', 'all' or 'in turn', not 'half'"):
        Fabric(counting(), team="half")
    with says(ConfigError, "threads is an integer of at least 1, not 0"):
        Fabric(counting(), threads=0)
    with says(ConfigError, "bins is an integer of at least 0, not 1.5"):
        Fabric(counting(), bins=1.5)
    with says(ConfigError, "max_cycles is 0 or more, not -1"):
        Fabric(counting()).run(max_cycles=-1)
    with says(ConfigError, 'on_deadlock is "raise" or "return", not \'ignore\''):
        Fabric(counting()).run(on_deadlock="ignore")


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


# --- random programs ---------------------------------------------------------------------------------------------------------


@settings(max_examples=300)
@given(words=PROGRAM, memory=st.binary(min_size=256, max_size=256), machine=st.sampled_from(["wse2", "wse3"]))
def test_random_programs_end_in_a_run_or_an_error(words, memory, machine):
    """For any words and memory, the process survives, and the run ends in one of the documented ways."""
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
