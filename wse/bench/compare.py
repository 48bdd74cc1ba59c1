"""Two measurements of `wse bench` beside each other: ratios of medians, spreads, and what else differs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from ..records import dataclass
from . import document
from .document import Figures, Rows

# What a computer's description (runner.host) must agree in for ratios to tell about the engine; in words.
_MACHINE = {
    "cpu": "processor",
    "cores": "cores",
    "vectors": "vector instructions",
    "memory_bytes": "bytes of memory",
    "caches": "caches",
    "system": "system",
    "python": "Python",
}


@dataclass(frozen=True)
class Ratio:
    """A case in both measurements.

    figure: "wavelet-hops/s" or another rate, or "seconds".  old, new: of the median sample.  old_spread, new_spread:
    of the slowest to the fastest sample in percent of the median; None if there was one sample, or if the file does not
    say.
    """

    case: str
    threads: int
    figure: str
    old: float
    new: float
    ratio: float
    old_spread: float | None
    new_spread: float | None


def ratios(old: Sequence[Figures], new: Sequence[Figures]) -> list[Ratio]:
    """A row for each case that both have, with as many threads, on the same grid."""
    before = _by_case(old)
    found = []
    for place, now in _by_case(new).items():
        if place not in before or before[place]["grid"] != now["grid"]:
            continue
        kind, was = document.main_rate(now), before[place]
        if kind is not None and not was[kind]:
            continue
        values = [_value(case, kind) for case in (was, now)]
        spreads = [_spread(case, kind) for case in (was, now)]
        name = "seconds" if kind is None else document.RATES[kind]
        found.append(Ratio(*place, name, *values, values[1] / values[0], *spreads))
    return found


def _by_case(found: Sequence[Figures]) -> dict[tuple[str, int], Figures]:
    return {(case["case"], case["threads"]): case for case in found}


def _value(case: Figures, kind: str | None) -> float:
    return document.duration(case) if kind is None else case["median"][kind]


def _spread(case: Figures, kind: str | None) -> float | None:
    if kind is None or case["samples"] < 2 or "least" not in case:
        return None
    return 100 * (case[kind] - case["least"][kind]) / case["median"][kind]


def remarks(old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
    """Sentences about what makes the ratios doubtful, or leaves cases out."""
    was, now = old["machine"], new["machine"]
    for key, words in _MACHINE.items():
        if was.get(key) != now.get(key):
            yield f"the machines differ: {words} {_shown(was.get(key))} before, {_shown(now.get(key))} now"
    engines = [machine.get("engine", "")[:12] for machine in (was, now)]
    if not all(engines):
        yield "whether the builds differ is not known: a file does not name the engine's sources"
    elif engines[0] != engines[1] or was["wse"] != now["wse"]:
        names = [f"wse {machine['wse']}, engine {engine}" for machine, engine in zip((was, now), engines, strict=True)]
        yield f"the builds differ: {names[0]} before, {names[1]} now"
    else:
        yield f"the builds are the same: wse {now['wse']}, engine {engines[1]}"
    before, after = _by_case(old["cases"]), _by_case(new["cases"])
    for there, others, when in ((before, after, "before"), (after, before, "now")):
        if only := [f"{name} ({threads})" for name, threads in there if (name, threads) not in others]:
            yield f"measured only {when}: {', '.join(only)}"
    for place in before.keys() & after.keys():
        one, other = before[place], after[place]
        which = f"{place[0]} ({place[1]})"
        if one["grid"] != other["grid"]:
            yield f"{which} is left out: {_pes(one)} PEs before, {_pes(other)} now"
        elif one["samples"] == other["samples"] and one["cycles"] != other["cycles"]:  # of all samples
            yield f"{which} took {one['cycles']:,} cycles before, {other['cycles']:,} now"


def _pes(case: Figures) -> str:
    return " x ".join(map(str, case["grid"]))


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {text}" for name, text in value.items()) or "none"
    return "none" if value is None else str(value)


def compared(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """Both in JSON: {"ratios": [...], "remarks": [...]}."""
    return {
        "ratios": [asdict(row) for row in ratios(old["cases"], new["cases"])],
        "remarks": list(remarks(old, new)),
    }


def table(rows: Sequence[dict[str, Any]]) -> Rows:
    """The rows of `ratios` as a table."""
    head = ("case", "threads", "figure", "old", "new", "new / old", "spread old", "spread new")
    cells = [
        (
            row["case"],
            str(row["threads"]),
            row["figure"],
            *(
                document.seconds(row[when]) if row["figure"] == "seconds" else document.si(row[when])
                for when in ("old", "new")
            ),
            f"{row['ratio']:.2f}",
            *("" if row[name] is None else f"{row[name]:.0f} %" for name in ("old_spread", "new_spread")),
        )
        for row in rows
    ]
    return head, cells, (1, 3, 4, 5, 6, 7)
