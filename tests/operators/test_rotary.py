"""Rotary positions against float64; turning back undoes turning."""

import numpy as np
import pytest

from wse.kernels import RunOptions, single
from wse.kernels.operators import OPERATORS
from wse.kernels.single import Tensor
from wse.operators import rotary as operator


@pytest.mark.parametrize("dtype", ["f32", "f16", "bf16", "cb16"])
@pytest.mark.parametrize("turned", [0, 4])
def test_forward_and_backward(turned, dtype):
    config = {"heads": 3, "d_head": 8, "turned": turned, "tokens": 20, "theta": 1e4, "dtype": dtype}
    result = OPERATORS["rotary"].run(config, RunOptions(grid=(2, 1), seed=1))
    assert result.verified, result.extra["errors"]


def test_backward_undoes_forward():
    made = operator.Rotary(2, 4, 4, 12, 4)
    cos, sin = operator.tables(100.0 ** np.array([0.0, -0.5]), np.arange(12) % 6)
    x = np.random.default_rng(0).normal(size=(8, 12)).astype(np.float32)
    tensors = {"x": Tensor((8, 12), x), "cos": Tensor(cos.shape, cos), "sin": Tensor(sin.shape, sin)}
    got = single.on_one([made.forward("f"), made.backward("b")], tensors, "f32").arrays["x"][0, 0]
    assert single.error(got, x) < 2e-7


def test_what_angles_mean():
    """A head turned by its position: products of queries and keys depend on their distance only."""
    q, k = np.random.default_rng(0).normal(size=(2, 8, 1)).repeat(10, axis=2)
    positions = np.arange(10)
    turned = [operator.reference(x, 1, 8, 1e4, positions) for x in (q, k)]
    products = turned[0].T @ turned[1]
    for distance in range(10):
        diagonal = np.diagonal(products, distance)
        np.testing.assert_allclose(diagonal, diagonal[0], rtol=1e-12)
