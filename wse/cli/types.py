"""Types of options: what each accepts, its range, and the error of what it refuses.

Every option of every command has one of these types.  A value outside the range is refused before anything runs.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import click
from click.shell_completion import CompletionItem

from .. import schema
from ..errors import ConfigError, did_you_mean

Param = click.Parameter | None
Context = click.Context | None

LONGEST_LIST = 1000  # values of an option that takes a list
HIGHEST = 2**62  # of integers without a narrower range: what the engine's 64-bit counters hold


class Integer(click.IntRange):
    """An integer from `low` to `high`, both included."""

    name = "integer"

    def __init__(self, low: int | None = None, high: int | None = HIGHEST):
        super().__init__(low, high)
        self.kind = schema.Integer(low, high)
        # Ends that only keep a number inside 64 bits are in no help and no error.
        self.told = schema.Integer(*(end if end is not None and abs(end) < HIGHEST else None for end in (low, high)))

    def _describe_range(self) -> str:
        low = "" if self.told.low is None else f"{self.told.low:,}<="
        high = "" if self.told.high is None else f"<={self.told.high:,}"
        return f"{low}x{high}" if low or high else ""

    def convert(self, value: Any, param: Param, ctx: Context) -> int:
        number = parsed(value)
        if number is None or not self.kind.accepts(number):
            rule = self.told if number is None or not self.told.accepts(number) else self.kind
            self.fail(f"{schema.shown(value)} is not {rule}", param, ctx)
        return number


class Number(click.FloatRange):
    """A finite number from `low` to `high`; `above`: low itself is refused; `below`: high is."""

    name = "number"

    def __init__(self, low: float | None = None, high: float | None = None, above: bool = False, below: bool = False):
        super().__init__(low, high, above, below)
        self.kind = schema.Number(low, high, above, below)

    def convert(self, value: Any, param: Param, ctx: Context) -> float:
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not self.kind.accepts(number):
            self.fail(f"{schema.shown(value)} is not {self.kind}", param, ctx)
        return number


def parsed(value: Any) -> int | None:
    """The integer that a text is, in decimal digits; None for any other."""
    try:
        return int(value) if len(str(value)) <= schema.LONGEST_NUMBER else None
    except ValueError:
        return None


class Choice(click.Choice):
    """One of a few words, in lower or upper case as they are; numbers stay numbers."""

    def __init__(self, choices: Sequence[Any]):
        super().__init__([str(choice) for choice in choices])
        self.values = {str(choice): choice for choice in choices}

    def convert(self, value: Any, param: Param, ctx: Context) -> Any:
        if str(value) in self.values:
            return self.values[str(value)]
        near = did_you_mean(str(value), self.values) if len(self.values) > 1 else ""
        near = f"; {near.removesuffix('?')}?" if near.startswith("did") else ""
        self.fail(f"{schema.shown(value)} is not one of {', '.join(map(repr, self.values))}{near}", param, ctx)


class Grid(click.ParamType):
    """Width and height in PEs: 16x16."""

    name = "WxH"
    HIGH = 100_000

    def convert(self, value: Any, param: Param, ctx: Context) -> tuple[int, int]:
        if isinstance(value, tuple):
            return value
        width, _, height = value.lower().partition("x")
        sides = parsed(width), parsed(height)
        if not all(side is not None and 1 <= side <= self.HIGH for side in sides):
            self.fail(f"{schema.shown(value)} is not a grid: width x height in PEs, such as 16x16", param, ctx)
        return sides[0] or 0, sides[1] or 0


class Integers(click.ParamType):
    """A list of integers from `low` to `high`, separated by commas: 1,2,4.  `what` names them in errors.

    repeats: whether they may be equal; otherwise each is taken once.
    """

    name = "N,N,..."

    def __init__(self, low: int, high: int, what: str, repeats: bool = False):
        self.kind, self.what, self.repeats = schema.Integer(low, high), what, repeats

    def convert(self, value: Any, param: Param, ctx: Context) -> tuple[int, ...]:
        if isinstance(value, tuple):
            return value
        numbers = [parsed(part) for part in value.split(",", LONGEST_LIST)]
        if not all(self.kind.accepts(number) for number in numbers):
            rule = f"{self.what}, each {self.kind}, such as 1,2,4"
            self.fail(f"{schema.shown(value)} is no list of {rule}", param, ctx)
        found = [number for number in numbers if number is not None]
        return tuple(found if self.repeats else dict.fromkeys(found))


class Pair(click.ParamType):
    """Two integers from 0: 8,3."""

    name = "X,Y"

    def convert(self, value: Any, param: Param, ctx: Context) -> tuple[int, int]:
        if isinstance(value, tuple):
            return value
        numbers = [parsed(part) for part in value.split(",", 2)]
        if len(numbers) != 2 or not all(schema.Integer(0, Grid.HIGH).accepts(number) for number in numbers):
            self.fail(f"{schema.shown(value)} is not two numbers, such as 8,3", param, ctx)
        return numbers[0] or 0, numbers[1] or 0


class Rectangle(click.ParamType):
    """A PE or a rectangle of PEs, as (x, y, w, h): 3,0 is one PE; 0:4,2:8 has columns 0 to 3 and rows 2 to 7."""

    name = "X,Y"

    def convert(self, value: Any, param: Param, ctx: Context) -> tuple[int, int, int, int]:
        if isinstance(value, tuple):
            return value
        sides = [_span(part) for part in value.split(",", 2)]
        if len(sides) != 2 or not all(side is not None and side[1] <= Grid.HIGH for side in sides):
            self.fail(f"{schema.shown(value)} is not a PE such as 3,0, or a rectangle such as 0:4,2:8", param, ctx)
        (x, right), (y, bottom) = (side or (0, 0) for side in sides)
        return x, y, right - x, bottom - y


def _span(text: str) -> tuple[int, int] | None:
    """(first, after the last) of `3` or `3:8`; None for another text or an empty span."""
    first, colon, after = text.partition(":")
    start = parsed(first)
    end = parsed(after) if colon else None if start is None else start + 1
    return (start, end) if start is not None and end is not None and 0 <= start < end else None


class Window(click.ParamType):
    """Cycles since .. until - 1, as (since, until): 1000:2000; 1000: (until=None) and :2000 are open at one end."""

    name = "FROM:TO"

    def convert(self, value: Any, param: Param, ctx: Context) -> tuple[int, int | None]:
        if isinstance(value, tuple):
            return value
        first, colon, after = (part.strip() for part in value.partition(":"))
        since, until = parsed(first or "0"), parsed(after) if after else None
        good = colon and (first or after) and since is not None and 0 <= since < HIGHEST
        if not good or (after and (until is None or not (since or 0) < until <= HIGHEST)):
            self.fail(f"{schema.shown(value)} is not a window of cycles, such as 1000:2000 or 1000:", param, ctx)
        return since or 0, until


class Bytes(click.ParamType):
    """A size in bytes with a decimal unit: 55TB."""

    name = "SIZE"

    def __init__(self, low: float, high: float):
        self.low, self.high = low, high

    def convert(self, value: Any, param: Param, ctx: Context) -> float:
        if isinstance(value, float):
            return value
        try:
            found = schema.size(value)
        except ConfigError as error:
            self.fail(str(error), param, ctx)
        if not self.low <= found <= self.high:
            self.fail(f"{schema.shown(value)} is not a size from {self.low:g} to {self.high:g} bytes", param, ctx)
        return found


class Setting(click.ParamType):
    """name=value of a figure of the machine, as text that Machine reads: hop_cycles=1, clock_hz=1.1GHz."""

    name = "NAME=VALUE"

    def convert(self, value: Any, param: Param, ctx: Context) -> tuple[str, str]:
        if isinstance(value, tuple):
            return value
        name, _, number = (part.strip() for part in value.partition("="))
        if not (name and number) or len(value) > 200 or not value.isprintable():
            example = "such as hop_cycles=1 or clock_hz=1.1GHz"
            self.fail(f"{schema.shown(value)} is not of the form name=value, {example}", param, ctx)
        return name, number

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from ..machine.parameters import PARAMETERS

        rows = [row for row in PARAMETERS if row.name.startswith(incomplete)]
        return [CompletionItem(f"{row.name}=", help=row.meaning) for row in rows]


class Definition(click.ParamType):
    """name=value with an integer value, also in hex: A=64."""

    name = "NAME=VALUE"

    def convert(self, value: Any, param: Param, ctx: Context) -> tuple[str, int]:
        if isinstance(value, tuple):
            return value
        name, _, number = (part.strip() for part in value.partition("="))
        made = _any_base(number)
        if not name.isidentifier() or made is None:
            self.fail(f"{schema.shown(value)} is not of the form name=integer, such as A=64", param, ctx)
        return name, made


_SECTION = re.compile(r"[A-Za-z_.][\w.$-]*")


class Definitions(click.ParamType):
    """name:integer pairs separated by commas, as cslc takes them: N:16,M:0x10.  identifiers: whether names are
    identifiers; else those of sections (.data, my-section), and quotes may stand around all pairs."""

    name = "NAME:N,..."

    def __init__(self, identifiers: bool = True):
        self.identifiers = identifiers

    def convert(self, value: Any, param: Param, ctx: Context) -> dict[str, int]:
        if isinstance(value, dict):
            return value
        made: dict[str, int] = {}
        value = value if self.identifiers else value.strip("\"'")
        for pair in filter(None, (part.strip() for part in value.split(","))):
            name, _, number = (part.strip() for part in pair.partition(":"))
            found = _any_base(number)
            good = name.isidentifier() if self.identifiers else _SECTION.fullmatch(name)
            if not good or found is None:
                self.fail(f"{schema.shown(pair)} is not of the form name:integer, such as N:16", param, ctx)
            if name in made:
                self.fail(f"{name} is given twice", param, ctx)
            made[name] = found
        return made


def merged(values: Sequence[dict[str, int]], option: str) -> dict[str, int]:
    """The pairs of a repeated option of Definitions; UsageError for a name that stands in two."""
    made: dict[str, int] = {}
    for group in values:
        for name, value in group.items():
            if name in made:
                raise click.UsageError(f"{option} gives {name} twice")
            made[name] = value
    return made


def _any_base(digits: str) -> int | None:
    try:
        number = int(digits, 0) if len(digits) <= 40 else HIGHEST * 8
    except ValueError:
        return None
    return number if abs(number) < 1 << 64 else None


class File(click.Path):
    """A file or folder to read; not checked here, but by the code that reads it."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: Param, ctx: Context) -> Path:
        self.check_name(value, param, ctx)
        return Path(value)

    def check_name(self, value: Any, param: Param, ctx: Context) -> None:
        words = str(value)
        if not words.strip() or "\0" in words:
            self.refuse(value, "is no name of a file", param, ctx)

    def refuse(self, value: Any, why: str, param: Param, ctx: Context) -> NoReturn:
        self.fail(f"{schema.shown(str(value))} {why}", param, ctx)


class Output(File):
    """A file to write: its folder must exist, and the name must not be that of a folder."""

    def convert(self, value: Any, param: Param, ctx: Context) -> Path:
        path = super().convert(value, param, ctx)
        try:
            if path.is_dir():
                self.refuse(value, "is a folder, not the name of a file to write", param, ctx)
            if not path.parent.is_dir():
                self.refuse(value, f"cannot be written: there is no folder {str(path.parent)!r}", param, ctx)
            if not os.access(path if path.exists() else path.parent, os.W_OK):
                self.refuse(value, "cannot be written: permission denied", param, ctx)
        except OSError as error:  # too long, a loop of links
            self.refuse(value, f"cannot be written: {error.strerror}", param, ctx)
        return path


class Word(click.ParamType):
    """A text on one line, of printable characters."""

    name = "text"

    def convert(self, value: Any, param: Param, ctx: Context) -> str:
        if not schema.Text().accepts(value) or not value.strip():
            self.fail(f"{schema.shown(value)} is not a text of printable characters", param, ctx)
        return value


class Prompt(click.ParamType):
    """A text of any number of lines."""

    name = "text"

    def convert(self, value: Any, param: Param, ctx: Context) -> str:
        if not isinstance(value, str) or not value.strip() or not all(c.isprintable() or c in "\n\t" for c in value):
            self.fail(f"{schema.shown(value)} is not a text of printable characters", param, ctx)
        return value


class Named(Word):
    """The name of one of many things, or a file, which the code that looks it up checks.  known: names, for shells."""

    def __init__(self, known: Callable[[], Iterable[str]]):
        self.known = known

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        names = [CompletionItem(name) for name in self.known() if name.startswith(incomplete)]
        return names or [CompletionItem(incomplete, type="file")]


def _models() -> Iterable[str]:
    from .. import models

    return models.NAMES


def _instructions() -> Iterable[str]:
    from ..machine import isa

    return isa.INSTRUCTION


class LossScale(click.ParamType):
    """dynamic, none, or a number that the loss is multiplied by."""

    name = "SCALE"
    NUMBER = Number(0, 1e30, above=True)

    def convert(self, value: Any, param: Param, ctx: Context) -> str:
        if value in ("dynamic", "none"):
            return value
        try:
            self.NUMBER.convert(value, param, ctx)
        except click.BadParameter:
            self.fail(f"{schema.shown(value)} is not dynamic, none or {self.NUMBER.kind}", param, ctx)
        return value


# --- what several commands take ---------------------------------------------------------------------------------------

ARCH = Choice(("wse2", "wse3"))
PROFILE = Choice(("simulator", "silicon"))
DTYPE = Choice(("bf16", "f16", "cb16", "f32"))
POLICY = Choice(("POL0", "POL1", "POL2"))
THREADS = Integer(1, 1024)
SEED = Integer(0, 2**63 - 1)
COUNT = Integer(1, 1_000_000_000)  # of sequences, steps, tokens: beyond it no run ends
BATCH = Integer(1, 1_000_000)  # sequences of a step or pass
FILE, OUTPUT, WORD = File(), Output(), Word()
MODEL, INSTRUCTION = Named(_models), Named(_instructions)
