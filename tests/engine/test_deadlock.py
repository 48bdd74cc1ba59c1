"""Deadlocks: the engine stops when nothing can move and work is left, and reports what waits for what.

Covers: csrc/fabric/waits.c
"""

import numpy as np
import pytest
from engine.grids import Grid
from engine.router_model import TEARDOWN, control_word
from engine.scenes import scenes
from harness import ARCHS, EAST, LOOP, NORTH, WEST, Ran, Xdsr, bench, fabin, fabout, fifo, loads, mem
from hypothesis import given, settings
from hypothesis import strategies as st

import wse
from wse import Machine, _engine
from wse.fabric.diagnosis import WAIT

archs = pytest.mark.parametrize("arch", ARCHS)
WHO = {
    getattr(_engine, name): name[5:].lower()
    for name in dir(_engine)
    if name.startswith("WAIT_") and name != "WAIT_BYTES"
}
WHY = {getattr(_engine, name): name[4:].lower() for name in dir(_engine) if name.startswith("FOR_")}


def waits(f: wse.Fabric) -> list[dict[str, int | str]]:
    """Who waits, and what for; fields that say nothing are left out."""
    room = np.zeros(f._engine.waits(np.empty(0, np.uint8)), WAIT)
    f._engine.waits(room.view(np.uint8))
    found = []
    for record in room:
        fields = {name: int(record[name]) for name in ("pe", "id", "color", "port", "queue", "task")}
        wait = {"who": WHO[int(record["who"])], "why": WHY[int(record["why"])], **fields}
        if record["on_pe"] != record["pe"]:
            wait["on_pe"] = int(record["on_pe"])
        found.append({name: value for name, value in wait.items() if value != -1})
    return found


def stuck(code: str, arch="wse3", tasks=None, dsrs=None, xdsrs=None, **more) -> Ran:
    """A class whose task `main` (9) loads these and then does this."""

    def declare(pe):
        pe.local_task("main", 9, active=True)
        if tasks:
            tasks(pe)

    text = f"main: {loads(dsrs, xdsrs)}{code}\n"
    ran = bench(text, arch, declare=declare, dsrs=dsrs, xdsrs=xdsrs, memory=bytes(256), on_deadlock="return",
                max_cycles=10_000, **more)  # fmt: skip
    assert ran.run.ended == "deadlock"
    return ran


def one(ran: Ran) -> dict:
    (wait,) = waits(ran.fabric)
    return wait


DRAIN = {"a0": fabin(5), "d0": mem(0, 5, 4)}


@archs
def test_for_a_wavelet(arch):
    main = {"who": "main", "why": "wavelet", "pe": 0, "id": 8, "color": WEST, "queue": 2, "task": 9}
    assert one(stuck("mov32 d0, a0\ndone", arch, dsrs=DRAIN, inputs={WEST: [1, 2]})) == main
    micro = main | {"who": "microthread", "id": 2}
    assert one(stuck("mov32 d0, a0 {async}\ndone", arch, dsrs=DRAIN, inputs={WEST: [1, 2]})) == micro
    assert one(stuck("fadds r1, r1, a0\ndone", arch, dsrs={"a0": fabin(3)}, inputs={WEST: [1]})) == main
    assert one(stuck("mapstep r1, b0, .x\n.x: done", arch, dsrs={"b0": fabin(3)})) == main
    assert one(stuck("dfilt a0\ndone", arch, dsrs={"a0": fabin(1)}, inputs={WEST: [1, 2, 3]})) == main


@archs
def test_for_room(arch):
    found = waits(stuck("mov32 d0, r1\ndone", arch, dsrs={"d0": fabout(100)}, capacity=1).fabric)
    assert {(w["who"], w["why"], w["color"], w["port"]) for w in found} == {
        ("main", "room", EAST, 4),
        ("output_queue", "room", EAST, 4),
        ("router", "room", EAST, 1),
    }
    found = waits(stuck("mov32 d0, r1 {async}\ndone", arch, dsrs={"d0": fabout(100, 3, LOOP)}).fabric)
    assert [(w["who"], w["why"], w["color"], w["queue"]) for w in found] == [
        ("microthread", "room", LOOP, 3),
        ("output_queue", "room", LOOP, 3),
        ("input_queue", "reader", LOOP, 4),
        ("router", "room", LOOP, 4),
    ]


@archs
def test_for_room_in_the_next_router(arch):
    p = wse.Program(2, 1, arch)
    c = p.color("c")
    p.route(c, "W", "E", 0)
    p.route(c, "W", "R", 1)
    f = wse.Fabric(p)
    f.stream_in(0, 0, "W", c, np.arange(50, dtype=np.uint32))
    assert f.run(on_deadlock="return").ended == "deadlock"
    first, second = waits(f)
    assert first == {"who": "router", "why": "room", "pe": 0, "id": 3, "color": 0, "port": 1, "on_pe": 1}
    assert second == {"who": "router", "why": "queue", "pe": 1, "id": 3, "color": 0, "port": 4}


@archs
def test_for_a_reader_or_an_unblock(arch):
    task = {"wse2": WEST, "wse3": 2}[arch]
    queue = {"who": "input_queue", "why": "reader", "pe": 0, "id": 2, "queue": 2, "color": WEST}
    assert one(stuck("done", arch, inputs={WEST: [1]})) == queue

    def blocked(pe):
        pe.data_task("recv", 2, blocked=True)

    ran = stuck("done\nrecv: done", arch, tasks=blocked, inputs={WEST: [1]})
    assert one(ran) == queue | {"why": "unblock", "task": task}

    def two(pe):
        blocked(pe)
        pe.local_task("other", 20, active=True, blocked=True)

    ran = stuck("done\nrecv: done\nother: unblock recv\ndone", arch, tasks=two, inputs={WEST: [1]})
    assert waits(ran.fabric)[1] == {"who": "task", "why": "unblock", "pe": 0, "id": 20, "task": 20}


@archs
def test_for_a_microthread(arch):
    code = "mov32 d0, a0 {async, ut=2}\nmov32 d0, a0 {async, ut=2}\ndone"
    main, micro = waits(stuck(code, arch, dsrs=DRAIN).fabric)
    assert main == {"who": "main", "why": "microthread", "pe": 0, "id": 8, "task": 9, "queue": 2}
    assert (micro["who"], micro["id"], micro["why"]) == ("microthread", 2, "wavelet")


@archs
def test_for_a_microthread_to_go_on(arch):
    dsrs = {"d0": fabout(3), "a0": mem(0, 3, 4)}
    wait = one(stuck("utblock 2\nmov32 d0, a0 {async, ut=2}\ndone", arch, dsrs=dsrs))
    assert (wait["who"], wait["id"], wait["why"]) == ("microthread", 2, "unblock")


@archs
def test_for_a_fifo(arch):
    x = {"x1": Xdsr(start=100, size=4)}
    wait = one(stuck("mov32 d0, a0 {async}\ndone", arch, dsrs={"d0": fabout(3), "a0": fifo(1)}, xdsrs=x))
    assert (wait["who"], wait["why"]) == ("microthread", "fifo")
    found = waits(stuck("mov32 d0, a0 {async}\ndone", arch, dsrs={"d0": fifo(1), "a0": fabin(9, 3)}, xdsrs=x,
                        inputs={NORTH: range(5)}).fabric)  # fmt: skip
    assert (found[0]["who"], found[0]["why"]) == ("microthread", "fifo")


@archs
def test_for_a_switch_or_the_end_of_a_teardown(arch):
    def report(words, control, **route):
        p = wse.Program(1, 1, arch)
        c = p.color("c")
        p.route(c, "W", "E", **route)
        f = wse.Fabric(p)
        f.stream_in(0, 0, "W", c, np.array(words, np.uint32), control)
        f.stream_out(0, 0, "E", c)
        assert f.run(on_deadlock="return").ended == "deadlock"
        return [(w["who"], w["why"], w["id"]) for w in waits(f)]

    assert report([control_word([(TEARDOWN, True)]), 2], [1, 0]) == [("router", "teardown", 3)]
    assert report([1], [0], teardown=True) == [("router", "teardown", 3)]
    assert report([1], [0], switch=[("N", "E")], position=1) == [("router", "route", 3)]


def ring(n: int, arch: str, threads: int = 1) -> wse.Fabric:
    """n PEs in a ring, each of which reads from the one before it, then sends to the next: none can begin.

    The ring is two rows: east along the upper one, west along the lower one.
    """
    w = n // 2
    p = wse.Program(w, 2, arch)
    c = [p.color("c0"), p.color("c1")]
    order = [(x, 0) for x in range(w)] + [(x, 1) for x in reversed(range(w))]
    for i, (x, y) in enumerate(order):
        after, before = order[(i + 1) % n], order[i - 1]
        to, came = (_side(after[0] - x, after[1] - y), _side(before[0] - x, before[1] - y))
        pe = p.pe_class(f"pe{i}")
        pe.queue_in(2, c[1 - i % 2])
        pe.queue_out(3, c[i % 2])
        pe.dsd("in", wse.fabin(2, 1))
        pe.dsd("out", wse.fabout(3, c[i % 2], 1))
        pe.dsd("word", wse.mem1d(pe.array("w", 1, "u32")))
        pe.code("main: dsr a0, in\ndsr d0, word\nmov32 d0, a0\ndsr d1, out\nmov32 d1, d0\ndone")
        pe.local_task("main", 9, active=True)
        p.place(pe, x, y)
        p.route(c[i % 2], "R", to, x, y)
        p.route(c[1 - i % 2], came, "R", x, y)
    return wse.Fabric(p, threads=threads)


def _side(dx: int, dy: int) -> str:
    return {(1, 0): "E", (-1, 0): "W", (0, 1): "S", (0, -1): "N"}[dx, dy]


@archs
@pytest.mark.parametrize("n", [4, 10])
def test_a_ring_of_waits(arch, n):
    reports = set()
    for threads in (1, 2):
        with pytest.raises(wse.DeadlockError) as caught:
            ring(n, arch, threads).run()
        error = caught.value
        assert len(error.cycle) == error.waits == n and error.run.ended == "deadlock"
        reports.add(str(error))
    (report,) = reports
    lines = report.splitlines()
    assert lines[0].endswith(f"and {n} main threads on {n} PEs wait")
    assert lines[1] == f"a cycle of {n} waits:"
    assert lines[2] == (
        "  +-> PE (0, 0) main thread (mov32, pe0:3, main+10) waits for a wavelet in input queue 2 (color c1), "
        "which PE (0, 1) would send"
    )


def test_work_that_only_waits_for_the_host_is_no_deadlock():
    ran = bench("main: done\nother: done", declare=lambda pe: (pe.local_task("main", 9), pe.local_task("other", 10, active=True,
                blocked=True)))  # fmt: skip
    assert ran.run.ended == "done" and ran.run.cycles == 0
    assert ran.fabric._engine.pending() == _engine.PENDING_TASKS
    ran.fabric.launch("main")
    assert ran.fabric.run().total("tasks") == 1


@settings(max_examples=25)
@given(scenes(), st.integers(2, 4))
def test_reports_do_not_depend_on_threads(scene, threads):
    reports = []
    for count in (1, threads):
        f, _ = scene.fabric(threads=count)
        try:
            done = f.run(max_cycles=2000, on_deadlock="return")
        except wse.FabricFault as fault:
            reports.append(str(fault))
            continue
        error = f.deadlock()
        assert (error is None) == (done.ended == "done")
        assert (f._engine.waits(np.empty(0, np.uint8)) > 0) == (done.ended == "deadlock")
        reports.append(str(error))
    assert reports[0] == reports[1]


def test_what_ended_well_waits_for_nothing():
    f, _ = Grid(3, 3, Machine("wse3"), 1).fabric()
    assert f.run().ended == "done"
    assert waits(f) == [] and f._engine.pending() == 0 and f.deadlock() is None
