"""Builtins that only the library's own files may call: what the libraries `<…>` cannot say in CSL.

@wse_sys("row", T, args...)   a row of tables/isa.def that takes and gives scalars; its result is of type T, void if
it has none
@wse_say(kind, value)         a value for the host's log
@wse_string(text)             the number by which the host knows the text
@wse_symbol("name", pointer)  the host finds this variable by the name
@wse_host_color("name", c)    in the layout: color c is connected to the host at every PE
"""

from __future__ import annotations

import numpy as np

from ...machine.parameters import Machine
from ..ir import ir
from ..sema import types as t
from ..sema.convert import describe, round_float
from ..sema.frame import Frame
from ..sema.types import Type
from ..sema.values import VOID, Ptr, Run, Val, Value
from ..syntax import ast
from ..syntax.errors import CslError
from .language import text_of
from .layout import export_pointer, layout_of
from .table import builtin

ROOTS = ("ssqrt", "hsqrt")


def argument(frame: Frame, node: ast.Node) -> ir.Value:
    value = frame.expr(node)
    if isinstance(value, Val) and value.type is t.COMPTIME_INT:
        return frame.operand(value, node.span, t.U16 if 0 <= value.data <= 0xFFFF else t.U32)
    return frame.operand(value, node.span)


def root(kind: Type, value: Val) -> float:
    """A square root at compile time, with the rounding of the machine."""
    with np.errstate(invalid="ignore"):
        return round_float(kind, float(np.sqrt(round_float(kind, value.data))))  # 53 bits are enough to round twice


@builtin("@wse_sys", 2, None)
def sys_(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    row = text_of(frame, node.args[0], "the name of the row")
    kind = frame.type(node.args[1])
    if row in ROOTS:
        value = frame.expr(node.args[2])
        if isinstance(value, Val):
            return Val(kind, root(kind, value))
    build = frame.need_run(node.span, "this")
    args = [argument(frame, arg) for arg in node.args[2:]]
    if kind is t.VOID:
        build.emit(ir.Sys(row, None, args))
        return VOID
    if kind.ir is None:
        raise CslError.at(node.args[1].span, f"a result of type {kind} is no scalar")
    reg = build.reg(kind.ir)
    build.emit(ir.Sys(row, reg, args))
    return Run(kind, reg)


@builtin("@wse_say", 2)
def say(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    frame.need_run(node.span, "this")
    frame.emit(ir.Sys("say", None, [argument(frame, arg) for arg in node.args]))
    return VOID


@builtin("@wse_string", 1)
def string(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    return Val(t.COMPTIME_INT, frame.unit.program.string(text_of(frame, node.args[0], "the text")))


@builtin("@wse_symbol", 2)
def symbol(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    name = text_of(frame, node.args[0], "the name")
    value = frame.known(node.args[1])
    if not isinstance(value.type, t.PointerType) or not isinstance(value.data, Ptr):
        raise CslError.at(node.args[1].span, f"a pointer was expected, not {describe(value)}")
    export_pointer(frame, name, value, ast.BuiltinCall(node.span, node.name, [node.args[1]]))
    frame.unit.out.symbols[name] = frame.unit.out.exports.pop()
    return VOID


@builtin("@wse_host_color", 2)
def host_color(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    name, number = text_of(frame, node.args[0], "the name"), frame.number(node.args[1], t.COLOR)
    colors = Machine(frame.unit.program.arch).colors
    if number >= colors:
        raise CslError.at(node.args[1].span, f"{name} is color {number}, but routers know colors 0 to {colors - 1}")
    layout_of(frame, node).host_colors[name] = number
    return VOID
