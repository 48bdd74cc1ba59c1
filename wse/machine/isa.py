"""The instruction set: rows of tables/isa.def, the layout of a word (tables/isa.h), the reference as markdown."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .. import _engine
from ..errors import ProgramError, did_you_mean

IMMEDIATE = 0x8000  # bit of the opcode: the last operand is in the immediate field
REGISTER = 0x40  # a vector operand byte that is a register
NONE = 0xFF  # no operand, no base register
DSR_FILES = "dab"  # destination, source 0, source 1; 16 registers each
DSRS = 16

OPT_ASYNC = 1
OPT_UT = 1  # shift, 3 bits
OPT_UT_GIVEN = 1 << 4
OPT_THEN = 5  # shift, 2 bits
OPT_THEN_NONE, OPT_THEN_ACTIVATE, OPT_THEN_UNBLOCK = 0, 1, 2
OPT_TASK = 7  # shift, 6 bits

DSD_NONE, DSD_MEM1D, DSD_MEM4D, DSD_CIRCULAR, DSD_FIFO, DSD_FABIN, DSD_FABOUT = range(7)
DSD_CONTROL, DSD_SAVE_ADDRESS, DSD_ADVANCE_SWITCH, DSD_INDEX = 1, 2, 4, 8
DSD_SIMD, DSD_WIDE, DSD_ELEMENTS, DSD_BINDS = 16, 32, 64, 128
DSD_COUNTS = DSD_INDEX  # of a FIFO
DSD_SCALAR = DSD_ADVANCE_SWITCH  # of a vector in memory
SIMD_32, SIMD_64, SIMD_32_OR_64 = range(3)
SIMD_MODE = 4  # shift, 2 bits of the XDSR's byte
DSD_TRANSFORM, DSD_ZERO_FIRST, DSD_ZERO_SECOND = DSD_ELEMENTS, DSD_SAVE_ADDRESS, DSD_BINDS  # of fabric descriptors
LENGTH_INFINITE = 0x7FFF
ON_CONTROL_NONE, ON_CONTROL_TERMINATE, ON_CONTROL_ACTIVATE, ON_CONTROL_UNBLOCK = range(4)

FP16 = {"f16": 0, "bf16": 1, "cb16": 2}  # wse_fp16 by name


class Type(NamedTuple):
    """A row TYPE of isa.def: an element of a vector operand.  bytes: of an element; half: in the program's 16-bit float
    format; csl: the scalar type of CSL."""

    name: str
    bytes: int
    is_float: bool
    half: bool
    csl: str
    meaning: str


class Form(NamedTuple):
    """A row FORM of isa.def: the operands of a scalar or system instruction as the assembler writes them, and which
    fields of the word (a, b, c, d) hold registers that it writes and reads."""

    name: str
    operands: str
    writes: str
    reads: str


class Instruction(NamedTuple):
    """A row of isa.def; its columns are described at the head of that file.

    kind: "vector", "scalar" or "system".  types: of dst, src0, src1, extra of a vector row, "NONE" where there is no
    operand.  lanes: elements a cycle on WSE-2, WSE-3.  Columns that a kind of row does not have are "" or 0.
    """

    opcode: int
    name: str
    kind: str
    form: str
    types: tuple[str, str, str, str]
    latency: str
    lanes: tuple[int, int]
    flops: int
    rule: str
    bytes: int
    privacy: str
    group: int
    names: str
    effect: str

    @property
    def operands(self) -> tuple[str, ...]:
        """Operands in the order of the text; of a vector row the names of those it has."""
        if self.kind != "vector":
            return tuple(text.strip() for text in FORMS[self.form].operands.split(",") if text)
        return tuple(name for name, type in zip(VECTOR_OPERANDS, self.types, strict=True) if type != "NONE")

    @property
    def syntax(self) -> str:
        """The instruction as the assembler writes it: "fmacs dst, src0, src1, extra"."""
        return f"{self.name} {', '.join(self.operands)}".rstrip()

    @property
    def sizes(self) -> tuple[int, int, int, int]:
        """Bytes of an element of dst, src0, src1, extra of a vector row; 0 where there is no operand."""
        return tuple(TYPES[type].bytes if type else 0 for type in self.types)  # type: ignore[return-value]


VECTOR_OPERANDS = ("dst", "src0", "src1", "extra")
TYPES = {row["name"]: Type(**row) for row in _engine.types()}
FORMS = {row["name"]: Form(**row) for row in _engine.forms()}
INSTRUCTIONS: tuple[Instruction, ...] = tuple(Instruction(i, **row) for i, row in enumerate(_engine.ops()))
INSTRUCTION = {row.name: row for row in INSTRUCTIONS}


# Fields of the word that name a DSR or XDSR: by their first bit, the opcodes that have one there.
_DSR_FIELDS = {
    16: [r.opcode for r in INSTRUCTIONS if r.kind == "vector" or r.form in ("DR", "XR")],
    24: [r.opcode for r in INSTRUCTIONS if r.kind == "vector" or r.form == "RDT"],
    32: [r.opcode for r in INSTRUCTIONS if r.kind == "vector"],
}


def instruction(name: str) -> Instruction:
    """The row of that name; ProgramError with close matches if there is none."""
    try:
        return INSTRUCTION[name]
    except KeyError:
        raise ProgramError(f"there is no instruction {name!r}: {did_you_mean(name, INSTRUCTION)}") from None


class Fields(NamedTuple):
    """An instruction word taken apart.  imm is signed; c, d and options overlay it."""

    opcode: int
    immediate: bool
    a: int
    b: int
    imm: int

    @property
    def c(self) -> int:
        """Operand c: bits 7:0 of the immediate."""
        return self.imm & 0xFF

    @property
    def d(self) -> int:
        """Operand d: bits 15:8 of the immediate."""
        return self.imm >> 8 & 0xFF

    @property
    def options(self) -> int:
        """Options of an operation: bits 31:16 of the immediate."""
        return self.imm >> 16 & 0xFFFF


def encode(opcode: int, a: int = 0, b: int = 0, imm: int = 0, immediate: bool = False) -> int:
    """The word of these fields."""
    return opcode | (IMMEDIATE if immediate else 0) | a << 16 | b << 24 | (imm & 0xFFFFFFFF) << 32


def decode(word: int) -> Fields:
    """The fields of a word; any 64 bits have them."""
    word = int(word)
    imm = word >> 32
    return Fields(word & 0x7FFF, bool(word & IMMEDIATE), word >> 16 & 0xFF, word >> 24 & 0xFF, imm - (imm >> 31 << 32))


def highest_dsr(words: np.ndarray) -> tuple[int, int]:
    """The highest number of a DSR or XDSR within its file that the instructions name, and where: (number, index of the
    instruction); (-1, -1) if they name none.  words: uint64 [n]."""
    words = np.asarray(words, np.uint64)
    opcode = words & np.uint64(0x7FFF)
    numbers = np.full(len(words), -1, np.int64)
    for shift, opcodes in _DSR_FIELDS.items():
        byte = (words >> np.uint64(shift) & np.uint64(0xFF)).astype(np.int64)
        named = np.isin(opcode, opcodes) & (byte < len(DSR_FILES) * DSRS)
        numbers = np.maximum(numbers, np.where(named, byte % DSRS, -1))
    at = int(numbers.argmax()) if len(words) else -1
    return (int(numbers[at]), at) if at >= 0 and numbers[at] >= 0 else (-1, -1)


def reference(name: str | None = None) -> str:
    """The instruction reference as markdown: a table per kind, or one instruction."""
    if name is not None:
        return _entry(instruction(name))
    parts = []
    for kind, title, head in _SECTIONS:
        parts += [f"## {title}", "", *_table(head, [_row(row) for row in INSTRUCTIONS if row.kind == kind]), ""]
    return "\n".join(parts)


_SECTIONS = (
    ("vector", "Vector operations", ("instruction", "types", "WSE-2", "WSE-3", "flops", "effect")),
    ("scalar", "Scalar instructions", ("instruction", "latency", "effect")),
    ("system", "System instructions", ("instruction", "effect")),
)


def _row(row: Instruction) -> tuple[str, ...]:
    if row.kind == "vector":
        types = " ".join(type for type in row.types if type != "NONE")
        return f"`{row.syntax}`", types, str(row.lanes[0]), str(row.lanes[1]), str(row.flops), row.effect
    if row.kind == "scalar":
        return f"`{row.syntax}`", row.latency, row.effect
    return f"`{row.syntax}`", row.effect


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    escape = [tuple(cell.replace("|", "\\|") for cell in row) for row in rows]
    return ["| " + " | ".join(row) + " |" for row in (head, ("---",) * len(head), *escape)]


def _entry(row: Instruction) -> str:
    lines = [f"### {row.name}", "", f"    {row.syntax}", "", f"{row.effect}.", ""]
    lines.append(f"- opcode {row.opcode}, {row.kind}")
    if row.kind == "vector":
        types = zip(VECTOR_OPERANDS, row.types, strict=True)
        lines.append("- types: " + ", ".join(f"{name} {type}" for name, type in types if type != "NONE"))
        lines.append(f"- elements a cycle: {row.lanes[0]} on WSE-2, {row.lanes[1]} on WSE-3, before memory and fabric")
        lines.append(f"- floating-point operations per element: {row.flops}")
    else:
        lines.append(f"- latency: {row.latency}")
    return "\n".join(lines)
