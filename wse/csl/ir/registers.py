"""Which registers an instruction reads and writes, renaming them, and where it jumps."""

from __future__ import annotations

from dataclasses import replace

from . import ir
from .ir import Branch, Instr, Jump, Reg

_WRITTEN = {"dst", "dst2", "result"}


def written(instr: Instr) -> list[Reg]:
    """Registers that the instruction assigns.  dst of a Vector is an operand, not a result."""
    found = []
    for name in ("dst", "dst2", "result"):
        value = getattr(instr, name, None)
        if isinstance(value, Reg):
            found.append(value)
    return found


def read(instr: Instr) -> list[Reg]:
    """Registers that the instruction reads."""
    found: list[Reg] = []
    for name, value in vars(instr).items():
        if isinstance(value, Reg):
            if name not in _WRITTEN:
                found.append(value)
        elif isinstance(value, list):
            for item in value:
                found += [item] if isinstance(item, Reg) else _inner(item)
        else:
            found += _inner(value)
    return found


def _inner(value) -> list[Reg]:
    if isinstance(value, ir.Deref | ir.DsdVar):
        return [value.addr] if isinstance(value.addr, Reg) else []
    return []


def rename(value, change):
    """A value, operand or list of them with every register replaced."""
    if isinstance(value, Reg):
        return change(value)
    if isinstance(value, ir.Deref | ir.DsdVar) and isinstance(value.addr, Reg):
        return replace(value, addr=change(value.addr))
    if isinstance(value, list):
        return [rename(v, change) for v in value]
    return value


def copy_instr(instr: Instr, change) -> Instr:
    """A copy with every register replaced by change(register)."""
    new = object.__new__(type(instr))
    for name, value in vars(instr).items():
        setattr(new, name, rename(value, change))
    return new


def targets(instr: Instr) -> list[int]:
    """Blocks a terminator may go to, the likelier first."""
    if isinstance(instr, Jump):
        return [instr.to]
    if isinstance(instr, Branch):
        return [instr.then, instr.other]
    return []


def use_counts(function: ir.Function) -> dict[Reg, tuple[int, bool]]:
    """Per register how often it is read, and whether by a branch only."""
    counts: dict[Reg, tuple[int, bool]] = {}
    defined: dict[Reg, int] = {}
    for block in function.blocks:
        for instr in block.code:
            for reg in written(instr):
                defined[reg] = defined.get(reg, 0) + 1
            for reg in read(instr):
                n, branched = counts.get(reg, (0, True))
                counts[reg] = n + 1, branched and isinstance(instr, ir.Branch)
    # a register that is assigned twice (the test of a loop that was turned) is read by as many branches
    return {reg: (1 if n == defined.get(reg, 0) else n, branched) for reg, (n, branched) in counts.items()}
