"""Placement of a chain of regions as rectangles that do not overlap, with neighbors of the chain adjacent.

The fabric is cut into horizontal strips, which the chain fills in boustrophedon order (alternately from west to east
and from east to west).  A strip consists of slices.  A slice holds one region with the strip's whole height, or several
small regions of equal width on top of each other.  Dynamic programming selects the regions of each slice for the least
total width.  The number of strips is the one with the shortest wires.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from ..errors import ConfigError
from ..records import dataclass

STACK = 24  # most regions in a slice
WIDE = 32  # a wider slice gets no further regions, because it wastes little by rounding to whole columns


@dataclass(frozen=True)
class Rectangle:
    """The PEs from (x, y) to (x + width - 1, y + height - 1)."""

    x: int
    y: int
    width: int
    height: int

    @property
    def pes(self) -> int:
        """Number of PEs."""
        return self.width * self.height

    @property
    def center(self) -> tuple[float, float]:
        """(x, y) of the center."""
        return self.x + (self.width - 1) / 2, self.y + (self.height - 1) / 2

    def overlaps(self, other: Rectangle) -> bool:
        """Whether both rectangles have a PE in common."""
        across = self.x < other.x + other.width and other.x < self.x + self.width
        return across and self.y < other.y + other.height and other.y < self.y + self.height


def wire(a: Rectangle, b: Rectangle) -> float:
    """The Manhattan distance between the centers of two rectangles, in hops."""
    (ax, ay), (bx, by) = a.center, b.center
    return abs(ax - bx) + abs(ay - by)


def place(needs: Sequence[int], grid: tuple[int, int], strips: int | None = None) -> list[Rectangle] | None:
    """Places the regions of a chain.  Returns their rectangles in order, or None if they do not fit.

    needs: the least number of PEs of each region.  grid: (width, height) in PEs.  strips: number of strips, by default
    the one with the shortest wires along the chain.  Raises ConfigError if a need or a side of the grid is below 1.
    """
    width, height = grid
    if min(width, height) < 1 or any(need < 1 for need in needs):
        raise ConfigError(f"regions of {min(needs)} PEs on a grid of {width}x{height}: both must be 1 or more")
    if sum(needs) > width * height:
        return None
    best: tuple[float, list[Rectangle]] | None = None
    for count in range(1, min(height, 24) + 1) if strips is None else (strips,):
        placed = _strips(needs, width, height, count)
        if placed is not None:
            length = sum(wire(a, b) for a, b in pairwise(placed))
            if best is None or length < best[0]:
                best = length, placed
    return None if best is None else best[1]


def _strips(needs: Sequence[int], width: int, height: int, count: int) -> list[Rectangle] | None:
    """Places the chain in `count` strips.  Their heights differ by at most one PE.  None if it does not fit."""
    placed: list[Rectangle] = []
    first, top = 0, 0
    for number in range(count):
        if first == len(needs):
            break
        tall = height // count + (number < height % count)
        slices = _slices(needs[first:], tall, width)
        at = 0
        for regions, wide in slices:
            x = at if number % 2 == 0 else width - at - wide
            placed += _stack(needs[first : first + regions], x, top, wide, tall)
            first += regions
            at += wide
        top += tall
    return placed if first == len(needs) else None


def _slices(needs: Sequence[int], tall: int, limit: int) -> list[tuple[int, int]]:
    """The slices of a strip of height `tall` and width `limit`, as (number of regions, width).

    As many regions as fit are used, with the least total width.
    """
    best = [0.0] + [math.inf] * len(needs)
    came = [(0, 0)] * (len(needs) + 1)
    for i in range(len(needs)):
        if best[i] > limit:  # beyond the strip's end
            continue
        for regions in range(1, min(STACK, tall, len(needs) - i) + 1):
            wide = _width(needs[i : i + regions], tall)
            if best[i] + wide < best[i + regions]:
                best[i + regions] = best[i] + wide
                came[i + regions] = (regions, wide)
            if wide > WIDE:
                break
    end = max(i for i, wide in enumerate(best) if wide <= limit)
    found: list[tuple[int, int]] = []
    while end:
        found.append(came[end])
        end -= came[end][0]
    return found[::-1]


def _width(needs: Sequence[int], tall: int) -> int:
    """The least width at which these regions fit on top of each other in height `tall`."""
    low, high = -(-sum(needs) // tall), max(needs)
    while low < high:
        middle = (low + high) // 2
        if sum(-(-need // middle) for need in needs) <= tall:
            high = middle
        else:
            low = middle + 1
    return low


def _stack(needs: Sequence[int], x: int, top: int, wide: int, tall: int) -> list[Rectangle]:
    """The rectangles of the regions of one slice, from the top; the remainder stays empty."""
    found = []
    for need in needs:
        high = tall if len(needs) == 1 else -(-need // wide)
        # One region alone takes whole columns of the strip; no more rows than it needs.
        high = min(high, -(-need // wide))
        found.append(Rectangle(x, top, wide, high))
        top += high
    return found
