"""debug_util: what a program left in memory, and its traces, after the run."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..errors import ConfigError
from . import runtime
from .device import Device


class debug_util:  # noqa: N801 - the SDK's name
    """The state of the program in a directory after its last run in this process; coordinates are those of the fabric."""

    def __init__(self, dirname: str, cmaddr: str | None = None):
        self.directory = Path(dirname)
        if self.directory.resolve() not in runtime.devices:
            raise ConfigError(f"{dirname} was not run by this process: debug_util reads what SdkRuntime has run")

    @property
    def _device(self) -> Device:
        return runtime.devices[self.directory.resolve()]

    def _program_xy(self, x: int, y: int) -> tuple[int, int]:
        left, top = self._device.artifact.offsets
        if not (0 <= x - left < self._device.width and 0 <= y - top < self._device.height):
            raise ConfigError(
                f"PE ({x}, {y}) of the fabric is not in the program, "
                f"which has {self._device.width} x {self._device.height} PEs at ({left}, {top})"
            )
        return x - left, y - top

    def get_symbol(self, x: int, y: int, name: str, dtype) -> np.ndarray:
        """An `export var` of a PE as a flat array of the type."""
        _, data = self._device.symbol(*self._program_xy(x, y), name)
        wanted = np.dtype(dtype)
        if len(data) % wanted.itemsize:
            raise ConfigError(f"{name} has {len(data)} bytes, which are no array of {wanted}")
        return np.frombuffer(data, wanted).copy()

    def get_symbol_rect(self, rectangle, name: str, dtype) -> np.ndarray:
        """The same for ((x, y), (w, h)): an array [w, h, n]."""
        (x, y), (w, h) = rectangle
        return np.stack([np.stack([self.get_symbol(x + i, y + j, name, dtype) for j in range(h)]) for i in range(w)])

    def read_trace(self, x: int, y: int, name: str) -> list:
        """The records of a <debug> module with this key, in order."""
        _, data = self._device.symbol(*self._program_xy(x, y), f"trace.{name}")
        return decode(np.frombuffer(data, np.uint16), self._device.artifact.strings)


def decode(words: np.ndarray, strings: list[str]) -> list:
    """The records of a trace buffer."""
    raise NotImplementedError
