"""Sums of tiles: rounded once, and in place if asked."""

import numpy as np
import pytest

from wse.kernels import single
from wse.kernels.single import Tensor
from wse.operators import residual
from wse.operators.policy import Policy


@pytest.mark.parametrize("dtype", ["f32", "f16", "bf16", "cb16"])
@pytest.mark.parametrize("to", ["z", "x", "y"])
def test_add(to, dtype):
    policy = Policy(dtype)
    x, y = (single.rounded(np.random.default_rng(seed).normal(size=50), policy) for seed in range(2))
    tensors = {"x": Tensor((50,), x), "y": Tensor((50,), y), "z": Tensor((50,))}
    got = single.on_one([residual.add(50, policy.size, "add")], tensors, dtype, {"add.z": to}).arrays
    assert np.array_equal(got[to][0, 0], single.rounded(x.astype(np.float64) + y, policy))
    for kept, value in {"x": x, "y": y}.items():
        assert to == kept or np.array_equal(got[kept][0, 0], value)


@pytest.mark.parametrize("dtype", ["f32", "bf16"])
@pytest.mark.parametrize("n", [1, 2, 51])
def test_zeros(n, dtype):
    tensors = {"x": Tensor((n,), np.full(n, np.nan)), "after": Tensor((1,), np.full(1, 7.0))}
    got = single.on_one([residual.zeros(n, Policy(dtype).size, "none")], tensors, dtype).arrays
    assert not got["x"].any() and got["after"].item() == 7


@pytest.mark.parametrize("dtype", ["f32", "f16", "bf16", "cb16"])
@pytest.mark.parametrize("n, to", [(1, "y"), (50, "x"), (600, "y")])
def test_times(n, to, dtype):
    policy = Policy(dtype)
    x = single.rounded(np.random.default_rng(0).normal(size=n), policy)
    tensors = {"x": Tensor((n,), x), "y": Tensor((n,))}
    got = single.on_one([residual.times(n, policy.size, 1.7, "times")], tensors, dtype, {"times.y": to}).arrays[to][
        0, 0
    ]
    assert np.array_equal(got, single.rounded(x * np.float32(1.7), policy))
