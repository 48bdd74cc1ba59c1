"""A run in pieces is the run in one; a limit is kept to the cycle.

Covers: csrc/fabric/build.c
"""

import pytest
from engine.grids import Grid
from engine.scenes import scenes
from engine.test_threads import expect_same, observed
from harness import ARCHS, bench, run
from hypothesis import given, settings
from hypothesis import strategies as st

import wse
from wse import Machine

PIECES = st.lists(st.integers(0, 60), min_size=1, max_size=12)


def in_pieces(fabric: wse.Fabric, streams, pieces: list[int]) -> tuple:
    """Runs with all that a caller may look at between the pieces."""
    for cycles in pieces:
        before = fabric.cycle
        try:
            done = fabric.run(max_cycles=cycles, on_deadlock="return")
        except wse.FabricFault:
            break
        assert done.cycles <= fabric.cycle <= before + cycles
        assert done.ended != "limit" or fabric.cycle == before + cycles
        total = sum(done.counters[name] for name in done.counters if name.startswith(("busy", "stall", "idle")))
        has_code = fabric.image.class_of_pe != wse.program.image.NO_CLASS
        assert (total[has_code] == done.cycles).all()
    return observed(fabric, streams)


@settings(max_examples=40)
@given(scenes(), PIECES, st.integers(1, 2))
def test_random_fabrics(scene, pieces, threads):
    def made():
        fabric, streams = scene.fabric(threads=threads)
        return fabric, streams.values()

    whole = observed(*made())
    parts = in_pieces(*made(), pieces)
    assert parts[1:3] == whole[1:3]
    # compute elements may have run ahead of the cycle of a fault; where in a row of cycles one waited is not told apart
    assert whole[1] or (set(whole[0].diff(parts[0])) <= {"series"} and whole[3] == parts[3])

    # the engine itself, called again and again, as Fabric.run does it
    fabric, streams = made()
    fabric.image.check(fabric._attached())
    for cycles in pieces:
        fabric._engine.run(fabric.cycle + cycles)
    again = observed(fabric, streams)
    assert again[1:3] == whole[1:3]
    assert whole[1] or (whole[0].same(again[0]) and whole[3] == again[3])


@settings(max_examples=30)
@given(st.integers(0, 1000), PIECES, st.sampled_from(ARCHS), st.booleans())
def test_programs(seed, pieces, arch, traced):
    grid = Grid(3, 4, Machine(arch), seed)
    options = {"trace": 20_000} if traced else {}
    whole = observed(*grid.fabric(**options))
    parts = in_pieces(*grid.fabric(**options), pieces)
    expect_same(whole, parts)


@pytest.mark.parametrize("limit", [0, 1, 2, 37])
def test_nothing_happens_at_the_limit_or_after_it(limit):
    def declare(pe):
        pe.local_task("main", 9, active=True)

    code = "main: mark 1\njmp main"
    ran = bench(code, declare=declare, max_cycles=limit, trace=1000, on_deadlock="return")
    assert ran.run.ended == "limit" and ran.fabric.cycle == limit
    assert [cycle for cycle, _, _ in ran.events("MARK")] == list(range(2, limit, 7))  # a jump takes six cycles


def test_an_endless_loop_ends_at_the_limit():
    ran = run("loop: jmp loop", max_cycles=10_000_000)
    assert ran.run.ended == "limit" and ran.fabric.cycle == 10_000_000


def test_a_limit_in_the_middle_of_a_long_instruction():
    def declare(pe):
        pe.local_task("main", 9, active=True)

    takes = Machine("wse3").fdiv_latency
    for limit in (3, 40, takes + 2, takes + 3):
        ran = bench("main: sdiv r1, r1, r1\nmark 1\ndone", declare=declare, max_cycles=limit, on_deadlock="return")
        assert ran.run.cycles == (3 if limit < takes + 3 else limit)
        assert ran.run.ended == "limit"
        more = ran.fabric.run()
        assert more.cycles == 2 + takes + 2 and more.counters["stall_latency"][0, 0] == takes - 1


@pytest.mark.parametrize("arch", ARCHS)
def test_a_limit_in_the_middle_of_an_operation(arch):
    def declare(pe):
        pe.local_task("main", 9, active=True)
        array = pe.array("array", 100, "f32", init=1)
        pe.dsd("all", wse.mem1d(array))

    code = "main: dsr d0, all\ndsr a0, all\ndsr b0, all\nfmacs d0, a0, b0, r1\nmark 1\ndone"
    first = 2 + 15 - 1 + 4 + 4  # task start, three DSR loads, to the operation, to its first element
    for limit in (first, first + 1, first + 57, first + 199, first + 200, first + 201):
        ran = bench(code, arch, declare=declare, max_cycles=limit, on_deadlock="return")
        # source and source are one array, and so always in one bank: two slots an element
        done = max(0, min(200, limit - first))
        assert ran.counter("busy_vector") + ran.counter("stall_bank") == done
        more = ran.fabric.run()
        assert more.total("busy_vector") == more.total("stall_bank") == 100


def test_asking_to_stop():
    p = wse.Program(1, 1)
    pe = p.pe_class("pe")
    pe.code("main: jmp main")
    pe.local_task("main", 9, active=True)
    p.place(pe)
    f = wse.Fabric(p)

    def stop(cycle: int) -> None:
        if cycle > 1000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as interrupt:
        f.run(progress=stop)
    assert interrupt.value.run.ended == "interrupted" and interrupt.value.run.cycles > 1000
    assert f.run(max_cycles=5).ended == "limit"


def test_a_quiet_fabric_stands_still():
    ran = run("nop")
    cycle = ran.fabric.cycle
    assert cycle == ran.run.cycles
    for _ in range(3):
        assert ran.fabric.run().cycles == ran.fabric.cycle == cycle
