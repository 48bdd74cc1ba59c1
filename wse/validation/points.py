"""The published points: read from a table, run as programs on the emulator, compared.

The table is calibration.csv beside this file: id, arch, target, kernel, config, cycles, tolerance_pct, source.  `target` names
the profile: simulator (the vendor's) or silicon.  The id says which program and at which size, so that a table of other sizes
(`wse validate --points FILE`) needs no code; numbers named in the config column (P=, B=, S=, N=, padded, iterations, n=) win
over those in the id.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import ConfigError
from ..machine import Machine
from . import programs

TABLE = Path(__file__).with_name("calibration.csv")
COLUMNS = ("id", "arch", "target", "kernel", "config", "cycles", "tolerance_pct", "source")


@dataclass(frozen=True)
class Point:
    """One published figure.  published: cycles, or what the config column says (cycles per hop, elements per cycle)."""

    id: str
    arch: str
    target: str
    kernel: str
    config: str
    published: float
    tolerance_pct: float
    source: str

    def machine(self, overrides: dict[str, int] | None = None) -> Machine:
        return Machine(self.arch, profile=self.target, overrides=overrides or {})

    def emulate(self, machine: Machine | None = None, threads: int = 1) -> float:
        """Runs the point's program on `machine` (default: its own) and returns the emulated figure."""
        return float(_program(self)(machine or self.machine(), threads))


@dataclass(frozen=True)
class Compared:
    """A point with what the emulator gave.  error_pct: (emulated - published) / published in percent."""

    point: Point
    emulated: float

    @property
    def error_pct(self) -> float:
        return 100 * (self.emulated - self.point.published) / self.point.published

    @property
    def ok(self) -> bool:
        # half a unit of the last published digit is no error of anybody's
        return abs(self.error_pct) <= self.point.tolerance_pct + 1e-9


def read(path: Path = TABLE) -> list[Point]:
    """Points of a table.  ConfigError names the line and the column of what does not fit."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not a table of points: {error}") from None
    rows = csv.reader(text.splitlines(), skipinitialspace=True)
    points: list[Point] = []
    names: list[str] = []
    for row in rows:
        if not row or not any(cell.strip() for cell in row):
            continue
        if not names:
            names = [cell.strip() for cell in row]
            missing = [name for name in COLUMNS if name not in names]
            if missing:
                raise ConfigError(f"{path} has no column {', '.join(missing)}; a table of points has {', '.join(COLUMNS)}")
            continue
        if len(row) != len(names):
            raise ConfigError(f"{path}, line {rows.line_num}: {len(row)} cells, the header has {len(names)}")
        cells = dict(zip(names, (cell.strip() for cell in row), strict=True))
        try:
            published, tolerance = float(cells["cycles"]), float(cells["tolerance_pct"])
        except ValueError as error:
            raise ConfigError(f"{path}, line {rows.line_num}: {error} in cycles or tolerance_pct") from None
        point = Point(cells["id"], cells["arch"], cells["target"], cells["kernel"], cells["config"], published, tolerance, cells["source"])
        if point.source in ("same", "same as chain", "same (formula)") and points:
            point = replace(point, source=points[-1].source)
        point.machine()  # an unknown architecture or profile is an error of the table
        points.append(point)
    if not points:
        raise ConfigError(f"{path} holds no points")
    return points


def compare(points: Iterable[Point], threads: int = 1) -> Iterator[Compared]:
    """Runs the points in order."""
    for point in points:
        yield Compared(point, point.emulate(threads=threads))


def summary(results: list[Compared]) -> dict[str, float | int]:
    """points, ok, and of the absolute errors in percent the median, 90th percentile and worst."""
    errors = sorted(abs(r.error_pct) for r in results)
    if not errors:
        return {"points": 0, "ok": 0, "median_pct": 0.0, "p90_pct": 0.0, "worst_pct": 0.0}

    def quantile(q: float) -> float:
        at = q * (len(errors) - 1)
        low = int(at)
        high = min(low + 1, len(errors) - 1)
        return errors[low] + (at - low) * (errors[high] - errors[low])

    return {
        "points": len(results),
        "ok": sum(r.ok for r in results),
        "median_pct": quantile(0.5),
        "p90_pct": quantile(0.9),
        "worst_pct": errors[-1],
    }


# --- which program ---------------------------------------------------------------------------------------------------


def _numbers(config: str) -> dict[str, int]:
    """Sizes that a config column names: P=512, group S=8, N=20 (padded 20), 10 iterations, n=5124."""
    found = {m[1]: int(m[2]) for m in re.finditer(r"\b([PBSNn])\s*=\s*(\d+)", config)}
    for word, pattern in (("padded", r"padded(?:\s+to)?\s+(\d+)"), ("iterations", r"(\d+)\s+iterations?")):
        if match := re.search(pattern, config):
            found[word] = int(match[1])
    return found


def _reduce(algorithm: str) -> Callable[..., Callable[[Machine, int], float]]:
    def make(pes: int, length: int, group: int | None = None) -> Callable[[Machine, int], float]:
        from ..kernels import reduce

        return lambda machine, threads: reduce.cycles(machine, algorithm, pes, length, group, threads=threads)

    return make


def _plain(function: Callable[..., float], *arguments: object) -> Callable[[Machine, int], float]:
    return lambda machine, threads: function(machine, *arguments)


def _matvec(n: int, numbers: dict[str, int]) -> Callable[[Machine, int], float]:
    n = numbers.get("N", n)
    return _plain(programs.matvec, n, numbers.get("padded", (n + 3) // 4 * 4), numbers.get("iterations", 10))


def _program(point: Point) -> Callable[[Machine, int], float]:
    n = _numbers(point.config)
    rules: list[tuple[str, Callable[[re.Match[str]], Callable[[Machine, int], float]]]] = [
        (r"chain-(\d+)-(\d+)", lambda m: _reduce("chain")(n.get("P", int(m[1])), n.get("B", int(m[2])))),
        (
            r"two-phase-(\d+)-(\d+)-s(\d+)",
            lambda m: _reduce("two-phase")(n.get("P", int(m[1])), n.get("B", int(m[2])), n.get("S", int(m[3]))),
        ),
        (r"matvec-1pe-(\d+).*", lambda m: _matvec(int(m[1]), n)),
        (r"dsd-f32-(\d+)-(clean|conflict)", lambda m: _plain(programs.f32_operation, int(m[1]), m[2] == "conflict")),
        (r"dsd-f16-add-(\d+)", lambda m: _plain(programs.f16_addition, int(m[1]))),
        (r"fma16-(\d+)-one", lambda m: _plain(programs.fma16_once, int(m[1]))),
        (r"fma16-(\d+)-while(?:-(\d+))?", lambda m: _plain(programs.fma16_while, int(m[1]), int(m[2] or 16))),
        (r"fma16-(\d+)-map(?:-(\d+))?", lambda m: _plain(programs.fma16_map, int(m[1]), int(m[2] or 16))),
        (r"add16-and-scalar", lambda m: _plain(programs.addition_and_chain)),
        (r"message-(\d+)-send-to-link", lambda m: _plain(programs.message_to_link, int(m[1]))),
        (r"message-(\d+)-receive-done", lambda m: _plain(programs.message_received, int(m[1]))),
        (r"relay-(\d+)-(\d+)", lambda m: _plain(programs.relay, int(m[1]), int(m[2]))),
        (r"hop", lambda m: _plain(programs.hop)),
        (r"stream", lambda m: _plain(programs.stream)),
        (r"copy-f16", lambda m: _plain(programs.f16_copy_rate)),
        (r"fma-f16", lambda m: _plain(programs.f16_fma_rate)),
        (r"summa-(\d+)x\d+-(\d+)", lambda m: _plain(programs.summa_compute, int(m[1]), int(m[2]), int(m[2]), int(m[2]))),
    ]
    for pattern, make in rules:
        if match := re.fullmatch(pattern, point.id):
            return make(match)
    known = ", ".join(pattern for pattern, _ in rules)
    raise ConfigError(f"point {point.id!r}: no program has this name; ids follow {known}")
