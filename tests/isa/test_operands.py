"""Every VECTOR row through the whole engine: each kind of operand it takes, against the NumPy twin element by element.

The memory of a PE is small here, so that operands overlap often: elements are done in order, and each sees what those before
it have written.

Covers: csrc/pe/operand.c, csrc/pe/system.c
"""

from dataclasses import dataclass, field, replace
from random import Random

import pytest
from harness import ARCHS, NORTH, WEST, Dsr, Xdsr, circular, fabin, fabout, fifo, mem, mem4d, run
from hypothesis import given, settings
from hypothesis import strategies as st

from wse.machine import isa
from wse.machine.numerics import element

SIZE = {name: type.bytes for name, type in isa.TYPES.items()}
ROWS = [row for row in isa.INSTRUCTIONS if row.kind == "vector" and row.rule != "FILTER"]
BYTES = 512
INFINITE = isa.LENGTH_INFINITE
REGISTERS = {"dst": 5, "src0": 6, "src1": 7, "extra": 8}
DSRS = {"dst": "d0", "src0": "a0", "src1": "b0"}


@dataclass
class Operand:
    """kind: memory, fifo, fabin, fabout or register."""

    kind: str
    dsr: Dsr | None = None
    xdsr: Xdsr | None = None
    register: int = 0
    value: int = 0
    words: list[int] = field(default_factory=list)  # of a fabin


@dataclass
class Case:
    row: isa.Instruction
    fmt: str
    operands: dict[str, Operand]
    seed: int
    extra: int
    asynchronous: bool

    @property
    def memory(self) -> bytes:
        return Random(self.seed).randbytes(BYTES)

    @property
    def text(self) -> str:
        names = [
            f"r{o.register}" if o.kind == "register" else DSRS[name]
            for name, o in ((name, self.operands.get(name)) for name in DSRS)
            if o is not None
        ]
        names += ["r8"] * (self.row.types[3] != "NONE")
        return f"{self.row.name} {', '.join(names)}" + " {async}" * self.asynchronous

    @property
    def length(self) -> int:
        """Of the first operand that has one: sources first."""
        for name in ("src0", "src1", "dst"):
            o = self.operands.get(name)
            if o and o.kind in ("memory", "fabin", "fabout") and o.dsr.length:
                if o.kind == "memory" or o.dsr.length != INFINITE:
                    return o.dsr.length
        return 1


# --- what must come out -----------------------------------------------------------------------------------------------------


def address(d: Dsr, x: Xdsr | None, i: int) -> int:
    """Of element i, from the beginning of memory."""
    base = d.base + 2 * d.index
    if d.kind == isa.DSD_MEM1D:
        return base + i * d.stride
    if d.kind == isa.DSD_CIRCULAR:
        return x.start + (base - x.start + i * d.stride) % x.size
    at = base
    for extent, stride in zip(reversed(x.extents[1:]), reversed(x.strides[1:]), strict=True):
        at += i % extent * stride
        i //= extent
    return at + i * x.strides[0]


class Expected:
    """The case done by hand."""

    def __init__(self, case: Case):
        # an operand may end beyond the memory that is compared
        self.case, self.memory = case, bytearray(case.memory.ljust(2 * BYTES, b"\0"))
        self.registers = {o.register: o.value for o in case.operands.values() if o.kind == "register"}
        self.fifo = {name: [o.xdsr.head, o.xdsr.count] for name, o in case.operands.items() if o.kind == "fifo"}
        self.sent: list[int] = []
        words = {name: iter(o.words) for name, o in case.operands.items()}
        extra = 0 if case.row.rule == "CARRY" else case.extra
        for i in range(case.length):
            a, b = (self.source(name, i, words) for name in ("src0", "src1"))
            v = int(element(case.row.name, case.fmt, a, b, extra))
            if case.row.rule == "CARRY":
                extra, v = v >> 16, v & 0xFFFF
            self.destination(i, v)

    def load(self, at: int, size: int) -> int:
        return int.from_bytes(self.memory[at : at + size], "little")

    def source(self, name: str, i: int, words: dict) -> int:
        o, size = self.case.operands.get(name), SIZE[self.case.row.types[list(DSRS).index(name)]]
        if o is None:
            return 0
        if o.kind == "register":
            return self.registers[o.register]
        if o.kind == "fabin":
            return next(words[name]) & (1 << 8 * size) - 1
        if o.kind == "memory":
            return self.load(address(o.dsr, o.xdsr, i), size)
        state = self.fifo[name]
        at = o.xdsr.start + state[0] * size
        state[:] = [(state[0] + 1) % o.xdsr.size, state[1] - 1]
        return self.load(at, size)

    def destination(self, i: int, v: int) -> None:
        o, size = self.case.operands["dst"], SIZE[self.case.row.types[0]]
        if o.kind == "register":
            self.registers[o.register] = v
        elif o.kind == "fabout":
            self.sent.append(v)
        else:
            at = address(o.dsr, o.xdsr, i) if o.kind == "memory" else self.push(o)
            self.memory[at : at + size] = v.to_bytes(size, "little")

    def push(self, o: Operand) -> int:
        state = self.fifo["dst"]
        state[1] += 1
        return o.xdsr.start + (state[0] + state[1] - 1) % o.xdsr.size * SIZE[self.case.row.types[0]]

    def base_after(self, o: Operand) -> int:
        """What a DSR holds as its address after the operation."""
        if not o.dsr.flags & isa.DSD_SAVE_ADDRESS:
            return o.dsr.base
        if o.dsr.kind == isa.DSD_MEM4D:
            return o.dsr.base + o.xdsr.extents[0] * o.xdsr.strides[0]
        return address(replace(o.dsr, index=0), o.xdsr, self.case.length)


# --- random cases ----------------------------------------------------------------------------------------------------------

LENGTHS = st.one_of(st.sampled_from([1, 2, 3]), st.integers(1, 17))


@st.composite
def operands(draw, name: str, kind: str, size: int, n: int, register: int) -> Operand:
    x = {"dst": 1, "src0": 2, "src1": 3}[name]
    length = draw(st.sampled_from([n, n, n, 0, n + 3, max(1, n - 1)]))
    save = isa.DSD_SAVE_ADDRESS if draw(st.booleans()) else 0
    index = draw(st.sampled_from([0, 0, 1, 7]))
    common = {"flags": save, "index": index}
    base = draw(st.integers(200, 280))
    if kind == "mem1d":
        stride = draw(st.one_of(st.sampled_from([size, size, 0, -size, 2 * size, 3 * size]), st.integers(-9, 9)))
        return Operand("memory", mem(base, length, stride, **common))
    if kind == "mem4d":
        extents = draw(st.lists(st.sampled_from([1, 1, 2, 3]), min_size=4, max_size=4))
        strides = [draw(st.integers(-5, 5)) for _ in extents]
        return Operand("memory", mem4d(base, length, x, **common), Xdsr(extents, strides))
    if kind == "circular":
        whole = Xdsr(start=base, size=draw(st.integers(size, 24)) * draw(st.sampled_from([1, size])))
        stride = draw(st.one_of(st.just(size), st.integers(-9, 9)))
        at = base + draw(st.integers(0, whole.size - 1))
        return Operand("memory", circular(at, length, stride, x, **common), whole)
    if kind == "fifo":
        count = draw(st.integers(0, 3)) + (0 if name == "dst" else n + 3)
        capacity = count + (n + 3 if name == "dst" else draw(st.integers(0, 3)))
        state = Xdsr(start=base, size=max(1, capacity), head=draw(st.integers(0, max(0, capacity - 1))), count=count)
        return Operand("fifo", fifo(x, draw(st.sampled_from([INFINITE, 0, 2]))), state)
    if kind == "fabin":
        words = draw(st.lists(st.integers(0, 2**32 - 1), min_size=n + 3, max_size=n + 3))
        queue = {"src0": 2, "src1": 3}[name]
        return Operand("fabin", fabin(draw(st.sampled_from([length, INFINITE])), queue), words=words)
    if kind == "fabout":
        return Operand("fabout", fabout(draw(st.sampled_from([length, INFINITE]))))
    return Operand("register", register=register, value=draw(st.integers(0, 2**32 - 1)))


@st.composite
def cases(draw, row: isa.Instruction, arch: str) -> Case:
    n = draw(LENGTHS)
    inputs = {"wse2": 2, "wse3": 1}[arch]
    found: dict[str, Operand] = {}
    for name, type in zip(("src0", "src1", "dst"), (row.types[1], row.types[2], row.types[0]), strict=True):
        if type == "NONE":
            continue
        kinds = ["mem1d"] * 3 + ["mem4d", "circular", "fifo", "register"]
        kinds += ["fabout"] if name == "dst" else ["fabin"] * (sum(o.kind == "fabin" for o in found.values()) < inputs)
        kind = draw(st.sampled_from(kinds))
        # a destination that is a source too is a running value
        register = REGISTERS["src1" if name == "dst" and draw(st.booleans()) else name]
        found[name] = draw(operands(name, kind, SIZE[type], n, register))
    if found["dst"].kind == "register" and found.get("src1", found["dst"]).kind == "register" and "src1" in found:
        if found["dst"].register == found["src1"].register:
            found["dst"].value = found["src1"].value
    fabric = any(o.kind in ("fifo", "fabin", "fabout") for o in found.values())
    asynchronous = fabric and found["dst"].kind != "register" and draw(st.booleans())
    fmt = draw(st.sampled_from(["f16", "f16", "bf16", "cb16"]))
    case = Case(row, fmt, found, draw(st.integers(0, 99)), draw(st.integers(0, 2**32 - 1)), asynchronous)
    for o in found.values():  # an operation without end is for other tests
        if case.length == 1 and o.kind.startswith("fab") and o.dsr.length == INFINITE:
            o.dsr = replace(o.dsr, length=n)
    return case


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
@settings(max_examples=20)
@given(data=st.data(), arch=st.sampled_from(ARCHS), portable=st.sampled_from([False, True, "avx2"]))
def test_operands(row, data, arch, portable):
    check(data.draw(cases(row, arch)), arch, portable)


def check(case: Case, arch: str, portable: bool | str = False) -> None:
    expected = Expected(case)
    ops = case.operands
    dsrs = {DSRS[name]: o.dsr for name, o in ops.items() if o.dsr}
    xdsrs = {f"x{o.dsr.x}": o.xdsr for o in ops.values() if o.xdsr}
    registers = {o.register: o.value for o in ops.values() if o.kind == "register"} | {8: case.extra}
    inputs = {WEST: ops["src0"].words} if "src0" in ops and ops["src0"].kind == "fabin" else {}
    inputs |= {NORTH: ops["src1"].words} if "src1" in ops and ops["src1"].kind == "fabin" else {}
    code = case.text + "\nstds d0, r9\nstds a0, r13\nstds b0, r17"
    ran = run(
        code,
        arch,
        fp16=case.fmt,
        memory=case.memory,
        dsrs=dsrs,
        xdsrs=xdsrs,
        registers=registers,
        inputs=inputs,
        on_deadlock="return",  # wavelets are left over
        portable=portable,
    )
    r = ran.r
    assert ran.memory == bytes(expected.memory[:BYTES])
    assert ran.out.data.tolist() == expected.sent
    assert {register: r[register] for register in expected.registers} == expected.registers
    assert ran.counter("elements") == case.length
    if case.asynchronous:
        return
    for name, first in (("dst", 9), ("src0", 13), ("src1", 17)):
        o = ops.get(name)
        if o is None or o.kind not in ("memory", "fifo"):
            continue
        left = Dsr.decode(b"".join(word.to_bytes(4, "little") for word in r[first : first + 4]))
        if o.kind == "memory":
            assert left.base == (expected.base_after(o) + ran.origin) & 0xFFFF, name
            assert (left.length, left.stride, left.index) == (o.dsr.length, o.dsr.stride, o.dsr.index)
        else:
            assert left.length == 0, name  # all of them were done
