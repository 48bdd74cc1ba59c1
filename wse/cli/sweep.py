"""`wse sweep SPEC.toml`: runs a command over a grid of options on worker processes; makes a table and a picture."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import click

from .. import sweep
from ..errors import ConfigError
from ..execute.workers import cluster
from . import common, types
from .output import Lines, Pairs, show, table_lines


def execute(arguments: Sequence[str]) -> tuple[int, str, str]:
    """Runs a command of `wse` in this process, a worker's: (exit status, stdout, stderr)."""
    from . import main

    out, err = io.StringIO(), io.StringIO()
    status: Any = 0
    with redirect_stdout(out), redirect_stderr(err):
        try:
            main(list(arguments), "wse")
        except SystemExit as end:
            status = end.code
    return (status if isinstance(status, int) else 1), out.getvalue(), err.getvalue()


def check(path: Path, spec: sweep.Spec) -> None:
    """Parses the command lines of enough points to see each value of each option, before any point runs.

    ConfigError names the command line with an option that the command does not have, or a value that it refuses.
    """
    from . import parse, usage

    for point in spec.samples():
        try:
            parse(point.arguments)
        except click.UsageError as error:
            raise ConfigError(f"{path}: wse {' '.join(point.arguments)}: {usage(error)}") from None


ROWS, COLUMNS = 40, 6  # of the numbers that are printed


@click.command("sweep")
@click.argument("spec", type=types.FILE)
@common.option("--out", type=types.FILE, help="Folder of the results.  [default: SPEC without .toml]")
@common.option("--workers", type=types.Integer(1, 1024), help="Worker processes.  [default: one for each processor]")
@common.option("--scheduler", type=types.WORD, help=common.SCHEDULER)
@common.flag("--again", help="Run failed points again.")
@common.flag("--list", "listed", help="Print the command lines, and run nothing.")
@common.option("--plot", type=types.OUTPUT, help=f"{common.PICTURE}  [default: plot.png in the folder]")
@common.flag("--no-plot", help="Write no picture.")
@common.json_option
def command(
    spec: Path,
    out: Path | None,
    workers: int | None,
    scheduler: str | None,
    again: bool,
    listed: bool,
    plot: Path | None,
    no_plot: bool,
    as_json: bool,
) -> int:
    """Run a command over a grid of options, which the TOML file SPEC holds, on worker processes (docs/sweeps.md).

    Points that are finished are kept: the same command goes on where it was ended.  Exit status 1: a point failed.
    """
    loaded = sweep.load(spec)
    check(spec, loaded)
    if listed:
        for point in loaded.points():
            click.echo(" ".join(("wse", *point.arguments)))
        return 0
    if plot is not None and no_plot:
        raise click.UsageError("--plot and --no-plot exclude each other")
    directory = out or spec.with_suffix("")
    if directory == spec:
        raise ConfigError(f"{spec} does not end in .toml: name the folder of the results with --out")
    directory.mkdir(parents=True, exist_ok=True)
    picture = None if no_plot else plot or directory / "plot.png"
    if picture is not None:
        from ..report import validation

        validation.check(picture)
    bar = common.Steps("points")

    def progress(done: int, total: int, failed: int) -> None:
        bar(done, total, f", {failed} failed" if failed else "")

    interrupt: KeyboardInterrupt | None = None
    try:
        with cluster(workers, scheduler) as client:
            outcome = sweep.run(loaded, directory, execute, client, progress, again)
    except KeyboardInterrupt as caught:
        if not hasattr(caught, "outcome"):  # no point was begun
            caught.add_note(f"the same command continues with the points that {directory} does not hold")
            raise
        outcome, interrupt = caught.outcome, caught
    finally:
        bar.clear()
    sweep.write(outcome.rows, directory / sweep.TABLE)
    shown = sweep.lines(loaded, outcome.rows)
    if picture is not None and shown is not None:
        from ..report import figure
        from ..report.sweep import figure as draw

        figure.save(draw(shown, f"wse {' '.join(loaded.command)}"), picture)
    made = document(outcome, directory, picture if shown is not None else None)
    show(made, VIEW, as_json, partial=interrupt is not None, shown=shown)
    if interrupt is not None:
        interrupt.add_note(
            f"{len(outcome.rows)} of {outcome.total} points are in {directory}; the same command continues"
        )
        raise interrupt
    return 1 if outcome.failed else 0


def document(outcome: sweep.Outcome, directory: Path, picture: Path | None) -> dict[str, Any]:
    """Points and failures in JSON; keys are stable."""
    failures = [row for row in outcome.rows if row["status"] != "done"]
    return {
        "points": outcome.total,
        "finished": len(outcome.rows),
        "new": outcome.new,
        "failed": outcome.failed,
        "ended": outcome.ended,
        "table": directory / sweep.TABLE,
        "plot": picture,
        "failures": [{"arguments": row["arguments"], "error": row["error"]} for row in failures],
    }


def failures(d: Mapping[str, Any]) -> str | None:
    """The first failures, a line each."""
    lines = [
        f"failed: wse {' '.join(row['arguments'])}: {row['error'].splitlines()[0] if row['error'] else ''}"
        for row in d["failures"][:5]
    ]
    if (more := len(d["failures"]) - len(lines)) > 0:
        lines.append(f"failed: {more} more, see the table's column error")
    return "\n".join(lines) or None


def figures(d: Mapping[str, Any]) -> str | None:
    """The figures of the picture; at most as many rows as fit on a screen."""
    shown: sweep.Lines | None = d["shown"]
    if shown is None:
        return None
    lines = dict(list(shown.lines.items())[:COLUMNS])
    places = sorted({at for points in lines.values() for at, *_ in points})
    found = {label: {at: middle for at, middle, *_ in points} for label, points in lines.items()}
    cells = [
        [f"{at:g}", *(f"{found[label][at]:,.6g}" if at in found[label] else "" for label in lines)]
        for at in places[:ROWS]
    ]
    title = f"{shown.y}, {'mean of all points of a place' if shown.spread else 'one point each'}:"
    more = ["more in the table"] if len(places) > ROWS or len(shown.lines) > COLUMNS else []
    return "\n".join([title, *table_lines([shown.x, *lines], cells, range(len(lines) + 1)), *more])


VIEW = [
    Lines([failures]),
    Lines([figures]),
    Pairs(
        [
            ("points", "{finished} of {points} finished, {new} of them now"),
            ("table", "{table}"),
            ("picture", "{plot}"),
        ]
    ),
]
