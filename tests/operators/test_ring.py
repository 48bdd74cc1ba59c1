"""All-reduces of a row of PEs."""

import numpy as np
import pytest

from wse import Fabric, Program
from wse.operators import ring
from wse.operators.policy import Policy
from wse.operators.region import Region

GRIDS = [(1, 1), (2, 3), (4, 2), (5, 1)]


@pytest.mark.parametrize("machine", ["wse3", "wse2"])
@pytest.mark.parametrize("grid", GRIDS)
def test_allreduce(grid, machine):
    w, h = grid
    program = Program(w, h, machine)
    region = Region(program, Policy("f32"), 4)
    sums, most = region.array("sums", 10, "f32"), region.array("most", 3, "f32")
    with region.task("step", 8):
        for op, name, n in (("sum", sums, 10), ("max", most, 3), ("sum", most, 1)):
            region.code(f"    mov r8, 77\n    mov r26, 78\n    mov r16, {region.span(name, n)}")
            region.code(ring.allreduce(region, op))
    region.finish()
    fabric = Fabric(program)
    rng = np.random.default_rng(2)
    a, b = rng.normal(size=(h, w, 10)).astype(np.float32), -np.abs(rng.normal(size=(h, w, 3))).astype(np.float32)
    fabric.write(sums, a)
    fabric.write(most, b)
    fabric.launch("step")
    fabric.run()
    total, peak = a[:, 0], b.max(axis=1)
    for x in range(1, w):
        total = a[:, x] + total
    last = np.zeros(h, np.float32)
    for _ in range(w):
        last = last + peak[:, 0]
    assert np.array_equal(fabric.read(sums), np.broadcast_to(total[:, None], a.shape))
    assert np.array_equal(fabric.read(most)[..., 1:], np.broadcast_to(peak[:, None, 1:], (h, w, 2)))
    assert np.array_equal(fabric.read(most)[..., 0], np.broadcast_to(last[:, None], (h, w)))
