"""sim.log: what PEs print with <simprint>, each line with the cycle in which it ended.

With SIMFABRIC_DEBUG=inst_trace,landing in the environment also the beginnings and ends of tasks and operations, and
the wavelets that arrive at PEs.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ..csl.syntax.errors import printable
from ..errors import ConfigError
from ..machine import numerics
from ..trace import events
from .device import Device

NAME = "sim.log"
VARIABLES = ("SIMFABRIC_DEBUG", "SINGULARITYENV_SIMFABRIC_DEBUG")  # the second: as set outside of the SDK's container
KINDS = ("inst_trace", "landing")
TRACED_EVENTS = 2_000_000  # at most

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
            text = printable(strings[value].partition("\0")[0]) if value < len(strings) else "?"
        elif kind == HALF:
            text = _decimal(float(numerics.from_bits(value & 0xFFFF, device.artifact.fp16)), 4)
        else:
            text = "\n" if kind == END_OF_LINE else _NUMBERS.get(kind, str)(value)
        *ended, rest = (open_lines.pop(pe, (0, ""))[1] + text).split("\n")
        written += [f"@{cycle} {line}" for line in ended]
        if rest:
            open_lines[pe] = (cycle, rest)
    return written


def wanted() -> frozenset[str]:
    """What the environment asks sim.log to hold besides: of KINDS."""
    given = next((os.environ[name] for name in VARIABLES if os.environ.get(name)), "")
    kinds = frozenset(filter(None, (word.strip() for word in given.split(","))))
    for kind in sorted(kinds - set(KINDS)):
        if kind == "router":
            raise ConfigError(
                f"{VARIABLES[0]}=router is not supported: wavelets are recorded where they arrive at a PE (landing)"
            )
        raise ConfigError(f"{VARIABLES[0]} is a list of {', '.join(KINDS)}, not {kind!r}")
    return kinds


def traced(device: Device, kinds: frozenset[str]) -> list[tuple[int, str]]:
    """The events of these kinds, as (cycle, line); PEs by their places on the fabric."""
    run = device.measure()
    if run.events is None:
        return []
    (left, top), names = device.artifact.offsets, events.Names(run)
    made: list[tuple[int, str]] = []
    for cycle, pe, kind, a, b in run.events[["cycle", "pe", "kind", "a", "b"]].tolist():
        row, words = events.kind_name(kind), events.words(names, kind, a, b)
        if ("landing" if row == "LAND" else "inst_trace") in kinds:
            made.append((cycle, f"@{cycle} P{pe % run.width + left}.{pe // run.width + top}: {words}"))
    if run.events_dropped:
        made.append((run.cycles, f"# {run.events_dropped} more events: the trace was full"))
    return made


def write(device: Device, directory: str | Path = ".") -> None:
    """Writes sim.log to the directory, if anything was printed or traced."""
    text = [(int(line[1:].partition(" ")[0]), line) for line in lines(device)]
    if device.traces:
        text += traced(device, device.traces)
        text.sort(key=lambda entry: entry[0])
    if text:
        (Path(directory) / NAME).write_text("\n".join(line for _, line in text) + "\n")
