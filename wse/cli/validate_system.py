"""`wse validate --system`: the model of whole systems against published runs, micro-batches and configurations."""

from __future__ import annotations

import click

from ..costs import calibrate
from ..plan import microbatch
from ..system import capacity, check
from . import common


def show(as_json: bool) -> int:
    """Prints the tables; returns the exit status: 1 if a bar of check.py is missed."""
    checked = list(check.points())
    found = check.summary(checked)
    other = check.summary(list(check.points("peak")))
    if as_json:
        common.print_json(document(checked, found, other))
    else:
        tables(checked, found, other)
    return 0 if found.ok else 1


def document(checked: list[check.Checked], found: check.Summary, other: check.Summary) -> dict:
    """What --json prints; keys are stable."""
    return {
        "points": [
            {
                "id": c.point.id,
                "source": c.point.source,
                "systems": c.point.systems,
                "published_step_seconds": c.point.seconds,
                "step_seconds": c.simulated,
                "closed_form_seconds": c.analytic,
                "error_pct": c.error_pct,
                "left_out_error_pct": c.left_out_pct,
                "calibrates": c.point.calibrates,
                "note": c.point.note,
                "micro_batch": c.micro_batch,
                "passes": c.passes,
            }
            for c in checked
        ],
        "micro_batches": [
            {"model": m.model, "published": m.published, "computed": m.computed, "error_pct": m.error_pct}
            for m in microbatch.published()
        ],
        "configurations": [
            {
                "name": name,
                "bytes_per_parameter": per,
                "parameters_with_staging": staged,
                "fits": fits,
                "comfortable": comfortable,
                "source": source,
            }
            for name, per, staged, fits, comfortable, source in capacity.configurations()
        ],
        "calibration": {family: calibrate.calibrated(family).values for family in calibrate.FAMILIES},
        "summary": vars(found) | {"ok": found.ok},
        "summary_peak": vars(other),
    }


def tables(checked: list[check.Checked], found: check.Summary, other: check.Summary) -> None:
    rows = [
        (
            c.point.id,
            f"{c.micro_batch:g} x {c.passes}",
            f"{c.point.seconds:.3f}",
            f"{c.simulated:.3f}",
            f"{c.error_pct:+.1f} %",
            f"{c.left_out_pct:+.1f} %" if c.point.calibrates else "",
            c.point.source + (f"; not fitted to: {c.point.note}" if c.point.note else ""),
        )
        for c in checked
    ]
    head = ("CS-2 run", "passes", "step, s", "simulated", "error", "left out", "source")
    common.print_table(head, rows, right=(1, 2, 3, 4, 5))
    click.echo(
        f"\nroot mean square: {found.calibrating:.1f} % of the points fitted to (bar {check.RMS_PCT:g} %), "
        f"{found.left_out:.1f} % each predicted from the others, {found.all:.1f} % of all"
    )
    click.echo(f"fitted: {calibrate.calibrated().words()}; a CS-3 has the same")
    click.echo(
        f"from peak flops instead: {other.calibrating:.1f} %, {other.left_out:.1f} %, {other.all:.1f} %; "
        f"{calibrate.calibrated('peak').words()}\n"
    )
    batches = [(m.model, str(m.published), str(m.computed), f"{m.error_pct:+.1f} %") for m in microbatch.published()]
    common.print_table(("model", "published micro-batch", "by memory", "error"), batches, right=(1, 2, 3))
    click.echo(f"\nworst: {found.worst_micro_batch:.1f} % (bar {check.MICRO_BATCH_PCT:g} %)\n")
    kept = [
        (
            name,
            f"{per:.0f}",
            f"{staged / 1e9:,.0f}",
            "state and staging" if comfortable else "state" if fits else "NO",
            source,
        )
        for name, per, staged, fits, comfortable, source in capacity.configurations()
    ]
    names = ("MemoryX", "bytes/parameter as sold", "billion parameters with staging", "it holds", "source")
    common.print_table(names, kept, right=(1, 2))
