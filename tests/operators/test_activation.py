"""GELU, SiLU and gated forms against float64, and the float64 references against PyTorch's derivatives."""

import numpy as np
import pytest

from wse.kernels import RunOptions, single
from wse.kernels.operators import OPERATORS
from wse.kernels.single import Tensor
from wse.machine import numerics
from wse.operators import activation

DTYPES = ("f32", "f16", "bf16", "cb16")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("gated", [False, True])
@pytest.mark.parametrize("kernel, more", [("gelu", {"exact": True}), ("gelu", {"exact": False}), ("silu", {})])
def test_forward_and_backward(kernel, more, gated, dtype):
    config = {"features": 24, "tokens": 32, "gated": gated, "dtype": dtype} | more
    result = OPERATORS[kernel].run(config, RunOptions(seed=1))
    assert result.verified, result.extra["errors"]


@pytest.mark.parametrize("function", activation.FUNCTIONS)
@pytest.mark.parametrize("dtype", ["f32", "f16"])
def test_every_element(function, dtype):
    """Far out and near 0, f and f' have an absolute error of a few units of the storage type at 1 (or at |x|)."""
    x = np.concatenate([np.linspace(-40, 40, 500), np.linspace(-1e-3, 1e-3, 201), [0.0, -0.0, 1e-7]])
    x = numerics.round16(x, dtype) if dtype != "f32" else x.astype(np.float32)
    size = 4 if dtype == "f32" else 2
    tensors = {"x": Tensor(x.shape, x), "y": Tensor(x.shape)}
    got = single.on_one([activation.forward(function, x.size, size, "f")], tensors, dtype).arrays
    f, slope = activation.reference(function, x)
    unit = 12 * single.EPSILON[dtype]
    assert np.all(np.abs(got["y"][0, 0] - f) <= unit * np.maximum(1, np.maximum(np.abs(x), np.abs(f))))
    # f z' grows as x^3 / 5, and 1 - sigmoid is wrong by 2e-7
    assert np.all(np.abs(got["x"][0, 0] - slope) <= unit * np.maximum(1, np.abs(x) ** 3 / 10))


@pytest.mark.parametrize("function", activation.FUNCTIONS)
def test_the_reference_is_the_derivative(function):
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional
    named = {"gelu": functional.gelu, "gelu_tanh": lambda v: functional.gelu(v, approximate="tanh")}
    named["relu"] = functional.relu
    named["relu2"] = lambda v: functional.relu(v) ** 2
    x = torch.linspace(-8, 8, 401, dtype=torch.float64, requires_grad=True)
    y = named.get(function, functional.silu)(x)
    y.sum().backward()
    f, slope = activation.reference(function, x.detach().numpy())
    np.testing.assert_allclose(f, y.detach().numpy(), rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(slope, x.grad.numpy(), rtol=1e-9, atol=1e-13)


def test_chunks_do_not_matter(monkeypatch):
    """A tile in chunks is the tile at once."""
    x = np.random.default_rng(0).normal(size=96).astype(np.float32)
    got = []
    for chunk in (96, 32, 5):
        monkeypatch.setattr(activation, "CHUNK", chunk)
        made = activation.forward("gelu", 96, 4, "f")
        got.append(single.on_one([made], {"x": Tensor((96,), x), "y": Tensor((96,))}, "f32").arrays)
    for other in got[1:]:
        assert np.array_equal(got[0]["y"], other["y"])
        assert np.array_equal(got[0]["x"], other["x"])
