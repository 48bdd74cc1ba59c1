"""One printer of every command's document: as JSON, or for people by a view.

A command builds its document, a dictionary with stable keys, once.  Its view is a list of blocks that name figures of
the document by format strings, so that no figure is said twice:

    VIEW = [
        Pairs([("cycles", "{cycles:,}"), ("time", "{seconds:si s} at {clock_hz:si Hz}")]),
        Table("regions", [text("kernel", "{kernel}"), number("PEs", "{pes:,}")]),
    ]
    show(document, VIEW, as_json)

Beyond Python's format specifications there are `si UNIT` (three digits and a prefix), `share` (0.5 as 50.0 %), `x`
(a list of sizes as 16 x 16) and `list` (its items after commas).  A line whose figure is None or NaN, or not in the
document, is left out; a function of the document may stand for a format string.
"""

from __future__ import annotations

import itertools
import json
import math
import shutil
import string
import sys
import textwrap
from abc import ABC, abstractmethod
from collections import ChainMap
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import click

from .. import signals
from ..records import dataclass
from ..report.text import percent, si

Words = str | Callable[[Mapping[str, Any]], str | None]  # a format string, or a function of the document
Document = Mapping[str, Any]


class Block(ABC):
    """A part of a view."""

    @abstractmethod
    def lines(self, document: Document) -> list[str]:
        """Its lines, which may be none."""


def show(document: Document, view: Iterable[Block], as_json: bool, partial: bool = False, **more: Any) -> None:
    """Prints the document as JSON, or its view, blocks apart by an empty line.  more: figures for the view alone.

    After a signal nothing is printed, and Interrupted is raised, unless the document is what a command reports of a
    partial result.
    """
    if not partial:
        signals.check()
    if as_json:
        print_json(document)
        return
    whole = ChainMap(more, dict(document))
    blocks = [lines for block in view if (lines := block.lines(whole))]
    click.echo("\n\n".join("\n".join(lines) for lines in blocks))


class _Absent(Exception):
    """A figure that a line names is None, NaN or not there."""


class _Formatter(string.Formatter):
    def get_field(self, field_name: str, args: Any, kwargs: Any) -> Any:
        try:
            value, key = super().get_field(field_name, args, kwargs)
        except (KeyError, TypeError):
            raise _Absent from None
        if value is None or value != value:
            raise _Absent
        return value, key

    def format_field(self, value: Any, format_spec: str) -> str:
        name, _, unit = format_spec.partition(" ")
        match name:
            case "si":
                return si(value, unit)
            case "share":
                return percent(value)
            case "x":
                return " x ".join(f"{size:,}" for size in value)
            case "list":
                return ", ".join(str(item) for item in value)
        return format(value, format_spec)


_FORMATTER = _Formatter()


def escaped(line: str) -> str:
    """A text as a format string that yields it."""
    return line.replace("{", "{{").replace("}", "}}")


def words(template: Words, document: Document) -> str | None:
    """The line of a format string or function; None if a figure it names is not there."""
    if callable(template):
        return template(document)
    try:
        return _FORMATTER.vformat(template, (), document)
    except _Absent:
        return None


@dataclass(frozen=True)
class Lines(Block):
    """Lines of text, one under the other."""

    templates: Sequence[Words]

    def lines(self, document: Document) -> list[str]:
        found = (words(template, document) for template in self.templates)
        return [line for line in found if line is not None]


@dataclass(frozen=True)
class Pairs(Block):
    """Two aligned columns: what, figure; above: a function of the document that gives lines above them."""

    rows: Sequence[tuple[str, Words]] | Callable[[Document], Sequence[tuple[str, Words]]]
    above: Callable[[Document], Sequence[str]] | None = None

    def lines(self, document: Document) -> list[str]:
        rows = self.rows(document) if callable(self.rows) else self.rows
        pairs = [(words(name, document) or "", words(template, document)) for name, template in rows]
        above = [] if self.above is None else list(self.above(document))
        return [*above, *pair_lines([(name, str(line)) for name, line in pairs if line is not None])]


class Column(NamedTuple):
    """A column of a Table: head, format string of a row, whether it is aligned to the right."""

    head: Words
    template: Words
    right: bool


def text(head: Words, template: Words) -> Column:
    """A column aligned to the left."""
    return Column(head, template, False)


def number(head: Words, template: Words) -> Column:
    """A column aligned to the right."""
    return Column(head, template, True)


@dataclass(frozen=True)
class Table(Block):
    """A row for each item of a list in the document; cells see the item's keys first, then the document's.

    rows     key of the list, or a function of the document that gives it
    title    line above, notes: lines below, under: a line below each row
    """

    rows: str | Callable[[Document], Iterable[Any]]
    columns: Sequence[Column] | Callable[[Document], Sequence[Column]]
    title: Words | None = None
    notes: Sequence[Words] = ()
    under: Words | None = None

    def lines(self, document: Document) -> list[str]:
        items = self.rows(document) if callable(self.rows) else document.get(self.rows)
        rows = [ChainMap(dict(item), {"document": document}, *_maps(document)) for item in items or ()]
        if not rows:
            return []
        columns = self.columns(document) if callable(self.columns) else self.columns
        cells = [[words(column.template, row) or "" for column in columns] for row in rows]
        head = [words(column.head, document) or "" for column in columns]
        right = [i for i, column in enumerate(columns) if column.right]
        below = None if self.under is None else [words(self.under, row) for row in rows]
        found = table_lines(head, cells, right, below)
        notes = [line for note in self.notes if (line := words(note, document)) is not None]
        title = [] if self.title is None else [words(self.title, document) or ""]
        return [*title, *found, *notes]


def _maps(document: Document) -> Sequence[Any]:
    return document.maps if isinstance(document, ChainMap) else (dict(document),)


# --- lines ------------------------------------------------------------------------------------------------------------


def table_lines(
    head: Sequence[str],
    rows: Iterable[Sequence[str]],
    right: Iterable[int] = (),
    below: Sequence[str | None] | None = None,
) -> list[str]:
    """Columns aligned, those in `right` to the right; below: a line for each row, or None, indented under it.

    A table that is wider than the terminal has its cells broken into several lines.
    """
    right = set(right)
    table = [tuple(head), *(tuple(row) for row in rows)]
    most = terminal_width()
    columns = list(zip(*table, strict=True))
    widths = widths_within(columns, right, HUGE if most is None else most)
    lines = []
    for place, row in enumerate(table):
        parts = [wrapped(cell, width) if len(cell) > width else [cell] for cell, width in zip(row, widths, strict=True)]
        for level in itertools.zip_longest(*parts, fillvalue=""):
            pairs = zip(level, widths, strict=True)
            cells = [cell.rjust(width) if i in right else cell.ljust(width) for i, (cell, width) in enumerate(pairs)]
            line = "  ".join(cells).rstrip()
            lines.append(click.style(line, bold=True) if place == 0 else line)
        if below is not None and place and (line_below := below[place - 1]) is not None:
            room = HUGE if most is None else max(LEAST, most - 4)
            lines += [f"    {part}" for part in (wrapped(line_below, room) if len(line_below) > room else [line_below])]
    return lines


HUGE = 1 << 30  # characters: no limit


def pair_lines(pairs: Sequence[tuple[str, str]]) -> list[str]:
    """Two aligned columns; the second is broken at the edge of a terminal."""
    width = max((len(name) for name, _ in pairs), default=0)
    widest = terminal_width()
    lines: list[str] = []
    for name, line in pairs:
        parts = [line]
        if widest is not None and widest - width - 2 >= LEAST:
            parts = [part for one in line.splitlines() for part in wrapped(one, widest - width - 2)] or [""]
        lines += [f"{(name if part is parts[0] else '').ljust(width)}  {part}".rstrip() for part in parts]
    return lines


LEAST = 20  # characters; a narrower column is not broken into lines


def terminal_width() -> int | None:
    """Columns of the terminal that the output goes to; None if it goes elsewhere, where lines are not broken."""
    return shutil.get_terminal_size().columns if sys.stdout is not None and sys.stdout.isatty() else None


def wrapped(line: str, width: int) -> list[str]:
    """A line as lines of at most so many characters, broken at spaces."""
    return textwrap.wrap(line, width, break_long_words=False, break_on_hyphens=False) or [""]


def widths_within(columns: Sequence[Sequence[str]], right: set[int], most: int) -> list[int]:
    """Widths of columns (cells, the head first) with two spaces between them, of at most `most` characters in all.

    The widest columns that can be broken at spaces give way.  A column keeps its longest word, and numbers stay whole.
    """
    widths = [max(map(len, column)) for column in columns]
    least = [
        max(_longest_word(column[:1]), *(map(len, column[1:]) if i in right else [_longest_word(column[1:])]), 1)
        for i, column in enumerate(columns)
    ]
    while sum(widths) + 2 * (len(widths) - 1) > most:
        at = max(range(len(widths)), key=lambda i: (widths[i] > least[i], widths[i]))
        if widths[at] <= least[at]:
            break  # the terminal is too narrow: it breaks the lines itself
        widths[at] -= 1
    return widths


def _longest_word(cells: Iterable[str]) -> int:
    return max((len(word) for cell in cells for word in cell.split()), default=0)


def print_json(value: Any) -> None:
    """One JSON document; NumPy numbers as numbers, paths as text, what is not finite as null."""
    click.echo(json.dumps(plain(value), indent=2, ensure_ascii=False, allow_nan=False))


def plain(value: Any) -> Any:
    """The value in JSON's own types."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
