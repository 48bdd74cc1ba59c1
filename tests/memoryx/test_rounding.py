"""Rounding to 16 bits, against the formats of wse.numerics, which share no code with it."""

import numpy as np
import pytest

import wse
from wse.machine import numerics
from wse.memoryx import rounding

formats = pytest.mark.parametrize("fmt", numerics.FORMATS)


def hard_values(fmt: str) -> np.ndarray:
    """Every value of the format, the middle between each two, what lies next to those, and random words."""
    values = numerics.from_bits(np.arange(1 << 16, dtype=np.uint16), fmt)
    finite = np.unique(values[np.isfinite(values)]).astype(np.float64)
    middle = ((finite[1:] + finite[:-1]) / 2).astype(np.float32)
    near = np.concatenate([finite.astype(np.float32), middle])
    words = np.random.default_rng(0).integers(0, 1 << 32, 200_000, np.uint32).view(np.float32)
    return np.concatenate(
        [near, np.nextafter(near, np.float32(np.inf)), np.nextafter(near, np.float32(-np.inf)), words]
    )


@formats
def test_to_nearest_is_the_rounding_of_the_format(fmt):
    values = hard_values(fmt)
    got, expected = rounding.to_bits(values, fmt), numerics.to_bits(values, fmt)
    nan = np.isnan(values)
    assert np.array_equal(got[~nan], expected[~nan])
    assert np.isnan(numerics.from_bits(got[nan], fmt)).all() and nan.any()


@formats
def test_at_random_goes_to_a_neighbour(fmt):
    values = hard_values(fmt)
    values = values[
        np.isfinite(values) & (np.abs(values) < numerics.from_bits(np.uint16(numerics.FORMATS[fmt].inf - 1), fmt))
    ]
    got = numerics.from_bits(rounding.to_bits(values, fmt, stochastic=True, seed=5), fmt).astype(np.float64)
    exact = values.astype(np.float64)
    grid = np.unique(numerics.from_bits(np.arange(1 << 16, dtype=np.uint16), fmt).astype(np.float64))
    grid = grid[~np.isnan(grid)]
    above = np.searchsorted(grid, exact)
    assert ((got == grid[above]) | (got == grid[np.maximum(above - 1, 0)])).all()
    representable = grid[above] == exact
    assert representable.any() and (got[representable] == exact[representable]).all()


@formats
@pytest.mark.parametrize("scale", [1.0, 1e-6])
def test_at_random_is_right_on_average(fmt, scale):
    """The mean of n roundings is within five standard deviations of the value: subnormals as well."""
    n = 40_000
    step = (
        float(np.diff(np.sort(numerics.from_bits(rounding.to_bits(np.float32([scale, scale * 1.02]), fmt), fmt)))[0])
        or scale
    )
    for value in np.float32([scale * 1.001, scale * 1.0033, -scale * 1.006]):
        got = numerics.from_bits(rounding.to_bits(np.full(n, value), fmt, stochastic=True, seed=3), fmt).astype(
            np.float64
        )
        spread = max(got.std(), 1e-12 * scale)
        assert abs(got.mean() - np.float64(value)) < 5 * spread / n**0.5 + 1e-7 * scale
        assert np.ptp(got) <= max(step, 2.0**-23)


def test_the_draw_depends_on_seed_and_place_only():
    values = np.full((50, 40), 1.0003, np.float32)
    first = rounding.to_bits(values, "bf16", stochastic=True, seed=1)
    assert np.array_equal(first, rounding.to_bits(values, "bf16", stochastic=True, seed=1))
    assert not np.array_equal(first, rounding.to_bits(values, "bf16", stochastic=True, seed=2))
    assert 0 < np.unique(first).size <= 2 and len({row.tobytes() for row in first}) > 20


def test_an_unknown_format():
    with pytest.raises(wse.ConfigError, match=r"^a 16-bit format is one of f16, bf16, cb16, not 'f8'$"):
        rounding.to_bits(np.zeros(1, np.float32), "f8")
