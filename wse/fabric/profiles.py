"""Profiles: the cycles of each instruction by cause."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import _engine
from ..errors import ConfigError
from ..program.image import Image


class Profiles:
    """The methods of `Fabric` for profiles."""

    image: Image
    cycle: Any
    check: bool
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
