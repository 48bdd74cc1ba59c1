"""`wse disasm FILE`: disassembles instruction words."""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np

from ..errors import ConfigError
from ..program import assembler
from . import common, types
from .output import print_json


@click.command("disasm")
@click.argument("file", type=types.FILE)
@common.json_option
def command(file: Path, as_json: bool) -> None:
    """Print the instruction words in FILE as text.  FILE.bin holds little-endian words of 64 bits, any other hex."""
    words = read_binary(file) if file.suffix == ".bin" else read_hex(file)
    if as_json:
        lines = [{"word": f"0x{word:016x}", "text": assembler.disassemble_word(word)} for word in words]
        print_json({"instructions": lines})
    else:
        click.echo(assembler.disassemble(words), nl=False)


def read_binary(path: Path) -> list[int]:
    data = path.read_bytes()
    if len(data) % 8:
        raise ConfigError(f"{path} holds {len(data)} bytes, not a whole number of 64-bit words")
    return [int(word) for word in np.frombuffer(data, "<u8")]


def read_hex(path: Path) -> list[int]:
    """One word of up to 16 hex digits after another, with or without 0x; // starts a comment."""
    words = []
    with click.open_file(str(path), encoding="utf-8", errors="replace") as file:
        for number, line in enumerate(file, 1):
            for part in line.split("//", 1)[0].split():
                try:
                    word = int(part, 16)
                except ValueError:
                    word = -1
                if not 0 <= word < 1 << 64:
                    raise ConfigError(f"{path}: line {number}: {part[:40]!r} is not a word of 64 bits in hex")
                words.append(word)
    return words
