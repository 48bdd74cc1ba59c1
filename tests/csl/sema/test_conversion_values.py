"""Every 16-bit pattern through every conversion, and f32 at the boundaries, against exact rational arithmetic.

Covers: wse/csl/sema/convert.py, wse/csl/ir/float_to_wide.py, wse/csl/ir/routines.py
"""

from __future__ import annotations

import struct
from fractions import Fraction
from functools import cache

import numpy as np
import pytest
from csl.running import TYPES, device, launch

from wse.csl.sema import types as t
from wse.csl.sema.convert import bits_of, explicit, from_bits
from wse.csl.sema.values import Val

FIELDS = {"f16": (5, 10, 15), "bf16": (8, 7, 127), "cb16": (6, 9, 42), "f32": (8, 23, 127)}  # exponent, mantissa, bias
INTS = ["i8", "u8", "i16", "u16", "i32", "u32", "i64", "u64", "i3", "u5", "i13", "u24", "i33", "u48"]
CHUNK = 2048


@cache
def value_of(fmt: str, bits: int) -> Fraction | str:
    """The value of a pattern: a rational number, "inf", "-inf" or "nan"."""
    exponent, mantissa, bias = FIELDS[fmt]
    sign = -1 if bits >> exponent + mantissa & 1 else 1
    field, units = bits >> mantissa & (1 << exponent) - 1, bits & (1 << mantissa) - 1
    if field == (1 << exponent) - 1:
        return "nan" if units else "inf" if sign > 0 else "-inf"
    units += (1 << mantissa) if field else 0
    return sign * Fraction(units) * Fraction(2) ** (max(field, 1) - bias - mantissa)


def nearest(fmt: str, value: Fraction, negative: bool = False) -> int:
    """The pattern nearest to a value, ties to even; negative: the sign of a zero."""
    exponent, mantissa, bias = FIELDS[fmt]
    size = abs(value)
    infinity = (1 << exponent) - 1 << mantissa
    sign = (value < 0 or (value == 0 and negative)) << exponent + mantissa
    if size == 0:
        return sign
    top = size.numerator.bit_length() - size.denominator.bit_length()
    top = max(top - (size < Fraction(2) ** top), 1 - bias)
    number = (top + bias - 1 << mantissa) + round(size / Fraction(2) ** (top - mantissa))
    return sign | min(number, infinity)


def limits(kind: str) -> tuple[int, int]:
    bits = int(kind[1:])
    return (-(1 << bits - 1), (1 << bits - 1) - 1) if kind[0] == "i" else (0, (1 << bits) - 1)


def integer(value: Fraction | str, kind: str) -> int:
    """Toward zero, saturated at the 32 or 64 bits of the conversion, then the low bits of the type."""
    bits = int(kind[1:])
    held = "i32" if bits <= 16 else f"{kind[0]}{32 if bits <= 32 else 64}"
    low, high = limits(held)
    if value == "nan":
        return 0
    whole = high if value == "inf" else low if value == "-inf" else min(max(int(value), low), high)
    whole &= (1 << bits) - 1
    return whole - (1 << bits) if kind[0] == "i" and whole >> bits - 1 else whole


def stored(kind: str) -> str:
    """The type of the bytes in memory."""
    bits = int(kind[1:])
    return kind[0] + str(next(size for size in (8, 16, 32, 64) if bits <= size))


def at_run_time(folder, source: str, wanted: str, fmt: str, patterns: np.ndarray) -> np.ndarray:
    """The patterns, converted on a PE; results as they lie in memory."""
    word = "u32" if source in ("f32", "i32", "u32") else "u16"
    text = f"""
    var given: [{CHUNK}]{word};
    var made: [{CHUNK}]{wanted};
    var made_ptr: [*]{wanted} = &made;
    var given_ptr: [*]{word} = &given;
    fn main() void {{
      for (given) |bits, i| {{ made[i] = @as({wanted}, @bitcast({source}, bits)); }}
    }}
    comptime {{ @export_symbol(main); @export_symbol(given_ptr, "given"); @export_symbol(made_ptr, "made"); }}
    """
    loaded = device(folder, text, options={"fp16": fmt})
    results = []
    for start in range(0, len(patterns), CHUNK):
        part = np.zeros(CHUNK, TYPES[word])
        given = patterns[start : start + CHUNK]
        part[: len(given)] = given
        variable, _ = loaded.symbol(0, 0, "given")
        loaded._fill(variable.address, part.tobytes(), np.ones((1, 1), bool))
        launch(loaded)
        results.append(loaded.symbol(0, 0, "made")[1])
    return np.frombuffer(b"".join(results), np.uint8)


def results(folder, source, wanted, fmt, patterns, dtype) -> np.ndarray:
    return at_run_time(folder, source, wanted, fmt, patterns).view(dtype)[: len(patterns)]


EVERY = np.arange(1 << 16, dtype=np.uint16)


@pytest.mark.parametrize("wanted", INTS)
@pytest.mark.parametrize("fmt", ["f16", "bf16", "cb16"])
def test_every_16_bit_float_to_integers(fmt, wanted, tmp_path):
    expected = [integer(value_of(fmt, bits), wanted) for bits in range(1 << 16)]
    source, kind = t.FP16[fmt], t.int_named(wanted)
    folded = [explicit(from_bits(source, bits), kind, None).data for bits in range(1 << 16)]
    assert folded == expected
    assert results(tmp_path, fmt, wanted, fmt, EVERY, TYPES[stored(wanted)]).tolist() == expected


@pytest.mark.parametrize("fmt", ["f16", "bf16", "cb16"])
def test_every_16_bit_float_to_f32_bool_and_itself(fmt, tmp_path):
    numbers = [bits for bits in range(1 << 16) if value_of(fmt, bits) != "nan"]
    expected = [
        nearest("f32", v, bits >> 15 == 1) if isinstance(v := value_of(fmt, bits), Fraction) else bits << 16
        for bits in numbers
    ]
    infinity = 0x7F800000
    expected = [e if isinstance(value_of(fmt, b), Fraction) else infinity | (b >> 15) << 31
                for b, e in zip(numbers, expected, strict=True)]  # fmt: skip
    source = t.FP16[fmt]
    assert [bits_of(explicit(from_bits(source, bits), t.F32, None)) for bits in numbers] == expected
    given = np.array(numbers, np.uint16)
    assert results(tmp_path / "f32", fmt, "f32", fmt, given, np.uint32).tolist() == expected
    truths = [value_of(fmt, bits) != 0 for bits in range(1 << 16)]
    assert [explicit(from_bits(source, bits), t.BOOL, None).data for bits in range(1 << 16)] == truths
    assert results(tmp_path / "bool", fmt, "bool", fmt, EVERY, np.uint8).tolist() == truths
    assert [bits_of(from_bits(source, bits)) for bits in numbers] == numbers


@pytest.mark.parametrize("source", ["i16", "u16"])
@pytest.mark.parametrize("fmt", ["f16", "bf16", "cb16"])
def test_every_16_bit_integer_to_floats(fmt, source, tmp_path):
    values = [bits - (1 << 16) if source == "i16" and bits >> 15 else bits for bits in range(1 << 16)]
    for wanted, dtype in ((fmt, np.uint16), ("f32", np.uint32)):
        expected = [nearest(wanted, Fraction(v)) for v in values]
        kind, step = t.PRIMITIVES[wanted], 1 if wanted == "f16" else 13
        folded = [bits_of(explicit(Val(t.INTS[source], v), kind, None)) for v in values[::step]]
        assert folded == expected[::step]
        assert results(tmp_path / wanted, source, wanted, fmt, EVERY, dtype).tolist() == expected


@pytest.mark.parametrize("wanted", INTS)
@pytest.mark.parametrize("source", ["i16", "u16"])
def test_every_16_bit_integer_to_integers(source, wanted, tmp_path):
    values = [bits - (1 << 16) if source == "i16" and bits >> 15 else bits for bits in range(1 << 16)]
    kind = t.int_named(wanted)
    expected = [kind.wrap(v) for v in values]
    assert [explicit(Val(t.INTS[source], v), kind, None).data for v in values] == expected
    assert results(tmp_path, source, wanted, "f16", EVERY, TYPES[stored(wanted)]).tolist() == expected


@cache
def boundaries() -> np.ndarray:
    """Patterns of f32: around powers of two and limits of integers, ties of all 16-bit formats, and special values."""
    found = {0, 1, 0x007FFFFF, 0x00800000, 0x7F7FFFFF, 0x7F800000}
    for exponent in range(255):
        for mantissa in (0, 1, 0x7FFFFF, 0x7FFFFE, 0x400000, 0x3FFFFF, 0x400001):
            found.add(exponent << 23 | mantissa)
    rng = np.random.default_rng(5)
    for _, mantissa, _ in list(FIELDS.values())[:3]:
        for exponent in range(80, 180):
            units = int(rng.integers(0, 1 << mantissa))
            tie = exponent << 23 | units << 23 - mantissa | 1 << 22 - mantissa
            found |= {tie - 1, tie, tie + 1}
    found |= {bits | 1 << 31 for bits in found}
    return np.array(sorted(found), np.uint32)


@pytest.mark.parametrize("wanted", INTS)
def test_f32_to_integers(wanted, tmp_path):
    patterns = np.append(boundaries(), np.uint32(0x7FC00000))
    expected = [integer(value_of("f32", int(bits)), wanted) for bits in patterns]
    kind = t.int_named(wanted)
    assert [explicit(from_bits(t.F32, int(bits)), kind, None).data for bits in patterns] == expected
    assert results(tmp_path, "f32", wanted, "f16", patterns, TYPES[stored(wanted)]).tolist() == expected


@pytest.mark.parametrize("fmt", ["f16", "bf16", "cb16"])
def test_f32_to_16_bit_floats(fmt, tmp_path):
    exponent, mantissa, _ = FIELDS[fmt]
    infinity = (1 << exponent) - 1 << mantissa
    expected = []
    for bits in boundaries().tolist():
        value = value_of("f32", bits)
        expected.append(nearest(fmt, value, bits >> 31 == 1) if isinstance(value, Fraction)
                        else infinity | (bits >> 31) << 15)  # fmt: skip
    kind = t.FP16[fmt]
    folded = [bits_of(explicit(from_bits(t.F32, int(bits)), kind, None)) for bits in boundaries()]
    assert folded == expected
    assert results(tmp_path, "f32", fmt, fmt, boundaries(), np.uint16).tolist() == expected


@pytest.mark.parametrize("source", ["i32", "u32"])
@pytest.mark.parametrize("fmt", ["f16", "bf16", "cb16"])
def test_32_bit_integers_to_floats(fmt, source, tmp_path):
    patterns = boundaries()
    values = [int(b) - (1 << 32) if source == "i32" and b >> 31 else int(b) for b in patterns]
    for wanted, dtype in ((fmt, np.uint16), ("f32", np.uint32)):
        expected = [nearest(wanted, Fraction(v)) for v in values]
        kind = t.PRIMITIVES[wanted]
        assert [bits_of(explicit(Val(t.INTS[source], v), kind, None)) for v in values] == expected
        assert results(tmp_path / wanted, source, wanted, fmt, patterns, dtype).tolist() == expected


def test_the_reference_agrees_with_the_host():
    for bits in (0, 1, 0x3C00, 0x7BFF, 0xFBFF, 0x03FF):
        assert value_of("f16", bits) == Fraction(struct.unpack("<e", struct.pack("<H", bits))[0])
    assert nearest("f32", Fraction(1, 3)) == struct.unpack("<I", struct.pack("<f", 1 / 3))[0]
    assert nearest("cb16", Fraction(6)) == 0b0101100100000000
