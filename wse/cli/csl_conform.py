"""`wse csl conform DIR`: runs every example below a directory by its own scripts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click

from ..bench.runner import cores
from ..sdk import conform
from . import common, types
from .output import print_json

_COLORS = {"pass": "green", "fail": "red", "error": "red", "skip": "yellow"}


@click.command("conform")
@click.argument("directory", metavar="DIR", type=types.FILE)
@common.option("--only", type=types.WORD, metavar="GLOB", help="Examples whose names match: 'gemv-*'.")
@common.option("--arch", type=types.ARCH, help="Run only the scripts of this machine.  [default: both]")
@common.option("--timeout", type=types.Number(1, 86_400), default=60, help="Seconds allowed for each script.")
@common.option(
    "--jobs",
    type=types.Integer(1, 1024),
    help="Scripts that run at the same time.  [default: the number of processors]",
)
@common.json_option
def command(
    directory: Path, only: str | None, arch: str | None, timeout: float, jobs: int | None, as_json: bool
) -> int:
    """Run every example below DIR by its own commands_wse2.sh and commands_wse3.sh, in a copy, and print which passed.

    DIR is a checkout of csl-examples, or any directory of programs with such scripts.  Exit status 1: one did not pass.
    """
    examples = conform.find(directory, only)
    archs = (arch,) if arch else conform.ARCHS
    outcomes = []
    width = max(len(example.name) for example in examples)
    for outcome in conform.run(examples, archs, timeout, jobs or cores()):
        outcomes.append(outcome)
        if not as_json:
            click.echo(line(outcome, width))
    if as_json:
        print_json({"examples": [asdict(outcome) for outcome in outcomes]})
    else:
        click.echo(summary(outcomes))
    return 0 if all(outcome.status in ("pass", "skip") for outcome in outcomes) else 1


def line(outcome: conform.Outcome, width: int) -> str:
    """A script's line: name, machine, status, cycles, seconds, note, reason."""
    cycles = "" if outcome.cycles is None else f"{outcome.cycles:,}"
    status = click.style(outcome.status.ljust(5), fg=_COLORS[outcome.status])
    found = f"{outcome.name.ljust(width)}  {outcome.arch}  {status}  {cycles:>12}  {outcome.wall_seconds:6.1f} s"
    return "  ".join([found, *filter(None, (outcome.note and f"[{outcome.note}]", outcome.reason[:200]))])


def summary(outcomes: Sequence[conform.Outcome]) -> str:
    """`49 of 53 examples passed for every machine they have a script for; 93 pass, 4 fail, 3 error`."""
    names = dict.fromkeys(outcome.name for outcome in outcomes)
    whole = sum(all(o.status == "pass" for o in outcomes if o.name == name) for name in names)
    counts = Counter(outcome.status for outcome in outcomes)
    each = ", ".join(f"{counts[status]} {status}" for status in _COLORS if counts[status])
    notes = Counter(outcome.note for outcome in outcomes if outcome.note)
    told = "".join(f"\n{number} scripts: {note}" for note, number in notes.items())
    return f"{whole} of {len(names)} examples passed for every machine they have a script for; {each}{told}"
