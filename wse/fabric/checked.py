"""Checked runs: findings of the engine, and waits at the end, as arrays.  `wse.check` makes messages of them."""

from __future__ import annotations

import numpy as np

from .. import _engine
from ..errors import ConfigError
from ..program.image import Image
from .diagnosis import waits_of

FINDING = np.dtype(
    [
        *((name, "<u8") for name in ("cycle", "before_cycle", "count")),
        *((name, "<u4") for name in ("pe", "address")),
        *((name, "<i4") for name in ("kind", "pc", "before_pc", "thread", "before_thread", "what", "task")),
        *((name, "<i4") for name in ("writes", "before_writes")),
        ("left", "<u4"),
        ("sender", "<u4", 2),
        ("router", "<u4"),
    ],
    align=True,
)
assert FINDING.itemsize == _engine.FINDING_BYTES

KINDS = [name for name, _, _ in _engine.findings()]  # of findings, by number
MOST = 4096  # findings of a run
KEPT = 1024  # different findings that the engine keeps of each band of the grid; csrc/observe/check.c


class CheckedRuns:
    """The methods of `Fabric` for checked runs."""

    image: Image
    _engine: _engine.Engine
    _moved_at: dict[str, set[tuple[int, ...]]]
    _moved: list[np.ndarray]

    def _start_check(self) -> None:
        """Starts the check.  Called before memory is written."""
        self._engine.check()
        self._moved_at, self._moved = {}, []
        for index, pe in enumerate(self.image.classes):
            regions, flags = np.zeros(_engine.SRAM, np.uint16), np.zeros(_engine.SRAM, np.uint8)
            for number, region in enumerate(pe.regions[: np.iinfo(np.uint16).max], 1):
                bytes_of = slice(region.address, region.address + region.bytes)
                regions[bytes_of] = number
                flags[bytes_of] = (
                    _engine.CHECK_UNDEFINED * region.undefined
                    | _engine.CHECK_CODE * region.code
                    | _engine.CHECK_STACK * region.stack
                )
            self._engine.check_class(index, regions, flags)

    def found(self, ended: bool) -> np.ndarray:
        """The findings so far, of a fabric made with check=True: array of FINDING, the wse_finding of csrc/wse.h.

        ended: the program has ended; includes FIFOs that are not empty.  Raises ConfigError without check=True.
        """
        found = self._records(ended)
        return np.concatenate([found[~_is_moved(found)], *self._moved])

    def note_launch(self, function: str) -> None:
        """The host launches a function.  A switch or filter in another state than at its first launch is a finding."""
        now = self._records(True)
        now = now[_is_moved(now)]
        keys = [(int(self.image.class_of_pe.flat[record["pe"]]), *record[["kind", "what"]].tolist()) for record in now]
        first = self._moved_at.setdefault(function, set(keys))
        self._moved.append(now[[key not in first for key in keys]] if keys else now)

    def _records(self, ended: bool) -> np.ndarray:
        found = np.zeros(MOST, FINDING)
        count = self._engine.findings(ended, found.view(np.uint8))
        if count < 0:
            raise ConfigError("this run is not checked: make the fabric with check=True")
        return found[:count]

    def waiting(self) -> np.ndarray:
        """The current waits and their causes: array of wse.fabric.diagnosis.WAIT."""
        return waits_of(self._engine)[0]


def _is_moved(found: np.ndarray) -> np.ndarray:
    """Mask of the findings about switches and filters."""
    return np.isin(found["kind"], [KINDS.index("POSITION"), KINDS.index("FILTER")])
