"""Where code is evaluated: the frame of a function, a block or an initialiser, and the builder of run-time code.

One evaluator serves compile time and run time.  A frame without a builder interprets: every value must be known.  A
frame with one also folds what is known, and emits instructions for the rest.  The handlers of expressions, lvalues and
statements register themselves here by the class of the node.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..ir import ir
from ..syntax import ast
from ..syntax.errors import CslError, NotKnown, Span
from . import types as t
from .convert import coerce, conversion, describe, mismatch, pointer_fits, refuse_rank
from .types import Type
from .values import FnRef, GlobalVar, Ptr, Run, Sym, Val, Value, concrete, copy_of

EXPR: dict[type, Callable] = {}
# What a value becomes by itself, by the class of the value or of the type: (frame, value, type, span) -> value
CONVERT: dict[type, Callable] = {}
PACKED: dict[str, Callable] = {}  # constant: (frame, Val of a packed struct, span) -> scalar; widths.py enters it
LVALUE: dict[type, Callable] = {}
STMT: dict[type, Callable] = {}


def expr(*nodes: type) -> Callable:
    """The handler (frame, node, wanted type or None) -> value of expressions of these classes."""
    return _register(EXPR, nodes)


def lvalue(*nodes: type) -> Callable:
    """The handler (frame, node) -> lvalue of expressions of these classes."""
    return _register(LVALUE, nodes)


def stmt(*nodes: type) -> Callable:
    """The handler (frame, node) of statements of these classes."""
    return _register(STMT, nodes)


def _register(table: dict[type, Callable], nodes: tuple[type, ...]) -> Callable:
    def add(handler: Callable) -> Callable:
        for node in nodes:
            table[node] = handler
        return handler

    return add


class ControlFlow(Exception):
    """A return, break or continue at compile time. One that no function, loop or block catches is misplaced."""

    word = ""

    def __init__(self, span: Span, label: str | None = None, value: Any = None):
        super().__init__(self.word)
        self.span, self.label, self.value = span, label, value

    def misplaced(self) -> CslError:
        if self.word == "return":
            return CslError.at(self.span, "return stands outside of a function")
        what = f"loop or block {self.label}" if self.label else "loop"
        hint = (
            ": a value leaves a block with a label, as in `name: { break :name 3; }`" if self.value is not None else ""
        )
        return CslError.at(self.span, f"there is no {what} around this{hint}")


class Returned(ControlFlow):
    word = "return"

    def __init__(self, value: Val, span: Span):
        super().__init__(span, None, value)


class Broken(ControlFlow):
    word = "break"


class Continued(ControlFlow):
    word = "continue"


class Loop:
    """A run-time loop or labelled block that encloses the code: where break and continue go."""

    __slots__ = ("after", "broken", "discarded", "label", "left", "step", "values")

    def __init__(self, label: str | None, after: ir.Block, step: ir.Block | None):
        self.label, self.after, self.step = label, after, step
        self.values: list | None = None  # of a block that is an expression: what its breaks give
        self.broken = False  # a break leaves it
        self.left = False  # a break or continue leaves it: what follows in it need not run
        self.discarded: Span | None = None  # the first break with a value out of a block that is a statement


class Builder:
    """Appends instructions to a function.  A block that nothing jumps to is dead: what stands there is not analysed."""

    def __init__(self, function: ir.Function):
        self.function = function
        self.blocks = 0
        self.reached: set[int] = set()
        self.at: ir.At | None = None
        self.depth = 0
        self.emitted = 0  # instructions
        self.loops: list[Loop] = []
        self.variables: set[ir.Reg] = set()
        self.block: ir.Block | None = None
        self.start(self.new_block(), force=True)

    def new_block(self) -> ir.Block:
        self.blocks += 1
        return ir.Block(self.blocks - 1)

    def start(self, block: ir.Block, force: bool = False) -> None:
        """What follows goes to this block; if nothing jumps there, nowhere."""
        if force or block.id in self.reached:
            self.function.blocks.append(block)
            self.block = block
        else:
            self.block = None

    @property
    def dead(self) -> bool:
        return self.block is None

    def emit(self, instr: ir.Instr) -> None:
        if self.block is not None:
            instr.at = self.at
            self.emitted += 1
            self.block.code.append(instr)
            if isinstance(instr, ir.TERMINATORS):
                self.block = None

    def jump(self, block: ir.Block) -> None:
        if self.block is not None:
            self.reached.add(block.id)
            self.emit(ir.Jump(block.id))

    def branch(self, cond: ir.Value, then: ir.Block, other: ir.Block) -> None:
        if self.block is not None:
            self.reached.update((then.id, other.id))
            self.emit(ir.Branch(cond, then.id, other.id))

    def reg(self, kind: str, name: str = "") -> ir.Reg:
        return ir.Reg(kind, name)

    def variable(self, kind: str, name: str) -> ir.Reg:
        """A register that is assigned more than once."""
        reg = ir.Reg(kind, name)
        self.variables.add(reg)
        return reg


class Frame:
    """unit: what is compiled.  instance: the module whose names are seen.  names: innermost scope last.  result:
    type of what a function returns.  lowered: the function that is being built.  within: a part of run-time code
    that has to be known at compile time: variables of the module are not.  outer: the run-time code around it."""

    __slots__ = ("build", "instance", "lowered", "names", "outer", "result", "unit", "within")

    def __init__(self, unit: Any, instance: Any, build: Builder | None = None, result: Type | None = None):
        self.unit, self.instance, self.build, self.result = unit, instance, build, result
        self.names: list[dict[str, Any]] = [{}]
        self.lowered: Any = None
        self.within = False
        self.outer: Builder | None = None

    # ---- names ----

    def bind(self, name: str, binding: Any, span: Span | None = None) -> None:
        if name == "_":
            return
        scope = self.names[-1]
        if name in scope:
            raise CslError.at(span, f"{name} is declared twice in one block")
        scope[name] = binding
        if self.unit.program.bound is not None:
            self.unit.program.bound(self, name, binding, span)

    def lookup(self, name: str) -> Any:
        """The binding of a name: Val, Run, RegVar, Mem, Cell or GlobalVar; None if there is none."""
        for scope in reversed(self.names):
            if name in scope:
                return scope[name]
        found = self.instance.resolve(name)
        if found is not None:
            return found
        if name in PREDEFINED:
            if name == "comptime_struct":
                self.unit.program.removed("comptime_struct", self.instance, None)
            return PREDEFINED[name]
        try:
            kind = t.int_named(name)
        except ValueError as error:
            raise CslError.at(None, str(error)) from None
        return None if kind is None else Val(t.TYPE, kind)

    # ---- evaluation ----

    def expr(self, node: ast.Node, want: Type | None = None) -> Value:
        handler = EXPR.get(type(node))
        if handler is None:
            raise CslError.at(node.span, "this is no expression")
        return handler(self, node, want)

    def lvalue(self, node: ast.Node) -> Any:
        """The lvalue of an expression: Cell, ElementRef, RegVar, Mem or GlobalVar; its value if it has none."""
        handler = LVALUE.get(type(node))
        return self.expr(node) if handler is None else handler(self, node)

    def run(self, node: ast.Node) -> None:
        """A statement."""
        build = self.build
        if build is not None:
            if build.block is None:
                return
            build.at = at_of(node.span)
        STMT[type(node)](self, node)

    def comptime(self) -> Frame:
        """The same scope without run-time code."""
        if self.build is None:
            return self
        frame = Frame(self.unit, self.instance, None, self.result)
        frame.names, frame.within, frame.outer = self.names, True, self.build
        return frame

    def aside(self) -> Frame:
        """The same scope with run-time code that goes nowhere: where only the type of an expression counts."""
        if self.build is None and not self.within:
            return self
        frame = Frame(self.unit, self.instance, Builder(ir.Function("aside", [], None)), self.result)
        frame.names, frame.lowered = self.names, self.lowered
        if self.build is not None and frame.build is not None:
            frame.build.variables, frame.build.at = self.build.variables, self.build.at
            frame.build.depth, frame.build.loops = self.build.depth, self.build.loops
        return frame

    def known(self, node: ast.Node, want: Type | None = None) -> Val:
        """A value that has to be known at compile time."""
        value = self.comptime().expr(node, want)
        if not isinstance(value, Val):
            raise NotKnown.at(node.span, "this value is not known at compile time")
        return value if want is None else coerce(value, want, node.span)

    def number(self, node: ast.Node, want: Type | None = None) -> Any:
        """The data of a known value, the same for all PEs that are compiled together."""
        return concrete(self.known(node, want))

    def alignment(self, node: ast.Node | None) -> int | None:
        """The argument of align(...), bytes."""
        if node is None:
            return None
        bytes_ = self.number(node)
        if not isinstance(bytes_, int) or isinstance(bytes_, bool) or bytes_ < 1 or bytes_ & (bytes_ - 1):
            raise CslError.at(node.span, f"an alignment is a number of bytes and a power of two, not {bytes_}")
        return bytes_

    def type(self, node: ast.Node) -> Type:
        value = self.comptime().expr(node, t.TYPE)
        if not isinstance(value, Val) or value.type is not t.TYPE:
            got = describe(value) if isinstance(value, Val) else f"a value of type {value.type}"
            raise CslError.at(node.span, f"a type was expected, not {got}")
        return value.data

    # ---- values ----

    def coerce(self, value: Value, kind: Type, span: Span | None) -> Value:
        """The value as the type that is expected, if it becomes that by itself."""
        source = value.type
        if source is kind:
            return value
        if isinstance(value, Val):
            if isinstance(value.data, FnRef):
                self.check_signature(value.data, kind, span)
            return coerce(value, kind, span)
        if kind is t.ANYTYPE:
            return value
        if isinstance(kind, t.OptionalType):
            return CONVERT[t.OptionalType](self, value, kind, span)
        if type(value) in CONVERT:
            return CONVERT[type(value)](self, value, kind, span)
        if isinstance(value, Run):
            if isinstance(source, t.PointerType) and isinstance(kind, t.PointerType) and pointer_fits(source, kind):
                return Run(kind, value.value)
            if isinstance(source, t.PointerType) and isinstance(kind, t.PointerType):
                refuse_rank(source, kind, span)
            if kind is t.UT_ID and source in (t.INPUT_QUEUE, t.OUTPUT_QUEUE):
                return Run(kind, value.value)
            if t.widens(source, kind):
                if self.unit.program.sdk_version != "1.4":
                    return self.widened(value, kind, span)
                note = "SDK 2.10 does this by itself, SDK 1.4 does not (--sdk-version=1.4)"
                raise mismatch(span, kind, f"one of type {source} (convert it with @as({kind}, ...))").note(None, note)
        if kind.is_comptime:
            raise CslError.at(
                span, f"a value of type {kind} is needed, which is known at compile time; this one is not"
            )
        raise mismatch(span, kind, f"one of type {source}{conversion(source, kind)}")

    def check_signature(self, fn: FnRef, kind: Type, span: Span | None) -> None:
        """An error if a function is not of the type of functions that is expected."""
        if not isinstance(kind, t.FnType) or any(param.comptime for param in fn.decl.params):
            return
        have = self.unit.fn_type(fn, span)
        if have is not kind and t.ANYTYPE not in have.params:
            note = (fn.decl.name_span, "declared here")
            raise CslError.at(span, f"a function of type {kind} was expected, not {fn.name} of type {have}", note)

    def widened(self, value: Run, kind: Type, span: Span | None) -> Run:
        """The value as a type that can represent all values of its own."""
        build = self.need_run(span, "a conversion")
        self.unit.program.check_fp16(kind, span)
        if kind.ir == value.type.ir:
            return Run(kind, value.value)
        reg = build.reg(kind.ir)
        build.emit(ir.Convert(reg, value.value))
        return Run(kind, reg)

    def operand(self, value: Value, span: Span | None, kind: Type | None = None) -> ir.Value:
        """A scalar for an instruction, of the type if one is given."""
        if kind is not None:
            value = self.coerce(value, kind, span)
        if isinstance(value, Run):
            return value.value
        kind = value.type
        if isinstance(kind, t.PointerType) and isinstance(value, Val) and isinstance(value.data, FnRef):
            return ir.Const("ptr", self.unit.pointers.number(value.data, kind.elem, span))
        if isinstance(kind, t.PointerType) and isinstance(value, Val) and not isinstance(value.data, Ptr):
            raise CslError.at(span, f"a value of type {kind} does not exist at run time")
        if kind.ir is None:
            raise CslError.at(span, f"a value of type {kind} does not exist at run time: give it a type with @as")
        if not isinstance(value, Val):
            raise CslError.at(span, f"a scalar was expected, not a value of type {kind}")
        if isinstance(kind, t.StructType):
            return PACKED["constant"](self, value, span)
        self.unit.program.check_fp16(kind, span)
        data = value.data
        if isinstance(data, Sym):
            assert self.build is not None
            reg = ir.Reg(kind.ir)
            self.build.emit(ir.Load(reg, ir.Addr(self.unit.slot(kind, data))))
            return reg
        if isinstance(data, Ptr):
            if data.target is None:
                return ir.Const("ptr", data.offset & 0xFFFF)
            if not isinstance(data.target, GlobalVar):
                raise CslError.at(span, "this pointer points to a variable that exists at compile time only")
            return ir.Addr(self.unit.use(data.target), data.offset)
        return ir.Const(kind.ir, int(data) if not isinstance(data, float) else data)

    def copied(self, value: Val, span: Span | None) -> Val:
        """The value with aggregates of its own; their memory is counted."""
        if isinstance(value.data, dict | list | np.ndarray):
            self.unit.program.weigh(value.data, span)
            return copy_of(value)
        return value

    def emit(self, instr: ir.Instr) -> None:
        assert self.build is not None
        self.build.emit(instr)

    def need_run(self, span: Span | None, what: str) -> Builder:
        """The builder; an error at compile time."""
        if self.build is None:
            raise NotKnown.at(span, f"{what} is not possible at compile time")
        return self.build

    def fresh(self, value: ir.Value) -> ir.Value:
        """The value in a register that no assignment changes."""
        build = self.build
        if build is not None and isinstance(value, ir.Reg) and value in build.variables:
            copy = build.reg(value.type, value.name)
            build.emit(ir.Copy(copy, value))
            return copy
        return value


def at_of(span: Span | None) -> ir.At | None:
    if span is None:
        return None
    line, column = span.source.place(span.start)
    return ir.At(span.source.path, line, column)


PREDEFINED: dict[str, Val] = {
    **{name: Val(t.TYPE, kind) for name, kind in t.PRIMITIVES.items()},
    **{name: Val(t.DIRECTION, number) for number, name in enumerate(t.DIRECTIONS)},
}
