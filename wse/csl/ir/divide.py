"""Division of 64-bit integers: calls of a routine that shifts and subtracts, added to units that divide."""

from __future__ import annotations

from . import routines
from .ir import Bin, Bitcast, Block, Branch, Call, Const, Copy, Function, Instr, Jump, Reg, Return, Select, Un, Unit

QUOTIENT, REMAINDER = "<quotient of 64 bits>", "<remainder of 64 bits>"
ROUTINES = {"div": QUOTIENT, "rem": REMAINDER}


def expand(unit: Unit) -> None:
    """Replaces the divisions of all functions."""
    routines.expand(unit, _replacement, _routine)


def _replacement(instr: Instr) -> tuple[list[Instr], list[str]] | None:
    if isinstance(instr, Bin) and instr.op in ROUTINES and instr.a.type in ("i64", "u64"):
        return _division(instr), [ROUTINES[instr.op]]
    return None


def _division(instr: Bin) -> list[Instr]:
    at, routine = instr.at, ROUTINES[instr.op]
    if instr.a.type == "u64":
        return [Call(instr.dst, routine, [instr.a, instr.b], at=at)]
    zero = Const("i64", 0)
    sizes, signs, code = [], [], []
    for value in (instr.a, instr.b):
        sign, minus, size, bits = Reg("bool"), Reg("i64"), Reg("i64"), Reg("u64")
        code += [
            Bin("lt", sign, value, zero, at=at),
            Un("neg", minus, value, at=at),
            Select(size, sign, minus, value, at=at),
            Bitcast(bits, size, at=at),
        ]
        sizes.append(bits)
        signs.append(sign)
    result, signed, minus, negative = Reg("u64"), Reg("i64"), Reg("i64"), signs[0]
    if instr.op == "div":
        negative = Reg("bool")
        code.append(Bin("xor", negative, signs[0], signs[1], at=at))
    return [
        *code,
        Call(result, routine, list(sizes), at=at),
        Bitcast(signed, result, at=at),
        Un("neg", minus, signed, at=at),
        Select(instr.dst, negative, minus, signed, at=at),
    ]


def _routine(name: str) -> Function:
    """Sixty-four times: the dividend moves left into the rest, from which the divisor is taken where it fits."""
    a, b, rest, top, left = Reg("u64", "a"), Reg("u64", "b"), Reg("u64", "rest"), Reg("u64"), Reg("u16", "left")
    fits = Reg("bool")
    loop = [
        Bin("shl", rest, rest, Const("u16", 1)),
        Bin("shr", top, a, Const("u16", 63)),
        Bin("or", rest, rest, top),
        Bin("shl", a, a, Const("u16", 1)),
        Bin("ge", fits, rest, b),
        Branch(fits, 2, 3),
    ]
    taken = [Bin("sub", rest, rest, b), Bin("or", a, a, Const("u64", 1)), Jump(3)]
    again = Reg("bool")
    step = [Bin("sub", left, left, Const("u16", 1)), Bin("ne", again, left, Const("u16", 0)), Branch(again, 1, 4)]
    begin = [Copy(rest, Const("u64", 0)), Copy(left, Const("u16", 64)), Jump(1)]
    end: list[Instr] = [Return(a if name == QUOTIENT else rest)]
    codes: list[list[Instr]] = [begin, loop, taken, step, end]
    return Function(name, [a, b], "u64", [Block(i, code) for i, code in enumerate(codes)], name.strip("<>"))
