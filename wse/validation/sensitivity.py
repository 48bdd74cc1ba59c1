"""Sensitivity of the figures to the timing parameters of the machine, and the points that determine each parameter.

The points are run on machines with one parameter changed.  Most parameters do not affect most points.  These are found
by group testing: if a change of all parameters of a group has no effect, none of them has.  All members of a group must
change a figure in the same direction.  Latencies and capacities (rates, depths) are therefore separate groups, and
fp_latency is a group of its own, because it decides which results are pipelined.

A parameter is a property of a column of machine.def (wse2, wse3, silicon), which the points of that column see.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import field

from ..errors import ConfigError, WseError
from ..fabric.fabric import Fabric
from ..machine.parameters import PARAMETERS, Machine, Parameter
from ..program.program import Program
from ..records import dataclass
from .points import Point, within

# Units of the rows that are latencies, and of those that are rates or depths.
_LATENCIES = ("cycles", "x")
_CAPACITIES = ("mB/cycle", "wavelets")
_SEPARATE = ("fp_latency",)

Report = Callable[[str], None]  # receives a short description of the current step


def timing() -> list[Parameter]:
    """The timing parameters."""
    return [row for row in PARAMETERS if row.unit in _LATENCIES + _CAPACITIES]


def free(column: str) -> list[Parameter]:
    """The timing parameters of a column that are measured, inferred or assumed, not documented by the vendor.

    A documented value that measurements of silicon replaced counts as measured there.
    """
    replaced = column == "silicon"
    return [row for row in timing() if row.confidence != "DOC" or (replaced and row.silicon != row.wse3)]


class Emulator:
    """Emulated figures of points on changed machines; results are cached.

    threads: of the host.  report: called with a short description of each run.
    """

    def __init__(self, threads: int = 1, report: Report | None = None):
        self.threads = threads
        self.report = report or (lambda words: None)
        self._figures: dict[tuple[Point, Machine], float | None] = {}
        self._found: dict[str, set[str]] = {}  # parameters that affect points, by kernel

    def figure(self, point: Point, changes: Mapping[str, int] | None = None) -> float | None:
        """The figure of a point with changed parameters; None if the machine or the run is impossible."""
        try:
            machine = point.machine(changes)
        except ConfigError:
            return None
        key = point, machine
        if key not in self._figures:
            self.report(
                f"{point.column} {point.id}" + "".join(f", {name}={value}" for name, value in (changes or {}).items())
            )
            try:
                self._figures[key] = point.emulate(machine, self.threads)
            except WseError:
                self._figures[key] = None
        return self._figures[key]

    def each(
        self, point: Point, changes: Mapping[str, int], spared: Callable[[float | None], bool]
    ) -> dict[str, float | None]:
        """The figure for each single change that matters.

        changes: value by parameter.  spared: whether a figure means that the change does not matter.  Parameters that
        affected another point of the kernel are tested one by one, the others in groups that are halved.
        """
        found: dict[str, float | None] = {}
        likely = self._found.setdefault(point.kernel, set())
        groups = [[name] for name in changes if name in likely or name in _SEPARATE]
        for units in (_LATENCIES, _CAPACITIES):
            names = [row.name for row in timing() if row.unit in units and row.name in changes]
            groups.append([name for name in names if [name] not in groups])
        for group in groups:
            found |= self._unspared(point, {name: changes[name] for name in group}, spared)
        likely |= found.keys()
        return found

    def _unspared(
        self, point: Point, changes: dict[str, int], spared: Callable[[float | None], bool]
    ) -> dict[str, float | None]:
        if not changes or spared(self.figure(point, changes)):
            return {}
        names = list(changes)
        if len(names) == 1:
            return {names[0]: self.figure(point, changes)}
        half = len(names) // 2
        parts = ({name: changes[name] for name in part} for part in (names[:half], names[half:]))
        return {name: figure for part in parts for name, figure in self._unspared(point, part, spared).items()}


# --- slopes ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Slope:
    """The change of a point's time in percent for 10 % more of a parameter, from one step up and one step down.

    A step is 10 % of the value, but at least 1; changes are scaled to 10 %.  None: the machine or the run is
    impossible.
    """

    point: Point
    parameter: str
    value: int
    step: int
    up_pct: float | None
    down_pct: float | None

    @property
    def pct(self) -> float:
        """The change of larger magnitude: for a queue that is just deep enough, only fewer slots have an effect."""
        return max((pct for pct in (self.up_pct, self.down_pct) if pct is not None), key=abs, default=0.0)


def slopes(points: Iterable[Point], emulator: Emulator) -> list[Slope]:
    """All slopes that are not 0, in the order of the points.  Parameters with the value 0 are skipped."""
    points = list(points)
    found = {point: _slopes(point, emulator) for point in sorted(points, key=_size)}
    return [slope for point in points for slope in found[point]]


def _slopes(point: Point, emulator: Emulator) -> list[Slope]:
    base = emulator.figure(point)
    if base is None:
        return []
    values = {row.name: getattr(row, point.column) for row in timing() if getattr(row, point.column)}
    steps = {name: max(1, round(value / 10)) for name, value in values.items()}
    sides = []
    for sign in (1, -1):
        moved = {name: values[name] + sign * step for name, step in steps.items() if values[name] + sign * step > 0}
        sides.append(emulator.each(point, moved, lambda figure: figure == base))

    def percent(name: str, figures: dict[str, float | None], sign: int) -> float | None:
        figure = figures.get(name, base)
        if figure is None:
            return None
        steps_to_10_pct = values[name] / (10 * steps[name])
        return 100 * (point.time(figure) / point.time(base) - 1) * sign * steps_to_10_pct + 0.0

    rows = [
        Slope(point, name, values[name], steps[name], percent(name, sides[0], 1), percent(name, sides[1], -1))
        for name in values
    ]
    return [row for row in rows if row.up_pct or row.down_pct]


# --- leave one out ---------------------------------------------------------------------------------------------------


@dataclass
class Side:
    """The range of a parameter to one side of its value in which all points stay within their tolerance."""

    value: int
    limit: int  # of the search
    ends: dict[Point, int] = field(default_factory=dict)  # for points that may decide: the last value within tolerance

    def end(self, without: Point | None = None) -> int:
        """The last value at which all points, or all but one, are within their tolerance."""
        ends = [end for point, end in self.ends.items() if point != without]
        return min(ends, key=self.distance, default=self.limit)

    def second(self) -> int:
        """The second nearest end.  A point that fails beyond it changes neither `end()` nor `end(without)`."""
        ends = sorted(self.ends.values(), key=self.distance)
        return ends[1] if len(ends) > 1 else self.limit

    def distance(self, end: int) -> int:
        """Distance of an end from the value."""
        return abs(end - self.value)


@dataclass
class Determined:
    """A free parameter of a column of machine.def, and the values that the points allow."""

    column: str
    parameter: Parameter
    value: int
    low: Side
    high: Side

    @property
    def allowed(self) -> tuple[int, int]:
        """(lowest, highest) value with which all points are within their tolerance."""
        return self.low.end(), self.high.end()

    @property
    def searched(self) -> tuple[int, int]:
        """(lowest, highest) value that was tried."""
        return self.low.limit, self.high.limit

    @property
    def without(self) -> dict[Point, tuple[int, int]]:
        """The points without which more values are allowed, with these values."""
        points = {**self.low.ends, **self.high.ends}
        left = {point: (self.low.end(point), self.high.end(point)) for point in points}
        return {point: values for point, values in left.items() if values != self.allowed}


def leave_one_out(points: Iterable[Point], emulator: Emulator) -> list[Determined]:
    """For each free parameter, the values with which all points are within tolerance, and those without each point.

    One parameter is changed at a time.  The error is assumed to be monotonic on either side.  Points that miss their
    tolerance on the unchanged machine are ignored.  Points that run fast come first; a slow one is only run at the ends
    that these leave.
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
    """A rough measure of the time to emulate a point."""
    return point.published * (512 if "512" in point.id else 1) if point.unit == "cycles" else 0


def _holds(point: Point, figure: float | None) -> bool:
    return figure is not None and within(point, figure)


def _open(row: Parameter, column: str) -> Determined:
    """The limits of the search: down to 0 cycles or 1 of another unit; up to four times a rate, or twice a number of
    cycles or a depth, but at least 16 more."""
    value = getattr(row, column)
    smallest = 0 if row.unit == "cycles" else 1
    largest = 4 * value if row.unit == "mB/cycle" else max(2 * value, value + 16)
    low, high = (_extreme(column, row.name, value, end) for end in (smallest, largest))
    return Determined(column, row, value, Side(value, low), Side(value, high))


def _extreme(column: str, name: str, value: int, end: int) -> int:
    """The value nearest to `end` with which a fabric can be made."""
    return _last_good(value, end, 1, lambda number: _is_possible(column, name, number))


def _is_possible(column: str, name: str, value: int) -> bool:
    arch, profile = ("wse3", "silicon") if column == "silicon" else (column, "simulator")
    try:
        program = Program(1, 1, Machine(arch, profile, {name: value}))
        pe = program.pe_class("pe")
        pe.code("main:\n    done\n")
        program.place(pe, x=0, y=0)
        Fabric(program)
    except WseError:
        return False
    return True


def _last_good(good: int, end: int, grain: int, is_good: Callable[[int], bool]) -> int:
    """The last good value between `good` and `end`, found by bisection to within `grain`."""
    if good == end or is_good(end):
        return end
    while abs(end - good) > grain:
        middle = (good + end) // 2 if end > good else -(-(good + end) // 2)
        if is_good(middle):
            good = middle
        else:
            end = middle
    return good


def _narrow(point: Point, sides: dict[str, Side], emulator: Emulator) -> None:
    """Record where the point fails on each side, if that is before the second end.  sides: by parameter."""
    tried = {name: side.second() for name, side in sides.items() if side.second() != side.value}
    for name in emulator.each(point, tried, lambda figure: _holds(point, figure)):
        value = sides[name].value
        grain = max(1, value // 100)

        def holds(number: int, name: str = name) -> bool:
            return _holds(point, emulator.figure(point, {name: number}))

        sides[name].ends[point] = _last_good(value, tried[name], grain, holds)
