"""Builtins that find symbols for the host by their numbers: @get_symbol_id and its relatives.

The number of a symbol is the place of its name among the calls of @export_name.  It is the same on all PEs.
"""

from __future__ import annotations

from typing import Any

from ..sema import types as t
from ..sema.frame import Frame
from ..sema.lvalues import load, memory_of
from ..sema.types import Type
from ..sema.values import FnRef, GlobalVar, Ptr, Run, Val, Value, concrete
from ..syntax import ast
from ..syntax.errors import CslError
from .table import builtin

WORDS = t.pointer_to(t.U16, many=True)  # what @get_tensor_ptr returns


def exported(frame: Frame) -> dict[str, Any]:
    """What the unit exports, by name: a GlobalVar, a pointer or a function.  Comptime blocks of modules that were
    imported meanwhile are run first."""
    frame.unit.find_bindings()
    return frame.unit.advertised


def number_of(frame: Frame, name: str, node: ast.BuiltinCall) -> int:
    names = list(frame.unit.program.layout.exports)
    if name not in names:
        raise CslError.at(node.span, f'the symbol {name} has no number: the layout has no @export_name("{name}", ...)')
    return names.index(name)


def key(item: Any) -> Any:
    """Equal for two references to one symbol."""
    if isinstance(item, Val) and isinstance(item.data, FnRef):
        return id(item.data.decl), id(item.data.instance)
    return id(item)


@builtin("@get_symbol_id", "symbol")
def get_symbol_id(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    """The number of an exported symbol: the place of its name among the calls of `@export_name`."""
    if frame.unit.layout is not None:
        raise CslError.at(node.span, "@get_symbol_id belongs in the code of a PE, not in the layout")
    wanted = key(frame.comptime().lvalue(node.args[0]))
    for name, item in exported(frame).items():
        if key(item) == wanted:
            return Val(t.COMPTIME_INT, number_of(frame, name, node))
    raise CslError.at(node.args[0].span, "this is no exported symbol: @export_symbol in a comptime block exports it")


@builtin("@get_symbol_value", "T, id")
def get_symbol_value(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    """The value of the exported symbol of this number, which is of type T."""
    frame.need_run(node.span, node.name)
    kind = frame.type(node.args[0])
    found = {name: item for name, item in exported(frame).items() if item.type is kind}
    if not found:
        raise CslError.at(node.args[0].span, f"no symbol of type {kind} is exported")
    return choose(frame, found, node.args[1], node)


@builtin("@get_tensor_ptr", "id")
def get_tensor_ptr(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    """The address of the exported tensor of this number."""
    frame.need_run(node.span, node.name)
    found = tensors(frame)
    if found:
        return choose(frame, found, node.args[0], node, WORDS)
    frame.expr(ast.BuiltinCall(node.span, "@assert", [ast.Literal(node.span, "bool", False)]))
    return Val(WORDS, Ptr(None, 0))


@builtin("@has_exported_tensors", "")
def has_exported_tensors(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    """Whether the code of the PE exports a pointer to many, or an array."""
    if frame.build is None:
        raise CslError.at(node.span, "@has_exported_tensors belongs in a function or a task")
    return Val(t.BOOL, bool(tensors(frame)))


def tensors(frame: Frame) -> dict[str, Any]:
    return {
        name: item
        for name, item in exported(frame).items()
        if isinstance(item.type, t.PointerType) and not isinstance(item.type.elem, t.FnType)
    }


def choose(
    frame: Frame, items: dict[str, Any], number: ast.Node, node: ast.BuiltinCall, cast: Type | None = None
) -> Value:
    """The value of the symbol whose number is known at run time: a comparison for each but the last."""
    given = frame.expr(number)
    if not t.is_integral(given.type):
        raise CslError.at(number.span, f"the number of a symbol is an integer, not a value of type {given.type}")
    if isinstance(given, Val):
        at = concrete(given)
        items = {name: item for name, item in items.items() if number_of(frame, name, node) == at}
        if not items:
            raise CslError.at(number.span, f"no symbol of this type has number {at}")
    span = node.span
    frame.names.append({"number": given})
    try:
        chain: ast.Node | None = None
        for i, (name, item) in enumerate(reversed(items.items())):
            value: Value = item
            if isinstance(item, GlobalVar):
                value = load(frame, memory_of(frame, item) if item.mutable else item, span)
            if cast is not None:
                value = Val(cast, value.data) if isinstance(value, Val) else Run(cast, frame.operand(value, span))
            frame.names[-1][f"symbol {i}"] = value
            this = ast.Ident(span, f"symbol {i}")
            literal = ast.Literal(span, "int", number_of(frame, name, node))
            same = ast.Binary(span, "==", ast.Ident(span, "number"), literal)
            chain = this if chain is None else ast.IfExpr(span, same, this, chain)
        assert chain is not None
        return frame.expr(chain)
    finally:
        frame.names.pop()
