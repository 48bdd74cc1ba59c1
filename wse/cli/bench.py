"""`wse bench`: how fast the engine is on this computer."""

from __future__ import annotations

import json
from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import click

from ..bench import CASES, BenchError, Job, document, host, measure
from ..bench.runner import cores
from ..errors import ConfigError
from ..validation import document as words
from . import common
from .validate import Working


class Counts(click.ParamType):
    """Numbers of threads: 1,2."""

    name = "LIST"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[int]:
        if isinstance(value, list):
            return value
        parts = value.split(",")
        if not all(part.strip().isdecimal() and int(part) for part in parts):
            self.fail(f"{value!r} is no list of numbers of threads, such as 1,2", param, ctx)
        return list(dict.fromkeys(int(part) for part in parts))


@click.command("bench")
@click.option("--only", metavar="GLOB", default="*", help="Cases whose name matches: 'dense-*'.")
@click.option("--threads", type=Counts(), help="Numbers of threads.  [default: 1 and all]")
@click.option("--seconds", type=click.FloatRange(0), default=4.0, show_default=True, help="To sample each case for.")
@click.option("--grid", type=common.Grid(), help="PEs, instead of each case's own.")
@click.option("--portable", is_flag=True, help="Without instructions that only some processors have.")
@click.option(
    "--from",
    "source",
    type=click.Path(path_type=Path),
    metavar="FILE.json",
    help="Measure nothing: use what --json printed.",
)
@click.option(
    "--write-docs",
    "docs",
    type=click.Path(path_type=Path),
    multiple=True,
    metavar="FILE.md",
    help="Put the tables into a document's blocks; repeatable.",
)
@click.option("--list", "listing", is_flag=True, help="Say what the cases are.")
@common.json_option
def command(
    only: str,
    threads: list[int] | None,
    seconds: float,
    grid: tuple[int, int] | None,
    portable: bool,
    source: Path | None,
    docs: tuple[Path, ...],
    listing: bool,
    as_json: bool,
) -> int:
    """Measure the engine on this computer.

    Every case runs in a process of its own, is sampled several times, and its result is verified; the figures are those
    of the best sample, in JSON the median too.  Cases named -wafer take the whole wafer: 6 GB and some minutes each.
    """
    names = [name for name in CASES if fnmatchcase(name, only)]
    if not names:
        raise ConfigError(f"no case matches {only!r}: they are {', '.join(CASES)}")
    if listing:
        common.print_table(("case", "what"), [(name, CASES[name].words) for name in names])
        return 0
    texts = {path: path.read_text(encoding="utf-8") for path in docs}
    for path, text in texts.items():
        if not set(BLOCKS) & set(words.names(text)):
            raise ConfigError(f"{path} has no block to write: blocks are {', '.join(BLOCKS)}")
    if source is not None:
        result, failed = read(source), False
        result["cases"] = [case for case in result["cases"] if case["case"] in names]
    else:
        jobs = [
            Job(name, count, seconds, grid, portable) for name in names for count in threads or sorted({1, cores()})
        ]
        result, failed = run(jobs)
    if as_json:
        common.print_json(result)
    elif not docs:
        show(result)
    for path, text in texts.items():
        made = {name: make(result) for name, make in BLOCKS.items() if name in words.names(text)}
        path.write_text(words.splice(text, made), encoding="utf-8")
        click.echo(f"{path}: {', '.join(made)}", err=as_json)
    return 1 if failed else 0


def run(jobs: list[Job]) -> tuple[dict[str, Any], bool]:
    """Measures; what fails is told and left out."""
    result: dict[str, Any] = {"machine": host(), "command": ["wse", "bench"], "cases": []}
    failed = False
    with Working() as working:
        for i, job in enumerate(jobs):
            what = f"[{i + 1}/{len(jobs)}] {job.case}, {job.threads} thread{'s' if job.threads > 1 else ''}"
            working(what)
            try:
                result["cases"].append(measure(job, lambda doing, what=what: working(f"{what}: {doing}")))
            except BenchError as error:
                working.clear()
                click.echo(f"error: {error}", err=True)
                failed = True
    return result, failed


def read(source: Path) -> dict[str, Any]:
    """What --json printed before."""
    try:
        result = json.loads(source.read_text(encoding="utf-8"))
        if not {"machine", "cases"} <= result.keys() or not all(case["case"] in CASES for case in result["cases"]):
            raise ValueError("it has no cases")
        return result
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise ConfigError(f"{source} is not what wse bench --json prints: {error}") from None


def show(result: dict[str, Any]) -> None:
    click.echo(document.machine_in_words(result["machine"]) + "\n")
    common.print_table(*document.cases(result["cases"]))
    head, rows, right = document.targets(result["cases"])
    if rows:
        click.echo()
        common.print_table(head, rows, right)


def table(make: Callable[[list], document.Rows]) -> Callable[[dict], str]:
    return lambda result: words.Table(*make(result["cases"])).markdown()


BLOCKS: dict[str, Callable[[dict[str, Any]], str]] = {
    "machine": lambda result: document.machine_in_words(result["machine"]),
    "cases": table(document.cases),
    "medians": table(document.medians),
    "targets": table(document.targets),
    "speed": lambda result: (
        words.Table(*document.speed(result["cases"])).markdown()
        + f"\n\nOn {document.machine_in_words(result['machine'])}."
    ),
}
