"""The functions of an optimised LLVM module as functions of the intermediate representation.

Registers keep the types of LLVM: integers are unsigned, and an instruction that takes them as signed says so in its
`type`.  An operation that the machine lacks is written with those that it has (expand.py).  SSA ends here: a phi is a
register that its predecessors assign (phis.py).
"""

from __future__ import annotations

import re
import struct
from dataclasses import replace

from ..ir import ir
from ..ir.ir import (
    Addr,
    Bin,
    Bitcast,
    Block,
    Branch,
    Const,
    Convert,
    Copy,
    Function,
    Instr,
    Jump,
    Reg,
    Select,
    Un,
    Value,
)
from ..ir.registers import rename
from .counters import compare_after_step
from .expand import BINARY, Expansions, container
from .lower import Module, operands
from .phis import Edges
from .reciprocal import Reciprocals
from .text import Inst, TextFunction, matching, parse, split, typed

TYPES = {
    "i1": "bool", "i8": "u8", "i16": "u16", "i32": "u32", "i64": "u64", "half": "f16", "float": "f32", "ptr": "ptr",
}  # fmt: skip
SIGNED_OPS = {"ashr", "sdiv", "srem"}
SIGNED_TYPES = {"u8": "i8", "u16": "i16", "u32": "i32", "u64": "i64", "ptr": "i16", "bool": "i8"}
UNORDERED = {"ult": "ge", "ule": "gt", "ugt": "le", "uge": "lt"}  # the ordered comparison that each is the opposite of
ORDERED = {"oeq": "eq", "une": "ne", "olt": "lt", "ole": "le", "ogt": "gt", "oge": "ge"}
SKIPPED = ("llvm.assume", "llvm.lifetime", "llvm.experimental.noalias", "llvm.dbg")


def raise_module(made: Module, text: str) -> list[Function]:
    """The functions of a module that lower() made and the passes have changed."""
    functions = parse(text)
    for function in functions:
        compare_after_step(function)
    return [_Raising(made, function).function() for function in functions]


class _Raising(Expansions, Reciprocals):
    def __init__(self, made: Module, source: TextFunction):
        self.made, self.source = made, source
        self.regs: dict[str, Reg] = {}
        self.parts: dict[str, list[Reg]] = {}  # results of an instruction with several
        self.defs: dict[str, Inst] = {inst.name: inst for b in source.blocks for inst in b.code if inst.name}
        self.uses: dict[str, list[tuple[Inst, int]]] = {}
        self.block_of = {id(inst): block.name for block in source.blocks for inst in block.code}
        self.waiting: dict[str, Reg] = {}  # bases of addresses that are computed before their first access
        for block in source.blocks:
            for inst in block.code:
                for place, arg in enumerate(inst.args):
                    if arg.startswith("%"):
                        self.uses.setdefault(arg, []).append((inst, place))
        self.numbers = {block.name: n for n, block in enumerate(source.blocks)}
        self.next_block = len(source.blocks)
        self.code: list[Instr] = []
        self.line = 0

    def function(self) -> Function:
        original = self.made.functions[int(self.source.name.split(".")[1])]
        same = len(self.source.params) == len(original.params)
        params = []
        for n, (type, name) in enumerate(self.source.params):
            reg = Reg(original.params[n].type if same else TYPES[type], original.params[n].name if same else "")
            self.regs[name] = reg
            params.append(reg)
        blocks: list[Block] = []
        edges = Edges(self)
        for block in self.source.blocks:
            self.code = []
            for inst in block.code:
                self.line = inst.line
                if inst.op == "phi":
                    edges.phi(block.name, self.reg(inst), inst)
                else:
                    getattr(self, "do_" + inst.op, self.arithmetic)(inst)
                if self.code and isinstance(self.code[-1], ir.Trap):
                    break
            blocks.append(Block(self.numbers[block.name], self.code))
        blocks = edges.finish(blocks)
        name = self.source.name
        result = None if self.source.result == "void" else original.result
        return replace(
            original,
            name=original.name if name.count(".") == 1 else f"{original.name}.{name.split('.', 2)[2]}",
            params=params,
            result=result,
            blocks=blocks,
        )

    # Registers and values.

    def emit(self, instr: Instr) -> None:
        instr.at = self.made.places[self.line]
        self.code.append(instr)

    def new(self, type: str, name: str = "") -> Reg:
        return Reg(type, name)

    def reg(self, inst: Inst) -> Reg:
        """The register of an instruction's result."""
        return self.named(inst.name, "i1" if inst.op in ("icmp", "fcmp") else inst.type)

    def named(self, name: str, type: str) -> Reg:
        if name not in self.regs:
            self.regs[name] = Reg(kind(type), "")
        return self.regs[name]

    def value(self, text: str, type: str) -> Value:
        """An operand of a type."""
        if text[0] == "%":
            return self.named(text, type)
        if text[0] == "@":
            return Addr(self.made.symbols[int(text.split(".")[1])])
        if text[-1] == ")" and "(" in text:
            return self.expression(text, type)
        return constant(text, type)

    def expression(self, text: str, type: str) -> Value:
        """A constant expression: the address of a global, plus bytes."""
        op = text.split("(")[0].split()[0]
        inner = text[text.index("(") + 1 : matching(text, text.index("("))]
        if op == "getelementptr":
            element, base, *rest = split(inner)
            first = self.value(*reversed(typed(base)))
            bytes = sum(int(typed(index)[1]) * scale for index, scale in zip(rest, strides(element), strict=False))
            return moved(first, bytes)
        if op in ("ptrtoint", "ptrtoaddr", "inttoptr", "bitcast", "trunc"):
            have, value = typed(inner.rpartition(" to ")[0])
            found = self.value(value, have)
            if isinstance(found, Const):
                return Const(kind(type), found.value)
            return found
        if op in ("add", "sub"):
            (have, a), (_, b) = typed(split(inner)[0]), typed(split(inner)[1])
            left, right = self.value(a, have), self.value(b, have)
            if isinstance(right, Const):
                return moved(left, int(right.value) if op == "add" else -int(right.value))
            if isinstance(left, Const) and op == "add":
                return moved(right, int(left.value))
        raise AssertionError(f"constant expression {text}")

    def args(self, inst: Inst) -> list[Value]:
        return [self.value(text, type) for text, type in zip(inst.args, inst.types, strict=True)]

    def definition(self, text: str, *ops: str) -> Inst | None:
        """What defines an operand, if it is one of these operations."""
        inst = self.defs.get(text)
        return inst if inst is not None and inst.op in ops else None

    # Instructions.

    def arithmetic(self, inst: Inst) -> None:
        if inst.op not in BINARY:
            raise AssertionError(f"LLVM instruction {inst.op}")
        if self.odd(inst):
            return
        a, b = self.args(inst)
        type = kind(inst.type)
        if inst.type == "i1" and inst.op in ("add", "sub"):
            op = "xor"
        else:
            op = BINARY[inst.op]
        if inst.op in SIGNED_OPS:
            type = SIGNED_TYPES[type]
        if inst.op == "ashr":
            b = self.unbounded(inst, b)
        new = Bin(op, self.reg(inst), a, b, type)
        if not self.divided(new):
            self.emit(new)

    def divided(self, instr: Bin) -> bool:
        """Whether the instruction is a division by a constant; it is emitted as other operations then."""
        if instr.op not in ("div", "rem") or instr.type in ir.FLOAT or not isinstance(instr.b, Const):
            return False
        return self.by_constant(instr.op, instr.dst, instr.a, int(instr.b.value), instr.type or instr.a.type)

    def unbounded(self, inst: Inst, b: Value) -> Value:
        """The amount of a shift without its bound: beyond the width the machine shifts in what is wanted."""
        amount = inst.args[1]
        cast = self.definition(amount, "zext", "trunc")
        bounded = self.definition(cast.args[0] if cast else amount, "call")
        if bounded is not None and bounded.detail.startswith("llvm.umin"):
            x, most = bounded.args
            if not most.startswith("%") and int(most) == int(inst.type[1:]) - 1:
                return self.value(x, bounded.types[0])
        return b

    def do_fneg(self, inst: Inst) -> None:
        self.emit(Un("neg", self.reg(inst), self.args(inst)[0], kind(inst.type)))

    def do_freeze(self, inst: Inst) -> None:
        self.emit(Copy(self.reg(inst), self.value(inst.args[0], inst.type)))

    def do_icmp(self, inst: Inst) -> None:
        if self.odd(inst):
            return
        a, b = self.args(inst)
        type, test = kind(inst.type), inst.detail
        if test not in ("eq", "ne"):
            if test[0] == "s":
                type = SIGNED_TYPES[type]
            test = test[1:]
        self.emit(Bin(test, self.reg(inst), a, b, type))

    def do_fcmp(self, inst: Inst) -> None:
        a, b = self.args(inst)
        dst, type, test = self.reg(inst), kind(inst.type), inst.detail
        if test in ORDERED:
            self.emit(Bin(ORDERED[test], dst, a, b, type))
        elif test in UNORDERED:
            ordered = self.new("bool")
            self.emit(Bin(UNORDERED[test], ordered, a, b, type))
            self.emit(Un("lnot", dst, ordered))
        elif test in ("one", "ueq"):
            less, more = self.new("bool"), self.new("bool")
            either = dst if test == "one" else self.new("bool")
            self.emit(Bin("lt", less, a, b, type))
            self.emit(Bin("gt", more, a, b, type))
            self.emit(Bin("or", either, less, more, "bool"))
            if test == "ueq":
                self.emit(Un("lnot", dst, either))
        elif test in ("ord", "uno"):
            op, join = ("eq", "and") if test == "ord" else ("ne", "or")
            tests = []
            for value in (a, b):
                if isinstance(value, Reg):
                    tests.append(self.new("bool"))
                    self.emit(Bin(op, tests[-1], value, value, type))
            if len(tests) == 2:
                self.emit(Bin(join, dst, tests[0], tests[1], "bool"))
            else:
                self.emit(Copy(dst, tests[0]))
        else:
            self.emit(Copy(dst, Const("bool", int(test == "true"))))

    def do_select(self, inst: Inst) -> None:
        cond, a, b = self.args(inst)
        dst = self.reg(inst)
        if self.shift_select(inst, dst):
            return
        if inst.type == "i1":
            if isinstance(b, Const) and not b.value:
                self.emit(Bin("and", dst, cond, a, "bool"))
                return
            if isinstance(a, Const) and a.value:
                self.emit(Bin("or", dst, cond, b, "bool"))
                return
        self.emit(Select(dst, cond, a, b))

    def shift_select(self, inst: Inst, dst: Reg) -> bool:
        """A shift that gives 0 from the width on: the machine's shift does."""
        test = self.definition(inst.args[0], "icmp")
        if test is None or test.args[1].startswith("%"):
            return False
        shifted, other = inst.args[1:]
        bound = int(test.args[1]) if test.args[1].lstrip("-").isdigit() else -1
        if test.detail == "ugt":
            shifted, other, bound = other, shifted, bound + 1
        elif test.detail != "ult":
            return False
        shift = self.definition(shifted, "shl", "lshr")
        if shift is None or other != "0" or bound != int(inst.type[1:]):
            return False
        amount = shift.args[1]
        cast = self.definition(amount, "zext", "trunc")
        if test.args[0] not in (amount, cast.args[0] if cast else None):
            return False
        value = self.value(shift.args[0], shift.type)
        by = self.value(test.args[0], test.type)
        self.emit(Bin(BINARY[shift.op], dst, value, by, kind(inst.type)))
        return True

    def cast(self, inst: Inst) -> None:
        if self.odd(inst):
            return
        (a,) = self.args(inst)
        have, dst = kind(inst.types[0]), self.reg(inst)
        if inst.op in ("sext", "sitofp"):
            if have == "bool":
                wide = dst if inst.op == "sext" else self.new("i32")
                self.emit(Select(wide, a, Const(wide.type, -1), Const(wide.type, 0)))
                if inst.op == "sitofp":
                    self.emit(Convert(dst, wide, "i32"))
                return
            have = SIGNED_TYPES[have]
        if inst.op == "trunc" and inst.type == "i16" and all(takes_half(*use) for use in self.uses.get(inst.name, ())):
            self.emit(Copy(dst, a))
            return
        if inst.op == "trunc" and inst.type == "i1":
            low = self.new("u8")
            self.emit(Convert(low, a, have))
            self.emit(Bin("and", dst, low, Const("u8", 1), "u8"))
            return
        self.emit(Convert(dst, a, have))

    do_zext = do_sext = do_trunc = do_fptrunc = do_fpext = do_sitofp = do_uitofp = cast
    do_ptrtoint = do_ptrtoaddr = do_inttoptr = cast

    def do_bitcast(self, inst: Inst) -> None:
        self.emit(Bitcast(self.reg(inst), self.args(inst)[0]))

    # Memory.

    def do_getelementptr(self, inst: Inst) -> None:
        if not self.is_shared(inst):
            self.emit(Copy(self.reg(inst), self.address(inst)))
        else:
            base = self.new("ptr")
            self.emit(Copy(base, self.value(inst.args[0], "ptr")))
            if all(self.accesses_beside(inst, use) for use, _ in self.uses[inst.name]):
                self.waiting[inst.name] = base
            else:
                self.emit(Copy(self.reg(inst), self.address(inst, base)))

    def accesses_beside(self, inst: Inst, use: Inst) -> bool:
        return use.op in ("load", "store") and self.block_of[id(use)] == self.block_of[id(inst)]

    def is_shared(self, inst: Inst) -> bool:
        """Whether it is the address of an element of a global that several accesses use: it is computed once."""
        if len(inst.args) != 2 or not inst.args[1].startswith("%") or inst.args[0].startswith("%"):
            return False
        return sum(use.op in ("load", "store") for use, _ in self.uses.get(inst.name, ())) > 1

    def address(self, inst: Inst, base: Value | None = None) -> Value:
        """Base + sum of index * stride."""
        total = base or self.value(inst.args[0], "ptr")
        for text, type, stride in zip(inst.args[1:], inst.types[1:], strides(inst.detail), strict=False):
            index = self.value(text, type)
            if isinstance(index, Const):
                total = self.plus(total, Const("ptr", int(index.value) * stride & 0xFFFF))
                continue
            if BITS_OF[type] != 16:
                short = self.new("u16")
                self.emit(Convert(short, index, SIGNED_TYPES[kind(type)] if BITS_OF[type] < 16 else kind(type)))
                index = short
            if stride != 1:
                scaled = self.new("u16")
                shift = stride.bit_length() - 1
                if stride == 1 << shift:
                    self.emit(Bin("shl", scaled, index, Const("u16", shift), "u16"))
                else:
                    self.emit(Bin("mul", scaled, index, Const("u16", stride), "u16"))
                index = scaled
            total = self.plus(total, index)
        return total

    def plus(self, a: Value, b: Value) -> Value:
        if isinstance(b, Const) and not isinstance(a, Reg):
            return moved(a, int(b.value))
        if isinstance(b, Const) and int(b.value) == 0:
            return a
        reg = self.new("ptr")
        self.emit(Bin("add", reg, a, b, "ptr"))
        return reg

    def pointer(self, text: str) -> tuple[Value, int]:
        """Base and offset of a pointer that memory is accessed through: constant parts of the address stay out of
        registers, wherever it was computed."""
        offset = 0
        while (inst := self.definition(text, "getelementptr")) is not None:
            scales = strides(inst.detail)
            if len(inst.args) != 2:
                break
            if inst.args[1].startswith("%"):
                if inst.args[0].startswith("%"):
                    break
                if self.is_shared(inst):
                    if text in self.waiting:
                        self.emit(Copy(self.reg(inst), self.address(inst, self.waiting.pop(text))))
                    break
                return self.address(inst), offset  # an operand of the access, for it is computed beside it
            offset += int(inst.args[1]) * scales[0]
            text = inst.args[0]
        base = self.value(text, "ptr")
        if not isinstance(base, Reg):
            return moved(base, offset), 0
        return base, offset & 0xFFFF if offset >= 0 else offset

    def do_load(self, inst: Inst) -> None:
        base, offset = self.pointer(inst.args[0])
        self.emit(ir.Load(self.reg(inst), base, offset))

    def do_store(self, inst: Inst) -> None:
        value = self.value(inst.args[0], inst.type)
        if isinstance(value, Const | Addr) and value.type != kind(inst.type):
            held = self.new(kind(inst.type))
            self.emit(Copy(held, value))
            value = held
        base, offset = self.pointer(inst.args[1])
        self.emit(ir.Store(base, value, offset))

    def scale(self, inst: Inst, size: int) -> None:
        """An index times the bytes of an element."""
        (index,) = self.args(inst)
        shift = size.bit_length() - 1
        if size == 1 << shift:
            self.emit(Bin("shl", self.reg(inst), index, Const("u16", shift), "u16"))
        else:
            self.emit(Bin("mul", self.reg(inst), index, Const("u16", size), "u16"))

    # Calls.

    def do_call(self, inst: Inst) -> None:
        name = inst.detail
        if name.startswith("op."):
            self.operation(inst)
        elif name.startswith("scale."):
            self.scale(inst, int(name.partition(".")[2]))
        elif name.startswith("f."):
            parts = name.split(".", 2)
            function = self.made.functions[int(parts[1])].name + (f".{parts[2]}" if len(parts) > 2 else "")
            dst = None if inst.type == "void" else self.named(inst.name, inst.type) if inst.name else None
            self.emit(ir.Call(dst, function, self.args(inst)))
        elif not name.startswith(SKIPPED):
            self.intrinsic(inst)

    def operation(self, inst: Inst) -> None:
        """An opaque instruction with the operands that LLVM has found."""
        template = self.made.operations[int(inst.detail.split(".")[1])]
        given = dict(zip(operands(template), self.args(inst), strict=False))  # addresses of its memory may follow
        results: list[Reg] = []
        if inst.name and inst.type.startswith("{"):
            results = [Reg(kind(type), "") for type in split(inst.type.strip("{} "))]
            self.parts[inst.name] = results
        new: Instr = object.__new__(type(template))
        for name, value in vars(template).items():
            if name in ("dst", "dst2", "result") and type(value) is Reg:
                if results:
                    value = results.pop(0)
                else:
                    value = self.named(inst.name, inst.type) if inst.name else Reg(value.type)
            else:
                value = rename(value, lambda reg: given[reg])
            setattr(new, name, value)
        if isinstance(new, Bin | Un | Convert) and isinstance(template, Bin | Un | Convert):
            new.type = template.type or template.a.type
        if isinstance(new, Bin) and self.divided(new):
            return
        if isinstance(new, Convert) and isinstance(template, Convert):
            self.converted(new, template.dst.type)
        else:
            self.emit(new)

    def converted(self, new: Convert, want: str) -> None:
        """A conversion whose result LLVM has as an integer though it is a 16-bit float."""
        dst = new.dst
        if dst.type == want:
            self.emit(new)
            return
        new.dst = Reg(want)
        self.emit(new)
        self.emit(Bitcast(dst, new.dst))

    def do_extractvalue(self, inst: Inst) -> None:
        reg = self.parts[inst.args[0]][int(inst.detail)]
        types = split(inst.types[0].strip("{} "))
        self.emit(Copy(self.named(inst.name, types[int(inst.detail)]), reg))

    # Ends of blocks.

    def do_br(self, inst: Inst) -> None:
        if len(inst.args) == 1:
            self.emit(Jump(self.numbers[inst.args[0]]))
            return
        then, other = (self.numbers[name] for name in inst.args[1:])
        test = self.definition(inst.args[0], "icmp")
        if test is not None and test.args[1] in ("0", "null") and test.detail in ("eq", "ne") and self.whole(test):
            if test.detail == "eq":
                then, other = other, then
            self.emit(Branch(self.value(test.args[0], test.type), then, other))
            return
        self.emit(Branch(self.value(inst.args[0], "i1"), then, other))

    def whole(self, test: Inst) -> bool:
        """Whether a register holds what is tested, in a form that a branch can test."""
        return test.type in ("i8", "i16", "i32", "ptr")

    def do_switch(self, inst: Inst) -> None:
        value = self.value(inst.args[0], inst.type)
        cases = [
            (constant(n, inst.type), self.numbers[to]) for n, to in zip(inst.args[2::2], inst.args[3::2], strict=True)
        ]
        self.emit(Switch(value, self.numbers[inst.args[1]], cases, kind(inst.type)))

    def do_ret(self, inst: Inst) -> None:
        self.emit(ir.Return(self.value(inst.args[0], inst.type) if inst.args else None))

    def do_unreachable(self, inst: Inst) -> None:
        self.emit(ir.Trap("this place cannot be reached"))


BITS_OF = {"i1": 1, "i8": 8, "i16": 16, "i32": 32, "i64": 64, "ptr": 16}


class Switch(Instr):
    """A block's end with several targets; phis.py makes branches of it."""

    def __init__(self, value: Value, default: int, cases: list[tuple[Const, int]], type: str):
        self.at = None
        self.value, self.default, self.cases, self.type = value, default, cases, type


def takes_half(inst: Inst, place: int) -> bool:
    """Whether an operation takes only the lower 16 bits of a register at this place of its operands."""
    if inst.op == "icmp" and inst.args[1] == "0" and inst.detail in ("eq", "ne"):
        return False  # a branch tests the whole register
    if inst.op in ("add", "sub", "mul", "icmp"):
        return inst.type == "i16"
    if inst.op in ("shl", "lshr", "ashr"):
        return inst.type == "i16" and place == 0
    return (inst.op == "getelementptr" and place > 0) or (inst.op == "store" and place == 0 and not inst.volatile)


def kind(type: str) -> str:
    """The type of the representation for one of LLVM; integers of other widths are kept in the next larger one."""
    found = TYPES.get(type)
    if found is None:
        bits = int(type[1:]) if re.fullmatch(r"i\d+", type) else 99
        if bits > 64:
            raise AssertionError(f"LLVM type {type}")
        return container(bits)
    return found


def constant(text: str, type: str) -> Const:
    if type in ("float", "half"):
        return float_constant(text, type)
    if text in ("undef", "poison", "null", "false", "zeroinitializer", "none"):
        return Const(kind(type), 0)
    if text == "true":
        return Const("bool", 1)
    value = int(text)
    if type not in TYPES:
        value &= (1 << int(type[1:])) - 1
    return Const(kind(type), value)


def float_constant(text: str, type: str) -> Const:
    """A float; one that is no number as the bits of an integer."""
    if text.startswith("0xH"):
        bits = int(text[3:], 16)
        value = struct.unpack("<e", struct.pack("<H", bits))[0]
        return Const("f16", value) if value == value else Const("u16", bits)
    if text in ("undef", "poison", "zeroinitializer"):
        return Const(TYPES[type], 0.0)
    if text.startswith("0x"):
        (value,) = struct.unpack("<d", struct.pack("<Q", int(text, 16)))
        if value != value:
            double = int(text, 16)
            return Const("u32", (double >> 63) << 31 | 0x7F800000 | (double >> 29 & 0x7FFFFF))
        return Const(TYPES[type], value)
    return Const(TYPES[type], float(text))


def strides(type: str) -> list[int]:
    """Bytes that each index of a getelementptr over a type stands for."""
    found = []
    while True:
        found.append(size(type))
        m = re.match(r"\[\d+ x (.*)\]$", type)
        if m is None:
            return found
        type = m[1]


def size(type: str) -> int:
    m = re.match(r"\[(\d+) x (.*)\]$", type)
    if m is not None:
        return int(m[1]) * size(m[2])
    return {"i1": 1, "i8": 1, "half": 2, "i16": 2, "ptr": 2, "i32": 4, "float": 4, "i64": 8}[type]


def moved(base: Value, bytes: int) -> Value:
    if isinstance(base, Addr):
        return Addr(base.symbol, base.offset + bytes)
    assert isinstance(base, Const)
    return Const("ptr", int(base.value) + bytes & 0xFFFF)
