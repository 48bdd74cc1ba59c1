"""sim.log: what PEs print with <simprint>, each line with the cycle in which it ended."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ..machine import numerics
from .device import Device

NAME = "sim.log"

# The kinds of `say`.
STRING, HALF, END_OF_LINE = 0, 8, 9
_NUMBERS: dict[int, Callable[[int], str]] = {
    1: lambda v: str(v & 0xFFFF),
    2: str,
    3: lambda v: str(np.uint16(v & 0xFFFF).view(np.int16)),
    4: lambda v: str(np.uint32(v).view(np.int32)),
    5: lambda v: f"{v & 0xFFFF:04X}",
    6: lambda v: f"{v:08X}",
    7: lambda v: _decimal(struct.unpack("<f", struct.pack("<I", v))[0], 8),
    10: lambda v: f"{v & 0xFFFF:016b}",
    11: lambda v: f"{v:032b}",
}


def _decimal(value: float, digits: int) -> str:
    """The shortest that comes close, with a point: 42.0."""
    text = f"{value:.{digits}g}"
    return text if any(letter in text for letter in ".en") else text + ".0"


def lines(device: Device) -> list[str]:
    """What was said since the last call, as lines `@cycle text`.  A line that has not ended is lost, as on the vendor's
    simulator."""
    said, strings = device.fabric.said(), device.artifact.strings
    open_lines: dict[int, tuple[int, str]] = {}
    written: list[str] = []
    for cycle, pe, kind, _, value in said.tolist():
        if kind == STRING:
            text = strings[value].partition("\0")[0] if value < len(strings) else "?"
        elif kind == HALF:
            text = _decimal(float(numerics.from_bits(value & 0xFFFF, device.artifact.fp16)), 4)
        else:
            text = "\n" if kind == END_OF_LINE else _NUMBERS.get(kind, str)(value)
        *ended, rest = (open_lines.pop(pe, (0, ""))[1] + text).split("\n")
        written += [f"@{cycle} {line}" for line in ended]
        if rest:
            open_lines[pe] = (cycle, rest)
    return written


def write(device: Device, directory: str | Path = ".") -> None:
    """Writes sim.log to the directory, if anything was printed."""
    if text := lines(device):
        (Path(directory) / NAME).write_text("\n".join(text) + "\n")
