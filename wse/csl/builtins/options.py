"""Options of operations: the struct that is the last argument of a vector builtin or of @load_to_dsr."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..ir import ir
from ..sema import types as t
from ..sema.convert import describe
from ..sema.exprs import convert
from ..sema.frame import Frame
from ..sema.types import Type
from ..sema.values import Val, Value, concrete
from ..syntax import ast
from ..syntax.errors import CslError, Span
from .tasks import task_number

OPTIONS = (
    "async", "activate", "unblock", "on_control", "priority", "ut_id", "index", "simd_mode", "save_address",
    "single_step",
)  # fmt: skip
PRIORITIES = {"low": 0, "medium": 1, "high": 2}


@dataclass(eq=False)
class Given:
    """The options of an operation."""

    then: ir.Then = ir.NO_OPTIONS
    index: ir.Value | None = None
    save_address: bool = False
    on_control: tuple[str, int | None] | None = None


def struct_items(frame: Frame, node: ast.Node) -> dict[str, Value]:
    """Fields of a literal, which may be run-time values, or of a known struct."""
    if isinstance(node, ast.StructLit) and node.type is None:
        return {item.name or "": frame.expr(item.value) for item in node.items}
    value = frame.known(node)
    if isinstance(value.data, list) and not value.data:
        return {}
    if not isinstance(value.data, dict):
        raise CslError.at(node.span, f"a struct of options was expected, not {describe(value)}")
    return dict(value.data)


def options(frame: Frame, node: ast.Node) -> Given:
    items = struct_items(frame, node)
    for name in items:
        if name not in OPTIONS:
            raise CslError.at(
                node.span, f"an operation has no option {name or 'without a name'}: known are {', '.join(OPTIONS)}"
            )
    if "activate" in items and "unblock" in items:
        raise CslError.at(node.span, "an operation has .activate or .unblock, not both")
    given = Given()
    if "index" in items:
        given.index = frame.operand(as_u16(frame, items["index"], node.span), node.span)
    if "on_control" in items:
        given.on_control = on_control(frame, items["on_control"], node)
    given.save_address = truth(items, "save_address", node.span)
    given.then = ir.Then(
        truth(items, "async", node.span),
        task_number(frame, items["activate"], node.span) if "activate" in items else None,
        task_number(frame, items["unblock"], node.span) if "unblock" in items else None,
        known_number(frame, items["ut_id"], t.UT_ID, node.span) if "ut_id" in items else None,
        priority(items["priority"], node.span) if "priority" in items else None,
    )
    return given


def as_u16(frame: Frame, value: Value, span: Span) -> Value:
    return convert(frame, value, t.U16, span)


def on_control(frame: Frame, given: Any, node: ast.Node) -> tuple[str, int | None]:
    value = given if isinstance(given, Val) else frame.known(given)
    if not isinstance(value.data, dict) or len(value.data) != 1:
        raise CslError.at(node.span, ".on_control has one of .terminate, .activate, .unblock")
    ((what, item),) = value.data.items()
    if what == "terminate":
        return "terminate", None
    if what not in ("activate", "unblock"):
        raise CslError.at(node.span, f".on_control has one of .terminate, .activate, .unblock, not .{what}")
    return what, task_number(frame, item, node.span)


def truth(items: dict[str, Value], name: str, span: Span) -> bool:
    value = items.get(name)
    if value is None:
        return False
    if not isinstance(value, Val) or value.type is not t.BOOL:
        raise CslError.at(span, f".{name} is true or false, known at compile time")
    return bool(concrete(value))


def known_number(frame: Frame, value: Value, kind: Type, span: Span) -> int:
    made = frame.coerce(value, kind, span)
    if not isinstance(made, Val):
        raise CslError.at(span, "this option must be known at compile time")
    return concrete(made)


def priority(value: Value, span: Span) -> int:
    if isinstance(value, Val) and isinstance(value.data, dict):
        chosen = [name for name, item in value.data.items() if item.data is True]
        if len(chosen) == 1 and chosen[0] in PRIORITIES:
            return PRIORITIES[chosen[0]]
    raise CslError.at(span, "a priority is .{ .high = true }, .{ .medium = true } or .{ .low = true }")
