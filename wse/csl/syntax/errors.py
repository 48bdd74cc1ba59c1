"""What is wrong with a CSL program, and where: source texts, spans, diagnostics, and the one error that carries them.

A diagnostic names a span of a source text.  It is printed as compilers print it: file, line and column, the line
itself, a caret below; then the notes, each with its own place: the import, the instantiation, the other declaration.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import field
from pathlib import Path
from typing import Any

from ...errors import ProgramError
from ...records import dataclass

MAX_ERRORS = 20  # shown in one run
MAX_NOTES = 10  # shown of one error


class Source:
    """A text and its name; positions in it are offsets of characters."""

    __slots__ = ("_starts", "library", "path", "text")

    def __init__(self, path: str | Path, text: str, library: bool = False):
        self.path = str(path)
        self.text = text
        self.library = library
        self._starts: list[int] | None = None

    @property
    def starts(self) -> list[int]:
        """Offset at which each line begins."""
        if self._starts is None:
            starts, at = [0], self.text.find("\n")
            while at >= 0:
                starts.append(at + 1)
                at = self.text.find("\n", at + 1)
            self._starts = starts
        return self._starts

    def place(self, offset: int) -> tuple[int, int]:
        """(line, column) of an offset, both from 1."""
        line = bisect_right(self.starts, offset)
        return line, offset - self.starts[line - 1] + 1

    def line(self, number: int) -> str:
        """The text of a line, from 1, without its end."""
        starts = self.starts
        end = starts[number] - 1 if number < len(starts) else len(self.text)
        return self.text[starts[number - 1] : end].rstrip("\r")


class Span:
    """Characters start..end of a source."""

    __slots__ = ("end", "source", "start")

    def __init__(self, source: Source, start: int, end: int):
        self.source, self.start, self.end = source, start, end

    def to(self, other: Span) -> Span:
        """From the beginning of this to the end of the other."""
        return Span(self.source, self.start, max(self.end, other.end))

    @property
    def file(self) -> str:
        return self.source.path

    @property
    def line(self) -> int:
        return self.source.place(self.start)[0]

    @property
    def column(self) -> int:
        return self.source.place(self.start)[1]

    @property
    def length(self) -> int:
        return max(1, self.end - self.start)

    def __str__(self) -> str:
        line, column = self.source.place(self.start)
        return f"{self.source.path}:{line}:{column}"

    def __repr__(self) -> str:
        return f"<{self}>"

    def excerpt(self) -> str:
        """The line with a caret and tildes below what is meant."""
        number, column = self.source.place(self.start)
        line = self.source.line(number)
        lead = "".join("\t" if c == "\t" else " " for c in line[: column - 1])
        width = max(1, min(self.end - self.start, len(line) - column + 1))
        return f"    {line}\n    {lead}^{'~' * (width - 1)}"


@dataclass
class Diagnostic:
    """One finding.  notes: (span or None, sentence)."""

    message: str
    span: Span | None = None
    severity: str = "error"
    notes: list[tuple[Span | None, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.message = printable(self.message)

    def __str__(self) -> str:
        lines = [f"{self.span}: {self.severity}: {self.message}" if self.span else f"{self.severity}: {self.message}"]
        if self.span is not None:
            lines.append(self.span.excerpt())
        hidden = len(self.notes) - MAX_NOTES
        for i, (span, sentence) in enumerate(self.notes):
            if hidden > 0 and MAX_NOTES // 2 <= i < MAX_NOTES // 2 + hidden:  # the middle of a long chain of calls
                if i == MAX_NOTES // 2:
                    lines.append(f"  ({hidden} more notes)")
                continue
            lines.append(f"{span}: note: {sentence}" if span else f"  note: {sentence}")
            if span is not None:
                lines.append(span.excerpt())
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        """For editors; lines and columns from 1."""
        return {
            "severity": self.severity,
            "message": self.message,
            **place_of(self.span),
            "notes": [{"message": sentence, **place_of(span)} for span, sentence in self.notes],
        }


def printable(text: str) -> str:
    """The text without what UTF-8 does not have: a string of a program may hold any bytes."""
    return text.encode("utf-8", "replace").decode()


def place_of(span: Span | None) -> dict[str, Any]:
    if span is None:
        return {"file": None, "line": None, "column": None, "length": None}
    line, column = span.source.place(span.start)
    return {"file": span.source.path, "line": line, "column": column, "length": span.length}


class CslError(ProgramError):
    """A CSL program that cannot be compiled; `diagnostics` says why, most important first."""

    def __init__(self, diagnostics: list[Diagnostic]):
        self.diagnostics = diagnostics
        super().__init__(diagnostics)

    def __str__(self) -> str:
        return render(self.diagnostics)

    @classmethod
    def at(cls, span: Span | None, message: str, *notes: tuple[Span | None, str]) -> CslError:
        """An error with one finding."""
        return cls([Diagnostic(message, span, notes=list(notes))])

    def note(self, span: Span | None, sentence: str) -> CslError:
        """Adds what led there to every finding.  A finding in the library moves to the program's call."""
        for diagnostic in self.diagnostics:
            inside = diagnostic.span is not None and diagnostic.span.source.library
            if inside and span is not None and not span.source.library:
                diagnostic.notes.insert(0, (diagnostic.span, "here in the library"))
                diagnostic.span = span
            else:
                diagnostic.notes.append((span, sentence))
        return self


class NotKnown(CslError):
    """What is evaluated at compile time needs, or changes, what exists at run time only."""


def render(diagnostics: list[Diagnostic]) -> str:
    """All findings as text, in order, the first MAX_ERRORS of them."""
    shown = "\n".join(str(diagnostic) for diagnostic in diagnostics[:MAX_ERRORS])
    more = len(diagnostics) - MAX_ERRORS
    text = f"{shown}\n({more} more errors)" if more > 0 else shown
    return text.removeprefix("error: ")


class Findings:
    """Collects errors, so that one run shows several; the same finding is kept once."""

    def __init__(self) -> None:
        self.errors: list[Diagnostic] = []
        self.warnings: list[Diagnostic] = []
        self._seen: set[tuple] = set()

    def add(self, error: CslError | Diagnostic) -> None:
        for diagnostic in error.diagnostics if isinstance(error, CslError) else [error]:
            span = diagnostic.span
            key = (diagnostic.message, span and (span.source.path, span.start))
            if key not in self._seen:
                self._seen.add(key)
                (self.errors if diagnostic.severity == "error" else self.warnings).append(diagnostic)

    def warn(self, span: Span | None, message: str) -> None:
        self.add(Diagnostic(message, span, "warning"))

    def check(self) -> None:
        """Raises if there were errors."""
        if self.errors:
            raise CslError(self.errors)
