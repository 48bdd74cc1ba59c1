"""Builtins of the layout: the rectangle, the code of its PEs, routes, names for the host."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field
from pathlib import Path
from typing import Any

import numpy as np

from ...records import dataclass
from ..ir import ir
from ..sema import types as t
from ..sema.calls import entry
from ..sema.convert import describe
from ..sema.frame import Frame
from ..sema.lvalues import load
from ..sema.suggest import did_you_mean
from ..sema.types import Type
from ..sema.values import VOID, FnRef, GlobalVar, Ptr, Sym, Val, Value, concrete
from ..syntax import ast
from ..syntax.errors import CslError, Span
from .language import text_of
from .table import builtin

Where = int | np.ndarray  # a coordinate, or those of the PEs that a loop configures together


@dataclass(eq=False)
class Tile:
    """PEs with one file; where several, numbers among the parameters may be Syms of as many values."""

    path: Path
    params: dict[str, Val]
    span: Span
    x: Where
    y: Where


@dataclass(eq=False)
class LayoutState:
    """What the layout block says.  routes: as ir.Layout has them.  journal: what a loop does that may yet be undone.
    given: values of the layout file's params.  own: whether the layout file is code of PEs, too.
    """

    size: tuple[int, int] | None = None
    size_span: Span | None = None
    tiles: list[Tile] = field(default_factory=list)
    tile_of: np.ndarray | None = None
    routes: dict[int, tuple[np.ndarray, list[ir.ColorConfig]]] = field(default_factory=dict)
    exports: dict[str, tuple[Type, bool, Span]] = field(default_factory=dict)
    paths: dict[tuple, Path] = field(default_factory=dict)
    known: dict[Any, ir.ColorConfig] = field(default_factory=dict)
    numbers: dict[tuple[int, ir.ColorConfig], int] = field(default_factory=dict)
    spans: dict[tuple[int, int], Span | None] = field(default_factory=dict)
    host_colors: dict[str, int] = field(default_factory=dict)
    journal: list[tuple] | None = None
    given: dict[str, Val] = field(default_factory=dict)
    own: bool = False

    def do(self, action: Callable, *args: Any) -> None:
        """Does it, or notes it down to be done at the end of the loop."""
        if self.journal is None:
            action(*args)
        else:
            self.journal.append((action, *args))

    def place(self, tile: Tile) -> None:
        """Gives PEs their code."""
        assert self.size is not None
        if self.tile_of is None:
            self.tile_of = np.full(self.size[::-1], -1, np.int32)
        before = self.tile_of[tile.y, tile.x]
        if (before if isinstance(before, np.int32) else before.max()) >= 0:
            first = self.tiles[int(np.max(before))]
            at = f"({np.min(tile.x)}, {np.min(tile.y)})"
            raise CslError.at(tile.span, f"the code of PE {at} is set twice", (first.span, "first here"))
        self.tile_of[tile.y, tile.x] = len(self.tiles)
        self.tiles.append(tile)

    def route(self, color: int, config: ir.ColorConfig, x: Where, y: Where, span: Span | None) -> None:
        """Configures a color at PEs, once."""
        assert self.size is not None
        if color not in self.routes:
            self.routes[color] = (np.full(self.size[::-1], -1, np.int32), [])
        plane, configs = self.routes[color]
        number = self.numbers.get((color, config))
        if number is None:
            number = self.numbers[color, config] = len(configs)
            configs.append(config)
            self.spans[color, number] = span
        before = plane[y, x]
        if (before if isinstance(before, np.int32) else before.max()) >= 0:
            first = self.spans[color, int(np.max(before))]
            at = f"({np.min(x)}, {np.min(y)})"
            raise CslError.at(span, f"color {color} of PE {at} is configured twice", (first, "first here"))
        plane[y, x] = number


def layout_of(frame: Frame, node: ast.BuiltinCall) -> LayoutState:
    state = frame.unit.layout
    if state is None or frame.build is not None:
        raise CslError.at(node.span, f"{node.name} stands only in the layout block")
    return state


@builtin("@set_rectangle", "width, height")
def set_rectangle(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    """The size of the program in PEs. It comes first in the layout block."""
    state = layout_of(frame, node)
    if state.size is not None:
        raise CslError.at(node.span, "the rectangle is set twice", (state.size_span, "first here"))
    width, height = (frame.number(arg, t.U16) for arg in node.args)
    if not 1 <= width <= 1200 or not 1 <= height <= 1200:
        raise CslError.at(node.span, f"a rectangle of {width} x {height} PEs does not fit the wafer")
    state.size, state.size_span = (width, height), node.span
    frame.unit.program.rectangle = state.size
    return VOID


def position(frame: Frame, node: ast.BuiltinCall, state: LayoutState) -> tuple[Where, Where]:
    """x and y of the first two arguments, inside of the rectangle."""
    if state.size is None:
        raise CslError.at(node.span, "@set_rectangle must come before")
    at: list[Where] = []
    for arg, n, axis in zip(node.args[:2], state.size, "xy", strict=True):
        value = frame.known(arg)
        if not t.is_integral(value.type):
            raise CslError.at(arg.span, f"{axis} must be an integer, not {describe(value)}")
        data = value.data
        number: Any = data.values if isinstance(data, Sym) else data
        low, high = (number.min(), number.max()) if isinstance(data, Sym) else (number, number)
        if not 0 <= low <= high < n:
            wrong = low if low < 0 else high
            raise CslError.at(arg.span, f"{axis} = {wrong} is outside of the rectangle, which has 0 to {n - 1}")
        at.append(number)
    return at[0], at[1]


@builtin("@set_tile_code", "x, y, file?, params?")
def set_tile_code(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    """The file with the code of a PE, and values of its params. Without a file the code is in the file of the call."""
    state = layout_of(frame, node)
    x, y = position(frame, node, state)
    file, loader = frame.instance.file, frame.unit.program.loader
    name = text_of(frame, node.args[2], "the name of the file") if len(node.args) > 2 else ""
    key = (file.source.path, name)
    path = state.paths.get(key)
    if path is None:
        path = state.paths[key] = loader.find(name, file, node.args[2].span)[0] if name else Path(file.source.path)
    data = frame.known(node.args[3]).data if len(node.args) > 3 else {}
    if not isinstance(data, dict):
        if data:
            raise CslError.at(node.args[3].span, "the parameters must be a struct with named fields")
        data = {}
    for value in data.values():
        settle(value, numbers=True)
    if loader.top is not None and path.resolve() == loader.top.resolve():
        state.own, data = True, state.given | data
    frame.unit.program.configures()
    state.do(state.place, Tile(path, data, node.span, x, y))
    return VOID


def settle(value: Val, numbers: bool = False) -> None:
    """What is the same for PEs that are configured together.  numbers: whether numbers may differ."""
    if isinstance(value.data, dict | list):
        for item in value.data.values() if isinstance(value.data, dict) else value.data:
            settle(item, numbers)
    elif isinstance(value.data, Sym) and not (numbers and t.is_number(value.type)):
        concrete(value)


# ---- names for the host ----


MOST_PARAMETERS = 15


@builtin("@export_name", "name, T, mutable?")
def export_name(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    """A name for the host: of a function type, or of a pointer or scalar type with whether the host may change it."""
    state = layout_of(frame, node)
    name = text_of(frame, node.args[0], "the name")
    kind = frame.type(node.args[1])
    for part in kind.params if isinstance(kind, t.FnType) else (kind,):
        frame.unit.program.check_fp16(part.elem if isinstance(part, t.PointerType) else part, node.args[1].span)
        check_advertised(name, part, node.args[1].span)
    if isinstance(kind, t.FnType) and len(kind.params) > MOST_PARAMETERS:
        raise CslError.at(
            node.args[1].span, f"{name}: a function for the host has at most {MOST_PARAMETERS} parameters"
        )
    if not isinstance(kind, t.FnType) and len(node.args) < 3:
        raise CslError.at(node.span, f"the third argument was expected: true if the host may change {name}, else false")
    mutable = bool(frame.number(node.args[2], t.BOOL)) if len(node.args) > 2 else False
    if name in state.exports:
        raise CslError.at(node.span, f"{name} is exported twice", (state.exports[name][2], "first here"))
    state.exports[name] = (kind, mutable, node.span)
    return VOID


def check_advertised(name: str, kind: Type, span: Span) -> None:
    """An error for types whose values the host cannot name: aggregates, enums and what exists at compile time only."""
    if isinstance(kind, t.ArrayType):
        note = (None, f"export a pointer to it: [*]{kind.elem}")
        raise CslError.at(span, f"{name} cannot be exported as {kind}, an array", note)
    if isinstance(kind, t.EnumType | t.OptionalType) or (isinstance(kind, t.StructType) and not kind.packed):
        raise CslError.at(span, f"{name} cannot be exported as {kind}: a number, a bool or a pointer was expected")
    if kind.is_comptime and not isinstance(kind, t.FnType):
        raise CslError.at(span, f"{name} cannot be exported as {kind}, whose values exist at compile time only")


@builtin("@export_symbol", "symbol, name?")
def export_symbol(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    """Gives the host a variable, pointer or function of the code of a PE, by its own name or another. In a comptime
    block."""
    if frame.build is not None:
        raise CslError.at(node.span, "@export_symbol belongs in a comptime block")
    if frame.unit.layout is not None:
        raise CslError.at(node.span, "@export_symbol belongs in the code of a PE, @export_name in the layout")
    arg = node.args[0]
    where = frame.lvalue(arg)
    name = text_of(frame, node.args[1], "the name") if len(node.args) > 1 else last_name(arg)
    for known in frame.unit.out.exports:
        if known.name == name:
            raise CslError.at(node.span, f"{name} is exported twice")
    value = load(frame, where, arg.span) if not isinstance(where, GlobalVar) else where.value
    frame.unit.advertised[name] = where
    check_declared(frame, name, where, node)
    if isinstance(value, Val) and isinstance(value.data, FnRef):
        frame.unit.export_function(name, entry(frame.unit, value.data, node.span), node.span)
        return VOID
    if isinstance(value, Val) and isinstance(value.type, t.PointerType) and isinstance(value.data, Ptr):
        export_pointer(frame, name, value, node)
        if isinstance(where, GlobalVar) and where.mutable:
            frame.unit.exported_pointers.append((frame.unit.out.exports[-1], where))
        return VOID
    if isinstance(where, GlobalVar):
        word = t.export_word(where.type.elem if isinstance(where.type, t.ArrayType) else where.type)
        if word is not None:
            count = (where.type.size or 0) // (word.size or 1)
            frame.unit.out.exports.append(ir.Export(name, frame.unit.use(where), 0, word.ir, count, where.mutable))
            return VOID
    raise CslError.at(arg.span, "a pointer, a variable or a function was expected")


def check_declared(frame: Frame, name: str, where: Any, node: ast.BuiltinCall) -> None:
    """An error if a symbol is not what the layout has declared with @export_name; one without names has no host."""
    declared = frame.unit.program.layout.exports
    if not declared:
        return
    if name not in declared:
        hint = did_you_mean(name, declared, 40)
        raise CslError.at(node.span, f'the layout has no @export_name("{name}", ...) for this symbol{hint}')
    kind, mutable, span = declared[name]
    function = isinstance(where, Val) and isinstance(where.data, FnRef)
    have = frame.unit.fn_type(where.data, node.span) if function else where.type
    if have is not kind:
        raise CslError.at(node.span, f"{name} is of type {have}, but exported as {kind}", (span, "declared here"))
    changes = isinstance(where, GlobalVar) and where.mutable
    if not function and mutable != changes:
        what, words = ("var", "false, not to be changed") if changes else ("const", "true, to be changed by the host")
        own = last_name(node.args[0])
        text = f"{own} is a {what}, but exported {f'as {name} ' if own != name else ''}with {words}"
        other = ("const", "true") if changes else ("var", "false")
        note = (span, f"declared here: write {other[1]}, or declare {own} with {other[0]}")
        raise CslError.at(node.span, text, note)


def export_pointer(frame: Frame, name: str, value: Val, node: ast.BuiltinCall) -> None:
    ptr, kind = value.data, value.type
    assert isinstance(kind, t.PointerType)
    if not isinstance(ptr.target, GlobalVar):
        raise CslError.at(node.args[0].span, "this pointer does not point to a variable")
    elem = kind.elem.elem if isinstance(kind.elem, t.ArrayType) else kind.elem
    word = t.export_word(elem)
    if word is None:
        raise CslError.at(node.args[0].span, f"values of type {elem} cannot be exported")
    count = ((ptr.target.type.size or 0) - ptr.offset) // (word.size or 1)
    symbol = frame.unit.use(ptr.target)
    frame.unit.out.exports.append(ir.Export(name, symbol, ptr.offset, word.ir, count, not kind.const))


def last_name(node: ast.Node) -> str:
    if isinstance(node, ast.Ident | ast.Member):
        return node.name
    raise CslError.at(node.span, "what is exported has no name: give one as the second argument")


# ---- where we are ----


@builtin("@get_rectangle", "")
def get_rectangle(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    """A struct of the program's width and height, and of the fabric's with its offsets."""
    program = frame.unit.program
    if program.rectangle is None:
        raise CslError.at(node.span, "@set_rectangle must come before")

    def pair(names: tuple[str, str], values: tuple[int, int]) -> dict[str, Val]:
        return {name: Val(t.COMPTIME_INT, value) for name, value in zip(names, values, strict=True)}

    data = pair(("width", "height"), program.rectangle)
    data["fabric"] = Val(t.STRUCT, pair(("width", "height"), program.fabric))
    data["offsets"] = Val(t.STRUCT, pair(("width", "height"), program.offsets) | pair(("x", "y"), program.offsets))
    return Val(t.STRUCT, data)
