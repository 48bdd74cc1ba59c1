"""One operator on a rectangle of PEs: what tests and `wse run` of the operators share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ... import dsd
from ...fabric import Fabric
from ...machine import Machine
from ...pe import PEClass
from ...program import Program
from ...run import Run
from .code import Routine

TASK = 9


class Tensor(NamedTuple):
    """An array of every PE: shape, dtype; values [h, w, *shape] if it is written first."""

    shape: tuple[int, ...]
    dtype: str
    values: np.ndarray | None = None
    offset: int = 0


class Outcome(NamedTuple):
    """arrays: [h, w, *shape] by name; cycles of each routine; the runs."""

    arrays: dict[str, np.ndarray]
    cycles: dict[str, int]
    runs: list[Run]


def execute(
    routines: Sequence[Routine],
    tensors: Mapping[str, Tensor],
    fmt: str,
    grid: tuple[int, int] = (1, 1),
    machine: Machine | str = "wse3",
    rename: Mapping[str, str] | None = None,
    extra: Any = None,
    **options: Any,
) -> Outcome:
    """Calls the routines one after the other, each in a run of its own; an operand is the tensor of its name.

    fmt: the 16-bit format, "f32" for programs without one.  rename: names of tensors for operands that are called
    otherwise.  extra: a function of (program, class) that adds what the routines call.
    """
    program = Program(*grid, machine, fp16="f16" if fmt == "f32" else fmt)
    pe = program.pe_class("operator")
    renamed = rename or {}
    text = []
    for i, made in enumerate(routines):
        call = made.call(
            **{name: renamed.get(f"{made.name}.{name}", renamed.get(name, name)) for name in made.operands}
        )
        text.append(f"step{i}:\n{call}    done\n")
    pe.code("".join(text) + "".join(made.text for made in routines))
    for i in range(len(routines)):
        pe.local_task(f"step{i}", TASK + i)
    if extra is not None:
        extra(program, pe)
    for name, tensor in tensors.items():
        pe.array(name, tensor.shape, tensor.dtype, offset=tensor.offset)
    pe.array("work", max(1, *(made.work for made in routines)), "u8")
    program.place(pe)
    trace, activity = options.pop("trace", 0), options.pop("activity", False)
    threads = options.pop("threads", 1)
    fabric = Fabric(program, threads=threads, trace=trace, activity=activity)
    for name, tensor in tensors.items():
        if tensor.values is not None:
            fabric.write(name, np.broadcast_to(tensor.values, (grid[1], grid[0], *tensor.shape)))
    cycles, runs, before = {}, [], 0
    for i, made in enumerate(routines):
        fabric.launch(f"step{i}")
        run = fabric.run(**options)
        runs.append(run)
        cycles[made.name] = run.cycles - before
        before = run.cycles
    return Outcome({name: fabric.read(name) for name in tensors}, cycles, runs)


__all__ = ["Outcome", "PEClass", "Tensor", "dsd", "execute"]
