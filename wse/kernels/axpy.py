"""y = a x + y on every PE: one vector operation without communication.

The kernel measures the throughput of the SIMD lanes and the cost of memory bank conflicts.

Data layout.  Every PE holds the arrays x and y of `length` elements each and the scalar a.  The memory has eight banks,
each 2 bytes wide.  y begins in bank 0; x begins `offset` bytes later.  A group of elements whose two sources lie in
the same bank takes two issue slots instead of one.  With the default offset there are no bank conflicts, for 16-bit
and for 32-bit elements.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import ConfigError
from ..machine import numerics
from ..machine.parameters import Machine
from ..program import dsd
from ..program.program import Program
from . import Input, Parameter, Result, RunOptions, by_name, data

PARAMETERS = by_name(
    Parameter("length", int, 4096, "Elements of x and y on a PE.", flag="-B"),
    Parameter("a", float, 0.75, "The scalar, rounded to the element type."),
    data.DTYPE,
    Parameter("offset", int, 8, "Distance in bytes from the first bank of y to that of x, 0 to 14."),
)
GRID = (4, 4)
INPUTS = by_name(*(Input(name, ("height", "width", "length"), "A vector for each PE.") for name in "xy"))
OUTPUTS = {"y": "[height, width, length] a x + y"}
RESERVED = 256  # bytes for code, descriptors, the scalar and alignment


def run(config: dict[str, Any], options: RunOptions) -> Result:
    """See wse.kernels."""
    program = build(config, options.grid or GRID, options.machine)
    of = data.arithmetic(config["dtype"])
    rng, shape = np.random.default_rng(options.seed), (program.height, program.width, config["length"])
    a, x, y = of.round(np.array(config["a"])), *(data.given(options, name, rng, shape, of) for name in INPUTS)
    fabric = options.fabric(program)
    fabric.fill("a", a)
    fabric.write("x", x)
    fabric.write("y", y)
    run = options.run(fabric)
    data.record(run, "axpy", config)
    result = Result("axpy", dict(config), run, verified=False, extra={"seed": options.seed})
    if run.ended == "done":
        with np.errstate(all="ignore"):
            expected = y + x * a if of.dtype == "f32" else numerics.fma16(y, x, a, of.dtype)
        got = result.outputs["y"] = fabric.read("y")
        result.verified, result.max_error = data.same_bits(got, expected), data.error(got, expected)
        rate = run.total("elements") / (run.total("busy_vector") + run.total("stall_bank"))
        result.extra["elements_per_cycle"] = rate
        result.text.append(f"rate         {rate:.2f} elements a cycle while the operation runs")
    return result


def build(config: dict[str, Any], grid: tuple[int, int], machine: Machine) -> Program:
    """Builds the program.

    config: a value for every entry of PARAMETERS.  grid: width and height in PEs.  Raises ConfigError if a value is
    invalid or the arrays exceed the memory of a PE.
    """
    data.check("axpy", PARAMETERS, config)
    data.check_positive("axpy", config, "length")
    of, length, offset = data.arithmetic(config["dtype"]), config["length"], config["offset"]
    most = (machine.sram_bytes - RESERVED) // (2 * of.size)
    if length > most:
        raise ConfigError(
            f"length of axpy must be at most {most} elements of {of.dtype}, for the memory of a PE, not {length}"
        )
    if not 0 <= offset <= 14 or offset % of.size:
        raise ConfigError(
            f"offset of axpy must be 0 to 14 and a multiple of the element size, {of.size} bytes, not {offset}"
        )
    if not np.isfinite(of.round(np.array(config["a"]))):
        raise ConfigError(f"a of axpy must be a finite number of {of.dtype}, not {config['a']!r}")
    program = Program(*grid, machine, fp16=of.fp16)
    pe = program.pe_class("axpy")
    pe.array("a", (), of.element, align=4)
    x = pe.array("x", length, of.element, offset=offset)
    y = pe.array("y", length, of.element)
    pe.dsd("walk_x", dsd.mem1d(x))
    pe.dsd("walk_y", dsd.mem1d(y))
    pe.local_task("main", 9, active=True)
    pe.code(
        f"""
main:
    dsr d0, walk_y
    dsr a0, walk_y
    dsr b0, walk_x
    ld{8 * of.size} r1, [a]
    {of.multiply_add} d0, a0, b0, r1
    done
"""
    )
    program.place(pe)
    return program
