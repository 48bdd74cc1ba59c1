"""`wse costs`: the cost models of kernels, the runs that they are fitted to, and their errors on held-out runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click

from ..costs import recorded, step_check
from ..costs.fit import Executed, Fit, fit
from ..errors import did_you_mean
from ..machine.parameters import Machine
from ..models import graph, load
from . import common, types
from .output import Lines, Table, number, show, text

# Figures of the machine that do not change cycles of kernels: the clock, those of models of whole systems, and those of
# host programs.
NOT_EXECUTED = (
    *("clock_hz", "usable_pes", "wafer_bytes", "peak_clock_hz", "pe_flops_milli"),
    *("launch_cycles", "h2d_start_cycles", "d2h_start_cycles", "copy_pe_cycles", "h2d_words_milli", "d2h_words_milli"),
)


@click.command("costs")
@common.flag("--measure", help="Execute all shapes again and record their cycles first; takes minutes.")
@common.option("--only", type=types.WORD, multiple=True, metavar="KERNEL", help="Measure this kernel only; repeatable.")
@common.option(
    "--set",
    "settings",
    type=types.Setting(),
    multiple=True,
    help="With --measure: change a figure of the machine, and record nothing; repeatable.",
)
@common.flag("--runs", help="Print every held-out run.")
@common.option(
    "--step", type=types.MODEL, metavar="MODEL", help="Execute a training step of MODEL and compare it with the models."
)
@common.json_option
def command(
    measure: bool,
    only: tuple[str, ...],
    settings: tuple[tuple[str, str], ...],
    runs: bool,
    step: str | None,
    as_json: bool,
) -> int:
    """Print the cost models of kernels: constants in cycles, and errors on held-out runs.

    Exit status 1: for a kernel, the largest error on held-out runs exceeds the bar.
    """
    if only and not measure:
        raise click.UsageError("--only goes with --measure")
    if settings and (not measure or step is not None):
        raise click.UsageError(
            "--set goes with --measure and without --step: the recorded runs are those of the unchanged machine"
        )
    known = tuple(recorded.models())
    if unknown := [name for name in only if name not in known]:
        near = did_you_mean(unknown[0], known, most=0) or f"known are {'; '.join(known)}"
        raise click.UsageError(f"there is no cost model {unknown[0]!r}: {near}")
    transformer = load(step) if step is not None else None
    chosen = only or known
    if settings:
        overrides = changed(settings)
        made = recorded.measure(chosen, lambda what: click.echo(what, err=True), overrides)
        models = {name: model for name, model in recorded.models().items() if name in chosen}
        found = {name: fit(model, [run for run in made if run.kernel == name]) for name, model in models.items()}
        document, status = describe_all(found, made)
        show(document | {"overrides": overrides}, [*MODELS, RUNS] if runs else MODELS, as_json)
        return status
    if measure:
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
    document, status = describe_all(recorded.fits(), recorded.executed())
    show(document, [*MODELS, RUNS] if runs else MODELS, as_json)
    return status


def changed(settings: Iterable[tuple[str, str]]) -> dict[str, int]:
    """The changed figures.  Raises ConfigError for an invalid one, and UsageError for one without effect on cycles."""
    overrides = dict(Machine(overrides=dict(settings)).overrides)
    if useless := [name for name in overrides if name in NOT_EXECUTED]:
        raise click.UsageError(f"{useless[0]} has no effect on cycles")
    return overrides


def describe_all(fits: Mapping[str, Fit], runs: Sequence[Executed]) -> tuple[dict[str, Any], int]:
    """(the document in JSON, the exit status).  runs: those that were fitted to, and the held-out ones."""
    document = {"bar_pct": recorded.BAR_PCT, "kernels": [describe(fit, runs) for fit in fits.values()]}
    return document, 0 if all(fit.worst_pct <= recorded.BAR_PCT for fit in fits.values()) else 1


def describe(fit: Fit, runs: Sequence[Executed]) -> dict[str, Any]:
    """A kernel in JSON; keys are stable."""
    held = [run for run in runs if run.kernel == fit.model.name and run.held]
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
