"""Routes: per color a plane of router configurations, uint64 [height, width], set for whole index ranges at once."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Sequence
from dataclasses import field
from typing import Any, NamedTuple

import numpy as np

from .. import _engine
from ..errors import ProgramError, RouteError
from ..machine.parameters import Machine
from ..records import dataclass

PORTS = "NESWR"
STEP = ((0, -1), (1, 0), (0, 1), (-1, 0))  # (dx, dy) of N, E, S, W
POP = ("no_pop", "always_pop", "pop_on_advance", "pop_on_advance_nop")
POSITIONS = 4
RAMP_BIT = 1 << _engine.RAMP
_POSITION_BITS = 10


class Place(NamedTuple):
    """A line of the user's program."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


def caller(depth: int = 2) -> Place:
    """The line that called the function which calls this."""
    frame = sys._getframe(depth)
    return Place(frame.f_code.co_filename, frame.f_lineno)


Index = int | slice | Sequence[int] | np.ndarray | None


def select(x: Index, y: Index, width: int, height: int, what: str) -> tuple[Any, Any]:
    """The NumPy index [ys, xs] of coordinates: integers, slices, integer arrays, or None for all.

    Two arrays have the same shape and select PE by PE; one array is combined with every coordinate of the other axis.
    Raises ProgramError if a coordinate is outside the rectangle; negative numbers do not count from the end.
    """
    xs, ys = _axis(x, width, "x", what), _axis(y, height, "y", what)
    if isinstance(xs, np.ndarray) and isinstance(ys, np.ndarray):
        if xs.shape != ys.shape:
            raise ProgramError(f"{what}: arrays of x and y have shapes {xs.shape} and {ys.shape}, which must be equal")
    elif isinstance(xs, np.ndarray):
        ys, xs = np.arange(ys.start, ys.stop, ys.step)[:, None], xs.reshape(1, -1)
    elif isinstance(ys, np.ndarray):
        ys, xs = ys.reshape(-1, 1), np.arange(xs.start, xs.stop, xs.step)[None, :]
    return ys, xs


def _axis(index: Index, size: int, axis: str, what: str) -> Any:
    if index is None:
        return slice(0, size, 1)
    if isinstance(index, slice):
        start = 0 if index.start is None else index.start
        stop = size if index.stop is None else index.stop
        step = 1 if index.step is None else index.step
        if step < 1 or start < 0 or stop > size:
            raise ProgramError(f"{what}: {axis} = {start}:{stop}:{step} leaves 0:{size}")
        return slice(start, max(start, stop), step)
    array = np.asarray(index)
    if array.dtype.kind not in "iu":
        raise ProgramError(f"{what}: {axis} is a slice, an integer or an array of integers, not {index!r}")
    if array.size and (array.min() < 0 or array.max() >= size):
        wrong = array.min() if array.min() < 0 else array.max()
        raise ProgramError(f"{what}: {axis} = {wrong} is outside 0 to {size - 1}")
    return slice(int(array), int(array) + 1, 1) if array.ndim == 0 else array


@dataclass(frozen=True)
class Filter:
    """A filter of a route: selects the wavelets that pass the ramp to the compute element; the others are dropped.

    - kind: "range", "counter" or "sparse".
      - "range": data wavelets pass if min_index <= index <= max_index, where the index is the upper 16 bits.  Control
        wavelets always pass.
      - "counter": wavelets pass while the counter is at most `max_counter`.  The counter restarts at 0 after `limit1`.
      - "sparse": as "counter" until the counter has reached `limit1`.  Then `limit2` takes the place of `limit1`; when
        it has been reached, too, or is 0, all wavelets pass for good.  With `limit1` = 0 all pass from the beginning.
    - count_data, count_control: whether data and control wavelets advance the counter.
    - filter_control, of a counter: control wavelets pass when the counter is `max_counter`; otherwise they always pass.
    - min_index, max_index, init_counter (first value of the counter), limit1, limit2, max_counter: 0 to 65535.

    Raises ProgramError for an unknown kind and for numbers outside 0 to 65535.

        >>> import wse
        >>> program = wse.Program(4, 1)
        >>> red = program.color("red")
        >>> program.route(red, "W", "R", x=3, filter=wse.Filter("range", min_index=6, max_index=7))
    """

    kind: str
    count_data: bool = True
    count_control: bool = False
    filter_control: bool = False
    min_index: int = 0
    max_index: int = 0
    init_counter: int = 0
    limit1: int = 0
    limit2: int = 0
    max_counter: int = 0

    KINDS = {  # noqa: RUF012 - a constant, not a field
        "range": _engine.FILTER_RANGE,
        "counter": _engine.FILTER_COUNTER,
        "sparse": _engine.FILTER_SPARSE,
    }

    def __post_init__(self):
        if self.kind not in self.KINDS:
            raise ProgramError(f"a filter is of kind range, counter or sparse, not {self.kind!r}")
        if self.filter_control and self.kind != "counter":
            raise ProgramError(f"filter_control is of filters of kind counter, not {self.kind}")
        for name in ("min_index", "max_index", "init_counter", "limit1", "limit2", "max_counter"):
            if not 0 <= getattr(self, name) <= 0xFFFF:
                raise ProgramError(f"{name} of a filter is 0 to 65535, not {getattr(self, name)}")

    def fields(self) -> tuple[int, ...]:
        """The arguments of Engine.add_filter."""
        flags = (self.count_data, self.count_control, self.filter_control)
        counts = (self.min_index, self.max_index, self.init_counter, self.limit1, self.limit2, self.max_counter)
        return (self.KINDS[self.kind], *flags, *counts)


def ports(text: str, what: str) -> int:
    """The mask of a string over "NESWR", bit 0 for N.  Raises ProgramError for other letters (what: its subject)."""
    mask = 0
    for letter in text:
        if letter not in PORTS:
            raise ProgramError(f"{what} is a string of {', '.join(PORTS)}, not {text!r}")
        mask |= 1 << PORTS.index(letter)
    return mask


def letters(mask: int) -> str:
    """The string of a mask."""
    return "".join(letter for i, letter in enumerate(PORTS) if mask >> i & 1)


def config(
    positions: Sequence[tuple[int, int]],
    position: int = 0,
    ring: bool = False,
    pop: str = "no_pop",
    teardown: bool = False,
    swap_x: bool = False,
    swap_y: bool = False,
    filter_index: int | None = None,
) -> int:
    """The router's 64-bit configuration word (csrc/wse.h).

    positions: masks (rx, tx) of the switch positions, 1 to 4 of them.  Other arguments as of `Program.route`.
    """
    word = 0
    for i, (rx, tx) in enumerate(positions):
        word |= rx << (_engine.ROUTE_RX + _POSITION_BITS * i) | tx << (_engine.ROUTE_TX + _POSITION_BITS * i)
    word |= position << _engine.ROUTE_POS | (len(positions) - 1) << _engine.ROUTE_LAST
    word |= bool(ring) << _engine.ROUTE_RING | POP.index(pop) << _engine.ROUTE_POP
    word |= bool(teardown) << _engine.ROUTE_TEARDOWN
    word |= bool(swap_x) << _engine.ROUTE_SWAP_X | bool(swap_y) << _engine.ROUTE_SWAP_Y
    return word | (0 if filter_index is None else filter_index + 1) << _engine.ROUTE_FILTER


def rx_masks(plane: np.ndarray, position: int | None = None) -> np.ndarray:
    """uint8 [h, w]: mask of the input ports in a switch position (None: in any).  plane: configuration words."""
    return _masks(plane, _engine.ROUTE_RX, position)


def tx_masks(plane: np.ndarray, position: int | None = None) -> np.ndarray:
    """uint8 [h, w]: mask of the output ports in a switch position (None: in any).  plane: configuration words."""
    return _masks(plane, _engine.ROUTE_TX, position)


def _masks(plane: np.ndarray, base: int, position: int | None) -> np.ndarray:
    which = range(POSITIONS) if position is None else (position,)
    mask = np.zeros(plane.shape, np.uint8)
    for i in which:
        mask |= (plane >> np.uint64(base + _POSITION_BITS * i)).astype(np.uint8) & np.uint8(31)
    return mask


@dataclass
class Routes:
    """The routes of a program.

    planes: uint64 [height, width] by color, the configuration word of each router; 0: no route.  origin: int32
    [height, width] by color, index in `calls` of the call that configured the router; -1: none.
    """

    width: int
    height: int
    machine: Machine
    planes: dict[int, np.ndarray] = field(default_factory=dict)
    origin: dict[int, np.ndarray] = field(default_factory=dict)
    calls: list[Place] = field(default_factory=list)
    filters: list[Filter] = field(default_factory=list)

    def set(
        self,
        color: int,
        rx: str,
        tx: str,
        x: Index = None,
        y: Index = None,
        switch: Sequence[tuple[str | None, str | None]] = (),
        ring: bool = False,
        pop: str = "no_pop",
        position: int = 0,
        filter: Filter | None = None,
        teardown: bool = False,
        swap_x: bool = False,
        swap_y: bool = False,
        place: Place | None = None,
    ) -> None:
        """See Program.route."""
        what = f"the route of {name_of(color)}"
        if not rx or not tx:
            raise RouteError(f"{what} needs at least one input port and one output port, not rx={rx!r} tx={tx!r}")
        positions = [(ports(rx, f"rx of {what}"), ports(tx, f"tx of {what}"))]
        for more_rx, more_tx in switch:
            positions.append(
                (
                    positions[0][0] if more_rx is None else ports(more_rx, f"rx of {what}"),
                    positions[0][1] if more_tx is None else ports(more_tx, f"tx of {what}"),
                )
            )
        if len(positions) > POSITIONS:
            raise RouteError(
                f"{what} has {len(switch)} switch positions beyond the first; a router has {POSITIONS - 1}"
            )
        if not 0 <= position < len(positions):
            raise RouteError(f"{what} starts at position {position}, but only 0 to {len(positions) - 1} are given")
        if pop not in POP:
            raise RouteError(f"{what} has pop={pop!r}: it is one of {', '.join(POP)}")
        if switch and not self.machine.has_switch(color):
            have = ", ".join(str(i) for i in range(self.machine.colors) if self.machine.has_switch(i))
            raise RouteError(
                f"{what} has switch positions, but on {self.machine.name} only colors {have} have switches"
            )
        most = self.machine.rx_directions
        for number, (mask, _) in enumerate(positions):
            if mask.bit_count() > most:
                raise RouteError(
                    f"{what} takes position {number} from {letters(mask)}: "
                    f"a router of {self.machine.name} takes a color from {most} side{'s' if most > 1 else ''} at a time"
                )
        index = None
        if filter is not None:
            if filter not in self.filters:
                self.filters.append(filter)
            index = self.filters.index(filter)
            if index > 254:
                raise RouteError(f"{what} needs a 256th filter; a program has 255")
        selected = select(x, y, self.width, self.height, what)
        word = config(positions, position, ring, pop, teardown, swap_x, swap_y, index)
        if color not in self.planes:
            self.planes[color] = np.zeros((self.height, self.width), np.uint64)
            self.origin[color] = np.full((self.height, self.width), -1, np.int32)
        self.planes[color][selected] = word
        self.origin[color][selected] = len(self.calls)
        self.calls.append(place or caller())

    def check(self, streams: Iterable[tuple[int, int, int, int, bool]] | None, host: Collection[int] = ()) -> list[str]:
        """Checks that each output port has a receiver; returns warnings for input ports without a sender.

        - streams: (x, y, port, color, out) of the streams at the edge; None: the edge is not checked.
        - host: host colors, which are not checked: each of their ports has the host as receiver and sender.

        Raises RouteError for a color that leaves the rectangle where no stream is attached, or that enters a router
        which does not accept it.
        """
        warnings: list[str] = []
        attached = None if streams is None else list(streams)
        for color, plane in self.planes.items():
            if color in host:
                continue
            rx, tx = rx_masks(plane), tx_masks(plane)
            if attached is not None:
                self._check_edge(color, tx, attached)
            accepts = rx | self._swapped(color, rx_masks)
            sends = tx | self._swapped(color, tx_masks)
            entered = np.zeros_like(rx)
            for x, y, port, seen, out in attached or ():
                entered[y, x] |= 1 << port if seen == color and not out else 0
            for port in range(4):
                self._check_side(color, port, tx, accepts)
                warnings += self._warn_side(color, port, rx, sends, entered)
        return warnings

    def _swapped(self, color: int, masks) -> np.ndarray | int:
        # With a color swap, the neighbor receives or sends the paired color.
        pair = self.planes.get(color ^ 1)
        if pair is None:
            return 0
        swap = np.uint64(1 << _engine.ROUTE_SWAP_X | 1 << _engine.ROUTE_SWAP_Y)
        if not ((pair | self.planes[color]) & swap).any():
            return 0
        return masks(pair)

    def _swaps(self, color: int, x: int, y: int, port: int) -> int:
        # 1 if wavelets that leave by the port change to the paired color.
        shift = _engine.ROUTE_SWAP_Y if port in (_engine.N, _engine.S) else _engine.ROUTE_SWAP_X
        return int(self.planes[color][y, x]) >> shift & 1

    def _check_edge(self, color: int, tx: np.ndarray, streams: list) -> None:
        for port in range(4):
            leaves = np.zeros(tx.shape, bool)
            edge = _edge(port)
            leaves[edge] = tx[edge] >> port & 1
            for x, y, side, seen, out in streams:
                if out and side == port and seen == color ^ self._swaps(color, x, y, port):
                    leaves[y, x] = False
            if leaves.any():
                raise self._error(
                    color,
                    leaves,
                    f"leaves the rectangle by {PORTS[port]} at {{where}}, where no stream is attached",
                    "attach fab.stream_out there, or do not send it off the edge",
                )

    def _check_side(self, color: int, port: int, tx: np.ndarray, accepts: np.ndarray) -> None:
        here, there = _pairs(port)
        wrong = np.zeros(tx.shape, bool)
        wrong[here] = (tx[here] >> port & 1) & ~(accepts[there] >> (port ^ 2)) & 1
        if wrong.any():
            dx, dy = STEP[port]
            y, x = _first(wrong)
            raise self._error(
                color,
                wrong,
                f"goes nowhere from {{where}}: it leaves by {PORTS[port]}, but the router of PE ({x + dx}, {y + dy}) "
                f"does not take it from {PORTS[port ^ 2]} in any position",
                f"give that PE a route with rx {PORTS[port ^ 2]!r}, or drop {PORTS[port]!r} from tx",
            )

    def _warn_side(self, color: int, port: int, rx, sends, entered) -> list[str]:
        # `port` is the side the wavelets come in by; its neighbor must send to port ^ 2.
        waits = np.zeros(rx.shape, bool)
        here, there = _pairs(port)
        waits[here] = (rx[here] >> port & 1) & ~(sends[there] >> (port ^ 2)) & 1
        edge = _edge(port)
        waits[edge] = (rx[edge] & ~entered[edge]) >> port & 1
        if not waits.any():
            return []
        y, x = _first(waits)
        return [
            f"{name_of(color)}: PE ({x}, {y}){_others(waits)} takes it from {PORTS[port]}, "
            f"where no router or stream sends it (set at {self.set_at(color, x, y)})"
        ]

    def set_at(self, color: int, x: int, y: int) -> str:
        """The line that configured this router, as `file:line`; "nowhere" if none did."""
        call = int(self.origin[color][y, x])
        return str(self.calls[call]) if call >= 0 else "nowhere"

    def _error(self, color: int, wrong: np.ndarray, sentence: str, cure: str) -> RouteError:
        y, x = _first(wrong)
        where = f"PE ({x}, {y}){_others(wrong)}"
        return RouteError(
            f"{name_of(color)} {sentence.format(where=where)} (set at {self.set_at(color, x, y)}); {cure}",
            x,
            y,
            int(color),
        )


def name_of(color: int) -> str:
    """`color red (3)`, or `color 3` for a color without a name."""
    name = getattr(color, "name", "")
    return f"color {name} ({int(color)})" if name else f"color {int(color)}"


def _edge(port: int) -> tuple[slice | int, slice | int]:
    every = slice(None)
    return ((0, every), (every, -1), (-1, every), (every, 0))[port]


def _pairs(port: int) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Indices of the PEs that have a neighbor on that side, and of those neighbors."""
    low, high, every = slice(None, -1), slice(1, None), slice(None)
    return (
        ((high, every), (low, every)),
        ((every, low), (every, high)),
        ((low, every), (high, every)),
        ((every, high), (every, low)),
    )[port]


def _first(mask: np.ndarray) -> tuple[int, int]:
    return divmod(int(np.argmax(mask)), mask.shape[1])


def _others(mask: np.ndarray) -> str:
    more = int(np.count_nonzero(mask)) - 1
    return f" and {more} more" if more else ""
