"""One operator by itself on a rectangle of PEs: what kernels of single operators, cost models and tests share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from ..fabric.run import Run
from ..machine import numerics
from ..machine.parameters import Machine
from ..operators import ring
from ..operators.code import Routine
from ..operators.policy import Policy
from ..operators.region import Region
from ..operators.row_sums import AllReduce
from ..program.program import Program
from .options import RunOptions

FIRST_TASK = 9
# Half a unit of the last place of a number near 1: the relative error of one rounding is at most that.
EPSILON = {"f32": 2.0**-24, "f16": 2.0**-11, "bf16": 2.0**-9, "cb16": 2.0**-10}


class Tensor(NamedTuple):
    """An array that each PE has.

    shape    in a PE
    values   float or integer [h, w, *shape] (or what broadcasts to it), written before the first routine; None: zeros
    dtype    None: the storage type of the policy
    """

    shape: tuple[int, ...]
    values: np.ndarray | None = None
    dtype: str | None = None


class Outcome(NamedTuple):
    """arrays: [h, w, *shape] by name.  cycles: of each routine, by name.  run: measured over all routines."""

    arrays: dict[str, np.ndarray]
    cycles: dict[str, int]
    run: Run


class Single:
    """A region that covers a whole program, on which routines run one after the other.

    options: how to run; their grid, or else `grid`, is used.  tokens: of a PE's row, an even number.
    """

    def __init__(self, options: RunOptions, grid: tuple[int, int], policy: Policy, tokens: int) -> None:
        self.options, self.grid, self.policy, self.tokens = options, options.grid or grid, policy, tokens
        self.region = Region(Program(*self.grid, options.machine, fp16=policy.fp16), policy, tokens)

    @property
    def allreduce(self) -> AllReduce:
        """Code of an all-reduce over a row of the region; see ring.allreduce."""
        return partial(ring.allreduce, self.region)

    def execute(
        self, routines: Sequence[Routine], tensors: Mapping[str, Tensor], rename: Mapping[str, str] | None = None
    ) -> Outcome:
        """Call the routines one after the other, each in a run of its own.

        An operand is the tensor of its name.  rename: "routine.operand" -> name of its tensor, where they differ.
        """
        region, renamed = self.region, rename or {}
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
            run = self.options.run(fabric, more=i + 1 < len(routines))
            cycles[made.name] = run.cycles - before
            before = run.cycles
            if run.ended != "done":
                break
        assert run is not None
        return Outcome({name: fabric.read(name) for name in tensors}, cycles, run)


def on_one(
    routines: Sequence[Routine],
    tensors: Mapping[str, Tensor],
    storage: str,
    rename: Mapping[str, str] | None = None,
    machine: Machine | None = None,
) -> Outcome:
    """Run routines on a grid of one PE; see Single.execute.  machine: None for an unchanged WSE-3."""
    options = RunOptions(machine=machine or Machine())
    return Single(options, (1, 1), Policy(storage), 2).execute(routines, tensors, rename)


def rounded(values: np.ndarray, policy: Policy) -> np.ndarray:
    """Round values to the storage type of a policy; the result is float32."""
    return np.asarray(values, np.float32) if policy.wide else numerics.round16(values, policy.storage)


def tiles(values: np.ndarray, rows: int, columns: int, tokens: int) -> np.ndarray:
    """Cut values [features, all tokens] into tiles [h, w, rows, tokens], features padded with zeros."""
    padded = np.zeros((rows * columns, values.shape[1]), values.dtype)
    padded[: len(values)] = values
    return padded.reshape(columns, rows, -1, tokens).transpose(2, 0, 1, 3)


def untiled(tiles: np.ndarray, features: int) -> np.ndarray:
    """Join tiles [h, w, rows, tokens] into values [features, all tokens]."""
    h, w, rows, tokens = tiles.shape
    return tiles.transpose(1, 2, 0, 3).reshape(w * rows, h * tokens)[:features]


def error(got: np.ndarray, wanted: np.ndarray) -> float:
    """|got - wanted| / |wanted|, in the Euclidean norm of whole tensors."""
    wanted = np.asarray(wanted, np.float64)
    size = np.linalg.norm(wanted)
    return float(np.linalg.norm(got.astype(np.float64) - wanted) / (size or 1.0))


__all__ = ["EPSILON", "Outcome", "Single", "Tensor", "error", "on_one", "rounded", "tiles", "untiled"]
