"""The events of a run as arrays of intervals: tasks, operations, waits and landings, by PE; fast for large traces.

`wse.trace.events.actions` yields their begins and ends one by one.
"""

from __future__ import annotations

import numpy as np

from ..fabric.run import Run
from .events import CONTROL, SPANS, Names, in_order, instruction, kind_name, kinds, wait_name

KINDS = ("task", "operation", "wait", "landing")
LANDING = KINDS.index("landing")
MAIN, RAMP = 255, 254  # lanes: the main thread; wavelets that go down the ramp.  The others are microthreads.
INTERVAL = np.dtype([("pe", "<u4"), ("lane", "u1"), ("kind", "u1"), ("name", "<u4"), ("start", "<u8"), ("end", "<u8")])


def intervals(run: Run, most: int | None = None) -> tuple[np.ndarray, list[str], int]:
    """(array of INTERVAL by PE and start, names, intervals left out) of a run with events.

    kind: index into KINDS.  name: index into the names.  end: the cycle after the last one; the end of the run for an
    interval without an end.  most: the number to keep, those that start first; None keeps all.
    """
    events = in_order(run)
    events = events[events["pe"] < run.pes]  # a damaged file may have others
    table = numbered(events, max(int(run.cycles), int(events["cycle"][-1]) if len(events) else 0))
    left = 0
    if most is not None and len(table) > most:
        left = len(table) - most
        kept = np.sort(np.argsort(table["start"], kind="stable")[:most])
        table = table[kept]
    words = Names(run)
    known: dict[int, int] = {}
    names: list[str] = []
    key = table["kind"].astype(np.int64) << 16 | table["name"]
    for found in np.unique(key).tolist():
        known[found] = len(names)
        names.append(_name(words, found >> 16, found & 0xFFFF))
    lookup = np.zeros(LANDING + 1 << 16, np.uint32)
    lookup[list(known)] = list(known.values())
    table["name"] = lookup[key]
    return table, names, left


def numbered(events: np.ndarray, last: int) -> np.ndarray:
    """Array of INTERVAL by PE and start of events in order of cycles.

    name: the number of the task, instruction, cause or color.  last: the end of intervals that have none.
    """
    parts = [_spans(events, kind, last) for kind in KINDS[:LANDING]]
    landing = events[events["kind"] == _numbers()["LAND"]]
    part = np.empty(len(landing), INTERVAL)
    part["pe"], part["lane"], part["kind"], part["name"] = landing["pe"], RAMP, LANDING, landing["a"]
    part["start"] = part["end"] = landing["cycle"]
    table = np.concatenate([*parts, part])
    return table[np.lexsort((table["kind"], table["start"], table["pe"]))]


def _numbers() -> dict[str, int]:
    return {row[0]: number for number, row in enumerate(kinds())}


def _spans(events: np.ndarray, kind: str, last: int) -> np.ndarray:
    """The intervals of one kind.  A lane has one of them at a time: a start is followed by its end."""
    numbers = [number for row, number in _numbers().items() if SPANS.get(row) == kind]
    starts = [number for number in numbers if kind_name(number).endswith("START")]
    found = events[np.isin(events["kind"], numbers)]
    lane = np.full(len(found), MAIN, np.uint8) if kind == "task" else found["b"].astype(np.uint8)
    order = np.lexsort((lane, found["pe"]))  # stable: by PE and lane, in order of cycles
    found, lane = found[order], lane[order]
    begins = np.isin(found["kind"], starts)
    end = np.full(len(found), last, np.uint64)
    if len(found) > 1:
        same = (found["pe"][1:] == found["pe"][:-1]) & (lane[1:] == lane[:-1])
        end[:-1][same] = found["cycle"][1:][same]
    table = np.empty(int(begins.sum()), INTERVAL)
    table["pe"], table["lane"], table["name"] = found["pe"][begins], lane[begins], found["a"][begins]
    table["start"], table["end"], table["kind"] = found["cycle"][begins], end[begins], KINDS.index(kind)
    return table


def _name(names: Names, kind: int, number: int) -> str:
    match KINDS[kind]:
        case "task":
            return names.task(number)
        case "operation":
            return instruction(number)
        case "wait":
            return wait_name(number)
    return names.color(number % (2 * CONTROL))
