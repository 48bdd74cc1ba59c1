"""Builtins of the layout: the rectangle, the code of its PEs, routes, names for the host."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..ir import ir
from ..sema import types as t
from ..sema.calls import entry
from ..sema.convert import describe
from ..sema.frame import Frame, at_of
from ..sema.lvalues import load
from ..sema.types import Type
from ..sema.values import VOID, FnRef, GlobalVar, Ptr, Sym, Val, Value, concrete, key_of
from ..syntax import ast
from ..syntax.errors import CslError, Span
from .language import text_of
from .table import builtin

LETTERS = {t.DIRECTIONS.index(name): name[0] for name in t.DIRECTIONS}
POPS = ("no_pop", "always_pop", "pop_on_advance", "pop_on_advance_nop")
FILTERS = {"range": "range", "counter": "counter", "sparse_counter": "sparse"}
FILTER_FIELDS = {
    "min_idx": "min_index", "max_idx": "max_index", "count_data": "count_data", "count_control": "count_control",
    "init_counter": "init_counter", "limit1": "limit1", "limit2": "limit2", "max_counter": "max_counter",
    "filter_control": "filter_control",
}  # fmt: skip


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
    """What the layout block says.  routes: as ir.Layout has them.  journal: what a loop does that may yet be undone."""

    size: tuple[int, int] | None = None
    size_span: Span | None = None
    tiles: list[Tile] = field(default_factory=list)
    tile_of: np.ndarray | None = None
    routes: dict[int, tuple[np.ndarray, list[ir.ColorConfig]]] = field(default_factory=dict)
    exports: dict[str, tuple[Type, bool, Span]] = field(default_factory=dict)
    paths: dict[tuple, Path] = field(default_factory=dict)
    known: dict[Any, ir.ColorConfig] = field(default_factory=dict)
    numbers: dict[tuple[int, ir.ColorConfig], int] = field(default_factory=dict)
    host_colors: dict[str, int] = field(default_factory=dict)
    journal: list[tuple] | None = None

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

    def route(self, color: int, config: ir.ColorConfig, x: Where, y: Where) -> None:
        """Configures a color at PEs."""
        assert self.size is not None
        if color not in self.routes:
            self.routes[color] = (np.full(self.size[::-1], -1, np.int32), [])
        plane, configs = self.routes[color]
        number = self.numbers.get((color, config))
        if number is None:
            number = self.numbers[color, config] = len(configs)
            configs.append(config)
        plane[y, x] = number


def layout_of(frame: Frame, node: ast.BuiltinCall) -> LayoutState:
    state = frame.unit.layout
    if state is None or frame.build is not None:
        raise CslError.at(node.span, f"{node.name} stands only in the layout block")
    return state


@builtin("@set_rectangle", 2)
def set_rectangle(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
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


@builtin("@set_tile_code", 3, 4)
def set_tile_code(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    state = layout_of(frame, node)
    x, y = position(frame, node, state)
    name = text_of(frame, node.args[2], "the name of the file")
    key = (frame.instance.file.source.path, name)
    path = state.paths.get(key)
    if path is None:
        path = state.paths[key] = frame.unit.program.loader.find(name, frame.instance.file, node.args[2].span)[0]
    data = frame.known(node.args[3]).data if len(node.args) > 3 else {}
    if not isinstance(data, dict):
        if data:
            raise CslError.at(node.args[3].span, "the parameters must be a struct with named fields")
        data = {}
    for value in data.values():
        settle(value, numbers=True)
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


@builtin("@set_color_config", 4)
def set_color_config(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    state = layout_of(frame, node)
    x, y = position(frame, node, state)
    color = color_of(frame, node.args[2])
    value = frame.known(node.args[3])
    settle(value)
    key = key_of(value)
    config = state.known.get(key)
    if config is None:
        config = state.known[key] = color_config(value, node.args[3].span)
    frame.unit.program.configures()
    state.do(state.route, color, config, x, y)
    return VOID


@builtin("@set_local_color_config", 2)
def set_local_color_config(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    if frame.unit.layout is not None or frame.build is not None:
        raise CslError.at(node.span, "@set_local_color_config stands in a comptime block of the code of a PE")
    color = color_of(frame, node.args[0])
    frame.unit.colors[color] = (color_config(frame.known(node.args[1]), node.args[1].span), node.span)
    return VOID


def color_of(frame: Frame, node: ast.Node) -> int:
    number = frame.number(node, t.COLOR)
    if not 0 <= number <= 23:
        raise CslError.at(node.span, f"color {number} cannot be routed: routable colors are 0 to 23")
    return number


# ---- the configuration of a color ----


def fields_of(value: Val, known: tuple[str, ...], what: str, span: Span) -> dict[str, Val]:
    data = value.data
    if isinstance(data, list) and not data:
        return {}
    if not isinstance(data, dict):
        raise CslError.at(span, f"{what} must be a struct with named fields, not {describe(value)}")
    for name in data:
        if name not in known:
            raise CslError.at(span, f"{what} has no field {name}: known are {', '.join(known)}")
    return data


def color_config(value: Val, span: Span) -> ir.ColorConfig:
    """The struct of @set_color_config."""
    data = fields_of(value, ("routes", "switches", "filter", "teardown"), "a color's configuration", span)
    rx = tx = ""
    swap_x = swap_y = False
    if "routes" in data:
        routes = fields_of(data["routes"], ("rx", "tx", "color_swap_x", "color_swap_y"), ".routes", span)
        rx = ports(routes["rx"], span) if "rx" in routes else ""
        tx = ports(routes["tx"], span) if "tx" in routes else ""
        swap_x, swap_y = flag(routes, "color_swap_x"), flag(routes, "color_swap_y")
    switch: tuple = ()
    ring, pop, at = False, "no_pop", 0
    if "switches" in data:
        switch, ring, pop, at = switches(data["switches"], span)
        switch = cumulative(rx, tx, switch)
    made = filter_of(data["filter"], span) if "filter" in data else None
    return ir.ColorConfig(rx, tx, switch, ring, pop, at, made, flag(data, "teardown"), swap_x, swap_y, at=at_of(span))


def flag(data: dict[str, Val], name: str) -> bool:
    return bool(concrete(data[name])) if name in data else False


def ports(value: Val, span: Span) -> str:
    """Directions as the letters of the router's ports."""
    items = value.data if isinstance(value.data, list) else [value]
    letters = ""
    for item in items:
        if item.type is not t.DIRECTION:
            raise CslError.at(span, f"a direction was expected, not {describe(item)}")
        letters += LETTERS[concrete(item)]
    return "".join(sorted(set(letters)))


def switches(value: Val, span: Span) -> tuple[tuple, bool, str, int]:
    known = ("pos1", "pos2", "pos3", "current_switch_pos", "ring_mode", "pop_mode")
    data = fields_of(value, known, ".switches", span)
    positions: list[tuple[str | None, str | None]] = []
    for name in known[:3]:
        if name not in data:
            break
        given = fields_of(data[name], ("rx", "tx", "invalid"), f".{name}", span)
        if flag(given, "invalid"):
            break
        rx = ports(given["rx"], span) if "rx" in given else None
        tx = ports(given["tx"], span) if "tx" in given else None
        positions.append((rx, tx))
    pop = "no_pop"
    if "pop_mode" in data:
        chosen = [
            name for name in fields_of(data["pop_mode"], POPS, ".pop_mode", span) if flag(data["pop_mode"].data, name)
        ]
        if len(chosen) > 1:
            raise CslError.at(span, f".pop_mode has one of {', '.join(chosen)}, not several")
        pop = chosen[0] if chosen else pop
    at = concrete(data["current_switch_pos"]) if "current_switch_pos" in data else 0
    if not 0 <= at <= len(positions):
        raise CslError.at(span, f".current_switch_pos = {at}: there are positions 0 to {len(positions)}")
    return tuple(positions), flag(data, "ring_mode"), pop, at


def cumulative(rx: str, tx: str, positions: tuple) -> tuple:
    """A position changes one side of the position before it; the other side stays as it is there."""
    made = []
    for new_rx, new_tx in positions:
        rx, tx = new_rx or rx, new_tx or tx
        made.append((rx, tx))
    return tuple(made)


def filter_of(value: Val, span: Span) -> ir.Filter:
    data = fields_of(value, ("kind", "fast_mode", *FILTER_FIELDS), ".filter", span)
    kinds = [
        name
        for name in FILTERS
        if "kind" in data and isinstance(data["kind"].data, dict) and flag(data["kind"].data, name)
    ]
    if len(kinds) != 1:
        raise CslError.at(span, f"a filter has a .kind, one of .{{ .{' = true }, .{ .'.join(FILTERS)} = true }}")
    made: list[tuple[str, Any]] = []
    for name, item in data.items():
        if name in FILTER_FIELDS:
            number = concrete(item)
            if not isinstance(number, bool) and not 0 <= number <= 0xFFFF:
                raise CslError.at(span, f".{name} of a filter is 0 to 65535, not {number}")
            made.append((FILTER_FIELDS[name], number))
    return ir.Filter(FILTERS[kinds[0]], tuple(sorted(made)))


# ---- names for the host ----


@builtin("@export_name", 2, 3)
def export_name(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    state = layout_of(frame, node)
    name = text_of(frame, node.args[0], "the name")
    kind = frame.type(node.args[1])
    for part in kind.params if isinstance(kind, t.FnType) else (kind,):
        frame.unit.program.check_fp16(part.elem if isinstance(part, t.PointerType) else part, node.args[1].span)
        check_advertised(name, part, node.args[1].span)
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


@builtin("@export_symbol", 1, 2)
def export_symbol(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    if frame.build is not None:
        raise CslError.at(node.span, "@export_symbol stands in a comptime block")
    if frame.unit.layout is not None:
        raise CslError.at(node.span, "@export_symbol stands in the code of a PE, @export_name in the layout")
    arg = node.args[0]
    where = frame.lvalue(arg)
    name = text_of(frame, node.args[1], "the name") if len(node.args) > 1 else last_name(arg)
    for known in frame.unit.out.exports:
        if known.name == name:
            raise CslError.at(node.span, f"{name} is exported twice")
    value = load(frame, where, arg.span) if not isinstance(where, GlobalVar) else where.value
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


@builtin("@get_rectangle", 0)
def get_rectangle(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    program = frame.unit.program
    if program.rectangle is None:
        raise CslError.at(node.span, "@set_rectangle must come before")

    def pair(names: tuple[str, str], values: tuple[int, int]) -> dict[str, Val]:
        return {name: Val(t.COMPTIME_INT, value) for name, value in zip(names, values, strict=True)}

    data = pair(("width", "height"), program.rectangle)
    data["fabric"] = Val(t.STRUCT, pair(("width", "height"), program.fabric))
    data["offsets"] = Val(t.STRUCT, pair(("width", "height"), program.offsets) | pair(("x", "y"), program.offsets))
    return Val(t.STRUCT, data)
