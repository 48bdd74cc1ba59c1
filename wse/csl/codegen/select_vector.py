"""Selection of vector operations: descriptors into DSRs, explicit DSRs, reductions, FIFOs.  @map: select_map.py.

Implicit operands use the DSRs of their file that no @get_dsr names, in turn.  Within a block, a DSR that holds the
wanted descriptor already is used again.  A descriptor passes through r28..r31, whose contents are remembered too: the
words of constant descriptors are often alike.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ...machine import isa
from ...program.dsd import pack_on_control
from ...records import dataclass
from ..ir import descriptor, ir
from ..ir.descriptor import EXTENDED
from ..ir.ir import BITS, Addr, Const, Deref, Dsd, DsdValue, DsdVar, Dsr, FifoRef, Reg, Value
from .context import NEEDS_XDSR, Context, load_priority
from .keep import FILES, Keeping, Words, signed, words_of, xdsr_of, xdsr_words
from .mir import PHYSICAL, Imm, Ins, Sym, V

GROUP = PHYSICAL[28:32]


@dataclass
class Place:
    """An operand as an instruction takes it: a DSR's byte or a register.  store: where the register goes after the
    operation.  old: what is there if a FIFO had too few elements."""

    operand: int | V
    store: tuple[Value, str] | None = None
    old: V | None = None


class VectorSelector(Keeping):
    """The part of the Selector that deals with descriptors."""

    context: Context
    at: ir.At | None
    terminator: ir.Instr
    next_label: int
    function: ir.Function
    used: dict[Reg, tuple[int, bool]]

    def start_vectors(self) -> None:
        self.held: dict[tuple[str, int], Any] = {}
        self.group_words: list[Imm | None] = [None] * 4
        self.turn = dict.fromkeys(FILES, 0)
        self.locked: set[tuple[str, int]] = set()
        self.kept: dict[tuple[str, int], Words] = {}
        self.lasting = False  # what is loaded is in use beyond the next operation

    def forget_dsrs(self) -> None:
        """At the start of a block and after calls nothing is known of DSRs but what a loop around keeps in them."""
        self.held = dict(self.kept)
        self.group_words = [None] * 4

    # DSRs.

    def free_dsr(self, file: str, taken: set[tuple[str, int]]) -> int:
        """A DSR of the file that no explicit one, no @map around and no other operand uses."""
        for limit in (self.context.dsr_limit(self.function.name), isa.DSRS):
            for _ in range(isa.DSRS):
                number = self.turn[file]
                self.turn[file] = (number + 1) % isa.DSRS
                free = (file, number) not in self.locked | taken and (file, number) not in self.kept_anywhere
                if number < limit and number not in self.context.reserved[file] and free:
                    return number
        raise ir.Unsupported(f"no {file} DSR is left: @get_dsr and FIFOs have them all", self.at)

    def load_words(self, words: Words) -> None:
        """Four words into r28..r31."""
        for i, word in enumerate(words):
            if self.group_words[i] != word:
                self.emit("mov", GROUP[i], None, imm=word)
                self.group_words[i] = word

    def load_memory(self, var: DsdVar, at: int = 0) -> None:
        for i in range(4):
            base, imm = self.memory(var.addr, at + 4 * i)
            self.emit("ld32", GROUP[i], base, imm=imm)
            self.group_words[i] = None

    def load_dsr(self, byte: int) -> None:
        self.emit("ldds", byte, GROUP[0], reads=GROUP[1:])

    def set_group(self, index: int, op: str, imm: int) -> None:
        self.emit(op, GROUP[index], GROUP[index], imm=imm)
        self.group_words[index] = None

    def byte(self, file: str, number: int) -> int:
        return FILES.index(file) * isa.DSRS + number

    def bring(
        self,
        operand: Dsd | DsdVar | DsdValue | FifoRef,
        file: str,
        taken: set[tuple[str, int]],
        wide: bool = False,
        own: bool = False,
    ) -> int:
        """Loads a descriptor into a DSR of the file, unless one holds it; returns the DSR's byte.  own: into one that
        nothing else uses, for what follows changes it."""
        if isinstance(operand, FifoRef) and (kept := self.kept_fifo(operand, file)) is not None:
            return kept
        if isinstance(operand, DsdVar) or (isinstance(operand, DsdValue) and self.value_words(operand) is None):
            number = self.free_dsr(file, taken)
            self.load_variable(operand, file, wide)
            self.held.pop((file, number), None)
        else:
            words = self.constant_words(operand, file, wide)
            for (other, number), known in self.held.items():
                if known == words and other == file and not own:
                    taken.add((file, number))
                    return self.byte(file, number)
            number = self.free_dsr(file, taken)
            self.load_words(words)
            self.held[file, number] = words
            if own:
                del self.held[file, number]
            if isinstance(operand, Dsd | DsdValue) and int(words[0]) >> 8 & isa.DSD_SAVE_ADDRESS:  # type: ignore[arg-type]
                self.held.pop((file, number), None)  # the operation moves its base
        taken.add((file, number))
        self.load_dsr(self.byte(file, number))
        return self.byte(file, number)

    def kept_fifo(self, operand: FifoRef, file: str) -> int | None:
        """The DSR that a FIFO keeps for its writes or reads."""
        number = self.context.fifo_dsr.get(operand.name)
        return None if number is None else self.byte("dest" if file == "dest" else "src1", number)

    def value_words(self, operand: DsdValue) -> Words | None:
        """The words of a descriptor in registers if all its fields are constant."""
        first, base, length, stride, options, last = operand.fields
        if isinstance(base, Reg) or not all(
            isinstance(field, Const) for field in (first, length, stride, options, last)
        ):
            return None
        low, size, step, what, high = (int(f.value) for f in (first, length, stride, options, last))  # type: ignore[union-attr]
        upper = (size & 0xFFFF) << 16
        if isinstance(base, Addr):
            second: Imm = Sym(base.symbol, base.offset, more=signed(upper))
        else:
            second = signed(int(base.value) & 0xFFFF | upper)
        return signed(low), second, signed(step & 0xFFFF | (what & 0xFFFF) << 16), signed(high)

    def load_value(self, operand: DsdValue) -> None:
        """A descriptor in registers into r28..r31."""
        first, base, length, stride, options, last = operand.fields
        self.load_word(0, first)
        self.load_halves(1, base, length)
        self.load_halves(2, stride, options)
        self.load_word(3, last)

    def load_word(self, index: int, value: Value) -> None:
        imm = self.immediate(value)
        if imm is None or self.group_words[index] != imm:
            self.emit("mov", GROUP[index], None, **self.last(value))
            self.group_words[index] = imm

    def load_halves(self, index: int, low: Value, high: Value) -> None:
        upper = self.immediate(high)
        if upper is None:
            shifted = V("upper")
            self.emit("ishl32", shifted, self.reg(high), imm=16)
            self.emit("ior", GROUP[index], shifted, **self.last(low))
            self.group_words[index] = None
            return
        assert isinstance(upper, int)
        lower = self.immediate(low)
        if lower is not None:
            more = signed(upper << 16)
            word = (
                Sym(lower.name, lower.addend, more) if isinstance(lower, Sym) else signed(lower & 0xFFFF | upper << 16)
            )
            if self.group_words[index] != word:
                self.emit("mov", GROUP[index], None, imm=word)
                self.group_words[index] = word
            return
        if upper & 0xFFFF:
            self.emit("ior", GROUP[index], self.reg(low), imm=signed(upper << 16))
        else:
            self.emit("mov", GROUP[index], None, self.reg(low))
        self.group_words[index] = None

    def constant_words(
        self, operand: Dsd | DsdValue | FifoRef, file: str = "dest", wide: bool = False, then: ir.Then = ir.NO_OPTIONS
    ) -> Words:
        if isinstance(operand, FifoRef):
            fifo = self.context.fifos[operand.name]
            flags = isa.DSD_COUNTS | (isa.DSD_WIDE if fifo.item == 4 else 0)
            flags |= isa.DSD_SIMD if fifo.simd else 0
            return (
                isa.DSD_FIFO | flags << 8,
                Sym(fifo.buffer, 0),  # of length 0: the other operands decide
                signed(2 | descriptor.options(then) << 16),  # its places are words
                self.context.fifo_xdsr[operand.name] | descriptor.simd_mode(fifo.simd),
            )
        if isinstance(operand, DsdValue):
            words = self.value_words(operand)
            assert words is not None
            words = (words[0], words[1], signed(int(words[2]) | descriptor.options(then) << 16), words[3])  # type: ignore[arg-type]
            return (words[0] | isa.DSD_WIDE << 8, *words[1:]) if wide else words  # type: ignore[operator]
        if operand.kind == "fabout" and operand.color is None and self.context.arch == "wse2":
            operand = replace(operand, color=self.context.queues_out.get(operand.queue))
        words = words_of(operand, then, self.tensor(operand, file))
        return (words[0] | isa.DSD_WIDE << 8, *words[1:]) if wide else words  # type: ignore[operator]

    def load_variable(self, var: DsdVar | DsdValue, file: str, wide: bool = False) -> None:
        if isinstance(var, DsdValue):
            self.load_value(var)
        elif var.kind in EXTENDED:
            number = self.xdsr(var, file)
            self.load_memory(var, 16)
            self.emit("ldxd", number, GROUP[0], reads=GROUP[1:])
            self.load_memory(var)
            self.set_group(3, "ior", number)
        else:
            self.load_memory(var)
        if wide:
            self.set_group(0, "ior", isa.DSD_WIDE << 8)

    def tensor(self, dsd: Dsd, file: str) -> int:
        """The XDSR of a constant descriptor; loaded at the start of the run if it has one of its own."""
        if dsd.kind not in EXTENDED:
            return 0
        words, number = xdsr_words(dsd), self.xdsr(dsd, file)
        if self.context.held_by(number) != words:
            self.load_words(words)
            self.emit("ldxd", number, GROUP[0], reads=GROUP[1:])
        return number

    def xdsr(self, operand: Dsd | DsdVar, file: str) -> int:
        """The XDSR of a descriptor in a DSR of the file."""
        found = xdsr_of(operand)
        assert found is not None
        number = self.context.xdsr_for(*found, file)
        if self.lasting and self.context.is_shared(number):
            raise ir.Unsupported(
                f"no XDSR is left: {NEEDS_XDSR}, that asynchronous operations, @map or explicit DSRs use, have all "
                f"{self.context.own_xdsrs}",
                self.at,
            )
        return number

    # Operations.

    def do_vector(self, instr: ir.Vector) -> None:
        row = isa.INSTRUCTION[instr.op]
        self.lasting = self.context.lasts(instr)
        taken: set[tuple[str, int]] = set()
        asynchronous = instr.then.async_
        dst = self.destination(instr, asynchronous, taken)
        fields: list[int | V] = [isa.NONE if dst is None else dst.operand]
        for operand, type, file in zip((instr.src0, instr.src1), row.types[1:3], ("src0", "src1"), strict=True):
            if type == "NONE" or operand is None:
                fields.append(isa.NONE)
            else:
                fields.append(self.source(operand, file, instr, dst, asynchronous, taken))
        fields.append(isa.NONE if instr.extra is None else self.scalar(instr.extra))
        self.set_index(instr, fields)
        shared = self.set_options(instr, fields)
        self.set_priority(instr)
        then = instr.then
        if self.context.arch == "wse2" or self.context.load_names_thread(instr):
            then = _without_ut(then)
        if instr.task is not None:
            then = replace(then, activate=None, unblock=None)
        kept = [dst.operand] if dst is not None and dst.store is not None and self.reads_fifo(instr) else []
        made = self.emit(instr.op, *fields, options=descriptor.options(then), reads=kept)
        made.repeats = dst is not None and dst.store is not None
        if shared is not None:
            self.drop_thread(shared)
        if instr.result is not None:
            self.whether_done(instr, fields)
        if dst is not None and dst.store is not None:
            value = dst.operand
            if dst.old is not None and instr.result is not None:
                value = V("kept")
                self.emit("sel", value, self.v(instr.result), dst.operand, dst.old)
            self.store_scalar(dst.store[0], dst.store[1], value)

    def whether_done(self, instr: ir.Vector, fields: list[int | V]) -> None:
        """The result of an operation: false if it ended at the end of a FIFO, whose length is then what is left.  It is
        true if the FIFO has the action to terminate operations."""
        assert instr.result is not None
        left: V | None = None
        for operand, field in zip((instr.dst, instr.src0, instr.src1), fields, strict=False):
            if not self.is_fifo(operand) or not isinstance(field, int) or instr.then.async_:
                continue
            fifo = self.fifo_of(operand)
            if fifo is not None:
                action = fifo.full_action if operand is instr.dst else fifo.empty_action
                if ir.FIFO_ACTIONS[action] == "terminate":
                    continue
            self.emit("stds", field, GROUP[0], writes=GROUP[1:])
            self.group_words = [None] * 4
            length, both = V("left"), V("left")
            self.emit("ishr32", length, GROUP[1], imm=16)
            if left is not None:
                self.emit("ior", both, left, length)
            left = length if left is None else both
        if left is None:
            self.emit("mov", self.v(instr.result), None, imm=1)
        else:
            self.emit("ieq16", self.v(instr.result), left, imm=0)

    def reads_fifo(self, instr: ir.Vector) -> bool:
        return any(self.is_fifo(source) for source in (instr.src0, instr.src1))

    @staticmethod
    def is_fifo(operand: Any) -> bool:
        return isinstance(operand, FifoRef) or (isinstance(operand, Dsr) and operand.fifo)

    def fifo_of(self, operand: Any) -> ir.Fifo | None:
        """The FIFO that an operand is known to be."""
        if isinstance(operand, FifoRef):
            return self.context.fifos[operand.name]
        if isinstance(operand, Dsr) and operand.file in ("dest", "src1"):
            found = [name for name, number in self.context.fifo_dsr.items() if number == operand.number]
            return self.context.fifos[found[0]] if found else None
        return None

    def destination(self, instr: ir.Vector, asynchronous: bool, taken) -> Place | None:
        dst = instr.dst
        if dst is None:
            return None
        if isinstance(dst, Deref):
            start = self.start_of(instr)
            is_own = isinstance(start, Deref) and start.addr == dst.addr
            if asynchronous:
                if start is not None and not is_own:
                    self.store_scalar(dst.addr, dst.type, self.scalar(start))
                return Place(self.walk_in_place(dst, "dest", taken, isa.DSD_SCALAR if self.reads_fifo(instr) else 0))
            total, old = V("total"), None
            if self.reads_fifo(instr) and not is_own:
                old = self.scalar(dst)
            if isinstance(start, Deref):
                self.load_scalar(start, total)
            elif start is not None:
                self.emit("mov", total, None, **self.last(start))
            elif old is not None:  # what stays if the FIFO has too few elements
                self.emit("mov", total, None, old)
                old = None
            return Place(total, (dst.addr, dst.type), old)
        return Place(self.descriptor(dst, "dest", taken))

    @staticmethod
    def start_of(instr: ir.Vector) -> Deref | Value | None:
        """The scalar source, of the result's type, of an operation into a pointer: what the result is before the first
        element.  Each step reads the result of the one before it."""
        result, *types = isa.INSTRUCTION[instr.op].types[:3]
        for source, type in zip((instr.src0, instr.src1), types, strict=True):
            if isinstance(source, Deref | Reg | Const | Addr) and type == result:
                return source
        return None

    def source(self, operand: Any, file: str, instr: ir.Vector, dst: Place | None, asynchronous: bool, taken):
        if isinstance(instr.dst, Deref) and dst is not None and operand is self.start_of(instr):
            return self.walk_in_place(instr.dst, file, taken) if asynchronous else dst.operand
        if isinstance(operand, Deref | Reg | Const | Addr):
            return self.scalar(operand)
        return self.descriptor(operand, file, taken)

    def descriptor(self, operand: Any, file: str, taken: set[tuple[str, int]]) -> int:
        if isinstance(operand, Dsr):
            return self.byte(operand.file, operand.number)
        return self.bring(operand, file, taken)

    def scalar(self, operand: Deref | Value) -> V:
        if isinstance(operand, Deref):
            value = V("scalar")
            self.load_scalar(operand, value)
            return value
        return self.reg(operand)

    def load_scalar(self, operand: Deref, value: V) -> None:
        base, imm = self.memory(operand.addr, 0)
        self.emit("ld16" if BITS[operand.type] == 16 else "ld32", value, base, imm=imm)

    def store_scalar(self, addr: Value, type: str, value: int | V) -> None:
        base, imm = self.memory(addr, 0)
        self.emit("st16" if BITS[type] == 16 else "st32", value, base, imm=imm)

    def walk_in_place(self, operand: Deref, file: str, taken, flags: int = 0) -> int:
        """A scalar in memory as a walk of stride zero; the other operands say how long."""
        number = self.free_dsr(file, taken)
        taken.add((file, number))
        item = BITS[operand.type] // 8
        words = words_of(Dsd("mem1d", Const("u16", 0), 0, 0, item))
        self.load_words((words[0] | flags << 8, *words[1:]))  # type: ignore[operator]
        self.emit("mov", GROUP[1], None, **self.last(operand.addr))
        self.group_words[1] = None
        self.load_dsr(self.byte(file, number))
        self.held.pop((file, number), None)
        return self.byte(file, number)

    def set_index(self, instr: ir.Vector, fields: list[int | V]) -> None:
        if instr.index is None:
            return
        value = self.reg(instr.index)
        for operand, field in zip((instr.dst, instr.src0, instr.src1), fields, strict=False):
            takes = isinstance(operand, Dsd | DsdVar | DsdValue) and operand.index
            if isinstance(operand, Dsr):
                takes = (operand.file, operand.number) in self.context.indexed
            if takes and isinstance(field, int):
                self.emit("dsindex", field, value)
                self.held.pop((FILES[field // isa.DSRS], field % isa.DSRS), None)

    def set_options(self, instr: ir.Vector, fields: list[int | V]) -> int | None:
        """Options that are known at run time only go into the DSR of an operand.  Returns the DSR if it is one that a
        FIFO keeps."""
        named = self.context.arch == "wse2" or self.context.load_names_thread(instr)
        thread = None if named else instr.ut
        operands = list(zip((instr.dst, instr.src0, instr.src1), fields, strict=False))
        if instr.on_control:
            for operand, field in operands:
                if isinstance(operand, Dsd | DsdVar | DsdValue) and operand.kind == "fabin" and isinstance(field, int):
                    self.change_dsr(field, instr, control=True)
        own = [(o, f) for o, f in operands if isinstance(o, Dsd | DsdVar | DsdValue | FifoRef) and isinstance(f, int)]
        own.sort(key=lambda pair: isinstance(pair[0], FifoRef) and pair[0].name in self.context.fifo_dsr)
        if (thread is None and instr.task is None) or not own:
            return None
        operand, field = own[0]
        assert isinstance(field, int)
        self.change_dsr(field, instr, thread)
        return field if isinstance(operand, FifoRef) and operand.name in self.context.fifo_dsr else None

    def change_dsr(self, field: int, instr: ir.Vector, thread: Value | None = None, control: bool = False) -> None:
        """Puts options into a DSR that holds a descriptor already."""
        self.emit("stds", field, GROUP[0], writes=GROUP[1:])
        self.group_words = [None] * 4
        if control:
            self.control_of_group(instr)
        else:
            if thread is not None:
                self.thread_of_group(thread)
            self.task_of_group(instr)
        self.load_dsr(field)
        self.held.pop((FILES[field // isa.DSRS], field % isa.DSRS), None)

    def task_of_group(self, instr: ir.Vector | ir.LoadDsr) -> None:
        """Puts the task that the end of the operation activates or unblocks into the descriptor in r28..r31."""
        if instr.task is None:
            return
        low, shifted = V("task"), V("task")
        self.emit("iand", low, self.reg(instr.task), imm=63)
        self.emit("ishl32", shifted, low, imm=16 + isa.OPT_TASK)
        what = isa.OPT_THEN_UNBLOCK if instr.then.activate is None else isa.OPT_THEN_ACTIVATE
        self.set_group(2, "iand", signed(~((3 << isa.OPT_THEN | 63 << isa.OPT_TASK) << 16)))
        self.set_group(2, "ior", signed((isa.OPT_ASYNC | what << isa.OPT_THEN) << 16))
        self.emit("ior", GROUP[2], GROUP[2], shifted)

    def control_of_group(self, instr: ir.Vector | ir.LoadDsr) -> None:
        """Puts what a control wavelet does into the descriptor in r28..r31."""
        if not instr.on_control:
            return
        self.set_group(3, "iand", signed(0xFFFF00FF))
        self.set_group(3, "ior", pack_on_control(instr.on_control, None) << 8)
        if instr.control is not None:
            low, shifted = V("task"), V("task")
            self.emit("iand", low, self.reg(instr.control), imm=63)
            self.emit("ishl32", shifted, low, imm=10)
            self.emit("ior", GROUP[3], GROUP[3], shifted)

    def drop_thread(self, field: int) -> None:
        """Takes the options of one operation out of a DSR again."""
        self.emit("stds", field, GROUP[0], writes=GROUP[1:])
        self.group_words = [None] * 4
        self.set_group(2, "iand", 0xFFFF)
        self.load_dsr(field)

    def thread_of_group(self, ut: Value) -> None:
        """Puts a microthread into the options of the descriptor in r28..r31."""
        low, shifted = V("thread"), V("thread")
        self.emit("iand", low, self.reg(ut), imm=7)
        self.emit("ishl32", shifted, low, imm=16 + isa.OPT_UT)
        self.set_group(2, "iand", signed(~((isa.OPT_UT_GIVEN | 7 << isa.OPT_UT) << 16)))
        self.set_group(2, "ior", signed((isa.OPT_ASYNC | isa.OPT_UT_GIVEN) << 16))
        self.emit("ior", GROUP[2], GROUP[2], shifted)

    def set_priority(self, instr: ir.Vector) -> None:
        """Sets the priority of the operation's microthread; one that says none needs that if others do."""
        thread, priority = self.context.thread_of(instr), self.context.priority_of(instr)
        if thread is None:
            return
        if priority is None and len(self.context.priorities.get(thread, ())) > 1:
            priority = self.context.priority_otherwise(instr)
        if priority is not None:
            self.emit("utprio", thread, imm=priority)

    # Explicit DSRs, descriptors in memory.

    def do_loaddsr(self, instr: ir.LoadDsr) -> None:
        source, file = instr.source, instr.dsr.file
        self.lasting = True
        then = instr.then if self.context.arch != "wse2" else _without_ut(instr.then)
        byte = self.byte(file, instr.dsr.number)
        priority = load_priority(instr)
        if priority is not None:
            assert isinstance(source, Dsd)
            self.emit("utprio", source.queue if then.ut is None else then.ut, imm=priority)
        if isinstance(source, DsdVar) or (isinstance(source, DsdValue) and self.value_words(source) is None):
            self.load_variable(source, file)
            if bits := descriptor.options(then):
                self.set_group(2, "ior", signed(bits << 16))
            if instr.save_address:
                self.set_group(0, "ior", isa.DSD_SAVE_ADDRESS << 8)
        else:
            words = self.constant_words(source, file, then=then)
            if instr.save_address:
                words = (words[0] | isa.DSD_SAVE_ADDRESS << 8, *words[1:])  # type: ignore[operator]
            self.load_words(words)
        if instr.ut is not None and self.context.arch != "wse2":
            self.thread_of_group(instr.ut)
        self.task_of_group(instr)
        self.control_of_group(instr)
        self.load_dsr(byte)

    def do_fifolength(self, instr: ir.FifoLength) -> None:
        byte = self.kept_fifo(instr.fifo, "dest" if instr.writes else "src1")
        assert byte is not None
        self.set_field(byte, "length", instr.value)

    def do_dsrset(self, instr: ir.DsrSet) -> None:
        self.set_field(self.byte(instr.dsr.file, instr.dsr.number), instr.field, instr.value)

    def set_field(self, byte: int, field: str, given: Value) -> None:
        """Word 1 of a DSR: the base in its lower half, the length in its upper."""
        value = V("field")
        self.emit("zext16", value, None, **self.last(given))
        if field == "length":
            low, value = value, V("field")
            self.emit("ishl32", value, low, imm=16)
        self.emit("stds", byte, GROUP[0], writes=GROUP[1:])
        self.group_words = [None] * 4
        self.emit("iand", GROUP[1], GROUP[1], imm=0xFFFF if field == "length" else signed(0xFFFF0000))
        self.emit("ior", GROUP[1], GROUP[1], value)
        self.load_dsr(byte)

    def do_dsdcopy(self, instr: ir.DsdCopy) -> None:
        source, dst = instr.source, instr.dst
        size = 8 if dst.kind in EXTENDED else 4
        if isinstance(source, DsdVar):
            for i in range(size):
                word = V("word")
                base, imm = self.memory(source.addr, 4 * i)
                self.emit("ld32", word, base, imm=imm)
                base, imm = self.memory(dst.addr, 4 * i)
                self.emit("st32", word, base, imm=imm)
            return
        words: tuple[Imm, ...] = words_of(source)
        if size == 8:
            words += xdsr_words(source)
        values: dict[Imm, V] = {}
        for i, contents in enumerate(words):
            if contents not in values:
                values[contents] = self.constant(contents)
            base, imm = self.memory(dst.addr, 4 * i)
            self.emit("st32", values[contents], base, imm=imm)

    def do_dsdset(self, instr: ir.DsdSet) -> None:
        at = {"length": descriptor.LENGTH, "base": descriptor.BASE, "stride": descriptor.STRIDE}.get(instr.field)
        value = None
        if at is None:
            base, imm = self.memory(instr.dst.addr, descriptor.BASE)
            value, sum = V("base"), V("base")
            self.emit("ld16", value, base, imm=imm)
            self.emit("iadd16", sum, value, **self.last(instr.value))
            self.emit("st16", sum, base, imm=imm)
            return
        value = self.reg(instr.value)
        base, imm = self.memory(instr.dst.addr, at)
        self.emit("st16", value, base, imm=imm)

    if TYPE_CHECKING:  # what the Selector has

        def emit(self, op: str, *fields: Any, **more: Any) -> Ins: ...
        def __getattr__(self, name: str) -> Any: ...


def _without_ut(then: ir.Then) -> ir.Then:
    """WSE-2's microthreads follow the queue."""
    return ir.Then(then.async_, then.activate, then.unblock, None, then.priority)
