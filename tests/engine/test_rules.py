"""Rules of the machine that nothing else in the suite depends on, one by one, with the cycles they cost."""

import numpy as np
import pytest
from harness import ARCHS, LOOP, NORTH, WEST, bench, events, fabin, fabout, mem, run

import wse

archs = pytest.mark.parametrize("arch", ARCHS)


@pytest.mark.parametrize(("two", "one"), ["NW", "WN", "NE", "ES", "SW", "WS"])
@pytest.mark.parametrize("arrives", [4, 5, 6, 7, 8])
def test_of_inputs_that_wait_equally_long_the_first_goes(two, one, arrives):
    """A head leaves in cycle 6, so that the one behind it is the head from cycle 7 on; one that lands by another port in
    cycle 7 has waited as long, and N E S W is the order."""
    p = wse.Program(1, 1, "wse2")
    red = p.color("red")
    (out,) = {"N", "E", "S", "W"} - {two, one, min({"N", "E", "S", "W"} - {two, one})}
    p.route(red, two + one, out)
    fabric = wse.Fabric(p)
    fabric.stream_in(0, 0, two, red, [0, 1, 2])
    fabric.stream_in(0, 0, one, red, [9], segments=[wse.Segment(1, arrives)])
    left = fabric.stream_out(0, 0, out, red, rate=1 / 5)
    fabric.run()
    lands = arrives + p.machine.hop_cycles
    first = lands < 7 or (lands == 7 and "NESW".index(one) < "NESW".index(two))
    assert left.data.tolist() == ([0, 1, 9, 2] if first else [0, 1, 2, 9])


@archs
@pytest.mark.parametrize("to", ["E", "W"])
def test_a_stream_crosses_a_block_of_64_routers_like_any_other(arch, to):
    """Sender, router, receiver in three columns, the receiver late: the router in between waits for room next to it."""

    def cycles(first: int) -> int:
        p = wse.Program(70, 1, arch)
        red = p.color("red")
        columns = [first, first + 1, first + 2] if to == "E" else [first + 2, first + 1, first]
        came = {"E": "W", "W": "E"}[to]
        p.route(red, "R", to, x=columns[0])
        p.route(red, came, to, x=columns[1])
        p.route(red, came, "R", x=columns[2])
        for name, x in (("sender", columns[0]), ("receiver", columns[2])):
            pe = p.pe_class(name)
            data = pe.array("data", 60, "u32", init=np.arange(60) if name == "sender" else None)
            pe.dsd("all", wse.mem1d(data))
            if name == "sender":
                pe.queue_out(2, red)
                pe.dsd("fabric", wse.fabout(2, red, 60))
                pe.code("main: dsr d0, fabric\ndsr a0, all\nmov32 d0, a0\ndone")
            else:
                pe.queue_in(2, red)
                pe.dsd("fabric", wse.fabin(2, 60))
                pe.code("main:\n" + "nop\n" * 300 + "dsr d0, all\ndsr a0, fabric\nmov32 d0, a0\ndone")
            pe.local_task("main", 9, active=True)
            p.place(pe, x)
        fabric = wse.Fabric(p)
        run = fabric.run()
        assert fabric.read("data", columns[2], 0, 1, 1)[0, 0].tolist() == list(range(60))
        return run.cycles

    assert {cycles(first) for first in (60, 61, 62, 63, 64)} == {cycles(5)}


@archs
def test_a_task_that_activates_itself_lets_the_others_run(arch):
    """Equal tasks take turns in the order of their numbers, in a circle."""

    def declare(pe):
        for task, name in enumerate(("main", "other", "third"), 9):
            pe.local_task(name, task, active=True)

    code = "".join(f"{name}: mark {i}\nactivate {name}\ndone\n" for i, name in enumerate(("main", "other", "third")))
    ran = bench(code, arch, declare=declare, max_cycles=100, trace=1000, on_deadlock="return")
    order = [value for _, _, value in events(ran.run, "MARK")]
    assert len(order) > 12 and order == [i % 3 for i in range(len(order))]


@pytest.mark.parametrize("stride", [-9, -8, -7, -4, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 15, 16, 17])
def test_lanes_of_wse2_by_stride(stride):
    """Four lanes of 16 bits; one where the stride is a multiple of eight elements, two for 1, 4 and 7 beyond one."""
    lanes = 4 if stride in (0, 1) else {0: 1, 1: 2, 4: 2, 7: 2}.get(stride % 8, 4)

    def cycles(source: int, destination: int) -> int:
        dsrs = {"d0": mem(1024 if destination >= 0 else 2040, 16, 2 * destination)}
        dsrs["a0"] = mem(0 if source >= 0 else 512, 16, 2 * source)
        return run("mov16 d0, a0", "wse2", memory=bytes(4096), dsrs=dsrs).cycles

    base = cycles(1, 1)
    assert cycles(stride, 1) - base == 16 // lanes - 4
    if stride:
        assert cycles(1, stride) - base == 16 // lanes - 4


@archs
def test_a_store_waits_for_a_late_result(arch):
    def cycles(code: str) -> int:
        return run(code, arch, memory=bytes(64)).cycles

    late = wse.Machine(arch).fp_latency - 1
    for value in ("st32 {}, [memory]", "st16 {}, [memory]", "st8 {}, [memory]"):
        for loaded, wait in (("sadd r1, r2, r3", late), ("ld32 r1, [r2]", wse.Machine(arch).load_latency - 1)):
            waits = cycles(f"{loaded}\n{value.format('r1')}") - cycles(f"{loaded}\n{value.format('r4')}")
            assert waits == max(0, wait - 1), "what is stored is needed a cycle later than an operand"
    assert cycles("sadd r1, r2, r3\nst32 r9, [r1]") - cycles("sadd r1, r2, r3\nst32 r9, [r4]") == late
    assert run(
        "sadd r1, r2, r3\nst32 r1, [memory]", arch, registers={2: 0x3F800000, 3: 0x40000000}, memory=bytes(8)
    ).array("<f4", 0, 1) == [3.0]


@archs
@pytest.mark.parametrize(
    "reads", ["iadd32 r9, {}, r4", "ld16 r9, [{}]", "st8 r9, [{}]", "bz {}, .x\n.x: nop", "ishl16 r9, r4, {}"]
)
@pytest.mark.parametrize("latency", [1, 2, 3])
def test_what_is_loaded_through_a_register_is_late(arch, reads, latency):
    """load_latency cycles after the access, whatever needs it; a value from a constant address is there at once."""
    machine = wse.Machine(arch, overrides={"load_latency": latency})

    def cycles(code: str) -> int:
        return run(code, machine, memory=bytes(64)).cycles

    for load in ("ld32 r1, [r2]", "ld16 r1, [r2 + 4]", "ld8 r1, [r2]"):
        for between in range(4):
            code = f"{load}\n" + "nop\n" * between
            waits = cycles(code + reads.format("r1")) - cycles(code + reads.format("r4"))
            assert waits == max(0, latency - 1 - between)
    for other in ("ld32 r1, [memory]", "mov r1, 0", "ishl16 r1, r2, 2"):
        assert cycles(f"{other}\n" + reads.format("r1")) == cycles(f"{other}\n" + reads.format("r4"))
    # of two loads each has its own time, and a register that something else writes is not waited for
    twice = "ld32 r1, [r2]\nld32 r3, [r2]\n"
    assert cycles(twice + reads.format("r3")) - cycles(twice + reads.format("r4")) == latency - 1
    assert cycles(twice + reads.format("r1")) - cycles(twice + reads.format("r4")) == max(0, latency - 2)
    written = "ld32 r1, [r2]\nmov r1, 0\n"
    assert cycles(written + reads.format("r1")) == cycles(written + reads.format("r4"))


@archs
def test_the_sum_of_a_register_and_an_offset_takes_cycles(arch):
    """A constant address and a register alone take none; what is stored may be late meanwhile."""
    slots = wse.Machine(arch).offset_cycles

    def cycles(code: str) -> int:
        return run(code, arch, memory=bytes(64)).cycles

    for access in ("ld32 r9, [{}]", "st16 r9, [{}]"):
        plain = cycles(access.format("r4"))
        assert cycles(access.format("r4+8")) == plain + slots
        assert cycles(access.format("memory+8")) == cycles(access.format("memory")) == plain
    assert cycles("sadd r1, r2, r3\nst32 r1, [r4+8]") == cycles("sadd r1, r2, r3\nst32 r5, [r4+8]")


@archs
def test_what_a_jump_with_a_link_costs(arch):
    m = wse.Machine(arch)
    base = run("", arch).cycles
    assert run("jal r5, .x\n.x: nop", arch).cycles - base == m.branch_taken + 1
    assert run("jmp .over\n.f: jr r5\n.over: jal r5, .f", arch).cycles - base == 3 * m.branch_taken
    ran = run("jal r5, .x\nmov r1, 1\n.x: mov r2, 2", arch)
    assert ran.r[1] == 0 and ran.r[2] == 2


@archs
def test_setting_the_time_stamp_counter(arch):
    ran = run(
        "tscset 2\nnop\nnop\nnop\ntsc r1, 0\ntscset 0\nnop\ntsc r2, 0\nnop\nnop\ntsc r3, 0\ntscset 1\nnop\ntsc r4, 0",
        arch,
    )
    assert ran.r[1] == 4, "from the reset to the reading"
    assert ran.r[2] == ran.r[3] == 5, "stopped: in the cycle after that reading"
    assert ran.r[4] == 7, "goes on from where it stopped"
    ran = run("tscset 0\ntscset 2\nnop\ntsc r1, 0\ntscset 1\nnop\nnop\ntsc r2, 0", arch)
    assert (ran.r[1], ran.r[2]) == (0, 3), "reset while it stands"
    ran = run("tscset 1\nnop\ntsc r1, 0\ntscset 1\ntsc r2, 0", arch)
    assert ran.r[2] - ran.r[1] == 2, "to start what runs changes nothing"


@archs
def test_a_queue_takes_the_color_it_is_bound_to_last(arch):
    """The first wavelet of each color comes before the queue is bound anew: it stays where it is."""
    dsrs = {"d0": mem(0, 3, 4), "a0": fabin(3, 2)}
    inputs = {NORTH: [5, 6, 7, 8]}
    ran = run(
        "iqbind 2, 1\nmov32 d0, a0", arch, memory=bytes(64), dsrs=dsrs, inputs=inputs, rate=1 / 50, on_deadlock="return"
    )
    assert ran.array("<u4", 0, 3) == [6, 7, 8]
    ran = run("iqbind 2, 1\nmov32 d0, a0", arch, memory=bytes(64), dsrs=dsrs | {"d0": mem(0, 1, 4), "a0": fabin(1, 2)},
              inputs={WEST: [1, 2, 3], **inputs}, rate=1 / 50, on_deadlock="return")  # fmt: skip
    assert ran.array("<u4", 0, 1) == [1], "what lies in the queue already comes first"
    assert ran.run.colors[WEST, 4, 0] == 1, "no queue takes the color that the queue was bound to"


@archs
def test_an_output_queue_sends_the_color_it_is_bound_to_last(arch):
    dsrs = {"d0": fabout(4, 2, LOOP), "a0": mem(0, 4, 4), "d1": mem(32, 4, 4), "a1": fabin(4, 4)}
    memory = np.arange(10, 26, dtype=np.uint32).tobytes()
    ran = run("oqbind 2, 3\nmov32 d0, a0 {async}\nmov32 d1, a1", arch, memory=memory, dsrs=dsrs)
    assert ran.array("<u4", 32, 4) == [10, 11, 12, 13]
    assert ran.run.colors[LOOP, 4, 0] == 4


@archs
@pytest.mark.parametrize("code", ["tdexit 0", "iqbind 2, 0"])
@pytest.mark.parametrize("reference", [False, True])
def test_a_router_sees_a_change_by_code_in_the_next_cycle_whoever_else_is_busy(arch, code, reference):
    """With another color on its way through the same routers, and without."""

    def left(busy: bool) -> tuple[list[int], int]:
        p = wse.Program(2, 1, arch)
        waits, other = p.color("waits", 0), p.color("other", 1)
        p.route(waits, "W", "ER", x=0, teardown=code.startswith("td"))
        p.route(waits, "W", "E", x=1)
        p.route(other, "W", "E")
        pe = p.pe_class("pe")
        if code.startswith("td"):
            pe.queue_in(2, waits)
        else:
            pe.queue_in(2, other)
        pe.code("main:\n" + "nop\n" * 20 + f"{code}\ndone")
        pe.local_task("main", 9, active=True)
        p.place(pe, 0)
        fabric = wse.Fabric(p, reference=reference)
        fabric.stream_in(0, 0, "W", waits, [1])
        if busy:
            fabric.stream_in(0, 0, "W", other, range(100))
        out = fabric.stream_out(1, 0, "E", waits)
        fabric.stream_out(1, 0, "E", other)
        run = fabric.run(on_deadlock="return")
        return out.cycles.tolist(), int(run.colors[int(waits), wse._engine.RAMP, 1])

    m = wse.Machine(arch)
    moves = m.task_start_cycles + 20 + 1
    cycles, waited = left(busy=True)
    assert (cycles, waited) == left(busy=False)
    assert waited == moves - m.hop_cycles
    if code.startswith("td"):
        assert cycles[0] == moves + m.hop_cycles


@archs
def test_waiting_for_a_microthread_counts_as_what_that_waits_for_now(arch):
    """The main thread has the higher priority and is considered first; the microthread then finds its output full."""

    def declare(pe):
        pe.local_task("main", 9, active=True)

    dsrs = {"d0": fabout(30, 2, 2), "a0": mem(0, 30, 4), "d1": fabout(1, 2, 2)}
    loads = "".join(f"dsr {name}, of_{name}\n" for name in dsrs)
    code = f"main: {loads}mainprio 3\nmov32 d0, a0 {{async}}\nmov32 d1, r1 {{async}}\ndone"
    outcomes = set()
    for options in ({"reference": False}, {"reference": True}, {"reference": False, "trace": 1000}):
        options |= {"memory": bytes(128), "dsrs": dsrs, "declare": declare, "capacity": 3, "on_deadlock": "return"}
        ran = bench(code, arch, **options)
        outcomes.add((ran.run.cycles, *(ran.counter(name) for name in ("stall_input", "stall_output", "idle"))))
    assert len(outcomes) == 1


@archs
@pytest.mark.parametrize("reference", [False, True])
def test_a_run_ends_with_its_last_activity_though_a_pe_is_woken_later(arch, reference):
    """A store-only PE is woken by a wavelet without a reader, after that has passed the ramp."""
    p = wse.Program(1, 1, arch)
    stored, unread = p.color("stored"), p.color("unread")
    p.route(stored, "W", "R")
    p.route(unread, "N", "R")
    pe = p.pe_class("pe")
    pe.queue_in(2, stored)
    pe.queue_in(3, unread)
    pe.dsd("all", wse.mem1d(pe.array("got", 100, "u32")))
    pe.dsd("in", wse.fabin(2, 100))
    pe.code("main: dsr d0, all\ndsr a0, in\nmov32 d0, a0 {async}\ndone")
    pe.local_task("main", 9, active=True)
    p.place(pe)
    fabric = wse.Fabric(p, reference=reference, bins=8, activity=True)
    fabric.stream_in(0, 0, "W", stored, range(20))
    fabric.stream_in(0, 0, "N", unread, [1], segments=[wse.Segment(1, 500)])
    run = fabric.run(on_deadlock="return")
    assert run.cycles == 500 + p.machine.hop_cycles + 1, "when the router has sent it down"
    waits = run.total("stall_input")
    assert run.series[:, 3].sum() == waits and run.series[:, 0].sum() == run.busy.sum()
    causes = ("busy", "stall", "idle")
    assert sum(run.total(name) for name in run.counters if name.startswith(causes)) == run.cycles
