"""The intermediate representation as the text of an LLVM module.

What LLVM knows becomes LLVM instructions: integers, floats, memory, control flow, calls.  What only this machine knows
(descriptors, DSRs, tasks, registers of the router) becomes a call of a declaration `@op.N`, where N is the place of the
instruction in `Module.operations`.  Its arguments are the registers and values that it reads, then the memory that it
uses.  LLVM may move, copy or delete such a call as its attributes allow; raising.py puts the instruction back.

* Virtual registers are variables: each is an alloca, which SROA turns into SSA values.  One that is read before it is
  assigned is zero.
* bool is i1 in registers and a byte in memory; `ptr` is a pointer of 16 bits.
* Operations that LLVM calls undefined and the machine does not are written so that they are defined: a shift by the
  width or more, a division whose divisor may be 0, a float to an integer.
* Floats are strict; 16-bit floats of a format that LLVM lacks (cb16) are integers, with all their operations opaque.
* An index is scaled to bytes by a call of `@scale.N`, N the size of an element; see scale().
* A location's line is the place of the source position in `Module.places`.
"""

from __future__ import annotations

from dataclasses import field

from ...records import dataclass
from ..ir import ir
from ..ir.constants import bits_of
from ..ir.ir import BITS, COMPARE, FLOAT, SIGNED, Addr, At, Const, Function, Instr, Reg, Unit, Value
from ..ir.loops import natural_loops
from ..ir.registers import read, targets, written

LAYOUT = "e-p:16:16-i16:16-i32:16-i64:16-f32:16-n16:32-S16"
TYPES = {
    "bool": "i1", "i8": "i8", "u8": "i8", "i16": "i16", "u16": "i16", "i32": "i32", "u32": "i32", "i64": "i64",
    "u64": "i64", "f16": "half", "f32": "float", "ptr": "ptr",
}  # fmt: skip
FLOAT_OPS = {"add": "fadd", "sub": "fsub", "mul": "fmul", "div": "fdiv"}
PREDICATES = {"eq": "oeq", "ne": "une", "lt": "olt", "le": "ole", "gt": "ogt", "ge": "oge"}
PURE = "memory(none) willreturn nounwind"
PURE_SYSTEM = ("coord",)  # rows of tables/isa.def with the same result whenever they are executed


@dataclass
class Module:
    """A unit as text.  operations: instruction of each `@op.N`.  places: source positions by line.  functions, symbols:
    names by the number in `@f.N`, `@g.N`."""

    text: str = ""
    operations: list[Instr] = field(default_factory=list)
    places: list[At | None] = field(default_factory=lambda: [None])
    functions: list[Function] = field(default_factory=list)
    symbols: list[str] = field(default_factory=list)


def lower(unit: Unit, roots: set[str], fp16: str) -> Module:
    """The module of a unit.  roots: functions that are entered from outside."""
    return _Lowering(unit, roots, fp16).module()


_SIMPLE = (ir.Bin, ir.Un, ir.Convert, ir.Bitcast, ir.Copy, ir.Load)  # set their result once all operands are read


def _in_memory(function: Function) -> dict[Reg, None]:
    """Registers that need a place in memory, which LLVM turns into values: all but those that one instruction sets and
    only later ones of its block read.  There are many of these; as values they cost no time."""
    regs: dict[Reg, None] = dict.fromkeys(function.params)
    values: dict[Reg, None] = {}
    for block in function.blocks:
        here: dict[Reg, None] = {}
        for instr in block.code:
            for reg in read(instr):
                if reg not in here:
                    regs[reg] = None
            for reg in written(instr):
                if reg in values or reg in regs or not isinstance(instr, _SIMPLE):
                    regs[reg] = None
                else:
                    here[reg] = values[reg] = None
    return regs


def _kept_loops(function: Function) -> set[tuple[int, int]]:
    """The jumps back of loops with conditions in them, which are not unrolled: from which block to which."""
    ends = {block.id: block.code[-1] for block in function.blocks}
    found = set()
    for loop in natural_loops({block: targets(end) for block, end in ends.items()}, function.blocks[0].id):
        if sum(isinstance(ends[block], ir.Branch) for block in loop.blocks) > 1:
            found |= {(block, loop.head) for block in loop.blocks if loop.head in targets(ends[block])}
    return found


class _Lowering:
    def __init__(self, unit: Unit, roots: set[str], fp16: str):
        self.unit, self.fp16 = unit, fp16
        self.roots = roots
        self.made = Module(functions=list(unit.functions))
        self.numbers = {function.name: n for n, function in enumerate(unit.functions)}
        self.globals: dict[str, int] = {}
        self.sizes = {g.name: g.size for g in unit.globals}
        self.places: dict[At | None, int] = {None: 0}
        self.declared: list[str] = []
        self.intrinsics: set[str] = set()
        self.types = TYPES if fp16 == "f16" else TYPES | {"f16": "i16"}
        self.pure: dict[str, int] = {}
        self.out: list[str] = []
        self.count = 0
        self.slots: dict[Reg, str] = {}  # of the function's registers; the others are in `values` once they are set
        self.values: dict[Reg, str] = {}

    def module(self) -> Module:
        bodies = [self.function(n, function) for n, function in enumerate(self.unit.functions)]
        lines = [f'target datalayout = "{LAYOUT}"', *self.declared, *sorted(self.intrinsics)]
        for symbol, n in self.globals.items():
            lines.append(f"@g.{n} = external global [{max(self.sizes.get(symbol, 0), 1)} x i8], align 2")
        lines += bodies
        lines += [
            'attributes #0 = { nounwind "no-jump-tables"="true" "no-builtins" }',
            f"attributes #1 = {{ {PURE} }}",
            "attributes #2 = { nounwind }",
            "attributes #3 = { nounwind noreturn }",
            "attributes #4 = { nounwind memory(argmem: readwrite, inaccessiblemem: readwrite) }",
            "!llvm.module.flags = !{!0}",
            "!llvm.dbg.cu = !{!1}",
            '!0 = !{i32 2, !"Debug Info Version", i32 3}',
            "!1 = distinct !DICompileUnit(language: DW_LANG_C99, file: !2, emissionKind: LineTablesOnly)",
            '!2 = !DIFile(filename: "unit", directory: "")',
            "!3 = !DISubroutineType(types: !4)",
            "!4 = !{}",
            "!5 = distinct !{!5, !6}",
            '!6 = !{!"llvm.loop.unroll.disable"}',
        ]
        base = 7
        for n in range(len(bodies)):
            lines.append(
                f'!{base + n} = distinct !DISubprogram(name: "f.{n}", scope: !2, file: !2, line: 1, type: !3, '
                "spFlags: DISPFlagDefinition, unit: !1)"
            )
        self.made.symbols = list(self.globals)
        self.made.text = "\n".join(lines) + "\n"
        return self.made

    # Functions.

    def function(self, n: int, function: Function) -> str:
        self.out, self.count, self.scope = [], 0, 7 + n
        self.values, self.slots = {}, {reg: f"%r{i}" for i, reg in enumerate(_in_memory(function))}
        linkage = "" if function.name in self.roots else "internal "
        params = ", ".join(f"{self.type(p.type)} %a{i}" for i, p in enumerate(function.params))
        result = "void" if function.result is None else self.type(function.result)
        head = f"define {linkage}{result} @f.{n}({params}) #0 !dbg !{self.scope} {{"
        self.at = None
        self.result = function.result
        self.line("entry:", "")
        for reg, slot in self.slots.items():
            self.line(f"  {slot} = alloca {self.type(reg.type)}", "")
        params_of = {p: f"%a{i}" for i, p in enumerate(function.params)}
        for reg, slot in self.slots.items():
            type = self.type(reg.type)
            self.line(f"  store {type} {params_of.get(reg) or _zero(type)}, ptr {slot}", "")
        self.line(f"  br label %b{function.blocks[0].id}", "")
        self.kept = _kept_loops(function)
        for block in function.blocks:
            self.block = block.id
            self.line(f"b{block.id}:", "")
            for instr in block.code:
                self.at = instr.at
                getattr(self, "do_" + type_name(instr), self.opaque)(instr)
                if isinstance(instr, ir.TERMINATORS):
                    break
        return "\n".join([head, *self.out, "}"])

    def line(self, text: str, debug: str | None = None) -> None:
        self.out.append(text + (self.location() if debug is None else debug))

    def location(self) -> str:
        at = self.at
        if at not in self.places:
            self.places[at] = len(self.made.places)
            self.made.places.append(at)
        return f", !dbg !DILocation(line: {self.places[at]}, scope: !{self.scope})"

    def temporary(self) -> str:
        self.count += 1
        return f"%t{self.count}"

    def put(self, text: str) -> str:
        """Emits an instruction with a result; its name."""
        name = self.temporary()
        self.line(f"  {name} = {text}")
        return name

    def set(self, reg: Reg, value: str) -> None:
        if reg in self.slots:
            self.line(f"  store {self.type(reg.type)} {value}, ptr {self.slots[reg]}")
        else:
            self.values[reg] = value

    def type(self, name: str) -> str:
        return self.types[name]

    # Values.

    def value(self, value: Value) -> str:
        """A value as an operand, of the LLVM type of its own type."""
        if isinstance(value, Reg):
            known = self.values.get(value)
            return known if known is not None else self.put(f"load {self.type(value.type)}, ptr {self.slots[value]}")
        if isinstance(value, Addr):
            return self.address(value.symbol, value.offset)
        return self.constant(value)

    def address(self, symbol: str, offset: int) -> str:
        n = self.globals.setdefault(symbol, len(self.globals))
        return f"getelementptr (i8, ptr @g.{n}, i16 {_i16(offset)})" if offset else f"@g.{n}"

    def constant(self, value: Const) -> str:
        type = self.type(value.type)
        if type == "float":
            bits = bits_of(value)
            return f"bitcast (i32 {bits} to float)"
        if type == "half":
            return f"0xH{bits_of(value):04X}"
        if value.type in FLOAT:
            return str(bits_of(value, self.fp16))
        if type == "i1":
            return "true" if value.value else "false"
        number = int(value.value) & (1 << BITS[value.type]) - 1
        if type == "ptr":
            return f"inttoptr (i16 {number} to ptr)" if number else "null"
        return str(number)

    def integer(self, value: Value) -> tuple[str, str]:
        """Type and operand of an integer, with a pointer as its address."""
        text = self.value(value)
        if value.type != "ptr":
            return self.type(value.type), text
        if isinstance(value, Const):
            return "i16", str(int(value.value) & 0xFFFF)
        if isinstance(value, Addr):
            return "i16", f"ptrtoint (ptr {text} to i16)"
        return "i16", self.put(f"ptrtoint ptr {text} to i16")

    def resized(self, type: str, text: str, to: str, signed: bool = False) -> str:
        have, want = int(type[1:]), int(to[1:])
        if have == want:
            return text
        return self.put(f"{'trunc' if want < have else 'sext' if signed else 'zext'} {type} {text} to {to}")

    def set_integer(self, reg: Reg, type: str, text: str) -> None:
        """Assigns an integer of the register's width; a pointer from its address."""
        self.set(reg, self.put(f"inttoptr {type} {text} to ptr") if reg.type == "ptr" else text)

    # Instructions.

    def do_copy(self, instr: ir.Copy) -> None:
        if self.type(instr.dst.type) == self.type(instr.a.type):
            self.set(instr.dst, self.value(instr.a))
        else:
            type, text = self.integer(instr.a)
            self.set_integer(instr.dst, type, self.resized(type, text, f"i{BITS[instr.dst.type]}"))

    def do_bitcast(self, instr: ir.Bitcast) -> None:
        have, want = self.type(instr.a.type), self.type(instr.dst.type)
        if have == want or "ptr" in (have, want) or "i1" in (have, want):
            if instr.dst.type == "bool" and have != want:
                self.as_bool(instr.dst, instr.a)
            else:
                self.do_copy(ir.Copy(instr.dst, instr.a))
        else:
            self.set(instr.dst, self.put(f"bitcast {have} {self.value(instr.a)} to {want}"))

    def do_bin(self, instr: ir.Bin) -> None:
        a, b, dst, op = instr.a, instr.b, instr.dst, instr.op
        type = self.type(instr.type or a.type)
        if op in COMPARE:
            self.compare(instr)
        elif (instr.type or a.type) in FLOAT:
            if type == "i16":
                self.opaque(instr)
            else:
                self.set(dst, self.put(f"{FLOAT_OPS[op]} {type} {self.value(a)}, {self.value(b)}"))
        elif op in ("shl", "mul") and dst.type == "ptr" and isinstance(b, Const):
            self.scale(instr, int(b.value) if op == "mul" else 1 << int(b.value))
        elif op in ("shl", "shr"):
            self.shift(instr)
        elif op in ("div", "rem"):
            self.divide(instr)
        elif dst.type == "ptr" and op == "add":
            self.offset(dst, a, b)
        else:
            type, left = self.integer(a)
            _, right = self.integer(b)
            self.set_integer(dst, type, self.put(f"{op} {type} {left}, {right}"))

    def offset(self, dst: Reg, a: Value, b: Value) -> None:
        """An address plus bytes.  The base is the one of a global; of two registers it is the second (an index comes
        first)."""
        if isinstance(b, Const) or isinstance(a, Addr):
            a, b = b, a
        type, index = self.integer(a)
        self.set(dst, self.put(f"getelementptr i8, ptr {self.value(b)}, {type} {index}"))

    def compare(self, instr: ir.Bin) -> None:
        type = instr.type or instr.a.type
        if type in FLOAT:
            if self.type(type) == "i16":
                self.opaque(instr)
                return
            kind = f"fcmp {PREDICATES[instr.op]} {self.type(type)}"
            self.set(instr.dst, self.put(f"{kind} {self.value(instr.a)}, {self.value(instr.b)}"))
            return
        llvm, a = self.integer(instr.a)
        _, b = self.integer(instr.b)
        sign = "" if instr.op in ("eq", "ne") else "s" if type in SIGNED else "u"
        self.set(instr.dst, self.put(f"icmp {sign}{instr.op} {llvm} {a}, {b}"))

    def scale(self, instr: ir.Bin, size: int) -> None:
        """An index in bytes, as a call that LLVM moves and shares but does not look into.  Else it would take the index
        apart: invariant parts into the base, constants into an offset.  Published programs compute the address of every
        element from its whole index."""
        self.intrinsics.add(f"declare i16 @scale.{size}(i16) #1")
        _, index = self.integer(instr.a)
        self.set_integer(instr.dst, "i16", self.put(f"call i16 @scale.{size}(i16 {index})"))

    def shift(self, instr: ir.Bin) -> None:
        signed = (instr.type or instr.a.type) in SIGNED
        arithmetic = instr.op == "shr" and signed
        op = "shl" if instr.op == "shl" else "ashr" if arithmetic else "lshr"
        type, a = self.integer(instr.a)
        width = int(type[1:])
        if isinstance(instr.b, Const):
            amount = int(instr.b.value) & (1 << BITS[instr.b.type]) - 1
            if amount >= width and not arithmetic:
                done = "0"
            else:
                done = self.put(f"{op} {type} {a}, {min(amount, width - 1)}")
            self.set_integer(instr.dst, type, done)
            return
        wide, b = self.integer(instr.b)
        if arithmetic:
            bounded = self.intrinsic("umin", wide, b, str(min(width - 1, (1 << int(wide[1:])) - 1)))
            done = self.put(f"ashr {type} {a}, {self.resized(wide, bounded, type)}")
        elif 1 << int(wide[1:]) <= width:
            done = self.put(f"{op} {type} {a}, {self.resized(wide, b, type)}")
        else:
            shifted = self.put(f"{op} {type} {a}, {self.resized(wide, b, type)}")
            fits = self.put(f"icmp ult {wide} {b}, {width}")
            done = self.put(f"select i1 {fits}, {type} {shifted}, {type} 0")
        self.set_integer(instr.dst, type, done)

    def intrinsic(self, name: str, type: str, a: str, b: str) -> str:
        self.intrinsics.add(f"declare {type} @llvm.{name}.{type}({type}, {type})")
        return self.put(f"call {type} @llvm.{name}.{type}({type} {a}, {type} {b})")

    def divide(self, instr: ir.Bin) -> None:
        kind = instr.type or instr.a.type
        signed = kind in SIGNED
        bits = BITS[kind]
        divisor = int(instr.b.value) & (1 << bits) - 1 if isinstance(instr.b, Const) else 0
        if divisor == 0 or (signed and divisor == (1 << bits) - 1):
            self.opaque(instr)
            return
        type, a = self.integer(instr.a)
        op = ("s" if signed else "u") + instr.op
        self.set_integer(instr.dst, type, self.put(f"{op} {type} {a}, {divisor}"))

    def do_un(self, instr: ir.Un) -> None:
        op, kind = instr.op, instr.type or instr.a.type
        type = self.type(kind)
        if op == "sqrt" or (kind in FLOAT and type == "i16"):
            self.opaque(instr)
            return
        if op == "abs" and kind in FLOAT:
            self.intrinsics.add(f"declare {type} @llvm.fabs.{_suffix(type)}({type})")
            done = f"call {type} @llvm.fabs.{_suffix(type)}({type} {self.value(instr.a)})"
        elif op == "abs":
            self.intrinsics.add(f"declare {type} @llvm.abs.{type}({type}, i1)")
            done = f"call {type} @llvm.abs.{type}({type} {self.value(instr.a)}, i1 false)"
        elif op == "neg" and kind in FLOAT:
            done = f"fneg {type} {self.value(instr.a)}"
        elif op == "lnot":
            done = f"xor i1 {self.value(instr.a)}, true"
        else:
            type, a = self.integer(instr.a)
            done = f"sub {type} 0, {a}" if op == "neg" else f"xor {type} {a}, -1"
            self.set_integer(instr.dst, type, self.put(done))
            return
        self.set(instr.dst, self.put(done))

    def as_bool(self, dst: Reg, a: Value) -> None:
        if a.type in FLOAT:
            type = self.type(a.type)
            self.set(dst, self.put(f"fcmp une {type} {self.value(a)}, 0.0"))
        else:
            type, text = self.integer(a)
            self.set(dst, self.put(f"icmp ne {type} {text}, 0"))

    def do_convert(self, instr: ir.Convert) -> None:
        have, want, a = instr.type or instr.a.type, instr.dst.type, instr.a
        if self.fp16 != "f16" and "f16" in (have, want):
            self.opaque(instr)
        elif want == "bool" and have != "bool":
            self.as_bool(instr.dst, a)
        elif have in FLOAT and want in FLOAT:
            op = "fpext" if BITS[want] > BITS[have] else "fptrunc"
            if have == want:
                self.set(instr.dst, self.value(a))
            else:
                self.set(instr.dst, self.put(f"{op} {self.type(have)} {self.value(a)} to {self.type(want)}"))
        elif have in FLOAT or want == "f16" or (want in FLOAT and BITS[have] == 64):
            self.opaque(instr)
        elif want in FLOAT:
            type, text = self.integer(a)
            self.set(instr.dst, self.put(f"{'si' if have in SIGNED else 'ui'}tofp {type} {text} to float"))
        elif have == "ptr" and want == "ptr":
            self.set(instr.dst, self.value(a))
        else:
            type, text = self.integer(a)
            to = "i1" if want == "bool" else f"i{BITS[want]}"
            self.set_integer(instr.dst, to, self.resized(type, text, to, have in SIGNED))

    def do_select(self, instr: ir.Select) -> None:
        cond, a, b = self.test(instr.cond), self.value(instr.a), self.value(instr.b)
        type = self.type(instr.dst.type)
        self.set(instr.dst, self.put(f"select i1 {cond}, {type} {a}, {type} {b}"))

    def test(self, cond: Value) -> str:
        if self.type(cond.type) == "i1":
            return self.value(cond)
        type, text = self.integer(cond)
        return self.put(f"icmp ne {type} {text}, 0")

    def place(self, addr: Value, offset: int) -> tuple[str, str]:
        """A pointer, and "volatile " if it is a fixed address: a register of the router may lie there."""
        if isinstance(addr, Addr):
            return self.address(addr.symbol, addr.offset + offset), ""
        if isinstance(addr, Const):
            return self.constant(Const("ptr", int(addr.value) + offset)), "volatile "
        pointer = self.value(addr)
        if addr.type != "ptr":
            type, text = self.integer(addr)
            pointer = self.put(f"inttoptr i16 {self.resized(type, text, 'i16')} to ptr")
        if offset:
            pointer = self.put(f"getelementptr i8, ptr {pointer}, i16 {_i16(offset)}")
        return pointer, ""

    def do_load(self, instr: ir.Load) -> None:
        pointer, volatile = self.place(instr.addr, instr.offset)
        type = self.type(instr.dst.type)
        if type == "i1":
            byte = self.put(f"load {volatile}i8, ptr {pointer}, align 1")
            self.set(instr.dst, self.put(f"icmp ne i8 {byte}, 0"))
            return
        self.set(instr.dst, self.put(f"load {volatile}{type}, ptr {pointer}, align {_align(type)}"))

    def do_store(self, instr: ir.Store) -> None:
        value, type = self.value(instr.value), self.type(instr.value.type)
        pointer, volatile = self.place(instr.addr, instr.offset)
        if type == "i1":
            type, value = "i8", self.put(f"zext i1 {value} to i8")
        self.line(f"  store {volatile}{type} {value}, ptr {pointer}, align {_align(type)}")

    def do_fill(self, instr: ir.Fill) -> None:
        to, _ = self.place(instr.addr, 0)
        if instr.source is None:
            self.intrinsics.add("declare void @llvm.memset.p0.i16(ptr, i8, i16, i1)")
            self.line(f"  call void @llvm.memset.p0.i16(ptr align 2 {to}, i8 0, i16 {instr.size}, i1 false)")
            return
        source, _ = self.place(instr.source, 0)
        self.intrinsics.add("declare void @llvm.memcpy.p0.p0.i16(ptr, ptr, i16, i1)")
        text = f"ptr align 2 {to}, ptr align 2 {source}, i16 {instr.size}, i1 false"
        self.line(f"  call void @llvm.memcpy.p0.p0.i16({text})")

    def do_call(self, instr: ir.Call) -> None:
        callee = self.unit.functions[self.numbers[instr.function]]
        args = ", ".join(f"{self.type(p.type)} {self.value(a)}" for p, a in zip(callee.params, instr.args, strict=True))
        result = "void" if callee.result is None else self.type(callee.result)
        call = f"call {result} @f.{self.numbers[instr.function]}({args})"
        if instr.dst is None:
            self.line(f"  {call}")
        else:
            self.set(instr.dst, self.put(call))

    def do_jump(self, instr: ir.Jump) -> None:
        self.line(f"  br label %b{instr.to}{self.unrolling(instr)}")

    def do_branch(self, instr: ir.Branch) -> None:
        to = f"label %b{instr.then}, label %b{instr.other}"
        self.line(f"  br i1 {self.test(instr.cond)}, {to}{self.unrolling(instr)}")

    def unrolling(self, instr: ir.Jump | ir.Branch) -> str:
        """What marks the jump back of a loop that is not to be unrolled."""
        return ", !llvm.loop !5" if any((self.block, to) in self.kept for to in targets(instr)) else ""

    def do_return(self, instr: ir.Return) -> None:
        if self.result is None:
            self.line("  ret void")
        elif instr.value is None:  # the end of a function that always returns before
            self.line(f"  ret {self.type(self.result)} {_zero(self.type(self.result))}")
        else:
            self.line(f"  ret {self.type(self.result)} {self.value(instr.value)}")

    def do_trap(self, instr: ir.Trap) -> None:
        self.opaque(instr)
        self.line("  unreachable")

    def opaque(self, instr: Instr) -> None:
        """A call of `@op.N`.  Its arguments are the values that operands() lists, its results what the instruction
        assigns."""
        args = [(self.type(v.type), self.value(v)) for v in operands(instr)]
        results = written(instr)
        types = [self.type(reg.type) for reg in results]
        result = "void" if not types else types[0] if len(types) == 1 else f"{{ {', '.join(types)} }}"
        pure = isinstance(instr, ir.Bin | ir.Un | ir.Convert) or (
            isinstance(instr, ir.Sys) and instr.op in PURE_SYSTEM and not instr.args
        )
        bases = memory_of(instr) if isinstance(instr, ir.Vector) else None
        args += [("ptr", self.address(base.symbol, base.offset)) for base in bases or ()]
        group = "#1" if pure else "#3" if isinstance(instr, ir.Trap) else "#2" if bases is None else "#4"
        n = self.number(instr, pure)
        if n == len(self.made.operations):
            self.made.operations.append(instr)
            self.declared.append(f"declare {result} @op.{n}({', '.join(type for type, _ in args)}) {group}")
        call = f"call {result} @op.{n}({', '.join(f'{type} {text}' for type, text in args)})"
        if not results:
            self.line(f"  {call}")
            return
        whole = self.put(call)
        for i, reg in enumerate(results):
            value = whole if len(results) == 1 else self.put(f"extractvalue {result} {whole}, {i}")
            self.set(reg, value)

    def number(self, instr: Instr, pure: bool) -> int:
        """N of an instruction's `@op.N`: pure ones that compute the same share one, so that LLVM sees it."""
        n = len(self.made.operations)
        if not pure:
            return n
        what = [type(instr).__name__, *(getattr(instr, name, None) for name in ("op", "type"))]
        known = {reg: i for i, reg in enumerate(operands(instr))}
        shown = [
            (v.type, known.get(v, v)) for v in (getattr(instr, "a", None), getattr(instr, "b", None)) if v is not None
        ]
        return self.pure.setdefault(repr((what, shown, [reg.type for reg in written(instr)])), n)


def operands(instr: Instr) -> list[Value]:
    """What an opaque instruction reads that LLVM may replace: its registers, each once, in order."""
    return list(dict.fromkeys(read(instr)))


def memory_of(instr: ir.Vector) -> list[Addr] | None:
    """Addresses of the globals that an operation over descriptors works on, beside those in registers that operands()
    lists; None if they are not known.  They are more arguments of the call, that tell LLVM what it does not touch."""
    found: list[Addr] = []
    for operand in (instr.dst, instr.src0, instr.src1):
        base: object = None
        if isinstance(operand, ir.Dsd):
            if operand.kind in ("fabin", "fabout"):
                continue
            base = operand.base
        elif isinstance(operand, ir.DsdValue):
            if operand.kind in ("fabin", "fabout"):
                continue
            base = operand.fields[1]
        elif isinstance(operand, ir.Deref):
            base = operand.addr
        elif operand is None or isinstance(operand, Reg | Const | Addr):
            continue
        if isinstance(base, Addr):
            found.append(base)
        elif not isinstance(base, Reg) or base.type != "ptr":
            return None
    return found


def type_name(instr: Instr) -> str:
    return type(instr).__name__.lower()


def _zero(type: str) -> str:
    return {"ptr": "null", "float": "0.0", "half": "0xH0000", "i1": "false"}.get(type, "0")


def _suffix(type: str) -> str:
    return {"float": "f32", "half": "f16"}.get(type, type)


def _align(type: str) -> int:
    return 1 if type == "i8" else 2


def _i16(value: int) -> int:
    value &= 0xFFFF
    return value - 0x10000 if value >> 15 else value
