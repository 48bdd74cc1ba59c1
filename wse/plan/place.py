"""Placing a chain of regions: rectangles without overlap, neighbors of the chain side by side.

The fabric is cut into strips, which the chain fills one after the other in turning directions (like an ox ploughs).
Within a strip, regions stand in slices: one region that takes the strip's whole height, or a few small ones of one
width on top of each other.  Which regions share a slice is chosen by dynamic programming for the least width; how
many strips there are, for the least waste and then for the shortest wires.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from ..errors import ConfigError

STACK = 24  # regions that may share a slice
WIDE = 32  # a slice this wide loses little to whole columns: nothing more is put into it


@dataclass(frozen=True)
class Rectangle:
    """PEs x to x + width - 1, y to y + height - 1."""

    x: int
    y: int
    width: int
    height: int

    @property
    def pes(self) -> int:
        return self.width * self.height

    @property
    def center(self) -> tuple[float, float]:
        return self.x + (self.width - 1) / 2, self.y + (self.height - 1) / 2

    def overlaps(self, other: Rectangle) -> bool:
        across = self.x < other.x + other.width and other.x < self.x + self.width
        return across and self.y < other.y + other.height and other.y < self.y + self.height


def wire(a: Rectangle, b: Rectangle) -> float:
    """Hops between the middles of two rectangles."""
    (ax, ay), (bx, by) = a.center, b.center
    return abs(ax - bx) + abs(ay - by)


def place(needs: Sequence[int], grid: tuple[int, int], strips: int | None = None) -> list[Rectangle] | None:
    """Rectangles of at least needs[i] PEs in the order of the chain, or None if they do not fit.

    grid: (width, height).  strips: how many; None: the number that fits with the shortest wires along the chain.
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
    """The chain in `count` strips of equal height (the last ones a PE less where it does not divide)."""
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
    """(regions, width) of the slices of a strip of that height: as many regions as fit, in the least width together."""
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
    """The least width at which these regions fit on top of each other."""
    low, high = -(-sum(needs) // tall), max(needs)
    while low < high:
        middle = (low + high) // 2
        if sum(-(-need // middle) for need in needs) <= tall:
            high = middle
        else:
            low = middle + 1
    return low


def _stack(needs: Sequence[int], x: int, top: int, wide: int, tall: int) -> list[Rectangle]:
    """Regions of one slice from the top; what is left over stays empty."""
    found = []
    for need in needs:
        high = tall if len(needs) == 1 else -(-need // wide)
        # One region alone takes whole columns of the strip; no more rows than it needs.
        high = min(high, -(-need // wide))
        found.append(Rectangle(x, top, wide, high))
        top += high
    return found
