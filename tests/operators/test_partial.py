"""Products by partial sums against float64, in every policy, dense and sparse, on rows of one and more PEs."""

import numpy as np
import pytest
from layer_bounds import bound, stored

from wse import Fabric, Program
from wse.operators import partial
from wse.operators import tiles as layout
from wse.operators.edge import Edge
from wse.operators.policy import Policy
from wse.operators.region import Region

POLICIES = [Policy("f32"), *(Policy(s, p) for s in ("f16", "bf16", "cb16") for p in ("POL0", "POL1", "POL2"))]


def product(policy, inputs, outputs, grid=(4, 2), tokens=8, bias=True, sparse=False, zeros=0.0, calls=1):
    """y of the fabric and in float64; the run; wavelets sent."""
    (w, h), rng = grid, np.random.default_rng(inputs)
    x = rng.normal(size=(h * tokens, inputs))
    weight, b = rng.normal(size=(outputs, inputs)) / np.sqrt(inputs), rng.normal(size=outputs) * bias
    weight[rng.random(weight.shape) < zeros] = 0
    program = Program(w, h, fp16=policy.fp16)
    region = Region(program, policy, tokens)
    tile_x, tile_y = region.activation("x", inputs), region.activation("y", outputs)
    with region.task("forward", 8):
        streams = [partial.forward(region, tile_x, tile_y, bias, sparse) for _ in range(calls)]
    region.finish()
    fabric = Fabric(program)
    edge = Edge(fabric, region)
    layout.write(fabric, region, "x", x)
    edge.feed("forward", {stream: {"weight": weight, "bias": b} for stream in streams})
    fabric.launch("forward")
    run = fabric.run()
    expected = stored(policy, x) @ stored(policy, weight).T + stored(policy, b)
    return layout.read(fabric, region, "y", outputs), expected, run, sum(stream.sent for stream in edge.into)


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("policy", POLICIES, ids=lambda p: f"{p.storage}-{p.level}")
@pytest.mark.parametrize(
    ("inputs", "outputs", "grid"), [(8, 16, (4, 2)), (13, 6, (3, 1)), (5, 7, (2, 2)), (6, 4, (1, 2))]
)
def test_products(policy, inputs, outputs, grid, sparse):
    y, expected, run, _ = product(policy, inputs, outputs, grid, sparse=sparse, zeros=0.5 * sparse)
    assert run.ended == "done"
    assert np.max(np.abs(y - expected)) <= bound(policy, inputs + grid[0]) * np.max(np.abs(expected))


def test_without_bias_and_again():
    y, expected, *_ = product(Policy("f32"), 16, 24, bias=False, calls=3)
    assert np.max(np.abs(y - expected)) <= bound(Policy("f32"), 20) * np.max(np.abs(expected))


def test_zeros_are_not_sent():
    *_, dense, all_sent = product(Policy("bf16"), 32, 32, sparse=True)
    *_, thin, few_sent = product(Policy("bf16"), 32, 32, sparse=True, zeros=0.9)
    ends = 4 * 32 + 32  # a control wavelet for each output in each column, and the bias
    assert all_sent == 32 * 32 + ends
    assert few_sent < 0.15 * 32 * 32 + ends
    assert thin.cycles < 0.7 * dense.cycles


def test_what_a_dense_weight_costs():
    _, _, run, sent = product(Policy("bf16"), 32, 128, tokens=32)
    assert sent == 32 * 128 + 128
    assert run.cycles < 26 * 32 * 128 / 4
