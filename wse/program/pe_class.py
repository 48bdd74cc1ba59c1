"""PEClass: what all PEs of one class share: arrays, descriptors, queues, tasks and code."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import field, replace
from typing import Any, Protocol

import numpy as np

from .. import _engine
from ..errors import AsmError, MemoryOverflow, ProgramError, did_you_mean
from ..machine import isa
from ..machine.parameters import Machine
from ..records import dataclass
from . import assembler, route
from .dsd import BYTES, Descriptor
from .image import PEImage, Region
from .route import Place, caller
from .symbol import NAME, Color, Symbol, some


class Program(Protocol):
    """The part of `program.Program` that a class of PEs uses."""

    machine: Machine
    fp16: str
    colors: dict[str, Color]
    shared: dict[str, Symbol]

    def color_of(self, color: Any) -> Color:
        """The declared color of a name or number."""

    def changed(self) -> None:
        """Called after each change of the class."""


@dataclass
class Task:
    """A task of a class."""

    name: str
    kind: int
    id: int
    entry: str
    active: bool
    blocked: bool
    priority: str
    place: Place


@dataclass
class Built:
    """An assembled class in the engine's form; fields as of `image.PEImage`."""

    assembly: assembler.Assembly
    tasks: dict[str, int]
    kinds: np.ndarray
    priorities: np.ndarray
    entries: np.ndarray
    active: int
    blocked: int
    data: list[tuple[int, bytes]] = field(default_factory=list)


_INSTRUCTION = re.compile(r"\s*(?:\.?\w+:\s*)*+[A-Za-z]")  # a line that holds one, after its labels


class PEClass:
    """A class of PEs: the arrays, descriptors, queue bindings, tasks and code that its PEs share.

    Made by `Program.pe_class`; `Program.place` assigns PEs to it.  Each PE has its own copy of the memory.  Every
    method raises ProgramError for an impossible declaration.

    Attributes: `program`, `name`; `symbols`, `descriptors` and `tasks` by name; `queues_in` and `queues_out`, color by
    queue; `text`, the code.
    """

    def __init__(self, program: Program, name: str):
        self.program, self.name = program, name
        self.symbols: dict[str, Symbol] = {}
        self.descriptors: dict[str, Descriptor] = {}
        self.places: dict[str, Place] = {}
        self.tasks: dict[str, Task] = {}
        self.queues_in: dict[int, Color] = {}
        self.queues_out: dict[int, Color] = {}
        self.text = ""
        self.source = assembler.Source()
        self.built: Built | None = None

    def __repr__(self) -> str:
        arrays = [symbol for symbol in self.symbols.values() if symbol.name not in self.descriptors]
        size = sum(symbol.nbytes for symbol in arrays)
        instructions = sum(1 for line in self.text.splitlines() if _INSTRUCTION.match(line))
        parts = [
            *([f"tasks {some([f'{task.name} {task.id}' for task in self.tasks.values()])}"] if self.tasks else []),
            *([f"arrays {some([symbol.name for symbol in arrays])} of {size:,} bytes"] if arrays else []),
            f"{instructions} lines of code" if instructions else "no code",
        ]
        return f"PEClass({self.name}: {'; '.join(parts)})"

    @property
    def label(self) -> str:
        """`class NAME`, for messages."""
        return f"class {self.name}"

    # Declarations.

    def array(self, name: str, shape, dtype: str, align: int = 16, offset: int = 0, init=None) -> Symbol:
        """Declares an array in the memory of each PE of the class and returns its symbol.

        - name: an identifier that is not a register's name, unique in the class and among the shared arrays.
        - shape: an integer or a sequence of integers.
        - dtype: "f16" (the program's 16-bit float format), "f32", "i8", "u8", "i16", "u16", "i32" or "u32".
        - align, offset: the address is `offset` bytes beyond a multiple of `align` bytes (a power of two).
        - init: initial values, the same for every PE: an array of the shape, or a scalar.  None: zero.

        Raises ProgramError if the name is taken, if the type is unknown, if `align` and `offset` split elements, or if
        `init` has another shape or does not fit the type.  Arrays that exceed a PE's memory raise MemoryOverflow later,
        in `Program.check`.

            >>> import wse
            >>> wse.Program(1, 1).pe_class("worker").array("A", (3, 4), "f32", offset=8)
            <A: f32 [3, 4] in class worker>
        """
        symbol = Symbol(self, name, shape, dtype, align, offset, init)
        return self._add(symbol, caller())

    def dsd(self, name: str, descriptor: Descriptor, xdsr: int | None = None) -> Symbol:
        """Places a descriptor in the memory of each PE of the class and returns its symbol, an array of 16 bytes.

        - name: as for `array`.  Code loads the descriptor into a DSR with `dsr d0, name`.
        - descriptor: made by `mem1d`, `mem4d`, `circular`, `fifo`, `fabin` or `fabout`.
        - xdsr: number of the XDSR of a mem4d, circular or fifo descriptor; default: the descriptor's own.  Its contents
          are the symbol `name.x`; code loads them with `xdsr x0, name.x`.

        Raises ProgramError if the name is taken, if an XDSR is needed and not given, if the array belongs to another
        class, or if the queue does not exist.
        """
        number = xdsr if xdsr is not None else descriptor.xdsr
        if descriptor.has_xdsr and (number is None or not 0 <= number < self.program.machine.dsrs_per_file):
            raise ProgramError(f"descriptor {name} of {self.label} needs an XDSR: xdsr=0 to 15, not {number}")
        if descriptor.array is not None and descriptor.array.owner not in (self, self.program):
            raise ProgramError(
                f"descriptor {name} of {self.label} is over {descriptor.array!r}, an array of another class"
            )
        if descriptor.kind in (isa.DSD_FABIN, isa.DSD_FABOUT):
            self._check_queue(descriptor.queue, "input" if descriptor.kind == isa.DSD_FABIN else "output")
        place = caller()
        symbol = self._add(Symbol(self, name, BYTES, "u8", BYTES, 0, None), place)
        if descriptor.has_xdsr:
            self._add(Symbol(self, name + ".x", BYTES, "u8", BYTES, 0, None), place)
        color = None if descriptor.color is None else self.program.color_of(descriptor.color)
        self.descriptors[name] = replace(descriptor, xdsr=number, color=color)
        return symbol

    def queue_in(self, queue: int, color) -> None:
        """Binds an input queue to a color (name or number).

        Raises ProgramError if the machine has no such queue, or if the queue or the color is bound already.
        """
        self._bind(self.queues_in, queue, color, "input")

    def queue_out(self, queue: int, color) -> None:
        """Binds an output queue to a color (name or number).

        Raises ProgramError if the machine has no such queue, or if the queue is bound to another color.
        """
        self._bind(self.queues_out, queue, color, "output")

    def code(self, text: str) -> None:
        """Appends instructions to the code of the class.  wse.program.assembler describes the text.

        Raises AsmError if the text cannot be parsed; names are resolved later, in `Program.check`.
        """
        joined = self.text + text if self.text.endswith("\n") or not self.text else self.text + "\n" + text
        try:
            self.source = assembler.parse(joined)
        except AsmError as error:
            raise AsmError(f"code of {self.label}, {error}", error.line) from None
        self.text = joined
        self.program.changed()

    def local_task(
        self,
        name: str,
        id: int,
        entry: str | None = None,
        active: bool = False,
        blocked: bool = False,
        priority: str = "low",
    ) -> int:
        """Binds a local task, which code, the end of an operation or the host activates.  Returns its id.

        - name: an identifier, unique in the class.
        - id: a number of the machine's local tasks (WSE-3: 8 to 30), unique in the class.
        - entry: label of its first instruction; default: `name`.
        - active: active at the start of the run.
        - blocked: blocked at the start of the run.
        - priority: "low" or "high".

        Raises ProgramError if the name or id is taken or invalid.
        """
        m = self.program.machine
        if not m.local_task_first <= id <= m.local_task_last:
            raise ProgramError(
                f"local task {name} of {self.label} has id {id}: "
                f"local tasks of {m.name} are {m.local_task_first} to {m.local_task_last}"
            )
        return self._task(name, _engine.TASK_LOCAL, id, entry, active, blocked, priority)

    def control_task(
        self,
        name: str,
        id: int,
        entry: str | None = None,
        blocked: bool = False,
        priority: str = "low",
    ) -> int:
        """Binds a control task, which a control wavelet activates by the id in its data.  Returns the id, 0 to 63.

        Other arguments and errors as for `local_task`.
        """
        if not 0 <= id < _engine.TASKS:
            raise ProgramError(f"control task {name} of {self.label} has id {id}: control tasks are 0 to 63")
        return self._task(name, _engine.TASK_CONTROL, id, entry, False, blocked, priority)

    def data_task(
        self,
        name: str,
        source: int,
        entry: str | None = None,
        blocked: bool = False,
        priority: str = "low",
    ) -> int:
        """Binds a data task, which runs once for each wavelet of a color.  Returns its id.

        - source: a `Color`, or the number of an input queue; `queue_in` must have bound the queue already.  The id is
          the number of the color on WSE-2, of the input queue on WSE-3.

        Other arguments as for `local_task`.  Raises ProgramError also if no input queue is bound to the source.
        """
        if isinstance(source, Color):
            queues = [queue for queue, color in self.queues_in.items() if color == source]
            if not queues:
                raise ProgramError(
                    f"data task {name} of {self.label} is for {route.name_of(source)}, "
                    "to which no input queue is bound: call queue_in first"
                )
            queue, color = queues[0], source
        else:
            queue = source
            if queue not in self.queues_in:
                raise ProgramError(
                    f"data task {name} of {self.label} is for input queue {queue}, which is bound to no color: "
                    "call queue_in first"
                )
            color = self.queues_in[queue]
        m = self.program.machine
        id = int(color) if m.data_task_by_color else queue
        if id > m.data_task_last:
            raise ProgramError(
                f"data task {name} of {self.label} has id {id}: data tasks of {m.name} are 0 to {m.data_task_last}"
            )
        return self._task(name, _engine.TASK_DATA, id, entry, False, blocked, priority)

    def _task(self, name, kind, id, entry, active, blocked, priority) -> int:
        what = f"task {name} of {self.label}"
        if not NAME.fullmatch(name):
            raise ProgramError(f"{name!r} is no name for a task: letters, digits and _, not beginning with a digit")
        if name in self.tasks:
            raise ProgramError(f"{what} is bound twice")
        if priority not in ("low", "high"):
            raise ProgramError(f"{what} has priority {priority!r}: low and high are known")
        for other in self.tasks.values():
            if other.id == id:
                raise ProgramError(f"{what} has id {id}, which task {other.name} has (bound at {other.place})")
        self.tasks[name] = Task(name, kind, int(id), entry or name, active, blocked, priority, caller(3))
        self.program.changed()
        return int(id)

    def _bind(self, bound: dict[int, Color], queue: int, color, what: str) -> None:
        color = self.program.color_of(color)
        self._check_queue(queue, what)
        if bound.get(queue, color) != color:
            raise ProgramError(
                f"{what} queue {queue} of {self.label} is bound to {route.name_of(bound[queue])} already, "
                f"and cannot be to {route.name_of(color)}; rebind it in code when it is empty"
            )
        for other, taken in bound.items():
            if taken == color and other != queue and what == "input":
                raise ProgramError(f"{route.name_of(color)} is bound to input queue {other} of {self.label} already")
        bound[queue] = color
        self.program.changed()

    def _check_queue(self, queue: int, what: str) -> None:
        m = self.program.machine
        depth = m.input_queue_depth if what == "input" else m.output_queue_depth
        if not 0 <= queue < _engine.QUEUES or depth(queue) == 0:
            have = [str(q) for q in range(_engine.QUEUES) if depth(q)]
            raise ProgramError(
                f"{what} queue {queue} of {self.label} does not exist: {m.name} has {have[0]} to {have[-1]}"
            )

    def _add(self, symbol: Symbol, place: Place) -> Symbol:
        base = symbol.name.removesuffix(".x")
        if not NAME.fullmatch(base) or re.fullmatch(r"r\d+", base):
            raise ProgramError(f"{symbol.name!r} is no name for an array: letters, digits and _, and no register")
        for others, where in ((self.symbols, self.label), (self.program.shared, "the program")):
            if symbol.name in others:
                raise ProgramError(f"{symbol.name} of {self.label} is declared twice: {where} has it already")
        self.symbols[symbol.name] = symbol
        self.places[symbol.name] = place
        self.program.changed()
        return symbol

    # Building.

    @property
    def code_bytes(self) -> int:
        """Bytes of a PE's memory that the code occupies."""
        return len(self.source.statements) * self.program.machine.instruction_bytes

    def layout(self, start: int) -> None:
        """Assigns addresses to the arrays of the class, from byte `start`, in the order of declaration.

        Raises MemoryOverflow if they exceed the PE's memory.
        """
        at = place_symbols(self.symbols.values(), start)
        limit = self.program.machine.sram_bytes
        if at > limit:
            raise MemoryOverflow(
                f"{self.label} needs {at} bytes of the {limit} that a PE has, {at - limit} too many:\n"
                f"{self.memory_map()}"
            )

    def memory_map(self) -> str:
        """The memory map: one line per symbol with first byte, end, size in bytes and type."""
        rows = [(0, self.code_bytes, "code", f"{len(self.source.statements)} instructions")]
        for symbol in (*self.program.shared.values(), *self.symbols.values()):
            if symbol.name.removesuffix(".x") in self.descriptors:
                kind = "descriptor"
            else:
                kind = symbol.dtype + " " + " x ".join(map(str, symbol.shape))
            rows.append((symbol.address, symbol.nbytes, symbol.name, kind))
        rows.sort()
        return "\n".join(f"  {at:6} {at + size:6} {size:6} B  {name}  ({kind})" for at, size, name, kind in rows)

    def build(self) -> Built:
        """Assembles the code and encodes the descriptors; `layout` must have been called.

        Raises AsmError for the code; ProgramError for tasks without a label and descriptors without task or queue.
        """
        program = self.program
        tasks = {task.name: task.id for task in self.tasks.values()}
        addresses = {s.name: s.address for s in (*program.shared.values(), *self.symbols.values())}
        try:
            assembly = assembler.encode(self.source, addresses, program.colors, tasks, program.fp16)
        except AsmError as error:
            raise AsmError(f"code of {self.label}, {error}", error.line) from None
        built = Built(
            assembly,
            tasks,
            np.zeros(_engine.TASKS, np.uint8),
            np.zeros(_engine.TASKS, np.uint8),
            np.zeros(_engine.TASKS, np.uint32),
            sum(1 << task.id for task in self.tasks.values() if task.active),
            sum(1 << task.id for task in self.tasks.values() if task.blocked),
        )
        for task in self.tasks.values():
            if task.entry not in assembly.labels:
                raise ProgramError(
                    f"task {task.name} of {self.label} starts at {task.entry!r}, which is no label of its code "
                    f"(bound at {task.place}): {did_you_mean(task.entry, assembly.labels)}"
                )
            built.kinds[task.id] = task.kind
            built.priorities[task.id] = task.priority == "high"
            built.entries[task.id] = assembly.labels[task.entry]
        for name, descriptor in self.descriptors.items():
            self._check_descriptor(name, descriptor)
            number = self._task_number(name, tasks)
            built.data.append((self.symbols[name].address, descriptor.encode(number)))
            if contents := descriptor.encode_xdsr(number):
                built.data.append((self.symbols[name + ".x"].address, contents))
        for symbol in (*program.shared.values(), *self.symbols.values()):
            if symbol.init:
                built.data.append((symbol.address, symbol.init))
        self.built = built
        return built

    def image(self) -> PEImage:
        """The loadable image of the class; `build` must have been called."""
        built = self.built
        assert built is not None
        return PEImage(
            *(self.name, built.assembly.words, built.kinds, built.priorities, built.entries),
            *(built.active, built.blocked, built.data),
            {queue: int(color) for queue, color in self.queues_in.items()},
            {queue: int(color) for queue, color in self.queues_out.items()},
            *(built.tasks, self.symbols),
            locate=lambda pc: locate(self.name, built.assembly, pc),
            message=lambda value: "",  # assembly code has no messages for its traps
            regions=self._regions(),
        )

    def _regions(self) -> list[Region]:
        """The memory map, for checked runs.  Arrays without initial values hold zeros."""
        regions = [Region(0, self.code_bytes, "code", code=True)]
        for symbol in (*self.program.shared.values(), *self.symbols.values()):
            regions.append(Region(symbol.address, symbol.nbytes, symbol.name, symbol.dtype, symbol.itemsize))
        return regions

    def _task_number(self, descriptor: str, tasks: dict[str, int]):
        def number(task) -> int:
            if isinstance(task, str):
                if task not in tasks:
                    raise ProgramError(
                        f"descriptor {descriptor} of {self.label} names task {task!r}, which is not bound "
                        f"(set at {self.places[descriptor]}): {did_you_mean(task, tasks)}"
                    )
                return tasks[task]
            if not 0 <= int(task) < _engine.TASKS:
                raise ProgramError(f"descriptor {descriptor} of {self.label} names task {task}: tasks are 0 to 63")
            return int(task)

        return number

    def _check_descriptor(self, name: str, d: Descriptor) -> None:
        m = self.program.machine
        what = f"descriptor {name} of {self.label}"
        at = f"(set at {self.places[name]})"
        if d.kind == isa.DSD_FABIN:
            bound = self.queues_in.get(d.queue)
            if bound is None and not self._rebinds("iqbind"):
                raise ProgramError(
                    f"{what} reads input queue {d.queue}, which is bound to no color {at}: call queue_in"
                )
            if bound is not None and d.color is not None and bound != d.color:
                raise ProgramError(
                    f"{what} expects {route.name_of(self.program.color_of(d.color))} in input queue {d.queue}, "
                    f"which is bound to {route.name_of(bound)} {at}"
                )
        if d.kind == isa.DSD_FABOUT and not m.data_task_by_color:
            bound = self.queues_out.get(d.queue)
            color = self.program.color_of(d.color)
            if bound is None and not self._rebinds("oqbind"):
                raise ProgramError(
                    f"{what} sends {route.name_of(color)} by output queue {d.queue}, which is bound to no color {at}: "
                    "call queue_out"
                )
            if bound is not None and bound != color and not self._rebinds("oqbind"):
                raise ProgramError(
                    f"{what} sends {route.name_of(color)} by output queue {d.queue}, "
                    f"which is bound to {route.name_of(bound)} {at}"
                )

    def _rebinds(self, instruction: str) -> bool:
        return any(statement.name == instruction for statement in self.source.statements)


def locate(name: str, assembly: assembler.Assembly, pc: int) -> str:
    """An instruction by class, line of its text, and label: `worker:12, main+3`."""
    before = [(index, -len(label), label) for label, index in assembly.labels.items() if index <= pc]
    where = f"{name}:{assembly.lines[pc]}"
    if not before:
        return where
    index, _, label = max(before)
    return f"{where}, {label}+{pc - index}" if pc > index else f"{where}, {label}"


def place_symbols(symbols: Iterable[Symbol], at: int) -> int:
    """Assigns addresses in order, from byte `at`; returns the end of the last symbol."""
    for symbol in symbols:
        symbol._address = at + (symbol.offset - at) % symbol.align
        at = symbol._address + symbol.nbytes
    return at
