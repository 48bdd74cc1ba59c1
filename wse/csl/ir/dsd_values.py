"""Descriptors of local variables and parameters become values: registers for their fields instead of memory.

A descriptor variable of a function, or a parameter that is a descriptor, stays in memory if its address is used, if it
has extents (an XDSR) or if @map walks over it.  Others are six registers (DsdValue).  A function gets a parameter as
six arguments.  What is constant after that is known to the optimiser, and to the code generator, which then loads the
descriptor once.
"""

from __future__ import annotations

import struct

from . import descriptor, ir
from .ir import (
    Addr,
    Bin,
    Block,
    Call,
    Const,
    Copy,
    Dsd,
    DsdCopy,
    DsdSet,
    DsdValue,
    DsdVar,
    Function,
    Instr,
    Load,
    Reg,
    Store,
    Unit,
    Value,
)
from .recursion import symbols

FIELDS = (  # type, first byte
    ("u32", 0),
    ("ptr", descriptor.BASE),
    ("u16", descriptor.LENGTH),
    ("u16", descriptor.STRIDE),
    ("u16", descriptor.OPTIONS),
    ("u32", 12),
)
PLACE = {"base": 1, "length": 2, "stride": 3}
OPERANDS = ("dst", "src0", "src1", "source")


def promote(unit: Unit, roots: set[str]) -> None:
    """Replaces descriptor variables of all functions.  roots: functions whose parameters are fixed."""
    homes = _candidates(unit, roots)
    if not homes:
        return
    params = {
        function.name: [symbol for symbol in function.memory_params if homes.get(symbol) == function.name]
        for function in unit.functions
    }
    for function in unit.functions:
        _Promotion(function, homes, params).run()


def _candidates(unit: Unit, roots: set[str]) -> dict[str, str]:
    """Variables that may become values, with the function that they belong to."""
    homes: dict[str, str] = {}
    for function in unit.functions:
        homes |= dict.fromkeys(function.locals, function.name)
        if function.name not in roots:
            homes |= {symbol: function.name for symbol, own in function.memory_params.items() if own is None}
    for g in unit.globals:
        for _, symbol, _ in g.relocations:
            homes.pop(symbol, None)
        if g.init is not None or g.relocations:
            homes.pop(g.name, None)
    for export in (*unit.exports, *unit.symbols.values()):
        homes.pop(export.symbol or "", None)
    for instr in unit.startup:
        for symbol in symbols(vars(instr)):
            homes.pop(symbol, None)
    described: set[str] = set()
    for name, instr in [(f.name, i) for f in unit.functions for b in f.blocks for i in b.code]:
        parameter = {place.addr.symbol for place in _descriptors(instr, homes, name) if isinstance(place.addr, Addr)}
        described |= parameter
        for symbol in set(symbols(vars(instr))):
            if symbol in homes and symbol not in parameter:
                del homes[symbol]
    return {symbol: name for symbol, name in homes.items() if symbol in described}


def _descriptors(instr: Instr, homes: dict[str, str], function: str) -> list[DsdVar]:
    """Descriptor variables that an instruction uses in a way that registers allow."""
    if not isinstance(instr, ir.Vector | ir.LoadDsr | DsdCopy | DsdSet):
        return []
    found = [value for name in OPERANDS if isinstance(value := getattr(instr, name, None), DsdVar)]
    good = []
    for var in found:
        symbol = var.addr.symbol if isinstance(var.addr, Addr) and var.addr.offset == 0 else None
        is_argument = isinstance(instr, DsdCopy) and var is instr.dst
        if symbol in homes and var.kind not in descriptor.EXTENDED and (homes[symbol] == function or is_argument):
            good.append(var)
    bad = {var.addr.symbol for var in found if var not in good and isinstance(var.addr, Addr)}
    return [var for var in good if isinstance(var.addr, Addr) and var.addr.symbol not in bad]


class _Promotion:
    """One function."""

    def __init__(self, function: Function, homes: dict[str, str], params: dict[str, list[str]]):
        self.function, self.homes, self.params = function, homes, params
        self.regs: dict[str, tuple[Reg, ...]] = {}
        self.code: list[Instr] = []

    def run(self) -> None:
        for symbol in self.params[self.function.name]:
            self.function.params += self.fields(symbol)
        for block in self.function.blocks:
            self.block(block)
        kept = {s: own for s, own in self.function.memory_params.items() if s not in self.homes}
        self.function.memory_params = kept
        self.function.locals = [symbol for symbol in self.function.locals if symbol not in self.homes]

    def fields(self, symbol: str) -> tuple[Reg, ...]:
        if symbol not in self.regs:
            self.regs[symbol] = tuple(Reg(type, symbol) for type, _ in FIELDS)
        return self.regs[symbol]

    def block(self, block: Block) -> None:
        self.code = []
        for instr in block.code:
            if isinstance(instr, DsdCopy):
                self.copy(instr)
                continue
            if isinstance(instr, DsdSet) and (symbol := self.symbol(instr.dst)) is not None:
                self.set(instr, self.fields(symbol))
                continue
            if isinstance(instr, Call):
                for symbol in self.params.get(instr.function, ()):
                    instr.args = [*instr.args, *self.fields(symbol)]
            for name in OPERANDS:
                value = getattr(instr, name, None)
                if isinstance(value, DsdVar) and (symbol := self.symbol(value)) is not None:
                    setattr(instr, name, DsdValue(value.kind, self.fields(symbol), value.index))
            self.code.append(instr)
        block.code = self.code

    def symbol(self, var: Dsd | DsdVar) -> str | None:
        """The variable, if it becomes registers."""
        if isinstance(var, DsdVar) and isinstance(var.addr, Addr) and var.addr.symbol in self.homes:
            return var.addr.symbol
        return None

    def copy(self, instr: DsdCopy) -> None:
        to, source = self.symbol(instr.dst), self.symbol(instr.source)
        if to is None and source is None:
            self.code.append(instr)
            return
        if source is not None:
            values: tuple[Value, ...] = self.fields(source)
        elif isinstance(instr.source, Dsd):
            values = constants(instr.source)
        else:
            values = tuple(Reg(type) for type, _ in FIELDS)
            for reg, (_, at) in zip(values, FIELDS, strict=True):
                assert isinstance(reg, Reg)
                self.code.append(Load(reg, instr.source.addr, at, at=instr.at))
        if to is not None:
            self.code += [Copy(reg, value, at=instr.at) for reg, value in zip(self.fields(to), values, strict=True)]
        else:
            for value, (_, at) in zip(values, FIELDS, strict=True):
                self.code.append(Store(instr.dst.addr, value, at, at=instr.at))

    def set(self, instr: DsdSet, fields: tuple[Reg, ...]) -> None:
        if instr.field == "advance":
            # a pointer plus bytes: the base is the second operand
            self.code.append(Bin("add", fields[1], instr.value, fields[1], "ptr", at=instr.at))
            return
        value, reg = instr.value, fields[PLACE[instr.field]]
        self.code.append(
            ir.Convert(reg, value, at=instr.at) if value.type != reg.type else Copy(reg, value, at=instr.at)
        )


def constants(dsd: Dsd) -> tuple[Value, ...]:
    """The fields of a constant descriptor."""
    image, _ = descriptor.image(dsd)
    values: list[Value] = []
    for type, at in FIELDS:
        (number,) = struct.unpack_from("<I" if type == "u32" else "<H", image, at)
        values.append(Const(type, number))
    if isinstance(dsd.base, Addr):
        values[1] = dsd.base
    return tuple(values)
