"""Statements: executed where everything is known, else lowered to blocks."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import arith, ast, ir, together
from . import types as t
from .convert import describe
from .errors import CslError
from .exprs import choose, condition, operate, truth
from .frame import Broken, Builder, Continued, Frame, Loop, Returned, at_of, stmt
from .places import load, memory_of, store, store_mem
from .types import Type
from .values import VOID, Cell, DsdEdit, FnRef, GlobalVar, Mem, Range, RegVar, Run, Sym, Val, Value, concrete, copy_of, zero

# ---- declarations ----


@stmt(ast.VarDecl)
def var_decl(f: Frame, node: ast.VarDecl) -> None:
    kind = f.type(node.type) if node.type is not None else None
    if kind is t.ANYTYPE:
        kind = None
    frame = f.comptime() if node.comptime else f
    value: Value | None = None
    if node.init is not None:
        value = frame.expr(node.init, kind)
        if kind is not None and not (isinstance(value, DsdEdit) and kind is value.type):
            value = frame.coerce(value, kind, node.init.span)
    elif kind is None:
        raise CslError.at(node.span, f"{node.name} needs a type or a value")
    f.bind(node.name, make_local(f, frame, node, kind, value), node.name_span)


def make_local(f: Frame, frame: Frame, node: ast.VarDecl, kind: Type | None, value: Value | None) -> Any:
    """What a local name is bound to."""
    if value is not None and value.type is t.UNDEFINED:
        value = None
    if node.kind == "const":
        if value is None:
            raise CslError.at(node.span, f"constant {node.name} has no value")
        return local_constant(f, node, value)
    kind = kind or (value.type if value is not None else None)
    assert kind is not None
    build = frame.build
    if build is None or kind.is_comptime:
        if value is not None and not isinstance(value, Val):
            raise CslError.at(node.span, "this value is not known at compile time")
        if value is None and not kind.is_comptime:
            value = zero(kind)
        depth = f.build.depth if f.build is not None else 0
        return Cell(kind, None if value is None else copy_of(value), True, depth)
    if kind.ir is not None and not f.lowered.has_address(node):
        reg = build.variable(kind.ir, node.name)
        build.emit(ir.Copy(reg, ir.Const(kind.ir, 0) if value is None else f.operand(value, node.span, kind)))
        return RegVar(kind, reg, True)
    item = value.item if isinstance(value, DsdEdit) else 4
    memory = f.unit.local(f, kind, node.name, node.span, align=node.align and f.number(node.align), item=item)
    if value is not None:
        store_mem(f, memory, value, node.span)
    return memory


def local_constant(f: Frame, node: ast.VarDecl, value: Value) -> Any:
    build = f.build
    if isinstance(value, Val):
        if isinstance(value.data, Sym) and build is not None:  # one load, not one for each use
            return Run(value.type, f.operand(value, node.span))
        return copy_of(value)
    assert build is not None
    if isinstance(value, Run):
        if f.lowered.has_address(node):
            memory = f.unit.local(f, value.type, node.name, node.span)
            store_mem(f, memory, value, node.span)
            memory.const = True
            return memory
        made = f.fresh(value.value)
        if isinstance(made, ir.Reg) and not made.name:
            made.name = node.name
        return Run(value.type, made)
    if isinstance(value, Mem) and value.const:
        return value
    memory = f.unit.local(f, value.type, node.name, node.span, item=value.item)
    store_mem(f, memory, value, node.span)
    memory.const = True
    return memory


# ---- simple ones ----


@stmt(ast.ExprStmt)
def expr_stmt(f: Frame, node: ast.ExprStmt) -> None:
    if isinstance(node.value, ast.Literal | ast.Ident | ast.Binary | ast.StructLit) and not (
        isinstance(node.value, ast.Literal) and node.value.kind == "void"
    ):
        f.expr(node.value)
        raise CslError.at(node.span, "the value of this expression is not used: assign it, or to _ if it does not matter")
    value = f.expr(node.value)
    if isinstance(value, Val) and isinstance(value.data, FnRef):
        raise CslError.at(node.span, f"{value.data.name} is not called: parentheses are missing")


@stmt(ast.Assign)
def assign(f: Frame, node: ast.Assign) -> None:
    if isinstance(node.target, ast.Ident) and node.target.name == "_" and node.op == "=":
        f.expr(node.value)
        return
    where = f.place(node.target)
    if isinstance(where, Val | Run | DsdEdit):
        what = f"{node.target.name} is a constant" if isinstance(node.target, ast.Ident) else "this is a value"
        raise CslError.at(node.target.span, f"{what} and cannot be changed")
    kind = where.type
    if node.op == "=":
        store(f, where, f.expr(node.value, kind), node.value.span)
        return
    old = load(f, where, node.target.span)
    value = operate(f, node.op[:-1], old, f.expr(node.value, kind), node.span)
    store(f, where, value, node.value.span)


@stmt(ast.Return)
def return_(f: Frame, node: ast.Return) -> None:
    result = f.result or t.VOID
    if node.value is None:
        if result is not t.VOID:
            raise CslError.at(node.span, f"a value of type {result} has to be returned")
        value: Value = VOID
    else:
        value = f.expr(node.value, None if result is t.ANYTYPE else result)
        if value.type is not t.VOID or result is not t.VOID:
            value = f.coerce(value, result, node.value.span)
    build = f.build
    if build is None:
        raise Returned(value if isinstance(value, Val) else VOID, node.span)
    if f.lowered is None:
        raise CslError.at(node.span, "return stands outside of a function")
    f.lowered.returns(f, value, node.span)


@stmt(ast.Break)
def break_(f: Frame, node: ast.Break) -> None:
    value = f.expr(node.value) if node.value is not None else None
    if f.build is None:
        raise Broken(node.span, node.label, value)
    for loop in reversed(f.build.loops):
        if (node.label is None and loop.step is not None) or (node.label is not None and loop.label == node.label):
            leave(f, loop, value, node)
            return
    raise Broken(node.span, node.label).misplaced()


def leave(f: Frame, loop: Loop, value: Value | None, node: ast.Break) -> None:
    """Goes behind a loop or block, with the value of the block if it is an expression."""
    build = f.build
    assert build is not None
    if (value is None) != (loop.values is None):
        wanted = "has a value, which this break does not give" if value is None else "has no value"
        raise CslError.at(node.span, f"the block or loop that is left {wanted}")
    if loop.values is None:
        build.jump(loop.after)
        return
    if isinstance(value, Run):
        value = Run(value.type, f.fresh(value.value))
    if build.block is not None:
        loop.values.append((build.block, value, node.span))
        build.block = None


@stmt(ast.Continue)
def continue_(f: Frame, node: ast.Continue) -> None:
    if f.build is None:
        raise Continued(node.span, node.label)
    for loop in reversed(f.build.loops):
        if loop.step is not None and node.label in (None, loop.label):
            f.build.jump(loop.step)
            return
    raise Continued(node.span, node.label).misplaced()


# ---- blocks ----


@stmt(ast.Block)
def block(f: Frame, node: ast.Block) -> None:
    if node.label is not None and f.build is not None:
        after = f.build.new_block()
        f.build.loops.append(Loop(node.label, after, None))
        block_body(f, node)
        f.build.loops.pop()
        f.build.jump(after)
        f.build.start(after)
        return
    try:
        block_body(f, node)
    except Broken as broken:
        if broken.label is None or broken.label != node.label:
            raise
        if broken.value is not None:
            raise CslError.at(broken.span, "the block or loop that is left has no value") from None


def block_body(f: Frame, node: ast.Block) -> None:
    f.names.append({})
    try:
        for statement in node.body:
            f.run(statement)
    finally:
        f.names.pop()


@stmt(ast.ComptimeBlock)
def comptime_block(f: Frame, node: ast.ComptimeBlock) -> None:
    f.comptime().run(node.body)


@stmt(ast.If)
def if_(f: Frame, node: ast.If) -> None:
    if node.capture is not None:
        raise CslError.at(node.span, "CSL has no optional values: if captures nothing")
    build = f.build
    if build is None:
        chosen = node.then if truth(f, node.condition) else node.other
        if chosen is not None:
            f.run(chosen)
        return
    yes, no, end = build.new_block(), build.new_block(), build.new_block()
    other = no if node.other is not None else end
    decided = condition(f, node.condition, yes, other)
    if decided is not None:
        chosen = node.then if decided else node.other
        if chosen is not None:
            f.run(chosen)
        return
    build.depth += 1
    for target, body in ((yes, node.then), (no, node.other)):
        if body is not None:
            build.start(target)
            f.run(body)
            build.jump(end)
    build.depth -= 1
    build.start(end)


# ---- loops ----


def known_loop(f: Frame, label: str | None, body: ast.Node) -> bool:
    """One round at compile time; whether the loop is left."""
    f.unit.program.step(body.span)
    try:
        f.run(body)
    except Broken as broken:
        if broken.label not in (None, label):
            raise
        return True
    except Continued as continued:
        if continued.label not in (None, label):
            raise
    return False


@stmt(ast.While)
def while_(f: Frame, node: ast.While) -> None:
    build = f.build
    if build is None:
        while truth(f, node.condition):
            if known_loop(f, node.label, node.body):
                return
            if node.step is not None:
                f.run(node.step)
        return
    if node.inline:
        unrolled_while(f, build, node)
        return
    body, step, after = build.new_block(), build.new_block(), build.new_block()
    build.depth += 1
    decided = condition(f, node.condition, body, after)
    if decided is False:
        build.depth -= 1
        build.jump(after)
        build.start(after)
        return
    if decided:
        build.jump(body)
    build.start(body)
    build.loops.append(Loop(node.label, after, step))
    f.run(node.body)
    build.jump(step)
    build.start(step)
    if node.step is not None:
        f.run(node.step)
    if build.block is not None:
        build.at = at_of(node.condition.span)
        again = condition(f, node.condition, body, after)
        if again is not None:
            build.jump(body if again else after)
    build.loops.pop()
    build.depth -= 1
    build.start(after)


def unrolled_while(f: Frame, build: Builder, node: ast.While) -> None:
    after = build.new_block()
    while build.block is not None and truth(f, node.condition):
        unrolled_round(f, build, node, after)
        if node.step is not None:
            f.run(node.step)
    build.jump(after)
    build.start(after)


def unrolled_round(f: Frame, build: Builder, node: ast.While | ast.For, after: ir.Block) -> None:
    f.unit.program.step(node.span)
    f.unit.program.unrolled(node.span)
    step = build.new_block()
    build.loops.append(Loop(node.label, after, step))
    f.run(node.body)
    build.loops.pop()
    build.jump(step)
    build.start(step)


@stmt(ast.For)
def for_(f: Frame, node: ast.For) -> None:
    if len(node.items) != 1:
        raise CslError.at(node.items[1].span, "a for loop goes through one array or range; a second capture is the index")
    where = f.place(node.items[0])
    kind = where.type
    if isinstance(kind, t.PointerType) and not kind.many and isinstance(kind.elem, t.ArrayType):
        from .places import pointee

        where = pointee(f, load(f, where, node.span), kind.elem, node.span)
    items = where if isinstance(where, Mem) else load(f, where, node.items[0].span)
    if isinstance(items, Val) and isinstance(items.data, Range):
        for_range(f, node, items.data)
        return
    if isinstance(items.type, t.ArrayType) or (isinstance(items, Val) and isinstance(items.data, list)):
        for_array(f, node, where, items)
        return
    what = describe(items) if isinstance(items, Val) else f"a value of type {items.type}"
    raise CslError.at(node.items[0].span, f"a for loop goes through an array or a @range, not {what}")


def for_range(f: Frame, node: ast.For, span: Range) -> None:
    build = f.build
    bounds = [span.start, span.stop, span.step]
    if build is None or node.inline or span.elem.is_comptime:
        numbers = [concrete(b) if isinstance(b, Val) else None for b in bounds]
        if None in numbers:
            raise CslError.at(node.items[0].span, "the bounds of this range are not known at compile time")
        if not together.loop(f, node, span.elem, range(*numbers)):
            known_for(f, node, (Val(span.elem, i) for i in range(*numbers)))
        return
    if all(isinstance(b, Val) and not isinstance(b.data, Sym) for b in bounds):
        numbers = range(*(b.data for b in bounds))
        if len(numbers) == 0:
            return
        last = Val(span.elem, span.elem.wrap(numbers[-1] + span.step.data))
        counted(f, build, node, span, last, check=False)
        return
    if not isinstance(span.step, Val):
        raise CslError.at(node.items[0].span, "the step of a range must be known at compile time")
    counted(f, build, node, span, None, check=True)


def counted(f: Frame, build: Builder, node: ast.For, span: Range, last: Val | None, check: bool) -> None:
    """A run-time loop over a range.  last: where the item is when the loop is over, if known; check: it may be empty."""
    kind = span.elem
    where = node.items[0].span
    item = build.variable(kind.ir, node.captures[0])
    build.emit(ir.Copy(item, f.operand(span.start, where, kind)))
    stop = f.fresh(f.operand(span.stop, where, kind))
    step = concrete(span.step)
    compare = "lt" if step > 0 else "gt"
    body, step_block, after = build.new_block(), build.new_block(), build.new_block()
    index = index_variable(build, node)
    if check:
        build.branch(compared(build, compare, item, stop), body, after)
    else:
        build.jump(body)
    build.start(body)
    build.depth += 1
    f.names.append({})
    f.bind(node.captures[0], Run(kind, item))
    if index is not None:
        f.bind(node.captures[1], Run(t.U16, index))
    build.loops.append(Loop(node.label, after, step_block))
    f.run(node.body)
    build.loops.pop()
    f.names.pop()
    build.jump(step_block)
    build.start(step_block)
    build.at = at_of(node.span)
    build.emit(ir.Bin("add", item, item, ir.Const(kind.ir, step)))
    advance(build, index)
    if last is not None:
        going = compared(build, "ne", item, f.operand(last, where))
    else:
        going = compared(build, compare, item, stop)
    build.branch(going, body, after)
    build.depth -= 1
    build.start(after)


def compared(build: Builder, op: str, a: ir.Value, b: ir.Value) -> ir.Reg:
    reg = build.reg("bool")
    build.emit(ir.Bin(op, reg, a, b))
    return reg


def index_variable(build: Builder, node: ast.For) -> ir.Reg | None:
    if len(node.captures) < 2 or node.captures[1] == "_":
        return None
    index = build.variable("u16", node.captures[1])
    build.emit(ir.Copy(index, ir.Const("u16", 0)))
    return index


def advance(build: Builder, index: ir.Reg | None) -> None:
    if index is not None:
        build.emit(ir.Bin("add", index, index, ir.Const("u16", 1)))


def known_for(f: Frame, node: ast.For, values: Any) -> None:
    """A loop whose items are known: executed, or unrolled."""
    build = f.build
    after = build.new_block() if build is not None else None
    for number, value in enumerate(values):
        f.names.append({})
        try:
            f.bind(node.captures[0], value)
            if len(node.captures) > 1:
                f.bind(node.captures[1], Val(t.U16, number))
            if build is None:
                if known_loop(f, node.label, node.body):
                    break
            else:
                if build.block is None:
                    break
                unrolled_round(f, build, node, after)
        finally:
            f.names.pop()
    if build is not None:
        build.jump(after)
        build.start(after)


def for_array(f: Frame, node: ast.For, where: Any, items: Value) -> None:
    build = f.build
    if isinstance(items, Val):
        if isinstance(items.data, list):
            known_for(f, node, iter(items.data))
            return
        kind = items.type
        if build is None or node.inline or kind.elem.is_comptime:
            flat = items.data.reshape(-1)
            known_for(f, node, (element_of(kind, flat[i]) for i in range(kind.count)))
            return
        if node.captures[0] == "_":
            where = None
        else:
            where = memory_of(f, where if isinstance(where, GlobalVar) else f.unit.constant(items, node.span))
    assert build is not None and isinstance(items.type, t.ArrayType)
    elem, count = items.type.elem, items.type.count
    if count == 0:
        return
    index = build.variable("u16", node.captures[1] if len(node.captures) > 1 else "")
    build.emit(ir.Copy(index, ir.Const("u16", 0)))
    body, step, after = build.new_block(), build.new_block(), build.new_block()
    build.jump(body)
    build.start(body)
    build.depth += 1
    f.names.append({})
    if node.captures[0] != "_":
        f.bind(node.captures[0], item_of(f, node, where, elem, index))
    if len(node.captures) > 1:
        f.bind(node.captures[1], Run(t.U16, index))
    build.loops.append(Loop(node.label, after, step))
    f.run(node.body)
    build.loops.pop()
    f.names.pop()
    build.jump(step)
    build.start(step)
    build.at = at_of(node.span)
    advance(build, index)
    build.branch(compared(build, "ne", index, ir.Const("u16", count & 0xFFFF)), body, after)
    build.depth -= 1
    build.start(after)


def item_of(f: Frame, node: ast.For, where: Any, elem: Type, index: ir.Reg) -> Any:
    from .places import address, offset_by

    if not isinstance(where, Mem):
        raise CslError.at(node.items[0].span, "this array cannot be gone through at run time: it is no variable")
    place = offset_by(f, where, elem, Run(t.U16, index), elem.size or 0, node.span)
    if node.by_pointer:
        return Run(t.pointer_to(elem, const=where.const), address(f, place))
    return load(f, place, node.span)


def element_of(kind: t.ArrayType, data: Any) -> Val:
    return Val(kind.elem, data.item() if isinstance(data, np.generic) else data)


# ---- switch ----


def matches(f: Frame, arm: ast.Arm, value: Val) -> bool:
    for case in arm.values:
        if isinstance(case, ast.Binary) and case.op == "...":
            low, high = f.number(case.left, value.type), f.number(case.right, value.type)
            if low <= concrete(value) <= high:
                return True
        else:
            other = f.known(case, value.type)
            if concrete(arith.fold("==", value, other, case.span)):
                return True
    return not arm.values


def chosen_arm(f: Frame, node: ast.Switch, value: Val) -> ast.Arm | None:
    concrete(value)
    for arm in sorted(node.arms, key=lambda arm: not arm.values):
        if matches(f, arm, value):
            return arm
    return None


def check_arms(node: ast.Switch, kind: Type) -> None:
    if sum(not arm.values for arm in node.arms) > 1:
        raise CslError.at(node.span, "a switch has one else")
    if isinstance(kind, t.EnumType) and all(arm.values for arm in node.arms):
        named = {case.name for arm in node.arms for case in arm.values if isinstance(case, ast.Member | ast.DotName)}
        missing = [name for name in kind.members if name not in named]
        if missing and all(isinstance(c, ast.Member | ast.DotName) for arm in node.arms for c in arm.values):
            raise CslError.at(node.span, f"no arm of this switch is for {', '.join(missing)}, and there is no else")


@stmt(ast.Switch)
def switch(f: Frame, node: ast.Switch) -> None:
    value = f.expr(node.value)
    check_arms(node, value.type)
    if isinstance(value, Val):
        arm = chosen_arm(f, node, value)
        if arm is not None:
            f.run(arm.body)
        return
    build = f.build
    assert build is not None
    arms, other, end = dispatch(f, node, value)
    build.depth += 1
    for target, arm in arms:
        build.start(target)
        f.run(arm.body)
        build.jump(end)
    build.depth -= 1
    if other is not None:
        build.start(other)
        build.jump(end)
    build.start(end)


def dispatch(f: Frame, node: ast.Switch, value: Value) -> tuple[list, ir.Block | None, ir.Block]:
    """Compares one after the other.  (block, arm) each; where to go if none is meant, if there is no else; the end."""
    build = f.build
    assert build is not None
    value = Run(value.type, f.fresh(f.operand(value, node.value.span)))
    end = build.new_block()
    arms = [(build.new_block(), arm) for arm in node.arms]
    for target, arm in arms:
        for case in arm.values:
            following = build.new_block()
            if isinstance(case, ast.Binary) and case.op == "...":
                above = build.new_block()
                low = operate(f, ">=", value, f.known(case.left, value.type), case.span)
                build.branch(f.operand(low, case.span), above, following)
                build.start(above)
                test = operate(f, "<=", value, f.known(case.right, value.type), case.span)
            else:
                test = operate(f, "==", value, f.known(case, value.type), case.span)
            build.branch(f.operand(test, case.span), target, following)
            build.start(following)
    rest = next((target for target, arm in arms if not arm.values), None)
    if rest is not None:
        build.jump(rest)
        return arms, None, end
    none = build.new_block()
    build.jump(none)
    return arms, none, end


def switch_value(f: Frame, node: ast.Switch, want: Type | None) -> Value:
    """A switch as an expression."""
    value = f.expr(node.value)
    check_arms(node, value.type)
    if isinstance(value, Val):
        arm = chosen_arm(f, node, value)
        if arm is None:
            raise CslError.at(node.span, f"no arm of this switch is for {describe(value)}")
        return arm_value(f, arm, want)
    build = f.build
    assert build is not None
    arms, none, end = dispatch(f, node, value)
    if none is not None:
        build.start(none)
        build.emit(ir.Trap("no arm of the switch is for this value"))
    return choose(f, [(target, arm_expr(arm)) for target, arm in arms], end, want, node.span)


def arm_expr(arm: ast.Arm) -> ast.Node:
    if not isinstance(arm.body, ast.ExprStmt):
        raise CslError.at(arm.span, "this arm of a switch has no value")
    return arm.body.value


def arm_value(f: Frame, arm: ast.Arm, want: Type | None) -> Value:
    return f.expr(arm_expr(arm), want)
