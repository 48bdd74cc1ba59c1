"""Comparison of the model of systems with all published figures: `wse validate --system`."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..costs import calibrate
from ..machine.parameters import Machine
from ..plan import microbatch
from ..records import dataclass
from . import analytic, capacity
from .events import simulate
from .parts import System

RMS_PCT = 10.0  # of the points that calibrate
MICRO_BATCH_PCT = 12.0


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
    micro_batch: float
    passes: int

    @property
    def error_pct(self) -> float:
        """Error of the simulated step time, in percent of the published one."""
        return 100 * (self.simulated / self.point.seconds - 1)


def points(family: str = "kernels") -> Iterator[Checked]:
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
            outcome.tokens / work.sequence,
            outcome.passes,
        )


def rms(errors: list[float]) -> float:
    """Root of the mean square."""
    return float(np.sqrt(np.mean(np.square(errors))))


@dataclass(frozen=True)
class Summary:
    """Root mean square errors in percent.

    calibrating: of the runs that the constants are fitted to.  left_out: of these, each predicted from the others.
    all: of every run, old software releases and other kinds of model included.
    """

    calibrating: float
    left_out: float
    all: float
    worst_micro_batch: float
    configurations_fit: bool

    @property
    def ok(self) -> bool:
        """Whether all errors are within their bars and all configurations hold their models."""
        return self.calibrating <= RMS_PCT and self.worst_micro_batch <= MICRO_BATCH_PCT and self.configurations_fit


def summary(checked: list[Checked]) -> Summary:
    """Summarise the runs, and check the published micro-batches and configurations."""
    fitted = [c for c in checked if c.point.calibrates]
    return Summary(
        rms([c.error_pct for c in fitted]),
        rms([c.left_out_pct for c in fitted]),
        rms([c.error_pct for c in checked]),
        max(abs(row.error_pct) for row in microbatch.published()),
        all(row[3] for row in capacity.configurations()),
    )
