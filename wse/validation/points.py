"""The published points: read from a table, run as programs on the emulator, compared.

The table is calibration.csv in this folder.  Its columns are id, arch, target, kernel, config, cycles, tolerance_pct
and source.  `target` is the profile: simulator (the vendor's) or silicon.  The id selects the program and its sizes, so
that a table with other sizes (`wse validate --points FILE`) needs no code.  Numbers in the config column (P=, B=, S=,
N=, padded, iterations, n=) take precedence over those in the id.  further.csv has published points that were not used
to determine figures of the machine.
"""

from __future__ import annotations

import csv
import fnmatch
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from .. import kernels
from ..errors import ConfigError, WseError
from ..fabric.errors import RunError
from ..machine.parameters import Machine
from ..records import dataclass
from . import programs

TABLE = Path(__file__).with_name("calibration.csv")
FURTHER = Path(__file__).with_name("further.csv")
COLUMNS = ("id", "arch", "target", "kernel", "config", "cycles", "tolerance_pct", "source")


@dataclass(frozen=True)
class Point:
    """A published figure.  published: in units of `unit`."""

    id: str
    arch: str
    target: str
    kernel: str
    config: str
    published: float
    tolerance_pct: float
    source: str

    @property
    def column(self) -> str:
        """The column of machine.def that it belongs to: wse2, wse3 or silicon."""
        return self.arch if self.target == "simulator" else self.target

    @property
    def unit(self) -> str:
        """The unit of the figure, from the config column: "cycles" or a rate."""
        for words, unit in (
            ("per cycle", "elements/cycle"),
            ("per wavelet", "cycles/wavelet"),
            ("per hop", "cycles/hop"),
        ):
            if words in self.config:
                return unit
        return "cycles"

    def time(self, figure: float) -> float:
        """A figure as a time: the reciprocal of a rate."""
        return 1 / figure if self.unit == "elements/cycle" else figure

    def machine(self, overrides: Mapping[str, int | str] | None = None) -> Machine:
        """The machine that the point was published for, with changed figures."""
        return Machine(self.arch, profile=self.target, overrides=overrides)

    def emulate(self, machine: Machine | None = None, threads: int = 1) -> float:
        """Run the point's program; returns the emulated figure.  machine: None for that of the point."""
        return float(_program(self)(machine or self.machine(), threads))


@dataclass(frozen=True)
class Compared:
    """A point and its emulated figure."""

    point: Point
    emulated: float

    @property
    def error_pct(self) -> float:
        """(emulated - published) / published, in percent."""
        return 100 * (self.emulated - self.point.published) / self.point.published

    @property
    def ok(self) -> bool:
        """Whether the emulated figure is within the tolerance."""
        return within(self.point, self.emulated)


def within(point: Point, figure: float) -> bool:
    """Whether an emulated figure is within the point's tolerance, the limit included."""
    return abs(figure - point.published) <= point.tolerance_pct / 100 * point.published + 1e-9 * point.published


def read(path: Path = TABLE) -> list[Point]:
    """The points of a table.  Raises ConfigError with the line of an invalid row."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not a table of points: byte {error.start} is not UTF-8 text") from None
    rows = csv.reader(text.splitlines(), skipinitialspace=True)
    points: list[Point] = []
    names: list[str] = []
    try:
        for row in rows:
            if not any(cell.strip() for cell in row):
                continue
            if names:
                points.append(_point(names, row, points))
            else:
                names = _header(row)
    except csv.Error as error:
        raise ConfigError(f"{path}, line {rows.line_num}: {error}") from None
    except ConfigError as error:
        raise ConfigError(f"{path}, line {rows.line_num}: {error}") from None
    if not points:
        raise ConfigError(f"{path} has no points; its first line names the columns {', '.join(COLUMNS)}")
    return points


def _header(row: list[str]) -> list[str]:
    names = [cell.strip() for cell in row]
    missing = [name for name in COLUMNS if name not in names]
    if missing:
        raise ConfigError(
            f"there is no column {', '.join(missing)}; the first line names the columns {', '.join(COLUMNS)}"
        )
    return names


def _point(names: list[str], row: list[str], before: list[Point]) -> Point:
    if len(row) != len(names):
        raise ConfigError(f"{len(row)} cells, but the header has {len(names)}")
    cells = dict(zip(names, (cell.strip() for cell in row), strict=True))
    numbers = {}
    for name, least in (("cycles", "above 0"), ("tolerance_pct", "of 0 or more")):
        try:
            numbers[name] = float(cells[name])
        except ValueError:
            numbers[name] = math.nan
        if not math.isfinite(numbers[name]) or numbers[name] < 0 or (name == "cycles" and not numbers[name]):
            raise ConfigError(f"{name} is {cells[name]!r}, but must be a number {least}")
    point = Point(
        cells["id"],
        cells["arch"],
        cells["target"],
        cells["kernel"],
        cells["config"],
        numbers["cycles"],
        numbers["tolerance_pct"],
        _source(cells["source"], before),
    )
    point.machine()  # an unknown architecture, profile or program is an error of the table
    _program(point)
    return point


def _source(words: str, before: list[Point]) -> str:
    """The source of a row.  `same ...`: that of the row above, with the rest appended; `same as ID`: that of the first
    row whose id begins with ID."""
    if words.startswith("same as "):
        named = [point.source for point in before if point.id.startswith(words.removeprefix("same as "))]
        return named[0] if named else words
    if words.split(" ")[0] == "same" and before:
        return before[-1].source + words.removeprefix("same")
    return words


def select(points: Iterable[Point], pattern: str) -> list[Point]:
    """The points whose id, or column/id such as wse2/hop, matches a shell pattern.  Raises ConfigError if none does."""
    points = list(points)
    chosen = [
        p for p in points if fnmatch.fnmatchcase(p.id, pattern) or fnmatch.fnmatchcase(f"{p.column}/{p.id}", pattern)
    ]
    if not chosen:
        known = list(dict.fromkeys(p.id for p in points))
        more = f" and {len(known) - 8} more" if len(known) > 8 else ""
        raise ConfigError(f"no point matches {pattern!r}: there are {', '.join(known[:8])}{more}")
    return chosen


def compare(
    points: Iterable[Point],
    threads: int = 1,
    overrides: Mapping[str, int | str] | None = None,
    report: Callable[[str], None] | None = None,
) -> Iterator[Compared]:
    """Run points in order, each on its own machine with changed figures.  Errors of a run name the point.

    threads: of the host.  report: called with a short description of each run.
    """
    points = list(points)
    for i, point in enumerate(points):
        if report is not None:
            report(f"{i + 1}/{len(points)} {point.id}")
        try:
            yield Compared(point, point.emulate(point.machine(overrides), threads))
        except WseError as error:
            if error.args:
                error.args = (f"point {point.id}: {error}", *error.args[1:])
            raise


def summary(results: list[Compared]) -> dict[str, float | int]:
    """Number of points, number within tolerance, and median, 90th percentile and maximum of the absolute errors in
    percent; all 0 without results."""
    errors = quantiles([abs(r.error_pct) for r in results])
    return {"points": errors.pop("points"), "ok": sum(r.ok for r in results), **errors}


def quantiles(errors: list[float]) -> dict[str, float | int]:
    """Number, median, 90th percentile and maximum of absolute errors; all 0 without errors."""
    errors = sorted(errors)
    if not errors:
        return {"points": 0, "median_pct": 0.0, "p90_pct": 0.0, "worst_pct": 0.0}

    def quantile(q: float) -> float:
        at = q * (len(errors) - 1)
        low = int(at)
        high = min(low + 1, len(errors) - 1)
        return errors[low] + (at - low) * (errors[high] - errors[low])

    return {
        "points": len(errors),
        "median_pct": quantile(0.5),
        "p90_pct": quantile(0.9),
        "worst_pct": errors[-1],
    }


# --- which program ---------------------------------------------------------------------------------------------------

Run = Callable[[Machine, int], float]  # machine, threads -> the figure


def _numbers(config: str) -> dict[str, int]:
    """Sizes in a config column, such as P=512, group S=8, N=20 (padded 20), 10 iterations, n=5124."""
    found = {m[1]: int(m[2]) for m in re.finditer(r"\b([PBSNn])\s*=\s*(\d{1,7})\b", config)}
    for word, pattern in (("padded", r"padded(?:\s+to)?\s+(\d{1,7})\b"), ("iterations", r"\b(\d{1,7})\s+iterations?")):
        if match := re.search(pattern, config):
            found[word] = int(match[1])
    return found


def _reduce(algorithm: str, pes: int, length: int, group: int | None = None) -> Run:
    config = {"algorithm": algorithm, "length": length, "dtype": "f32"} | ({"group": group} if group else {})
    return lambda machine, threads: measured("reduce", config, machine, (pes, 1), threads)["measured_cycles"]


def measured(
    kernel: str, config: Mapping[str, Any], machine: Machine, grid: tuple[int, int], threads: int = 1
) -> dict[str, Any]:
    """Run a kernel of wse.kernels; returns the figures that it gives in addition to its Run.

    config: parameters; others have their defaults.  Raises RunError if the result is wrong, because its time is then
    meaningless.
    """
    result = kernels.run(kernel, config, kernels.RunOptions(machine=machine, grid=grid, threads=threads))
    if not result.verified:
        raise RunError(f"{kernel} of {grid[0]}x{grid[1]} PEs with {dict(config)} computed a wrong result")
    return result.extra


def _few_pes(function: Callable[..., float], *arguments: int | bool) -> Run:
    """A program of a few PEs, which runs on one thread."""
    return lambda machine, threads: function(machine, *arguments)


def _matvec(n: int, numbers: dict[str, int]) -> Run:
    n = numbers.get("N", n)
    return _few_pes(programs.matvec, n, numbers.get("padded", (n + 3) // 4 * 4), numbers.get("iterations", 10))


# Patterns of ids (#: a number, *: any text) and the programs they select.  m: numbers of the id, n: of the config
# column.
_PROGRAMS: list[tuple[str, Callable[[list[int], dict[str, int]], Run]]] = [
    ("chain-#-#", lambda m, n: _reduce("chain", n.get("P", m[0]), n.get("B", m[1]))),
    ("two-phase-#-#-s#", lambda m, n: _reduce("two-phase", n.get("P", m[0]), n.get("B", m[1]), n.get("S", m[2]))),
    ("matvec-1pe-#", lambda m, n: _matvec(m[0], n)),
    ("matvec-1pe-#-*", lambda m, n: _matvec(m[0], n)),
    ("dsd-f32-#-clean", lambda m, n: _few_pes(programs.f32_operation, n.get("n", m[0]), False)),
    ("dsd-f32-#-conflict", lambda m, n: _few_pes(programs.f32_operation, n.get("n", m[0]), True)),
    ("dsd-f16-add-#", lambda m, n: _few_pes(programs.f16_addition, n.get("n", m[0]))),
    ("fma16-#-one", lambda m, n: _few_pes(programs.fma16_once, m[0])),
    ("fma16-#-while", lambda m, n: _few_pes(programs.fma16_while, m[0])),
    ("fma16-#-while-#", lambda m, n: _few_pes(programs.fma16_while, m[0], m[1])),
    ("fma16-#-map", lambda m, n: _few_pes(programs.fma16_map, m[0])),
    ("fma16-#-map-#", lambda m, n: _few_pes(programs.fma16_map, m[0], m[1])),
    ("add16-#", lambda m, n: _few_pes(programs.addition_and_chain, m[0], 0)),
    ("scalar-chain-#", lambda m, n: _few_pes(programs.addition_and_chain, 0, m[0])),
    ("add16-and-scalar", lambda m, n: _few_pes(programs.addition_and_chain, 2048, 256)),
    ("message-#-send-to-link", lambda m, n: _few_pes(programs.message_to_link, m[0])),
    ("message-#-receive-done", lambda m, n: _few_pes(programs.message_received, m[0])),
    ("relay-#-#", lambda m, n: _few_pes(programs.relay, n.get("N", m[0]), n.get("B", m[1]))),
    ("hop", lambda m, n: _few_pes(programs.hop)),
    ("stream", lambda m, n: _few_pes(programs.stream)),
    ("copy-f16", lambda m, n: _few_pes(programs.f16_copy_rate)),
    ("copy-f32", lambda m, n: _few_pes(programs.f32_copy_rate)),
    ("fma-f16", lambda m, n: _few_pes(programs.f16_fma_rate)),
    ("fma-f32-conflict", lambda m, n: _few_pes(programs.f32_fma_conflict_rate)),
    ("summa-#x#-#", lambda m, n: _few_pes(programs.summa_compute, m[0], m[2], m[2], m[2])),
]


def _program(point: Point) -> Run:
    for form, make in _PROGRAMS:
        pattern = re.escape(form).replace(r"\#", r"(\d{1,7})").replace(r"\*", r".*")
        match = re.fullmatch(pattern, point.id)
        if not match:
            continue
        numbers, named = [int(text) for text in match.groups()], _numbers(point.config)
        if 0 in numbers or 0 in named.values():
            raise ConfigError(f"point {point.id} has a size of 0; sizes are 1 or more")
        return make(numbers, named)
    forms = ", ".join(form for form, _ in _PROGRAMS)
    raise ConfigError(f"there is no program for point {point.id!r}; ids, with # for a number: {forms}")
