"""Conversions between every pair of numeric types, at compile time and at run time, against exact rationals."""

from __future__ import annotations

import math
import struct
from fractions import Fraction

import numpy as np
import pytest
from csl.running import TYPES, device, launch, read

from wse.csl.sema import types as t
from wse.csl.sema.convert import round_float, round_floats

INTS = {f"{sign}{bits}": (sign == "i", bits) for bits in (8, 16, 32, 64) for sign in "iu"}
FLOATS = {"f16": (11, -14, 65520), "f32": (24, -126, Fraction(2) ** 128)}


def numbers(kind: str) -> list[int]:
    """Boundaries of an integer type, and numbers whose rounding to a float is a tie or just beside one."""
    signed, bits = INTS[kind]
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    found = {0, 1, 2, 3, low, high, low + 1, high - 1, -1, -2, -3, 65504, 65519, 65520, 65521}
    for top in range(9, bits):
        for significand in (11, 24):
            if top >= significand:
                half = 1 << top - significand
                for base in (1 << top, (1 << top) + 2 * half):
                    found |= {base + half + d for d in (-1, 0, 1)} | {base - half // 2 + d for d in (-1, 0, 1)}
    found |= {-n for n in found}
    return sorted(n for n in found if low <= n <= high)


def rounded(value: Fraction, kind: str) -> float:
    """The nearest number of a float type, ties to even."""
    bits, least, limit = FLOATS[kind]
    if value == 0:
        return 0.0
    exponent = math.floor(math.log2(abs(value)))
    while Fraction(2) ** exponent > abs(value):
        exponent -= 1
    while Fraction(2) ** (exponent + 1) <= abs(value):
        exponent += 1
    unit = Fraction(2) ** (max(exponent, least) - bits + 1)
    near = round(value / unit) * unit
    return math.copysign(math.inf, value) if abs(near) >= limit else float(near)


def literal(value: int, kind: str) -> str:
    """An integer of 64 bits has no literal below -2^63 + 1."""
    return f"{value}" if value >= 0 else f"(-{-value})"


def both_ways(folder, source: str, wanted: str, values: list[str], arch: str) -> tuple[np.ndarray, np.ndarray]:
    """The values converted at compile time, and by a run-time loop."""
    n = len(values)
    text = f"""
const given = [{n}]{source}{{ {", ".join(values)} }};
var input = [{n}]{source}{{ {", ".join(values)} }};
fn fold() [{n}]{wanted} {{
  var made: [{n}]{wanted};
  for (given) |x, i| {{ made[i] = @as({wanted}, x); }}
  return made;
}}
export var folded = fold();
export var computed: [{n}]{wanted};
fn main() void {{
  for (input) |x, i| {{ computed[i] = @as({wanted}, x); }}
}}
comptime {{ @export_symbol(main); }}
"""
    loaded = device(folder, text, arch)
    launch(loaded)
    return read(loaded, "folded"), read(loaded, "computed")


@pytest.mark.parametrize("arch", ["wse2", "wse3"])
@pytest.mark.parametrize("wanted", FLOATS)
@pytest.mark.parametrize("source", INTS)
def test_integers_to_floats(source, wanted, arch, tmp_path):
    values = numbers(source)
    folded, computed = both_ways(tmp_path, source, wanted, [literal(v, source) for v in values], arch)
    expected = [rounded(Fraction(v), wanted) for v in values]
    assert folded.astype(float).tolist() == expected
    assert computed.astype(float).tolist() == expected


@pytest.mark.parametrize("wanted", INTS)
@pytest.mark.parametrize("source", INTS)
def test_integers_to_integers(source, wanted, tmp_path):
    values = numbers(source)[:: 1 if INTS[source][1] < 64 else 2]  # as many as fit the memory of a PE
    folded, computed = both_ways(tmp_path, source, wanted, [literal(v, source) for v in values], "wse3")
    signed, bits = INTS[wanted]
    expected = [(v + (1 << bits - 1)) % (1 << bits) - (1 << bits - 1) if signed else v % (1 << bits) for v in values]
    assert folded.tolist() == expected
    assert computed.tolist() == expected


FLOAT_VALUES = [
    *(0.0, 0.5, 0.99, 1.0, 1.5, 2.5, 100.25, 126.9, 127.0, 255.0, 2047.0, 2049.0, 32767.0, 65504.0),
    *(6.103515625e-05, 5.9604644775390625e-08, 0.333251953125),
]


@pytest.mark.parametrize("wanted", [kind for kind in INTS if INTS[kind][1] < 64])
@pytest.mark.parametrize("source", FLOATS)
def test_floats_to_integers_within_range(source, wanted, tmp_path):
    signed, bits = INTS[wanted]
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    exact = sorted({rounded(Fraction(v), source) for v in (*FLOAT_VALUES, *(-v for v in FLOAT_VALUES))})
    values = [v for v in exact if low <= math.trunc(v) <= high]
    folded, computed = both_ways(tmp_path, source, wanted, [f"@as({source}, {v!r})" for v in values], "wse3")
    expected = [math.trunc(v) for v in values]
    assert folded.tolist() == expected
    assert computed.tolist() == expected


def test_f32_to_f16(tmp_path):
    values = [rounded(Fraction(v), "f32") for v in (*FLOAT_VALUES, 65519.0, 65520.0, 1.00048828125, 1.0004884, 1e-8)]
    folded, computed = both_ways(tmp_path, "f32", "f16", [f"@as(f32, {v!r})" for v in values], "wse3")
    expected = [rounded(Fraction(v), "f16") for v in values]
    assert folded.astype(float).tolist() == expected
    assert computed.astype(float).tolist() == expected


def test_the_reference_agrees_with_the_formats():
    assert rounded(Fraction(65519), "f16") == 65504.0 and rounded(Fraction(65520), "f16") == math.inf
    assert rounded(Fraction(1, 3), "f32") == struct.unpack("<f", struct.pack("<f", 1 / 3))[0]
    assert TYPES["i64"] is np.int64


@pytest.mark.parametrize("kind", [t.F16, t.F32, t.BF16, t.CB16], ids=str)
def test_the_numbers_of_all_pes_are_rounded_as_each_is(kind):
    rng = np.random.default_rng(3)
    large = [n for n in numbers("i64") if abs(n) >= 1 << 52]
    for values in (
        np.arange(-3000, 3000),
        np.array(numbers("i64")[::7]),
        np.array(numbers("u64")[::7], np.uint64),
        np.array([n * 3 for n in large], object),
        np.array([True, False, True]),
        np.array([0.0, -0.0, math.inf, -math.inf, 65519.99, 65520.0, 3.5e38, 1e-8, -(2.0**-150)]),
        rng.normal(size=300) * 2.0 ** rng.integers(-140, 130, 300),
    ):
        both_axes = values.reshape(-1, 1)
        got = round_floats(kind, both_axes)
        expected = [round_float(kind, value) for value in values.tolist()]
        assert got.shape == both_axes.shape and got.dtype == np.float64
        assert struct.pack(f"{len(expected)}d", *got.ravel()) == struct.pack(f"{len(expected)}d", *expected)
