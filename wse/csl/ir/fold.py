"""Constant folding of single IR instructions, with the machine's arithmetic."""

from __future__ import annotations

import numpy as np

from ... import _engine
from ...machine import isa
from . import ir
from .ir import BITS, FLOAT, SIGNED, Bin, Bitcast, Const, Convert, Copy, Instr, Select, Un


def wrap(type: str, value: int) -> int:
    """An integer modulo the type's width, signed if the type is."""
    if type == "bool":
        return int(bool(value))
    bits = BITS[type]
    value = int(value) & ((1 << bits) - 1)
    return value - (1 << bits) if type in SIGNED and value >> (bits - 1) else value


def bits_of(constant: Const, fp16: str = "f16") -> int:
    """The bits of a constant as an unsigned integer."""
    type, value = constant.type, constant.value
    if type == "f32":
        with np.errstate(over="ignore"):
            return int(np.array(value, np.float32).view(np.uint32))
    if type == "f16":
        with np.errstate(over="ignore"):
            if fp16 == "f16":
                return int(np.array(value, np.float16).view(np.uint16))
            return int(_engine.s2h(isa.FP16[fp16], np.array([value], np.float32))[0])
    return int(value) & ((1 << BITS[type]) - 1)


def fold(instr: Instr) -> Instr | None:
    """The instruction as a Copy, if its operands are constants or make it trivial; None if there is nothing to do."""
    match instr:
        case Bin(op=op, dst=dst, a=Const() as a, b=Const() as b) if a.type not in FLOAT:
            value = _binary(op, a.type, int(a.value), int(b.value), b.type)
            return None if value is None else Copy(dst, Const(dst.type, value), at=instr.at)
        case Bin(op="add", dst=dst, a=ir.Addr(symbol, offset), b=Const(_, value)):
            return Copy(dst, ir.Addr(symbol, offset + int(value)), at=instr.at) if dst.type == "ptr" else None
        case Bin(op=op, dst=dst, a=a, b=Const(type, value)) if type not in FLOAT and dst.type == a.type:
            if int(value) == 0 and op in ("add", "sub", "or", "xor", "shl", "shr"):
                return Copy(dst, a, at=instr.at)
            if int(value) == 1 and op in ("mul", "div"):
                return Copy(dst, a, at=instr.at)
            if op == "mul" and 0 < int(value) < 1 << 15 and int(value) & (int(value) - 1) == 0:
                return Bin("shl", dst, a, Const(type, int(value).bit_length() - 1), at=instr.at)
            if op in ("div", "rem") and type not in SIGNED and int(value) > 1 and int(value) & (int(value) - 1) == 0:
                if op == "div":
                    return Bin("shr", dst, a, Const(type, int(value).bit_length() - 1), at=instr.at)
                return Bin("and", dst, a, Const(type, int(value) - 1), at=instr.at)
            return None
        case Bin(op="add" | "mul" | "and" | "or" | "xor" | "eq" | "ne" as op, dst=dst, a=Const() as a, b=b):
            if not isinstance(b, Const):
                return Bin(op, dst, b, a, at=instr.at)
            return None
        case Un(op=op, dst=dst, a=Const(type, value)) if type not in FLOAT and op in ("neg", "not", "lnot"):
            done = {"neg": -int(value), "not": ~int(value), "lnot": int(not value)}[op]
            return Copy(dst, Const(dst.type, wrap(dst.type, done)), at=instr.at)
        case Convert(dst=dst, a=Const() as a):
            converted = _convert(a, dst.type)
            return None if converted is None else Copy(dst, Const(dst.type, converted), at=instr.at)
        case Convert(dst=dst, a=a) if dst.type == a.type:
            return Copy(dst, a, at=instr.at)
        case Bitcast(dst=dst, a=a) if dst.type == a.type:
            return Copy(dst, a, at=instr.at)
        case Bitcast(dst=dst, a=Const() as a) if dst.type not in FLOAT and a.type not in FLOAT:
            return Copy(dst, Const(dst.type, wrap(dst.type, int(a.value))), at=instr.at)
        case Select(dst=dst, cond=Const(_, value), a=a, b=b):
            return Copy(dst, a if value else b, at=instr.at)
    return None


def _convert(a: Const, to: str) -> int | float | None:
    if a.type in FLOAT:
        return None
    value = wrap(a.type, int(a.value))
    if to in FLOAT:
        return float(value) if abs(value) < 1 << 11 else None
    return wrap(to, value)


def _binary(op: str, type: str, a: int, b: int, b_type: str) -> int | None:
    a, b = wrap(type, a), wrap(b_type, b)
    bits = BITS[type]
    match op:
        case "add":
            return wrap(type, a + b)
        case "sub":
            return wrap(type, a - b)
        case "mul":
            return wrap(type, a * b)
        case "div" | "rem" if b:
            quotient = abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)
            return wrap(type, quotient if op == "div" else a - b * quotient)
        case "and":
            return wrap(type, a & b)
        case "or":
            return wrap(type, a | b)
        case "xor":
            return wrap(type, a ^ b)
        case "shl" if b >= 0:
            return wrap(type, a << b) if b < bits else 0
        case "shr" if b >= 0:
            return wrap(type, a >> b) if b < bits else (-1 if a < 0 else 0)
    compared = {"eq": a == b, "ne": a != b, "lt": a < b, "le": a <= b, "gt": a > b, "ge": a >= b}
    return int(compared[op]) if op in compared else None
