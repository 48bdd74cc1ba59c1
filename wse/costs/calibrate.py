"""Efficiency of the vendor's kernels: three constants per model, fitted to published runs on one or more CS-2.

There are two families of models.  Both are linear in their constants:

    kernels   cycles of executed kernels (wafer.py) times a factor; those of attention, which is executed on fewer rows
              of PEs, times a second factor; and an overhead in seconds per layer and pass
    peak      the time of the flops at the wafer's peak rate times a factor; a time per token, layer and token of
              context; and an overhead in seconds per layer and pass

The constants describe compiled programs, not hardware: a CS-3 has the constants of the CS-2.  No constant is fitted to
runs on a CS-3, or to the scaling over systems.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

import numpy as np

from ..errors import ConfigError
from ..machine.parameters import Machine
from ..models import load
from ..plan.workload import Layer, Workload, workload
from ..records import dataclass
from . import wafer
from .fit import nonnegative

TABLE = Path(__file__).with_name("cs2_points.csv")
ARCH = "wse2"


Terms = tuple[tuple[float, ...], tuple[float, ...]]  # forward, backward: the factor of each constant


def _peak_terms(work: Workload, layer: Layer, tokens: float, machine: str | Machine) -> Terms:
    """The factors of the constants of the family "peak": seconds at peak, token x context pairs, layers.

    The forward pass has a third of each, the backward pass two thirds.  Zero weights take no time in products with
    weights: in the forward pass and in half of the backward pass, but not in the weight gradient.
    """
    flops, context = tokens * 6 * layer.matmul / Machine.of(machine).peak_flops, tokens * layer.context
    sparse = work.density, (1 + work.density) / 2
    return (
        (sparse[0] * flops / 3, context / 3, layer.depth / 3),
        (sparse[1] * 2 * flops / 3, 2 * context / 3, 2 * layer.depth / 3),
    )


FAMILIES: dict[str, Callable[[Workload, Layer, float, str | Machine], Terms]] = {
    "kernels": wafer.terms,
    "peak": _peak_terms,
}
# Sentences about the constants of a family; the last constant is the overhead.
_WORDS = {
    "kernels": "compiled kernels take {0:.2f} times the cycles of executed ones, attention {1:.2f} times, "
    "plus {2:.2f} ms per layer and pass",
    "peak": "{0:.2f} times the time at peak, {1:.1f} ps per token, layer and token of context, plus {2:.2f} ms per "
    "layer and pass",
}
_UNITS = {"kernels": (1, 1, 1e3), "peak": (1, 1e12, 1e3)}  # constants in sentences: factors to ms and ps


@dataclass(frozen=True)
class Constants:
    """Fitted constants of a family; they implement workload.Compute."""

    family: str
    values: tuple[float, ...]

    def layer(self, work: Workload, layer: Layer, tokens: float, machine: str | Machine) -> tuple[float, float]:
        """(forward, backward) seconds of a layer for a number of tokens."""
        forward, backward = FAMILIES[self.family](work, layer, tokens, machine)
        return float(np.dot(forward, self.values)), float(np.dot(backward, self.values))

    def words(self) -> str:
        """A sentence that states the constants."""
        shown = (value * unit for value, unit in zip(self.values, _UNITS[self.family], strict=True))
        return _WORDS[self.family].format(*shown)


@dataclass(frozen=True)
class Point:
    """A published run.  calibrates: used for the fit."""

    id: str
    work: Workload
    systems: int
    samples_per_second: float
    calibrates: bool
    source: str
    note: str

    @property
    def seconds(self) -> float:
        """Seconds of a step."""
        return self.work.batch / self.systems / self.samples_per_second


@cache
def points() -> tuple[Point, ...]:
    """The published runs, in the order of the table."""
    lines = [line for line in TABLE.read_text().splitlines() if not line.startswith("#")]
    return tuple(
        Point(
            row["id"],
            workload(load(row["model"]), int(row["batch"]), int(row["sequence"])),
            int(row["systems"]),
            float(row["samples_per_second"]),
            row["calibrates"] == "yes",
            row["source"],
            row["note"],
        )
        for row in csv.DictReader(lines)
    )


def pass_terms(family: str, work: Workload, tokens: float, machine: str | Machine) -> np.ndarray:
    """float64 [constants]: the factors of a family's constants in a pass, forward and backward added."""
    return np.sum([np.sum(FAMILIES[family](work, layer, tokens, machine), axis=0) for layer in work.layers], axis=0)


def fit(chosen: Iterable[Point], family: str = "kernels") -> Constants:
    """Fit the constants of a family by least squares of relative errors; none is negative.

    Raises ConfigError for fewer than 4 runs.
    """
    rows = list(chosen)
    if len(rows) < 4:
        raise ConfigError(f"three constants cannot be fitted to {len(rows)} runs: 4 or more are needed")
    matrix = []
    for point in rows:
        passes = point.work.passes(point.systems, Machine(ARCH))
        tokens = passes.sequences * point.work.sequence
        matrix.append(passes.passes * pass_terms(family, point.work, tokens, ARCH) / point.seconds)
    found = nonnegative(np.array(matrix), np.ones(len(rows)))
    return Constants(family, tuple(float(v) for v in found))


@cache
def calibrated(family: str = "kernels") -> Constants:
    """The constants fitted to all runs of the table that calibrate."""
    return fit([p for p in points() if p.calibrates], family)


def left_out(point: Point, family: str = "kernels") -> Constants:
    """The constants fitted without one run, to predict it."""
    return fit([p for p in points() if p.calibrates and p.id != point.id], family)
