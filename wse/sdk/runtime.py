"""SdkRuntime: what host programs of the SDK call.  How commands wait for each other is in commands.py.

Coordinates of copies are those of the program; read_symbol and debug_util count from the corner of the fabric.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .._engine import SRAM
from ..csl import profile
from ..csl.artifact import TO_DEVICE, TO_HOST, Artifact, Port
from ..errors import ConfigError, did_you_mean
from ..fabric.run import Run
from ..machine.parameters import Machine
from . import MACHINE_FILE, SETTINGS, TIMING, arguments, recorder, simlog, transfer
from .commands import SETTLE_CYCLES, Commands, Drain, Stream, Task
from .device import Device, Rectangle
from .messages import Messages
from .region import SdkExecutionPlatform, SimfabConfig, thread_count
from .transfer import MemcpyDataType, MemcpyOrder
from .windows import Copy

# At the end, for a program that is not driven by commands: so many cycles, or fewer on many PEs.
STOP_CYCLES, STOP_PE_CYCLES, STOP_LEAST = 50_000_000, 2_000_000_000, 1_000_000
RUN_LOG = "WSE_RUN_LOG"  # environment: a file that gets a line of JSON for each run

# The devices of this process by directory, for debug_util.
devices: dict[Path, Device] = {}
_unstopped: dict[int, str] = {}  # directories of the runs that were not stopped


def tell_unstopped() -> None:
    """At the end of a host program: the SDK's error for runs without stop()."""
    if not hasattr(sys, "last_value"):  # after an exception it is not what went wrong
        for directory in _unstopped.values():
            print(f"error: the run of {directory} was not ended: call SdkRuntime.stop()", file=sys.stderr)


def machine_of(arch: str) -> Machine:
    """The machine of an architecture, as the environment changes it: WSE_SET=NAME=VALUE,NAME=VALUE,
    WSE_MACHINE=FILE.toml, WSE_TIMING=simulator or silicon.  ConfigError if there is no such figure, or its value is out
    of range, and if the file is of another architecture."""
    file, timing = os.environ.get(MACHINE_FILE), os.environ.get(TIMING)
    base = Machine.load(file, arch) if file else Machine(arch)
    if base.name != arch:
        raise ConfigError(f"the machine file {file} is of {base.name}, but the program was compiled for {arch}")
    overrides: dict[str, int | str] = dict(base.overrides)
    for word in filter(None, (part.strip() for part in os.environ.get(SETTINGS, "").split(","))):
        name, given, value = word.partition("=")
        if not given:
            raise ConfigError(f"{SETTINGS}: {word!r} is not of the form NAME=VALUE, such as hop_cycles=1")
        overrides[name.strip()] = value.strip()
    return Machine(arch, timing or base.profile, overrides)


class Symbol(int):
    """What get_id returns."""

    name: str

    def __new__(cls, number: int, name: str) -> Symbol:
        symbol = super().__new__(cls, number)
        symbol.name = name
        return symbol


class SdkRuntime:
    """A program on the emulator, as host programs of the SDK use it.

    artifacts: the directory of a compiled program, or what SdkLayout.compile returned.
    """

    def __init__(
        self,
        artifacts,
        platform=None,
        cmaddr: str | None = None,
        memcpy_required: bool = True,
        suppress_simfab_trace: bool | None = None,
        simfab_numthreads: int | None = None,
        msg_level: str = "WARNING",
        **unknown,
    ):
        if isinstance(platform, str) and cmaddr is None:
            platform, cmaddr = None, platform
        if cmaddr:
            raise ConfigError(f"there is no system at {cmaddr!r}: this is the emulator, leave --cmaddr away")
        if unknown:
            raise TypeError(f"SdkRuntime has no option {', '.join(sorted(unknown))}: its options are {_OPTIONS}")
        if platform is not None and not isinstance(platform, SdkExecutionPlatform):
            raise ConfigError(f"platform is what get_platform returns, not {platform!r}")
        self._messages = Messages(msg_level)
        if suppress_simfab_trace is False:
            self._messages.info("the emulator writes no simfab_traces")
        self.config = (platform.config if platform is not None else None) or SimfabConfig()
        self._threads = self.config.num_threads
        if simfab_numthreads is not None:
            self._threads = thread_count(simfab_numthreads, "simfab_numthreads")
        self.memcpy_required = bool(memcpy_required)
        if not isinstance(artifacts, str | os.PathLike):
            raise ConfigError(f"the artifacts of SdkRuntime are a directory, not {arguments.shown(artifacts)}")
        self.directory = Path(artifacts)
        self.artifact = Artifact.load(self.directory)
        if platform is not None and platform.target.value != self.artifact.arch:
            raise ConfigError(
                f"{self.directory} was compiled for {self.artifact.arch}, but the platform is {platform.target.value}"
            )
        self._ports = self.artifact.ports
        self._commands: Commands | None = None
        self._recorded: recorder.Recorded | None = None
        self._running = self._stopped = False

    def __repr__(self) -> str:
        state = "stopped" if self._stopped else "running" if self._running else "loaded" if self._commands else "made"
        cycle = f" at cycle {self.device.cycle:,}" if self._commands else ""
        place = f"{self.artifact.width} x {self.artifact.height} PEs of {self.artifact.arch}"
        return f"SdkRuntime({self.directory}: {place}, {state}{cycle})"

    def measure(self) -> Run:
        """The measurements since load(), also after stop(): beside the names of the SDK, for Python and notebooks."""
        return self.device.measure()

    # The life of a run.

    def load(self) -> None:
        """Loads the program."""
        if self._commands is not None:
            raise ConfigError(f"{self.directory} is loaded already: load() is called once for each SdkRuntime")
        traces, options = simlog.wanted(), recorder.current
        if self.config.suppress_trace:
            traces = frozenset()
        device = devices[self.directory.resolve()] = Device(
            self.artifact,
            options.threads or self._threads,
            self._messages,
            traces,
            max(options.events, simlog.TRACED_EVENTS if traces else 0),
            machine_of(self.artifact.arch),
            options.activity,
            options.max_cycles,
            options.progress,
            options.watch,
            options.checker(),
            options.detail,
            options.fabric,
        )
        self._recorded = options.begin(self.directory, device)
        self._commands = Commands(device, self._recorded)
        for port in self._ports:
            if port.out:
                self._commands.ask(stream_of(port, "", 0), port.buffer)
        self._messages.info(f"{self.directory}: {device.width} x {device.height} PEs of {self.artifact.arch} loaded")

    def run(self) -> None:
        """Lets it run."""
        if self._commands is None:
            raise ConfigError("run() comes after load()")
        if self._stopped:
            raise ConfigError("run() comes before stop(): make another SdkRuntime for another run")
        self._running = True
        _unstopped[id(self)] = str(self.directory)

    def start(self) -> None:
        """load() and run()."""
        self.load()
        self.run()

    def stop(self) -> None:
        """Waits for everything that was commanded, and ends the run; symbols can still be read."""
        if self._stopped:
            return
        commands, device = self._loaded, self.device
        try:
            commands.finish()
            limit = SETTLE_CYCLES if self.memcpy_required else _stop_cycles(device)
            before = device.cycle
            commands.run(cycles=limit)
            if not self.memcpy_required and device.cycle - before >= limit:
                self._messages.warning(f"the program still ran after {device.cycle:,} cycles, and was stopped")
            commands.end()
            for text in commands.untaken():
                self._messages.warning(text)
            self._messages.info(f"{self.directory}: stopped after {device.cycle:,} cycles; {commands.windows}")
        finally:
            self._stopped = True
            _unstopped.pop(id(self), None)
            simlog.write(device)
            if self.config.dump_core:
                self.dump_core(self.config.core_path)
            if profile.wanted():
                profile.save(device.fabric, self.directory)
            recorder.current.end(self._recorded)
            self._log()

    def _log(self) -> None:
        if path := os.environ.get(RUN_LOG):
            run = self.device.measure()
            line = {
                "arch": run.machine,
                "grid": [run.width, run.height],
                "cycles": run.cycles,
                "wall_seconds": run.wall_seconds,
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
        return self._loaded.device

    @property
    def _loaded(self) -> Commands:
        if self._commands is None:
            raise ConfigError("load() and run() come before commands")
        return self._commands

    @property
    def _active(self) -> Commands:
        commands = self._loaded
        if not self._running or self._stopped:
            raise ConfigError("commands come between run() and stop()")
        return commands

    # Names.

    def get_id(self, symbol: str) -> Symbol:
        """The handle of an exported variable or function."""
        symbol = arguments.name(symbol, "the symbol of get_id")
        for number, export in enumerate(self.artifact.exports):
            if export.name == symbol:
                return Symbol(number, symbol)
        names = [export.name for export in self.artifact.exports]
        raise ConfigError(f"the layout exports no {symbol!r} (@export_name): {did_you_mean(symbol, names, most=40)}")

    get_symbol = get_id  # as an example of the SDK's reference calls it

    def _variable(self, symbol: object) -> str:
        number = _number(symbol)
        if number is None or not 0 <= number < len(self.artifact.exports):
            raise ConfigError(
                f"{arguments.shown(symbol)} is no exported variable: take it from get_id(name), or say streaming=True"
            )
        export = self.artifact.exports[number]
        if export.function:
            raise ConfigError(f"{export.name} is exported as a function, and no variable: call launch({export.name!r})")
        return export.name

    def _color(self, color: object, out: bool) -> int:
        known = {n: c for n, c in self.artifact.host_colors.items() if n.startswith(TO_HOST if out else TO_DEVICE)}
        number = None if isinstance(color, Symbol) else _number(color)
        if number is not None and number in known.values():
            return number
        have = ", ".join(f"{name} ({c})" for name, c in known.items()) or "none"
        way = "device-to-host" if out else "host-to-device"
        raise ConfigError(
            f"{arguments.shown(color)} is no {way} color of the program's <memcpy/get_params>: it has {have}"
        )

    # Copies.

    def memcpy_h2d(
        self, dest, src, px: int, py: int, w: int, h: int, elem_per_pe: int,
        *, streaming: bool = False, data_type=MemcpyDataType.MEMCPY_32BIT, order=MemcpyOrder.ROW_MAJOR,
        nonblock: bool = False,
    ) -> Task:  # fmt: skip
        """From the array `src` to a variable, or (streaming) a color, of w x h PEs, elem_per_pe elements each."""
        transfer.check_options(data_type, order, streaming, nonblock)
        at, n = self._active.device.rectangle(px, py, w, h), _elements(elem_per_pe)
        words = transfer.flat(src, at.w * at.h * n, "src")
        tensor = transfer.to_tensor(words, at.h, at.w, n, order)
        return self._to_device(dest, tensor, at, streaming, data_type, nonblock, words.size)

    def memcpy_h2d_rowbcast(
        self, dest, src, px: int, py: int, w: int, h: int, elem_per_pe: int,
        *, streaming: bool = False, data_type=MemcpyDataType.MEMCPY_32BIT, order=MemcpyOrder.ROW_MAJOR,
        nonblock: bool = False,
    ) -> Task:  # fmt: skip
        """Copies src, [h][1][elem_per_pe], so that all PEs of a row get the row's data."""
        transfer.check_options(data_type, order, streaming, nonblock)
        at, n = self._active.device.rectangle(px, py, w, h), _elements(elem_per_pe)
        words = transfer.flat(src, at.h * n, "src of a row broadcast")
        tensor = np.broadcast_to(transfer.to_tensor(words, at.h, 1, n, order), (at.h, at.w, n))
        return self._to_device(dest, tensor, at, streaming, data_type, nonblock, words.size)

    def memcpy_h2d_colbcast(
        self, dest, src, px: int, py: int, w: int, h: int, elem_per_pe: int,
        *, streaming: bool = False, data_type=MemcpyDataType.MEMCPY_32BIT, order=MemcpyOrder.ROW_MAJOR,
        nonblock: bool = False,
    ) -> Task:  # fmt: skip
        """Copies src, [1][w][elem_per_pe], so that all PEs of a column get the column's data."""
        transfer.check_options(data_type, order, streaming, nonblock)
        at, n = self._active.device.rectangle(px, py, w, h), _elements(elem_per_pe)
        words = transfer.flat(src, at.w * n, "src of a column broadcast")
        tensor = np.broadcast_to(transfer.to_tensor(words, 1, at.w, n, order), (at.h, at.w, n))
        return self._to_device(dest, tensor, at, streaming, data_type, nonblock, words.size)

    def memcpy_h2d_stride(
        self, dest, src, px: int, py: int, w: int, h: int, elem_per_pe: int, row_stride: int, col_stride: int,
        *, streaming: bool = False, data_type=MemcpyDataType.MEMCPY_32BIT, order=MemcpyOrder.ROW_MAJOR,
        nonblock: bool = False,
    ) -> Task:  # fmt: skip
        """Copies src to every row_stride-th PE of every col_stride-th row: a tensor [rows][columns][elem_per_pe]."""
        transfer.check_options(data_type, order, streaming, nonblock)
        at, n = self._active.device.rectangle(px, py, w, h), _elements(elem_per_pe)
        row_stride = arguments.integer(row_stride, "row_stride", 1)
        col_stride = arguments.integer(col_stride, "col_stride", 1)
        columns, rows = range(at.x, at.x + at.w, row_stride), range(at.y, at.y + at.h, col_stride)
        words = transfer.flat(src, len(rows) * len(columns) * n, "src of a strided copy")
        tensor = transfer.to_tensor(words, len(rows), len(columns), n, order)
        if not streaming:
            what = f"memcpy_h2d to {self._variable(dest)}"
            self._active.settle(what, Copy(True, len(rows) * len(columns), words.size))
        parts = [
            self._to_device(dest, tensor[j : j + 1, i : i + 1], Rectangle(x, y, 1, 1), streaming, data_type, True)
            for j, y in enumerate(rows)
            for i, x in enumerate(columns)
        ]
        if not nonblock:
            for part in parts:
                self._active.wait(part)
        return parts[-1]

    def _to_device(
        self,
        dest,
        tensor: np.ndarray,
        at: Rectangle,
        streaming: bool,
        data_type: MemcpyDataType,
        nonblock: bool,
        words: int | None = None,
    ) -> Task:
        """words: that the host sends in all; None: a part of a copy whose time has passed."""
        if streaming:
            color = self._color(dest, out=False)
            what = f"memcpy_h2d of {tensor.shape[2]} wavelets to each of {at} on color {color}"
            return self._stream(Stream(what, color=color, at=at, n=tensor.shape[2]), tensor, nonblock)
        name = self._variable(dest)
        if words is not None:
            self._active.settle(f"memcpy_h2d to {name}", Copy(True, at.w * at.h, words))
        self.device.write(name, at, transfer.to_bytes(tensor, data_type))
        return Task(f"memcpy_h2d to {name}", done=True)

    def memcpy_d2h(
        self, dest, src, px: int, py: int, w: int, h: int, elem_per_pe: int,
        *, streaming: bool = False, data_type=MemcpyDataType.MEMCPY_32BIT, order=MemcpyOrder.ROW_MAJOR,
        nonblock: bool = False,
    ) -> Task:  # fmt: skip
        """From a variable, or (streaming) a color, of w x h PEs to the host's array `dest`."""
        transfer.check_options(data_type, order, streaming, nonblock)
        at, n = self._active.device.rectangle(px, py, w, h), _elements(elem_per_pe)
        words = transfer.flat(dest, at.w * at.h * n, "dest")
        if not words.flags.writeable:
            raise ConfigError("dest cannot be written to")

        def deliver(tensor: np.ndarray) -> None:
            words[:] = transfer.from_tensor(tensor, order)

        if streaming:
            color = self._color(src, out=True)
            what = f"memcpy_d2h of {n} wavelets from each of {at} on color {color}"
            stream = Stream(what, color=color, at=at, n=n, out=True, deliver=deliver)
            return self._stream(stream, None, nonblock)
        name = self._variable(src)
        self._active.settle(f"memcpy_d2h from {name}", Copy(False, at.w * at.h, words.size))
        deliver(transfer.from_bytes(self.device.read(name, at, n * data_type.bytes), data_type))
        return Task(f"memcpy_d2h from {name}", done=True)

    # Functions.

    def launch(self, symbol: str, *args, nonblock: bool = False) -> Task:
        """Calls an exported function on every PE; the arguments are NumPy numbers of the declared types."""
        return self._active.launch(arguments.name(symbol, "the function of launch"), args)

    def call(self, symbol: str, params: Sequence = (), nonblock: bool = False) -> Task:
        """The older form of launch: the arguments as a list."""
        if not isinstance(params, list | tuple | np.ndarray) or np.ndim(params) > 1:
            raise ConfigError(f"the arguments of call are a list, not {arguments.shown(params)}")
        return self.launch(symbol, *params, nonblock=nonblock)

    # Streams of a layout (SdkLayout).

    def get_port_id(self, port_name: str) -> int:
        """The number of a port's stream, for send and receive."""
        return self._ports.index(self._port(port_name))

    def report_port_infos(self) -> None:
        """Prints name, color and place of each stream's port."""
        for port in self._ports:
            way = "output" if port.out else "input"
            print(f"{port.name}: {way}, color {port.color}, PE ({port.x}, {port.y}), side {port.side}")

    def _port(self, port: object) -> Port:
        number = _number(port)
        if number is None and not isinstance(port, str):
            raise ConfigError(
                f"a stream is given by its name or its number (get_port_id), not by {arguments.shown(port)}"
            )
        if number is not None and 0 <= number < len(self._ports):
            return self._ports[number]
        for known in self._ports:
            if port == known.name:
                return known
        short = [known for known in self._ports if port == known.short]
        if len(short) == 1:
            return short[0]
        why = f"several streams are called {port!r}" if short else f"the layout has no stream {port!r}"
        raise ConfigError(f"{why}: {did_you_mean(str(port), [known.name for known in self._ports], most=40)}")

    def _port_of(self, port: object, out: bool, what: str) -> Port:
        found = self._port(port)
        if found.out != out:
            raise ConfigError(f"{what}: {found.name} is an {'output' if found.out else 'input'} stream")
        return found

    def send(self, port, src: np.ndarray, n_wavelets: int | None = None, *, nonblock: bool = False) -> Task:
        """Sends an array, or so many elements of it, to an input stream: its name or number."""
        found, words = self._port_of(port, False, "send"), _stream_words(src)
        n = words.size if n_wavelets is None else arguments.integer(n_wavelets, "n_wavelets of send", 0)
        if n > words.size:
            raise ConfigError(f"send of {n} wavelets to {found.name}: the array has {words.size} elements")
        task = stream_of(found, f"send of {n} wavelets to stream {found.name}", n)
        return self._stream(task, words[:n].reshape(1, 1, -1), nonblock)

    def receive(self, port, dest: np.ndarray, n_wavelets: int, *, nonblock: bool = False) -> Task:
        """Fills an array from an output stream: its name or number."""
        found, size = self._port_of(port, True, "receive"), arguments.integer(n_wavelets, "n_wavelets of receive", 0)
        what = f"receive of {size} wavelets from stream {found.name}"
        if not isinstance(dest, np.ndarray) or dest.size < size or not dest.flags.c_contiguous:
            raise ConfigError(f"{what} needs a contiguous array of at least that many elements")
        if dest.dtype.itemsize not in (2, 4) or dest.dtype.kind not in "iuf":
            raise ConfigError(f"{what} needs an array with elements of 16 or 32 bits, not {dest.dtype}")
        if not dest.flags.writeable:
            raise ConfigError(f"{what}: the array cannot be written to")

        def deliver(tensor: np.ndarray) -> None:
            words = tensor.reshape(-1).astype(f"<u{dest.dtype.itemsize}")
            dest.reshape(-1)[:size] = words.view(dest.dtype)

        task = stream_of(found, what, size)
        task.deliver = deliver
        return self._stream(task, None, nonblock)

    def receive_tofile(self, port, outfile: str | Path, *, nonblock: bool = False) -> Task:
        """Writes what leaves by an output stream to a file, 32-bit words, low byte first: until stop(), or until
        nothing moves any more if it is not nonblocking."""
        found = self._port_of(port, True, "receive_tofile")
        place = stream_of(found, f"receive_tofile of stream {found.name}", 0)
        drain = Drain(place.what, color=place.color, side=place.side, at=place.at, out=True, path=Path(outfile))
        try:
            self._active.drain(drain)
        except OSError as error:
            raise ConfigError(f"{drain.what}: {outfile} cannot be written: {error.strerror}") from None
        if not nonblock:
            self._active.wait(drain)
        return drain

    # Looking.

    def read_symbol(self, x: int, y: int, name: str, dtype="uint8") -> np.ndarray:
        """An exported variable of the PE at fabric coordinates (x, y), as an array of the type."""
        left, top = self.artifact.offsets
        px, py = arguments.integer(x, "x of read_symbol"), arguments.integer(y, "y of read_symbol")
        symbol = arguments.name(name, "the symbol of read_symbol")
        return arguments.elements(self.device.symbol(px - left, py - top, symbol)[1], dtype, symbol)

    def coord_logical_to_physical(self, logical_coords: tuple[int, int]) -> tuple[int, int]:
        """A PE of the program as one of the fabric."""
        left, top = self.artifact.offsets
        x, y = arguments.pair(logical_coords, "logical_coords")
        return left + arguments.integer(x, "x"), top + arguments.integer(y, "y")

    def dump_core(self, corefile: str | Path) -> None:
        """Writes the memory of all PEs, uint8 [h, w, bytes], as a compressed NumPy file of that name."""
        memory = self.device.fabric.read_bytes(0, SRAM)
        with open(corefile, "wb") as file:
            np.savez_compressed(file, memory=memory)

    dump_elf_core = dump_core

    # Waiting.

    def is_task_done(self, task: Task) -> bool:
        """Whether a nonblocking command has ended."""
        self._loaded.collect()
        return _task(task, "is_task_done").done

    def task_wait(self, task: Task) -> None:
        """Waits for a nonblocking command."""
        self._loaded.wait(_task(task, "task_wait"))

    def _stream(self, stream: Stream, tensor: np.ndarray | None, nonblock: bool) -> Stream:
        commands = self._active
        if tensor is None:
            commands.receive(stream)
        else:
            commands.send(stream, tensor)
        if not nonblock:
            commands.wait(stream)
        return stream


def _stop_cycles(device: Device) -> int:
    return min(STOP_CYCLES, max(STOP_LEAST, STOP_PE_CYCLES // (device.width * device.height)))


_OPTIONS = "cmaddr, suppress_simfab_trace, simfab_numthreads, msg_level, memcpy_required"


def stream_of(port: Port, what: str, n: int) -> Stream:
    """A stream by a port."""
    at = Rectangle(port.x, port.y, 1, 1)
    return Stream(what, color=port.color, side=port.side, at=at, n=n, out=port.out, shares=False, buffer=port.buffer)


def _elements(value: object) -> int:
    return arguments.integer(value, "elem_per_pe", 0)


def _task(value: object, what: str) -> Task:
    if not isinstance(value, Task):
        raise ConfigError(f"{what} takes what a command returned, not {arguments.shown(value)}")
    return value


def _number(value: object) -> int | None:
    """An integer of Python or NumPy; None for anything else."""
    return int(value) if isinstance(value, int | np.integer) and not isinstance(value, bool) else None


def _stream_words(data: object) -> np.ndarray:
    """32-bit wavelets of an array: 32-bit elements as they are, 16-bit ones in the low half."""
    if not isinstance(data, np.ndarray) or data.dtype.itemsize not in (2, 4) or data.dtype.kind not in "iuf":
        raise ConfigError(f"a stream takes a NumPy array of numbers of 16 or 32 bits, not {arguments.shown(data)}")
    words = np.ascontiguousarray(data).reshape(-1)
    return words.view(np.uint32) if data.dtype.itemsize == 4 else words.view(np.uint16).astype(np.uint32)
