"""Linear layers against float64: forward, gradients of inputs, weights and biases, in every policy; sparse streams.

Covers: wse/operators/product.py, wse/operators/weight_gradient.py
"""

import numpy as np
import pytest
from layer_bounds import ROUNDING, bound, stored

from wse import Fabric, Program
from wse.operators import linear
from wse.operators import tiles as layout
from wse.operators.edge import Edge
from wse.operators.policy import Policy
from wse.operators.product import Chunkwise, Gathered
from wse.operators.region import Region, Tile
from wse.operators.weight_gradient import Cut

POLICIES = [Policy("f32"), *(Policy(s, p) for s in ("f16", "bf16", "cb16") for p in ("POL0", "POL1", "POL2"))]


class Layer:
    """x -> y = W x + b and back on a w x h grid with t tokens a row, run once."""

    def __init__(
        self,
        policy,
        inputs,
        outputs,
        grid=(4, 2),
        tokens=8,
        sparse=False,
        add=False,
        zeros=0.0,
        machine="wse3",
        chunkwise=False,
    ):
        (w, h), self.policy = grid, policy
        rng = np.random.default_rng(5)
        n = h * tokens
        self.x, self.dy = (rng.normal(size=(n, f)).astype(np.float32) for f in (inputs, outputs))
        self.weight = (rng.normal(size=(outputs, inputs)) / np.sqrt(inputs)).astype(np.float32)
        self.bias = rng.normal(size=outputs).astype(np.float32)
        self.weight[rng.random(self.weight.shape) < zeros] = 0
        self.before = rng.normal(size=(n, inputs)).astype(np.float32) if add else np.zeros((n, inputs), np.float32)
        program = Program(w, h, machine, fp16=policy.fp16)
        region = self.region = Region(program, policy, tokens)
        x, dx = region.activation("x", inputs), region.activation("dx", inputs)
        y, dy = region.activation("y", outputs), region.activation("dy", outputs)
        with region.task("forward", 8):
            forward = linear.forward(region, x, y, bias=True, sparse=sparse)
        with region.task("backward", 9):
            backward, _ = linear.backward(region, x, dy, dx, bias=True, sparse=sparse, add=add, chunkwise=chunkwise)
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
        self.sent = sum(stream.sent for stream in edge.into)  # of all columns, both ways
        ((_, self.gradients),) = edge.take("backward")
        self.y = layout.read(fabric, region, "y", outputs)
        self.dx = layout.read(fabric, region, "dx", inputs)

    def expected(self):
        """y, dx, dW, db in float64, from what is stored."""

        values = (self.x, self.dy, self.weight, self.bias, self.before)
        x, dy, w, b, before = (stored(self.policy, a) for a in values)
        return x @ w.T + b, before + dy @ w, dy.T @ x, dy.sum(axis=0)


@pytest.mark.parametrize("policy", POLICIES, ids=lambda p: f"{p.storage}-{p.level}")
@pytest.mark.parametrize(("inputs", "outputs"), [(8, 16), (13, 6)])
def test_forward_and_gradients(policy, inputs, outputs):
    layer = Layer(policy, inputs, outputs)
    y, dx, dw, db = layer.expected()
    for got, wanted, terms in ((layer.y, y, inputs + 1), (layer.dx, dx, outputs)):
        assert np.max(np.abs(got - wanted)) <= bound(policy, terms) * np.max(np.abs(wanted))
    tokens = layer.region.tokens
    loose = ROUNDING[policy.storage] * tokens if policy.gradients == "half" else 1e-6
    assert np.max(np.abs(layer.gradients["weight"] - dw)) <= 4 * loose * np.max(np.abs(dw))
    assert np.max(np.abs(layer.gradients["bias"] - db)) <= 4e-6 * np.max(np.abs(db))


@pytest.mark.parametrize(
    "policy", [Policy("f32"), Policy("f16"), Policy("bf16", "POL1"), Policy("f16", "POL2")], ids=str
)
@pytest.mark.parametrize(
    ("grid", "inputs", "outputs"),
    [((1, 1), 5, 3), ((2, 1), 2, 6), ((3, 2), 3, 9), ((5, 1), 7, 12)],
)
@pytest.mark.parametrize("sparse", [False, True])
def test_any_width(policy, grid, inputs, outputs, sparse):
    """Also where a PE has one feature, or none at all."""
    layer = Layer(policy, inputs, outputs, grid=grid, sparse=sparse, add=True)
    y, dx, dw, db = layer.expected()
    assert np.max(np.abs(layer.y - y)) <= bound(policy, inputs + 1) * np.max(np.abs(y))
    assert np.max(np.abs(layer.dx - dx)) <= bound(policy, outputs + 1) * np.max(np.abs(dx))
    loose = ROUNDING[policy.storage] * layer.region.tokens if policy.gradients == "half" else 1e-6
    assert np.max(np.abs(layer.gradients["weight"] - dw)) <= 4 * loose * np.max(np.abs(dw))
    assert np.max(np.abs(layer.gradients["bias"] - db)) <= 4e-6 * np.max(np.abs(db))


@pytest.mark.parametrize(
    "policy", [Policy("f32"), Policy("f16"), Policy("f16", "POL1"), Policy("f16", "POL2")], ids=str
)
@pytest.mark.parametrize(("grid", "outputs", "parts"), [((4, 1), 127, 2), ((3, 1), 190, 3), ((1, 1), 90, 1)])
def test_gradients_in_parts(policy, grid, outputs, parts):
    """What is transposed at a time is limited: the rest of the gathered gradients follows."""
    tokens = 64 // policy.size
    assert Cut.of(Gathered(policy, grid[0], tokens, outputs, 6)).parts == parts
    layer = Layer(policy, 6, outputs, grid=grid, tokens=tokens)
    _, _, dw, _ = layer.expected()
    loose = ROUNDING[policy.storage] * tokens if policy.gradients == "half" else 1e-6
    assert np.max(np.abs(layer.gradients["weight"] - dw)) <= 4 * loose * np.max(np.abs(dw))


@pytest.mark.parametrize(
    "policy", [Policy("f32"), Policy("f16"), Policy("bf16", "POL1"), Policy("f16", "POL2")], ids=str
)
@pytest.mark.parametrize(
    ("grid", "inputs", "outputs"), [((1, 1), 5, 3), ((2, 1), 2, 6), ((3, 2), 3, 9), ((5, 1), 7, 12)]
)
@pytest.mark.parametrize("sparse", [False, True])
def test_two_chunks_at_a_time_give_the_same_bits(policy, grid, inputs, outputs, sparse):
    all_at_once, two = (
        Layer(policy, inputs, outputs, grid=grid, sparse=sparse, add=True, zeros=0.3, chunkwise=chunkwise)
        for chunkwise in (False, True)
    )
    np.testing.assert_array_equal(two.dx, all_at_once.dx)
    for role, gradient in all_at_once.gradients.items():
        np.testing.assert_array_equal(two.gradients[role], gradient)


def test_two_chunks_of_a_long_row_fit():
    """All gradients of 768 features do not fit in a PE with 32 tokens, two chunks of twelve do."""
    made = [kind(Policy("f16"), 12, 32, 3072, 768) for kind in (Gathered, Chunkwise)]
    memory = [max(m.work, Cut.of(m).at + Cut.of(m).bytes) for m in made]
    assert memory[0] > 48 * 1024 * 4
    assert memory[1] < 64 * 1024


@pytest.mark.parametrize(
    "policy", [Policy("f32"), Policy("bf16"), Policy("bf16", "POL1"), Policy("f16", "POL2")], ids=str
)
def test_wide_gradients_of_the_input_are_the_sums(policy):
    """Two halves of the outputs, one after the other: sums in f32 are rounded by the reader, once."""
    rng, w, n, inputs, outputs = np.random.default_rng(3), 3, 8, 7, 10
    program = Program(w, 1, "wse3", fp16=policy.fp16)
    region = Region(program, policy, n)
    x = region.activation("x", inputs)
    region.array("dx", (region.features(inputs), n), policy.element if policy.products == "half" else "f32")
    halves = [region.activation(f"dy{i}", outputs) for i in range(2)]
    with region.task("both", 8):
        for i, dy in enumerate(halves):
            linear.backward(region, x, dy, Tile("dx", inputs), add=i == 1, chunkwise=True, wide=True)
    region.finish()
    fabric = Fabric(program)
    edge = Edge(fabric, region)
    values = {name: rng.normal(size=(n, f)).astype(np.float32) for name, f in (("x", 7), ("dy0", 10), ("dy1", 10))}
    for name, value in values.items():
        layout.write(fabric, region, name, value)
    weights = [rng.normal(size=(outputs, inputs)).astype(np.float32) for _ in range(2)]
    edge.feed("both", {s: {"weight": v} for s, v in zip(region.streams["both"], weights, strict=True)})
    fabric.launch("both")
    fabric.run()
    got = np.concatenate(list(fabric.read("dx")[0]))[:inputs].T
    wanted = sum(stored(policy, values[f"dy{i}"]) @ stored(policy, weights[i]) for i in range(2))
    close = 1e-6 if policy.products in ("f32", "exact") else bound(policy, 2 * outputs)
    assert np.max(np.abs(got - wanted)) <= close * np.max(np.abs(wanted))
    gradients = [arrays["weight"] for _, arrays in edge.take("both")]
    for i, gradient in enumerate(gradients):
        expected = stored(policy, values[f"dy{i}"]).T @ stored(policy, values["x"])
        loose = ROUNDING[policy.storage] * n if policy.gradients == "half" else 1e-6
        assert np.max(np.abs(gradient - expected)) <= 4 * loose * np.max(np.abs(expected))


@pytest.mark.parametrize("storage", ["f32", "f16"])
def test_zeros_of_a_sparse_stream_are_not_sent_and_save_cycles(storage):
    policy = Policy(storage)
    dense, full, tenth = (
        Layer(policy, 48, 24, tokens=32, sparse=sparse, zeros=zeros)
        for sparse, zeros in ((False, 0.0), (True, 0.0), (True, 0.9))
    )
    for layer in (full, tenth):
        y, dx, dw, _ = layer.expected()
        assert np.max(np.abs(layer.y - y)) <= bound(policy, 49) * np.max(np.abs(y))
        assert np.max(np.abs(layer.dx - dx)) <= bound(policy, 25) * np.max(np.abs(dx))
        assert np.max(np.abs(layer.gradients["weight"] - dw)) <= 4e-6 * np.max(np.abs(dw))
    words = 2 if storage == "f32" else 1
    ends = 4 * 24 + 4 * 48  # a control wavelet for each output of each column, forward, and each input, backward
    assert dense.sent == 24 + 2 * 48 * 24
    assert full.sent == 24 + ends + 2 * 48 * 24 * words
    assert tenth.sent == 24 + ends + 2 * np.count_nonzero(tenth.weight) * words
    assert tenth.forward.cycles < dense.forward.cycles / 2 < full.forward.cycles / 2  # a tenth of the weights


def test_wse2_gives_the_same_bits():
    layers = [Layer(Policy("bf16"), 16, 24, machine=machine) for machine in ("wse3", "wse2")]
    for name in ("y", "dx"):
        assert np.array_equal(*(getattr(layer, name) for layer in layers))
    assert np.array_equal(*(layer.gradients["weight"] for layer in layers))


def test_cycles_of_a_weight():
    """A weight costs the operation's t / rate + 1 slots, and not half as much again for all that is around it."""
    for policy, rate in ((Policy("f16"), 2), (Policy("f16", "POL2"), 4), (Policy("f32"), 1)):
        layer = Layer(policy, 32, 64, grid=(2, 1), tokens=32)
        weights = 32 * 64 / 2
        assert 32 / rate + 1 <= layer.forward.cycles / weights <= 1.5 * (32 / rate + 1)


def test_rows_of_gradients_are_not_cut_too_short():
    """A row must be long enough that an operation does not wait for the one before."""
    for policy, least in ((Policy("f32"), 12), (Policy("f16"), 24), (Policy("f16", "POL2"), 48)):
        for tokens in (32, 64, 128):
            for width, outputs in ((4, 64), (8, 64), (6, 96), (4, 16)):
                cut = Cut.of(Gathered(policy, width, tokens, outputs, 16))
                assert cut.parts == 1 or cut.n >= least
                assert cut.parts * cut.chunks == width
