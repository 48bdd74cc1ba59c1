"""Sweeps: one command over a grid of options, on Dask workers, into one table.

    spec = load("spec.toml")
    with cluster(workers=4) as client:
        outcome = run(spec, "results", execute, client)

A specification in TOML:

    command = ["run", "gemm"]          # any command that prints JSON with --json
    options = { grid = "8x8" }         # the same for all points
    grid = { M = [16, 32, 64], seed = [0, 1, 2] }     # all combinations
    cases = [ { K = 16, N = 32 }, { K = 32, N = 16 } ]  # options that go together; each with all of the grid
    plot = { x = "M", y = "cycles", by = "case" }

What is finished is written at once, a line of JSON a point, so that whatever ends the sweep, the next call goes on
where it was.  A point is known by its command line and the version of the package.
"""

from __future__ import annotations

import fcntl
import hashlib
import itertools
import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from . import files
from ._version import __version__
from .errors import ConfigError, did_you_mean
from .machine.digest import tables_digest
from .records import dataclass
from .schema import read_toml

if TYPE_CHECKING:
    from distributed import Client

LINES, TABLE = "points.jsonl", "table.parquet"
NAMES = ("n", "name", "id", "model", "kernel")  # what tells the tables of a list in a result apart
KEYS = ("command", "options", "grid", "cases", "plot")
PLOT_KEYS = ("x", "y", "by", "log")
LARGEST = 1_000_000  # points
AHEAD = 2  # points given out per worker, so that none waits for the next


@dataclass(frozen=True)
class Point:
    """A configuration.  values: of the options that vary, by name; arguments: the command line, without the program."""

    number: int
    values: dict[str, Any] = field(hash=False)
    arguments: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """The same for the same command line, version of the package and tables of the machine."""
        return hashlib.sha256(json.dumps([__version__, tables_digest(), *self.arguments]).encode()).hexdigest()[:24]


@dataclass(frozen=True)
class Spec:
    """A grid of configurations of a command; see the head of this module.  ConfigError for what cannot be one."""

    command: tuple[str, ...]
    options: dict[str, Any] = field(default_factory=dict)
    grid: dict[str, list[Any]] = field(default_factory=dict)
    cases: list[dict[str, Any]] = field(default_factory=list)
    plot: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.command or not all(isinstance(word, str) for word in self.command):
            raise ConfigError('command is a list of words, such as ["run", "gemm"]')
        for name, values in self.grid.items():
            if not isinstance(values, list) or not values:
                raise ConfigError(f"grid.{name} is a list of values, not {values!r}")
        for case in self.cases:
            if not isinstance(case, dict) or not case:
                raise ConfigError(f"a case is a table of options, not {case!r}")
        for name in self.plot:
            if name not in PLOT_KEYS:
                raise ConfigError(f"there is no plot.{name}: {did_you_mean(name, PLOT_KEYS)}")
        named = [set(self.options), set(self.grid), set().union(*self.cases)]
        for one, other in itertools.combinations(named, 2):
            if one & other:
                raise ConfigError(f"{min(one & other)} stands in two of options, grid and cases")
        if self.size > LARGEST:
            raise ConfigError(f"the grid has {self.size:,} points; a sweep has at most {LARGEST:,}")

    @property
    def size(self) -> int:
        """Number of points."""
        size = max(1, len(self.cases))
        for values in self.grid.values():
            size *= len(values)
        return size

    def points(self) -> Iterator[Point]:
        """All points: cases slowest, then the grid's options in their order, the last one fastest."""
        number = 0
        for case_number in range(max(1, len(self.cases))):
            for combination in itertools.product(*self.grid.values()):
                yield self.point(number, case_number, dict(zip(self.grid, combination, strict=True)))
                number += 1

    def samples(self) -> Iterator[Point]:
        """Some points, in which each case and each value of each option of the grid occurs."""
        first = {name: values[0] for name, values in self.grid.items()}
        for case_number in range(max(1, len(self.cases))):
            yield self.point(0, case_number, first)
        for name, values in self.grid.items():
            for value in values[1:]:
                yield self.point(0, 0, first | {name: value})

    def point(self, number: int, case_number: int, values: dict[str, Any]) -> Point:
        """The point of a case and values of the grid."""
        case = self.cases[case_number] if self.cases else {}
        words = [*self.command, *_words(self.options | case | values), "--json"]
        shown = ({"case": case_number} if self.cases else {}) | case | values
        return Point(number, shown, tuple(words))


def load(path: Path | str) -> Spec:
    """A specification from a TOML file."""
    table = read_toml(path, "specification")
    for key in table:
        if key not in KEYS:
            raise ConfigError(f"specification {path} has an unknown key {key!r}: {did_you_mean(key, KEYS)}")
    if not isinstance(table.get("command"), list):
        raise ConfigError(f'specification {path} has no command, such as command = ["run", "gemm"]')
    for key, kind in (("options", dict), ("grid", dict), ("cases", list), ("plot", dict)):
        if not isinstance(table.get(key, kind()), kind):
            raise ConfigError(f"specification {path}: {key} is a {'table' if kind is dict else 'list of tables'}")
    try:
        return Spec(tuple(table.pop("command")), **table)
    except ConfigError as error:
        raise ConfigError(f"specification {path}: {error}") from None


def _words(options: dict[str, Any]) -> Iterator[str]:
    """Options as a command line has them: M = 16 is -M 16, dry_run = true is --dry-run, false --no-dry-run, a list is
    the option several times."""
    for name, value in options.items():
        flag = f"-{name}" if len(name) == 1 else f"--{name.replace('_', '-')}"
        if value is True:
            yield flag
        elif value is False:
            yield f"--no-{flag[2:]}"
        else:
            for one in value if isinstance(value, list) else [value]:
                if isinstance(one, dict):
                    raise ConfigError(f"{name} is a table, which no option is")
                yield from (flag, str(one))


@dataclass
class Outcome:
    """Of a sweep.  rows: one for each finished point, in the points' order; ended: "done" or "interrupted"."""

    spec: Spec
    rows: list[dict[str, Any]]
    new: int
    failed: int
    ended: str
    total: int


# execute(arguments) -> (exit status, what was printed, what was complained about): runs in a worker process.
Execute = Callable[[Sequence[str]], tuple[int, str, str]]


def run(
    spec: Spec,
    directory: Path | str,
    execute: Execute,
    client: Client,
    progress: Callable[[int, int, int], Any] = lambda done, total, failed: None,
    again: bool = False,
) -> Outcome:
    """Does the points of a specification that are not finished, on the cluster's workers; results go to `directory`.

    execute: a function of a module, which workers import.  again: failed points are done again.  progress: called with
    points finished, points in all, and how many of them failed.  A point whose worker dies goes to another one; after
    four deaths it is done at the end, with no other point beside it, because any point of a worker that dies may be
    the cause.  If its workers die again, it has failed.  A KeyboardInterrupt passes through with the Outcome of the
    points that are finished as its `outcome`.  ConfigError if another process sweeps into the directory.
    """
    from distributed import KilledWorker, as_completed

    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    with _locked(directory / LINES) as file:
        known = _finished(file)
        if again:
            known = {key: row for key, row in known.items() if row["status"] == "done"}
        points = list(spec.points())
        left = iter([point for point in points if point.key not in known])
        found: dict[str, dict[str, Any]] = {point.key: known[point.key] for point in points if point.key in known}
        before = len(found)
        failed = sum(row["status"] != "done" for row in found.values())
        progress(before, len(points), failed)
        workers = max(1, len(client.nthreads()))

        def submit(point: Point, alone: bool = False) -> Any:
            key = f"point-{point.key}" + "-alone" * alone
            future = client.submit(_timed, execute, point.arguments, key=key, pure=False)
            waiting[str(future.key)] = point
            return future

        def keep(point: Point, future: Any) -> None:
            nonlocal failed
            row = _row(point, future)
            file.write(json.dumps(row) + "\n")
            file.flush()
            found[point.key] = row
            failed += row["status"] != "done"
            progress(len(found), len(points), failed)

        def outcome(ended: str) -> Outcome:
            rows = [found[point.key] for point in points if point.key in found]
            return Outcome(spec, rows, len(found) - before, failed, ended, len(points))

        waiting: dict[str, Point] = {}
        suspects: list[Point] = []
        running = as_completed([submit(point) for point in itertools.islice(left, AHEAD * workers)])
        try:
            for future in running:
                point = waiting.pop(str(future.key))
                if isinstance(future.exception(), KilledWorker):
                    suspects.append(point)
                else:
                    keep(point, future)
                future.release()
                for following in itertools.islice(left, 1):
                    running.add(submit(following))
            for point in suspects:
                keep(point, submit(point, alone=True))
        except KeyboardInterrupt as interrupt:
            interrupt.outcome = outcome("interrupted")  # type: ignore[attr-defined]
            raise
        return outcome("done")


def _timed(execute: Execute, arguments: Sequence[str]) -> tuple[int, str, str, float]:
    started = time.perf_counter()
    return *execute(arguments), time.perf_counter() - started


def _row(point: Point, future: Any) -> dict[str, Any]:
    """What is kept of a point: its options, how it went, what the command printed."""
    row: dict[str, Any] = {"key": point.key, "arguments": list(point.arguments), "values": point.values}
    error = future.exception()
    if error is not None:  # its worker died again and again, or could not run it
        return row | {"status": "failed", "seconds": None, "error": f"{type(error).__name__}: {error}", "result": {}}
    status, printed, complaint, seconds = future.result()
    try:
        result = json.loads(printed) if printed.strip() else {}
    except ValueError:
        status, complaint, result = status or 1, complaint or f"the command printed no JSON: {printed[:200]!r}", {}
    if not isinstance(result, dict):
        result = {"result": result}
    done = "done" if status == 0 else "failed"
    return row | {"status": done, "seconds": seconds, "error": complaint.strip() if status else "", "result": result}


@contextmanager
def _locked(path: Path) -> Iterator[IO[str]]:
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ConfigError(f"another sweep writes to {path.parent}: give this one another directory") from None
        yield file


def _finished(file: IO[str]) -> dict[str, dict[str, Any]]:
    """Rows by key, of a repeated one the last.  A line that was cut off by the end of its process is none, and is taken
    away, so that the next one begins at a line's begin."""
    rows = {}
    file.seek(0)
    text = file.read()
    whole = text.rfind("\n") + 1
    if whole < len(text):
        file.truncate(len(text[:whole].encode()))
    for number, line in enumerate(text[:whole].splitlines(), 1):
        try:
            row = json.loads(line)
            rows[row["key"]] = row
        except (ValueError, KeyError, TypeError):
            raise ConfigError(f"line {number} of {file.name} is no point of a sweep: remove it") from None
    return rows


# --- the table --------------------------------------------------------------------------------------------------------


def columns(rows: Sequence[dict[str, Any]]) -> dict[str, list[Any]]:
    """Columns by name, a value a row, None where a row has none: options, status, point_seconds (the wall time of the
    point), error, and the command's results, nested ones with dots (stalls.idle), those of a list of tables with the
    number or name of each (systems.16.step_seconds).  A result of an option's name gets the prefix "result."."""
    flat = []
    for row in rows:
        line = dict(row["values"])
        line |= {"status": row["status"], "point_seconds": row["seconds"], "error": row["error"]}
        for name, value in _flat(row["result"]):
            line[f"result.{name}" if name in line else name] = value
        flat.append(line)
    names = dict.fromkeys(name for line in flat for name in line)
    return {name: [line.get(name) for line in flat] for name in names}


def _flat(table: dict[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in table.items():
        if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
            value = _named(value)
        if isinstance(value, dict):
            yield from _flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value


def _named(tables: list[dict[str, Any]]) -> dict[str, Any]:
    """Tables by the first of NAMES that tells them apart, or by their place from 0."""
    for name in NAMES:
        found = {str(table[name]): table for table in tables if isinstance(table.get(name), str | int)}
        if len(found) == len(tables):
            return found
    return {str(place): table for place, table in enumerate(tables)}


def write(rows: Sequence[dict[str, Any]], path: Path | str) -> None:
    """The table as a Parquet file, replaced as a whole.  Values of a column that have no type in common become JSON."""
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise ConfigError(f"a Parquet table needs {error.name}: pip install 'wse[sweep]'") from None
    arrays = {}
    for name, values in columns(rows).items():
        try:
            arrays[name] = pa.array(values)
        except (pa.ArrowInvalid, pa.ArrowTypeError):
            arrays[name] = pa.array([None if value is None else json.dumps(value) for value in values])
    with files.replacing(path) as file:
        parquet.write_table(pa.table(arrays), file, compression="zstd")


@dataclass(frozen=True)
class Lines:
    """What a plot of a sweep shows: by label, (x, middle, least, most) of y over all points of that x."""

    x: str
    y: str
    by: str
    lines: dict[str, list[tuple[float, float, float, float]]]
    log: str

    @property
    def spread(self) -> bool:
        """Whether some place has several points that differ."""
        return any(least != most for points in self.lines.values() for _, _, least, most in points)


def lines(spec: Spec, rows: Sequence[dict[str, Any]]) -> Lines | None:
    """The lines to draw by the specification's `plot`; None if there is nothing to draw.

    Defaults: x is the numeric option with the most values; y is cycles, or else the first numeric result that varies;
    `by` is the next option.  Raises ConfigError for an unknown column.
    """
    table = columns([row for row in rows if row["status"] == "done"])
    varied = [name for name in table if any(name in row["values"] for row in rows)]
    numeric = {
        name
        for name, values in table.items()
        if all(_number(v) or v is None for v in values) and any(map(_number, values))
    }

    def distinct(name: str) -> int:
        return len({json.dumps(value) for value in table[name] if value is not None})

    x = spec.plot.get("x") or max((n for n in varied if n in numeric), key=distinct, default=None)
    results = [n for n in table if n in numeric and n not in varied]
    y = spec.plot.get("y") or ("cycles" if "cycles" in results else next((n for n in results if distinct(n) > 1), None))
    if x is None or y is None or not table:
        return None
    by = spec.plot.get("by", next((n for n in varied if n != x and distinct(n) > 1), ""))
    for name in (x, y, *([by] if by else [])):
        if name not in table:
            raise ConfigError(f"plot: no point has {name}; there are {', '.join(table)}")
    for name in (x, y):
        if name not in numeric:
            raise ConfigError(f"plot: {name} is not a number in all points")
    groups: dict[str, dict[float, list[float]]] = {}
    for at, value, label in zip(table[x], table[y], table[by] if by else [""] * len(table[x]), strict=True):
        if at is not None and value is not None:
            name = f"{by} = {label}" if by else y
            groups.setdefault(name, {}).setdefault(float(at), []).append(float(value))
    made = {
        label: [(at, sum(v) / len(v), min(v), max(v)) for at, v in sorted(group.items())]
        for label, group in groups.items()
    }
    return Lines(x, y, by, made, str(spec.plot.get("log", "")))


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
