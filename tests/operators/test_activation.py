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


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_gate_whose_values_are_cut(dtype):
    """Far out, near the limits, and at them, where the gradient passes as in PyTorch."""
    rng = np.random.default_rng(2)
    gate, up = (np.concatenate([rng.normal(0, 3, 300), [2.5, -2.5, 2.5, 9, -9, 0]]) for _ in range(2))
    up[-6:] = [1, 2.5, -2.5, 2.6, -2.6, 0]
    gate, up, dy = (
        x.astype(np.float32) if dtype == "f32" else numerics.round16(x, dtype) for x in (gate, up, rng.normal(size=306))
    )
    size, tensors = 4 if dtype == "f32" else 2, {"gate": Tensor(gate.shape, gate), "up": Tensor(up.shape, up)}
    tensors |= {name: Tensor(gate.shape) for name in ("y", "dgate", "dup")} | {"dy": Tensor(dy.shape, dy)}
    made = [
        activation.cut_gate_forward(1.7, 2.5, gate.size, size, "f"),
        activation.gate_backward(gate.size, size, "b"),
    ]
    got = single.on_one(made, tensors, dtype).arrays
    y, by_gate, by_up = activation.cut_gate_reference(gate, up, 1.7, 2.5)
    for name, expected in (("y", y), ("dgate", by_gate * dy), ("dup", by_up * dy)):
        bound = 16 * single.EPSILON[dtype] * np.maximum(1, np.abs(expected))
        assert np.all(np.abs(got[name][0, 0].astype(np.float64) - expected) <= bound), name
    assert (by_gate == 0).sum() > 30 < (by_up == 0).sum()  # many are cut
    torch = pytest.importorskip("torch")
    g, u = (torch.tensor(np.asarray(x, np.float64), requires_grad=True) for x in (gate, up))
    x = g.clamp(max=2.5)
    (x * (1.7 * x).sigmoid() * (u.clamp(-2.5, 2.5) + 1)).sum().backward()
    np.testing.assert_allclose(by_gate, g.grad.numpy(), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(by_up, u.grad.numpy(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_a_cut_does_not_hide_an_overflow(value):
    x = np.full(8, value, np.float32)
    for gate, up in ((x, np.ones_like(x)), (np.ones_like(x), x)):
        tensors = {"gate": Tensor(gate.shape, gate), "up": Tensor(up.shape, up), "y": Tensor(x.shape)}
        got = single.on_one([activation.cut_gate_forward(1.7, 7, 8, 4, "f")], tensors, "f32").arrays
        assert not np.isfinite(got["y"]).any()


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
