"""`wse validate --system`: the model of whole systems against published runs, micro-batches and configurations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..costs import calibrate, policies
from ..plan import microbatch
from ..system import capacity, check
from .output import Lines, Table, number, show, text


def compare(as_json: bool) -> int:
    """Prints the tables; returns the exit status: 1 if a bar of check.py is missed."""
    checked = list(check.points())
    found = check.summary(checked)
    other = check.summary(list(check.points("kernels")))
    fitted, kernels = (calibrate.calibrated(family).words() for family in ("peak", "kernels"))
    show(document(checked, found, other), VIEW, as_json, fitted=fitted, kernels=kernels)
    return 0 if found.ok else 1


def document(checked: list[check.Checked], found: check.Summary, other: check.Summary) -> dict[str, Any]:
    """The comparison in JSON; keys are stable."""
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
                "release": list(c.point.release),
                "error_pct_of_release": list(c.released_pct),
                "calibrates": c.point.calibrates,
                "note": c.point.note,
                "micro_batch": c.micro_batch,
                "passes": c.passes,
            }
            for c in checked
        ],
        "pairs": [
            {
                "id": c.pair.id,
                "source": c.pair.source,
                "published": list(c.pair.rates),
                "published_step_seconds": list(c.seconds),
                "step_seconds": list(c.simulated),
                "published_ratio": c.pair.ratio,
                "ratio": c.ratio,
                "error_pct": c.error_pct,
                "computing_error_pct": c.computing_pct,
                "left_out_error_pct": c.left_out_pct,
                "slack": c.slack,
            }
            for c in check.pairs()
        ],
        "evaluations": [
            {
                "id": c.evaluation.id,
                "source": c.evaluation.source,
                "published": c.evaluation.rate,
                "samples_per_second": c.rate,
                "error_pct": c.error_pct,
                "microseconds_more_for_a_token": 1e6 * c.token_seconds,
                "error_pct_with_the_other": c.with_other_pct,
            }
            for c in check.evaluations()
        ],
        "slack": calibrate.slack(),
        "policies": [vars(row) | {"share": row.share, "of_executed": row.of_executed} for row in check.policies_of()],
        "policy": policies.DEFAULT,
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
        "summary_kernels": vars(other),
    }


def source(row: Mapping[str, Any]) -> str:
    return row["source"] + (f"; not fitted to: {row['note']}" if row["note"] else "")


def released(row: Mapping[str, Any]) -> str:
    """Text of the errors with the factors of the run's release."""
    low, high = row["error_pct_of_release"]
    return "" if low == high else f"{low:+.0f} to {high:+.0f} %"


def holds(row: Mapping[str, Any]) -> str:
    """Text that states whether a configuration holds a model of the size that it is sold for."""
    return "state and staging" if row["comfortable"] else "state" if row["fits"] else "NO"


VIEW = [
    Table(
        "points",
        [
            text("CS-2 run", "{id}"),
            number("passes", "{micro_batch:g} x {passes}"),
            number("step, s", "{published_step_seconds:.3f}"),
            number("simulated", "{step_seconds:.3f}"),
            number("error", "{error_pct:+.1f} %"),
            number("left out", lambda row: f"{row['left_out_error_pct']:+.1f} %" if row["calibrates"] else ""),
            number("with its release", released),
            text("source", source),
        ],
        notes=[
            "with its release: error if a step takes as many times as long as the notes on its software release say"
        ],
    ),
    Lines(
        [
            "root mean square: {summary[calibrating]:.1f} % of the points fitted to "
            f"(bar {check.RMS_PCT:g} %), "
            "{summary[left_out]:.1f} % each predicted from the others, {summary[all]:.1f} % of all",
            "fitted: {fitted}",
            "from executed kernels instead: {summary_kernels[calibrating]:.1f} %, {summary_kernels[left_out]:.1f} %, "
            "{summary_kernels[all]:.1f} %; {kernels}",
        ]
    ),
    Table(
        "pairs",
        [
            text("CS-2 and CS-3", "{id}"),
            number("samples/s", "{published[0]:,.1f} -> {published[1]:,.1f}"),
            number("ratio", "{published_ratio:.2f}"),
            number("simulated", "{ratio:.2f}"),
            number("error", "{error_pct:+.1f} %"),
            number("computing", "{computing_error_pct:+.1f} %"),
            number("left out", "{left_out_error_pct:+.1f} %"),
            number("slack alone", "{slack:.2f}"),
            number("CS-3 step, s", "{published_step_seconds[1]:.3f}"),
            number("simulated", "{step_seconds[1]:.3f}"),
            text("source", "{source}"),
        ],
    ),
    Lines(
        [
            "a CS-3 takes {slack:.2f} times what the ratio of peak rates gives, the mean of both pairs (bar of the "
            f"ratio {check.PAIR_PCT:g} %)",
            "computing: error of the ratio of computing times, without links; left out: of these with the slack of the "
            "other pair",
        ]
    ),
    Table(
        "policies",
        [
            text("wafer, policy", "{wafer}, {level}"),
            number("executed: forward", "{forward:.2f}"),
            number("backward", "{backward:.2f}"),
            number("both", "{executed:.2f}"),
            number("bound by ports", "{bound:.2f}"),
            number("compiled", "{compiled:.2f}"),
            number("of executed", "{of_executed:share}"),
            number("of the bound", "{share:share}"),
            number("fit of CS-2 runs", lambda row: f"{row['fit_pct']:.1f} %" if row["fit_pct"] else ""),
        ],
        title="Products with weights, multiply-adds per PE and cycle, largest executed tile:",
        notes=[
            f"compiled: by the constants above, which are of {policies.DEFAULT}; above the bound, the runs had another "
            "policy, or instructions that are not public",
            "fit: error of the published runs by executed kernels if all had this policy",
        ],
    ),
    Table(
        "evaluations",
        [
            text("CS-3, forward passes only", "{id}"),
            number("samples/s", "{published:,.0f}"),
            number("by the model", "{samples_per_second:,.0f}"),
            number("error", "{error_pct:+.0f} %"),
            number("longer, µs a token", "{microseconds_more_for_a_token:.2f}"),
            number("error with the other's", "{error_pct_with_the_other:+.0f} %"),
            text("source", "{source}"),
        ],
        notes=[
            "nothing is fitted to evaluations; they have no bar; with the other's: if the time that the other one "
            "takes longer for a token is added"
        ],
    ),
    Table(
        "micro_batches",
        [
            text("model", "{model}"),
            number("published micro-batch", "{published}"),
            number("by memory", "{computed}"),
            number("error", "{error_pct:+.1f} %"),
        ],
    ),
    Lines([f"worst: {{summary[worst_micro_batch]:.1f}} % (bar {check.MICRO_BATCH_PCT:g} %)"]),
    Table(
        "configurations",
        [
            text("MemoryX", "{name}"),
            number("bytes/parameter as sold", "{bytes_per_parameter:.0f}"),
            number("billion parameters with staging", lambda row: f"{row['parameters_with_staging'] / 1e9:,.0f}"),
            text("it holds", holds),
            text("source", "{source}"),
        ],
    ),
]
