"""Lines: the places of instructions in the source, and the instructions of a place in the source."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .. import _engine
from ..csl.artifact import Artifact, ClassImage
from ..errors import ConfigError, did_you_mean


class Where(NamedTuple):
    """The place of an instruction.  file: index of Artifact.files, -1 for code that the compiler adds; line: from 1."""

    file: int
    line: int
    column: int
    function: str


class Location(NamedTuple):
    """A place in the source.

    - name: its name in messages.
    - starts: by class, the instructions at which it starts.  whole: by class, all of its instructions.
    - file, line: of a line; -1, 0 for a function or an instruction.
    """

    name: str
    starts: dict[int, list[int]]
    whole: dict[int, list[int]]
    file: int = -1
    line: int = 0


class Lines:
    """The source of an artifact.  folders: where its files are searched, in this order, after the current folder."""

    def __init__(self, artifact: Artifact, folders: Iterable[Path] = ()):
        self.artifact = artifact
        self.folders = [Path(), *folders]
        self._texts: dict[int, list[str]] = {}

    def where(self, index: int, pc: int) -> Where:
        """The place of instruction `pc` of a class."""
        lines = self.artifact.classes[index].lines
        if not 0 <= pc < len(lines):
            return Where(-1, 0, 0, "")
        file, line, column, function = (int(value) for value in lines[pc])
        return Where(
            file, max(line, 0), max(column, 0), self.artifact.function_names[function] if function >= 0 else ""
        )

    def describe(self, where: Where, pc: int) -> str:
        """`pe.csl:12 in compute`, or `instruction 12` for what has no line."""
        within = f" in {where.function}" if where.function else ""
        return (f"{self.name(where.file)}:{where.line}" if where.file >= 0 else f"instruction {pc}") + within

    def name(self, file: int) -> str:
        """A file's name; with its folder only if another file has the same name."""
        files = self.artifact.files
        short = Path(files[file]).name
        return short if sum(Path(other).name == short for other in files) == 1 else files[file]

    def path(self, file: int) -> Path | None:
        """The path of a file, searched by its path and by its name alone; None if it is not found."""
        name = Path(self.artifact.files[file])
        tried = [folder / part for part in (name, name.name) for folder in self.folders]
        return next((path.resolve() for path in tried if path.is_file()), None)

    def text(self, file: int) -> list[str]:
        """The lines of a file; [] if it is not found."""
        if file not in self._texts:
            path = self.path(file)
            try:
                self._texts[file] = path.read_text(errors="replace").splitlines() if path else []
            except OSError:
                self._texts[file] = []
        return self._texts[file]

    def line(self, file: int, number: int) -> str:
        """A line of a file; "" if there is none."""
        text = self.text(file) if file >= 0 else []
        return text[number - 1] if 0 < number <= len(text) else ""

    def has_code(self, file: int) -> list[int]:
        """The lines of a file that have instructions in any class."""
        found: set[int] = set()
        for image in self.artifact.classes:
            found |= set(image.lines[image.lines[:, 0] == file, 1].tolist())
        return sorted(found - {0, -1})

    # Places.

    def find(self, text: str, near: Where | None = None) -> Location:
        """The place that a command names: `pe.csl:12`, `12` (of the file of `near`), `compute`, `*40`.

        A line without code means the next line with code.  ConfigError if there is no such place.
        """
        text = text.strip()
        if text.startswith("*"):
            return self._instruction(text)
        name, colon, number = text.rpartition(":")
        if colon and number.strip().isdecimal():
            return self.at_line(self._file(name.strip()), int(number))
        if text.isdecimal():
            return self.at_line(self._default_file(near), int(text))
        return self._function(text)

    def at_line(self, file: int, line: int) -> Location:
        """The first line of a file from `line` on that has code."""
        later = [number for number in self.has_code(file) if number >= line]
        if not later:
            raise ConfigError(f"{self.name(file)} has no code at or after line {line}")
        line = later[0]
        starts, whole = {}, {}
        for index, image in enumerate(self.artifact.classes):
            here = (image.lines[:, 0] == file) & (image.lines[:, 1] == line)
            if here.any():
                starts[index], whole[index] = _stretches(here), np.flatnonzero(here).tolist()
        return Location(f"{self.name(file)}:{line}", starts, whole, file, line)

    def _instruction(self, text: str) -> Location:
        try:
            pc = int(text[1:], 0)
        except ValueError:
            raise ConfigError(f"{text!r} is not an instruction: write *PC, such as *40") from None
        found = {index: [pc] for index, image in enumerate(self.artifact.classes) if 0 <= pc < len(image.code)}
        if not found:
            raise ConfigError(f"no class has an instruction {pc}")
        return Location(f"*{pc}", found, found)

    def _function(self, name: str) -> Location:
        names = self.artifact.function_names
        numbers = [number for number, known in enumerate(names) if known == name]
        starts, whole = {}, {}
        for index, image in enumerate(self.artifact.classes):
            if entries := _entries(image, name, np.isin(image.lines[:, 3], numbers)):
                starts[index] = whole[index] = entries
        if not starts:
            raise ConfigError(
                f"there is no function, task or line {name!r}: write FILE:LINE, LINE, FUNCTION or *PC; "
                f"{did_you_mean(name, names)}"
            )
        return Location(name, starts, whole)

    def _file(self, name: str) -> int:
        files = self.artifact.files
        exact = [i for i, file in enumerate(files) if file == name or self.path(i) == Path(name).resolve()]
        found = exact or [
            i for i, file in enumerate(files) if Path(file).parts[-len(Path(name).parts) :] == Path(name).parts
        ]
        if len(found) != 1:
            why = f"{len(found)} files are called {name}" if found else f"the program has no file {name}"
            raise ConfigError(f"{why}: {did_you_mean(name, files)}")
        return found[0]

    def _default_file(self, near: Where | None) -> int:
        if near is not None and near.file >= 0:
            return near.file
        own = [file for file in range(len(self.artifact.files)) if self.has_code(file)]
        if not own:
            raise ConfigError("the program has no lines: it was compiled with -g0")
        return own[0]

    def marks(self, locations: dict[int, Location]) -> tuple[dict[int, np.ndarray], dict[int, list[int]]]:
        """Locations by number as Stops.marks: (marks by class, the numbers of the locations by mark)."""
        sets: dict[tuple[int, ...], int] = {}
        marks = {}
        for index, image in enumerate(self.artifact.classes):
            at: dict[int, list[int]] = {}
            first = set()
            for number, location in locations.items():
                for pc in location.whole.get(index, []):
                    at.setdefault(pc, []).append(number)
                first |= set(location.starts.get(index, []))
            if at:
                marks[index] = _marked(image, at, first, sets)
        return marks, {mark: list(numbers) for numbers, mark in sets.items()}


def _marked(
    image: ClassImage, at: dict[int, list[int]], first: set[int], sets: dict[tuple[int, ...], int]
) -> np.ndarray:
    marks = np.zeros(len(image.code), np.uint16)
    for pc, numbers in at.items():
        marks[pc] = sets.setdefault(tuple(numbers), len(sets) + 1) | (_engine.MARK_FIRST if pc in first else 0)
    return marks


def _entries(image: ClassImage, name: str, here: np.ndarray) -> list[int]:
    """The first instructions of a function: at its label, and where it is inlined in other functions."""
    labels = sorted((pc, label.partition("<")[0]) for label, pc in image.labels.items())
    found = []
    for (begin, owner), (end, _) in zip(labels, [*labels[1:], (len(here), "")], strict=True):
        inside = np.flatnonzero(here[begin:end]) + begin
        if owner == name and inside.size:
            found.append(begin)
        elif inside.size:
            first = image.lines[inside, 1].min()
            found += [pc for pc in _stretches(here) if begin <= pc < end and image.lines[pc, 1] == first]
    return found


def _stretches(here: np.ndarray) -> list[int]:
    """The first instruction of each run of instructions for which `here` is true."""
    return np.flatnonzero(here & ~np.concatenate([[False], here[:-1]])).tolist()
