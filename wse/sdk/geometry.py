"""Coordinates of layouts: x to the east, y to the south."""

from __future__ import annotations

from collections.abc import Iterator

from ..errors import ConfigError
from ..records import dataclass


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


@dataclass(frozen=True, init=False)
class IntRectangle:
    """PEs from the upper left corner up to, without, the lower right one.

    The SDK's reference calls the arguments `origin` and `dims`, the width and height, while its own examples pass the
    two corners.  Here two positional arguments are corners; `dims` as a keyword is the width and height.
    """

    upper_left: IntVector
    lower_right: IntVector

    def __init__(self, origin: IntVector, lower_right: IntVector | None = None, *, dims: IntVector | None = None):
        if (lower_right is None) == (dims is None):
            raise ConfigError("IntRectangle takes two corners, or a corner and dims=IntVector(width, height)")
        corner = lower_right if dims is None else origin + dims
        if not isinstance(origin, IntVector) or not isinstance(corner, IntVector):
            raise ConfigError(f"IntRectangle takes two IntVectors, not {origin!r} and {corner!r}")
        object.__setattr__(self, "upper_left", origin)
        object.__setattr__(self, "lower_right", corner)

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
