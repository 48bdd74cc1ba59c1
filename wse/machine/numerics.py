"""The machine's arithmetic in NumPy: the 16-bit float formats, and a reference of every instruction with a result.

The reference is the test oracle of csrc/numeric/op_vector.h and op_scalar.h and shares no method with them.  Values are
float64; a sum is kept with its rounding error, and one function rounds the pair to any format, once.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import ConfigError, ProgramError
from .isa import instruction

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


class Format:
    """A binary float format as IEEE 754 lays it out: called with bits it gives values, `round` gives bits.

    bias: of the exponent; None: as IEEE 754 has it.  cb16's is 42: the types page of the CSL documentation (SDK 1.4
    and 2.10) says "6 bits, customized bias" and gives the bits of 6.0 as 0b0101100100000000, whose exponent field is
    44 for 1.5 * 2^2.  Its subnormals, infinities and NaNs are our assumption.
    A NaN result is always `nan`: quiet, positive, without payload.
    """

    def __init__(self, width: int, exponent: int, mantissa: int, bias: int | None = None) -> None:
        self.width, self.mantissa = width, mantissa
        self.bias = (1 << exponent - 1) - 1 if bias is None else bias
        self.top = (1 << exponent) - 1 - self.bias  # every number is smaller than 2^top
        self.least = 1 - self.bias  # exponent of the smallest normal number
        self.sign = 1 << width - 1
        self.inf = (1 << exponent) - 1 << mantissa
        self.nan = self.inf | 1 << mantissa - 1

    def __call__(self, bits: Integers) -> Floats:
        """Values, exact; an array of bits to float64 of its shape."""
        size = bits & self.sign - 1
        field = size >> self.mantissa
        units = size - (np.maximum(field - 1, 0) << self.mantissa)  # with the hidden bit
        value = np.ldexp(units.astype(np.float64), np.maximum(field, 1) - self.bias - self.mantissa)
        value = np.where(size == self.inf, np.inf, np.where(size > self.inf, np.nan, value))
        return np.where(bits & self.sign, -value, value)

    def round(self, value: Floats, rest: Floats | float = 0.0) -> Integers:
        """Bits of the number nearest to value + rest, ties to even.  |rest| is below a unit in value's last place."""
        size = np.minimum(np.abs(value), 2.0**self.top)
        exponent = np.frexp(np.maximum(size, 2.0**self.least))[1].astype(np.int64) - 1
        units = np.ldexp(size, self.mantissa - exponent)
        whole = np.floor(units)
        part, beyond = units - whole, np.where(value < 0, -1.0, 1.0) * rest
        up = (part > 0.5) | (part == 0.5) & ((beyond > 0) | (beyond == 0) & (whole % 2 == 1))
        number = np.where(np.isnan(value), 0, whole).astype(np.int64) + up + (exponent - self.least << self.mantissa)
        signed = np.minimum(number, self.inf) | np.where(np.signbit(value), self.sign, 0)
        return np.where(np.isnan(value), self.nan, signed)


FORMATS = {"f16": Format(16, 5, 10), "bf16": Format(16, 8, 7), "cb16": Format(16, 6, 9, bias=42)}
F32 = Format(32, 8, 23)


def format_of(fmt: str) -> Format:
    """The 16-bit format of that name."""
    try:
        return FORMATS[fmt]
    except KeyError:
        raise ConfigError(f"there is no 16-bit float format {fmt!r}: use {', '.join(FORMATS)}") from None


@cache
def _values(fmt: str) -> NDArray[np.float32]:
    """The value of each of the 65,536 patterns."""
    return format_of(fmt)(np.arange(1 << 16)).astype(np.float32)


def from_bits(bits: ArrayLike, fmt: str) -> NDArray[np.float32]:
    """Values of 16-bit patterns: uint16 of any shape to float32 of the same shape, exact."""
    return _values(fmt)[np.asarray(bits, np.uint16)]


def to_bits(x: ArrayLike, fmt: str) -> NDArray[np.uint16]:
    """Patterns of the nearest 16-bit floats: numbers (float64 too: rounded once) to uint16 of the same shape."""
    with np.errstate(all="ignore"):
        return format_of(fmt).round(np.asarray(x, np.float64)).astype(np.uint16)


def round16(x: ArrayLike, fmt: str) -> NDArray[np.float32]:
    """x rounded to the 16-bit format, as float32 of the same shape."""
    return from_bits(to_bits(x, fmt), fmt)


def fma16(acc: ArrayLike, a: ArrayLike, b: ArrayLike, fmt: str) -> NDArray[np.float32]:
    """acc + a * b rounded once, what `fmach` computes: float32 arrays of values of the format, broadcast, to the same.

    For reference models, which keep values rather than patterns: `acc = fma16(acc, a, b, fmt)`.
    """
    f = format_of(fmt)
    operands = np.broadcast_arrays(*(np.asarray(v, np.float32) for v in (acc, a, b)))
    result = np.empty(operands[0].shape, np.float32)
    rows = max(1, _BLOCK * len(result) // result.size) if result.ndim and result.size > _BLOCK else None
    with np.errstate(all="ignore"):
        for start in range(0, len(result), rows) if rows else (0,):
            part = slice(start, start + rows) if rows else ...
            result[part] = _fma(f, *(v[part] for v in operands))
    return result


_BLOCK = 1 << 16  # elements whose float64 intermediates stay in a host's second-level cache


def _fma(f: Format, acc: NDArray[np.float32], a: NDArray[np.float32], b: NDArray[np.float32]) -> Floats:
    """fma16 of arrays of one shape."""
    addend, product = acc.astype(np.float64), np.multiply(a, b, dtype=np.float64)  # the product is exact
    total = np.asarray(addend + product)
    bits = total.view(np.int64)
    drop = 52 - f.mantissa
    half = 1 << drop - 1
    tail = bits & (1 << drop) - 1
    result = (bits + (half - 1) + (bits >> drop & 1) & -(1 << drop)).view(np.float64)
    size = np.abs(total)
    # What rounding the float64 sum gets wrong: a tie that the sum's own error decides, subnormals, the largest numbers.
    hard = (tail == half) | ~((size >= 2.0**f.least) & (size < 2.0 ** (f.top - 1))) & (total != 0)
    if hard.any():
        result[hard] = f(f.round(*_sum(addend[hard], product[hard])))
    return result


def matmul(a: ArrayLike, b: ArrayLike, fmt: str, threads: int = 1, fused: bool = False) -> NDArray[np.float32]:
    """[m, n]: a b of [m, k] and [k, n] as chains of multiply-adds from 0, ascending in k: a reference for kernels.

    With a 16-bit format, values of it, rounded to it after each step: `fmach`.  With "f32", what `fmacs` computes, or
    if `fused`, for values of a 16-bit format, what `fmachs` does: a product is not rounded before it is added.
    threads: of the host; the result does not depend on it.
    """
    a, b = np.asarray(a, np.float32), np.asarray(b, np.float32)
    result = np.zeros((a.shape[0], b.shape[1]), np.float32)
    chain: Any
    if fmt == "f32":
        chain = _chain32_fused if fused and not _products_fit(a, b) else _chain32
    else:
        chain = _chain if _sums_exactly(a, b, format_of(fmt)) else None
    right: Any = b.astype(np.float64) if chain is _chain else b
    rows = max(1, _BLOCK // 8 // max(1, b.shape[1]))

    def block(start: int) -> None:
        part = slice(start, start + rows)
        with np.errstate(all="ignore"):
            if chain is not None:
                result[part] = chain(a[part], right, fmt)
                return
            for k in range(b.shape[0]):
                result[part] = fma16(result[part], a[part, k : k + 1], b[k], fmt)

    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(block, range(0, a.shape[0], rows)):
            pass
    return result


def _chain32(a: NDArray[np.float32], b: NDArray[np.float32], fmt: str) -> NDArray[np.float32]:
    total = np.zeros((a.shape[0], b.shape[1]), np.float32)
    product = np.empty_like(total)
    for k in range(b.shape[0]):
        total += np.multiply(a[:, k : k + 1], b[k], out=product)
    return total


def _chain32_fused(a: NDArray[np.float32], b: NDArray[np.float32], fmt: str) -> Floats:
    total = np.zeros((a.shape[0], b.shape[1]))
    for k in range(b.shape[0]):
        total = F32(F32.round(*_sum(total, np.multiply(a[:, k : k + 1], b[k], dtype=np.float64))))
    return total


def _products_fit(a: NDArray[np.float32], b: NDArray[np.float32]) -> bool:
    """Whether no product of 16-bit floats overflows or is subnormal in f32: then it is exact."""
    sizes = [np.abs(each[each != 0]).astype(np.float64) for each in (a, b)]
    if not all(size.size for size in sizes):
        return True
    return bool(sizes[0].max() * sizes[1].max() < 2.0**127 and sizes[0].min() * sizes[1].min() >= 2.0**-126)


def _chain(a: NDArray[np.float32], right: Floats, fmt: str) -> Floats:
    """Where _sums_exactly: adding a power of two (and half of it, for negative sums) whose last bit is worth one unit
    of the rounded sum makes the adder round."""
    f = format_of(fmt)
    total = np.zeros((a.shape[0], right.shape[1]))
    exact, large = np.empty_like(total), np.empty_like(total)
    left = a.astype(np.float64)
    shift, least = (52 - f.mantissa << 52) + (1 << 51), 1.5 * 2.0 ** (f.least + 52 - f.mantissa)
    for k in range(right.shape[0]):
        np.multiply(left[:, k : k + 1], right[k], out=exact)
        exact += total
        np.bitwise_and(exact.view(np.int64), 0x7FF << 52, out=large.view(np.int64))
        large.view(np.int64)[...] += shift
        np.maximum(large, least, out=large)
        np.add(exact, large, out=total)
        total -= large
    return total


def _sums_exactly(a: NDArray[np.float32], b: NDArray[np.float32], f: Format) -> bool:
    """Whether all sums of a chain fit float64, and are neither rounded as subnormals nor overflow."""
    size = 2 * a.shape[1] * float(np.abs(a).max(initial=0)) * float(np.abs(b).max(initial=0))
    grain = _grain(a) + _grain(b)
    return bool(size < 2.0 ** min(f.top - 1, grain + 53) and grain >= f.least - f.mantissa)


def _grain(values: NDArray[np.float32]) -> int:
    """The largest power of two, as an exponent, of which all values are multiples; 0 if all are 0."""
    fraction, exponent = np.frexp(values[values != 0])
    if not fraction.size or not np.isfinite(fraction).all():
        return 0
    whole = np.ldexp(fraction, 24).astype(np.int32)
    return int((exponent - 25 + np.frexp((whole & -whole).astype(np.float32))[1]).min())


def _sum(a: Floats, b: Floats) -> tuple[Floats, Floats]:
    """The float64 sum and its exact rounding error (Knuth's two-sum)."""
    total = a + b
    used = total - a
    rest = (a - (total - used)) + (b - used)
    return total, np.where(np.isfinite(total), rest, 0.0)


def element(name: str, fmt: str, a: ArrayLike, b: ArrayLike = 0, x: ArrayLike = 0) -> NDArray[np.uint32]:
    """The value of a VECTOR or SCALAR instruction, element by element, with operands and result as uint32 patterns.

    VECTOR: a is src0, b is src1, x is extra (of `addc16` the carry in; bit 16 of its result is the carry out).
    RRX: a, b; RX: a; RRRR: a, b, x.  The arrays are broadcast.
    ProgramError for an instruction that has no value here: that computes none, or is new in isa.def.
    """
    if name not in _VALUES:
        raise ProgramError(f"{instruction(name).name} has no value in wse/machine/numerics.py: add one to _VALUES")
    value, f = _VALUES[name], format_of(fmt)
    operands = np.broadcast_arrays(*(np.asarray(v, np.uint32).astype(np.int64) for v in (a, b, x)))
    with np.errstate(all="ignore"):
        return (np.asarray(value(f, *operands)).astype(np.int64) & 0xFFFFFFFF).astype(np.uint32)


def has_value(name: str) -> bool:
    """Whether `element` supports the instruction."""
    return name in _VALUES


# Bit patterns are int64 below.  `element` cuts results that are negative or too wide to 32 bits.

Value = Callable[[Format, Integers, Integers, Integers], Any]


def _unsigned(v: Integers, n: int) -> Integers:
    return v & (1 << n) - 1


def _signed(v: Integers, n: int) -> Integers:
    return ((v + (1 << n - 1)) & (1 << n) - 1) - (1 << n - 1)


def _quotient(a: Integers, b: Integers) -> Integers:
    by = np.where(b == 0, 1, b)
    return np.where(b == 0, -1, np.abs(a) // np.abs(by) * np.sign(a) * np.sign(by))


def _remainder(a: Integers, b: Integers) -> Integers:
    return np.where(b == 0, a, a - _quotient(a, b) * b)


def _left(a: Integers, b: Integers, n: int) -> Integers:
    return np.where(b < n, _unsigned(a << np.minimum(b, n - 1), n), 0)


def _right(a: Integers, b: Integers, n: int) -> Integers:
    return a >> np.minimum(b, n)


def _length(v: Integers) -> Integers:
    """Bits up to the highest one."""
    return np.frexp(v.astype(np.float64))[1].astype(np.int64)


def _integer(value: Floats, n: int, low: int) -> Integers:
    """An integer value as n bits, saturated at low and low + 2^n - 1; NaN gives 0."""
    return _unsigned(np.nan_to_num(np.clip(value, low, low + 2**n - 1)).astype(np.int64), n)


def _larger(f: Format, a: Integers, b: Integers) -> Integers:
    x, y = f(a), f(b)
    numbers = np.where(x > y, a, np.where(x < y, b, a & b))  # equal ones differ in the sign of 0 at most
    return np.where(np.isnan(x), np.where(np.isnan(y), f.nan, b), np.where(np.isnan(y), a, numbers))


def _norm(f: Format, a: Integers) -> Integers:
    value = f(a)
    return np.where(np.isfinite(value) & (value != 0), f.round(np.frexp(value)[0] * 2), a)


def _scale(f: Format, a: Integers, n: Integers) -> Integers:
    by = np.clip(_signed(n, 16), -400, 400)  # more leaves any format's range anyway
    return f.round(np.ldexp(f(a), by.astype(np.int32)))


def _unfused(f: Format, a: Integers, b: Integers, c: Integers) -> Integers:
    return f.round(*_sum(f(a), f(f.round(f(b) * f(c)))))


# Quotients and roots have no remainder here: rounded to 53 bits first they round to 24 bits or fewer as if at once.
_VALUES: dict[str, Value] = {
    "add16": lambda f, a, b, x: _unsigned(a + b, 16),
    "addc16": lambda f, a, b, x: _unsigned(a, 16) + _unsigned(b, 16) + _unsigned(x, 1),
    "sub16": lambda f, a, b, x: _unsigned(a - b, 16),
    "and16": lambda f, a, b, x: _unsigned(a & b, 16),
    "or16": lambda f, a, b, x: _unsigned(a | b, 16),
    "xor16": lambda f, a, b, x: _unsigned(a ^ b, 16),
    "sll16": lambda f, a, b, x: _left(_unsigned(a, 16), _unsigned(b, 16), 16),
    "slr16": lambda f, a, b, x: _right(_unsigned(a, 16), _unsigned(b, 16), 16),
    "sar16": lambda f, a, b, x: _unsigned(_right(_signed(a, 16), _unsigned(b, 16), 16), 16),
    "clz": lambda f, a, b, x: 16 - _length(_unsigned(a, 16)),
    "ctz": lambda f, a, b, x: np.where(_unsigned(a, 16), _length(_unsigned(a & -a, 16)) - 1, 16),
    "popcnt": lambda f, a, b, x: np.bitwise_count(_unsigned(a, 16)),
    "mov16": lambda f, a, b, x: _unsigned(a, 16),
    "mov32": lambda f, a, b, x: a,
    "fmovh": lambda f, a, b, x: _unsigned(a, 16),
    "fmovs": lambda f, a, b, x: a,
    "fmach": lambda f, a, b, x: f.round(*_sum(f(a), f(b) * f(x))),
    "fmacs": lambda f, a, b, x: _unfused(F32, a, b, x),
    "fmachs": lambda f, a, b, x: F32.round(*_sum(F32(a), f(b) * f(x))),
    "faddhs": lambda f, a, b, x: F32.round(*_sum(F32(a), f(b))),
    "fabsh": lambda f, a, b, x: _unsigned(a, 15),
    "fnegh": lambda f, a, b, x: _unsigned(a, 16) ^ 1 << 15,
    "fabss": lambda f, a, b, x: _unsigned(a, 31),
    "fnegs": lambda f, a, b, x: a ^ 1 << 31,
    "fh2s": lambda f, a, b, x: F32.round(f(a)),
    "fs2h": lambda f, a, b, x: f.round(F32(a)),
    "fh2xp16": lambda f, a, b, x: _integer(np.rint(f(a)), 16, -(2**15)),
    "fs2xp16": lambda f, a, b, x: _integer(np.rint(F32(a)), 16, -(2**15)),
    "xp162fh": lambda f, a, b, x: f.round(_signed(a, 16).astype(np.float64)),
    "xp162fs": lambda f, a, b, x: F32.round(_signed(a, 16).astype(np.float64)),
    "mov": lambda f, a, b, x: a,
    "iand": lambda f, a, b, x: a & b,
    "ior": lambda f, a, b, x: a | b,
    "ixor": lambda f, a, b, x: a ^ b,
    "sel": lambda f, a, b, x: np.where(a != 0, b, x),
    "sext8": lambda f, a, b, x: _signed(a, 8),
    "sext16": lambda f, a, b, x: _signed(a, 16),
    "zext8": lambda f, a, b, x: _unsigned(a, 8),
    "zext16": lambda f, a, b, x: _unsigned(a, 16),
    "hfma": lambda f, a, b, x: f.round(*_sum(f(a), f(b) * f(x))),
    "sfma": lambda f, a, b, x: _unfused(F32, a, b, x),
    "h2s": lambda f, a, b, x: F32.round(f(a)),
    "s2h": lambda f, a, b, x: f.round(F32(a)),
    "i2s": lambda f, a, b, x: F32.round(_signed(a, 32).astype(np.float64)),
    "u2s": lambda f, a, b, x: F32.round(a.astype(np.float64)),
    "i2h": lambda f, a, b, x: f.round(_signed(a, 32).astype(np.float64)),
    "u2h": lambda f, a, b, x: f.round(a.astype(np.float64)),
    "s2i": lambda f, a, b, x: _integer(np.trunc(F32(a)), 32, -(2**31)),
    "s2u": lambda f, a, b, x: _integer(np.trunc(F32(a)), 32, 0),
    "h2i": lambda f, a, b, x: _integer(np.trunc(f(a)), 32, -(2**31)),
    "h2u": lambda f, a, b, x: _integer(np.trunc(f(a)), 32, 0),
}


def _floats(letter: str, of: Callable[[Format], Format]) -> dict[str, Value]:
    """Rows that exist for 16-bit floats (h) and f32 (s) alike; `of` picks the format."""

    def row(value: Callable[[Format, Integers, Integers], Any]) -> Value:
        return lambda f, a, b, x: value(of(f), a, b)

    add = row(lambda f, a, b: f.round(*_sum(f(a), f(b))))
    sub = row(lambda f, a, b: f.round(*_sum(f(a), -f(b))))
    mul = row(lambda f, a, b: f.round(f(a) * f(b)))
    return {
        f"fadd{letter}": add,
        f"fsub{letter}": sub,
        f"fmul{letter}": mul,
        f"fmax{letter}": row(lambda f, a, b: _larger(f, _unsigned(a, f.width), _unsigned(b, f.width))),
        f"fnorm{letter}": row(lambda f, a, b: _norm(f, _unsigned(a, f.width))),
        f"fscale{letter}": row(_scale),
        f"{letter}add": add,
        f"{letter}sub": sub,
        f"{letter}mul": mul,
        f"{letter}div": row(lambda f, a, b: f.round(f(a) / f(b))),
        f"{letter}sqrt": row(lambda f, a, b: f.round(np.sqrt(f(a)))),
        f"{letter}eq": row(lambda f, a, b: f(a) == f(b)),
        f"{letter}lt": row(lambda f, a, b: f(a) < f(b)),
        f"{letter}le": row(lambda f, a, b: f(a) <= f(b)),
    }


def _integers(n: int) -> dict[str, Value]:
    """Rows that exist for 8, 16 and 32 bits; each looks at the low n bits of its operands only."""

    def row(value: Callable[[Integers, Integers], Any], cut: Callable[[Integers, int], Integers]) -> Value:
        return lambda f, a, b, x: _unsigned(np.asarray(value(cut(a, n), cut(b, n))).astype(np.int64), n)

    return {
        f"iadd{n}": row(lambda a, b: a + b, _unsigned),
        f"isub{n}": row(lambda a, b: a - b, _unsigned),
        f"imul{n}": row(lambda a, b: a * b, _signed),  # signed, or 32 bits would leave int64
        f"idivs{n}": row(_quotient, _signed),
        f"idivu{n}": row(_quotient, _unsigned),
        f"irems{n}": row(_remainder, _signed),
        f"iremu{n}": row(_remainder, _unsigned),
        f"ishl{n}": row(lambda a, b: _left(a, b, n), _unsigned),
        f"ishr{n}": row(lambda a, b: _right(a, b, n), _unsigned),
        f"isar{n}": lambda f, a, b, x: _unsigned(_right(_signed(a, n), _unsigned(b, n), n), n),
        f"ieq{n}": row(lambda a, b: a == b, _unsigned),
        f"ine{n}": row(lambda a, b: a != b, _unsigned),
        f"ilts{n}": row(lambda a, b: a < b, _signed),
        f"iles{n}": row(lambda a, b: a <= b, _signed),
        f"iltu{n}": row(lambda a, b: a < b, _unsigned),
        f"ileu{n}": row(lambda a, b: a <= b, _unsigned),
    }


_VALUES |= _floats("h", lambda f: f) | _floats("s", lambda f: F32) | _integers(8) | _integers(16) | _integers(32)
