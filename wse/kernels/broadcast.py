"""Broadcast of one PE's vector to all PEs of a grid, by multicast along the root's row and from there along columns.

Array `vector` of the root holds `length` elements; at the end, that of every PE holds them.  16-bit elements travel two
per wavelet.  measured_cycles is the difference between the first timestamp of the root and the latest timestamp of any
PE.  It needs no clock synchronization, because the emulator's timestamp counters all start at cycle 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import ConfigError
from ..machine.parameters import Machine
from ..program import dsd
from ..program.program import Program
from . import Input, Parameter, Result, RunOptions, by_name, collectives, data
from .reduce import GRID, QUEUES, RESERVED, VECTOR, tell
from .timestamps import Timestamps

PARAMETERS = by_name(
    Parameter("length", int, 64, "Elements of the vector.", flag="-B"),
    Parameter("dtype", str, "f32", "Element type.", choices=data.DTYPES),
    Parameter("root_x", int, 0, "Column of the root, the PE that sends the vector."),
    Parameter("root_y", int, 0, "Row of the root."),
)

INPUTS = by_name(Input("vector", ("length",), "The vector of the root."))
OUTPUTS = {"vectors": "[height, width, length] the vector, on each PE"}


def run(config: dict[str, Any], options: RunOptions) -> Result:
    """See wse.kernels."""
    width, height = options.grid or GRID
    check(config, width, height, options.machine)
    of, x, y = data.arithmetic(config["dtype"]), config["root_x"], config["root_y"]
    program = Program(width, height, options.machine, fp16=of.fp16)
    program.shared_array(VECTOR, config["length"], of.element)
    stamps = Timestamps(program)
    element = collectives.element(config["dtype"])
    multicast = collectives.Broadcast(program, "all", "operand", element, QUEUES["all"], (x, y))
    for name, is_root in (("others", False), ("root", True)):
        pe = program.pe_class(name)
        pe.dsd("operand", dsd.mem1d(program.shared[VECTOR]))
        pe.local_task("main", 9, active=True)
        pe.code("main:\n    call trace_timestamp\n")
        multicast.add(pe, is_root)
        pe.code("    call trace_timestamp\n    done\n")
        stamps.add(pe)
        program.place(pe, **({"x": x, "y": y} if is_root else {}))

    values = data.given(options, "vector", np.random.default_rng(options.seed), (1, 1, config["length"]), of)
    fabric = options.fabric(program)
    fabric.write(VECTOR, values, x, y)
    run = options.run(fabric)
    data.record(run, "broadcast", config)
    result = Result("broadcast", dict(config), run, verified=False, extra={"seed": options.seed})
    if run.ended != "done":
        return result
    got = result.outputs["vectors"] = fabric.read(VECTOR)
    expected = np.broadcast_to(values, got.shape)
    result.verified, result.max_error = data.same_bits(got, expected), data.error(got, expected)
    cycles = stamps.read(fabric)
    length = collectives.wavelets(config["dtype"], config["length"])
    predicted = collectives.broadcast_from(multicast.distance, length, collectives.costs(options.machine))
    tell(result, options.machine, int(cycles[..., 1].max() - cycles[y, x, 0]), predicted)
    return result


def check(config: dict[str, Any], width: int, height: int, machine: Machine) -> None:
    """Raises ConfigError if a value is invalid, the vector exceeds the memory of a PE, or the root is off the grid."""
    data.check("broadcast", PARAMETERS, config)
    data.check_length("broadcast", config, data.arithmetic(config["dtype"]), machine, RESERVED)
    if width * height < 2:
        raise ConfigError(f"broadcast needs a grid of at least 2 PEs, not {width}x{height}")
    if not (0 <= config["root_x"] < width and 0 <= config["root_y"] < height):
        raise ConfigError(
            f"the root of broadcast must be in the grid of {width}x{height} PEs, "
            f"not at ({config['root_x']}, {config['root_y']})"
        )
