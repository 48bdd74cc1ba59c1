"""Two profiles side by side: where a program, or another version of it, has become faster or slower.

A profile is that of a compiled program in a directory, or a file that `wse profile --json` has printed.  Classes of PEs
are paired by the file of their program and their parameters, then by the file alone.  Lines are paired by their file,
function and text, so that a line that has moved is still the same line; of several equal lines, the first is paired
with the first.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from ..errors import ConfigError
from ..records import dataclass
from . import profile
from .profile import ClassProfile, Line

LARGEST = 64 << 20  # bytes of a JSON file that is read


@dataclass
class Pair:
    """Cycles of something in A and in B; None: it is not there."""

    name: str
    cycles: tuple[float | None, float | None]
    text: str = ""
    causes: dict[str, tuple[float, float]] | None = None

    @property
    def difference(self) -> float:
        a, b = self.cycles
        return (b or 0.0) - (a or 0.0)


@dataclass
class ClassPair:
    """A class of PEs in A and in B.  cycles: of a PE, that are not idle."""

    name: str
    params: tuple[str, str]
    pes: tuple[int, int]
    cycles: tuple[float, float]
    causes: list[Pair]
    functions: list[Pair]
    lines: list[Pair]


@dataclass
class Comparison:
    """cycles: of the whole runs.  only: names of classes that the other profile does not have."""

    names: tuple[str, str]
    cycles: tuple[float, float]
    classes: list[ClassPair]
    only: tuple[list[str], list[str]]


def read(source: str | Path) -> list[ClassProfile]:
    """The profile of a compiled program's directory, or of a JSON file."""
    path = Path(source)
    if path.is_dir():
        return profile.load(path)
    try:
        if path.stat().st_size > LARGEST:
            raise ValueError(f"it has more than {LARGEST:,} bytes")
        document = json.loads(path.read_bytes())
        return [_class(row) for row in document["classes"]]
    except OSError as error:
        raise ConfigError(f"cannot read {source}: {error.strerror or error}") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ConfigError(
            f"{source} holds no profile ({error}): expected the directory of a compiled program, or what "
            "`wse profile DIR --json` prints"
        ) from None


def _class(row: Mapping[str, Any]) -> ClassProfile:
    lines = [_checked(Line, line) for line in row["lines"]]
    return _checked(ClassProfile, {**row, "lines": lines})


_TYPES: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "int": (int,),
    "float": (int, float),
    "dict[str, float]": (dict,),
}


def _checked(kind: Callable[..., Any], row: Mapping[str, Any]) -> Any:
    """A Line or ClassProfile of values of the right types."""
    made = kind(**{field.name: row[field.name] for field in fields(kind)})  # type: ignore[arg-type]
    for name, value in vars(made).items():
        wanted = _TYPES.get(kind.__annotations__[name])
        if wanted and (not isinstance(value, wanted) or isinstance(value, bool)):
            raise ValueError(f"{name} is {value!r:.40}")
        if isinstance(value, dict) and not all(isinstance(v, int | float) for v in value.values()):
            raise ValueError(f"{name} has something else than numbers")
    return made


def compare(
    a: list[ClassProfile], b: list[ClassProfile], names: tuple[str, str], function: str | None = None
) -> Comparison:
    """function: only lines of functions of this name."""
    pairs, only_a, only_b = _paired(a, b)
    made = [_compared(one, other, function) for one, other in pairs]
    made.sort(key=lambda c: -abs(c.cycles[1] - c.cycles[0]))
    whole = (max((p.cycles for p in a), default=0.0), max((p.cycles for p in b), default=0.0))
    return Comparison(names, whole, made, ([p.name for p in only_a], [p.name for p in only_b]))


def _paired(
    a: list[ClassProfile], b: list[ClassProfile]
) -> tuple[list[tuple[ClassProfile, ClassProfile]], list[ClassProfile], list[ClassProfile]]:
    """Pairs of classes, and those that have none."""
    keys: list[Callable[[ClassProfile], object]] = [
        lambda p: (Path(p.file).name, p.params, p.name),
        lambda p: (Path(p.file).name, p.params),
        lambda p: Path(p.file).name,
    ]
    pairs: list[tuple[ClassProfile, ClassProfile]] = []
    a, b = list(a), list(b)
    if len(a) == len(b) == 1:
        return [(a[0], b[0])], [], []
    for key in keys:
        for one in list(a):
            other = next((p for p in b if key(p) == key(one)), None)
            if other:
                pairs.append((one, other))
                a.remove(one)
                b.remove(other)
    return pairs, a, b


Causes = Mapping[str, float]


def _compared(a: ClassProfile, b: ClassProfile, function: str | None) -> ClassPair:
    causes = [
        Pair(cause, (a.causes.get(cause, 0.0), b.causes.get(cause, 0.0)), profile.MEANINGS.get(cause, ""))
        for cause in _union(a.causes, b.causes)
        if cause != profile.IDLE
    ]
    lines = [
        _line_pair(key[0], key[2], one, other)
        for key, one, other in _matched(_by_text(a, function), _by_text(b, function))
    ]
    functions = [
        _pair(name or "(linked in)", one, other)
        for name, one, other in _matched(_by_function(a, function), _by_function(b, function))
    ]
    return ClassPair(
        name=a.name if a.name == b.name else f"{a.name} | {b.name}",
        params=(a.params, b.params),
        pes=(a.pes, b.pes),
        cycles=(a.busy, b.busy),
        causes=_sorted(causes),
        functions=_sorted(functions),
        lines=_sorted(lines),
    )


def _by_function(p: ClassProfile, only: str | None) -> Mapping[str, Causes]:
    found: dict[str, dict[str, float]] = {}
    for row in p.lines:
        if only in (None, row.function):
            _add(found.setdefault(row.function, {}), row.causes)
    return found


def _by_text(p: ClassProfile, only: str | None) -> dict[tuple[str, str, str, int], tuple[int, Causes]]:
    """Line and causes by file, function, text and place among the lines of this text; without text by its number."""
    found: dict[tuple[str, int, str], tuple[str, dict[str, float]]] = {}
    for row in p.lines:
        if only in (None, row.function):
            place = Path(row.file).name, row.line, row.function
            _add(found.setdefault(place, (row.text or str(row.line), {}))[1], row.causes)
    made: dict[tuple[str, str, str, int], tuple[int, Causes]] = {}
    for (file, line, function), (text, causes) in sorted(found.items()):
        same = sum(key[:3] == (file, function, text) for key in made)
        made[file, function, text, same] = line, causes
    return made


def _add(to: dict[str, float], causes: Causes) -> None:
    for cause, cycles in causes.items():
        to[cause] = to.get(cause, 0.0) + cycles


def _line_pair(file: str, text: str, a: tuple[int, Causes] | None, b: tuple[int, Causes] | None) -> Pair:
    numbers = [side[0] for side in (a, b) if side]
    where = profile.place(file, numbers[0]) + (f" -> {numbers[-1]}" if numbers[0] != numbers[-1] else "")
    return _pair(where, a and a[1], b and b[1], "" if text == str(numbers[0]) else text)


def _pair(name: str, a: Causes | None, b: Causes | None, text: str = "") -> Pair:
    cycles = [None if causes is None else sum(causes.values()) for causes in (a, b)]
    both = {cause: ((a or {}).get(cause, 0.0), (b or {}).get(cause, 0.0)) for cause in _union(a or {}, b or {})}
    return Pair(name, (cycles[0], cycles[1]), text, both)


def _sorted(pairs: list[Pair]) -> list[Pair]:
    """The largest differences first."""
    return sorted(pairs, key=lambda p: (-abs(p.difference), -max(p.cycles[0] or 0.0, p.cycles[1] or 0.0), p.name))


def _union(a: Iterable[Any], b: Iterable[Any]) -> list[Any]:
    return list(dict.fromkeys([*a, *b]))


def _matched(a: Mapping[Any, Any], b: Mapping[Any, Any]) -> Iterator[tuple[Any, Any, Any]]:
    for key in _union(a, b):
        yield key, a.get(key), b.get(key)


def document(found: Comparison) -> dict[str, Any]:
    """The comparison as `wse compare --json` prints it."""
    return {
        "names": found.names,
        "cycles": found.cycles,
        "classes": [
            {
                **{name: getattr(c, name) for name in ("name", "params", "pes", "cycles")},
                **{name: [_row(pair) for pair in getattr(c, name)] for name in ("causes", "functions", "lines")},
            }
            for c in found.classes
        ],
        "only": found.only,
    }


def _row(pair: Pair) -> dict[str, Any]:
    row = {"name": pair.name, "cycles": pair.cycles, "difference": pair.difference, "text": pair.text}
    return row if pair.causes is None else row | {"causes": pair.causes}


def text(found: Comparison, most: int = 20) -> str:
    """The comparison for people: of each class its causes, functions and lines, the largest differences first."""
    a, b = found.cycles
    parts = [f"A: {found.names[0]}", f"B: {found.names[1]}", f"whole run: {_change(a, b)}"]
    for c in found.classes:
        parts += ["", *_class_text(c, most)]
    for side, names in zip("AB", found.only, strict=True):
        if names:
            parts.append(f"only in {side}: {', '.join(names)}")
    return "\n".join(parts) + "\n"


def _class_text(c: ClassPair, most: int) -> list[str]:
    ends = "" if c.pes == (1, 1) else "s"
    pes = f"{c.pes[0]} PE{ends}" if c.pes[0] == c.pes[1] else f"{c.pes[0]} and {c.pes[1]} PEs"
    params = c.params[0] if c.params[0] == c.params[1] else " | ".join(c.params)
    parts = [f"{c.name}: {pes}; cycles of a PE that are not idle: {_change(*c.cycles)}  {params}".rstrip()]
    if not any(pair.difference for pair in (*c.causes, *c.functions, *c.lines)):
        return [*parts, "  no difference"]
    for what, pairs in (("cause", c.causes), ("function", c.functions), ("line", c.lines)):
        changed = [pair for pair in pairs if pair.difference]
        parts += _table(what, changed[:most])
        if len(changed) > most:
            parts.append(f"  and {len(changed) - most} more with a difference")
    return parts


def _table(what: str, pairs: list[Pair]) -> list[str]:
    if not pairs:
        return []
    width = max(len(what), *(len(pair.name) for pair in pairs))
    parts = [f"  {'A':>12} {'B':>12} {'B - A':>12} {'':>8}  {what}"]
    for pair in pairs:
        sides = " ".join(f"{'-' if cycles is None else format(cycles, ',.1f'):>12}" for cycles in pair.cycles)
        before = pair.cycles[0]
        share = f"{pair.difference / before:+.1%}" if before else "new" if pair.cycles[0] is None else ""
        share = "gone" if pair.cycles[1] is None else share
        parts.append(f"  {sides} {pair.difference:+12,.1f} {share:>8}  {pair.name:{width}}  {pair.text}".rstrip())
        changes = [(cause, b - a) for cause, (a, b) in (pair.causes or {}).items() if abs(b - a) >= 0.05]
        if len(changes) > 1:
            changes.sort(key=lambda change: -abs(change[1]))
            words = ", ".join(f"{cause} {cycles:+,.{0 if abs(cycles) >= 10 else 1}f}" for cause, cycles in changes)
            parts.append(f"{'':52}  {'':{width}}  {words}")
    return parts


def _change(a: float, b: float) -> str:
    words = f"{a:,.0f} -> {b:,.0f}"
    if not a or not b or a == b:
        return words + (", no difference" if a == b else "")
    return f"{words}, {(b - a) / a:+.1%} ({a / b:.2f} times as fast)"
