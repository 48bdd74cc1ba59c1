"""Predictions for a training job: a row per number of systems, with intervals from the stated uncertainties.

The value is simulated event by event with the system as given.  The interval is the 5th to 95th percentile of draws
from priors.toml, evaluated with the analytic model.  Seconds of each number of systems are scaled so that the
analytic model has the simulated value for the system as given; value and interval of a speed-up are ratios of these
seconds.  The system as given is one of those that are possible, so an interval reaches at least to its value.

A speed-up is at most the number of systems: one system may take the passes of many one after the other, and does if
that is faster than passes as large as memory allows.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from ..costs import policies
from ..costs.calibrate import Constants, pass_terms
from ..errors import ConfigError
from ..memoryx import Ddr5, MemoryX
from ..memoryx.system import DIMM_96GB
from ..plan.microbatch import MicroBatch
from ..plan.workload import Workload
from ..records import dataclass
from . import analytic
from .analytic import Step
from .events import Outcome, simulate
from .parts import NETWORK, UPDATES, System

PRIORS = Path(__file__).with_name("priors.toml")
# Of the drawn inputs, those that the analytic model takes as they are.
ANALYTIC = ("exposed", "jitter", "dram", "gradient_bytes", "link", "hop")
# A batch that is not public is drawn from these multiples of the one that fills the largest cluster once.
BATCHES = (0.75, 1, 2, 4)
DRAWS = 4000
MIDDLE_PASSES = 3  # simulated passes of a step: first, middle, last


@cache
def priors() -> dict[str, dict[str, Any]]:
    """The uncertain inputs: name -> kind, its numbers, and why."""
    return tomllib.loads(PRIORS.read_text(encoding="utf-8"))


def draw(arch: str = "wse3", count: int = DRAWS, seed: int = 0, known: Collection[str] = ()) -> dict[str, np.ndarray]:
    """Independent draws of every uncertain input of systems of that wafer, but for those that are known."""
    random = np.random.default_rng(seed)
    found = {}
    for name, common in priors().items():
        if name in known:
            continue
        prior = common | common.get(arch, {})
        match prior["kind"]:
            case "uniform":
                found[name] = random.uniform(prior["low"], prior["high"], count)
            case "loguniform":
                found[name] = np.exp(random.uniform(np.log(prior["low"]), np.log(prior["high"]), count))
            case "choice":
                found[name] = random.choice(np.array(prior["values"], float), count)
            case kind:
                raise ConfigError(f"{PRIORS.name}: {name} is of kind {kind!r}: known are uniform, loguniform, choice")
    return found


@dataclass(frozen=True)
class Interval:
    """5th, 50th and 95th percentile."""

    low: float
    middle: float
    high: float

    @classmethod
    def of(cls, values: np.ndarray, value: float | None = None) -> Interval:
        """The 5th, 50th and 95th percentile of values [n]; low and high reach at least to `value`."""
        low, middle, high = map(float, np.percentile(values, [5, 50, 95]))
        return cls(low, middle, high) if value is None else cls(min(low, value), middle, max(high, value))


@dataclass(frozen=True)
class Row:
    """The prediction for a number of systems.

    speedup             over one system with the same batch
    seconds_interval, speedup_interval    see the module's docstring
    any_batch_interval  of the speed-up if the batch is unknown, too: BATCHES times this one
    division            the batch in passes
    """

    systems: int
    outcome: Outcome
    analytic: Step
    division: MicroBatch
    speedup: float
    seconds_interval: Interval
    speedup_interval: Interval
    any_batch_interval: Interval

    @property
    def efficiency(self) -> float:
        """Speedup divided by the number of systems."""
        return self.speedup / self.systems


def seconds_of(
    work: Workload,
    system: System,
    systems: int,
    constants: Constants,
    draws: dict[str, np.ndarray],
    micro_batch: int | MicroBatch | None = None,
) -> np.ndarray:
    """Seconds of a step by the analytic model for every draw; inputs that are not drawn are the system's own."""
    if isinstance(micro_batch, int) and micro_batch > -(-work.batch // systems):
        micro_batch = None  # of another batch than the one it was chosen for
    base = analytic.inputs(work, system, systems, constants, micro_batch)
    terms = sum(
        share * pass_terms(constants.family, work, size * work.sequence, system.machine, constants.level)
        for size, share in work.passes(systems, system.machine, micro_batch).mix()
        if size
    )
    *times, layers = np.asarray(terms)
    *factors, overhead = constants.values
    products, *others = np.multiply(times, factors)
    least = min(products, policies.floor(work, base.tokens, system.machine, constants.level))
    speed = draws.get("speed", 1.0)
    computing = np.maximum(products / speed, least) + sum(others) / speed
    computing = computing + layers * overhead * draws.get("overhead", 1.0)
    drawn: dict[str, Any] = {name: draws[name] for name in ANALYTIC if name in draws}
    if "dram" in drawn:
        drawn["dram"] = base.dram * drawn["dram"]
    made = replace(base, compute=computing, **drawn)
    return np.asarray(analytic.step(made).seconds)


Progress = Callable[[int, int], object]  # steps done, steps in all


def _ignored(done: int, total: int) -> None:
    pass


def predict(
    work: Workload,
    system: System,
    systems: Sequence[int],
    constants: Constants,
    micro_batch: int | None = None,
    draws: dict[str, np.ndarray] | None = None,
    progress: Progress = _ignored,
) -> list[Row]:
    """Predict a row for each number of systems, all with the same batch.  progress: called after each row."""
    draws = draw(system.machine.name) if draws is None else draws
    divided = divisions(work, system, {1, *systems}, constants, micro_batch)
    others = [replace(work, batch=max(1, round(work.batch * times))) for times in BATCHES]
    other_ones = [seconds_of(other, system, 1, constants, draws, micro_batch) for other in others]

    def evaluate(count: int) -> tuple[Outcome, Step, np.ndarray]:
        outcome = run(work, system, count, constants, divided[count])
        form = analytic.step(analytic.inputs(work, system, count, constants, divided[count]))
        drawn = seconds_of(work, system, count, constants, draws, divided[count])
        return outcome, form, drawn * (outcome.seconds / float(form.seconds))

    one = evaluate(1)
    rows = []
    for count in systems:
        outcome, form, drawn = one if count == 1 else evaluate(count)
        speedup = min(one[0].seconds / outcome.seconds, float(count))
        ratios = [
            np.minimum(alone / seconds_of(other, system, count, constants, draws, micro_batch), count)
            for other, alone in zip(others, other_ones, strict=True)
            if other.batch >= count
        ]
        rows.append(
            Row(
                count,
                outcome,
                form,
                divided[count],
                speedup,
                Interval.of(drawn, outcome.seconds),
                Interval.of(np.minimum(one[2] / drawn, count), speedup),
                Interval.of(np.concatenate(ratios), speedup),
            )
        )
        progress(len(rows), len(systems))
    return rows


def divisions(
    work: Workload,
    system: System,
    systems: Collection[int],
    constants: Constants,
    micro_batch: int | None = None,
) -> dict[int, MicroBatch]:
    """The division of the batch for each number of systems.  micro_batch: sequences of a pass; None: by memory.

    One system takes the passes of many, one after the other, where the analytic model says that it is faster.
    """
    found = {count: work.passes(count, system.machine, micro_batch) for count in systems}
    if 1 in found and micro_batch is None:
        own = found[1]
        tried = {own.passes} | {count * other.passes for count, other in found.items()}
        others = [replace(own, passes=passes) for passes in sorted(tried) if own.passes <= passes <= work.batch]
        found[1] = min(
            others,
            key=lambda one: (
                float(analytic.step(analytic.inputs(work, system, 1, constants, one)).seconds),
                one.passes,
            ),
        )
    return found


def intervals_by_input(
    work: Workload,
    system: System,
    systems: int,
    constants: Constants,
    draws: dict[str, np.ndarray] | None = None,
    micro_batch: int | None = None,
) -> dict[str, tuple[Interval, Interval]]:
    """Intervals of (seconds, speed-up) if only one uncertain input is drawn, by the name of the input."""
    draws = draw(system.machine.name) if draws is None else draws
    found = {}
    for name, values in draws.items():
        one, many = (seconds_of(work, system, n, constants, {name: values}, micro_batch) for n in (1, systems))
        found[name] = Interval.of(many), Interval.of(one / many)
    return found


def run(
    work: Workload,
    system: System,
    systems: int,
    constants: Constants,
    micro_batch: int | MicroBatch | None = None,
    **more: Any,
) -> Outcome:
    """The event-driven step; passes in the middle of a step are simulated once."""
    return simulate(work, system, systems, constants, micro_batch, **({"prefix": MIDDLE_PASSES} | more))


# --- why not sixteen times: one mechanism at a time ------------------------------------------------------------------


def _build(nodes: int, channels: int, part: Ddr5) -> MemoryX:
    return MemoryX.of(55e12, part, channels, nodes, network=NETWORK)


# 55 TB as they may be built, with DIMMs that hold them; two DIMMs a channel are one of twice the ranks.
BUILDS = {
    "576 channels, one DIMM each": _build(48, 12, DIMM_96GB),
    "576 channels of DDR5-4400": _build(48, 12, replace(DIMM_96GB, speed=4400)),
    "12 two-socket nodes": _build(12, 24, replace(DIMM_96GB, ranks=4)),
    "288 channels, two DIMMs each": _build(24, 12, replace(DIMM_96GB, ranks=4, speed=3600)),
    "12 one-socket nodes": _build(12, 12, replace(DIMM_96GB, ranks=4, density=32)),
}


@dataclass(frozen=True)
class Mechanism:
    """One cause of imperfect scaling, by itself.

    rows: (varied value, speed-up).  needed: the size of this cause that would explain the published figure by itself;
    it is computed last and used nowhere.  apart: what this cause of that size gives elsewhere, by the analytic model:
    the speed-up of a quarter of the systems, and of all with twice the batch.  A second measurement there would tell
    the causes apart.  nan if no size explains the figure.
    """

    name: str
    how: str
    rows: list[tuple[str, float]]
    needed: str
    apart: tuple[float, float] = (math.nan, math.nan)


def mechanisms(
    workload_of: Callable[[int], Workload],
    batch: int,
    system: System,
    systems: int,
    constants: Constants,
    published: float,
    chunks: int = 2,
    progress: Progress = _ignored,
) -> list[Mechanism]:
    """The three mechanisms, each with the others switched off.  workload_of(batch) gives the job at a batch.

    progress: called after each speed-up.
    """
    work = workload_of(batch)
    quiet = replace(system, jitter=0.0, update="arriving")

    batches = sorted({batch // 5, 2 * batch // 5, 3 * batch // 5, 4 * batch // 5, batch, 2 * batch, 4 * batch})
    batches = [b for b in batches if b >= systems]
    spreads = (0.0, 0.005, 0.01, 0.02, 0.03)
    done, total = 0, len(BUILDS) + len(batches) + len(spreads)

    def speedup(work: Workload, system: System, seeds: int = 1) -> float:
        nonlocal done
        one = run(work, system, 1, constants, chunks=chunks).seconds
        many = [run(work, system, systems, constants, seed=seed, chunks=chunks).seconds for seed in range(seeds)]
        done += 1
        progress(done, total)
        return float(one / np.mean(many))

    exposed = [(name, speedup(work, replace(quiet, update="serial", memoryx=build))) for name, build in BUILDS.items()]
    small = [(f"batch {b}", speedup(workload_of(b), quiet)) for b in batches]
    spread = [
        (f"spread {100 * sigma:g} %", speedup(work, replace(quiet, jitter=sigma), 5 if sigma else 1))
        for sigma in spreads
    ]
    quarter = max(2, systems // 4)

    def ideal(count: int, times: int = 1, of: int = batch) -> float:
        job = workload_of(times * of)
        return float(analytic.step(analytic.inputs(job, quiet, count, constants)).seconds)

    one, all_of = ideal(1), ideal(systems)
    # speed-up = (one + a) / (all_of + a): the time a that both spend besides
    serial = (one - published * all_of) / (published - 1)
    sigma = (one / published - all_of) / (all_of * analytic.slowest(systems)) if one > published * all_of else 0.0
    crossing = _crossing([(float(name.split()[1]), value) for name, value in small], published)
    few = max(systems, round(crossing)) if crossing else 0

    def slowed(count: int) -> float:
        return 1 + sigma * analytic.slowest(count)

    return [
        Mechanism(
            "exposed optimiser",
            UPDATES["serial"],
            exposed,
            f"{serial:.1f} s per step of waiting ({100 * serial / (one + serial):.2f} % of one system's step)",
            (
                (one + serial) / (ideal(quarter) + serial),
                (ideal(1, 2) + serial) / (ideal(systems, 2) + serial),
            ),
        ),
        Mechanism(
            "small batch",
            "passes so short that the streams of weights and gradients bound them",
            small,
            f"a batch of {crossing:.0f} sequences" if crossing else "no batch of these",
            (ideal(1, 1, few) / ideal(quarter, 1, few), ideal(1, 2, few) / ideal(systems, 2, few))
            if few
            else (math.nan, math.nan),
        ),
        Mechanism(
            "stragglers",
            "the slowest of all wafers sets the pace",
            spread,
            f"a spread of {100 * sigma:.1f} % of a pass",
            (
                one / (ideal(quarter) * slowed(quarter)),
                ideal(1, 2) / (ideal(systems, 2) * slowed(systems)),
            ),
        ),
    ]


def _crossing(points: list[tuple[float, float]], level: float) -> float | None:
    """The abscissa at which a piecewise linear function first rises through `level`, or None."""
    for (x0, y0), (x1, y1) in pairwise(points):
        if y0 < level <= y1:
            return x0 + (level - y0) / (y1 - y0) * (x1 - x0)
    return None
