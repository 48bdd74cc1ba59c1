"""axpy: values to the bit, and the rate of the lanes and banks."""

import math

import pytest
from running import is_exact
from running import run as run_kernel
from says import says

from wse import Machine
from wse.errors import ConfigError
from wse.kernels import axpy

RATES = {"f16": 4, "bf16": 4, "cb16": 4, "f32": 1}


def run(length, grid=(2, 2), **options):
    return run_kernel(axpy, grid, length=length, **options)


@pytest.mark.parametrize("arch", ["wse2", "wse3"])
@pytest.mark.parametrize("dtype", RATES)
def test_values(dtype, arch):
    for grid in ((1, 1), (1, 3), (5, 2)):
        for length in (1, 2, 7, 64, 1001):
            for a in (0.75, -1.0, 0.0, 1e-3):
                assert is_exact(run(length, grid, dtype=dtype, arch=arch, a=a)), (grid, length, a)


@pytest.mark.parametrize("arch", ["wse2", "wse3"])
@pytest.mark.parametrize("dtype, rate", RATES.items())
def test_rate(dtype, rate, arch):
    result = run(4096, dtype=dtype, arch=arch)
    assert result.extra["elements_per_cycle"] == rate
    assert result.text == [f"rate         {rate:.2f} elements a cycle while the operation runs"]
    assert result.run.flops == 4 * 2 * 4096
    assert result.run.wavelet_hops == 0
    longer = run(8192 if dtype != "f32" else 4096 + 1024, dtype=dtype, arch=arch)
    assert longer.run.cycles - result.run.cycles == (4096 if dtype != "f32" else 1024) // rate


def test_banks():
    """16-bit groups of four words conflict unless they are four words apart, f32 ones unless they are in other banks."""
    halves = [run(4096, offset=offset).extra["elements_per_cycle"] for offset in range(0, 16, 2)]
    assert halves == [2, 2, 2, 2, 4, 2, 2, 2]
    singles = [run(4096, dtype="f32", offset=offset).extra["elements_per_cycle"] for offset in range(0, 16, 4)]
    assert singles == [0.5, 1, 1, 1]


def test_silicon():
    assert run(4096, profile="silicon").extra["elements_per_cycle"] == pytest.approx(2.92, abs=0.01)


def test_defaults():
    result = run_kernel(axpy)
    assert is_exact(result)
    assert (result.run.width, result.run.height) == (4, 4)
    assert result.run.meta["parameters"] == {"length": 4096, "a": 0.75, "dtype": "f16", "offset": 8}


def test_what_the_host_does_makes_no_difference():
    whole = run(100).run
    assert whole.diff(run(100, threads=2).run) == []
    assert whole.diff(run(100, trace=1000).run) == ["events"]


def test_a_run_that_was_cut_short():
    result = run(100, max_cycles=10)
    assert result.run.ended == "limit"
    assert not result.verified and math.isnan(result.max_error) and not result.text


def test_overflow_is_a_value_like_any_other():
    result = run(100, a=60000.0)
    assert result.verified


@pytest.mark.parametrize(
    "change, message",
    [
        ({"length": 0}, "length of axpy must be at least 1, not 0"),
        ({"length": 20000}, "length of axpy must be at most 12224 elements of f16, for the memory of a PE, not 20000"),
        (
            {"length": 6113, "dtype": "f32"},
            "length of axpy must be at most 6112 elements of f32, for the memory of a PE, not 6113",
        ),
        ({"offset": 3}, "offset of axpy must be 0 to 14 and a multiple of the element size, 2 bytes, not 3"),
        (
            {"offset": 2, "dtype": "f32"},
            "offset of axpy must be 0 to 14 and a multiple of the element size, 4 bytes, not 2",
        ),
        ({"offset": 16}, "offset of axpy must be 0 to 14 and a multiple of the element size, 2 bytes, not 16"),
        ({"a": 1e9}, "a of axpy must be a finite number of f16, not 1000000000.0"),
        ({"a": "1"}, "a of axpy is of type float, not '1'"),
    ],
)
def test_bad_parameters(change, message):
    with says(ConfigError, message):
        run_kernel(axpy, **change)


@pytest.mark.parametrize("dtype, most", [("f16", 12224), ("f32", 6112)])
def test_the_largest_that_is_accepted_fits(dtype, most):
    config = {"length": most, "a": 1.0, "dtype": dtype, "offset": 12}
    axpy.build(config, (1, 1), Machine("wse3")).check()
