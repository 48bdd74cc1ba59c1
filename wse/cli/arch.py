"""`wse arch [wse2|wse3]`: every figure of csrc/tables/machine.def, with unit, source and confidence."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from ..machine.parameters import PARAMETERS, Machine
from . import common, types
from .output import Column, Lines, Table, Words, number, show, text

CONFIDENCE = {
    "DOC": "documented by the vendor",
    "HW": "measured on silicon",
    "SIM": "measured on the vendor's simulator",
    "INF": "inferred from those",
    "ASM": "assumed",
}


@click.command("arch")
@click.argument("name", metavar="[wse2|wse3]", required=False, type=types.ARCH)
@common.option("--profile", type=types.PROFILE, help="Ideal timing, or measured on silicon.  [default: simulator]")
@common.model_options
@common.flag("--toml", help="Print a file for --machine, every figure commented out.")
@common.json_option
def command(
    name: str | None,
    profile: str | None,
    settings: tuple[tuple[str, str], ...],
    file: Path | None,
    toml: bool,
    as_json: bool,
) -> None:
    """Print every figure of a machine, or of all, with unit, range, source, confidence and meaning."""
    if toml and as_json:
        raise click.UsageError("--toml and --json exclude each other")
    if name or profile or settings or file or toml:
        chosen = common.machine(name, profile, settings, file)
        columns = {chosen.name if chosen.profile == "simulator" else chosen.profile: chosen}
    else:
        chosen = Machine()
        columns = {"wse2": Machine("wse2"), "wse3": chosen, "silicon": Machine("wse3", "silicon")}
    if toml:
        click.echo(template(chosen))
        return
    changed = {name for machine in columns.values() for name, _ in machine.overrides}
    show(document(columns), VIEW, as_json, columns=columns, changed=changed, narrow=is_narrow())


def columns(d: Mapping[str, Any]) -> list[Column]:
    """The columns of the table, one for each machine; a star marks changed figures."""

    def figure(machine: Machine) -> Words:
        return lambda row: (
            digits(row["name"], machine.params[row["name"]]) + ("*" if row["name"] in d["changed"] else "")
        )

    return [
        text("name", "{name}"),
        *(number(name, figure(machine)) for name, machine in d["columns"].items()),
        text("unit", "{unit}"),
        text("range", lambda row: f"{digits(row['name'], row['least'])}..{digits(row['name'], row['most'])}"),
        text("sure", "{confidence}"),
        *([] if d["narrow"] else [text("meaning", "{meaning}"), text("source", "{source}")]),
    ]


def is_narrow() -> bool:
    """Whether the table is too wide for the terminal; meaning and source are then printed below each row."""
    return sys.stdout.isatty() and shutil.get_terminal_size().columns < 200


def digits(name: str, value: int) -> str:
    """Masks in hex, the rest in thousands."""
    return hex(value) if name == "switch_colors" else f"{value:,}"


def document(columns: dict[str, Machine]) -> dict[str, Any]:
    """The figures in JSON; keys are stable."""
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
    """A TOML file for --machine, in which unchanged figures are commented out."""
    changed = dict(machine.overrides)
    lines = [f'machine = "{machine.name}"', f'profile = "{machine.profile}"', "", "[params]"]
    for row in PARAMETERS:
        lines.append(f"# {row.meaning} ({row.unit}, {row.least} to {row.most}; {row.confidence}: {row.source})")
        lines.append(f"{'' if row.name in changed else '# '}{row.name} = {machine.params[row.name]}")
    return "\n".join(lines)


VIEW = [
    Table("parameters", columns, under=lambda row: f"{row['meaning']}; {row['source']}" if row["narrow"] else None),
    Lines(
        [
            lambda d: "sure: " + "; ".join(f"{short} {words}" for short, words in CONFIDENCE.items()),
            lambda d: "*: changed" if d["changed"] else None,
        ]
    ),
]
