"""What the figures depend on: slopes for every timing parameter of the machine, and which points determine which.

The real points are run, on machines with one parameter changed.  Most parameters do not concern most points; those are found
in groups: when all of a group moved together change nothing, none of them does.  For that all members of a group must move a
figure in one direction, so latencies and capacities (rates, depths) are kept apart.

A parameter of the table is a property of a column of machine.def (wse2, wse3, silicon), which the points of that column see.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from ..errors import WseError
from ..machine import PARAMETERS, Machine, Parameter
from .points import Point, within

# Units of the rows that say how long something takes, or how much of it goes on at once.
LATENCIES = ("cycles", "x")
CAPACITIES = ("mB/cycle", "wavelets")

Report = Callable[[str], None]  # takes what is being done, in a few words


def timing() -> list[Parameter]:
    """The parameters that have to do with time."""
    return [row for row in PARAMETERS if row.unit in LATENCIES + CAPACITIES]


def free(column: str) -> list[Parameter]:
    """The timing parameters of a column that no document of the vendor settles: measured, inferred or assumed ones.

    A documented value that measurements of silicon replaced counts as measured there.
    """
    replaced = column == "silicon"
    return [row for row in timing() if row.confidence != "DOC" or (replaced and row.silicon != row.wse3)]


class Emulator:
    """Figures of points on changed machines; nothing is run twice."""

    def __init__(self, threads: int = 1, report: Report | None = None):
        self.threads = threads
        self.report = report or (lambda words: None)
        self._figures: dict[tuple[Point, Machine], float | None] = {}

    def figure(self, point: Point, changes: Mapping[str, int] | None = None) -> float | None:
        """None: the machine cannot be built so, or the program cannot run on it."""
        machine = point.machine(changes)
        key = point, machine
        if key not in self._figures:
            self.report(f"{point.column} {point.id}" + "".join(f", {name}={value}" for name, value in (changes or {}).items()))
            try:
                self._figures[key] = point.emulate(machine, self.threads)
            except WseError:
                self._figures[key] = None
        return self._figures[key]

    def each(self, point: Point, changes: Mapping[str, int]) -> dict[str, float | None]:
        """The figure for every change on its own; members of a group that change nothing together are left out."""
        base = self.figure(point)
        found: dict[str, float | None] = {}
        for units in (LATENCIES, CAPACITIES):
            names = [row.name for row in timing() if row.unit in units and row.name in changes]
            found |= self._moving(point, base, {name: changes[name] for name in names})
        return found

    def _moving(self, point: Point, base: float | None, changes: dict[str, int]) -> dict[str, float | None]:
        if not changes or self.figure(point, changes) == base:
            return {}
        if len(changes) == 1:
            return {name: self.figure(point, changes) for name in changes}
        names = list(changes)
        half = len(names) // 2
        parts = names[:half], names[half:]
        return {k: v for part in parts for k, v in self._moving(point, base, {n: changes[n] for n in part}).items()}


# --- slopes ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Slope:
    """How a point's time moves with a parameter: in percent for 10 % more of it, from one step up and one step down.

    A step is 10 %, or 1 where that is less, scaled to 10 %.  None: there is no such machine, or the program cannot run on it.
    """

    point: Point
    parameter: str
    value: int
    step: int
    up_pct: float | None
    down_pct: float | None

    @property
    def pct(self) -> float:
        """The larger of the two: a queue that is just deep enough shows only in one direction."""
        return max((pct for pct in (self.up_pct, self.down_pct) if pct is not None), key=abs, default=0.0)


def slopes(points: Iterable[Point], emulator: Emulator) -> list[Slope]:
    """Slopes that are not 0.  A parameter that is 0 has none: it says that something is not there."""
    found = []
    for point in points:
        values = {row.name: getattr(row, point.column) for row in timing()}
        steps = {name: max(1, round(value / 10)) for name, value in values.items() if value}
        base = emulator.figure(point)
        if base is None:
            continue
        moved = [
            emulator.each(point, {name: values[name] + sign * step for name, step in steps.items() if values[name] + sign * step > 0})
            for sign in (1, -1)
        ]
        for name, step in steps.items():
            sides: list[float | None] = []
            for sign, figures in zip((1, -1), moved, strict=True):
                figure = figures.get(name, base)
                share = None if figure is None else point.time(figure) / point.time(base) - 1
                sides.append(None if share is None else sign * 100 * share * values[name] / (10 * step))
            if any(sides):
                found.append(Slope(point, name, values[name], step, *sides))
    return found


# --- leave one out ---------------------------------------------------------------------------------------------------


@dataclass
class Side:
    """How far a parameter can go to one side of its value, all else as it is, before points miss their tolerance."""

    value: int
    limit: int  # as far as was looked
    ends: dict[Point, int] = field(default_factory=dict)  # the last value at which a point holds, if it could matter

    def end(self, without: Point | None = None) -> int:
        """The last value at which every point holds, or every other point."""
        ends = [end for point, end in self.ends.items() if point != without]
        return min(ends, key=self.distance, default=self.limit)

    def second(self) -> int:
        """Only a point that fails before this value can change an end, or an end without another point."""
        ends = sorted(self.ends.values(), key=self.distance)
        return ends[1] if len(ends) > 1 else self.limit

    def distance(self, end: int) -> int:
        return abs(end - self.value)


@dataclass
class Determined:
    """A free parameter of a column and what the points say about it."""

    column: str
    parameter: Parameter
    value: int
    low: Side
    high: Side

    @property
    def allowed(self) -> tuple[int, int]:
        """The values, first and last, with which all points hold."""
        return self.low.end(), self.high.end()

    @property
    def searched(self) -> tuple[int, int]:
        return self.low.limit, self.high.limit

    @property
    def without(self) -> dict[Point, tuple[int, int]]:
        """The points without which more values would do, and which."""
        points = {**self.low.ends, **self.high.ends}
        left = {point: (self.low.end(point), self.high.end(point)) for point in points}
        return {point: values for point, values in left.items() if values != self.allowed}


def leave_one_out(points: Iterable[Point], emulator: Emulator) -> list[Determined]:
    """For every free parameter the values with which all points hold, and those with each point left out.

    One parameter moves at a time; the error is taken to grow steadily on either side.  Points that miss their tolerance as it
    is say nothing and are left out.  Quick points come first: a slow one is only asked whether it is stricter than they are.
    """
    found = []
    points = list(points)
    for column in dict.fromkeys(point.column for point in points):
        quick_first = sorted((p for p in points if p.column == column), key=_size)
        rows = [_open(row, column) for row in free(column) if getattr(row, column)]
        for point in quick_first:
            if not _holds(point, emulator.figure(point)):
                continue
            for side in ("low", "high"):
                _narrow(point, {row.parameter.name: getattr(row, side) for row in rows}, emulator)
        found += rows
    return found


def _size(point: Point) -> float:
    """Of the work to emulate a point, roughly."""
    return point.published * (512 if "512" in point.id else 1) if point.unit == "cycles" else 0


def _holds(point: Point, figure: float | None) -> bool:
    return figure is not None and within(point, figure)


# What the engine can be given, where that is less than the search would try.
_LARGEST = {"hop_cycles": 7, "ramp_in_cycles": 7, "router_depth": 64}
_SMALLEST = {"hop_cycles": 1, "ramp_in_cycles": 1, "ramp_out_cycles": 1}


def _open(row: Parameter, column: str) -> Determined:
    value = getattr(row, column)
    smallest = _SMALLEST.get(row.name, 0 if row.unit == "cycles" else 1)
    largest = 4 * value if row.unit == "mB/cycle" else max(2 * value, value + 16)
    largest = min(largest, _LARGEST.get(row.name, largest))
    return Determined(column, row, value, Side(value, smallest), Side(value, largest))


def _narrow(point: Point, sides: dict[str, Side], emulator: Emulator) -> None:
    """Tells the sides where the point fails, if that is before their second end."""
    asked = {name: side.second() for name, side in sides.items() if side.second() != side.value}
    for name, figure in emulator.each(point, asked).items():
        if not _holds(point, figure):
            sides[name].ends[point] = _last(point, name, sides[name].value, asked[name], emulator)


def _last(point: Point, name: str, holds: int, fails: int, emulator: Emulator) -> int:
    """The last value between the two at which the point holds; to 1 % of large values."""
    grain = max(1, holds // 100)
    while abs(fails - holds) > grain:
        middle = (holds + fails) // 2 if fails > holds else -(-(holds + fails) // 2)
        if _holds(point, emulator.figure(point, {name: middle})):
            holds = middle
        else:
            fails = middle
    return holds
