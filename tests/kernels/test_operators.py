"""Kernels of single operators: all of the table are verified; phases and refusals of the linear layer.

Covers: wse/kernels/single.py
"""

import pytest

from wse import kernels
from wse.errors import ConfigError
from wse.kernels import RunOptions
from wse.kernels.operators import OPERATORS

LINEAR = OPERATORS["linear"]
BASE = {name: parameter.default for name, parameter in LINEAR.PARAMETERS.items()}


def run(grid=(4, 2), **given):
    return LINEAR.run(BASE | {"inputs": 16, "outputs": 24, "tokens": 16} | given, RunOptions(grid=grid))


@pytest.mark.parametrize("dtype", ["f32", "f16", "bf16", "cb16"])
@pytest.mark.parametrize("policy", ["POL0", "POL1", "POL2"])
def test_verified(dtype, policy):
    result = run(dtype=dtype, policy=policy)
    assert result.verified, result.extra["errors"]
    assert set(result.extra["phase_cycles"]) == {"forward", "backward"}
    assert result.run.cycles == sum(result.extra["phase_cycles"].values())
    assert result.run.meta["kernel"] == "linear"


def test_sparse_is_verified_and_faster():
    dense, sparse = run(inputs=64, outputs=64), run(inputs=64, outputs=64, density=0.1)
    assert dense.verified and sparse.verified
    assert sparse.extra["phase_cycles"]["forward"] < dense.extra["phase_cycles"]["forward"] / 2


def test_a_limit_ends_it():
    result = LINEAR.run(BASE, RunOptions(max_cycles=500))
    assert (result.run.ended, result.verified) == ("limit", False)


def test_what_is_refused():
    with pytest.raises(ConfigError, match=r"^density of linear is above 0 and at most 1, not 0.0$"):
        run(density=0.0)
    with pytest.raises(ConfigError, match=r"^outputs of linear must be at least 1, not 0$"):
        run(outputs=0)


@pytest.mark.parametrize("name", OPERATORS)
@pytest.mark.parametrize("grid", [None, (1, 2), (6, 2)])
def test_every_kernel_of_the_table(name, grid):
    kernel = kernels.load(name)
    assert kernel is OPERATORS[name]
    more = {"outputs": 40} if name == "linear" else {}
    result = kernels.run(name, more, RunOptions(grid=grid))
    assert result.verified, result.extra["errors"]
    assert (result.run.width, result.run.height) == (grid or kernel.GRID)
    assert result.run.meta["kernel"] == result.kernel == name
    assert list(result.run.meta["parameters"]) == list(kernel.PARAMETERS)


@pytest.mark.parametrize("name", OPERATORS)
def test_a_limit_ends_every_kernel(name):
    result = kernels.run(name, {}, RunOptions(max_cycles=300))
    assert (result.run.ended, result.verified) == ("limit", False)
    assert 250 < result.run.cycles <= 300
