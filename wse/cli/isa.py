"""`wse isa [NAME]`: the instruction reference, from csrc/tables/isa.def."""

from __future__ import annotations

from typing import Any

import click

from ..machine import isa
from ..machine.parameters import WSE2, WSE3
from ..program import assembler
from . import common

KINDS = {
    "vector": "Vector operations, over DSRs",
    "scalar": "Scalar instructions",
    "system": "Tasks, DSRs, queues, colors, time",
}


@click.command(
    "isa", help="The instruction reference: all instructions, or one with its operands, timing and encoding."
)
@click.argument("name", required=False)
@click.option("--kind", type=click.Choice(list(KINDS)), help="Only these.")
@click.option("--markdown", is_flag=True, help="Print markdown.")
@common.json_option
def command(name: str | None, kind: str | None, markdown: bool, as_json: bool) -> None:
    rows = [isa.instruction(name)] if name else [row for row in isa.INSTRUCTIONS if kind in (None, row.kind)]
    if as_json:
        common.print_json(describe(rows[0]) if name else [describe(row) for row in rows])
    elif markdown:
        click.echo(isa.reference(name))
    elif name:
        show(rows[0])
    else:
        for chosen in KINDS:
            table(chosen, [row for row in rows if row.kind == chosen])


def table(kind: str, rows: list[isa.Instruction]) -> None:
    """The instructions of one kind."""
    if not rows:
        return
    click.echo(f"\n{KINDS[kind]}\n")
    if kind == "vector":
        lines = [(row.name, " ".join(row.types), *map(str, row.lanes), row.effect) for row in rows]
        common.print_table(("name", "dst src0 src1 extra", "WSE-2", "WSE-3", "effect"), lines, right=(2, 3))
    else:
        lines = [(row.syntax, latency_words(row), row.effect) for row in rows]
        common.print_table(("instruction", "latency", "effect"), lines)


def show(row: isa.Instruction) -> None:
    """One instruction's page."""
    click.echo(f"{row.syntax}\n\n    {row.effect}\n")
    pairs = [("kind", row.kind), ("opcode", f"{row.opcode} (0x{row.opcode:03x})")]
    if row.kind == "vector":
        types = zip(isa.VECTOR_OPERANDS, row.types, strict=True)
        pairs.append(
            ("operands", ", ".join(f"{name} {isa.TYPES[type].meaning}" for name, type in types if type != "NONE"))
        )
        pairs.append(
            (
                "elements a cycle",
                f"{row.lanes[0]} on WSE-2, {row.lanes[1]} on WSE-3, before limits of memory and fabric",
            )
        )
        pairs.append(("flops", f"{row.flops} per element"))
        pairs.append(("options", "{async, ut=N, activate=TASK} or {..., unblock=TASK}"))
    else:
        pairs.append(("latency", latency_words(row)))
    pairs.append(
        ("encoding", f"bits 0..15 opcode{', bit 15 set: value instead of register' if takes_value(row) else ''}")
    )
    pairs += [("", words) for words in encoding(row)]
    common.print_pairs(pairs)


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
    """Which bits hold which operand, found by asking the assembler: assemble twice, see which bits change."""
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
    """For an operand: what it is, and two texts for it that differ in all their bits."""
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
    """The word of the instruction with this text as one operand, the plainest texts as the others."""
    operands = [text if other == place else _samples(row, other)[0][1] for other in range(len(row.operands))]
    if row.form == "XX" and not text.startswith("r"):  # two registers or two values
        operands = [text if other == place else "0" for other in range(2)]
    return int(assembler.assemble(f"{row.name} {', '.join(operands)}").words[0])


def describe(row: isa.Instruction) -> dict[str, Any]:
    """A row for --json."""
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
