"""One thread or many, with special instructions or without: the same machine.

Covers: csrc/fabric/run.c, csrc/fabric/tile.c, csrc/fabric/barrier.c
"""

import contextlib
import os
import subprocess
import sys

import numpy as np
import pytest
from engine.grids import Grid, N
from engine.programs import RandomProgram
from engine.scenes import scenes
from harness import ARCHS
from hypothesis import example, given, settings
from hypothesis import strategies as st

import wse
from wse import Machine


def observed(fabric: wse.Fabric, streams, max_cycles=None) -> tuple:
    """The run, and all that the machine holds afterwards; a fault is an outcome too."""
    try:
        run = fabric.run(max_cycles=max_cycles, on_deadlock="return")
        fault = None
    except wse.FabricFault as error:
        run, fault = error.run, str(error)
    passed = [(s.data.tolist(), s.control.tolist(), s.cycles.tolist()) for s in streams]
    memory = np.empty(fabric.width * fabric.height * wse._engine.SRAM, np.uint8)
    fabric._engine.read(0, 0, fabric.width, fabric.height, 0, memory)
    return run, fault, passed, memory.tobytes(), fabric.cycle


def expect_same(one: tuple, other: tuple) -> None:
    assert one[0].diff(other[0]) == []
    assert one[1:] == other[1:]


@settings(max_examples=25)
@given(scenes(), st.sampled_from([False, True, "avx2"]))
def test_random_fabrics(scene, portable):
    first = None
    for threads in (1, 2, 3, 4):
        fabric, streams = scene.fabric(threads=threads, trace=2000, activity=True, portable=portable and threads > 1)
        seen = observed(fabric, streams.values(), max_cycles=400)
        first = first or seen
        expect_same(first, seen)


@pytest.mark.parametrize("seed", range(12))
def test_programs(seed):
    machine = Machine(ARCHS[seed % 2], "silicon" if seed % 4 == 3 else "simulator")
    grid = Grid(4, 7, machine, seed)
    fabric, outs = grid.fabric(trace=100_000, activity=True)
    first = observed(fabric, outs)
    assert first[0].ended == "done"
    data = [np.array(words, np.uint32).view(np.float32) for words, _, _ in first[2]]
    assert np.array_equal(data, grid.expected())
    assert (fabric.host_signals == 7).all()
    for threads in (2, 3, 4, 7, 9):
        fabric, outs = grid.fabric(trace=100_000, activity=True, threads=threads, portable=threads == 4)
        expect_same(first, observed(fabric, outs))


@pytest.mark.parametrize("seed", range(8))
def test_recording_changes_nothing(seed):
    grid = Grid(3, 5, Machine(ARCHS[seed % 2]), seed)
    first, *rest = observed(*grid.fabric(trace=100_000, bins=16))
    fabric, outs = grid.fabric(bins=16)
    second, *others = observed(fabric, outs)
    assert first.diff(second) == ["events"]
    assert rest == others


@settings(max_examples=80)
@given(scenes(), st.integers(1, 3), st.integers(0, 8), st.sampled_from([False, True, "avx2"]))
def test_tiles(scene, threads, tile, portable):
    """A trace keeps events in order of cycles, and so is made cycle by cycle."""
    fabric, streams = scene.fabric(trace=2000, activity=True)
    by_cycles = observed(fabric, streams.values(), max_cycles=400)
    fabric, streams = scene.fabric(threads=threads, tile=tile, activity=True, portable=portable)
    same_unless_fault(by_cycles, observed(fabric, streams.values(), max_cycles=400), {"events", "events_dropped"})


@pytest.mark.parametrize("seed", range(4))
def test_borders_of_tiles(seed):
    grid = Grid(2, 47, Machine(ARCHS[seed % 2]), seed)
    first = observed(*grid.fabric(tile=1))
    for threads in (1, 2, 3, 5, 15, 16):
        for tile in range(9):
            expect_same(first, observed(*grid.fabric(threads=threads, tile=tile)))


def test_more_threads_than_rows():
    grid = Grid(3, 1, Machine("wse3"), 5)
    first = observed(*grid.fabric())
    expect_same(first, observed(*grid.fabric(threads=16)))
    assert len(first[2][0][0]) == N


def same_unless_fault(one: tuple, other: tuple, but: set[str] = frozenset()) -> None:
    """A fault is the same however it is run; what others had done by then is not: they run ahead of each other."""
    assert one[1] == other[1]
    if one[1] is None:
        assert set(one[0].diff(other[0])) <= but
        assert one[2:4] == other[2:4]


@settings(max_examples=60)
@given(
    st.integers(0, 1 << 32),
    st.sampled_from(["wse2", "wse3", "silicon"]),
    st.integers(2, 5),
    st.integers(0, 8),
    st.sampled_from([False, True, "avx2"]),
)
def test_random_programs(seed, column, threads, tile, portable):
    machine = Machine("wse3", "silicon") if column == "silicon" else Machine(column)
    program = RandomProgram(seed, machine)
    first = observed(*program.fabric(), max_cycles=3000)
    same_unless_fault(first, observed(*program.fabric(threads=threads, tile=tile, portable=portable), max_cycles=3000))
    recorded = program.fabric(threads=threads, trace=1000, activity=True, portable=not portable)
    same_unless_fault(first, observed(*recorded, max_cycles=3000), {"events", "events_dropped", "activity"})


@settings(max_examples=40)
@example(124564, "wse2", 1)
@example(124564, "wse3", 1)
@given(st.integers(0, 1 << 32), st.sampled_from(ARCHS), st.integers(1, 300))
def test_random_programs_piece_by_piece(seed, arch, piece):
    program = RandomProgram(seed, Machine(arch))
    whole = observed(*program.fabric(), max_cycles=20 * piece)
    fabric, streams = program.fabric(threads=2)
    with contextlib.suppress(wse.FabricFault):  # another call has it again
        while fabric.cycle < 19 * piece and fabric.run(max_cycles=piece, on_deadlock="return").ended == "limit":
            pass
    same_unless_fault(whole, observed(fabric, streams, max_cycles=20 * piece - fabric.cycle))


def test_more_threads_than_there_can_be():
    with pytest.raises(wse.ConfigError, match="threads is at most 64, not 100000: a run uses no more of them than"):
        Grid(3, 3, Machine("wse3"), 1).fabric(threads=100_000)
    expect_same(
        observed(*Grid(2, 200, Machine("wse3"), 1).fabric()),
        observed(*Grid(2, 200, Machine("wse3"), 1).fabric(threads=64)),
    )


WITHOUT_THREADS = """
import resource, threading
import wse
from engine.grids import Grid

fabric, _ = Grid(3, 30, wse.Machine("wse3"), 1).fabric(threads=4)
alone, _ = Grid(3, 30, wse.Machine("wse3"), 1).fabric()
expected = alone.run()
size = 1024 * int(next(line for line in open("/proc/self/status") if line.startswith("VmSize")).split()[1])
resource.setrlimit(resource.RLIMIT_AS, (size + (1 << 20), -1))  # no room for the stack of a thread
try:
    threading.Thread(target=print).start()
except RuntimeError:
    print("no thread")
assert fabric.run().same(expected)
print("the same")
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the limit of address space is Linux's")
def test_a_run_without_the_threads_it_would_take():
    """Where the host gives no thread, the caller's does all."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", WITHOUT_THREADS],
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )
    assert done.stdout == "no thread\nthe same\n", done.stderr


@settings(max_examples=10)
@given(scenes(), st.sampled_from([2, 3, 4]))
def test_one_thread_and_all_in_turn(scene, threads):
    """Stretches of one thread and of all of them, in one run or in pieces."""
    for piece in (70, 1, 7):
        seen = []
        for count in (1, threads):
            fabric, streams = scene.fabric(threads=count, trace=2000, activity=True, team="in turn")
            for _ in range(70 // piece):
                with contextlib.suppress(wse.FabricFault):
                    fabric.run(max_cycles=piece, on_deadlock="return")
            seen.append(observed(fabric, streams.values(), max_cycles=400))
        expect_same(*seen)
