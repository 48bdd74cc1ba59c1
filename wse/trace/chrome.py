"""The Chrome trace format: JSON, one object per event.  Files are larger than Perfetto's; more viewers read them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from ..fabric.run import Run
from .events import BEGIN, END, actions, lane_name, lanes

PHASES = {BEGIN: "B", END: "E"}


def lines(run: Run) -> Iterator[str]:
    """Yield the text of the file, one event at a time."""
    yield '{"displayTimeUnit": "ns", "traceEvents": ['
    separator = "\n"
    for entry in entries(run):
        yield separator + json.dumps(entry)
        separator = ",\n"
    yield "\n]}\n"


def entries(run: Run) -> Iterator[dict[str, Any]]:
    """Yield the objects of the file: names of PEs and lanes, then events.  A cycle is 0.001 microseconds."""
    numbers = {lane: number for number, lane in enumerate(lanes(run))}
    for pe in sorted({pe for pe, _ in numbers}):
        name = f"PE ({pe % run.width}, {pe // run.width})"
        yield {"ph": "M", "name": "process_name", "pid": pe, "args": {"name": name}}
    for (pe, lane), number in numbers.items():
        yield {"ph": "M", "name": "thread_name", "pid": pe, "tid": number, "args": {"name": lane_name(lane)}}
    for what, cycle, pe, lane, name, _, value in actions(run):
        entry = {"ph": PHASES.get(what, "i"), "name": name, "ts": cycle / 1000, "pid": pe, "tid": numbers[pe, lane]}
        if value is not None:
            entry |= {"s": "t", "args": {"value": value}}
        yield entry
