"""Run: the measurements of a run.  A Run can be compared, pickled, saved to an .npz file and loaded."""

from __future__ import annotations

import json
from dataclasses import field, fields
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from .. import _engine, files, npz
from ..errors import ConfigError
from ..machine.digest import check_digest, tables_digest
from ..records import dataclass
from . import frames
from .detail import Detail

ENDED = ("done", "limit", "deadlock", "interrupted", "fault")
EVENT = np.dtype([("cycle", "<u8"), ("pe", "<u4"), ("kind", "<u2"), ("a", "<u2"), ("b", "<u4")])
COUNTERS = tuple(row[0].lower() for row in _engine.counters())
BUSY = tuple(name for name in COUNTERS if name.startswith("busy_"))
STALLS = tuple(name for name in COUNTERS if name.startswith("stall_"))
CAUSES = tuple(row[0].lower() for row in _engine.causes())  # of profiles: rows of csrc/tables/causes.def
FORMAT = 1  # of the file
PICTURES = "wse.report"  # draws runs; imported by name when a picture is asked for, as it imports this module


@dataclass(eq=False)
class Run:
    """The measurements of a run; made by `Fabric.run`.

    - machine, profile, width, height, clock_hz: the machine, the PEs of the program, and the clock in Hz.
    - cycles: cycles up to the last activity.
    - ended: "done", "limit", "deadlock", "interrupted" or "fault".
    - counters: uint64 [h, w] per PE, by lower-case name of a row of csrc/tables/counters.def.
    - links, blocked: uint64 [5, h, w], wavelets that left by each port (N, E, S, W, ramp), and cycles they waited.
    - colors: uint64 [24, 5, 2], sums of links and blocked over the fabric, per color and port.
    - opcodes: number of executed instructions, by name.
    - series: uint64 [bins, 4] over bin_cycles cycles each: busy slots, hops, flops, slots stalled on the fabric.
    - activity: uint64 [bins, h, w], busy slots; None if not recorded.  On large grids [bins, h, ceil(w / step)]: sums
      over `activity_step` PEs of a row.
    - events: array of EVENT, the trace; None if not recorded.  events_dropped: events beyond the trace's capacity.
    - wall_seconds: time on the host, in seconds.
    - meta: further values, by the caller; they can be encoded as JSON.
    - detail: the program and the waits of a deadlock, for pages (wse.fabric.detail.Detail); None if not recorded.

    `==` compares everything but wall_seconds, meta and detail.
    """

    machine: str
    profile: str
    width: int
    height: int
    clock_hz: int
    cycles: int
    ended: str
    counters: dict[str, np.ndarray]
    links: np.ndarray
    blocked: np.ndarray
    colors: np.ndarray
    opcodes: dict[str, int]
    series: np.ndarray
    bin_cycles: int
    activity: np.ndarray | None = None
    events: np.ndarray | None = None
    events_dropped: int = 0
    wall_seconds: float = 0.0
    meta: dict[str, Any] = field(default_factory=dict)
    detail: Detail | None = None

    # Derived.

    @property
    def pes(self) -> int:
        """The number of PEs."""
        return self.width * self.height

    @property
    def activity_step(self) -> int:
        """PEs of a row that share a number of `activity`: 1, or a power of two."""
        step = 1
        while self.activity is not None and -(-self.width // step) > self.activity.shape[2]:
            step *= 2
        return step

    @property
    def seconds(self) -> float:
        """Run time on the machine in seconds: cycles over clock_hz."""
        return self.cycles / self.clock_hz

    def total(self, counter: str) -> int:
        """The sum of a counter over all PEs.  Raises KeyError if there is no such counter."""
        return int(self.counters[counter].sum(dtype=np.uint64))

    @property
    def pe_cycles(self) -> int:
        """Cycles times PEs: the base of utilization and stall shares."""
        return self.cycles * self.pes

    @property
    def busy(self) -> np.ndarray:
        """uint64 [h, w]: busy slots, the sum of the busy_ counters."""
        return sum((self.counters[name] for name in BUSY), np.zeros((self.height, self.width), np.uint64))

    @property
    def utilization(self) -> float:
        """Busy slots over PE-cycles, 0 to 1."""
        return float(self.busy.sum(dtype=np.uint64)) / self.pe_cycles if self.cycles else 0.0

    @property
    def stalls(self) -> dict[str, float]:
        """Share of PE-cycles, 0 to 1, by cause: input, output, bank, start, branch, latency, task; and idle."""
        shares = {name.removeprefix("stall_"): self.total(name) for name in STALLS} | {"idle": self.total("idle")}
        return {cause: count / self.pe_cycles if self.cycles else 0.0 for cause, count in shares.items()}

    @property
    def wavelet_hops(self) -> int:
        """The number of hops: wavelets that passed a link between routers."""
        return int(self.links[: _engine.RAMP].sum(dtype=np.uint64))

    @property
    def flops(self) -> int:
        """Floating-point operations of all PEs."""
        return self.total("flops")

    # For people.

    def __repr__(self) -> str:
        kernel = self.meta.get("kernel")
        words = f"{kernel} on {self.machine}" if kernel else self.machine
        share = f", utilization {100 * self.utilization:.1f} %" if self.cycles else ""
        ended = "" if self.ended == "done" else f", ended: {self.ended}"
        place = f"{self.width} x {self.height} PEs"
        return f"Run({words} ({self.profile}), {place}: {self.cycles:,} cycles{share}{ended})"

    def _repr_html_(self) -> str:
        """Figures and a picture, for notebooks."""
        return import_module(f"{PICTURES}.notebook").html(self)

    def plot(self, kind: str = "summary", ax: Any = None) -> Any:
        """Draws a picture with matplotlib: "summary", "heatmap", "stalls", "links", "timeline" or "schedule".

        ax: matplotlib Axes to draw into; a picture that consists of several takes the place of the axes, which must be
        of a grid of subplots.  Returns the Figure.  Raises ConfigError for an unknown kind, and for a run that lacks
        what the picture shows.
        """
        return import_module(PICTURES).draw(self, kind, ax)

    def to_xarray(self) -> Any:
        """An xarray Dataset of all measurements over the PEs, ports, colors and time; see wse.fabric.frames.dataset.

        Raises ConfigError if xarray is not installed.
        """
        return frames.dataset(self)

    def to_dataframe(self) -> Any:
        """A pandas DataFrame with a row for each PE; see wse.fabric.frames.dataframe.

        Raises ConfigError if pandas is not installed.
        """
        return frames.dataframe(self)

    # Comparison.

    def diff(self, other: Run) -> list[str]:
        """Names of the fields and counters that differ; wall_seconds, meta and detail are not compared."""
        found = []
        for f in fields(self):
            if f.name in ("wall_seconds", "meta", "detail"):
                continue
            mine, theirs = getattr(self, f.name), getattr(other, f.name)
            if f.name == "counters":
                names = sorted(mine.keys() | theirs.keys())
                found += [n for n in names if not _equal(mine.get(n), theirs.get(n))]
            elif not _equal(mine, theirs):
                found.append(f.name)
        return found

    def same(self, other: Run) -> bool:
        """Whether `diff` is empty; the same as `==`."""
        return not self.diff(other)

    def __eq__(self, other: object) -> bool:
        return self.same(other) if isinstance(other, Run) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    # The file.

    def save(self, path: str | Path) -> None:
        """Writes a compressed .npz file, atomically.  `.npz` is appended to a path without it, as by NumPy."""
        plain = {name: getattr(self, name) for name in _PLAIN}
        arrays = {name: getattr(self, name) for name in _ARRAYS if getattr(self, name) is not None}
        arrays |= {_COUNTER + name: plane for name, plane in self.counters.items()}
        if self.detail is not None:
            plain["detail"] = self.detail.plain()
            arrays |= {_DETAIL + name: array for name, array in self.detail.arrays().items()}
        header = json.dumps({"format": FORMAT, "tables": tables_digest()} | plain, sort_keys=True).encode()
        path = str(path) if str(path).endswith(".npz") else f"{path}.npz"
        with files.replacing(path, durable=True) as file:
            np.savez_compressed(file, run=np.frombuffer(header, np.uint8), **arrays)

    @classmethod
    def load(cls, path: str | Path) -> Run:
        """Reads a file of `save`.

        Raises ConfigError if the file cannot be read, holds no run, or was recorded with other tables of instructions
        or machine figures.
        """
        try:
            with npz.Archive(path) as archive:
                return cls._from_archive(archive, str(path))
        except OSError as error:
            if error.strerror:
                raise ConfigError(f"run file {path}: {error.strerror}") from None
            raise ConfigError(f"{path} is no run file: {error}") from None
        except npz.UNREADABLE as error:
            raise ConfigError(f"{path} is no run file: {str(error) or type(error).__name__}") from None

    @classmethod
    def _from_archive(cls, archive: npz.Archive, path: str) -> Run:
        arrays = dict(archive.entries)  # headers only, until all are checked
        header = arrays.pop("run", None)
        if header is None or header.dtype != np.uint8 or header.nbytes > _HEADER_LIMIT:
            raise _Bad("it has no record of a run")
        plain = json.loads(archive.read("run").tobytes())
        if not isinstance(plain, dict) or plain.pop("format", None) != FORMAT:
            raise _Bad(f"it is not of format {FORMAT}")
        check_digest(plain.pop("tables", None), f"run file {path}", "record the run again with --save")
        described = plain.pop("detail", None)
        for name, kind in _PLAIN.items():
            if not isinstance(plain.get(name), kind) or isinstance(plain.get(name), bool):
                raise _Bad(f"its {name} is missing or wrong")
        if plain.keys() - _PLAIN.keys():
            raise _Bad(f"it has unknown fields: {', '.join(sorted(plain.keys() - _PLAIN.keys()))}")
        if plain["ended"] not in ENDED or min(plain["width"], plain["height"], plain["clock_hz"]) < 1:
            raise _Bad("its fields are out of range")
        if min(plain["cycles"], plain["bin_cycles"], plain["events_dropped"], plain["wall_seconds"]) < 0:
            raise _Bad("its fields are out of range")
        counters = {n.removeprefix(_COUNTER): arrays.pop(n) for n in list(arrays) if n.startswith(_COUNTER)}
        plane = (plain["height"], plain["width"])
        bins = arrays["series"].shape[:1] if "series" in arrays else ()
        found = [n for n in arrays if n.startswith(_DETAIL) and described is not None]
        details = {n.removeprefix(_DETAIL): arrays.pop(n) for n in found}
        shapes: dict[str, tuple[Any, tuple[int, ...]]] = {
            "links": (np.uint64, (_engine.PORTS, *plane)),
            "blocked": (np.uint64, (_engine.PORTS, *plane)),
            "colors": (np.uint64, (_engine.COLORS, _engine.PORTS, 2)),
            "series": (np.uint64, (*bins, 4)),
            "activity": (np.uint64, (*bins, plane[0], _places(arrays.get("activity"), plane[1]))),
            "events": (EVENT, arrays["events"].shape[:1] if "events" in arrays else ()),
        }
        for name, array in arrays.items():
            types: tuple[Any, ...] = (shapes[name][0], _WAS.get(name, shapes[name][0])) if name in shapes else ()
            if array.dtype not in types or array.shape != shapes[name][1]:
                raise _Bad(f"its array {name} is unknown or of wrong shape")
        if missing := {"links", "blocked", "colors", "series"} - arrays.keys() or set(COUNTERS) - counters.keys():
            raise _Bad(f"it has no {', '.join(sorted(missing))}")
        for name, counter in counters.items():
            if counter.dtype != np.uint64 or counter.shape != plane:
                raise _Bad(f"its counter {name} is of wrong shape")
        if not all(isinstance(count, int) for count in plain["opcodes"].values()):
            raise _Bad("its opcodes are wrong")
        known: dict[str, Any] = plain | {
            name: archive.read(name).astype(shapes[name][0], copy=False) for name in arrays
        }
        if described is not None:
            known["detail"] = Detail.of(described, {n: archive.read(_DETAIL + n) for n in details}, plane)
        return cls(**known, counters={name: archive.read(_COUNTER + name) for name in counters})


_ARRAYS = ("links", "blocked", "colors", "series", "activity", "events")
# Types in files that were written before these counts were widened.
_WAS = {"links": np.uint32, "blocked": np.uint32, "activity": np.uint16}
_COUNTER, _DETAIL = "counter_", "detail_"
_HEADER_LIMIT = 1 << 26  # bytes
_PLAIN: dict[str, Any] = {
    "machine": str,
    "profile": str,
    "width": int,
    "height": int,
    "clock_hz": int,
    "cycles": int,
    "ended": str,
    "opcodes": dict,
    "bin_cycles": int,
    "events_dropped": int,
    "wall_seconds": int | float,
    "meta": dict,
}


def _places(activity: npz.Entry | None, width: int) -> int:
    """The numbers of a row that an activity of a file has: one for each 1, 2, 4 ... PEs."""
    places = activity.shape[2] if activity is not None and len(activity.shape) == 3 else width
    return places if places in {-(-width // (1 << bits)) for bits in range(7)} else width


class _Bad(ValueError):
    """A file that can be read, but holds no run."""


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return a.dtype == b.dtype and np.array_equal(a, b)
    return type(a) is type(b) and not isinstance(a, np.ndarray) and bool(a == b)
