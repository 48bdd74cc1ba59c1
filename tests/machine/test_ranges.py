"""Every row of machine.def: the engine runs at both ends of its range, and the row has an effect.

At an end, random programs must do the same whether they are run plainly, with a trace, in pieces or by several threads;
they end; each PE's counters of cycles add up to its cycles.
"""

from __future__ import annotations

from functools import cache, partial
from pathlib import Path
from random import Random

import numpy as np
import pytest
from engine.programs import RandomProgram

import wse
from wse import Machine, Program, WseError
from wse.cli import infer, map, system
from wse.fabric.run import BUSY, STALLS
from wse.machine.parameters import PARAMETERS
from wse.memoryx import MemoryX
from wse.memoryx.feeder import Feeder
from wse.sdk.compile import Request, check_place
from wse.sdk.windows import Copy, Windows

MODELS = {
    *infer.FIGURES, *map.FIGURES, *system.MEMORY_FIGURES, *(n for names in system.COMPUTE_FIGURES.values() for n in names)
}  # fmt: skip
SEEDS = range(3)
CYCLES = 4000


def observed(program: RandomProgram, pieces: int = 0, **options):
    """(run or fault, memory, streams) of a program; pieces: of how many cycles it is run."""
    fabric, streams = program.fabric(**options)
    try:
        if pieces:
            while fabric.cycle < CYCLES - pieces:
                if fabric.run(max_cycles=pieces, on_deadlock="return").ended != "limit":
                    break
        run = fabric.run(max_cycles=CYCLES - fabric.cycle if pieces else CYCLES, on_deadlock="return")
    except wse.FabricFault as fault:
        return type(fault).__name__, None, None
    memory = np.zeros((fabric.height, fabric.width, 128), np.uint8)
    fabric._engine.read(0, 0, fabric.width, fabric.height, 0, memory.reshape(-1))
    return run, memory, [[list(part) for part in stream.take()] for stream in streams]


def expect_same(one, other):
    if isinstance(one[0], str) or isinstance(other[0], str):
        return  # where a fault stops a run depends on how far other PEs were
    assert set(one[0].diff(other[0])) <= {"events", "events_dropped", "ended"}
    assert np.array_equal(one[1], other[1])


def expect_sane(run):
    """Each cycle of a PE is in exactly one of the counters of cycles."""
    total = sum(run.counters[name] for name in (*BUSY, *STALLS, "idle"))
    assert int(total.max()) <= max(run.cycles, CYCLES), {
        n: int(run.counters[n].max()) for n in (*BUSY, *STALLS, "idle")
    }
    assert all(0 <= share <= 1 for share in run.stalls.values())


PAPER = {"usable_pes", "wafer_bytes", "peak_clock_hz", "pe_flops_milli"}  # nothing that is executed reads these
HOST = {  # of the model of the host's commands
    *("launch_cycles", "h2d_start_cycles", "d2h_start_cycles", "copy_pe_cycles", "h2d_words_milli", "d2h_words_milli")
}
ENDS = [(row, value) for row in PARAMETERS for value in (row.least, row.most) if row.name not in PAPER | HOST]


@pytest.mark.parametrize(("row", "value"), ENDS, ids=lambda v: v.name if hasattr(v, "name") else str(v))
@pytest.mark.parametrize("arch", ["wse2", "wse3"])
def test_the_engine_runs_at_both_ends(arch, row, value):
    ran = 0
    machine = Machine(arch, overrides={row.name: value})
    for seed in SEEDS:
        program = RandomProgram(Random(f"{row.name}{seed}").randint(0, 1 << 32), machine)
        try:
            program.fabric()
        except WseError as error:
            assert str(error)  # the program needs more than this machine has
            continue
        plain = observed(program)
        ran += 1
        expect_same(plain, observed(program, trace=100_000))
        expect_same(plain, observed(program, threads=2, portable=True))
        expect_same(plain, observed(program, pieces=97))
        if not isinstance(plain[0], str):
            expect_sane(plain[0])
    assert (ran == 0) == ((row.name, value) in REFUSED)


# What these leave of the machine is too little for the random programs.
REFUSED = {
    *(("fabric_height", 1), ("sram_bytes", 256), ("sram_bytes", 65536), ("colors", 1), ("switch_colors", 0)),
    *((f"iq{queue}_depth", 0) for queue in range(4)),
    *((f"oq{queue}_depth", 0) for queue in (2, 3, 4)),
    *(("dsrs_per_file", 1), ("local_task_first", 63), ("local_task_last", 0)),
}


# --- effects ------------------------------------------------------------------------------------------------------------

CODE = """
main:
  dsr d0, out
  dsr a0, numbers
  mov r20, 100
.wait:
  isub16 r20, r20, 1
  bnz r20, .wait
  fmovs d0, a0 {async, activate=sent}
  done
sent:
  ssqrt r1, 2.0s
  st32 r1, [numbers]
  done
"""
RECEIVE = """
main:
  dsr a0, in
  dsr d0, numbers
  idivs32 r1, r2, r3
  idivs32 r1, r2, r3
  fmovs d0, a0
  done
"""


def transfer(machine: Machine, queue_in: int = 2, queue_out: int = 3) -> wse.Run:
    """300 wavelets from a PE to its neighbor, which is busy at first: by an output queue, into an input queue."""
    p = Program(2, 1, machine)
    c = p.color("c")
    p.route(c, "R", "E", 0)
    p.route(c, "W", "R", 1)
    sender, receiver = p.pe_class("sender"), p.pe_class("receiver")
    for pe in (sender, receiver):
        pe.dsd("numbers", wse.mem1d(pe.array("a", 300, "f32"), 300))
        pe.local_task("main", 9, active=True)
    sender.queue_out(queue_out, c)
    sender.dsd("out", wse.fabout(queue_out, c, 300))
    sender.local_task("sent", 10)
    sender.code(CODE)
    receiver.queue_in(queue_in, c)
    receiver.dsd("in", wse.fabin(queue_in, 300, color=c))
    receiver.code(RECEIVE)
    p.place(sender, 0, 0)
    p.place(receiver, 1, 0)
    return wse.Fabric(p).run()


def alone(machine: Machine, code: str) -> tuple[int, wse.Run]:
    """Bytes of code and the run of a PE that sends to itself by two colors."""
    p = Program(1, 1, machine)
    pe = p.pe_class("pe")
    for i, name in enumerate(("x", "y")):
        p.route(p.color(name), "R", "R")
        pe.queue_in(i, p.colors[name])
        pe.queue_out(2 + i, p.colors[name])
        pe.dsd(f"in{i}", wse.fabin(i, 4, color=p.colors[name]))
        pe.dsd(f"out{i}", wse.fabout(2 + i, p.colors[name], 4))
    pe.dsd("numbers", wse.mem1d(pe.array("a", 4, "f32"), 4))
    pe.local_task("main", 9, active=True)
    pe.code(code)
    p.place(pe, 0, 0)
    return pe.code_bytes, wse.Fabric(p).run()


BOTH = """
main:
  dsr d0, out0
  dsr d1, out1
  dsr a0, in0
  dsr b0, in1
  dsr a1, numbers
  fmovs d0, a1 {async}
  fmovs d1, a1 {async}
  dsr d2, numbers
  fadds d2, a0, b0
  done
"""


INDEXED = """
main:
  mov r1, 4
  ishl16 r2, r1, 2
  ld32 r3, [r2+4]
  iadd32 r3, r3, r1
  done
"""


CONFIG = """
main:
  cfgld r1, 0x7f20
  tdexit 0
  done
"""


COLLECTIVE = """
main:
  c2dstart
  done
"""


def commands(machine: Machine) -> list[int]:
    windows = Windows(machine)
    return [windows.launch(), *(windows.copy(Copy(to_device, 4, 100)) for to_device in (True, False))]


def two_sides(machine: Machine) -> None:
    p = Program(1, 1, machine)
    p.route(p.color("c"), "WE", "R")


def data_task(machine: Machine) -> int:
    p = Program(1, 1, machine)
    pe = p.pe_class("pe")
    pe.queue_in(2, p.color("c", 5))
    return pe.data_task("arrived", 2)


# What shows the effect of rows that the random programs do not: a function of the machine, a run or a sentence.
OTHERS = {
    "user_width": lambda machine: Feeder(MemoryX(), 10, machine).share,
    "user_height": lambda machine: check_place(Request(Path("layout.csl"), memcpy=True), 10, 900, machine),
    **{f"iq{q}_depth": partial(transfer, queue_in=q) for q in range(8)},
    **{f"oq{q}_depth": partial(transfer, queue_out=q) for q in range(8)},
    "rx_directions": two_sides,
    "data_task_by_color": data_task,
    "fabric_inputs": partial(alone, code=BOTH),
    "microthreads": partial(alone, code=BOTH),
    "instruction_bytes": partial(alone, code=BOTH),
    "task_after_op_cycles": transfer,
    "sqrt_latency": transfer,
    "load_latency": partial(alone, code=INDEXED),
    "offset_cycles": partial(alone, code=INDEXED),
    "link_bubble_every": transfer,
    "config_cycles": partial(alone, code=CONFIG),
    "collective_cycles": partial(alone, code=COLLECTIVE),
    **dict.fromkeys(HOST, commands),
}


def outcome(machine: Machine, seed: int):
    """A run, or the sentence that refuses it."""
    try:
        fabric, _ = RandomProgram(seed, machine).fabric()
        return fabric.run(max_cycles=CYCLES, on_deadlock="return")
    except WseError as error:
        return str(error)


@cache
def outcome_of(arch: str, seed: int):
    return outcome(Machine(arch), seed)


def has_effect(row) -> bool:
    for arch, value in [(arch, value) for arch in ("wse3", "wse2") for value in (row.least, row.most)]:
        if getattr(row, arch) == value:
            continue
        machine = Machine(arch, overrides={row.name: value})
        if row.name in OTHERS:
            if said(OTHERS[row.name], machine) != said(OTHERS[row.name], Machine(arch)):
                return True
            continue
        for seed in range(20):
            if outcome(machine, seed) != outcome_of(arch, seed):
                return True
    return False


def said(what, machine):
    try:
        return what(machine)
    except WseError as error:
        return str(error)


@pytest.mark.parametrize("row", PARAMETERS, ids=lambda row: row.name)
def test_every_row_has_an_effect(row):
    if row.name in PAPER:
        assert row.name in MODELS  # tests/cli/test_figures.py shows its effect
    else:
        assert has_effect(row), f"{row.name} changes nothing: make it work, or remove the row"
