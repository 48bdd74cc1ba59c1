"""`wse costs`: the cost models of kernels, what they were fitted to, how far off they are on runs left out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from ..costs import recorded, step_check
from ..costs.fit import Fit
from ..models import graph, load
from . import common, types
from .output import Lines, Table, number, show, text


@click.command("costs")
@common.flag("--measure", help="Execute all shapes again and record their cycles first; takes minutes.")
@common.option("--only", type=types.WORD, multiple=True, metavar="KERNEL", help="Measure this kernel only; repeatable.")
@common.flag("--runs", help="Print every held-out run.")
@common.option(
    "--step", type=types.WORD, metavar="MODEL", help="Execute a training step of MODEL and compare it with the models."
)
@common.json_option
def command(measure: bool, only: tuple[str, ...], runs: bool, step: str | None, as_json: bool) -> int:
    """Print the cost models of kernels: constants in cycles, and errors on executed shapes not fitted to.

    Exit status 1: the largest error on those is above the bar for some kernel.
    """
    if only and not measure:
        raise click.UsageError("--only goes with --measure")
    known = tuple(recorded.models())
    if unknown := [name for name in only if name not in known]:
        raise click.UsageError(f"there is no cost model {unknown[0]!r}: known are {'; '.join(known)}")
    transformer = load(step) if step is not None else None
    if measure:
        chosen = only or known
        runs_before = recorded.executed() if recorded.TABLE.exists() else ()
        kept = [run for run in runs_before if run.kernel not in chosen and run.kernel in known]
        made = recorded.measure(chosen, lambda what: click.echo(what, err=True))
        recorded.write(sorted([*kept, *made], key=lambda run: known.index(run.kernel)))
    if transformer is not None:
        names = ("kind", "phase", "executed", "modelled", "error_pct")
        rows = step_check.compare(graph(transformer))
        operators = [{name: getattr(row, name) for name in names} for row in rows]
        show({"model": step, "operators": operators}, STEP, as_json)
        return 0 if abs(rows[-1].error_pct) <= recorded.BAR_PCT else 1
    found = recorded.fits()
    document = {"bar_pct": recorded.BAR_PCT, "kernels": [describe(fit) for fit in found.values()]}
    show(document, [*MODELS, RUNS] if runs else MODELS, as_json)
    return 0 if all(fit.worst_pct <= recorded.BAR_PCT for fit in found.values()) else 1


def describe(fit: Fit) -> dict[str, Any]:
    """A kernel in JSON; keys are stable."""
    held = [run for run in recorded.executed() if run.kernel == fit.model.name and run.held]
    return {
        "kernel": fit.model.name,
        "constants": dict(zip(fit.model.terms, fit.constants, strict=True)),
        "fitted_runs": len(fit.errors_pct),
        "fitted_worst_pct": max(abs(error) for error in fit.errors_pct),
        "held_runs": [
            {"shape": run.shape, "cycles": run.cycles, "error_pct": error}
            for run, error in zip(held, fit.held_pct, strict=True)
        ],
        "held_mean_pct": fit.mean_pct,
        "held_worst_pct": fit.worst_pct,
    }


def held_runs(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every held-out run with its kernel."""
    return [run | {"kernel": kernel["kernel"]} for kernel in document["kernels"] for run in kernel["held_runs"]]


STEP = [
    Table(
        "operators",
        [
            text("operators", "{kind}"),
            text("phase", "{phase}"),
            number("executed", "{executed:,}"),
            number("modelled", "{modelled:,.0f}"),
            number("error", "{error_pct:+.1f} %"),
        ],
    ),
    Lines(["cycles of a training step of {model}, executed; nothing is fitted to steps"]),
]

MODELS = [
    Table(
        "kernels",
        [
            text("kernel", "{kernel}"),
            number("fitted runs", "{fitted_runs}"),
            number("worst", "{fitted_worst_pct:.1f} %"),
            number("held out", lambda row: str(len(row["held_runs"]))),
            number("mean", "{held_mean_pct:.1f} %"),
            number("worst", "{held_worst_pct:.1f} %"),
        ],
        under=lambda row: ", ".join(f"{term} {value:.3g}" for term, value in row["constants"].items() if value > 1e-6),
    ),
    Lines(["cycles; executed on the emulated WSE-3 or WSE-2; bar for held-out runs: {bar_pct:g} %"]),
]

RUNS = Table(
    held_runs,
    [
        text("kernel", "{kernel}"),
        text("held-out run", lambda row: " ".join(f"{size}={value}" for size, value in row["shape"].items())),
        number("cycles", "{cycles:,}"),
        number("error", "{error_pct:+.1f} %"),
    ],
)
