"""Layer norm and RMS norm over rows of PEs, against float64, and the float64 reference against PyTorch's gradients.

Covers: wse/operators/row_sums.py
"""

import numpy as np
import pytest

from wse.kernels import RunOptions, single
from wse.kernels.operators import OPERATORS
from wse.kernels.single import Tensor
from wse.operators.norm import Norm

DTYPES = ("f32", "f16", "bf16", "cb16")


def config(features=32, tokens=32, eps=1e-5, dtype="f16"):
    return {"features": features, "tokens": tokens, "eps": eps, "dtype": dtype}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kernel", ["layernorm", "rmsnorm"])
@pytest.mark.parametrize("grid", [(1, 1), (4, 2)])
def test_forward_and_backward(kernel, grid, dtype):
    result = OPERATORS[kernel].run(config(dtype=dtype), RunOptions(grid=grid, seed=3))
    assert result.verified, result.extra["errors"]


@pytest.mark.parametrize("kernel", ["layernorm", "rmsnorm"])
@pytest.mark.parametrize("features", [1, 7, 22])
def test_padding(kernel, features):
    """Columns of which the last has fewer features, or none."""
    result = OPERATORS[kernel].run(config(features, 6, dtype="f32"), RunOptions(grid=(5, 1)))
    assert result.extra["errors"]["y"] < 1e-6
    if features > 1:  # the gradient of a norm of one feature is 0 but for rounding
        assert result.verified, result.extra["errors"]


def test_a_mean_far_from_zero():
    """The variance is that of differences: squares of 1000 would leave it few digits."""
    norm = Norm("layer", 8, 8, 32, 1, 4, 1e-5)
    rng = np.random.default_rng(0)
    x, ones, zeros = rng.normal(1000, 1, (8, 32)).astype(np.float32), np.ones(8, np.float32), np.zeros(8, np.float32)
    tensors = {"x": Tensor((8, 32), x), "gain": Tensor((8,), ones), "bias": Tensor((8,), zeros), "y": Tensor((8, 32))}
    tensors |= {"xhat": Tensor((8, 32)), "rstd": Tensor((32,))}
    got = single.on_one([norm.forward("f")], tensors, "f32").arrays["y"][0, 0]
    assert (
        single.error(got, norm.reference(x, ones, zeros)[0]) < 2e-4
    )  # 1000 has a unit of 6e-5 in f32; squares of it would leave 0.06


@pytest.mark.parametrize("kind", ["layer", "rms"])
def test_the_reference_is_the_derivative(kind):
    torch = pytest.importorskip("torch")
    norm = Norm(kind, 12, 12, 6, 1, 4, 1e-3, kind == "layer")
    rng = np.random.default_rng(0)
    x, dy = rng.normal(size=(2, 12, 6))
    gain, bias = rng.normal(size=(2, 12))
    inputs = [torch.tensor(v, requires_grad=True) for v in (x, gain, bias)]
    if kind == "layer":
        y = torch.nn.functional.layer_norm(inputs[0].T, (12,), inputs[1], inputs[2], 1e-3)
    else:
        y = torch.nn.functional.rms_norm(inputs[0].T, (12,), inputs[1], 1e-3) + 0 * inputs[2]
    y.backward(torch.tensor(dy.T))
    mine, xhat, rstd = norm.reference(x, gain, bias if norm.bias else None)
    np.testing.assert_allclose(mine, y.detach().numpy().T, rtol=1e-12, atol=1e-12)
    wanted = [v.grad.numpy() for v in inputs]
    for got, want in zip(norm.reference_backward(dy, gain, xhat, rstd)[: 2 + norm.bias], wanted, strict=False):
        np.testing.assert_allclose(got, want, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", ["layer", "rms"])
def test_y_again_to_the_bit(kind, dtype):
    policy = single.Policy(dtype)
    norm = Norm(kind, 8, 8, 16, 1, policy.size, 1e-5, kind == "layer")
    rng = np.random.default_rng(0)
    tensors = {name: Tensor((8,), rng.normal(size=8).astype(np.float32), "f32") for name in ("gain", "bias")}
    tensors |= {
        "x": Tensor((8, 16), single.rounded(rng.normal(size=(8, 16)), policy)),
        "rstd": Tensor((16,), None, "f32"),
    }
    tensors |= dict.fromkeys(("y", "xhat", "once_more"), Tensor((8, 16)))
    routines = [norm.forward("f"), norm.again("g")]
    got = single.on_one(routines, tensors, dtype, {"g.y": "once_more"}).arrays
    assert np.array_equal(got["y"], got["once_more"])
    assert got["y"].any()
