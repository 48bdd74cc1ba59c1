"""What registers hold: words, pairs of words, predicates, parts of descriptors.

The vendor's machine has registers of 16 bits; a value of 32 bits takes a pair, whose first number is even.  Code is
allocated for six pairs and one more (docs/accuracy.md), although the registers of isa.def have 32 bits: how many values
a loop can keep decides how many of them are in memory.  Results of comparisons are predicates there, and a descriptor
goes from memory to a DSR; here both go through registers, which nothing else uses.
"""

from __future__ import annotations

from collections.abc import Iterable

from ...machine import isa
from .mir import PHYSICAL, SCRATCH, Ins, Kind, V

WORDS = 13
ALL = (1 << WORDS) - 1
EVEN = sum(1 << first for first in range(0, WORDS - 1, 2))  # first words of pairs
ODD = EVEN << 1
SINGLE = ALL & ~EVEN & ~ODD  # the word without a partner
OTHERS = ((1 << SCRATCH) - 1) & ~ALL  # registers of what is no word there
COPIES = ("mov", "sel", "iand", "ior", "ixor")  # as wide as what they copy or combine
MAKES = (*COPIES, "iadd16", "iadd32", "ishl16", "ishl32", "ishr32", "zext16")  # parts of descriptors of others
TESTS = {"bz": "a", "bnz": "a", "sel": "b"}  # fields that predicates decide
COMPARISONS = tuple(
    row.name
    for row in isa.INSTRUCTIONS
    if row.kind == "scalar" and row.name.lstrip("ihs").rstrip("0123456789su") in ("eq", "ne", "lt", "le")
)
WORD = 0xFFFF


def colors(kind: Kind, taken: int) -> int:
    """Mask of the colours that a register may have where those of a mask are taken; a pair has that of its first."""
    if kind == Kind.WIDE:
        return EVEN & ~(taken | taken >> 1)
    return (OTHERS | ALL if kind == Kind.OTHER else ALL) & ~taken


def span(color: int, kind: Kind) -> int:
    """Mask of the registers that a value takes."""
    return (3 if kind == Kind.WIDE else 1) << color


def _scalar(row: isa.Instruction) -> str:
    """Fields of a scalar row that have 32 bits."""
    name = row.name
    if row.form == "LD":
        return "a" if row.bytes == 4 else ""
    if row.form == "ST":
        return "a" if row.bytes == 4 else ""
    if name in ("ishl32", "ishr32", "isar32"):
        return "ab"  # the number of bits is a word
    if name in ("s2h", "i2h", "u2h"):
        return "c"
    if name in ("h2s", "h2i", "h2u"):
        return "a"
    if name in ("seq", "slt", "sle") or (name[:3] in ("ieq", "ine", "ilt", "ile") and name.endswith("32")):
        return "bc"
    if (name[0] == "s" and name not in ("sel", "sext8", "sext16")) or name in ("i2s", "u2s") or name.endswith("32"):
        return "abcd"
    return ""


def _fields(row: isa.Instruction) -> str:
    if row.kind == "scalar":
        return _scalar(row)
    if row.kind == "vector":
        return "".join(field for field, type in zip("abcd", row.types, strict=True) if type in ("D", "S"))
    return ""


FIELDS = {row.name: _fields(row) for row in isa.INSTRUCTIONS}


def wide_registers(code: Iterable[Ins]) -> set[V]:
    """The registers of a function that hold 32 bits: an instruction uses them so, or they are copied from or to one."""
    wide: set[V] = set()
    copied: dict[V, list[V]] = {}
    for ins in code:
        if ins.op in COPIES:
            group = [v for v in (ins.a, *((ins.c, ins.d) if ins.op == "sel" else (ins.b, ins.c))) if type(v) is V]
            for v in group:
                copied.setdefault(v, []).extend(group)
            if isinstance(ins.imm, int) and not -(1 << 15) <= ins.imm <= WORD:
                wide.add(ins.a)
            continue
        for letter in FIELDS.get(ins.op, ""):
            v = getattr(ins, letter)
            if type(v) is V:
                wide.add(v)
    todo = list(wide)
    while todo:
        v = todo.pop()
        if v.fixed:
            continue  # what is passed in a register of the machine says nothing of others that are passed there
        for other in copied.get(v, ()):
            if other not in wide:
                wide.add(other)
                todo.append(other)
    return wide


def parts_of_descriptors(code: Iterable[Ins]) -> set[V]:
    """The registers whose values go into r28 and following only, or into others of this kind."""
    makes: dict[V, list[V | None]] = {}
    for ins in code:
        to = ins.a if ins.op in MAKES and type(ins.a) is V and not ins.writes else None
        for v in ins.uses():
            makes.setdefault(v, []).append(to)
    found = {v for v in makes if not v.fixed}

    def goes_on(v: V) -> bool:
        return all(to is not None and (to in found or to in PHYSICAL[SCRATCH:]) for to in makes[v])

    while gone := {v for v in found if not goes_on(v)}:
        found -= gone
    return found


def flags(blocks: Iterable[list[Ins]]) -> set[V]:
    """Results of comparisons that only branches and selections of the same block look at: predicates there."""
    found: set[V] = set()
    others: set[V] = set()
    for code in blocks:
        here: set[V] = set()
        for ins in code:
            tests = TESTS.get(ins.op, "")
            for letter in ins.fields()[1]:
                v = getattr(ins, letter)
                if type(v) is V and (letter not in tests or v not in here):
                    others.add(v)
            others.update(ins.reads)
            for v in ins.defs():
                if ins.op in COMPARISONS and not v.fixed:
                    here.add(v)
                    found.add(v)
                else:
                    others.add(v)
    return found - others
