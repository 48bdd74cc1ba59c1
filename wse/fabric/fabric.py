"""Fabric: a program on an engine: load, copy, stream, launch, run."""

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
from ..program.image import NO_CLASS, Image, PEImage
from ..program.program import Program
from ..program.symbol import DTYPES, Color, Symbol
from . import diagnosis
from .errors import DeadlockError, FabricFault
from .run import COUNTERS, EVENT, Run
from .stream import Segment, StreamIn, StreamOut, as_words, pace

FOREVER = 2**63
_CHUNK_SECONDS = 0.05  # between looks at Ctrl-C and calls of `progress`
_CHUNK_PE_CYCLES = 1 << 22  # the first chunk, before anything is known about speed
_ENGINE_EVENT = np.dtype(
    {
        "names": ["cycle", "pe", "kind", "a", "b"],
        "formats": ["<u8", "<u4", "<u2", "<u2", "<u4"],
        "offsets": [0, 8, 12, 14, 16],
        "itemsize": _engine.EVENT_BYTES,
    }
)


class Fabric:
    """A program, checked, loaded and ready to run.

    threads: host threads, at most 64, of which a run uses no more than the computer has processors; results do not
    depend on it.  trace: events kept (0: none).  bins: of the time series.
    activity: also keep busy slots per PE and bin (bins x PEs x 8 bytes).  portable: without instructions that only some
    processors have; tile: cycles a row of PEs is stepped before the next, 1 to 8, or 0 for what suits the fabric;
    results do not depend on either.  reference: without any fast path, every PE in every cycle: slow, to compare with.
    Coordinates are (x, y); arrays over PEs [y, x].  Raises what Program.check
    raises, ConfigError for options the engine refuses.
    """

    def __init__(
        self,
        program: Program | Image,
        threads: int = 1,
        trace: int = 0,
        bins: int = 64,
        activity: bool = False,
        portable: bool = False,
        tile: int = 0,
        reference: bool = False,
    ):
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
        self._has_activity = activity and bins > 0
        self._wall_seconds = 0.0
        try:
            self._engine = _engine.Engine(
                self.width,
                self.height,
                self.machine.values(),
                fp16=isa.FP16[image.fp16],
                threads=threads,
                trace=trace,
                bins=bins,
                bin_planes=activity,
                portable=portable,
                tile=tile,
                reference=reference,
            )
        except MemoryError as error:
            raise ConfigError(f"{error}; use fewer PEs, bins or events") from None
        self._load()

    def _load(self) -> None:
        engine, image = self._engine, self.image
        for pe in image.classes:
            number, at = isa.highest_dsr(pe.words)
            if number >= self.machine.dsrs_per_file:
                raise ProgramError(
                    f"{pe.describe(at)} of {pe.label} names DSR {number} of a file: "
                    f"{self.machine.name} has 0 to {self.machine.dsrs_per_file - 1} (dsrs_per_file)"
                )
            queues = [np.full(_engine.QUEUES, -1, np.int8) for _ in range(2)]
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
                active=pe.active,
                blocked=pe.blocked,
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

    # Host copies.

    def write(self, symbol: str, values, x: int = 0, y: int = 0) -> None:
        """Copies values [h, w, *shape] to the array of the PEs from (x, y).

        Numbers are rounded to the array's type; for a 16-bit float an array of uint16 is taken as bits.
        """
        values = np.asarray(values)
        shape = self._find(symbol, x, y, 1, 1).shape
        if values.ndim != 2 + len(shape) or values.shape[2:] != shape:
            raise ProgramError(f"values for {symbol} have shape {values.shape}; expected [h, w, {_text(shape)}]")
        h, w = values.shape[:2]
        found = self._find(symbol, x, y, w, h)
        self._put(found, found.to_bits(values), x, y, w, h)

    def fill(self, symbol: str, values, x: int = 0, y: int = 0, w: int | None = None, h: int | None = None) -> None:
        """Copies the same values [*shape], or a scalar, to the array of every PE of a rectangle."""
        w, h = self._extent(x, y, w, h)
        found = self._find(symbol, x, y, w, h)
        self._engine.fill(x, y, w, h, found.address, found.to_bytes(values, f"array {symbol}"))

    def read(
        self, symbol: str, x: int = 0, y: int = 0, w: int | None = None, h: int | None = None, raw: bool = False
    ) -> np.ndarray:
        """The array of a rectangle's PEs (default: all from (x, y)), [h, w, *shape] in its type.

        16-bit floats come as float32, which holds each exactly; raw=True gives their bits as uint16.
        """
        w, h = self._extent(x, y, w, h)
        found = self._find(symbol, x, y, w, h)
        values = np.empty((h, w, *found.shape), DTYPES[found.dtype])
        self._get(found, values, x, y, w, h)
        return values if raw else found.from_bits(values)

    def copy_to(
        self,
        symbol: str,
        flat,
        x: int,
        y: int,
        w: int,
        h: int,
        order: Literal["row", "column"] = "row",
        bits: Literal[16, 32] = 32,
    ) -> None:
        """Copies a flat host array to a rectangle, as host programs of the SDK do.

        flat: h * w * n values of the array's n elements per PE; order "row": element fastest, then x, then y;
        "column": y fastest, then x, then element.  bits: 32, elements of 4 bytes, or 16, elements of 2, in the low
        half of each word if flat has words of 4 bytes.
        """
        found = self._find(symbol, x, y, w, h)
        self._check_copy(found, order, bits)
        flat = np.ascontiguousarray(flat).reshape(-1)
        if flat.size != h * w * found.size:
            raise ProgramError(
                f"{symbol} of {w} x {h} PEs has {h * w * found.size} elements, but {flat.size} are given"
            )
        if flat.dtype.itemsize == 4 and bits == 16:
            words = flat.view(np.uint32).astype(np.uint16)
        elif flat.dtype.itemsize * 8 == bits:
            words = flat.view(_WORDS[bits])
        else:
            raise ProgramError(
                f"a copy of {bits}-bit elements takes an array of them or of 32-bit words, not of {flat.dtype}"
            )
        if order == "column":
            words = words.reshape((h, w, found.size), order="F")
        self._put(found, words, x, y, w, h)

    def copy_from(
        self,
        symbol: str,
        x: int,
        y: int,
        w: int,
        h: int,
        order: Literal["row", "column"] = "row",
        bits: Literal[16, 32] = 32,
    ) -> np.ndarray:
        """The reverse of copy_to: a flat array of uint16 or uint32, the bits of the elements."""
        found = self._find(symbol, x, y, w, h)
        self._check_copy(found, order, bits)
        words = np.empty((h, w, found.size), _WORDS[bits])
        self._get(found, words, x, y, w, h)
        return words.ravel(order="F" if order == "column" else "C")

    def set_register(
        self, register: int, values, x: int = 0, y: int = 0, w: int | None = None, h: int | None = None
    ) -> None:
        """Registers r0..r31 of a rectangle's PEs: a scalar or uint32 [h, w]."""
        w, h = self._extent(x, y, w, h)
        if not 0 <= register < _engine.REGISTERS:
            raise ProgramError(f"a register is 0 to {_engine.REGISTERS - 1}, not {register}")
        words = np.ascontiguousarray(np.broadcast_to(np.asarray(values, np.uint32), (h, w)))
        self._engine.set_register(x, y, w, h, register, words)

    def read_bytes(
        self, address: int, size: int, x: int = 0, y: int = 0, w: int | None = None, h: int | None = None
    ) -> np.ndarray:
        """uint8 [h, w, size]: memory of a rectangle's PEs (default: all from (x, y)) from a byte address on."""
        w, h = self._extent(x, y, w, h)
        self._check_bytes(address, size)
        memory = np.empty((h, w, size), np.uint8)
        if size:
            self._engine.read(x, y, w, h, address, memory.reshape(-1))
        return memory

    def write_bytes(self, address: int, memory, x: int = 0, y: int = 0) -> None:
        """Writes uint8 [h, w, size] to the memory of the PEs from (x, y), from a byte address on."""
        memory = np.ascontiguousarray(memory)
        if memory.ndim != 3 or memory.dtype != np.uint8:
            raise ProgramError(f"bytes to write are uint8 [h, w, size], not {memory.dtype} {list(memory.shape)}")
        h, w, size = memory.shape
        self._extent(x, y, w, h)
        self._check_bytes(address, size)
        if size:
            self._engine.write(x, y, w, h, address, memory.reshape(-1))

    def _check_bytes(self, address: int, size: int) -> None:
        if not 0 <= address <= address + size <= _engine.SRAM:
            raise ProgramError(
                f"{size} bytes from address {address} on are not in the {_engine.SRAM} bytes of a PE's memory"
            )

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
        """Wavelets that enter the router of PE (x, y) by `port` ("N", "E", "S", "W"), from outside the rectangle.

        data: uint32 [n].  control: bool [n], which of them are control wavelets.  rate: at most so many a cycle.
        segments: when they arrive at the edge, in the place of a rate; their counts add up to n.  window: how many may
        wait at the edge behind the next one while the fabric is busy; what would be more arrives later.
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
        """Receives what leaves the router of PE (x, y) by `port`, to outside the rectangle; holds `capacity`
        wavelets."""
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
                f"port {port} of PE ({x}, {y}) leads to PE ({x + dx}, {y + dy}): streams are for the edge"
            )
        return color, side

    # Host colors.

    def host_put(self, color, port: str, data, x: int = 0, y: int = 0) -> None:
        """Wavelets [h, w, n] that enter the routers of a rectangle by `port`, after those that were put there before.

        One a cycle and PE at most, as the fabric has room.
        """
        words = as_words(data)
        h, w = np.shape(data)[:2]
        color, side = self._host(color, port, x, y, w, h)
        self._engine.host_put(color, side, x, y, w, h, words)

    def host_ask(self, color, port: str, n: int, x: int, y: int, w: int, h: int) -> None:
        """Makes room for n more wavelets from each PE of the rectangle by `port`; what comes beyond that waits."""
        color, side = self._host(color, port, x, y, w, h)
        self._engine.host_ask(color, side, x, y, w, h, n)

    def host_take(self, color, port: str, n: int, x: int, y: int, w: int, h: int) -> np.ndarray:
        """uint32 [h, w, n]: the next n wavelets of each PE, which must be there."""
        color, side = self._host(color, port, x, y, w, h)
        words = np.empty((h, w, n), np.uint32)
        if n:
            self._engine.host_take(color, side, x, y, w, h, words.reshape(-1))
        return words

    def host_waiting(
        self, color, port: str, out: bool, x: int = 0, y: int = 0, w: int | None = None, h: int | None = None
    ) -> int:
        """How many of the wavelets that were put (out: asked for) have not passed yet."""
        w, h = self._extent(x, y, w, h)
        color, side = self._host(color, port, x, y, w, h)
        return self._engine.host_waiting(color, side, out, x, y, w, h)

    def _host(self, color, port: str, x: int, y: int, w: int, h: int) -> tuple[Color, int]:
        self._extent(x, y, w, h)
        color = self.image.color_of(color)
        if port not in route.PORTS[:4] or len(port) != 1:
            raise ProgramError(f"a stream is attached to port N, E, S or W, not {port!r}")
        left = (y, self.width - x - w, self.height - y - h, x)[route.PORTS.index(port)]
        line = h if port in "NS" else w
        if color not in self.image.host_colors and (left or line > 1):
            raise ProgramError(
                f"{route.name_of(color)} is no host color, and port {port} of the {w} x {h} PEs at ({x}, {y}) "
                "does not lead off the edge: call Program.host_color"
            )
        return color, route.PORTS.index(port)

    # Running.

    def launch(self, task: str | int, x: int = 0, y: int = 0, w: int | None = None, h: int | None = None) -> None:
        """Activates a task, by name or id, on a rectangle of PEs (default: all from (x, y))."""
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
        """Runs until nothing is left to do, for at most `max_cycles`; what was measured since the fabric was made.

        progress: called with the cycle, some twenty times a second.  on_deadlock: "raise" a DeadlockError or "return"
        the Run.  FabricFault when the program does what the machine forbids; both errors have the Run as `run`.
        A KeyboardInterrupt (Ctrl-C, or raised by `progress`) passes through with the partial Run as its `run`, whose
        `ended` is "interrupted".  run may be called again: launched tasks, written arrays and operations that a limit
        or an interrupt cut off continue.
        """
        if max_cycles is not None and max_cycles < 0:
            raise ConfigError(f"max_cycles is 0 or more, not {max_cycles}")
        if on_deadlock not in ("raise", "return"):
            raise ConfigError(f'on_deadlock is "raise" or "return", not {on_deadlock!r}')
        if not self._edge_checked:
            self.image.check(self._attached())
            self._edge_checked = True
        limit = FOREVER if max_cycles is None else min(FOREVER, self.cycle + max_cycles)
        started = time.perf_counter()
        try:
            ended = self._chunks(limit, progress)
        except KeyboardInterrupt as interrupt:
            self._wall_seconds += time.perf_counter() - started
            interrupt.run = self.measure("interrupted")  # type: ignore[attr-defined]
            raise
        self._wall_seconds += time.perf_counter() - started
        if ended == "fault":
            raise self.fault()
        run = self.measure(ended)
        if ended == "deadlock" and on_deadlock == "raise":
            error = diagnosis.deadlock(self.image, self._engine)
        else:
            return run
        error.run = run
        raise error

    def _chunks(self, limit: int, progress: Callable[[int], Any] | None) -> str:
        chunk = max(1, min(4096, _CHUNK_PE_CYCLES // (self.width * self.height)))
        while True:
            at, started = self.cycle, time.perf_counter()
            status = self._engine.run(min(limit, at + chunk), limit)
            if progress is not None:
                progress(self.cycle)
            if status == _engine.FAULTED:
                return "fault"
            if status == _engine.QUIET:
                return "deadlock" if self._engine.pending() & _DEADLOCKED else "done"
            if self.cycle >= limit:
                return "limit"
            spent = time.perf_counter() - started
            chunk = int(min(max(chunk * min(4.0, _CHUNK_SECONDS / max(spent, 1e-6)), 1), 2**40))

    def advance(self, cycles: int) -> Literal["fault", "quiet", "limit"]:
        """Runs for at most `cycles`, for hosts that act between them, and says why it stopped.

        "quiet": nothing can move without the host, done or deadlocked.  "fault": `fault` has the error.
        """
        status = self._engine.run(self.cycle + cycles)
        return "fault" if status == _engine.FAULTED else "quiet" if status == _engine.QUIET else "limit"

    def fault(self) -> FabricFault:
        """The error of the fault that ended a run, with what was measured as its `run`."""
        error = diagnosis.fault(self.image, self._engine.fault())
        error.run = self.measure("fault")
        return error

    def deadlock(self) -> DeadlockError | None:
        """The report of a run that returned as deadlocked; None if nothing waits."""
        return diagnosis.deadlock(self.image, self._engine) if self._engine.pending() & _DEADLOCKED else None

    @property
    def cycle(self) -> int:
        """Now."""
        return self._engine.cycle()

    @property
    def last_activity(self) -> int:
        """The cycle in which something moved last."""
        return self._engine.last_activity()

    @property
    def host_signals(self) -> np.ndarray:
        """uint32 [h, w]: the last value each PE gave to hostsig."""
        return np.array(self._engine.plane(_engine.PLANE_HOSTSIG))

    def said(self) -> np.ndarray:
        """What the PEs handed to the host with `say` since the last call, by cycle: an array of EVENT, whose kind and b
        are the kind and value of `say`."""
        return self._as_events(self._engine.said())

    @property
    def bytes(self) -> int:
        """Host memory the engine holds beyond SRAM."""
        return self._engine.bytes()

    def keep_profile(self) -> None:
        """From now on counts the cycles of each instruction of the main threads; results do not depend on it."""
        self._engine.profile()

    def profile(self) -> dict[str, np.ndarray]:
        """By class, uint64 [instruction, 2]: cycles from the issue of an instruction to that of the next, and how
        often it was issued, over all PEs of the class.  Asynchronous operations count while the thread waits only."""
        return {pe.name: self._engine.profile_of(index, len(pe.words)) for index, pe in enumerate(self.image.classes)}

    def measure(self, ended: str = "done") -> Run:
        """What was measured since the fabric was made.  ended: why the run stopped, for Run.ended."""
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
            links=self._counts(_engine.PLANE_LINKS, _engine.PLANE_LINKS_MORE),
            blocked=self._counts(_engine.PLANE_BLOCKED, _engine.PLANE_BLOCKED_MORE),
            colors=np.array(engine.plane(_engine.PLANE_COLORS)),
            opcodes={isa.INSTRUCTIONS[i].name: int(opcodes[i]) for i in np.flatnonzero(opcodes)},
            series=np.array(engine.plane(_engine.PLANE_SERIES)).reshape(-1, 4),
            bin_cycles=engine.bin_cycles(),
            activity=np.array(engine.plane(_engine.PLANE_ACTIVITY)) if self._has_activity else None,
            events=self._events() if self._traced else None,
            events_dropped=engine.trace_dropped() if self._traced else 0,
            wall_seconds=self._wall_seconds,
            meta={"wse": __version__}
            | ({"overrides": dict(machine.overrides)} if machine.overrides else {})
            | (self._names() if self._traced else {}),
        )

    def _counts(self, plane: int, more: int) -> np.ndarray:
        """uint64 [5, h, w] of a plane of 32 bits and of what those do not hold, in units of 2^22."""
        counts = np.array(np.asarray(self._engine.plane(plane))[:, :, : self.width], np.uint64)
        rest = np.asarray(self._engine.plane(more))
        if rest.size:
            counts += rest[:, :, : self.width].astype(np.uint64) << np.uint64(22)
        return counts

    def _names(self) -> dict[str, dict[str, int]]:
        """What a trace calls tasks and colors by."""
        tasks = {name: id for pe in self.image.classes for name, id in pe.tasks.items()}
        return {"tasks": tasks, "colors": {name: int(color) for name, color in self.image.colors.items()}}

    def _events(self) -> np.ndarray:
        return self._as_events(self._engine.trace())

    @staticmethod
    def _as_events(buffer) -> np.ndarray:
        raw = np.frombuffer(buffer, _ENGINE_EVENT)
        events = np.empty(raw.shape, EVENT)
        for name in EVENT.names or ():
            events[name] = raw[name]
        return events

    # Helpers.

    def _extent(self, x: int, y: int, w: int | None, h: int | None) -> tuple[int, int]:
        w = self.width - x if w is None else w
        h = self.height - y if h is None else h
        if x < 0 or y < 0 or w < 1 or h < 1 or x + w > self.width or y + h > self.height:
            raise ProgramError(
                f"the rectangle of {w} x {h} PEs at ({x}, {y}) is not in 0:{self.width} x 0:{self.height}"
            )
        return w, h

    def _classes(self, x: int, y: int, w: int, h: int, what: str) -> list[PEImage]:
        self._extent(x, y, w, h)
        found = np.unique(self.image.class_of_pe[y : y + h, x : x + w])
        if found[-1] == NO_CLASS:
            where = self.image.class_of_pe[y : y + h, x : x + w] == NO_CLASS
            dy, dx = divmod(int(np.argmax(where)), w)
            raise ProgramError(f"PE ({x + dx}, {y + dy}) has no class, and so no {what}: place one there")
        return [self.image.classes[i] for i in found]

    def _find(self, symbol: str, x: int, y: int, w: int, h: int) -> Symbol:
        """The array of that name in all classes of the rectangle, which must agree about it."""
        found: Symbol | None = None
        for pe in self._classes(x, y, w, h, f"array {symbol}"):
            have = pe.symbols.get(symbol) or self.image.shared.get(symbol)
            if have is None:
                raise ProgramError(f"{pe.label} has no array {symbol!r}: it has {', '.join(pe.symbols) or 'none'}")
            if found is None:
                found = have
            elif (found.address, found.dtype, found.shape) != (have.address, have.dtype, have.shape):
                raise ProgramError(
                    f"array {symbol} is {_where(found)} in {found.owner.label} "
                    f"and {_where(have)} in {have.owner.label}: "
                    "declare it with Program.shared_array, or copy class by class"
                )
        assert found is not None  # the rectangle has a PE, and each PE a class
        return found

    def _put(self, symbol: Symbol, bits: np.ndarray, x: int, y: int, w: int, h: int) -> None:
        if symbol.nbytes:
            self._engine.write(x, y, w, h, symbol.address, np.ascontiguousarray(bits).reshape(-1).view(np.uint8))

    def _get(self, symbol: Symbol, values: np.ndarray, x: int, y: int, w: int, h: int) -> None:
        if symbol.nbytes:
            self._engine.read(x, y, w, h, symbol.address, values.reshape(-1).view(np.uint8))

    def _check_copy(self, symbol: Symbol, order: str, bits: int) -> None:
        if order not in ("row", "column"):
            raise ProgramError(f'order is "row" or "column", not {order!r}')
        if bits not in _WORDS or symbol.itemsize * 8 != bits:
            raise ProgramError(f"array {symbol.name} has elements of {symbol.itemsize * 8} bits; bits is {bits!r}")

    def _attached(self) -> list[tuple[int, int, int, int, bool]]:
        return [(s.x, s.y, route.PORTS.index(s.port), int(s.color), isinstance(s, StreamOut)) for s in self.streams]


_DEADLOCKED = _engine.PENDING_OPERATIONS | _engine.PENDING_ROUTERS | _engine.PENDING_QUEUES
_WORDS: dict[int, np.dtype] = {16: np.dtype(np.uint16), 32: np.dtype(np.uint32)}


def _text(shape: tuple[int, ...]) -> str:
    return ", ".join(map(str, shape))


def _where(symbol: Symbol) -> str:
    return f"{symbol.dtype} [{_text(symbol.shape)}] at {symbol.address}"
