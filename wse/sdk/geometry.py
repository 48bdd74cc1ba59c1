"""Coordinates of layouts: x to the east, y to the south."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class IntVector:
    """A PE of a region, or an offset."""

    x: int
    y: int

    def __add__(self, other: IntVector) -> IntVector:
        return IntVector(self.x + other.x, self.y + other.y)

    def __sub__(self, other: IntVector) -> IntVector:
        return IntVector(self.x - other.x, self.y - other.y)

    def __iter__(self) -> Iterator[int]:
        return iter((self.x, self.y))


@dataclass(frozen=True)
class IntRectangle:
    """PEs from the upper left corner up to, without, the lower right one."""

    upper_left: IntVector
    lower_right: IntVector

    @property
    def width(self) -> int:
        return self.lower_right.x - self.upper_left.x

    @property
    def height(self) -> int:
        return self.lower_right.y - self.upper_left.y

    def __iter__(self) -> Iterator[IntVector]:
        """Its PEs, row by row."""
        for y in range(self.upper_left.y, self.lower_right.y):
            for x in range(self.upper_left.x, self.lower_right.x):
                yield IntVector(x, y)
