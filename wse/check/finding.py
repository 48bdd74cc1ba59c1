"""A finding of a checked run."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from ..records import dataclass

# Kinds of findings, by the name in messages, suppression files and JSON, and what each means.
KINDS = {
    "unwritten": "memory is read that was never written",
    "bounds": "a descriptor leaves its array",
    "outside": "an address belongs to no variable",
    "code": "the program's code is overwritten",
    "race": "two threads use a word in an order that timing decides",
    "interleaved": "wavelets of two senders are mixed in one message",
    "activated": "a task is activated while it is active",
    "fifo": "a FIFO is not empty at the end",
    "queue": "a queue is not empty at the end",
    "undelivered": "wavelets have no receiver",
    "position": "a launch finds a switch in another position than the first one",
    "filter": "a launch finds a filter at another count than the first one",
}


@dataclass(frozen=True)
class Finding:
    """A finding.

    - kind: one of KINDS.
    - x, y, cycle: the PE and cycle of the first occurrence.
    - where: instruction, place in the source and task, or "".  line: the text of that line of the source, or "".
    - message: what is wrong.  advice: what to do about it.
    - count: occurrences on all PEs of the class.
    """

    kind: str
    x: int
    y: int
    cycle: int
    where: str
    message: str
    advice: str = ""
    line: str = ""
    count: int = 1

    def __str__(self) -> str:
        place = ", ".join(filter(None, [f"PE ({self.x}, {self.y})", f"cycle {self.cycle:,}", self.where]))
        times = f" [{self.count:,} times]" if self.count > 1 else ""
        advice = f"; {self.advice}" if self.advice else ""
        return f"{self.kind}: {self.message} ({place}){times}{advice}" + (f"\n    {self.line}" if self.line else "")

    def json(self) -> dict[str, Any]:
        """The fields, for JSON."""
        return {
            "kind": self.kind,
            "pe": [self.x, self.y],
            "cycle": self.cycle,
            "where": self.where,
            "message": self.message,
            "advice": self.advice,
            "line": self.line,
            "count": self.count,
        }


def merged(found: Iterable[Finding]) -> list[Finding]:
    """Merges findings that differ only in their class of PEs: keeps the first, with the sum of the counts."""
    groups: dict[tuple[str, ...], list[Finding]] = {}
    for one in found:
        key = (one.kind, one.where, re.sub(r"\d+", "", one.message)) if one.where else (str(one),)
        groups.setdefault(key, []).append(one)
    firsts = [min(group, key=lambda one: (one.cycle, one.y, one.x)) for group in groups.values()]
    counts = [sum(one.count for one in group) for group in groups.values()]
    return [replace(first, count=count) for first, count in zip(firsts, counts, strict=True)]


def summary(found: list[Finding]) -> str:
    """How many findings there are: `3 findings (2 bounds, 1 race)`."""
    kinds = {one.kind: sum(other.kind == one.kind for other in found) for one in found}
    parts = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
    return f"{len(found)} {'finding' if len(found) == 1 else 'findings'}" + (f" ({parts})" if parts else "")
