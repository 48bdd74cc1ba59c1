"""`wse asm FILE`: assembles text into instruction words."""

from __future__ import annotations

from pathlib import Path

import click

from .. import files
from ..errors import AsmError, ConfigError
from ..machine import isa
from ..program import assembler
from . import common, types
from .output import Lines, show


@click.command("asm")
@click.argument("file", type=types.FILE)
@common.option(
    "-o",
    "--out",
    type=types.OUTPUT,
    help="File to write: .bin little-endian words of 64 bits; any other, words in hex.",
)
@common.option(
    "--define", "symbols", type=types.Definition(), multiple=True, help="Value of a name in the text; repeatable."
)
@common.option(
    "--fp16", type=types.Choice(list(isa.FP16)), default="f16", help="Format of 16-bit numbers such as 1.5h."
)
@common.json_option
def command(file: Path, out: Path | None, symbols: tuple[tuple[str, int], ...], fp16: str, as_json: bool) -> None:
    """Assemble FILE (- for the standard input); print its instruction words in hex, or write them to a file."""
    try:
        with click.open_file(str(file), encoding="utf-8") as stream:
            text = stream.read()
        done = assembler.assemble(text, dict(symbols), fp16=fp16)
    except UnicodeDecodeError:
        raise ConfigError(f"{file} is not text: `wse disasm` reads instruction words") from None
    except AsmError as error:
        raise AsmError(f"{file}: {error}", error.line) from None
    hexed = [f"{word:016x}" for word in done.words.tolist()]
    if out is not None and out.suffix == ".bin":
        files.write_bytes(out, done.words.astype("<u8").tobytes())
    elif out is not None:
        files.write_text(out, "".join(f"{word}\n" for word in hexed))
    if as_json or out is None:
        document = {"words": [f"0x{word}" for word in hexed], "labels": done.labels, "lines": done.lines}
        show(document, [Lines(hexed)], as_json)
