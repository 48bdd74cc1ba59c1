"""Sum of one vector per PE into PE (0, 0), by the algorithm star, chain, tree or two-phase.

Each row reduces into its first PE, then the first column into PE (0, 0); a grid of P x 1 or 1 x P is a single line.
Array `vector` of every PE holds `length` elements.  At the end, that of PE (0, 0) holds the sum, added up in the order
of the algorithm (collectives.Plan.total).  16-bit elements travel two per wavelet.

Every PE takes a timestamp when it starts; PE (0, 0) takes a second one when it has the sum.  measured_cycles is the
difference of the two timestamps of PE (0, 0).  The authors of the chain and the two-phase reduce measured in the same
way.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import ConfigError
from ..machine.parameters import Machine
from ..program import dsd
from ..program.program import Program
from ..records import dataclass
from . import Input, Parameter, Result, RunOptions, by_name, collectives, data
from .timestamps import Timestamps, trace_cycles

PARAMETERS = by_name(
    Parameter("algorithm", str, "two-phase", "Algorithm for a line of PEs.", choices=collectives.ALGORITHMS),
    Parameter("group", int, 0, "PEs per group of two-phase; 0: the square root of the line's length."),
    Parameter("length", int, 64, "Elements of a vector.", flag="-B"),
    Parameter("dtype", str, "f32", "Element type.", choices=data.DTYPES),
)
GRID = (64, 1)
INPUTS = by_name(Input("vectors", ("height", "width", "length"), "A vector for each PE."))
OUTPUTS = {"total": "[length] the sum, in the order of the algorithm"}
RESERVED = 1024  # bytes for code, descriptors, timestamps and alignment
VECTOR, QUEUES = "vector", {"row": 2, "column": 3, "all": 4}


def run(config: dict[str, Any], options: RunOptions) -> Result:
    """See wse.kernels."""
    reduction = build("reduce", config, options.machine, options.grid or GRID)
    return execute(reduction, config, options)


@dataclass
class Reduction:
    """A program that reduces over a grid.

    lines: the reduces along the rows and along the first column, in the order of execution.  broadcast: the multicast
    of the sum to all PEs, for an all-reduce only.
    """

    kernel: str
    program: Program
    stamps: Timestamps
    lines: list[collectives.Reduce]
    broadcast: collectives.Broadcast | None

    def total(self, values: np.ndarray, of: data.Arithmetic) -> np.ndarray:
        """The reference model: the sum over the PEs in the order of the program.

        values: float32 [h, w, n].  Returns float32 [n].
        """
        column = values[:, 0]
        for line in self.lines:
            if line.axis == "x":
                column = line.plan.total(values, of.total)
            else:
                return line.plan.total(column, of.total)
        return column[0]


def build(
    kernel: str, config: dict[str, Any], machine: Machine, grid: tuple[int, int], to_all: bool = False
) -> Reduction:
    """Builds the program, with one PE class for each combination of roles.

    kernel: name for messages.  config: a value for every entry of PARAMETERS.  grid: width and height in PEs.
    to_all: also broadcast the sum to all PEs.  Raises ConfigError if a value is invalid or the vector exceeds the
    memory of a PE.
    """
    data.check(kernel, PARAMETERS, config)
    data.check_length(kernel, config, data.arithmetic(config["dtype"]), machine, RESERVED)
    width, height = grid
    if width * height < 2:
        raise ConfigError(f"{kernel} needs a grid of at least 2 PEs, not {width}x{height}")
    if config["group"] < 0:
        raise ConfigError(f"group of {kernel} must be 0 (chosen) or more, not {config['group']}")
    of = collectives.element(config["dtype"])
    program = Program(width, height, machine, fp16=data.arithmetic(config["dtype"]).fp16)
    program.shared_array(VECTOR, config["length"], of.dtype)
    reduction = Reduction(kernel, program, Timestamps(program), [], None)
    for axis, name, size in (("x", "row", width), ("y", "column", height)):
        if size > 1:
            plan = collectives.plan(config["algorithm"], size, config["group"] or None)
            reduction.lines.append(collectives.Reduce(program, plan, axis, name, "operand", of, QUEUES[name]))  # type: ignore[arg-type]
    if to_all:
        reduction.broadcast = collectives.Broadcast(program, "all", "operand", of, QUEUES["all"])
    _place(reduction)
    return reduction


def _place(reduction: Reduction) -> None:
    """Places the classes: one for each role in a row; PEs of the first column also have a role in the column."""
    by_axis = {line.axis: line for line in reduction.lines}
    row, column = by_axis.get("x"), by_axis.get("y")
    firsts = []  # the role of the first PE of a row, executed before its role in the column
    if row is not None:
        for role, positions in row.plan.roles():
            if role.sends:
                name = f"row{len(reduction.program.classes)}"
                pe = _class(reduction, name, [(row, role)], last=False)
                reduction.program.place(pe, **row.at(positions))
            else:
                firsts.append((row, role))
    if column is None:
        reduction.program.place(_class(reduction, "first", firsts, last=True), x=0, y=0)
        return
    for role, positions in column.plan.roles():
        name = f"column{len(reduction.program.classes)}"
        pe = _class(reduction, name, [*firsts, (column, role)], last=not role.sends)
        reduction.program.place(pe, **column.at(positions))


def _class(reduction: Reduction, name: str, parts: list[tuple[collectives.Reduce, collectives.Role]], last: bool):
    """A class of PEs that execute these roles in order.  last: whether it is PE (0, 0), which ends with the sum."""
    pe = reduction.program.pe_class(name)
    pe.dsd("operand", dsd.mem1d(reduction.program.shared[VECTOR]))
    pe.local_task("main", 9, active=True)
    pe.code("main:\n    call trace_timestamp\n")
    for line, role in parts:
        line.add(pe, role)
    if reduction.broadcast is not None:
        reduction.broadcast.add(pe, root=last)
    pe.code(("    call trace_timestamp\n" if last or reduction.broadcast is not None else "") + "    done\n")
    reduction.stamps.add(pe)
    return pe


def execute(reduction: Reduction, config: dict[str, Any], options: RunOptions) -> Result:
    """Loads random vectors, runs the program and compares the sum with the reference model, bit for bit."""
    program, of = reduction.program, data.arithmetic(config["dtype"])
    shape = (program.height, program.width, config["length"])
    values = data.given(options, "vectors", np.random.default_rng(options.seed), shape, of)
    fabric = options.fabric(program)
    fabric.write(VECTOR, values)
    run = options.run(fabric)
    data.record(run, reduction.kernel, config)
    result = Result(reduction.kernel, dict(config), run, verified=False, extra={"seed": options.seed})
    if run.ended != "done":
        return result
    expected = reduction.total(values, of)
    everywhere = reduction.broadcast is not None
    got = fabric.read(VECTOR) if everywhere else fabric.read(VECTOR, w=1, h=1)
    result.outputs |= {"vectors": got} if everywhere else {"total": got[0, 0]}
    expected = np.broadcast_to(expected, got.shape)
    result.verified, result.max_error = data.same_bits(got, expected), data.error(got, expected)
    cycles = reduction.stamps.read(fabric)
    measured = int(cycles[..., 1].max() - cycles[0, 0, 0])
    tell(result, program.machine, measured, model(reduction, config), published(reduction, config))
    return result


def model(reduction: Reduction, config: dict[str, Any]) -> float:
    """The cycles that the closed forms in `collectives` give for the program."""
    c, B = collectives.costs(reduction.program.machine), collectives.wavelets(config["dtype"], config["length"])
    algorithm, group = config["algorithm"], config["group"]
    time = sum(collectives.reduce(algorithm, line.plan.size, B, group, c) for line in reduction.lines)
    if reduction.broadcast is not None:
        time += collectives.broadcast_from(reduction.broadcast.distance, B, c)
    return time


def published(reduction: Reduction, config: dict[str, Any]) -> int | None:
    """Cycles of the vendor's simulator for the same program; None if they are not published."""
    machine, algorithm = reduction.program.machine, config["algorithm"]
    known = (machine.name, machine.overrides, config["dtype"]) == ("wse2", (), "f32") and reduction.broadcast is None
    if not known or len(reduction.lines) > 1 or algorithm not in ("chain", "two-phase"):
        return None
    P = reduction.lines[0].plan.size
    S = config["group"] or collectives.default_group(P)
    if algorithm == "chain" or S >= P:
        return collectives.published_chain(P, config["length"])
    return collectives.published_two_phase(P, config["length"], S)


def tell(result: Result, machine: Machine, measured: int, predicted: float, published: int | None = None) -> None:
    """Adds the measured and the predicted cycles to a result, in `extra` and as text.

    measured: cycles between two timestamps.  predicted: cycles of the closed form.  published: cycles of the vendor's
    simulator, if known.
    """
    own = trace_cycles(machine)
    net = measured - own
    result.extra |= {
        "measured_cycles": measured,
        "timestamp_cycles": own,
        "model_cycles": predicted,
        "model_error_pct": 100 * (net - predicted) / predicted,
        "published_cycles": published,
    }
    result.text.append(
        f"timestamps say {measured:,} cycles, {own} of which they take themselves; "
        f"the closed form says {predicted:,.0f} for the rest ({100 * (net - predicted) / predicted:+.1f} %)"
    )
    if published is not None:
        off = 100 * (measured - published) / published
        result.text.append(f"the vendor's simulator takes {published:,} cycles by the same timestamps ({off:+.1f} %)")
