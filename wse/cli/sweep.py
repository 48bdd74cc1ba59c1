"""`wse sweep SPEC.toml`: a command over a grid of options, on worker processes, into a table and a picture."""

from __future__ import annotations

import io
import time
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import click

from .. import report, sweep
from ..errors import ConfigError
from ..execute.workers import cluster
from . import common


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


ROWS, COLUMNS = 40, 6  # of the numbers that are printed


class Bar(common.StatusLine):
    """Points finished; nothing where stderr is no terminal."""

    WIDTH = 30

    def __init__(self) -> None:
        super().__init__()
        self.started = time.monotonic()
        self.first: int | None = None

    def __call__(self, done: int, total: int, failed: int) -> None:
        if self.first is None:
            self.first = done
        if not self.is_terminal:
            return
        filled = self.WIDTH * done // max(1, total)
        new, elapsed = done - self.first, time.monotonic() - self.started
        left = f"  {(total - done) * elapsed / new:.0f} s left" if new and done < total else ""
        wrong = f", {failed} failed" if failed else ""
        self.put(f"[{'#' * filled}{'.' * (self.WIDTH - filled)}] {done}/{total}{wrong}{left}")


@click.command(
    name="sweep",
    help="Run a command over a grid of options, as a TOML file says, on worker processes; see docs/sweeps.md.",
)
@click.argument("spec", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the results.  [default: SPEC without .toml]")
@click.option("--workers", type=click.IntRange(1), help="Processes on this computer.  [default: its processors]")
@click.option("--scheduler", help="Address of a Dask scheduler to use instead, such as tcp://host:8786.")
@click.option("--again", is_flag=True, help="Do failed points again.")
@click.option("--list", "listed", is_flag=True, help="Print the command lines, and run nothing.")
@click.option("--plot", type=click.Path(path_type=Path), help="Picture to write.  [default: plot.png in the folder]")
@click.option("--no-plot", is_flag=True, help="Write no picture.")
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
    loaded = sweep.load(spec)
    if listed:
        for point in loaded.points():
            click.echo(" ".join(("wse", *point.arguments)))
        return 0
    if plot is not None and no_plot:
        raise ConfigError("--plot and --no-plot exclude each other")
    directory = out or spec.with_suffix("")
    if directory == spec:
        raise ConfigError(f"{spec} does not end in .toml: say with --out where the results go")
    directory.mkdir(parents=True, exist_ok=True)
    picture = None if no_plot else plot or directory / "plot.png"
    if picture is not None:
        report.check(picture, "summary")
    bar = Bar()
    try:
        with cluster(workers, scheduler) as client:
            outcome = sweep.run(loaded, directory, execute, client, bar, again)
    finally:
        bar.clear()
    sweep.write(outcome.rows, directory / sweep.TABLE)
    shown = sweep.lines(loaded, outcome.rows)
    if picture is not None and shown is not None:
        from ..report import figure
        from ..report.sweep import figure as draw

        figure.save(draw(shown, f"wse {' '.join(loaded.command)}"), picture)
    tell(outcome, directory, picture if shown is not None else None, shown, as_json)
    if outcome.ended == "interrupted":
        return 130
    return 1 if outcome.failed else 0


def tell(
    outcome: sweep.Outcome, directory: Path, picture: Path | None, shown: sweep.Lines | None, as_json: bool
) -> None:
    """What was done, what went wrong, and the numbers of the picture."""
    failures = [row for row in outcome.rows if row["status"] != "done"]
    if as_json:
        common.print_json(
            {
                "points": outcome.total,
                "finished": len(outcome.rows),
                "new": outcome.new,
                "failed": outcome.failed,
                "ended": outcome.ended,
                "table": directory / sweep.TABLE,
                "plot": picture,
                "failures": [{"arguments": row["arguments"], "error": row["error"]} for row in failures],
            }
        )
        return
    for row in failures[:5]:
        click.echo(f"failed: wse {' '.join(row['arguments'])}: {row['error'].splitlines()[0] if row['error'] else ''}")
    if len(failures) > 5:
        click.echo(f"failed: {len(failures) - 5} more, see the table's column error")
    if shown is not None:
        lines = dict(list(shown.lines.items())[:COLUMNS])
        places = sorted({at for points in lines.values() for at, *_ in points})
        found = {label: {at: middle for at, middle, *_ in points} for label, points in lines.items()}
        cells = [
            [f"{at:g}", *(f"{found[label][at]:,.6g}" if at in found[label] else "" for label in lines)]
            for at in places[:ROWS]
        ]
        click.echo(f"{shown.y}, {'mean of all points of a place' if shown.spread else 'a point each'}:")
        common.print_table([shown.x, *lines], cells, right=range(len(lines) + 1))
        if len(places) > ROWS or len(shown.lines) > COLUMNS:
            click.echo("more in the table")
    common.print_pairs(
        [
            ("points", f"{len(outcome.rows)} of {outcome.total} finished, {outcome.new} of them now"),
            ("table", str(directory / sweep.TABLE)),
            *([("picture", str(picture))] if picture else []),
        ]
    )
    if outcome.ended == "interrupted":
        click.echo("interrupted: the same command goes on from here")
