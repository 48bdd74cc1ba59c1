"""The explorer: a self-contained page about one run, or two side by side, that works without a network.

The page has the program explorer.js, which is built from the TypeScript in the folder explorer of the repository, and
the data of the runs: one JSON document, and arrays as gzip in base64.  The browser unpacks an array when it needs it.
"""

from __future__ import annotations

import base64
import gzip
import html
import json
import re
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from .. import _engine, files
from ..errors import ConfigError
from ..fabric.run import BUSY, CAUSES, COUNTERS, Run
from ..trace import critical, intervals, reach
from . import text

MOST_INTERVALS = 4_000_000  # of a trace
MOST_SEGMENTS = 1000  # of a critical path
BUDGET = 20_000_000  # bytes of packed arrays, before base64; beyond it, planes are rounded
_HERE = Path(__file__).parent
PORTS = ("to the north", "to the east", "to the south", "to the west", "down the ramp")

# What counters count, for the title of the map.
_WORDS = {
    "scalars": "scalar instructions",
    "vectors": "vector operations started",
    "systems": "system instructions",
    "tasks": "tasks started",
    "elements": "elements of vector operations",
    "flops": "floating-point operations",
    "sram_read": "SRAM: bytes read",
    "sram_write": "SRAM: bytes written",
    "wavelets_in": "wavelets taken from input queues",
    "wavelets_out": "wavelets put into output queues",
}


class _Arrays:
    """The arrays of a page, packed."""

    def __init__(self) -> None:
        self.packed: list[bytes] = []

    def add(self, array: np.ndarray) -> dict[str, Any]:
        """Adds an array; returns its description {"at", "type", "size"}.  Integers get the smallest sufficient type."""
        array = np.ascontiguousarray(array).reshape(-1)
        if array.dtype.kind in "iu":
            array = array.astype(_smallest(int(array.max(initial=0))))
        self.packed.append(pack(array))
        return {"at": len(self.packed) - 1, "type": array.dtype.str[1:], "size": array.size}

    def replace(self, where: dict[str, Any], array: np.ndarray) -> None:
        """Replaces an array, given by its description."""
        self.packed[where["at"]] = pack(array)
        where |= {"type": array.dtype.str[1:], "size": array.size}

    @property
    def bytes(self) -> int:
        return sum(map(len, self.packed))


def pack(array: np.ndarray) -> bytes:
    """An array as gzip: the lowest bytes of all numbers, then the second ones, and so on."""
    array = array.astype(array.dtype.newbyteorder("<"), copy=False)
    planes = np.ascontiguousarray(array).view(np.uint8).reshape(-1, array.dtype.itemsize).T
    return gzip.compress(np.ascontiguousarray(planes).tobytes(), 6, mtime=0)


def _smallest(largest: int) -> type:
    for kind, top in ((np.uint8, 1 << 8), (np.uint16, 1 << 16), (np.uint32, 1 << 32)):
        if largest < top:
            return kind
    return np.float64  # exact up to 2**53, as numbers of the browser are


def write(runs: Sequence[Run], path: str | Path) -> None:
    """Write the page of one run, or of two that are compared, to `path`.

    Raises ConfigError if the file cannot be written.
    """
    arrays = _Arrays()
    planes: list[tuple[dict[str, Any], np.ndarray]] = []
    documents = [_run(run, arrays, planes) for run in runs]
    _round(arrays, planes)
    title = " and ".join(text.title(run) for run in runs)
    document = {"runs": documents, "causes": list(CAUSES)}
    data = json.dumps(document, default=str, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    parts = [
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{html.escape(title)}</title>\n<style>{_asset('explorer.css')}</style></head>\n<body>\n",
        '<noscript>This page needs JavaScript: its figures are below as JSON.</noscript><main id="explorer"></main>\n',
        f'<script type="application/json" id="data">{data}</script>\n',
    ]
    parts += [
        f'<script type="application/octet-stream" id="array{i}">{base64.b64encode(packed).decode()}</script>\n'
        for i, packed in enumerate(arrays.packed)
    ]
    parts.append(f"<script>{_asset('explorer.js')}</script>\n</body></html>\n")
    try:
        files.write_text(path, "".join(parts))
    except OSError as error:
        raise ConfigError(f"cannot write {str(path)!r}: {error.strerror or error}") from None


def _asset(name: str) -> str:
    """A built file, in which "</" cannot end the element that contains it."""
    return re.sub(r"</(?=script|style)", r"<\\/", (_HERE / name).read_text(encoding="utf-8"))


def _round(arrays: _Arrays, planes: list[tuple[dict[str, Any], np.ndarray]]) -> None:
    """Rounds planes to fewer steps, the largest ones first, until the arrays are within BUDGET."""
    for steps in (4095, 255, 63, 15):
        sizes = {id(entry): len(arrays.packed[entry["array"]["at"]]) for entry, _ in planes}
        for entry, plane in sorted(planes, key=lambda found: -sizes[id(found[0])]):
            if arrays.bytes <= BUDGET:
                return
            step = float(plane.max()) / steps
            if step > entry.get("step", 1):
                entry["step"] = step
                arrays.replace(entry["array"], np.rint(plane / step).astype(np.uint16 if steps > 255 else np.uint8))


def _run(run: Run, arrays: _Arrays, planes: list[tuple[dict[str, Any], np.ndarray]]) -> dict[str, Any]:
    """The document of a run."""
    shares = text.shares(run)
    causes = [
        {"key": name, "words": text.cause_words(name), "share": shares.get(name, 0.0), "color": text.cause_color(name)}
        for name in text.causes(run)
    ]
    document: dict[str, Any] = {
        "title": text.title(run),
        "name": text.name_of(run),
        "duration": text.duration(run),
        "headline": text.headline(run) if run.cycles else "",
        "width": run.width,
        "height": run.height,
        "cycles": run.cycles,
        "ended": run.ended,
        "figures": text.figures(run),
        "causes": causes,
        "meta": run.meta,
        "busy": list(BUSY),
        "planes": _planes(run, arrays, planes),
        "colors": [
            [color, run.colors[color].tolist()] for color in np.flatnonzero(run.colors.any(axis=(1, 2))).tolist()
        ],
        "ports": list(PORTS),
        "opcodes": sorted(run.opcodes.items(), key=lambda item: -item[1]),
    }
    if len(run.series) and run.cycles:
        lengths = text.bin_lengths(run)
        series = run.series[: len(lengths)]
        document["series"] = {"bin": run.bin_cycles, "lengths": lengths.tolist(), "rows": series.T.tolist()}
        if run.activity is not None:
            document["series"] |= {"activity": arrays.add(run.activity[: len(lengths)]), "step": run.activity_step}
    if run.events is not None:
        document["trace"] = _trace(run, arrays)
    if run.detail is not None:
        document |= _detail(run, arrays)
    if run.events is not None and run.detail is not None and not run.events_dropped:
        document["path"] = _path(run)
    return document


def _planes(run: Run, arrays: _Arrays, planes: list[tuple[dict[str, Any], np.ndarray]]) -> list[dict[str, Any]]:
    """The measures of the map.  One that is 0 everywhere has no array."""
    causes = set(text.causes(run))
    found = [
        *((name, "cause", text.cause_words(name), run.counters[name]) for name in text.causes(run)),
        *((name, "count", _WORDS.get(name, name), run.counters[name]) for name in COUNTERS if name not in causes),
        *((f"link{i}", "link", f"wavelets {port}", run.links[i]) for i, port in enumerate(PORTS)),
        *((f"blocked{i}", "wait", f"wavelets waiting to go {port}", run.blocked[i]) for i, port in enumerate(PORTS)),
    ]
    if run.detail is not None and any(one.memory for one in run.detail.classes):
        found.append(("sram_used", "count", "SRAM: bytes in use", run.detail.sram_used()))
    entries = []
    for key, group, words, plane in found:
        entry: dict[str, Any] = {"key": key, "group": group, "words": words}
        if plane.any():
            entry["array"] = arrays.add(plane)
            planes.append((entry, plane))
        entries.append(entry)
    return entries


def _trace(run: Run, arrays: _Arrays) -> dict[str, Any]:
    """The intervals of the trace, by PE."""
    table, names, left = intervals.intervals(run, MOST_INTERVALS)
    counts = np.bincount(table["pe"], minlength=run.pes)
    here = np.flatnonzero(counts)
    return {
        "names": names,
        "kinds": list(intervals.KINDS),
        "pes": arrays.add(here),
        "counts": arrays.add(counts[here]),
        "left": left,
        "dropped": run.events_dropped,
        "until": int(table["start"].max(initial=0)),
        **{name: arrays.add(table[name]) for name in ("lane", "kind", "name", "start")},
        "length": arrays.add(table["end"] - table["start"]),
    }


def _path(run: Run) -> dict[str, Any]:
    """The critical path: its sums, its longest segments in order of cycles, and the PEs that it goes over."""
    path = critical.path(run)
    longest = sorted(path, key=lambda segment: segment.start - segment.end)[:MOST_SEGMENTS]
    return {
        "sums": [[critical.words(one.kind, one.name), one.cycles, one.segments] for one in critical.sums(path)],
        "segments": [
            [s.pe, s.start, s.end, critical.words(s.kind, s.name)] for s in sorted(longest, key=lambda s: s.start)
        ],
        "count": len(path),
        "pes": [pe for pe, _ in groupby(segment.pe for segment in path)],
    }


def _detail(run: Run, arrays: _Arrays) -> dict[str, Any]:
    """Classes, code, routes, and the waits of a deadlock."""
    detail = run.detail
    assert detail is not None
    counts = np.bincount(detail.class_of.reshape(-1), minlength=len(detail.classes))
    classes = []
    for one, pes in zip(detail.classes, counts.tolist(), strict=False):
        entry = {"name": one.name, "pes": pes, "tasks": one.tasks, "code": one.code, "lines": one.lines}
        entry |= {"places": one.places, "memory": one.memory}
        if one.profile is not None and pes:
            entry["profile"] = arrays.add(one.profile / pes)
        classes.append(entry)
    routes = []
    for color, plane in sorted(detail.routes.items()):
        if not plane.any():
            continue
        words, where = np.unique(plane, return_inverse=True)
        positions = [route_positions(int(word)) for word in words]
        routes.append({"color": color, "words": positions, "array": arrays.add(where)})
    names = [[color, name] for color, name in sorted(detail.colors.items())]
    found = {"classes": classes, "class_of": arrays.add(detail.class_of), "routes": routes, "names": names}
    if detail.links:
        used = sorted(color for color, planes in detail.links.items() if planes.any())
        kept = len(arrays.packed)
        found["links"] = [[color, [arrays.add(plane) for plane in detail.links[color]]] for color in used]
        if arrays.bytes > BUDGET:  # the other figures come first
            del found["links"], arrays.packed[kept:]
    found |= {"states": _states(detail.states, arrays), "fp16": detail.fp16} if detail.states is not None else {}
    return found | ({"waits": detail.waits} if detail.waits else {})


def _states(states: Any, arrays: _Arrays) -> dict[str, Any]:
    """What a few PEs held over time: wse.fabric.states.States."""
    return {
        "cycles": states.cycles,
        "pes": states.pes,
        "queues": states.queues,
        "main": arrays.add(states.main),
        "registers": arrays.add(states.registers),
        "dsrs": arrays.add(states.dsrs.astype(np.float64)),
        "memory": arrays.add(states.memory),
        "changes": {name: arrays.add(states.changes[name]) for name in states.changes.dtype.names or ()},
    }


def route_positions(word: int) -> list[list[int]]:
    """The switch positions of a router's configuration word, the initial one first: masks [rx, tx], bit 0 for N."""
    found = [list(masks) for masks in reach.positions(word)]
    first = word >> _engine.ROUTE_POS & 3
    return found[first:] + found[:first]
