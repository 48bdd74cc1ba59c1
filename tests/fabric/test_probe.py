"""Probe: stops at exact cycles, what PEs hold, and cycles and bits that do not change.

Covers: csrc/fabric/debug.c, csrc/observe/watch.h
"""

from collections import Counter
from contextlib import closing
from random import Random

import numpy as np
import pytest
from engine.generated import Plan
from replaying import state

import wse
from wse import _engine
from wse.bench.programs import Tasks
from wse.errors import ConfigError
from wse.fabric.probe import Probe, Stops
from wse.machine import WSE3

CODE = """
begin:
    mov r1, 0
    mov r2, 3
again:
    iadd32 r1, r1, 1
    st32 r1, [n]
    isub32 r2, r2, 1
    bnz r2, again
    dsr d0, out
    dsr a0, n_dsd
    fmovs d0, a0
    done
"""


def pair():
    """PE (0, 0) counts to three and sends the count to (1, 0), whose task stores it."""
    program = wse.Program(2, 1, WSE3)
    red = program.color("red")
    program.route(red, "R", "E", x=0)
    program.route(red, "W", "R", x=1)
    left = program.pe_class("left")
    n = left.array("n", 1, "u32")
    left.queue_out(2, red)
    left.dsd("n_dsd", wse.mem1d(n))
    left.dsd("out", wse.fabout(2, red, length=1))
    left.code(CODE)
    left.local_task("begin", 9)
    right = program.pe_class("right")
    right.array("n", 1, "u32")
    right.queue_in(2, red)
    right.code("take:\n    st32 r0, [n]\n    done")
    right.data_task("take", red)
    program.place(left, x=0)
    program.place(right, x=1)
    return program


def begun():
    fabric = wse.Fabric(pair())
    fabric.launch("begin", 0, 0, 1, 1)
    return fabric, Probe(fabric)


def marked(fabric, pcs, first=()):
    marks = np.zeros(len(fabric.image.classes[0].words), np.uint16)
    for pc in pcs:
        marks[pc] = 1 + (_engine.MARK_FIRST if pc in first else 0)
    return {0: marks}


def test_each_instruction_is_a_stop():
    fabric, probe = begun()
    seen = []
    while (found := probe.run(1000, stops=Stops(pes=[(0, 0)], step=(0, 0))))[0] == "stop":
        (stop,) = found[1]
        assert (stop.kind, stop.x, stop.y) == ("step", 0, 0) and probe.thread(0, 0).pc == stop.pc
        seen.append((fabric.cycle, stop.pc))
    assert found == ("quiet", [])
    loop = [2, 3, 4, 5]
    # the first instruction of a task is executed in the cycle in which it begins
    assert [pc for _, pc in seen] == [1, *loop * 3, *range(6, 6 + len(seen) - 13)] and len(seen) >= 24
    assert len({cycle for cycle, _ in seen}) == len(seen)


def test_marks_stop_where_a_line_begins():
    fabric, probe = begun()
    seen = []
    while probe.run(1000, stops=Stops(marks=marked(fabric, [2, 3], first=[2])))[0] == "stop":
        seen.append((probe.thread(0, 0).pc, fabric.read("n", 0, 0, 1, 1).item(), probe.registers(0, 0)[1]))
    assert seen == [(2, 0, 0), (2, 1, 1), (2, 2, 2)]
    fabric, probe = begun()
    once = 0
    while probe.run(1000, stops=Stops(marks=marked(fabric, range(2, 6))))[0] == "stop":
        once += 1
    assert once == 1  # no instruction of the loop is the first of its line: it is entered once
    fabric, probe = begun()
    assert probe.run(1000, stops=Stops(pes=[(1, 0)], marks=marked(fabric, [2])))[0] == "quiet"


def test_memory_tasks_and_wavelets():
    fabric, probe = begun()
    address = fabric.image.classes[0].symbols["n"].address
    changes = []
    while (found := probe.run(1000, stops=Stops(places=[(0, 0, address, 4), (0, 0, address + 4, 4)])))[0] == "stop":
        assert [(s.kind, s.id) for s in found[1]] == [("memory", 0)]
        changes.append(fabric.read("n", 0, 0, 1, 1).item())
    assert changes == [1, 2, 3]
    fabric, probe = begun()
    kind, (stop,) = probe.run(1000, stops=Stops(colors=frozenset([0])))
    assert (kind, stop.kind, stop.x, stop.id, stop.data, stop.control) == ("stop", "wavelet", 1, 0, 3, False)
    assert [q.wavelets for q in probe.input_queues(1, 0)] == [[(3, False, False)]]
    kind, (stop,) = probe.run(1000, stops=Stops(tasks={1: 1 << 2}))
    assert (stop.kind, stop.x, stop.id) == ("task", 1, 2) and probe.thread(1, 0).state == "runs"
    assert probe.run(1000)[0] == "quiet" and fabric.read("n", 1, 0, 1, 1).item() == 3
    fabric, probe = begun()
    assert probe.run(1000, stops=Stops(colors=frozenset([0]), wavelet_pes=[(0, 0)]))[0] == "quiet"


def test_the_state_of_a_pe():
    fabric, probe = begun()
    probe.run(1000, stops=Stops(colors=frozenset([0])))
    assert probe.route(0, 0, 0) and probe.route(0, 0, 1) is None
    d = probe.dsr(0, 0, 0)
    assert (d["kind"], d["length"], d["queue"]) == (6, 1, 2) and d["stride"] >= 0
    assert [(q.number, q.color) for q in probe.output_queues(0, 0)] == [(2, 0)]
    fabric, probe = begun()
    operations = []
    while not operations and fabric.cycle < 500:
        probe.run(fabric.cycle + 1)
        operations = probe.operations(0, 0)
    assert operations[0].name == "fmovs" and operations[0].thread == 8 and probe.thread(0, 0).state == "operation"
    words = []
    while not words and fabric.cycle < 500:
        probe.run(fabric.cycle + 1)
        words = [w for x in (0, 1) for buffer in probe.buffers(x, 0, 0).values() for w in buffer]
    assert words == [(3, False, False)]
    ports = {x: set(probe.buffers(x, 0, 0)) for x in (0, 1)}
    assert ports[0] <= {"R"} and ports[1] <= {"W"}  # the sides of the routes, though each has one buffer


@pytest.mark.parametrize("seed", range(8))
def test_a_stepped_run_is_the_run_to_the_bit_and_the_cycle(seed):
    plan = Plan.of_seed(88_000 + seed)

    def end(fabric):
        memory = np.empty(fabric.width * fabric.height * _engine.SRAM, np.uint8)
        fabric._engine.read(0, 0, fabric.width, fabric.height, 0, memory)
        return fabric.cycle, memory.tobytes(), fabric.measure("limit")

    for limit in (150, 600):
        fabric, _ = plan.fabric(plan.program(), bins=16)
        status = fabric.advance(limit)
        expected = end(fabric)
        colors = frozenset(int(color) for color in fabric.image.colors.values())
        for stops in (Stops(), Stops(colors=colors), Stops(places=[(0, 0, 0, 2048)], tasks={0: (1 << 64) - 1})):
            fabric, _ = plan.fabric(plan.program(), bins=16)
            probe = Probe(fabric)
            while (found := probe.run(limit, limit, stops))[0] == "stop":
                pass
            assert (found[0], fabric.cycle) == (status, expected[0])
            _, memory, run = end(fabric)
            assert memory == expected[1] and run.diff(expected[2]) == []


def random_stops(fabric, random):
    """Marks, tasks or colors, of some PEs or all."""
    marks, tasks = {}, {}
    for index, pe in enumerate(fabric.image.classes):
        marks[index] = np.zeros(len(pe.words), np.uint16)
        for _ in range(1 + int(len(pe.words) * random.choice((0.02, 0.1, 0.5)))):
            first = _engine.MARK_FIRST if random.random() < 0.5 else 0
            marks[index][random.randrange(len(pe.words))] = random.randrange(1, 4) + first
        tasks[index] = random.getrandbits(64) & random.getrandbits(64)
    some = [(random.randrange(fabric.width), random.randrange(fabric.height)) for _ in range(3)]
    colors = frozenset(int(color) for color in fabric.image.colors.values() if random.random() < 0.3)
    pes = some if random.random() < 0.5 else None
    kind = random.randrange(3)
    return (Stops(pes=pes, marks=marks), Stops(pes=pes, tasks=tasks), Stops(colors=colors, wavelet_pes=pes))[kind]


def check_watch(fabric, random, cycles):
    """`watch` names no cycle behind the first stop, and without a stop ends in the same state.  Counts of outcomes."""
    probe, stops, outcomes = Probe(fabric), random_stops(fabric, random), {"stop": 0, "clean": 0, "false": 0}
    why = "limit"
    while fabric.cycle < cycles and why in ("limit", "stop"):
        start, end = fabric.cycle, fabric.cycle + random.choice((1, 3, 20, 200, 500))
        with closing(fabric.snapshot()) as before:
            why, _ = probe.run(end, 2 * cycles, stops)
            cycle, slow = fabric.cycle, state(fabric)
            with closing(fabric.snapshot()) as after:
                fabric.restore(before)
                ended, first = probe.watch(end, stops, 2 * cycles)
                if why == "stop":
                    assert start <= first < cycle
                elif first < 0:
                    assert (ended, fabric.cycle) == (why, cycle)
                    assert why == "fault" or (state(fabric)[0] == slow[0] and state(fabric)[1].diff(slow[1]) == [])
                outcomes["stop" if why == "stop" else "clean" if first < 0 else "false"] += 1
                fabric.restore(after)
    return outcomes


def test_a_run_at_full_speed_passes_no_stop():
    total = Counter()
    for seed in range(14):
        plan = Plan.of_seed(93_000 + seed)
        fabric, _ = plan.fabric(plan.program(), bins=16, **({"threads": 2} if seed % 2 else {}))
        total.update(check_watch(fabric, Random(seed), 400))
    assert total["stop"] > 50 and total["clean"] > 50 and total["false"] < total["clean"] / 4


def test_pes_that_run_together_pass_no_stop():
    total = Counter()
    for seed, (width, height) in enumerate(((8, 8), (66, 1), (8, 8))):
        tasks = Tasks.load(Tasks.program(width, height, WSE3), 200)
        total.update(check_watch(tasks.fabric, Random(seed), 300))
    assert total["stop"] and total["clean"]


def test_what_cannot_be_watched():
    fabric, probe = begun()
    for stops in (Stops(places=[(0, 0, 0, 4)]), Stops(step=(0, 0))):
        with pytest.raises(ConfigError, match="full speed"):
            probe.watch(10, stops)
    checked = wse.Fabric(pair(), check=True)
    with pytest.raises(ConfigError, match="full speed"):
        Probe(checked).watch(10, Stops(tasks={0: 1}))
    assert fabric.cycle == checked.cycle == 0


def test_what_is_refused():
    fabric, probe = begun()
    for stops in (
        Stops(places=[(0, 0, 49_150, 4)]),
        Stops(places=[(5, 0, 0, 4)]),
        Stops(pes=[(0, 7)], tasks={0: 1}),
    ):
        with pytest.raises(ValueError, match="refuses"):
            probe.run(10, stops=stops)
    traced = wse.Fabric(pair(), trace=100)
    with pytest.raises(ValueError, match="refuses"):
        Probe(traced).run(10, stops=Stops(colors=frozenset([0])))
    with pytest.raises(ValueError, match="no such PE"):
        probe.thread(2, 0)
    with pytest.raises(ValueError, match="no such PE"):
        probe.dsr(0, 0, 48)
    assert fabric.cycle == 0
