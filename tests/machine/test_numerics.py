"""wse/machine/numerics.py: conversion of arrays, and the fused multiply-add of the reference models.

Covers: csrc/numeric/convert.c
"""

import numpy as np
import pytest

from wse.errors import ConfigError
from wse.machine.numerics import FORMATS, element, fma16, from_bits, matmul, round16, to_bits

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


def test_cb16_has_six_exponent_and_nine_mantissa_bits_and_bias_42():
    patterns = np.array(
        [0x0000, 0x8000, 0x0001, 0x01FF, 0x0200, 0x5400, 0x5900, 0xD401, 0x7DFF, 0x7E00, 0xFE00, 0x7F00], "u2"
    )
    values = [0.0, -0.0, 2**-50, 511 * 2**-50, 2**-41, 1, 6, -1 - 2**-9, 1023 * 2.0**11, np.inf, -np.inf, np.nan]
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


def chain(a, b, instruction, fmt, of_sums, of_elements):
    """The same as matmul, one instruction after the other."""
    total = np.zeros((a.shape[0], b.shape[1]), np.uint32)
    for k in range(b.shape[0]):
        total = element(instruction, fmt, total, of_elements(a[:, k : k + 1]), of_elements(b[k : k + 1]))
    return of_sums(total)


def values_of_f32(patterns):
    return patterns.astype(np.uint32).view(np.float32)


def bits_of_f32(values):
    return np.asarray(values, np.float32).view(np.uint32)


@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.parametrize("kind", ["grid", "cancelling", "wide", "overflowing", "zero"])
def test_matmul_is_a_chain_of_fmach(fmt, kind):
    rng, f = np.random.default_rng(7), FORMATS[fmt]
    shape = (2, 40, 40)
    a, b = {
        "grid": rng.integers(-64, 65, shape) / 64,
        "cancelling": rng.integers(-3, 4, shape) * 0.5,
        "wide": rng.normal(size=shape) * 2.0 ** rng.uniform(f.least - f.mantissa, 2, shape),
        "overflowing": rng.normal(size=shape) * 2.0 ** (f.top // 2 + 1),
        "zero": np.zeros(shape),
    }[kind]
    a, b = round16(a, fmt), round16(b, fmt)
    want = chain(a, b, "fmach", fmt, lambda v: from_bits(v, fmt), lambda v: to_bits(v, fmt))
    got = matmul(a, b, fmt)
    assert got.dtype == np.float32
    assert np.array_equal(got, want, equal_nan=True)
    assert kind != "overflowing" or fmt == "bf16" or not np.isfinite(got).all()


@pytest.mark.parametrize("fmt", FORMATS)
def test_matmul_in_f32_is_a_chain_of_fmachs(fmt):
    a, b = (round16(np.random.default_rng(seed).normal(size=(20, 20)), fmt) for seed in (1, 2))
    want = chain(a, b, "fmachs", fmt, values_of_f32, lambda v: to_bits(v, fmt))
    assert np.array_equal(matmul(a, b, "f32"), want)


def test_matmul_in_f32_is_a_chain_of_fmacs():
    a, b = (np.random.default_rng(seed).normal(size=(20, 20)).astype(np.float32) for seed in (1, 2))
    assert np.array_equal(matmul(a, b, "f32"), chain(a, b, "fmacs", "f16", values_of_f32, bits_of_f32))


def test_matmul_of_nothing():
    assert matmul(np.zeros((3, 0)), np.zeros((0, 2)), "f16").tolist() == [[0, 0]] * 3
    assert matmul(np.zeros((0, 3)), np.zeros((3, 2)), "f32").shape == (0, 2)


def test_matmul_in_blocks_of_rows():
    a, b = np.arange(-3000, 3000).reshape(-1, 2) / 1024, np.ones((2, 50))
    assert np.array_equal(matmul(a, b, "bf16")[::7], matmul(a[::7], b, "bf16"))


def test_an_unknown_format_is_named():
    with pytest.raises(ConfigError, match=r"^there is no 16-bit float format 'fp8': use f16, bf16, cb16$"):
        to_bits(1.0, "fp8")
