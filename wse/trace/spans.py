"""Trace files of spans on named tracks, such as the streams and operators of a training step.

Viewers show one cycle as one nanosecond.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Protocol

from .. import files
from ..errors import ConfigError
from .perfetto import (
    CLEARED,
    EVENT_NAMES,
    FABRIC,
    FLAGS,
    INTERNED,
    NAME_IID,
    TIMESTAMP,
    TRACK,
    TRACK_EVENT,
    TYPE,
    integer,
    message,
    packet,
    process,
    thread,
)

ENDINGS = (".pftrace", ".json")
_BASE = 1 << 24  # above any pid
_BEGIN, _END = 1, 2  # TrackEvent.Type


class Span(Protocol):
    """A span from cycle `begin` to before cycle `end`.  Spans of a track do not overlap.  bound_by: "" if unknown."""

    @property
    def track(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def phase(self) -> str: ...
    @property
    def begin(self) -> int: ...
    @property
    def end(self) -> int: ...
    @property
    def bound_by(self) -> str: ...


def check(path: str | Path) -> Path:
    """The path.  Raises ConfigError for an unknown ending or a missing folder."""
    path = Path(path)
    if path.suffix not in ENDINGS:
        raise ConfigError(f"a timeline is written as {' or '.join(ENDINGS)}, not as {str(path)!r}")
    if not path.parent.is_dir():
        raise ConfigError(f"cannot write {str(path)!r}: there is no folder {str(path.parent)!r}")
    return path


def write(spans: Iterable[Span], path: str | Path, title: str = "wse") -> Path:
    """Write spans to a file; returns the path.  path: its ending, one of ENDINGS, selects the format.

    title: name of the process in the viewer.  Raises ConfigError as `check`.
    """
    path = check(path)
    if path.suffix == ".json":
        events = {"displayTimeUnit": "ns", "traceEvents": list(_entries(list(spans), title))}
        files.write_text(path, json.dumps(events))
    else:
        files.write_bytes(path, b"".join(_packets(list(spans), title)))
    return path


def _tracks(spans: list[Span]) -> dict[str, int]:
    return {track: number for number, track in enumerate(dict.fromkeys(span.track for span in spans), 1)}


def _label(span: Span) -> str:
    return f"{span.phase} {span.name}".strip() + (f" [{span.bound_by}]" if span.bound_by else "")


def _entries(spans: list[Span], title: str) -> Iterator[dict[str, Any]]:
    yield {"ph": "M", "name": "process_name", "pid": FABRIC, "args": {"name": title}}
    tracks = _tracks(spans)
    for track, tid in tracks.items():
        yield {"ph": "M", "name": "thread_name", "pid": FABRIC, "tid": tid, "args": {"name": track}}
    for span in spans:
        yield {
            "ph": "X",
            "name": span.name,
            "ts": span.begin / 1000,
            "dur": (span.end - span.begin) / 1000,
            "pid": FABRIC,
            "tid": tracks[span.track],
            "args": {"phase": span.phase, "bound_by": span.bound_by},
        }


def _packets(spans: list[Span], title: str) -> Iterator[bytes]:
    yield packet(integer(FLAGS, CLEARED))
    yield process(FABRIC, title)
    tracks = _tracks(spans)
    for track, tid in tracks.items():
        yield thread(_BASE + tid, FABRIC, _BASE + tid, track)
    names: dict[str, int] = {}
    events = []
    for order, span in enumerate(spans):
        # In the same cycle, ends come before begins.
        events.append((span.begin, 1, order, span))
        events.append((max(span.end, span.begin + 1), 0, order, span))
    for cycle, begins, _, span in sorted(events, key=lambda event: event[:3]):
        content = integer(TYPE, _BEGIN if begins else _END) + integer(TRACK, _BASE + tracks[span.track])
        interned = b""
        if begins:
            label = _label(span)
            if label not in names:
                names[label] = len(names) + 1
                interned = message(INTERNED, message(EVENT_NAMES, integer(1, names[label]) + message(2, label)))
            content += integer(NAME_IID, names[label])
        yield packet(integer(TIMESTAMP, cycle) + interned + message(TRACK_EVENT, content) + integer(FLAGS, 2))
