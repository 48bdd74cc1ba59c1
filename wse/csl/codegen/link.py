"""Linking: functions in place, globals in memory, everything a PE needs in one image per class."""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import replace
from operator import itemgetter

import numpy as np

from ... import _engine
from ...errors import MemoryOverflow, ProgramError
from ...machine import isa
from ...machine.parameters import Machine
from ...program.dsd import pack_fifo
from .. import artifact as art
from ..artifact import RPC_ARGUMENTS, RPC_MOST, RPC_SELECTOR, RPC_TASK, STARTUP_TASK, Artifact, ClassImage
from ..ir import ir
from ..ir.calls import call_order
from ..ir.collect import uncollected
from ..llvm.optimize import LEVEL, optimize
from .context import Context
from .keep import plan_xdsrs
from .mir import PHYSICAL, SCRATCH, Ins, Label, MBlock, MFunction, Sym, V
from .registers import allocate
from .select import Selector

KINDS = {"local": _engine.TASK_LOCAL, "data": _engine.TASK_DATA, "control": _engine.TASK_CONTROL}
DISPATCH = "<launch>"
STARTUP = "<startup>"


def link(layout: ir.Layout, level: int = LEVEL) -> Artifact:
    """Generates code for all classes of a layout and places everything.  MemoryOverflow if a class does not fit."""
    files: dict[str, int] = {}
    names: dict[str, int] = {}
    machine = Machine.of(layout.arch)
    codes = [generate(unit, layout.arch, layout.fp16, level) for unit in layout.units]
    longest = max((code.length for code in codes), default=0) * machine.instruction_bytes
    shared = _shared(layout.units)
    images = [_Linker(layout, code, machine, files, names, longest, shared).image() for code in codes]
    functions = {name for image in images for name in image.functions}
    return Artifact(
        arch=layout.arch,
        width=layout.width,
        height=layout.height,
        file=layout.file,
        params=dict(layout.params),
        colors=dict(layout.colors),
        fabric_dims=layout.fabric,
        offsets=layout.offsets,
        host_colors=dict(layout.host_colors),
        exports=[art.Exported(name, type, mutable, name in functions) for name, type, mutable in layout.exports],
        strings=list(layout.strings),
        color_names=dict(layout.color_names),
        fp16=layout.fp16,
        files=list(files),
        function_names=list(names),
        classes=images,
        class_of=np.asarray(layout.class_of, np.uint16),
        routes={
            color: (np.asarray(plane, np.int32), [_route(config) for config in configs])
            for color, (plane, configs) in layout.routes.items()
        },
        per_pe=[
            art.PerPeValues(p.unit, images[p.unit].addresses[p.symbol] + p.offset, np.ascontiguousarray(p.values))
            for p in layout.per_pe
            if p.symbol in images[p.unit].addresses
        ],
    )


def _route(c: ir.ColorConfig) -> art.RouteConfig:
    filter = {"kind": c.filter.kind, **dict(c.filter.fields)} if c.filter else None
    at = f"{c.at.file}:{c.at.line}" if c.at else ""
    switch: list[tuple[str | None, str | None]] = []
    before = c.rx, c.tx
    for rx, tx in c.switch:  # a position changes one side; the other stays as the position before left it
        before = rx or before[0], tx or before[1]
        switch.append(before)
    return art.RouteConfig(c.rx, c.tx, switch, c.ring, c.pop, c.position, filter, c.teardown, c.swap_x, c.swap_y, at)


def _shared(units: list[ir.Unit]) -> list[ir.Global]:
    """Exported variables that all classes have alike: they come first, and lie at one address everywhere."""
    if not units:
        return []
    tables = []
    for unit in units:
        by_name = {g.name: g for g in unit.globals}
        tables.append({e.name: by_name[e.symbol] for e in unit.exports if e.symbol in by_name})
    found: dict[str, ir.Global] = {}
    for name, g in tables[0].items():
        alike = all(name in t and (t[name].size, t[name].align) == (g.size, g.align) for t in tables)
        if alike and g.name not in found:
            found[g.name] = g
    # only what has one name of a Global in all classes
    return [g for g in found.values() if all(any(t_g.name == g.name for t_g in t.values()) for t in tables)]


class Code:
    """The functions of a unit with registers assigned: entries first."""

    def __init__(self, unit: ir.Unit, context: Context):
        self.unit, self.context = unit, context
        self.functions: list[MFunction] = []
        self.entries: dict[str, str] = {}  # function to the entry's label
        self.rpc: dict[str, str] = {}

    @property
    def length(self) -> int:
        return sum(len(block.code) for f in self.functions for block in f.blocks)


def generate(unit: ir.Unit, arch: str, fp16: str = "f16", level: int = LEVEL) -> Code:
    """Code of one unit, before addresses are known."""
    with uncollected():
        return _generate(unit, arch, fp16, level)


def _generate(unit: ir.Unit, arch: str, fp16: str, level: int) -> Code:
    optimize(unit, level, fp16)
    context = Context(arch, fp16)
    context.functions = {f.name: f for f in unit.functions}
    context.queues_out = unit.queues_out
    context.fifos = {fifo.name: fifo for fifo in unit.fifos}
    for fifo in unit.fifos:
        context.fifo_xdsr[fifo.name] = context.xdsr_for(("fifo", fifo.name), fifo_words(fifo))
    instructions = list(_instructions(unit))
    for instr in instructions:
        for operand in vars(instr).values():
            if isinstance(operand, ir.Dsr):
                context.reserved[operand.file].add(operand.number)
        if isinstance(instr, ir.LoadDsr) and isinstance(instr.source, ir.Dsd) and instr.source.index:
            context.indexed.add((instr.dsr.file, instr.dsr.number))
        if isinstance(instr, ir.LoadDsr):
            context.note_thread(instr)
    plan_xdsrs(instructions, context)
    context.thread_priorities = unit.thread_priorities
    context.note_priorities(instructions)
    keep_fifos(unit, context)
    code = Code(unit, context)
    called = {i.function for f in unit.functions for b in f.blocks for i in b.code if isinstance(i, ir.Call)} | {
        i.function for i in unit.startup if isinstance(i, ir.Call)
    }
    roots = {task.function for task in unit.tasks}
    exported = {e.function: e for e in unit.exports if e.function}
    order = call_order(context.functions, roots | set(exported))
    context.note_maps(order)
    for name in order:
        function = context.functions[name]
        entries = (name in roots) + (name in exported)
        if name in called or entries > 1:
            add(code, Selector(context, function))
        if name in roots:
            code.entries[name] = add(code, _entry(context, function, "task", [], name in called or entries > 1))
        if name in exported:
            addresses = rpc_addresses(function)
            code.rpc[name] = add(code, _entry(context, function, "rpc", addresses, name in called or entries > 1))
    _add_startup(code)
    if code.rpc:
        _add_dispatch(code)
    return code


def _instructions(unit: ir.Unit) -> Iterable[ir.Instr]:
    for function in unit.functions:
        for block in function.blocks:
            yield from block.code
    yield from unit.startup


def keep_fifos(unit: ir.Unit, context: Context) -> None:
    """Gives DSRs to the FIFOs that keep them, those that the program names first; loads them before the first task."""
    for fifo in sorted(unit.fifos, key=lambda fifo: fifo.register is None):
        number = fifo.register
        if number is None:
            if not fifo.keeps:
                continue
            taken = context.reserved["dest"] | context.reserved["src1"]
            number = next((n for n in range(isa.DSRS - 1, -1, -1) if n not in taken), None)
            if number is None:
                raise ir.Unsupported(
                    f"no DSR is left for the FIFO over {fifo.buffer}: @get_dsr and other FIFOs have them all"
                )
        context.fifo_dsr[fifo.name] = number
        for file in ("dest", "src1"):
            context.reserved[file].add(number)
            context.startup.append(ir.LoadDsr(ir.Dsr(file, number), ir.FifoRef(fifo.name)))


def fifo_words(fifo: ir.Fifo):
    """The words of a FIFO's XDSR."""
    tasks = fifo.activate_push, fifo.activate_pop
    words = pack_fifo(0, fifo.capacity, *tasks, fifo.empty_action, fifo.full_action)
    _, second, third, fourth = struct.unpack("<4I", words)
    return (Sym(fifo.buffer, 0, more=fifo.capacity << 16), second, third, fourth)


def rpc_addresses(function: ir.Function) -> list[int]:
    """Where the host writes the arguments."""
    addresses, at = [], RPC_ARGUMENTS
    for param in function.params:
        addresses.append(at)
        at += 8 if ir.BITS[param.type] == 64 else 4
    if at > RPC_ARGUMENTS + 4 * RPC_MOST:
        raise ir.Unsupported(f"{function.display}: a function for the host has at most {RPC_MOST} words of arguments")
    return addresses


def _entry(context: Context, function: ir.Function, kind: str, rpc: list[int], by_call: bool) -> Selector:
    """How a task or a host call begins: the function itself, or a call of it if others call it too."""
    if by_call:
        params = [ir.Reg(p.type, p.name) for p in function.params]
        body = [ir.Call(None, function.name, list(params), at=function.at), ir.Return(at=function.at)]
        function = ir.Function(function.name, params, None, [ir.Block(0, body)], function.display, function.at)
    named = ir.Function(
        f"{function.name}<{kind}>", function.params, None, function.blocks, function.display, function.at
    )
    return Selector(context, named, kind, rpc)


def add(code: Code, selector: Selector) -> str:
    """Selects, allocates and appends a function; returns its name."""
    function = selector.select()
    allocate(function)
    link = function.link
    if link is not None and link in function.spilled:
        store = Ins("st32", PHYSICAL[31], None, imm=Sym(function.frame, function.spilled[link]), at=function.at)
        function.blocks[0].code.insert(0, store)
    selector.context.selected[function.name] = function
    code.functions.append(function)
    return function.name


def _add_startup(code: Code) -> None:
    """What runs once before everything else: XDSRs that keep their contents, explicit DSRs loaded at compile time."""
    context, unit = code.context, code.unit
    if not any(words is not None for words in context.xdsrs) and not unit.startup:
        return
    body: list[ir.Instr] = [*context.startup, *unit.startup, ir.Return()]
    selector = Selector(context, ir.Function(STARTUP, [], None, [ir.Block(0, body)], "startup"), "task")
    function = selector.select()  # which may name further XDSRs
    before: list[Ins] = []
    for number, contents in enumerate(context.xdsrs):
        if contents is None:
            continue
        for i, word in enumerate(contents):
            before.append(Ins("mov", PHYSICAL[SCRATCH + i], None, imm=word))
        before.append(Ins("ldxd", number, PHYSICAL[SCRATCH], reads=[PHYSICAL[SCRATCH + i] for i in range(1, 4)]))
    function.blocks[0].code[:0] = before
    allocate(function)
    code.functions.append(function)
    code.entries[STARTUP] = function.name


def _add_dispatch(code: Code) -> None:
    """The task that a launch activates: goes to the function whose entry the host has written."""
    block = MBlock(0, [Ins("ld32", PHYSICAL[1], None, imm=RPC_SELECTOR), Ins("jr", PHYSICAL[1])])
    code.functions.append(MFunction(DISPATCH, "launch", [block], [], None))
    code.entries[DISPATCH] = DISPATCH


class _Linker:
    """Places one unit."""

    def __init__(self, layout, code: Code, machine: Machine, files, names, data_start: int, shared: list[ir.Global]):
        self.layout, self.code, self.unit, self.machine = layout, code, code.unit, machine
        self.files, self.names = files, names
        self.data_start, self.shared = data_start, shared
        self.addresses: dict[str, int] = {}
        self.globals: dict[str, ir.Global] = {}
        self.sizes: dict[str, int] = {}  # of stacks

    def image(self) -> ClassImage:
        unit = self.unit
        self.place()
        entries = self.place_code()
        words = np.array([self.encode(ins) for ins in self.all_code], np.uint64)
        kind, high, pc = (np.zeros(_engine.TASKS, t) for t in (np.uint8, np.uint8, np.uint32))
        tasks: list[art.BoundTask] = []

        def bind(name: str, id: int, what: str, entry: int, first: bool = False) -> None:
            kind[id], pc[id], high[id] = KINDS[what], entry, first
            taken = {task.name for task in tasks}
            tasks.append(art.BoundTask(name if name not in taken else f"{name}_{id}", what, id))

        displays = {f.name: f.display or f.name for f in unit.functions}
        for task in unit.tasks:
            label = self.code.entries[task.function]
            bind(displays.get(task.function, task.function), task.id, task.kind, entries[label])
        active = sum(1 << id for id in unit.active)
        if STARTUP in self.code.entries:
            bind("startup", STARTUP_TASK, "local", entries[self.code.entries[STARTUP]], True)
            active |= 1 << STARTUP_TASK
        if DISPATCH in self.code.entries:
            bind("launch", RPC_TASK, "local", entries[DISPATCH])
        image = ClassImage(
            name=unit.name,
            file=unit.file,
            params=unit.params,
            code=words,
            lines=self.lines(),
            data=self.data(),
            task_kind=kind,
            task_high=high,
            task_pc=pc,
            active=active,
            blocked=sum(1 << id for id in unit.blocked),
            queues_in=dict(unit.queues_in),
            # on WSE-2 each descriptor says the color, and several may share a queue
            queues_out={} if self.layout.arch == "wse2" else dict(unit.queues_out),
            variables={e.name: self.variable(e) for e in unit.exports if e.function is None},
            symbols={name: self.variable(e) for name, e in unit.symbols.items() if e.symbol in self.addresses},
            tasks=tasks,
            memory=self.rows(),
            labels=self.labels(entries),
            messages=[self.message(text) for text in self.code.context.messages],
            control_tasks=unit.control_tasks,
            control_first=dict(unit.control_first),
            thread_priority=self.code.context.first_priorities(),
        )
        for e in unit.exports:
            if e.function is not None:
                addresses = rpc_addresses(self.code.context.functions[e.function])
                image.functions[e.name] = art.Rpc(
                    entries[self.code.rpc[e.function]], list(zip(addresses, e.params, strict=True))
                )
        image.addresses = dict(self.addresses)
        return image

    # Memory.

    def place(self) -> None:
        """Addresses: code, variables that all classes share, the others; the host's words at the end."""
        self.globals = {g.name: g for g in self.unit.globals}
        for function in self.code.functions:
            if function.slots:
                self.globals[function.frame] = ir.Global(
                    function.frame,
                    function.slots,
                    4,
                    display=f"{function.display}'s frame",
                    element="spilled registers",
                    undefined=True,
                )
        needed = self.needed()
        own_code = self.code.length * self.machine.instruction_bytes
        at = self.data_start if self.shared else own_code
        limit = RPC_ARGUMENTS if self.code.rpc else self.machine.sram_bytes
        limit -= sum(self.unit.reserved.values())
        self.place_sections([g for g in self.globals.values() if g.name in needed], own_code, limit)
        first = [self.globals[g.name] for g in self.shared if g.section not in self.layout.sections]
        rest = [g for g in self.globals.values() if g not in first and g.name in needed]
        rest = [g for g in rest if g.section not in self.layout.sections]
        growing = [g for g in rest if g.end_symbol is not None]
        for g in (*first, *(g for g in rest if g.end_symbol is None)):
            at = self.free(at, g.size, g.align)
            self.addresses[g.name] = at
            at += g.size
        if growing:
            if self.fixed:
                at = self.free(at, sum(g.size + 3 & ~3 for g in growing) + 4, 4)
            at = self.place_growing(growing, at, min([limit, *(begin for begin, _ in self.fixed if begin >= at)]))
        self.end = max([at, *(end for _, end in self.fixed)])
        if at > limit:
            parts = [(row.bytes, row.name, row.what) for row in self.rows()]
            parts += [(size, name, "on the machine") for name, size in self.unit.reserved.items()]
            lines = "\n".join(f"  {size:6} B  {name}  ({what})" for size, name, what in sorted(parts)[:-9:-1])
            raise MemoryOverflow(
                f"{self.unit.file} (class {self.unit.name}) needs {at} bytes of the {limit} that a PE has for it, "
                f"{at - limit} too many; the largest are:\n{lines}"
            )

    def place_sections(self, variables: list[ir.Global], begin: int, end: int) -> None:
        """Variables whose section has an address; they lie between begin and end.  fixed: what they take."""
        self.fixed: list[tuple[int, int]] = []
        names: list[str] = []
        for name, start in self.layout.sections.items():
            at = start
            for g in variables:
                if g.section == name:
                    if at == start and at % max(g.align, 1):
                        raise ProgramError(
                            f"section {name} of {self.unit.file} begins at byte {start}, but {g.display} is aligned to "
                            f"{g.align} bytes"
                        )
                    at += -at % max(g.align, 1)
                    self.addresses[g.name] = at
                    at += g.size
            if at == start:
                continue
            if not begin <= start <= at <= end:
                raise ProgramError(
                    f"section {name} takes the bytes {start} to {at - 1} of {self.unit.file} (class {self.unit.name}); "
                    f"variables lie behind the code, from {begin} to {end - 1}"
                )
            for other, (low, high) in zip(names, self.fixed, strict=True):
                if start < high and low < at:
                    raise ProgramError(
                        f"sections {other} and {name} overlap in {self.unit.file} (class {self.unit.name}): they take "
                        f"the bytes {low} to {high - 1} and {start} to {at - 1}"
                    )
            names.append(name)
            self.fixed.append((start, at))

    def free(self, at: int, size: int, align: int) -> int:
        """The next address from `at` on where so many bytes are free of sections with an address."""
        at += -at % max(align, 1)
        for low, high in sorted(self.fixed):
            if at < high and low < at + size:
                at = high + -high % max(align, 1)
        return at

    def place_growing(self, growing: list[ir.Global], at: int, limit: int) -> int:
        """Stacks, which share what is left."""
        least = sum(g.size + 3 & ~3 for g in growing)
        more = max(0, (limit - at - least - 4) // max(len(growing), 1)) & ~3
        for g in growing:
            at += -at % 4
            g = self.globals[g.name] = replace(g, size=(g.size + 3 & ~3) + more)
            assert g.end_symbol is not None
            self.addresses[g.name], at = at, at + g.size
            self.addresses[g.end_symbol] = at
            self.sizes[g.name] = g.size
        return at

    def message(self, text: str) -> str:
        """The message of a trap, with the sizes of stacks that it names as {name}."""
        for name, size in self.sizes.items():
            text = text.replace(f"{{{name}}}", str(size))
        return text

    def needed(self) -> set[str]:
        """Globals that code, exports or other globals refer to."""
        roots = {e.symbol for e in (*self.unit.exports, *self.unit.symbols.values()) if e.symbol}
        roots |= {p.symbol for p in self.layout.per_pe if self.layout.units[p.unit] is self.unit}
        roots |= {f.buffer for f in self.unit.fifos}
        for function in self.code.functions:
            for block in function.blocks:
                roots.update(ins.imm.name for ins in block.code if isinstance(ins.imm, Sym))
        left, seen = list(roots), set()
        while left:
            name = left.pop()
            if name in seen or name not in self.globals:
                continue
            seen.add(name)
            left += [symbol for _, symbol, _ in self.globals[name].relocations]
        return seen

    def rows(self) -> list[art.Row]:
        code = self.code.length
        rows = [art.Row(0, code * self.machine.instruction_bytes, "code", f"{code} instructions")]
        for name, g in self.placed():
            address = self.addresses[name]
            section = f", section {g.section}" if g.section is not None else ""
            what = (g.element or f"{g.size} bytes") + section
            rows.append(art.Row(address, g.size, g.display or g.name, what, g.undefined))
        if self.code.rpc:
            size = self.machine.sram_bytes - RPC_ARGUMENTS
            rows.append(art.Row(RPC_ARGUMENTS, size, "launch", "arguments of the host's calls"))
        return sorted(rows, key=lambda row: row.address)

    def placed(self) -> list[tuple[str, ir.Global]]:
        return [(name, self.globals[name]) for name in self.addresses if name in self.globals]

    def data(self) -> list[tuple[int, bytes]]:
        data = []
        for name, g in self.placed():
            address = self.addresses[name]
            if g.init is None and not g.relocations:
                continue
            contents = bytearray(g.init or bytes(g.size))
            for at, symbol, addend in g.relocations:
                struct.pack_into("<H", contents, at, (self.addresses[symbol] + addend) & 0xFFFF)
            if any(contents):
                data.append((address, bytes(contents)))
        return data

    def variable(self, e: ir.Export) -> art.Variable:
        assert e.symbol is not None
        g = self.globals[e.symbol]
        bits = ir.BITS.get(e.type or "")
        size = e.count * bits // 8 if bits else g.size - e.offset
        count = e.count or (size // (bits // 8) if bits else size)
        pointer = None if e.pointer is None else self.addresses.get(e.pointer)  # None: no code uses it
        return art.Variable(self.addresses[e.symbol] + e.offset, e.type or "", count, size, e.mutable, pointer)

    # Code.

    def place_code(self) -> dict[str, int]:
        """Index of the first instruction of each function."""
        self.all_code: list[Ins] = []
        self.owner: list[MFunction] = []
        self.targets: list[dict[int, int]] = []
        entries: dict[str, int] = {}
        self.local: dict[int, dict[int, int]] = {}
        for function in self.code.functions:
            entries[function.name] = len(self.all_code)
            places: dict[int, int] = {}
            for block in function.blocks:
                places[block.label] = len(self.all_code)
                self.all_code += block.code
                self.owner += [function] * len(block.code)
            self.local[id(function)] = places
        self.entries = entries
        self.position = {id(ins): i for i, ins in enumerate(self.all_code)}
        return entries

    def encode(self, ins: Ins) -> int:
        op = isa.INSTRUCTION["jal" if ins.op == "call" else ins.op]
        a, b, c, d = (_field(v) for v in (ins.a, ins.b, ins.c, ins.d))
        if op.kind == "vector":
            fields = [
                isa.REGISTER + v if isinstance(o, V) else v
                for v, o in zip((a, b, c, d), (ins.a, ins.b, ins.c, ins.d), strict=True)
            ]
            return isa.encode(op.opcode, fields[0], fields[1], fields[2] | fields[3] << 8 | ins.options << 16)
        imm = self.immediate(ins)
        if op.form in ("LD", "ST"):
            return isa.encode(op.opcode, a, isa.NONE if ins.b is None else b, imm or 0)
        if op.form in ("BR", "JMP", "JAL", "RDT"):
            return isa.encode(op.opcode, a, b, imm or 0)
        if op.form == "RRRR":
            return isa.encode(op.opcode, a, b, c | d << 8)
        if imm is not None:
            return isa.encode(op.opcode, a, b, imm, immediate=True)
        return isa.encode(op.opcode, a, b, c)

    def immediate(self, ins: Ins) -> int | None:
        imm = ins.imm
        if isinstance(imm, Sym):
            return (self.addresses[imm.name] + imm.addend) & 0xFFFF | imm.more
        if isinstance(imm, Label):
            if isinstance(imm.name, str):
                return self.entries[imm.name]
            return self.local[id(self.owner[self.position[id(ins)]])][imm.name]
        return imm

    def lines(self) -> np.ndarray:
        table = np.full((len(self.all_code), 4), -1, np.int32)
        for i, (ins, function) in enumerate(zip(self.all_code, self.owner, strict=True)):
            name = function.display or function.name
            if ins.at is not None:
                table[i, :3] = self.files.setdefault(ins.at.file, len(self.files)), ins.at.line, ins.at.column
                name = self.function_at(ins.at) or name
            table[i, 3] = self.names.setdefault(name, len(self.names))
        return table

    def function_at(self, at: ir.At) -> str | None:
        """The function whose text has the place.  Of inlined code that is not the one with the instruction."""
        functions = self.layout.functions.get(at.file, [])
        found = bisect_right(functions, at.line, key=itemgetter(0)) - 1
        return functions[found][2] if found >= 0 and at.line <= functions[found][1] else None

    def labels(self, entries: dict[str, int]) -> dict[str, int]:
        return {name: entries[name] for name in entries}


def _field(value) -> int:
    if value is None:
        return 0
    if isinstance(value, V):
        assert value.color is not None, f"{value!r} has no register"
        return value.color
    return int(value)
