"""Which PEs send what a PE receives on a color, and which receive what it sends, over how many links."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from .. import _engine

STEPS = ((0, -1), (1, 0), (0, 1), (-1, 0))  # N E S W
RAMP = _engine.RAMP
_POSITION_BITS = 10
_PORTS = (1 << _engine.PORTS) - 1


MOST = 200_000  # steps of a search; it ends with the nearest PEs of a route that is longer


def positions(word: int) -> list[tuple[int, int]]:
    """The masks (rx, tx) of a router's configuration word in its switch positions, bit 0 for N; none for no route."""
    if not word:
        return []
    shifts = [_POSITION_BITS * i for i in range((word >> _engine.ROUTE_LAST & 3) + 1)]
    return [(word >> _engine.ROUTE_RX + i & _PORTS, word >> _engine.ROUTE_TX + i & _PORTS) for i in shifts]


class End(NamedTuple):
    """A PE at the other end of a route, the color there, and the links between.  pe: -1 is the edge of the fabric."""

    pe: int
    color: int
    hops: int


class Reach:
    """The routes of a run as they were loaded, in all positions of their switches.

    routes: uint64 [h, w] by color, the configuration words of the routers (Detail.routes).
    """

    def __init__(self, routes: dict[int, np.ndarray], width: int, height: int):
        self.routes, self.width, self.height = routes, width, height
        self._known: dict[tuple[int, int, bool], list[End]] = {}

    def senders(self, pe: int, color: int) -> list[End]:
        """The PEs whose wavelets may go down the ramp of `pe` as this color, nearest first."""
        return self._ends(pe, color, False)

    def receivers(self, pe: int, color: int) -> list[End]:
        """The PEs that may receive what `pe` sends as this color, nearest first."""
        return self._ends(pe, color, True)

    def sends(self, pe: int) -> list[int]:
        """The colors that the router of a PE takes from its ramp."""
        return [color for color in self.routes if any(rx >> RAMP & 1 for rx, _ in self._positions(pe, color))]

    def _ends(self, pe: int, color: int, onwards: bool) -> list[End]:
        key = (pe, color, onwards)
        if key not in self._known:
            self._known[key] = list(self._search(pe, color, onwards))
        return self._known[key]

    def _search(self, pe: int, color: int, onwards: bool) -> Iterator[End]:
        """Breadth first over (router, color, port): the port of entry if onwards, else that of exit."""
        start = (pe, color, RAMP)
        seen, queue = {start}, deque([(start, 0)])
        found: set[tuple[int, int]] = set()
        while queue and len(seen) < MOST:
            (at, carried, port), hops = queue.popleft()
            for other in range(_engine.PORTS):
                if not self._passes(at, carried, *((port, other) if onwards else (other, port))):
                    continue
                if other == RAMP:
                    if (at, carried) not in found:
                        found.add((at, carried))
                        yield End(at, carried, hops)
                    continue
                for step in self._beyond(at, carried, other, onwards):
                    if step is None:
                        if (-1, carried) not in found:
                            found.add((-1, carried))
                            yield End(-1, carried, hops)
                    elif step not in seen:
                        seen.add(step)
                        queue.append((step, hops + 1))

    def _beyond(self, at: int, color: int, port: int, onwards: bool) -> Iterator[tuple[int, int, int] | None]:
        """The steps over a link, with the color there; None: the edge."""
        x, y = at % self.width + STEPS[port][0], at // self.width + STEPS[port][1]
        if not (0 <= x < self.width and 0 <= y < self.height):
            yield None
            return
        there = y * self.width + x
        if onwards:
            yield there, self._after(at, color, port), port ^ 2
            return
        for before in (color, color ^ 1):
            if before in self.routes and self._after(there, before, port ^ 2) == color:
                yield there, before, port ^ 2

    def _passes(self, pe: int, color: int, entry: int, leaves: int) -> bool:
        return any(rx >> entry & 1 and tx >> leaves & 1 for rx, tx in self._positions(pe, color))

    def _positions(self, pe: int, color: int) -> list[tuple[int, int]]:
        return positions(self._word(pe, color))

    def _word(self, pe: int, color: int) -> int:
        plane = self.routes.get(color)
        return 0 if plane is None else int(plane[pe // self.width, pe % self.width])

    def _after(self, pe: int, color: int, port: int) -> int:
        """The color of a wavelet after it has left a router by a port: the paired one where colors are swapped."""
        swap = _engine.ROUTE_SWAP_X if port & 1 else _engine.ROUTE_SWAP_Y
        return color ^ (self._word(pe, color) >> swap & 1)
