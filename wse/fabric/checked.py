"""Checked runs: what the engine finds in them, and what waits at their end, as arrays.  `wse.check` makes sentences."""

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

MOST = 4096  # findings


class CheckedRuns:
    """The part of Fabric that checks a run."""

    image: Image
    _engine: _engine.Engine

    def _start_check(self) -> None:
        """To be called before memory is written."""
        self._engine.check()
        for index, pe in enumerate(self.image.classes):
            regions, flags = np.zeros(_engine.SRAM, np.uint16), np.zeros(_engine.SRAM, np.uint8)
            for number, region in enumerate(pe.regions[: np.iinfo(np.uint16).max], 1):
                bytes_of = slice(region.address, region.address + region.bytes)
                regions[bytes_of] = number
                flags[bytes_of] = _engine.CHECK_UNDEFINED * region.undefined | _engine.CHECK_CODE * region.code
            self._engine.check_class(index, regions, flags)

    def found(self, ended: bool) -> np.ndarray:
        """The findings so far, of a fabric made with check=True: array of FINDING, as wse_finding of csrc/wse.h.

        ended: also what the run has left in FIFOs, switches and filters.  Raises ConfigError without check=True.
        """
        found = np.zeros(MOST, FINDING)
        count = self._engine.findings(ended, found.view(np.uint8))
        if count < 0:
            raise ConfigError("this run is not checked: make the fabric with check=True")
        return found[:count]

    def waiting(self) -> np.ndarray:
        """What waits now, and for what: array of wse.fabric.diagnosis.WAIT."""
        return waits_of(self._engine)[0]
