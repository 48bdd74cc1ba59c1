"""Operators on compile-time values.  comptime_int never wraps; sized integers do, as they do at run time."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from ..syntax.errors import CslError, Span
from ..syntax.lexer import INTEGER_BITS, bytes_of, text_of
from . import types as t
from .convert import coerce, describe, round_float, to_float, wrap_array
from .types import Type
from .values import FnRef, Sym, Val, concrete, same, sym

COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, ">": operator.gt, "<=": operator.le, ">=": operator.ge,
}  # fmt: skip


def common(a: Any, b: Any, op: str, span: Span | None, widening: bool = True) -> Type:
    """The type both operands (Val or Run) take.  widening: whether a type that can represent all values of the other
    is that of both, as since SDK 2.10."""
    x, y = a.type, b.type
    if x is y:
        return x
    if x is t.COMPTIME_INT and t.is_number(y):
        return y
    if y is t.COMPTIME_INT and t.is_number(x):
        return x
    if x is t.COMPTIME_FLOAT and t.is_float(y):
        return y
    if y is t.COMPTIME_FLOAT and t.is_float(x):
        return x
    if widening and (t.widens(x, y) or t.widens(y, x)):
        return y if t.widens(x, y) else x
    if isinstance(x, t.PointerType) and isinstance(y, t.PointerType) and op in ("==", "!="):
        return x
    note = "convert one with @as" if t.is_number(x) and t.is_number(y) else "these types do not go together"
    if not widening and (t.widens(x, y) or t.widens(y, x)):
        note += "; SDK 2.10 does this by itself, SDK 1.4 does not (--sdk-version=1.4)"
    raise CslError.at(span, f"both sides of {op} must have one type, not {x} and {y}", (None, note))


def fold(op: str, a: Val, b: Val, span: Span | None) -> Val:
    """a op b; and, or are not among the operators."""
    if op == "++":
        return concatenate(a, b, span)
    if op in ("<<", ">>"):
        return shift(op, a, b, span)
    if op in ("==", "!=") and not (t.is_number(a.type) and t.is_number(b.type)):
        return equal(op, a, b, span)
    kind = common(a, b, op, span)
    if not t.is_number(kind):
        if kind is t.BOOL and op in ("&", "|", "^"):
            x, y = concrete(a), concrete(b)
            return Val(kind, {"&": x and y, "|": x or y, "^": x != y}[op])
        raise CslError.at(span, f"{op} needs numbers, not {describe(a)} and {describe(b)}")
    a, b = coerce(a, kind, span), coerce(b, kind, span)
    if isinstance(a.data, Sym) or isinstance(b.data, Sym):
        return fold_sym(op, kind, a, b, span)
    if op in COMPARE:
        return Val(t.BOOL, COMPARE[op](a.data, b.data))
    if kind is t.COMPTIME_FLOAT or isinstance(kind, t.FloatType):
        made = fold_float(op, kind, a.data, b.data, span)
        if kind is t.COMPTIME_FLOAT:
            check_float(op, a.data, b.data, made, span)
        return Val(kind, made)
    return Val(kind, fold_int(op, kind, a.data, b.data, span))


def fold_int(op: str, kind: Type, x: int, y: int, span: Span | None) -> int:
    match op:
        case "+" | "-":
            made = x + y if op == "+" else x - y
            if made.bit_length() > INTEGER_BITS:
                raise CslError.at(
                    span, f"this {'sum' if op == '+' else 'difference'} has more than {INTEGER_BITS:,} bits"
                )
        case "*":
            if x.bit_length() + y.bit_length() > INTEGER_BITS:
                raise CslError.at(span, f"this product has more than {INTEGER_BITS:,} bits")
            made = x * y
        case "/" | "%":
            if y == 0:
                raise CslError.at(span, f"{x} is divided by zero")
            quotient = abs(x) // abs(y) * (1 if (x < 0) == (y < 0) else -1)
            made = quotient if op == "/" else x - quotient * y
        case "&":
            made = x & y
        case "|":
            made = x | y
        case "^":
            made = x ^ y
        case _:
            raise CslError.at(span, f"{op} is no operator for {kind}")
    return kind.wrap(made) if isinstance(kind, t.IntType) else made


def fold_float(op: str, kind: Type, x: float, y: float, span: Span | None) -> float:
    try:
        match op:
            case "+":
                made = x + y
            case "-":
                made = x - y
            case "*":
                made = x * y
            case "/":
                made = divide(x, y)
            case _:
                raise CslError.at(span, f"{op} is no operator for {kind}")
    except OverflowError:
        made = math.inf
    return round_float(kind, made) if isinstance(kind, t.FloatType) else made


def check_float(op: str, x: float, y: float, made: float, span: Span | None) -> None:
    """Numbers of type comptime_float: a division by zero, and an operation that results in NaN, is an error."""
    if op == "/" and y == 0:
        raise CslError.at(span, f"{x} is divided by zero")
    if math.isnan(made) and not math.isnan(x) and not math.isnan(y):
        raise CslError.at(span, f"{x} {op} {y} is not a number")


def divide(x: float, y: float) -> float:
    """As IEEE 754 has it."""
    if y == 0:
        if x == 0 or math.isnan(x):
            return math.nan
        return math.copysign(math.inf, x) * math.copysign(1.0, y)
    return x / y


def fold_sym(op: str, kind: Type, a: Val, b: Val, span: Span | None) -> Val:
    """Element by element; where that cannot be done exactly, the class of PEs is split."""
    x = a.data.values if isinstance(a.data, Sym) else a.data
    y = b.data.values if isinstance(b.data, Sym) else b.data
    if op in COMPARE:
        return Val(t.BOOL, sym(np.asarray(COMPARE[op](x, y))))
    if t.is_integral(kind) and not (isinstance(kind, t.IntType) and kind.bits == 64):
        largest = [int(np.abs(v).max()) if isinstance(v, np.ndarray) else abs(v) for v in (x, y)]
        bound = largest[0] * largest[1] if op == "*" else largest[0] + largest[1]
        if bound < 1 << 62:
            made = sym_int(op, x, y)
            if made is not None:
                return Val(kind, sym(wrap_array(kind, made) if isinstance(kind, t.IntType) else made))
    elif (isinstance(kind, t.FloatType) or kind is t.COMPTIME_FLOAT) and op in ("+", "-", "*"):
        made = {"+": operator.add, "-": operator.sub, "*": operator.mul}[op](np.asarray(x, np.float64), y)
        return to_float(Val(kind, sym(made)), kind)  # of two f32 or f16, exactly what rounding once gives
    return fold(op, Val(kind, concrete(a)), Val(kind, concrete(b)), span)


def sym_int(op: str, x: Any, y: Any) -> np.ndarray | None:
    match op:
        case "+":
            return x + y
        case "-":
            return x - y
        case "*":
            return x * y
        case "&":
            return x & y
        case "|":
            return x | y
        case "^":
            return x ^ y
        case "/" | "%" if not np.any(np.equal(y, 0)):
            quotient = np.abs(x) // np.abs(y) * np.where((np.asarray(x) < 0) == (np.asarray(y) < 0), 1, -1)
            return quotient if op == "/" else x - quotient * y
    return None


def check_count(op: str, kind: Type, span: Span | None) -> None:
    """The count of a shift must be unsigned."""
    if isinstance(kind, t.IntType) and kind.signed:
        note = (None, f"convert it: @as(u{kind.bits}, count)")
        raise CslError.at(span, f"the count of {op} must be of an unsigned type, not {kind}", note)


def shift(op: str, a: Val, b: Val, span: Span | None) -> Val:
    kind = a.type
    if not t.is_integral(kind) or not t.is_integral(b.type):
        raise CslError.at(span, f"{op} needs integers, not {describe(a)} and {describe(b)}")
    check_count(op, b.type, span)
    x, n = concrete(a), concrete(b)
    if n < 0:
        raise CslError.at(span, f"a shift by {n}: the count must not be negative")
    if isinstance(kind, t.IntType):
        bits = kind.bits
        if n >= bits:
            return Val(kind, -1 if op == ">>" and x < 0 else 0)
        return Val(kind, kind.wrap(x << n) if op == "<<" else x >> n)
    if op == "<<" and x.bit_length() + n > INTEGER_BITS:
        raise CslError.at(span, f"this shift gives more than {INTEGER_BITS:,} bits")
    return Val(kind, x << n if op == "<<" else x >> n)


def equal(op: str, a: Val, b: Val, span: Span | None) -> Val:
    if isinstance(a.data, Sym) or isinstance(b.data, Sym):
        x = a.data.values if isinstance(a.data, Sym) else a.data
        y = b.data.values if isinstance(b.data, Sym) else b.data
        if a.type is b.type:
            return Val(t.BOOL, sym(np.asarray(COMPARE[op](x, y))))
    if a.type is not b.type and not (isinstance(a.data, FnRef) and isinstance(b.data, FnRef)):
        common(a, b, op, span)
    if isinstance(a.type, t.PointerType) and isinstance(b.type, t.PointerType):
        b = Val(a.type, b.data)
    return Val(t.BOOL, same(a, b) == (op == "=="))


def concatenate(a: Val, b: Val, span: Span | None) -> Val:
    if isinstance(a.data, str) and isinstance(b.data, str):
        return Val(t.STRING, text_of(bytes_of(a.data + b.data)))
    if isinstance(a.data, list) and isinstance(b.data, list):
        return Val(t.STRUCT, a.data + b.data)
    x, y = a.type, b.type
    if (
        isinstance(x, t.ArrayType)
        and isinstance(y, t.ArrayType)
        and x.elem is y.elem
        and len(x.dims) == len(y.dims) == 1
    ):
        return Val(t.array_of((x.count + y.count,), x.elem), np.concatenate([a.data, b.data]))
    raise CslError.at(span, f"++ joins strings, tuples or arrays, not {describe(a)} and {describe(b)}")


def negate(a: Val, span: Span | None) -> Val:
    if not t.is_number(a.type):
        raise CslError.at(span, f"- needs a number, not {describe(a)}")
    if isinstance(a.data, Sym):
        return fold("-", Val(a.type, 0 if t.is_integral(a.type) else 0.0), a, span)
    made = -a.data
    return Val(a.type, a.type.wrap(made) if isinstance(a.type, t.IntType) else made)


def invert(a: Val, span: Span | None) -> Val:
    if not t.is_integral(a.type):
        raise CslError.at(span, f"~ needs an integer, not {describe(a)}")
    if not isinstance(a.type, t.IntType):
        raise CslError.at(span, f"~ needs an integer of a fixed width: write @as(u16, {concrete(a)})")
    return Val(a.type, a.type.wrap(~concrete(a)))
