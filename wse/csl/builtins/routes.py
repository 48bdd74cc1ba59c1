"""Builtins that configure colors: @set_color_config, @set_local_color_config, @get_filter_id."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np

from ...machine.parameters import Machine
from ..ir import ir
from ..sema import types as t
from ..sema.convert import describe
from ..sema.frame import Frame, at_of
from ..sema.queues import MEMCPY_COLORS, reserved_color
from ..sema.suggest import did_you_mean
from ..sema.types import Type
from ..sema.values import VOID, Val, Value, concrete, key_of, sym
from ..syntax import ast
from ..syntax.errors import CslError, Span
from .layout import layout_of, position, settle
from .table import Fields, builtin, in_comptime_block, leaves

LETTERS = {t.DIRECTIONS.index(name): name[0] for name in t.DIRECTIONS}
BITS = "WESNR"  # of a side given as a number, from the lowest; inputs may stand in bits 9:5 instead
SIDE = (1 << len(BITS)) - 1
POPS = ("no_pop", "always_pop", "pop_on_advance", "pop_on_advance_nop")
FILTERS = {"range": "range", "counter": "counter", "sparse_counter": "sparse"}
COUNTS = {
    "count_data": "count_data", "count_control": "count_control", "init_counter": "init_counter", "limit1": "limit1",
    "max_counter": "max_counter",
}  # fmt: skip
FILTER_FIELDS = {
    "range": {"min_idx": "min_index", "max_idx": "max_index"},
    "counter": {**COUNTS, "filter_control": "filter_control"},
    "sparse_counter": {**COUNTS, "limit2": "limit2"},
}
TRUTHS = ("count_data", "count_control", "filter_control")  # of these fields
# The struct of @set_color_config, with the structs in it.
POSITIONS = ("pos1", "pos2", "pos3")
ROUTES: Fields = {**leaves(("rx", "tx", "color_swap_x", "color_swap_y")), "pop_mode": leaves(POPS)}
SWITCHES: Fields = {
    **dict.fromkeys(POSITIONS, leaves(("rx", "tx", "invalid"))),
    **leaves(("current_switch_pos", "ring_mode")),
    "pop_mode": leaves(POPS),
}
FILTER: Fields = {
    "kind": leaves(FILTERS),
    "fast_mode": {},
    **leaves(sorted({name for fields in FILTER_FIELDS.values() for name in fields})),
}
CONFIG: Fields = {"routes": ROUTES, "switches": SWITCHES, "filter": FILTER, "teardown": {}}


@builtin("@set_color_config", "x, y, color, config", fields={"config": CONFIG})
def set_color_config(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    """The routes, switches and filter of a color at a PE. In the layout block."""
    state = layout_of(frame, node)
    x, y = position(frame, node, state)
    color = color_of(frame, node.args[2])
    value = frame.known(node.args[3])
    settle(value)
    key = key_of(value)
    config = state.known.get(key)
    if config is None:
        config = state.known[key] = color_config(value, frame.unit.program.arch, node.args[3].span)
    check_switch(frame, color, config, node.args[3].span)
    frame.unit.program.configures()
    state.do(state.route, color, config, x, y, node.span)
    return VOID


@builtin("@set_local_color_config", "color, config", fields={"config": CONFIG})
def set_local_color_config(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    """The routes, switches and filter of a color at the PEs with this code. In a comptime block of the code of a PE."""
    in_comptime_block(frame, node)
    color = color_of(frame, node.args[0])
    config = color_config(frame.known(node.args[1]), frame.unit.program.arch, node.args[1].span)
    check_switch(frame, color, config, node.args[1].span)
    if color in frame.unit.colors:
        raise CslError.at(node.span, f"color {color} is configured twice", (frame.unit.colors[color][1], "first here"))
    frame.unit.colors[color] = (config, node.span)
    return VOID


def check_switch(frame: Frame, color: int, config: ir.ColorConfig, span: Span) -> None:
    """Whether the machine has a switch for the color."""
    machine = Machine.of(frame.unit.program.arch)
    if config.switch and not machine.has_switch(color):
        have = ", ".join(str(number) for number in range(machine.colors) if machine.has_switch(number))
        raise CslError.at(span, f"color {color} has no switch: on {machine.name} only colors {have} have one")


def color_of(frame: Frame, node: ast.Node) -> int:
    """The number of a color that the program may configure: a color, or an integer."""
    value = frame.known(node)
    number = concrete(value) if t.is_integral(value.type) else concrete(frame.coerce(value, t.COLOR, node.span))
    if not 0 <= number <= 23:
        raise CslError.at(node.span, f"color {number} cannot be routed: routable colors are 0 to 23")
    if number in MEMCPY_COLORS and not frame.instance.library:
        frame.unit.reserved.append(CslError.at(node.span, reserved_color(number)))
    return number


@builtin("@get_filter_id", "color")
def get_filter_id(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    """The number of a color's filter among those of the PE, in the order of their colors."""
    color = color_of(frame, node.args[0])
    frame.unit.find_bindings()
    filters = {number for number, (config, _) in frame.unit.colors.items() if config.filter is not None}
    given = filters_of_layout(frame)
    if color not in filters and (color not in given or not given[color].all()):
        raise CslError.at(node.args[0].span, f"color {color} has no filter on this PE")
    before: Any = sum(number < color for number in filters)
    for number, here in given.items():
        if number < color and number not in filters:
            before = before + here.astype(np.uint16)
    return Val(t.U16, sym(before.astype(np.uint16)) if isinstance(before, np.ndarray) else before)


def filters_of_layout(frame: Frame) -> dict[int, np.ndarray]:
    """Colors with a filter by @set_color_config: on which PEs of the unit."""
    found = {}
    state, (x, y) = frame.unit.program.layout, frame.unit.where
    for color, (plane, configs) in (state.routes if state is not None else {}).items():
        has = np.array([config.filter is not None for config in configs] + [False])
        here = np.atleast_1d(has[plane[y, x]])
        if here.any():
            found[color] = here
    return found


# ---- the configuration of a color ----


def fields_of(value: Val, known: Collection[str], what: str, span: Span) -> dict[str, Val]:
    data = value.data
    if isinstance(data, list) and not data:
        return {}
    if not isinstance(data, dict):
        raise CslError.at(span, f"{what} must be a struct with named fields, not {describe(value)}")
    for name in data:
        if name not in known:
            raise CslError.at(span, f"{what} has no field {name}{did_you_mean(name, known, 40)}")
    return data


def color_config(value: Val, arch: str, span: Span) -> ir.ColorConfig:
    """The struct of @set_color_config."""
    if isinstance(value.data, dict) and "routes" not in value.data and {"rx", "tx"} & set(value.data):
        raise CslError.at(
            span, "a color's configuration has its .rx and .tx in .routes: .{ .routes = .{ .rx = ..., ... } }"
        )
    data = fields_of(value, CONFIG, "a color's configuration", span)
    rx = tx = ""
    swap_x = swap_y = False
    ring, pop, at = False, "no_pop", 0
    if "routes" in data and t.is_integral(data["routes"].type):
        rx, tx = both_sides(concrete(data["routes"]), span)
    elif "routes" in data:
        routes = fields_of(data["routes"], ROUTES, ".routes", span)
        pop = pop_mode(routes, span)  # its place before it came to .switches
        rx = ports(routes["rx"], span) if "rx" in routes else ""
        tx = ports(routes["tx"], span) if "tx" in routes else ""
        swap_x, swap_y = flag(routes, "color_swap_x", span), flag(routes, "color_swap_y", span)
        if (swap_x or swap_y) and arch == "wse3":
            raise CslError.at(span, "wse3 has no color swap: .color_swap_x and .color_swap_y are of wse2")
    switch: tuple = ()
    if "switches" in data:
        switch, ring, new_pop, at = switches(data["switches"], arch, span)
        if pop != "no_pop" and new_pop not in ("no_pop", pop):
            raise CslError.at(span, f".pop_mode is {pop} in .routes and {new_pop} in .switches: leave the first out")
        pop = new_pop if new_pop != "no_pop" else pop
        switch = cumulative(rx, tx, switch)
    if arch == "wse3":
        for inputs in (rx, *(position_rx for position_rx, _ in switch)):
            if len(inputs) > 1:
                raise CslError.at(span, f"on wse3 a position has one input, not {len(inputs)}: .rx = .{{ direction }}")
    made = filter_of(data["filter"], span) if "filter" in data else None
    if bool(rx) != bool(tx) or not ("routes" in data or rx):
        missing = "input: .rx" if not rx else "output: .tx"
        raise CslError.at(span, f"the .routes of a color have at least one {missing} is empty")
    return ir.ColorConfig(
        rx, tx, switch, ring, pop, at, made, flag(data, "teardown", span), swap_x, swap_y, at=at_of(span)
    )


def flag(data: dict[str, Val], name: str, span: Span) -> bool:
    if name not in data:
        return False
    if data[name].type is not t.BOOL:
        raise CslError.at(span, f".{name} is true or false, not {describe(data[name])}")
    return bool(concrete(data[name]))


def ports(value: Val, span: Span) -> str:
    """Directions, or a number with a bit for each, as the letters of the router's ports."""
    items = value.data if isinstance(value.data, list) else [value]
    letters = ""
    for item in items:
        if t.is_integral(item.type):
            inputs, outputs = both_sides(concrete(item), span)
            if inputs and outputs:
                raise CslError.at(span, f"0x{concrete(item):x} has bits of inputs (9:5) and of outputs (4:0)")
            letters += inputs + outputs
        elif item.type is t.DIRECTION:
            letter = LETTERS[concrete(item)]
            if letter in letters:
                raise CslError.at(span, f"{t.DIRECTIONS[concrete(item)]} stands twice among these directions")
            letters += letter
        else:
            raise CslError.at(span, f"a direction was expected, not {describe(item)}")
    return "".join(sorted(set(letters)))


def both_sides(number: int, span: Span) -> tuple[str, str]:
    """Inputs in bits 9:5, outputs in bits 4:0, as the router's register has them."""
    if not 0 <= number < 1 << 2 * len(BITS):
        raise CslError.at(span, f"a route as a number has bits 9:0, inputs in 9:5 and outputs in 4:0, not {number}")
    rx, tx = number >> len(BITS), number & SIDE
    return tuple("".join(sorted(BITS[i] for i in range(len(BITS)) if side >> i & 1)) for side in (rx, tx))  # type: ignore[return-value]


def switches(value: Val, arch: str, span: Span) -> tuple[tuple, bool, str, int]:
    data = fields_of(value, SWITCHES, ".switches", span)
    positions: list[tuple[str | None, str | None]] = []
    for name in POSITIONS:
        if name not in data:
            break
        if t.is_integral(data[name].type):
            inputs, outputs = both_sides(concrete(data[name]), span)
            rx, tx = inputs or None, outputs or None
            if not inputs and not outputs:  # invalid
                break
        else:
            given = fields_of(data[name], SWITCHES[name], f".{name}", span)
            if flag(given, "invalid", span):
                break
            rx = ports(given["rx"], span) if "rx" in given else None
            tx = ports(given["tx"], span) if "tx" in given else None
        if not rx and not tx:
            raise CslError.at(span, f".{name} says neither .rx nor .tx, nor .invalid = true")
        if rx and tx and arch == "wse2":
            raise CslError.at(span, f".{name}: on wse2 a switch position changes .rx or .tx, not both")
        positions.append((rx, tx))
    for name in POSITIONS[len(positions) + 1 :]:
        if name in data and not invalid(data[name]):
            raise CslError.at(span, f".{name} is given, but the position before it is not")
    pop = pop_mode(data, span)
    at = concrete(data["current_switch_pos"]) if "current_switch_pos" in data else 0
    if not 0 <= at <= len(positions):
        raise CslError.at(span, f".current_switch_pos = {at}: there are positions 0 to {len(positions)}")
    return tuple(positions), flag(data, "ring_mode", span), pop, at


def pop_mode(data: dict[str, Val], span: Span) -> str:
    """The .pop_mode among these fields; that of a color without one."""
    if "pop_mode" not in data:
        return "no_pop"
    modes = fields_of(data["pop_mode"], POPS, ".pop_mode", span)
    chosen = [name for name in modes if flag(modes, name, span)]
    if len(chosen) > 1:
        raise CslError.at(span, f".pop_mode has one of {', '.join(chosen)}, not several")
    return chosen[0] if chosen else "no_pop"


def invalid(value: Val) -> bool:
    """Whether a switch position is none: 0 as a number, or .invalid."""
    if t.is_integral(value.type):
        return concrete(value) == 0
    return isinstance(value.data, dict) and "invalid" in value.data and bool(concrete(value.data["invalid"]))


def cumulative(rx: str, tx: str, positions: tuple) -> tuple:
    """A position changes one side of the position before it; the other side stays as it is there."""
    made = []
    for new_rx, new_tx in positions:
        rx, tx = new_rx or rx, new_tx or tx
        made.append((rx, tx))
    return tuple(made)


def filter_field(data: dict[str, Val], name: str, span: Span) -> int | bool:
    if name in TRUTHS:
        return flag(data, name, span)
    item = data[name]
    if not t.is_integral(item.type) or not 0 <= concrete(item) <= 0xFFFF:
        raise CslError.at(span, f".{name} of a filter is 0 to 65535, not {describe(item)}")
    return concrete(item)


def filter_of(value: Val, span: Span) -> ir.Filter:
    data = fields_of(value, FILTER, ".filter", span)
    kinds = [
        name
        for name in FILTERS
        if "kind" in data and isinstance(data["kind"].data, dict) and flag(data["kind"].data, name, span)
    ]
    if len(kinds) != 1:
        raise CslError.at(span, f"a filter has a .kind, one of .{{ .{' = true }, .{ .'.join(FILTERS)} = true }}")
    flag(data, "fast_mode", span)  # of the machine's filters; which wavelets pass is the same
    fields = FILTER_FIELDS[kinds[0]]
    made: list[tuple[str, Any]] = []
    for name in data:
        if name in ("kind", "fast_mode"):
            continue
        if name not in fields:
            raise CslError.at(span, f".{name} is no field of a {kinds[0]} filter: {', '.join(fields)} are")
        made.append((fields[name], filter_field(data, name, span)))
    return ir.Filter(FILTERS[kinds[0]], tuple(sorted(made)))
