"""The streams of a pass at the north edge, a few operators at a time.

Weights are packed when the fabric is about to take them, and gradients are unpacked when the last wavelet of their
operator has left.  So the host holds the wavelets of a few operators, not those of the model.  A stream never runs dry
while weights are to come: the fabric runs for fewer cycles than the shortest stream has wavelets, of which one enters a
cycle.  The times are therefore those of a pass whose weights are all there at its begin.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import field
from typing import Any

import numpy as np

from ..fabric.fabric import Fabric
from ..fabric.stream import Segment, StreamIn, StreamOut
from ..memoryx.feeder import Saturation
from ..operators.transfers import Column
from ..records import dataclass
from .emitter import EdgeTransfer

AHEAD = 1 << 19  # wavelets of all columns together: those that are put ahead, and those that may wait to be taken
_LONG = 1 << 60  # cycles, more than any run has


def ahead(width: int) -> int:
    """Wavelets of a column that are put ahead of the fabric or wait to be taken, apart from the rest of a transfer."""
    return max(1 << 10, AHEAD // width)


@dataclass
class Incoming:
    """The transfers of one color.

    streams     of the columns
    counts      int64 [columns, transfers]: wavelets
    segments    of each column, one for each transfer
    columns     number of a transfer -> its wavelets, column by column
    """

    streams: Sequence[StreamIn]
    counts: np.ndarray
    segments: Sequence[Sequence[Segment]]
    columns: Callable[[int], Iterable[Column]]
    _next: int = 0  # the first transfer that has not been put
    _begun: list[int] = field(default_factory=list)  # of each column, the first segment that has not been put

    def __post_init__(self) -> None:
        self._begun = [0] * len(self.streams)
        for x, stream in enumerate(self.streams):
            if not self.counts[x].any():
                stream.put([], None, self.segments[x])

    def fill(self, least: int) -> int:
        """Puts transfers until each column has at least `least` wavelets, 2 or more, that the fabric has not taken, or
        all are put.  Returns for how many cycles no column runs dry; a large number if all transfers are put."""
        while self._next < self.counts.shape[1]:
            waiting = min(stream.size - stream.sent for stream in self.streams)
            if waiting >= least:
                return waiting - 1
            if self.counts[:, self._next].any():
                for x, column in enumerate(self.columns(self._next)):
                    self._put(x, column)
            self._next += 1
        return _LONG

    def _put(self, x: int, column: Column) -> None:
        """Puts wavelets of the transfer `_next`, with the segments of neighbouring transfers that have none."""
        if not self.counts[x, self._next]:
            return
        after = self.counts[x, self._next + 1 :]
        end = self._next + 1 + (int(np.argmax(after > 0)) if after.any() else len(after))
        self.streams[x].put(column.words, column.control, self.segments[x][self._begun[x] : end])
        self._begun[x] = end


@dataclass
class Outgoing:
    """The gradients that leave.

    streams     of the columns
    drains      in the order in which they leave
    rate        wavelets per cycle of a column
    done        is called with each drain and its float32 arrays by role
    edges       by number of the drain, the cycles in which its first and last wavelet left the first column
    wavelets    that have left
    saturation  of each column
    """

    streams: Sequence[StreamOut]
    drains: Sequence[EdgeTransfer]
    rate: float
    done: Callable[[EdgeTransfer, dict[str, np.ndarray]], None]
    edges: dict[int, tuple[int, int]] = field(default_factory=dict)
    wavelets: int = 0
    saturation: list[Saturation] = field(default_factory=list)
    _held: list[list[np.ndarray]] = field(default_factory=list)  # of each column, wavelets that belong to no drain yet
    _next: int = 0
    _first: int = 0  # wavelets of the first column that have left
    _ends: Any = None

    def __post_init__(self) -> None:
        self.saturation = [Saturation(self.rate) for _ in self.streams]
        self._held = [[] for _ in self.streams]
        self.expect(())

    def expect(self, drains: Iterable[EdgeTransfer]) -> None:
        """These leave behind those known so far."""
        self.drains = [*self.drains, *drains]
        self._ends = np.cumsum([drain.transfer.wavelets for drain in self.drains])

    @property
    def left(self) -> int:
        """Drains that have left."""
        return self._next

    @property
    def over(self) -> bool:
        """Whether all have left."""
        return self._next == len(self.drains)

    def take(self, last: bool) -> None:
        """Takes what has left since the last call.  last: the pass is over."""
        for stream, saturation, held in zip(self.streams, self.saturation, self._held, strict=True):
            words, _, cycles = stream.take(goes_on=not last)
            if not words.size:
                continue
            saturation.add(cycles)
            if stream is self.streams[0]:
                self._note(cycles)
            self.wavelets += words.size
            held.append(words)
        while not self.over:
            n = self.drains[self._next].transfer.wavelets
            if any(sum(map(len, held)) < n for held in self._held):
                break
            columns = [self._cut(x, n) for x in range(len(self._held))]
            drain = self.drains[self._next]
            self._next += 1
            self.done(drain, drain.transfer.unpack(columns))

    def _cut(self, x: int, n: int) -> np.ndarray:
        """Removes the first n wavelets of a column."""
        words = np.concatenate(self._held[x])
        self._held[x] = [words[n:].copy()] if words.size > n else []
        return words[:n]

    def _note(self, cycles: np.ndarray) -> None:
        """The next cycles in which wavelets left the first column."""
        numbers = np.arange(self._first, self._first + len(cycles))
        self._first += len(cycles)
        of = np.searchsorted(self._ends, numbers, side="right")
        for drain in np.unique(of).tolist():
            own = cycles[of == drain]
            self.edges[drain] = self.edges.get(drain, (int(own[0]), 0))[0], int(own[-1])


def move(
    fabric: Fabric,
    incoming: Iterable[Incoming],
    outgoing: Outgoing | None,
    least: int,
    pause: int | None = None,
    patience: int = 1,
) -> None:
    """Runs the fabric until it stops, and feeds it meanwhile.  least: see `ahead`, the capacity of outgoing streams.

    pause: drains after which it returns, at most `patience` cycles later.  Raises FabricFault.  Afterwards fabric.run()
    says how it ended.
    """
    incoming = list(incoming)
    while True:
        cycles = min((one.fill(least) for one in incoming), default=_LONG)
        if outgoing is not None and not outgoing.over:
            cycles = min(cycles, least)
        if pause is not None:
            cycles = min(cycles, patience)
        status = fabric.advance(cycles)
        if outgoing is not None:
            outgoing.take(status != "limit")
        if status == "fault":
            raise fabric.fault()
        if status == "quiet" or (pause is not None and outgoing is not None and outgoing.left >= pause):
            return
