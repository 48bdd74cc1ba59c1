"""What is counted: every cycle of a PE once, and every sum the same whichever way it is taken.

Covers: csrc/fabric/measure.c, csrc/observe/account.c
"""

import numpy as np
import pytest
from engine.grids import Grid
from engine.scenes import scenes
from harness import ARCHS, LOOP, WEST, Ran, fabin, fabout, mem, run
from hypothesis import given, settings
from hypothesis import strategies as st

import wse
from wse import Machine

archs = pytest.mark.parametrize("arch", ARCHS)
CAUSES = ("busy", "stall", "idle")


def expect_consistent(f: wse.Fabric, done: wse.Run) -> None:
    has_code = f.program.class_of_pe != wse.program.image.NO_CLASS
    total = sum(plane for name, plane in done.counters.items() if name.startswith(CAUSES))
    assert (total[has_code] == done.cycles).all()
    assert (total[~has_code] == 0).all()
    # the series, in bins of cycles
    bins = done.series.shape[0]
    assert done.bin_cycles * bins >= done.cycles
    busy, hops, flops, stalled = done.series.sum(axis=0).tolist()
    assert busy == done.busy.sum()
    assert hops == done.links[:4].sum() == done.wavelet_hops
    assert flops == done.total("flops")
    assert stalled == done.total("stall_input") + done.total("stall_output")
    used = -(-done.cycles // done.bin_cycles)
    assert not done.series[used:].any()
    assert (done.series[:, 0] <= done.bin_cycles * has_code.sum()).all()
    if done.activity is not None:
        assert np.array_equal(done.activity.sum(axis=0), done.busy)
        assert np.array_equal(done.activity.sum(axis=(1, 2)), done.series[:, 0])
    # links by place and by color
    assert np.array_equal(done.colors[:, :, 0].sum(axis=0), done.links.sum(axis=(1, 2)))
    assert np.array_equal(done.colors[:, :, 1].sum(axis=0), done.blocked.sum(axis=(1, 2), dtype=np.uint64))
    # instructions
    kinds = {name: wse.machine.isa.INSTRUCTION[name].kind for name in done.opcodes}
    for kind, counter in (("scalar", "scalars"), ("vector", "vectors"), ("system", "systems")):
        assert sum(n for name, n in done.opcodes.items() if kinds[name] == kind) == done.total(counter)


@settings(max_examples=40)
@given(scenes(), st.sampled_from([1, 7, 64]), st.integers(1, 2))
def test_random_fabrics(scene, bins, threads):
    f, _ = scene.fabric(bins=bins, activity=True, threads=threads)
    try:
        done = f.run(max_cycles=500, on_deadlock="return")
    except wse.FabricFault:
        return
    expect_consistent(f, done)
    model = scene.model()
    model.run(500)
    for (x, y), pe in model.pes.items():
        elements = {MAIN: 0, **{thread: op.done for thread, op in pe.threads.items()}}
        main = elements.pop(MAIN)
        assert done.counters["busy_vector"][y, x] == main
        assert done.counters["busy_micro"][y, x] == sum(elements.values())
        assert done.counters["elements"][y, x] == main + sum(elements.values())


MAIN = 8  # of the model


@pytest.mark.parametrize("seed", range(10))
def test_programs(seed):
    for bins in (1, 5, 64):
        f, _ = Grid(3, 4, Machine(ARCHS[seed % 2]), seed).fabric(bins=bins, activity=True)
        expect_consistent(f, f.run())


def shares(ran: Ran) -> dict[str, int]:
    return {name: ran.counter(name) for name in ran.run.counters if name.startswith(CAUSES) and ran.counter(name)}


@archs
def test_causes_of_scalar_code(arch):
    base = shares(run("", arch))
    m = Machine(arch)
    for code, more in (
        ("nop\nnop", {"busy_scalar": 2}),
        ("mov r1, 5\nbz r1, 0", {"busy_scalar": 2, "stall_branch": 2}),
        ("jmp .x\n.x: nop", {"busy_scalar": 2, "stall_branch": 5}),
        ("sadd r1, r2, r3\nsadd r1, r1, r3", {"busy_scalar": 2, "stall_latency": 1}),
        ("sdiv r1, r2, r3", {"busy_scalar": 1, "stall_latency": 105}),
        ("sel r1, r2, r3, r4", {"busy_scalar": 1, "stall_latency": 3}),
        ("idivu16 r1, r2, r3", {"busy_scalar": 1, "stall_latency": 35}),
        ("cfgld r1, 0x7f20", {"busy_scalar": 1, "stall_latency": m.config_cycles - 1}),
        ("tdexit 0", {"busy_scalar": 1, "stall_latency": m.config_cycles - 1}),
        ("c2dstart", {"busy_scalar": 1, "stall_latency": m.collective_cycles - 1}),
    ):
        got = shares(run(code, arch))
        assert {name: got[name] - base.get(name, 0) for name in got if got[name] != base.get(name, 0)} == more, code


@archs
def test_causes_of_operations(arch):
    m = Machine(arch)
    base = shares(run("", arch))

    def more(code: str, **options) -> dict[str, int]:
        ran = run(code, arch, **options)
        expect_consistent(ran.fabric, ran.run)
        loads = 4 * len(options["dsrs"])
        got = shares(ran)
        got["busy_scalar"] -= loads + len(options["dsrs"])
        return {name: got[name] - base.get(name, 0) for name in got if got[name] != base.get(name, 0)}

    start = m.op_start_cycles + m.op_drain_cycles + 1 - 1  # the cycle of the dispatch, three before the first element
    dsrs = {"d0": mem(64, 8, 4), "a0": mem(0, 8, 4), "b0": mem(4, 8, 4)}
    # fmacs, one element a slot: operands in banks 0 1 and 2 3 do not conflict, 0 1 and 0 1 do
    assert more("fmacs d0, a0, b0, r1", memory=bytes(128), dsrs=dsrs) == {"busy_vector": 8, "stall_start": start}
    conflict = more("fmacs d0, a0, b0, r1", memory=bytes(128), dsrs=dsrs | {"b0": mem(16, 8, 4)})
    assert conflict == {"busy_vector": 8, "stall_bank": 8, "stall_start": start}
    # every second element: banks 0 1 or 4 5, against 2 3 or 6 7, and against the same
    for base_of_b, banks in ((4, None), (16, 8)):
        strided = dsrs | {"a0": mem(0, 8, 8), "b0": mem(base_of_b, 8, 8)}
        got = more("fmacs d0, a0, b0, r1", memory=bytes(128), dsrs=strided)
        assert got.get("stall_bank") == banks
    # a wavelet that does not come: 20 cycles apart
    waits = more("mov32 d0, a0", memory=bytes(64), dsrs={"d0": mem(0, 4, 4), "a0": fabin(4)},
                 inputs={WEST: [1, 2, 3, 4]}, rate=1 / 40, trace=100)  # fmt: skip
    # the first has come; the fourth comes 120 cycles after it, by the ramp in 3 or 2 more
    arrives = m.hop_cycles + 120 + m.ramp_in_cycles
    first = m.task_start_cycles + 10 + 4 + 1 + m.op_start_cycles  # two DSRs, four nops, tsc
    assert waits == {"busy_vector": 4, "stall_start": start, "stall_input": arrives - first - 3}


@settings(max_examples=60)
@given(
    st.tuples(st.integers(0, 15), st.integers(0, 15)),
    st.tuples(st.sampled_from([-8, -4, -2, 2, 4, 6, 8, 12, 14, 16]), st.sampled_from([-8, -4, 2, 4, 6, 8, 10, 16])),
    st.sampled_from([4, 8]),
)
def test_conflicts_of_banks(first, strides, banks):
    """fmacs takes an element a slot, which is a second one longer if its two sources share one of the banks."""
    n, base = 8, (512, 768)
    starts = [at + 2 * word for at, word in zip(base, first, strict=True)]
    shared = 0
    for i in range(n):
        places = [
            {(at + i * by) // 2 % banks, ((at + i * by) // 2 + 1) % banks}
            for at, by in zip(starts, strides, strict=True)
        ]
        shared += bool(places[0] & places[1])
    ran = run(
        "fmacs d0, a0, b0, r1",
        Machine("wse3", overrides={"sram_banks": banks}),
        memory=bytes(1024),
        dsrs={"d0": mem(0, n, 4), "a0": mem(starts[0], n, strides[0]), "b0": mem(starts[1], n, strides[1])},
    )
    assert ran.counter("stall_bank") == shared


@archs
def test_traffic_of_memory_and_wavelets(arch):
    dsrs = {"d0": mem(64, 5, 4), "a0": mem(0, 5, 4), "b0": mem(32, 5)}
    ran = run("fmachs d0, a0, b0, r1", arch, memory=bytes(128), dsrs=dsrs)
    base = run("", arch, memory=bytes(128), dsrs=dsrs)
    assert ran.counter("sram_read") - base.counter("sram_read") == 5 * (4 + 2)
    assert ran.counter("sram_write") - base.counter("sram_write") == 5 * 4
    assert (ran.counter("flops"), ran.counter("elements"), ran.counter("vectors")) == (10, 5, 1)
    dsrs = {"d0": fabout(6, 3, LOOP), "a0": mem(0, 6), "d1": mem(64, 6), "a1": fabin(6, 4)}
    ran = run("mov16 d0, a0 {async}\nmov16 d1, a1", arch, memory=bytes(128), dsrs=dsrs)
    assert (ran.counter("wavelets_in"), ran.counter("wavelets_out"), ran.counter("tasks")) == (6, 6, 1)
    assert ran.run.links[4, 0, 0] == 6 and ran.run.wavelet_hops == 0
    assert ran.run.colors[LOOP, 4].tolist() == [6, 0]


@pytest.mark.parametrize(("name", "flops"), [("faddh", 1), ("fmach", 2), ("fmacs", 2), ("fmachs", 2), ("fmaxs", 1),
                                             ("add16", 0), ("fmovs", 0), ("fnegh", 0)])  # fmt: skip
def test_flops(name, flops):
    types = wse.machine.isa.INSTRUCTION[name].types
    operands = ["d0", "a0", "b0", "r1"]
    text = ", ".join(operand for operand, type in zip(operands, types, strict=True) if type != "NONE")
    dsrs = {"d0": mem(0, 7), "a0": mem(32, 7), "b0": mem(64, 7)}
    assert run(f"{name} {text}", memory=bytes(128), dsrs=dsrs).counter("flops") == 7 * flops


@archs
@pytest.mark.parametrize("apart", [1, 40, 100])
def test_a_loop_over_wavelets_waits_for_each(arch, apart):
    """mapstep and a multiply-add of n elements for each wavelet: late ones are waited for, and no operation begins before
    its wavelet is there, so that the last one's time is behind the last arrival."""
    n, wavelets = 30, 6
    loop = ".next: mapstep r1, b1, .end\nfmacs d0, a0, b0, r1\nmaploop .next\n.end: nop"
    dsrs = {"d0": mem(128, n, 4), "a0": mem(128, n, 4), "b0": mem(4, n, 4), "b1": fabin(wavelets)}
    ran = run(loop, arch, memory=bytes(256), dsrs=dsrs, inputs={WEST: [1] * wavelets}, rate=1 / apart)
    expect_consistent(ran.fabric, ran.run)
    got = shares(ran)
    assert got["busy_vector"] == n * wavelets
    m = Machine(arch)
    last = m.hop_cycles + apart * (wavelets - 1) + m.ramp_in_cycles
    if apart < n:
        assert "stall_input" not in got
    else:
        assert ran.run.cycles >= last + m.op_start_cycles + n
        assert ran.run.cycles <= last + m.op_start_cycles + n + m.op_drain_cycles + run("", arch).run.cycles
        # Between two operations the machine is busy for n cycles, starts and drains for a few, and else waits.
        few = m.op_start_cycles + m.op_drain_cycles
        waits = (wavelets - 1) * (apart - n - few - 1)
        assert waits - wavelets * few <= got["stall_input"] <= waits + (wavelets - 1) * (few + 1) + 2


@archs
def test_a_wait_for_a_microthread_is_for_what_it_waits_for(arch):
    """The second asynchronous operation needs the microthread of the first, which waits for wavelets."""
    code = "mov32 d0, a0 {async, ut=1}\nmov32 d1, a1 {async, ut=1}"
    dsrs = {"d0": mem(0, 3, 4), "a0": fabin(3), "d1": mem(16, 1, 4), "a1": fabin(1)}
    options = dict(memory=bytes(64), dsrs=dsrs, inputs={WEST: [1, 2, 3, 4]}, trace=100)
    slow, fast = (run(code, arch, rate=rate, **options) for rate in (1 / 50, 1))
    for ran in (slow, fast):
        expect_consistent(ran.fabric, ran.run)
    slow, fast = shares(slow), shares(fast)
    assert slow["stall_input"] > fast.get("stall_input", 0) + 80
    assert {name: slow[name] for name in slow if name != "stall_input"} == pytest.approx(
        {name: fast[name] for name in slow if name != "stall_input"}, abs=6
    )


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 60), min_size=1, max_size=8), st.integers(1, 40), st.booleans())
def test_waiting_loops_do_not_depend_on_how_they_are_stepped(gaps, elements, trace):
    """Wavelets at any distances: memory, cycles and all counters are the same for every tile and with a trace."""

    def measured(**options):
        p = wse.Program(2, 1)
        p.color("line", 0)
        p.route("line", rx="W", tx="RE")
        pe = p.pe_class("pe")
        pe.queue_in(2, "line")
        pe.dsd("in", wse.fabin(2, len(gaps)))
        pe.dsd("xs", wse.mem1d(pe.array("x", elements, "f32", offset=8)))
        pe.dsd("ys", wse.mem1d(pe.array("y", elements, "f32")))
        pe.local_task("main", 9, active=True)
        pe.code(
            "main: dsr d0, ys\n dsr a0, ys\n dsr b0, xs\n dsr b1, in\n"
            ".next: mapstep r1, b1, .end\n fadds d0, a0, b0\n maploop .next\n.end: done"
        )
        p.place(pe)
        f = wse.Fabric(p, **options)
        f.fill("x", 1.0)
        at = np.cumsum(gaps)
        f.stream_in(0, 0, "W", "line", np.ones(len(gaps), np.float32), segments=[wse.Segment(1, int(c)) for c in at])
        f.stream_out(1, 0, "E", "line")
        done = f.run()
        assert (f.read("y") == len(gaps)).all()
        expect_consistent(f, done)
        return done.cycles, {name: plane.tolist() for name, plane in done.counters.items()}

    expected = measured(tile=1)
    for options in (dict(tile=8), dict(tile=3), dict(threads=2), dict(trace=1000 if trace else 0)):
        assert measured(**options) == expected
