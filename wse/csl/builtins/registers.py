"""Builtins of configuration registers: @get_config, @set_config and their unchecked forms.

Of the registers of a PE, those of the router exist: a color's routes and its switch.
"""

from __future__ import annotations

from ..ir import ir
from ..sema import types as t
from ..sema.convert import coerce, describe
from ..sema.frame import Frame
from ..sema.types import Type
from ..sema.values import VOID, Run, Sym, Val, Value, concrete
from ..syntax import ast
from ..syntax.errors import CslError, Span
from .table import builtin

REGISTERS = {"routes": 0x7F20, "switches": 0x7F40}  # word addresses of color 0
COLORS = 24


def address_of(frame: Frame, node: ast.BuiltinCall, ranges: ast.Node | None) -> ir.Value:
    """The word address of a register."""
    at = node.args[0]
    if frame.build is None:
        raise CslError.at(
            node.span,
            f"{node.name} belongs in functions and tasks: when compiling, the routes and switches of colors are set by "
            "@set_color_config and @set_local_color_config, and no other register is emulated",
        )
    value = frame.coerce(frame.expr(at, t.U16), t.U16, at.span)
    known = isinstance(value, Val) and not isinstance(value.data, Sym)
    if known and not any(0 <= value.data - first < COLORS for first in REGISTERS.values()):
        have = " and ".join(f"{first:#x} + color, its {name}" for name, first in REGISTERS.items())
        raise CslError.at(at.span, f"register {value.data:#x} is not emulated: {have}, are")
    if ranges is not None:
        given = frame.known(ranges)
        items = given.data if isinstance(given.data, list) else None
        nested = items is not None and all(isinstance(item.data, list) for item in items)
        accessed = [accessed_range(item, ranges.span) for item in (items if items and nested else [given])]
        if known and not any(low <= value.data <= high for low, high in accessed):
            shown = ", ".join(f"{low:#x} to {high:#x}" for low, high in accessed)
            raise CslError.at(at.span, f"register {value.data:#x} is outside of {shown}, which {node.name} names")
    return frame.operand(value, at.span)


def accessed_range(value: Val, span: Span) -> tuple[int, int]:
    """The first and last address of a range that a program states."""
    if not isinstance(value.data, list) or len(value.data) != 2:
        raise CslError.at(
            span, f"the registers that are accessed are .{{first, last}}, or a tuple of these, not {describe(value)}"
        )
    low, high = (concrete(coerce(item, t.U16, span)) for item in value.data)
    if low > high:
        raise CslError.at(span, f"the registers that are accessed end at {high:#x}, before their first, {low:#x}")
    return low, high


def get_config(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    at = address_of(frame, node, node.args[1] if len(node.args) > 1 else None)
    assert frame.build is not None
    reg = frame.build.reg("u16")
    frame.emit(ir.Sys("cfgld", reg, [at]))
    return Run(t.U16, reg)


def set_config(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    at = address_of(frame, node, node.args[2] if len(node.args) > 2 else None)
    value = frame.expr(node.args[1], t.U16)
    frame.emit(ir.Sys("cfgst", None, [frame.operand(value, node.args[1].span, t.U16), at]))
    return VOID


READS = "The word of a configuration register of the PE: 0x7f20 + color holds its routes, 0x7f40 + color its switch."
WRITES = "Sets a configuration register of the PE: 0x7f20 + color holds its routes, 0x7f40 + color its switch."
builtin("@get_config", "address, accessed?", meaning=READS)(get_config)
builtin("@get_config_unchecked", "address", meaning=READS)(get_config)
builtin("@set_config", "address, value, accessed?", meaning=WRITES)(set_config)
builtin("@set_config_unchecked", "address, value", meaning=WRITES)(set_config)
