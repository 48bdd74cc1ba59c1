"""Efficiency of the vendor's kernels: three constants, fitted to published CS-2 runs and to nothing else.

Two families, each linear in its constants; of both, a CS-3 has the CS-2's constants:

    kernels   executed kernels' cycles (wafer.py) times a factor, those of attention, whose sequences are executed
              over fewer rows, times another; and seconds per layer and pass
    peak      the time of the flops at the wafer's peak times a factor; time per token, layer and token of context; and
              seconds per layer and pass

The constants describe compiled programs, not hardware.  Nothing is fitted to a CS-3, and nothing to how systems scale.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from ..errors import ConfigError
from ..machine.parameters import Machine
from ..models import load
from ..plan.workload import Layer, Workload, workload
from . import wafer
from .fit import nonnegative

TABLE = Path(__file__).with_name("cs2_points.csv")
ARCH = "wse2"


Terms = tuple[tuple[float, ...], tuple[float, ...]]  # forward, backward: what each constant multiplies


def peak_terms(work: Workload, layer: Layer, tokens: float, machine: str | Machine) -> Terms:
    """Seconds at the wafer's peak; tokens x tokens of context; layers.  A third of a pass is forward.

    Zero weights take no time where weights are multiplied: not in the weight gradient, half of the backward pass.
    """
    flops, context = tokens * 6 * layer.matmul / Machine.of(machine).peak_flops, tokens * layer.depth * work.sequence
    sparse = work.density, (1 + work.density) / 2
    return (
        (sparse[0] * flops / 3, context / 3, layer.depth / 3),
        (sparse[1] * 2 * flops / 3, 2 * context / 3, 2 * layer.depth / 3),
    )


FAMILIES: dict[str, Callable[[Workload, Layer, float, str | Machine], Terms]] = {
    "kernels": wafer.terms,
    "peak": peak_terms,
}
# What a family's constants are, for people; the last of each is the overhead.
WORDS = {
    "kernels": "compiled kernels take {0:.2f} times the executed ones' cycles, attention {1:.2f} times, and {2:.2f} ms "
    "per layer and pass",
    "peak": "{0:.2f} times the time at peak, {1:.1f} ps per token, layer and token of context, {2:.2f} ms per layer "
    "and pass",
}
UNITS = {"kernels": (1, 1, 1e3), "peak": (1, 1e12, 1e3)}


@dataclass(frozen=True)
class Constants:
    """Fitted constants of a family; they implement workload.Compute."""

    family: str
    values: tuple[float, ...]

    def layer(self, work: Workload, layer: Layer, tokens: float, machine: str | Machine) -> tuple[float, float]:
        """(forward, backward) seconds."""
        forward, backward = FAMILIES[self.family](work, layer, tokens, machine)
        return float(np.dot(forward, self.values)), float(np.dot(backward, self.values))

    def words(self) -> str:
        """The constants in a sentence."""
        shown = (value * unit for value, unit in zip(self.values, UNITS[self.family], strict=True))
        return WORDS[self.family].format(*shown)


@dataclass(frozen=True)
class Point:
    """A published run.  seconds: of a step."""

    id: str
    work: Workload
    systems: int
    samples_per_second: float
    calibrates: bool
    source: str
    note: str

    @property
    def seconds(self) -> float:
        return self.work.batch / self.systems / self.samples_per_second


@cache
def points() -> tuple[Point, ...]:
    """The table of published runs."""
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
    """The factors of the constants in a pass, forward and backward added."""
    return np.sum([np.sum(FAMILIES[family](work, layer, tokens, machine), axis=0) for layer in work.layers], axis=0)


def fit(chosen: Iterable[Point], family: str = "kernels") -> Constants:
    """Fit the constants by least squares of relative errors, with none below zero.

    Raises ConfigError for fewer than 4 runs.
    """
    rows = list(chosen)
    if len(rows) < 4:
        raise ConfigError(f"three constants cannot be fitted to {len(rows)} points: 4 or more are needed")
    matrix = []
    for point in rows:
        passes = point.work.passes(point.systems, Machine(ARCH))
        tokens = passes.sequences * point.work.sequence
        matrix.append(passes.passes * pass_terms(family, point.work, tokens, ARCH) / point.seconds)
    found = nonnegative(np.array(matrix), np.ones(len(rows)))
    return Constants(family, tuple(float(v) for v in found))


@cache
def calibrated(family: str = "kernels") -> Constants:
    """Fitted to the points of the table that calibrate."""
    return fit([p for p in points() if p.calibrates], family)


def left_out(point: Point, family: str = "kernels") -> Constants:
    """Fitted without a point, to predict it."""
    return fit([p for p in points() if p.calibrates and p.id != point.id], family)
