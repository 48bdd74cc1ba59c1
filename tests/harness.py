"""Runs code on one PE, for tests of the engine; returns registers, memory and cycles.

    ran = run("iadd16 r1, r2, 5", registers={2: 7})
    assert (ran.r[1], ran.cycles) == (12, 1)

`memory` is copied to the PE; addresses in descriptors are offsets in it.  DSRs are loaded before the code, which may use
r0 to r27.  Colors: WEST enters from the west and is bound to input queue 2, NORTH enters from the north to queue 3, EAST
leaves from output queue 2, LOOP goes from output queue 3 to input queue 4 of the same PE.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

import wse
from wse.machine import isa

WEST, NORTH, EAST, LOOP = range(4)
MAIN = 9  # the task `main`
MEMORY_KINDS = (isa.DSD_MEM1D, isa.DSD_MEM4D, isa.DSD_CIRCULAR)
ARCHS = wse.machine.parameters.MACHINES


@dataclass(frozen=True)
class Dsr:
    """The contents of a DSR.  For kinds in memory, base is an offset in `memory`, unless absolute."""

    kind: int
    base: int = 0
    length: int = 0
    stride: int = 0
    flags: int = 0
    queue: int = 0
    color: int = 0
    options: int = 0
    x: int = 0
    on_control: int = 0
    index: int = 0
    absolute: bool = False

    def encode(self, origin: int = 0) -> bytes:
        base = self.base + (0 if self.absolute or self.kind not in MEMORY_KINDS else origin)
        return struct.pack(
            "<BBBBHHhHBBH",
            *(self.kind, self.flags, self.queue, self.color, base & 0xFFFF, self.length, self.stride, self.options),
            *(self.x, self.on_control, self.index),
        )

    @classmethod
    def decode(cls, data: bytes) -> Dsr:
        kind, flags, queue, color, *rest, x, control, index = struct.unpack("<BBBBHHhHBBH", data)
        base, length, stride, options = rest
        return cls(kind, base, length, stride, flags, queue, color, options, x, control, index, absolute=True)


def mem(base: int, length: int, stride: int = 2, **more) -> Dsr:
    """A one-dimensional memory descriptor; base and stride in bytes, length in elements."""
    return Dsr(isa.DSD_MEM1D, base, length, stride, **more)


def mem4d(base: int, length: int, x: int, **more) -> Dsr:
    return Dsr(isa.DSD_MEM4D, base, length, x=x, **more)


def circular(base: int, length: int, stride: int, x: int, **more) -> Dsr:
    return Dsr(isa.DSD_CIRCULAR, base, length, stride, x=x, **more)


def fifo(x: int, length: int = isa.LENGTH_INFINITE, **more) -> Dsr:
    return Dsr(isa.DSD_FIFO, length=length, x=x, **more)


def fabin(length: int, queue: int = 2, **more) -> Dsr:
    return Dsr(isa.DSD_FABIN, length=length, queue=queue, **more)


def fabout(length: int, queue: int = 2, color: int = EAST, **more) -> Dsr:
    return Dsr(isa.DSD_FABOUT, length=length, queue=queue, color=color, **more)


@dataclass(frozen=True)
class Xdsr:
    """An extended DSR.  mem4d: four extents and strides in bytes, slowest dimension first.  circular: start and size in
    bytes.  FIFO: start, capacity as `size`, and its state."""

    extents: Sequence[int] = ()
    strides: Sequence[int] = ()
    start: int = 0
    size: int = 0
    head: int = 0
    count: int = 0
    on_push: int = 255
    on_pop: int = 255

    def encode(self, origin: int = 0) -> bytes:
        if self.extents:
            return struct.pack("<4H4h", *self.extents, *self.strides)
        state = (self.head, self.count, self.on_push, self.on_pop)
        return struct.pack("<HHHHBB6x", (self.start + origin) & 0xFFFF, self.size, *state)


@dataclass
class Ran:
    """The outcome of a run.  r: registers at the end of `main`.  cycles: from the issue of the code to the issue of the
    instruction after it."""

    fabric: wse.Fabric
    run: wse.Run
    out: wse.fabric.StreamOut  # wavelets of EAST
    origin: int  # address of `memory`

    @property
    def r(self) -> list[int]:
        return self.fabric.read("saved")[0, 0].tolist()

    @property
    def cycles(self) -> int:
        return (self.r[30] - self.r[29]) % 65536 - 1

    @property
    def memory(self) -> bytes:
        return self.fabric.read("memory")[0, 0].tobytes()

    def array(self, dtype, offset: int = 0, count: int = -1) -> list[int]:
        """Numbers in `memory`."""
        return np.frombuffer(self.memory, dtype, count, offset).tolist()

    def counter(self, name: str) -> int:
        return int(self.run.counters[name][0, 0])

    def events(self, kind: str) -> list[tuple[int, int, int]]:
        """(cycle, a, b) of the events of a kind."""
        return events(self.run, kind)


EVENT = {row[0]: i for i, row in enumerate(wse._engine.events())}


def events(run: wse.Run, kind: str) -> list[tuple[int, int, int]]:
    """(cycle, a, b) of the events of a kind."""
    return [(cycle, a, b) for cycle, _, k, a, b in run.events.tolist() if k == EVENT[kind]]


def one_pe(machine="wse3", fp16: str = "f16", **overrides: int) -> tuple[wse.Program, wse.program.PEClass]:
    """A program of one PE with the four colors of this module."""
    machine = wse.Machine.of(machine)
    p = wse.Program(1, 1, machine.replace(**overrides) if overrides else machine, fp16)
    colors = [p.color(name, i) for i, name in enumerate(("west", "north", "east", "loop"))]
    for color, (rx, tx) in zip(colors, ("WR", "NR", "RE", "RR"), strict=True):
        p.route(color, rx, tx)
    pe = p.pe_class("one")
    p.place(pe)
    for queue, color in ((2, colors[WEST]), (3, colors[NORTH]), (4, colors[LOOP])):
        pe.queue_in(queue, color)
    for queue, color in ((2, colors[EAST]), (3, colors[LOOP])):
        pe.queue_out(queue, color)
    return p, pe


def loads(dsrs: Mapping[str, Dsr] | None, xdsrs: Mapping[str, Xdsr] | None) -> str:
    """Instructions that load these DSRs and extended DSRs."""
    return "".join(f"xdsr {name}, of_{name}\n" for name in xdsrs or {}) + "".join(
        f"dsr {name}, of_{name}\n" for name in dsrs or {}
    )


def bench(
    code: str,
    machine="wse3",
    *,
    fp16: str = "f16",
    memory: bytes = b"",
    dsrs: Mapping[str, Dsr] | None = None,
    xdsrs: Mapping[str, Xdsr] | None = None,
    registers: Mapping[int, int] | None = None,
    inputs: Mapping[int, Sequence] | None = None,
    declare: Callable[[wse.program.PEClass], None] | None = None,
    rate=1,
    capacity: int = 1 << 16,
    max_cycles: int | None = 1_000_000,
    on_deadlock: str = "raise",
    trace: int = 0,
    threads: int = 1,
    portable: bool = False,
    reference: bool = False,
    **overrides: int,
) -> Ran:
    """Runs a class with this code.

    declare: called with the PE class, to declare tasks and further arrays.  dsrs, xdsrs: descriptors, as arrays of_NAME
    that the code loads.  inputs: words, or (words, control bits), by color (WEST or NORTH).  rate: of the inputs.
    capacity: of the output stream.
    """
    p, pe = one_pe(machine, fp16, **overrides)
    pe.array("memory", max(1, len(memory)), "u8", init=np.frombuffer(memory or b"\0", np.uint8))
    contents = {**(xdsrs or {}), **(dsrs or {})}
    for name in contents:
        pe.array(f"of_{name}", 16, "u8")
    pe.code(code)
    if declare:
        declare(pe)
    f = wse.Fabric(p, trace=trace, threads=threads, portable=portable, reference=reference)
    origin = pe.symbols["memory"].address
    for name, what in contents.items():
        f.write(f"of_{name}", np.frombuffer(what.encode(origin), np.uint8).reshape(1, 1, 16))
    for number, value in (registers or {}).items():
        f.set_register(number, value & 0xFFFFFFFF)
    out = f.stream_out(0, 0, "E", "east", capacity)
    for color, words in (inputs or {}).items():
        words, control = words if isinstance(words, tuple) else (words, None)
        f.stream_in(0, 0, "W" if color == WEST else "N", color, np.asarray(words, np.uint32), control, rate)
    return Ran(f, f.run(max_cycles=max_cycles, on_deadlock=on_deadlock), out, origin)


def run(code: str, machine="wse3", *, tasks: str = "", declare=None, dsrs=None, xdsrs=None, **more) -> Ran:
    """Runs the code as the task `main`, after loading all DSRs.  tasks: code of other tasks."""
    saves = "\n".join(f"st32 r{i}, [saved+{4 * i}]" for i in range(32))
    begin = f"main:\n{loads(dsrs, xdsrs)}nop\nnop\nnop\nnop\ntsc r29, 0\n"

    def with_main(pe: wse.program.PEClass) -> None:
        pe.array("saved", 32, "u32")
        pe.local_task("main", MAIN, active=True)
        if declare:
            declare(pe)

    text = f"{begin}{code}\ntsc r30, 0\n{saves}\ndone\n{tasks}\n"
    return bench(text, machine, dsrs=dsrs, xdsrs=xdsrs, declare=with_main, **more)
