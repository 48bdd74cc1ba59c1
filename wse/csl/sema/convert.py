"""Conversions of compile-time values: what happens by itself where a type is expected, and what @as does.

By itself: comptime numbers to any type that can hold them; a known integer to another integer type that can hold it; a
number to a type that can hold all numbers of its own (since SDK 2.10); to the type itself; *[N]T to [*]T, *T to *[1]T;
anything pointed to to its const.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable
from fractions import Fraction
from typing import Any

import numpy as np

from ...errors import did_you_mean
from ...machine import numerics
from ..syntax.errors import CslError, Span
from . import types as t
from .types import Type
from .values import FnRef, NeedsConcrete, Ptr, Sym, Val, concrete, sym, zero, zeros

FORMATS: dict[Type, tuple[int, int]] = {
    t.F16: (11, -14),
    t.F32: (24, -126),
    t.BF16: (8, -126),
    t.CB16: (10, -41),
}  # bits of the significand, least normal exponent
_LARGEST: dict[Type, float] = {
    t.F16: 2.0**16,
    t.F32: 2.0**128,
    t.BF16: 2.0**128,
    t.CB16: 2.0**21,
}  # from here on infinity
_NUMPY = {t.F16: np.float16, t.F32: np.float32}  # to which NumPy rounds as a double is rounded


def round_float(kind: Type, value: float) -> float:
    """To the nearest number of the type, ties to even.  value: a float, or an integer of any size."""
    exact = isinstance(value, float) or abs(value) < 1 << 53
    if kind is t.F32 and exact:
        try:
            return struct.unpack("<f", struct.pack("<f", value))[0]
        except OverflowError:
            return math.copysign(math.inf, value)
    if kind is t.F16 and exact:
        with np.errstate(over="ignore"):
            return float(np.float16(value))
    if kind not in FORMATS or (isinstance(value, float) and not math.isfinite(value)) or value == 0:
        return float(value)
    return round_to(kind, Fraction(value))


def round_floats(kind: Type, values: np.ndarray) -> np.ndarray:
    """Numbers as round_float rounds each of them."""
    exact = values.dtype.kind == "f" or (values.dtype.kind in "iu" and not (np.abs(values) >= 1 << 53).any())
    if kind in _NUMPY and exact:
        with np.errstate(over="ignore"):
            return values.astype(np.float64).astype(_NUMPY[kind]).astype(np.float64)
    bits = np.ascontiguousarray(values).view(np.int64) if values.dtype == np.float64 else values  # -0.0 is not 0.0
    different, places = np.unique(bits, return_inverse=True)
    numbers = different.view(np.float64) if bits is not values else different
    rounded = np.array([round_float(kind, number) for number in numbers.tolist()], np.float64)
    return rounded[places].reshape(values.shape)


def round_to(kind: Type, value: Fraction) -> float:
    """A rational number rounded once to a binary format."""
    bits, least = FORMATS[kind]
    exponent = value.numerator.bit_length() - value.denominator.bit_length()
    if abs(value) < Fraction(2) ** exponent:
        exponent -= 1  # now 2^exponent <= |value| < 2^(exponent + 1)
    unit = Fraction(2) ** (max(exponent, least) - bits + 1)
    rounded = round(value / unit) * unit
    return math.copysign(math.inf if abs(rounded) >= _LARGEST[kind] else float(abs(rounded)), value)


def largest(kind: Type) -> float:
    """The largest finite number of a format."""
    bits, _ = FORMATS[kind]
    return _LARGEST[kind] * (1 - 2.0**-bits)


def describe(value: Val) -> str:
    """A value for people."""
    data = value.data
    if value.type is t.TYPE:
        return f"type {data}"
    if isinstance(data, Sym):
        return f"a value of type {value.type}"
    if isinstance(data, bool):
        return "true" if data else "false"
    if isinstance(data, str):
        return f'"{data}"'
    if isinstance(data, int | float):
        text = f"{data:#x}" if isinstance(data, int) and abs(data) > 1 << 64 else str(data)
        return f"{text} of type {value.type}" if not t.is_number(value.type) else text
    if isinstance(data, FnRef):
        return f"{data.decl.kind} {data.name}"
    if value.type is t.VOID:
        return "{} (void)"
    if value.type is t.NULL:
        return "null"
    return f"a value of type {value.type}"


def fits(kind: t.IntType, data: Any) -> bool:
    if isinstance(data, Sym):
        return bool(((data.values >= kind.low) & (data.values <= kind.high)).all())
    return kind.low <= data <= kind.high


def mismatch(span: Span | None, wanted: Type, got: str) -> CslError:
    return CslError.at(span, f"a value of type {wanted} was expected, not {got}")


def conversion(source: Type, kind: Type) -> str:
    """What makes a value of the wanted type, for the end of a message; or nothing."""
    if (t.is_number(kind) and t.is_number(source)) or (isinstance(kind, t.EnumType) and t.is_integral(source)):
        return f" (convert it with @as({kind}, ...))"
    if isinstance(kind, t.PointerType) and isinstance(source, t.ArrayType):
        return " (take its address with &)"
    return ""


def coerce(value: Val, kind: Type, span: Span | None) -> Val:
    """The value as the type, or an error that says why not."""
    source = value.type
    if source is kind or kind is t.ANYTYPE:
        return value
    if source is t.UNDEFINED:
        return undefined(kind, span)
    if isinstance(kind, t.OptionalType):
        return Val(kind, None if source is t.NULL else coerce(value, kind.elem, span))
    data = value.data
    if isinstance(kind, t.IntType):
        if t.is_integral(source):
            if not fits(kind, data):
                shown = data if not isinstance(data, Sym) else "one of the values"
                raise CslError.at(span, f"{shown} does not fit {kind}, which holds {kind.low} to {kind.high}")
            return Val(kind, data)
    elif isinstance(kind, t.FloatType):
        if source is t.COMPTIME_INT or source is t.COMPTIME_FLOAT:
            rounded = to_float(value, kind)
            infinite = not isinstance(rounded.data, Sym) and math.isinf(rounded.data)
            if infinite and (isinstance(data, int) or math.isfinite(data)):
                raise CslError.at(span, f"{data} does not fit {kind}, whose largest number is {largest(kind)}")
            return rounded
        if t.widens(source, kind):
            return to_float(value, kind)
    elif kind is t.COMPTIME_INT:
        if isinstance(source, t.IntType):
            return Val(kind, data)
    elif kind is t.COMPTIME_FLOAT:
        if t.is_number(source):
            return to_float(value, kind)
    elif isinstance(kind, t.PointerType):
        made = coerce_pointer(value, kind, span)
        if made is not None:
            return made
    elif kind is t.STRUCT:
        if isinstance(data, dict | list):
            return Val(kind, data)
    elif isinstance(kind, t.StructType):
        if source is t.STRUCT:
            return to_struct(value, kind, span)
    elif isinstance(kind, t.ArrayType):
        made = to_array(value, kind, span)
        if made is not None:
            return made
    elif isinstance(kind, t.FnType):
        if isinstance(data, FnRef):
            return value
    elif kind is t.FIFO or isinstance(kind, t.DsdType):
        if source is t.FIFO:
            return value
    elif kind is t.UT_ID and source in (t.INPUT_QUEUE, t.OUTPUT_QUEUE):
        return Val(kind, data)
    said = describe(value) + (f" of type {source}" if t.is_number(source) else "")
    raise mismatch(span, kind, said + conversion(source, kind))


def coerce_pointer(value: Val, kind: t.PointerType, span: Span | None) -> Val | None:
    source = value.type
    if isinstance(value.data, FnRef) and isinstance(kind.elem, t.FnType):
        refuse_inline(value.data, span)
        if not kind.const:
            raise CslError.at(span, f"a pointer to a function is const: write *const {kind.elem}")
        return Val(kind, value.data)
    if isinstance(source, t.PointerType) and pointer_fits(source, kind):
        return Val(kind, value.data)
    if isinstance(source, t.PointerType):
        refuse_rank(source, kind, span)
    return None


def refuse_inline(fn: FnRef, span: Span | None) -> None:
    if fn.decl.inline:
        raise CslError.at(span, f"{fn.name} is inline and has no address: it exists where it is called only")


def refuse_rank(source: t.PointerType, kind: t.PointerType, span: Span | None) -> None:
    """The error for an array of more than one index as a pointer to many."""
    array = source.elem
    if kind.many and isinstance(array, t.ArrayType) and array.elem is kind.elem and len(array.dims) > MOST_RANK:
        flat = t.array_of((array.count,), array.elem)
        raise CslError.at(
            span,
            f"a pointer to {array} does not become {kind}: an array of rank {len(array.dims)} has no pointer to many",
            (None, f"declare it as {flat}, or write @ptrcast({kind}, ...)"),
        )


MOST_RANK = 2  # of an array as a pointer to many.  Documented is 1; the vendor's gemv-checkerboard-pattern has 2.


def pointer_fits(source: t.PointerType, kind: t.PointerType) -> bool:
    """Whether a pointer becomes the other by itself."""
    if source.const and not kind.const:
        return False
    if kind.elem is t.ANYOPAQUE and not kind.many:
        return True
    if source.many == kind.many and source.elem is kind.elem:
        return True
    if kind.many and not source.many:  # *[N]T, and a pointer to one, as a pointer to many
        if isinstance(source.elem, t.ArrayType):
            return source.elem.elem is kind.elem and len(source.elem.dims) <= MOST_RANK
        return source.elem is kind.elem
    if not kind.many and not source.many and source.elem is getattr(kind.elem, "elem", None):  # *T as *[1]T
        return isinstance(kind.elem, t.ArrayType) and kind.elem.dims == (1,)
    if (
        isinstance(source.elem, t.ArrayType)
        and isinstance(kind.elem, t.ArrayType)
        and not kind.many
        and not source.many
    ):
        return source.elem.elem is kind.elem.elem and source.elem.count == kind.elem.count
    return False


def undefined(kind: Type, span: Span | None) -> Val:
    if kind.is_comptime and kind not in (t.COMPTIME_INT, t.COMPTIME_FLOAT):
        raise CslError.at(span, f"a value of type {kind} cannot be undefined")
    return zero(kind)


def to_float(value: Val, kind: Type) -> Val:
    data = value.data
    if isinstance(data, Sym):
        if kind in FORMATS:
            return Val(kind, sym(round_floats(kind, data.values)))
        return Val(kind, sym(data.values.astype(np.float64)))
    try:
        return Val(kind, round_float(kind, data))
    except OverflowError:
        return Val(kind, math.inf if data > 0 else -math.inf)


def check_fields(kind: t.StructType, given: Iterable[str], span: Span | None) -> None:
    """An error if these are not fields of the struct, or not the one of a union."""
    names = list(given)
    for name in names:
        if name not in kind.fields:
            raise CslError.at(span, f"{kind} has no field {name}: {did_you_mean(name, kind.fields, 40)}")
    if kind.union and len(names) != 1:
        raise CslError.at(span, f"a value of {kind}, a union, has exactly one field, not {len(names)}")


def to_struct(value: Val, kind: t.StructType, span: Span | None) -> Val:
    given = value.data
    if isinstance(given, list):
        if given:
            raise mismatch(span, kind, "a tuple")
        given = {}
    check_fields(kind, given, span)
    if kind.union:
        return Val(kind, {name: coerce(item, kind.fields[name][0], span) for name, item in given.items()})
    made: dict[str, Val] = {}
    for name, (field, default) in kind.fields.items():
        if name in given:
            made[name] = coerce(given[name], field, span)
        elif default is not None:
            made[name] = default
        else:
            raise CslError.at(span, f"the field {name} of {kind} has no value")
    return Val(kind, made)


def to_array(value: Val, kind: t.ArrayType, span: Span | None) -> Val | None:
    source = value.type
    if isinstance(source, t.ArrayType) and source.dims == kind.dims:
        if t.is_number(source.elem) and source.elem in (t.COMPTIME_INT, t.COMPTIME_FLOAT):
            flat = [coerce(Val(source.elem, item), kind.elem, span).data for item in value.data.reshape(-1)]
            return Val(kind, fill(kind, flat))
        return None
    if isinstance(value.data, list):
        return array_from(kind, value.data, span)
    return None


def fill(kind: t.ArrayType, flat: list[Any]) -> np.ndarray:
    made = zeros(kind)
    target = made.reshape(-1)
    for i, item in enumerate(flat):
        target[i] = item
    return made


def array_from(kind: t.ArrayType, items: list[Val], span: Span | None) -> Val:
    """An array with these elements, row by row."""
    if len(items) != kind.count:
        raise CslError.at(span, f"{kind} has {kind.count} elements, not {len(items)}")
    return Val(kind, fill(kind, [concrete(coerce(item, kind.elem, span)) for item in items]))


def enum_cast(source: Type, kind: t.EnumType, span: Span | None) -> CslError:
    note = (None, f"convert to an integer first: @as({kind}, @as({kind.tag}, value))")
    return CslError.at(span, f"a value of type {source} cannot be converted to {kind}, another enum", note)


def explicit(value: Val, kind: Type, span: Span | None) -> Val:
    """@as at compile time."""
    source, data = value.type, value.data
    if source is kind:
        return value
    if isinstance(kind, t.EnumType) and source is t.COMPTIME_FLOAT:
        return explicit(explicit(value, t.COMPTIME_INT, span), kind, span)
    if isinstance(kind, t.EnumType) and isinstance(source, t.EnumType):
        raise enum_cast(source, kind, span)
    if isinstance(kind, t.EnumType) and t.is_integral(source):
        number = concrete(value)
        if number not in kind.members.values():
            raise CslError.at(span, f"{kind} has no member with the value {number}")
        return Val(kind, number)
    if isinstance(source, t.EnumType):
        value, source = Val(source.tag, data), source.tag
    if isinstance(kind, t.EnumType) and t.is_float(source):
        return explicit(explicit(value, kind.tag, span), kind, span)
    if source is t.BOOL and t.is_number(kind):
        value, source, data = Val(t.COMPTIME_INT, int(concrete(value))), t.COMPTIME_INT, int(concrete(value))
    if t.is_integral(source) and isinstance(kind, t.IntType):
        return Val(kind, wrap(kind, value.data))
    if isinstance(kind, t.FloatType) and t.is_number(source):
        return to_float(value, kind)
    if t.is_number(source) and (kind is t.COMPTIME_FLOAT or t.is_integral(kind)):
        if kind is t.COMPTIME_FLOAT:
            return to_float(value, kind)
        if t.is_integral(source):
            return Val(kind, data)
        number = concrete(value)
        if not math.isfinite(number) and (source is t.COMPTIME_FLOAT or kind is t.COMPTIME_INT):
            raise CslError.at(span, f"{number} is no integer")
        if source is t.COMPTIME_FLOAT and isinstance(kind, t.IntType) and not fits(kind, math.trunc(number)):
            raise CslError.at(span, f"{number} does not fit {kind}, which holds {kind.low} to {kind.high}")
        return Val(kind, whole(number, kind) if isinstance(kind, t.IntType) else math.trunc(number))
    if kind is t.BOOL and t.is_number(source):
        return Val(kind, concrete(value) != 0)
    if isinstance(kind, t.IdType) and kind is not t.DIRECTION and t.is_integral(source):
        return Val(kind, concrete(value))
    if isinstance(source, t.IdType) and t.is_integral(kind):
        return coerce(Val(t.COMPTIME_INT, data), kind, span)
    return coerce(value, kind, span)


def whole(number: float, kind: t.IntType) -> int:
    """A float as an integer, as at run time: toward zero, the nearest limit of 32 bits (of 64 for wider types) if it
    lies beyond, then the low bits that the type has.  NaN gives 0."""
    if math.isnan(number):
        return 0
    size = kind.size or 8
    held = t.I32 if size < 4 else t.int_type(8 * size, kind.signed)
    if kind.bits > 64:
        held = kind
    if math.isinf(number):
        return kind.wrap(held.high if number > 0 else held.low)
    return kind.wrap(min(max(math.trunc(number), held.low), held.high))


def wrap(kind: t.IntType, data: Any) -> Any:
    if isinstance(data, Sym):
        return sym(wrap_array(kind, data.values))
    return kind.wrap(int(data))


def wrap_array(kind: t.IntType, values: np.ndarray) -> np.ndarray:
    if kind.bits > 62:  # the numbers of a Sym have less
        if kind.low < 0 or (values >= 0).all():
            return values
        raise NeedsConcrete(values)
    mask = (1 << kind.bits) - 1
    low = values.astype(np.int64) & mask
    return np.where(low > kind.high, low - (1 << kind.bits), low)


def bits_of(value: Val) -> int | None:
    """The bits of a scalar number, or None."""
    kind, data = value.type, concrete(value)
    if isinstance(kind, t.IntType):
        return data & ((1 << kind.bits) - 1)
    if isinstance(kind, t.StructType) and kind.packed:
        parts = {name: bits_of(item) for name, item in data.items()}
        if None in parts.values():
            return None
        return sum((bits or 0) << kind.bit_offsets[name] for name, bits in parts.items())
    if isinstance(data, Ptr):
        return data.offset & 0xFFFF if data.target is None else None
    if kind is t.BOOL:
        return int(data)
    if kind is t.F32:
        return struct.unpack("<I", struct.pack("<f", data))[0]
    if kind is t.F16:
        return struct.unpack("<H", struct.pack("<e", data))[0]
    if kind in (t.BF16, t.CB16):
        return int(numerics.to_bits(data, kind.name))
    if isinstance(kind, t.EnumType):
        return data & ((1 << kind.tag.bits) - 1)
    if isinstance(kind, t.IdType):
        return data & 0xFFFF
    return None


def field_of_bits(kind: t.StructType, name: str, field: Type, bits: int) -> Val:
    """A field of a packed struct whose backing integer is known."""
    return from_bits(field, bits >> kind.bit_offsets[name] & ((1 << (t.bit_width(field) or 0)) - 1))


def from_bits(kind: Type, bits: int) -> Val:
    """The scalar of the type with these bits."""
    if isinstance(kind, t.IntType):
        return Val(kind, kind.wrap(bits))
    if isinstance(kind, t.StructType) and kind.packed:
        fields = list(kind.fields.items())[: 1 if kind.union else None]
        return Val(kind, {name: field_of_bits(kind, name, field, bits) for name, (field, _) in fields})
    if isinstance(kind, t.PointerType):
        return Val(kind, Ptr(None, bits & 0xFFFF))
    if isinstance(kind, t.EnumType):
        return Val(kind, kind.tag.wrap(bits))
    if kind is t.BOOL:
        return Val(kind, bits != 0)
    if kind is t.F32:
        return Val(kind, struct.unpack("<f", struct.pack("<I", bits))[0])
    if kind is t.F16:
        return Val(kind, struct.unpack("<e", struct.pack("<H", bits))[0])
    if kind in (t.BF16, t.CB16):
        return Val(kind, float(numerics.from_bits(bits, kind.name)))
    return Val(kind, bits)
