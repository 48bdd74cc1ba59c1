"""wse/fabric/diagnosis.py: messages of faults and deadlocks.

Covers: wse/fabric/errors.py
"""

import re

import pytest

import wse
from wse import DeadlockError, Fabric, FabricFault, Program, _engine


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
        "  +-> PE (0, 0) main thread (fmovs, left:4, main+10) waits for a wavelet in input queue 2 (color west), "
        "which PE (2, 0) would send\n"
        "  +-- PE (2, 0) main thread (fmovs, right:4, main+10) waits for a wavelet in input queue 2 (color east), "
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


@pytest.mark.parametrize("vertical", [False, True])
def test_a_full_router_is_named_by_the_side_that_it_takes_wavelets_from(vertical):
    """Two PEs fill each other through three routers: each wait for a router is followed by that router's own line."""
    code = "main:\n" + SND * 3 + RECV + " done\n"
    far, back = ("S", "N") if vertical else ("E", "W")

    def at(i):
        return (0, i) if vertical else (i, 0)

    between = [
        (color, rx, tx, *at(i)) for i in (1, 2, 3) for color, rx, tx in (("east", back, far), ("west", far, back))
    ]
    p = waiting(
        *((1, 5) if vertical else (5, 1)),
        *(("east", "R", far, *at(0)), ("east", back, "R", *at(4)), ("west", "R", back, *at(4))),
        *(("west", far, "R", *at(0)), *between),
        roles={"left": (code, "west", "east", [at(0)]), "right": (code, "east", "west", [at(4)])},
    )
    with pytest.raises(DeadlockError) as caught:
        Fabric(p).run()
    cycle, found = caught.value.cycle, []
    for step, after in zip(cycle, [*cycle[1:], cycle[0]], strict=True):
        if room := re.search(r"waits for room in the router of (PE \(.*?\)) \((color \w+ from \w+)\)", step):
            assert after.startswith(f"{room[1]} router, {room[2]}, waits for ")
            found.append(room[2])
    names = {"E": "east", "W": "west", "N": "north", "S": "south"}
    assert {f"color east from {names[back]}", f"color west from {names[far]}"} <= set(found)


def test_a_receiver_without_a_sender():
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


def test_wavelets_without_a_reader():
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


def test_a_router_without_a_receiver():
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


def test_a_reader_that_the_main_thread_does_not_reach():
    """The cycle leads through the main thread: it waits for a microthread, and so does not start the reader."""
    operation = " fmovs {0} {{async, ut=1}}\n"
    code = "main:\n dsr d0, output\n dsr a0, x_all\n dsr d1, x_all\n dsr a1, input\n"
    code += operation.format("d0, a0") + operation.format("d1, a1") + " done\n"
    p = waiting(
        *(2, 1),
        *(("east", "R", "E", 0, 0), ("east", "W", "R", 1, 0)),
        *(("west", "R", "W", 1, 0), ("west", "E", "R", 0, 0)),
        roles={"left": (code, "west", "east", [(0, 0)]), "right": (code, "east", "west", [(1, 0)])},
    )
    with pytest.raises(DeadlockError) as caught:
        Fabric(p).run()
    for x, role in enumerate(("left", "right")):
        line = f"PE ({x}, 0) main thread (fmovs, {role}:7, main+21) waits for microthread 1, which is in use"
        assert line in caught.value.cycle


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
