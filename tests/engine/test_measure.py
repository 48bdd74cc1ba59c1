"""What is counted: every cycle of a PE once, and every sum the same whichever way it is taken."""

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
    has_code = f.program.class_of_pe != wse.program.NO_CLASS
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
    kinds = {name: wse.isa.INSTRUCTION[name].kind for name in done.opcodes}
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
    for code, more in (
        ("nop\nnop", {"busy_scalar": 2}),
        ("mov r1, 5\nbz r1, 0", {"busy_scalar": 2, "stall_branch": 2}),
        ("jmp .x\n.x: nop", {"busy_scalar": 2, "stall_branch": 5}),
        ("sadd r1, r2, r3\nsadd r1, r1, r3", {"busy_scalar": 2, "stall_latency": 1}),
        ("sdiv r1, r2, r3", {"busy_scalar": 1, "stall_latency": 49}),
        ("idivu16 r1, r2, r3", {"busy_scalar": 1, "stall_latency": 35}),
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
    # a wavelet that does not come: 20 cycles apart
    waits = more("mov32 d0, a0", memory=bytes(64), dsrs={"d0": mem(0, 4, 4), "a0": fabin(4)},
                 inputs={WEST: [1, 2, 3, 4]}, rate=1 / 40, trace=100)  # fmt: skip
    # the first has come; the fourth comes 120 cycles after it, by the ramp in 3 or 2 more
    arrives = m.hop_cycles + 120 + m.ramp_in_cycles
    first = m.task_start_cycles + 10 + 4 + 1 + m.op_start_cycles  # two DSRs, four nops, tsc
    assert waits == {"busy_vector": 4, "stall_start": start, "stall_input": arrives - first - 3}


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
    types = wse.isa.INSTRUCTION[name].types
    operands = ["d0", "a0", "b0", "r1"]
    text = ", ".join(operand for operand, type in zip(operands, types, strict=True) if type != "NONE")
    dsrs = {"d0": mem(0, 7), "a0": mem(32, 7), "b0": mem(64, 7)}
    assert run(f"{name} {text}", memory=bytes(128), dsrs=dsrs).counter("flops") == 7 * flops
