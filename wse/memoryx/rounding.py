"""Conversion of float32 to a 16-bit format, to nearest or stochastically, for loops at the speed of memory.

machine/numerics.py defines the formats; this is the same rounding, compiled, with stochastic rounding as an option.
"""

from __future__ import annotations

import numpy as np

from ..errors import ConfigError
from ..machine.numerics import FORMATS
from .jit import compiled

U32, U64 = np.uint32, np.uint64
INFINITY = 0x7F800000  # float32


def fields(fmt: str) -> tuple[int, int]:
    """(bits of the mantissa, bias of the exponent) of a 16-bit format.  Raises ConfigError for an unknown name."""
    if fmt not in FORMATS:
        raise ConfigError(f"a 16-bit format is one of {', '.join(FORMATS)}, not {fmt!r}")
    return FORMATS[fmt].mantissa, FORMATS[fmt].bias


@compiled(nogil=True, inline="always")
def noise(seed, index):
    """32 random bits that depend on seed and index (uint64) alone: the finaliser of SplitMix64."""
    z = (seed + index * U64(0x9E3779B97F4A7C15)) & U64(0xFFFFFFFFFFFFFFFF)
    z = (z ^ (z >> U64(30))) * U64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> U64(27))) * U64(0x94D049BB133111EB)
    return U32((z ^ (z >> U64(31))) >> U64(32))


@compiled(nogil=True, inline="always")
def narrow(word, mantissa, bias, stochastic, random):
    """The 16 bits nearest to the float32 whose bits are `word`, ties to even; stochastic: one of its two neighbours,
    the nearer the likelier, by the uint32 `random`.  NaN becomes the format's NaN; what is too large, infinity."""
    infinity = 0x8000 - (1 << mantissa)
    sign = np.int64(word >> 31) << 15
    size = np.int64(word & 0x7FFFFFFF)
    if size > INFINITY:
        return np.uint16(infinity | 1 << (mantissa - 1))
    if size == INFINITY:
        return np.uint16(sign | infinity)
    exponent = size >> 23
    units = size & 0x7FFFFF
    if exponent:
        units |= 0x800000
    else:
        exponent = np.int64(1)
    field = exponent - 127 + bias  # of a normal number
    shift = np.int64(23 - mantissa)
    if field < 1:
        shift = min(shift + 1 - field, np.int64(32))
        field = np.int64(1)
    number = ((field - 1) << mantissa) + (units >> shift)
    rest = units & ((np.int64(1) << shift) - 1)
    if stochastic:
        number += (np.int64(random) & ((np.int64(1) << shift) - 1)) < rest
    else:
        half = np.int64(1) << (shift - 1)
        number += rest > half or (rest == half and number & 1 == 1)
    return np.uint16(sign | min(number, np.int64(infinity)))


@compiled(nogil=True)
def _round_all(words, out, mantissa, bias, stochastic, seed, base):
    for i in range(words.size):
        random = noise(seed, base + U64(i)) if stochastic else U32(0)
        out[i] = narrow(words[i], mantissa, bias, stochastic, random)


def to_bits(values: np.ndarray, fmt: str, stochastic: bool = False, seed: int = 0) -> np.ndarray:
    """Convert float32 of any shape to the bits of a format, uint16 of the same shape.

    stochastic: round at random, with bits that depend on seed and position only.
    """
    mantissa, bias = fields(fmt)
    values = np.ascontiguousarray(values, np.float32)
    out = np.empty(values.shape, np.uint16)
    _round_all(values.reshape(-1).view(U32), out.reshape(-1), mantissa, bias, stochastic, U64(seed), U64(0))
    return out
