"""How fast the vendor's kernels are: three constants, fitted to published CS-2 runs and to nothing else.

    seconds of a pass = tokens x (6 N_mm / (efficiency x peak) + attention x layers x context) + overhead x layers

efficiency is the share of peak that compiled products reach, attention what a token costs per layer and token of
context, overhead what a layer costs per pass.  Of a pass, a third is forward.  The CS-3 has the CS-2's constants with
its own peak: nothing is fitted to it, and nothing to how systems scale.  The constants describe runs, not hardware.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from ..errors import ConfigError
from ..models import load
from .parts import PEAK
from .workload import Layer, Workload, workload

TABLE = Path(__file__).with_name("cs2_points.csv")
ARCH = "wse2"


@dataclass(frozen=True)
class Constants:
    """efficiency: share of peak; attention: seconds per token, layer and token of context; overhead: seconds per layer
    and pass."""

    efficiency: float
    attention: float
    overhead: float

    def layer(self, work: Workload, layer: Layer, tokens: float, arch: str) -> tuple[float, float]:
        """(forward, backward) seconds; see workload.Compute."""
        product = 6 * layer.matmul / (self.efficiency * PEAK[arch])
        whole = tokens * (product + self.attention * layer.depth * work.sequence) + self.overhead * layer.depth
        return whole / 3, 2 * whole / 3


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


def terms(point: Point) -> np.ndarray:
    """What the constants multiply in a step of a point: (1/efficiency, attention, overhead)."""
    work = point.work
    chosen = work.passes(point.systems, ARCH)
    tokens = chosen.passes * chosen.sequences * work.sequence
    return np.array(
        [
            tokens * 6 * work.matmul / PEAK[ARCH],
            tokens * work.depth * work.sequence,
            chosen.passes * work.depth,
        ]
    )


def fit(chosen: Iterable[Point]) -> Constants:
    """The constants with the least mean square of relative errors; none is allowed below zero."""
    rows = list(chosen)
    if len(rows) < 4:
        raise ConfigError(f"three constants cannot be fitted to {len(rows)} points: 4 or more are needed")
    matrix = np.array([terms(p) / p.seconds for p in rows])
    scale = np.abs(matrix).max(axis=0)
    found = _nonnegative(matrix / scale, np.ones(len(rows))) / scale
    return Constants(float(1 / found[0]), float(found[1]), float(found[2]))


def _nonnegative(matrix: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Least squares without negative coefficients, by trying every set of columns: there are few."""
    best, least = np.zeros(matrix.shape[1]), np.inf
    for mask in range(1, 1 << matrix.shape[1]):
        columns = [i for i in range(matrix.shape[1]) if mask >> i & 1]
        found = np.linalg.lstsq(matrix[:, columns], target, rcond=None)[0]
        error = float(((matrix[:, columns] @ found - target) ** 2).sum())
        if (found >= 0).all() and error < least:
            best, least = np.zeros(matrix.shape[1]), error
            best[columns] = found
    return best


@cache
def calibrated() -> Constants:
    """Fitted to the points of the table that calibrate."""
    return fit(p for p in points() if p.calibrates)


def left_out(point: Point) -> Constants:
    """Fitted without a point, to predict it."""
    return fit(p for p in points() if p.calibrates and p.id != point.id)
