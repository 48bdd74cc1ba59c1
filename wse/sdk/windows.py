"""The time between a host's commands, as PEs see it: what passes on the fabric while <memcpy> launches and copies.

This is a model, not executed: figures of machine.def in cycles, from published runs of programs whose time stamps have
commands of the host between them.  A launch takes launch_cycles from the release of the command stream to the first
instruction of the function.  A copy takes h2d_start_cycles or d2h_start_cycles, copy_pe_cycles for each PE, and the
time of its words; the channels share PEs and words.  Streams are executed as wavelets and are not part of the model.

On a system the host itself is much slower than that.  `Windows` keeps an estimate of those seconds beside the cycles,
from measurements on CS-3 systems.  They are not part of any cycle count.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from ..machine.parameters import Machine

LAUNCH_SECONDS = 488e-6  # of a launch on a CS-3 [FABRICA, a comment of the Laplacian kernel]
COPY_SECONDS = 0.38e-3  # of an empty copy: half of a round trip of 0.76 ms [EDI]
CHANNEL_BYTES = 1.0e9  # bytes a second of a channel [EDI]
H2D_BYTES, D2H_BYTES = 9.2e9, 4.8e9  # the most that 16 channels reached [EDI]


class Copy(NamedTuple):
    """A copy of a variable.  to_device: the direction; pes: of the rectangle; words: of 32 bits that the host sends or
    gets, an element each."""

    to_device: bool
    pes: int
    words: int


class Windows:
    """The time of a program's commands.  channels: of <memcpy>."""

    def __init__(self, machine: Machine, channels: int = 1):
        self.machine, self.channels = machine, channels
        self.launches = self.copies = 0
        self.seconds = 0.0  # estimated for a system, of all commands so far

    def launch(self) -> int:
        """Cycles of a launch; counts it."""
        self.launches += 1
        self.seconds += LAUNCH_SECONDS
        return self.machine.launch_cycles

    def copy(self, copy: Copy) -> int:
        """Cycles of a copy; counts it."""
        machine, most = self.machine, H2D_BYTES if copy.to_device else D2H_BYTES
        self.copies += 1
        self.seconds += COPY_SECONDS + 4 * copy.words / min(most, self.channels * CHANNEL_BYTES)
        start = machine.h2d_start_cycles if copy.to_device else machine.d2h_start_cycles
        milli = machine.h2d_words_milli if copy.to_device else machine.d2h_words_milli
        shared = machine.copy_pe_cycles * copy.pes + copy.words * 1000 / milli
        return start + math.ceil(shared / self.channels)

    def __str__(self) -> str:
        launches = f"{self.launches:,} launch{'' if self.launches == 1 else 'es'}"
        copies = f"{self.copies:,} cop{'y' if self.copies == 1 else 'ies'}"
        took = f"{self.seconds * 1000:.3g} ms"
        return f"{launches} and {copies} by the host, for which a CS-3 takes about {took}"
