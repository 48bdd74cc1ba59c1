"""Ids as an activation."""

import numpy as np
import pytest

from wse import Fabric, Program
from wse.kernels.layer import layout
from wse.kernels.layer.onehot import onehot, reference
from wse.kernels.layer.policy import Policy
from wse.kernels.layer.region import Region


@pytest.mark.parametrize("storage", ["f32", "f16", "cb16"])
@pytest.mark.parametrize(("grid", "features"), [((4, 2), 10), ((1, 1), 3)])
def test_each_token_has_its_id(storage, grid, features):
    (w, h), t = grid, 6
    policy = Policy(storage)
    region = Region(Program(w, h, fp16=policy.fp16), policy, t)
    y = region.activation("y", features)
    region.array("ids", t, "u16")
    made = onehot(region.features(features), t, policy.size, policy.fp16, "onehot")
    region.subroutine(made.name, made.text)
    with region.task("step", 8):
        region.code(made.call(ids="ids", y=y.at))
    region.finish()
    fabric = Fabric(region.program)
    for seed in range(2):  # what was there before is gone
        ids = np.random.default_rng(seed).integers(0, features, (h, t))
        fabric.write("ids", np.broadcast_to(ids[:, None, :].astype(np.uint16), (h, w, t)))
        fabric.launch("step")
        fabric.run()
        expected = np.concatenate([reference(row, features).T for row in ids])
        assert np.array_equal(layout.read(fabric, region, "y", features), expected)
