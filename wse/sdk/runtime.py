"""SdkRuntime: the commands of a host program, in the order in which it gives them.

Copies and launches form one stream of commands.  A launch ends when every PE that runs the function has called
unblock_cmd_stream(); the next copy or launch waits for that.  Streaming copies go beside it: they run while the program
runs, and a command does not wait for them, except that before a copy the fabric runs until nothing moves, so that what
was streamed before has been dealt with [docs/csl.md].

Streams to the device share one way, as on the machine: one begins when those before it have been accepted, and what
they set going has had GAP_CYCLES to come to rest; or when nothing moves any more, so that none waits for ever.

Nothing runs ahead of the host: the fabric moves when the host waits for something.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..csl.artifact import Artifact
from ..errors import ConfigError
from . import simlog, transfer
from .device import HOST_SIDE, TO_DEVICE, TO_HOST, Device, Rectangle
from .transfer import MemcpyDataType, MemcpyOrder

SETTLE_CYCLES = 20_000  # before a copy, for a program that never rests
GAP_CYCLES = 1_000  # between two streams to the device
STOP_CYCLES = 50_000_000  # at the end, for a program that is not driven by commands
RUN_LOG = "WSE_RUN_LOG"  # environment: a file that gets a line of JSON for each run

# The devices of this process by directory, for debug_util.
devices: dict[Path, Device] = {}


class Symbol(int):
    """What get_id returns."""

    name: str

    def __new__(cls, number: int, name: str) -> Symbol:
        symbol = super().__new__(cls, number)
        symbol.name = name
        return symbol


@dataclass(eq=False)
class Task:
    """A command: what its call returns, for is_task_done and task_wait."""

    what: str
    done: bool = False


@dataclass(eq=False)
class Launch(Task):
    """A function that runs: on which PEs, and how often each had signalled before."""

    started: np.ndarray = field(default_factory=lambda: np.zeros(0))
    before: np.ndarray = field(default_factory=lambda: np.zeros(0))


@dataclass(eq=False)
class Stream(Task):
    """Wavelets under way; out: to the host, and then where to."""

    color: int = 0
    side: str = HOST_SIDE
    at: Rectangle = field(default_factory=lambda: Rectangle(0, 0, 1, 1))
    n: int = 0
    out: bool = False
    deliver: Callable[[np.ndarray], None] | None = None
    shares: bool = True  # the one way to the device
    tensor: np.ndarray | None = None  # what is to be sent, until it is


class SdkRuntime:
    """A program on the emulator, as host programs of the SDK use it.

    artifacts: the directory of a compiled program, or what SdkLayout.compile returned.
    """

    def __init__(self, artifacts, platform=None, cmaddr: str | None = None, memcpy_required: bool = True, **options):
        if isinstance(platform, str) and cmaddr is None:
            platform, cmaddr = None, platform
        if cmaddr:
            raise ConfigError(f"there is no system at {cmaddr!r}: this is the emulator, leave --cmaddr away")
        unknown = set(options) - _IGNORED
        if unknown:
            raise TypeError(f"SdkRuntime has no option {', '.join(sorted(unknown))}")
        self.memcpy_required = memcpy_required
        self.directory = Path(getattr(artifacts, "directory", artifacts))
        self.artifact = Artifact.load(self.directory)
        self._device: Device | None = None
        self._launches: list[Launch] = []
        self._streams: list[Stream] = []
        self._waiting: list[Stream] = []  # to the device, behind the one that is under way
        self._free_from = 0  # the cycle
        self._running = self._stopped = False
        self._host_seconds = 0.0

    # The life of a run.

    def load(self) -> None:
        """Loads the program."""
        self._device = devices[self.directory.resolve()] = Device(self.artifact)

    def run(self) -> None:
        """Lets it run."""
        if self._device is None:
            raise ConfigError("run() comes after load()")
        self._running = True

    def start(self) -> None:
        """load() and run()."""
        self.load()
        self.run()

    def stop(self) -> None:
        """Waits for everything that was commanded, and ends the run; symbols can still be read."""
        if self._stopped:
            return
        device = self.device
        try:
            self._finish_launches("stop()")
            for stream in [*self._streams, *self._waiting]:
                self._wait(stream)
            limit = SETTLE_CYCLES if self.memcpy_required else STOP_CYCLES
            before = device.cycle
            self._run(cycles=limit)
            if not self.memcpy_required and device.cycle - before >= limit:
                print(f"note: the program still ran after {device.cycle:,} cycles, and was stopped", file=sys.stderr)
        finally:
            self._stopped = True
            simlog.write(device)
            self._log(device)

    def _log(self, device: Device) -> None:
        if path := os.environ.get(RUN_LOG):
            run = device.measure()
            line = {
                "arch": run.machine,
                "grid": [run.width, run.height],
                "cycles": run.cycles,
                "wall_seconds": self._host_seconds,
            }
            with open(path, "a") as file:
                file.write(json.dumps(line) + "\n")

    def __enter__(self) -> SdkRuntime:
        self.start()
        return self

    def __exit__(self, kind, error, trace) -> None:
        if kind is None:
            self.stop()

    @property
    def device(self) -> Device:
        if self._device is None:
            raise ConfigError("load() and run() come before commands")
        return self._device

    @property
    def _active(self) -> Device:
        device = self.device
        if not self._running or self._stopped:
            raise ConfigError("commands come between run() and stop()")
        return device

    # Names.

    def get_id(self, name: str) -> Symbol:
        """The handle of an exported variable."""
        for number, export in enumerate(self.artifact.exports):
            if export.name == name and not export.function:
                return Symbol(number, name)
        known = ", ".join(export.name for export in self.artifact.exports if not export.function) or "none"
        raise ConfigError(f"the layout exports no variable {name!r} (@export_name): it has {known}")

    def _variable(self, symbol: object) -> str:
        if isinstance(symbol, Symbol):
            return symbol.name
        if isinstance(symbol, int | np.integer) and 0 <= symbol < len(self.artifact.exports):
            return self.artifact.exports[int(symbol)].name
        raise ConfigError(f"{symbol!r} is no exported variable: take it from get_id(name), or say streaming=True")

    def _color(self, color: object, out: bool) -> int:
        known = {n: c for n, c in self.artifact.host_colors.items() if n.startswith(TO_HOST if out else TO_DEVICE)}
        if not isinstance(color, Symbol) and isinstance(color, int | np.integer) and int(color) in known.values():
            return int(color)
        have = ", ".join(f"{name} ({c})" for name, c in known.items()) or "none"
        way = "device-to-host" if out else "host-to-device"
        raise ConfigError(f"{color!r} is no {way} color of the program's <memcpy/get_params>: it has {have}")

    # Copies.

    def memcpy_h2d(
        self, dest, src, px: int, py: int, w: int, h: int, elem_per_pe: int,
        *, streaming: bool = False, data_type=MemcpyDataType.MEMCPY_32BIT, order=MemcpyOrder.ROW_MAJOR,
        nonblock: bool = False,
    ) -> Task:  # fmt: skip
        """From the array `src` to a variable, or (streaming) a color, of w x h PEs, elem_per_pe elements each."""
        transfer.check_options(data_type, order)
        at, n = self._active.rectangle(px, py, w, h), int(elem_per_pe)
        words = transfer.flat(src, at.w * at.h * n, "src")
        return self._to_device(
            dest, transfer.to_tensor(words, at.h, at.w, n, order), at, streaming, data_type, nonblock
        )

    def memcpy_h2d_rowbcast(
        self, dest, src, px: int, py: int, w: int, h: int, elem_per_pe: int,
        *, streaming: bool = False, data_type=MemcpyDataType.MEMCPY_32BIT, order=MemcpyOrder.ROW_MAJOR,
        nonblock: bool = False,
    ) -> Task:  # fmt: skip
        """Copies src, [h][1][elem_per_pe], so that all PEs of a row get the row's data."""
        transfer.check_options(data_type, order)
        at, n = self._active.rectangle(px, py, w, h), int(elem_per_pe)
        tensor = transfer.to_tensor(transfer.flat(src, at.h * n, "src of a row broadcast"), at.h, 1, n, order)
        tensor = np.broadcast_to(tensor, (at.h, at.w, n))
        return self._to_device(dest, tensor, at, streaming, data_type, nonblock)

    def memcpy_h2d_colbcast(
        self, dest, src, px: int, py: int, w: int, h: int, elem_per_pe: int,
        *, streaming: bool = False, data_type=MemcpyDataType.MEMCPY_32BIT, order=MemcpyOrder.ROW_MAJOR,
        nonblock: bool = False,
    ) -> Task:  # fmt: skip
        """Copies src, [1][w][elem_per_pe], so that all PEs of a column get the column's data."""
        transfer.check_options(data_type, order)
        at, n = self._active.rectangle(px, py, w, h), int(elem_per_pe)
        tensor = transfer.to_tensor(transfer.flat(src, at.w * n, "src of a column broadcast"), 1, at.w, n, order)
        tensor = np.broadcast_to(tensor, (at.h, at.w, n))
        return self._to_device(dest, tensor, at, streaming, data_type, nonblock)

    def _to_device(
        self, dest, tensor: np.ndarray, at: Rectangle, streaming: bool, data_type: MemcpyDataType, nonblock: bool
    ) -> Task:
        if streaming:
            color = self._color(dest, out=False)
            what = f"memcpy_h2d of {tensor.shape[2]} wavelets to each of {at} on color {color}"
            return self._stream(Stream(what, color=color, at=at, n=tensor.shape[2]), tensor, nonblock)
        name = self._variable(dest)
        self._settle(f"memcpy_h2d to {name}")
        self.device.write(name, at, transfer.to_bytes(tensor, data_type))
        return Task(f"memcpy_h2d to {name}", done=True)

    def memcpy_d2h(
        self, dest, src, px: int, py: int, w: int, h: int, elem_per_pe: int,
        *, streaming: bool = False, data_type=MemcpyDataType.MEMCPY_32BIT, order=MemcpyOrder.ROW_MAJOR,
        nonblock: bool = False,
    ) -> Task:  # fmt: skip
        """From a variable, or (streaming) a color, of w x h PEs to the host's array `dest`."""
        transfer.check_options(data_type, order)
        at, n = self._active.rectangle(px, py, w, h), int(elem_per_pe)
        words = transfer.flat(dest, at.w * at.h * n, "dest")
        if not words.flags.writeable:
            raise ConfigError("dest cannot be written to")

        def deliver(tensor: np.ndarray) -> None:
            if data_type is MemcpyDataType.MEMCPY_16BIT:
                tensor = tensor & np.uint32(0xFFFF)
            words[:] = transfer.from_tensor(tensor, order)

        if streaming:
            color = self._color(src, out=True)
            what = f"memcpy_d2h of {n} wavelets from each of {at} on color {color}"
            stream = Stream(what, color=color, at=at, n=n, out=True, deliver=deliver)
            return self._stream(stream, None, nonblock)
        name = self._variable(src)
        self._settle(f"memcpy_d2h from {name}")
        deliver(transfer.from_bytes(self.device.read(name, at, n * data_type.bytes), data_type))
        return Task(f"memcpy_d2h from {name}", done=True)

    # Functions.

    def launch(self, symbol: str, *args, nonblock: bool = False) -> Task:
        """Calls an exported function on every PE; the arguments are NumPy numbers of the declared types."""
        device = self._active
        self._finish_launches(f"launch of {symbol}")
        before = device.signals
        launch = Launch(f"launch of {symbol}", started=device.launch(symbol, args), before=before)
        self._launches.append(launch)
        return launch

    def call(self, symbol: str, params: Sequence = (), nonblock: bool = False) -> Task:
        """The older form of launch: the arguments as a list."""
        return self.launch(symbol, *params, nonblock=nonblock)

    # Streams of a layout (SdkLayout).

    def send(self, stream, data: np.ndarray, nonblock: bool = False) -> Task:
        """Sends an array to an input stream."""
        words = _stream_words(data)
        what = f"send of {words.size} wavelets to {stream.name}"
        task = Stream(what, color=stream.color, side=stream.side, at=stream.at, n=words.size, shares=False)
        return self._stream(task, words.reshape(1, 1, -1), nonblock)

    def receive(self, stream, data: np.ndarray, size: int, nonblock: bool = False) -> Task:
        """Fills an array from an output stream."""
        if not isinstance(data, np.ndarray) or data.size < size or not data.flags.c_contiguous:
            raise ConfigError(f"receive of {size} wavelets needs a contiguous array of at least that many elements")

        def deliver(tensor: np.ndarray) -> None:
            words = tensor.reshape(-1).astype(f"<u{data.dtype.itemsize}")
            data.reshape(-1)[:size] = words.view(data.dtype)

        what = f"receive of {size} wavelets from {stream.name}"
        task = Stream(what, color=stream.color, side=stream.side, at=stream.at, n=int(size), out=True, deliver=deliver)
        return self._stream(task, None, nonblock)

    def read_symbol(self, x: int, y: int, name: str, dtype="uint8") -> np.ndarray:
        """An exported variable of the PE at fabric coordinates (x, y), as an array of the type."""
        left, top = self.artifact.offsets
        variable, data = self.device.symbol(x - left, y - top, name)
        wanted = np.dtype(dtype)
        if len(data) % wanted.itemsize:
            raise ConfigError(f"{name} has {variable.bytes} bytes, which are no array of {wanted}")
        return np.frombuffer(data, wanted).copy()

    # Waiting.

    def is_task_done(self, task: Task) -> bool:
        """Whether a nonblocking command has ended."""
        self._collect()
        return task.done

    def task_wait(self, task: Task) -> None:
        """Waits for a nonblocking command."""
        if isinstance(task, Stream):
            self._wait(task)
        elif isinstance(task, Launch):
            self._finish_launches(task.what)

    def _run(self, until: Callable[[], bool] = lambda: False, cycles: int | None = None) -> bool:
        """Device.run, which lets streams begin that wait for the way to be free."""
        started, end = time.perf_counter(), None if cycles is None else self.device.cycle + cycles

        def looked() -> bool:
            self._collect()
            self._begin()
            return until()

        try:
            while not self.device.run(looked, None if end is None else end - self.device.cycle):
                if end is not None and self.device.cycle >= end:
                    return False
                if not self._begin(whatever=True):  # nothing moves
                    return False
            return True
        finally:
            self._host_seconds += time.perf_counter() - started

    def _begin(self, whatever: bool = False) -> bool:
        """Puts the next stream on its way, if the way is free, or whatever is on it."""
        if not self._waiting:
            return False
        if not whatever and (self.device.cycle < self._free_from or any(s.shares and not s.out for s in self._streams)):
            return False
        stream = self._waiting.pop(0)
        self._put(stream)
        return True

    def _put(self, stream: Stream) -> None:
        assert stream.tensor is not None
        self.device.fabric.host_put(stream.color, stream.side, stream.tensor, stream.at.x, stream.at.y)
        stream.tensor = None
        self._streams.append(stream)

    def _finish_launches(self, waiting: str) -> None:
        """Runs until every PE that runs a function has released its command stream."""
        for launch in self._launches:
            if self._run(lambda launch=launch: self._has_signalled(launch)):
                launch.done = True
                continue
            left = launch.started & (self.device.signals == launch.before)
            y, x = divmod(int(np.argmax(left)), left.shape[1])
            more = int(left.sum()) - 1
            others = f" and {more} more" if more else ""
            raise self.device.deadlock(
                f"{waiting} waits for the end of the {launch.what}: PE ({x}, {y}){others} has not called "
                "unblock_cmd_stream() and nothing on the fabric can move any more"
            )
        self._launches.clear()

    def _has_signalled(self, launch: Launch) -> bool:
        return not (launch.started & (self.device.signals == launch.before)).any()

    def _settle(self, waiting: str) -> None:
        """Before a copy: launches end, and what was streamed before is dealt with."""
        self._finish_launches(waiting)
        self._run(cycles=SETTLE_CYCLES)

    def _stream(self, stream: Stream, tensor: np.ndarray | None, nonblock: bool) -> Stream:
        fabric, at = self._active.fabric, stream.at
        if tensor is None:
            fabric.host_ask(stream.color, stream.side, stream.n, at.x, at.y, at.w, at.h)
            self._streams.append(stream)
        else:
            stream.tensor = np.array(tensor, np.uint32, order="C")  # the host may change its array
            if stream.shares:
                self._waiting.append(stream)
                self._begin()
            else:
                self._put(stream)
        if not nonblock:
            self._wait(stream)
        return stream

    def _wait(self, stream: Stream) -> None:
        if not self._run(lambda: stream.done):
            fabric, at = self.device.fabric, stream.at
            left = fabric.host_waiting(stream.color, stream.side, stream.out, at.x, at.y, at.w, at.h)
            raise self.device.deadlock(f"{stream.what} does not end: {left} wavelets are still to come")

    def _collect(self) -> None:
        """Delivers what has come, and forgets the streams that are done: in order, as those of a color follow."""
        fabric, busy = self.device.fabric, set()
        for stream in list(self._streams):
            at, place = stream.at, (stream.color, stream.out)
            if place in busy:
                continue
            if stream.out:
                tensor = self._taken(stream)
                stream.done = tensor is not None
                if tensor is not None and stream.deliver is not None:
                    stream.deliver(tensor)
            else:
                stream.done = not fabric.host_waiting(stream.color, stream.side, False, at.x, at.y, at.w, at.h)
            if stream.done:
                self._streams.remove(stream)
                if stream.shares and not stream.out:
                    self._free_from = self.device.cycle + GAP_CYCLES
            else:
                busy.add(place)

    def _taken(self, stream: Stream) -> np.ndarray | None:
        """What came, if all of it is there."""
        at = stream.at
        try:
            return self.device.fabric.host_take(stream.color, stream.side, stream.n, at.x, at.y, at.w, at.h)
        except ValueError:
            return None


# Options of the SDK's own simulator, which have no meaning here.
_IGNORED = {"suppress_simfab_trace", "simfab_numthreads", "msg_level", "worker", "dump_core", "memcpy_params"}


def _stream_words(data: object) -> np.ndarray:
    """32-bit wavelets of an array: 32-bit elements as they are, 16-bit ones in the low half."""
    if not isinstance(data, np.ndarray) or data.dtype.itemsize not in (2, 4):
        raise ConfigError("a stream takes a NumPy array with elements of 16 or 32 bits")
    words = np.ascontiguousarray(data).reshape(-1)
    return words.view(np.uint32) if data.dtype.itemsize == 4 else words.view(np.uint16).astype(np.uint32)
