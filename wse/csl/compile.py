"""A layout file to a compiled program: the layout is evaluated, PEs are sorted into classes, each class is compiled.

PEs belong together if they have one file and equal parameters.  Where the parameters of many PEs differ only in
numbers, these are compiled together with a Sym for each such number; if one of them turns out to decide what is
compiled, the class is split by it and compiled again (values.NeedsConcrete).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..records import dataclass
from .builtins import dsds, dsrs, intrinsics, registers, rotating, routes, symbols, tasks, vectors
from .builtins import language as builtins
from .builtins import layout as layouts
from .builtins.layout import LayoutState, Tile
from .ir import ir
from .ir.collect import uncollected
from .sema import calls, exprs, loops, stmts, switches
from .sema import types as t
from .sema.convert import describe
from .sema.frame import Frame
from .sema.modules import Instance, Loader, takes_number
from .sema.suggest import did_you_mean
from .sema.unit import MAX_STEPS, Program, Unit
from .sema.values import NeedsConcrete, Sym, Val, bits_of, differ, key_of, same_values, sym
from .syntax.errors import CslError, Diagnostic, Span

_HANDLERS = (
    builtins,
    calls,
    dsds,
    dsrs,
    exprs,
    intrinsics,
    layouts,
    loops,
    registers,
    rotating,
    routes,
    stmts,
    switches,
    symbols,
    tasks,
    vectors,
)  # they register themselves
SHARE_ABOVE = 16  # classes of one file that differ in numbers alone, above which they share code
MAX_CLASSES = 2000
COLORS_DEPTH, MOST_COLORS = 3, 64  # how deep in a constant, and how far in a list, names of colors are looked for
RECURSION = 30_000  # the evaluator calls itself for what is nested; Python's own limit is for less


@dataclass(eq=False)
class Class:
    """PEs that are compiled together: x, y of each; params may hold Syms of as many values."""

    path: Path
    params: dict[str, Val]
    x: np.ndarray
    y: np.ndarray
    span: Span | None


def compile_program(
    path: str | Path,
    arch: str = "wse3",
    params: Mapping[str, int] | None = None,
    colors: Mapping[str, int] | None = None,
    fabric: tuple[int, int] = (0, 0),
    offsets: tuple[int, int] = (0, 0),
    import_paths: Iterable[str | Path] = (),
    fp16: str = "f16",
    max_steps: int = MAX_STEPS,
    warnings: list[Diagnostic] | None = None,
    sdk_version: str | None = None,
    max_inlined: int | None = None,
    max_calls: int | None = None,
    report: Callable[[str], object] | None = None,
    sections: Mapping[str, int] | None = None,
    whole: bool = True,
) -> ir.Layout:
    """The program of a layout file.  CslError with everything that is wrong with it.

    fp16: "f16", "bf16" or "cb16", the format of 16-bit floats at run time.
    params, colors: values of the layout's params by name.  warnings: a list to add what is worth a remark to.
    max_inlined: rounds of inline loops; max_calls: how deep calls may nest at compile time.
    report: called with what is being done, if that takes more than two seconds.
    sdk_version: the release of the SDK that the program is for, "1.4" or "2.10"; None accepts the forms of both.
    sections: addresses in bytes of variables by their linksection.  whole: whether all PEs need code.
    """
    program = Program(arch, Loader([Path(folder) for folder in import_paths], Path(path)), max_steps)
    program.fabric, program.offsets = fabric, offsets
    program.sdk_version, program.report = sdk_version, report
    program.max_unrolled = program.max_unrolled if max_inlined is None else max_inlined
    program.max_calls = program.max_calls if max_calls is None else max_calls
    program.fp16, program.addresses = t.FP16[fp16], dict(sections or {})
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(max(limit, RECURSION))
    try:
        with uncollected():
            layout = _compile(program, Path(path), dict(params or {}), dict(colors or {}), whole)
    except RecursionError:
        raise CslError.at(None, f"{path} is nested too deeply to be compiled") from None
    finally:
        sys.setrecursionlimit(limit)
        if warnings is not None:
            warnings += program.findings.warnings
    layout.fp16 = fp16
    return layout


def _compile(program: Program, path: Path, params: dict[str, int], colors: dict[str, int], whole: bool) -> ir.Layout:
    state, root = evaluate_layout(program, path, params, colors)
    assert state.size is not None
    if whole:
        check_tiles(state)
    width, height = state.size
    layout = ir.Layout(program.arch, width, height, [], np.full((height, width), 0xFFFF, np.uint16))
    layout.file = root.file.source.path
    waiting = classes_of(state)[::-1]
    name_colors(layout.color_names, root)
    wrong: set[Path] = set()  # files in which something is wrong
    found = 0  # errors
    while waiting:
        one = waiting.pop()
        program.doing = f"code of class {len(layout.units)}, {one.path.name}"
        program.tell()
        if one.path in wrong:  # its other classes would say the same again
            continue
        if len(layout.units) >= MAX_CLASSES:
            raise CslError.at(one.span, f"more than {MAX_CLASSES} different programs for PEs")
        try:
            unit, varying = compile_class(program, one, len(layout.units))
        except NeedsConcrete as needed:
            waiting += split(one, needed.values)[::-1]
            continue
        add_unit(layout, state, one, unit, varying)
        if unit.root is not None:
            name_colors(layout.color_names, unit.root)
        if len(program.findings.errors) > found:
            found = len(program.findings.errors)
            wrong.add(one.path)
    for queue, error in program.unbound_queues.items():
        if queue not in program.bound_queues:
            program.findings.add(error)
    check_exports(program, state, layout)
    for name in program.addresses:
        if name not in program.sections:
            words = did_you_mean(name, program.sections, 40)
            program.findings.add(
                CslError.at(None, f"no variable has the linksection {name}, which has an address{words}")
            )
    program.findings.check()
    layout.sections, layout.functions = program.addresses, program.loader.functions()
    layout.routes = state.routes
    layout.exports = [(name, str(kind), mutable) for name, (kind, mutable, _) in state.exports.items()]
    layout.strings = program.strings
    layout.host_colors = state.host_colors
    layout.colors, layout.params = colors, {name: str(value) for name, value in params.items()}
    layout.fabric, layout.offsets, layout.memcpy = program.fabric, program.offsets, program.memcpy
    return layout


def evaluate_layout(
    program: Program, path: Path, params: dict[str, int], colors: dict[str, int]
) -> tuple[LayoutState, Instance]:
    """What the layout says, and its module.  CslError if anything is wrong."""
    state, root = run_layout(program, path, params, colors)
    program.findings.check()
    return state, root


def run_layout(
    program: Program, path: Path, params: dict[str, int], colors: dict[str, int]
) -> tuple[LayoutState, Instance]:
    """As evaluate_layout, of a layout in which something may be wrong: that is among the findings then."""
    state = program.layout = LayoutState()
    unit = Unit(program, "layout", state)
    given = {name: Val(t.COMPTIME_INT, value) for name, value in params.items()}
    file = program.loader.load(path)
    for name, value in colors.items():  # a color in SDK 1.4; its number if the param is declared so, as in SDK 2.10
        given[name] = Val(t.COMPTIME_INT if takes_number(file, name) else t.COLOR, value)
    root = unit.open(path, given)
    if not root.file.layouts:
        raise CslError.at(
            Span(root.file.source, 0, 0), "the program has no layout block: layout { @set_rectangle(...); }"
        )
    if len(root.file.layouts) > 1:
        raise CslError.at(root.file.layouts[1].span, "a program has one layout block")
    for name in given:
        decl = root.file.decls.get(name)
        if decl is None or getattr(decl, "kind", "") != "param":
            program.findings.warn(
                Span(root.file.source, 0, 0), f"{root.file.source.path} has no param {name}: its value is not used"
            )
    state.given = given
    unit.attempt(lambda: Frame(unit, root).run(root.file.layouts[0]))
    if state.own:  # its comptime blocks are those of the PEs
        unit.leave_out(root)
    unit.run_comptimes()
    unit.check_reserved()
    if state.size is None and not program.findings.errors:
        raise CslError.at(
            root.file.layouts[0].span, "the layout sets no rectangle: @set_rectangle(width, height) was expected"
        )
    return state, root


def check_tiles(state: LayoutState) -> None:
    """An error if a PE of the rectangle has no code."""
    assert state.size is not None
    width, height = state.size
    without = np.ones((height, width), bool) if state.tile_of is None else state.tile_of < 0
    if without.any():
        y, x = (int(found[0]) for found in np.nonzero(without))
        message = f"{without.sum()} PEs of the rectangle have no code, ({x}, {y}) is the first: @set_tile_code gives it"
        raise CslError.at(state.size_span, message)


# ---- classes ----

Route = tuple[Any, ...]  # names of fields and numbers of items that lead to a value


def is_data(value: Val) -> bool:
    """Whether a parameter, or a part of one, is a number, which may differ between PEs that share code."""
    if isinstance(value.type, t.FloatType) or value.type is t.COMPTIME_FLOAT:
        return isinstance(value.data, Sym | float)
    if not isinstance(value.type, t.IntType) and value.type is not t.COMPTIME_INT:
        return False
    return isinstance(value.data, Sym) or abs(value.data) < 1 << 62


def numbers_in(value: Val, route: Route = ()) -> Iterator[tuple[Route, Val]]:
    """The numbers that a value holds, with how they are reached."""
    if isinstance(value.data, dict | list):
        parts = value.data.items() if isinstance(value.data, dict) else enumerate(value.data)
        for name, item in parts:
            yield from numbers_in(item, (*route, name))
    elif is_data(value):
        yield route, value


def with_numbers(value: Val, numbers: dict[Route, Val], route: Route = ()) -> Val:
    """The value with other numbers."""
    if isinstance(value.data, dict):
        return Val(value.type, {n: with_numbers(item, numbers, (*route, n)) for n, item in value.data.items()})
    if isinstance(value.data, list):
        return Val(value.type, [with_numbers(item, numbers, (*route, n)) for n, item in enumerate(value.data)])
    return numbers.get(route, value)


class Shapes:
    """What remains of values without their numbers.  Values that are the same object are looked at once."""

    def __init__(self) -> None:
        self.known: dict[int, tuple[Any, Any]] = {}

    def of(self, value: Val) -> Any:
        data = value.data
        if is_data(value):
            return value.type
        if not isinstance(data, dict | list):
            return key_of(value)
        found = self.known.get(id(data))
        if found is None or found[0] is not data:
            if isinstance(data, dict):
                shape: Any = (value.type, tuple((name, self.of(item)) for name, item in data.items()))
            else:
                shape = (value.type, tuple(self.of(item) for item in data))
            found = self.known[id(data)] = data, shape
        return found[1]


def classes_of(state: LayoutState) -> list[Class]:
    """PEs by file and parameters."""
    shapes = Shapes()
    groups: dict[Any, list[Tile]] = {}
    for tile in state.tiles:
        key = tuple((name, shapes.of(value)) for name, value in tile.params.items())
        groups.setdefault((tile.path, key), []).append(tile)
    made: list[Class] = []
    for tiles in groups.values():
        made += classes_of_group(tiles)
    return made


def classes_of_group(tiles: list[Tile]) -> list[Class]:
    """One class for each set of numbers among the parameters; if these are many, one for all."""
    params, path, span = Val(t.STRUCT, tiles[0].params), tiles[0].path, tiles[0].span
    x, y = column([(tile.x, tile) for tile in tiles]), column([(tile.y, tile) for tile in tiles])
    found = dict(numbers_in(params))
    columns = {}
    for route, value in found.items():
        items = [(data_of(reached(tile.params, route)), tile) for tile in tiles]
        columns[route] = column(items, np.int64 if t.is_integral(value.type) else np.float64)
    group = few_groups([bits_of(values) for values in columns.values() if differ(values)], len(x))
    if group is not None:
        made = []
        _, first = np.unique(group, return_index=True)
        for i in np.argsort(first, kind="stable"):
            numbers = {route: Val(found[route].type, values[first[i]].item()) for route, values in columns.items()}
            chosen = group == i
            made.append(Class(path, with_numbers(params, numbers).data, x[chosen], y[chosen], span))
        return made
    numbers = {route: Val(found[route].type, sym(values)) for route, values in columns.items()}
    return [Class(path, with_numbers(params, numbers).data, x, y, span)]


def few_groups(columns: list[np.ndarray], length: int) -> np.ndarray | None:
    """A number for each row of the columns, equal ones for equal rows; None if more than SHARE_ABOVE rows differ."""
    group = np.zeros(length, np.int64)
    for values in columns:
        if len(np.unique(values)) > SHARE_ABOVE:  # a sort, much quicker than the inverse
            return None
        _, places = np.unique(values, return_inverse=True)
        different, group = np.unique(group * SHARE_ABOVE + places.reshape(-1), return_inverse=True)
        if len(different) > SHARE_ABOVE:
            return None
        group = group.reshape(-1)
    return group


def reached(value: Any, route: Route) -> Val:
    """The part of parameters that a route leads to."""
    for name in route:
        value = value.data[name] if isinstance(value, Val) else value[name]
    return value


def data_of(value: Val) -> Any:
    return value.data.values if isinstance(value.data, Sym) else value.data


def column(items: list[tuple[Any, Tile]], dtype: Any = np.int64) -> np.ndarray:
    """Numbers of all PEs of the tiles, one after the other."""
    if not any(isinstance(tile.x, np.ndarray) or isinstance(tile.y, np.ndarray) for _, tile in items):
        return np.array([number for number, _ in items], dtype)
    parts = []
    for number, tile in items:
        shape = np.broadcast(tile.x, tile.y).shape
        parts.append(np.broadcast_to(np.asarray(number, dtype), shape).reshape(-1))
    return np.concatenate(parts)


def split(one: Class, values: np.ndarray) -> list[Class]:
    """A class for each of the values."""
    made = []
    params = Val(t.STRUCT, one.params)
    differing = [(route, value) for route, value in numbers_in(params) if isinstance(value.data, Sym)]
    for chosen in same_values(values):
        numbers = {route: Val(number.type, sym(number.data.values[chosen])) for route, number in differing}
        made.append(Class(one.path, with_numbers(params, numbers).data, one.x[chosen], one.y[chosen], one.span))
    return made


def compile_class(program: Program, one: Class, number: int) -> tuple[Unit, list[tuple[str, int, np.ndarray]]]:
    unit = Unit(program, f"{one.path.stem}.{number}")
    unit.where = (one.x, one.y)
    unit.attempt(lambda: unit.open(one.path, one.params, one.span))
    if unit.root is None:
        return unit, []
    unit.lower_all()
    unit.out.params = shown_params(one.params)
    return unit, unit.finish()


def shown_params(params: Mapping[str, Val]) -> str:
    """Numbers and names among the parameters, for people."""
    shown = []
    for name, value in params.items():
        if isinstance(value.data, Sym):
            shown.append(f"{name}={value.data.values.min()}..{value.data.values.max()}")
        elif isinstance(value.data, bool | int | float | str):
            shown.append(f"{name}={describe(value).split(' of type')[0]}")
    return " ".join(shown)


def add_unit(layout: ir.Layout, state: LayoutState, one: Class, unit: Unit, varying: list) -> None:
    number = len(layout.units)
    layout.units.append(unit.out)
    layout.class_of[one.y, one.x] = number
    for color, (config, span) in unit.colors.items():
        try:
            state.route(color, config, one.x, one.y, span)
        except CslError as error:
            unit.program.findings.add(error)
    for symbol, offset, values in varying:
        plane = np.zeros((layout.height, layout.width), values.dtype)
        plane[one.y, one.x] = values
        layout.per_pe.append(ir.PerPe(number, symbol, offset, plane))


# ---- names ----


def check_exports(program: Program, state: LayoutState, layout: ir.Layout) -> None:
    """Warns of names that no PE has a symbol for."""
    published = {export.name for unit in layout.units for export in unit.exports}
    for name, (_, _, span) in state.exports.items():
        if name not in published:
            program.findings.warn(span, f"no PE exports a symbol {name}")


def name_colors(names: dict[int, str], module: Instance) -> None:
    """Adds names of colors by number, where a color has none: a module's constants and params, then parts of them."""
    values = [(name, entry) for name, entry in module.entries.items() if isinstance(entry, Val)]
    for name, color in [*_colors_of(values, 0), *_colors_of(values, COLORS_DEPTH)]:
        names.setdefault(color, name)


def _colors_of(values: Iterable[tuple[str, Val]], depth: int) -> Iterator[tuple[str, int]]:
    """(name, number) of colors, and of those in structs, tuples and arrays: `east`, `east[0]`, `ways.east`."""
    for name, value in values:
        if value.type is t.COLOR and isinstance(value.data, int):
            yield name, value.data
        elif not depth:
            continue
        elif isinstance(value.type, t.ArrayType) and value.type.elem is t.COLOR and isinstance(value.data, np.ndarray):
            yield from ((f"{name}[{i}]", int(color)) for i, color in enumerate(value.data.reshape(-1)[:MOST_COLORS]))
        elif isinstance(value.data, dict):
            yield from _colors_of([(f"{name}.{key}", part) for key, part in value.data.items()], depth - 1)
        elif isinstance(value.data, list):
            parts = [(f"{name}[{i}]", part) for i, part in enumerate(value.data[:MOST_COLORS])]
            yield from _colors_of(parts, depth - 1)
