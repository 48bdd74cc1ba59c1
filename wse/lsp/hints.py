"""Inlay hints: the value of each param, and the cycles of each line in the last profile.

A profile belongs to a compilation.  Its lines are those of the text that was compiled: when the text changes, the hints
of unchanged lines move with them, and a changed line has none.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import field
from difflib import SequenceMatcher
from pathlib import Path

from ..csl import profile
from ..csl.artifact import Artifact
from ..errors import WseError
from ..records import dataclass
from .hover import given_by
from .project import Project, is_named
from .view import View, known_value

log = logging.getLogger(__name__)


@dataclass(eq=False)
class Hint:
    """offset: behind what it is said of.  words: Markdown."""

    offset: int
    label: str
    words: str
    is_cycles: bool = False


@dataclass(eq=False)
class Cycles:
    """Cycles of a line: averages over the PEs that have the file, and a line of words for each class of PEs."""

    cycles: float = 0.0
    share: float = 0.0
    classes: list[str] = field(default_factory=list)


@dataclass(eq=False)
class Measured:
    """The lines of a file with cycles, and the text that was compiled."""

    text: list[str]
    lines: dict[int, Cycles]


class Profiles:
    """Profiles beside layouts.  They are read again when they are written again."""

    def __init__(self, project: Project):
        self.project = project
        self._read: dict[Path, tuple[int, dict[Path, Measured]]] = {}

    def of(self, path: Path, layout: Path) -> Measured | None:
        """What the last profile of a layout's program says of a file."""
        found = self.folder(layout)
        if found is None:
            return None
        version = (found / profile.FILE).stat().st_mtime_ns
        known = self._read.get(found)
        if known is None or known[0] != version:
            known = self._read[found] = version, dict(read(found, layout))
        return known[1].get(path)

    def folder(self, layout: Path) -> Path | None:
        """The folder with the newest profile: the one of the settings, or beside the layout."""
        given = self.project.settings.get("profile")
        if isinstance(given, str) and given:
            chosen = self.project.root_of(layout) / given
            return chosen if (chosen / profile.FILE).is_file() else None
        newest = self.project.outputs(layout, profile.FILE)
        return newest[0].parent if newest else None


def read(folder: Path, layout: Path) -> Iterator[tuple[Path, Measured]]:
    """The files of a profile with their cycles.  A file that was written after it was compiled has none."""
    try:
        classes, artifact = profile.load(folder), Artifact.load(folder)
        compiled = (folder / "out.json").stat().st_mtime_ns
    except (WseError, OSError) as error:
        log.info("%s", error)
        return
    if not is_named(layout, artifact.file, folder.parent):
        return
    for name in {line.file for one in classes for line in one.lines if line.file}:
        places = (folder.parent / name, layout.parent / Path(name).name, Path(name))
        path = next((place for place in places if place.is_file()), None)
        if path is None or path.stat().st_mtime_ns > compiled:
            log.info("%s has changed since the profile in %s", name, folder)
            continue
        yield path.resolve(), Measured(path.read_text(errors="replace").splitlines(), lines_of(classes, name))


def lines_of(classes: list[profile.ClassProfile], file: str) -> dict[int, Cycles]:
    """Cycles by line of a file, averages over the PEs of the classes that run it."""
    found: dict[int, Cycles] = {}
    running = [one for one in classes if any(line.file == file for line in one.lines)]
    pes = sum(one.pes for one in running)
    for one in running:
        by_line: dict[int, list[profile.Line]] = {}
        for line in one.lines:
            if line.file == file and line.cycles:
                by_line.setdefault(line.line, []).append(line)
        for number, lines in by_line.items():
            made = found.setdefault(number, Cycles())
            cycles, share = sum(line.cycles for line in lines), sum(line.share for line in lines)
            times = max(line.times for line in lines)
            causes: dict[str, float] = {}
            for line in lines:
                for cause, count in line.causes.items():
                    causes[cause] = causes.get(cause, 0.0) + count
            made.cycles += cycles * one.pes / pes
            made.share += share * one.pes / pes
            said = ", ".join(
                f"{cause} {count:,.1f}" for cause, count in sorted(causes.items(), key=lambda row: -row[1])
            )
            made.classes.append(f"{one.name}, {one.pes} PEs: {cycles:,.1f} cycles, {times:,.1f} times: {said}")
    return found


def hints(view: View, profiles: Profiles, start: int, end: int) -> list[Hint]:
    """The hints between two offsets."""
    found = [hint for hint in params(view) if start <= hint.offset <= end]
    if view.analysis is not None:
        measured = profiles.of(view.parsed.path, view.analysis.options.layout)
        if measured is not None:
            found += [hint for hint in cycles(view, measured) if start <= hint.offset <= end]
    return found


def params(view: View) -> Iterator[Hint]:
    """The values of params that the file does not give itself."""
    for one in view.parsed.names.top.values():
        if one.kind != "param" or getattr(one.node, "init", None) is not None:
            continue
        known = known_value(view.value(one))
        if known is not None and len(known) < 40:
            yield Hint(one.node.span.end, f" = {known}", given_by(view, one) or "Given by the layout.")


def cycles(view: View, measured: Measured) -> Iterator[Hint]:
    """The cycles of lines, where these are in the text as it is now."""
    source = view.parsed.source
    now = [source.line(number) for number in range(1, len(source.starts) + 1)]
    matcher = SequenceMatcher(None, measured.text, now, autojunk=False)
    moved = (
        {old + i + 1: new + i + 1 for old, new, size in matcher.get_matching_blocks() for i in range(size)}
        if measured.text != now
        else {number: number for number in measured.lines}
    )
    for number, row in measured.lines.items():
        place = moved.get(number)
        if place is not None and place <= len(now):
            offset = source.starts[place - 1] + len(now[place - 1])
            label = f"  {row.cycles:,.0f} cycles, {row.share:.0%}" if row.cycles >= 0.5 else "  < 1 cycle"
            yield Hint(offset, label, "\n\n".join(row.classes), is_cycles=True)
