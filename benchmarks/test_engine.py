"""The engine's inner loops, one at a time: pytest benchmarks --benchmark-only.

Each round is checked for what it must have done, so that a loop that does less is not taken for a faster one.
`wse bench` measures whole machines; these say which loop a difference comes from.
"""

import numpy as np
import pytest

import wse
from wse.bench.programs import Scalar, Streams, Tasks
from wse.machine import numerics

MACHINE = wse.Machine("wse3")
ELEMENTS, REPEATS = 4096, 250


def vector_loop(op: str, dtype: str, other: str, extra: str) -> wse.Fabric:
    """A PE that runs an operation of ELEMENTS elements REPEATS times, over memory only."""
    p = wse.Program(1, 1, MACHINE)
    pe = p.pe_class("loop")
    y = pe.array("y", ELEMENTS, dtype)
    x = pe.array("x", ELEMENTS, other, offset=8)
    pe.dsd("to", wse.mem1d(y))
    pe.dsd("own", wse.mem1d(y))
    pe.dsd("in", wse.mem1d(x))
    operands = {"mov16": "d0, b0", "mov32": "d0, b0"}.get(op, f"d0, a0, b0{extra}")
    pe.code(
        "main:\n dsr d0, to\n dsr a0, own\n dsr b0, in\n mov r3, 0.5h\n mov r5, 0.5s\n"
        f" mov r4, {REPEATS}\n.again:\n {op} {operands}\n isub32 r4, r4, 1\n bnz r4, .again\n done\n"
    )
    pe.local_task("main", 9)
    p.place(pe)
    return wse.Fabric(p)


@pytest.mark.parametrize(
    ("op", "dtype", "other", "extra"),
    [
        ("mov16", "f16", "f16", ""),
        ("mov32", "f32", "f32", ""),
        ("faddh", "f16", "f16", ""),
        ("fmulh", "f16", "f16", ""),
        ("fmach", "f16", "f16", ", r3"),
        ("fadds", "f32", "f32", ""),
        ("fmacs", "f32", "f32", ", r5"),
        ("fmachs", "f32", "f16", ", r3"),
    ],
)
def test_vector(benchmark, op, dtype, other, extra):
    fabric = vector_loop(op, dtype, other, extra)
    elements = []

    def run():
        fabric.launch("main")
        elements.append(fabric.run().total("elements"))

    benchmark(run)
    assert np.diff([0, *elements]).tolist() == [ELEMENTS * REPEATS] * len(elements)


def test_scalar_loop(benchmark):
    loop = Scalar.load(Scalar.program(16, 16, MACHINE, 200), 200)
    run = benchmark.pedantic(loop.run, rounds=10, warmup_rounds=1)
    loop.check(run)


@pytest.mark.parametrize("size", [64, 256])
def test_dense_streams(benchmark, size):
    fill, window, rounds = 2 * size + 64, 16384 // size, 10
    every = np.arange(size)
    length = fill + (rounds + 1) * window
    streams = Streams.load(Streams.program(size, size, MACHINE, every, every, length), every, every, length)
    streams.fabric.run(fill)
    run = benchmark.pedantic(streams.fabric.run, args=(window,), rounds=rounds, warmup_rounds=1)
    assert run.ended == "limit" and run.cycles == fill + (rounds + 1) * window
    assert streams.check(run) > 0


def test_task_for_each_wavelet(benchmark):
    tasks = []

    def load():
        tasks.append(Tasks.load(Tasks.program(16, 16, MACHINE), 500))
        return (tasks[-1].fabric,), {}

    run = benchmark.pedantic(lambda fabric: fabric.run(), setup=load, rounds=10)
    tasks[-1].check(run)


@pytest.mark.parametrize("fp16", ["f16", "bf16", "cb16"])
def test_conversion(benchmark, fp16):
    values = np.random.default_rng(0).uniform(-1, 1, 1 << 20).astype(np.float32)
    fmt = wse.machine.isa.FP16[fp16]
    bits = benchmark(wse._engine.s2h, fmt, values)
    assert np.array_equal(bits[::4096], numerics.to_bits(values[::4096], fp16))


def test_host_copies(benchmark):
    p = wse.Program(64, 64, MACHINE)
    pe = p.pe_class("memory")
    pe.array("a", (16, 16), "f16")
    p.place(pe)
    fabric = wse.Fabric(p)
    values = np.random.default_rng(0).integers(-1024, 1025, (64, 64, 16, 16)).astype(np.float32)

    def copy():
        fabric.write("a", values)
        return fabric.read("a")

    assert np.array_equal(benchmark(copy), values)
