"""Operands as the vendor's machine takes them, before registers are assigned.

A load or store of 32 bits takes its address from a register, also a constant one: published programs need two
instructions for each.  A constant is made once in a block.  An instruction of 16 bits takes the low half of a pair.
"""

from __future__ import annotations

from collections.abc import Iterable

from . import words
from .mir import Imm, Ins, MBlock, V

HALVES = {  # fields of which an instruction looks at the low 16 bits only
    **dict.fromkeys(("iadd16", "isub16", "imul16", "ieq16", "ine16", "ilts16", "iles16", "iltu16", "ileu16"), "bc"),
    **dict.fromkeys(("ishl16", "ishr16", "isar16"), "b"),
    **dict.fromkeys(("zext8", "zext16", "sext8", "sext16"), "c"),
    "st16": "a",
}


def prepare(blocks: list[MBlock], arrives: Iterable[V] = ()) -> None:
    """Rewrites the instructions of a function.  arrives: registers that have a value when it begins."""
    code = [ins for block in blocks for ins in block.code]
    parts = words.parts_of_descriptors(code)
    for block in blocks:
        _load_addresses(block, parts)
    often = dict.fromkeys(arrives, 1)
    for block in blocks:
        for ins in block.code:
            for v in ins.defs():
                often[v] = often.get(v, 0) + 1
    for block in blocks:
        _share_constants(block, often)
    _drop_copies(blocks, often)
    for block in blocks:
        _take_halves(block)


def _load_addresses(block: MBlock, parts: set[V]) -> None:
    code: list[Ins] = []
    known: dict[Imm | None, V] = {}
    for ins in block.code:
        if ins.op in ("ld32", "st32") and ins.b is None and not ins.a.fixed and ins.a not in parts:
            if ins.imm not in known:
                known[ins.imm] = V("address")
                code.append(Ins("mov", known[ins.imm], None, imm=ins.imm, at=ins.at))
            ins.b, ins.imm = known[ins.imm], 0
        code.append(ins)
    block.code = code


def _share_constants(block: MBlock, often: dict[V, int]) -> None:
    """Turns the later of equal constants into moves."""
    known: dict[int, V] = {}
    for ins in block.code:
        if ins.op == "mov" and isinstance(ins.imm, int) and not ins.a.fixed and often.get(ins.a) == 1:
            if ins.imm in known:
                ins.c, ins.imm = known[ins.imm], None
            else:
                known[ins.imm] = ins.a


def _drop_copies(blocks: list[MBlock], often: dict[V, int]) -> None:
    """Reads constants where they are made, so that one that finds no register is made again where it is read."""
    moves = [ins for block in blocks for ins in block.code if ins.op == "mov" and often[ins.a] == 1 and not ins.a.fixed]
    constants = {ins.a for ins in moves if ins.imm is not None}
    copies = {ins.a: ins.c for ins in moves if ins.imm is None and ins.c in constants}
    for block in blocks:
        block.code = [ins for ins in block.code if not (ins.is_move and ins.a in copies)]
        for ins in block.code:
            for field in ins.fields()[1]:
                v = getattr(ins, field)
                if type(v) is V and v in copies:
                    ins.substitute(field, copies[v])
            ins.reads = tuple(copies.get(v, v) for v in ins.reads)


def _take_halves(block: MBlock) -> None:
    """Replaces the low halves of registers, where the other half does not matter, by the registers."""
    halves: dict[V, V] = {}
    for ins in block.code:
        for field in HALVES.get(ins.op, ""):
            v = getattr(ins, field)
            if type(v) is V and v in halves:
                ins.substitute(field, halves[v])
        for v in ins.defs():
            halves = {half: whole for half, whole in halves.items() if v is not half and v is not whole}
        if ins.op == "zext16" and type(ins.c) is V and not ins.a.fixed and not ins.c.fixed and ins.a is not ins.c:
            halves[ins.a] = ins.c
