"""Instruction selection: a function of the IR to rows of csrc/tables/isa.def over virtual registers.

Values of 8 and 16 bits are kept zero-extended, as the machine's results are.  64-bit values are pairs of registers,
low word first (select_wide.py).  Vector operations and descriptors are in select_vector.py, @map in select_map.py.
"""

from __future__ import annotations

from typing import Any

from ...machine import isa
from ..ir import ir
from ..ir.constants import bits_of
from ..ir.ir import BITS, COMPARE, FLOAT, SIGNED, Addr, Const, Reg, Value
from ..ir.registers import targets, use_counts, written
from .constants import hoist
from .context import Context
from .keep import FILES
from .mir import PHYSICAL, Imm, Ins, Label, MBlock, MFunction, Sym, V
from .registers import block_order
from .select_map import MapSelector
from .select_wide import WideSelector

RESULT = PHYSICAL[0]  # where a function's result is
RESULT_HIGH = PHYSICAL[2]
WORD = PHYSICAL[0]  # a task's wavelet
INT_OPS = {"add": "iadd", "sub": "isub", "mul": "imul", "shl": "ishl"}
LOGIC = {"and": "iand", "or": "ior", "xor": "ixor"}
COMMUTES = {"add", "mul", "and", "or", "xor", "eq", "ne"}
SWAPPED = {"lt": "gt", "le": "ge", "gt": "lt", "ge": "le", "eq": "eq", "ne": "ne"}
INVERSE = {"gt": "le", "ge": "lt"}
GROUP = PHYSICAL[28:32]
ROUTER_REGISTERS = range(0x7F20, 0x7F60)
LOADS = {8: "ld8", 16: "ld16", 32: "ld32"}
STORES = {8: "st8", 16: "st16", 32: "st32"}


class Selector(MapSelector, WideSelector):
    """Selects one function.  entry: None for one that is called; "task", "rpc" or "startup": how it is entered, and
    that it ends with done."""

    def __init__(self, context: Context, function: ir.Function, entry: str | None = None, rpc: list[int] | None = None):
        self.context, self.function, self.entry = context, function, entry
        self.rpc = rpc or []
        self.registers: dict[Reg, V] = {}
        self.highs: dict[Reg, V] = {}
        self.code: list[Ins] = []
        self.at: ir.At | None = None
        self.blocks: list[MBlock] = []
        self.addresses: dict[Reg, tuple[V | None, Imm, tuple[Reg, ...]]] = {}
        self.compares: dict[Reg, tuple[str, V, bool]] = {}
        self.link = V("link") if entry is None else None
        self.start_vectors()

    def select(self) -> MFunction:
        """The function over virtual registers."""
        blocks = {block.id: block for block in self.function.blocks}
        self.at = self.function.at
        self.used = use_counts(self.function)
        params = [self.group(p) for p in self.function.params] if self.entry is None else []
        self.loads = self.keep_in_loops(self.function)
        self.next_label = max((block.id for block in self.function.blocks), default=0) + 1
        for i, block in enumerate(self.function.blocks):
            self.begin(block.id)
            if i == 0 and self.entry is not None:
                self.prologue()
            self.kept = self.kept_in.get(block.id, {})
            self.block_body(block)
        assert blocks
        ordered = block_order(self.blocks)
        hoist(ordered)
        result = MFunction(self.function.name, self.function.display, ordered, params, self.link, self.function.at)
        result.dsrs = self.loaded_dsrs()
        _finish_branches(result)
        return result

    # Blocks.

    def block_body(self, block: ir.Block) -> None:
        """The instructions of a block that has begun; what was known in the one before is not."""
        self.addresses.clear()
        self.compares.clear()
        self.forget_dsrs()
        self.terminator = block.code[-1]
        for instr in block.code:
            self.at = instr.at or self.at
            if instr is self.terminator:
                self.load_kept(self.loads.get(block.id, ()))
            self.instruction(instr)
            self.invalidate(instr)
        self.blocks[-1].successors = targets(block.code[-1])

    def loaded_dsrs(self) -> set[tuple[str, int]]:
        """DSRs that the function and those that it calls load."""
        found: set[tuple[str, int]] = set()
        for block in self.blocks:
            for ins in block.code:
                if ins.op == "ldds":
                    found.add((FILES[ins.a // isa.DSRS], ins.a % isa.DSRS))
                elif ins.op == "call":
                    found |= self.context.selected[ins.imm.name].dsrs
        return found

    def begin(self, label: int) -> None:
        self.blocks.append(MBlock(label, []))
        self.code = self.blocks[-1].code

    def label(self) -> int:
        self.next_label += 1
        return self.next_label - 1

    def split(self, label: int) -> None:
        """Ends the block, going on in a new one."""
        self.blocks[-1].successors = [label]
        self.emit("jmp", imm=Label(label))
        self.begin(label)

    def emit(self, op: str, *fields: Any, **more: Any) -> Ins:
        ins = Ins(op, *fields, **more)
        ins.at = self.at
        self.code.append(ins)
        return ins

    # Entries.

    def prologue(self) -> None:
        """Fills the parameters of a task from its wavelet, of a host call from memory."""
        params = self.function.params
        if self.entry == "rpc":
            for param, address in zip(params, self.rpc, strict=True):
                if BITS[param.type] == 64:
                    low, high = self.group(param)
                    self.emit("ld32", low, None, imm=address)
                    self.emit("ld32", high, None, imm=address + 4)
                else:
                    self.emit(LOADS[BITS[param.type]], self.v(param), None, imm=address)
        elif self.entry == "task" and params:
            if len(params) == 1 and BITS[params[0].type] == 32:
                self.emit("mov", self.v(params[0]), None, WORD)
                return
            word = V("wavelet")
            self.emit("mov", word, None, WORD)
            for param, at in zip(params, ir.wavelet_parts([param.type for param in params]), strict=True):
                bits, shifted = BITS[param.type], word
                if at:
                    shifted = self.v(param) if at + bits == 32 else V("shifted")
                    self.emit("ishr32", shifted, word, imm=at)
                if at + bits < 32:
                    self.emit("zext8" if bits == 8 else "zext16", self.v(param), None, shifted)

    # Values.

    def v(self, reg: Reg) -> V:
        """The register of a virtual register (its low word)."""
        if reg not in self.registers:
            self.registers[reg] = V(reg.name)
        return self.registers[reg]

    def high(self, reg: Reg) -> V:
        if reg not in self.highs:
            self.highs[reg] = V(reg.name + ".high")
        return self.highs[reg]

    def group(self, reg: Reg) -> list[V]:
        return [self.v(reg), self.high(reg)] if BITS[reg.type] == 64 else [self.v(reg)]

    def immediate(self, value: Value) -> Imm | None:
        """A constant's bits, as a signed 32-bit number; None for a register."""
        if isinstance(value, Const):
            bits = bits_of(value, self.context.fp16) & 0xFFFFFFFF
            return bits - (1 << 32) if bits >> 31 else bits
        if isinstance(value, Addr):
            return Sym(value.symbol, value.offset)
        return None

    def reg(self, value: Value) -> V:
        """The value in a register."""
        if isinstance(value, Reg):
            return self.v(value)
        temporary = V("c")
        self.emit("mov", temporary, None, imm=self.immediate(value))
        return temporary

    def last(self, value: Value) -> dict[str, Any]:
        """The value as the last operand of an RRX, RX or X row."""
        imm = self.immediate(value)
        return {"c": self.v(value)} if imm is None else {"imm": imm}  # type: ignore[arg-type]

    def memory(self, addr: Value, offset: int) -> tuple[V | None, Imm]:
        """Base register and immediate of an address."""
        if isinstance(addr, Reg):
            known = self.addresses.get(addr)
            if known is None:
                return self.v(addr), offset
            base, at, _ = known
            if isinstance(at, Sym):
                return base, Sym(at.name, at.addend + offset)
            return base, at + offset  # type: ignore[operator]
        imm = self.immediate(addr)
        if isinstance(imm, Sym):
            return None, Sym(imm.name, imm.addend + offset)
        return None, ((imm or 0) + offset) & 0xFFFF  # type: ignore[operator]

    def invalidate(self, instr: ir.Instr) -> None:
        """Forgets addresses and comparisons over registers that the instruction assigns."""
        for reg in written(instr):
            stale = [
                k for k, (_, _, over) in self.addresses.items() if (k is reg or reg in over) and k is not self.fresh
            ]
            for k in stale:
                del self.addresses[k]
            if reg in self.compares and self.fresh_compare is not reg:
                del self.compares[reg]
        self.fresh = self.fresh_compare = None

    fresh: Reg | None = None
    fresh_compare: Reg | None = None

    # Instructions.

    def instruction(self, instr: ir.Instr) -> None:
        if self.wide(instr):
            return
        getattr(self, "do_" + type(instr).__name__.lower())(instr)

    def do_copy(self, instr: ir.Copy) -> None:
        self.emit("mov", self.v(instr.dst), None, **self.last(instr.a))

    do_bitcast = do_copy

    def do_bin(self, instr: ir.Bin) -> None:
        op, a, b = instr.op, instr.a, instr.b
        if op in COMPARE:
            self.compare(instr)
            return
        dst, type = self.v(instr.dst), instr.type or instr.a.type
        if not isinstance(a, Reg) and op in COMMUTES:
            a, b = b, a
        if type in FLOAT:
            name = {"add": "add", "sub": "sub", "mul": "mul", "div": "div"}[op]
            self.emit(("h" if type == "f16" else "s") + name, dst, self.reg(a), **self.last(b))
            return
        if op == "add" and instr.dst.type == "ptr":
            self.note_address(instr.dst, a, b)
        bits = BITS[type]
        sign = "s" if type in SIGNED else "u"
        if op in LOGIC:
            name = LOGIC[op]
        elif op in INT_OPS:
            name = f"{INT_OPS[op]}{bits}"
        elif op == "shr":
            name = f"{'isar' if type in SIGNED else 'ishr'}{bits}"
        else:
            name = f"{'idiv' if op == 'div' else 'irem'}{sign}{bits}"
        self.emit(name, dst, self.reg(a), **self.last(b))

    def note_address(self, dst: Reg, a: Value, b: Value) -> None:
        """dst = register + constant address: loads and stores may use it as base and offset."""
        if not isinstance(a, Reg):
            a, b = b, a
        imm = self.immediate(b)
        if not isinstance(a, Reg) or imm is None or a is dst:
            return
        base, known, over = self.addresses.get(a, (self.v(a), 0, (a,)))
        if isinstance(known, Sym) and isinstance(imm, Sym):
            return
        if isinstance(known, Sym) or isinstance(imm, Sym):
            sym, more = (known, imm) if isinstance(known, Sym) else (imm, known)
            total: Imm = Sym(sym.name, sym.addend + more)  # type: ignore[operator, union-attr, arg-type]
        else:
            total = known + imm  # type: ignore[operator]
        self.addresses[dst] = (base, total, over)
        self.fresh = dst

    def compare(self, instr: ir.Bin) -> None:
        """A comparison; remembers how, for a branch that follows."""
        op, a, b, dst = instr.op, instr.a, instr.b, self.v(instr.dst)
        type = instr.type or a.type
        if not isinstance(a, Reg) and isinstance(b, Reg):
            a, b, op = b, a, SWAPPED[op]
        if type in FLOAT:
            inverted = self.float_compare("h" if type == "f16" else "s", op, dst, a, b)
        else:
            inverted = self.int_compare(op, type, dst, a, b)
        if inverted and self.only_branched(instr.dst):
            self.compares[instr.dst] = (op, dst, True)
            self.fresh_compare = instr.dst
        elif inverted:
            self.emit("ixor", dst, dst, imm=1)

    def float_compare(self, p: str, op: str, dst: V, a: Value, b: Value) -> bool:
        """True if dst is the opposite: only `ne`, for unordered operands must compare false."""
        if op in ("gt", "ge"):
            self.emit(f"{p}{'lt' if op == 'gt' else 'le'}", dst, self.reg(b), **self.last(a))
        else:
            self.emit(p + {"eq": "eq", "ne": "eq", "lt": "lt", "le": "le"}[op], dst, self.reg(a), **self.last(b))
        return op == "ne"

    def int_compare(self, op: str, type: str, dst: V, a: Value, b: Value) -> bool:
        sign, bits = "s" if type in SIGNED else "u", BITS[type]
        if op in ("eq", "ne"):
            self.emit(f"i{op}{bits}", dst, self.reg(a), **self.last(b))
        elif op in ("lt", "le"):
            self.emit(f"i{op}{sign}{bits}", dst, self.reg(a), **self.last(b))
        elif isinstance(b, Reg):
            self.emit(f"i{SWAPPED[op]}{sign}{bits}", dst, self.v(b), **self.last(a))
        else:
            self.emit(f"i{INVERSE[op]}{sign}{bits}", dst, self.reg(a), **self.last(b))
            return True
        return False

    def only_branched(self, reg: Reg) -> bool:
        """Whether nothing but the branch at the end of this block reads it."""
        last = self.terminator
        return isinstance(last, ir.Branch) and last.cond is reg and self.used.get(reg) == (1, True)

    def do_un(self, instr: ir.Un) -> None:
        dst, type, op = self.v(instr.dst), instr.type or instr.a.type, instr.op
        if op == "sqrt":
            self.emit("hsqrt" if type == "f16" else "ssqrt", dst, None, **self.last(instr.a))
        elif type in FLOAT:
            sign = 0x8000 if type == "f16" else -(1 << 31)
            mask = 0x7FFF if type == "f16" else 0x7FFFFFFF
            self.emit(*("ixor", dst, self.reg(instr.a)), imm=sign) if op == "neg" else self.emit(
                *("iand", dst, self.reg(instr.a)), imm=mask
            )
        elif op == "lnot":
            self.emit("ixor", dst, self.reg(instr.a), imm=1)
        elif op == "not":
            mask = (1 << BITS[type]) - 1
            self.emit("ixor", dst, self.reg(instr.a), imm=mask if mask < 1 << 31 else -1)
        elif op == "neg":
            zero = V("zero")
            self.emit("mov", zero, None, imm=0)
            self.emit(f"isub{BITS[type]}", dst, zero, **self.last(instr.a))
        else:
            self.absolute(dst, type, instr.a)

    def absolute(self, dst: V, type: str, a: Value) -> None:
        negative, minus, zero, value = V("neg"), V("minus"), V("zero"), self.reg(a)
        self.emit("mov", zero, None, imm=0)
        self.emit(f"isub{BITS[type]}", minus, zero, value)
        self.emit(f"ilts{BITS[type]}", negative, value, imm=0)
        self.emit("sel", dst, negative, minus, value)

    def do_convert(self, instr: ir.Convert) -> None:
        dst, have, want = self.v(instr.dst), instr.type or instr.a.type, instr.dst.type
        have = "u16" if have == "ptr" else "u8" if have == "bool" else have
        want = "u16" if want == "ptr" else want
        if have in FLOAT:
            self.from_float(dst, have, want, instr.a)
        elif want in FLOAT:
            source = self.extended(instr.a, have)
            self.emit(("i" if have in SIGNED else "u") + ("2h" if want == "f16" else "2s"), dst, None, source)
        elif want == "bool":
            self.emit(f"ine{BITS[have]}", dst, self.reg(instr.a), imm=0)
        elif BITS[want] > BITS[have] and have in SIGNED:
            self.emit(f"sext{BITS[have]}", dst, None, **self.last(instr.a))
            if BITS[want] == 16:
                self.emit("zext16", dst, None, dst)
        elif BITS[want] < BITS[have]:
            self.emit(f"zext{BITS[want]}", dst, None, **self.last(instr.a))
        else:
            self.emit("mov", dst, None, **self.last(instr.a))

    def extended(self, value: Value, type: str) -> V:
        """An integer as 32 bits."""
        source = self.reg(value)
        if type not in SIGNED or BITS[type] == 32:
            return source
        wide = V("wide")
        self.emit(f"sext{BITS[type]}", wide, None, source)
        return wide

    def from_float(self, dst: V, have: str, want: str, a: Value) -> None:
        p = "h" if have == "f16" else "s"
        if want in FLOAT:
            op = "mov" if have == want else "h2s" if have == "f16" else "s2h"
            self.emit(op, dst, None, **self.last(a))
        elif want == "bool":
            zero = V("zero")
            self.emit("mov", zero, None, imm=0)
            self.emit(f"{p}eq", dst, zero, **self.last(a))
            self.emit("ixor", dst, dst, imm=1)
        else:
            self.emit(f"{p}2{'i' if want in SIGNED or BITS[want] < 32 else 'u'}", dst, None, **self.last(a))
            if BITS[want] < 32:
                self.emit(f"zext{BITS[want]}", dst, None, dst)

    def do_select(self, instr: ir.Select) -> None:
        self.emit("sel", self.v(instr.dst), self.reg(instr.cond), self.reg(instr.a), self.reg(instr.b))

    def register_address(self, addr: Value, offset: int, type: str) -> int | None:
        """Word address of a router's register that the program reads or writes as memory."""
        if isinstance(addr, Const) and BITS[type] == 16:
            word = ((int(addr.value) + offset) & 0xFFFF) >> 1
            return word if word in ROUTER_REGISTERS else None
        return None

    def do_load(self, instr: ir.Load) -> None:
        word = self.register_address(instr.addr, instr.offset, instr.dst.type)
        if word is not None:
            self.emit("cfgld", self.v(instr.dst), None, imm=word)
            return
        base, imm = self.memory(instr.addr, instr.offset)
        self.emit(LOADS[BITS[instr.dst.type]], self.v(instr.dst), base, imm=imm)

    def do_store(self, instr: ir.Store) -> None:
        word = self.register_address(instr.addr, instr.offset, instr.value.type)
        if word is not None:
            self.emit("cfgst", self.reg(instr.value), None, imm=word)
            return
        base, imm = self.memory(instr.addr, instr.offset)
        self.emit(STORES[BITS[instr.value.type]], self.reg(instr.value), base, imm=imm)

    def do_fill(self, instr: ir.Fill) -> None:
        """Copies or clears memory: unrolled if short, else a loop over words of 32 bits."""
        if instr.size > 64:
            self.fill_loop(instr)
            return
        at = 0
        zero = self.reg(Const("u32", 0)) if instr.source is None else None
        while at < instr.size:
            step = 4 if instr.size - at >= 4 else 2 if instr.size - at >= 2 else 1
            value = zero
            if instr.source is not None:
                value = V("word")
                base, imm = self.memory(instr.source, at)
                self.emit(LOADS[8 * step], value, base, imm=imm)
            base, imm = self.memory(instr.addr, at)
            self.emit(STORES[8 * step], value, base, imm=imm)
            at += step

    def fill_loop(self, instr: ir.Fill) -> None:
        to, count, value, test = V("to"), V("n"), V("word"), V("test")
        source = V("from") if instr.source is not None else None
        self.emit("mov", to, None, **self.last(instr.addr))
        if source is not None:
            self.emit("mov", source, None, **self.last(instr.source))  # type: ignore[arg-type]
        else:
            self.emit("mov", value, None, imm=0)
        self.emit("mov", count, None, imm=instr.size // 4)
        again, after = self.label(), self.label()
        self.split(again)
        if source is not None:
            self.emit("ld32", value, source, imm=0)
            self.emit("iadd16", source, source, imm=4)
        self.emit("st32", value, to, imm=0)
        self.emit("iadd16", to, to, imm=4)
        self.emit("isub16", count, count, imm=1)
        self.emit("mov", test, None, count)
        self.branch(test, again, after)
        self.begin(after)
        for at in range(instr.size & ~3, instr.size):
            if source is not None:
                self.emit("ld8", value, source, imm=at - (instr.size & ~3))
            self.emit("st8", value, to, imm=at - (instr.size & ~3))

    def branch(self, test: V, then: int, other: int, invert: bool = False) -> None:
        """Ends the block."""
        self.blocks[-1].successors = [then, other]
        self.emit("bz" if invert else "bnz", test, imm=Label(then))
        self.emit("jmp", imm=Label(other))

    # Calls and ends.

    def do_call(self, instr: ir.Call) -> None:
        callee = self.context.selected[instr.function]
        reads: list[V] = []
        values: list[tuple[V, V | Imm]] = []
        for group, arg in zip(callee.params, instr.args, strict=True):
            parts: list[V | Imm] = list(self.pair(arg)) if len(group) == 2 else [self.operand(arg)]
            values += zip(group, parts, strict=True)
        for v, part in values:
            if v in callee.spilled:
                source = part if isinstance(part, V) else self.constant(part)
                self.emit("st32", source, None, imm=Sym(callee.frame, callee.spilled[v]))
        for v, part in values:
            if v not in callee.spilled and v.color is not None:
                target = PHYSICAL[v.color]
                self.emit("mov", target, None, **({"c": part} if isinstance(part, V) else {"imm": part}))
                reads.append(target)
        link = callee.link
        assert link is not None
        to = PHYSICAL[link.color if link.color is not None else 31]
        wide = instr.dst is not None and BITS[instr.dst.type] == 64
        writes = [RESULT, RESULT_HIGH] if wide else [RESULT] if callee_result(self.context, instr.function) else []
        call = self.emit("call", to, imm=Label(instr.function), reads=reads, writes=[*writes, to])
        call.clobbers = callee.clobbers
        if instr.dst is not None:
            for v, result in zip(self.group(instr.dst), (RESULT, RESULT_HIGH), strict=False):
                self.emit("mov", v, None, result)
        self.addresses.clear()
        self.forget_dsrs()

    def operand(self, value: Value) -> V | Imm:
        imm = self.immediate(value)
        return self.v(value) if imm is None else imm  # type: ignore[arg-type]

    def constant(self, imm: Imm) -> V:
        temporary = V("c")
        self.emit("mov", temporary, None, imm=imm)
        return temporary

    def do_return(self, instr: ir.Return) -> None:
        if self.entry is not None:
            self.emit("done")
            return
        reads = []
        if instr.value is not None:
            parts = self.pair(instr.value) if BITS[instr.value.type] == 64 else [self.operand(instr.value)]
            for part, result in zip(parts, (RESULT, RESULT_HIGH), strict=False):
                self.emit("mov", result, None, **({"c": part} if isinstance(part, V) else {"imm": part}))
                reads.append(result)
        self.emit("jr", self.link, reads=reads)

    def do_jump(self, instr: ir.Jump) -> None:
        self.emit("jmp", imm=Label(instr.to))

    def do_branch(self, instr: ir.Branch) -> None:
        invert = False
        if isinstance(instr.cond, Reg):
            test = self.v(instr.cond)
            invert = instr.cond in self.compares
        else:
            test = self.reg(instr.cond)
        self.branch(test, instr.then, instr.other, invert)

    def do_trap(self, instr: ir.Trap) -> None:
        self.emit("trap", imm=self.context.message(instr.message))
        self.emit("done")

    def do_sys(self, instr: ir.Sys) -> None:
        op, args = instr.op, instr.args
        if op == "colorld":
            assert instr.dst is not None
            self.group_words = [None] * 4
            self.emit("colorld", GROUP[0], **self.last(args[0]), writes=GROUP[:2])
            self.emit("mov", self.v(instr.dst), None, GROUP[0])
            if instr.dst2 is not None:
                self.emit("mov", self.v(instr.dst2), None, GROUP[1])
        elif op == "colorst":
            color = self.operand(args[0])
            self.group_words = [None] * 4
            for to, value in zip(GROUP, args[1:], strict=False):
                self.emit("mov", to, None, **self.last(value))
            self.emit(
                *("colorst", GROUP[0]), **({"c": color} if isinstance(color, V) else {"imm": color}), reads=GROUP[:2]
            )
        elif op in PAIRS:
            if all(isinstance(a, Const) for a in args):
                self.emit(op, int(args[0].value), imm=self.immediate(args[1]))  # type: ignore[union-attr]
            else:
                self.emit(op, self.reg(args[0]), None, self.reg(args[1]))
        elif op == "cfgst":
            self.emit(op, self.reg(args[0]), None, **self.last(args[1]))
        elif instr.dst is not None and not args:
            self.emit(op, self.v(instr.dst))
        elif not args:
            self.emit(op)
        elif instr.dst is not None and len(args) == 2:
            self.emit(op, self.v(instr.dst), self.reg(args[0]), **self.last(args[1]))
        elif instr.dst is not None:
            self.emit(op, self.v(instr.dst), None, **self.last(args[0]))
        else:
            self.emit(op, **self.last(args[0]))


PAIRS = ("oqbind", "iqbind", "utprio", "say", "taskprio", "filtst", "switchst")  # rows of two operands and no result


def callee_result(context: Context, name: str) -> bool:
    return context.functions[name].result is not None


def _finish_branches(function: MFunction) -> None:
    """Drops jumps to the next block and turns branches round for it."""
    order = [block.label for block in function.blocks]
    for i, block in enumerate(function.blocks):
        following = order[i + 1] if i + 1 < len(order) else None
        code = block.code
        if not code or code[-1].op != "jmp":
            continue
        target = code[-1].imm
        assert isinstance(target, Label)
        if target.name == following:
            code.pop()
            continue
        if len(code) > 1 and code[-2].op in ("bz", "bnz") and code[-2].imm == Label(following or -1):
            code[-2].op = "bnz" if code[-2].op == "bz" else "bz"
            code[-2].imm = target
            code.pop()
