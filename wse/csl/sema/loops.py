"""Loops: executed, unrolled, or lowered to blocks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..ir import ir
from ..syntax import ast
from ..syntax.errors import CslError
from . import batch, optional
from . import types as t
from .conditions import condition, truth
from .convert import describe
from .exprs import settled
from .frame import Broken, Builder, Continued, Frame, Loop, at_of, stmt
from .lvalues import address, load, memory_of, offset_by, pointee
from .types import Type
from .values import GlobalVar, Mem, Parts, Range, Run, Sym, Val, Value, concrete


def known_loop(frame: Frame, label: str | None, body: ast.Node) -> bool:
    """One round at compile time; whether the loop is left."""
    frame.unit.program.step(body.span)
    try:
        frame.run(body)
    except Broken as broken:
        if broken.label not in (None, label):
            raise
        return True
    except Continued as continued:
        if continued.label not in (None, label):
            raise
    return False


@stmt(ast.While)
def while_(frame: Frame, node: ast.While) -> None:
    if node.capture is not None:
        captured_while(frame, node)
        return
    build = frame.build
    if build is None:
        if batch.while_loop(frame, node):
            return
        while truth(frame, node.condition):
            if known_loop(frame, node.label, node.body):
                return
            if node.step is not None:
                frame.run(node.step)
        return
    if node.inline:
        unrolled_while(frame, build, node)
        return
    body, step, after = build.new_block(), build.new_block(), build.new_block()
    build.depth += 1
    decided = condition(frame, node.condition, body, after)
    if decided is False:
        build.depth -= 1
        build.jump(after)
        build.start(after)
        return
    if decided:
        build.jump(body)
    build.start(body)
    build.loops.append(Loop(node.label, after, step))
    frame.run(node.body)
    build.jump(step)
    build.start(step)
    if node.step is not None:
        frame.run(node.step)
    if build.block is not None:
        build.at = at_of(node.condition.span)
        again = condition(frame, node.condition, body, after)
        if again is not None:
            build.jump(body if again else after)
    build.loops.pop()
    build.depth -= 1
    build.start(after)


def captured_while(frame: Frame, node: ast.While) -> None:
    """while (optional) |value| …"""
    build = frame.build
    if build is None:
        while True:
            there, value = optional.branch(frame, node.condition, ir.Block(0), ir.Block(0))
            if not there:
                return
            with optional.captured(frame, node.capture, value, node.span):
                leaves = known_loop(frame, node.label, node.body)
            if leaves:
                return
            if node.step is not None:
                frame.run(node.step)
    head, body, step, after = build.new_block(), build.new_block(), build.new_block(), build.new_block()
    build.jump(head)
    build.reached.add(head.id)
    build.start(head)
    build.depth += 1
    there, value = optional.branch(frame, node.condition, body, after)
    if there is not None:
        build.jump(body if there else after)
    build.start(body)
    if build.block is not None:
        build.loops.append(Loop(node.label, after, step))
        with optional.captured(frame, node.capture, value, node.span):
            frame.run(node.body)
        build.jump(step)
        build.start(step)
        if node.step is not None and build.block is not None:
            frame.run(node.step)
        build.jump(head)
        build.loops.pop()
    build.depth -= 1
    build.start(after)


def unrolled_while(frame: Frame, build: Builder, node: ast.While) -> None:
    after = build.new_block()
    broken = False
    while build.block is not None and truth(frame, node.condition):
        broken = unrolled_round(frame, build, node, after, broken)
        if node.step is not None:
            frame.run(node.step)
    build.jump(after)
    build.start(after)


def unrolled_round(frame: Frame, build: Builder, node: ast.While | ast.For, after: ir.Block, broken: bool) -> bool:
    """One round.  broken: whether an earlier round may leave the loop; the result: whether one up to this may."""
    frame.unit.program.step(node.span)
    frame.unit.program.unrolled(build.emitted, node.span)
    step = build.new_block()
    loop = Loop(node.label, after, step)
    loop.left = loop.broken = broken
    build.loops.append(loop)
    frame.run(node.body)
    build.loops.pop()
    build.jump(step)
    build.start(step)
    return loop.broken


@stmt(ast.For)
def for_(frame: Frame, node: ast.For) -> None:
    if len(node.items) != 1:
        raise CslError.at(
            node.items[1].span, "a for loop goes through one array or range; a second capture is the index"
        )
    where = frame.lvalue(node.items[0])
    kind = where.type
    if isinstance(kind, t.PointerType) and not kind.many and isinstance(kind.elem, t.ArrayType):
        where = pointee(frame, load(frame, where, node.span), kind.elem, node.span)
    items = where if isinstance(where, Mem) else load(frame, where, node.items[0].span)
    if isinstance(items, Val) and isinstance(items.data, Range):
        for_range(frame, node, items.data)
        return
    if isinstance(items.type, t.ArrayType) or (isinstance(items, Val) and isinstance(items.data, list)):
        for_array(frame, node, items if isinstance(items, Mem) else where, items)
        return
    if isinstance(items, Parts) and items.type.names is None:
        span = node.items[0].span
        known_for(frame, node, (settled(frame, load(frame, item, span), span) for item in items.items))
        return
    what = describe(items) if isinstance(items, Val) else f"a value of type {items.type}"
    raise CslError.at(node.items[0].span, f"a for loop goes through an array or a @range, not {what}")


def for_range(frame: Frame, node: ast.For, span: Range) -> None:
    build = frame.build
    bounds = [span.start, span.stop, span.step]
    if build is None or node.inline or span.elem.is_comptime:
        if not all(isinstance(b, Val) for b in bounds):
            raise CslError.at(node.items[0].span, "the bounds of this range are not known at compile time")
        numbers = range(*map(concrete, bounds))
        if not batch.for_loop(frame, node, span.elem, numbers):
            known_for(frame, node, (Val(span.elem, i) for i in numbers))
        return
    if all(isinstance(b, Val) and not isinstance(b.data, Sym) for b in bounds):
        numbers = range(*(b.data for b in bounds))
        if len(numbers) == 0:
            return
        held = t.int_type(8 * span.elem.size, span.elem.signed)  # the register that counts
        last = Val(held, held.wrap(numbers[-1] + span.step.data))
        counted(frame, build, node, span, last, check=False)
        return
    if not isinstance(span.step, Val):
        raise CslError.at(node.items[0].span, "the step of a range must be known at compile time")
    counted(frame, build, node, span, None, check=True)


@contextmanager
def one_round(
    frame: Frame, build: Builder, node: ast.For, body: ir.Block, step: ir.Block, after: ir.Block
) -> Iterator[None]:
    """The body of a run-time loop, from its block to the one of its step; captures are bound within."""
    build.start(body)
    build.depth += 1
    frame.names.append({})
    yield
    build.loops.append(Loop(node.label, after, step))
    frame.run(node.body)
    build.loops.pop()
    frame.names.pop()
    build.jump(step)
    build.start(step)
    build.at = at_of(node.span)


def counted(frame: Frame, build: Builder, node: ast.For, span: Range, last: Val | None, check: bool) -> None:
    """A run-time loop over a range.  last: where the item is when the loop is over, if known; check: it may be
    empty."""
    kind = span.elem
    where = node.items[0].span
    item = build.variable(kind.ir, node.captures[0])
    build.emit(ir.Copy(item, frame.operand(span.start, where, kind)))
    stop = frame.fresh(frame.operand(span.stop, where, kind))
    step = concrete(span.step)
    compare = "lt" if step > 0 else "gt"
    body, step_block, after = build.new_block(), build.new_block(), build.new_block()
    index = index_variable(build, node)
    if check:
        build.branch(compared(build, compare, item, stop), body, after)
    else:
        build.jump(body)
    with one_round(frame, build, node, body, step_block, after):
        frame.bind(node.captures[0], Run(kind, item), node.span)
        if index is not None:
            frame.bind(node.captures[1], Run(t.U16, index), node.span)
    build.emit(ir.Bin("add", item, item, ir.Const(kind.ir, step)))
    advance(build, index)
    if last is not None:
        going = compared(build, "ne", item, frame.operand(last, where))
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


def known_for(frame: Frame, node: ast.For, values: Any) -> None:
    """A loop whose items are known: executed, or unrolled."""
    broken = False
    build = frame.build
    after = build.new_block() if build is not None else ir.Block(0)
    for number, value in enumerate(values):
        frame.names.append({})
        try:
            frame.bind(node.captures[0], value, node.span)
            if len(node.captures) > 1:
                frame.bind(node.captures[1], Val(t.U16, number), node.span)
            if build is None:
                if known_loop(frame, node.label, node.body):
                    break
            else:
                if build.block is None:
                    break
                broken = unrolled_round(frame, build, node, after, broken)
        finally:
            frame.names.pop()
    if build is not None:
        build.jump(after)
        build.start(after)


def for_array(frame: Frame, node: ast.For, where: Any, items: Value) -> None:
    build = frame.build
    if isinstance(items, Val):
        if isinstance(items.data, list):
            known_for(frame, node, iter(items.data))
            return
        kind = items.type
        if build is None or node.inline or kind.elem.is_comptime:
            flat = items.data.reshape(-1)
            known_for(frame, node, (element_of(kind, flat[i]) for i in range(kind.count)))
            return
        if node.captures[0] == "_":
            where = None
        else:
            where = memory_of(frame, where if isinstance(where, GlobalVar) else frame.unit.constant(items, node.span))
    assert build is not None and isinstance(items.type, t.ArrayType)
    elem, count = items.type.elem, items.type.count
    if count == 0:
        return
    index = build.variable("u16", node.captures[1] if len(node.captures) > 1 else "")
    build.emit(ir.Copy(index, ir.Const("u16", 0)))
    body, step, after = build.new_block(), build.new_block(), build.new_block()
    build.jump(body)
    with one_round(frame, build, node, body, step, after):
        if node.captures[0] != "_":
            frame.bind(node.captures[0], item_of(frame, node, where, elem, index), node.span)
        if len(node.captures) > 1:
            frame.bind(node.captures[1], Run(t.U16, index), node.span)
    advance(build, index)
    build.branch(compared(build, "ne", index, ir.Const("u16", count & 0xFFFF)), body, after)
    build.depth -= 1
    build.start(after)


def item_of(frame: Frame, node: ast.For, where: Any, elem: Type, index: ir.Reg) -> Any:
    if not isinstance(where, Mem):
        raise CslError.at(node.items[0].span, "this array cannot be gone through at run time: it is no variable")
    item = offset_by(frame, where, elem, Run(t.U16, index), elem.size or 0, node.span)
    if node.by_pointer:
        return Run(t.pointer_to(elem, const=where.const), address(frame, item))
    return load(frame, item, node.span)


def element_of(kind: t.ArrayType, data: Any) -> Val:
    return Val(kind.elem, data.item() if isinstance(data, np.generic) else data)
