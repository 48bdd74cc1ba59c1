"""Cross-entropy and softmax over rows of PEs, against float64.

Covers: wse/operators/softmax.py
"""

import numpy as np
import pytest

from wse.kernels import RunOptions
from wse.kernels.operators import OPERATORS
from wse.operators import loss
from wse.operators import softmax as operator

DTYPES = ("f32", "f16", "bf16", "cb16")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kernel", ["crossentropy", "softmax"])
@pytest.mark.parametrize("features, grid", [(24, (1, 1)), (90, (4, 2)), (13, (5, 1))])  # the last column has no feature
def test_against_the_reference(kernel, features, grid, dtype):
    result = OPERATORS[kernel].run({"features": features, "tokens": 32, "dtype": dtype}, RunOptions(grid=grid, seed=2))
    assert result.verified, result.extra["errors"]


def test_the_references_are_derivatives():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    z, labels = rng.normal(size=(7, 5)), rng.integers(0, 7, 5)
    logits = torch.tensor(z.T, requires_grad=True)
    losses = torch.nn.functional.cross_entropy(logits, torch.tensor(labels), reduction="none")
    (losses.sum() * 0.25).backward()
    mine, gradient = loss.reference(z, labels, 0.25)
    np.testing.assert_allclose(mine, losses.detach().numpy(), rtol=1e-12)
    np.testing.assert_allclose(gradient, logits.grad.numpy().T, rtol=1e-10, atol=1e-15)
    logits.grad = None
    losses = torch.nn.functional.cross_entropy(0.6 * torch.tanh(logits / 0.6), torch.tensor(labels), reduction="none")
    (losses.sum() * 0.25).backward()
    mine, gradient = loss.reference(z, labels, 0.25, 0.6)
    np.testing.assert_allclose(mine, losses.detach().numpy(), rtol=1e-12)
    np.testing.assert_allclose(gradient, logits.grad.numpy().T, rtol=1e-10, atol=1e-15)
    dy = rng.normal(size=(7, 5))
    x = torch.tensor(z, requires_grad=True)
    y = torch.softmax(x, dim=0)
    y.backward(torch.tensor(dy))
    got = operator.reference(z, dy)
    np.testing.assert_allclose(got[0], y.detach().numpy(), rtol=1e-12)
    np.testing.assert_allclose(got[1], x.grad.numpy(), rtol=1e-10, atol=1e-15)
