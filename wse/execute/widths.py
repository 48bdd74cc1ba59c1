"""Widths of the regions of an executed pipeline, chosen to balance their load.

All regions have the height of the grid, so that each row of PEs sends its tokens to the same row of the next region;
only their widths differ.  (The floor planner, floorplan.py, places rectangles of any shape.)
"""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import ConfigError


def widths(work: Sequence[float], allowed: Sequence[Sequence[int]], columns: int) -> list[int]:
    """The number of columns of each region.

    work: the work of each region, in any unit, divided evenly among its columns.  allowed: the widths that each region
    may have, in ascending order.  columns: columns of the grid.

    A greedy algorithm: all regions start at their narrowest; the slowest one repeatedly gets its next width, until it
    has no wider one or the columns are used up.  Raises ConfigError if the narrowest regions do not fit.
    """
    level = [0] * len(work)

    def width(i: int) -> int:
        return allowed[i][level[i]]

    least = sum(widths[0] for widths in allowed)
    if least > columns:
        raise ConfigError(
            f"{len(work)} regions side by side need at least {least} columns, the grid has {columns}: use a wider grid"
        )
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
