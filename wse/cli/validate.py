"""`wse validate`: compares emulated with published cycle counts; programs from CSL; sensitivity; closed forms."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from ..errors import ConfigError
from ..validation import FURTHER, TABLE, Point, compare, read, select, summary
from ..validation import document as words
from . import common, types, validate_system
from .output import print_json, table_lines

JSON_POINT = ("id", "arch", "target", "published", "emulated", "error_pct", "tolerance_pct", "ok")


@click.command("validate")
@common.option("--points", "file", type=types.FILE, help="CSV file of points, instead of the calibration table.")
@common.flag("--further", help="Use the published points outside the calibration table.")
@common.option("--only", type=types.WORD, metavar="GLOB", help="Points whose id, or machine/id (silicon/hop), matches.")
@common.option(
    "--set", "settings", type=types.Setting(), multiple=True, help="Change a figure of every machine; repeatable."
)
@common.threads_option
@common.option("--plot", type=types.OUTPUT, help=f"{common.PICTURE}  Of the points, or of --models.")
@common.flag("--markdown", help="Print tables as Markdown.")
@common.option(
    "--sensitivity",
    type=types.OUTPUT,
    metavar="FILE.png",
    help="Print how points depend on each figure of the machine; write a heat map.",
)
@common.flag(
    "--leave-one-out",
    help="Print which points, or with --sources which programs, determine which figure.",
)
@common.flag("--models", help="Compare the closed forms of collectives with the emulator.")
@common.option("--write-docs", type=types.FILE, metavar="FILE.md", help="Renew the tables in a document.")
@common.option(
    "--sources",
    type=types.FILE,
    metavar="DIR",
    help="Compile and run the published programs whose CSL is in DIR; with --write-docs, renew their table, too.",
)
@common.flag("--system", help="Compare whole systems with published training runs and configurations.")
@common.json_option
def command(
    file: Path | None,
    further: bool,
    only: str | None,
    settings: tuple[tuple[str, str], ...],
    threads: int,
    plot: Path | None,
    markdown: bool,
    sensitivity: Path | None,
    leave_one_out: bool,
    models: bool,
    write_docs: Path | None,
    sources: Path | None,
    system: bool,
    as_json: bool,
) -> int:
    """Run published programs and compare their cycles with the published ones.

    Without options: every point of the calibration table, with its error, and a summary.  --sensitivity,
    --leave-one-out and --models take a minute or two each and print their own tables instead.  Exit status 1: a point
    misses its tolerance.

    --sources DIR runs what users run: it compiles published CSL programs and runs their host programs.  DIR has a
    folder for each repository (csl-examples and FABRICA), or is one.  Errors are given by class of program, and
    beside them that of the same program written by hand for the machine.  Exit status 1: a program gave no figure.
    """
    if system:
        given = (file, further, only, settings, plot, markdown, sensitivity, leave_one_out, models, write_docs, sources)
        if any(given):
            raise ConfigError("--system goes with --json alone: it runs no programs")
        return validate_system.compare(as_json)
    if sources is not None and any((file, further, settings, plot, sensitivity, models)):
        raise ConfigError("--sources goes with --only, --leave-one-out, --threads, --markdown, --json and --write-docs")
    if sources is not None and leave_one_out and write_docs is None:
        return show_determined(sources, only, threads, Output(markdown, as_json))
    if sources is not None and write_docs is None:
        return show_compiled(sources, only, threads, Output(markdown, as_json))
    if further and file is not None:
        raise ConfigError("--further and --points exclude each other: both name the table")
    table = file or (FURTHER if further else TABLE)
    chosen = read(table)
    if only is not None:
        chosen = select(chosen, only)
    analyses = [name for name, on in (("--sensitivity", sensitivity), ("--leave-one-out", leave_one_out)) if on]
    if settings and (analyses or write_docs or models):
        raise ConfigError("--set is for the points: the other tables change the parameters themselves")
    pictures = [path for path in (plot, sensitivity) if path is not None]
    if pictures:
        from ..report import validation as report

        for path in pictures:
            report.check(path)
    if plot is not None and (analyses or write_docs) and not models:
        raise ConfigError(f"--plot draws the points or --models, not {(analyses or ['--write-docs'])[0]}")
    with common.Working() as working:
        if write_docs is not None:
            return write(write_docs, sources, threads, working)
        output = Output(markdown, as_json)
        status = 0
        if not (analyses or models):
            status = show_points(chosen, dict(settings), threads, plot, output, working)
        if sensitivity is not None or leave_one_out:
            from ..validation.sensitivity import Emulator

            emulator = Emulator(threads, working)
            if sensitivity is not None:
                show_slopes(chosen, emulator, sensitivity, output, working)
            if leave_one_out:
                show_leave_one_out(chosen, emulator, output, working)
        if models:
            show_models(threads, plot, output, working)
    output.end()
    return status


class Output:
    """Tables and lines, or one JSON document of all."""

    def __init__(self, markdown: bool, as_json: bool):
        self.markdown, self.as_json = markdown, as_json
        self.document: dict[str, Any] = {}
        self.parts = 0

    def show(self, table: words.Table, lines: Iterable[str] = (), **document: Any) -> None:
        self.document |= document
        if self.as_json:
            return
        if self.parts:
            click.echo()
        self.parts += 1
        if self.markdown:
            click.echo(table.markdown())
        else:
            click.echo("\n".join(table_lines(table.head, table.rows, table.right)))
        for i, line in enumerate(lines):
            click.echo(line if i else f"\n{line}")

    def end(self) -> None:
        if self.as_json:
            print_json(self.document)


def show_points(
    points: list[Point],
    overrides: dict[str, str],
    threads: int,
    plot: Path | None,
    output: Output,
    working: common.Working,
) -> int:
    results = list(compare(points, threads, overrides, working))
    working.clear()
    rows = [{name: getattr(r if hasattr(r, name) else r.point, name) for name in JSON_POINT} for r in results]
    table = words.points(results, config_width=None if output.markdown else 56)
    output.show(table, [words.in_words(results)], points=rows, summary=summary(results))
    if plot is not None:
        from ..report import validation as report

        report.points(results, summary(results), plot)
    return 0 if all(result.ok for result in results) else 1


def show_compiled(sources: Path, only: str | None, threads: int, output: Output) -> int:
    from ..validation import compiled

    rows = compiled.programs()
    with common.Working() as working:
        chosen = rows if only is None else compiled.select(rows, only)
        results = list(compiled.compare(chosen, sources, threads, working))
    if all(result.missing for result in results):
        folders = ", ".join(dict.fromkeys(result.program.folder for result in results))
        raise ConfigError(f"{sources} has none of the programs' folders, such as {folders}")
    document = [
        {
            **{name: getattr(r.program, name) for name in ("id", "arch")},
            "class": r.program.kind,
            **{name: getattr(r.program, name) for name in ("role", "published")},
            "emulated": r.emulated,
            "error_pct": None if r.emulated is None else r.error_pct,
            "machine_only_pct": r.machine_only,
            "trouble": r.trouble,
        }
        for r in results
    ]
    output.show(words.compiled_programs(results), programs=document)
    output.show(words.compiled_accuracy(results), words.compiled_in_words(results), summary=compiled.summary(results))
    output.end()
    return 1 if any(r.emulated is None and not r.missing for r in results) else 0


def show_determined(sources: Path, only: str | None, threads: int, output: Output) -> int:
    """Programs from CSL: which figures of the machine they allow."""
    from ..validation import compiled, determined

    rows = compiled.programs()
    with common.Working() as working:
        chosen = rows if only is None else compiled.select(rows, only)
        ranges = determined.leave_one_out(chosen, sources, threads, working)
    if not ranges:
        raise ConfigError(f"{sources} has no program within {determined.TOLERANCE_PCT:g} % of its published cycles")
    document = [
        {
            "machine": found.arch,
            "parameter": found.parameter.name,
            "value": found.value,
            "programs": {effect.program.id: effect.per_unit for effect in found.effects},
            "allowed": found.allowed(),
            "without": found.without,
        }
        for found in ranges
    ]
    note = f"values with which programs stay within {determined.TOLERANCE_PCT:g} % of their published cycles"
    output.show(words.compiled_leave_one_out(ranges), [note], leave_one_out=document)
    output.end()
    return 0


def show_slopes(points: list[Point], emulator: Any, path: Path, output: Output, working: common.Working) -> None:
    from ..report import validation as report
    from ..validation.sensitivity import slopes

    rows = slopes(points, emulator)
    working.clear()
    report.slopes(rows, path)
    document = [
        {"id": s.point.id, "arch": s.point.arch, "target": s.point.target}
        | {name: getattr(s, name) for name in ("parameter", "value", "step", "up_pct", "down_pct")}
        for s in rows
    ]
    note = "%: change of a point's time for 10 % more of the parameter, scaled from one step; the larger of up and down"
    output.show(words.slopes(rows), [note], sensitivity=document)


def show_leave_one_out(points: list[Point], emulator: Any, output: Output, working: common.Working) -> None:
    from ..validation.sensitivity import leave_one_out

    rows = leave_one_out(points, emulator)
    working.clear()
    document = [
        {
            "machine": r.column,
            "parameter": r.parameter.name,
            "value": r.value,
            "allowed": r.allowed,
            "searched": r.searched,
        }
        | {"without": {point.id: values for point, values in r.without.items()}}
        for r in rows
    ]
    output.show(*words.leave_one_out(rows), leave_one_out=document)


def show_models(threads: int, plot: Path | None, output: Output, working: common.Working) -> None:
    from ..validation import models

    rows = list(models.compare(threads=threads, report=working))
    working.clear()
    names = (
        "name",
        "grid",
        "length",
        "emulated",
        "model",
        "startup",
        "error_pct",
        "whole_error_pct",
        "published_error_pct",
    )
    document = [{name: getattr(row, name) for name in names} for row in rows]
    output.show(words.models(rows), words.models_in_words(rows), models=document)
    if plot is not None:
        from ..report import validation as report

        report.models(rows, plot)


def write(path: Path, sources: Path | None, threads: int, working: common.Working) -> int:
    """Renews the blocks of a document; returns the exit status for the points that were run."""
    from ..validation.blocks import Blocks

    blocks = Blocks(threads, working, sources)
    chosen = blocks.renew(path)
    working.clear()
    click.echo(f"{path}: {', '.join(chosen)}")
    return 0 if all(result.ok for result in blocks.all_results()) else 1
