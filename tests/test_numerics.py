"""wse/numerics.py: conversion of arrays, and the fused multiply-add of the reference models."""

import numpy as np
import pytest

from wse.errors import ConfigError
from wse.numerics import FORMATS, element, fma16, from_bits, round16, to_bits

EVERY = np.arange(1 << 16, dtype=np.uint16)


@pytest.mark.parametrize("fmt", FORMATS)
def test_every_pattern_survives_a_round_trip(fmt):
    values = from_bits(EVERY, fmt)
    numbers = ~np.isnan(values)
    assert values.dtype == np.float32
    assert np.array_equal(to_bits(values, fmt)[numbers], EVERY[numbers])
    assert set(to_bits(values, fmt)[~numbers]) == {FORMATS[fmt].nan}


def test_f16_is_numpys():
    assert np.array_equal(from_bits(EVERY, "f16"), EVERY.view(np.float16).astype(np.float32), equal_nan=True)
    values = np.random.default_rng(1).standard_normal(10000) * 2.0 ** np.random.default_rng(2).integers(-30, 20, 10000)
    with np.errstate(over="ignore"):
        assert np.array_equal(to_bits(values, "f16"), values.astype(np.float16).view(np.uint16))


def test_bf16_is_that_of_ml_dtypes():
    bfloat16 = pytest.importorskip("ml_dtypes").bfloat16
    assert np.array_equal(from_bits(EVERY, "bf16"), EVERY.view(bfloat16).astype(np.float32), equal_nan=True)


def test_cb16_has_six_exponent_and_nine_mantissa_bits():
    patterns = np.array([0x0000, 0x8000, 0x0001, 0x01FF, 0x0200, 0x3E00, 0xBE01, 0x7DFF, 0x7E00, 0xFE00, 0x7F00], "u2")
    values = [0.0, -0.0, 2**-39, 511 * 2**-39, 2**-30, 1.0, -1 - 2**-9, 1023 * 2.0**22, np.inf, -np.inf, np.nan]
    got = from_bits(patterns, "cb16")
    assert np.array_equal(got, np.array(values, np.float32), equal_nan=True)
    assert np.array_equal(np.signbit(got[:2]), [False, True])
    assert np.array_equal(to_bits(values, "cb16"), patterns)


def test_doubles_are_rounded_once():
    above_a_tie = 1 + 2.0**-11 + 2.0**-40  # in f32 the last bit is lost and the tie goes down
    assert to_bits(above_a_tie, "f16") == 0x3C01
    assert to_bits(np.float32(above_a_tie), "f16") == 0x3C00


def test_shapes_and_scalars():
    assert to_bits(1.0, "bf16").shape == () and to_bits(1.0, "bf16") == 0x3F80
    assert round16(np.full((2, 3), 0.1), "f16").shape == (2, 3)
    assert fma16(np.zeros((3, 1)), np.ones((1, 4)), 2.0, "f16").tolist() == [[2.0] * 4] * 3
    assert element("fmach", "f16", np.zeros((2, 2)), 0x3C00, 0x4000).tolist() == [[0x4000] * 2] * 2
    assert fma16(np.zeros((0, 4)), 1.0, 1.0, "f16").shape == (0, 4)


@pytest.mark.parametrize("fmt", FORMATS)
def test_fma16_is_fmach(fmt):
    f, rng = FORMATS[fmt], np.random.default_rng(3)
    acc, a, b = (rng.integers(0, 1 << 16, (300, 400), np.uint16) for _ in range(3))
    acc[::4] = to_bits(-from_bits(a[::4] & 0xBFFF, fmt) * from_bits(b[::4] & 0xBFFF, fmt), fmt)  # cancels
    acc[1::4] &= 0x8007  # tiny, beside products that lie on ties
    a[1::4] &= 0xFFFF - (1 << f.mantissa) + 2
    b[1::4] &= 0xFFFF - (1 << f.mantissa) + 2
    want = from_bits(element("fmach", fmt, acc, a, b), fmt)
    got = fma16(*(from_bits(v, fmt) for v in (acc, a, b)), fmt)
    assert got.dtype == np.float32
    assert np.array_equal(got, want, equal_nan=True)
    assert np.array_equal(np.signbit(got[got == 0]), np.signbit(want[got == 0]))


def test_an_unknown_format_is_named():
    with pytest.raises(ConfigError, match=r"^there is no 16-bit float format 'fp8': use f16, bf16, cb16$"):
        to_bits(1.0, "fp8")
