"""Local descriptor variables in registers instead of memory: most of their words are constants then."""

from __future__ import annotations

import struct

from . import descriptor, ir
from .descriptor import BASE, LENGTH, STRIDE
from .ir import Addr, Const, Copy, Dsd, DsdCopy, DsdRegs, DsdSet, DsdVar, Function, Instr, Reg, Unit

PARTS = ("first", "base", "length", "stride", "last")
TYPES = {"first": "u32", "base": "ptr", "length": "u16", "stride": "i16", "last": "u32"}
PLACES = {"first": 0, "base": BASE, "length": LENGTH, "stride": STRIDE, "last": 12}
PLAIN = ("mem1d", "fabin", "fabout")


def promote(unit: Unit) -> None:
    """Promotes every local variable that one function alone uses, and only as a descriptor."""
    candidates = {g.name for g in unit.globals if g.local and g.init is None and g.size == 16}
    users: dict[str, set[int]] = {}
    for function in unit.functions:
        for symbol, plain in _mentions(function):
            if not plain:
                candidates.discard(symbol)
            users.setdefault(symbol, set()).add(id(function))
    for instr in unit.startup:
        candidates -= {symbol for symbol, _ in _of_instr(instr)}
    for e in (*unit.exports, *unit.symbols.values()):
        candidates.discard(e.symbol or "")
    for function in unit.functions:
        chosen = {s for s, plain in _mentions(function) if s in candidates and len(users[s]) == 1}
        if chosen:
            _rewrite(function, chosen)


def _mentions(function: Function):
    for block in function.blocks:
        for instr in block.code:
            yield from _of_instr(instr)


def _of_instr(instr: Instr):
    """(symbol, whether it is a whole plain descriptor) of everything the instruction names."""
    for value in vars(instr).values():
        for item in value if isinstance(value, list) else (value,):
            if isinstance(item, DsdVar) and isinstance(item.addr, Addr):
                yield item.addr.symbol, item.kind in PLAIN and item.addr.offset == 0
            elif isinstance(item, Addr):
                yield item.symbol, False
            elif isinstance(item, ir.Deref) and isinstance(item.addr, Addr):
                yield item.addr.symbol, False
            elif isinstance(item, Dsd):
                for addr in (item.base, *(item.circle or ())):
                    if isinstance(addr, Addr):
                        yield addr.symbol, False


def _rewrite(function: Function, chosen: set[str]) -> None:
    regs = {symbol: {part: Reg(TYPES[part], f"{symbol}.{part}") for part in PARTS} for symbol in chosen}

    def of(operand) -> dict[str, Reg] | None:
        if isinstance(operand, DsdVar) and isinstance(operand.addr, Addr):
            return regs.get(operand.addr.symbol)
        return None

    def operand(value):
        if isinstance(value, list):
            return [operand(v) for v in value]
        parts = of(value)
        return value if parts is None else DsdRegs(value.kind, **parts, item=value.item, index=value.index)

    for block in function.blocks:
        code: list[Instr] = []
        for instr in block.code:
            if isinstance(instr, DsdCopy) and (of(instr.dst) or of(instr.source)):
                code += _copy(instr, of(instr.dst), of(instr.source))
            elif isinstance(instr, DsdSet) and (parts := of(instr.dst)):
                code += _set(instr, parts)
            else:
                for name, value in vars(instr).items():
                    if isinstance(value, DsdVar | list):
                        setattr(instr, name, operand(value))
                code.append(instr)
        block.code = code


def _copy(instr: DsdCopy, to: dict[str, Reg] | None, source: dict[str, Reg] | None) -> list[Instr]:
    at = instr.at
    if to is None:
        assert source is not None
        stores = [ir.Store(instr.dst.addr, source[part], PLACES[part], at=at) for part in PARTS]
        return [*stores, ir.Store(instr.dst.addr, Const("u16", 0), descriptor.OPTIONS, at=at)]
    if source is not None:
        return [Copy(to[part], source[part], at=at) for part in PARTS]
    if isinstance(instr.source, Dsd):
        values = _constants(instr.source)
        return [Copy(to[part], values[part], at=at) for part in PARTS]
    assert isinstance(instr.source, DsdVar)
    return [ir.Load(to[part], instr.source.addr, PLACES[part], at=at) for part in PARTS]


def _constants(dsd: Dsd) -> dict[str, ir.Value]:
    image, relocations = descriptor.image(dsd)
    first, base, length, stride, _, last = struct.unpack("<IHHhHI", image)
    address: ir.Value = Const("ptr", base)
    for _, symbol, addend in relocations:
        address = Addr(symbol, addend)
    values = (Const("u32", first), address, Const("u16", length), Const("i16", stride), Const("u32", last))
    return dict(zip(PARTS, values, strict=True))


def _set(instr: DsdSet, parts: dict[str, Reg]) -> list[Instr]:
    at = instr.at
    if instr.field == "advance":
        return [ir.Bin("add", parts["base"], parts["base"], instr.value, at=at)]
    if instr.field == "stride":
        shift = Const("u16", instr.dst.item.bit_length() - 1)
        return [ir.Bin("shr", parts["stride"], _typed(instr.value, "i16"), shift, at=at)]
    part = parts[instr.field]
    value = _typed(instr.value, part.type)
    return [Copy(part, value, at=at) if value.type == part.type else ir.Bitcast(part, value, at=at)]


def _typed(value: ir.Value, type: str) -> ir.Value:
    return Const(type, value.value) if isinstance(value, Const) else value
