"""debug_util: what a program left in memory, and its traces, after the run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ConfigError
from ..machine import numerics
from . import arguments, runtime
from .device import Device


class debug_util:
    """The state of the program in a directory after its last run in this process; coordinates are of the fabric."""

    def __init__(self, dirname: str, cmaddr: str | None = None):
        if not isinstance(dirname, str | os.PathLike):
            raise ConfigError(f"debug_util takes the directory of a compiled program, not {arguments.shown(dirname)}")
        if cmaddr:
            raise ConfigError(f"there is no system at {cmaddr!r}: this is the emulator, leave cmaddr away")
        self.directory = Path(dirname)
        if self.directory.resolve() not in runtime.devices:
            raise ConfigError(f"{dirname} was not run by this process: debug_util reads what SdkRuntime has run")

    @property
    def _device(self) -> Device:
        return runtime.devices[self.directory.resolve()]

    def _program_xy(self, x: int, y: int) -> tuple[int, int]:
        left, top = self._device.artifact.offsets
        x, y = arguments.integer(x, "x"), arguments.integer(y, "y")
        if not (0 <= x - left < self._device.width and 0 <= y - top < self._device.height):
            raise ConfigError(
                f"PE ({x}, {y}) of the fabric is not in the program, "
                f"which has {self._device.width} x {self._device.height} PEs at ({left}, {top})"
            )
        return x - left, y - top

    def get_symbol(self, x: int, y: int, name: str, dtype) -> np.ndarray:
        """An `export var` of a PE as a flat array of the type."""
        symbol = arguments.name(name, "the symbol")
        return arguments.elements(self._device.symbol(*self._program_xy(x, y), symbol)[1], dtype, symbol)

    def get_symbol_rect(self, rectangle, name: str, dtype) -> np.ndarray:
        """The same for ((x, y), (w, h)): an array [w, h, n]."""
        corner, size = arguments.pair(rectangle, "the rectangle ((x, y), (w, h))")
        x, y = (arguments.integer(v, "a coordinate") for v in arguments.pair(corner, "the corner (x, y)"))
        w, h = (arguments.integer(v, "the size (w, h)", 1) for v in arguments.pair(size, "the size (w, h)"))
        self._program_xy(x, y), self._program_xy(x + w - 1, y + h - 1)
        return np.stack([np.stack([self.get_symbol(x + i, y + j, name, dtype) for j in range(h)]) for i in range(w)])

    def read_trace(self, x: int, y: int, name: str) -> list:
        """The records of a <debug> module with this key, in order."""
        here = self._program_xy(x, y)
        _, data = self._device.symbol(*here, f"trace.{arguments.name(name, 'the name of a trace')}")
        return decode(np.frombuffer(data, np.uint16), self._device.artifact.strings, self._device.artifact.fp16)


# Kinds of records: the words they take, and their type; strings and timestamps are apart.
_STRING, _HALF, _TIMESTAMP = 1, 7, 11
_NUMBERS = {2: "?", 3: "u1", 4: "i1", 5: "<u2", 6: "<i2", 7: "<f2", 8: "<u4", 9: "<i4", 10: "<f4"}


def decode(words: np.ndarray, strings: list[str], fp16: str = "f16") -> list:
    """The records of a trace buffer: word 0 is how many are used after it, then kind and payload of each record.

    fp16: the program's format of 16-bit floats."""
    used, at = min(int(words[0]), words.size - 1), 1
    records: list[Any] = []
    while at <= used:
        kind = int(words[at])
        size = 1 if kind == _STRING else 3 if kind == _TIMESTAMP else max(1, np.dtype(_NUMBERS[kind]).itemsize // 2)
        payload = words[at + 1 : at + 1 + size]
        if kind == _STRING:
            records.append(strings[int(payload[0])])
        elif kind == _HALF:
            records.append(float(numerics.from_bits(payload[0], fp16)))
        elif kind == _TIMESTAMP:
            records.append(sum(int(word) << 16 * i for i, word in enumerate(payload)))
        else:
            records.append(np.frombuffer(payload.tobytes(), _NUMBERS[kind])[0].item())
        at += 1 + size
    return records
