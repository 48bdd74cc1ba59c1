"""`wse isa [NAME]`: the instruction reference, from csrc/tables/isa.def."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from ..machine import isa
from ..machine.parameters import WSE2, WSE3
from ..program import assembler
from . import common, types
from .output import Lines, Pairs, Table, Words, escaped, number, print_json, show, text

KINDS = {
    "vector": "Vector operations, over DSRs",
    "scalar": "Scalar instructions",
    "system": "Tasks, DSRs, queues, colors, time",
}


@click.command("isa")
@click.argument("name", type=types.INSTRUCTION, required=False)
@common.option("--kind", type=types.Choice(list(KINDS)), help="List only the instructions of this kind.")
@common.flag("--markdown", help="Print Markdown.")
@common.json_option
def command(name: str | None, kind: str | None, markdown: bool, as_json: bool) -> None:
    """Print the instruction reference: all instructions, or NAME with its operands, timing and encoding."""
    if name is not None:
        common.refuse("is for the list of all instructions, not for one", "kind")
    if markdown and as_json:
        raise click.UsageError("--markdown and --json exclude each other")
    rows = [isa.instruction(name)] if name else [row for row in isa.INSTRUCTIONS if kind in (None, row.kind)]
    if markdown:
        click.echo(isa.reference(name))
    elif name:
        show(describe(rows[0]), PAGE, as_json, row=rows[0])
    elif as_json:
        print_json([describe(row) for row in rows])
    else:
        listed = {each: [vars_of(row) for row in rows if row.kind == each] for each in KINDS}
        show(listed, [table(each) for each in KINDS], as_json)


def vars_of(row: isa.Instruction) -> dict[str, Any]:
    """The description of an instruction in the list."""
    return {
        "name": row.name,
        "types": " ".join(row.types),
        "lanes": row.lanes,
        "syntax": row.syntax,
        "latency": latency_words(row) if row.latency else None,
        "effect": row.effect,
    }


def table(kind: str) -> Table:
    """The list of the instructions of one kind."""
    if kind == "vector":
        columns = [
            text("name", "{name}"),
            text("dst src0 src1 extra", "{types}"),
            number("WSE-2", "{lanes[0]}"),
            number("WSE-3", "{lanes[1]}"),
            text("effect", "{effect}"),
        ]
    else:
        columns = [text("instruction", "{syntax}"), text("latency", "{latency}"), text("effect", "{effect}")]
    return Table(kind, columns, title=f"{KINDS[kind]}\n")


def operands(d: Mapping[str, Any]) -> str | None:
    """The operands of a vector operation with their types."""
    row = d["row"]
    if row.kind != "vector":
        return None
    typed = zip(isa.VECTOR_OPERANDS, row.types, strict=True)
    return ", ".join(f"{name} {isa.TYPES[type].meaning}" for name, type in typed if type != "NONE")


def pairs(d: Mapping[str, Any]) -> list[tuple[str, Words]]:
    """The lines of one instruction's page."""
    vector = d["kind"] == "vector"
    immediate = ", bit 15 set: value instead of register" if takes_value(d["row"]) else ""
    return [
        ("kind", "{kind}"),
        ("opcode", "{opcode} (0x{opcode:03x})"),
        ("operands", operands),
        ("elements a cycle", "{lanes[wse2]} on WSE-2, {lanes[wse3]} on WSE-3, before limits of memory and fabric"),
        ("flops", lambda d: f"{d['row'].flops} per element" if vector else None),
        ("options", lambda d: "{async, ut=N, activate=TASK} or {..., unblock=TASK}" if vector else None),
        ("latency", lambda d: None if vector else latency_words(d["row"])),
        ("encoding", f"bits 0..15 opcode{immediate}"),
        *(("", escaped(words)) for words in d["encoding"]),
    ]


PAGE = [Lines(["{syntax}"]), Lines(["    {effect}"]), Pairs(pairs)]


def latency_words(row: isa.Instruction) -> str:
    """'2 (fp_latency)', or both machines' figures where they differ; a branch has two."""
    names = ["branch_not_taken", "branch_taken"] if row.latency == "branch" else [row.latency]
    words = []
    for name in names:
        values = [machine.params[name] for machine in (WSE2, WSE3)]
        words.append(
            f"{values[0]} ({name})" if values[0] == values[1] else f"{values[0]} / {values[1]} WSE-2 / WSE-3 ({name})"
        )
    return ", ".join(words)


def takes_value(row: isa.Instruction) -> bool:
    return any("or value" in operand for operand in row.operands)


def encoding(row: isa.Instruction) -> list[str]:
    """The bits of each operand: those that change when the assembler encodes two different operands."""
    lines = []
    for place, operand in enumerate(row.operands):
        parts = []
        for what, low, high in _samples(row, place):
            bits = (_assemble(row, place, low) ^ _assemble(row, place, high)) & ~isa.IMMEDIATE
            # An operand may use less than its field: fields are whole bytes.
            first, last = (bits & -bits).bit_length() - 1, bits.bit_length() - 1
            parts.append(f"{what}bits {first & ~7}..{last | 7}")
        lines.append(f"{operand.replace(' or value', '')}: {', '.join(parts)}")
    if row.kind == "vector":
        lines.append("options: bits 48..63")
    return lines


def _samples(row: isa.Instruction, place: int) -> list[tuple[str, str, str]]:
    """For an operand: its description, and two texts whose encodings differ in all bits."""
    operand = row.operands[place]
    if row.kind == "vector" and operand != "extra":
        return [("", "d0", "b15")]
    if operand == "target":
        return [("", "0", "-1")]
    if operand.startswith("["):
        return [("base ", "[r0]", "[r31]"), ("offset ", "[r0]", "[r0-1]")]
    if operand in ("DSR", "XDSR"):
        return [("", "d0", "b15") if operand == "DSR" else ("", "x0", "x15")]
    last = f"r{32 - row.group}"  # a group of registers ends at r31 at the latest
    if "or value" in operand:
        value = "255" if row.form == "XX" and place == 0 else "-1"
        return [("register ", "r0", "r31"), ("value ", "0", value)]
    return [("", "r0", last)]


def _assemble(row: isa.Instruction, place: int, text: str) -> int:
    """The word of the instruction with this text as one operand, and simple texts as the others."""
    operands = [text if other == place else _samples(row, other)[0][1] for other in range(len(row.operands))]
    if row.form == "XX" and not text.startswith("r"):  # two registers or two values
        operands = [text if other == place else "0" for other in range(2)]
    return int(assembler.assemble(f"{row.name} {', '.join(operands)}").words[0])


def describe(row: isa.Instruction) -> dict[str, Any]:
    """An instruction in JSON; keys are stable."""
    names = ["branch_not_taken", "branch_taken"] if row.latency == "branch" else [row.latency]
    return {
        "name": row.name,
        "kind": row.kind,
        "opcode": row.opcode,
        "syntax": row.syntax,
        "operands": list(row.operands),
        "types": [type for type in row.types if type not in ("NONE", "")],
        "lanes": {"wse2": row.lanes[0], "wse3": row.lanes[1]} if row.kind == "vector" else None,
        "flops": row.flops if row.kind == "vector" else None,
        "latency": {name: {"wse2": WSE2.params[name], "wse3": WSE3.params[name]} for name in names if name} or None,
        "effect": row.effect,
        "encoding": encoding(row),
    }
