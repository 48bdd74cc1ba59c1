"""Images: the builder and compiled CSL make the same kind of object, and a Fabric loads either."""

from __future__ import annotations

import numpy as np
import pytest
from csl.running import compiled

import wse
from wse.csl.codegen.link import link
from wse.errors import ProgramError
from wse.program.image import NO_CLASS, Image


def builder() -> wse.Program:
    p = wse.Program(2, 1)
    pe = p.pe_class("worker")
    pe.array("x", 4, "u16", init=[1, 2, 3, 4])
    pe.code("main: done")
    pe.local_task("main", 9, active=True)
    p.place(pe, x=0)
    return p


CSL = """
export var x = [4]u16{ 1, 2, 3, 4 };
fn main() void { x[0] += 1; }
comptime { @export_symbol(main); }
"""


def test_the_builders_image_has_what_the_program_says():
    p = builder()
    image = p.image()
    assert isinstance(image, Image)
    assert image.class_of_pe.tolist() == [[0, NO_CLASS]]
    assert image.class_at(1, 0) is None
    pe = image.class_at(0, 0)
    assert pe is not None and pe.label == "class worker" and pe.tasks == {"main": 9} and pe.active == 1 << 9
    assert pe.describe(0) == "worker:1, main" and pe.describe(99) == "instruction 99"
    assert pe.instruction(99) is None


def test_a_fabric_loads_a_program_or_its_image():
    for loaded in (builder(), builder().image()):
        fabric = wse.Fabric(loaded)
        fabric.run()
        assert fabric.read("x", w=1)[0, 0].tolist() == [1, 2, 3, 4]


def test_compiled_code_makes_an_image(tmp_path):
    artifact = link(compiled(tmp_path, CSL))
    image = artifact.image()
    assert isinstance(image, Image) and image.machine.name == "wse3"
    fabric = wse.Fabric(image)
    variable = artifact.classes[0].symbols["x"]
    values = fabric.read_bytes(variable.address, variable.bytes).view(np.uint16)
    assert values.tolist() == [[[1, 2, 3, 4]]]


def test_an_image_that_does_not_fit_the_machine_is_refused(tmp_path):
    artifact = link(compiled(tmp_path, CSL))
    artifact.fp16 = "f17"
    with pytest.raises(ProgramError, match="fp16 is one of"):
        artifact.image()


def test_values_per_pe_are_written_to_their_class_only():
    image = builder().image()
    address = image.classes[0].symbols["x"].address
    image.per_pe.append((0, address, np.array([[500, 600]], np.uint16)))
    memory = wse.Fabric(image).read_bytes(address, 4).view(np.uint16)
    assert memory.tolist() == [[[500, 2], [0, 0]]]


def test_bytes_outside_of_memory_are_refused():
    fabric = wse.Fabric(builder())
    with pytest.raises(ProgramError, match="are not in the 49152 bytes"):
        fabric.read_bytes(49150, 4)
    with pytest.raises(ProgramError, match="bytes to write are uint8"):
        fabric.write_bytes(0, np.zeros((1, 1, 4)))


def test_a_task_is_launched_by_its_id():
    fabric = wse.Fabric(builder())
    fabric.run()
    fabric.launch(9, w=1)
    assert fabric.advance(100) == "quiet"
    with pytest.raises(ProgramError, match="a task is 0 to 63"):
        fabric.launch(64)
