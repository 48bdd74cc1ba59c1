"""The intermediate representation: what the front end lowers to and the code generator takes.

A Layout is a whole compiled program: a rectangle, its classes of PEs (Units), routes, names for the host.  A Unit is
what all PEs of one class share: Globals in memory, Functions, Tasks, queues.  A Function is a list of basic Blocks
over typed virtual registers.

Rules

* Virtual registers (Reg) hold scalars only: bool i8 u8 i16 u16 i32 u32 i64 u64 f16 f32 ptr.  They are variables, not
  SSA: they may be assigned several times.  Colors, queues and ids at run time are u16.  `ptr` is a byte address of 16
  bits.
* Arrays, structs, DSD variables and locals whose address is taken are Globals: frames are static.  Functions that call
  each other are joined before anything else is done (recursion.py); those that need a stack get one.
* A Value is a Reg, a Const or an Addr (address of a Global plus bytes).  Both operands of a Bin have one type;
  operands of shifts may differ.  Constants are ints (two's complement or not: taken modulo the width) or floats; bool
  is 0 or 1.
* A Block ends with exactly one terminator: Jump, Branch, Return or Trap.  Block 0 is the entry.  Blocks are named by
  integers, unique in the function.
* A descriptor operand (Operand) is a Dsd (known at compile time), a DsdVar (16 bytes in memory, 32 with extents, see
  `Dsd.size`), a DsdValue, a Dsr (explicit), a Fifo, a Deref (pointer to a scalar: as a source its value, as a
  destination a walk of stride zero) or a Value (a scalar for every element).
* Every instruction has `at`, the source position, which goes to the line table; None if there is none.

irtext.py prints it all.  Instructions are plain dataclasses; equality is identity for Reg only.
"""

from __future__ import annotations

from dataclasses import field
from typing import Any, NamedTuple

import numpy as np

from ...errors import WseError
from ...records import dataclass

BITS = {
    "bool": 8, "i8": 8, "u8": 8, "i16": 16, "u16": 16, "f16": 16, "ptr": 16,
    "i32": 32, "u32": 32, "f32": 32, "i64": 64, "u64": 64,
}  # fmt: skip
SIGNED = {"i8", "i16", "i32", "i64"}
FLOAT = {"f16", "f32"}
COMPARE = {"eq", "ne", "lt", "le", "gt", "ge"}  # result bool, operands of any one type
INFINITE = 0x7FFF  # length of a descriptor that has none


class Unsupported(WseError):
    """Something the back end cannot do, with where the source asks for it."""

    def __init__(self, message: str, at: At | None = None):
        super().__init__(f"{at.file}:{at.line}:{at.column}: {message}" if at else message)
        self.message, self.at = message, at


class At(NamedTuple):
    """A place in the source, from 1."""

    file: str
    line: int
    column: int = 1


# --- values -----------------------------------------------------------------------------------------------------------


@dataclass(eq=False)
class Reg:
    """A virtual register.  name is for people."""

    type: str
    name: str = ""


@dataclass(frozen=True)
class Const:
    type: str
    value: int | float


@dataclass(frozen=True)
class Addr:
    """Address of a global, plus bytes.  Its type is ptr."""

    symbol: str
    offset: int = 0

    @property
    def type(self) -> str:
        return "ptr"


Value = Reg | Const | Addr

# --- descriptors ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Then:
    """Options of an operation, or of the load of an explicit DSR.

    activate, unblock: number of a task (data task: color on WSE-2, queue on WSE-3).  priority: of the microthread, 0
    low, 1 medium, 2 high.
    """

    async_: bool = False
    activate: int | None = None
    unblock: int | None = None
    ut: int | None = None
    priority: int | None = None


NO_OPTIONS = Then()


@dataclass(frozen=True)
class Dsd:
    """A descriptor known at compile time.  Offsets and strides in bytes, lengths in elements.

    kind: "mem1d", "mem4d", "circular", "fabin", "fabout".  item: bytes of an element, 2 or 4.  mem4d: extents and
    strides, slowest first; length is their product.  index: fabout with `.wavelet_index_offset`.  on_control:
    ("terminate", None), ("activate", task), ("unblock", task).  color may be None where the queue says it.  base: of
    memory descriptors.
    """

    kind: str
    base: Addr | Const | None = None
    length: int = INFINITE
    stride: int = 0
    item: int = 4
    extents: tuple[int, ...] = ()
    strides: tuple[int, ...] = ()
    queue: int = 0
    color: int | None = None
    control: bool = False
    index: bool = False
    simd: str | None = None  # fabric: a SIMD_MODES
    advance_switch: bool = False
    save_address: bool = False
    on_control: tuple[str, int | None] | None = None
    circle: tuple[Addr, int] | None = None  # circular: start and bytes
    binds: bool = False  # fabin: an operation binds the queue to the color while it runs (WSE-2)
    priority: int | None = None  # fabric: of the microthread that works on it, as Then.priority
    transform: bool = False  # fabric: control wavelets pass as words whose two upper bits are set
    zero: str | None = None  # fabout: the source that the end of an operation clears, "first_source", "second_source"

    @property
    def size(self) -> int:
        """Bytes of a DsdVar that can hold it."""
        return 32 if self.kind in ("mem4d", "circular") else 16


@dataclass(frozen=True)
class DsdVar:
    """A descriptor in memory: `kind` as Dsd, 16 bytes (32 for mem4d, circular) at the address, aligned to 4.  index: it
    is one with `.wavelet_index_offset`, which an operation's `index` is for."""

    kind: str
    addr: Value
    index: bool = False


@dataclass(frozen=True)
class DsdValue:
    """A descriptor in registers, of a kind without an XDSR.  fields: its first word, base, length, stride, options and
    last word, as they are in memory (dsd_values.py)."""

    kind: str
    fields: tuple[Value, ...]
    index: bool = False


@dataclass(frozen=True)
class Dsr:
    """An explicit DSR: file "dest", "src0" or "src1".  fifo: of a type for FIFOs."""

    file: str
    number: int
    fifo: bool = field(default=False, compare=False)


@dataclass(frozen=True)
class FifoRef:
    """A FIFO of the unit by name."""

    name: str


@dataclass(frozen=True)
class Deref:
    """A scalar in memory through a pointer."""

    addr: Value
    type: str


Operand = Dsd | DsdVar | DsdValue | Dsr | FifoRef | Deref | Reg | Const | Addr

# --- instructions -----------------------------------------------------------------------------------------------------


@dataclass(eq=False)
class Instr:
    at: At | None = field(default=None, kw_only=True)


@dataclass(eq=False)
class Bin(Instr):
    """dst = a op b; op is add, sub, mul, div, rem, and, or, xor, shl, shr or one of COMPARE.

    Integers wrap; div, rem truncate; shr of a signed a is arithmetic.

    type: what the operands are taken as; None: a's type."""

    op: str
    dst: Reg
    a: Value
    b: Value
    type: str | None = None


@dataclass(eq=False)
class Un(Instr):
    """dst = op a; op is neg, not (bitwise), lnot (of a bool), sqrt or abs.  type: as of Bin."""

    op: str
    dst: Reg
    a: Value
    type: str | None = None


@dataclass(eq=False)
class Copy(Instr):
    dst: Reg
    a: Value


@dataclass(eq=False)
class Convert(Instr):
    """dst = a as dst.type by value: integers extend by the sign of a's type or truncate, floats round, float to integer
    truncates toward zero.  type: what a is taken as; None: its type."""

    dst: Reg
    a: Value
    type: str | None = None


@dataclass(eq=False)
class Bitcast(Instr):
    """dst = the bits of a, of the same size."""

    dst: Reg
    a: Value


@dataclass(eq=False)
class Select(Instr):
    """dst = a if cond else b (both are evaluated)."""

    dst: Reg
    cond: Value
    a: Value
    b: Value


@dataclass(eq=False)
class Load(Instr):
    """dst = memory at addr + offset bytes, of dst's type."""

    dst: Reg
    addr: Value
    offset: int = 0


@dataclass(eq=False)
class Store(Instr):
    """Memory at addr + offset bytes = value, of value's type."""

    addr: Value
    value: Value
    offset: int = 0


@dataclass(eq=False)
class Fill(Instr):
    """Copies `size` bytes from `source` (an address) to `addr`; source None: zeros.  Regions do not overlap."""

    addr: Value
    size: int
    source: Value | None = None


@dataclass(eq=False)
class Call(Instr):
    """dst = function(args); dst None for void."""

    dst: Reg | None
    function: str
    args: list[Value]


@dataclass(eq=False)
class Sys(Instr):
    """A SYSTEM row of tables/isa.def by name: activate, block, unblock, tsc, coord, rand, hostsig, mark, trap, iqbind,
    ...

    dst: of those with a result.  colorld has two results (dst, dst2); colorst takes the color and two words; oqbind,
    iqbind, utprio take two constants or two registers.
    """

    op: str
    dst: Reg | None = None
    args: list[Value] = field(default_factory=list)
    dst2: Reg | None = None


@dataclass(eq=False)
class Vector(Instr):
    """A VECTOR row of tables/isa.def by name (fmacs, mov32, ...) over operands; src1 and extra only where the row has
    them.

    then: async and what follows.  task: the task of then.activate or then.unblock, which is 0, if it is known at run
    time only.  on_control: "terminate", "activate" or "unblock", of task `control`, if the descriptor of the fabric
    input does not say it.  index: for a fabout with index, the upper half of its wavelets; for memory, words to add to
    the base.  result: False if a synchronous operation ended early at a FIFO (rarely wanted).
    """

    op: str
    dst: Operand | None
    src0: Operand | None
    src1: Operand | None = None
    extra: Value | None = None
    then: Then = Then()
    index: Value | None = None
    result: Reg | None = None
    ut: Value | None = None  # the microthread, if it is known at run time only
    task: Value | None = None
    on_control: str = ""
    control: Value | None = None


@dataclass(eq=False)
class LoadDsr(Instr):
    """@load_to_dsr: the DSR keeps `then`; save_address for memory descriptors."""

    dsr: Dsr
    source: Dsd | DsdVar | DsdValue | FifoRef
    then: Then = Then()
    save_address: bool = False
    ut: Value | None = None  # this and what follows: as of Vector
    task: Value | None = None
    on_control: str = ""
    control: Value | None = None


@dataclass(eq=False)
class FifoLength(Instr):
    """@set_fifo_write_length, @set_fifo_read_length: the length of the next write or read of a FIFO."""

    fifo: FifoRef
    writes: bool
    value: Value


@dataclass(eq=False)
class DsrSet(Instr):
    """Changes a field of a DSR: "length" (elements) or "base" (ptr)."""

    dsr: Dsr
    field: str
    value: Value


@dataclass(eq=False)
class Map(Instr):
    """@map: for every step calls the function with one element of each descriptor among the inputs (a Value or Deref
    stays as it is, read anew each step if it is a Deref) and writes what it returns to out; ends when a descriptor is
    used up.

    types: element type of each input (how many bytes, and the register's type).  out: a descriptor, Deref or None.
    """

    function: str
    inputs: list[Operand]
    types: list[str]
    out: Operand | None = None
    out_type: str | None = None


@dataclass(eq=False)
class DsdCopy(Instr):
    """Writes a whole descriptor to memory."""

    dst: DsdVar
    source: Dsd | DsdVar


@dataclass(eq=False)
class DsdSet(Instr):
    """Changes a field of a descriptor in memory: "length" (elements), "base" (ptr; the offset so far is forgotten),
    "advance" (bytes, signed, added to the base), "stride" (elements of a mem1d)."""

    dst: DsdVar
    field: str
    value: Value


@dataclass(eq=False)
class Jump(Instr):
    to: int


@dataclass(eq=False)
class Branch(Instr):
    """To `then` if cond (bool) is not 0, else to `other`."""

    cond: Value
    then: int
    other: int


@dataclass(eq=False)
class Return(Instr):
    value: Value | None = None


@dataclass(eq=False)
class Trap(Instr):
    """Stops the run; message is shown with the source position (a failed @assert, unreachable)."""

    message: str = ""


TERMINATORS = (Jump, Branch, Return, Trap)

# --- functions, units, layouts ----------------------------------------------------------------------------------------


@dataclass(eq=False)
class Block:
    id: int
    code: list[Instr] = field(default_factory=list)


@dataclass(eq=False)
class Function:
    """name is unique in the unit; display is what people call it.

    locals: its variables in memory.  memory_params: its parameters in memory; with the place to which a call of the
    function in itself writes the argument, None if there is no such call."""

    name: str
    params: list[Reg]
    result: str | None  # type, None for void
    blocks: list[Block] = field(default_factory=list)
    display: str = ""
    at: At | None = None
    locals: list[str] = field(default_factory=list)
    memory_params: dict[str, str | None] = field(default_factory=dict)


@dataclass(eq=False)
class Global:
    """Memory.  init: bytes (zero if None); relocations: (byte in init, symbol, addend) get the 16-bit address there.

    display: the name in the source; element: its type as text, for memory maps ("f32 [25]").  end_symbol: it grows into
    the memory that is left, and this is the symbol of its end.  section: the linker may be told where that begins.
    undefined: it has no initial value."""

    name: str
    size: int
    align: int = 2
    init: bytes | None = None
    relocations: list[tuple[int, str, int]] = field(default_factory=list)
    display: str = ""
    element: str = ""
    at: At | None = None
    end_symbol: str | None = None
    section: str | None = None
    undefined: bool = False


@dataclass(eq=False)
class Task:
    """kind: "local", "data" or "control".  id: the number in the task table (data: color on WSE-2, queue on WSE-3).

    The function's parameters are filled from the wavelet, see `wavelet_parts`."""

    kind: str
    id: int
    function: str
    at: At | None = None


def wavelet_parts(types: list[str]) -> list[int]:
    """The first bit of each parameter of a task in its wavelet: from the lowest on, each at a multiple of its size."""
    parts, at = [], 0
    for type in types:
        at += -at % BITS[type]
        parts.append(at)
        at += BITS[type]
    return parts


SIMD_MODES = ("simd_32", "simd_64", "simd_32_or_64")
FIFO_ACTIONS = ("test_or_suspend", "terminate", "suspend", "fault")


@dataclass(eq=False)
class Fifo:
    """A FIFO over a global's bytes.  item: bytes of an element.  capacity: words.  activate_*: task numbers.  *_action:
    of operations that find it empty or full, a place in FIFO_ACTIONS.  simd: one of SIMD_MODES.

    keeps: operations depend on what the ones before them left of the lengths, so that the FIFO keeps a DSR for writes
    and one for reads.  register: their number, if the program names them."""

    name: str
    buffer: str
    item: int
    capacity: int
    activate_push: int | None = None
    activate_pop: int | None = None
    empty_action: int = 0
    full_action: int = 0
    priority: int | None = None  # of the microthreads that work on it, as Then.priority
    simd: str | None = None
    keeps: bool = False
    register: int | None = None


@dataclass(eq=False)
class Export:
    """A name for the host.  A variable (its address: symbol + offset, `count` elements of `type`) or a function (`type`
    None; params are the types of its arguments).  pointer: variable that holds the address at run time, if the program
    may change it; symbol and offset are then what it points to at the start."""

    name: str
    symbol: str | None = None
    offset: int = 0
    type: str | None = None
    count: int = 0
    mutable: bool = True
    function: str | None = None
    params: list[str] = field(default_factory=list)
    pointer: str | None = None


@dataclass(eq=False)
class Unit:
    """What all PEs of a class share.

    active, blocked: task numbers at the start.  startup: instructions that run once before any task (comptime
    @load_to_dsr).  symbols: variables for `read_symbol`, debug buffers: by source name.
    """

    name: str
    file: str = ""
    globals: list[Global] = field(default_factory=list)
    functions: list[Function] = field(default_factory=list)
    tasks: list[Task] = field(default_factory=list)
    fifos: list[Fifo] = field(default_factory=list)
    exports: list[Export] = field(default_factory=list)
    queues_in: dict[int, int] = field(default_factory=dict)
    queues_out: dict[int, int] = field(default_factory=dict)
    active: set[int] = field(default_factory=set)
    blocked: set[int] = field(default_factory=set)
    startup: list[Instr] = field(default_factory=list)
    symbols: dict[str, Export] = field(default_factory=dict)
    teardown_task: int | None = None
    thread_priorities: dict[int, int] = field(default_factory=dict)  # of microthreads at the start, as Then.priority
    control_tasks: dict[int, int] | None = None  # task by entry point, with @set_control_task_table
    control_first: dict[int, int] = field(default_factory=dict)  # the entry point that is 0 for an input queue
    params: str = ""  # what tells it from other classes of the same file, for people
    reserved: dict[str, int] = field(default_factory=dict)  # bytes that libraries take on the machine, by library


@dataclass(frozen=True)
class Filter:
    """kind: "range", "counter" or "sparse"; fields as wse.Filter takes them."""

    kind: str
    fields: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True)
class ColorConfig:
    """A router's configuration of one color, as Program.route takes it: ports are strings over "NESWR"."""

    rx: str = ""
    tx: str = ""
    switch: tuple[tuple[str | None, str | None], ...] = ()
    ring: bool = False
    pop: str = "no_pop"
    position: int = 0
    filter: Filter | None = None
    teardown: bool = False
    swap_x: bool = False
    swap_y: bool = False
    at: At | None = field(default=None, compare=False)


@dataclass(eq=False)
class PerPe:
    """Values that differ from PE to PE of a class: of a slot of parameters, or of a part of a variable's initial value.

    values: [h, w] over the whole rectangle, of a dtype of the size; only PEs of the class count."""

    unit: int
    symbol: str
    offset: int
    values: np.ndarray


@dataclass(eq=False)
class Layout:
    """A compiled program before code generation.

    class_of: uint16 [h, w], index into units, 0xffff: no code.  routes: per color an int32 plane [h, w] of indices into
    the list of configurations, -1: none.  exports: @export_name (name, type as text, mutable).  host_colors: numbers of
    colors that are connected to the host at every PE, by name (MEMCPYH2D_1 ..).  colors, params: of the command line.
    sections: addresses in bytes, by the sections of variables.  functions: first line, last line and name of the
    functions and tasks of each file, in order.
    """

    arch: str  # "wse2" or "wse3"
    width: int
    height: int
    units: list[Unit]
    class_of: np.ndarray
    routes: dict[int, tuple[np.ndarray, list[ColorConfig]]] = field(default_factory=dict)
    exports: list[tuple[str, str, bool]] = field(default_factory=list)
    per_pe: list[PerPe] = field(default_factory=list)
    color_names: dict[int, str] = field(default_factory=dict)
    host_colors: dict[str, int] = field(default_factory=dict)
    colors: dict[str, int] = field(default_factory=dict)
    params: dict[str, str] = field(default_factory=dict)
    strings: list[str] = field(default_factory=list)  # what `say` prints, by index
    fabric: tuple[int, int] = (0, 0)  # --fabric-dims
    offsets: tuple[int, int] = (0, 0)  # --fabric-offsets
    file: str = ""
    memcpy: bool = False  # whether its code imports <memcpy/memcpy>
    fp16: str = "f16"
    sections: dict[str, int] = field(default_factory=dict)
    functions: dict[str, list[tuple[int, int, str]]] = field(default_factory=dict)
