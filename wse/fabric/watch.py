"""Which events of a run are traced, and where they are kept while it goes on."""

from __future__ import annotations

import tempfile
import weakref
from pathlib import Path

import numpy as np

from ..errors import ConfigError
from ..records import dataclass
from .run import EVENT

SPOOLED = 1 << 26  # capacity of the engine's buffer, in events, between two moves to the disk


@dataclass(frozen=True)
class Watch:
    """Which events of a run are traced.

    - since, until: cycles since .. until - 1; until=None: to the end.
    - pes: rectangles (x, y, w, h) of PEs; empty: all.
    - hops: also each wavelet that leaves a router by a link.
    - folder: where a temporary file takes the events while the run goes on, so that none is left out; None: they stay
      in memory, and those beyond the capacity of the trace are left out.
    """

    since: int = 0
    until: int | None = None
    pes: tuple[tuple[int, int, int, int], ...] = ()
    folder: Path | None = None
    hops: bool = False

    def mask(self, width: int, height: int) -> np.ndarray | None:
        """uint8 [height, width]: 1 for the PEs of the rectangles; None: for all.  ConfigError if one is outside."""
        if not self.pes:
            return None
        chosen = np.zeros((height, width), np.uint8)
        for x, y, w, h in self.pes:
            if min(x, y) < 0 or min(w, h) < 1 or x + w > width or y + h > height:
                raise ConfigError(f"{w} x {h} PEs at ({x}, {y}) cannot be traced: the program has {width} x {height}")
            chosen[y : y + h, x : x + w] = 1
        return chosen


class Spool:
    """A temporary file of events; it has no name, and goes with the process.  OSError if the disk is full.

    folder: where it lies, if a file can be made there; else in the system's folder of temporary files.
    """

    def __init__(self, folder: Path):
        try:
            self.file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115
        except OSError:
            self.file = tempfile.TemporaryFile()  # noqa: SIM115
        weakref.finalize(self, self.file.close)  # arrays over it stay
        self.count = 0

    def append(self, events: np.ndarray) -> None:
        """Adds an array of EVENT."""
        self.file.write(events.tobytes())
        self.count += len(events)

    def events(self) -> np.ndarray:
        """All events, as an array over the file."""
        self.file.flush()
        if not self.count:
            return np.empty(0, EVENT)
        return np.memmap(self.file, EVENT, "r", shape=(self.count,))
