"""Profiles: the cycles of each instruction by cause.  Totals: sums over all PEs."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import _engine
from ..errors import ConfigError
from ..program.image import Image
from .run import COUNTERS
from .totals import Totals


class Profiles:
    """The methods of `Fabric` for profiles, and for sums over all PEs."""

    image: Image
    cycle: Any
    check: bool
    width: int
    height: int
    _engine: _engine.Engine

    def keep_profile(self) -> None:
        """Starts to count the cycles of each instruction by cause.  Does not change results.

        Raises ConfigError after the first cycle.
        """
        if self.cycle:
            raise ConfigError(f"a profile begins before the first cycle, and the fabric is in cycle {self.cycle}")
        if not self.check:  # a checked run has a profile
            self._engine.profile()
        self._has_profile = True

    def profile(self) -> dict[str, np.ndarray]:
        """The profile that `keep_profile` started: uint64 [instructions + 1, 1 + causes] by name of the class.

        Sums over its PEs.  Column 0: how often the instruction was issued.  The others: its cycles by CAUSES of
        wse.fabric.run.  The last row has the cycles without an instruction.  The columns but the first add up to the
        cycles of all the class's PEs.
        """
        return {pe.name: self._engine.profile_of(index, len(pe.words)) for index, pe in enumerate(self.image.classes)}

    def totals(self) -> Totals:
        """Sums over all PEs since the fabric was made.  Much smaller than `measure`; changes nothing of the run."""
        counters = np.asarray(self._engine.plane(_engine.PLANE_COUNTERS)).sum(axis=(0, 1), dtype=np.uint64)
        colors = np.asarray(self._engine.plane(_engine.PLANE_COLORS))
        return Totals(
            self._engine.last_activity(),
            self.width * self.height,
            {name: int(count) for name, count in zip(COUNTERS, counters, strict=True) if name != "idle"},
            int(colors[:, : _engine.RAMP, 0].sum(dtype=np.uint64)),
        )
