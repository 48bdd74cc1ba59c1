"""Constants of loops: a number that a loop loads into a register in each round is loaded once, before the loop.

Addresses stay where they are: published loops compute the address of an element from three instructions each time.
"""

from __future__ import annotations

from ..ir.loops import natural_loops, predecessors
from .mir import Imm, Ins, MBlock, V

MOST = 8  # registers that hold constants over a loop


def hoist(blocks: list[MBlock]) -> None:
    """Moves constants out of the loops of a function without calls; the first block is the entry."""
    by_label = {block.label: block for block in blocks}
    successors = {block.label: block.successors for block in blocks}
    before = predecessors(successors)
    single = _assigned_once(blocks)
    done: set[int] = set()
    for loop in natural_loops(successors, blocks[0].label):
        inside = [block for block in blocks if block.label in loop.blocks]
        if loop.blocks & done or any(ins.op == "call" for block in inside for ins in block.code):
            continue
        entries = before[loop.head] - loop.blocks
        if len(entries) != 1:
            continue
        entry = by_label[entries.pop()]
        if entry.successors == [loop.head]:
            done |= loop.blocks
            _move(inside, entry, single)


def _assigned_once(blocks: list[MBlock]) -> set[V]:
    count: dict[V, int] = {}
    for block in blocks:
        for ins in block.code:
            for v in ins.defs():
                count[v] = count.get(v, 0) + 1
    return {v for v, n in count.items() if n == 1 and v.color is None}


def _is_constant(ins: Ins, single: set[V]) -> bool:
    return ins.op == "mov" and isinstance(ins.imm, int) and ins.a in single


def _move(inside: list[MBlock], entry: MBlock, single: set[V]) -> None:
    """Loads the constants at the end of `entry`; the places where they were become moves, which the allocator drops."""
    often: dict[Imm, int] = {}
    for block in inside:
        for ins in block.code:
            if _is_constant(ins, single):
                often[ins.imm] = often.get(ins.imm, 0) + 1
    chosen = sorted(often, key=lambda imm: -often[imm])[:MOST]
    registers = {imm: V("constant") for imm in chosen}
    at = len(entry.code) - (entry.code[-1:] != [] and entry.code[-1].op == "jmp")
    entry.code[at:at] = [Ins("mov", v, None, imm=imm, at=inside[0].code[0].at) for imm, v in registers.items()]
    for block in inside:
        for ins in block.code:
            if _is_constant(ins, single) and ins.imm in registers:
                ins.c, ins.imm = registers[ins.imm], None
