"""Efficiency of the vendor's kernels: three constants per model, fitted to published runs on one or more CS-2.

There are two families of models.  Both are linear in their constants:

    peak      the time of the flops of products with weights at the wafer's peak rate, times a factor; that of products
              of activations (attention), times another; and an overhead in seconds per layer and pass
    kernels   cycles of executed kernels (wafer.py) times a factor; those of attention, which is executed on fewer rows
              of PEs, times a second factor; and an overhead in seconds per layer and pass

The constants describe compiled programs, not hardware, and are fitted to no run on a CS-3 and to no scaling over
systems.  On another wafer everything that "peak" counts takes less time by the ratio of the peak rates, 2.09 for a
CS-3: PEs, lanes and clock of the machine's rows.  One factor of a CS-3 besides, the slack, says by how much two
published pairs of runs (cs3_pairs.csv) fall short of that ratio: what the ports of a PE's memory, which are those of
a WSE-2, leave of twice the lanes, and what software of other releases changed.  It is the geometric mean of both;
they differ by a quarter.  A kernel that reads and writes its sums for each weight would gain 1.1 instead of 2.09, as
those of "kernels" do.

Published runs are assumed to be of the vendor's default policy of precision (policies.DEFAULT).  At another level,
times change as those of executed kernels do.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np

from ..errors import ConfigError
from ..machine.parameters import Machine
from ..models import load
from ..plan.workload import Layer, Workload, workload
from ..records import dataclass
from . import policies, wafer
from .fit import nonnegative

TABLE = Path(__file__).with_name("cs2_points.csv")
ARCH = "wse2"


Terms = tuple[tuple[float, ...], tuple[float, ...]]  # forward, backward: the factor of each constant


def _peak_terms(work: Workload, layer: Layer, tokens: float, machine: str | Machine, level: str) -> Terms:
    """The factors of the constants of the family "peak": seconds at peak of products with weights, of products of
    activations, and layers; on another wafer than a CS-2 in proportion to its peak, and with the slack of a CS-3.

    The forward pass has a third of each, the backward pass two thirds.  Zero weights take no time in products with
    weights: in the forward pass and in half of the backward pass, but not in the weight gradient.
    """
    machine = Machine.of(machine)
    times = 1.0 if machine.name == ARCH else slack()
    flops, mixing = (tokens * per / machine.peak_flops * times for per in (6 * layer.matmul, layer.mixing))
    overhead = layer.depth * times * Machine(ARCH).peak_flops / machine.peak_flops
    sparse = work.density, (1 + work.density) / 2
    forward, backward = policies.ratios(work, layer, tokens, machine, level)
    return (
        (forward[0] * sparse[0] * flops / 3, forward[1] * mixing / 3, overhead / 3),
        (backward[0] * sparse[1] * 2 * flops / 3, backward[1] * 2 * mixing / 3, 2 * overhead / 3),
    )


FAMILIES: dict[str, Callable[[Workload, Layer, float, str | Machine, str], Terms]] = {
    "peak": _peak_terms,
    "kernels": wafer.terms,
}
# Sentences about the constants of a family; the last constant is the overhead.
_WORDS = {
    "kernels": "compiled kernels take {0:.2f} times the cycles of executed ones, attention {1:.2f} times, "
    "plus {2:.2f} ms per layer and pass",
    "peak": "products with weights take {0:.2f} times the time at peak, attention {1:.2f} times, plus {2:.2f} ms per "
    "layer and pass",
}
_UNITS = (1, 1, 1e3)  # constants in sentences: seconds to ms


@dataclass(frozen=True)
class Constants:
    """Fitted constants of a family; they implement workload.Compute.  level: of the policy of precision of the jobs
    that are predicted, "POL0" to "POL2"."""

    family: str
    values: tuple[float, ...]
    level: str = policies.DEFAULT

    def layer(self, work: Workload, layer: Layer, tokens: float, machine: str | Machine) -> tuple[float, float]:
        """(forward, backward) seconds of a layer for a number of tokens."""
        forward, backward = FAMILIES[self.family](work, layer, tokens, machine, self.level)
        return float(np.dot(forward, self.values)), float(np.dot(backward, self.values))

    def words(self) -> str:
        """A sentence that states the constants."""
        shown = (value * unit for value, unit in zip(self.values, _UNITS, strict=True))
        return _WORDS[self.family].format(*shown)


@dataclass(frozen=True)
class Point:
    """A published run.  calibrates: used for the fit.  release: range of the time of its software release over that of
    the releases since, by the vendor's notes; 1 to 1 if it is none of old software."""

    id: str
    work: Workload
    systems: int
    samples_per_second: float
    calibrates: bool
    source: str
    note: str
    release: tuple[float, float] = (1.0, 1.0)

    @property
    def seconds(self) -> float:
        """Seconds of a step."""
        return self.work.batch / self.systems / self.samples_per_second


@cache
def points() -> tuple[Point, ...]:
    """The published runs, in the order of the table."""
    return tuple(
        Point(
            row["id"],
            _work(row, "batch"),
            int(row["systems"]),
            float(row["samples_per_second"]),
            row["calibrates"] == "yes",
            row["source"],
            row["note"],
            (float(row["release_low"]), float(row["release_high"])),
        )
        for row in _rows(TABLE)
    )


def pass_terms(
    family: str, work: Workload, tokens: float, machine: str | Machine, level: str = policies.DEFAULT
) -> np.ndarray:
    """float64 [constants]: the factors of a family's constants in a pass, forward and backward added."""
    terms = FAMILIES[family]
    made = [count * np.sum(terms(work, layer, tokens, machine, level), axis=0) for layer, count in work.kinds()]
    return np.sum(made, axis=0)


def fit(chosen: Iterable[Point], family: str = "peak", level: str = policies.DEFAULT) -> Constants:
    """Fit the constants of a family by least squares of relative errors; none is negative.

    level: the policy of precision that the runs are assumed to have had.  Raises ConfigError for fewer than 4 runs.
    """
    rows = list(chosen)
    if len(rows) < 4:
        raise ConfigError(f"three constants cannot be fitted to {len(rows)} runs: 4 or more are needed")
    matrix = []
    for point in rows:
        passes = point.work.passes(point.systems, Machine(ARCH))
        tokens = passes.mean * point.work.sequence
        matrix.append(passes.passes * pass_terms(family, point.work, tokens, ARCH, level) / point.seconds)
    found = nonnegative(np.array(matrix), np.ones(len(rows)))
    return Constants(family, tuple(float(v) for v in found), level)


@cache
def calibrated(family: str = "peak", level: str = policies.DEFAULT) -> Constants:
    """The constants fitted to all runs of the table that calibrate, for jobs of a policy of precision."""
    policies.check(level)
    return replace(fit([p for p in points() if p.calibrates], family), level=level)


@cache
def fit_pct(level: str) -> float:
    """Root mean square error in percent of the family "kernels", if the runs are assumed to have had this policy."""
    chosen = [p for p in points() if p.calibrates]
    constants = fit(chosen, "kernels", level)
    errors = [step_seconds(constants, p.work, ARCH, p.systems) / p.seconds - 1 for p in chosen]
    return 100 * float(np.sqrt(np.mean(np.square(errors))))


def compiled_rate(machine: Machine) -> float:
    """Multiply-adds per PE and cycle that the constants of "peak" say of products with weights, policy DEFAULT."""
    times = 1.0 if machine.name == ARCH else slack()
    return machine.pe_flops_milli / 2000 / (calibrated("peak").values[0] * times)


def left_out(point: Point, family: str = "peak") -> Constants:
    """The constants fitted without one run, to predict it."""
    return fit([p for p in points() if p.calibrates and p.id != point.id], family)


# --- the factor of a CS-3 --------------------------------------------------------------------------------------------

PAIRS = Path(__file__).with_name("cs3_pairs.csv")
EVALUATIONS = Path(__file__).with_name("cs3_evaluation.csv")
WAFERS = ("wse2", "wse3")


@dataclass(frozen=True)
class Pair:
    """The same job on one CS-2 and on one CS-3.  works, rates: of both, in samples per second."""

    id: str
    works: tuple[Workload, Workload]
    rates: tuple[float, float]
    source: str

    @property
    def ratio(self) -> float:
        """How many times as many samples per second the CS-3 has."""
        return self.rates[1] / self.rates[0]

    def predicted(self, constants: Constants) -> float:
        """The ratio by the computing times, with the slack of a CS-3."""
        rate = [work.batch / step_seconds(constants, work, arch) for work, arch in zip(self.works, WAFERS, strict=True)]
        return rate[1] / rate[0]


def step_seconds(constants: Constants, work: Workload, arch: str, systems: int = 1) -> float:
    """Seconds of computing in a step on so many wafers."""
    passes = work.passes(systems, Machine(arch))
    terms = pass_terms(constants.family, work, passes.mean * work.sequence, arch, constants.level)
    return float(passes.passes * (terms @ constants.values))


@cache
def pairs() -> tuple[Pair, ...]:
    """The published pairs, in the order of the table."""
    return tuple(
        Pair(
            row["id"],
            (_work(row, "batch_cs2"), _work(row, "batch_cs3")),
            (float(row["cs2"]), float(row["cs3"])),
            row["source"],
        )
        for row in _rows(PAIRS)
    )


@cache
def slacks() -> dict[str, float]:
    """What each published pair says of a CS-3: its time as a multiple of that which the ratio of peak rates gives."""
    found = {}
    for pair in pairs():
        few, many = (Machine(arch) for arch in WAFERS)
        passes = [work.passes(1, machine) for work, machine in zip(pair.works, (few, many), strict=True)]
        times = []
        for work, division in zip(pair.works, passes, strict=True):  # both as on a CS-2
            terms = pass_terms("peak", work, division.mean * work.sequence, ARCH)
            times.append(division.passes * float(terms @ calibrated("peak").values) / work.batch)
        ideal = times[0] / times[1] * many.peak_flops / few.peak_flops
        found[pair.id] = ideal / pair.ratio
    return found


@cache
def slack(without: str | None = None) -> float:
    """The factor of a CS-3: the geometric mean of `slacks`, or of those of the other pairs than one."""
    return float(np.exp(np.mean([np.log(value) for name, value in slacks().items() if name != without])))


@dataclass(frozen=True)
class Evaluation:
    """A published rate of forward passes on one CS-3, in samples per second."""

    id: str
    work: Workload
    rate: float
    source: str


@cache
def evaluations() -> tuple[Evaluation, ...]:
    """The published evaluations, in the order of the table."""
    return tuple(
        Evaluation(row["id"], _work(row, "batch"), float(row["cs3"]), row["source"]) for row in _rows(EVALUATIONS)
    )


def _rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(line for line in path.read_text().splitlines() if not line.startswith("#")))


def _work(row: dict[str, str], batch: str) -> Workload:
    return workload(load(row["model"]), int(row[batch]), int(row["sequence"]))
