"""The kernels that have a cost model, and the recorded runs that their constants are fitted to.

executed.csv holds the runs; those marked `held` are held out of the fit.  `wse costs --measure` executes them again.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path

from ..errors import ConfigError
from . import kernels, operators
from .fit import Executed, Fit, Model, fit

TABLE = Path(__file__).with_name("executed.csv")
BAR_PCT = 10.0  # largest accepted error on a held-out run, in percent
COLUMNS = "kernel,shape,cycles,held"


@cache
def models() -> dict[str, Model]:
    """All cost models, by name of the kernel."""
    every = (kernels.gemv("same"), kernels.gemv("f32"), kernels.allreduce(), *operators.layer_models())
    return {model.name: model for model in every}


@cache
def executed(path: Path = TABLE) -> tuple[Executed, ...]:
    """The recorded runs, in the order of the table."""
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


def measure(
    names: Iterable[str] | None = None,
    report: Callable[[str], None] = lambda _: None,
    overrides: Mapping[str, int | str] | None = None,
) -> list[Executed]:
    """Execute every shape of these models; None: of all models.

    report: called with kernel and shape before each run.  overrides: changed figures of the machine, as for Machine.
    """
    known = models()
    found = []
    for name in known if names is None else names:
        model = known[name]
        for held, shapes in ((False, model.fitted), (True, model.held)):
            for values in shapes:
                shape = model.shape(values)
                report(f"{name} {' '.join(f'{size}={value}' for size, value in shape.items())}")
                found.append(Executed(name, shape, model.execute(shape, overrides), held))
    return found


def write(runs: Iterable[Executed], path: Path = TABLE) -> None:
    """Write the table of recorded runs, and clear the caches of `executed` and `fitted`."""
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


def fits() -> dict[str, Fit]:
    """The fitted constants of all kernels, from the recorded runs."""
    return {name: fitted(name) for name in models()}


@cache
def fitted(name: str) -> Fit:
    """The fitted constants of a kernel, from the recorded runs.  Raises ConfigError for an unknown name."""
    model = models().get(name)
    if model is None:
        raise ConfigError(f"there is no cost model of {name!r}: known are {'; '.join(models())}")
    return fit(model, [run for run in executed() if run.kernel == name])
