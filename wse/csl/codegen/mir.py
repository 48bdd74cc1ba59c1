"""Machine instructions before registers are assigned: rows of csrc/tables/isa.def over virtual registers.

A V is a virtual register, or one of the thirty-two of the machine (PHYSICAL).  r28..r31 are never assigned:
descriptors pass through them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field
from enum import IntEnum

from ... import _engine
from ...machine import isa
from ...records import dataclass
from ..ir.ir import At

SCRATCH = 28  # first of the registers that are never assigned


class Kind(IntEnum):
    """What a register holds: 16 bits, 32 bits, or what is in no general register of the vendor's machine (words.py)."""

    NARROW = 0
    WIDE = 1
    OTHER = 2


class V:
    """A register.  color: its number once assigned, None before.  kind: what it holds."""

    __slots__ = ("color", "fixed", "kind", "name", "number", "temporary")

    def __init__(self, name: str = "", color: int | None = None, temporary: bool = False):
        self.name, self.color, self.fixed, self.temporary = name, color, color is not None, temporary
        self.number = -1
        self.kind = Kind.NARROW

    def __repr__(self) -> str:
        return f"r{self.color}" if self.color is not None else f"v{self.name}"


PHYSICAL = [V(f"r{i}", i) for i in range(_engine.REGISTERS)]


@dataclass(frozen=True)
class Sym:
    """An address as an immediate: (address of name + addend) mod 2^16, then `or` with more bits, shifted left."""

    name: str
    addend: int = 0
    more: int = 0


@dataclass(frozen=True)
class Label:
    """A place in the code: a block of the function, or the entry of a function by name."""

    name: str | int


Imm = int | Sym | Label


class Ins:
    """One instruction.

    a, b, c, d: V, a number (a DSR, an XDSR, a first value) or None.  imm: the immediate, where there is one.  reads,
    writes: registers beyond those of the fields (groups r28.., registers of a call).  clobbers: mask of registers
    that a call changes.  repeats: it reads its registers again after it has written its result.
    """

    __slots__ = ("a", "at", "b", "c", "clobbers", "d", "imm", "op", "options", "reads", "repeats", "writes")

    def __init__(self, op, a=None, b=None, c=None, d=None, imm=None, options=0, at=None, reads=(), writes=()):
        self.op, self.a, self.b, self.c, self.d, self.imm, self.options, self.at = op, a, b, c, d, imm, options, at
        self.reads, self.writes = tuple(reads), tuple(writes)
        self.clobbers = 0
        self.repeats = False

    def fields(self) -> tuple[str, str]:
        """Which fields it writes and reads, as letters."""
        return _ACCESS[self.op]

    def defs(self) -> Iterator[V]:
        for letter in _ACCESS[self.op][0]:
            value = getattr(self, letter)
            if type(value) is V:
                yield value
        yield from self.writes

    def uses(self) -> Iterator[V]:
        for letter in _ACCESS[self.op][1]:
            value = getattr(self, letter)
            if type(value) is V:
                yield value
        yield from self.reads

    def substitute(self, letter: str, value: V) -> None:
        setattr(self, letter, value)

    @property
    def is_move(self) -> bool:
        return self.op == "mov" and type(self.c) is V

    @property
    def is_pure(self) -> bool:
        """It may go if nobody reads what it writes."""
        return self.op in _PURE

    def __repr__(self) -> str:
        fields = [f"{k}={getattr(self, k)!r}" for k in "abcd" if getattr(self, k) is not None]
        if self.imm is not None:
            fields.append(f"imm={self.imm}")
        return f"{self.op} {' '.join(fields)}"


_ACCESS: dict[str, tuple[str, str]] = {}
for _row in isa.INSTRUCTIONS:
    _form = isa.FORMS.get(_row.form)
    _ACCESS[_row.name] = ("a", "bcd") if _form is None else (_form.writes, _form.reads)
_ACCESS["colorst"] = ("", "")  # its registers are a group, said by reads
_ACCESS["cfgst"] = ("", "ac")
_ACCESS["colorld"] = ("", "c")
_ACCESS["call"] = ("", "")  # becomes jal
_PURE = {
    row.name
    for row in isa.INSTRUCTIONS
    if row.kind == "scalar" and row.form in ("RRX", "RX", "RRRR", "LD")
} | {"coord"}  # fmt: skip


@dataclass
class MBlock:
    """label; code; successors' labels."""

    label: int
    code: list[Ins] = field(default_factory=list)
    successors: list[int] = field(default_factory=list)


@dataclass
class MFunction:
    """A function after selection.

    params: register of each parameter, None if it is not used.  link: the register of the return address, None for
    entries.  clobbers: registers that it and what it calls change.  slots: bytes of its static frame.
    """

    name: str
    display: str
    blocks: list[MBlock]
    params: list[list[V]]
    link: V | None
    at: At | None = None
    clobbers: int = 0
    slots: int = 0
    spilled: dict[V, int] = field(default_factory=dict)  # to the byte in the frame
    dsrs: set[tuple[str, int]] = field(default_factory=set)  # that it and what it calls load

    @property
    def frame(self) -> str:
        return f"{self.name}.frame"
