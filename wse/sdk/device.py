"""A compiled program on an emulated fabric: its memory, its functions, its streams, by the names of the host.

What the memcpy library of the machine does with PEs beside the program is modelled here, not executed: a copy reads or
writes memory between two cycles, a launch writes the arguments and activates a task, streams enter and leave at each
PE's router.  windows.py has the time that copies and launches take.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from .. import _engine
from ..check import Checker
from ..csl import profile
from ..csl.artifact import RPC_ARGUMENTS, RPC_SELECTOR, RPC_TASK, Artifact, ClassImage, Variable
from ..errors import ConfigError, ProgramError, did_you_mean
from ..fabric.errors import DeadlockError, LimitReached, RunError
from ..fabric.fabric import Fabric
from ..fabric.run import Run
from ..fabric.watch import Watch
from ..machine import numerics
from ..machine.parameters import Machine
from ..program.image import NO_CLASS, values_in
from ..program.symbol import DTYPES
from ..records import dataclass
from . import arguments
from .messages import Messages

_FIRST_CHUNK, _LAST_CHUNK = 256, 1 << 16  # cycles between two looks at what the host waits for
_MANY_PES = 4096  # a fabric of more is worth a thread for each processor


@dataclass(frozen=True)
class Rectangle:
    """PEs (x, y) to (x + w - 1, y + h - 1) of the program."""

    x: int
    y: int
    w: int
    h: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """The index of an array [y, x]."""
        return slice(self.y, self.y + self.h), slice(self.x, self.x + self.w)

    def overlaps(self, other: Rectangle) -> bool:
        across = self.x < other.x + other.w and other.x < self.x + self.w
        return across and self.y < other.y + other.h and other.y < self.y + self.h

    def __str__(self) -> str:
        return f"{self.w} x {self.h} PEs at ({self.x}, {self.y})"


class Device:
    """An artifact, loaded.

    - machine: instead of the architecture's own.
    - events (its trace), activity, watch, detail: as Fabric takes them.  check: collects the findings of a checked run.
    - max_cycles: the cycle beyond which the device does not run; LimitReached where the host waits for more.
    - progress: called with the cycle while the device runs, and its method clear when the host goes on.
    - make: the fabric's constructor.

    failed: how the run ended, as Run.ended, once it has ended by an error; error: which.
    """

    def __init__(
        self,
        artifact: Artifact,
        threads: int | None = None,
        messages: Messages | None = None,
        traces=frozenset(),
        events: int = 0,
        machine: Machine | None = None,
        activity: bool = False,
        max_cycles: int | None = None,
        progress: Any = None,
        watch: Watch | None = None,
        check: Checker | None = None,
        detail: bool = False,
        make: Callable[..., Fabric] = Fabric,
    ):
        self.artifact, self.messages = artifact, messages or Messages()
        self.traces = traces  # what simlog writes besides what PEs print
        self.width, self.height = artifact.width, artifact.height
        if threads is None:
            threads = (os.cpu_count() or 1) if self.width * self.height > _MANY_PES else 1
        self.fabric = make(
            artifact.image(machine),
            threads=threads,
            trace=events,
            activity=activity,
            drops_off_edge=True,  # as the vendor's simulator
            watch=watch,
            check=check is not None,
            detail=detail,
        )
        if check is not None:
            check.add(self.fabric)
        self.max_cycles, self.progress = max_cycles, progress
        self.failed, self.error = "", ""
        self._noted: set[tuple[int, str]] = set()
        if profile.wanted():
            self.fabric.keep_profile()
        self.last: Run | None = None

    # Places and names.

    def rectangle(self, x: int, y: int, w: int, h: int) -> Rectangle:
        x, y, w, h = (arguments.integer(v, what) for v, what in zip((x, y, w, h), ("px", "py", "w", "h"), strict=True))
        if x < 0 or y < 0 or w < 1 or h < 1 or x + w > self.width or y + h > self.height:
            raise ConfigError(f"{w} x {h} PEs at ({x}, {y}) are not in the program's {self.width} x {self.height}")
        return Rectangle(x, y, w, h)

    @property
    def everything(self) -> Rectangle:
        return Rectangle(0, 0, self.width, self.height)

    def classes(self, at: Rectangle) -> list[tuple[int, ClassImage]]:
        """The classes of the rectangle's PEs."""
        found = values_in(self.artifact.class_of[at.slices])
        return [(i, self.artifact.classes[i]) for i in found if i != NO_CLASS]

    def _somewhere(self, at: Rectangle, wanted: np.ndarray) -> str:
        dy, dx = divmod(int(np.argmax(wanted)), at.w)
        return f"PE ({at.x + dx}, {at.y + dy})"

    # Memory.

    def read(self, name: str, at: Rectangle, size: int) -> np.ndarray:
        """uint8 [h, w, size] of a published variable.  What is beyond its end is read with it, with a note."""
        memory = np.zeros((at.h, at.w, size), np.uint8)
        for address, here in self._addresses(name, at, size, reads=True):
            part = self._read(address, at, size)
            memory[here] = part[here]
        return memory

    def write(self, name: str, at: Rectangle, memory: np.ndarray) -> None:
        """The reverse of read."""
        size = memory.shape[2]
        for address, here in self._addresses(name, at, size):
            part = memory
            if not here.all():
                part = self._read(address, at, size)
                part[here] = memory[here]
            self._write(address, at, part)

    def _addresses(self, name: str, at: Rectangle, size: int, reads: bool = False) -> list[tuple[int, np.ndarray]]:
        """Where the variable is, and in which PEs it is there.  reads: nothing is written."""
        classes = self.artifact.class_of[at.slices]
        found: dict[int, list[np.ndarray]] = {}
        missing = np.ones(classes.shape, bool)
        for index, image in self.classes(at):
            variable = image.variables.get(name)
            if variable is None:
                continue
            if not (reads or variable.mutable):
                raise ProgramError(
                    f"{name} of {image.name} is a constant, which code may contain as a number: the host cannot "
                    "change it. Declare what it points to with var, and the pointer without const"
                )
            beyond = variable.pointer is None and size > variable.bytes
            if beyond and reads and variable.address + size <= _engine.SRAM:
                self._note_beyond(name, variable, size)
            elif beyond:
                raise ProgramError(
                    f"{name} of {image.name} has {variable.bytes} bytes ({variable.count} x {variable.type}), "
                    f"but the copy is of {size} bytes for each PE: it would reach what lies behind"
                    + halves(variable, size)
                )
            here = classes == index
            missing &= ~here
            if variable.pointer is None:
                found.setdefault(variable.address, []).append(here)
                continue
            pointers = self._read(variable.pointer, at, 2).view("<u2")[:, :, 0]
            for address in values_in(pointers[here]):
                if size > _extent(image, variable, address):
                    raise _outside(self._somewhere(at, here & (pointers == address)), name, image, address, size)
                found.setdefault(address, []).append(here & (pointers == address))
        if missing.any():
            where = self._somewhere(at, missing)
            raise ProgramError(f"{where} publishes no {name!r}, which a copy of {at} names: @export_symbol it there")
        return [(address, np.logical_or.reduce(planes)) for address, planes in found.items()]

    def _read(self, address: int, at: Rectangle, size: int) -> np.ndarray:
        return self.fabric.read_bytes(address, size, at.x, at.y, at.w, at.h)

    def _write(self, address: int, at: Rectangle, memory: np.ndarray) -> None:
        self.fabric.write_bytes(address, memory, at.x, at.y)

    def symbol(self, x: int, y: int, name: str) -> tuple[Variable, bytes]:
        """A variable of one PE, exported, published, or only there, and its bytes."""
        at = self.rectangle(x, y, 1, 1)
        for _, image in self.classes(at):
            variable = image.symbols.get(name) or image.variables.get(name)
            if variable is not None:
                if variable.pointer is not None:
                    address = int(self._read(variable.pointer, at, 2).view("<u2")[0, 0, 0])
                    if variable.bytes > _extent(image, variable, address):
                        raise _outside(f"PE ({x}, {y})", name, image, address, variable.bytes)
                    variable = replace(variable, address=address)
                return variable, self._read(variable.address, at, variable.bytes).tobytes()
            for row in image.memory:
                if row.name == name and row.address < RPC_ARGUMENTS:
                    variable = Variable(row.address, "", row.bytes, row.bytes)
                    return variable, self._read(row.address, at, row.bytes).tobytes()
            known = did_you_mean(name, {*image.symbols, *image.variables}, most=40)
            raise ProgramError(f"PE ({x}, {y}) has no symbol {name!r}: write `export var`; {known}")
        raise ProgramError(f"PE ({x}, {y}) has no program, and so no symbol {name!r}")

    # Functions.

    def launch(self, name: str, args: Sequence[object]) -> np.ndarray:
        """Starts a function on every PE that publishes it; returns which, bool [h, w]."""
        at, started = self.everything, np.zeros((self.height, self.width), bool)
        for index, image in self.classes(at):
            rpc = image.functions.get(name)
            if rpc is None:
                continue
            here = self.artifact.class_of == index
            if len(args) != len(rpc.args):
                raise ConfigError(f"{name} of {image.name} takes {len(rpc.args)} arguments, not {len(args)}")
            for number, ((address, type), value) in enumerate(zip(rpc.args, args, strict=True)):
                self._fill(address, argument(value, type, f"argument {number + 1} of {name}", self.artifact.fp16), here)
            self._fill(RPC_SELECTOR, np.uint32(rpc.selector).tobytes(), here)
            started |= here
        if not started.any():
            known = sorted({function for _, image in self.classes(at) for function in image.functions})
            raise ConfigError(
                f"no PE publishes a function {name!r}: @export_symbol it in a comptime block; "
                f"{did_you_mean(name, known, most=40)}"
            )
        if self.fabric.check:
            self.fabric.note_launch(name)
        for row in range(self.height):
            for x, w in runs_of(started[row]):
                self.fabric.launch(RPC_TASK, x, row, w, 1)
        return started

    def _fill(self, address: int, data: bytes, here: np.ndarray) -> None:
        at = self.everything
        values = np.broadcast_to(np.frombuffer(data, np.uint8), (at.h, at.w, len(data)))
        if not here.all():
            values = np.where(here[:, :, None], values, self._read(address, at, len(data)))
        self._write(address, at, values)

    @property
    def signals(self) -> np.ndarray:
        """uint32 [h, w]: how often each PE has said that its command is done."""
        return self.fabric.host_signals

    # Time.

    @property
    def cycle(self) -> int:
        return self.fabric.cycle

    def run(self, until=None, cycles: int | None = None) -> bool:
        """Runs until `until()`, or nothing can move, or `cycles` have passed; whether it was `until`.

        FabricFault if the program does what the machine forbids.  LimitReached if it would go beyond max_cycles.
        """
        try:
            return self._run(until, None if cycles is None else self.cycle + cycles)
        finally:
            if self.progress is not None:
                self.progress.clear()

    def _run(self, until: Callable[[], bool] | None, end: int | None) -> bool:
        chunk = _FIRST_CHUNK
        while True:
            if until is not None and until():
                return True
            most = chunk if end is None else min(chunk, end - self.cycle)
            if most <= 0:
                return False
            stopped = self.fabric.advance(self._within_limit(most), self.progress)
            self._note_dropped()
            if stopped == "fault":
                raise self.fails("fault", self.fabric.fault())
            if stopped == "quiet":
                return until is not None and bool(until())
            chunk = min(chunk * 2, _LAST_CHUNK)

    def rest(self, cycles: int) -> None:
        """Lets cycles pass in which nothing moves.  LimitReached as `run`."""
        while cycles > 0:
            most = self._within_limit(cycles)
            self.fabric.rest(most)
            cycles -= most

    def _within_limit(self, cycles: int) -> int:
        """As many of these cycles as max_cycles leaves; LimitReached if it leaves none."""
        if self.max_cycles is None:
            return cycles
        left = self.max_cycles - self.cycle
        if left <= 0:
            raise self.fails(
                "limit",
                LimitReached(
                    f"the run was ended in cycle {self.cycle:,}, as --max-cycles says, and the host still waits for it"
                ),
            )
        return min(cycles, left)

    def fails(self, ended: str, error: RunError) -> RunError:
        """The error, with the measurements until then; the run has ended by it."""
        error.run = error.run or self.measure(ended)
        self.last = error.run
        if not self.failed:
            self.failed, self.error = ended, str(error)
        return error

    def _note_beyond(self, name: str, variable: Variable, size: int) -> None:
        """Says once for each variable that a copy reads more than it has."""
        if (0, name) not in self._noted:
            self._noted.add((0, name))
            self.messages.warning(
                f"a copy reads {size} bytes for each PE from {name}, which has {variable.bytes} "
                f"({variable.count} x {variable.type}): the rest is what lies behind{halves(variable, size)}"
            )

    def _note_dropped(self) -> None:
        """Says once for each color and side that its wavelets leave the rectangle."""
        for color, port in self.fabric.dropped():
            if (int(color), port) not in self._noted:
                self._noted.add((int(color), port))
                side = {"N": "north", "E": "east", "S": "south", "W": "west"}[port]
                self.messages.warning(
                    f"wavelets of color {int(color)} ({color.name}) leave the rectangle in the {side} and are dropped"
                )

    def deadlock(self, what: str) -> DeadlockError:
        """The error for a host that waits for something which nothing on the fabric will bring about any more."""
        report = self.fabric.deadlock()
        why = str(report) if report else f"no PE has anything left to do since cycle {self.fabric.last_activity}"
        error = DeadlockError(f"{what}\n{why}", report.cycle if report else [], report.waits if report else 0)
        self.fails("deadlock", error)
        return error

    def measure(self, ended: str = "done") -> Run:
        """What was measured so far."""
        self.last = self.fabric.measure(ended)
        return self.last


def halves(variable: Variable, size: int) -> str:
    """The end of a message about elements of 16 bits that are copied as if they had 32."""
    if variable.item == 2 and variable.bytes < size <= 2 * variable.bytes:
        return ": MEMCPY_16BIT copies elements of 16 bits"
    return ""


def _extent(image: ClassImage, variable: Variable, address: int) -> int:
    """Bytes from the address that an exported pointer holds to the end of the variable that it points into."""
    if address == variable.address:
        return variable.bytes
    named = {row.address: row.bytes for row in image.memory if 0 < row.address < RPC_ARGUMENTS}  # 0: code
    ends = [start + size for start, size in named.items() if start <= address < start + size]
    return max(ends) - address if ends else 0


def _outside(where: str, name: str, image: ClassImage, address: int, size: int) -> ProgramError:
    inside = [row for row in image.memory if row.address <= address < row.address + row.bytes]
    target = f"{inside[0].name} ({inside[0].address:#06x}, {inside[0].bytes} bytes)" if inside else "no variable"
    return ProgramError(
        f"the pointer {name} of {where} holds {address:#06x}, in {target}; the host's copy of {size} bytes "
        f"for each PE does not fit there: point it at an array of that size, or copy less"
    )


def argument(value: object, type: str, what: str, fp16: str = "f16") -> bytes:
    """A launch argument as bytes; numbers of NumPy keep their type, which must be the declared one.

    fp16: the program's format of 16-bit floats.  NumPy has no bf16 and no cb16: they are given as Python's numbers, or
    as the 16 bits in an integer."""
    if type not in DTYPES and type != "bool":
        raise ConfigError(f"{what} is of type {type}, which a host cannot give")
    wanted = np.dtype("u1") if type == "bool" else np.dtype("<f2") if type == "f16" else DTYPES[type]
    given = np.asarray(value)
    if type == "f16" and fp16 != "f16" and given.ndim == 0 and given.dtype.kind in "iufb":
        return _further_half(value, given, fp16, what)
    if given.ndim or given.dtype.kind not in "iufb":
        raise ConfigError(f"{what} is a number of type {type}, not {arguments.shown(value)}")
    if isinstance(value, np.generic) and given.dtype.itemsize != wanted.itemsize:
        raise ConfigError(
            f"{what} is of type {type}, not {given.dtype}: launch takes np.int16, np.uint32, np.float32 ..."
        )
    if isinstance(value, np.generic) and (given.dtype.kind == "f") != (wanted.kind == "f"):
        return given.tobytes()  # bits as they are
    with np.errstate(over="ignore", invalid="ignore"):
        made = given.astype(wanted)
    if isinstance(value, np.generic) and wanted.kind in "iu" and given.dtype.kind in "iu":
        return made.tobytes()  # of one size: the same bits
    if wanted.kind in "iu" and made != given:
        limits = np.iinfo(wanted)
        low, high = (0, 1) if type == "bool" else (limits.min, limits.max)
        raise ConfigError(f"{what} is of type {type}, {low} to {high} in whole numbers; {value!r} does not fit")
    if wanted.kind == "f" and np.isinf(made) and np.isfinite(given):
        raise ConfigError(f"{what} is of type {type}, at most {np.finfo(wanted).max}; {value!r} does not fit")
    if type == "bool" and made > 1:
        raise ConfigError(f"{what} is of type bool, 0 or 1; {value!r} does not fit")
    return made.tobytes()


def _further_half(value: object, given: np.ndarray, fp16: str, what: str) -> bytes:
    """A launch argument of type bf16 or cb16."""
    if isinstance(value, np.generic) and given.dtype.kind != "f" and given.dtype.itemsize == 2:
        return given.tobytes()
    if isinstance(value, np.float16):
        raise ConfigError(f"{what} is of type {fp16}, not float16: give a number, or its 16 bits as np.uint16")
    bits = numerics.to_bits(given, fp16)
    if np.isinf(numerics.from_bits(bits, fp16)) and np.isfinite(given):
        raise ConfigError(f"{what} is of type {fp16}, in which {value!r} does not fit")
    return bits.astype("<u2").tobytes()


def runs_of(mask: np.ndarray) -> list[tuple[int, int]]:
    """(start, length) of each run of true values."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], mask, [False])).astype(np.int8)))
    return [(int(a), int(b - a)) for a, b in edges.reshape(-1, 2)]
