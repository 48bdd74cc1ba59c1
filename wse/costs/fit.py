"""Fits of cost models: constants of a kernel's time, from executed runs, with the error on runs that are held out.

The time of a kernel is modelled as a sum of terms, functions of its shape that follow from its program: columns of
work, hops, elements that pass.  The constants of the terms are fitted to executed runs by least squares of relative
errors, with no constant below zero.  Runs that are held out are not fitted to; they lie between and beyond the fitted
ones, and give the error of the model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from ..errors import ConfigError

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
        """Cycles of a shape, executed or not.  Raises ConfigError if its sizes are not those of the model."""
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


def fit(model: Model, runs: list[Executed]) -> Fit:
    """Fit the constants of a kernel to its runs.  Raises ConfigError if there are too few."""
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
