"""An operator alone on a rectangle of PEs, forward and backward, against its reference: what `wse run` of the operators
and their tests share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..fabric.run import Run
from ..machine import numerics
from ..operators.code import Routine
from ..operators.policy import Policy
from ..operators.region import Region
from ..program.program import Program
from . import Parameter, Result, RunOptions
from .data import DTYPE, check, check_positive, record

FEATURES = Parameter("features", int, 32, "Features of the activation, over the row of PEs.")
TOKENS = Parameter("tokens", int, 32, "Tokens of a row of PEs.")
FIRST_TASK = 9
# Half a unit of the last place of a number near 1: what rounding once costs at most, relatively.
EPSILON = {"f32": 2.0**-24, "f16": 2.0**-11, "bf16": 2.0**-9, "cb16": 2.0**-10}


class Tensor(NamedTuple):
    """An array of every PE: shape; dtype, None for the storage type; values [h, w, *shape] if it is written first."""

    shape: tuple[int, ...]
    values: np.ndarray | None = None
    dtype: str | None = None


class Outcome(NamedTuple):
    """arrays: [h, w, *shape] by name; cycles: of each routine; run: all of them."""

    arrays: dict[str, np.ndarray]
    cycles: dict[str, int]
    run: Run


class Alone:
    """A run of an operator: its options, and the grid, `default` unless they name one."""

    def __init__(self, options: RunOptions, default: tuple[int, int]):
        self.options, self.grid = options, options.grid or default

    def region(self, policy: Policy, tokens: int) -> Region:
        """A region that is all of a program of the grid."""
        return Region(Program(*self.grid, self.options.machine, fp16=policy.fp16), policy, tokens)

    def execute(
        self,
        region: Region,
        routines: Sequence[Routine],
        tensors: Mapping[str, Tensor],
        rename: Mapping[str, str] | None = None,
    ) -> Outcome:
        """Calls the routines one after the other, each in a run of its own; an operand is the tensor of its name.

        rename: names of tensors for operands that are called otherwise, "routine.operand".
        """
        renamed = rename or {}
        for name, tensor in tensors.items():
            region.array(name, tensor.shape, tensor.dtype or region.policy.element)
        for i, made in enumerate(routines):
            region.work(made.work)
            region.subroutine(made.name, made.text)
            with region.task(f"step{i}", FIRST_TASK + i):
                region.code(made.call(**{name: renamed.get(f"{made.name}.{name}", name) for name in made.operands}))
        region.finish()
        fabric = self.options.fabric(region.program)
        width, height = self.grid
        for name, tensor in tensors.items():
            if tensor.values is not None:
                fabric.write(name, np.broadcast_to(tensor.values, (height, width, *tensor.shape)))
        cycles: dict[str, int] = {}
        before, run = 0, None
        for i, made in enumerate(routines):
            fabric.launch(f"step{i}")
            run = self.options.run(fabric)
            cycles[made.name] = run.cycles - before
            before = run.cycles
            if run.ended != "done":
                break
        assert run is not None
        return Outcome({name: fabric.read(name) for name in tensors}, cycles, run)


def on_one(
    routines: Sequence[Routine], tensors: Mapping[str, Tensor], storage: str, rename: Mapping[str, str] | None = None
) -> Outcome:
    """The routines on one PE."""
    job = Alone(RunOptions(), (1, 1))
    return job.execute(job.region(Policy(storage), 2), routines, tensors, rename)


def rounded(values: np.ndarray, policy: Policy) -> np.ndarray:
    """Values of the storage type, as float32."""
    return np.asarray(values, np.float32) if policy.wide else numerics.round16(values, policy.storage)


def tiles(values: np.ndarray, rows: int, columns: int, tokens: int) -> np.ndarray:
    """[h, w, rows, tokens]: values [features, all tokens] as the PEs hold them, features padded with zeros."""
    padded = np.zeros((rows * columns, values.shape[1]), values.dtype)
    padded[: len(values)] = values
    return padded.reshape(columns, rows, -1, tokens).transpose(2, 0, 1, 3)


def untiled(tiles: np.ndarray, features: int) -> np.ndarray:
    """The reverse: [features, all tokens]."""
    h, w, rows, tokens = tiles.shape
    return tiles.transpose(1, 2, 0, 3).reshape(w * rows, h * tokens)[:features]


def error(got: np.ndarray, wanted: np.ndarray) -> float:
    """|got - wanted| / |wanted| of whole tensors."""
    wanted = np.asarray(wanted, np.float64)
    size = np.linalg.norm(wanted)
    return float(np.linalg.norm(got.astype(np.float64) - wanted) / (size or 1.0))


def result(
    kernel: str,
    config: Mapping[str, Any],
    outcome: Outcome,
    compared: Mapping[str, tuple[np.ndarray, np.ndarray]],
    units: float,
) -> Result:
    """The Result of a kernel.  compared: (got, wanted) by name; units: the relative error that is allowed, in units of
    EPSILON of the storage type."""
    record(outcome.run, kernel, config)
    if outcome.run.ended != "done":
        return Result(kernel, dict(config), outcome.run, False)
    errors = {name: error(got, wanted) for name, (got, wanted) in compared.items()}
    worst = max(errors.values())
    made = Result(kernel, dict(config), outcome.run, worst <= units * EPSILON[config["dtype"]], worst)
    made.text = [f"{name}: {cycles:,} cycles" for name, cycles in outcome.cycles.items()]
    made.extra = {"phase_cycles": outcome.cycles, "errors": errors}
    return made


def begin(kernel: str, parameters: Mapping[str, Parameter], config: Mapping[str, Any], *positive: str) -> Policy:
    """Checks a configuration; its policy."""
    check(kernel, parameters, config)
    check_positive(kernel, config, *positive)
    return Policy(config["dtype"])


__all__ = ["DTYPE", "FEATURES", "TOKENS", "Alone", "Outcome", "Tensor", "begin", "error", "result", "rounded", "tiles"]
