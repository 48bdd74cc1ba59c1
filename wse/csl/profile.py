"""Where a program spends its time: cycles by line of source and by cause, for each class of PEs.

A profile lies beside the compiled program, as profile.npz, after a run in which WSE_PROFILE was set.  Every cycle of a
PE has one cause (CAUSES, from csrc/tables/causes.def) and belongs to one line or to none: those without a task to none,
a slot of a microthread to the line that started its operation, a wait to the line that waits.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from .. import _engine, files
from ..errors import ConfigError
from ..fabric.fabric import Fabric
from ..fabric.run import CAUSES
from ..records import dataclass
from .artifact import Artifact, ClassImage

VARIABLE = "WSE_PROFILE"
FILE = "profile.npz"
WORK = ("issue", "elements", "micro")  # causes that are no stalls
IDLE = "idle"
SCALAR = ("issue", "load", "result", "offset", "branch")  # causes of scalar code outside routines
SCALAR_NOTE = (
    "most cycles are scalar code; on the vendor's simulator, loops with many values or with conditions on indices take "
    "up to a quarter longer (docs/accuracy.md)"
)
MEANINGS = {name.lower(): meaning for name, _, meaning in _engine.causes()}


def wanted() -> bool:
    """Whether the environment asks for a profile."""
    return os.environ.get(VARIABLE, "") not in ("", "0")


def save(fabric: Fabric, directory: str | Path) -> None:
    """Writes what a fabric that keeps a profile has counted, beside the program it runs."""
    arrays = {f"class{index}": counts for index, counts in enumerate(fabric.profile().values())}
    arrays["causes"] = np.array(CAUSES)
    with files.replacing(Path(directory) / FILE) as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]


@dataclass
class Line:
    """A line of source, averages over the PEs of the class.

    file: "" for what the compiler links in.  cycles: the sum of `causes`.  times: how often the line was gone through:
    as often as the instruction of it that was issued most.  share: of the class's cycles that are not idle.
    """

    file: str
    line: int
    function: str
    cycles: float
    times: float
    instructions: float
    share: float
    causes: dict[str, float]
    text: str


@dataclass
class ClassProfile:
    """A class of PEs.  cycles: of each PE, the sum of `causes`; these are the sums over `lines` and of `no_line`."""

    name: str
    file: str
    params: str
    pes: int
    cycles: float
    instructions: float
    causes: dict[str, float]
    no_line: dict[str, float]
    lines: list[Line]

    @property
    def busy(self) -> float:
        """Cycles that are not idle."""
        return self.cycles - self.causes.get(IDLE, 0.0)


def load(directory: str | Path) -> list[ClassProfile]:
    """The profile that a run left, lines with the most cycles first."""
    artifact = Artifact.load(directory)
    path = Path(directory) / FILE
    try:
        with np.load(path, allow_pickle=False) as file:
            counts = [file[f"class{index}"] for index in range(len(artifact.classes))]
            causes = tuple(file["causes"].tolist()) if "causes" in file else ()
    except (OSError, KeyError, ValueError):
        raise ConfigError(
            f"there is no profile of {directory}: run its host program with {VARIABLE}=1, "
            f"or let `wse profile {directory} run.py ...` run it"
        ) from None
    shapes = [(len(image.code) + 1, 1 + len(CAUSES)) for image in artifact.classes]
    if causes != CAUSES or [count.shape for count in counts] != shapes:
        raise ConfigError(f"{path} is of another compilation of the program, or of another version: run it again")
    profiles = []
    for index, (image, count) in enumerate(zip(artifact.classes, counts, strict=True)):
        pes = int((artifact.class_of == index).sum())
        if pes:
            profiles.append(_of_class(artifact, image, count / pes, pes))
    return profiles


def _of_class(artifact: Artifact, image: ClassImage, count: np.ndarray, pes: int) -> ClassProfile:
    """count: times and cycles by cause of each instruction, the last row of none, for one PE."""
    total = count.sum(axis=0)
    busy = float(total[1:].sum() - total[1 + CAUSES.index(IDLE)])
    cache: dict[int, list[str]] = {}
    lines = []
    for (file, number, function), rows in _by_line(image, count).items():
        of_line = count[rows]
        causes = named(of_line.sum(axis=0)[1:])
        cycles = sum(causes.values())
        lines.append(
            Line(
                *(artifact.files[file] if file >= 0 else "", number),
                artifact.function_names[function] if function >= 0 else "",
                *(cycles, float(of_line[:, 0].max()), float(of_line[:, 0].sum()), cycles / busy if busy else 0.0),
                *(causes, artifact.source_line(cache, file, number) if file >= 0 else ""),
            )
        )
    lines.sort(key=lambda row: (-row.cycles, row.file, row.line))
    return ClassProfile(
        *(image.name, image.file, image.params, pes, float(total[1:].sum()), float(total[0])),
        *(named(total[1:]), named(count[-1, 1:]), lines),
    )


def named(cycles: np.ndarray) -> dict[str, float]:
    """Cycles by cause, of those that there are."""
    return {name: float(value) for name, value in zip(CAUSES, cycles, strict=True) if value}


def _by_line(image: ClassImage, count: np.ndarray) -> dict[tuple[int, int, int], list[int]]:
    """The instructions that ran, by file, line and function."""
    groups: dict[tuple[int, int, int], list[int]] = {}
    for pc in np.flatnonzero(count[:-1].any(axis=1)).tolist():
        file, line, _, function = image.lines[pc].tolist()
        groups.setdefault((file, line, function), []).append(pc)
    return groups


def text(profiles: list[ClassProfile], most: int = 20) -> str:
    """The profile for people: of each class the lines with the most cycles."""
    parts: list[str] = []
    for p in sorted(profiles, key=lambda p: -p.busy * p.pes):
        parts += _class_text(p, most)
    if any(sum(p.causes.get(cause, 0) for cause in SCALAR) > p.busy / 2 for p in profiles):
        parts.append(f"note: {SCALAR_NOTE}")
    return "\n".join(parts) + "\n" if parts else "nothing ran\n"


def _class_text(p: ClassProfile, most: int) -> list[str]:
    parts = [
        f"{p.name}: {p.busy:,.0f} cycles a PE, {p.pes} PE{'s' if p.pes > 1 else ''}, "
        f"{p.causes.get(IDLE, 0):,.0f} more idle  {p.params}".rstrip()
    ]
    for cause, cycles in sorted(p.causes.items(), key=lambda item: -item[1]):
        if cause != IDLE:
            parts.append(f"  {cycles / p.busy:6.1%} {cycles:12,.1f}  {cause:8}  {MEANINGS[cause]}")
    if p.lines and not any(row.file for row in p.lines):
        return [*parts, "  no lines: the program was compiled with -g0"]
    rows = [row for row in p.lines if row.cycles][:most]
    places = [place(row.file, row.line) for row in rows]
    width = max((len(name) for name in places), default=0)
    parts.append(f"  {'share':>6} {'cycles':>12} {'times':>10}   {'line':{width}}  source; stalls in cycles")
    for row, where in zip(rows, places, strict=True):
        parts.append(
            f"  {row.share:6.1%} {row.cycles:12,.1f} {row.times:10,.1f} x {where:{width}}  {row.text}".rstrip()
        )
        if words := stalls(row.causes):
            parts.append(f"{'':33} {'':{width}}    {words}")
    if len(p.lines) > len(rows):
        parts.append(f"  and {len(p.lines) - len(rows)} more lines")
    return parts


def place(file: str, line: int) -> str:
    """Where a line stands, in short."""
    return f"{Path(file).name}:{line}" if file else "(linked in)"


def stalls(causes: dict[str, float]) -> str:
    """The stalls of a line, most first: `branch 497, dsr 2`."""
    found: Iterable[tuple[str, float]] = sorted(causes.items(), key=lambda item: -item[1])
    return ", ".join(f"{cause} {cycles:,.{0 if cycles >= 10 else 1}f}" for cause, cycles in found if cause not in WORK)
