"""Linear layers against float64: forward, gradients of inputs, weights and biases, in every policy; sparse streams."""

import numpy as np
import pytest

from wse import Fabric, Program
from wse.kernels.layer import layout, linear
from wse.kernels.layer.policy import Policy
from wse.kernels.layer.region import Region
from wse.kernels.layer.streams import Edge

# Largest relative error of one rounding to the storage type, and of sums of a hundred such in 16 bits.
STORED = {"f32": 1e-6, "f16": 2**-11, "bf16": 2**-8, "cb16": 2**-10}
POLICIES = [Policy("f32"), *(Policy(s, p) for s in ("f16", "bf16", "cb16") for p in ("POL0", "POL1", "POL2"))]


class Layer:
    """x -> y = W x + b and back on a w x h grid with t tokens a row, run once."""

    def __init__(self, policy, inputs, outputs, grid=(4, 2), tokens=8, sparse=False, add=False, zeros=0.0, seed=0):
        (w, h), self.policy = grid, policy
        rng = np.random.default_rng(seed)
        n = h * tokens
        self.x, self.dy = rng.normal(size=(n, inputs)), rng.normal(size=(n, outputs))
        self.weight, self.bias = rng.normal(size=(outputs, inputs)) / np.sqrt(inputs), rng.normal(size=outputs)
        self.weight[rng.random(self.weight.shape) < zeros] = 0
        self.before = rng.normal(size=(n, inputs))
        program = Program(w, h, fp16=policy.fp16)
        region = self.region = Region(program, policy, tokens)
        x, dx = region.activation("x", inputs), region.activation("dx", inputs)
        y, dy = region.activation("y", outputs), region.activation("dy", outputs)
        with region.task("forward", 8):
            forward = linear.forward(region, x, y, bias=True, sparse=sparse)
        with region.task("backward", 9):
            backward, _ = linear.backward(region, x, dy, dx, bias=True, sparse=sparse, add=add)
        region.finish()
        fabric = self.fabric = Fabric(program)
        edge = Edge(fabric, region)
        for name in ("x", "dy"):
            layout.write(fabric, region, name, getattr(self, name))
        if add:
            layout.write(fabric, region, "dx", self.before)
        edge.feed("forward", {forward: {"weight": self.weight, "bias": self.bias}})
        fabric.launch("forward")
        self.forward = fabric.run()
        edge.feed("backward", {backward: {"weight": self.weight}})
        fabric.launch("backward")
        self.run = fabric.run()
        self.sent = sum(stream.sent for stream in edge.into)
        ((_, self.gradients),) = edge.take("backward")
        self.y = layout.read(fabric, region, "y", outputs)
        self.dx = layout.read(fabric, region, "dx", inputs)

    def expected(self):
        """y, dx, dW, db in float64, from what is stored."""
        from wse import numerics

        def stored(a):
            return (
                a.astype(np.float32).astype(np.float64)
                if self.policy.wide
                else numerics.round16(a, self.policy.storage).astype(np.float64)
            )

        x, dy, w, b = stored(self.x), stored(self.dy), stored(self.weight), stored(self.bias)
        return x @ w.T + b, dy @ w, dy.T @ x, dy.sum(axis=0)


def bound(policy, terms):
    """What the sum of so many products of unit size may be off by: roundings of sums grow like their number."""
    unit = STORED[policy.storage]
    return {"f32": 4e-6, "exact": unit, "mixed": unit * terms**0.5 / 2 + unit, "half": unit * terms}[
        policy.products
    ] * 4


@pytest.mark.parametrize("policy", POLICIES, ids=lambda p: f"{p.storage}-{p.level}")
@pytest.mark.parametrize(("inputs", "outputs"), [(8, 16), (13, 6)])
def test_forward_and_gradients(policy, inputs, outputs):
    layer = Layer(policy, inputs, outputs)
    y, dx, dw, db = layer.expected()
    for got, wanted, terms in ((layer.y, y, inputs + 1), (layer.dx, dx, outputs)):
        assert np.max(np.abs(got - wanted)) <= bound(policy, terms) * np.max(np.abs(wanted))
    tokens = layer.region.tokens
    loose = STORED[policy.storage] * tokens if policy.gradients == "half" else 1e-6
    assert np.max(np.abs(layer.gradients["weight"] - dw)) <= 4 * loose * np.max(np.abs(dw))
    assert np.max(np.abs(layer.gradients["bias"] - db)) <= 4e-6 * np.max(np.abs(db))
