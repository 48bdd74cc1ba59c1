"""Snapshots: a run that goes on from a saved state is the run that was saved, equal to the bit.

Covers: csrc/fabric/snapshot.c
"""

import os
import subprocess
import sys

import numpy as np
import pytest
from engine import differential
from engine.generated import Plan
from says import says

import wse
from wse.bench.programs import Streams, Tasks
from wse.errors import ConfigError
from wse.fabric.snapshot import FORMAT, saved_options
from wse.fabric.watch import Watch
from wse.machine import WSE3


def begun(plan, options, cycles):
    """A fabric of a random program after some cycles, and its streams."""
    fabric, streams = plan.fabric(plan.program(), bins=16, activity=True, **options)
    try:
        fabric.run(max_cycles=cycles, on_deadlock="return")
    except wse.FabricFault:
        return None
    return fabric, streams


def rest(plan, fabric, streams):
    return differential.observe(fabric, streams, plan.max_cycles)


OPTIONS = ({}, {"threads": 2}, {"trace": 100_000}, {"reference": True})


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("seed", range(12))
def test_a_restored_run_is_the_saved_one(seed, options, tmp_path):
    plan = Plan.of_seed(31_000 + seed)
    made = begun(plan, options, 40 + 23 * seed)
    if made is None:
        pytest.skip("the program has a fault before")
    fabric, streams = made
    kept = fabric.snapshot()
    fabric.save(tmp_path / "state")
    assert kept.cycle == fabric.cycle
    expected = rest(plan, fabric, streams)
    for state in (kept, tmp_path / "state", kept):
        fabric.restore(state)
        assert fabric.cycle == kept.cycle
        assert differential.differences(expected, rest(plan, fabric, streams), "trace" in options, True) == []
    fresh, streams = plan.fabric(plan.program(), bins=16, activity=True, **options)
    fresh.restore(tmp_path / "state")
    assert differential.differences(expected, rest(plan, fresh, streams), "trace" in options, True) == []


def test_memory_that_was_zero_is_zero_again():
    program = wse.Program(3, 2, WSE3)
    pe = program.pe_class("x")
    array = pe.array("a", 5000, "u32")
    pe.code("main: done")
    pe.local_task("main", 9)
    program.place(pe)
    fabric = wse.Fabric(program)
    before = fabric.snapshot()
    fabric.write("a", np.ones((2, 3, 5000), np.uint32))
    assert fabric.read("a").all() and array.nbytes == 20_000
    fabric.restore(before)
    assert not fabric.read("a").any()


def test_a_state_is_read_in_another_process(tmp_path):
    program = Tasks.program(20, 9, WSE3)
    whole = Tasks.load(program, 40)
    expected = whole.fabric.run()
    half = Tasks.load(program, 40, reference=False)  # as the other process does
    half.fabric.run(max_cycles=expected.cycles // 2)
    half.fabric.save(tmp_path / "state")
    code = """
import sys
from wse.bench.programs import Tasks
from wse.machine import WSE3
tasks = Tasks.load(Tasks.program(20, 9, WSE3), 40, threads=int(sys.argv[2]), team="all")
tasks.fabric.restore(sys.argv[1])
run = tasks.fabric.run()
tasks.check(run)
print(run.cycles, int(run.total("busy_scalar")), int(run.links.sum()))
"""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    threads = saved_options(tmp_path / "state")["threads"]
    command = [sys.executable, "-P", "-c", code, str(tmp_path / "state"), str(threads)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.stderr == ""
    assert done.stdout.split() == [
        str(expected.cycles),
        str(int(expected.total("busy_scalar"))),
        str(int(expected.links.sum())),
    ]


def test_a_run_of_billions_of_cycles(tmp_path):
    """Counts that have carries are state too."""
    rows = np.arange(2)
    streams = Streams.load(Streams.program(4, 2, WSE3, rows, rows[:0], 50), rows, rows[:0], 50)
    fabric = streams.fabric
    fabric.run(max_cycles=20)
    state = fabric.snapshot()
    expected = fabric.run()
    fabric.restore(state)
    assert fabric.run().diff(expected) == []


@pytest.fixture
def saved(tmp_path):
    tasks = Tasks.load(Tasks.program(5, 3, WSE3), 10)
    tasks.fabric.run(max_cycles=30)
    tasks.fabric.save(tmp_path / "state")
    return tasks.fabric, tmp_path / "state"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data[:-1], "is damaged: its checksum is wrong"),
        (lambda data: data[: len(data) // 2], "is damaged: its checksum is wrong"),
        (lambda data: data[:-40] + bytes([data[-40] ^ 1]) + data[-39:], "is damaged: its checksum is wrong"),
        (lambda data: b"", "is no saved state of a fabric"),
        (lambda data: b"\x00" * 100, "is no saved state of a fabric"),
        (lambda data: b"[]\n", "is no saved state of a fabric"),
        (lambda data: data.replace(FORMAT.encode(), b"wse fabric state 0"), "is no saved state of a fabric"),
    ],
)
def test_a_file_that_is_not_whole(saved, change, message):
    fabric, path = saved
    cycle = fabric.cycle
    path.write_bytes(change(path.read_bytes()))
    with says(ConfigError, f"{path} {message}"):
        fabric.restore(path)
    assert fabric.cycle == cycle
    assert fabric.run().ended == "done"


def test_a_file_of_another_fabric(saved):
    _, path = saved
    other = Tasks.program(5, 3, WSE3)
    with says(ConfigError, f"{path} was saved with bins = 64, here it is 8"):
        wse.Fabric(other, bins=8).restore(path)
    with says(ConfigError, f"{path} is the state of another program"):
        wse.Fabric(Tasks.program(6, 3, WSE3)).restore(path)
    with pytest.raises(FileNotFoundError):
        wse.Fabric(other).restore(path.with_name("none"))


def test_events_that_have_gone_to_the_disk_do_not_come_back(tmp_path):
    fabric = wse.Fabric(Tasks.program(5, 3, WSE3), trace=1000, watch=Watch(folder=tmp_path))
    state = fabric.snapshot()
    with pytest.raises(ConfigError, match="events go to a file"):
        fabric.restore(state)


def test_a_closed_snapshot(saved):
    fabric, _ = saved
    state = fabric.snapshot()
    assert repr(state).startswith("Snapshot(cycle 30, ")
    state.close()
    with says(ConfigError, "the snapshot of cycle 30 is closed"):
        fabric.restore(state)


def test_a_file_that_cannot_be_written(saved):
    fabric, path = saved
    before = path.read_bytes()
    path.parent.chmod(0o500)
    try:
        if os.access(path.parent, os.W_OK):
            pytest.skip("this user may write everywhere")
        with pytest.raises(OSError):
            fabric.save(path)
    finally:
        path.parent.chmod(0o700)
    assert path.read_bytes() == before


def test_a_snapshot_that_finds_no_room(saved):
    """The engine's error comes through, and the fabric goes on."""
    fabric, _ = saved
    with open("/dev/full", "wb") as full, pytest.raises(OSError, match="No space left"):
        fabric._engine.save(full.fileno())
    assert fabric.run().ended == "done"
