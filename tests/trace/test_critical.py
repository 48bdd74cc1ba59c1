"""wse/trace/critical.py: the paths of programs whose critical path is known by construction, and of any events at all."""

from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from explored import product
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic import garbage, make_events, make_run

import wse
from wse.errors import ConfigError
from wse.fabric.detail import Detail
from wse.kernels import RunOptions, load
from wse.trace import critical, events
from wse.trace.critical import CODE, HOPS, HOST, OPERATION, SPACE, START, UNKNOWN


def traced(program, **options):
    fabric = wse.Fabric(program, trace=100_000, detail=True)
    return fabric, lambda: fabric.run(**options)


def looping(times: int, label: str = "again") -> str:
    """Code that takes time, and no operation."""
    return f"\n mov r2, {times}\n.{label}:\n isub16 r2, r2, 1\n bnz r2, .{label}\n"


def place(program, x, code, hears=(), speaks=None, length=16, into="y"):
    """A PE whose task `main` runs when the run begins.  hears: colors of DSDs in0, in1; speaks: the color of DSD out."""
    pe = program.pe_class(f"at{x}")
    pe.dsd("all", wse.mem1d(pe.array("y", length, "f32")))
    for number, color in enumerate(hears):
        pe.queue_in(2 + number, color)
        pe.dsd(f"in{number}", wse.fabin(2 + number, color=color))
    if speaks is not None:
        pe.queue_out(0, speaks)
        pe.dsd("out", wse.fabout(0, speaks))
    pe.code(f"main:\n{code}\n done")
    pe.local_task("main", 9, active=True)
    program.place(pe, x=x)


SEND = "\n dsr d1, out\n dsr a1, all\n fmovs d1, a1\n"
RECEIVE = "\n dsr d0, all\n dsr a0, in{}\n fmovs d0, a0\n"


def chain(n, machine=None, length=1):
    """PE 0 works and sends; each PE receives and sends on, over a color of its own; the last one receives."""
    program = wse.Program(n, 1, machine=machine or wse.Machine())
    colors = [program.color(f"to{x}") for x in range(1, n)]
    for x in range(n):
        hears, speaks = colors[x - 1 : x] if x else (), colors[x] if x < n - 1 else None
        code = (RECEIVE.format(0) if x else looping(50)) + (SEND if x < n - 1 else "")
        place(program, x, code, hears, speaks, length)
        if x:
            program.route(colors[x - 1], "R", "E", x=x - 1)
            program.route(colors[x - 1], "W", "R", x=x)
    return traced(program)[1]()


def covers(run, found):
    """Whether segments cover the run without gaps."""
    assert found[0].start == 0 and found[-1].end == run.cycles
    assert all(a.end == b.start for a, b in pairwise(found))
    assert all(segment.start < segment.end and segment.kind in critical.KINDS for segment in found)
    assert sum(one.cycles for one in critical.sums(found)) == run.cycles


def test_a_chain_of_sends_goes_over_all_pes():
    run = chain(5)
    found = critical.path(run)
    covers(run, found)
    assert list(dict.fromkeys(segment.pe for segment in found)) == [0, 1, 2, 3, 4]
    assert {segment.kind for segment in found} == {START, CODE, OPERATION, HOPS}
    (first, *_), machine = found, wse.Machine().params
    assert first == critical.Segment(0, events.MAIN, 0, machine["task_start_cycles"], START, "main")
    hops = [segment for segment in found if segment.kind == HOPS]
    assert [segment.name for segment in hops] == [f"to{x} (color {x - 1})" for x in range(1, 5)]
    # from the cycle after the element that sends to the one of the element that takes: the latency less one
    latency = machine["ramp_out_cycles"] + machine["hop_cycles"] + machine["ramp_in_cycles"]
    assert {segment.end - segment.start for segment in hops} == {latency - 1}


def test_what_is_on_the_path_lengthens_the_run_by_as_much():
    slow = chain(5, wse.Machine(overrides={"hop_cycles": 5}))
    links = sum(segment.kind == HOPS for segment in critical.path(chain(5)))
    assert slow.cycles - chain(5).cycles == links * (5 - wse.Machine().params["hop_cycles"])


@pytest.mark.parametrize("slower", [0, 2])
def test_of_two_branches_that_join_the_longer_one(slower):
    program = wse.Program(3, 1)
    colors = program.color("west"), program.color("east")
    place(program, 1, RECEIVE.format(0) + RECEIVE.format(1), colors)
    for x, color, port in ((0, colors[0], "E"), (2, colors[1], "W")):
        place(program, x, looping(400 if x == slower else 20) + SEND, speaks=color)
        program.route(color, "R", port, x=x)
        program.route(color, "W" if port == "E" else "E", "R", x=1)
    run = traced(program)[1]()
    found = critical.path(run)
    covers(run, found)
    assert {segment.pe for segment in found} == {1, slower} and UNKNOWN not in {segment.kind for segment in found}
    (work,) = (segment for segment in found if segment.pe == slower and segment.kind == CODE)
    assert work.end - work.start > 400


@pytest.mark.parametrize("apart", [1, 4])
def test_a_slow_receiver_is_what_its_sender_waits_for(apart):
    """The sender, which ends last, waits for space until the receiver has ended a loop."""
    program = wse.Program(apart + 1, 1)
    red = program.color("red")
    place(program, 0, SEND + looping(300), speaks=red, length=200)
    place(program, apart, looping(1000) + RECEIVE.format(0), [red], length=200)
    program.route(red, "W", "E", x=slice(1, apart))
    program.route(red, "R", "E", x=0)
    program.route(red, "W", "R", x=apart)
    run = traced(program)[1]()
    found = critical.path(run)
    covers(run, found)
    assert [(segment.pe, segment.kind, segment.name) for segment in found] == [
        (apart, START, "main"),
        (apart, CODE, "main"),  # the loop
        (apart, OPERATION, "fmovs"),
        (0, SPACE, "red (color 0)"),
        (0, OPERATION, "fmovs"),
        (0, CODE, "main"),
    ]
    assert found[1].end > 1000 and found[3].end - found[3].start == apart


def test_elements_of_a_fifo_come_from_another_thread_of_the_pe():
    """A microthread fills a FIFO that the main thread empties; the microthread has its wavelets from PE 0."""
    program = wse.Program(2, 1)
    red = program.color("red")
    place(program, 0, looping(200) + SEND, speaks=red, length=16)
    pe = program.pe_class("buffered")
    pe.queue_in(2, red)
    pe.dsd("in0", wse.fabin(2, 16, red))
    pe.dsd("all", wse.mem1d(pe.array("y", 16, "f32")))
    pe.dsd("fifo", wse.fifo(pe.array("ring", 8, "f32"), xdsr=1))
    pe.code("""
main:
    xdsr x1, fifo.x
    dsr d1, fifo
    dsr a1, in0
    fmovs d1, a1 {async}
    dsr d0, all
    dsr a0, fifo
    fmovs d0, a0 {async, ut=4}
    done
""")
    pe.local_task("main", 9, active=True)
    program.place(pe, x=1)
    program.route(red, "R", "E", x=0)
    program.route(red, "W", "R", x=1)
    run = traced(program)[1]()
    found = critical.path(run)
    covers(run, found)
    assert [(segment.pe, segment.kind) for segment in found] == [
        (0, START),
        (0, CODE),
        (0, OPERATION),
        (1, HOPS),
        (1, OPERATION),  # of microthread 2, which fills the FIFO
        (1, OPERATION),  # of microthread 4, which empties it
    ]
    assert [segment.lane for segment in found[3:]] == [2, 2, 4]


def test_a_task_that_a_wavelet_starts():
    program = wse.Program(2, 1)
    red = program.color("red")
    place(program, 0, looping(100) + SEND, speaks=red, length=1)
    pe = program.pe_class("adder")
    pe.array("total", 1, "i32")
    pe.queue_in(0, red)
    pe.data_task("add", red)
    pe.code("add:\n ld32 r1, [total]\n iadd32 r1, r1, r0\n st32 r1, [total]\n done")
    program.place(pe, x=1)
    program.route(red, "R", "E", x=0)
    program.route(red, "W", "R", x=1)
    run = traced(program)[1]()
    found = critical.path(run)
    covers(run, found)
    assert [(segment.pe, segment.kind, segment.name) for segment in found] == [
        (0, START, "main"),
        (0, CODE, "main"),
        (0, OPERATION, "fmovs"),
        (1, HOPS, "red (color 0)"),
        (1, START, "add"),
        (1, CODE, "add"),
    ]


def test_what_comes_from_outside_is_the_hosts():
    program = wse.Program(1, 1)
    red = program.color("red")
    place(program, 0, RECEIVE.format(0), [red], length=4)
    program.route(red, "W", "R")
    fabric, run = traced(program)
    fabric.stream_in(0, 0, "W", red, np.arange(4, dtype=np.uint32), rate=1 / 64)
    run = run()
    found = critical.path(run)
    covers(run, found)
    assert (found[0].kind, found[0].name) == (HOST, "red (color 0)")


def test_what_leaves_the_fabric_last():
    program = wse.Program(1, 1)
    red = program.color("red")
    place(program, 0, f"{SEND.rstrip()} {{async}}", speaks=red, length=4)
    program.route(red, "R", "E")
    fabric, run = traced(program)
    fabric.stream_out(0, 0, "E", red)
    run = run()
    found = critical.path(run)
    covers(run, found)
    assert [(segment.kind, segment.name) for segment in found[-2:]] == [(OPERATION, "fmovs"), (HOPS, "red (color 0)")]
    assert found[-1].end - found[-1].start == wse.Machine().params["ramp_out_cycles"]


@cache
def kernel(name, grid, changed=(), **parameters):
    """A traced run.  changed: overrides of the machine's figures, as pairs."""
    module = load(name)
    config = {row: parameter.default for row, parameter in module.PARAMETERS.items()} | parameters
    options = RunOptions(machine=wse.Machine(overrides=dict(changed)), grid=grid, trace=100_000, detail=True)
    return module.run(config, options).run


def reduced(algorithm, width, length, changed=()):
    return kernel("reduce", (width, 1), changed, algorithm=algorithm, length=length)


@pytest.mark.parametrize("figure", ["hop_cycles", "ramp_in_cycles", "ramp_out_cycles", "task_start_cycles"])
@pytest.mark.parametrize(
    ("name", "grid", "parameters"),
    [
        ("reduce", (8, 1), {"algorithm": "chain", "length": 5}),
        ("reduce", (8, 1), {"algorithm": "tree", "length": 5}),
        ("reduce", (8, 1), {"algorithm": "star", "length": 5}),
        ("reduce", (8, 1), {"algorithm": "two-phase", "length": 5}),
        ("allreduce", (5, 4), {"length": 16}),
        ("broadcast", (6, 6), {"length": 50}),
        ("softmax", (4, 4), {}),
    ],
)
def test_the_path_tells_what_a_slower_machine_costs(figure, name, grid, parameters):
    """A run takes at least 2 cycles longer for each wavelet, link or start on its path that takes 2 cycles longer."""
    run = kernel(name, grid, **parameters)
    found = critical.path(run)
    covers(run, found)
    kind = START if figure == "task_start_cycles" else HOPS
    count = 0
    for before, segment in pairwise([found[0], *found]):
        apart = abs(before.pe % grid[0] - segment.pe % grid[0]) + abs(before.pe // grid[0] - segment.pe // grid[0])
        count += (apart if figure == "hop_cycles" else 1) if segment.kind == kind else 0
    slower = kernel(name, grid, ((figure, wse.Machine().params[figure] + 2),), **parameters)
    assert slower.cycles - run.cycles >= 2 * count > 0
    if figure in ("ramp_in_cycles", "ramp_out_cycles"):  # nothing else depends on these
        assert slower.cycles - run.cycles == 2 * count


@settings(max_examples=15, deadline=None)
@given(st.sampled_from(["star", "chain", "tree"]), st.sampled_from([2, 4, 8]), st.integers(1, 40))
def test_segments_cover_a_run_and_have_a_cause(algorithm, width, length):
    run = reduced(algorithm, width, length)
    found = critical.path(run)
    covers(run, found)
    assert not [segment for segment in found if segment.kind in (UNKNOWN, HOST)]


def test_the_chain_of_a_reduction_goes_over_all_pes():
    found = critical.path(reduced("chain", 8, 1))
    assert list(dict.fromkeys(segment.pe for segment in found)) == list(range(7, -1, -1))


def test_a_product_has_no_unknown_part():
    found = critical.path(product())
    covers(product(), found)
    assert {one.kind for one in critical.sums(found)} == {START, CODE, OPERATION, HOPS}


def without_routes(run):
    run.detail = Detail({}, [], np.full((run.height, run.width), 0xFFFF, np.uint16), {})
    return run


@given(garbage())
def test_any_events_give_a_path(recorded):
    run = without_routes(make_run(2, 2, cycles=30, events=recorded))
    covers(run, critical.path(run))


def test_a_run_without_events_in_its_trace_is_unknown():
    run = without_routes(make_run(2, 2, cycles=30, events=make_events()))
    assert critical.path(run) == [critical.Segment(0, events.MAIN, 0, 30, UNKNOWN, critical.AFTER)]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"events": None}, "follows the events of a run, and this one has none: record it with --trace FILE.npz"),
        ({"detail": None}, "follows the routes of a run, and this one has none: record it with --trace FILE.npz"),
        ({"events_dropped": 1234}, "needs all events of a run, and 1,234 of this one were left out"),
    ],
)
def test_a_run_that_cannot_be_followed(changes, words):
    run = without_routes(make_run(2, 2, cycles=30, events=make_events((3, 1, "TASK_START", 9, 0))))
    for name, value in changes.items():
        setattr(run, name, value)
    with pytest.raises(ConfigError, match=words):
        critical.path(run)
