"""Profiles: every cycle of a PE by instruction and cause, and nothing else changes.

Covers: csrc/observe/profile.c, csrc/pe/scalar_profiled.c, csrc/tables/causes.def
"""

import numpy as np
import pytest
from engine.differential import differences, observe
from engine.generated import Plan
from harness import ARCHS, LOOP

import wse
from wse import Machine
from wse.fabric.run import CAUSES

GROUPS = {
    "STALL_QUEUE": ["stall_input", "stall_output"],
    "STALL_MAIN": ["stall_start", "stall_branch", "stall_latency"],
}


def expect_sums(program: wse.Program, run: wse.Run, profile: dict[str, np.ndarray]) -> None:
    """The causes of each class are its counters."""
    of_group: dict[str, list[str]] = {}
    for name, counter, _ in wse._engine.causes():
        of_group.setdefault(counter, []).append(name.lower())
    for index, counts in enumerate(profile.values()):
        here = program.class_of_pe == index
        times, *cycles = counts.sum(axis=0).tolist()
        by_cause = dict(zip(CAUSES, cycles, strict=True))
        for counter, names in of_group.items():
            counted = sum(int(run.counters[c][here].sum()) for c in GROUPS.get(counter, [counter.lower()]))
            assert sum(by_cause[name] for name in names) == counted, (counter, by_cause)
        assert times == sum(int(run.counters[c][here].sum()) for c in ("scalars", "vectors", "systems"))
        assert sum(cycles) == int(here.sum()) * run.cycles


@pytest.mark.parametrize("seed", range(40))
def test_random_programs(seed):
    plan = Plan.of_seed(seed)
    program = plan.program()
    plain = observe(*plan.fabric(program), plan.max_cycles)
    profiles = []
    for options in ({"reference": True}, {"threads": 2}, {}):
        fabric, streams = plan.fabric(program, **options)
        fabric.keep_profile()
        profiled = observe(fabric, streams, plan.max_cycles)
        assert not differences(plain, profiled, False, True)
        if profiled.fault:
            return
        expect_sums(program, profiled.run, fabric.profile())
        profiles.append(fabric.profile())
    for name, expected in profiles[0].items():
        for other in profiles[1:]:
            assert np.array_equal(expected, other[name])


def spent(text: str, arch: str) -> list[dict[str, int]]:
    """Cycles by cause of each instruction of a task that runs once, without those of issue; the last of none."""
    p = wse.Program(1, 1, Machine(arch))
    loop = p.color("loop", LOOP)
    p.route(loop, "R", "R", 0, 0)
    a = p.shared_array("a", 32, "f32")
    pe = p.pe_class("all")
    pe.queue_out(3, LOOP)
    pe.queue_in(4, LOOP)
    for name, descriptor in {
        "x": wse.mem1d(a, length=8),
        "y": wse.mem1d(a, length=8, offset=8),
        "ten": wse.mem1d(a, length=10, offset=8),
        "out": wse.fabout(3, loop, 10),
        "in": wse.fabin(4, 10),
        "one": wse.mem1d(a, length=1, offset=8),
        "out_one": wse.fabout(3, loop, 1),
        "in_one": wse.fabin(4, 1),
    }.items():
        if f", {name}\n" in text:
            pe.dsd(name, descriptor)
    pe.local_task("main", 9, active=True)
    pe.code(f"main: {text}\ndone")
    p.place(pe, 0, 0)
    fabric = wse.Fabric(p)
    fabric.keep_profile()
    fabric.run()
    rows = fabric.profile()["all"][:, 1:].tolist()
    return [{n: v for n, v in zip(CAUSES, row, strict=True) if v and n != "issue"} for row in rows]


@pytest.mark.parametrize("arch", ARCHS)
def test_causes_of_scalar_code(arch):
    m = Machine(arch)
    start = {"task": m.task_start_cycles}

    def expect(text: str, *causes: dict[str, int]) -> None:
        first, *rest, _done, none = spent("nop\n" + text, arch)
        assert first == start and none == {}
        assert rest == list(causes), text

    expect("iadd32 r1, r2, 1", {})
    expect("mov r1, 1\nbz r1, 0", {}, {"branch": m.branch_not_taken - 1})
    expect("jmp .x\n.x: nop", {"branch": m.branch_taken - 1}, {})
    expect("sadd r1, r2, r3\nsadd r1, r1, r3", {}, {"result": m.fp_latency - 1})
    expect("sadd r1, r2, r3\nnop\nsadd r1, r1, r3", {}, {}, {})
    expect("sadd r1, r2, r3\nst32 r1, [96]", {}, {})
    expect("sdiv r1, r2, r3\nnop", {"routine": m.fdiv_latency - 1}, {})
    expect("ld32 r2, [r1]\niadd32 r2, r2, 1", {}, {"load": m.load_latency - 1})
    expect("ld32 r2, [r1]\nst32 r2, [96]", {}, {"load": m.load_latency - 2})
    late = {"load": m.load_latency - 2, "branch": m.branch_not_taken - 1}
    expect("ld32 r2, [r1 + 4]\nnop\nbnz r2, 0", {"offset": m.offset_cycles}, {}, late)
    expect(f"cfgld r1, {0x7F20 + LOOP}\nnop", {"config": m.config_cycles - 1}, {})
    expect("c2dstart\nnop", {"config": m.collective_cycles - 1}, {})
    # a branch keeps its cycles; what comes after it waits for the rest only
    taken = m.branch_taken - 1
    expect("sadd r1, r2, r3\njmp .x\n.x: sadd r1, r1, r3", {}, {"branch": taken}, {})


@pytest.mark.parametrize("arch", ARCHS)
def test_a_late_load(arch):
    p = wse.Program(1, 1, Machine(arch, overrides={"int_latency": 2}))
    pe = p.pe_class("all")
    pe.local_task("main", 9, active=True)
    pe.code("main: ld32 r1, [96]\niadd32 r1, r1, 1\nsadd r2, r1, r1\ndone")
    p.place(pe, 0, 0)
    fabric = wse.Fabric(p)
    fabric.keep_profile()
    fabric.run()
    load, arithmetic = 1 + CAUSES.index("load"), 1 + CAUSES.index("result")
    rows = fabric.profile()["all"]
    assert rows[:, load].tolist() == [0, 1, 0, 0, 0]
    assert rows[:, arithmetic].tolist() == [0, 0, 1, 0, 0]


@pytest.mark.parametrize("arch", ARCHS)
def test_causes_of_operations(arch):
    m = Machine(arch)
    loads = "dsr d0, y\ndsr a0, x\n"
    count = len(spent(loads, arch)) - 2

    def of(text: str, loads: str = loads) -> list[dict[str, int]]:
        *rest, _done, none = spent(loads + text, arch)
        assert none == {}
        return rest[len(spent(loads, arch)) - 2 :]

    assert count > 2
    slots = {"wse2": 4, "wse3": 2}[arch]
    # the operation starts op_start cycles after its dispatch, which comes dsr_to_op cycles after the last load
    (one,) = of("fmovs d0, a0")
    drain = m.op_drain_cycles
    expected = {"elements": slots, "dsr": m.dsr_to_op_cycles - 1, "start": m.op_start_cycles, "drain": drain}
    assert one == expected
    # the next operation begins after a bubble; only the last one has to end before what follows
    first, second = of("fmovs d0, a0\nfmovs d0, a0")
    assert first == {"elements": slots, "dsr": m.dsr_to_op_cycles - 1, "start": m.op_start_cycles}
    assert second == {"elements": slots, "start": m.op_restart_cycles, "drain": drain}
    # one that reads what the operation before it writes waits until it is written
    again, reads = of("fmovs d0, a0\nfmovs d1, a1", "dsr d0, y\ndsr a0, x\ndsr d1, x\ndsr a1, y\n")
    assert again == first and reads["reuse"] > 0
    # a float as an operand
    _, operand = of("sadd r1, r2, r3\nfmovs d0, r1")
    assert operand["result"] == m.fp_latency - 1 and operand["start"] == m.op_start_cycles


@pytest.mark.parametrize("arch", ARCHS)
def test_microthreads_count_where_they_started(arch):
    loads = "dsr d2, out\ndsr a2, ten\ndsr d3, ten\ndsr a3, in\n"
    *_, received, sent, done, none = spent(loads + "mov32 d3, a3 {async}\nmov32 d2, a2", arch)
    assert received["micro"] == sent["elements"] == 10 and "micro" not in sent
    assert done == none == {}
    # no task is left, and the microthread waits for its wavelet
    one = "dsr d2, out_one\ndsr a2, one\ndsr d3, one\ndsr a3, in_one\n"
    *_, received, sent, done, none = spent(one + "mov32 d3, a3 {async}\nmov32 d2, a2", arch)
    assert received["micro"] == 1 and received["input"] > 0
    assert done == {} and set(none) <= {"idle"}
    # the main thread waits for a microthread that is busy
    twice = "mov32 d2, a2 {async}\nmov32 d2, a2 {async}\nmov32 d3, a3\nmov32 d3, a3"
    *_, first, waits, received, last, _, _ = spent(loads + twice, arch)
    assert first["micro"] == waits["micro"] == 10 and waits["thread"] > 0 and "thread" not in first
    assert received["elements"] == last["elements"] == 10
