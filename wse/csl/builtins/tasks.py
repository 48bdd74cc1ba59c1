"""Builtins of colors, queues and tasks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..ir import ir
from ..sema import types as t
from ..sema.calls import entry
from ..sema.convert import describe
from ..sema.exprs import convert
from ..sema.frame import Frame, at_of
from ..sema.lvalues import load
from ..sema.queues import MEMCPY_COLORS, QUEUES, named, reserved_color
from ..sema.suggest import did_you_mean
from ..sema.types import Type
from ..sema.values import VOID, FnRef, Run, Val, Value, concrete
from ..syntax import ast
from ..syntax.errors import CslError, Span
from .language import struct_of
from .table import ARCHITECTURES, Fields, builtin, in_code, in_comptime_block, leaves

MEMCPY_TASKS = {"local": (27, 28, 30), "control": (33, 34, 35, 36, 37)}


def ranges(arch: str) -> dict[Type, tuple[int, int, str]]:
    """Numbers that ids may have: first, last, what they are called."""
    inputs, outputs = QUEUES[arch]
    return {
        t.COLOR: (0, 31, "a color"),
        t.INPUT_QUEUE: (0, inputs - 1, "an input queue"),
        t.OUTPUT_QUEUE: (0, outputs - 1, "an output queue"),
        t.UT_ID: (0, 7, "a microthread"),
        t.LOCAL_TASK_ID: (0 if arch == "wse2" else 8, 30, "a local task"),
        t.CONTROL_TASK_ID: (0, 63, "a control task"),
    }


def id_builtin(name: str, kind: Type, *from_ids: Type) -> None:
    """@get_…(n): a number, or an id of one of the other types, as this type."""

    def make(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
        value = frame.expr(node.args[0])
        low, high, what = ranges(frame.unit.program.arch)[kind]
        if not t.is_integral(value.type) and value.type not in from_ids:
            shown = describe(value) if isinstance(value, Val) else f"a value of type {value.type}"
            raise CslError.at(node.args[0].span, f"{node.name} takes an integer, not {shown}")
        if not isinstance(value, Val):
            return at_run_time(frame, value, kind, node)
        number = concrete(value)
        if not low <= number <= high:
            raise CslError.at(
                node.args[0].span,
                f"{number} is no number of {what}: on {frame.unit.program.arch} these are {low} to {high}",
            )
        return Val(kind, number)

    ids = " or ".join(["an integer", *(f"a value of type {one}" for one in from_ids)])
    architectures = ("wse3",) if kind is t.UT_ID else ARCHITECTURES
    builtin(name, "number", architectures, f"The {kind} of a number: {ids}.")(make)


def at_run_time(frame: Frame, value: Value, kind: Type, node: ast.BuiltinCall) -> Value:
    """An id of a u16, or of another id, that is known at run time only; nothing checks its range."""
    span = node.args[0].span
    if kind in (t.INPUT_QUEUE, t.OUTPUT_QUEUE):
        raise CslError.at(span, f"{node.name}: the number of a queue must be known at compile time")
    if isinstance(value.type, t.IdType):
        return Run(kind, frame.operand(value, span))
    return convert(frame, frame.coerce(value, t.U16, span), kind, node.span)


id_builtin("@get_color", t.COLOR)
id_builtin("@get_input_queue", t.INPUT_QUEUE)
id_builtin("@get_output_queue", t.OUTPUT_QUEUE)
id_builtin("@get_ut_id", t.UT_ID, t.INPUT_QUEUE, t.OUTPUT_QUEUE)
id_builtin("@get_local_task_id", t.LOCAL_TASK_ID, t.COLOR)
id_builtin("@get_control_task_id", t.CONTROL_TASK_ID)


@builtin("@get_data_task_id", "channel")
def get_data_task_id(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    """The id of the data task that an input queue of WSE-3, or a color of WSE-2, activates."""
    value = frame.expr(node.args[0])
    wanted = t.COLOR if frame.unit.program.arch == "wse2" else t.INPUT_QUEUE
    if value.type is not wanted:
        made_from = f"on {frame.unit.program.arch} the id of a data task is made from a value of type {wanted}"
        shown = describe(value) if isinstance(value, Val) else f"a value of type {value.type}"
        raise CslError.at(node.args[0].span, f"{made_from}, not {shown}")
    if not isinstance(value, Val):
        return at_run_time(frame, value, t.DATA_TASK_ID, node)
    number = concrete(value)
    if wanted is t.COLOR and number > 23:
        raise CslError.at(node.args[0].span, f"color {number} cannot be routed and so wakes no data task")
    return Val(t.DATA_TASK_ID, number)


# ---- binding ----


def bind(kind: str, id_type: Type) -> Callable:
    def make(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
        in_comptime_block(frame, node)
        task = function_of(frame, node.args[0])
        number = frame.number(node.args[1], id_type)
        bind_to(frame, task, kind, number, node)
        return VOID

    return make


for _kind, _type in (("local", t.LOCAL_TASK_ID), ("data", t.DATA_TASK_ID), ("control", t.CONTROL_TASK_ID)):
    _meaning = f"Binds a task to the id of a {_kind} task. In a comptime block of the code of a PE."
    builtin(f"@bind_{_kind}_task", "task, id", meaning=_meaning)(bind(_kind, _type))


@builtin("@bind_task", "task, id")
def bind_task(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    """Binds a task to an id of any kind; a color binds a data task, or a local one if the task has no parameters."""
    kinds = {t.LOCAL_TASK_ID: "local", t.DATA_TASK_ID: "data", t.CONTROL_TASK_ID: "control", t.COLOR: "data"}
    value = frame.known(node.args[1])
    if value.type not in kinds:
        raise CslError.at(node.args[1].span, f"a task id was expected, not {describe(value)}")
    kind = kinds[value.type]
    if value.type is t.COLOR and not function_of(frame, node.args[0]).decl.params:
        kind = "local"
    bind_to(frame, function_of(frame, node.args[0]), kind, concrete(value), node)
    return VOID


def function_of(frame: Frame, node: ast.Node) -> FnRef:
    value = load(frame, frame.lvalue(node), node.span)
    if not isinstance(value, Val) or not isinstance(value.data, FnRef):
        shown = describe(value) if isinstance(value, Val) else f"a value of type {value.type}"
        raise CslError.at(node.span, f"a task was expected, not {shown}")
    return value.data


def bind_to(frame: Frame, fn: FnRef, kind: str, number: int, node: ast.BuiltinCall) -> None:
    """Enters a task into the unit's table."""
    if fn.decl.kind != "task":
        raise CslError.at(
            node.args[0].span,
            f"{fn.name} is a function: what is bound to an id is a `task`",
            (fn.decl.name_span, "here"),
        )
    own = kind == "control" and frame.unit.out.control_tasks is not None
    tables = ("control", "task") if kind == "control" else ("task", "control")
    first = frame.unit.bound.get((tables[0], number))
    if first is not None:
        raise CslError.at(node.span, f"{kind} task {number} is bound twice", (first, "first here"))
    other = frame.unit.bound.get((tables[1], number))
    if other is not None:
        what = frame.unit.kinds[tables[1], number]
        error = CslError.at(
            node.span,
            f"{kind} task {number} is bound twice: as a {what} task, too; @set_control_task_table (wse3) gives control "
            "tasks their own numbers",
            (other, "first here"),
        )
        frame.unit.deferred_checks.append(lambda: one_table(frame, error))
    reserved = MEMCPY_TASKS.get(kind, ())
    if number in reserved and not frame.instance.library:
        listed = f"{', '.join(map(str, reserved[:-1]))} and {reserved[-1]}"
        words = f"{kind} task {number} belongs to the memcpy library: {listed} do"
        frame.unit.reserved.append(CslError.at(node.args[1].span, words))
    if kind == "data" and frame.unit.program.arch == "wse2" and number in MEMCPY_COLORS:
        frame.unit.reserved.append(CslError.at(node.args[1].span, reserved_color(number)))
    frame.unit.bound[tables[0], number], frame.unit.kinds[tables[0], number] = node.span, kind
    if kind == "local":
        check_parameters(frame, fn, None, kind, node)
    lowered = entry(frame.unit, fn, node.span)
    check_parameters(frame, fn, lowered, kind, node)
    if own:
        number = control_task(frame, number, node.span)
    frame.unit.task_ids[id(fn.decl), id(fn.instance)] = number
    if kind == "control":
        if not frame.unit.controls and not frame.instance.library:
            frame.unit.deferred_checks.append(lambda: check_channels(frame, node.span))
        frame.unit.controls.add((id(fn.decl), id(fn.instance)))
    frame.unit.out.tasks.append(ir.Task(kind, number, lowered.name, at=at_of(node.span)))


def check_channels(frame: Frame, span: Span) -> None:
    """A remark if control tasks would not start on the machine: its channels without a data task begin blocked."""
    unit = frame.unit
    if unit.queues.unblocks or any(task.kind == "data" for task in unit.out.tasks):
        return
    what = "color" if unit.program.arch == "wse2" else "input queue"
    unit.program.findings.warn(
        span, f"on the machine control tasks wait for @unblock of the {what} that brings their wavelets: there is none"
    )


def one_table(frame: Frame, error: CslError) -> None:
    """Raises the error if control tasks have no table of their own."""
    if frame.unit.out.control_tasks is None:
        raise error


WAVELET = "a wavelet has 32 bits: one parameter of 32 bits, up to two of 16, or up to four of 8"


def check_parameters(frame: Frame, fn: FnRef, lowered: Any, kind: str, node: ast.BuiltinCall) -> None:
    """Whether the parameters of a task can be filled from its wavelet."""
    params = fn.decl.params
    if kind == "local" and params:
        raise CslError.at(params[0].span, f"local task {fn.name} takes no parameters", (node.span, "bound here"))
    if kind == "data" and not params:
        raise CslError.at(
            fn.decl.name_span,
            f"data task {fn.name} needs a parameter for the data of its wavelet: task {fn.name}(data: u32)",
            (node.span, "bound here"),
        )
    types = [of.ir for _, of in lowered.params] if lowered is not None else []
    ends = [at + ir.BITS[of] for at, of in zip(ir.wavelet_parts(types), types, strict=True)]
    for param, end in zip(params, ends, strict=False):
        if end > 32:
            raise CslError.at(
                param.span,
                f"task {fn.name}: no bits of the wavelet are left for {param.name}: {WAVELET}",
                (node.span, "bound here"),
            )


def task_number(frame: Frame, value: Value, span: Span) -> int:
    """The number in the task table of an id, or of a task by name."""
    if not isinstance(value, Val):
        raise CslError.at(span, "this task id is not known at compile time")
    if isinstance(value.data, FnRef):
        fn = value.data
        number = frame.unit.task_ids.get((id(fn.decl), id(fn.instance)))
        if number is None:
            frame.unit.find_bindings()
            number = frame.unit.task_ids.get((id(fn.decl), id(fn.instance)))
        if number is None:
            if fn.decl.kind != "task":
                raise CslError.at(span, f"{fn.name} is a function, not a task: call it")
            raise CslError.at(
                span, f"task {fn.name} is not bound to an id: @bind_local_task binds it in a comptime block"
            )
        return number
    if value.type not in (*t.TASK_IDS, t.COLOR, t.INPUT_QUEUE):
        raise CslError.at(span, f"a task id or the name of a task was expected, not {describe(value)}")
    if value.type is t.CONTROL_TASK_ID and frame.unit.out.control_tasks is not None:
        return control_task(frame, concrete(value), span)
    return concrete(value)


def control_task(frame: Frame, entry_point: int, span: Span) -> int:
    """The task of an entry point in the table of control tasks: the next that is free, from 63 down."""
    table = frame.unit.out.control_tasks
    if entry_point not in table:
        number = 63 - len(table)
        if number <= ranges(frame.unit.program.arch)[t.LOCAL_TASK_ID][1]:
            raise CslError.at(span, f"a PE has at most {len(table)} control tasks beside the others")
        table[entry_point] = number
    return table[entry_point]


TABLE_FIELDS: dict[str, tuple[int, ...]] = {"instructions": (2, 4, 8), "stride": (1, 2, 3, 4, 5, 6, 7)}


@builtin("@set_control_task_table", "config?", ("wse3",), fields={"config": leaves(TABLE_FIELDS)})
def set_control_task_table(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    """Gives control tasks a table of their own. How far its entries lie apart has no effect on a program."""
    in_comptime_block(frame, node)
    unit = frame.unit
    config = struct_of(frame, node.args[0], "the configuration of the table") if node.args else {}
    for name, value in config.items():
        if name not in TABLE_FIELDS:
            hint = did_you_mean(name, TABLE_FIELDS, 40)
            raise CslError.at(node.args[0].span, f"a table of control tasks has no field {name}{hint}")
        if not t.is_integral(value.type) or concrete(value) not in TABLE_FIELDS[name]:
            allowed = ", ".join(map(str, TABLE_FIELDS[name]))
            raise CslError.at(node.args[0].span, f".{name} is one of {allowed}, not {describe(value)}")
    if unit.out.control_tasks is not None:
        raise CslError.at(node.span, "@set_control_task_table is called twice")
    if unit.blocked_control is not None:
        raise CslError.at(
            node.span, "@set_control_task_table comes before control tasks are blocked", (unit.blocked_control, "here")
        )
    unit.out.control_tasks = {}
    unit.control_stride = concrete(config["stride"]) if "stride" in config else 1
    for task in unit.out.tasks:  # those that are bound already
        if task.kind == "control":
            moved = control_task(frame, task.id, node.span)
            unit.task_ids |= {
                key: moved for key, number in unit.task_ids.items() if number == task.id and key in unit.controls
            }
            task.id = moved
    return VOID


# ---- activate, block, unblock ----


@builtin("@activate", "task")
def activate(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    """Activates a local task: a task by name, its id, or on WSE-2 a color."""
    in_code(frame, node)
    value = frame.expr(node.args[0])
    span = node.args[0].span
    if isinstance(value, Val):
        number = activated_task(frame, value, span, bound=frame.build is None)
        if frame.build is None:
            frame.unit.out.active.add(number)
        else:
            frame.emit(ir.Sys("activate", None, [ir.Const("u16", number)]))
    else:
        frame.emit(ir.Sys("activate", None, [task_operand(frame, value, node, (t.LOCAL_TASK_ID, t.COLOR))]))
    return VOID


def activated_task(frame: Frame, value: Value, span: Span, bound: bool = False) -> int:
    """The number of a task that is activated: a local one.  bound: it is an error as well if none has the number; else
    that is a fault when it is activated, which may never be."""
    number = task_number(frame, value, span)

    def check() -> None:
        kind, first = bound_as(frame, number)
        if kind is None and bound:
            raise CslError.at(span, f"no task is bound to local task id {number}: @bind_local_task binds one")
        if kind not in (None, "local"):
            raise CslError.at(span, f"only local tasks are activated: {number} is a {kind} task", (first, "bound here"))

    frame.unit.deferred_checks.append(check)
    return number


def bound_as(frame: Frame, number: int) -> tuple[str | None, Span | None]:
    """What kind of task is bound to a number, and where; None if there is none."""
    unit = frame.unit
    table = "task" if ("task", number) in unit.kinds or unit.out.control_tasks is not None else "control"
    return unit.kinds.get((table, number)), unit.bound.get((table, number))


def task_operand(frame: Frame, value: Value, node: ast.BuiltinCall, kinds: tuple[Type, ...]) -> ir.Value:
    if isinstance(value, Val):
        return ir.Const("u16", task_number(frame, value, node.args[0].span))
    if value.type not in kinds:
        raise CslError.at(node.args[0].span, f"{node.name} takes a task id, not a value of type {value.type}")
    if value.type is t.CONTROL_TASK_ID and frame.unit.out.control_tasks is not None:
        raise CslError.at(node.args[0].span, "with @set_control_task_table this id must be known at compile time")
    return frame.operand(value, node.args[0].span)


def blocker(op: str) -> Callable:
    def make(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
        in_code(frame, node)
        value = frame.expr(node.args[0])
        span = node.args[0].span
        if value.type is t.UT_ID:
            if frame.build is None:
                start = frame.unit.startup_frame(frame)
                start.emit(ir.Sys(f"ut{op}", None, [ir.Const("u16", concrete(frame.known(node.args[0])))]))
            else:
                frame.emit(ir.Sys(f"ut{op}", None, [frame.operand(value, span)]))
            return VOID
        check_channel(frame, value, node.name, span)
        if frame.build is None:
            number = task_number(frame, value, span)
            if value.type is t.CONTROL_TASK_ID and frame.unit.out.control_tasks is None:
                frame.unit.blocked_control = span
            (frame.unit.out.blocked.add if op == "block" else frame.unit.out.blocked.discard)(number)
            if op == "unblock" and value.type is t.COLOR:
                frame.unit.queues.opened.add(number)
        else:
            frame.emit(ir.Sys(op, None, [task_operand(frame, value, node, (*t.TASK_IDS, t.COLOR, t.INPUT_QUEUE))]))
        return VOID

    return make


def check_channel(frame: Frame, value: Value, what: str, span: Span) -> None:
    """Data tasks are known by a color on WSE-2, by an input queue on WSE-3."""
    arch = frame.unit.program.arch
    frame.unit.queues.unblocks |= what != "@block" and value.type in (t.INPUT_QUEUE, t.COLOR, t.DATA_TASK_ID)
    if value.type is t.INPUT_QUEUE and arch == "wse2":
        raise CslError.at(span, f"on wse2 {what} takes a task id or a color, not an input queue")
    if value.type is t.COLOR and arch == "wse3":
        raise CslError.at(span, f"on wse3 {what} takes a task id or an input queue, not a color")


def unblocked_task(frame: Frame, value: Value, span: Span) -> int:
    """The number of a task that the end of an operation unblocks: a data or local one."""
    check_channel(frame, value, ".unblock", span)
    number = task_number(frame, value, span)

    def check() -> None:
        kind, first = bound_as(frame, number)
        if kind == "control":
            raise CslError.at(
                span, f"data and local tasks are unblocked: {number} is a control task", (first, "bound here")
            )

    frame.unit.deferred_checks.append(check)
    return number


for _op, _meaning in (
    (
        "block",
        "Keeps a task from being started until it is unblocked: a task by name, its id, or the channel of a data task.",
    ),
    ("unblock", "Lets a task start that was blocked: a task by name, its id, or the channel of a data task."),
):
    builtin(f"@{_op}", "task", meaning=_meaning)(blocker(_op))


# ---- queues ----

PRIORITIES = {"low": 0, "medium": 1, "high": 2}
QUEUE_FIELDS: Fields = {"color": {}, "priority": leaves(PRIORITIES), "ctrl_table_id": {}}
QUEUE_OPTIONS = tuple(QUEUE_FIELDS)


@builtin("@initialize_queue", "queue, options?", fields={"options": QUEUE_FIELDS})
def initialize_queue(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    """Binds a queue to the color that it serves. In a comptime block of the code of a PE."""
    in_comptime_block(frame, node)
    queue = frame.known(node.args[0])
    if queue.type not in (t.INPUT_QUEUE, t.OUTPUT_QUEUE):
        raise CslError.at(node.args[0].span, f"a queue was expected, not {describe(queue)}")
    options = struct_of(frame, node.args[1], "the options of a queue") if len(node.args) > 1 else {}
    span = node.args[-1].span
    for name in options:
        if name not in QUEUE_OPTIONS:
            raise CslError.at(span, f"a queue has no option {name}{did_you_mean(name, QUEUE_OPTIONS, 40)}")
    place = (queue.type is t.INPUT_QUEUE, concrete(queue))
    first = frame.unit.queues.initialized.setdefault(place, node.span)
    if first is not node.span:
        raise CslError.at(node.span, f"{named(*place)} is initialized twice", (first, "first here"))
    if frame.unit.program.arch == "wse2" and place[0]:
        frame.unit.out.thread_priorities[place[1]] = PRIORITIES["high"]
    if "priority" in options:
        queue_priority(frame, queue, options["priority"], span)
    if "ctrl_table_id" in options:
        control_table(frame, queue, options["ctrl_table_id"], span)
    if "color" in options:
        bind_queue(frame, queue, concrete(frame.coerce(options["color"], t.COLOR, span)), node.span)
    elif frame.unit.program.arch == "wse3" or place[0]:
        raise CslError.at(node.span, f"{named(*place)} needs the color that it serves: .{{ .color = ... }}")
    return VOID


def queue_priority(frame: Frame, queue: Val, value: Value, span: Span) -> None:
    """The priority of the microthread that belongs to an input queue."""
    chosen = [name for name, item in value.data.items() if item.data is True] if isinstance(value.data, dict) else []
    if len(chosen) != 1 or chosen[0] not in PRIORITIES:
        raise CslError.at(span, "a priority is .{ .high = true }, .{ .medium = true } or .{ .low = true }")
    if queue.type is not t.INPUT_QUEUE:
        raise CslError.at(span, "an output queue has no .priority: input queues of wse2 have")
    if frame.unit.program.arch == "wse3":
        raise CslError.at(span, "wse3 has no .priority of queues: descriptors have")
    frame.unit.out.thread_priorities[concrete(queue)] = PRIORITIES[chosen[0]]


def control_table(frame: Frame, queue: Val, value: Value, span: Span) -> None:
    """The table of control tasks of an input queue: where the common table of all entry points begins for it."""
    if frame.unit.program.arch == "wse2":
        raise CslError.at(span, "wse2 has no .ctrl_table_id of queues: all share one table of control tasks")
    if queue.type is not t.INPUT_QUEUE:
        raise CslError.at(span, "an output queue has no .ctrl_table_id: control tasks belong to input queues")
    if not t.is_integral(value.type) or concrete(value) < 0:
        raise CslError.at(span, f".ctrl_table_id is an integer, not {describe(value)}")
    frame.unit.control_tables[concrete(queue)] = concrete(value)
    frame.unit.deferred.append(lambda: first_entry(frame, concrete(queue), span))


def first_entry(frame: Frame, queue: int, span: Span) -> int:
    """The entry point that is 0 for an input queue."""
    unit = frame.unit
    table = unit.control_tables.get(queue, 0)
    if table and unit.out.control_tasks is None:
        raise CslError.at(span, "a .ctrl_table_id other than 0 needs @set_control_task_table()")
    first = table * unit.control_stride
    if first > ranges("wse3")[t.CONTROL_TASK_ID][1]:
        raise CslError.at(
            span,
            f"table {table} of control tasks would begin at entry point {first} (stride {unit.control_stride}): "
            "there are 64 entry points",
        )
    if first:
        unit.out.control_first[queue] = first
    return first


def bind_queue(frame: Frame, queue: Val, color: int, span: Span) -> None:
    """Binds a queue to a color; to one only."""
    into = queue.type is t.INPUT_QUEUE
    queues = frame.unit.out.queues_in if into else frame.unit.out.queues_out
    number = concrete(queue)
    what = named(into, number)
    if number in queues and queues[number] != color:
        first = frame.unit.queues.spans.get((into, number))
        raise CslError.at(
            span, f"{what} is bound to color {queues[number]} and to color {color}", (first, "first here")
        )
    queues[number] = color
    frame.unit.queues.spans.setdefault((into, number), span)


@builtin("@set_teardown_handler", "handler, color")
def set_teardown_handler(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    """The function that is called when the color is in teardown. In a comptime block of the code of a PE."""
    in_comptime_block(frame, node)
    fn = handler_of(frame, node)
    color = frame.number(node.args[1], t.COLOR)
    if color in frame.unit.teardown:
        raise CslError.at(
            node.span, f"color {color} has two teardown handlers", (frame.unit.teardown[color][1], "first here")
        )
    frame.unit.teardown[color] = (entry(frame.unit, fn, node.span), node.span)
    return VOID


# ---- queues that become empty ----

OUTPUTS = 8  # bit of the first output queue in the instructions of flushed queues


@builtin("@queue_flush", "queue", architectures=("wse3",))
def queue_flush(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    """Calls the handler of the queue (`@set_empty_queue_handler`) as soon as the queue is empty."""
    frame.need_run(node.span, node.name)
    queue = queue_of(frame, node)
    op = "iqflush" if queue.type is t.INPUT_QUEUE else "oqflush"
    frame.emit(ir.Sys(op, None, [frame.operand(queue, node.args[0].span)]))
    return VOID


def queue_of(frame: Frame, node: ast.BuiltinCall, at: int = 0) -> Value:
    queue = frame.expr(node.args[at])
    if queue.type not in (t.INPUT_QUEUE, t.OUTPUT_QUEUE):
        shown = describe(queue) if isinstance(queue, Val) else f"a value of type {queue.type}"
        raise CslError.at(node.args[at].span, f"an input_queue or an output_queue was expected, not {shown}")
    return queue


@builtin("@set_empty_queue_handler", "handler, queue", architectures=("wse3",))
def set_empty_queue_handler(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    """The function that is called when the queue is empty after `@queue_flush`. In a comptime block of the code of a
    PE."""
    in_comptime_block(frame, node)
    fn = handler_of(frame, node)
    queue = queue_of(frame, node, 1)
    if not isinstance(queue, Val):
        raise CslError.at(node.args[1].span, "this queue is not known at compile time")
    number = concrete(queue) + (0 if queue.type is t.INPUT_QUEUE else OUTPUTS)
    if number in frame.unit.flushed:
        first = frame.unit.flushed[number][1]
        raise CslError.at(node.span, f"{describe(queue)} has two handlers", (first, "first here"))
    frame.unit.flushed[number] = (entry(frame.unit, fn, node.span), node.span)
    return VOID


def handler_of(frame: Frame, node: ast.BuiltinCall) -> FnRef:
    """A handler: a function without parameters and result."""
    fn = function_of(frame, node.args[0])
    if fn.decl.params or frame.unit.fn_type(fn, node.span).result is not t.VOID:
        raise CslError.at(node.args[0].span, f"a handler is of type fn()void: {fn.name} is not")
    return fn
