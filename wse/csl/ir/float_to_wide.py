"""Conversion of floats to 64-bit integers: calls of routines that take the upper and the lower word apart.

The result is the value toward zero, the nearest limit of the type if it lies beyond, 0 of NaN.
"""

from __future__ import annotations

from . import routines
from .ir import (
    FLOAT,
    Bin,
    Bitcast,
    Block,
    Branch,
    Call,
    Const,
    Convert,
    Copy,
    Function,
    Instr,
    Reg,
    Return,
    Select,
    Un,
    Unit,
)

UNSIGNED, SIGNED = "<f32 as u64>", "<f32 as i64>"
ROUTINES = {"u64": UNSIGNED, "i64": SIGNED}


def expand(unit: Unit) -> None:
    """Replaces these conversions in all functions."""
    routines.expand(unit, _replacement, lambda name: _MAKE[name]())


def _replacement(instr: Instr) -> tuple[list[Instr], set[str]] | None:
    if isinstance(instr, Convert) and instr.dst.type in ROUTINES and instr.a.type in FLOAT:
        return _conversion(instr), {UNSIGNED, ROUTINES[instr.dst.type]}
    return None


def _conversion(instr: Convert) -> list[Instr]:
    if instr.a.type == "f32":
        return [Call(instr.dst, ROUTINES[instr.dst.type], [instr.a], at=instr.at)]
    wide = Reg("f32")  # every 16-bit float is an f32
    return [Convert(wide, instr.a, at=instr.at), Call(instr.dst, ROUTINES[instr.dst.type], [wide], at=instr.at)]


def _unsigned() -> Function:
    """x = high * 2^32 + low.  All steps are exact: x has 24 significant bits, and so has the upper word."""
    x, some, beyond = Reg("f32", "x"), Reg("bool"), Reg("bool")
    scaled, high, back, rest, low = Reg("f32"), Reg("u32", "high"), Reg("f32"), Reg("f32"), Reg("u32", "low")
    upper, moved, lower, result = Reg("u64"), Reg("u64"), Reg("u64"), Reg("u64")
    blocks: list[list[Instr]] = [
        [Bin("ge", some, x, Const("f32", 1.0)), Branch(some, 1, 3)],
        [Bin("ge", beyond, x, Const("f32", 2.0**64)), Branch(beyond, 4, 2)],
        [
            Bin("mul", scaled, x, Const("f32", 2.0**-32)),
            Convert(high, scaled),
            Convert(back, high),
            Bin("mul", back, back, Const("f32", 2.0**32)),
            Bin("sub", rest, x, back),
            Convert(low, rest),
            Convert(upper, high),
            Bin("shl", moved, upper, Const("u16", 32)),
            Convert(lower, low),
            Bin("or", result, moved, lower),
            Return(result),
        ],
        [Return(Const("u64", 0))],
        [Return(Const("u64", (1 << 64) - 1))],
    ]
    return Function(UNSIGNED, [x], "u64", [Block(i, code) for i, code in enumerate(blocks)], "f32 as u64")


def _signed() -> Function:
    x, negative, minus, size, bits = Reg("f32", "x"), Reg("bool"), Reg("f32"), Reg("f32"), Reg("u64")
    beyond, value, opposite, result = Reg("bool"), Reg("i64"), Reg("i64"), Reg("i64")
    blocks: list[list[Instr]] = [
        [
            Bin("lt", negative, x, Const("f32", 0.0)),
            Un("neg", minus, x),
            Select(size, negative, minus, x),
            Call(bits, UNSIGNED, [size]),
            Bin("ge", beyond, bits, Const("u64", 1 << 63)),
            Branch(beyond, 1, 2),
        ],
        [
            Select(result, negative, Const("i64", -(1 << 63)), Const("i64", (1 << 63) - 1)),
            Return(result),
        ],
        [
            Bitcast(value, bits),
            Un("neg", opposite, value),
            Select(value, negative, opposite, value),
            Copy(result, value),
            Return(result),
        ],
    ]
    return Function(SIGNED, [x], "i64", [Block(i, code) for i, code in enumerate(blocks)], "f32 as i64")


_MAKE = {UNSIGNED: _unsigned, SIGNED: _signed}
