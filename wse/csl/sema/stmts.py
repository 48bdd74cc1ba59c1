"""Statements: executed where everything is known, else lowered to blocks."""

from __future__ import annotations

from typing import Any

from ..ir import ir
from ..syntax import ast
from ..syntax.errors import CslError
from . import optional
from . import types as t
from .conditions import condition, truth
from .exprs import arms_type, join, operate
from .frame import Broken, Continued, Frame, Loop, Returned, expr, stmt
from .lvalues import check_element, load, store, store_mem
from .parts import assign as assign_parts
from .parts import fields_of, of_items
from .types import Type
from .values import UNDEFINED, VOID, Cell, DsdEdit, ElementRef, FnRef, Mem, Parts, RegVar, Run, Val, Value, zero

# ---- declarations ----


@stmt(ast.VarDecl)
def var_decl(frame: Frame, node: ast.VarDecl) -> None:
    kind = frame.type(node.type) if node.type is not None else None
    if kind is t.ANYTYPE:
        kind = None
    inner = frame.comptime() if node.comptime else frame
    value: Value | None = None
    if node.init is not None:
        value = inner.expr(node.init, kind)
        if kind is not None and not (isinstance(value, DsdEdit) and kind is value.type):
            value = inner.coerce(value, kind, node.init.span)
    elif kind is None:
        raise CslError.at(node.span, f"{node.name} needs a type or a value")
    if frame.build is not None and frame.build.dead:  # nothing that follows is reached
        return
    frame.bind(node.name, make_local(frame, inner, node, kind, value), node.name_span)


def make_local(frame: Frame, inner: Frame, node: ast.VarDecl, kind: Type | None, value: Value | None) -> Any:
    """What a local name is bound to."""
    if value is not None and value.type is t.UNDEFINED:
        value = None
    if node.kind == "const":
        if value is None:
            raise CslError.at(node.span, f"constant {node.name} has no value")
        return local_constant(frame, node, value)
    if isinstance(value, Parts):
        return Parts(value.type, [make_local(frame, inner, node, None, item) for item in value.items])
    kind = kind or (value.type if value is not None else None)
    if kind is None:
        like = f"var {node.name}: i16 = undefined;"
        raise CslError.at(node.span, f"{node.name} needs a type, which undefined does not have: as in `{like}`")
    build = inner.build
    if build is not None and kind is t.STRUCT and node.type is None and at_run_time(value):
        names, items = fields_of(value, node.span)
        return of_items(names, [make_local(frame, inner, node, None, item) for item in items])
    if build is not None and kind is t.RANGE and value is not None:  # its bounds may exist at run time only
        return local_constant(frame, node, value)
    if build is not None and kind.is_comptime:
        message = f"{node.name} of type {kind} does not exist at run time: {t.absence(kind)}, or write comptime var"
        raise CslError.at(node.name_span, message)
    if build is None or kind.is_comptime:
        if value is not None and not isinstance(value, Val):
            raise CslError.at(node.span, "this value is not known at compile time")
        if value is None and not kind.is_comptime:
            value = zero(kind)
        around = frame.build or frame.outer
        depth, loops = (around.depth, len(around.loops)) if around is not None else (0, 0)
        return Cell(kind, None if value is None else frame.copied(value, node.span), True, depth, loops)
    if kind.ir is not None and not frame.lowered.has_address(node):
        reg = build.variable(kind.ir, node.name)
        build.emit(ir.Copy(reg, ir.Const(kind.ir, 0) if value is None else frame.operand(value, node.span, kind)))
        return RegVar(kind, reg, True)
    memory = frame.unit.local(frame, kind, node.name, node.span, align=frame.alignment(node.align))
    if value is not None:
        store_mem(frame, memory, value, node.span)
    return memory


def at_run_time(value: Any) -> bool:
    """Whether an anonymous struct that is known can be a variable at run time: all its fields can."""
    if value is None or not isinstance(value.data, dict | list) or not value.data:
        return False
    _, items = fields_of(value, None)
    return all(at_run_time(item) if item.type is t.STRUCT else not item.type.is_comptime for item in items)


def local_constant(frame: Frame, node: ast.VarDecl, value: Value) -> Any:
    build = frame.build
    if isinstance(value, Parts):
        return Parts(value.type, [local_constant(frame, node, item) for item in value.items])
    if isinstance(value, Val):
        return frame.copied(value, node.span)
    assert build is not None
    if isinstance(value, Run):
        if frame.lowered.has_address(node):
            memory = frame.unit.local(frame, value.type, node.name, node.span)
            store_mem(frame, memory, value, node.span)
            memory.const = True
            return memory
        made = frame.fresh(value.value)
        if isinstance(made, ir.Reg) and not made.name:
            made.name = node.name
        return Run(value.type, made)
    if isinstance(value, Mem) and value.const:
        return value
    memory = frame.unit.local(frame, value.type, node.name, node.span)
    store_mem(frame, memory, value, node.span)
    memory.const = True
    return memory


# ---- simple ones ----


UNUSED = (ast.Literal, ast.Ident, ast.Member, ast.Binary, ast.Unary, ast.StructLit, ast.ArrayLit)


@stmt(ast.ExprStmt)
def expr_stmt(frame: Frame, node: ast.ExprStmt) -> None:
    value = frame.expr(node.value)
    if isinstance(value, Val) and isinstance(value.data, FnRef):
        raise CslError.at(node.span, f"{value.data.name} is not called: parentheses are missing")
    if isinstance(node.value, UNUSED) and value.type is not t.VOID:
        frame.unit.program.findings.warn(node.span, "this statement has no effect: the value is not used")


def path(target: ast.Node) -> str | None:
    """The variable or member that an element is of, as it is written; None if it is something else."""
    if isinstance(target, ast.Index):
        return path(target.base)
    if isinstance(target, ast.Member):
        base = path(target.base)
        return base and f"{base}.{target.name}"
    return target.name if isinstance(target, ast.Ident) else None


@stmt(ast.Assign)
def assign(frame: Frame, node: ast.Assign) -> None:
    if isinstance(node.target, ast.Ident) and node.target.name == "_" and node.op == "=":
        frame.expr(node.value)
        return
    where = frame.lvalue(node.target)
    if isinstance(where, Val | Run | DsdEdit):
        name = path(node.target)
        what = f"{name} is a constant" if name else "this is a value"
        raise CslError.at(node.target.span, f"{what} and cannot be changed")
    if isinstance(where, ElementRef):
        check_element(frame, node.target)
    kind = where.type
    if isinstance(where, Parts):
        if node.op != "=":
            raise CslError.at(node.span, f"{node.op} is no operator for structs")
        assign_parts(frame, where, frame.expr(node.value), node.value.span)
        return
    if node.op == "=":
        store(frame, where, frame.expr(node.value, kind), node.value.span)
        return
    old = load(frame, where, node.target.span)
    value = operate(frame, node.op[:-1], old, frame.expr(node.value, kind), node.span)
    store(frame, where, value, node.value.span)


@stmt(ast.Return)
def return_(frame: Frame, node: ast.Return) -> None:
    result = frame.result or t.VOID
    if node.value is None:
        if result is not t.VOID:
            raise CslError.at(node.span, f"a value of type {result} has to be returned")
        value: Value = VOID
    else:
        value = frame.expr(node.value, None if result is t.ANYTYPE else result)
        if value.type is not t.VOID or result is not t.VOID:
            value = frame.coerce(value, result, node.value.span)
    build = frame.build
    if build is None:
        raise Returned(value if isinstance(value, Val) else VOID, node.span)
    if frame.lowered is None:
        raise CslError.at(node.span, "return stands outside of a function")
    frame.lowered.returns(frame, value, node.span)


@stmt(ast.Break)
def break_(frame: Frame, node: ast.Break) -> None:
    value = frame.expr(node.value) if node.value is not None else None
    if frame.build is None:
        raise Broken(node.span, node.label, value)
    for loop in reversed(frame.build.loops):
        if (node.label is None and loop.step is not None) or (node.label is not None and loop.label == node.label):
            leave(frame, loop, value, node)
            return
    raise Broken(node.span, node.label, value).misplaced()


def leave(frame: Frame, loop: Loop, value: Value | None, node: ast.Break) -> None:
    """Goes behind a loop or block, with the value of the block if it is an expression."""
    build = frame.build
    assert build is not None
    loop.left = loop.broken = True
    if value is not None and value.type is t.VOID:
        value = None
    if value is not None and loop.values is None and loop.step is None:  # of a block that is a statement: not used
        loop.discarded = loop.discarded or node.span
        build.jump(loop.after)
        return
    if (value is None) != (loop.values is None):
        wanted = "has a value, which this break does not give" if value is None else "has no value"
        raise CslError.at(node.span, f"the block or loop that is left {wanted}")
    if loop.values is None:
        build.jump(loop.after)
        return
    if isinstance(value, Run):
        value = Run(value.type, frame.fresh(value.value))
    if build.block is not None:
        loop.values.append((build.block, value, node.span))
        build.block = None


@stmt(ast.Continue)
def continue_(frame: Frame, node: ast.Continue) -> None:
    if frame.build is None:
        raise Continued(node.span, node.label)
    for loop in reversed(frame.build.loops):
        if loop.step is not None and node.label in (None, loop.label):
            loop.left = True
            frame.build.jump(loop.step)
            return
    raise Continued(node.span, node.label).misplaced()


@expr(ast.Return, ast.Break, ast.Continue)
def jump_expr(frame: Frame, node: ast.Return | ast.Break | ast.Continue, want: Type | None) -> Value:
    """As an arm of if, switch or orelse: nothing comes after it."""
    frame.run(node)
    return UNDEFINED


@expr(ast.Block)
def block_value(frame: Frame, node: ast.Block, want: Type | None) -> Value:
    """As an arm of a switch: void, if it ends."""
    frame.run(node)
    return UNDEFINED if frame.build is not None and frame.build.dead else VOID


# ---- blocks ----


@stmt(ast.Block)
def block(frame: Frame, node: ast.Block) -> None:
    if node.label is not None and frame.build is not None:
        after = frame.build.new_block()
        loop = Loop(node.label, after, None)
        frame.build.loops.append(loop)
        block_body(frame, node)
        frame.build.loops.pop()
        if loop.discarded is not None and not frame.build.dead:
            raise CslError.at(loop.discarded, f"the block {node.label} may end without a value, so it has none")
        frame.build.jump(after)
        frame.build.start(after)
        return
    try:
        block_body(frame, node)
    except Broken as broken:
        if broken.label is None or broken.label != node.label:
            raise
        if broken.value is not None and broken.value.type is not t.VOID:
            raise CslError.at(broken.span, "the block or loop that is left has no value") from None


def block_body(frame: Frame, node: ast.Block) -> None:
    frame.names.append({})
    try:
        patient = frame.unit.program.patient and frame.lowered is not None and not frame.lowered.inline
        for statement in node.body:
            (run_patiently if patient else Frame.run)(frame, statement)
    finally:
        frame.names.pop()


def run_patiently(frame: Frame, node: ast.Node) -> None:
    """Runs a statement of run-time code; an error in a simple one does not keep the next from being looked at."""
    build = frame.build
    if build is None or not isinstance(node, ast.ExprStmt | ast.Assign):
        frame.run(node)
        return
    before = build.block, build.depth, build.loops[:], len(frame.names)
    try:
        frame.run(node)
    except CslError as error:
        frame.unit.found(error, frame.lowered)
        build.block, build.depth, build.loops[:] = before[:3]
        del frame.names[before[3] :]


@stmt(ast.ComptimeBlock)
def comptime_block(frame: Frame, node: ast.ComptimeBlock) -> None:
    frame.comptime().run(node.body)


@stmt(ast.If)
def if_(frame: Frame, node: ast.If) -> None:
    if node.capture is not None:
        captured_if(frame, node)
        return
    build = frame.build
    if build is None:
        chosen = node.then if truth(frame, node.condition) else node.other
        if chosen is not None:
            frame.run(chosen)
        return
    yes, no, end = build.new_block(), build.new_block(), build.new_block()
    other = no if node.other is not None else end
    decided = condition(frame, node.condition, yes, other)
    if decided is not None:
        chosen = node.then if decided else node.other
        if chosen is not None:
            frame.run(chosen)
        return
    build.depth += 1
    for target, body in ((yes, node.then), (no, node.other)):
        if body is not None:
            build.start(target)
            frame.run(body)
            build.jump(end)
    build.depth -= 1
    build.start(end)


def captured_if(frame: Frame, node: ast.If) -> None:
    """if (optional) |value| … else …"""
    build = frame.build
    yes, no, end = (build.new_block() if build is not None else ir.Block(0) for _ in range(3))
    decided, value = optional.branch(frame, node.condition, yes, no)
    if decided is not True and decided is not None:
        if node.other is not None:
            frame.run(node.other)
        return
    if decided:
        with optional.captured(frame, node.capture, value, node.span):
            frame.run(node.then)
        return
    assert build is not None
    build.depth += 1
    build.start(yes)
    with optional.captured(frame, node.capture, value, node.span):
        frame.run(node.then)
    build.jump(end)
    build.start(no)
    if node.other is not None:
        frame.run(node.other)
    build.jump(end)
    build.depth -= 1
    build.start(end)


@expr(ast.BlockExpr)
def block_expr(frame: Frame, node: ast.BlockExpr, want: Type | None) -> Value:
    """A labelled block as an expression: `break :label value` gives its value."""
    build = frame.build
    if build is None:
        try:
            block_body(frame, node.body)
        except Broken as broken:
            if broken.label != node.label or broken.value is None:
                raise
            return broken.value
        raise CslError.at(node.span, f"the block {node.label} ends without a value: break :{node.label} gives one")
    loop = Loop(node.label, build.new_block(), None)
    loop.values = []
    build.loops.append(loop)
    block_body(frame, node.body)
    build.loops.pop()
    if build.block is not None or not loop.values:
        raise CslError.at(node.span, f"the block {node.label} may end without a value: break :{node.label} gives one")
    if len(loop.values) == 1:
        build.block, value, _ = loop.values[0]
        return value
    kind = arms_type(frame, loop.values, want, node.span)
    return join(frame, loop.values, loop.after, kind, node.span)
