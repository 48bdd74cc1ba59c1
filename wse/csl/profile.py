"""Where a program spends its time: cycles per line of source and class of PEs.

A profile lies beside the compiled program, as profile.npz, after a run in which WSE_PROFILE was set.  Cycles are
those of the main thread: from the issue of an instruction to the issue of the next one, so that a synchronous
operation counts with all its elements, and a wait with what waits.  Time in which no task runs is not in it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .. import files
from ..errors import ConfigError
from ..fabric.fabric import Fabric
from .artifact import Artifact, ClassImage
from .emit import source_line

VARIABLE = "WSE_PROFILE"
FILE = "profile.npz"


def wanted() -> bool:
    """Whether the environment asks for a profile."""
    return os.environ.get(VARIABLE, "") not in ("", "0")


def save(fabric: Fabric, directory: str | Path) -> None:
    """Writes what a fabric that keeps a profile has counted, beside the program it runs."""
    profile = fabric.profile()
    arrays = {f"class{index}": counts for index, counts in enumerate(profile.values())}
    with files.replacing(Path(directory) / FILE) as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]


@dataclass
class Line:
    """cycles and times per PE of the class, on average; share: of the cycles of the class."""

    file: str
    line: int
    function: str
    cycles: float
    times: float
    share: float
    text: str


@dataclass
class ClassProfile:
    name: str
    file: str
    params: str
    pes: int
    cycles: float  # per PE
    lines: list[Line]


def load(directory: str | Path) -> list[ClassProfile]:
    """The profile that a run left, lines with the most cycles first."""
    artifact = Artifact.load(directory)
    path = Path(directory) / FILE
    try:
        with np.load(path, allow_pickle=False) as file:
            counts = [file[f"class{index}"] for index in range(len(artifact.classes))]
    except (OSError, KeyError, ValueError):
        raise ConfigError(
            f"there is no profile of {directory}: run its host program with {VARIABLE}=1, "
            f"or let `wse profile {directory} run.py ...` run it"
        ) from None
    profiles = []
    for index, (image, count) in enumerate(zip(artifact.classes, counts, strict=True)):
        pes = int((artifact.class_of == index).sum())
        if len(count) != len(image.code):
            raise ConfigError(f"{path} is of another compilation of the program: run it again")
        if pes:
            profiles.append(_of_class(artifact, image, count, pes))
    return profiles


def _of_class(artifact: Artifact, image: ClassImage, count: np.ndarray, pes: int) -> ClassProfile:
    total = float(count[:, 0].sum()) / pes
    cache: dict[int, list[str]] = {}
    lines = []
    for (file, number, function), (cycles, times) in _by_line(image, count):
        name = artifact.files[file] if file >= 0 else ""
        lines.append(
            Line(
                *(name, number, artifact.function_names[function] if function >= 0 else ""),
                *(cycles / pes, times / pes, cycles / pes / total if total else 0.0),
                _text(artifact, cache, file, number),
            )
        )
    lines.sort(key=lambda row: (-row.cycles, row.file, row.line))
    return ClassProfile(image.name, image.file, image.params, pes, total, lines)


def _by_line(image: ClassImage, count: np.ndarray) -> Iterator[tuple[tuple[int, int, int], tuple[float, float]]]:
    """Cycles, and how often a line was gone through: as often as the instruction of it that ran most."""
    keys = image.lines[:, [0, 1, 3]]
    groups: dict[tuple[int, int, int], tuple[float, float]] = {}
    for key, (cycles, times) in zip(map(tuple, keys.tolist()), count.tolist(), strict=True):
        if times:
            before = groups.get(key, (0.0, 0.0))
            groups[key] = (before[0] + cycles, max(before[1], times))
    yield from groups.items()


def _text(artifact: Artifact, cache: dict[int, list[str]], file: int, line: int) -> str:
    return source_line(artifact, cache, file, line) if file >= 0 else ""


def text(profiles: list[ClassProfile], most: int = 20) -> str:
    """The profile for people: of each class the lines with the most cycles."""
    parts = []
    for p in sorted(profiles, key=lambda p: -p.cycles * p.pes):
        parts.append(
            f"{p.name}: {p.cycles:,.0f} cycles a PE, {p.pes} PE{'s' if p.pes > 1 else ''}  {p.params}".rstrip()
        )
        rows = [row for row in p.lines if row.cycles][:most]
        places = [f"{Path(row.file).name}:{row.line}" if row.file else "(linked in)" for row in rows]
        width = max((len(place) for place in places), default=0)
        for row, place in zip(rows, places, strict=True):
            parts.append(
                f"  {row.share:6.1%} {row.cycles:12,.1f} {row.times:10,.1f} x  {place:{width}}  {row.text}".rstrip()
            )
        if len(p.lines) > len(rows):
            parts.append(f"  and {len(p.lines) - len(rows)} more lines")
    return "\n".join(parts) + "\n" if parts else "nothing ran\n"
