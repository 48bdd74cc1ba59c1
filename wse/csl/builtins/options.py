"""Options of operations: the struct that is the last argument of a vector builtin or of @load_to_dsr."""

from __future__ import annotations

from typing import Any

from ...records import dataclass
from ..ir import ir
from ..sema import types as t
from ..sema.convert import describe
from ..sema.exprs import convert
from ..sema.frame import Frame
from ..sema.parts import fields_of
from ..sema.suggest import did_you_mean
from ..sema.values import Parts, Val, Value, concrete
from ..syntax import ast
from ..syntax.errors import CslError, Span
from .table import Fields, leaves
from .tasks import PRIORITIES, activated_task, check_channel, unblocked_task

ON_CONTROL = ("terminate", "activate", "unblock")
OF_BOTH: Fields = leaves(("async", "activate", "unblock")) | {
    "on_control": leaves(ON_CONTROL),
    "priority": leaves(PRIORITIES),
    "ut_id": {},
}
OPTION_FIELDS: Fields = {**OF_BOTH, "index": {}}
LOAD_FIELDS: Fields = {**OF_BOTH, **leaves(("save_address", "single_step"))}
OPTIONS, OF_LOADS = tuple(OPTION_FIELDS), tuple(LOAD_FIELDS)
ASYNCHRONOUS = ("activate", "unblock", "on_control", "priority", "ut_id")  # what goes with .async only


@dataclass(eq=False)
class Given:
    """The options of an operation."""

    then: ir.Then = ir.NO_OPTIONS
    index: ir.Value | None = None
    ut: ir.Value | None = None  # a microthread that is known at run time only
    save_address: bool = False
    single_step: bool = False
    task: ir.Value | None = None  # of .activate or .unblock, if it is known at run time only
    on_control: tuple[str, int | None] | None = None
    control: ir.Value | None = None  # the task of .on_control, if it is known at run time only
    names: tuple[str, ...] = ()


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


def options(frame: Frame, node: ast.Node, known: tuple[str, ...] = OPTIONS) -> Given:
    """The options of an operation, or of a load with `known` OF_LOADS."""
    items = struct_items(frame, node)
    what = "an operation" if known is OPTIONS else "@load_to_dsr"
    for name in items:
        if name not in known:
            hint = did_you_mean(name, known, 40)
            raise CslError.at(node.span, f"{what} has no option {name or 'without a name'}{hint}")
    if "activate" in items and "unblock" in items:
        raise CslError.at(node.span, f"{what} has .activate or .unblock, not both")
    if "ut_id" in items and frame.unit.program.arch == "wse2":
        raise CslError.at(node.span, "wse2 has no .ut_id: there the queue says the microthread")
    given = Given(names=tuple(items))
    if "index" in items:
        given.index = frame.operand(as_u16(frame, items["index"], node.span), node.span)
    if "on_control" in items:
        given.on_control, given.control = on_control(frame, items["on_control"], node)
    given.save_address = truth(items, "save_address", node.span)
    given.single_step = truth(items, "single_step", node.span)
    thread = frame.coerce(items["ut_id"], t.UT_ID, node.span) if "ut_id" in items else None
    if thread is not None and not isinstance(thread, Val):
        given.ut = frame.operand(thread, node.span)
        if "priority" in items:
            raise CslError.at(node.span, ".priority needs a .ut_id that is known at compile time")
    tasks: dict[str, int] = {}
    for name in ("activate", "unblock"):
        if name in items:
            tasks[name], given.task = task_of(frame, name, items[name], node.span)
            if given.task is not None and not truth(items, "async", node.span):
                raise CslError.at(
                    node.span,
                    f"an .{name} that is known at run time only needs an asynchronous operation: .async = true",
                )
    given.then = ir.Then(
        truth(items, "async", node.span),
        tasks.get("activate"),
        tasks.get("unblock"),
        concrete(thread) if isinstance(thread, Val) else None,
        priority(items["priority"], node.span) if "priority" in items else None,
    )
    return given


def as_u16(frame: Frame, value: Value, span: Span) -> Value:
    return convert(frame, value, t.U16, span)


def task_of(frame: Frame, what: str, value: Value, span: Span) -> tuple[int, ir.Value | None]:
    """The number of a task that is activated or unblocked; 0 and the value if it is known at run time only."""
    if isinstance(value, Val):
        return (activated_task if what == "activate" else unblocked_task)(frame, value, span), None
    kinds: tuple[t.Type, ...] = (t.LOCAL_TASK_ID,)
    if what == "unblock":
        kinds = (t.LOCAL_TASK_ID, t.DATA_TASK_ID, t.COLOR if frame.unit.program.arch == "wse2" else t.INPUT_QUEUE)
    if value.type not in kinds:
        names = " or ".join(map(str, kinds))
        raise CslError.at(
            span, f".{what} takes a value of type {names}, or a task by name, not one of type {value.type}"
        )
    if what == "unblock":
        check_channel(frame, value, ".unblock", span)
    return 0, frame.operand(value, span)


def on_control(frame: Frame, given: Any, node: ast.Node) -> tuple[tuple[str, int | None], ir.Value | None]:
    """What a control wavelet does, with the number of a task; the task apart if it is known at run time only."""
    value = frame.expr(given) if isinstance(given, ast.Node) else given
    has_fields = isinstance(value, Parts) or (isinstance(value, Val) and isinstance(value.data, dict))
    names, items = fields_of(value, node.span) if has_fields else (None, [])
    if names is None or len(names) != 1:
        raise CslError.at(node.span, ".on_control has one of .terminate, .activate, .unblock")
    what, item = names[0], items[0]
    if what == "terminate":
        if not isinstance(item, Val):
            raise CslError.at(node.span, ".terminate must be known at compile time")
        return ("terminate", None), None
    if what not in ("activate", "unblock"):
        raise CslError.at(node.span, f".on_control has one of .terminate, .activate, .unblock, not .{what}")
    number, later = task_of(frame, what, item, node.span)
    return (what, number), later


def later_control(given: Given, known: bool) -> tuple[str, ir.Value | None]:
    """What ir.Vector and ir.LoadDsr say about control wavelets, as their descriptor does not.  known: it is one that is
    known at compile time."""
    if given.on_control is None or (known and given.control is None):
        return "", None
    what, number = given.on_control
    return what, given.control or (None if number is None else ir.Const("u16", number))


def truth(items: dict[str, Value], name: str, span: Span) -> bool:
    value = items.get(name)
    if value is None:
        return False
    if not isinstance(value, Val) or value.type is not t.BOOL:
        raise CslError.at(span, f".{name} is true or false, known at compile time")
    return bool(concrete(value))


def chosen(value: Value, names: tuple[str, ...]) -> str | None:
    """The name of a struct such as .{ .high = true }; None if it is of another form."""
    if not isinstance(value, Val) or not isinstance(value.data, dict) or not set(value.data) <= set(names):
        return None
    if any(item.type is not t.BOOL for item in value.data.values()):
        return None
    true = [name for name, item in value.data.items() if concrete(item)]
    return true[0] if len(true) == 1 else None


def priority(value: Value, span: Span) -> int:
    name = chosen(value, tuple(PRIORITIES))
    if name is not None:
        return PRIORITIES[name]
    raise CslError.at(span, "a priority is .{ .high = true }, .{ .medium = true } or .{ .low = true }")
