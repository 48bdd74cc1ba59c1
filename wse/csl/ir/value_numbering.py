"""Within a block: what was computed, loaded or stored before is not computed or loaded again.

Async operations that write memory meanwhile, and pointers to a variable's neighbors, are the program's own risk, as
with any compiler; every store stays.
"""

from __future__ import annotations

from . import ir
from .ir import BITS, Addr, Bin, Bitcast, Const, Convert, Copy, Function, Instr, Load, Reg, Select, Store, Un
from .registers import written

_PURE = (Bin, Un, Convert, Bitcast, Select)
_HARMLESS = (*_PURE, Copy, Load, Store, ir.Jump, ir.Branch, ir.Return, ir.Trap)


def reuse(function: Function) -> bool:
    """True if anything is had for nothing."""
    changed = False
    for block in function.blocks:
        changed |= _Block().run(block)
    return changed


class _Block:
    """What is known at a place of a block.  A register's version counts its assignments."""

    def __init__(self):
        self.versions: dict[Reg, int] = {}
        self.values: dict[tuple, tuple[Reg, int]] = {}
        self.memory: dict[tuple[str, int, str], tuple[ir.Value, int]] = {}

    def run(self, block: ir.Block) -> bool:
        changed = False
        for i, instr in enumerate(block.code):
            known = self.known(instr)
            if known is not None:
                block.code[i] = Copy(instr.dst, known, at=instr.at)  # type: ignore[attr-defined]
                changed = True
            key = self.key(instr) if isinstance(instr, _PURE) else None
            place = self.place(instr) if isinstance(instr, Load) else None
            for reg in written(instr):
                self.versions[reg] = self.versions.get(reg, 0) + 1
            if key is not None and instr.dst not in (*_operands(instr),):  # type: ignore[attr-defined]
                self.values.setdefault(key, (instr.dst, self.version(instr.dst)))  # type: ignore[attr-defined]
                if self.lookup(self.values[key]) is None:
                    self.values[key] = instr.dst, self.version(instr.dst)  # type: ignore[attr-defined]
            if place is not None and known is None:
                self.memory[place] = instr.dst, self.version(instr.dst)  # type: ignore[attr-defined]
            self.effects(instr)
        return changed

    def version(self, value: ir.Value) -> int:
        return self.versions.get(value, 0) if isinstance(value, Reg) else 0

    def lookup(self, entry: tuple[ir.Value, int] | None) -> ir.Value | None:
        """The value, if the register that held it has not been assigned since."""
        if entry is None or self.version(entry[0]) != entry[1]:
            return None
        return entry[0]

    def known(self, instr: Instr) -> ir.Value | None:
        if isinstance(instr, _PURE):
            return self.lookup(self.values.get(self.key(instr)))
        if isinstance(instr, Load) and (place := self.place(instr)):
            return self.lookup(self.memory.get(place))
        return None

    def key(self, instr: Instr) -> tuple:
        operands = tuple((v, self.version(v)) for v in _operands(instr))
        return (type(instr), getattr(instr, "op", ""), instr.dst.type, operands)  # type: ignore[attr-defined]

    def place(self, instr: Load | Store) -> tuple[str, int, str] | None:
        if not isinstance(instr.addr, Addr):
            return None
        type = instr.dst.type if isinstance(instr, Load) else instr.value.type
        return instr.addr.symbol, instr.addr.offset + instr.offset, type

    def effects(self, instr: Instr) -> None:
        if isinstance(instr, Store):
            place = self.place(instr)
            if place is None:
                self.memory.clear()
                return
            symbol, at, type = place
            end = at + BITS[type] // 8
            for other in [k for k in self.memory if k[0] == symbol and k[1] < end and at < k[1] + BITS[k[2]] // 8]:
                del self.memory[other]
            self.memory[place] = instr.value, self.version(instr.value)
        elif not isinstance(instr, (*_HARMLESS, ir.Sys)):
            self.memory.clear()


def _operands(instr: Instr) -> list[ir.Value]:
    names = ("cond", "a", "b")
    return [value for name in names if isinstance(value := getattr(instr, name, None), Reg | Const | Addr)]
