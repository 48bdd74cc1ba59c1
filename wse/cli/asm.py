"""`wse asm FILE`: text into instruction words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..errors import AsmError, ConfigError
from ..machine import isa
from ..program import assembler
from . import common


class Definition(click.ParamType):
    """name=value with an integer value: A=64."""

    name = "NAME=VALUE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, int]:
        if isinstance(value, tuple):
            return value
        name, _, number = (part.strip() for part in value.partition("="))
        try:
            return name, int(number.replace("_", ""), 0)
        except ValueError:
            self.fail(f"{value!r} is not of the form name=integer, such as A=64", param, ctx)


@click.command("asm", help="Assemble FILE (- for the standard input) and print the words in hex, or write them.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), help="File to write: .bin little-endian words of 64 bits, else hex."
)
@click.option("--define", "symbols", type=Definition(), multiple=True, help="Value of a name in the text; repeatable.")
@click.option(
    "--fp16",
    type=click.Choice(list(isa.FP16)),
    default="f16",
    show_default=True,
    help="Format of numbers such as 1.5h.",
)
@common.json_option
def command(file: Path, out: Path | None, symbols: tuple[tuple[str, int], ...], fp16: str, as_json: bool) -> None:
    try:
        with click.open_file(str(file), encoding="utf-8") as stream:
            text = stream.read()
        done = assembler.assemble(text, dict(symbols), fp16=fp16)
    except UnicodeDecodeError:
        raise ConfigError(f"{file} is not text: `wse disasm` reads instruction words") from None
    except AsmError as error:
        raise AsmError(f"{file}: {error}", error.line) from None
    words = [int(word) for word in done.words]
    if out is not None and out.suffix == ".bin":
        out.write_bytes(done.words.astype("<u8").tobytes())
    elif out is not None:
        out.write_text("".join(f"{word:016x}\n" for word in words))
    if as_json:
        hexed = [f"0x{word:016x}" for word in words]
        common.print_json({"words": hexed, "labels": done.labels, "lines": done.lines})
    elif out is None:
        for word in words:
            click.echo(f"{word:016x}")
