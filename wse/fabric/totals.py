"""Totals: what a fabric has done up to a cycle, as sums over its PEs.  The difference of two is what lies between them.

Much smaller than a Run, which has each PE's figures: for many short stretches of one run, such as the launches of a
host program.
"""

from __future__ import annotations

from ..records import dataclass
from .run import BUSY, STALLS


@dataclass(frozen=True)
class Totals:
    """Sums over `pes` PEs in `cycles` cycles.

    - counters: by lower-case name of a row of csrc/tables/counters.def, without idle.
    - wavelet_hops: wavelets that passed a link between routers.
    """

    cycles: int
    pes: int
    counters: dict[str, int]
    wavelet_hops: int

    def since(self, before: Totals) -> Totals:
        """The totals of the cycles between an earlier state of the same fabric and this one."""
        return Totals(
            self.cycles - before.cycles,
            self.pes,
            {name: count - before.counters[name] for name, count in self.counters.items()},
            self.wavelet_hops - before.wavelet_hops,
        )

    @property
    def utilization(self) -> float:
        """Busy slots over PE-cycles, 0 to 1."""
        return self._share(sum(self.counters[name] for name in BUSY))

    @property
    def stalls(self) -> dict[str, float]:
        """Share of PE-cycles, 0 to 1, by cause, as `Run.stalls`.  A cycle that is none of busy or stalled is idle."""
        shares = {name.removeprefix("stall_"): self._share(self.counters[name]) for name in STALLS}
        known = sum(self.counters[name] for name in (*BUSY, *STALLS))
        return shares | {"idle": self._share(max(0, self.cycles * self.pes - known))}

    @property
    def flops(self) -> int:
        """Floating-point operations."""
        return self.counters["flops"]

    def _share(self, slots: int) -> float:
        return slots / (self.cycles * self.pes) if self.cycles else 0.0
