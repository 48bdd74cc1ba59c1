"""Random programs of the IR: the generated code does what a plain reading of the IR says.

Covers: wse/csl/ir/ir.py, wse/csl/ir/constants.py, wse/csl/ir/divide.py, wse/csl/ir/registers.py, wse/csl/ir/calls.py,
    wse/csl/llvm/lower.py, wse/csl/llvm/raising.py, wse/csl/llvm/phis.py, wse/csl/codegen/registers.py
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from csl.backend import Builder, Pe
from wse.csl.ir import ir
from wse.csl.ir.constants import wrap
from wse.csl.ir.ir import BITS, Addr, Branch, Call, Const, Convert, Copy, Jump, Reg

TYPES = ("i8", "u8", "i16", "u16", "i32", "u32", "i64", "u64")
OPS = ("add", "sub", "mul", "and", "or", "xor", "shl", "shr", "div", "rem")


def binary(op: str, type: str, a: int, b: int) -> int | None:
    """a op b as the IR says; None where it does not."""
    bits = BITS[type]
    match op:
        case "add":
            return wrap(type, a + b)
        case "sub":
            return wrap(type, a - b)
        case "mul":
            return wrap(type, a * b)
        case "div" | "rem" if b:
            quotient = abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)
            return wrap(type, quotient if op == "div" else a - b * quotient)
        case "and":
            return wrap(type, a & b)
        case "or":
            return wrap(type, a | b)
        case "xor":
            return wrap(type, a ^ b)
        case "shl" if b >= 0:
            return wrap(type, a << b) if b < bits else 0
        case "shr" if b >= 0:
            return wrap(type, a >> b) if b < bits else (-1 if a < 0 else 0)
    compared = {"eq": a == b, "ne": a != b, "lt": a < b, "le": a <= b, "gt": a > b, "ge": a >= b}
    return int(compared[op]) if op in compared else None


class Writer:
    """Draws a function: variables of several types, assignments, branches, loops, calls of functions drawn before."""

    def __init__(self, draw, name: str, callees: list, outputs: int):
        self.draw, self.callees = draw, callees
        params = [Reg(draw(st.sampled_from(TYPES)), f"p{i}") for i in range(draw(st.integers(0, 4)))]
        self.f = Builder(name, params, draw(st.sampled_from(TYPES)) if callees is not None and outputs == 0 else None)
        self.outputs = outputs
        self.vars = list(params)
        for type in TYPES:
            self.vars.append(self.f.var(Const(type, draw(st.integers(-5, 300)))))
        self.budget = draw(st.integers(3, 40))
        self.block(3)
        result = self.f.function.result
        self.function = self.f.done(self.value(result) if result else None)

    def value(self, type: str):
        fitting = [v for v in self.vars if v.type == type]
        if fitting and self.draw(st.booleans()):
            return self.draw(st.sampled_from(fitting))
        return Const(type, self.draw(st.integers(-(1 << 15), 1 << 15)))

    def target(self, type: str) -> Reg:
        return self.draw(st.sampled_from([v for v in self.vars if v.type == type]))

    def block(self, depth: int) -> None:
        while self.budget > 0:
            self.budget -= 1
            kind = self.draw(
                st.sampled_from(
                    ["bin"] * 4 + ["convert", "if", "loop", "call", "store", "load", "load", "select", "end"]
                )
            )
            if kind == "end":
                return
            if kind == "bin":
                self.binary()
            elif kind == "convert":
                source = self.draw(st.sampled_from(self.vars))
                self.f.add(Convert(self.target(self.draw(st.sampled_from(TYPES))), source))
            elif kind == "if" and depth:
                self.branch(depth)
            elif kind == "loop" and depth:
                count = Const("u16", self.draw(st.integers(0, 3)))
                self.f.loop(count, lambda i: self.block(depth - 1))
            elif kind == "call" and self.callees:
                callee = self.draw(st.sampled_from(self.callees))
                self.f.add(Call(self.target(callee.result), callee.name, [self.value(p.type) for p in callee.params]))
            elif kind == "store" and self.outputs:
                value = self.draw(st.sampled_from(self.vars))
                self.f.store(Addr("memory"), value, 8 * self.draw(st.integers(0, 7)))
            elif kind == "load" and self.outputs:
                target = self.target(self.draw(st.sampled_from(TYPES)))
                self.f.add(ir.Load(target, Addr("memory"), self.draw(st.integers(0, 30)) * 2))
            elif kind == "select":
                type = self.draw(st.sampled_from(TYPES))
                self.f.add(ir.Select(self.target(type), self.condition(), self.value(type), self.value(type)))

    def binary(self) -> None:
        op, type = self.draw(st.sampled_from(OPS)), self.draw(st.sampled_from(TYPES))
        if op in ("div", "rem"):
            divisor = self.draw(st.integers(1, 100))
            self.f.add(ir.Bin(op, self.target(type), self.value(type), Const(type, divisor)))
        elif op in ("shl", "shr"):
            count = self.draw(st.integers(0, ir.BITS[type] - 1))
            self.f.add(ir.Bin(op, self.target(type), self.value(type), Const("u16", count)))
        else:
            self.f.add(ir.Bin(op, self.target(type), self.value(type), self.value(type)))

    def condition(self) -> Reg:
        type = self.draw(st.sampled_from(TYPES))
        return self.f.bin(self.draw(st.sampled_from(sorted(ir.COMPARE))), self.value(type), self.value(type))

    def branch(self, depth: int) -> None:
        then, other, after = self.f.new_block(), self.f.new_block(), self.f.new_block()
        self.f.add(Branch(self.condition(), then.id, other.id))
        for block in (then, other):
            self.f.go(block)
            self.block(depth - 1)
            self.f.add(Jump(after.id))
        self.f.go(after)


def interpret(functions: dict, name: str, args: list, memory: bytearray):
    """The plain reading."""
    function = functions[name]
    regs = dict(zip(function.params, args, strict=True))
    blocks = {block.id: block for block in function.blocks}
    here, steps = function.blocks[0], 0

    def of(value):
        return wrap(value.type, value.value if isinstance(value, Const) else regs.get(value, 0))

    while True:
        for instr in here.code:
            steps += 1
            assert steps < 100_000
            match instr:
                case ir.Bin(op=op, dst=dst, a=a, b=b):
                    regs[dst] = wrap(dst.type, binary(op, a.type, of(a), of(b)))
                case Copy(dst=dst, a=a) | Convert(dst=dst, a=a):
                    regs[dst] = wrap(dst.type, of(a))
                case ir.Select(dst=dst, cond=cond, a=a, b=b):
                    regs[dst] = of(a) if of(cond) else of(b)
                case ir.Store(addr=Addr(_, offset), value=value, offset=more):
                    size = ir.BITS[value.type] // 8
                    bits = of(value) & ((1 << 8 * size) - 1)
                    memory[offset + more : offset + more + size] = bits.to_bytes(size, "little")
                case ir.Load(dst=dst, addr=Addr(_, offset), offset=more):
                    size = ir.BITS[dst.type] // 8
                    regs[dst] = wrap(dst.type, int.from_bytes(memory[offset + more : offset + more + size], "little"))
                case Call(dst=dst, function=callee, args=given):
                    regs[dst] = interpret(functions, callee, [of(a) for a in given], memory)
                case Jump(to=to):
                    here = blocks[to]
                    break
                case Branch(cond=cond, then=then, other=other):
                    here = blocks[then if of(cond) else other]
                    break
                case ir.Return(value=value):
                    return None if value is None else of(value)


@st.composite
def programs(draw):
    functions: list = []
    for i in range(draw(st.integers(0, 3))):
        functions.append(Writer(draw, f"f{i}", list(functions), 0).function)
    main = Writer(draw, "main", functions, 1)
    for i, v in enumerate(main.vars[:20]):
        main.f.block.code.insert(-1, ir.Store(Addr("memory"), v, 64 + 8 * i))
    return [*functions, main.function]


@given(programs(), st.lists(st.integers(-(1 << 31), 1 << 31), min_size=4, max_size=4))
def test_random_programs(functions, numbers):
    main = functions[-1]
    args = [wrap(p.type, n) for p, n in zip(main.params, numbers, strict=False)]
    memory = bytearray(240)
    interpret({f.name: f for f in functions}, "main", args, memory)
    used = {i.function for f in functions for b in f.blocks for i in b.code if isinstance(i, Call)} | {"main"}
    pe = Pe([f for f in functions if f.name in used], {"memory": ("u8", [0] * 240)})
    pe.call("main", *args)
    assert pe.read("memory").tolist() == list(memory)
