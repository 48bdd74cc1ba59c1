"""The measurements of a case: samples of a run, and the memory of the process."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import field
from time import perf_counter
from typing import Any

from ..fabric.run import Run
from ..records import dataclass

MOST, LEAST = 12, 3  # samples
RATES = ("pe_cycles_per_second", "hops_per_second", "instructions_per_second", "fma_per_second")


@dataclass(frozen=True)
class Counts:
    """Counts of a run since its start, and the host's time for it in seconds."""

    seconds: float = 0.0
    pe_cycles: int = 0
    hops: int = 0
    instructions: int = 0
    flops: int = 0

    @classmethod
    def of(cls, run: Run) -> Counts:
        """The counts of a Run."""
        return cls(run.wall_seconds, run.pe_cycles, run.wavelet_hops, sum(run.opcodes.values()), run.flops)

    def __sub__(self, other: Counts) -> Counts:
        return Counts(*(getattr(self, name) - getattr(other, name) for name in self.__dataclass_fields__))

    def rates(self, multiplies: bool) -> dict[str, float]:
        """Rates per second, by name in RATES.  multiplies: all floating-point operations are fused multiply-adds."""
        counts = (self.pe_cycles, self.hops, self.instructions, self.flops / 2 if multiplies else 0)
        return {name: count / self.seconds for name, count in zip(RATES, counts, strict=True)}


@dataclass
class Meter:
    """Samples of a case, times of its parts, and memory.  tell: called with a description of each step."""

    tell: Callable[[str], Any] = lambda words: None
    samples: list[Counts] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=lambda: {"build": 0.0, "load": 0.0, "check": 0.0})
    cycles: int = 0
    multiplies: bool = False
    before_bytes: int = 0
    sram_bytes: tuple[int, int] = (0, 0)  # pages of SRAM that PEs touch: when loaded, when run
    idle_bytes: int = 0
    run_bytes: int = 0

    @contextmanager
    def timed(self, part: str) -> Iterator[None]:
        """Adds the time of the `with` block to a part, such as "build"."""
        self.tell(part)
        started = perf_counter()
        yield
        self.seconds[part] = self.seconds.get(part, 0.0) + perf_counter() - started

    def sample(self, run: Run, since: Counts) -> Counts:
        """Record a sample: the counts of `run` since `since`.  Returns the counts of `run`."""
        now = Counts.of(run)
        self.samples.append(now - since)
        return now

    def wants_more(self, seconds: float, most: int = MOST) -> bool:
        """Whether another sample is to be taken: at least LEAST, then until they took `seconds` in all; fewer where
        these take three times as long."""
        if len(self.samples) >= most:
            return False
        return self.measured_seconds < (seconds if len(self.samples) >= LEAST else 3 * seconds) or not self.samples

    @property
    def measured_seconds(self) -> float:
        """Time of all samples."""
        return sum(sample.seconds for sample in self.samples)


def resident_bytes() -> int:
    """Resident memory of this process, in bytes."""
    return _status("VmRSS")


def peak_bytes() -> int:
    """Peak resident memory of this process, in bytes.  getrusage is not used: its figure includes the parent's."""
    return _status("VmHWM")


def _status(name: str) -> int:
    try:
        with open("/proc/self/status") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith(name + ":"))
    except OSError:
        pass
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024
