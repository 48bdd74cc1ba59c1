"""Published programs compiled from CSL: the code that users have, against published cycles.

compiled.csv in this folder has a row for each program: where its CSL is, the arguments of cslc, the host program and
its arguments, the figure that the host program prints, and the published value.  The CSL of others is not part of the
package: it is looked for in folders of sources (`wse validate --sources DIR`, with one folder for each repository).
The folder `sources` of this package has programs of our own, for publications that describe their code but do not
publish it.  A program is copied, compiled and run in a temporary folder, as its authors' scripts do it.

    class    what takes the time: vector (operations over descriptors), wavelets, scalar, host windows (launches
             between the timestamps)
    role     calibration: figures of the machine were determined with it; check: they were not
    beside   id of the point in calibration.csv or further.csv that runs the same program instruction by instruction
"""

from __future__ import annotations

import csv
import fnmatch
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ..errors import ConfigError, WseError
from ..records import dataclass
from .points import FURTHER, TABLE, Point, quantiles, read

PROGRAMS = Path(__file__).with_name("compiled.csv")
OWN = Path(__file__).with_name("sources")
CLASSES = ("vector", "wavelets", "scalar", "host windows")
ROLES = ("calibration", "check")
COLUMNS = ("id", "arch", "class", "role", "folder", "compile", "run", "figure", "cycles", "beside", "source")
SECONDS = 600  # that a compilation or a host program may take


@dataclass(frozen=True)
class Compiled:
    """A row of the table.  figure: a regular expression whose group is the number in what `run` prints."""

    id: str
    arch: str
    kind: str
    role: str
    folder: str
    compile: str
    run: str
    figure: str
    published: float
    beside: str
    source: str


@dataclass(frozen=True)
class Result:
    """What came of a program.  emulated: None if there is no figure, because of `trouble`.

    trouble: "" if the program was found, compiled, ran and passed its own check.
    machine_only: the error in percent of the point beside it; None if there is no such point.
    """

    program: Compiled
    emulated: float | None
    trouble: str = ""
    missing: bool = False
    machine_only: float | None = None

    @property
    def error_pct(self) -> float:
        """(emulated - published) / published, in percent."""
        assert self.emulated is not None
        return 100 * (self.emulated - self.program.published) / self.program.published


def programs(path: Path = PROGRAMS) -> list[Compiled]:
    """The rows of a table.  Raises ConfigError with the line of an invalid row."""
    rows = csv.DictReader(path.read_text(encoding="utf-8").splitlines(), skipinitialspace=True)
    if missing := [name for name in COLUMNS if name not in (rows.fieldnames or ())]:
        raise ConfigError(f"{path} has no column {', '.join(missing)}; its columns are {', '.join(COLUMNS)}")
    return [_row(f"{path}, line {rows.line_num}", row) for row in rows]


def _row(where: str, row: Mapping[str, str | None]) -> Compiled:
    cells = {name: (row[name] or "").strip() for name in COLUMNS}
    for name, known in (("arch", ("wse2", "wse3")), ("class", CLASSES), ("role", ROLES)):
        if cells[name] not in known:
            raise ConfigError(f"{where}: {name} is {cells[name]!r}, but must be one of {', '.join(known)}")
    try:
        groups, published = re.compile(cells["figure"]).groups, float(cells["cycles"])
    except (re.error, ValueError) as error:
        raise ConfigError(f"{where}: {error}") from None
    if groups != 1 or published <= 0:
        raise ConfigError(f"{where}: figure must have one group, and cycles must be above 0")
    if empty := [name for name in ("id", "folder", "compile", "run", "source") if not cells[name]]:
        raise ConfigError(f"{where}: {', '.join(empty)} must not be empty")
    kind = cells.pop("class")
    del cells["cycles"]
    return Compiled(**cells, kind=kind, published=published)


def select(rows: Iterable[Compiled], pattern: str) -> list[Compiled]:
    """The programs whose id, arch/id or class/id matches a shell pattern.  Raises ConfigError if none does."""
    rows = list(rows)
    chosen = [
        row
        for row in rows
        if any(fnmatch.fnmatchcase(name, pattern) for name in (row.id, f"{row.arch}/{row.id}", f"{row.kind}/{row.id}"))
    ]
    if not chosen:
        raise ConfigError(f"no program matches {pattern!r}: there are {', '.join(row.id for row in rows)}")
    return chosen


def find(folder: str, sources: Path | None) -> Path | None:
    """The repository that has the folder of a program: this package, `sources`, or a folder of `sources`."""
    roots = [OWN]
    if sources is not None:
        roots += [sources, *sorted(path for path in sources.iterdir() if path.is_dir())]
    return next((root for root in roots if (root / folder).is_dir()), None)


def copied(root: Path, folder: str, to: Path) -> Path:
    """A copy of a repository's folder, at the same place in a tree of links to the rest of the repository."""
    for part in Path(folder).parts:
        to.mkdir()
        for other in root.iterdir():
            if other.name != part:
                (to / other.name).symlink_to(other.resolve())
        root, to = root / part, to / part
    shutil.copytree(root, to)
    return to


def compare(
    rows: Iterable[Compiled],
    sources: Path | None,
    threads: int = 1,
    report: Callable[[str], None] | None = None,
) -> Iterator[Result]:
    """Compile and run programs, `threads` at a time; yields their results in order.

    report: called with a short description of each.
    """
    if sources is not None and not sources.is_dir():
        raise ConfigError(f"--sources {sources} is not a folder")
    rows = list(rows)
    points = {(p.arch, p.id): p for table in (TABLE, FURTHER) for p in read(table) if p.target == "simulator"}

    def one(numbered: tuple[int, Compiled]) -> Result:
        i, row = numbered
        if report is not None:
            report(f"{i + 1}/{len(rows)} {row.id}")
        return _one(row, find(row.folder, sources), points.get((row.arch, row.beside)))

    with ThreadPoolExecutor(max(1, threads)) as pool:
        yield from pool.map(one, enumerate(rows))


def _one(row: Compiled, root: Path | None, point: Point | None) -> Result:
    beside = None
    if point is not None:
        try:
            beside = 100 * (point.emulate() - point.published) / point.published
        except WseError as error:
            return Result(row, None, f"point {point.id}: {error}")
    if root is None:
        return Result(row, None, f"no folder {row.folder}", missing=True, machine_only=beside)
    with Work(row, root) as work:
        emulated, trouble = work.run()
    return Result(row, emulated, trouble, machine_only=beside)


class Work:
    """A program compiled in a folder of its own, which is removed in the end.  root: the repository that has it."""

    def __init__(self, row: Compiled, root: Path):
        self.row = row
        self._made = tempfile.TemporaryDirectory(prefix="wse-validate-")
        self._folder = copied(root, row.folder, Path(self._made.name) / "sources")
        compiled = _command(self._folder, "wse.cli.cslc", f"{row.compile} --arch={row.arch} -o out")
        self._trouble = f"cslc: {_first(compiled)}" if compiled.returncode else ""

    def __enter__(self) -> Work:
        return self

    def __exit__(self, *_: object) -> None:
        self._made.cleanup()

    def run(self, changes: Mapping[str, int] | None = None) -> tuple[float | None, str]:
        """The figure that the host program prints, None if it prints none; what went wrong, "" if nothing did.

        changes: figures of the machine by name.
        """
        if self._trouble:
            return None, self._trouble
        settings = "".join(f"--set {name}={value} " for name, value in (changes or {}).items())
        ran = _command(self._folder, "wse.cli.cs_python", settings + self.row.run)
        trouble = f"host program: {_last(ran)}" if ran.returncode else ""
        numbers = re.findall(self.row.figure, ran.stdout)
        if not numbers:
            return None, trouble or f"the host program printed nothing that matches {self.row.figure}"
        return float(numbers[-1]), trouble


def _command(work: Path, module: str, arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", module, *shlex.split(arguments)]
    package = str(Path(__file__).parents[2])
    path = os.pathsep.join(part for part in (package, os.environ.get("PYTHONPATH", "")) if part)
    try:
        return subprocess.run(
            command, cwd=work, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, timeout=SECONDS
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 1, "", f"no end after {SECONDS} s")


def _first(done: subprocess.CompletedProcess[str]) -> str:
    return next((line.strip() for line in (done.stderr + done.stdout).splitlines() if line.strip()), "no message")


def _last(done: subprocess.CompletedProcess[str]) -> str:
    """The line with the error of a Python program: the first after the last traceback, else the last."""
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    traces = [i for i, line in enumerate(lines) if line.startswith("Traceback")]
    after = [line for line in lines[traces[-1] + 1 :] if not line.startswith(" ")] if traces else []
    return (after or lines[-1:] or [f"status {done.returncode}"])[0].strip()


def summary(results: Iterable[Result]) -> dict[str, float | int]:
    """Number of programs with a figure, and median, 90th percentile and maximum of their absolute errors."""
    return quantiles([abs(r.error_pct) for r in results if r.emulated is not None])
