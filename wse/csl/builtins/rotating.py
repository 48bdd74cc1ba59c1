"""@bind_rotating_tasks: a data task, and a control task that starts instead of it from time to time.

The task that is bound counts its starts in a variable and calls one of the two.
"""

from __future__ import annotations

from ..ir import ir
from ..sema import types as t
from ..sema.calls import entry
from ..sema.convert import describe
from ..sema.frame import Frame
from ..sema.suggest import did_you_mean
from ..sema.types import Type
from ..sema.values import VOID, FnRef, Val, Value, concrete
from ..syntax import ast
from ..syntax.errors import CslError
from .language import struct_of
from .table import builtin, in_comptime_block
from .tasks import bind_to, first_entry, function_of

FIELDS = ("init", "limit")


@builtin("@bind_rotating_tasks", "task, other, id, counts", architectures=("wse3",))
def bind_rotating_tasks(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    """Binds two data tasks to an id: the first is started limit times, then the other once. In a comptime block of
    the code of a PE."""
    in_comptime_block(frame, node)
    unit = frame.unit
    if len(unit.rotating) == 2:
        raise CslError.at(node.span, "a PE has two pairs of rotating tasks", *((span, "one") for span in unit.rotating))
    init, limit = counts(frame, node.args[3])
    main, other = function_of(frame, node.args[0]), function_of(frame, node.args[1])
    number = frame.number(node.args[2], t.DATA_TASK_ID)
    call = ast.BuiltinCall(node.span, node.name, [node.args[0], node.args[2]])
    bind_to(frame, main, "data", number, call)
    task = unit.out.tasks[-1]
    unit.rotating.append(node.span)
    unit.deferred.append(lambda: bind_other(frame, other, number, node))
    first, second = entry(unit, main, node.span), entry(unit, other, node.span)
    types = [[kind.ir or "" for _, kind in lowered.params] for lowered in (first, second)]
    if types[1] not in ([], types[0]):
        raise CslError.at(
            node.args[1].span, f"{other.name} has no parameters or those of {main.name}: it may start instead of it"
        )
    counter = unit.new_global(t.U32, f"{first.name}.starts", f"starts of {main.name}", node.span)
    counter.value = Val(t.U32, init)
    at = ir.Addr(unit.use(counter))
    params = [ir.Reg(kind, param.name) for kind, (param, _) in zip(types[0], first.params, strict=True)]
    count, more, full = ir.Reg("u32", "starts"), ir.Reg("u32", "more"), ir.Reg("bool", "full")
    blocks = [
        ir.Block(0, [ir.Load(count, at), ir.Bin("eq", full, count, ir.Const("u32", limit)), ir.Branch(full, 1, 2)]),
        ir.Block(
            1,
            [
                ir.Store(at, ir.Const("u32", 0)),
                ir.Call(None, second.name, list(params) if types[1] else []),
                ir.Return(),
            ],
        ),
        ir.Block(
            2,
            [
                ir.Bin("add", more, count, ir.Const("u32", 1)),
                ir.Store(at, more),
                ir.Call(None, first.name, list(params)),
                ir.Return(),
            ],
        ),
    ]
    name = unit.unique(f"{first.name}.rotating")
    function = ir.Function(name, params, None, blocks, main.name, task.at)
    for block in blocks:
        for instr in block.code:
            instr.at = task.at
    unit.out.functions.append(function)
    task.function = name
    return VOID


def bind_other(frame: Frame, other: FnRef, queue: int, node: ast.BuiltinCall) -> None:
    """Binds the control task to entry point 0 of the queue, whose table is known when all comptime blocks have run."""
    entry_point = first_entry(frame, queue, node.span)
    bind_to(frame, other, "control", entry_point, ast.BuiltinCall(node.span, node.name, [node.args[1], node.args[2]]))


def counts(frame: Frame, node: ast.Node) -> tuple[int, int]:
    """.init and .limit of the counter."""
    config = struct_of(frame, node, "the configuration of the rotation")
    for name, value in config.items():
        if name not in FIELDS:
            raise CslError.at(node.span, f"a rotation has no field {name}{did_you_mean(name, FIELDS, 40)}")
        if not t.is_integral(value.type) or not 0 <= concrete(value) < 1 << 32:
            raise CslError.at(node.span, f".{name} is a number of starts, not {describe(value)}")
    if "limit" not in config:
        raise CslError.at(node.span, "a rotation needs .limit, the starts between two of the control task")
    limit = concrete(config["limit"])
    init = concrete(config["init"]) if "init" in config else 0
    if init > limit:
        raise CslError.at(node.span, f".init is at most .limit, {limit}, not {init}")
    return init, limit
