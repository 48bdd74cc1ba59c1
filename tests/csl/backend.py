"""Hand-built IR for tests of the back end, and one PE that runs it."""

from __future__ import annotations

import struct

import numpy as np

from wse.csl.codegen.link import link
from wse.csl.ir import ir
from wse.csl.ir.ir import BITS, Addr, At, Block, Const, Copy, Export, Function, Global, Reg, Return, Store
from wse.csl.llvm.optimize import LEVEL


class Builder:
    """A function under construction: `f.bin("add", "i16", a, b)` appends and returns the result."""

    def __init__(self, name: str, params: list[Reg] | None = None, result: str | None = None):
        self.function = Function(name, params or [], result, [Block(0)], name, At("t.csl", 1))
        self.block = self.function.blocks[0]
        self.line = 1

    def add(self, instr: ir.Instr) -> ir.Instr:
        self.line += 1
        instr.at = At("t.csl", self.line)
        self.block.code.append(instr)
        return instr

    def bin(self, op: str, a, b, type: str | None = None) -> Reg:
        dst = Reg(type or ("bool" if op in ir.COMPARE else a.type))
        self.add(ir.Bin(op, dst, a, b))
        return dst

    def un(self, op: str, a) -> Reg:
        dst = Reg(a.type)
        self.add(ir.Un(op, dst, a))
        return dst

    def convert(self, a, type: str) -> Reg:
        dst = Reg(type)
        self.add(ir.Convert(dst, a))
        return dst

    def var(self, value, type: str | None = None) -> Reg:
        dst = Reg(type or value.type)
        self.add(Copy(dst, value))
        return dst

    def load(self, addr, type: str, offset: int = 0) -> Reg:
        dst = Reg(type)
        self.add(ir.Load(dst, addr, offset))
        return dst

    def store(self, addr, value, offset: int = 0) -> None:
        self.add(Store(addr, value, offset))

    def new_block(self) -> Block:
        block = Block(len(self.function.blocks))
        self.function.blocks.append(block)
        return block

    def go(self, block: Block) -> None:
        self.block = block

    def loop(self, count: ir.Value, body) -> None:
        """while (i < count) body(i), as a front end lowers it."""
        i = self.var(Const(count.type, 0))
        head, inside, after = self.new_block(), self.new_block(), self.new_block()
        self.add(ir.Jump(head.id))
        self.go(head)
        self.add(ir.Branch(self.bin("lt", i, count), inside.id, after.id))
        self.go(inside)
        body(i)
        self.add(ir.Copy(i, self.bin("add", i, Const(count.type, 1))))
        self.add(ir.Jump(head.id))
        self.go(after)

    def done(self, value=None) -> Function:
        self.add(Return(value))
        return self.function


def pack(type: str, values) -> bytes:
    kinds = {"f32": "f4", "f16": "f2", "bool": "u1", "ptr": "u2"}
    name = kinds.get(type) or type[0] + str(BITS[type] // 8)
    return np.asarray(values, "<" + name).tobytes()


def unpack(type: str, data: bytes) -> np.ndarray:
    kinds = {"f32": "f4", "f16": "f2", "bool": "u1", "ptr": "u2"}
    name = kinds.get(type) or type[0] + str(BITS[type] // 8)
    return np.frombuffer(data, "<" + name)


class Pe:
    """One PE's unit, compiled and loaded."""

    def __init__(
        self,
        functions: list[Function],
        globals: dict[str, tuple[str, list]],
        arch: str = "wse3",
        routes=None,
        level=LEVEL,
        **unit,
    ):
        self.types = {name: type for name, (type, _) in globals.items()}
        made = [
            Global(name, len(pack(type, values)), 4, pack(type, values), element=f"{type} [{len(values)}]")
            for name, (type, values) in globals.items()
        ]
        exports = [Export(g.name, g.name, 0, self.types[g.name], g.size * 8 // BITS[self.types[g.name]]) for g in made]
        called = {i.function for f in functions for b in f.blocks for i in b.code if isinstance(i, ir.Call | ir.Map)}
        called |= {task.function for task in unit.get("tasks", [])}
        entries = [f for f in functions if f.name not in called]
        exports += [Export(f.name, function=f.name, params=[p.type for p in f.params]) for f in entries]
        made += unit.pop("more", [])
        self.unit = ir.Unit("pe", "t.csl", made, functions, exports=exports, **unit)
        layout = ir.Layout(arch, 1, 1, [self.unit], np.zeros((1, 1), np.uint16), file="layout.csl")
        layout.routes = {c: (np.zeros((1, 1), np.int32), [config]) for c, config in (routes or {}).items()}
        self.artifact = link(layout, level)
        self.image = self.artifact.classes[0]
        self.fabric = self.artifact.fabric()

    def run(self) -> None:
        self.fabric.run(max_cycles=200_000)

    def call(self, name: str, *args) -> None:
        """What a host's launch does."""
        rpc = self.image.functions[name]
        for (address, type), value in zip(rpc.args, args, strict=True):
            self.write(address, pack(type, [value]))
        self.write(0xBFFC, struct.pack("<I", rpc.selector))
        self.fabric.launch(28, 0, 0, 1, 1)
        self.run()

    def write(self, address: int, data: bytes) -> None:
        self.fabric.write_bytes(address, np.frombuffer(data, np.uint8)[None, None])

    def bytes(self, address: int, size: int) -> bytes:
        return self.fabric.read_bytes(address, size).tobytes()

    def read(self, name: str) -> np.ndarray:
        v = self.image.variables[name]
        return unpack(v.type, self.bytes(v.address, v.bytes))


def evaluate(type: str, build, arch: str = "wse3"):
    """The value of one expression: build(f) returns it."""
    f = Builder("main")
    value = build(f)
    f.store(Addr("out"), value)
    pe = Pe([f.done()], {"out": (type, [0])}, arch)
    pe.call("main")
    return pe.read("out")[0]
