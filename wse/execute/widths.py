"""Regions side by side: how wide each is, so that all take as long as the others.

The executed pipeline's regions have the height of the grid, so that a row of PEs hands its tokens on to the row of PEs
beside it, and differ in width.  (The floor planner, floorplan.py, places rectangles of any shape.)
"""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import ConfigError


def widths(work: Sequence[float], allowed: Sequence[Sequence[int]], columns: int) -> list[int]:
    """Columns of each region.

    work: of each region, in any unit; it is shared by the region's columns.  allowed: widths that a region may have, in
    ascending order.  columns: of the grid.  ConfigError if not even the narrowest regions fit.

    From the narrowest on, whoever takes longest gets its next width, as long as there is room and it helps.
    """
    level = [0] * len(work)

    def width(i: int) -> int:
        return allowed[i][level[i]]

    least = sum(widths[0] for widths in allowed)
    if least > columns:
        raise ConfigError(f"{len(work)} regions side by side take {least} columns at least, and the grid has {columns}")
    left = columns - least
    while True:
        slowest = max(range(len(work)), key=lambda i: work[i] / width(i))
        if level[slowest] + 1 == len(allowed[slowest]):
            break
        more = allowed[slowest][level[slowest] + 1] - width(slowest)
        if more > left:
            break
        level[slowest] += 1
        left -= more
    return [width(i) for i in range(len(work))]
