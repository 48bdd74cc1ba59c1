"""Streams at the edge of the fabric: input with a rate or arrival times, and output."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from .. import _engine
from ..errors import ProgramError
from ..program import route
from ..program.symbol import Color
from ..records import dataclass

TIMING = np.dtype([(name, np.uint64) for name in ("passed", "first", "last", "starved", "blocked")])
_FINEST = 1_000_000  # largest denominator of a rate: its error is below 1e-12 per cycle
_WINDOW = 1 << 30  # wavelets


@dataclass(frozen=True, slots=True)
class Segment:
    """Arrival times of the next `count` wavelets of an input stream.

    - count: wavelets, 0 or more.
    - cycle: cycle of the fabric, from 0, before which none arrives.
    - rate: wavelets per cycle, above 0 and at most 1.

    Segments model a serial link: a segment starts after the last wavelet of the segment before it.
    """

    count: int
    cycle: int = 0
    rate: float | Fraction = 1


class StreamIn:
    """An input stream; made by `Fabric.stream_in`.

    Attributes: `x`, `y`, `port`, `color`, `window`; `size`, wavelets put so far; `sent` and `timing`.
    """

    def __init__(
        self,
        engine: _engine.Engine,
        x: int,
        y: int,
        port: str,
        color: Color,
        wavelets: tuple,
        rate: tuple[int, int],
        segments: Sequence[Segment] | None,
        window: int,
    ):
        self._engine = engine
        self.x, self.y, self.port, self.color, self.window = x, y, port, color, window
        if not 0 <= window < _WINDOW:
            raise ProgramError(f"a window is 0 to {_WINDOW - 1} wavelets, not {window}")
        if segments is not None and rate != (1, 1):
            raise ProgramError("a stream has a rate or segments, each with its own rate, not both")
        words, flags = _taken(*wavelets)
        held = None if segments is None else _rows(segments, words.size)
        place = (x, y, route.PORTS.index(port), color)
        first = words if held is None else words[:0]
        self._index = engine.stream_in(*place, first, None if held is not None else flags, *rate)
        self._paced = held is None and words.size > 0
        self.size = words.size
        if held is not None:
            engine.stream_put(self._index, words, flags, held, window)

    def put(self, data, control=None, segments: Sequence[Segment] | None = None) -> None:
        """Appends wavelets to the stream.  Arguments as of `Fabric.stream_in`; without segments they arrive at once.

        When all earlier wavelets have entered the fabric, their memory is reused and `timing` restarts.  Raises
        ProgramError if the stream was made with a rate and wavelets, and for invalid wavelets or segments.
        """
        if self._paced:
            raise ProgramError(
                "this stream has a rate for all its wavelets: make it with segments, or empty, to put more"
            )
        words, flags = _taken(data, control)
        rows = _rows([Segment(words.size)] if segments is None else segments, words.size)
        self._engine.stream_put(self._index, words, flags, rows, self.window)
        self.size += words.size

    @property
    def sent(self) -> int:
        """The number of wavelets that have entered the fabric."""
        return self._engine.stream_count(self._index)

    @property
    def timing(self) -> np.ndarray:
        """Array of TIMING [segments], for the segments since the stream was last empty; all fields uint64.

        - passed: wavelets of the segment that entered the fabric.
        - first, last: cycles in which the first and the last entered.
        - starved: cycles in which the fabric waited for a wavelet to arrive.
        - blocked: cycles in which a wavelet that had arrived waited for the fabric.
        """
        return np.asarray(self._engine.stream_timing(self._index)).view(TIMING).reshape(-1)


class StreamOut:
    """An output stream: wavelets that left the fabric, in order; `len` counts them.  Made by `Fabric.stream_out`."""

    def __init__(self, engine: _engine.Engine, index: int, x: int, y: int, port: str, color: Color):
        self._engine, self._index = engine, index
        self.x, self.y, self.port, self.color = x, y, port, color

    def __len__(self) -> int:
        return self._engine.stream_count(self._index)

    @property
    def data(self) -> np.ndarray:
        """uint32 [n]: the data words."""
        return np.array(self._engine.stream_data(self._index))

    @property
    def control(self) -> np.ndarray:
        """bool [n]: True for control wavelets."""
        return np.array(self._engine.stream_control(self._index)).astype(bool)

    @property
    def cycles(self) -> np.ndarray:
        """uint64 [n]: the cycle in which each wavelet left."""
        return np.array(self._engine.stream_cycles(self._index))

    def take(self, goes_on: bool = False) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Removes and returns (data, control, cycles) of the wavelets that left since the last call; frees capacity.

        goes_on: the rate counts as if nothing had been taken; else anew, from the next wavelet on.
        """
        taken = self.data, self.control, self.cycles
        self._engine.stream_take(self._index, goes_on)
        return taken


def pace(rate: float | Fraction) -> tuple[int, int]:
    """A rate as (wavelets, cycles).  Raises ProgramError unless it is above 0 and at most 1 wavelet per cycle."""
    exact = rate if isinstance(rate, Fraction) else Fraction(float(rate)) if np.isfinite(rate) else Fraction(0)
    if 0 < exact <= 1:
        nearest = exact.limit_denominator(_FINEST)
        if nearest:
            return nearest.numerator, nearest.denominator
    raise ProgramError(f"the rate of a stream is above 0 and at most 1 wavelet a cycle, not {rate}")


def as_words(data) -> np.ndarray:
    """Wavelets as uint32 [n]: 32-bit types as their bits, other integers converted.

    Raises ProgramError for other types and for integers that do not fit.
    """
    array = np.asarray(data)
    if not array.size:
        return np.empty(0, np.uint32)
    if array.dtype.itemsize == 4 and array.dtype.kind in "fiu":
        return np.ascontiguousarray(array).reshape(-1).view(np.uint32)
    if array.dtype.kind not in "iu" or array.min() < 0 or array.max() >= 1 << 32:
        raise ProgramError(f"wavelets are 32-bit words, not {array.dtype}")
    return np.ascontiguousarray(array.astype(np.uint32)).reshape(-1)


def _taken(data, control) -> tuple[np.ndarray, np.ndarray | None]:
    words = as_words(data)
    if control is None:
        return words, None
    flags = np.ascontiguousarray(np.asarray(control).reshape(-1).astype(bool)).view(np.uint8)
    if flags.size != words.size:
        raise ProgramError(f"a stream of {words.size} wavelets has {flags.size} control bits")
    return words, flags


def _rows(segments: Sequence[Segment], size: int) -> np.ndarray:
    """Segments in the engine's form: uint64 [m * 3], rows of count, cycle, and numerator | denominator << 32."""
    rows = np.zeros((len(segments), 3), np.uint64)
    for row, segment in zip(rows, segments, strict=True):
        count, cycle = segment.count, segment.cycle
        if count < 0 or cycle < 0 or cycle >= 1 << 62:
            raise ProgramError(f"a segment has a count and a cycle of at least 0, not {count} and {cycle}")
        num, den = pace(segment.rate)
        row[:] = count, cycle, num | den << 32
    if int(rows[:, 0].sum()) != size:
        raise ProgramError(f"a stream of {size} wavelets has segments for {int(rows[:, 0].sum())}")
    return rows.reshape(-1)
