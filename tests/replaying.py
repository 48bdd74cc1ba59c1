"""A fabric for tests that go back in its run, and its state to compare."""

import numpy as np

import wse
from wse.fabric.run import Run
from wse.machine import WSE3


def state(fabric: wse.Fabric) -> tuple[bytes, Run]:
    """Memories and measurements now."""
    memory = np.empty(fabric.width * fabric.height * wse._engine.SRAM, np.uint8)
    fabric._engine.read(0, 0, fabric.width, fabric.height, 0, memory)
    return memory.tobytes(), fabric.measure("limit")


def counter(width: int = 1) -> wse.Fabric:
    """PEs whose task `step` adds 1 to `n`."""
    program = wse.Program(width, 1, WSE3)
    pe = program.pe_class("counter")
    pe.array("n", 1, "u32")
    pe.code("step:\n ld32 r1, [n]\n iadd32 r1, r1, 1\n st32 r1, [n]\n done")
    pe.local_task("step", 9)
    program.place(pe)
    return wse.Fabric(program)
