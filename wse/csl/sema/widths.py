"""Values of fewer bits than the register that holds them: integers of any width, fields of packed structs.

A packed struct or union is a scalar: its backing integer, whose bits from the lowest up are those of the fields.
"""

from __future__ import annotations

from ..ir import ir
from ..syntax.errors import CslError, Span
from . import types as t
from .convert import bits_of
from .frame import PACKED, Builder, Frame
from .types import Type
from .values import Ptr, Run, Sym, Val, Value


def cut(build: Builder, kind: Type, value: ir.Value) -> Run:
    """A result modulo the width of its type, if it is kept in more bits."""
    if not isinstance(kind, t.IntType) or not kind.partial:
        return Run(kind, value)
    made = build.reg(kind.ir)
    if not kind.signed:
        build.emit(ir.Bin("and", made, value, ir.Const(kind.ir, kind.high)))
        return Run(kind, made)
    shifted, count = build.reg(kind.ir), ir.Const("u16", 8 * kind.size - kind.bits)
    build.emit(ir.Bin("shl", shifted, value, count))
    build.emit(ir.Bin("shr", made, shifted, count))
    return Run(kind, made)


def word_of(kind: Type) -> t.IntType:
    """The unsigned integer of as many bits as values of a scalar type."""
    width = t.bit_width(kind)
    assert width is not None
    return t.int_type(width, False)


def to_word(build: Builder, kind: Type, value: ir.Value) -> ir.Value:
    """The bits of a scalar as an unsigned integer of its width."""
    word = word_of(kind)
    if kind.ir == word.ir:
        return value
    made = build.reg(word.ir)
    build.emit(ir.Convert(made, value) if kind is t.BOOL else ir.Bitcast(made, value))
    return cut(build, word, made).value


def from_word(build: Builder, kind: Type, value: ir.Value) -> Run:
    """The scalar whose bits are the lowest ones of an unsigned integer."""
    word = word_of(kind)
    if value.type != word.ir:
        narrow = build.reg(word.ir)
        build.emit(ir.Convert(narrow, value))
        value = narrow
    value = cut(build, word, value).value
    if kind is t.BOOL:
        made = build.reg("bool")
        build.emit(ir.Bin("ne", made, value, ir.Const(word.ir, 0)))
        return Run(kind, made)
    if kind.ir == word.ir:
        return Run(kind, value)
    made = build.reg(kind.ir)
    build.emit(ir.Bitcast(made, value))
    return Run(kind, cut(build, kind.tag if isinstance(kind, t.EnumType) else kind, made).value)


# ---- fields of packed structs ----


def extract(frame: Frame, kind: t.StructType, name: str, value: ir.Value, span: Span | None) -> Run:
    """A field of a packed struct."""
    build = frame.need_run(span, "reading a field of a run-time value")
    field, offset = kind.fields[name][0], kind.bit_offsets[name]
    frame.unit.program.check_fp16(field, span)
    if offset:
        moved = build.reg(kind.ir)
        build.emit(ir.Bin("shr", moved, value, ir.Const("u16", offset)))
        value = moved
    return from_word(build, field, value)


def placed(frame: Frame, kind: t.StructType, name: str, value: Value, span: Span | None) -> ir.Value:
    """A field's value at its place in the backing integer, all other bits 0."""
    build = frame.need_run(span, "changing a field of a run-time value")
    field, offset = kind.fields[name][0], kind.bit_offsets[name]
    bits = to_word(build, field, frame.operand(value, span, field))
    if bits.type != kind.ir:
        wide = build.reg(kind.ir)
        build.emit(ir.Convert(wide, bits))
        bits = wide
    if offset:
        moved = build.reg(kind.ir)
        build.emit(ir.Bin("shl", moved, bits, ir.Const("u16", offset)))
        bits = moved
    return bits


def insert(frame: Frame, kind: t.StructType, name: str, old: ir.Value, value: Value, span: Span | None) -> Run:
    """The packed struct with another value in a field."""
    bits = placed(frame, kind, name, value, span)
    build = frame.build
    assert build is not None
    rest = ((1 << 8 * kind.size) - 1) & ~(
        ((1 << (t.bit_width(kind.fields[name][0]) or 0)) - 1) << kind.bit_offsets[name]
    )
    kept, made = build.reg(kind.ir), build.reg(kind.ir)
    build.emit(ir.Bin("and", kept, old, ir.Const(kind.ir, rest)))
    build.emit(ir.Bin("or", made, kept, bits))
    return Run(kind, made)


def pack(frame: Frame, kind: t.StructType, fields: dict[str, Value], span: Span | None) -> Run:
    """The packed struct with these fields."""
    build = frame.need_run(span, "a packed struct of run-time values")
    known = 0
    total: ir.Value | None = None
    for name, value in fields.items():
        if isinstance(value, Val):
            value = frame.coerce(value, kind.fields[name][0], span)
            if not symbolic(value):
                known |= (bits_of(value) or 0) << kind.bit_offsets[name]
                continue
        bits = placed(frame, kind, name, value, span)
        if total is not None:
            made = build.reg(kind.ir)
            build.emit(ir.Bin("or", made, total, bits))
            bits = made
        total = bits
    if total is None:
        return Run(kind, ir.Const(kind.ir, known))
    if known:
        made = build.reg(kind.ir)
        build.emit(ir.Bin("or", made, total, ir.Const(kind.ir, known)))
        total = made
    return Run(kind, total)


def symbolic(value: Val) -> bool:
    """Whether the bits of a known value are only known when the program is placed, or differ between PEs."""
    if isinstance(value.data, dict):
        return any(symbolic(part) for part in value.data.values())
    return isinstance(value.data, Sym) or (isinstance(value.data, Ptr) and value.data.target is not None)


def constant(frame: Frame, value: Val, span: Span | None) -> ir.Value:
    """A packed struct that is known, as a scalar."""
    kind = value.type
    assert isinstance(kind, t.StructType)
    if symbolic(value):
        return pack(frame, kind, value.data, span).value
    bits = bits_of(value)
    if bits is None:
        raise CslError.at(span, f"a value of type {kind} has no bits that are known")
    return ir.Const(kind.ir, bits)


PACKED["constant"] = constant
