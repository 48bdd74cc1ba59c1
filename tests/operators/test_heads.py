"""Heads padded, cut and joined: to the bit."""

import numpy as np
import pytest

from wse.kernels import single
from wse.kernels.single import Tensor
from wse.operators.heads import Join, Resize
from wse.operators.policy import Policy


@pytest.mark.parametrize("dtype", ["f32", "bf16"])
@pytest.mark.parametrize("heads, before, after, tokens", [(1, 3, 5, 2), (3, 6, 2, 8), (2, 4, 4, 6)])
def test_resize(heads, before, after, tokens, dtype):
    policy = Policy(dtype)
    x = single.rounded(np.random.default_rng(0).normal(size=(heads, before, tokens)), policy)
    tensors = {"x": Tensor(x.shape, x), "y": Tensor((heads, after, tokens), np.full((heads, after, tokens), np.nan))}
    made = Resize(heads, before, after, tokens, policy.size).routine("resize")
    got = single.on_one([made], tensors, dtype).arrays["y"][0, 0]
    both = min(before, after)
    np.testing.assert_array_equal(got, np.pad(x[:, :both], ((0, 0), (0, after - both), (0, 0))))


@pytest.mark.parametrize("dtype", ["f32", "f16", "bf16", "cb16"])
@pytest.mark.parametrize("heads, own, shared, tokens", [(1, 3, 2, 2), (3, 2, 4, 8), (4, 5, 1, 6)])
def test_join(heads, own, shared, tokens, dtype):
    policy, rng = Policy(dtype), np.random.default_rng(1)
    x, y, dz = (
        single.rounded(rng.normal(size=shape), policy)
        for shape in ((heads, own, tokens), (shared, tokens), (heads, own + shared, tokens))
    )
    tensors = {"x": Tensor(x.shape, x), "y": Tensor(y.shape, y), "z": Tensor(dz.shape), "dz": Tensor(dz.shape, dz)}
    tensors |= {"dx": Tensor(x.shape), "dy": Tensor(y.shape)}
    made = Join(heads, own, shared, tokens, policy.size)
    got = single.on_one([made.forward("forward"), made.backward("backward")], tensors, dtype).arrays
    np.testing.assert_array_equal(got["z"][0, 0], np.concatenate([x, np.repeat(y[None], heads, 0)], axis=1))
    np.testing.assert_array_equal(got["dx"][0, 0], dz[:, :own])
    total = dz[0, own:]
    for head in dz[1:]:
        total = total + head[own:]
    np.testing.assert_array_equal(got["dy"][0, 0], single.rounded(total, policy))
