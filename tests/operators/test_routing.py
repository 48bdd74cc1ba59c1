"""Routing to experts: choices exactly, gates and gradients against the formulas, on rows of one PE and of several."""

import numpy as np
import pytest

from wse import Machine
from wse.kernels import RunOptions, single
from wse.kernels.single import Tensor
from wse.operators.policy import Policy
from wse.operators.routing import Routing, Weighing

BOUND = {"f32": 2e-6, "f16": 1.2e-3, "bf16": 8e-3}


def run(shape: Routing, logits, dgates, balance, dtype, height=2):
    """gates, shares, dlogits [experts, tokens]; dgates: [columns, experts, tokens], each PE's part."""
    made = single.Single(RunOptions(machine=Machine()), (shape.columns, height), Policy(dtype), shape.tokens)
    e, t, w = shape.experts, shape.tokens, shape.columns
    parts = dgates.reshape(w, e, height, t).transpose(2, 0, 1, 3)
    tensors = {
        "logits": Tensor((shape.rows, t), single.tiles(logits, shape.rows, w, t)),
        "gates": Tensor((e, t), dtype="f32"),
        "shares": Tensor((e, t), dtype="f32"),
        "dgates": Tensor((e, t), parts, "f32"),
        "dlogits": Tensor((shape.rows, t)),
        "balance": Tensor((e,), balance, "f32"),
        "load": Tensor((shape.rows,), dtype="f32"),
    }
    steps = [shape.forward("forward", made.allreduce), shape.backward("backward", made.allreduce)]
    got = made.execute(steps, tensors).arrays
    for name in ("gates", "shares"):  # all PEs of a row have the same bits
        np.testing.assert_array_equal(got[name], np.broadcast_to(got[name][:, :1], got[name].shape))
    if shape.counted:  # of each row of PEs, by the columns; padding has none
        load = got["load"].reshape(height, w * shape.rows)
        choices = shape.choice(logits).reshape(e, height, t).sum(axis=2).T
        none = np.isnan(logits).any(axis=0).reshape(height, t).any(axis=1)
        wanted = np.where(none[:, None], np.nan, choices)
        np.testing.assert_array_equal(load[:, :e], wanted)
        assert not load[:, e:].any()
    whole = {name: np.concatenate(list(got[name][:, 0]), axis=1) for name in ("gates", "shares")}
    whole_d = single.untiled(got["dlogits"], w * shape.rows)
    assert not whole_d[e:].any()  # padding
    return whole["gates"], whole["shares"], whole_d[:e]


@pytest.mark.parametrize("dtype", ["f32", "f16", "bf16"])
@pytest.mark.parametrize("of_chosen, balanced", [(True, False), (False, False), (True, True), (False, True)])
@pytest.mark.parametrize("experts, active, columns", [(4, 2, 1), (8, 2, 4), (5, 3, 2), (3, 3, 4), (2, 1, 3)])
def test_gates_and_gradients(experts, active, columns, of_chosen, balanced, dtype):
    t, rng = 6, np.random.default_rng(experts)
    shape = Routing(
        experts,
        active,
        -(-experts // columns),
        t,
        columns,
        4 if dtype == "f32" else 2,
        of_chosen,
        balanced,
        counted=True,
    )
    logits = single.rounded(rng.normal(size=(experts, 2 * t)) * 2, Policy(dtype))
    dgates = rng.normal(size=(columns, experts, 2 * t)).astype(np.float32)
    balance = rng.normal(size=experts).astype(np.float32) if balanced else np.zeros(experts, np.float32)
    gates, shares, d = run(shape, logits, dgates, balance, dtype)
    chosen = shape.choice(logits)
    assert ((gates > 0) == chosen).all() and (chosen.sum(axis=0) == active).all()
    wanted = shape.reference(logits, dgates.astype(np.float64).sum(axis=0), balance)
    pairs = [(gates, wanted[0]), (d, wanted[2])] + [(shares, wanted[1])] * shape.shares
    for got, value in pairs:
        assert np.abs(got - value).max() <= BOUND[dtype] * max(1, np.abs(value).max())


def test_of_equal_logits_the_first():
    shape = Routing(6, 3, 3, 4, 2, 4, True)
    logits = np.array([[0, 1, 2, -1], [0, 1, 2, -1], [0, 3, 2, -1], [0, 1, 2, -1], [0, 1, 3, -1], [0, 1, 2, -1]])
    logits = np.tile(logits, (1, 2)).astype(np.float32)
    gates, _, _ = run(shape, logits, np.zeros((2, 6, 8), np.float32), 0.0, "f32")
    assert [np.flatnonzero(column).tolist() for column in gates.T[:4]] == [[0, 1, 2], [0, 1, 2], [0, 1, 4], [0, 1, 2]]


def test_logits_that_are_almost_equal_or_far_apart():
    shape = Routing(4, 2, 4, 4, 1, 4, True)
    one = np.float32(1)
    logits = np.array(
        [
            [one, 1e4, 1e-30, 3e38],
            [np.nextafter(one, np.float32(2)), -1e4, 2e-30, 2e38],
            [0.5, 0, 3e-30, -1e38],
            [one, 5e3, -1e-30, 1e38],
        ]
    ).astype(np.float32)
    gates, _, _ = run(shape, np.tile(logits, (1, 2)), np.zeros((1, 4, 8), np.float32), 0.0, "f32")
    assert [np.flatnonzero(column).tolist() for column in gates.T[:4]] == [[0, 1], [0], [1, 2], [0]]


def test_no_number_stays_none():
    shape = Routing(4, 2, 2, 2, 2, 2, True, counted=True)
    logits = np.zeros((4, 4), np.float32)
    logits[1, 0] = np.nan
    gates, _, _ = run(shape, logits, np.zeros((2, 4, 4), np.float32), 0.0, "f16")
    assert np.isnan(gates[:, 0]).any() and not np.isnan(gates[:, 1]).any()


@pytest.mark.parametrize("dtype", ["f32", "f16", "bf16", "cb16"])
@pytest.mark.parametrize("rows, tokens", [(1, 2), (5, 8), (16, 34)])
def test_weighing_to_the_bit(rows, tokens, dtype):
    policy, rng = Policy(dtype), np.random.default_rng(rows)
    shape = Weighing(rows, tokens, policy.size)
    x, dy = (single.rounded(rng.normal(size=(rows, tokens)), policy) for _ in range(2))
    gate = rng.random(tokens).astype(np.float32)
    tensors = {"x": Tensor(x.shape, x), "dy": Tensor(x.shape, dy), "gate": Tensor((tokens,), gate, "f32")}
    tensors |= {"y": Tensor(x.shape), "dx": Tensor(x.shape), "dgate": Tensor((tokens,), dtype="f32")}
    got = single.on_one([shape.forward("forward"), shape.backward("backward")], tensors, dtype).arrays
    product, total = x * dy, np.zeros(tokens, np.float32)
    for row in product:
        total = total + row
    np.testing.assert_array_equal(got["y"][0, 0], single.rounded(x * gate, policy))
    np.testing.assert_array_equal(got["dx"][0, 0], single.rounded(dy * gate, policy))
    np.testing.assert_array_equal(got["dgate"][0, 0], total)
