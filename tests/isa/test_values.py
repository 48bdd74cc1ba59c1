"""The engine's value of every instruction against the cases, the NumPy twin, exact fractions, numpy and ml_dtypes.

Covers: csrc/pe/scalar.c, csrc/pe/scalar_bf16.c, csrc/pe/scalar_cb16.c, csrc/pe/vector.c, csrc/numeric/element.c,
    csrc/fast/span.c
"""

from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from isa.cases import CASES, RESULT, TYPES, WIDTH, edges, format_of

from wse import _engine
from wse.machine.isa import FP16, INSTRUCTION, INSTRUCTIONS
from wse.machine.numerics import F32, FORMATS, Format, element, has_value

FORMS_WITH_VALUE = {"RX", "RRX", "RRRR"}
ROWS = sorted(CASES)
BY_FORMAT = [(name, fmt) for name in ROWS for fmt in (FP16 if "h" in TYPES[name] + RESULT[name] else ["f16"])]
by_format = pytest.mark.parametrize(("name", "fmt"), BY_FORMAT, ids=[f"{name}-{fmt}" for name, fmt in BY_FORMAT])


def engine(name: str, fmt: str, a, b=0, x=0) -> np.ndarray:
    operands = np.broadcast_arrays(*(np.asarray(v, np.uint32) for v in (a, b, x)))
    return _engine.element(INSTRUCTION[name].opcode, FP16[fmt], *(np.ascontiguousarray(v) for v in operands))


def expect_equal(name: str, fmt: str, got: np.ndarray, want: np.ndarray, operands) -> None:
    wrong = np.flatnonzero(got != want)
    if wrong.size:
        i = wrong[0]
        values = ", ".join(f"{np.broadcast_to(v, got.shape)[i]:#x}" for v in operands)
        pytest.fail(f"{name} {fmt} of {values}: {got[i]:#x}, expected {want[i]:#x}; {wrong.size} of {got.size} differ")


def expect_twin(name: str, fmt: str, *operands) -> None:
    expect_equal(name, fmt, engine(name, fmt, *operands), element(name, fmt, *operands), operands)


# The table ------------------------------------------------------------------------------------------------------------


WITH_VALUE = {
    row.name
    for row in INSTRUCTIONS
    if (row.kind == "vector" and row.rule != "FILTER") or (row.kind == "scalar" and row.form in FORMS_WITH_VALUE)
}


def test_every_row_with_a_value_has_cases():
    missing = sorted(WITH_VALUE - set(CASES))
    assert not missing, f"no cases in tests/isa/cases.py for: {', '.join(missing)}"
    assert set(CASES) == WITH_VALUE
    assert all(len(cases) >= 2 for cases in CASES.values())


def test_every_row_with_a_value_has_a_twin():
    missing = sorted(name for name in WITH_VALUE if not has_value(name))
    assert not missing, f"no value in wse/machine/numerics.py for: {', '.join(missing)}"


def test_types_of_vector_cases_are_those_of_the_table():
    letter = {"H": "h", "S": "s", "W": "w", "D": "d"}
    for name in ROWS:
        row = INSTRUCTION[name]
        if row.kind == "vector" and name != "addc16":  # addc16 has the carries besides
            assert TYPES[name] == "".join(letter[type] for type in row.types[1:] if type != "NONE")
            assert RESULT[name] == letter[row.types[0]]


def test_rows_without_a_value_are_refused():
    zero = np.zeros(1, np.uint32)
    for row in INSTRUCTIONS:
        if row.name not in CASES:
            assert _engine.element(row.opcode, 0, zero, zero, zero) is None, row.name


# Cases ----------------------------------------------------------------------------------------------------------------

UPPER = {8: 0xA5C3F100, 16: 0x5A3C0000, 32: 0}  # set, these bits of an operand change nothing


def expect_cases(name: str, fmt: str, who: str, got: np.ndarray, want: np.ndarray) -> None:
    for case, bits, expected in zip(CASES[name], got.tolist(), want.tolist(), strict=True):
        assert bits == expected, f"{who} of {name} {fmt}, {case}: {bits:#x}, expected {expected:#x}"


@by_format
def test_cases(name, fmt):
    *operands, want = np.array([case.patterns(fmt) for case in CASES[name]], np.uint32).T
    upper = [np.uint32(UPPER[WIDTH.get(type) or format_of(type, fmt).width]) for type in TYPES[name]]
    expect_cases(name, fmt, "value", engine(name, fmt, *operands), want)
    filled = (v | bits for v, bits in zip(operands, upper, strict=True))
    expect_cases(name, fmt, "value with upper bits set", engine(name, fmt, *filled), want)
    expect_cases(name, fmt, "the twin", element(name, fmt, *operands), want)


# The twin -------------------------------------------------------------------------------------------------------------


@by_format
def test_edges_against_the_twin(name, fmt):
    crossed = np.array(list(product(*(edges(type, fmt) for type in TYPES[name]))), np.uint32)
    expect_twin(name, fmt, *crossed.T)


def bulk(seed: int, n: int) -> list[np.ndarray]:
    """Three operands: uniform patterns, every second b near a, so that sums cancel and comparisons meet."""
    rng = np.random.default_rng(seed)
    a, b, x = (rng.integers(0, 1 << 32, n, np.uint32) for _ in range(3))
    b[::2] = a[::2] + rng.integers(-3, 4, len(b[::2])).astype(np.uint32)
    return [a, b, x]


@by_format
def test_random_patterns_against_the_twin(name, fmt):
    expect_twin(name, fmt, *bulk(7, 5000))


@by_format
@settings(max_examples=10)
@given(data=st.data())
def test_any_patterns_against_the_twin(name, fmt, data):
    some = [st.sampled_from(edges(type, fmt)) | st.integers(0, 0xFFFFFFFF) for type in TYPES[name]]
    rows = data.draw(st.lists(st.tuples(*some), min_size=1, max_size=8))
    expect_twin(name, fmt, *np.array(rows, np.uint32).T)


UNARY_16 = [(name, fmt) for name, fmt in BY_FORMAT if TYPES[name] in ("h", "w")]


@pytest.mark.parametrize(("name", "fmt"), UNARY_16, ids=[f"{name}-{fmt}" for name, fmt in UNARY_16])
def test_all_65536_operands_against_the_twin(name, fmt):
    expect_twin(name, fmt, np.arange(1 << 16, dtype=np.uint32))


# Exact arithmetic -----------------------------------------------------------------------------------------------------


def exact(bits: int, f: Format) -> Fraction:
    field, units = (bits & f.sign - 1) >> f.mantissa, bits & (1 << f.mantissa) - 1
    value = (units | (1 << f.mantissa if field else 0)) * Fraction(2) ** (max(field, 1) - f.bias - f.mantissa)
    return -value if bits & f.sign else value


def nearest(value: Fraction, f: Format) -> int:
    """The pattern nearest to a value that is not 0: Python rounds a Fraction to an integer with ties to even."""
    size = abs(value)
    exponent = size.numerator.bit_length() - size.denominator.bit_length()
    exponent = max(exponent - (size < Fraction(2) ** exponent), f.least)
    number = (exponent - f.least << f.mantissa) + round(size / Fraction(2) ** (exponent - f.mantissa))
    return min(number, f.inf) | (f.sign if value < 0 else 0)


EXACT = {
    "fmach": lambda a, b, c: a + b * c,
    "fmachs": lambda a, b, c: a + b * c,
    "faddhs": lambda a, b: a + b,
    "faddh": lambda a, b: a + b,
    "fmulh": lambda a, b: a * b,
    "hdiv": lambda a, b: a / b,
    "fadds": lambda a, b: a + b,
    "fmuls": lambda a, b: a * b,
    "sdiv": lambda a, b: a / b,
}


@pytest.mark.parametrize("fmt", FP16)
@pytest.mark.parametrize("name", EXACT)
def test_edges_against_exact_arithmetic(name, fmt):
    formats = [format_of(type, fmt) for type in TYPES[name]]
    patterns = [
        [bits for bits in edges(type, fmt) if 0 < bits & f.sign - 1 < f.inf]
        for type, f in zip(TYPES[name], formats, strict=True)
    ]
    crossed = list(product(*patterns))
    crossed = crossed[:: 1 + len(crossed) // 2000]
    got = engine(name, fmt, *np.array(crossed, np.uint32).T)
    result = format_of(RESULT[name], fmt)
    for operands, bits in zip(crossed, got.tolist(), strict=True):
        value = EXACT[name](*(exact(bits, f) for bits, f in zip(operands, formats, strict=True)))
        if value:
            assert bits == nearest(value, result), f"{name} {fmt} of {', '.join(map(hex, operands))}"


# Oracles from elsewhere -----------------------------------------------------------------------------------------------

ARITHMETIC = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "sqrt": lambda a, b: np.sqrt(a),
    "eq": np.equal,
    "lt": np.less,
    "le": np.less_equal,
}


def expect_oracle(name: str, fmt: str, dtype, operation, a: np.ndarray, b: np.ndarray) -> None:
    """Equal to what numpy makes of arrays of dtype; where that is NaN, the machine's NaN."""
    bits = np.dtype(f"u{np.dtype(dtype).itemsize}")
    with np.errstate(all="ignore"):
        value = operation(a.astype(bits).view(dtype), b.astype(bits).view(dtype))
    if value.dtype == bool:
        want = value.astype(np.uint32)
    else:
        nan = F32.nan if value.dtype == np.float32 else FORMATS[fmt].nan
        want = np.where(np.isnan(value), nan, value.view(f"u{value.dtype.itemsize}")).astype(np.uint32)
    expect_equal(name, fmt, engine(name, fmt, a, b), want, (a, b))


def pairs(fmt: str, type: str) -> tuple[np.ndarray, np.ndarray]:
    """Edges crossed with edges, and random patterns."""
    crossed = np.array(list(product(edges(type, fmt), edges(type, fmt))), np.uint32)
    a, b, _ = bulk(11, 40000)
    mask = 0xFFFF if type == "h" else 0xFFFFFFFF
    return np.concatenate([crossed[:, 0], a & mask]), np.concatenate([crossed[:, 1], b & mask])


@pytest.mark.parametrize("operation", ARITHMETIC)
def test_half_against_numpy(operation):
    expect_oracle(f"h{operation}", "f16", np.float16, ARITHMETIC[operation], *pairs("f16", "h"))
    if f"f{operation}h" in CASES:
        expect_oracle(f"f{operation}h", "f16", np.float16, ARITHMETIC[operation], *pairs("f16", "h"))


@pytest.mark.parametrize("operation", ARITHMETIC)
def test_bf16_against_ml_dtypes(operation):
    bfloat16 = pytest.importorskip("ml_dtypes").bfloat16
    expect_oracle(f"h{operation}", "bf16", bfloat16, ARITHMETIC[operation], *pairs("bf16", "h"))
    if f"f{operation}h" in CASES:
        expect_oracle(f"f{operation}h", "bf16", bfloat16, ARITHMETIC[operation], *pairs("bf16", "h"))


@pytest.mark.parametrize("operation", ARITHMETIC)
def test_f32_against_numpy(operation):
    expect_oracle(f"s{operation}", "f16", np.float32, ARITHMETIC[operation], *pairs("f16", "s"))
    if f"f{operation}s" in CASES:
        expect_oracle(f"f{operation}s", "f16", np.float32, ARITHMETIC[operation], *pairs("f16", "s"))


@pytest.mark.parametrize("fmt", ["f16", "bf16"])
def test_conversions_against_numpy_and_ml_dtypes(fmt):
    dtype = np.float16 if fmt == "f16" else pytest.importorskip("ml_dtypes").bfloat16
    every = np.arange(1 << 16, dtype=np.uint32)
    for name in ("fh2s", "h2s"):
        expect_oracle(name, fmt, dtype, lambda a, b: a.astype(np.float32), every, every)
    a, _ = pairs(fmt, "s")
    for name in ("fs2h", "s2h"):
        expect_oracle(name, fmt, np.float32, lambda a, b: a.astype(dtype), a, a)
    with np.errstate(all="ignore"):
        neighbors = every.astype(np.uint16).view(dtype).astype(np.float32)
        half_way = (neighbors / 2 + np.roll(neighbors, -1) / 2).view(np.uint32)
    near = np.concatenate([half_way - np.uint32(1), half_way, half_way + np.uint32(1)])
    expect_oracle("fs2h", fmt, np.float32, lambda a, b: a.astype(dtype), near, near)


# Arrays for the host --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fmt", FP16)
def test_host_conversions_are_those_of_the_instructions(fmt):
    every = np.arange(1 << 16, dtype=np.uint16)
    wide = _engine.h2s(FP16[fmt], every)
    assert np.array_equal(wide.view(np.uint32), engine("fh2s", fmt, every))
    numbers = ~np.isnan(wide)
    assert np.array_equal(_engine.s2h(FP16[fmt], wide)[numbers], every[numbers])
    a, _ = pairs(fmt, "s")
    assert np.array_equal(_engine.s2h(FP16[fmt], a.view(np.float32)), engine("fs2h", fmt, a))
