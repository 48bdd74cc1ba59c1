"""What is no number stays none: the loss scaler sees overflows in gradients, so no operator may swallow one."""

import numpy as np
import pytest

from wse.kernels import single
from wse.kernels.single import Tensor
from wse.operators import activation
from wse.operators.attention import Attention
from wse.operators.loss import Loss
from wse.operators.norm import Norm

BAD = [np.inf, -np.inf, np.nan]
FORMATS = ["f32", "f16"]


def normal(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def execute(routines, fmt, results, **arrays):
    """Results by name.  arrays: values, or (shape, dtype)."""
    tensors = {
        name: Tensor(value[0], None, value[1]) if isinstance(value, tuple) else Tensor(value.shape, value)
        for name, value in arrays.items()
    }
    got = single.on_one(routines, tensors, fmt).arrays
    return [got[name][0, 0] for name in results]


def size(fmt):
    return 4 if fmt == "f32" else 2


@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("operand", ["q", "v", "do"])
def test_attention(operand, bad, fmt):
    shape = Attention(1, 1, 4, 8, 8, size(fmt))
    arrays = {name: normal(4, 8) for name in ("q", "k", "v", "do")}
    arrays[operand][2, 5] = bad
    tile = ((4, 8), None)
    arrays |= dict.fromkeys(("o", "dq", "dk", "dv"), tile) | {"stash": ((shape.stash,), "f32")}
    o, dq, dk, dv = execute([shape.forward("f"), shape.backward("b")], fmt, ("o", "dq", "dk", "dv"), **arrays)
    assert operand == "do" or not np.isfinite(o[:, 5:]).all()
    assert not np.isfinite(np.concatenate([dq, dk, dv])).all()
    if operand == "q":
        assert np.isfinite(o[:, :5]).all()  # tokens before it do not depend on it


@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("kind", ["layer", "rms"])
def test_norms(kind, bad, fmt):
    norm = Norm(kind, 8, 8, 4, 1, size(fmt), 1e-5, kind == "layer")
    x, vector = normal(8, 4), ((8,), "f32")
    x[3, 2] = bad
    arrays = {"x": x, "dy": normal(8, 4), "gain": vector, "bias": vector, "dgain": vector, "dbias": vector}
    arrays |= dict.fromkeys(("y", "xhat", "dx"), ((8, 4), None)) | {"rstd": ((4,), "f32")}
    y, dx = execute([norm.forward("f"), norm.backward("b")], fmt, ("y", "dx"), **arrays)
    for got in (y, dx):
        assert not np.isfinite(got[:, 2]).all()
        assert np.isfinite(np.delete(got, 2, axis=1)).all()


@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.parametrize("bad", [np.inf, np.nan])
@pytest.mark.parametrize("function", activation.FUNCTIONS)
def test_activations(function, bad, fmt):
    x = normal(32)
    x[7] = bad
    (y,) = execute([activation.forward(function, 32, size(fmt), "f")], fmt, ("y",), x=x, y=((32,), None))
    assert np.flatnonzero(~np.isfinite(y)).tolist() == [7]


@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.parametrize("bad", [np.inf, np.nan])
def test_loss(bad, fmt):
    logits = normal(8, 4)
    logits[:, 2] = bad
    made = Loss(8, 8, 4, 1, size(fmt)).routine("f")
    arrays = {"logits": logits, "labels": ((4,), "u16"), "scale": ((1,), "f32"), "loss": ((1,), "f32")}
    (gradient,) = execute([made], fmt, ("dlogits",), dlogits=((8, 4), None), **arrays)
    assert not np.isfinite(gradient[:, 2]).all()


def test_a_gradient_beyond_f16_is_infinite():
    """Where a loss scale is too large."""
    made = Loss(4, 4, 2, 1, 2).routine("f")
    tensors = {"logits": Tensor((4, 2), normal(4, 2)), "labels": Tensor((2,), np.array([1, 2]), "u16")}
    tensors |= {"scale": Tensor((1,), np.full(1, 2.0**20, np.float32), "f32"), "loss": Tensor((1,), None, "f32")}
    got = single.on_one([made], tensors | {"dlogits": Tensor((4, 2))}, "f16").arrays
    assert np.isinf(got["dlogits"]).any()
    assert np.isfinite(got["loss"]).all()
