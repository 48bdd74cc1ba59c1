"""The emulator compared with the closed forms of wse.kernels.collectives, for many numbers of PEs and lengths.

The forms do not include the start-up of a program: two timestamps, the first DSR loads, start and drain of an
operation.  The start-up is measured on the smallest case of the algorithm, two PEs (four in a grid) and one wavelet: it
is the cycles beyond the form.  Errors are given with it and without it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from ..machine.parameters import Machine
from ..records import dataclass
from .points import measured

PES = (4, 8, 16, 32, 64, 128, 256, 512)
SIDES = (4, 8, 16, 32)  # of square grids
LENGTHS = (1, 4, 16, 64, 256, 1024, 4096)
MOST_HOPS = 150_000_000  # of a case, which takes a few seconds
BAR_PCT = 5.0  # for forms whose authors claim 4 %


@dataclass(frozen=True)
class Case:
    """A closed form and its program.

    square: a grid of P x P PEs, else a line of P.  hops: wavelet-hops per wavelet of length, for P.  claimed_pct: the
    error that the authors claim, or None.
    """

    name: str
    kernel: str
    algorithm: str | None
    square: bool
    claimed_pct: float | None
    hops: Callable[[int], float]


CASES = (
    Case("star", "reduce", "star", False, 4.0, lambda P: P * P / 2),
    Case("chain", "reduce", "chain", False, 4.0, lambda P: P),
    Case("tree", "reduce", "tree", False, 4.0, lambda P: P * P.bit_length() / 2),
    Case("two-phase", "reduce", "two-phase", False, 4.0, lambda P: 2 * P),
    Case("two-phase 2-D", "reduce", "two-phase", True, 4.0, lambda P: 2 * P * P),
    Case("broadcast", "broadcast", None, False, None, lambda P: P),
    Case("broadcast 2-D", "broadcast", None, True, None, lambda P: P * P),
)


@dataclass(frozen=True)
class Modelled:
    """A size of a case, in cycles.  emulated: with start-up.  published: a fit to the authors' simulator runs, or None.

    pes: of a line or a side.  length: wavelets.
    """

    name: str
    pes: int
    square: bool
    length: int
    emulated: int
    model: float
    startup: float
    published: float | None
    claimed_pct: float | None

    @property
    def grid(self) -> tuple[int, int]:
        """(width, height) in PEs."""
        return self.pes, self.pes if self.square else 1

    @property
    def error_pct(self) -> float:
        """Error of the emulator against the form, without start-up."""
        return 100 * (self.emulated - self.startup - self.model) / self.model

    @property
    def whole_error_pct(self) -> float:
        """Error of the emulator against the form, with start-up."""
        return 100 * (self.emulated - self.model) / self.model

    @property
    def published_error_pct(self) -> float | None:
        """Error of the emulator against the fit, both with start-up."""
        return None if self.published is None else 100 * (self.emulated - self.published) / self.published


def sizes(case: Case) -> Iterator[tuple[int, int]]:
    """Yield (PEs of a line or a side, length) of a case, up to MOST_HOPS."""
    for pes in SIDES if case.square else PES:
        for length in LENGTHS:
            if case.hops(pes) * length <= MOST_HOPS:
                yield pes, length


def compare(
    cases: Iterable[Case] = CASES,
    machine: Machine | None = None,
    threads: int = 1,
    report: Callable[[str], None] | None = None,
) -> Iterator[Modelled]:
    """Run all sizes of all cases.  machine: None for wse2, which the forms describe.

    threads: of the host.  report: called with a short description of each run.
    """
    machine = machine or Machine("wse2")
    for case in cases:
        start = _measured(case, 2, 1, machine, threads)
        startup = start["measured_cycles"] - start["model_cycles"]
        for pes, length in sizes(case):
            if report is not None:
                report(f"{case.name}, {pes} PEs, {length} wavelets")
            got = _measured(case, pes, length, machine, threads)
            yield Modelled(
                case.name,
                pes,
                case.square,
                length,
                got["measured_cycles"],
                got["model_cycles"],
                startup,
                got["published_cycles"],
                case.claimed_pct,
            )


def _measured(case: Case, pes: int, length: int, machine: Machine, threads: int) -> dict:
    config = {"length": length, "dtype": "f32"} | ({"algorithm": case.algorithm} if case.algorithm else {})
    return measured(case.kernel, config, machine, (pes, pes if case.square else 1), threads)
