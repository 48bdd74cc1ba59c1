"""Programs: a rectangle of PEs, what each class of PEs holds in memory, runs and is woken by, and how colors are routed.

Everything is declared by name and for whole index ranges; nothing here loops over PEs.  What is wrong by itself is refused
where it is said; what only shows in the whole (memory, names, routes) is found by `Program.check`, which a Fabric calls.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from . import _engine, assembler, isa, route
from .dsd import BYTES, Descriptor
from .errors import AsmError, MemoryOverflow, ProgramError
from .machine import Machine, did_you_mean
from .route import Filter, Index, Place, caller

NO_CLASS = 0xFFFF

# Element types of arrays: bytes, and how NumPy stores them.  A 16-bit float is kept as its bits.
DTYPES = {
    "f16": np.dtype("<u2"),
    "bf16": np.dtype("<u2"),
    "cb16": np.dtype("<u2"),
    "f32": np.dtype("<f4"),
    "i8": np.dtype("i1"),
    "u8": np.dtype("u1"),
    "i16": np.dtype("<i2"),
    "u16": np.dtype("<u2"),
    "i32": np.dtype("<i4"),
    "u32": np.dtype("<u4"),
}
FLOAT16 = tuple(isa.FP16)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Color(int):
    """The number of a color, with its name."""

    name: str

    def __new__(cls, number: int, name: str) -> Color:
        color = super().__new__(cls, number)
        color.name = name
        return color

    def __repr__(self) -> str:
        return f"Color({int(self)}, {self.name!r})"

    def __reduce__(self):
        return Color, (int(self), self.name)


class Symbol:
    """A named array (or descriptor) at the same address in all PEs of a class.

    name; shape; dtype: a key of DTYPES; nbytes; size and itemsize in elements and bytes; align and offset: its address is
    `offset` beyond a multiple of `align`, which decides the memory banks it begins in (address bits 3:1).
    """

    def __init__(self, owner: PEClass | Program, name: str, shape: Any, dtype: str, align: int, offset: int, init: Any):
        where = f"array {name} of {owner.label}"
        if dtype not in DTYPES:
            raise ProgramError(f"{where} has an unknown element type {dtype!r}: {did_you_mean(str(dtype), DTYPES)}")
        if dtype in FLOAT16 and dtype not in ("f16", owner.program.fp16):
            raise ProgramError(
                f"{where} is of {dtype}, but the program's 16-bit floats are {owner.program.fp16}: "
                f"say Program(..., fp16={dtype!r})"
            )
        self.owner, self.name, self.dtype = owner, name, dtype
        self.shape = (shape,) if isinstance(shape, int | np.integer) else tuple(int(extent) for extent in shape)
        if any(extent < 0 for extent in self.shape):
            raise ProgramError(f"{where} has a negative extent: {self.shape}")
        self.size = int(np.prod(self.shape, dtype=np.int64))
        self.itemsize = DTYPES[dtype].itemsize
        self.nbytes = self.size * self.itemsize
        if align < 1 or align & (align - 1) or not 0 <= offset:
            raise ProgramError(f"{where}: align is a power of two and offset 0 or more, not {align} and {offset}")
        if align % self.itemsize or offset % self.itemsize:
            raise ProgramError(f"{where}: align {align} and offset {offset} must keep its {self.itemsize}-byte elements whole")
        self.align, self.offset = align, offset
        self.init: bytes | None = None if init is None else self.to_bytes(init, where)
        self._address: int | None = None

    @property
    def address(self) -> int:
        """In bytes.  Addresses follow the code, so they are fixed by Program.layout; in code, write the name."""
        if self._address is None:
            raise ProgramError(
                f"the address of {self.name} is not known before the program is laid out: "
                f"write {self.name} in the code, or call Program.layout() when all code is given"
            )
        return self._address

    @property
    def fp16(self) -> str:
        """The 16-bit float format of the array's elements."""
        return self.owner.program.fp16

    def check_vector(self) -> None:
        """ProgramError if vector operations cannot walk over the array."""
        if self.itemsize == 1:
            raise ProgramError(f"vector operations have no 8-bit elements: {self.name} is of {self.dtype}")

    def to_bits(self, values: Any, where: str = "") -> np.ndarray:
        """Values as the array's elements are stored: floats rounded to the type, integers checked to fit.

        Of 16-bit floats, an array of uint16 is taken as bits.
        """
        values = np.asarray(values)
        where = where or f"values for {self.name}"
        to = DTYPES[self.dtype]
        if values.dtype.kind not in "fiub":
            raise ProgramError(f"{where} are numbers, not {values.dtype}")
        if self.dtype in FLOAT16:
            if values.dtype == np.uint16:
                return values
            with np.errstate(over="ignore"):
                single = np.ascontiguousarray(values, np.float32)
            return _engine.s2h(isa.FP16[self.fp16], single)
        if to.kind == "f":
            with np.errstate(over="ignore"):
                return values.astype(to)
        if values.dtype == to:
            return values
        if values.dtype.kind == "f" or (values.size and not _fits(values, to)):
            raise ProgramError(f"{where} do not fit its type {self.dtype}: {_range(values)}")
        return values.astype(to)

    def to_bytes(self, values: Any, where: str) -> bytes:
        bits = self.to_bits(values, where)
        if bits.shape not in (self.shape, ()):
            raise ProgramError(f"{where} has shape {self.shape}, but its initial values have {bits.shape}")
        return np.ascontiguousarray(np.broadcast_to(bits, self.shape)).tobytes()

    def from_bits(self, bits: np.ndarray) -> np.ndarray:
        """Stored elements as values: 16-bit floats widen to float32, exactly."""
        if self.dtype in FLOAT16:
            return _engine.h2s(isa.FP16[self.fp16], np.ascontiguousarray(bits))
        return bits

    def __repr__(self) -> str:
        at = f" at {self._address}" if self._address is not None else ""
        return f"<{self.name}: {self.dtype} {list(self.shape)}{at} in {self.owner.label}>"


def _fits(values: np.ndarray, to: np.dtype) -> bool:
    info = np.iinfo(to)
    return bool(values.min() >= info.min and values.max() <= info.max)


def _range(values: np.ndarray) -> str:
    return f"{values.dtype} from {values.min()} to {values.max()}"


@dataclass
class Task:
    """A task of a class.  id is None until the program is checked, where it follows from a queue or color."""

    name: str
    kind: int
    id: int | None
    entry: str
    active: bool
    blocked: bool
    priority: str
    source: int | None  # input queue or color of a data task
    place: Place


@dataclass
class Built:
    """A class as the engine takes it."""

    assembly: assembler.Assembly
    tasks: dict[str, int]
    kinds: np.ndarray
    priorities: np.ndarray
    entries: np.ndarray
    active: int
    blocked: int
    data: list[tuple[int, bytes]] = field(default_factory=list)


class PEClass:
    """What all PEs of one class share: arrays, descriptors, queues, tasks and code.  Made by Program.pe_class."""

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

    @property
    def label(self) -> str:
        return f"class {self.name}"

    # Declarations.

    def array(self, name: str, shape, dtype: str, align: int = 16, offset: int = 0, init=None) -> Symbol:
        """An array in each PE of the class.

        shape: an integer or a sequence.  dtype: f16 (the program's 16-bit float format), f32, i8, u8, i16, u16, i32, u32.
        align, offset: the address is `offset` bytes beyond a multiple of `align`.  init: the same values for the class
        (an array of the shape, or a scalar); without it the memory is zero and costs the host nothing.
        """
        symbol = Symbol(self, name, shape, dtype, align, offset, init)
        return self._add(symbol, caller())

    def dsd(self, name: str, descriptor: Descriptor, xdsr: int | None = None) -> Symbol:
        """A descriptor in memory, for `dsr d0, name`.

        Those that need an XDSR (mem4d, circular, fifo) name it here or in their own `xdsr`; its contents are the symbol
        `name.x`, for `xdsr x0, name.x`.
        """
        number = xdsr if xdsr is not None else descriptor.xdsr
        if descriptor.has_xdsr and (number is None or not 0 <= number < self.program.machine.dsrs_per_file):
            raise ProgramError(f"descriptor {name} of {self.label} needs an XDSR: xdsr=0 to 15, not {number}")
        if descriptor.array is not None and descriptor.array.owner not in (self, self.program):
            raise ProgramError(f"descriptor {name} of {self.label} walks over {descriptor.array!r}, an array elsewhere")
        if descriptor.kind == isa.DSD_FABOUT:
            self.program.color_of(descriptor.color)
        if descriptor.kind in (isa.DSD_FABIN, isa.DSD_FABOUT):
            self._check_queue(descriptor.queue, "input" if descriptor.kind == isa.DSD_FABIN else "output")
        place = caller()
        symbol = self._add(Symbol(self, name, BYTES, "u8", BYTES, 0, None), place)
        if descriptor.has_xdsr:
            self._add(Symbol(self, name + ".x", BYTES, "u8", BYTES, 0, None), place)
        self.descriptors[name] = Descriptor(**{**descriptor.__dict__, "xdsr": number})
        return symbol

    def queue_in(self, queue: int, color) -> None:
        """Binds an input queue to a color."""
        self._bind(self.queues_in, queue, color, "input")

    def queue_out(self, queue: int, color) -> None:
        """Binds an output queue to a color."""
        self._bind(self.queues_out, queue, color, "output")

    def code(self, text: str) -> None:
        """Adds instructions; several texts are one program."""
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
        """A task that is activated by code, by operations or by the host.  Returns its id."""
        m = self.program.machine
        if not m.local_task_first <= id <= m.local_task_last:
            raise ProgramError(
                f"local task {name} of {self.label} has id {id}: "
                f"local tasks of {m.name} are {m.local_task_first} to {m.local_task_last}"
            )
        return self._task(name, _engine.TASK_LOCAL, id, entry, active, blocked, priority, None)

    def control_task(
        self,
        name: str,
        id: int,
        entry: str | None = None,
        blocked: bool = False,
        priority: str = "low",
    ) -> int:
        """A task that control wavelets activate by the id they carry.  Returns its id."""
        if not 0 <= id < _engine.TASKS:
            raise ProgramError(f"control task {name} of {self.label} has id {id}: control tasks are 0 to 63")
        return self._task(name, _engine.TASK_CONTROL, id, entry, False, blocked, priority, None)

    def data_task(
        self,
        name: str,
        source: int,
        entry: str | None = None,
        blocked: bool = False,
        priority: str = "low",
    ) -> int:
        """A task that runs for each wavelet of a color.  Returns its id.

        source: a Color, or the number of an input queue that queue_in has bound already.  Its id is the color on WSE-2, the
        input queue on WSE-3; both follow from either.
        """
        if isinstance(source, Color):
            queues = [queue for queue, color in self.queues_in.items() if color == source]
            if not queues:
                raise ProgramError(
                    f"data task {name} of {self.label} is for {route.name_of(source)}, to which no input queue is bound: "
                    "call queue_in first"
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
        return self._task(name, _engine.TASK_DATA, id, entry, False, blocked, priority, queue)

    def _task(self, name, kind, id, entry, active, blocked, priority, source) -> int:
        what = f"task {name} of {self.label}"
        if not _NAME.fullmatch(name):
            raise ProgramError(f"{name!r} is no name for a task: letters, digits and _, not beginning with a digit")
        if name in self.tasks:
            raise ProgramError(f"{what} is bound twice")
        if priority not in ("low", "high"):
            raise ProgramError(f"{what} has priority {priority!r}: low and high are known")
        for other in self.tasks.values():
            if other.id == id:
                raise ProgramError(f"{what} has id {id}, which task {other.name} has (bound at {other.place})")
        self.tasks[name] = Task(name, kind, int(id), entry or name, active, blocked, priority, source, caller(3))
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
        if not _NAME.fullmatch(base) or re.fullmatch(r"r\d+", base):
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
        """Memory charged for the code."""
        return len(self.source.statements) * self.program.machine.instruction_bytes

    def layout(self, start: int) -> None:
        """Gives every array its address, from `start`, in the order of declaration."""
        at = _place(self.symbols.values(), start)
        limit = self.program.machine.sram_bytes
        if at > limit:
            raise MemoryOverflow(
                f"{self.label} needs {at} bytes of the {limit} that a PE has, {at - limit} too many:\n{self.memory_map()}"
            )

    def memory_map(self) -> str:
        """What lies where, one line per symbol, as text."""
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
        """Assembles the code and encodes descriptors; the layout must be there."""
        program = self.program
        tasks = {task.name: task.id for task in self.tasks.values() if task.id is not None}
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
                raise ProgramError(f"{what} reads input queue {d.queue}, which is bound to no color {at}: call queue_in")
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


class Program:
    """A program for `width` x `height` PEs of a machine.

    machine: a Machine or its name.  fp16: the 16-bit float format of all its instructions and arrays, "f16" (IEEE), "bf16"
    or "cb16".  ProgramError where something cannot be; RouteError, AsmError and MemoryOverflow are ProgramErrors.
    """

    def __init__(self, width: int, height: int, machine: str | Machine = "wse3", fp16: str = "f16"):
        self.machine = Machine.of(machine)
        wide, high = self.machine.fabric_width, self.machine.fabric_height
        if not 1 <= width <= wide or not 1 <= height <= high:
            raise ProgramError(f"a program for {self.machine.name} has 1 x 1 to {wide} x {high} PEs, not {width} x {height}")
        if fp16 not in isa.FP16:
            raise ProgramError(f"fp16 is one of {', '.join(isa.FP16)}, not {fp16!r}")
        self.width, self.height, self.fp16 = int(width), int(height), fp16
        self.colors: dict[str, Color] = {}
        self.classes: dict[str, PEClass] = {}
        self.shared: dict[str, Symbol] = {}
        self.class_of_pe = np.full((self.height, self.width), NO_CLASS, np.uint16)
        self.routes = route.Routes(self.width, self.height, self.machine)
        self.warnings: list[str] = []
        self._laid_out = self._checked = False

    @property
    def program(self) -> Program:
        return self

    @property
    def label(self) -> str:
        return "the program"

    def color(self, name: str, id: int | None = None) -> Color:
        """A color by name; without an id the first that is free."""
        if name in self.colors:
            raise ProgramError(f"color {name} is declared twice")
        if not _NAME.fullmatch(name):
            raise ProgramError(f"{name!r} is no name for a color: letters, digits and _, not beginning with a digit")
        taken = {int(color): color for color in self.colors.values()}
        if id is None:
            free = [number for number in range(self.machine.colors) if number not in taken]
            if not free:
                raise ProgramError(f"color {name}: all {self.machine.colors} colors of {self.machine.name} are taken")
            id = free[0]
        if not 0 <= id < self.machine.colors:
            raise ProgramError(
                f"color {name} has id {id}: routable colors of {self.machine.name} are 0 to {self.machine.colors - 1}"
            )
        if id in taken:
            raise ProgramError(f"color {name} has id {id}, which color {taken[id].name} has already")
        self.colors[name] = Color(id, name)
        self.changed()
        return self.colors[name]

    def color_of(self, color: Any) -> Color:
        """The declared color of a name or number."""
        for known in self.colors.values():
            if color == known.name if isinstance(color, str) else color is not None and int(color) == known:
                return known
        raise ProgramError(f"there is no color {color!r} in the program: {did_you_mean(str(color), self.colors)}")

    def pe_class(self, name: str) -> PEClass:
        """A new class of PEs."""
        if name in self.classes:
            raise ProgramError(f"class {name} is declared twice")
        self.classes[name] = PEClass(self, name)
        self.changed()
        return self.classes[name]

    def shared_array(self, name: str, shape, dtype: str, align: int = 16, offset: int = 0, init=None) -> Symbol:
        """An array in every class, at one address in all of them; arguments as PEClass.array."""
        symbol = Symbol(self, name, shape, dtype, align, offset, init)
        if not _NAME.fullmatch(name) or re.fullmatch(r"r\d+", name):
            raise ProgramError(f"{name!r} is no name for an array: letters, digits and _, and no register")
        for others in (self.shared, *(c.symbols for c in self.classes.values())):
            if name in others:
                raise ProgramError(f"{name} of the program is declared twice: {others[name].owner.label} has it already")
        self.shared[name] = symbol
        self.changed()
        return symbol

    def place(self, pe: PEClass, x: Index = None, y: Index = None) -> None:
        """PEs at x and y are of this class; a later call wins.

        x, y: slices, integers or integer arrays; two arrays of one shape go PE by PE; None is all.
        """
        if pe.program is not self:
            raise ProgramError(f"class {pe.name} belongs to another program")
        index = list(self.classes.values()).index(pe)
        self.class_of_pe[select(x, y, self, f"place of {pe.label}")] = index
        self.changed()

    def route(
        self,
        color,
        rx: str,
        tx: str,
        x: Index = None,
        y: Index = None,
        switch: Sequence[tuple[str | None, str | None]] = (),
        ring: bool = False,
        pop: str = "no_pop",
        position: int = 0,
        filter: Filter | None = None,
        teardown: bool = False,
        swap_x: bool = False,
        swap_y: bool = False,
    ) -> None:
        """Routers at x and y take the color from `rx` and pass it on to `tx`, strings over "NESWR"; a later call wins.

        switch: (rx, tx) of positions 1 to 3, None where as in position 0.  ring: from the last position back to the first.
        pop: what becomes of a control wavelet's command that was obeyed.  position: the one to begin with.  filter: for
        what goes down the ramp.  teardown: begins torn down.  swap_x, swap_y: wavelets that go on straight change to the
        paired color.  x, y: as in place.
        """
        self.routes.set(
            *(self.color_of(color), rx, tx, x, y, switch, ring, pop, position, filter, teardown, swap_x, swap_y),
            place=caller(),
        )
        self._checked = False

    def changed(self) -> None:
        """Declarations changed: addresses and checks are stale."""
        self._laid_out = self._checked = False

    def layout(self) -> None:
        """Gives every array its address: after the code, the shared arrays, then those of the class."""
        if self._laid_out:
            return
        code = max((pe.code_bytes for pe in self.classes.values()), default=0)
        end = _place(self.shared.values(), code)
        for pe in self.classes.values():
            pe.layout(end if self.shared else pe.code_bytes)
        self._laid_out = True

    def check(self, streams: Sequence[tuple[int, int, int, int, bool]] | None = ()) -> list[str]:
        """Lays out, assembles and checks the whole program.  Returns warnings; raises ProgramError and its kinds.

        streams: (x, y, port, color, out) of what is attached to the edge; None leaves the edge for later (a Fabric looks at
        it when it runs, for its streams are attached after it is made).
        """
        self.layout()
        if not self._checked:
            for pe in self.classes.values():
                pe.build()
        dynamic = any(pe._rebinds("colorst") for pe in self.classes.values())
        try:
            self.warnings = self.routes.check(streams)
        except route.RouteError as error:
            if not dynamic:
                raise
            # Code that rewrites routers may mend any route.
            self.warnings = [str(error)]
        self.warnings += self._check_ramps(dynamic)
        self._checked = True
        return self.warnings

    def _check_ramps(self, dynamic: bool) -> list[str]:
        warnings = []
        for index, pe in enumerate(self.classes.values()):
            here = self.class_of_pe == index
            if not here.any():
                warnings.append(f"{pe.label} is placed nowhere")
                continue
            for name, d in pe.descriptors.items():
                if d.kind == isa.DSD_FABOUT:
                    color, masks, side = self.color_of(d.color), route.rx_masks, "rx"
                elif d.kind == isa.DSD_FABIN and d.queue in pe.queues_in:
                    color, masks, side = pe.queues_in[d.queue], route.tx_masks, "tx"
                else:
                    continue
                plane = self.routes.planes.get(color)
                ramp = np.zeros(here.shape, bool) if plane is None else masks(plane) & route.RAMP_BIT != 0
                without = here & ~ramp
                if not without.any():
                    continue
                y, x = divmod(int(np.argmax(without)), self.width)
                verb = "sends" if side == "rx" else "reads"
                sentence = (
                    f"descriptor {name} of {pe.label} {verb} {route.name_of(color)}, but the route of PE ({x}, {y}) "
                    f"has no ramp in {side} (descriptor set at {pe.places[name]}, "
                    f"route at {self.routes.set_at(color, x, y) if plane is not None else 'no line'}); "
                    f"add R to {side} there"
                )
                # A class may serve PEs that never use the descriptor; one that serves none that can is wrong.
                if dynamic or (here & ramp).any():
                    warnings.append(sentence)
                else:
                    raise route.RouteError(sentence, x, y, int(color))
        return warnings

    def class_at(self, x: int, y: int) -> PEClass | None:
        """The class of PE (x, y)."""
        index = int(self.class_of_pe[y, x])
        return None if index == NO_CLASS else list(self.classes.values())[index]


def select(x: Index, y: Index, program: Program, what: str):
    return route.select(x, y, program.width, program.height, what)


def _place(symbols, at: int) -> int:
    for symbol in symbols:
        symbol._address = at + (symbol.offset - at) % symbol.align
        at = symbol._address + symbol.nbytes
    return at
