"""Values that come from outside: what is allowed for each, and the JSON and TOML files that hold them.

    LAYERS = Integer(1, 2000)
    check(LAYERS, 0, "config.json", "n_layer")
    # ConfigError: config.json: n_layer is 0, but must be an integer from 1 to 2,000

A kind (Integer, Number, Text, Boolean, Items) says what is allowed: `accepts` tests a value, `str` words the rule.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from .errors import ConfigError
from .records import dataclass

LARGEST_FILE = 16 << 20  # bytes of a configuration: no honest one is larger
LONGEST_NUMBER = 400  # digits of a number in a file: more than a float64 can need
LONGEST_TEXT = 4096  # characters of a text


class Kind(Protocol):
    """What is allowed for a value; `str` says it after the words "must be"."""

    def accepts(self, value: Any) -> bool:
        """Whether the value is allowed."""


@dataclass(frozen=True)
class Integer:
    """An integer from `low` to `high`, both included; true and false are none."""

    low: int | None = None
    high: int | None = None

    def accepts(self, value: Any) -> bool:
        """Whether the value is an allowed integer."""
        if isinstance(value, bool) or not isinstance(value, int | np.integer):
            return False
        return bool((self.low is None or value >= self.low) and (self.high is None or value <= self.high))

    def __str__(self) -> str:
        return "an integer" + _range(self.low, self.high, False, False)


@dataclass(frozen=True)
class Number:
    """A finite number from `low` to `high`; `above`: low itself is not allowed; `below`: high is not."""

    low: float | None = None
    high: float | None = None
    above: bool = False
    below: bool = False

    def accepts(self, value: Any) -> bool:
        """Whether the value is an allowed, finite number."""
        if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
            return False
        if isinstance(value, int) and abs(value) > 1e308:  # no float64
            return False
        if not math.isfinite(value):
            return False
        low = self.low is None or (value > self.low if self.above else value >= self.low)
        return bool(low and (self.high is None or (value < self.high if self.below else value <= self.high)))

    def __str__(self) -> str:
        return "a finite number" + _range(self.low, self.high, self.above, self.below)


@dataclass(frozen=True)
class Text:
    """A text of printable characters; with `choices`, one of these."""

    choices: tuple[str, ...] = ()

    def accepts(self, value: Any) -> bool:
        """Whether the value is an allowed text of printable characters."""
        if not isinstance(value, str) or len(value) > LONGEST_TEXT or not value.isprintable():
            return False
        return not self.choices or value in self.choices

    def __str__(self) -> str:
        return f"one of {', '.join(self.choices)}" if self.choices else "a text of printable characters"


@dataclass(frozen=True)
class Boolean:
    """true or false."""

    def accepts(self, value: Any) -> bool:
        """Whether the value is True or False."""
        return isinstance(value, bool)

    def __str__(self) -> str:
        return "true or false"


@dataclass(frozen=True)
class Items:
    """A list of at most `most` values that `kind` accepts."""

    kind: Kind
    most: int = 10_000

    def accepts(self, value: Any) -> bool:
        """Whether the value is a list, or a tuple, of allowed values."""
        return isinstance(value, list | tuple) and len(value) <= self.most and all(map(self.kind.accepts, value))

    def __str__(self) -> str:
        return f"a list of at most {self.most:,} values, each {self.kind}"


def _range(low: float | None, high: float | None, above: bool, below: bool) -> str:
    """The end of a sentence about an interval: " from 1 to 2,000", " above 0 and below 1"."""
    lows = "" if low is None else f"{'above' if above else 'at least'} {_figure(low)}"
    highs = "" if high is None else f"{'below' if below else 'at most'} {_figure(high)}"
    if lows and highs and not (above or below):
        assert low is not None and high is not None
        return f" from {_figure(low)} to {_figure(high)}"
    ends = " and ".join(end for end in (lows, highs) if end)
    return f" of {ends}" if ends.startswith("at ") else f" {ends}" if ends else ""


def _figure(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) and abs(value) < 10**12 else f"{value:g}"


def shown(value: Any, longest: int = 60) -> str:
    """The value as an error quotes it: on one line, shortened, of printable characters."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "null"
    if isinstance(value, int) and abs(value) >= 10**longest:  # Python refuses to print more than 4,300 digits
        return f"an integer of more than {longest} digits"
    words = repr(value)
    return words if len(words) <= longest else f"{words[: longest - 4]} ..."


_SIZE = re.compile(r"\s*([0-9]{1,30}(?:\.[0-9]{0,30})?)\s*([kKmMgGtTpP]?)[bB]?\s*", re.ASCII)


def size(words: str) -> float:
    """Bytes of a size with a decimal unit: '55TB' is 55e12.  ConfigError for any other text."""
    match = _SIZE.fullmatch(words)
    if match is None:
        raise ConfigError(f"{shown(words)} is no size: a number and a unit, such as 55TB")
    return float(match[1]) * 1000.0 ** " kmgtp".index(match[2].lower() or " ")


def check(kind: Kind, value: Any, where: str, key: str) -> Any:
    """The value, if the kind accepts it; ConfigError names where it stands, its key, the value and what is allowed."""
    if not kind.accepts(value):
        raise ConfigError(f"{where}: {key} is {shown(value)}, but must be {kind}")
    return value


def check_table(table: Any, kinds: Mapping[str, Kind], where: str, what: str) -> dict[str, Any]:
    """The table, if its keys are among `kinds` and every value is what its kind accepts.  what: "of MemoryX"."""
    if not isinstance(table, Mapping):
        raise ConfigError(f"{where}: the figures {what} must be a table ({', '.join(kinds)}), not {shown(table)}")
    for key, value in table.items():
        if key not in kinds:
            raise ConfigError(f"{where}: {key} is no figure {what}; there are {', '.join(kinds)}")
        check(kinds[key], value, where, key)
    return dict(table)


# --- files ------------------------------------------------------------------------------------------------------------


def read_text(path: Path | str, what: str) -> str:
    """The text of a UTF-8 file without a byte-order mark; ConfigError if it cannot be read or is too large."""
    try:
        with open(path, "rb") as file:
            content = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise ConfigError(f"{what} {path}: {error.strerror or error}") from None
    except ValueError as error:  # a NUL in the name
        raise ConfigError(f"{what} {shown(str(path))}: {error}") from None
    if len(content) > LARGEST_FILE:
        raise ConfigError(f"{what} {path} is larger than {LARGEST_FILE:,} bytes")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        byte = f"byte {error.start} is 0x{content[error.start]:02x}"
        raise ConfigError(f"{what} {path} is no UTF-8 text: {byte}") from None


def read_toml(path: Path | str, what: str) -> dict[str, Any]:
    """The table in a TOML file.  ConfigError, which begins with `what` and the path, for anything else."""
    import tomllib  # few commands read such a file

    text = read_text(path, what)
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ConfigError(f"{what} {path} is not TOML: it is nested too deeply") from None
    except ValueError as error:
        raise ConfigError(f"{what} {path} is not TOML: {error}") from None


def read_json(path: Path | str, what: str, infinite: bool = False) -> Any:
    """The value in a JSON file.  ConfigError, which begins with `what` and the path, for what is not JSON; keys that
    stand twice in an object, NaN and Infinity are refused as well.  infinite: Infinity is not, as Python writes it."""
    text = read_text(path, what)
    try:
        return json.loads(
            text,
            object_pairs_hook=_once,
            parse_constant=_infinity if infinite else _no_constant,
            parse_int=_integer,
            parse_float=_float,
        )
    except RecursionError:
        raise ConfigError(f"{what} {path} is not JSON: it is nested too deeply") from None
    except ValueError as error:
        raise ConfigError(f"{what} {path} is not JSON: {error}") from None


def _once(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for key, value in pairs:
        if key in made:
            raise ValueError(f"the key {shown(key)} stands twice in an object")
        made[key] = value
    return made


def _infinity(name: str) -> Any:
    return _no_constant(name) if name == "NaN" else math.inf if name == "Infinity" else -math.inf


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")


def _integer(digits: str) -> int:
    if len(digits) > LONGEST_NUMBER:
        raise ValueError(f"a number of {len(digits):,} digits is too long")
    return int(digits)


def _float(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError(f"{shown(digits)} is larger than any number of 64 bits")
    return value
