"""Fabric: an engine with a loaded program.  Streams, launches, runs and measurements; copies.py has host copies."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any, Literal

import numpy as np

from .. import _engine
from .._version import __version__
from ..errors import ConfigError, ProgramError, RouteError
from ..machine import isa
from ..program import route
from ..program.image import Image, PEImage
from ..program.program import Program
from ..program.symbol import Color
from . import diagnosis
from .checked import CheckedRuns
from .copies import HostCopies
from .describe import Details, row_part
from .detail import MOST_PES
from .errors import DeadlockError, FabricFault
from .host_colors import HostColors
from .profiles import Profiles
from .run import COUNTERS, EVENT, Run
from .snapshot import Snapshots
from .states import Recorder
from .stream import Segment, StreamIn, StreamOut, pace
from .watch import SPOOLED, Spool, Watch

FOREVER = 2**63
TEAMS = {"fastest": 0, "all": 1, "in turn": 2}  # the wse_team of csrc/wse.h
PORTABLE: dict[bool | str, int] = {False: 0, True: 1, "avx2": 2}  # the wse_portable of csrc/wse.h
_CHUNK_SECONDS = 0.05  # duration of a chunk: between checks for Ctrl-C and calls of `progress`
_CHUNK_PE_CYCLES = 1 << 22  # PE-cycles of the first chunk, before the speed is known
_CHUNK_EVENTS = 1 << 20  # events of a chunk, about, that are in memory at a time
_ENGINE_EVENT = np.dtype(
    {
        "names": ["cycle", "pe", "kind", "a", "b"],
        "formats": ["<u8", "<u4", "<u2", "<u2", "<u4"],
        "offsets": [0, 8, 12, 14, 16],
        "itemsize": _engine.EVENT_BYTES,
    }
)


class Fabric(HostCopies, HostColors, Snapshots, Profiles, CheckedRuns, Details):
    """An emulated fabric with a loaded program, at cycle 0.

    - program: a `Program`, or an `Image` such as compiled CSL makes.
    - threads: host threads, 1 to 64; a run uses at most as many as the host has processors.
    - trace: capacity of the event trace, in events; 0: no trace.
    - watch: which events are traced, and where they are kept; without effect if trace is 0.
    - bins: bins of the time series.
    - activity: also record busy slots per PE and bin; takes 8 x bins x PEs bytes.
    - detail: also record `Run.detail` for the explorer and `activity`; on grids of at most 65,536 PEs also a profile
      (`keep_profile`) and links by color, and the states of at most 16 traced PEs.
    - portable: True: do not use instruction set extensions (AVX2, AVX-512) of the host; "avx2": AVX2 at most.
    - tile: cycles for which a row of PEs is stepped before the next row, 1 to 8; 0: automatic.
    - reference: disable all fast paths and step every PE in every cycle.  Slow; for comparison.
    - drops_off_edge: drop a wavelet that leaves the rectangle where no stream is attached, instead of a fault;
      `dropped` lists colors and sides.
    - team: "fastest": one thread goes on alone where that is measured to be faster than all `threads`, such as with few
      PEs, or if other programs use the processors; "all": all threads step every cycle; "in turn": for tests.
    - check: check the program for mistakes while it runs; `wse.check.findings` returns them.  Slower.

    Results do not depend on `threads`, `team`, `portable`, `tile`, `reference` and `check`.  Coordinates are (x, y), x
    to the east, y to the south; arrays over PEs are indexed [y, x].  Methods take rectangles: the first PE (x, y),
    width w and height h; None for w or h: up to the edge.  They raise ProgramError for a rectangle outside the fabric.

    Raises what `Program.check` raises, and ConfigError for an invalid option or if the host has too little memory.
    `Program` has an example.
    """

    def __init__(
        self,
        program: Program | Image,
        threads: int = 1,
        trace: int = 0,
        bins: int = 64,
        activity: bool = False,
        portable: bool | str = False,
        tile: int = 0,
        reference: bool = False,
        drops_off_edge: bool = False,
        watch: Watch | None = None,
        check: bool = False,
        detail: bool = False,
        team: str = "fastest",
    ):
        if portable not in PORTABLE:
            raise ConfigError(f"portable is False, True or 'avx2', not {portable!r}")
        if team not in TEAMS:
            raise ConfigError(f"team is 'fastest', 'all' or 'in turn', not {team!r}")
        for name, value, least in (("threads", threads, 1), ("trace", trace, 0), ("bins", bins, 0), ("tile", tile, 0)):
            if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
                raise ConfigError(f"{name} is an integer of at least {least}, not {value!r}")
            if value >= 1 << 31:
                raise ConfigError(f"{name} is at most {(1 << 31) - 1}, not {value}")
        if threads > _engine.MAX_THREADS:
            raise ConfigError(
                f"threads is at most {_engine.MAX_THREADS}, not {threads}: "
                f"a run uses no more of them than this computer has processors, {os.cpu_count()}"
            )
        if not isinstance(reference, bool):
            raise ConfigError(f"reference is True or False, not {reference!r}")
        image = program.image() if isinstance(program, Program) else program
        self.program, self.image, self.machine = program, image, image.machine
        self.width, self.height = image.width, image.height
        self.streams: list[StreamIn | StreamOut] = []
        self._edge_checked = False
        self._traced = trace > 0
        self._watch = (watch or Watch()) if self._traced else Watch()
        self._spool = None if self._watch.folder is None else Spool(self._watch.folder)
        self._dropped = 0  # events that found no place before they were moved to the spool
        self._has_detail = detail
        is_small = detail and image.width * image.height <= MOST_PES
        self._activity_step = (
            1 if activity or is_small else row_part(self.width, self.height, MOST_PES) if detail else 0
        )
        self._has_activity = self._activity_step > 0 and bins > 0
        self._states: Recorder | None = None
        self._options = {
            "trace": trace,
            "bins": bins,
            "activity": self._has_activity,
            "detail": detail,
            "reference": reference,
            "threads": threads,
            "watch": str(self._watch),
        }
        self.check = check
        self._wall_seconds = 0.0
        most = _CHUNK_PE_CYCLES if self._spool is None else _CHUNK_EVENTS // 4
        self._chunk = max(1, min(4096, most // (image.width * image.height)))  # cycles
        try:
            self._engine = _engine.Engine(
                self.width,
                self.height,
                self.machine.values(),
                fp16=isa.FP16[image.fp16],
                threads=threads,
                trace=trace if self._spool is None else SPOOLED,
                bins=bins,
                bin_planes=self._activity_step,
                portable=PORTABLE[portable],
                tile=tile,
                reference=reference,
                drops_off_edge=drops_off_edge,
                team=TEAMS[team],
            )
        except MemoryError as error:
            raise ConfigError(f"{error}; use fewer PEs, bins or events") from None
        chosen = self._watch.mask(self.width, self.height)
        if self._watch != Watch(folder=self._watch.folder):
            until = FOREVER if self._watch.until is None else self._watch.until
            self._engine.trace_only(self._watch.since, until, chosen, self._watch.hops)
        self._load()
        if detail and self._traced:
            self._record_states(chosen)
        self._has_profile = False
        if is_small:
            self.keep_profile()

    def _load(self) -> None:
        engine, image = self._engine, self.image
        for pe in image.classes:
            number, at = isa.highest_dsr(pe.words)
            if number >= self.machine.dsrs_per_file:
                raise ProgramError(
                    f"{pe.describe(at)} of {pe.label} names DSR {number} of a file: "
                    f"{self.machine.name} has 0 to {self.machine.dsrs_per_file - 1} (dsrs_per_file)"
                )
            queues = [np.full(number, -1, np.int8) for number in (_engine.INPUTS, _engine.QUEUES)]
            for bound, plane in zip((pe.queues_in, pe.queues_out), queues, strict=True):
                for queue, color in bound.items():
                    plane[queue] = color
            engine.add_class(
                pe.words,
                iq_color=queues[0],
                oq_color=queues[1],
                task_kind=pe.task_kind,
                task_priority=pe.task_priority,
                task_pc=pe.task_pc,
                control_task=pe.control_table(),
                control_first=pe.control_offsets(),
                active=pe.active,
                blocked=pe.blocked,
                thread_priority=pe.thread_priority,
            )
        for filter in image.routes.filters:
            engine.add_filter(*filter.fields())
        for color in image.colors.values():
            config = image.routes.planes.get(color)
            unused = np.zeros((self.height, self.width), np.uint64)
            engine.set_routes(int(color), unused if config is None else config)
        for host_color in image.host_colors:
            engine.set_host(int(host_color))
        engine.set_classes(image.class_of_pe)
        if self.check:
            self._start_check()
        for index, pe in enumerate(image.classes):
            for address, data in pe.data:
                engine.fill_class(index, address, data)
        for index, address, values in image.per_pe:
            self._write_class(index, address, values)

    def _write_class(self, index: int, address: int, values: np.ndarray) -> None:
        """Writes values [height, width] to the PEs of one class."""
        here = self.image.class_of_pe == index
        data = np.ascontiguousarray(values)[:, :, None].view(np.uint8)
        if not here.all():
            data = np.where(here[:, :, None], data, self.read_bytes(address, data.shape[2]))
        self.write_bytes(address, data)

    # Streams at the edge.

    def stream_in(
        self,
        x: int,
        y: int,
        port: str,
        color,
        data,
        control=None,
        rate: float | Fraction = 1,
        segments: Sequence[Segment] | None = None,
        window: int = 0,
    ) -> StreamIn:
        """Attaches an input stream: wavelets that enter the router of PE (x, y) from outside the fabric.

        - port: "N", "E", "S" or "W"; it must lead off the edge, except for a host color.
        - color: name or number of a declared color.
        - data: uint32 [n], in order; other 32-bit types are taken as bits.
        - control: bool [n], True for control wavelets; None: none are.
        - rate: wavelets per cycle at most, above 0 and at most 1.
        - segments: arrival times at the edge instead of a rate; their counts add up to n.
        - window: wavelets that can wait at the edge behind the next one while the fabric does not accept them; the link
          stalls when there are more.

        Raises ProgramError for a port, color, rate, window or segments that are invalid, and RouteError if the router
        does not accept the color from the port.
        """
        color, side = self._edge(x, y, port, color)
        plane = self.image.routes.planes.get(color)
        if plane is None or not int(route.rx_masks(plane[y : y + 1, x : x + 1])[0, 0]) >> side & 1:
            raise RouteError(
                f"{route.name_of(color)} goes nowhere: it enters PE ({x}, {y}) by {port}, "
                f"from where its router does not take it in any position; add {port!r} to rx there",
                *(x, y, int(color)),
            )
        num, den = pace(rate)
        stream = StreamIn(self._engine, x, y, port, color, (data, control), (num, den), segments, window)
        self.streams.append(stream)
        return stream

    def stream_out(
        self, x: int, y: int, port: str, color, capacity: int = 1 << 16, rate: float | Fraction = 1
    ) -> StreamOut:
        """Attaches an output stream: receives the wavelets of a color that leave the fabric at PE (x, y) by `port`.

        - capacity: wavelets that the stream holds; when it is full, the fabric waits.  `StreamOut.take` frees it.
        - rate: wavelets per cycle at most, above 0 and at most 1.

        `port`, `color` and errors as for `stream_in`.
        """
        color, side = self._edge(x, y, port, color)
        if capacity < 1:
            raise ProgramError(f"a stream holds at least one wavelet, not {capacity}")
        index = self._engine.stream_out(x, y, side, color, capacity, *pace(rate))
        stream = StreamOut(self._engine, index, x, y, port, color)
        self.streams.append(stream)
        self._edge_checked = False
        return stream

    def _edge(self, x: int, y: int, port: str, color) -> tuple[Color, int]:
        self._extent(x, y, 1, 1)
        color = self.image.color_of(color)
        if port not in route.PORTS[:4] or len(port) != 1:
            raise ProgramError(f"a stream is attached to port N, E, S or W, not {port!r}")
        side = route.PORTS.index(port)
        dx, dy = route.STEP[side]
        outside = not (0 <= x + dx < self.width and 0 <= y + dy < self.height)
        if not outside and color not in self.image.host_colors:
            raise ProgramError(
                f"port {port} of PE ({x}, {y}) leads to PE ({x + dx}, {y + dy}): streams attach to the edge"
            )
        return color, side

    # Running.

    def launch(self, task: str | int, x: int = 0, y: int = 0, w: int | None = None, h: int | None = None) -> None:
        """Activates a task, by name or id, on a rectangle of PEs.

        Raises ProgramError if a class of the rectangle has no task of that name, or if its id differs between them.
        """
        w, h = self._extent(x, y, w, h)
        if isinstance(task, int):
            if not 0 <= task < _engine.TASKS:
                raise ProgramError(f"a task is 0 to {_engine.TASKS - 1}, not {task}")
            self._engine.activate(x, y, w, h, task)
            return
        ids: dict[int, PEImage] = {}
        for pe in self._classes(x, y, w, h, f"task {task}"):
            if task not in pe.tasks:
                raise ProgramError(f"{pe.label} has no task {task!r}; its tasks are {', '.join(pe.tasks) or 'none'}")
            ids[pe.tasks[task]] = pe
        if len(ids) > 1:
            first, second = list(ids.items())[:2]
            raise ProgramError(
                f"task {task} has id {first[0]} in {first[1].label} and {second[0]} in {second[1].label}: "
                "give it one id, or launch it class by class"
            )
        self._engine.activate(x, y, w, h, next(iter(ids)))

    def run(
        self,
        max_cycles: int | None = None,
        progress: Callable[[int], Any] | None = None,
        on_deadlock: Literal["raise", "return"] = "raise",
    ) -> Run:
        """Runs until all activity has ended; returns the measurements since the fabric was made.

        - max_cycles: limit of this call, in cycles; None: no limit.
        - progress: called with the current cycle, about twenty times a second.
        - on_deadlock: "raise" a DeadlockError, or "return" the Run, whose `ended` is "deadlock".

        Raises FabricFault if the program violates a rule of the machine, DeadlockError if nothing can move and work is
        left, RouteError if a route leaves the fabric without a stream, and ConfigError for an invalid argument.  A
        KeyboardInterrupt (Ctrl-C, or raised by `progress`) passes through.  FabricFault, DeadlockError and
        KeyboardInterrupt have the partial Run as `run`; the interrupt's `run.ended` is "interrupted".

        run may be called again.  It continues launched tasks and operations that a limit or an interrupt suspended.
        """
        if max_cycles is not None and max_cycles < 0:
            raise ConfigError(f"max_cycles is 0 or more, not {max_cycles}")
        if on_deadlock not in ("raise", "return"):
            raise ConfigError(f'on_deadlock is "raise" or "return", not {on_deadlock!r}')
        limit = FOREVER if max_cycles is None else min(FOREVER, self.cycle + max_cycles)
        try:
            ended: str = self._chunks(limit, progress)
        except KeyboardInterrupt as interrupt:
            interrupt.run = self.measure("interrupted")  # type: ignore[attr-defined]
            raise
        if ended == "fault":
            raise self.fault()
        if ended == "quiet":
            ended = "deadlock" if self._engine.pending() & _DEADLOCKED else "done"
        run = self.measure(ended)
        if ended == "deadlock" and on_deadlock == "raise":
            error = diagnosis.deadlock(self.image, self._engine)
        else:
            return run
        error.run = run
        raise error

    def _chunks(self, limit: int, progress: Callable[[int], Any] | None) -> Literal["fault", "quiet", "limit"]:
        """Runs to cycle `limit` in parts of about _CHUNK_SECONDS."""
        if not self._edge_checked:
            self.image.check(self._attached())
            self._edge_checked = True
        started = time.perf_counter()
        try:
            while True:
                at, began = self.cycle, time.perf_counter()
                end = min(limit, at + self._chunk)
                if self._states is not None:
                    self._states.take()
                    end = min(end, max(self._states.next, at + 1))
                status = self._engine.run(end, limit)
                self._move_events()
                if progress is not None:
                    progress(self.cycle)
                if status == _engine.FAULTED:
                    return "fault"
                if status == _engine.QUIET:
                    return "quiet"
                if self.cycle - at >= self._chunk:
                    spent = time.perf_counter() - began
                    self._chunk = int(min(max(self._chunk * min(4.0, _CHUNK_SECONDS / max(spent, 1e-6)), 1), 2**40))
                if self.cycle >= limit:
                    return "limit"
        finally:
            self._wall_seconds += time.perf_counter() - started

    def _move_events(self) -> None:
        """Moves the events so far to the spool.  A part of the run that had very many makes the next ones shorter."""
        if self._spool is None:
            return
        events = self._as_events(self._engine.trace_take())
        self._dropped += self._engine.trace_dropped()
        self._spool.append(events)
        if len(events) > _CHUNK_EVENTS:
            self._chunk = max(1, self._chunk * _CHUNK_EVENTS // len(events))

    def advance(self, cycles: int, progress: Callable[[int], Any] | None = None) -> Literal["fault", "quiet", "limit"]:
        """Runs for at most `cycles` cycles and returns why it stopped; for hosts that act between steps.

        progress: called with the current cycle, about twenty times a second.

        - "limit": the cycles are over.
        - "quiet": nothing can move without the host: the program is done, waits for the host, or is deadlocked.
        - "fault": `fault` returns the error.

        Raises RouteError if a route leaves the fabric without a stream.
        """
        return self._chunks(self.cycle + cycles, progress)

    def rest(self, cycles: int) -> None:
        """Lets `cycles` cycles pass in which nothing moves, after `advance` has returned "quiet"."""
        self._engine.rest(self.cycle + cycles)

    def fault(self) -> FabricFault:
        """The error of the fault that ended a run; its `run` holds the measurements."""
        error = diagnosis.fault(self.image, self._engine.fault())
        error.run = self.measure("fault")
        return error

    def deadlock(self) -> DeadlockError | None:
        """The report of a deadlock after a run or `advance`; None if nothing waits."""
        return diagnosis.deadlock(self.image, self._engine) if self._engine.pending() & _DEADLOCKED else None

    @property
    def cycle(self) -> int:
        """The current cycle, from 0."""
        return self._engine.cycle()

    @property
    def last_activity(self) -> int:
        """The cycle of the last activity: an instruction or a wavelet that moved."""
        return self._engine.last_activity()

    def dropped(self) -> list[tuple[Color, str]]:
        """Colors of which wavelets left the rectangle without a stream and were dropped, with the side (N, E, S, W)."""
        masks = [(color, self._engine.dropped(int(color))) for color in self.image.colors.values()]
        return [(color, port) for color, mask in masks for i, port in enumerate(route.PORTS[:4]) if mask >> i & 1]

    @property
    def host_signals(self) -> np.ndarray:
        """uint32 [h, w]: the value of each PE's last `hostsig` instruction; 0 if it executed none."""
        return np.array(self._engine.plane(_engine.PLANE_HOSTSIG))

    def said(self) -> np.ndarray:
        """Messages that PEs sent to the host with `say` since the last call, in order of cycles.

        Returns an array of EVENT; its fields `kind` and `b` are the kind and value of `say`.
        """
        return self._as_events(self._engine.said())

    @property
    def bytes(self) -> int:
        """Bytes of host memory that the engine uses, without the memory of the PEs."""
        return self._engine.bytes()

    def measure(self, ended: str = "done") -> Run:
        """The measurements since the fabric was made.  ended: value of `Run.ended`, why the run stopped."""
        engine, machine = self._engine, self.machine
        counters = np.asarray(engine.plane(_engine.PLANE_COUNTERS))
        opcodes = np.asarray(engine.plane(_engine.PLANE_OPCODES))
        return Run(
            machine=machine.name,
            profile=machine.profile,
            width=self.width,
            height=self.height,
            clock_hz=machine.clock_hz,
            cycles=engine.last_activity(),
            ended=ended,
            counters={name: counters[:, :, i].copy() for i, name in enumerate(COUNTERS)},
            links=np.array(engine.plane(_engine.PLANE_LINKS)),
            blocked=np.array(engine.plane(_engine.PLANE_BLOCKED)),
            colors=np.array(engine.plane(_engine.PLANE_COLORS)),
            opcodes={isa.INSTRUCTIONS[i].name: int(opcodes[i]) for i in np.flatnonzero(opcodes)},
            series=np.array(engine.plane(_engine.PLANE_SERIES)).reshape(-1, 4),
            bin_cycles=engine.bin_cycles(),
            activity=self._activity() if self._has_activity else None,
            events=self._events() if self._traced else None,
            events_dropped=self._dropped if self._spool is not None else engine.trace_dropped() if self._traced else 0,
            wall_seconds=self._wall_seconds,
            meta={"wse": __version__}
            | ({"overrides": dict(machine.overrides)} if machine.overrides else {})
            | (self._names() if self._traced else {}),
            detail=self._detail(ended) if self._has_detail else None,
        )

    def _events(self) -> np.ndarray:
        if self._spool is None:
            return self._as_events(self._engine.trace())
        self._move_events()
        return self._spool.events()

    @staticmethod
    def _as_events(buffer) -> np.ndarray:
        raw = np.frombuffer(buffer, _ENGINE_EVENT)
        events = np.empty(raw.shape, EVENT)
        for name in EVENT.names or ():
            events[name] = raw[name]
        return events

    def _attached(self) -> list[tuple[int, int, int, int, bool]]:
        return [(s.x, s.y, route.PORTS.index(s.port), int(s.color), isinstance(s, StreamOut)) for s in self.streams]


_DEADLOCKED = _engine.PENDING_OPERATIONS | _engine.PENDING_ROUTERS | _engine.PENDING_QUEUES
