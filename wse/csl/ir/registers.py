"""Which registers an instruction reads and writes, renaming them, and where it jumps."""

from __future__ import annotations

from dataclasses import fields, replace

from . import ir
from .ir import Branch, Instr, Jump, Reg

_WRITTEN = {"dst", "dst2", "result"}
_NO_VALUES = {
    "at", "op", "type", "offset", "size", "function", "message", "to", "other", "field", "types", "out_type",
    "save_address",
}  # fmt: skip
_FIELDS: dict[type, tuple[tuple[str, ...], tuple[str, ...]]] = {}


def _fields(kind: type) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Fields of an instruction's class that may hold a register it assigns; that may hold what it reads."""
    found = _FIELDS.get(kind)
    if found is None:
        names = [item.name for item in fields(kind)]
        skipped = _NO_VALUES | ({"then"} if issubclass(kind, Branch) else set())
        found = _FIELDS[kind] = (
            tuple(name for name in ("dst", "dst2", "result") if name in names),
            tuple(name for name in names if name not in skipped),
        )
    return found


def written(instr: Instr) -> list[Reg]:
    """Registers that the instruction assigns.  dst of a Vector is an operand, not a result."""
    found = []
    for name in _fields(type(instr))[0]:
        value = getattr(instr, name)
        if type(value) is Reg:
            found.append(value)
    return found


def read(instr: Instr) -> list[Reg]:
    """Registers that the instruction reads."""
    found: list[Reg] = []
    for name in _fields(type(instr))[1]:
        value = getattr(instr, name)
        kind = type(value)
        if kind is Reg:
            if name not in _WRITTEN:
                found.append(value)
        elif kind is list:
            for item in value:
                found += [item] if isinstance(item, Reg) else _inner(item)
        elif kind in (ir.Deref, ir.DsdVar, ir.DsdValue):
            found += _inner(value)
    return found


def _inner(value) -> list[Reg]:
    if isinstance(value, ir.DsdValue):
        return [field for field in value.fields if isinstance(field, Reg)]
    if isinstance(value, ir.Deref | ir.DsdVar):
        return [value.addr] if isinstance(value.addr, Reg) else []
    return []


def rename(value, change):
    """A value, operand or list of them with every register replaced."""
    if isinstance(value, Reg):
        return change(value)
    if isinstance(value, ir.Deref | ir.DsdVar) and isinstance(value.addr, Reg):
        return replace(value, addr=change(value.addr))
    if isinstance(value, ir.DsdValue):
        return replace(value, fields=tuple(rename(field, change) for field in value.fields))
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
