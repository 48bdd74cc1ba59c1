"""`wse costs`: the cost models of kernels, what they were fitted to, how far off they are on runs left out."""

from __future__ import annotations

import click

from ..costs import recorded
from ..costs.fit import Fit
from . import common


@click.command("costs")
@click.option("--measure", is_flag=True, help="Execute the shapes again and record their cycles; takes minutes.")
@click.option("--only", multiple=True, metavar="KERNEL", help="With --measure: these kernels; repeatable.")
@click.option("--runs", is_flag=True, help="Every held-out run.")
@click.option("--step", metavar="MODEL", help="Execute a training step; compare with the sum of the models.")
@common.json_option
def command(measure: bool, only: tuple[str, ...], runs: bool, step: str | None, as_json: bool) -> int:
    """Print the cost models of kernels: constants in cycles, and errors on executed shapes not fitted to.

    Status 1 if a kernel's largest error on those is above the bar.
    """
    if only and not measure:
        raise click.UsageError("--only goes with --measure")
    if measure:
        unknown = [name for name in only if name not in recorded.models()]
        if unknown:
            raise click.UsageError(f"there is no cost model {unknown[0]!r}: known are {'; '.join(recorded.models())}")
        known = tuple(recorded.models())
        chosen = only or known
        kept = (
            [run for run in recorded.executed() if run.kernel not in chosen and run.kernel in known]
            if recorded.TABLE.exists()
            else []
        )
        made = recorded.measure(chosen, lambda what: click.echo(what, err=True))
        recorded.write(sorted([*kept, *made], key=lambda run: known.index(run.kernel)))
    if step is not None:
        return show_step(step, as_json)
    found = recorded.fits()
    if as_json:
        common.print_json({"bar_pct": recorded.BAR_PCT, "kernels": [document(fit) for fit in found.values()]})
    else:
        tables(found, runs)
    return 0 if all(fit.worst_pct <= recorded.BAR_PCT for fit in found.values()) else 1


def show_step(model: str, as_json: bool) -> int:
    """An executed step beside its operators' cost models."""
    from ..costs import step_check
    from ..models import graph, load

    rows = step_check.compare(graph(load(model)))
    whole = rows[-1]
    if as_json:
        names = ("kind", "phase", "executed", "modelled", "error_pct")
        common.print_json({"model": model, "operators": [{name: getattr(r, name) for name in names} for r in rows]})
    else:
        table = [
            (r.kind, r.phase, f"{r.executed:,}", *(("", "") if r.modelled != r.modelled else modelled(r))) for r in rows
        ]
        common.print_table(("operators", "phase", "executed", "modelled", "error"), table, right=(2, 3, 4))
        click.echo(f"\ncycles of a training step of {model}, executed; nothing is fitted to steps")
    return 0 if abs(whole.error_pct) <= recorded.BAR_PCT else 1


def modelled(row) -> tuple[str, str]:
    return f"{row.modelled:,.0f}", f"{row.error_pct:+.1f} %"


def document(fit: Fit) -> dict:
    """A kernel in --json; keys are stable."""
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


def tables(found: dict[str, Fit], runs: bool) -> None:
    rows = [
        (
            name,
            str(len(fit.errors_pct)),
            f"{max(abs(error) for error in fit.errors_pct):.1f} %",
            str(len(fit.held_pct)),
            f"{fit.mean_pct:.1f} %",
            f"{fit.worst_pct:.1f} %",
        )
        for name, fit in found.items()
    ]
    words = [
        ", ".join(
            f"{term} {value:.3g}" for term, value in zip(fit.model.terms, fit.constants, strict=True) if value > 1e-6
        )
        for fit in found.values()
    ]
    head = ("kernel", "fitted", "worst", "held out", "mean", "worst")
    common.print_table(head, rows, right=(1, 2, 3, 4, 5), below=words)
    click.echo(f"\ncycles; executed on the emulated WSE-3 or WSE-2; bar for runs held out: {recorded.BAR_PCT:g} %")
    if not runs:
        return
    click.echo()
    table = []
    for name, fit in found.items():
        held = [run for run in recorded.executed() if run.kernel == name and run.held]
        for run, error in zip(held, fit.held_pct, strict=True):
            shape = " ".join(f"{size}={value}" for size, value in run.shape.items())
            table.append((name, shape, f"{run.cycles:,}", f"{error:+.1f} %"))
    common.print_table(("kernel", "held-out run", "cycles", "error"), table, right=(2, 3))
