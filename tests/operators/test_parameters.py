"""Vectors of parameters in and out."""

import numpy as np
import pytest

from wse import Fabric, Program
from wse.operators import parameters
from wse.operators.edge import Edge
from wse.operators.policy import Policy
from wse.operators.region import Region
from wse.operators.tiles import owned

GRIDS = [(1, 1), (2, 3), (4, 2), (5, 1)]


@pytest.mark.parametrize("storage", ["f32", "f16", "bf16", "cb16"])
@pytest.mark.parametrize("grid", GRIDS)
def test_vectors(storage, grid):
    w, h = grid
    policy, features = Policy(storage), 7
    program = Program(w, h, fp16=policy.fp16)
    region = Region(program, policy, 4)
    fx = region.features(features)
    gain, bias, grown = (region.array(name, fx, "f32") for name in ("gain", "bias", "grown"))
    with region.task("step", 8):
        streams = [parameters.receive(region, name, features, name) for name in (gain, bias)]
        drains = [parameters.gradient(region, name, features, name) for name in (grown, gain, bias)]
    region.finish()
    fabric = Fabric(program)
    edge = Edge(fabric, region)
    values = np.arange(2 * features, dtype=np.float32).reshape(2, features) / 8 - 1
    partial = np.random.default_rng(1).normal(size=(h, w, fx)).astype(np.float32)
    fabric.write(grown, partial)
    edge.feed("step", {s: {s.roles[0]: v} for s, v in zip(streams, values, strict=True)})
    fabric.launch("step")
    fabric.run()
    own = owned(features, w)
    assert np.array_equal(fabric.read(gain), np.broadcast_to(np.where(own < 0, 0, values[0][own]), (h, w, fx)))
    taken = dict(edge.take("step"))
    total = partial[h - 1]
    for y in range(h - 2, -1, -1):  # from the south to the north, as the wavelets go
        total = partial[y] + total
    assert np.array_equal(taken[drains[0]]["grown"], total[own >= 0])
    for drain, value in zip(drains[1:], values, strict=True):
        assert np.array_equal(taken[drain][drain.roles[0]], value * h)
