"""Regions: roles and classes, what is refused, and that two of them live side by side.

Covers: wse/operators/edge.py
"""

import numpy as np
import pytest

from wse import Fabric, Program
from wse.errors import MemoryOverflow, ProgramError
from wse.operators import linear, parameters
from wse.operators import tiles as layout
from wse.operators.edge import Edge
from wse.operators.policy import Policy
from wse.operators.region import Region, memory_dsr

POLICY = Policy("f32")


@pytest.mark.parametrize(("grid", "classes"), [((1, 1), 1), ((2, 2), 4), ((3, 1), 3), ((5, 5), 12)])
def test_classes_are_roles(grid, classes):
    program = Program(*grid)
    region = Region(program, POLICY, 4)
    with region.task("main", 8, active=True):
        pass
    region.finish()
    assert len(region.classes) == classes
    fabric = Fabric(program)
    fabric.run()
    w, h = grid
    assert np.array_equal(fabric.read("column")[..., 0], np.broadcast_to(np.arange(w), (h, w)))
    assert np.array_equal(fabric.read("row")[..., 0], np.broadcast_to(np.arange(h)[:, None], (h, w)))


def test_features_tiles_and_spans():
    region = Region(Program(3, 1), Policy("f16"), 6)
    assert [region.features(n) for n in (1, 3, 4, 7)] == [1, 1, 2, 3]
    assert region.activation("x", 7) == ("x", 7)
    assert [pe.symbols["x"].shape for pe in region.classes.values()] == [(3, 6)] * 3
    assert region.span("x", 18, 4) == f"x+{18 << 16 | 4:#x}"
    with pytest.raises(ProgramError, match=r"would access 40000 elements of x, beyond the 32766"):
        region.span("x", 40000)
    assert memory_dsr("a3", 2, "r8, 0x10000")[1:] == [
        "    iadd32 r29, r8, 0x10000", "    mov r30, 2", "    mov r31, 0", "    ldds a3, r28"
    ]  # fmt: skip


def test_what_is_refused():
    with pytest.raises(ProgramError, match=r"holds an even number of tokens, at least 2, not 3$"):
        Region(Program(1, 1), POLICY, 3)
    region = Region(Program(1, 1), POLICY, 4)
    region.subroutine("f", "f:\n ret\n")
    assert region.subroutine("f", "f:\n ret\n") == "f"
    with pytest.raises(ProgramError, match=r"^subroutine f of region has two texts"):
        region.subroutine("f", "f:\n nop\n ret\n")
    assert region.constants("shape", [1, 2]) == region.constants("shape", [1, 2])
    with pytest.raises(
        ProgramError, match="the table long of region would describe more elements than a descriptor can"
    ):
        region.constants("long", [1, 1 << 32])
    with pytest.raises(ProgramError, match=r"^the table shape of region has other words already"):
        region.constants("shape", [1, 3])
    with pytest.raises(ProgramError, match=r"called outside of a task"):
        parameters.receive(region, region.array("gain", 4, "f32"), 4)
    with region.task("one", 8), pytest.raises(ProgramError, match=r"^task two of region begins within task one$"):  # noqa: SIM117
        with region.task("two", 9):
            pass


def test_what_does_not_fit_is_said():
    program = Program(2, 1)
    region = Region(program, POLICY, 64)
    x, y = region.activation("x", 256), region.activation("y", 256)
    with region.task("main", 8):
        linear.forward(region, x, y)
    region.finish()
    with pytest.raises(MemoryOverflow, match=r"class region_first_bottom_row0 needs \d+ bytes"):
        program.check()


def test_two_regions_of_one_program():
    """Side by side, each with layers of its own, on the same colors."""
    program = Program(5, 2)
    rng = np.random.default_rng(7)
    parts = []
    for name, x, width, inputs, outputs in (("west", 0, 2, 6, 4), ("east", 2, 3, 4, 9)):
        region = Region(program, POLICY, 4, x=x, width=width, name=name)
        tiles = region.activation("x", inputs), region.activation("y", outputs)
        with region.task("main", 8):
            stream = linear.forward(region, *tiles)
        region.finish()
        values = {"x": rng.normal(size=(8, inputs)), "weight": rng.normal(size=(outputs, inputs))}
        parts.append((region, stream, {key: value.astype(np.float32) for key, value in values.items()}))
    fabric = Fabric(program)
    for region, stream, values in parts:
        layout.write(fabric, region, "x", values["x"])
        Edge(fabric, region).feed("main", {stream: values})
    fabric.launch("main")
    fabric.run()
    for region, _, values in parts:
        y = values["x"].astype(np.float64) @ values["weight"].T
        assert np.allclose(layout.read(fabric, region, "y", y.shape[1]), y, rtol=1e-5, atol=1e-5)
