"""What kernels of this package cost at any size: cycles fitted to executed runs, with the error on runs left out.

A kernel's time is a sum of terms that its program explains (columns of work, hops, elements that pass), with constants
that executing it gives: least squares of relative errors, none below zero.  executed.csv holds the runs; those marked
`held` are not fitted to, lie between and beyond the others, and give the error that is printed.  `wse costs --measure`
runs them again.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from .. import kernels
from ..errors import ConfigError, RunError
from ..machine.parameters import Machine

TABLE = Path(__file__).with_name("executed.csv")
BAR_PCT = 10.0  # the largest error on a held-out shape that is accepted

Shape = Mapping[str, int]


@dataclass(frozen=True)
class Model:
    """How a kernel's time depends on its shape.

    sizes   what a shape names, in order
    terms   name -> function of the shape; their constants are fitted
    run     executes a shape and returns its cycles
    fitted, held   shapes to execute
    """

    name: str
    sizes: tuple[str, ...]
    terms: dict[str, Callable[[Shape], float]]
    run: Callable[[Shape], int]
    fitted: tuple[tuple[int, ...], ...]
    held: tuple[tuple[int, ...], ...]

    def shape(self, values: Iterable[int]) -> dict[str, int]:
        return dict(zip(self.sizes, values, strict=True))

    def row(self, shape: Shape) -> list[float]:
        return [float(term(shape)) for term in self.terms.values()]


@dataclass(frozen=True)
class Executed:
    """A run: its shape and cycles.  held: kept out of the fit."""

    kernel: str
    shape: dict[str, int]
    cycles: int
    held: bool


@dataclass(frozen=True)
class Fit:
    """Constants of a kernel.  errors_pct: of the fitted runs; held_pct: of those left out."""

    model: Model
    constants: tuple[float, ...]
    errors_pct: tuple[float, ...]
    held_pct: tuple[float, ...]

    def cycles(self, **shape: int) -> float:
        """Of a shape, executed or not."""
        if set(shape) != set(self.model.sizes):
            raise ConfigError(f"the cost of {self.model.name} depends on {', '.join(self.model.sizes)}, not on {shape}")
        return float(np.dot(self.constants, self.model.row(shape)))

    @property
    def worst_pct(self) -> float:
        """The largest error on a shape that was not fitted to."""
        return max(abs(error) for error in self.held_pct)

    @property
    def mean_pct(self) -> float:
        return float(np.mean(np.abs(self.held_pct)))


def library(name: str, machine: Machine, grid: tuple[int, int], **config: Any) -> kernels.Result:
    """A run of a kernel of the library; its result must be right, or the time means nothing."""
    result = kernels.run(name, config, kernels.RunOptions(machine=machine, grid=grid))
    if not result.verified:
        raise RunError(f"{name} on {grid[0]}x{grid[1]} PEs with {config} computed a wrong result")
    return result


def _cycles(result: kernels.Result) -> int:
    """Where a kernel times itself, its own time is without the program's start-up."""
    return int(result.extra.get("measured_cycles", result.run.cycles))


def _ceil(a: int, b: int) -> int:
    return -(-a // b)


def _gemv(accumulate: str) -> Model:
    """Matrix times vector: see kernels/gemv.py.  m rows and k columns of the matrix are a PE's."""

    def run(s: Shape) -> int:
        return _cycles(
            library("gemv", Machine("wse3"), (s["w"], s["h"]), M=s["M"], K=s["K"], dtype="f16", accumulate=accumulate)
        )

    rate = 0.25 if accumulate == "same" else 0.75  # cycles an element, machine.def

    def m(s: Shape) -> int:
        return _ceil(_ceil(s["M"], s["h"]), 8) * 8

    def k(s: Shape) -> int:
        return _ceil(s["K"], s["w"])

    terms: dict[str, Callable[[Shape], float]] = {
        "start": lambda s: 1.0,
        "a column": k,
        # A column's sums are read again by the next: no sooner than they can be (write_to_read_cycles + 1).
        "a cycle of waiting for sums": lambda s: k(s) * max(0.0, 12 - rate * m(s)),
        "an element of a column": lambda s: k(s) * m(s),
        "an element of the sum": m,
        "a PE along the row": lambda s: s["w"],
        "a PE down the column": lambda s: s["h"],
    }
    fitted = (
        (64, 64, 4, 4), (128, 128, 4, 4), (256, 64, 4, 4), (64, 256, 4, 4), (512, 512, 8, 8), (256, 256, 8, 8),
        (1024, 256, 8, 8), (256, 1024, 8, 8), (512, 512, 16, 16), (1024, 1024, 16, 16), (2048, 512, 16, 16),
        (512, 2048, 16, 16), (512, 512, 32, 16), (512, 512, 16, 32), (1024, 1024, 32, 32), (512, 512, 64, 16),
        (512, 512, 16, 64), (256, 256, 64, 64), (2048, 1024, 48, 48),
    )  # fmt: skip
    held = (
        (384, 384, 8, 8), (768, 768, 16, 16), (768, 3072, 32, 32), (3072, 768, 32, 32), (1024, 1024, 64, 64),
        (2048, 2048, 64, 64), (1536, 1536, 96, 96), (640, 320, 40, 20), (2048, 2048, 128, 128),
    )  # fmt: skip
    name = "gemv, f16" + ("" if accumulate == "same" else " with f32 sums")
    return Model(name, ("M", "K", "w", "h"), terms, run, fitted, held)


def _allreduce() -> Model:
    """Sum of a short vector of every PE of a grid, to all of them: see kernels/allreduce.py, two-phase."""

    def run(s: Shape) -> int:
        return _cycles(
            library(
                "allreduce", Machine("wse3"), (s["w"], s["h"]), algorithm="two-phase", length=s["length"], dtype="f32"
            )
        )

    def groups(n: int) -> float:
        return math.sqrt(n)

    terms: dict[str, Callable[[Shape], float]] = {
        "start": lambda s: 1.0,
        "a hop": lambda s: s["w"] + s["h"],
        "a PE that adds": lambda s: groups(s["w"]) + groups(s["h"]),
        "an element": lambda s: s["length"],
        "an element that a PE adds": lambda s: s["length"] * (groups(s["w"]) + groups(s["h"])),
    }
    fitted = tuple((w, h, n) for w, h in ((8, 8), (16, 16), (32, 16), (36, 36), (64, 64)) for n in (1, 4, 16, 64))
    held = ((12, 12, 8), (24, 24, 2), (48, 48, 1), (48, 32, 32), (81, 81, 1), (100, 100, 4), (100, 64, 16))
    return Model("allreduce, f32", ("w", "h", "length"), terms, run, fitted, held)


@cache
def models() -> dict[str, Model]:
    """The kernels that have a cost model."""
    from .operators import layer_models

    return _library_models() | {model.name: model for model in layer_models()}


@cache
def _library_models() -> dict[str, Model]:
    """Those of single kernels: the transformer's operators are not imported for them."""
    return {model.name: model for model in (_gemv("same"), _gemv("f32"), _allreduce())}


@cache
def executed(path: Path = TABLE) -> tuple[Executed, ...]:
    """The recorded runs."""
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    return tuple(
        Executed(
            row["kernel"],
            {name: int(value) for name, _, value in (part.partition("=") for part in row["shape"].split())},
            int(row["cycles"]),
            row["held"] == "1",
        )
        for row in csv.DictReader(lines)
    )


def measure(names: Iterable[str] | None = None, report: Callable[[str], None] = lambda _: None) -> list[Executed]:
    """Executes every shape of the models of these names, or of all."""
    known = models()
    found = []
    for name in known if names is None else names:
        model = known[name]
        for held, shapes in ((False, model.fitted), (True, model.held)):
            for values in shapes:
                shape = model.shape(values)
                report(f"{name} {' '.join(f'{size}={value}' for size, value in shape.items())}")
                found.append(Executed(name, shape, model.run(shape), held))
    return found


def write(runs: Iterable[Executed], path: Path = TABLE) -> None:
    """Records runs."""
    lines = [
        "# Cycles of executed kernels, simulator profile, WSE-3 unless named: written by `wse costs --measure`.",
        COLUMNS,
    ]
    for run in runs:
        shape = " ".join(f"{name}={value}" for name, value in run.shape.items())
        lines.append(f'"{run.kernel}",{shape},{run.cycles},{int(run.held)}')
    path.write_text("\n".join(lines) + "\n")
    executed.cache_clear()
    fitted.cache_clear()


COLUMNS = "kernel,shape,cycles,held"


def fits() -> dict[str, Fit]:
    """Every kernel's constants, from the recorded runs."""
    return {name: fitted(name) for name in models()}


@cache
def fitted(name: str) -> Fit:
    """A kernel's constants, from the recorded runs."""
    model = _library_models().get(name) or models().get(name)
    if model is None:
        raise ConfigError(f"there is no cost model of {name!r}: known are {'; '.join(models())}")
    return fit(model, [run for run in executed() if run.kernel == name])


def fit(model: Model, runs: list[Executed]) -> Fit:
    """The constants of a kernel from its runs; ConfigError if there are too few."""
    kept, held = ([run for run in runs if run.held == which] for which in (False, True))
    if len(kept) < len(model.terms) or not held:
        raise ConfigError(
            f"{model.name}: {len(kept)} runs to fit {len(model.terms)} constants to and {len(held)} to check: "
            "run `wse costs --measure`"
        )
    matrix = np.array([model.row(run.shape) for run in kept])
    cycles = np.array([run.cycles for run in kept], float)
    constants = nonnegative(matrix / cycles[:, None], np.ones(len(kept)))

    def errors(of: list[Executed]) -> tuple[float, ...]:
        return tuple(100 * (float(np.dot(constants, model.row(r.shape))) / r.cycles - 1) for r in of)

    return Fit(model, tuple(float(c) for c in constants), errors(kept), errors(held))


def nonnegative(matrix: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Least squares without negative coefficients: the best of all sets of columns, as there are few."""
    scale = np.abs(matrix).max(axis=0)
    scale[scale == 0] = 1
    best, least = np.zeros(matrix.shape[1]), np.inf
    for mask in range(1, 1 << matrix.shape[1]):
        columns = [i for i in range(matrix.shape[1]) if mask >> i & 1]
        found = np.linalg.lstsq(matrix[:, columns] / scale[columns], target, rcond=None)[0]
        error = float(((matrix[:, columns] / scale[columns] @ found - target) ** 2).sum())
        if (found >= 0).all() and error < least:
            best, least = np.zeros(matrix.shape[1]), error
            best[columns] = found / scale[columns]
    return best
