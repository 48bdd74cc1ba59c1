"""The options --check and --suppress, and the findings of a run as text and JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..check import Checker, Finding, Suppressions
from ..check.finding import summary
from ..fabric.checked import KEPT

SHOWN = 50  # findings that are printed as text


def suppressions(check: bool, suppress: Path | None) -> Suppressions | None:
    """The known findings; None if the run is not checked.  UsageError for --suppress without --check."""
    if suppress is not None and not check:
        raise click.UsageError("--suppress names known findings of --check: add --check")
    if not check:
        return None
    return Suppressions() if suppress is None else Suppressions.load(suppress)


def checker(check: bool, suppress: Path | None) -> Checker | None:
    """The collector of a run's findings; None if the run is not checked."""
    known = suppressions(check, suppress)
    return None if known is None else Checker(known)


def document(found: list[Finding] | None) -> dict[str, Any]:
    """The findings in JSON; empty for a run that is not checked."""
    return {} if found is None else {"findings": [one.json() for one in found]}


def show(found: list[Finding], out: Any) -> None:
    """Prints the findings."""
    click.echo(f"\n{summary(found)}" + (":" if found else ""), file=out)
    for one in found[:SHOWN]:
        click.echo(str(one), file=out)
    if len(found) > SHOWN:
        click.echo(f"... and {len(found) - SHOWN} more (--json prints all)", file=out)
    if len(found) >= KEPT:
        click.echo(f"note: {KEPT:,} different findings of a part of the grid are kept: there may be more", err=True)


def note_unused(known: Suppressions) -> None:
    """Prints a note for each suppression that matched no finding."""
    for line in known.unused():
        click.echo(f"note: {line}", err=True)
