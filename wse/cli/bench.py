"""`wse bench`: measures the speed of the engine on this computer."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import click

from ..bench import CASES, BenchError, Case, Job, compare, document, host, measure
from ..bench.runner import cores
from ..errors import ConfigError
from ..schema import read_json, read_text
from ..validation import document as words
from . import common, types
from .output import Lines, pair_lines, show, table_lines


@click.command("bench")
@common.option("--only", type=types.WORD, metavar="GLOB", help="Cases whose name matches, also of --full: 'dense-*'.")
@common.option(
    "--threads",
    type=types.Integers(1, 1024, "numbers of threads"),
    help="Numbers of host threads.  [default: 1 and all]",
)
@common.flag("--full", help="Measure the cases that take long, too: whole wafers, small tiles.")
@common.option(
    "--seconds", type=types.Number(0, 86_400), help="Seconds to sample each case for.  [default: 2; with --full 4]"
)
@common.option("--grid", type=types.Grid(), help="PEs to use.  [default: each case's own]")
@common.flag("--portable", help="Do not use AVX2 and AVX-512.")
@common.option(
    "--compare", "before", type=types.FILE, metavar="OLD.json", help="Print ratios to results that --json printed."
)
@common.option("--from", "source", type=types.FILE, metavar="FILE.json", help="Show results that --json printed.")
@common.option(
    "--write-docs",
    "docs",
    type=types.FILE,
    multiple=True,
    metavar="FILE.md",
    help="Renew the tables in a document; repeatable.",
)
@common.flag("--list", "listing", help="Print the cases with their descriptions.")
@common.json_option
def command(
    only: str | None,
    threads: tuple[int, ...] | None,
    full: bool,
    seconds: float | None,
    grid: tuple[int, int] | None,
    portable: bool,
    before: Path | None,
    source: Path | None,
    docs: tuple[Path, ...],
    listing: bool,
    as_json: bool,
) -> int:
    """Measure the engine on this computer.

    Every case runs in a process of its own, is sampled several times, and its result is verified; the figures are those
    of the best sample, in JSON the median too.  It takes one to three minutes on two cores and 4 GB of memory; --full
    takes half an hour or more, and up to 10 GB.
    """
    every = full or listing or only is not None or source is not None
    names = [name for name, case in CASES.items() if fnmatchcase(name, only or "*") and (every or not case.full)]
    if not names:
        raise ConfigError(f"no case matches {only!r}: they are {', '.join(CASES)}")
    if listing:
        click.echo("\n".join(pair_lines([("case", "what"), *((name, CASES[name].words) for name in names)])))
        return 0
    texts = {path: read_text(path, "document") for path in docs}
    for path, text in texts.items():
        if not set(BLOCKS) & set(words.names(text)):
            raise ConfigError(f"{path} has no block to write: blocks are {', '.join(BLOCKS)}")
    old = None if before is None else read(before)
    if source is not None:
        result, failed = read(source), False
        result["cases"] = [case for case in result["cases"] if case["case"] in names]
    else:
        seconds = (4.0 if full else 2.0) if seconds is None else seconds
        jobs = [Job(name, count, seconds, grid, portable) for name in names for count in threads or counts(CASES[name])]
        result, failed = run(jobs, math.inf if every else LAST_START_SECONDS)
    if old is not None:
        old["cases"] = [case for case in old["cases"] if case["case"] in names]
        result["compared"] = compare.compared(old, result)
    if as_json or not docs:
        show(result, VIEW, as_json)
    for path, text in texts.items():
        made = {name: make(result) for name, make in BLOCKS.items() if name in words.names(text)}
        path.write_text(words.splice(text, made), encoding="utf-8")
        click.echo(f"{path}: {', '.join(made)}", err=as_json)
    return 1 if failed else 0


def counts(case: Case) -> list[int]:
    """The numbers of threads that a case is measured with: one and all that there are."""
    most = min(cores(), case.threads)
    return [most] if case.parallel else sorted({1, most})


LAST_START_SECONDS = 150.0  # of a plain `wse bench`: no case begins later, so that it ends within three minutes


def run(jobs: list[Job], last_start: float) -> tuple[dict[str, Any], bool]:
    """Runs the jobs.  A line on standard error for each that has ended; a failed one is left out of the result, and so
    are those that have not begun after `last_start` seconds."""
    result: dict[str, Any] = {"machine": host(), "command": ["wse", "bench"], "cases": []}
    failed, begun = False, time.monotonic()
    with common.Working() as working:
        for i, job in enumerate(jobs):
            what = f"[{i + 1}/{len(jobs)}] {job.case}, {job.threads} thread{'s' if job.threads > 1 else ''}"
            started = time.monotonic()
            if started - begun > last_start:
                left = dict.fromkeys(job.case for job in jobs[i:])
                click.echo(
                    f"note: not measured, for it takes too long here: {', '.join(left)}; --full has no limit", err=True
                )
                break
            working(what)
            try:
                found = measure(job, lambda doing, what=what: working(f"{what}: {doing}"))
            except BenchError as error:
                working.clear()
                click.echo(f"error: {error}", err=True)
                failed = True
                continue
            result["cases"].append(found)
            working.clear()
            click.echo(f"{what}: {document.result(found)}, took {time.monotonic() - started:.0f} s", err=True)
    return result, failed


def read(source: Path) -> dict[str, Any]:
    """The results in a file that --json printed."""
    try:
        result = read_json(source, "benchmark")
        if not {"machine", "cases"} <= result.keys() or not all(case["case"] in CASES for case in result["cases"]):
            raise ValueError("it has no cases")
        return result
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise ConfigError(f"{source} is not what wse bench --json prints: {error}") from None


def tables(result: Mapping[str, Any]) -> str:
    """The view: computer, cases, targets."""
    parts = [document.machine_in_words(result["machine"])]
    for head, rows, right in (document.cases(result["cases"]), document.targets(result["cases"])):
        if rows:
            parts.append("\n".join(table_lines(head, rows, right)))
    if found := result.get("compared"):
        parts += [
            "\n".join(found["remarks"]),
            "Medians; spread: from the slowest to the fastest sample, in percent of the median.",
            "\n".join(table_lines(*compare.table(found["ratios"]))),
        ]
    return "\n\n".join(parts)


VIEW = [Lines([tables])]


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
