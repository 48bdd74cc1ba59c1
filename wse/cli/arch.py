"""`wse arch [wse2|wse3]`: every figure of csrc/tables/machine.def, with unit, source and confidence."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import click

from ..machine.parameters import PARAMETERS, Machine
from . import common

CONFIDENCE = {
    "DOC": "documented by the vendor",
    "HW": "measured on silicon",
    "SIM": "measured on the vendor's simulator",
    "INF": "inferred from those",
    "ASM": "assumed",
}


@click.command("arch", help="Every number of a machine, or of all, with unit, source, confidence and meaning.")
@click.argument("name", metavar="[wse2|wse3]", required=False, type=click.Choice(common.ARCHS))
@click.option("--profile", type=click.Choice(common.PROFILES), help="Ideal or measured timing.  [default: simulator]")
@click.option("--set", "settings", type=common.Setting(), multiple=True, help="Change a number; repeatable.")
@click.option("--machine", "file", type=click.Path(path_type=Path), help="TOML file that changes numbers.")
@click.option("--toml", is_flag=True, help="Print a file for --machine, every number commented out.")
@common.json_option
def command(
    name: str | None,
    profile: str | None,
    settings: tuple[tuple[str, str], ...],
    file: Path | None,
    toml: bool,
    as_json: bool,
) -> None:
    if name or profile or settings or file or toml:
        chosen = common.machine(name, profile, settings, file)
        columns = {chosen.name if chosen.profile == "simulator" else chosen.profile: chosen}
    else:
        chosen = Machine()
        columns = {"wse2": Machine("wse2"), "wse3": chosen, "silicon": Machine("wse3", "silicon")}
    if toml:
        click.echo(template(chosen))
    elif as_json:
        common.print_json(document(columns))
    else:
        show(columns)


def show(columns: dict[str, Machine]) -> None:
    """The table; a star marks what was changed."""
    changed = {name for machine in columns.values() for name, _ in machine.overrides}
    narrow = is_narrow()
    rows = []
    for row in PARAMETERS:
        star = "*" if row.name in changed else ""
        values = [number(row.name, machine.params[row.name]) + star for machine in columns.values()]
        extent = f"{number(row.name, row.least)}..{number(row.name, row.most)}"
        rows.append(
            (row.name, *values, row.unit, extent, row.confidence, *(() if narrow else (row.meaning, row.source)))
        )
    head = ("name", *columns, "unit", "range", "sure", *(() if narrow else ("meaning", "source")))
    below = [f"{row.meaning}; {row.source}" for row in PARAMETERS] if narrow else None
    common.print_table(head, rows, right=range(1, 1 + len(columns)), below=below)
    click.echo("\nsure: " + "; ".join(f"{short} {words}" for short, words in CONFIDENCE.items()))
    if changed:
        click.echo("*: changed")


def is_narrow() -> bool:
    """Whether the table would be broken by a terminal: meaning and source then go below each row."""
    return sys.stdout.isatty() and shutil.get_terminal_size().columns < 200


def number(name: str, value: int) -> str:
    """Masks in hex, the rest in thousands."""
    return hex(value) if name == "switch_colors" else f"{value:,}"


def document(columns: dict[str, Machine]) -> dict[str, Any]:
    """What --json prints."""
    rows = []
    for row in PARAMETERS:
        values = {column: machine.params[row.name] for column, machine in columns.items()}
        value: dict[str, Any] = {"value": next(iter(values.values()))} if len(values) == 1 else {"values": values}
        rows.append(
            {"name": row.name}
            | value
            | {"unit": row.unit, "least": row.least, "most": row.most, "limits": row.limits}
            | {"confidence": row.confidence, "source": row.source, "meaning": row.meaning}
        )
    first = next(iter(columns.values()))
    one = {"arch": first.name, "profile": first.profile} if len(columns) == 1 else {"arch": None, "profile": None}
    return one | {"confidence": CONFIDENCE, "parameters": rows}


def template(machine: Machine) -> str:
    """A TOML file for --machine: what is overridden stands as it is, all else is commented out."""
    changed = dict(machine.overrides)
    lines = [f'machine = "{machine.name}"', f'profile = "{machine.profile}"', "", "[params]"]
    for row in PARAMETERS:
        lines.append(f"# {row.meaning} ({row.unit}, {row.least} to {row.most}; {row.confidence}: {row.source})")
        lines.append(f"{'' if row.name in changed else '# '}{row.name} = {machine.params[row.name]}")
    return "\n".join(lines)
