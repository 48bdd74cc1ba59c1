"""Cost models: the cycles of a kernel as a function of its shape, fitted to executed runs.

The model of a kernel is a sum of terms.  A term is a constant times a function of the shape that follows from the
kernel's program, such as the number of hops or of elements received.  The constants are fitted to executed runs by
least squares of relative errors; none is negative.  The error of the model is that on held-out runs, which are not used
for the fit.  Their shapes are both within and beyond the range of the fitted ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np

from ..errors import ConfigError
from ..machine.parameters import Machine
from ..records import dataclass

Shape = Mapping[str, int]


@dataclass(frozen=True)
class Model:
    """The cost model of a kernel.

    sizes         names of the sizes in a shape, in order
    terms         functions of the shape by name; each has one fitted constant, in cycles
    run           executes a shape on a machine and returns the cycles
    fitted, held  shapes to execute: for the fit, and held out of it
    arch          the machine of recorded runs
    """

    name: str
    sizes: tuple[str, ...]
    terms: dict[str, Callable[[Shape], float]]
    run: Callable[[Shape, Machine], int]
    fitted: tuple[tuple[int, ...], ...]
    held: tuple[tuple[int, ...], ...]
    arch: str = "wse3"

    def shape(self, values: Iterable[int]) -> dict[str, int]:
        """The shape with these sizes, in the order of `sizes`."""
        return dict(zip(self.sizes, values, strict=True))

    def row(self, shape: Shape) -> list[float]:
        """The values of the terms for a shape, without the constants."""
        return [float(term(shape)) for term in self.terms.values()]

    def execute(self, shape: Shape, overrides: Mapping[str, int | str] | None = None) -> int:
        """Cycles of a shape, executed.  overrides: changed figures of the machine, as for Machine."""
        return self.run(shape, Machine(self.arch, overrides=overrides))


@dataclass(frozen=True)
class Executed:
    """An executed run.  held: not used for the fit."""

    kernel: str
    shape: dict[str, int]
    cycles: int
    held: bool


@dataclass(frozen=True)
class Fit:
    """Fitted constants of a kernel, in cycles per unit of each term.

    errors_pct, held_pct: relative errors of the model on the fitted runs and on the held-out runs, in percent.
    """

    model: Model
    constants: tuple[float, ...]
    errors_pct: tuple[float, ...]
    held_pct: tuple[float, ...]

    def cycles(self, **shape: int) -> float:
        """Modelled cycles of a shape.  Raises ConfigError if its sizes are not those of the model."""
        if set(shape) != set(self.model.sizes):
            raise ConfigError(f"the cost of {self.model.name} depends on {', '.join(self.model.sizes)}, not on {shape}")
        return float(np.dot(self.constants, self.model.row(shape)))

    @property
    def worst_pct(self) -> float:
        """The largest absolute error on a held-out run, in percent."""
        return max(abs(error) for error in self.held_pct)

    @property
    def mean_pct(self) -> float:
        """The mean absolute error on held-out runs, in percent."""
        return float(np.mean(np.abs(self.held_pct)))


def fit(model: Model, runs: list[Executed]) -> Fit:
    """Fit the constants of a kernel to its runs.

    Raises ConfigError if there are fewer fitted runs than terms, or no held-out run.
    """
    kept, held = ([run for run in runs if run.held == which] for which in (False, True))
    if len(kept) < len(model.terms) or not held:
        raise ConfigError(
            f"{model.name}: {len(kept)} runs to fit {len(model.terms)} constants and {len(held)} held-out runs are too "
            "few: execute all shapes with `wse costs --measure`"
        )
    matrix = np.array([model.row(run.shape) for run in kept])
    cycles = np.array([run.cycles for run in kept], float)
    constants = nonnegative(matrix / cycles[:, None], np.ones(len(kept)))

    def errors(of: list[Executed]) -> tuple[float, ...]:
        return tuple(100 * (float(np.dot(constants, model.row(r.shape))) / r.cycles - 1) for r in of)

    return Fit(model, tuple(float(c) for c in constants), errors(kept), errors(held))


def nonnegative(matrix: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The coefficients x >= 0 [n] that minimize |matrix x - target|, for matrix [m, n] and target [m].

    Tries every subset of the columns, so n must be small.
    """
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


def non_negative(matrix: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The least-squares solution without negative entries (the algorithm of Lawson and Hanson)."""
    scale = np.abs(matrix).max(axis=0)
    a, n = matrix / scale, matrix.shape[1]
    x, inside = np.zeros(n), np.zeros(n, bool)
    for _ in range(30 * n):
        slope = a.T @ (wanted - a @ x)
        if inside.all() or slope[~inside].max() <= 1e-10:
            break
        inside[np.argmax(np.where(inside, -np.inf, slope))] = True
        while True:
            trial = np.zeros(n)
            trial[inside] = np.linalg.lstsq(a[:, inside], wanted, rcond=None)[0]
            wrong = inside & (trial <= 0)
            if not wrong.any():
                break
            part = (x[wrong] / np.maximum(x[wrong] - trial[wrong], 1e-300)).min()
            x = x + part * (trial - x)
            inside &= x > 1e-14
        x = trial
    return x / scale
