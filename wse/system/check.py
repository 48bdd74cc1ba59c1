"""Comparison of the model of systems with all published figures: `wse validate --system`."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..costs import calibrate, policies
from ..machine.parameters import Machine
from ..operators.policy import LEVELS
from ..plan import microbatch
from ..records import dataclass
from . import analytic, capacity
from .events import simulate
from .parts import System

RMS_PCT = 10.0  # of the points that calibrate
MICRO_BATCH_PCT = 12.0
PAIR_PCT = 15.0  # of the ratio of a CS-3's rate to a CS-2's


@dataclass(frozen=True)
class Checked:
    """A published run and its simulation, in seconds of a step.

    left_out_pct: the error in percent if the constants are fitted without this run; for runs that are not fitted to, it
    equals error_pct.
    """

    point: calibrate.Point
    simulated: float
    analytic: float
    left_out_pct: float
    micro_batch: int
    passes: int

    @property
    def error_pct(self) -> float:
        """Error of the simulated step time, in percent of the published one."""
        return 100 * (self.simulated / self.point.seconds - 1)

    @property
    def released_pct(self) -> tuple[float, float]:
        """Errors if the step takes as many times as long as the notes on the run's release say: least and most."""
        low, high = (100 * (self.simulated * times / self.point.seconds - 1) for times in self.point.release)
        return low, high

    @property
    def middle_pct(self) -> float:
        """The error at the geometric mean of both."""
        low, high = self.point.release
        return 100 * (self.simulated * (low * high) ** 0.5 / self.point.seconds - 1)


def points(family: str = "peak") -> Iterator[Checked]:
    """Simulate every published run event by event on a CS-2 with its batch."""
    system = System(machine=Machine(calibrate.ARCH))
    constants = calibrate.calibrated(family)
    for point in calibrate.points():
        work = point.work
        outcome = simulate(work, system, point.systems, constants)
        form = analytic.step(analytic.inputs(work, system, point.systems, constants))
        other = constants
        if point.calibrates:
            other = calibrate.left_out(point, family)
        again = simulate(work, system, point.systems, other) if point.calibrates else outcome
        yield Checked(
            point,
            outcome.seconds,
            float(form.seconds),
            100 * (again.seconds / point.seconds - 1),
            work.passes(point.systems, system.machine).sequences,
            outcome.passes,
        )


@dataclass(frozen=True)
class CheckedPair:
    """A published pair of runs and the simulated ratio of a CS-3's rate to a CS-2's.

    seconds, simulated: of a step on each; slack: what the pair says of a CS-3 (calibrate.slacks); computing_pct: the
    error in percent of the ratio of computing times; left_out_pct: of these with the slack of the other pairs.
    """

    pair: calibrate.Pair
    simulated: tuple[float, float]
    slack: float
    computing_pct: float
    left_out_pct: float

    @property
    def seconds(self) -> tuple[float, float]:
        """Published seconds of a step, on a CS-2 and on a CS-3."""
        few, many = (work.batch / rate for work, rate in zip(self.pair.works, self.pair.rates, strict=True))
        return few, many

    @property
    def ratio(self) -> float:
        """The simulated ratio."""
        few, many = (work.batch / seconds for work, seconds in zip(self.pair.works, self.simulated, strict=True))
        return many / few

    @property
    def error_pct(self) -> float:
        """Error of the simulated ratio, in percent of the published one."""
        return 100 * (self.ratio / self.pair.ratio - 1)


def pairs() -> Iterator[CheckedPair]:
    """Simulate every published pair of runs with the constants of "peak"."""
    constants = calibrate.calibrated("peak")
    for pair in calibrate.pairs():
        few, many = (
            simulate(work, System(machine=Machine(arch)), 1, constants).seconds
            for work, arch in zip(pair.works, calibrate.WAFERS, strict=True)
        )
        computing = pair.predicted(constants)
        errors = (
            100 * (computing * times / pair.ratio - 1) for times in (1, calibrate.slack() / calibrate.slack(pair.id))
        )
        yield CheckedPair(pair, (few, many), calibrate.slacks()[pair.id], *errors)


@dataclass(frozen=True)
class CheckedEvaluation:
    """A published rate of forward passes on a CS-3, and the model's, in samples per second.

    token_seconds: what the published time is longer, for each token.  with_other_pct: the error in percent if those of
    the other evaluations (their mean) are added to the model's time.
    """

    evaluation: calibrate.Evaluation
    rate: float
    token_seconds: float
    with_other_pct: float

    @property
    def error_pct(self) -> float:
        """Error of the rate, in percent of the published one."""
        return 100 * (self.rate / self.evaluation.rate - 1)


def evaluations() -> Iterator[CheckedEvaluation]:
    """The forward part of a step of each published evaluation, by the analytic model."""
    chosen = calibrate.evaluations()
    seconds = [
        float(analytic.step(analytic.inputs(one.work, System(), 1, calibrate.calibrated("peak"))).forward)
        for one in chosen
    ]
    more = [(one.work.batch / one.rate - own) / one.work.tokens for one, own in zip(chosen, seconds, strict=True)]
    for i, (one, own) in enumerate(zip(chosen, seconds, strict=True)):
        other = float(np.mean(more[:i] + more[i + 1 :]))
        with_other = one.work.batch / (own + other * one.work.tokens)
        yield CheckedEvaluation(one, one.work.batch / own, more[i], 100 * (with_other / one.rate - 1))


@dataclass(frozen=True)
class CheckedPolicy:
    """Products with weights at a level of precision, in multiply-adds per PE and cycle.

    forward, backward: executed at the largest tile; executed: of both.  bound: by ports of the memory.  compiled: by
    the constants of "peak" at policies.DEFAULT.  fit_pct: calibrate.fit_pct, of a CS-2; 0 otherwise.
    """

    wafer: str
    level: str
    forward: float
    backward: float
    executed: float
    bound: float
    compiled: float
    fit_pct: float

    @property
    def share(self) -> float:
        """Of the bound that compiled programs reach."""
        return self.compiled / self.bound

    @property
    def of_executed(self) -> float:
        """Compiled programs' rate over that of executed ones."""
        return self.compiled / self.executed


def policies_of() -> Iterator[CheckedPolicy]:
    """Each level of precision on each wafer."""
    for arch in calibrate.WAFERS:
        machine = Machine(arch)
        for level in LEVELS:
            rates = policies.executed(level, arch)
            yield CheckedPolicy(
                arch,
                level,
                *rates,
                policies.whole(rates),
                policies.whole(policies.bound(level, machine)),
                calibrate.compiled_rate(machine),
                calibrate.fit_pct(level) if arch == calibrate.ARCH else 0.0,
            )


def rms(errors: list[float]) -> float:
    """Root of the mean square."""
    return float(np.sqrt(np.mean(np.square(errors))))


@dataclass(frozen=True)
class Summary:
    """Root mean square errors in percent.

    calibrating: of the runs that the constants are fitted to.  left_out: of these, each predicted from the others.
    all: of every run, other kinds of model included, and old software releases with the factors of the vendor's notes.
    """

    calibrating: float
    left_out: float
    all: float
    worst_micro_batch: float
    worst_pair: float
    configurations_fit: bool

    @property
    def ok(self) -> bool:
        """Whether all errors are within their bars and all configurations hold their models."""
        return (
            self.calibrating <= RMS_PCT
            and self.worst_micro_batch <= MICRO_BATCH_PCT
            and self.worst_pair <= PAIR_PCT
            and self.configurations_fit
        )


def summary(checked: list[Checked]) -> Summary:
    """Summarise the runs, and check the published micro-batches and configurations."""
    fitted = [c for c in checked if c.point.calibrates]
    return Summary(
        rms([c.error_pct for c in fitted]),
        rms([c.left_out_pct for c in fitted]),
        rms([c.middle_pct for c in checked]),
        max(abs(row.error_pct) for row in microbatch.published()),
        max(abs(pair.error_pct) for pair in pairs()),
        all(row[3] for row in capacity.configurations()),
    )
