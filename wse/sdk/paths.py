"""Ways through the fabric for colors that connect ports: shortest ones, around the regions where that is possible.

A way is a list of cells: the sender's, the routers between, the receiver's.  The host is outside the fabric: cells one
step off the edge.  A router takes each color from one way only, so ways of one color never share a cell.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import field

from ..errors import RouteError
from ..records import dataclass

Cell = tuple[int, int]
STEP = {"N": (0, -1), "E": (1, 0), "S": (0, 1), "W": (-1, 0)}
_THROUGH_REGION = 100  # steps that a way rather makes than one through the router of somebody's region
_OTHER_SIDE = 4  # ... than to leave or enter a port by another side than its edge


@dataclass
class End:
    """Where a way begins or ends: a cell, the sides by which it may be left or entered and their prices, its region."""

    cell: Cell
    sides: dict[str, int]
    region: int = -1


def port_end(cell: Cell, edge: str, region: int) -> End:
    """A port: by its edge, or at a price by another side."""
    return End(cell, {side: 0 if side == edge else _OTHER_SIDE for side in STEP}, region)


@dataclass
class Ways:
    """What is taken.  region: of each cell that has one; taken: cells that have the color already."""

    width: int
    height: int
    region: dict[Cell, int]
    taken: dict[int, set[Cell]] = field(default_factory=dict)

    def inside(self, cell: Cell) -> bool:
        return 0 <= cell[0] < self.width and 0 <= cell[1] < self.height

    def outside(self) -> list[End]:
        """The host's places: every cell off the edge, entered or left by the one side that leads to the fabric."""
        ends = [End((x, -1), {"S": 0}) for x in range(self.width)]
        ends += [End((x, self.height), {"N": 0}) for x in range(self.width)]
        ends += [End((-1, y), {"E": 0}) for y in range(self.height)]
        return ends + [End((self.width, y), {"W": 0}) for y in range(self.height)]

    def take(self, color: int, cells: Iterable[Cell]) -> None:
        self.taken.setdefault(color, set()).update(cells)

    def find(self, color: int, sources: list[End], targets: list[End], what: str) -> list[Cell]:
        """The cheapest way from any of the sources to any of the targets, which is then taken; else a RouteError."""
        ends = {end.cell: end for end in targets}
        starts = {end.cell: end for end in sources}
        taken = self.taken.get(color, set())
        queue: list[tuple[int, int, Cell]] = []
        came: dict[Cell, Cell] = {}
        best: dict[Cell, int] = {}
        count = 0
        for end in starts.values():
            for side, price in end.sides.items():
                count += self._go(end.cell, side, price, starts, ends, taken, best, came, queue, count)
        while queue:
            cost, _, cell = heapq.heappop(queue)
            if cost > best[cell]:
                continue
            if cell in ends:
                way = [cell]
                while way[-1] not in starts:
                    way.append(came[way[-1]])
                way.reverse()
                self.take(color, [c for c in way if self.inside(c)])
                return way
            for side in STEP:
                count += self._go(cell, side, cost, starts, ends, taken, best, came, queue, count)
        raise RouteError(
            f"there is no way for {what}: every router between them has the color already or is off the fabric; "
            "place the regions further apart"
        )

    def _go(self, cell: Cell, side: str, cost: int, starts, ends, taken, best, came, queue, count: int) -> int:
        """Looks at one step; 1 if it is worth following."""
        dx, dy = STEP[side]
        to = (cell[0] + dx, cell[1] + dy)
        if to in starts:
            return 0
        if to in ends:
            back = _OPPOSITE[side]
            if back not in ends[to].sides or self._same_region(cell, ends[to]):
                return 0
            price = cost + 1 + ends[to].sides[back]
        elif not self.inside(to) or to in taken or (cell in starts and self._same_region(to, starts[cell])):
            return 0
        else:
            price = cost + (1 if to not in self.region else _THROUGH_REGION)
        if to in best and best[to] <= price:
            return 0
        best[to], came[to] = price, cell
        heapq.heappush(queue, (price, count, to))
        return 1

    def _same_region(self, cell: Cell, end: End) -> bool:
        return end.region >= 0 and self.region.get(cell) == end.region


_OPPOSITE = {"N": "S", "S": "N", "E": "W", "W": "E"}


def side_to(here: Cell, there: Cell) -> str:
    """The side of a cell on which its neighbor is."""
    return next(side for side, (dx, dy) in STEP.items() if (here[0] + dx, here[1] + dy) == there)
