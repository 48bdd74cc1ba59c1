"""Optional values: ?T holds a value of type T or null.  In memory: the value, and behind it a byte that says whether
there is one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ..ir import ir
from ..syntax import ast
from ..syntax.errors import CslError, Span
from . import types as t
from .convert import describe
from .frame import CONVERT, Frame, expr, lvalue
from .lvalues import load, memory_of, store_mem
from .types import Type
from .values import GlobalVar, Mem, Run, Val, Value


@expr(ast.OptionalType)
def optional_type(frame: Frame, node: ast.OptionalType, want: Type | None) -> Val:
    elem = frame.type(node.elem)
    if elem in (t.VOID, t.ANYOPAQUE, t.ANYTYPE):
        raise CslError.at(node.elem.span, f"there are no optional values of type {elem}")
    return Val(t.TYPE, t.optional(elem))


def check(value: Value, span: Span, what: str) -> t.OptionalType:
    if not isinstance(value.type, t.OptionalType):
        shown = describe(value) if isinstance(value, Val) else f"a value of type {value.type}"
        raise CslError.at(span, f"{what} needs an optional value, not {shown}")
    return value.type


def present(frame: Frame, value: Value, span: Span) -> bool | ir.Value:
    """Whether there is a value."""
    if isinstance(value, Val):
        return value.data is not None
    assert isinstance(value, Mem)
    flag = load(frame, value.at(value.type.flag, t.BOOL), span)
    assert isinstance(flag, Run)
    return flag.value


def payload(value: Value) -> Val | Mem:
    """The value that is there."""
    if isinstance(value, Val):
        return value.data
    made = value.at(0, value.type.elem)
    made.const = value.const
    return made


def is_null(frame: Frame, op: str, left: Value, right: Value, span: Span) -> Value:
    """left op right, one of which is null."""
    value = left if right.type is t.NULL else right
    if value.type is t.NULL:
        return Val(t.BOOL, op == "==")
    check(value, span, "a comparison with null")
    if op not in ("==", "!="):
        raise CslError.at(span, f"{op} is no operator for optional values")
    there = present(frame, value, span)
    if isinstance(there, bool):
        return Val(t.BOOL, there == (op == "!="))
    if op == "!=":
        return Run(t.BOOL, there)
    build = frame.need_run(span, "this")
    reg = build.reg("bool")
    build.emit(ir.Un("lnot", reg, there))
    return Run(t.BOOL, reg)


@lvalue(ast.Unwrap)
def unwrap_lvalue(frame: Frame, node: ast.Unwrap) -> Value:
    where = frame.lvalue(node.base)
    if isinstance(where, GlobalVar) and frame.build is not None and where.mutable and not where.type.is_comptime:
        where = memory_of(frame, where)
    value = load(frame, where, node.base.span)
    check(value, node.span, ".?")
    there = present(frame, value, node.span)
    if there is False:
        raise CslError.at(node.span, "the optional value is null")
    if there is not True:
        build = frame.need_run(node.span, "this")
        good, bad = build.new_block(), build.new_block()
        build.branch(there, good, bad)
        build.start(bad)
        build.emit(ir.Trap("an optional value is null"))
        build.start(good)
    return payload(value)


@expr(ast.Unwrap)
def unwrap(frame: Frame, node: ast.Unwrap, want: Type | None) -> Value:
    return load(frame, unwrap_lvalue(frame, node), node.span)


def branch(frame: Frame, node: ast.Node, yes: ir.Block, no: ir.Block) -> tuple[bool | None, Value]:
    """Goes to one of the blocks by whether there is a value, which is returned, too.  What is known goes nowhere."""
    value = frame.expr(node)
    check(value, node.span, "a condition with a capture")
    there = present(frame, value, node.span)
    if isinstance(there, bool):
        return there, value
    assert frame.build is not None
    frame.build.branch(there, yes, no)
    return None, value


@contextmanager
def captured(frame: Frame, name: str | None, value: Value, span: Span) -> Iterator[None]:
    """A scope in which the name is what the optional holds."""
    frame.names.append({})
    if name is not None:
        held = load(frame, payload(value), span)
        if isinstance(held, Mem):
            memory = frame.unit.local(frame, held.type, name, span)
            store_mem(frame, memory, held, span)
            memory.const, held = True, memory
        frame.bind(name, held, span)
    yield
    frame.names.pop()


def wrapped(frame: Frame, value: Value, kind: t.OptionalType, span: Span | None) -> Mem:
    """A value of run time as an optional one."""
    if kind.size is None:
        raise CslError.at(span, f"a value of type {kind} is known at compile time; this one is not")
    memory = frame.unit.local(frame, kind, "optional", span)
    store_mem(frame, memory.at(0, kind.elem), value, span)
    store_mem(frame, memory.at(kind.flag, t.BOOL), Val(t.BOOL, True), span)
    return memory


CONVERT[t.OptionalType] = wrapped
